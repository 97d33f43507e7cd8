"""Plausible days: where a person goes, for how long, from a routine and a seed. Pure, and the same for the same seed.

A day is a list of stays. Most people go home-zone, mess, home-zone, and out; a few try a door that is not theirs, and a
few change their mind in front of an open one.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gatekeeper.model.ids import HolderId, ZoneId

__all__ = ["HESITATION", "TRESPASS", "Stay", "stays"]

HESITATION = 0.02
"""How often somebody does not walk through a door that opened."""
TRESPASS = 0.05
"""How often somebody tries a zone that is not on their way."""

_MESS = ZoneId("mess")
_MINUTES = {
    "day-shift": (40, 180),
    "early-shift": (40, 180),
    "late-shift": (40, 180),
    "student": (20, 90),
    "evening": (30, 120),
    "guard": (5, 30),
    "visitor": (15, 60),
}


@dataclass(frozen=True, slots=True)
class Stay:
    """Somewhere to be, and for how long (in simulated time)."""

    zone: ZoneId
    lasting: timedelta


def stays(
    *, holder: HolderId, routine: str, home: ZoneId, outside: ZoneId, zones: Sequence[ZoneId], seed: int
) -> Iterator[Stay]:
    """One person's stays, day after day, without end. The first is outside: people arrive one after another."""
    drawing = random.Random(f"{seed}/{holder}")  # noqa: S311 - plausible people, not secrets
    shortest, longest = _MINUTES.get(routine, (30, 120))
    yield Stay(outside, timedelta(minutes=drawing.uniform(0, 20)))
    while True:
        yield Stay(home, timedelta(minutes=drawing.uniform(shortest, longest)))
        if drawing.random() < TRESPASS:
            yield Stay(drawing.choice(zones), timedelta(minutes=drawing.uniform(1, 5)))
        if _MESS in zones and drawing.random() < 0.5:
            yield Stay(_MESS, timedelta(minutes=drawing.uniform(10, 40)))
            yield Stay(home, timedelta(minutes=drawing.uniform(shortest, longest)))
        yield Stay(outside, timedelta(minutes=drawing.uniform(5, 60)))
