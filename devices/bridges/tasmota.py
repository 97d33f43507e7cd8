"""A Tasmota reader with its relay, as the fittings of a gate's access point.

The card it reads is presented like any other; a grant becomes one command to the relay, never retained and at QoS 0, so that
no broker can keep it for later. A denial sends nothing. There is no contact: whether somebody went through after a grant is
not known and not said, and presence keeps the quality `granted`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from devices.bridges.repeats import Repeats
from devices.bridges.tasmota_format import NoCard, opening, read_sensor, securing
from devices.core.events import Signal
from devices.hardware.ports import Badge, Fittings
from devices.link import GateLink, Message, Route
from gatekeeper.model.badges import Card
from gatekeeper.model.messages import ByCard, Credential

__all__ = ["TasmotaBridge"]

_MOST_WAITING: Final = 16


class _BareCard:
    """A number, and nothing that could prove anything."""

    pin = None

    def __init__(self, card: Card) -> None:
        self.credential: Credential = ByCard(card)

    async def prove(self, _digest: bytes) -> None:
        """Nothing."""


class TasmotaBridge:
    """Reader, strike and display of one access point, on one reader's topic."""

    def __init__(self, link: GateLink, *, topic: str) -> None:
        self._link = link
        self._topic = topic
        self._repeats = Repeats()
        self._waiting: asyncio.Queue[Badge] = asyncio.Queue(_MOST_WAITING)
        #: what came on the topic and presented no card, by why
        self.no_card: Counter[NoCard] = Counter()

    @property
    def fittings(self) -> Fittings:
        """What the agent needs of an access point; there is no contact."""
        return Fittings(reader=self, strike=self, contact=None, display=self)

    @property
    def routes(self) -> dict[str, Route]:
        """What the link must listen to. A retained message is an old card and nobody's wish to enter."""
        return {self._topic: Route(self._hear, retained=False)}

    async def badges(self) -> AsyncIterator[Badge]:
        """Each card as the reader tells of it."""
        while True:
            yield await self._waiting.get()

    def release(self, lasting: timedelta) -> None:
        """Have the relay let the door open for a while."""
        topic, payload = opening(self._topic, lasting)
        self._link.publish(topic, payload, qos=0)

    def secure(self) -> None:
        """Have the relay fall, in case it did not by itself."""
        topic, payload = securing(self._topic)
        self._link.publish(topic, payload, qos=0)

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Nothing: the reader has no display."""

    def _hear(self, message: Message) -> None:
        card = read_sensor(message.payload)
        if isinstance(card, NoCard):
            self.no_card[card] += 1
        elif not self._repeats.is_repeat(card, at=asyncio.get_running_loop().time()):
            if self._waiting.full():
                self._waiting.get_nowait()  # a card that waited is not at the reader any more
            self._waiting.put_nowait(_BareCard(card))
