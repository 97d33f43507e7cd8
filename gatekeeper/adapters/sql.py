"""PostgreSQL: how to connect, what its driver raises, and migrations that run `.sql` files under Alembic.

What the two databases (the log and the vault) share; it knows neither of them. Alembic and SQLAlchemy are loaded by who
migrates and by nobody else: they are nearly 30 MiB.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from gatekeeper.adapters.queries import Queries
from gatekeeper.ports import LedgerUnavailableError

__all__ = [
    "FAILURES",
    "Connection",
    "Queries",
    "connect",
    "migrate",
    "run_migrations",
    "run_script",
    "told_as_unavailable",
]

FAILURES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What a driver raises when the database is not there (any more)."""

_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ValueError,
)

_MIGRATING = int.from_bytes(hashlib.sha256(b"gatekeeper migrate").digest()[:8], "big", signed=True)


async def connect(dsn: str) -> Any:
    """Open a connection that notices soon when its peer is gone.

    Raises LedgerUnavailableError when the address is none, or the database or the user is not admitted; FAILURES when
    nobody answers.
    """
    try:
        return await asyncpg.connect(
            dsn,
            timeout=5,
            command_timeout=30,
            server_settings={"application_name": "gatekeeper", "jit": "off"},
        )
    except _REFUSALS as error:
        # What the server says names database and user, never the password; of an address that is none, nothing is told.
        why = (
            str(error) if isinstance(error, asyncpg.PostgresError) else "its address is not one of PostgreSQL"
        )
        raise LedgerUnavailableError(f"The database cannot be used: {why}.") from None


@contextmanager
def told_as_unavailable(*, verb: str = "read") -> Iterator[None]:
    """Tell what the driver raises in a block as LedgerUnavailableError.

    Nothing but the driver is called in the block: an OSError of anybody else would be taken for the database's.
    """
    try:
        yield
    except FAILURES as error:
        raise LedgerUnavailableError("The database does not answer.") from error
    except asyncpg.PostgresError as error:  # no such table, no right to read it, pages that are broken
        raise LedgerUnavailableError(f"The database cannot be {verb}: {error}.") from error


class Connection:
    """A connection that tells its own failures as LedgerUnavailableError, question by question."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        """All rows of an answer."""
        with told_as_unavailable():
            rows: list[Any] = await self._connection.fetch(query, *arguments)
            return rows

    async def fetchrow(self, query: str, *arguments: Any) -> Any:
        """The first row of an answer; None where it has none."""
        with told_as_unavailable():
            return await self._connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first value of an answer's first row; None where it has none."""
        with told_as_unavailable():
            return await self._connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> None:
        """Run a statement that answers nothing."""
        with told_as_unavailable(verb="written"):
            await self._connection.execute(query, *arguments)

    @asynccontextmanager
    async def as_of_one_instant(self) -> AsyncIterator[None]:
        """Let all questions of a block see the same state."""
        snapshot = self._connection.transaction(isolation="repeatable_read", readonly=True)
        with told_as_unavailable():
            await snapshot.start()
        yield
        with told_as_unavailable():
            await snapshot.commit()


async def migrate(dsn: str, *, migrations: Path) -> None:
    """Bring a database to the newest revision of a folder of migrations. Raises LedgerUnavailableError."""
    try:
        await _migrate(dsn, migrations)
    except FAILURES as error:
        raise LedgerUnavailableError("The database does not answer.") from error


async def _migrate(dsn: str, migrations: Path) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import pool  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(dsn), poolclass=pool.NullPool
    )

    def upgrade(connection: Any) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    try:
        async with engine.begin() as connection:
            # Two programs that start at once migrate one after the other.
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def run_migrations() -> None:
    """What every `env.py` does: run within the caller's connection, or print SQL for review (`--sql`)."""
    from alembic import context  # noqa: PLC0415

    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", literal_binds=True)
    else:
        context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()


def run_script(script: Path) -> None:
    """Run a `.sql` file of many statements as one migration."""
    from alembic import context, op  # noqa: PLC0415
    from sqlalchemy.util import await_only  # noqa: PLC0415

    text = script.read_text("utf-8")
    if context.is_offline_mode():
        # Printed as it stands: what goes through SQLAlchemy's compiler has its percent signs doubled.
        context.get_context().impl.static_output(text)
        return
    driver: Any = op.get_bind().connection.driver_connection
    await_only(driver.execute(text))
