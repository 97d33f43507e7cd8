"""What a gate saw since it started: counts for whoever watches it, never an input to a decision."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta

from devices.core.alone import Alone
from devices.core.belief import Ignored
from gatekeeper.model.ids import AccessPointId

__all__ = ["Tally", "Unlocked"]

_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """A strike was released for a scan, or a command (its digest).

    `entry` is the place in the log of what allowed it, None for a decision of the gate's own.
    """

    access_point: AccessPointId
    scan: bytes
    entry: int | None
    at: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts; of unlocks and latencies the last 100,000 are kept."""

    scans: int = 0
    granted: int = 0
    denied: int = 0
    given_up: int = 0
    busy: int = 0
    tampered: int = 0
    no_service: int = 0
    repeats: int = 0
    lost: int = 0
    alone: Counter[Alone] = field(default_factory=Counter)
    ignored: Counter[Ignored] = field(default_factory=Counter)
    unlocks: deque[Unlocked] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    latencies: deque[timedelta] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
