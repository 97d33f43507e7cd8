"""Simulated days: the same for the same seed, and such as people live them."""

from collections import Counter
from datetime import timedelta
from itertools import islice, pairwise
from typing import Any

import pytest

from devices.simulator.days import _MINUTES, TRESPASS, Stay, stays
from gatekeeper.model.ids import HolderId, ZoneId

HOME, MESS, OUTSIDE, ELSEWHERE = (ZoneId(name) for name in ("offices", "mess", "outside", "armoury"))
TERMS: dict[str, Any] = {
    "holder": HolderId("h-00001"),
    "routine": "day-shift",
    "home": HOME,
    "outside": OUTSIDE,
    "zones": [HOME, MESS, ELSEWHERE],
    "seed": 1,
}


def _days(count: int = 2000, **changes: Any) -> list[Stay]:
    return list(islice(stays(**(TERMS | changes)), count))


def test_the_same_seed_gives_the_same_days():
    assert _days() == _days()


@pytest.mark.parametrize("change", [{"seed": 2}, {"holder": HolderId("h-00002")}], ids=["seed", "person"])
def test_another_seed_and_another_person_give_other_days(change: dict[str, Any]):
    assert _days() != _days(**change)


def test_days_do_not_depend_on_who_else_lives_them():
    """Each person draws alone: two people who live at once live as they would one after the other."""
    one, other = stays(**TERMS), stays(**(TERMS | {"holder": HolderId("h-00002")}))
    together = [(next(one), next(other)) for _ in range(100)]
    assert [first for first, _ in together] == _days(100)


def test_people_arrive_from_outside_one_after_another():
    firsts = [_days(1, holder=HolderId(f"h-{number:05}"))[0] for number in range(200)]
    assert {stay.zone for stay in firsts} == {OUTSIDE}
    arrivals = sorted(stay.lasting for stay in firsts)
    assert arrivals[0] < timedelta(minutes=2)
    assert timedelta(minutes=18) < arrivals[-1] <= timedelta(minutes=20)


def test_a_day_begins_in_the_home_zone_and_ends_outside():
    days = _days()
    after_outside = [later.zone for earlier, later in pairwise(days) if earlier.zone == OUTSIDE]
    assert set(after_outside) == {HOME}
    assert len(after_outside) > 100


def test_who_went_to_the_mess_comes_back_home():
    # Trespassing is told apart by its length: nobody eats within five minutes.
    meals = [
        (later.zone, stay.lasting)
        for stay, later in pairwise(_days())
        if stay.zone == MESS and stay.lasting >= timedelta(minutes=10)
    ]
    assert {zone for zone, _ in meals} == {HOME}
    assert max(lasting for _, lasting in meals) <= timedelta(minutes=40)


def test_a_few_try_a_door_that_is_not_theirs_and_do_not_stay_long():
    days = _days(20_000)
    tries = [stay for stay in days if stay.zone == ELSEWHERE]
    homes = sum(earlier.zone == OUTSIDE for earlier, _ in pairwise(days))
    assert 0.5 < len(tries) / (homes * TRESPASS / 3) < 1.5, "a third of the zones is a third of the tries"
    assert max(stay.lasting for stay in tries) <= timedelta(minutes=5)


@pytest.mark.parametrize("routine", [*_MINUTES, "a routine that nobody knows"])
def test_every_routine_stays_as_long_as_it_says(routine: str):
    shortest, longest = (timedelta(minutes=minutes) for minutes in _MINUTES.get(routine, (30, 120)))
    lengths = [stay.lasting for stay in _days(routine=routine, zones=[OUTSIDE]) if stay.zone == HOME]
    assert shortest <= min(lengths) <= max(lengths) <= longest
    assert max(lengths) - min(lengths) > (longest - shortest) * 0.9


def test_nobody_goes_to_a_mess_that_is_not_there():
    assert Counter(stay.zone for stay in _days(zones=[HOME])).keys() == {HOME, OUTSIDE}
