"""The trees of a log as they lie in PostgreSQL, in pieces: for who publishes them, and who watches over them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from gatekeeper.adapters.postgres.connection import Line
from gatekeeper.adapters.postgres.rows import cosigned_note
from gatekeeper.adapters.sql import Queries
from gatekeeper.core.audit import SITE_TREE, TENANT_TREE_PREFIX
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import LedgerUnavailableError, LogStart, StoredCheckpoint

__all__ = ["PostgresStoredTrees"]

_queries = Queries("gatekeeper.adapters.postgres", "stored_trees")


class PostgresStoredTrees:
    """One connection, opened at the first question and again when it broke; one question at a time."""

    def __init__(self, dsn: str) -> None:
        self._line = Line(dsn)

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str) -> AsyncIterator["PostgresStoredTrees"]:
        """Read for the length of a block."""
        trees = cls(dsn)
        try:
            yield trees
        finally:
            await trees.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()

    async def heads(self, site: SiteId) -> Mapping[str, tuple[int, bytes]]:
        """Where all trees of a site stand."""
        rows = await self._fetch(_queries.heads, site)
        return {row["tree"]: (row["size"], row["root"]) for row in rows}

    async def starts(self, site: SiteId) -> Mapping[str, LogStart]:
        """Where the bodies of each tree begin that lost its first ones."""
        rows = await self._fetch(_queries.starts, site)
        return {row["tree"]: LogStart(size=row["size"], hashes=row["hashes"]) for row in rows}

    async def tiles(
        self, site: SiteId, tree: str, *, level: int, first: int, end: int
    ) -> Mapping[int, bytes]:
        """The full tiles [first, end) of a level, by their index."""
        rows = await self._fetch(_queries.tiles, site, tree, level, first, end)
        return {row["index"]: row["hashes"] for row in rows}

    async def bodies(self, site: SiteId, tree: str, *, first: int, end: int) -> Sequence[tuple[int, bytes]]:
        """The places and bodies filed under [first, end) of a tree."""
        if tree == SITE_TREE:
            rows = await self._fetch(_queries.site_bodies, site, first, end)
        else:
            tenant = tree.removeprefix(TENANT_TREE_PREFIX)
            rows = await self._fetch(_queries.tenant_bodies, site, tenant, first, end)
        return [(row["place"], row["body"]) for row in rows]

    async def newest_checkpoint(self, site: SiteId, tree: str) -> StoredCheckpoint | None:
        """The last signed checkpoint of a tree."""
        rows = await self._fetch(_queries.newest_checkpoint, site, tree)
        return StoredCheckpoint(**rows[0]) if rows else None

    async def cosigned_checkpoint(self, site: SiteId, tree: str) -> StoredCheckpoint | None:
        """The last checkpoint of a tree that a witness has cosigned, with what witnesses said of it."""
        rows = await self._fetch(_queries.cosigned_checkpoint, site, tree)
        if not rows:
            return None
        found = StoredCheckpoint(**rows[0])
        lines = await self._fetch(_queries.cosignatures, site, tree, found.size)
        return replace(found, note=cosigned_note(found.note, lines))

    async def checkpoints(
        self, site: SiteId, tree: str, *, after: int, until: int
    ) -> Sequence[StoredCheckpoint]:
        """The signed checkpoints of a tree at sizes above `after` and up to `until`."""
        rows = await self._fetch(_queries.checkpoints, site, tree, after, until)
        return [StoredCheckpoint(**row) for row in rows]

    async def _fetch(self, query: str, *arguments: Any) -> Sequence[Any]:
        try:
            async with self._line.use() as connection:
                return await connection.fetch(query, *arguments)  # type: ignore[no-any-return]
        except asyncpg.PostgresError as error:  # no such table, no right to read it, pages that are broken
            raise LedgerUnavailableError(f"The database cannot be read: {error}.") from error
