"""A site full of people who walk: one agent for each gate, one walker for each person.

Gates, signatures and decisions are real; people and metal are not. A walker goes through a door when its gate says so,
stays where a door refused him, and is there again when the simulator is started anew: what the barracks believes of a
person is where that person really is. Stock readers are played as their makers built them: their JSON goes to the broker,
and the bridge does the rest.
"""

import asyncio
import json
import random
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from devices.agent import GateAgent, Outcome
from devices.app import make_gate
from devices.bridges.settings import TasmotaSettings
from devices.bridges.tasmota import TasmotaBridge
from devices.core.events import Signal
from devices.hardware.simulated import SimulatedBadge
from devices.link import GateLink
from devices.settings import GateSettings, SettingsError, read_gate_folder
from devices.simulator.days import HESITATION, Stay, stays
from devices.simulator.routes import allowed_points, route
from devices.simulator.stock import StockDoor, StockReaders
from devices.simulator.whereabouts import Whereabouts
from gatekeeper import cose
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, ZoneId
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason

__all__ = ["Barracks", "SimulatedPerson", "read_people"]

_BETWEEN_DOORS = timedelta(minutes=1)
_BUSY_PAUSE = 0.2
_LAST_REPORTS = 1.0
_LAST_ANSWER = 6.0
_WHEREABOUTS = "whereabouts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPerson:
    """A person of the example site with the badge in their pocket. `card` is (technology, number) of a bare card."""

    holder: HolderId
    routine: str
    home: ZoneId
    badge: SimulatedBadge | None
    card: tuple[str, bytes] | None


@dataclass(slots=True, kw_only=True)
class _Walker:
    """A person on their way, with the doors that may be for them and the moods they are in before each."""

    person: SimulatedPerson
    doors: list[Point]
    drawing: random.Random

    def learn(self, door: Point, reason: int) -> None:
        """Give a door up that said to have no right for this person: it will say so tomorrow."""
        if Reason.of_number(reason) is Reason.NO_ACCESS_RIGHTS:
            self.doors.remove(door)


@dataclass(slots=True)
class _Seen:
    """What came of the scans."""

    denied: Counter[str] = field(default_factory=Counter)
    passages: Counter[str] = field(default_factory=Counter)


def read_people(path: Path) -> list[SimulatedPerson]:
    """Read the people that the ceremony made for an example site."""
    return [_person(written) for written in json.loads(path.read_text("utf-8"))]


def _person(written: Mapping[str, Any]) -> SimulatedPerson:
    badge = written["badge"]
    token = b64decode(badge["token"])
    card = badge["card"]
    held: SimulatedBadge | None = None
    if badge["key"] is not None:
        held = SimulatedBadge.key_bound(token, cose.SigningKey.from_pem(badge["key"].encode()))
    elif card is None:
        held = SimulatedBadge.bearer(token)
    return SimulatedPerson(
        holder=HolderId(written["holder"]),
        routine=written["routine"],
        home=ZoneId(written["home"]),
        badge=held,
        card=None if card is None else (card["technology"], bytes.fromhex(card["number"])),
    )


