"""Schedules: windows of the wall clock, half-open, with special days and nights on which the clock is moved."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.model.ids import ScheduleId
from gatekeeper.model.people import Names
from gatekeeper.model.schedule import MINUTES_A_DAY, Schedule, Timetable, Window, week_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
EVERY_DAY = range(7)


def minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def window(text: str) -> Window:
    since, until = text.split("-")
    return Window(minute(since), minute(until))


def schedule(
    name: str,
    *windows: str,
    days: object = EVERY_DAY,
    special_days: object = (),
    special: tuple[str, ...] = (),
) -> Schedule:
    return Schedule(
        id=ScheduleId(name),
        names=Names(en=name, nl=name),
        week=week_of({day: [window(text) for text in windows] for day in days}),
        special_days=frozenset(special_days),
        special=tuple(sorted(window(text) for text in special)),
    )


def timetable(*schedules: Schedule, zone: ZoneInfo = AMSTERDAM) -> Timetable:
    return Timetable(schedules=schedules, time_zone=zone)


def is_open(table: Timetable, name: str, at: datetime) -> bool:
    return bool(table.open_at(at.timestamp()) & table.bit(ScheduleId(name)))


def wall(text: str, *, second: bool = False) -> datetime:
    """An instant by Amsterdam's wall clock; the second of two when the clock shows it twice."""
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM, fold=int(second))


