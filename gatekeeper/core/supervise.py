"""Changes to a running site: what a believed change does to the flow, and what must be written with its entry.

Alert state, lockdown, states of badges, registrations, policies and trust lists change here and nowhere else, between
two scans, in the same order as everything. A change that may not be made changes nothing and says why; both kinds of
outcome are kept. A new policy or trust list is compiled whole before the old one goes: the swap is one assignment.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

from gatekeeper.core.audit import Draft, Kind, timestamp
from gatekeeper.core.change import (
    AlertChange,
    BadgeStateChange,
    Change,
    ChangeContent,
    ChangeRefused,
    HolderChange,
    LockdownChange,
    PolicyChange,
    TrustChange,
    authorised,
    read_change,
)
from gatekeeper.core.flow import Flow
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.register import HolderRecord, read_holder
from gatekeeper.core.trust import Anchor, TrustRefused, read_trust
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card
from gatekeeper.model.ids import BadgeId, HolderId, TenantId
from gatekeeper.model.policy import SITE_SCOPE, gate_scope, zone_scope

__all__ = [
    "APPLIED",
    "ChangeOutcome",
    "StoredBadge",
    "StoredHolder",
    "Supervised",
    "Writes",
    "supervise",
]

APPLIED = "applied"
_FRESH = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHolder:
    """A holder with what only the directory knows: the name."""

    record: HolderRecord
    tenant: TenantId
    name: str
    badges: tuple[BadgeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBadge:
    """A badge, whose it is, and the card number it answers to."""

    record: BadgeRecord
    tenant: TenantId
    holder: HolderId
    card: Card | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOutcome:
    """What became of a change: `code` is "applied" or the code of its refusal."""

    change: bytes
    code: str
    detail: str
    seq: int | None


@dataclass(slots=True, kw_only=True)
class Writes:
    """State beside the log that a change alters, committed with its entry."""

    alert: int | None = None
    lockdowns: frozenset[str] | None = None
    documents: list[tuple[str, int, bytes]] = field(default_factory=list)
    holders: list[StoredHolder] = field(default_factory=list)
    badges: list[StoredBadge] = field(default_factory=list)
    badge_states: list[tuple[BadgeId, BadgeState]] = field(default_factory=list)
    outcomes: list[ChangeOutcome] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) not in (None, []) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Supervised:
    """What became of one change: the entry it makes, if it was made, and the outcome either way."""

    draft: Draft | None
    outcome: ChangeOutcome


@dataclass(frozen=True, slots=True)
class _Refused:
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What the entry of a change says."""

    kind: Kind
    public: dict[str, Any]
    tenants: tuple[TenantId, ...] = ()
    person: HolderId | None = None
    personal: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A believed change on its way: the flow it alters, the writes it adds to."""

    flow: Flow
    anchor: Anchor
    writes: Writes
    seq: int
    name: str


def supervise(
    flow: Flow,
    document: bytes,
    *,
    change_id: bytes,
    name: str | None,
    anchor: Anchor,
    now: datetime,
    writes: Writes,
) -> Supervised:
    """Make one change, or refuse it; `writes` gets what must be committed with its entry."""
    change = read_change(document, trust=flow.trust)
    if isinstance(change, ChangeRefused):
        return _refuse(change_id, change.code, change.detail)
    if change.id != change_id:
        return _refuse(change_id, "change-malformed", "it is filed under another id")
    if abs(now - change.at) > _FRESH:
        return _refuse(change_id, "change-stale", "it was signed more than a day ago")
    refused = authorised(change, trust=flow.trust, owners=flow.register)
    if refused is not None:
        return _refuse(change_id, refused.code, refused.detail)
    work = _Work(flow=flow, anchor=anchor, writes=writes, seq=flow.next_seq, name=name or "")
    done = _apply(change, work)
    if isinstance(done, _Refused):
        return _refuse(change_id, done.code, done.detail)
    flow.next_seq += 1
    draft = Draft(
        kind=done.kind,
        at=now,
        seq=work.seq,
        tenants=done.tenants,
        public={
            **done.public,
            "change": change.id.hex(),
            "by": change.tenant,
            "author": change.author,
            "signed_at": timestamp(change.at),
        },
        person=done.person,
        personal=done.personal,
    )
    return Supervised(draft, ChangeOutcome(change=change_id, code=APPLIED, detail="", seq=work.seq))


def _refuse(change_id: bytes, code: str, detail: str) -> Supervised:
    return Supervised(None, ChangeOutcome(change=change_id, code=code, detail=detail, seq=None))


def _apply(change: Change, work: _Work) -> _Done | _Refused:
    content: ChangeContent = change.content
    match content:
        case AlertChange():
            return _alert(content, work)
        case LockdownChange():
            return _lockdown(content, work)
        case BadgeStateChange():
            return _badge_state(content, work)
        case HolderChange():
            return _holder(content, work)
        case PolicyChange():
            return _policy(content, work)
        case TrustChange():
            return _trust(content, work)
        case _:
            assert_never(content)


def _alert(change: AlertChange, work: _Work) -> _Done | _Refused:
    states = work.flow.policy.alert_states
    if change.state not in states:
        return _Refused("alert-unknown", f"the site's alert states are {', '.join(states)}")
    before, work.flow.alert = work.flow.alert, states.index(change.state)
    work.writes.alert = work.flow.alert
    return _Done(kind=Kind.ALERT_CHANGED, public={"from": states[before], "to": change.state})


def _lockdown(change: LockdownChange, work: _Work) -> _Done | _Refused:
    policy = work.flow.policy
    known = {SITE_SCOPE, *map(zone_scope, policy.zones), *map(gate_scope, policy.gates)}
    if change.scope not in known:
        return _Refused("scope-unknown", f"the site has no {change.scope}")
    scope = frozenset({change.scope})
    work.flow.lockdowns = work.flow.lockdowns | scope if change.on else work.flow.lockdowns - scope
    work.writes.lockdowns = work.flow.lockdowns
    return _Done(kind=Kind.LOCKDOWN_CHANGED, public={"scope": change.scope, "on": change.on})


def _badge_state(change: BadgeStateChange, work: _Work) -> _Done | _Refused:
    register = work.flow.register
    tenant = register.tenant_of_badge(change.badge)
    before = register.state(change.badge)
    if tenant is None or before is None:
        return _Refused("badge-unknown", "the site has no such badge")
    register.set_state(change.badge, change.state)
    work.writes.badge_states.append((change.badge, change.state))
    holder = register.holder_of(change.badge, trust=work.flow.trust)
    return _Done(
        kind=Kind.BADGE_CHANGED,
        public={"tenant": tenant, "from": before.value, "to": change.state.value},
        tenants=(tenant,),
        person=holder.id if holder is not None else None,
        personal={"badge": change.badge, "holder": holder.id} if holder is not None else None,
    )


def _holder(change: HolderChange, work: _Work) -> _Done | _Refused:
    register = work.flow.register
    holder = read_holder(change.document, trust=work.flow.trust)
    if holder is None:
        return _Refused("change-registration", "")
    former = register.holder(holder.id, trust=work.flow.trust)
    if former is not None and former.version >= holder.version:
        return _Refused("registration-old", f"version {holder.version} follows {former.version}")
    for issue in change.badges:
        if register.state(issue.badge) is not None:
            return _Refused("badge-known", "a badge is entered once")
        if issue.card is not None and register.token_of_card(issue.card) is not None:
            return _Refused("card-known", "another badge answers to this card number")
    record = HolderRecord(id=holder.id, document=change.document)
    register.put_holder(record, tenant=holder.tenant, badges=holder.badges)
    work.writes.holders.append(
        StoredHolder(record=record, tenant=holder.tenant, name=work.name, badges=holder.badges)
    )
    for issue in change.badges:
        badge = BadgeRecord(id=issue.badge, token=issue.token, state=BadgeState.ACTIVE)
        register.put_badge(badge, tenant=holder.tenant, card=issue.card)
        work.writes.badges.append(
            StoredBadge(record=badge, tenant=holder.tenant, holder=holder.id, card=issue.card)
        )
    return _Done(
        kind=Kind.HOLDER_REGISTERED,
        public={"tenant": holder.tenant, "version": holder.version, "badges": len(change.badges)},
        tenants=(holder.tenant,),
        person=holder.id,
        personal={"holder": holder.id, "badges": [issue.badge for issue in change.badges]},
    )


def _policy(change: PolicyChange, work: _Work) -> _Done | _Refused:
    policy = compile_from(change.document, trust=work.flow.trust)
    if isinstance(policy, PolicyRefused):
        return _Refused(policy.code, policy.detail)
    if policy.alert_states != work.flow.policy.alert_states:
        return _Refused(
            "alert-states-fixed", "the list of alert states changes only while the site stands still"
        )
    before = work.flow.policy.version
    work.flow.policy, work.flow.policy_source = policy, change.document
    work.writes.documents.append(("policy", work.seq, change.document))
    return _Done(kind=Kind.POLICY_CHANGED, public={"from": before.hex(), "to": policy.version.hex()})


def _trust(change: TrustChange, work: _Work) -> _Done | _Refused:
    flow = work.flow
    trust = read_trust(change.document, anchor=work.anchor, not_below=flow.trust.version + 1)
    if isinstance(trust, TrustRefused):
        return _Refused(trust.code, trust.detail)
    policy = compile_from(flow.policy_source, trust=trust)
    if isinstance(policy, PolicyRefused):
        return _Refused(policy.code, policy.detail)
    before = flow.trust.version
    flow.trust, flow.policy = trust, policy
    flow.register.forget_read()
    work.writes.documents.append(("trust", work.seq, change.document))
    return _Done(
        kind=Kind.TRUST_CHANGED,
        public={"from": before, "to": trust.version, "policy": policy.version.hex()},
    )
