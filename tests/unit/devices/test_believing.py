"""Answers: one kind releases the strike, everything else is counted and changes nothing."""

from datetime import timedelta
from typing import Any

import pytest

from devices.core.door import DoorState
from devices.core.events import CancelTimer, Show, Signal, StartTimer, Timer, TimerKind, Unlock
from gatekeeper import cose
from gatekeeper.model.messages import Verdict
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import GRANTED, IN, OTHER_GATE, OUT, PLAIN, Talk, only, topic


def test_a_grant_releases_the_strike_of_the_scan_it_answers():
    talk = Talk.ready()
    scan = talk.scans()
    talk.passes(0.25)
    effects = talk.hears(talk.service.answer(scan, entry=4711))
    assert effects == [
        CancelTimer(timer=Timer(TimerKind.RESEND, IN)),
        CancelTimer(timer=Timer(TimerKind.DEADLINE, IN)),
        Unlock(access_point=IN, lasting=timedelta(seconds=4)),
        StartTimer(timer=Timer(TimerKind.UNLOCK, IN), after=timedelta(seconds=4)),
        Show(
            access_point=IN,
            signal=Signal.GRANTED,
            reason=GRANTED,
            entry=4711,
            waited=timedelta(seconds=0.25),
        ),
    ]
    (unlocked,) = talk.controller.tally.unlocks
    assert (unlocked.access_point, unlocked.entry, unlocked.at) == (IN, 4711, talk.at)
    assert list(talk.controller.tally.latencies) == [timedelta(seconds=0.25)]


def test_each_grant_moves_its_own_access_point():
    talk = Talk.ready()
    scans = {access_point: talk.scans(access_point) for access_point in (IN, OUT, PLAIN)}
    for access_point in (PLAIN, IN, OUT):
        (unlock,) = only(Unlock, talk.hears(talk.service.answer(scans[access_point])))
        assert unlock.access_point == access_point


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"gate": OTHER_GATE}, "answer-foreign"),
        ({"gate": OTHER_GATE, "aad": topic(Channel.DECISION, OTHER_GATE)}, "answer-forged"),
        ({"aad": topic(Channel.DECISION, OTHER_GATE)}, "answer-forged"),
        ({"aad": topic(Channel.COMMAND)}, "answer-forged"),
        ({"aad": ""}, "answer-forged"),
        ({"key": cose.SigningKey.generate()}, "answer-forged"),
        ({"typ": "application/pacs-command+cose"}, "answer-forged"),
        ({"message": bytes(32)}, "answer-unknown"),
        ({"verdict": Verdict.RECORDED, "unlock": None}, "answer-misplaced"),
        ({"valid": timedelta(0)}, "answer-late"),
    ],
)
def test_an_answer_that_is_not_for_this_scan_opens_nothing(terms: dict[str, Any], why: str):
    talk = Talk.ready()
    scan = talk.scans()
    assert talk.hears(talk.service.answer(scan, **terms)) == []
    assert talk.ignored() == {why: 1}
    # The question still stands.
    assert only(Unlock, talk.hears(talk.service.answer(scan)))


@pytest.mark.parametrize("signer", ["log", "root", "issuer"])
def test_a_key_of_the_site_that_is_not_for_decisions_decides_nothing(signer: str):
    talk = Talk.ready()
    scan = talk.scans()
    assert talk.hears(talk.service.answer(scan, key=getattr(talk.service, signer))) == []
    assert talk.ignored() == {"answer-forged": 1}


def test_the_gates_own_key_decides_nothing():
    talk = Talk.ready()
    scan = talk.scans()
    assert talk.hears(talk.service.answer(scan, key=talk.key)) == []


def test_one_bit_changed_anywhere_opens_nothing():
    talk = Talk.ready()
    scan = talk.scans()
    answer = talk.service.answer(scan)
    for at in range(len(answer)):
        assert talk.hears(answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]) == []
    assert only(Unlock, talk.hears(answer))


def test_bytes_that_are_no_answer_are_ignored():
    talk = Talk.ready()
    talk.scans()
    malformed = cose.sign(
        b"\xa0",
        key=talk.service.decision,
        typ="application/pacs-decision+cose",
        external_aad=topic(Channel.DECISION).encode(),
    )
    for wire in (b"", b"\xff" * 9000, malformed):
        assert talk.hears(wire) == []
    assert talk.ignored() == {"answer-forged": 2, "answer-malformed": 1}


def test_an_answer_to_an_earlier_scan_does_not_serve_a_later_one():
    talk = Talk.ready()
    first = talk.scans()
    grant = talk.service.answer(first)
    talk.fires(TimerKind.DEADLINE)
    talk.scans()
    assert talk.hears(grant) == []
    assert talk.ignored() == {"answer-late": 1}


def test_an_answer_counts_once():
    talk = Talk.ready()
    scan = talk.scans()
    grant = talk.service.answer(scan)
    assert only(Unlock, talk.hears(grant))
    assert talk.hears(grant) == []
    talk.fires(TimerKind.UNLOCK)
    assert talk.controller.door(IN) is DoorState.LOCKED
    assert talk.hears(grant) == []
    assert talk.ignored() == {"answer-repeated": 2}


def test_a_grant_after_a_denial_of_the_same_scan_opens_nothing():
    talk = Talk.ready()
    scan = talk.scans()
    talk.hears(talk.service.answer(scan, Verdict.DENIED))
    assert talk.hears(talk.service.answer(scan)) == []
    assert talk.ignored() == {"answer-repeated": 1}


@pytest.mark.parametrize(("after", "opens"), [(1.999, True), (2.0, False), (2.001, False)])
def test_a_grant_counts_while_it_is_valid_since_the_scan_was_first_sent(after: float, opens: bool):  # noqa: FBT001
    talk = Talk.ready()
    talk.at = 0.0
    scan = talk.scans()
    talk.fires(TimerKind.RESEND)  # does not make the scan younger
    talk.at = after
    effects = talk.hears(talk.service.answer(scan, valid=timedelta(seconds=2)))
    assert bool(only(Unlock, effects)) is opens


def test_a_grant_at_the_deadline_is_too_late_even_before_its_timer_ran_out():
    talk = Talk.ready()
    talk.at = 0.0
    scan = talk.scans()
    talk.at = 5.0
    assert talk.hears(talk.service.answer(scan)) == []
    assert talk.ignored() == {"answer-late": 1}


def test_a_late_grant_leaves_the_scan_to_be_given_up():
    talk = Talk.ready()
    scan = talk.scans()
    talk.passes(1.0)
    assert talk.hears(talk.service.answer(scan, valid=timedelta(milliseconds=500))) == []
    assert only(Show, talk.fires(TimerKind.DEADLINE)) == [Show(access_point=IN, signal=Signal.DENIED)]


def test_no_grant_releases_the_strike_for_longer_than_a_minute():
    talk = Talk.ready()
    scan = talk.scans()
    (unlock,) = only(Unlock, talk.hears(talk.service.answer(scan, unlock=timedelta(hours=10))))
    assert unlock.lasting == timedelta(seconds=60)


def test_a_scans_verdict_on_another_message_settles_nothing():
    talk = Talk.ready()
    talk.granted()
    talk.fires(TimerKind.UNLOCK)
    passage = talk.published[-1]
    assert talk.hears(talk.service.answer(passage.payload)) == []
    assert talk.hears(talk.service.answer(passage.payload, Verdict.DENIED)) == []
    assert talk.ignored() == {"answer-misplaced": 2}
    assert passage in talk.fires(TimerKind.JOURNAL, None)
