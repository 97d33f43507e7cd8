"""The gate's journal on disk: appended and synced, never overwritten; what is damaged is moved aside, and never deleted.

    journal              what this gate writes of what happened at it (`core/journal_format` is its form)
    journal.lock         held while an agent runs: two at once would give the same numbers
    journal.former-ID    what is left to forward of a journal that was damaged, or whose numbers are used up
    journal.damaged-N    the damaged file itself, as it was found: evidence, for whoever looks into it

Space comes back when entries are answered: the file is cut to nothing when all are, which needs no space, and else rewritten
when answered ones make up more than half of it. How far it is answered is noted in place, which needs no space either: a
full disk does not keep what is on it from being forwarded.

At the start checksums and numbers are read, and the newest signature. Every other one is verified when its entry is read to
be sent; what this gate did not sign is damage, then as at the start, and is never sent.

`MemoryJournal` is the same without a file, for tests and for simulated gates; a gate at work always has the file.
"""

import errno
import fcntl
import os
import secrets
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, groupby
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, Protocol, Self

import structlog

from devices.core.events import Append
from devices.core.journal import Entry, FormerFound, JournalFound
from devices.core.journal_format import (
    RECORDS,
    SLOTS,
    Content,
    Damaged,
    Intact,
    entries_of,
    read_journal,
    record,
    salvage,
    settled_slot,
    start_of,
)
from gatekeeper import cose
from gatekeeper.core.scan import read_upward
from gatekeeper.core.trust import Use
from gatekeeper.model.fields import MOST
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import Hello, MessageMalformed
from gatekeeper.model.topics import Channel

__all__ = [
    "JOURNAL",
    "JournalDamagedError",
    "JournalFile",
    "JournalInUseError",
    "JournalPort",
    "MemoryJournal",
]

JOURNAL: Final = "journal"
_ID_BYTES: Final = 8
_WORTH_CUTTING: Final = 64 << 10
_WORTH_REWRITING: Final = 1 << 20
_WORTH_FORGETTING: Final = 4096

_log = structlog.get_logger("gatekeeper.journal")


class JournalInUseError(Exception):
    """Another agent of this gate runs, and holds its journal."""


class JournalDamagedError(Exception):
    """What was read of a journal is not what this gate wrote; the message says how."""


class JournalPort(Protocol):
    """Where a gate's journal is kept. Its methods block; they are called one at a time, from a thread of their own."""

    @property
    def found(self) -> JournalFound:
        """What was there at the start."""

    def append(self, entries: Sequence[Append]) -> None:
        """Keep entries that follow those before. When it returns, they survive a power cut.

        Raises OSError: then none of them is kept, and their numbers may be given again.
        """

    def settle(self, journal: BootId, number: int) -> None:
        """Note that a journal is answered up to this number, and survive a power cut with it. Raises OSError."""

    def read(self, journal: BootId, after: int, most: int) -> Sequence[Entry]:
        """The entries that follow a number, in order, so many at the most; each is verified to be this gate's own.

        Raises JournalDamagedError, and OSError.
        """

    def begin_anew(self, journal: BootId, why: str) -> JournalFound:
        """Put a journal that cannot go on beside, and give what there is now: a new one if it was the present one.

        What is not answered of it is kept, and survives a power cut, as far as it verifies. Raises OSError: then all is
        as it was, or will be put right by the next start.
        """

    def close(self) -> None:
        """Let another agent have it."""


