"""What goes up: every message gets the next number, is signed once, and is remembered until it is answered.

    written -> waiting -> sent (numbered, signed) -> settled
               kept messages only; a scan is sent at once or not at all

The service keeps a window of 64 numbers for each boot and refuses what is older. So numbers are given at the last
moment, and none is given that would leave an unanswered message behind by more than the window: kept messages stop 32
numbers ahead of the oldest, scans at 56.

It is a memory, not a file: what was not answered when the power went is lost. So what happened at the gate is not here but
in its journal, as long as the disk takes it. It sends nothing itself and starts no timer.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from devices.core.belief import Ignored
from gatekeeper import cose
from gatekeeper.core.scan import UpwardMessage
from gatekeeper.model.ids import AccessPointId, BootId, GateId, SiteId
from gatekeeper.model.messages import (
    HELLO_TYPE,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    Hello,
    Passage,
    Scan,
    Status,
)
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["MOST_WAITING", "Outbox", "Sent"]

MOST_WAITING: Final = 4096
_KEPT_SPAN: Final = 32
_SCAN_SPAN: Final = 56
_SETTLED: Final = 1024
_CHANNELS: Final[dict[type[UpwardMessage], tuple[Channel, str]]] = {
    Scan: (Channel.SCAN, SCAN_TYPE),
    Passage: (Channel.PASSAGE, PASSAGE_TYPE),
    Status: (Channel.STATUS, STATUS_TYPE),
    Hello: (Channel.HELLO, HELLO_TYPE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message as it went out, `since` when on the monotonic clock; sent again, it is the same bytes."""

    message: UpwardMessage
    topic: str
    wire: bytes
    digest: bytes
    since: float


class Outbox:
    """One boot's messages, in one sequence over all channels."""

    def __init__(
        self, *, site: SiteId, gate: GateId, prefix: str, key: cose.SigningKey, boot: BootId
    ) -> None:
        self.boot: Final = boot
        self._key: Final = key
        self._topics: Final = {
            kind: (gate_topic(site, gate, channel, prefix=prefix), typ)
            for kind, (channel, typ) in _CHANNELS.items()
        }
        self._next = 1
        self._waiting: deque[UpwardMessage] = deque()
        self._unanswered: OrderedDict[bytes, Sent] = OrderedDict()
        self._settled: OrderedDict[bytes, Ignored] = OrderedDict()
        self._given_over: set[bytes] = set()

    @property
    def has_room_for_scan(self) -> bool:
        """Whether a scan made now would leave every unanswered message within the service's window."""
        return self._span < _SCAN_SPAN

    @property
    def has_room_for_refusal(self) -> bool:
        """Whether who was refused may wait too: the last fifth is for what happens at the doors."""
        return 5 * len(self._waiting) < 4 * MOST_WAITING

    def speaks_of(self, access_point: AccessPointId) -> bool:
        """Whether something was kept of an access point that the service has not answered yet."""
        kept = (*self._waiting, *(sent.message for sent in self.kept))
        return any(getattr(message, "access_point", None) == access_point for message in kept)

    @property
    def kept(self) -> list[Sent]:
        """What was sent, is no scan that somebody waits for, and is not answered yet, in the order of its numbers."""
        return [
            sent
            for sent in self._unanswered.values()
            if sent.digest in self._given_over or not _is_question(sent.message)
        ]

    def give_over(self, sent: Sent) -> None:
        """Keep a scan for which nobody waits any more, until the service has answered it: its number is to leave no gap."""
        self._given_over.add(sent.digest)

    def is_given_over(self, sent: Sent) -> bool:
        """Whether nobody waits for the answer to a scan."""
        return sent.digest in self._given_over

    def send(self, message: UpwardMessage, *, at: float) -> Sent:
        """Number and sign a message, and remember it until it is settled."""
        # INVARIANT: numbers rise by one over all channels, and no two messages get the same.
        message = replace(message, sequence=self._next)
        self._next += 1
        topic, typ = self._topics[type(message)]
        wire = cose.sign(message.payload(), key=self._key, typ=typ, external_aad=topic.encode())
        sent = Sent(message=message, topic=topic, wire=wire, digest=hashlib.sha256(wire).digest(), since=at)
        self._unanswered[sent.digest] = sent
        return sent

    def keep(self, message: UpwardMessage) -> bool:
        """Have a message wait for its number; False when too many wait already, and it is lost."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(message)
        return True

    def send_waiting(self, *, at: float) -> Iterable[Sent]:
        """Send as many of those that wait as there is room for, in the order they were written."""
        sent = []
        while self._waiting and self._span < _KEPT_SPAN:
            sent.append(self.send(self._waiting.popleft(), at=at))
        return sent

    def unanswered(self, digest: bytes) -> Sent | Ignored:
        """The message that an answer is for, or why there is none."""
        return self._unanswered.get(digest) or self._settled.get(digest, Ignored.ANSWER_UNKNOWN)

    def settle(self, sent: Sent, *, later: Ignored) -> None:
        """Expect no answer to a message any more; `later` is what one will be that comes all the same."""
        del self._unanswered[sent.digest]
        self._given_over.discard(sent.digest)
        self._settled[sent.digest] = later
        if len(self._settled) > _SETTLED:
            self._settled.popitem(last=False)

    @property
    def _span(self) -> int:
        oldest = next(iter(self._unanswered.values()), None)
        return 0 if oldest is None else self._next - oldest.message.sequence


def _is_question(message: UpwardMessage) -> bool:
    """Whether it is a scan that the service is to decide; one that was decided alone is told, as what happened is."""
    return isinstance(message, Scan) and message.offline_verdict is None
