"""Migrations: from nothing to the newest revision, again without harm, and as SQL that a person can review first."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import gatekeeper.adapters
from gatekeeper.adapters.postgres import migrate_site_database
from gatekeeper.adapters.sql import migrate
from gatekeeper.adapters.vault import PostgresKeyVault
from tests.support.fort import everything

pytestmark = pytest.mark.integration

ADAPTERS = Path(gatekeeper.adapters.__path__[0])
FOLDERS = sorted(ADAPTERS.glob("*/migrations"))
DATABASES = [pytest.param(folder, id=folder.parent.name) for folder in FOLDERS]
SHAPE = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'function', proname, '', prosrc, '', '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '', ''
    FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1, 2, 3, 4
"""


def _config(folder: Path, output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    return config


def sql_for_review(folder: Path) -> str:
    """What `alembic upgrade head --sql` prints for a folder of migrations."""
    printed = io.StringIO()
    command.upgrade(_config(folder, printed), "head", sql=True)
    return printed.getvalue()


async def shape_of(dsn: str) -> list[tuple[str, ...]]:
    """Tables, constraints, indexes, functions and triggers of a database."""
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(SHAPE)]
    finally:
        await connection.close()


async def _revision(dsn: str) -> str | None:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT version_num FROM alembic_version")
    finally:
        await connection.close()


def test_the_log_and_the_vault_have_migrations():
    assert [folder.parent.name for folder in FOLDERS] == ["postgres", "vault"]


@pytest.mark.parametrize("folder", DATABASES)
async def test_an_empty_database_is_brought_to_the_newest_revision_and_a_second_time_changes_nothing(
    folder: Path, empty_database: str
):
    await migrate(empty_database, migrations=folder)
    newest = ScriptDirectory.from_config(_config(folder)).get_current_head()
    assert await _revision(empty_database) == newest
    before = await shape_of(empty_database), await everything(empty_database)
    await migrate(empty_database, migrations=folder)
    assert (await shape_of(empty_database), await everything(empty_database)) == before


async def test_what_the_adapters_call_their_migration_is_that_of_their_folder(empty_database: str):
    await migrate_site_database(empty_database)
    tables = {row[1] for row in await shape_of(empty_database) if row[0] == "column"}
    assert {"site", "tree_head", "entry", "personal", "tile", "receipt", "dead_letter"} <= tables
    assert "person_key" not in tables, "the persons' keys never share a database with the log"


async def test_the_vault_holds_keys_and_nothing_else(empty_database: str):
    await PostgresKeyVault(empty_database).migrate()
    tables = {row[1] for row in await shape_of(empty_database) if row[0] == "column"}
    assert tables == {"person_key", "alembic_version"}


async def test_the_sql_for_review_makes_the_vault_that_the_migration_makes(
    empty_database: str, clone_of: Callable[[str], Awaitable[str]]
):
    vault = ADAPTERS / "vault" / "migrations"
    other = await clone_of("template0")
    await migrate(other, migrations=vault)
    connection = await asyncpg.connect(empty_database)
    try:
        await connection.execute(sql_for_review(vault))
    finally:
        await connection.close()
    assert await shape_of(empty_database) == await shape_of(other)
    assert await _revision(empty_database) == await _revision(other)


@pytest.mark.parametrize("folder", DATABASES)
def test_the_sql_for_review_is_one_transaction_from_nothing(folder: Path):
    lines = [line for line in sql_for_review(folder).splitlines() if line]
    assert (lines[0], lines[-1]) == ("BEGIN;", "COMMIT;")


@pytest.mark.parametrize("folder", DATABASES)
def test_no_migration_waits_long_for_a_lock_that_a_running_engine_holds(folder: Path):
    scripts = sorted(folder.glob("versions/*.sql"))
    assert scripts
    for script in scripts:
        statements = [
            line for line in script.read_text("utf-8").splitlines() if line and not line.startswith("--")
        ]
        assert statements[0] == "SET LOCAL lock_timeout = '5s';", script.name


async def test_every_key_of_the_log_begins_with_the_site(empty_database: str):
    """The unit of order, of failover and of sharding."""
    await migrate_site_database(empty_database)
    connection = await asyncpg.connect(empty_database)
    try:
        first_columns = await connection.fetch(
            "SELECT indrelid::regclass::text AS held_by, attname FROM pg_index"
            " JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
            " JOIN pg_class ON pg_class.oid = indrelid AND relnamespace = 'public'::regnamespace"
            " WHERE indisunique"
        )
    finally:
        await connection.close()
    others = {row["held_by"] for row in first_columns if row["attname"] != "site_id"}
    assert others == {"alembic_version"}


async def test_programs_that_start_at_once_migrate_one_after_the_other(empty_database: str):
    await asyncio.gather(*(migrate_site_database(empty_database) for _ in range(4)))


async def test_the_sql_for_review_makes_the_log_that_the_migration_makes(
    empty_database: str, clone_of: Callable[[str], Awaitable[str]]
):
    folder = ADAPTERS / "postgres" / "migrations"
    other = await clone_of("template0")
    await migrate(other, migrations=folder)
    connection = await asyncpg.connect(empty_database)
    try:
        await connection.execute(sql_for_review(folder))
    finally:
        await connection.close()
    assert await shape_of(empty_database) == await shape_of(other)
