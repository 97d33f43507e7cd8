"""The append-only tree of RFC 6962: its growing right edge, and no more than that.

A tree of a million leaves is held as at most 20 peaks (for the root) and the incomplete rightmost tile of each level (for
the next complete tile), some 10 KiB. Complete tiles leave it as they fill up: whoever appends stores them. The state is
rebuilt after a restart from the size and the incomplete tiles alone.

It deliberately does not read tiles back, prove anything, or store anything. Proofs are made from tiles, in `proofs`.
"""

from collections.abc import Sequence
from typing import Final, Self

from gatekeeper.transparency.hashing import (
    EMPTY_ROOT,
    HASH_SIZE,
    are_hashes,
    climb,
    fold,
    leaf_hash,
    node_hash,
    root_of,
    split_hashes,
)
from gatekeeper.transparency.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

__all__ = ["EMPTY_ROOT", "HASH_SIZE", "EdgeError", "Tree", "leaf_hash", "node_hash", "root_of"]

_FULL: Final = TILE_WIDTH * HASH_SIZE


class EdgeError(ValueError):
    """The stored right edge of a tree does not fit its size."""


class Tree:
    """The right edge of one append-only tree.

    To try an append and be free to abandon it, append to a `copy()`: that shares all hashes and costs under a microsecond.
    """

    # INVARIANT: peaks[h] is set exactly where bit h of size is, and edge[l] holds (size >> 8 * l) % 256 hashes.
    __slots__ = ("_edge", "_peaks", "_size")

    def __init__(self, size: int, edge: list[bytes], peaks: list[bytes]) -> None:
        self._size = size
        self._edge = edge
        self._peaks = peaks

    @classmethod
    def empty(cls) -> Self:
        """Return the tree without leaves."""
        return cls(0, [], [])

    @classmethod
    def resume(cls, size: int, edge: Sequence[bytes]) -> Self:
        """Rebuild a tree from what its `size` and `edge` were. Raises EdgeError when they do not fit each other."""
        widths = _edge_widths(size)
        if size < 0 or [len(tile) for tile in edge] != [width * HASH_SIZE for width in widths]:
            raise EdgeError(
                f"A tree of size {size} has incomplete tiles of the widths {widths}; others are stored."
            )
        peaks: list[bytes] = []
        for level, tile in enumerate(edge):
            base = level * TILE_HEIGHT
            peaks.extend([b""] * (base - len(peaks)))
            climb(peaks, split_hashes(tile), base, base + TILE_HEIGHT)
        return cls(size, list(edge), peaks)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def edge(self) -> tuple[bytes, ...]:
        """The joined hashes of the incomplete rightmost tile of each level, lowest level first; b"" where it is empty."""
        return tuple(self._edge)

    def copy(self) -> Self:
        """Return a tree that can grow on its own."""
        return type(self)(self._size, self._edge.copy(), self._peaks.copy())

    def root(self) -> bytes:
        """Return the root over all leaves (RFC 6962, section 2.1)."""
        return fold(self._peaks)

    def append(self, leaf_hashes: Sequence[bytes]) -> list[Tile]:
        """Add leaves at the right; return the tiles this has completed, level by level."""
        if not are_hashes(leaf_hashes):
            raise ValueError("A leaf hash is 32 bytes long.")
        completed: list[Tile] = []
        nodes, level = leaf_hashes, 0
        while nodes:
            self._extend_tile(level, nodes, completed)
            nodes = climb(self._peaks, nodes, level * TILE_HEIGHT, (level + 1) * TILE_HEIGHT)
            level += 1
        self._size += len(leaf_hashes)
        return completed

    def partial_tiles(self) -> list[Tile]:
        """Return the incomplete tiles that a reader of the tree at this size needs (C2SP tlog-tiles, Partial Tiles)."""
        return [
            Tile(
                level=level,
                index=self._size >> TILE_HEIGHT * (level + 1),
                width=len(hashes) // HASH_SIZE,
                hashes=hashes,
            )
            for level, hashes in enumerate(self._edge)
            if hashes
        ]

    def _extend_tile(self, level: int, nodes: Sequence[bytes], completed: list[Tile]) -> None:
        if level == len(self._edge):
            self._edge.append(b"")
        hashes = self._edge[level] + b"".join(nodes)
        first = self._size >> TILE_HEIGHT * (level + 1)
        whole = len(hashes) // _FULL
        for nth in range(whole):
            tile = hashes[nth * _FULL : (nth + 1) * _FULL]
            completed.append(Tile(level=level, index=first + nth, width=TILE_WIDTH, hashes=tile))
        self._edge[level] = hashes[whole * _FULL :]


def _edge_widths(size: int) -> list[int]:
    widths = []
    while size > 0:
        widths.append(size % TILE_WIDTH)
        size >>= TILE_HEIGHT
    return widths
