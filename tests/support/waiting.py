"""Waiting for what comes true by itself in another process: bounded, and over as soon as it is true."""

import asyncio
from collections.abc import Callable

__all__ = ["eventually"]


async def eventually(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait until `condition` is true; TimeoutError when it is not in time."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.01)
