"""A timetable says what the site's wall clock says, minute by minute, also on the days when the clock jumps."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.model.ids import ScheduleId
from gatekeeper.model.people import Names
from gatekeeper.model.schedule import Schedule, Timetable, Window, week_of

MINUTE = timedelta(minutes=1)
JUMPS = [
    ("Europe/Amsterdam", date(2026, 3, 29)),  # 02:00 -> 03:00
    ("Europe/Amsterdam", date(2026, 10, 25)),  # 03:00 -> 02:00
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour back
    ("Australia/Lord_Howe", date(2026, 10, 4)),  # half an hour forward
    ("Asia/Kathmandu", date(2026, 6, 1)),  # never, at +05:45
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that was left out
    ("America/Sao_Paulo", date(2018, 11, 4)),  # at midnight
]


def _schedule(name: str, week: dict[int, list[Window]], special: list[Window], days: set[date]) -> Schedule:
    return Schedule(
        id=ScheduleId(name),
        names=Names(en=name, nl=name),
        week=week_of(week),
        special_days=frozenset(days),
        special=tuple(special),
    )


def _by_the_wall_clock(schedule: Schedule, instant: datetime, zone: ZoneInfo) -> bool:
    """The rule as a person reads it: what does the clock on the wall say, and is that within a window of its day?"""
    wall = instant.astimezone(zone)
    minute = wall.hour * 60 + wall.minute
    windows = schedule.special if wall.date() in schedule.special_days else schedule.week[wall.weekday()]
    return any(window.since <= minute < window.until for window in windows)


def _assert_same(schedules: list[Schedule], zone_name: str, around: date) -> None:
    zone = ZoneInfo(zone_name)
    timetable = Timetable(schedules=schedules, time_zone=zone)
    begin = datetime(around.year, around.month, around.day, tzinfo=UTC) - timedelta(days=1)
    for number in range(3 * 24 * 60):
        instant = begin + number * MINUTE
        said = timetable.open_at(instant.timestamp())
        for schedule in schedules:
            open_now = bool(said & timetable.bit(schedule.id))
            assert open_now == _by_the_wall_clock(schedule, instant, zone), (schedule.id, instant, zone_name)


NIGHT = [Window(0, 60), Window(90, 150), Window(150, 200), Window(1380, 1440)]
EVERY_DAY = dict.fromkeys(range(7), NIGHT)


@pytest.mark.parametrize(("zone", "day"), JUMPS)
def test_the_nights_when_the_clock_jumps_are_minute_by_minute_what_the_wall_clock_says(zone: str, day: date):
    around = {day - timedelta(days=1), day, day + timedelta(days=1)}
    schedules = [
        _schedule("night", EVERY_DAY, [], set()),
        _schedule("always", {key: [Window(0, 1440)] for key in range(7)}, [], set()),
        _schedule("half-past-two", {key: [Window(150, 151)] for key in range(7)}, [], set()),
        _schedule("special", EVERY_DAY, [Window(120, 180)], {day}),
        _schedule("closed-on-special-days", EVERY_DAY, [], around),
    ]
    _assert_same(schedules, zone, day)


def test_an_hour_that_does_not_exist_opens_nothing_and_one_that_comes_twice_opens_twice():
    zone = ZoneInfo("Europe/Amsterdam")
    schedule = _schedule("between-two-and-three", {key: [Window(120, 180)] for key in range(7)}, [], set())
    timetable = Timetable(schedules=[schedule], time_zone=zone)

    def minutes_open(day: date) -> int:
        begin = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        end = (datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=1)).astimezone(UTC)
        count = (end - begin) // MINUTE
        return sum(bool(timetable.open_at((begin + at * MINUTE).timestamp())) for at in range(count))

    assert minutes_open(date(2026, 3, 28)) == 60
    assert minutes_open(date(2026, 3, 29)) == 0
    assert minutes_open(date(2026, 10, 25)) == 120


@st.composite
def _windows(draw: st.DrawFn) -> list[Window]:
    """Windows of a day, which may touch and overlap."""
    edges = st.integers(0, 1440)
    pairs = draw(st.lists(st.tuples(edges, edges).filter(lambda pair: pair[0] != pair[1]), max_size=4))
    return [Window(min(pair), max(pair)) for pair in pairs]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(JUMPS),
    st.dictionaries(st.integers(0, 6), _windows(), max_size=7),
    _windows(),
    st.sets(st.integers(-1, 1), max_size=3),
)
def test_any_schedule_around_any_jump_is_what_the_wall_clock_says(
    jump: tuple[str, date], week: dict[int, list[Window]], special: list[Window], offsets: set[int]
):
    zone, day = jump
    days = {day + timedelta(days=offset) for offset in offsets}
    _assert_same(
        [_schedule("any", week, special, days), _schedule("other", EVERY_DAY, special, days)], zone, day
    )


@pytest.mark.parametrize("bad", [(-1, 5), (5, 5), (6, 5), (0, 1441)])
def test_a_window_begins_before_it_ends_within_one_day(bad: tuple[int, int]):
    with pytest.raises(ValueError, match="begins before it ends"):
        Window(*bad)
