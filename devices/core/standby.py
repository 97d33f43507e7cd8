"""The gate's readiness to be alone: what it holds of the site, what time it is, and what it decides when nobody answers.

    SnapshotReceived, StandingReceived, TrustReceived  -> held, and kept on disk; or refused
    BeaconReceived                                     -> what time it is
    a scan that nobody answers                         -> `AloneDecision`

It is told everything and asked by the parts of the controller, of which `doors` alone moves a strike. What must not have come -
a snapshot that is older than the one held, one that is over, another gate's, one that nobody signed - is told upward, with its
cause.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from devices.core.alone import Alone, AloneDecision, Inside, decide_alone, granted_before
from devices.core.belief import Ignored
from devices.core.events import (
    KeepPolicy,
    PolicyFile,
    SnapshotReceived,
    StandingReceived,
    TrustReceived,
    WallTime,
)
from devices.core.journal import Past
from devices.core.knowledge import Knowledge, newer_trust
from devices.core.timekeeping import ClockDoubt, Timekeeping
from gatekeeper.core.trust import Anchor, Trust
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import ClockQuality, Scan
from gatekeeper.model.places import Direction

__all__ = ["NO_BEACON", "Held", "PolicyEvent", "Standby"]

NO_BEACON: Final = bytes(16)
_KEPT_EVERY: Final = timedelta(minutes=10)
PolicyEvent = SnapshotReceived | StandingReceived | TrustReceived


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was on disk when the gate started, as it was signed; none of it is believed before it was read again."""

    snapshot: bytes | None = None
    standing: bytes | None = None
    confirming: bytes | None = None
    lockdown: bytes | None = None


