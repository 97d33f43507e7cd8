"""What the service orders a gate to do: open a door once, hold doors shut or no longer, start anew.

Which commands count is `commands`' to say. One that comes before the gate can tell the service's time is kept, and the time
asked for; a later one takes its place. What was done is confirmed by the digest of its command, and what was refused is told,
with its cause.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, assert_never

from devices.core.belief import Beacons, Ignored
from devices.core.commands import Commands, Obeyed, ServiceTime, Untimed
from devices.core.doors import Doors
from devices.core.events import Lock, Restart, TimerKind
from devices.core.journal import Entry
from devices.core.lane import Lane, Limits
from devices.core.outbox import Sent
from devices.core.standby import Standby
from devices.core.telling import Telling
from devices.core.turn import Turn
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import Command, CommandKind, Status, StatusKind

__all__ = ["Orders"]


class Orders:
    """The orders that one gate follows. `untimed` is the latest that came before the gate could tell the time."""

    def __init__(
        self,
        *,
        turn: Turn,
        telling: Telling,
        lanes: Mapping[AccessPointId, Lane],
        doors: Doors,
        commands: Commands,
        time: ServiceTime,
        beacons: Beacons,
        standby: Standby,
        limits: Limits,
    ) -> None:
        self._turn: Final = turn
        self._telling: Final = telling
        self._up: Final = telling.up
        self._lanes: Final = lanes
        self._doors: Final = doors
        self._commands: Final = commands
        self._time: Final = time
        self._beacons: Final = beacons
        self._standby: Final = standby
        self._limits: Final = limits
        self.untimed: Untimed | None = None
        self._has_asked = False
        self._is_restarting = False
        self._last_word: bytes | None = None

    def take_command(self, wire: bytes) -> None:
        """Obey a command, or tell why not."""
        heard = self._time.is_measured(at=self._turn.at) and self._beacons.fresh(at=self._turn.at) is not None
        taken = self._commands.take(wire, now=self._time.earliest(at=self._turn.at) if heard else None)
        match taken:
            case Obeyed():
                ignored = self._obey(taken.command, taken, wire)
                if ignored is not None:
                    self._refuse(ignored, wire)
            case Untimed():
                self._wait(taken)
            case Ignored():
                self._refuse(taken, wire)
            case _:
                assert_never(taken)

    def recorded(self, recorded: Sent | Entry, digest: bytes) -> None:
        """The service has written something down: the last word before a restart, or what tells the time."""
        if digest == self._last_word:
            self.start_anew()
        elif isinstance(recorded, Sent):
            # It took too long to tell the time by, as the first after a start without a link does: ask once more.
            self._ask_the_time()
            self._command_again()

    def fire_is_over(self) -> None:
        """A restart that waited for the end of a fire comes soon."""
        if self._is_restarting:
            self._turn.start(None, TimerKind.RESTART, self._limits.restart)

    def start_anew(self) -> None:
        """End, and be started again."""
        # INVARIANT: while it burns no gate ends by itself: it would secure the doors that are released.
        if not self._doors.is_burning:
            self._turn.do(Restart())

    def _refuse(self, ignored: Ignored, wire: bytes) -> None:
        """Count what is not obeyed, and tell of it and its cause."""
        self._turn.ignore(ignored)
        self._telling.tell_refusal(StatusKind.COMMAND_REFUSED, ignored, command=sha256(wire).digest())

    # -- the time -----------------------------------------------------------------------------------------------------

    def _wait(self, arrived: Untimed) -> None:
        """Keep the latest of the commands that cannot be held against the time yet; an earlier one is not obeyed."""
        waiting = self.untimed
        if waiting is None or arrived.command.sequence > waiting.command.sequence:
            if waiting is not None:
                self._overtaken(waiting)
            self.untimed, self._has_asked = arrived, False
            self._ask_the_time()
        elif arrived.wire != waiting.wire:
            self._overtaken(arrived)
            return
        # Counted and not told: that the gate cannot tell the time yet is nobody's attack.
        self._turn.ignore(Ignored.COMMAND_UNTIMED)

    def _overtaken(self, untimed: Untimed) -> None:
        # A lockdown and its end the service repeats until it is followed: nothing is lost of it, and nobody needs to look.
        if untimed.command.kind in _REPEATED:
            self._turn.ignore(Ignored.COMMAND_OVERTAKEN)
        else:
            self._refuse(Ignored.COMMAND_OVERTAKEN, untimed.wire)

    def _ask_the_time(self) -> None:
        """Ask for an answer that tells the service's time; not while it is known, or an answer is on its way.

        Once for each command, and once beside: a service that is merely slow answers each time too late to tell the time by,
        and each question is an entry of its log. A gate loses nothing by it: the next command is asked for at once, scans and
        their answers go on, and tell the time as soon as the service is quick again.
        """
        if self._time.is_measured(at=self._turn.at):
            self._has_asked = False
        elif not (self._has_asked or self._up.keeps_more):
            self._has_asked = True
            self._telling.ask_for_answer()

    def _command_again(self) -> None:
        """Take the latest command that came before the gate could tell the time: nobody has spoken to it for long."""
        untimed = self.untimed
        if untimed is not None and self._time.is_measured(at=self._turn.at):
            self.untimed = None
            self.take_command(untimed.wire)

    # -- what is done -------------------------------------------------------------------------------------------------

    def _obey(self, command: Command, obeyed: Obeyed, wire: bytes) -> Ignored | None:
        lanes = list(self._lanes.values())
        if command.access_point is not None:
            lanes = [lane for lane in lanes if lane.doorway.id == command.access_point]
        if not lanes:
            return Ignored.COMMAND_MISPLACED
        if self._is_restarting:
            return Ignored.COMMAND_PREVENTED
        match command.kind:
            case CommandKind.OPEN:
                return self._open(lanes[0], command, obeyed.digest)
            case CommandKind.LOCK_DOWN | CommandKind.RELEASE:
                self._doors.lock_down(lanes, on=command.kind is CommandKind.LOCK_DOWN)
                # INVARIANT: an order to lock down is on disk before the word that it is followed.
                for kept in self._standby.obeyed(wire) if command.kind is CommandKind.LOCK_DOWN else ():
                    self._turn.do(kept)
                self._telling.tell(_CONFIRMED[command.kind], command.access_point, command=obeyed.digest)
                return None
            case CommandKind.REBOOT:
                return self._reboot(obeyed.digest)
            case _:
                assert_never(command.kind)

    def _open(self, lane: Lane, command: Command, digest: bytes) -> Ignored | None:
        if command.unlock is None or not self._doors.release(
            lane, digest, unlock=command.unlock, entry=command.entry
        ):
            return Ignored.COMMAND_PREVENTED
        self._telling.tell(StatusKind.OPENED, lane.doorway.id, command=digest)
        return None

    def _reboot(self, digest: bytes) -> Ignored | None:
        """Secure every door and start anew once that is recorded, or soon. While it burns a gate stays where it is."""
        if self._doors.is_burning:
            return Ignored.COMMAND_PREVENTED
        self._is_restarting = True
        self._doors.lock_down(self._lanes.values(), on=True)
        for lane in self._lanes.values():
            lane.is_restarting = True
            self._turn.do(Lock(access_point=lane.doorway.id))
        said = Status(**self._telling.stamp(), kind=StatusKind.RESTARTING, access_point=None, command=digest)
        self._up.write(
            said, then=self._remember_last_word, otherwise=lambda: self._up.keep(said, at=self._turn.at)
        )
        self._turn.start(None, TimerKind.RESTART, self._limits.restart)
        return None

    def _remember_last_word(self, entry: Entry) -> None:
        self._last_word = sha256(entry.wire).digest()


_REPEATED: Final = frozenset({CommandKind.LOCK_DOWN, CommandKind.RELEASE})
_CONFIRMED: Final = {
    CommandKind.LOCK_DOWN: StatusKind.LOCKED_DOWN,
    CommandKind.RELEASE: StatusKind.RELEASED,
}
