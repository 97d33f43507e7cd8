"""Organisations and people: tenants with their agreements, holders with their clearance.

A name of a person stands in no badge, in no log entry and in no message; only the directory knows it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, TenantId, ZoneId

__all__ = ["Agreement", "Holder", "HolderKind", "Names", "PinRecord", "Tenant", "Veto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """One thing's name in the two languages of the house."""

    en: str
    nl: str


class HolderKind(StrEnum):
    """What a holder is to the site."""

    STAFF = "staff"
    CONTRACTOR = "contractor"
    VISITOR = "visitor"
    RESERVIST = "reservist"
    VEHICLE = "vehicle"

    @property
    def number(self) -> int:
        """The kind as a badge carries it (claim -65537, key 4)."""
        return list(HolderKind).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What host and tenant signed: how high, where and how long the tenant's people may go."""

    tenant: TenantId
    ceiling: int
    zones: frozenset[ZoneId]
    since: datetime
    until: datetime
    badge_life: timedelta

    def in_force(self, now: datetime) -> bool:
        """Half-open: in force at `since`, no longer at `until`."""
        return self.since <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organisation on the site; the host alone has no agreement."""

    id: TenantId
    names: Names
    is_host: bool
    agreement: Agreement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Veto:
    """The host's word against a tenant in a zone and everything inside it; stands before any grant."""

    tenant: TenantId
    zone: ZoneId
    why: Names


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PinRecord:
    """How a holder's PIN is kept (see `gatekeeper.core.pin`)."""

    salt: bytes
    digest: bytes
    duress: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A person (or vehicle) as the tenant signed it: clearance, profiles, and the badges that are theirs.

    `certificates` are trainings and the like with the instant each ends; `host` is who receives a visitor; `photo` is the
    SHA-256 of the picture that a guard compares a face with.
    """

    id: HolderId
    tenant: TenantId
    kind: HolderKind
    clearance: int
    profiles: tuple[ProfileId, ...]
    badges: tuple[BadgeId, ...]
    since: datetime
    until: datetime
    version: int
    certificates: tuple[tuple[str, datetime], ...] = ()
    host: HolderId | None = None
    pin: PinRecord | None = None
    photo: bytes | None = None
