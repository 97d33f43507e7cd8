"""The door: what its contact and its grants make of it, told as transcripts."""

import hashlib
from datetime import timedelta
from itertools import product

import pytest

from devices.core.door import SHUT, TRANSITIONS, DoorAct, DoorInput, DoorState, standing, step
from devices.core.events import (
    CallOut,
    CancelTimer,
    ContactClosed,
    ContactOpened,
    LinkUp,
    Lock,
    Publish,
    ReaderHeard,
    ReaderLost,
    Show,
    Signal,
    StartTimer,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerKind,
    Unlock,
)
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import Passage, PassageOutcome, Status, StatusKind
from tests.unit.devices.ground import IN, OUT, PLAIN, Talk, only


def told(talk: Talk) -> list[tuple]:
    """Passages and statuses, in short."""
    short = []
    for message in talk.messages():
        match message:
            case Passage():
                short.append((message.outcome, message.access_point, message.scan))
            case Status():
                short.append((message.kind, message.access_point))
    return short


def digest(scan: bytes) -> bytes:
    return hashlib.sha256(scan).digest()


def test_whoever_goes_through_after_a_grant_is_told_as_taken_and_the_strike_falls_behind():
    talk = Talk.ready()
    scan = talk.granted()
    effects = talk.happens(ContactOpened(IN))
    assert effects[:2] == [CancelTimer(timer=Timer(TimerKind.UNLOCK, IN)), Lock(access_point=IN)]
    for kind, seconds in ((TimerKind.WARNED, 20), (TimerKind.HELD, 30)):
        assert StartTimer(timer=Timer(kind, IN), after=timedelta(seconds=seconds)) in effects
    assert told(talk) == [(PassageOutcome.TAKEN, IN, digest(scan))]
    assert talk.happens(ContactClosed(IN)) == [
        CancelTimer(timer=Timer(TimerKind.WARNED, IN)),
        CancelTimer(timer=Timer(TimerKind.HELD, IN)),
    ]
    assert talk.controller.door(IN) is DoorState.LOCKED
    talk.scans()


def test_a_grant_that_nobody_uses_is_told_as_not_taken():
    talk = Talk.ready()
    scan = talk.granted()
    effects = talk.fires(TimerKind.UNLOCK)
    assert effects[0] == Lock(access_point=IN)
    assert told(talk) == [(PassageOutcome.NOT_TAKEN, IN, digest(scan))]
    assert talk.controller.door(IN) is DoorState.LOCKED


def test_a_door_that_opens_without_a_grant_is_forced():
    talk = Talk.ready()
    effects = talk.happens(ContactOpened(IN))
    assert only(Unlock, effects) == []
    talk.happens(ContactClosed(IN))
    assert told(talk) == [(PassageOutcome.FORCED, IN, None), (StatusKind.CLOSED_AGAIN, IN)]


def test_a_door_that_opens_after_the_unlock_time_is_forced():
    talk = Talk.ready()
    scan = talk.granted()
    talk.fires(TimerKind.UNLOCK)
    talk.happens(ContactOpened(IN))
    assert told(talk) == [(PassageOutcome.NOT_TAKEN, IN, digest(scan)), (PassageOutcome.FORCED, IN, None)]


def test_a_door_held_open_says_so_once_and_says_when_it_is_closed_again():
    talk = Talk.ready()
    scan = talk.granted()
    talk.happens(ContactOpened(IN))
    talk.fires(TimerKind.HELD)
    effects = talk.happens(ContactClosed(IN))
    assert Lock(access_point=IN) in effects
    assert told(talk) == [
        (PassageOutcome.TAKEN, IN, digest(scan)),
        (PassageOutcome.HELD_OPEN, IN, digest(scan)),
        (StatusKind.CLOSED_AGAIN, IN),
    ]