def opening_times(table: Timetable, name: str, day: date) -> list[str]:
    """The stretches of UTC minutes at which a schedule is open in the 24 UTC hours of a day, as text."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    minutes = [is_open(table, name, begin + timedelta(minutes=at)) for at in range(MINUTES_A_DAY)]
    edges = [
        at
        for at in range(MINUTES_A_DAY + 1)
        if ([False, *minutes, False][at] != [False, *minutes, False][at + 1])
    ]
    spelled = [f"{at // 60:02}:{at % 60:02}" for at in edges]
    return [f"{since}-{until}" for since, until in zip(spelled[::2], spelled[1::2], strict=True)]


# -- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("since", "until"), [(0, 1), (0, 1440), (1439, 1440), (480, 1020)])
def test_a_window_begins_before_it_ends_within_one_day(since: int, until: int):
    assert Window(since, until).since == since


@pytest.mark.parametrize(
    ("since", "until"), [(0, 0), (1, 0), (480, 480), (1380, 60), (-1, 10), (0, 1441), (1440, 1441)]
)
def test_what_crosses_midnight_or_never_opens_is_no_window(since: int, until: int):
    with pytest.raises(ValueError, match="begins before it ends"):
        Window(since, until)


def test_a_week_has_seven_days_monday_first_each_in_order():
    week = week_of({6: [Window(60, 120), Window(0, 30)], 0: [Window(1, 2)]})
    assert week == ((Window(1, 2),), (), (), (), (), (), (Window(0, 30), Window(60, 120)))


# -- an ordinary day --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "open_then"),
    [
        ("2026-06-03T07:59:59.999999", False),
        ("2026-06-03T08:00:00", True),
        ("2026-06-03T12:29:59.999999", True),
        ("2026-06-03T12:30:00", False),
        ("2026-06-03T13:00:00", True),
        ("2026-06-03T16:59:59.999999", True),
        ("2026-06-03T17:00:00", False),
        ("2026-06-06T12:00:00", False),
    ],
)
def test_windows_are_half_open_by_the_wall_clock(at: str, open_then: bool):  # noqa: FBT001
    table = timetable(schedule("lessons", "13:00-17:00", "08:00-12:30", days=range(5)))
    assert is_open(table, "lessons", wall(at)) is open_then


def test_the_same_wall_time_is_another_instant_in_winter_and_summer():
    table = timetable(schedule("lessons", "08:00-17:00"))
    assert opening_times(table, "lessons", date(2026, 1, 14)) == ["07:00-16:00"]
    assert opening_times(table, "lessons", date(2026, 7, 15)) == ["06:00-15:00"]


def test_a_whole_day_next_to_a_whole_day_has_no_seam():
    table = timetable(schedule("always", "00:00-24:00"))
    assert opening_times(table, "always", date(2026, 6, 3)) == ["00:00-24:00"]
    assert is_open(table, "always", wall("2026-06-04T00:00:00"))


def test_a_night_is_two_windows_that_meet_at_midnight():
    table = timetable(schedule("night", "00:00-06:00", "22:00-24:00"))
    assert opening_times(table, "night", date(2026, 6, 3)) == ["00:00-04:00", "20:00-24:00"]


@pytest.mark.parametrize(
    "windows",
    [
        ("08:00-10:00", "10:00-12:00"),
        ("08:00-11:00", "09:00-12:00"),
        ("08:00-12:00", "09:00-10:00"),
        ("08:00-12:00",) * 2,
    ],
)
def test_windows_that_touch_or_overlap_are_one_opening(windows: tuple[str, ...]):
    assert opening_times(timetable(schedule("a", *windows)), "a", date(2026, 6, 3)) == ["06:00-10:00"]


def test_each_schedule_has_a_bit_of_its_own_and_all_are_asked_at_once():
    table = timetable(
        schedule("morning", "08:00-12:00"),
        schedule("never"),
        schedule("noon", "11:00-13:00"),
        schedule("always", "00:00-24:00"),
    )
    bits = [table.bit(ScheduleId(name)) for name in ("morning", "never", "noon", "always")]
    assert bits == [1, 2, 4, 8]
    assert [
        table.open_at(wall(f"2026-06-03T{at}:30").timestamp()) for at in ("07", "08", "11", "12", "13")
    ] == [8, 9, 13, 12, 8]


def test_without_schedules_nothing_is_open():
    assert timetable().open_at(0.0) == 0


# -- special days -----------------------------------------------------------------------------------------------------


KINGS_DAY, CHRISTMAS = date(2026, 4, 27), date(2026, 12, 25)


def test_on_a_special_day_the_weekly_windows_do_not_count_and_the_special_ones_do():
    table = timetable(
        schedule("shop", "09:00-18:00", special_days=[KINGS_DAY, CHRISTMAS], special=("12:00-14:00",)),
        schedule("school", "08:00-17:00", special_days=[KINGS_DAY]),
    )
    assert opening_times(table, "shop", KINGS_DAY) == ["10:00-12:00"]
    assert opening_times(table, "school", KINGS_DAY) == []
    assert opening_times(table, "shop", CHRISTMAS) == ["11:00-13:00"]
    assert opening_times(table, "school", CHRISTMAS) == ["07:00-16:00"]
    assert opening_times(table, "shop", KINGS_DAY + timedelta(days=1)) == ["07:00-16:00"]


def test_a_special_day_is_a_day_of_the_wall_clock_not_of_utc():
    table = timetable(schedule("always", "00:00-24:00", special_days=[KINGS_DAY]))
    assert opening_times(table, "always", KINGS_DAY - timedelta(days=1)) == ["00:00-22:00"]
    assert opening_times(table, "always", KINGS_DAY) == ["22:00-24:00"]


def test_a_schedule_may_be_open_on_special_days_alone():
    table = timetable(schedule("fair", special_days=[KINGS_DAY], special=("10:00-16:00",)))
    assert opening_times(table, "fair", KINGS_DAY) == ["08:00-14:00"]
    assert opening_times(table, "fair", KINGS_DAY + timedelta(days=7)) == []


# -- nights on which the clock is moved -------------------------------------------------------------------------------


FORWARD, BACK = date(2026, 3, 29), date(2026, 10, 25)


SUNDAY = (
    schedule("the-hour", "02:00-03:00", days=[6]),
    schedule("across", "01:30-03:30", days=[6]),
    schedule("into", "01:30-02:30", days=[6]),
    schedule("out-of", "02:30-03:30", days=[6]),
)


@pytest.mark.parametrize(
    ("name", "times"),
    [("the-hour", []), ("across", ["00:30-01:30"]), ("into", ["00:30-01:00"]), ("out-of", ["01:00-01:30"])],
)
def test_in_spring_an_hour_of_the_wall_clock_does_not_exist(name: str, times: list[str]):
    """At 01:00 UTC the clock goes from 02:00 to 03:00."""
    assert opening_times(timetable(*SUNDAY), name, FORWARD) == times


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("the-hour", ["00:00-02:00"]),
        ("across", ["00:00-02:30"]),
        ("into", ["00:00-00:30", "01:00-01:30"]),
        ("out-of", ["00:30-01:00", "01:30-02:30"]),
    ],
)
def test_in_autumn_an_hour_of_the_wall_clock_is_there_twice(name: str, times: list[str]):
    """At 01:00 UTC the clock goes from 03:00 back to 02:00."""
    assert opening_times(timetable(*SUNDAY), name, BACK) == times


def test_a_special_day_of_25_hours_is_special_for_all_of_them():
    table = timetable(schedule("always", "00:00-24:00", special_days=[BACK]))
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)
    shut = [hour for hour in range(-3, 30) if not is_open(table, "always", midnight + timedelta(hours=hour))]
    assert shut == list(range(25))


# -- memory -----------------------------------------------------------------------------------------------------------


def test_what_is_remembered_of_days_changes_no_answer_and_has_a_bound():
    table, fresh = (timetable(schedule("lessons", "08:00-17:00", days=range(5))) for _ in range(2))
    day = timedelta(days=1).total_seconds()
    begin = wall("2026-06-03T12:00").timestamp()
    answers = [table.open_at(begin + number * day) for number in range(4200)]
    assert len(table._days) <= 4096
    assert [fresh.open_at(begin + number * day) for number in range(0, 4200, 99)] == answers[::99]
    assert [table.open_at(begin + number * day) for number in range(0, 4200, 99)] == answers[::99]


def test_order_of_asking_changes_no_answer():
    table = timetable(schedule("lessons", "08:00-17:00"))
    noon, night = wall("2026-06-03T12:00").timestamp(), wall("2026-06-03T23:00").timestamp()
    assert [table.open_at(at) for at in (noon, night, noon, night)] == [1, 0, 1, 0]
