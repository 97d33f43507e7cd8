"""A tenant's desk at the fort, and what it signs put into the rows that an engine would have written."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from gatekeeper.core.policy_document import PolicyRefused, read_policy
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.supervise import StoredBadge, StoredHolder
from gatekeeper.model.badges import BadgeRecord, BadgeState
from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, TenantId
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.directory import Directory
from gatekeeper.service.administration.folder import issuer_of
from gatekeeper.service.administration.particulars import Particulars
from gatekeeper.service.administration.people import Desk, Registration, issuer_at
from tests.support.site_files import NOW, Site

__all__ = ["ANNA", "BO", "Rows", "anna", "desk_of"]

ANNA, BO = HolderId("p-anna"), HolderId("p-bo")


def anna(**changes: Any) -> Particulars:
    """A teacher of the school."""
    return replace(
        Particulars(
            name="Anna de Vries",
            kind=HolderKind.STAFF,
            clearance=2,
            profiles=(ProfileId("pupil"),),
            since=None,
            until=None,
            certificates=(),
            host=None,
        ),
        **changes,
    )


class Rows:
    """What the site's database holds of people."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.holders = {row.record.id: row for row in site.founding.holders}
        self.badges = {row.record.id: row for row in site.founding.badges}
        self.names = dict(site.founding.names)
        self.forgotten: set[HolderId] = set()

    def desk(self, tenant: str) -> Desk:
        policy = read_policy(self.site.founding.policy, trust=self.site.trust)
        assert not isinstance(policy, PolicyRefused)
        key = self.site.folder.read_key(issuer_of(TenantId(tenant)))
        return Desk(
            issuer=issuer_at(TenantId(tenant), key, trust=self.site.trust),
            trust=self.site.trust,
            policy=policy.written,
            directory=Directory(
                tenant=TenantId(tenant),
                trust=self.site.trust,
                holders=list(self.holders.values()),
                badges=list(self.badges.values()),
                names=self.names,
                forgotten=self.forgotten,
            ),
        )

    def register(
        self, tenant: str, people: Iterable[tuple[HolderId, Particulars]], *, now: datetime = NOW
    ) -> "Rows":
        """Register people, each after the other."""
        desk = self.desk(tenant)
        for holder, particulars in people:
            self.take(desk.register(holder, particulars, now=now))
        return self

    def take(self, registration: Registration) -> None:
        """What an engine writes when it makes the change."""
        holder = registration.holder
        self.holders[holder.id] = StoredHolder(
            record=HolderRecord(id=holder.id, document=registration.change.document),
            tenant=holder.tenant,
            name=b"",
            badges=holder.badges,
        )
        if registration.name:
            self.names[holder.id] = registration.name
        for issue in registration.change.badges:
            self.badges[issue.badge] = StoredBadge(
                record=BadgeRecord(id=issue.badge, token=issue.token, state=BadgeState.ACTIVE),
                tenant=holder.tenant,
                holder=holder.id,
                card=issue.card,
            )

    def become(self, badge: BadgeId, state: BadgeState) -> None:
        """What an engine writes when something is said of a badge."""
        row = self.badges[badge]
        self.badges[badge] = replace(row, record=replace(row.record, state=state))


def desk_of(site: Site, tenant: str, *people: tuple[HolderId, Particulars]) -> Desk:
    """A tenant's desk, with some people registered there."""
    return Rows(site).register(tenant, people).desk(tenant)
