"""In company: two persons, visitors with their host, a vehicle with its driver, and nobody before the first person.

Who asks without the company that a zone demands, and lacks nothing else, waits: the next who badges at the same access
point within the window, and whose company counts, opens for both. `party_of` says who would pass along.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from gatekeeper.core.facts import Companion
from gatekeeper.core.rules.case import Case, counts
from gatekeeper.model.ids import HolderId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.policy import Point
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import Differ, Enforcement, Escort, ProfileRef, TwoPersons

__all__ = [
    "WAITS_FOR_COMPANY",
    "driver",
    "escort",
    "first_person",
    "guests_of",
    "host_of",
    "party_of",
    "right_persons",
    "two_persons",
    "visitors_inside",
]

WAITS_FOR_COMPANY = frozenset(
    {Reason.NO_ACCOMPANIMENT, Reason.NO_ESCORT, Reason.NO_DRIVER, Reason.LOWER_OCCUPANCY}
)
"""Who is denied for nothing but these waits for company; any other reason is one's own."""


def first_person(case: Case) -> Reason | None:
    """Somebody who may open the zone has come in, or is just coming; a visitor opens for nobody else."""
    for zone, rules in case.point.entered:
        rule = rules.first_person
        if rule is None or not rule.profiles.isdisjoint(_coming(case)):
            continue
        opened = case.facts.past.opened.get(zone)
        if opened is None or case.now - opened >= rule.lasting:
            return Reason.FIRST_PERSON
    return None


def _coming(case: Case) -> frozenset[ProfileRef]:
    guests = guests_of(case)
    return case.roles.union(*(one.roles for one in case.party if one.holder not in guests))


def two_persons(case: Case) -> Reason | None:
    """A second person is there too."""
    me = case.asking
    if me is None:
        return None
    alone = any(not lately for rule, lately in _pairs(case, me) if _counts(me, rule))
    return Reason.NO_ACCOMPANIMENT if alone else None


def right_persons(case: Case) -> Reason | None:
    """Whoever asks counts here, and so does one of those who are there too."""
    me = case.asking
    if me is None:
        return None
    for rule, lately in _pairs(case, me):
        right = not lately or any(_are_two(rule, me, one) for one in lately)
        if not right or not _counts(me, rule):
            return Reason.INCORRECT_ACCOMPANIMENT
    return None


def escort(case: Case) -> Reason | None:
    """Whoever needs a host has one, who badged here within the window and has not brought too many.

    INVARIANT: no rule about an escort makes another say less: each that holds here is asked.
    INVARIANT: no other rule brings a visitor in: who needs a host passes with theirs only (`_with`).
    """
    me = case.asking
    if me is None:
        return None
    for rule in _escort_rules(case):
        if _needs_host(me, rule) and host_of(case) is None:
            return Reason.NO_ESCORT
        guests = [one for one in case.party if _needs_host(one, rule)]
        if guests and len(guests) + case.facts.past.brought > rule.most:
            return Reason.NO_ESCORT
    return None


def host_of(case: Case) -> HolderId | None:
    """The host with whom whoever asks now comes in, when one is needed: the last who badged here and has room."""
    me = case.asking
    rules = [rule for rule in _escort_rules(case) if me is not None and _needs_host(me, rule)]
    if me is None or not rules:
        return None
    for one in reversed(case.facts.past.company):
        if not one.waiting and all(_receives(one, rule, me, case.asked) for rule in rules):
            return one.holder
    return None


def guests_of(case: Case) -> frozenset[HolderId]:
    """Those of the party who need a host: whoever asks now is theirs."""
    rules = _escort_rules(case)
    return frozenset(one.holder for one in case.party if _is_led(one, rules))


def visitors_inside(case: Case) -> Reason | None:
    """A host goes out, or further in, with or after those he brought here."""
    if not (case.demands.escort or any(rules.escort is not None for _, rules in case.point.left)):
        return None
    staying = case.facts.past.visitors.difference(one.holder for one in case.party)
    return Reason.VISITORS_INSIDE if staying else None


def driver(case: Case) -> Reason | None:
    """A vehicle has its driver, and a driver a vehicle."""
    within, me = _driver_window(case.point), case.asking
    if within is None or me is None:
        return None
    there = _with(case, me, within)
    return None if any(_drive_together(me.kind, one.kind) for one in there) else Reason.NO_DRIVER


