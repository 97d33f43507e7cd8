"""What a trial can do: send bytes, listen for a while, ask whoever stands at the gate to do something.

A trial is a generator: it yields steps and is given what came of each. Whoever asks may be a person or a program; either may say
that it cannot be done, and then what hangs on it is not judged.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from devices.conformance.stage import Heard

__all__ = ["Ask", "Do", "Listen", "Reply", "Script", "Send", "Step", "ask", "listen", "look", "send"]

_T = TypeVar("_T")


class Do(StrEnum):
    """What can be asked for at the gate."""

    START = "start"
    RESTART = "restart"
    PRESENT = "present"
    OPEN = "open"
    CLOSE = "close"
    FORCE = "force"
    CUT = "cut"
    RESTORE = "restore"
    LOOK = "look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask for something. It is over when `wanted` is heard, or `within` seconds after it was done.

    `badge` and `pin` are for presenting, `times` for forcing.
    """

    do: Do
    sentence: str
    badge: str | None = None
    pin: str | None = None
    times: int = 1
    wanted: "Callable[[Heard], bool] | None" = None
    within: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Wait until `wanted` is heard, for so many seconds at most; with nothing wanted, just wait."""

    within: float
    wanted: "Callable[[Heard], bool] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Publish bytes at QoS 0."""

    topic: str
    wire: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of asking: whether it was done; and of looking, whether the strike was released since the last question."""

    done: bool
    released: bool | None = None


Step: TypeAlias = Ask | Listen | Send
Came: TypeAlias = "Heard | Reply | None"
Script: TypeAlias = Generator[Step, Came, _T]


def send(topic: str, wire: bytes, *, retained: bool = False) -> Script[None]:
    """Publish."""
    yield Send(topic=topic, wire=wire, retained=retained)


def listen(within: float, wanted: "Callable[[Heard], bool] | None" = None) -> "Script[Heard | None]":
    """Wait for what is wanted; None when it did not come."""
    came = yield Listen(within=within, wanted=wanted)
    return None if isinstance(came, Reply) else came


def ask(question: Ask) -> "Script[Heard | Reply]":
    """Have something done: what was wanted and heard, or else the reply."""
    came = yield question
    return came if came is not None else Reply(done=False)


def look() -> Script[bool | None]:
    """Ask whether the strike was released since the last question; None when nobody can tell."""
    came = yield Ask(do=Do.LOOK, sentence="Was the strike released since you were last asked for something?")
    return came.released if isinstance(came, Reply) and came.done else None
