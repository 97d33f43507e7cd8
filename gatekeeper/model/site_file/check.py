"""Holding a site file together: everything that is referred to exists, once; zones are a tree that people can walk.

A table that could not be read counts by its name, so that one mistake is told once and not at everything that refers to it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gatekeeper.model.ids import ZoneId
from gatekeeper.model.people import Tenant
from gatekeeper.model.policy import Profile, SitePolicy
from gatekeeper.model.rules import Escort, ProfileRef, SiteRules, ZoneRules
from gatekeeper.model.site_file.lines import Place
from gatekeeper.model.site_file.reading import Reading

__all__ = ["cross_check", "review"]

_KINDS = ("tenant", "zone", "gate", "access_point", "calendar", "schedule", "interlock", "event", "call_up")


def cross_check(policy: SitePolicy, document: Mapping[str, Any], reading: Reading) -> None:
    """Report everything in a file that does not fit together."""
    check = _Check(document, reading)
    for kind in _KINDS:
        check.unique(kind)
    check.profiles()
    check.site(policy)
    for tenant in policy.tenants:
        check.tenant(tenant)
    for profile in policy.profiles:
        check.profile(profile)
    check.places(policy)
    check.vetoes(policy)
    check.rules(policy.rules)
    check.tree(policy)


def review(policy: SitePolicy, document: Mapping[str, Any], reading: Reading) -> None:
    """Report what fits together and is never meant: rights that no agreement covers, zones that nobody can leave."""
    check = _Check(document, reading)
    for profile in policy.profiles:
        check.ceilings(profile, policy)
    check.ways(policy)


class _Check:
    """The names of a file, and what is said about them."""

    def __init__(self, document: Mapping[str, Any], reading: Reading) -> None:
        self._document = document
        self._reading = reading
        self._known = {kind: frozenset(self._ids(kind)) for kind in _KINDS}
        self._profiles = [
            (table.get("tenant"), table.get("id"))
            for table in document.get("profile", ())
            if isinstance(table, Mapping)
        ]

    def _ids(self, kind: str) -> list[str]:
        tables = self._document.get(kind, ())
        return [str(table.get("id")) for table in tables if isinstance(table, Mapping)]

    def _place(self, kind: str, name: str) -> Place:
        ids = self._ids(kind)
        return (kind, ids.index(name) + 1) if name in ids else (kind,)

    def _must(self, kind: str, name: str | None, said: str, place: Place, key: str = "") -> None:
        if name is not None and name not in self._known[kind]:
            self._reading.problem(said, f"there is no {kind} {name!r}", place, key)

    def _must_profiles(self, profiles: Iterable[ProfileRef], said: str, place: Place) -> None:
        for tenant, profile in sorted(set(profiles) - set(self._profiles)):
            self._reading.problem(said, f"there is no profile {profile!r} of tenant {tenant!r}", place)

    def unique(self, kind: str) -> None:
        """A name stands once."""
        for name, times in Counter(self._ids(kind)).items():
            if times > 1:
                self._reading.problem(f"{kind} {name}", "it stands here twice", self._place(kind, name))

    def profiles(self) -> None:
        """A tenant has one profile of a name."""
        for (tenant, profile), times in Counter(self._profiles).items():
            if times > 1:
                self._reading.problem(f"profile {tenant} {profile}", "it stands here twice", ("profile",))

    def site(self, policy: SitePolicy) -> None:
        """The site's host and the world outside exist."""
        self._must("tenant", policy.host, "site", ("site",), "host")
        self._must("zone", policy.outside, "site", ("site",), "outside")

    def tenant(self, tenant: Tenant) -> None:
        """An agreement names zones that there are."""
        place = (*self._place("tenant", tenant.id), "agreement")
        for zone in sorted(tenant.agreement.zones) if tenant.agreement else ():
            self._must("zone", zone, f"tenant {tenant.id} agreement", place, "zones")

    def profile(self, profile: Profile) -> None:
        """A profile names what there is."""
        said = f"profile {profile.id}"
        place: Place = ("profile", self._profiles.index((profile.tenant, profile.id)) + 1)
        self._must("tenant", profile.tenant, said, place, "tenant")
        for grant in profile.grants:
            self._must("zone", grant.zone, said, place, "grants")
            self._must("access_point", grant.access_point, said, place, "grants")
            self._must("schedule", grant.schedule, said, place, "grants")

    def ceilings(self, profile: Profile, policy: SitePolicy) -> None:
        """A profile grants nothing above its tenant's agreement."""
        said = f"profile {profile.id}"
        place: Place = ("profile", self._profiles.index((profile.tenant, profile.id)) + 1)
        levels = {zone.id: zone.level for zone in policy.zones}
        protected = {point.id: point.protected for point in policy.access_points}
        agreements = {tenant.id: tenant.agreement for tenant in policy.tenants}
        agreement = agreements.get(profile.tenant)
        for grant in profile.grants:
            zone = grant.zone or (
                protected.get(grant.access_point) if grant.access_point is not None else None
            )
            if agreement is not None and zone is not None and levels.get(zone, 0) > agreement.ceiling:
                what = (
                    f"{zone} has level {levels[zone]}, above the ceiling {agreement.ceiling} of the agreement"
                )
                self._reading.problem(said, what, place, "grants")

    def places(self, policy: SitePolicy) -> None:
        """Zones and access points name what there is."""
        for zone in policy.zones:
            said, place = f"zone {zone.id}", self._place("zone", zone.id)
            self._must("zone", zone.parent, said, place, "parent")
            self._must("tenant", zone.owner, said, place, "owner")
            self._zone_rules(zone.rules, said, (*place, "rules"))
        for point in policy.access_points:
            said, place = f"access_point {point.id}", self._place("access_point", point.id)
            self._must("gate", point.gate, said, place, "gate")
            self._must("zone", point.source, said, place, "from")
            self._must("zone", point.target, said, place, "to")
            if point.source == point.target:
                self._reading.problem(said, "it leads from a zone to the same zone", place, "to")

    def _zone_rules(self, rules: ZoneRules, said: str, place: Place) -> None:
        if rules.second_factor is not None and rules.second_factor.schedule is not None:
            self._must("schedule", rules.second_factor.schedule, said, place, "pin")
        profiles: set[ProfileRef] = set()
        if rules.occupancy is not None:
            profiles |= rules.occupancy.exempt
        if rules.two_persons is not None:
            profiles |= rules.two_persons.profiles
        if rules.first_person is not None:
            profiles |= rules.first_person.profiles
        self._must_profiles(profiles | _escorts(rules.escort), said, place)

    def vetoes(self, policy: SitePolicy) -> None:
        """A veto is against a tenant, in a zone."""
        for number, veto in enumerate(policy.vetoes, 1):
            said, place = f"veto {number}", ("veto", number)
            self._must("tenant", veto.tenant, said, place, "tenant")
            self._must("zone", veto.zone, said, place, "zone")
            if veto.tenant == policy.host:
                self._reading.problem(said, "the host does not veto itself", place, "tenant")

    def rules(self, rules: SiteRules) -> None:
        """The site's own rules name what there is."""
        self._must_profiles(_escorts(rules.escort), "rules", ("rules",))
        for state, demands in rules.alerts.items():
            for tenant in sorted(demands.excluded):
                self._must("tenant", tenant, f"alert {state}", ("alert",), "excluded")
            if demands.escort and rules.escort is None:
                self._reading.problem(
                    f"alert {state}", "it asks for an escort, and [rules] names none", ("alert",)
                )
        for interlock in rules.interlocks:
            for point in sorted(interlock.access_points):
                self._must(
                    "access_point", point, f"interlock {interlock.id}", self._place("interlock", interlock.id)
                )
        for number, travel in enumerate(rules.travels, 1):
            for point in sorted(travel.between):
                self._must("access_point", point, f"travel {number}", ("travel", number), "between")
        for event in rules.events:
            for zone in sorted(event.zones):
                self._must("zone", zone, f"event {event.id}", self._place("event", event.id), "zones")
        for call_up in rules.call_ups:
            self._must_profiles(call_up.profiles, f"call_up {call_up.id}", self._place("call_up", call_up.id))

    def tree(self, policy: SitePolicy) -> None:
        """Zones lie in one another, and never in themselves."""
        parents = {zone.id: zone.parent for zone in policy.zones}
        for zone in parents:
            seen: set[ZoneId] = set()
            at: ZoneId | None = zone
            while at is not None and at not in seen:
                seen.add(at)
                at = parents.get(at)
            if at is not None:
                self._reading.problem(
                    f"zone {zone}", "its parents lead in a circle", self._place("zone", zone), "parent"
                )

    def ways(self, policy: SitePolicy) -> None:
        """A zone that can be entered can be left, and the other way round: presence depends on it."""
        entered = {point.target for point in policy.access_points}
        left = {point.source for point in policy.access_points}
        for zone in policy.zones:
            missing = [what for what, zones in (("in", entered), ("out", left)) if zone.id not in zones]
            if len(missing) == 1:
                self._reading.problem(
                    f"zone {zone.id}", f"no access point leads {missing[0]}", self._place("zone", zone.id)
                )


def _escorts(escort: Escort | None) -> frozenset[ProfileRef]:
    return escort.profiles if escort is not None else frozenset()
