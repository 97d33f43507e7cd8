"""The keys of persons in a PostgreSQL database of their own, apart from the log and its backups."""

import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from gatekeeper.adapters.sql import FAILURES, Queries, connect, migrate
from gatekeeper.core.audit import NOBODY
from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.ports import LedgerUnavailableError

__all__ = ["KEY_BYTES", "PostgresKeyVault"]

KEY_BYTES = 32
_queries = Queries(__name__, "keys")


class PostgresKeyVault:
    """A key vault; connects when it is asked, which is seldom."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def migrate(self) -> None:
        """Bring the vault's tables to this version."""
        await migrate(self._dsn, migrations=Path(str(files(__name__).joinpath("migrations"))))

    async def keys(self, site: SiteId) -> Mapping[HolderId, bytes]:
        """All keys of a site, 32 bytes each."""
        return _keys(await self._fetch(_queries.keys, site))

    async def keys_of(self, site: SiteId, persons: Sequence[HolderId]) -> Mapping[HolderId, bytes]:
        """The keys of these persons, of whom who was forgotten has none."""
        return _keys(await self._fetch(_queries.keys_of, site, list(persons)))

    async def ensure(self, site: SiteId, persons: Sequence[HolderId]) -> Mapping[HolderId, bytes]:
        """The keys of these persons, made where there was none. Who was forgotten gets none."""
        # In one order, whoever asks: two who ask for the same persons at once must not wait for each other.
        wanted = sorted(set(persons))
        await self._fetch(_queries.ensure, site, wanted, [secrets.token_bytes(KEY_BYTES) for _ in wanted])
        return await self.keys_of(site, persons)

    async def destroy(self, site: SiteId, persons: Sequence[HolderId]) -> None:
        """Destroy the keys of these persons, for good. Raises ValueError for the key that is nobody's."""
        if NOBODY in persons:
            raise ValueError("the key under which nobody is named is not destroyed")
        # In one order, as `ensure`; what was destroyed already stays so.
        await self._fetch(_queries.destroy, site, sorted(set(persons)))

    async def destroyed(self, site: SiteId) -> frozenset[HolderId]:
        """Whose keys were destroyed."""
        return frozenset(row["person"] for row in await self._fetch(_queries.destroyed, site))

    async def _fetch(self, query: str, *arguments: object) -> Sequence[Any]:
        try:
            connection = await connect(self._dsn)
            try:
                return list(await connection.fetch(query, *arguments))
            finally:
                await connection.close()
        except FAILURES as error:
            raise LedgerUnavailableError("the key vault does not answer") from error


def _keys(rows: Sequence[Any]) -> Mapping[HolderId, bytes]:
    return {row["person"]: row["key"] for row in rows}
