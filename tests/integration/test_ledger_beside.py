"""What stands beside the log: refused bytes, checkpoints, changes on their way, notifications, and the months of entries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.core.hearing import Heard, LinkState
from gatekeeper.core.supervise import APPLIED, ChangeOutcome, Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import GateId
from gatekeeper.ports import DeadLetter, GateLinkRow, StoredChange
from tests.support.fort import GATE, NOW, SERGEANT, Fort
from tests.support.proxy import FaultProxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

CHANGE = bytes(range(16))


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as fort:
        yield fort


@pytest.fixture
async def reading(fort: Fort) -> AsyncIterator[PostgresReading]:
    async with PostgresReading.opened(fort.dsn) as reading:
        yield reading


# -- refused bytes ----------------------------------------------------------------------------------------------------


def _letter(payload: bytes, *, code: str = "message-malformed", gate: GateId | None = GATE) -> DeadLetter:
    return DeadLetter(
        at=NOW, topic="gk/v1/fort/front/scan", gate=gate, code=code, detail="why", payload=payload
    )


async def test_refused_bytes_are_kept_as_they_came_with_why(fort: Fort, reading: PostgresReading):
    payloads = [bytes(range(256)) * 257, b"", b"\x00"]
    letters = [_letter(payload) for payload in payloads]
    letters.append(_letter(b"from nobody", code="topic-unknown", gate=None))
    await fort.ledger.bury(fort.site, letters)
    rows = await fort.run(
        "SELECT at, topic, gate, code, detail, payload FROM dead_letter WHERE site_id = $1 ORDER BY letter"
    )
    assert [DeadLetter(**dict(row)) for row in rows] == letters
    assert await reading.dead_letters(fort.site) == {"message-malformed": 3, "topic-unknown": 1}


async def test_burying_nothing_is_nothing(fort: Fort, reading: PostgresReading):
    await fort.ledger.bury(fort.site, [])
    assert await reading.dead_letters(fort.site) == {}


# -- links of gates -----------------------------------------------------------------------------------------------------


async def test_what_is_known_of_links_is_kept_for_those_who_look_and_for_the_next_engine(
    fort: Fort, reading: PostgresReading
):
    never = GateLinkRow(gate=GateId("inner"), heard=Heard(), made=None)
    there = Heard(state=LinkState.UP, since=NOW, heard_at=NOW, snapshot=bytes(32))
    up = GateLinkRow(gate=GATE, heard=there, made=b"\1" * 32)
    await fort.ledger.keep_links(fort.site, epoch=fort.epoch, rows=[never, up])
    assert await reading.gate_links(fort.site) == {never.gate: never, GATE: up}
    silent = replace(up, heard=replace(there, state=LinkState.SILENT, snapshot=None))
    await fort.ledger.keep_links(fort.site, epoch=fort.epoch, rows=[silent])
    assert await reading.gate_links(fort.site) == {GATE: silent}, "and of no other gate"
    loaded = await fort.ledger.load(fort.site, epoch=fort.epoch)
    assert loaded.links == (silent,)


async def test_who_lost_the_site_keeps_nothing_of_links(fort: Fort, reading: PostgresReading):
    up = GateLinkRow(gate=GATE, heard=Heard(state=LinkState.UP, since=NOW, heard_at=NOW), made=None)
    await fort.ledger.keep_links(fort.site, epoch=fort.epoch, rows=[up])
    await fort.ledger.keep_links(fort.site, epoch=fort.epoch - 1, rows=[])
    await fort.ledger.keep_links(fort.site, epoch=fort.epoch + 1, rows=[replace(up, heard=Heard())])
    assert await reading.gate_links(fort.site) == {GATE: up}


# -- checkpoints ------------------------------------------------------------------------------------------------------


async def test_a_checkpoint_is_kept_once_and_the_first_one_of_a_size_stays(
    fort: Fort, reading: PostgresReading
):
    for size, note in ((3, b"first"), (3, b"another"), (1, b"older")):
        await fort.ledger.checkpoint(fort.site, tree="site", size=size, root=bytes(32), note=note, at=NOW)
    newest = await reading.newest_checkpoint(fort.site, tree="site")
    assert newest is not None
    assert (newest.size, newest.note, newest.root, newest.at) == (3, b"first", bytes(32), NOW)
    assert await reading.newest_checkpoint(fort.site, tree="tenant:army") is None
    claimed = await reading.claimed(fort.site)
    assert [(tree, size, note) for tree, size, _, note in claimed.checkpoints] == [
        ("site", 1, b"older"),
        ("site", 3, b"first"),
    ]


# -- changes ----------------------------------------------------------------------------------------------------------


async def test_changes_wait_in_the_order_of_their_arrival_until_their_outcome_is_committed(
    fort: Fort, reading: PostgresReading
):
    submitted = [
        StoredChange(id=bytes([15 - number]) * 16, document=f"change {number}".encode(), name=name)
        for number, name in enumerate((None, b"sealed", None))
    ]
    for change in submitted:
        await reading.submit(fort.site, change=change.id, document=change.document, name=change.name)
    assert list(await fort.ledger.changes(fort.site)) == submitted
    assert await reading.outcome(fort.site, submitted[0].id) is None

    made = ChangeOutcome(change=submitted[0].id, code=APPLIED, detail="", seq=0)
    refused = ChangeOutcome(change=submitted[2].id, code="change-stale", detail="yesterday", seq=None)
    await fort.commit(fort.pen.write(1).holding(writes=Writes(outcomes=[made, refused])))
    assert list(await fort.ledger.changes(fort.site)) == [submitted[1]]
    assert await reading.outcome(fort.site, made.change) == made
    assert await reading.outcome(fort.site, refused.change) == refused


@pytest.mark.parametrize("code", [APPLIED, "registration-old"])
async def test_a_name_stays_with_a_change_only_while_it_waits(
    code: str, fort: Fort, reading: PostgresReading
):
    await reading.submit(fort.site, change=CHANGE, document=b"a registration", name=b"sealed")
    names = "SELECT name FROM change WHERE site_id = $1"
    assert [row["name"] for row in await fort.run(names)] == [b"sealed"]
    outcome = ChangeOutcome(change=CHANGE, code=code, detail="", seq=None)
    await fort.commit(fort.pen.write(1).holding(writes=Writes(outcomes=[outcome])))
    assert [row["name"] for row in await fort.run(names)] == [None]


async def test_a_change_handed_in_twice_is_one_change(fort: Fort, reading: PostgresReading):
    for document in (b"the change", b"another under its id"):
        await reading.submit(fort.site, change=CHANGE, document=document, name=None)
    assert [change.document for change in await fort.ledger.changes(fort.site)] == [b"the change"]


async def test_changes_come_in_portions_that_one_commit_can_hold(fort: Fort):
    await fort.run(
        "INSERT INTO change (site_id, change, document)"
        " SELECT $1, decode(lpad(to_hex(number), 32, '0'), 'hex'), '' FROM generate_series(1, 300) AS number"
    )
    assert len(await fort.ledger.changes(fort.site, most=256)) == 256


# -- notifications ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _heard(dsn: str, channel: str) -> AsyncIterator["asyncio.Queue[str]"]:
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.add_listener(channel, lambda *event: heard.put_nowait(event[3]))
        yield heard
    finally:
        await connection.close()


async def test_those_who_watch_are_told_how_far_the_log_is(fort: Fort):
    async with _heard(fort.dsn, "gatekeeper_entry") as heard, asyncio.timeout(5):
        await fort.ledger.announce(fort.site, size=12)
        assert await heard.get() == f"{fort.site}:12"


async def test_a_change_wakes_the_engine_of_its_site_before_it_would_look_by_itself(
    fort: Fort, reading: PostgresReading
):
    arrivals = fort.ledger.change_arrivals(fort.site)
    try:
        await anext(arrivals)  # at once, and from here on it listens
        async with asyncio.timeout(0.9):
            await reading.submit(fort.site, change=CHANGE, document=b"", name=None)
            await anext(arrivals)
    finally:
        await arrivals.aclose()


async def test_the_engine_looks_for_changes_by_itself_though_nothing_wakes_it(fort: Fort):
    arrivals = fort.ledger.change_arrivals(fort.site)
    try:
        async with asyncio.timeout(5):
            for _ in range(2):
                await anext(arrivals)
    finally:
        await arrivals.aclose()


async def test_changes_wake_the_engine_again_after_its_connection_broke(
    fort: Fort, database_proxy: FaultProxy, reading: PostgresReading
):
    ledger = PostgresLedger(database_proxy.dsn(fort.dsn))
    arrivals = ledger.change_arrivals(fort.site)
    try:
        async with asyncio.timeout(10):
            await anext(arrivals)
            database_proxy.cut()
            await eventually(lambda: database_proxy.connections == 0)
            while database_proxy.connections == 0:
                await anext(arrivals)
        async with asyncio.timeout(0.9):
            await reading.submit(fort.site, change=CHANGE, document=b"", name=None)
            await anext(arrivals)
    finally:
        await arrivals.aclose()
        await ledger.close()


# -- months -----------------------------------------------------------------------------------------------------------


def _month(at: datetime) -> str:
    return at.strftime("%Y_%m")


async def test_entries_and_their_personal_parts_lie_in_the_partition_of_their_month(fort: Fort):
    now = datetime.now(UTC)
    next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    for at in (now, next_month):
        await fort.commit(fort.pen.write(1, person=SERGEANT, at=at))
    for table in ("entry", "personal"):
        rows = await fort.run(
            f"SELECT tableoid::regclass::text AS lies_in FROM {table} WHERE site_id = $1 ORDER BY seq"
        )
        assert [row["lies_in"] for row in rows] == [f"{table}_{_month(now)}", f"{table}_{_month(next_month)}"]


async def test_an_entry_for_which_nobody_made_a_month_is_kept_all_the_same(fort: Fort):
    await fort.commit(fort.pen.write(1, at=datetime(2020, 2, 29, 23, 59, tzinfo=UTC)))
    rows = await fort.run("SELECT tableoid::regclass::text AS lies_in FROM entry WHERE site_id = $1")
    assert [row["lies_in"] for row in rows] == ["entry_rest"]


async def test_a_partition_holds_its_month_and_no_more(fort: Fort):
    rows = await fort.run(
        "SELECT pg_get_expr(relpartbound, oid) AS bounds FROM pg_class WHERE relname = $2 AND $1::text IS NOT NULL",
        f"entry_{_month(datetime.now(UTC))}",
    )
    first = datetime.now(UTC).strftime("%Y-%m-01")
    assert rows[0]["bounds"].startswith(f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('")
