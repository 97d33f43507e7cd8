"""What trials are made of: badges that are presented, answers that are said, and what shows that they were believed.

A strike cannot be seen from the broker. What shows is what a gate goes on to say: whoever believes an answer sends its scan no
more, and a door with a contact tells what came of a released strike. Whoever stands at the gate is asked as well.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from devices.conformance.script import Ask, Do, Reply, Script, Send, ask, listen, look
from devices.conformance.service import SHORT
from devices.conformance.site import CARD
from devices.conformance.stage import Heard, Stage
from gatekeeper.model.messages import (
    ANSWER_VALIDITY,
    Passage,
    PassageOutcome,
    Scan,
    Status,
    StatusKind,
    Verdict,
)
from gatekeeper.model.topics import Channel

__all__ = [
    "AFTERMATH",
    "ARRIVAL",
    "AT_THE_DOOR",
    "CROSSED",
    "DEADLINE",
    "LEAST",
    "MOST",
    "NEXT_COPY",
    "CannotJudgeError",
    "Sight",
    "about",
    "asked",
    "beating",
    "copy_after",
    "denied",
    "goes_on",
    "grant",
    "granted",
    "has_moved",
    "is_passage",
    "is_scan",
    "is_status",
    "judge_hello",
    "judge_still",
    "lives",
    "named",
    "present",
    "present_in_vain",
    "say",
    "shut_after_start",
]


class CannotJudgeError(Exception):
    """Nothing decides what is left of a trial; the message says why."""


ARRIVAL: Final = 0.3
"""Seconds that a message may take to the gate, and what it does at once takes to come back."""


CROSSED: Final = 0.25
"""Seconds in which a copy of a scan may still be on its way up when an answer goes down."""


NEXT_COPY: Final = 1.0
"""Seconds within which a scan that is not settled is surely sent again."""


AFTERMATH: Final = SHORT.total_seconds() + ARRIVAL
"""Seconds within which a door with a contact tells of a strike that was released for a moment."""
DEADLINE: Final = 5.0


LEAST, MOST = 0.6, 1.7
"""How far from its time an interval may be, as parts of it; and by a tenth of a second more, for the network."""


AT_THE_DOOR: Final = timedelta(seconds=10)


def is_scan(one: Heard) -> bool:
    """Whether it is a new scan, and asks."""
    return one.is_question and one.message is not None and one.copy == 0


def is_passage(outcome: PassageOutcome, scan: bytes | None) -> Callable[[Heard], bool]:
    """What tells a passage of this outcome and scan."""

    def fits(one: Heard) -> bool:
        said = one.message
        return isinstance(said, Passage) and (said.outcome, said.scan) == (outcome, scan)

    return fits


def is_status(kind: StatusKind) -> Callable[[Heard], bool]:
    """What tells a new status of this kind."""
    return lambda one: isinstance(one.message, Status) and one.message.kind is kind and one.copy == 0


def copy_after(first: Heard, at: float) -> Callable[[Heard], bool]:
    """What tells a copy of a message that came after an instant."""
    return lambda one: one.at > at and one.identity == first.identity


def present(stage: Stage, badge: str = CARD, *, pin: str | None = None) -> Script[Heard]:
    """Have a badge presented and give its scan; without one the trial cannot go on."""
    typed = f" and type {pin}" if pin is not None else ""
    came = yield from ask(
        Ask(
            do=Do.PRESENT,
            sentence=f"Hold the badge '{badge}' to the reader{typed}.",
            badge=badge,
            pin=pin,
            wanted=is_scan,
            within=10.0,
        )
    )
    if isinstance(came, Heard):
        return came
    if not came.done:
        raise CannotJudgeError(f"the badge '{badge}' could not be presented")
    stage.failed("GK-G-050", f"no scan came of the badge '{badge}'")
    raise CannotJudgeError("no scan came")


def present_in_vain(requirement: str, stage: Stage, good: str) -> Script[None]:
    """Have a badge presented of which no scan may come."""
    came = yield from ask(
        Ask(
            do=Do.PRESENT,
            sentence=f"Hold the badge '{CARD}' to the reader.",
            badge=CARD,
            wanted=lambda one: one.channel == Channel.SCAN,
            within=0.7,
        )
    )
    if isinstance(came, Heard):
        stage.failed(requirement, "a scan came")
        yield stage.settle(came, Verdict.DENIED)
        yield from listen(ARRIVAL)
    elif came.done:
        stage.passed(requirement, good)
    else:
        raise CannotJudgeError("the badge could not be presented")


def goes_on(stage: Stage, scan: Heard) -> Script[bool]:
    """Whether a scan is sent on after what was just said to the gate."""
    heard = yield from listen(NEXT_COPY, copy_after(scan, stage.now + CROSSED))
    return heard is not None


def lives(stage: Stage, scan: Heard) -> Script[None]:
    """Be sure that a scan is sent again; if it is not, nothing shows what a gate believes of answers to it."""
    if (yield from listen(NEXT_COPY, copy_after(scan, stage.now))) is None:
        raise CannotJudgeError("the scan is not sent again, so nothing shows what the gate believes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen of a strike: what moved it, or nothing; and whether anybody could have seen it."""

    moved: str | None
    certain: bool


