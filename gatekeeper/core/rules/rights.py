"""The right to be here: lockdown, level, assurance, and a profile that leads here now."""

from gatekeeper.core.rules.case import Case
from gatekeeper.model.reasons import Reason

__all__ = ["access", "assurance", "badge_ceiling", "clearance", "lockdown"]


def lockdown(case: Case) -> Reason | None:
    """No lockdown is in force here."""
    return None if case.facts.lockdowns.isdisjoint(case.point.scopes) else Reason.DENY_ALL


def clearance(case: Case) -> Reason | None:
    """The holder is cleared for the level."""
    holder = case.facts.holder
    return Reason.CLEARANCE if holder is not None and case.point.level > holder.clearance else None


def badge_ceiling(case: Case) -> Reason | None:
    """The badge is made for the level."""
    badge = case.facts.badge
    return Reason.BADGE_CEILING if badge is not None and case.point.level > badge.ceiling else None


def assurance(case: Case) -> Reason | None:
    """The badge proved as much as zone and alert state ask; on the way out the alert state asks for nothing more."""
    if case.facts.badge is None:
        return None
    wanted = case.point.assurance if case.point.leaving else max(case.point.assurance, case.demands.assurance)
    return Reason.ASSURANCE if case.facts.assurance < wanted else None


def access(case: Case) -> Reason | None:
    """Ask the profiles and the guest lists: is there a way here at all, and if so, now, and in this alert state."""
    if case.facts.badge is None:
        return None
    invited = [event for event in case.point.events if _is_guest(case, event.guests)]
    if not case.openings and not invited:
        return Reason.NO_ACCESS_RIGHTS
    if case.point.leaving:
        return None
    open_now = case.policy.timetable.open_at(case.now.timestamp())
    open_to = [opening.highest_alert for opening in case.openings if opening.schedule & open_now]
    open_to += [event.highest_alert for event in invited if event.since <= case.now < event.until]
    if not open_to:
        return Reason.OUT_OF_TIME_RANGE
    return None if case.facts.alert <= max(open_to) else Reason.THREAT_LEVEL


def _is_guest(case: Case, guests: frozenset[object]) -> bool:
    return case.facts.holder is not None and case.facts.holder.id in guests
