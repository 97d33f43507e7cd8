"""An engine lets go what is due between its scans, and only by the policy and the holds that are the case then."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading, migrate_site_database
from gatekeeper.core.drafting import draft_of_seed
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.writes import StoredBadge, StoredHolder, Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.badges import BadgeRecord, BadgeState
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.retention import USUAL, Kept, Retention
from gatekeeper.observe.metrics import REGISTRY
from gatekeeper.ports import Inbound, StoredDocument
from gatekeeper.service.engine import Engine
from gatekeeper.service.engine.engine import _Verified
from gatekeeper.service.engine.intake import Arrival
from gatekeeper.service.engine.recorder import Contents
from gatekeeper.service.verification.periods import periods_of
from tests.support.databases import prepare_template
from tests.support.engines import owning_engine
from tests.support.sites import (
    BADGES,
    SITE,
    SmallSite,
    compiled,
    ground,
    register_holder,
    site_document,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@dataclass
class _Hand:
    """A clock, moved by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class Running:
    """An engine of the small site whose second stage runs, and its clock."""

    engine: Engine
    site: SmallSite
    clock: _Hand
    dsn: str

    async def scan(self, who: str) -> None:
        """A scan, as the first stage leaves it for the second, until it is committed."""
        size = self.engine._recorder.sealer.size
        sent = self.site.scan("front-in", who)
        arrival = Arrival(Inbound(sent.topic, sent.wire, retained=False, receipt=(0, 0)), 0.0)
        found = self.engine._verify(arrival, self.site.beacons)
        assert isinstance(found, _Verified)
        self.engine._verified.append(found)
        self.engine._work_waits.set()
        await eventually(lambda: self.engine._recorder.sealer.size > size)

    async def log(self) -> list[dict[str, Any]]:
        async with PostgresReading.opened(self.dsn) as reading:
            return [json.loads(entry.body) async for entry in reading.entries(SITE, since=0)]

    async def parts_left(self) -> int:
        async with PostgresReading.opened(self.dsn) as reading:
            return int(await reading._connection.fetchval("SELECT count(*) FROM personal"))

    def advance(self, days: int) -> None:
        self.site.advance(days=days)
        self.clock.at = self.site.now


@pytest.fixture
async def running(
    postgres_server: EmbeddedPostgres, clone_of: Callable[[str], Awaitable[str]]
) -> AsyncIterator[Running]:
    await prepare_template(postgres_server, "migrated_without_a_site", migrate_site_database)
    dsn = await clone_of("migrated_without_a_site")
    site, ledger = SmallSite(), PostgresLedger(dsn)
    clock = _Hand(site.now)
    engine = await owning_engine(site, ledger, clock)
    async with _second_stage(engine):
        yield Running(engine, site, clock, dsn)
    await ledger.close()


@asynccontextmanager
async def _second_stage(engine: Engine) -> AsyncIterator[None]:
    stage = asyncio.create_task(engine._sequence(), name="sequence")
    try:
        yield
    finally:
        stage.cancel()
        await asyncio.gather(stage, return_exceptions=True)


def _expired(what: str) -> float:
    return REGISTRY.get_sample_value("gatekeeper_expired_total", {"what": what}) or 0.0


async def test_an_engine_lets_go_what_is_due_and_goes_on_deciding(running: Running):
    before = _expired("personal")
    await running.scan("sergeant")
    await running.scan("pupil")
    running.advance(days=179)
    await running.engine._expiry().sweep()
    assert await running.parts_left() == 2
    running.advance(days=2)
    await running.scan("private")
    await running.engine._expiry().sweep()
    await running.scan("teacher")
    log = await running.log()
    kinds = [(body["kind"], body.get("what"), body.get("tenant")) for body in log]
    assert kinds == [
        ("access.granted", None, "army"),
        ("access.granted", None, "school"),
        ("access.denied", None, "army"),
        ("data.expired", "personal", "army"),
        ("data.expired", "personal", "school"),
        ("access.denied", None, "school"),
    ]
    assert [body["seq"] for body in log] == list(range(len(log)))
    assert {body["policy"] for body in log if body["kind"] == "data.expired"} == {
        running.engine._flow.policy.version.hex()
    }
    assert _expired("personal") == before + 2


async def test_a_hold_that_is_placed_after_a_batch_was_found_keeps_it(running: Running):
    await running.scan("sergeant")
    await running.scan("pupil")
    running.advance(days=200)
    flow = running.engine._flow
    found = running.engine._bring_expiry

    async def place_first(batch: Any) -> bool:
        flow.holds = frozenset({"holder:sergeant"})
        return await found(batch)

    running.engine._bring_expiry = place_first  # type: ignore[method-assign]
    await running.engine._expiry().sweep()
    assert await running.parts_left() == 2
    assert all(body["kind"] != "data.expired" for body in await running.log())
    await running.engine._expiry().sweep()
    assert await running.parts_left() == 1


async def test_a_policy_that_keeps_for_longer_counts_at_once(running: Running):
    await running.scan("sergeant")
    running.advance(days=200)
    flow = running.engine._flow
    longer = Retention(site=USUAL | {Kept.PERSONAL: timedelta(days=365)})
    flow.policy = replace(flow.policy, retention=longer, version=bytes(32))
    await running.engine._expiry().sweep()
    assert await running.parts_left() == 1


