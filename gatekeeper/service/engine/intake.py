"""Intake: from the broker's callback to the queue of what is worth verifying.

The callback only enqueues. The queue is bounded: the broker sends no more than the session's receive maximum without
acknowledgements, what comes beside that at QoS 0 is turned away when too much waits, and each gate has a token bucket that
is asked before any signature is checked. What a gate
sends beyond its allowance is dropped and acknowledged: a gate keeps a scan until it is answered, so nothing is lost
that its sender still wants. One specimen a second is kept of a flood.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import MAX_MESSAGE_BYTES
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import read_gate_topic
from gatekeeper.ports import Inbound

__all__ = ["Allowance", "Arrival", "Intake", "TurnedAway"]

_STRANGERS = GateId("")
_MAX_BUCKETS = 65_536
_MAX_WAITING = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one gate may send: so many messages a second on average, so many at once."""

    per_second: float = 50.0
    burst: float = 200.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that waits, and when it came (monotonic seconds)."""

    inbound: Inbound
    at: float


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A message refused at the door."""

    inbound: Inbound
    gate: GateId | None
    code: MessageRefusal
    keep: bool


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    specimen_at: float = float("-inf")


class Intake:
    """The messages that wait for the engine, in order of arrival."""

    def __init__(self, *, allowance: Allowance, prefix: str) -> None:
        self._allowance = allowance
        self._prefix = prefix
        self._waiting: deque[Arrival] = deque()
        self._buckets: dict[GateId, _Bucket] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, inbound: Inbound, *, at: float) -> TurnedAway | None:
        """Take a message in, or turn it away before it costs anything."""
        topic = read_gate_topic(inbound.topic, prefix=self._prefix)
        gate = topic.gate if topic is not None else None
        flood = self._flood(gate if gate is not None else _STRANGERS, at)
        if flood is not None:
            return TurnedAway(inbound, gate, MessageRefusal.FLOOD, flood)
        if inbound.retained:
            return TurnedAway(inbound, gate, MessageRefusal.RETAINED, keep=True)
        if topic is None:
            return TurnedAway(inbound, gate, MessageRefusal.TOPIC, keep=True)
        if len(inbound.payload) > MAX_MESSAGE_BYTES:
            return TurnedAway(inbound, gate, MessageRefusal.OVERSIZED, keep=True)
        if len(self._waiting) >= _MAX_WAITING:
            return TurnedAway(inbound, gate, MessageRefusal.FLOOD, keep=False)
        self._waiting.append(Arrival(inbound, at))
        self._arrived.set()
        return None

    async def take(self, most: int) -> list[Arrival]:
        """What has arrived, `most` at the most; waits for the first."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _flood(self, gate: GateId, at: float) -> bool | None:
        """None while a gate keeps to its allowance; else whether this message is a specimen to keep."""
        bucket = self._buckets.get(gate)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[gate] = _Bucket(self._allowance.burst, at)
        gained = (at - bucket.at) * self._allowance.per_second
        bucket.tokens = min(self._allowance.burst, bucket.tokens + gained)
        bucket.at = at
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        keep = at - bucket.specimen_at >= 1
        if keep:
            bucket.specimen_at = at
        return keep
