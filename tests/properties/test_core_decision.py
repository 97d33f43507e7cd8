"""What holds of every decision, over random sites, people, doors and instants."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gatekeeper.core import decide as deciding
from gatekeeper.core.decide import RULES, Decision, Facts
from gatekeeper.model.badges import Assurance, BadgeState
from gatekeeper.model.people import Agreement, Names, Veto
from gatekeeper.model.reasons import Reason
from tests.support.rules_reference_place import protected_by
from tests.support.worlds import ALERTS, HOST, TENANTS, Case, World, any_scope, cases

OF_PROFILES = {Reason.NO_ACCESS_RIGHTS, Reason.OUT_OF_TIME_RANGE, Reason.THREAT_LEVEL}
CHANCE = st.randoms(use_true_random=True)
OFTEN = settings(max_examples=1500, deadline=None)
COMPILING_TWICE = settings(max_examples=700, deadline=None)


def assert_never_more(before: Decision, after: Decision) -> None:
    """What was denied stays denied, and for all the reasons it was; of a profile's three reasons, for one of them."""
    event(f"{'granted' if before.granted else 'denied'}, then {'granted' if after.granted else 'denied'}")
    assert not (after.granted and not before.granted)
    assert set(before.reasons) - OF_PROFILES <= set(after.reasons)
    if OF_PROFILES & set(before.reasons):
        assert OF_PROFILES & set(after.reasons)


# -- every decision ---------------------------------------------------------------------------------------------------


@given(case=cases())
@OFTEN
def test_every_request_has_an_answer_and_the_answer_is_one(case: Case):
    """Promise 2: doubt denies, and no input raises."""
    policy = case.world.compiled()
    made = case.decide(policy)
    event(made.reason.code)
    denying = [reason for reason in made.reasons if reason.denies]
    assert made.granted is (not denying)
    assert made.granted is (made.unlock is not None)
    assert made.policy == policy.version
    assert set(case.facts.findings) <= set(made.reasons)
    if made.granted:
        assert made.reason is Reason.GRANTED
        assert made.unlock == policy.points[case.request.access_point].unlock
    else:
        assert made.reason is denying[0]


@given(case=cases())
@OFTEN
def test_what_opens_has_everything_that_opening_needs(case: Case):
    """The rules once more, from what was written and signed: a grant without any of this would be a hole."""
    made = case.decide()
    event(f"granted: {made.granted}")
    if not made.granted:
        return
    facts, now, written = case.facts, case.now, case.world.written
    badge, holder = facts.badge, facts.holder
    assert badge is not None
    assert holder is not None
    door = next(door for door in written.access_points if door.id == case.request.access_point)
    zone = protected_by(written, door)
    assert door.gate == case.request.gate
    assert facts.badge_state is BadgeState.ACTIVE
    assert badge.not_before <= now < badge.expires
    assert holder.since <= now < holder.until
    assert badge.tenant == holder.tenant
    assert not facts.holder_unproven
    assert badge.epoch >= facts.epoch
    assert zone.level <= min(badge.ceiling, holder.clearance)
    assert zone.assurance <= facts.assurance
    around = {f"zone:{name}" for name in _around(case.world, zone.id)}
    assert facts.lockdowns.isdisjoint({"site", f"gate:{door.gate}", *around})
    assert not [
        veto for veto in written.vetoes if veto.tenant == badge.tenant and f"zone:{veto.zone}" in around
    ]
    if badge.tenant != HOST:
        agreement = case.world.agreements[badge.tenant]
        assert agreement.in_force(now)
        assert zone.level <= agreement.ceiling
        assert badge.expires - badge.not_before <= agreement.badge_life
        assert {f"zone:{name}" for name in agreement.zones} & around


def _around(world: World, zone: str) -> set[str]:
    """A zone and all that it lies in."""
    parents: dict[str, str | None] = {one.id: one.parent for one in world.written.zones}
    found, at = set(), zone
    while at is not None:
        found.add(at)
        at = parents[at]
    return found


@given(case=cases())
@settings(max_examples=200, deadline=None)
def test_the_same_question_has_the_same_answer(case: Case):
    policy = case.world.compiled()
    assert case.decide(policy) == case.decide(policy) == case.decide(case.world.compiled())


# -- what never gives more --------------------------------------------------------------------------------------------


@given(case=cases())
@OFTEN
def test_raising_the_alert_state_never_opens_a_door_that_was_closed_before(case: Case):
    """Promise 8."""
    policy = case.world.compiled()
    for calmer, graver in pairwise([case.decide(policy, alert=alert) for alert in range(len(ALERTS))]):
        assert_never_more(calmer, graver)


@given(case=cases(), chance=CHANCE)
@OFTEN
def test_a_further_lockdown_never_opens_a_door(case: Case, chance: Random):
    policy = case.world.compiled()
    more = any_scope(case.world, chance)
    before, after = case.decide(policy), case.decide(policy, lockdowns=case.facts.lockdowns | {more})
    assert_never_more(before, after)
    assert not (more == "site" and after.granted)


@given(case=cases(), chance=CHANCE)
@COMPILING_TWICE
def test_a_further_veto_never_opens_a_door(case: Case, chance: Random):
    zone, tenant = chance.choice(case.world.written.zones).id, chance.choice(TENANTS[1:])
    veto = Veto(tenant=tenant, zone=zone, why=Names(en="why", nl="waarom"))
    vetoed = case.world.rewritten(vetoes=(*case.world.written.vetoes, veto)).compiled()
    assert_never_more(case.decide(), case.decide(vetoed))


