"""Generated sites, for holding the decision against its reference.

A `World` is a site as written, with the agreements that count; `worlds()` draws one with a few of all the rules that a site
can have (`Rule`). What is asked of it is drawn by `rules_situations`. Instants like edges: of windows and dates, on
ordinary days, special days and the two days on which the clock moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum, auto
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from gatekeeper.model.ids import (
    AccessPointId,
    GateId,
    HolderId,
    ProfileId,
    ScheduleId,
    SiteId,
    TenantId,
    ZoneId,
)
from gatekeeper.model.people import Agreement, HolderKind, Names, Tenant, Veto
from gatekeeper.model.places import AccessPoint, Direction, Gate, Zone
from gatekeeper.model.policy import Grant, Policy, Profile, SitePolicy, compile_policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import (
    AlertDemands,
    AntiPassback,
    CallUp,
    Differ,
    Enforcement,
    Escort,
    Event,
    FirstPerson,
    GuardCheck,
    Interlock,
    Occupancy,
    Offline,
    Passback,
    ProfileRef,
    Search,
    SecondFactor,
    SiteRules,
    Travel,
    TwoPersons,
    Unseen,
    ZoneRules,
)
from gatekeeper.model.schedule import MINUTES_A_DAY, Schedule, Window

__all__ = [
    "ALERTS", "AMSTERDAM", "CERTIFICATES", "DAYS", "FAR_AHEAD", "HOLDERS", "HOURS", "LONG_AGO", "OF_THE_PAST", "PROFILES",
    "ROLES", "SITE", "SPANS", "TENANTS", "TICK", "WINDOWS", "Rule", "World", "local_instants", "one_or_two", "some", "worlds",
]  # fmt: skip

T = TypeVar("T")

AMSTERDAM = "Europe/Amsterdam"
SITE = SiteId("site")
ALERTS = ("calm", "tense", "grave")
TENANTS = ("army", "school", "club")
PROFILES = ("one", "two")
HOLDERS = tuple(HolderId(f"person-{number}") for number in range(4))
CERTIFICATES = ("arms", "fire")
ROLES: tuple[ProfileRef, ...] = tuple(
    (TenantId(tenant), ProfileId(profile)) for tenant in TENANTS for profile in PROFILES
)

DAYS = (
    date(2026, 6, 3),  # a Wednesday
    date(2026, 3, 28),
    date(2026, 3, 29),  # the clock jumps from two to three
    date(2026, 10, 25),  # and falls back from three to two
    date(2026, 10, 26),
    date(2026, 4, 27),  # a special day, a Monday
    date(2026, 12, 31),
)
SPECIAL_DAYS = (date(2026, 4, 27), date(2026, 3, 29), date(2026, 10, 25), date(2026, 12, 25))
LONG_AGO, FAR_AHEAD = datetime(2020, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
WINDOWS = (timedelta(seconds=10), timedelta(seconds=20), timedelta(minutes=5))
HOURS = (timedelta(hours=1), timedelta(hours=8))


class Rule(Enum):
    """What a site may have."""

    LEVELS = auto()
    HOURS = auto()
    NARROW_PROFILES = auto()
    AGREEMENTS = auto()
    VETOES = auto()
    PASSBACK = auto()
    LOCATION = auto()
    TRAVEL = auto()
    INTERLOCK = auto()
    OCCUPANCY = auto()
    PAIRS = auto()
    ESCORT = auto()
    DRIVER = auto()
    FIRST_PERSON = auto()
    PIN = auto()
    GUARD = auto()
    SEARCH = auto()
    CERTIFICATES = auto()
    ALERTS = auto()
    EVENTS = auto()
    CALL_UPS = auto()
    INACTIVITY = auto()
    SHADOW = auto()
    OFFLINE = auto()


OF_THE_PAST = frozenset(
    {
        Rule.LOCATION, Rule.TRAVEL, Rule.INTERLOCK, Rule.OCCUPANCY, Rule.PAIRS, Rule.ESCORT, Rule.DRIVER,
        Rule.FIRST_PERSON, Rule.PIN, Rule.GUARD, Rule.SEARCH, Rule.ALERTS, Rule.INACTIVITY,
    }
)  # fmt: skip
"""Rules that ask for more than badge, holder, place and time; without them decisions are folded."""


@dataclass(frozen=True)
class World:
    """A site as written, the agreements of its trust list, and which rules it has."""

    written: SitePolicy
    agreements: Mapping[TenantId, Agreement]
    rules: frozenset[Rule]

    @cached_property
    def policy(self) -> Policy:
        """The site, compiled."""
        return self.compiled()

    def compiled(self) -> Policy:
        """The site, compiled anew: what was folded before is not known to it."""
        return compile_policy(self.written, agreements=self.agreements, sources=[b"a site"])

    def but(self, **changes: Any) -> "World":
        """The same site with some of it written otherwise."""
        return World(replace(self.written, **changes), self.agreements, self.rules)


# -- small things -----------------------------------------------------------------------------------------------------


def _names(name: str) -> Names:
    return Names(en=name, nl=name)


def some(values: Sequence[T], *, most: int = 2) -> st.SearchStrategy[frozenset[T]]:
    """A few of some values, often none."""
    return st.lists(st.sampled_from(values), max_size=most).map(frozenset)


def one_or_two(values: Sequence[T]) -> st.SearchStrategy[frozenset[T]]:
    """At least one of some values."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=2).map(frozenset)


