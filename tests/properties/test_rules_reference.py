"""The decision against its slow, plain reference: for generated sites, people, histories and instants."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.decide import Decision, decide
from tests.support.rules_reference import ORDER, Answered, answer
from tests.support.rules_situations import Situation, situations
from tests.support.rules_worlds import Rule, World, worlds

MANY = settings(max_examples=120, deadline=None)
ASKED = 6
IN_COMPANY = (
    Rule.OCCUPANCY, Rule.PAIRS, Rule.ESCORT, Rule.DRIVER, Rule.FIRST_PERSON, Rule.ALERTS, Rule.GUARD, Rule.SHADOW,
)  # fmt: skip
IN_TIME = (
    Rule.HOURS,
    Rule.NARROW_PROFILES,
    Rule.EVENTS,
    Rule.CALL_UPS,
    Rule.AGREEMENTS,
    Rule.PIN,
    Rule.CERTIFICATES,
)


def told(decision: Decision) -> Answered:
    """A decision in the words of the reference."""
    assert len(set(decision.reasons)) == len(decision.reasons)
    assert (decision.unlock is not None) is decision.granted
    return Answered(
        granted=decision.granted,
        shown=decision.reason,
        reasons=frozenset(decision.reasons),
        shadow=frozenset(decision.shadow),
        party=frozenset(one.holder for one in decision.party),
        host=decision.host,
        guests=decision.guests,
        waits=decision.waits,
    )


def expected(world: World, asked: Situation) -> Answered:
    return answer(world.written, world.agreements, asked.facts, asked.request, asked.now)


def hold_against_the_reference(data: st.DataObject, world: World, *, most_wrong: int) -> None:
    for _ in range(ASKED):
        asked = data.draw(situations(world, most_wrong=most_wrong))
        assert told(decide(world.policy, asked.facts, asked.request, asked.now)) == expected(world, asked)


@MANY
@given(st.data())
def test_the_decision_is_the_references_whatever_is_asked_where_anything_may_be_wrong(data: st.DataObject):
    hold_against_the_reference(data, data.draw(worlds(least=1)), most_wrong=2)


@MANY
@given(st.data())
def test_the_decision_is_the_references_in_company(data: st.DataObject):
    hold_against_the_reference(data, data.draw(worlds(among=IN_COMPANY, least=1, most=4)), most_wrong=0)


@MANY
@given(st.data())
def test_the_decision_is_the_references_at_the_edges_of_time(data: st.DataObject):
    """Windows, special days, the days on which the clock moves, and every date that begins or ends something."""
    hold_against_the_reference(data, data.draw(worlds(among=IN_TIME, least=1, most=4)), most_wrong=1)


def test_the_order_of_the_reference_names_every_denial_of_a_rule_once():
    assert len(set(ORDER)) == len(ORDER)
    assert all(reason.denies for reason in ORDER)
