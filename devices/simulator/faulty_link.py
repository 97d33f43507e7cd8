"""A gate's link whose messages meet faults, both ways, before they meet the broker or the gate.

    controller -> publish -> [watch] -> faults -> broker          broker -> faults -> [watch] -> agent

What a stock reader and its bridge say to each other is left alone. Calm, every message goes as it is; so a simulation
begins with every gate at work, and ends with its last words said.
"""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from typing_extensions import override

from devices.link import GateLink, Message, Route
from devices.simulator.faults import Fate, Faults, fate
from devices.simulator.promises import Promises
from gatekeeper import cose
from gatekeeper.core.scan import Authentic, UpwardMessage
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import (
    ANSWER_VALIDITY,
    DECISION_TYPE,
    HELLO_TYPE,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    Answer,
    Hello,
    Passage,
    Scan,
    Status,
    Verdict,
)
from gatekeeper.model.reasons import Reason

__all__ = ["FaultyLink", "Injected", "Weather"]

_BEHIND_AT_MOST: Final = 1.0
_TYPES: Final[Mapping[type[UpwardMessage], str]] = {
    Scan: SCAN_TYPE,
    Passage: PASSAGE_TYPE,
    Status: STATUS_TYPE,
    Hello: HELLO_TYPE,
}
_INVENTED_UNLOCK: Final = timedelta(seconds=5)


class Injected(Counter[str]):
    """How many faults were done, by name."""


@dataclass(slots=True, kw_only=True)
class Weather:
    """What all links of a simulation share: the faults, how many were done, and whether there are any just now."""

    faults: Faults
    injected: Injected = field(default_factory=Injected)
    calm: bool = True
    stranger: cose.SigningKey = field(default_factory=cose.SigningKey.generate, repr=False)


class FaultyLink(GateLink):
    """One gate's session. `cut` makes the next close a power cut: no goodbye."""

    def __init__(
        self,
        url: str,
        *,
        gate: GateId,
        password: str | None,
        prefix: str,
        decision_topic: str,
        weather: Weather,
        promises: Promises,
        drawing: random.Random,
    ) -> None:
        super().__init__(url, gate=gate, password=password)
        self._of: Final = gate
        self._own: Final = f"{prefix}/"
        self._decision_topic: Final = decision_topic
        self._weather: Final = weather
        self._promises: Final = promises
        self._drawing: Final = drawing
        self._up_lane: Final = _Lane(weather.injected)
        self._down_lane: Final = _Lane(weather.injected)
        self._decisions: Callable[[Message], None] = lambda _message: None
        self.cut = False

    @override
    async def open(self, *, routes: Mapping[str, Route], on_link: Callable[[bool], None]) -> None:
        faulty = {
            topic: self._faulty(route) if topic.startswith(self._own) else route
            for topic, route in routes.items()
        }
        if self._decision_topic in routes:
            self._decisions = routes[self._decision_topic].deliver
        await super().open(routes=faulty, on_link=on_link)

    @override
    async def close(self) -> None:
        for lane in (self._up_lane, self._down_lane):
            lane.forget()
        if self.cut:
            self._promises.power_lost(self._of)
            await self.vanish()
        else:
            await super().close()

    @override
    def publish(self, topic: str, payload: bytes, *, qos: int) -> None:
        if not topic.startswith(self._own):
            super().publish(topic, payload, qos=qos)
            return
        read = self._promises.sent(self._of, topic, payload)

        def send(wire: bytes) -> None:
            super(FaultyLink, self).publish(topic, wire, qos=qos)

        meets = self._fate()
        if meets is None:
            send(payload)
            return
        if meets.forged:
            self._weather.injected["forge"] += 1
            send(self._falsified(topic, payload, read))
            if read is not None and isinstance(read.message, Scan):
                self._invent_grant(payload)
        self._up_lane.take(meets, lambda: send(payload))

    # -- faults -------------------------------------------------------------------------------------------------------

    def _fate(self) -> Fate | None:
        if self._weather.calm or not self._weather.faults:
            return None
        return fate(self._weather.faults, self._drawing)

    def _faulty(self, route: Route) -> Route:
        def deliver(message: Message) -> None:
            if message.topic == self._decision_topic:
                self._promises.arrived(self._of, message.topic, message.payload)
            route.deliver(message)

        def meet(message: Message) -> None:
            meets = self._fate()
            if meets is None:
                deliver(message)
                return
            if meets.forged:
                self._weather.injected["forge"] += 1
                deliver(Message(message.topic, self._altered(message.payload), message.retained))
            self._down_lane.take(meets, lambda: deliver(message))

        return Route(meet, retained=route.retained)

    def _falsified(self, topic: str, wire: bytes, read: Authentic | None) -> bytes:
        """The message altered, or what it says signed by somebody else."""
        if read is None or self._drawing.random() < 0.5:
            return self._altered(wire)
        return cose.sign(
            read.message.payload(),
            key=self._weather.stranger,
            typ=_TYPES[type(read.message)],
            external_aad=topic.encode(),
        )

    def _altered(self, wire: bytes) -> bytes:
        at = self._drawing.randrange(len(wire))
        return wire[:at] + bytes((wire[at] ^ 1 << self._drawing.randrange(8),)) + wire[at + 1 :]

    def _invent_grant(self, scan: bytes) -> None:
        """What an attacker would send who has the broker and wants this door open: all right but the signature."""
        grant = Answer(
            message=sha256(scan).digest(),
            gate=self._of,
            verdict=Verdict.GRANTED,
            reason=Reason.GRANTED.bacnet,
            issued=datetime.now(UTC),
            valid=ANSWER_VALIDITY,
            unlock=_INVENTED_UNLOCK,
            policy=secrets.token_bytes(32),
            entry=1,
        )
        self._weather.injected["forge-grant"] += 1
        topic = self._decision_topic
        wire = cose.sign(
            grant.payload(), key=self._weather.stranger, typ=DECISION_TYPE, external_aad=topic.encode()
        )
        # Not at once: the agent is in the midst of the step that sends the scan.
        asyncio.get_running_loop().call_soon(self._decisions, Message(topic, wire, retained=False))


class _Lane:
    """One direction: what is under way, late or waiting to be overtaken."""

    def __init__(self, injected: Injected) -> None:
        self._injected = injected
        self._timers: set[asyncio.TimerHandle] = set()
        self._overtaken: Callable[[], None] | None = None

    def take(self, meets: Fate, send: Callable[[], None]) -> None:
        """Let a message meet its fate."""
        overtaken, self._overtaken = self._overtaken, None
        if meets.lost:
            self._injected["loss"] += 1
        elif meets.behind_next:
            self._injected["reorder"] += 1
            self._overtaken = send
            self._later(timedelta(seconds=_BEHIND_AT_MOST), self._let_go)
        elif meets.late:
            self._injected["delay"] += 1
            self._later(meets.late, send)
        else:
            send()
        if meets.again is not None:
            self._injected["repeat"] += 1
            self._later(meets.late + meets.again, send)
        if overtaken is not None:
            overtaken()

    def forget(self) -> None:
        """Lose what is under way."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._overtaken = None

    def _let_go(self) -> None:
        overtaken, self._overtaken = self._overtaken, None
        if overtaken is not None:
            overtaken()

    def _later(self, after: timedelta, send: Callable[[], None]) -> None:
        def fire() -> None:
            self._timers.discard(handle)
            send()

        handle = asyncio.get_running_loop().call_later(after.total_seconds(), fire)
        self._timers.add(handle)
