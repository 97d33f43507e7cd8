"""Reading a site file: from the document (TOML or canonical JSON) to a `SitePolicy`, strictly.

Every problem is reported with the place where it stands, all at once; a file with one problem gives no policy.
Unknown keys are problems: a misspelt rule must not silently be no rule.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, ScheduleId, SiteId, TenantId, ZoneId
from gatekeeper.model.people import Agreement, Tenant, Veto
from gatekeeper.model.places import AccessPoint, Direction, Gate, Zone
from gatekeeper.model.policy import Calendar, Grant, Profile, SitePolicy
from gatekeeper.model.rules import AntiPassback
from gatekeeper.model.schedule import Schedule, Window, week_of
from gatekeeper.model.site_file.check import cross_check, review
from gatekeeper.model.site_file.lines import Lines
from gatekeeper.model.site_file.population import EXTRA_KEYS
from gatekeeper.model.site_file.reading import (
    Reading,
    SiteFileError,
    Table,
    a_date,
    a_name,
    a_number,
    a_time_zone,
    a_window,
    an_instant,
    names,
    one_of,
    only,
)
from gatekeeper.model.site_file.rules import RULE_KEYS, read_site_rules, read_zone_rules

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
    *RULE_KEYS,
)
_DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_HIGHEST_LEVEL = 5
_HIGHEST_ASSURANCE = 3


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
    """Read and cross-check a site's description. Raises `SiteFileError` with every problem."""
    reading = Reading(None)
    policy = _read(document, reading)
    reading.raise_if_wrong()
    return policy


def read_site_file(document: Mapping[str, Any], *, lines: Lines | None = None) -> SitePolicy:
    """Read a file that a person wrote: as `read_site`, and refuse also what can be written and is never meant.

    Raises `SiteFileError` with every problem; `lines` says where each stands.
    """
    reading = Reading(lines)
    policy = _read(document, reading)
    review(policy, document, reading)
    reading.raise_if_wrong()
    return policy


def _read(document: Mapping[str, Any], reading: Reading) -> SitePolicy:
    top = Table(document)
    with reading.at("the file", (), top):
        only(top, *_POLICY_KEYS, *EXTRA_KEYS)
    policy = _site(document, reading)
    if policy is None:
        raise SiteFileError(reading.problems)
    cross_check(policy, document, reading)
    return policy


def _site(document: Mapping[str, Any], reading: Reading) -> SitePolicy | None:
    """Read all tables, also when [site] is wrong; None when it is too wrong to name its host and states."""
    site = Table(document.get("site", {}))
    host, states, unlock = TenantId(str(site.get("host"))), _states(site), site.get("unlock_seconds", 5)
    calendars = _all(document, "calendar", reading, _calendar)
    by_calendar = {calendar.id: calendar for calendar in calendars}
    tables: dict[str, Any] = {
        "tenants": _all(document, "tenant", reading, lambda table: _tenant(table, host)),
        "zones": _all(document, "zone", reading, _zone),
        "gates": _all(document, "gate", reading, _gate),
        "access_points": _all(document, "access_point", reading, lambda table: _access_point(table, unlock)),
        "calendars": calendars,
        "schedules": _all(document, "schedule", reading, lambda table: _schedule(table, by_calendar)),
        "profiles": _all(document, "profile", reading, lambda table: _profile(table, states)),
        "vetoes": _all(document, "veto", reading, _veto),
        "rules": read_site_rules(document, states, reading),
    }
    with reading.at("site", ("site",), site):
        only(site, "id", "name", "time_zone", "host", "outside", "alert_states", "unlock_seconds")
        a_number(site.optional("unlock_seconds", 5), 60)
        if not states or len(set(site["alert_states"])) != len(states):
            raise ValueError("a list of different names is wanted, calmest first")
        return SitePolicy(
            site=SiteId(a_name(site["id"])),
            names=names(site["name"]),
            time_zone=a_time_zone(site["time_zone"]),
            host=TenantId(a_name(site["host"])),
            outside=ZoneId(a_name(site["outside"])),
            alert_states=states,
            **tables,
        )
    return None  # type: ignore[unreachable]  # reached when `at` has kept a problem


def _states(site: Table) -> tuple[str, ...]:
    """The names of the alert states, or none when they are no list of names."""
    written = site.get("alert_states")
    try:
        return tuple(map(a_name, written)) if isinstance(written, list) else ()
    except ValueError:
        return ()


def _all(document: Mapping[str, Any], what: str, reading: Reading, read: Any) -> tuple[Any, ...]:
    found = []
    for said, place, table in reading.each(document, what):
        with reading.at(said, place, table):
            found.append(read(table))
    return tuple(found)


