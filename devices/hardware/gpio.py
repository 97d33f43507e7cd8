"""Lines of the gate's own computer as fittings: a Wiegand reader, strikes, switches, lamps and a buzzer, through libgpiod.

Every line is asked of the kernel once, when its piece is made, and is the gate's alone until `close`; a line that somebody
else has, or a chip that is not there, raises `HardwareError` then. Edges have the kernel's own monotonic times, so that a
loop that is late reads the same bits. What is active, how the line is pulled, and for how long it must be still are the
kernel's work (`active_low`, `bias`, `debounce`).

    strike     fails secure: active releases the door; fails safe: active holds it
    at close   a strike is secured first; what a line does when nobody has it is up to the chip and its wiring

A strike falls back by a timer of its own, beside the controller's. A process that is killed has no timers: see the wiring in
README.md beside this file. Nothing is decided here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol

import gpiod
from gpiod.line import Bias, Direction, Edge, Value

from devices.bridges.repeats import Repeats
from devices.core.events import Signal
from devices.hardware.bare import NumberBadge
from devices.hardware.keypad import Keypad
from devices.hardware.misreads import Misreads
from devices.hardware.ports import HardwareError
from devices.hardware.settings import Fail, LampSettings, LineSettings, Pull, WiegandSettings
from devices.hardware.wiegand_format import (
    FRAME_GAP,
    Frame,
    FrameCollector,
    Key,
    NoCard,
    WiegandFormat,
    read_frame,
)
from gatekeeper.model.badges import Card

__all__ = ["GpioLamps", "GpioStrike", "GpioSwitch", "Lines", "RequestLines", "WiegandReader", "kernel_lines"]

_CONSUMER: Final = "gatekeeper"
_EVENTS: Final = 512
_LONGEST: Final = 3600.0
"""Longer than any door asks to be closed."""
_BIAS: Final[Mapping[Pull, Bias]] = {
    Pull.AS_IS: Bias.AS_IS,
    Pull.UP: Bias.PULL_UP,
    Pull.DOWN: Bias.PULL_DOWN,
    Pull.NONE: Bias.DISABLED,
}


class Lines(Protocol):
    """What is used of a `gpiod.LineRequest`."""

    @property
    def fd(self) -> int:
        """Becomes readable when there are events."""
        ...

    def wait_edge_events(self, timeout: float) -> bool:
        """Whether there are events; 0 asks without waiting."""
        ...

    def read_edge_events(self) -> list[gpiod.EdgeEvent]:
        """The events that wait."""
        ...

    def get_value(self, line: int) -> Value:
        """What a line says."""
        ...

    def set_value(self, line: int, value: Value) -> None:
        """Drive a line."""
        ...

    def release(self) -> None:
        """Give the lines back."""
        ...


RequestLines = Callable[..., Lines]
"""`gpiod.request_lines`, or that of a fake chip: (path, config=, consumer=, event_buffer_size=)."""


def kernel_lines(path: str, **asked: Any) -> Lines:
    """Ask the kernel for lines of a chip."""
    return gpiod.request_lines(path, **asked)


class GpioSwitch:
    """One input: a door's contact, a button, a housing, a fire panel."""

    def __init__(self, line: LineSettings, *, request: RequestLines = kernel_lines) -> None:
        self._line: Final = line
        self._lines: Final = _input(line, Edge.BOTH, request, debounce=line.debounce)

    async def changes(self) -> AsyncIterator[bool]:
        """How it is, then each change; what happened between two looks is told too."""
        # Edges are kept from the request on, so none is missed between this look and the first wait.
        said = self._now()
        yield said
        while True:
            await _readable(self._lines)
            with _spoken(self._line.chip):
                edges = [
                    event.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
                    for event in self._lines.read_edge_events()
                ]
            # The last word is the line's own: the kernel drops edges when there are too many.
            for on in (*edges, self._now()):
                if on != said:
                    said = on
                    yield on

    def close(self) -> None:
        """Give the line back."""
        self._lines.release()

    def _now(self) -> bool:
        with _spoken(self._line.chip):
            return self._lines.get_value(self._line.line) is Value.ACTIVE


