"""What rules promise of people who wait, come along, turn back or pass while a gate is alone; of doors that stand open."""

from datetime import timedelta

import pytest

from gatekeeper.core.change import AlertChange, BadgeStateChange, SuspensionChange
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import TenantId
from gatekeeper.model.messages import ClockQuality, PassageOutcome, StatusKind, Verdict
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import RuledSite

ESCORT = {"seconds": 60, "most": 1, "by": ["army/escort"]}


def visited(zone: str = "yard", **rules: object) -> RuledSite:
    site = RuledSite({zone: {"escort": ESCORT, **rules}})
    site.enrol("host", "escort")
    for visitor in ("visitor", "second"):
        site.enrol(visitor, tenant="school", kind=HolderKind.VISITOR)
    return site


def test_a_host_answers_for_a_visitor_who_went_deeper_inside():
    site = visited()
    site.granted("front-in", "host")
    site.granted("front-in", "visitor")
    site.granted("shed-in", "visitor")
    site.denied("front-out", "host", Reason.VISITORS_INSIDE)


def test_a_host_answers_for_a_visitor_who_asked_to_leave_and_did_not():
    site = visited()
    site.granted("front-in", "host")
    site.granted("front-in", "visitor")
    site.turned_back("front-out", site.granted("front-out", "visitor"))
    site.denied("front-out", "host", Reason.VISITORS_INSIDE)


def test_a_badge_that_comes_along_is_used_too():
    site = RuledSite({"barrack": {"escort": ESCORT}})
    site.enrol("host", "escort")
    site.enrol("visitor", tenant="school", kind=HolderKind.VISITOR, badge={"max_uses": 1})
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)
    assert site.ask("barrack-in", "host").guests == {"visitor"}
    assert Reason.MAX_USES in site.ask("barrack-out", "visitor").reasons


def wait_then(change: object) -> RuledSite:
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    site.changed(change)
    return site


@pytest.mark.parametrize(
    "change",
    [
        AlertChange(state="grave"),  # the teacher's profile is to tense at most
        SuspensionChange(tenant=TenantId("school"), on=True),
    ],
)
def test_who_waits_is_not_let_in_under_circumstances_in_which_asking_would_be_denied(change: object):
    site = wait_then(change)
    site.ask("barrack-in", "sergeant")
    assert site.where("teacher") is None


def test_who_waits_until_their_own_hours_are_over_is_not_let_in():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.enrol("guest", until=site.now.replace(microsecond=0) + timedelta(seconds=30))
    site.denied("barrack-in", "guest", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=29)
    assert site.ask("barrack-in", "sergeant").granted
    assert site.where("guest") == "barrack"


def test_who_waits_is_asked_for_again_when_somebody_comes():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.enrol("guest", until=site.now.replace(microsecond=0) + timedelta(seconds=30))
    site.denied("barrack-in", "guest", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=30)
    site.denied("barrack-in", "sergeant", Reason.NO_ACCOMPANIMENT)
    assert site.where("guest") is None


def test_one_of_two_who_wait_may_be_too_late_and_the_other_is_not():
    site = visited("barrack")
    site.enrol(
        "short",
        tenant="school",
        kind=HolderKind.VISITOR,
        until=site.now.replace(microsecond=0) + timedelta(seconds=30),
    )
    for visitor in ("visitor", "short"):
        site.denied("barrack-in", visitor, Reason.NO_ESCORT)
    site.advance(seconds=30)
    assert site.ask("barrack-in", "host").guests == {"visitor"}


def test_a_host_whose_badge_is_stopped_brings_nobody_in():
    site = visited("barrack")
    site.granted("barrack-in", "host")
    site.changed(BadgeStateChange(badge=site.badges["host"].badge.id, state=BadgeState.SUSPENDED))
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)


def test_a_change_to_one_person_leaves_those_who_wait_elsewhere_alone():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.changed(BadgeStateChange(badge=site.badges["teacher"].badge.id, state=BadgeState.SUSPENDED))
    assert site.ask("barrack-in", "sergeant").granted


def test_who_waits_with_a_badge_that_is_revoked_meanwhile_is_not_let_in():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    site.changed(BadgeStateChange(badge=site.badges["teacher"].badge.id, state=BadgeState.REVOKED))
    site.ask("barrack-in", "sergeant")
    assert site.where("teacher") is None


def test_two_whom_a_guard_looks_at_longer_than_their_window_are_still_two():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 10}, "guard_check": {"seconds": 30}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=5)
    waiting = site.tap("barrack-in", "sergeant")
    site.advance(seconds=20)
    assert site.answer(waiting, yes=True).granted


LOCK = [{"id": "sluice", "access_points": ["barrack-in", "armoury-in"]}]


def test_a_door_that_is_held_open_keeps_the_other_shut_for_as_long_as_it_stands_open():
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", PassageOutcome.HELD_OPEN))
    site.advance(minutes=11)
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)


def test_a_passage_does_not_shut_a_door_that_is_held_open():
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", PassageOutcome.HELD_OPEN))
    for outcome in (PassageOutcome.TAKEN, PassageOutcome.NOT_TAKEN):
        site.recorded(site.passage("barrack-in", outcome))
        site.advance(minutes=1)
        site.denied("armoury-in", "sergeant", Reason.INTERLOCK)


