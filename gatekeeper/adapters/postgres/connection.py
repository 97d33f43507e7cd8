"""The site's database: its connections, and its tables."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from gatekeeper.adapters.sql import FAILURES, Connection, connect, migrate, told_as_unavailable
from gatekeeper.ports import LedgerUnavailableError

__all__ = ["FAILURES", "Connection", "Line", "connect", "migrate_site_database", "told_as_unavailable"]


async def migrate_site_database(dsn: str) -> None:
    """Bring the tables of sites and logs to this version. Raises LedgerUnavailableError."""
    await migrate(dsn, migrations=Path(str(files("gatekeeper.adapters.postgres").joinpath("migrations"))))


class Line:
    """One connection, opened when it is needed, used by one task at a time, replaced when it broke."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Any = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Any]:
        """The connection, for the length of a block. Raises LedgerUnavailableError when there is none to be had."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._dsn)
                yield self._connection
            except FAILURES as error:
                self._drop()
                raise LedgerUnavailableError("the database does not answer") from error
            except asyncio.CancelledError:
                self._drop()
                raise

    async def close(self) -> None:
        """Close the connection, if it is open."""
        if self._connection is not None and not self._connection.is_closed():
            with suppress(*FAILURES, TimeoutError):
                await self._connection.close(timeout=2)
        self._connection = None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
