"""Waiting for what comes true by itself in another process: bounded, and over as soon as it is true."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["eventually", "found"]

_T = TypeVar("_T")


async def eventually(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait until `condition` is true; TimeoutError when it is not in time."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.01)


async def found(ask: Callable[[], Awaitable[_T | None]], *, within: float = 10.0) -> _T:
    """Ask until there is an answer; TimeoutError when there is none in time."""
    async with asyncio.timeout(within):
        while (answer := await ask()) is None:  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.01)
        return answer
