"""What stands in a site file and is no policy: the invented people of an example site, and the bridges of stock readers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.site_file.forms import a_choice, a_flag, a_member, a_named, a_number, a_text
from gatekeeper.model.site_file.lines import Lines
from gatekeeper.model.site_file.reading import Reading, Table, only

__all__ = [
    "EXTRA_KEYS",
    "Bridge",
    "Population",
    "PopulationGroup",
    "bridges_in",
    "population_in",
    "read_bridges",
    "read_population",
]

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
    pin: bool
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
    reading = Reading(document, lines)
    population = population_in(reading)
    reading.raise_if_wrong()
    return population


def read_bridges(document: Mapping[str, Any], *, lines: Lines | None = None) -> tuple[Bridge, ...]:
    """Read the bridges of a site. Raises `SiteFileError`."""
    reading = Reading(document, lines)
    bridges = bridges_in(reading)
    reading.raise_if_wrong()
    return bridges


def population_in(reading: Reading) -> Population:
    """The people of the file that is being read."""
    table = reading.one("population")
    seed = 0
    if table is not None:
        only(table, "seed", "group")
        seed = table.read("seed", a_number(1 << 53))
    return Population(seed=seed, groups=tuple(_group(group) for group in reading.each("population", "group")))


def _group(table: Table) -> PopulationGroup:
    only(table, "tenant", "kind", "count", "clearance", "assurance", "profiles", "pin", "routine", "home")
    return PopulationGroup(
        tenant=table.read("tenant", a_named(TenantId)),
        kind=table.read("kind", a_member(HolderKind)),
        count=table.read("count", a_number(1_000_000)),
        clearance=table.read("clearance", a_number(_HIGHEST_LEVEL)),
        assurance=table.read("assurance", a_number(_HIGHEST_ASSURANCE)),
        profiles=table.each("profiles", a_named(ProfileId)),
        pin=table.maybe("pin", a_flag, False),  # noqa: FBT003 - a value of the file
        routine=table.read("routine", a_choice(_ROUTINES)),
        home=table.read("home", a_named(ZoneId)),
    )


def bridges_in(reading: Reading) -> tuple[Bridge, ...]:
    """The bridges of the file that is being read."""
    return tuple(_bridge(table) for table in reading.each("bridge"))


def _bridge(table: Table) -> Bridge:
    only(table, "kind", "gate", "topic", "access_point")
    return Bridge(
        kind=table.read("kind", a_choice(("tasmota",))),
        gate=table.read("gate", a_named(GateId)),
        topic=table.read("topic", a_text),
        access_point=table.read("access_point", a_named(AccessPointId)),
    )
