"""What a site remembers of people, badges and doors, for the rules that ask for the past.

    whereabouts   who is where (see `presence`), and so who counts in every zone with a limit
    usage         of a badge: how often, when and where it was last let through, its late failures, its lock-out
    opened        when the first person came into a zone
    company       who asked at an access point just now: waits for company, or was let in and may bring guests
    doors         which doors of interlocks are open

The first three are committed with the entry that changes them and come back with the site. Company is a matter of seconds:
after a restart people badge again. A door counts as shut until its gate says otherwise, and one that was forced or is held
as open until its gate says that it is closed again. It belongs to the flow, which alone changes it, in order.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import NO_PAST, Companion, Factor, Past, Request
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.core.register import Register
from gatekeeper.core.trust import Trust
from gatekeeper.core.verify import Presented
from gatekeeper.model.badges import Badge
from gatekeeper.model.ids import AccessPointId, BadgeId, HolderId, ZoneId
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.rules import LockOut, ProfileRef

__all__ = ["LONGEST_WINDOW", "NEVER_USED", "Asked", "Memory", "Usage"]

LONGEST_WINDOW = timedelta(hours=1)
"""No window of a rule about company is longer (the site file says so)."""

_DOOR_GRACE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What became of one badge so far. `failures` are the late refusals that count towards a lock-out."""

    uses: int
    last_at: datetime | None
    last_point: AccessPointId | None
    failures: tuple[datetime, ...]
    locked_until: datetime | None
    pin_tries: int = 0
    """Wrong PINs in a row that came with this badge; what counts is the sum over all badges of its holder."""
    pin_blocked_until: datetime | None = None


