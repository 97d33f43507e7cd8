"""How long what is kept: periods by kind and tenant, as the host signs them in the policy.

    entries    the bodies of the log: the host's word alone, for one body is a leaf of several tenants' trees
    personal   what of an entry is personal, of each tenant's people
    people     registrations that have ended, with their badges and photos
    visitors   the same, of visitors
    refused    bytes that were refused (dead letters)
    receipts   what was answered to which message

What the host names is also the longest that a tenant may keep what is its people's. The reasons for the usual periods stand
in `schemas/site-file.md`. When something goes, and what holds it up, is `gatekeeper.core.retention`'s to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from gatekeeper.model.ids import TenantId

__all__ = ["TENANTS_OWN", "USUAL", "Kept", "Periods", "Retention"]


class Kept(StrEnum):
    """A kind of data that is kept for a while. Values are never reused."""

    ENTRIES = "entries"
    PERSONAL = "personal"
    PEOPLE = "people"
    VISITORS = "visitors"
    REFUSED = "refused"
    RECEIPTS = "receipts"


TENANTS_OWN = (Kept.PERSONAL, Kept.PEOPLE, Kept.VISITORS)
"""Kinds of which a tenant may keep its own for a shorter while than the host."""

USUAL: Mapping[Kept, timedelta] = {
    Kept.ENTRIES: timedelta(days=2557),
    Kept.PERSONAL: timedelta(days=180),
    Kept.PEOPLE: timedelta(days=180),
    Kept.VISITORS: timedelta(days=180),
    Kept.REFUSED: timedelta(days=30),
    Kept.RECEIPTS: timedelta(days=30),
}
"""What holds where a policy names no period, as one does that was signed before there were any."""


Periods = Mapping[Kept, timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The periods of a site: the host's, whole, and those that tenants have made shorter for their own people."""

    site: Periods = field(default_factory=lambda: dict(USUAL))
    tenants: Mapping[TenantId, Periods] = field(default_factory=dict)

    def period(self, kind: Kept, tenant: TenantId | None) -> timedelta:
        """How long a kind of data is kept of a tenant's people.

        Of nobody's, and of a tenant that the site has no more, the host's word counts. INVARIANT: never longer than that.
        """
        own = self.tenants.get(tenant, {}) if tenant is not None else {}
        return min(self.site[kind], own.get(kind, self.site[kind]))