class GpioStrike:
    """One output that holds a door."""

    def __init__(self, line: LineSettings, fail: Fail, *, request: RequestLines = kernel_lines) -> None:
        self._line: Final = line
        self._held: Final = Value.ACTIVE if fail is Fail.SAFE else Value.INACTIVE
        self._free: Final = Value.INACTIVE if fail is Fail.SAFE else Value.ACTIVE
        # INVARIANT: a strike holds from the first moment that the gate has it.
        self._lines: Final = _output(line, self._held, request)
        self._fall: asyncio.TimerHandle | None = None

    def release(self, lasting: timedelta) -> None:
        """Let the door open; it is held again after `lasting` without another word."""
        self._forget_fall()
        self._fall = asyncio.get_running_loop().call_later(lasting.total_seconds(), self.secure)
        self._set(self._free)

    def secure(self) -> None:
        """Hold the door."""
        self._forget_fall()
        self._set(self._held)

    def close(self) -> None:
        """Hold the door and give the line back."""
        try:
            self.secure()
        finally:
            self._lines.release()

    def _forget_fall(self) -> None:
        if self._fall is not None:
            self._fall.cancel()
        self._fall = None

    def _set(self, value: Value) -> None:
        with _spoken(self._line.chip):
            self._lines.set_value(self._line.line, value)


class _Look(NamedTuple):
    """What the lamps do for a signal, and how long they and the buzzer last (seconds; None is until the next signal)."""

    green: bool = False
    red: bool = False
    lasting: float | None = 3.0
    beep: float = 0.0


_LOOKS: Final[Mapping[Signal, _Look]] = {
    Signal.GRANTED: _Look(green=True, beep=0.1),
    Signal.DENIED: _Look(red=True, beep=0.6),
    Signal.WAITING: _Look(green=True, red=True, lasting=None),
    Signal.BUSY: _Look(red=True, lasting=1.0),
    Signal.NO_SERVICE: _Look(red=True, beep=0.6),
    Signal.CLOSE_DOOR: _Look(red=True, lasting=None, beep=_LONGEST),
    Signal.LOCKDOWN: _Look(red=True, lasting=None),
    Signal.TAMPERED: _Look(red=True, beep=0.6),
    Signal.READY: _Look(lasting=None),
}


class GpioLamps:
    """The lamps and the buzzer of a reader; each may be missing."""

    def __init__(self, lamps: LampSettings, *, request: RequestLines = kernel_lines) -> None:
        self._lines: Final = {
            name: (line, _output(line, Value.INACTIVE, request))
            for name, line in (("green", lamps.green), ("red", lamps.red), ("buzzer", lamps.buzzer))
            if line is not None
        }
        self._timers: list[asyncio.TimerHandle] = []

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:  # noqa: ARG002
        """Light it; a reason has no lamp of its own."""
        for timer in self._timers:
            timer.cancel()
        look, later = _LOOKS[signal], asyncio.get_running_loop().call_later
        self._light(green=look.green, red=look.red, buzzer=look.beep > 0)
        self._timers = [later(look.beep, lambda: self._set("buzzer", on=False))] if look.beep else []
        if look.lasting is not None:
            self._timers.append(later(look.lasting, lambda: self._light(green=False, red=False)))

    def close(self) -> None:
        """Darken them and give the lines back."""
        for timer in self._timers:
            timer.cancel()
        try:
            self._light(green=False, red=False, buzzer=False)
        finally:
            for _, lines in self._lines.values():
                lines.release()

    def _light(self, **on: bool) -> None:
        for name, lit in on.items():
            self._set(name, on=lit)

    def _set(self, name: str, *, on: bool) -> None:
        if name not in self._lines:
            return
        line, lines = self._lines[name]
        with _spoken(line.chip):
            lines.set_value(line.line, Value.ACTIVE if on else Value.INACTIVE)


