"""What the commands that take or give a CSV file have in common: reading it, telling what is wrong, handing it in."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from gatekeeper.cli.host.waiting import end, waits
from gatekeeper.cli.new_files import write
from gatekeeper.cli.people.desk import OpenDesk, Paper, hand_in, refusal
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import SettingError
from gatekeeper.core.supervise import APPLIED, ChangeOutcome
from gatekeeper.service.administration.csv_file import LineProblem

__all__ = [
    "DryRun",
    "ExcelNl",
    "FileArgument",
    "FileOption",
    "HandedIn",
    "content_of",
    "counted",
    "give",
    "hand_in_lines",
    "refuse_problems",
    "tell_done",
    "tell_unchanged",
]

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE.csv", help="The file; its columns are told above.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.csv", help="Where to (0600, a new file); else to stdout."),
]
ExcelNl = Annotated[
    bool, typer.Option("--excel-nl", help="As Dutch Excel opens it: ; between cells, and a byte order mark.")
]

_MISUSED: Final = 2
_INTERRUPTED: Final = 130
_SHOWN: Final = 50
_NAMED: Final = 8
_LARGEST: Final = 64 << 20


def content_of(file: Path) -> bytes:
    """Read a file whole. Raises SettingError."""
    try:
        if file.stat().st_size > _LARGEST:
            raise SettingError(f"{file} is over {_LARGEST >> 20} MB: import it in parts.")
        return file.read_bytes()
    except OSError as error:
        raise SettingError(f"{file} cannot be read: {error.strerror}.") from None


def refuse_problems(file: Path, problems: Sequence[LineProblem], at: OpenDesk, *, json_output: bool) -> None:
    """Tell every problem of a file, and exit 2 when it has any: nothing of it is done."""
    if not problems:
        return
    if json_output:
        told = [
            {"line": one.line, "column": one.problem.column, "problem": one.problem.what} for one in problems
        ]
        json_line({"tenant": at.tenant, "problems": told, "done": 0})
        raise typer.Exit(_MISUSED)
    for one in problems[:_SHOWN]:
        say(f"{file}:{one.line}: {one.problem}.")
    if len(problems) > _SHOWN:
        say(f"... and {len(problems) - _SHOWN} more problems (--json tells all).")
    lines = len({one.line for one in problems})
    say(f"{counted(lines, 'line')} of {file} {'is' if lines == 1 else 'are'} bad. Nothing was done.")
    raise typer.Exit(_MISUSED)


def hand_in_lines(
    at: OpenDesk, papers: Iterable[Paper], count: int, *, again: str, json_output: bool
) -> Sequence[ChangeOutcome | None]:
    """Hand in what lines say, with a bar when somebody looks at it; `again` is what completes it when interrupted."""
    done = 0
    bar = not json_output and sys.stderr.isatty()
    with progress("importing", count) if bar else nullcontext() as drawn:

        def told(place: int) -> None:
            nonlocal done
            done = place
            if drawn is not None:
                drawn(place)

        try:
            return hand_in(at, papers, told)
        except KeyboardInterrupt:
            say(f"Interrupted: {done} of {count} changes are made, some more may be on their way.")
            say(f"To complete it: gatekeeper {again} --tenant {at.tenant}")
            raise typer.Exit(_INTERRUPTED) from None


Named: TypeAlias = Callable[[int], tuple[int, str]]
"""The line and whom it is about, of a change by its place among those that were handed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """What became of a file: its plan as JSON, the outcomes of its changes, and how many lines they were."""

    plan: Mapping[str, Any]
    outcomes: Sequence[ChangeOutcome | None]
    named: Named
    done: int
    refused: int
    unchanged: Sequence[int]

    @property
    def waiting(self) -> int:
        """How many changes nobody has looked at yet."""
        return sum(one is None for one in self.outcomes)


def tell_done(at: OpenDesk, handed: HandedIn, words: str, *, json_output: bool) -> None:
    """Tell what became of a file, and exit 1 when something was refused, 4 when something waits; `words` say what was done."""
    if json_output:
        told = {"done": handed.done, "waiting": handed.waiting, "refused": _refused_documents(handed)}
        json_line({"tenant": at.tenant, **handed.plan, "problems": [], **told})
    else:
        for line, whom, outcome in list(_refused(handed))[:_SHOWN]:
            say(f"line {line}: {whom}: {refusal(outcome)}")
        tell_unchanged(handed.unchanged)
        say(f"Done: {words}, {handed.refused} refused.")
        if handed.waiting:
            waits(handed.waiting)
    end(handed.outcomes)


def _refused_documents(handed: HandedIn) -> list[dict[str, Any]]:
    return [
        {"line": line, "holder": whom, "outcome": outcome.code, "detail": outcome.detail}
        for line, whom, outcome in _refused(handed)
    ]


def _refused(handed: HandedIn) -> Iterator[tuple[int, str, ChangeOutcome]]:
    for place, outcome in enumerate(handed.outcomes):
        if outcome is not None and outcome.code != APPLIED:
            yield (*handed.named(place), outcome)


def tell_unchanged(lines: Sequence[int]) -> None:
    """Tell which lines say nothing new."""
    if lines:
        named = ", ".join(map(str, lines[:_NAMED])) + (" ..." if len(lines) > _NAMED else "")
        change = "changes" if len(lines) == 1 else "change"
        say(f"{counted(len(lines), 'line')} {change} nothing: {named}{'' if len(lines) > _NAMED else '.'}")


def counted(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def give(content: bytes, file: Path | None, what: str) -> None:
    """Write a new file of the owner's alone, or to stdout; `what` is in it."""
    if file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        write(file, content)
        say(f"{what} in {file}.")
