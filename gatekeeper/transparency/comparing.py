r"""A tree held against what is stored of it, bundle by bundle: what its bodies make of it, and where that is something else.

    bodies --hashed--> tile at level 0 --root--> a hash of the tile above ...  root of a checkpoint, of the head
        \__ compared ___/         \_________ compared _________/       \______________ compared ____________/

The tree grows from the bodies; where one is missing its hash is taken from the tile, so that one place that was altered
does not make all that follows uncheckable. What is stored is read by the caller; nothing here waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from gatekeeper.transparency.hashing import leaf_hash, split_hashes
from gatekeeper.transparency.merkle import Tree
from gatekeeper.transparency.tiles import TILE_WIDTH, Tile

__all__ = ["Comparison", "Mismatch", "Part"]

_MOST_ENTRIES: Final = 8
"""Where more entries of a bundle do not fit, it is their tile that is told."""


class Part(StrEnum):
    """What of a tree is not what it must be."""

    ENTRY = "entry"
    TILE = "tile"
    CHECKPOINT = "checkpoint"
    HEAD = "head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A place of a tree at which what is stored is not what belongs there.

    `index` is the leaf's, the tile's within its level, or the size at which a checkpoint or a head stands.
    """

    part: Part
    index: int
    level: int = 0


class Comparison:
    """One tree, from its first leaf on. To try a step and be free to abandon it, take it on a `copy()`."""

    __slots__ = ("_is_borne_out", "tree")

    def __init__(self, tree: Tree, *, is_borne_out: bool = True) -> None:
        self.tree = tree
        self._is_borne_out = is_borne_out

    @classmethod
    def begun(cls) -> Self:
        """Stand before the first leaf."""
        return cls(Tree.empty())

    def copy(self) -> Self:
        """Return a comparison that goes on by itself."""
        return type(self)(self.tree.copy(), is_borne_out=self._is_borne_out)

    def leaves(
        self, bodies: Iterable[tuple[int, bytes]], *, until: int, tile: bytes | None, start: int = 0
    ) -> tuple[Sequence[bytes], Sequence[Mismatch]]:
        """The hashes of the leaves from here to `until`, which end in one bundle, and what does not fit among them.

        Bodies before `start` may be gone; `tile` says what they were, and may be as narrow as they are many. There are
        fewer hashes when a body is missing and nothing says what it was: nothing leads on from there.
        """
        places = range(self.tree.size, until)
        made = _hashes(bodies)
        stored = dict(zip(places, split_hashes(tile), strict=False)) if tile is not None else {}
        wrong = [
            place
            for place in places
            if (
                made[place] != stored.get(place, made[place])
                if made.get(place)
                else place >= start or place in made
            )
        ]
        known = [made.get(place) or stored.get(place) for place in places]
        end = known.index(None) if None in known else len(known)
        return [one for one in known[:end] if one is not None], _told(wrong)

    def grow(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Put leaves behind the last; return the tiles that are complete with them."""
        return self.tree.append(leaves)

    def tiles(
        self, made: Iterable[Tile], stored: Mapping[tuple[int, int], bytes | None]
    ) -> Sequence[Mismatch]:
        """The tiles that are not stored, by level and index, as the leaves make them."""
        return [
            Mismatch(part=Part.TILE, level=tile.level, index=tile.index)
            for tile in made
            if stored.get((tile.level, tile.index)) != tile.hashes
        ]

    def root(self, part: Part, root: bytes) -> Sequence[Mismatch]:
        """What does not fit of a root at the size that the tree has now: of a tree the first, which says it all."""
        if not self._is_borne_out or self.tree.root() == root:
            return []
        self._is_borne_out = False
        return [Mismatch(part=part, index=self.tree.size)]


def _hashes(bodies: Iterable[tuple[int, bytes]]) -> dict[int, bytes | None]:
    """The hash at each place; None where two bodies stand."""
    found: dict[int, bytes | None] = {}
    for place, body in bodies:
        found[place] = None if place in found else leaf_hash(body)
    return found


def _told(places: Sequence[int]) -> Sequence[Mismatch]:
    if len(places) > _MOST_ENTRIES:
        return [Mismatch(part=Part.TILE, index=places[0] // TILE_WIDTH)]
    return [Mismatch(part=Part.ENTRY, index=place) for place in places]
