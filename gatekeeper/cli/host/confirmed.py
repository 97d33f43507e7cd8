"""What became of an order to a gate: its own word in the log is waited for, as long as the command is valid.

Nothing is asked of the gate. It names the command in what it says, and the order's entry names it too.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.cli.talk import say
from gatekeeper.core.audit import Kind, read_body
from gatekeeper.core.commands import Unsent
from gatekeeper.core.supervise import APPLIED
from gatekeeper.core.writes import ChangeOutcome
from gatekeeper.model.ids import SiteId
from gatekeeper.model.messages import COMMAND_VALIDITY

__all__ = ["UNCONFIRMED", "Followed", "follow", "tell_followed"]

UNCONFIRMED: Final = 3
_NO: Final = 1
_LOOK_EVERY_SECONDS: Final = 0.05
_ORDERS: Final = frozenset({Kind.DOOR_COMMANDED.value, Kind.GATE_COMMANDED.value})


class _Word(StrEnum):
    """What a gate says of a command."""

    OPENED = "opened"
    RESTARTING = "restarting"
    REFUSED = "command_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An order in the log, and what the log says of it; None: nothing, as long as the command was valid."""

    seq: int
    gate: str
    access_point: str | None
    word: _Word | Unsent | None
    said: int | None


async def follow(reading: PostgresReading, site: SiteId, outcome: ChangeOutcome | None) -> Followed | None:
    """Follow the order that a change became; None for one that became none."""
    if outcome is None or outcome.code != APPLIED or outcome.seq is None:
        return None
    ordered = await _order(reading, site, outcome.seq)
    if ordered is None:
        return None
    word, said = None, None
    try:
        async with asyncio.timeout(COMMAND_VALIDITY.total_seconds()):
            word, said = await _word(reading, site, ordered)
    except TimeoutError:
        pass
    return Followed(
        seq=ordered["seq"],
        gate=ordered["gate"],
        access_point=ordered.get("access_point"),
        word=word,
        said=said,
    )


async def _order(reading: PostgresReading, site: SiteId, seq: int) -> Mapping[str, Any] | None:
    """The entry of an order: what a change became, or what follows on its approval."""
    async for entry in reading.entries(site, since=seq, until=seq + 2):
        body = read_body(entry.body, site=site, seq=entry.seq)
        if body is not None and body["kind"] in _ORDERS:
            return body
    return None


async def _word(
    reading: PostgresReading, site: SiteId, ordered: Mapping[str, Any]
) -> tuple[_Word | Unsent, int]:
    """Read on behind an order until something is said of it."""
    since = ordered["seq"] + 1
    while True:
        async for entry in reading.entries(site, since=since):
            since = entry.seq + 1
            word = _about(read_body(entry.body, site=site, seq=entry.seq) or {}, ordered)
            if word is not None:
                return word, entry.seq
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _about(body: Mapping[str, Any], ordered: Mapping[str, Any]) -> _Word | Unsent | None:
    """What an entry says of an order."""
    seq = ordered["seq"]
    match body:
        case {"kind": Kind.COMMAND_UNSENT.value, "order": int(order), "why": str(why)} if (
            order == seq and why in set(Unsent)
        ):
            return Unsent(why)
        case {"kind": Kind.GATE_STATUS.value, "command": str(command), "status": str(status)} if (
            command == ordered.get("command") and status in set(_Word)
        ):
            return _Word(status)
        case _:
            return None


_WHY: Final[Mapping[Unsent, str]] = {
    Unsent.BROKER_AWAY: "the broker was away",
    Unsent.LATE: "its entry took too long",
}


def tell_followed(followed: Followed) -> None:
    """Say what became of an order; exit 1 when nothing came of it, 3 when nobody knows."""
    what, gate, seq = followed.access_point or followed.gate, followed.gate, followed.seq
    match followed.word:
        case _Word.OPENED:
            say(
                f"Opened: {what}; {gate} says so in entry {followed.said} of the log, entry {seq} who had it opened."
            )
        case _Word.RESTARTING:
            say(
                f"{gate} starts anew, and says so in entry {followed.said} of the log; it was told in entry {seq}."
            )
        case _Word.REFUSED:
            say(
                f"Not done: {gate} refuses it, in entry {followed.said} of the log; it was ordered in entry {seq}."
            )
            raise typer.Exit(_NO)
        case Unsent():
            say(
                f"Not sent: {_WHY[followed.word]}; entry {followed.said} of the log says so. It was ordered in entry {seq}."
            )
            raise typer.Exit(_NO)
        case None:
            seconds = COMMAND_VALIDITY.total_seconds()
            say(
                f"NOT confirmed: {gate} was sent it, in entry {seq} of the log, and has not said within {seconds:.0f} s that it did "
                f"it. Look at {what} yourself."
            )
            raise typer.Exit(UNCONFIRMED)
