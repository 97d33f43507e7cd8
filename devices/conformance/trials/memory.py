"""What a gate remembers of the log, and what it knows after a restart."""

from datetime import timedelta

from devices.conformance.script import Ask, Do, Reply, Script, Send, ask, listen
from devices.conformance.stage import Stage
from devices.conformance.trials.pieces import (
    ARRIVAL,
    CannotJudgeError,
    is_status,
    judge_hello,
    shut_after_start,
)
from gatekeeper.model.messages import Hello, StatusKind
from gatekeeper.model.topics import Channel

__all__ = ["try_checkpoints", "try_restart"]


def try_checkpoints(stage: Stage) -> Script[None]:
    """Bring checkpoints that grow, repeat, contradict, and are forged."""
    base, at = int(stage.wall.timestamp()), stage.wall
    second = timedelta(seconds=1)
    alarm = is_status(StatusKind.LOG_ROLLED_BACK)

    def brings(size: int, after: int, history: str = "the log", **forged: str) -> Send:
        note, wire = stage.service.checkpoint(base + size, at=at + after * second, history=history, **forged)
        if forged:
            stage.forged_notes.append(note)
        elif history == "the log":
            stage.note = note
        return Send(topic=stage.service.checkpoint_topic, wire=wire, retained=True)

    def told(within: float) -> Script[bool]:
        heard = yield from listen(within, alarm)
        return heard is not None

    yield brings(10, 0)
    yield from listen(ARRIVAL)
    yield from (brings(5, -60), brings(10, 0))
    early = yield from told(0.8)
    stage.judge(
        "GK-G-103", kept=not early, good="no alarm", bad="log-rolled-back of what a broker may repeat"
    )
    # After an alarm that should not have been, a larger one lets the gate tell the next.
    size = 12 if early else 10
    yield brings(size, 0)
    yield from listen(ARRIVAL)
    yield brings(size, 0, "another log")
    found = yield from told(2.0)
    stage.judge("GK-G-101", kept=found, good="log-rolled-back came", bad="no alarm came")
    if found:
        yield brings(size, 0, "a third log")
        again = yield from told(0.8)
        stage.judge("GK-G-105", kept=not again, good="told once", bad="told twice")
    yield brings(20, 1)
    yield from listen(ARRIVAL)
    newest = stage.note
    yield Send(
        topic=stage.service.checkpoint_topic,
        wire=stage.service.checkpoint(base + 15, at=at + 2 * second)[1],
        retained=True,
    )
    found = yield from told(2.0)
    stage.judge("GK-G-102", kept=found, good="log-rolled-back came", bad="no alarm came")
    yield brings(40, 3, log_key="stranger")
    yield brings(50, 4, key="stranger")
    yield from listen(ARRIVAL)
    stage.note = newest


def try_restart(stage: Stage) -> Script[None]:
    """Restart the gate, and hear what it remembers."""
    before = len(stage.heard)
    boots = {one.boot for one in stage.heard if one.boot is not None}
    came = yield from ask(
        Ask(
            do=Do.RESTART,
            sentence="Restart the gate.",
            wanted=lambda one: one.channel == Channel.HELLO,
            within=60.0,
        )
    )
    if isinstance(came, Reply):
        if came.done:
            stage.failed("GK-G-033", "no hello was heard of the gate after its restart")
        raise CannotJudgeError("the gate could not be restarted, or did not come back")
    said, drawn = came.message, (came.boot or b"").hex()
    is_new = came.boot is not None and came.boot not in boots
    stage.judge("GK-G-033", kept=is_new, good="a new one", bad=f"{drawn or 'none'}, as before")
    if came.boot not in boots:
        judge_hello(stage, came)
    if isinstance(said, Hello) and stage.note is not None:
        note = said.checkpoint
        seen = "none" if note is None else f"{note[:60]!r}"
        stage.judge("GK-G-100", kept=note == stage.note, good="the largest", bad=seen)
        stage.judge(
            "GK-G-104",
            kept=note not in stage.forged_notes,
            good="neither is in the hello",
            bad="one of them is in the hello",
        )
    yield from shut_after_start(stage, since=before)
