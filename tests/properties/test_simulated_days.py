"""What is true of every simulated day, whoever lives it, whatever the seed."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from devices.simulator.days import Day, Errand, Ground, Habits, Inhabitant, day_of, evacuated
from devices.simulator.faults import Faults, fate, power_cuts
from gatekeeper.model.ids import GateId, HolderId, ZoneId
from gatekeeper.model.site_file.population import _ROUTINES

OUTSIDE = ZoneId("outside")
ZONES = tuple(ZoneId(name) for name in ("outside", "gate", "office", "mess", "crisis-room", "quarter"))
INNER = st.sampled_from(ZONES[1:])
HOLDERS = st.integers(1, 99_999).map(lambda number: HolderId(f"h-{number:05}"))
MINUTES = st.integers(0, 24 * 60 - 1).map(lambda minutes: timedelta(minutes=minutes))
SEEDS = st.integers(0, 1 << 32)


@st.composite
def _grounds(draw: st.DrawFn) -> Ground:
    people = st.frozensets(HOLDERS, max_size=3)
    return Ground(
        outside=OUTSIDE,
        zones=ZONES,
        mess=draw(st.none() | st.just(ZoneId("mess"))),
        training=draw(st.none() | st.just(ZoneId("quarter"))),
        exercise=draw(st.none() | st.just(ZoneId("crisis-room"))),
        guests=draw(people),
        hosts=draw(people),
        receptions={home: draw(st.sampled_from(ZONES)) for home in ZONES},
    )


@st.composite
def _lives(draw: st.DrawFn) -> tuple[Inhabitant, Ground]:
    ground = draw(_grounds())
    holders = HOLDERS
    if ground.guests | ground.hosts:
        holders |= st.sampled_from(sorted(ground.guests | ground.hosts))
    person = Inhabitant(
        holder=draw(holders),
        routine=draw(st.sampled_from([*_ROUTINES, "one that nobody knows"])),
        home=draw(INNER),
        is_reservist=draw(st.booleans()),
        host=draw(st.none() | HOLDERS),
    )
    return person, ground


def _days() -> st.SearchStrategy[Day]:
    often = Habits(trespasses=0.5, forgets=0.5)
    return st.builds(
        lambda life, seed, day: day_of(*life, seed=seed, day=day, habits=often),
        _lives(),
        SEEDS,
        st.integers(0, 400),
    )


@given(_lives(), SEEDS, st.integers(0, 400))
def test_the_same_seed_gives_the_same_day(life: tuple[Inhabitant, Ground], seed: int, day: int):
    assert day_of(*life, seed=seed, day=day) == day_of(*life, seed=seed, day=day)


@given(_days())
def test_a_day_begins_and_ends_outside_and_its_times_rise(day: Day):
    assert day.step_at(day.steps[0].at - timedelta(microseconds=1)) is None
    assert day.steps[-1].zone == OUTSIDE
    assert day.steps[0].at >= timedelta()
    assert day.steps[-1].at < timedelta(hours=32)
    for step, then in pairwise(day.steps):
        assert step.at < then.at


@given(_days())
def test_nobody_is_in_two_places_or_goes_where_they_are(day: Day):
    zone = OUTSIDE
    for step in day.steps:
        assert step.zone != zone
        zone = step.zone
        assert day.step_at(step.at) is step


@given(_days(), MINUTES, MINUTES)
def test_an_evacuation_empties_the_ground_and_changes_nothing_else(
    day: Day, since: timedelta, lasting: timedelta
):
    until = since + lasting + timedelta(minutes=1)
    drill = evacuated(day, outside=OUTSIDE, since=since, until=until)

    def zone(day: Day, at: timedelta) -> ZoneId:
        step = day.step_at(at)
        return OUTSIDE if step is None else step.zone

    for at in (since, since + (until - since) / 2, until - timedelta(seconds=1)):
        assert zone(drill, at) == OUTSIDE
    for step in day.steps:
        if step.at < since or step.at > until + timedelta(seconds=2):
            assert zone(drill, step.at) == step.zone
    assert [step for step in drill.steps if step.at < since] == [s for s in day.steps if s.at < since]
    assert zone(drill, timedelta(hours=48)) == OUTSIDE
    assert sum(step.errand is Errand.EVACUATE for step in drill.steps) <= 1


@given(SEEDS, st.integers(0, 400), st.floats(0.01, 10))
def test_power_goes_in_the_order_of_the_day_and_the_same_for_the_same_seed(seed: int, day: int, often: float):
    gates, faults = [GateId(f"gate-{n}") for n in range(5)], Faults(power_cut=often)
    cuts = list(power_cuts(gates, faults, seed=seed, day=day))
    assert cuts == sorted(cuts) == list(power_cuts(gates, faults, seed=seed, day=day))
    assert all(timedelta() <= at < timedelta(days=1) for at, _ in cuts)


@given(st.randoms(use_true_random=False))
def test_without_faults_every_message_arrives_once_in_time_and_as_it_is(drawing: object):
    meets = fate(Faults(), drawing)  # type: ignore[arg-type]
    assert (meets.lost, meets.late, meets.again, meets.behind_next, meets.forged) == (
        False,
        timedelta(),
        None,
        False,
        False,
    )
