"""A signed change: what an operator says about a running site, and who may say it.

    change    COSE_Sign1 by an operator's key, typ application/pacs-change+cose, external AAD the site
              {0 1, 1 site, 2 id bstr16, 3 kind, 4 at (ms since 1970), 5 operator, 6 content}

`change_content` has the kinds and their content, `operators` the people and the table of who may say what. A document
inside a change is believed by its own signatures, never because a change brought it: policies, trust lists and operators
by their own readers, registrations and tokens here. Whether a change is fresh or was handled before is for the keeper of
the log. A name of a person is personal and does not travel in a change; an operator's name is that of an account.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, assert_never

from gatekeeper import cose
from gatekeeper.core.change_content import (
    AlertChange,
    ApprovalChange,
    BadgeIssue,
    BadgeStateChange,
    ChangeContent,
    ErasureChange,
    ExportChange,
    Exported,
    ForgivenessChange,
    GuardChange,
    HoldChange,
    HolderChange,
    LockdownChange,
    LogExportChange,
    LookUpChange,
    OpeningChange,
    OperatorChange,
    PolicyChange,
    RebootChange,
    SuspensionChange,
    TrustChange,
    WithdrawalChange,
    content_of,
    spelled,
)
from gatekeeper.core.log_export import tenant_of_tree
from gatekeeper.core.operators import OPERATOR_USE, WORDS, Deed, Operator, Operators, may, read_operator
from gatekeeper.core.register import HOLDER_TYPE, Register, read_holder
from gatekeeper.core.trust import KeyState, Trust
from gatekeeper.cose import cbor
from gatekeeper.model.badges import BADGE_TYPE, Card
from gatekeeper.model.ids import BadgeId, HolderId, OperatorId, SiteId, TenantId, is_name

__all__ = [
    "CHANGE_TYPE",
    "MAX_CHANGE_BYTES",
    "AlertChange",
    "ApprovalChange",
    "BadgeIssue",
    "BadgeStateChange",
    "Change",
    "ChangeContent",
    "ChangeRefusal",
    "ChangeRefused",
    "ErasureChange",
    "ExportChange",
    "Exported",
    "ForgivenessChange",
    "GuardChange",
    "HoldChange",
    "HolderChange",
    "LockdownChange",
    "LogExportChange",
    "LookUpChange",
    "OpeningChange",
    "OperatorChange",
    "Ownership",
    "PolicyChange",
    "RebootChange",
    "SuspensionChange",
    "TrustChange",
    "WithdrawalChange",
    "authorised",
    "concerns",
    "read_change",
    "sign_change",
]

CHANGE_TYPE: Final = "application/pacs-change+cose"
MAX_CHANGE_BYTES: Final = 1_052_672  # a document of 1 MB and what is around it
_BOUNDS: Final = cose.Bounds(max_bytes=MAX_CHANGE_BYTES, max_depth=6, max_items=512)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LAST_MS: Final = 253_402_300_799_000  # the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An authentic change, and the operator whose key signed it."""

    id: bytes
    operator: Operator
    at: datetime
    content: ChangeContent

    @property
    def tenant(self) -> TenantId:
        """Whose operator it was."""
        return self.operator.tenant

    @property
    def author(self) -> OperatorId:
        """Who signed it."""
        return self.operator.id


class ChangeRefusal(StrEnum):
    """Why a change is not made."""

    SIGNATURE = "change-signature"
    MALFORMED = "change-malformed"
    AUTHOR = "change-author"
    OPERATOR = "change-operator"
    KEY_RETIRED = "change-key-retired"
    ROLE = "change-role"
    NOT_YOURS = "change-not-yours"
    REGISTRATION = "change-registration"
    APPOINTMENT = "change-appointment"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    ChangeRefusal.SIGNATURE: "The change is not signed by an operator of this site.",
    ChangeRefusal.MALFORMED: "The change is signed, but its content is no change that is known.",
    ChangeRefusal.AUTHOR: "The change names another operator than the one whose key signed it.",
    ChangeRefusal.OPERATOR: "The operator is revoked, or the time of the account has not begun or is over.",
    ChangeRefusal.KEY_RETIRED: "The tenant's key is retired: what it signed counts, and it signs nothing new.",
    ChangeRefusal.ROLE: "None of the operator's roles may say this.",
    ChangeRefusal.NOT_YOURS: "A tenant changes its own badges, holders and operators; all else is the host's.",
    ChangeRefusal.REGISTRATION: "The registration or a badge in it is not signed by its tenant, or they do not fit.",
    ChangeRefusal.APPOINTMENT: "The operator's document is not signed by a tenant of this site, or is another's.",
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
    """Sign a change with an operator's key; `author` is the operator's name, `change_id` 16 fresh random bytes.

    Raise ValueError for what `read_change` would not read.
    """
    payload = _payload(content, site=site, change_id=change_id, author=author, at=at)
    if len(payload) > _BOUNDS.max_bytes or _read(payload, site=site) is None:
        raise ValueError("this is no change that would be read")
    return cose.sign(payload, key=key, typ=CHANGE_TYPE, external_aad=site.encode())


def read_change(
    document: bytes, *, trust: Trust, operators: Operators, now: datetime
) -> Change | ChangeRefused:
    """Believe that an operator who is in force wrote a change; whether he may, `authorised` says."""
    verified = cose.verify(
        document,
        keys=operators.ring(trust=trust),
        typ=CHANGE_TYPE,
        use=OPERATOR_USE,
        external_aad=trust.site.encode(),
        bounds=_BOUNDS,
    )
    if isinstance(verified, cose.Refused):
        return ChangeRefused(code=ChangeRefusal.SIGNATURE, detail=str(verified.code))
    operator = operators.believed(trust=trust)[OperatorId(verified.key.owner)]
    read = _read(verified.payload, site=trust.site)
    if read is None:
        return ChangeRefused(code=ChangeRefusal.MALFORMED)
    if read.author != operator.id:
        return ChangeRefused(code=ChangeRefusal.AUTHOR, detail=f"{operator.id} signed it")
    if not operator.in_force(now):
        return ChangeRefused(code=ChangeRefusal.OPERATOR, detail=operator.id)
    return Change(id=read.id, operator=operator, at=read.at, content=read.content)


