"""The gate's journal on disk: appended and synced, never overwritten; what is damaged is moved aside, and never deleted.

    journal              what this gate writes of what happened at it (`core/journal_format` is its form)
    journal.lock         held while an agent runs: two at once would give the same numbers
    journal.former-ID    what is left to forward of a journal that was damaged, or whose numbers are used up
    journal.damaged-N    the damaged file itself, as it was found: evidence, for whoever looks into it

Space comes back when entries are answered: the file is cut to nothing when all are, which needs no space, and else rewritten
when answered ones make up more than half of it. How far it is answered is noted in place, which needs no space either: a
full disk does not keep what is on it from being forwarded.

`MemoryJournal` is the same without a file, for tests and for simulated gates; a gate at work always has the file.
"""

import errno
import fcntl
import os
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path
from typing import Final, Protocol, Self

import structlog

from devices.core.events import Append
from devices.core.journal import Entry, JournalFound
from devices.core.journal_format import (
    RECORDS,
    SLOTS,
    Damaged,
    Intact,
    read_journal,
    record,
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

__all__ = ["JOURNAL", "JournalFile", "JournalInUseError", "JournalPort", "MemoryJournal"]

JOURNAL: Final = "journal"
_ID_BYTES: Final = 8
_WORTH_CUTTING: Final = 64 << 10
_WORTH_REWRITING: Final = 1 << 20

_log = structlog.get_logger("gatekeeper.journal")


class JournalInUseError(Exception):
    """Another agent of this gate runs, and holds its journal."""


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

    def close(self) -> None:
        """Let another agent have it."""


class MemoryJournal:
    """A journal that lives as long as its gate."""

    def __init__(self) -> None:
        self.found: Final = JournalFound(id=_new_id())

    def append(self, entries: Sequence[Append]) -> None:
        """Nothing to do: the controller has them."""

    def settle(self, journal: BootId, number: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class JournalFile:
    """A gate's journal in a folder of its own; `open` it, and close it."""

    def __init__(
        self, lock: int, present: "_OpenFile", former: dict[BootId, "_OpenFile"], *, damaged: bool
    ) -> None:
        self._lock: Final = lock
        self._present: Final = present
        self._former: Final = former
        self.found: Final = JournalFound(
            id=present.id,
            settled=present.settled,
            written=present.written,
            entries=present.entries,
            former=tuple(entry for file in former.values() for entry in file.entries),
            damaged=damaged,
        )

    @classmethod
    def open(cls, folder: Path, *, gate: GateId, key: cose.SigningKey, topic: str) -> Self:
        """Read what is there, mend what the power cut off, move aside what is damaged.

        Reads every signature: some seconds for a hundred thousand entries that wait.
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
        return cls(lock, present, found.former, damaged=found.is_damaged)

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
        for former in sorted(self._folder.glob(f"{JOURNAL}.former-*")):
            self._load_former(former)
        path = self._folder / JOURNAL
        found = self._read(path, gaps=False) if path.exists() else None
        match found:
            case Damaged():
                self._move_aside(path, found)
            case Intact() if found.written >= MOST - 1:
                # Its numbers are used up: what waits in it goes up, and a new one is begun.
                former = path.with_name(f"{JOURNAL}.former-{found.id.hex()}")
                path.replace(former)
                _sync_folder(self._folder)
                self.former[found.id] = _OpenFile(former, self._gate, found)
            case Intact():
                return _OpenFile(path, self._gate, found)
            case None:
                pass
        return _OpenFile(path, self._gate, self._begin(path, _new_id(), ()))

    def _load_former(self, path: Path) -> None:
        found = self._read(path, gaps=True)
        if isinstance(found, Damaged):
            self._move_aside(path, found)
        else:
            self.former[found.id] = _OpenFile(path, self._gate, found)

    def _read(self, path: Path, *, gaps: bool) -> Intact | Damaged:
        found = read_journal(path.read_bytes(), gate=self._gate, read_entry=self._read_entry, gaps=gaps)
        if isinstance(found, Intact) and found.torn:
            _log.warning(
                "the last write was cut off: it was never confirmed, and is let go", octets=found.torn
            )
        return found

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
        self.entries: Final = _unsettled(found)
        self.written = found.written
        self._path: Final = path
        self._gate: Final = gate
        self.settled = found.settled
        self._turn = found.turn
        self._is_broken = False
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._end = found.end
        #: of what is not answered: where each begins, from the oldest
        self._places: Final[deque[tuple[int, int]]] = deque()
        self._find_places(found.entries)
        if not self._places:
            self._end = RECORDS
        if found.torn or self._end < found.end:
            os.ftruncate(self._file, self._end)
            os.fsync(self._file)

    def append(self, entries: Sequence[tuple[int, bytes]]) -> None:
        """All of them, or none."""
        if self._is_broken:
            raise OSError(errno.EIO, "the journal is broken until the gate's program starts anew")
        records = [(number, record(number, wire, settled=self.settled)) for number, wire in entries]
        content = b"".join(written for _, written in records)
        try:
            _write_at(self._file, content, self._end)
            os.fdatasync(self._file)
        except OSError:
            self._take_back()
            raise
        for number, written in records:
            self._places.append((number, self._end))
            self._end += len(written)
            self.written = number

    def settle(self, number: int) -> None:
        """Note how far it is answered, in the slot whose turn it is: the other one stands if this one is cut off."""
        turn = self._turn + 1
        _write_at(self._file, settled_slot(number, turn=turn), SLOTS[turn % 2])
        os.fdatasync(self._file)
        self._turn, self.settled = turn, number
        while self._places and self._places[0][0] <= number:
            self._places.popleft()

    def give_back_space(self) -> None:
        """Cut the file to nothing when all is answered, rewrite it when most is. What fails is tried another time."""
        begins = self._places[0][1] if self._places else self._end
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
        self._path.unlink()
        _sync_folder(self._path.parent)

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
        aside = _write_aside(self._path, start + kept)
        opened = os.open(aside, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            aside.replace(self._path)
        except OSError:
            os.close(opened)
            raise
        os.close(self._file)
        self._file, self._turn, self._end = opened, 0, RECORDS + len(kept)
        moved = [(number, place - begins + RECORDS) for number, place in self._places]
        self._places.clear()
        self._places.extend(moved)
        _sync_folder(self._path.parent)

    def _find_places(self, entries: Sequence[Entry]) -> None:
        place = RECORDS
        for entry in entries:
            if entry.number > self.settled:
                self._places.append((entry.number, place))
            place += len(record(entry.number, entry.wire, settled=0))


def _unsettled(found: Intact) -> tuple[Entry, ...]:
    return tuple(entry for entry in found.entries if entry.number > found.settled)


def _write_whole(
    path: Path, gate: GateId, journal: BootId, entries: tuple[Entry, ...], *, settled: int
) -> Intact:
    """Write a journal at once; no power cut leaves half of it."""
    records = b"".join(record(entry.number, entry.wire, settled=settled) for entry in entries)
    content = start_of(gate, journal, settled=settled) + records
    _write_aside(path, content).replace(path)
    _sync_folder(path.parent)
    return Intact(id=journal, settled=settled, turn=0, entries=entries, end=len(content), torn=0)


def _write_aside(path: Path, content: bytes) -> Path:
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


def _write_at(descriptor: int, content: bytes, offset: int) -> None:
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
