"""The decision: every rule is asked, every rule that fails is reported, and only their silence opens.

    decide(policy, facts, scan, now) -> Decision

Forbid wins, silence denies. A rule is a small function that gives its reason when it fails and None when it is
content; no rule knows of another. One reason goes to the reader (the first in the order of `RULES`), all go to the
log. `facts` hold all that is not policy, so a decision can be made again from what the log kept.

On the way out (`leaving`) schedules and the alert state do not hold a person in: a right that ends at closing time
does not end the right to go home. Everything else is asked as on the way in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, GateId, TenantId, ZoneId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder
from gatekeeper.model.places import AntiPassback
from gatekeeper.model.policy import Opening, Point, Policy, TenantRights
from gatekeeper.model.reasons import Reason

__all__ = ["RULES", "Decision", "Facts", "Request", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: to pass this access point, at this gate, whose clock is so good."""

    access_point: AccessPointId
    gate: GateId
    clock: ClockQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision knows besides the policy, as it was at that instant."""

    # The badge, as verified.
    badge: Badge | None
    badge_state: BadgeState | None
    assurance: Assurance
    findings: tuple[Reason, ...]

    # Its holder.
    holder: Holder | None
    holder_unproven: bool
    epoch: int
    whereabouts: ZoneId | None

    # The site.
    alert: int
    lockdowns: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Granted or denied, with every reason, and the policy that said so."""

    granted: bool
    reason: Reason
    reasons: tuple[Reason, ...]
    policy: bytes
    unlock: timedelta | None


@dataclass(frozen=True, slots=True)
class _Case:
    """One request with what the policy knows of it; what the rules look at."""

    policy: Policy
    point: Point
    facts: Facts
    request: Request
    now: datetime
    tenant: TenantId | None
    rights: TenantRights | None
    openings: Sequence[Opening]


Rule = Callable[[_Case], Reason | None]

_BADGE_STATES = {
    BadgeState.SUSPENDED: Reason.BADGE_SUSPENDED,
    BadgeState.LOST: Reason.BADGE_LOST,
    BadgeState.STOLEN: Reason.BADGE_STOLEN,
    BadgeState.REVOKED: Reason.REVOKED,
}


def decide(policy: Policy, facts: Facts, request: Request, now: datetime) -> Decision:
    """Decide one request. Total: every input has an answer, and doubt is a denial."""
    point = policy.points.get(request.access_point)
    if point is None or point.gate != request.gate:
        return _denied(policy, (*facts.findings, Reason.UNKNOWN_ACCESS_POINT))
    case = _case(policy, point, facts, request, now)
    reasons = [*facts.findings]
    reasons += [reason for rule in RULES if (reason := rule(case)) is not None]
    if any(reason.denies for reason in reasons):
        return _denied(policy, tuple(reasons))
    return Decision(
        granted=True,
        reason=Reason.GRANTED,
        reasons=tuple(reasons),
        policy=policy.version,
        unlock=point.unlock,
    )


def _denied(policy: Policy, reasons: tuple[Reason, ...]) -> Decision:
    shown = next(reason for reason in reasons if reason.denies)
    return Decision(granted=False, reason=shown, reasons=reasons, policy=policy.version, unlock=None)


def _case(policy: Policy, point: Point, facts: Facts, request: Request, now: datetime) -> _Case:
    tenant = facts.badge.tenant if facts.badge is not None else None
    rights = policy.tenants.get(tenant) if tenant is not None else None
    openings: list[Opening] = []
    if facts.holder is not None and facts.holder.tenant == tenant:
        for profile in facts.holder.profiles:
            openings += policy.profiles.get((facts.holder.tenant, profile), {}).get(point.id, ())
    return _Case(policy, point, facts, request, now, tenant, rights, openings)


def _lockdown(case: _Case) -> Reason | None:
    return None if case.facts.lockdowns.isdisjoint(case.point.scopes) else Reason.DENY_ALL


def _badge_known(case: _Case) -> Reason | None:
    if case.facts.badge is None:
        # Verification has said why; without its word, silence denies.
        said = any(finding.denies for finding in case.facts.findings)
        return None if said else Reason.UNKNOWN_CREDENTIAL
    return Reason.UNKNOWN_CREDENTIAL if case.facts.badge_state is None else None


def _badge_state(case: _Case) -> Reason | None:
    state = case.facts.badge_state
    return _BADGE_STATES.get(state) if state is not None else None


