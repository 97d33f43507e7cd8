"""PostgreSQL: how to connect, what its driver raises, and migrations that run `.sql` files under Alembic.

What the two databases (the log and the vault) share; it knows neither of them. Alembic and SQLAlchemy are loaded by who
migrates and by nobody else: they are 35 MiB.
"""

import hashlib
from pathlib import Path
from typing import Any

import asyncpg

from gatekeeper.adapters.queries import Queries
from gatekeeper.ports import LedgerUnavailableError

__all__ = ["FAILURES", "Queries", "connect", "migrate", "run_migrations", "run_script"]

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
