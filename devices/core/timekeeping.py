"""What time it is at a gate that is alone: as the service last signed it, counted on by the gate's own clocks.

    signed instant (beacons, standings) + monotonic seconds since   what the time must be
    the wall clock                                                 must agree, within a minute

No grant of the service depends on any of it. A gate that is alone needs the hour and the date, and both clocks: the signed one
ends with the boot, the wall clock can be set by whoever holds it. A wall clock that is before anything that was ever signed,
before what stands in the gate's own journal, that leaps, or that is apart from the signed time is doubted, and doubt denies.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from devices.core.events import WallTime
from gatekeeper.model.messages import ClockQuality

__all__ = ["TOLERANCE", "ClockDoubt", "Timekeeping"]

TOLERANCE: Final = timedelta(seconds=60)


class ClockDoubt(StrEnum):
    """Why the time is not known."""

    NONE = "clock-none"
    BEHIND = "clock-behind"
    APART = "clock-apart"


@dataclass(frozen=True, slots=True)
class _Instant:
    """An instant, and when it was on the monotonic clock."""

    time: datetime
    at: float

    def counted_to(self, at: float) -> datetime:
        return self.time + timedelta(seconds=at - self.at)


@dataclass(slots=True, kw_only=True)
class Timekeeping:
    """The clocks of one boot. `known` is the newest instant that the service ever signed, of former boots too.

    `written` is the newest that the gate itself has written down in former boots: it counts until the service was heard, for
    it may come from a clock that was wrong.
    """

    known: datetime | None = None
    written: datetime | None = None
    _signed: _Instant | None = None
    _first: _Instant | None = None

    def heard(self, issued: datetime, *, at: float) -> None:
        """The service signed an instant; one that came late makes it no earlier than is known."""
        if self._signed is None or issued > self._signed.counted_to(at):
            self._signed = _Instant(issued, at)
        self.known = issued if self.known is None else max(self.known, issued)

    def seen(self, wall: WallTime | None, *, at: float) -> None:
        """The wall clock was read."""
        if self._first is None and wall is not None:
            self._first = _Instant(wall.at, at)

    def doubt(self, wall: WallTime | None, *, at: float) -> ClockDoubt | None:
        """Why the wall clock is not to be believed, if it is not."""
        if wall is None or wall.quality is ClockQuality.NONE:
            return ClockDoubt.NONE
        before = [self.known, self.written if self._signed is None else None]
        if any(one is not None and wall.at < one - TOLERANCE for one in before):
            return ClockDoubt.BEHIND
        reference = self._signed or self._first
        if reference is not None and abs(wall.at - reference.counted_to(at)) > TOLERANCE:
            return ClockDoubt.APART
        return None

    def tell(self, wall: WallTime | None, *, at: float) -> datetime | ClockDoubt:
        """What time it is, or why nobody knows."""
        doubt = self.doubt(wall, at=at)
        if doubt is not None or wall is None:
            return doubt or ClockDoubt.NONE
        return wall.at if self._signed is None else self._signed.counted_to(at)
