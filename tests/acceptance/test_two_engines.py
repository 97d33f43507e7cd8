"""Two engines on one site: one commits, the other stands by; and servers that go away come back to a sound log."""

import asyncio
from pathlib import Path

import pytest

from gatekeeper.adapters.postgres import PostgresReading
from tests.acceptance.barracks import SITE, barracks


async def _until_grown(reading: PostgresReading, by: int) -> None:
    size = await reading.size(SITE) + by
    async with asyncio.timeout(60):
        while await reading.size(SITE) < size:  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0)


@pytest.mark.timeout(240)
async def test_of_two_engines_one_commits_and_the_other_takes_over_when_it_dies(server_folder: Path):
    async with (
        barracks(server_folder) as site,
        site.people(100) as people,
        site.engine() as first,
        site.standby() as second,
        PostgresReading.opened(site.postgres.dsn()) as reading,
    ):
        await _until_grown(reading, 100)
        await first.kill()
        await second.says(r'"up":true')
        await _until_grown(reading, 100)
        seen = await people.report()
        assert seen["granted"] > 0
        await site.assert_log_sound(seen)


@pytest.mark.timeout(240)
async def test_a_database_and_a_broker_that_go_and_return_lose_nothing(server_folder: Path):
    async with barracks(server_folder) as site, site.people(100) as people, site.engine():
        for server in (site.postgres, site.broker):
            async with PostgresReading.opened(site.postgres.dsn()) as reading:
                await _until_grown(reading, 50)
            await server.kill()
            await server.start()
        async with PostgresReading.opened(site.postgres.dsn()) as reading:
            await _until_grown(reading, 50)
        seen = await people.report()
        assert seen["granted"] > 0
        await site.assert_log_sound(seen)
