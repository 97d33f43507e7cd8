"""Bundles of a fort's log, written as the export writes them; and what a stranger finds in one with a few lines of Python."""

import hashlib
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from json import loads
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from cryptography.exceptions import InvalidTag

from gatekeeper.adapters.postgres import PostgresLeaves, PostgresStoredTrees
from gatekeeper.core.audit import timestamp
from gatekeeper.core.export import EVERYTHING, GAP_STARTS, Counts, Dialect, ExportedBy, Manifest, Selection
from gatekeeper.model.ids import HolderId
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import (
    Plan,
    expired_lines,
    extent,
    plan_document,
    proofs_of,
    read_plan,
)
from gatekeeper.service.export.source import SealedPart
from gatekeeper.service.export.writing import Opener, write_bundle
from gatekeeper.service.publication import TreeTiles
from tests.support.fort import KEYS, NOW, Fort

__all__ = ["leaves_of", "members_of", "opened_with", "planned", "root_over", "written"]


def opened_with(fort: Fort, keys: Mapping[HolderId, bytes] = KEYS) -> Opener:
    """Opens personal parts with these keys."""

    def opener(part: SealedPart) -> bytes | None:
        try:
            return open_personal(part.sealed, key=keys[part.person], site=fort.site, seq=part.seq)
        except (KeyError, InvalidTag):
            return None

    return opener


async def planned(
    fort: Fort,
    leaves: PostgresLeaves,
    *,
    tree: str,
    checkpoint: bytes = b"",
    since: datetime | None = None,
    until: datetime | None = None,
    selection: Selection = EVERYTHING,
    openings: bool = False,
    csv: Dialect | None = None,
    parquet: bool = False,
    earlier: Sequence[int] = (),
    key: str | None = None,
) -> Plan:
    """The plan of a bundle of the whole tree as it is now; its own entry is the tree's last."""
    grown = fort.pen.trees[tree]
    size = grown.size
    gone = await leaves.gone(tree)
    reach = await extent(leaves, tree, size=size, since=since, until=until, gone=gone)
    body = (await leaves.bodies(tree, size - 1, size)).joined
    manifest = Manifest(
        site=fort.site,
        tree=tree,
        size=size,
        root=grown.root(),
        range=reach.range,
        within=reach.within,
        since=since,
        until=until,
        selection=selection,
        openings=openings,
        csv=csv,
        parquet=parquet,
        export=ExportedBy(
            index=size - 1,
            seq=loads(body)["seq"],
            at=loads(body)["at"],
            by="army",
            author="auditor",
            approved_by=None,
            reason="yearly review",
        ),
        written=timestamp(NOW),
        program="gatekeeper test",
        key=key,
        expired=gone.expiry(reach.range[0]),
    )
    async with PostgresStoredTrees.opened(fort.dsn) as stored:
        tiles = TreeTiles(fort.site, stored)
        proofs = await proofs_of(tiles, tree, size=size, leaves=reach.range, export=size - 1, earlier=earlier)
        expired = await expired_lines(tiles, manifest)
    return Plan(manifest=manifest, checkpoint=checkpoint, export=body, proofs=proofs, expired=expired)


async def written(
    plan: Plan,
    leaves: PostgresLeaves,
    file: Path,
    *,
    opener: Opener | None = None,
    progress: Callable[[int], object] | None = None,
) -> Counts:
    """Write a bundle, or go on with it."""
    partial = Partial.resumed(file) if Partial.is_begun(file) else Partial.begun(file, plan_document(plan))
    with partial:
        return await write_bundle(partial, read_plan(partial.plan), leaves, opener=opener, progress=progress)


def members_of(file: Path) -> dict[str, bytes]:
    """All members of a bundle."""
    with ZipFile(file) as read:
        assert read.testzip() is None
        return {name: read.read(name) for name in read.namelist()}


def leaves_of(members: Mapping[str, bytes]) -> list[Any]:
    """The lines of all segments: entries as bytes, gaps as documents."""
    joined = b"".join(content for name, content in sorted(members.items()) if name.startswith("entries/"))
    lines = joined.split(b"\n")
    assert lines.pop() == b""
    return [loads(line) if line.startswith(GAP_STARTS) else line for line in lines]


def root_over(lines: Sequence[Any]) -> bytes:
    """The root over all leaves of a tree, given or withheld, by the definition of RFC 6962 and nothing else."""
    known: list[tuple[int, bytes]] = []
    for line in lines:
        if isinstance(line, bytes):
            known.append((1, hashlib.sha256(b"\0" + line).digest()))
            continue
        low, high = line.get("withheld") or line["expired"]
        for one in line["hashes"]:
            width = min((low & -low) or 1 << 62, 1 << (high - low).bit_length() - 1)
            known.append((width, b64decode(one)))
            low += width
        assert low == high

    def over(first: int, parts: list[tuple[int, bytes]]) -> bytes:
        if len(parts) == 1:
            return parts[0][1]
        total = sum(width for width, _ in parts)
        middle = 1 << (total - 1).bit_length() - 1
        at = run = 0
        while run < middle:
            run += parts[at][0]
            at += 1
        assert run == middle
        return hashlib.sha256(b"\1" + over(first, parts[:at]) + over(first + middle, parts[at:])).digest()

    return over(0, known)