SMALLER: dict[str, Callable[[Agreement], Agreement]] = {
    "a lower ceiling": lambda word: replace(word, ceiling=max(word.ceiling - 2, 0)),
    "fewer zones": lambda word: replace(word, zones=frozenset(sorted(word.zones)[1:])),
    "a shorter life of badges": lambda word: replace(word, badge_life=word.badge_life - timedelta(days=200)),
    "an earlier end": lambda word: replace(word, until=word.until - timedelta(days=60)),
    "a later beginning": lambda word: replace(word, since=word.since + timedelta(days=60)),
}


@given(case=cases(), what=st.sampled_from([*SMALLER, "none"]))
@COMPILING_TWICE
def test_a_smaller_agreement_or_none_never_opens_a_door(case: Case, what: str):
    agreements = case.world.agreements
    smaller = {} if what == "none" else {tenant: SMALLER[what](word) for tenant, word in agreements.items()}
    after = case.decide(replace(case.world, agreements=smaller).compiled())
    assert not (after.granted and not case.decide().granted)


@given(case=cases(), chance=CHANCE)
@COMPILING_TWICE
def test_a_profile_that_gives_less_never_opens_a_door(case: Case, chance: Random):
    profiles = case.world.written.profiles
    fewer = tuple(
        replace(profile, grants=tuple(grant for grant in profile.grants if chance.random() < 0.5))
        for profile in profiles
    )
    lower = tuple(
        replace(
            profile,
            grants=tuple(
                replace(grant, highest_alert=max(grant.highest_alert - 1, 0)) for grant in profile.grants
            ),
        )
        for profile in profiles
    )
    before = case.decide()
    for less in (fewer, lower):
        assert_never_more(before, case.decide(case.world.rewritten(profiles=less).compiled()))


@given(case=cases())
@OFTEN
def test_less_of_a_badge_or_of_a_person_never_opens_a_door(case: Case):
    policy, facts = case.world.compiled(), case.facts
    before = case.decide(policy)
    for less in _lesser(facts):
        after = replace(case, facts=less).decide(policy)
        assert not (after.granted and not before.granted)
    assert not case.decide(policy, badge=None).granted
    assert not case.decide(policy, holder=None).granted
    assert not case.decide(policy, findings=(Reason.WRONG_PROOF,)).granted


def _lesser(facts: Facts) -> list[Facts]:
    lesser = [
        replace(facts, badge_state=None),
        replace(facts, holder_unproven=True),
        replace(facts, epoch=facts.epoch + 1),
        replace(facts, assurance=Assurance(max(facts.assurance - 1, 0))),
        replace(facts, findings=(*facts.findings, Reason.STALE_PROOF)),
    ]
    if facts.badge is not None:
        lesser.append(replace(facts, badge=replace(facts.badge, ceiling=max(facts.badge.ceiling - 3, 0))))
        lesser.append(replace(facts, badge=replace(facts.badge, requires_trusted_time=True)))
    if facts.holder is not None:
        lower = max(facts.holder.clearance - 3, 0)
        lesser.append(replace(facts, holder=replace(facts.holder, clearance=lower)))
        lesser.append(replace(facts, holder=replace(facts.holder, profiles=facts.holder.profiles[1:])))
    return lesser


# -- what changes nothing ---------------------------------------------------------------------------------------------


@given(case=cases(), chance=CHANCE)
@OFTEN
def test_no_rule_knows_of_another_so_their_order_changes_only_what_is_shown(case: Case, chance: Random):
    policy = case.world.compiled()
    made = case.decide(policy)
    with pytest.MonkeyPatch.context() as reordered:
        reordered.setattr(deciding, "RULES", tuple(chance.sample(RULES, len(RULES))))
        again = case.decide(policy)
    assert sorted(again.reasons, key=str) == sorted(made.reasons, key=str)
    assert (again.granted, again.unlock, again.policy) == (made.granted, made.unlock, made.policy)
    assert again.granted or again.reason in made.reasons


@given(case=cases())
@COMPILING_TWICE
def test_what_another_tenant_agrees_on_is_forbidden_or_gives_its_people_changes_nothing(case: Case):
    badge, holder, written = case.facts.badge, case.facts.holder, case.world.written
    concerned: set[Any] = {one.tenant for one in (badge, holder) if one is not None}
    alone = World(
        written=replace(
            written,
            profiles=tuple(profile for profile in written.profiles if profile.tenant in concerned),
            vetoes=tuple(veto for veto in written.vetoes if veto.tenant in concerned),
        ),
        agreements={tenant: word for tenant, word in case.world.agreements.items() if tenant in concerned},
    )
    assert case.decide(alone.compiled()) == case.decide()


@given(case=cases())
@OFTEN
def test_nobody_is_held_in_by_the_hour_or_by_the_alert_state(case: Case):
    policy = case.world.compiled()
    point = policy.points.get(case.request.access_point)
    if point is None or not point.leaving:
        return
    made = [case.decide(policy, alert=alert, findings=()) for alert in range(len(ALERTS))]
    assert all(one == made[0] for one in made)
    assert not set(made[0].reasons) & {Reason.OUT_OF_TIME_RANGE, Reason.THREAT_LEVEL}
