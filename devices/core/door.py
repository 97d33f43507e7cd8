"""The state machine of one door: what its contact and its grants make of it.

    locked     closed, the strike holds          unlocked   closed, the strike is released for one passage
    open       opened after a grant              warned     open for long: the door asks to be closed (pre-alarm)
    forced     opened without a grant            held       open for too long (alarm)

Rules. Only a grant releases the strike, and only while the door is closed. The strike is secured as soon as the door
opens, so that it falls into the lock behind whoever went through. A door that was forced or held says so once, and says
once that it is closed again; one that was warned of in time says nothing. A door of an interlock, for which other doors wait, says that it is shut after every passage
too, and when its contact says closed while it is locked: its first word after a start, when the last may have been lost.
What the table does not name changes nothing.

Whether a grant is one is not asked here (see `belief`); time is counted by the timers that the acts start.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

__all__ = ["ONVIF", "TRANSITIONS", "DoorAct", "DoorInput", "DoorState", "Onvif", "step"]


class DoorState(StrEnum):
    """What a door is."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    OPEN = "open"
    WARNED = "warned"
    FORCED = "forced"
    HELD = "held"


class DoorInput(StrEnum):
    """What happens to a door."""

    GRANT = "grant"
    OPENED = "opened"
    CLOSED = "closed"
    UNLOCK_OVER = "unlock-over"
    OPEN_LONG = "open-long"
    OPEN_TOO_LONG = "open-too-long"


class DoorAct(StrEnum):
    """What a transition makes the gate do."""

    UNLOCK = "unlock"
    LOCK = "lock"
    AWAIT_OPENING = "await-opening"
    OPENING_AWAITED = "opening-awaited"
    AWAIT_CLOSING = "await-closing"
    CLOSING_AWAITED = "closing-awaited"
    ASK_TO_CLOSE = "ask-to-close"
    STOP_ASKING = "stop-asking"
    TELL_TAKEN = "tell-taken"
    TELL_NOT_TAKEN = "tell-not-taken"
    TELL_FORCED = "tell-forced"
    TELL_HELD = "tell-held"
    TELL_CLOSED = "tell-closed"
    TELL_SHUT = "tell-shut"


Acts: TypeAlias = tuple[DoorAct, ...]
_S, _I, _A = DoorState, DoorInput, DoorAct

# INVARIANT: UNLOCK stands beside GRANT, and nowhere else.
TRANSITIONS: Final[Mapping[tuple[DoorState, DoorInput], tuple[DoorState, Acts]]] = {
    (_S.LOCKED, _I.GRANT): (_S.UNLOCKED, (_A.UNLOCK, _A.AWAIT_OPENING)),
    (_S.LOCKED, _I.OPENED): (_S.FORCED, (_A.TELL_FORCED, _A.AWAIT_CLOSING)),
    # After a start the strike may be released still, by a grant of before.
    (_S.LOCKED, _I.CLOSED): (_S.LOCKED, (_A.LOCK, _A.TELL_SHUT)),
    # The next grant before the first is used: at a door without a contact, which cannot tell one passage from two.
    (_S.UNLOCKED, _I.GRANT): (_S.UNLOCKED, (_A.UNLOCK, _A.AWAIT_OPENING)),
    (_S.UNLOCKED, _I.OPENED): (_S.OPEN, (_A.OPENING_AWAITED, _A.LOCK, _A.TELL_TAKEN, _A.AWAIT_CLOSING)),
    (_S.UNLOCKED, _I.UNLOCK_OVER): (_S.LOCKED, (_A.LOCK, _A.TELL_NOT_TAKEN)),
    (_S.OPEN, _I.CLOSED): (_S.LOCKED, (_A.CLOSING_AWAITED, _A.TELL_SHUT)),
    (_S.OPEN, _I.OPEN_LONG): (_S.WARNED, (_A.ASK_TO_CLOSE,)),
    (_S.OPEN, _I.OPEN_TOO_LONG): (_S.HELD, (_A.ASK_TO_CLOSE, _A.TELL_HELD)),
    (_S.WARNED, _I.CLOSED): (_S.LOCKED, (_A.CLOSING_AWAITED, _A.STOP_ASKING, _A.TELL_SHUT)),
    (_S.WARNED, _I.OPEN_TOO_LONG): (_S.HELD, (_A.TELL_HELD,)),
    # The door was forced while the scan was decided: whoever was granted is not let in through it.
    (_S.FORCED, _I.GRANT): (_S.FORCED, (_A.TELL_NOT_TAKEN,)),
    (_S.FORCED, _I.CLOSED): (_S.LOCKED, (_A.CLOSING_AWAITED, _A.LOCK, _A.TELL_CLOSED)),
    (_S.FORCED, _I.OPEN_TOO_LONG): (_S.HELD, (_A.ASK_TO_CLOSE, _A.TELL_HELD)),
    (_S.HELD, _I.GRANT): (_S.HELD, (_A.TELL_NOT_TAKEN,)),
    (_S.HELD, _I.CLOSED): (_S.LOCKED, (_A.LOCK, _A.STOP_ASKING, _A.TELL_CLOSED)),
}


class Onvif(NamedTuple):
    """What ONVIF's Door Control service (22.12, section 4.4) calls a state."""

    mode: str
    physical: str
    alarm: str


ONVIF: Final[Mapping[DoorState, Onvif]] = {
    _S.LOCKED: Onvif("Locked", "Closed", "Normal"),
    _S.UNLOCKED: Onvif("Accessed", "Closed", "Normal"),
    _S.OPEN: Onvif("Locked", "Open", "Normal"),
    _S.WARNED: Onvif("Locked", "Open", "Normal"),
    _S.FORCED: Onvif("Locked", "Open", "DoorForcedOpen"),
    _S.HELD: Onvif("Locked", "Open", "DoorOpenTooLong"),
}
"""A strike is secured as the door opens, so that its mode is Locked from then on. ONVIF has no name for the pre-alarm."""


def step(state: DoorState, happened: DoorInput) -> tuple[DoorState, Acts]:
    """Make one step."""
    return TRANSITIONS.get((state, happened), (state, ()))
