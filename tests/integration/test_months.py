"""Months: partitions of entries that are made once, in UTC, whoever asks and whatever lies there already."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from gatekeeper.adapters.postgres import PostgresLedger, migrate_site_database
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import SiteId
from tests.support.databases import prepare_template

pytestmark = pytest.mark.integration


@pytest.fixture
async def database(postgres_server: EmbeddedPostgres, clone_of: Callable[[str], Awaitable[str]]) -> str:
    """A migrated database without any site."""
    await prepare_template(postgres_server, "migrated_without_a_site", migrate_site_database)
    return await clone_of("migrated_without_a_site")


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def test_an_engine_takes_over_though_entries_of_this_month_lie_in_the_rest(database: str):
    async with _connected(database) as connection:
        await connection.execute("INSERT INTO site (site_id) VALUES ('fort')")
        await connection.execute(
            "INSERT INTO entry (site_id, seq, at, kind, body) VALUES ('fort', 0, now(), 'x', 'x')"
        )
        ledger = PostgresLedger(database)
        try:
            epoch = await ledger.claim(SiteId("fort"), owner="us")
            assert epoch is not None
            await ledger.load(SiteId("fort"), epoch=epoch)
        finally:
            await ledger.close()
        assert await connection.fetchval("SELECT count(*) FROM entry_rest") == 0
        assert await connection.fetchval("SELECT count(*) FROM entry WHERE site_id = 'fort'") == 1


async def test_many_sites_that_are_founded_at_once_share_their_first_month(database: str):
    ledgers = [PostgresLedger(database) for _ in range(6)]
    try:
        await asyncio.gather(*(ledger.found(SiteId(f"s-{number}")) for number, ledger in enumerate(ledgers)))
    finally:
        for ledger in ledgers:
            await ledger.close()


async def test_months_are_the_same_whatever_the_time_zone_of_the_session(database: str):
    async with _connected(database) as connection:
        for zone, month in (
            ("UTC", "2030-01-15"),
            ("Europe/Amsterdam", "2030-02-15"),
            ("Pacific/Apia", "2030-03-15"),
        ):
            await connection.execute(f"SET timezone = '{zone}'")
            await connection.execute(f"SELECT make_month('{month}')")
        await connection.execute("SET timezone = 'UTC'")
        bounds = await connection.fetchval(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'entry_2030_02'"
        )
    assert bounds == "FOR VALUES FROM ('2030-02-01 00:00:00+00') TO ('2030-03-01 00:00:00+00')"


async def test_an_entry_of_a_month_finds_the_indexes_of_its_neighbours(database: str):
    async with _connected(database) as connection:
        await connection.execute("SELECT make_month('2030-01-15')")
        made = await connection.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'entry_2030_01'")
        parent = await connection.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'entry'")
    assert len(made) == len(parent) > 1
