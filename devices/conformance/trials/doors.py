"""The door: who went through, who forced it, and what is told of it over a lost link and when nobody answers."""

from collections import defaultdict
from typing import Final

from devices.conformance.script import Do, Script, listen
from devices.conformance.stage import Stage
from devices.conformance.trials.pieces import (
    ARRIVAL,
    AT_THE_DOOR,
    NEXT_COPY,
    CannotJudgeError,
    asked,
    beating,
    granted,
    is_passage,
    is_status,
    named,
)
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.model.messages import Passage, PassageOutcome, StatusKind, Verdict

__all__ = ["try_door", "try_held", "try_lost_link", "try_window"]


def try_door(stage: Stage) -> Script[None]:
    """Have somebody enter, and somebody force the door."""
    yield from beating(stage)
    scan = yield from granted(stage, unlock=AT_THE_DOOR)
    yield from listen(ARRIVAL)
    taken = yield from asked(
        Do.OPEN,
        "Open the door while its strike is released.",
        is_passage(PassageOutcome.TAKEN, scan.digest),
        within=2.0,
    )
    found = [passage.outcome for passage in stage.passages_of(scan)]
    stage.judge("GK-G-080", kept=taken, good="taken, with the scan", bad=f"{named(found)} of the scan")
    patience = 3.0 if stage.question.interlocked else ARRIVAL
    shut = yield from asked(Do.CLOSE, "Close the door.", is_status(StatusKind.CLOSED_AGAIN), within=patience)
    if stage.question.interlocked:
        stage.judge("GK-G-085", kept=shut, good="closed-again came", bad="no closed-again came")
    before = len(stage.heard)
    shut = yield from asked(
        Do.FORCE,
        "Open the door without a badge, and close it.",
        is_status(StatusKind.CLOSED_AGAIN),
        within=2.0,
    )
    new = [one.message for one in stage.heard[before:] if one.copy == 0]
    said = [one for one in new if isinstance(one, Passage)]
    forced = [(one.outcome, one.scan) for one in said] == [(PassageOutcome.FORCED, None)]
    bad = named(one.outcome for one in said) + (" with a scan" if any(one.scan for one in said) else "")
    stage.judge("GK-G-082", kept=forced, good="forced, without a scan", bad=bad)
    stage.judge("GK-G-084", kept=shut, good="closed-again came", bad="no closed-again after it was forced")


def try_held(stage: Stage) -> Script[None]:
    """Have the door left open."""
    yield from beating(stage)
    scan = yield from granted(stage, unlock=AT_THE_DOOR)
    yield from listen(ARRIVAL)
    seconds = stage.question.held.total_seconds()
    held = yield from asked(
        Do.OPEN,
        f"Open the door while its strike is released, and leave it open for more than {seconds:g} s.",
        is_passage(PassageOutcome.HELD_OPEN, scan.digest),
        within=1.5 * seconds + 2.0,
    )
    stage.judge(
        "GK-G-083",
        kept=held,
        good="held-open, with the scan",
        bad=f"{named(one.outcome for one in stage.passages_of(scan))} of a door that was left open",
    )
    shut = yield from asked(Do.CLOSE, "Close the door.", is_status(StatusKind.CLOSED_AGAIN), within=2.0)
    if held:
        stage.judge("GK-G-084", kept=shut, good="closed-again came", bad="no closed-again after it was held")


def try_lost_link(stage: Stage) -> Script[None]:
    """Cut the link, let things happen, and bring it back."""
    stage.records = False
    forced = "Open the door without a badge, and close it."
    shut = is_status(StatusKind.CLOSED_AGAIN)
    if not (yield from asked(Do.FORCE, forced, shut, within=3.0)):
        raise CannotJudgeError("nothing was heard of a door that was forced")
    kept = stage.unanswered()
    before = len(stage.heard)
    yield from asked(Do.CUT, "Pull the plug of the gate's link to the broker.", lambda _: False, within=0.2)
    yield from asked(Do.FORCE, forced, lambda _: False, within=0.2)
    cut = stage.now
    came = yield from asked(Do.RESTORE, "Put the plug in again.", shut, within=20.0)
    yield from listen(NEXT_COPY)
    again = [one for one in kept if any(copy.at > cut for copy in stage.copies_of(one))]
    new = [one.message for one in stage.heard[before:] if one.copy == 0]
    told = any(isinstance(one, Passage) and one.outcome is PassageOutcome.FORCED for one in new)
    stage.judge(
        "GK-G-093",
        kept=came and told and len(again) == len(kept),
        good=f"{len(new)} new messages, and {len(kept)} again",
        bad=f"{len(new)} new messages, and {len(again)} of {len(kept)} again",
    )


_TIMES: Final = 40
_UNANSWERED: Final = 32
"""So many entries of a journal may be sent and not answered."""


def try_window(stage: Stage) -> Script[None]:
    """Let more happen than the window holds, and answer nothing until then."""
    stage.records = False
    before = len(stage.heard)
    yield from asked(
        Do.FORCE,
        f"Open the door without a badge and close it, {_TIMES} times.",
        lambda _: False,
        within=NEXT_COPY,
        times=_TIMES,
    )
    streams: dict[bytes | None, list[int]] = defaultdict(list)
    for one in stage.unanswered():
        if one.number is not None:
            streams[one.boot].append(one.number)
    if not streams:
        raise CannotJudgeError("nothing was heard of a door that was forced")
    span = max(max(numbers) - min(numbers) for numbers in streams.values())
    waiting = sum(one.is_journal for one in stage.unanswered())
    if waiting:
        seen = f"{waiting} unanswered at once"
        stage.judge("GK-G-144", kept=waiting <= _UNANSWERED, good=seen, bad=seen)
    stage.records = True
    for one in stage.unanswered():
        yield stage.settle(one, Verdict.RECORDED)
    quiet = False
    while not quiet:
        quiet = (yield from listen(1.5, lambda one: one.copy == 0)) is None
    told = sum(
        isinstance(one.message, Passage) and one.message.outcome is PassageOutcome.FORCED and one.copy == 0
        for one in stage.heard[before:]
    )
    stage.judge(
        "GK-G-094",
        kept=span < SEQUENCE_WINDOW and told == _TIMES,
        good=f"at most {span} behind, and all {told} were told",
        bad=f"{span} behind, and {told} of {_TIMES} were told",
    )
