"""The journal: what happened at a gate comes up over a restart, and not before the hello was answered."""

from devices.conformance.script import Ask, Do, Reply, Script, ask, listen
from devices.conformance.stage import Heard, Stage
from devices.conformance.trials.pieces import CannotJudgeError, asked, is_status
from gatekeeper.model.messages import Hello, StatusKind, Verdict
from gatekeeper.model.topics import Channel

__all__ = ["try_journal"]


def try_journal(stage: Stage) -> Script[None]:
    """Answer nothing, restart the gate, let its hello wait, and answer that."""
    stage.records = False
    before = len(stage.heard)
    yield from asked(
        Do.FORCE,
        "Open the door without a badge, and close it.",
        is_status(StatusKind.CLOSED_AGAIN),
        within=3.0,
    )
    kept = [one for one in stage.journal(before) if one.digest not in stage.answers]
    if not kept:
        raise CannotJudgeError("the gate showed no journal")
    came = yield from ask(
        Ask(
            do=Do.RESTART,
            sentence="Restart the gate.",
            wanted=lambda one: one.channel == Channel.HELLO,
            within=60.0,
        )
    )
    if isinstance(came, Reply):
        raise CannotJudgeError("the gate could not be restarted, or did not come back")
    start = stage.heard.index(came)
    early = yield from listen(_PATIENCE, lambda one: one.is_journal)
    stage.judge(
        "GK-G-141",
        kept=early is None,
        good=f"nothing of it came in {_PATIENCE} s without an answer",
        bad="some of it came",
    )
    _judge_hello(stage, came, kept)
    yield stage.settle(came, Verdict.RECORDED)
    yield from listen(_PATIENCE, lambda one: one.wire == kept[-1].wire)
    again = {one.wire for one in stage.heard[start:]}
    missing = [one.number for one in kept if one.wire not in again]
    stage.judge("GK-G-140", kept=not missing, good=f"{len(kept)} came again", bad=f"not again: {missing}")
    ids = {one.boot for one in stage.journal()}
    stage.judge("GK-G-146", kept=len(ids) == 1, good="one id", bad=f"{len(ids)} ids")


def _judge_hello(stage: Stage, hello: Heard, kept: list[Heard]) -> None:
    if not isinstance(hello.message, Hello):
        return
    said = hello.message.journal
    if said is None:
        stage.failed("GK-G-145", "field 8 is missing")
        return
    if said.journal != kept[-1].boot:
        stage.failed(
            "GK-G-146", f"{said.journal.hex()} after the restart, not {(kept[-1].boot or b'').hex()}"
        )
        return
    highest = max(one.number or 0 for one in kept)
    seen = f"{said.written}, after {highest} was sent"
    stage.judge("GK-G-145", kept=said.written >= highest, good=seen, bad=seen)


_PATIENCE = 1.5
"""Seconds in which a gate would have sent its journal."""
