"""Effective rights: what a holder may open under a policy, at each alert state, whatever the hour and the company.

The answer is the decision's own: the rules are asked with nothing in their way that a person can mend at the door (another
hour, a companion, a PIN, a door that stands open), and what is then still denied is no right. Hours are what remains
(`Outlook`): what schedules, events, call-ups and the hours of a PIN leave from now on, and what a rule on trial does not take. Holders who are alike in everything that rules ask of them
have the same rights; so a site of thousands is some hundreds of questions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from gatekeeper.core.facts import NO_PAST, Facts, Request
from gatekeeper.core.rules import RULES, case_of, party_of
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AlertDemands, CallUp, Event, ProfileRef
from gatekeeper.model.schedule import Hours

__all__ = ["Changed", "Outlook", "Rights", "Subject", "differences", "rights_of", "rights_of_all", "subjects"]

Rights: TypeAlias = Mapping[tuple[AccessPointId, int], Hours]
"""For each access point and alert state where there is a right: its hours."""

_Alerts: TypeAlias = frozenset[int]

_MENDED_AT_THE_DOOR = frozenset(
    {
        Reason.OUT_OF_TIME_RANGE,  # the hours of `Outlook` ask these three
        Reason.THREAT_LEVEL,
        Reason.NOT_CALLED_UP,
        Reason.NO_ACCOMPANIMENT,  # but who counts for none of two is never in the right company
        Reason.NO_ESCORT,
        Reason.NO_DRIVER,
        Reason.LOWER_OCCUPANCY,
        Reason.FIRST_PERSON,
        Reason.PIN_MISSING,
        Reason.TRUSTED_TIME,
        Reason.INACTIVITY,
    }
)
_MENDED_WITHOUT_A_PIN = _MENDED_AT_THE_DOOR - {Reason.PIN_MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Holders who are alike: one of them with a badge, and the names of all."""

    badge: Badge
    holder: Holder
    epoch: int
    holders: tuple[HolderId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a change gives to or takes from holders at one access point; `alerts` are the alert states it is so in."""

    access_point: AccessPointId
    gained: frozenset[int]
    lost: frozenset[int]
    other_hours: frozenset[int]
    holders: tuple[HolderId, ...]


def subjects(people: Iterable[tuple[Holder, Badge, int]], policies: Iterable[Policy]) -> list[Subject]:
    """Put holders together who are alike in everything that these policies ask of them."""
    invited = {guest for policy in policies for event in policy.rules.events for guest in event.guests}
    groups: dict[object, list[tuple[Holder, Badge, int]]] = {}
    for holder, badge, epoch in people:
        key = (
            badge.tenant, holder.tenant, holder.kind, holder.clearance, holder.profiles, holder.since, holder.until,
            holder.certificates, holder.pin is not None, holder.id if holder.id in invited else None,
            badge.ceiling, badge.assurance, badge.epoch, badge.not_before, badge.expires, epoch,
        )  # fmt: skip
        groups.setdefault(key, []).append((holder, badge, epoch))
    return [
        Subject(badge=badge, holder=holder, epoch=epoch, holders=tuple(one.id for one, _, _ in alike))
        for alike in groups.values()
        for holder, badge, epoch in alike[:1]
    ]


class Outlook:
    """A policy from an instant on: when who may come in where."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self.policy = policy
        self.now = now
        self._schedules = {
            1 << bit: Hours.of(schedule) for bit, schedule in enumerate(policy.timetable.schedules)
        }
        self._always = (Hours.always(),) * len(policy.demands)
        self._of: dict[object, tuple[Hours, ...]] = {}
        self._made: dict[_Ways, tuple[Hours, ...]] = {}

    def hours(self, point: Point, holder: Holder) -> tuple[Hours, ...]:
        """When somebody may pass, as far as the clock and the calendar say, for each alert state."""
        if point.leaving:
            return self._always
        invited = frozenset(_Period.of(event) for event in point.events if holder.id in event.guests)
        is_reservist = holder.kind is HolderKind.RESERVIST
        key = (point.id, holder.tenant, holder.profiles, is_reservist, holder.pin is None, invited)
        known = self._of.get(key)
        if known is None:
            ways = self._ways(point, holder, invited)
            known = self._made.get(ways)
            if known is None:
                known = self._made[ways] = tuple(map(self._from_now, self._hours(ways)))
            self._of[key] = known
        return known

    def either(self, one: Hours, other: Hours) -> Hours:
        """When one or the other counts."""
        return self._from_now(one | other)

    def _from_now(self, hours: Hours) -> Hours:
        return hours.after(self.now.timestamp(), self.policy.timetable.time_zone)

    def _ways(self, point: Point, holder: Holder, invited: "frozenset[_Period]") -> "_Ways":
        profiles = [(holder.tenant, profile) for profile in holder.profiles]
        openings = [self.policy.profiles.get(profile, {}).get(point.id, ()) for profile in profiles]
        asks_pin = holder.pin is None and Reason.PIN_MISSING.code not in point.shadow
        return _Ways(
            openings=frozenset((one.schedule, one.highest_alert) for each in openings for one in each),
            invited=invited,
            called=self._called_up(point, holder, frozenset(profiles)),
            without_pin=point.pin_schedules if asks_pin else 0,
            any_hour=Reason.OUT_OF_TIME_RANGE.code in point.shadow,
            any_alert=Reason.THREAT_LEVEL.code in point.shadow,
        )

    def _called_up(
        self, point: Point, holder: Holder, roles: frozenset[ProfileRef]
    ) -> "frozenset[_Period] | None":
        """The call-ups without which somebody does not come in; None for whoever needs none."""
        call_ups = self.policy.rules.call_ups
        shadowed = Reason.NOT_CALLED_UP.code in point.shadow
        if holder.kind is not HolderKind.RESERVIST or not call_ups or shadowed:
            return None
        return frozenset(_Period.of(call) for call in call_ups if not call.profiles.isdisjoint(roles))

    def _hours(self, ways: "_Ways") -> Iterator[Hours]:
        """What ways come to, in each alert state."""
        leading = [(one.hours, one.highest_alert) for one in ways.invited]
        leading += [(self._schedules[bit], highest) for bit, highest in ways.openings]
        called = Hours.always()
        if ways.called is not None:
            called = Hours.any_of(one.hours for one in ways.called)
        called -= Hours.any_of(hours for bit, hours in self._schedules.items() if bit & ways.without_pin)
        for alert in range(len(self.policy.demands)):
            yield _open(leading, alert, ways) & called


@dataclass(frozen=True, slots=True)
class _Period:
    """An event or a call-up, as far as hours ask."""

    since: datetime
    until: datetime
    highest_alert: int = 0

    @classmethod
    def of(cls, source: Event | CallUp) -> "_Period":
        """Leave out all else."""
        return cls(source.since, source.until, source.highest_alert if isinstance(source, Event) else 0)

    @property
    def hours(self) -> Hours:
        """Its instants."""
        return Hours.between(self.since, self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """All that somebody's hours at an access point are made of; thousands have the same."""

    openings: frozenset[tuple[int, int]]
    """Schedules by their bit, each with the highest alert state."""
    invited: frozenset[_Period]
    called: frozenset[_Period] | None
    without_pin: int
    """The schedules, as a bit set, in which a PIN is asked of whoever has none."""
    any_hour: bool
    any_alert: bool


def _open(leading: Sequence[tuple[Hours, int]], alert: int, ways: _Ways) -> Hours:
    """When something that leads here is open in an alert state; a rule on trial holds nobody back.

    The alert state is asked of what is open, and of everything when nothing is (see `rights.alert_state`).
    """
    enough = [hours for hours, highest in leading if ways.any_alert or alert <= highest]
    found = Hours.any_of(enough)
    if enough and ways.any_hour:
        found |= Hours.always() - Hours.any_of(hours for hours, _ in leading)
    return found


def rights_of(outlook: Outlook, subject: Subject) -> Rights:
    """What a holder may open, and when."""
    policy = outlook.policy
    found: dict[tuple[AccessPointId, int], Hours] = {}
    for point in _points(policy, subject.holder):
        # The alert state itself is asked by the hours: where two demand the same, the same is allowed.
        allowed: dict[AlertDemands, bool] = {}
        for alert, hours in enumerate(outlook.hours(point, subject.holder)):
            if not hours:
                continue
            demands = policy.demands[alert]
            if demands not in allowed:
                allowed[demands] = _allowed(policy, point, subject, alert, outlook.now)
            if allowed[demands]:
                found[point.id, alert] = hours
    return found


def differences(before: Policy, after: Policy, people: Iterable[Subject], *, now: datetime) -> list[Changed]:
    """Who gains and who loses what between two policies; the alert states are counted from the calmest."""
    changed: dict[tuple[AccessPointId, _Alerts, _Alerts, _Alerts], list[HolderId]] = {}
    then, later = Outlook(before, now), Outlook(after, now)
    states = range(max(len(before.alert_states), len(after.alert_states)))
    for badges, holders in _by_badges(_alike_at(now, people, (before, after))):
        old, new = _of_all(then, badges), _of_all(later, badges)
        for point in {point for point, _ in (*old, *new)}:
            was = [old.get((point, alert)) for alert in states]
            will = [new.get((point, alert)) for alert in states]
            if was == will:
                continue
            gained = frozenset(alert for alert in states if will[alert] and not was[alert])
            lost = frozenset(alert for alert in states if was[alert] and not will[alert])
            other = frozenset(alert for alert in states if _other_hours(was[alert], will[alert], now))
            if not gained | lost | other:
                continue
            changed.setdefault((point, gained, lost, other), []).extend(holders)
    return [
        Changed(access_point=point, gained=gained, lost=lost, other_hours=other, holders=tuple(sorted(who)))
        for (point, gained, lost, other), who in sorted(changed.items(), key=lambda item: item[0][0])
    ]


def _other_hours(was: Hours | None, will: Hours | None, now: datetime) -> bool:
    """Whether there is a right before and after, and not at the same instants."""
    return was is not None and will is not None and not was.is_same(will, now.timestamp())


def rights_of_all(outlook: Outlook, people: Iterable[Subject]) -> Iterator[tuple[Sequence[HolderId], Rights]]:
    """What everybody may open, with one badge or another; those who may the same with the same badges are together."""
    for badges, holders in _by_badges(_alike_at(outlook.now, people, (outlook.policy,))):
        yield holders, _of_all(outlook, badges)


def _alike_at(now: datetime, people: Iterable[Subject], policies: Sequence[Policy]) -> list[Subject]:
    """Put together also those whose dates differ, and say the same at this instant.

    INVARIANT: what is asked here of a date is all that a rule asks of it.
    """
    alike: dict[object, list[Subject]] = {}
    for subject in people:
        badge, holder = subject.badge, subject.holder
        agreements = [
            rights.agreement if (rights := policy.tenants.get(badge.tenant)) is not None else None
            for policy in policies
        ]
        key = (
            badge.tenant, holder.tenant, holder.kind, holder.clearance, holder.profiles, _invited(holder, policies),
            holder.pin is not None, badge.ceiling, badge.assurance, badge.max_uses,
            badge.not_before <= now, now < badge.expires, badge.epoch < subject.epoch,
            holder.since <= now < holder.until,
            frozenset(name for name, until in holder.certificates if now < until),
            *(one is not None and badge.expires - badge.not_before <= one.badge_life for one in agreements),
        )  # fmt: skip
        alike.setdefault(key, []).append(subject)
    return [
        replace(group[0], holders=tuple(holder for subject in group for holder in subject.holders))
        for group in alike.values()
    ]


def _invited(holder: Holder, policies: Iterable[Policy]) -> HolderId | None:
    """A guest of any event is like nobody else."""
    events = (event for policy in policies for event in policy.rules.events)
    return holder.id if any(holder.id in event.guests for event in events) else None


def _by_badges(people: Iterable[Subject]) -> list[tuple[list[Subject], list[HolderId]]]:
    """Holders who have badges of the same sorts: one badge, as a rule."""
    sorts: dict[HolderId, dict[int, Subject]] = {}
    for subject in people:
        for holder in subject.holders:
            sorts.setdefault(holder, {})[id(subject)] = subject
    alike: dict[tuple[int, ...], tuple[list[Subject], list[HolderId]]] = {}
    for holder, badges in sorts.items():
        alike.setdefault(tuple(badges), (list(badges.values()), []))[1].append(holder)
    return list(alike.values())


def _of_all(outlook: Outlook, badges: Iterable[Subject]) -> Rights:
    """What a holder may open with one badge or another."""
    found: dict[tuple[AccessPointId, int], Hours] = {}
    for badge in badges:
        for right, hours in rights_of(outlook, badge).items():
            found[right] = outlook.either(found[right], hours) if right in found else hours
    return found


def _points(policy: Policy, holder: Holder) -> list[Point]:
    """The access points that any profile or guest list of a holder leads to."""
    named: dict[AccessPointId, None] = {}
    for profile in holder.profiles:
        named.update(dict.fromkeys(policy.profiles.get((holder.tenant, profile), {})))
    for point in policy.points.values():
        if any(holder.id in event.guests for event in point.events):
            named[point.id] = None
    return [policy.points[name] for name in named]


def _reachable(subject: Subject) -> Assurance:
    """The most that a holder can prove at the door: a key, and a PIN where there is one."""
    with_pin = subject.badge.assurance is Assurance.KEY_BOUND and subject.holder.pin is not None
    return Assurance.KEY_BOUND_AND_VERIFIED if with_pin else subject.badge.assurance


def _allowed(policy: Policy, point: Point, subject: Subject, alert: int, now: datetime) -> bool:
    facts = Facts(
        badge=subject.badge,
        badge_state=BadgeState.ACTIVE,
        assurance=_reachable(subject),
        findings=(),
        holder=subject.holder,
        holder_unproven=False,
        epoch=subject.epoch,
        whereabouts=None,
        alert=alert,
        lockdowns=frozenset(),
        suspended=frozenset(),
        past=NO_PAST,
    )
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
    case = case_of(policy, point, facts, request, now, party=party_of)
    needs_pin = point.pin_always or policy.demands[alert].second_factor
    without = needs_pin and subject.holder.pin is None
    mended = _MENDED_WITHOUT_A_PIN if without else _MENDED_AT_THE_DOOR
    for rule in RULES:
        found = rule(case)
        if (
            isinstance(found, Reason)
            and found.denies
            and found not in mended
            and found.code not in point.shadow
        ):
            return False
    return True