class MemoryJournal:
    """A journal that lives as long as its gate; `journal` is its id, a new one if none is given."""

    def __init__(self, journal: BootId | None = None) -> None:
        self._id = journal or _new_id()
        self._entries: dict[BootId, dict[int, Entry]] = {self._id: {}}
        self._settled = {self._id: 0}
        self._written = {self._id: 0}

    @property
    def found(self) -> JournalFound:
        """What is there now."""
        return self._found(damaged=False)

    def append(self, entries: Sequence[Append]) -> None:
        """See `JournalPort`."""
        for one in entries:
            self._entries[self._id][one.number] = Entry(
                journal=self._id, number=one.number, wire=one.wire, access_point=one.access_point
            )
            self._written[self._id] = one.number

    def settle(self, journal: BootId, number: int) -> None:
        """See `JournalPort`."""
        self._settled[journal] = number
        kept = {at: entry for at, entry in self._entries[journal].items() if at > number}
        self._entries[journal] = kept
        if journal != self._id and not kept:
            del self._entries[journal]

    def read(self, journal: BootId, after: int, most: int) -> Sequence[Entry]:
        """See `JournalPort`."""
        later = sorted(number for number in self._entries[journal] if number > after)
        return [self._entries[journal][number] for number in later[:most]]

    def begin_anew(self, journal: BootId, why: str) -> JournalFound:
        """See `JournalPort`."""
        _log.error("a new journal begins", why=why)
        if journal == self._id:
            self._id = _new_id()
            self._entries[self._id] = {}
            self._settled[self._id] = self._written[self._id] = 0
        return self._found(damaged=True)

    def close(self) -> None:
        """Nothing to do."""

    def _found(self, *, damaged: bool) -> JournalFound:
        former = tuple(
            FormerFound(
                id=journal,
                settled=self._settled[journal],
                written=self._written[journal],
                entries=len(entries),
                octets=_octets(entries),
            )
            for journal, entries in self._entries.items()
            if journal != self._id and entries
        )
        return JournalFound(
            id=self._id,
            settled=self._settled[self._id],
            written=self._written[self._id],
            octets=_octets(self._entries[self._id]),
            former=former,
            damaged=damaged,
        )


class JournalFile:
    """A gate's journal in a folder of its own; `open` it, and close it."""

    def __init__(self, lock: int, folder: "_Folder", present: "_OpenFile") -> None:
        self._lock: Final = lock
        self._folder: Final = folder
        self._present = present
        self._former: Final = folder.former
        self.found: Final = self._found(damaged=folder.is_damaged)

    @classmethod
    def open(cls, folder: Path, *, gate: GateId, key: cose.SigningKey, topic: str) -> Self:
        """Read what is there, mend what the power cut off, move aside what is damaged.

        A hundred thousand entries that wait take a second; a damaged journal takes longer, for every signature is verified.
        Raises JournalInUseError, and OSError when the disk does not do its part.
        """
        lock = _lock(folder / f"{JOURNAL}.lock")
        found = _Folder(folder, gate=gate, key=key, topic=topic)
        try:
            present = found.load()
        except BaseException:
            for file in found.former.values():
                file.close()
            os.close(lock)
            raise
        return cls(lock, found, present)

    def append(self, entries: Sequence[Append]) -> None:
        """See `JournalPort`."""
        self._present.append([(entry.number, entry.wire) for entry in entries])

    def settle(self, journal: BootId, number: int) -> None:
        """See `JournalPort`. What is answered whole gives its space back."""
        if journal == self._present.id:
            self._present.settle(number)
            self._present.give_back_space()
            return
        former = self._former.get(journal)
        if former is not None:
            former.settle(number)
            if number >= former.written:
                self._former.pop(journal).delete()

    def read(self, journal: BootId, after: int, most: int) -> Sequence[Entry]:
        """See `JournalPort`."""
        file = self._present if journal == self._present.id else self._former.get(journal)
        return self._folder.entries(file, after, most) if file is not None else ()

    def begin_anew(self, journal: BootId, why: str) -> JournalFound:
        """See `JournalPort`."""
        self._present = self._folder.begin_anew(self._present, journal, why)
        return self._found(damaged=True)

    def _found(self, *, damaged: bool) -> JournalFound:
        return JournalFound(
            id=self._present.id,
            settled=self._present.settled,
            written=self._present.written,
            octets=self._present.octets,
            former=tuple(
                FormerFound(
                    id=file.id,
                    settled=file.settled,
                    written=file.written,
                    entries=file.entries,
                    octets=file.octets,
                )
                for file in self._former.values()
                if file.entries
            ),
            damaged=damaged,
        )

    def close(self) -> None:
        """See `JournalPort`."""
        for file in (*self._former.values(), self._present):
            file.close()
        os.close(self._lock)


