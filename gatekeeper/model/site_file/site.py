"""Reading a site file: from the document (TOML or canonical JSON) to a `SitePolicy`, strictly.

Every problem is reported with the place where it stands, all at once; a file with one problem gives no policy.
Unknown keys are problems: a misspelt rule must not silently be no rule.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, ScheduleId, SiteId, TenantId, ZoneId
from gatekeeper.model.people import Agreement, Names, Tenant, Veto
from gatekeeper.model.places import AccessPoint, Direction, Gate, Zone
from gatekeeper.model.policy import Calendar, Grant, Profile, SitePolicy
from gatekeeper.model.schedule import MINUTES_A_DAY, Schedule, Window, week_of
from gatekeeper.model.site_file.check import cross_check, ids_in
from gatekeeper.model.site_file.forms import (
    a_choice,
    a_date,
    a_duration,
    a_member,
    a_minute,
    a_name,
    a_named,
    a_number,
    a_time_zone,
    an_instant,
    names,
)
from gatekeeper.model.site_file.lines import Lines
from gatekeeper.model.site_file.population import EXTRA_KEYS, bridges_in, population_in
from gatekeeper.model.site_file.reading import Reading, SiteFileError, Table, only
from gatekeeper.model.site_file.retention import read_retention
from gatekeeper.model.site_file.review import review
from gatekeeper.model.site_file.rules import RULE_KEYS, an_alert_state, read_site_rules, zone_demands

__all__ = ["policy_document", "read_site", "read_site_file"]

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
    "retention",
    *RULE_KEYS,
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HIGHEST_LEVEL = 5
_HIGHEST_ASSURANCE = 3
_LONGEST_UNLOCK = 60
_USUAL_UNLOCK = 5


def policy_document(document: Mapping[str, Any]) -> bytes:
    """The canonical JSON of the part of a site file that is policy: what the host signs, and what is hashed."""
    policy = {key: document[key] for key in _POLICY_KEYS if key in document}
    return json.dumps(
        policy, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    ).encode()


def _plain(value: object) -> str:
    match value:
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
        case date():
            return value.isoformat()
        case _:
            raise SiteFileError([f"a site file holds no {type(value).__name__}"])


def read_site(document: Mapping[str, Any]) -> SitePolicy:
    """Read and cross-check a site's description. Raises `SiteFileError` with every problem."""
    reading = Reading(document, None)
    policy = _policy(reading)
    cross_check(policy, reading)
    reading.raise_if_wrong()
    return policy


def read_site_file(document: Mapping[str, Any], *, lines: Lines | None = None) -> SitePolicy:
    """Read a file that a person wrote: as `read_site`, and refuse also what can be written and is never meant.

    The people and bridges in it are read with it. Raises `SiteFileError` with every problem; `lines` says where each stands.
    """
    reading = Reading(document, lines)
    policy = _policy(reading)
    population, bridges = population_in(reading), bridges_in(reading)
    cross_check(policy, reading)
    review(policy, population, bridges, reading)
    reading.raise_if_wrong()
    return policy


