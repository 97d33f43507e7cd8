"""What a gate holds of the site so that it can decide alone, and which bytes may change it.

    bytes -> a decision key, the right topic -> snapshot of this gate, standing of this site
        newer than what is held                              held from now on, and kept on disk
        the same                                             nothing new
        older, over already, of another gate or site,
        or not signed                                        refused; nobody is told less than before

INVARIANT: what is held never goes back, not over a restart either: what is on disk is read like what arrives.
INVARIANT: a snapshot counts from the standing that names it on, and from nothing else. It says nothing of lockdowns and revocations,
    so one that comes without its standing prolongs nothing, and a standing from before it is not enough.

The site's roots sign the trust list, nobody else; it is believed from the anchor, as at the start. What is held is read anew
under it: what a key signed that the roots took back is let go.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from devices.core.belief import Ignored
from devices.core.events import PolicyFile
from gatekeeper import cose
from gatekeeper.core.trust import Anchor, Trust, TrustRefusal, TrustRefused, Use, read_trust
from gatekeeper.cose.status_list import STATUS_LIST_TYPE, StatusList, read_status_list
from gatekeeper.model.ids import GateId, TenantId
from gatekeeper.model.messages import COMMAND_TYPE, Command, CommandKind, MessageMalformed
from gatekeeper.model.snapshot import (
    SNAPSHOT_BOUNDS,
    SNAPSHOT_TYPE,
    STANDING_BOUNDS,
    STANDING_TYPE,
    Snapshot,
    Standing,
)
from gatekeeper.model.topics import PREFIX, Channel, gate_topic, standing_topic

__all__ = ["Knowledge", "newer_trust", "status_uri"]


def status_uri(trust: Trust, tenant: TenantId) -> str:
    """The URI that a tenant's badges name as their status list."""
    return f"site:{trust.site}/t:{tenant}"


