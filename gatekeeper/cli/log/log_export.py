"""`gatekeeper audit export`: a tree of the log, or a part of it, as a bundle that proves itself (`schemas/bundle.md`).

The log says first who exports what and why; where personal parts are opened, a second person agrees. Then the bundle is
written (`bundles`), bounded by a signed checkpoint that covers that entry. Stopped halfway, the same command goes on with it.

Exit 0 when the bundle is written, or is proposed and waits for a second person; 1 when it is refused; 4 when no
engine has looked at it yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from gatekeeper.adapters.postgres import PostgresStoredTrees
from gatekeeper.cli.host.signing import hand_over, sign, signer_for
from gatekeeper.cli.host.site_clock import FromOption, ToOption, site_clock, span_typed
from gatekeeper.cli.host.waiting import waits
from gatekeeper.cli.log.asking import Asking
from gatekeeper.cli.log.bundles import (
    EntryUnusableError,
    ExportRefusedError,
    Ground,
    NotExportedError,
    Wanted,
    go_on,
    hold_seen,
    write,
)
from gatekeeper.cli.log.former_doors import doors_never_had
from gatekeeper.cli.new_files import see_file, see_new
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.people.desk import outcome_document, refusal
from gatekeeper.cli.talk import json_line, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.core.change import LogExportChange
from gatekeeper.core.change_content import is_reason
from gatekeeper.core.export import Dialect
from gatekeeper.core.log_export import AtDoor
from gatekeeper.core.supervise import APPLIED, PROPOSED
from gatekeeper.model.ids import AccessPointId, HolderId, TenantId, is_name
from gatekeeper.service.export.parquet import must_have_parquet
from gatekeeper.service.export.partial import Partial, PartialError
from gatekeeper.service.export.planning import Form, Plan, PlanError
from gatekeeper.service.export.refusal import LogExportRefusal
from gatekeeper.service.export.source import MissingEntriesError
from gatekeeper.transparency import Checkpoint, MissingTileError, Refused, parse_checkpoint, parse_note

__all__ = ["export"]

_NO: Final = 1


class TableAs(StrEnum):
    """How the table is spelled, or that there is none."""

    RFC4180 = "rfc4180"
    EXCEL_NL = "excel-nl"
    NONE = "none"

    @property
    def dialect(self) -> Dialect | None:
        """The dialect of the table; None for no table."""
        return None if self is TableAs.NONE else Dialect(self.value)


@by_an_operator
def export(
    out: Annotated[
        Path,
        typer.Option("--out", help="The bundle, a ZIP file. Half-done, the same options go on with it."),
    ],
    tenant: Annotated[str | None, typer.Option("--tenant", help="The tree of this tenant.")] = None,
    site_tree: Annotated[bool, typer.Option("--site-tree", help="The tree of the whole site.")] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why, in one line; it stays in the log for good, so name nobody."),
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    door: Annotated[
        list[str] | None, typer.Option("--door", help="Only at this access point; repeatable.")
    ] = None,
    decision: Annotated[
        list[AtDoor] | None, typer.Option("--decision", help="Only what ended so; repeatable.")
    ] = None,
    holder: Annotated[str | None, typer.Option("--holder", help="Only what concerns this person.")] = None,
    openings: Annotated[
        bool, typer.Option("--openings", help="With what it says of persons: a second person must agree.")
    ] = False,
    approved: Annotated[
        int | None,
        typer.Option("--approved", metavar="ENTRY", min=0, help="Write what this entry log.exported allows."),
    ] = None,
    csv: Annotated[
        TableAs, typer.Option("--csv", help="How the table is spelled, or that there is none.")
    ] = TableAs.RFC4180,
    parquet: Annotated[bool, typer.Option("--parquet", help="The table as Parquet too.")] = False,
    compress: Annotated[bool, typer.Option("--compress", help="Smaller, and slower.")] = False,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            "--seen", help="A checkpoint that the auditor has; the bundle proves that the log grew from it."
        ),
    ] = None,
    unwitnessed: Annotated[
        bool,
        typer.Option("--unwitnessed", help="Do not wait for a witness to cosign, which may take a minute."),
    ] = False,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Write a tree of the log, or a part of it, as a bundle that proves itself.

    Who exports it and why becomes an entry first. gatekeeper audit verify FILE checks the bundle, anywhere.
    """
    see_file(out)
    wanted = Wanted(
        file=out,
        form=Form(csv=csv.dialect, parquet=parquet, compress=compress),
        seen=tuple(_checkpoint_in(file) for file in seen or ()),
        unwitnessed=unwitnessed,
        json_output=json_output,
    )
    asked = _Asked(
        tenant=tenant,
        site_tree=site_tree,
        reason=reason,
        since=since,
        until=until,
        doors=tuple(door or ()),
        decisions=tuple(decision or ()),
        holder=holder,
        openings=openings,
    )
    try:
        run(_export(settings, wanted, asked, approved))
    except ExportRefusedError as error:
        if json_output:
            json_line({"outcome": error.code, "detail": error.detail})
        say(str(error))
        raise typer.Exit(_NO) from error
    except (NotExportedError, MissingEntriesError, MissingTileError, PartialError, PlanError) as error:
        say(str(error))
        raise typer.Exit(_NO) from error
    except OSError:
        _tell_how_to_go_on(out)
        raise
    except KeyboardInterrupt:
        say("Stopped.")
        _tell_how_to_go_on(out)
        raise


