"""The outcomes as a table, and its place in SECURITY.md."""

from collections.abc import Mapping
from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from typing import Final

from tests.drill.judges import Outcome

__all__ = ["SECURITY", "row_of", "rows_in", "with_table"]

SECURITY: Final = Path(__file__).parents[2] / "SECURITY.md"
_HEADING: Final = (
    "| what is done | export alone | export and a remembered checkpoint | export and a witness | database | database and a"
    " remembered checkpoint | database and a witness |\n|---|---|---|---|---|---|---|\n"
)


def row_of(name: str, outcome: Outcome) -> str:
    """The row of an attack."""
    return f"| {name} | {' | '.join(getattr(outcome, field.name) for field in fields(outcome))} |"


def rows_in(document: str) -> list[str]:
    """The rows that a document has."""
    _, _, after = document.partition(_HEADING)
    return list(takewhile(lambda line: line.startswith("| "), after.splitlines()))


def with_table(document: str, outcomes: Mapping[str, Outcome]) -> str:
    """The document with these outcomes in place of those it had. Raises ValueError when it has no such table."""
    before, found, after = document.partition(_HEADING)
    if not found:
        raise ValueError("There is no table of the drill to write anew.")
    rest = after.splitlines(keepends=True)[len(rows_in(document)) :]
    return "".join(
        [before, _HEADING, *(f"{row_of(name, outcome)}\n" for name, outcome in outcomes.items()), *rest]
    )
