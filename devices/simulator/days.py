"""Plausible days: where a person means to be, and when, from a routine and a seed. Pure, and the same for the same seed.

A day is a list of steps, each a zone to go to at a time; between them one stays. It begins and ends outside. Times count
from midnight of the simulated day and may pass 24 hours: who keeps the watch at night leaves in the morning.

    07:00 15:00 23:00  the guard changes            12:00 lunch            18:30  reservists' evening, sports clubs
    07:05 - 09:00      offices and school fill      13:00 the exercise     15:20  evacuation, when there is one
    10:00              visitors, received at the gate by their host

How people go through a door is drawn door by door (`manner`): nearly all as they should. Nothing here knows whether a
door will open: that is asked at the door.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from gatekeeper.model.ids import HolderId, ZoneId

__all__ = [
    "Day",
    "Errand",
    "Ground",
    "Habits",
    "Inhabitant",
    "Manner",
    "Step",
    "day_of",
    "evacuated",
    "manner",
]


class Errand(StrEnum):
    """What somebody goes somewhere for."""

    WORK = "work"
    WATCH = "watch"
    MEAL = "meal"
    VISIT = "visit"
    RECEIVE = "receive"
    EXERCISE = "exercise"
    TRAINING = "training"
    TRESPASS = "trespass"
    LEAVE = "leave"
    EVACUATE = "evacuate"


class Manner(StrEnum):
    """How somebody goes through a door."""

    PROPERLY = "properly"
    WALKS_AWAY = "walks-away"
    TWICE = "twice"
    FOLLOWS = "follows"
    HOLDS_OPEN = "holds-open"
    FORCES = "forces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How often people do what they should not: of a door each, `trespasses` and `forgets` of a day.

    Who `follows` goes through behind another without presenting a badge; who `forgets` leaves the ground so.
    """

    walks_away: float = 0.003
    twice: float = 0.003
    follows: float = 0.003
    holds_open: float = 0.0005
    forces: float = 0.0002
    trespasses: float = 0.05
    forgets: float = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhabitant:
    """What of a person makes their day."""

    holder: HolderId
    routine: str
    home: ZoneId
    is_reservist: bool = False
    host: HolderId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What of a site makes a day: its zones, and what goes on there.

    `receptions` says where a host meets who comes for a home zone; `guests` are on the list of the event in `exercise`.
    """

    outside: ZoneId
    zones: tuple[ZoneId, ...]
    mess: ZoneId | None = None
    training: ZoneId | None = None
    exercise: ZoneId | None = None
    guests: frozenset[HolderId] = frozenset()
    hosts: frozenset[HolderId] = frozenset()
    receptions: Mapping[ZoneId, ZoneId] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Step:
    """Where somebody goes at a time of the simulated day, and for what."""

    at: timedelta
    zone: ZoneId
    errand: Errand


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One person's day. INVARIANT: times rise strictly, zones change with each step, and the last is outside."""

    steps: tuple[Step, ...]
    forgets: bool

    def step_at(self, at: timedelta) -> Step | None:
        """The step that somebody is on at a time; None before the first, outside."""
        return next((step for step in reversed(self.steps) if step.at <= at), None)


_Wish: TypeAlias = tuple[float, ZoneId, Errand]
"""Minutes since midnight, and what a step is made of."""

_WATCHES: Final = ((405, 915), (885, 1395), (1365, 1875))


def day_of(person: Inhabitant, ground: Ground, *, seed: int, day: int, habits: Habits | None = None) -> Day:
    """What one person means to do on one day (0, 1, ...), whoever else lives there."""
    drawing = random.Random(f"{seed}/{day}/{person.holder}")  # noqa: S311 - plausible people, not secrets
    habits = habits or Habits()
    wishes = list(_wishes(person, ground, drawing, f"{seed}/{day}"))
    if drawing.random() < habits.trespasses:
        wishes += _trespass(wishes, ground, drawing)
    return Day(steps=_rising(wishes, ground.outside), forgets=drawing.random() < habits.forgets)


def evacuated(day: Day, *, outside: ZoneId, since: timedelta, until: timedelta) -> Day:
    """The same day with an evacuation: whoever is in leaves, nobody comes in, and each goes on where they would be."""
    here, then = day.step_at(since), day.step_at(until)
    before = [step for step in day.steps if step.at < since]
    after = [step for step in day.steps if step.at > until]
    between: list[Step] = []
    if here is not None and here.zone != outside:
        between.append(Step(since, outside, Errand.EVACUATE))
    if then is not None and then.zone != outside:
        between.append(replace(then, at=until))
    return replace(day, steps=_changing([*before, *between, *after], outside))


def manner(holder: HolderId, *, seed: int, day: int, door: int, habits: Habits | None = None) -> Manner:
    """How somebody goes through the nth door of their day."""
    left = random.Random(f"{seed}/{day}/{holder}/{door}").random()  # noqa: S311 - plausible people, not secrets
    habits = habits or Habits()
    for often, how in (
        (habits.walks_away, Manner.WALKS_AWAY),
        (habits.twice, Manner.TWICE),
        (habits.follows, Manner.FOLLOWS),
        (habits.holds_open, Manner.HOLDS_OPEN),
        (habits.forces, Manner.FORCES),
    ):
        left -= often
        if left < 0:
            return how
    return Manner.PROPERLY


# -- routines ---------------------------------------------------------------------------------------------------------


