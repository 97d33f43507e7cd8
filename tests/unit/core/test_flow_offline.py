"""Past events: what a gate did alone is written as it happened, and decided no more."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import NOBODY, Kind
from gatekeeper.core.presence import Quality
from gatekeeper.model.badges import BadgeState, Card, CardTechnology
from gatekeeper.model.ids import HolderId
from gatekeeper.model.messages import ClockQuality, PassageOutcome, Verdict
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import RuledSite
from tests.support.sites import BADGES, Sent, SmallSite, issue
from tests.support.transcripts import entry, here

TAKEN, NOT_TAKEN = PassageOutcome.TAKEN, PassageOutcome.NOT_TAKEN
SERGEANT = HolderId("sergeant")
STRANGE_CARD = Card(CardTechnology.MIFARE, b"\1\2\3\4")


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


# -- past events ------------------------------------------------------------------------------------------------------


def offline(site: SmallSite, access_point: str, who: str | Card, verdict: Verdict, **more: Any) -> Sent:
    return site.scan(access_point, who, offline_verdict=verdict, **more)


def test_what_a_gate_granted_alone_is_written_as_it_happened(site: SmallSite):
    snapshot_of_policy = hashlib.sha256(b"a policy of yesterday").digest()
    scan = offline(
        site,
        "front-in",
        "sergeant",
        Verdict.GRANTED,
        offline_policy=snapshot_of_policy,
        gate_at=datetime(2026, 6, 3, 4, tzinfo=UTC),
        clock=ClockQuality.SYNCHRONISED,
    )
    site.advance(hours=6)
    taken = site.recorded(scan)
    draft = entry(taken)
    assert (draft.kind, draft.at, draft.person) == (Kind.OFFLINE_GRANTED, site.now, SERGEANT)
    assert draft.public["gate_at"] == "2026-06-03T04:00:00.000000Z"
    assert draft.public["policy"] == snapshot_of_policy.hex()
    assert not {"reason", "reasons"} & draft.public.keys()
    assert taken.decision is None
    assert (taken.answer.verdict, taken.answer.unlock) == (Verdict.RECORDED, None)
    assert site.where("sergeant") == "yard"
    assert here(site).quality is Quality.GRANTED


def test_what_a_gate_denied_alone_moves_nobody(site: SmallSite):
    taken = site.recorded(offline(site, "front-in", "sergeant", Verdict.DENIED))
    assert entry(taken).kind is Kind.OFFLINE_DENIED
    assert "policy" not in entry(taken).public
    assert taken.moved == ()
    assert not site.flow.whereabouts


def test_a_past_grant_is_not_made_undone_by_what_became_known_since(site: SmallSite):
    site.flow.register.set_state(BADGES["sergeant"].badge.id, BadgeState.STOLEN)
    site.flow.lockdowns = frozenset({"site"})
    taken = site.recorded(offline(site, "front-in", "sergeant", Verdict.GRANTED))
    assert entry(taken).kind is Kind.OFFLINE_GRANTED
    assert entry(taken).personal["facts"]["badge_state"] == "stolen"
    assert site.where("sergeant") == "yard"


def test_a_past_event_never_releases_a_door(site: SmallSite):
    for verdict in (Verdict.GRANTED, Verdict.DENIED):
        for who in ("sergeant", "pupil", STRANGE_CARD):
            answer = site.recorded(offline(site, "front-in", who, verdict)).answer
            assert (answer.verdict, answer.unlock, answer.reason) == (Verdict.RECORDED, None, 0)


@pytest.mark.parametrize("who", [issue("forger", "army", by="school issuer"), STRANGE_CARD])
def test_who_was_let_in_without_a_badge_of_this_site_is_nobody(who: Any, site: SmallSite):
    taken = site.recorded(offline(site, "front-in", who, Verdict.GRANTED))
    assert entry(taken).kind is Kind.OFFLINE_GRANTED
    assert (entry(taken).person, taken.moved) == (NOBODY, ())
    assert not site.flow.whereabouts


def test_a_past_event_is_seen_by_the_next_scan(site: SmallSite):
    site.walk("front-in", "sergeant")
    site.recorded(offline(site, "barrack-in", "sergeant", Verdict.GRANTED))
    assert site.tap("barrack-in", "sergeant").decision.reason is Reason.PASSBACK


# -- what the next rule remembers of it -------------------------------------------------------------------------------

KEYHOLDERS = {"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}}


@pytest.mark.parametrize(
    ("gate_at", "clock", "earlier"),
    [
        (timedelta(hours=-5), ClockQuality.SYNCHRONISED, timedelta(hours=5)),
        (timedelta(hours=1), ClockQuality.SYNCHRONISED, timedelta()),
        (timedelta(hours=-5), ClockQuality.FREE_RUNNING, timedelta()),
        (None, ClockQuality.SYNCHRONISED, timedelta()),
    ],
)
def test_a_badge_was_used_and_a_zone_opened_when_the_gate_says_so_if_it_knows_the_time(
    gate_at: timedelta | None, clock: ClockQuality, earlier: timedelta
):
    site = RuledSite(KEYHOLDERS, rules={"inactivity_days": 90})
    site.enrol("keyholder", "keyholder")
    told = None if gate_at is None else site.now + gate_at
    taken = site.tap("barrack-in", "keyholder", offline_verdict=Verdict.GRANTED, gate_at=told, clock=clock)
    ((badge, usage),) = taken.remembered.usage
    then = site.now - earlier
    assert (badge, usage.last_at, usage.uses) == (site.badges["keyholder"].badge.id, then, 1)
    sure = gate_at is not None and clock is ClockQuality.SYNCHRONISED
    opened = ((("barrack", taken.receipt.seq), then),)
    assert taken.remembered.opened == (opened if sure else ())
    assert taken.receipt.holder == "keyholder"


def test_where_nobody_asks_for_uses_none_is_kept_of_a_past_event(site: SmallSite):
    taken = site.tap("front-in", "sergeant", offline_verdict=Verdict.GRANTED)
    assert (taken.remembered.usage, taken.remembered.opened) == ((), ())


@pytest.mark.parametrize("verdict", [Verdict.GRANTED, Verdict.DENIED])
def test_a_stolen_badge_that_was_used_while_a_gate_was_alone_alarms(verdict: Verdict, site: SmallSite):
    calm = site.tap("front-in", "sergeant", offline_verdict=verdict)
    assert (calm.alarms, "alarm" in entry(calm).public) == ((), False)
    site.flow.register.set_state(BADGES["sergeant"].badge.id, BadgeState.STOLEN)
    stolen = site.tap("front-in", "sergeant", offline_verdict=verdict)
    assert (stolen.alarms, entry(stolen).public["alarm"]) == ((Reason.BADGE_STOLEN.code,), True)


SERGEANTS = BADGES["sergeant"].badge.id


@pytest.mark.parametrize("state", [BadgeState.STOLEN, BadgeState.REVOKED])
@pytest.mark.parametrize(
    ("used", "clock", "alarms"),
    [
        (timedelta(hours=-2), ClockQuality.FREE_RUNNING, False),
        (timedelta(hours=-2), ClockQuality.SYNCHRONISED, False),
        (timedelta(), ClockQuality.FREE_RUNNING, True),
        (timedelta(hours=2), ClockQuality.SYNCHRONISED, True),
        (timedelta(hours=-2), ClockQuality.NONE, True),
        (timedelta(days=-40), ClockQuality.FREE_RUNNING, True),
        (None, ClockQuality.SYNCHRONISED, True),
    ],
    ids=str,
)
def test_a_badge_that_was_revoked_after_a_rightful_passage_does_not_alarm_and_a_stolen_one_always_does(
    state: BadgeState, used: timedelta | None, clock: ClockQuality, site: SmallSite, *, alarms: bool
):
    """It is told at noon, the badge was stopped at eight; a gate that cannot say when it was used is not believed."""
    stopped = site.now
    site.flow.register.set_state(SERGEANTS, state, at=stopped)
    scan = offline(
        site,
        "front-in",
        "sergeant",
        Verdict.GRANTED,
        gate_at=None if used is None else stopped + used,
        clock=clock,
    )
    site.advance(hours=4)
    taken = site.recorded(scan)
    if state is BadgeState.STOLEN:
        code, alarms = Reason.BADGE_STOLEN, True  # a theft is always before its report
    else:
        code = Reason.REVOKED
    assert taken.alarms == ((code.code,) if alarms else ())
    assert entry(taken).public.get("alarm", False) is alarms
    assert entry(taken).personal["facts"]["badge_state"] == state


def test_a_revoked_badge_that_was_tried_in_vain_alarms_whenever_that_was(site: SmallSite):
    stopped = site.now
    site.flow.register.set_state(SERGEANTS, BadgeState.REVOKED, at=stopped)
    before = stopped - timedelta(hours=2)
    scan = offline(
        site, "front-in", "sergeant", Verdict.DENIED, gate_at=before, clock=ClockQuality.SYNCHRONISED
    )
    site.advance(hours=4)
    assert site.recorded(scan).alarms == (Reason.REVOKED.code,)


def test_what_was_stopped_first_counts_and_not_what_was_said_of_it_since(site: SmallSite):
    register, stopped = site.flow.register, site.now
    register.set_state(SERGEANTS, BadgeState.LOST, at=stopped)
    register.set_state(SERGEANTS, BadgeState.REVOKED, at=stopped + timedelta(hours=2))
    between = stopped + timedelta(hours=1)
    scan = offline(
        site, "front-in", "sergeant", Verdict.GRANTED, gate_at=between, clock=ClockQuality.SYNCHRONISED
    )
    site.advance(hours=4)
    assert site.recorded(scan).alarms == (Reason.REVOKED.code,)


def test_whoever_does_not_count_fills_no_zone_also_when_they_were_let_in_alone_or_their_passage_was_seen():
    site = RuledSite({"barrack": {"occupancy": {"most": 1, "exempt": ["army/escort"]}}})
    for name in ("alone", "seen"):
        site.enrol(name, "escort")
    site.tap("barrack-in", "alone", offline_verdict=Verdict.GRANTED)
    site.walk("barrack-in", "seen")
    site.granted("barrack-in", "private")
    site.denied("barrack-in", "sergeant", Reason.UPPER_OCCUPANCY)
