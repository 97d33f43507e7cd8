"""Expiry: what is over its period goes, and an entry says what went, so that a missing thing is either told or a forgery.

    period over, no hold  ->  a batch of it is found  ->  entry `data.expired` and deletion, in one commit

What an entry says of a batch can be held against what is left: the digest is over numbers and hashes that stay in the log.

    SHA-256("gatekeeper-expired-v1" 00 kind 00 { number, 8 bytes big-endian || hash, 32 bytes } ...), numbers rising

    kind       number                     hash
    entries    seq                        the leaf's hash, which stays in the tiles
    personal   seq                        the commitment, which stays in the entry's body
    refused    the letter's number        SHA-256 of the refused bytes
    receipts   seq of the message's entry SHA-256 of the message
    people     0, 1, 2 ...                SHA-256 of the registration, rising
    visitors   0, 1, 2 ...                SHA-256 of the registration, rising

Of personal parts a batch is all parts of one tenant's people from its first to its last entry, so that whoever reads the
bodies knows exactly which parts must be gone, and which must not.

INVARIANT: what a legal hold covers does not expire.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gatekeeper.core.audit import Draft, Kind, timestamp
from gatekeeper.core.holds import covers, holder_of_scope, tenant_of_scope
from gatekeeper.core.register import HolderRecord, read_term
from gatekeeper.model.ids import HolderId, TenantId, is_name
from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import SITE_SCOPE, Policy
from gatekeeper.model.retention import Kept

__all__ = [
    "Digest",
    "Due",
    "Expired",
    "draft_of_expiry",
    "due_now",
    "expired_registrations",
    "goes_at",
    "has_ended",
    "is_held",
    "read_expired",
    "tenant_named",
]

_HASH_HEX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What an entry says of a batch that expired.

    `tenant` is the one that the entries of personal parts name, None where they name none; `first` and `last` are entries,
    of entries and personal parts only.
    """

    kind: Kept
    tenant: TenantId | None
    first: int | None
    last: int | None
    before: datetime
    count: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What to look for: a kind of data that is older than an instant, of one tenant's people or (None) of anybody's.

    The people and tenants that are spared are under a hold.
    """

    kind: Kept
    tenant: TenantId | None
    before: datetime
    spared: frozenset[HolderId] = frozenset()
    spared_tenants: frozenset[TenantId] = frozenset()


class Digest:
    """The digest over a batch, as it grows."""

    def __init__(self, kind: Kept) -> None:
        self._hash = hashlib.sha256(b"gatekeeper-expired-v1\0" + kind.encode() + b"\0")
        self.count = 0

    def add(self, number: int, digest: bytes) -> None:
        """Take one more, in rising order of numbers."""
        self._hash.update(number.to_bytes(8, "big") + digest)
        self.count += 1

    def value(self) -> bytes:
        """The digest over what was taken so far."""
        return self._hash.digest()


# -- what is due --------------------------------------------------------------------------------------------------------


def due_now(policy: Policy, *, holds: Collection[str], now: datetime) -> Iterator[Due]:
    """What to look for now, in the order in which it goes: first what a tenant keeps for a shorter while, bodies last."""
    if SITE_SCOPE in holds:
        return
    kept = policy.retention
    tenants = frozenset(tenant for scope in holds if (tenant := tenant_of_scope(scope)) is not None)
    # The bodies of their entries wait too: a body goes after its personal part.
    persons = frozenset(person for scope in holds if (person := holder_of_scope(scope)) is not None)
    for kind in (Kept.PERSONAL, Kept.VISITORS, Kept.PEOPLE):
        for tenant in sorted(kept.tenants.keys() - tenants):
            if kept.period(kind, tenant) < kept.site[kind]:
                yield Due(kind=kind, tenant=tenant, before=now - kept.period(kind, tenant), spared=persons)
        yield Due(
            kind=kind, tenant=None, before=now - kept.site[kind], spared=persons, spared_tenants=tenants
        )
    for kind in (Kept.REFUSED, Kept.RECEIPTS):
        yield Due(kind=kind, tenant=None, before=now - kept.site[kind])
    # A body is a leaf of several trees, and goes in its order: who is held holds it for all.
    if not tenants:
        yield Due(kind=Kept.ENTRIES, tenant=None, before=_month(now - kept.site[Kept.ENTRIES]))


def goes_at(kind: Kept, oldest: datetime, period: timedelta) -> datetime:
    """When what is so old goes, if nothing holds it: a body when its month is over as a whole."""
    if kind is not Kept.ENTRIES:
        return oldest + period
    return _month(_month(oldest) + timedelta(days=32)) + period


def is_held(kind: Kept, tenant: TenantId | None, holds: Collection[str]) -> bool:
    """Whether all of a kind stays, of a tenant's people or of anybody's; what is one person's stays by itself."""
    of_tenants = any(tenant_of_scope(scope) is not None for scope in holds)
    return covers(holds, holder=None, tenant=tenant) or (kind is Kept.ENTRIES and of_tenants)


