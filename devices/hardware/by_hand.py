"""Simulated hardware of a gate that runs: whoever types is the badge, the hand at the door, and sees the lamps.

    ACCESS_POINT badge FILE [PIN]      a badge is held to the reader: a file of `gatekeeper badge issue --out`
    ACCESS_POINT card NUMBER           a bare card: mifare:BA839D07, or wiegand:4302741608/34
    ACCESS_POINT open | close          the door is moved, locked or not
    ACCESS_POINT exit on | off         the exit button; likewise tamper (a housing), fire (the fire panel)

One line each on standard input. What the strike does and the lamps show goes to standard output, each line marked as simulated.
It reads nothing and moves nothing that is real, so a gate has it at all its doors or at none (`settings`).
"""

import asyncio
import base64
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeAlias, assert_never

from devices.core.events import Signal
from devices.hardware.ports import Badge, Fittings
from devices.hardware.settings import MARK
from devices.hardware.simulated import SimulatedBadge, SimulatedDoor, SimulatedReader, SimulatedSwitch
from gatekeeper import cose
from gatekeeper.model.card_numbers import read_card_number
from gatekeeper.model.ids import AccessPointId

__all__ = ["Hand", "Held", "LineError", "Moved", "Turned", "read_line"]

_LONGEST_LINE: Final = 4096
_LONGEST_BADGE: Final = 65_536
_STANDARD_INPUT: Final = 0
_HOW: Final = "write ACCESS_POINT and badge FILE [PIN], card NUMBER, open, close, or exit, tamper or fire with on or off"


class LineError(ValueError):
    """A line that says nothing; the message says what to write."""


class _Switch(StrEnum):
    """What is so at a door, or is not."""

    EXIT = "exit"
    TAMPER = "tamper"
    FIRE = "fire"


@dataclass(frozen=True, slots=True)
class Held:
    """A badge is held to the reader."""

    access_point: AccessPointId
    badge: SimulatedBadge


@dataclass(frozen=True, slots=True)
class Moved:
    """The door is moved."""

    access_point: AccessPointId
    is_open: bool


@dataclass(frozen=True, slots=True)
class Turned:
    """A switch is on, or off."""

    access_point: AccessPointId
    switch: _Switch
    on: bool


Deed: TypeAlias = Held | Moved | Turned


def read_line(line: str) -> Deed:
    """What a line does. Raises `LineError`; a badge's file is read here."""
    match line.split():
        case [name, "badge", file, *pin] if len(pin) <= 1:
            return Held(AccessPointId(name), _badge(Path(file), pin[0] if pin else None))
        case [name, "card", number]:
            try:
                return Held(AccessPointId(name), SimulatedBadge.card(read_card_number(number)))
            except ValueError as error:
                raise LineError(str(error)) from error
        case [name, "open" | "close" as move]:
            return Moved(AccessPointId(name), is_open=move == "open")
        case [name, "exit" | "tamper" | "fire" as switch, "on" | "off" as state]:
            return Turned(AccessPointId(name), _Switch(switch), on=state == "on")
        case _:
            raise LineError(_HOW)


def _badge(file: Path, pin: str | None) -> SimulatedBadge:
    try:
        with file.open("rb") as opened:
            match json.loads(opened.read(_LONGEST_BADGE)):
                case {"token": str(text), "key": None}:
                    return SimulatedBadge(SimulatedBadge.bearer(_token(text)).credential, pin=pin)
                case {"token": str(text), "key": str(pem)}:
                    key = cose.SigningKey.from_pem(pem.encode())
                    return SimulatedBadge(SimulatedBadge.bearer(_token(text)).credential, key, pin)
                case _:
                    raise LineError(f"{file} is no badge: gatekeeper badge issue --out writes one")
    except OSError as error:
        raise LineError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, cose.KeyRefusedError) as error:
        raise LineError(f"{file} is no badge: gatekeeper badge issue --out writes one") from error


