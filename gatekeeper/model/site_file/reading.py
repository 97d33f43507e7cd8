"""Reading strictly: every value demanded in its form, every problem kept with its place, nothing guessed.

A file is mended in one go, so a problem does not stop the reading of what stands beside it. A problem reads
`file:line: table, key: what is wrong`, where the file is known.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import override

from gatekeeper.model.ids import ProfileId, TenantId, is_name
from gatekeeper.model.people import Names
from gatekeeper.model.rules import ProfileRef
from gatekeeper.model.schedule import Window
from gatekeeper.model.site_file.lines import Lines, Place

__all__ = [
    "WRONG",
    "Reading",
    "SiteFileError",
    "Table",
    "a_date",
    "a_duration",
    "a_name",
    "a_number",
    "a_profile",
    "a_text",
    "a_time_zone",
    "a_window",
    "an_instant",
    "names",
    "one_of",
    "only",
]

WRONG = (KeyError, ValueError, TypeError, AttributeError, OverflowError)
_T = TypeVar("_T")


class SiteFileError(Exception):
    """A site file that gives no policy; `problems` says everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        """Keep all problems; the message lists them one a line."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Table(dict[str, Any]):
    """A table of the file that remembers which of its keys was asked for last: there the problem is."""

    def __init__(self, source: object) -> None:
        if not isinstance(source, Mapping):
            raise TypeError("a table is wanted, such as { key = value }")
        super().__init__(source)
        self.asked = ""

    @override
    def __getitem__(self, key: str) -> Any:
        self.asked = key
        return super().__getitem__(key)

    def optional(self, key: str, otherwise: _T) -> Any | _T:
        """The value of a key that may be missing."""
        self.asked = key
        return super().get(key, otherwise)


class Reading:
    """One pass over a file; collects problems with their places."""

    def __init__(self, lines: Lines | None) -> None:
        self.problems: list[str] = []
        self._lines = lines

    @contextmanager
    def at(self, said: str, place: Place, table: Table | None = None) -> Iterator[None]:
        """Read what stands at a place; what is wrong there is kept, and the reading goes on."""
        try:
            yield
        except WRONG as error:
            asked = table.asked if table is not None else ""
            if isinstance(error, KeyError):
                self.problem(said, f"{error.args[0]} is missing", place)
            else:
                self.problem(f"{said}, {asked}" if asked else said, str(error), place, asked)

    def problem(self, said: str, what: str, place: Place, key: str = "") -> None:
        """Keep a problem."""
        pointing = f"{self._lines.pointing(place, key)}: " if self._lines is not None else ""
        self.problems.append(f"{pointing}{said}: {what}")

    def each(self, document: Mapping[str, Any], *path: str) -> Iterator[tuple[str, Place, Table]]:
        """The tables of a list, each with what to call it and where it stands."""
        found: Any = document
        for name in path[:-1]:
            found = found.get(name, {})
        for number, source in enumerate(found.get(path[-1], ()), 1):
            place: Place = (*path, number)
            try:
                table = Table(source)
            except TypeError as error:
                self.problem(f"{' '.join(path)} {number}", str(error), place)
                continue
            yield f"{' '.join(path)} {table.get('id', number)!s}", place, table

    def raise_if_wrong(self) -> None:
        """Raise SiteFileError with everything that was kept."""
        if self.problems:
            raise SiteFileError(self.problems)


def only(table: Table, *keys: str) -> None:
    """Refuse a table with any other key: a misspelt rule must not silently be no rule."""
    for key in table:
        if key not in keys:
            table.asked = key
            raise ValueError(f"unknown key {key!r}; the keys here are {', '.join(keys)}")


def a_name(value: object) -> str:
    """A name for a thing."""
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"{value!r} is no name: 1 to 32 of a-z, 0-9 and -")
    return value


def a_profile(value: object) -> ProfileRef:
    """A profile by its full name."""
    tenant, slash, profile = str(value).partition("/")
    if not slash or not is_name(tenant) or not is_name(profile):
        raise ValueError(f"{value!r} names no profile: write tenant/profile")
    return TenantId(tenant), ProfileId(profile)


def a_text(value: object) -> str:
    """A short text."""
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError("a text of 1 to 200 characters is wanted")
    return value


def names(value: object) -> Names:
    """A name in both languages."""
    if not isinstance(value, Mapping) or set(value) != {"en", "nl"}:
        raise ValueError("a name is written { en = ..., nl = ... }")
    return Names(en=a_text(value["en"]), nl=a_text(value["nl"]))


def a_number(value: object, most: int, least: int = 0) -> int:
    """A whole number within bounds."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} is no whole number from {least} to {most}")
    return value


def a_duration(value: object, *, most: int, **unit: int) -> timedelta:
    """So many of a unit, one at least: `a_duration(value, most=3600, seconds=1)`."""
    return a_number(value, most, 1) * timedelta(**unit)


def one_of(value: object, choices: tuple[str, ...]) -> str:
    """One of some words."""
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}")
    return str(value)


def an_instant(value: object) -> datetime:
    """An instant with its time zone."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("an instant with its time zone is wanted, such as 2026-01-01T00:00:00Z")
    return moment.astimezone(UTC)


def a_date(value: object) -> date:
    """A day."""
    day = date.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError("a date is wanted, such as 2026-12-25")  # noqa: TRY004 - a bad value in a file
    return day


def a_window(table: Mapping[str, Any]) -> Window:
    """A stretch of a day."""
    return Window(_minute(table["from"]), _minute(table["until"]))


def _minute(value: object) -> int:
    hours, _, minutes = str(value).partition(":")
    if len(hours) != 2 or len(minutes) != 2 or not (hours + minutes).isdecimal() or int(minutes) > 59:
        raise ValueError(f"{value!r} is no time of day such as 07:30")
    return int(hours) * 60 + int(minutes)


def a_time_zone(value: object) -> str:
    """The name of a time zone."""
    try:
        ZoneInfo(a_text(value))
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{value!r} is no time zone such as Europe/Amsterdam") from None
    return a_text(value)
