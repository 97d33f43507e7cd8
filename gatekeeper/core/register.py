"""The register of a site: which badge is whose, as the tenants signed it.

    holder registration   COSE_Sign1 by the tenant's issuer key, typ application/pacs-holder+cose
                          {0 1, 1 site, 2 holder, 3 kind, 4 clearance, 5 [profiles], 6 [badge ids], 7 from, 8 until,
                           9 version, ? 10 {certificate: until}, ? 11 host,
                           ? 12 [salt 16, PIN hash 32, duress hash 32 / null], ? 13 SHA-256 of the photo}

Rows in a database give no rights: a registration or a token counts when its tenant signed it, and is looked at when
it is first used. Who may write to the database can take badges away; he cannot give one, raise a clearance or move a
badge to another person.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatekeeper import cose
from gatekeeper.core.trust import Trust, Use
from gatekeeper.cose import cbor
from gatekeeper.model.badges import (
    BADGE_TYPE,
    Badge,
    BadgeRecord,
    BadgeState,
    Card,
    ClaimsRefused,
    read_badge,
)
from gatekeeper.model.fields import (
    HIGHEST_LEVEL,
    UINT,
    WRONG,
    each,
    exactly,
    name,
    octets,
    second,
    typed,
    whole,
)
from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, SiteId, TenantId
from gatekeeper.model.people import Holder, HolderKind, PinRecord

__all__ = [
    "HOLDER_TYPE",
    "HolderRecord",
    "Register",
    "holder_payload",
    "read_holder",
    "read_term",
    "read_token",
]

HOLDER_TYPE = "application/pacs-holder+cose"
_KINDS = tuple(HolderKind)
_REQUIRED = frozenset(range(10))
_OPTIONAL = frozenset({10, 11, 12, 13})
_MAX_READ = 200_000
_UNREAD: Any = object()
_NEVER_READ = (-1, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderRecord:
    """A holder as stored: the signed registration, not yet believed."""

    id: HolderId
    document: bytes


def holder_payload(holder: Holder, *, site: SiteId) -> bytes:
    """The content of a registration, to be signed by the tenant's issuer key."""
    content: dict[int, Any] = {
        0: 1,
        1: site,
        2: holder.id,
        3: holder.kind.number,
        4: holder.clearance,
        5: list(holder.profiles),
        6: [bytes.fromhex(badge) for badge in holder.badges],
        7: int(holder.since.timestamp()),
        8: int(holder.until.timestamp()),
        9: holder.version,
    }
    if holder.certificates:
        content[10] = {name: int(until.timestamp()) for name, until in holder.certificates}
    if holder.host is not None:
        content[11] = holder.host
    if holder.pin is not None:
        content[12] = [holder.pin.salt, holder.pin.digest, holder.pin.duress]
    if holder.photo is not None:
        content[13] = holder.photo
    return cbor.encode(content)


def read_holder(document: bytes, *, trust: Trust) -> Holder | None:
    """Believe a registration, or None when its tenant did not sign it for this site."""
    verified = cose.verify(
        document, keys=trust.issuers, typ=HOLDER_TYPE, use=Use.ISSUER, external_aad=trust.site.encode()
    )
    if isinstance(verified, cose.Refused) or verified.key.kid in trust.revoked_issuers:
        return None
    content = cbor.decode(verified.payload)
    if isinstance(content, cose.Refused):
        return None
    try:
        return _holder(content, verified.key.owner, trust.site)
    except WRONG:
        return None


def read_term(document: bytes) -> tuple[HolderKind, datetime] | None:
    """Of what kind a holder is and until when, by a registration that need not be believed; None when it says neither."""
    try:
        _, _, payload, _ = exactly(cbor.decode(document[1:]), 4)
        content = typed(cbor.decode(typed(payload, bytes)), dict)
        return _KINDS[whole(content[3])], second(content[8])
    except WRONG:
        return None


