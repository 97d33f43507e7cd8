"""Commands of the service: which a gate obeys, what it says of them, and what each does, told as transcripts."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from devices.core.belief import Ignored
from devices.core.commands import ServiceTime
from devices.core.door import DoorState
from devices.core.events import (
    BeaconReceived,
    CallOut,
    CardPresented,
    CommandReceived,
    ContactClosed,
    ContactOpened,
    ExitRequested,
    FireCleared,
    FireDetected,
    LinkUp,
    Lock,
    Publish,
    Restart,
    Show,
    Signal,
    Timer,
    TimerFired,
    TimerKind,
    Unlock,
)
from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, BootId, OperatorId
from gatekeeper.model.messages import CommandKind, Passage, PassageOutcome, Status, StatusKind, Verdict
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import CARD, GATE, IN, NOON, OTHER_GATE, OUT, PLAIN, Talk, only, topic

OPEN, LOCK_DOWN = CommandKind.OPEN, CommandKind.LOCK_DOWN
RELEASE, REBOOT = CommandKind.RELEASE, CommandKind.REBOOT


def told(talk: Talk) -> list[tuple]:
    """Passages and statuses with what they answer, in short."""
    return [
        (message.outcome, message.access_point, message.scan)
        if isinstance(message, Passage)
        else (message.kind, message.access_point, message.command)
        for message in talk.messages()
        if isinstance(message, Passage | Status)
    ]


def digest(wire: bytes) -> bytes:
    return hashlib.sha256(wire).digest()


def test_a_command_opens_its_door_once_and_what_the_contact_saw_carries_it():
    talk = Talk.ready()
    wire = talk.service.command(second=OperatorId("admin"))
    assert only(Unlock, talk.happens(CommandReceived(wire))) == [
        Unlock(access_point=IN, lasting=timedelta(seconds=4))
    ]
    talk.happens(ContactOpened(IN))
    assert told(talk) == [
        (StatusKind.OPENED, IN, digest(wire)),
        (PassageOutcome.TAKEN, IN, digest(wire)),
    ]
    assert only(Unlock, talk.happens(CommandReceived(wire))) == []
    assert talk.ignored() == {"command-repeated": 1}


def test_a_command_that_nobody_uses_is_told_as_not_taken():
    talk = Talk.ready()
    wire = talk.service.command()
    talk.happens(CommandReceived(wire))
    talk.fires(TimerKind.UNLOCK)
    assert told(talk)[1:] == [(PassageOutcome.NOT_TAKEN, IN, digest(wire))]


def lies(talk: Talk) -> dict[str, tuple[bytes, Ignored]]:
    command = talk.service.command
    return {
        "another key": (command(key=talk.key), Ignored.COMMAND_FORGED),
        "another topic": (command(aad=topic(Channel.COMMAND, OTHER_GATE)), Ignored.COMMAND_FORGED),
        "the topic of decisions": (command(aad=topic(Channel.DECISION)), Ignored.COMMAND_FORGED),
        "another type": (command(typ="application/pacs-decision+cose"), Ignored.COMMAND_FORGED),
        "no bytes": (b"", Ignored.COMMAND_FORGED),
        "eleven seconds": (command(valid=timedelta(seconds=11)), Ignored.COMMAND_MALFORMED),
        "no unlock time": (command(unlock=None), Ignored.COMMAND_MALFORMED),
        "another gate": (command(gate=OTHER_GATE), Ignored.COMMAND_FOREIGN),
        "another boot": (command(boot=BootId(b"boot-000")), Ignored.COMMAND_OTHER_BOOT),
        "ten seconds ago": (command(after=-10), Ignored.COMMAND_LATE),
        "in a quarter": (command(after=15), Ignored.COMMAND_LATE),
        "another door": (command(OPEN, AccessPointId("cellar")), Ignored.COMMAND_MISPLACED),
    }


@pytest.mark.parametrize("lie", lies(Talk()))
def test_a_command_that_does_not_count_moves_nothing_and_is_told_once(lie: str):
    talk = Talk.ready()
    wire, code = lies(talk)[lie]
    effects = talk.happens(CommandReceived(wire))
    assert not only(Unlock, effects)
    assert not only(Lock, effects)
    assert talk.ignored() == {code.value: 1}
    assert told(talk) == [(StatusKind.COMMAND_REFUSED, None, digest(wire))]
    talk.happens(CommandReceived(talk.service.command(key=talk.key)))
    talk.happens(CommandReceived(talk.service.command(key=talk.key)))
    kinds = 1 if code is Ignored.COMMAND_FORGED else 2
    assert len(told(talk)) == kinds


def in_a_lockdown(talk: Talk) -> None:
    talk.commanded(LOCK_DOWN, None)


def in_use(talk: Talk) -> None:
    talk.granted()
    talk.happens(ContactOpened(IN))


def beside_an_open_door(talk: Talk) -> None:
    talk.granted(OUT)
    talk.happens(ContactOpened(OUT))


def about_to_start_anew(talk: Talk) -> None:
    talk.commanded(REBOOT, None)


@pytest.mark.parametrize("stands", [in_a_lockdown, in_use, beside_an_open_door, about_to_start_anew])
def test_what_stands_in_the_way_of_a_command_is_another_reason_than_a_door_that_is_not_there(
    stands: Callable[[Talk], None],
):
    talk = Talk.ready(doors={IN: {"partners": frozenset({OUT})}})
    stands(talk)
    assert not only(Unlock, talk.commanded(OPEN, IN))
    assert talk.ignored() == {"command-prevented": 1}
    assert told(talk)[-1][0] is StatusKind.COMMAND_REFUSED
    talk.commanded(OPEN, AccessPointId("cellar"))
    assert talk.ignored() == {"command-prevented": 1, "command-misplaced": 1}


def test_a_command_behind_a_later_one_does_not_count():
    talk = Talk.ready()
    earlier, later = talk.service.command(), talk.service.command(RELEASE, None)
    talk.happens(CommandReceived(later))
    assert not only(Unlock, talk.happens(CommandReceived(earlier)))
    assert talk.ignored() == {"command-repeated": 1}


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_command_that_the_broker_kept_back_is_late():
    talk = Talk.ready()
    wire = talk.service.command()
    talk.passes(9.9)
    kept = talk.service.command()
    assert only(Unlock, talk.happens(CommandReceived(wire)))
    talk.passes(0.2)
    assert not only(Unlock, talk.happens(CommandReceived(kept)))
    assert talk.ignored() == {"command-late": 1}


def test_beacons_that_are_kept_back_make_no_command_younger():
    """The broker delivers each beacon a minute late, and then the command that it kept for as long."""
    talk = Talk.ready()
    wire = talk.service.command(after=10)
    talk.passes(70)
    talk.happens(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=10))))
    assert not only(Unlock, talk.happens(CommandReceived(wire)))
    assert talk.ignored() == {"command-late": 1}


def test_without_a_fresh_beacon_no_command_counts_and_nobody_is_blamed():
    talk = Talk.ready()
    talk.passes(31)
    assert not only(Unlock, talk.commanded(after=31))
    assert talk.ignored() == {"command-untimed": 1}
    assert told(talk) == []


def test_a_gate_that_was_never_answered_in_time_asks_once_more_before_it_obeys():
    talk = Talk()
    talk.happens(talk.started)
    talk.passes(6)
    talk.happens(LinkUp())
    talk.happens(BeaconReceived(talk.service.beacon()))
    [hello] = talk.published
    talk.hears(talk.service.answer(hello.payload, Verdict.RECORDED))
    assert not only(Unlock, talk.commanded())
    assert talk.ignored() == {"command-untimed": 1}
    assert told(talk) == [(StatusKind.ONLINE, None, None)]
    answered = talk.hears(talk.service.answer(talk.published[-1].payload, Verdict.RECORDED))
    assert only(Unlock, answered) == [Unlock(access_point=IN, lasting=timedelta(seconds=4))]
    assert len(talk.published) == 3  # hello, online, and that it opened


def quiet_night(*, lag: float) -> tuple[Talk, float]:
    """Sixteen hours in which nobody asks anything, and beacons come later and later: none is news for the clock."""
    talk, night = Talk.ready(), 16 * 3600.0
    talk.passes(night)
    talk.happens(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=night - lag))))
    return talk, night


def test_a_command_that_was_kept_back_in_a_quiet_night_opens_nothing():
    talk, night = quiet_night(lag=55)
    assert not only(Unlock, talk.commanded(after=night - 55))
    assert told(talk) == [(StatusKind.ONLINE, None, None)]
    online = talk.published[-1].payload
    answer = talk.service.answer(online, Verdict.RECORDED, issued=NOON + timedelta(seconds=night))
    assert not only(Unlock, talk.hears(answer))
    assert talk.ignored() == {"command-untimed": 1, "command-late": 1}


def test_the_first_command_after_a_quiet_night_opens_once_the_service_has_told_the_time():
    talk, night = quiet_night(lag=1)
    wire = talk.service.command(after=night)
    assert not only(Unlock, talk.happens(CommandReceived(wire)))
    online = talk.published[-1].payload
    answer = talk.service.answer(online, Verdict.RECORDED, issued=NOON + timedelta(seconds=night))
    assert len(only(Unlock, talk.hears(answer))) == 1
    assert not only(Unlock, talk.happens(CommandReceived(wire)))
    assert not only(Unlock, talk.hears(answer))
    assert talk.ignored() == {"command-untimed": 1, "command-repeated": 1, "answer-repeated": 1}


def test_of_two_commands_that_wait_for_the_time_the_later_is_obeyed_and_the_other_told():
    talk, night = quiet_night(lag=1)
    earlier, later = talk.service.command(OPEN, OUT, after=night), talk.service.command(OPEN, IN, after=night)
    talk.happens(CommandReceived(earlier))
    talk.happens(CommandReceived(later))
    assert talk.ignored() == {"command-untimed": 2, "command-overtaken": 1}
    assert (StatusKind.COMMAND_REFUSED, None, digest(earlier)) in told(talk)
    talk.happens(CommandReceived(earlier))
    assert talk.ignored() == {"command-untimed": 2, "command-overtaken": 2}
    [online] = {questions(talk)[0]}
    answer = talk.service.answer(online, Verdict.RECORDED, issued=NOON + timedelta(seconds=night))
    assert [unlock.access_point for unlock in only(Unlock, talk.hears(answer))] == [IN]


def now(talk: Talk) -> datetime:
    """What time it is at the service: a conversation begins at its noon, and at 1000 on the clock of its gate."""
    return NOON + timedelta(seconds=talk.at - 1000)


def questions(talk: Talk) -> list[bytes]:
    """What the gate has asked to be answered and nothing else, in order."""
    asked = {one.payload: talk.service.read(one) for one in talk.published}
    return [wire for wire, message in asked.items() if getattr(message, "kind", None) is StatusKind.ONLINE]


def answers_after(talk: Talk, seconds: float, *, rounds: int) -> None:
    """A service that answers all that it hears, and each time so much later."""
    answered: set[bytes] = set()
    for _ in range(rounds):
        fresh = [one.payload for one in talk.published if one.payload not in answered]
        answered.update(fresh)
        talk.passes(seconds)
        talk.happens(BeaconReceived(talk.service.beacon(issued=now(talk))))
        for wire in fresh:
            talk.hears(talk.service.answer(wire, Verdict.RECORDED, issued=now(talk)))


def test_a_service_that_answers_each_time_after_six_seconds_is_asked_for_the_time_once():
    talk = Talk()
    talk.happens(talk.started)
    talk.happens(LinkUp())
    answers_after(talk, 6, rounds=20)
    assert len(questions(talk)) == 1


def test_each_command_is_asked_for_once_while_the_service_is_slow_and_obeyed_when_it_is_quick_again():
    talk = Talk()
    talk.happens(talk.started)
    talk.happens(LinkUp())
    answers_after(talk, 6, rounds=5)
    for asked in (2, 3):
        wire = talk.service.command(LOCK_DOWN, None, issued=now(talk))
        for _ in range(3):
            talk.happens(CommandReceived(wire))
        answers_after(talk, 6, rounds=5)
        assert len(questions(talk)) == asked
    talk.commanded(OPEN, IN, issued=now(talk))
    talk.passes(0.8)
    quick = talk.service.answer(questions(talk)[-1], Verdict.RECORDED, issued=now(talk))
    assert only(Unlock, talk.hears(quick))
    assert len(questions(talk)) == 4


def test_a_service_that_answers_each_time_after_800_milliseconds_is_asked_for_nothing_else():
    talk = Talk()
    talk.happens(talk.started)
    talk.happens(LinkUp())
    answers_after(talk, 0.8, rounds=3)
    talk.commanded(OPEN, IN, issued=now(talk))
    answers_after(talk, 0.8, rounds=3)
    assert questions(talk) == []
    assert [kind for kind, *_ in told(talk)] == [StatusKind.OPENED]


def test_a_lockdown_that_is_said_anew_while_it_waits_for_the_time_is_counted_and_alarms_nobody():
    talk, night = quiet_night(lag=1)
    for _ in range(3):
        talk.commanded(LOCK_DOWN, None, after=night)
    assert talk.ignored() == {"command-untimed": 3, "command-overtaken": 2}
    assert StatusKind.COMMAND_REFUSED not in {kind for kind, *_ in told(talk)}


def test_what_nobody_signed_makes_a_gate_ask_for_nothing():
    talk, night = quiet_night(lag=1)
    sent = len(talk.published)
    talk.commanded(after=night, key=talk.key)
    assert [isinstance(talk.service.read(one), Status) for one in talk.published[sent:]] == [True]
    assert told(talk)[-1][0] is StatusKind.COMMAND_REFUSED


def test_the_services_time_is_never_ahead_of_a_clock_that_is_a_thousandth_slow():
    time = ServiceTime()
    assert time.earliest(at=0.0) is None
    time.hear(NOON, at=100.0)
    time.hear(NOON - timedelta(seconds=5), at=101.0)
    assert time.earliest(at=1100.0) == NOON + timedelta(seconds=999)
    time.hear(NOON + timedelta(seconds=1000), at=1100.0)
    assert time.earliest(at=1100.0) == NOON + timedelta(seconds=1000)


# -- lockdown ---------------------------------------------------------------------------------------------------------


def test_in_a_lockdown_no_grant_and_no_command_opens_until_it_is_released():
    talk = Talk.ready()
    scan = talk.scans()
    wire = talk.service.command(LOCK_DOWN, None)
    effects = talk.happens(CommandReceived(wire))
    assert [call.access_point for call in only(CallOut, effects) if call.signal is Signal.LOCKDOWN] == [
        IN,
        OUT,
        PLAIN,
    ]
    assert talk.controller.door(IN) is DoorState.LOCKED_DOWN
    effects = talk.hears(talk.service.answer(scan))
    assert only(Unlock, effects) == []
    assert [shown.signal for shown in only(Show, effects)] == [Signal.LOCKDOWN]
    assert not only(Unlock, talk.commanded())
    assert told(talk)[:2] == [
        (StatusKind.LOCKED_DOWN, None, digest(wire)),
        (PassageOutcome.NOT_TAKEN, IN, digest(scan)),
    ]
    talk.commanded(RELEASE, None)
    assert talk.controller.door(IN) is DoorState.LOCKED
    talk.recorded()
    talk.granted()
    assert talk.controller.door(IN) is DoorState.UNLOCKED


def test_a_lockdown_of_one_door_leaves_the_others():
    talk = Talk.ready()
    talk.commanded(LOCK_DOWN, IN)
    assert [talk.controller.door(door) for door in (IN, OUT)] == [DoorState.LOCKED_DOWN, DoorState.LOCKED]


def test_a_lockdown_takes_a_grant_back_that_nobody_has_used():
    talk = Talk.ready()
    scan = talk.granted()
    assert Lock(access_point=IN) in talk.commanded(LOCK_DOWN, None)
    assert (PassageOutcome.NOT_TAKEN, IN, digest(scan)) in told(talk)


def test_a_door_that_is_open_is_locked_down_once_it_is_closed():
    talk = Talk.ready()
    talk.granted()
    talk.happens(ContactOpened(IN))
    talk.commanded(LOCK_DOWN, None)
    assert talk.controller.door(IN) is DoorState.OPEN
    talk.happens(ContactClosed(IN))
    assert talk.controller.door(IN) is DoorState.LOCKED_DOWN


def test_who_badges_in_a_lockdown_is_still_asked_about_so_that_it_stands_in_the_log():
    talk = Talk.ready()
    talk.commanded(LOCK_DOWN, None)
    talk.scans()


def test_nothing_opens_after_a_restart_in_a_lockdown_before_the_service_was_heard():
    talk = Talk.ready()
    talk.commanded(LOCK_DOWN, None)
    talk.restarts(talk.controller.remembered)
    effects = talk.happens(CardPresented(access_point=IN, credential=CARD, gate_random=bytes(16)))
    assert effects == [Show(access_point=IN, signal=Signal.NO_SERVICE)]
    assert not only(Unlock, talk.commanded(boot=BootId(b"boot-001")))
    assert talk.ignored() == {"command-other-boot": 1}


# -- starting anew ----------------------------------------------------------------------------------------------------


def test_a_gate_secures_its_doors_says_so_and_starts_anew_when_that_is_recorded():
    talk = Talk.ready()
    scan = talk.granted()
    wire = talk.service.command(REBOOT, None)
    effects = talk.happens(CommandReceived(wire))
    assert {lock.access_point for lock in only(Lock, effects)} == {IN, OUT, PLAIN}
    assert not only(Restart, effects)
    assert told(talk) == [
        (PassageOutcome.NOT_TAKEN, IN, digest(scan)),
        (StatusKind.RESTARTING, None, digest(wire)),
    ]
    assert [shown.signal for shown in only(Show, talk.presents(OUT))] == [Signal.BUSY]
    talk.recorded()
    assert len(only(Restart, talk.did)) == 1


def test_a_gate_that_nobody_answers_starts_anew_all_the_same():
    talk = Talk.ready()
    talk.commanded(REBOOT, None)
    assert talk.fires(TimerKind.RESTART, None) == [Restart()]


def test_a_fire_keeps_a_gate_that_was_about_to_start_anew_until_it_is_over():
    talk = Talk.ready(doors={IN: {"released_by_fire": True}})
    talk.commanded(REBOOT, None)
    assert only(Unlock, talk.happens(FireDetected()))
    talk.did.clear()
    talk.recorded()
    assert not only(Restart, talk.did)
    assert not only(Restart, talk.happens(TimerFired(Timer(TimerKind.RESTART, None))))
    assert talk.controller.door(IN) is DoorState.FREE
    talk.happens(FireCleared())
    assert only(Restart, talk.fires(TimerKind.RESTART, None))


def test_a_gate_does_not_start_anew_while_it_burns():
    talk = Talk.ready()
    talk.happens(FireDetected())
    assert not only(Restart, talk.commanded(REBOOT, None))
    assert talk.ignored() == {"command-prevented": 1}


# -- together ---------------------------------------------------------------------------------------------------------


def test_a_scan_that_is_granted_while_a_command_has_the_door_released_takes_its_place():
    talk = Talk.ready()
    scan, wire = talk.scans(), talk.service.command()
    talk.happens(CommandReceived(wire))
    talk.hears(talk.service.answer(scan))
    talk.happens(ContactOpened(IN))
    assert told(talk) == [
        (StatusKind.OPENED, IN, digest(wire)),
        (PassageOutcome.NOT_TAKEN, IN, digest(wire)),
        (PassageOutcome.TAKEN, IN, digest(scan)),
    ]


@pytest.mark.parametrize("before", [None, ContactOpened(IN), ExitRequested(IN)])
def test_a_command_that_cannot_be_carried_out_is_told_as_not_taken(before: Any):
    talk = Talk.ready(doors={IN: {"partners": frozenset({OUT})}})
    talk.happens(before or ContactOpened(OUT))
    wire = talk.service.command()
    assert not only(Unlock, talk.happens(CommandReceived(wire)))
    assert (PassageOutcome.NOT_TAKEN, IN, digest(wire)) in told(talk)
    assert (StatusKind.COMMAND_REFUSED, None, digest(wire)) in told(talk)
    assert len(only(Publish, talk.did)) == len(told(talk))


def test_a_command_of_another_gate_is_of_another_topic():
    key = cose.SigningKey.generate()
    talk = Talk.ready()
    assert not only(Unlock, talk.commanded(key=key, gate=GATE))