def party_of(case: Case) -> tuple[Companion, ...]:
    """Those who wait here and would pass with whoever asks now; each of them once."""
    me, point = case.asking, case.point
    if me is None:
        return ()
    joining: dict[HolderId, Companion] = {}

    def join(within: timedelta, most: int, fits: Callable[[Companion], bool]) -> None:
        found = [one for one in reversed(_with(case, me, within)) if fits(one)]
        joining.update({one.holder: one for one in found[: max(most, 0)]})

    for pair in _pair_rules(point):
        if _counts(me, pair):
            join(pair.within, 1, lambda one, pair=pair: _are_two(pair, me, one))  # type: ignore[misc]
    for rules in (*point.entered, *point.left):
        limit = rules[1].occupancy
        if limit is not None and limit.least is not None and counts(me, limit):
            join(limit.within, limit.least - 1, lambda one, limit=limit: counts(one, limit))  # type: ignore[misc]
    within = _driver_window(point)
    if within is not None:
        join(within, 1, lambda one: _drive_together(me.kind, one.kind))
    escorts = _escort_rules(case)
    if escorts:
        guests = sum(_is_led(one, escorts) for one in joining.values())
        room = min(rule.most for rule in escorts) - case.facts.past.brought - guests
        room = min(room, _room(case, [me, *joining.values()]))
        new = [
            one for one in _with(case, me, min(rule.within for rule in escorts)) if one.holder not in joining
        ]
        found = [one for one in reversed(new) if _is_led(one, escorts)]
        joining.update({one.holder: one for one in found[: max(room, 0)]})
    return tuple(joining.values())


def _room(case: Case, coming: list[Companion]) -> int:
    """For how many more there is room in every zone with a limit, beside those who come in."""
    limits = [
        (case.facts.past.crowds.get(zone, 0), rules.occupancy)
        for zone, rules in case.point.entered
        if rules.occupancy is not None and rules.occupancy.enforcement is Enforcement.DENIED
    ]
    free = [
        limit.most - inside - sum(counts(one, limit) for one in coming)
        for inside, limit in limits
        if limit.most is not None
    ]
    return min(free, default=len(case.facts.past.company))


def _pairs(case: Case, me: Companion) -> Iterator[tuple[TwoPersons, list[Companion]]]:
    """Each rule for two persons here, with those who badged within its window."""
    for rule in _pair_rules(case.point):
        yield rule, [one for one in _with(case, me, rule.within) if one.kind is not HolderKind.VEHICLE]


def _pair_rules(point: Point) -> list[TwoPersons]:
    entering = [rules.two_persons for _, rules in point.entered if rules.two_persons is not None]
    leaving = [
        rules.two_persons
        for _, rules in point.left
        if rules.two_persons is not None and rules.two_persons.leaving
    ]
    return entering + leaving


def _with(case: Case, me: Companion, within: timedelta) -> list[Companion]:
    """Those who wait here and may pass with whoever asks now: who needs a host, with theirs only."""
    company, escorts = case.facts.past.company, _escort_rules(case)
    return [
        one
        for one in company
        if one.waiting
        and one.holder != me.holder
        and _is_in_time(one, within, case.asked)
        and all(_may_host(me, rule, one) for rule in escorts if _needs_host(one, rule))
    ]


def _is_in_time(one: Companion, within: timedelta, asked: datetime) -> bool:
    return timedelta() <= asked - one.at <= within


def _counts(one: Companion, rule: TwoPersons) -> bool:
    person = one.kind is not HolderKind.VEHICLE
    return person and (not rule.profiles or not rule.profiles.isdisjoint(one.roles))


def _are_two(rule: TwoPersons, me: Companion, other: Companion) -> bool:
    if not _counts(other, rule):
        return False
    match rule.differ:
        case Differ.HOLDER:
            return True
        case Differ.TENANT:
            return me.tenant != other.tenant
        case Differ.ROLE:
            return not (me.roles & other.roles & rule.profiles)


def _escort_rules(case: Case) -> list[Escort]:
    """Those of the zones that are entered, and the site's own while the alert state demands it."""
    if case.point.leaving:
        return []
    found = [rules.escort for _, rules in case.point.entered if rules.escort is not None]
    everywhere = case.policy.rules.escort
    return [*found, everywhere] if case.demands.escort and everywhere is not None else found


def _needs_host(one: Companion, rule: Escort) -> bool:
    return one.kind in rule.kinds and rule.profiles.isdisjoint(one.roles)


def _may_host(host: Companion, rule: Escort, guest: Companion) -> bool:
    """Whether somebody may be the host of another: by profile, or because a registration of their own tenant names them."""
    named = host.holder == guest.host and host.tenant == guest.tenant
    return not _needs_host(host, rule) and (named or not rule.profiles.isdisjoint(host.roles))


def _is_led(one: Companion, rules: list[Escort]) -> bool:
    return any(_needs_host(one, rule) for rule in rules)


def _receives(host: Companion, rule: Escort, guest: Companion, asked: datetime) -> bool:
    """Whether somebody who came in here still brings this guest in."""
    in_time = _is_in_time(host, rule.within, asked)
    return in_time and host.brought < rule.most and _may_host(host, rule, guest)


def _driver_window(point: Point) -> timedelta | None:
    windows = [rules.driver for _, rules in (*point.entered, *point.left) if rules.driver is not None]
    return min(windows) if windows else None


def _drive_together(one: HolderKind, other: HolderKind) -> bool:
    return (one is HolderKind.VEHICLE) != (other is HolderKind.VEHICLE)
