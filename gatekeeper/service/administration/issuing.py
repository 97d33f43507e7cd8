"""What a tenant issues: badges for its people, and the registrations that say whose they are.

A tenant issues within its agreement: no badge outlives the life that the agreement gives badges, nor the agreement
itself, and no ceiling is above the agreement's. That is courtesy, not safety: the decision asks the agreement again at
every scan, and the site believes nothing but the signature. Which holder may have which clearance is the tenant's own
affair, within that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gatekeeper import cose
from gatekeeper.core.register import HOLDER_TYPE, holder_payload
from gatekeeper.model.badges import BADGE_TYPE, Assurance, Badge, Card, claims_of
from gatekeeper.model.ids import BadgeId, SiteId, TenantId
from gatekeeper.model.people import Agreement, Holder, HolderKind

__all__ = ["HOST_BADGE_LIFE", "HOST_TERM", "IssuedBadge", "Issuer", "issue_badge", "register_holder"]

HOST_BADGE_LIFE: Final = timedelta(days=730)
HOST_TERM: Final = timedelta(days=3650)  # how long the host registers its own people for
_HIGHEST_CEILING: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A tenant with its issuer key and the agreement that it issues under; the host has none."""

    site: SiteId
    tenant: TenantId
    key: cose.SigningKey
    agreement: Agreement | None
    epoch: int

    def badge_until(self, since: datetime) -> datetime:
        """When a badge ends that is valid from `since`."""
        if self.agreement is None:
            return since + HOST_BADGE_LIFE
        return min(since + self.agreement.badge_life, self.agreement.until)

    def registered_until(self, since: datetime) -> datetime:
        """When a registration ends that is valid from `since`."""
        return since + HOST_TERM if self.agreement is None else self.agreement.until

    def ceiling_of(self, clearance: int) -> int:
        """The highest level that a badge can be good for."""
        return min(clearance, _HIGHEST_CEILING if self.agreement is None else self.agreement.ceiling)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedBadge:
    """A badge, its signed token, and the private key that belongs into the badge and nowhere else."""

    badge: Badge
    token: bytes
    key: cose.SigningKey | None


def issue_badge(
    issuer: Issuer,
    *,
    badge_id: BadgeId,
    kind: HolderKind,
    clearance: int,
    assurance: Assurance,
    card: Card | None,
    status_index: int,
    now: datetime,
) -> IssuedBadge:
    """Issue a badge that is valid from now; one that is bound to a key gets a fresh one.

    `status_index` is its place in the tenant's status list, given once and never again. Raise ValueError when the
    agreement has ended, or when a card number comes with any other assurance than that of a card number.
    """
    since = now.replace(microsecond=0)
    until = issuer.badge_until(since)
    if until <= since:
        raise ValueError(f"the agreement of {issuer.tenant} has ended: it issues no badges")
    if (assurance is Assurance.CARD_NUMBER) != (card is not None):
        raise ValueError("a card number stands at assurance 0, and only there")
    key = cose.SigningKey.generate() if assurance >= Assurance.KEY_BOUND else None
    badge = Badge(
        id=badge_id,
        site=issuer.site,
        tenant=issuer.tenant,
        not_before=since,
        expires=until,
        issued=since,
        ceiling=issuer.ceiling_of(clearance),
        assurance=assurance,
        kind=kind,
        epoch=issuer.epoch,
        requires_trusted_time=False,
        confirmation=None if key is None else key.record(use="badge", owner=badge_id),
        card=card,
        status_index=status_index,
    )
    token = cose.sign(cose.encode(claims_of(badge)), key=issuer.key, typ=BADGE_TYPE)
    return IssuedBadge(badge=badge, token=token, key=key)


def register_holder(holder: Holder, *, issuer: Issuer) -> bytes:
    """Sign a registration. Raise ValueError for another tenant's holder: nobody would believe it."""
    if holder.tenant != issuer.tenant:
        raise ValueError(f"{holder.id} belongs to {holder.tenant}, not to {issuer.tenant}")
    payload = holder_payload(holder, site=issuer.site)
    return cose.sign(payload, key=issuer.key, typ=HOLDER_TYPE, external_aad=issuer.site.encode())
