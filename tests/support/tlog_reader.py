"""A reader of tiled logs that knows C2SP tlog-tiles and RFC 6962, and nothing of ours.

It is told how to fetch a path and gives the log's size after everything that the checkpoint covers was fetched and
held against its root; it raises AssertionError for what does not fit.
"""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from hashlib import sha256

__all__ = ["Fetch", "path_of", "read_log"]

Fetch = Callable[[str], Awaitable[bytes | None]]


def path_of(kind: str, index: int, width: int = 256) -> str:
    """The path of a tile or bundle: `kind` is the level, or "entries"."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(f"x{group}" for group in groups[:-1]) + ("/" if len(groups) > 1 else "") + groups[-1]
    return f"tile/{kind}/{path}" + ("" if width == 256 else f".p/{width}")


async def read_log(fetch: Fetch, *, bodies: bool = True) -> int:
    """Fetch and check all of a log."""
    checkpoint = await fetch("checkpoint")
    assert checkpoint is not None
    _, size_line, root_line = checkpoint.decode().split("\n")[:3]
    size, root = int(size_line), b64decode(root_line)
    leaves: list[bytes] = []
    level, nodes = 0, size
    below: list[bytes] = []
    while nodes:
        hashes = []
        for index in range(-(-nodes // 256)):
            width = min(256, nodes - 256 * index)
            tile = await fetch(path_of(str(level), index, width))
            assert tile is not None, (level, index, width)
            assert len(tile) == 32 * width
            hashes += [tile[at : at + 32] for at in range(0, len(tile), 32)]
        if level == 0:
            leaves = hashes
        else:
            assert hashes == [_tree(below[at : at + 256]) for at in range(0, nodes * 256, 256)]
        below, level, nodes = hashes, level + 1, nodes // 256
    if bodies:
        assert [sha256(b"\x00" + body).digest() for body in await _bodies(fetch, size)] == leaves
    assert _tree(leaves) == root
    return size


async def _bodies(fetch: Fetch, size: int) -> list[bytes]:
    found = []
    for index in range(-(-size // 256)):
        width = min(256, size - 256 * index)
        bundle = await fetch(path_of("entries", index, width))
        assert bundle is not None, (index, width)
        for _ in range(width):
            length = int.from_bytes(bundle[:2], "big")
            found.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        assert not bundle
    return found


def _tree(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + _tree(leaves[:split]) + _tree(leaves[split:])).digest()
