"""Where people are: nobody twice, nobody from nowhere, nobody too soon; no zone too full, nobody alone."""

from collections.abc import Iterable, Iterator

from gatekeeper.core.rules.case import Case, Reported, counts
from gatekeeper.model.ids import ZoneId
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AntiPassback, Enforcement, Occupancy, ZoneRules

__all__ = [
    "impossible_travel",
    "interlock",
    "lower_occupancy",
    "passback",
    "unexpected_location",
    "upper_occupancy",
]


def passback(case: Case) -> Reason | None:
    """Whoever asks to enter is not inside already, as far as the site still believes it."""
    rule, point, past = case.point.passback, case.point, case.facts.past
    if rule.mode is AntiPassback.NONE or case.facts.whereabouts not in point.passback_zones:
        return None
    since = past.since
    if since is not None and rule.forgotten is not None and case.now - since >= rule.forgotten:
        return None
    if rule.mode is AntiPassback.TIMED and rule.within is not None:
        recently = since is None or case.now - since < rule.within
        return Reason.PASSBACK if recently else None
    return Reason.PASSBACK if rule.mode is AntiPassback.HARD else Reason.PASSBACK_DETECTED


def unexpected_location(case: Case) -> Reason | Reported | None:
    """Whoever asks is in the zone that this access point leads out of; one whose place is unknown may be there."""
    here = case.facts.whereabouts
    if here is None or here == case.point.source or here in case.point.passback_zones:
        return None  # inside already: that is for anti-passback to say
    zones = [rules.unexpected_location for _, rules in case.point.entered]
    return _worst((asked, Reason.UNEXPECTED_LOCATION) for asked in zones if asked is not None)


def impossible_travel(case: Case) -> Reason | None:
    """Whoever asks can have come here since the badge was used last."""
    past = case.facts.past
    if past.last_point is None or past.last_at is None:
        return None
    least = case.point.travels.get(past.last_point)
    return Reason.IMPOSSIBLE_TRAVEL if least is not None and case.now - past.last_at < least else None


def interlock(case: Case) -> Reason | None:
    """No other door of the lock is open."""
    return None if case.facts.past.open_doors.isdisjoint(case.point.interlocked) else Reason.INTERLOCK


def upper_occupancy(case: Case) -> Reason | Reported | None:
    """There is room in every zone that is entered."""
    return _worst(
        (limit.enforcement, Reason.UPPER_OCCUPANCY)
        for zone, limit in _limits(case, case.point.entered)
        if limit.most is not None and _inside(case, zone) + _moving(case, limit) > limit.most
    )


def lower_occupancy(case: Case) -> Reason | Reported | None:
    """Nobody would be alone in a zone that is entered, or one that is left."""
    alone = [
        (limit.enforcement, Reason.LOWER_OCCUPANCY)
        for zone, limit in _limits(case, case.point.entered)
        if limit.least is not None and _inside(case, zone) + _together(case, limit) < limit.least
    ]
    alone += [
        (limit.enforcement, Reason.LOWER_OCCUPANCY)
        for zone, limit in _limits(case, case.point.left)
        if limit.least is not None and 0 < _inside(case, zone) - _joining(case, limit) < limit.least
    ]
    return _worst(alone)


def _limits(case: Case, zones: Iterable[tuple[ZoneId, ZoneRules]]) -> Iterator[tuple[ZoneId, Occupancy]]:
    """The limits that somebody counts for who would pass now: whoever asks, or one of the party."""
    for zone, rules in zones:
        if rules.occupancy is not None and _moving(case, rules.occupancy):
            yield zone, rules.occupancy


def _inside(case: Case, zone: ZoneId) -> int:
    return case.facts.past.crowds.get(zone, 0)


def _counts(case: Case, limit: Occupancy) -> bool:
    me = case.asking
    return me is None or counts(me, limit)


def _joining(case: Case, limit: Occupancy) -> int:
    return sum(counts(companion, limit) for companion in case.party)


def _moving(case: Case, limit: Occupancy) -> int:
    """Those who count of all who would pass now."""
    return _counts(case, limit) + _joining(case, limit)


def _together(case: Case, limit: Occupancy) -> int:
    """Those who count and badged within the limit's own window, whoever asks among them.

    INVARIANT: a host who brings visitors in because the alert state is higher is no less alone for it (promise 8).
    """
    return _counts(case, limit) + sum(
        counts(companion, limit) and case.asked - companion.at <= limit.within for companion in case.party
    )


def _worst(failed: Iterable[tuple[Enforcement, Reason]]) -> Reason | Reported | None:
    """A reason that denies before one that is only reported."""
    found = sorted(failed, key=lambda one: one[0] is Enforcement.REPORTED)
    if not found:
        return None
    enforcement, reason = found[0]
    return reason if enforcement is Enforcement.DENIED else Reported(reason)
