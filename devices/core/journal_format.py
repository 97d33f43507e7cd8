"""How a journal stands on disk, written and read strictly; the bytes only, no file.

    0      header    magic (8)  gate (1 + 32, padded with zeros)  journal id (8)  checksum (16)
    512    settled   number (8)  turn (8)  checksum (16)      two of these, written in turns: a torn one leaves the other
    1024   settled
    1536   records   mark (4)  length of wire (4)  number (8)  settled then (8)  checksum (16)  wire ...

Numbers are big-endian; a checksum is the first 16 bytes of the SHA-256 of everything of its part but itself (of a record:
with its wire). It finds what a disk does to bytes. Who alters them on purpose does not get past the signature of each wire.

A journal is `Intact`, but perhaps for a last write that the power cut off (`torn` bytes after `end`); anything else that is
not as it was written is damage. Reading one looks at checksums and numbers alone, so that a gate is at work within seconds;
`entries_of` verifies each signature, when an entry is to be sent. Of a damaged one every record that verifies is still given
(`salvage`), before and after, which takes its time.
"""

import hashlib
import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from devices.core.journal import Entry
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import MAX_MESSAGE_BYTES

__all__ = [
    "RECORDS",
    "SLOTS",
    "Content",
    "Damaged",
    "Intact",
    "ReadEntry",
    "entries_of",
    "read_journal",
    "record",
    "salvage",
    "settled_slot",
    "start_of",
]

RECORDS: Final = 1536
SLOTS: Final = (512, 1024)
_MAGIC: Final = b"GKJRNL\x00\x01"
_MARK: Final = b"\xf3GKJ"
_SUM: Final = 16
_SLOT: Final = 8 + 8 + _SUM
_HEAD: Final = len(_MARK) + 4 + 8 + 8 + _SUM
_GATE: Final = 32
_FIELDS: Final = struct.Struct(">4sIQQ16s")

ReadEntry: TypeAlias = Callable[[bytes], Entry | None]
"""The entry that these bytes are, when the gate's own key signed them for its journal."""


class Content(Protocol):
    """The bytes of a whole file: `bytes`, or what stands for them without having them in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> bytes: ...

    def find(self, sought: bytes, begin: int, /) -> int:
        """Where something stands from there on; -1 when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intact:
    """A journal as it was written, up to `end`; `torn` bytes follow that a write left which never came to its end.

    `numbers` and `begins` say of each entry that is not answered its number, and where its record begins.
    """

    id: BootId
    settled: int
    turn: int
    written: int
    numbers: "array[int]"
    begins: "array[int]"
    end: int
    torn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """No journal as this gate writes one: why, and what verifies of it all the same and was not answered, in order."""

    why: str
    entries: tuple[Entry, ...]


def start_of(gate: GateId, journal: BootId, *, settled: int) -> bytes:
    """All that stands before the first record."""
    name = gate.encode()
    head = _MAGIC + bytes([len(name)]) + name.ljust(_GATE, b"\0") + journal
    start = (head + _sum(head)).ljust(SLOTS[0], b"\0")
    slot = settled_slot(settled, turn=0)
    return (start + slot.ljust(SLOTS[1] - SLOTS[0], b"\0") + slot).ljust(RECORDS, b"\0")


def settled_slot(number: int, *, turn: int) -> bytes:
    """How far a journal is answered; it belongs into the slot of its turn."""
    said = number.to_bytes(8) + turn.to_bytes(8)
    return said + _sum(said)


def record(number: int, wire: bytes, *, settled: int) -> bytes:
    """One entry."""
    head = _MARK + len(wire).to_bytes(4) + number.to_bytes(8) + settled.to_bytes(8)
    return head + _sum(head, wire) + wire


