"""The promises that the simulator holds a site to: each is broken here once, and told."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devices.simulator.promises import Promises, has_right
from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, BootId, GateId, HolderId, ProfileId, TenantId
from gatekeeper.model.messages import (
    PASSAGE_TYPE,
    SCAN_TYPE,
    ByCard,
    ClockQuality,
    Passage,
    PassageOutcome,
    Scan,
    Verdict,
)
from gatekeeper.model.policy import Policy, compile_policy
from gatekeeper.model.site_file import read_site
from gatekeeper.model.topics import PREFIX, Channel
from tests.support.site_files import example_site
from tests.unit.devices.ground import CARD, GATE, IN, NOON, OTHER_GATE, OUT, Service, topic

KEY, OTHER_KEY = cose.SigningKey.generate(), cose.SigningKey.generate()
SERVICE = Service({GATE: KEY, OTHER_GATE: OTHER_KEY})
DECISION = topic(Channel.DECISION)


@pytest.fixture
def promises() -> Promises:
    return Promises(trust=SERVICE.trust, prefix=PREFIX)


def _stamp(sequence: int) -> dict[str, object]:
    return {"boot": BootId(b"boot-001"), "sequence": sequence, "gate_at": NOON, "clock": ClockQuality.NONE}


def scan(sequence: int = 1, at: AccessPointId = IN, card: ByCard = CARD) -> bytes:
    said = Scan(
        **_stamp(sequence),  # type: ignore[arg-type]
        access_point=at,
        credential=card,
        beacon=bytes(16),
        proof=None,
        round_trip=None,
        offline_verdict=None,
        offline_policy=None,
        sealed_pin=None,
    )
    aad = topic(Channel.SCAN).encode()
    return cose.sign(said.payload(), key=KEY, typ=SCAN_TYPE, external_aad=aad)


def passage(sequence: int = 2) -> bytes:
    said = Passage(**_stamp(sequence), access_point=IN, outcome=PassageOutcome.TAKEN, scan=None)  # type: ignore[arg-type]
    aad = topic(Channel.PASSAGE).encode()
    return cose.sign(said.payload(), key=KEY, typ=PASSAGE_TYPE, external_aad=aad)


def _ask(promises: Promises, wire: bytes) -> None:
    promises.sent(GATE, topic(Channel.SCAN), wire)


def _tell(promises: Promises, wire: bytes) -> None:
    promises.sent(GATE, topic(Channel.PASSAGE), wire)


def _hear(promises: Promises, answer: bytes, gate: GateId = GATE) -> None:
    promises.arrived(gate, DECISION, answer)


def test_a_granted_scan_opens_its_door_once(promises: Promises):
    asked = scan()
    _ask(promises, asked)
    _hear(promises, SERVICE.answer(asked))
    promises.released(GATE, IN)
    assert promises.report()["kept"]
    assert promises.released_now == {(GATE, IN)}
    promises.secured(GATE, IN)
    assert promises.released_now == set()
    promises.released(GATE, IN)
    report = promises.report()
    assert (report["openings"], report["opened_without_grant"], report["kept"]) == (2, 1, False)
    assert report["broken"] == ["main-in of main-gate was released without a grant."]


def test_a_grant_that_is_repeated_is_no_second_grant(promises: Promises):
    asked = scan()
    answer = SERVICE.answer(asked)
    _ask(promises, asked)
    _hear(promises, answer)
    promises.released(GATE, IN)
    _hear(promises, answer)
    promises.released(GATE, IN)
    assert promises.report()["opened_without_grant"] == 1


@pytest.mark.parametrize(
    "lie",
    [
        lambda asked: SERVICE.answer(asked, Verdict.DENIED),
        lambda asked: SERVICE.answer(asked, key=OTHER_KEY),
        lambda asked: SERVICE.answer(asked, gate=OTHER_GATE),
        lambda asked: SERVICE.answer(asked, aad=topic(Channel.DECISION, OTHER_GATE)),
        lambda asked: SERVICE.answer(asked + b"x"),
        lambda asked: SERVICE.answer(asked)[:-1],
    ],
    ids=["denied", "a stranger's", "for another gate", "moved", "of another scan", "cut short"],
)
def test_nothing_else_excuses_an_open_door(lie: Callable[[bytes], bytes], promises: Promises):
    asked = scan()
    _ask(promises, asked)
    _hear(promises, lie(asked))
    promises.released(GATE, IN)
    assert promises.report()["opened_without_grant"] == 1


def test_a_grant_is_for_one_door_and_for_the_scan_that_is_being_asked(promises: Promises):
    asked, later = scan(1), scan(3)
    _ask(promises, asked)
    _hear(promises, SERVICE.answer(asked))
    promises.released(GATE, OUT)
    _ask(promises, later)
    promises.released(GATE, IN)
    assert promises.report()["opened_without_grant"] == 2


def test_what_is_told_is_recorded_once(promises: Promises):
    told, other = passage(2), passage(3)
    _tell(promises, told)
    _tell(promises, told)
    _tell(promises, other)
    assert promises.pending == 2
    _hear(promises, SERVICE.answer(told, Verdict.RECORDED, entry=7))
    _hear(promises, SERVICE.answer(told, Verdict.RECORDED, entry=7))
    assert (promises.report()["unrecorded"], promises.report()["kept"]) == (1, False)
    _hear(promises, SERVICE.answer(other, Verdict.RECORDED, entry=8))
    report = promises.report()
    assert (report["recorded"], report["recorded_twice"], report["kept"]) == (2, 0, True)
    assert [entry for entry, _ in promises.evidence()] == [7, 8]
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (7, 8, "A message of main-gate is in entries 7 and 8."),
        (7, 7, "Entry 7 is said to be of two messages."),
    ],
)
def test_what_is_recorded_twice_is_told(first: int, second: int, sentence: str, promises: Promises):
    told, other = passage(2), passage(3)
    _tell(promises, told)
    _tell(promises, other)
    _hear(promises, SERVICE.answer(told, Verdict.RECORDED, entry=first))
    again = told if first != second else other
    _hear(promises, SERVICE.answer(again, Verdict.RECORDED, entry=second))
    assert promises.report()["recorded_twice"] == 1
    assert promises.report()["broken"] == [sentence]


def test_what_goes_with_the_power_is_counted_apart_until_it_is_told_after_all(promises: Promises):
    told = passage()
    _tell(promises, told)
    promises.power_lost(OTHER_GATE)
    assert promises.report()["lost_with_power"] == 0
    promises.power_lost(GATE)
    assert (promises.report()["unrecorded"], promises.report()["lost_with_power"]) == (0, 1)
    _hear(promises, SERVICE.answer(told, Verdict.RECORDED))
    assert (promises.report()["recorded"], promises.report()["lost_with_power"]) == (1, 0)


def test_what_a_gate_did_not_sign_is_no_message_of_it(promises: Promises):
    assert promises.sent(OTHER_GATE, topic(Channel.PASSAGE), passage()) is None
    assert promises.sent(GATE, topic(Channel.PASSAGE), passage()[:-1]) is None
    assert promises.pending == 0


# -- rights -----------------------------------------------------------------------------------------------------------

TEN = datetime(2026, 6, 3, 8, tzinfo=UTC)  # ten in the morning of a Wednesday in Assen
GUEST, HOST = HolderId("h-00471"), TenantId("defence")


@pytest.fixture(scope="module")
def policy() -> Policy:
    written = read_site(example_site())
    agreements = {tenant.id: tenant.agreement for tenant in written.tenants if tenant.agreement}
    return compile_policy(written, agreements=agreements, sources=(b"the example",))


@pytest.mark.parametrize(
    ("point", "profile", "tenant", "hour", "right"),
    [
        ("service-offices-in", "national-staff", "national-service", 0, True),
        ("service-offices-in", "national-staff", "national-service", 14, False),
        ("service-offices-out", "national-leave", "national-service", 14, True),
        ("armoury-in", "national-staff", "national-service", 0, False),
        ("service-offices-in", "national-staff", "municipal-service", 0, False),
        ("garrison-in", "defence-on-duty", "defence", 14, True),
    ],
)
def test_a_right_is_a_profile_at_its_hours_and_a_way_out_has_none(
    point: str, profile: str, tenant: str, hour: int, policy: Policy, *, right: bool
):
    at = TEN + timedelta(hours=hour)
    place = policy.points[AccessPointId(point)]
    given = has_right(policy, place, HolderId("h-1"), TenantId(tenant), (ProfileId(profile),), at=at)
    assert given is right


def test_the_guest_list_gives_a_right_while_the_event_lasts(policy: Policy):
    place = policy.points[AccessPointId("crisis-room-in")]
    event = place.events[0]
    for holder, at, right in (
        (GUEST, TEN, True),
        (GUEST, event.until, False),
        (HolderId("h-00001"), TEN, False),
    ):
        assert has_right(policy, place, holder, HOST, (), at=at) is right


def test_hours_that_just_ended_are_no_broken_promise(policy: Policy):
    """Office hours end at six; the service may have decided a moment before we look."""
    six, place = TEN + timedelta(hours=8), policy.points[AccessPointId("ammunition-area-in")]
    for late, right in ((5, True), (15, False)):
        at = six + timedelta(seconds=late)
        profiles = (ProfileId("defence-ammunition"),)
        assert has_right(policy, place, HolderId("h-1"), HOST, profiles, at=at) is right


def test_who_is_let_in_without_a_right_is_told_unless_the_policy_has_changed(
    policy: Policy, promises: Promises
):
    place, at = policy.points[AccessPointId("armoury-in")], TEN

    def let_in(believed: Policy) -> None:
        promises.let_in(place, GUEST, HOST, (), policy=believed, at=at)

    asked = scan()
    _ask(promises, asked)
    _hear(promises, SERVICE.answer(asked, policy=policy.version))
    let_in(policy)
    assert promises.report()["let_in_without_right"] == 1
    let_in(replace(policy, version=bytes(32)))
    assert promises.report()["let_in_without_right"] == 1, "answered from a policy that we have not read"
