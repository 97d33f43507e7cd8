"""One access point of a gate: what its settings say of it, how long the gate waits at it, and what is the case there now.

It decides nothing. A lane is changed by the parts of the gate that name its fields (`doors`, `asking`, `deciding`, `orders`).
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from devices.core.door import SHUT, DoorState
from devices.core.events import CardPresented
from devices.core.outbox import Sent
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import Credential
from gatekeeper.model.places import Direction

__all__ = ["Asked", "Doorway", "Exit", "Lane", "Limits"]


class Exit(StrEnum):
    """How somebody inside gets out with the button: `WIRED` breaks the strike's circuit itself, the gate only hears of it."""

    WIRED = "wired"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """An access point as its gate knows it.

    `interlocked` says that other doors wait until this one is shut; `held` is how long it may stay open, `warned` how long
    until it asks to be closed. `partners` are the doors at this gate that must be shut before this one is released.
    """

    id: AccessPointId
    direction: Direction
    has_contact: bool
    interlocked: bool
    warned: timedelta
    held: timedelta
    exit: Exit = Exit.WIRED
    released_by_fire: bool = False
    partners: frozenset[AccessPointId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the gate waits.

    `longest_unlock` binds even the service; `exit` is from the button to the opening; after `alone` without an answer the gate may decide.
    """

    proof: timedelta = timedelta(seconds=2)
    resend: timedelta = timedelta(milliseconds=300)
    resend_most: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(seconds=5)
    longest_unlock: timedelta = timedelta(seconds=60)
    held_card: timedelta = timedelta(seconds=2)
    alone: timedelta = timedelta(milliseconds=700)
    exit: timedelta = timedelta(seconds=10)
    restart: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A badge is proving its key."""

    credential: Credential
    beacon: bytes
    gate_random: bytes
    sealed_pin: bytes | None
    since: float
    alone: bool = False
    """Whether nobody is there to answer, so that the gate decides."""


@dataclass(slots=True)
class Lane:
    """What is the case at one access point."""

    doorway: Doorway
    door: DoorState = DoorState.LOCKED

    # What is being asked: of the badge, then of the service; or what waits to be (`asking`, `deciding`).
    held: CardPresented | None = None
    asked: Asked | None = None
    scan: Sent | None = None
    patience: timedelta | None = None
    deciding: bool = False
    """Whether a decision of the gate's own is on its way to the disk."""

    # What is granted now, and what the strike was released for last, until the door is locked again (`doors`).
    offered: bytes | None = None
    granted: bytes | None = None
    unlock: timedelta = timedelta()

    # Which orders stand (`doors`, `orders`).
    is_locked_down: bool = False
    is_freed: bool = False
    is_restarting: bool = False

    @property
    def takes_cards(self) -> bool:
        """Whether a card presented now is looked at: one at a time, and where the door can tell who went through."""
        if self.asked is not None or self.scan is not None or self.held is not None:
            return False
        if self.deciding or self.is_restarting:
            return False
        return self.door in SHUT or not (self.doorway.has_contact or self.is_freed)