def _holder(read: object, tenant: str, site: SiteId) -> Holder | None:
    content = typed(read, dict)
    known = _REQUIRED <= content.keys() <= _REQUIRED | _OPTIONAL
    if not known or whole(content[0]) != 1 or name(content[1]) != site:
        return None
    return Holder(
        id=HolderId(name(content[2])),
        tenant=TenantId(tenant),
        kind=_KINDS[whole(content[3])],
        clearance=whole(content[4], HIGHEST_LEVEL),
        profiles=tuple(map(ProfileId, each(content[5], name))),
        badges=tuple(BadgeId(octets(badge, 16).hex()) for badge in typed(content[6], list)),
        since=second(content[7]),
        until=second(content[8]),
        version=whole(content[9], UINT),
        certificates=tuple(
            (name(certificate), second(until))
            for certificate, until in typed(content.get(10, {}), dict).items()
        ),
        host=HolderId(name(content[11])) if 11 in content else None,
        pin=_pin(content[12]) if 12 in content else None,
        photo=octets(content[13], 32) if 13 in content else None,
    )


def _pin(value: object) -> PinRecord:
    salt, digest, duress = exactly(value, 3)
    return PinRecord(
        salt=octets(salt, 16),
        digest=octets(digest, 32),
        duress=None if duress is None else octets(duress, 32),
    )


