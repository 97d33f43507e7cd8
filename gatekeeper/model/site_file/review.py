"""What can be written in a site file, and fits together, and is never meant.

Rights above an agreement, doors that let people past what a zone demands, zones that nobody can leave.

A person's file is refused for it; a policy that the host signed is not, because what is in force must stay readable.
"""

from collections.abc import Mapping

from gatekeeper.model.ids import AccessPointId, GateId, ZoneId
from gatekeeper.model.places import AccessPoint, Direction, Zone
from gatekeeper.model.policy import Profile, SitePolicy
from gatekeeper.model.retention import Kept
from gatekeeper.model.site_file.check import Known
from gatekeeper.model.site_file.lines import Place
from gatekeeper.model.site_file.population import Bridge, Population
from gatekeeper.model.site_file.reading import Reading, is_read, tables_of
from gatekeeper.model.site_file.retention import KEYS

__all__ = ["review"]


def review(policy: SitePolicy, population: Population, bridges: tuple[Bridge, ...], reading: Reading) -> None:
    """Report what is never meant, and people and bridges that do not fit the site."""
    review = _Review(policy, reading)
    for profile in policy.profiles:
        review.ceilings(profile)
    review.outside()
    review.directions()
    review.ways()
    review.alerts()
    review.retention()
    review.people(population)
    review.bridges(bridges)


