"""Deciding while the service is not heard: from the snapshot and the standing that are held, and from nothing else.

    no snapshot, too old, a clock that is doubted, an alert state or a lockdown of later    nobody is let in
    badge not believed, not proven, not in force, withdrawn, without a right at this hour   not let in
    let in here already, where that is asked                                                not let in
    else                                                                                    let in, once it is on disk

Every rule was asked beforehand by the service (see `gatekeeper.core.snapshots`): what is left is to see who stands there, when,
and whether anything was taken back. So a gate grants nothing that the site would refuse on what both know. What was typed at a
keypad is for the service's eyes only, and counts for nothing here.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from devices.core.knowledge import Knowledge
from devices.core.timekeeping import ClockDoubt
from gatekeeper.core.register import read_token
from gatekeeper.core.trust import Trust
from gatekeeper.core.verify import verify_scan
from gatekeeper.cose.status_list import VALID
from gatekeeper.model.badges import Badge, Card
from gatekeeper.model.ids import BadgeId, ZoneId
from gatekeeper.model.messages import ByCard, ByToken, ClockQuality, Scan, Verdict
from gatekeeper.model.places import Direction
from gatekeeper.model.snapshot import KnownCards, Snapshot, SnapshotPoint, Standing

__all__ = ["Alone", "AloneDecision", "Inside", "decide_alone", "granted_before"]


class Alone(StrEnum):
    """What a gate that is alone says, and why, in the order in which it is asked. Codes are never reused."""

    GRANTED = "alone-granted"
    NO_POLICY = "alone-no-policy"
    NOT_HERE = "alone-not-here"
    CLOCK = "alone-clock"
    TOO_LONG = "alone-too-long"
    TRUST_OLD = "alone-trust-old"
    ALERT = "alone-alert"
    LOCKDOWN = "alone-lockdown"
    BADGE = "alone-badge"
    PROOF = "alone-proof"
    NOT_IN_FORCE = "alone-not-in-force"
    WITHDRAWN = "alone-withdrawn"
    NO_RIGHT = "alone-no-right"
    OTHER_HOURS = "alone-other-hours"
    INSIDE = "alone-inside"

    @property
    def may_wait(self) -> bool:
        """Whether the gate may not decide at all, so that an answer which comes late is worth waiting for."""
        return self in _UNABLE


_UNABLE = frozenset({Alone.NO_POLICY, Alone.NOT_HERE, Alone.TOO_LONG, Alone.CLOCK, Alone.TRUST_OLD})


@dataclass(frozen=True, slots=True, kw_only=True)
class AloneDecision:
    """What was decided alone; `holder` is whoever was recognised, by all badges of theirs that are known."""

    said: Alone
    unlock: timedelta = timedelta()
    holder: frozenset[BadgeId] = frozenset()
    target: ZoneId | None = None

    @property
    def granted(self) -> bool:
        """Whether the strike may be released."""
        return self.said is Alone.GRANTED


@dataclass(frozen=True, slots=True)
class _Stay:
    """Where somebody was let in, and when; `number` rises with everybody who is."""

    zone: ZoneId
    since: datetime
    number: int


@dataclass(slots=True)
class Inside:
    """Whom this gate has let in where since it is alone, over restarts too; the service knows the rest, and forgets nothing when it is back.

    INVARIANT: a person is known by their badges, all that the snapshot by which they were let in holds of them. The number of a holder means
    something in its own snapshot only: the next one may give it to somebody else.
    """

    _last: dict[BadgeId, _Stay] = field(default_factory=dict)
    _count: int = 0

    def let_in(self, decision: AloneDecision, *, now: datetime) -> Callable[[], None]:
        """Somebody is let in; gives what takes it back, should it come to nothing and nothing be known of them since."""
        if decision.target is None:
            return lambda: None
        self._count += 1
        stay = _Stay(decision.target, now, self._count)
        before = {badge: self._last.get(badge) for badge in decision.holder}
        self._last.update(dict.fromkeys(decision.holder, stay))

        def take_back() -> None:
            for badge, former in before.items():
                if self._last.get(badge) is not stay:
                    continue
                del self._last[badge]
                if former is not None:
                    self._last[badge] = former

        return take_back

    def is_inside(self, holder: Iterable[BadgeId], point: SnapshotPoint, *, now: datetime) -> bool:
        """Whether somebody was let into what they ask to enter, by any of their badges, and that still counts."""
        stays = [self._last[badge] for badge in holder if badge in self._last]
        rule, last = point.passback, max(stays, key=lambda stay: stay.number, default=None)
        if rule is None or last is None or last.zone not in rule.zones:
            return False
        return rule.within is None or now - last.since < rule.within

    def forget(self) -> None:
        """The service is back."""
        self._last.clear()


@dataclass(frozen=True, slots=True)
class _Held:
    """The badges that a gate knows when it is alone: those that bring their token, and bare cards of its snapshot."""

    cards: KnownCards

    def read_token(self, token: bytes, *, trust: Trust) -> Badge | None:
        return read_token(token, trust)

    def token_of_digest(self, _digest: bytes) -> None:
        return None

    def token_of_card(self, card: Card) -> bytes | None:
        return self.cards.token_of(card)

    def holder_of(self, _badge: BadgeId, *, trust: Trust) -> None:  # noqa: ARG002 - whose it is, the snapshot does not tell
        return None


def decide_alone(
    scan: Scan, direction: Direction, *, knowledge: Knowledge, inside: Inside, now: datetime | ClockDoubt
) -> AloneDecision:
    """Decide one scan from what is held. Total: doubt denies."""
    snapshot, standing = knowledge.snapshot, knowledge.standing
    if snapshot is None or standing is None:
        return AloneDecision(said=Alone.NO_POLICY)
    point = snapshot.points.get(scan.access_point)
    if point is None:
        return AloneDecision(said=Alone.NOT_HERE)
    if isinstance(now, ClockDoubt):
        return AloneDecision(said=Alone.CLOCK)
    closed = _closed(point, snapshot, standing, knowledge, now)
    if closed is not None:
        return AloneDecision(said=closed)
    presented = verify_scan(
        replace(scan, sealed_pin=None),
        gate=knowledge.gate,
        direction=direction.value,
        register=_Held(snapshot.cards),
        trust=knowledge.trust,
        beacons=(scan.beacon,),
    )
    badge = presented.badge
    if badge is None:
        return AloneDecision(said=Alone.BADGE)
    if presented.findings:
        return AloneDecision(said=Alone.PROOF)
    withdrawn = _withdrawn(badge, standing, knowledge, scan.clock, now)
    if withdrawn is not None:
        return AloneDecision(said=withdrawn)
    return _by_right(badge, point, snapshot, knowledge=knowledge, inside=inside, now=now)


def granted_before(scan: Scan, *, knowledge: Knowledge) -> AloneDecision | None:
    """A grant of the gate's own as it stands in its journal: whom it let in where; None when that is not known any more."""
    snapshot = knowledge.snapshot
    point = snapshot.points.get(scan.access_point) if snapshot is not None else None
    if snapshot is None or point is None or scan.offline_verdict is not Verdict.GRANTED:
        return None
    match scan.credential:
        case ByToken(token):
            token_of: bytes | None = token
        case ByCard(card):
            token_of = snapshot.cards.token_of(card)
        case _:
            token_of = None
    badge = read_token(token_of, knowledge.trust) if token_of is not None else None
    if badge is None:
        return None
    found = snapshot.find(badge.id)
    others = frozenset[BadgeId]() if found is None else knowledge.badges_of(found[0])
    return AloneDecision(said=Alone.GRANTED, holder=others | {badge.id}, target=point.target)


