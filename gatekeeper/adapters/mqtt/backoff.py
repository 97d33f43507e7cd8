"""How long to stay away from a broker before the next attempt.

Full jitter: a uniform share of a limit that doubles, so that a thousand sessions that lost the same broker do not
come back as one. After an eviction another session with our name is at work and may have every right to be, so we keep a
real distance instead of fighting. Not every broker tells (Mosquitto 2.0.11 just hangs up): then the limit goes on
doubling, because a link that did not last settles nothing. It does not sleep and reads no clock.
"""

import random
from collections.abc import Callable
from datetime import timedelta

__all__ = ["BackOff"]

FIRST = 0.1


class BackOff:
    """The pauses between attempts, in seconds."""

    def __init__(self, *, cap: timedelta, share: Callable[[], float] = random.random) -> None:
        self._cap = cap.total_seconds()
        self._share = share
        self._attempts = 0

    def pause(self) -> float:
        """Return the pause before the next attempt to reach the broker."""
        limit = min(self._cap, FIRST * (1 << min(self._attempts, 16)))
        self._attempts += 1
        return self._share() * limit

    def distance(self) -> float:
        """Return the pause after another session took our place: once to twice the cap."""
        return self._cap * (1 + self._share())

    def settle(self) -> None:
        """Begin anew, because a link has lasted."""
        self._attempts = 0
