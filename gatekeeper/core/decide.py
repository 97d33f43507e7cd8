"""The decision: every rule is asked, every rule that fails is reported, and only their silence opens.

    decide(policy, facts, request, now) -> Decision

Forbid wins, silence denies. One reason goes to the reader (the first in the order of `RULES`), all go to the log; a rule
in shadow mode reports, and does not deny. `facts` hold all that is not policy, so a decision can be made again from what
the log kept. Where a zone wants a guard's eyes and nothing else is missing, the decision waits for his word.

On the way out (`leaving`) schedules and the alert state do not hold a person in: a right that ends at closing time
does not end the right to go home. Everything else is asked as on the way in.

Most scans ask for nothing but rights: no company, no crowd, no memory of where somebody was. For those, `_Folded` keeps what
is true of one badge at one access point, and a decision is a look-up. The fold is a memory of this very function: it holds
decisions that `decide_fully` made, and is made anew when anything differs in which two such scans can differ.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Final

from gatekeeper.core.facts import NO_PAST, Companion, Facts, GuardsWord, Request
from gatekeeper.core.rules import (
    RULES,
    WAITS_FOR_COMPANY,
    Case,
    Reported,
    case_of,
    guests_of,
    host_of,
    party_of,
)
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId, ZoneId
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason

__all__ = ["Decision", "Facts", "Request", "asks_the_past", "decide", "decide_fully", "turning_dates"]

_MOST_FOLDS: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Granted or denied, with every reason, and the policy that said so.

    `shadow` are reasons of rules that only report. `party` are those who waited here and pass along with a grant; `host` is
    with whom a visitor comes in, `guests` are those of the party whose host the holder is.
    `waits` is how long a guard has to say yes, to the holder and to each of the party: until then nothing is granted, and
    nothing refused.
    """

    granted: bool
    reason: Reason
    reasons: tuple[Reason, ...]
    shadow: tuple[Reason, ...]
    policy: bytes
    unlock: timedelta | None
    party: tuple[Companion, ...] = ()
    host: HolderId | None = None
    guests: frozenset[HolderId] = frozenset()
    waits: timedelta | None = None

    @property
    def waits_for_company(self) -> bool:
        """Whether nothing is missing but somebody to go with."""
        denying = {reason for reason in self.reasons if reason.denies}
        return not self.granted and self.waits is None and denying <= WAITS_FOR_COMPANY


def decide(policy: Policy, facts: Facts, request: Request, now: datetime) -> Decision:
    """Decide one request. Total: every input has an answer, and doubt is a denial."""
    door = policy.folds.get(request.access_point) or _door(policy, request.access_point)
    if door is None or door.gate != request.gate:
        return _refused(policy, (*facts.findings, Reason.UNKNOWN_ACCESS_POINT), ())
    badge = facts.badge
    if (
        badge is None
        or door.asks_the_past
        or facts.past is not NO_PAST
        or facts.findings
        or facts.lockdowns
        or facts.suspended
        or badge.requires_trusted_time
        or badge.max_uses is not None
        or facts.alert >= door.alerts
    ):
        return decide_fully(policy, door.point, facts, request, now)
    instant = now.timestamp()
    folded = door.folds.get(badge.id)
    if (
        folded is None
        or folded.badge is not badge
        or folded.holder is not facts.holder
        or folded.state is not facts.badge_state
        or folded.unproven is not facts.holder_unproven
        or folded.epoch != facts.epoch
        or folded.alert != facts.alert
        or folded.assurance is not facts.assurance
        or folded.inside is not (facts.whereabouts in door.passback_zones)
        or not folded.since <= instant < folded.until
    ):
        folded = _fold(policy, door, facts, badge, instant)
    open_now = policy.timetable.open_at(instant)
    if folded.opens & open_now:
        if folded.when_open is None:
            folded.when_open = _decide_once(policy, door, facts, request, now)
        return folded.when_open
    if folded.opens_in_calm & open_now:
        if folded.when_alarmed is None:
            folded.when_alarmed = _decide_once(policy, door, facts, request, now)
        return folded.when_alarmed
    if folded.when_closed is None:
        folded.when_closed = _decide_once(policy, door, facts, request, now)
    return folded.when_closed


@dataclass(slots=True)
class _Folded:
    """What is true of one badge at one access point for a while, and the decisions that were made.

    The first group is what it was folded from: another of these, and it is folded anew. From `since` until `until` (Unix
    seconds) no date begins or ends to count, so that nothing but the hour can change: a schedule that leads here is open, is
    open but only in a calmer alert state, or none is. For each of the three there is one decision, once it was made.
    """

    badge: Badge
    holder: Holder | None
    state: BadgeState | None
    unproven: bool
    epoch: int
    alert: int
    assurance: Assurance
    inside: bool

    since: float
    until: float
    opens: int
    opens_in_calm: int
    when_open: Decision | None = None
    when_alarmed: Decision | None = None
    when_closed: Decision | None = None


@dataclass(slots=True)
class _Kept:
    """What all folds of a policy share: their number, and of equal decisions one."""

    folds: int = 0
    decisions: dict[Decision, Decision] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Door:
    """One access point of one policy, with the folds of all badges that came to it."""

    point: Point
    gate: GateId
    passback_zones: frozenset[ZoneId]
    alerts: int
    asks_the_past: bool
    kept: _Kept
    folds: dict[BadgeId, _Folded] = field(default_factory=dict)


