"""The tenant: what the host allows it, before any right that the tenant gives its people."""

from gatekeeper.core.rules.case import Case
from gatekeeper.model.reasons import Reason

__all__ = [
    "agreement_ceiling",
    "agreement_in_force",
    "agreement_zone",
    "badge_life",
    "excluded",
    "host_veto",
    "suspended",
]


def host_veto(case: Case) -> Reason | None:
    """The host does not forbid this tenant here."""
    if case.rights is None or case.point.protected not in case.rights.vetoed:
        return None
    return Reason.HOST_VETO


def suspended(case: Case) -> Reason | None:
    """The host has not suspended the tenant; its people may go home."""
    if case.point.leaving or case.tenant not in case.facts.suspended:
        return None
    return Reason.TENANT_SUSPENDED


def agreement_in_force(case: Case) -> Reason | None:
    """The tenant has an agreement, and its time is now."""
    if case.tenant is None or (case.rights is not None and case.rights.is_host):
        return None
    agreement = case.rights.agreement if case.rights is not None else None
    if agreement is not None and agreement.in_force(case.now):
        return None
    return Reason.NO_AGREEMENT


def agreement_ceiling(case: Case) -> Reason | None:
    """The agreement reaches this level."""
    agreement = case.rights.agreement if case.rights is not None else None
    return (
        Reason.AGREEMENT_CEILING if agreement is not None and case.point.level > agreement.ceiling else None
    )


def agreement_zone(case: Case) -> Reason | None:
    """The agreement names this zone, or one around it."""
    if case.rights is None or case.point.protected in case.rights.zones:
        return None
    return Reason.AGREEMENT_ZONE


def badge_life(case: Case) -> Reason | None:
    """The badge does not live longer than the agreement lets badges live."""
    badge = case.facts.badge
    agreement = case.rights.agreement if case.rights is not None else None
    if badge is None or agreement is None or badge.expires - badge.not_before <= agreement.badge_life:
        return None
    return Reason.BADGE_LIFE


def excluded(case: Case) -> Reason | None:
    """The alert state does not keep the tenant out; its people may go home."""
    if case.point.leaving or case.tenant not in case.demands.excluded:
        return None
    return Reason.TENANT_EXCLUDED
