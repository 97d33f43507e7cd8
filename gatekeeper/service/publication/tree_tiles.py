"""Tiles and entry bundles of the trees of a site, from what is stored.

Only full tiles are stored. An incomplete one follows from what is below it:

    level 0     the leaf hashes of the bodies, and those that were kept of bodies that are gone
    level l     the roots of the full tiles at level l - 1

Every question is bounded: by the 256 bodies of a bundle, or by the tiles of one page.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gatekeeper.model.ids import SiteId
from gatekeeper.ports import StoredTrees
from gatekeeper.transparency import (
    HASH_SIZE,
    TILE_WIDTH,
    BundleCoordinates,
    TileCoordinates,
    format_bundle,
    leaf_hash,
    root_of,
)
from gatekeeper.transparency.hashing import split_hashes

__all__ = ["TreeTiles"]

_PAGE: Final = 16
_MOST_ROOTS: Final = 8192


class TreeTiles:
    """The tiles of a site's trees, as they are stored and as they follow from it. It believes the database."""

    def __init__(self, site: SiteId, stored: StoredTrees) -> None:
        self._site = site
        self._stored = stored
        self._roots: dict[tuple[str, int, int], bytes] = {}
        """Of full tiles, which never change; those asked for first are forgotten first."""

    async def tile(self, tree: str, at: TileCoordinates) -> bytes | None:
        """The hashes of a tile, joined, as wide as asked; None when what it is made of is not there."""
        found = await self._stored.tiles(self._site, tree, level=at.level, first=at.index, end=at.index + 1)
        if at.index in found:
            return found[at.index][: at.width * HASH_SIZE]
        if at.width == TILE_WIDTH:
            return None
        return await (self._roots_below(tree, at) if at.level else self._leaves(tree, at))

    async def bundle(self, tree: str, at: BundleCoordinates) -> bytes | None:
        """An entry bundle as wide as asked; None when not all of its bodies are there.

        Raises ValueError for a body that no bundle can hold, which no engine writes.
        """
        bodies = await self.bodies(tree, at.index * TILE_WIDTH, at.width)
        return None if bodies is None else format_bundle(bodies)

    async def bodies(self, tree: str, first: int, count: int) -> Sequence[bytes] | None:
        """So many bodies from a place on; None unless each of them is there, once."""
        found = await self._stored.bodies(self._site, tree, first=first, end=first + count)
        if [place for place, _ in found] != list(range(first, first + count)):
            return None
        return [body for _, body in found]

    async def _leaves(self, tree: str, at: TileCoordinates) -> bytes | None:
        first = at.index * TILE_WIDTH
        bodies = await self.bodies(tree, first, at.width)
        if bodies is not None:
            return b"".join(map(leaf_hash, bodies))
        start = (await self._stored.starts(self._site)).get(tree)
        if start is None or start.size // TILE_WIDTH != at.index:
            return None
        rest = await self.bodies(tree, start.size, max(0, first + at.width - start.size))
        return (
            None if rest is None else (start.hashes + b"".join(map(leaf_hash, rest)))[: at.width * HASH_SIZE]
        )

    async def _roots_below(self, tree: str, at: TileCoordinates) -> bytes | None:
        first = at.index * TILE_WIDTH
        end = first + at.width
        roots: list[bytes] = []
        for begin in range(first, end, _PAGE):
            page = await self._page_of_roots(tree, at.level - 1, begin, min(begin + _PAGE, end))
            if page is None:
                return None
            roots += page
        return b"".join(roots)

    async def _page_of_roots(self, tree: str, level: int, first: int, end: int) -> list[bytes] | None:
        known = [self._roots.get((tree, level, index)) for index in range(first, end)]
        if None not in known:
            return [root for root in known if root is not None]
        found = await self._stored.tiles(self._site, tree, level=level, first=first, end=end)
        if len(found) != end - first:
            return None
        for index, hashes in sorted(found.items()):
            self._remember((tree, level, index), root_of(split_hashes(hashes)))
            await asyncio.sleep(0)  # 255 hashes at a time: a scan waits no longer than for that
        return [self._roots[tree, level, index] for index in range(first, end)]

    def _remember(self, place: tuple[str, int, int], root: bytes) -> None:
        self._roots[place] = root
        if len(self._roots) > _MOST_ROOTS:
            del self._roots[next(iter(self._roots))]
