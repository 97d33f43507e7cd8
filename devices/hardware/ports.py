"""What the agent needs of the metal at one access point.

Everything is called in the event loop and must not block it. A badge that breaks off raises `HardwareError` and has proved
nothing; a reader, strike, contact or switch that raises it stops the agent, whose service manager starts it anew.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from devices.core.events import Signal
from gatekeeper.model.messages import Credential

__all__ = ["Badge", "Bypass", "Contact", "Display", "Fittings", "HardwareError", "Reader", "Strike", "Switch"]


class HardwareError(Exception):
    """A piece of hardware does not do what it should."""


class Badge(Protocol):
    """A badge while it is at a reader."""

    @property
    def credential(self) -> Credential:
        """What it presents."""
        ...

    @property
    def pin(self) -> str | None:
        """What was typed with it at the keypad; None where there is none, or nothing was typed."""
        ...

    async def prove(self, digest: bytes) -> bytes | None:
        """Sign 32 bytes with the badge's key (r || s, or Ed25519); None when it has none or is gone."""
        ...


class Reader(Protocol):
    """Reads badges."""

    def badges(self) -> AsyncIterator[Badge]:
        """Each badge as it is presented, without end."""
        ...


class Strike(Protocol):
    """Holds the door."""

    def release(self, lasting: timedelta) -> None:
        """Let the door open; fall back after `lasting` by yourself, if you can."""
        ...

    def secure(self) -> None:
        """Hold the door."""
        ...


class Contact(Protocol):
    """Feels whether the door is open."""

    def changes(self) -> AsyncIterator[bool]:
        """True as it opens, False as it closes, without end; first how it is."""
        ...


class Switch(Protocol):
    """Feels one thing that is so or is not: a button to leave, an opened housing, a fire alarm."""

    def changes(self) -> AsyncIterator[bool]:
        """True as it becomes so, False as it ends, without end; first how it is."""
        ...


class Bypass(Protocol):
    """Tells when a device opens a door by itself."""

    def openings(self) -> AsyncIterator[None]:
        """Each time that it let the door open and was not told to, without end."""
        ...


class Display(Protocol):
    """Tells whoever stands at the reader. `reason` is a BACnet number, `entry` a place in the log."""

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Show it until the next."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fittings:
    """The hardware of one access point. What a door does not have is None.

    `request_to_exit` is true while somebody asks to leave, `tamper` while a housing is open or its reader is not there,
    `fire` while the fire panel says so, `heard` while a reader that reports by itself does. `bypass` is of a device that can open the
    door by itself, and says so.
    """

    reader: Reader
    strike: Strike
    contact: Contact | None
    display: Display
    request_to_exit: Switch | None = None
    tamper: Switch | None = None
    fire: Switch | None = None
    heard: Switch | None = None
    bypass: Bypass | None = None
