"""The hashes of RFC 6962, and the one loop that pairs them: everything else in this package is bookkeeping.

A *node* at height h and index i is the hash over the leaves [i << h, (i + 1) << h). *Peaks* are the nodes that make up a
tree of some size, at most one at each height; with n leaves there is a peak at height h exactly where bit h of n is set.

    height 2        x           a tree of 7 leaves: peaks at the heights 2, 1 and 0,
    height 1      o   o   x     marked x, kept as a list by height (b"" where there is none)
    height 0     o o o o o o x

Hashes are plain 32-byte strings. Nothing here checks widths: the callers do, at their edge.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "are_hashes",
    "climb",
    "fold",
    "leaf_hash",
    "node_hash",
    "root_of",
    "split_hashes",
]

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

_NO_PEAK: Final = b""
_TOP: Final = 64
_WIDTHS: Final = frozenset({HASH_SIZE})


def leaf_hash(data: bytes) -> bytes:
    """Hash one entry (RFC 6962, section 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into their parent (RFC 6962, section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes, the Merkle Tree Hash of RFC 6962, section 2.1."""
    peaks: list[bytes] = []
    climb(peaks, list(leaf_hashes), 0, _TOP)
    return fold(peaks)


def are_hashes(found: Iterable[bytes]) -> bool:
    """Tell whether each is as wide as a hash is."""
    return _WIDTHS.issuperset(map(len, found))


def split_hashes(joined: bytes) -> list[bytes]:
    """Cut joined hashes into single ones."""
    return [joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE)]


def climb(peaks: list[bytes], nodes: Sequence[bytes], height: int, top: int) -> Sequence[bytes]:
    """Add consecutive nodes at a height to the right of the peaks; return the new nodes at `top`, not yet added there.

    Works through one height after the other, which costs one SHA-256 per pair and little else.
    """
    while nodes and height < top:
        if height == len(peaks):
            peaks.append(_NO_PEAK)
        peak = peaks[height]
        if len(nodes) == 1 and not peak:  # where most climbs end
            peaks[height] = nodes[0]
            return []
        if peak:
            nodes = [peak, *nodes]
        peaks[height] = nodes[-1] if len(nodes) & 1 else _NO_PEAK
        nodes = _parents(nodes)
        height += 1
    return nodes


def _parents(nodes: Sequence[bytes]) -> Sequence[bytes]:
    if len(nodes) == 2:  # spares a quiet log's single leaves the cost of slicing
        return [node_hash(*nodes)]
    # An odd last node has become a peak: zip leaves it out.
    pairs = zip(nodes[::2], nodes[1::2], strict=False)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]


def fold(peaks: Iterable[bytes], tail: bytes = b"") -> bytes:
    """Return the root over peaks, lowest first, and over a `tail` to the right of them all."""
    for peak in peaks:
        if peak:
            tail = node_hash(peak, tail) if tail else peak
    return tail or EMPTY_ROOT
