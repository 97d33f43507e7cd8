"""How the command line speaks: data to stdout as a table or as JSON, everything else to stderr."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["data", "json_line", "local", "progress", "say", "table", "talk"]

data = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
talk = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Tell the person something."""
    talk.print(text, markup=False)


def json_line(document: Any) -> None:
    """Print one JSON document on one line of stdout, at once."""
    sys.stdout.buffer.write(orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z) + b"\n")
    sys.stdout.buffer.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows for a person."""
    drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    data.print(drawn)


def local(at: datetime) -> str:
    """A time as the person's own clock shows it."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Any]:
    """A bar on stderr; gives a function that is told how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=talk, transient=True) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda done, of=total: bars.update(bar, completed=done, total=of)
