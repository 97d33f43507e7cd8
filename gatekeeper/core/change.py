"""A signed change: what a tenant or the host says about a running site, and who may say it.

    change    COSE_Sign1 by a tenant's signing key, typ application/pacs-change+cose, external AAD the site
              {0 1, 1 site, 2 id bstr16, 3 kind, 4 at (ms since 1970), 5 author, 6 content}

    kind          content
    badge-state   {1 badge bstr16, 2 state}
    alert         {1 state}
    lockdown      {1 scope, 2 on}
    suspension    {1 tenant, 2 on}
    forgiveness   {1 holder}
    guard         {1 the waiting scan's entry, 2 yes}
    policy        {1 policy document}                       1 MB at most, as the next
    trust         {1 trust list}
    holder        {1 holder, 2 registration, 3 [[badge bstr16, token, [technology, number] / null]]}

The host may say everything; a tenant speaks of its own badges and holders only. A document inside a change is believed
by its own signatures, never because a change brought it: policies and trust lists by their own readers, registrations
and tokens here. Whether a change is fresh or was handled before is for the keeper of the log. A name is personal and
does not travel in a change.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias, assert_never

from gatekeeper import cose
from gatekeeper.core.register import Register, read_holder
from gatekeeper.core.trust import KeyState, Trust, Use
from gatekeeper.cose import cbor
from gatekeeper.model.badges import MAX_TOKEN_BYTES, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, HolderId, SiteId, TenantId, is_name
from gatekeeper.model.policy import SITE_SCOPE

__all__ = [
    "CHANGE_TYPE",
    "MAX_CHANGE_BYTES",
    "AlertChange",
    "BadgeIssue",
    "BadgeStateChange",
    "Change",
    "ChangeContent",
    "ChangeRefusal",
    "ChangeRefused",
    "ForgivenessChange",
    "GuardChange",
    "HolderChange",
    "LockdownChange",
    "Ownership",
    "PolicyChange",
    "SuspensionChange",
    "TrustChange",
    "authorised",
    "read_change",
    "sign_change",
]

CHANGE_TYPE: Final = "application/pacs-change+cose"
MAX_CHANGE_BYTES: Final = 1_052_672  # a document of 1 MB and what is around it
_BOUNDS: Final = cose.Bounds(max_bytes=MAX_CHANGE_BYTES, max_depth=6, max_items=512)
_MAX_DOCUMENT: Final = 1_050_000
_MAX_REGISTRATION: Final = 8192
_MAX_AUTHOR: Final = 64
_MAX_BADGES: Final = 32
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LAST_MS: Final = 253_402_300_799_000  # the year 9999
_SCOPE: Final = re.compile(r"(zone|gate):[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeStateChange:
    """A badge is active, suspended, lost, stolen or revoked from now on."""

    badge: BadgeId
    state: BadgeState


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """The site goes to an alert state."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockdownChange:
    """A scope (`site`, `zone:<zone>`, `gate:<gate>`) is locked down, or released."""

    scope: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspensionChange:
    """The host suspends a tenant, or ends that: its people come in nowhere, and may go home."""

    tenant: TenantId
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgivenessChange:
    """The site forgets where a holder is, so that anti-passback holds nothing against them."""

    holder: HolderId


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardChange:
    """A guard has compared the face with the photo; `entry` is the entry of the scan that waits."""

    entry: int
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """A new policy document, to be believed by `read_policy`."""

    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustChange:
    """A new trust list, to be believed by `read_trust`."""

    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeIssue:
    """A badge as its tenant issued it, and the card number that finds it, if it has one."""

    badge: BadgeId
    token: bytes
    card: Card | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderChange:
    """A holder's registration, new or renewed, with the badges that are new to the site."""

    holder: HolderId
    document: bytes
    badges: tuple[BadgeIssue, ...]


