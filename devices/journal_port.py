"""Where a gate's journal is kept: what the gate asks of it, and one in memory, for tests and for simulated gates.

A gate at work has it on disk (`journal_file`).
"""

import secrets
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from devices.core.events import Append
from devices.core.journal import Entry, FormerFound, JournalFound
from gatekeeper.model.ids import BootId

__all__ = ["JournalDamagedError", "JournalPort", "MemoryJournal", "new_journal_id"]

_ID_BYTES: Final = 8

_log = structlog.get_logger("gatekeeper.journal")


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
        self._id = journal or new_journal_id()
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
            self._id = new_journal_id()
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


def new_journal_id() -> BootId:
    """The id of a journal that begins now."""
    return BootId(secrets.token_bytes(_ID_BYTES))


def _octets(entries: dict[int, Entry]) -> int:
    return sum(len(entry.wire) for entry in entries.values())
