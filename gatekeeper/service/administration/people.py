"""A tenant's desk: its own people and badges as a site knows them, and what the tenant says of them next.

Everything a registrar does ends in a `Registration`: a new version of somebody's registration, signed by the tenant's
issuer key, with the badges that are new. It is checked here as a courtesy, so that a person hears what to write instead;
the site believes signatures only, and its engine has the last word.

A desk is one tenant's. Of others it knows which names and cards are taken, and nothing more.
"""

import secrets
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gatekeeper import cose
from gatekeeper.core.change import BadgeIssue, HolderChange
from gatekeeper.core.register import Register, read_holder
from gatekeeper.core.trust import KeyState, Trust
from gatekeeper.model.badges import BADGE_TYPE, Assurance, Badge, Card, claims_of
from gatekeeper.model.card_numbers import write_card_number
from gatekeeper.model.ids import BadgeId, HolderId, TenantId
from gatekeeper.model.people import Holder, HolderKind, PinRecord
from gatekeeper.model.policy import SitePolicy
from gatekeeper.service.administration.directory import Directory, PeopleError, particulars_of
from gatekeeper.service.administration.issuing import IssuedBadge, Issuer, issue_badge, register_holder
from gatekeeper.service.administration.particulars import Particulars, Problem, Reading, changed_columns

__all__ = [
    "BadgeOrder",
    "Desk",
    "Registration",
    "holder_id_of",
    "issuer_at",
    "new_holder_id",
]

