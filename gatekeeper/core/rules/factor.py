"""What a person adds to a badge: a PIN, a cry for help, a guard's eyes, a draw."""

from gatekeeper.core.facts import Factor, GuardsWord
from gatekeeper.core.rules.case import Case
from gatekeeper.model.reasons import Reason

__all__ = ["duress", "guard", "pin", "search"]

_FAILED = {Factor.WRONG: Reason.PIN_WRONG, Factor.BLOCKED: Reason.MAX_ATTEMPTS}


def pin(case: Case) -> Reason | None:
    """A PIN was typed where one is asked, and it is right; one that is wrong denies also where none is asked."""
    if case.facts.badge is None:
        return None
    factor = case.facts.past.factor
    if factor in _FAILED:
        return _FAILED[factor]
    return Reason.PIN_MISSING if factor is Factor.NONE and _asked(case) else None


def duress(case: Case) -> Reason | None:
    """Say, where nobody at the door can see it, that the holder is forced."""
    badge = case.facts.badge
    forced = case.facts.past.factor is Factor.DURESS or (badge is not None and badge.duress)
    return Reason.DURESS if forced else None


def search(case: Case) -> Reason | None:
    """Say that the holder is drawn for a search."""
    drawn = case.facts.past.draw
    rates = [rules.search.one_in for _, rules in case.point.entered if rules.search is not None]
    return Reason.SEARCH_SELECTED if drawn is not None and any(drawn % rate == 0 for rate in rates) else None


def guard(case: Case) -> Reason | None:
    """A guard was asked and said yes; while nobody was asked yet, the decision waits (see `decide`)."""
    match case.facts.past.guard:
        case GuardsWord.NO:
            return Reason.VERIFICATION_FAILED
        case GuardsWord.SILENCE:
            return Reason.VERIFICATION_TIMEOUT
        case GuardsWord.YES | GuardsWord.NOT_ASKED:
            return None


def _asked(case: Case) -> bool:
    point = case.point
    if point.leaving:
        return False
    if point.pin_always or case.demands.second_factor:
        return True
    return bool(
        point.pin_schedules and point.pin_schedules & case.policy.timetable.open_at(case.now.timestamp())
    )
