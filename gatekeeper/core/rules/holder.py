"""The holder: registered and proven, in service, certified, and called up where that is asked."""

from gatekeeper.core.rules.case import Case
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason

__all__ = ["active", "called_up", "certificates", "registered"]


def registered(case: Case) -> Reason | None:
    """The badge belongs to somebody whom the badge's tenant registered."""
    if case.facts.badge is None:
        return None
    if case.facts.holder_unproven:
        return Reason.HOLDER_UNPROVEN
    if case.facts.holder is None:
        return Reason.BADGE_UNASSIGNED
    return Reason.HOLDER_UNPROVEN if case.facts.holder.tenant != case.tenant else None


def active(case: Case) -> Reason | None:
    """The registration is in force; half-open."""
    holder = case.facts.holder
    if holder is None or holder.since <= case.now < holder.until:
        return None
    return Reason.HOLDER_INACTIVE


def certificates(case: Case) -> Reason | None:
    """The holder has every certificate that the zones demand, and none of them has ended."""
    if not case.point.certificates or case.facts.holder is None:
        return None
    held = {name for name, until in case.facts.holder.certificates if case.now < until}
    return None if case.point.certificates <= held else Reason.CERTIFICATE


def called_up(case: Case) -> Reason | None:
    """A reservist comes in only while called up, on a site that calls up; going home needs no call."""
    call_ups, holder = case.policy.rules.call_ups, case.facts.holder
    if not call_ups or holder is None or holder.kind is not HolderKind.RESERVIST or case.point.leaving:
        return None
    for call in call_ups:
        if call.since <= case.now < call.until and not call.profiles.isdisjoint(case.roles):
            return None
    return Reason.NOT_CALLED_UP
