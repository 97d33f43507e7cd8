"""The rules of a site file: what zones, alert states and the site itself demand beside the rights that profiles give.

[zone.rules]   passback_minutes, passback_forgotten_hours, unexpected_location, occupancy, two_persons, escort,
               first_person, pin, guard_check, certificates, search, driver, offline, shadow
[[alert]]      state, assurance, pin, escort, excluded
[[interlock]] [[travel]] [[event]] [[call_up]] [rules]
"""

from collections.abc import Callable
from datetime import timedelta

from gatekeeper.model.ids import AccessPointId, HolderId, ScheduleId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import (
    NO_RULES,
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
    LockOut,
    Occupancy,
    Offline,
    Passback,
    PinLimit,
    Search,
    SecondFactor,
    SiteRules,
    Travel,
    TwoPersons,
    Unseen,
    ZoneRules,
)
from gatekeeper.model.site_file.forms import (
    a_choice,
    a_duration,
    a_flag,
    a_member,
    a_name,
    a_named,
    a_number,
    a_profile,
    an_instant,
    names,
    shown,
)
from gatekeeper.model.site_file.reading import Reading, Table, only

__all__ = ["RULE_KEYS", "an_alert_state", "read_site_rules", "zone_demands"]

RULE_KEYS = ("alert", "interlock", "travel", "event", "call_up", "rules")
_MOST_PEOPLE = 100_000
_LONGEST_ALONE = 168
_ALWAYS = "always"
_TIMED = 'anti_passback = "timed" and passback_minutes go together'
_SECOND, _MINUTE, _HOUR, _DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86_400))


def an_alert_state(states: tuple[str, ...]) -> Callable[[object], int]:
    """An alert state, by its place in the list; any will do when the list itself cannot be read."""
    if not states:
        return lambda _: 0
    state = a_choice(states)
    return lambda value: states.index(state(value))


def zone_demands(zone: Table) -> ZoneRules:
    """Read what a zone demands."""
    mode = zone.read("anti_passback", a_member(AntiPassback))
    rules = zone.maybe_inner("rules", lambda table: read_zone_rules(table, mode)) or NO_RULES
    if rules is NO_RULES:
        zone.demand(lambda: mode is not AntiPassback.TIMED, _TIMED, "anti_passback", "rules")
        return ZoneRules(passback=Passback(mode=mode))
    return rules


def read_zone_rules(table: Table, mode: AntiPassback | None) -> ZoneRules:
    """Read the rules of one zone whose anti-passback is of a mode; None when the mode could not be read."""
    only(
        table, "passback_minutes", "passback_forgotten_hours", "unexpected_location", "occupancy", "two_persons",
        "escort", "first_person", "pin", "guard_check", "certificates", "search", "driver", "offline", "shadow",
    )  # fmt: skip
    return ZoneRules(
        passback=_passback(table, mode),
        unexpected_location=table.maybe("unexpected_location", a_member(Enforcement), None),
        occupancy=table.maybe_inner("occupancy", _occupancy),
        two_persons=table.maybe_inner("two_persons", _two_persons),
        escort=table.maybe_inner("escort", _escort),
        first_person=table.maybe_inner("first_person", _first_person),
        second_factor=table.maybe("pin", _second_factor, None),
        guard_check=table.maybe_inner("guard_check", _guard_check),
        certificates=frozenset(table.maybe_each("certificates", a_name)),
        search=table.maybe_inner("search", _search),
        driver=table.maybe_inner("driver", _driver),
        offline=table.maybe_inner("offline", _offline),
        shadow=frozenset(table.maybe_each("shadow", _shadow)),
    )


def _passback(table: Table, mode: AntiPassback | None) -> Passback:
    within = table.maybe("passback_minutes", a_duration(_MINUTE, most=1440), None)
    if mode is not None:
        timed = mode is AntiPassback.TIMED
        table.demand(lambda: timed == ("passback_minutes" in table), _TIMED, "passback_minutes")
    return Passback(
        mode=mode or AntiPassback.NONE,
        within=within,
        forgotten=table.maybe("passback_forgotten_hours", a_duration(_HOUR, most=720), None),
    )


