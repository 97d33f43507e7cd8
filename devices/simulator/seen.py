"""What the simulator did and what came of it, as a report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from gatekeeper.model.reasons import Reason

__all__ = ["Evacuation", "Seen", "latency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evacuation:
    """A roll call that the simulator can take: it knows where everybody is. `at` is of the simulated day."""

    at: str
    inside: int
    left_inside: int

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"at": self.at, "inside": self.inside, "left_inside": self.left_inside}


@dataclass(slots=True)
class Seen:
    """Counts of what people met and did."""

    denied: Counter[str] = field(default_factory=Counter)
    passages: Counter[str] = field(default_factory=Counter)
    manners: Counter[str] = field(default_factory=Counter)
    evacuations: list[Evacuation] = field(default_factory=list)

    def refused(self, reason: int) -> None:
        """A gate denied somebody, for this reason (a BACnet number)."""
        known = Reason.of_number(reason)
        self.denied[known.code if known is not None else str(reason)] += 1


def latency(milliseconds: Sequence[float]) -> dict[str, float | int | None]:
    """The middle, the edge and the worst of latencies in order."""
    if len(milliseconds) < 2:
        only = milliseconds[0] if milliseconds else None
        return {"p50": only, "p99": only, "max": only, "n": len(milliseconds)}
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 2),
        "p99": round(cuts[98], 2),
        "max": round(milliseconds[-1], 2),
        "n": len(milliseconds),
    }
