"""Time stamps of checkpoints (RFC 3161): an authority that is none of ours says that the log stood so, and not later than then.

    a checkpoint is signed -> its turn comes -> SHA-256 of the note's text goes to the authority -> the reply is kept

Each tree that has grown since its last stamp gets one, of its newest checkpoint, every `every`. An authority that does not answer is
asked again, ever more rarely. Nothing waits for it: the log grows and doors open as if there were none.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from gatekeeper.model.ids import SiteId
from gatekeeper.model.trees import SITE_TREE
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import (
    Clock,
    Ledger,
    LedgerUnavailableError,
    TimestampAuthority,
    TimestampUnavailableError,
)
from gatekeeper.transparency import Refused, parse_note

__all__ = ["Stamper"]

_RETRY_FIRST: Final = timedelta(seconds=10)

_log = structlog.get_logger("gatekeeper.timestamps")


class Stamper:
    """Has the checkpoints of one site stamped."""

    def __init__(
        self, *, site: SiteId, authority: TimestampAuthority, ledger: Ledger, clock: Clock, every: timedelta
    ) -> None:
        self._site = site
        self._authority = authority
        self._ledger = ledger
        self._clock = clock
        self._every = every

        # What was signed, and what is stamped of it.
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._stamped: dict[str, int] = {}
        self._due: datetime | None = None
        self._signed = asyncio.Event()

    def signed(self, tree: str, size: int, note: bytes) -> None:
        """A checkpoint of a tree was signed and kept."""
        self._newest[tree] = (size, note)
        self._signed.set()

    async def run(self) -> None:
        """Stamp until cancelled."""
        pause = _RETRY_FIRST
        while True:
            try:
                await self.round()
            except (TimestampUnavailableError, LedgerUnavailableError) as error:
                metrics.timestamp("failed").inc()
                _log.warning("no time stamp", site=self._site, why=str(error), again=pause.total_seconds())
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, max(self._every, _RETRY_FIRST))
            else:
                pause = _RETRY_FIRST

    async def round(self) -> None:
        """Wait until something is signed and its turn comes, and have all that has grown stamped."""
        if self._due is None:
            await self._recall()
        await self._signed.wait()
        await asyncio.sleep(self.until_due.total_seconds())
        # Cleared first: what is signed while others are stamped has its turn too, though nothing may come after it.
        self._signed.clear()
        try:
            await self._stamp_grown()
        except BaseException:
            self._signed.set()
            raise
        self._due = self._clock.now() + self._every

    @property
    def until_due(self) -> timedelta:
        """How long it is until the next turn."""
        if self._due is None:
            return timedelta()
        return max(self._due - self._clock.now(), timedelta())

    async def _recall(self) -> None:
        """Take up where a former engine ended: a process that starts again and again asks no oftener for it."""
        known = await self._ledger.timestamped(self._site)
        self._stamped = {tree: size for tree, (size, _) in known.items()}
        last = max((at for _, at in known.values()), default=None)
        self._due = self._clock.now() if last is None else last + self._every

    async def _stamp_grown(self) -> None:
        for tree, (size, note) in tuple(self._newest.items()):
            if size <= self._stamped.get(tree, 0):
                continue
            reply = await self._authority.stamp(_text_of(note))
            await self._ledger.keep_timestamp(
                self._site, tree=tree, size=size, reply=reply, at=self._clock.now()
            )
            self._stamped[tree] = size
            metrics.timestamp("kept").inc()
            if tree == SITE_TREE:
                metrics.timestamped_size.set(size)


def _text_of(note: bytes) -> bytes:
    """What a note's signatures are over, and its time stamp."""
    parsed = parse_note(note)
    if isinstance(parsed, Refused):
        raise ValueError(parsed.code.sentence)  # noqa: TRY004 - it was signed a moment ago, and is none of the caller's types
    return parsed.text.encode()
