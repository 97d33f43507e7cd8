"""What entries say beside their kind: where, by which message of which gate, for whose trees, and whether somebody must look."""

import hashlib
from collections.abc import Collection
from typing import Any, Final

from gatekeeper.core.audit import timestamp
from gatekeeper.core.facts import Facts
from gatekeeper.core.scan import Authentic
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import TenantId
from gatekeeper.model.messages import Hello, Upward
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason

__all__ = ["alarms_of", "concerned", "hello_fields", "origin", "place"]

_ALARMING: Final = {BadgeState.STOLEN: Reason.BADGE_STOLEN, BadgeState.REVOKED: Reason.REVOKED}


def place(policy: Policy, access_point: Any) -> dict[str, Any]:
    """An access point and what it leads from and to; of one that the policy does not know, its name."""
    point: Point | None = policy.points.get(access_point)
    if point is None:
        return {"access_point": access_point}
    return {"access_point": point.id, "from": point.source, "to": point.target}


def concerned(policy: Policy, tenant: TenantId | None, access_point: Any) -> tuple[TenantId, ...]:
    """Whose trees an entry stands in: the holder's tenant, and the owner of the zone when that is another."""
    point = policy.points.get(access_point)
    owner = point.owner if point is not None else None
    return tuple(
        name for name in dict.fromkeys((tenant, owner)) if name is not None and name in policy.tenants
    )


def origin(authentic: Authentic) -> dict[str, Any]:
    """Where an entry came from: gate, boot, sequence, its own time, and the digest of the signed bytes."""
    message: Upward = authentic.message
    fields: dict[str, Any] = {
        "gate": authentic.gate,
        "boot": message.boot.hex(),
        "sequence": message.sequence,
        "message": authentic.digest.hex(),
    }
    if message.gate_at is not None:
        fields["gate_at"] = timestamp(message.gate_at)
        fields["clock"] = message.clock.name.lower()
    return fields


def hello_fields(hello: Hello) -> dict[str, Any]:
    """What a gate says of itself when it starts."""
    fields: dict[str, Any] = {"agent": hello.agent}
    if hello.policy is not None:
        fields["policy"] = hello.policy.hex()
    if hello.checkpoint is not None:
        fields["checkpoint"] = hashlib.sha256(hello.checkpoint).hexdigest()
    return fields


def alarms_of(facts: Facts, reasons: Collection[Reason]) -> tuple[str, ...]:
    """Why somebody must look at once: a stolen or revoked badge is used, whatever was decided, or somebody is forced."""
    used = _ALARMING.get(facts.badge_state) if facts.badge_state is not None else None
    found = [] if used is None else [used]
    if Reason.DURESS in reasons:
        found.append(Reason.DURESS)
    return tuple(reason.code for reason in found)