_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is taken for another when it is read aloud
_LETTERS_OF_AN_ID: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeOrder:
    """What a new badge is to be; without an `id` it gets one that nobody has, without `since` it counts from now on."""

    assurance: Assurance
    card: Card | None = None
    since: datetime | None = None
    until: datetime | None = None
    max_uses: int | None = None
    duress: bool = False
    id: BadgeId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A registration to be handed in, with its new badges; the name travels beside it."""

    holder: Holder
    name: str
    change: HolderChange


def new_holder_id(prefix: str) -> HolderId:
    """An id that nobody has, and that says nothing."""
    return HolderId(f"{prefix}-{''.join(secrets.choice(_LETTERS) for _ in range(_LETTERS_OF_AN_ID))}")


def holder_id_of(prefix: str, number: bytes) -> HolderId:
    """The id that a number stands for: for the same number the same."""
    rest, letters = int.from_bytes(number, "big"), []
    for _ in range(_LETTERS_OF_AN_ID):
        rest, letter = divmod(rest, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return HolderId(f"{prefix}-{''.join(letters)}")


def issuer_at(tenant: TenantId, key: cose.SigningKey, *, trust: Trust) -> Issuer:
    """The issuer of a tenant. Raises PeopleError when the trust list does not let this key issue any more."""
    listed = trust.listing.tenants.get(tenant)
    if listed is None:
        known = ", ".join(sorted(trust.listing.tenants))
        raise PeopleError(f"The site has no tenant {tenant}; it has {known}.")
    if not any(
        one.record.kid == key.kid and one.state is KeyState.ACTIVE and one.record.owner == tenant
        for one in listed.issuers
    ):
        raise PeopleError(f"The trust list does not let this key issue for {tenant} (any more).")
    return Issuer(
        site=trust.site,
        tenant=tenant,
        key=key,
        agreement=trust.agreements.get(tenant),
        epoch=listed.epoch,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where a tenant registers its people: its issuer key, the site's trust list and policy, and its directory."""

    issuer: Issuer
    trust: Trust
    policy: SitePolicy
    directory: Directory

    @property
    def tenant(self) -> TenantId:
        """Whose desk it is."""
        return self.issuer.tenant

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the site."""
        return ZoneInfo(self.policy.time_zone)

    def problems(
        self, holder: HolderId, reading: Reading, *, now: datetime, hosts: Container[str] = ()
    ) -> list[Problem]:
        """What could not be read, and what of the rest the site would not have, as far as it is new.

        `hosts` are people who will be registered together with this one.
        """
        return [*reading.problems, *self._refused(holder, reading, now, hosts)]

    def _refused(
        self, holder: HolderId, reading: Reading, now: datetime, hosts: Container[str]
    ) -> Iterator[Problem]:
        wanted = reading.particulars
        if self.directory.is_taken(holder):
            yield Problem("holder", f"{holder} is taken on this site: choose another id")
            return
        if self.directory.was_forgotten(holder):
            yield Problem("holder", f"{holder} was forgotten, for good: choose another id")
            return
        former = self.directory.find(holder)
        before = None if former is None else particulars_of(former)
        changed = set(changed_columns(before, wanted)) - reading.unread
        if "profiles" in changed:
            yield from self._profile_problems(wanted)
        if changed & {"from", "until"} and not reading.unread & {"from", "until"}:
            yield from self._term_problems(wanted, now)
        if "host" in changed and wanted.host is not None:
            yield from self._host_problems(holder, wanted.host, hosts)

    def _profile_problems(self, wanted: Particulars) -> Iterator[Problem]:
        own = [profile.id for profile in self.policy.profiles if profile.tenant == self.tenant]
        for profile in wanted.profiles:
            if profile not in own:
                has = f"it has {', '.join(sorted(own))}" if own else "it has none"
                yield Problem("profiles", f'{self.tenant} has no profile "{profile}"; {has}')

    def _term_problems(self, wanted: Particulars, now: datetime) -> Iterator[Problem]:
        agreement = self.issuer.agreement
        since = wanted.since or now
        if wanted.until is not None and wanted.until < since:
            yield Problem("until", "lies before the beginning: write a later end, or an earlier beginning")
        elif agreement is not None and agreement.until <= now:
            yield Problem("until", f"the agreement of {self.tenant} has ended: it registers nobody")
        elif agreement is not None and (wanted.until or since) > agreement.until:
            last = agreement.until.astimezone(self.zone).date() - timedelta(days=1)
            column = "until" if wanted.until is not None else "from"
            yield Problem(column, f"lies after the end of {self.tenant}'s agreement: write {last} or earlier")

    def _host_problems(self, holder: HolderId, host: HolderId, hosts: Container[str]) -> Iterator[Problem]:
        known = self.directory.find(host)
        if host == holder:
            yield Problem("host", "nobody is their own host: name who receives them")
        elif known is None and host not in hosts:
            yield Problem("host", f"{self.tenant} has no holder {host}: name one of its people")
        elif known is not None and known.holder.kind is HolderKind.VISITOR:
            yield Problem("host", f"{host} is a visitor too: name who receives them")

    def notes(self, wanted: Particulars, columns: Container[str]) -> Iterator[str]:
        """What of the columns that say something new is allowed, and may not be meant."""
        agreement = self.issuer.agreement
        if "clearance" in columns and agreement is not None and wanted.clearance > agreement.ceiling:
            yield (
                f"The agreement of {self.tenant} ends at level {agreement.ceiling}: "
                f"clearance {wanted.clearance} counts as {agreement.ceiling}."
            )
        asked = {name for zone in self.policy.zones for name in zone.rules.certificates}
        for name, _ in wanted.certificates if "certificates" in columns else ():
            if name not in asked:
                does = f"they ask for {', '.join(sorted(asked))}" if asked else "they ask for none"
                yield f"No zone asks for the certificate {name}; {does}."

    def register(
        self,
        holder: HolderId,
        wanted: Particulars,
        *,
        now: datetime,
        issued: Sequence[IssuedBadge] = (),
        without: frozenset[BadgeId] = frozenset(),
    ) -> Registration:
        """Sign the next version of somebody's registration, with new badges and without those that are taken away.

        Raises PeopleError when it would not be believed.
        """
        former = self.directory.find(holder)
        since = wanted.since or now.replace(microsecond=0)
        kept = () if former is None else former.holder.badges
        registered = Holder(
            id=holder,
            tenant=self.tenant,
            kind=wanted.kind,
            clearance=wanted.clearance,
            profiles=wanted.profiles,
            badges=(*(badge for badge in kept if badge not in without), *(one.badge.id for one in issued)),
            since=since,
            until=wanted.until or self.issuer.registered_until(since),
            version=1 if former is None else former.holder.version + 1,
            certificates=wanted.certificates,
            host=wanted.host,
            pin=None if former is None else former.holder.pin,
            photo=None if former is None else former.holder.photo,
        )
        return self._signed(registered, wanted.name, issued)

    def register_pin(self, holder: HolderId, pin: PinRecord | None) -> Registration:
        """Sign the next version of somebody's registration with another PIN, or with none. Raises PeopleError."""
        former = self.directory.get(holder)
        renewed = replace(former.holder, version=former.holder.version + 1, pin=pin)
        return self._signed(renewed, former.name, ())

    def register_photo(self, holder: HolderId, photo: bytes | None) -> Registration:
        """Sign the next version of somebody's registration with another photo (its SHA-256), or with none."""
        former = self.directory.get(holder)
        renewed = replace(former.holder, version=former.holder.version + 1, photo=photo)
        return self._signed(renewed, former.name, ())

    def _signed(self, holder: Holder, name: str, issued: Sequence[IssuedBadge]) -> Registration:
        document = register_holder(holder, issuer=self.issuer)
        if read_holder(document, trust=self.trust) is None:
            raise PeopleError(f"The registration of {holder.id} would not be believed: it says too much.")
        badges = tuple(BadgeIssue(badge=one.badge.id, token=one.token, card=one.badge.card) for one in issued)
        change = HolderChange(holder=holder.id, document=document, badges=badges)
        return Registration(holder=holder, name=name, change=change)

    def issue(self, order: BadgeOrder, *, to: Particulars, status_index: int, now: datetime) -> IssuedBadge:
        """Issue a badge for somebody. Raises PeopleError when it cannot be what was ordered."""
        if order.card is not None and not self.directory.card_is_free(order.card, now=now):
            raise PeopleError(f"{self.who_has(order.card)}.")
        try:
            issued = issue_badge(
                self.issuer,
                badge_id=order.id or BadgeId(secrets.token_hex(16)),
                kind=to.kind,
                clearance=to.clearance,
                assurance=order.assurance,
                card=order.card,
                status_index=status_index,
                now=now,
            )
        except ValueError as error:
            said = str(error)
            raise PeopleError(f"{said[0].upper()}{said[1:]}.") from error
        until = self._badge_until(issued.badge, order, to, now)
        if order.since is not None and order.since >= until:
            raise PeopleError("The badge would end before it begins: give it an earlier beginning.")
        return self._narrowed(issued, order, until)

    def who_has(self, card: Card) -> str:
        """Whose badge answers to a card number that is not free, and what frees it."""
        known = self.directory.badge_of_card(card)
        if known is None:
            return f"A badge of another tenant answers to {write_card_number(card)}: take another card"
        return (
            f"Badge {known.badge.id} of {known.holder} answers to {write_card_number(card)} and is {known.state}: "
            f"to free the number, revoke it (gatekeeper badge revoke {known.badge.id})"
        )

    def _badge_until(self, badge: Badge, order: BadgeOrder, to: Particulars, now: datetime) -> datetime:
        if to.until is not None and to.until <= now:
            raise PeopleError(
                f"The registration of {to.name or 'the holder'} has ended: give it a later end first."
            )
        if order.until is None:
            return badge.expires if to.until is None else min(badge.expires, to.until)
        if order.until <= now:
            raise PeopleError("The badge would end before it begins: give it a later end.")
        if order.until > badge.expires:
            last = badge.expires.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")
            raise PeopleError(f"A badge of {self.tenant} that is issued now ends on {last} at the latest.")
        return order.until

    def _narrowed(self, issued: IssuedBadge, order: BadgeOrder, until: datetime) -> IssuedBadge:
        """The same badge for less time, or for fewer uses, or as one that cries for help."""
        badge = replace(
            issued.badge,
            not_before=max(order.since or issued.badge.not_before, issued.badge.not_before),
            expires=until.replace(microsecond=0),
            max_uses=order.max_uses,
            duress=order.duress,
        )
        token = cose.sign(cose.encode(claims_of(badge)), key=self.issuer.key, typ=BADGE_TYPE)
        if Register().read_token(token, trust=self.trust) != badge:
            raise PeopleError("The badge would not be believed: check how long and how often it may be used.")
        return IssuedBadge(badge=badge, token=token, key=issued.key)
