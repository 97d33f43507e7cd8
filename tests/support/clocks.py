"""Where a service runs, which must not matter: the machine's own time zone, for as long as a test needs it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["FAR_FROM_GREENWICH", "running_in"]

FAR_FROM_GREENWICH = ("WEST+12", "EAST-14")
"""Time zones (POSIX) in which the day is another one than in UTC, at some hour or other."""


@contextmanager
def running_in(zone: str) -> Iterator[None]:
    """Let this process be in a time zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()
