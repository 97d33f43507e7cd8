"""When what an entry tells of happened, and how far that is believed.

    at         when the entry was committed: the log's own time, which nothing that it tells of can be after
    gate_at    when the gate says that it was, with what the gate knows of that clock

What a gate did alone, and what it saw, may be told hours later. A decision of the service happened when it was made, whatever
the gate's clock says of the scan.

    synchronised   believed, as far as it is not after the log
    free_running   believed too, but for longer ago than a gate can have been silent: such a clock was never set
    none           nobody knows: the log's time

INVARIANT: nothing happened after it was logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gatekeeper.core.audit import Kind, instant
from gatekeeper.model.messages import ClockQuality

__all__ = ["Clock", "Happened", "earliest", "happened", "happened_at", "tells_when"]

_LONGEST_SILENCE: Final = timedelta(days=31)
"""More than four times as long as any gate may decide alone."""
_LATE: Final = timedelta(seconds=5)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What a message can say first: it counts from then on."""
_TOLD: Final = frozenset(
    {
        *(Kind.OFFLINE_GRANTED, Kind.OFFLINE_DENIED, Kind.GATE_HELLO, Kind.GATE_STATUS),
        *(Kind.PASSAGE_TAKEN, Kind.PASSAGE_NOT_TAKEN, Kind.PASSAGE_EXITED),
        *(Kind.PASSAGE_FORCED, Kind.PASSAGE_HELD_OPEN),
    }
)
"""Kinds whose entries tell what happened at a gate, which may have been long before."""


class Clock(StrEnum):
    """Whose clock says when something happened."""

    LOG = "log"
    FREE_RUNNING = "free-running"
    SYNCHRONISED = "synchronised"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """When something happened, by whose clock, and when the log was told."""

    at: datetime
    clock: Clock
    logged: datetime

    @property
    def is_late(self) -> bool:
        """Whether the log was told so much later that both times are to be shown."""
        return self.logged - self.at > _LATE


def earliest(*, logged: datetime, gate_at: datetime | None, clock: ClockQuality) -> datetime:
    """The earliest that something may have happened: as the gate says, however little its clock is worth."""
    return logged if gate_at is None or clock is ClockQuality.NONE else min(logged, gate_at)


def happened_at(*, logged: datetime, gate_at: datetime | None, clock: ClockQuality) -> Happened:
    """When something happened that a gate tells of, by its clock where that contradicts nothing."""
    told = earliest(logged=logged, gate_at=gate_at, clock=clock)
    believed = _BELIEVED.get(clock)
    if (
        believed is None
        or told != gate_at
        or (believed is Clock.FREE_RUNNING and logged - told > _LONGEST_SILENCE)
    ):
        return Happened(at=logged, clock=Clock.LOG, logged=logged)
    return Happened(at=told, clock=believed, logged=logged)


def tells_when(body: Mapping[str, Any]) -> bool:
    """Whether an entry is of a kind that happened when its gate says, and the gate says when."""
    return "gate_at" in body and isinstance(body.get("kind"), str) and body["kind"] in _TOLD


def happened(body: Mapping[str, Any], *, logged: datetime) -> Happened:
    """When what an entry tells of happened, by its body; of one that says it in no such words, when it was logged."""
    told, quality = body.get("gate_at"), body.get("clock")
    if not (tells_when(body) and isinstance(told, str) and isinstance(quality, str)):
        return Happened(at=logged, clock=Clock.LOG, logged=logged)
    return happened_at(logged=logged, gate_at=_read(told), clock=_QUALITIES.get(quality, ClockQuality.NONE))


_BELIEVED: Final = {
    ClockQuality.FREE_RUNNING: Clock.FREE_RUNNING,
    ClockQuality.SYNCHRONISED: Clock.SYNCHRONISED,
}
_QUALITIES: Final = {quality.name.lower(): quality for quality in ClockQuality}


def _read(text: str) -> datetime | None:
    """The time that a gate can have said; None for any other."""
    try:
        at = instant(text)
    except ValueError:
        return None
    return at if at >= _FIRST else None