def test_a_grant_at_a_door_that_stands_open_says_nothing_of_when_it_is_shut():
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", PassageOutcome.HELD_OPEN))
    site.granted("barrack-in", "private")
    site.advance(minutes=1)
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)


def test_a_door_that_is_closed_again_is_shut():
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", PassageOutcome.HELD_OPEN))
    site.recorded(site.status("inner", StatusKind.CLOSED_AGAIN, access_point="barrack-in"))
    site.advance(seconds=1)
    site.granted("armoury-in", "sergeant")


def test_a_door_that_was_never_known_to_be_open_may_be_closed_again():
    site = RuledSite(interlock=LOCK)
    site.recorded(site.status("inner", StatusKind.CLOSED_AGAIN, access_point="barrack-in"))
    site.granted("armoury-in", "sergeant")


def test_a_host_who_did_not_pass_brings_nobody():
    site = visited("barrack")
    site.turned_back("barrack-in", site.granted("barrack-in", "host"))
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)


def test_a_keyholder_who_did_not_pass_opens_nothing():
    site = RuledSite({"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}})
    site.enrol("keyholder", "keyholder")
    site.turned_back("barrack-in", site.granted("barrack-in", "keyholder"))
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)


def test_a_zone_that_another_had_opened_before_stays_open_when_the_second_turns_back():
    site = RuledSite({"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}})
    for who in ("keyholder", "second"):
        site.enrol(who, "keyholder")
    site.granted("barrack-in", "keyholder")
    site.turned_back("barrack-in", site.granted("barrack-in", "second"))
    site.granted("barrack-in", "private")


def test_who_is_seen_to_come_in_makes_those_needless_who_came_into_the_same_zone_no_later():
    first = {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}
    site = RuledSite({"barrack": first, "armoury": first})
    for who in ("same", "elsewhere", "seen", "later"):
        site.enrol(who, "keyholder")
    same = site.tap("barrack-in", "same").receipt.seq
    elsewhere = site.tap("armoury-in", "elsewhere").receipt.seq
    scan = site.scan("barrack-in", "seen")
    seen = site.recorded(scan).receipt.seq
    site.advance(seconds=1)
    later = site.tap("barrack-in", "later").receipt.seq
    passed = site.recorded(site.passage("barrack-in", PassageOutcome.TAKEN, scan=scan))
    assert passed.remembered.opened == ((("barrack", same), None),)
    assert set(site.openings) == {("armoury", elsewhere), ("barrack", seen), ("barrack", later)}


def test_what_was_opened_and_taken_back_stays_so_with_another_engine():
    site = RuledSite({"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}})
    site.enrol("keyholder", "keyholder")
    site.turned_back("barrack-in", site.granted("barrack-in", "keyholder"))
    site.restart()
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)


def test_the_first_scan_of_a_day_that_was_decided_offline_leaves_no_gap_in_the_log():
    site = RuledSite({"barrack": {"search": {"one_in": 3}}})
    before = site.flow.next_seq
    outcome = site.tap("barrack-in", "private", offline_verdict=Verdict.GRANTED)
    assert [draft.seq for draft in outcome.drafts] == list(range(before, site.flow.next_seq))


def test_a_door_offline_opens_what_a_keyholder_opens():
    site = RuledSite({"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}})
    site.enrol("keyholder", "keyholder")
    clock = ClockQuality.SYNCHRONISED
    site.tap("barrack-in", "keyholder", offline_verdict=Verdict.GRANTED, gate_at=site.now, clock=clock)
    site.granted("barrack-in", "private")


def test_who_would_come_in_alone_by_now_goes_along_with_whoever_comes_first():
    site = RuledSite({"barrack": {"occupancy": {"least": 2, "seconds": 60}}})
    site.enrol("third")
    site.denied("barrack-in", "private", Reason.LOWER_OCCUPANCY)
    site.denied("corridor", "teacher", Reason.LOWER_OCCUPANCY)
    site.granted("corridor", "third")
    assert [one.holder for one in site.ask("barrack-in", "sergeant").party] == ["private"]


def test_whoever_does_not_count_fills_no_zone_also_when_they_come_along():
    exempt = {"most": 2, "exempt": ["army/escort"]}
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}, "occupancy": exempt}})
    site.enrol("escort", "escort")
    site.enrol("fourth")
    site.denied("barrack-in", "escort", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "sergeant")
    site.enrol("second-escort", "escort")
    site.denied("barrack-in", "second-escort", Reason.NO_ACCOMPANIMENT)
    site.granted("barrack-in", "private")


def test_a_companion_who_waits_has_brought_nobody():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    (companion,) = site.ask("barrack-in", "sergeant").party
    assert (companion.holder, companion.waiting, companion.brought) == ("private", True, 0)


def test_a_stolen_badge_alarms_in_the_log_when_it_is_used():
    site = RuledSite()
    assert "alarm" not in site.tap("front-in", "private").drafts[0].public
    site.changed(BadgeStateChange(badge=site.badges["private"].badge.id, state=BadgeState.STOLEN))
    used = site.tap("front-in", "private")
    assert (used.drafts[0].public["alarm"], used.alarms) == (True, (Reason.BADGE_STOLEN.code,))
