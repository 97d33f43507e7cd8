"""The way up: the hello, the beacon, the scan, and what becomes of a scan that nobody answers."""

from datetime import timedelta
from itertools import pairwise

from devices.conformance.script import Ask, Do, Reply, Script, ask, listen, look, send
from devices.conformance.site import CARD
from devices.conformance.stage import BEACON_PERIOD, Heard, Stage
from devices.conformance.trials.pieces import (
    AFTERMATH,
    ARRIVAL,
    DEADLINE,
    CannotJudgeError,
    about,
    beating,
    copy_after,
    goes_on,
    grant,
    has_moved,
    is_passage,
    judge_hello,
    judge_still,
    named,
    present,
    present_in_vain,
    say,
    shut_after_start,
)
from gatekeeper.model.messages import PassageOutcome, Scan, Verdict

__all__ = ["try_beacons", "try_first_scan", "try_first_words", "try_no_beacon", "try_silence"]


def try_first_words(stage: Stage) -> Script[None]:
    """Start the gate, and let it wait for the answer to its hello."""
    stage.records = False
    question = Ask(
        do=Do.START,
        sentence="Start the gate, with the anchor, the trust list and the broker it was given.",
        wanted=lambda one: one.copy == 0,
        within=30.0,
    )
    first = yield from ask(question)
    if isinstance(first, Reply):
        raise CannotJudgeError("nothing was heard of the gate after its start")
    judge_hello(stage, first)
    times = [first.at]
    lies = [
        stage.service.answer(first.digest, Verdict.RECORDED, issued=stage.wall, key="stranger"),
        stage.service.answer(first.digest, Verdict.DENIED, issued=stage.wall),
        None,
    ]
    for lie in lies:
        copy = yield from listen(4.0, copy_after(first, stage.now))
        if copy is None:
            break
        times.append(copy.at)
        if lie is not None:
            yield say(stage, lie)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    rhythm = bool(gaps) and all(about(gap, 0.3 * 2**number) for number, gap in enumerate(gaps))
    seen = ", ".join(f"{gap:.2f} s" for gap in gaps) or "it came once"
    stage.judge("GK-G-090", kept=rhythm, good=seen, bad=seen)
    if gaps:
        stage.judge(
            "GK-G-092",
            kept=len(gaps) == len(lies),
            good="it was sent on after a stranger's answer, and after a denial",
            bad="it was not sent on after an answer that is none",
        )
    stage.records = True
    yield stage.settle(first, Verdict.RECORDED)
    yield from shut_after_start(stage, since=0)


def try_no_beacon(stage: Stage) -> Script[None]:
    """Present a badge before there is a beacon."""
    yield from present_in_vain("GK-G-041", stage, "no scan came")
    yield from stage.beats_again()
    yield from listen(ARRIVAL)


def try_first_scan(stage: Stage) -> Script[None]:
    """Present a badge, and grant it."""
    yield from beating(stage)
    scan = yield from present(stage)
    said = scan.message
    if not isinstance(said, Scan):
        raise CannotJudgeError("the scan cannot be read")
    wanted = (stage.question.access_point, stage.question.badges[CARD])
    stage.judge(
        "GK-G-050",
        kept=(said.access_point, said.credential) == wanted,
        good=f"a scan of {said.access_point}, with the number of the card",
        bad=f"a scan of {said.access_point}, not of {wanted[0]} with what the card presents",
    )
    newest = stage.beacons_sent[-1][0]
    stage.judge("GK-G-040", kept=said.beacon == newest, good="the newest", bad=f"{said.beacon.hex()}")
    unlock = timedelta(milliseconds=700)
    long_ago = stage.wall - timedelta(days=400)
    yield stage.settle(scan, Verdict.GRANTED, unlock=unlock, issued=long_ago)
    if (yield from goes_on(stage, scan)):
        stage.failed("GK-G-071", "a grant that was issued 400 days ago by the wall clock was not believed")
        yield stage.settle(scan, Verdict.GRANTED, unlock=unlock)
        if (yield from goes_on(stage, scan)):
            stage.failed("GK-G-070", "the scan was sent on after a grant")
            raise CannotJudgeError("no grant was believed")
    else:
        stage.passed("GK-G-071", "a grant that was issued 400 days ago by the wall clock counts")
    released = yield from look()
    stage.judge(
        "GK-G-070",
        kept=released is not False,
        good="the scan was settled" + (", and the strike released" if released else ""),
        bad="the scan was settled, and the strike was not released",
    )
    if stage.question.has_contact:
        yield from _unused(stage, scan)


