"""Expiry: once an hour, what is over its period is looked for and let go, a batch at a time between the scans.

It only looks, beside the way of a scan; letting go is the second stage's, which writes the entry that says so. A batch is small
and there is a pause behind it, so that no scan waits for more than one. What the database does not answer waits an hour.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from gatekeeper.core.retention import Due, due_now
from gatekeeper.model.ids import SiteId
from gatekeeper.model.policy import Policy
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, Doomed, Ledger, LedgerUnavailableError

__all__ = ["MAX_DOOMED", "Expiry", "Found", "Grounds"]

MAX_DOOMED = 1000
_EVERY = 3600.0
_PAUSE = 0.05

_log = structlog.get_logger("gatekeeper.engine")


@dataclass(frozen=True, slots=True)
class Grounds:
    """By what it is told what may go: the policy, and what is under a hold."""

    policy: Policy
    holds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A batch that is due, and by what that was told: by anything else it is not let go."""

    doomed: Doomed
    grounds: Grounds


class Expiry:
    """Looks for what is due on one site; `let_go` commits a batch, or says that it did not."""

    def __init__(
        self,
        *,
        site: SiteId,
        ledger: Ledger,
        clock: Clock,
        grounds: Callable[[], Grounds],
        let_go: Callable[[Found], Awaitable[bool]],
    ) -> None:
        self._site, self._ledger, self._clock = site, ledger, clock
        self._grounds, self._let_go = grounds, let_go

    async def run(self) -> None:
        """Sweep once an hour, for ever."""
        while True:
            try:
                await self.sweep()
            except LedgerUnavailableError as error:
                _log.warning("not expired", why=str(error))
            await asyncio.sleep(_EVERY)

    async def sweep(self) -> None:
        """Let go all that is due now, and drop the months that are empty then."""
        grounds, now = self._grounds(), self._clock.now()
        for due in due_now(grounds.policy, holds=grounds.holds, now=now):
            if not await self._exhaust(due, grounds):
                return
        for month in await self._ledger.drop_months(before=now):
            _log.info("month dropped", month=month)

    async def _exhaust(self, due: Due, grounds: Grounds) -> bool:
        """Let go all of one kind; False when a batch was not let go, for what is due has changed then."""
        since = 0
        while True:
            doomed = await self._ledger.doomed(self._site, due, since=since, most=MAX_DOOMED)
            if doomed is None:
                return True
            if not await self._let_go(Found(doomed, grounds)):
                return False
            metrics.expired(due.kind.value).inc(doomed.expired.count)
            since = doomed.rows[0] + 1
            await asyncio.sleep(_PAUSE)