class WiegandReader:
    """A reader on two lines, with or without a keypad."""

    def __init__(self, settings: WiegandSettings, *, request: RequestLines = kernel_lines) -> None:
        self._settings: Final = settings
        self._formats: Final[Collection[WiegandFormat]] = settings.formats
        self.keypad: Final[Keypad[Card]] = Keypad()
        #: what was read and presented nothing, by why
        self.no_card: Final = Misreads(chip=settings.chip, d0=settings.d0, d1=settings.d1)
        self._repeats: Final = Repeats()
        self._frames: Final = FrameCollector()
        self._pending = False
        self._sequence: int | None = None
        pins = gpiod.LineSettings(
            direction=Direction.INPUT, edge_detection=Edge.FALLING, bias=_BIAS[settings.bias]
        )
        with _spoken(settings.chip):
            self._lines: Final = request(
                settings.chip,
                config={(settings.d0, settings.d1): pins},
                consumer=_CONSUMER,
                event_buffer_size=_EVENTS,
            )

    async def badges(self) -> AsyncIterator[NumberBadge]:
        """Each card that is read, with what was typed for it."""
        while True:
            for frame in await self._heard():
                badge = self._read(frame)
                if badge is not None:
                    yield badge

    def close(self) -> None:
        """Give the lines back."""
        self._lines.release()

    async def _heard(self) -> list[Frame]:
        """Wait for pulses, or for the silence after them: the frames that are whole by then."""
        try:
            async with asyncio.timeout(FRAME_GAP if self._pending else None):
                await _readable(self._lines)
        except TimeoutError:
            # A late loop finds both: the silence, and pulses that came in it.
            with _spoken(self._settings.chip):
                silent = not self._lines.wait_edge_events(0)
            if silent:
                self._pending = False
                frame = self._frames.end()
                return [frame] if frame is not None else []
        self._pending = True
        return [frame for frame in self._pulses() if frame is not None]

    def _pulses(self) -> Iterator[Frame | None]:
        with _spoken(self._settings.chip):
            events = self._lines.read_edge_events()
        for event in events:
            lost = self._sequence is not None and event.global_seqno != self._sequence + 1
            self._sequence = event.global_seqno
            if lost:  # nobody knows whether before a silence or after it
                self._frames.spoil()
            yield self._frames.pulse(int(event.line_offset == self._settings.d1), event.timestamp_ns)
            if lost:
                self._frames.spoil()

    def _read(self, frame: Frame) -> NumberBadge | None:
        at = asyncio.get_running_loop().time()
        match read_frame(frame, self._formats):
            case NoCard() as why:
                self.no_card.note(why)
                return None
            case Key() as key:
                again = self.keypad.key(key, at=at)
                return NumberBadge(again[0], again[1]) if again is not None else None
            case Card() as card:
                if self._repeats.is_repeat(card, at=at):
                    return None
                return NumberBadge(card, self.keypad.badge(card, at=at))


def _input(line: LineSettings, edges: Edge, request: RequestLines, *, debounce: timedelta) -> Lines:
    return _one(
        line,
        request,
        gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=edges,
            bias=_BIAS[line.bias],
            active_low=line.active_low,
            debounce_period=debounce,
        ),
    )


def _output(line: LineSettings, value: Value, request: RequestLines) -> Lines:
    settings = gpiod.LineSettings(
        direction=Direction.OUTPUT, active_low=line.active_low, output_value=value, bias=_BIAS[line.bias]
    )
    return _one(line, request, settings)


def _one(line: LineSettings, request: RequestLines, settings: gpiod.LineSettings) -> Lines:
    with _spoken(f"{line.chip} line {line.line}"):
        return request(line.chip, config={line.line: settings}, consumer=_CONSUMER, event_buffer_size=_EVENTS)


async def _readable(lines: Lines) -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    fd = lines.fd
    loop.add_reader(fd, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(fd)


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    """Tell what the kernel refuses in a sentence."""
    try:
        yield
    except OSError as error:
        raise HardwareError(f"{what}: {error.strerror or error}") from error
    except ValueError as error:
        raise HardwareError(f"{what}: {error}") from error
