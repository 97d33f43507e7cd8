"""Days and times as people write them, in the site's own time zone.

    2027-12-31            a day; as an end it counts whole (until midnight after it)
    31-12-2027            the same, as Dutch Excel writes it: 3-4-2027 is the third of April
    2027-12-31T17:00      a time of the site's clock (a space for the T will do); seconds and an offset may follow
    17:00                 today, where a person types it and not in a file that may be read again tomorrow

Where the clock goes back and an hour comes twice, a right begins at the later of the two and ends at the earlier. What is
written is read back as the same instant.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["read_instant", "show_instant", "show_time", "write_instant"]

_TIME: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
_OFFSET: Final = r"(?P<offset>Z|[+-]\d\d:\d\d)"
_DAY: Final = (
    r"(?:(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})|(?P<d>\d{1,2})-(?P<m>\d{1,2})-(?P<y>\d{4}))"
)
_WRITTEN: Final = re.compile(rf"{_DAY}(?:(?:T| +){_TIME}{_OFFSET}?)?")
_TODAY: Final = re.compile(_TIME)
_A_DAY: Final = timedelta(days=1)
_AN_INSTANT: Final = timedelta(microseconds=1)


def read_instant(text: str, zone: ZoneInfo, *, ends: bool, today: date | None = None) -> datetime:
    """Read a day or a time. Raises ValueError with what to write instead.

    `ends`: it says until when, not from when; `today`: which day a time alone is of.
    """
    written = text.strip()
    alone = _TODAY.fullmatch(written) if today is not None else None
    found = alone or _WRITTEN.fullmatch(written)
    if found is None:
        example = "2027-12-31, or 2027-12-31T17:00" + (", or 17:00 for today" if today is not None else "")
        raise ValueError(f'"{text}" is no day or time: write {example}; 31-12-2027 is read day first')
    try:
        day = today if alone is not None and today is not None else _day(found)
        if found["hour"] is None:
            return _local(datetime.combine(day + _A_DAY if ends else day, time()), zone, ends=ends)
        clock = time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
        offset = None if alone is not None else found["offset"]
        if offset is not None:
            return datetime.fromisoformat(f"{day.isoformat()}T{clock.isoformat()}{offset}").astimezone(UTC)
        return _local(datetime.combine(day, clock), zone, ends=ends)
    except (ValueError, OverflowError):
        day_first = " (the day stands first)" if alone is None and found["y"] is not None else ""
        raise ValueError(f'"{text}" does not exist: no calendar or clock shows it{day_first}') from None


def _day(found: re.Match[str]) -> date:
    if found["year"] is not None:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    return date(int(found["y"]), int(found["m"]), int(found["d"]))


def _local(wall: datetime, zone: ZoneInfo, *, ends: bool) -> datetime:
    at = wall.replace(tzinfo=zone, fold=0 if ends else 1).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None, fold=0) != wall:
        raise ValueError("the clock goes forward then")
    return at


def write_instant(at: datetime, zone: ZoneInfo, *, ends: bool) -> str:
    """Write an instant so that `read_instant` reads it back: as a day where it is one, else with its offset."""
    try:
        day = (at - _AN_INSTANT if ends else at).astimezone(zone).date().isoformat()
        if read_instant(day, zone, ends=ends) == at:
            return day
        local = at.astimezone(zone)
        whole = (local.utcoffset() or timedelta()) % timedelta(minutes=1) == timedelta()
        return (local if whole else at.astimezone(UTC)).isoformat(timespec="seconds")
    except (ValueError, OverflowError):  # at an end of the calendar
        return at.astimezone(UTC).isoformat(timespec="seconds")


def show_instant(at: datetime, zone: ZoneInfo, *, ends: bool) -> str:
    """An instant for a person to look at: as a day where it is one, else to the minute by the site's clock, with its offset."""
    written = write_instant(at, zone, ends=ends)
    return " ".join(filter(None, (written[:10], written[11:16], written[19:])))


def show_time(at: datetime, zone: ZoneInfo) -> str:
    """A time for a person to look at, to the second by the site's clock, with its offset."""
    local = at.astimezone(zone)
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"
