"""Harm that is done to the site and to its users by what comes late, twice or together: what must hold in spite of it."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatekeeper import cose
from gatekeeper.core.change import (
    BadgeStateChange,
    GuardChange,
    HolderChange,
    SuspensionChange,
)
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, TenantId
from gatekeeper.model.messages import PassageOutcome, StatusKind, Verdict
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import PIN, PIN_RECORD, RuledSite, document_with
from tests.support.sites import issue, register_holder

VISITOR, VEHICLE = HolderKind.VISITOR, HolderKind.VEHICLE
NOT_TAKEN, TAKEN = PassageOutcome.NOT_TAKEN, PassageOutcome.TAKEN
EXPIRED_ON = datetime(2026, 6, 1, tzinfo=UTC)
ESCORT = {"by": ["army/escort"], "seconds": 60, "most": 2}
HARD = {"barrack": {"anti_passback": "hard"}}
FIRST = {"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}}
LOCK = {"interlock": [{"id": "lock", "access_points": ["barrack-in", "armoury-in"]}]}


# -- a scan that comes after its gate gave it up -----------------------------------------------------------------------


def test_a_scan_that_its_gate_gave_up_lets_nobody_through():
    site = RuledSite(HARD)
    late = site.scan("barrack-in", "sergeant")
    site.recorded(site.journals("inner", site.passage("barrack-in", NOT_TAKEN, scan=late), 1))
    denied = site.recorded(late)
    assert (denied.answer.verdict, denied.decision.reasons) == (Verdict.DENIED, (Reason.STALE_PROOF,))
    assert site.where("sergeant") is None
    assert site.repeated(late).receipt is denied.receipt
    site.granted("barrack-in", "sergeant")


def test_who_was_given_up_is_not_the_second_of_two_persons_to_the_next_engine_either():
    """The broker held the scan of somebody who has left for the engine that heard nothing of it."""
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.enrol("other")
    late = site.scan("barrack-in", "other")
    site.recorded(site.passage("barrack-in", NOT_TAKEN, scan=late))
    site.restart()
    assert site.recorded(late).answer.verdict is Verdict.DENIED
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)


def test_a_scan_that_its_gate_gave_up_lets_nobody_through_under_its_second_signature_either():
    site = RuledSite(HARD)
    late = site.scan("barrack-in", "sergeant")
    site.recorded(site.passage("barrack-in", NOT_TAKEN, scan=late))
    twin = cose.twin(late.wire)
    assert twin is not None
    assert site.recorded(replace(late, wire=twin)).answer.verdict is Verdict.DENIED


def test_what_comes_late_with_a_beacon_of_long_ago_is_denied_for_that_once():
    site = RuledSite(HARD)
    late = site.scan("barrack-in", "sergeant")
    site.recorded(site.passage("barrack-in", NOT_TAKEN, scan=late))
    site.advance(minutes=1)
    assert site.recorded(late).decision.reasons == (Reason.STALE_PROOF,)


def test_no_gate_gives_up_another_s_scan_or_makes_the_site_forget_what_another_gave_up():
    site = RuledSite(HARD)
    scan, late = site.scan("barrack-in", "sergeant"), site.scan("barrack-in", "private")
    site.recorded(site.passage("front-in", NOT_TAKEN, scan=scan))
    assert site.recorded(scan).answer.verdict is Verdict.GRANTED
    site.recorded(site.passage("barrack-in", NOT_TAKEN, scan=late))
    for number in range(2000):
        site.flow.sequences.give_up(hashlib.sha256(number.to_bytes(2)).digest(), GateId("front"))
    assert site.recorded(late).answer.verdict is Verdict.DENIED


# -- a gate that was cut off, and tells late --------------------------------------------------------------------------


def test_a_passage_that_is_told_late_does_not_hide_that_its_holder_left_since():
    site = RuledSite(HARD)
    scan = site.granted("barrack-in", "sergeant")
    passage = site.passage("barrack-in", TAKEN, scan=scan)
    site.advance(hours=1)
    site.recorded(passage)
    site.recorded(site.late("barrack-out", "sergeant", timedelta(minutes=30)))
    assert site.where("sergeant") == "yard"
    site.granted("barrack-in", "sergeant")


def test_a_turning_back_that_is_told_late_does_not_hide_where_its_holder_was_let_in_since():
    site = RuledSite(HARD)
    scan = site.granted("barrack-in", "sergeant")
    passage = site.passage("barrack-in", NOT_TAKEN, scan=scan)
    site.advance(hours=1)
    site.recorded(passage)
    site.recorded(site.late("barrack-in", "sergeant", timedelta(minutes=30)))
    assert site.where("sergeant") == "barrack"


def test_a_first_person_whom_a_gate_alone_let_in_and_who_turned_back_has_opened_nothing():
    site = RuledSite(FIRST)
    site.enrol("keyholder", "keyholder")
    scan = site.late("barrack-in", "keyholder", timedelta(minutes=1))
    site.recorded(scan)
    site.turned_back("barrack-in", scan)
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


def test_who_turned_back_where_a_gate_alone_let_him_in_is_not_inside():
    site = RuledSite(HARD)
    scan = site.late("barrack-in", "sergeant", timedelta(minutes=1))
    site.recorded(scan)
    site.turned_back("barrack-in", scan)
    site.granted("barrack-in", "sergeant")


def test_an_expired_badge_that_a_gate_alone_let_in_is_no_first_person():
    site = RuledSite(FIRST)
    site.enrol("keyholder", "keyholder", badge={"expires": EXPIRED_ON})
    site.denied("barrack-in", "keyholder", Reason.EXPIRED)
    site.recorded(site.late("barrack-in", "keyholder", timedelta(minutes=1)))
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


# -- who did not pass -------------------------------------------------------------------------------------------------


def test_who_was_nowhere_and_turned_back_is_nowhere_again():
    site = RuledSite({"barrack": {"unexpected_location": "hard"}})
    scan = site.granted("barrack-in", "sergeant")
    site.advance(seconds=5)
    site.turned_back("barrack-in", scan)
    site.granted("barrack-in", "sergeant")


def test_two_grants_that_are_not_taken_leave_the_holder_where_he_was_whichever_is_told_first():
    site = RuledSite()
    first = site.granted("school-in", "sergeant")
    site.advance(seconds=1)
    second = site.granted("barrack-in", "sergeant")
    site.turned_back("barrack-in", second)
    site.turned_back("school-in", first)
    assert site.where("sergeant") not in {"school-house", "barrack"}


def test_two_grants_that_are_not_taken_leave_the_holder_where_he_was_also_after_a_takeover():
    site = RuledSite()
    first = site.granted("school-in", "sergeant")
    site.advance(seconds=1)
    second = site.granted("barrack-in", "sergeant")
    site.restart()
    site.turned_back("school-in", first)
    site.turned_back("barrack-in", second)
    assert site.where("sergeant") not in {"school-house", "barrack"}


def test_three_grants_that_are_not_taken_leave_the_holder_where_he_was():
    site = RuledSite()
    scans = []
    for point in ("school-in", "barrack-in", "shed-in"):
        scans.append((point, site.granted(point, "sergeant")))
        site.advance(seconds=1)
    for point, scan in scans:
        site.turned_back(point, scan)
    assert site.where("sergeant") not in {"school-house", "barrack", "shed"}


def test_a_companion_who_passes_neither_of_two_doors_is_where_he_was():
    site = RuledSite({"school-house": {"two_persons": {"seconds": 60}}})
    site.enrol("other")
    site.denied("school-in", "other", Reason.NO_ACCOMPANIMENT)
    first = site.granted("school-in", "sergeant")
    site.advance(seconds=1)
    second = site.granted("barrack-in", "other")
    site.turned_back("school-in", first)
    site.turned_back("barrack-in", second)
    assert site.where("other") not in {"school-house", "barrack"}


def test_a_badge_for_one_use_with_which_nobody_passed_is_not_used_up():
    site = RuledSite()
    site.enrol("guest", badge={"max_uses": 1})
    scan = site.granted("front-in", "guest")
    site.advance(seconds=5)
    site.turned_back("front-in", scan)
    site.granted("front-in", "guest")


# -- a guard's word ---------------------------------------------------------------------------------------------------


def test_a_guards_yes_to_a_scan_that_its_gate_has_given_up_lets_nobody_in():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "anti_passback": "hard"}})
    scan = site.scan("barrack-in", "sergeant")
    found = site.recorded(scan)
    assert found.answer.verdict is Verdict.WAITING
    site.advance(seconds=6)
    site.turned_back("barrack-in", scan)
    site.advance(seconds=4)
    site.supervise(GuardChange(entry=found.receipt.seq, yes=True))
    assert site.where("sergeant") is None


def test_a_companion_who_badges_again_while_the_guard_looks_still_comes_along():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "two_persons": {"seconds": 60}}})
    site.enrol("other")
    site.denied("barrack-in", "other", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=2)
    found = site.waiting("sergeant")
    site.advance(seconds=2)
    site.denied("barrack-in", "other", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=2)
    assert site.answer(found, yes=True).granted


def test_a_host_who_is_let_in_again_while_the_guard_looks_at_his_guest_is_still_the_host():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "escort": ESCORT}})
    site.enrol("host", "escort")
    site.enrol("guest", kind=VISITOR)
    assert site.answer(site.waiting("host"), yes=True).granted
    site.advance(seconds=2)
    found = site.waiting("guest")
    site.advance(seconds=2)
    assert site.answer(site.waiting("host"), yes=True).granted
    assert site.answer(found, yes=True).granted


def test_a_guard_who_says_nothing_locks_nobodys_badge_out():
    lock_out = {"failures": 2, "minutes": 10, "for_minutes": 60}
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}}}, rules={"lock_out": lock_out})
    for _ in range(2):
        found = site.waiting("sergeant")
        site.advance(seconds=31)
        assert site.flow.settle(found.receipt.seq, GuardsWord.SILENCE, now=site.now) is not None
    site.granted("front-in", "sergeant")


# -- doors ------------------------------------------------------------------------------------------------------------


def test_a_door_whose_closing_is_told_after_its_next_release_is_not_open_for_ever():
    site = RuledSite(**LOCK)
    site.enrol("other")
    scan = site.granted("armoury-in", "sergeant")
    site.recorded(site.passage("armoury-in", TAKEN, scan=scan))
    closed = site.status("inner", StatusKind.CLOSED_AGAIN, access_point=AccessPointId("armoury-in"))
    scan = site.granted("armoury-in", "sergeant")
    site.recorded(closed)
    site.turned_back("armoury-in", scan)
    site.advance(minutes=10)
    site.granted("barrack-in", "other")


def test_who_is_in_a_zone_that_the_site_has_no_more_may_be_anywhere():
    rules = {"barrack": {"unexpected_location": "hard"}}
    site = RuledSite(rules)
    site.walk("school-in", "sergeant")
    document = document_with(rules)
    document["zone"] = [zone for zone in document["zone"] if zone["id"] != "school-house"]
    document["access_point"] = [
        point for point in document["access_point"] if "school-house" not in {point["from"], point["to"]}
    ]
    for profile in document["profile"]:
        profile["grants"] = [grant for grant in profile["grants"] if grant.get("zone") != "school-house"]
    site.write(document)
    site.advance(hours=1)
    site.granted("barrack-in", "sergeant")


# -- company ----------------------------------------------------------------------------------------------------------


def test_a_vehicle_is_no_second_person():
    site = RuledSite({"armoury": {"two_persons": {"seconds": 60}}})
    site.enrol("car", kind=VEHICLE)
    site.ask("armoury-in", "car")
    site.advance(seconds=1)
    site.denied("armoury-in", "sergeant", Reason.NO_ACCOMPANIMENT)


def test_who_is_with_a_vehicle_is_alone():
    site = RuledSite({"armoury": {"occupancy": {"least": 2}}})
    site.enrol("car", kind=VEHICLE)
    site.ask("armoury-in", "car")
    site.advance(seconds=1)
    site.denied("armoury-in", "sergeant", Reason.LOWER_OCCUPANCY)


def test_a_visitor_who_waits_at_a_door_does_not_keep_two_soldiers_out():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}, "escort": ESCORT}})
    site.enrol("one")
    site.enrol("two")
    site.enrol("guest", kind=VISITOR)
    site.denied("barrack-in", "one", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=1)
    site.denied("barrack-in", "guest", Reason.NO_ESCORT)
    site.advance(seconds=1)
    assert site.ask("barrack-in", "two").granted
    assert (site.where("one"), site.where("guest")) == ("barrack", None)


def test_a_host_who_may_go_in_alone_is_not_kept_out_by_visitors_for_whom_there_is_no_room():
    occupancy = {"most": 1, "exempt": ["army/escort"]}
    site = RuledSite({"barrack": {"occupancy": occupancy, "escort": ESCORT}})
    site.enrol("host", "escort")
    for name in ("first", "second"):
        site.enrol(name, kind=VISITOR)
        site.denied("barrack-in", name, Reason.NO_ESCORT)
    site.advance(seconds=1)
    site.granted("barrack-in", "host")


def test_a_host_is_held_in_by_no_escort_that_only_a_higher_alert_state_demands():
    site = RuledSite(
        {"barrack": {"escort": ESCORT}},
        alert=[{"state": "tense", "escort": True}],
        rules={"escort": ESCORT},
    )
    site.enrol("host", "escort")
    site.enrol("guest", kind=VISITOR)
    for who in ("host", "guest"):
        site.walk("front-in", who)
        site.walk("barrack-in", who)
    site.walk("barrack-out", "guest")
    site.walk("barrack-out", "host")
    site.granted("front-out", "host")


def test_a_suspension_of_another_tenant_does_not_shut_a_guest_out_whose_host_is_in():
    site = RuledSite({"barrack": {"anti_passback": "hard", "escort": ESCORT}})
    site.enrol("host", "escort")
    site.enrol("guest", kind=VISITOR)
    site.walk("barrack-in", "host")
    site.changed(SuspensionChange(tenant=TenantId("club"), on=True))
    site.advance(seconds=5)
    site.granted("barrack-in", "guest")


def test_what_a_tenant_says_of_a_badge_that_is_nobodys_parts_no_company_of_others():
    site = RuledSite({"armoury": {"two_persons": {"seconds": 60}}})
    spare = issue("spare", "school")
    site.enter("spare", spare, None)
    site.enrol("other")
    site.denied("armoury-in", "other", Reason.NO_ACCOMPANIMENT)
    stop = BadgeStateChange(badge=spare.badge.id, state=BadgeState.SUSPENDED)
    assert site.supervise(stop, by="school").outcome.code == APPLIED
    site.advance(seconds=1)
    site.granted("armoury-in", "sergeant")


def test_a_visitor_opens_a_zone_for_nobody_else():
    first = {"profiles": ["army/keyholder"], "hours": 1}
    site = RuledSite({"barrack": {"first_person": first, "escort": ESCORT}})
    site.enrol("host", "escort")
    site.enrol("keyholder", "keyholder")
    site.enrol("guest", "keyholder", kind=VISITOR)
    site.granted("barrack-in", "keyholder")
    site.advance(minutes=59, seconds=50)
    site.granted("barrack-in", "host")
    site.advance(seconds=20)
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)
    site.ask("barrack-in", "guest")
    site.denied("barrack-in", "sergeant", Reason.FIRST_PERSON)


def test_an_entry_does_not_name_all_who_came_in_within_the_last_hour():
    site = RuledSite({"yard": {"escort": ESCORT}})
    for number in range(20):
        site.enrol(f"soldier-{number}")
        site.walk("front-in", f"soldier-{number}")
    site.advance(minutes=10)
    site.drafts.clear()
    site.granted("front-in", "sergeant")
    assert not site.drafts[-1].personal["facts"]["past"].get("company")


# -- badges, and what is counted --------------------------------------------------------------------------------------


def test_who_finds_an_expired_badge_does_not_block_its_holders_pin():
    site = RuledSite({"barrack": {"pin": "always"}}, rules={"pin": {"tries": 2, "for_minutes": 15}})
    old = issue("old", "army", expires=EXPIRED_ON)
    owner = site.enrol("owner", pin=PIN_RECORD)
    site.enter("old", old, None)
    both = replace(owner, badges=(*owner.badges, old.badge.id))
    site.enter("owner", site.badges["owner"], both)
    for _ in range(2):
        site.advance(seconds=1)
        assert Reason.EXPIRED in site.ask("barrack-in", "old", pin="1111").reasons
    site.advance(seconds=1)
    assert site.ask("barrack-in", "owner", pin=PIN).granted


def test_who_counts_no_more_as_exempt_counts_before_a_takeover_as_after_it():
    site = RuledSite({"barrack": {"occupancy": {"most": 1, "exempt": ["army/escort"]}}})
    officer = site.enrol("officer", "escort")
    site.walk("barrack-in", "officer")
    lower = replace(officer, version=2, profiles=(ProfileId("soldier"),))
    change = HolderChange(holder=officer.id, document=register_holder(lower), badges=())
    assert site.supervise(change).outcome.code == APPLIED
    assert site.restored().memory._counted == site.flow.memory._counted
    site.denied("barrack-in", "sergeant", Reason.UPPER_OCCUPANCY)


def test_a_use_with_which_nobody_passed_counts_no_more_also_after_a_takeover():
    site = RuledSite()
    site.enrol("guest", badge={"max_uses": 1})
    scan = site.granted("front-in", "guest")
    site.turned_back("front-in", scan)
    site.restart()
    site.granted("front-in", "guest")


@pytest.mark.parametrize(("begins", "ends"), [("not_before", "expires"), ("since", "until")])
@pytest.mark.parametrize(("ago", "opens"), [(2, True), (1, False), (3, False)])
def test_a_badge_and_its_holders_service_open_a_zone_from_their_first_to_before_their_last_instant(
    begins: str, ends: str, ago: int, *, opens: bool
):
    site = RuledSite(FIRST)
    day = timedelta(days=1)
    lasting = {begins: site.now - 2 * day, ends: site.now - day}
    site.enrol("keyholder", "keyholder", **({"badge": lasting} if begins == "not_before" else lasting))
    done = site.recorded(site.late("barrack-in", "keyholder", ago * day))
    assert bool(done.remembered.opened) is opens


def test_no_more_come_along_than_there_is_room_for_beside_those_who_are_inside_and_whoever_asks():
    site = RuledSite({"barrack": {"occupancy": {"most": 3}, "escort": ESCORT}})
    site.enrol("host", "escort")
    site.walk("barrack-in", "sergeant")
    for name in ("first", "second"):
        site.enrol(name, kind=VISITOR)
        site.denied("barrack-in", name, Reason.NO_ESCORT)
    assert site.ask("barrack-in", "host").guests == {"second"}
