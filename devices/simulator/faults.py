"""Faults on order: what happens to messages between gates and broker, to clocks, and to power. Pure, from a seed.

    loss=1%          a message is lost
    delay=200ms      each message is late, by up to so much
    repeat=2%        a message arrives again, up to three seconds later
    reorder=1%       a message arrives after the next one
    forge=0.5%       somebody who has the broker sends a false one beside it: upward one that was altered or signed by a
                     stranger; downward one that was altered, or a grant by a stranger for the scan that is being asked
    skew=1h          each gate's wall clock is wrong, by up to so much either way
    power-cut=2/h    each gate loses its power so often in an hour of the simulated day, and starts again

Each holds for both directions. What a fault is done with is elsewhere (`faulty_link`); here is only which, and when.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final

from gatekeeper.model.ids import GateId

__all__ = ["NO_FAULTS", "Fate", "Faults", "FaultsError", "fate", "power_cuts", "skew_of"]

_CHANCE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h|d)")
_RATE: Final = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)/(m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_DELAY: Final = timedelta(minutes=1)
_REPEATED_WITHIN: Final = timedelta(seconds=3)
_HOUR: Final = timedelta(hours=1)


class FaultsError(ValueError):
    """The faults cannot be read; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often, and how much. Chances are of 0 to 1, power cuts are of each gate in a simulated hour."""

    loss: float = 0.0
    delay: timedelta = timedelta()
    repeat: float = 0.0
    reorder: float = 0.0
    forge: float = 0.0
    skew: timedelta = timedelta()
    power_cut: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read `loss=1%,delay=200ms,...`. Raises FaultsError."""
        found: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            if name not in _READERS:
                raise FaultsError(f"{name!r} is no fault; the faults are {', '.join(_READERS)}.")
            field = name.replace("-", "_")
            if field in found:
                raise FaultsError(f"{name} is said twice.")
            found[field] = _READERS[name](name, value)
        return cls(**found)

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def _chance(name: str, value: str) -> float:
    read = _CHANCE.fullmatch(value)
    if read is None or float(read[1]) > 100:
        raise FaultsError(f"{name} is a chance, as in {name}=1% (0% to 100%).")
    return float(read[1]) / 100


def _duration(name: str, value: str) -> timedelta:
    read = _DURATION.fullmatch(value)
    if read is None:
        raise FaultsError(f"{name} is a time, as in {name}=200ms (ms, s, m, h or d).")
    lasting = timedelta(seconds=float(read[1]) * _SECONDS[read[2]])
    if name == "delay" and lasting > _LONGEST_DELAY:
        raise FaultsError("delay is a minute at most: nothing waits longer for a message.")
    return lasting


def _rate(name: str, value: str) -> float:
    read = _RATE.fullmatch(value)
    if read is None:
        raise FaultsError(f"{name} is so many times in a while, as in {name}=2/h (m, h or d).")
    return float(read[1]) * 3600 / _SECONDS[read[2]]


_READERS: Final[Mapping[str, Callable[[str, str], float | timedelta]]] = {
    "loss": _chance,
    "delay": _duration,
    "repeat": _chance,
    "reorder": _chance,
    "forge": _chance,
    "skew": _duration,
    "power-cut": _rate,
}
NO_FAULTS: Final = Faults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one message. `again` is how long after it the same one comes once more."""

    lost: bool
    late: timedelta
    again: timedelta | None
    behind_next: bool
    forged: bool


def fate(faults: Faults, drawing: random.Random) -> Fate:
    """Draw what becomes of the next message; as many numbers are drawn whatever comes of them."""
    loss, late, repeat, after, reorder, forge = (drawing.random() for _ in range(6))
    return Fate(
        lost=loss < faults.loss,
        late=late * faults.delay,
        again=after * _REPEATED_WITHIN if repeat < faults.repeat else None,
        behind_next=reorder < faults.reorder,
        forged=forge < faults.forge,
    )


def skew_of(gate: GateId, faults: Faults, *, seed: int) -> timedelta:
    """How much a gate's wall clock is ahead; negative when it is behind."""
    drawing = random.Random(f"{seed}/skew/{gate}")  # noqa: S311 - plausible faults, not secrets
    return drawing.uniform(-1, 1) * faults.skew


def power_cuts(
    gates: Sequence[GateId], faults: Faults, *, seed: int, day: int
) -> Iterator[tuple[timedelta, GateId]]:
    """When which gate loses its power on a day, in order."""
    found = []
    for gate in gates if faults.power_cut else ():
        drawing = random.Random(f"{seed}/{day}/power/{gate}")  # noqa: S311 - plausible faults, not secrets
        at = drawing.expovariate(faults.power_cut) * _HOUR
        while at < 24 * _HOUR:
            found.append((at, gate))
            at += drawing.expovariate(faults.power_cut) * _HOUR
    yield from sorted(found)
