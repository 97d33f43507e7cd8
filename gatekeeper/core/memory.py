"""What a site remembers of people, badges and doors, for the rules that ask for the past.

    whereabouts   who is where (see `presence`), and so who counts in every zone with a limit
    usage         of a badge: how often, when and where it was last let through, its late failures, its lock-out
    openings      by which grants a first person came into a zone, and when
    company       who asked at an access point just now: waits for company, or was let in and may bring guests
    doors         which doors of interlocks are open

The first three are committed with the entry that changes them and come back with the site. Company is a matter of seconds:
after a restart people badge again. A door counts as shut until its gate says otherwise, and one that its contact saw open
as open until its gate says that it is closed again. It belongs to the flow, which alone changes it, in order.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import NO_PAST, Companion, Factor, Past, Request
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.core.register import Register
from gatekeeper.core.trust import Trust
from gatekeeper.core.verify import Presented
from gatekeeper.model.badges import Badge
from gatekeeper.model.ids import AccessPointId, BadgeId, BootId, HolderId, TenantId, ZoneId
from gatekeeper.model.messages import LONGEST_WAIT, Upward
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import LockOut, ProfileRef

__all__ = ["NEVER_USED", "Asked", "Memory", "Opening", "Usage"]

_DOOR_GRACE = timedelta(seconds=5)
_NOT_THEIRS = frozenset({Reason.VERIFICATION_TIMEOUT, Reason.INTERLOCK})
"""What keeps out, and is nothing that whoever asks has done."""


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


Opening: TypeAlias = tuple[ZoneId, int]
"""A zone, and the grant (the seq of its entry) on which a first person came into it."""


class Memory:
    """One site's memory. `take` is told what the flow decided; `past` tells what a rule may ask."""

    def __init__(self, policy: Policy) -> None:
        self.whereabouts: dict[HolderId, Presence] = {}
        self.usage: dict[BadgeId, Usage] = {}
        self.openings: dict[Opening, datetime] = {}
        self._company: dict[AccessPointId, list[Asked]] = {}
        self._doors: dict[AccessPointId, datetime | None] = {}
        self._door_words: dict[AccessPointId, tuple[BootId, int]] = {}
        self._released: dict[AccessPointId, datetime] = {}
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
        openings: Mapping[Opening, datetime],
        *,
        register: Register,
        trust: Trust,
    ) -> None:
        """Take over what a former engine committed."""
        self.whereabouts = {presence.holder: presence for presence in presences}
        self.usage, self.openings = dict(usage), dict(openings)
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
        """Forget who asked at which door: they were asked under another policy, or are registered otherwise."""
        self._company = {}

    def nobody_waits(self, *, suspended: TenantId | None = None) -> None:
        """Forget who waits at which door: what they lacked was said under other circumstances. They badge again.

        Who was let in is in still and brings guests, unless their tenant is suspended.
        """
        for door, company in self._company.items():
            self._company[door] = [
                one for one in company if not one.who.waiting and one.who.tenant != suspended
            ]

    def leaves_company(self, holder: HolderId) -> None:
        """Of a holder something else is said now: they wait nowhere and bring nobody."""
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
            brought=self._brought(holder.id, point) if holder is not None else 0,
            uses=usage.uses,
            last_used=usage.last_at,
            locked_until=locked,
            factor=self._factor(badge, holder, factor, now),
            crowds=self._crowds(point, holder),
            company=self._lately(point, holder, now),
            opened=self._opened(point),
            open_doors=self.open_partners(point, now),
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

    def _visitors(self, point: Point, holder: Holder | None) -> frozenset[HolderId]:
        guests = self._guests.get(holder.id) if holder is not None else None
        if not guests:
            return frozenset()
        everywhere = self._policy.rules.escort is not None
        escorting = {zone for zone, rules in point.left if everywhere or rules.escort is not None}
        return frozenset(
            guest for guest in guests if self._is_within(self.whereabouts[guest].zone, escorting)
        )

    def _opened(self, point: Point) -> dict[ZoneId, datetime]:
        """Since when the zones that wait for a first person are open: since the last who came in."""
        waiting = {zone for zone, rules in point.entered if rules.first_person is not None}
        found: dict[ZoneId, datetime] = {}
        for (zone, _), at in self.openings.items() if waiting else ():
            if zone in waiting and (zone not in found or found[zone] < at):
                found[zone] = at
        return found

    def _is_within(self, zone: ZoneId, zones: Iterable[ZoneId]) -> bool:
        return any(zone in self._policy.inside.get(outer, ()) for outer in zones)

    def _lately(self, point: Point, holder: Holder | None, now: datetime) -> tuple[Companion, ...]:
        """Who waits here, and who came in here and may be the host of whoever asks, as long as a rule looks back."""
        company, longest = self._company.get(point.id), self._longest(point)
        if not company:
            return ()
        left = [one for one in company if now - one.who.at <= longest]
        if left:
            self._company[point.id] = left
        else:
            del self._company[point.id]
        found = []
        for one in left:
            if one.who.waiting:
                found.append(one.who)
            elif self._may_receive(one.who, point, holder):
                brought = self._brought(one.who.holder, point, but=None if holder is None else holder.id)
                found.append(replace(one.who, brought=brought))
        return tuple(found)

    def _longest(self, point: Point) -> timedelta:
        """How long ago somebody may have asked here and still matter: the longest window, and a guard's time."""
        zones = [rules for _, rules in (*point.entered, *point.left)]
        rules = [rule for zone in zones for rule in (zone.two_persons, zone.occupancy, zone.escort)]
        windows = [rule.within for rule in (*rules, self._policy.rules.escort) if rule is not None]
        windows += [zone.driver for zone in zones if zone.driver is not None]
        return max(windows, default=timedelta()) + LONGEST_WAIT

    def _may_receive(self, host: Companion, point: Point, holder: Holder | None) -> bool:
        """Whether somebody who came in here may be the host of whoever asks, and is in there still."""
        rules = [zone.escort for _, zone in point.entered]
        escorts = [rule for rule in (*rules, self._policy.rules.escort) if rule is not None]
        if holder is None or not any(holder.kind in rule.kinds for rule in escorts):
            return False
        named = host.holder == holder.host or any(
            not rule.profiles.isdisjoint(host.roles) for rule in escorts
        )
        return named and self._has_come_in(host.holder, point)

    def _has_come_in(self, host: HolderId, point: Point) -> bool:
        """Whether somebody who was let in here is in there still: only then do they bring guests in."""
        here = self.whereabouts.get(host)
        return here is not None and self._is_within(here.zone, [zone for zone, _ in point.entered])

    def open_partners(self, point: Point, now: datetime) -> frozenset[AccessPointId]:
        """The doors of an access point's interlocks that are not known to be shut."""
        return frozenset(door for door in point.interlocked if self._is_open(door, now))

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

    def registered(self, holder: Holder) -> None:
        """Of a holder something else is registered: they count anew where they are, and wait nowhere."""
        self.leaves_company(holder.id)
        here = self.whereabouts.get(holder.id)
        if here is not None:
            self._forget_count(holder.id)
            self._count(here, holder)

    def forgive(self, holder: HolderId) -> bool:
        """Forget where somebody is; False when nobody knew."""
        self._forget_count(holder)
        return self.whereabouts.pop(holder, None) is not None

    def erase(self, holder: HolderId, badges: Iterable[BadgeId]) -> None:
        """Forget a person: where they are, with whom they came and whom they brought, and how their badges were used."""
        self.leaves_company(holder)
        self.forgive(holder)
        for badge in badges:
            self.usage.pop(badge, None)
        self._guests.pop(holder, None)
        for guest, here in list(self.whereabouts.items()):
            if holder in {here.host, here.came_with}:
                host = None if here.host == holder else here.host
                came_with = None if here.came_with == holder else here.came_with
                self.whereabouts[guest] = replace(here, host=host, came_with=came_with)

    def on_grant(self, grant: int) -> tuple[HolderId, ...]:
        """Who was let through on a grant (the seq of its entry) and has not moved since."""
        return tuple(sorted(self._on_grant.get(grant, ())))

    def _count(self, presence: Presence, holder: Holder | None) -> None:
        roles = (
            frozenset((holder.tenant, profile) for profile in holder.profiles)
            if holder is not None
            else frozenset()
        )
        is_person = holder is None or holder.kind is not HolderKind.VEHICLE
        for zone in self._limited.get(presence.zone, ()) if is_person else ():
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
        self, point: Point, decision: Decision, asked: Asked, *, now: datetime
    ) -> list[tuple[BadgeId, Usage]]:
        """Somebody was let through, and a party with them: keep who may bring guests, count every badge."""
        me = asked.who
        party = {one.holder for one in decision.party}
        came_along = [
            one for one in self._company.get(point.id, ()) if one.who.waiting and one.who.holder in party
        ]
        self.came_through({me.holder, *party}, point)
        if (
            any(rules.escort is not None for _, rules in point.entered)
            or self._policy.rules.escort is not None
        ):
            self._company.setdefault(point.id, []).append(replace(asked, who=replace(me, waiting=False)))
        self.door_released(point, now=now)
        badges = [one.presented.badge for one in (asked, *came_along)]
        used = [(badge.id, self.used(badge, point, at=now)) for badge in badges if badge is not None]
        return [(badge, usage) for badge, usage in used if usage is not None]

    def opens(
        self, point: Point, roles: Collection[ProfileRef], *, at: datetime, grant: int
    ) -> list[tuple[Opening, datetime | None]]:
        """People of these profiles come in: zones that wait for a first person among them are open from then on."""
        found: list[tuple[Opening, datetime | None]] = []
        for zone, rules in point.entered:
            rule = rules.first_person
            if rule is None or rule.profiles.isdisjoint(roles):
                continue
            over = [
                one for one, since in self.openings.items() if one[0] == zone and at - since >= rule.lasting
            ]
            found += self._forget_openings(over)
            self.openings[zone, grant] = at
            found.append(((zone, grant), at))
        return found

    def has_opened(self, grant: int) -> list[tuple[Opening, datetime | None]]:
        """Somebody was seen to pass on a grant: whoever came into the same zones before them is not needed any more."""
        mine = {zone: at for (zone, by), at in self.openings.items() if by == grant}
        return self._forget_openings(
            [
                (zone, by)
                for (zone, by), at in self.openings.items()
                if by != grant and zone in mine and at <= mine[zone]
            ]
        )

    def opens_nothing(self, grant: int) -> list[tuple[Opening, datetime | None]]:
        """Nobody passed on a grant: it has opened no zone."""
        return self._forget_openings([one for one in self.openings if one[1] == grant])

    def _forget_openings(self, openings: Iterable[Opening]) -> list[tuple[Opening, datetime | None]]:
        found: list[tuple[Opening, datetime | None]] = []
        for one in openings:
            del self.openings[one]
            found.append((one, None))
        return found

    def used(self, badge: Badge, point: Point, *, at: datetime) -> Usage | None:
        """A badge was let through; None where nothing asks how often, when or where.

        What happened to it after that instant stays as it is: a gate that was alone tells later.
        """
        before = self.usage.get(badge.id, NEVER_USED)
        if not self._keeps_usage and badge.max_uses is None and before == NEVER_USED:
            return None
        locked = before.locked_until
        after = replace(
            before,
            uses=before.uses + 1,
            failures=tuple(failed for failed in before.failures if failed > at),
            locked_until=locked if locked is not None and at < locked else None,
        )
        if before.last_at is None or before.last_at <= at:
            after = replace(after, last_at=at, last_point=point.id)
        self.usage[badge.id] = after
        return after

    def unused(self, badge: BadgeId, point: Point, *, at: datetime) -> Usage | None:
        """A badge was let through at an instant, and nobody passed: that use counts no more; None when it is not known."""
        before = self.usage.get(badge, NEVER_USED)
        if not before.uses or (before.last_at, before.last_point) != (at, point.id):
            return None
        after = self.usage[badge] = replace(before, uses=before.uses - 1)
        return after

    def came_through(self, gone: Collection[HolderId], point: Point) -> None:
        """Who passed waits at no door, and is known here anew."""
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

    def _brought(self, host: HolderId, point: Point, *, but: HolderId | None = None) -> int:
        """How many visitors (but for one) a host has brought into the zones that are entered, and are still there."""
        guests = self._guests.get(host)
        if not guests:
            return 0
        entered = [zone for zone, _ in point.entered]
        inside = [guest for guest in guests if self._is_within(self.whereabouts[guest].zone, entered)]
        return len(inside) - (but in inside)

    def refused(
        self, point: Point, badge: Badge, decision: Decision, asked: Asked | None, *, now: datetime
    ) -> Usage | None:
        """A badge was refused: it waits for company, or it counts towards a lock-out."""
        if decision.waits_for_company and asked is not None:
            company = self._company.get(point.id, ())
            self._company[point.id] = [*(one for one in company if one.who.holder != asked.who.holder), asked]
            return None
        rule = self._policy.rules.lock_out
        theirs = any(reason.denies and reason not in _NOT_THEIRS for reason in decision.reasons)
        return self._failed(badge, rule, now) if rule is not None and theirs else None

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

    def hears_of(self, door: AccessPointId, message: Upward) -> bool:
        """Hear what a gate says of a door, and tell whether it is news: messages may overtake one another."""
        heard = self._door_words.get(door)
        if heard is not None and heard[0] == message.boot and message.sequence < heard[1]:
            return False
        self._door_words[door] = (message.boot, message.sequence)
        return True

    def door_released(self, point: Point, *, now: datetime, delay: timedelta = timedelta()) -> None:
        """The strike of an access point is released, after a delay at most: a door of a lock may stand open from now on."""
        if point.interlocked:
            until = self._released[point.id] = now + delay + point.unlock + _DOOR_GRACE
            self.door_opened(point.id, until=until)

    def door_opened(self, door: AccessPointId, *, until: datetime | None) -> None:
        """A door of a lock stands open: until then at most, or (None) until its gate says that it is closed again."""
        stands_open = door in self._doors and self._doors[door] is None
        if not stands_open:
            self._doors[door] = until
        if until is None:
            self._released.pop(door, None)

    def door_closed(self, door: AccessPointId) -> None:
        """A door of a lock is shut."""
        self._doors.pop(door, None)

    def door_was_closed(self, door: AccessPointId) -> None:
        """A door of a lock was shut before it was last released: it stands open no longer than that release lasts."""
        if self._doors.get(door, ...) is None and door in self._released:
            self._doors[door] = self._released[door]

    def door_unused(self, door: AccessPointId) -> None:
        """A door was released and not opened; one that stands open for another reason still does."""
        if self._doors.get(door) is not None:
            del self._doors[door]
