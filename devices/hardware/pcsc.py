"""Contactless cards at a PC/SC reader, through the system's own libpcsclite and its daemon pcscd.

    thread that watches    SCardGetStatusChange, a quarter of a second at a time      a card comes, a card goes
    thread that talks      SCardConnect, SCardTransmit, SCardDisconnect               one card at a time, for itself alone

PC/SC waits, so it is asked in threads, each with a context of its own (the library locks a context while it waits). A card
that goes while it is asked is a `HardwareError` of that badge; a reader or a daemon that goes is one of the gate.

The C interface is called as it is (PC/SC part 5; winscard.h of pcsc-lite), for the nine functions that are used: the usual Python
package must be compiled on Linux, with tools that no gate has. Nothing of a card is understood here (see `key_bound`).
"""

import asyncio
import ctypes
import ctypes.util
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from devices.hardware.key_bound import CardBadge, NoBadge, read_card_badge
from devices.hardware.misreads import Misreads
from devices.hardware.ports import HardwareError

__all__ = ["PcscReader"]

_SYSTEM, _EXCLUSIVE, _T0_OR_T1, _RESET = 2, 1, 3, 1
_PRESENT, _MUTE, _CHANGED = 0x20, 0x200, 0x2
_GONE: Final = 0x4 | 0x8  # the reader is unknown, or unavailable
_TIMEOUT: Final = 0x8010000A
_WAIT_MS: Final = 250
_MOST_ANSWER: Final = 258
_DWORD: Final = ctypes.c_ulong
_LONG: Final = ctypes.c_long


