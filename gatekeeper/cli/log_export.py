"""`gatekeeper audit export`: a tree of the log, or a part of it, as a bundle that proves itself (`schemas/bundle.md`).

The log says first who exports what and why; where personal parts are opened, a second person agrees. Then the bundle is
written, bounded by the first signed checkpoint that covers that entry. Stopped halfway, the same `--out` goes on with it.

Exit 0 when the bundle is written, or is proposed and waits for a second person; 1 when it is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import orjson
import typer
from cryptography.exceptions import InvalidTag

from gatekeeper import __version__
from gatekeeper.adapters.postgres import PostgresLeaves, PostgresReading, PostgresStoredTrees
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, the_site
from gatekeeper.cli.believed import trust_of_the_log
from gatekeeper.cli.desk import outcome_document, refusal
from gatekeeper.cli.options import JsonOutput, by_an_operator, run
from gatekeeper.cli.signing import hand_in, signer_for
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.core.change import LogExportChange
from gatekeeper.core.change_content import is_reason
from gatekeeper.core.export import Counts, Dialect
from gatekeeper.core.log_export import AtDoor, LogExport, read_log_export
from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.supervise import APPLIED, PROPOSED
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import AccessPointId, HolderId, SiteId, TenantId, is_name
from gatekeeper.ports import StoredEntry
from gatekeeper.service.administration.exports import EXPORT_LASTS
from gatekeeper.service.administration.instants import read_instant
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.export.partial import Partial, PartialError
from gatekeeper.service.export.planning import (
    Form,
    Plan,
    PlanError,
    SignedTree,
    plan_document,
    plan_of,
    read_plan,
)
from gatekeeper.service.export.source import SealedPart
from gatekeeper.service.export.writing import MissingEntriesError, Opener, write_bundle
from gatekeeper.service.publication import TreeTiles
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.service.words import counted
from gatekeeper.transparency import MissingTileError, Refused, open_checkpoint, parse_checkpoint, parse_note

__all__ = ["export"]

_NO: Final = 1
_LOOKS: Final = 75
_LOOKS_FOR_WITNESSES: Final = 375
_LOOK_EVERY_SECONDS: Final = 0.2


class _NotExportedError(Exception):
    """The export cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """How the bundle is written, and to where."""

    file: Path
    form: Form
    seen: tuple[int, ...]
    unwitnessed: bool
    json_output: bool


