"""What the service signed for every gate, and what the gate believes since: beacons, checkpoints, the policy for being alone.

Nothing of it moves a strike. What contradicts what is known is told upward, once; what is refused, with its cause (`telling`).
"""

from typing import Final

from devices.core.belief import Beacons, Ignored
from devices.core.checkpoints import CheckpointMemory, Checkpoints, Contradiction
from devices.core.commands import Commands, ServiceTime
from devices.core.events import KeepCheckpoints, TrustReceived, Warn
from devices.core.standby import PolicyEvent, Standby
from devices.core.telling import Telling
from devices.core.timekeeping import ClockDoubt
from devices.core.turn import Turn
from gatekeeper.model.messages import StatusKind

__all__ = ["Believing"]


class Believing:
    """One gate's belief. Beacons, commands and checkpoints are read with the keys of the trust list that it holds."""

    def __init__(
        self,
        *,
        turn: Turn,
        telling: Telling,
        standby: Standby,
        beacons: Beacons,
        checkpoints: Checkpoints,
        commands: Commands,
        time: ServiceTime,
    ) -> None:
        self._turn: Final = turn
        self._telling: Final = telling
        self._standby: Final = standby
        self._beacons: Final = beacons
        self._checkpoints: Final = checkpoints
        self._commands: Final = commands
        self._time: Final = time
        self._warned: set[Ignored] = set()
        self._doubted = False
        self._agrees_since: float | None = None

    def take_beacon(self, wire: bytes) -> None:
        """Take a beacon, and the time it tells."""
        ignored = self._beacons.take(wire, at=self._turn.at)
        self._turn.ignore(ignored)
        newest = self._beacons.newest
        if ignored is None and newest is not None:
            self._time.hear(newest.issued, at=self._turn.at)
            self._standby.time.heard(newest.issued, at=self._turn.at)
            self.look_at_clock()

    def take_checkpoint(self, wire: bytes) -> None:
        """Take a checkpoint: remember it, or tell of it."""
        taken = self._checkpoints.take(wire)
        match taken:
            case CheckpointMemory():
                self._turn.do(KeepCheckpoints(memory=taken))
            case Contradiction():
                self._turn.do(KeepCheckpoints(memory=self._checkpoints.memory, alarm=taken))
                self._telling.tell(StatusKind.LOG_ROLLED_BACK, None)
            case Ignored():
                self._turn.ignore(taken)
                if taken in _WORTH_A_WORD - self._warned:
                    self._warned.add(taken)
                    self._turn.do(Warn(taken))

    def take_policy(self, event: PolicyEvent) -> None:
        """Take what the gate may decide by while it is alone."""
        taken = self._standby.take(event, at=self._turn.at)
        if isinstance(taken, Ignored):
            self.refuse(taken)
        else:
            for kept in taken:
                self._turn.do(kept)
            if isinstance(event, TrustReceived):
                self._believe_anew()
        self.look_at_clock()

    def _believe_anew(self) -> None:
        """Another trust list: other keys may decide and command, and sign the log."""
        self._beacons.keys = self._commands.keys = self._standby.trust.decisions
        self._checkpoints.believe(self._standby.trust)

    def refuse(self, refused: Ignored) -> None:
        """Count what is not believed, and tell of it and its cause if it must not have come."""
        self._turn.ignore(refused)
        if self._standby.is_alarming(refused) and self._telling.tell_refusal(
            StatusKind.POLICY_REFUSED, refused
        ):
            self._turn.do(Warn(refused))

    def look_at_clock(self) -> None:
        """Tell that the wall clock is not believed, so that the gate lets nobody in while it is alone; and when it is again."""
        doubt = self._standby.time.doubt(self._turn.wall, at=self._turn.at)
        if doubt in {ClockDoubt.BEHIND, ClockDoubt.APART}:
            self._agrees_since = None
            if not self._doubted:
                self._doubted = True
                self._telling.tell(StatusKind.CLOCK_DOUBTED, None)
        elif doubt is None and self._doubted:
            if self._agrees_since is None:
                self._agrees_since = self._turn.at
            # A clock on the edge of what is tolerated is not told of every ten seconds.
            elif self._turn.at - self._agrees_since >= _AGREES_FOR:
                self._doubted, self._agrees_since = False, None
                self._telling.tell(StatusKind.CLOCK_BELIEVED, None)


_AGREES_FOR: Final = 60.0
_WORTH_A_WORD: Final = frozenset(
    {
        Ignored.CHECKPOINT_FORGED,
        Ignored.CHECKPOINT_MALFORMED,
        Ignored.CHECKPOINT_FOREIGN,
        Ignored.CHECKPOINT_UNSIGNED,
    }
)
