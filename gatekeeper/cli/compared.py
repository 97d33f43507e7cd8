"""What the gates of a simulation saw, held against what the log holds.

The report is the simulator's (`gatekeeper-device simulate --json`): `openings`, each with the entry and the message that
allowed it, and `recorded`, what a gate was told stands where. The log is read as it is; whether it is whole is proved elsewhere.
"""

import json
from collections import Counter
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Compared", "compare"]


class _Entry(Protocol):
    """An entry of the log, as it is stored."""

    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many entries there were, and how many doors and messages are not as they were promised."""

    entries: int
    opened_without_entry: int
    recorded_elsewhere: int
    recorded_twice: int

    @property
    def holds(self) -> bool:
        """Whether everything is as it was promised."""
        return not (self.opened_without_entry or self.recorded_elsewhere or self.recorded_twice)


async def compare(seen: Mapping[str, Any], entries: AsyncIterable[_Entry]) -> Compared:
    """Compare a report with the entries since the simulation began."""
    granted: dict[int, tuple[str, str]] = {}
    alone: set[tuple[str, str]] = set()
    elsewhere: dict[int, str] = dict(seen["recorded"])
    messages: Counter[str] = Counter()
    count = 0
    async for entry in entries:
        count += 1
        body = json.loads(entry.body)
        # The last word on a scan that waits for a guard is another entry.
        if "message" not in body or entry.kind == "access.waiting":
            continue
        messages[body["message"]] += 1
        if elsewhere.get(entry.seq) == body["message"]:
            del elsewhere[entry.seq]
        if entry.kind == "access.granted":
            granted[entry.seq] = body["message"], body["access_point"]
        if entry.kind == "access.offline-granted":
            alone.add((body["message"], body["access_point"]))
    return Compared(
        entries=count,
        opened_without_entry=sum(
            allowed != granted.get(opening["entry"]) and allowed not in alone
            for opening in seen["openings"]
            for allowed in [(opening["message"], opening["access_point"])]
        ),
        recorded_elsewhere=len(elsewhere),
        recorded_twice=sum(times > 1 for times in messages.values()),
    )
