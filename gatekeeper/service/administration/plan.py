"""What a ceremony is to make: a site file read to the end, with its policy, its bridges and its people.

Every problem of the file is found before the first key is made.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from gatekeeper.core.policy_document import MAX_POLICY_BYTES
from gatekeeper.model.ids import GateId
from gatekeeper.model.places import AccessPoint
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.site_file import (
    Bridge,
    Population,
    SiteFileError,
    policy_document,
    read_bridges,
    read_population,
    read_site_file,
)
from gatekeeper.service.administration.population import Person, generate

__all__ = ["Plan", "must_be_tables", "read_plan"]

_T = TypeVar("_T")
_ONE_TABLE = ("site", "population")
_MANY_TABLES = (
    "tenant",
    "zone",
    "gate",
    "access_point",
    "calendar",
    "schedule",
    "profile",
    "veto",
    "bridge",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A site to be founded."""

    document: Mapping[str, Any]
    written: SitePolicy
    bridges: Mapping[GateId, Bridge]
    people: tuple[Person, ...]

    def access_points(self, gate: GateId) -> tuple[AccessPoint, ...]:
        """The access points of one gate."""
        return tuple(point for point in self.written.access_points if point.gate == gate)


def must_be_tables(document: Mapping[str, Any]) -> None:
    """See that a file is made of the tables that a site file is made of. Raises `SiteFileError`."""
    problems = [
        f"{key}: a table is wanted, written [{key}]"
        for key in _ONE_TABLE
        if key in document and not isinstance(document[key], Mapping)
    ]
    problems += [
        f"{key}: tables are wanted, each written [[{key}]]"
        for key in _MANY_TABLES
        if key in document and not _are_tables(document[key])
    ]
    population = document.get("population")
    if isinstance(population, Mapping) and not _are_tables(population.get("group", [])):
        problems.append("population group: tables are wanted, each written [[population.group]]")
    if problems:
        raise SiteFileError(problems)


def _are_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(table, Mapping) for table in value)


def read_plan(document: Mapping[str, Any], *, now: datetime) -> Plan:
    """Read a site file for founding. Raises `SiteFileError` with every problem."""
    must_be_tables(document)
    problems: list[str] = []
    written = _collect(read_site_file, document, problems)
    population = _collect(read_population, document, problems)
    bridges = _collect(read_bridges, document, problems)
    if written is not None:
        problems += _population_problems(population, written, now) if population is not None else ()
        problems += _bridge_problems(bridges, written) if bridges is not None else ()
        if len(policy_document(document)) > MAX_POLICY_BYTES:
            problems.append(f"the file: its policy is over {MAX_POLICY_BYTES} bytes")
    if problems or written is None or population is None or bridges is None:
        raise SiteFileError(problems)
    return Plan(
        document=document,
        written=written,
        bridges={bridge.gate: bridge for bridge in bridges},
        people=generate(population),
    )


def _collect(
    read: Callable[[Mapping[str, Any]], _T], document: Mapping[str, Any], into: list[str]
) -> _T | None:
    try:
        return read(document)
    except SiteFileError as error:
        into += error.problems
        return None


def _population_problems(population: Population, written: SitePolicy, now: datetime) -> Iterator[str]:
    tenants = {tenant.id: tenant for tenant in written.tenants}
    profiles = {(profile.tenant, profile.id) for profile in written.profiles}
    zones = {zone.id for zone in written.zones}
    for number, group in enumerate(population.groups, 1):
        place = f"population group {number}"
        if group.home not in zones:
            yield f"{place}: there is no zone {group.home!r}"
        if group.tenant not in tenants:
            yield f"{place}: there is no tenant {group.tenant!r}"
            continue
        for profile in group.profiles:
            if (group.tenant, profile) not in profiles:
                yield f"{place}: {group.tenant} has no profile {profile!r}"
        agreement = tenants[group.tenant].agreement
        if agreement is not None and agreement.until <= now:
            yield f"{place}: the agreement of {group.tenant} has ended, so it issues no badges"


def _bridge_problems(bridges: tuple[Bridge, ...], written: SitePolicy) -> Iterator[str]:
    gates = {point.id: point.gate for point in written.access_points}
    seen = set[GateId]()
    for number, bridge in enumerate(bridges, 1):
        if gates.get(bridge.access_point) != bridge.gate:
            yield f"bridge {number}: {bridge.gate} has no access point {bridge.access_point!r}"
        if bridge.gate in seen:
            yield f"bridge {number}: {bridge.gate} has a bridge already"
        seen.add(bridge.gate)
