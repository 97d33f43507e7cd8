"""The ideal table look-up in plain Python: nothing is left to work out, and nothing is explained.

All schedules are one sorted list of instants with a bit set for what follows; the rights of a badge are folded to the two
instants between which they count and, for each door, the schedules that open it in each alert state. Equal rights are kept
once. It answers yes or no: no reason, no policy version, and no guard against facts that have changed since.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias

from gatekeeper.model.badges import Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Opening, Point, Policy, TenantRights
from tests.benchmarks.big_crowd import BEGIN, DAYS, Ask, Crowd
from tests.benchmarks.peers import Peer

__all__ = ["ideal"]

_Doors: TypeAlias = Mapping[AccessPointId, tuple[int, ...]]
_Row: TypeAlias = tuple[float, float, _Doors]


def ideal(policy: Policy, crowd: Crowd, asks: Sequence[Ask]) -> Peer:
    """Lay everything out."""
    starts, open_sets = _segments(policy)
    rows = _rows(policy, crowd)

    def may(badge: BadgeId, door: AccessPointId, instant: float, alert: int) -> bool:
        row = rows.get(badge)
        if row is None:
            return False
        since, until, doors = row
        if not since <= instant < until:
            return False
        masks = doors.get(door)
        return masks is not None and masks[alert] & open_sets[bisect_right(starts, instant) - 1] != 0

    questions = [
        (ask.facts.badge.id if ask.facts.badge else "", ask.request.access_point, ask.now.timestamp(), ask.facts.alert)
        for ask in asks
    ]  # fmt: skip
    return Peer("ideal", "", lambda: [may(badge, door, now, alert) for badge, door, now, alert in questions])


def _segments(policy: Policy) -> tuple[list[float], list[int]]:
    """The instants at which any schedule opens or closes, and what is open from there; one bit more is always set."""
    always = _always(policy)
    starts: list[float] = []
    open_sets: list[int] = []
    for minute in range((DAYS + 2) * 1440):
        instant = (BEGIN + timedelta(days=-1, minutes=minute)).timestamp()
        now = always | policy.timetable.open_at(instant)
        if not open_sets or open_sets[-1] != now:
            starts.append(instant)
            open_sets.append(now)
    return starts, open_sets


def _always(policy: Policy) -> int:
    return 1 << len(policy.timetable.schedules)


def _rows(policy: Policy, crowd: Crowd) -> dict[BadgeId, _Row]:
    rows: dict[BadgeId, _Row] = {}
    known: dict[object, _Doors] = {}
    for holder, badge, _ in crowd.people:
        row = _row(policy, holder, badge, crowd.state(badge))
        if row is not None:
            rows[badge.id] = (*row[:2], known.setdefault(tuple(row[2].items()), row[2]))
    return rows


def _row(policy: Policy, holder: Holder, badge: Badge, state: BadgeState) -> _Row | None:
    """What one badge opens, from when until when; None for nothing."""
    rights = policy.tenants[badge.tenant]
    agreement = rights.agreement
    if state is not BadgeState.ACTIVE or (agreement is None and not rights.is_host):
        return None
    if agreement is not None and badge.expires - badge.not_before > agreement.badge_life:
        return None
    since, until = max(badge.not_before, holder.since), min(badge.expires, holder.until)
    if agreement is not None:
        since, until = max(since, agreement.since), min(until, agreement.until)
    doors: dict[AccessPointId, tuple[int, ...]] = {}
    for profile in holder.profiles:
        for door, openings in policy.profiles[holder.tenant, profile].items():
            masks = _masks(policy, policy.points[door], rights, holder, badge, openings)
            before = doors.get(door, (0,) * len(masks))
            doors[door] = tuple(old | new for old, new in zip(before, masks, strict=True))
    return since.timestamp(), until.timestamp(), doors


def _masks(
    policy: Policy,
    point: Point,
    rights: TenantRights,
    holder: Holder,
    badge: Badge,
    openings: Iterable[Opening],
) -> list[int]:
    """The schedules that open a door, in each alert state."""
    ceiling = rights.agreement.ceiling if rights.agreement is not None else 5
    if (
        point.protected not in rights.zones - rights.vetoed
        or point.level > min(holder.clearance, badge.ceiling, ceiling)
        or point.assurance > badge.assurance
    ):
        return [0] * len(policy.demands)
    if point.leaving:
        return [_always(policy)] * len(policy.demands)
    masks = [0] * len(policy.demands)
    for alert, demands in enumerate(policy.demands):
        if badge.assurance >= demands.assurance and badge.tenant not in demands.excluded:
            for opening in openings:
                masks[alert] |= opening.schedule if alert <= opening.highest_alert else 0
    return masks
