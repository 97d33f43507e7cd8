"""Holding a site file together: everything that is referred to exists, once, and zones are a tree.

A table that could not be read counts by its name, so that one mistake is told once and not at everything that refers to it.
Where a table has no name that can be read, nothing is said of names of its kind: which are missing is not known.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gatekeeper.model.ids import ZoneId, is_name
from gatekeeper.model.people import Tenant
from gatekeeper.model.policy import Profile, SitePolicy
from gatekeeper.model.rules import Escort, ProfileRef, SiteRules, ZoneRules
from gatekeeper.model.site_file.lines import Place
from gatekeeper.model.site_file.reading import Reading, is_read, tables_of

__all__ = ["Known", "cross_check", "ids_in"]

_KINDS = ("tenant", "zone", "gate", "access_point", "calendar", "schedule", "interlock", "event", "call_up")


def cross_check(policy: SitePolicy, reading: Reading) -> None:
    """Report everything in a file that does not fit together."""
    check = _Check(reading)
    check.twice()
    check.site(policy)
    for tenant in policy.tenants:
        check.tenant(tenant)
    check.places(policy)
    check.calendars()
    for profile in policy.profiles:
        check.profile(profile)
    check.vetoes(policy)
    check.rules(policy.rules)
    check.tree(policy)


def ids_in(document: Mapping[str, Any], kind: str) -> list[str]:
    """The names of the tables of a kind, "" for one that has none that can be read."""
    return [_text(table, "id") for table in tables_of(document, kind) or ()]


def _text(table: object, key: str) -> str:
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) and is_name(value) else ""


class Known:
    """The names of a file: where each stands, and what is said where one is missing."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        document = reading.document
        self._ids = {kind: ids_in(document, kind) for kind in _KINDS}
        self._profiles = [
            (_text(table, "tenant"), _text(table, "id")) for table in tables_of(document, "profile") or ()
        ]
        self._unsure = {kind for kind in _KINDS if tables_of(document, kind) is None or "" in self._ids[kind]}
        if tables_of(document, "profile") is None or any("" in profile for profile in self._profiles):
            self._unsure.add("profile")

    def knows(self, kind: str, name: str) -> bool:
        """Whether there is a thing of a name, or may be."""
        return kind in self._unsure or name in self._ids[kind]

    def must(self, kind: str, name: str | None, said: str, place: Place, key: str = "") -> None:
        """Tell when there is no thing of a name."""
        if name is not None and not self.knows(kind, name):
            self.reading.problem(said, f"there is no {kind} {name!r}", place, key)

    def knows_profile(self, profile: ProfileRef) -> bool:
        """Whether a tenant has a profile of a name, or may have."""
        return "profile" in self._unsure or profile in self._profiles

    def must_profiles(self, profiles: Iterable[ProfileRef], said: str, place: Place, key: str) -> None:
        """Tell which of some profiles there are not."""
        for tenant, profile in sorted(profiles):
            if not self.knows_profile((tenant, profile)):
                self.reading.problem(
                    said, f"there is no profile {profile!r} of tenant {tenant!r}", place, key
                )

    def place(self, kind: str, name: str) -> Place:
        """Where a thing stands."""
        return (kind, self._ids[kind].index(name) + 1) if name in self._ids[kind] else (kind,)

    def place_of(self, profile: Profile) -> Place:
        """Where a profile stands."""
        full = (profile.tenant, profile.id)
        return ("profile", self._profiles.index(full) + 1) if full in self._profiles else ("profile",)