def test_a_door_that_stays_open_asks_to_be_closed_before_it_tells_anybody():
    talk = Talk.ready()
    scan = talk.granted()
    talk.happens(ContactOpened(IN))
    assert talk.fires(TimerKind.WARNED) == [CallOut(IN, Signal.CLOSE_DOOR)]
    assert talk.controller.door(IN) is DoorState.WARNED
    effects = talk.happens(ContactClosed(IN))
    assert CancelTimer(timer=Timer(TimerKind.HELD, IN)) in effects
    assert effects[-1] == CallOut(IN, Signal.READY)
    assert told(talk) == [(PassageOutcome.TAKEN, IN, digest(scan))]


def test_a_door_that_was_asked_to_be_closed_in_vain_is_held():
    talk = Talk.ready()
    scan = talk.granted()
    talk.happens(ContactOpened(IN))
    talk.fires(TimerKind.WARNED)
    talk.fires(TimerKind.HELD)
    assert talk.controller.door(IN) is DoorState.HELD
    assert only(CallOut, talk.happens(ContactClosed(IN))) == [CallOut(IN, Signal.READY)]
    assert told(talk) == [
        (PassageOutcome.TAKEN, IN, digest(scan)),
        (PassageOutcome.HELD_OPEN, IN, digest(scan)),
        (StatusKind.CLOSED_AGAIN, IN),
    ]


def test_a_door_calls_out_only_while_it_is_open_too_long():
    """Whoever asked the door to be closed says when it need not be any more."""
    for (state, _), (after, acts) in TRANSITIONS.items():
        asks = {DoorState.WARNED, DoorState.HELD}
        assert (DoorAct.ASK_TO_CLOSE in acts) == (state not in asks and after in asks), (state, after)
        assert (DoorAct.STOP_ASKING in acts) == (state in asks and after not in asks), (state, after)


def test_a_forced_door_that_stays_open_is_held_as_well():
    talk = Talk.ready()
    talk.happens(ContactOpened(IN))
    talk.fires(TimerKind.HELD)
    assert told(talk) == [(PassageOutcome.FORCED, IN, None), (PassageOutcome.HELD_OPEN, IN, None)]


@pytest.mark.parametrize("opening", ["unlocked", "open", "warned", "forced", "held"])
def test_a_card_waits_until_the_door_is_closed_and_locked(opening: str):
    talk = Talk.ready()
    if opening in {"unlocked", "open", "warned", "held"}:
        talk.granted()
    if opening in {"open", "warned", "forced", "held"}:
        talk.happens(ContactOpened(IN))
    if opening == "warned":
        talk.fires(TimerKind.WARNED)
    if opening == "held":
        talk.fires(TimerKind.HELD)
    assert talk.controller.door(IN) == opening
    assert talk.presents() == [Show(access_point=IN, signal=Signal.BUSY)]


def test_a_door_forced_while_the_scan_was_decided_is_not_released():
    talk = Talk.ready()
    scan = talk.scans()
    talk.happens(ContactOpened(IN))
    effects = talk.hears(talk.service.answer(scan))
    assert only(Unlock, effects) == []
    assert [shown.signal for shown in only(Show, effects)] == [Signal.BUSY]
    assert told(talk) == [(PassageOutcome.FORCED, IN, None), (PassageOutcome.NOT_TAKEN, IN, digest(scan))]
    assert not talk.controller.tally.unlocks
    talk.happens(ContactClosed(IN))
    assert talk.controller.door(IN) is DoorState.LOCKED


def test_two_doors_of_one_gate_do_not_know_of_each_other():
    talk = Talk.ready()
    talk.granted(IN)
    talk.happens(ContactOpened(OUT))
    assert talk.controller.door(IN) is DoorState.UNLOCKED
    assert told(talk) == [(PassageOutcome.FORCED, OUT, None)]


def test_without_a_contact_nobody_says_whether_a_grant_was_used():
    talk = Talk.ready()
    talk.granted(PLAIN)
    effects = talk.fires(TimerKind.UNLOCK, PLAIN)
    assert effects == [Lock(access_point=PLAIN)]
    assert told(talk) == []