def _occupancy(table: Table) -> Occupancy:
    only(table, "most", "least", "seconds", "enforcement", "exempt")
    most = table.maybe("most", a_number(_MOST_PEOPLE, least=1), None)
    least = table.maybe("least", a_number(2, least=2), None)
    table.demand(
        lambda: "most" in table or "least" in table,
        "occupancy names most, or least, or both",
        "most",
    )
    table.demand(
        lambda: most is None or least is None or least <= most,
        f"least {least} is above most {most}",
        "least",
        "most",
    )
    return Occupancy(
        most=most,
        least=least,
        within=table.maybe("seconds", a_duration(_SECOND, most=300), 20 * _SECOND),
        enforcement=table.maybe("enforcement", a_member(Enforcement), Enforcement.DENIED),
        exempt=frozenset(table.maybe_each("exempt", a_profile)),
    )


def _two_persons(table: Table) -> TwoPersons:
    only(table, "seconds", "differ", "profiles", "leaving")
    differ = table.maybe("differ", a_member(Differ), Differ.HOLDER)
    profiles = frozenset(table.maybe_each("profiles", a_profile))
    table.demand(
        lambda: differ is not Differ.ROLE or len(profiles) > 1,
        'differ = "role" needs two profiles or more to tell apart',
        "differ",
        "profiles",
    )
    return TwoPersons(
        within=table.read("seconds", a_duration(_SECOND, most=300)),
        differ=differ,
        profiles=profiles,
        leaving=table.maybe("leaving", a_flag, False),  # noqa: FBT003 - a value of the file
    )


def _escort(table: Table) -> Escort:
    only(table, "kinds", "by", "seconds", "most")
    kinds = table.maybe_each("kinds", a_member(HolderKind))
    table.demand(
        lambda: "kinds" not in table or len(kinds) > 0, "an escort of nobody: name kinds of holders", "kinds"
    )
    return Escort(
        kinds=frozenset(kinds or (HolderKind.VISITOR,)),
        profiles=frozenset(table.maybe_each("by", a_profile)),
        within=table.read("seconds", a_duration(_SECOND, most=3600)),
        most=table.read("most", a_number(100, least=1)),
    )


def _first_person(table: Table) -> FirstPerson:
    only(table, "profiles", "hours")
    profiles = frozenset(table.each("profiles", a_profile))
    table.demand(lambda: len(profiles) > 0, "without a profile nobody could ever be the first", "profiles")
    return FirstPerson(profiles=profiles, lasting=table.read("hours", a_duration(_HOUR, most=24)))


def _second_factor(value: object) -> SecondFactor:
    name = a_name(value)
    return SecondFactor(schedule=None if name == _ALWAYS else ScheduleId(name))


def _guard_check(table: Table) -> GuardCheck:
    only(table, "seconds")
    return GuardCheck(limit=table.read("seconds", a_duration(_SECOND, most=60)))


def _search(table: Table) -> Search:
    only(table, "one_in")
    return Search(one_in=table.read("one_in", a_number(1_000_000, least=1)))


def _driver(table: Table) -> timedelta:
    only(table, "seconds")
    return table.read("seconds", a_duration(_SECOND, most=300))


def _offline(table: Table) -> Offline:
    only(table, "hours", "unseen")
    return Offline(
        longest=table.read("hours", a_duration(_HOUR, most=_LONGEST_ALONE)),
        unseen=table.maybe("unseen", a_member(Unseen), Unseen.REFUSED),
    )


def _shadow(value: object) -> str:
    known = {reason.code for reason in Reason if reason.may_be_shadowed}
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"{shown(value)} is no rule that could be only reported; those are {', '.join(sorted(known))}"
        )
    return value