class _ReaderState(ctypes.Structure):
    _fields_ = (
        ("reader", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
        ("current", _DWORD),
        ("event", _DWORD),
        ("atr_length", _DWORD),
        ("atr", ctypes.c_ubyte * 33),
    )


class _Protocol(ctypes.Structure):
    _fields_ = (("protocol", _DWORD), ("length", _DWORD))


class _Library:
    """libpcsclite, and the sentence of each of its errors."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("pcsclite") or "libpcsclite.so.1"
        try:
            self._functions: Final = ctypes.CDLL(name)
        except OSError as error:
            raise HardwareError("libpcsclite is not here: the system's package of PC/SC brings it") from error
        self._functions.pcsc_stringify_error.restype = ctypes.c_char_p
        self._functions.pcsc_stringify_error.argtypes = [_LONG]

    def call(self, function: str, *arguments: Any) -> int:
        """Call a function; its code, which is 0 or a time-out. Raises `HardwareError` for all else."""
        called = getattr(self._functions, function)
        called.restype = _LONG
        code = called(*arguments) & 0xFFFFFFFF
        if code not in {0, _TIMEOUT}:
            raise HardwareError(f"PC/SC: {self._functions.pcsc_stringify_error(code).decode()}")
        return int(code)

    def context(self) -> ctypes.c_long:
        """A context of one thread."""
        made = _LONG()
        self.call("SCardEstablishContext", _DWORD(_SYSTEM), None, None, ctypes.byref(made))
        return made


class _Card:
    """A card that is connected; every command goes through the one thread that talks."""

    def __init__(
        self, library: _Library, context: ctypes.c_long, name: bytes, talks: ThreadPoolExecutor
    ) -> None:
        self._library: Final = library
        self._talks: Final = talks
        self._handle: Final = _LONG()
        self._active: Final = _DWORD()
        self._connected = True
        library.call(
            "SCardConnect",
            context,
            ctypes.c_char_p(name),
            _DWORD(_EXCLUSIVE),
            _DWORD(_T0_OR_T1),
            ctypes.byref(self._handle),
            ctypes.byref(self._active),
        )

    async def transmit(self, command: bytes) -> bytes:
        """Send a command and return the answer."""
        return await asyncio.get_running_loop().run_in_executor(self._talks, self._transmit, command)

    def _transmit(self, command: bytes) -> bytes:
        if not self._connected:
            raise HardwareError("the card is gone")
        answer, length = ctypes.create_string_buffer(_MOST_ANSWER), _DWORD(_MOST_ANSWER)
        self._library.call(
            "SCardTransmit",
            self._handle,
            ctypes.byref(_Protocol(self._active, ctypes.sizeof(_Protocol))),
            ctypes.c_char_p(command),
            _DWORD(len(command)),
            None,
            answer,
            ctypes.byref(length),
        )
        return answer.raw[: length.value]

    def disconnect(self) -> None:
        """Let the card go; one that is gone is gone."""
        if self._connected:
            self._connected = False
            with suppress(HardwareError):
                self._library.call("SCardDisconnect", self._handle, _DWORD(_RESET))


class PcscReader:
    """One reader by its name at PC/SC. `reader` is what it calls itself before cards."""

    def __init__(self, name: str, *, reader: bytes = bytes(32)) -> None:
        self._name: Final = name.encode()
        self._reader: Final = reader
        #: cards that presented nothing, by why
        self.no_badge: Final = Misreads(pcsc=name)
        self._library: Final = _Library()
        self._talking: Final = self._library.context()
        names = self._names()
        if name not in names:
            self._library.call("SCardReleaseContext", self._talking)
            raise HardwareError(f"PC/SC knows no reader {name}; it has {', '.join(names) or 'none'}")
        self._watching: Final = self._library.context()
        self._watches: Final = ThreadPoolExecutor(1, "pcsc watches")
        self._talks: Final = ThreadPoolExecutor(1, "pcsc talks")
        self._stopped = False

    async def badges(self) -> AsyncIterator[CardBadge]:
        """Each badge that is put to the reader; it is there until the next question for one finds it gone."""
        while True:
            seen = await self._present()
            card = await self._connect()
            if card is not None:
                try:
                    read = await read_card_badge(card, reader=self._reader)
                    if isinstance(read, NoBadge):
                        self.no_badge.note(read)
                    else:
                        yield read
                    await self._gone(seen)
                finally:
                    await asyncio.get_running_loop().run_in_executor(self._talks, card.disconnect)
            else:
                await self._gone(seen)

    def close(self) -> None:
        """Stop asking, and leave PC/SC; a daemon that is gone has forgotten us already."""
        self._stopped = True
        with suppress(HardwareError):
            self._library.call("SCardCancel", self._watching)
        for pool in (self._watches, self._talks):
            pool.shutdown(wait=True)
        for context in (self._watching, self._talking):
            with suppress(HardwareError):
                self._library.call("SCardReleaseContext", context)

    async def _connect(self) -> _Card | None:
        def connected() -> _Card | None:
            try:
                return _Card(self._library, self._talking, self._name, self._talks)
            except HardwareError:
                return None  # it went before it was asked, or does not speak

        card = await asyncio.get_running_loop().run_in_executor(self._talks, connected)
        if card is None:
            self.no_badge.note(NoBadge.GONE)
        return card

    async def _present(self) -> int:
        """Wait for a card that speaks."""
        state = 0
        while not state & _PRESENT or state & _MUTE:
            state = await self._next_state(state)
        return state

    async def _gone(self, seen: int) -> None:
        """Wait until the card that was seen is gone, though another may lie there already: the upper half counts them."""
        state = seen
        while state & _PRESENT and state >> 16 == seen >> 16:
            state = await self._next_state(state)

    async def _next_state(self, known: int) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._watches, self._look, known)

    def _look(self, known: int) -> int:
        """Wait a little for another state than the known one."""
        if self._stopped:
            raise HardwareError("the reader is closed")
        state = _ReaderState(reader=self._name, current=known & ~_CHANGED)
        self._library.call(
            "SCardGetStatusChange", self._watching, _DWORD(_WAIT_MS), ctypes.byref(state), _DWORD(1)
        )
        if state.event & _GONE:
            raise HardwareError(f"PC/SC: the reader {self._name.decode()} is gone")
        return int(state.event)

    def _names(self) -> list[str]:
        length = _DWORD()
        try:
            self._library.call("SCardListReaders", self._talking, None, None, ctypes.byref(length))
            names = ctypes.create_string_buffer(length.value)
            self._library.call("SCardListReaders", self._talking, None, names, ctypes.byref(length))
        except HardwareError:
            return []
        return [name.decode() for name in names.raw[: length.value].split(b"\0") if name]
