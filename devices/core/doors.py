"""The doors of one gate: what happens to them becomes their next state, what their strikes do, and what is told of them.

The table is `door`'s. A strike is released here and nowhere else: for a grant or a command (`release`), on the exit button
where the settings say so (`ask_to_leave`), and while the fire input is on (`fire`). Whether a grant is one is not asked here.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from devices.core.door import SHUT, DoorAct, DoorInput, standing, step
from devices.core.events import CallOut, Lock, Signal, TimerKind, Unlock
from devices.core.lane import Exit, Lane, Limits
from devices.core.tally import Unlocked
from devices.core.telling import Telling
from devices.core.turn import Turn
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import PassageOutcome, StatusKind

__all__ = ["Doors"]

_Told: TypeAlias = Literal[
    DoorAct.TELL_TAKEN,
    DoorAct.TELL_NOT_TAKEN,
    DoorAct.TELL_WITHHELD,
    DoorAct.TELL_EXIT,
    DoorAct.TELL_EXITED,
    DoorAct.TELL_FORCED,
    DoorAct.TELL_HELD,
    DoorAct.TELL_CLOSED,
    DoorAct.TELL_SHUT,
]
"""What a door has to say: a further act must be one of these, or be done in `Doors._act`."""


class Doors:
    """All doors of one gate. `is_burning` says whether the fire input is on."""

    def __init__(
        self, *, turn: Turn, telling: Telling, lanes: Mapping[AccessPointId, Lane], limits: Limits
    ) -> None:
        self._turn: Final = turn
        self._telling: Final = telling
        self._lanes: Final = lanes
        self._limits: Final = limits
        self.is_burning = False

    # -- for whom a strike is released --------------------------------------------------------------------------------

    def release(self, lane: Lane, digest: bytes, *, unlock: timedelta, entry: int | None) -> bool:
        """Release the strike for a grant or a command, if the door and its partners let it; whether they did."""
        lane.offered = digest
        lane.unlock = min(unlock, self._limits.longest_unlock)
        others = [self._lanes[partner].door for partner in lane.doorway.partners]
        granted = DoorInput.GRANT if SHUT.issuperset(others) else DoorInput.WITHHELD
        if DoorAct.UNLOCK not in self.happens(lane, granted):
            return False
        self._turn.tally.unlocks.append(
            Unlocked(access_point=lane.doorway.id, scan=digest, entry=entry, at=self._turn.at)
        )
        return True

    def ask_to_leave(self, lane: Lane) -> None:
        """The exit button was pressed."""
        released = lane.doorway.exit is Exit.RELEASED
        self.happens(lane, DoorInput.LET_OUT if released else DoorInput.EXIT)

    def fire(self, *, on: bool) -> bool:
        """Say so first, then release the doors that are released by it: an aid beside what is wired. Whether it is news."""
        if self.is_burning is on:
            return False
        self.is_burning = on
        self._telling.tell(StatusKind.FIRE if on else StatusKind.FIRE_CLEARED, None)
        for lane in self._lanes.values():
            lane.is_freed = on and lane.doorway.released_by_fire
            self._follow(lane)
        return True

    def renew_fire(self, lane: Lane) -> None:
        """Release a strike for the fire once more."""
        # INVARIANT: only the input itself keeps a strike released.
        if lane.is_freed:
            self.happens(lane, DoorInput.FIRE)

    def lock_down(self, lanes: Iterable[Lane], *, on: bool) -> None:
        """Have doors held shut, or no longer."""
        for lane in lanes:
            if lane.is_locked_down is not on:
                lane.is_locked_down = on
                self._follow(lane)
                self._turn.do(CallOut(lane.doorway.id, Signal.LOCKDOWN if on else Signal.READY))

    # -- what happens to a door ---------------------------------------------------------------------------------------

    def contact(self, lane: Lane, *, opened: bool) -> None:
        """A contact says that its door opened, or closed; one that the door should not have says nothing."""
        if lane.doorway.has_contact:
            self.happens(lane, DoorInput.OPENED if opened else DoorInput.CLOSED)

    def happens(self, lane: Lane, happened: DoorInput) -> tuple[DoorAct, ...]:
        """Have something happen to a door, then what the orders make of it; the acts of the first."""
        acts = self._step(lane, happened)
        self._follow(lane)
        return acts

    def _follow(self, lane: Lane) -> None:
        """Have a door follow the orders that stand, as far as it can now."""
        while True:
            order = standing(lane.door, lockdown=lane.is_locked_down, fire=lane.is_freed)
            if order is None:
                return
            self._step(lane, order)

    def _step(self, lane: Lane, happened: DoorInput) -> tuple[DoorAct, ...]:
        lane.door, acts = step(lane.door, happened)
        for act in acts:
            self._act(lane, act)
        if lane.door in SHUT:
            lane.granted = None
        return acts

    # -- what it makes the gate do ------------------------------------------------------------------------------------

    def _act(self, lane: Lane, act: DoorAct) -> None:
        match act:
            case DoorAct.UNLOCK | DoorAct.UNLOCK_TO_LEAVE | DoorAct.UNLOCK_FOR_FIRE:
                self._unlock(lane, act)
            case DoorAct.LOCK:
                self._turn.do(Lock(access_point=lane.doorway.id))
            case DoorAct.AWAIT_OPENING | DoorAct.AWAIT_EXIT:
                to_enter = act is DoorAct.AWAIT_OPENING
                self._turn.start(lane, TimerKind.UNLOCK, lane.unlock if to_enter else self._limits.exit)
            case DoorAct.AWAIT_CLOSING:
                self._turn.start(lane, TimerKind.WARNED, lane.doorway.warned)
                self._turn.start(lane, TimerKind.HELD, lane.doorway.held)
            case DoorAct.OPENING_AWAITED | DoorAct.CLOSING_AWAITED | DoorAct.FIRE_AWAITED:
                for kind in _AWAITED[act]:
                    self._turn.cancel(lane, kind)
            case DoorAct.ASK_TO_CLOSE | DoorAct.STOP_ASKING:
                self._turn.do(CallOut(lane.doorway.id, _CALLS[act]))
            case _:
                self._tell_of(lane, act)

    def _unlock(self, lane: Lane, act: DoorAct) -> None:
        lasting = self._limits.longest_unlock
        if act is DoorAct.UNLOCK:
            lane.granted, lasting = lane.offered, lane.unlock
        elif act is DoorAct.UNLOCK_TO_LEAVE:
            lasting = self._limits.exit
        else:
            # Renewed in good time: should the program end, the strike ends by itself, and what is wired goes on.
            self._turn.start(lane, TimerKind.FIRE, lasting / 2)
        self._turn.do(Unlock(access_point=lane.doorway.id, lasting=lasting))

    def _tell_of(self, lane: Lane, act: _Told) -> None:
        """Tell of a door. Without a contact nobody knows whether a grant was used, and the gate does not say so."""
        match act:
            case DoorAct.TELL_EXIT:
                self._telling.tell(StatusKind.EXIT_REQUESTED, lane.doorway.id)
            case DoorAct.TELL_CLOSED | DoorAct.TELL_SHUT:
                # A scan under way may be granted already: its door would then count as shut while it is released.
                if act is DoorAct.TELL_CLOSED or (lane.doorway.interlocked and lane.scan is None):
                    self._telling.tell(StatusKind.CLOSED_AGAIN, lane.doorway.id)
            case _:
                if lane.doorway.has_contact:
                    scan = lane.offered if act is DoorAct.TELL_WITHHELD else lane.granted
                    self._telling.report(lane, _OUTCOMES[act], scan=scan)


_AWAITED: Final = {
    DoorAct.OPENING_AWAITED: (TimerKind.UNLOCK,),
    DoorAct.CLOSING_AWAITED: (TimerKind.WARNED, TimerKind.HELD),
    DoorAct.FIRE_AWAITED: (TimerKind.FIRE,),
}
_CALLS: Final = {DoorAct.ASK_TO_CLOSE: Signal.CLOSE_DOOR, DoorAct.STOP_ASKING: Signal.READY}
_OUTCOMES: Final = {
    DoorAct.TELL_TAKEN: PassageOutcome.TAKEN,
    DoorAct.TELL_NOT_TAKEN: PassageOutcome.NOT_TAKEN,
    DoorAct.TELL_WITHHELD: PassageOutcome.NOT_TAKEN,
    DoorAct.TELL_EXITED: PassageOutcome.EXITED,
    DoorAct.TELL_FORCED: PassageOutcome.FORCED,
    DoorAct.TELL_HELD: PassageOutcome.HELD_OPEN,
}
