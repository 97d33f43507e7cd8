"""Deciding alone, as it is done: what the gate says by itself, written down first, then the strike.

What it says follows from what the service signed beforehand (`standby`, `alone`). When nobody answers is `asking`'s to know.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Final

from devices.core.alone import Alone, AloneDecision
from devices.core.doors import Doors
from devices.core.events import Signal
from devices.core.journal import Entry
from devices.core.lane import Lane, Limits
from devices.core.standby import Standby
from devices.core.telling import Telling
from devices.core.turn import Turn
from gatekeeper.model.messages import PassageOutcome, Scan, Verdict

__all__ = ["Deciding"]


class Deciding:
    """The decisions of one gate that is alone."""

    def __init__(
        self, *, turn: Turn, telling: Telling, doors: Doors, standby: Standby, limits: Limits
    ) -> None:
        self._turn: Final = turn
        self._telling: Final = telling
        self._up: Final = telling.up
        self._doors: Final = doors
        self._standby: Final = standby
        self._limits: Final = limits

    def answer(self, lane: Lane, scan: Scan) -> None:
        """Answer a scan when nobody else is there to: let in or deny, and write it down."""
        decision = self.decide(lane, scan)
        if decision.granted:
            self.let_in(lane, scan, decision)
            return
        self._turn.tally.alone[decision.said] += 1
        self.write_denied(scan)
        if decision.said.may_wait:
            self._turn.no_service(lane)
        else:
            self._turn.show(lane, Signal.DENIED)

    def write_denied(self, scan: Scan) -> None:
        """Write down whom nobody let in, and with what they tried: a service that did not answer may not have heard of it.

        Where the journal keeps the rest of its room for what happens at the doors, they are counted.
        """
        self._up.tell_refused(
            self._past(scan, Verdict.DENIED),
            at=self._turn.at,
            count=lambda: self._telling.tell_unwritten(scan.access_point),
        )

    def decide(self, lane: Lane, scan: Scan) -> AloneDecision:
        """What the gate says by itself; an order of the service that stands is stronger."""
        if lane.is_locked_down:
            return AloneDecision(said=Alone.LOCKDOWN)
        return self._standby.decide(scan, lane.doorway.direction, wall=self._turn.wall, at=self._turn.at)

    def let_in(self, lane: Lane, scan: Scan, decision: AloneDecision) -> None:
        """Let somebody in once it stands in the journal, on disk; and not at all when it cannot.

        INVARIANT: nothing opens unrecorded (promise 1), at a gate that is alone too.
        """
        lane.deciding = True
        since = self._turn.at
        # Counted from the decision on: while the disk writes, the same badge may be at another door.
        take_back = self._standby.let_in(decision, wall=self._turn.wall, at=since)
        self._up.write(
            self._past(scan, Verdict.GRANTED),
            then=lambda entry: self._recorded(lane, decision, entry, take_back, since=since),
            otherwise=lambda: self._not_recorded(lane, take_back),
        )

    def _recorded(
        self,
        lane: Lane,
        decision: AloneDecision,
        entry: Entry,
        take_back: Callable[[], None],
        *,
        since: float,
    ) -> None:
        lane.deciding = False
        scan = sha256(entry.wire).digest()
        if self._turn.at - since >= self._limits.deadline.total_seconds():
            # The disk took so long that whoever asked has gone.
            take_back()
            self._telling.report(lane, PassageOutcome.NOT_TAKEN, scan=scan)
            self._turn.show(lane, Signal.DENIED)
            return
        self._turn.tally.alone[decision.said] += 1
        if self._doors.release(lane, scan, unlock=decision.unlock, entry=None):
            self._turn.show(lane, Signal.GRANTED)
        else:
            take_back()
            self._turn.show(lane, Signal.LOCKDOWN if lane.is_locked_down else Signal.BUSY)

    def _not_recorded(self, lane: Lane, take_back: Callable[[], None]) -> None:
        lane.deciding = False
        take_back()
        self._turn.no_service(lane)

    def _past(self, scan: Scan, verdict: Verdict) -> Scan:
        """A scan as it is told afterwards: decided, and from which snapshot."""
        return replace(
            scan,
            **self._telling.stamp(),
            offline_verdict=verdict,
            offline_policy=self._standby.digest,
            sealed_pin=None,
        )
