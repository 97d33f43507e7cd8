"""Databases for tests: empty ones, and clones of a template that was prepared once (about ten milliseconds each)."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from gatekeeper.embedded import EmbeddedPostgres

__all__ = ["create_database_from_template", "drop_database", "prepare_template", "temporary_database"]

_EMPTY = "template0"


@asynccontextmanager
async def _connection(
    server: EmbeddedPostgres, database: str = "postgres"
) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.dsn(database))
    try:
        yield connection
    finally:
        await connection.close()


async def create_database_from_template(server: EmbeddedPostgres, template: str = _EMPTY) -> str:
    """Clone a template under a name of its own; give the name."""
    name = f"test_{secrets.token_hex(6)}"
    async with _connection(server) as connection:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return name


async def drop_database(server: EmbeddedPostgres, name: str) -> None:
    """Drop a database, whoever is still connected."""
    async with _connection(server) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def prepare_template(
    server: EmbeddedPostgres, name: str, prepare: Callable[[str], Awaitable[None]]
) -> None:
    """Create the template `name` unless it exists: an empty database that `prepare` (given its DSN) fills once."""
    async with _connection(server) as connection:
        if await connection.fetchval("SELECT datistemplate FROM pg_database WHERE datname = $1", name):
            return
    await drop_database(server, name)  # what is left of a preparation that failed
    await server.ensure_database(name)
    await prepare(server.dsn(name))
    async with _connection(server) as connection:
        await connection.execute(f'ALTER DATABASE "{name}" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false')


@asynccontextmanager
async def temporary_database(server: EmbeddedPostgres, template: str = _EMPTY) -> AsyncIterator[str]:
    """A database for the length of a block; gives its DSN."""
    name = await create_database_from_template(server, template)
    try:
        yield server.dsn(name)
    finally:
        await drop_database(server, name)
