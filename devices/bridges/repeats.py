"""One touch of a card is one presentation: what is repeated is heard once, and what comes late is nobody's any more. Pure.

INVARIANT: no message silences a later one by its time, however false that is: a time binds what follows no further than now,
and that a door is open, or a housing, is heard whatever the time of the word.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from gatekeeper.model.badges import Card

__all__ = ["LATE", "LONG_AGO", "Echoes", "Newest", "Question", "Repeats", "is_of_now"]

LATE: Final = timedelta(seconds=30)
"""How far the clock of a device that dates its events may be from the gate's, or an event behind it."""
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


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
        if card == self.card and abs(at - self.since) < self.within:
            return True
        self.card, self.since = card, at
        return False


@dataclass(slots=True, kw_only=True)
class Question:
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


@dataclass(slots=True)
class Newest:
    """The newest word on how one thing is: whether a door is open, say."""

    at: datetime = LONG_AGO

    def take(self, at: datetime, *, alarming: bool, now: datetime) -> bool:
        """Whether a word counts: one that alarms always, one that calms unless it is older than the newest, or of the future."""
        if not alarming and (at < self.at or at > now + LATE):
            return False
        self.at = min(at, now)
        return True


@dataclass(slots=True, kw_only=True)
class Echoes:
    """The openings that a device was told to do: what it tells of each, within so many seconds, is ours, once."""

    within: float
    told: deque[float] = field(default_factory=lambda: deque(maxlen=64))

    def expect(self, *, at: float) -> None:
        """The device is told to open."""
        self.told.append(at)

    def is_ours(self, *, at: float) -> bool:
        """Whether an opening that the device tells of is one that it was told to do."""
        while self.told and at - self.told[0] >= self.within:
            self.told.popleft()
        if not self.told:
            return False
        self.told.popleft()
        return True
