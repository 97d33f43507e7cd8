"""What is remembered of a badge at a door is what would be said afresh, whichever hour, alert state or date was asked first."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from gatekeeper.core.decide import Decision, decide
from gatekeeper.core.facts import Facts, Request
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import SECOND, at_noon, decided, document_with, policy_with
from tests.support.sites import NOON, compiled, ground

DOOR = "front-in"


def hours(name: str, since: str, until: str) -> dict[str, Any]:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    windows = [{"days": days, "from": since, "until": until}]
    return {"id": name, "name": {"en": name, "nl": name}, "windows": windows}


def shifts(**highest: str) -> Policy:
    """A site whose yard two profiles open, one in the morning and one in the evening, each up to an alert state."""
    document = document_with()
    document["schedule"] += [hours("morning", "06:00", "10:00"), hours("evening", "18:00", "22:00")]
    for profile in document["profile"]:
        ways = {"soldier": "morning", "escort": "evening"}
        if profile["tenant"] == "army" and profile["id"] in ways:
            schedule = ways[profile["id"]]
            profile["grants"] = [{"zone": "yard", "schedule": schedule, "highest_alert": highest[schedule]}]
    return compiled(document, trust=ground().trust)[1]


def same_as_afresh(policy: Policy, asked: Sequence[tuple[Facts, datetime]], door: str = DOOR) -> None:
    """Whatever the order, each is told what it would be told as the first."""
    afresh: list[Decision] = [decided(replace(policy), door, facts, now=now) for facts, now in asked]
    assert len({(one.granted, one.reasons) for one in afresh}) > 1, "there is something to confuse"
    for order in permutations(range(len(asked))):
        remembering = replace(policy)
        for which in order:
            facts, now = asked[which]
            assert decided(remembering, door, facts, now=now) == afresh[which], (order, which)


NIGHT, MORNING, EVENING = (NOON.replace(hour=hour) for hour in (1, 6, 18))


@pytest.mark.parametrize(
    "profiles", [("soldier", "escort"), ("escort", "soldier"), ("escort",), ("soldier",)]
)
@pytest.mark.parametrize(
    "highest",
    [
        {"morning": "grave", "evening": "grave"},
        {"morning": "calm", "evening": "tense"},
        {"morning": "tense", "evening": "calm"},
        {"morning": "calm", "evening": "calm"},
    ],
)
@pytest.mark.parametrize("alert", [0, 1, 2])
def test_each_hour_is_told_apart_from_the_others(
    profiles: tuple[str, ...], highest: dict[str, str], alert: int
):
    facts = at_noon(profiles=profiles, alert=alert)
    same_as_afresh(shifts(**highest), [(facts, NIGHT), (facts, MORNING), (facts, EVENING)])


def test_each_alert_state_is_told_apart_from_the_others():
    policy = shifts(morning="calm", evening="tense")
    profiles = ("soldier", "escort")
    same_as_afresh(policy, [(at_noon(profiles=profiles, alert=alert), MORNING) for alert in (0, 1, 2)])


FIRST, LAST = NOON - timedelta(days=1), NOON + timedelta(days=1)


def of(who: str, *, badge: dict[str, Any] | None = None, **holder: Any) -> Facts:
    facts = at_noon(who)
    assert facts.badge is not None
    assert facts.holder is not None
    return replace(facts, badge=replace(facts.badge, **(badge or {})), holder=replace(facts.holder, **holder))


FAIR = {
    "id": "fair", "name": {"en": "Fair", "nl": "Markt"}, "zones": ["barrack"], "guests": ["teacher", "pupil"],
    "from": FIRST, "until": LAST, "highest_alert": "grave",
}  # fmt: skip
CALL = {"id": "call", "profiles": ["army/soldier"], "from": FIRST, "until": LAST}
LIMITED = {"level": 1, "assurance": 1}


@pytest.mark.parametrize(
    ("policy", "door", "facts", "dates"),
    [
        (policy_with(), DOOR, of("teacher", badge={"not_before": FIRST, "expires": LAST}), (FIRST, LAST)),
        (policy_with(), DOOR, of("sergeant", badge={"not_before": FIRST, "expires": LAST}), (FIRST, LAST)),
        (policy_with(), DOOR, of("teacher", since=FIRST, until=LAST), (FIRST, LAST)),
        (policy_with(), DOOR, of("member"), (datetime.fromisoformat("2026-07-01T00:00:00Z"),)),
        (
            policy_with({"yard": {"certificates": ["fire"]}}),
            DOOR,
            of("teacher", certificates=(("fire", LAST),)),
            (LAST,),
        ),
        (policy_with({"barrack": LIMITED}, event=[FAIR]), "barrack-in", of("pupil"), (FIRST, LAST)),
        (policy_with(call_up=[CALL]), DOOR, of("sergeant", kind=HolderKind.RESERVIST), (FIRST, LAST)),
    ],
)
def test_before_and_after_a_date_are_told_apart(
    policy: Policy, door: str, facts: Facts, dates: tuple[datetime, ...]
):
    for date in dates:
        same_as_afresh(policy, [(facts, date - SECOND), (facts, date), (facts, date + SECOND)], door)


def test_a_gate_that_knows_the_time_is_told_apart_from_one_that_does_not():
    policy = policy_with()
    facts = of("sergeant", badge={"requires_trusted_time": True})
    point = policy.points[AccessPointId(DOOR)]
    for clocks in permutations(ClockQuality):
        for clock in clocks:
            made = decide(policy, facts, Request(access_point=point.id, gate=point.gate, clock=clock), NOON)
            assert made.granted is (clock is ClockQuality.SYNCHRONISED)


def test_of_another_gate_a_door_is_no_door_of_this_one():
    policy = policy_with()
    point = policy.points[AccessPointId(DOOR)]
    for gate, reason in (
        (point.gate, Reason.GRANTED),
        (GateId("inner"), Reason.UNKNOWN_ACCESS_POINT),
        (point.gate, Reason.GRANTED),
    ):
        request = Request(access_point=point.id, gate=gate, clock=ClockQuality.SYNCHRONISED)
        assert decide(policy, at_noon(), request, NOON).reason is reason
