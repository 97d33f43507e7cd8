"""The holder: certificates and call-ups."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import TICK, RuledSite, at_noon, policy_with, reasons
from tests.support.sites import NOON

LATER = NOON + timedelta(days=100)


# -- certificates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "enough"),
    [
        ((("fire", LATER), ("arms", LATER)), True),
        ((("fire", NOON + TICK), ("arms", LATER)), True),
        ((("fire", NOON), ("arms", LATER)), False),
        ((("fire", LATER),), False),
        ((), False),
    ],
)
def test_every_certificate_that_a_zone_demands_is_held_and_has_not_ended(
    held: tuple[tuple[str, datetime], ...], *, enough: bool
):
    policy = policy_with({"barrack": {"certificates": ["fire", "arms"]}})
    facts = at_noon()
    facts = replace(facts, holder=replace(facts.holder, certificates=held))
    assert reasons(policy, "barrack-in", facts) == ([] if enough else [Reason.CERTIFICATE])
    assert reasons(policy, "corridor", facts) == ([] if enough else [Reason.CERTIFICATE])
    assert reasons(policy, "barrack-out", facts) == reasons(policy, "armoury-in", facts) == []


def test_a_certificate_ends_between_two_scans_of_a_signed_registration():
    site = RuledSite({"barrack": {"certificates": ["fire"]}})
    site.enrol("fireman", certificates=(("fire", NOON + timedelta(hours=1)),))
    site.granted("barrack-in", "fireman")
    site.advance(hours=1, microseconds=-1)
    site.granted("barrack-in", "fireman")
    site.advance(microseconds=1)
    site.denied("barrack-in", "fireman", Reason.CERTIFICATE)
    site.granted("barrack-out", "fireman")


# -- call-ups ---------------------------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


def call_up(since: datetime, until: datetime, profile: str = "army/soldier") -> dict[str, Any]:
    return {"id": f"from-{since:%H}", "profiles": [profile], "from": since, "until": until}


def of_a_reservist(
    *calls: dict[str, Any], door: str = "front-in", now: datetime = NOON, **changes: Any
) -> list[Reason]:
    facts = at_noon()
    facts = replace(facts, holder=replace(facts.holder, **{"kind": HolderKind.RESERVIST, **changes}))
    return reasons(policy_with(call_up=list(calls)), door, facts, now=now)


@pytest.mark.parametrize(
    ("now", "called"), [(NOON, True), (NOON - TICK, False), (NOON + HOUR - TICK, True), (NOON + HOUR, False)]
)
def test_a_reservist_comes_in_from_the_first_to_before_the_last_instant_of_a_call(
    now: datetime, *, called: bool
):
    assert of_a_reservist(call_up(NOON, NOON + HOUR), now=now) == ([] if called else [Reason.NOT_CALLED_UP])


def test_one_call_of_several_is_enough_and_a_call_of_others_is_none():
    others, own = call_up(NOON - HOUR, NOON + HOUR, "army/keyholder"), call_up(NOON, NOON + HOUR)
    assert of_a_reservist(others) == [Reason.NOT_CALLED_UP]
    assert of_a_reservist(others, own) == []


def test_only_reservists_wait_for_a_call_and_nobody_is_held_in_by_its_end():
    over = call_up(NOON - HOUR, NOON)
    assert of_a_reservist(over, kind=HolderKind.STAFF) == []
    assert of_a_reservist(over, door="front-out") == []
    assert of_a_reservist() == []
