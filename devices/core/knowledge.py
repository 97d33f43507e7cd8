"""What a gate holds of the site so that it can decide alone, and which bytes may change it.

    bytes -> a decision key, the right topic -> snapshot of this gate, standing of this site
        newer than what is held                              held from now on, and kept on disk
        the same                                             nothing new
        older, over already, of another gate or site,
        or not signed                                        refused; nobody is told less than before

INVARIANT: what is held never goes back, not over a restart either: what is on disk is read like what arrives.
INVARIANT: a snapshot counts from the standing that names it on, and from nothing else. It says nothing of lockdowns and revocations,
    so one that comes without its standing prolongs nothing, and a standing from before it is not enough.

A newer standing may name a snapshot that is still on its way. Then the age of the one that is held is counted from the standing that named it
last (the *confirming* one), and what takes rights away from the newest: that holds over a power cut too, so both are kept on disk.

The site's roots sign the trust list, nobody else; it is believed from the anchor, as at the start. What is held counts under it
as long as the keys do that signed it: what a key signed that the roots took back is let go. No bytes of a snapshot are held beside what was read from them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.core.belief import Ignored
from devices.core.events import PolicyFile
from devices.core.holders import Holders
from gatekeeper import cose
from gatekeeper.core.trust import Anchor, Trust, TrustRefusal, TrustRefused, Use, read_trust
from gatekeeper.cose.status_list import STATUS_LIST_TYPE, StatusList, read_status_list
from gatekeeper.model.ids import BadgeId, GateId, TenantId
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provided:
    """The snapshot that is held. The bytes it was read from are not: they are megabytes, and on disk."""

    said: Snapshot
    holders: Holders
    digest: bytes
    key: cose.KeyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stands:
    """A standing, as it was signed too, with the status lists in it and every key that signed one of these."""

    said: Standing
    wire: bytes
    statuses: Mapping[TenantId, StatusList]
    keys: frozenset[cose.KeyRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ordered:
    """An order to lock down."""

    said: Command
    key: cose.KeyRecord


@dataclass(slots=True, kw_only=True)
class Knowledge:
    """The newest snapshot and standing of one gate, and the newest order that locked a door of it, of this boot or a former one."""

    gate: GateId
    trust: Trust
    prefix: str = PREFIX
    _provided: _Provided | None = None
    _newest: _Stands | None = None
    _confirming: _Stands | None = None
    _ordered: _Ordered | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot."""
        return self._provided.said if self._provided is not None else None

    def badges_of(self, holder: int) -> frozenset[BadgeId]:
        """The badges of whoever has a number in the snapshot."""
        return self._provided.holders.badges_of(holder) if self._provided is not None else frozenset()

    @property
    def digest(self) -> bytes | None:
        """SHA-256 of the snapshot as it was signed: by this the log names what was decided from."""
        return self._provided.digest if self._provided is not None else None

    @property
    def standing(self) -> Standing | None:
        """The newest standing."""
        return self._newest.said if self._newest is not None else None

    @property
    def statuses(self) -> Mapping[TenantId, StatusList]:
        """The status lists of the newest standing."""
        return self._newest.statuses if self._newest is not None else {}

    @property
    def confirmed(self) -> datetime | None:
        """When a standing last named this snapshot."""
        return self._confirming.said.issued if self._confirming is not None else None

    @property
    def confirming(self) -> bytes | None:
        """The standing that last named this snapshot, as it was signed, where a newer one does not."""
        return None if self._confirming is None or self._confirming is self._newest else self._confirming.wire

    @property
    def lockdown(self) -> Command | None:
        """The newest order that locked a door of this gate."""
        return self._ordered.said if self._ordered is not None else None

    @property
    def is_locked_down(self) -> bool:
        """Whether a lockdown was ordered that the standing does not know of yet, be it in force still or over."""
        order, standing = self.lockdown, self.standing
        if order is None or standing is None:
            return order is not None
        return standing.version <= order.entry or standing.issued <= order.issued

    def believe(self, trust: Trust) -> list[PolicyFile]:
        """Believe another trust list, and of what is held only what it bears out; gives what is let go."""
        # INVARIANT: what is held is signed by keys that are believed now, not only when it came. (What verified under one record of
        # a key verifies under the same one again: it is enough to look whether the list still holds it.)
        self.trust = trust
        gone: list[PolicyFile] = []
        if self._provided is not None and not self._believes(self._provided.key):
            self._provided = None
            gone.append(PolicyFile.SNAPSHOT)
        if self._newest is not None and not self._believes(*self._newest.keys):
            self._newest = None
            gone.append(PolicyFile.STANDING)
        if self._ordered is not None and not self._believes(self._ordered.key):
            self._ordered = None
            gone.append(PolicyFile.LOCKDOWN)
        if self._provided is None or (
            self._confirming is not None and not self._believes(*self._confirming.keys)
        ):
            self._confirming = None
        self._confirm(self._newest)
        return gone

    def _believes(self, *keys: cose.KeyRecord) -> bool:
        return all(self.trust.decisions.get(key.kid) == key for key in keys)

    # -- what comes ---------------------------------------------------------------------------------------------------

    def take_snapshot(self, wire: bytes) -> Ignored | None:
        """Take a snapshot, or say why not."""
        if not wire:
            return Ignored.SNAPSHOT_CLEARED
        arrived = hashlib.sha256(wire).digest()
        if arrived == self.digest:
            return Ignored.SNAPSHOT_REPEATED  # after every reconnection, and it may be megabytes
        topic = gate_topic(self.trust.site, self.gate, Channel.POLICY, prefix=self.prefix)
        verified = self._verified(wire, typ=SNAPSHOT_TYPE, aad=topic, bounds=SNAPSHOT_BOUNDS)
        if verified is None:
            return Ignored.SNAPSHOT_FORGED
        read = Snapshot.read(verified.payload)
        if isinstance(read, MessageMalformed):
            return Ignored.SNAPSHOT_MALFORMED
        if (read.site, read.gate) != (self.trust.site, self.gate):
            return Ignored.SNAPSHOT_FOREIGN
        held = self.snapshot
        if held is not None and (read.version, read.issued) <= (held.version, held.issued):
            return Ignored.SNAPSHOT_OLD
        if self.standing is not None and read.until <= self.standing.issued.timestamp():
            return Ignored.SNAPSHOT_EXPIRED
        self._provided = _Provided(said=read, holders=Holders(read), digest=arrived, key=verified.key)
        if held is None or held.version != read.version:
            self._confirming = None
        self._confirm(self._newest)
        return None

    def take_standing(self, wire: bytes) -> Ignored | None:
        """Take where the site stands, or say why not."""
        if not wire:
            return Ignored.STANDING_CLEARED
        read = self._standing_in(wire, newer_than=self.standing)
        if isinstance(read, Ignored):
            return read
        self._newest = read
        self._confirm(read)
        return None

    def take_confirming(self, wire: bytes) -> Ignored | None:
        """Take the standing that last named the snapshot, from disk and after the newest, or say why not."""
        # INVARIANT: without the newest standing nothing counts: an older one may not know what was taken back since.
        if self._newest is None:
            return None
        # It is the newer of the two where the power went before the other one was written.
        refused = self.take_standing(wire)
        if refused not in {Ignored.STANDING_OLD, Ignored.STANDING_REPEATED}:
            return refused
        read = self._standing_in(wire, newer_than=None)
        if isinstance(read, Ignored):
            return read
        self._confirm(read)
        return None

    def take_lockdown(self, wire: bytes) -> Ignored | None:
        """Take an order that was obeyed, in this boot or a former one, or say why not."""
        topic = gate_topic(self.trust.site, self.gate, Channel.COMMAND, prefix=self.prefix)
        verified = self._verified(wire, typ=COMMAND_TYPE, aad=topic)
        if verified is None:
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
        self._ordered = _Ordered(said=read, key=verified.key)
        return None

    def _verified(
        self, wire: bytes, *, typ: str, aad: str, bounds: cose.Bounds = cose.DEFAULT
    ) -> cose.Verified | None:
        """What a decision key signed, as this kind of thing and for this topic; None for anything else."""
        verified = cose.verify(
            wire,
            keys=self.trust.decisions,
            typ=typ,
            use=Use.DECISION,
            external_aad=aad.encode(),
            bounds=bounds,
        )
        return None if isinstance(verified, cose.Refused) else verified

    def _standing_in(self, wire: bytes, *, newer_than: Standing | None) -> _Stands | Ignored:
        """A standing of this site, or why it is none, or none that is newer."""
        topic = standing_topic(self.trust.site, prefix=self.prefix)
        verified = self._verified(wire, typ=STANDING_TYPE, aad=topic, bounds=STANDING_BOUNDS)
        if verified is None:
            return Ignored.STANDING_FORGED
        read, held = Standing.read(verified.payload), newer_than
        if isinstance(read, MessageMalformed):
            return Ignored.STANDING_MALFORMED
        if read.site != self.trust.site:
            return Ignored.STANDING_FOREIGN
        if held is not None and (read.version, read.issued) <= (held.version, held.issued):
            return Ignored.STANDING_REPEATED if read == held else Ignored.STANDING_OLD
        statuses, keys = {}, {verified.key}
        for tenant, document in read.statuses.items():
            listed = self._status_list(tenant, document)
            if listed is None:
                return Ignored.STANDING_MALFORMED
            statuses[tenant], key = listed
            keys.add(key)
        return _Stands(said=read, wire=wire, statuses=statuses, keys=frozenset(keys))

    def _status_list(self, tenant: TenantId, document: bytes) -> tuple[StatusList, cose.KeyRecord] | None:
        """A status list, signed by itself for its tenant, and the key that signed it."""
        verified = self._verified(document, typ=STATUS_LIST_TYPE, aad=self.trust.site, bounds=STANDING_BOUNDS)
        if verified is None:
            return None
        read = read_status_list(verified.payload, bounds=STANDING_BOUNDS)
        if isinstance(read, cose.Refused) or read.uri != status_uri(self.trust, tenant):
            return None
        return read, verified.key

    def _confirm(self, stands: _Stands | None) -> None:
        """Count the snapshot's age from a standing that names it, unless it is counted from a later one."""
        snapshot = self.snapshot
        if snapshot is None or stands is None or stands.said.version < snapshot.version:
            return
        is_late = self.confirmed is None or stands.said.issued >= self.confirmed
        if is_late and stands.said.snapshots.get(self.gate) == snapshot.version:
            self._confirming = stands


def newer_trust(document: bytes, *, anchor: Anchor, held: Trust) -> Trust | Ignored:
    """A trust list that is newer than the one held and believed from the anchor, or why it changes nothing."""
    if not document:
        return Ignored.TRUST_CLEARED
    if document == held.document:
        return Ignored.TRUST_REPEATED
    read = read_trust(document, anchor=anchor, not_below=held.version + 1)
    if isinstance(read, TrustRefused):
        return _TRUST_REFUSALS.get(read.code, Ignored.TRUST_FORGED)
    return read


_TRUST_REFUSALS: Final = {TrustRefusal.ROLLBACK: Ignored.TRUST_OLD}