def _badge_begun(case: _Case) -> Reason | None:
    badge = case.facts.badge
    return Reason.NOT_YET_ACTIVE if badge is not None and case.now < badge.not_before else None


def _badge_expired(case: _Case) -> Reason | None:
    badge = case.facts.badge
    return Reason.EXPIRED if badge is not None and case.now >= badge.expires else None


def _badge_epoch(case: _Case) -> Reason | None:
    badge = case.facts.badge
    return Reason.SUPERSEDED if badge is not None and badge.epoch < case.facts.epoch else None


def _trusted_time(case: _Case) -> Reason | None:
    badge = case.facts.badge
    if badge is None or not badge.requires_trusted_time:
        return None
    return None if case.request.clock is ClockQuality.SYNCHRONISED else Reason.TRUSTED_TIME


def _holder(case: _Case) -> Reason | None:
    if case.facts.badge is None:
        return None
    if case.facts.holder_unproven:
        return Reason.HOLDER_UNPROVEN
    if case.facts.holder is None:
        return Reason.BADGE_UNASSIGNED
    return Reason.HOLDER_UNPROVEN if case.facts.holder.tenant != case.tenant else None


def _holder_active(case: _Case) -> Reason | None:
    holder = case.facts.holder
    if holder is None or holder.since <= case.now < holder.until:
        return None
    return Reason.HOLDER_INACTIVE


def _host_veto(case: _Case) -> Reason | None:
    if case.rights is None or case.point.protected not in case.rights.vetoed:
        return None
    return Reason.HOST_VETO


def _agreement_in_force(case: _Case) -> Reason | None:
    if case.tenant is None or (case.rights is not None and case.rights.is_host):
        return None
    agreement = case.rights.agreement if case.rights is not None else None
    if agreement is not None and agreement.in_force(case.now):
        return None
    return Reason.NO_AGREEMENT


def _agreement_ceiling(case: _Case) -> Reason | None:
    agreement = case.rights.agreement if case.rights is not None else None
    return (
        Reason.AGREEMENT_CEILING if agreement is not None and case.point.level > agreement.ceiling else None
    )


def _agreement_zone(case: _Case) -> Reason | None:
    if case.rights is None or case.point.protected in case.rights.zones:
        return None
    return Reason.AGREEMENT_ZONE


def _badge_life(case: _Case) -> Reason | None:
    badge = case.facts.badge
    agreement = case.rights.agreement if case.rights is not None else None
    if badge is None or agreement is None or badge.expires - badge.not_before <= agreement.badge_life:
        return None
    return Reason.BADGE_LIFE


def _clearance(case: _Case) -> Reason | None:
    holder = case.facts.holder
    return Reason.CLEARANCE if holder is not None and case.point.level > holder.clearance else None


def _badge_ceiling(case: _Case) -> Reason | None:
    badge = case.facts.badge
    return Reason.BADGE_CEILING if badge is not None and case.point.level > badge.ceiling else None


def _assurance(case: _Case) -> Reason | None:
    if case.facts.badge is None:
        return None
    return Reason.ASSURANCE if case.facts.assurance < case.point.assurance else None


def _access_rights(case: _Case) -> Reason | None:
    """Ask the profiles: is there a way here at all, and if so, now, and in this alert state."""
    if case.facts.badge is None:
        return None
    if not case.openings:
        return Reason.NO_ACCESS_RIGHTS
    if case.point.leaving:
        return None
    open_now = case.policy.timetable.open_at(case.now.timestamp())
    alert = case.facts.alert
    if any(opening.schedule & open_now and alert <= opening.highest_alert for opening in case.openings):
        return None
    if any(opening.schedule & open_now for opening in case.openings):
        return Reason.THREAT_LEVEL
    return Reason.OUT_OF_TIME_RANGE


def _passback(case: _Case) -> Reason | None:
    point = case.point
    if point.anti_passback is AntiPassback.NONE or case.facts.whereabouts not in point.passback_zones:
        return None
    return Reason.PASSBACK if point.anti_passback is AntiPassback.HARD else Reason.PASSBACK_DETECTED


RULES: tuple[Rule, ...] = (
    _lockdown,
    _badge_known,
    _badge_state,
    _badge_begun,
    _badge_expired,
    _badge_epoch,
    _trusted_time,
    _holder,
    _holder_active,
    _host_veto,
    _agreement_in_force,
    _agreement_ceiling,
    _agreement_zone,
    _badge_life,
    _clearance,
    _badge_ceiling,
    _assurance,
    _access_rights,
    _passback,
)
