"""A site full of people who walk: one agent for each gate, and a walk for whoever is on their way.

    course: days (pure) -> agenda -> walk        threshold: line before the door -> gate -> the other side, or not

Gates, signatures and decisions are real; people and metal are not. A walker goes through a door when its gate says so,
stays where a door refused him, and is there again when the simulator is started anew. Where somebody is and where the
site must believe them to be is kept apart: who followed another through a door is astray, and known to be. Stock readers
are played as their makers built them: their JSON goes to the broker, and the bridge does the rest.

The day is compressed, the protocol is not: gates wait as long as gates do, and the service decides by its own clock.
So hours hold as they are by the wall, whatever the simulated day says.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import structlog

from devices.settings import SettingsError, read_gate_folder
from devices.simulator.course import Course, Pace, time_of
from devices.simulator.day_clock import DayClock, unless_stopped
from devices.simulator.faults import NO_FAULTS, Faults
from devices.simulator.faulty_link import Weather
from devices.simulator.gates import Post
from devices.simulator.people import read_people
from devices.simulator.promises import Promises
from devices.simulator.routes import allowed_points
from devices.simulator.seen import Seen, latency
from devices.simulator.served import PEOPLE
from devices.simulator.stock import StockReaders
from devices.simulator.threshold import LOOK_EVERY, Threshold
from devices.simulator.walker import Walker
from devices.simulator.whereabouts import Whereabouts
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import GateId, HolderId, ZoneId
from gatekeeper.model.policy import Policy

__all__ = ["Barracks"]

_PATIENCE: Final = 10.0
_LAST_WORDS: Final = 14.0
_WHEREABOUTS: Final = "whereabouts.json"
_log = structlog.get_logger()


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
        """Read the folder. Raises `SettingsError` when no gate's folder or the policy is in order, and `BrokerUrlError`."""
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
        self._clock: DayClock | None = None

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
        self._walkers = self._chosen(people)
        async with AsyncExitStack() as stack:
            tele = stack.enter_context(self._readers)
            posts = await stack.enter_async_context(asyncio.TaskGroup())
            standing = [posts.create_task(post.stand(), name=gate) for gate, post in self._posts.items()]
            try:
                await unless_stopped(self._all_at_work(), stop)
                if not stop.is_set():
                    self._clock = DayClock(speed=self._pace.speed, begins=self._pace.begins, stop=stop)
                    self._weather.calm = False
                    await self._course(self._clock, tele).run()
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
            "clock": "" if self._clock is None else time_of(self._clock.now),
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
        """A post for each gate that can be one here; one that was enrolled elsewhere has its key there."""
        folders, refused = _that_can_be_read(gates)
        if not folders:
            raise refused[0]
        for why in refused:
            _log.warning("nobody walks through this gate", why=str(why))
        first = read_gate_folder(folders[0])
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
            for place in folders
        ]
        return promises, {post.gate: post for post in posts}

    # -- the days -----------------------------------------------------------------------------------------------------

    def _chosen(self, people: int) -> list[Walker]:
        drawing = random.Random(self._seed)  # noqa: S311 - who walks, no secret
        chosen = drawing.sample(self._people, min(people, len(self._people)))
        here = {door: point for door, point in self._policy.points.items() if point.gate in self._posts}
        doors = {bare: tuple(allowed_points(here, stock=self._stock, bare=bare)) for bare in (False, True)}
        return [
            Walker(
                person=person,
                doors=doors[person.card is not None],
                zone=self._whereabouts[person.holder],
                goal=self._whereabouts[person.holder],
            )
            for person in chosen
        ]

    def _course(self, clock: DayClock, readers: StockReaders) -> Course:
        threshold = Threshold(
            policy=self._policy,
            posts=self._posts,
            stock=self._stock,
            readers=readers,
            whereabouts=self._whereabouts,
            promises=self._promises,
            seen=self._seen,
            seed=self._seed,
            habits=self._pace.habits,
            clock=clock,
        )
        return Course(
            walkers=self._walkers,
            pace=self._pace,
            seed=self._seed,
            faults=self._weather.faults,
            threshold=threshold,
        )

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _last_words(self) -> None:
        """Wait until every door is locked and what gates have to tell is recorded; no faults meet that."""
        self._weather.calm = True
        loop = asyncio.get_running_loop()
        until = loop.time() + _LAST_WORDS
        while self._is_restless and loop.time() < until:  # noqa: ASYNC110 - what is pure sets no event
            await asyncio.sleep(LOOK_EVERY)

    @property
    def _is_restless(self) -> bool:
        """Whether something is to be recorded yet, was not even sent, or a door is released."""
        told = all(post.has_told for post in self._posts.values())
        return bool(self._promises.pending or self._promises.released_now) or not told

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


def _that_can_be_read(gates: list[Path]) -> tuple[list[Path], list[SettingsError]]:
    folders, refused = [], []
    for place in gates:
        try:
            read_gate_folder(place)
        except SettingsError as error:
            refused.append(error)
        else:
            folders.append(place)
    return folders, refused


def _policy(folder: Path, trust: Trust) -> Policy:
    policy = compile_from((folder / "policy.cose").read_bytes(), trust=trust)
    if isinstance(policy, PolicyRefused):
        raise SettingsError(f"The policy of {folder} is not believed: {policy.code.sentence}")
    return policy
