"""The gates of a simulated barracks: agents as they run at real gates, with simulated doors, and power that can go.

A `Post` is where one gate stands. Its agent can vanish without a goodbye and start again, with a new boot and whatever it
keeps on its disk.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from devices.agent import GateAgent
from devices.app import open_journal
from devices.bridges.settings import TasmotaSettings
from devices.bridges.tasmota import TasmotaBridge
from devices.core.events import Signal, WallTime
from devices.core.tally import Tally
from devices.hardware.ports import Badge, Display, Fittings, Strike
from devices.link import Route
from devices.settings import GateSettings, read_gate_folder
from devices.simulator.faults import skew_of
from devices.simulator.faulty_link import FaultyLink, Weather
from devices.simulator.promises import Promises
from devices.simulator.stock import StockDoor
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["Post"]


class _NoReader:
    """Badges are presented by the simulator, in the agent's own event loop."""

    async def badges(self) -> AsyncIterator[Badge]:
        """None."""
        nobody: tuple[Badge, ...] = ()
        for badge in nobody:
            yield badge


class _WatchedStrike:
    """A strike that tells the promises; `beside` is the one that really moves, where there is one."""

    def __init__(
        self,
        promises: Promises,
        gate: GateId,
        access_point: AccessPointId,
        beside: Strike | None = None,
    ) -> None:
        self._promises = promises
        self._place = gate, access_point
        self._beside = beside

    def release(self, lasting: timedelta) -> None:
        """Let the door open."""
        self._promises.released(*self._place)
        if self._beside is not None:
            self._beside.release(lasting)

    def secure(self) -> None:
        """Hold the door."""
        self._promises.secured(*self._place)
        if self._beside is not None:
            self._beside.secure()


class _NoDisplay:
    """Who presents a badge hears of it from the agent."""

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Nothing."""


class Post:
    """One gate's place, for as long as `stand` runs."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: str,
        weather: Weather,
        promises: Promises,
        on_denied: Callable[[int], None],
        seed: int,
    ) -> None:
        """Read the gate's folder. Raises `SettingsError`."""
        self.settings: GateSettings = read_gate_folder(folder)
        self._folder: Final = folder
        self._broker: Final = broker
        self._weather: Final = weather
        self._promises: Final = promises
        self._drawing: Final = random.Random(f"{seed}/link/{self.gate}")  # noqa: S311 - plausible faults
        self._skew: Final = skew_of(self.gate, weather.faults, seed=seed)
        bridge = self.settings.bridge if isinstance(self.settings.bridge, TasmotaSettings) else None
        self._bridge: Final = bridge
        self.stock: Final = None if bridge is None else StockDoor(bridge.topic, on_denied=on_denied)
        self._former: list[Tally] = []
        self._link: FaultyLink | None = None
        self._agent: GateAgent | None = None
        self._heard = asyncio.Event()
        self._gone = asyncio.Event()
        self.power_cuts = 0

    @property
    def gate(self) -> GateId:
        """Which gate it is."""
        return self.settings.gate

    @property
    def held_seconds(self) -> float:
        """After how long its doors count as held open."""
        return max(door.held.total_seconds() for door in self.settings.doorways)

    @property
    def tallies(self) -> list[Tally]:
        """What each agent here saw, one after the other."""
        return [*self._former, *([self._agent.tally] if self._agent is not None else [])]

    @property
    def has_told(self) -> bool:
        """Whether all that happened at its doors is recorded."""
        agent = self._agent
        return agent is None or all(agent.has_told(door.id) for door in self.settings.doorways)

    async def agent(self) -> GateAgent:
        """The agent at work, once it has heard the service."""
        while True:
            await self._heard.wait()
            if self._agent is not None:
                return self._agent

    def feel(self, access_point: AccessPointId, *, opened: bool) -> bool:
        """Open or close a door; whether there is an agent that feels it."""
        if self._agent is not None:
            self._agent.feel(access_point, opened=opened)
        return self._agent is not None

    def offer(self, access_point: AccessPointId, badge: Badge) -> None:
        """Present a badge and look at nothing."""
        if self._agent is not None:
            self._agent.offer(access_point, badge)

    def cut_power(self) -> bool:
        """Have the agent vanish; whether there was one that had begun its work."""
        if self._link is None or not self._heard.is_set():
            return False
        self.power_cuts += 1
        self._heard.clear()
        self._link.cut = True
        self._gone.set()
        return True

    async def stand(self) -> None:
        """Be this gate, with one agent after another, until cancelled."""
        while True:
            self._gone.clear()
            agent, self._link = self._made()
            try:
                async with agent:
                    self._agent = agent
                    for doorway in self.settings.doorways:
                        agent.feel(doorway.id, opened=False)
                    await agent.service_heard()
                    self._heard.set()
                    await self._gone.wait()
            finally:
                self._heard.clear()
                self._agent = None
                self._former.append(agent.tally)
            self.settings = read_gate_folder(self._folder)

    def _made(self) -> tuple[GateAgent, FaultyLink]:
        settings = self.settings
        link = FaultyLink(
            self._broker,
            gate=settings.gate,
            password=settings.password,
            prefix=settings.prefix,
            decision_topic=gate_topic(settings.site, settings.gate, Channel.DECISION, prefix=settings.prefix),
            weather=self._weather,
            promises=self._promises,
            drawing=self._drawing,
        )
        if self._bridge is None or self.stock is None:
            fittings = {door.id: self._fittings(door.id) for door in settings.doorways}
            return self._agent_of(link, fittings), link
        bridge, point = TasmotaBridge(link, topic=self._bridge.topic), self._bridge.access_point
        fitted = replace(
            bridge.fittings, strike=self._strike(point, bridge.fittings.strike), display=self.stock
        )
        return self._agent_of(link, {point: fitted}, routes=bridge.routes), link

    def _agent_of(
        self,
        link: FaultyLink,
        fittings: Mapping[AccessPointId, Fittings],
        *,
        routes: Mapping[str, Route] | None = None,
    ) -> GateAgent:
        return GateAgent(
            self.settings,
            link,
            open_journal=partial(open_journal, self.settings),
            fittings=fittings,
            routes=routes,
            wall_clock=self._wall_clock,
        )

    def _fittings(self, point: AccessPointId) -> Fittings:
        display: Display = _NoDisplay()
        return Fittings(reader=_NoReader(), strike=self._strike(point), contact=None, display=display)

    def _strike(self, point: AccessPointId, beside: Strike | None = None) -> Strike:
        return _WatchedStrike(self._promises, self.gate, point, beside)

    def _wall_clock(self) -> WallTime:
        return WallTime(datetime.now(UTC) + self._skew, ClockQuality.FREE_RUNNING)