@by_an_operator
def export(
    out: Annotated[
        Path, typer.Option("--out", help="The bundle, a ZIP file. Half-done, it is gone on with.")
    ],
    tenant: Annotated[str | None, typer.Option("--tenant", help="The tree of this tenant.")] = None,
    site_tree: Annotated[bool, typer.Option("--site-tree", help="The tree of the whole site.")] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why, in one line; it stays in the log for good, so name nobody."),
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="From when, by the site's clock.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Until when; a day counts whole.")] = None,
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
    csv: Annotated[Dialect, typer.Option("--csv", help="How the table is spelled.")] = Dialect.RFC4180,
    no_csv: Annotated[bool, typer.Option("--no-csv", help="Without a table.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="The table as Parquet too.")] = False,
    compress: Annotated[bool, typer.Option("--compress", help="Smaller, and slower.")] = False,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            "--seen", help="A checkpoint that the auditor has; the bundle proves that the log grew from it."
        ),
    ] = None,
    unwitnessed: Annotated[
        bool, typer.Option("--unwitnessed", help="Do not wait for a witness to cosign.")
    ] = False,
    json_output: JsonOutput = False,
    *,
    settings: Settings,
) -> None:
    """Write a tree of the log, or a part of it, as a bundle that proves itself.

    Who exports it and why becomes an entry first. gatekeeper audit verify FILE checks the bundle, anywhere.
    """
    wanted = _Wanted(
        file=out,
        form=Form(csv=None if no_csv else csv, parquet=parquet, compress=compress),
        seen=tuple(_size_in(file) for file in seen or ()),
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
    except (_NotExportedError, MissingEntriesError, MissingTileError, PartialError, PlanError) as error:
        say(str(error))
        raise typer.Exit(_NO) from error
    except KeyboardInterrupt:
        say(f"Stopped. The same command with --out {out} goes on with it.")
        raise typer.Exit(_NO) from None


async def _export(settings: Settings, wanted: _Wanted, asked: "_Asked", approved: int | None) -> None:
    begun = Partial.is_begun(wanted.file)
    if not begun and wanted.file.exists():
        raise SettingError(f"There is a file {wanted.file} already.")
    async with _Ground.opened(settings, wanted) as ground:
        if begun:
            say(f"{wanted.file} is half-done: going on with it, as it was asked for then.")
            await _go_on(ground)
        elif approved is not None:
            await _write(ground, approved)
        else:
            await _ask(ground, asked)


def _size_in(file: Path) -> int:
    """The size that a note speaks of. The proof is of our own tree: what somebody has altered in the file proves nothing."""
    note = parse_note(file.read_bytes())
    checkpoint = note if isinstance(note, Refused) else parse_checkpoint(note.text)
    if isinstance(checkpoint, Refused):
        raise SettingError(f"{file} is no checkpoint: {checkpoint.code.sentence}")
    return checkpoint.size


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

    def change(self, zone: Any) -> LogExportChange:
        """What is signed. Raises SettingError for what cannot be asked."""
        if (self.tenant is None) != self.site_tree:
            raise SettingError("Say which tree: --tenant TENANT, or --site-tree for the whole site's.")
        if self.reason is None or not is_reason(self.reason.strip()):
            raise SettingError("Say why, with --reason: one line of 1 to 200 characters, which names nobody.")
        unknown = [
            name for name in (*self.doors, self.tenant, self.holder) if name is not None and not is_name(name)
        ]
        if unknown:
            raise SettingError(f"{unknown[0]!r} is no name.")
        since, until = _instant(self.since, zone, ends=False), _instant(self.until, zone, ends=True)
        if since is not None and until is not None and since >= until:
            raise SettingError("--from is not before --to.")
        return LogExportChange(
            tree=SITE_TREE if self.tenant is None else tenant_tree(TenantId(self.tenant)),
            since=since,
            until=until,
            doors=tuple(sorted({AccessPointId(name) for name in self.doors})),
            decisions=tuple(sorted(set(self.decisions))),
            holder=None if self.holder is None else HolderId(self.holder),
            openings=self.openings,
            reason=self.reason.strip(),
        )


def _instant(text: str | None, zone: Any, *, ends: bool) -> datetime | None:
    if text is None:
        return None
    try:
        return read_instant(text, zone, ends=ends, today=datetime.now(zone).date())
    except ValueError as error:
        raise SettingError(f"{'--to' if ends else '--from'}: {error}.") from error


async def _ask(ground: "_Ground", asked: _Asked) -> None:
    """Sign what is asked for, hand it in, and write the bundle when nobody else has to agree."""
    change = asked.change(await ground.time_zone())
    about = None if asked.tenant is None else TenantId(asked.tenant)
    signer = await signer_for(ground.reading, ground.settings, ground.site, change, tenant=about)
    handed_in = await hand_in(ground.reading, signer, change)
    outcome, json_output = handed_in.outcome, ground.wanted.json_output
    if outcome is not None and outcome.code == APPLIED and outcome.seq is not None:
        await _write(ground, outcome.seq)
        return
    if json_output:
        json_line({"proposal": handed_in.digest.hex(), **outcome_document(outcome)})
    if outcome is None:
        raise _NotExportedError(
            "Handed in. No engine runs this site now, and nothing is written before the log says who exports it: when one "
            "runs, --approved ENTRY, the entry log.exported that it makes, writes it."
        )
    if outcome.code != PROPOSED:
        raise _NotExportedError(refusal(outcome))
    say(
        f"Proposed; entry {outcome.seq} of the log. It opens what is personal: nothing is written before another has said, "
        f"within 24 hours, gatekeeper proposal approve {handed_in.digest.hex()[:8]}; then audit export --approved ENTRY, the "
        f"entry log.exported that it makes, with --out {ground.wanted.file} writes it."
    )


# -- writing ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """The site whose log is exported, and how to read it."""

    settings: Settings
    wanted: _Wanted
    site: SiteId
    trust: Trust
    reading: PostgresReading
    dsn: str
    vault_dsn: str

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, wanted: _Wanted) -> AsyncIterator["_Ground"]:
        site = the_site(settings)
        async with databases(settings) as (dsn, vault_dsn), PostgresReading.opened(dsn) as reading:
            yield cls(
                settings=settings,
                wanted=wanted,
                site=site,
                trust=await trust_of_the_log(settings, site, reading),
                reading=reading,
                dsn=dsn,
                vault_dsn=vault_dsn,
            )

    async def time_zone(self) -> ZoneInfo:
        """The clock of the site, by its policy in force."""
        document = await self.reading.document(self.site, "policy")
        policy = read_policy(document or b"", trust=self.trust)
        if isinstance(policy, PolicyRefused):
            raise SettingError(f"The policy in force is not believed: {policy.code.sentence}")
        return ZoneInfo(policy.written.time_zone)

    async def keys(self) -> Mapping[HolderId, bytes]:
        """The keys of all persons who are not forgotten."""
        return await PostgresKeyVault(self.vault_dsn).keys(self.site)


