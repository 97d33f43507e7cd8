"""Brings entries to the disk, in order and off the event loop, and says what came of each.

    Append, Append, Settle ... --(what waits, at once)--> a thread: write, sync --> Appended | AppendFailed, JournalSettled

Whatever queued while the disk was at work goes into the next write: one sync for all. It reads nothing and decides nothing.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog

from devices.core.events import Append, Appended, AppendFailed, Event, JournalSettled, Settle
from devices.journal_file import JournalPort
from gatekeeper.model.ids import BootId

__all__ = ["JournalWriter"]

_AGAIN: Final = 1.0

_log = structlog.get_logger("gatekeeper.journal")


class JournalWriter:
    """The way of one gate's entries to its disk; `tell` is called in the event loop."""

    def __init__(self, journal: JournalPort, *, tell: Callable[[Event], None]) -> None:
        self._journal: Final = journal
        self._tell: Final = tell
        self._appends: list[Append] = []
        self._settles: dict[BootId, int] = {}
        self._news: Final = asyncio.Event()
        self._is_failing = False
        # One thread: what is begun is done in order, and before the journal is closed, though nobody waits for it any more.
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def take(self, effect: Append | Settle) -> None:
        """Have it done soon."""
        match effect:
            case Append():
                self._appends.append(effect)
            case Settle(journal=journal, number=number):
                self._settles[journal] = number
        self._news.set()

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._settle()
            await self._append()

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

    async def _do(self, work: Callable[..., None], *arguments: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

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
                self._settles.setdefault(journal, number)
                asyncio.get_running_loop().call_later(_AGAIN, self._news.set)
            else:
                self._tell(JournalSettled(journal, number))

    def _has_failed(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.error("the journal takes nothing", why=error.strerror)
