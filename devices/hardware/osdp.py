"""OSDP readers (SIA OSDP v2.2, IEC 60839-11-5) at a serial port: the gate is their control panel, through libosdp.

    reader --(secure channel: AES-128, its own key)--> library --> card, keys, tamper       believed
    reader --(in the clear, or under the key of the factory)--> library                     counted, and nothing else

The library does the protocol: sequence numbers, retries (eight, a second apart, before a reader counts as gone), secure
channel. It runs in the event loop, a turn every 10 ms, a tenth of a millisecond each; nothing here waits. A reader that was
lost is asked for again every two seconds, for the library itself would wait five minutes.

INVARIANT: an event counts only while its reader's secure channel stands under the key of the gate's folder. `install` alone
lets the library talk to a reader that has only the key of the factory, and then in order to give it ours.
INVARIANT: a strike's release is sent at once or never: a reader that is not there hears of none later. No lamp and no buzzer
pushes out what a strike is told (`osdp_queue`).

A lost reader is told as tampered with: nobody can tell a cut cable from a broken one. Smart cards behind an OSDP reader are not
reached (osdp_XWR and osdp_XRD are names in this library, no more): see README.md beside this file.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import osdp_sys
import structlog

from devices.bridges.repeats import Repeats
from devices.core.events import Signal
from devices.hardware.bare import NumberBadge
from devices.hardware.keypad import Keypad
from devices.hardware.misreads import Misreads
from devices.hardware.osdp_format import (
    Unread,
    buzz,
    colour,
    held_output,
    raw_frame,
    released_output,
    typed_keys,
)
from devices.hardware.osdp_queue import CommandQueue
from devices.hardware.ports import HardwareError
from devices.hardware.serial_port import SerialPort
from devices.hardware.settings import OsdpSettings
from devices.hardware.wiegand_format import Key, read_frame
from gatekeeper.model.badges import Card

__all__ = ["OsdpBus", "OsdpReader", "OsdpStrike"]

_TURN: Final = 0.01
_AGAIN: Final = 2.0
_FIRST_WORD: Final = 10.0
_MOST_WAITING: Final = 16
_LONGEST_OUTPUT: Final = timedelta(seconds=20)


class _State(StrEnum):
    """What a reader's channel is."""

    LOST = "lost"
    OPEN = "open"
    SECURE = "secure"


