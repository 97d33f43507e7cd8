"""What a change amounts to on the site as it is, and what it does to it when it is made.

`weigh` looks and changes nothing: is it possible at all, what deed is it, about whom, and what does it give. `enact` makes
it; what it needs of a document was compiled in weighing, so that the swap is one assignment. Who may is `change`'s to say,
whether a second person must agree, `supervise`'s.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.change import (
    AlertChange,
    ApprovalChange,
    BadgeStateChange,
    ChangeContent,
    ErasureChange,
    ExportChange,
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
)
from gatekeeper.core.custody import enact_custody, weigh_custody
from gatekeeper.core.errands import enact_errand, weigh_errand
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.flow import Flow
from gatekeeper.core.operators import Deed, Operator, OperatorRecord, read_operator
from gatekeeper.core.policy_document import PolicyRefused, compile_from
from gatekeeper.core.register import HolderRecord, read_holder
from gatekeeper.core.trust import Anchor, KeyState, TrustRefused, read_trust
from gatekeeper.core.weighed import Declined, Done, Making, SiteChange, Weighed, concerned
from gatekeeper.core.widening import policy_gains, trust_gains
from gatekeeper.core.writes import StoredBadge, StoredHolder
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import SITE_SCOPE, gate_scope, zone_scope

__all__ = ["DEEDS", "Declined", "Done", "Making", "SiteChange", "Weighed", "enact", "weigh"]

DEEDS: Final[Mapping[type[ChangeContent], tuple[Deed, ...]]] = {
    BadgeStateChange: (Deed.STOP_BADGE, Deed.REINSTATE_BADGE, Deed.LET_BADGE_GO),
    AlertChange: (Deed.RAISE_ALERT, Deed.LOWER_ALERT),
    LockdownChange: (Deed.LOCK_DOWN, Deed.RELEASE),
    SuspensionChange: (Deed.SUSPEND_TENANT, Deed.REINSTATE_TENANT),
    ForgivenessChange: (Deed.FORGIVE,),
    GuardChange: (Deed.ANSWER_FOR_A_FACE,),
    PolicyChange: (Deed.CHANGE_POLICY, Deed.WIDEN_POLICY),
    TrustChange: (Deed.CHANGE_TRUST, Deed.WIDEN_TRUST),
    HolderChange: (Deed.REGISTER_HOLDER,),
    OperatorChange: (Deed.WITHDRAW_OPERATOR, Deed.GRANT_OPERATOR),
    ExportChange: (Deed.EXPORT_PEOPLE,),
    LogExportChange: (Deed.EXPORT_LOG, Deed.EXPORT_MOVEMENTS, Deed.LOOK_UP),
    LookUpChange: (Deed.LOOK_UP,),
    ErasureChange: (Deed.ERASE,),
    HoldChange: (Deed.PLACE_HOLD, Deed.LIFT_HOLD),
    OpeningChange: (Deed.OPEN_DOOR, Deed.OPEN_HIGH_DOOR),
    RebootChange: (Deed.REBOOT_GATE,),
    ApprovalChange: (),
    WithdrawalChange: (),
}
"""What a change of each kind can amount to; which of these it is depends on the site."""

_SAYS_MORE: Final = tuple(BadgeState)  # the later says more


# -- weighing -----------------------------------------------------------------------------------------------------------


def weigh(content: SiteChange, flow: Flow, *, anchor: Anchor, now: datetime) -> Weighed | Declined:
    """Say what a change amounts to on the site as it is, or why it cannot be made."""
    match content:
        case AlertChange():
            return _weigh_alert(content, flow)
        case LockdownChange():
            return _weigh_lockdown(content, flow)
        case SuspensionChange() | BadgeStateChange():
            return Weighed(content=content, deed=_deed_of(content, flow))
        case ForgivenessChange() | GuardChange() | HolderChange():
            (deed,) = DEEDS[type(content)]
            return Weighed(content=content, deed=deed)
        case PolicyChange():
            return _weigh_policy(content, flow)
        case TrustChange():
            return _weigh_trust(content, flow, anchor)
        case OperatorChange():
            return _weigh_operator(content, flow, now)
        case ExportChange() | LogExportChange() | LookUpChange() | ErasureChange() | HoldChange():
            return weigh_custody(content, flow)
        case OpeningChange() | RebootChange():
            return weigh_errand(content, flow, now=now)
        case _:
            assert_never(content)


def _weigh_alert(change: AlertChange, flow: Flow) -> Weighed | Declined:
    states = flow.policy.alert_states
    if change.state not in states:
        return Declined("alert-unknown", f"the site's alert states are {', '.join(states)}")
    lower = states.index(change.state) < flow.alert
    return Weighed(content=change, deed=Deed.LOWER_ALERT if lower else Deed.RAISE_ALERT)


def _deed_of(change: SuspensionChange | BadgeStateChange, flow: Flow) -> Deed:
    if isinstance(change, SuspensionChange):
        return Deed.SUSPEND_TENANT if change.on else Deed.REINSTATE_TENANT
    register, host = flow.register, flow.trust.host
    before = register.state(change.badge)
    # INVARIANT: what the host says of a tenant's badge, the tenant alone makes nothing less of.
    if (
        before not in {None, BadgeState.REVOKED}
        and _SAYS_MORE.index(change.state) < _SAYS_MORE.index(before)
        and host in register.stopped_by(change.badge) - {register.tenant_of_badge(change.badge)}
    ):
        return Deed.LET_BADGE_GO
    return Deed.REINSTATE_BADGE if change.state is BadgeState.ACTIVE else Deed.STOP_BADGE


def _weigh_lockdown(change: LockdownChange, flow: Flow) -> Weighed | Declined:
    policy = flow.policy
    known = {SITE_SCOPE, *map(zone_scope, policy.zones), *map(gate_scope, policy.gates)}
    # A scope that the policy has lost since can still be released.
    if change.scope not in known and (change.on or change.scope not in flow.lockdowns):
        return Declined("scope-unknown", f"the site has no {change.scope}")
    if change.on:
        return Weighed(content=change, deed=Deed.LOCK_DOWN, subject=change.scope)
    return Weighed(
        content=change, deed=Deed.RELEASE, subject=change.scope, gives=(f"{change.scope} is released",)
    )


def _weigh_policy(change: PolicyChange, flow: Flow) -> Weighed | Declined:
    if flow.trust.listing.tenants[flow.trust.host].signing.state is not KeyState.ACTIVE:
        return Declined("policy-key-retired", "the host's key signs nothing new")
    policy = compile_from(change.document, trust=flow.trust)
    if isinstance(policy, PolicyRefused):
        return Declined(policy.code, policy.detail)
    if policy.alert_states != flow.policy.alert_states:
        return Declined(
            "alert-states-fixed", "the list of alert states changes only while the site stands still"
        )
    gives = policy_gains(flow.policy, policy)
    return Weighed(
        content=change,
        deed=Deed.WIDEN_POLICY if gives else Deed.CHANGE_POLICY,
        gives=gives,
        base=flow.policy.version,
        policy=policy,
    )


def _weigh_trust(change: TrustChange, flow: Flow, anchor: Anchor) -> Weighed | Declined:
    trust = read_trust(change.document, anchor=anchor, not_below=flow.trust.version + 1)
    if isinstance(trust, TrustRefused):
        return Declined(trust.code, trust.detail)
    policy = compile_from(flow.policy_source, trust=trust)
    if isinstance(policy, PolicyRefused):
        return Declined(policy.code, policy.detail)
    gives = trust_gains(flow.trust, trust)
    return Weighed(
        content=change,
        deed=Deed.WIDEN_TRUST if gives else Deed.CHANGE_TRUST,
        gives=gives,
        base=flow.policy.version,
        policy=policy,
        trust=trust,
    )


def _weigh_operator(change: OperatorChange, flow: Flow, now: datetime) -> Weighed | Declined:
    operators, trust = flow.operators, flow.trust
    operator = read_operator(change.document, trust=trust)
    if operator is None:
        return Declined("change-appointment", "")
    if operators.tenant_of(operator.id) not in {None, operator.tenant}:
        return Declined("operator-known", "another tenant's operator has this name")
    former = operators.believed(trust=trust).get(operator.id)
    if former is not None and former.version >= operator.version:
        return Declined("operator-old", f"version {operator.version} follows {former.version}")
    if operators.key_taken(operator, trust=trust):
        return Declined("operator-key", "the key is another operator's, or has another use on this site")
    able = operators.can_grant(trust=trust, now=now)
    if able and not operators.can_grant(trust=trust, now=now, after=operator):
        return Declined("operator-last", "without this operator no two are left who can make another")
    # Who is entered as revoked, and was nobody before, takes a name that the whole site shares.
    takes = former is not None and operator.within(former)
    known = operators.document(operator.id)
    return Weighed(
        content=change,
        deed=Deed.WITHDRAW_OPERATOR if takes else Deed.GRANT_OPERATOR,
        gives=() if takes else _given(operator, former),
        subject=operator.id,
        base=b"" if known is None else hashlib.sha256(known).digest(),
        operator=operator,
    )


def _given(operator: Operator, former: Operator | None) -> tuple[str, ...]:
    if operator.revoked:
        return (f"{operator.id} is a name of {operator.tenant}",)
    again = ", whose account was ended," if former is not None and former.revoked else ""
    return tuple(f"{operator.id} of {operator.tenant}{again} is {role}" for role in sorted(operator.roles))


# -- making -------------------------------------------------------------------------------------------------------------


def enact(weighed: Weighed, making: Making) -> Done | Declined:
    """Make a change that was weighed on the same site a moment ago; what is declined has changed nothing."""
    content = weighed.content
    match content:
        case AlertChange():
            return _alert(content, making)
        case LockdownChange():
            return _lockdown(content, making)
        case SuspensionChange():
            return _suspension(content, making)
        case ForgivenessChange():
            return _forgiveness(content, making)
        case GuardChange():
            return _guard(content, making)
        case BadgeStateChange():
            return _badge_state(content, making)
        case HolderChange():
            return _holder(content, making)
        case PolicyChange() | TrustChange() | OperatorChange() | OpeningChange() | RebootChange():
            return _made_out(content, weighed, making)
        case ExportChange() | LogExportChange() | LookUpChange() | ErasureChange() | HoldChange():
            return enact_custody(content, making)
        case _:
            assert_never(content)


def _alert(change: AlertChange, making: Making) -> Done:
    states = making.flow.policy.alert_states
    before, making.flow.alert = making.flow.alert, states.index(change.state)
    making.flow.memory.nobody_waits()
    making.writes.alert = making.flow.alert
    says = (
        f"the alert state is {change.state} already"
        if before == making.flow.alert
        else f"the alert state goes from {states[before]} to {change.state}"
    )
    return Done(kind=Kind.ALERT_CHANGED, public={"from": states[before], "to": change.state}, says=says)


def _lockdown(change: LockdownChange, making: Making) -> Done:
    scope = frozenset({change.scope})
    already = " already" if (change.scope in making.flow.lockdowns) is change.on else ""
    making.flow.lockdowns = making.flow.lockdowns | scope if change.on else making.flow.lockdowns - scope
    making.flow.memory.nobody_waits()
    making.writes.lockdowns = making.flow.lockdowns
    says = f"{change.scope} is {'locked down' if change.on else 'released'}{already}"
    return Done(kind=Kind.LOCKDOWN_CHANGED, public={"scope": change.scope, "on": change.on}, says=says)


def _suspension(change: SuspensionChange, making: Making) -> Done | Declined:
    flow = making.flow
    rights = flow.policy.tenants.get(change.tenant)
    if rights is None or rights.is_host:
        return Declined("tenant-unknown", "only a tenant of the site can be suspended, and never the host")
    tenant = frozenset({change.tenant})
    already = " already" if (change.tenant in flow.suspended) is change.on else ""
    flow.suspended = flow.suspended | tenant if change.on else flow.suspended - tenant
    flow.memory.nobody_waits(suspended=change.tenant if change.on else None)
    making.writes.suspended = flow.suspended
    kind = Kind.TENANT_SUSPENDED if change.on else Kind.TENANT_REINSTATED
    says = f"{change.tenant} is {'suspended' if change.on else 'reinstated'}{already}"
    return Done(kind=kind, public={"tenant": change.tenant}, tenants=(change.tenant,), says=says)


def _forgiveness(change: ForgivenessChange, making: Making) -> Done | Declined:
    tenant = making.flow.register.tenant_of_holder(change.holder)
    if tenant is None:
        return Declined("holder-unknown", "the site has no such holder")
    if not making.flow.memory.forgive(change.holder):
        return Declined(
            "presence-unknown", "the site does not know where the holder is; there is nothing to forgive"
        )
    making.flow.memory.leaves_company(change.holder)
    making.writes.forgiven.append(change.holder)
    return Done(
        kind=Kind.PRESENCE_FORGIVEN,
        public={"tenant": tenant},
        tenants=concerned(making.flow, tenant),
        person=change.holder,
        personal={"holder": change.holder},
    )


def _guard(change: GuardChange, making: Making) -> Done | Declined:
    word = GuardsWord.YES if change.yes else GuardsWord.NO
    settled = making.flow.settle(change.entry, word, now=making.now)
    if settled is None:
        return Declined(
            "scan-not-waiting", "no scan waits under this entry: it was answered, or its time is over"
        )
    # INVARIANT: who was forgiven and is let in within the same commit is somewhere, also after it.
    here = {presence.holder for presence in settled.moved}
    making.writes.forgiven[:] = [holder for holder in making.writes.forgiven if holder not in here]
    return Done(
        kind=Kind.GUARD_ANSWERED,
        public={"scan": change.entry, "yes": change.yes},
        tenants=settled.drafts[0].tenants,
        settled=settled,
    )


def _badge_state(change: BadgeStateChange, making: Making) -> Done | Declined:
    register = making.flow.register
    tenant = register.tenant_of_badge(change.badge)
    before = register.state(change.badge)
    if tenant is None or before is None:
        return Declined("badge-unknown", "the site has no such badge")
    if before is BadgeState.REVOKED and change.state is not before:
        return Declined("badge-revoked", "it is revoked, and that is for good: issue another")
    state, stopped_by = change.state, register.stopped_by(change.badge) | {making.by}
    if state is BadgeState.ACTIVE:
        # What another has stopped too is not active again: each lets go of their own word.
        stopped_by -= {making.by}
        state = before if stopped_by else state
    register.set_state(change.badge, state, stopped_by=stopped_by, at=making.now)
    stopped_at = register.stopped_at(change.badge)
    making.writes.badge_states.append((change.badge, state, stopped_by, stopped_at))
    holder = register.holder_of(change.badge, trust=making.flow.trust)
    if holder is not None:
        making.flow.memory.leaves_company(holder.id)
    return Done(
        kind=Kind.BADGE_CHANGED,
        public={"tenant": tenant, "from": before.value, "to": state.value},
        tenants=concerned(making.flow, tenant),
        person=holder.id if holder is not None else None,
        personal={"badge": change.badge, "holder": holder.id} if holder is not None else None,
    )


def _holder(change: HolderChange, making: Making) -> Done | Declined:
    register = making.flow.register
    holder = read_holder(change.document, trust=making.flow.trust)
    if holder is None:
        return Declined("change-registration", "")
    # INVARIANT: who was forgotten is not made again under the same id: what is left of them would be theirs anew.
    if holder.id in making.flow.erased:
        return Declined("holder-erased", "the holder was forgotten, for good: register them under another id")
    former = register.holder(holder.id, trust=making.flow.trust)
    if former is not None and former.version >= holder.version:
        return Declined("registration-old", f"version {holder.version} follows {former.version}")
    # INVARIANT: a badge is one holder's, for good: no order in which registrations come or are read makes it another's.
    if not all(register.may_be_of(badge, holder.id) for badge in holder.badges):
        return Declined(
            "badge-held", "a badge of these was issued to another, or another's registration names it"
        )
    for issue in change.badges:
        if register.state(issue.badge) is not None:
            return Declined("badge-known", "a badge is entered once")
        if issue.card is not None and not register.card_is_free(
            issue.card, trust=making.flow.trust, now=making.now
        ):
            return Declined("card-known", "another badge answers to this card number")
    record = HolderRecord(id=holder.id, document=change.document)
    register.put_holder(record, tenant=holder.tenant, badges=holder.badges)
    making.flow.memory.registered(holder)
    making.writes.holders.append(
        StoredHolder(record=record, tenant=holder.tenant, name=making.name, badges=holder.badges)
    )
    for issue in change.badges:
        _let_go(issue.card, holder, making)
        badge = BadgeRecord(id=issue.badge, token=issue.token, state=BadgeState.ACTIVE)
        register.put_badge(badge, tenant=holder.tenant, card=issue.card, holder=holder.id)
        making.writes.badges.append(
            StoredBadge(record=badge, tenant=holder.tenant, holder=holder.id, card=issue.card)
        )
    return Done(
        kind=Kind.HOLDER_REGISTERED,
        public={"tenant": holder.tenant, "version": holder.version, "badges": len(change.badges)},
        tenants=concerned(making.flow, holder.tenant),
        person=holder.id,
        personal={"holder": holder.id, "badges": [issue.badge for issue in change.badges]},
    )


def _let_go(card: Card | None, holder: Holder, making: Making) -> None:
    """The badge that answered to a card number and is over answers to it no more: its row may not name it twice."""
    register = making.flow.register
    badge = None if card is None else register.badge_of_card(card)
    if badge is None:
        return
    record, tenant = register.record(badge), register.tenant_of_badge(badge)
    if record is not None and tenant is not None:
        making.writes.badges.append(StoredBadge(record=record, tenant=tenant, holder=holder.id, card=None))


def _made_out(
    change: PolicyChange | TrustChange | OperatorChange | OpeningChange | RebootChange,
    weighed: Weighed,
    making: Making,
) -> Done:
    """Make what was read, compiled or made out when it was weighed."""
    match change:
        case OperatorChange():
            return _operator(change, weighed, making)
        case OpeningChange() | RebootChange():
            return enact_errand(change, weighed, making)
        case _:
            return _document(change, weighed, making)


def _document(change: PolicyChange | TrustChange, weighed: Weighed, making: Making) -> Done:
    flow, policy = making.flow, weighed.policy
    if policy is None:
        raise ValueError("a document is compiled when it is weighed")
    before, version = flow.policy.version, flow.trust.version
    if weighed.trust is None:
        flow.adopt(policy, source=change.document, trust=flow.trust)
        making.writes.documents.append(("policy", making.seq, change.document))
        return Done(kind=Kind.POLICY_CHANGED, public={"from": before.hex(), "to": policy.version.hex()})
    flow.register.forget_read()
    flow.adopt(policy, source=flow.policy_source, trust=weighed.trust)
    making.writes.documents.append(("trust", making.seq, change.document))
    return Done(
        kind=Kind.TRUST_CHANGED,
        public={"from": version, "to": weighed.trust.version, "policy": policy.version.hex()},
    )


def _operator(change: OperatorChange, weighed: Weighed, making: Making) -> Done:
    operator = weighed.operator
    if operator is None:
        raise ValueError("an operator's document is read when it is weighed")
    record = OperatorRecord(id=operator.id, tenant=operator.tenant, document=change.document)
    making.flow.operators.put(record)
    making.writes.operators.append(record)
    return Done(
        kind=Kind.OPERATOR_CHANGED,
        public={
            "tenant": operator.tenant,
            "operator": operator.id,
            "roles": sorted(operator.roles),
            "key": hashlib.sha256(operator.key.public_der).hexdigest(),
            "version": operator.version,
            "revoked": operator.revoked,
            "from": timestamp(operator.since),
            "until": timestamp(operator.until),
        },
        tenants=concerned(making.flow, operator.tenant),
    )
