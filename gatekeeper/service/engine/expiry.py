"""Expiry: once an hour, what is over its period is looked for and let go, a batch at a time between the scans.

It only looks, beside the way of a scan; letting go is the second stage's, which writes the entry that says so. A batch is small
and there is a pause behind it, so that no scan waits for more than one. What the database does not answer waits an hour.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from gatekeeper.core.register import Register
from gatekeeper.core.retention import Due, due_now, expired_registrations, has_ended
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.model.policy import Policy
from gatekeeper.model.retention import Kept
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, Doomed, Ledger, LedgerUnavailableError

__all__ = ["MAX_DOOMED", "MAX_ENDED", "Expiry", "Found", "Grounds"]

MAX_DOOMED = 1000
MAX_ENDED = 10
"""Of registrations fewer: each is taken out of every index of the register."""
_LOOKED_AT = 100
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
        register: Callable[[], Register],
        let_go: Callable[[Found], Awaitable[bool]],
    ) -> None:
        self._site, self._ledger, self._clock = site, ledger, clock
        self._grounds, self._register, self._let_go = grounds, register, let_go

    async def run(self) -> None:
        """Sweep once an hour, for ever."""
        while True:
            await self.attempt()
            await asyncio.sleep(_EVERY)

    async def attempt(self) -> None:
        """Sweep, or say why that cannot be done now."""
        try:
            await self.sweep()
        except LedgerUnavailableError as error:
            _log.warning("not expired", why=str(error))

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
        found = self._registrations(due) if due.kind in {Kept.PEOPLE, Kept.VISITORS} else self._rows(due)
        async for doomed in found:
            if not await self._let_go(Found(doomed, grounds)):
                return False
            metrics.expired(due.kind.value).inc(doomed.expired.count)
            await asyncio.sleep(_PAUSE)
        return True

    async def _rows(self, due: Due) -> AsyncIterator[Doomed]:
        since = 0
        while (
            doomed := await self._ledger.doomed(self._site, due, since=since, most=MAX_DOOMED)
        ) is not None:
            yield doomed
            since = doomed.rows[0] + 1

    async def _registrations(self, due: Due) -> AsyncIterator[Doomed]:
        """Registrations that have ended, by tenant. They are looked through as they are read, and not believed for it."""
        found: dict[TenantId, dict[HolderId, bytes]] = {}
        for number, (record, tenant) in enumerate(self._register().holders()):
            if number % _LOOKED_AT == 0:
                await asyncio.sleep(0)
            if has_ended(record, tenant, due):
                batch = found.setdefault(tenant, {})
                batch[record.id] = hashlib.sha256(record.document).digest()
                if len(batch) == MAX_ENDED:
                    yield _ended(due, tenant, found.pop(tenant))
        for tenant, batch in found.items():
            yield _ended(due, tenant, batch)


def _ended(due: Due, tenant: TenantId, registrations: Mapping[HolderId, bytes]) -> Doomed:
    return Doomed(
        expired=expired_registrations(due, tenant, registrations.values()),
        rows=(),
        since=due.before,
        until=due.before,
        registrations=registrations,
    )