NEVER_USED = Usage(uses=0, last_at=None, last_point=None, failures=(), locked_until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody who asked at an access point just now, and with what: enough to ask for them again."""

    who: Companion
    presented: Presented
    request: Request
    draw: int | None


@dataclass(frozen=True, slots=True)
class _Opening:
    """By which grant a zone was opened, and when it had been opened before."""

    grant: int
    before: datetime | None


class Memory:
    """One site's memory. `take` is told what the flow decided; `past` tells what a rule may ask."""

    def __init__(self, policy: Policy) -> None:
        self.whereabouts: dict[HolderId, Presence] = {}
        self.usage: dict[BadgeId, Usage] = {}
        self.opened: dict[ZoneId, datetime] = {}
        self._company: dict[AccessPointId, list[Asked]] = {}
        self._openings: dict[ZoneId, _Opening] = {}
        self._doors: dict[AccessPointId, datetime | None] = {}
        self._guests: dict[HolderId, set[HolderId]] = {}
        self._on_grant: dict[int, set[HolderId]] = {}
        self._counted: dict[ZoneId, set[HolderId]] = {}
        self._limited: Mapping[ZoneId, tuple[ZoneId, ...]] = {}
        self._policy = policy
        self._keeps_usage = False

    # -- coming back, and another policy ------------------------------------------------------------------------------

    def restore(
        self,
        presences: Iterable[Presence],
        usage: Mapping[BadgeId, Usage],
        opened: Mapping[ZoneId, datetime],
        *,
        register: Register,
        trust: Trust,
    ) -> None:
        """Take over what a former engine committed."""
        self.whereabouts = {presence.holder: presence for presence in presences}
        self.usage, self.opened = dict(usage), dict(opened)
        self.adopt(self._policy, register=register, trust=trust)

    def adopt(self, policy: Policy, *, register: Register, trust: Trust) -> None:
        """Count anew under a policy: limits, and whom they exempt, may have changed."""
        self._policy = policy
        limited = [zone.id for zone in policy.zones.values() if zone.rules.occupancy is not None]
        self._limited = {
            zone: tuple(outer for outer in limited if zone in policy.inside[outer]) for zone in policy.zones
        }
        self._counted = {zone: set() for zone in limited}
        self._keeps_usage = bool(policy.rules.inactivity or policy.rules.travels)
        self._guests = {}
        self._on_grant = {}
        self.part_company()
        for presence in self.whereabouts.values():
            self._count(presence, register.holder(presence.holder, trust=trust))

    def part_company(self) -> None:
        """Forget who waits at which door: what they lacked was said under other circumstances. They badge again."""
        self._company = {}

    def leaves_company(self, holder: HolderId | None) -> None:
        """Of a holder something else is said now: they wait nowhere and bring nobody. Of one who is not known, nobody does."""
        if holder is None:
            self.part_company()
            return
        for door, company in self._company.items():
            self._company[door] = [one for one in company if one.who.holder != holder]

    # -- what the rules may ask ---------------------------------------------------------------------------------------

    def past(
        self,
        point: Point,
        badge: Badge,
        holder: Holder | None,
        *,
        factor: Factor,
        draw: int | None,
        now: datetime,
        asked: bool,
    ) -> Past:
        """What happened before, as far as it is asked for here."""
        usage = self.usage.get(badge.id, NEVER_USED)
        locked = usage.locked_until if usage.locked_until is not None and now < usage.locked_until else None
        if not asked and locked is None and badge.max_uses is None and factor is Factor.NONE:
            return NO_PAST
        here = self.whereabouts.get(holder.id) if holder is not None else None
        return Past(
            since=here.since if here is not None else None,
            last_point=usage.last_point,
            last_at=usage.last_at,
            visitors=self._visitors(point, holder),
            uses=usage.uses,
            last_used=usage.last_at,
            locked_until=locked,
            factor=self._factor(badge, holder, factor, now),
            crowds=self._crowds(point, holder),
            company=self._lately(point, now),
            opened={
                zone: self.opened[zone]
                for zone, rules in point.entered
                if rules.first_person is not None and zone in self.opened
            },
            open_doors=frozenset(door for door in point.interlocked if self._is_open(door, now)),
            draw=draw if any(rules.search is not None for _, rules in point.entered) else None,
        )

    def _factor(self, badge: Badge, holder: Holder | None, factor: Factor, now: datetime) -> Factor:
        if factor is Factor.NONE:
            return factor
        blocks = [usage.pin_blocked_until for usage in self._usage_of(badge, holder).values()]
        return Factor.BLOCKED if any(until is not None and now < until for until in blocks) else factor

    def pin_typed(
        self, badge: Badge, holder: Holder | None, factor: Factor, *, now: datetime
    ) -> list[tuple[BadgeId, Usage]]:
        """A PIN was typed: count wrong ones in a row, and block after too many; give what changed, badge by badge.

        A PIN is its holder's, and so are the tries: they count over all their badges.
        """
        before = self._usage_of(badge, holder)
        match factor:
            case Factor.WRONG:
                after = self._one_more_wrong(badge, before, now)
            case Factor.RIGHT | Factor.DURESS:
                after = {
                    one: replace(usage, pin_tries=0, pin_blocked_until=None)
                    for one, usage in before.items()
                    if usage.pin_tries or usage.pin_blocked_until is not None
                }
            case _:
                return []
        self.usage |= after
        return list(after.items())

    def _one_more_wrong(
        self, badge: Badge, before: Mapping[BadgeId, Usage], now: datetime
    ) -> dict[BadgeId, Usage]:
        limit, used = self._policy.rules.pin, before[badge.id]
        if sum(usage.pin_tries for usage in before.values()) + 1 < limit.tries:
            return {badge.id: replace(used, pin_tries=used.pin_tries + 1)}
        after = {one: replace(usage, pin_tries=0) for one, usage in before.items() if usage.pin_tries}
        return after | {badge.id: replace(used, pin_tries=0, pin_blocked_until=now + limit.blocked)}

    def _usage_of(self, badge: Badge, holder: Holder | None) -> dict[BadgeId, Usage]:
        """What became of a badge, and of all others of its holder."""
        held = () if holder is None else holder.badges
        return {one: self.usage.get(one, NEVER_USED) for one in (badge.id, *held)}

    def _crowds(self, point: Point, holder: Holder | None) -> dict[ZoneId, int]:
        found = {}
        for zone, rules in (*point.entered, *point.left):
            if rules.occupancy is not None:
                inside = self._counted.get(zone, set())
                found[zone] = len(inside) - (holder is not None and holder.id in inside)
        return found

    def _visitors(self, point: Point, holder: Holder | None) -> int:
        if holder is None or not point.left:
            return 0
        everywhere = self._policy.rules.escort is not None
        escorting = {zone for zone, rules in point.left if everywhere or rules.escort is not None}
        guests = self._guests.get(holder.id, set())
        return sum(self._is_within(self.whereabouts[guest].zone, escorting) for guest in guests)

    def _is_within(self, zone: ZoneId, zones: Iterable[ZoneId]) -> bool:
        return any(zone in self._policy.inside.get(outer, ()) for outer in zones)

    def _lately(self, point: Point, now: datetime) -> tuple[Companion, ...]:
        company = [one for one in self._company.get(point.id, ()) if now - one.who.at <= LONGEST_WINDOW]
        if company:
            self._company[point.id] = company
        else:
            self._company.pop(point.id, None)
        return tuple(
            one.who for one in company if one.who.waiting or self._has_come_in(one.who.holder, point)
        )

    def _has_come_in(self, host: HolderId, point: Point) -> bool:
        """Whether somebody who was let in here is in there still: only then do they bring guests in."""
        here = self.whereabouts.get(host)
        return here is not None and self._is_within(here.zone, [zone for zone, _ in point.entered])

    def _is_open(self, door: AccessPointId, now: datetime) -> bool:
        if door not in self._doors:
            return False
        until = self._doors[door]
        return until is None or now < until

    def waiting(self, point: AccessPointId) -> list[Asked]:
        """Who waits for company at an access point."""
        return [one for one in self._company.get(point, ()) if one.who.waiting]

    def waits_no_more(self, point: AccessPointId, holder: HolderId) -> None:
        """Somebody who waited at an access point would be denied by now."""
        self._company[point] = [
            one for one in self._company.get(point, ()) if not (one.who.waiting and one.who.holder == holder)
        ]

    # -- what happened ------------------------------------------------------------------------------------------------

    def move(self, presence: Presence, holder: Holder | None) -> None:
        """Somebody is somewhere else now."""
        self._forget_count(presence.holder)
        self.whereabouts[presence.holder] = presence
        self._count(presence, holder)

    def forgive(self, holder: HolderId) -> bool:
        """Forget where somebody is; False when nobody knew."""
        self._forget_count(holder)
        return self.whereabouts.pop(holder, None) is not None

    def on_grant(self, grant: int) -> tuple[HolderId, ...]:
        """Who was let through on a grant (the seq of its entry) and has not moved since."""
        return tuple(sorted(self._on_grant.get(grant, ())))

    def _count(self, presence: Presence, holder: Holder | None) -> None:
        roles = (
            frozenset((holder.tenant, profile) for profile in holder.profiles)
            if holder is not None
            else frozenset()
        )
        for zone in self._limited.get(presence.zone, ()):
            limit = self._policy.zones[zone].rules.occupancy
            if limit is not None and limit.exempt.isdisjoint(roles):
                self._counted[zone].add(presence.holder)
        if presence.quality is Quality.GRANTED:
            self._on_grant.setdefault(presence.seq, set()).add(presence.holder)
        if presence.host is not None:
            self._guests.setdefault(presence.host, set()).add(presence.holder)

    def _forget_count(self, holder: HolderId) -> None:
        before = self.whereabouts.get(holder)
        if before is None:
            return
        for zone in self._limited.get(before.zone, ()):
            self._counted[zone].discard(holder)
        if before.quality is Quality.GRANTED:
            waiting = self._on_grant.get(before.seq, set())
            waiting.discard(holder)
            if not waiting:
                self._on_grant.pop(before.seq, None)
        if before.host is not None:
            self._guests.get(before.host, set()).discard(holder)

    def granted(
        self, point: Point, decision: Decision, asked: Asked, *, now: datetime, grant: int
    ) -> list[tuple[BadgeId, Usage]]:
        """Somebody was let through, and a party with them: open what they open, keep who may bring guests, count every badge."""
        me = asked.who
        party = {one.holder for one in decision.party}
        came_along = [
            one for one in self._company.get(point.id, ()) if one.who.waiting and one.who.holder in party
        ]
        self._wait_no_more({me.holder, *party}, point)
        if (
            any(rules.escort is not None for _, rules in point.entered)
            or self._policy.rules.escort is not None
        ):
            host = replace(me, waiting=False, brought=self._brought(me.holder, point))
            self._company.setdefault(point.id, []).append(replace(asked, who=host))
        coming = me.roles.union(*(one.roles for one in decision.party if one.holder not in decision.guests))
        self.opens(point, coming, at=now, grant=grant)
        if point.interlocked:
            self.door_opened(point.id, until=now + point.unlock + _DOOR_GRACE)
        badges = [one.presented.badge for one in (asked, *came_along)]
        used = [(badge.id, self.used(badge, point, at=now)) for badge in badges if badge is not None]
        return [(badge, usage) for badge, usage in used if usage is not None]

    def opens(self, point: Point, roles: Collection[ProfileRef], *, at: datetime, grant: int) -> None:
        """People of these profiles come in: zones that wait for a first person among them are open from now on."""
        for zone, rules in point.entered:
            if rules.first_person is not None and not rules.first_person.profiles.isdisjoint(roles):
                self._openings[zone] = _Opening(grant, self.opened.get(zone))
                self.opened[zone] = at

    def opened_by(self, grant: int) -> tuple[tuple[ZoneId, datetime], ...]:
        """The zones that a grant has opened, and when."""
        return tuple((zone, self.opened[zone]) for zone, one in self._openings.items() if one.grant == grant)

    def opens_nothing(self, grant: int) -> tuple[tuple[ZoneId, datetime | None], ...]:
        """Nobody passed on a grant: what it opened is as it was before; None for a zone that nobody had opened."""
        taken_back = [zone for zone, one in self._openings.items() if one.grant == grant]
        found = []
        for zone in taken_back:
            before = self._openings.pop(zone).before
            if before is None:
                del self.opened[zone]
            else:
                self.opened[zone] = before
            found.append((zone, before))
        return tuple(found)

    def used(self, badge: Badge, point: Point, *, at: datetime) -> Usage | None:
        """A badge was let through; None where nothing asks how often, when or where."""
        before = self.usage.get(badge.id, NEVER_USED)
        if not self._keeps_usage and badge.max_uses is None and before == NEVER_USED:
            return None
        usage = self.usage[badge.id] = replace(
            before, uses=before.uses + 1, last_at=at, last_point=point.id, failures=(), locked_until=None
        )
        return usage

    def _wait_no_more(self, gone: Collection[HolderId], point: Point) -> None:
        """Who passed waits at no door; what they brought in here before counts anew."""
        for door, company in list(self._company.items()):
            left = [
                one
                for one in company
                if one.who.holder not in gone or not (one.who.waiting or door == point.id)
            ]
            if left:
                self._company[door] = left
            else:
                del self._company[door]

    def _brought(self, host: HolderId, point: Point) -> int:
        """How many visitors a host has brought into the zones that he comes into, and are still there."""
        entered = [zone for zone, _ in point.entered]
        guests = self._guests.get(host, set())
        return sum(self._is_within(self.whereabouts[guest].zone, entered) for guest in guests)

    def brought_by(self, point: AccessPointId, host: HolderId) -> None:
        """A host who was let in before has brought one more guest."""
        self._company[point] = [
            replace(one, who=replace(one.who, brought=one.who.brought + 1))
            if one.who.holder == host and not one.who.waiting
            else one
            for one in self._company.get(point, ())
        ]

    def refused(
        self, point: Point, badge: Badge, decision: Decision, asked: Asked | None, *, now: datetime
    ) -> Usage | None:
        """A badge was refused: it waits for company, or it counts towards a lock-out."""
        if decision.waits_for_company and asked is not None:
            company = self._company.get(point.id, ())
            self._company[point.id] = [*(one for one in company if one.who.holder != asked.who.holder), asked]
            return None
        rule = self._policy.rules.lock_out
        return self._failed(badge, rule, now) if rule is not None else None

    def _failed(self, badge: Badge, rule: LockOut, now: datetime) -> Usage | None:
        before = self.usage.get(badge.id, NEVER_USED)
        if before.locked_until is not None and now < before.locked_until:
            return None
        failures = (*(at for at in before.failures if now - at < rule.within), now)
        locked = now + rule.lasting if len(failures) >= rule.failures else None
        usage = self.usage[badge.id] = replace(
            before, failures=() if locked is not None else failures, locked_until=locked
        )
        return usage

    def door_opened(self, door: AccessPointId, *, until: datetime | None) -> None:
        """A door of a lock stands open: until then at most, or (None) until its gate says that it is closed again."""
        stands_open = door in self._doors and self._doors[door] is None
        if not stands_open:
            self._doors[door] = until

    def door_closed(self, door: AccessPointId) -> None:
        """A door of a lock is shut."""
        self._doors.pop(door, None)

    def door_unused(self, door: AccessPointId) -> None:
        """A door was released and not opened; one that stands open for another reason still does."""
        if self._doors.get(door) is not None:
            del self._doors[door]
