"""A tree cut into tiles of 256 hashes, their paths, and bundles of entries, as in C2SP tlog-tiles.

A tile at level l and index n holds the nodes at height 8 * l from index 256 * n on. Its path:

    tile / <l> / x001/x234/067 [ .p/<width> ]          index 1,234,067 in groups of three digits;
    tile / entries / x001/x234/067 [ .p/<width> ]      .p/ only where it is narrower than 256

An entry bundle holds the entries below a level 0 tile, in order:

    +--------------+-------+--------------+-------+
    | uint16 big-  | bytes | uint16 big-  | bytes |  ...   `width` times
    | endian length|       | endian length|       |
    +--------------+-------+--------------+-------+

Formatting and parsing know exactly one spelling. Nothing here fetches, stores or compresses.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gatekeeper.transparency.hashing import HASH_SIZE, root_of, split_hashes
from gatekeeper.transparency.refusal import Refusal, Refused

__all__ = [
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "BundleCoordinates",
    "HashReader",
    "MissingTileError",
    "Tile",
    "TileCoordinates",
    "TileHashes",
    "bundle_path",
    "format_bundle",
    "node_hash_from_tiles",
    "parse_bundle",
    "parse_bundle_path",
    "parse_tile_path",
    "tile_coordinates",
    "tile_path",
]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT

_INDEX_AND_WIDTH: Final = r"(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
_TILE_PATH: Final = re.compile(rf"tile/(?P<level>[0-9]{{1,2}})/{_INDEX_AND_WIDTH}")
_BUNDLE_PATH: Final = re.compile(rf"tile/entries/{_INDEX_AND_WIDTH}")
_MAX_LEVEL: Final = 63
_MAX_ENTRY: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCoordinates:
    """Where a tile is, and how many of its 256 hashes it has."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Let no tile exist that has no path."""
        if not (0 <= self.level <= _MAX_LEVEL and self.index >= 0 and 1 <= self.width <= TILE_WIDTH):
            raise ValueError("A tile has a level from 0 to 63, an index from 0 and a width from 1 to 256.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tile with its hashes, joined."""

    level: int
    index: int
    width: int
    hashes: bytes

    def __post_init__(self) -> None:
        """Let no tile exist that has no path or is not as wide as it says."""
        if len(self.hashes) != self.coordinates.width * HASH_SIZE:
            raise ValueError("A tile has 32 bytes for each hash of its width.")

    @property
    def coordinates(self) -> TileCoordinates:
        """Where this tile is."""
        return TileCoordinates(level=self.level, index=self.index, width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleCoordinates:
    """Which entry bundle, and how many of its 256 entries it has."""

    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Let no bundle exist that has no path."""
        if not (self.index >= 0 and 1 <= self.width <= TILE_WIDTH):
            raise ValueError("An entry bundle has an index from 0 and a width from 1 to 256.")


def tile_coordinates(size: int) -> Iterator[TileCoordinates]:
    """Yield every tile, full and partial, of a tree of this size, level by level (tlog-tiles, Merkle Tree)."""
    for level in range(_MAX_LEVEL + 1):
        nodes = size >> level * TILE_HEIGHT
        if not nodes:
            return
        full, rest = divmod(nodes, TILE_WIDTH)
        for index in range(full):
            yield TileCoordinates(level=level, index=index)
        if rest:
            yield TileCoordinates(level=level, index=full, width=rest)


def tile_path(tile: TileCoordinates) -> str:
    """Return the path of a tile below the log's prefix."""
    return f"tile/{tile.level}/{_index_and_width(tile.index, tile.width)}"


def bundle_path(bundle: BundleCoordinates) -> str:
    """Return the path of an entry bundle below the log's prefix (tlog-tiles, Log entries)."""
    return f"tile/entries/{_index_and_width(bundle.index, bundle.width)}"


def parse_tile_path(path: str) -> TileCoordinates | Refused:
    """Read a path that `tile_path` has written, and no other."""
    found = _TILE_PATH.fullmatch(path)
    if found and (level := int(found["level"])) <= _MAX_LEVEL and (width := _width_of(found)):
        tile = TileCoordinates(level=level, index=_index_of(found), width=width)
        if tile_path(tile) == path:
            return tile
    return Refused(code=Refusal.TILE_PATH)


def parse_bundle_path(path: str) -> BundleCoordinates | Refused:
    """Read a path that `bundle_path` has written, and no other."""
    found = _BUNDLE_PATH.fullmatch(path)
    if found and (width := _width_of(found)):
        bundle = BundleCoordinates(index=_index_of(found), width=width)
        if bundle_path(bundle) == path:
            return bundle
    return Refused(code=Refusal.TILE_PATH)


def format_bundle(entries: Iterable[bytes]) -> bytes:
    """Join entries of at most 65,535 bytes each into a bundle. Raises ValueError for a longer one."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > _MAX_ENTRY:
            raise ValueError(f"An entry of {len(entry)} bytes does not fit a bundle.")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_bundle(bundle: bytes, *, width: int) -> tuple[bytes, ...] | Refused:
    """Cut a bundle into exactly `width` entries."""
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if max(start, at) > len(bundle):
            return Refused(code=Refusal.BUNDLE_TRUNCATED)
        entries.append(bundle[start:at])
    if at != len(bundle):
        return Refused(code=Refusal.BUNDLE_TRAILING_BYTES)
    return tuple(entries)


class HashReader(Protocol):
    """What a proof is made from: any node of the tree whose leaves are all there."""

    def node(self, height: int, index: int) -> bytes:
        """Return the hash over the leaves [index << height, (index + 1) << height)."""
        ...


class MissingTileError(LookupError):
    """A node was asked for that lies in a tile which is not at hand, or not wide enough."""


def node_hash_from_tiles(hashes_of: Callable[[int, int], bytes], height: int, index: int) -> bytes:
    """Return a node from the one tile that spans it; `hashes_of(level, index)` gives a tile's joined hashes, b"" if none."""
    level, inner = divmod(height, TILE_HEIGHT)
    tile, offset = divmod(index << inner, TILE_WIDTH)
    wanted = hashes_of(level, tile)[offset * HASH_SIZE : (offset + (1 << inner)) * HASH_SIZE]
    if len(wanted) != HASH_SIZE << inner:
        raise MissingTileError(f"Node {index} at height {height} is not in tile {tile} of level {level}.")
    return wanted if not inner else root_of(split_hashes(wanted))


class TileHashes:
    """A HashReader over tiles in memory, such as `tiles_for` in `proofs` lists. Of two at one place the wider counts."""

    __slots__ = ("_hashes",)

    def __init__(self, tiles: Iterable[Tile]) -> None:
        by_width = sorted(tiles, key=lambda tile: tile.width)
        self._hashes: Mapping[tuple[int, int], bytes] = {
            (tile.level, tile.index): tile.hashes for tile in by_width
        }

    def node(self, height: int, index: int) -> bytes:
        """Return a node; raises MissingTileError when its tile is not among those given."""
        return node_hash_from_tiles(lambda level, tile: self._hashes.get((level, tile), b""), height, index)


def _index_and_width(index: int, width: int) -> str:
    groups = f"{index:,}".split(",")
    groups[0] = groups[0].zfill(3)
    path = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def _index_of(found: re.Match[str]) -> int:
    return int(found["index"].replace("/", "").replace("x", ""))


def _width_of(found: re.Match[str]) -> int | None:
    """Return the width a path tells, or None for one that no partial tile has."""
    if found["width"] is None:
        return TILE_WIDTH
    width = int(found["width"])
    return width if width < TILE_WIDTH else None