async def test_what_is_gone_when_its_turn_comes_costs_no_number_and_no_entry(running: Running):
    await running.scan("sergeant")
    running.advance(days=200)
    bring = running.engine._bring_expiry

    async def spoil_first(batch: Any) -> bool:
        spoilt = replace(batch.doomed, rows=(0, 1))
        spoilt = replace(spoilt, expired=replace(spoilt.expired, count=2))
        return await bring(replace(batch, doomed=spoilt))

    running.engine._bring_expiry = spoil_first  # type: ignore[method-assign]
    await running.engine._expiry().sweep()
    await running.scan("pupil")
    del running.engine._bring_expiry
    await running.engine._expiry().sweep()
    log = await running.log()
    assert [body["seq"] for body in log] == list(range(len(log)))
    assert await running.parts_left() == 1


async def _entered(running: Running) -> None:
    """Everybody of the small site in the database, as their registrations say until the first of December."""
    site, register = running.site, running.site.flow.register
    holders = [
        StoredHolder(record=record, tenant=tenant, name=b"", badges=site.holders[record.id].badges)
        for record, tenant in register.holders()
    ]
    badges = [
        StoredBadge(
            record=BadgeRecord(id=badge.badge.id, token=badge.token, state=BadgeState.ACTIVE),
            tenant=badge.badge.tenant,
            holder=HolderId(name),
            card=badge.badge.card,
        )
        for name, badge in BADGES.items()
    ]
    draft = draft_of_seed({"day": "2026-06-03"}, at=site.now, seq=running.engine._flow.next_seq)
    running.engine._flow.next_seq += 1
    writes = Writes(holders=holders, badges=badges)
    await running.engine._recorder.commit(Contents(drafts=[draft], writes=writes))


async def _holders(running: Running) -> set[str]:
    loaded = await running.engine._parts.ledger.load(SITE, epoch=running.engine._epoch)
    assert {badge.holder for badge in loaded.badges} == {holder.record.id for holder in loaded.holders}
    assert {presence.holder for presence in loaded.presences} <= {badge.holder for badge in loaded.badges}
    return {holder.record.id for holder in loaded.holders}


async def test_registrations_go_when_they_have_been_over_for_their_period_and_their_badges_with_them(
    running: Running,
):
    await _entered(running)
    await running.scan("sergeant")
    flow = running.engine._flow
    flow.policy = replace(
        flow.policy,
        retention=Retention(tenants={TenantId("school"): {Kept.VISITORS: timedelta(days=7)}}),
    )
    running.advance(days=(datetime(2026, 12, 1, tzinfo=UTC) - running.site.now).days + 9)
    await running.engine._expiry().sweep()
    assert await _holders(running) == set(BADGES) - {"pupil"}
    flow.holds = frozenset({"holder:private"})
    running.advance(days=180)
    await running.engine._expiry().sweep()
    assert await _holders(running) == {"private"}
    assert [record.id for record, _ in flow.register.holders()] == ["private"]
    assert dict(flow.whereabouts) == {}
    said = [
        {name: body.get(name) for name in ("what", "tenant", "count")}
        for body in await running.log()
        if body["kind"] == "data.expired" and body["what"] in {"visitors", "people"}
    ]
    assert said == [
        {"what": "visitors", "tenant": "school", "count": 1},
        {"what": "people", "tenant": "army", "count": 1},
        {"what": "people", "tenant": "school", "count": 2},
        {"what": "people", "tenant": "club", "count": 1},
    ]
    await running.scan("sergeant")
    assert (await running.log())[-1]["reason"] == "denied-unknown-credential"


async def test_a_registration_that_is_renewed_after_it_was_found_stays(running: Running):
    await _entered(running)
    running.advance(days=400)
    flow, bring = running.engine._flow, running.engine._bring_expiry
    document = register_holder(replace(running.site.holders["member"], version=2))

    async def renew_first(batch: Any) -> bool:
        if "member" in batch.doomed.registrations:
            record = HolderRecord(id=HolderId("member"), document=document)
            flow.register.put_holder(record, tenant=TenantId("club"), badges=())
        return await bring(batch)

    running.engine._bring_expiry = renew_first  # type: ignore[method-assign]
    await running.engine._expiry().sweep()
    assert "member" in await _holders(running)


async def test_a_database_that_cannot_be_looked_through_stops_nothing(
    running: Running,
):
    """Whatever breaks the search: it is said, what was found before went, and the engine goes on."""
    await running.scan("sergeant")
    running.advance(days=200)
    async with PostgresReading.opened(running.dsn) as reading:
        await reading._connection.execute("DROP TABLE log_start")
    with capture_logs() as said:
        await running.engine._expiry().attempt()
    assert [line["event"] for line in said] == ["not expired"]
    assert await running.parts_left() == 0
    await running.scan("pupil")


def test_the_periods_of_every_policy_are_known_by_its_version(site_of_two_policies: list[StoredDocument]):
    anchor, policy = ground().anchor, ground().policy
    periods = periods_of(site_of_two_policies, anchor=anchor)
    assert periods[policy.version.hex()] == policy.retention
    assert sorted(one.period(Kept.PERSONAL, None).days for one in periods.values()) == [90, 180]
    assert periods_of([replace(one, content=b"") for one in site_of_two_policies], anchor=anchor) == {}


@pytest.fixture
def site_of_two_policies() -> list[StoredDocument]:
    shorter, _ = compiled({**site_document(), "retention": {"personal_days": 90}}, trust=ground().trust)
    return [
        StoredDocument(kind="policy", seq=7, content=shorter),
        StoredDocument(kind="policy", seq=0, content=ground().policy_source),
        StoredDocument(kind="trust", seq=0, content=ground().trust.document),
    ]
