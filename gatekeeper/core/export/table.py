"""Entries as rows of a table, in the two dialects of CSV that people open: RFC 4180's and Dutch Excel's.

A row follows from an entry and its opening alone, so that whoever verifies a bundle makes the table anew and compares the
bytes. A cell that a spreadsheet would take for a formula has an apostrophe before it. Columns are added at the end: a bundle of
before has the first ones, and is checked by these.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from gatekeeper.core.audit import instant
from gatekeeper.core.happened import happened, tells_when

__all__ = ["COLUMNS", "FORMER", "Dialect", "Told", "cells_of", "heading", "rows_of"]

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
    "happened",
)
FORMER: Final = 20
"""So many columns had the tables of bundles whose manifest does not count them."""
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
    "gebeurd (UTC)",
)
_TOLD: Final = COLUMNS[1:17]
_TIMES: Final = (COLUMNS.index("at"), COLUMNS.index("happened"))
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


def heading(dialect: Dialect, columns: int = len(COLUMNS)) -> str:
    """The first line of a table, with its end."""
    if dialect is Dialect.EXCEL_NL:
        return _BOM + ";".join(_KOLOMMEN[:columns]) + _END
    return ",".join(COLUMNS[:columns]) + _END


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
        _happened(body),
    ]


def rows_of(dialect: Dialect, entries: Iterable[Told], columns: int = len(COLUMNS)) -> str:
    """The lines of entries, each with its end."""
    separator = dialect.separator
    table = [cells_of(*entry)[:columns] for entry in entries]
    if dialect is Dialect.EXCEL_NL:
        times = [place for place in _TIMES if place < columns]
        for cells in table:
            for place in times:
                cells[place] = cells[place][:19].replace("T", " ")
    rows = _END.join([*map(separator.join, table), ""])
    if _is_suspect(rows, separator, len(table), columns):
        rows = _END.join(
            [*(separator.join([_spelled(dialect, cell) for cell in cells]) for cells in table), ""]
        )
    return rows


def _is_suspect(rows: str, separator: str, count: int, columns: int) -> bool:
    """Whether a cell may have to be quoted or guarded. Most hold nothing of the kind, and this is told of many rows at once.

    The first cell of each is a number.
    """
    return (
        rows.count(separator) != count * (columns - 1) or rows.count("\r") != count or rows.count("\n") != count
        or any(one in rows for one in _SUSPECT) or any(separator + one in rows for one in "=+-")
    )  # fmt: skip


def _spelled(dialect: Dialect, cell: str) -> str:
    guarded = f"'{cell}" if _FORMULA.match(cell) else cell
    if _QUOTED[dialect].search(guarded):
        return '"' + guarded.replace('"', '""') + '"'
    return guarded


def _happened(body: Mapping[str, Any]) -> str:
    """When what an entry tells of happened, as it is spelled in entries."""
    at = body.get("at")
    if not tells_when(body) or type(at) is not str:
        return _told(at)
    try:
        logged = instant(at)
    except ValueError:
        return at
    # What is believed of a gate's clock is in the one spelling of times already.
    return at if happened(body, logged=logged).at == logged else _told(body["gate_at"])


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
