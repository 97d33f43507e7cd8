"""CSV files as registrars and their spreadsheets write them: read line by line, with what is wrong in each, and written.

RFC 4180 in UTF-8, with or without a byte order mark; between the cells is `,`, or `;` when the first line has one (Dutch
Excel). The first line names the columns, in any order. Lines with nothing in any cell are passed over.

A cell that a spreadsheet would take for a formula (it begins with = + - @, or a tab) is written with an apostrophe before
it, and read without. An apostrophe before anything else is part of the cell: 't Hart stays 't Hart.

What stands in the cells is not known here.
"""

import csv
import hashlib
import hmac
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gatekeeper import cose
from gatekeeper.service.administration.particulars import Problem

__all__ = ["Columns", "LineProblem", "Lines", "in_order", "read_lines", "secret_number", "write_lines"]

_BOM: Final = b"\xef\xbb\xbf"
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_LINE_END: Final = re.compile(r"[\r\n]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")

Lines = Sequence[tuple[int, Mapping[str, str]]]
"""Each line's number, the first of a file being 1, and its cells by column."""


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong in one line of a file; the line is where its record begins, the first being 1."""

    line: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a file may have, in the order in which they are written; `needed`: what the first of all says."""

    all: tuple[str, ...]
    needed: str
    says: str


def read_lines(content: bytes, columns: Columns) -> tuple[Lines, list[LineProblem]]:
    """The lines of a file after the first that can be read, and every problem of the others."""
    problems: list[LineProblem] = []
    return list(_records(content, columns, problems)), problems


def in_order(problems: Iterable[LineProblem]) -> tuple[LineProblem, ...]:
    """Problems as they come in the file."""
    return tuple(sorted(problems, key=lambda one: one.line))


def _records(
    content: bytes, columns: Columns, problems: list[LineProblem]
) -> Iterator[tuple[int, Mapping[str, str]]]:
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
            header = _header(cells, columns, problems)
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
        what = f"is empty: its first line is {','.join(columns.all)}"
        problems.append(LineProblem(1, Problem("the file", what)))


def _decoded(content: bytes, problems: list[LineProblem]) -> str | None:
    try:
        return content.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "is not in UTF-8: save it anew, in Excel as CSV UTF-8"
        problems.append(LineProblem(line, Problem("the file", what)))
        return None


def _header(cells: list[str], columns: Columns, problems: list[LineProblem]) -> list[str] | None:
    """The columns that a first line names; None, and every problem, when they are not to be used."""
    named = [cell.strip().lower() for cell in cells]
    wrong = [
        Problem("the line", f'"{cell}" is no column: the columns are {", ".join(columns.all)}')
        for cell, column in zip(cells, named, strict=True)
        if column not in columns.all
    ]
    wrong += [
        Problem("the line", f"{column} stands there twice: keep one of the two")
        for column in columns.all
        if named.count(column) > 1
    ]
    if columns.needed not in named:
        wrong.append(Problem("the line", f"has no column {columns.needed}, which says {columns.says}"))
    problems += [LineProblem(1, problem) for problem in wrong]
    return None if wrong else named


def secret_number(says: Sequence[Any], *, key: cose.SigningKey, purpose: str) -> bytes:
    """16 bytes that follow from what a line says, so that the same line handed in twice is one change.

    They stand in the log for ever, and what somebody is called follows from what is guessed often enough: so they are made
    under the issuer's key, and say nothing to anybody else.
    """
    secret = hashlib.sha256(f"gatekeeper {purpose}\0".encode() + key.to_pem()).digest()
    return hmac.digest(secret, json.dumps(says).encode(), "sha256")[:16]


def write_lines(columns: Columns, lines: Iterable[Mapping[str, str]], *, excel: bool) -> bytes:
    """Write lines, each with a cell for every column, as `read_lines` reads them; `excel`: as Dutch Excel opens them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";" if excel else ",", lineterminator="\r\n")
    writer.writerow(columns.all)
    writer.writerows([_guarded(cells[column]) for column in columns.all] for cells in lines)
    return (_BOM if excel else b"") + text.getvalue().encode("utf-8")


def _unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