class _Review(Known):
    """One look over a file."""

    def __init__(self, policy: SitePolicy, reading: Reading) -> None:
        super().__init__(reading)
        self._policy = policy
        self._zones: Mapping[ZoneId, Zone] = {zone.id: zone for zone in policy.zones}

    def _around(self, zone: ZoneId) -> set[ZoneId]:
        """All that a zone lies in; the world outside lies in nothing, whatever is written."""
        found: set[ZoneId] = set()
        at = self._zones.get(zone) if zone != self._policy.outside else None
        while at is not None and at.parent is not None and at.parent not in found:
            found.add(at.parent)
            at = self._zones.get(at.parent)
        return found

    def _level(self, zone: ZoneId) -> int | None:
        """How a zone is protected, when that could be read."""
        return self._zones[zone].level if zone in self._zones else None

    def ceilings(self, profile: Profile) -> None:
        """A profile grants nothing above its tenant's agreement."""
        agreements = {tenant.id: tenant.agreement for tenant in self._policy.tenants}
        ceiling = agreement.ceiling if (agreement := agreements.get(profile.tenant)) is not None else None
        protected = {point.id: point.protected for point in self._policy.access_points}
        for number, grant in enumerate(profile.grants, 1):
            zone = grant.zone or (protected.get(grant.access_point) if grant.access_point else None)
            level = self._level(zone) if zone is not None else None
            if ceiling is not None and level is not None and level > ceiling:
                what = f"{zone} has level {level}, above the ceiling {ceiling} of the agreement"
                place: Place = (*self.place_of(profile), "grants", number)
                self.reading.problem(f"profile {profile.id}", what, place)

    def retention(self) -> None:
        """No tenant keeps its people's data for longer than the host allows; no body goes before what it commits to."""
        kept = self._policy.retention
        for tenant, periods in kept.tenants.items():
            place = (*self.place("tenant", tenant), "retention")
            for kind in periods:
                if periods[kind] > kept.site[kind]:
                    key, most = KEYS[kind][0], kept.site[kind].days
                    what = f"{periods[kind].days} are more than the host's {most}"
                    self.reading.problem(f"tenant {tenant}, retention, {key}", what, place, key)
        if kept.site[Kept.ENTRIES] < kept.site[Kept.PERSONAL]:
            what = "entries go before the personal parts that they commit to: give them as many days or more"
            self.reading.problem("retention, entries_days", what, ("retention",), KEYS[Kept.ENTRIES][0])

    def outside(self) -> None:
        """The world outside lies in no zone."""
        outside = self._zones.get(self._policy.outside)
        if outside is not None and outside.parent is not None:
            place = self.place("zone", outside.id)
            self.reading.problem(
                f"zone {outside.id}, parent", "the world outside lies in no zone", place, "parent"
            )

    def directions(self) -> None:
        """A door in leads to what it protects; a door out asks nothing of where it leads, so it leads to less."""
        for point in self._policy.access_points:
            ends = (point.source, point.target)
            if all(map(is_read, ends)) and point.source != point.target and (what := self._wrong_way(point)):
                place = self.place("access_point", point.id)
                self.reading.problem(f"access_point {point.id}, direction", what, place, "direction")

    def _wrong_way(self, point: AccessPoint) -> str:
        around = self._around(point.source)
        if point.source in around or not is_read(point.direction):
            return ""  # in a circle nothing is further in
        outwards = point.target == self._policy.outside or point.target in around
        if point.direction is Direction.IN:
            return f'it leads out of {point.source}: write direction = "out"' if outwards else ""
        left, entered = self._level(point.source), self._level(point.target)
        more = left is not None and entered is not None and entered > left
        if not outwards and (more or point.source == self._policy.outside):
            return f'it asks nothing of what {point.target} demands: write direction = "in"'
        return ""

    def ways(self) -> None:
        """A zone that can be entered can be left, and the other way round: presence depends on it."""
        points = self._policy.access_points
        written = tables_of(self.reading.document, "access_point")
        ends = {end for point in points for end in (point.source, point.target)}
        if written is None or len(written) != len(points) or not all(map(is_read, ends)):
            return  # which doors there are is not known
        entered, left = {point.target for point in points}, {point.source for point in points}
        for zone in self._policy.zones:
            missing = [what for what, zones in (("in", entered), ("out", left)) if zone.id not in zones]
            if len(missing) == 1:
                self.reading.problem(
                    f"zone {zone.id}", f"no access point leads {missing[0]}", self.place("zone", zone.id)
                )

    def alerts(self) -> None:
        """No alert state keeps the host out of its own site."""
        for number, table in enumerate(tables_of(self.reading.document, "alert") or (), 1):
            excluded = table.get("excluded") if isinstance(table, Mapping) else None
            if isinstance(excluded, list | tuple) and self._policy.host in excluded:
                said = f"alert {table.get('state', number)}, excluded"
                what = f"{self._policy.host} is the host, and no alert state keeps the host out"
                self.reading.problem(said, what, ("alert", number), "excluded")

    def people(self, population: Population) -> None:
        """Invented people belong to tenants, have their profiles, and live in zones."""
        for number, group in enumerate(population.groups, 1):
            said, place = f"population group {number}", ("population", "group", number)
            self.must("zone", group.home, said, place, "home")
            self.must("tenant", group.tenant, said, place, "tenant")
            for profile in (
                group.profiles if is_read(group.tenant) and self.knows("tenant", group.tenant) else ()
            ):
                if not self.knows_profile((group.tenant, profile)):
                    self.reading.problem(
                        said, f"{group.tenant} has no profile {profile!r}", place, "profiles"
                    )

    def bridges(self, bridges: tuple[Bridge, ...]) -> None:
        """A bridge stands at an access point of its gate, at no door of an interlock, and there is one for a gate."""
        gates = {point.id: point.gate for point in self._policy.access_points}
        seen = set[GateId]()
        for number, bridge in enumerate(bridges, 1):
            said, place = f"bridge {number}", ("bridge", number)
            if not is_read(bridge.gate) or not is_read(bridge.access_point):
                continue
            if not self._stands_at(bridge, gates):
                what = f"{bridge.gate} has no access point {bridge.access_point!r}"
                self.reading.problem(said, what, place, "access_point")
            if bridge.gate in seen:
                self.reading.problem(said, f"{bridge.gate} has a bridge already", place, "gate")
            seen.add(bridge.gate)
            for interlock in self._policy.rules.interlocks:
                for point in sorted(interlock.access_points):
                    if gates.get(point) == bridge.gate:
                        what = (
                            f"a stock reader has no contact, so {point} cannot be in interlock {interlock.id}"
                        )
                        self.reading.problem(said, what, place, "access_point")

    def _stands_at(self, bridge: Bridge, gates: Mapping[AccessPointId, GateId]) -> bool:
        """Whether an access point belongs to a gate, or may."""
        if bridge.access_point not in gates:
            return self.knows("access_point", bridge.access_point)
        gate = gates[bridge.access_point]
        return gate == bridge.gate or not is_read(gate)
