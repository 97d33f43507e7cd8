"""kill -9 at the seams: an engine dies while its commit, or its checkpoint, hangs in the database.

A lock of ours holds the statement there, so that the engine dies in the middle of it and not somewhere near. It completes when
we let go, with nobody left to hear of it; the next engine finds out by itself what became of it, and nobody repairs anything.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.barracks import SITE, Barracks, barracks

pytestmark = pytest.mark.acceptance

COMMIT = f"SELECT FROM tree_head WHERE site_id = '{SITE}' FOR UPDATE"
CHECKPOINT = "LOCK TABLE checkpoint IN SHARE MODE"


async def test_an_engine_killed_in_a_commit_or_a_checkpoint_leaves_a_sound_log(server_folder: Path):
    async with barracks(server_folder, open_hours=True) as site, site.people(60) as people:
        for lock in (COMMIT, CHECKPOINT):
            async with site.engine() as engine, holding(site, lock) as hold:
                await hold.stops(1)
                await engine.kill()
            await assert_sound(site)
        async with site.engine() as engine, holding(site, COMMIT) as hold:
            await hold.stops(1)
            await engine.kill()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(hold.released_when_it_stops(2))
                async with site.engine():
                    seen = await people.report()
        assert seen["granted"] > 0
        await site.assert_log_sound(seen)
        await assert_sound(site)


@dataclass(frozen=True)
class Hold:
    """A transaction of ours that others wait for, one behind the other."""

    connection: asyncpg.Connection

    async def stops(self, number: int) -> None:
        """Wait until so many wait; each question takes its time at the database."""
        waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(60):
            while await self.connection.fetchval(waiting) < number:
                pass

    async def released_when_it_stops(self, number: int) -> None:
        """Let go when an engine that takes the site over waits, too, for what became of the dead one's commit."""
        await self.stops(number)
        await self.connection.execute("ROLLBACK")


@asynccontextmanager
async def holding(site: Barracks, lock: str) -> AsyncIterator[Hold]:
    connection = await asyncpg.connect(site.postgres.dsn())
    try:
        await connection.execute(f"BEGIN; {lock}")
        yield Hold(connection)
    finally:
        await connection.close()


async def assert_sound(site: Barracks) -> None:
    """The log verifies; where somebody is said to be, an entry says so, and no later grant to that person another thing."""
    await site.assert_log_sound()
    connection = await asyncpg.connect(site.postgres.dsn())
    try:
        astray = await connection.fetch(
            "SELECT holder FROM presence LEFT JOIN entry USING (site_id, seq) WHERE entry.seq IS NULL"
            " OR convert_from(entry.body, 'UTF8')::json ->> 'access_point' IS DISTINCT FROM presence.access_point"
        )
        left_behind = await connection.fetch(
            "SELECT presence.holder FROM presence JOIN personal ON personal.person = presence.holder"
            " JOIN entry ON entry.seq = personal.seq WHERE entry.kind = 'access.granted' AND entry.seq > presence.seq"
        )
    finally:
        await connection.close()
    assert (astray, left_behind) == ([], [])
