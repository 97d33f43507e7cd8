"""What a change can say, and how it is spelled in a signed change (see `change`).

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
    operator      {1 operator, 2 operator document}
    approval      {1 SHA-256 of the proposed change}
    withdrawal    {1 SHA-256 of the proposed change}
    export        {1 tenant, 2 holders / badges, 3 reason}
    log-export    {1 tree, 2 from / null, 3 to / null, 4 [doors, rising], 5 [granted / denied / ..., rising],
                   6 holder / null, 7 personal parts opened, 8 reason}          times in ms since 1970
    look-up       {1 holder, 2 purpose}
    erasure       {1 holder, 2 reason}
    hold          {1 scope, 2 on, 3 reason}
    opening       {1 access point, 2 reason}
    reboot        {1 gate, 2 reason}

Who may say it is not known here, and no document within is believed here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar, assert_never

from gatekeeper.core.holds import holder_of_scope, is_hold_scope
from gatekeeper.core.log_export import AtDoor, is_tree
from gatekeeper.model.badges import MAX_TOKEN_BYTES, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId, OperatorId, TenantId, is_name
from gatekeeper.model.policy import SITE_SCOPE

__all__ = [
    "AlertChange",
    "ApprovalChange",
    "BadgeIssue",
    "BadgeStateChange",
    "ChangeContent",
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
    "PolicyChange",
    "RebootChange",
    "SuspensionChange",
    "TrustChange",
    "WithdrawalChange",
    "content_of",
    "is_about_a_person",
    "is_reason",
    "kind_of",
    "spelled",
    "type_of",
]

_T = TypeVar("_T", bound=str)
_MAX_DOCUMENT: Final = 1_050_000
_MAX_REGISTRATION: Final = 8192
_MAX_OPERATOR: Final = 1024
_MAX_BADGES: Final = 32
_MAX_DOORS: Final = 64
_DIGEST_BYTES: Final = 32
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LAST_MS: Final = 253_402_300_799_000  # the year 9999
_SCOPE: Final = re.compile(r"(zone|gate):[a-z0-9-]{1,32}")
_SEEN: Final = "!-~\u00a1-\u1ffe\u2010-\u2027\u2030-\u205e\u20a0-\ud7fb\uf900-\ufefc\uff01-\ufffd"
"""What a line is written with, beside the blank: nothing that ends it, and nothing that overrides its direction."""
_REASON: Final = re.compile(f"[{_SEEN}]([ {_SEEN}]{{0,198}}[{_SEEN}])?")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorChange:
    """An operator as its tenant signed it: new, changed or revoked."""

    operator: OperatorId
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalChange:
    """A second person agrees to a proposal; `digest` is the SHA-256 of the proposed change as it was signed."""

    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalChange:
    """The author of a proposal takes it back."""

    digest: bytes


class Exported(StrEnum):
    """What is exported of a tenant, whole."""

    HOLDERS = "holders"
    BADGES = "badges"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportChange:
    """All people or all badges of a tenant may be written to a file; `reason` is for all who read the log, and names nobody."""

    tenant: TenantId
    what: Exported
    reason: str

    @property
    def sentence(self) -> str:
        """What it gives, for the second person."""
        return f"all {self.what} of {self.tenant} in a file: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExportChange:
    """Entries of a tree may be taken out of the log: those of a time, of some doors, of some outcomes, of one holder.

    No doors, or no decisions, are all. `openings`: with what they say of persons. `reason` is public, and names nobody.
    """

    tree: str
    since: datetime | None
    until: datetime | None
    doors: tuple[AccessPointId, ...]
    decisions: tuple[AtDoor, ...]
    holder: HolderId | None
    openings: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpChange:
    """Somebody looks at where a person has been; `purpose` is public, and names nobody."""

    holder: HolderId
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureChange:
    """A person is forgotten, for good; `reason` is public, and names nobody."""

    holder: HolderId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChange:
    """What is in a scope (`site`, `tenant:<tenant>`, `holder:<holder>`) must be kept, or need not any more."""

    scope: str
    on: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningChange:
    """One door is opened now, once, from afar; `reason` is public, and names nobody."""

    access_point: AccessPointId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootChange:
    """A gate secures its doors and starts anew; `reason` is public, and names nobody."""

    gate: GateId
    reason: str


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
    | OperatorChange
    | ApprovalChange
    | WithdrawalChange
    | ExportChange
    | LogExportChange
    | LookUpChange
    | ErasureChange
    | HoldChange
    | OpeningChange
    | RebootChange
)


def kind_of(content: ChangeContent) -> str:
    """The kind of a change."""
    return _KINDS[type(content)]


def type_of(kind: str) -> type[ChangeContent]:
    """The content of a kind of change. Raise KeyError for an unknown kind."""
    return _TYPES[kind]


def is_about_a_person(content: ChangeContent) -> bool:
    """Whether a change says something of one person: its bytes are not kept longer than they are needed."""
    match content:
        case LogExportChange(holder=holder):
            return holder is not None
        case HoldChange(scope=scope):
            return holder_of_scope(scope) is not None
        case _:
            return isinstance(content, _OF_A_PERSON)


def spelled(content: ChangeContent) -> tuple[str, dict[int, Any]]:
    """The kind of a change, and its content as it travels."""
    fields: dict[int, Any]
    match content:
        case BadgeStateChange(badge=badge, state=state):
            fields = {1: bytes.fromhex(badge), 2: state.value}
        case AlertChange(state=alert):
            fields = {1: alert}
        case LockdownChange(scope=scope, on=on):
            fields = {1: scope, 2: on}
        case SuspensionChange(tenant=tenant, on=on):
            fields = {1: tenant, 2: on}
        case ForgivenessChange(holder=holder):
            fields = {1: holder}
        case GuardChange(entry=entry, yes=yes):
            fields = {1: entry, 2: yes}
        case PolicyChange(document=document) | TrustChange(document=document):
            fields = {1: document}
        case HolderChange(holder=holder, document=document, badges=badges):
            issues = [[bytes.fromhex(one.badge), one.token, _card_out(one.card)] for one in badges]
            fields = {1: holder, 2: document, 3: issues}
        case OperatorChange(operator=operator, document=document):
            fields = {1: operator, 2: document}
        case ApprovalChange(digest=digest) | WithdrawalChange(digest=digest):
            fields = {1: digest}
        case _:
            fields = _reasoned_out(content)
    return kind_of(content), fields


def content_of(kind: str, fields: Mapping[int, Any]) -> ChangeContent | None:
    """Read the content of a change; None for what is none. What is too much, who reads finds by spelling it again."""
    read = _READERS.get(kind)
    try:
        return None if read is None else read(fields)
    except (ValueError, TypeError):
        return None


def is_reason(text: str) -> bool:
    """Whether a text can stand in the log as a reason: one line of 1 to 200 characters, with no blank at its ends."""
    return _REASON.fullmatch(text) is not None


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


def _operator(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(operator), 2: bytes(document)} if is_name(operator) and len(document) <= _MAX_OPERATOR:
            return OperatorChange(operator=OperatorId(operator), document=document)
        case _:
            return None


def _approval(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: bytes(digest)} if len(digest) == _DIGEST_BYTES:
            return ApprovalChange(digest=digest)
        case _:
            return None


def _withdrawal(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: bytes(digest)} if len(digest) == _DIGEST_BYTES:
            return WithdrawalChange(digest=digest)
        case _:
            return None


def _export(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(tenant), 2: str(what), 3: str(reason)} if is_name(tenant) and is_reason(reason):
            return ExportChange(tenant=TenantId(tenant), what=Exported(what), reason=reason)
        case _:
            return None


def _log_export(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {
            1: str(tree),
            2: since,
            3: until,
            4: [*doors],
            5: [*decisions],
            6: holder,
            7: bool(openings),
        } if is_tree(tree) and len(doors) <= _MAX_DOORS:
            pass
        case _:
            return None
    reason = fields.get(8)
    if not isinstance(reason, str) or not is_reason(reason):
        return None
    content = LogExportChange(
        tree=tree,
        since=_time_in(since),
        until=_time_in(until),
        doors=_rising(AccessPointId(_name_in(door)) for door in doors),
        decisions=_rising(AtDoor(decision) for decision in decisions),
        holder=None if holder is None else HolderId(_name_in(holder)),
        openings=openings,
        reason=reason,
    )
    begun = content.since is None or content.until is None or content.since < content.until
    return content if begun else None


def _look_up(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(holder), 2: str(purpose)} if is_name(holder) and is_reason(purpose):
            return LookUpChange(holder=HolderId(holder), purpose=purpose)
        case _:
            return None


def _erasure(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(holder), 2: str(reason)} if is_name(holder) and is_reason(reason):
            return ErasureChange(holder=HolderId(holder), reason=reason)
        case _:
            return None


def _hold(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(scope), 2: bool(on), 3: str(reason)} if is_hold_scope(scope) and is_reason(reason):
            return HoldChange(scope=scope, on=on, reason=reason)
        case _:
            return None


def _opening(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(access_point), 2: str(reason)} if is_name(access_point) and is_reason(reason):
            return OpeningChange(access_point=AccessPointId(access_point), reason=reason)
        case _:
            return None


def _reboot(fields: Mapping[int, Any]) -> ChangeContent | None:
    match fields:
        case {1: str(gate), 2: str(reason)} if is_name(gate) and is_reason(reason):
            return RebootChange(gate=GateId(gate), reason=reason)
        case _:
            return None


_OF_A_PERSON: Final = (BadgeStateChange, ForgivenessChange, HolderChange, LookUpChange, ErasureChange)
_KINDS: Final[Mapping[type[ChangeContent], str]] = {
    BadgeStateChange: "badge-state",
    AlertChange: "alert",
    LockdownChange: "lockdown",
    SuspensionChange: "suspension",
    ForgivenessChange: "forgiveness",
    GuardChange: "guard",
    PolicyChange: "policy",
    TrustChange: "trust",
    HolderChange: "holder",
    OperatorChange: "operator",
    ApprovalChange: "approval",
    WithdrawalChange: "withdrawal",
    ExportChange: "export",
    LogExportChange: "log-export",
    LookUpChange: "look-up",
    ErasureChange: "erasure",
    HoldChange: "hold",
    OpeningChange: "opening",
    RebootChange: "reboot",
}
_TYPES: Final = {kind: content for content, kind in _KINDS.items()}
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
    "operator": _operator,
    "approval": _approval,
    "withdrawal": _withdrawal,
    "export": _export,
    "log-export": _log_export,
    "look-up": _look_up,
    "erasure": _erasure,
    "hold": _hold,
    "opening": _opening,
    "reboot": _reboot,
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


def _reasoned_out(
    content: ExportChange
    | LogExportChange
    | LookUpChange
    | ErasureChange
    | HoldChange
    | OpeningChange
    | RebootChange,
) -> dict[int, Any]:
    """What a change says that says why."""
    match content:
        case ExportChange(tenant=tenant, what=what, reason=reason):
            return {1: tenant, 2: what.value, 3: reason}
        case LogExportChange():
            return _log_export_out(content)
        case LookUpChange(holder=holder, purpose=reason) | ErasureChange(holder=holder, reason=reason):
            return {1: holder, 2: reason}
        case HoldChange(scope=scope, on=on, reason=reason):
            return {1: scope, 2: on, 3: reason}
        case OpeningChange(access_point=name, reason=reason) | RebootChange(gate=name, reason=reason):
            return {1: name, 2: reason}
        case _:
            assert_never(content)


def _log_export_out(content: LogExportChange) -> dict[int, Any]:
    return {
        1: content.tree,
        2: _time_out(content.since),
        3: _time_out(content.until),
        4: list(content.doors),
        5: [decision.value for decision in content.decisions],
        6: content.holder,
        7: content.openings,
        8: content.reason,
    }


def _time_out(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MILLISECOND


def _time_in(value: object) -> datetime | None:
    match value:
        case None:
            return None
        case int(since) if type(since) is int and 0 <= since <= _LAST_MS:
            return _EPOCH + since * _MILLISECOND
        case _:
            raise ValueError("time")


def _name_in(value: object) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError("name")
    return value


def _rising(values: Iterable[_T]) -> tuple[_T, ...]:
    """A list in which each stands once, in the one order."""
    found = tuple(values)
    if list(found) != sorted(set(found)):
        raise ValueError("order")
    return found
