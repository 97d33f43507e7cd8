"""The tenant: suspended by the host, kept out by an alert state; its people may go home."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.change import AlertChange, SuspensionChange
from gatekeeper.model.ids import TenantId
from gatekeeper.model.reasons import Reason
from tests.support.rules_site import RuledSite, at_noon, decided, policy_with, reasons

SCHOOL = TenantId("school")
KEPT_OUT = [{"state": "tense", "excluded": ["school"]}]


def test_a_suspended_tenants_people_come_in_nowhere_and_go_home():
    suspended = frozenset({SCHOOL})
    for door in ("front-in", "shed-in", "school-in", "barrack-in", "corridor"):
        assert reasons(policy_with(), door, at_noon("teacher", suspended=suspended)) == [
            Reason.TENANT_SUSPENDED
        ]
        assert decided(policy_with(), door, at_noon("sergeant", suspended=suspended)).granted
    for door in ("front-out", "school-out", "barrack-out"):
        assert decided(policy_with(), door, at_noon("teacher", suspended=suspended)).granted


def test_a_suspension_counts_from_the_next_scan_on_over_a_restart_and_until_it_ends():
    site = RuledSite()
    site.granted("front-in", "teacher")
    site.changed(SuspensionChange(tenant=SCHOOL, on=True))
    site.granted("front-out", "teacher")
    site.denied("front-in", "teacher", Reason.TENANT_SUSPENDED)
    site.restart()
    site.denied("front-in", "teacher", Reason.TENANT_SUSPENDED)
    site.changed(SuspensionChange(tenant=SCHOOL, on=False))
    site.granted("front-in", "teacher")


@pytest.mark.parametrize(("alert", "expected"), [(0, []), (1, [Reason.TENANT_EXCLUDED])])
def test_an_alert_state_keeps_a_tenant_out_and_lets_its_people_go(alert: int, expected: list[Reason]):
    policy = policy_with(alert=KEPT_OUT)
    assert reasons(policy, "front-in", at_noon("teacher", alert=alert)) == expected
    assert reasons(policy, "front-out", at_noon("teacher", alert=alert)) == []
    assert reasons(policy, "front-in", at_noon("sergeant", alert=alert)) == []


def test_a_higher_alert_state_demands_what_those_below_it_do():
    policy = policy_with(alert=[*KEPT_OUT, {"state": "grave", "assurance": 3}])
    assert Reason.TENANT_EXCLUDED in reasons(policy, "front-in", at_noon("teacher", alert=2))
    assert reasons(policy, "front-in", at_noon("sergeant", alert=2)) == [Reason.ASSURANCE]
    assert reasons(policy, "front-in", at_noon("sergeant", alert=1)) == []
    assert reasons(policy, "front-out", at_noon("sergeant", alert=2)) == []


def test_the_demands_of_an_alert_state_come_and_go_with_it():
    site = RuledSite(alert=KEPT_OUT)
    site.changed(AlertChange(state="tense"))
    site.denied("front-in", "teacher", Reason.TENANT_EXCLUDED)
    site.changed(AlertChange(state="calm"))
    site.granted("front-in", "teacher")


@pytest.mark.parametrize(
    ("rules", "door"),
    [
        ({"yard": {"shadow": ["denied-tenant-suspended"]}}, "front-in"),
        ({"barrack": {"shadow": ["denied-tenant-suspended"]}}, "barrack-in"),
    ],
)
def test_a_suspension_on_trial_is_reported_where_it_is_on_trial_and_denies_elsewhere(
    rules: dict[str, Any], door: str
):
    policy, suspended = policy_with(rules), frozenset({SCHOOL})
    doors = {"front-in", "barrack-in", "school-in"}
    made = {one: decided(policy, one, at_noon("teacher", suspended=suspended)) for one in doors}
    assert {one for one in doors if made[one].granted} == {door}
    assert made[door].shadow == (Reason.TENANT_SUSPENDED,)
    assert made[door].reasons == ()


@pytest.mark.parametrize(
    ("longer", "expected"), [(timedelta(), []), (timedelta(seconds=1), [Reason.BADGE_LIFE])]
)
def test_a_badge_lives_as_long_as_the_agreement_lets_it(longer: timedelta, expected: list[Reason]):
    """The school agreed on 365 days."""
    facts = at_noon("teacher")
    badge = facts.badge
    assert badge is not None
    life = replace(badge, expires=badge.not_before + timedelta(days=365) + longer)
    assert reasons(policy_with(), "front-in", replace(facts, badge=life)) == expected
