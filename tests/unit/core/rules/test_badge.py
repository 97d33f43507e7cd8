"""The badge: used up, unused for too long, locked out."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gatekeeper.core.facts import Past
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import TICK, RuledSite, at_noon, policy_with, reasons
from tests.support.sites import NOON

LOCK_OUT = {"lock_out": {"failures": 3, "minutes": 5, "for_minutes": 15}}


# -- maximum uses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uses", "expected"), [(0, []), (1, []), (2, [Reason.MAX_USES]), (3, [Reason.MAX_USES])]
)
def test_a_badge_is_used_as_often_as_it_may_be(uses: int, expected: list[Reason]):
    facts = at_noon(past=Past(uses=uses))
    facts = replace(facts, badge=replace(facts.badge, max_uses=2))
    assert reasons(policy_with(), "front-in", facts) == expected


def test_only_what_is_granted_uses_a_badge_up_and_a_restart_forgets_no_use():
    site = RuledSite()
    site.enrol("guest", badge={"max_uses": 2, "ceiling": 1})
    site.denied("barrack-in", "guest", Reason.BADGE_CEILING)
    site.granted("front-in", "guest")
    site.granted("front-out", "guest")
    site.denied("front-in", "guest", Reason.MAX_USES)
    site.restart()
    site.denied("front-in", "guest", Reason.MAX_USES)


def test_a_badge_without_a_maximum_is_never_used_up():
    facts = at_noon(past=Past(uses=1_000_000))
    assert reasons(policy_with(), "front-in", facts) == []


# -- inactivity -------------------------------------------------------------------------------------------------------

IDLE = timedelta(days=10)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(IDLE - TICK, []), (IDLE, [Reason.INACTIVITY]), (timedelta(), []), (IDLE * 3, [Reason.INACTIVITY])],
)
def test_a_badge_that_lay_in_a_drawer_for_so_long_is_refused(ago: timedelta, expected: list[Reason]):
    policy = policy_with(rules={"inactivity_days": 10})
    assert reasons(policy, "front-in", at_noon(past=Past(last_used=NOON - ago))) == expected


def test_a_new_badge_counts_from_its_first_day():
    policy = policy_with(rules={"inactivity_days": 10})
    facts = at_noon()
    fresh = replace(facts, badge=replace(facts.badge, not_before=NOON - IDLE + TICK))
    assert reasons(policy, "front-in", fresh) == []
    idle = replace(facts, badge=replace(facts.badge, not_before=NOON - IDLE))
    assert reasons(policy, "front-in", idle) == [Reason.INACTIVITY]


def test_a_use_keeps_a_badge_going_also_over_a_restart():
    site = RuledSite(rules={"inactivity_days": 40})
    site.granted("front-in", "sergeant")
    site.advance(days=39)
    site.restart()
    site.granted("front-out", "sergeant")
    site.advance(days=40)
    assert Reason.INACTIVITY in site.ask("front-in", "sergeant").reasons


# -- lock-out ---------------------------------------------------------------------------------------------------------


def fail(site: RuledSite, times: int) -> None:
    for _ in range(times):
        site.denied("armoury-in", "private", Reason.CLEARANCE)


@pytest.mark.parametrize(
    ("locked_until", "expected"), [(NOON + TICK, [Reason.LOCKOUT]), (NOON, []), (NOON - TICK, [])]
)
def test_a_lock_out_ends_at_its_instant(locked_until: datetime, expected: list[Reason]):
    assert reasons(policy_with(), "front-in", at_noon(past=Past(locked_until=locked_until))) == expected


def test_a_badge_that_is_refused_so_often_is_refused_everywhere_for_a_while():
    site = RuledSite(rules=LOCK_OUT)
    fail(site, 2)
    site.granted("front-in", "private")
    fail(site, 3)
    site.denied("front-in", "private", Reason.LOCKOUT)
    site.advance(minutes=15, microseconds=-1)
    site.denied("front-in", "private", Reason.LOCKOUT)
    site.advance(microseconds=1)
    site.granted("front-in", "private")


def test_refusals_that_are_not_late_do_not_count():
    site = RuledSite(rules=LOCK_OUT)
    fail(site, 2)
    site.advance(minutes=5)
    fail(site, 2)
    site.granted("front-in", "private")


def test_a_lock_out_is_not_made_longer_by_trying_and_counts_anew_when_it_is_over():
    site = RuledSite(rules=LOCK_OUT)
    fail(site, 3)
    site.advance(minutes=14)
    site.denied("armoury-in", "private", Reason.CLEARANCE, Reason.LOCKOUT)
    site.advance(minutes=1)
    fail(site, 2)
    site.granted("front-in", "private")


def test_a_lock_out_holds_over_a_restart_and_for_this_badge_only():
    site = RuledSite(rules=LOCK_OUT)
    fail(site, 3)
    site.restart()
    site.denied("front-in", "private", Reason.LOCKOUT)
    site.granted("front-in", "sergeant")


def test_failures_before_a_restart_count_after_it():
    site = RuledSite(rules=LOCK_OUT)
    fail(site, 2)
    site.restart()
    fail(site, 1)
    site.denied("front-in", "private", Reason.LOCKOUT)


def test_waiting_for_company_is_no_failure():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 20}}}, rules=LOCK_OUT)
    for _ in range(4):
        site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
        site.advance(seconds=5)
    site.granted("front-in", "private")


def test_without_a_rule_nobody_is_locked_out():
    site = RuledSite()
    fail(site, 20)
    site.granted("front-in", "private")