ChangeContent: TypeAlias = (
    BadgeStateChange
    | AlertChange
    | LockdownChange
    | SuspensionChange
    | ForgivenessChange
    | GuardChange
    | PolicyChange
    | TrustChange
    | HolderChange
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An authentic change: `tenant` is whose key signed it, `author` who says to have written it."""

    id: bytes
    tenant: TenantId
    author: str
    at: datetime
    content: ChangeContent


class ChangeRefusal(StrEnum):
    """Why a change is not made."""

    SIGNATURE = "change-signature"
    MALFORMED = "change-malformed"
    KEY_RETIRED = "change-key-retired"
    NOT_YOURS = "change-not-yours"
    REGISTRATION = "change-registration"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    ChangeRefusal.SIGNATURE: "The change is not signed by host or tenant of this site.",
    ChangeRefusal.MALFORMED: "The change is signed, but its content is no change that is known.",
    ChangeRefusal.KEY_RETIRED: "The key that signed the change may be verified with, but signs nothing new.",
    ChangeRefusal.NOT_YOURS: "A tenant changes its own badges and holders; all else is the host's.",
    ChangeRefusal.REGISTRATION: "The registration or a badge in it is not signed by its tenant, or they do not fit.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRefused:
    """A change that is not made, and where it failed."""

    code: ChangeRefusal
    detail: str = ""


class Ownership(Protocol):
    """Whose a badge, a holder or a card number is, as the site knows it; None for what it does not know."""

    def tenant_of_badge(self, badge: BadgeId) -> TenantId | None:
        """The tenant that issued a badge."""

    def tenant_of_holder(self, holder: HolderId) -> TenantId | None:
        """The tenant that registered a holder."""

    def tenant_of_card(self, card: Card) -> TenantId | None:
        """The tenant whose badge a card number finds."""


def sign_change(
    content: ChangeContent,
    *,
    site: SiteId,
    change_id: bytes,
    author: str,
    at: datetime,
    key: cose.SigningKey,
) -> bytes:
    """Sign a change with the signing key of host or tenant; `change_id` is 16 fresh random bytes.

    Raise ValueError for what `read_change` would not read.
    """
    payload = _payload(content, site=site, change_id=change_id, author=author, at=at)
    if len(payload) > _BOUNDS.max_bytes or _read(payload, site=site, tenant=TenantId("")) is None:
        raise ValueError("this is no change that would be read")
    return cose.sign(payload, key=key, typ=CHANGE_TYPE, external_aad=site.encode())


def read_change(document: bytes, *, trust: Trust) -> Change | ChangeRefused:
    """Believe that host or a tenant wrote a change; whether it may, `authorised` says."""
    verified = cose.verify(
        document,
        keys=trust.tenants,
        typ=CHANGE_TYPE,
        use=Use.TENANT,
        external_aad=trust.site.encode(),
        bounds=_BOUNDS,
    )
    if isinstance(verified, cose.Refused):
        return ChangeRefused(code=ChangeRefusal.SIGNATURE, detail=str(verified.code))
    change = _read(verified.payload, site=trust.site, tenant=TenantId(verified.key.owner))
    return ChangeRefused(code=ChangeRefusal.MALFORMED) if change is None else change


def authorised(change: Change, *, trust: Trust, owners: Ownership) -> ChangeRefused | None:
    """Say why a change may not be made; None when it may."""
    listed = trust.listing.tenants.get(change.tenant)
    if listed is None or listed.signing.state is not KeyState.ACTIVE:
        return ChangeRefused(code=ChangeRefusal.KEY_RETIRED)
    match change.content:
        case BadgeStateChange(badge=badge):
            yours = owners.tenant_of_badge(badge) == change.tenant
        case HolderChange() as registration:
            tenant = _registering(registration, trust, owners)
            if isinstance(tenant, ChangeRefused):
                return tenant
            yours = tenant == change.tenant
        case AlertChange() | LockdownChange() | SuspensionChange() | ForgivenessChange():
            yours = False
        case GuardChange() | PolicyChange() | TrustChange():
            yours = False
        case _:
            assert_never(change.content)
    if not yours and change.tenant != trust.host:
        return ChangeRefused(code=ChangeRefusal.NOT_YOURS)
    return None


def _registering(change: HolderChange, trust: Trust, owners: Ownership) -> TenantId | ChangeRefused:
    """The tenant that signed a registration and all its badges; they are taken from nobody, not even by the host."""
    holder = read_holder(change.document, trust=trust)
    if holder is None or holder.id != change.holder:
        return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="registration")
    if len({issue.badge for issue in change.badges}) < len(change.badges):
        return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="a badge twice")
    for issue in change.badges:
        badge = Register().read_token(issue.token, trust=trust)
        if badge is None or (badge.id, badge.tenant, badge.card) != (issue.badge, holder.tenant, issue.card):
            return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="badge")
        if badge.id not in holder.badges:
            return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="a badge that is not the holder's")
    # INVARIANT: a holder, badge or card number of one tenant is never taken over by another's registration.
    cards = [issue.card for issue in change.badges if issue.card is not None]
    if len(set(cards)) < len(cards):
        return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="a card number twice")
    known = {
        owners.tenant_of_holder(holder.id),
        *map(owners.tenant_of_badge, holder.badges),
        *map(owners.tenant_of_card, cards),
    }
    if known - {None, holder.tenant}:
        return ChangeRefused(code=ChangeRefusal.NOT_YOURS)
    return holder.tenant


def _payload(content: ChangeContent, *, site: SiteId, change_id: bytes, author: str, at: datetime) -> bytes:
    kind, fields = _fields(content)
    since = (at - _EPOCH) // timedelta(milliseconds=1)
    return cbor.encode({0: 1, 1: site, 2: change_id, 3: kind, 4: since, 5: author, 6: fields})


def _read(payload: bytes, *, site: SiteId, tenant: TenantId) -> Change | None:
    read: Any = cbor.decode(payload, bounds=_BOUNDS)
    match read:
        case {2: bytes(change_id), 3: str(kind), 4: int(since), 5: str(author), 6: dict(fields)} if (
            len(change_id) == 16 and 0 <= since <= _LAST_MS and 0 < len(author) <= _MAX_AUTHOR
        ):
            content = _content(kind, fields)
            at = _EPOCH + timedelta(milliseconds=since)
        case _:
            return None
    # INVARIANT: what is read is all that was signed: no other field, no other spelling, no other site.
    if content is None or payload != _payload(content, site=site, change_id=change_id, author=author, at=at):
        return None
    return Change(id=change_id, tenant=tenant, author=author, at=at, content=content)


def _fields(content: ChangeContent) -> tuple[str, dict[int, Any]]:
    """The kind of a change, and its content as it travels."""
    match content:
        case BadgeStateChange(badge=badge, state=state):
            return "badge-state", {1: bytes.fromhex(badge), 2: state.value}
        case AlertChange(state=alert):
            return "alert", {1: alert}
        case LockdownChange(scope=scope, on=on):
            return "lockdown", {1: scope, 2: on}
        case SuspensionChange(tenant=tenant, on=on):
            return "suspension", {1: tenant, 2: on}
        case ForgivenessChange(holder=holder):
            return "forgiveness", {1: holder}
        case GuardChange(entry=entry, yes=yes):
            return "guard", {1: entry, 2: yes}
        case PolicyChange(document=document):
            return "policy", {1: document}
        case TrustChange(document=document):
            return "trust", {1: document}
        case HolderChange(holder=holder, document=document, badges=badges):
            issues = [[bytes.fromhex(one.badge), one.token, _card_out(one.card)] for one in badges]
            return "holder", {1: holder, 2: document, 3: issues}
        case _:
            assert_never(content)


def _content(kind: str, fields: Mapping[int, Any]) -> ChangeContent | None:
    """Read the content of a change; None for what is none. What is too much, `_read` finds by writing it again."""
    read = _READERS.get(kind)
    try:
        return None if read is None else read(fields)
    except (ValueError, TypeError):
        return None


def _badge_state(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: bytes(badge), 2: str(state)} if len(badge) == 16:
            return BadgeStateChange(badge=BadgeId(badge.hex()), state=BadgeState(state))
        case _:
            return None


def _alert(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(state)} if is_name(state):
            return AlertChange(state=state)
        case _:
            return None


def _lockdown(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(scope), 2: bool(on)} if scope == SITE_SCOPE or _SCOPE.fullmatch(scope):
            return LockdownChange(scope=scope, on=on)
        case _:
            return None


def _suspension(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(tenant), 2: bool(on)} if is_name(tenant):
            return SuspensionChange(tenant=TenantId(tenant), on=on)
        case _:
            return None


def _forgiveness(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(holder)} if is_name(holder):
            return ForgivenessChange(holder=HolderId(holder))
        case _:
            return None


def _guard(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: int(entry), 2: bool(yes)} if entry >= 0 and type(entry) is int:
            return GuardChange(entry=entry, yes=yes)
        case _:
            return None


def _policy(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: bytes(document)} if len(document) <= _MAX_DOCUMENT:
            return PolicyChange(document=document)
        case _:
            return None


def _trust(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: bytes(document)} if len(document) <= _MAX_DOCUMENT:
            return TrustChange(document=document)
        case _:
            return None


def _holder(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(holder), 2: bytes(document), 3: [*issues], **rest} if (
            is_name(holder) and len(document) <= _MAX_REGISTRATION and len(issues) <= _MAX_BADGES and not rest
        ):
            badges = tuple(_issue(issue) for issue in issues)
            return HolderChange(holder=HolderId(holder), document=document, badges=badges)
        case _:
            return None


_READERS: Final = {
    "badge-state": _badge_state,
    "alert": _alert,
    "lockdown": _lockdown,
    "suspension": _suspension,
    "forgiveness": _forgiveness,
    "guard": _guard,
    "policy": _policy,
    "trust": _trust,
    "holder": _holder,
}


def _issue(value: object) -> BadgeIssue:
    match value:
        case [bytes(badge), bytes(token), card] if len(badge) == 16 and len(token) <= MAX_TOKEN_BYTES:
            return BadgeIssue(badge=BadgeId(badge.hex()), token=token, card=_card_in(card))
        case _:
            raise ValueError("badge")


def _card_out(card: Card | None) -> list[Any] | None:
    return None if card is None else [int(card.technology), card.number]


def _card_in(value: object) -> Card | None:
    match value:
        case None:
            return None
        case [int(technology), bytes(number)] if 1 <= len(number) <= 16:
            return Card(CardTechnology(technology), number)
        case _:
            raise ValueError("card")
