"""The logs of a site over HTTP, read as any reader of C2SP tlog-tiles reads them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry

from gatekeeper.adapters.http import http_app, serving
from gatekeeper.adapters.postgres import PostgresStoredTrees
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.observe.health import Health
from gatekeeper.service.publication import Publication, Publishing
from gatekeeper.transparency import Refused, open_note
from tests.support.checkpoints import WITNESS, cosign_heads, sign_heads
from tests.support.fort import ARMY, NOW, SCHOOL, Fort
from tests.support.gone import let_bodies_go
from tests.support.proxy import FaultProxy
from tests.support.tlog_reader import Fetch, path_of, read_log

pytestmark = pytest.mark.integration

LOGS = ("site", "tenant/army", "tenant/school")


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    """A log of 700 entries, 300 of them the army's, under signed checkpoints."""
    async with Fort.opened(postgres_server) as fort:
        await fort.commit(fort.pen.write(300, tenants=(ARMY, SCHOOL)))
        await fort.commit(fort.pen.write(400, tenants=(SCHOOL,)))
        await sign_heads(fort)
        yield fort


@asynccontextmanager
async def _published(
    fort: Fort, publishing: Publishing, *, dsn: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        stored = await stack.enter_async_context(PostgresStoredTrees.opened(dsn or fort.dsn))
        publication = Publication(fort.site, stored, publishing=publishing)
        app = http_app(health=Health(), registry=CollectorRegistry(), publication=publication)
        url = await stack.enter_async_context(serving(app, host="127.0.0.1", port=0))
        base = f"{url}/log/gatekeeper/{fort.site}/"
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=base))


@pytest.fixture
async def tiles(fort: Fort) -> AsyncIterator[httpx.AsyncClient]:
    async with _published(fort, Publishing.TILES) as client:
        yield client


@pytest.fixture
async def entries(fort: Fort) -> AsyncIterator[httpx.AsyncClient]:
    async with _published(fort, Publishing.ENTRIES) as client:
        yield client


def _fetch(client: httpx.AsyncClient, log: str) -> Fetch:
    async def fetch(path: str) -> bytes | None:
        answer = await client.get(f"{log}/{path}")
        return answer.content if answer.status_code == 200 else None

    return fetch


# -- what any reader can do -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", LOGS)
async def test_a_reader_that_knows_the_specification_alone_checks_every_log(
    log: str, fort: Fort, entries: httpx.AsyncClient
):
    assert await read_log(_fetch(entries, log)) == fort.pen.trees[log.replace("/", ":")].size


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 513])
async def test_a_log_of_any_size_has_the_tiles_of_that_size(size: int, postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as fort:
        await fort.commit(fort.pen.write(size))
        await sign_heads(fort)
        async with _published(fort, Publishing.ENTRIES) as client:
            assert await read_log(_fetch(client, "site")) == size


async def test_a_reader_of_an_older_checkpoint_still_finds_its_incomplete_tiles(
    fort: Fort, tiles: httpx.AsyncClient
):
    path = f"site/{path_of('0', 2, 188)}"
    before = (await tiles.get(path)).content
    await fort.commit(fort.pen.write(100))
    await sign_heads(fort)
    assert (await tiles.get(path)).content == before
    assert (await tiles.get(f"site/{path_of('0', 2)}")).content[: len(before)] == before
    assert (await tiles.get(f"site/{path_of('1', 0, 2)}")).status_code == 200


# -- what stands where, and how long it may be kept -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "form", "kept"),
    [
        ("checkpoint", "text/plain; charset=utf-8", "no-cache"),
        (path_of("0", 0), "application/octet-stream", "public, max-age=31536000, immutable"),
        (path_of("0", 2, 188), "application/octet-stream", "public, max-age=31536000, immutable"),
        (path_of("entries", 0), "application/octet-stream", "public, max-age=604800, immutable"),
    ],
)
async def test_every_resource_says_what_it_is_and_how_long_it_may_be_kept(
    path: str, form: str, kept: str, entries: httpx.AsyncClient
):
    got, asked = await entries.get(f"site/{path}"), await entries.head(f"site/{path}")
    assert (got.status_code, asked.status_code, asked.content) == (200, 200, b"")
    for answer in (got, asked):
        assert answer.headers["content-type"] == form
        assert answer.headers["cache-control"] == kept
        assert answer.headers["content-length"] == str(len(got.content))


NOT_THERE = {
    "a tile beyond the checkpoint": f"site/{path_of('0', 3)}",
    "the last tile, as if it were full": f"site/{path_of('0', 2)}",
    "a tile one hash wider than the checkpoint": f"site/{path_of('0', 2, 189)}",
    "a level above the root": f"site/{path_of('2', 0, 1)}",
    "a tile wider than the tiles below it": f"site/{path_of('1', 0, 3)}",
    "an index that no tree has": f"site/{path_of('0', 10**20)}",
    "a tile without its leading zeros": "site/tile/0/0",
    "a level with a leading zero": "site/tile/00/000",
    "an incomplete tile as wide as a full one": "site/tile/0/000.p/256",
    "an empty tile": "site/tile/0/000.p/0",
    "a folder": "site/tile/0/",
    "the log itself": "site",
    "a checkpoint below a checkpoint": "site/checkpoint/",
    "another spelling of the same path": "site/tile/0/00%30",
    "a tenant that is none": "tenant/ghost/checkpoint",
    "what cannot be a tenant": "tenant/A%20B/checkpoint",
    "another site": "../elsewhere/site/checkpoint",
    "what lies outside": "site/tile/../../../../etc/passwd",
}


