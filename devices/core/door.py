"""The state machine of one door: what its contact, its grants, its exit button and the orders that stand make of it.

    locked       closed, the strike holds          unlocked   closed, the strike is released for one passage
    locked-down  closed, and no grant releases it  exiting    closed, somebody inside asked to leave
    open         opened as it should be            warned     open for long: it asks to be closed (pre-alarm)
    forced       opened without a reason           held       open for too long (alarm)
    free         closed, released for a fire       free-open  open, released for a fire

Rules. A grant, or an open command, releases the strike only while the door is closed, its interlock shut, and no lockdown
stands. The strike is secured as soon as the door opens, so that it falls into the lock behind whoever went through. A
door that was forced or held says so once, and says once that it is closed again; one that was warned of in time says
nothing. A door of an interlock, for which other doors wait, says that it is shut after every passage too, and when its
contact says closed while it is locked: its first word after a start, when the last may have been lost.

Free egress is wired in hardware: the button breaks the circuit of the strike, and `exit` only says that the opening which
follows is no forced one. At a door whose settings say so the gate releases the strike on the button itself (`let-out`), and
tells each time: a door that is kept released is seen in the log. A lockdown holds nobody in: both go on. Fire goes before
everything; the input is an aid beside what is wired.

What the table does not name changes nothing. Whether a grant is one is not asked here (see `belief` and `commands`); time
is counted by the timers that the acts start. A lockdown and a fire are orders that stand: `standing` says what they make
of a door that has become free to follow them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

__all__ = ["ONVIF", "SHUT", "TRANSITIONS", "DoorAct", "DoorInput", "DoorState", "Onvif", "standing", "step"]


class DoorState(StrEnum):
    """What a door is."""

    LOCKED = "locked"
    LOCKED_DOWN = "locked-down"
    UNLOCKED = "unlocked"
    EXITING = "exiting"
    OPEN = "open"
    WARNED = "warned"
    FORCED = "forced"
    HELD = "held"
    FREE = "free"
    FREE_OPEN = "free-open"


class DoorInput(StrEnum):
    """What happens to a door. `WITHHELD` is a grant while a partner of its interlock is not shut."""

    GRANT = "grant"
    WITHHELD = "withheld"
    EXIT = "exit"
    LET_OUT = "let-out"
    LOCK_DOWN = "lock-down"
    RELEASE = "release"
    FIRE = "fire"
    FIRE_OVER = "fire-over"
    OPENED = "opened"
    CLOSED = "closed"
    UNLOCK_OVER = "unlock-over"
    OPEN_LONG = "open-long"
    OPEN_TOO_LONG = "open-too-long"


class DoorAct(StrEnum):
    """What a transition makes the gate do."""

    UNLOCK = "unlock"
    UNLOCK_TO_LEAVE = "unlock-to-leave"
    UNLOCK_FOR_FIRE = "unlock-for-fire"
    LOCK = "lock"
    AWAIT_OPENING = "await-opening"
    AWAIT_EXIT = "await-exit"
    OPENING_AWAITED = "opening-awaited"
    AWAIT_CLOSING = "await-closing"
    CLOSING_AWAITED = "closing-awaited"
    FIRE_AWAITED = "fire-awaited"
    ASK_TO_CLOSE = "ask-to-close"
    STOP_ASKING = "stop-asking"
    TELL_TAKEN = "tell-taken"
    TELL_NOT_TAKEN = "tell-not-taken"
    TELL_WITHHELD = "tell-withheld"
    TELL_EXIT = "tell-exit"
    TELL_EXITED = "tell-exited"
    TELL_FORCED = "tell-forced"
    TELL_HELD = "tell-held"
    TELL_CLOSED = "tell-closed"
    TELL_SHUT = "tell-shut"


Acts: TypeAlias = tuple[DoorAct, ...]
_S, _I, _A = DoorState, DoorInput, DoorAct

# INVARIANT: UNLOCK stands beside GRANT, UNLOCK_TO_LEAVE beside LET_OUT, UNLOCK_FOR_FIRE beside FIRE, and nowhere else.
TRANSITIONS: Final[Mapping[tuple[DoorState, DoorInput], tuple[DoorState, Acts]]] = {
    (_S.LOCKED, _I.GRANT): (_S.UNLOCKED, (_A.UNLOCK, _A.AWAIT_OPENING)),
    (_S.LOCKED, _I.WITHHELD): (_S.LOCKED, (_A.TELL_WITHHELD,)),
    (_S.LOCKED, _I.EXIT): (_S.EXITING, (_A.TELL_EXIT, _A.AWAIT_EXIT)),
    (_S.LOCKED, _I.LET_OUT): (_S.EXITING, (_A.TELL_EXIT, _A.UNLOCK_TO_LEAVE, _A.AWAIT_EXIT)),
    (_S.LOCKED, _I.LOCK_DOWN): (_S.LOCKED_DOWN, (_A.LOCK,)),
    (_S.LOCKED, _I.FIRE): (_S.FREE, (_A.UNLOCK_FOR_FIRE,)),
    (_S.LOCKED, _I.OPENED): (_S.FORCED, (_A.TELL_FORCED, _A.AWAIT_CLOSING)),
    # After a start the strike may be released still, by a grant of before.
    (_S.LOCKED, _I.CLOSED): (_S.LOCKED, (_A.LOCK, _A.TELL_SHUT)),
    (_S.LOCKED_DOWN, _I.GRANT): (_S.LOCKED_DOWN, (_A.TELL_WITHHELD,)),
    (_S.LOCKED_DOWN, _I.WITHHELD): (_S.LOCKED_DOWN, (_A.TELL_WITHHELD,)),
    (_S.LOCKED_DOWN, _I.EXIT): (_S.EXITING, (_A.TELL_EXIT, _A.AWAIT_EXIT)),
    (_S.LOCKED_DOWN, _I.LET_OUT): (_S.EXITING, (_A.TELL_EXIT, _A.UNLOCK_TO_LEAVE, _A.AWAIT_EXIT)),
    (_S.LOCKED_DOWN, _I.RELEASE): (_S.LOCKED, ()),
    (_S.LOCKED_DOWN, _I.FIRE): (_S.FREE, (_A.UNLOCK_FOR_FIRE,)),
    (_S.LOCKED_DOWN, _I.OPENED): (_S.FORCED, (_A.TELL_FORCED, _A.AWAIT_CLOSING)),
    (_S.LOCKED_DOWN, _I.CLOSED): (_S.LOCKED_DOWN, (_A.LOCK, _A.TELL_SHUT)),
    # The next grant before the first is used: at a door without a contact, which cannot tell one passage from two; and
    # where a command and a scan meet.
    (_S.UNLOCKED, _I.GRANT): (_S.UNLOCKED, (_A.TELL_NOT_TAKEN, _A.UNLOCK, _A.AWAIT_OPENING)),
    (_S.UNLOCKED, _I.WITHHELD): (_S.UNLOCKED, (_A.TELL_WITHHELD,)),
    (_S.UNLOCKED, _I.LOCK_DOWN): (_S.LOCKED_DOWN, (_A.OPENING_AWAITED, _A.LOCK, _A.TELL_NOT_TAKEN)),
    (_S.UNLOCKED, _I.FIRE): (_S.FREE, (_A.OPENING_AWAITED, _A.TELL_NOT_TAKEN, _A.UNLOCK_FOR_FIRE)),
    (_S.UNLOCKED, _I.OPENED): (_S.OPEN, (_A.OPENING_AWAITED, _A.LOCK, _A.TELL_TAKEN, _A.AWAIT_CLOSING)),
    (_S.UNLOCKED, _I.UNLOCK_OVER): (_S.LOCKED, (_A.LOCK, _A.TELL_NOT_TAKEN)),
    # Somebody inside is on the way out: whoever is granted meanwhile would be told as having passed, and asks again.
    (_S.EXITING, _I.GRANT): (_S.EXITING, (_A.TELL_WITHHELD,)),
    (_S.EXITING, _I.WITHHELD): (_S.EXITING, (_A.TELL_WITHHELD,)),
    (_S.EXITING, _I.EXIT): (_S.EXITING, (_A.AWAIT_EXIT,)),
    (_S.EXITING, _I.LET_OUT): (_S.EXITING, (_A.TELL_EXIT, _A.UNLOCK_TO_LEAVE, _A.AWAIT_EXIT)),
    (_S.EXITING, _I.FIRE): (_S.FREE, (_A.OPENING_AWAITED, _A.UNLOCK_FOR_FIRE)),
    (_S.EXITING, _I.OPENED): (_S.OPEN, (_A.OPENING_AWAITED, _A.LOCK, _A.TELL_EXITED, _A.AWAIT_CLOSING)),
    (_S.EXITING, _I.UNLOCK_OVER): (_S.LOCKED, (_A.LOCK,)),
    # It opened while the scan was decided: whoever was granted is not let in through it.
    (_S.OPEN, _I.GRANT): (_S.OPEN, (_A.TELL_WITHHELD,)),
    (_S.OPEN, _I.WITHHELD): (_S.OPEN, (_A.TELL_WITHHELD,)),
    (_S.OPEN, _I.FIRE): (_S.FREE_OPEN, (_A.CLOSING_AWAITED, _A.UNLOCK_FOR_FIRE)),
    (_S.OPEN, _I.CLOSED): (_S.LOCKED, (_A.CLOSING_AWAITED, _A.TELL_SHUT)),
    (_S.OPEN, _I.OPEN_LONG): (_S.WARNED, (_A.ASK_TO_CLOSE,)),
    (_S.OPEN, _I.OPEN_TOO_LONG): (_S.HELD, (_A.ASK_TO_CLOSE, _A.TELL_HELD)),
    (_S.WARNED, _I.GRANT): (_S.WARNED, (_A.TELL_WITHHELD,)),
    (_S.WARNED, _I.WITHHELD): (_S.WARNED, (_A.TELL_WITHHELD,)),
    (_S.WARNED, _I.FIRE): (_S.FREE_OPEN, (_A.CLOSING_AWAITED, _A.STOP_ASKING, _A.UNLOCK_FOR_FIRE)),
    (_S.WARNED, _I.CLOSED): (_S.LOCKED, (_A.CLOSING_AWAITED, _A.STOP_ASKING, _A.TELL_SHUT)),
    (_S.WARNED, _I.OPEN_TOO_LONG): (_S.HELD, (_A.TELL_HELD,)),
    # The door was forced while the scan was decided: whoever was granted is not let in through it.
    (_S.FORCED, _I.GRANT): (_S.FORCED, (_A.TELL_WITHHELD,)),
    (_S.FORCED, _I.WITHHELD): (_S.FORCED, (_A.TELL_WITHHELD,)),
    (_S.FORCED, _I.FIRE): (_S.FREE_OPEN, (_A.CLOSING_AWAITED, _A.UNLOCK_FOR_FIRE)),
    (_S.FORCED, _I.CLOSED): (_S.LOCKED, (_A.CLOSING_AWAITED, _A.LOCK, _A.TELL_CLOSED)),
    (_S.FORCED, _I.OPEN_TOO_LONG): (_S.HELD, (_A.ASK_TO_CLOSE, _A.TELL_HELD)),
    (_S.HELD, _I.GRANT): (_S.HELD, (_A.TELL_WITHHELD,)),
    (_S.HELD, _I.WITHHELD): (_S.HELD, (_A.TELL_WITHHELD,)),
    (_S.HELD, _I.FIRE): (_S.FREE_OPEN, (_A.STOP_ASKING, _A.UNLOCK_FOR_FIRE)),
    (_S.HELD, _I.CLOSED): (_S.LOCKED, (_A.LOCK, _A.STOP_ASKING, _A.TELL_CLOSED)),
    # A strike is released for a while at most: as long as the fire lasts, it is released again and again.
    (_S.FREE, _I.FIRE): (_S.FREE, (_A.UNLOCK_FOR_FIRE,)),
    (_S.FREE, _I.GRANT): (_S.FREE, (_A.TELL_WITHHELD,)),
    (_S.FREE, _I.WITHHELD): (_S.FREE, (_A.TELL_WITHHELD,)),
    (_S.FREE, _I.OPENED): (_S.FREE_OPEN, ()),
    (_S.FREE, _I.FIRE_OVER): (_S.LOCKED, (_A.FIRE_AWAITED, _A.LOCK, _A.TELL_SHUT)),
    (_S.FREE_OPEN, _I.FIRE): (_S.FREE_OPEN, (_A.UNLOCK_FOR_FIRE,)),
    (_S.FREE_OPEN, _I.GRANT): (_S.FREE_OPEN, (_A.TELL_WITHHELD,)),
    (_S.FREE_OPEN, _I.WITHHELD): (_S.FREE_OPEN, (_A.TELL_WITHHELD,)),
    (_S.FREE_OPEN, _I.CLOSED): (_S.FREE, (_A.TELL_CLOSED,)),
    (_S.FREE_OPEN, _I.FIRE_OVER): (_S.OPEN, (_A.FIRE_AWAITED, _A.LOCK, _A.AWAIT_CLOSING)),
}

SHUT: Final = frozenset({DoorState.LOCKED, DoorState.LOCKED_DOWN})
"""Closed and held: the partner of such a door may open."""


class Onvif(NamedTuple):
    """What ONVIF's Door Control service (22.12, section 4.4) calls a state."""

    mode: str
    physical: str
    alarm: str