windows_of_company = st.sampled_from(WINDOWS)
_MINUTES = st.sampled_from([0, 60, 120, 150, 179, 180, 181, 239, 480, 1020, 1439]) | st.integers(0, 1439)


@st.composite
def local_instants(draw: st.DrawFn) -> datetime:
    """An instant of one of the days, at a minute where windows begin and end, or any other."""
    day, minute = draw(st.sampled_from(DAYS)), draw(_MINUTES)
    wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, fold=draw(st.integers(0, 1)))  # noqa: DTZ001 - the zone follows
    return wall.replace(tzinfo=ZoneInfo(AMSTERDAM)).astimezone(UTC)


# -- the rules --------------------------------------------------------------------------------------------------------

_EDGES = st.sampled_from([0, 60, 120, 150, 180, 480, 720, 1020, 1439, MINUTES_A_DAY])
_WINDOW = st.lists(_EDGES, min_size=2, max_size=2, unique=True).map(lambda ends: Window(min(ends), max(ends)))
_WINDOW_LISTS = st.lists(_WINDOW, max_size=2).map(lambda found: tuple(sorted(found)))
ALWAYS = Schedule(
    id=ScheduleId("always"),
    names=_names("always"),
    week=((Window(0, MINUTES_A_DAY),),) * 7,
    special_days=frozenset(),
    special=(),
)


@st.composite
def schedules(draw: st.DrawFn, name: str) -> Schedule:
    """A schedule that may keep Sundays and special days apart."""
    return Schedule(
        id=ScheduleId(name),
        names=_names(name),
        week=(draw(_WINDOW_LISTS),) * 6 + (draw(_WINDOW_LISTS),),
        special_days=frozenset(draw(st.sampled_from([(), SPECIAL_DAYS]))),
        special=draw(_WINDOW_LISTS),
    )


@st.composite
def occupancies(draw: st.DrawFn) -> Occupancy:
    most, least = draw(st.sampled_from([(None, 2), (1, None), (2, None), (2, 2), (3, 2)]))
    return Occupancy(
        most=most,
        least=least,
        within=draw(windows_of_company),
        enforcement=draw(st.sampled_from(Enforcement)),
        exempt=draw(some(ROLES, most=1)),
    )


escorts = st.builds(
    Escort,
    kinds=one_or_two([HolderKind.VISITOR, HolderKind.CONTRACTOR]),
    profiles=some(ROLES),
    within=windows_of_company,
    most=st.integers(1, 2),
)
pair_rules = st.builds(
    TwoPersons,
    within=windows_of_company,
    differ=st.sampled_from(Differ),
    profiles=st.just(frozenset()) | some(ROLES, most=3),
    leaving=st.booleans(),
)
_SHADOWED = tuple(sorted(reason.code for reason in Reason if reason.may_be_shadowed))
shadows = one_or_two(_SHADOWED)


@st.composite
def passbacks(draw: st.DrawFn) -> Passback:
    mode = draw(st.sampled_from(AntiPassback))
    return Passback(
        mode=mode,
        within=draw(st.sampled_from(HOURS)) if mode is AntiPassback.TIMED else None,
        forgotten=draw(st.none() | st.just(timedelta(hours=12))),
    )


