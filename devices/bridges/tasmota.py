"""A Tasmota reader with its relay, as the fittings of a gate's access point.

The card it reads is presented like any other; a grant becomes one command to the relay, never retained and at QoS 0, so that
no broker can keep it for later. A denial sends nothing. There is no contact: whether somebody went through after a grant is
not known and not said, and presence keeps the quality `granted`.
"""

import asyncio
from collections import Counter
from datetime import timedelta

from devices.bridges.fitted import BridgedDoor
from devices.bridges.repeats import Repeats
from devices.bridges.tasmota_format import NoCard, opening, read_sensor, securing
from devices.hardware.ports import Fittings
from devices.link import GateLink, Message, Route

__all__ = ["TasmotaBridge"]


class TasmotaBridge:
    """Reader, strike and display of one access point, on one reader's topic."""

    def __init__(self, link: GateLink, *, topic: str) -> None:
        self._link = link
        self._topic = topic
        self._repeats = Repeats()
        self._door = BridgedDoor(release=self._release, secure=self._secure)
        #: what came on the topic and presented no card, by why
        self.no_card: Counter[NoCard] = Counter()

    @property
    def fittings(self) -> Fittings:
        """What the agent needs of an access point; there is no contact."""
        return self._door.fittings

    @property
    def routes(self) -> dict[str, Route]:
        """What the link must listen to. A retained message is an old card and nobody's wish to enter."""
        return {self._topic: Route(self._hear, retained=False)}

    def _release(self, lasting: timedelta) -> None:
        topic, payload = opening(self._topic, lasting)
        self._link.publish(topic, payload, qos=0)

    def _secure(self) -> None:
        topic, payload = securing(self._topic)
        self._link.publish(topic, payload, qos=0)

    def _hear(self, message: Message) -> None:
        card = read_sensor(message.payload)
        if isinstance(card, NoCard):
            self.no_card[card] += 1
        elif not self._repeats.is_repeat(card, at=asyncio.get_running_loop().time()):
            self._door.present(card)
