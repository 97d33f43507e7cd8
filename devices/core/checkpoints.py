"""What a gate remembers of the site's log, and what it makes of a checkpoint that arrives.

    bytes -> a decision key, this topic, this site -> a note of the log's own key -> size, root
        larger than all that is known                        remembered
        known, or smaller and of before the largest          nothing new: the broker may repeat what it likes
        of a size that is known, under another root          a contradiction
        smaller, and of after the largest                    a contradiction: the log was rolled back

A note knows no time, so an old one proves nothing; the service signs when its newest entry was made, and that tells one that was
signed too late from one that came too late. A log only grows, so either contradiction is the log's own word against its own
word: both notes are kept, as they were signed, for whoever must look.

Old checkpoints are given up in time, never the newest: those that came last, the last of each hour, the last of each day.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from devices.core.belief import Ignored
from gatekeeper import cose
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.core.trust import Trust, Use
from gatekeeper.model.messages import CHECKPOINT_TYPE, LogCheckpoint, MessageMalformed
from gatekeeper.model.trees import SITE_TREE
from gatekeeper.transparency import Refused, open_checkpoint

__all__ = [
    "MOST_CONTRADICTIONS",
    "MOST_KEPT",
    "CheckpointMemory",
    "Checkpoints",
    "Contradiction",
    "KnownCheckpoint",
    "thinned",
]

_LAST, _HOURS, _DAYS = 12, 24, 28
MOST_KEPT: Final = _LAST + _HOURS + _DAYS
MOST_CONTRADICTIONS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCheckpoint:
    """A checkpoint that was believed: what its note says, when its newest entry was made, and the bytes that came."""

    size: int
    root: bytes
    at: datetime
    note: bytes
    wire: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Two checkpoints, both signed for this log, that no log which only grows can have signed in this order."""

    known: KnownCheckpoint
    arrived: KnownCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMemory:
    """All that a gate remembers of the log; `kept` is in rising order of size, and sizes are unlike."""

    kept: tuple[KnownCheckpoint, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def newest(self) -> KnownCheckpoint | None:
        """The largest that is known."""
        return self.kept[-1] if self.kept else None


Taken: TypeAlias = CheckpointMemory | Contradiction | Ignored


class Checkpoints:
    """The memory of one gate, and its judgement of what comes."""

    def __init__(self, *, topic: str, trust: Trust, memory: CheckpointMemory) -> None:
        self.memory = memory
        self._site: Final = trust.site
        self._topic: Final = topic
        self._has_told = False
        self.believe(trust)

    def believe(self, trust: Trust) -> None:
        """Believe the keys of another trust list from now on."""
        self._decisions = trust.decisions
        self._verifiers = log_verifiers(trust, SITE_TREE)

    def take(self, wire: bytes) -> Taken:
        """Take what came: the memory that holds it now, or what it contradicts, or why it changes nothing."""
        arrived = self._read(wire)
        if isinstance(arrived, Ignored):
            return arrived
        newest = self.memory.newest
        if newest is None or arrived.size > newest.size:
            self.memory = replace(self.memory, kept=thinned((*self.memory.kept, arrived)))
            self._has_told = False
            return self.memory
        same = next((known for known in self.memory.kept if known.size == arrived.size), None)
        if same is not None:
            return (
                Ignored.CHECKPOINT_REPEATED if same.root == arrived.root else self._contradicts(same, arrived)
            )
        # INVARIANT: a broker that repeats an old checkpoint raises no alarm.
        return Ignored.CHECKPOINT_OLD if arrived.at <= newest.at else self._contradicts(newest, arrived)

    def _read(self, wire: bytes) -> KnownCheckpoint | Ignored:
        verified = cose.verify(
            wire,
            keys=self._decisions,
            typ=CHECKPOINT_TYPE,
            use=Use.DECISION,
            external_aad=self._topic.encode(),
        )
        if isinstance(verified, cose.Refused):
            return Ignored.CHECKPOINT_FORGED
        said = LogCheckpoint.read(verified.payload)
        if isinstance(said, MessageMalformed):
            return Ignored.CHECKPOINT_MALFORMED
        if said.site != self._site:
            return Ignored.CHECKPOINT_FOREIGN
        opened = open_checkpoint(said.note, self._verifiers)
        # INVARIANT: what the log's own key did not sign is no checkpoint of it, whoever sends it.
        if isinstance(opened, Refused):
            return Ignored.CHECKPOINT_UNSIGNED
        checkpoint = opened.checkpoint
        return KnownCheckpoint(
            size=checkpoint.size, root=checkpoint.root, at=said.at, note=said.note, wire=wire
        )

    def _contradicts(self, known: KnownCheckpoint, arrived: KnownCheckpoint) -> Contradiction | Ignored:
        """Tell it once in a boot, until the log has outgrown what is known; a log that was rolled back says it every second."""
        if self._has_told:
            return Ignored.CHECKPOINT_TOLD
        self._has_told = True
        found = Contradiction(known=known, arrived=arrived)
        # INVARIANT: the first evidence stays, however much comes after it.
        if found not in self.memory.contradictions:
            contradictions = (*self.memory.contradictions, found)[:MOST_CONTRADICTIONS]
            self.memory = replace(self.memory, contradictions=contradictions)
        return found


def thinned(kept: Sequence[KnownCheckpoint]) -> tuple[KnownCheckpoint, ...]:
    """Those of checkpoints, in rising order of size, that stay: `MOST_KEPT` at most, the newest always."""
    newest_first = kept[::-1]
    chosen = {
        *range(min(_LAST, len(kept))),
        *_last_of_each(((it.at.date(), it.at.hour) for it in newest_first), most=_HOURS),
        *_last_of_each((it.at.date() for it in newest_first), most=_DAYS),
    }
    return tuple(it for place, it in enumerate(newest_first) if place in chosen)[::-1]


def _last_of_each(periods: Iterable[Hashable], *, most: int) -> list[int]:
    """Where each of the first `most` periods is met first."""
    met: dict[Hashable, int] = {}
    for place, period in enumerate(periods):
        met.setdefault(period, place)
    return list(met.values())[:most]