class _Check(Known):
    """What is said about the names of a file."""

    def twice(self) -> None:
        """A name stands once, also where it is another key than `id` that names."""
        for kind in _KINDS:
            self._once(kind, self._ids[kind])
        self._once("profile", [" ".join(name) if all(name) else "" for name in self._profiles])
        document = self.reading.document
        states = [_text(table, "state") for table in tables_of(document, "alert") or ()]
        self._once("alert", states)
        self._once("travel", [_pair(table) for table in tables_of(document, "travel") or ()])

    def _once(self, kind: str, found: list[str]) -> None:
        for name, times in Counter(found).items():
            if times > 1 and name:
                second = found.index(name, found.index(name) + 1)
                self.reading.problem(f"{kind} {name}", "it stands here twice", (kind, second + 1))

    def site(self, policy: SitePolicy) -> None:
        """The site's host and the world outside exist."""
        self.must("tenant", policy.host, "site", ("site",), "host")
        self.must("zone", policy.outside, "site", ("site",), "outside")

    def tenant(self, tenant: Tenant) -> None:
        """An agreement names zones that there are."""
        place = (*self.place("tenant", tenant.id), "agreement")
        for zone in sorted(tenant.agreement.zones) if tenant.agreement else ():
            self.must("zone", zone, f"tenant {tenant.id} agreement", place, "zones")

    def profile(self, profile: Profile) -> None:
        """A profile names what there is."""
        said, place = f"profile {profile.id}", self.place_of(profile)
        self.must("tenant", profile.tenant, said, place, "tenant")
        for number, grant in enumerate(profile.grants, 1):
            at: Place = (*place, "grants", number)
            self.must("zone", grant.zone, said, at, "zone")
            self.must("access_point", grant.access_point, said, at, "access_point")
            self.must("schedule", grant.schedule, said, at, "schedule")

    def places(self, policy: SitePolicy) -> None:
        """Zones and access points name what there is."""
        for zone in policy.zones:
            said, place = f"zone {zone.id}", self.place("zone", zone.id)
            self.must("zone", zone.parent, said, place, "parent")
            self.must("tenant", zone.owner, said, place, "owner")
            self._zone_rules(zone.rules, said, (*place, "rules"))
        for point in policy.access_points:
            said, place = f"access_point {point.id}", self.place("access_point", point.id)
            self.must("gate", point.gate, said, place, "gate")
            self.must("zone", point.source, said, place, "from")
            self.must("zone", point.target, said, place, "to")
            if is_read(point.source) and point.source == point.target:
                self.reading.problem(said, "it leads from a zone to the same zone", place, "to")

    def _zone_rules(self, rules: ZoneRules, said: str, place: Place) -> None:
        if rules.second_factor is not None:
            self.must("schedule", rules.second_factor.schedule, said, place, "pin")
        if rules.occupancy is not None:
            self.must_profiles(rules.occupancy.exempt, said, (*place, "occupancy"), "exempt")
        if rules.two_persons is not None:
            self.must_profiles(rules.two_persons.profiles, said, (*place, "two_persons"), "profiles")
        if rules.first_person is not None:
            self.must_profiles(rules.first_person.profiles, said, (*place, "first_person"), "profiles")
        self._escort(rules.escort, said, place)

    def _escort(self, escort: Escort | None, said: str, place: Place) -> None:
        if escort is not None:
            self.must_profiles(escort.profiles, said, (*place, "escort"), "by")

    def calendars(self) -> None:
        """A schedule follows a calendar that there is."""
        for number, table in enumerate(tables_of(self.reading.document, "schedule") or (), 1):
            calendar = _text(table, "calendar")
            if calendar:
                said = f"schedule {_text(table, 'id') or number}, calendar"
                self.must("calendar", calendar, said, ("schedule", number), "calendar")

    def vetoes(self, policy: SitePolicy) -> None:
        """A veto is against a tenant, in a zone."""
        for number, veto in enumerate(policy.vetoes, 1):
            said, place = f"veto {number}", ("veto", number)
            self.must("tenant", veto.tenant, said, place, "tenant")
            self.must("zone", veto.zone, said, place, "zone")
            if is_read(veto.tenant) and veto.tenant == policy.host:
                self.reading.problem(said, "the host does not veto itself", place, "tenant")

    def rules(self, rules: SiteRules) -> None:
        """The site's own rules name what there is."""
        self._escort(rules.escort, "rules", ("rules",))
        self._alerts(rules)
        for interlock in rules.interlocks:
            place = self.place("interlock", interlock.id)
            for point in sorted(interlock.access_points):
                self.must("access_point", point, f"interlock {interlock.id}", place, "access_points")
        for number, travel in enumerate(rules.travels, 1):
            for point in sorted(travel.between):
                self.must("access_point", point, f"travel {number}", ("travel", number), "between")
        for event in rules.events:
            for zone in sorted(event.zones):
                self.must("zone", zone, f"event {event.id}", self.place("event", event.id), "zones")
        for call_up in rules.call_ups:
            place = self.place("call_up", call_up.id)
            self.must_profiles(call_up.profiles, f"call_up {call_up.id}", place, "profiles")

    def _alerts(self, rules: SiteRules) -> None:
        document = self.reading.document
        states = [_text(table, "state") for table in tables_of(document, "alert") or ()]
        site = document.get("rules", {})
        has_escort = not isinstance(site, Mapping) or "escort" in site
        for state, demands in rules.alerts.items():
            said = f"alert {state}"
            place: Place = ("alert", states.index(state) + 1) if state in states else ("alert",)
            for tenant in sorted(demands.excluded):
                self.must("tenant", tenant, said, place, "excluded")
            if demands.escort and not has_escort:
                self.reading.problem(said, "it asks for an escort, and [rules] names none", place, "escort")

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
                self.reading.problem(
                    f"zone {zone}", "its parents lead in a circle", self.place("zone", zone), "parent"
                )


def _pair(table: object) -> str:
    """The access points of a travelling time, in one order; nothing when they cannot be read."""
    between = table.get("between") if isinstance(table, Mapping) else None
    if not isinstance(between, list | tuple) or not all(isinstance(point, str) for point in between):
        return ""
    return " and ".join(sorted(set(between)))
