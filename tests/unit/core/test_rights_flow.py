"""Failing on 'rights': what the flow, its presences and changes do against what the rules promise. Copy into tests/unit/core to run."""

import pytest

from gatekeeper.core.change import AlertChange, BadgeStateChange, SuspensionChange
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import TenantId
from gatekeeper.model.messages import PassageOutcome, StatusKind
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
    """flow._move, presence.granted: a move through a door without an escort rule drops Presence.host."""
    site = visited()
    site.granted("front-in", "host")
    site.granted("front-in", "visitor")
    site.granted("shed-in", "visitor")
    site.denied("front-out", "host", Reason.VISITORS_INSIDE)


def test_a_host_answers_for_a_visitor_who_asked_to_leave_and_did_not():
    """presence.put_back keeps the host of the grant (none, on the way out), not that of before."""
    site = visited()
    site.granted("front-in", "host")
    site.granted("front-in", "visitor")
    site.turned_back("front-out", site.granted("front-out", "visitor"))
    site.denied("front-out", "host", Reason.VISITORS_INSIDE)


def test_a_badge_that_comes_along_is_used_too():
    """flow._remember, memory.granted: only the badge that completes is counted; a companion's max_uses never is."""
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
    """supervise: every applied change should call flow.memory.part_company() (promise 8; a revocation acts at once)."""
    site = wait_then(change)
    site.ask("barrack-in", "sergeant")
    assert site.where("teacher") is None


def test_who_waits_with_a_badge_that_is_revoked_meanwhile_is_not_let_in():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "teacher", Reason.NO_ACCOMPANIMENT)
    site.changed(BadgeStateChange(badge=site.badges["teacher"].badge.id, state=BadgeState.REVOKED))
    site.ask("barrack-in", "sergeant")
    assert site.where("teacher") is None


def test_two_whom_a_guard_looks_at_longer_than_their_window_are_still_two():
    """flow.settle decides with now: two_persons.within has passed while the guard looked, so his yes denies."""
    site = RuledSite({"barrack": {"two_persons": {"seconds": 10}, "guard_check": {"seconds": 30}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.advance(seconds=5)
    waiting = site.tap("barrack-in", "sergeant")
    site.advance(seconds=20)
    assert site.answer(waiting, yes=True).granted


LOCK = [{"id": "sluice", "access_points": ["barrack-in", "armoury-in"]}]


def test_a_door_that_is_held_open_keeps_the_other_shut_for_as_long_as_it_stands_open():
    """flow._settle_door: after _OPEN_AT_MOST (ten minutes) a door of which nothing was heard is believed shut."""
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", PassageOutcome.HELD_OPEN))
    site.advance(minutes=11)
    site.denied("armoury-in", "sergeant", Reason.INTERLOCK)


def test_a_door_that_is_closed_again_is_shut():
    """flow.take, Status: StatusKind.CLOSED_AGAIN never reaches memory.door_settled."""
    site = RuledSite(interlock=LOCK)
    site.recorded(site.passage("barrack-in", PassageOutcome.HELD_OPEN))
    site.recorded(site.status("inner", StatusKind.CLOSED_AGAIN, access_point="barrack-in"))
    site.advance(seconds=1)
    site.granted("armoury-in", "sergeant")


def test_a_host_who_did_not_pass_brings_nobody():
    """flow._settle: NOT_TAKEN puts the host back and leaves him company that was let in."""
    site = visited("barrack")
    site.turned_back("barrack-in", site.granted("barrack-in", "host"))
    site.denied("barrack-in", "visitor", Reason.NO_ESCORT)


def test_a_keyholder_who_did_not_pass_opens_nothing():
    """Memory.opened is not taken back by NOT_TAKEN."""
    site = RuledSite({"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}})
    site.enrol("keyholder", "keyholder")
    site.turned_back("barrack-in", site.granted("barrack-in", "keyholder"))
    site.denied("barrack-in", "private", Reason.FIRST_PERSON)


def test_the_first_scan_of_a_day_that_was_decided_offline_leaves_no_gap_in_the_log():
    """flow._scan: the seed's draft takes a seq and is thrown away when the scan is an offline one."""
    from gatekeeper.model.messages import Verdict

    site = RuledSite({"barrack": {"search": {"one_in": 3}}})
    before = site.flow.next_seq
    outcome = site.tap("barrack-in", "private", offline_verdict=Verdict.GRANTED)
    assert [draft.seq for draft in outcome.drafts] == list(range(before, site.flow.next_seq))


def test_a_door_offline_opens_what_a_keyholder_opens():
    """flow._offline moves the holder and tells the memory nothing else: no use, no opened zone, no open door."""
    from gatekeeper.model.messages import Verdict

    site = RuledSite({"barrack": {"first_person": {"profiles": ["army/keyholder"], "hours": 8}}})
    site.enrol("keyholder", "keyholder")
    site.tap("barrack-in", "keyholder", offline_verdict=Verdict.GRANTED)
    site.granted("barrack-in", "private")