async def _write(ground: _Ground, seq: int) -> None:
    """Write the bundle that an entry of the log allows."""
    body, export = await _allowed(ground, seq)
    index = orjson.loads(body)["trees"].get(export.tree)
    if index is None:
        raise _NotExportedError(f"Entry {seq} does not stand in the tree {export.tree} that it speaks of.")
    signed = await _signed(ground, export.tree, above=index)
    earlier = {*ground.wanted.seen, *await ground.reading.handed_out(ground.site, tree=export.tree)}
    async with (
        PostgresLeaves.opened(ground.dsn, ground.site) as leaves,
        PostgresStoredTrees.opened(ground.dsn) as stored,
    ):
        plan = await plan_of(
            export,
            body,
            site=ground.site,
            signed=signed,
            form=ground.wanted.form,
            leaves=leaves,
            tiles=TreeTiles(ground.site, stored),
            earlier=earlier,
            program=f"gatekeeper {__version__}",
            now=datetime.now(UTC),
        )
        plan = replace(plan, timestamp=await _stamp(ground, export.tree, signed.checkpoint.size))
        with Partial.begun(ground.wanted.file, plan_document(plan)) as partial:
            await _fill(ground, partial, plan, leaves)


async def _go_on(ground: _Ground) -> None:
    """Write what a bundle lacks that was begun before."""
    with Partial.resumed(ground.wanted.file) as partial:
        plan = read_plan(partial.plan)
        if plan.manifest.site != ground.site:
            raise _NotExportedError(f"{ground.wanted.file} was begun for the site {plan.manifest.site}.")
        async with PostgresLeaves.opened(ground.dsn, ground.site) as leaves:
            await _fill(ground, partial, plan, leaves)


async def _allowed(ground: _Ground, seq: int) -> tuple[bytes, LogExport]:
    """The entry that allows an export, and what it allows."""
    if seq >= await ground.reading.size(ground.site):
        raise _NotExportedError(f"The log holds no entry {seq}.")
    entry = await anext(aiter(ground.reading.entries(ground.site, since=seq, until=seq + 1)))
    personal = None if entry.personal is None else _open(entry, await ground.keys(), ground.site)
    export = read_log_export(entry.body, site=ground.site, seq=seq, personal=personal)
    if export is None:
        raise _NotExportedError(f"Entry {seq} allows no export of the log: name the entry log.exported.")
    if export.one_holder and export.holder is None:
        raise _NotExportedError(
            f"Whom entry {seq} is about cannot be opened any more: the person was forgotten."
        )
    if datetime.now(UTC) - export.at >= EXPORT_LASTS:
        raise _NotExportedError(f"Entry {seq} is more than 24 hours old: ask anew.")
    return entry.body, export


async def _signed(ground: _Ground, tree: str, *, above: int) -> SignedTree:
    """The newest checkpoint of a tree, once one covers an entry; believed by the log's own key."""
    verifiers = tree_verifiers(ground.site, ground.trust, trees=[tree]).get(tree, ())
    note = await _covering_note(ground, tree, above)
    if note is None:
        raise _NotExportedError(
            f"No checkpoint of {tree} covers entry {above} of it yet: is an engine running? --approved goes on later."
        )
    opened = open_checkpoint(note, verifiers)
    if isinstance(opened, Refused):
        raise _NotExportedError(
            f"The newest checkpoint of {tree} is not signed by the log: {opened.code.sentence}"
        )
    by = next(one.verifier for one in opened.signatures if one.verifier in verifiers)
    return SignedTree(note=note, checkpoint=opened.checkpoint, key=by.key())


