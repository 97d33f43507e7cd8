"""One touch of a card is one presentation: what is repeated is heard once, and what comes late is nobody's any more. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gatekeeper.model.badges import Card

__all__ = ["LATE", "Asked", "Repeats", "is_of_now"]

LATE: Final = timedelta(seconds=30)
"""How far the clock of a device that dates its events may be from the gate's, or an event behind it."""


def is_of_now(at: datetime, *, now: datetime) -> bool:
    """Whether whoever caused an event may still stand at the door."""
    return abs(now - at) <= LATE


@dataclass(slots=True, kw_only=True)
class Repeats:
    """The card last seen at one reader; within so many seconds it is the same touch."""

    within: float = 1.0
    card: Card | None = None
    since: float = 0.0

    def is_repeat(self, card: Card, *, at: float) -> bool:
        """Whether a card is the one presented just now; a repeat does not prolong the time."""
        if card == self.card and at - self.since < self.within:
            return True
        self.card, self.since = card, at
        return False


@dataclass(slots=True, kw_only=True)
class Asked:
    """The card that a device last asked about: the answer that it tells of within so many seconds is of the same touch, once."""

    within: float
    card: Card | None = None
    since: float = 0.0

    def begin(self, card: Card, *, at: float) -> None:
        """The device asks."""
        self.card, self.since = card, at

    def ends_with(self, card: Card, *, at: float) -> bool:
        """Whether what the device tells of a card is the answer to what it asked."""
        if card != self.card or at - self.since >= self.within:
            return False
        self.card = None
        return True
