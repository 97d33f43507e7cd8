"""The rules of a site file: what zones, alert states and the site itself demand beside the rights that profiles give.

[zone.rules]   passback_minutes, passback_forgotten_hours, unexpected_location, occupancy, two_persons, escort,
               first_person, pin, guard_check, certificates, search, driver, shadow
[[alert]]      state, assurance, pin, escort, excluded
[[interlock]] [[travel]] [[event]] [[call_up]] [rules]
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from gatekeeper.model.ids import AccessPointId, HolderId, ScheduleId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
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
    LockOut,
    Occupancy,
    Passback,
    PinLimit,
    ProfileRef,
    Search,
    SecondFactor,
    SiteRules,
    Travel,
    TwoPersons,
    ZoneRules,
)
from gatekeeper.model.site_file.reading import (
    Reading,
    Table,
    a_duration,
    a_name,
    a_number,
    a_profile,
    an_instant,
    names,
    one_of,
    only,
)

__all__ = ["RULE_KEYS", "read_site_rules", "read_zone_rules"]

RULE_KEYS = ("alert", "interlock", "travel", "event", "call_up", "rules")
_MOST_PEOPLE = 100_000
_HOUR, _DAY = 3600, 86_400
_ALWAYS = "always"
_KINDS = tuple(kind.value for kind in HolderKind)


def read_zone_rules(anti_passback: AntiPassback, source: object) -> ZoneRules:
    """Read the rules of one zone."""
    table = Table(source)
    only(
        table, "passback_minutes", "passback_forgotten_hours", "unexpected_location", "occupancy", "two_persons",
        "escort", "first_person", "pin", "guard_check", "certificates", "search", "driver", "shadow",
    )  # fmt: skip
    location = table.optional("unexpected_location", None)
    return ZoneRules(
        passback=_passback(anti_passback, table),
        unexpected_location=None if location is None else Enforcement(location),
        occupancy=_maybe(table, "occupancy", _occupancy),
        two_persons=_maybe(table, "two_persons", _two_persons),
        escort=_maybe(table, "escort", _escort),
        first_person=_maybe(table, "first_person", _first_person),
        second_factor=_second_factor(table.optional("pin", None)),
        guard_check=_maybe(table, "guard_check", _guard_check),
        certificates=frozenset(map(a_name, table.optional("certificates", ()))),
        search=_maybe(table, "search", _search),
        driver=_maybe(table, "driver", _driver),
        shadow=_shadow(table),
    )


def _maybe(table: Table, key: str, read: Any) -> Any:
    return read(Table(table[key])) if key in table else None


def _passback(mode: AntiPassback, table: Table) -> Passback:
    if (mode is AntiPassback.TIMED) != ("passback_minutes" in table):
        raise ValueError('anti_passback = "timed" and passback_minutes go together')
    within = (
        a_duration(table["passback_minutes"], most=1440, minutes=1) if "passback_minutes" in table else None
    )
    forgotten = table.optional("passback_forgotten_hours", None)
    return Passback(
        mode=mode,
        within=within,
        forgotten=None if forgotten is None else a_duration(forgotten, most=720, hours=1),
    )


def _profiles(value: Sequence[object]) -> frozenset[ProfileRef]:
    return frozenset(map(a_profile, value))


def _occupancy(table: Table) -> Occupancy:
    only(table, "most", "least", "seconds", "enforcement", "exempt")
    most, least = table.optional("most", None), table.optional("least", None)
    if most is None and least is None:
        raise ValueError("occupancy names most, or least, or both")
    if most is not None and least is not None and least > most:
        raise ValueError(f"least {least} is above most {most}")
    return Occupancy(
        most=None if most is None else a_number(most, _MOST_PEOPLE, 1),
        least=None if least is None else a_number(least, 2, 2),
        within=a_duration(table.optional("seconds", 20), most=300, seconds=1),
        enforcement=Enforcement(table.optional("enforcement", Enforcement.DENIED)),
        exempt=_profiles(table.optional("exempt", ())),
    )


def _two_persons(table: Table) -> TwoPersons:
    only(table, "seconds", "differ", "profiles", "leaving")
    differ = Differ(table.optional("differ", Differ.HOLDER))
    profiles = _profiles(table.optional("profiles", ()))
    if differ is Differ.ROLE and len(profiles) < 2:
        raise ValueError('differ = "role" needs two profiles or more to tell apart')
    leaving = table.optional("leaving", False)  # noqa: FBT003 - a value of the file
    if type(leaving) is not bool:
        raise ValueError("leaving is true or false")
    return TwoPersons(
        within=a_duration(table["seconds"], most=300, seconds=1),
        differ=differ,
        profiles=profiles,
        leaving=leaving,
    )


def _escort(table: Table) -> Escort:
    only(table, "kinds", "by", "seconds", "most")
    return Escort(
        kinds=frozenset(
            HolderKind(one_of(kind, _KINDS)) for kind in table.optional("kinds", (HolderKind.VISITOR.value,))
        ),
        profiles=_profiles(table.optional("by", ())),
        within=a_duration(table["seconds"], most=_HOUR, seconds=1),
        most=a_number(table["most"], 100, 1),
    )


def _first_person(table: Table) -> FirstPerson:
    only(table, "profiles", "hours")
    profiles = _profiles(table["profiles"])
    if not profiles:
        raise ValueError("without a profile nobody could ever be the first")
    return FirstPerson(profiles=profiles, lasting=a_duration(table["hours"], most=24, hours=1))


def _second_factor(value: object) -> SecondFactor | None:
    if value is None:
        return None
    name = a_name(value)
    return SecondFactor(schedule=None if name == _ALWAYS else ScheduleId(name))


def _guard_check(table: Table) -> GuardCheck:
    only(table, "seconds")
    return GuardCheck(limit=a_duration(table["seconds"], most=60, seconds=1))


def _search(table: Table) -> Search:
    only(table, "one_in")
    return Search(one_in=a_number(table["one_in"], 1_000_000, 1))


def _driver(table: Table) -> timedelta:
    only(table, "seconds")
    return a_duration(table["seconds"], most=300, seconds=1)


def _shadow(table: Table) -> frozenset[str]:
    known = {reason.code for reason in Reason if reason.may_be_shadowed}
    for code in table.optional("shadow", ()):
        if code not in known:
            raise ValueError(
                f"{code!r} is no rule that could be only reported; those are {', '.join(sorted(known))}"
            )
    return frozenset(table.optional("shadow", ()))


def read_site_rules(document: Mapping[str, Any], states: tuple[str, ...], reading: Reading) -> SiteRules:
    """Read what holds everywhere on the site."""
    table = Table(document.get("rules", {}))
    rules = SiteRules()
    with reading.at("rules", ("rules",), table):
        only(table, "lock_out", "pin", "inactivity_days", "escort", "shadow")
        idle = table.optional("inactivity_days", None)
        rules = SiteRules(
            escort=_maybe(table, "escort", _escort),
            lock_out=_maybe(table, "lock_out", _lock_out),
            pin=_maybe(table, "pin", _pin_limit) or PinLimit(),
            inactivity=None if idle is None else a_duration(idle, most=3660, days=1),
            shadow=_shadow(table),
        )
    return SiteRules(
        alerts=dict(_each(document, "alert", reading, lambda one: _alert(one, states))),
        interlocks=tuple(_each(document, "interlock", reading, _interlock)),
        travels=tuple(_each(document, "travel", reading, _travel)),
        events=tuple(_each(document, "event", reading, lambda one: _event(one, states))),
        call_ups=tuple(_each(document, "call_up", reading, _call_up)),
        escort=rules.escort,
        lock_out=rules.lock_out,
        pin=rules.pin,
        inactivity=rules.inactivity,
        shadow=rules.shadow,
    )


def _each(document: Mapping[str, Any], what: str, reading: Reading, read: Any) -> Iterator[Any]:
    for said, place, table in reading.each(document, what):
        with reading.at(said, place, table):
            yield read(table)


def _lock_out(table: Table) -> LockOut:
    only(table, "failures", "minutes", "for_minutes")
    return LockOut(
        failures=a_number(table["failures"], 100, 2),
        within=a_duration(table["minutes"], most=1440, minutes=1),
        lasting=a_duration(table["for_minutes"], most=1440, minutes=1),
    )


def _pin_limit(table: Table) -> PinLimit:
    only(table, "tries", "for_minutes")
    return PinLimit(
        tries=a_number(table["tries"], 20, 2), blocked=a_duration(table["for_minutes"], most=1440, minutes=1)
    )


def _alert(table: Table, states: tuple[str, ...]) -> tuple[str, AlertDemands]:
    only(table, "state", "assurance", "pin", "escort", "excluded")
    for flag in ("pin", "escort"):
        if type(table.optional(flag, False)) is not bool:  # noqa: FBT003 - a value of the file
            raise ValueError(f"{flag} is true or false")
    return one_of(table["state"], states), AlertDemands(
        assurance=a_number(table.optional("assurance", 0), 3),
        second_factor=table.optional("pin", False),  # noqa: FBT003
        escort=table.optional("escort", False),  # noqa: FBT003
        excluded=frozenset(TenantId(a_name(tenant)) for tenant in table.optional("excluded", ())),
    )


def _points(value: Sequence[object]) -> frozenset[AccessPointId]:
    return frozenset(AccessPointId(a_name(point)) for point in value)


def _interlock(table: Table) -> Interlock:
    only(table, "id", "access_points")
    points = _points(table["access_points"])
    if len(points) < 2:
        raise ValueError("an interlock joins two access points or more")
    return Interlock(id=a_name(table["id"]), access_points=points)


def _travel(table: Table) -> Travel:
    only(table, "between", "seconds")
    between = _points(table["between"])
    if len(between) != 2:
        raise ValueError("two different access points are wanted")
    return Travel(between=between, least=a_duration(table["seconds"], most=_DAY, seconds=1))


def _event(table: Table, states: tuple[str, ...]) -> Event:
    only(table, "id", "name", "zones", "from", "until", "guests", "highest_alert")
    since, until = an_instant(table["from"]), an_instant(table["until"])
    if since >= until:
        raise ValueError("the event ends before it begins")
    return Event(
        id=a_name(table["id"]),
        names=names(table["name"]),
        zones=frozenset(ZoneId(a_name(zone)) for zone in table["zones"]),
        since=since,
        until=until,
        guests=frozenset(HolderId(a_name(guest)) for guest in table["guests"]),
        highest_alert=states.index(one_of(table["highest_alert"], states)),
    )


def _call_up(table: Table) -> CallUp:
    only(table, "id", "profiles", "from", "until")
    since, until = an_instant(table["from"]), an_instant(table["until"])
    if since >= until:
        raise ValueError("the call-up ends before it begins")
    profiles = _profiles(table["profiles"])
    if not profiles:
        raise ValueError("a call-up names the profiles that it calls up")
    return CallUp(id=a_name(table["id"]), profiles=profiles, since=since, until=until)