def _zone_fields(names: Sequence[ScheduleId]) -> dict[Rule, tuple[str, st.SearchStrategy[Any]]]:
    """How a rule is written in a zone."""
    return {
        Rule.PASSBACK: ("passback", passbacks()),
        Rule.LOCATION: ("unexpected_location", st.sampled_from(Enforcement)),
        Rule.OCCUPANCY: ("occupancy", occupancies()),
        Rule.PAIRS: ("two_persons", pair_rules),
        Rule.ESCORT: ("escort", escorts),
        Rule.FIRST_PERSON: (
            "first_person",
            st.builds(FirstPerson, profiles=one_or_two(ROLES), lasting=st.sampled_from(HOURS)),
        ),
        Rule.PIN: ("second_factor", st.builds(SecondFactor, schedule=st.none() | st.sampled_from(names))),
        Rule.GUARD: ("guard_check", st.builds(GuardCheck, limit=windows_of_company)),
        Rule.CERTIFICATES: ("certificates", one_or_two(CERTIFICATES)),
        Rule.SEARCH: ("search", st.builds(Search, one_in=st.integers(1, 3))),
        Rule.DRIVER: ("driver", windows_of_company),
        Rule.SHADOW: ("shadow", shadows),
        Rule.OFFLINE: (
            "offline",
            st.builds(Offline, longest=st.sampled_from(HOURS), unseen=st.sampled_from(Unseen)),
        ),
    }


@st.composite
def zone_rules(draw: st.DrawFn, has: frozenset[Rule], names: Sequence[ScheduleId]) -> ZoneRules:
    """Most of the rules that the site has, in one zone."""
    fields = {}
    for rule, (field, strategy) in _zone_fields(names).items():
        if rule in has and draw(st.sampled_from([True, True, False])):
            fields[field] = draw(strategy)
    return ZoneRules(**fields)


# -- the ground -------------------------------------------------------------------------------------------------------


@st.composite
def grounds(draw: st.DrawFn, has: frozenset[Rule], names: Sequence[ScheduleId]) -> tuple[Zone, ...]:
    """The world outside, and a ground with zones in one another."""
    zones: list[Zone] = []
    for number in range(draw(st.integers(2, 4))):
        levels = number > 0 and Rule.LEVELS in has
        zones.append(
            Zone(
                id=ZoneId("outside" if number == 0 else f"zone-{number}"),
                names=_names("zone"),
                parent=draw(st.sampled_from([zone.id for zone in zones[1:]])) if number > 1 else None,
                owner=TenantId(TENANTS[0]),
                level=draw(st.sampled_from([0, 1, 2, 4])) if levels else 0,
                assurance=draw(st.sampled_from([0, 1, 2, 3])) if levels else 0,
                rules=draw(zone_rules(has, names)) if number else ZoneRules(),
            )
        )
    return tuple(zones)


@st.composite
def doors(draw: st.DrawFn, zones: Sequence[Zone]) -> tuple[AccessPoint, ...]:
    """A way in and out for every zone, and one between any two."""
    ways = [(zone.parent or zones[0].id, zone.id, Direction.IN) for zone in zones[1:]]
    ways += [(target, source, Direction.OUT) for source, target, _ in ways]
    ways.append((*draw(st.permutations([zone.id for zone in zones]))[:2], draw(st.sampled_from(Direction))))
    return tuple(
        AccessPoint(
            id=AccessPointId(f"door-{number}"),
            names=_names("door"),
            gate=GateId(f"gate-{number % 2}"),
            source=source,
            target=target,
            direction=direction,
            unlock=timedelta(seconds=4),
        )
        for number, (source, target, direction) in enumerate(ways)
    )


@st.composite
def profiles(
    draw: st.DrawFn,
    has: frozenset[Rule],
    zones: Sequence[Zone],
    points: Sequence[AccessPoint],
    names: Sequence[ScheduleId],
) -> tuple[Profile, ...]:
    """Two profiles for each tenant: they lead everywhere, or where they lead is drawn."""
    everywhere = Grant(zone=zones[1].id, access_point=None, schedule=ALWAYS.id, highest_alert=len(ALERTS) - 1)
    outside = replace(everywhere, zone=zones[0].id)
    grants = st.builds(
        Grant,
        zone=st.sampled_from([zone.id for zone in zones]),
        access_point=st.none(),
        schedule=st.sampled_from(names),
        highest_alert=st.integers(0, len(ALERTS) - 1),
    )
    at_doors = st.sampled_from([point.id for point in points])
    by_door = st.builds(lambda grant, door: replace(grant, zone=None, access_point=door), grants, at_doors)
    drawn = bool({Rule.NARROW_PROFILES, Rule.HOURS} & has)
    return tuple(
        Profile(
            id=profile,
            tenant=tenant,
            names=_names(profile),
            grants=tuple(draw(st.lists(grants | by_door, max_size=2))) if drawn else (everywhere, outside),
        )
        for tenant, profile in ROLES
    )


SPANS = st.lists(local_instants(), min_size=2, max_size=2, unique=True).map(sorted)