def _policy(reading: Reading) -> SitePolicy:
    """Read all tables, also when one of them is wrong."""
    heading = _heading(reading)
    # A host that there is not is told where it is named, and not at every tenant.
    host = heading.host if heading.host in ids_in(reading.document, "tenant") else None
    calendars = {
        calendar.id: calendar
        for table in reading.each("calendar")
        if (calendar := _calendar(table)) is not None
    }
    return SitePolicy(
        site=heading.site,
        names=heading.names,
        time_zone=heading.time_zone,
        host=heading.host,
        outside=heading.outside,
        alert_states=heading.states,
        tenants=tuple(_tenant(table, host) for table in reading.each("tenant")),
        zones=tuple(_zone(table) for table in reading.each("zone")),
        gates=tuple(_gate(table) for table in reading.each("gate")),
        access_points=tuple(_access_point(table, heading.unlock) for table in reading.each("access_point")),
        calendars=tuple(calendars.values()),
        schedules=tuple(_schedule(table, calendars) for table in reading.each("schedule")),
        profiles=tuple(_profile(table, heading.states) for table in reading.each("profile")),
        vetoes=tuple(_veto(table) for table in reading.each("veto")),
        rules=read_site_rules(reading, heading.states),
        retention=read_retention(reading),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heading:
    """What [site] says."""

    site: SiteId
    names: Names
    time_zone: str
    host: TenantId
    outside: ZoneId
    states: tuple[str, ...]
    unlock: int


def _heading(reading: Reading) -> _Heading:
    top = Table(reading, "the file", (), reading.document)
    only(top, *_POLICY_KEYS, *EXTRA_KEYS)
    if "site" not in top:
        top.missing("site")
    table = reading.one("site")
    if table is None:
        unread: Any = None
        return _Heading(
            site=unread, names=unread, time_zone=unread, host=unread, outside=unread, states=(), unlock=0
        )
    only(table, "id", "name", "time_zone", "host", "outside", "alert_states", "unlock_seconds")
    return _Heading(
        site=table.read("id", a_named(SiteId)),
        names=table.read("name", names),
        time_zone=table.read("time_zone", a_time_zone),
        host=table.read("host", a_named(TenantId)),
        outside=table.read("outside", a_named(ZoneId)),
        states=table.read("alert_states", _alert_states) or (),
        unlock=table.maybe("unlock_seconds", a_number(_LONGEST_UNLOCK), _USUAL_UNLOCK) or 0,
    )


def _alert_states(value: object) -> tuple[str, ...]:
    try:
        states = tuple(map(a_name, value)) if isinstance(value, list | tuple) else ()
    except ValueError:
        states = ()
    if not states or len(set(states)) != len(states):
        raise ValueError("a list of different names is wanted, calmest first")
    return states


def _tenant(table: Table, host: TenantId | None) -> Tenant:
    only(table, "id", "name", "agreement", "retention")
    tenant = table.read("id", a_named(TenantId))
    is_host = host is not None and tenant == host
    agreement = None
    if is_host and "agreement" in table:
        table.problem("agreement", "the host has no agreement: it is the one who makes them")
    elif "agreement" in table:
        agreement = table.inner("agreement", lambda inner: _agreement(inner, tenant))
    elif host is not None and not is_host:
        table.missing("agreement", ": only the host goes without")
    if is_host and "retention" in table:
        table.problem("retention", "the host's periods are the site's: write them under [retention]")
    return Tenant(id=tenant, names=table.read("name", names), is_host=is_host, agreement=agreement)


def _agreement(table: Table, tenant: TenantId) -> Agreement:
    only(table, "ceiling", "zones", "from", "until", "badge_days")
    since, until = table.read("from", an_instant), table.read("until", an_instant)
    table.demand(lambda: since < until, "the agreement ends before it begins", "until", "from")
    return Agreement(
        tenant=tenant,
        ceiling=table.read("ceiling", a_number(_HIGHEST_LEVEL)),
        zones=frozenset(table.each("zones", a_named(ZoneId))),
        since=since,
        until=until,
        badge_life=table.read("badge_days", a_duration(timedelta(days=1), most=3660)),
    )


def _zone(table: Table) -> Zone:
    only(table, "id", "name", "parent", "owner", "level", "assurance", "anti_passback", "rules")
    return Zone(
        id=table.read("id", a_named(ZoneId)),
        names=table.read("name", names),
        parent=table.maybe("parent", a_named(ZoneId), None),
        owner=table.read("owner", a_named(TenantId)),
        level=table.read("level", a_number(_HIGHEST_LEVEL)),
        assurance=table.read("assurance", a_number(_HIGHEST_ASSURANCE)),
        rules=zone_demands(table),
    )


def _gate(table: Table) -> Gate:
    only(table, "id", "name")
    return Gate(id=table.read("id", a_named(GateId)), names=table.read("name", names))


def _access_point(table: Table, unlock: int) -> AccessPoint:
    only(table, "id", "name", "gate", "from", "to", "direction", "unlock_seconds")
    return AccessPoint(
        id=table.read("id", a_named(AccessPointId)),
        names=table.read("name", names),
        gate=table.read("gate", a_named(GateId)),
        source=table.read("from", a_named(ZoneId)),
        target=table.read("to", a_named(ZoneId)),
        direction=table.read("direction", a_member(Direction)),
        unlock=timedelta(seconds=table.maybe("unlock_seconds", a_number(_LONGEST_UNLOCK), unlock) or 0),
    )


def _calendar(table: Table) -> Calendar | None:
    """A calendar, or None when not all of its days could be read."""
    only(table, "id", "days")
    calendar = table.read("id", a_name)
    whole = table.inner_each("days", _day)
    days = dict(whole)
    table.demand(lambda: len(days) == len(whole), f"{_twice(whole)} stands here twice", "days")
    is_whole = table.is_sound and None not in days and None not in days.values()
    return Calendar(id=calendar, days=days) if is_whole else None


def _day(table: Table) -> tuple[date, Names]:
    only(table, "date", "name")
    return table.read("date", a_date), table.read("name", names)


def _twice(days: Sequence[tuple[date, Names]]) -> date | None:
    """The first date that stands there twice."""
    seen = set[date]()
    for day, _ in days:
        if day in seen:
            return day
        seen.add(day)
    return None


def _schedule(table: Table, calendars: Mapping[str, Calendar]) -> Schedule:
    only(table, "id", "name", "windows", "calendar", "on_special_days")
    table.demand(
        lambda: ("calendar" in table) == ("on_special_days" in table),
        "calendar and on_special_days go together",
        "on_special_days" if "on_special_days" in table else "calendar",
    )
    name = table.maybe("calendar", a_name, None)
    calendar = calendars.get(name) if name is not None else None
    special_days = frozenset(calendar.days) if calendar is not None else frozenset[date]()
    week, special = _week(table), table.maybe_inner_each("on_special_days", _special)
    opens = any(week.values()) or (len(special) > 0 and (calendar is None or len(special_days) > 0))
    table.demand(lambda: opens, "it is never open: give it windows", "windows", "calendar", "on_special_days")
    return Schedule(
        id=table.read("id", a_named(ScheduleId)),
        names=table.read("name", names),
        week=week_of(week),
        special_days=special_days,
        special=tuple(sorted(window for window in special if window is not None)),
    )


def _week(table: Table) -> dict[int, list[Window]]:
    """The windows of each weekday; one that could not be read counts as all day, so that it is told once."""
    week: dict[int, list[Window]] = {}
    for days, window in table.inner_each("windows", _weekly):
        for day in days:
            week.setdefault(day, []).append(window or Window(0, MINUTES_A_DAY))
    return week


def _weekly(table: Table) -> tuple[tuple[int, ...], Window | None]:
    only(table, "days", "from", "until")
    weekday = a_choice(_DAYS)
    days = table.each("days", lambda value: _DAYS.index(weekday(value)))
    table.demand(lambda: len(days) > 0, "a window is on some days: name them", "days")
    return days if table.is_sound else tuple(range(7)), _window(table)


def _special(table: Table) -> Window | None:
    only(table, "from", "until")
    return _window(table)


def _window(table: Table) -> Window | None:
    since, until = table.read("from", a_minute), table.read("until", a_minute)
    table.demand(
        lambda: since < until <= MINUTES_A_DAY,
        "a window begins before it ends, within one day",
        "from",
        "until",
    )
    return Window(since, until) if table.is_sound else None


def _profile(table: Table, states: tuple[str, ...]) -> Profile:
    only(table, "id", "tenant", "name", "grants")
    return Profile(
        id=table.read("id", a_named(ProfileId)),
        tenant=table.read("tenant", a_named(TenantId)),
        names=table.read("name", names),
        grants=table.inner_each("grants", lambda grant: _grant(grant, states)),
    )


def _grant(table: Table, states: tuple[str, ...]) -> Grant:
    only(table, "zone", "access_point", "schedule", "highest_alert")
    zone = table.maybe("zone", a_named(ZoneId), None)
    point = table.maybe("access_point", a_named(AccessPointId), None)
    table.demand(
        lambda: ("zone" in table) != ("access_point" in table),
        "a grant names a zone or an access point, and one of them only",
        "zone",
        "access_point",
    )
    return Grant(
        zone=zone,
        access_point=point,
        schedule=table.read("schedule", a_named(ScheduleId)),
        highest_alert=table.read("highest_alert", an_alert_state(states)),
    )


def _veto(table: Table) -> Veto:
    only(table, "tenant", "zone", "why")
    return Veto(
        tenant=table.read("tenant", a_named(TenantId)),
        zone=table.read("zone", a_named(ZoneId)),
        why=table.read("why", names),
    )
