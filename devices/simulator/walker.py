"""Somebody on the ground: where they are, where they are going, and the doors that may be for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from devices.simulator.days import Errand
from devices.simulator.people import SimulatedPerson
from gatekeeper.model.ids import ZoneId
from gatekeeper.model.policy import Point
from gatekeeper.model.reasons import Reason

__all__ = ["Walker"]


@dataclass(slots=True, kw_only=True)
class Walker:
    """A person on the ground: where they are, where they are going, and the doors that may be for them."""

    person: SimulatedPerson
    doors: tuple[Point, ...]
    zone: ZoneId
    goal: ZoneId
    errand: Errand = Errand.LEAVE
    day: int = 0
    forgets: bool = False
    passed: int = 0
    walks: bool = False
    later: list[Callable[[], None]] = field(default_factory=list)

    def learn(self, door: Point, reason: int) -> None:
        """Give a door up that said to have no right for this person: it will say so tomorrow."""
        if Reason.of_number(reason) is Reason.NO_ACCESS_RIGHTS:
            self.doors = tuple(one for one in self.doors if one is not door)

    @property
    def leaves_unseen(self) -> bool:
        """Whether they are on their way home without a thought of badges."""
        return self.forgets and self.errand is Errand.LEAVE
