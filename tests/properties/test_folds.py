"""What `decide` remembers of a badge at a door changes no answer: asked anew, in any order, it says what it says afresh."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core import decide as module
from gatekeeper.core.decide import Decision, Facts, Request, decide
from gatekeeper.model.badges import Assurance, BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from tests.support.rules_situations import Situation, badges, holders, situations
from tests.support.rules_worlds import ALERTS, Rule, World, local_instants, worlds
from tests.support.sites import BADGES, NOON, ground

MANY = settings(max_examples=150, deadline=None)
FOLDED = (
    Rule.HOURS, Rule.NARROW_PROFILES, Rule.LEVELS, Rule.EVENTS, Rule.CALL_UPS, Rule.AGREEMENTS, Rule.CERTIFICATES, Rule.VETOES,
    Rule.SHADOW,
)  # fmt: skip


def afresh(policy: Policy, asked: Situation) -> Decision:
    return decide(replace(policy), asked.facts, asked.request, asked.now)


def differing(world: World) -> dict[str, st.SearchStrategy[Callable[[Situation], Situation]]]:
    """Each way in which the next who asks may differ from the last."""

    def facts(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return values.map(
            lambda value: lambda asked: replace(asked, facts=replace(asked.facts, **{name: value}))
        )

    def another_badge(fresh: Any) -> Callable[[Situation], Situation]:
        def changed(asked: Situation) -> Situation:
            badge = asked.facts.badge
            return (
                asked
                if badge is None
                else replace(asked, facts=replace(asked.facts, badge=replace(fresh, id=badge.id)))
            )

        return changed

    tenant = world.written.host
    points = st.sampled_from(world.written.access_points)
    return {
        "now": (local_instants() | st.timedeltas(timedelta(days=-2), timedelta(days=2))).map(
            lambda moved: lambda asked: replace(
                asked, now=moved if isinstance(moved, datetime) else asked.now + moved
            )
        ),
        "badge": badges(tenant, frozenset()).map(another_badge),
        "holder": facts("holder", st.none() | holders(tenant, frozenset(), world.rules)),
        "state": facts("badge_state", st.sampled_from([None, *BadgeState])),
        "unproven": facts("holder_unproven", st.booleans()),
        "epoch": facts("epoch", st.integers(0, 2)),
        "alert": facts("alert", st.integers(0, len(ALERTS))),
        "assurance": facts("assurance", st.sampled_from(Assurance)),
        "whereabouts": facts("whereabouts", st.sampled_from([None, *(zone.id for zone in world.written.zones)])),
        "point": points.map(
            lambda point: lambda asked: replace(
                asked, request=replace(asked.request, access_point=point.id, gate=point.gate)
            )
        ),
    }  # fmt: skip


@MANY
@given(st.data())
def test_whoever_asks_again_hears_what_he_would_hear_for_the_first_time(data: st.DataObject):
    world = data.draw(worlds(among=FOLDED))
    known = [data.draw(situations(world, remembered=False, most_wrong=1)) for _ in range(2)]
    ways = differing(world)
    for _ in range(12):
        asked = data.draw(st.sampled_from(known))
        changed = data.draw(ways[data.draw(st.sampled_from(sorted(ways)))])(asked)
        for one in (asked, changed, asked):
            assert decide(world.policy, one.facts, one.request, one.now) == afresh(world.policy, one)
        known.append(changed)


def test_whoever_is_inside_already_is_told_so_though_he_was_granted_before_and_the_other_way_round():
    policy, now = replace(ground().policy), NOON
    point = policy.points[AccessPointId("barrack-in")]
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.NONE)
    facts = Facts(
        badge=BADGES["private"].badge, badge_state=BadgeState.ACTIVE, assurance=Assurance.KEY_BOUND, findings=(),
        holder=ground().holders["private"], holder_unproven=False, epoch=1, whereabouts=None, alert=0,
        lockdowns=frozenset(),
    )  # fmt: skip
    places = (point.source, point.target, point.source, point.target)
    told = [decide(policy, replace(facts, whereabouts=place), request, now).reason for place in places]
    assert told == [Reason.GRANTED, Reason.PASSBACK] * 2


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_memory_that_is_full_begins_anew_and_answers_the_same(data: st.DataObject):
    world = data.draw(worlds(among=FOLDED))
    asked = data.draw(situations(world, remembered=False, most_wrong=0))
    badge = asked.facts.badge
    assert badge is not None
    most = module._MOST_FOLDS
    try:
        module._MOST_FOLDS = 3  # type: ignore[misc]
        for number in range(8):
            other = replace(badge, id=BadgeId(f"{number:032x}"))
            one = replace(asked, facts=replace(asked.facts, badge=other))
            assert decide(world.policy, one.facts, one.request, one.now) == afresh(world.policy, one)
            assert sum(len(door.folds) for door in world.policy.folds.values()) <= 3
    finally:
        module._MOST_FOLDS = most  # type: ignore[misc]
