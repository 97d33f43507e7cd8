"""Readers that exist today, with a door each: played as their makers built them, one card at a time.

A stock reader has no display, so whoever stands there learns from the door alone whether it opened; here the bridge's
answer is taken where a display would be. A reader that is shown the same card within a second tells of it once.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices.agent import Outcome
from devices.core.events import Signal
from devices.link import BrokerUrl
from devices.settings import SettingsError

__all__ = ["StockDoor", "StockReaders"]

_PATIENCE = 10.0
"""Longer than any gate takes to answer or to give up: after this the card was not heard at all."""
_SAME_CARD = 1.2

Hold: TypeAlias = Callable[[str, str, bytes], None]
"""Holds a card to the reader of a topic, as `StockReaders.show` does."""


class StockReaders:
    """Tasmota devices, as they come: each shows the card that is held to it as JSON on its topic."""

    def __init__(self, broker: str) -> None:
        """Read the broker's URL. Raises `SettingsError`, and `BrokerUrlError` for one that is none."""
        self._broker = BrokerUrl.parse(broker)
        if self._broker.encrypted:
            raise SettingsError("Stock readers speak without TLS: name their broker as mqtt://host[:port].")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)

    def __enter__(self) -> Self:
        """Go to the broker. Raises `SettingsError` when there is none."""
        try:
            self._client.connect(self._broker.host, self._broker.port)
        except OSError as error:
            raise SettingsError(f"Stock readers find no broker at {self._broker}: {error}.") from error
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def show(self, topic: str, technology: str, number: bytes) -> None:
        """Hold a card to the reader of a topic."""
        reading: dict[str, Any]
        if technology == "wiegand":
            reading = {"Wiegand": {"UID": int.from_bytes(number, "big"), "Size": 34}}
        else:
            reading = {"RC522": {"UID": number.hex().upper(), "Data": "", "Type": "MIFARE 1KB"}}
        text = json.dumps({"Time": "2021-01-23T13:10:50", **reading}, separators=(",", ":"))
        self._client.publish(topic, text)


class StockDoor:
    """The door of one stock reader, before which people wait in line; the display that its gate is given."""

    def __init__(self, topic: str, *, on_denied: Callable[[int], None], patience: float = _PATIENCE) -> None:
        self._topic = topic
        self._on_denied = on_denied
        self._patience = patience
        self._line = asyncio.Lock()
        self._answer: asyncio.Future[Outcome] | None = None
        self._last: tuple[bytes, float] | None = None

    async def present(self, hold: Hold, technology: str, number: bytes) -> Outcome | None:
        """Hold a card to the reader when it is one's turn, and wait for the answer; None when there was none."""
        async with self._line:
            await self._forgotten(number)
            loop = asyncio.get_running_loop()
            self._answer, self._last = loop.create_future(), (number, loop.time())
            hold(self._topic, technology, number)
            try:
                async with asyncio.timeout(self._patience):
                    return await self._answer
            except TimeoutError:
                return None
            finally:
                self._answer = None

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Tell whoever waits before the door, and of every refusal those who count them."""
        if signal is Signal.DENIED and reason is not None:
            self._on_denied(reason)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Outcome(signal=signal, reason=reason, entry=entry, latency=None))

    async def _forgotten(self, number: bytes) -> None:
        """Wait until the reader would not take this card for the one it has just seen."""
        if self._last is not None and self._last[0] == number:
            await asyncio.sleep(self._last[1] + _SAME_CARD - asyncio.get_running_loop().time())
