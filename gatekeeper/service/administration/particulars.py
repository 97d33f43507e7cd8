"""What a tenant says of one of its people, and how it is written: on the command line and in a file alike.

    column        what stands in it                                  when it is empty
    name          the person's name                                  (is not left empty)
    kind          staff, contractor, visitor, reservist, vehicle     (is not left empty)
    clearance     a level, 0 to 5                                    (is not left empty)
    profiles      names of the tenant's profiles, spaces between     none
    from          since when, see `instants`                         stays as it is; for a new holder: now
    until         until when                                         stays as it is; for a new holder: as long as may be
    certificates  name=until, spaces between                         none
    host          the holder who receives a visitor                  nobody

Every problem says what to write instead. What is written of somebody is read back as the same, whatever it is.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from typing_extensions import override

from gatekeeper.model.fields import HIGHEST_LEVEL
from gatekeeper.model.ids import HolderId, ProfileId, is_name
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.instants import read_instant, write_instant

__all__ = [
    "COLUMNS",
    "Particulars",
    "Problem",
    "Reading",
    "changed_columns",
    "read_holder_id",
    "read_particulars",
    "write_particulars",
]

_LONGEST_NAME: Final = 100
_BETWEEN: Final = re.compile(r"[\s,;]+")
_NEEDED: Final = ("name", "kind", "clearance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """What a tenant says of one of its people. Without `since` it counts from now on, without `until` as long as it may."""

    name: str
    kind: HolderKind
    clearance: int
    profiles: tuple[ProfileId, ...]
    since: datetime | None
    until: datetime | None
    certificates: tuple[tuple[str, datetime], ...]
    host: HolderId | None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in one column, and what to do."""

    column: str
    what: str

    @override
    def __str__(self) -> str:
        return f"{self.column}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Setting:
    """Where something is written: the site's clock, and today's date where a time alone may stand."""

    zone: ZoneInfo
    today: date | None


def _name(text: str, _: _Setting) -> str:
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise ValueError("is empty: write the name")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"is longer than {_LONGEST_NAME} characters: shorten it")
    bad = next((one for one in name if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}), None)
    if bad is not None:
        raise ValueError(f"holds a character that nobody sees (U+{ord(bad):04X}): write the name anew")
    return name


def _kind(text: str, _: _Setting) -> HolderKind:
    kinds = [kind.value for kind in HolderKind]
    if text.strip().lower() not in kinds:
        raise ValueError(f'"{text}" is no kind: write one of {", ".join(kinds)}')
    return HolderKind(text.strip().lower())


def _clearance(text: str, _: _Setting) -> int:
    levels = [str(level) for level in range(HIGHEST_LEVEL + 1)]
    if text.strip() not in levels:
        raise ValueError(f'"{text}" is no level: write a whole number from 0 to {HIGHEST_LEVEL}')
    return int(text)


def _profiles(text: str, _: _Setting) -> tuple[ProfileId, ...]:
    found = tuple(ProfileId(one) for one in _items(text))
    twice = next((one for one in found if found.count(one) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} stands there twice: write it once")
    return found


def _from(text: str, setting: _Setting) -> datetime:
    return read_instant(text, setting.zone, ends=False, today=setting.today)


def _until(text: str, setting: _Setting) -> datetime:
    return read_instant(text, setting.zone, ends=True, today=setting.today)


def _certificates(text: str, setting: _Setting) -> tuple[tuple[str, datetime], ...]:
    found: dict[str, datetime] = {}
    for item in _items(text):
        name, _, until = item.partition("=")
        if not is_name(name) or not until:
            raise ValueError(f'"{item}" is no certificate with its end: write first-aid=2027-12-31')
        if name in found:
            raise ValueError(f"{name} stands there twice: write it once")
        found[name] = read_instant(until, setting.zone, ends=True)
    return tuple(sorted(found.items()))


def _host(text: str, _: _Setting) -> HolderId | None:
    return read_holder_id(text) if text.strip() else None


def _items(text: str) -> list[str]:
    return [item for item in _BETWEEN.split(text) if item]


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: which field it is of, how it is read, and whether an empty cell leaves the field alone."""

    field: str
    read: Callable[[str, _Setting], Any]
    empty_keeps: bool = False


COLUMNS: Final[Mapping[str, _Column]] = {
    "name": _Column("name", _name),
    "kind": _Column("kind", _kind),
    "clearance": _Column("clearance", _clearance),
    "profiles": _Column("profiles", _profiles),
    "from": _Column("since", _from, empty_keeps=True),
    "until": _Column("until", _until, empty_keeps=True),
    "certificates": _Column("certificates", _certificates),
    "host": _Column("host", _host),
}
_ABSENT: Final[Mapping[str, Any]] = {
    "name": "",
    "kind": HolderKind.VISITOR,
    "clearance": 0,
    "profiles": (),
    "since": None,
    "until": None,
    "certificates": (),
    "host": None,
}


def read_holder_id(text: str) -> HolderId:
    """Read a holder's id. Raises ValueError with what to write instead."""
    if not is_name(text.strip()):
        raise ValueError(f'"{text}" is no id: write 1 to 32 of a-z, 0-9 and "-"')
    return HolderId(text.strip())


def write_particulars(particulars: Particulars, zone: ZoneInfo) -> dict[str, str]:
    """Write what is said of somebody, by column."""
    since, until = particulars.since, particulars.until
    ends = [f"{name}={write_instant(end, zone, ends=True)}" for name, end in sorted(particulars.certificates)]
    return {
        "name": particulars.name,
        "kind": particulars.kind.value,
        "clearance": str(particulars.clearance),
        "profiles": " ".join(particulars.profiles),
        "from": "" if since is None else write_instant(since, zone, ends=False),
        "until": "" if until is None else write_instant(until, zone, ends=True),
        "certificates": " ".join(ends),
        "host": particulars.host or "",
    }


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read; of the columns with a problem it says nothing that counts."""

    particulars: Particulars
    problems: tuple[Problem, ...]

    @property
    def unread(self) -> frozenset[str]:
        """The columns with a problem."""
        return frozenset(problem.column for problem in self.problems)


def read_particulars(
    written: Mapping[str, str], *, former: Particulars | None, zone: ZoneInfo, today: date | None = None
) -> Reading:
    """Read what is now said of somebody: the columns that are given, else what was said before.

    `today`: where a person types, and a time alone means today.
    """
    known = {} if former is None else write_particulars(former, zone)
    values = dict(_ABSENT) if former is None else {name: getattr(former, name) for name in former.__slots__}
    problems = [
        Problem(column, "is missing: a new holder needs it")
        for column in _NEEDED
        if former is None and column not in written
    ]
    for column, text in written.items():
        kind = COLUMNS[column]
        # INVARIANT: what is written as it stands changes nothing, whatever it is.
        if known.get(column) == text or (kind.empty_keeps and not text.strip()):
            continue
        try:
            values[kind.field] = kind.read(text, _Setting(zone, today))
        except ValueError as error:
            problems.append(Problem(column, str(error)))
    return Reading(Particulars(**values), tuple(problems))


def changed_columns(before: Particulars | None, after: Particulars) -> tuple[str, ...]:
    """The columns in which something else is said now; all of them for somebody new."""
    return tuple(
        column
        for column, kind in COLUMNS.items()
        if before is None or getattr(before, kind.field) != getattr(after, kind.field)
    )
