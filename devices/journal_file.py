"""The gate's journal on disk: appended and synced, never overwritten; what is damaged is moved aside, and never deleted.

    journal              what this gate writes of what happened at it (`core/journal_format` is its form)
    journal.lock         held while an agent runs: two at once would give the same numbers
    journal.former-ID    what is left to forward of a journal that was damaged, or whose numbers are used up
    journal.damaged-N    the damaged file itself, as it was found: evidence, for whoever looks into it

Which files there are, and what becomes of one that is damaged, is decided here; how one is written to is `appended_file`'s.

At the start checksums and numbers are read, and the newest signature. Every other one is verified when its entry is read to
be sent; what this gate did not sign is damage, then as at the start, and is never sent.
"""

import fcntl
import os
from collections.abc import Sequence
from itertools import count, groupby
from pathlib import Path
from typing import Final, Self

import structlog

from devices.appended_file import AppendedFile, begin_file, content_of, sync_folder
from devices.core.events import Append
from devices.core.journal import Entry, FormerFound, JournalFound
from devices.core.journal_format import RECORDS, Content, Damaged, Intact, entries_of, read_journal, salvage
from devices.journal_port import JournalDamagedError, new_journal_id
from gatekeeper import cose
from gatekeeper.core.scan import read_upward
from gatekeeper.core.trust import Use
from gatekeeper.model.fields import MOST
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import Hello, MessageMalformed
from gatekeeper.model.topics import Channel

__all__ = ["JOURNAL", "JournalFile", "JournalInUseError"]

JOURNAL: Final = "journal"

_log = structlog.get_logger("gatekeeper.journal")


class JournalInUseError(Exception):
    """Another agent of this gate runs, and holds its journal."""


class JournalFile:
    """A gate's journal in a folder of its own; `open` it, and close it."""

    def __init__(self, lock: int, folder: "_Folder", present: AppendedFile) -> None:
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
        self.former: Final[dict[BootId, AppendedFile]] = {}
        self.is_damaged = False

    def load(self) -> AppendedFile:
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
                return AppendedFile(path, self._gate, found)
            case None:
                pass
        return self._new()

    def begin_anew(self, present: AppendedFile, journal: BootId, why: str) -> AppendedFile:
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
        with content_of(path) as content:
            found = read_journal(content, gate=self._gate, gaps=True)
            if isinstance(found, Intact) and self._is_own(content, found.id, RECORDS, found.end):
                return None
            return salvage(content, why=why, read_entry=self._read_entry)

    def entries(self, file: AppendedFile, after: int, most: int) -> Sequence[Entry]:
        """Read entries of a file that follow a number, each verified. Raises JournalDamagedError."""
        entries = entries_of(file.read(after, most), journal=file.id, read_entry=self._read_entry)
        if isinstance(entries, str):
            raise JournalDamagedError(entries)
        return entries

    def _new(self) -> AppendedFile:
        path = self._folder / JOURNAL
        return AppendedFile(path, self._gate, self._begin(path, new_journal_id(), ()))

    def _put_beside(self, path: Path, journal: BootId) -> None:
        former = path.with_name(f"{JOURNAL}.former-{journal.hex()}")
        path.replace(former)
        sync_folder(self._folder)

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
            self.former[found.id] = AppendedFile(path, self._gate, found)
        else:  # the power went before it could be let go
            path.unlink()
            sync_folder(self._folder)

    def _read(self, path: Path, *, gaps: bool) -> Intact | Damaged:
        with content_of(path) as content:
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
            self.former[journal] = AppendedFile(former, self._gate, intact)
        evidence = _free_name(self._folder, f"{JOURNAL}.damaged-")
        path.replace(evidence)
        sync_folder(self._folder)
        _log.error(
            "the journal is damaged: it is kept as evidence, and a new one begins",
            why=damaged.why,
            evidence=str(evidence),
            left=len(damaged.entries),
        )

    def _begin(self, path: Path, journal: BootId, entries: tuple[Entry, ...]) -> Intact:
        settled = entries[0].number - 1 if entries else 0
        return begin_file(path, self._gate, journal, entries, settled=settled)


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
