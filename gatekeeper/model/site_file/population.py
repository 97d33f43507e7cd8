"""What stands in a site file and is no policy: the invented people of an example site, and the bridges of stock readers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.site_file.lines import Lines
from gatekeeper.model.site_file.reading import Reading, Table, a_name, a_number, a_text, one_of, only

__all__ = ["EXTRA_KEYS", "Bridge", "Population", "PopulationGroup", "read_bridges", "read_population"]

EXTRA_KEYS = ("population", "bridge")
_ROUTINES = ("day-shift", "early-shift", "late-shift", "student", "evening", "guard", "visitor")
_HIGHEST_LEVEL = 5
_HIGHEST_ASSURANCE = 3


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


def read_population(document: Mapping[str, Any], *, lines: Lines | None = None) -> Population:
    """Read the generated people of an example site. Raises `SiteFileError`."""
    reading = Reading(lines)
    groups: list[PopulationGroup] = []
    source = Table(document.get("population", {"seed": 0, "group": []}))
    seed = 0
    with reading.at("population", ("population",), source):
        only(source, "seed", "group")
        seed = a_number(source["seed"], 1 << 53)
    for said, place, group in reading.each(document, "population", "group"):
        with reading.at(said, place, group):
            only(group, "tenant", "kind", "count", "clearance", "assurance", "profiles", "routine", "home")
            groups.append(
                PopulationGroup(
                    tenant=TenantId(a_name(group["tenant"])),
                    kind=HolderKind(group["kind"]),
                    count=a_number(group["count"], 1_000_000),
                    clearance=a_number(group["clearance"], _HIGHEST_LEVEL),
                    assurance=a_number(group["assurance"], _HIGHEST_ASSURANCE),
                    profiles=tuple(ProfileId(a_name(profile)) for profile in group["profiles"]),
                    routine=one_of(group["routine"], _ROUTINES),
                    home=ZoneId(a_name(group["home"])),
                )
            )
    reading.raise_if_wrong()
    return Population(seed=seed, groups=tuple(groups))


def read_bridges(document: Mapping[str, Any], *, lines: Lines | None = None) -> tuple[Bridge, ...]:
    """Read the bridges of a site. Raises `SiteFileError`."""
    reading = Reading(lines)
    bridges: list[Bridge] = []
    for said, place, bridge in reading.each(document, "bridge"):
        with reading.at(said, place, bridge):
            only(bridge, "kind", "gate", "topic", "access_point")
            bridges.append(
                Bridge(
                    kind=one_of(bridge["kind"], ("tasmota",)),
                    gate=GateId(a_name(bridge["gate"])),
                    topic=a_text(bridge["topic"]),
                    access_point=AccessPointId(a_name(bridge["access_point"])),
                )
            )
    reading.raise_if_wrong()
    return tuple(bridges)