class _Folder:
    """A gate's folder at the start: what is in order is opened, what is damaged is moved aside."""

    def __init__(self, folder: Path, *, gate: GateId, key: cose.SigningKey, topic: str) -> None:
        self._folder: Final = folder
        self._gate: Final = gate
        self._keys: Final = cose.key_ring([key.record(use=Use.GATE, owner=gate)])
        self._topic: Final = topic
        self.former: Final[dict[BootId, _OpenFile]] = {}
        self.is_damaged = False

    def load(self) -> "_OpenFile":
        """Open all there is; give the journal that is written from now on."""
        self._load_all_former()
        path = self._folder / JOURNAL
        found = self._read(path, gaps=False) if path.exists() else None
        match found:
            case Damaged():
                self._move_aside(path, found)
            case Intact() if found.written >= MOST - 1:
                # Its numbers are used up: what waits in it goes up, and a new one is begun.
                self._put_beside(path, found.id)
                self._load_all_former()
            case Intact():
                return _OpenFile(path, self._gate, found)
            case None:
                pass
        return self._new()

    def begin_anew(self, present: "_OpenFile", journal: BootId, why: str) -> "_OpenFile":
        """Put a journal beside that cannot go on; give the one that is written from now on."""
        if journal != present.id:
            self._mend_former(journal, why)
            return present
        # INVARIANT: nothing is written any more into a file that is about to be a former one, or is one.
        present.give_up()
        path = self._folder / JOURNAL
        if path.exists():  # else this was done before, and then the disk took no new one
            damaged = self._damage_of(path, why)
            if damaged is not None:
                self._move_aside(path, damaged)
            else:
                _log.error("the journal is put beside, and a new one begins", why=why)
                self._put_beside(path, journal)
        self._load_all_former()
        begun = self._new()
        present.close()
        return begun

    def _mend_former(self, journal: BootId, why: str) -> None:
        file = self.former.get(journal)
        damaged = self._damage_of(file.path, why) if file is not None else None
        if file is not None and damaged is not None:
            del self.former[journal]
            file.close()
            self._move_aside(file.path, damaged)

    def _damage_of(self, path: Path, why: str) -> Damaged | None:
        """Look at all of a file, each signature too; None when it is as this gate wrote it."""
        with _content(path) as content:
            found = read_journal(content, gate=self._gate, gaps=True)
            if isinstance(found, Intact) and self._is_own(content, found.id, RECORDS, found.end):
                return None
            return salvage(content, why=why, read_entry=self._read_entry)

    def entries(self, file: "_OpenFile", after: int, most: int) -> Sequence[Entry]:
        """Read entries of a file that follow a number, each verified. Raises JournalDamagedError."""
        entries = entries_of(file.read(after, most), journal=file.id, read_entry=self._read_entry)
        if isinstance(entries, str):
            raise JournalDamagedError(entries)
        return entries

    def _new(self) -> "_OpenFile":
        path = self._folder / JOURNAL
        return _OpenFile(path, self._gate, self._begin(path, _new_id(), ()))

    def _put_beside(self, path: Path, journal: BootId) -> None:
        former = path.with_name(f"{JOURNAL}.former-{journal.hex()}")
        path.replace(former)
        _sync_folder(self._folder)

    def _load_all_former(self) -> None:
        """Open what is left of former journals and is not open yet."""
        known = {file.path for file in self.former.values()}
        for path in sorted(self._folder.glob(f"{JOURNAL}.former-*")):
            if path not in known:
                self._load_former(path)

    def _load_former(self, path: Path) -> None:
        found = self._read(path, gaps=True)
        if isinstance(found, Damaged):
            self._move_aside(path, found)
        elif found.numbers:
            self.former[found.id] = _OpenFile(path, self._gate, found)
        else:  # the power went before it could be let go
            path.unlink()
            _sync_folder(self._folder)

    def _read(self, path: Path, *, gaps: bool) -> Intact | Damaged:
        with _content(path) as content:
            found = read_journal(content, gate=self._gate, gaps=gaps)
            # Who changed the file on purpose is found out now if it is the newest, and else before it is sent.
            newest = found.begins[-1] if isinstance(found, Intact) and found.begins else None
            if (
                isinstance(found, Intact)
                and newest is not None
                and not self._is_own(content, found.id, newest, found.end)
            ):
                found = "the newest record holds what this gate did not sign for it"
            if isinstance(found, str):
                return salvage(content, why=found, read_entry=self._read_entry)
        if found.torn:
            _log.warning(
                "the last write was cut off: it was never confirmed, and is let go", octets=found.torn
            )
        return found

    def _is_own(self, content: Content, journal: BootId, begin: int, end: int) -> bool:
        found = entries_of(content[begin:end], journal=journal, read_entry=self._read_entry)
        return not isinstance(found, str)

    def _read_entry(self, wire: bytes) -> Entry | None:
        read = read_upward(Channel.JOURNAL, wire, keys=self._keys, topic=self._topic)
        if isinstance(read, cose.Refused) or isinstance(read[1], MessageMalformed | Hello):
            return None
        message = read[1]
        return Entry(
            journal=message.boot, number=message.sequence, wire=wire, access_point=message.access_point
        )

    def _move_aside(self, path: Path, damaged: Damaged) -> None:
        """Keep what verifies of a damaged journal to be forwarded, and the file itself as evidence."""
        self.is_damaged = True
        # INVARIANT: what is left stands on disk before the damaged file gets another name.
        for journal, entries in groupby(damaged.entries, key=lambda entry: entry.journal):
            former = self._folder / f"{JOURNAL}.former-{journal.hex()}"
            if former == path:
                former = former.with_name(f"{former.name}.again")
            before = self.former.pop(journal, None)
            if before is not None:  # the power went after this had been done
                before.close()
            intact = self._begin(former, journal, tuple(entries))
            self.former[journal] = _OpenFile(former, self._gate, intact)
        evidence = _free_name(self._folder, f"{JOURNAL}.damaged-")
        path.replace(evidence)
        _sync_folder(self._folder)
        _log.error(
            "the journal is damaged: it is kept as evidence, and a new one begins",
            why=damaged.why,
            evidence=str(evidence),
            left=len(damaged.entries),
        )

    def _begin(self, path: Path, journal: BootId, entries: tuple[Entry, ...]) -> Intact:
        settled = entries[0].number - 1 if entries else 0
        return _write_whole(path, self._gate, journal, entries, settled=settled)


