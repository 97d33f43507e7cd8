"""The course of the days: what everybody means to do is put on an agenda, and who sets out walks door by door.

    days (pure) -> agenda -> walk -> line before the door -> gate -> the other side, or not
                                     threshold

At speed 0 time does not wait for who walks: what they mean to do next waits until they have arrived. Somebody costs memory
while they sit: a badge, a day. A task and a line cost only while they walk.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Final

from devices.simulator.days import Day, Errand, Ground, Habits, Step, day_of, evacuated
from devices.simulator.faults import Faults, power_cuts
from devices.simulator.people import ground_of
from devices.simulator.routes import route
from devices.simulator.seen import Evacuation
from devices.simulator.threshold import Threshold
from devices.simulator.walker import Walker

__all__ = ["EVACUATION_LASTS", "Course", "Pace", "time_of"]

EVACUATION_LASTS: Final = timedelta(minutes=40)
_DAY: Final = timedelta(days=1)
_A_MOMENT: Final = timedelta(milliseconds=1)
_ARRIVING: Final = timedelta(minutes=15)
_BETWEEN_DOORS: Final = timedelta(minutes=1)
_MOST_WALKING: Final = 2000
_PLANNED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a simulation runs.

    `speed` is simulated seconds in a second, 0 as fast as the site answers; `begins` is when the first day does; without
    `days` there is no end; `evacuation` is when there is one, each day.
    """

    speed: float = 60.0
    begins: timedelta = timedelta(hours=7, minutes=30)
    days: int | None = None
    evacuation: timedelta | None = timedelta(hours=15, minutes=20)
    habits: Habits = field(default_factory=Habits)