class Standby:
    """One gate's readiness. `trust` is what it believes now; it may become newer."""

    def __init__(
        self, *, gate: GateId, key: bytes, prefix: str, trust: Trust, anchor: Anchor | None, held: Held
    ) -> None:
        self.time: Final = Timekeeping()
        self.inside: Final = Inside()
        self._key: Final = key
        self._anchor: Final = anchor
        self._knowledge: Final = Knowledge(gate=gate, trust=trust, prefix=prefix)
        self._kept_at: datetime | None = None
        self._kept_apart: bytes | None = held.confirming
        self.refused: Final = tuple(self._restore(held))

    def _restore(self, held: Held) -> list[Ignored]:
        """Take what was on disk, as if it arrived; give what of it is not believed any more."""
        found: list[Ignored | None] = []
        if held.snapshot is not None:
            found.append(self._knowledge.take_snapshot(held.snapshot))
        if held.standing is not None:
            found.append(self._knowledge.take_standing(held.standing))
        if held.confirming is not None:
            found.append(self._knowledge.take_confirming(held.confirming))
        if held.lockdown is not None:
            found.append(self._knowledge.take_lockdown(held.lockdown))
        for known in (self._knowledge.snapshot, self._knowledge.standing):
            if known is not None:
                issued = known.issued
                self.time.known = issued if self.time.known is None else max(self.time.known, issued)
        return [one for one in found if one is not None]

    @property
    def trust(self) -> Trust:
        """The trust list that is believed now."""
        return self._knowledge.trust

    @property
    def digest(self) -> bytes | None:
        """SHA-256 of the snapshot that is held."""
        return self._knowledge.digest

    def recall(self, past: Iterable[Past]) -> None:
        """Take what the gate's journal says of former boots: how late it was then, and whom it let in."""
        for message in past:
            at = message.gate_at
            if at is None or message.clock is ClockQuality.NONE:
                continue
            # INVARIANT: a clock that was set back while the power was off does not make the gate's time alone begin anew.
            self.time.written = max(self.time.written or at, at)
            granted = (
                granted_before(message, knowledge=self._knowledge) if isinstance(message, Scan) else None
            )
            if granted is not None:
                self.inside.let_in(granted, now=at)

    @property
    def is_provided(self) -> bool:
        """Whether anything may be decided."""
        return self._knowledge.snapshot is not None

    def may_decide(self, access_point: AccessPointId) -> bool:
        """Whether a badge at an access point is worth asking for its proof while nobody answers."""
        snapshot = self._knowledge.snapshot
        return snapshot is not None and access_point in snapshot.points

    def take(self, event: PolicyEvent, *, at: float) -> list[KeepPolicy] | Ignored:
        """Take what came: what is to be kept on disk, which may be nothing yet, or why it changes nothing."""
        match event:
            case SnapshotReceived(wire):
                taken = self._snapshot(wire)
            case StandingReceived(wire):
                taken = self._standing(wire, at=at)
            case TrustReceived(document):
                taken = self._newer_trust(document)
            case _:
                assert_never(event)
        return taken if isinstance(taken, Ignored) else [*self._confirming(), *taken]

    def _confirming(self) -> list[KeepPolicy]:
        """The standing by which the snapshot's age is counted, once a newer one stands in its place; and nothing when it is the newest again."""
        wire = self._knowledge.confirming
        if wire == self._kept_apart:
            return []
        self._kept_apart = wire
        return [KeepPolicy(PolicyFile.CONFIRMING, wire or b"")]

    def _snapshot(self, wire: bytes) -> list[KeepPolicy] | Ignored:
        return self._knowledge.take_snapshot(wire) or [KeepPolicy(PolicyFile.SNAPSHOT, wire)]

    def obeyed(self, lockdown: bytes) -> list[KeepPolicy]:
        """A lockdown was ordered and obeyed: what is to be kept of it on disk, so that it outlives a restart."""
        refused = self._knowledge.take_lockdown(lockdown)
        return [KeepPolicy(PolicyFile.LOCKDOWN, lockdown)] if refused is None else []

    def _standing(self, wire: bytes, *, at: float) -> list[KeepPolicy] | Ignored:
        before = self._knowledge.standing
        refused = self._knowledge.take_standing(wire)
        now = self._knowledge.standing
        if refused is not None or now is None:
            return refused or []
        self.time.heard(now.issued, at=at)
        # Said anew every minute: flash memory wears out, and an older confirmation on disk only makes the gate give up sooner.
        same = before is not None and replace(before, issued=now.issued) == now
        if same and self._kept_at is not None and now.issued - self._kept_at < _KEPT_EVERY:
            return []
        self._kept_at = now.issued
        return [KeepPolicy(PolicyFile.STANDING, wire)]

    def _newer_trust(self, document: bytes) -> list[KeepPolicy] | Ignored:
        if self._anchor is None:
            return Ignored.TRUST_FORGED
        read = newer_trust(document, anchor=self._anchor, held=self._knowledge.trust)
        if isinstance(read, Ignored):
            return read
        gone = self._knowledge.believe(read)
        return [KeepPolicy(PolicyFile.TRUST, document), *(KeepPolicy(file, b"") for file in gone)]

    def is_alarming(self, refused: Ignored) -> bool:
        """Whether somebody must be told of what was refused."""
        return refused in _ALARMING

    def decide(self, scan: Scan, direction: Direction, *, wall: WallTime | None, at: float) -> AloneDecision:
        """Decide a scan that nobody answers."""
        # INVARIANT: a gate that the site has dismissed decides nothing.
        if self._key not in self._knowledge.trust.gates:
            return AloneDecision(said=Alone.NO_POLICY)
        now = self.time.tell(wall, at=at)
        return decide_alone(scan, direction, knowledge=self._knowledge, inside=self.inside, now=now)

    def let_in(self, decision: AloneDecision, *, wall: WallTime | None, at: float) -> Callable[[], None]:
        """Somebody is let in on a decision of the gate's own; gives what takes it back."""
        now = self.time.tell(wall, at=at)
        return (lambda: None) if isinstance(now, ClockDoubt) else self.inside.let_in(decision, now=now)


_ALARMING: Final = frozenset(
    {
        Ignored.SNAPSHOT_FORGED,
        Ignored.SNAPSHOT_MALFORMED,
        Ignored.SNAPSHOT_FOREIGN,
        Ignored.SNAPSHOT_OLD,
        Ignored.SNAPSHOT_EXPIRED,
        Ignored.STANDING_FORGED,
        Ignored.STANDING_MALFORMED,
        Ignored.STANDING_FOREIGN,
        Ignored.STANDING_OLD,
        Ignored.TRUST_FORGED,
        Ignored.TRUST_OLD,
    }
)
