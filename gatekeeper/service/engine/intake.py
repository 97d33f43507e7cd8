"""Intake: from the broker's callback to the queue of what is worth verifying.

The callback only enqueues. The queue is bounded: the broker sends no more than the session's receive maximum without
acknowledgements, what comes beside that at QoS 0 is turned away when too much waits, and each gate has a token bucket that
is asked before any signature is checked. What a gate
sends beyond its allowance is dropped and acknowledged: a gate keeps a scan until it is answered, so nothing is lost
that its sender still wants. One specimen a second is kept of a flood.

Journals have an allowance of their own, for a gate that was alone has much to tell at once. A journal comes in order: when
one of its messages is turned away, so are all after it, until the gate has been quiet for a moment; for it sends again from
the oldest that is not answered, and a hole of our own making would look like a journal with a gap.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import MAX_MESSAGE_BYTES
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import Channel, read_gate_topic
from gatekeeper.ports import Inbound

__all__ = ["Allowance", "Arrival", "Intake", "TurnedAway"]

_STRANGERS = GateId("")
_MAX_BUCKETS = 65_536
_MAX_WAITING = 8192
_QUIET = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one gate may send: so many messages a second on average, so many at once."""

    per_second: float = 50.0
    burst: float = 200.0
    journal_per_second: float = 2000.0
    journal_burst: float = 512.0


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
    heard_at: float = float("-inf")
    shut: bool = False


class Intake:
    """The messages that wait for the engine, in order of arrival."""

    def __init__(self, *, allowance: Allowance, prefix: str) -> None:
        self._allowance = allowance
        self._prefix = prefix
        self._waiting: deque[Arrival] = deque()
        self._buckets: dict[tuple[GateId, bool], _Bucket] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, inbound: Inbound, *, at: float) -> TurnedAway | None:
        """Take a message in, or turn it away before it costs anything."""
        topic = read_gate_topic(inbound.topic, prefix=self._prefix)
        gate = topic.gate if topic is not None else None
        is_journal = topic is not None and topic.channel is Channel.JOURNAL
        bucket = self._bucket(gate if gate is not None else _STRANGERS, at, journal=is_journal)
        flood = self._flood(bucket, at)
        if flood is not None:
            bucket.shut = is_journal
            return TurnedAway(inbound, gate, MessageRefusal.FLOOD, flood)
        if inbound.retained:
            return TurnedAway(inbound, gate, MessageRefusal.RETAINED, keep=True)
        if topic is None:
            return TurnedAway(inbound, gate, MessageRefusal.TOPIC, keep=True)
        if len(inbound.payload) > MAX_MESSAGE_BYTES:
            return TurnedAway(inbound, gate, MessageRefusal.OVERSIZED, keep=True)
        if len(self._waiting) >= _MAX_WAITING:
            bucket.shut = is_journal
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

    def _bucket(self, gate: GateId, at: float, *, journal: bool) -> _Bucket:
        """What a gate may still send at this instant, in its journal or in its boot."""
        allowance = self._allowance
        burst = allowance.journal_burst if journal else allowance.burst
        bucket = self._buckets.get((gate, journal))
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[gate, journal] = _Bucket(burst, at)
        per_second = allowance.journal_per_second if journal else allowance.per_second
        bucket.tokens = min(burst, bucket.tokens + (at - bucket.at) * per_second)
        bucket.at = at
        return bucket

    def _flood(self, bucket: _Bucket, at: float) -> bool | None:
        """None while a gate keeps to its allowance; else whether this message is a specimen to keep."""
        was_quiet, bucket.heard_at = at - bucket.heard_at >= _QUIET, at
        bucket.shut = bucket.shut and not was_quiet
        if bucket.tokens >= 1 and not bucket.shut:
            bucket.tokens -= 1
            return None
        keep = at - bucket.specimen_at >= 1
        if keep:
            bucket.specimen_at = at
        return keep