def _tell_how_to_go_on(out: Path) -> None:
    if Partial.is_begun(out) or Asking.is_kept(out):
        say(f"The same command with --out {out} goes on with it.")


async def _export(settings: Settings, wanted: Wanted, asked: "_Asked", approved: int | None) -> None:
    begun = Partial.is_begun(wanted.file)
    if not begun:
        see_new(wanted.file)
    if wanted.form.parquet:
        must_have_parquet()
    async with Ground.opened(settings, wanted) as ground:
        if begun:
            zone = await site_clock(ground.reading, ground.site, trust=ground.trust)
            await go_on(ground, lambda plan: _differing(plan, asked, wanted, approved=approved, zone=zone))
        elif approved is not None:
            await write(ground, approved)
        else:
            await _ask(ground, asked)


def _checkpoint_in(file: Path) -> Checkpoint:
    """The checkpoint of a note. The proof is of our own tree: what somebody has altered in the file proves nothing."""
    note = parse_note(file.read_bytes())
    checkpoint = note if isinstance(note, Refused) else parse_checkpoint(note.text)
    if isinstance(checkpoint, Refused):
        raise SettingError(f"{file} is no checkpoint: {checkpoint.code.sentence}")
    return checkpoint


# -- going on --------------------------------------------------------------------------------------------------------


def _differing(
    plan: Plan, asked: "_Asked", wanted: Wanted, *, approved: int | None, zone: ZoneInfo
) -> list[str]:
    """The options by which a half-done bundle was not begun. `--approved` stands for all that its entry says."""
    form, seen = wanted.form, wanted.sizes_seen
    begun = plan.manifest
    same = {
        "--csv": begun.csv == form.csv,
        "--parquet": begun.parquet == form.parquet,
        "--compress": plan.compress == form.compress,
        "--seen": plan.seen == seen,
    }
    if approved is not None:
        return _those({"--approved": approved == begun.export.seq, **same})
    since, until = asked.times(zone)
    return _those(
        {
            "--site-tree" if begun.tree == SITE_TREE else "--tenant": asked.tree == begun.tree,
            "--reason": (asked.reason or "").strip() == begun.export.reason,
            "--from": since == begun.since,
            "--to": until == begun.until,
            "--door": tuple(sorted(set(asked.doors))) == begun.selection.doors,
            "--decision": tuple(sorted(set(asked.decisions))) == begun.selection.decisions,
            "--holder": asked.holder == begun.selection.holder,
            "--openings": asked.openings == begun.openings,
            **same,
        }
    )


def _those(same: Mapping[str, bool]) -> list[str]:
    return [option for option, is_same in same.items() if not is_same]


