"""The clock of the simulated day, which runs faster than the wall's; nothing of the protocol goes by it."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import TypeVar

__all__ = ["DayClock", "unless_stopped"]

_T = TypeVar("_T")


class DayClock:
    """Simulated time since midnight of the first day. At speed 0 it does not wait: it is as late as what was done last."""

    def __init__(self, *, speed: float, begins: timedelta, stop: asyncio.Event) -> None:
        self._speed = speed
        self._begins = begins
        self._since = monotonic()
        self._latest = begins
        self._over = False
        self._stop = stop

    @property
    def waits(self) -> bool:
        """Whether time passes by itself."""
        return self._speed > 0

    @property
    def now(self) -> timedelta:
        """What time it is there."""
        if self._over or not self.waits:
            return self._latest
        elapsed = monotonic() - self._since
        return self._begins + timedelta(seconds=elapsed * self._speed)

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def end(self) -> None:
        """Stay at this time."""
        self._latest, self._over = self.now, True

    async def until(self, at: timedelta) -> None:
        """Wait for a time, or until told to stop."""
        if self.waits:
            await self.passed(at - self.now)
        await asyncio.sleep(0)  # gates go on, however much was to be done at this time
        self._latest = max(self._latest, at)

    async def passed(self, lasting: timedelta) -> None:
        """Let so much of the simulated day pass, or wait until told to stop."""
        if self.waits:
            await self.really((lasting / self._speed).total_seconds())
        else:
            await asyncio.sleep(0)

    async def really(self, seconds: float) -> None:
        """Wait by the wall's clock, or until told to stop."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stop.wait()

    async def unless_stopped(self, waiting: Awaitable[_T]) -> _T | None:
        """What is awaited, or None when told to stop before."""
        return await unless_stopped(waiting, self._stop)


async def unless_stopped(waiting: Awaitable[_T], stop: asyncio.Event) -> _T | None:
    """What is awaited, or None when told to stop before."""
    task, stopping = asyncio.ensure_future(waiting), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        stopping.cancel()
