"""The trees of a log as they grow again from the bodies, held against tiles, heads and checkpoints as they pass."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.service.auditor import Fault, Seen
from gatekeeper.service.verification.claims import (
    Claimed,
    FiledEntry,
    Report,
    SignedHead,
    WrongHead,
    WrongTile,
)
from gatekeeper.service.verification.deletions import Deletions
from gatekeeper.service.words import counted, shown
from gatekeeper.transparency import EMPTY_ROOT, HASH_SIZE, TILE_WIDTH, Tile, Tree, leaf_hash

__all__ = ["Rebuilding"]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What some checkpoint says the root is at a size; `seen` when the verifier brought it."""

    what: str
    root: bytes
    seen: Seen | None = None


class Rebuilding:
    """Rebuilds every tree; what does not fit becomes a problem of the report.

    `signed` are the checkpoints that the log's key signed, by tree and size; `seen` those that the verifier brought, by tree.
    """

    def __init__(
        self,
        claimed: Claimed,
        *,
        signed: Mapping[tuple[str, int], SignedHead],
        seen: Mapping[str, Sequence[Seen]],
        deletions: Deletions,
        report: Report,
    ) -> None:
        self._claimed = claimed
        self._deletions = deletions
        self._report = report
        self._signed = signed
        self._borne_out: set[tuple[str, int]] = set()
        self._trees: dict[str, Tree] = {SITE_TREE: Tree.empty()}
        self._tiles_passed: set[tuple[str, int, int]] = set()
        self._personal_parts = 0
        self._wanted: dict[tuple[str, int], list[_Wanted]] = {}
        for tree, size, root, _ in claimed.checkpoints:
            what = "cosigned" if (tree, size) in claimed.cosignatures else "signed"
            self._want(tree, size, _Wanted(f"the {what} checkpoint of {shown(tree)} at {size} entries", root))
        for tree, several in seen.items():
            for one in several:
                what = f"the checkpoint of {shown(tree)} at {one.size} entries in {one.where}"
                self._want(tree, one.size, _Wanted(what, one.root, one))
        for name in {name for name, size in self._wanted if size == 0}:
            self._hold_checkpoints(name, 0, lambda: EMPTY_ROOT)
        for name, (size, hashes) in claimed.starts.items():
            self._grow_again(name, size, hashes)

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many entries the bodies make, by tree."""
        return {name: tree.size for name, tree in self._trees.items()}

    @property
    def borne_out(self) -> Collection[tuple[str, int]]:
        """The signed checkpoints that the bodies bear out, by tree and size."""
        return self._borne_out

    def _grow_again(self, name: str, size: int, kept: bytes) -> None:
        """Let a tree grow from the leaf hashes of bodies that are gone: from full tiles, and what was kept beside them."""
        tree = self._trees.setdefault(name, Tree.empty())
        for index in range(size // TILE_WIDTH):
            hashes = self._claimed.tiles.get((name, 0, index))
            if hashes is None:
                self._problem(f"tile 0/{index} of {shown(name)} is missing, and its bodies are deleted")
                return
            self._take_leaves(name, tree, hashes)
        if len(kept) != size % TILE_WIDTH * HASH_SIZE:
            self._problem(f"the hashes that were kept of {shown(name)} are not those of {size} entries")
            return
        self._take_leaves(name, tree, kept)

    def _take_leaves(self, name: str, tree: Tree, hashes: bytes) -> None:
        for at in range(0, len(hashes), HASH_SIZE):
            leaf = hashes[at : at + HASH_SIZE]
            if name == SITE_TREE:
                self._deletions.leaf(tree.size, leaf)
            self._take_leaf(name, tree, leaf)

    def _take_leaf(self, name: str, tree: Tree, leaf: bytes) -> None:
        self._pass_tiles(name, tree.append([leaf]))
        self._hold_checkpoints(name, tree.size, tree.root)

    def add(self, filed: FiledEntry, body: Mapping[str, Any] | None) -> None:
        """Put an entry behind those before it, in the trees that its body names; None when the body is unreadable."""
        entry, seq = filed.entry, self._trees[SITE_TREE].size
        if entry.seq != seq:
            self._problem(f"entry {entry.seq} stands where entry {seq} belongs")
        self._personal_parts += entry.personal is not None
        leaf = leaf_hash(entry.body)
        for name, index in self._places(filed, body).items():
            tree = self._trees.setdefault(name, Tree.empty())
            if not _is(index, tree.size) and (name != SITE_TREE or index != entry.seq):
                self._problem(
                    f"entry {entry.seq} claims place {shown(index)} of {shown(name)}, which is at {tree.size}"
                )
            self._take_leaf(name, tree, leaf)
        self._report.entries += 1

    def finish(self) -> None:
        """Hold the ends of the trees against what is claimed of them, and name what belongs to nothing."""
        self._hold_heads()
        for name, level, index in sorted(self._claimed.tiles.keys() - self._tiles_passed):
            self._problem(f"tile {level}/{index} of {shown(name)} belongs to no full part of that tree")
            self._wrong_tile(name, level, index, None)
        for several in self._wanted.values():
            for wanted in several:
                self._contradicts(f"{wanted.what} is beyond the end of the log")
        beyond = self._claimed.entries - self._report.entries
        if beyond > 0:
            self._problem(
                f"{counted(beyond, 'entry lies', 'entries lie')} beyond the head of the log, or twice in one place"
            )
        strays = self._claimed.personal_parts - self._personal_parts
        if strays > 0:
            self._problem(
                f"{counted(strays, 'personal part belongs', 'personal parts belong')} to no entry of the log"
            )
        site = self._trees[SITE_TREE]
        self._report.root, self._report.trees = site.root(), len(self._trees)

    def _places(self, filed: FiledEntry, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        entry = filed.entry
        as_filed = {SITE_TREE: entry.seq, **dict(filed.places)}
        if body is None:
            return as_filed
        if not _is(body.get("seq"), entry.seq):
            self._problem(f"entry {entry.seq} says of itself that it is entry {shown(body.get('seq'))}")
        places = body.get("trees")
        if not isinstance(places, dict) or SITE_TREE not in places:
            self._problem(f"entry {entry.seq} does not name its place in the site's tree")
            return as_filed
        if places != as_filed:
            self._problem(f"entry {entry.seq} is filed in {_listed(as_filed)}, but says {_listed(places)}")
        return places

    def _hold_heads(self) -> None:
        heads = self._claimed.heads
        for name, (size, root) in heads.items():
            tree = self._trees.get(name, Tree.empty())
            if tree.size != size:
                self._wrong_head(name, f"says {size} entries; the bodies make {tree.size}")
            elif tree.root() != root:
                self._wrong_head(name, f"at {size} entries has another root than the bodies")
        for name, tree in self._trees.items():
            if tree.size and name not in heads:
                self._wrong_head(name, f"is missing; the bodies make {tree.size} entries")

    def _pass_tiles(self, name: str, tiles: Sequence[Tile]) -> None:
        for tile in tiles:
            place = (name, tile.level, tile.index)
            self._tiles_passed.add(place)
            if self._claimed.tiles.get(place) != tile.hashes:
                self._problem(f"tile {tile.level}/{tile.index} of {shown(name)} is missing or altered")
                self._wrong_tile(name, tile.level, tile.index, tile.hashes)

    def _hold_checkpoints(self, name: str, size: int, root: Callable[[], bytes]) -> None:
        for wanted in self._wanted.pop((name, size), ()):
            if root() != wanted.root:
                self._contradicts(f"{wanted.what} has another root: the log was rewritten")
            elif wanted.seen is not None:
                self._report.consistent_with.append(wanted.seen)
            elif (name, size) in self._signed:
                self._borne_out.add((name, size))
                self._report.newest[name] = self._signed[name, size]

    def _wrong_tile(self, name: str, level: int, index: int, hashes: bytes | None) -> None:
        self._report.wrong_tiles.append(WrongTile(tree=name, level=level, index=index, hashes=hashes))

    def _wrong_head(self, name: str, text: str) -> None:
        self._problem(f"the head of {shown(name)} {text}")
        tree = self._trees.get(name)
        root = None if tree is None else tree.root()
        self._report.wrong_heads.append(
            WrongHead(tree=name, size=0 if tree is None else tree.size, root=root)
        )

    def _want(self, tree: str, size: int, wanted: "_Wanted") -> None:
        self._wanted.setdefault((tree, size), []).append(wanted)

    def _contradicts(self, detail: str) -> None:
        self._report.found(Fault.CHECKPOINT_FORK, detail)

    def _problem(self, text: str) -> None:
        self._report.problems.append(text)


def _is(value: object, number: int) -> bool:
    """Whether something is this number, and not what merely equals it in Python."""
    return type(value) is int and value == number


def _listed(places: Mapping[str, Any]) -> str:
    return ", ".join(f"{shown(name)} {shown(index)}" for name, index in sorted(places.items())[:4])