def read_journal(content: Content, *, gate: GateId, gaps: bool) -> Intact | str:
    """Read a whole file, or say what is damaged. `gaps`: its numbers rise and need not follow, as in what is left of one."""
    journal = _read_header(content, gate)
    slots = _read_slots(content)
    if isinstance(journal, str):
        return journal
    if not slots:
        return "it does not say how far it is answered"
    turn, settled = max(slots)
    numbers, begins, end, written = array("Q"), array("Q"), RECORDS, 0
    while (found := _read_record(content, end)) is not None:
        number = found.number
        if not written:
            follows = gaps or number <= settled + 1
        else:
            follows = number > written if gaps else number == written + 1
        if not follows:
            return "numbers do not follow one another"
        if number > settled:
            numbers.append(number)
            begins.append(end)
        end, written = found.end, number
    if next(_records(content, end), None) is not None:
        return "a record is not as it was written"
    return Intact(
        id=journal,
        settled=settled,
        turn=turn,
        written=max(settled, written),
        numbers=numbers,
        begins=begins,
        end=end,
        torn=len(content) - end,
    )


def entries_of(content: bytes, *, journal: BootId, read_entry: ReadEntry) -> list[Entry] | str:
    """The entries of records that follow one another, each signature verified; or what is damaged."""
    entries, end = [], 0
    while end < len(content):
        found = _read_record(content, end)
        if found is None:
            return "a record is not as it was written"
        entry = read_entry(found.wire(content))
        if entry is None or (entry.journal, entry.number) != (journal, found.number):
            return "a record holds what this gate did not sign for it"
        entries.append(entry)
        end = found.end
    return entries


def salvage(content: Content, *, why: str, read_entry: ReadEntry) -> Damaged:
    """What verifies of a damaged journal, wherever it stands; each number once, as it was written first."""
    entries: dict[tuple[BootId, int], Entry] = {}
    noted = max((number for _, number in _read_slots(content)), default=0)
    settled: dict[BootId, int] = {}
    for found in _records(content, 0):
        entry = read_entry(found.wire(content))
        if entry is None or entry.number != found.number:
            continue
        entries.setdefault((entry.journal, entry.number), entry)
        settled[entry.journal] = max(settled.get(entry.journal, noted), found.settled)
    left = [entries[key] for key in sorted(entries) if key[1] > settled[key[0]]]
    return Damaged(why=why, entries=tuple(left))


@dataclass(frozen=True, slots=True)
class _Found:
    """A record as it was written: how far its journal was answered then, and where it begins and ends."""

    number: int
    settled: int
    begin: int
    end: int

    def wire(self, content: Content) -> bytes:
        return content[self.begin + _HEAD : self.end]


def _read_header(content: Content, gate: GateId) -> BootId | str:
    length = len(_MAGIC) + 1 + _GATE + 8
    head, found = content[:length], content[length : length + _SUM]
    if len(content) < RECORDS or not head.startswith(_MAGIC) or found != _sum(head):
        return "it does not begin as a journal does"
    if any(content[length + _SUM : SLOTS[0]]):
        return "it does not begin as a journal does"
    size, name = head[len(_MAGIC)], head[len(_MAGIC) + 1 : -8]
    if name != gate.encode().ljust(_GATE, b"\0") or size != len(gate.encode()):
        return "it is of another gate"
    return BootId(head[-8:])


def _read_slots(content: Content) -> list[tuple[int, int]]:
    """The turn and the number of each note of what is answered that is whole."""
    slots = []
    for at in SLOTS:
        said, found = content[at : at + 16], content[at + 16 : at + _SLOT]
        if found == _sum(said):
            slots.append((int.from_bytes(said[8:]), int.from_bytes(said[:8])))
    return slots


def _records(content: Content, begin: int) -> Iterator[_Found]:
    """Every record that is as it was written, from there on."""
    at = content.find(_MARK, begin)
    while at >= 0:
        found = _read_record(content, at)
        if found is not None:
            yield found
        at = content.find(_MARK, at + 1 if found is None else found.end)


def _read_record(content: Content, at: int) -> _Found | None:
    wire = at + _HEAD
    if wire > len(content):
        return None
    mark, length, number, settled, found = _FIELDS.unpack(content[at:wire])
    end = wire + length
    if mark != _MARK or length > MAX_MESSAGE_BYTES or end > len(content):
        return None
    if found != _sum(content[at : wire - _SUM], content[wire:end]):
        return None
    return _Found(number, settled, at, end)


def _sum(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()[:_SUM]
