"""The integrity watch: who alters the log is told of while the engine runs, by the place, and once."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import structlog.testing
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatekeeper import cose
from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.postgres import (
    PostgresLedger,
    PostgresReading,
    PostgresStoredTrees,
    migrate_site_database,
)
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.core.audit import Draft, Kind
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.observe.metrics import metrics
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.integrity import IntegrityWatch
from gatekeeper.service.integrity.walk import Walk
from gatekeeper.transparency.comparing import Mismatch, Part
from tests.contract import an_engine
from tests.contract.entry_schemas import faults
from tests.contract.vector_site import SITE
from tests.contract.whole_log import founding
from tests.support.checkpoints import LOG_KEY, sign_heads, verifier_of
from tests.support.databases import temporary_database
from tests.support.fort import ARMY, SCHOOL, Fort
from tests.support.gone import let_bodies_go
from tests.support.proxy import FaultProxy

pytestmark = pytest.mark.integration


@pytest.fixture
async def fort(postgres_server: EmbeddedPostgres) -> AsyncIterator[Fort]:
    """A log of 700 entries, 300 of them also the army's, under checkpoints at 300 and 700."""
    async with Fort.opened(postgres_server) as fort:
        await fort.commit(fort.pen.write(300, tenants=(ARMY, SCHOOL)))
        await sign_heads(fort)
        await fort.commit(fort.pen.write(400, tenants=(SCHOOL,)))
        await sign_heads(fort)
        yield fort


async def _walked(fort: Fort) -> set[str]:
    """What one round says, each as `tree part level/index`."""
    async with PostgresStoredTrees.opened(fort.dsn) as stored:
        walk = await Walk.begun(fort.site, stored, verifiers=lambda tree: [verifier_of(fort.site, tree)])
        found = set()
        while (step := await walk.step()) is not None:
            found |= {_said(one.tree, one.mismatch) for one in step.found}
    return found


def _said(tree: str, wrong: Mismatch) -> str:
    place = f"{wrong.level}/{wrong.index}" if wrong.part is Part.TILE else f"{wrong.index}"
    return f"{tree} {wrong.part.value} {place}"


# -- one round --------------------------------------------------------------------------------------------------------


async def test_a_sound_log_is_passed_in_silence(fort: Fort):
    assert await _walked(fort) == set()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257])
