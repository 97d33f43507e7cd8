"""Writing the bundle that an entry of the log allows: what may be written, under which checkpoint, and to where.

The command (`log_export`) asks; here is what follows once the log has said who exports what and why.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag

from gatekeeper import __version__
from gatekeeper.adapters.postgres import PostgresLeaves, PostgresReading, PostgresStoredTrees
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases, the_site
from gatekeeper.cli.host.believed import trust_of_the_log
from gatekeeper.cli.log.asking import Asking
from gatekeeper.cli.log.brought import memory_at_home
from gatekeeper.cli.talk import json_line, progress, say
from gatekeeper.config import Settings
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.export import Counts
from gatekeeper.core.log_export import LogExport, read_log_export
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.model.trees import checkpoint_origin
from gatekeeper.ports import StoredEntry
from gatekeeper.service.administration.exports import EXPORT_LASTS
from gatekeeper.service.auditor import CannotCheckError, Memory
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import (
    Form,
    Plan,
    SignedTree,
    Stamp,
    plan_document,
    plan_of,
    read_plan,
)
from gatekeeper.service.export.refusal import LogExportRefusal
from gatekeeper.service.export.source import SealedPart
from gatekeeper.service.export.writing import Opener, write_bundle
from gatekeeper.service.files import named
from gatekeeper.service.publication import TreeTiles
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.service.words import counted
from gatekeeper.transparency import Checkpoint, Refused, open_checkpoint, parse_verifier

__all__ = [
    "EntryUnusableError",
    "ExportRefusedError",
    "Ground",
    "NotExportedError",
    "Wanted",
    "go_on",
    "hold_seen",
    "write",
]

_LOOKS: Final = 75
_LOOKS_FOR_WITNESSES: Final = 375
_LOOK_EVERY_SECONDS: Final = 0.2


class NotExportedError(Exception):
    """The export cannot be made; the message says why and what to do."""


class ExportRefusedError(NotExportedError):
    """The export is refused, with a code."""

    def __init__(self, code: LogExportRefusal, *, detail: str) -> None:
        super().__init__(f"Refused: {code}. {code.sentence.removesuffix('.')} ({detail}).")
        self.code, self.detail = code, detail


class EntryUnusableError(NotExportedError):
    """The entry allows nothing, or nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the bundle is written, and to where."""

    file: Path
    form: Form
    seen: tuple[Checkpoint, ...]
    unwitnessed: bool
    json_output: bool

    @property
    def sizes_seen(self) -> tuple[int, ...]:
        """From which sizes the log is proved to have grown."""
        return tuple(sorted({checkpoint.size for checkpoint in self.seen}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The site whose log is exported, and how to read it."""

    settings: Settings
    wanted: Wanted
    site: SiteId
    trust: Trust
    reading: PostgresReading
    dsn: str
    vault_dsn: str

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, wanted: Wanted) -> AsyncIterator["Ground"]:
        """Read a site's log for the length of a block. Raises SettingError when it is not to be believed."""
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

    async def keys(self) -> Mapping[HolderId, bytes]:
        """The keys of all persons who are not forgotten."""
        return await PostgresKeyVault(self.vault_dsn).keys(self.site)


async def write(ground: Ground, seq: int) -> None:
    """Write the bundle that an entry of the log allows."""
    body, export = await _allowed(ground, seq)
    index = orjson.loads(body)["trees"].get(export.tree)
    if index is None:
        raise NotExportedError(f"Entry {seq} does not stand in the tree {export.tree} that it speaks of.")
    handed_out = await ground.reading.handed_out(ground.site, tree=export.tree)
    earlier = {*ground.wanted.sizes_seen, *handed_out, *_remembered(ground.site, export.tree)}
    async with (
        PostgresLeaves.opened(ground.dsn, ground.site) as leaves,
        PostgresStoredTrees.opened(ground.dsn) as stored,
    ):
        gone = await leaves.gone(export.tree)
        above = max(index, gone.told_at) if export.tree == SITE_TREE else index
        signed = await _signed(ground, export.tree, above=above)
        hold_seen(ground, export.tree, size=signed.checkpoint.size)
        plan = await plan_of(
            export,
            body,
            site=ground.site,
            signed=signed,
            form=ground.wanted.form,
            leaves=leaves,
            tiles=TreeTiles(ground.site, stored),
            gone=gone,
            earlier=earlier,
            program=f"gatekeeper {__version__}",
            now=datetime.now(UTC),
            stamp=await _stamp(ground, export.tree, signed),
        )
        plan, file = replace(plan, seen=ground.wanted.sizes_seen), ground.wanted.file
        with named(file), Partial.begun(file, plan_document(plan)) as partial:
            Asking.drop(file)
            await _fill(ground, partial, plan, leaves)


def _remembered(site: SiteId, tree: str) -> list[int]:
    """The sizes that who verifies at this desk remembers; none where that cannot be understood, which is theirs to mend."""
    try:
        remembered = Memory(memory_at_home()).recall(checkpoint_origin(site, tree))
    except (CannotCheckError, OSError):
        return []
    return [one.size for one in remembered.checkpoints]


