"""One access point whose reader, strike, contact and housing are a device on the broker.

What the device tells of is handed to the agent in the order in which it was told, whatever it is: a card that is shown after
the door closed finds it closed. Of cards that wait while the agent is busy the oldest is dropped for the newest: nobody stands
there any more. What a door or its housing says is never dropped, for it is said once. That the device opened by itself goes
beside that line: it is about nobody's card, and waits for none.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from devices.core.events import Signal
from devices.hardware.ports import Badge, Fittings
from gatekeeper.model.badges import Card
from gatekeeper.model.messages import ByCard, Credential

__all__ = ["BridgedDoor", "Liveness", "Publish"]

Publish: TypeAlias = Callable[[str, bytes], None]
"""Sends topic and payload at QoS 0, never retained: no broker can keep for later what opens a door now."""

_MOST_CARDS: Final = 16


class _Kind(Enum):
    CARD = auto()
    CONTACT = auto()
    TAMPER = auto()
    BUTTON = auto()


class _Line:
    """What was told and not yet taken, of all kinds in one line; whoever takes waits until its kind is in front."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Kind, Any]] = deque()
        self._moved = asyncio.Event()

    def put(self, kind: _Kind, told: Any) -> None:
        self._waiting.append((kind, told))
        # INVARIANT: a card takes the place of a card, never of a door that was forced.
        cards = [place for place, (waiting, _) in enumerate(self._waiting) if waiting is _Kind.CARD]
        if len(cards) > _MOST_CARDS:
            del self._waiting[cards[0]]
        self._wake()

    async def take(self, kind: _Kind) -> Any:
        while not self._waiting or self._waiting[0][0] is not kind:
            await self._moved.wait()
        _, told = self._waiting.popleft()
        self._wake()
        return told

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


class _BareCard:
    """A number, and nothing that could prove anything."""

    pin = None

    def __init__(self, card: Card) -> None:
        self.credential: Credential = ByCard(card)

    async def prove(self, _digest: bytes) -> None:
        """Nothing."""


class _Told:
    """A contact or a switch, as the device tells of it; what it says twice is told once."""

    def __init__(self, line: _Line, kind: _Kind) -> None:
        self._line = line
        self._kind = kind
        self._is: bool | None = None

    def turn(self, *, on: bool) -> None:
        if on is not self._is:
            self._is = on
            self._line.put(self._kind, on)

    async def changes(self) -> AsyncIterator[bool]:
        while True:
            yield await self._line.take(self._kind)


class Liveness:
    """Whether a device was heard of within a while; false when it never was."""

    def __init__(self, within: timedelta) -> None:
        self._within = within.total_seconds()
        self._heard = asyncio.Event()

    def hear(self) -> None:
        """The device spoke."""
        self._heard.set()

    async def changes(self) -> AsyncIterator[bool]:
        """True as it is heard, False as it has been silent for too long, without end."""
        said: bool | None = None
        while True:
            try:
                async with asyncio.timeout(self._within):
                    await self._heard.wait()
            except TimeoutError:
                heard = False
            else:
                heard = True
                self._heard.clear()
            if heard is not said:
                said = heard
                yield heard


class _Openings:
    """How often the device opened by itself, and nobody was told yet."""

    def __init__(self) -> None:
        self._untold = 0
        self._more = asyncio.Event()

    def add(self) -> None:
        self._untold += 1
        self._more.set()

    async def openings(self) -> AsyncIterator[None]:
        while True:
            await self._more.wait()
            self._untold -= 1
            if not self._untold:
                self._more.clear()
            yield


class _Button:
    """The button beside the door, as a device tells of it: pressed and let go at once, after it was not."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def press(self) -> None:
        self._line.put(_Kind.BUTTON, None)

    async def changes(self) -> AsyncIterator[bool]:
        yield False
        while True:
            await self._line.take(_Kind.BUTTON)
            yield True
            yield False


class BridgedDoor:
    """Reader, strike and display of one access point, with a contact where the device has one.

    `release` and `secure` send the device what it takes for a command; a device that falls back by itself needs no `secure`.
    """

    def __init__(
        self,
        *,
        release: Callable[[timedelta], None],
        secure: Callable[[], None] | None = None,
        has_contact: bool = False,
        feels_tamper: bool = False,
        liveness: Liveness | None = None,
        has_button: bool = False,
    ) -> None:
        self._release = release
        self._secure = secure
        self._line = _Line()
        self._contact = _Told(self._line, _Kind.CONTACT) if has_contact else None
        self._tamper = _Told(self._line, _Kind.TAMPER) if feels_tamper else None
        self._liveness = liveness
        self._bypass = _Openings()
        self._button = _Button(self._line) if has_button else None

    @property
    def fittings(self) -> Fittings:
        """What the agent needs of an access point."""
        return Fittings(
            reader=self,
            strike=self,
            contact=self._contact,
            display=self,
            tamper=self._tamper,
            heard=self._liveness,
            request_to_exit=self._button,
            bypass=self._bypass,
        )

    # -- what the device tells ----------------------------------------------------------------------------------------

    def present(self, card: Card) -> None:
        """A card is shown to the reader."""
        self._line.put(_Kind.CARD, _BareCard(card))

    def feel(self, *, opened: bool) -> None:
        """The door is open, or closed; a door that is to have no contact says nothing of it."""
        if self._contact is not None:
            self._contact.turn(on=opened)

    def tamper(self, *, opened: bool) -> None:
        """The housing is open, or closed."""
        if self._tamper is not None:
            self._tamper.turn(on=opened)

    def opened_itself(self) -> None:
        """The device let the door open, and the gate did not tell it to."""
        self._bypass.add()

    def ask_to_leave(self) -> None:
        """The button beside the door was pressed, and the device let the door open for it."""
        if self._button is not None:
            self._button.press()

    @property
    def has_contact(self) -> bool:
        """Whether somebody else says when the door opens."""
        return self._contact is not None

    # -- what the agent asks ------------------------------------------------------------------------------------------

    async def badges(self) -> AsyncIterator[Badge]:
        """Each card as the device tells of it."""
        while True:
            yield await self._line.take(_Kind.CARD)

    def release(self, lasting: timedelta) -> None:
        """Have the device let the door open."""
        self._release(lasting)

    def secure(self) -> None:
        """Have the device hold the door, if it does not by itself."""
        if self._secure is not None:
            self._secure()

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Nothing: a device behind a bridge shows what it likes."""
