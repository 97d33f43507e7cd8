"""Schedules: weekly windows in the site's own time, with special days; and when each is open.

Windows are half-open and never cross midnight. On a special day of the schedule's calendar its weekly windows do not
count and its special windows do. "Open at an instant" means: the wall clock of the site, at that instant, stands in a
window. So on the night the clock jumps forward an hour of wall time does not exist, and on the night it falls back
one is open twice; compiling per stretch of constant offset gives exactly that (tests compare it minute by minute).

A `Timetable` answers for all schedules at once: a bit set per instant, kept per UTC day, found by bisection.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from gatekeeper.model.ids import ScheduleId
from gatekeeper.model.people import Names

__all__ = ["MINUTES_A_DAY", "Schedule", "Timetable", "Window", "week_of"]

MINUTES_A_DAY = 1440
_DAY = 86_400.0
_KEPT_DAYS = 4096


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Minutes of a local day, half-open: `since <= minute < until`."""

    since: int
    until: int

    def __post_init__(self) -> None:
        """Refuse what is no window."""
        if not 0 <= self.since < self.until <= MINUTES_A_DAY:
            raise ValueError("a window begins before it ends, within one day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Windows for each weekday (Monday first), and for the special days."""

    id: ScheduleId
    names: Names
    week: tuple[tuple[Window, ...], ...]
    special_days: frozenset[date]
    special: tuple[Window, ...]

    def windows_on(self, day: date) -> tuple[Window, ...]:
        """The windows that count on one local date."""
        return self.special if day in self.special_days else self.week[day.weekday()]


@dataclass(frozen=True, slots=True)
class _DayPlan:
    starts: tuple[float, ...]
    open_sets: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """All schedules of a site, compiled on first use day by day; the memory is a cache and changes no answer."""

    schedules: Sequence[Schedule]
    time_zone: ZoneInfo
    _days: dict[float, _DayPlan] = field(default_factory=dict, repr=False, compare=False)

    def bit(self, schedule: ScheduleId) -> int:
        """The bit that stands for one schedule in the sets of `open_at`."""
        return 1 << next(index for index, known in enumerate(self.schedules) if known.id == schedule)

    def open_at(self, instant: float) -> int:
        """Which schedules are open at an instant (Unix seconds), as a bit set."""
        day = instant // _DAY
        plan = self._days.get(day)
        if plan is None:
            if len(self._days) >= _KEPT_DAYS:
                self._days.clear()
            plan = self._days[day] = self._plan(day)
        return plan.open_sets[bisect_right(plan.starts, instant) - 1]

    def _plan(self, day: float) -> _DayPlan:
        begin = day * _DAY
        events: dict[float, int] = {begin: 0}
        open_now = 0
        for stretch_since, stretch_until, offset in _stretches(begin, begin + _DAY, self.time_zone):
            for index, schedule in enumerate(self.schedules):
                for since, until in _openings(schedule, stretch_since, stretch_until, offset):
                    events[since] = events.get(since, 0) ^ (1 << index)
                    events[until] = events.get(until, 0) ^ (1 << index)
        starts, open_sets = [], []
        for instant in sorted(events):
            open_now ^= events[instant]
            starts.append(instant)
            open_sets.append(open_now)
        return _DayPlan(tuple(starts), tuple(open_sets))


def _stretches(begin: float, end: float, zone: ZoneInfo) -> list[tuple[float, float, float]]:
    """Cut a UTC day at the instant its offset changes (found by bisection to the second)."""
    cuts = [begin]
    step = 3600.0
    at = begin
    while at < end:
        if _offset(at, zone) != _offset(min(at + step, end), zone):
            low, high = at, min(at + step, end)
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(middle, zone) == _offset(at, zone):
                    low = middle
                else:
                    high = middle
            if high < end:
                cuts.append(high)
        at += step
    cuts.append(end)
    return [(since, until, _offset(since, zone)) for since, until in pairwise(cuts)]


def _offset(instant: float, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(instant, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _openings(schedule: Schedule, since: float, until: float, offset: float) -> list[tuple[float, float]]:
    """The openings of one schedule within a stretch of constant offset, in Unix seconds, merged."""
    found: list[tuple[float, float]] = []
    day = datetime.fromtimestamp(since + offset, UTC).date()
    last = datetime.fromtimestamp(until + offset, UTC).date()
    while day <= last:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() - offset
        for window in sorted(schedule.windows_on(day)):
            opens = max(since, midnight + window.since * 60)
            closes = min(until, midnight + window.until * 60)
            if opens >= closes:
                continue
            if found and found[-1][1] >= opens:
                found[-1] = (found[-1][0], max(found[-1][1], closes))
            else:
                found.append((opens, closes))
        day += timedelta(days=1)
    return found


def week_of(windows: Mapping[int, Sequence[Window]]) -> tuple[tuple[Window, ...], ...]:
    """Lay windows out Monday first, each day in order."""
    return tuple(tuple(sorted(windows.get(weekday, ()))) for weekday in range(7))
