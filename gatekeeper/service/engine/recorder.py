"""The recorder: an engine's one way into its log. Batches are sealed in order and committed one after the other.

While one batch is on its way to the disk, the next can be sealed upon it: the sealing then costs no time of its own.
What was sealed so is committed only when the batch before it is in the log.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gatekeeper.core.audit import Draft
from gatekeeper.core.flow import Recorded
from gatekeeper.core.writes import Writes
from gatekeeper.model.ids import SiteId
from gatekeeper.observe.health import Health
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Batch, Doomed, Ledger
from gatekeeper.service.engine.insistence import insist
from gatekeeper.service.engine.sealing import Sealed, Sealer

__all__ = ["Contents", "Recorder"]

_AT_FIRST, _AT_MOST = 4, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one commit is to hold, before it is sealed."""

    drafts: Sequence[Draft]
    recorded: Sequence[Recorded] = ()
    writes: Writes = field(default_factory=Writes)
    doomed: Doomed | None = None


class Recorder:
    """Writes the log of one site under one epoch; used by one task at a time.

    `start` starts the commits that go on while the next batch is sealed: a group of tasks ends them with itself.
    """

    def __init__(
        self,
        site: SiteId,
        *,
        epoch: int,
        sealer: Sealer,
        ledger: Ledger,
        health: Health,
        start: Callable[[Coroutine[None, None, None]], asyncio.Task[None]] = asyncio.create_task,
    ) -> None:
        self.sealer = sealer
        self.grown = asyncio.Event()
        """Set at every commit; whoever waits for it clears it."""
        self.newest_at: datetime
        """When the newest entry was made."""
        self._site = site
        self._epoch = epoch
        self._ledger = ledger
        self._health = health
        self._start = start
        self._next_commit = asyncio.Event()
        self._under_way: asyncio.Task[None] | None = None
        self._ahead: Sealed | None = None

    async def commit(self, contents: Contents) -> None:
        """Seal and commit, however long the database takes to answer; what this returned from is in the log.

        Raises SiteLostError and DeletionOutdatedError.
        """
        await self.settled()
        sealed = self.sealer.seal(contents.drafts)
        await self._commit(sealed, _batch_of(sealed, contents))

    async def begin(self, contents: Contents) -> asyncio.Task[None]:
        """Seal a batch, wait until the one before it is in the log, begin to commit; give what ends when that is done.

        Raises SiteLostError. What deletes is committed, never begun: it may be refused, and nothing may be sealed upon it.
        """
        # What was sealed last may be in the log by now: then these are the log's trees.
        sealing = self.sealer.begin(after=self._ahead)
        drafts, many = contents.drafts, _AT_FIRST
        while drafts:
            # The batch before is longer than a socket takes at once: the rest of it leaves when the loop turns, early on.
            await asyncio.sleep(0)
            sealing.add(drafts[:many])
            drafts, many = drafts[many:], min(2 * many, _AT_MOST)
        sealed = sealing.done()
        batch = _batch_of(sealed, contents)
        await self.settled()
        self._ahead = sealed
        self._under_way = self._start(self._commit(sealed, batch))
        return self._under_way

    async def beyond(self, size: int) -> int:
        """Wait until the log holds more than so many entries, for certain; how many it holds."""
        while self.sealer.size <= size:
            await self._next_commit.wait()
        return self.sealer.size

    async def settled(self) -> None:
        """Wait until nothing is on its way to the log. Raises SiteLostError."""
        if self._under_way is not None:
            await self._under_way
            self._under_way = self._ahead = None

    async def _commit(self, sealed: Sealed, batch: Batch) -> None:
        begun = time.perf_counter()
        await insist(
            lambda: self._ledger.commit(self._site, epoch=self._epoch, batch=batch), health=self._health
        )
        metrics.commit_seconds.observe(time.perf_counter() - begun)
        self.sealer.accept(sealed)
        metrics.commits.inc()
        metrics.entries.inc(len(sealed.entries))
        metrics.log_size.set(self.sealer.size)
        if sealed.entries:
            self.newest_at = sealed.entries[-1].at
        self.grown.set()
        committed, self._next_commit = self._next_commit, asyncio.Event()
        committed.set()


def _batch_of(sealed: Sealed, contents: Contents) -> Batch:
    recorded = contents.recorded
    moved = {presence.holder: presence for one in recorded for presence in one.moved}
    return Batch(
        entries=sealed.entries,
        tiles=sealed.tiles,
        heads=sealed.heads,
        moved=list(moved.values()),
        usage=dict(one for each in recorded for one in each.remembered.usage),
        opened=dict(one for each in recorded for one in each.remembered.opened),
        receipts=[one.receipt for one in recorded if not one.settles],
        settled=[one.receipt for one in recorded if one.settles],
        writes=contents.writes,
        doomed=contents.doomed,
    )