class _OpenFile:
    """One file of a journal, at work."""

    def __init__(self, path: Path, gate: GateId, found: Intact) -> None:
        self.id: Final = found.id
        self.path: Final = path
        self.written = found.written
        self._gate: Final = gate
        self.settled = found.settled
        self._turn = found.turn
        self._is_broken = self._is_given_up = False
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        #: of what is not answered, from `_oldest` on: its number, and where it begins
        self._numbers: Final = found.numbers
        self._begins: Final = found.begins
        self._oldest = 0
        self._end = found.end if found.numbers else RECORDS
        if found.torn or self._end < found.end:
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)

    def give_up(self) -> None:
        """Take nothing any more: another file is to take the place of this one."""
        self._is_given_up = True

    @property
    def entries(self) -> int:
        """How many are not answered."""
        return len(self._numbers) - self._oldest

    @property
    def octets(self) -> int:
        """What they take, without what stands around each."""
        around = len(record(0, b"", settled=0))
        return self._end - self._begin_of(self._oldest) - self.entries * around

    def read(self, after: int, most: int) -> bytes:
        """The records of entries that follow a number, so many at the most."""
        first = max(bisect_right(self._numbers, after), self._oldest)
        last = min(first + most, len(self._numbers))
        begin, end = self._begin_of(first), self._begin_of(last)
        return os.pread(self._file, end - begin, begin)

    def _begin_of(self, index: int) -> int:
        return self._begins[index] if index < len(self._begins) else self._end

    def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """All of them, or none."""
        if self._is_broken or self._is_given_up:
            raise OSError(errno.EIO, "the journal is broken until another is begun, or the program")
        records = [(number, record(number, wire, settled=self.settled)) for number, wire in entries]
        content = b"".join(written for _, written in records)
        try:
            _write_at(self._file, content, self._end)
            os.fdatasync(self._file)
        except OSError:
            self._take_back()
            raise
        for number, written in records:
            self._numbers.append(number)
            self._begins.append(self._end)
            self._end += len(written)
            self.written = number

    def settle(self, number: int) -> None:
        """Note how far it is answered, in the slot whose turn it is: the other one stands if this one is cut off."""
        if self._is_given_up:
            raise OSError(errno.EIO, "the journal is given up, and no other begun yet")
        turn = self._turn + 1
        _write_at(self._file, settled_slot(number, turn=turn), SLOTS[turn % 2])
        os.fdatasync(self._file)
        self._turn, self.settled = turn, number
        self._oldest = max(bisect_right(self._numbers, number), self._oldest)
        if self._oldest > _WORTH_FORGETTING:
            del self._numbers[: self._oldest], self._begins[: self._oldest]
            self._oldest = 0

    def give_back_space(self) -> None:
        """Cut the file to nothing when all is answered, rewrite it when most is. What fails is tried another time."""
        begins = self._begin_of(self._oldest)
        answered, left = begins - RECORDS, self._end - begins
        try:
            if not left and answered >= _WORTH_CUTTING:
                os.ftruncate(self._file, RECORDS)
                self._end = RECORDS
                os.fsync(self._file)
            elif answered >= max(_WORTH_REWRITING, left):
                self._rewrite(begins)
        except OSError as error:
            _log.warning("the journal cannot give space back yet", why=error.strerror)

    def delete(self) -> None:
        """Let a journal go that is answered whole."""
        self.close()
        self.path.unlink()
        _sync_folder(self.path.parent)

    def close(self) -> None:
        """Close it."""
        os.close(self._file)

    def _take_back(self) -> None:
        """After a write that failed, have nothing of it in the file; a file that does not do even that is used no more."""
        try:
            os.ftruncate(self._file, self._end)
            os.fdatasync(self._file)
        except OSError:
            self._is_broken = True

    def _rewrite(self, begins: int) -> None:
        """Put what is not answered into a new file, and let that take the place of this one."""
        kept = os.pread(self._file, self._end - begins, begins)
        start = start_of(self._gate, self.id, settled=self.settled)
        aside = _write_aside(self.path, start + kept)
        opened = os.open(aside, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            aside.replace(self.path)
        except OSError:
            os.close(opened)
            raise
        os.close(self._file)
        self._file, self._turn, self._end = opened, 0, RECORDS + len(kept)
        del self._numbers[: self._oldest], self._begins[: self._oldest]
        self._oldest = 0
        for index, place in enumerate(self._begins):
            self._begins[index] = place - begins + RECORDS
        _sync_folder(self.path.parent)


@contextmanager
def _content(path: Path) -> Iterator[Content]:
    """What is in a file, mapped rather than read: it may be as large as a gate's memory."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""
            return
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            yield content


def _write_whole(
    path: Path, gate: GateId, journal: BootId, entries: tuple[Entry, ...], *, settled: int
) -> Intact:
    """Write a journal at once; no power cut leaves half of it."""
    content = bytearray(start_of(gate, journal, settled=settled))
    numbers, begins = array("Q"), array("Q")
    for entry in entries:
        numbers.append(entry.number)
        begins.append(len(content))
        content += record(entry.number, entry.wire, settled=settled)
    _write_aside(path, content).replace(path)
    _sync_folder(path.parent)
    return Intact(
        id=journal,
        settled=settled,
        turn=0,
        written=entries[-1].number if entries else settled,
        numbers=numbers,
        begins=begins,
        end=len(content),
        torn=0,
    )


def _write_aside(path: Path, content: bytes | bytearray) -> Path:
    aside = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(aside, flags, 0o600)
    try:
        _write_at(descriptor, content, 0)
        os.fsync(descriptor)
    except OSError:
        aside.unlink()
        raise
    finally:
        os.close(descriptor)
    return aside


def _write_at(descriptor: int, content: bytes | bytearray, offset: int) -> None:
    rest = memoryview(content)
    while rest:
        done = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[done:], offset + done


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalInUseError(f"{path} is held: another agent of this gate runs.") from error
    return descriptor


def _free_name(folder: Path, beginning: str) -> Path:
    return next(path for number in count(1) if not (path := folder / f"{beginning}{number}").exists())


def _new_id() -> BootId:
    return BootId(secrets.token_bytes(_ID_BYTES))


def _octets(entries: dict[int, Entry]) -> int:
    return sum(len(entry.wire) for entry in entries.values())