@pytest.mark.parametrize("path", NOT_THERE.values(), ids=NOT_THERE)
async def test_of_what_is_not_there_nothing_is_told_and_nothing_is_kept(
    path: str, entries: httpx.AsyncClient
):
    answer = await entries.get(path)
    assert answer.status_code == 404
    if "log" in answer.request.url.path.split("/")[1]:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["detail"] == "Nothing is published here, or not yet."


async def test_what_no_checkpoint_covers_is_not_published(fort: Fort, entries: httpx.AsyncClient):
    await fort.commit(fort.pen.write(100))
    assert (await entries.get(f"site/{path_of('0', 2)}")).status_code == 404
    await sign_heads(fort)
    assert (await entries.get(f"site/{path_of('0', 2)}")).status_code == 200


async def test_the_checkpoint_is_the_last_one_that_a_witness_has_cosigned(
    fort: Fort, entries: httpx.AsyncClient
):
    await cosign_heads(fort)
    await fort.commit(fort.pen.write(100))
    await sign_heads(fort, at=NOW + timedelta(minutes=10))
    for log in LOGS:
        note = (await entries.get(f"{log}/checkpoint")).content
        opened = open_note(note, [WITNESS.verifier])
        assert not isinstance(opened, Refused)
        assert await read_log(_fetch(entries, log)) in {300, 700}


async def test_when_witnesses_were_away_for_long_the_newest_checkpoint_must_do(
    fort: Fort, entries: httpx.AsyncClient
):
    await cosign_heads(fort)
    await fort.commit(fort.pen.write(100))
    await sign_heads(fort, at=NOW + timedelta(minutes=10, seconds=1))
    assert await read_log(_fetch(entries, "site")) == 800


async def test_a_log_that_nobody_signed_is_not_there(postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as fort:
        await fort.commit(fort.pen.write(300))
        async with _published(fort, Publishing.ENTRIES) as client:
            for path in ("checkpoint", path_of("0", 0)):
                assert (await client.get(f"site/{path}")).status_code == 404


async def test_nothing_is_changed_over_http(entries: httpx.AsyncClient):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await entries.request(method, "site/checkpoint")).status_code == 405


# -- what is published at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", LOGS)
async def test_hashes_are_published_without_the_bodies_below_them(log: str, tiles: httpx.AsyncClient):
    assert await read_log(_fetch(tiles, log), bodies=False) > 0
    assert (await tiles.get(f"{log}/{path_of('entries', 0)}")).status_code == 404


async def test_who_publishes_nothing_publishes_nothing(fort: Fort):
    async with _published(fort, Publishing.NOTHING) as client:
        for path in ("checkpoint", path_of("0", 0), path_of("entries", 0)):
            assert (await client.get(f"site/{path}")).status_code == 404


# -- when it cannot be told -------------------------------------------------------------------------------------------


async def test_a_body_that_was_taken_out_leaves_no_bundle_and_no_incomplete_tile(
    fort: Fort, entries: httpx.AsyncClient
):
    await fort.run("DELETE FROM entry WHERE site_id = $1 AND seq IN (7, 600)")
    for path in (path_of("entries", 0), path_of("entries", 2, 188), path_of("0", 2, 188)):
        assert (await entries.get(f"site/{path}")).status_code == 404, path
    assert (await entries.get(f"site/{path_of('0', 0)}")).status_code == 200, "the hashes stand"


@pytest.mark.parametrize(
    ("before", "log"), [(280, "site"), (600, "site"), (300, "tenant/army"), (299, "tenant/army")]
)
async def test_of_bodies_whose_period_was_over_every_tile_can_still_be_had(
    before: int, log: str, fort: Fort, entries: httpx.AsyncClient
):
    await let_bodies_go(fort, before)
    assert await read_log(_fetch(entries, log), bodies=False) == fort.pen.trees[log.replace("/", ":")].size
    assert (await entries.get(f"{log}/{path_of('entries', 0)}")).status_code == 404


async def test_a_tile_that_was_taken_out_leaves_none_above_it(fort: Fort, entries: httpx.AsyncClient):
    await fort.run("DELETE FROM tile WHERE site_id = $1 AND tree = 'site' AND index = 1")
    for path in (path_of("0", 1), path_of("1", 0, 2)):
        assert (await entries.get(f"site/{path}")).status_code == 404, path


async def test_a_database_that_is_away_is_said_to_be_and_asked_again_when_it_is_back(
    fort: Fort, database_proxy: FaultProxy
):
    async with _published(fort, Publishing.TILES, dsn=database_proxy.dsn(fort.dsn)) as client:
        database_proxy.refuse()
        answer = await client.get("site/checkpoint")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"
        await database_proxy.accept()
        assert (await client.get("site/checkpoint")).status_code == 200


async def test_who_asks_for_too_much_at_once_is_told_to_come_again_and_the_others_are_answered(
    fort: Fort, database_proxy: FaultProxy
):
    async with _published(fort, Publishing.TILES, dsn=database_proxy.dsn(fort.dsn)) as client:
        database_proxy.pause()
        asked = [asyncio.create_task(client.get("site/checkpoint")) for _ in range(80)]
        done: set[asyncio.Task[httpx.Response]] = set()
        while len(done) < 80 - 64:
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        database_proxy.resume()
        codes = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert (codes.count(503), codes.count(200)) == (16, 64)
