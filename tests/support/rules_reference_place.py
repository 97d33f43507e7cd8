"""The reference's ground, and what it says of where people are and in whose company. See `rules_reference`."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gatekeeper.core.facts import Companion, Facts, Request
from gatekeeper.model.people import Agreement, Holder, HolderKind
from gatekeeper.model.places import AccessPoint, Direction, Zone
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AntiPassback, Differ, Enforcement, Escort, Occupancy, TwoPersons

__all__ = ["InPlace", "is_open", "lies_in", "protected_by", "up", "way", "zone_of"]

# -- the ground -------------------------------------------------------------------------------------------------------


def zone_of(written: SitePolicy, name: str) -> Zone:
    return next(zone for zone in written.zones if zone.id == name)


def up(written: SitePolicy, name: str) -> Iterator[Zone]:
    """A zone and what it lies in, to the top."""
    at: str | None = name
    while at is not None:
        zone = zone_of(written, at)
        yield zone
        at = zone.parent


def lies_in(written: SitePolicy, inner: str, outer: str) -> bool:
    return any(zone.id == outer for zone in up(written, inner))


def way(written: SitePolicy, point: AccessPoint) -> tuple[list[Zone], list[Zone]]:
    """The zones that one who passes comes into, and those that one goes out of; innermost first."""
    into = [zone for zone in up(written, point.target) if not lies_in(written, point.source, zone.id)]
    out_of = [zone for zone in up(written, point.source) if not lies_in(written, point.target, zone.id)]
    return into, out_of


def goes_out(written: SitePolicy, point: AccessPoint) -> bool:
    """Whether a door leads out: so it is written, and it leads neither in from outside nor into what is protected more."""
    if point.direction is Direction.IN:
        return False
    if point.target == written.outside or lies_in(written, point.source, point.target):
        return True
    more = zone_of(written, point.target).level > zone_of(written, point.source).level
    return not more and point.source != written.outside


def protected_by(written: SitePolicy, point: AccessPoint) -> Zone:
    """The zone that a door protects: the one that is left on the way out, else the one that is entered."""
    return zone_of(written, point.source if goes_out(written, point) else point.target)


def is_open(written: SitePolicy, schedule: str, now: datetime) -> bool:
    """Whether the wall clock of the site stands in a window of a schedule."""
    wanted = next(one for one in written.schedules if one.id == schedule)
    wall = now.astimezone(ZoneInfo(written.time_zone))
    special = wall.date() in wanted.special_days
    windows = wanted.special if special else wanted.week[wall.isoweekday() - 1]
    return any(window.since <= wall.hour * 60 + wall.minute < window.until for window in windows)


class InPlace:
    """One request, as far as it is a matter of place and company; each method yields the reasons that it gives."""

    def __init__(
        self,
        written: SitePolicy,
        agreements: Mapping[Any, Agreement],
        facts: Facts,
        request: Request,
        now: datetime,
        point: AccessPoint,
    ) -> None:
        self.written, self.facts, self.request, self.now, self.point = written, facts, request, now, point
        self.agreements = agreements
        self.badge, self.holder, self.past = facts.badge, facts.holder, facts.past
        self.out = goes_out(written, point)
        self.zone = protected_by(written, point)
        self.into, self.out_of = way(written, point)
        self.reported: set[Reason] = set()

    def demands(self) -> list[Any]:
        """What the alert state demands, and every state below it."""
        states = self.written.alert_states[: self.facts.alert + 1]
        return [self.written.rules.alerts[state] for state in states if state in self.written.rules.alerts]

    def roles(self) -> set[Any]:
        if self.holder is None or self.badge is None or self.holder.tenant != self.badge.tenant:
            return set()
        return {(self.holder.tenant, profile) for profile in self.holder.profiles}

    # -- where people are ----------------------------------------------------------------------------------------------

    def is_inside_already(self) -> bool:
        """By the site's memory, whoever asks is in the zone that would be entered (and not where one would come from)."""
        here = self.facts.whereabouts
        if here is None or not lies_in(self.written, here, self.point.target):
            return False
        comes_from_within = lies_in(self.written, self.point.source, self.point.target)
        return not (comes_from_within and lies_in(self.written, here, self.point.source))

    def being_inside(self) -> Iterator[Reason]:
        rule = self.zone.rules.passback
        if rule.mode is AntiPassback.NONE or not self.is_inside_already():
            return
        stayed = None if self.past.since is None else self.now - self.past.since
        if stayed is not None and rule.forgotten is not None and stayed >= rule.forgotten:
            return
        if rule.mode is AntiPassback.TIMED and rule.within is not None:
            if stayed is None or stayed < rule.within:
                yield Reason.PASSBACK
        elif rule.mode is AntiPassback.HARD:
            yield Reason.PASSBACK
        else:
            yield Reason.PASSBACK_DETECTED

    def location(self) -> Iterator[Reason]:
        here = self.facts.whereabouts
        if here is None or here == self.point.source or self.is_inside_already():
            return
        yield from self.enforced(
            Reason.UNEXPECTED_LOCATION,
            [
                zone.rules.unexpected_location
                for zone in self.into
                if zone.rules.unexpected_location is not None
            ],
        )

    def enforced(self, reason: Reason, how: list[Enforcement]) -> Iterator[Reason]:
        """A reason that some zones give: denied when one of them denies, else only reported."""
        if Enforcement.DENIED in how:
            yield reason
        elif how:
            self.reported.add(reason)

    def travel(self) -> Iterator[Reason]:
        for travel in self.written.rules.travels:
            if self.past.last_point is None or self.past.last_at is None:
                continue
            between = travel.between == {self.past.last_point, self.point.id}
            if between and self.past.last_at + travel.least > self.now:
                yield Reason.IMPOSSIBLE_TRAVEL

    def doors(self) -> Iterator[Reason]:
        for interlock in self.written.rules.interlocks:
            others = interlock.access_points - {self.point.id}
            if self.point.id in interlock.access_points and others & self.past.open_doors:
                yield Reason.INTERLOCK

    def limits(self, zones: list[Zone]) -> Iterator[tuple[Occupancy, int, int, list[Companion]]]:
        """The limits that anybody who passes counts for: how many are inside without whoever asks, whether that one
        counts, and who counts of those who pass along."""
        for zone in zones:
            rule = zone.rules.occupancy
            if rule is None:
                continue
            me = 1 if self.is_person() and not rule.exempt & self.roles() else 0
            along = [one for one in self.party() if self.is_counted(one, rule)]
            if me or along:
                yield rule, self.past.crowds.get(zone.id, 0), me, along

    def is_person(self) -> bool:
        return self.holder is None or self.holder.kind is not HolderKind.VEHICLE

    @staticmethod
    def is_counted(one: Companion, rule: Occupancy) -> bool:
        return one.kind is not HolderKind.VEHICLE and not rule.exempt & one.roles

    def crowd(self) -> Iterator[Reason]:
        full = []
        for rule, inside, me, along in self.limits(self.into):
            if rule.most is not None and inside + len(along) + me > rule.most:
                full.append(rule.enforcement)
        yield from self.enforced(Reason.UPPER_OCCUPANCY, full)

    def lonely(self) -> Iterator[Reason]:
        alone = []
        for rule, inside, me, along in self.limits(self.into):
            together = [one for one in along if self.lately(one, rule.within)]
            if rule.least is not None and inside + me + len(together) < rule.least:
                alone.append(rule.enforcement)
        for rule, inside, _, along in self.limits(self.out_of):
            if rule.least is not None and 0 < inside - len(along) < rule.least:
                alone.append(rule.enforcement)
        yield from self.enforced(Reason.LOWER_OCCUPANCY, alone)

    # -- in company ----------------------------------------------------------------------------------------------------

    def lately(self, one: Companion, within: timedelta) -> bool:
        asked = self.past.asked or self.now
        return one.at <= asked <= one.at + within

    def waiting(self, within: timedelta) -> list[Companion]:
        """Who waits here and may pass with whoever asks, the latest first."""
        return [
            one
            for one in reversed(self.past.company)
            if one.waiting
            and self.holder is not None
            and one.holder != self.holder.id
            and self.lately(one, within)
            and all(self.may_lead(one, rule) for rule in self.escort_rules() if self.is_led(one, rule))
        ]

    def escort_rules(self) -> list[Escort]:
        """Every rule about an escort that holds on the way in."""
        if self.out:
            return []
        rules = [zone.rules.escort for zone in self.into]
        if any(demands.escort for demands in self.demands()):
            rules.append(self.written.rules.escort)
        return [rule for rule in rules if rule is not None]

    @staticmethod
    def is_led(one: Companion, rule: Escort) -> bool:
        return one.kind in rule.kinds and not one.roles & rule.profiles

    def may_lead(self, one: Companion, rule: Escort) -> bool:
        """Whether whoever asks may be the host of one who waits."""
        if self.holder is None or self.am_led(rule):
            return False
        named = (self.holder.id, self.holder.tenant) == (one.host, one.tenant)
        return named or bool(self.roles() & rule.profiles)

    def led(self) -> list[Companion]:
        """Those who would pass along and need a host: whoever asks would be theirs."""
        return [one for one in self.party() if any(self.is_led(one, rule) for rule in self.escort_rules())]

    def am_led(self, rule: Escort) -> bool:
        return self.holder is not None and self.holder.kind in rule.kinds and not self.roles() & rule.profiles

    def pair_rules(self) -> list[TwoPersons]:
        rules = [zone.rules.two_persons for zone in self.into]
        rules += [
            zone.rules.two_persons
            for zone in self.out_of
            if zone.rules.two_persons is not None and zone.rules.two_persons.leaving
        ]
        return [rule for rule in rules if rule is not None]

    def is_second(self, one: Companion, rule: TwoPersons, holder: Holder) -> bool:
        if one.kind is HolderKind.VEHICLE or (rule.profiles and not rule.profiles & one.roles):
            return False
        if rule.differ is Differ.TENANT:
            return one.tenant != holder.tenant
        if rule.differ is Differ.ROLE:
            return not any(role in one.roles and role in self.roles() for role in rule.profiles)
        return True

    def counts(self, rule: TwoPersons) -> bool:
        return self.is_person() and (not rule.profiles or bool(rule.profiles & self.roles()))

    def party(self) -> list[Companion]:
        """Who would pass along."""
        if self.holder is None:
            return []
        along: dict[str, Companion] = {}
        for rule in self.pair_rules():
            if self.counts(rule):
                fits = [one for one in self.waiting(rule.within) if self.is_second(one, rule, self.holder)]
                along |= {one.holder: one for one in fits[:1]}
        for limit in [zone.rules.occupancy for zone in (*self.into, *self.out_of)]:
            if limit is None or limit.least is None or not self.is_person():
                continue
            if not limit.exempt & self.roles():
                fits = [one for one in self.waiting(limit.within) if self.is_counted(one, limit)]
                along |= {one.holder: one for one in fits[: limit.least - 1]}
        window = self.driver_window()
        if window is not None:
            fits = [one for one in self.waiting(window) if self.drive(one)]
            along |= {one.holder: one for one in fits[:1]}
        escorts = self.escort_rules()
        if escorts:
            for one in self.waiting(min(rule.within for rule in escorts)):
                led = any(self.is_led(one, rule) for rule in escorts)
                if led and one.holder not in along and self.has_room(list(along.values()), escorts):
                    along[one.holder] = one
        return list(along.values())

    def has_room(self, along: list[Companion], escorts: list[Escort]) -> bool:
        """Whether whoever asks may bring one more guest beside those who pass along."""
        guests = [one for one in along if any(self.is_led(one, rule) for rule in escorts)]
        if any(self.past.brought + len(guests) >= rule.most for rule in escorts):
            return False
        for zone in self.into:
            rule = zone.rules.occupancy
            if rule is None or rule.most is None or rule.enforcement is not Enforcement.DENIED:
                continue
            coming = [one for one in along if self.is_counted(one, rule)]
            me = 1 if self.is_person() and not rule.exempt & self.roles() else 0
            if self.past.crowds.get(zone.id, 0) + len(coming) + me >= rule.most:
                return False
        return True

    def first_person(self) -> Iterator[Reason]:
        for zone in self.into:
            rule = zone.rules.first_person
            if rule is None or rule.profiles & self.roles():
                continue
            led = self.led()
            if any(one.roles & rule.profiles for one in self.party() if one not in led):
                continue
            opened = self.past.opened.get(zone.id)
            if opened is None or opened + rule.lasting <= self.now:
                yield Reason.FIRST_PERSON

    def pair(self) -> Iterator[Reason]:
        for rule in self.pair_rules():
            if self.holder is None:
                continue
            there = [one for one in self.waiting(rule.within) if one.kind is not HolderKind.VEHICLE]
            if not self.counts(rule):
                yield Reason.INCORRECT_ACCOMPANIMENT
            elif not there:
                yield Reason.NO_ACCOMPANIMENT
            elif not any(self.is_second(one, rule, self.holder) for one in there):
                yield Reason.INCORRECT_ACCOMPANIMENT

    def host(self) -> Companion | None:
        """The host with whom whoever asks comes in: the last who was let in here, lately, and has room."""
        needing = [rule for rule in self.escort_rules() if self.am_led(rule)]
        if self.holder is None or not needing:
            return None
        for one in reversed(self.past.company):
            named = (one.holder, one.tenant) == (self.holder.host, self.holder.tenant)
            fits = [
                (named or bool(one.roles & rule.profiles))
                and not self.is_led(one, rule)
                and self.lately(one, rule.within)
                and one.brought < rule.most
                for rule in needing
            ]
            if not one.waiting and all(fits):
                return one
        return None

    def escort(self) -> Iterator[Reason]:
        for rule in self.escort_rules():
            alone = self.am_led(rule) and self.host() is None
            led = [one for one in self.party() if self.is_led(one, rule)]
            full = bool(led) and self.past.brought + len(led) > rule.most
            if alone or full:
                yield Reason.NO_ESCORT
        demanded = any(demands.escort for demands in self.demands())
        if not demanded and all(zone.rules.escort is None for zone in self.out_of):
            return
        if self.past.visitors - {one.holder for one in self.party()}:
            yield Reason.VISITORS_INSIDE

    def driver_window(self) -> timedelta | None:
        windows = [zone.rules.driver for zone in (*self.into, *self.out_of) if zone.rules.driver is not None]
        return min(windows) if windows else None

    def drive(self, one: Companion) -> bool:
        return self.holder is not None and [one.kind.value, self.holder.kind.value].count("vehicle") == 1

    def vehicle(self) -> Iterator[Reason]:
        window = self.driver_window()
        if window is None or self.holder is None:
            return
        if not any(self.drive(one) for one in self.waiting(window)):
            yield Reason.NO_DRIVER
