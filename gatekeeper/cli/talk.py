"""How the command line speaks: data to stdout as a table or as JSON, everything else to stderr."""

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

__all__ = ["data", "json_line", "local", "local_zone", "progress", "say", "table", "talk", "zone_name"]

# A tree is called tenant:school: what stands between colons is a name, and no picture.
data = Console(highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
talk = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

_LEAST = 12
"""Of a column that yields, so much is left."""


def say(text: str) -> None:
    """Tell the person something."""
    talk.print(text, markup=False)


def json_line(document: Any) -> None:
    """Print one JSON document on one line of stdout, at once."""
    sys.stdout.buffer.write(orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z) + b"\n")
    sys.stdout.buffer.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, yielding: Collection[str] = ()) -> None:
    """Print rows for a person, each on one line; columns named in `yielding` are cut short where the screen is narrow.

    Nothing else is cut: what must be typed again is there whole, and what is piped is there all.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, said)) for said in zip(columns, *cells, strict=True)]
    least = [
        min(width, _LEAST) if column in yielding else width
        for column, width in zip(columns, widths, strict=True)
    ]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in zip(columns, least, strict=True):
        drawn.add_column(column, no_wrap=column not in yielding, min_width=width)
    for row in cells:
        drawn.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    between = 2 * len(columns)
    width = max(data.width, sum(least) + between) if sys.stdout.isatty() else sum(widths) + between
    data.print(drawn, soft_wrap=False, width=width, crop=False)


def local_zone() -> timezone:
    """The time zone of the person's own clock, as it is now: one for all that a command shows."""
    offset = datetime.now(UTC).astimezone()
    return timezone(offset.utcoffset() or timedelta(0), offset.tzname() or "")


def zone_name(zone: timezone) -> str:
    """What to call a time zone so that nobody mistakes it, such as CEST (UTC+02:00)."""
    name, offset = zone.tzname(None), str(timezone(zone.utcoffset(None)))
    return name if name == offset else f"{name} ({offset})"


def local(at: datetime) -> str:
    """A time as the person's own clock shows it, with its offset; where there is no site whose clock it could be."""
    zone = local_zone()
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {str(timezone(zone.utcoffset(None))).removeprefix('UTC') or '+00:00'}"


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Any]:
    """A bar on stderr, when somebody looks at it; gives a function that is told how far it is."""
    if not talk.is_terminal:
        yield lambda _done, _of=total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=talk, transient=True) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda done, of=total: bars.update(bar, completed=done, total=of)
