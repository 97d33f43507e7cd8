"""Deciding beforehand for a gate that may be alone one day: every rule is asked now, for each stretch of time to come.

    people, policy, an alert state, a horizon  ->  for each gate a `Snapshot`

`decide_fully` is asked for each badge at each access point, at one instant of every stretch between two instants at which any
date or schedule turns; what it grants becomes hours. Badges that are alike in all that is asked are asked once. So a gate
can only grant what the site would grant: it holds no rule, only answers.

What nobody can know beforehand is answered as the zones say (`Offline`): where an access point has a rule that asks for the
whereabouts of people, for crowds or for doors of other gates, it is either closed to a gate that is alone, or that rule is passed
over. What a person adds at the door (company, a PIN, a guard's word) is missing, and denies.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil, floor

from gatekeeper.core.decide import decide_fully, turning_dates
from gatekeeper.core.facts import NO_PAST, Facts, Past, Request
from gatekeeper.model.badges import Badge, BadgeState, Card
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AntiPassback, Enforcement, Offline, Unseen, ZoneRules
from gatekeeper.model.snapshot import KnownCards, LocalPassback, Snapshot, SnapshotClass, SnapshotPoint

__all__ = ["Bearer", "Beforehand", "Crowd", "alone_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Somebody with a badge that is in force; `epoch` is the lowest of their tenant that counts, `token` is kept for a bare card."""

    badge: Badge
    holder: Holder
    epoch: int
    last_used: datetime | None
    token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """All whose badges are alike in what any access point asks, in one policy, alert state and horizon; at least one."""

    number: int
    people: Sequence[Bearer]


def alone_at(policy: Policy, point: Point, *, alert: int) -> Offline | None:
    """What the zones on the way let a gate decide alone: what all of them allow, for the shortest time; None for nothing."""
    # Nobody is kept from going outside by what outside does not say.
    asked = [rules for zone, rules in point.entered if zone != policy.outside]
    protected = policy.zones[point.protected].rules
    allowed = [rules.offline for rules in (*asked, protected)]
    found = [one for one in allowed if one is not None]
    if len(found) < len(allowed):
        return None
    accepts = all(one.unseen is Unseen.ACCEPTED for one in found)
    if not accepts and _asks_the_unseen(policy, point, alert):
        return None
    unseen = Unseen.ACCEPTED if accepts else Unseen.REFUSED
    return Offline(longest=min(one.longest for one in found), unseen=unseen)


def _asks_the_unseen(policy: Policy, point: Point, alert: int) -> bool:
    """Whether a rule that can deny here asks what a gate which is alone cannot know."""
    others = any(
        policy.points[other].gate != point.gate for other in point.interlocked if other in policy.points
    )
    return bool(
        point.passback.mode in {AntiPassback.HARD, AntiPassback.TIMED}
        or point.travels
        or others
        or policy.demands[alert].escort  # a host does not leave before the visitors he brought
        or any(rules.escort is not None for _, rules in point.left)
        or any(_denies_by_crowd_or_place(rules) for _, rules in (*point.entered, *point.left))
    )


def _denies_by_crowd_or_place(rules: ZoneRules) -> bool:
    crowd = rules.occupancy is not None and rules.occupancy.enforcement is Enforcement.DENIED
    return crowd or rules.unexpected_location is Enforcement.DENIED


