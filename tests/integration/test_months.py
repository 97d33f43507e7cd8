"""Months: partitions of entries that are made once, in UTC, whoever asks and whatever lies there already; and dropped when empty."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gatekeeper.adapters.postgres import PostgresLedger, migrate_site_database
from gatekeeper.core.retention import Due, draft_of_expiry
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import SiteId
from gatekeeper.model.retention import Kept
from gatekeeper.ports import Doomed, LedgerUnavailableError
from tests.support.databases import prepare_template
from tests.support.fort import NOW, Fort, Written
from tests.support.sites import ground
from tests.support.verified import verified

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


# -- dropping ---------------------------------------------------------------------------------------------------------

MAY = datetime(2030, 5, 1, tzinfo=UTC)


@asynccontextmanager
async def _ledger(database: str) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(database)
    try:
        yield ledger
    finally:
        await ledger.close()


async def _months(connection: Any) -> set[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relname ~ '^(entry|personal)_2030_[0-9]{2}$'"
    )
    return {row["relname"] for row in rows}


async def _make(connection: Any, *months: int) -> None:
    for month in months:
        await connection.execute(f"SELECT make_month('2030-{month:02}-15')")


async def test_a_month_that_is_over_and_holds_nothing_is_dropped_and_no_other(database: str):
    async with _connected(database) as connection, _ledger(database) as ledger:
        await _make(connection, 3, 4, 5)
        await connection.execute(
            "INSERT INTO entry (site_id, seq, at, kind, body) VALUES ('fort', 0, '2030-03-31T23:59:59Z', 'x', 'x')"
        )
        assert await ledger.drop_months(before=MAY) == [
            "personal_2030_03",
            "personal_2030_04",
            "entry_2030_04",
        ]
        assert await _months(connection) == {"entry_2030_03", "entry_2030_05", "personal_2030_05"}
        assert await ledger.drop_months(before=MAY) == []
        await connection.execute("DELETE FROM entry")
        assert await ledger.drop_months(before=MAY) == ["entry_2030_03"]


async def test_the_month_that_is_not_over_and_the_rest_stay_whatever_they_hold(database: str):
    async with _connected(database) as connection, _ledger(database) as ledger:
        await _make(connection, 4)
        assert await ledger.drop_months(before=datetime(2030, 4, 30, 23, 59, 59, tzinfo=UTC)) == []
        assert await connection.fetchval("SELECT to_regclass('entry_rest')") is not None


async def test_a_month_that_somebody_reads_is_left_for_the_next_time_and_the_reader_notices_nothing(
    database: str,
):
    async with _connected(database) as reader, _ledger(database) as ledger:
        await _make(reader, 4)
        async with reader.transaction(isolation="repeatable_read"):
            assert await reader.fetchval("SELECT count(*) FROM entry") == 0
            assert await reader.fetchval("SELECT count(*) FROM personal") == 0
            assert await ledger.drop_months(before=MAY) == []
            assert await reader.fetchval("SELECT count(*) FROM entry") == 0
        assert await ledger.drop_months(before=MAY) == ["personal_2030_04", "entry_2030_04"]


async def test_a_month_that_is_written_to_while_it_is_looked_at_is_not_dropped(database: str):
    async with _connected(database) as writer, _ledger(database) as ledger:
        await _make(writer, 4)
        async with writer.transaction():
            await writer.execute(
                "INSERT INTO entry (site_id, seq, at, kind, body) VALUES ('fort', 0, '2030-04-02', 'x', 'x')"
            )
            assert await ledger.drop_months(before=MAY) == ["personal_2030_04"]
        assert await ledger.drop_months(before=MAY) == []
        assert await _months(writer) == {"entry_2030_04"}


async def test_a_month_is_not_dropped_while_another_engine_makes_or_drops_one(database: str):
    async with _connected(database) as other, _ledger(database) as ledger:
        await _make(other, 3, 4)
        async with other.transaction():
            assert await other.fetchval("SELECT drop_month('entry', $1)", MAY) == "entry_2030_03"
            assert await ledger.drop_months(before=MAY) == []
        assert "entry_2030_04" in await ledger.drop_months(before=MAY)


async def test_entries_go_on_into_months_that_are_made_after_others_were_dropped(database: str):
    async with _connected(database) as connection, _ledger(database) as ledger:
        await _make(connection, 4)
        await ledger.drop_months(before=MAY)
        await connection.execute(
            "INSERT INTO entry (site_id, seq, at, kind, body) VALUES ('fort', 0, '2030-04-02', 'x', 'x')"
        )
        await _make(connection, 4)
        assert await connection.fetchval("SELECT count(*) FROM entry_2030_04") == 1


@asynccontextmanager
async def _aged(server: EmbeddedPostgres) -> AsyncIterator[tuple[Fort, Doomed]]:
    """A log whose first bodies are old, and the batch of them that is due."""
    async with Fort.opened(server) as fort:
        old = NOW - timedelta(days=400)
        await fort.run("SELECT make_month($2::date) FROM site WHERE site_id = $1", old.date())
        await fort.commit(fort.pen.write(300, at=old))
        await fort.commit(fort.pen.write(5))
        due = Due(kind=Kept.ENTRIES, tenant=None, before=NOW - timedelta(days=365))
        doomed = await fort.ledger.doomed(fort.site, due, since=0, most=1000)
        assert doomed is not None
        yield fort, doomed


def _told(fort: Fort, doomed: Doomed) -> Written:
    draft = draft_of_expiry(doomed.expired, ground().policy, at=NOW, seq=fort.pen.size)
    return fort.pen.seal([draft]).holding(doomed=doomed)


async def _insisted(attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat what the database did not answer, as an engine does."""
    while True:
        with suppress(LedgerUnavailableError):
            return await attempt()


@pytest.mark.timeout(120)
async def test_a_server_that_is_killed_while_months_are_made_dropped_and_bodies_deleted_leaves_a_sound_log(
    server_folder: Path,
):
    """Each is begun and not ended when the power goes; afterwards each is done anew, and nothing was mended by hand."""
    server = EmbeddedPostgres(server_folder / "postgres")
    await server.start()
    try:
        async with _aged(server) as (fort, doomed):

            async def cut(begin: Callable[[Any], Awaitable[object]]) -> None:
                connection = await asyncpg.connect(fort.dsn)
                await connection.transaction().start()
                await begin(connection)
                await server.kill()
                await server.start()
                report = await verified(fort)
                assert report.problems == []

            written = _told(fort, doomed)
            await cut(lambda connection: connection.execute("SELECT make_month('2031-01-15')"))
            await cut(
                lambda connection: fort.ledger._commit(connection, fort.site, fort.epoch, written.batch)
            )
            assert (await verified(fort)).entries == 305
            await _insisted(lambda: fort.commit(written))
            await cut(lambda connection: connection.fetchval("SELECT drop_month('entry', now())"))
            report = await verified(fort)
            assert (report.deleted, report.entries) == (300, 6)
            assert len(await _insisted(lambda: fort.ledger.drop_months(before=NOW))) == 2
            await _insisted(fort.ledger.make_months)
            more = fort.pen.write(5)
            await _insisted(lambda: fort.commit(more))
            assert (await verified(fort)).problems == []
    finally:
        await server.stop()
