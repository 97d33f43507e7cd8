"""What it does to a site's memory that somebody asks, is let through, passes, or turns back.

A grant moves its holder and their company at once, for the next scan must see it; what a gate says of the passage makes it
sure, or takes it back. What changed is given to be committed with the entry that says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gatekeeper.core.decide import Decision
from gatekeeper.core.facts import Facts
from gatekeeper.core.memory import Asked, Memory, Usage
from gatekeeper.core.presence import Presence, confirmed, granted, put_back
from gatekeeper.core.register import Register
from gatekeeper.core.sequences import Receipt
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import BadgeId, HolderId, ZoneId
from gatekeeper.model.messages import ClockQuality, Passage, PassageOutcome, Scan, Status, StatusKind
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Point, Policy

__all__ = ["NOTHING", "Crossing", "Remembered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What changed in the memory, and is committed with the entry."""

    moved: tuple[Presence, ...] = ()
    usage: tuple[tuple[BadgeId, Usage], ...] = ()
    opened: tuple[tuple[ZoneId, datetime | None], ...] = ()
    """When the first person came into a zone; None where it turned out that nobody has."""


NOTHING = Remembered()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The memory and the register of a site, under one policy and trust list."""

    memory: Memory
    register: Register
    policy: Policy
    trust: Trust

    def decided(
        self, point: Point, facts: Facts, decision: Decision, asked: Asked | None, *, now: datetime, seq: int
    ) -> Remembered:
        """A scan was decided: who moved, in whose company, and what became of the badges. `asked` is None for nobody."""
        badge, holder = facts.badge, facts.holder
        if badge is None or decision.waits is not None:
            return NOTHING
        used = dict(self.memory.pin_typed(badge, holder, facts.past.factor, now=now))
        if not decision.granted or holder is None or asked is None:
            failed = self.memory.refused(point, badge, decision, asked, now=now)
            used |= {} if failed is None else {badge.id: failed}
            return Remembered(usage=tuple(used.items())) if used else NOTHING
        moved = [self._move(holder.id, holder, point, now, seq, host=decision.host)]
        for companion in decision.party:
            host = holder.id if companion.holder in decision.guests else None
            known = self.register.holder(companion.holder, trust=self.trust)
            moved.append(self._move(companion.holder, known, point, now, seq, host=host))
        used |= self.memory.granted(point, decision, asked, now=now, grant=seq)
        if decision.host is not None:
            self.memory.brought_by(point.id, decision.host)
        return Remembered(moved=tuple(moved), usage=tuple(used.items()), opened=self.memory.opened_by(seq))

    def let_in_alone(self, point: Point, scan: Scan, facts: Facts, *, now: datetime, seq: int) -> Remembered:
        """A gate that was alone let somebody through: they are there, their badge was used, and they open what they may."""
        badge, holder = facts.badge, facts.holder
        if badge is None or holder is None:
            return NOTHING
        moved = self._move(holder.id, holder, point, now, seq)
        at = now
        if scan.gate_at is not None and scan.clock is ClockQuality.SYNCHRONISED:
            at = min(now, scan.gate_at)
        used = self.memory.used(badge, point, at=at)
        roles = {(holder.tenant, profile) for profile in holder.profiles}
        self.memory.opens(point, roles, at=at, grant=seq)
        usage = () if used is None else ((badge.id, used),)
        return Remembered(moved=(moved,), usage=usage, opened=self.memory.opened_by(seq))

    def passed(self, passage: Passage, grant: Receipt | None, *, now: datetime, seq: int) -> Remembered:
        """What the contact of a door saw, of all who passed on the grant that it claims, and of the door itself."""
        self._door(passage, now)
        if grant is None:
            return NOTHING
        match passage.outcome:
            case PassageOutcome.TAKEN:
                moved = self._settle(
                    grant, lambda before: confirmed(before, grant=grant.seq, at=now, seq=seq)
                )
                return Remembered(moved=moved)
            case PassageOutcome.NOT_TAKEN:
                outside = self.policy.outside
                moved = self._settle(
                    grant, lambda before: put_back(before, grant=grant.seq, outside=outside, at=now, seq=seq)
                )
                return Remembered(moved=moved, opened=self.memory.opens_nothing(grant.seq))
            case PassageOutcome.FORCED | PassageOutcome.HELD_OPEN:
                return NOTHING

    def reported(self, status: Status) -> None:
        """What a gate says of a door."""
        if status.kind is StatusKind.CLOSED_AGAIN and status.access_point is not None:
            self.memory.door_closed(status.access_point)

    def _door(self, passage: Passage, now: datetime) -> None:
        point = self.policy.points.get(passage.access_point)
        if point is None or not point.interlocked:
            return
        match passage.outcome:
            case PassageOutcome.NOT_TAKEN:
                self.memory.door_unused(point.id)
            case PassageOutcome.TAKEN:
                self.memory.door_opened(point.id, until=now + point.unlock)
            case PassageOutcome.FORCED | PassageOutcome.HELD_OPEN:
                self.memory.door_opened(point.id, until=None)

    def _settle(
        self, grant: Receipt, word: Callable[[Presence | None], Presence | None]
    ) -> tuple[Presence, ...]:
        moved = []
        for holder in self.memory.on_grant(grant.seq):
            after = word(self.memory.whereabouts.get(holder))
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
