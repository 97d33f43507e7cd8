"""The step under way: when it is, and what it makes the gate do. All parts of a gate add to the same one, in order.

It holds nothing from one step to the next but the counts.
"""

from datetime import timedelta
from typing import Any, Final

from devices.core.belief import Ignored
from devices.core.events import CancelTimer, Effect, Show, Signal, StartTimer, Timer, TimerKind, WallTime
from devices.core.lane import Lane
from devices.core.tally import Tally

__all__ = ["Turn"]


class Turn:
    """One step after the other. `at` is monotonic, `wall` may be missing."""

    def __init__(self) -> None:
        self.tally: Final = Tally()
        self.at = 0.0
        self.wall: WallTime | None = None
        self._effects: list[Effect] = []

    def begin(self, *, at: float, wall: WallTime | None) -> None:
        """Begin a step."""
        self.at, self.wall, self._effects = at, wall, []

    def end(self) -> list[Effect]:
        """End a step: what is to be done. Nothing of it is held any longer, for it may be a snapshot of megabytes."""
        effects, self._effects = self._effects, []
        return effects

    def do(self, effect: Effect) -> None:
        """Have the gate do something."""
        self._effects.append(effect)

    def start(self, lane: Lane | None, kind: TimerKind, after: timedelta) -> None:
        """Start a timer, of an access point or of the whole gate; one that runs is started anew."""
        self.do(StartTimer(timer=_timer(lane, kind), after=after))

    def cancel(self, lane: Lane | None, kind: TimerKind) -> None:
        """Stop a timer, if it runs."""
        self.do(CancelTimer(timer=_timer(lane, kind)))

    def show(self, lane: Lane, signal: Signal, **of_answer: Any) -> None:
        """Show something to whoever stands at the reader."""
        self.do(Show(access_point=lane.doorway.id, signal=signal, **of_answer))

    def no_service(self, lane: Lane) -> None:
        """Show that nobody is there to ask, and count it."""
        self.tally.no_service += 1
        self.show(lane, Signal.NO_SERVICE)

    def ignore(self, why: Ignored | None) -> None:
        """Count what came down and changed nothing; with None it did, and there is nothing to count."""
        if why is not None:
            self.tally.ignored[why] += 1


def _timer(lane: Lane | None, kind: TimerKind) -> Timer:
    return Timer(kind, lane.doorway.id if lane is not None else None)
