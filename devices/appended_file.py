"""One file of a journal, at work: entries are appended to it and synced, and none is ever overwritten.

    append   all that is given is on disk when it returns, or none of it is in the file
    settle   how far it is answered is noted in place, in one of two slots, which needs no space
    space    the file is cut to nothing when all is answered, which needs none either, and rewritten when answered entries make
             up more than half of it

So a full disk does not keep what is on it from being forwarded.
It knows numbers and bytes, and neither keys nor what entries say. Which files there are, and what is done about a damaged one,
is `journal_file`'s.
"""

import errno
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

import structlog

from devices.core.journal import Entry
from devices.core.journal_format import RECORDS, SLOTS, Content, Intact, record, settled_slot, start_of
from gatekeeper.model.ids import BootId, GateId

__all__ = ["AppendedFile", "begin_file", "content_of", "sync_folder"]

_WORTH_CUTTING: Final = 64 << 10
_WORTH_REWRITING: Final = 1 << 20
_WORTH_FORGETTING: Final = 4096

_log = structlog.get_logger("gatekeeper.journal")


class AppendedFile:
    """One file of a journal, opened as it was found."""

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
        sync_folder(self.path.parent)

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
        sync_folder(self.path.parent)


@contextmanager
def content_of(path: Path) -> Iterator[Content]:
    """What is in a file, mapped rather than read: it may be as large as a gate's memory."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield b""
            return
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            yield content


def begin_file(
    path: Path, gate: GateId, journal: BootId, entries: tuple[Entry, ...], *, settled: int
) -> Intact:
    """Write a file with these entries in it at once; no power cut leaves half of it."""
    content = bytearray(start_of(gate, journal, settled=settled))
    numbers, begins = array("Q"), array("Q")
    for entry in entries:
        numbers.append(entry.number)
        begins.append(len(content))
        content += record(entry.number, entry.wire, settled=settled)
    _write_aside(path, content).replace(path)
    sync_folder(path.parent)
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


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
