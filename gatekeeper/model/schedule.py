"""Schedules: weekly windows in the site's own time, with special days; and when each is open.

Windows are half-open and never cross midnight. On a special day of the schedule's calendar its weekly windows do not
count and its special windows do. "Open at an instant" means: the wall clock of the site, at that instant, stands in a
window. So on the night the clock jumps forward an hour of wall time does not exist, and on the night it falls back
one is open twice; compiling per stretch of constant offset gives exactly that (tests compare it minute by minute).

A `Timetable` answers for all schedules at once: a bit set per instant, kept per UTC day, found by bisection.
`Hours` are sets of instants that can be joined, met and taken from one another, for planning and not for deciding.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from math import inf
from typing import TypeAlias
from zoneinfo import ZoneInfo

from gatekeeper.model.ids import ScheduleId
from gatekeeper.model.people import Names

__all__ = ["MINUTES_A_DAY", "Hours", "Schedule", "Timetable", "Window", "week_of"]

MINUTES_A_DAY = 1440
_DAY = 86_400.0
_WHOLE_DAY = (1 << MINUTES_A_DAY) - 1
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

    def stretches(self, since: float, until: float) -> list[tuple[float, int]]:
        """When each stretch begins in which the same schedules are open, from one instant to another, and which these are."""
        found = [(since, self.open_at(since))]
        day = since // _DAY * _DAY
        while day < until:
            self.open_at(day)
            plan = self._days[day // _DAY]
            for at, opens in zip(plan.starts, plan.open_sets, strict=True):
                # A plan ends with its day; what it says of midnight, the next day says.
                if since < at < min(until, day + _DAY) and opens != found[-1][1]:
                    found.append((at, opens))
            day += _DAY
        return found

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


@dataclass(frozen=True, slots=True)
class _Days:
    """What is open by the wall clock: a bit for each minute, by weekday; and the days that are unlike their weekday."""

    week: tuple[int, ...]
    special: tuple[tuple[date, int], ...] = ()

    @classmethod
    def of(cls, week: tuple[int, ...], special: Mapping[date, int]) -> "_Days":
        """Leave out the days that are like any other."""
        unlike = [(day, minutes) for day, minutes in special.items() if minutes != week[day.weekday()]]
        return cls(week, tuple(sorted(unlike)))

    def on(self, day: date) -> int:
        """The minutes of one local date."""
        return dict(self.special).get(day, self.week[day.weekday()])

    def with_(self, other: "_Days", join: Callable[[int, int], int]) -> "_Days":
        """Join two, minute by minute."""
        days = {day for one in (self, other) for day, _ in one.special}
        week = tuple(join(mine, theirs) for mine, theirs in zip(self.week, other.week, strict=True))
        return self.of(week, {day: join(self.on(day), other.on(day)) for day in days})


_NO_END = datetime(9999, 12, 30, tzinfo=UTC)  # later instants have no date in every time zone
_NEVER = _Days((0,) * 7)
_ALWAYS = _Days((_WHOLE_DAY,) * 7)
_Stretch: TypeAlias = tuple[float, _Days]


@dataclass(frozen=True, slots=True)
class Hours:
    """A set of instants: what the wall clock says, from one instant (Unix seconds) to the next."""

    stretches: tuple[_Stretch, ...]
    time_zone: str = ""

    @classmethod
    def always(cls) -> "Hours":
        """Every instant."""
        return cls(((-inf, _ALWAYS),))

    @classmethod
    def never(cls) -> "Hours":
        """No instant."""
        return cls(((-inf, _NEVER),))

    @classmethod
    def between(cls, since: datetime, until: datetime) -> "Hours":
        """The instants of a period, half-open."""
        begin: list[_Stretch] = [(since.timestamp(), _ALWAYS)] if since < _NO_END else []
        end: list[_Stretch] = [(until.timestamp(), _NEVER)] if until < _NO_END else []
        return cls(((-inf, _NEVER), *begin, *end))

    @classmethod
    def of(cls, schedule: Schedule) -> "Hours":
        """The instants at which a schedule is open."""
        special = _minutes(schedule.special)
        week = tuple(map(_minutes, schedule.week))
        return cls(((-inf, _Days.of(week, dict.fromkeys(schedule.special_days, special))),))

    @classmethod
    def any_of(cls, hours: Iterable["Hours"]) -> "Hours":
        """The instants of any of these."""
        found = cls.never()
        for one in hours:
            found |= one
        return found

    def __or__(self, other: "Hours") -> "Hours":
        return self._with(other, lambda mine, theirs: mine | theirs)

    def __and__(self, other: "Hours") -> "Hours":
        return self._with(other, lambda mine, theirs: mine & theirs)

    def __sub__(self, other: "Hours") -> "Hours":
        return self._with(other, lambda mine, theirs: mine & ~theirs)

    def __bool__(self) -> bool:
        """Whether there is any instant; to be asked of what `after` gave."""
        return any(
            any(days.week) or any(minutes for _, minutes in days.special) for _, days in self.stretches
        )

    def contains(self, instant: float, time_zone: ZoneInfo) -> bool:
        """Whether an instant belongs to it."""
        days = self.days_at(instant)
        wall = datetime.fromtimestamp(instant, time_zone)
        return bool(days.on(wall.date()) >> (wall.hour * 60 + wall.minute) & 1)

    def after(self, now: float, time_zone: ZoneInfo) -> "Hours":
        """What is left of it from an instant on, by the clock of a site: nothing in it that never comes."""
        bounds = [*(since for since, _ in self.stretches), inf]
        found: list[_Stretch] = []
        for (_, days), (since, until) in zip(self.stretches, pairwise(bounds), strict=True):
            if until > now:
                kept = _within(days, max(since, now), until, time_zone)
                found.append((since if since > now else -inf, kept))
        plain = all(days in (_ALWAYS, _NEVER) for _, days in found)
        return Hours(tuple(found), "" if plain else time_zone.key)

    def is_same(self, other: "Hours", now: float) -> bool:
        """Whether these are the same instants from an instant on; by the clocks of two time zones they never are."""
        zones = {self.time_zone, other.time_zone} - {""}
        if self == other or len(zones) > 1:
            return self == other
        time_zone = ZoneInfo(zones.pop() if zones else "UTC")
        return not ((self - other) | (other - self)).after(now, time_zone)

    def days_at(self, instant: float) -> _Days:
        """What the wall clock says around an instant."""
        return self.stretches[bisect_right(self.stretches, instant, key=_begin) - 1][1]

    def _with(self, other: "Hours", join: Callable[[int, int], int]) -> "Hours":
        found: list[_Stretch] = []
        for since in sorted({since for since, _ in (*self.stretches, *other.stretches)}):
            days = self.days_at(since).with_(other.days_at(since), join)
            if not found or found[-1][1] != days:
                found.append((since, days))
        return Hours(tuple(found))


def _begin(stretch: _Stretch) -> float:
    return stretch[0]


def _minutes(windows: Iterable[Window]) -> int:
    """Windows as a bit for each minute."""
    found = 0
    for window in windows:
        found |= (1 << window.until) - (1 << window.since)
    return found


def _within(days: _Days, since: float, until: float, time_zone: ZoneInfo) -> _Days:
    """What counts between two instants: no other days, and of the first and last day only the minutes between."""
    if days in (_ALWAYS, _NEVER):
        return days
    first = datetime.fromtimestamp(since, time_zone).date()
    last = datetime.fromtimestamp(until, time_zone).date() if until != inf else date.max
    special = {day: minutes for day, minutes in days.special if first <= day <= last}
    for day in {first, last} - {date.max}:
        special[day] = days.on(day) & _minutes_between(day, since, until, time_zone)
    unlike = Counter(day.weekday() for day in special)
    week = tuple(
        minutes if unlike[weekday] < _times(weekday, first, last) else 0
        for weekday, minutes in enumerate(days.week)
    )
    return _Days.of(week, special)


def _times(weekday: int, first: date, last: date) -> int:
    """How often a weekday comes from one date to another, both included."""
    weeks, rest = divmod((last - first).days + 1, 7)
    return weeks + ((weekday - first.weekday()) % 7 < rest)


@lru_cache(maxsize=4096)
def _minutes_between(day: date, since: float, until: float, time_zone: ZoneInfo) -> int:
    """The minutes of a local date that the wall clock shows between two instants."""
    begin, end = (
        datetime(one.year, one.month, one.day, tzinfo=time_zone).timestamp()
        for one in (day, day + timedelta(days=1))
    )
    at, end = max(begin, since), min(end, until)
    found = 0
    while at < end:
        wall = datetime.fromtimestamp(at, time_zone)
        found |= 1 << (wall.hour * 60 + wall.minute)
        at = (at // 60 + 1) * 60
    return found
