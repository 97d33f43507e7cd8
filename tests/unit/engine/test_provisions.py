"""Gates are brought what they need to be alone: what takes rights away at once, what gives them when it is made, all of it again after a loss."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from structlog.testing import capture_logs

from devices.core.knowledge import Knowledge
from gatekeeper import cose
from gatekeeper.core.flow import Flow
from gatekeeper.core.trust import KeyState
from gatekeeper.cose.status_list import INVALID, VALID
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import GateId
from gatekeeper.model.policy import Policy
from gatekeeper.model.snapshot import SNAPSHOT_BOUNDS, Snapshot, Standing
from gatekeeper.model.topics import PREFIX, Channel, gate_topic, standing_topic, trust_topic
from gatekeeper.service.engine import provisions as module
from gatekeeper.service.engine.provisions import Provisions
from tests.contract import left_alone
from tests.contract.vector_site import (
    FRONT,
    NOON,
    SCHOOL,
    SHED_READER,
    SITE,
    fresh_flow,
    key_of,
    people,
    trust,
)
from tests.support.waiting import eventually

STANDING, TRUST = standing_topic(SITE), trust_topic(SITE)
GATES = sorted(left_alone.policy().gates)


def policy_topic(gate: GateId = FRONT) -> str:
    return gate_topic(SITE, gate, Channel.POLICY)


class Broker:
    """The port to a broker that may be away or crowded: what it retains, and every message in its order."""

    def __init__(self) -> None:
        self.here = True
        self.takes = 1 << 30
        self.retained: dict[str, bytes] = {}
        self.sent: list[tuple[str, bytes]] = []
        self._something = asyncio.Event()

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        assert (qos, retain) == (0, True)
        self._something.set()
        if not self.here or len(payload) > self.takes:
            return False
        self.retained[topic] = payload
        self.sent.append((topic, payload))
        return True

    async def until(self, so: Callable[[], bool]) -> None:
        """Until it is so, after something was published."""
        async with asyncio.timeout(20):
            while not so():
                self._something.clear()
                await self._something.wait()

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.sent]

    # -- what a gate makes of it --------------------------------------------------------------------------------------

    def gate(self, name: GateId = FRONT) -> Knowledge:
        """A gate that hears what is retained now."""
        knowledge = Knowledge(gate=name, trust=trust())
        if self.retained.get(policy_topic(name)):
            assert knowledge.take_snapshot(self.retained[policy_topic(name)]) is None
        if STANDING in self.retained:
            assert knowledge.take_standing(self.retained[STANDING]) is None
        return knowledge

    def standing(self) -> Standing:
        found = self.gate().standing
        assert found is not None
        return found

    def snapshot(self, name: GateId = FRONT) -> Snapshot | None:
        return self.gate(name).snapshot

    def is_provided(self) -> bool:
        """Whether every gate holds the snapshot that counts."""
        if not {STANDING, TRUST, *map(policy_topic, GATES)} <= self.retained.keys():
            return False
        named, held = self.standing().snapshots, {gate: self.snapshot(gate) for gate in GATES}
        return all(one is not None and named.get(gate) == one.version for gate, one in held.items())


class Clock:
    """The service's clock, moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses; a minute and an hour stay what they are."""
    for pause in ("_SETTLED_AFTER", "_APART", "_AGAIN_AFTER", "_TOLD_TOGETHER"):
        monkeypatch.setattr(module, pause, timedelta(milliseconds=1))


@pytest.fixture
def flow() -> Flow:
    flow = fresh_flow()
    flow.adopt(left_alone.policy(), source=b"", trust=trust())
    return flow


@asynccontextmanager
async def providing(broker: Broker, flow: Flow, clock: Clock | None = None) -> AsyncIterator[Provisions]:
    provisions = Provisions(
        site=SITE,
        key=key_of("decision"),
        prefix=PREFIX,
        transport=broker,  # type: ignore[arg-type]
        clock=clock or Clock(),
    )
    provisions.changed(flow)
    running = asyncio.create_task(provisions.run())
    try:
        yield provisions
        assert not running.done()
    finally:
        running.cancel()


def revoke(flow: Flow, name: str) -> None:
    badge = people()[name].badge.id
    assert flow.register.set_state(badge, BadgeState.REVOKED)
    flow.next_seq += 1


async def test_every_gate_gets_trust_list_standing_and_its_own_snapshot(flow: Flow):
    broker = Broker()
    async with providing(broker, flow):
        await broker.until(broker.is_provided)
    assert broker.retained[TRUST] == flow.trust.document
    front, shed = broker.snapshot(), broker.snapshot(SHED_READER)
    assert front is not None
    assert shed is not None
    assert front.find(people()["sergeant"].badge.id) is not None
    assert (len(front.cards), len(shed.cards)) == (0, 1)
    assert (front.version, front.issued, front.alert) == (flow.next_seq, NOON, 0)


