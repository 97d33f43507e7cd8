"""One touch of a card is one presentation: readers that repeat themselves are heard once. Pure."""

from dataclasses import dataclass
from typing import Final

from gatekeeper.model.badges import Card

__all__ = ["Repeats"]

_WITHIN: Final = 1.0


@dataclass(slots=True)
class Repeats:
    """The card last seen at one reader."""

    card: Card | None = None
    since: float = 0.0

    def is_repeat(self, card: Card, *, at: float) -> bool:
        """Whether a card is the one presented within the last second; a repeat does not prolong that second."""
        if card == self.card and at - self.since < _WITHIN:
            return True
        self.card, self.since = card, at
        return False
