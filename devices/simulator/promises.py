"""What a site promises its gates, held against what really went over their links and what their strikes did.

It reads each message as it leaves a gate and each answer as it arrives, with the site's keys and the same readers as
everybody, and believes no agent's word of itself:

1. No strike is released without an answer that the service signed: granted, for a scan of this gate at this door, once; or, by
   a gate that nobody answered, without a scan in its journal that says so, one for each release.
2. What a gate has to tell (passages, states) is recorded once: the same message never in two places of the log, no two
   messages in one, and in the end none without.
3. Nobody is let in whom the signed policy, which the simulator has read, gives no right at the time.

Whether the log holds what the answers say is for who can read the log: `evidence` is what to hold it against. The last
200,000 messages are remembered.
"""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from devices.core.belief import Ignored, read_answer
from gatekeeper.core.scan import Authentic, authenticate
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, ProfileId, TenantId
from gatekeeper.model.messages import Scan, Verdict
from gatekeeper.model.policy import Point, Policy

__all__ = ["Promises", "has_right"]

_REMEMBERED: Final = 200_000
_HOURS_CHANGE: Final = timedelta(seconds=10)


@dataclass(slots=True)
class _Said:
    """One message of a gate. `entry` is where its answers say it is recorded."""

    gate: GateId
    scan_at: AccessPointId | None
    entry: int | None = None
    granted: bool = False


@dataclass(slots=True)
class _Broken:
    """Promises that were not kept, each told in a sentence; the first hundred of them."""

    counts: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)

    def add(self, promise: str, sentence: str) -> None:
        self.counts[promise] += 1
        if len(self.sentences) < 100:
            self.sentences.append(sentence)