@dataclass(kw_only=True)
class Course:
    """Days of some people, one after the other."""

    walkers: Sequence[Walker]
    pace: Pace
    seed: int
    faults: Faults
    threshold: Threshold
    _agenda: list[tuple[timedelta, int, bool, Callable[[], object]]] = field(default_factory=list, init=False)
    _numbers: Iterator[int] = field(default_factory=count, init=False)
    _walking: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def run(self) -> None:
        """Let people walk until the days are over, or until the clock is told to stop."""
        clock = self.threshold.clock
        self._plan(0)
        async with asyncio.TaskGroup() as self._walks:
            while self._agenda and not clock.stopped:
                at, _, waits_for_all, act = heappop(self._agenda)
                await clock.until(at)
                if not clock.waits:
                    await self._in_turn(all_of_them=waits_for_all)
                if not clock.stopped:
                    act()

    async def _in_turn(self, *, all_of_them: bool) -> None:
        """At any speed not everybody walks at once, and a roll is called when nobody does."""
        most = 1 if all_of_them else _MOST_WALKING
        while len(self._walking) >= most and not self.threshold.clock.stopped:
            await self.threshold.clock.unless_stopped(
                asyncio.wait(self._walking, return_when=asyncio.FIRST_COMPLETED)
            )

    def _plan(self, day: int) -> None:
        """Put one day on the agenda, the next midnight too; a few people at a time, for gates do not wait."""
        begins, midnight = self.pace.begins if day == 0 else timedelta(), day * _DAY
        ground = ground_of(self.threshold.policy, (walker.person for walker in self.walkers))
        for first in range(0, len(self.walkers), _PLANNED_AT_ONCE):
            some = self.walkers[first : first + _PLANNED_AT_ONCE]
            self._on(midnight + begins, partial(self._plan_some, some, ground, day))
        for at, gate in power_cuts(sorted(self.threshold.posts), self.faults, seed=self.seed, day=day):
            if at > begins:
                self._on(midnight + at, self.threshold.posts[gate].cut_power)
        evacuation = self.pace.evacuation
        if evacuation is not None and evacuation > begins:
            over = midnight + evacuation + EVACUATION_LASTS
            begin = partial(self._call_roll, midnight + evacuation)
            self._on(midnight + evacuation - _A_MOMENT, begin, waits_for_all=True)
            self._on(over - _A_MOMENT, self._call_off, waits_for_all=True)
        if self.pace.days is None or day + 1 < self.pace.days:
            self._on(midnight + _DAY, partial(self._plan, day + 1))

    def _plan_some(self, walkers: Sequence[Walker], ground: Ground, day: int) -> None:
        begins, midnight = self.pace.begins if day == 0 else timedelta(), day * _DAY
        for walker in walkers:
            plan = self._plan_of(walker, ground, day)
            if day == 0:
                # Who should be in already comes first, or goes, if a former run left them where they should not be.
                there = plan.step_at(begins) or Step(begins, ground.outside, Errand.LEAVE)
                key = f"{self.seed}/late/{walker.person.holder}"
                late = random.Random(key).random() * _ARRIVING  # noqa: S311 - plausible people, not secrets
                self._on(begins + late, partial(self._set_out, walker, there, day, forgets=plan.forgets))
            for step in plan.steps:
                if step.at > begins:
                    act = partial(self._set_out, walker, step, day, forgets=plan.forgets)
                    self._on(midnight + step.at, act)

    def _plan_of(self, walker: Walker, ground: Ground, day: int) -> Day:
        lives, evacuation = walker.person.lives, self.pace.evacuation
        plan = day_of(lives, ground, seed=self.seed, day=day, habits=self.pace.habits)
        if evacuation is None:
            return plan
        until = evacuation + EVACUATION_LASTS
        return evacuated(plan, outside=ground.outside, since=evacuation, until=until)

    def _on(self, at: timedelta, act: Callable[[], object], *, waits_for_all: bool = False) -> None:
        heappush(self._agenda, (at, next(self._numbers), waits_for_all, act))

    def _call_roll(self, at: timedelta) -> None:
        inside = sum(walker.zone != self.threshold.policy.outside for walker in self.walkers)
        self.threshold.seen.evacuations.append(Evacuation(at=time_of(at), inside=inside, left_inside=inside))

    def _call_off(self) -> None:
        last = self.threshold.seen.evacuations.pop()
        left = sum(walker.zone != self.threshold.policy.outside for walker in self.walkers)
        self.threshold.seen.evacuations.append(Evacuation(at=last.at, inside=last.inside, left_inside=left))

    # -- the walk -----------------------------------------------------------------------------------------------------

    def _set_out(self, walker: Walker, step: Step, day: int, *, forgets: bool) -> None:
        if walker.walks and not self.threshold.clock.waits:
            # Time does not wait for them, so what they mean to do next waits until they have arrived.
            walker.later.append(partial(self._set_out, walker, step, day, forgets=forgets))
            return
        if walker.day != day:
            walker.day, walker.passed = day, 0
        walker.goal, walker.errand, walker.forgets = step.zone, step.errand, forgets
        if not walker.walks and walker.zone != walker.goal:
            walker.walks = True
            walk = self._walks.create_task(self._walk(walker), name=walker.person.holder)
            self._walking.add(walk)
            walk.add_done_callback(self._walking.discard)

    async def _walk(self, walker: Walker) -> None:
        """Go door by door, round those that are not for this person, until there or turned away."""
        try:
            while walker.zone != walker.goal and not self.threshold.clock.stopped:
                way = route(walker.doors, start=walker.zone, goal=walker.goal)
                if not way:
                    return
                await self.threshold.clock.passed(_BETWEEN_DOORS)
                if not await self.threshold.through(walker, way[0]) and way[0] in walker.doors:
                    return
        finally:
            walker.walks = False
            while walker.later and not walker.walks:
                walker.later.pop(0)()


def time_of(at: timedelta) -> str:
    """A time of the simulated days, as in `day 1, 15:20`."""
    minutes = int(at / timedelta(minutes=1))
    return f"day {minutes // 1440 + 1}, {minutes // 60 % 24:02}:{minutes % 60:02}"