def test_without_a_contact_the_next_card_need_not_wait_for_the_lock():
    talk = Talk.ready()
    talk.granted(PLAIN)
    talk.passes(1)
    scan = talk.scans(PLAIN)
    effects = talk.hears(talk.service.answer(scan))
    assert Unlock(access_point=PLAIN, lasting=timedelta(seconds=4)) in effects
    assert StartTimer(timer=Timer(TimerKind.UNLOCK, PLAIN), after=timedelta(seconds=4)) in effects
    assert len(talk.controller.tally.unlocks) == 2


def test_a_contact_where_there_is_none_is_not_listened_to():
    talk = Talk.ready()
    assert talk.happens(ContactOpened(PLAIN)) == []
    assert talk.controller.door(PLAIN) is DoorState.LOCKED


def test_without_a_contact_a_scan_given_up_is_still_told_as_not_taken():
    talk = Talk.ready()
    scan = talk.scans(PLAIN)
    talk.fires(TimerKind.DEADLINE, PLAIN)
    assert told(talk) == [(PassageOutcome.NOT_TAKEN, PLAIN, digest(scan))]


@pytest.mark.parametrize("place", [IN, None])
def test_tampering_is_told(place: AccessPointId | None):
    talk = Talk.ready()
    talk.happens(TamperOpened(place))
    talk.happens(TamperCleared(place))
    assert told(talk) == [(StatusKind.TAMPER, place), (StatusKind.TAMPER_CLEARED, place)]


def test_a_reader_that_reports_by_itself_is_told_as_there_and_as_gone():
    talk = Talk.ready()
    talk.happens(ReaderHeard(IN))
    talk.happens(ReaderLost(IN))
    assert told(talk) == [(StatusKind.ONLINE, IN), (StatusKind.OFFLINE, IN)]


def test_only_a_grant_at_a_closed_door_unlocks():
    for state, happened in product(DoorState, DoorInput):
        _, acts = step(state, happened)
        if DoorAct.UNLOCK in acts:
            assert happened is DoorInput.GRANT
            assert state in {DoorState.LOCKED, DoorState.UNLOCKED}


def test_whatever_the_table_does_not_name_changes_nothing():
    for state, happened in product(DoorState, DoorInput):
        if (state, happened) not in TRANSITIONS:
            assert step(state, happened) == (state, ())


def test_every_way_out_of_a_released_strike_locks_it_but_a_fire():
    for (state, happened), (after, acts) in TRANSITIONS.items():
        if state in {DoorState.UNLOCKED, DoorState.EXITING} and after is not state:
            assert (DoorAct.LOCK in acts) is (happened is not DoorInput.FIRE)


def test_a_strike_is_released_for_a_grant_for_a_way_out_and_for_a_fire_only():
    allowed = {
        DoorAct.UNLOCK: DoorInput.GRANT,
        DoorAct.UNLOCK_TO_LEAVE: DoorInput.LET_OUT,
        DoorAct.UNLOCK_FOR_FIRE: DoorInput.FIRE,
    }
    for (_, happened), (_, acts) in TRANSITIONS.items():
        for act in allowed.keys() & set(acts):
            assert happened is allowed[act]


def test_every_grant_that_releases_nothing_is_told():
    for state, happened in product(DoorState, (DoorInput.GRANT, DoorInput.WITHHELD)):
        _, acts = step(state, happened)
        assert (DoorAct.UNLOCK in acts) is not (DoorAct.TELL_WITHHELD in acts), (state, happened)


def test_a_lockdown_holds_nobody_in():
    for state, happened in product(DoorState, (DoorInput.EXIT, DoorInput.LET_OUT)):
        locked = step(DoorState.LOCKED, happened)
        assert step(DoorState.LOCKED_DOWN, happened) == locked
        assert standing(state, lockdown=True, fire=False) is None or state is not DoorState.EXITING
    assert standing(DoorState.EXITING, lockdown=True, fire=False) is None


