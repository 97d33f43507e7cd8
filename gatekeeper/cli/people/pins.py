"""`gatekeeper holder pin`: give somebody a PIN, another one, or none.

A PIN is typed twice and not shown, or read from stdin: it never stands in an argument, where the shell's history and the
list of processes would keep it. What is handed in is its hash, in the holder's signed registration (see `core.pin`); the
log says that a registration changed, and nothing of a PIN.
"""

import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from getpass import getpass
from itertools import pairwise
from typing import Annotated, Final

import typer

from gatekeeper.cli.options import JsonOutput, by_an_operator
from gatekeeper.cli.people.desk import OpenDesk, TenantOption, at_desk, conclude, hand_in, is_made, paper_of
from gatekeeper.cli.people.people import HolderArgument, app
from gatekeeper.cli.talk import json_line, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.pin import PIN_DIGITS, SALT_BYTES, is_pin, make_pin_record
from gatekeeper.model.people import PinRecord
from gatekeeper.service.administration.directory import Registered
from gatekeeper.service.administration.folder import PIN_PEPPER

__all__ = ["app", "easily_guessed"]

_PIN: Final = "the PIN"
_DURESS: Final = "the PIN that cries for help"
_LONGEST_LINE: Final = 64


@app.command("pin")
@by_an_operator
def holder_pin(
    holder: HolderArgument,
    duress: Annotated[
        bool, typer.Option("--duress", help="Also one that opens like the other, and cries for help.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the PIN away; no other is set.")] = False,
    tenant: TenantOption = None,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Give somebody a PIN of 4 to 8 digits, in the place of the one they had; it counts from the next scan on.

    It is asked twice and not shown. Where stdin is no terminal it is read from
    there: the PIN on the first line, with --duress the other on the second.
    """
    if remove and duress:
        raise SettingError("Say --remove, or --duress: who has no PIN has none that cries for help.")
    pins: Sequence[str] = ()
    if not remove:
        with at_desk(settings, tenant=tenant, about=holder) as at:
            called = at.called(at.person(holder).holder.id)
            _see_that_gates_can_ask(at)
        pins = _typed(called, duress=duress) if sys.stdin.isatty() else _piped(duress=duress)
    with at_desk(settings, tenant=tenant, about=holder, changes=True) as at:
        registered = at.person(holder)
        if remove and registered.holder.pin is None:
            _say_unchanged(at, registered, json_output=json_output)
            return
        _register(at, registered, _kept(at, pins), json_output=json_output)


def _register(at: OpenDesk, registered: Registered, pin: PinRecord | None, *, json_output: bool) -> None:
    registration = at.desk.register_pin(registered.holder.id, pin)
    version = registration.holder.version
    (outcome,) = hand_in(at, [paper_of(registration)])
    called = at.called(registered.holder.id)
    if not json_output and is_made(outcome):
        say(f"{called} has no PIN any more." if pin is None else f"{called} has a PIN.{_ends(registered)}")
    document = {"holder": registered.holder.id, "version": version, "pin": pin is not None}
    conclude(outcome, document, json_output=json_output)


def _ends(registered: Registered) -> str:
    over = registered.holder.until <= datetime.now(UTC)
    return " The registration has ended: it opens nothing all the same." if over else ""


def _say_unchanged(at: OpenDesk, registered: Registered, *, json_output: bool) -> None:
    holder = registered.holder
    if json_output:
        document = {"holder": holder.id, "version": holder.version, "pin": False}
        json_line({**document, "outcome": "unchanged", "entry": None})
    else:
        say(f"Nothing to change: {at.called(holder.id)} has no PIN.")


def _see_that_gates_can_ask(at: OpenDesk) -> None:
    if at.trust.seal_key is None:
        raise SettingError(
            f"The trust list of {at.site} names no key to seal PINs for: its gates ask for none."
        )


def _kept(at: OpenDesk, pins: Sequence[str]) -> PinRecord | None:
    if not pins:
        return None
    pin, *duress = pins
    return make_pin_record(
        pin,
        duress=duress[0] if duress else None,
        pepper=at.folder.read_secret(PIN_PEPPER),
        salt=secrets.token_bytes(SALT_BYTES),
    )


# -- asking -------------------------------------------------------------------------------------------------------------


def _typed(called: str, *, duress: bool) -> list[str]:
    """Ask a person, until each was typed twice alike and will do."""
    say(f"For {called}; what is typed is not shown.")
    pins = [_asked(_PIN, ())]
    if duress:
        pins.append(_asked(_DURESS, pins))
    return pins


def _asked(what: str, others: Sequence[str]) -> str:
    while True:
        typed = getpass(f"{what[0].upper()}{what[1:]}: ")
        problem = _problem(typed, what, others)
        if problem is None and getpass("Once more: ") != typed:
            problem = "The two are not alike: type it again."
        if problem is None:
            return typed
        say(problem)


def _piped(*, duress: bool) -> list[str]:
    """Read them from stdin, a line each. Raises SettingError for what will not do."""
    pins: list[str] = []
    for what in (_PIN, _DURESS) if duress else (_PIN,):
        line = sys.stdin.readline(_LONGEST_LINE)
        if not line:
            raise SettingError(f"Stdin ends before {what}: write it on line {len(pins) + 1}.")
        typed = line.rstrip("\r\n")
        problem = _problem(typed, what, pins)
        if problem is not None:
            raise SettingError(problem)
        pins.append(typed)
    if sys.stdin.readline(_LONGEST_LINE).strip():
        more = "" if duress else ": say --duress where the second is the one that cries for help"
        raise SettingError(f"There are more lines than PINs on stdin{more}.")
    return pins


def _problem(typed: str, what: str, others: Sequence[str]) -> str | None:
    """Why a PIN will not do, and what to type; never with what was typed."""
    fewest, most = PIN_DIGITS
    if not is_pin(typed):
        return f"{what[0].upper()}{what[1:]} is {fewest} to {most} digits, and nothing else."
    if typed in others:
        return "The PIN that cries for help must be another than the first."
    if easily_guessed(typed):
        return f"{what[0].upper()}{what[1:]} is one that everybody tries: one digit again and again, or digits in a row."
    return None


def easily_guessed(pin: str) -> bool:
    """Whether a PIN is one digit again and again, or digits in a row, up or down."""
    steps = {(int(later) - int(earlier)) % 10 for earlier, later in pairwise(pin)}
    return steps in ({0}, {1}, {9})
