"""What is said to give nothing more opens no door that was shut: over generated sites, edits, and requests.

A rule is looked at by itself: sites have that rule and little else, and the edit is one of that rule, so that what comes
between a request and a grant is what was edited.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.decide import decide
from gatekeeper.core.widening import policy_gains
from gatekeeper.model.ids import TenantId
from gatekeeper.model.people import Names, Veto
from tests.support.rules_situations import Situation, situations
from tests.support.rules_worlds import Rule, World, profiles, schedules, site_rules, worlds, zone_rules

ASKED = 6
_IN_ZONES = ("zone rules", "one rule")
_ON_SITE = ("site rules", "one site rule")
EDITS: Mapping[Rule, tuple[str, ...]] = {
    Rule.LEVELS: ("levels",),
    Rule.HOURS: ("profiles", "grant", "schedule"),
    Rule.NARROW_PROFILES: ("profiles", "grant"),
    Rule.VETOES: ("veto", "door"),
    Rule.PASSBACK: _IN_ZONES,
    Rule.LOCATION: _IN_ZONES,
    Rule.TRAVEL: _ON_SITE,
    Rule.INTERLOCK: _ON_SITE,
    Rule.OCCUPANCY: _IN_ZONES,
    Rule.PAIRS: _IN_ZONES,
    Rule.ESCORT: _IN_ZONES,
    Rule.DRIVER: _IN_ZONES,
    Rule.FIRST_PERSON: _IN_ZONES,
    Rule.PIN: _IN_ZONES,
    Rule.GUARD: _IN_ZONES,
    Rule.SEARCH: _IN_ZONES,
    Rule.CERTIFICATES: _IN_ZONES,
    Rule.ALERTS: _ON_SITE,
    Rule.EVENTS: _ON_SITE,
    Rule.CALL_UPS: _ON_SITE,
    Rule.INACTIVITY: _ON_SITE,
    Rule.SHADOW: (*_IN_ZONES, *_ON_SITE),
}
"""Where each rule is written; agreements stand in the trust list."""


@st.composite
def edits(draw: st.DrawFn, world: World, kind: str) -> World:
    """The same site with one thing written otherwise, as somebody might who means well, or does not."""
    written = world.written
    names = [plan.id for plan in written.schedules]
    place = draw(st.integers(1, len(written.zones) - 1))
    zone = written.zones[place]
    changes: dict[str, Any] = {}
    match kind:
        case "zone rules":
            zone = replace(zone, rules=draw(zone_rules(world.rules, names)))
        case "one rule":
            other = draw(zone_rules(world.rules, names))
            field = draw(st.sampled_from(type(other).__slots__))
            zone = replace(zone, rules=replace(zone.rules, **{field: getattr(other, field)}))
        case "levels":
            zone = replace(zone, level=draw(st.integers(0, 5)), assurance=draw(st.integers(0, 3)))
        case "site rules":
            changes["rules"] = draw(site_rules(world.rules, written.zones, written.access_points))
        case "one site rule":
            drawn = draw(site_rules(world.rules, written.zones, written.access_points))
            field = draw(st.sampled_from(type(drawn).__slots__))
            changes["rules"] = replace(written.rules, **{field: getattr(drawn, field)})
        case "profiles":
            drawn_profiles = draw(profiles(world.rules, written.zones, written.access_points, names))
            changes["profiles"] = drawn_profiles
        case "grant":
            changed = [replace(one, grants=one.grants[1:]) for one in written.profiles]
            changes["profiles"] = tuple(changed)
        case "schedule":
            plan = draw(st.sampled_from(written.schedules))
            anew = draw(schedules(plan.id))
            changes["schedules"] = tuple(anew if one is plan else one for one in written.schedules)
        case "veto":
            kept = written.vetoes[1:] if draw(st.booleans()) else written.vetoes
            tenant = TenantId(draw(st.sampled_from(["school", "club"])))
            changes["vetoes"] = (*kept, Veto(tenant=tenant, zone=zone.id, why=Names(en="no", nl="nee")))
        case _:
            changes["access_points"] = written.access_points[:-1]
    if zone is not written.zones[place]:
        changes["zones"] = (*written.zones[:place], zone, *written.zones[place + 1 :])
    return world.but(**changes)


def opens(world: World, asked: Situation) -> bool:
    decision = decide(world.policy, asked.facts, asked.request, asked.now)
    return decision.granted or decision.waits is not None


def test_every_rule_that_a_policy_has_is_edited():
    # What a gate decides alone is no situation of the service's; its widenings are told one by one in the unit tests.
    assert EDITS.keys() == set(Rule) - {Rule.AGREEMENTS, Rule.OFFLINE}


@pytest.mark.parametrize("rule", EDITS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_opens_something_that_was_shut_is_said_to_give_more(rule: Rule, data: st.DataObject):
    before = data.draw(worlds(among=(rule,), least=1))
    after = data.draw(edits(before, data.draw(st.sampled_from(EDITS[rule]))))
    gives, takes = policy_gains(before.policy, after.policy), policy_gains(after.policy, before.policy)
    for _ in range(ASKED):
        asked = data.draw(situations(before, most_wrong=1))
        was, will = opens(before, asked), opens(after, asked)
        assert was or not will or gives
        assert will or not was or takes


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_same_holds_for_rules_together(data: st.DataObject):
    before = data.draw(worlds(least=2))
    kind = data.draw(
        st.sampled_from(sorted({kind for rule in before.rules for kind in EDITS.get(rule, ())} or {"levels"}))
    )
    after = data.draw(edits(before, kind))
    gives = policy_gains(before.policy, after.policy)
    for _ in range(ASKED):
        asked = data.draw(situations(before, most_wrong=1))
        assert opens(before, asked) or not opens(after, asked) or gives


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_the_same_policy_gives_nothing_more_than_itself(world: World):
    assert policy_gains(world.policy, world.compiled()) == ()
