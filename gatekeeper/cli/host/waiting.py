"""What every command does whose change was handed in and not looked at yet: say that it waits, and end with exit code 4."""

from collections.abc import Iterable
from typing import Final

import typer

from gatekeeper.cli.talk import say
from gatekeeper.core.supervise import APPLIED, PROPOSED
from gatekeeper.core.writes import ChangeOutcome

__all__ = ["WAITS", "end", "waits"]

WAITS: Final = 4
_NO: Final = 1


def waits(number: int = 1) -> typer.Exit:
    """Say that so many changes are not in force; the exit to raise."""
    if number == 1:
        say("It waits, and is NOT in force: no engine runs this site now. An engine makes it when one does.")
    else:
        say(
            f"{number} changes wait, and are NOT in force: no engine runs this site now. An engine makes them when one does."
        )
    return typer.Exit(WAITS)


def end(outcomes: Iterable[ChangeOutcome | None]) -> None:
    """End the command with 1 when something was refused, else with 4 when something waits; go on when all is done."""
    found = list(outcomes)
    if any(one is not None and one.code not in {APPLIED, PROPOSED} for one in found):
        raise typer.Exit(_NO)
    if None in found:
        raise typer.Exit(WAITS)
