"""Patience: while a guard looks at a face the gate keeps the scan longer, asks on, and opens nothing by itself."""

from datetime import timedelta

import pytest

from devices.core.events import Show, Signal, StartTimer, Timer, TimerKind, Unlock
from gatekeeper.model.messages import PassageOutcome, Verdict
from gatekeeper.model.reasons import Reason
from tests.unit.devices.ground import IN, Talk, only

WAIT = timedelta(seconds=20)
LOOK = Reason.VERIFICATION_REQUIRED.bacnet


def _waiting(talk: Talk, scan: bytes, *, valid: timedelta = WAIT) -> bytes:
    return talk.service.answer(scan, Verdict.WAITING, unlock=None, valid=valid, reason=LOOK)


def test_a_wait_opens_nothing_and_tells_whoever_stands_there():
    talk = Talk.ready()
    scan = talk.scans()
    talk.passes(0.5)
    effects = talk.hears(_waiting(talk, scan))
    assert only(Unlock, effects) == []
    assert StartTimer(timer=Timer(TimerKind.DEADLINE, IN), after=WAIT - timedelta(seconds=0.5)) in effects
    (shown,) = only(Show, effects)
    assert (shown.signal, shown.reason) == (Signal.WAITING, LOOK)


def test_a_grant_within_the_wait_opens_though_five_seconds_are_long_over():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(_waiting(talk, scan))
    talk.passes(19.9)
    assert only(Unlock, talk.hears(talk.service.answer(scan)))


def test_a_grant_after_the_wait_opens_nothing():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(_waiting(talk, scan))
    talk.passes(20)
    assert only(Unlock, talk.hears(talk.service.answer(scan))) == []
    assert talk.ignored() == {"answer-late": 1}


def test_without_a_wait_a_grant_is_late_after_five_seconds_as_ever():
    talk = Talk.ready()
    scan = talk.scans()
    talk.passes(5)
    assert only(Unlock, talk.hears(talk.service.answer(scan))) == []


def test_a_wait_is_granted_once_and_never_made_longer():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(_waiting(talk, scan))
    talk.passes(15)
    assert talk.hears(_waiting(talk, scan, valid=timedelta(seconds=60))) == []
    talk.passes(6)
    assert only(Unlock, talk.hears(talk.service.answer(scan))) == []


def test_a_denial_after_a_wait_ends_it():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(_waiting(talk, scan))
    talk.passes(3)
    (shown,) = only(Show, talk.hears(talk.service.answer(scan, Verdict.DENIED, unlock=None)))
    assert shown.signal is Signal.DENIED
    assert talk.controller.tally.denied == 1


def test_when_the_wait_is_over_the_scan_is_given_up_and_nobody_went_through():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(_waiting(talk, scan))
    talk.passes(20)
    talk.fires(TimerKind.DEADLINE)
    (passage,) = [one for one in talk.messages() if getattr(one, "outcome", None) is not None]
    assert passage.outcome is PassageOutcome.NOT_TAKEN  # type: ignore[union-attr]


def test_the_next_person_does_not_inherit_the_patience():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(_waiting(talk, scan))
    talk.hears(talk.service.answer(scan, Verdict.DENIED, unlock=None))
    next_scan = talk.scans()
    talk.passes(5)
    assert only(Unlock, talk.hears(talk.service.answer(next_scan))) == []


@pytest.mark.parametrize("valid", [timedelta(seconds=61), timedelta(minutes=10)])
def test_a_wait_of_more_than_a_minute_is_no_answer(valid: timedelta):
    talk = Talk.ready()
    scan = talk.scans()
    assert talk.hears(_waiting(talk, scan, valid=valid)) == []
    assert talk.ignored() == {"answer-malformed": 1}