class Promises:
    """Watches the links and strikes of all gates of a site."""

    def __init__(self, *, trust: Trust, prefix: str) -> None:
        self._trust = trust
        self._prefix = prefix
        self._said: OrderedDict[bytes, _Said] = OrderedDict()
        self._in_entry: dict[int, bytes] = {}
        self._asked: dict[tuple[GateId, AccessPointId], bytes] = {}
        self._granted: set[tuple[GateId, AccessPointId]] = set()
        self._untold: Counter[tuple[GateId, AccessPointId]] = Counter()
        self.let_in_alone = 0
        self._broken = _Broken()
        self._pending: dict[bytes, GateId] = {}
        self._cut_off: set[bytes] = set()
        self._versions: set[bytes] = set()
        self.released_now: set[tuple[GateId, AccessPointId]] = set()
        self.openings = 0
        self.recorded = 0

    @property
    def pending(self) -> int:
        """How many messages that are no scans wait to be recorded."""
        return len(self._pending)

    def sent(self, gate: GateId, topic: str, wire: bytes) -> Authentic | None:
        """A gate sends this, perhaps again; what it is, when it is new and of this gate."""
        digest = hashlib.sha256(wire).digest()
        if digest in self._said:
            return None
        read = authenticate(topic, wire, trust=self._trust, prefix=self._prefix)
        if not isinstance(read, Authentic) or read.gate != gate:
            return None
        if isinstance(read.message, Scan) and not read.journal:
            place = gate, read.message.access_point
            self._said[digest] = _Said(*place)
            # INVARIANT: a grant counts for the scan that is being asked, and goes when there is another.
            self._asked[place] = digest
            self._granted.discard(place)
        else:
            self._said[digest] = _Said(gate, None)
            self._pending[digest] = gate
            if isinstance(read.message, Scan) and read.message.offline_verdict is Verdict.GRANTED:
                self._told_alone(gate, read.message.access_point)
        self._forget_oldest()
        return read

    def _told_alone(self, gate: GateId, access_point: AccessPointId) -> None:
        """A gate tells that it let somebody in by itself; a power cut may have come before it did."""
        self.let_in_alone += 1
        self._untold[gate, access_point] = max(0, self._untold[gate, access_point] - 1)

    def arrived(self, gate: GateId, topic: str, wire: bytes) -> None:
        """This arrives at a gate on its decision topic."""
        answer = read_answer(wire, gate=gate, topic=topic, keys=self._trust.decisions)
        said = None if isinstance(answer, Ignored) else self._said.get(answer.message)
        if isinstance(answer, Ignored) or said is None or said.gate != gate:
            return
        self._versions.add(answer.policy)
        if answer.verdict is Verdict.WAITING:
            return
        self._record(answer.message, said, answer.entry)
        if answer.verdict is not Verdict.GRANTED or said.scan_at is None or said.granted:
            return
        said.granted = True
        if self._asked.get((gate, said.scan_at)) == answer.message:
            self._granted.add((gate, said.scan_at))

    def released(self, gate: GateId, access_point: AccessPointId) -> None:
        """The strike of a door is released."""
        self.openings += 1
        self.released_now.add((gate, access_point))
        # INVARIANT: a grant counts for one release, and its repetition is no new one.
        if (gate, access_point) in self._granted:
            self._granted.discard((gate, access_point))
            return
        self._untold[gate, access_point] += 1

    def secured(self, gate: GateId, access_point: AccessPointId) -> None:
        """The strike of a door holds again."""
        self.released_now.discard((gate, access_point))

    def power_lost(self, gate: GateId) -> None:
        """A gate is gone with whatever it had not told yet; what it tells after all counts as told."""
        gone = [digest for digest, whose in self._pending.items() if whose == gate]
        for digest in gone:
            del self._pending[digest]
        self._cut_off.update(gone)
        self.released_now = {place for place in self.released_now if place[0] != gate}

    def let_in(
        self,
        point: Point,
        holder: HolderId,
        tenant: TenantId,
        profiles: tuple[ProfileId, ...],
        *,
        policy: Policy,
        at: datetime,
    ) -> None:
        """A gate let somebody in. Judged as long as every answer was given from this policy."""
        if self._versions <= {policy.version} and not has_right(
            policy, point, holder, tenant, profiles, at=at
        ):
            self._broken.add(
                "let_in_without_right", f"{holder} was let in at {point.id}, without any right there at {at}."
            )

    def report(self) -> dict[str, Any]:
        """How the promises were kept."""
        untold = [
            f"{access_point} of {gate} was released without a grant."
            for gate, access_point in self._untold.elements()
        ]
        return {
            "openings": self.openings,
            "opened_without_grant": self._untold.total(),
            "let_in_alone": self.let_in_alone,
            "let_in_without_right": self._broken.counts["let_in_without_right"],
            "recorded": self.recorded,
            "recorded_twice": self._broken.counts["recorded_twice"],
            "unrecorded": len(self._pending),
            "lost_with_power": len(self._cut_off),
            "kept": not (self._broken.counts or untold or self._pending),
            "broken": [*untold, *self._broken.sentences],
        }

    def evidence(self) -> Iterator[tuple[int, str]]:
        """Entries of the log and the message (SHA-256, in hex) that the service says stands in each."""
        return ((entry, digest.hex()) for entry, digest in self._in_entry.items())

    def _record(self, digest: bytes, said: _Said, entry: int) -> None:
        if said.entry is None:
            said.entry = entry
            self._pending.pop(digest, None)
            self._cut_off.discard(digest)
            if said.scan_at is None:
                self.recorded += 1
        other = self._in_entry.setdefault(entry, digest)
        if said.entry != entry:
            self._broken.add(
                "recorded_twice", f"A message of {said.gate} is in entries {said.entry} and {entry}."
            )
        elif other != digest:
            self._broken.add("recorded_twice", f"Entry {entry} is said to be of two messages.")

    def _forget_oldest(self) -> None:
        while len(self._said) > _REMEMBERED:
            digest, said = self._said.popitem(last=False)
            if said.entry is not None and self._in_entry.get(said.entry) == digest:
                del self._in_entry[said.entry]
            self._pending.pop(digest, None)


def has_right(
    policy: Policy,
    point: Point,
    holder: HolderId,
    tenant: TenantId,
    profiles: tuple[ProfileId, ...],
    *,
    at: datetime,
) -> bool:
    """Whether a policy gives somebody this door now, or gave it ten seconds ago, by a profile or as a guest.

    Necessary and not sufficient: of all that is asked at a door this is the part that nothing else can replace.
    """
    if any(holder in event.guests and event.since <= at < event.until for event in point.events):
        return True
    ways = [way for one in profiles for way in policy.profiles.get((tenant, one), {}).get(point.id, ())]
    if point.leaving:
        return bool(ways)
    open_now = policy.timetable.open_at(at.timestamp())
    open_lately = policy.timetable.open_at((at - _HOURS_CHANGE).timestamp())
    return any(way.schedule & (open_now | open_lately) for way in ways)
