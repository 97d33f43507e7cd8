"""What is said seldom though it may happen often: nobody fills the site's log, and what is held back is counted. Pure.

    the first few of a kind                        each at once
    more of them, until the time since the first is over      counted, then said as one
    after that, while there are more               one each such time

What is of another kind (another cause, another door) is said at once. The counts end with the gate's program.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from devices.core.belief import Ignored
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import StatusKind

__all__ = ["OPENINGS", "REFUSALS", "Pace", "Seldom", "Word"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """So many at once within a time, then one each time."""

    most: int
    within: timedelta


REFUSALS: Final = Pace(most=1, within=timedelta(hours=1))
OPENINGS: Final = Pace(most=10, within=timedelta(minutes=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is said: of which kind, of which door, for which cause."""

    kind: StatusKind
    access_point: AccessPointId | None = None
    why: Ignored | None = None


@dataclass(slots=True, kw_only=True)
class _Spell:
    """The time since the first: how many were said at once, how many are held back, and the newest command among those."""

    until: float
    pace: Pace
    said: int
    held: int = 0
    command: bytes | None = None


class Seldom:
    """What one gate said lately. Times are seconds on its monotonic clock."""

    def __init__(self) -> None:
        self._spells: dict[Word, _Spell] = {}

    def take(self, word: Word, *, pace: Pace, at: float, command: bytes | None = None) -> int:
        """Take what happened: for how many it is to be said now, itself among them; 0 when it is held back."""
        spell = self._spells.get(word)
        if spell is None or at >= spell.until:
            held = 0 if spell is None else spell.held
            self._begin(word, pace, at=at, said=pace.most if held else 1)
            return held + 1
        if spell.said < pace.most:
            spell.said += 1
            return 1
        spell.held += 1
        spell.command = command
        return 0

    def over(self, *, at: float) -> list[tuple[Word, bytes | None, int]]:
        """What was held back for long enough: each with the newest command, and for how many it is said."""
        due = [(word, spell) for word, spell in self._spells.items() if spell.held and at >= spell.until]
        for word, spell in due:
            self._begin(word, spell.pace, at=at, said=spell.pace.most)
        return [(word, spell.command, spell.held) for word, spell in due]

    @property
    def next_due(self) -> float | None:
        """When something that is held back is to be said, next."""
        return min((spell.until for spell in self._spells.values() if spell.held), default=None)

    def _begin(self, word: Word, pace: Pace, *, at: float, said: int) -> None:
        self._spells[word] = _Spell(until=at + pace.within.total_seconds(), pace=pace, said=said)
