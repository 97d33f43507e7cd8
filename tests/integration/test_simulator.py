"""The simulated barracks on a real broker and database: whole days, and what people do that they should not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from devices.simulator.days import Habits
from gatekeeper.adapters.postgres import PostgresReading
from tests.acceptance.barracks import SITE, barracks
from tests.acceptance.barracks import Barracks as Site
from tests.integration.simulated import lived, simulated
from tests.support.waiting import found

pytestmark = pytest.mark.integration


@pytest.fixture
async def site(server_folder: Path) -> AsyncIterator[Site]:
    async with barracks(server_folder, open_hours=True) as site, site.engine():
        yield site


async def _kinds(site: Site, kind: str) -> int:
    """How many entries of a kind the log holds."""
    async with PostgresReading.opened(site.postgres.dsn()) as reading:
        return len([entry async for entry in reading.entries(SITE, since=0) if entry.kind == kind])


@pytest.mark.timeout(240)
async def test_a_day_is_lived_from_the_first_arrival_to_the_last_farewell(site: Site):
    seen = await lived(simulated(site), people=40)
    assert seen["promises"]["kept"], seen["promises"]
    assert seen["passages"]["taken"] > 300
    assert seen["unanswered"] == seen["no_service"] == 0
    (drill,) = seen["evacuations"]
    assert drill["at"] == "day 1, 15:20"
    assert drill["inside"] > 5
    assert drill["left_inside"] == 0
    assert seen["inside"] == 0, "everybody went home"
    assert set(seen["denied"]) <= {
        "denied-no-access-rights",
        "denied-host-veto",
        "denied-agreement-ceiling",
    }, "trespassers"
    await site.assert_log_sound(seen)


@pytest.mark.timeout(240)
async def test_who_follows_or_forgets_is_known_to_be_astray_and_the_site_believes_otherwise(site: Site):
    habits = Habits(walks_away=0, holds_open=0, follows=0.3, forces=0.05, forgets=0.5)
    seen = await lived(simulated(site, habits=habits, evacuation=None), people=40)
    assert seen["manners"]["forgets"] > 0
    assert seen["manners"]["forces"] > 0
    assert seen["promises"]["kept"], seen["promises"]
    assert seen["inside"] == 0
    assert seen["astray"]
    for really, believed in seen["astray"].values():
        assert really == "outside" != believed
    assert await _kinds(site, "passage.forced") == seen["manners"]["forces"]
    await site.assert_log_sound(seen)


@pytest.mark.timeout(120)
async def test_a_door_that_is_held_open_is_told_as_held(site: Site):
    """The gates' own patience is real: half a minute, at any speed."""
    habits = Habits(walks_away=0, holds_open=1)
    people = simulated(site, habits=habits, begins=timedelta(hours=7), evacuation=None)
    stop = asyncio.Event()

    async def told() -> bool | None:
        return await _kinds(site, "passage.held-open") > 0 or None

    async with asyncio.TaskGroup() as group:
        group.create_task(people.live(people=3, stop=stop))
        assert await found(told, within=90)
        stop.set()
    seen = people.report()
    assert seen["manners"]["holds-open"] > 0
    assert seen["promises"]["kept"], seen["promises"]