async def _stamp(ground: _Ground, tree: str, size: int) -> bytes | None:
    """The RFC 3161 token over the checkpoint of this size, where an authority has stamped that very one."""
    stamp = await ground.reading.timestamp_tokens(ground.site, tree=tree, size=size)
    return stamp.reply if stamp is not None and stamp.size == size else None


async def _covering_note(ground: _Ground, tree: str, index: int) -> bytes | None:
    """A checkpoint that covers an entry, cosigned where the log has witnesses; None when there is none in time.

    Engines sign once a second, and ask witnesses every minute at least. Without a witness' word it is told, and no fault.
    """
    witnessed = await ground.reading.cosigned_checkpoint(ground.site, tree=tree) is not None
    waits = witnessed and not ground.wanted.unwitnessed
    for look in range(_LOOKS_FOR_WITNESSES if waits else _LOOKS):
        found = await (ground.reading.cosigned_checkpoint if waits else ground.reading.newest_checkpoint)(
            ground.site, tree=tree
        )
        if found is not None and found.size > index:
            return found.note
        if waits and look == _LOOKS:
            say("Waiting for a witness to cosign (--unwitnessed does not).")
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    row = await ground.reading.newest_checkpoint(ground.site, tree=tree)
    if row is None or row.size <= index:
        return None
    if waits:
        say("No witness has cosigned in time: the bundle is signed by the log alone.")
    return row.note


async def _fill(ground: _Ground, partial: Partial, plan: Plan, leaves: PostgresLeaves) -> None:
    manifest, file = plan.manifest, ground.wanted.file
    start, end = manifest.range
    opens = manifest.openings or manifest.selection.holder is not None
    opener = _opener(await ground.keys(), ground.site) if opens else None
    with progress("exporting", end - start) as told:
        counts = await write_bundle(partial, plan, leaves, opener=opener, progress=told)
    await ground.reading.hand_out(ground.site, tree=manifest.tree, size=manifest.size, at=datetime.now(UTC))
    if ground.wanted.json_output:
        json_line({"outcome": "written", "file": str(file), **_told(plan, counts)})
        return
    withheld = f", {counts.withheld} withheld" if counts.withheld else ""
    opened = (
        f", {counts.openings} of {counted(counts.personal, 'personal part')} opened"
        if manifest.openings
        else ""
    )
    say(
        f"{file}: {counted(counts.entries, 'entry', 'entries')} of {manifest.tree}{withheld}{opened}, proved under the "
        f"checkpoint of {manifest.size}. gatekeeper audit verify {file} checks it, anywhere."
    )


def _told(plan: Plan, counts: Counts) -> dict[str, Any]:
    manifest = plan.manifest
    return {
        "tree": manifest.tree,
        "size": manifest.size,
        "root": manifest.root.hex(),
        "range": list(manifest.range),
        "within": list(manifest.within),
        "entry": manifest.export.seq,
        **asdict(counts),
    }


def _opener(keys: Mapping[HolderId, bytes], site: SiteId) -> Opener:
    """Opens personal parts with the keys of those who are not forgotten."""

    def opener(part: SealedPart) -> bytes | None:
        key = keys.get(part.person)
        return None if key is None else _opened(part.sealed, key, site, part.seq)

    return opener


def _open(entry: StoredEntry, keys: Mapping[HolderId, bytes], site: SiteId) -> bytes | None:
    key = None if entry.person is None else keys.get(entry.person)
    return None if key is None or entry.personal is None else _opened(entry.personal, key, site, entry.seq)


def _opened(sealed: bytes, key: bytes, site: SiteId, seq: int) -> bytes | None:
    try:
        return open_personal(sealed, key=key, site=site, seq=seq)
    except (InvalidTag, ValueError):  # altered, or another's: it stays closed, and verification says so
        return None
