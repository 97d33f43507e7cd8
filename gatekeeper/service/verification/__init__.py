"""Verifying a log: every body is hashed anew, every tree rebuilt, every checkpoint compared.

Nothing that the database says of itself is believed: not its heads, not its tiles, not its indexes. What is trusted is
the log's public key, and a checkpoint that the verifier saw before, when there is one. `Report.unchecked` says what
could not be looked at, so that silence is never taken for proof.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag

from gatekeeper.core.audit import SITE_TREE, canonical_json, commitment
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import StoredEntry
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.transparency import Refused, Tile, Tree, Verifier, leaf_hash, open_checkpoint

__all__ = ["Claimed", "Report", "SavedCheckpoint", "verify_log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint kept outside the database: where it was, and what it said."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What the database says of its trees: heads, full tiles, and signed checkpoints (tree, size, root, note)."""

    heads: Mapping[str, tuple[int, bytes]]
    tiles: Mapping[tuple[str, int, int], bytes]
    checkpoints: Sequence[tuple[str, int, bytes, bytes]]


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found. Valid only when there is no problem."""

    entries: int = 0
    root: bytes = b""
    trees: int = 0
    checkpoints: int = 0
    personal_opened: int = 0
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether everything that was looked at is as it must be."""
        return not self.problems


class _Rebuilding:
    """The trees as they grow again from the bodies."""

    def __init__(
        self, site: SiteId, claimed: Claimed, saved: Sequence[SavedCheckpoint], report: Report
    ) -> None:
        self._site = site
        self._claimed = claimed
        self._report = report
        self.trees: dict[str, Tree] = {SITE_TREE: Tree.empty()}
        self._wanted: dict[tuple[str, int], list[tuple[str, bytes]]] = {}
        for tree, size, root, _ in claimed.checkpoints:
            self._wanted.setdefault((tree, size), []).append(("the signed checkpoint", root))
        for checkpoint in saved:
            wanted = self._wanted.setdefault((SITE_TREE, checkpoint.size), [])
            wanted.append(("the checkpoint saved earlier", checkpoint.root))

    def add(self, entry: StoredEntry, body: Mapping[str, Any]) -> None:
        seq = self.trees[SITE_TREE].size
        if entry.seq != seq or body.get("seq") != seq:
            self._report.problems.append(f"entry {entry.seq} stands where entry {seq} belongs")
        places = body.get("trees")
        if not isinstance(places, dict) or places.get(SITE_TREE) != seq:
            self._report.problems.append(f"entry {entry.seq} does not name its own place in the site's tree")
            places = {SITE_TREE: seq}
        leaf = leaf_hash(entry.body)
        for name, index in places.items():
            tree = self.trees.setdefault(name, Tree.empty())
            if tree.size != index:
                self._report.problems.append(
                    f"entry {entry.seq} claims place {index} of {name}, which is at {tree.size}"
                )
            self._hold_tiles(name, tree.append([leaf]))
            self._hold_checkpoint(name, tree)

    def finish(self) -> None:
        for name, (size, root) in self._claimed.heads.items():
            tree = self.trees.get(name, Tree.empty())
            if (tree.size, tree.root()) != (size, root):
                self._report.problems.append(
                    f"the head of {name} says {size} entries; the bodies make {tree.size}, or another root"
                )
        for (name, size), wanted in self._wanted.items():
            for what, _ in wanted:
                self._report.problems.append(
                    f"{what} of {name} at {size} entries is beyond the end of the log"
                )

    def _hold_tiles(self, name: str, tiles: Sequence[Tile]) -> None:
        for tile in tiles:
            stored = self._claimed.tiles.get((name, tile.level, tile.index))
            if stored != tile.hashes:
                self._report.problems.append(
                    f"tile {tile.level}/{tile.index} of {name} is missing or altered"
                )

    def _hold_checkpoint(self, name: str, tree: Tree) -> None:
        for what, root in self._wanted.pop((name, tree.size), ()):
            if tree.root() != root:
                self._report.problems.append(
                    f"{what} of {name} at {tree.size} entries has another root: the log was rewritten"
                )


async def verify_log(
    site: SiteId,
    entries: AsyncIterator[StoredEntry],
    *,
    claimed: Claimed,
    saved: Sequence[SavedCheckpoint],
    verifiers: Mapping[str, Sequence[Verifier]],
    keys: Mapping[HolderId, bytes] | None,
    progress: Any = None,
) -> Report:
    """Verify a site's log from its bodies. `keys` open personal parts, where the verifier may; None leaves them closed."""
    report = Report()
    _hold_notes(claimed, verifiers, report)
    rebuilding = _Rebuilding(site, claimed, saved, report)
    async for entry in entries:
        body = _body(entry, site, report)
        rebuilding.add(entry, body)
        _hold_personal(entry, body, site, keys, report)
        report.entries += 1
        if progress is not None:
            progress(report.entries)
    rebuilding.finish()
    report.root = rebuilding.trees[SITE_TREE].root()
    report.trees = len(rebuilding.trees)
    if not saved:
        report.unchecked.append("that the log was not rewritten whole: no checkpoint saved earlier was given")
    if keys is None:
        report.unchecked.append("that personal parts match their commitments: no keys were given")
    return report


def _body(entry: StoredEntry, site: SiteId, report: Report) -> Mapping[str, Any]:
    try:
        body = json.loads(entry.body)
    except ValueError:
        report.problems.append(f"entry {entry.seq} is no JSON")
        return {}
    if not isinstance(body, dict) or canonical_json(body) != entry.body:
        report.problems.append(f"entry {entry.seq} is not in its canonical form")
    elif body.get("site") != site:
        report.problems.append(f"entry {entry.seq} belongs to another site")
    elif body.get("kind") != entry.kind:
        report.problems.append(f"entry {entry.seq} is filed as {entry.kind}, but says otherwise")
    return body if isinstance(body, dict) else {}


def _hold_notes(claimed: Claimed, verifiers: Mapping[str, Sequence[Verifier]], report: Report) -> None:
    for tree, size, root, note in claimed.checkpoints:
        opened = open_checkpoint(note, verifiers.get(tree, ()))
        if isinstance(opened, Refused):
            report.problems.append(
                f"the checkpoint of {tree} at {size} is not signed by the log's key: {opened.code}"
            )
        elif (opened.checkpoint.size, opened.checkpoint.root) != (size, root):
            report.problems.append(f"the checkpoint of {tree} at {size} says something else than its row")
        else:
            report.checkpoints += 1


def _hold_personal(
    entry: StoredEntry,
    body: Mapping[str, Any],
    site: SiteId,
    keys: Mapping[HolderId, bytes] | None,
    report: Report,
) -> None:
    committed = body.get("personal")
    if (committed is None) != (entry.personal is None):
        report.problems.append(f"entry {entry.seq} and its personal part do not go together")
    if keys is None or entry.personal is None or entry.person is None:
        return
    key = keys.get(entry.person)
    if key is None:
        return  # forgotten: the proof stands without it
    try:
        plaintext = open_personal(entry.personal, key=key, site=site, seq=entry.seq)
    except InvalidTag:
        report.problems.append(f"the personal part of entry {entry.seq} is altered or another's")
        return
    if commitment(plaintext) != committed:
        report.problems.append(f"the personal part of entry {entry.seq} is not the one committed to")
    report.personal_opened += 1