ONVIF: Final[Mapping[DoorState, Onvif]] = {
    _S.LOCKED: Onvif("Locked", "Closed", "Normal"),
    _S.LOCKED_DOWN: Onvif("LockedDown", "Closed", "Normal"),
    _S.UNLOCKED: Onvif("Accessed", "Closed", "Normal"),
    _S.EXITING: Onvif("Accessed", "Closed", "Normal"),
    _S.OPEN: Onvif("Locked", "Open", "Normal"),
    _S.WARNED: Onvif("Locked", "Open", "Normal"),
    _S.FORCED: Onvif("Locked", "Open", "DoorForcedOpen"),
    _S.HELD: Onvif("Locked", "Open", "DoorOpenTooLong"),
    _S.FREE: Onvif("LockedOpen", "Closed", "Normal"),
    _S.FREE_OPEN: Onvif("LockedOpen", "Open", "Normal"),
}
"""A strike is secured as the door opens, so that its mode is Locked from then on. ONVIF has no name for the pre-alarm."""


def step(state: DoorState, happened: DoorInput) -> tuple[DoorState, Acts]:
    """Make one step."""
    return TRANSITIONS.get((state, happened), (state, ()))


def standing(state: DoorState, *, lockdown: bool, fire: bool) -> DoorInput | None:
    """What the orders that stand make happen to a door now; None when it follows them, or cannot yet.

    Fire goes before lockdown. A door that is in use follows a lockdown once it is closed again; a passage that nobody has
    begun is taken back at once, a way out is not.
    """
    is_free = state in {DoorState.FREE, DoorState.FREE_OPEN}
    if fire != is_free:
        return DoorInput.FIRE if fire else DoorInput.FIRE_OVER
    if lockdown and state in {DoorState.LOCKED, DoorState.UNLOCKED}:
        return DoorInput.LOCK_DOWN
    if not lockdown and state is DoorState.LOCKED_DOWN:
        return DoorInput.RELEASE
    return None