class OsdpReader:
    """One reader on a bus: reader, display, and the switch that tells of tampering."""

    def __init__(self, settings: OsdpSettings, begin: Callable[[], None]) -> None:
        self.settings: Final = settings
        self._begin: Final = begin
        self.keypad: Final[Keypad[Card]] = Keypad()
        #: what was told and presented nothing, by why
        self.no_card: Final = Misreads(port=settings.port, address=settings.address)
        self.commands: Final = CommandQueue()
        self.capable: frozenset[int] = frozenset()
        #: how often a channel did not come about, or ended
        self.failures = 0
        self._state = _State.LOST
        self._opened = False
        self._repeats: Final = Repeats()
        self._waiting: asyncio.Queue[NumberBadge] = asyncio.Queue(_MOST_WAITING)
        self._moved: Final = asyncio.Event()
        self._log: Final = structlog.get_logger().bind(port=settings.port, address=settings.address)

    @property
    def is_secure(self) -> bool:
        """Whether its secure channel stands."""
        return self._state is _State.SECURE

    async def badges(self) -> AsyncIterator[NumberBadge]:
        """Each card that is read, with what was typed for it; the first question begins the bus' turns."""
        self._begin()
        while True:
            yield await self._waiting.get()

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:  # noqa: ARG002
        """Light and sound it, as far as the reader can; a reader that is not there shows nothing."""
        if osdp_sys.CAP_READER_LED_CONTROL in self.capable:
            self.submit(colour(signal))
        if osdp_sys.CAP_READER_AUDIBLE_OUTPUT in self.capable:
            self.submit(buzz(signal))

    async def changes(self) -> AsyncIterator[bool]:
        """Whether it is opened or not there; the first word waits ten seconds for the channel."""
        if not self.is_secure:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_WORD):
                    while not self.is_secure:
                        self._moved.clear()
                        await self._moved.wait()
        said: bool | None = None
        while True:
            self._moved.clear()
            tampered = self._opened or not self.is_secure
            if tampered != said:
                said = tampered
                yield tampered
            await self._moved.wait()

    def submit(self, command: dict[str, Any]) -> bool:
        """Have a command sent; whether it will be. Nothing waits for a reader that is not there."""
        if not self.is_secure:
            return False
        self.commands.put(command)
        return True

    # -- what the bus tells ---------------------------------------------------------------------------------------

    def channel(self, state: _State) -> None:
        """Its channel changed."""
        if state is self._state:
            return
        self._log.info("OSDP reader", channel=state.value)
        self._state = state
        self.commands.clear()
        self._moved.set()

    def told(self, event: Mapping[str, Any], *, at: float) -> None:
        """An event came over its secure channel."""
        match event:
            case {"event": osdp_sys.EVENT_CARDREAD, "reader_no": 0}:
                self._card(event, at=at)
            case {"event": osdp_sys.EVENT_KEYPRESS, "reader_no": 0, "data": data}:
                for key in typed_keys(bytes(data)):
                    self._key(key, at=at)
            case {"event": osdp_sys.EVENT_STATUS, "type": osdp_sys.STATUS_REPORT_LOCAL, "report": report}:
                self._opened = bool(bytes(report)[:1] != b"\0")
                self._moved.set()
            case _:
                self.no_card.note(Unread.OTHER)

    def _card(self, event: Mapping[str, Any], *, at: float) -> None:
        frame = raw_frame(event)
        read = frame if isinstance(frame, Unread) else read_frame(frame, self.settings.formats)
        if not isinstance(read, Card):
            self.no_card.note(read if not isinstance(read, Key) else Unread.OTHER)
        elif not self._repeats.is_repeat(read, at=at):
            self._present(NumberBadge(read, self.keypad.badge(read, at=at)))

    def _key(self, key: Key | None, *, at: float) -> None:
        if key is None:
            self.no_card.note(Unread.KEY)
            return
        again = self.keypad.key(key, at=at)
        if again is not None:
            self._present(NumberBadge(again[0], again[1]))

    def _present(self, badge: NumberBadge) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()  # a card that waited is not at the reader any more
        self._waiting.put_nowait(badge)


class OsdpStrike:
    """A strike on an output of a reader. The reader itself lets it fall; no single command frees it for more than 20 s."""

    def __init__(self, reader: OsdpReader, *, output: int) -> None:
        self._reader: Final = reader
        self._output: Final = output
        self._log: Final = structlog.get_logger().bind(
            port=reader.settings.port, address=reader.settings.address, output=output
        )
        self._again: asyncio.TimerHandle | None = None

    def release(self, lasting: timedelta) -> None:
        """Let the door open; a longer time is given in pieces, so that a gate that dies lets go soon."""
        self._forget()
        piece = min(lasting, _LONGEST_OUTPUT)
        sent = osdp_sys.CAP_OUTPUT_CONTROL in self._reader.capable and self._reader.submit(
            released_output(self._output, piece)
        )
        if not sent:
            self._log.warning("the strike is not released: its reader is not there, or has no output")
        elif lasting > piece:
            # A second before the piece ends, so that the strike does not drop in between.
            self._again = asyncio.get_running_loop().call_later(
                piece.total_seconds() - 1, self.release, lasting - piece + timedelta(seconds=1)
            )

    def secure(self) -> None:
        """Hold the door."""
        self._forget()
        if osdp_sys.CAP_OUTPUT_CONTROL in self._reader.capable:
            self._reader.submit(held_output(self._output))

    def _forget(self) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = None


