"""In company: two persons, visitors with their host, a vehicle with its driver, and nobody before the first person.

Who asks without the company that a zone demands, and lacks nothing else, waits: the next who badges at the same access
point within the window, and whose company counts, opens for both. `party_of` says who would pass along.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from gatekeeper.core.facts import Companion, Facts
from gatekeeper.core.rules.case import Case
from gatekeeper.model.ids import HolderId
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AlertDemands, Differ, Escort, ProfileRef, TwoPersons

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
    holder = case.facts.holder
    if holder is None:
        return None
    alone = any(_counts(case.roles, rule) and not lately for rule, lately in _pairs(case, holder))
    return Reason.NO_ACCOMPANIMENT if alone else None


def right_persons(case: Case) -> Reason | None:
    """Whoever asks counts here, and so does one of those who are there too."""
    holder = case.facts.holder
    if holder is None:
        return None
    for rule, lately in _pairs(case, holder):
        right = not lately or any(_are_two(rule, holder, case.roles, one) for one in lately)
        if not right or not _counts(case.roles, rule):
            return Reason.INCORRECT_ACCOMPANIMENT
    return None


def escort(case: Case) -> Reason | None:
    """Whoever needs a host has one, who badged here within the window and has not brought too many.

    INVARIANT: no other rule brings a visitor in: whoever would take one along may be the host of every one of them.
    """
    holder, rule = case.facts.holder, _escort_rule(case.point, case.demands, case.policy)
    if rule is None or holder is None or case.point.leaving:
        return None
    if _needs_host(holder.kind, case.roles, rule) and host_of(case) is None:
        return Reason.NO_ESCORT
    guests = [one for one in case.party if _needs_host(one.kind, one.roles, rule)]
    led = all(_leads(holder, case.roles, rule, guest) for guest in guests)
    return None if led and len(guests) <= rule.most else Reason.NO_ESCORT


def host_of(case: Case) -> HolderId | None:
    """The host with whom whoever asks now comes in, when one is needed: the last who badged here and has room."""
    holder, rule = case.facts.holder, _escort_rule(case.point, case.demands, case.policy)
    if rule is None or holder is None or case.point.leaving or not _needs_host(holder.kind, case.roles, rule):
        return None
    for companion in reversed(case.facts.past.company):
        in_time = timedelta() <= case.asked - companion.at <= rule.within
        hosts = _may_host(companion.holder, companion.roles, rule, guest_of=holder.host)
        if in_time and hosts and not companion.waiting and companion.brought < rule.most:
            return companion.holder
    return None


def guests_of(case: Case) -> frozenset[HolderId]:
    """Those of the party who need a host: whoever asks now is theirs."""
    rule = _escort_rule(case.point, case.demands, case.policy)
    if rule is None or case.point.leaving:
        return frozenset()
    return frozenset(one.holder for one in case.party if _needs_host(one.kind, one.roles, rule))


def visitors_inside(case: Case) -> Reason | None:
    """A host goes out after those he brought in."""
    return Reason.VISITORS_INSIDE if case.point.leaving and case.facts.past.visitors > 0 else None


def driver(case: Case) -> Reason | None:
    """A vehicle has its driver, and a driver a vehicle."""
    within, holder = _driver_window(case.point), case.facts.holder
    if within is None or holder is None:
        return None
    waiting = _waiting(case.facts.past.company, case.asked, within, but=holder.id)
    return None if any(_drive_together(holder.kind, one.kind) for one in waiting) else Reason.NO_DRIVER


def party_of(  # noqa: PLR0917 - asked once, while a case is made
    point: Point,
    facts: Facts,
    roles: frozenset[ProfileRef],
    demands: AlertDemands,
    policy: Policy,
    now: datetime,
) -> tuple[Companion, ...]:
    """Those who wait here and would pass with whoever asks now; each of them once."""
    holder = facts.holder
    if holder is None:
        return ()
    company = facts.past.company
    joining: dict[HolderId, Companion] = {}

    def join(within: timedelta, most: int, fits: Callable[[Companion], bool]) -> None:
        found = [one for one in reversed(_waiting(company, now, within, but=holder.id)) if fits(one)]
        joining.update({one.holder: one for one in found[:most]})

    for rule in _pair_rules(point):
        if _counts(roles, rule):
            join(rule.within, 1, lambda one, rule=rule: _are_two(rule, holder, roles, one))  # type: ignore[misc]
    for rules in (*point.entered, *point.left):
        limit = rules[1].occupancy
        if limit is not None and limit.least is not None and limit.exempt.isdisjoint(roles):
            join(limit.within, limit.least - 1, lambda one, limit=limit: limit.exempt.isdisjoint(one.roles))  # type: ignore[misc]
    hosting = _escort_rule(point, demands, policy)
    if hosting is not None and not point.leaving:
        join(
            hosting.within,
            hosting.most,
            lambda one: _needs_host(one.kind, one.roles, hosting) and _leads(holder, roles, hosting, one),
        )
    within = _driver_window(point)
    if within is not None:
        join(within, 1, lambda one: _drive_together(holder.kind, one.kind))
    return tuple(joining.values())


def _pairs(case: Case, holder: Holder) -> Iterator[tuple[TwoPersons, list[Companion]]]:
    """Each rule for two persons here, with those who badged within its window."""
    for rule in _pair_rules(case.point):
        yield rule, _waiting(case.facts.past.company, case.asked, rule.within, but=holder.id)


def _pair_rules(point: Point) -> list[TwoPersons]:
    entering = [rules.two_persons for _, rules in point.entered if rules.two_persons is not None]
    leaving = [
        rules.two_persons
        for _, rules in point.left
        if rules.two_persons is not None and rules.two_persons.leaving
    ]
    return entering + leaving


def _waiting(
    company: tuple[Companion, ...], now: datetime, within: timedelta, *, but: HolderId
) -> list[Companion]:
    return [
        one for one in company if one.waiting and one.holder != but and timedelta() <= now - one.at <= within
    ]


def _counts(roles: frozenset[ProfileRef], rule: TwoPersons) -> bool:
    return not rule.profiles or not rule.profiles.isdisjoint(roles)


def _are_two(rule: TwoPersons, holder: Holder, roles: frozenset[ProfileRef], other: Companion) -> bool:
    if not _counts(other.roles, rule):
        return False
    match rule.differ:
        case Differ.HOLDER:
            return True
        case Differ.TENANT:
            return holder.tenant != other.tenant
        case Differ.ROLE:
            return not (roles & other.roles & rule.profiles)


def _escort_rule(point: Point, demands: AlertDemands, policy: Policy) -> Escort | None:
    own = next((rules.escort for _, rules in point.entered if rules.escort is not None), None)
    return own if own is not None or not demands.escort else policy.rules.escort


def _needs_host(kind: HolderKind, roles: frozenset[ProfileRef], rule: Escort) -> bool:
    return kind in rule.kinds and rule.profiles.isdisjoint(roles)


def _may_host(
    host: HolderId, roles: frozenset[ProfileRef], rule: Escort, *, guest_of: HolderId | None
) -> bool:
    return host == guest_of or not rule.profiles.isdisjoint(roles)


def _leads(holder: Holder, roles: frozenset[ProfileRef], rule: Escort, guest: Companion) -> bool:
    """Whether a holder may be the host of somebody who waits."""
    leader = not _needs_host(holder.kind, roles, rule)
    return leader and _may_host(holder.id, roles, rule, guest_of=guest.host)


def _driver_window(point: Point) -> timedelta | None:
    windows = [rules.driver for _, rules in (*point.entered, *point.left) if rules.driver is not None]
    return min(windows) if windows else None


def _drive_together(one: HolderKind, other: HolderKind) -> bool:
    return (one is HolderKind.VEHICLE) != (other is HolderKind.VEHICLE)
