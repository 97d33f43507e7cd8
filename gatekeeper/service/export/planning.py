"""What a bundle will hold, before a line of it is written: its range, its checkpoint, and every hash of its proofs.

All of it follows from the tree as it was at one signed checkpoint. Whoever writes the bundle, today or after a crash, needs
nothing more of the log than the leaves.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gatekeeper.core.audit import timestamp
from gatekeeper.core.export import (
    Dialect,
    EarlierCheckpoint,
    ExportedBy,
    Manifest,
    Proofs,
    Selection,
    manifest_document,
    proofs_document,
    read_manifest,
    read_proofs,
)
from gatekeeper.core.log_export import LogExport
from gatekeeper.model.ids import SiteId
from gatekeeper.service.export.expiry import NOTHING_GONE, Gone, gap_lines, gap_spans
from gatekeeper.service.export.source import LogSource, MissingEntriesError
from gatekeeper.service.publication import TreeTiles
from gatekeeper.transparency import (
    Checkpoint,
    MissingTileError,
    Span,
    Tile,
    TileCoordinates,
    TileHashes,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    range_proof,
    range_spans,
    root_at,
    tile_path,
    tiles_for,
)

__all__ = [
    "Extent",
    "Form",
    "Plan",
    "PlanError",
    "SignedTree",
    "Stamp",
    "expired_lines",
    "exported_by",
    "extent",
    "plan_document",
    "plan_of",
    "proofs_of",
    "read_plan",
]

_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class PlanError(Exception):
    """A plan that was kept cannot be read; the message says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A bundle before it is written: the manifest lacks its counts."""

    manifest: Manifest
    checkpoint: bytes
    export: bytes
    proofs: Proofs
    expired: tuple[bytes, ...] = ()
    """The lines that stand for what expired, one for each segment that begins with such."""
    timestamp: bytes | None = None
    stamped: bytes | None = None
    """The older note that the time stamp is over; None where it is over the checkpoint itself."""
    compress: bool = False
    seen: tuple[int, ...] = ()
    """Sizes from which somebody asked to see it grow, rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a bundle is written, which changes nothing of what it proves."""

    csv: Dialect | None = None
    parquet: bool = False
    compress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTree:
    """A tree at a signed checkpoint: the note, what it says, and the verifier key of the log."""

    note: bytes
    checkpoint: Checkpoint
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time stamp (RFC 3161) of the tree: the size and the note that it is over, and its token."""

    size: int
    note: bytes
    token: bytes


@dataclass(frozen=True, slots=True)
class Extent:
    """The leaves asked for, and with their borders."""

    within: tuple[int, int]
    range: tuple[int, int]


async def plan_of(
    export: LogExport,
    body: bytes,
    *,
    site: SiteId,
    signed: SignedTree,
    form: Form,
    leaves: LogSource,
    tiles: TreeTiles,
    gone: Gone,
    earlier: Collection[int],
    program: str,
    now: datetime,
    stamp: Stamp | None = None,
) -> Plan:
    """The plan of the bundle that an entry of the log allows; `body` are its bytes, below the signed checkpoint.

    `gone` is what had expired of the tree, the checkpoint covering the entries that tell of it. `earlier` are sizes at which
    auditors may have seen the tree; the growth from an older stamped one is proved like theirs. Raises MissingTileError, and
    MissingEntriesError for what is gone and no entry tells of.
    """
    entry = orjson.loads(body)
    index, size = entry["trees"][export.tree], signed.checkpoint.size
    if gone.untold:
        raise MissingEntriesError(
            f"Entries at the beginning of {export.tree} are not in the log, and no entry says that they expired: "
            f"{gone.untold} of them. gatekeeper audit verify says which."
        )
    reach = await extent(leaves, export.tree, size=size, since=export.since, until=export.until, gone=gone)
    manifest = Manifest(
        site=site,
        tree=export.tree,
        size=size,
        root=signed.checkpoint.root,
        range=reach.range,
        within=reach.within,
        since=export.since,
        until=export.until,
        selection=Selection(doors=export.doors, decisions=export.decisions, holder=export.holder),
        openings=export.openings,
        csv=form.csv,
        parquet=form.parquet,
        export=exported_by(entry, index=index),
        written=timestamp(now),
        program=program,
        key=signed.key,
        expired=gone.expiry(reach.range[0]),
    )
    older = stamp if stamp is not None and stamp.size < size else None
    proofs = await proofs_of(
        tiles,
        export.tree,
        size=size,
        leaves=reach.range,
        export=index,
        earlier=earlier if older is None else {*earlier, older.size},
    )
    return Plan(
        manifest=manifest,
        checkpoint=signed.note,
        export=body,
        proofs=proofs,
        expired=await expired_lines(tiles, manifest),
        timestamp=None if stamp is None else stamp.token,
        stamped=None if older is None else older.note,
        compress=form.compress,
    )