def _month(at: datetime) -> datetime:
    """When the month of an instant began: bodies go by whole months, for months are how they are stored."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def has_ended(record: HolderRecord, tenant: TenantId, due: Due) -> bool:
    """Whether a registration is one of those to look for: a visitor's or another's, over for so long, and not spared."""
    if record.id in due.spared or tenant in due.spared_tenants or due.tenant not in {None, tenant}:
        return False
    term = read_term(record.document)
    if term is None:
        return False
    kind, until = term
    return (kind is HolderKind.VISITOR) is (due.kind is Kept.VISITORS) and until < due.before


def expired_registrations(due: Due, tenant: TenantId, digests: Iterable[bytes]) -> Expired:
    """What an entry says of registrations that went, by the SHA-256 of each."""
    digest = Digest(due.kind)
    for number, registration in enumerate(sorted(digests)):
        digest.add(number, registration)
    return Expired(
        kind=due.kind,
        tenant=tenant,
        first=None,
        last=None,
        before=due.before,
        count=digest.count,
        digest=digest.value(),
    )


# -- what an entry says -------------------------------------------------------------------------------------------------


def tenant_named(body: Mapping[str, Any]) -> TenantId | None:
    """Whose period counts for the personal part of an entry: the tenant's that it names, or the host's."""
    tenant = body.get("tenant")
    return TenantId(tenant) if isinstance(tenant, str) else None


def draft_of_expiry(expired: Expired, policy: Policy, *, at: datetime, seq: int) -> Draft:
    """The entry of a batch; where it is of one tenant's people, it stands in that tenant's tree too."""
    public: dict[str, Any] = {
        "what": expired.kind.value,
        "before": timestamp(expired.before),
        "count": expired.count,
        "digest": expired.digest.hex(),
        "policy": policy.version.hex(),
    }
    if expired.tenant is not None:
        public["tenant"] = expired.tenant
    if expired.first is not None:
        public |= {"first": expired.first, "last": expired.last}
    concerned = () if expired.tenant is None or expired.tenant not in policy.tenants else (expired.tenant,)
    return Draft(
        kind=Kind.DATA_EXPIRED,
        at=at,
        seq=seq,
        tenants=concerned,
        public=public,
        person=None,
        personal=None,
    )


def read_expired(body: Mapping[str, Any]) -> Expired | None:
    """What an entry says of what expired; None when it says nothing that can be held against the log."""
    try:
        return _expired(body)
    except (KeyError, TypeError, ValueError):
        return None


def _expired(body: Mapping[str, Any]) -> Expired | None:
    kind, tenant, digest = Kept(body["what"]), body.get("tenant"), body["digest"]
    is_placed = kind in {Kept.ENTRIES, Kept.PERSONAL}
    first, last = (_number(body["first"]), _number(body["last"])) if is_placed else (None, None)
    if (tenant is not None and not is_name(tenant)) or len(digest) != _HASH_HEX:
        return None
    return Expired(
        kind=kind,
        tenant=tenant,
        first=first,
        last=last,
        before=datetime.fromisoformat(body["before"]),
        count=_number(body["count"]),
        digest=bytes.fromhex(digest),
    )


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("no number of entries")
    return value
