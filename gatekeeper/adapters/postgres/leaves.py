"""The leaves of a site's trees in large pieces, for exports: joined by the server, read over several connections at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

from gatekeeper.adapters.postgres.connection import connect, told_as_unavailable
from gatekeeper.adapters.postgres.retention import log_starts
from gatekeeper.adapters.sql import Queries
from gatekeeper.core.audit import SITE_TREE, TENANT_TREE_PREFIX, read_body
from gatekeeper.core.retention import read_expired
from gatekeeper.model.ids import SiteId
from gatekeeper.service.export.expiry import Deletion, Gone
from gatekeeper.service.export.source import Bodies, Bounds, SealedPart

__all__ = ["PostgresLeaves"]

_LARGE_BLOCK = 1 << 22
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
        """Read a site's leaves for the length of a block. Every question raises LedgerUnavailableError when there is no answer."""
        lines: list[Any] = []
        # Once a block so large was taken and given back, glibc keeps the memory that every piece needs again, there and here.
        bytearray(_LARGE_BLOCK)
        try:
            with told_as_unavailable():
                for _ in range(connections):
                    lines.append(await connect(dsn))
                    await lines[-1].fetchval(_queries.one_large_block, _LARGE_BLOCK)
            yield cls(site, lines)
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

    async def gone(self, tree: str) -> Gone:
        """What of a tree has expired, as the log says, all as of one instant."""
        async with (
            self._line() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await self._gone(connection, tree)

    async def _gone(self, connection: Any, tree: str) -> Gone:
        sizes = {name: start.size for name, start in (await log_starts(connection, self._site)).items()}
        if tree not in sizes:
            return Gone(tree=tree, leaves=0, deletions=(), untold=0)
        rows = connection.cursor(_queries.deletions, self._site)
        deletions = [one async for row in rows if (one := _deletion(row, self._site)) is not None]
        told = deletions[-1].last + 1 if deletions else 0
        between = (after.first - before.last - 1 for before, after in pairwise(deletions))
        untold = max(0, sizes.get(SITE_TREE, 0) - told) + sum(map(abs, between))
        if tree != SITE_TREE:
            tenant = _tenant(tree)
            untold += (
                await connection.fetchval(_queries.tenant_lacks, self._site, tenant, sizes[tree], told) or 0
            )
        return Gone(tree=tree, leaves=sizes[tree], deletions=deletions, untold=untold)

    async def bounds(self, tree: str, *, size: int, since: datetime, until: datetime) -> Bounds:
        """Which leaves below `size` were committed within [since, until)."""
        if tree == SITE_TREE:
            (row,) = await self._fetch(_queries.site_bounds, size, since, until)
        else:
            (row,) = await self._fetch(_queries.tenant_bounds, _tenant(tree), size, since, until)
        return Bounds(*row)

    async def _fetch(self, query: str, *arguments: Any) -> Sequence[Any]:
        async with self._line() as connection:
            return list(await connection.fetch(query, self._site, *arguments))

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[Any]:
        """A connection that nobody else uses meanwhile, to ask and for nothing else."""
        connection = await self._free.get()
        try:
            with told_as_unavailable():
                yield connection
        finally:
            self._free.put_nowait(connection)


def _deletion(row: Any, site: SiteId) -> Deletion | None:
    """What an entry tells of bodies that were let go; None where it tells nothing that can be so."""
    body = read_body(row["body"], site=site, seq=row["seq"])
    said = None if body is None else read_expired(body)
    if said is None or said.first is None or said.last is None or not said.first <= said.last < row["seq"]:
        return None
    return Deletion(seq=row["seq"], first=said.first, last=said.last, before=said.before)


def _tenant(tree: str) -> str:
    return tree.removeprefix(TENANT_TREE_PREFIX)