@dataclass(slots=True, kw_only=True)
class Knowledge:
    """The newest snapshot and standing of one gate. `confirmed` is when a standing last named this snapshot."""

    gate: GateId
    trust: Trust
    prefix: str = PREFIX
    snapshot: Snapshot | None = None
    standing: Standing | None = None
    statuses: Mapping[TenantId, StatusList] = field(default_factory=dict)
    confirmed: datetime | None = None
    lockdown: Command | None = None
    """The newest order that locked a door of this gate, of this boot or a former one."""
    _wires: dict[PolicyFile, bytes] = field(default_factory=dict, repr=False)
    digest: bytes | None = None
    """SHA-256 of the snapshot as it was signed: by this the log names what was decided from."""

    def believe(self, trust: Trust) -> list[PolicyFile]:
        """Believe another trust list, and of what is held only what it bears out; gives what is let go."""
        # INVARIANT: what is held is signed by keys that are believed now, not only when it came.
        wires, self._wires = self._wires, {}
        self.trust, self.statuses = trust, {}
        self.snapshot = self.standing = self.confirmed = self.digest = self.lockdown = None
        if PolicyFile.SNAPSHOT in wires:
            self.take_snapshot(wires[PolicyFile.SNAPSHOT])
        if PolicyFile.STANDING in wires:
            self.take_standing(wires[PolicyFile.STANDING])
        if PolicyFile.LOCKDOWN in wires:
            self.take_lockdown(wires[PolicyFile.LOCKDOWN])
        return [file for file in wires if file not in self._wires]

    def take_snapshot(self, wire: bytes) -> Ignored | None:
        """Take a snapshot, or say why not."""
        if not wire:
            return Ignored.SNAPSHOT_CLEARED
        topic = gate_topic(self.trust.site, self.gate, Channel.POLICY, prefix=self.prefix)
        verified = cose.verify(
            wire,
            keys=self.trust.decisions,
            typ=SNAPSHOT_TYPE,
            use=Use.DECISION,
            external_aad=topic.encode(),
            bounds=SNAPSHOT_BOUNDS,
        )
        if isinstance(verified, cose.Refused):
            return Ignored.SNAPSHOT_FORGED
        read = Snapshot.read(verified.payload)
        if isinstance(read, MessageMalformed):
            return Ignored.SNAPSHOT_MALFORMED
        if (read.site, read.gate) != (self.trust.site, self.gate):
            return Ignored.SNAPSHOT_FOREIGN
        held, arrived = self.snapshot, hashlib.sha256(wire).digest()
        if held is not None and (read.version, read.issued) <= (held.version, held.issued):
            return Ignored.SNAPSHOT_REPEATED if arrived == self.digest else Ignored.SNAPSHOT_OLD
        if self.standing is not None and read.until <= self.standing.issued.timestamp():
            return Ignored.SNAPSHOT_EXPIRED
        if held is None or held.version != read.version:
            self.confirmed = None
        self.snapshot, self.digest = read, arrived
        self._wires[PolicyFile.SNAPSHOT] = wire
        self._confirm()
        return None

    def take_standing(self, wire: bytes) -> Ignored | None:
        """Take where the site stands, or say why not."""
        topic = standing_topic(self.trust.site, prefix=self.prefix)
        verified = cose.verify(
            wire,
            keys=self.trust.decisions,
            typ=STANDING_TYPE,
            use=Use.DECISION,
            external_aad=topic.encode(),
            bounds=STANDING_BOUNDS,
        )
        if isinstance(verified, cose.Refused):
            return Ignored.STANDING_FORGED
        read = Standing.read(verified.payload)
        if isinstance(read, MessageMalformed):
            return Ignored.STANDING_MALFORMED
        if read.site != self.trust.site:
            return Ignored.STANDING_FOREIGN
        held = self.standing
        if held is not None and (read.version, read.issued) <= (held.version, held.issued):
            return Ignored.STANDING_REPEATED if read == held else Ignored.STANDING_OLD
        statuses = self._statuses(read)
        if statuses is None:
            return Ignored.STANDING_MALFORMED
        self.standing, self.statuses = read, statuses
        self._wires[PolicyFile.STANDING] = wire
        self._confirm()
        return None

    def take_lockdown(self, wire: bytes) -> Ignored | None:
        """Take an order that was obeyed, in this boot or a former one, or say why not."""
        topic = gate_topic(self.trust.site, self.gate, Channel.COMMAND, prefix=self.prefix)
        verified = cose.verify(
            wire,
            keys=self.trust.decisions,
            typ=COMMAND_TYPE,
            use=Use.DECISION,
            external_aad=topic.encode(),
        )
        if isinstance(verified, cose.Refused):
            return Ignored.COMMAND_FORGED
        read = Command.read(verified.payload)
        if isinstance(read, MessageMalformed):
            return Ignored.COMMAND_MALFORMED
        if read.gate != self.gate:
            return Ignored.COMMAND_FOREIGN
        if read.kind is not CommandKind.LOCK_DOWN:
            return Ignored.LOCKDOWN_MISPLACED
        if self.lockdown is not None and read.entry <= self.lockdown.entry:
            return Ignored.COMMAND_REPEATED
        self.lockdown = read
        self._wires[PolicyFile.LOCKDOWN] = wire
        return None

    @property
    def is_locked_down(self) -> bool:
        """Whether a lockdown was ordered that the standing does not know of yet, be it in force still or over."""
        order, standing = self.lockdown, self.standing
        if order is None or standing is None:
            return order is not None
        return standing.version <= order.entry or standing.issued <= order.issued

    def _confirm(self) -> None:
        """Count the snapshot's age anew when the newest standing names it."""
        snapshot, standing = self.snapshot, self.standing
        if snapshot is None or standing is None or standing.version < snapshot.version:
            return
        if standing.snapshots.get(self.gate) == snapshot.version:
            self.confirmed = max(self.confirmed or standing.issued, standing.issued)

    def _statuses(self, standing: Standing) -> Mapping[TenantId, StatusList] | None:
        """The status lists of a standing, each signed by itself for its tenant; None when one is not."""
        found: dict[TenantId, StatusList] = {}
        for tenant, document in standing.statuses.items():
            verified = cose.verify(
                document,
                keys=self.trust.decisions,
                typ=STATUS_LIST_TYPE,
                use=Use.DECISION,
                external_aad=self.trust.site.encode(),
                bounds=STANDING_BOUNDS,
            )
            if isinstance(verified, cose.Refused):
                return None
            read = read_status_list(verified.payload, bounds=STANDING_BOUNDS)
            if isinstance(read, cose.Refused) or read.uri != status_uri(self.trust, tenant):
                return None
            found[tenant] = read
        return found


def newer_trust(document: bytes, *, anchor: Anchor, held: Trust) -> Trust | Ignored:
    """A trust list that is newer than the one held and believed from the anchor, or why it changes nothing."""
    if document == held.document:
        return Ignored.TRUST_REPEATED
    read = read_trust(document, anchor=anchor, not_below=held.version + 1)
    if isinstance(read, TrustRefused):
        return _TRUST_REFUSALS.get(read.code, Ignored.TRUST_FORGED)
    return read


_TRUST_REFUSALS: Final = {TrustRefusal.ROLLBACK: Ignored.TRUST_OLD}
