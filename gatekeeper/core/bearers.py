"""Whose badges count, for deciding beforehand; and what became of those that do not, for the tenants' status lists.

It reads the register of a running site while the site goes on, and may be asked in another thread: what it believes it believes
by signatures, from whole records. When the register changes meanwhile it is asked again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gatekeeper.core.flow import Flow
from gatekeeper.core.memory import NEVER_USED
from gatekeeper.core.register import HolderRecord, read_holder
from gatekeeper.core.snapshots import Bearer
from gatekeeper.cose.status_list import INVALID, MOST_STATUSES, SUSPENDED, VALID
from gatekeeper.model.badges import Badge, BadgeState
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.people import Holder

__all__ = ["Bearers", "statuses"]

_LOST, _STOLEN = 0x0B, 0x0C
_STATUS: Final = {
    BadgeState.ACTIVE: VALID,
    BadgeState.REVOKED: INVALID,
    BadgeState.SUSPENDED: SUSPENDED,
    BadgeState.LOST: _LOST,
    BadgeState.STOLEN: _STOLEN,
}
"""Statuses of the draft, and of ours those that it leaves to applications (0x0B to 0x0F)."""


def statuses(flow: Flow) -> Mapping[TenantId, Mapping[int, int]]:
    """The status of every badge that names one, by tenant and index."""
    found: dict[TenantId, dict[int, int]] = {tenant: {} for tenant in flow.policy.tenants}
    for record in flow.register.records():
        badge = flow.register.read_token(record.token, trust=flow.trust)
        # One that no list can hold is not listed, and what is not listed does not count at a gate that is alone.
        if badge is not None and badge.status_index is not None and badge.status_index < MOST_STATUSES:
            found.setdefault(badge.tenant, {})[badge.status_index] = _STATUS[record.state]
    return found


@dataclass(slots=True)
class Bearers:
    """Reads who has which badges; registrations that were believed once are not verified again."""

    _read: dict[HolderId, tuple[int, bytes, Holder | None]] = field(default_factory=dict)

    def of(self, flow: Flow, *, now: datetime) -> Iterator[Bearer]:
        """Everybody whose badge counts now, each badge once."""
        holders = flow.register.holders()
        # INVARIANT: who is forgotten is not remembered here.
        for gone in self._read.keys() - {record.id for record, _ in holders}:
            del self._read[gone]
        for record, _ in holders:
            holder = self._holder(record, flow)
            if holder is None:
                continue
            for badge in _active(holder, flow):
                usage = flow.memory.usage.get(badge.id, NEVER_USED)
                if usage.locked_until is None or usage.locked_until <= now:
                    token = flow.register.token(badge.id) if badge.card is not None else None
                    yield Bearer(
                        badge=badge,
                        holder=holder,
                        epoch=flow.trust.epoch(badge.tenant),
                        last_used=usage.last_at,
                        token=token or b"",
                    )

    def _holder(self, record: HolderRecord, flow: Flow) -> Holder | None:
        version, document, found = self._read.get(record.id, (-1, b"", None))
        if version != flow.trust.version or document != record.document:
            found = read_holder(record.document, trust=flow.trust)
            self._read[record.id] = (flow.trust.version, record.document, found)
        return found if found is not None and found.id == record.id else None


def _active(holder: Holder, flow: Flow) -> Iterator[Badge]:
    for name in holder.badges:
        record = flow.register.record(name)
        if record is None or record.state is not BadgeState.ACTIVE or not flow.register.owns(holder.id, name):
            continue
        badge = flow.register.read_token(record.token, trust=flow.trust)
        if badge is not None and badge.id == name:
            yield badge