async def go_on(ground: Ground, differing: Callable[[Plan], Sequence[str]]) -> None:
    """Write what a bundle lacks that was begun before; `differing` are the options by which it was not begun."""
    file = ground.wanted.file
    with named(file), Partial.resumed(file) as partial:
        Asking.drop(file)
        plan = read_plan(partial.plan)
        if options := differing(plan):
            raise ExportRefusedError(LogExportRefusal.BEGUN_OTHERWISE, detail=", ".join(options))
        if plan.manifest.site != ground.site:
            raise NotExportedError(f"{file} was begun for the site {plan.manifest.site}.")
        hold_seen(ground, plan.manifest.tree, size=plan.manifest.size)
        say(f"{file} is half-done: going on with it.")
        async with PostgresLeaves.opened(ground.dsn, ground.site) as leaves:
            await _fill(ground, partial, plan, leaves)


def hold_seen(ground: Ground, tree: str, *, size: int) -> None:
    """See that the checkpoints that an auditor has are of this tree. Raises ExportRefusedError."""
    origin = checkpoint_origin(ground.site, tree)
    for seen in ground.wanted.seen:
        if seen.origin != origin:
            raise ExportRefusedError(LogExportRefusal.SEEN_OTHER, detail=seen.origin)
        if seen.size > size:
            raise ExportRefusedError(LogExportRefusal.SEEN_AHEAD, detail=f"{seen.size} of {size}")


async def _allowed(ground: Ground, seq: int) -> tuple[bytes, LogExport]:
    """The entry that allows an export, and what it allows."""
    if seq >= await ground.reading.size(ground.site):
        raise EntryUnusableError(f"The log holds no entry {seq}.")
    entry = await anext(aiter(ground.reading.entries(ground.site, since=seq, until=seq + 1)))
    personal = None if entry.personal is None else _open(entry, await ground.keys(), ground.site)
    export = read_log_export(entry.body, site=ground.site, seq=seq, personal=personal)
    if export is None:
        raise EntryUnusableError(f"Entry {seq} allows no export of the log: name the entry log.exported.")
    if export.one_holder and export.holder is None:
        raise EntryUnusableError(
            f"Whom entry {seq} is about cannot be opened any more: the person was forgotten."
        )
    if datetime.now(UTC) - export.at >= EXPORT_LASTS:
        raise EntryUnusableError(f"Entry {seq} is more than 24 hours old: ask anew.")
    return entry.body, export


async def _signed(ground: Ground, tree: str, *, above: int) -> SignedTree:
    """The newest checkpoint of a tree, once one covers an entry; believed by the log's own key."""
    verifiers = tree_verifiers(ground.site, ground.trust, trees=[tree]).get(tree, ())
    note = await _covering_note(ground, tree, above)
    if note is None:
        raise NotExportedError(
            f"No checkpoint of {tree} covers entry {above} of it yet: is an engine running? The same command goes on later."
        )
    opened = open_checkpoint(note, verifiers)
    if isinstance(opened, Refused):
        raise NotExportedError(
            f"The newest checkpoint of {tree} is not signed by the log: {opened.code.sentence}"
        )
    by = next(one.verifier for one in opened.signatures if one.verifier in verifiers)
    return SignedTree(note=note, checkpoint=opened.checkpoint, key=by.key())


async def _stamp(ground: Ground, tree: str, signed: SignedTree) -> Stamp | None:
    """The newest time stamp up to a checkpoint, where the key that signed it has signed the stamped one too."""
    row = await ground.reading.timestamp_tokens(ground.site, tree=tree, size=signed.checkpoint.size)
    if row is None:
        return None
    key = parse_verifier(signed.key)
    opened = key if isinstance(key, Refused) else open_checkpoint(row.note or b"", [key])
    if isinstance(opened, Refused) or opened.checkpoint.size != row.size or row.note is None:
        say(
            f"The time stamp of {counted(row.size, 'entry', 'entries')} is left out: the log's key did not sign what it is over."
        )
        return None
    return Stamp(size=row.size, note=row.note, token=row.reply)


async def _covering_note(ground: Ground, tree: str, index: int) -> bytes | None:
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
            seconds = int(_LOOKS_FOR_WITNESSES * _LOOK_EVERY_SECONDS)
            say(f"Waiting up to {seconds} seconds for a witness to cosign; --unwitnessed does not wait.")
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    row = await ground.reading.newest_checkpoint(ground.site, tree=tree)
    if row is None or row.size <= index:
        return None
    if waits:
        say("No witness has cosigned in time: the bundle is signed by the log alone.")
    return row.note


async def _fill(ground: Ground, partial: Partial, plan: Plan, leaves: PostgresLeaves) -> None:
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
    expired = f", {manifest.expired.entries} expired" if manifest.expired is not None else ""
    opened = (
        f", {counts.openings} of {counted(counts.personal, 'personal part')} opened"
        if manifest.openings
        else ""
    )
    say(
        f"{file}: {counted(counts.entries, 'entry', 'entries')} of {manifest.tree}{withheld}{expired}{opened}, proved under the "
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
        "expired": 0 if manifest.expired is None else manifest.expired.entries,
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
