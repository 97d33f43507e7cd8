"""What breaks, breaks: no passage lost, none double, no door open without an entry."""

import random
from pathlib import Path

import pytest

from tests.acceptance.barracks import barracks

KILLS = 50


@pytest.mark.timeout(600)
async def test_an_engine_killed_fifty_times_under_load_loses_nothing_and_doubles_nothing(server_folder: Path):
    chance = random.Random(20260101)
    async with (
        barracks(server_folder) as site,
        site.people(150) as people,
    ):
        for _ in range(KILLS):
            async with site.engine() as engine:
                await site.grows(chance.randrange(1, 40))
                await engine.kill()
        async with site.engine():
            seen = await people.report()
        assert seen["granted"] > KILLS
        await site.assert_log_sound(seen)
