"""The service over HTTP: metrics, and whether it lives and can decide, asked as Prometheus and an orchestrator do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gatekeeper.adapters.http import http_app, serving
from gatekeeper.observe.health import Health
from gatekeeper.observe.metrics import Metrics

pytestmark = pytest.mark.integration

PARTS = ["owns_site", "broker", "database"]


@pytest.fixture
def health() -> Health:
    return Health(owns_site=True, broker=True, database=True)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(health: Health, registry: CollectorRegistry) -> AsyncIterator[httpx.AsyncClient]:
    async with _served(health, registry) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


@asynccontextmanager
async def _served(health: Health, registry: CollectorRegistry) -> AsyncIterator[str]:
    async with serving(http_app(health=health, registry=registry), host="127.0.0.1", port=0) as url:
        yield url


# -- health -----------------------------------------------------------------------------------------------------------


async def test_a_service_that_could_decide_now_is_ready(client: httpx.AsyncClient):
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "owns_site": True, "broker": True, "database": True}


@pytest.mark.parametrize("part", PARTS)
async def test_a_service_that_lacks_a_part_is_not_ready_and_says_which(
    part: str, client: httpx.AsyncClient, health: Health
):
    setattr(health, part, False)
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["title"], problem["status"]) == ("Not ready", 503)
    assert problem["detail"] == f"Missing: {part}."
    assert {name: problem[name] for name in PARTS} == {name: name != part for name in PARTS}


async def test_a_service_that_has_just_started_is_not_ready_and_lacks_everything(registry: CollectorRegistry):
    async with _served(Health(), registry) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "Missing: owns_site, broker, database."


async def test_a_service_is_ready_again_as_soon_as_the_part_is_back(
    client: httpx.AsyncClient, health: Health
):
    health.broker = False
    assert (await client.get("/health/ready")).status_code == 503
    health.broker = True
    assert (await client.get("/health/ready")).status_code == 200


async def test_a_service_lives_though_it_is_not_ready(client: httpx.AsyncClient, health: Health):
    """Who restarts what is not alive must not restart an engine that stands by."""
    health.owns_site = health.broker = health.database = False
    answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


# -- metrics ----------------------------------------------------------------------------------------------------------


async def test_metrics_are_what_prometheus_reads(client: httpx.AsyncClient, registry: CollectorRegistry):
    metrics = Metrics(registry)
    metrics.decision("denied", "denied-schedule").inc(3)
    metrics.decision_seconds.observe(0.004)
    metrics.site_owned.set(1)
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    labels = (("reason", "denied-schedule"), ("verdict", "denied"))
    assert samples["gatekeeper_decisions_total", labels] == 3
    assert samples["gatekeeper_decision_seconds_count", ()] == 1
    assert samples["gatekeeper_decision_seconds_bucket", (("le", "0.005"),)] == 1
    assert samples["gatekeeper_decision_seconds_bucket", (("le", "0.003"),)] == 0
    assert samples["gatekeeper_site_owned", ()] == 1


def test_the_same_labels_are_the_same_child(registry: CollectorRegistry):
    metrics = Metrics(registry)
    assert metrics.refused("message-flood") is metrics.refused("message-flood")
    assert metrics.refused("message-flood") is not metrics.refused("message-retained")


# -- serving ----------------------------------------------------------------------------------------------------------


async def test_nothing_else_is_served_and_nothing_is_changed_over_http(client: httpx.AsyncClient):
    for path in ("/", "/docs", "/redoc", "/health", "/console", "/static/console.js"):
        assert (await client.get(path)).status_code == 404, path
    for path in ("/metrics", "/health/live", "/health/ready"):
        for method in ("POST", "PUT", "DELETE"):
            assert (await client.request(method, path)).status_code == 405, (method, path)


async def test_the_port_is_free_again_when_the_block_ends(health: Health, registry: CollectorRegistry):
    async with _served(health, registry) as url:
        port = urlsplit(url).port
        assert port
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_port_that_is_taken_is_said_to_be_before_anything_runs(
    health: Health, registry: CollectorRegistry
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with serving(http_app(health=health, registry=registry), host="127.0.0.1", port=port):
                pass


async def test_a_client_that_stays_connected_does_not_hold_the_service_back(
    health: Health, registry: CollectorRegistry
):
    async with asyncio.timeout(10):
        async with _served(health, registry) as url:
            port = urlsplit(url).port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