def _token(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class Hand:
    """The hand at all doors of one gate: it begins to read when the first reader is attended, and ends with the program."""

    def __init__(self, *, source: int = _STANDARD_INPUT, say: Callable[[str], None] | None = None) -> None:
        self._source: Final = source
        self._say: Final = say or _to_standard_output
        self._doors: Final[dict[AccessPointId, _Door]] = {}
        self._has_begun = False

    def fit(self, access_point: AccessPointId, *, has_contact: bool) -> Fittings:
        """A door that this hand moves."""
        door = _Door(access_point, self)
        self._doors[access_point] = door
        return door.fittings(has_contact=has_contact)

    def begin(self) -> None:
        """Read from now on; the second time it does nothing."""
        if self._has_begun:
            return
        self._has_begun = True
        loop = asyncio.get_running_loop()
        # Nothing ends a read of a terminal: the thread ends with the program.
        threading.Thread(target=self._read, args=(loop,), name="by hand", daemon=True).start()

    def tell(self, access_point: AccessPointId | None, words: str) -> None:
        """Say what is simulated."""
        self._say(f"{MARK} {access_point}: {words}" if access_point is not None else f"{MARK}: {words}")

    def take(self, line: str) -> None:
        """Do what a line says, or say why not; a badge's file is small, and read at once."""
        try:
            deed = read_line(line)
            self._door(deed.access_point).do(deed)
        except LineError as error:
            self.tell(None, f"{error}.")
        except asyncio.QueueFull:
            self.tell(None, "too much at once: wait until the gate has seen it.")

    def _door(self, access_point: AccessPointId) -> "_Door":
        if access_point not in self._doors:
            raise LineError(f"{access_point} is none of {', '.join(self._doors)}")
        return self._doors[access_point]

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with open(self._source, "rb", buffering=0, closefd=False) as lines:
                while line := lines.readline(_LONGEST_LINE):
                    if line.strip():
                        loop.call_soon_threadsafe(self.take, line.decode(errors="replace"))
        except (OSError, RuntimeError):  # there is nothing to read from, or the loop has ended
            return


class _Door:
    """One door with all that hangs on it. It tells what is done to it."""

    def __init__(self, access_point: AccessPointId, hand: Hand) -> None:
        self._access_point: Final = access_point
        self._hand: Final = hand
        self._reader: Final = SimulatedReader()
        self._door: Final = SimulatedDoor()
        self._switches: Final[Mapping[_Switch, SimulatedSwitch]] = {
            switch: SimulatedSwitch() for switch in _Switch
        }

    def fittings(self, *, has_contact: bool) -> Fittings:
        return Fittings(
            reader=self,
            strike=self,
            contact=self._door if has_contact else None,
            display=self,
            request_to_exit=self._switches[_Switch.EXIT],
            tamper=self._switches[_Switch.TAMPER],
            fire=self._switches[_Switch.FIRE],
        )

    def do(self, deed: Deed) -> None:
        match deed:
            case Held(badge=badge):
                self._reader.hold(badge)
            case Moved(is_open=True):
                self._door.open()
            case Moved():
                self._door.close()
            case Turned(switch=switch, on=on):
                self._switches[switch].turn(on=on)
            case _:
                assert_never(deed)

    async def badges(self) -> AsyncIterator[Badge]:
        """Each badge that is held to it; the hand begins with the first reader."""
        self._hand.begin()
        async for badge in self._reader.badges():
            yield badge

    def release(self, lasting: timedelta) -> None:
        """Say that the strike is free."""
        self._door.release(lasting)
        self._hand.tell(self._access_point, f"strike released for {lasting.total_seconds():g} s")

    def secure(self) -> None:
        """Say that the strike holds."""
        self._door.secure()
        self._hand.tell(self._access_point, "strike holds")

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Say what whoever stands there sees."""
        more: list[Any] = [f"reason {reason}"] if reason is not None else []
        more += [f"entry {entry}"] if entry is not None else []
        self._hand.tell(self._access_point, " ".join([signal.value, *(f"({one})" for one in more)]))


def _to_standard_output(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
