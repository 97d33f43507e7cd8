"""In company: two persons, visitors with their host, a vehicle with its driver, nobody before the first person."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.core.change import AlertChange
from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import Past
from gatekeeper.model.ids import HolderId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import (
    TICK,
    RuledSite,
    at_noon,
    companion,
    decided,
    document_with,
    policy_with,
    reasons,
)
from tests.support.sites import compiled, ground

# -- two persons ------------------------------------------------------------------------------------------------------

PAIRS = {"barrack": {"two_persons": {"seconds": 20}}}
WINDOW = timedelta(seconds=20)


def names(decision: Decision) -> set[str]:
    return {one.holder for one in decision.party}


def test_the_second_of_two_opens_for_both():
    site = RuledSite(PAIRS)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    assert site.where("private") is None
    assert names(site.ask("barrack-in", "sergeant")) == {"private"}
    assert (site.where("private"), site.where("sergeant")) == ("barrack", "barrack")


def test_both_of_two_stand_in_the_log_each_in_the_tree_of_their_tenant():
    site = RuledSite(PAIRS)
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    outcome = site.tap("barrack-in", "sergeant")
    granted, along = outcome.drafts
    assert along.public == {
        "access_point": "barrack-in",
        "from": "yard",
        "to": "barrack",
        "gate": "inner",
        "grant": granted.seq,
        "tenant": "school",
    }
    assert along.personal == {"holder": "teacher"}
    assert along.tenants == ("school", "army")
    assert (granted.kind, granted.person) == (Kind.ACCESS_GRANTED, "sergeant")
    assert (along.kind, along.person, along.public["grant"]) == (
        Kind.ACCESS_ACCOMPANIED,
        "teacher",
        granted.seq,
    )
    assert "school" in along.tenants
    assert "school" not in granted.tenants
    assert {presence.holder: presence.seq for presence in outcome.moved} == dict.fromkeys(
        ("sergeant", "teacher"), granted.seq
    )


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(), []),
        (WINDOW, []),
        (WINDOW + TICK, [Reason.NO_ACCOMPANIMENT]),
        (-TICK, [Reason.NO_ACCOMPANIMENT]),
    ],
)
def test_two_badge_within_the_window(ago: timedelta, expected: list[Reason]):
    facts = at_noon(past=Past(company=(companion("private", "army/soldier", ago=ago),)))
    assert reasons(policy_with(PAIRS), "barrack-in", facts) == expected


def test_nobody_is_two_by_badging_twice():
    site = RuledSite(PAIRS)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)


def test_a_third_person_waits_for_a_fourth():
    site = RuledSite(PAIRS)
    site.enrol("third")
    site.enrol("fourth")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "sergeant")
    site.denied("barrack-in", "third", Reason.NO_ACCOMPANIMENT)
    assert names(site.ask("barrack-in", "fourth")) == {"third"}


def test_of_two_who_wait_the_latest_goes_along():
    site = RuledSite(PAIRS | {"barrack": {"two_persons": {"seconds": 20, "differ": "tenant"}}})
    site.enrol("second-teacher", tenant="school")
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    site.denied("barrack-in", "second-teacher", Reason.INCORRECT_ACCOMPANIMENT)
    assert names(site.ask("barrack-in", "sergeant")) == {"teacher"}


def test_company_waits_at_its_own_door_only():
    site = RuledSite(PAIRS)
    site.denied("corridor", "private", Reason.NO_ACCOMPANIMENT)
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)


def test_who_came_in_by_another_door_waits_no_more_at_the_first():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.enrol("third")
    site.denied("corridor", "private", Reason.NO_ACCOMPANIMENT)
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "private")
    site.advance(seconds=1)
    site.denied("corridor", "third", Reason.NO_ACCOMPANIMENT)


def test_whoever_lacks_more_than_company_does_not_wait():
    site = RuledSite({"armoury": {"two_persons": {"seconds": 20}}})
    site.denied("armoury-in", "private", Reason.CLEARANCE, Reason.NO_ACCOMPANIMENT)
    site.denied("armoury-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    assert site.where("private") is None


@pytest.mark.parametrize(
    ("rule", "other", "expected"),
    [
        ({"differ": "holder"}, "army/soldier", []),
        ({"differ": "tenant"}, "army/soldier", [Reason.INCORRECT_ACCOMPANIMENT]),
        ({"differ": "tenant"}, "school/teacher", []),
        ({"profiles": ["army/soldier"]}, "army/soldier", []),
        ({"profiles": ["army/soldier"]}, "school/teacher", [Reason.INCORRECT_ACCOMPANIMENT]),
        ({"profiles": ["school/teacher"]}, "school/teacher", [Reason.INCORRECT_ACCOMPANIMENT]),
        ({"differ": "role", "profiles": ["army/soldier", "army/armourer"]}, "army/armourer", []),
        (
            {"differ": "role", "profiles": ["army/soldier", "army/armourer"]},
            "army/soldier",
            [Reason.INCORRECT_ACCOMPANIMENT],
        ),
        (
            {"profiles": ["army/soldier"], "differ": "tenant"},
            "army/soldier",
            [Reason.INCORRECT_ACCOMPANIMENT],
        ),
    ],
)
def test_two_count_and_differ_as_the_zone_demands(rule: dict[str, Any], other: str, expected: list[Reason]):
    """The sergeant, a soldier, asks; another waits."""
    policy = policy_with({"barrack": {"two_persons": {"seconds": 20, **rule}}})
    facts = at_noon(past=Past(company=(companion("another", other),)))
    assert reasons(policy, "barrack-in", facts) == expected


def test_one_who_has_both_roles_differs_from_nobody_who_has_one_of_them():
    rule = {"seconds": 20, "differ": "role", "profiles": ["army/soldier", "army/armourer"]}
    policy = policy_with({"barrack": {"two_persons": rule}})
    both = at_noon(
        profiles=("soldier", "armourer"), past=Past(company=(companion("another", "army/armourer"),))
    )
    assert reasons(policy, "barrack-in", both) == [Reason.INCORRECT_ACCOMPANIMENT]


@pytest.mark.parametrize("leaving", [True, False])
def test_two_leave_together_only_where_the_zone_demands_it(*, leaving: bool):
    site = RuledSite({"barrack": {"two_persons": {"seconds": 20, "leaving": leaving}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "sergeant")
    if leaving:
        site.denied("barrack-out", "private", Reason.NO_ACCOMPANIMENT)
        assert names(site.ask("barrack-out", "sergeant")) == {"private"}
    else:
        site.granted("barrack-out", "private")
        assert site.where("sergeant") == "barrack"


def test_what_was_not_taken_puts_the_whole_party_back():
    site = RuledSite(PAIRS)
    site.granted("front-in", "private")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    scan = site.granted("barrack-in", "sergeant")
    site.turned_back("barrack-in", scan)
    assert (site.where("private"), site.where("sergeant")) == ("yard", "yard")
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)


def test_what_was_not_taken_puts_the_party_back_also_after_a_restart():
    site = RuledSite(PAIRS)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    scan = site.granted("barrack-in", "sergeant")
    site.restart()
    site.turned_back("barrack-in", scan)
    assert (site.where("private"), site.where("sergeant")) == ("yard", "yard")


def test_one_of_a_party_who_moved_on_stays_where_they_went():
    site = RuledSite(PAIRS)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    scan = site.granted("barrack-in", "sergeant")
    site.granted("armoury-in", "sergeant")
    site.turned_back("barrack-in", scan)
    assert (site.where("private"), site.where("sergeant")) == ("yard", "armoury")


def test_after_a_restart_people_badge_again():
    site = RuledSite(PAIRS)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.restart()
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    assert names(site.ask("barrack-in", "private")) == {"sergeant"}


# -- escort -----------------------------------------------------------------------------------------------------------

ESCORT = {"barrack": {"escort": {"seconds": 60, "most": 2, "by": ["army/escort"]}}}


def with_visitors(*visitors: str, rules: dict[str, Any] = ESCORT, **tables: Any) -> RuledSite:
    """A site with a host, and visitors of the school."""
    site = RuledSite(rules, **tables)
    site.enrol("host", "escort")
    for visitor in visitors:
        site.enrol(visitor, tenant="school", kind=HolderKind.VISITOR)
    return site


def test_a_visitor_comes_in_after_the_host():
    site = with_visitors("visitor")
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)
    site.advance(seconds=61)
    site.granted("barrack-in", "host")
    assert site.ask("barrack-in", "visitor").host == "host"
    assert site.flow.whereabouts[HolderId("visitor")].host == "host"


def test_a_visitor_who_was_there_first_comes_in_with_the_host():
    site = with_visitors("visitor")
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)
    made = site.ask("barrack-in", "host")
    assert (names(made), made.guests) == ({"visitor"}, {"visitor"})
    assert site.presences[HolderId("visitor")].host == "host"


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(timedelta(seconds=60), []), (timedelta(seconds=60) + TICK, [Reason.NO_ESCORT]), (timedelta(), [])],
)
def test_host_and_visitor_badge_within_the_window(ago: timedelta, expected: list[Reason]):
    visitor = at_noon("teacher")
    visitor = replace(visitor, holder=replace(visitor.holder, kind=HolderKind.VISITOR))
    let_in = companion("host", "army/escort", ago=ago, waiting=False)
    facts = replace(visitor, past=Past(company=(let_in,)))
    assert reasons(policy_with(ESCORT), "barrack-in", facts) == expected
    waits = companion("guest", "school/pupil", ago=ago, kind=HolderKind.VISITOR)
    made = decided(
        policy_with(ESCORT), "barrack-in", at_noon(profiles=("escort",), past=Past(company=(waits,)))
    )
    assert made.granted
    assert (made.guests == {"guest"}) is (expected == [])


def test_a_host_brings_so_many_and_the_next_host_the_next():
    site = with_visitors("anna", "bert", "carl", "dora")
    site.denied("barrack-in", "anna", Reason.NO_ESCORT)
    assert site.ask("barrack-in", "host").guests == {"anna"}
    assert site.ask("barrack-in", "bert").host == "host"
    site.denied("barrack-in", "carl", Reason.NO_ESCORT)
    site.enrol("another-host", "escort")
    assert site.ask("barrack-in", "another-host").guests == {"carl"}
    assert site.ask("barrack-in", "dora").host == "another-host"


def test_a_host_who_badges_again_brings_no_more_than_he_may():
    site = with_visitors("anna", "bert", "carl")
    site.granted("barrack-in", "host")
    site.granted("barrack-in", "anna")
    site.granted("barrack-in", "bert")
    site.granted("barrack-in", "host")
    site.denied("barrack-in", "carl", Reason.NO_ESCORT)
    site.granted("barrack-out", "anna")
    site.advance(minutes=5)
    site.granted("barrack-in", "host")
    assert site.ask("barrack-in", "carl").host == "host"


def test_of_too_many_visitors_who_wait_the_latest_come_along():
    site = with_visitors("anna", "bert", "carl")
    for visitor in ("anna", "bert", "carl"):
        site.denied("barrack-in", visitor, Reason.NO_ESCORT)
    assert site.ask("barrack-in", "host").guests == {"bert", "carl"}
    site.denied("barrack-in", "anna", Reason.NO_ESCORT)


@pytest.mark.parametrize(
    ("brought", "expected"), [(0, {"bert", "carl"}), (1, {"carl"}), (2, set()), (3, set())]
)
def test_a_host_takes_along_as_many_as_there_is_room_for_and_comes_in_without_the_others(
    brought: int, expected: set[str]
):
    waiting = tuple(
        companion(name, "school/pupil", kind=HolderKind.VISITOR) for name in ("anna", "bert", "carl")
    )
    host = at_noon(profiles=("escort",), past=Past(brought=brought, company=waiting))
    made = decided(policy_with(ESCORT), "barrack-in", host)
    assert (made.granted, made.guests) == (True, expected)


def test_a_host_leaves_after_the_visitors_he_brought():
    site = with_visitors("visitor")
    site.granted("barrack-in", "host")
    site.granted("barrack-in", "visitor")
    site.denied("barrack-out", "host", Reason.VISITORS_INSIDE)
    site.restart()
    site.denied("barrack-out", "host", Reason.VISITORS_INSIDE)
    site.granted("barrack-out", "visitor")
    site.granted("barrack-out", "host")


def test_a_host_need_not_wait_for_a_visitor_who_never_passed_the_door():
    site = with_visitors("visitor")
    site.granted("barrack-in", "host")
    site.turned_back("barrack-in", site.granted("barrack-in", "visitor"))
    site.granted("barrack-out", "host")


def test_a_visitor_may_leave_before_the_host_and_alone():
    site = with_visitors("visitor")
    site.granted("barrack-in", "host")
    site.granted("barrack-in", "visitor")
    site.advance(hours=2)
    site.granted("barrack-out", "visitor")


def test_whoever_receives_a_visitor_may_bring_this_one_and_no_other():
    site = with_visitors("other")
    site.enrol("guest", kind=HolderKind.VISITOR, host=HolderId("private"))
    site.granted("barrack-in", "private")
    assert site.ask("barrack-in", "guest").host == "private"
    site.denied("barrack-in", "other", Reason.NO_ESCORT)
    site.granted("barrack-in", "sergeant")
    assert site.where("other") is None


def test_who_may_escort_needs_no_host_whatever_their_kind():
    site = with_visitors()
    site.enrol("major", "escort", kind=HolderKind.VISITOR)
    site.granted("barrack-in", "major")


@pytest.mark.parametrize("kind", HolderKind)
def test_holders_of_the_named_kinds_need_a_host_and_others_do_not(kind: HolderKind):
    escort = {"seconds": 60, "most": 2, "by": ["army/escort"], "kinds": ["contractor", "reservist"]}
    facts = at_noon()
    facts = replace(facts, holder=replace(facts.holder, kind=kind))
    needs = kind in {HolderKind.CONTRACTOR, HolderKind.RESERVIST}
    expected = [Reason.NO_ESCORT] if needs else []
    assert reasons(policy_with({"barrack": {"escort": escort}}), "barrack-in", facts) == expected
    assert reasons(policy_with({"barrack": {"escort": escort}}), "barrack-out", facts) == []


def test_a_host_who_waits_himself_brings_nobody_yet():
    """He lacks a second person; the visitor after him has no host who was let in."""
    rules = {
        "barrack": ESCORT["barrack"]
        | {"two_persons": {"seconds": 20, "profiles": ["army/escort", "army/soldier"]}}
    }
    site = with_visitors("visitor", rules=rules)
    site.denied("barrack-in", "host", Reason.NO_ACCOMPANIMENT)
    site.denied("barrack-in", "visitor", Reason.INCORRECT_ACCOMPANIMENT, Reason.NO_ESCORT)


def test_an_alert_state_asks_for_a_host_in_every_zone_beside_a_zones_own_rule():
    everywhere = {"escort": {"seconds": 60, "most": 1, "by": ["army/keyholder"]}}
    site = with_visitors("visitor")
    site.write(document_with(ESCORT, alert=[{"state": "tense", "escort": True}], rules=everywhere))
    site.enrol("keyholder", "keyholder")
    site.granted("front-in", "visitor")
    site.granted("front-out", "visitor")
    site.changed(AlertChange(state="tense"))
    site.granted("front-in", "host")
    site.denied("front-in", "visitor", Reason.NO_ESCORT)
    assert site.ask("front-in", "keyholder").guests == {"visitor"}
    site.granted("barrack-in", "keyholder")
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)
    assert site.ask("barrack-in", "host").guests == frozenset()
    site.enrol("major", "escort", "keyholder")
    assert site.ask("barrack-in", "major").guests == {"visitor"}


# -- a vehicle and its driver -----------------------------------------------------------------------------------------

BARRIER = {"yard": {"driver": {"seconds": 30}}}


@pytest.mark.parametrize("order", [("truck", "private"), ("private", "truck")])
def test_a_vehicle_and_its_driver_badge_in_either_order_in_and_out(order: tuple[str, str]):
    site = RuledSite(BARRIER)
    site.enrol("truck", kind=HolderKind.VEHICLE)
    first, second = order
    for door in ("front-in", "front-out"):
        site.denied(door, first, Reason.NO_DRIVER)
        assert names(site.ask(door, second)) == {first}
    assert (site.where("truck"), site.where("private")) == ("outside", "outside")


@pytest.mark.parametrize(
    ("me", "other", "ago", "expected"),
    [
        (HolderKind.STAFF, HolderKind.VEHICLE, timedelta(seconds=30), []),
        (HolderKind.STAFF, HolderKind.VEHICLE, timedelta(seconds=30) + TICK, [Reason.NO_DRIVER]),
        (HolderKind.STAFF, HolderKind.CONTRACTOR, timedelta(), [Reason.NO_DRIVER]),
        (HolderKind.VEHICLE, HolderKind.VEHICLE, timedelta(), [Reason.NO_DRIVER]),
        (HolderKind.VEHICLE, HolderKind.VISITOR, timedelta(), []),
    ],
)
def test_one_of_two_at_a_barrier_is_a_vehicle_and_the_other_is_not(
    me: HolderKind, other: HolderKind, ago: timedelta, expected: list[Reason]
):
    facts = at_noon(past=Past(company=(companion("another", "army/soldier", ago=ago, kind=other),)))
    facts = replace(facts, holder=replace(facts.holder, kind=me))
    assert reasons(policy_with(BARRIER), "front-in", facts) == expected


def test_a_vehicle_that_is_turned_back_is_outside_with_its_driver():
    site = RuledSite(BARRIER)
    site.enrol("truck", kind=HolderKind.VEHICLE)
    site.denied("front-in", "truck", Reason.NO_DRIVER)
    site.turned_back("front-in", site.granted("front-in", "private"))
    assert (site.where("truck"), site.where("private")) == ("outside", "outside")


# -- first person in --------------------------------------------------------------------------------------------------

KEYHOLDERS = {"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}}


def test_nobody_enters_before_the_keyholder_and_it_holds_for_so_long():
    site = RuledSite(KEYHOLDERS)
    site.enrol("keyholder", "keyholder")
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)
    site.granted("barrack-out", "private")
    site.granted("barrack-in", "keyholder")
    site.granted("barrack-in", "private")
    site.advance(hours=8, microseconds=-1)
    site.restart()
    site.granted("barrack-in", "private")
    site.advance(microseconds=1)
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)


def test_a_keyholder_who_comes_again_opens_for_as_long_again():
    site = RuledSite(KEYHOLDERS)
    site.enrol("keyholder", "keyholder")
    site.granted("barrack-in", "keyholder")
    site.advance(hours=7)
    site.granted("corridor", "keyholder")
    site.advance(hours=7)
    site.granted("barrack-in", "private")


def test_a_keyholder_opens_the_zones_that_he_comes_into_and_no_other():
    rules = KEYHOLDERS | {"armoury": KEYHOLDERS["barrack"]}
    site = RuledSite(rules)
    site.enrol("keyholder", "keyholder")
    site.granted("front-in", "keyholder")
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)
    site.granted("barrack-in", "keyholder")
    site.denied("armoury-in", "sergeant", Reason.FIRST_PERSON)
    assert [zone for zone, _ in site.openings] == ["barrack"]


def test_a_keyholder_who_is_refused_opens_nothing():
    site = RuledSite(KEYHOLDERS)
    site.enrol("keyholder", "keyholder", clearance=1)
    site.denied("barrack-in", "keyholder", Reason.CLEARANCE)
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)


# -- rules beside one another -----------------------------------------------------------------------------------------

ESCORTED = {"seconds": 60, "most": 1, "by": ["army/escort"]}


def test_a_visitor_without_a_host_is_not_brought_in_as_somebodys_second_person():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 20}, "escort": ESCORTED}})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "visitor", Reason.NO_ACCOMPANIMENT, Reason.NO_ESCORT)
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    assert site.where("visitor") is None
    decision = site.ask("barrack-in", "host")
    assert {one.holder for one in decision.party} == {"visitor", "private"}
    assert decision.guests == {"visitor"}
    assert site.flow.whereabouts["visitor"].host == "host"


def test_a_visitor_without_a_host_is_no_company_for_one_who_would_be_alone():
    site = RuledSite({"barrack": {"occupancy": {"least": 2}, "escort": ESCORTED}})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.denied("barrack-in", "visitor", Reason.LOWER_OCCUPANCY, Reason.NO_ESCORT)
    site.denied("barrack-in", "private", Reason.LOWER_OCCUPANCY)


def test_a_host_brings_no_more_than_he_may_also_when_a_second_person_is_among_them():
    """The one before is his second person, and the latest would be one visitor too many."""
    pairs = {"seconds": 20, "differ": "tenant"}
    site = RuledSite({"barrack": {"two_persons": pairs, "escort": ESCORTED}})
    site.enrol("pupil-anna", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("uncle", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "pupil-anna", Reason.NO_ACCOMPANIMENT, Reason.NO_ESCORT)
    site.denied("barrack-in", "uncle", Reason.NO_ACCOMPANIMENT, Reason.NO_ESCORT)
    assert site.ask("barrack-in", "host").guests == {"pupil-anna"}
    assert site.where("uncle") is None


def test_a_host_who_has_brought_as_many_as_he_may_takes_no_visitor_for_his_second_person():
    policy = policy_with({"barrack": {"two_persons": {"seconds": 20}, "escort": ESCORTED}})
    visitor = companion("visitor", "school/pupil", kind=HolderKind.VISITOR)
    host = at_noon(profiles=("escort",), past=Past(brought=1, company=(visitor,)))
    assert reasons(policy, "barrack-in", host) == [Reason.NO_ESCORT]


def test_a_host_whom_the_alert_state_asks_for_leaves_after_the_visitors_too():
    site = RuledSite(alert=[{"state": "tense", "escort": True}], rules={"escort": ESCORTED})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.changed(AlertChange(state="tense"))
    site.granted("front-in", "host")
    assert site.ask("front-in", "visitor").host == "host"
    site.denied("front-out", "host", Reason.VISITORS_INSIDE)
    site.granted("front-out", "visitor")
    site.granted("front-out", "host")


OPENED_BY_A_KEYHOLDER = {"profiles": ["army/keyholder"], "hours": 8}


def test_a_zone_for_two_is_opened_by_two_of_whom_one_may_open_it():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 20}, "first_person": OPENED_BY_A_KEYHOLDER}})
    site.enrol("keyholder", "keyholder")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT, Reason.FIRST_PERSON)
    site.denied("barrack-in", "keyholder", Reason.NO_ACCOMPANIMENT)
    assert {one.holder for one in site.ask("barrack-in", "private").party} == {"keyholder"}
    assert [(zone, at) for (zone, _), at in site.openings.items()] == [("barrack", site.now)]


def test_a_visitor_opens_a_zone_for_nobody_else():
    escort = {"seconds": 60, "most": 1, "by": ["army/escort"]}
    first = {"profiles": ["school/caretaker"], "hours": 8}
    site = RuledSite({"barrack": {"escort": escort, "first_person": first}})
    site.enrol("caretaker", "caretaker", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "caretaker", Reason.NO_ESCORT)
    site.denied("barrack-in", "host", Reason.FIRST_PERSON)
    assert site.openings == {}


def test_a_zones_rule_for_two_persons_is_not_hidden_by_that_of_a_zone_within():
    """One way into two zones, each with its rule; what is on trial in one does not silence the other."""
    door = {
        "id": "back-in", "gate": "inner", "from": "outside", "to": "barrack", "direction": "in",
        "name": {"en": "Back door", "nl": "Achterdeur"},
    }  # fmt: skip
    document = document_with(
        {
            "yard": {"two_persons": {"seconds": 20, "profiles": ["army/keyholder"]}},
            "barrack": {"two_persons": {"seconds": 20}},
        },
        rules={"shadow": ["denied-no-accompaniment"]},
    )
    document["access_point"].append(door)
    policy = compiled(document, trust=ground().trust)[1]
    made = decided(policy, "back-in", at_noon())
    assert (made.granted, made.reasons) == (False, (Reason.INCORRECT_ACCOMPANIMENT,))
    assert made.shadow == (Reason.NO_ACCOMPANIMENT,)


def test_a_hosts_second_person_takes_no_visitors_place():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}, "escort": ESCORTED}})
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR)
    site.enrol("host", "escort")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "host")
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    assert site.ask("barrack-in", "visitor").host == "host"


def test_who_waited_under_a_former_policy_badges_again_under_the_new_one():
    rules = {"barrack": {"two_persons": {"seconds": 20}}}
    site = RuledSite(rules)
    site.enrol("teacher-anna", tenant="school")
    site.denied("barrack-in", "teacher-anna", Reason.NO_ACCOMPANIMENT)
    vetoed = {"tenant": "school", "zone": "barrack", "why": {"en": "Exercise", "nl": "Oefening"}}
    site.write(document_with(rules, veto=[vetoed]))
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    assert site.where("teacher-anna") is None