def test_every_state_follows_the_orders_that_stand_and_comes_to_rest():
    for state, lockdown, fire in product(DoorState, (False, True), (False, True)):
        now = state
        for _ in range(4):
            order = standing(now, lockdown=lockdown, fire=fire)
            if order is None:
                break
            assert (now, order) in TRANSITIONS
            now, _ = step(now, order)
        assert standing(now, lockdown=lockdown, fire=fire) is None
        assert (now in {DoorState.FREE, DoorState.FREE_OPEN}) is fire
        if lockdown and not fire:
            assert now not in {DoorState.LOCKED, DoorState.UNLOCKED}


def test_every_passage_carries_what_happened_and_nothing_is_published_twice():
    talk = Talk.ready()
    talk.granted()
    assert len(only(Publish, talk.happens(ContactOpened(IN)))) == 1


# -- a door of an interlock -------------------------------------------------------------------------------------------


def test_a_door_that_others_wait_for_says_after_every_passage_that_it_is_shut():
    talk = Talk.ready(interlocked={IN})
    scans = []
    for _ in range(2):
        scans.append(talk.granted())
        talk.happens(ContactOpened(IN))
        talk.happens(ContactClosed(IN))
        talk.recorded()
    passages = [((PassageOutcome.TAKEN, IN, digest(scan)), (StatusKind.CLOSED_AGAIN, IN)) for scan in scans]
    assert told(talk) == [*passages[0], *passages[1]]


def test_a_door_that_nobody_waits_for_says_no_more_than_before():
    talk = Talk.ready(interlocked={IN})
    scan = talk.granted(OUT)
    talk.happens(ContactClosed(OUT))
    talk.happens(ContactOpened(OUT))
    talk.happens(ContactClosed(OUT))
    assert told(talk) == [(PassageOutcome.TAKEN, OUT, digest(scan))]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_door_that_others_wait_for_says_once_that_it_is_closed_again(is_held: bool):  # noqa: FBT001
    talk = Talk.ready(interlocked={IN})
    talk.happens(ContactOpened(IN))
    if is_held:
        talk.fires(TimerKind.HELD)
    talk.happens(ContactClosed(IN))
    assert told(talk).count((StatusKind.CLOSED_AGAIN, IN)) == 1


def test_a_door_found_closed_at_the_start_is_secured_and_those_that_wait_for_it_are_told():
    talk = Talk(interlocked={IN})
    talk.happens(talk.started)
    assert only(Lock, talk.happens(ContactClosed(IN))) == [Lock(access_point=IN)]
    assert talk.happens(ContactClosed(OUT)) == [Lock(access_point=OUT)]
    talk.happens(LinkUp())
    talk.recorded()
    assert told(talk) == [(StatusKind.CLOSED_AGAIN, IN)]


def test_a_door_found_open_at_the_start_is_not_shut_until_it_closes():
    talk = Talk(interlocked={IN})
    talk.happens(talk.started)
    talk.happens(LinkUp())
    talk.recorded()
    talk.happens(ContactOpened(IN))
    assert told(talk) == [(PassageOutcome.FORCED, IN, None)]
    talk.happens(ContactClosed(IN))
    assert told(talk)[1:] == [(StatusKind.CLOSED_AGAIN, IN)]


def test_a_door_is_not_said_to_be_shut_while_it_may_be_released():
    talk = Talk.ready(interlocked={IN})
    scan = talk.scans()
    talk.happens(ContactClosed(IN))
    talk.hears(talk.service.answer(scan))
    assert talk.controller.door(IN) is DoorState.UNLOCKED
    talk.happens(ContactClosed(IN))
    assert told(talk) == []


def test_only_a_closed_door_that_is_locked_says_that_it_is_shut():
    for state, happened in product(DoorState, DoorInput):
        after, acts = step(state, happened)
        if {DoorAct.TELL_SHUT, DoorAct.TELL_CLOSED} & set(acts):
            assert after in SHUT or (state, after) == (DoorState.FREE_OPEN, DoorState.FREE)
            assert happened in {DoorInput.CLOSED, DoorInput.FIRE_OVER}
