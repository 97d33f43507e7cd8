"""Entries of the log: what is said in public, what is personal, and the bytes that become a leaf.

An entry's body is canonical JSON (RFC 8785 for the values used here: ASCII keys, no fractions), made once and never
serialised again; its bytes are the leaf of the site's tree and of the tree of every tenant it concerns. The body names
its index in each, so that an export of a tenant is complete by construction.

    {"at": RFC 3339, "kind": ..., "nonce": 32 hex, "seq": n, "site": ..., "trees": {tree: index}, "v": 1,
     "personal": commitment | absent, ... what the kind adds}

What is personal (holder, badge, the scan's bytes, the facts decided on) is not in the leaf: the leaf holds
SHA-256("gatekeeper-personal-v1" 00 plaintext), and the plaintext holds a 128-bit salt of its own. It is stored
encrypted under the person's key; destroy the key and the person is forgotten while every proof stands.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import orjson

from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import NO_PAST, Companion, Factor, Facts, GuardsWord, Past
from gatekeeper.model.badges import Badge
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.model.people import Holder
from gatekeeper.model.trees import SITE_TREE, TENANT_TREE_PREFIX, tenant_tree

__all__ = [
    "FORGOTTEN",
    "NOBODY",
    "SITE_TREE",
    "TENANT_TREE_PREFIX",
    "Draft",
    "Kind",
    "canonical_json",
    "commitment",
    "decision_fields",
    "facts_document",
    "instant",
    "read_body",
    "seal_body",
    "seal_personal",
    "tenant_tree",
    "timestamp",
]

NOBODY = HolderId("-nobody-")
"""Whose key seals what is personal when no holder is known (a card nobody registered)."""

FORGOTTEN = HolderId("-forgotten-")
"""Under whose name the sealed parts of people are filed who were forgotten: there is no such key."""

_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
)
_CANONICAL: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class Kind(StrEnum):
    """What an entry records. Values are never reused."""

    SITE_FOUNDED = "site.founded"
    ENGINE_STARTED = "engine.started"
    ACCESS_GRANTED = "access.granted"
    ACCESS_DENIED = "access.denied"
    ACCESS_WAITING = "access.waiting"
    ACCESS_ACCOMPANIED = "access.accompanied"
    OFFLINE_GRANTED = "access.offline-granted"
    OFFLINE_DENIED = "access.offline-denied"
    PASSAGE_TAKEN = "passage.taken"
    PASSAGE_NOT_TAKEN = "passage.not-taken"
    PASSAGE_FORCED = "passage.forced"
    PASSAGE_HELD_OPEN = "passage.held-open"
    SEARCH_SEED = "search.seed"
    GATE_HELLO = "gate.hello"
    GATE_STATUS = "gate.status"
    GATE_GAP = "gate.gap"
    GATE_ASKED = "gate.asked"
    GATE_CERTIFIED = "gate.certified"
    GATE_CONFLICT = "gate.conflict"
    BADGE_CHANGED = "badge.changed"
    HOLDER_REGISTERED = "holder.registered"
    ALERT_CHANGED = "alert.changed"
    LOCKDOWN_CHANGED = "lockdown.changed"
    TENANT_SUSPENDED = "tenant.suspended"
    TENANT_REINSTATED = "tenant.reinstated"
    GUARD_ANSWERED = "guard.answered"
    PRESENCE_FORGIVEN = "presence.forgiven"
    POLICY_CHANGED = "policy.changed"
    TRUST_CHANGED = "trust.changed"
    OPERATOR_CHANGED = "operator.changed"
    PROPOSAL_MADE = "proposal.made"
    PROPOSAL_APPROVED = "proposal.approved"
    PROPOSAL_WITHDRAWN = "proposal.withdrawn"
    PROPOSAL_EXPIRED = "proposal.expired"
    PEOPLE_EXPORTED = "people.exported"
    LOG_EXPORTED = "log.exported"
    PERSON_LOOKED_UP = "person.looked-up"
    PERSON_ERASED = "person.erased"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    DATA_EXPIRED = "data.expired"
    LOG_MISMATCH = "log.mismatch"
    PASSAGE_EXITED = "passage.exited"
    DOOR_COMMANDED = "door.commanded"
    GATE_COMMANDED = "gate.commanded"
    COMMAND_UNSENT = "command.unsent"
    GATE_SILENT = "gate.silent"
    GATE_HEARD = "gate.heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry before it has its nonce and its places in the trees."""

    kind: Kind
    at: datetime
    seq: int
    tenants: tuple[TenantId, ...]
    public: Mapping[str, Any]
    person: HolderId | None
    personal: Mapping[str, Any] | None


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The one spelling of a document; fractions are refused by having no place in our documents."""
    return orjson.dumps(document, option=_CANONICAL)


@lru_cache(maxsize=64)  # the entries of a batch are mostly of one instant
def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always 27 characters."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def instant(text: str) -> datetime:
    """Read a time of an entry. Raise ValueError for what `timestamp` does not write."""
    if _TIMESTAMP.fullmatch(text) is None:
        raise ValueError("this is no time of an entry")
    return datetime.fromisoformat(text)


def read_body(body: bytes, *, site: SiteId, seq: int) -> Mapping[str, Any] | None:
    """What a body says; None when it is not in the one spelling of an entry, or belongs elsewhere."""
    try:
        entry = orjson.loads(body)
    except ValueError:
        return None
    match entry:
        case {"v": 1, "site": str(where), "seq": int(place), "trees": dict(leaves), "kind": str()}:
            here = (where, place, leaves.get(SITE_TREE)) == (site, seq, seq)
            return entry if here and canonical_json(entry) == body else None
        case _:
            return None


def seal_personal(draft: Draft, *, salt: bytes) -> bytes | None:
    """The plaintext of the personal part, salted; None when nothing in the entry is personal."""
    if draft.personal is None:
        return None
    return canonical_json({"salt": salt.hex(), **draft.personal})


def commitment(plaintext: bytes) -> str:
    """What the leaf says of a personal part without telling it."""
    return hashlib.sha256(b"gatekeeper-personal-v1\0" + plaintext).hexdigest()


def seal_body(
    draft: Draft, *, site: SiteId, trees: Mapping[str, int], nonce: bytes, personal: bytes | None
) -> bytes:
    """The body of an entry: the bytes that are hashed, stored and exported, once and for all."""
    body: dict[str, Any] = {
        "v": 1,
        "site": site,
        "seq": draft.seq,
        "at": timestamp(draft.at),
        "kind": draft.kind.value,
        "nonce": nonce.hex(),
        "trees": dict(trees),
        **draft.public,
    }
    if personal is not None:
        body["personal"] = commitment(personal)
    return canonical_json(body)


def decision_fields(decision: Decision) -> dict[str, Any]:
    """What an entry says of a decision: all reasons, none of the facts."""
    fields: dict[str, Any] = {
        "reason": decision.reason.code,
        "reasons": [reason.code for reason in decision.reasons],
        "policy": decision.policy.hex(),
    }
    if decision.shadow:
        fields["shadow"] = [reason.code for reason in decision.shadow]
    return fields


def facts_document(facts: Facts) -> dict[str, Any]:
    """The facts as they are kept with the personal part, enough to decide again."""
    return {
        "badge": _badge_document(facts.badge),
        "badge_state": None if facts.badge_state is None else facts.badge_state.value,
        "assurance": int(facts.assurance),
        "findings": [finding.code for finding in facts.findings],
        "holder": _holder_document(facts.holder),
        "holder_unproven": facts.holder_unproven,
        "epoch": facts.epoch,
        "whereabouts": facts.whereabouts,
        "alert": facts.alert,
        "lockdowns": sorted(facts.lockdowns),
        "suspended": sorted(facts.suspended),
        "past": _past_document(facts.past),
    }


def _past_document(past: Past) -> dict[str, Any]:
    """What was asked of the past; what was not asked for is left out."""
    if past is NO_PAST:
        return {}
    times = ("since", "last_at", "last_used", "locked_until", "asked")
    found = {
        **{name: timestamp(getattr(past, name)) for name in times if getattr(past, name) is not None},
        "last_point": past.last_point,
        "visitors": sorted(past.visitors),
        "brought": past.brought,
        "uses": past.uses,
        "factor": None if past.factor is Factor.NONE else past.factor.value,
        "guard": None if past.guard is GuardsWord.NOT_ASKED else past.guard.value,
        "crowds": dict(past.crowds),
        "company": [_companion_document(one) for one in past.company],
        "opened": {zone: timestamp(at) for zone, at in past.opened.items()},
        "open_doors": sorted(past.open_doors),
    }
    document = {name: value for name, value in found.items() if value}
    return document if past.draw is None else document | {"draw": past.draw}


def _companion_document(one: Companion) -> dict[str, Any]:
    return {
        "holder": one.holder,
        "tenant": one.tenant,
        "kind": one.kind.value,
        "roles": sorted(f"{tenant}/{profile}" for tenant, profile in one.roles),
        "host": one.host,
        "at": timestamp(one.at),
        "waiting": one.waiting,
        "brought": one.brought,
    }


def _badge_document(badge: Badge | None) -> dict[str, Any] | None:
    if badge is None:
        return None
    return {
        "id": badge.id,
        "tenant": badge.tenant,
        "not_before": int(badge.not_before.timestamp()),
        "expires": int(badge.expires.timestamp()),
        "issued": int(badge.issued.timestamp()),
        "ceiling": badge.ceiling,
        "assurance": int(badge.assurance),
        "kind": badge.kind.value,
        "epoch": badge.epoch,
        "requires_trusted_time": badge.requires_trusted_time,
        "max_uses": badge.max_uses,
        "duress": badge.duress,
    }


def _holder_document(holder: Holder | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    return {
        "id": holder.id,
        "tenant": holder.tenant,
        "kind": holder.kind.value,
        "clearance": holder.clearance,
        "profiles": list(holder.profiles),
        "since": int(holder.since.timestamp()),
        "until": int(holder.until.timestamp()),
        "version": holder.version,
        "certificates": {name: int(until.timestamp()) for name, until in holder.certificates},
        "host": holder.host,
    }
