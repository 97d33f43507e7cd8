"""The definitions of RFC 6962, section 2.1, written down as recursions: slow, plain, and sharing nothing with the product."""

from collections.abc import Sequence
from hashlib import sha256


def leaves(count: int) -> list[bytes]:
    """Return the leaf hashes of a log that counts."""
    return [sha256(b"\x00" + str(n).encode()).digest() for n in range(count)]


def naive_root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    cut = _cut(len(hashes))
    return sha256(b"\x01" + naive_root(hashes[:cut]) + naive_root(hashes[cut:])).digest()


def naive_inclusion(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    cut = _cut(len(hashes))
    if index < cut:
        return [*naive_inclusion(index, hashes[:cut]), naive_root(hashes[cut:])]
    return [*naive_inclusion(index - cut, hashes[cut:]), naive_root(hashes[:cut])]


def naive_consistency(old: int, hashes: Sequence[bytes], *, complete: bool = True) -> list[bytes]:
    if old == len(hashes):
        return [] if complete else [naive_root(hashes)]
    cut = _cut(len(hashes))
    if old <= cut:
        return [*naive_consistency(old, hashes[:cut], complete=complete), naive_root(hashes[cut:])]
    return [*naive_consistency(old - cut, hashes[cut:], complete=False), naive_root(hashes[:cut])]


class Leaves:
    """A HashReader that knows every leaf."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._hashes = hashes

    def node(self, height: int, index: int) -> bytes:
        found = self._hashes[index << height : (index + 1) << height]
        assert len(found) == 1 << height, "a proof asked for a node that the tree does not have"
        return naive_root(found)


def flipped(hashed: bytes, bit: int) -> bytes:
    """Return the bytes with one bit changed."""
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(hashed))


def _cut(count: int) -> int:
    cut = 1
    while cut * 2 < count:
        cut *= 2
    return cut
