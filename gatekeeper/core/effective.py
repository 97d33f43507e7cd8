"""Effective rights: what a holder may open under a policy, at each alert state, whatever the hour and the company.

The answer is the decision's own: the rules are asked with nothing in their way that a person can mend at the door (another
hour, a companion, a PIN, a door that stands open), and what is then still denied is no right. Hours are what remains: the
weekly windows and special days of every opening that counts. Holders who are alike in everything that rules ask of them
have the same rights; so a site of thousands is some hundreds of questions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from gatekeeper.core.facts import NO_PAST, Facts, Request
from gatekeeper.core.rules import RULES, case_of, party_of
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.rules import AlertDemands

__all__ = ["Changed", "Rights", "Subject", "differences", "rights_of", "subjects"]

Hours: TypeAlias = frozenset[tuple[object, ...]]
"""When a right counts: what the schedules say, whatever they are called."""

Rights: TypeAlias = Mapping[tuple[AccessPointId, int], Hours]
"""For each access point and alert state where there is a right: its hours."""

_Alerts: TypeAlias = frozenset[int]
_Spelled: TypeAlias = tuple[object, ...]

_MENDED_AT_THE_DOOR = frozenset(
    {
        Reason.OUT_OF_TIME_RANGE,
        Reason.THREAT_LEVEL,  # the alert state is asked by the openings themselves
        Reason.NO_ACCOMPANIMENT,  # but who counts for none of two is never in the right company
        Reason.NO_ESCORT,
        Reason.NO_DRIVER,
        Reason.LOWER_OCCUPANCY,
        Reason.FIRST_PERSON,
        Reason.PIN_MISSING,
        Reason.TRUSTED_TIME,
        Reason.NOT_CALLED_UP,
        Reason.INACTIVITY,
    }
)
_MENDED_WITHOUT_A_PIN = _MENDED_AT_THE_DOOR - {Reason.PIN_MISSING}
_AT_ALL_HOURS: Hours = frozenset({("at all hours",)})


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


def rights_of(policy: Policy, subject: Subject, *, now: datetime) -> Rights:
    """What a holder may open, and when."""
    found: dict[tuple[AccessPointId, int], Hours] = {}
    spelled = _spelled(policy)
    for point in _points(policy, subject.holder):
        # The alert state itself is asked by the openings: where two demand the same, the same is allowed.
        allowed: dict[AlertDemands, bool] = {}
        for alert, demands in enumerate(policy.demands):
            hours = _hours(policy, point, subject, alert, now=now, spelled=spelled)
            if not hours:
                continue
            if demands not in allowed:
                allowed[demands] = _allowed(policy, point, subject, alert, now)
            if allowed[demands]:
                found[point.id, alert] = hours
    return found


def differences(before: Policy, after: Policy, people: Iterable[Subject], *, now: datetime) -> list[Changed]:
    """Who gains and who loses what between two policies; the alert states are counted from the calmest."""
    changed: dict[tuple[AccessPointId, _Alerts, _Alerts, _Alerts], list[HolderId]] = {}
    states = range(max(len(before.alert_states), len(after.alert_states)))
    for badges, holders in _by_badges(_alike_at(now, people, (before, after))):
        old, new = _of_all(before, badges, now), _of_all(after, badges, now)
        for point in {point for point, _ in (*old, *new)}:
            was = [old.get((point, alert)) for alert in states]
            will = [new.get((point, alert)) for alert in states]
            if was == will:
                continue
            gained = frozenset(alert for alert in states if will[alert] and not was[alert])
            lost = frozenset(alert for alert in states if was[alert] and not will[alert])
            other = frozenset(
                alert for alert in states if was[alert] and will[alert] and was[alert] != will[alert]
            )
            changed.setdefault((point, gained, lost, other), []).extend(holders)
    return [
        Changed(access_point=point, gained=gained, lost=lost, other_hours=other, holders=tuple(sorted(who)))
        for (point, gained, lost, other), who in sorted(changed.items(), key=lambda item: item[0][0])
    ]


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


def _of_all(policy: Policy, badges: Iterable[Subject], now: datetime) -> Rights:
    """What a holder may open with one badge or another."""
    found: dict[tuple[AccessPointId, int], Hours] = {}
    for badge in badges:
        for right, hours in rights_of(policy, badge, now=now).items():
            found[right] = found.get(right, frozenset()) | hours
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


def _hours(
    policy: Policy,
    point: Point,
    subject: Subject,
    alert: int,
    *,
    now: datetime,
    spelled: Mapping[int, _Spelled],
) -> Hours:
    if point.leaving:
        return _AT_ALL_HOURS
    holder = subject.holder
    found: set[tuple[object, ...]] = set()
    for profile in holder.profiles:
        for opening in policy.profiles.get((holder.tenant, profile), {}).get(point.id, ()):
            if alert <= opening.highest_alert:
                found.add(spelled[opening.schedule])
    for event in point.events:
        if holder.id in event.guests and now < event.until and alert <= event.highest_alert:
            found.add(("event", event.since, event.until))
    return frozenset(found)


def _spelled(policy: Policy) -> dict[int, _Spelled]:
    """What each schedule says, by its bit."""
    return {
        1 << bit: (schedule.week, schedule.special_days, schedule.special)
        for bit, schedule in enumerate(policy.timetable.schedules)
    }


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