def _closed(
    point: SnapshotPoint, snapshot: Snapshot, standing: Standing, knowledge: Knowledge, now: datetime
) -> Alone | None:
    """Why nobody is let in here."""
    confirmed = knowledge.confirmed
    if confirmed is None or not snapshot.since <= now.timestamp() < snapshot.until:
        return Alone.TOO_LONG
    if now - confirmed >= point.longest:
        return Alone.TOO_LONG
    if standing.trust > knowledge.trust.version:
        return Alone.TRUST_OLD
    # A snapshot that was made for a graver alert state gives less, never more (promise 8).
    if standing.alert > snapshot.alert:
        return Alone.ALERT
    # INVARIANT: what was locked down stays so until a standing says otherwise that was made after the order.
    is_open = point.scopes.isdisjoint(standing.lockdowns) and not knowledge.is_locked_down
    return None if is_open else Alone.LOCKDOWN


def _withdrawn(
    badge: Badge, standing: Standing, knowledge: Knowledge, clock: ClockQuality, now: datetime
) -> Alone | None:
    """Why a badge that is real does not count."""
    if not badge.not_before <= now < badge.expires:
        return Alone.NOT_IN_FORCE
    if badge.requires_trusted_time and clock is not ClockQuality.SYNCHRONISED:
        return Alone.CLOCK
    if badge.epoch < knowledge.trust.epoch(badge.tenant) or badge.tenant in standing.suspended:
        return Alone.WITHDRAWN
    if badge.status_index is None:
        return None
    # INVARIANT: revoked stays revoked; a badge whose status is not known does not count.
    listed = knowledge.statuses.get(badge.tenant)
    status = listed.status(badge.status_index) if listed is not None else None
    return None if status == VALID else Alone.WITHDRAWN


def _by_right(
    badge: Badge,
    point: SnapshotPoint,
    snapshot: Snapshot,
    *,
    knowledge: Knowledge,
    inside: Inside,
    now: datetime,
) -> AloneDecision:
    found = snapshot.find(badge.id)
    if found is None or found[1].tenant != badge.tenant or point.id not in found[1].hours:
        return AloneDecision(said=Alone.NO_RIGHT)
    number, rights = found
    if not _is_open(snapshot, rights.hours[point.id], now):
        return AloneDecision(said=Alone.OTHER_HOURS)
    holder = knowledge.badges_of(number)
    if inside.is_inside(holder, point, now=now):
        return AloneDecision(said=Alone.INSIDE)
    return AloneDecision(said=Alone.GRANTED, unlock=point.unlock, holder=holder, target=point.target)


def _is_open(snapshot: Snapshot, hours: int, now: datetime) -> bool:
    """Whether an instant lies in one of the stretches: after an odd number of their bounds."""
    return bisect_right(snapshot.hours[hours], now.timestamp()) % 2 == 1
