"""The gate's journal: what happened at it, numbered and signed at once, on disk before anything else, forwarded in order.

    written -> on disk (`appended`) -> sent -> answered -> its space may be used again (`Settle`)
            -> not taken by the disk (`failed`): its number is free again, and it was never sent

A journal has an id of its own, which stands where other messages have the boot, and one sequence from 1 without a gap for
as long as its file lives, over restarts. Beside it may stand what is left of former journals that were damaged: it goes up
under their own ids and numbers, a few at a time, for it may be that the service takes some of it no more.

The service keeps a window of 64 numbers. So no entry is sent that is ahead of the last one whose answer is *on disk* by
more than that: after a power cut the gate sends again only what the service still knows.

In memory are those that are sent, and a few that are next: the rest is read from the disk when its turn comes
(`reads`). So a gate that was alone for long starts at once, and takes no more memory than any other.

It is the order and the numbers, not the file: bytes on disk, and when they are there, is for the shell (`journal_file`).
"""

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from devices.core.belief import Ignored
from gatekeeper import cose
from gatekeeper.core.scan import read_upward
from gatekeeper.core.trust import Use
from gatekeeper.model.fields import MOST
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import (
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    JournalEnd,
    Passage,
    Scan,
    Status,
)
from gatekeeper.model.topics import Channel

__all__ = [
    "Entry",
    "FormerFound",
    "Journal",
    "JournalBounds",
    "JournalFound",
    "Past",
    "Pending",
    "Read",
    "message_of",
]

_MOST_UNANSWERED: Final = 32
_MOST_OF_FORMER: Final = 8
_SPAN: Final = 56
_SETTLED_AT_ONCE: Final = 16
_REMEMBERED: Final = 1024
_MOST_IN_MEMORY: Final = 128
_READ_AT_ONCE: Final = 16

