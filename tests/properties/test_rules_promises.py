"""What holds for all rules together: totality, order, folding, and that forbidding more never grants more."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core import decide as deciding
from gatekeeper.core.decide import Decision, asks_the_past, decide
from gatekeeper.core.facts import Facts, Past
from gatekeeper.core.rules import RULES
from gatekeeper.model.ids import TenantId
from gatekeeper.model.people import Names, Veto
from gatekeeper.model.policy import SITE_SCOPE, Policy, gate_scope, zone_scope
from gatekeeper.model.reasons import Reason
from tests.support.rules_situations import Situation, situations
from tests.support.rules_worlds import ALERTS, OF_THE_PAST, Rule, World, worlds

SOME = settings(max_examples=70, deadline=None)
ASKED = 5
FOLDED = tuple(rule for rule in Rule if rule not in OF_THE_PAST)


def asked_of(policy: Policy, asked: Situation, **changes: Any) -> Decision:
    return decide(policy, replace(asked.facts, **changes), asked.request, asked.now)


def outcome(decision: Decision) -> tuple[Any, ...]:
    """Everything a decision says, but for the policy's version and the order of what it reports."""
    return (
        decision.granted, decision.reason, frozenset(decision.reasons), frozenset(decision.shadow), decision.unlock,
        frozenset(decision.party), decision.host, decision.guests, decision.waits,
    )  # fmt: skip


def opens(decision: Decision) -> bool:
    """Granted, or nothing missing but a guard's word."""
    return decision.granted or decision.waits is not None


# -- monotone ---------------------------------------------------------------------------------------------------------


def forbids(data: st.DataObject, more: Callable[[World, Situation], tuple[Policy, dict[str, Any]]]) -> None:
    """Whatever opens when more is forbidden opened before, and every denial stays."""
    world = data.draw(worlds(least=1))
    for _ in range(ASKED):
        asked = data.draw(situations(world, most_wrong=1))
        before = asked_of(world.policy, asked)
        policy, changes = more(world, asked)
        after = asked_of(policy, asked, **changes)
        assert opens(before) or not opens(after)
        assert before.granted or not after.granted


@SOME
@given(st.data())
def test_raising_the_alert_state_never_grants_more(data: st.DataObject):
    company = (Rule.ALERTS, Rule.ESCORT, Rule.OCCUPANCY, Rule.PAIRS, Rule.DRIVER, Rule.FIRST_PERSON)
    for among in (tuple(Rule), company):
        world = data.draw(worlds(among=among, least=2))
        for _ in range(ASKED):
            asked = data.draw(situations(world, most_wrong=1))
            states = [asked_of(world.policy, asked, alert=alert) for alert in range(len(ALERTS) + 1)]
            assert sorted(map(opens, states), reverse=True) == [*map(opens, states)]
            assert sorted([one.granted for one in states], reverse=True) == [one.granted for one in states]


@SOME
@given(st.data())
def test_a_veto_never_grants_more(data: st.DataObject):
    def vetoed(world: World, asked: Situation) -> tuple[Policy, dict[str, Any]]:
        tenant = TenantId(data.draw(st.sampled_from(["school", "club"])))
        zone = data.draw(st.sampled_from([zone.id for zone in world.written.zones]))
        veto = Veto(tenant=tenant, zone=zone, why=Names(en="no", nl="nee"))
        return world.but(vetoes=(*world.written.vetoes, veto)).policy, {}

    forbids(data, vetoed)


@SOME
@given(st.data())
def test_a_lockdown_never_grants_more(data: st.DataObject):
    scopes = st.sampled_from([SITE_SCOPE, gate_scope("gate-0"), zone_scope("zone-1"), zone_scope("zone-2")])

    def locked(world: World, asked: Situation) -> tuple[Policy, dict[str, Any]]:
        return world.policy, {"lockdowns": asked.facts.lockdowns | {data.draw(scopes)}}

    forbids(data, locked)


@SOME
@given(st.data())
def test_suspending_a_tenant_never_grants_more(data: st.DataObject):
    tenants = st.sampled_from([TenantId("school"), TenantId("club")])

    def suspended(world: World, asked: Situation) -> tuple[Policy, dict[str, Any]]:
        return world.policy, {"suspended": asked.facts.suspended | {data.draw(tenants)}}

    forbids(data, suspended)


@SOME
@given(st.data())
def test_enforcing_what_was_only_reported_never_grants_more(data: st.DataObject):
    def enforced(world: World, asked: Situation) -> tuple[Policy, dict[str, Any]]:
        zones = tuple(
            replace(zone, rules=replace(zone.rules, shadow=frozenset())) for zone in world.written.zones
        )
        rules = replace(world.written.rules, shadow=frozenset())
        return world.but(zones=zones, rules=rules).policy, {}

    forbids(data, enforced)


