"""Insisting: what the database did not answer is asked again, with growing pauses, until it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gatekeeper.observe.health import Health
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import LedgerUnavailableError

__all__ = ["insist"]

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


async def insist(attempt: Callable[[], Awaitable[None]], *, health: Health) -> None:
    """Repeat an attempt for as long as it raises LedgerUnavailableError; what else it raises is the caller's."""
    pause = _FIRST_PAUSE
    while True:
        try:
            await attempt()
        except LedgerUnavailableError:
            health.database_is_away()
            metrics.commit_retries.inc()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            health.database_answered()
            return
