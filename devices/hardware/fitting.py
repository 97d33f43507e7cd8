"""The hardware that gate.json names becomes the fittings of access points, for the length of a block.

Each kind's package is imported when a gate has that kind: `gpiod` (the extra `gpio`), `osdp_sys` (`osdp`), the system's
libpcsclite. What cannot be had or opened raises `HardwareError`, and what was opened before it is given back.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, assert_never

from devices.core.events import Signal
from devices.hardware.keypad import Keypad
from devices.hardware.pcsc import PcscReader
from devices.hardware.ports import Display, Fittings, HardwareError, Reader, Strike, Switch
from devices.hardware.settings import (
    MARK,
    Hardware,
    LampSettings,
    LineSettings,
    LineStrike,
    OsdpSettings,
    OutputStrike,
    PcscSettings,
    PointHardware,
    ReaderSettings,
    SimulatedHardware,
    WiegandSettings,
)
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.reasons import Reason

if TYPE_CHECKING:
    from devices.hardware.by_hand import Hand
    from devices.hardware.gpio import GpioLamps, GpioStrike, GpioSwitch, RequestLines, WiegandReader
    from devices.hardware.osdp import OsdpReader

__all__ = ["EitherSwitch", "KeypadDisplay", "described", "opened"]

_ANSWERS: Final = frozenset(
    {Signal.GRANTED, Signal.DENIED, Signal.NO_SERVICE, Signal.BUSY, Signal.LOCKDOWN, Signal.TAMPERED}
)


class KeypadDisplay:
    """A display beside a keypad, which must know whether the badge that was read last still lacks a PIN."""

    def __init__(self, keypad: Keypad[Any], shown: Display | None) -> None:
        self._keypad: Final = keypad
        self._shown: Final = shown

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Tell the keypad, and show it."""
        if signal is Signal.DENIED and reason == Reason.PIN_MISSING.bacnet:
            self._keypad.asks_for_pin(at=asyncio.get_running_loop().time())
        elif signal in _ANSWERS:
            self._keypad.answered()
        if self._shown is not None:
            self._shown.show(signal, reason=reason, entry=entry)


class EitherSwitch:
    """True while any of its switches is: a housing beside a reader that tells of itself."""

    def __init__(self, *switches: Switch) -> None:
        self._switches: Final = switches

    async def changes(self) -> AsyncIterator[bool]:
        """True as soon as one is; the first False waits for the first word of each."""
        moves = [switch.changes() for switch in self._switches]
        states: list[bool | None] = [None] * len(moves)
        asked = {asyncio.ensure_future(anext(each)): place for place, each in enumerate(moves)}
        said: bool | None = None
        try:
            while True:
                answered, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for move in answered:
                    place = asked.pop(move)
                    states[place] = move.result()
                    asked[asyncio.ensure_future(anext(moves[place]))] = place
                    on = any(states)
                    if on != said and (on or None not in states):
                        said = on
                        yield on
        finally:
            for move in asked:
                move.cancel()
            await asyncio.gather(*asked, return_exceptions=True)


class _Dark:
    """No display at all."""

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        """Nothing."""


@contextmanager
def opened(
    points: Mapping[AccessPointId, Hardware],
    *,
    called: bytes = bytes(32),
    request: "RequestLines | None" = None,
) -> Iterator[dict[AccessPointId, Fittings]]:
    """Open the hardware of access points; `called` is what the gate calls itself before cards (32 bytes).

    `request` stands for `gpiod.request_lines` where there is no chip. Raises `HardwareError`.
    """
    with ExitStack() as stack:
        opening = _Opening(stack, called, request)
        opening.join_buses([point.reader for point in points.values() if isinstance(point, PointHardware)])
        yield {access_point: opening.fit(access_point, point) for access_point, point in points.items()}


def described(point: Hardware) -> str:
    """What an access point has, in a line."""
    if isinstance(point, SimulatedHardware):
        return f"{MARK}, moved by lines on standard input: no badge is read, and no door is held"
    match point.reader:
        case WiegandSettings(chip=chip, d0=d0, d1=d1):
            reader = f"Wiegand reader on {chip} lines {d0} and {d1}"
        case OsdpSettings(port=port, address=address, install=install):
            reader = f"OSDP reader at {port} address {address}{', being installed' if install else ''}"
        case PcscSettings(name=name):
            reader = f"PC/SC reader {name}"
        case _:
            assert_never(point.reader)
    match point.strike:
        case LineStrike(line=line, fail=fail):
            strike = f"strike on {line.chip} line {line.line} (fails {fail})"
        case OutputStrike(output=output):
            strike = f"strike on the reader's output {output}"
        case _:
            assert_never(point.strike)
    inputs = [
        f"{name} on {line.chip} line {line.line}"
        for name, line in (
            ("contact", point.contact),
            ("request to exit", point.request_to_exit),
            ("tamper", point.tamper),
            ("fire", point.fire),
        )
        if line is not None
    ]
    return ", ".join([reader, strike, *inputs, *(["lamps"] if point.lamps is not None else [])])


