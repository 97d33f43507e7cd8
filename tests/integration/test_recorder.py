"""The recorder: a batch sealed while another is committed goes in after it, and is nothing without it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.core.audit import Draft, Kind
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.observe.health import Health
from gatekeeper.ports import Inbound, SiteLostError
from gatekeeper.service.engine import Engine
from gatekeeper.service.engine.engine import MAX_BATCH, _Verified
from gatekeeper.service.engine.intake import Arrival
from gatekeeper.service.engine.recorder import Contents, Recorder
from gatekeeper.transparency import Tree, leaf_hash
from tests.support.engines import owning_engine
from tests.support.fort import NOW, SCHOOL, SERGEANT, Fort, site_database
from tests.support.proxy import FaultProxy
from tests.support.sites import NOON, SITE, SmallSite
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    async with Fort.opened(postgres_server) as opened:
        yield opened


def _recorder(fort: Fort, *, ledger: PostgresLedger | None = None) -> Recorder:
    return Recorder(
        fort.site,
        epoch=fort.epoch,
        sealer=fort.pen.sealer,
        ledger=ledger or fort.ledger,
        health=Health(),
    )


def _contents(*seqs: int) -> Contents:
    return Contents(drafts=[_draft(seq) for seq in seqs])


def _draft(seq: int) -> Draft:
    return Draft(
        kind=Kind.GATE_STATUS,
        at=NOW,
        seq=seq,
        tenants=(SCHOOL,) if seq % 2 else (),
        public={"gate": "front"},
        person=SERGEANT,
        personal={"number": seq},
    )


async def _bodies(fort: Fort) -> list[bytes]:
    async with PostgresReading.opened(fort.dsn) as reading:
        return [entry.body async for entry in reading.entries(fort.site, since=0)]


def _root(bodies: Sequence[bytes]) -> bytes:
    tree = Tree.empty()
    tree.append([leaf_hash(body) for body in bodies])
    return tree.root()


@asynccontextmanager
async def _heads_held(fort: Fort) -> AsyncIterator[None]:
    """Within this block no commit of the site comes to its end."""
    other = await asyncpg.connect(fort.dsn)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM tree_head WHERE site_id = $1 FOR UPDATE", fort.site)
            yield
    finally:
        await other.close()


async def test_batches_that_overlap_make_the_log_that_single_commits_make(fort: Fort):
    recorder = _recorder(fort)
    await recorder.commit(_contents(0))
    for first in range(1, 601, 100):
        await recorder.begin(_contents(*range(first, first + 100)))
    await recorder.commit(_contents(601))
    bodies = await _bodies(fort)
    assert len(bodies) == recorder.sealer.size == 602
    assert recorder.sealer.tree("site").root() == _root(bodies)
    stored = await fort.run("SELECT tree, size, root FROM tree_head WHERE site_id = $1 AND size > 0")
    heads = {name: (size, root) for name, size, root in recorder.sealer.heads() if size}
    assert {row["tree"]: (row["size"], row["root"]) for row in stored} == heads


async def test_what_is_sealed_ahead_is_committed_only_after_the_batch_before_it(fort: Fort):
    recorder = _recorder(fort)
    await recorder.commit(_contents(0))
    async with _heads_held(fort):
        first = await recorder.begin(_contents(1, 2))
        second = asyncio.create_task(recorder.begin(_contents(3, 4)))
        await _somebody_waits(fort)
        assert not first.done()
        assert not second.done(), "it waits for its predecessor"
        assert recorder.sealer.size == 1, "nothing counts that is not in the log"
    await (await second)
    assert first.done()
    assert recorder.sealer.size == 5
    assert len(await _bodies(fort)) == 5


async def test_a_commit_waits_for_what_is_under_way(fort: Fort):
    recorder = _recorder(fort)
    async with _heads_held(fort):
        first = await recorder.begin(_contents(0, 1))
        second = asyncio.create_task(recorder.commit(_contents(2)))
        await _somebody_waits(fort)
        assert not second.done()
    await second
    assert first.done()
    assert len(await _bodies(fort)) == 3


async def test_who_lost_the_site_commits_neither_batch(fort: Fort):
    recorder = _recorder(fort)
    await recorder.commit(_contents(0))
    async with _heads_held(fort):
        first = await recorder.begin(_contents(1, 2))
        second = asyncio.create_task(recorder.begin(_contents(3, 4)))
        await _somebody_waits(fort)
        await _end_waiting(fort)
        await fort.run("UPDATE site SET epoch = epoch + 1 WHERE site_id = $1")
    for lost in (first, second):
        with pytest.raises(SiteLostError):
            await lost
    assert len(await _bodies(fort)) == 1
    assert recorder.sealer.size == 1


async def test_a_database_that_goes_away_between_two_batches_loses_neither(
    fort: Fort, database_proxy: FaultProxy
):
    ledger = PostgresLedger(database_proxy.dsn(fort.dsn))
    recorder = _recorder(fort, ledger=ledger)
    await recorder.commit(_contents(0))
    await recorder.begin(_contents(1, 2))
    database_proxy.cut()
    await recorder.begin(_contents(3, 4))
    await recorder.settled()
    await ledger.close()
    bodies = await _bodies(fort)
    assert len(bodies) == 5
    assert recorder.sealer.tree("site").root() == _root(bodies)


async def _somebody_waits(fort: Fort) -> None:
    async with asyncio.timeout(10):
        while not (await fort.run(f"SELECT {_WAITS} FROM site WHERE site_id = $1"))[0][0]:
            pass


async def _end_waiting(fort: Fort) -> None:
    """End the connections that wait for a lock of this database, as a server does that is shut down."""
    await fort.run(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid), site"
        " WHERE NOT granted AND datname = current_database() AND site_id = $1"
    )


_WAITS = "EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


# -- in an engine -----------------------------------------------------------------------------------------------------


CROWD = MAX_BATCH + 100


class _Noon:
    def now(self):
        return NOON


@pytest.fixture
async def engine(postgres_server: EmbeddedPostgres) -> AsyncIterator[tuple[Engine, SmallSite]]:
    site, ledger = SmallSite(), PostgresLedger(await site_database(postgres_server))
    yield await owning_engine(site, ledger, _Noon()), site
    await ledger.close()


async def test_in_a_crowd_the_next_batch_is_decided_meanwhile_and_nothing_is_said_before_its_commit(
    engine: tuple[Engine, SmallSite], postgres_server: EmbeddedPostgres
):
    running, site = engine
    crowd = [_verified(running, site) for _ in range(CROWD)]
    dsn = await site_database(postgres_server)
    other = await asyncpg.connect(dsn)
    with capture_logs() as said:
        async with asyncio.TaskGroup() as tasks:
            running._answering = tasks
            async with other.transaction():
                await other.execute("SELECT FROM tree_head WHERE site_id = $1 FOR UPDATE", SITE)
                running._verified += crowd
                stage = tasks.create_task(running._sequence())
                await eventually(lambda: running._flow.next_seq == CROWD)
                assert not running._verified, "all are decided"
                assert [line for line in said if line["event"] == "scan"] == []
                assert running._recorder.sealer.size == 0
            await eventually(lambda: running._recorder.sealer.size == CROWD)
            await eventually(lambda: len([line for line in said if line["event"] == "scan"]) == CROWD)
            stage.cancel()
    await other.close()
    told = [line["seq"] for line in said if line["event"] == "scan"]
    assert told == sorted(told), "in the order of the log"


def _verified(engine: Engine, site: SmallSite) -> _Verified:
    sent = site.scan("front-in", "sergeant")
    arrival = Arrival(Inbound(sent.topic, sent.wire, retained=False, receipt=(0, 0)), 0.0)
    found = engine._verify(arrival, site.beacons)
    assert isinstance(found, _Verified)
    return found
