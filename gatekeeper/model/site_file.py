"""Reading a site file: from the document (TOML or canonical JSON) to a `SitePolicy`, strictly.

Every problem is reported with the place where it stands, all at once; a file with one problem gives no policy.
Unknown keys are problems: a misspelt rule must not silently be no rule. The population and the bridges of an example
site stand in the same file but are no part of the policy; `read_population` and `read_bridges` give them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gatekeeper.model.ids import (
    AccessPointId,
    GateId,
    ProfileId,
    ScheduleId,
    SiteId,
    TenantId,
    ZoneId,
    is_name,
)
from gatekeeper.model.people import Agreement, HolderKind, Names, Tenant, Veto
from gatekeeper.model.places import AccessPoint, AntiPassback, Direction, Gate, Zone
from gatekeeper.model.policy import Calendar, Grant, Profile, SitePolicy
from gatekeeper.model.schedule import Schedule, Window, week_of

__all__ = [
    "Bridge",
    "Population",
    "PopulationGroup",
    "SiteFileError",
    "policy_document",
    "read_bridges",
    "read_population",
    "read_site",
]

_POLICY_KEYS = (
    "site",
    "tenant",
    "zone",
    "gate",
    "access_point",
    "calendar",
    "schedule",
    "profile",
    "veto",
)
_EXTRA_KEYS = ("population", "bridge")
_DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_ROUTINES = ("day-shift", "early-shift", "late-shift", "student", "evening", "guard", "visitor")
_HIGHEST_LEVEL = 5
_HIGHEST_ASSURANCE = 3


class SiteFileError(Exception):
    """A site file that gives no policy; `problems` says everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        """Keep all problems; the message lists them one a line."""
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationGroup:
    """So many people of one kind, for an example site."""

    tenant: TenantId
    kind: HolderKind
    count: int
    clearance: int
    assurance: int
    profiles: tuple[ProfileId, ...]
    routine: str
    home: ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The people of an example site, generated from a seed."""

    seed: int
    groups: tuple[PopulationGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A stock reader that takes part through a bridge."""

    kind: str
    gate: GateId
    topic: str
    access_point: AccessPointId


def policy_document(document: Mapping[str, Any]) -> bytes:
    """The canonical JSON of the part of a site file that is policy: what the host signs, and what is hashed."""
    policy = {key: document[key] for key in _POLICY_KEYS if key in document}
    return json.dumps(
        policy, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    ).encode()


def _plain(value: object) -> str:
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return value.isoformat()
        case _:
            raise SiteFileError([f"a site file holds no {type(value).__name__}"])


def read_site(document: Mapping[str, Any]) -> SitePolicy:
    """Read and cross-check a site file. Raises `SiteFileError` with every problem."""
    reading = _Reading()
    try:
        reading.only(document, *_POLICY_KEYS, *_EXTRA_KEYS)
        policy = _site(document, reading)
    except _WRONG as error:
        raise SiteFileError([*reading.problems, _problem("the file", error)]) from error
    if not reading.problems:
        _cross_check(policy, reading)
    if reading.problems:
        raise SiteFileError(reading.problems)
    return policy


def read_population(document: Mapping[str, Any]) -> Population:
    """Read the generated people of an example site. Raises `SiteFileError`."""
    reading = _Reading()
    groups: list[PopulationGroup] = []
    source = document.get("population", {"seed": 0, "group": []})
    seed = 0
    with reading.at("population"):
        reading.only(source, "seed", "group")
        seed = _number(source["seed"], 1 << 53)
    for number, group in enumerate(source.get("group", ()), 1):
        with reading.at(f"population group {number}"):
            reading.only(
                group, "tenant", "kind", "count", "clearance", "assurance", "profiles", "routine", "home"
            )
            groups.append(
                PopulationGroup(
                    tenant=TenantId(_name(group["tenant"])),
                    kind=HolderKind(group["kind"]),
                    count=_number(group["count"], 1_000_000),
                    clearance=_number(group["clearance"], _HIGHEST_LEVEL),
                    assurance=_number(group["assurance"], _HIGHEST_ASSURANCE),
                    profiles=tuple(ProfileId(_name(profile)) for profile in group["profiles"]),
                    routine=_one_of(group["routine"], _ROUTINES),
                    home=ZoneId(_name(group["home"])),
                )
            )
    if reading.problems:
        raise SiteFileError(reading.problems)
    return Population(seed=seed, groups=tuple(groups))