class Register:
    """Badges and holders by every key a scan may name them with. Owned by one engine; not for sharing.

    What was verified is remembered by the digest of its bytes and the version of the trust list it was verified under,
    so the memory can be wrong about nothing: other bytes are other digests, and a thread that still verifies under the
    former list leaves nothing behind that the new one would be asked for.
    """

    def __init__(self) -> None:
        #: rises with every change of what is registered
        self.revision = 0
        self._badges: dict[BadgeId, BadgeRecord] = {}
        self._holders: dict[HolderId, HolderRecord] = {}
        self._badge_tenants: dict[BadgeId, TenantId] = {}
        self._holder_tenants: dict[HolderId, TenantId] = {}
        self._owner: dict[BadgeId, HolderId] = {}
        self._issued_to: dict[BadgeId, HolderId] = {}
        self._held: dict[HolderId, tuple[BadgeId, ...]] = {}
        self._by_digest: dict[bytes, BadgeId] = {}
        self._by_card: dict[Card, BadgeId] = {}
        self._read_tokens: dict[tuple[int, bytes], Badge | None] = {}
        self._read_holders: dict[HolderId, tuple[int, Holder | None]] = {}

    def __len__(self) -> int:
        return len(self._badges)

    def put_badge(
        self, record: BadgeRecord, *, tenant: TenantId, card: Card | None, holder: HolderId | None = None
    ) -> None:
        """Enter or replace a badge; `card` is where to find it when a reader knows only a number.

        `holder` is to whom it was issued, where that is known: it gives them nothing, and nobody else gets it.
        """
        self.revision += 1
        self._badges[record.id] = record
        self._badge_tenants[record.id] = tenant
        self._by_digest[hashlib.sha256(record.token).digest()] = record.id
        if card is not None:
            self._by_card[card] = record.id
        if holder is not None:
            self._issued_to.setdefault(record.id, holder)

    def put_holder(self, record: HolderRecord, *, tenant: TenantId, badges: Iterable[BadgeId]) -> None:
        """Enter or replace a registration; `badges` is an index, believed only when the registration says the same."""
        self.revision += 1
        self._holders[record.id] = record
        self._holder_tenants[record.id] = tenant
        self._read_holders.pop(record.id, None)
        for badge in self._held.get(record.id, ()):
            if self._owner.get(badge) == record.id:
                del self._owner[badge]
        held = self._held[record.id] = tuple(badges)
        self._owner.update(dict.fromkeys(held, record.id))

    def holders(self) -> list[tuple[HolderRecord, TenantId]]:
        """All registrations as they are now, believed or not, and whose they are. Threads may ask."""
        return [
            (record, tenant)
            for holder, record in list(self._holders.items())
            if (tenant := self._holder_tenants.get(holder)) is not None
        ]

    def records(self) -> list[BadgeRecord]:
        """All badges as they are now. Threads may ask."""
        return list(self._badges.values())

    def owns(self, holder: HolderId, badge: BadgeId) -> bool:
        """Whether a badge is the one of a holder and of nobody else. Threads may ask."""
        return self._owner.get(badge) == holder

    def record_of(self, holder: HolderId) -> HolderRecord | None:
        """A registration as it is stored."""
        return self._holders.get(holder)

    def erase(self, holder: HolderId, *, trust: Trust) -> tuple[BadgeId, ...]:
        """Forget a holder, and every badge that is theirs or was issued to them; give these."""
        self.revision += 1
        held = self._held.pop(holder, ())
        issued = [badge for badge, owner in self._issued_to.items() if owner == holder]
        owned = [badge for badge in held if self._owner.get(badge) == holder]
        badges = tuple(dict.fromkeys((*issued, *owned)))
        for badge in badges:
            self._erase_badge(badge, trust)
        self._holders.pop(holder, None)
        self._holder_tenants.pop(holder, None)
        self._read_holders.pop(holder, None)
        return badges

    def _erase_badge(self, badge: BadgeId, trust: Trust) -> None:
        known = self._badges.pop(badge, None)
        if known is not None:
            digest = hashlib.sha256(known.token).digest()
            self._by_digest.pop(digest, None)
            self._read_tokens.pop((trust.version, digest), None)
        for card in [card for card, answers in self._by_card.items() if answers == badge]:
            del self._by_card[card]
        for index in (self._badge_tenants, self._owner, self._issued_to):
            index.pop(badge, None)

    def set_state(
        self,
        badge: BadgeId,
        state: BadgeState,
        *,
        stopped_by: frozenset[TenantId] = frozenset(),
        at: datetime | None = None,
    ) -> bool:
        """Change the state of a badge, at an instant, and who has stopped it; False when there is no such badge."""
        known = self._badges.get(badge)
        if known is None:
            return False
        self.revision += 1
        stopped_at = at if known.state is BadgeState.ACTIVE else known.stopped_at
        self._badges[badge] = BadgeRecord(
            id=badge,
            token=known.token,
            state=state,
            stopped_by=stopped_by,
            stopped_at=None if state is BadgeState.ACTIVE else stopped_at,
        )
        return True

    def tenant_of_badge(self, badge: BadgeId) -> TenantId | None:
        """Whose badge it is."""
        return self._badge_tenants.get(badge)

    def tenant_of_holder(self, holder: HolderId) -> TenantId | None:
        """Whose holder it is."""
        return self._holder_tenants.get(holder)

    def tenant_of_card(self, card: Card) -> TenantId | None:
        """Whose badge answers to a card number; None where another tenant may take the card into use."""
        badge = self._by_card.get(card)
        return None if badge is None or self._is_over(badge) else self._badge_tenants.get(badge)

    def badge_of_card(self, card: Card) -> BadgeId | None:
        """Which badge answers to a card number, whatever has become of it."""
        return self._by_card.get(card)

    def card_is_free(self, card: Card, *, trust: Trust, now: datetime) -> bool:
        """Whether a new badge may answer to a card number: no badge does, or one that is over for good.

        A badge that is suspended, lost or stolen keeps its number: who shows the card is to be known.
        """
        badge = self._by_card.get(card)
        if badge is None or self._is_over(badge):
            return True
        known = self._badges[badge]
        read = self.read_token(known.token, trust=trust)
        return known.state is BadgeState.ACTIVE and read is not None and read.expires <= now

    def _is_over(self, badge: BadgeId) -> bool:
        """Whether a badge is revoked, or was taken from its holder in good order."""
        state = self._badges[badge].state
        return state is BadgeState.REVOKED or (state is BadgeState.ACTIVE and badge not in self._owner)

    def may_be_of(self, badge: BadgeId, holder: HolderId) -> bool:
        """Whether a badge was issued to nobody else, and no other's registration, believed or not, names it."""
        return {self._issued_to.get(badge), self._owner.get(badge)} <= {None, holder}

    def issued_to(self, badge: BadgeId) -> HolderId | None:
        """To whom a badge was issued, as far as that is known."""
        return self._issued_to.get(badge)

    def state(self, badge: BadgeId) -> BadgeState | None:
        """What its tenant last said of a badge; None when the site does not know it."""
        known = self._badges.get(badge)
        return known.state if known is not None else None

    def stopped_by(self, badge: BadgeId) -> frozenset[TenantId]:
        """Whose operators have stopped a badge; its tenant's where nothing else is known."""
        known = self._badges.get(badge)
        if known is None or known.state is BadgeState.ACTIVE:
            return frozenset()
        return known.stopped_by or frozenset({self._badge_tenants[badge]})

    def stopped_at(self, badge: BadgeId) -> datetime | None:
        """Since when a badge is not active; None for one that is, and where nobody knows."""
        known = self._badges.get(badge)
        return known.stopped_at if known is not None else None

    def was_stopped(self, badge: BadgeId, at: datetime) -> bool:
        """Whether a badge that is not active was stopped at an instant already; it was where nobody knows since when."""
        known = self._badges.get(badge)
        if known is None or known.state is BadgeState.ACTIVE:
            return False
        return known.stopped_at is None or known.stopped_at <= at

    def record(self, badge: BadgeId) -> BadgeRecord | None:
        """A badge as it is stored."""
        return self._badges.get(badge)

    def token(self, badge: BadgeId) -> bytes | None:
        """The token of a badge."""
        known = self._badges.get(badge)
        return known.token if known is not None else None

    def token_of_digest(self, digest: bytes) -> bytes | None:
        """The token whose SHA-256 a gate sent."""
        badge = self._by_digest.get(digest)
        return self._badges[badge].token if badge is not None else None

    def token_of_card(self, card: Card) -> bytes | None:
        """The token that was signed for a card number."""
        badge = self._by_card.get(card)
        return self._badges[badge].token if badge is not None else None

    def read_token(self, token: bytes, *, trust: Trust) -> Badge | None:
        """Believe a token, or None; the answer is remembered. Threads may ask."""
        key = (trust.version, hashlib.sha256(token).digest())
        remembered: Badge | None = self._read_tokens.get(key, _UNREAD)
        if remembered is not _UNREAD:
            return remembered
        if len(self._read_tokens) >= _MAX_READ:
            self._read_tokens.clear()
        badge = self._read_tokens[key] = read_token(token, trust)
        return badge

    def holder_of(self, badge: BadgeId, *, trust: Trust) -> Holder | HolderRecord | None:
        """The holder of a badge; the bare record when the registration is not signed as it must be; None for nobody."""
        owner = self._owner.get(badge)
        if owner is None:
            return None
        holder = self.holder(owner, trust=trust)
        return holder if holder is not None and badge in holder.badges else self._holders[owner]

    def holder(self, holder: HolderId, *, trust: Trust) -> Holder | None:
        """A registration that its tenant signed, or None."""
        record = self._holders.get(holder)
        if record is None:
            return None
        version, found = self._read_holders.get(holder, _NEVER_READ)
        if version != trust.version:
            found = read_holder(record.document, trust=trust)
            self._read_holders[holder] = (trust.version, found)
        return found if found is not None and found.id == holder else None

    def badges(self, *, trust: Trust) -> Iterator[Badge]:
        """Every badge whose token its tenant signed."""
        for record in self._badges.values():
            badge = self.read_token(record.token, trust=trust)
            if badge is not None:
                yield badge

    def forget_read(self) -> None:
        """Forget what was believed under the former trust list."""
        self._read_tokens.clear()
        self._read_holders.clear()


def read_token(token: bytes, trust: Trust) -> Badge | None:
    """Believe a token that an issuer of its tenant signed for this site, or None. Remembers nothing."""
    verified = cose.verify(token, keys=trust.issuers, typ=BADGE_TYPE, use=Use.ISSUER)
    if isinstance(verified, cose.Refused):
        return None
    badge = read_badge(verified.payload)
    if isinstance(badge, ClaimsRefused):
        return None
    # INVARIANT: a tenant makes badges for itself and for this site only.
    if badge.tenant != verified.key.owner or badge.site != trust.site:
        return None
    revoked_from = trust.revoked_issuers.get(verified.key.kid)
    if revoked_from is not None and badge.issued >= revoked_from:
        return None
    return badge
