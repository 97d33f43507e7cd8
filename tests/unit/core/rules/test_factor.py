"""What a person adds to a badge: a PIN, a cry for help, a guard's eyes, a draw."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper.core.change import AlertChange
from gatekeeper.core.facts import Factor, GuardsWord, Past
from gatekeeper.model.badges import Assurance, BadgeState
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import (
    DURESS_PIN,
    PIN,
    PIN_RECORD,
    RuledSite,
    at_noon,
    decided,
    policy_with,
    reasons,
)
from tests.support.sites import NOON

# -- PIN --------------------------------------------------------------------------------------------------------------

ASKED = {"barrack": {"pin": "always"}}


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (Factor.NONE, [Reason.PIN_MISSING]),
        (Factor.RIGHT, []),
        (Factor.WRONG, [Reason.PIN_WRONG]),
        (Factor.BLOCKED, [Reason.MAX_ATTEMPTS]),
        (Factor.DURESS, [Reason.DURESS]),
    ],
)
def test_a_pin_is_right_where_one_is_asked(factor: Factor, expected: list[Reason]):
    made = decided(policy_with(ASKED), "barrack-in", at_noon(past=Past(factor=factor)))
    assert list(made.reasons) == expected
    assert made.granted is (factor in {Factor.RIGHT, Factor.DURESS})


@pytest.mark.parametrize("door", ["front-in", "barrack-out"])
def test_a_wrong_pin_denies_also_where_none_is_asked_and_a_missing_one_does_not(door: str):
    assert reasons(policy_with(ASKED), door, at_noon()) == []
    assert reasons(policy_with(ASKED), door, at_noon(past=Past(factor=Factor.WRONG))) == [Reason.PIN_WRONG]


def test_a_zone_may_ask_for_a_pin_by_the_clock():
    """Lessons are from eight to five on a working day."""
    policy = policy_with({"barrack": {"pin": "lessons"}})
    five = NOON + timedelta(hours=5)
    for now, asked in (
        (NOON, True),
        (five - timedelta.resolution, True),
        (five, False),
        (NOON + timedelta(days=3), False),
    ):
        assert reasons(policy, "barrack-in", at_noon(), now=now) == ([Reason.PIN_MISSING] if asked else [])


def test_a_zone_around_asks_for_the_pin_of_those_who_come_into_it_and_not_of_those_inside():
    policy = policy_with({"yard": {"pin": "always"}})
    assert reasons(policy, "front-in", at_noon()) == [Reason.PIN_MISSING]
    assert reasons(policy, "barrack-in", at_noon()) == []


def test_an_alert_state_asks_everybody_who_comes_in_for_a_pin():
    site = RuledSite(alert=[{"state": "tense", "pin": True}])
    site.enrol("typist", pin=PIN_RECORD)
    site.granted("front-in", "typist")
    site.changed(AlertChange(state="grave"))
    site.denied("shed-in", "typist", Reason.PIN_MISSING)
    assert site.ask("shed-in", "typist", pin=PIN).granted
    site.granted("shed-out", "typist")


def test_a_key_and_a_pin_are_assurance_three():
    site = RuledSite({"barrack": {"assurance": 3}})
    site.enrol("typist", pin=PIN_RECORD, badge={"assurance": Assurance.KEY_BOUND})
    site.denied("barrack-in", "typist", Reason.ASSURANCE)
    assert site.ask("barrack-in", "typist", pin=PIN).granted
    site.enrol("bearer", pin=PIN_RECORD, badge={"assurance": Assurance.BEARER})
    assert site.ask("barrack-in", "bearer", pin=PIN).reasons == (Reason.ASSURANCE,)


def test_wrong_pins_are_counted_over_a_restart():
    site = RuledSite(ASKED, rules={"pin": {"tries": 2, "for_minutes": 10}})
    site.enrol("typist", pin=PIN_RECORD)
    assert site.ask("barrack-in", "typist", pin="1111").reasons == (Reason.PIN_WRONG,)
    site.restart()
    assert site.ask("barrack-in", "typist", pin="1111").reasons == (Reason.PIN_WRONG,)
    site.restart()
    assert site.ask("barrack-in", "typist", pin=PIN).reasons == (Reason.MAX_ATTEMPTS,)
    site.advance(minutes=10)
    assert site.ask("barrack-in", "typist", pin=PIN).granted


# -- duress -----------------------------------------------------------------------------------------------------------


def test_whoever_found_a_badge_that_is_not_in_force_blocks_nobodys_pin_with_it():
    site = RuledSite(ASKED, rules={"pin": {"tries": 2, "for_minutes": 15}})
    (badge,) = site.enrol("typist", pin=PIN_RECORD).badges
    site.flow.register.set_state(badge, BadgeState.LOST)
    for _ in range(2):
        assert Reason.PIN_WRONG in site.ask("barrack-in", "typist", pin="1111").reasons
    site.flow.register.set_state(badge, BadgeState.ACTIVE)
    assert site.ask("barrack-in", "typist", pin=PIN).granted


def test_a_duress_badge_and_a_duress_pin_open_as_always_and_say_so_in_the_log_only():
    site = RuledSite(ASKED)
    site.enrol("badge", pin=PIN_RECORD, badge={"duress": True})
    site.enrol("typist", pin=PIN_RECORD)
    cries = [site.tap("barrack-in", "badge", sealed_pin=site.sealed("barrack-in", PIN))]
    cries.append(site.tap("barrack-in", "typist", sealed_pin=site.sealed("barrack-in", DURESS_PIN)))
    for cry in cries:
        assert cry.answer.reason == Reason.GRANTED.bacnet
        assert cry.drafts[0].public["reasons"] == [Reason.DURESS.code]


def test_a_cry_for_help_is_kept_also_when_the_door_stays_shut():
    facts = at_noon("private")
    forced = replace(facts, badge=replace(facts.badge, duress=True))
    made = decided(policy_with(), "armoury-in", forced)
    assert (made.granted, made.reason) == (False, Reason.CLEARANCE)
    assert Reason.DURESS in made.reasons


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "selected"),
    [(0, True), (1, False), (2, False), (3, True), (6, True), (7, False), (None, False)],
)
def test_one_in_so_many_who_come_in_is_drawn_and_granted(drawn: int | None, *, selected: bool):
    policy = policy_with({"barrack": {"search": {"one_in": 3}}})
    made = decided(policy, "barrack-in", at_noon(past=Past(draw=drawn)))
    assert made.granted
    assert made.reasons == ((Reason.SEARCH_SELECTED,) if selected else ())
    assert reasons(policy, "barrack-out", at_noon(past=Past(draw=0))) == []


def test_the_draw_stands_with_the_facts_where_a_zone_searches_and_nowhere_else():
    site = RuledSite({"barrack": {"search": {"one_in": 1000}}})
    drawn = site.tap("barrack-in", "private").drafts[-1]
    assert isinstance(drawn.personal["facts"]["past"]["draw"], int)
    for door in ("shed-in", "barrack-out"):
        assert "draw" not in site.tap(door, "private").drafts[-1].personal["facts"]["past"]


# -- guard ------------------------------------------------------------------------------------------------------------

LOOKED_AT = {"barrack": {"guard_check": {"seconds": 30}}}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (GuardsWord.YES, []),
        (GuardsWord.NO, [Reason.VERIFICATION_FAILED]),
        (GuardsWord.SILENCE, [Reason.VERIFICATION_TIMEOUT]),
        (GuardsWord.NOT_ASKED, [Reason.VERIFICATION_REQUIRED]),
    ],
)
def test_only_a_guards_yes_opens(word: GuardsWord, expected: list[Reason]):
    made = decided(policy_with(LOOKED_AT), "barrack-in", at_noon(past=Past(guard=word)))
    assert list(made.reasons) == expected
    assert made.granted is (word is GuardsWord.YES)
    assert made.waits == (timedelta(seconds=30) if word is GuardsWord.NOT_ASKED else None)


def test_a_guard_is_asked_only_when_nothing_else_is_missing_and_not_of_those_who_leave():
    policy = policy_with(LOOKED_AT)
    low = at_noon("private", lockdowns=frozenset({"site"}))
    assert decided(policy, "barrack-in", low).waits is None
    assert decided(policy, "barrack-out", at_noon()).granted


def test_of_two_zones_the_shorter_patience_counts():
    rules = {"yard": {"guard_check": {"seconds": 10}}, "barrack": {"guard_check": {"seconds": 30}}}
    assert decided(policy_with(rules), "front-in", at_noon()).waits == timedelta(seconds=10)
    assert decided(policy_with(rules), "barrack-in", at_noon()).waits == timedelta(seconds=30)


def test_while_a_guard_looks_nobody_moves_and_nothing_is_used_up():
    site = RuledSite(LOOKED_AT)
    site.enrol("guest", badge={"max_uses": 1})
    waiting = site.tap("barrack-in", "guest")
    assert (waiting.moved, waiting.remembered.usage) == ((), ())
    assert site.where("guest") is None
    assert site.answer(waiting, yes=True).granted
    assert site.where("guest") == "barrack"
    site.denied("barrack-in", "guest", Reason.MAX_USES)


def test_a_guards_yes_lets_the_whole_party_in():
    site = RuledSite({"barrack": {"guard_check": {"seconds": 30}, "two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    waiting = site.tap("barrack-in", "sergeant")
    site.advance(seconds=10)
    assert {one.holder for one in site.answer(waiting, yes=True).party} == {"private"}
    assert (site.where("private"), site.where("sergeant")) == ("barrack", "barrack")


def test_what_became_wrong_while_a_guard_looked_denies_in_spite_of_his_yes():
    site = RuledSite(LOOKED_AT)
    waiting = site.tap("barrack-in", "teacher")
    site.changed(AlertChange(state="grave"))
    made = site.answer(waiting, yes=True)
    assert (made.granted, made.reasons) == (False, (Reason.THREAT_LEVEL,))