def _decide_once(policy: Policy, door: _Door, facts: Facts, request: Request, now: datetime) -> Decision:
    """Decide fully; of equal decisions only one is kept."""
    decision = decide_fully(policy, door.point, facts, request, now)
    return door.kept.decisions.setdefault(decision, decision)


def _door(policy: Policy, access_point: AccessPointId) -> _Door | None:
    point = policy.points.get(access_point)
    if point is None:
        return None
    kept = next((door.kept for door in policy.folds.values()), None) or _Kept()
    door = policy.folds[access_point] = _Door(
        point, point.gate, point.passback_zones, len(policy.demands), asks_the_past(policy, point), kept
    )
    return door


def _fold(policy: Policy, door: _Door, facts: Facts, badge: Badge, instant: float) -> _Folded:
    if badge.id not in door.folds:
        if door.kept.folds >= _MOST_FOLDS:
            _forget(policy)
        door.kept.folds += 1
    bounds = sorted(date.timestamp() for date in turning_dates(policy, door.point, facts, badge))
    after = bisect_right(bounds, instant)
    folded = door.folds[badge.id] = _Folded(
        badge=badge,
        holder=facts.holder,
        state=facts.badge_state,
        unproven=facts.holder_unproven,
        epoch=facts.epoch,
        alert=facts.alert,
        assurance=facts.assurance,
        inside=facts.whereabouts in door.passback_zones,
        since=bounds[after - 1] if after else -inf,
        until=bounds[after] if after < len(bounds) else inf,
        opens=_opening(policy, door.point, facts.holder, facts.alert),
        opens_in_calm=_opening(policy, door.point, facts.holder, 0),
    )
    return folded


def _forget(policy: Policy) -> None:
    for door in policy.folds.values():
        door.folds.clear()
        door.kept.folds = 0
        door.kept.decisions.clear()


def turning_dates(policy: Policy, point: Point, facts: Facts, badge: Badge) -> set[datetime]:
    """The instants at which something about this badge, here, begins or ends to count."""
    dates: set[datetime] = {badge.not_before, badge.expires}
    holder = facts.holder
    if holder is not None:
        dates |= {holder.since, holder.until, *(until for _, until in holder.certificates)}
    rights = policy.tenants.get(badge.tenant)
    if rights is not None and rights.agreement is not None:
        dates |= {rights.agreement.since, rights.agreement.until}
    dates |= {at for event in point.events for at in (event.since, event.until)}
    return dates | {at for call in policy.rules.call_ups for at in (call.since, call.until)}


def _opening(policy: Policy, point: Point, holder: Holder | None, alert: int) -> int:
    """The schedules that open here in an alert state."""
    if holder is None:
        return 0
    found = 0
    for profile in holder.profiles:
        for opening in policy.profiles.get((holder.tenant, profile), {}).get(point.id, ()):
            found |= opening.schedule if alert <= opening.highest_alert else 0
    return found


def asks_the_past(policy: Policy, point: Point) -> bool:
    """Whether any rule at an access point asks for more than badge, holder, place and time."""
    zones = [rules for _, rules in (*point.entered, *point.left)]
    return bool(
        policy.rules.inactivity
        or point.passback.within
        or point.passback.forgotten
        or point.interlocked
        or point.travels
        or point.pin_always
        or point.pin_schedules
        or any(demands.second_factor or demands.escort for demands in policy.demands)
        or any(
            rules.unexpected_location or rules.occupancy or rules.two_persons or rules.escort or rules.first_person
            or rules.guard_check or rules.search or rules.driver
            for rules in zones
        )
    )  # fmt: skip


def decide_fully(policy: Policy, point: Point, facts: Facts, request: Request, now: datetime) -> Decision:
    """Ask every rule, and remember nothing: what `decide` comes to, which other threads may ask too."""
    case = case_of(policy, point, facts, request, now, party=party_of)
    failed: list[Reason] = [*facts.findings]
    reported: list[Reason] = []
    for rule in RULES:
        found = rule(case)
        match found:
            case None:
                pass
            case Reported(reason):
                reported.append(reason)
            case Reason() if found.denies and found.code in point.shadow:
                reported.append(found)
            case Reason():
                failed.append(found)
    if any(reason.denies for reason in failed):
        return _refused(policy, tuple(failed), tuple(reported))
    return _granted(case, tuple(failed), tuple(reported))


def _refused(policy: Policy, reasons: tuple[Reason, ...], shadow: tuple[Reason, ...]) -> Decision:
    shown = next(reason for reason in reasons if reason.denies)
    return Decision(
        granted=False, reason=shown, reasons=reasons, shadow=shadow, policy=policy.version, unlock=None
    )


def _granted(case: Case, reasons: tuple[Reason, ...], shadow: tuple[Reason, ...]) -> Decision:
    checks = [rules.guard_check for _, rules in case.point.entered if rules.guard_check is not None]
    if checks and case.facts.past.guard is GuardsWord.NOT_ASKED:
        return Decision(
            granted=False,
            reason=Reason.VERIFICATION_REQUIRED,
            reasons=(*reasons, Reason.VERIFICATION_REQUIRED),
            shadow=shadow,
            policy=case.policy.version,
            unlock=None,
            waits=min(check.limit for check in checks),
            party=case.party,
        )
    return Decision(
        granted=True,
        reason=Reason.GRANTED,
        reasons=reasons,
        shadow=shadow,
        policy=case.policy.version,
        unlock=case.point.unlock,
        party=case.party,
        host=host_of(case),
        guests=guests_of(case),
    )