def read_site_rules(reading: Reading, states: tuple[str, ...]) -> SiteRules:
    """Read what alert states, interlocks, travelling times, events, call-ups and `[rules]` demand."""
    alerts = dict(_alert(table, states) for table in reading.each("alert"))
    interlocks = tuple(_interlock(table) for table in reading.each("interlock"))
    travels = tuple(_travel(table) for table in reading.each("travel"))
    events = tuple(_event(table, states) for table in reading.each("event"))
    call_ups = tuple(_call_up(table) for table in reading.each("call_up"))
    table = reading.one("rules")
    if table is None:
        return SiteRules(
            alerts=alerts, interlocks=interlocks, travels=travels, events=events, call_ups=call_ups
        )
    only(table, "lock_out", "pin", "inactivity_days", "escort", "shadow")
    return SiteRules(
        alerts=alerts,
        interlocks=interlocks,
        travels=travels,
        events=events,
        call_ups=call_ups,
        escort=table.maybe_inner("escort", _escort),
        lock_out=table.maybe_inner("lock_out", _lock_out),
        pin=table.maybe_inner("pin", _pin_limit) or PinLimit(),
        inactivity=table.maybe("inactivity_days", a_duration(_DAY, most=3660), None),
        shadow=frozenset(table.maybe_each("shadow", _shadow)),
    )


def _lock_out(table: Table) -> LockOut:
    only(table, "failures", "minutes", "for_minutes")
    return LockOut(
        failures=table.read("failures", a_number(100, least=2)),
        within=table.read("minutes", a_duration(_MINUTE, most=1440)),
        lasting=table.read("for_minutes", a_duration(_MINUTE, most=1440)),
    )


def _pin_limit(table: Table) -> PinLimit:
    only(table, "tries", "for_minutes")
    return PinLimit(
        tries=table.read("tries", a_number(20, least=2)),
        blocked=table.read("for_minutes", a_duration(_MINUTE, most=1440)),
    )


def _alert(table: Table, states: tuple[str, ...]) -> tuple[str, AlertDemands]:
    only(table, "state", "assurance", "pin", "escort", "excluded")
    state = table.read("state", a_choice(states) if states else a_name)
    return state, AlertDemands(
        assurance=table.maybe("assurance", a_number(3), 0),
        second_factor=table.maybe("pin", a_flag, False),  # noqa: FBT003 - a value of the file
        escort=table.maybe("escort", a_flag, False),  # noqa: FBT003 - a value of the file
        excluded=frozenset(table.maybe_each("excluded", a_named(TenantId))),
    )


def _interlock(table: Table) -> Interlock:
    only(table, "id", "access_points")
    points = frozenset(table.each("access_points", a_named(AccessPointId)))
    table.demand(lambda: len(points) > 1, "an interlock joins two access points or more", "access_points")
    return Interlock(id=table.read("id", a_name), access_points=points)


def _travel(table: Table) -> Travel:
    only(table, "between", "seconds")
    between = frozenset(table.each("between", a_named(AccessPointId)))
    table.demand(lambda: len(between) == 2, "two different access points are wanted", "between")
    return Travel(between=between, least=table.read("seconds", a_duration(_SECOND, most=86_400)))


def _event(table: Table, states: tuple[str, ...]) -> Event:
    only(table, "id", "name", "zones", "from", "until", "guests", "highest_alert")
    since, until = table.read("from", an_instant), table.read("until", an_instant)
    table.demand(lambda: since < until, "the event ends before it begins", "until", "from")
    zones = frozenset(table.each("zones", a_named(ZoneId)))
    table.demand(lambda: len(zones) > 0, "an event is somewhere: name its zones", "zones")
    guests = frozenset(table.each("guests", a_named(HolderId)))
    table.demand(lambda: len(guests) > 0, "an event is for somebody: name its guests", "guests")
    return Event(
        id=table.read("id", a_name),
        names=table.read("name", names),
        zones=zones,
        since=since,
        until=until,
        guests=guests,
        highest_alert=table.read("highest_alert", an_alert_state(states)),
    )


def _call_up(table: Table) -> CallUp:
    only(table, "id", "profiles", "from", "until")
    since, until = table.read("from", an_instant), table.read("until", an_instant)
    table.demand(lambda: since < until, "the call-up ends before it begins", "until", "from")
    profiles = frozenset(table.each("profiles", a_profile))
    table.demand(lambda: len(profiles) > 0, "a call-up names the profiles that it calls up", "profiles")
    return CallUp(id=table.read("id", a_name), profiles=profiles, since=since, until=until)
