"""A tenant's people and badges as a site stores them, believed as far as the tenant's signatures go.

Of other tenants it knows which ids and cards are taken, and nothing more.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gatekeeper import cose
from gatekeeper.core.register import Register, read_holder
from gatekeeper.core.supervise import StoredBadge, StoredHolder
from gatekeeper.core.trust import Trust
from gatekeeper.model.badges import BADGE_TYPE, Badge, BadgeState, Card, ClaimsRefused, read_badge
from gatekeeper.model.ids import BadgeId, HolderId, TenantId
from gatekeeper.model.people import Holder
from gatekeeper.service.administration.particulars import Particulars

__all__ = ["Directory", "KnownBadge", "PeopleError", "Registered", "claimed_badge", "particulars_of"]


class PeopleError(Exception):
    """What a tenant cannot do with its people; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A holder whom the tenant registered, with the name that only the directory knows."""

    holder: Holder
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBadge:
    """A badge that the tenant issued. `held`: its holder's registration still names it."""

    badge: Badge
    state: BadgeState
    holder: HolderId
    token: bytes
    held: bool


def particulars_of(registered: Registered) -> Particulars:
    """What is registered of somebody, as a tenant says it."""
    holder = registered.holder
    return Particulars(
        name=registered.name,
        kind=holder.kind,
        clearance=holder.clearance,
        profiles=holder.profiles,
        since=holder.since,
        until=holder.until,
        certificates=tuple(sorted(holder.certificates)),
        host=holder.host,
    )


class Directory:
    """The people and badges of one tenant, each believed when it is looked at."""

    def __init__(
        self,
        *,
        tenant: TenantId,
        trust: Trust,
        holders: Sequence[StoredHolder],
        badges: Sequence[StoredBadge],
        names: Mapping[HolderId, str],
        forgotten: Collection[HolderId] = (),
    ) -> None:
        self.tenant = tenant
        self._trust = trust
        self._holders = {row.record.id: row for row in holders if row.tenant == tenant}
        self._others = {row.record.id for row in holders if row.tenant != tenant}
        self._badges = {row.record.id: row for row in badges if row.tenant == tenant}
        self._rows = holders, badges
        self._names = names
        self._forgotten = frozenset(forgotten)
        self._read: dict[HolderId, Registered | None] = {}

    def is_taken(self, holder: HolderId) -> bool:
        """Whether an id belongs to somebody of another tenant."""
        return holder in self._others

    def was_forgotten(self, holder: HolderId) -> bool:
        """Whether somebody of this id was forgotten, whoever's they were: nobody is registered under it again."""
        return holder in self._forgotten

    def card_is_free(self, card: Card, *, now: datetime) -> bool:
        """Whether a new badge of the tenant may answer to a card number."""
        free = self._register.card_is_free(card, trust=self._trust, now=now)
        return free and self._register.tenant_of_card(card) in {None, self.tenant}

    def badge_of_card(self, card: Card) -> KnownBadge | None:
        """The tenant's badge that answers to a card number; None also where it is another's."""
        row = self._badges.get(self._register.badge_of_card(card) or BadgeId(""))
        return None if row is None else self._known(row)

    @cached_property
    def _register(self) -> Register:
        """What an engine would know of everybody's cards."""
        holders, badges = self._rows
        register = Register()
        for badge in badges:
            register.put_badge(badge.record, tenant=badge.tenant, card=badge.card, holder=badge.holder)
        for holder in holders:
            register.put_holder(holder.record, tenant=holder.tenant, badges=holder.badges)
        return register

    def find(self, holder: HolderId) -> Registered | None:
        """Somebody whom the tenant registered; None for all else, also for a row that the tenant did not sign."""
        row = self._holders.get(holder)
        if row is None:
            return None
        if holder not in self._read:
            read = read_holder(row.record.document, trust=self._trust)
            believed = read is not None and (read.id, read.tenant) == (holder, self.tenant)
            name = self._names.get(holder, "")
            self._read[holder] = Registered(holder=read, name=name) if read and believed else None
        return self._read[holder]

    def get(self, holder: HolderId) -> Registered:
        """Somebody whom the tenant registered. Raises PeopleError."""
        found = self.find(holder)
        if found is not None:
            return found
        if holder in self._holders:
            raise PeopleError(
                f"The registration of {holder} is not signed by {self.tenant}: register {holder} anew."
            )
        raise PeopleError(f"{self.tenant} has no holder {holder}.")

    def everyone(self) -> Iterator[Registered]:
        """All whom the tenant registered, in the order of their ids."""
        for holder in sorted(self._holders):
            found = self.find(holder)
            if found is not None:
                yield found

    def unbelieved(self) -> tuple[HolderId, ...]:
        """Whose registrations are there and do not count."""
        return tuple(holder for holder in sorted(self._holders) if self.find(holder) is None)

    def badge(self, badge: BadgeId) -> KnownBadge:
        """A badge of the tenant. Raises PeopleError."""
        row = self._badges.get(badge)
        known = None if row is None else self._known(row)
        if known is None:
            raise PeopleError(f"{self.tenant} has no badge {badge}.")
        return known

    def badges_of(self, holder: HolderId) -> tuple[KnownBadge, ...]:
        """The badges that somebody holds or held, the newest first."""
        known = (self._known(row) for row in self._badges.values() if row.holder == holder)
        found = [one for one in known if one is not None]
        return tuple(sorted(found, key=lambda one: (one.badge.issued, one.badge.id), reverse=True))

    def badges_by_holder(self) -> Mapping[HolderId, tuple[KnownBadge, ...]]:
        """All badges, by whose they are."""
        found: dict[HolderId, list[KnownBadge]] = {}
        for row in self._badges.values():
            known = self._known(row)
            if known is not None:
                found.setdefault(known.holder, []).append(known)
        return {holder: tuple(badges) for holder, badges in found.items()}

    def _known(self, row: StoredBadge) -> KnownBadge | None:
        badge = Register().read_token(row.record.token, trust=self._trust)
        if badge is None or (badge.id, badge.tenant) != (row.record.id, self.tenant):
            return None
        owner = self.find(row.holder)
        return KnownBadge(
            badge=badge,
            state=row.record.state,
            holder=row.holder,
            token=row.record.token,
            held=owner is not None and badge.id in owner.holder.badges,
        )

    @cached_property
    def free_status_index(self) -> int:
        """The first place in the tenant's status list that none of its badges was given."""
        for row in sorted(self._badges.values(), key=_claimed_index, reverse=True):
            if self._known(row) is not None:  # a row that nobody signed takes no place
                return _claimed_index(row) + 1
        return 0


def claimed_badge(token: bytes) -> Badge | None:
    """What a token says it is, not yet believed."""
    parsed = cose.parse(token, typ=BADGE_TYPE)
    if isinstance(parsed, cose.Refused) or parsed.payload is None:
        return None
    badge = read_badge(parsed.payload)
    return None if isinstance(badge, ClaimsRefused) else badge


def _claimed_index(row: StoredBadge) -> int:
    badge = claimed_badge(row.record.token)
    return -1 if badge is None or badge.status_index is None else badge.status_index