def has_moved(stage: Stage, scan: Heard, *, known: int = 0) -> Script[Sight]:
    """What shows that a strike was released: a passage more than was known, or what whoever stands there saw."""
    passages = stage.passages_of(scan)
    if len(passages) > known:
        return Sight(moved=f"the gate reported {named([passages[-1].outcome])}", certain=True)
    released = yield from look()
    certain = released is not None or stage.question.has_contact
    return Sight(moved="the strike was released" if released else None, certain=certain)


def judge_still(stage: Stage, requirement: str, sight: Sight, *, good: str) -> None:
    """Find that a strike was left alone, or not."""
    if sight.moved is not None:
        stage.failed(requirement, sight.moved)
    elif sight.certain:
        stage.passed(requirement, good)
    else:
        # INVARIANT: what nobody could see is not found to be in order.
        stage.undecided([requirement], "nobody could tell whether the strike was released")


def granted(
    stage: Stage, *, unlock: timedelta, scan: Heard | None = None, valid: timedelta = timedelta(seconds=5)
) -> Script[Heard]:
    """Have a badge presented and granted."""
    asked = scan if scan is not None else (yield from present(stage))
    yield stage.settle(asked, Verdict.GRANTED, unlock=unlock, valid=valid)
    return asked


def say(stage: Stage, wire: bytes) -> Send:
    """Say something to the gate, once."""
    return Send(topic=stage.service.decision_topic, wire=wire)


def grant(stage: Stage, scan: Heard, *, valid: timedelta = ANSWER_VALIDITY) -> Send:
    """A grant that is signed well, once; it would release the strike for a moment."""
    wire = stage.service.answer(scan.digest, Verdict.GRANTED, issued=stage.wall, valid=valid)
    return say(stage, wire)


def about(seconds: float, expected: float) -> bool:
    """Whether an interval is near what it should be."""
    return LEAST * expected - 0.1 <= seconds <= MOST * expected + 0.1


def named(outcomes: Iterable[PassageOutcome]) -> str:
    """Outcomes by their names."""
    return ", ".join(outcome.name.lower().replace("_", "-") for outcome in outcomes) or "nothing"


def beating(stage: Stage) -> Script[None]:
    """Let the gate have a beacon, when a trial begins without the one that brings it."""
    if not stage.beacons:
        yield from stage.beats_again()
        yield from listen(ARRIVAL)


def asked(
    do: Do, sentence: str, wanted: Callable[[Heard], bool], *, within: float, times: int = 1
) -> Script[bool]:
    """Have something done at the door: whether what was wanted came of it."""
    came = yield from ask(Ask(do=do, sentence=sentence, wanted=wanted, within=within, times=times))
    if isinstance(came, Reply) and not came.done:
        raise CannotJudgeError(f"it could not be done: {sentence}")
    return isinstance(came, Heard)


def denied(stage: Stage, badge: str, *, pin: str | None = None) -> Script[Scan]:
    """Have a badge presented and denied: its scan."""
    yield from beating(stage)
    heard = yield from present(stage, badge, pin=pin)
    yield stage.settle(heard, Verdict.DENIED)
    yield from listen(ARRIVAL)
    if not isinstance(heard.message, Scan):
        raise CannotJudgeError("the scan cannot be read")
    return heard.message


def judge_hello(stage: Stage, first: Heard) -> None:
    """Judge the first message of a boot."""
    stage.judge(
        "GK-G-030",
        kept=(first.channel, first.number) == (Channel.HELLO, 1),
        good="hello, number 1",
        bad=f"{first.channel}, number {first.number}",
    )


def shut_after_start(stage: Stage, *, since: int) -> Script[None]:
    """Judge whether a door of an interlock is told as shut after a start, which so many messages were heard before."""
    if not stage.question.interlocked:
        return
    shut = is_status(StatusKind.CLOSED_AGAIN)
    said = any(shut(one) for one in stage.heard[since:])
    if not said:
        said = (yield from listen(6.0, shut)) is not None
    stage.judge("GK-G-086", kept=said, good="closed-again came", bad="no closed-again came")