@st.composite
def site_rules(
    draw: st.DrawFn, has: frozenset[Rule], zones: Sequence[Zone], points: Sequence[AccessPoint]
) -> SiteRules:
    """What holds everywhere."""
    point_ids = [point.id for point in points]
    fields: dict[str, Any] = {}
    if Rule.ALERTS in has:
        demands = st.builds(
            AlertDemands,
            assurance=st.sampled_from([0, 2, 3]),
            second_factor=st.booleans(),
            escort=st.booleans(),
            excluded=some([TenantId(tenant) for tenant in TENANTS[1:]], most=1),
        )
        fields["alerts"] = {state: draw(demands) for state in draw(some(ALERTS))}
        fields["escort"] = draw(escorts)
    if Rule.INTERLOCK in has:
        group = draw(st.lists(st.sampled_from(point_ids), min_size=2, max_size=3, unique=True))
        fields["interlocks"] = (Interlock(id="lock", access_points=frozenset(group)),)
    if Rule.TRAVEL in has:
        between = frozenset(draw(st.permutations(point_ids))[:2])
        fields["travels"] = (Travel(between=between, least=draw(windows_of_company)),)
    if Rule.EVENTS in has:
        since, until = draw(SPANS)
        event = Event(
            id="event",
            names=_names("event"),
            zones=draw(one_or_two([zone.id for zone in zones])),
            since=since,
            until=until,
            guests=draw(one_or_two(HOLDERS)),
            highest_alert=draw(st.integers(0, len(ALERTS) - 1)),
        )
        fields["events"] = (event,)
    if Rule.CALL_UPS in has:
        since, until = draw(SPANS)
        fields["call_ups"] = (CallUp(id="call", profiles=draw(one_or_two(ROLES)), since=since, until=until),)
    if Rule.INACTIVITY in has:
        fields["inactivity"] = timedelta(days=30)
    if Rule.SHADOW in has:
        fields["shadow"] = draw(shadows)
    return SiteRules(**fields)


@st.composite
def worlds(draw: st.DrawFn, *, among: Sequence[Rule] = tuple(Rule), least: int = 0, most: int = 6) -> World:
    """Any site with a few of these rules."""
    chosen = st.lists(st.sampled_from(list(among)), min_size=least, max_size=most, unique=True)
    has = frozenset(draw(chosen))
    plans = (ALWAYS, *(draw(schedules(name)) for name in ("hours", "shifts") if Rule.HOURS in has))
    names = [plan.id for plan in plans]
    zones = draw(grounds(has, names))
    points = draw(doors(zones))
    zone_ids = [zone.id for zone in zones]
    vetoes = [(tenant, draw(st.sampled_from(zone_ids))) for tenant in TENANTS[1:] if Rule.VETOES in has]
    written = SitePolicy(
        site=SITE,
        names=_names("site"),
        time_zone=AMSTERDAM,
        host=TenantId(TENANTS[0]),
        outside=zones[0].id,
        alert_states=ALERTS,
        tenants=tuple(
            Tenant(id=TenantId(tenant), names=_names(tenant), is_host=tenant == TENANTS[0], agreement=None)
            for tenant in TENANTS
        ),
        zones=zones,
        gates=(Gate(id=GateId("gate-0"), names=_names("0")), Gate(id=GateId("gate-1"), names=_names("1"))),
        access_points=points,
        calendars=(),
        schedules=plans,
        profiles=draw(profiles(has, zones, points, names)),
        vetoes=tuple(Veto(tenant=TenantId(tenant), zone=zone, why=_names("no")) for tenant, zone in vetoes),
        rules=draw(site_rules(has, zones, points)),
    )
    return World(written, draw(agreements(has, zone_ids)), has)


@st.composite
def agreements(
    draw: st.DrawFn, has: frozenset[Rule], zones: Sequence[ZoneId]
) -> Mapping[TenantId, Agreement]:
    """What host and tenants signed; the strictest are drawn, the others hold everywhere for ever."""
    found = {}
    for tenant in map(TenantId, TENANTS[1:]):
        strict = Rule.AGREEMENTS in has
        if strict and draw(st.sampled_from([False, False, False, True])):
            continue
        since, until = draw(SPANS) if strict and draw(st.booleans()) else (LONG_AGO, FAR_AHEAD)
        found[tenant] = Agreement(
            tenant=tenant,
            ceiling=draw(st.sampled_from([5, 1])) if strict else 5,
            zones=draw(one_or_two(zones)) if strict else frozenset(zones),
            since=since,
            until=until,
            badge_life=timedelta(days=draw(st.sampled_from([10_000, 30])) if strict else 10_000),
        )
    return found
