"""Entries as rows of a table, in the two dialects of CSV that people open: RFC 4180's and Dutch Excel's.

A row follows from an entry and its opening alone, so that whoever verifies a bundle makes the table anew and compares the
bytes. A cell that a spreadsheet would take for a formula has an apostrophe before it.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

__all__ = ["COLUMNS", "Dialect", "cells_of", "heading", "row_of"]

COLUMNS: Final = (
    "index",
    "seq",
    "at",
    "kind",
    "gate",
    "access_point",
    "from",
    "to",
    "tenant",
    "reason",
    "reasons",
    "assurance",
    "alarm",
    "grant",
    "by",
    "author",
    "approved_by",
    "holder",
    "badge",
    "personal",
)
_KOLOMMEN: Final = (
    "index",
    "volgnummer",
    "tijd (UTC)",
    "soort",
    "poort",
    "toegangspunt",
    "van",
    "naar",
    "organisatie",
    "reden",
    "redenen",
    "zekerheid",
    "alarm",
    "toestemming",
    "door",
    "wie",
    "goedgekeurd door",
    "houder",
    "pas",
    "persoonlijk",
)
_TOLD: Final = COLUMNS[1:17]
_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_BOM: Final = "\ufeff"


class Dialect(StrEnum):
    """How a table is spelled."""

    RFC4180 = "rfc4180"
    EXCEL_NL = "excel-nl"

    @property
    def separator(self) -> str:
        """What stands between two cells."""
        return ";" if self is Dialect.EXCEL_NL else ","


_SEPARATORS: Final = {dialect: dialect.separator for dialect in Dialect}
_QUOTED: Final = {dialect: re.compile(rf'[{dialect.separator}"\r\n]') for dialect in Dialect}


def heading(dialect: Dialect) -> str:
    """The first line of a table, with its end."""
    if dialect is Dialect.EXCEL_NL:
        return _BOM + ";".join(_KOLOMMEN) + "\r\n"
    return ",".join(COLUMNS) + "\r\n"


def cells_of(index: int, body: Mapping[str, Any], opening: Mapping[str, Any] | None) -> list[str]:
    """The cells of an entry, one for each column; what it does not say is empty."""
    # Most cells are texts, numbers or empty, and a call for each would be most of the time that a row takes.
    told = [
        ""
        if found is None
        else found
        if type(found) is str
        else str(found)
        if type(found) is int
        else _told(found)
        for found in map(body.get, _TOLD)
    ]
    personal = "" if "personal" not in body else "closed" if opening is None else "opened"
    holder, badge = ("", "") if opening is None else (opening.get("holder"), opening.get("badge"))
    return [
        str(index),
        *told,
        holder if type(holder) is str else _told(holder),
        badge if type(badge) is str else _told(badge),
        personal,
    ]


def row_of(dialect: Dialect, index: int, body: Mapping[str, Any], opening: Mapping[str, Any] | None) -> str:
    """The line of an entry, with its end."""
    cells = cells_of(index, body, opening)
    if dialect is Dialect.EXCEL_NL:
        cells[2] = cells[2][:19].replace("T", " ")
    separator = _SEPARATORS[dialect]
    row = separator.join(cells)
    if row.count(separator) >= len(cells) or _is_suspect(row):
        row = separator.join(_spelled(dialect, cell) for cell in cells)
    return row + "\r\n"


def _is_suspect(row: str) -> bool:
    """Whether a cell may have to be quoted or guarded. Most rows hold nothing of the kind, and this is told of the whole row.

    The first cell is a number. One look after the other is a third of the time that a pattern or a loop takes.
    """
    return (
        '"' in row or "\n" in row or "\r" in row or "\t" in row or "@" in row
        or ",=" in row or ",+" in row or ",-" in row or ";=" in row or ";+" in row or ";-" in row
    )  # fmt: skip


def _spelled(dialect: Dialect, cell: str) -> str:
    guarded = f"'{cell}" if _FORMULA.match(cell) else cell
    if _QUOTED[dialect].search(guarded):
        return '"' + guarded.replace('"', '""') + '"'
    return guarded


def _told(found: Any) -> str:
    if type(found) is str:
        return found
    if found is None or found is False:
        return ""
    if found is True:
        return "yes"
    if type(found) is list:
        return " ".join(map(_told, found))
    return str(found)