async def extent(
    source: LogSource,
    tree: str,
    *,
    size: int,
    since: datetime | None,
    until: datetime | None,
    gone: Gone = NOTHING_GONE,
) -> Extent:
    """Which leaves of a tree of this size lie within two instants; where none does, the place between its neighbours.

    What expired may lie within them, unless what is left lies before it or the log says that it was older.
    """
    if since is None and until is None:
        return Extent((0, size), (0, size))
    found = await source.bounds(tree, size=size, since=since or _EVER[0], until=until or _EVER[1])
    before = -1 if found.before is None else found.before
    # An open side reaches the log's own edge, wherever the clock of its entries stood.
    first = 0 if since is None else before + 1 if found.first is None else found.first
    last = size if until is None else before + 1 if found.last is None else found.last + 1
    if since is not None and first <= gone.leaves:
        first = gone.surely_before(since)
    last = max(last, gone.leaves)
    start = first if since is None else max(0, first - 1)
    end = last if until is None else min(size, last + 1)
    return Extent((first, last), (start, end))


async def proofs_of(
    tiles: TreeTiles,
    tree: str,
    *,
    size: int,
    leaves: tuple[int, int],
    export: int,
    earlier: Collection[int],
) -> Proofs:
    """The proofs of a bundle: of its range, of its own entry, and that the tree grew from earlier sizes.

    Raises MissingTileError when the log does not hold what a proof is made of.
    """
    sizes = sorted({one for one in earlier if 0 < one < size})
    spans: list[Span] = [*range_spans(*leaves, size), *inclusion_spans(export, size)]
    for one in sizes:
        spans += [(0, one), *consistency_spans(one, size)]
    reader = TileHashes([await _tile(tiles, tree, at) for at in tiles_for(spans, size)])
    return Proofs(
        range=tuple(range_proof(*leaves, size, reader)),
        export=tuple(inclusion_proof(export, size, reader)),
        consistency=tuple(
            EarlierCheckpoint(
                size=one, root=root_at(one, reader), hashes=tuple(consistency_proof(one, size, reader))
            )
            for one in sizes
        ),
    )


async def expired_lines(tiles: TreeTiles, manifest: Manifest) -> tuple[bytes, ...]:
    """The lines that stand for what expired. Raises MissingTileError."""
    start, end = manifest.range[0], manifest.begins
    wanted = tiles_for(gap_spans(start, end), manifest.size)
    return gap_lines(start, end, TileHashes([await _tile(tiles, manifest.tree, at) for at in wanted]))


async def _tile(tiles: TreeTiles, tree: str, at: TileCoordinates) -> Tile:
    hashes = await tiles.tile(tree, at)
    if hashes is None:
        raise MissingTileError(
            f"Tile {tile_path(at)} of {tree} is not in the log: gatekeeper audit verify says why."
        )
    return Tile(level=at.level, index=at.index, width=at.width, hashes=hashes)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as it is kept beside a bundle that is half-done."""
    return {
        "manifest": manifest_document(plan.manifest).decode(),
        "written": plan.manifest.written,
        "checkpoint": plan.checkpoint.decode(),
        "export": plan.export.decode(),
        "proofs": proofs_document(plan.proofs).decode(),
        "expired": [line.decode() for line in plan.expired],
        "timestamp": None if plan.timestamp is None else b64encode(plan.timestamp).decode(),
        "stamped": None if plan.stamped is None else plan.stamped.decode(),
        "compress": plan.compress,
        "seen": list(plan.seen),
    }


def read_plan(document: Mapping[str, Any]) -> Plan:
    """Read what `plan_document` has written. Raises PlanError."""
    try:
        manifest = read_manifest(document["manifest"].encode())
        proofs = read_proofs(document["proofs"].encode())
        token, stamped = document["timestamp"], document["stamped"]
        if manifest is not None and proofs is not None:
            return Plan(
                manifest=manifest,
                checkpoint=document["checkpoint"].encode(),
                export=document["export"].encode(),
                proofs=proofs,
                expired=tuple(line.encode() for line in document["expired"]),
                timestamp=None if token is None else b64decode(token),
                stamped=None if stamped is None else stamped.encode(),
                compress=document["compress"],
                seen=tuple(document["seen"]),
            )
    except (KeyError, AttributeError, TypeError, ValueError):
        pass
    raise PlanError("The plan of the half-done bundle cannot be read: remove it and begin anew.")


def exported_by(body: Mapping[str, Any], *, index: int) -> ExportedBy:
    """What the entry of an export says of it; `index` is its place in the tree that is exported."""
    return ExportedBy(
        index=index,
        seq=body["seq"],
        at=body["at"],
        by=body["by"],
        author=body["author"],
        approved_by=body.get("approved_by"),
        reason=body["reason"],
    )
