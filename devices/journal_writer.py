"""Brings entries to the disk, in order and off the event loop, and says what came of each.

    Append, Append, Settle ... --(what waits, at once)--> a thread: write, sync --> Appended | AppendFailed, JournalSettled
    ReadEntries            ---------------------------->  a thread: read, verify --> EntriesRead | JournalBegun
    BeginJournal           ---------------------------->  a thread: begin anew   --> JournalBegun

Whatever queued while the disk was at work goes into the next write: one sync for all. It decides nothing.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, assert_never

import structlog

from devices.core.events import (
    Append,
    Appended,
    AppendFailed,
    BeginJournal,
    EntriesRead,
    Event,
    JournalBegun,
    JournalSettled,
    ReadEntries,
    Settle,
)
from devices.journal_port import JournalDamagedError, JournalPort
from gatekeeper.model.ids import BootId

__all__ = ["JournalWriter"]

_AGAIN: Final = 1.0

_T = TypeVar("_T")

_log = structlog.get_logger("gatekeeper.journal")


class JournalWriter:
    """The way of one gate's entries to its disk; `tell` is called in the event loop."""

    def __init__(self, journal: JournalPort, *, tell: Callable[[Event], None]) -> None:
        self._journal: Final = journal
        self._tell: Final = tell
        self._appends: list[Append] = []
        self._settles: dict[BootId, int] = {}
        self._reads: dict[BootId, ReadEntries] = {}
        self._given_up: dict[BootId, str] = {}
        self._news: Final = asyncio.Event()
        self._is_failing = False
        # One thread: what is begun is done in order, and before the journal is closed, though nobody waits for it any more.
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def take(self, effect: Append | Settle | ReadEntries | BeginJournal) -> None:
        """Have it done soon."""
        match effect:
            case Append():
                self._appends.append(effect)
            case Settle(journal=journal, number=number):
                self._settles[journal] = number
            case ReadEntries(journal=journal):
                self._reads[journal] = effect
            case BeginJournal(instead_of=journal):
                self._given_up.setdefault(journal, "the service takes no more of it")
            case _:
                assert_never(effect)
        self._news.set()

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._settle()
            await self._append()
            await self._read()
            await self._begin()

    async def close(self) -> None:
        """Write what still waits, without a word to anybody, and close the journal."""
        await self._do(self._write_rest)
        self._thread.shutdown(wait=False)

    def _write_rest(self) -> None:
        try:
            if self._appends:
                self._journal.append(self._appends)
        except OSError as error:
            _log.error("the journal lost its last entries", entries=len(self._appends), why=error.strerror)
        finally:
            self._journal.close()

    async def _do(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _append(self) -> None:
        appends, self._appends = self._appends, []
        if not appends:
            return
        try:
            await self._do(self._journal.append, appends)
        except OSError as error:
            self._has_failed(error)
            # INVARIANT: what was taken meanwhile has numbers that follow those that failed: none of it is written.
            self._appends.clear()
            self._tell(AppendFailed(appends[0].number))
        else:
            self._is_failing = False
            self._tell(Appended(appends[-1].number))

    async def _settle(self) -> None:
        settles, self._settles = self._settles, {}
        for journal, number in settles.items():
            try:
                await self._do(self._journal.settle, journal, number)
            except OSError as error:
                self._has_failed(error)
                self._try_again(self._settles, journal, number)
            else:
                self._tell(JournalSettled(journal, number))

    async def _read(self) -> None:
        reads, self._reads = self._reads, {}
        for journal, read in reads.items():
            try:
                entries = await self._do(self._journal.read, journal, read.after, read.most)
            except JournalDamagedError as error:
                self._given_up[journal] = str(error)
            except OSError as error:
                self._has_failed(error)
                self._try_again(self._reads, journal, read)
            else:
                self._tell(EntriesRead(journal, tuple(entries)))

    async def _begin(self) -> None:
        given_up, self._given_up = self._given_up, {}
        for journal, why in given_up.items():
            try:
                found = await self._do(self._journal.begin_anew, journal, why)
            except OSError as error:
                self._has_failed(error)
                self._try_again(self._given_up, journal, why)
            else:
                # INVARIANT: what was taken meanwhile has numbers of the journal that is given up: none of it is written.
                self._appends.clear()
                self._reads.clear()
                self._tell(JournalBegun(found))

    def _try_again(self, waiting: dict[BootId, _T], journal: BootId, what: _T) -> None:
        waiting.setdefault(journal, what)
        asyncio.get_running_loop().call_later(_AGAIN, self._news.set)

    def _has_failed(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.error("the journal takes nothing", why=error.strerror)
