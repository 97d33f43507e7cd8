"""How a journal stands on disk, written and read strictly; the bytes only, no file.

    0      header    magic (8)  gate (1 + 32, padded with zeros)  journal id (8)  checksum (16)
    512    settled   number (8)  turn (8)  checksum (16)      two of these, written in turns: a torn one leaves the other
    1024   settled
    1536   records   mark (4)  length of wire (4)  number (8)  settled then (8)  checksum (16)  wire ...

Numbers are big-endian; a checksum is the first 16 bytes of the SHA-256 of everything of its part but itself (of a record:
with its wire). It finds what a disk does to bytes. Who alters them on purpose does not get past the signature of each wire.

A journal is `Intact`, but perhaps for a last write that the power cut off (`torn` bytes after `end`), or it is `Damaged`:
anything else that is not as it was written. Of a damaged one every record that verifies is still given, before and after.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from devices.core.journal import Entry
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import MAX_MESSAGE_BYTES

__all__ = [
    "RECORDS",
    "SLOTS",
    "Damaged",
    "Intact",
    "ReadEntry",
    "read_journal",
    "record",
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

ReadEntry: TypeAlias = Callable[[bytes], Entry | None]
"""The entry that these bytes are, when the gate's own key signed them for its journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intact:
    """A journal as it was written, up to `end`; `torn` bytes follow that a write left which never came to its end."""

    id: BootId
    settled: int
    turn: int
    entries: tuple[Entry, ...]
    end: int
    torn: int

    @property
    def written(self) -> int:
        """The highest number that was given."""
        return max(self.settled, self.entries[-1].number if self.entries else 0)


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


def read_journal(content: bytes, *, gate: GateId, read_entry: ReadEntry, gaps: bool) -> Intact | Damaged:
    """Read a whole file. `gaps`: its numbers rise and need not follow, as in what is left of a damaged one."""
    journal = _read_header(content, gate)
    slots = [slot for at in SLOTS if (slot := _read_slot(content[at : at + _SLOT])) is not None]
    found = list(_records(content, read_entry))
    if isinstance(journal, str):
        return _damaged(journal, found, slots)
    if not slots:
        return _damaged("it does not say how far it is answered", found, slots)
    turn, settled = max(slots)
    wrong = _what_is_wrong(found, journal, settled, gaps=gaps)
    if wrong is not None:
        return _damaged(wrong, found, slots)
    end = found[-1].end if found else RECORDS
    return Intact(
        id=journal,
        settled=settled,
        turn=turn,
        entries=tuple(one.entry for one in found),
        end=end,
        torn=len(content) - end,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A record that verifies, where it begins and ends, and how far its journal was answered when it was written."""

    entry: Entry
    settled: int
    begin: int
    end: int


def _what_is_wrong(found: list[_Found], journal: BootId, settled: int, *, gaps: bool) -> str | None:
    end, before = RECORDS, None
    for one in found:
        number = one.entry.number
        if one.begin != end:
            return "a record is not as it was written"
        if one.entry.journal != journal:
            return "a record is of another journal"
        if before is None:
            follows = gaps or number <= settled + 1
        else:
            follows = number > before if gaps else number == before + 1
        if not follows:
            return "numbers do not follow one another"
        end, before = one.end, number
    return None


def _damaged(why: str, found: list[_Found], slots: list[tuple[int, int]]) -> Damaged:
    """What verifies, wherever it stands; each number once, as it was written first."""
    entries = {(one.entry.journal, one.entry.number): one.entry for one in reversed(found)}
    noted = max((number for _, number in slots), default=0)
    settled: dict[BootId, int] = {}
    for one in found:
        settled[one.entry.journal] = max(settled.get(one.entry.journal, noted), one.settled)
    left = [entries[key] for key in sorted(entries) if key[1] > settled[key[0]]]
    return Damaged(why=why, entries=tuple(left))


def _read_header(content: bytes, gate: GateId) -> BootId | str:
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


def _read_slot(slot: bytes) -> tuple[int, int] | None:
    said, found = slot[:16], slot[16:]
    return (int.from_bytes(said[8:]), int.from_bytes(said[:8])) if found == _sum(said) else None


def _records(content: bytes, read_entry: ReadEntry) -> Iterator[_Found]:
    """Every record that verifies."""
    at = content.find(_MARK)
    while at >= 0:
        found = _read_record(content, at, read_entry)
        if found is not None:
            yield found
        at = content.find(_MARK, at + 1 if found is None else found.end)


def _read_record(content: bytes, at: int, read_entry: ReadEntry) -> _Found | None:
    head, found = content[at : at + _HEAD - _SUM], content[at + _HEAD - _SUM : at + _HEAD]
    length = int.from_bytes(head[4:8])
    end = at + _HEAD + length
    wire = content[at + _HEAD : end]
    if length > MAX_MESSAGE_BYTES or end > len(content) or found != _sum(head, wire):
        return None
    entry = read_entry(wire)
    if entry is None or entry.number != int.from_bytes(head[8:16]):
        return None
    return _Found(entry, int.from_bytes(head[16:24]), at, end)


def _sum(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()[:_SUM]
