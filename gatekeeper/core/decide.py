"""The decision: every rule is asked, every rule that fails is reported, and only their silence opens.

    decide(policy, facts, request, now) -> Decision

Forbid wins, silence denies. One reason goes to the reader (the first in the order of `RULES`), all go to the log; a rule
in shadow mode reports, and does not deny. `facts` hold all that is not policy, so a decision can be made again from what
the log kept. Where a zone wants a guard's eyes and nothing else is missing, the decision waits for his word.

On the way out (`leaving`) schedules and the alert state do not hold a person in: a right that ends at closing time
does not end the right to go home. Everything else is asked as on the way in.

Most scans ask for nothing but rights: no company, no crowd, no memory of where somebody was. For those, `Folded` keeps what
is always true of one badge at one access point, and a decision is a look-up. The fold is a memory of this very function:
it holds decisions that `_decide_fully` made, under a key of everything in which two such scans can differ.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
from gatekeeper.model.badges import Badge, BadgeState
from gatekeeper.model.ids import HolderId
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason

__all__ = ["Decision", "Facts", "Request", "asks_the_past", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Granted or denied, with every reason, and the policy that said so.

    `shadow` are reasons of rules that only report. `party` are those who waited here and pass along with a grant; `host` is
    with whom a visitor comes in, `guests` are those of the party whose host the holder is.
    `waits` is how long a guard has to say yes: until then nothing is granted, and nothing refused.
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
    point = policy.points.get(request.access_point)
    if point is None or point.gate != request.gate:
        return _refused(policy, (*facts.findings, Reason.UNKNOWN_ACCESS_POINT), ())
    badge = facts.badge
    alert = facts.alert
    if (
        badge is None
        or facts.past is not NO_PAST
        or facts.findings
        or facts.lockdowns
        or facts.suspended
        or alert >= len(policy.demands)
    ):
        return _decide_fully(policy, point, facts, request, now)
    folded = policy.folds.get((badge.id, point.id))
    if (
        folded is None
        or folded.badge is not badge
        or folded.holder is not facts.holder
        or folded.state is not facts.badge_state
        or folded.epoch != facts.epoch
        or folded.unproven is not facts.holder_unproven
    ):
        folded = _fold(policy, point, facts, badge)
    if folded.asks_more:
        return _decide_fully(policy, point, facts, request, now)
    instant = now.timestamp()
    open_now = policy.timetable.open_at(instant)
    key = (
        bisect_right(folded.bounds, instant) << 16
        | alert << 8
        | facts.assurance << 4
        | (facts.whereabouts in point.passback_zones) << 2
        | (folded.open_sets[alert] & open_now != 0) << 1
        | (folded.open_at_all & open_now != 0)
    )
    decision = folded.decisions.get(key)
    if decision is None:
        decision = folded.decisions[key] = _decide_fully(policy, point, facts, request, now)
    return decision


@dataclass(frozen=True, slots=True)
class Folded:
    """What is always true of one badge at one access point.

    The first group is what it was folded from: other objects, and it is folded anew. `bounds` are the instants (Unix
    seconds, sorted) at which a date begins or ends to count; between two of them nothing but schedules can change.
    """

    badge: Badge
    holder: Holder | None
    state: BadgeState | None
    epoch: int
    unproven: bool

    bounds: tuple[float, ...]
    open_sets: tuple[int, ...]
    open_at_all: int
    asks_more: bool
    decisions: dict[int, Decision] = field(default_factory=dict)


_MOST_FOLDS = 1 << 20


def _fold(policy: Policy, point: Point, facts: Facts, badge: Badge) -> Folded:
    holder = facts.holder
    dates: set[datetime] = {badge.not_before, badge.expires}
    openings: list[tuple[int, int]] = []
    if holder is not None:
        dates |= {holder.since, holder.until, *(until for _, until in holder.certificates)}
        for profile in holder.profiles:
            granted = policy.profiles.get((holder.tenant, profile), {}).get(point.id, ())
            openings += [(opening.schedule, opening.highest_alert) for opening in granted]
    rights = policy.tenants.get(badge.tenant)
    if rights is not None and rights.agreement is not None:
        dates |= {rights.agreement.since, rights.agreement.until}
    dates |= {at for event in point.events for at in (event.since, event.until)}
    dates |= {at for call in policy.rules.call_ups for at in (call.since, call.until)}
    open_sets = []
    for alert in range(len(policy.alert_states)):
        open_set = 0
        for schedule, highest in openings:
            open_set |= schedule if alert <= highest else 0
        open_sets.append(open_set)
    if len(policy.folds) >= _MOST_FOLDS:
        policy.folds.clear()
    folded = policy.folds[badge.id, point.id] = Folded(
        badge,
        holder,
        facts.badge_state,
        facts.epoch,
        facts.holder_unproven,
        tuple(sorted(date.timestamp() for date in dates)),
        tuple(open_sets),
        open_sets[0] if open_sets else 0,
        badge.requires_trusted_time or badge.max_uses is not None or asks_the_past(policy, point),
    )
    return folded


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


def _decide_fully(policy: Policy, point: Point, facts: Facts, request: Request, now: datetime) -> Decision:
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
