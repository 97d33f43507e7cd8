"""Cards that misbehave, each in its own way."""

import asyncio
from collections.abc import Callable

from devices.hardware.ports import HardwareError
from devices.hardware.software_card import SoftwareCard

__all__ = ["SilentCard", "Through"]


class Through:
    """A card whose answers pass through somebody's hands: (command, answer) -> answer, or None when it is gone."""

    def __init__(self, card: SoftwareCard, hand: Callable[[bytes, bytes], bytes | None]) -> None:
        self._card = card
        self._hand = hand

    async def transmit(self, command: bytes) -> bytes:
        answer = self._hand(command, await self._card.transmit(command))
        if answer is None:
            raise HardwareError("the card is gone")
        return answer


class SilentCard:
    """One that never answers."""

    async def transmit(self, command: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""
