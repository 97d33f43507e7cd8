"""What a change amounts to, what it needs to be made, and what its entry then says: the values between weighing and making."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from gatekeeper.core.audit import Kind
from gatekeeper.core.change import (
    AlertChange,
    BadgeStateChange,
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
)
from gatekeeper.core.commands import Errand
from gatekeeper.core.flow import Flow, Recorded
from gatekeeper.core.operators import Deed, Operator
from gatekeeper.core.trust import Trust
from gatekeeper.core.writes import Writes
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.policy import Policy

__all__ = ["Declined", "Done", "Making", "SiteChange", "Weighed", "concerned"]

SiteChange: TypeAlias = (
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
    | ExportChange
    | LogExportChange
    | LookUpChange
    | ErasureChange
    | HoldChange
    | OpeningChange
    | RebootChange
)
"""What changes the site; approvals and withdrawals change what becomes of proposals."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A change that cannot be made on the site as it is."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a change amounts to, and what was read of its document meanwhile."""

    content: SiteChange
    deed: Deed
    gives: tuple[str, ...] = ()
    subject: str = ""
    person: HolderId | None = None
    base: bytes = b""
    policy: Policy | None = None
    trust: Trust | None = None
    operator: Operator | None = None
    errand: Errand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What the entry of a change says."""

    kind: Kind
    public: dict[str, Any]
    tenants: tuple[TenantId, ...] = ()
    person: HolderId | None = None
    personal: dict[str, Any] | None = None
    settled: Recorded | None = None
    errand: Errand | None = None
    """What a gate is to do, once the entry is committed."""
    says: str = ""
    """What is the case now, for whoever asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """A change on its way: the flow it alters, the writes it adds to, the entry that it will be, and whose word it is."""

    flow: Flow
    writes: Writes
    seq: int
    by: TenantId
    name: bytes
    now: datetime


def concerned(flow: Flow, *tenants: TenantId | None) -> tuple[TenantId, ...]:
    """Whose trees an entry stands in beside the site's: a tenant that the policy does not know has none."""
    return tuple(tenant for tenant in tenants if tenant is not None and tenant in flow.policy.tenants)