def _wishes(person: Inhabitant, ground: Ground, drawing: random.Random, key: str) -> Iterator[_Wish]:
    match person.routine:
        case "guard":
            yield from _guard(person, ground, drawing)
        case "visitor":
            yield from _visitor(person, ground, drawing, key)
        case "evening":
            yield from _evening(person, ground, drawing)
        case "student":
            yield from _shift(person, ground, drawing, come=(485, 525), eat=735, go=(930, 1035))
        case "early-shift":
            yield from _shift(person, ground, drawing, come=(340, 370), eat=690, go=(865, 885))
        case "late-shift":
            come = (740, 770) if person.home == ground.exercise else (805, 835)
            yield from _shift(person, ground, drawing, come=come, eat=1080, go=(1305, 1335))
        case _:
            yield from _shift(person, ground, drawing, come=(425, 540), eat=725, go=(985, 1065))
    if person.holder in ground.hosts:
        yield from _receiving(person, ground, key)


def _shift(
    person: Inhabitant,
    ground: Ground,
    drawing: random.Random,
    *,
    come: tuple[float, float],
    eat: float,
    go: tuple[float, float],
) -> Iterator[_Wish]:
    yield drawing.triangular(*come), person.home, Errand.WORK
    if ground.mess not in (None, person.home) and drawing.random() < 0.6:
        begin = eat + drawing.uniform(-20, 40)
        yield from _meal(person, ground, begin, drawing.uniform(20, 35))
    yield drawing.triangular(*go), ground.outside, Errand.LEAVE


def _meal(person: Inhabitant, ground: Ground, begin: float, lasting: float) -> Iterator[_Wish]:
    if ground.mess is not None:
        yield begin, ground.mess, Errand.MEAL
        yield begin + lasting, person.home, Errand.WORK


def _guard(person: Inhabitant, ground: Ground, drawing: random.Random) -> Iterator[_Wish]:
    """One of three watches, for good; whoever comes is there before whoever goes leaves."""
    turn = random.Random(f"watch/{person.holder}").randrange(len(_WATCHES))  # noqa: S311 - as above
    begin, end = _WATCHES[turn]
    yield begin + drawing.uniform(0, 12), person.home, Errand.WATCH
    post = ground.receptions.get(person.home, ground.outside)
    for round_at in (begin + 150, begin + 330):
        if post not in (ground.outside, person.home):
            out = round_at + drawing.uniform(-30, 30)
            yield out, post, Errand.WATCH
            yield out + drawing.uniform(10, 30), person.home, Errand.WATCH
    yield end - drawing.uniform(0, 12), ground.outside, Errand.LEAVE


def _visit_at(host: HolderId | None, key: str) -> float:
    """When who is received by one host comes: together."""
    return random.Random(f"{key}/visit/{host}").uniform(570, 630)  # noqa: S311 - as above


def _visitor(person: Inhabitant, ground: Ground, drawing: random.Random, key: str) -> Iterator[_Wish]:
    begin = _visit_at(person.host, key)
    yield begin + drawing.uniform(2, 4), person.home, Errand.VISIT
    if ground.mess is not None:
        yield from _meal(person, ground, 720 + drawing.uniform(0, 4), 35)
    if ground.exercise is not None and person.holder in ground.guests:
        yield 780 + drawing.uniform(0, 5), ground.exercise, Errand.EXERCISE
        yield 900 + drawing.uniform(0, 5), person.home, Errand.VISIT
    yield 945 + drawing.uniform(0, 5), ground.outside, Errand.LEAVE


def _receiving(person: Inhabitant, ground: Ground, key: str) -> Iterator[_Wish]:
    """A host goes to meet their visitors, and comes back with them."""
    at, begin = ground.receptions.get(person.home), _visit_at(person.holder, key)
    if at not in (None, ground.outside, person.home):
        yield begin - 8, at, Errand.RECEIVE
        yield begin + 4, person.home, Errand.RECEIVE


def _evening(person: Inhabitant, ground: Ground, drawing: random.Random) -> Iterator[_Wish]:
    yield drawing.triangular(1105, 1140), person.home, Errand.WORK
    if person.is_reservist and ground.training is not None:
        yield 1170 + drawing.uniform(0, 5), ground.training, Errand.TRAINING
        yield 1260 + drawing.uniform(0, 5), person.home, Errand.WORK
    yield drawing.triangular(1285, 1335), ground.outside, Errand.LEAVE


def _trespass(wishes: list[_Wish], ground: Ground, drawing: random.Random) -> Iterator[_Wish]:
    """Try a zone that is not on one's way, and go back to where one should be."""
    came, home, errand = wishes[0]
    begin = came + drawing.uniform(20, 45)
    yield begin, drawing.choice(ground.zones), Errand.TRESPASS
    yield begin + drawing.uniform(1, 5), home, errand


def _rising(wishes: list[_Wish], outside: ZoneId) -> tuple[Step, ...]:
    """The wishes in order; nothing is wished after leaving."""
    end = max(at for at, _, errand in wishes if errand is Errand.LEAVE)
    steps = [
        Step(timedelta(minutes=at), zone, errand)
        for at, zone, errand in sorted(wishes)
        if at < end or errand is Errand.LEAVE
    ]
    return _changing(steps, outside)


def _changing(steps: list[Step], outside: ZoneId) -> tuple[Step, ...]:
    """Steps that go somewhere: none to where one is, and none at the time of another."""
    zone, found = outside, list[Step]()
    for step in steps:
        if found and step.at <= found[-1].at:
            step = replace(step, at=found[-1].at + timedelta(seconds=1))  # noqa: PLW2901 - the same step, later
        if step.zone != zone:
            found.append(step)
            zone = step.zone
    return tuple(found)
