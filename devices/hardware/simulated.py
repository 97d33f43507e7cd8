"""A simulated access point, and the badges that people carry to it. It obeys, and remembers what it was told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from devices.core.events import Signal
from devices.hardware.ports import Badge, Fittings, Switch
from gatekeeper import cose
from gatekeeper.model.badges import Card
from gatekeeper.model.messages import ByCard, ByToken, Credential

__all__ = ["SimulatedBadge", "SimulatedDoor", "SimulatedReader", "SimulatedSwitch"]

_MOST_WAITING = 16
_REMEMBERED = 100


@dataclass(frozen=True, slots=True)
class SimulatedBadge:
    """A badge in somebody's hand: key-bound with a key, otherwise a bearer token or a bare card number."""

    credential: Credential
    key: cose.SigningKey | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)

    @classmethod
    def key_bound(cls, token: bytes, key: cose.SigningKey) -> "SimulatedBadge":
        """A badge that can prove its key."""
        return cls(ByToken(token), key)

    @classmethod
    def bearer(cls, token: bytes) -> "SimulatedBadge":
        """A token on paper or a screen."""
        return cls(ByToken(token))

    @classmethod
    def card(cls, card: Card) -> "SimulatedBadge":
        """A card that knows its number and nothing else."""
        return cls(ByCard(card))

    async def prove(self, digest: bytes) -> bytes | None:
        """Sign at once."""
        return self.key.sign(digest) if self.key is not None else None


class SimulatedReader:
    """A reader to which badges are held by calling `hold`."""

    def __init__(self) -> None:
        self._held: asyncio.Queue[Badge] = asyncio.Queue(_MOST_WAITING)

    def hold(self, badge: Badge) -> None:
        """Hold a badge to the reader."""
        self._held.put_nowait(badge)

    async def badges(self) -> AsyncIterator[Badge]:
        """Each badge that was held."""
        while True:
            yield await self._held.get()


class SimulatedSwitch:
    """A button, a housing or a fire panel that somebody moves by calling `turn`."""

    def __init__(self) -> None:
        self.is_on = False
        self._turned: asyncio.Queue[bool] = asyncio.Queue(_MOST_WAITING)

    def turn(self, *, on: bool) -> None:
        """Make it so, or end it."""
        self.is_on = on
        self._turned.put_nowait(on)

    async def changes(self) -> AsyncIterator[bool]:
        """Each turn of the switch; it begins off."""
        yield self.is_on
        while True:
            yield await self._turned.get()


class SimulatedDoor:
    """Strike, contact and display of one door; somebody can `open` and `close` it, locked or not."""

    def __init__(self) -> None:
        self.is_open = False
        self.released: timedelta | None = None
        self.shown: deque[tuple[Signal, int | None, int | None]] = deque(maxlen=_REMEMBERED)
        self._moved: asyncio.Queue[bool] = asyncio.Queue(_MOST_WAITING)

    def release(self, lasting: timedelta) -> None:
        """Let the door open."""
        self.released = lasting

    def secure(self) -> None:
        """Hold the door."""
        self.released = None

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Remember what whoever stands there sees."""
        self.shown.append((signal, reason, entry))

    def open(self) -> None:
        """Open the door, by the handle or by force."""
        self._move(opened=True)

    def close(self) -> None:
        """Close the door."""
        self._move(opened=False)

    def _move(self, *, opened: bool) -> None:
        self.is_open = opened
        self._moved.put_nowait(opened)

    async def changes(self) -> AsyncIterator[bool]:
        """Each move of the door; it begins closed."""
        yield self.is_open
        while True:
            yield await self._moved.get()

    def fittings(
        self,
        reader: SimulatedReader,
        *,
        has_contact: bool = True,
        request_to_exit: Switch | None = None,
        tamper: Switch | None = None,
        fire: Switch | None = None,
    ) -> Fittings:
        """All fittings of the access point."""
        return Fittings(
            reader=reader,
            strike=self,
            contact=self if has_contact else None,
            display=self,
            request_to_exit=request_to_exit,
            tamper=tamper,
            fire=fire,
        )
