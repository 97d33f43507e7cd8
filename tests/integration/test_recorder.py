"""The recorder: a batch sealed while another is committed goes in after it, and is nothing without it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg
import pytest

from gatekeeper import cose
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading, migrate_site_database
from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.change import GuardChange
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.messages import DECISION_TYPE, Answer, Verdict
from gatekeeper.observe.health import Health
from gatekeeper.ports import Inbound, SiteLostError, StoredChange
from gatekeeper.service.engine import Engine
from gatekeeper.service.engine.engine import MAX_BATCH, _Verified
from gatekeeper.service.engine.intake import Arrival
from gatekeeper.service.engine.recorder import Contents, Recorder
from gatekeeper.transparency import Tree, leaf_hash
from tests.support.databases import prepare_template
from tests.support.engines import owning_engine
from tests.support.fort import NOW, SCHOOL, SERGEANT, Fort
from tests.support.proxy import FaultProxy
from tests.support.sites import NOON, SITE, Sent
from tests.support.waiting import eventually
from tests.support.watched import Watched

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


class _Spoken(MqttSession):
    """A session without a link; it notes what it was to publish."""

    def __init__(self) -> None:
        super().__init__(
            url="mqtt://127.0.0.1:1", client_id="t", session_expiry=timedelta(0), receive_maximum=8
        )
        self.said: list[bytes] = []

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        self.said.append(payload)
        return super().publish(topic, payload, qos=qos, retain=retain)


@dataclass
class _Running:
    """An engine without a broker, and what stands around it."""

    engine: Engine
    site: Watched
    dsn: str
    spoken: _Spoken

    def verified(self, sent: Sent) -> _Verified:
        arrival = Arrival(Inbound(sent.topic, sent.wire, retained=False, receipt=(0, 0)), 0.0)
        found = self.engine._verify(arrival, self.site.beacons)
        assert isinstance(found, _Verified)
        return found

    def crowd(self, number: int) -> list[_Verified]:
        """So many scans at another gate, of one who may not go in."""
        return [self.verified(self.site.scan("armoury-in", "pupil")) for _ in range(number)]

    @property
    def committed(self) -> int:
        return self.engine._recorder.sealer.size

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            self.engine._answering = tasks
            stage = tasks.create_task(self.engine._sequence())
            yield
            stage.cancel()

    @asynccontextmanager
    async def commits_held(self) -> AsyncIterator[None]:
        other = await asyncpg.connect(self.dsn)
        try:
            async with other.transaction():
                await other.execute("SELECT FROM tree_head WHERE site_id = $1 FOR UPDATE", SITE)
                yield
        finally:
            await other.close()


@pytest.fixture
async def running(
    postgres_server: EmbeddedPostgres, clone_of: Callable[[str], Awaitable[str]]
) -> AsyncIterator[_Running]:
    await prepare_template(postgres_server, "migrated_without_a_site", migrate_site_database)
    dsn = await clone_of("migrated_without_a_site")
    site, ledger = Watched(), PostgresLedger(dsn)
    engine, spoken = await owning_engine(site, ledger, _Noon()), _Spoken()
    engine._parts = replace(engine._parts, transport=spoken)
    yield _Running(engine, site, dsn, spoken)
    await ledger.close()


async def test_in_a_crowd_the_next_batch_is_decided_meanwhile_and_nothing_is_said_before_its_commit(
    running: _Running,
):
    crowd = running.crowd(CROWD)
    async with running.serving():
        async with running.commits_held():
            running.engine._verified += crowd
            running.engine._work_waits.set()
            await eventually(lambda: running.engine._flow.next_seq == CROWD)
            assert not running.engine._verified, "all are decided"
            assert (running.spoken.said, running.committed) == ([], 0)
        await eventually(lambda: len(running.spoken.said) == CROWD)
        assert running.committed == CROWD
    entries = [_answer(wire).entry for wire in running.spoken.said]
    assert entries == list(range(CROWD)), "in the order of the log"


async def test_a_guards_yes_is_not_said_with_what_was_asked_again_before_it_is_in_the_log(running: _Running):
    """A gate repeats a scan that waits, in a crowd; the guard's word comes while that crowd is being committed."""
    scan = running.site.scan("front-in", "sergeant")
    async with running.serving():
        running.engine._verified.append(running.verified(scan))
        running.engine._work_waits.set()
        await eventually(lambda: len(running.spoken.said) == 1)
        (waiting,) = running.spoken.said
        crowd = [running.verified(scan), *running.crowd(MAX_BATCH - 1)]
        async with running.commits_held():
            running.engine._verified += crowd
            running.engine._work_waits.set()
            await eventually(lambda: running.engine._flow.next_seq == MAX_BATCH)
            yes = running.site.change(GuardChange(entry=0, yes=True), change_id=bytes(16))
            running.engine._changes = [StoredChange(id=bytes(16), document=yes, name=None)]
            running.engine._work_waits.set()
            await eventually(lambda: running.engine._flow.next_seq > MAX_BATCH)
            assert running.spoken.said == [waiting]
        await eventually(lambda: len(running.spoken.said) == 1 + MAX_BATCH + 1)
    again = running.spoken.said[1:-1]
    granted = _answer(running.spoken.said[-1])
    assert waiting in again, "it is answered as it was when its batch was sealed"
    assert (granted.verdict, granted.message) == (Verdict.GRANTED, hashlib.sha256(scan.wire).digest())
    assert running.spoken.said[-1] not in again


def _answer(wire: bytes) -> Answer:
    parsed = cose.parse(wire, typ=DECISION_TYPE)
    assert isinstance(parsed, cose.Parsed)
    answer = Answer.read(parsed.payload)
    assert isinstance(answer, Answer)
    return answer
