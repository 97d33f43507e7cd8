"""Which commands of the service a gate obeys: its own, of this boot, in rising order, and in time.

A command answers nothing, so the broker could keep one for later. What it cannot do is make the gate believe that it is
earlier than it is by more than a few seconds: `ServiceTime` never runs ahead of the service's clock, and counts only when,
within the last quarter of an hour, an answer to a message of this boot came within five seconds of its question: it was no
further behind then, and loses a thousandth since, whatever beacons the broker keeps back.

INVARIANT: a command is obeyed once, in the boot it was signed for, and no later than six seconds after its validity.

A command that opens names whoever said so and whoever agreed. That two did where the site demands two is the service's to
see to: the same key signs both names, so a gate that asked for the second would learn nothing from it.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from devices.core.belief import Ignored
from gatekeeper import cose
from gatekeeper.core.trust import Use
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import COMMAND_TYPE, COMMAND_VALIDITY, Command, MessageMalformed

__all__ = ["Commands", "Obeyed", "ServiceTime", "Untimed"]

_CLOSE: Final = timedelta(seconds=5)
_LATELY: Final = timedelta(minutes=15)
_SLOWED: Final = 0.999


@dataclass(slots=True)
class ServiceTime:
    """What the service's clock says at least, on the gate's monotonic clock; the wall clock is not asked.

    A message that was issued at an instant is here no earlier than that. Between two it runs slower by a thousandth than
    the gate's own clock, which therefore may be fast by as much; so it is never ahead, and a broker that keeps messages
    back gains a thousandth of the time it does so.
    """

    at_least: datetime | None = None
    since: float = 0.0
    measured: float | None = None

    def hear(self, issued: datetime, *, at: float) -> None:
        """Take the time of something that the service signed just now, or before."""
        known = self.earliest(at=at)
        if known is None or issued > known:
            self.at_least, self.since = issued, at

    def answered(self, issued: datetime, *, asked: float, at: float) -> None:
        """Take the time of an answer to a message of this boot, and when that was first sent."""
        self.hear(issued, at=at)
        if timedelta(seconds=at - asked) <= _CLOSE:
            self.measured = at

    def is_measured(self, *, at: float) -> bool:
        """Whether an answer came in time lately: the service's time is no more than six seconds ahead of `earliest`."""
        return self.measured is not None and timedelta(seconds=at - self.measured) <= _LATELY

    def earliest(self, *, at: float) -> datetime | None:
        """The earliest it can be at the service; None when it was never heard."""
        if self.at_least is None:
            return None
        return self.at_least + timedelta(seconds=(at - self.since) * _SLOWED)


@dataclass(frozen=True, slots=True)
class Obeyed:
    """A command that counts, and the SHA-256 of the message, by which its confirmation names it."""

    command: Command
    digest: bytes


@dataclass(frozen=True, slots=True)
class Untimed:
    """A command that cannot be held against the time yet, and its bytes, to be brought again."""

    command: Command
    wire: bytes


@dataclass(slots=True, kw_only=True)
class Commands:
    """The commands of one boot, and the highest sequence that was held against the time in it."""

    gate: GateId
    boot: BootId
    topic: str
    keys: cose.KeyRing
    highest: int = 0

    def take(self, wire: bytes, *, now: datetime | None) -> Obeyed | Untimed | Ignored:
        """Believe a command, or say why not. `now` is the service's time; None while the gate cannot tell it."""
        verified = cose.verify(
            wire, keys=self.keys, typ=COMMAND_TYPE, use=Use.DECISION, external_aad=self.topic.encode()
        )
        if isinstance(verified, cose.Refused):
            return Ignored.COMMAND_FORGED
        command = Command.read(verified.payload)
        if isinstance(command, MessageMalformed):
            return Ignored.COMMAND_MALFORMED
        # INVARIANT: what was said to another gate, or to this one before it started, says nothing here.
        if command.gate != self.gate:
            return Ignored.COMMAND_FOREIGN
        if command.boot != self.boot:
            return Ignored.COMMAND_OTHER_BOOT
        if command.sequence <= self.highest:
            return Ignored.COMMAND_REPEATED
        if now is None:
            return Untimed(command, wire)
        self.highest = command.sequence
        if not -COMMAND_VALIDITY <= now - command.issued < command.valid:
            return Ignored.COMMAND_LATE
        return Obeyed(command, hashlib.sha256(wire).digest())
