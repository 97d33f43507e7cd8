"""The leaves of a site's trees in large pieces, for exports: joined by the server, read over several connections at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
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

__all__ = ["PostgresLeaves"]

_queries = Queries("gatekeeper.adapters.postgres", "leaves")


class PostgresLeaves:
    """The leaves of one site's trees."""

    def __init__(self, site: SiteId, connections: Sequence[Any]) -> None:
        self._site = site
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str, site: SiteId, *, connections: int = 2) -> AsyncIterator["PostgresLeaves"]:
        """Read a site's leaves for the length of a block. Raises LedgerUnavailableError when there is no reading them."""
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

    async def _fetch(self, query: str, *arguments: Any) -> Sequence[Any]:
        connection = await self._free.get()
        try:
            return list(await connection.fetch(query, self._site, *arguments))
        finally:
            self._free.put_nowait(connection)


def _tenant(tree: str) -> str:
    return tree.removeprefix(TENANT_TREE_PREFIX)
