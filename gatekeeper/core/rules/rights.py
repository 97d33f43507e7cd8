"""The right to be here: lockdown, level, assurance, and a profile that leads here now."""

from gatekeeper.core.rules.case import Case
from gatekeeper.model.reasons import Reason

__all__ = ["access", "alert_state", "assurance", "badge_ceiling", "clearance", "hours", "lockdown"]


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
    """A profile or a guest list leads here."""
    return Reason.NO_ACCESS_RIGHTS if case.facts.badge is not None and not _ways(case) else None


def hours(case: Case) -> Reason | None:
    """One that leads here does so now; one who leaves is not held in."""
    ways = _ways(case)
    if not ways or case.point.leaving or any(now for now, _ in ways):
        return None
    return Reason.OUT_OF_TIME_RANGE


def alert_state(case: Case) -> Reason | None:
    """One that leads here now does so in this alert state; when none does now, one that does at another time."""
    ways = _ways(case)
    if not ways or case.point.leaving:
        return None
    highest = [alert for now, alert in ways if now] or [alert for _, alert in ways]
    return Reason.THREAT_LEVEL if case.facts.alert > max(highest) else None


def _ways(case: Case) -> list[tuple[bool, int]]:
    """What leads here: whether it does now, and up to which alert state."""
    if case.facts.badge is None or not (case.openings or case.point.events):
        return []
    open_now = case.policy.timetable.open_at(case.now.timestamp())
    found = [(bool(opening.schedule & open_now), opening.highest_alert) for opening in case.openings]
    holder = case.facts.holder
    if holder is None:
        return found
    invited = [event for event in case.point.events if holder.id in event.guests]
    return found + [(event.since <= case.now < event.until, event.highest_alert) for event in invited]
