"""Simulated days: the same for the same seed, and such as people live them."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from devices.simulator.days import (
    Day,
    Errand,
    Ground,
    Habits,
    Inhabitant,
    Manner,
    Step,
    day_of,
    evacuated,
    manner,
)
from gatekeeper.model.ids import HolderId, ZoneId

OUTSIDE, GATE, OFFICE, MESS, CENTRE, CRISIS, QUARTER = (
    ZoneId(name) for name in ("outside", "gate-zone", "offices", "mess", "centre", "crisis-room", "quarter")
)
HOST, GUEST = HolderId("h-00001"), HolderId("h-00002")
GROUND = Ground(
    outside=OUTSIDE,
    zones=(OUTSIDE, GATE, OFFICE, MESS, CENTRE, CRISIS, QUARTER),
    mess=MESS,
    training=QUARTER,
    exercise=CRISIS,
    guests=frozenset({GUEST}),
    hosts=frozenset({HOST}),
    receptions={OFFICE: GATE, CENTRE: GATE},
)
MODEST = Habits(trespasses=0, forgets=0)


def _person(number: int, routine: str, home: ZoneId = OFFICE) -> Inhabitant:
    return Inhabitant(holder=HolderId(f"p-{number:05}"), routine=routine, home=home)


def _days(routine: str, count: int = 300, habits: Habits = MODEST) -> list[Day]:
    return [day_of(_person(n, routine), GROUND, seed=1, day=0, habits=habits) for n in range(count)]


def _hour(step: Step) -> float:
    return step.at / timedelta(hours=1)


@pytest.mark.parametrize("change", [{"seed": 2}, {"day": 1}, {"person": _person(8, "day-shift")}], ids=str)
def test_another_seed_another_day_and_another_person_make_another_day(change: dict[str, object]):
    terms = {"person": _person(7, "day-shift"), "seed": 1, "day": 0}

    def lived(terms: dict[str, object]) -> Day:
        return day_of(terms["person"], GROUND, seed=terms["seed"], day=terms["day"])  # type: ignore[arg-type]

    assert lived(terms) == lived(dict(terms))
    assert lived(terms) != lived(terms | change)


def test_the_guard_changes_at_seven_at_three_and_at_eleven():
    spans = {(round(_hour(day.steps[0])), round(_hour(day.steps[-1]))) for day in _days("guard")}
    assert spans == {(7, 15), (15, 23), (23, 31)}


@pytest.mark.parametrize("hour", [7.0, 15.0, 23.0, 31.0])
def test_who_comes_on_watch_is_there_before_who_goes_leaves(hour: float):
    """Counted with the night watch of the day before."""
    at, lasting = timedelta(hours=hour), 0
    for day in _days("guard"):
        for shifted in {at % timedelta(days=1), at % timedelta(days=1) + timedelta(days=1)}:
            step = day.step_at(shifted)
            lasting += step is not None and step.zone != OUTSIDE
    assert lasting > 150, "two watches of three, of three hundred"


def test_offices_fill_in_the_morning_and_eat_at_noon():
    days = _days("day-shift")
    assert all(7 < _hour(day.steps[0]) < 9.01 for day in days)
    assert all(16 < _hour(day.steps[-1]) < 18 for day in days)
    meals = [_hour(step) for day in days for step in day.steps if step.errand is Errand.MEAL]
    assert 0.5 * len(days) < len(meals) < 0.7 * len(days)
    assert 11.5 < min(meals) < max(meals) < 13


def test_a_host_goes_to_the_gate_before_the_visitors_come_and_they_come_together():
    host = day_of(
        Inhabitant(holder=HOST, routine="day-shift", home=OFFICE), GROUND, seed=1, day=0, habits=MODEST
    )
    group = [
        day_of(replace(_person(n, "visitor", CENTRE), host=HOST), GROUND, seed=1, day=0, habits=MODEST)
        for n in range(6)
    ]
    meets = next(step for step in host.steps if step.errand is Errand.RECEIVE)
    arrivals = sorted(day.steps[0].at for day in group)
    assert meets.zone == GATE
    assert meets.at < arrivals[0]
    assert arrivals[-1] - arrivals[0] < timedelta(minutes=3)
    other = day_of(replace(_person(1, "visitor", CENTRE), host=GUEST), GROUND, seed=1, day=0, habits=MODEST)
    assert abs(other.steps[0].at - arrivals[0]) > timedelta(minutes=3), "another host, another group"


def test_only_who_is_on_the_guest_list_goes_to_the_exercise():
    guest = Inhabitant(holder=GUEST, routine="visitor", home=CENTRE, host=HOST)
    zones = {
        holder: [step.zone for step in day_of(replace(guest, holder=holder), GROUND, seed=1, day=0).steps]
        for holder in (GUEST, HolderId("h-00003"))
    }
    assert CRISIS in zones[GUEST]
    assert CRISIS not in zones[HolderId("h-00003")]


def test_reservists_train_in_the_evening_and_sportsmen_do_not():
    reservist = replace(_person(1, "evening"), is_reservist=True)
    steps = {step.errand: step for step in day_of(reservist, GROUND, seed=1, day=0, habits=MODEST).steps}
    assert (steps[Errand.TRAINING].zone, round(_hour(steps[Errand.TRAINING]))) == (QUARTER, 20)
    assert all(step.zone in {OFFICE, OUTSIDE} for day in _days("evening") for step in day.steps)


def test_a_few_try_a_zone_that_is_not_on_their_way_and_do_not_stay():
    days = _days("day-shift", 2000, Habits(forgets=0))
    tries = [step for day in days for step in day.steps if step.errand is Errand.TRESPASS]
    assert 0.03 < len(tries) / len(days) < 0.06
    for day in days:
        for step, then in zip(day.steps, day.steps[1:], strict=False):
            if step.errand is Errand.TRESPASS:
                assert then.at - step.at <= timedelta(minutes=5)


def test_an_evacuation_sends_out_who_is_in_and_lets_them_go_on_afterwards():
    since, until = timedelta(hours=12), timedelta(hours=12, minutes=40)
    day = Day(
        steps=(
            Step(timedelta(hours=8), OFFICE, Errand.WORK),
            Step(timedelta(hours=12, minutes=10), MESS, Errand.MEAL),
            Step(timedelta(hours=17), OUTSIDE, Errand.LEAVE),
        ),
        forgets=False,
    )
    drill = evacuated(day, outside=OUTSIDE, since=since, until=until)
    assert drill.steps == (
        Step(timedelta(hours=8), OFFICE, Errand.WORK),
        Step(since, OUTSIDE, Errand.EVACUATE),
        Step(until, MESS, Errand.MEAL),
        Step(timedelta(hours=17), OUTSIDE, Errand.LEAVE),
    )
    early = timedelta(hours=6), timedelta(hours=7)
    assert evacuated(day, outside=OUTSIDE, since=early[0], until=early[1]) == day


def test_people_go_through_doors_properly_and_now_and_then_not():
    habits = Habits(walks_away=0.1, twice=0.1, follows=0.1, holds_open=0.1, forces=0.1)
    seen = Counter(manner(HOST, seed=1, day=0, door=door, habits=habits) for door in range(5000))
    assert set(seen) == set(Manner)
    for how, times in seen.items():
        expected = 2500 if how is Manner.PROPERLY else 500
        assert 0.8 * expected < times < 1.2 * expected
    assert (
        manner(HOST, seed=1, day=0, door=3, habits=Habits(**dict.fromkeys(Habits.__slots__, 0.0)))
        is Manner.PROPERLY
    )
