"""What it does to a site's memory that somebody asks, is let through, passes, or turns back.

A grant moves its holder and their company at once, for the next scan must see it; what a gate says of the passage makes it
sure, or takes it back. What changed is given to be committed with the entry that says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import Companion, Factor, Facts
from gatekeeper.core.happened import earliest
from gatekeeper.core.memory import Asked, Memory, Opening, Usage
from gatekeeper.core.presence import Presence, confirmed, granted, put_back
from gatekeeper.core.register import Register
from gatekeeper.core.sequences import Receipt
from gatekeeper.core.trust import Trust
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId, HolderId
from gatekeeper.model.messages import ClockQuality, Passage, PassageOutcome, Scan, Status, StatusKind
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.rules import ProfileRef

__all__ = ["NOTHING", "Crossing", "Remembered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What changed in the memory, and is committed with the entry."""

    moved: tuple[Presence, ...] = ()
    usage: tuple[tuple[BadgeId, Usage], ...] = ()
    opened: tuple[tuple[Opening, datetime | None], ...] = ()
    """When the first person came into a zone on a grant; None where that counts no more."""


NOTHING = Remembered()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The memory and the register of a site, under one policy and trust list."""

    memory: Memory
    register: Register
    policy: Policy
    trust: Trust

    def decided(
        self,
        point: Point,
        scan: Scan,
        facts: Facts,
        decision: Decision,
        asked: Asked | None,
        *,
        now: datetime,
        seq: int,
    ) -> Remembered:
        """A scan was decided: who moved, in whose company, and what became of the badges. `asked` is None for nobody."""
        badge, holder = facts.badge, facts.holder
        if badge is None or decision.waits is not None:
            return NOTHING
        # A badge that is not in force opens nothing with any PIN: whoever found it does not block its holder's.
        factor = facts.past.factor if _is_in_force(facts, now) else Factor.NONE
        used = dict(self.memory.pin_typed(badge, holder, factor, now=now))
        if not decision.granted or holder is None or asked is None:
            failed = self.memory.refused(point, badge, decision, asked, now=now)
            used |= {} if failed is None else {badge.id: failed}
            return Remembered(usage=tuple(used.items())) if used else NOTHING
        self.memory.hears_of(point.id, scan)
        moved = [self._move(holder.id, holder, point, now, seq, host=decision.host)]
        for companion in decision.party:
            host = holder.id if companion.holder in decision.guests else None
            known = self.register.holder(companion.holder, trust=self.trust)
            moved.append(self._move(companion.holder, known, point, now, seq, host=host))
        used |= self.memory.granted(point, decision, asked, now=now)
        opened = self.memory.opens(point, _on_their_own(asked.who, decision), at=now, grant=seq)
        return Remembered(moved=tuple(moved), usage=tuple(used.items()), opened=tuple(opened))

    def let_in_alone(self, point: Point, scan: Scan, facts: Facts, *, now: datetime, seq: int) -> Remembered:
        """A gate that was alone let somebody through: they are there, their badge was used, and they open what they may.

        It tells late: whatever is known of a later instant stays as it is. For a badge that did not prove itself it let in
        nobody that the site knows, and only a gate that knows the time and a badge that is in force open a zone for others.

        INVARIANT: nobody is moved back in time: who was seen elsewhere after the instant that the gate tells stays there.
        Also a clock that nobody set is believed so far; only a gate without any is taken to speak of now.
        """
        badge, holder = facts.badge, facts.holder
        if badge is None or holder is None or any(finding.denies for finding in facts.findings):
            return NOTHING
        told = earliest(logged=now, gate_at=scan.gate_at, clock=scan.clock)
        is_sure = scan.gate_at is not None and scan.clock is ClockQuality.SYNCHRONISED
        at = told if is_sure else now
        used = self.memory.used(badge, point, at=at)
        here = self.memory.whereabouts.get(holder.id)
        moved: tuple[Presence, ...] = ()
        if here is None or here.since <= told:
            moved = (self._move(holder.id, holder, point, told, seq),)
            self.memory.came_through({holder.id}, point)
        opened: list[tuple[Opening, datetime | None]] = []
        if is_sure and _is_in_force(facts, at):
            roles = {(holder.tenant, profile) for profile in holder.profiles}
            opened = self.memory.opens(point, roles, at=at, grant=seq)
        usage = () if used is None else ((badge.id, used),)
        return Remembered(moved=moved, usage=usage, opened=tuple(opened))

    def passed(self, point: Point, passage: Passage, grant: Receipt | None, *, seq: int) -> Remembered:
        """What the contact of a door saw, of all who passed on the grant that it claims, and of the door itself."""
        if point.interlocked and self.memory.hears_of(point.id, passage):
            self._door(point.id, passage.outcome)
        if grant is None:
            return NOTHING
        match passage.outcome:
            case PassageOutcome.TAKEN:
                moved = self._settle(grant, point, lambda before: confirmed(before, grant=grant.seq, seq=seq))
                return Remembered(moved=moved, opened=tuple(self.memory.has_opened(grant.seq)))
            case PassageOutcome.NOT_TAKEN:
                unused = self._unused(grant, point)
                moved = self._settle(
                    grant,
                    point,
                    lambda before: put_back(before, grant=grant.seq, source=point.source, seq=seq),
                )
                opened = tuple(self.memory.opens_nothing(grant.seq))
                return Remembered(moved=moved, usage=unused, opened=opened)
            case PassageOutcome.FORCED | PassageOutcome.HELD_OPEN | PassageOutcome.EXITED:
                return NOTHING

    def _unused(self, grant: Receipt, point: Point) -> tuple[tuple[BadgeId, Usage], ...]:
        """Nobody passed on a grant: of the badges of whoever it let through, that use counts no more."""
        found = []
        for holder in self.memory.on_grant(grant.seq):
            known = self.register.holder(holder, trust=self.trust)
            for badge in known.badges if known is not None else ():
                usage = self.memory.unused(badge, point, at=grant.issued)
                if usage is not None:
                    found.append((badge, usage))
        return tuple(found)

    def reported(self, point: Point, status: Status) -> None:
        """What a gate says of a door."""
        if status.kind is not StatusKind.CLOSED_AGAIN:
            return
        if self.memory.hears_of(point.id, status):
            self.memory.door_closed(point.id)
        else:
            self.memory.door_was_closed(point.id)

    def _door(self, door: AccessPointId, outcome: PassageOutcome) -> None:
        match outcome:
            case PassageOutcome.NOT_TAKEN:
                self.memory.door_unused(door)
            case _:
                self.memory.door_opened(door, until=None)

    def _settle(
        self, grant: Receipt, point: Point, word: Callable[[Presence | None], Presence | None]
    ) -> tuple[Presence, ...]:
        """Say the word on everybody who is where this grant let them through here."""
        moved = []
        for holder in self.memory.on_grant(grant.seq):
            before = self.memory.whereabouts.get(holder)
            after = word(before) if before is not None and before.access_point == point.id else None
            if after is not None:
                self.memory.move(after, self.register.holder(holder, trust=self.trust))
                moved.append(after)
        return tuple(moved)

    def _move(
        self,
        who: HolderId,
        holder: Holder | None,
        point: Point,
        now: datetime,
        seq: int,
        *,
        host: HolderId | None = None,
    ) -> Presence:
        """Somebody is let through; `holder` is None when their registration is not believed any more."""
        after = granted(
            self.memory.whereabouts.get(who),
            holder=who,
            target=point.target,
            access_point=point.id,
            at=now,
            seq=seq,
            outside=self.policy.outside,
            host=host,
        )
        self.memory.move(after, holder)
        return after


def _is_in_force(facts: Facts, at: datetime) -> bool:
    """Whether a badge counts at an instant, and its holder is in service."""
    badge, holder = facts.badge, facts.holder
    if badge is None or holder is None or facts.badge_state is not BadgeState.ACTIVE:
        return False
    valid = badge.not_before <= at < badge.expires and badge.epoch >= facts.epoch
    return valid and holder.since <= at < holder.until


def _on_their_own(me: Companion, decision: Decision) -> frozenset[ProfileRef]:
    """The profiles of those who come in without a host: a visitor opens a zone for nobody else."""
    free = [] if decision.host is not None else [me]
    free += [one for one in decision.party if one.holder not in decision.guests]
    return frozenset().union(*(one.roles for one in free))
