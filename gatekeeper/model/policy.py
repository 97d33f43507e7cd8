"""The site's policy: as it is written, and as it is compiled for deciding.

`SitePolicy` is the site file as values. `compile_policy` folds it, with the agreements that host and tenants signed,
into a `Policy`: immutable, one row per access point with everything a rule asks, named by the hash of what it was
made from. Compiling the same sources gives the same version, on any machine; the engine swaps policies whole.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, ScheduleId, SiteId, TenantId, ZoneId
from gatekeeper.model.people import Agreement, Names, Tenant, Veto
from gatekeeper.model.places import AccessPoint, Direction, Gate, Zone
from gatekeeper.model.retention import Retention
from gatekeeper.model.rules import AlertDemands, Event, Passback, SiteRules, ZoneRules
from gatekeeper.model.schedule import Schedule, Timetable

__all__ = [
    "SITE_SCOPE",
    "Calendar",
    "Grant",
    "Opening",
    "Point",
    "Policy",
    "Profile",
    "SitePolicy",
    "TenantRights",
    "compile_policy",
    "gate_scope",
    "policy_version",
    "zone_scope",
]

SITE_SCOPE = "site"


def zone_scope(zone: str) -> str:
    """Spell the lockdown scope of a zone and everything inside it."""
    return f"zone:{zone}"


def gate_scope(gate: str) -> str:
    """Spell the lockdown scope of one gate."""
    return f"gate:{gate}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Named special days."""

    id: str
    days: Mapping[date, Names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One line of a profile: a zone (with all inside) or one access point, when, and to which alert state."""

    zone: ZoneId | None
    access_point: AccessPointId | None
    schedule: ScheduleId
    highest_alert: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A tenant's named set of grants."""

    id: ProfileId
    tenant: TenantId
    names: Names
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePolicy:
    """One site as its file describes it, checked for consistency but not yet compiled."""

    site: SiteId
    names: Names
    time_zone: str
    host: TenantId
    outside: ZoneId
    alert_states: tuple[str, ...]
    tenants: tuple[Tenant, ...]
    zones: tuple[Zone, ...]
    gates: tuple[Gate, ...]
    access_points: tuple[AccessPoint, ...]
    calendars: tuple[Calendar, ...]
    schedules: tuple[Schedule, ...]
    profiles: tuple[Profile, ...]
    vetoes: tuple[Veto, ...]
    rules: SiteRules
    retention: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a profile gives at one access point: a schedule's bit, and the highest alert state."""

    schedule: int
    highest_alert: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One access point with everything that the rules ask of its zones."""

    id: AccessPointId
    gate: GateId
    source: ZoneId
    target: ZoneId
    protected: ZoneId
    owner: TenantId
    leaving: bool
    level: int
    assurance: int
    scopes: frozenset[str]
    unlock: timedelta

    # What the zones on the way demand beside that.
    passback: Passback
    passback_zones: frozenset[ZoneId]
    entered: tuple[tuple[ZoneId, ZoneRules], ...]
    """The zones that one who passes comes into, innermost first, and their rules."""
    left: tuple[tuple[ZoneId, ZoneRules], ...]
    """The zones that one who passes goes out of, innermost first, and their rules."""
    certificates: frozenset[str]
    pin_always: bool
    pin_schedules: int
    shadow: frozenset[str]

    # What the site says of this access point.
    interlocked: frozenset[AccessPointId]
    travels: Mapping[AccessPointId, timedelta]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRights:
    """What agreement and vetoes leave of a tenant, with containment unfolded."""

    is_host: bool
    agreement: Agreement | None
    zones: frozenset[ZoneId]
    vetoed: frozenset[ZoneId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The compiled policy; everything is looked up by id, nothing is searched."""

    version: bytes
    site: SiteId
    host: TenantId
    outside: ZoneId
    alert_states: tuple[str, ...]
    zones: Mapping[ZoneId, Zone]
    inside: Mapping[ZoneId, frozenset[ZoneId]]
    points: Mapping[AccessPointId, Point]
    gates: Mapping[GateId, Gate]
    tenants: Mapping[TenantId, TenantRights]
    profiles: Mapping[tuple[TenantId, ProfileId], Mapping[AccessPointId, tuple[Opening, ...]]]
    timetable: Timetable
    rules: SiteRules
    demands: tuple[AlertDemands, ...]
    """What each alert state demands, those below it included."""
    retention: Retention
    folds: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """A memory of `decide`, which alone looks at it and changes no answer by it."""


def compile_policy(
    written: SitePolicy, *, agreements: Mapping[TenantId, Agreement], sources: Sequence[bytes]
) -> Policy:
    """Compile a site's policy with the agreements in its trust list.

    `sources` are the signed documents it was made from, in a fixed order (policy, trust list): their hashes are the
    version. Agreements come from the trust list alone: what the file says of them was only the proposal.
    """
    inside = _containment(written.zones)
    zones = {zone.id: zone for zone in written.zones}
    timetable = Timetable(schedules=written.schedules, time_zone=ZoneInfo(written.time_zone))
    ground = _Ground(written, zones, inside, timetable)
    points = {point.id: _point(point, ground) for point in written.access_points}
    return Policy(
        version=policy_version(sources),
        site=written.site,
        host=written.host,
        outside=written.outside,
        alert_states=written.alert_states,
        zones=MappingProxyType(zones),
        inside=MappingProxyType(inside),
        points=MappingProxyType(points),
        gates=MappingProxyType({gate.id: gate for gate in written.gates}),
        tenants=MappingProxyType(
            {tenant.id: _rights(tenant, written, agreements, inside) for tenant in written.tenants}
        ),
        profiles=MappingProxyType(
            {
                (profile.tenant, profile.id): _openings(profile, points, inside, timetable)
                for profile in written.profiles
            }
        ),
        timetable=timetable,
        rules=written.rules,
        demands=_demands(written),
        retention=written.retention,
    )


def policy_version(sources: Sequence[bytes]) -> bytes:
    """The version of what is compiled from these signed documents."""
    digest = hashlib.sha256(b"gatekeeper-policy-v1\0")
    for source in sources:
        digest.update(hashlib.sha256(source).digest())
    return digest.digest()


def _containment(zones: Sequence[Zone]) -> dict[ZoneId, frozenset[ZoneId]]:
    """For each zone, itself and everything inside it."""
    inside: dict[ZoneId, set[ZoneId]] = {zone.id: {zone.id} for zone in zones}
    parents = {zone.id: zone.parent for zone in zones}
    for zone in zones:
        outer = zone.parent
        while outer is not None:
            inside[outer].add(zone.id)
            outer = parents[outer]
    return {zone: frozenset(members) for zone, members in inside.items()}


@dataclass(frozen=True, slots=True)
class _Ground:
    """What an access point is compiled on."""

    written: SitePolicy
    zones: Mapping[ZoneId, Zone]
    inside: Mapping[ZoneId, frozenset[ZoneId]]
    timetable: Timetable

    def around(self, zone: ZoneId) -> list[ZoneId]:
        """A zone and all that it lies in, innermost first."""
        found: list[ZoneId] = []
        at: ZoneId | None = zone
        while at is not None:
            found.append(at)
            at = self.zones[at].parent
        return found

    def leads_in(self, point: AccessPoint) -> bool:
        """Whether what is written as a way out leads into what is protected more, or in from outside.

        INVARIANT: no way out leads past what a zone demands. A site file that says so is refused; a policy that was signed
        by other means is compiled as if it said "in".
        """
        if point.target == self.written.outside or point.target in self.around(point.source):
            return False
        more = self.zones[point.target].level > self.zones[point.source].level
        return more or point.source == self.written.outside


def _point(written: AccessPoint, ground: _Ground) -> Point:
    if ground.leads_in(written):
        written = replace(written, direction=Direction.IN)
    protected = ground.zones[written.protected]
    to, away = ground.around(written.target), ground.around(written.source)
    entered = [(zone, ground.zones[zone].rules) for zone in to if zone not in away]
    left = [(zone, ground.zones[zone].rules) for zone in away if zone not in to]
    pins = [rules.second_factor for _, rules in entered if rules.second_factor is not None]
    rules = ground.written.rules
    around = ground.around(protected.id)
    return Point(
        id=written.id,
        gate=written.gate,
        source=written.source,
        target=written.target,
        protected=protected.id,
        owner=protected.owner,
        leaving=written.direction is Direction.OUT,
        level=protected.level,
        assurance=protected.assurance,
        scopes=frozenset({SITE_SCOPE, gate_scope(written.gate), *(zone_scope(zone) for zone in around)}),
        unlock=written.unlock,
        passback=protected.rules.passback,
        passback_zones=_passback_zones(written, ground.inside),
        entered=tuple(entered),
        left=tuple(left),
        certificates=frozenset().union(*(rules.certificates for _, rules in entered)),
        pin_always=any(pin.schedule is None for pin in pins),
        pin_schedules=_bits(ground.timetable, [pin.schedule for pin in pins if pin.schedule is not None]),
        shadow=rules.shadow | protected.rules.shadow,
        interlocked=_together(written.id, (interlock.access_points for interlock in rules.interlocks)),
        travels=MappingProxyType(
            {
                other: travel.least
                for travel in rules.travels
                if written.id in travel.between
                for other in travel.between - {written.id}
            }
        ),
        events=tuple(event for event in rules.events if protected.id in _within(event.zones, ground.inside)),
    )


def _bits(timetable: Timetable, schedules: Iterable[ScheduleId]) -> int:
    found = 0
    for schedule in schedules:
        found |= timetable.bit(schedule)
    return found


def _together(point: AccessPointId, groups: Iterable[frozenset[AccessPointId]]) -> frozenset[AccessPointId]:
    """The other doors of every group that a door belongs to."""
    return frozenset().union(*(group for group in groups if point in group)) - {point}


def _demands(written: SitePolicy) -> tuple[AlertDemands, ...]:
    """INVARIANT: a higher alert state demands at least what a lower one does (promise 8)."""
    demands = AlertDemands()
    found = []
    for state in written.alert_states:
        own = written.rules.alerts.get(state, AlertDemands())
        demands = AlertDemands(
            assurance=max(demands.assurance, own.assurance),
            second_factor=demands.second_factor or own.second_factor,
            escort=demands.escort or own.escort,
            excluded=demands.excluded | own.excluded,
        )
        found.append(demands)
    return tuple(found)


def _passback_zones(written: AccessPoint, inside: Mapping[ZoneId, frozenset[ZoneId]]) -> frozenset[ZoneId]:
    """The zones in which somebody who asks to enter the target has, by the site's memory, entered it already."""
    if written.source in inside[written.target]:
        return inside[written.target] - inside[written.source]
    return inside[written.target]


def _rights(
    tenant: Tenant,
    written: SitePolicy,
    agreements: Mapping[TenantId, Agreement],
    inside: Mapping[ZoneId, frozenset[ZoneId]],
) -> TenantRights:
    agreement = agreements.get(tenant.id)
    allowed = frozenset(inside) if tenant.is_host else _within(agreement.zones if agreement else (), inside)
    vetoed = _within((veto.zone for veto in written.vetoes if veto.tenant == tenant.id), inside)
    return TenantRights(is_host=tenant.is_host, agreement=agreement, zones=allowed, vetoed=vetoed)


def _within(zones: Iterable[ZoneId], inside: Mapping[ZoneId, frozenset[ZoneId]]) -> frozenset[ZoneId]:
    """Unfold containment; a zone the site no longer has gives nothing."""
    return frozenset().union(*(inside.get(zone, frozenset()) for zone in zones))


def _openings(
    profile: Profile,
    points: Mapping[AccessPointId, Point],
    inside: Mapping[ZoneId, frozenset[ZoneId]],
    timetable: Timetable,
) -> Mapping[AccessPointId, tuple[Opening, ...]]:
    found: dict[AccessPointId, list[Opening]] = {}
    for grant in profile.grants:
        opening = Opening(timetable.bit(grant.schedule), grant.highest_alert)
        for point in points.values():
            by_zone = grant.zone is not None and point.protected in inside[grant.zone]
            if by_zone or grant.access_point == point.id:
                found.setdefault(point.id, []).append(opening)
    return MappingProxyType({point: tuple(openings) for point, openings in found.items()})