def authorised(
    change: Change, deeds: Iterable[Deed], *, about: TenantId | None, host: TenantId
) -> ChangeRefused | None:
    """Say why an operator may do none of these about a tenant, or the site (None); None when he may do one."""
    operator, words = change.operator, [WORDS[deed] for deed in deeds]
    if any(may(operator, deed, about=about, host=host) for deed in deeds):
        return None
    right_role = any(not operator.roles.isdisjoint(word.own) for word in words)
    another = operator.tenant not in {about, host} or (right_role and about != operator.tenant)
    return ChangeRefused(code=ChangeRefusal.NOT_YOURS if another else ChangeRefusal.ROLE)


def concerns(content: ChangeContent, *, trust: Trust, owners: Ownership) -> TenantId | ChangeRefused | None:
    """Whom a change is about: a tenant, or the site (None). Documents of tenants within it are believed here."""
    match content:
        case BadgeStateChange(badge=badge):
            return owners.tenant_of_badge(badge)
        case HolderChange():
            return _registering(content, trust, owners)
        case OperatorChange():
            return _appointing(content, trust)
        case ExportChange(tenant=tenant):
            return tenant
        case LogExportChange():
            return _exporting(content, owners)
        case LookUpChange(holder=holder) | ErasureChange(holder=holder):
            return owners.tenant_of_holder(holder)
        case HoldChange() | OpeningChange() | RebootChange():
            return None
        case AlertChange() | LockdownChange() | SuspensionChange() | ForgivenessChange() | GuardChange():
            return None
        case PolicyChange() | TrustChange() | ApprovalChange() | WithdrawalChange():
            return None
        case _:
            assert_never(content)


def _exporting(change: LogExportChange, owners: Ownership) -> TenantId | None:
    """A tenant's tree is its own matter, until it is asked where another's person was."""
    tenant = tenant_of_tree(change.tree)
    foreign = change.holder is not None and owners.tenant_of_holder(change.holder) != tenant
    return None if foreign else tenant


def _appointing(change: OperatorChange, trust: Trust) -> TenantId | ChangeRefused:
    operator = read_operator(change.document, trust=trust)
    if operator is None or operator.id != change.operator:
        return ChangeRefused(code=ChangeRefusal.APPOINTMENT)
    if trust.listing.tenants[operator.tenant].signing.state is not KeyState.ACTIVE:
        return ChangeRefused(code=ChangeRefusal.KEY_RETIRED)
    return operator.tenant


def _registering(change: HolderChange, trust: Trust, owners: Ownership) -> TenantId | ChangeRefused:
    """The tenant that signed a registration and all its badges; they are taken from nobody, not even by the host."""
    holder = read_holder(change.document, trust=trust)
    if holder is None or holder.id != change.holder:
        return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="registration")
    if not _issued_now(change.document, HOLDER_TYPE, holder.tenant, trust):
        return ChangeRefused(code=ChangeRefusal.KEY_RETIRED, detail="registration")
    if len({issue.badge for issue in change.badges}) < len(change.badges):
        return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="a badge twice")
    for issue in change.badges:
        badge = Register().read_token(issue.token, trust=trust)
        if badge is None or (badge.id, badge.tenant, badge.card) != (issue.badge, holder.tenant, issue.card):
            return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="badge")
        if badge.id not in holder.badges:
            return ChangeRefused(code=ChangeRefusal.REGISTRATION, detail="a badge that is not the holder's")
        if not _issued_now(issue.token, BADGE_TYPE, holder.tenant, trust):
            return ChangeRefused(code=ChangeRefusal.KEY_RETIRED, detail="badge")
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


def _issued_now(document: bytes, typ: str, tenant: TenantId, trust: Trust) -> bool:
    """Whether a key that issues for its tenant now signed what is believed already; a retired one may have long ago."""
    parsed = cose.parse(document, typ=typ)
    return not isinstance(parsed, cose.Refused) and trust.issues(tenant, parsed.kid)


def _payload(content: ChangeContent, *, site: SiteId, change_id: bytes, author: str, at: datetime) -> bytes:
    kind, fields = spelled(content)
    since = (at - _EPOCH) // timedelta(milliseconds=1)
    return cbor.encode({0: 1, 1: site, 2: change_id, 3: kind, 4: since, 5: author, 6: fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the bytes say."""

    id: bytes
    author: str
    at: datetime
    content: ChangeContent


def _read(payload: bytes, *, site: SiteId) -> _Read | None:
    read: Any = cbor.decode(payload, bounds=_BOUNDS)
    match read:
        case {2: bytes(change_id), 3: str(kind), 4: int(since), 5: str(author), 6: dict(fields)} if (
            len(change_id) == 16 and 0 <= since <= _LAST_MS and is_name(author)
        ):
            content = content_of(kind, fields)
            at = _EPOCH + timedelta(milliseconds=since)
        case _:
            return None
    # INVARIANT: what is read is all that was signed: no other field, no other spelling, no other site.
    if content is None or payload != _payload(content, site=site, change_id=change_id, author=author, at=at):
        return None
    return _Read(id=change_id, author=author, at=at, content=content)
