"""`gatekeeper holder export` and `badge export`: one person proposes, another approves, and then the file is written.

The first run signs a proposal and writes nothing; the run with `--approved` signs nothing, asks the log whether two people
agreed, and writes. What stands in a file is for the commands to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import databases
from gatekeeper.cli.host.signing import HandedIn, hand_in, signer_for
from gatekeeper.cli.host.waiting import end, waits
from gatekeeper.cli.new_files import see_new
from gatekeeper.cli.options import run
from gatekeeper.cli.people.csv_files import give
from gatekeeper.cli.people.desk import OpenDesk, at_desk, outcome_document, refusal
from gatekeeper.cli.talk import json_line, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.change import ExportChange, Exported
from gatekeeper.core.change_content import is_reason
from gatekeeper.core.supervise import PROPOSED
from gatekeeper.ports import StoredEntry
from gatekeeper.service.administration.exports import (
    ApprovedExport,
    ExportRefusal,
    ExportRefused,
    approved_export,
)

__all__ = ["ApprovedOption", "Listing", "ReasonOption", "export"]

ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason",
        help="Why, in one line; it stays in the log for good, so name nobody. Proposes the export.",
    ),
]
ApprovedOption = Annotated[
    int | None,
    typer.Option(
        "--approved",
        metavar="ENTRY",
        min=0,
        help="The entry people.exported, a day old at most. Writes the file.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is exported: the file, what is in it in words, and how much of it was left out."""

    content: bytes
    count: int
    words: str
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was asked for on the command line."""

    what: Exported
    reason: str | None
    approved: int | None
    file: Path | None
    json_output: bool


def export(
    settings: Settings,
    what: Exported,
    listing: Callable[[OpenDesk], Listing],
    *,
    tenant: str | None,
    reason: str | None,
    approved: int | None,
    file: Path | None,
    json_output: bool,
) -> None:
    """Propose an export, or write what was approved; exit 1 when that is refused. Raises SettingError for misuse."""
    asked = _Asked(
        what=what,
        reason=None if reason is None else reason.strip(),
        approved=approved,
        file=file,
        json_output=json_output,
    )
    _see_that_it_is_one(asked)
    see_new(file)
    with at_desk(settings, tenant=tenant) as at:
        if approved is None:
            _propose(at, asked)
        else:
            _write(at, asked, approved, listing)


def _see_that_it_is_one(asked: _Asked) -> None:
    if asked.reason is None and asked.approved is None:
        raise SettingError(
            "An export takes two people: say why with --reason, and once another has approved it, --approved ENTRY."
        )
    if asked.reason is not None and not is_reason(asked.reason):
        raise SettingError("--reason: write one line of 1 to 200 characters.")
    if asked.json_output and asked.approved is not None and asked.file is None:
        raise SettingError("--json tells of the file that was written: say with --out where to.")


# -- proposing ----------------------------------------------------------------------------------------------------------


def _propose(at: OpenDesk, asked: _Asked) -> None:
    change = ExportChange(tenant=at.tenant, what=asked.what, reason=asked.reason or "")
    handed_in = run(_hand_in(at, change))
    outcome = handed_in.outcome
    if asked.json_output:
        document = {**_about(at, asked), "proposal": handed_in.digest.hex()}
        json_line({**document, **outcome_document(outcome)})
    elif outcome is None:
        waits()
    elif outcome.code == PROPOSED:
        say(
            f"Proposed; entry {outcome.seq} of the log. Nothing is written before another of the host's people has said, "
            f"within 24 hours, gatekeeper proposal approve {handed_in.digest.hex()[:8]}; then this command with "
            "--approved ENTRY, the entry people.exported that it makes, writes the file."
        )
    else:
        say(refusal(outcome))
    end([outcome])


async def _hand_in(at: OpenDesk, change: ExportChange) -> HandedIn:
    async with databases(at.settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        signer = await signer_for(reading, at.settings, at.site, change, tenant=at.tenant)
        return await hand_in(reading, signer, change)


def _about(at: OpenDesk, asked: _Asked) -> dict[str, Any]:
    return {"tenant": at.tenant, "what": asked.what, "reason": asked.reason}


# -- writing ------------------------------------------------------------------------------------------------------------


def _write(at: OpenDesk, asked: _Asked, seq: int, listing: Callable[[OpenDesk], Listing]) -> None:
    approved = _approved(at, asked, seq)
    if isinstance(approved, ExportRefused):
        _tell_refused(at, asked, seq, approved)
        raise typer.Exit(1)
    listed = listing(at)
    give(listed.content, asked.file, f"{listed.words} of {at.tenant}")
    if listed.left_out:
        say(f"{listed.left_out} registrations are not signed by {at.tenant}, and are left out.")
    if asked.json_output:
        json_line(
            {
                **_about(at, asked),
                "reason": approved.reason,
                "outcome": "written",
                "entry": seq,
                "file": str(asked.file),
                "count": listed.count,
                "left_out": listed.left_out,
            }
        )


def _approved(at: OpenDesk, asked: _Asked, seq: int) -> ApprovedExport | ExportRefused:
    entry = run(_entry(at, seq))
    if entry is None:
        return ExportRefused(code=ExportRefusal.NO_ENTRY, detail=str(seq))
    return approved_export(
        entry.body,
        site=at.site,
        seq=seq,
        tenant=at.tenant,
        what=asked.what,
        reason=asked.reason,
        now=datetime.now(UTC),
    )


async def _entry(at: OpenDesk, seq: int) -> StoredEntry | None:
    """An entry that the site's tree holds; a row beyond its head is none."""
    async with databases(at.settings) as (dsn, _), PostgresReading.opened(dsn) as reading:
        if seq >= await reading.size(at.site):
            return None
        async for entry in reading.entries(at.site, since=seq, until=seq + 1):
            return entry
    return None


def _tell_refused(at: OpenDesk, asked: _Asked, seq: int, refused: ExportRefused) -> None:
    if asked.json_output:
        document = {"outcome": refused.code, "detail": refused.detail, "entry": seq}
        json_line({**_about(at, asked), **document})
        return
    sentence = refused.code.sentence
    if refused.detail:
        sentence = f"{sentence.removesuffix('.')} ({refused.detail})."
    say(f"Refused: {refused.code}. {sentence} Nothing was written.")
