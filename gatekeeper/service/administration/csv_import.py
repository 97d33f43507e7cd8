"""A tenant's people as a CSV file: read into what is to be registered, and written so that it is read back.

    holder,name,kind,clearance,profiles,from,until,certificates,host
    h-00017,Anna de Vries,staff,2,teacher lab,2026-09-01,2027-08-31,first-aid=2027-12-31,

The first line names the columns, in any order; what stands in each, `particulars` says. `holder` must be there; of people
who are registered already, a column that is not there says nothing new. People who are not in the file stay as they are.
RFC 4180 in UTF-8, with or without a byte order mark; between the cells is `,`, or `;` when the first line has one (Dutch
Excel). Lines with nothing in any cell are passed over.

A cell that a spreadsheet would take for a formula (it begins with = + - @, or a tab) is written with an apostrophe before
it, and read without. An apostrophe before anything else is part of the cell: 't Hart stays 't Hart.

A file is looked at whole before anything is done with it. Each line that changes something becomes one registration; its
id follows from what it says and from what was registered before, so that the same line handed in twice is one change.
"""

import csv
import hashlib
import hmac
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gatekeeper import cose
from gatekeeper.model.ids import HolderId
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
    "HEADER",
    "ImportLine",
    "ImportPlan",
    "LineProblem",
    "change_id",
    "plan_import",
    "write_people",
]

HEADER: Final = ("holder", *COLUMNS)
_BOM: Final = b"\xef\xbb\xbf"
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_LINE_END: Final = re.compile(r"[\r\n]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong in one line of a file; the line is where its record begins, the first being 1."""

    line: int
    problem: Problem


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
    problems: list[LineProblem] = []
    written = list(_records(content, problems))
    hosts = {text["holder"].strip() for _, text in written}
    first_seen: dict[HolderId, int] = {}
    lines = []
    for number, text in written:
        found = _line(number, text, desk, first_seen, hosts=hosts, now=now)
        if isinstance(found, ImportLine):
            lines.append(found)
        else:
            problems += [LineProblem(number, problem) for problem in found]
    return ImportPlan(tuple(lines), tuple(sorted(problems, key=lambda one: one.line)))


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


def _records(content: bytes, problems: list[LineProblem]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The lines of a file after the first, each with its number and its cells by column."""
    text = _decoded(content, problems)
    if text is None:
        return
    first = _LINE_END.split(text, maxsplit=1)[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    header: list[str] | None = None
    begins = 1
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as error:
            what = f"its quotes or its length are not those of CSV ({error}); nothing after it was read"
            problems.append(LineProblem(begins, Problem("the line", what)))
            return
        number, begins = begins, lines.line_num + 1
        if cells is None:
            break
        if header is None:
            header = _header(cells, problems)
            if header is None:
                return
        elif not any(cell.strip() for cell in cells):
            continue
        elif len(cells) != len(header):
            what = f"has {len(cells)} cells, and there are {len(header)} columns: quote a cell that holds a comma"
            problems.append(LineProblem(number, Problem("the line", what)))
        else:
            yield number, dict(zip(header, map(_unguarded, cells), strict=True))
    if header is None:
        problems.append(
            LineProblem(1, Problem("the file", f"is empty: its first line is {','.join(HEADER)}"))
        )


def _decoded(content: bytes, problems: list[LineProblem]) -> str | None:
    try:
        return content.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "is not in UTF-8: save it anew, in Excel as CSV UTF-8"
        problems.append(LineProblem(line, Problem("the file", what)))
        return None


def _header(cells: list[str], problems: list[LineProblem]) -> list[str] | None:
    """The columns that a first line names; None, and every problem, when they are not to be used."""
    columns = [cell.strip().lower() for cell in cells]
    wrong = [
        Problem("the line", f'"{cell}" is no column: the columns are {", ".join(HEADER)}')
        for cell, column in zip(cells, columns, strict=True)
        if column not in HEADER
    ]
    wrong += [
        Problem("the line", f"{column} stands there twice: keep one of the two")
        for column in HEADER
        if columns.count(column) > 1
    ]
    if "holder" not in columns:
        wrong.append(Problem("the line", "has no column holder, which says whom a line is about"))
    problems += [LineProblem(1, problem) for problem in wrong]
    return None if wrong else columns


def _unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell


# -- handing in -------------------------------------------------------------------------------------------------------------


def change_id(line: ImportLine, *, key: cose.SigningKey, attempt: int = 0) -> bytes:
    """The id of the change that a line makes: the same for the same line on the same registration.

    It stands in the log for ever, and a name follows from what is guessed often enough: so it is made under the issuer's
    key, and says nothing to anybody else. `attempt` counts those that were refused.
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
    secret = hashlib.sha256(b"gatekeeper people import\0" + key.to_pem()).digest()
    return hmac.digest(secret, json.dumps(says).encode(), "sha256")[:16]


# -- writing --------------------------------------------------------------------------------------------------------------


def write_people(desk: Desk, *, excel: bool) -> bytes:
    """Write everybody whom a tenant registered, as `plan_import` reads it; `excel`: as Dutch Excel opens it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";" if excel else ",", lineterminator="\r\n")
    writer.writerow(HEADER)
    for registered in desk.directory.everyone():
        written = write_particulars(particulars_of(registered), desk.zone)
        cells = {"holder": str(registered.holder.id), **written}
        writer.writerow([_guarded(cells[column]) for column in HEADER])
    return (_BOM if excel else b"") + text.getvalue().encode("utf-8")


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