@dataclass(slots=True, kw_only=True)
class Beforehand:
    """The answers to all badges under one policy and alert state, from `since` until `until`.

    Have people sorted into crowds once, and ask for each gate. What was answered to a crowd is answered to everybody who joins it later.
    """

    policy: Policy
    alert: int
    since: datetime
    until: datetime
    _known: dict[tuple[AccessPointId, int], tuple[int, ...]] = field(default_factory=dict)
    _numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    _timeline: Sequence[tuple[float, float, int]] = ()

    def __post_init__(self) -> None:
        """Lay the schedules out once."""
        begins = self.policy.timetable.stretches(self.since.timestamp(), self.until.timestamp())
        ends = [*(begin for begin, _ in begins[1:]), self.until.timestamp()]
        self._timeline = [(begin, end, opens) for (begin, opens), end in zip(begins, ends, strict=True)]

    def crowds(self, people: Iterable[Bearer]) -> list[Crowd]:
        """People, sorted by what is asked of them."""
        found: dict[int, list[Bearer]] = {}
        for one in people:
            number = self._numbers.setdefault(self._asked_of(one), len(self._numbers))
            found.setdefault(number, []).append(one)
        return [Crowd(number=number, people=alike) for number, alike in found.items()]

    def snapshot(self, gate: GateId, crowds: Iterable[Crowd], *, version: int, issued: datetime) -> Snapshot:
        """What one gate may decide alone. The badges are those of `crowds` that have a right there at any time."""
        alone = {
            point.id: (point, allowed)
            for point in self.policy.points.values()
            if point.gate == gate and (allowed := alone_at(self.policy, point, alert=self.alert)) is not None
        }
        hours: dict[tuple[int, ...], int] = {}
        classes: dict[tuple[str, tuple[tuple[AccessPointId, int], ...]], int] = {}
        numbers: dict[HolderId, int] = {}
        rows: list[bytes] = []
        cards: dict[Card, bytes] = {}
        for crowd in crowds:
            rights = tuple(
                (point.id, hours.setdefault(found, len(hours)))
                for point, _ in alone.values()
                if (found := self._hours(point, crowd))
            )
            if not rights:
                continue
            kind = classes.setdefault((crowd.people[0].badge.tenant, rights), len(classes))
            for one in crowd.people:
                number = numbers.setdefault(one.holder.id, len(numbers))
                rows.append(_row(one.badge.id, number, kind))
                if one.badge.card is not None:
                    cards[one.badge.card] = one.token
        return Snapshot(
            site=self.policy.site,
            gate=gate,
            version=version,
            issued=issued,
            since=ceil(self.since.timestamp()),
            until=floor(self.until.timestamp()),
            alert=self.alert,
            points={name: _point(point, allowed) for name, (point, allowed) in alone.items()},
            hours=tuple(hours),
            classes=tuple(
                SnapshotClass(tenant=tenant, hours=dict(rights))  # type: ignore[arg-type]
                for tenant, rights in classes
            ),
            rows=b"".join(sorted(rows)),
            cards=KnownCards.of(cards),
        )

    def _hours(self, point: Point, crowd: Crowd) -> tuple[int, ...]:
        """When the badges of a crowd open an access point: stretches in whole seconds, half-open, never longer than they are."""
        one = crowd.people[0]
        if one.badge.max_uses is not None:
            return ()  # how often it was used, a gate that is alone does not know
        if not self._leads_here(point, one.holder):
            return ()  # most badges at most doors: every other rule need not be asked
        known = self._known.get((point.id, crowd.number))
        if known is None:
            known = self._known[point.id, crowd.number] = tuple(self._ask(point, one))
        return known

    def _leads_here(self, point: Point, holder: Holder) -> bool:
        """Whether anything could: silence denies, unless it is only reported here."""
        if Reason.NO_ACCESS_RIGHTS.code in point.shadow or point.events:
            return True
        openings = self.policy.profiles
        return any(openings.get((holder.tenant, profile), {}).get(point.id) for profile in holder.profiles)

    def _asked_of(self, one: Bearer) -> tuple[object, ...]:
        """All that rules ask of a badge and its holder; dates beyond the horizon are alike.

        INVARIANT: two who are alike in this get the same answer at every access point and instant of the horizon.
        """
        badge, holder, idle = one.badge, one.holder, self.policy.rules.inactivity
        life = self._life_by_agreement(badge)
        return (
            badge.tenant, badge.ceiling, badge.assurance, badge.kind, badge.epoch < one.epoch, badge.requires_trusted_time,
            badge.max_uses is None, life is not None and badge.expires - badge.not_before <= life,
            self._clamped(badge.not_before), self._clamped(badge.expires),
            holder.tenant, holder.kind, holder.clearance, holder.profiles,
            self._clamped(holder.since), self._clamped(holder.until),
            tuple((name, self._clamped(until)) for name, until in holder.certificates),
            frozenset(event.id for event in self.policy.rules.events if holder.id in event.guests),
            None if idle is None else self._clamped((one.last_used or badge.not_before) + idle),
        )  # fmt: skip

    def _life_by_agreement(self, badge: Badge) -> timedelta | None:
        rights = self.policy.tenants.get(badge.tenant)
        return rights.agreement.badge_life if rights is not None and rights.agreement is not None else None

    def _clamped(self, date: datetime) -> datetime:
        return min(max(date, self.since), self.until)

    def _ask(self, point: Point, one: Bearer) -> Iterator[int]:
        facts = _facts(one, self.alert)
        granted: list[tuple[float, float]] = []
        for since, until in self._between_dates(point, facts, one):
            answers: dict[int, bool] = {}
            for begin, end, opens in self._stretches(since, until, self._turns(point, one.holder)):
                if opens not in answers:
                    answers[opens] = self._is_granted(point, facts, begin)
                if answers[opens]:
                    granted.append((begin, end))
        for begin, end in _joined(granted):
            if ceil(begin) < floor(end):
                yield from (ceil(begin), floor(end))

    def _is_granted(self, point: Point, facts: Facts, at: float) -> bool:
        request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
        return decide_fully(self.policy, point, facts, request, datetime.fromtimestamp(at, UTC)).granted

    def _between_dates(self, point: Point, facts: Facts, one: Bearer) -> Iterator[tuple[float, float]]:
        """The parts of the horizon in which no date of the badge, its holder or the policy turns."""
        dates = turning_dates(self.policy, point, facts, one.badge)
        idle = self.policy.rules.inactivity
        if idle is not None:
            dates.add((one.last_used or one.badge.not_before) + idle)
        turns = sorted({self.since, self.until, *(date for date in dates if self.since < date < self.until)})
        for since, until in pairwise(turns):
            yield since.timestamp(), until.timestamp()

    def _turns(self, point: Point, holder: Holder) -> int:
        """The schedules whose turns count for a holder here."""
        found = point.pin_schedules
        for profile in holder.profiles:
            for opening in self.policy.profiles.get((holder.tenant, profile), {}).get(point.id, ()):
                found |= opening.schedule
        return found

    def _stretches(self, since: float, until: float, counting: int) -> Iterator[tuple[float, float, int]]:
        """The stretches of a part of the horizon, and which of the schedules that count are open in each."""
        for begin, end, opens in self._timeline:
            if begin < until and end > since:
                yield max(begin, since), min(end, until), opens & counting


