"""What changed programs got past the other tests with: the rules at corners where two of them meet."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.facts import Past
from gatekeeper.model.ids import AccessPointId, HolderId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import (
    PIN,
    PIN_RECORD,
    SECOND,
    RuledSite,
    at_noon,
    companion,
    decided,
    document_with,
    policy_with,
    reasons,
)
from tests.support.sites import BADGES, NOON, compiled, ground

BACK_DOOR = {
    "id": "back-in", "gate": "inner", "from": "outside", "to": "barrack", "direction": "in",
    "name": {"en": "Back door", "nl": "Achterdeur"},
}  # fmt: skip


@pytest.mark.parametrize(("yard", "barrack"), [("soft", "hard"), ("hard", "soft")])
def test_of_two_full_zones_the_hard_limit_denies_whichever_lies_within(yard: str, barrack: str):
    limits = {"yard": yard, "barrack": barrack}
    rules: dict[str, Any] = {
        zone: {"occupancy": {"most": 1, "enforcement": how}} for zone, how in limits.items()
    }
    document = document_with(rules)
    document["access_point"].append(BACK_DOOR)
    policy = compiled(document, trust=ground().trust)[1]
    made = decided(policy, "back-in", at_noon(past=Past(crowds={ZoneId(zone): 1 for zone in limits})))
    assert (made.granted, made.reasons, made.shadow) == (False, (Reason.UPPER_OCCUPANCY,), ())


@pytest.mark.parametrize("past", [Past(last_point=AccessPointId("front-in")), Past(last_at=NOON)])
def test_a_last_use_of_which_half_is_unknown_makes_no_travel_impossible(past: Past):
    policy = policy_with(travel=[{"between": ["front-in", "barrack-in"], "seconds": 60}])
    assert reasons(policy, "barrack-in", at_noon(past=past)) == []


def test_a_refusal_at_the_instant_a_lock_out_ends_is_the_first_of_the_next():
    site = RuledSite(rules={"lock_out": {"failures": 2, "minutes": 5, "for_minutes": 15}})
    for _ in range(2):
        site.denied("armoury-in", "private", Reason.CLEARANCE)
    site.advance(minutes=15)
    for _ in range(2):
        site.denied("armoury-in", "private", Reason.CLEARANCE)
    site.denied("front-in", "private", Reason.LOCKOUT)


def test_a_right_pin_makes_every_wrong_one_before_it_forgotten():
    site = RuledSite({"barrack": {"pin": "always"}}, rules={"pin": {"tries": 3, "for_minutes": 10}})
    site.enrol("typist", pin=PIN_RECORD)
    for pin in ("1111", "1111", PIN, "1111", "1111"):
        assert Reason.MAX_ATTEMPTS not in site.ask("barrack-in", "typist", pin=pin).reasons
    assert site.ask("barrack-in", "typist", pin=PIN).granted


def test_a_visitor_who_went_with_another_host_holds_the_first_one_no_more():
    site = RuledSite({"barrack": {"escort": {"seconds": 60, "most": 1, "by": ["army/escort"]}}})
    site.enrol("first", "escort")
    site.enrol("second", "escort")
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.granted("barrack-in", "first")
    assert site.ask("barrack-in", "visitor").host == "first"
    site.granted("barrack-out", "visitor")
    site.advance(minutes=5)
    site.granted("barrack-in", "second")
    assert site.ask("barrack-in", "visitor").host == "second"
    site.granted("barrack-out", "first")
    site.denied("barrack-out", "second", Reason.VISITORS_INSIDE)


def test_a_host_counts_only_what_he_brought_where_another_waits_at_the_same_door():
    site = RuledSite({"barrack": {"escort": {"seconds": 60, "most": 1, "by": ["army/escort"]}}})
    site.enrol("first", "escort")
    site.enrol("second", "escort")
    for visitor in ("anna", "bert"):
        site.enrol(visitor, tenant="school", kind=HolderKind.VISITOR)
    site.granted("barrack-in", "first")
    site.granted("barrack-in", "second")
    assert site.ask("barrack-in", "anna").host == "second"
    assert site.ask("barrack-in", "bert").host == "first"


def test_usage_is_not_kept_for_a_site_that_asks_for_none_after_one_that_did():
    site = RuledSite(rules={"inactivity_days": 90})
    assert site.tap("front-in", "private").remembered.usage != ()
    site.write(document_with())
    assert site.tap("front-in", "sergeant").remembered.usage == ()


@pytest.mark.parametrize("zone", ["yard", "barrack"])
def test_each_of_the_zones_that_a_door_leads_into_waits_for_its_first_person(zone: str):
    rule = {"first_person": {"profiles": ["army/keyholder"], "hours": 1}}
    document = document_with({zone: rule})
    document["access_point"].append(BACK_DOOR)
    policy = compiled(document, trust=ground().trust)[1]
    assert reasons(policy, "back-in", at_noon()) == [Reason.FIRST_PERSON]


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        ({"two_persons": {"seconds": 20}}, HolderKind.STAFF),
        ({"occupancy": {"least": 2, "seconds": 20}}, HolderKind.STAFF),
        ({"driver": {"seconds": 20}}, HolderKind.VEHICLE),
    ],
)
def test_of_two_who_wait_for_one_more_only_the_latest_goes_along(rules: dict[str, Any], kind: HolderKind):
    waiting = (companion("earlier", ago=2 * SECOND, kind=kind), companion("latest", kind=kind))
    made = decided(policy_with({"barrack": rules}), "barrack-in", at_noon(past=Past(company=waiting)))
    assert made.granted
    assert [one.holder for one in made.party] == ["latest"]


def test_whoever_receives_a_visitor_brings_this_one_also_when_the_visitor_was_there_first():
    site = RuledSite({"barrack": {"escort": {"seconds": 60, "most": 1, "by": ["army/escort"]}}})
    site.enrol("guest", kind=HolderKind.VISITOR, host=HolderId("private"))
    site.denied("barrack-in", "guest", Reason.NO_ESCORT)
    assert site.ask("barrack-in", "sergeant").guests == frozenset()
    assert site.ask("barrack-in", "private").guests == {"guest"}


def test_two_who_leave_together_do_not_leave_a_third_alone():
    demands = {"two_persons": {"seconds": 20, "leaving": True}, "occupancy": {"least": 2, "seconds": 20}}
    past = Past(crowds={ZoneId("barrack"): 2}, company=(companion("private", "army/soldier"),))
    facts = at_noon(past=past, whereabouts=ZoneId("barrack"))
    assert reasons(policy_with({"barrack": demands}), "barrack-out", facts) == [Reason.LOWER_OCCUPANCY]


def test_an_alert_state_beyond_the_last_demands_what_the_last_one_does():
    policy = policy_with(alert=[{"state": "grave", "excluded": ["school"]}])
    assert Reason.TENANT_EXCLUDED in reasons(policy, "front-in", at_noon("teacher", alert=3))


def test_failures_from_before_a_lock_out_count_no_more_after_it_however_lately_they_were():
    site = RuledSite(rules={"lock_out": {"failures": 2, "minutes": 60, "for_minutes": 5}})
    for _ in range(2):
        site.denied("armoury-in", "private", Reason.CLEARANCE)
    site.advance(minutes=5)
    site.denied("armoury-in", "private", Reason.CLEARANCE)
    site.granted("front-in", "private")


def test_whoever_asks_about_an_earlier_instant_is_told_what_was_the_case_then():
    policy = policy_with()
    begins = replace(BADGES["sergeant"].badge, not_before=NOON)
    later, earlier, again = (
        reasons(policy, "front-in", at_noon(badge=begins), now=now) for now in (NOON, NOON - SECOND, NOON)
    )
    assert (later, earlier, again) == ([], [Reason.NOT_YET_ACTIVE], [])


def test_long_after_every_date_has_passed_and_long_before_any_came_a_badge_is_refused_for_its_dates():
    policy = policy_with()
    for years, expected in ((-50, Reason.NOT_YET_ACTIVE), (10, Reason.EXPIRED)):
        found = reasons(policy, "front-in", at_noon(), now=NOON + timedelta(days=366 * years))
        assert expected in found
