"""Two engines on one site: one commits, the other stands by; and servers that go away come back to a sound log."""

from pathlib import Path

import pytest

from tests.acceptance.barracks import barracks


@pytest.mark.timeout(240)
async def test_of_two_engines_one_commits_and_the_other_takes_over_when_it_dies(server_folder: Path):
    async with (
        barracks(server_folder) as site,
        site.people(100) as people,
        site.engine() as first,
        site.standby() as second,
    ):
        await site.grows(100)
        await first.kill()
        await second.says(r'"up":true')
        await site.grows(100)
        seen = await people.report()
        assert seen["granted"] > 0
        await site.assert_log_sound(seen)


@pytest.mark.timeout(240)
async def test_a_database_and_a_broker_that_go_and_return_lose_nothing(server_folder: Path):
    async with barracks(server_folder) as site, site.people(100) as people, site.engine():
        for server in (site.postgres, site.broker):
            await site.grows(50)
            await server.kill()
            await server.start()
        await site.grows(50)
        seen = await people.report()
        assert seen["granted"] > 0
        await site.assert_log_sound(seen)
