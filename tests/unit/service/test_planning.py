"""What would change, before anybody signs: another alert state, another policy, for everybody with a badge in force."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gatekeeper.model.badges import Assurance, BadgeState
from gatekeeper.service.explaining import PlannedChange, plan_alert, plan_policy
from tests.support.rules_site import document_with
from tests.support.sites import BADGES, SmallSite, compiled, ground, issue

CALM, TENSE, GRAVE = range(3)


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def told(planned: PlannedChange, door: str) -> dict[str, set[tuple[int, ...]]]:
    """What happens to whom at one door."""
    here = [change for change in planned.changes if change.access_point == door]
    found = {
        what: {
            (holder, *sorted(getattr(change, what)))
            for change in here
            if getattr(change, what)
            for holder in change.holders
        }
        for what in ("gained", "lost", "other_hours")
    }
    return {what: who for what, who in found.items() if who}


def with_rules(site: SmallSite, tables: Mapping[str, Any]) -> None:
    site.flow.policy = compiled(document_with(**tables), trust=ground().trust)[1]


def test_raising_the_alert_state_takes_and_lowering_it_gives_the_same_from_the_same_people(site: SmallSite):
    up = plan_alert(site.flow, GRAVE, now=site.now)
    lost = told(up, "front-in")
    assert {("pupil", GRAVE), ("teacher", GRAVE)} <= lost["lost"]
    assert set(lost) == {"lost"}
    assert not any(change.access_point.endswith("-out") for change in up.changes)
    site.flow.alert = GRAVE
    down = told(plan_alert(site.flow, CALM, now=site.now), "front-in")
    assert down == {"gained": {(holder, CALM) for holder, _ in lost["lost"]}}
    assert plan_alert(site.flow, GRAVE, now=site.now).changes == []


def test_whoever_has_a_second_badge_that_still_opens_loses_nothing(site: SmallSite):
    with_rules(site, {"alert": [{"state": "tense", "assurance": 2}]})
    site.flow.alert = CALM
    weak = issue("sergeant's pass", "army", assurance=Assurance.BEARER)
    holder = ground().holders["sergeant"]
    both = replace(holder, badges=(*holder.badges, weak.badge.id), version=holder.version + 1)
    site.enter("sergeant's pass", weak, both)
    lost = told(plan_alert(site.flow, TENSE, now=site.now), "front-in").get("lost", set())
    assert ("sergeant", TENSE) not in lost
    assert ("pupil", TENSE) in lost


def test_a_plan_looks_at_badges_in_force_only(site: SmallSite):
    after = compiled(document_with({"yard": {"level": 5}}), trust=ground().trust)[1]
    before = plan_policy(site.flow, after, now=site.now)
    assert ("pupil", CALM, TENSE) in told(before, "front-in")["lost"]
    site.flow.register.set_state(BADGES["pupil"].badge.id, BadgeState.SUSPENDED)
    later = plan_policy(site.flow, after, now=site.now)
    assert later.holders == before.holders - 1
    assert not any(holder == "pupil" for change in later.changes for holder in change.holders)


def test_planning_changes_nothing(site: SmallSite):
    policy, alert = site.flow.policy, site.flow.alert
    plan_alert(site.flow, GRAVE, now=site.now)
    plan_policy(site.flow, compiled(document_with(), trust=ground().trust)[1], now=site.now)
    assert (site.flow.policy, site.flow.alert) == (policy, alert)


def test_a_policy_with_fewer_alert_states_tells_by_name_what_is_lost_with_the_highest(site: SmallSite):
    document = document_with()
    document["site"]["alert_states"] = ["calm", "high"]
    for profile in document["profile"]:
        for grant in profile["grants"]:
            grant["highest_alert"] = "high" if grant["highest_alert"] != "calm" else "calm"
    planned = plan_policy(site.flow, compiled(document, trust=ground().trust)[1], now=site.now)
    assert planned.alert_states == ("calm", "high", "grave")
    assert ("sergeant", GRAVE) in told(planned, "front-in")["lost"]
