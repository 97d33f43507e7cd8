"""What an operator has the gates do: a door opened from afar, a gate started anew, and which gates follow a lockdown.

A door is opened once, now, and only after the log says so. What a gate has said of a command is in the log: it is not asked. An
order that nobody could send, or that its gate has not confirmed, is not told as done.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import databases, the_site
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.host.changes import lockdown, tell
from gatekeeper.cli.host.confirmed import Followed, follow, tell_followed
from gatekeeper.cli.host.gate_list import gate
from gatekeeper.cli.host.signing import HandedIn, hand_in, signer_for
from gatekeeper.cli.host.waiting import WAITS
from gatekeeper.cli.options import JsonOutput, at_a_site, by_an_operator, looking_databases, run
from gatekeeper.cli.people.lookups import ReasonOption, one_line
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import timestamp
from gatekeeper.core.change import OpeningChange, RebootChange
from gatekeeper.core.lockdowns import Lockdowns, Standing, Word
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.model.ids import AccessPointId, GateId, SiteId
from gatekeeper.service.administration.instants import show_time
from gatekeeper.service.words import counted

__all__ = ["gate", "lockdown"]


@gate.command("open")
@by_an_operator
def gate_open(
    access_point: Annotated[str, typer.Argument(metavar="ACCESS_POINT", help="The one that is opened.")],
    reason: ReasonOption = None,
    *,
    settings: Settings,
) -> None:
    """Open one door now, once, and say whether it did; from level 3 it takes a second person.

    Exit 1: it was refused, or not sent. Exit 3: the gate has not said that it opened.
    """
    why = one_line("--reason", reason)
    _order(settings, OpeningChange(access_point=AccessPointId(access_point), reason=why))


@gate.command("reboot")
@by_an_operator
def gate_reboot(
    name: Annotated[str, typer.Argument(metavar="GATE", help="The gate's id.")],
    reason: ReasonOption = None,
    *,
    settings: Settings,
) -> None:
    """Have a gate secure its doors and start anew, and say whether it does.

    Exit 1: it was refused, or not sent. Exit 3: the gate has not said that it starts anew.
    """
    _order(settings, RebootChange(gate=GateId(name), reason=one_line("--reason", reason)))


def _order(settings: Settings, order: OpeningChange | RebootChange) -> None:
    handed_in, followed = run(_ordered(settings, the_site(settings), order))
    if handed_in.outcome is None:
        say("No engine has looked at it: it is NOT in force, and one that looks later refuses it as too old.")
        raise typer.Exit(WAITS)
    if followed is None:
        tell(handed_in)
    else:
        tell_followed(followed)


async def _ordered(
    settings: Settings, site: SiteId, order: OpeningChange | RebootChange
) -> tuple[HandedIn, Followed | None]:
    async with databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        signer = await signer_for(reading, settings, site, order, tenant=None)
        handed_in = await hand_in(reading, signer, order)
        return handed_in, await follow(reading, site, handed_in.outcome)


@lockdown.command("status")
@at_a_site
def lockdown_status(json_output: JsonOutput = False, *, settings: Settings) -> None:
    """Show which gates are to be locked down, since when, and which have said that they are."""
    standings, clock = run(_standings(settings, the_site(settings)))
    if json_output:
        json_line({"gates": [_document(one) for one in standings]})
        return
    if not standings:
        say("No gate is locked down.")
        return
    table(
        ("gate", "doors", "is to be", "since", "by", "says so since"),
        [
            (
                one.gate,
                "all" if one.is_whole else ", ".join(one.access_points),
                "locked down" if one.on else "released",
                *_word(one.word, clock),
                "not yet" if one.confirmed_at is None else show_time(one.confirmed_at, clock),
            )
            for one in standings
        ],
        yielding=("doors",),
    )
    silent = sum(one.confirmed_at is None for one in standings)
    if silent:
        say(f"{counted(silent, 'gate has', 'gates have')} not said so yet: it is told again and again.")


async def _standings(settings: Settings, site: SiteId) -> tuple[Sequence[Standing], ZoneInfo]:
    async with looking_databases(settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        trust = await trust_of_the_log(settings, site, reading)
        policy = compile_from(await reading.document(site, "policy") or b"", trust=trust)
        if isinstance(policy, PolicyRefused):
            raise SettingError(f"The policy is not believed: {policy.code.sentence}")
        entries = await reading.lockdown_entries(site)
        lockdowns = Lockdowns.of(site, entries, standing=await reading.standing_lockdowns(site))
        return lockdowns.standings(policy), policy.timetable.time_zone


def _word(word: Word | None, clock: ZoneInfo) -> tuple[str, str]:
    """Since when, and by whom."""
    if word is None:
        return "its entry is gone", ""
    by = word.author if word.second is None else f"{word.author}, {word.second}"
    return show_time(word.at, clock), by


def _document(one: Standing) -> dict[str, Any]:
    word = one.word
    return {
        "gate": one.gate,
        "access_points": list(one.access_points),
        "whole_gate": one.is_whole,
        "locked_down": one.on,
        "entry": None if word is None else word.seq,
        "commanded_at": None if word is None else timestamp(word.at),
        "by": None if word is None else word.author,
        "second": None if word is None else word.second,
        "confirmed_at": None if one.confirmed_at is None else timestamp(one.confirmed_at),
    }
