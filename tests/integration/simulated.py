"""The simulated barracks in the loop of a test, on a site that `tests.acceptance.barracks` founded."""

import asyncio
from typing import Any

from devices.simulator.barracks import Barracks
from devices.simulator.course import Pace
from devices.simulator.days import Habits
from devices.simulator.faults import NO_FAULTS, Faults
from tests.acceptance.barracks import Barracks as Site
from tests.support.waiting import eventually

__all__ = ["PATIENT", "lived", "simulated"]

PATIENT = Habits(walks_away=0, holds_open=0)
"""Nobody has a test wait until a door locks or warns."""


def simulated(site: Site, *, faults: Faults = NO_FAULTS, **pace: Any) -> Barracks:
    return Barracks(
        site.site,
        broker=site.broker.url,
        readers=site.broker.readers_url,
        seed=1,
        faults=faults,
        pace=Pace(**{"speed": 0, "days": 1, "habits": PATIENT} | pace),
    )


async def lived(barracks: Barracks, *, people: int, scans: int | None = None) -> dict[str, Any]:
    """Let people walk, to the end of their days or until there were so many scans; what the simulator reports."""
    stop = asyncio.Event()
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        living = group.create_task(barracks.live(people=people, stop=stop))
        if scans is not None:
            await eventually(lambda: living.done() or barracks.counts()["scans"] >= scans, within=120)
            stop.set()
    return barracks.report()