# -- whose change it is -----------------------------------------------------------------------------------------------


@SOME
@given(st.data())
def test_a_tenants_profiles_never_affect_another_tenants_holders(data: st.DataObject):
    world = data.draw(worlds(least=1))
    other = data.draw(worlds(among=[Rule.NARROW_PROFILES], least=1))
    doors, zones = ({one.id for one in found} for found in (world.written.access_points, world.written.zones))
    tenant = TenantId(data.draw(st.sampled_from(["army", "school", "club"])))

    def fits(grant: Any) -> bool:
        return grant.zone in zones or grant.access_point in doors

    profiles = tuple(
        replace(theirs, grants=tuple(filter(fits, theirs.grants))) if mine.tenant == tenant else mine
        for mine, theirs in zip(world.written.profiles, other.written.profiles, strict=True)
    )
    changed = world.but(profiles=profiles).policy
    for _ in range(ASKED):
        asked = data.draw(situations(world, most_wrong=1))
        if asked.facts.badge is not None and asked.facts.badge.tenant != tenant:
            assert outcome(asked_of(changed, asked)) == outcome(asked_of(world.policy, asked))


# -- order, folding, totality -----------------------------------------------------------------------------------------


@SOME
@given(st.data(), st.integers(0, 1 << 32))
def test_the_order_of_the_rules_changes_only_what_is_shown_first(data: st.DataObject, seed: int):
    world = data.draw(worlds(least=1))
    shuffled = random.Random(seed).sample(RULES, len(RULES))
    for _ in range(ASKED):
        asked = data.draw(situations(world))
        kept = outcome(asked_of(world.compiled(), asked))
        try:
            deciding.RULES = tuple(shuffled)
            moved = outcome(asked_of(world.compiled(), asked))
        finally:
            deciding.RULES = RULES
        assert (kept[0], *kept[2:]) == (moved[0], *moved[2:])


@SOME
@given(st.data())
def test_a_folded_decision_is_the_one_that_a_cold_policy_makes(data: st.DataObject):
    """Few badges, many questions: what was folded for one must not answer another."""
    world = data.draw(worlds(among=FOLDED, least=1))
    people = data.draw(st.lists(situations(world, remembered=False, most_wrong=1), min_size=1, max_size=2))
    for _ in range(4 * ASKED):
        asked = data.draw(situations(world, remembered=False, most_wrong=1))
        who = data.draw(st.sampled_from(people)).facts
        keeps = {"badge": who.badge, "holder": who.holder, "badge_state": who.badge_state}
        if data.draw(st.booleans()):
            asked = replace(asked, facts=replace(asked.facts, **keeps))
        warm = decide(world.policy, asked.facts, asked.request, asked.now)
        again = decide(world.policy, asked.facts, asked.request, asked.now)
        cold = decide(world.compiled(), asked.facts, asked.request, asked.now)
        assert warm == again == cold


@SOME
@given(st.data())
def test_where_no_rule_asks_for_the_past_the_past_changes_nothing(data: st.DataObject):
    world = data.draw(worlds(least=1))
    for _ in range(ASKED):
        asked = data.draw(situations(world, most_wrong=0))
        point = world.policy.points[asked.request.access_point]
        if not asks_the_past(world.policy, point):
            # What was typed and what a guard said is of this scan; visitors are brought into escorted zones only.
            past = asked.facts.past
            typed = Past(factor=past.factor, guard=past.guard, visitors=past.visitors)
            without = asked_of(world.policy, asked, past=typed)
            assert outcome(asked_of(world.policy, asked)) == outcome(without)


@SOME
@given(st.data())
def test_every_question_has_an_answer_however_little_its_facts_fit_together(data: st.DataObject):
    world, stranger = data.draw(worlds(least=1)), data.draw(worlds(least=1))
    for _ in range(ASKED):
        one, other = data.draw(situations(world)), data.draw(situations(stranger))
        mixed = Facts(
            **{
                name: getattr(data.draw(st.sampled_from([one.facts, other.facts])), name)
                for name in Facts.__dataclass_fields__
            }
        )
        mixed = replace(mixed, alert=data.draw(st.integers(0, 300)))
        point = data.draw(st.sampled_from([one.request, other.request]))
        made = decide(world.policy, mixed, point, data.draw(st.sampled_from([one.now, other.now])))
        denying = [reason for reason in made.reasons if reason.denies]
        assert made.granted is (not denying and made.waits is None)
        assert made.reason is (made.reasons[-1] if made.waits else denying[0] if denying else Reason.GRANTED)
        assert made.policy == world.policy.version