def _tenant(table: Table, host: TenantId) -> Tenant:
    only(table, "id", "name", "agreement")
    tenant = TenantId(a_name(table["id"]))
    is_host = tenant == host
    if is_host and "agreement" in table:
        raise ValueError("the host has no agreement: it is the one who makes them")
    if not is_host and "agreement" not in table:
        raise ValueError("agreement is missing: only the host goes without")
    agreement = None if is_host else _agreement(Table(table["agreement"]), tenant)
    return Tenant(id=tenant, names=names(table["name"]), is_host=is_host, agreement=agreement)


def _agreement(table: Table, tenant: TenantId) -> Agreement:
    only(table, "ceiling", "zones", "from", "until", "badge_days")
    since, until = an_instant(table["from"]), an_instant(table["until"])
    if since >= until:
        raise ValueError("the agreement ends before it begins")
    return Agreement(
        tenant=tenant,
        ceiling=a_number(table["ceiling"], _HIGHEST_LEVEL),
        zones=frozenset(ZoneId(a_name(zone)) for zone in table["zones"]),
        since=since,
        until=until,
        badge_life=timedelta(days=a_number(table["badge_days"], 3660)),
    )


def _zone(table: Table) -> Zone:
    only(table, "id", "name", "parent", "owner", "level", "assurance", "anti_passback", "rules")
    return Zone(
        id=ZoneId(a_name(table["id"])),
        names=names(table["name"]),
        parent=ZoneId(a_name(table["parent"])) if "parent" in table else None,
        owner=TenantId(a_name(table["owner"])),
        level=a_number(table["level"], _HIGHEST_LEVEL),
        assurance=a_number(table["assurance"], _HIGHEST_ASSURANCE),
        rules=read_zone_rules(AntiPassback(table["anti_passback"]), table.optional("rules", {})),
    )


def _gate(table: Table) -> Gate:
    only(table, "id", "name")
    return Gate(id=GateId(a_name(table["id"])), names=names(table["name"]))


def _access_point(table: Table, unlock: int) -> AccessPoint:
    only(table, "id", "name", "gate", "from", "to", "direction", "unlock_seconds")
    return AccessPoint(
        id=AccessPointId(a_name(table["id"])),
        names=names(table["name"]),
        gate=GateId(a_name(table["gate"])),
        source=ZoneId(a_name(table["from"])),
        target=ZoneId(a_name(table["to"])),
        direction=Direction(table["direction"]),
        unlock=timedelta(seconds=a_number(table.optional("unlock_seconds", unlock), 60)),
    )


def _calendar(table: Table) -> Calendar:
    only(table, "id", "days")
    days = {}
    for day in map(Table, table["days"]):
        only(day, "date", "name")
        if a_date(day["date"]) in days:
            raise ValueError(f"{day['date']} stands here twice")
        days[a_date(day["date"])] = names(day["name"])
    return Calendar(id=a_name(table["id"]), days=days)


def _schedule(table: Table, calendars: Mapping[str, Calendar]) -> Schedule:
    only(table, "id", "name", "windows", "calendar", "on_special_days")
    if ("calendar" in table) != ("on_special_days" in table):
        raise ValueError("calendar and on_special_days go together")
    calendar = table.optional("calendar", None)
    if calendar is not None and calendar not in calendars:
        raise ValueError(f"there is no calendar {calendar!r}")
    week: dict[int, list[Window]] = {}
    for entry in map(Table, table["windows"]):
        only(entry, "days", "from", "until")
        for day in entry["days"]:
            week.setdefault(_DAYS[one_of(day, tuple(_DAYS))], []).append(a_window(entry))
    special = tuple(sorted(a_window(entry) for entry in table.optional("on_special_days", ())))
    if not week and not special:
        raise ValueError("it is never open: give it windows")
    return Schedule(
        id=ScheduleId(a_name(table["id"])),
        names=names(table["name"]),
        week=week_of(week),
        special_days=frozenset(calendars[calendar].days) if calendar is not None else frozenset(),
        special=special,
    )


def _profile(table: Table, states: tuple[str, ...]) -> Profile:
    only(table, "id", "tenant", "name", "grants")
    return Profile(
        id=ProfileId(a_name(table["id"])),
        tenant=TenantId(a_name(table["tenant"])),
        names=names(table["name"]),
        grants=tuple(_grant(Table(grant), states) for grant in table["grants"]),
    )


def _grant(table: Table, states: tuple[str, ...]) -> Grant:
    only(table, "zone", "access_point", "schedule", "highest_alert")
    if ("zone" in table) == ("access_point" in table):
        raise ValueError("a grant names a zone or an access point, and one of them only")
    return Grant(
        zone=ZoneId(a_name(table["zone"])) if "zone" in table else None,
        access_point=AccessPointId(a_name(table["access_point"])) if "access_point" in table else None,
        schedule=ScheduleId(a_name(table["schedule"])),
        highest_alert=states.index(one_of(table["highest_alert"], states)),
    )


def _veto(table: Table) -> Veto:
    only(table, "tenant", "zone", "why")
    return Veto(
        tenant=TenantId(a_name(table["tenant"])), zone=ZoneId(a_name(table["zone"])), why=names(table["why"])
    )
