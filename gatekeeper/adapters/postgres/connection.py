"""Connections to PostgreSQL: how they are made, and which failures mean that the database is not there."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg

from gatekeeper.adapters.sql import migrate

__all__ = ["FAILURES", "connect", "migrate_site_database"]

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


async def connect(dsn: str) -> Any:
    """Open a connection that notices soon when its peer is gone."""
    return await asyncpg.connect(
        dsn,
        timeout=5,
        command_timeout=30,
        server_settings={"application_name": "gatekeeper", "jit": "off"},
    )


async def migrate_site_database(dsn: str) -> None:
    """Bring the tables of sites and logs to this version."""
    await migrate(dsn, migrations=Path(str(files("gatekeeper.adapters.postgres").joinpath("migrations"))))