def _unused(stage: Stage, scan: Heard) -> Script[None]:
    if not stage.passages_of(scan):
        yield from listen(2.0, is_passage(PassageOutcome.NOT_TAKEN, scan.digest))
    found = [passage.outcome for passage in stage.passages_of(scan)]
    stage.judge(
        "GK-G-081",
        kept=found == [PassageOutcome.NOT_TAKEN],
        good="not-taken, with the scan",
        bad=f"{named(found)} of a grant that nobody used",
    )


def try_silence(stage: Stage) -> Script[None]:
    """Present a badge, say nothing until it is given up, and grant it then."""
    yield from beating(stage)
    scan = yield from present(stage)
    left = scan.at + DEADLINE + 1.5 - stage.now
    yield from listen(left, is_passage(PassageOutcome.NOT_TAKEN, scan.digest))
    told = stage.passages_of(scan)
    yield from listen(max(0.0, scan.at + DEADLINE + 0.4 - stage.now))
    times = [one.at - scan.at for one in stage.copies_of(scan)]
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    middle = gaps[len(gaps) // 2] if gaps else 0.0
    stage.judge(
        "GK-G-051",
        kept=about(middle, 0.3) and times[-1] > 0.8 * DEADLINE,
        good=f"{len(gaps)} times, {middle:.2f} s apart",
        bad=f"{len(gaps)} times, {middle:.2f} s apart, the last after {times[-1]:.1f} s",
    )
    stage.judge(
        "GK-G-052",
        kept=times[-1] <= DEADLINE + 0.3,
        good=f"the last after {times[-1]:.1f} s",
        bad=f"still sent after {times[-1]:.1f} s",
    )
    outcomes = [passage.outcome for passage in told]
    stage.judge(
        "GK-G-053",
        kept=outcomes == [PassageOutcome.NOT_TAKEN],
        good="not-taken, with the scan",
        bad=f"{named(outcomes)} within {stage.now - scan.at:.1f} s",
    )
    yield from look()
    yield grant(stage, scan)
    yield from listen(AFTERMATH)
    sight = yield from has_moved(stage, scan, known=len(told))
    judge_still(stage, "GK-G-074", sight, good="nothing came of it")
    yield stage.settle(scan, Verdict.DENIED)


def try_beacons(stage: Stage) -> Script[None]:
    """Fall silent, repeat, go back, and have a stranger speak."""
    period = stage.question.period
    most = 3 * period.total_seconds() + ARRIVAL
    yield from stage.beats_again(period)
    stage.beacons = False
    yield from listen(most)
    yield from present_in_vain("GK-G-042", stage, f"no scan came {most:.1f} s after the last beacon")
    new = stage.beacon()
    yield new
    for _ in range(3):
        yield from listen(period.total_seconds())
        yield new
    yield from listen(ARRIVAL)
    yield from present_in_vain("GK-G-043", stage, "no scan came")
    yield from stage.beats_again()
    yield from listen(ARRIVAL)
    former, (newest, _) = stage.beacons_sent[-2], stage.beacons_sent[-1]
    yield from send(stage.service.beacon_topic, former[1])
    later = stage.wall + timedelta(seconds=1)
    forged, wire = stage.service.beacon(later, period=BEACON_PERIOD, key="stranger")
    yield from send(stage.service.beacon_topic, wire)
    yield from listen(ARRIVAL)
    scan = yield from present(stage)
    said = scan.message.beacon if isinstance(scan.message, Scan) else b""
    good = "the scan carries the newest"
    stage.judge("GK-G-044", kept=said != former[0], good=good, bad="the scan carries an older one")
    stage.judge("GK-G-045", kept=said != forged, good=good, bad="the scan carries a stranger's")
    if said not in {former[0], forged}:
        stage.judge("GK-G-040", kept=said == newest, good="the newest", bad=said.hex())
    yield stage.settle(scan, Verdict.DENIED)
