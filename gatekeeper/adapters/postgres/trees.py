"""The trees of a site's log, for those who make proofs and exports: leaves in large pieces, tiles full and incomplete.

Full tiles are stored. An incomplete one is made of what lies below it: bodies for the lowest level, full tiles above.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from gatekeeper.adapters.postgres.connection import FAILURES, connect
from gatekeeper.adapters.sql import Queries
from gatekeeper.core.audit import SITE_TREE, TENANT_TREE_PREFIX
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import LedgerUnavailableError
from gatekeeper.service.export.source import Bodies, Bounds, SealedPart
from gatekeeper.transparency import HASH_SIZE, TILE_WIDTH, Tile, TileCoordinates, leaf_hash, root_of
from gatekeeper.transparency.hashing import split_hashes

__all__ = ["PostgresTrees"]

_queries = Queries("gatekeeper.adapters.postgres", "trees")


class PostgresTrees:
    """The trees of one site, read over a few connections at once."""

    def __init__(self, site: SiteId, connections: Sequence[Any]) -> None:
        self._site = site
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str, site: SiteId, *, connections: int = 2) -> AsyncIterator["PostgresTrees"]:
        """Read a site's trees for the length of a block. Raises LedgerUnavailableError when there is no reading them."""
        lines: list[Any] = []
        try:
            for _ in range(connections):
                lines.append(await connect(dsn))  # noqa: PERF401 - those that opened are closed when the next fails
            yield cls(site, lines)
        except FAILURES as error:
            raise LedgerUnavailableError("The database does not answer.") from error
        except asyncpg.PostgresError as error:
            raise LedgerUnavailableError(f"The database cannot be read: {error}.") from error
        finally:
            for line in lines:
                line.terminate()

    async def bodies(self, tree: str, start: int, end: int) -> Bodies:
        """The bodies of leaves [start, end), in order; fewer when some were deleted."""
        if tree == SITE_TREE:
            (row,) = await self._fetch(_queries.site_bodies, start, end)
        else:
            (row,) = await self._fetch(_queries.tenant_bodies, _tenant(tree), start, end)
        return Bodies(row["leaves"], row["bodies"] or b"")

    async def parts(self, tree: str, start: int, end: int) -> Sequence[SealedPart]:
        """The personal parts that are kept of leaves [start, end), in order."""
        if tree == SITE_TREE:
            rows = await self._fetch(_queries.site_parts, start, end)
        else:
            rows = await self._fetch(_queries.tenant_parts, _tenant(tree), start, end)
        return [SealedPart(*row) for row in rows]

    async def bounds(self, tree: str, *, size: int, since: datetime, until: datetime) -> Bounds:
        """Which leaves below `size` were committed within [since, until)."""
        if tree == SITE_TREE:
            (row,) = await self._fetch(_queries.site_bounds, size, since, until)
        else:
            (row,) = await self._fetch(_queries.tenant_bounds, _tenant(tree), size, since, until)
        return Bounds(*row)

    async def tiles(self, tree: str, wanted: Collection[TileCoordinates]) -> Sequence[Tile]:
        """These tiles, as wide as they were asked for. Raises LedgerUnavailableError when one cannot be made."""
        return [await self._tile(tree, tile) for tile in wanted]

    async def _tile(self, tree: str, wanted: TileCoordinates) -> Tile:
        stored = await self._stored(tree, wanted.level, wanted.index, wanted.index + 1)
        hashes = stored[0][: wanted.width * HASH_SIZE] if stored else await self._made(tree, wanted)
        if len(hashes) != wanted.width * HASH_SIZE:
            raise LedgerUnavailableError(
                f"Tile {wanted.level}/{wanted.index} of {tree} is not there: gatekeeper audit verify says what is wrong."
            )
        return Tile(level=wanted.level, index=wanted.index, width=wanted.width, hashes=hashes)

    async def _made(self, tree: str, wanted: TileCoordinates) -> bytes:
        start = wanted.index * TILE_WIDTH
        if wanted.level == 0:
            found = await self.bodies(tree, start, start + wanted.width)
            return b"".join(map(leaf_hash, found.joined.split(b"\n"))) if found.leaves else b""
        below = await self._stored(tree, wanted.level - 1, start, start + wanted.width)
        return b"".join(root_of(split_hashes(hashes)) for hashes in below)

    async def _stored(self, tree: str, level: int, start: int, end: int) -> list[bytes]:
        rows = await self._fetch(_queries.tiles_between, tree, level, start, end)
        return [row["hashes"] for row in rows]

    async def _fetch(self, query: str, *arguments: Any) -> Sequence[Any]:
        connection = await self._free.get()
        try:
            return list(await connection.fetch(query, self._site, *arguments))
        finally:
            self._free.put_nowait(connection)


def _tenant(tree: str) -> str:
    return tree.removeprefix(TENANT_TREE_PREFIX)
