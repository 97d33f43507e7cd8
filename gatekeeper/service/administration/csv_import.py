"""A tenant's people as a CSV file: read into what is to be registered, and written so that it is read back.

    holder,name,kind,clearance,profiles,from,until,certificates,host
    h-00017,Anna de Vries,staff,2,teacher lab,2026-09-01,2027-08-31,first-aid=2027-12-31,

The first line names the columns, in any order; what stands in each, `particulars` says. `holder` must be there; of people
who are registered already, a column that is not there says nothing new. People who are not in the file stay as they are.
How the file itself is written, `csv_file` says.

A file is looked at whole before anything is done with it. Each line that changes something becomes one registration; its
id follows from what it says and from what was registered before, so that the same line handed in twice is one change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gatekeeper import cose
from gatekeeper.model.ids import HolderId
from gatekeeper.service.administration.csv_file import (
    Columns,
    LineProblem,
    in_order,
    read_lines,
    secret_number,
    write_lines,
)
from gatekeeper.service.administration.directory import Registered, particulars_of
from gatekeeper.service.administration.particulars import (
    COLUMNS,
    Particulars,
    Problem,
    changed_columns,
    read_holder_id,
    read_particulars,
    write_particulars,
)
from gatekeeper.service.administration.people import Desk

__all__ = [
    "PEOPLE",
    "ImportLine",
    "ImportPlan",
    "change_id",
    "plan_import",
    "write_people",
]

PEOPLE: Final = Columns(("holder", *COLUMNS), needed="holder", says="whom a line is about")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLine:
    """One line of a file, and what it changes: nothing, when `columns` is empty."""

    line: int
    holder: HolderId
    wanted: Particulars
    former: Registered | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a file would do. With one problem nothing of it is done."""

    lines: tuple[ImportLine, ...]
    problems: tuple[LineProblem, ...]

    @property
    def added(self) -> tuple[ImportLine, ...]:
        """Lines of people who are new."""
        return tuple(line for line in self.lines if line.former is None)

    @property
    def changed(self) -> tuple[ImportLine, ...]:
        """Lines that say something else of people who are registered."""
        return tuple(line for line in self.lines if line.former is not None and line.columns)

    @property
    def unchanged(self) -> tuple[ImportLine, ...]:
        """Lines that say what is registered already."""
        return tuple(line for line in self.lines if not line.columns)


# -- reading --------------------------------------------------------------------------------------------------------------


def plan_import(content: bytes, desk: Desk, *, now: datetime) -> ImportPlan:
    """Read a file and hold it against what is registered; every problem of every line is found."""
    written, problems = read_lines(content, PEOPLE)
    hosts = {text["holder"].strip() for _, text in written}
    first_seen: dict[HolderId, int] = {}
    lines = []
    for number, text in written:
        found = _line(number, text, desk, first_seen, hosts=hosts, now=now)
        if isinstance(found, ImportLine):
            lines.append(found)
        else:
            problems += [LineProblem(number, problem) for problem in found]
    return ImportPlan(tuple(lines), in_order(problems))


def _line(
    number: int,
    text: Mapping[str, str],
    desk: Desk,
    first_seen: dict[HolderId, int],
    *,
    hosts: set[str],
    now: datetime,
) -> ImportLine | list[Problem]:
    given = {column: cell for column, cell in text.items() if column != "holder"}
    try:
        holder = read_holder_id(text["holder"])
    except ValueError as error:
        others = read_particulars(given, former=None, zone=desk.zone).problems
        return [Problem("holder", str(error)), *others]
    earlier = first_seen.setdefault(holder, number)
    if earlier != number:
        return [Problem("holder", f"{holder} stands in line {earlier} already: keep one of the two")]
    registered = desk.directory.find(holder)
    former = None if registered is None else particulars_of(registered)
    reading = read_particulars(given, former=former, zone=desk.zone)
    wanted = reading.particulars
    return desk.problems(holder, reading, now=now, hosts=hosts) or ImportLine(
        line=number,
        holder=holder,
        wanted=wanted,
        former=registered,
        columns=changed_columns(former, wanted),
    )


# -- handing in -------------------------------------------------------------------------------------------------------------


def change_id(line: ImportLine, *, key: cose.SigningKey, attempt: int = 0) -> bytes:
    """The id of the change that a line makes: the same for the same line on the same registration.

    `attempt` counts those that were refused.
    """
    wanted, former = line.wanted, line.former
    says = [
        line.holder,
        0 if former is None else former.holder.version,
        attempt,
        wanted.name,
        wanted.kind.value,
        wanted.clearance,
        wanted.profiles,
        None if wanted.since is None else int(wanted.since.timestamp()),
        None if wanted.until is None else int(wanted.until.timestamp()),
        [[name, int(until.timestamp())] for name, until in wanted.certificates],
        wanted.host,
    ]
    return secret_number(says, key=key, purpose="people import")


# -- writing --------------------------------------------------------------------------------------------------------------


def write_people(desk: Desk, *, excel: bool) -> bytes:
    """Write everybody whom a tenant registered, as `plan_import` reads it; `excel`: as Dutch Excel opens it."""
    people = (
        {
            "holder": str(registered.holder.id),
            **write_particulars(particulars_of(registered), desk.zone),
        }
        for registered in desk.directory.everyone()
    )
    return write_lines(PEOPLE, people, excel=excel)