def read_bridges(document: Mapping[str, Any]) -> tuple[Bridge, ...]:
    """Read the bridges of a site. Raises `SiteFileError`."""
    reading = _Reading()
    bridges: list[Bridge] = []
    for number, bridge in enumerate(document.get("bridge", ()), 1):
        with reading.at(f"bridge {number}"):
            reading.only(bridge, "kind", "gate", "topic", "access_point")
            bridges.append(
                Bridge(
                    kind=_one_of(bridge["kind"], ("tasmota",)),
                    gate=GateId(_name(bridge["gate"])),
                    topic=_text(bridge["topic"]),
                    access_point=AccessPointId(_name(bridge["access_point"])),
                )
            )
    if reading.problems:
        raise SiteFileError(reading.problems)
    return tuple(bridges)


_WRONG = (KeyError, ValueError, TypeError, AttributeError, OverflowError)


def _problem(place: str, error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{place}: {error.args[0]} is missing"
    return f"{place}: {error}"


class _Reading:
    """Collects problems with their places, so that a person mends a file in one go."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        try:
            yield
        except _WRONG as error:
            self.problems.append(_problem(place, error))

    def only(self, table: Mapping[str, Any], *keys: str) -> None:
        for key in table:
            if key not in keys:
                raise ValueError(f"unknown key {key!r}; the keys here are {', '.join(keys)}")

    def each(self, document: Mapping[str, Any], what: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for number, table in enumerate(document.get(what, ()), 1):
            yield f"{what} {table.get('id', number)!s}", table


def _site(document: Mapping[str, Any], reading: _Reading) -> SitePolicy:
    site = document["site"]
    reading.only(site, "id", "name", "time_zone", "host", "outside", "alert_states", "unlock_seconds")
    host = TenantId(_name(site["host"]))
    states = tuple(_name(state) for state in site["alert_states"])
    if not states or len(set(states)) != len(states):
        raise ValueError("alert_states is a list of different names, calmest first")
    unlock = _number(site.get("unlock_seconds", 5), 60)
    calendars = _all(document, "calendar", reading, lambda table: _calendar(table, reading))
    by_calendar = {calendar.id: calendar for calendar in calendars}
    return SitePolicy(
        site=SiteId(_name(site["id"])),
        names=_names(site["name"]),
        time_zone=_zone_name(site["time_zone"]),
        host=host,
        outside=ZoneId(_name(site["outside"])),
        alert_states=states,
        tenants=_all(document, "tenant", reading, lambda table: _tenant(table, host, reading)),
        zones=_all(document, "zone", reading, lambda table: _zone(table, reading)),
        gates=_all(document, "gate", reading, lambda table: _gate(table, reading)),
        access_points=_all(
            document, "access_point", reading, lambda table: _access_point(table, unlock, reading)
        ),
        calendars=calendars,
        schedules=_all(document, "schedule", reading, lambda table: _schedule(table, by_calendar, reading)),
        profiles=_all(document, "profile", reading, lambda table: _profile(table, states, reading)),
        vetoes=_all(document, "veto", reading, lambda table: _veto(table, reading)),
    )


def _all(document: Mapping[str, Any], what: str, reading: _Reading, read: Any) -> tuple[Any, ...]:
    found = []
    for place, table in reading.each(document, what):
        with reading.at(place):
            found.append(read(table))
    return tuple(found)


def _tenant(table: Mapping[str, Any], host: TenantId, reading: _Reading) -> Tenant:
    reading.only(table, "id", "name", "agreement")
    tenant = TenantId(_name(table["id"]))
    is_host = tenant == host
    if is_host and "agreement" in table:
        raise ValueError("the host has no agreement: it is the one who makes them")
    if not is_host and "agreement" not in table:
        raise ValueError("agreement is missing: only the host goes without")
    agreement = None if is_host else _agreement(table["agreement"], tenant, reading)
    return Tenant(id=tenant, names=_names(table["name"]), is_host=is_host, agreement=agreement)


def _agreement(table: Mapping[str, Any], tenant: TenantId, reading: _Reading) -> Agreement:
    reading.only(table, "ceiling", "zones", "from", "until", "badge_days")
    since, until = _moment(table["from"]), _moment(table["until"])
    if since >= until:
        raise ValueError("the agreement ends before it begins")
    return Agreement(
        tenant=tenant,
        ceiling=_number(table["ceiling"], _HIGHEST_LEVEL),
        zones=frozenset(ZoneId(_name(zone)) for zone in table["zones"]),
        since=since,
        until=until,
        badge_life=timedelta(days=_number(table["badge_days"], 3660)),
    )


def _zone(table: Mapping[str, Any], reading: _Reading) -> Zone:
    reading.only(table, "id", "name", "parent", "owner", "level", "assurance", "anti_passback")
    return Zone(
        id=ZoneId(_name(table["id"])),
        names=_names(table["name"]),
        parent=ZoneId(_name(table["parent"])) if "parent" in table else None,
        owner=TenantId(_name(table["owner"])),
        level=_number(table["level"], _HIGHEST_LEVEL),
        assurance=_number(table["assurance"], _HIGHEST_ASSURANCE),
        anti_passback=AntiPassback(table["anti_passback"]),
    )


def _gate(table: Mapping[str, Any], reading: _Reading) -> Gate:
    reading.only(table, "id", "name")
    return Gate(id=GateId(_name(table["id"])), names=_names(table["name"]))


def _access_point(table: Mapping[str, Any], unlock: int, reading: _Reading) -> AccessPoint:
    reading.only(table, "id", "name", "gate", "from", "to", "direction", "unlock_seconds")
    return AccessPoint(
        id=AccessPointId(_name(table["id"])),
        names=_names(table["name"]),
        gate=GateId(_name(table["gate"])),
        source=ZoneId(_name(table["from"])),
        target=ZoneId(_name(table["to"])),
        direction=Direction(table["direction"]),
        unlock=timedelta(seconds=_number(table.get("unlock_seconds", unlock), 60)),
    )


def _calendar(table: Mapping[str, Any], reading: _Reading) -> Calendar:
    reading.only(table, "id", "days")
    for day in table["days"]:
        reading.only(day, "date", "name")
    days = {_date(day["date"]): _names(day["name"]) for day in table["days"]}
    return Calendar(id=_name(table["id"]), days=days)


def _schedule(table: Mapping[str, Any], calendars: Mapping[str, Calendar], reading: _Reading) -> Schedule:
    reading.only(table, "id", "name", "windows", "calendar", "on_special_days")
    if ("calendar" in table) != ("on_special_days" in table):
        raise ValueError("calendar and on_special_days go together")
    calendar = table.get("calendar")
    if calendar is not None and calendar not in calendars:
        raise ValueError(f"there is no calendar {calendar!r}")
    week: dict[int, list[Window]] = {}
    for entry in table["windows"]:
        reading.only(entry, "days", "from", "until")
        for day in entry["days"]:
            week.setdefault(_DAYS[_one_of(day, tuple(_DAYS))], []).append(_window(entry))
    return Schedule(
        id=ScheduleId(_name(table["id"])),
        names=_names(table["name"]),
        week=week_of(week),
        special_days=frozenset(calendars[calendar].days) if calendar is not None else frozenset(),
        special=tuple(sorted(_window(entry) for entry in table.get("on_special_days", ()))),
    )


def _profile(table: Mapping[str, Any], states: tuple[str, ...], reading: _Reading) -> Profile:
    reading.only(table, "id", "tenant", "name", "grants")
    return Profile(
        id=ProfileId(_name(table["id"])),
        tenant=TenantId(_name(table["tenant"])),
        names=_names(table["name"]),
        grants=tuple(_grant(grant, states, reading) for grant in table["grants"]),
    )


def _grant(table: Mapping[str, Any], states: tuple[str, ...], reading: _Reading) -> Grant:
    reading.only(table, "zone", "access_point", "schedule", "highest_alert")
    if ("zone" in table) == ("access_point" in table):
        raise ValueError("a grant names a zone or an access point, and one of them only")
    return Grant(
        zone=ZoneId(_name(table["zone"])) if "zone" in table else None,
        access_point=AccessPointId(_name(table["access_point"])) if "access_point" in table else None,
        schedule=ScheduleId(_name(table["schedule"])),
        highest_alert=states.index(_one_of(table["highest_alert"], states)),
    )


def _veto(table: Mapping[str, Any], reading: _Reading) -> Veto:
    reading.only(table, "tenant", "zone", "why")
    return Veto(
        tenant=TenantId(_name(table["tenant"])), zone=ZoneId(_name(table["zone"])), why=_names(table["why"])
    )


def _cross_check(policy: SitePolicy, reading: _Reading) -> None:
    """Hold the names against each other: everything referred to exists, once, and the zones are a tree."""
    zones = _unique(reading, "zone", (zone.id for zone in policy.zones))
    tenants = _unique(reading, "tenant", (tenant.id for tenant in policy.tenants))
    gates = _unique(reading, "gate", (gate.id for gate in policy.gates))
    points = _unique(reading, "access_point", (point.id for point in policy.access_points))
    schedules = _unique(reading, "schedule", (schedule.id for schedule in policy.schedules))
    _unique(reading, "profile", (f"{profile.tenant} {profile.id}" for profile in policy.profiles))

    def must(known: frozenset[str], what: str, name: str | None, place: str) -> None:
        if name is not None and name not in known:
            reading.problems.append(f"{place}: there is no {what} {name!r}")

    must(tenants, "tenant", policy.host, "site")
    must(zones, "zone", policy.outside, "site")
    for tenant in policy.tenants:
        for zone_id in tenant.agreement.zones if tenant.agreement else ():
            must(zones, "zone", zone_id, f"tenant {tenant.id} agreement")
    for zone in policy.zones:
        must(zones, "zone", zone.parent, f"zone {zone.id}")
        must(tenants, "tenant", zone.owner, f"zone {zone.id}")
    for point in policy.access_points:
        place = f"access_point {point.id}"
        must(gates, "gate", point.gate, place)
        must(zones, "zone", point.source, place)
        must(zones, "zone", point.target, place)
        if point.source == point.target:
            reading.problems.append(f"{place}: it leads from a zone to the same zone")
    for profile in policy.profiles:
        place = f"profile {profile.id}"
        must(tenants, "tenant", profile.tenant, place)
        for grant in profile.grants:
            must(zones, "zone", grant.zone, place)
            must(points, "access_point", grant.access_point, place)
            must(schedules, "schedule", grant.schedule, place)
    for veto in policy.vetoes:
        must(tenants, "tenant", veto.tenant, "veto")
        must(zones, "zone", veto.zone, "veto")
        if veto.tenant == policy.host:
            reading.problems.append("veto: the host does not veto itself")
    _check_tree(policy, reading)


def _check_tree(policy: SitePolicy, reading: _Reading) -> None:
    parents = {zone.id: zone.parent for zone in policy.zones}
    for zone in parents:
        seen: set[ZoneId] = set()
        at: ZoneId | None = zone
        while at is not None and at not in seen:
            seen.add(at)
            at = parents.get(at)
        if at is not None:
            reading.problems.append(f"zone {zone}: its parents lead in a circle")


def _unique(reading: _Reading, what: str, names: Iterable[str]) -> frozenset[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            reading.problems.append(f"{what} {name}: it stands here twice")
        seen.add(name)
    return frozenset(seen)


def _name(value: object) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"{value!r} is no name: 1 to 32 of a-z, 0-9 and -")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError("a text of 1 to 200 characters is wanted")
    return value


def _names(value: object) -> Names:
    if not isinstance(value, Mapping) or set(value) != {"en", "nl"}:
        raise ValueError("a name is written { en = ..., nl = ... }")
    return Names(en=_text(value["en"]), nl=_text(value["nl"]))


def _number(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r} is no whole number from 0 to {most}")
    return value


def _one_of(value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}")
    return str(value)


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("a moment with its time zone is wanted, such as 2026-01-01T00:00:00Z")
    return moment.astimezone(UTC)


def _date(value: object) -> date:
    day = date.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError("a date is wanted, such as 2026-12-25")  # noqa: TRY004 - a bad value in a file
    return day


def _window(table: Mapping[str, Any]) -> Window:
    return Window(_minute(table["from"]), _minute(table["until"]))


def _minute(value: object) -> int:
    hours, _, minutes = str(value).partition(":")
    if len(hours) != 2 or len(minutes) != 2 or not (hours + minutes).isdecimal() or int(minutes) > 59:
        raise ValueError(f"{value!r} is no time of day such as 07:30")
    return int(hours) * 60 + int(minutes)


def _zone_name(value: object) -> str:
    # Zones are files: a name may be a folder's, or too long for a file's.
    try:
        ZoneInfo(_text(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone such as Europe/Amsterdam") from None
    return _text(value)
