"""A gate that nobody answers: when it decides by itself, what it tells of that, and that a gate which does not do this does not."""

from dataclasses import replace

from devices.conformance.script import Ask, Do, Reply, Script, ask, listen, look, send
from devices.conformance.site import CARD, PIN
from devices.conformance.stage import Heard, Stage
from devices.conformance.trials.pieces import (
    AFTERMATH,
    ARRIVAL,
    CannotJudgeError,
    Sight,
    about,
    asked,
    beating,
    grant,
    has_moved,
    judge_still,
    named,
    present,
)
from devices.conformance.trials.solitude import give, is_decided, lets_in, shown, silent
from gatekeeper.model.messages import PassageOutcome, Scan, Verdict

__all__ = ["try_alone", "try_cut_off", "try_in_turn", "try_not_given"]

_LIMIT = 0.7
"""Seconds after which a gate decides for itself."""


def try_not_given(stage: Stage) -> Script[None]:
    """Present a badge without a beacon, and one that is not answered: to a gate that holds no right, or makes no use of one."""
    yield from silent(stage)
    provisions = stage.provisions
    decides = stage.question.decides_alone
    yield from give(stage, (provisions.nothing if decides else provisions.provided)(stage.wall))
    seen = yield from shown(stage)
    yield from beating(stage)
    scan = yield from present(stage)
    told = yield from listen(2.5, _is_granted)
    sight = yield from has_moved(stage, scan)
    yield stage.settle(scan, Verdict.DENIED)
    moved = "the journal says granted" if told is not None else sight.moved
    judge_still(
        stage,
        "GK-G-160",
        Sight(moved=seen.let_in.moved or moved, certain=seen.let_in.certain and sight.certain),
        good="nobody was let in" + ("" if decides else " by a snapshot that lets them in"),
    )


def try_alone(stage: Stage) -> Script[None]:
    """Present a badge when no beacon counts, once more when the snapshot is not named any longer, and one with a PIN."""
    given = yield from lets_in(stage)
    found = [one.message for one in stage.heard if is_decided(one) and isinstance(one.message, Scan)]
    kept = found[-1].offline_policy == given.digest
    stage.judge(
        "GK-G-163", kept=kept, good="the digest of the snapshot", bad="field 11 is the digest of another"
    )
    # So it is while the service makes a new snapshot: nothing is prolonged, and nothing ends.
    unnamed = replace(stage.provisions.provided(stage.wall).standing, snapshots={})
    yield from send(stage.provisions.standing_topic, stage.provisions.standing(unnamed), retained=True)
    yield from listen(ARRIVAL)
    if (yield from shown(stage)).verdict is not Verdict.GRANTED:
        stage.failed(
            "GK-G-161", "a newer standing that names no snapshot ended at once what the former one named"
        )
    try:
        yield from shown(stage, pin=PIN)
    except CannotJudgeError:
        return  # it has no keypad


def try_in_turn(stage: Stage) -> Script[None]:
    """Present a badge while beacons come: say nothing, then ask for patience, then deny."""
    yield from lets_in(stage)
    yield from beating(stage)
    faults = [(yield from _unanswered(stage)), (yield from _overruled(stage, Verdict.WAITING))]
    faults.append((yield from _overruled(stage, Verdict.DENIED)))
    found = [fault for fault in faults if fault is not None]
    good = "decided after 700 ms, and not when there was an answer"
    stage.judge("GK-G-162", kept=not found, good=good, bad="; ".join(found))


def _unanswered(stage: Stage) -> Script[str | None]:
    """Let a scan wait, and grant it when the gate has decided: what is wrong with what it did."""
    scan = yield from present(stage)
    decided = yield from listen(2.5, is_decided)
    if decided is None:
        yield stage.settle(scan, Verdict.DENIED)
        return "a scan was not answered for 2.5 s, and nothing was decided"
    yield from listen(AFTERMATH)
    told = stage.passages_of(scan)
    outcomes = [passage.outcome for passage in told]
    stage.judge(
        "GK-G-163",
        kept=outcomes == [PassageOutcome.NOT_TAKEN],
        good="and the scan that was not answered as not-taken",
        bad=f"{named(outcomes)} of the scan that was not answered",
    )
    yield from look()
    yield grant(stage, scan)
    yield from listen(AFTERMATH)
    sight = yield from has_moved(stage, scan, known=len(told))
    yield stage.settle(scan, Verdict.DENIED)
    if sight.moved is not None:
        return f"a grant of the scan came after it: {sight.moved}"
    waited = decided.at - scan.at
    return None if about(waited, _LIMIT) else f"decided {waited:.2f} s after the scan"


def _overruled(stage: Stage, verdict: Verdict) -> Script[str | None]:
    """Answer at once, and see that the gate decides nothing."""
    scan = yield from present(stage)
    yield stage.settle(scan, verdict)
    decided = yield from listen(2 * _LIMIT, is_decided)
    if verdict is not Verdict.DENIED:
        yield stage.settle(scan, Verdict.DENIED)
    yield from listen(AFTERMATH)
    return f"decided though the service said {verdict.name.lower()}" if decided is not None else None


def try_cut_off(stage: Stage) -> Script[None]:
    """Cut the link, have a badge presented, and bring the link back."""
    yield from lets_in(stage)
    yield from asked(Do.CUT, "Pull the plug of the gate's link to the broker.", lambda _: False, within=0.2)
    came = yield from ask(
        Ask(
            do=Do.PRESENT,
            sentence=f"Hold the badge '{CARD}' to the reader.",
            badge=CARD,
            wanted=lambda _: False,
            within=AFTERMATH,
        )
    )
    released = yield from look()
    told = yield from asked(Do.RESTORE, "Put the plug in again.", _is_granted, within=20.0)
    if isinstance(came, Reply) and not came.done:
        raise CannotJudgeError("the badge could not be presented")
    stage.judge(
        "GK-G-161",
        kept=released is not False and told,
        good="also while the link was cut",
        bad="nobody was let in while the link was cut",
    )
    stage.judge(
        "GK-G-163",
        kept=told,
        good="and came when the link was back",
        bad="it did not come when the link was back",
    )


def _is_granted(one: Heard) -> bool:
    return (
        is_decided(one) and isinstance(one.message, Scan) and one.message.offline_verdict is Verdict.GRANTED
    )
