"""The way down: answers that are believed, late, doubled or forged, and waits."""

from datetime import timedelta

from devices.conformance.script import Script, listen, look
from devices.conformance.service import LIES, SHORT
from devices.conformance.stage import Heard, Stage
from devices.conformance.trials.pieces import (
    AFTERMATH,
    DEADLINE,
    Sight,
    beating,
    goes_on,
    grant,
    granted,
    has_moved,
    is_passage,
    judge_still,
    lives,
    named,
    present,
    say,
)
from gatekeeper.model.messages import PassageOutcome, Verdict

__all__ = ["try_denial", "try_late", "try_lies", "try_long_wait", "try_once", "try_waits"]


def try_lies(stage: Stage) -> Script[None]:
    """Present a badge, and say every lie about it."""
    yield from beating(stage)
    pending = list(LIES)
    sights: list[Sight] = []
    while pending:
        scan = yield from present(stage)
        yield from lives(stage, scan)
        explained = yield from _lies_about(stage, scan, pending)
        sight = yield from has_moved(stage, scan)
        # What a lie that was believed has moved is found under the lie.
        sights.append(Sight(moved=None, certain=True) if explained else sight)
        yield stage.settle(scan, Verdict.DENIED)
        yield from listen(AFTERMATH)
    moved = next((sight.moved for sight in sights if sight.moved is not None), None)
    whole = Sight(moved=moved, certain=all(sight.certain for sight in sights))
    judge_still(stage, "GK-G-069", whole, good="no strike moved for anything that was not to be believed")


def _lies_about(stage: Stage, scan: Heard, pending: list[str]) -> Script[bool]:
    """Lie about a scan for as long as it lives; whether one of the lies was believed."""
    while pending and stage.now < scan.at + 0.7 * DEADLINE:
        requirement = pending.pop(0)
        yield say(stage, stage.service.lie(requirement, scan.digest, issued=stage.wall))
        went_on = yield from goes_on(stage, scan)
        told = stage.passages_of(scan)
        if not went_on or told:
            seen = (
                f"the gate reported {named(one.outcome for one in told)}" if told else "the scan was settled"
            )
            stage.failed(requirement, seen)
            return True
        stage.passed(requirement, "the scan was sent on, and nothing else was heard")
    return False


def try_denial(stage: Stage) -> Script[None]:
    """Deny, and grant after it."""
    yield from beating(stage)
    scan = yield from present(stage)
    yield from lives(stage, scan)
    yield stage.settle(scan, Verdict.DENIED)
    if (yield from goes_on(stage, scan)):
        stage.failed("GK-G-072", "the scan was sent on after a denial")
        return
    yield grant(stage, scan)
    yield from listen(AFTERMATH)
    sight = yield from has_moved(stage, scan)
    judge_still(stage, "GK-G-072", sight, good="nothing came of the grant after it")


def try_late(stage: Stage) -> Script[None]:
    """Grant when the validity has passed."""
    yield from beating(stage)
    scan = yield from present(stage)
    yield from lives(stage, scan)
    valid = timedelta(milliseconds=500)
    yield from listen(max(0.0, scan.at + 1.0 - stage.now))
    yield grant(stage, scan, valid=valid)
    went_on = yield from goes_on(stage, scan)
    sight = yield from has_moved(stage, scan)
    if not went_on:
        sight = Sight(moved="a grant, valid for 0.5 s, that came after 1 s settled the scan", certain=True)
    good = "the scan was sent on after a grant, valid for 0.5 s, that came after 1 s"
    judge_still(stage, "GK-G-068", sight, good=good)


def try_once(stage: Stage) -> Script[None]:
    """Grant, and say it again."""
    yield from beating(stage)
    scan = yield from granted(stage, unlock=SHORT)
    if stage.question.has_contact:
        yield from listen(2.0, is_passage(PassageOutcome.NOT_TAKEN, scan.digest))
    else:
        yield from listen(AFTERMATH)
    first = len(stage.passages_of(scan))
    yield from look()
    yield say(stage, stage.answers[scan.digest].wire)
    yield from listen(AFTERMATH)
    sight = yield from has_moved(stage, scan, known=first)
    judge_still(stage, "GK-G-073", sight, good="nothing came of the second")


def try_waits(stage: Stage) -> Script[None]:
    """Ask for a short wait, and then for a longer one."""
    yield from beating(stage)
    scan = yield from present(stage)
    yield from lives(stage, scan)
    yield stage.settle(scan, Verdict.WAITING, valid=timedelta(seconds=1.5))
    went_on = yield from goes_on(stage, scan)
    sight = yield from has_moved(stage, scan)
    if not went_on:
        sight = Sight(moved="the scan was not sent on", certain=True)
    judge_still(stage, "GK-G-075", sight, good="the scan was sent on")
    yield stage.settle(scan, Verdict.WAITING, valid=timedelta(seconds=20))
    end = yield from listen(
        max(0.0, scan.at + 2.5 - stage.now), is_passage(PassageOutcome.NOT_TAKEN, scan.digest)
    )
    after = f"{end.at - scan.at:.1f} s" if end is not None else "not within a second"
    stage.judge(
        "GK-G-077",
        kept=end is not None and end.at - scan.at > 1.2,
        good=f"given up after {after} of a wait of 1.5 s",
        bad=f"given up after {after} of a wait of 1.5 s"
        if end
        else f"{after} given up after a wait of 1.5 s",
    )


def try_long_wait(stage: Stage) -> Script[None]:
    """Ask for a long wait, and grant within it."""
    yield from beating(stage)
    scan = yield from present(stage)
    yield from lives(stage, scan)
    wait = timedelta(seconds=9)
    yield stage.settle(scan, Verdict.WAITING, valid=wait)
    yield from listen(max(0.0, scan.at + DEADLINE + 0.2 - stage.now))
    if not (yield from goes_on(stage, scan)):
        stage.failed("GK-G-076", "the scan was given up within a wait of 9 s")
        return
    yield stage.settle(scan, Verdict.GRANTED, unlock=SHORT)
    went_on = yield from goes_on(stage, scan)
    released = yield from look()
    stage.judge(
        "GK-G-076",
        kept=not went_on and released is not False,
        good="a grant within a wait of 9 s, after more than five seconds, was believed",
        bad="a grant within a wait of 9 s, after more than five seconds, was not believed",
    )
    if stage.question.has_contact and not stage.passages_of(scan):
        yield from listen(1.0, is_passage(PassageOutcome.NOT_TAKEN, scan.digest))
