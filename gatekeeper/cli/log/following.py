"""Following the log as it grows, over a database that goes and returns; and waiting, longer each time, for what is away."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import TypeVar

from gatekeeper.adapters.postgres import PostgresReading, connect, told_as_unavailable
from gatekeeper.cli.talk import say
from gatekeeper.config import SettingError
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import LedgerUnavailableError

__all__ = ["Away", "cursor_at", "followed", "log_size"]

_T = TypeVar("_T")

_LOOK_EVERY_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0


async def log_size(dsn: str, site: SiteId, since: int | None) -> int:
    """How many entries there are. Raises SettingError when the database does not hold the site, or not so many."""
    async with PostgresReading.opened(dsn) as reading:
        if site not in await reading.sites():
            raise SettingError(f"The database holds no site {site}.")
        size = await reading.size(site)
    if since is not None and since > size:
        raise SettingError(f"The log of {site} ends before entry {size}: {since} is beyond it.")
    return size


async def cursor_at(dsn: str, site: SiteId, since: int | None) -> int:
    """Where to begin: at an entry, or at what comes next. Raises as `log_size` does."""
    size = await log_size(dsn, site, since)
    return size if since is None else since


async def followed(
    dsn: str,
    *,
    since: int,
    stop: asyncio.Event,
    look: Callable[[PostgresReading, int], AsyncIterator[tuple[int, _T]]],
) -> AsyncGenerator[tuple[int, _T], None]:
    """What `look` finds from a cursor on, each with the cursor behind it; again whenever the log has grown, until `stop`.

    A database that is away is waited for, and told of.
    """
    cursor, grown, away = since, asyncio.Event(), Away("The database")
    while not stop.is_set():
        try:
            async with PostgresReading.opened(dsn) as reading:
                with told_as_unavailable():
                    listening = await connect(dsn)
                try:
                    with told_as_unavailable():
                        await listening.add_listener("gatekeeper_entry", lambda *_: grown.set())
                    while not stop.is_set():
                        grown.clear()
                        async for behind, found in look(reading, cursor):
                            cursor = behind
                            yield behind, found
                        away.over()
                        await _either(grown, stop)
                finally:
                    listening.terminate()
        except LedgerUnavailableError as error:
            await away.wait(error, stop)


class Away:
    """Waits for what is away, longer each time, and tells of it once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._pause = _FIRST_PAUSE
        self._told = False

    async def wait(self, error: Exception, stop: asyncio.Event) -> None:
        """Tell of it, and wait before the next attempt, or until `stop`."""
        if not self._told:
            say(f"{error} Waiting for it; Ctrl-C ends.")
            self._told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await stop.wait()
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def over(self) -> None:
        """It is there."""
        if self._told:
            say(f"{self._what} is back.")
        self._pause, self._told = _FIRST_PAUSE, False


async def _either(grown: asyncio.Event, stop: asyncio.Event) -> None:
    """Wait for news or for the end, a second at the most: a notification may be lost with its connection."""
    waits = [asyncio.ensure_future(grown.wait()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, timeout=_LOOK_EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
