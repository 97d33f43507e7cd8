"""Writing tiles and heads anew, on a site that no engine owns: in one transaction, or not at all."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gatekeeper.adapters.postgres.connection import Connection, connect, told_as_unavailable
from gatekeeper.adapters.sql import Queries
from gatekeeper.model.ids import SiteId
from gatekeeper.service.verification import WrongHead, WrongTile

__all__ = ["PostgresMending", "SiteOwnedError"]

_queries = Queries("gatekeeper.adapters.postgres", "mending")


class SiteOwnedError(Exception):
    """An engine owns the site: its tiles and heads are its own to write."""


class PostgresMending:
    """A site that is held while this is open. What is written counts when the block ends without an error."""

    def __init__(self, connection: Connection, site: SiteId) -> None:
        self._connection = connection
        self._site = site

    @classmethod
    @asynccontextmanager
    async def holding(cls, dsn: str, site: SiteId) -> AsyncIterator["PostgresMending"]:
        """Hold a site: no engine can own it, and none that owned it can commit. Raises SiteOwnedError."""
        with told_as_unavailable(verb="written"):
            connection = await connect(dsn)
        try:
            held = connection.transaction()
            with told_as_unavailable(verb="written"):
                await held.start()
                taken = await connection.fetchval(_queries.take, site) is not None
            if not taken:
                raise SiteOwnedError(f"An engine owns {site}: stop it first (gatekeeper serve).")
            yield cls(Connection(connection), site)
            with told_as_unavailable(verb="written"):
                await held.commit()
        finally:
            connection.terminate()  # without a commit nothing counts

    async def write(self, tiles: Sequence[WrongTile], heads: Sequence[WrongHead]) -> None:
        """Put every tile and head there as it must be, and remove those that belong to no tree."""
        for tile in tiles:
            place = (self._site, tile.tree, tile.level, tile.index)
            if tile.hashes is None:
                await self._connection.execute(_queries.drop_tile, *place)
            else:
                await self._connection.execute(_queries.put_tile, *place, tile.hashes)
        for head in heads:
            if head.root is None:
                await self._connection.execute(_queries.drop_head, self._site, head.tree)
            else:
                await self._connection.execute(_queries.put_head, self._site, head.tree, head.size, head.root)
