"""The badge: known, in force, not withdrawn, not used up."""

from gatekeeper.core.rules.case import Case
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.reasons import Reason

__all__ = ["begun", "epoch", "expired", "inactivity", "known", "locked_out", "state", "trusted_time", "uses"]

_STATES = {
    BadgeState.SUSPENDED: Reason.BADGE_SUSPENDED,
    BadgeState.LOST: Reason.BADGE_LOST,
    BadgeState.STOLEN: Reason.BADGE_STOLEN,
    BadgeState.REVOKED: Reason.REVOKED,
}


def known(case: Case) -> Reason | None:
    """The site knows the badge."""
    if case.facts.badge is None:
        # Verification has said why; without its word, silence denies.
        said = any(finding.denies for finding in case.facts.findings)
        return None if said else Reason.UNKNOWN_CREDENTIAL
    return Reason.UNKNOWN_CREDENTIAL if case.facts.badge_state is None else None


def state(case: Case) -> Reason | None:
    """Nobody has suspended, lost, stolen or revoked it."""
    said = case.facts.badge_state
    return _STATES.get(said) if said is not None else None


def begun(case: Case) -> Reason | None:
    """Its time has begun."""
    badge = case.facts.badge
    return Reason.NOT_YET_ACTIVE if badge is not None and case.now < badge.not_before else None


def expired(case: Case) -> Reason | None:
    """Its time has not ended; half-open."""
    badge = case.facts.badge
    return Reason.EXPIRED if badge is not None and case.now >= badge.expires else None


def epoch(case: Case) -> Reason | None:
    """Its tenant has not withdrawn all badges of its age."""
    badge = case.facts.badge
    return Reason.SUPERSEDED if badge is not None and badge.epoch < case.facts.epoch else None


def trusted_time(case: Case) -> Reason | None:
    """Where it demands so, the gate knows the time."""
    badge = case.facts.badge
    if badge is None or not badge.requires_trusted_time:
        return None
    return None if case.request.clock is ClockQuality.SYNCHRONISED else Reason.TRUSTED_TIME


def locked_out(case: Case) -> Reason | None:
    """It was not refused too often just now."""
    until = case.facts.past.locked_until
    return Reason.LOCKOUT if until is not None and case.now < until else None


def uses(case: Case) -> Reason | None:
    """It was not used as often as it may be."""
    badge = case.facts.badge
    if badge is None or badge.max_uses is None:
        return None
    return Reason.MAX_USES if case.facts.past.uses >= badge.max_uses else None


def inactivity(case: Case) -> Reason | None:
    """It did not lie in a drawer for too long; a new badge counts from its first day."""
    badge, longest = case.facts.badge, case.policy.rules.inactivity
    if badge is None or longest is None:
        return None
    last = case.facts.past.last_used or badge.not_before
    return Reason.INACTIVITY if case.now - last >= longest else None
