"""One request with all that is known of it: what every rule looks at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from gatekeeper.core.facts import Companion, Facts, Request
from gatekeeper.model.ids import TenantId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import Opening, Point, Policy, TenantRights
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AlertDemands, Occupancy, ProfileRef

__all__ = ["Case", "Reported", "Rule", "case_of", "counts"]


@dataclass(frozen=True, slots=True)
class Reported:
    """A reason that its rule only reports."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Case:
    """A request, its facts, and what the policy says of badge and place."""

    policy: Policy
    point: Point
    facts: Facts
    request: Request
    now: datetime
    tenant: TenantId | None
    rights: TenantRights | None
    openings: Sequence[Opening]
    roles: frozenset[ProfileRef]
    demands: AlertDemands
    party: tuple[Companion, ...] = ()
    """Those who waited here for company, and would pass with whoever asks now."""

    @property
    def asked(self) -> datetime:
        """From when windows for company are measured."""
        return self.facts.past.asked or self.now

    @property
    def asking(self) -> Companion | None:
        """Whoever asks now, as one of a company."""
        holder = self.facts.holder
        if holder is None:
            return None
        return Companion(
            holder=holder.id,
            tenant=holder.tenant,
            kind=holder.kind,
            roles=self.roles,
            host=holder.host,
            at=self.asked,
            waiting=True,
            brought=self.facts.past.brought,
        )


def counts(one: Companion, limit: Occupancy) -> bool:
    """Whether somebody counts for a limit of a zone: a person who is not exempt."""
    return one.kind is not HolderKind.VEHICLE and limit.exempt.isdisjoint(one.roles)


Rule: TypeAlias = Callable[[Case], Reason | Reported | None]


def case_of(
    policy: Policy,
    point: Point,
    facts: Facts,
    request: Request,
    now: datetime,
    *,
    party: Callable[[Case], tuple[Companion, ...]],
) -> Case:
    """Work out what several rules need; `party` says who would pass along."""
    tenant = facts.badge.tenant if facts.badge is not None else None
    rights = policy.tenants.get(tenant) if tenant is not None else None
    openings: list[Opening] = []
    roles: frozenset[ProfileRef] = frozenset()
    holder = facts.holder
    if holder is not None and holder.tenant == tenant:
        roles = frozenset((holder.tenant, profile) for profile in holder.profiles)
        for role in holder.profiles:
            openings += policy.profiles.get((holder.tenant, role), {}).get(point.id, ())
    demands = policy.demands[min(facts.alert, len(policy.demands) - 1)]
    alone = Case(policy, point, facts, request, now, tenant, rights, openings, roles, demands)
    return replace(alone, party=party(alone)) if facts.past.company else alone