# -- asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was asked for on the command line."""

    tenant: str | None
    site_tree: bool
    reason: str | None
    since: str | None
    until: str | None
    doors: tuple[str, ...]
    decisions: tuple[AtDoor, ...]
    holder: str | None
    openings: bool

    @property
    def tree(self) -> str | None:
        """Which tree; None where not just one is named."""
        if (self.tenant is None) != self.site_tree:
            return None
        return SITE_TREE if self.tenant is None else tenant_tree(TenantId(self.tenant))

    def times(self, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """From when, and until when. Raises SettingError for what is no span."""
        return span_typed(self.since, self.until, zone)

    def change(self, zone: ZoneInfo) -> LogExportChange:
        """What is signed. Raises SettingError for what cannot be asked."""
        if self.tree is None:
            raise SettingError("Say which tree: --tenant TENANT, or --site-tree for the whole site's.")
        if self.reason is None or not is_reason(self.reason.strip()):
            raise SettingError("Say why, with --reason: one line of 1 to 200 characters, which names nobody.")
        unknown = [
            name for name in (*self.doors, self.tenant, self.holder) if name is not None and not is_name(name)
        ]
        if unknown:
            raise SettingError(f"{unknown[0]!r} is no name.")
        since, until = self.times(zone)
        return LogExportChange(
            tree=self.tree,
            since=since,
            until=until,
            doors=tuple(sorted({AccessPointId(name) for name in self.doors})),
            decisions=tuple(sorted(set(self.decisions))),
            holder=None if self.holder is None else HolderId(self.holder),
            openings=self.openings,
            reason=self.reason.strip(),
        )


async def _hold_known(ground: Ground, change: LogExportChange) -> None:
    """See that there is, or was, what is asked for, before anything is signed. Raises ExportRefusedError."""
    async with PostgresStoredTrees.opened(ground.dsn) as stored:
        heads = await stored.heads(ground.site)
    if change.tree not in heads:
        raise ExportRefusedError(LogExportRefusal.TREE_UNKNOWN, detail=change.tree)
    size, _ = heads[change.tree]
    hold_seen(ground, change.tree, size=size)
    never = await doors_never_had(ground.reading, ground.site, change.doors, trust=ground.trust)
    if never:
        raise ExportRefusedError(LogExportRefusal.DOOR_UNKNOWN, detail=", ".join(sorted(never)))


async def _tenant_of(ground: Ground, holder: HolderId) -> TenantId:
    """Whose holder it is. Raises ExportRefusedError for nobody's."""
    found = (await ground.reading.registrations(ground.site, [holder])).get(holder)
    if found is None:
        raise ExportRefusedError(LogExportRefusal.HOLDER_UNKNOWN, detail=holder)
    return found.tenant


async def _ask(ground: Ground, asked: _Asked) -> None:
    """Sign what is asked for, hand it in, and write the bundle when nobody else has to agree."""
    change = asked.change(await site_clock(ground.reading, ground.site, trust=ground.trust))
    file = ground.wanted.file
    asking = Asking.kept(file) or await _begun(ground, asked, change)
    if options := asking.differing(change):
        raise ExportRefusedError(LogExportRefusal.BEGUN_OTHERWISE, detail=", ".join(options))
    outcome = await hand_over(ground.reading, ground.site, asking.signed)
    if outcome is not None and outcome.code == APPLIED and outcome.seq is not None:
        await _write_allowed(ground, outcome.seq)
        return
    if ground.wanted.json_output:
        json_line({"proposal": asking.signed.digest.hex(), **outcome_document(outcome)})
    if outcome is None:
        say(
            "Nothing is written before the log says who exports it: when an engine runs, the same command goes on."
        )
        raise waits()
    Asking.drop(file)
    if outcome.code != PROPOSED:
        raise NotExportedError(refusal(outcome))
    say(
        f"Proposed; entry {outcome.seq} of the log. It opens what is personal: nothing is written before another has said, "
        f"within 24 hours, gatekeeper proposal approve {asking.signed.digest.hex()[:8]}; then audit export --approved ENTRY, the "
        f"entry log.exported that it makes, with --out {file} writes it."
    )


async def _begun(ground: Ground, asked: _Asked, change: LogExportChange) -> Asking:
    """Sign what is asked for, once it is known to be there, and keep that beside the file."""
    await _hold_known(ground, change)
    whose = None if change.holder is None else await _tenant_of(ground, change.holder)
    about = None if asked.tenant is None else TenantId(asked.tenant)
    signer = await signer_for(ground.reading, ground.settings, ground.site, change, tenant=about)
    if whose is not None and signer.operator.tenant not in {ground.trust.host, whose}:
        raise ExportRefusedError(LogExportRefusal.HOLDER_UNKNOWN, detail=str(change.holder))
    return Asking.keep(ground.wanted.file, sign(signer, change), change)


async def _write_allowed(ground: Ground, seq: int) -> None:
    """Write what an entry allows that was asked for here; where it allows nothing any more, the next run asks anew."""
    try:
        await write(ground, seq)
    except EntryUnusableError:
        Asking.drop(ground.wanted.file)
        raise