async def test_a_sound_log_of_any_size_is_passed_in_silence(size: int, postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as fort:
        if size:
            await fort.commit(fort.pen.write(size))
            await sign_heads(fort)
        assert await _walked(fort) == set()


async def test_a_log_that_grows_while_it_is_walked_is_passed_in_silence(fort: Fort):
    async with PostgresStoredTrees.opened(fort.dsn) as stored:
        walk = await Walk.begun(fort.site, stored, verifiers=lambda tree: [verifier_of(fort.site, tree)])
        while (step := await walk.step()) is not None:
            assert step.found == ()
            await fort.commit(fort.pen.write(100, tenants=(SCHOOL, ARMY)))
            await sign_heads(fort)
    assert walk.position == 700 + 300 + 700, "what came meanwhile is for the next round"


_SWAP = """
    UPDATE entry SET body = other.body FROM entry AS other
    WHERE entry.site_id = $1 AND other.site_id = $1 AND (entry.seq, other.seq) IN ((320, 321), (321, 320))
"""
TAMPERINGS: dict[str, tuple[str, set[str]]] = {
    "a body altered": (
        "UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 320",
        {
            "site entry 320",
            "site checkpoint 700",
            "tenant:school entry 320",
            "tenant:school checkpoint 700",
        },
    ),
    "a body altered in the last, incomplete tile": (
        "UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 699",
        {"site checkpoint 700", "tenant:school checkpoint 700"},
    ),
    "a body deleted": (
        "DELETE FROM entry WHERE site_id = $1 AND seq = 320",
        {"site entry 320", "tenant:school entry 320"},
    ),
    "the last body deleted": (
        "DELETE FROM entry WHERE site_id = $1 AND seq = 699",
        {"site entry 699", "tenant:school entry 699"},
    ),
    "two bodies swapped": (
        _SWAP,
        {
            *(f"{tree} entry {seq}" for tree in ("site", "tenant:school") for seq in (320, 321)),
            "site checkpoint 700",
            "tenant:school checkpoint 700",
        },
    ),
    "a body once more": (
        (
            "INSERT INTO entry (site_id, seq, at, kind, body)"
            " SELECT site_id, seq, at + interval '1 microsecond', kind, body FROM entry WHERE site_id = $1 AND seq = 42"
        ),
        {"site entry 42"},
    ),
    "an entry taken out of a tenant's tree": (
        "UPDATE entry SET tenant = NULL, tenant_index = NULL WHERE site_id = $1 AND seq = 42",
        {"tenant:army entry 42"},
    ),
    "an entry filed at another place of its tenant": (
        "UPDATE entry SET tenant_index = 43 WHERE site_id = $1 AND seq = 42",
        {"tenant:army entry 42", "tenant:army entry 43"},
    ),
    "a tile altered in one place": (
        (
            "UPDATE tile SET hashes = set_byte(hashes, 0, 255 - get_byte(hashes, 0))"
            " WHERE site_id = $1 AND tree = 'site' AND index = 1"
        ),
        {"site entry 256"},
    ),
    "a tile emptied": (
        "UPDATE tile SET hashes = decode(repeat('00', 8192), 'hex') WHERE site_id = $1 AND tree = 'site' AND index = 1",
        {"site tile 0/1"},
    ),
    "a tile deleted": (
        "DELETE FROM tile WHERE site_id = $1 AND tree = 'site' AND index = 1",
        {"site tile 0/1"},
    ),
    "a head's root altered": (
        "UPDATE tree_head SET root = decode(repeat('00', 32), 'hex') WHERE site_id = $1 AND tree = 'tenant:army'",
        {"tenant:army head 300"},
    ),
    "a head moved back": (
        "UPDATE tree_head SET size = 400 WHERE site_id = $1 AND tree = 'site'",
        {"site head 400", "site checkpoint 700"},
    ),
    "a head moved on": (
        "UPDATE tree_head SET size = 701 WHERE site_id = $1 AND tree = 'site'",
        {"site entry 700"},
    ),
    "a checkpoint of another root": (
        (
            "UPDATE checkpoint SET root = decode(repeat('00', 32), 'hex')"
            " WHERE site_id = $1 AND tree = 'site' AND size = 300"
        ),
        {"site checkpoint 300"},
    ),
    "a checkpoint that is no note": (
        "UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1 AND tree = 'tenant:army' AND size = 300",
        {"tenant:army checkpoint 300"},
    ),
}


@pytest.mark.parametrize(("tamper", "said"), TAMPERINGS.values(), ids=TAMPERINGS)
async def test_who_tampers_is_found_by_the_place(tamper: str, said: set[str], fort: Fort):
    await fort.run(tamper)
    assert await _walked(fort) == said


@pytest.mark.parametrize("before", [10, 256, 280, 300, 600])
async def test_bodies_whose_period_was_over_are_not_missed(before: int, fort: Fort):
    await let_bodies_go(fort, before)
    assert await _walked(fort) == set()


@pytest.mark.parametrize("before", [280, 600])
async def test_of_a_log_whose_first_bodies_are_gone_the_rest_is_watched_over_as_before(
    before: int, fort: Fort
):
    await let_bodies_go(fort, before)
    await fort.run("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 650")
    await fort.run("DELETE FROM entry WHERE site_id = $1 AND seq = 660")
    assert {"site entry 660", "tenant:school entry 660"} <= await _walked(fort)


async def test_a_body_that_goes_while_its_bundle_is_looked_at_is_not_missed(fort: Fort):
    """The deletion and what is said of it are one commit; between two questions of a step it may come."""

    class Late(PostgresStoredTrees):
        async def bodies(self, *place: Any, **bounds: Any) -> Any:
            if bounds["first"] == 256 and place[1] == "site":
                await let_bodies_go(fort, 280)
            return await super().bodies(*place, **bounds)

    async with Late.opened(fort.dsn) as stored:
        walk = await Walk.begun(fort.site, stored, verifiers=lambda tree: [verifier_of(fort.site, tree)])
        while (step := await walk.step()) is not None:
            assert step.found == ()


async def test_a_tile_above_the_lowest_is_held_against_what_lies_below(postgres_server: EmbeddedPostgres):
    async with Fort.opened(postgres_server) as fort:
        for _ in range(32):
            await fort.commit(fort.pen.write(2048, tenants=()))
        await sign_heads(fort)
        assert await _walked(fort) == set()
        await fort.run(
            "UPDATE tile SET hashes = set_byte(hashes, 100, 255 - get_byte(hashes, 100)) WHERE site_id = $1 AND level = 1"
        )
        assert await _walked(fort) == {"site tile 1/0"}


# -- round after round ------------------------------------------------------------------------------------------------


class _Owner:
    """What an engine offers to the watch: whom the site believes, and a way into the log."""

    def __init__(self, fort: Fort) -> None:
        spki = LOG_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = cose.KeyRecord.of(spki, algorithm=cose.Algorithm.ED25519, use="log", owner=fort.site)
        self.flow: Any = SimpleNamespace(
            trust=SimpleNamespace(site=fort.site, log_keys=(key,)),
            policy=SimpleNamespace(tenants={ARMY, SCHOOL}),
        )
        self.drafts: list[Draft] = []

    async def record(self, draft: Draft) -> None:
        self.drafts.append(draft)

    @property
    def said(self) -> list[str]:
        return [
            " ".join(str(draft.public[field]) for field in ("tree", "part", "level", "index"))
            for draft in self.drafts
        ]


class _Turns:
    """Time as the watch sees it: every pause is over at once, but between two rounds it waits to be told."""

    def __init__(self, between: Callable[[], object] | None = None) -> None:
        self.pauses: list[float] = []
        self._between = between
        self._rounds = 0
        self._over, self._again = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self._between is not None and 0 < seconds < 1:  # when it has just asked the database
            self._between()
        if seconds > 30:
            self._over.release()
            await self._again.acquire()
        await asyncio.sleep(0)

    async def round(self) -> None:
        """Let the next round begin, and wait until it ended; the first begins by itself."""
        if self._rounds:
            self._again.release()
        self._rounds += 1
        async with asyncio.timeout(30):
            await self._over.acquire()


@asynccontextmanager
async def _watching(
    fort: Fort, owner: _Owner, turns: _Turns, *, rate: float = 1e9, dsn: str = ""
) -> AsyncIterator[None]:
    async with PostgresStoredTrees.opened(dsn or fort.dsn) as stored, asyncio.TaskGroup() as tasks:
        watch = IntegrityWatch(
            site=fort.site, stored=stored, clock=SystemClock(), rate=rate, pause=turns.pause
        )
        task = tasks.create_task(watch.run(owner))
        yield
        task.cancel()


async def test_a_place_is_told_once_however_often_it_is_passed(fort: Fort):
    owner, turns = _Owner(fort), _Turns()
    alarms = metrics.alarm("log-altered")._value.get()
    async with _watching(fort, owner, turns):
        await turns.round()
        assert owner.drafts == []
        await fort.run(
            "UPDATE tile SET hashes = decode(repeat('00', 8192), 'hex') WHERE site_id = $1 AND index = 0"
        )
        with structlog.testing.capture_logs() as lines:
            await turns.round()
            await turns.round()
    assert owner.said == ["site tile 0 0", "tenant:army tile 0 0", "tenant:school tile 0 0"]
    assert [draft.tenants for draft in owner.drafts] == [(), (ARMY,), (SCHOOL,)]
    assert {draft.kind for draft in owner.drafts} == {Kind.LOG_MISMATCH}
    assert metrics.alarm("log-altered")._value.get() - alarms == 3
    assert next(line for line in lines if line["event"] == "alarm") == {
        "event": "alarm",
        "log_level": "error",
        "code": "log-altered",
        "site": fort.site,
        "tree": "site",
        "part": "tile",
        "tile_level": 0,
        "index": 0,
    }


async def test_a_log_that_was_altered_everywhere_fills_neither_itself_nor_the_memory(fort: Fort):
    await fort.run("UPDATE checkpoint SET note = 'trust me' WHERE site_id = $1")
    await fort.run(
        "INSERT INTO checkpoint SELECT site_id, tree, number, root, note, at FROM checkpoint, generate_series(301, 699) AS number"
        " WHERE site_id = $1 AND size = 300 AND tree <> 'tenant:army'"
    )
    owner, turns = _Owner(fort), _Turns()
    async with _watching(fort, owner, turns):
        await turns.round()
    assert len(owner.drafts) == 64
    assert metrics.watch_mismatches._value.get() == 2 * 401 + 1


async def test_the_pace_is_that_of_the_setting_and_a_signature_counts_for_many_entries(fort: Fort):
    turns = _Turns()
    async with _watching(fort, _Owner(fort), turns, rate=100.0):
        await turns.round()
    steps = turns.pauses[:-1]
    assert sum(steps) == pytest.approx((1700 + 32 * 5) / 100)
    assert max(steps) == pytest.approx((256 + 32) / 100)
    assert 59 < turns.pauses[-1] <= 60


async def test_the_metrics_tell_how_far_a_round_is_and_how_long_it_took(fort: Fort):
    rounds, turns = metrics.watch_rounds._value.get(), _Turns()
    async with _watching(fort, _Owner(fort), turns):
        await turns.round()
        await turns.round()
    assert metrics.watch_rounds._value.get() - rounds == 2
    assert metrics.watch_position._value.get() == 1700
    assert 0 < metrics.watch_round_seconds._value.get() < 60


async def test_a_round_goes_on_where_it_was_when_the_database_is_back(fort: Fort, database_proxy: FaultProxy):
    await fort.run("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 320")
    owner, turns = _Owner(fort), _Turns(between=database_proxy.cut)
    async with _watching(fort, owner, turns, dsn=database_proxy.dsn(fort.dsn)):
        await turns.round()
    said = {said.replace(" 0 ", " ") for said in owner.said}
    assert said == TAMPERINGS["a body altered"][1]
    assert turns.pauses.count(1.0) > 5, "it was cut off before every step"
    assert metrics.watch_position._value.get() == 1700


async def test_a_row_that_nobody_foresaw_ends_the_round_and_not_the_watch(fort: Fort):
    owner, turns = _Owner(fort), _Turns()
    trust, owner.flow.trust = owner.flow.trust, None
    async with _watching(fort, owner, turns):
        with structlog.testing.capture_logs() as lines:
            await turns.round()
        assert [line["event"] for line in lines] == ["integrity watch failed"]
        owner.flow.trust = trust
        rounds = metrics.watch_rounds._value.get()
        await turns.round()
        assert metrics.watch_rounds._value.get() - rounds == 1


# -- beside an engine -------------------------------------------------------------------------------------------------


async def test_what_the_watch_finds_an_engine_commits_as_an_entry_that_the_schema_allows(
    postgres_server: EmbeddedPostgres,
):
    async with temporary_database(postgres_server) as dsn, temporary_database(postgres_server) as vault_dsn:
        await migrate_site_database(dsn)
        vault = PostgresKeyVault(vault_dsn)
        await vault.migrate()
        opening = PostgresLedger(dsn)
        await open_site(founding(), ledger=opening, vault=vault, now=datetime.now(UTC))
        await opening.close()
        async with PostgresStoredTrees.opened(dsn) as stored, PostgresReading.opened(dsn) as reading:
            ledger, turns = PostgresLedger(dsn), _Turns()
            engine = an_engine.engine(ledger, vault)
            engine._epoch = await engine._claim()
            await engine._load(await ledger.load(SITE, epoch=engine._epoch))
            await engine._begin()
            size = await reading.size(SITE)
            await _as_superuser(
                dsn, "UPDATE tree_head SET root = decode(repeat('00', 32), 'hex') WHERE tree <> 'site'"
            )
            watch = IntegrityWatch(site=SITE, stored=stored, clock=SystemClock(), rate=1e9, pause=turns.pause)
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(engine._sequence()), tasks.create_task(watch.run(engine))]
                await turns.round()
                for task in beside:
                    task.cancel()
            await ledger.close()
            bodies = [json.loads(entry.body) async for entry in reading.entries(SITE, since=size)]
    assert bodies
    assert {body["kind"] for body in bodies} == {"log.mismatch"}
    for number, body in enumerate(bodies):
        assert faults("entry", body) == []
        assert body["seq"] == size + number
        assert body["trees"].keys() == {"site", body["tree"]}, "the tenant whose tree it is reads of it"


async def _as_superuser(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