class _Opening:
    """What is opened so far, and how lines are asked for."""

    def __init__(self, stack: ExitStack, called: bytes, request: "RequestLines | None") -> None:
        self._stack: Final = stack
        self._called: Final = called
        self._request: Final = request
        self._hand: Hand | None = None
        self._osdp: Final[dict[tuple[str, int], OsdpReader]] = {}

    def join_buses(self, readers: list[ReaderSettings]) -> None:
        """Open each serial port once, with all its readers."""
        ports: dict[str, list[OsdpSettings]] = {}
        for reader in readers:
            if isinstance(reader, OsdpSettings):
                ports.setdefault(reader.port, []).append(reader)
        if not ports:
            return
        try:
            from devices.hardware.osdp import OsdpBus  # noqa: PLC0415 - only a gate with such a reader has the package
        except ImportError as error:
            raise _missing("libosdp", "osdp") from error
        for settings in ports.values():
            bus = OsdpBus(settings)
            self._stack.callback(bus.close)
            self._osdp.update({(each.settings.port, each.settings.address): each for each in bus.readers})

    def fit(self, access_point: AccessPointId, point: Hardware) -> Fittings:
        """Open what one access point has of its own."""
        if isinstance(point, SimulatedHardware):
            return self._by_hand().fit(access_point, has_contact=point.has_contact)
        # INVARIANT: the strike is the first line that is taken, and so holds before anything can be read.
        strike = self._strike(point)
        reader, display, told = self._reader(point)
        housing = self._switch(point.tamper)
        tampers = [switch for switch in (housing, told) if switch is not None]
        return Fittings(
            reader=reader,
            strike=strike,
            contact=self._switch(point.contact),
            display=display,
            request_to_exit=self._switch(point.request_to_exit),
            tamper=EitherSwitch(*tampers) if len(tampers) > 1 else next(iter(tampers), None),
            fire=self._switch(point.fire),
        )

    def _by_hand(self) -> "Hand":
        if self._hand is None:
            from devices.hardware.by_hand import Hand  # noqa: PLC0415 - see join_buses

            self._hand = Hand()
        return self._hand

    def _strike(self, point: PointHardware) -> Strike:
        match point.strike:
            case LineStrike(line=line, fail=fail):
                strike: GpioStrike = self._gpio().GpioStrike(line, fail, **self._asked())
                self._stack.callback(strike.close)
                return strike
            case OutputStrike(output=output):
                from devices.hardware.osdp import OsdpStrike  # noqa: PLC0415 - see join_buses

                assert isinstance(point.reader, OsdpSettings)  # noqa: S101 - read_hardware sees to it
                return OsdpStrike(self._osdp[point.reader.port, point.reader.address], output=output)
            case _:
                assert_never(point.strike)

    def _reader(self, point: PointHardware) -> tuple[Reader, Display, Switch | None]:
        match point.reader:
            case WiegandSettings() as settings:
                wiegand: WiegandReader = self._gpio().WiegandReader(settings, **self._asked())
                self._stack.callback(wiegand.close)
                return wiegand, KeypadDisplay(wiegand.keypad, self._lamps(point.lamps)), None
            case OsdpSettings(port=port, address=address):
                osdp = self._osdp[port, address]
                return osdp, KeypadDisplay(osdp.keypad, osdp), osdp
            case PcscSettings(name=name):
                pcsc = PcscReader(name, reader=self._called)
                self._stack.callback(pcsc.close)
                return pcsc, self._lamps(point.lamps) or _Dark(), None
            case _:
                assert_never(point.reader)

    def _switch(self, line: LineSettings | None) -> Switch | None:
        if line is None:
            return None
        switch: GpioSwitch = self._gpio().GpioSwitch(line, **self._asked())
        self._stack.callback(switch.close)
        return switch

    def _lamps(self, lamps: LampSettings | None) -> Display | None:
        if lamps is None:
            return None
        lit: GpioLamps = self._gpio().GpioLamps(lamps, **self._asked())
        self._stack.callback(lit.close)
        return lit

    def _asked(self) -> dict[str, Any]:
        return {} if self._request is None else {"request": self._request}

    def _gpio(self) -> Any:
        try:
            from devices.hardware import gpio  # noqa: PLC0415 - see join_buses
        except ImportError as error:
            raise _missing("gpiod", "gpio") from error
        return gpio


def _missing(package: str, extra: str) -> HardwareError:
    return HardwareError(f"the package {package} is not here: the extra `{extra}` of this program brings it")
