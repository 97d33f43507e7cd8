"""A door that is forced and a housing that is opened: a line of the service, a metric and a mark on the entry, at once."""

import asyncio
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from devices.app import make_gate
from devices.core.events import TamperOpened
from devices.settings import read_gate_folder
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import IN, Registry, served_site
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("alarms"), postgres_server, broker) as registry:
        yield registry


def alarms(registry: Registry) -> list[dict[str, object]]:
    """Entries that somebody must look at, as the log has them."""
    rows = registry.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq")
    return [body for row in rows if (body := json.loads(row["body"])).get("alarm") is True]


def test_a_forced_door_and_an_opened_housing_are_said_counted_and_marked(registry: Registry):
    async def break_in() -> None:
        settings = read_gate_folder(registry.folder.root / "gates" / "front")
        async with make_gate(settings, broker=registry.broker.url) as gate, asyncio.timeout(20):
            await gate.service_heard()
            gate.feel(IN, opened=True)
            gate._happens(TamperOpened(None))
            await eventually(lambda: len(alarms_said(registry)) == 2, within=20)

    asyncio.run(break_in())
    said = alarms_said(registry)
    assert [(one["code"], one["gate"]) for one in said] == [("door-forced", "front"), ("tamper", "front")]
    marked = alarms(registry)
    assert [(one["kind"], one.get("status")) for one in marked] == [
        ("passage.forced", None),
        ("gate.status", "tamper"),
    ]
    assert [one["seq"] for one in marked] == [one["seq"] for one in said]
    (url,) = re.findall(r"metrics and health (http://\S+)", registry._log.read_text())
    metrics = httpx.get(f"{url}/metrics").text
    for code in ("door-forced", "tamper"):
        assert f'gatekeeper_alarms_total{{code="{code}"}} 1.0' in metrics


def alarms_said(registry: Registry) -> list[dict[str, object]]:
    """What the service said that somebody must look at."""
    lines = registry._log.read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [one for one in told if one.get("event") == "alarm"]