class OsdpBus:
    """The readers at one serial port, and the turns of the library."""

    def __init__(self, settings: Sequence[OsdpSettings]) -> None:
        self._port: Final = SerialPort(settings[0].port, baud=settings[0].baud)
        self.readers: Final = tuple(OsdpReader(each, self.start) for each in settings)
        # The library writes to stderr by itself, and what it writes is not for a log: silence.
        osdp_sys.set_loglevel(osdp_sys.LOG_EMERG)
        try:
            self._panel: Any = osdp_sys.ControlPanel([self._told_to_library(each) for each in settings])
        except Exception as error:
            self._port.close()
            raise HardwareError(f"{settings[0].port}: the OSDP library refuses it: {error}") from error
        self._panel.set_event_callback(self._event)
        self._factory_key = [False] * len(settings)
        self._online = [False] * len(settings)
        self._again: Final[dict[int, float]] = {}
        self._told: Final[list[tuple[int, Mapping[str, Any]]]] = []
        self._reopen_at = 0.0
        self._turning: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin the turns, in the running loop; once is enough."""
        if self._turning is None:
            self._turning = asyncio.get_running_loop().call_soon(self._turn)

    def close(self) -> None:
        """End the turns and give the port back."""
        if self._turning is not None:
            self._turning.cancel()
        self._turning = None
        for reader in self.readers:
            reader.channel(_State.LOST)
        self._panel = None
        self._port.close()

    def _told_to_library(self, settings: OsdpSettings) -> dict[str, Any]:
        flags = osdp_sys.FLAG_ENABLE_NOTIFICATION
        if not settings.install:
            flags |= osdp_sys.FLAG_ENFORCE_SECURE
        return {
            "name": f"reader-{settings.address}",
            "address": settings.address,
            "flags": flags,
            "scbk": settings.key,
            "channel": self._port,
        }

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        self._turning = loop.call_later(_TURN, self._turn)
        at = loop.time()
        if self._port.broken is not None:
            self._mend(at)
            return
        self._panel.refresh()
        told, self._told[:] = tuple(self._told), []
        for index, event in told:
            self.readers[index].told(event, at=at)
        secure = self._panel.sc_status()
        for index, reader in enumerate(self.readers):
            self._follow(index, reader, secure=bool(secure >> index & 1), at=at)

    def _follow(self, index: int, reader: OsdpReader, *, secure: bool, at: float) -> None:
        online = self._online[index]
        if online and secure and not self._factory_key[index]:
            if not reader.is_secure:
                self._becomes_secure(index, reader)
            command = reader.commands.first
            if command is not None and self._panel.submit_command(index, command):
                reader.commands.took(command)
            return
        if reader.is_secure:
            # What the library still holds for it must not be sent when it comes back.
            self._panel.flush_commands(index)
        reader.channel(_State.OPEN if online else _State.LOST)
        if not online and at >= self._again.setdefault(index, at + _AGAIN):
            self._again[index] = at + _AGAIN
            self._restart(index)

    def _becomes_secure(self, index: int, reader: OsdpReader) -> None:
        self._again.pop(index, None)
        reader.capable = frozenset(
            capability
            for capability in (
                osdp_sys.CAP_OUTPUT_CONTROL,
                osdp_sys.CAP_READER_LED_CONTROL,
                osdp_sys.CAP_READER_AUDIBLE_OUTPUT,
            )
            if self._panel.check_capability(index, capability)[0] > 0
        )
        reader.channel(_State.SECURE)
        reader.submit({"command": osdp_sys.CMD_STATUS, "type": osdp_sys.STATUS_REPORT_LOCAL})

    def _restart(self, index: int) -> None:
        """Ask for a reader anew: the library's own patience after a loss is five minutes."""
        self._panel.flush_commands(index)
        if self._panel.disable_pd(index):
            self._panel.refresh()
        self._panel.enable_pd(index)

    def _mend(self, at: float) -> None:
        for index, reader in enumerate(self.readers):
            self._online[index] = False
            reader.channel(_State.LOST)
        if at < self._reopen_at:
            return
        self._reopen_at = at + _AGAIN
        if self._port.reopen():
            for index in range(len(self.readers)):
                self._restart(index)

    def _event(self, index: int, event: Mapping[str, Any]) -> int:
        """What the library tells, in the middle of its turn: it is kept until the turn is over. It must not raise."""
        match event:
            case {"event": osdp_sys.EVENT_NOTIFICATION, "type": kind, "arg0": first, "arg1": second}:
                self._notice(index, kind, first, second)
            # INVARIANT: asked of the library at this very event, and not of what was followed before it.
            case _ if self._factory_key[index] or not self._panel.sc_status() >> index & 1:
                self.readers[index].no_card.note(Unread.INSECURE)
            case _:
                self._told.append((index, event))
        return 0

    def _notice(self, index: int, kind: int, first: int, second: int) -> None:
        if kind == osdp_sys.EVENT_NOTIFICATION_SC_STATUS:
            self._factory_key[index] = second != 0
        elif kind == osdp_sys.EVENT_NOTIFICATION_PD_STATUS:
            self._online[index] = first != 0
            self.readers[index].failures += first == 0
