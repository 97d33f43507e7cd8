"""Before a door: people wait in line, show what they have, and are on the other side then, or not.

    in line -> the gate is free -> unseen, behind somebody or by force        on the other side, and nobody knows
                                -> a badge, or a card at a stock reader       on the other side when it is granted
                                -> refused, and there is an evacuation        out: free egress is wired in hardware

A gate is passed by twenty people a second at most, which is below what a gate may send; who comes faster waits in line.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from devices.agent import GateAgent, Outcome
from devices.core.events import Signal
from devices.simulator.day_clock import DayClock
from devices.simulator.days import Errand, Habits, Manner, manner
from devices.simulator.gates import Post
from devices.simulator.promises import Promises
from devices.simulator.seen import Seen
from devices.simulator.stock import StockDoor, StockReaders
from devices.simulator.walker import Walker
from devices.simulator.whereabouts import Whereabouts
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.policy import Point, Policy

__all__ = ["LOOK_EVERY", "Threshold"]

LOOK_EVERY: Final = 0.05
_BEHIND_SECONDS: Final = 1.0
_BUSY_PAUSE: Final = 0.2
_NO_SERVICE_PAUSE: Final = 0.5
_TRIES: Final = 3
_LONGEST_ANSWER: Final = 70.0
_SECONDS_BETWEEN_PEOPLE: Final = 0.05


@dataclass(kw_only=True)
class Threshold:
    """All doors of a site, and who stands before them."""

    policy: Policy
    posts: Mapping[GateId, Post]
    stock: Mapping[AccessPointId, StockDoor]
    readers: StockReaders
    whereabouts: Whereabouts
    promises: Promises
    seen: Seen
    seed: int
    habits: Habits
    clock: DayClock
    _lines: dict[AccessPointId, asyncio.Lock] = field(init=False)
    _waiting: Counter[AccessPointId] = field(default_factory=Counter, init=False)
    _free: dict[GateId, float] = field(default_factory=dict, init=False)
    _passed_at: dict[AccessPointId, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Give each door a line."""
        self._lines = {point: asyncio.Lock() for point in self.policy.points}

    async def through(self, walker: Walker, door: Point) -> bool:
        """Wait in line, and go through one door or not."""
        self._waiting[door.id] += 1
        async with self._lines[door.id]:
            self._waiting[door.id] -= 1
            await self._gate_free(door.gate)
            if self.clock.stopped:
                return False
            how = manner(
                walker.person.holder,
                seed=self.seed,
                day=walker.day,
                door=walker.passed,
                habits=self.habits,
            )
            walker.passed += 1
            if self._unseen(walker, door, how):
                return True
            if walker.person.card is not None:
                went = await self._show_card(walker, door)
            else:
                went = await self._present(walker, door, how)
            if went:
                self._move(walker, door, by_badge=True)
            elif walker.errand is Errand.EVACUATE and not self.clock.stopped:
                # Free egress is wired in hardware: who must get out gets out, whatever a reader says.
                self.seen.manners["free-egress"] += 1
                self._move(walker, door, by_badge=False)
                return True
            return went

    def _unseen(self, walker: Walker, door: Point, how: Manner) -> bool:
        """Go through without a badge: behind somebody, by force, or home without a thought. Not at stock readers."""
        if door.id in self.stock:
            return False
        ahead = asyncio.get_running_loop().time() - self._passed_at.get(door.id, float("-inf"))
        post = self.posts[door.gate]
        if walker.leaves_unseen and door.target == self.policy.outside:
            self.seen.manners["forgets"] += 1
        elif how is Manner.FOLLOWS and ahead < _BEHIND_SECONDS:
            self.seen.manners[how] += 1
        elif how is Manner.FORCES and post.feel(door.id, opened=True):
            post.feel(door.id, opened=False)
            self.seen.manners[how] += 1
        else:
            return False
        self._move(walker, door, by_badge=False)
        return True

    def _move(self, walker: Walker, door: Point, *, by_badge: bool) -> None:
        walker.zone = door.target
        if by_badge:
            self.whereabouts.pass_by_badge(walker.person.holder, door.target)
        else:
            self.whereabouts.slip_by(walker.person.holder, door.target)
        self._passed_at[door.id] = asyncio.get_running_loop().time()

    async def _show_card(self, walker: Walker, door: Point) -> bool:
        # Everybody who is let in walks through: such a door has no contact that could say otherwise.
        card = walker.person.card
        if card is None:
            return False
        outcome = await self.stock[door.id].present(self.readers.show, *card)
        if outcome is None:
            return False
        if outcome.signal is Signal.DENIED and outcome.reason is not None:
            walker.learn(door, outcome.reason)
        if outcome.granted:
            self._judge(walker, door)
        return outcome.granted

    async def _present(self, walker: Walker, door: Point, how: Manner) -> bool:
        """Present a badge at a gate of ours; whether its bearer is on the other side then."""
        outcome = await self._answered(walker, door)
        if outcome is None:
            return False
        if outcome.signal is Signal.DENIED and outcome.reason is not None:
            self.seen.refused(outcome.reason)
            walker.learn(door, outcome.reason)
        if not outcome.granted:
            return False
        self._judge(walker, door)
        post = self.posts[door.gate]
        if how is Manner.HOLDS_OPEN and self._waiting[door.id]:
            how = Manner.PROPERLY  # nobody stands chatting in a door with people behind them
        if how is Manner.WALKS_AWAY:
            self.seen.manners[how] += 1
            self.seen.passages["not-taken"] += 1
            return False
        badge = walker.person.shown_at(door)
        if how is Manner.TWICE and badge is not None:
            self.seen.manners[how] += 1
            post.offer(door.id, badge)
        self.seen.passages["taken"] += 1
        post.feel(door.id, opened=True)
        if how is Manner.HOLDS_OPEN:
            self.seen.manners[how] += 1
            await self.clock.really(post.held_seconds + LOOK_EVERY)
        post.feel(door.id, opened=False)
        return True

    async def _answered(self, walker: Walker, door: Point) -> Outcome | None:
        """Present a badge, again when nothing came of it, and wait while the door is busy with whoever went before."""
        badge = walker.person.shown_at(door)
        left = _TRIES
        while badge is not None and left > 0:
            agent = await self.clock.unless_stopped(self.posts[door.gate].agent())
            if not isinstance(agent, GateAgent):
                return None
            offered = agent.offer(door.id, badge)
            await asyncio.wait({offered}, timeout=_LONGEST_ANSWER)
            outcome = None if not offered.done() or offered.cancelled() else offered.result()
            if outcome is not None and outcome.signal is Signal.BUSY:
                await self.clock.really(_BUSY_PAUSE)
                left -= self.clock.stopped
            elif outcome is None or outcome.reason is None:  # the power went, or nobody answered
                left -= 1
                # By the wall's clock: where there is no service, no day should race by unseen.
                await self.clock.really(_NO_SERVICE_PAUSE)
                left = 0 if self.clock.stopped else left
            else:
                return outcome
        return None

    def _judge(self, walker: Walker, door: Point) -> None:
        person = walker.person
        self.promises.let_in(
            door,
            person.holder,
            person.tenant,
            person.profiles,
            policy=self.policy,
            at=datetime.now(UTC),
        )

    async def _gate_free(self, gate: GateId) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._free.get(gate, now))
        self._free[gate] = at + _SECONDS_BETWEEN_PEOPLE
        await self.clock.really(at - now)