class Barracks:
    """The gates and the people of one site folder."""

    def __init__(self, folder: Path, *, broker: str, readers: str, speed: float, seed: int) -> None:
        """Read the folder. Raises `SettingsError` when a gate's folder or the policy is not in order."""
        self._broker = broker
        self._readers = urlsplit(readers)
        self._speed = speed
        self._seed = seed
        settings = [read_gate_folder(place) for place in sorted((folder / "gates").iterdir())]
        self._policy = _policy(folder, settings[0])
        self._people = read_people(folder / "people.json")
        self._whereabouts = Whereabouts(folder / _WHEREABOUTS, outside=self._policy.outside)
        self._seen = _Seen()
        self._released_until = 0.0
        self._stock: dict[AccessPointId, StockDoor] = {}
        self._agents: dict[GateId, GateAgent] = {gate.gate: self._agent(gate) for gate in settings}

    async def live(self, *, people: int) -> None:
        """Let people walk until cancelled."""
        chosen = random.Random(self._seed).sample(self._people, min(people, len(self._people)))  # noqa: S311 - who walks, no secret
        async with AsyncExitStack() as stack:
            for agent in self._agents.values():
                await stack.enter_async_context(agent)
            tele = stack.enter_context(
                StockReaders(self._readers.hostname or "127.0.0.1", self._readers.port or 1883)
            )
            for agent in self._agents.values():
                await agent.service_heard()
            try:
                async with asyncio.TaskGroup() as walkers:
                    for person in chosen:
                        walkers.create_task(self._walk(person, tele), name=person.holder)
            finally:
                self._whereabouts.keep()
                # A door that nobody went through says so when it locks again.
                released = self._released_until - asyncio.get_running_loop().time()
                await asyncio.sleep(max(released, 0) + _LAST_REPORTS)

    def report(self) -> dict[str, Any]:
        """What the gates saw."""
        tallies = {gate: agent.tally for gate, agent in self._agents.items()}
        latencies = sorted(
            latency.total_seconds() * 1000 for tally in tallies.values() for latency in tally.latencies
        )
        return {
            "scans": sum(tally.scans for tally in tallies.values()),
            "granted": sum(tally.granted for tally in tallies.values()),
            "denied": dict(sorted(self._seen.denied.items())),
            "unanswered": sum(tally.given_up for tally in tallies.values()),
            "no_service": sum(tally.no_service for tally in tallies.values()),
            "passages": dict(sorted(self._seen.passages.items())),
            "openings": [
                {
                    "gate": gate,
                    "access_point": unlocked.access_point,
                    "entry": unlocked.entry,
                    "message": unlocked.scan.hex(),
                }
                for gate, tally in tallies.items()
                for unlocked in tally.unlocks
            ],
            "latency_ms": _latency(latencies),
        }

    # -- gates ----------------------------------------------------------------------------------------------------

    def _agent(self, settings: GateSettings) -> GateAgent:
        if not isinstance(settings.bridge, TasmotaSettings):
            return make_gate(settings, broker=self._broker)
        door = StockDoor(settings.bridge.topic, on_denied=self._denied)
        self._stock[settings.bridge.access_point] = door
        link = GateLink(self._broker, gate=settings.gate, password=settings.password)
        bridge = TasmotaBridge(link, topic=settings.bridge.topic)
        fittings = replace(bridge.fittings, display=door)
        return GateAgent(
            settings, link, fittings={settings.bridge.access_point: fittings}, routes=bridge.routes
        )

    # -- people ---------------------------------------------------------------------------------------------------

    async def _walk(self, person: SimulatedPerson, tele: StockReaders) -> None:
        walker = _Walker(
            person=person,
            doors=allowed_points(self._policy.points, stock=self._stock, bare=person.card is not None),
            drawing=random.Random(f"{self._seed}/{person.holder}/doors"),  # noqa: S311 - plausible people, not secrets
        )
        days = self._stays(person, sorted({door.target for door in walker.doors}))
        await self._pass_time(next(days).lasting)
        if self._whereabouts[person.holder] == person.home:
            next(days)  # the stay in whose midst the former run ended
        for stay in days:
            await self._go(walker, stay.zone, tele)
            await self._pass_time(stay.lasting)

    async def _go(self, walker: "_Walker", goal: ZoneId, tele: StockReaders) -> None:
        """Go door by door, round those that are not for this person, until there or turned away."""
        holder = walker.person.holder
        while way := route(walker.doors, start=self._whereabouts[holder], goal=goal):
            await self._pass_time(_BETWEEN_DOORS)
            if await self._through(walker, way[0], tele):
                continue
            if way[0] in walker.doors:
                return

    async def _through(self, walker: "_Walker", door: Point, tele: StockReaders) -> bool:
        """Try one door. Who stands before it when the simulator ends still gets an answer, and goes by it."""
        trying = asyncio.ensure_future(self._try(walker, door, tele))
        try:
            await asyncio.wait({trying})
        finally:
            await asyncio.wait({trying}, timeout=_LAST_ANSWER)
            through = trying.done() and trying.result()
            trying.cancel()
            if through:
                self._whereabouts[walker.person.holder] = door.target
        return through

    def _stays(self, person: SimulatedPerson, zones: list[ZoneId]) -> Iterator[Stay]:
        return stays(
            holder=person.holder,
            routine=person.routine,
            home=person.home,
            outside=self._policy.outside,
            zones=zones or [self._policy.outside],
            seed=self._seed,
        )

    async def _pass_time(self, lasting: timedelta) -> None:
        await asyncio.sleep(lasting.total_seconds() / self._speed)

    async def _try(self, walker: "_Walker", door: Point, tele: StockReaders) -> bool:
        """Try one door and wait for its answer; whether the person is on the other side now."""
        person = walker.person
        if person.card is not None:
            # Everybody who is let in walks through: such a door has no contact that could say otherwise.
            outcome, walks_through = await self._stock[door.id].present(tele.show, *person.card), True
        elif person.badge is not None:
            walks_through = walker.drawing.random() >= HESITATION
            outcome = await self._present(door, person.badge, walks_through=walks_through)
        else:
            return False
        if outcome is None:
            return False
        if outcome.signal is Signal.DENIED and outcome.reason is not None:
            walker.learn(door, outcome.reason)
        return outcome.granted and walks_through

    async def _present(self, point: Point, badge: SimulatedBadge, *, walks_through: bool) -> Outcome:
        """Present a badge, and wait in line while the reader is busy with somebody else's."""
        while True:
            outcome = await self._agents[point.gate].present(point.id, badge, walks_through=walks_through)
            if outcome.signal is not Signal.BUSY:
                break
            await asyncio.sleep(_BUSY_PAUSE)
        if outcome.granted:
            self._seen.passages["taken" if walks_through else "not-taken"] += 1
        if outcome.granted and not walks_through:
            until = asyncio.get_running_loop().time() + point.unlock.total_seconds()
            self._released_until = max(self._released_until, until)
        elif outcome.signal is Signal.DENIED and outcome.reason is not None:
            self._denied(outcome.reason)
        return outcome

    def _denied(self, reason: int) -> None:
        known = Reason.of_number(reason)
        self._seen.denied[known.code if known is not None else str(reason)] += 1


def _policy(folder: Path, settings: GateSettings) -> Policy:
    policy = compile_from((folder / "policy.cose").read_bytes(), trust=settings.trust)
    if isinstance(policy, PolicyRefused):
        raise SettingsError(f"The policy of {folder} is not believed: {policy.code.sentence}")
    return policy


def _latency(milliseconds: list[float]) -> dict[str, float | int | None]:
    if len(milliseconds) < 2:
        only = milliseconds[0] if milliseconds else None
        return {"p50": only, "p99": only, "max": only, "n": len(milliseconds)}
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 2),
        "p99": round(cuts[98], 2),
        "max": round(milliseconds[-1], 2),
        "n": len(milliseconds),
    }
