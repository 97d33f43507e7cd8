"""The record in custody: what is taken out of the log, who is looked up, what must be kept, and who is forgotten.

Each is an entry, and none of these entries says in public whom it is about. What two people must agree to says `operators`;
that nobody is forgotten who is held, is said here.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias, assert_never

from gatekeeper.core.audit import Draft, Kind, timestamp
from gatekeeper.core.change import ErasureChange, ExportChange, HoldChange, LogExportChange, LookUpChange
from gatekeeper.core.flow import Flow
from gatekeeper.core.holds import HOLDER_SCOPE, covers, holder_of_scope, tenant_scope
from gatekeeper.core.log_export import tenant_of_tree
from gatekeeper.core.operators import Deed
from gatekeeper.core.weighed import Declined, Done, Making, Weighed, concerned
from gatekeeper.core.writes import Writes
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.policy import SITE_SCOPE

__all__ = ["CustodyChange", "enact_custody", "erase_again", "weigh_custody"]

CustodyChange: TypeAlias = ExportChange | LogExportChange | LookUpChange | ErasureChange | HoldChange
"""What changes nothing of who may enter, but what is known."""


# -- weighing -----------------------------------------------------------------------------------------------------------


def weigh_custody(content: CustodyChange, flow: Flow) -> Weighed | Declined:
    """Say what it amounts to, or why it cannot be done."""
    match content:
        case ExportChange(tenant=tenant, sentence=gives):
            return Weighed(content=content, deed=Deed.EXPORT_PEOPLE, subject=tenant, gives=(gives,))
        case LogExportChange():
            return _weigh_log_export(content, flow)
        case LookUpChange():
            known = _whose(content.holder, flow)
            return known if isinstance(known, Declined) else Weighed(content=content, deed=Deed.LOOK_UP)
        case ErasureChange():
            return _weigh_erasure(content, flow)
        case HoldChange():
            return _weigh_hold(content, flow)
        case _:
            assert_never(content)


def _weigh_log_export(change: LogExportChange, flow: Flow) -> Weighed | Declined:
    if change.holder is not None and isinstance(unknown := _whose(change.holder, flow), Declined):
        return unknown
    if change.openings:
        who = "of one holder" if change.holder is not None else "of everybody in it"
        gives = f"the log of {change.tree} with what it says {who}: {change.reason}"
        return Weighed(
            content=change,
            deed=Deed.EXPORT_MOVEMENTS,
            subject=change.tree,
            gives=(gives,),
            person=change.holder,
        )
    deed = Deed.EXPORT_LOG if change.holder is None else Deed.LOOK_UP
    return Weighed(content=change, deed=deed, subject=change.tree)


def _weigh_erasure(change: ErasureChange, flow: Flow) -> Weighed | Declined:
    tenant = _whose(change.holder, flow)
    if isinstance(tenant, Declined):
        return tenant
    if covers(flow.holds, holder=change.holder, tenant=tenant):
        return Declined("holder-held", "a legal hold covers the holder: it is lifted first")
    gives = f"a holder of {tenant} is forgotten, for good: {change.reason}"
    return Weighed(content=change, deed=Deed.ERASE, gives=(gives,), person=change.holder)


def _weigh_hold(change: HoldChange, flow: Flow) -> Weighed | Declined:
    held, holder = change.scope in flow.holds, holder_of_scope(change.scope)
    if not change.on and not held:
        return Declined("hold-unknown", "nothing is held under this scope")
    subject = change.scope if holder is None else ""
    if not change.on:
        gives = f"the legal hold on {subject or 'a holder'} is lifted: {change.reason}"
        return Weighed(content=change, deed=Deed.LIFT_HOLD, subject=subject, gives=(gives,), person=holder)
    if holder is not None and isinstance(unknown := _whose(holder, flow), Declined):
        return unknown
    if holder is None and change.scope not in {SITE_SCOPE, *map(tenant_scope, flow.policy.tenants)}:
        return Declined("scope-unknown", f"the site has no {change.scope}")
    return Weighed(content=change, deed=Deed.PLACE_HOLD, subject=subject, person=holder)


def _whose(holder: HolderId, flow: Flow) -> TenantId | Declined:
    """Whose holder it is, or that the site has no such holder any more, or never had."""
    if holder in flow.erased:
        return Declined("holder-erased", "the holder was forgotten, for good")
    tenant = flow.register.tenant_of_holder(holder)
    return Declined("holder-unknown", "the site has no such holder") if tenant is None else tenant


# -- making -------------------------------------------------------------------------------------------------------------


def enact_custody(content: CustodyChange, making: Making) -> Done:
    """Do what was weighed on the same site a moment ago."""
    match content:
        case ExportChange():
            return _export(content, making)
        case LogExportChange():
            return _log_export(content, making)
        case LookUpChange():
            return _look_up(content, making)
        case ErasureChange():
            return _erasure(content, making)
        case HoldChange():
            return _hold(content, making)
        case _:
            assert_never(content)


def _export(change: ExportChange, making: Making) -> Done:
    public = {"tenant": change.tenant, "what": change.what.value, "reason": change.reason}
    return Done(kind=Kind.PEOPLE_EXPORTED, public=public, tenants=concerned(making.flow, change.tenant))


def _log_export(change: LogExportChange, making: Making) -> Done:
    times = {"from": change.since, "to": change.until}
    public: dict[str, Any] = {
        "tree": change.tree,
        **{name: timestamp(at) for name, at in times.items() if at is not None},
        "openings": change.openings,
        "reason": change.reason,
    }
    if change.doors:
        public["doors"] = list(change.doors)
    if change.decisions:
        public["decisions"] = [decision.value for decision in change.decisions]
    tenants = {tenant_of_tree(change.tree): None}
    if change.holder is not None:
        public["one_holder"] = True
        tenants[making.flow.register.tenant_of_holder(change.holder)] = None
    return Done(
        kind=Kind.LOG_EXPORTED,
        public=public,
        tenants=concerned(making.flow, *tenants),
        person=change.holder,
        personal=None if change.holder is None else {"holder": change.holder},
    )


def _look_up(change: LookUpChange, making: Making) -> Done:
    public = {"purpose": change.purpose}
    return _of_a_person(Kind.PERSON_LOOKED_UP, public, change.holder, making.flow)


def _erasure(change: ErasureChange, making: Making) -> Done:
    done = _of_a_person(Kind.PERSON_ERASED, {"reason": change.reason}, change.holder, making.flow)
    making.flow.erase(change.holder)
    making.writes.erased.append((change.holder, making.seq))
    return done


def erase_again(holder: HolderId, flow: Flow, writes: Writes, *, now: datetime) -> Draft | None:
    """Forget somebody whose key is gone, and who came back with a restored database; None when nobody did.

    Either way they are nobody who could be registered again.
    """
    tenant, seq = flow.register.tenant_of_holder(holder), flow.next_seq
    for proposal in flow.proposals:
        if proposal.person == holder:
            flow.proposals.end(proposal.digest)
    flow.erase(holder)
    if tenant is None:
        writes.erased.append((holder, seq - 1))
        return None
    flow.next_seq += 1
    writes.erased.append((holder, seq))
    return Draft(
        kind=Kind.PERSON_ERASED,
        at=now,
        seq=seq,
        tenants=concerned(flow, tenant),
        public={"again": True, "tenant": tenant},
        person=None,
        personal=None,
    )


def _hold(change: HoldChange, making: Making) -> Done:
    flow, holder = making.flow, holder_of_scope(change.scope)
    already = " already" if change.on and change.scope in flow.holds else ""
    scope = frozenset({change.scope})
    flow.holds = flow.holds | scope if change.on else flow.holds - scope
    making.writes.holds.append((change.scope, making.seq if change.on else None))
    kind = Kind.HOLD_PLACED if change.on else Kind.HOLD_LIFTED
    if holder is not None:
        public = {"scope": HOLDER_SCOPE, "reason": change.reason}
        done = _of_a_person(kind, public, holder, flow)
    else:
        public = {"scope": change.scope, "reason": change.reason}
        held = [tenant for tenant in flow.policy.tenants if tenant_scope(tenant) == change.scope]
        done = Done(kind=kind, public=public, tenants=concerned(flow, *held))
    what = "the holder" if holder is not None else change.scope
    return replace(done, says=f"{what} is {'held' if change.on else 'held no more'}{already}")


def _of_a_person(kind: Kind, public: dict[str, Any], holder: HolderId, flow: Flow) -> Done:
    """An entry about one person: whose they are is public, who they are is not."""
    tenant = flow.register.tenant_of_holder(holder)
    return Done(
        kind=kind,
        public=public if tenant is None else {"tenant": tenant, **public},
        tenants=concerned(flow, tenant),
        person=holder,
        personal={"holder": holder},
    )
