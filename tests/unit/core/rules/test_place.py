"""Where people are: nobody twice, nobody from nowhere, nobody too soon; no zone too full, nobody alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper.core.change import ForgivenessChange
from gatekeeper.core.facts import Past
from gatekeeper.model.ids import AccessPointId, HolderId, ZoneId
from gatekeeper.model.messages import PassageOutcome, StatusKind
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
from tests.support.sites import NOON

ALERTS = [{"state": "tense", "escort": True}]
HOSTED = {"seconds": 60, "most": 1, "by": ["army/soldier"]}


def test_who_would_be_alone_is_no_less_alone_because_a_higher_alert_state_brings_a_visitor():
    """He waits for longer than the two of the zone may: in a calm state he is no company, and in a tense one neither."""
    policy = policy_with(
        {"barrack": {"occupancy": {"least": 2, "seconds": 20}}}, alert=ALERTS, rules={"escort": HOSTED}
    )
    visitor = companion("guest", "school/pupil", ago=timedelta(seconds=30), kind=HolderKind.VISITOR)
    facts = at_noon(past=Past(company=(visitor,)))
    assert reasons(policy, "barrack-in", facts) == [Reason.LOWER_OCCUPANCY]
    assert reasons(policy, "barrack-in", replace(facts, alert=1)) == [Reason.LOWER_OCCUPANCY]
    lately = replace(facts, past=Past(company=(replace(visitor, at=visitor.at + timedelta(seconds=10)),)))
    assert (
        reasons(policy, "barrack-in", lately) == reasons(policy, "barrack-in", replace(lately, alert=1)) == []
    )


# -- anti-passback ----------------------------------------------------------------------------------------------------

TEN_MINUTES = {"anti_passback": "timed", "passback_minutes": 10}
HALF_A_DAY = timedelta(hours=12)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(), [Reason.PASSBACK]),
        (timedelta(minutes=10) - TICK, [Reason.PASSBACK]),
        (timedelta(minutes=10), []),
        (None, [Reason.PASSBACK]),
    ],
)
def test_timed_anti_passback_refuses_for_so_long_after_entering(
    ago: timedelta | None, expected: list[Reason]
):
    since = None if ago is None else NOON - ago
    facts = at_noon(whereabouts=ZoneId("barrack"), past=Past(since=since))
    assert reasons(policy_with({"barrack": TEN_MINUTES}), "barrack-in", facts) == expected


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_after_so_long_in_a_zone_nobody_is_believed_to_be_there(mode: str):
    policy = policy_with({"barrack": {"anti_passback": mode, "passback_forgotten_hours": 12}})
    refused = [Reason.PASSBACK if mode == "hard" else Reason.PASSBACK_DETECTED]
    for ago, expected in ((HALF_A_DAY - TICK, refused), (HALF_A_DAY, []), (None, refused)):
        since = None if ago is None else NOON - ago
        facts = at_noon(whereabouts=ZoneId("armoury"), past=Past(since=since))
        assert reasons(policy, "barrack-in", facts) == expected


def test_a_badge_handed_back_over_the_fence_does_not_open_again():
    site = RuledSite({"barrack": {"anti_passback": "hard"}})
    site.granted("barrack-in", "private")
    site.denied("barrack-in", "private", Reason.PASSBACK)
    site.restart()
    site.denied("corridor", "private", Reason.PASSBACK)
    site.granted("barrack-out", "private")
    site.granted("barrack-in", "private")


def test_whoever_did_not_pass_may_try_again():
    site = RuledSite({"barrack": {"anti_passback": "hard"}})
    site.turned_back("barrack-in", site.granted("barrack-in", "private"))
    site.granted("barrack-in", "private")


def test_an_operator_forgives_at_once_and_the_site_keeps_to_it():
    site = RuledSite({"barrack": {"anti_passback": "hard"}})
    site.granted("barrack-in", "private")
    site.changed(ForgivenessChange(holder=HolderId("private")))
    site.restart()
    assert site.where("private") is None
    site.granted("barrack-in", "private")


def test_timed_anti_passback_by_signed_bytes_over_a_restart():
    site = RuledSite({"barrack": TEN_MINUTES})
    site.granted("barrack-in", "private")
    site.advance(minutes=9, seconds=59)
    site.restart()
    site.denied("barrack-in", "private", Reason.PASSBACK)
    site.advance(seconds=1)
    site.granted("barrack-in", "private")


# -- unexpected location ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("door", "here", "expected"),
    [
        ("barrack-in", None, False),
        ("barrack-in", "yard", False),
        ("barrack-in", "shed", True),
        ("barrack-in", "outside", True),
        ("barrack-in", "armoury", False),  # inside already: that is anti-passback's to say
        ("corridor", "school-house", False),
        ("corridor", "yard", True),
        ("barrack-out", "outside", False),  # asked of those who come in
        ("armoury-in", "outside", False),  # the armoury does not ask
    ],
)
@pytest.mark.parametrize("enforcement", ["hard", "soft"])
def test_whoever_asks_is_where_the_door_leads_out_of(
    door: str, here: str | None, enforcement: str, *, expected: bool
):
    policy = policy_with({"barrack": {"unexpected_location": enforcement}})
    made = decided(policy, door, at_noon(whereabouts=None if here is None else ZoneId(here)))
    said = (Reason.UNEXPECTED_LOCATION,) if expected else ()
    assert (made.reasons, made.shadow) == ((said, ()) if enforcement == "hard" else ((), said))
    assert made.granted is not (expected and enforcement == "hard")


# -- travel -----------------------------------------------------------------------------------------------------------

FAR_APART = [{"between": ["front-in", "barrack-in"], "seconds": 60}]
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("last", "ago", "door", "expected"),
    [
        ("front-in", MINUTE - TICK, "barrack-in", [Reason.IMPOSSIBLE_TRAVEL]),
        ("front-in", MINUTE, "barrack-in", []),
        ("barrack-in", timedelta(), "front-in", [Reason.IMPOSSIBLE_TRAVEL]),
        ("shed-in", timedelta(), "barrack-in", []),
        ("barrack-in", timedelta(), "barrack-in", []),
        ("front-in", timedelta(), "corridor", []),
    ],
)
def test_nobody_gets_from_one_door_to_another_in_less(
    last: str, ago: timedelta, door: str, expected: list[Reason]
):
    facts = at_noon(past=Past(last_point=AccessPointId(last), last_at=NOON - ago))
    assert reasons(policy_with(travel=FAR_APART), door, facts) == expected


def test_a_copied_badge_is_in_two_places_and_a_refusal_is_no_use_of_it():
    site = RuledSite(travel=FAR_APART)
    site.granted("front-in", "private")
    site.advance(seconds=30)
    site.restart()
    site.denied("barrack-in", "private", Reason.IMPOSSIBLE_TRAVEL)
    site.advance(seconds=30)
    site.granted("barrack-in", "private")


# -- interlock --------------------------------------------------------------------------------------------------------

LOCK = [{"id": "sluice", "access_points": ["barrack-in", "armoury-in"]}]


def test_while_one_door_of_a_lock_is_open_the_other_stays_shut():
    site = RuledSite(interlock=LOCK)
    site.granted("barrack-in", "sergeant")
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)
    site.granted("barrack-in", "private")
    site.granted("shed-in", "sergeant")
    site.advance(seconds=9, microseconds=-1)  # four of unlocking and five of grace after the last grant
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)
    site.advance(microseconds=1)
    site.granted("armoury-in", "sergeant")


def test_a_door_that_nobody_took_is_shut_at_once():
    site = RuledSite(interlock=LOCK)
    site.turned_back("barrack-in", site.granted("barrack-in", "sergeant"))
    site.granted("armoury-in", "sergeant")


def test_a_door_that_was_taken_keeps_the_other_shut_until_it_is_seen_closed():
    site = RuledSite(interlock=LOCK)
    scan = site.granted("barrack-in", "sergeant")
    site.advance(seconds=1)
    site.recorded(site.passage("barrack-in", PassageOutcome.TAKEN, scan=scan))
    site.advance(days=1)
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)
    site.recorded(site.status("inner", StatusKind.CLOSED_AGAIN, access_point="barrack-in"))
    site.advance(microseconds=1)
    site.granted("armoury-in", "sergeant")


@pytest.mark.parametrize("outcome", [PassageOutcome.HELD_OPEN, PassageOutcome.FORCED])
def test_a_door_that_is_held_or_forced_keeps_the_other_shut(outcome: PassageOutcome):
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", outcome))
    site.advance(minutes=5)
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)


def test_doors_of_different_locks_do_not_wait_for_each_other():
    locks = [
        {"id": "one", "access_points": ["barrack-in", "armoury-in"]},
        {"id": "two", "access_points": ["front-in", "shed-in"]},
    ]
    policy = policy_with(interlock=locks)
    for door, opened, expected in (
        ("armoury-in", "barrack-in", [Reason.INTERLOCK]),
        ("armoury-in", "front-in", []),
        ("armoury-in", "armoury-in", []),
        ("front-in", "shed-in", [Reason.INTERLOCK]),
    ):
        facts = at_noon(past=Past(open_doors=frozenset({AccessPointId(opened)})))
        assert reasons(policy, door, facts) == expected


# -- occupancy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inside", "expected"), [(0, []), (1, []), (2, [Reason.UPPER_OCCUPANCY])])
def test_a_zone_holds_as_many_as_it_may(inside: int, expected: list[Reason]):
    policy = policy_with({"barrack": {"occupancy": {"most": 2}}})
    crowd = at_noon(past=Past(crowds={ZoneId("barrack"): inside}))
    assert reasons(policy, "barrack-in", crowd) == expected
    assert reasons(policy, "barrack-out", crowd) == []
    assert reasons(policy, "armoury-in", crowd) == []


def test_who_is_deeper_inside_counts_and_a_soft_limit_is_reported():
    hard, soft = {"occupancy": {"most": 1}}, {"occupancy": {"most": 1, "enforcement": "soft"}}
    site = RuledSite({"yard": soft, "barrack": hard})
    site.granted("front-in", "sergeant")
    assert site.ask("front-in", "private").shadow == (Reason.UPPER_OCCUPANCY,)
    site.granted("armoury-in", "sergeant")
    site.denied("barrack-in", "private", Reason.UPPER_OCCUPANCY)
    site.restart()
    site.denied("barrack-in", "private", Reason.UPPER_OCCUPANCY)
    site.granted("barrack-out", "sergeant")
    site.granted("barrack-in", "private")


def test_who_comes_back_does_not_count_twice_and_who_is_turned_back_does_not_count():
    site = RuledSite({"barrack": {"occupancy": {"most": 1}}})
    site.granted("barrack-in", "private")
    site.granted("barrack-in", "private")
    site.turned_back("barrack-in", site.granted("barrack-in", "private"))
    assert site.where("private") == "yard"  # before the door at which they asked again
    site.turned_back("barrack-in", site.granted("barrack-in", "private"))
    site.granted("barrack-in", "sergeant")


def test_exempt_profiles_neither_count_nor_are_refused():
    site = RuledSite({"barrack": {"occupancy": {"most": 1, "exempt": ["army/armourer"]}}})
    site.enrol("armourer", "armourer", "soldier")
    site.granted("barrack-in", "armourer")
    site.granted("barrack-in", "private")
    site.denied("barrack-in", "sergeant", Reason.UPPER_OCCUPANCY)
    site.granted("barrack-in", "armourer")


def test_a_limit_that_a_new_policy_brings_counts_who_is_there_already():
    site = RuledSite()
    site.granted("barrack-in", "private")
    site.write(document_with({"barrack": {"occupancy": {"most": 1}}}))
    site.denied("barrack-in", "sergeant", Reason.UPPER_OCCUPANCY)


def test_two_go_in_and_out_together_where_nobody_may_be_alone():
    site = RuledSite({"barrack": {"occupancy": {"least": 2, "seconds": 10}}})
    site.denied("barrack-in", "private", Reason.LOWER_OCCUPANCY)
    site.advance(seconds=10)
    assert {one.holder for one in site.ask("barrack-in", "sergeant").party} == {"private"}
    site.enrol("third")
    site.granted("barrack-in", "third")
    site.granted("barrack-out", "third")
    site.denied("barrack-out", "private", Reason.LOWER_OCCUPANCY)
    site.advance(seconds=10)
    assert {one.holder for one in site.ask("barrack-out", "sergeant").party} == {"private"}
    assert (site.where("private"), site.where("sergeant")) == ("yard", "yard")


def test_two_who_badge_too_far_apart_are_each_alone():
    site = RuledSite({"barrack": {"occupancy": {"least": 2, "seconds": 10}}})
    site.denied("barrack-in", "private", Reason.LOWER_OCCUPANCY)
    site.advance(seconds=10, microseconds=1)
    site.denied("barrack-in", "sergeant", Reason.LOWER_OCCUPANCY)


@pytest.mark.parametrize(("inside", "expected"), [(0, []), (1, [Reason.LOWER_OCCUPANCY]), (2, []), (7, [])])
def test_the_last_of_all_may_leave_and_the_last_but_one_may_not(inside: int, expected: list[Reason]):
    policy = policy_with({"barrack": {"occupancy": {"least": 2}}})
    assert reasons(policy, "barrack-out", at_noon(past=Past(crowds={ZoneId("barrack"): inside}))) == expected


def test_a_party_fills_a_zone_as_one():
    """One waits, and with the second they would be one too many."""
    policy = policy_with({"barrack": {"occupancy": {"most": 2, "least": 2}}})
    facts = at_noon(past=Past(crowds={ZoneId("barrack"): 1}, company=(companion("private", "army/soldier"),)))
    assert reasons(policy, "barrack-in", facts) == [Reason.UPPER_OCCUPANCY]
