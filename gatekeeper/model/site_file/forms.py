"""The forms of a site file's values: each takes what was written and gives what it means, or says in a sentence what is wanted.

A form raises ValueError with that sentence, which is read by whoever wrote the file: no value is shown as Python shows it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gatekeeper.model.ids import ProfileId, TenantId, is_name
from gatekeeper.model.people import Names
from gatekeeper.model.rules import ProfileRef

__all__ = [
    "a_choice",
    "a_date",
    "a_duration",
    "a_flag",
    "a_member",
    "a_minute",
    "a_name",
    "a_named",
    "a_number",
    "a_profile",
    "a_text",
    "a_time_zone",
    "an_instant",
    "names",
    "shown",
]

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


def shown(value: object) -> str:
    """A value as whoever wrote it would know it again."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return repr(value)


def a_name(value: object) -> str:
    """A name for a thing."""
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"{shown(value)} is no name: 1 to 32 of a-z, 0-9 and -")
    return value


def a_named(kind: Callable[[str], _T]) -> Callable[[object], _T]:
    """The name of a thing of some kind: `a_named(ZoneId)`."""
    return lambda value: kind(a_name(value))


def a_profile(value: object) -> ProfileRef:
    """A profile by its full name."""
    tenant, slash, profile = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or not is_name(tenant) or not is_name(profile):
        raise ValueError(f"{shown(value)} names no profile: write tenant/profile")
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


def a_flag(value: object) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise ValueError(f"true or false is wanted, and not {shown(value)}")  # noqa: TRY004 - a bad value in a file
    return value


def a_number(most: int, *, least: int = 0) -> Callable[[object], int]:
    """A whole number within bounds."""

    def form(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{shown(value)} is no whole number from {least} to {most}")
        return value

    return form


def a_duration(unit: timedelta, *, most: int) -> Callable[[object], timedelta]:
    """So many of a unit, one at least: `a_duration(timedelta(hours=1), most=24)`."""
    number = a_number(most, least=1)
    return lambda value: number(value) * unit


def a_choice(choices: tuple[str, ...]) -> Callable[[object], str]:
    """One of some words."""

    def form(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"{shown(value)} is none of {', '.join(choices)}")
        return value

    return form


def a_member(kind: type[_E]) -> Callable[[object], _E]:
    """One of the words of an enumeration."""
    word = a_choice(tuple(member.value for member in kind))
    return lambda value: kind(word(value))


def an_instant(value: object) -> datetime:
    """An instant with its time zone, in whole seconds: what is signed has no fractions."""
    moment = _moment(value)
    if moment is None:
        raise ValueError("an instant with its time zone is wanted, such as 2026-01-01T00:00:00Z")
    if moment.microsecond:
        raise ValueError(f"an instant in whole seconds is wanted, and not {shown(value)}")
    return moment


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        aware = isinstance(moment, datetime) and moment.tzinfo is not None
        return moment.astimezone(UTC) if isinstance(moment, datetime) and aware else None
    except (ValueError, OverflowError):
        return None


def a_date(value: object) -> date:
    """A day."""
    wanted = "a date is wanted, such as 2026-12-25"
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(wanted) from None
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError(wanted)  # noqa: TRY004 - a bad value in a file
    return day


def a_minute(value: object) -> int:
    """A time of day, in minutes."""
    hours, _, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if len(hours) != 2 or len(minutes) != 2 or not (hours + minutes).isascii():
        raise ValueError(f"{shown(value)} is no time of day such as 07:30")
    if not (hours + minutes).isdecimal() or int(minutes) > 59:
        raise ValueError(f"{shown(value)} is no time of day such as 07:30")
    return int(hours) * 60 + int(minutes)


def a_time_zone(value: object) -> str:
    """The name of a time zone."""
    try:
        name = a_text(value)
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder's name, or too long for a file's
        raise ValueError(f"{shown(value)} is no time zone such as Europe/Amsterdam") from None
    return name
