"""Entries as rows of a table, in the two dialects of CSV that people open: RFC 4180's and Dutch Excel's.

A row follows from an entry and its opening alone, so that whoever verifies a bundle makes the table anew and compares the
bytes. A cell that a spreadsheet would take for a formula has an apostrophe before it.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

__all__ = ["COLUMNS", "Dialect", "Told", "cells_of", "heading", "rows_of"]

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

Told = tuple[int, Mapping[str, Any], Mapping[str, Any] | None]
"""What a row is made of: an entry's index, its body, and its opening where there is one."""


class Dialect(StrEnum):
    """How a table is spelled."""

    RFC4180 = "rfc4180"
    EXCEL_NL = "excel-nl"

    @property
    def separator(self) -> str:
        """What stands between two cells."""
        return ";" if self is Dialect.EXCEL_NL else ","


_END: Final = "\r\n"
_SUSPECT: Final = '"\t@'
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


def rows_of(dialect: Dialect, entries: Iterable[Told]) -> str:
    """The lines of entries, each with its end."""
    excel = dialect is Dialect.EXCEL_NL
    separator = dialect.separator
    table = [cells_of(*entry) for entry in entries]
    if excel:
        for cells in table:
            cells[2] = cells[2][:19].replace("T", " ")
    rows = _END.join([*map(separator.join, table), ""])
    if _is_suspect(rows, separator, len(table)):
        rows = _END.join(
            [*(separator.join([_spelled(dialect, cell) for cell in cells]) for cells in table), ""]
        )
    return rows


def _is_suspect(rows: str, separator: str, count: int) -> bool:
    """Whether a cell may have to be quoted or guarded. Most hold nothing of the kind, and this is told of many rows at once.

    The first cell of each is a number.
    """
    return (
        rows.count(separator) != count * (len(COLUMNS) - 1) or rows.count("\r") != count or rows.count("\n") != count
        or any(one in rows for one in _SUSPECT) or any(separator + one in rows for one in "=+-")
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
