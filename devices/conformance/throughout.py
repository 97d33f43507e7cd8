"""What holds for the whole conversation: the form of every message, its number, its bytes when it is sent again."""

from collections import defaultdict
from itertools import pairwise
from typing import Final

from devices.conformance.findings import some
from devices.conformance.reading import CHANNELS
from devices.conformance.stage import Heard, Stage
from gatekeeper.model.messages import Verdict
from gatekeeper.model.topics import Channel

__all__ = ["THROUGHOUT", "judge_throughout"]

_FORM: Final = (
    "GK-G-010",
    "GK-G-011",
    "GK-G-012",
    "GK-G-013",
    "GK-G-014",
    "GK-G-015",
    "GK-G-016",
)
_ENVELOPE: Final = ("GK-G-010", "GK-G-016")
"""What is judged of a message that cannot be taken apart."""
_OTHERS: Final = ("GK-G-021", "GK-G-022", "GK-G-031", "GK-G-032", "GK-G-091")
_JOURNAL: Final = ("GK-G-142", "GK-G-143")
THROUGHOUT: Final = frozenset({*_FORM, *_OTHERS, *_JOURNAL})
_ON_THE_WAY: Final = 1.5
"""Seconds after its answer in which a copy may still come: the answer was on its way, or the first was lost."""


def judge_throughout(stage: Stage) -> None:
    """Judge everything that was heard."""
    if not stage.heard:
        stage.undecided(THROUGHOUT, "nothing was heard")
        return
    _judge_form(stage)
    _judge_way(stage)
    _judge_numbers(stage)
    _judge_copies(stage)
    _judge_journal(stage)


def _judge_form(stage: Stage) -> None:
    messages = [one for one in stage.heard if one.copy == 0 and one.channel in CHANNELS]
    whole = [one for one in messages if one.is_whole]
    for requirement in _FORM:
        looked_at = messages if requirement in _ENVELOPE else whole
        broken = [
            f"{one.channel}: {fault.seen}"
            for one in looked_at
            for fault in one.faults
            if fault.requirement == requirement
        ]
        if looked_at:
            stage.judge(requirement, kept=not broken, good=f"{len(looked_at)} messages", bad=some(broken))
        else:
            stage.undecided([requirement], "no message could be taken apart")


def _judge_way(stage: Stage) -> None:
    astray = [
        f"{one.channel} at QoS {one.qos}{', retained' if one.retained else ''}"
        for one in stage.heard
        if one.qos != 1 or one.retained
    ]
    stage.judge("GK-G-021", kept=not astray, good=f"{len(stage.heard)} times", bad=some(astray))
    unknown = [one.topic for one in stage.heard if one.channel not in CHANNELS]
    stage.judge("GK-G-022", kept=not unknown, good="only its own channels", bad=some(unknown))


def _judge_numbers(stage: Stage) -> None:
    wires: dict[tuple[bytes, int], set[bytes]] = defaultdict(set)
    for one in stage.heard:
        if one.boot is not None and one.number is not None:
            wires[one.boot, one.number].add(one.wire)
    boots = _streams(stage, journal=False)
    missing = [told for boot, numbers in boots.items() for told in _gaps(boot, [0, *numbers])]
    good = f"{sum(map(len, boots.values()))} numbers"
    stage.judge("GK-G-031", kept=not missing, good=good, bad=f"missing {some(missing)}")
    unlike = [
        f"number {number}: {len(found)} unlike" for (_, number), found in wires.items() if len(found) > 1
    ]
    stage.judge("GK-G-032", kept=not unlike, good=f"{len(stage.heard)} times", bad=some(unlike))


def _judge_journal(stage: Stage) -> None:
    """A journal may have begun long ago; from its first entry that was heard on nothing is missing, and all is in order."""
    journals = _streams(stage, journal=True)
    if not journals:
        stage.undecided(_JOURNAL, "the gate showed no journal")
        return
    missing = [told for journal, numbers in journals.items() for told in _gaps(journal, numbers)]
    good = f"{sum(map(len, journals.values()))} numbers"
    stage.judge("GK-G-142", kept=not missing, good=good, bad=f"missing {some(missing)}")
    turned = [
        f"{later} after {earlier}"
        for numbers in journals.values()
        for earlier, later in pairwise(numbers)
        if later < earlier
    ]
    stage.judge("GK-G-143", kept=not turned, good="in order", bad=some(turned))


def _streams(stage: Stage, *, journal: bool) -> dict[bytes, list[int]]:
    """The numbers of each boot, or of each journal, in the order in which they first came."""
    streams: dict[bytes, list[int]] = defaultdict(list)
    for one in stage.heard:
        if one.copy == 0 and one.is_journal is journal and one.boot is not None and one.number is not None:
            streams[one.boot].append(one.number)
    return streams


def _gaps(stream: bytes, numbers: list[int]) -> list[str]:
    every = set(range(min(numbers), max(numbers) + 1))
    return [f"{stream.hex()}: {number}" for number in sorted(every - set(numbers))]


def _judge_copies(stage: Stage) -> None:
    # After a start a journal comes again from its note on, which may be behind what was answered.
    hellos = {one.digest: one.at for one in reversed(stage.heard) if one.channel == Channel.HELLO}
    late = [
        _told(one, stage)
        for one in stage.heard
        if _is_late(one, stage)
        and not (
            one.is_journal and any(stage.answers[one.digest].at < at <= one.at for at in hellos.values())
        )
    ]
    stage.judge("GK-G-091", kept=not late, good=f"{len(stage.answers)} answers", bad=some(late))


def _is_late(one: Heard, stage: Stage) -> bool:
    answered = stage.answers.get(one.digest)
    return (
        answered is not None
        and answered.verdict is not Verdict.WAITING
        and one.at > answered.at + _ON_THE_WAY
    )


def _told(one: Heard, stage: Stage) -> str:
    return f"{one.channel} {one.number}, {one.at - stage.answers[one.digest].at:.1f} s after its answer"