Past: TypeAlias = Scan | Passage | Status
_TYPES: Final[dict[type[Past], str]] = {Scan: SCAN_TYPE, Passage: PASSAGE_TYPE, Status: STATUS_TYPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalBounds:
    """How much that is not answered yet a journal may hold; beyond it is full, and nothing old makes room.

    Of who was refused it takes no more from four fifths on: anybody with a stack of cards can make a gate write those.
    """

    entries: int = 100_000
    octets: int = 64 << 20

    def has_room_for_refusal(self, *, entries: int, octets: int) -> bool:
        """Whether a journal with so much in it takes another refusal."""
        return 5 * entries < 4 * self.entries and 5 * octets < 4 * self.octets


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message of a journal as it goes out, and of which access point it speaks."""

    journal: BootId
    number: int
    wire: bytes
    access_point: AccessPointId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerFound:
    """What is left of a former journal: so many entries, the first after `settled`, the last with the number `written`."""

    id: BootId
    settled: int
    written: int
    entries: int
    octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFound:
    """What is on disk at the start: the journal, how far it is answered and written, and the size of what is not answered.

    `former` is what is left of journals before it, in their order. `damaged` says that it was begun because the one before
    was damaged, or taken no more.
    """

    id: BootId
    settled: int = 0
    written: int = 0
    octets: int = 0
    former: tuple[FormerFound, ...] = ()
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Entries that should come into memory: of a journal, after a number, so many at the most."""

    journal: BootId
    after: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A message on its way to the disk: what is to happen when it is there, and when it cannot be."""

    entry: Entry
    message: Past
    then: Callable[[Entry], None]
    otherwise: Callable[[], None]


@dataclass(slots=True)
class _Stretch:
    """A journal on disk: up to which number it is in memory, or was; how far it goes, and went when it was found."""

    journal: BootId
    read: int
    end: int
    found: int


@dataclass(slots=True)
class _Line:
    """Entries that are on disk and not answered, in order: `most` of them at a time are sent, and those behind are read."""

    most: int
    stretches: deque[_Stretch] = field(default_factory=deque)
    waiting: deque[Entry] = field(default_factory=deque)
    unanswered: OrderedDict[bytes, Entry] = field(default_factory=OrderedDict)
    is_reading: bool = False

    @property
    def next(self) -> Entry | None:
        return self.waiting[0] if self.waiting else None

    @property
    def to_read(self) -> _Stretch | None:
        """The journal of which more should come into memory now."""
        if self.is_reading or len(self.waiting) > _MOST_IN_MEMORY - _READ_AT_ONCE:
            return None
        return next((stretch for stretch in self.stretches if stretch.read < stretch.end), None)

    def goes_on(self, journal: BootId, *, after: int, end: int) -> None:
        """A journal was found: all after a number is to be read and sent."""
        self.stretches.append(_Stretch(journal, read=after, end=end, found=end))

    def oldest_of(self, journal: BootId) -> Entry | None:
        """The first entry of a journal that is sent and not answered."""
        return next((entry for entry in self.unanswered.values() if entry.journal == journal), None)


class Journal:
    """One gate's journal, with what is left of those before it. It is empty, and has no id, until it is begun."""

    def __init__(self, *, topic: str, key: cose.SigningKey, bounds: JournalBounds) -> None:
        self.topic: Final = topic
        self._key: Final = key
        self._bounds: Final = bounds
        self._id = BootId(b"")
        self._next = 1
        self._octets = 0
        self._entries = 0
        #: of those that were in memory: of which access point they speak; and how many were found and not read yet
        self._about: Counter[AccessPointId | None] = Counter()
        self._unread = 0

        # Every entry that is not answered is in one of these, or on disk behind it.
        self._pending: deque[Pending] = deque()
        self._present = _Line(_MOST_UNANSWERED)
        self._former = _Line(_MOST_OF_FORMER)

        # How far each journal is sent, and how far answered: said to the disk, and known to be on it.
        self._sent: dict[BootId, int] = {}
        self._said: dict[BootId, int] = {}
        self._on_disk: dict[BootId, int] = {}
        self._answered: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, found: JournalFound) -> None:
        """Go on where it ended on disk; what was known of a journal before is known no more, but what was answered."""
        self._id, self._next = found.id, found.written + 1
        self._pending.clear()
        self._about.clear()
        self._present, self._former = _Line(_MOST_UNANSWERED), _Line(_MOST_OF_FORMER)
        self._present.goes_on(found.id, after=found.settled, end=found.written)
        for one in found.former:
            self._former.goes_on(one.id, after=one.settled, end=one.written)
        self._unread = found.written - found.settled + sum(one.entries for one in found.former)
        self._entries = self._unread
        self._octets = found.octets + sum(one.octets for one in found.former)
        begins = {**{one.id: one.settled for one in found.former}, found.id: found.settled}
        self._sent, self._said, self._on_disk = dict(begins), dict(begins), dict(begins)

    def recall(self, entries: Iterable[Entry]) -> Iterator[Past]:
        """What entries of before this start say, as far as they are this gate's own."""
        keys = cose.key_ring([self._key.record(use=Use.GATE, owner="")])
        for entry in entries:
            read = read_upward(Channel.JOURNAL, entry.wire, keys=keys, topic=self.topic)
            if not isinstance(read, cose.Refused) and isinstance(read[1], Scan | Passage | Status):
                yield read[1]

    @property
    def end(self) -> JournalEnd:
        """The journal, and how far it is written."""
        return JournalEnd(self._id, self._next - 1 - len(self._pending))

    @property
    def unanswered(self) -> list[Entry]:
        """What was sent and is not answered, in order."""
        return [*self._former.unanswered.values(), *self._present.unanswered.values()]

    @property
    def oldest(self) -> Entry | None:
        """The first entry of this journal that was sent and is not answered."""
        return next(iter(self._present.unanswered.values()), None)

    @property
    def oldest_former(self) -> Entry | None:
        """The first entry of those before it that was sent and is not answered."""
        return next(iter(self._former.unanswered.values()), None)

    @property
    def has_room_for_refusal(self) -> bool:
        """Whether it takes another refusal. INVARIANT: its last fifth is for what happens at the doors, and for grants."""
        return self._bounds.has_room_for_refusal(entries=self._entries, octets=self._octets)

    def speaks_of(self, access_point: AccessPointId) -> bool:
        """Whether something is written of an access point that the service has not answered yet, or may be."""
        return self._about[access_point] > 0 or self._unread > 0

    def write(
        self, message: Past, *, then: Callable[[Entry], None], otherwise: Callable[[], None]
    ) -> Entry | None:
        """Number and sign a message, to be put on disk; None when the journal is full, and nothing was written."""
        number = self._next
        # INVARIANT: no entry makes room for another; a journal that is full takes no more until the service has answered.
        if number >= MOST or self._entries >= self._bounds.entries:
            return None
        written = replace(message, boot=self._id, sequence=number)
        wire = cose.sign(
            written.payload(), key=self._key, typ=_TYPES[type(message)], external_aad=self.topic.encode()
        )
        if self._octets + len(wire) > self._bounds.octets:
            return None
        # INVARIANT: numbers rise by one, and one that was ever on disk is never given again.
        self._next += 1
        entry = Entry(journal=self._id, number=number, wire=wire, access_point=message.access_point)
        self._pending.append(Pending(entry=entry, message=message, then=then, otherwise=otherwise))
        self._count(entry, 1)
        self._about[entry.access_point] += 1
        return entry

    def appended(self, number: int) -> Iterator[Pending]:
        """Everything up to this number is on disk: what was pending of it, in order."""
        while self._pending and self._pending[0].entry.number <= number:
            pending = self._pending.popleft()
            self._is_on_disk(pending.entry)
            yield pending

    def failed(self, number: int) -> list[Pending]:
        """Nothing from this number on is on disk, nor will be: the numbers are free again."""
        failed = [pending for pending in self._pending if pending.entry.number >= number]
        for pending in failed:
            self._pending.pop()
            self._count(pending.entry, -1)
            self._about[pending.entry.access_point] -= 1
        if failed:
            self._next = failed[0].entry.number
        return failed

    def send(self) -> Iterator[Entry]:
        """As many of those on disk as the service has room for, in order; they count as sent."""
        for line in (self._former, self._present):
            while self._may_send_of(line):
                entry = line.waiting.popleft()
                line.unanswered[hashlib.sha256(entry.wire).digest()] = entry
                self._sent[entry.journal] = entry.number
                yield entry

    def reads(self) -> Iterator[Read]:
        """What should be read from the disk now, to be sent soon: `read` is to be called with it."""
        for line in (self._former, self._present):
            stretch = line.to_read
            if stretch is not None:
                line.is_reading = True
                yield Read(journal=stretch.journal, after=stretch.read, most=_READ_AT_ONCE)

    def read(self, journal: BootId, entries: Sequence[Entry]) -> None:
        """What was asked for, in order. That of a journal which was given up meanwhile is let go: it is asked for anew."""
        for line in (self._former, self._present):
            stretch = next((one for one in line.stretches if one.journal == journal), None)
            if stretch is None or not line.is_reading:
                continue
            line.is_reading = False
            if not entries:  # the disk has no more of it
                stretch.read = stretch.end
            for entry in entries:
                if entry.number <= stretch.found:
                    self._unread -= 1
                    self._about[entry.access_point] += 1
                line.waiting.append(entry)
                stretch.read = entry.number

    def find(self, digest: bytes) -> Entry | Ignored:
        """The entry that an answer is for, or why there is none."""
        entry = self._present.unanswered.get(digest) or self._former.unanswered.get(digest)
        if entry is not None:
            return entry
        return Ignored.ANSWER_REPEATED if digest in self._answered else Ignored.ANSWER_UNKNOWN

    def answered(self, digest: bytes) -> tuple[BootId, int] | None:
        """The service has written an entry down; gives how far its journal is answered when the disk should know."""
        line = self._present if digest in self._present.unanswered else self._former
        entry = line.unanswered.pop(digest)
        self._count(entry, -1)
        self._about[entry.access_point] -= 1
        self._answered[digest] = None
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        journal = entry.journal
        oldest = line.oldest_of(journal)
        settled = oldest.number - 1 if oldest is not None else self._sent[journal]
        # Each note on disk costs a write: one in sixteen, but at the end of a former journal, or when sending waits for it.
        is_due = settled - self._said[journal] >= _SETTLED_AT_ONCE or line is self._former
        if settled <= self._said[journal] or not (is_due or self._waits_for_disk(line)):
            return None
        self._said[journal] = settled
        return journal, settled

    def settled(self, journal: BootId, number: int) -> None:
        """The disk knows that this journal is answered up to this number."""
        self._on_disk[journal] = max(number, self._on_disk.get(journal, 0))

    def _may_send_of(self, line: _Line) -> bool:
        return line.next is not None and len(line.unanswered) < line.most and not self._waits_for_disk(line)

    def _waits_for_disk(self, line: _Line) -> bool:
        """Whether the next entry is too far ahead: the service would not know all that a power cut makes us send again."""
        if line.next is None:
            return False
        journal, number = line.next.journal, line.next.number
        on_disk = self._on_disk[journal]
        return number - on_disk > _SPAN and on_disk < self._sent[journal]

    def _is_on_disk(self, entry: Entry) -> None:
        """Keep an entry at hand that is next, and leave it to the disk when others are before it there."""
        stretch, waiting = self._present.stretches[0], self._present.waiting
        if stretch.read == stretch.end and len(waiting) < _MOST_IN_MEMORY:
            waiting.append(entry)
            stretch.read = entry.number
        stretch.end = entry.number

    def _count(self, entry: Entry, by: int) -> None:
        self._entries += by
        self._octets += by * len(entry.wire)


def message_of(entry: Entry) -> Past:
    """What an entry of this gate's own says. Raises ValueError for one that was never verified, and says nothing."""
    for kind, typ in _TYPES.items():
        parsed = cose.parse(entry.wire, typ=typ)
        if isinstance(parsed, cose.Parsed) and parsed.payload is not None:
            message = kind.read(parsed.payload)
            if isinstance(message, Scan | Passage | Status):
                return message
    raise ValueError("no message of a journal")