def _facts(one: Bearer, alert: int) -> Facts:
    return Facts(
        badge=one.badge,
        badge_state=BadgeState.ACTIVE,
        assurance=one.badge.assurance,
        findings=(),
        holder=one.holder,
        holder_unproven=False,
        epoch=one.epoch,
        whereabouts=None,
        alert=alert,
        lockdowns=frozenset(),
        suspended=frozenset(),
        past=NO_PAST if one.last_used is None else Past(last_used=one.last_used),
    )


def _joined(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for begin, end in sorted(stretches):
        if found and found[-1][1] >= begin:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _row(badge: BadgeId, holder: int, kind: int) -> bytes:
    return bytes.fromhex(badge) + holder.to_bytes(4, "big") + kind.to_bytes(4, "big")


def _point(point: Point, allowed: Offline) -> SnapshotPoint:
    rule = point.passback
    denies = rule.mode in {AntiPassback.HARD, AntiPassback.TIMED} and bool(point.passback_zones)
    within = rule.within if rule.mode is AntiPassback.TIMED else rule.forgotten
    return SnapshotPoint(
        id=point.id,
        longest=allowed.longest,
        unlock=point.unlock,
        scopes=point.scopes,
        target=point.target,
        passback=LocalPassback(within=within, zones=point.passback_zones) if denies else None,
    )
