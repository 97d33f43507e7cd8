"""A chip of lines that somebody moves by hand: the part of gpiod that the ports use, without a kernel.

It ships with the port (`gpio.py`), so that a gate can be tried where no chip is. Levels are electrical: `drive` puts a line
high or low, `level` says how the gate drives one; `active_low` and edges are counted as the kernel counts them. Its clock
stands still until `pass_time`. It debounces nothing, has no bias, and no event is lost unless `lose` says so.
"""

import errno
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from gpiod import EdgeEvent, LineSettings
from gpiod.line import Direction, Edge, Value

__all__ = ["FakeChip"]


class FakeChip:
    """One chip. Its `request_lines` stands for `gpiod.request_lines` with any path but that of no chip."""

    def __init__(self, *, lines: int = 32, path: str = "/dev/gpiochip0") -> None:
        self.path = path
        self._levels = [True] * lines
        self._taken: dict[int, _FakeLines] = {}
        self._now = 0

    def request_lines(
        self, path: str, *, config: Mapping[Any, LineSettings], consumer: str, event_buffer_size: int
    ) -> "_FakeLines":
        """Take lines, as the kernel would give them."""
        if path != self.path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        settings = {
            offset: given
            for asked, given in config.items()
            for offset in (asked if isinstance(asked, tuple) else (asked,))
        }
        if any(offset >= len(self._levels) for offset in settings):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if self._taken.keys() & settings.keys():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        lines = _FakeLines(self, settings, consumer, event_buffer_size)
        self._taken.update(dict.fromkeys(settings, lines))
        for offset, given in settings.items():
            if given.direction is Direction.OUTPUT:
                self.put(offset, given.output_value, given)
        return lines

    def drive(self, line: int, *, high: bool) -> None:
        """Put a line high or low, as something outside does."""
        if self._levels[line] == high:
            return
        self._levels[line] = high
        if line in self._taken:
            self._taken[line].moved(line, high=high, at=self._now)

    def pulse(self, line: int, *, after_us: int = 1000) -> None:
        """A pulse of a Wiegand reader: low, and high again, `after_us` later than what was before."""
        self.pass_time(after_us)
        self.drive(line, high=False)
        self.drive(line, high=True)

    def lose(self, line: int) -> None:
        """Let the kernel lose the next event of a line."""
        self._taken[line].lose()

    def pass_time(self, microseconds: int) -> None:
        """Move the clock of the edges."""
        self._now += microseconds * 1000

    def level(self, line: int) -> bool:
        """Whether a line is high."""
        return self._levels[line]

    def put(self, line: int, value: Value, settings: LineSettings) -> None:
        """Drive a line from within."""
        self._levels[line] = (value is Value.ACTIVE) != settings.active_low

    def free(self, lines: "_FakeLines") -> None:
        """Take lines back."""
        self._taken = {offset: taken for offset, taken in self._taken.items() if taken is not lines}


class _FakeLines:
    """Lines that were given out; its methods are those of `gpiod.LineRequest`."""

    def __init__(
        self, chip: FakeChip, settings: dict[int, LineSettings], consumer: str, event_buffer_size: int
    ) -> None:
        self.consumer = consumer
        self._chip = chip
        self._settings = settings
        self._events: deque[EdgeEvent] = deque(maxlen=event_buffer_size)
        self._sequence = 0
        self._losing = 0
        self._readable, self._written = os.pipe()

    @property
    def fd(self) -> int:
        return self._readable

    def wait_edge_events(self, timeout: float) -> bool:  # noqa: ARG002
        return bool(self._events)

    def read_edge_events(self) -> list[EdgeEvent]:
        os.read(self._readable, 65536)
        events = list(self._events)
        self._events.clear()
        return events

    def get_value(self, line: int) -> Value:
        return Value.ACTIVE if self._active(line, high=self._chip.level(line)) else Value.INACTIVE

    def set_value(self, line: int, value: Value) -> None:
        if self._settings[line].direction is not Direction.OUTPUT:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        self._chip.put(line, value, self._settings[line])

    def release(self) -> None:
        if self._readable >= 0:
            os.close(self._readable)
            os.close(self._written)
            self._readable = self._written = -1
            self._chip.free(self)

    def lose(self) -> None:
        self._losing += 1

    def moved(self, line: int, *, high: bool, at: int) -> None:
        rising = self._active(line, high=high)
        wanted = self._settings[line].edge_detection
        if wanted not in {Edge.BOTH, Edge.RISING if rising else Edge.FALLING}:
            return
        self._sequence += 1
        if self._losing:
            self._losing -= 1
            return
        kind = EdgeEvent.Type.RISING_EDGE if rising else EdgeEvent.Type.FALLING_EDGE
        self._events.append(EdgeEvent(kind.value, at, line, self._sequence, self._sequence))
        os.write(self._written, b"\0")

    def _active(self, line: int, *, high: bool) -> bool:
        return high != self._settings[line].active_low
