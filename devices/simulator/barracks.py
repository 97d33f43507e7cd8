"""A site full of people who walk: one agent for each gate, and a walk for whoever is on their way.

    days (pure) -> agenda -> walk -> line before the door -> gate -> the other side, or not

Gates, signatures and decisions are real; people and metal are not. A walker goes through a door when its gate says so,
stays where a door refused him, and is there again when the simulator is started anew. Where somebody is and where the
site must believe them to be is kept apart: who followed another through a door is astray, and known to be. Stock readers
are played as their makers built them: their JSON goes to the broker, and the bridge does the rest.

The day is compressed, the protocol is not: gates wait as long as gates do, and the service decides by its own clock.
So hours hold as they are by the wall, whatever the simulated day says. A gate is passed by twenty people a second at most,
which is below what a gate may send; who comes faster waits in line.

Somebody costs memory while they sit: a badge, a day. A task and a line cost only while they walk.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any, Final

import structlog

from devices.agent import GateAgent, Outcome
from devices.core.events import Signal
from devices.settings import SettingsError, read_gate_folder
from devices.simulator.day_clock import DayClock
from devices.simulator.days import Day, Errand, Ground, Habits, Manner, Step, day_of, evacuated, manner
from devices.simulator.faults import NO_FAULTS, Faults, power_cuts
from devices.simulator.faulty_link import Weather
from devices.simulator.gates import Post
from devices.simulator.people import SimulatedPerson, ground_of, read_people
from devices.simulator.promises import Promises
from devices.simulator.routes import allowed_points, route
from devices.simulator.seen import Evacuation, Seen, latency
from devices.simulator.served import PEOPLE
from devices.simulator.stock import StockReaders
from devices.simulator.whereabouts import Whereabouts
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, ZoneId
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason

__all__ = ["EVACUATION_LASTS", "Barracks", "Pace", "Walker"]

EVACUATION_LASTS: Final = timedelta(minutes=40)
_DAY: Final = timedelta(days=1)
_A_MOMENT: Final = timedelta(milliseconds=1)
_ARRIVING: Final = timedelta(minutes=15)
_BETWEEN_DOORS: Final = timedelta(minutes=1)
_BEHIND_SECONDS: Final = 1.0
_BUSY_PAUSE: Final = 0.2
_PATIENCE: Final = 10.0
_NO_SERVICE_PAUSE: Final = 0.5
_TRIES: Final = 3
_LONGEST_ANSWER: Final = 70.0
_LAST_WORDS: Final = 14.0
_LOOK_EVERY: Final = 0.05
_SECONDS_BETWEEN_PEOPLE: Final = 0.05
_MOST_WALKING: Final = 2000
_PLANNED_AT_ONCE: Final = 200
_WHEREABOUTS: Final = "whereabouts.json"
_log = structlog.get_logger()


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


@dataclass(slots=True, kw_only=True)
class Walker:
    """A person on the ground: where they are, where they are going, and the doors that may be for them."""

    person: SimulatedPerson
    doors: tuple[Point, ...]
    zone: ZoneId
    goal: ZoneId
    errand: Errand = Errand.LEAVE
    day: int = 0
    forgets: bool = False
    passed: int = 0
    walks: bool = False
    later: list[Callable[[], None]] = field(default_factory=list)

    def learn(self, door: Point, reason: int) -> None:
        """Give a door up that said to have no right for this person: it will say so tomorrow."""
        if Reason.of_number(reason) is Reason.NO_ACCESS_RIGHTS:
            self.doors = tuple(one for one in self.doors if one is not door)

    @property
    def leaves_unseen(self) -> bool:
        """Whether they are on their way home without a thought of badges."""
        return self.forgets and self.errand is Errand.LEAVE


class Barracks:
    """The gates and the people of one site folder."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: str,
        readers: str,
        seed: int,
        pace: Pace | None = None,
        faults: Faults = NO_FAULTS,
    ) -> None:
        """Read the folder. Raises `SettingsError` when a gate's folder or the policy is not in order, and `BrokerUrlError`."""
        self._broker: Final = broker
        self._readers: Final = StockReaders(readers)
        self._pace: Final = pace or Pace()
        self._seed: Final = seed
        self._weather: Final = Weather(faults=faults)
        self._seen: Final = Seen()
        gates = sorted((folder / "gates").iterdir())
        if not gates:
            raise SettingsError(f"{folder} holds no gates.")
        self._promises, self._posts = self._stand(gates, broker)
        self._policy: Final = _policy(folder, next(iter(self._posts.values())).settings.trust)
        self._stock: Final = {
            door.id: post.stock
            for post in self._posts.values()
            if post.stock is not None
            for door in post.settings.doorways
        }
        self._people: Final = read_people(folder / PEOPLE)
        self._whereabouts: Final = Whereabouts(folder / _WHEREABOUTS, outside=self._policy.outside)
        self._walkers: list[Walker] = []

        # What is under way.
        self._stop = asyncio.Event()
        self._clock: DayClock | None = None
        self._agenda: list[tuple[timedelta, int, bool, Callable[[], object]]] = []
        self._walking: set[asyncio.Task[None]] = set()
        self._numbers: Final = count()
        self._lines: Final[dict[AccessPointId, asyncio.Lock]] = {
            point: asyncio.Lock() for point in self._policy.points
        }
        self._waiting: Final[Counter[AccessPointId]] = Counter()
        self._free: Final[dict[GateId, float]] = {}
        self._passed_at: Final[dict[AccessPointId, float]] = {}

    @property
    def has_begun(self) -> bool:
        """Whether the service was heard at every gate, so that people could begin to walk."""
        return self._clock is not None

    @property
    def size(self) -> int:
        """How many people the site has."""
        return len(self._people)

    async def live(self, *, people: int, stop: asyncio.Event) -> None:
        """Let people walk until the days are over, or until told to stop; then let the gates say their last words.

        Raises `SettingsError` when there is no broker for stock readers.
        """
        self._stop = stop
        async with AsyncExitStack() as stack:
            tele = stack.enter_context(self._readers)
            posts = await stack.enter_async_context(asyncio.TaskGroup())
            standing = [posts.create_task(post.stand(), name=gate) for gate, post in self._posts.items()]
            try:
                await self._unless_stopped(self._all_at_work())
                if stop.is_set():
                    return
                self._clock = DayClock(speed=self._pace.speed, begins=self._pace.begins, stop=stop)
                self._walkers = self._chosen(people)
                self._weather.calm = False
                await self._walk_all(tele)
                self._clock.end()
                await self._last_words()
            finally:
                self._whereabouts.keep()
                for task in standing:
                    task.cancel()

    def report(self) -> dict[str, Any]:
        """What the gates saw, what people did, and whether promises were kept."""
        tallies = [(gate, tally) for gate, post in self._posts.items() for tally in post.tallies]
        latencies = sorted(
            waited.total_seconds() * 1000 for _, tally in tallies for waited in tally.latencies
        )
        return self.counts() | {
            "openings": [
                {
                    "gate": gate,
                    "access_point": unlocked.access_point,
                    "entry": unlocked.entry,
                    "message": unlocked.scan.hex(),
                }
                for gate, tally in tallies
                for unlocked in tally.unlocks
            ],
            "latency_ms": latency(latencies),
            "evacuations": [one.document() for one in self._seen.evacuations],
            "astray": self.astray(),
            "recorded": [[entry, message] for entry, message in self._promises.evidence()],
        }

    def counts(self) -> dict[str, Any]:
        """What can be told at any time without looking at each scan again."""
        tallies = [tally for post in self._posts.values() for tally in post.tallies]
        outside = self._policy.outside
        cuts = sum(post.power_cuts for post in self._posts.values())
        injected = self._weather.injected | ({"power-cut": cuts} if cuts else {})
        return {
            "people": len(self._walkers),
            "clock": "" if self._clock is None else _time_of(self._clock.now),
            "inside": sum(walker.zone != outside for walker in self._walkers),
            "scans": sum(tally.scans for tally in tallies),
            "granted": sum(tally.granted for tally in tallies),
            "denied": dict(sorted(self._seen.denied.items())),
            "unanswered": sum(tally.given_up for tally in tallies),
            "no_service": sum(tally.no_service for tally in tallies),
            "passages": dict(sorted(self._seen.passages.items())),
            "manners": dict(sorted(self._seen.manners.items())),
            "faults": dict(sorted(injected.items())),
            "promises": self._promises.report(),
        }

    def astray(self) -> dict[HolderId, tuple[ZoneId, ZoneId]]:
        """Who is elsewhere than the site can know: where they are, and where the site must believe them to be."""
        return {
            holder: (self._whereabouts[holder], believed)
            for holder, believed in self._whereabouts.astray.items()
        }

    def _stand(self, gates: list[Path], broker: str) -> tuple[Promises, dict[GateId, Post]]:
        first = read_gate_folder(gates[0])
        promises = Promises(trust=first.trust, prefix=first.prefix)
        posts = [
            Post(
                place,
                broker=broker,
                weather=self._weather,
                promises=promises,
                on_denied=self._seen.refused,
                seed=self._seed,
            )
            for place in gates
        ]
        return promises, {post.gate: post for post in posts}

    # -- the day ------------------------------------------------------------------------------------------------------

    def _chosen(self, people: int) -> list[Walker]:
        drawing = random.Random(self._seed)  # noqa: S311 - who walks, no secret
        chosen = drawing.sample(self._people, min(people, len(self._people)))
        doors = {
            bare: tuple(allowed_points(self._policy.points, stock=self._stock, bare=bare))
            for bare in (False, True)
        }
        return [
            Walker(
                person=person,
                doors=doors[person.card is not None],
                zone=self._whereabouts[person.holder],
                goal=self._whereabouts[person.holder],
            )
            for person in chosen
        ]

    async def _walk_all(self, tele: StockReaders) -> None:
        clock = self._running_clock
        self._plan(0)
        async with asyncio.TaskGroup() as walks:
            self._walks, self._tele = walks, tele
            while self._agenda and not self._stop.is_set():
                at, _, waits_for_all, act = heappop(self._agenda)
                await clock.until(at)
                if not clock.waits:
                    await self._in_turn(all_of_them=waits_for_all)
                if not self._stop.is_set():
                    act()

    async def _in_turn(self, *, all_of_them: bool) -> None:
        """At any speed not everybody walks at once, and a roll is called when nobody does."""
        most = 1 if all_of_them else _MOST_WALKING
        while len(self._walking) >= most and not self._stop.is_set():
            await self._unless_stopped(asyncio.wait(self._walking, return_when=asyncio.FIRST_COMPLETED))

    def _plan(self, day: int) -> None:
        """Put one day on the agenda, the next midnight too; a few people at a time, for gates do not wait."""
        begins, midnight = self._pace.begins if day == 0 else timedelta(), day * _DAY
        ground = ground_of(self._policy, (walker.person for walker in self._walkers))
        for first in range(0, len(self._walkers), _PLANNED_AT_ONCE):
            some = self._walkers[first : first + _PLANNED_AT_ONCE]
            self._on(midnight + begins, partial(self._plan_some, some, ground, day))
        for at, gate in power_cuts(sorted(self._posts), self._weather.faults, seed=self._seed, day=day):
            if at > begins:
                self._on(midnight + at, self._posts[gate].cut_power)
        evacuation = self._pace.evacuation
        if evacuation is not None and evacuation > begins:
            over = midnight + evacuation + EVACUATION_LASTS
            begin = partial(self._call_roll, midnight + evacuation)
            self._on(midnight + evacuation - _A_MOMENT, begin, waits_for_all=True)
            self._on(over - _A_MOMENT, self._call_off, waits_for_all=True)
        if self._pace.days is None or day + 1 < self._pace.days:
            self._on(midnight + _DAY, partial(self._plan, day + 1))

    def _plan_some(self, walkers: Sequence[Walker], ground: Ground, day: int) -> None:
        begins, midnight = self._pace.begins if day == 0 else timedelta(), day * _DAY
        for walker in walkers:
            plan = self._plan_of(walker, ground, day)
            if day == 0:
                # Who should be in already comes first, or goes, if a former run left them where they should not be.
                there = plan.step_at(begins) or Step(begins, ground.outside, Errand.LEAVE)
                key = f"{self._seed}/late/{walker.person.holder}"
                late = random.Random(key).random() * _ARRIVING  # noqa: S311 - plausible people, not secrets
                self._on(begins + late, partial(self._set_out, walker, there, day, forgets=plan.forgets))
            for step in plan.steps:
                if step.at > begins:
                    act = partial(self._set_out, walker, step, day, forgets=plan.forgets)
                    self._on(midnight + step.at, act)

    def _plan_of(self, walker: Walker, ground: Ground, day: int) -> Day:
        lives, evacuation = walker.person.lives, self._pace.evacuation
        plan = day_of(lives, ground, seed=self._seed, day=day, habits=self._pace.habits)
        if evacuation is None:
            return plan
        until = evacuation + EVACUATION_LASTS
        return evacuated(plan, outside=ground.outside, since=evacuation, until=until)

    def _on(self, at: timedelta, act: Callable[[], object], *, waits_for_all: bool = False) -> None:
        heappush(self._agenda, (at, next(self._numbers), waits_for_all, act))

    def _call_roll(self, at: timedelta) -> None:
        inside = sum(walker.zone != self._policy.outside for walker in self._walkers)
        self._seen.evacuations.append(Evacuation(at=_time_of(at), inside=inside, left_inside=inside))

    def _call_off(self) -> None:
        last = self._seen.evacuations.pop()
        left = sum(walker.zone != self._policy.outside for walker in self._walkers)
        self._seen.evacuations.append(Evacuation(at=last.at, inside=last.inside, left_inside=left))

    # -- the walk -----------------------------------------------------------------------------------------------------

    def _set_out(self, walker: Walker, step: Step, day: int, *, forgets: bool) -> None:
        if walker.walks and not self._running_clock.waits:
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
            while walker.zone != walker.goal and not self._stop.is_set():
                way = route(walker.doors, start=walker.zone, goal=walker.goal)
                if not way:
                    return
                await self._running_clock.passed(_BETWEEN_DOORS)
                if not await self._through(walker, way[0]) and way[0] in walker.doors:
                    return
        finally:
            walker.walks = False
            while walker.later and not walker.walks:
                walker.later.pop(0)()

    async def _through(self, walker: Walker, door: Point) -> bool:
        """Wait in line, and go through one door or not."""
        self._waiting[door.id] += 1
        async with self._lines[door.id]:
            self._waiting[door.id] -= 1
            await self._gate_free(door.gate)
            if self._stop.is_set():
                return False
            how = manner(
                walker.person.holder,
                seed=self._seed,
                day=walker.day,
                door=walker.passed,
                habits=self._pace.habits,
            )
            walker.passed += 1
            if self._unseen(walker, door, how):
                return True
            if walker.person.card is not None:
                went = await self._show_card(walker, door)
            else:
                went = await self._present(walker, door, how)
            if went:
                self._move(walker, door, by_badge=True)
            elif walker.errand is Errand.EVACUATE and not self._stop.is_set():
                # Free egress is wired in hardware: who must get out gets out, whatever a reader says.
                self._seen.manners["free-egress"] += 1
                self._move(walker, door, by_badge=False)
                return True
            return went

    def _unseen(self, walker: Walker, door: Point, how: Manner) -> bool:
        """Go through without a badge: behind somebody, by force, or home without a thought. Not at stock readers."""
        if door.id in self._stock:
            return False
        ahead = asyncio.get_running_loop().time() - self._passed_at.get(door.id, float("-inf"))
        post = self._posts[door.gate]
        if walker.leaves_unseen and door.target == self._policy.outside:
            self._seen.manners["forgets"] += 1
        elif how is Manner.FOLLOWS and ahead < _BEHIND_SECONDS:
            self._seen.manners[how] += 1
        elif how is Manner.FORCES and post.feel(door.id, opened=True):
            post.feel(door.id, opened=False)
            self._seen.manners[how] += 1
        else:
            return False
        self._move(walker, door, by_badge=False)
        return True

    def _move(self, walker: Walker, door: Point, *, by_badge: bool) -> None:
        walker.zone = door.target
        if by_badge:
            self._whereabouts.pass_by_badge(walker.person.holder, door.target)
        else:
            self._whereabouts.slip_by(walker.person.holder, door.target)
        self._passed_at[door.id] = asyncio.get_running_loop().time()

    # -- at the door --------------------------------------------------------------------------------------------------

    async def _show_card(self, walker: Walker, door: Point) -> bool:
        # Everybody who is let in walks through: such a door has no contact that could say otherwise.
        card = walker.person.card
        if card is None:
            return False
        outcome = await self._stock[door.id].present(self._tele.show, *card)
        if outcome is None:
            return False
        if outcome.signal is Signal.DENIED and outcome.reason is not None:
            walker.learn(door, outcome.reason)
        if outcome.granted:
            self._judge(walker, door)
        return outcome.granted

    async def _present(self, walker: Walker, door: Point, how: Manner) -> bool:
        """Present a badge at a gate of ours; whether its bearer is on the other side then."""
        outcome = await self._answered(walker, door)
        if outcome is None:
            return False
        if outcome.signal is Signal.DENIED and outcome.reason is not None:
            self._seen.refused(outcome.reason)
            walker.learn(door, outcome.reason)
        if not outcome.granted:
            return False
        self._judge(walker, door)
        post = self._posts[door.gate]
        if how is Manner.HOLDS_OPEN and self._waiting[door.id]:
            how = Manner.PROPERLY  # nobody stands chatting in a door with people behind them
        if how is Manner.WALKS_AWAY:
            self._seen.manners[how] += 1
            self._seen.passages["not-taken"] += 1
            return False
        badge = walker.person.shown_at(door)
        if how is Manner.TWICE and badge is not None:
            self._seen.manners[how] += 1
            post.offer(door.id, badge)
        self._seen.passages["taken"] += 1
        post.feel(door.id, opened=True)
        if how is Manner.HOLDS_OPEN:
            self._seen.manners[how] += 1
            await self._running_clock.really(post.held_seconds + _LOOK_EVERY)
        post.feel(door.id, opened=False)
        return True

    async def _answered(self, walker: Walker, door: Point) -> Outcome | None:
        """Present a badge, again when nothing came of it, and wait while the door is busy with whoever went before."""
        badge = walker.person.shown_at(door)
        left = _TRIES
        while badge is not None and left > 0:
            agent = await self._unless_stopped(self._posts[door.gate].agent())
            if not isinstance(agent, GateAgent):
                return None
            offered = agent.offer(door.id, badge)
            await asyncio.wait({offered}, timeout=_LONGEST_ANSWER)
            outcome = None if not offered.done() or offered.cancelled() else offered.result()
            if outcome is not None and outcome.signal is Signal.BUSY:
                await self._running_clock.really(_BUSY_PAUSE)
                left -= self._stop.is_set()
            elif outcome is None or outcome.reason is None:  # the power went, or nobody answered
                left -= 1
                # By the wall's clock: where there is no service, no day should race by unseen.
                await self._running_clock.really(_NO_SERVICE_PAUSE)
                left = 0 if self._stop.is_set() else left
            else:
                return outcome
        return None

    def _judge(self, walker: Walker, door: Point) -> None:
        person = walker.person
        self._promises.let_in(
            door,
            person.holder,
            person.tenant,
            person.profiles,
            policy=self._policy,
            at=datetime.now(UTC),
        )

    async def _gate_free(self, gate: GateId) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._free.get(gate, now))
        self._free[gate] = at + _SECONDS_BETWEEN_PEOPLE
        await self._running_clock.really(at - now)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _last_words(self) -> None:
        """Wait until every door is locked and what gates have to tell is recorded; no faults meet that."""
        self._weather.calm = True
        loop = asyncio.get_running_loop()
        until = loop.time() + _LAST_WORDS
        while self._is_restless and loop.time() < until:  # noqa: ASYNC110 - what is pure sets no event
            await asyncio.sleep(_LOOK_EVERY)

    @property
    def _is_restless(self) -> bool:
        """Whether something is to be recorded yet, was not even sent, or a door is released."""
        told = all(post.has_told for post in self._posts.values())
        return bool(self._promises.pending or self._promises.released_now) or not told

    @property
    def _running_clock(self) -> DayClock:
        if self._clock is None:
            raise RuntimeError("nobody walks yet")
        return self._clock

    async def _all_at_work(self) -> None:
        for gate, post in self._posts.items():
            while not await self._at_work_in_time(post):
                _log.warning("the service is not heard yet", gate=gate, broker=self._broker)

    async def _at_work_in_time(self, post: Post) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                await post.agent()
        except TimeoutError:
            return False
        return True

    async def _unless_stopped(self, waiting: Any) -> object:
        """What is awaited, or None when told to stop before."""
        task = asyncio.ensure_future(waiting)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stopping.cancel()


def _time_of(at: timedelta) -> str:
    """A time of the simulated days, as in `day 1, 15:20`."""
    minutes = int(at / timedelta(minutes=1))
    return f"day {minutes // 1440 + 1}, {minutes // 60 % 24:02}:{minutes % 60:02}"


def _policy(folder: Path, trust: Trust) -> Policy:
    policy = compile_from((folder / "policy.cose").read_bytes(), trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SettingsError(f"The policy of {folder} is not believed: {policy.code.sentence}")
    return policy
