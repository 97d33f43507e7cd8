"""Compiled schedules are open exactly when the wall clock stands in a window: compared minute by minute.

The reference asks `zoneinfo` for the wall clock of one instant and looks at the windows of that date; it knows nothing of
offsets, stretches or days of UTC. The days are those on which clocks do what programs do not expect.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.model.ids import ScheduleId
from gatekeeper.model.people import Names
from gatekeeper.model.schedule import MINUTES_A_DAY, Schedule, Timetable, Window

DAYS = {
    "Amsterdam, an hour that does not exist": ("Europe/Amsterdam", date(2026, 3, 29)),
    "Amsterdam, an hour that is there twice": ("Europe/Amsterdam", date(2026, 10, 25)),
    "Amsterdam, an ordinary day": ("Europe/Amsterdam", date(2026, 6, 3)),
    "Amsterdam, before the war": ("Europe/Amsterdam", date(1938, 5, 15)),
    "Kathmandu, 45 minutes past": ("Asia/Kathmandu", date(2026, 6, 3)),
    "Kathmandu, when a quarter of an hour went": ("Asia/Kathmandu", date(1985, 12, 31)),
    "Lord Howe, half an hour back": ("Australia/Lord_Howe", date(2026, 4, 4)),
    "Lord Howe, half an hour forward": ("Australia/Lord_Howe", date(2026, 10, 3)),
    "Apia, where the 30th never was": ("Pacific/Apia", date(2011, 12, 30)),
    "Kwajalein, which crossed the date line too": ("Pacific/Kwajalein", date(1993, 8, 20)),
    "Sao Paulo, where midnight did not exist": ("America/Sao_Paulo", date(2018, 11, 4)),
    "Havana, where midnight is there twice": ("America/Havana", date(2026, 11, 1)),
    "Monrovia, 44 minutes and 30 seconds": ("Africa/Monrovia", date(1972, 1, 7)),
    "Troll, two hours at once": ("Antarctica/Troll", date(2026, 3, 29)),
    "Kiritimati, first of all": ("Pacific/Kiritimati", date(2026, 1, 1)),
    "Casablanca, for Ramadan": ("Africa/Casablanca", date(2026, 2, 15)),
    "UTC": ("UTC", date(2026, 12, 31)),
}
UNTURNED = {
    "Amsterdam, an ordinary day",
    "Amsterdam, before the war",  # by some tables of the time zones, not by all
    "Kathmandu, 45 minutes past",
    "Kiritimati, first of all",
    "Casablanca, for Ramadan",  # announced anew each year
    "UTC",
}
EDGES = (0, 1, 30, 59, 60, 89, 90, 105, 120, 121, 150, 179, 180, 181, 720, 1380, 1395, 1410, 1439, 1440)
MINUTES = st.one_of(st.sampled_from(EDGES), st.integers(0, MINUTES_A_DAY))
WINDOWS = st.lists(
    st.tuples(MINUTES, MINUTES)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: Window(min(pair), max(pair))),
    max_size=3,
)


@st.composite
def schedules(draw: st.DrawFn, day: date, name: str) -> Schedule:
    """A schedule with windows where the clock is moved, and special days about this day."""
    near = st.integers(-2, 2).map(lambda days: day + timedelta(days=days))
    return Schedule(
        id=ScheduleId(name),
        names=Names(en=name, nl=name),
        week=tuple(tuple(draw(WINDOWS)) for _ in range(7)),
        special_days=frozenset(draw(st.lists(near, max_size=3))),
        special=tuple(draw(WINDOWS)),
    )


def open_by_the_wall_clock(schedule: Schedule, instant: float, zone: ZoneInfo) -> bool:
    wall = datetime.fromtimestamp(instant, zone)
    minute = wall.hour * 60 + wall.minute
    return any(window.since <= minute < window.until for window in schedule.windows_on(wall.date()))


def expected(table: Timetable, instant: float) -> int:
    answers = [open_by_the_wall_clock(schedule, instant, table.time_zone) for schedule in table.schedules]
    return sum(1 << index for index, is_open in enumerate(answers) if is_open)


def midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("what", DAYS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_minute_of_three_days_is_as_the_wall_clock_says(what: str, data: st.DataObject):
    zone, day = DAYS[what]
    chosen = [data.draw(schedules(day, name), label=name) for name in ("first", "second")]
    table = Timetable(schedules=chosen, time_zone=ZoneInfo(zone))
    begin = midnight(day - timedelta(days=1))
    for minute in range(3 * MINUTES_A_DAY):
        instant = begin + minute * 60
        assert table.open_at(instant) == expected(table, instant), datetime.fromtimestamp(instant, UTC)


@given(
    zone=st.sampled_from(sorted({zone for zone, _ in DAYS.values()})),
    day=st.dates(date(1930, 1, 1), date(2100, 1, 1)),
    seconds=st.lists(st.floats(0, 86_400, exclude_max=True), min_size=40, max_size=40),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_instant_of_any_day_is_as_the_wall_clock_says(
    zone: str, day: date, seconds: list[float], data: st.DataObject
):
    table = Timetable(schedules=[data.draw(schedules(day, "any"))], time_zone=ZoneInfo(zone))
    for second in seconds:
        instant = midnight(day) + second
        assert table.open_at(instant) == expected(table, instant), datetime.fromtimestamp(instant, UTC)


def minutes_with(bit: int) -> Schedule:
    """Open in the minutes of a day whose number has this bit; eleven of them tell the minute."""
    windows = tuple(Window(minute, minute + 1) for minute in range(MINUTES_A_DAY) if minute >> bit & 1)
    name = f"bit-{bit}"
    return Schedule(
        id=ScheduleId(name),
        names=Names(en=name, nl=name),
        week=(windows,) * 7,
        special_days=frozenset(),
        special=(),
    )


@pytest.mark.parametrize("what", DAYS)
def test_every_second_about_the_turn_of_the_clock_is_as_the_wall_clock_says(what: str):
    """The turn is found to the second, and the second belongs to what follows."""
    zone_name, day = DAYS[what]
    zone = ZoneInfo(zone_name)
    table = Timetable(schedules=[minutes_with(bit) for bit in range(11)], time_zone=zone)
    begin = midnight(day - timedelta(days=1))

    def offset(instant: float) -> timedelta | None:
        return datetime.fromtimestamp(instant, zone).utcoffset()

    turns = [
        begin + 60 * minute
        for minute in range(1, 3 * MINUTES_A_DAY)
        if offset(begin + 60 * minute) != offset(begin + 60 * (minute - 1))
    ]
    assert turns or what in UNTURNED
    for turn in turns or [begin]:
        for second in range(-130, 130):
            assert table.open_at(turn + second) == expected(table, turn + second), second