async def test_what_takes_a_right_away_is_said_at_once_and_before_any_snapshot(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        broker.sent.clear()
        revoke(flow, "pupil")
        provisions.changed(flow)
        await broker.until(lambda: STANDING in broker.topics())
        assert policy_topic() not in broker.topics()
        index = people()["pupil"].badge.status_index
        assert index is not None
        assert broker.gate().statuses[SCHOOL].status(index) == INVALID
        assert broker.standing().version == flow.next_seq
        await broker.until(broker.is_provided)
        front = broker.snapshot()
    assert front is not None
    assert front.find(people()["pupil"].badge.id) is None


async def test_while_a_snapshot_is_made_anew_none_is_prolonged(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        broker.sent.clear()
        revoke(flow, "pupil")
        provisions.changed(flow)
        await broker.until(lambda: STANDING in broker.topics())
        first = Knowledge(gate=FRONT, trust=trust())
        assert (
            first.take_standing(broker.sent[0][1] if broker.sent[0][0] == STANDING else broker.sent[1][1])
            is None
        )
        assert first.standing is not None
        assert first.standing.snapshots == {}


async def test_alert_state_lockdowns_and_suspensions_are_said(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        flow.alert, flow.lockdowns, flow.suspended = 1, frozenset({"zone:yard"}), frozenset({SCHOOL})
        flow.next_seq += 1
        provisions.changed(flow)
        await broker.until(lambda: broker.standing().alert == 1)
        assert broker.standing().lockdowns == {"zone:yard"}
        assert broker.standing().suspended == {SCHOOL}
        await broker.until(lambda: broker.is_provided() and _alert(broker) == 1)


def _alert(broker: Broker) -> int | None:
    front = broker.snapshot()
    return front.alert if front is not None else None


async def test_a_release_that_is_not_committed_yet_is_told_to_no_gate(flow: Flow):
    """The engine has made the release in the flow, and waits for a database that is away."""
    flow.lockdowns = frozenset({"site"})
    broker, clock = Broker(), Clock()
    async with providing(broker, flow, clock) as provisions:
        await broker.until(broker.is_provided)
        flow.lockdowns = frozenset()
        broker.sent.clear()
        clock.at += timedelta(minutes=1)
        provisions.link_up()
        await broker.until(lambda: STANDING in broker.topics())
        assert (broker.standing().lockdowns, broker.standing().issued) == ({"site"}, clock.at)
        flow.next_seq += 1
        provisions.changed(flow)
        await broker.until(lambda: broker.standing().lockdowns == frozenset())
        assert broker.standing().version == flow.next_seq


async def test_what_is_made_of_a_change_that_is_not_committed_yet_is_thrown_away_and_made_again(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    broker, whole, made = Broker(), Provisions._made, []

    def _while_somebody_is_revoked(self: Provisions, *arguments: object) -> list[Snapshot]:
        if not made:
            revoke(flow, "pupil")
        made.append(whole(self, *arguments))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(Provisions, "_made", _while_somebody_is_revoked)
    async with providing(broker, flow) as provisions:
        await eventually(lambda: bool(made))
        before = broker.standing().version
        assert policy_topic() not in broker.retained
        provisions.changed(flow)
        await broker.until(broker.is_provided)
    assert broker.standing().version == flow.next_seq == before + 1
    front = broker.snapshot()
    assert front is not None
    assert front.find(people()["pupil"].badge.id) is None


async def test_a_revocation_that_comes_between_is_in_the_status_lists_before_anything_is_said(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    broker, whole, made = Broker(), Provisions._signed_statuses, []

    def _while_somebody_is_revoked(self: Provisions, of: Flow) -> object:
        found = whole(self, of)
        if not made:
            revoke(flow, "pupil")
        made.append(found)
        return found

    monkeypatch.setattr(Provisions, "_signed_statuses", _while_somebody_is_revoked)
    index = people()["pupil"].badge.status_index
    assert index is not None
    async with providing(broker, flow) as provisions:
        await eventually(lambda: bool(made))
        assert not any(wire for _, wire in broker.sent), "nothing but cleared topics"
        provisions.changed(flow)
        await broker.until(lambda: STANDING in broker.topics())
        assert broker.gate().statuses[SCHOOL].status(index) == INVALID


async def test_the_standing_is_said_every_minute_and_nothing_else(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_SAID_EVERY", timedelta(milliseconds=5))
    broker, clock = Broker(), Clock()
    async with providing(broker, flow, clock):
        await broker.until(broker.is_provided)
        clock.at += timedelta(minutes=1)
        broker.sent.clear()
        await broker.until(lambda: len(broker.sent) >= 3)
        assert set(broker.topics()) == {STANDING}
        assert broker.standing().issued == clock.at


async def test_after_an_hour_snapshots_are_made_anew(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_MADE_EVERY", timedelta(milliseconds=5))
    broker, clock = Broker(), Clock()
    async with providing(broker, flow, clock):
        await broker.until(broker.is_provided)
        before = broker.snapshot()
        clock.at += timedelta(hours=1)
        await broker.until(lambda: broker.snapshot() != before)
        after = broker.snapshot()
    assert before is not None
    assert after is not None
    assert after.since - before.since == 3600
    assert (after.version, after.issued) == (before.version, clock.at)


async def test_a_gate_whose_rights_did_not_change_keeps_its_snapshot(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        before = {gate: broker.retained[policy_topic(gate)] for gate in GATES}
        revoke(flow, "van")  # it has a right at the shed's reader alone
        provisions.changed(flow)
        await broker.until(
            lambda: broker.is_provided() and broker.retained[policy_topic(SHED_READER)] != before[SHED_READER]
        )
    assert broker.retained[policy_topic(FRONT)] == before[FRONT]


async def test_a_broker_that_came_back_gets_all_of_it_again(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        broker.retained.clear()
        provisions.link_up()
        await broker.until(broker.is_provided)


async def test_what_found_no_link_goes_out_when_there_is_one(flow: Flow):
    broker = Broker()
    broker.here = False
    async with providing(broker, flow):
        broker.here = True
        await broker.until(broker.is_provided)


async def test_a_snapshot_that_found_the_link_crowded_is_tried_again(flow: Flow):
    broker = Broker()
    broker.takes = 0
    async with providing(broker, flow):
        broker.takes = 1 << 30
        await broker.until(broker.is_provided)


async def test_a_gate_that_is_gone_has_its_topic_cleared(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        gates = {gate: one for gate, one in flow.policy.gates.items() if gate != SHED_READER}
        points = {name: point for name, point in flow.policy.points.items() if point.gate != SHED_READER}
        flow.policy = _other(flow.policy, gates=gates, points=points)
        provisions.changed(flow)
        await broker.until(lambda: broker.retained[policy_topic(SHED_READER)] == b"")
        await broker.until(lambda: SHED_READER not in broker.standing().snapshots)
        assert broker.retained[policy_topic(FRONT)]


async def test_a_revoked_gate_has_its_topic_cleared_at_once_and_gets_no_new_snapshot(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        broker.sent.clear()
        _believe(flow, SHED_READER, KeyState.REVOKED)
        provisions.changed(flow)
        await broker.until(lambda: broker.retained[policy_topic(SHED_READER)] == b"")
        assert provisions.newest().keys() == set(GATES) - {SHED_READER}
        before = broker.retained[policy_topic(FRONT)]
        revoke(flow, "sergeant")  # whose rights at every gate are others now
        provisions.changed(flow)
        await broker.until(lambda: broker.retained[policy_topic(FRONT)] != before)
        await broker.until(lambda: FRONT in broker.standing().snapshots)
        assert SHED_READER not in broker.standing().snapshots
        assert [wire for topic, wire in broker.sent if topic == policy_topic(SHED_READER)] == [b""]

        _believe(flow, SHED_READER, KeyState.ACTIVE)
        provisions.changed(flow)
        await broker.until(broker.is_provided)


async def test_what_an_engine_before_this_left_for_a_revoked_gate_is_cleared_too(flow: Flow):
    broker = Broker()
    async with providing(broker, flow):
        await broker.until(broker.is_provided)
    left = broker.retained[policy_topic(SHED_READER)]
    _believe(flow, SHED_READER, KeyState.REVOKED)
    async with providing(broker, flow) as provisions:
        await broker.until(lambda: broker.retained[policy_topic(SHED_READER)] == b"")
        # A broker that is back may have it again, from its disk.
        broker.retained[policy_topic(SHED_READER)] = left
        provisions.link_up()
        await broker.until(lambda: broker.retained[policy_topic(SHED_READER)] == b"")


def _believe(flow: Flow, gate: GateId, state: KeyState) -> None:
    """The next trust list is in force, in which a gate's key is in another state."""
    listing = flow.trust.listing
    gates = {**listing.gates, gate: replace(listing.gates[gate], state=state)}
    listing = replace(listing, version=listing.version + 1, gates=gates)
    next_one = replace(flow.trust, version=listing.version, listing=listing)
    flow.adopt(replace(flow.policy, version=bytes([listing.version])), source=b"", trust=next_one)
    flow.next_seq += 1


# -- a gate that says hello -----------------------------------------------------------------------------------------------


async def test_a_gate_whose_hello_says_that_it_holds_no_snapshot_or_another_gets_all_of_it_again(flow: Flow):
    broker, clock = Broker(), Clock()
    async with providing(broker, flow, clock) as provisions:
        await broker.until(broker.is_provided)
        for holds in (None, bytes(32)):
            broker.sent.clear()
            clock.at += timedelta(minutes=1)
            provisions.greeted(FRONT, holds=holds)
            await broker.until(lambda: {policy_topic(), STANDING, TRUST} <= set(broker.topics()))
            assert set(broker.topics()) == {policy_topic(), STANDING, TRUST}, "and no other gate its own"
            assert broker.standing().issued == clock.at


async def test_a_gate_that_holds_its_snapshot_and_one_that_asks_again_and_again_are_sent_nothing(flow: Flow):
    broker, clock = Broker(), Clock()
    async with providing(broker, flow, clock) as provisions:
        await broker.until(broker.is_provided)
        broker.sent.clear()
        provisions.greeted(FRONT, holds=sha256(broker.retained[policy_topic()]).digest())
        clock.at += timedelta(minutes=1)
        for _ in range(3):
            provisions.greeted(SHED_READER, holds=None)
            clock.at += timedelta(seconds=19)
        await broker.until(lambda: policy_topic(SHED_READER) in broker.topics())
        clock.at += timedelta(seconds=3)
        provisions.greeted(SHED_READER, holds=None)
        await broker.until(lambda: broker.topics().count(policy_topic(SHED_READER)) == 2)
        assert policy_topic() not in broker.topics()


async def test_a_gate_that_says_hello_before_its_snapshot_is_made_gets_it_when_it_is(flow: Flow):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        provisions.greeted(FRONT, holds=None)
        await broker.until(broker.is_provided)


def _other(policy: Policy, **changes: object) -> Policy:
    return replace(policy, version=b"another", **changes)  # type: ignore[arg-type]


async def test_a_snapshot_that_is_too_large_is_none(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    broker = Broker()
    async with providing(broker, flow) as provisions:
        await broker.until(broker.is_provided)
        monkeypatch.setattr(module, "MAX_SNAPSHOT_BYTES", 600)  # the shed's has a card's token in it
        revoke(flow, "pupil")
        provisions.changed(flow)
        await broker.until(lambda: broker.retained[policy_topic(SHED_READER)] == b"")
        await broker.until(lambda: FRONT in broker.standing().snapshots)
        assert SHED_READER not in broker.standing().snapshots


async def test_a_build_that_fails_is_tried_again_and_ends_nothing(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    broker, failed = Broker(), []
    whole = Provisions._made

    def _fails_twice(self: Provisions, *arguments: object) -> list[Snapshot]:
        if len(failed) < 2:
            failed.append(arguments)
            raise RuntimeError("dictionary changed size during iteration")
        return whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Provisions, "_made", _fails_twice)
    with capture_logs() as logs:
        async with providing(broker, flow):
            await broker.until(broker.is_provided)
    assert len(failed) == 2
    assert [log["event"] for log in logs] == ["no snapshots could be made"] * 2


async def test_without_status_lists_nothing_is_said_until_there_are_some(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    broker, failed = Broker(), []
    whole = Provisions._signed_statuses

    def _fails_twice(self: Provisions, of: Flow) -> object:
        if len(failed) < 2:
            failed.append(of)
            assert STANDING not in broker.retained
            raise RuntimeError("dictionary changed size during iteration")
        return whole(self, of)

    monkeypatch.setattr(Provisions, "_signed_statuses", _fails_twice)
    with capture_logs() as logs:
        async with providing(broker, flow):
            await broker.until(broker.is_provided)
    assert len(failed) == 2
    assert [log["event"] for log in logs] == ["no status lists could be made"] * 2


async def test_a_badge_of_an_index_that_no_list_holds_is_not_listed(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    badge = replace(people()["pupil"].badge, status_index=1 << 60)
    token = left_alone.sign_claims(left_alone.claims_of(badge), tenant=SCHOOL)
    record = flow.register.record(badge.id)
    assert record is not None
    flow.register.put_badge(replace(record, token=token), tenant=SCHOOL, card=None)
    broker = Broker()
    async with providing(broker, flow):
        await broker.until(broker.is_provided)
    listed, van = broker.gate().statuses[SCHOOL], people()["van"].badge.status_index
    assert van is not None
    assert listed.status(1 << 60) is None
    assert listed.status(van) == VALID


def test_what_is_said_is_signed_for_its_topic_by_a_decision_key():
    wire = left_alone.snapshot_message(FRONT)
    elsewhere = cose.verify(
        wire,
        keys=trust().decisions,
        typ="application/pacs-snapshot+cose",
        use="decision",
        external_aad=policy_topic(SHED_READER).encode(),
        bounds=SNAPSHOT_BOUNDS,
    )
    assert isinstance(elsewhere, cose.Refused)
