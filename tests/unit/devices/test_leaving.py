"""Ways out, fire, tamper and interlocked partners, told as transcripts."""

from datetime import timedelta

import pytest

from devices.core.controller import Exit
from devices.core.door import DoorState
from devices.core.events import (
    Append,
    ContactClosed,
    ContactOpened,
    ExitRequested,
    FireCleared,
    FireDetected,
    Lock,
    Show,
    Signal,
    TamperCleared,
    TamperOpened,
    TimerKind,
    Unlock,
)
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import CommandKind, Passage, PassageOutcome, StatusKind
from tests.unit.devices.ground import IN, OUT, Talk, only
from tests.unit.devices.test_door import told

RELEASED = {IN: {"exit": Exit.RELEASED}}
BY_FIRE = {IN: {"released_by_fire": True}}
WAY_OUT = [(StatusKind.EXIT_REQUESTED, IN), (PassageOutcome.EXITED, IN, None)]


def test_the_gate_hears_of_a_wired_way_out_and_the_opening_is_no_forced_one():
    talk = Talk.ready()
    assert only(Unlock, talk.happens(ExitRequested(IN))) == []
    effects = talk.happens(ContactOpened(IN))
    assert Lock(access_point=IN) in effects
    assert told(talk) == WAY_OUT
    talk.happens(ContactClosed(IN))
    assert talk.controller.door(IN) is DoorState.LOCKED
    assert told(talk) == WAY_OUT


def test_the_gate_releases_the_strike_on_the_button_where_the_site_says_so_and_only_there():
    talk = Talk.ready(doors=RELEASED)
    assert only(Unlock, talk.happens(ExitRequested(IN))) == [
        Unlock(access_point=IN, lasting=timedelta(seconds=10))
    ]
    assert only(Unlock, talk.happens(ExitRequested(OUT))) == []
    talk.happens(ContactOpened(IN))
    assert [word for word in told(talk) if IN in word] == WAY_OUT


def test_a_door_that_opens_long_after_the_button_is_forced():
    talk = Talk.ready()
    talk.happens(ExitRequested(IN))
    assert talk.fires(TimerKind.UNLOCK)[0] == Lock(access_point=IN)
    talk.happens(ContactOpened(IN))
    assert told(talk) == [WAY_OUT[0], (PassageOutcome.FORCED, IN, None)]


def test_the_button_pressed_again_is_told_once_and_counts_from_then():
    talk = Talk.ready()
    talk.happens(ExitRequested(IN))
    talk.passes(9)
    talk.happens(ExitRequested(IN))
    assert told(talk) == WAY_OUT[:1]
    talk.passes(9)
    talk.happens(ContactOpened(IN))
    assert told(talk) == WAY_OUT


def test_a_button_that_keeps_its_door_released_is_told_each_time():
    talk = Talk.ready(doors=RELEASED)
    for _ in range(40):
        talk.passes(9)
        assert only(Unlock, talk.happens(ExitRequested(IN)))
        talk.recorded()
    assert told(talk) == WAY_OUT[:1] * 40


def test_whoever_left_and_held_the_door_open_is_nobody_known():
    talk = Talk.ready()
    talk.happens(ExitRequested(IN))
    talk.happens(ContactOpened(IN))
    talk.fires(TimerKind.HELD)
    assert told(talk)[2:] == [(PassageOutcome.HELD_OPEN, IN, None)]


@pytest.mark.parametrize("way", [Exit.WIRED, Exit.RELEASED])
def test_a_lockdown_holds_nobody_in(way: Exit):
    talk = Talk.ready(doors={IN: {"exit": way}})
    talk.commanded(CommandKind.LOCK_DOWN, None)
    effects = talk.happens(ExitRequested(IN))
    assert bool(only(Unlock, effects)) is (way is Exit.RELEASED)
    talk.commanded(CommandKind.LOCK_DOWN, None)
    assert talk.controller.door(IN) is DoorState.EXITING
    talk.happens(ContactOpened(IN))
    talk.happens(ContactClosed(IN))
    assert talk.controller.door(IN) is DoorState.LOCKED_DOWN
    assert (PassageOutcome.EXITED, IN, None) in told(talk)


def test_who_is_granted_while_somebody_leaves_asks_again():
    talk = Talk.ready()
    scan = talk.scans()
    talk.happens(ExitRequested(IN))
    effects = talk.hears(talk.service.answer(scan))
    assert only(Unlock, effects) == []
    assert [shown.signal for shown in only(Show, effects)] == [Signal.BUSY]
    passages = [message for message in talk.messages() if isinstance(message, Passage)]
    assert [passage.outcome for passage in passages] == [PassageOutcome.NOT_TAKEN]


# -- fire -------------------------------------------------------------------------------------------------------------


def test_a_fire_is_told_and_releases_the_doors_that_are_configured_and_no_other():
    talk = Talk.ready(doors=BY_FIRE)
    effects = talk.happens(FireDetected())
    assert [unlock.access_point for unlock in only(Unlock, effects)] == [IN]
    # It is on its way to the disk first; nobody waits in a fire until it is there.
    assert effects.index(only(Append, effects)[0]) < effects.index(only(Unlock, effects)[0])
    assert told(talk) == [(StatusKind.FIRE, None)]
    assert talk.happens(FireDetected()) == []
    talk.happens(ContactOpened(IN))
    talk.happens(ContactClosed(IN))
    assert talk.controller.door(IN) is DoorState.FREE
    assert Lock(access_point=IN) in talk.happens(FireCleared())
    assert talk.controller.door(IN) is DoorState.LOCKED
    assert told(talk)[-1] == (StatusKind.FIRE_CLEARED, None)


def test_a_strike_stays_released_for_as_long_as_the_fire_lasts_and_falls_back_when_the_gate_ends():
    talk = Talk.ready(doors=BY_FIRE)
    [first] = only(Unlock, talk.happens(FireDetected()))
    before = talk.at
    [again] = only(Unlock, talk.fires(TimerKind.FIRE))
    assert talk.at - before < first.lasting.total_seconds()
    assert again == first


def test_a_timer_of_a_fire_that_is_over_releases_nothing():
    talk = Talk.ready(doors=BY_FIRE)
    talk.happens(FireDetected())
    talk.happens(FireCleared())
    assert talk.fires(TimerKind.FIRE) == []
    assert talk.controller.door(IN) is DoorState.LOCKED


def test_a_fire_goes_before_a_lockdown_which_comes_back_after_it():
    talk = Talk.ready(doors=BY_FIRE)
    talk.commanded(CommandKind.LOCK_DOWN, None)
    talk.happens(FireDetected())
    assert talk.controller.door(IN) is DoorState.FREE
    talk.happens(FireCleared())
    assert talk.controller.door(IN) is DoorState.LOCKED_DOWN


def test_a_door_left_open_after_a_fire_is_waited_for():
    talk = Talk.ready(doors=BY_FIRE)
    talk.happens(FireDetected())
    talk.happens(ContactOpened(IN))
    talk.happens(FireCleared())
    talk.fires(TimerKind.HELD)
    assert told(talk)[-1] == (PassageOutcome.HELD_OPEN, IN, None)


# -- tamper -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [None, IN])
def test_a_reader_that_is_tampered_with_is_not_asked_until_it_is_whole(place: AccessPointId | None):
    talk = Talk.ready()
    talk.happens(TamperOpened(place))
    assert talk.presents() == [Show(access_point=IN, signal=Signal.TAMPERED)]
    talk.happens(TamperCleared(place))
    talk.scans()
    assert told(talk) == [(StatusKind.TAMPER, place), (StatusKind.TAMPER_CLEARED, place)]


def test_the_other_readers_of_the_gate_go_on():
    talk = Talk.ready()
    talk.happens(TamperOpened(OUT))
    talk.scans(IN)


# -- partners ---------------------------------------------------------------------------------------------------------


def test_a_door_is_not_released_while_its_partner_is_not_shut():
    talk = Talk.ready(doors={IN: {"partners": frozenset({OUT})}, OUT: {"partners": frozenset({IN})}})
    scan = talk.scans(IN)
    talk.granted(OUT)
    effects = talk.hears(talk.service.answer(scan))
    assert only(Unlock, effects) == []
    assert [shown.signal for shown in only(Show, effects)] == [Signal.BUSY]
    talk.happens(ContactOpened(OUT))
    talk.happens(ContactClosed(OUT))
    talk.recorded()
    talk.granted(IN)
    assert talk.controller.door(IN) is DoorState.UNLOCKED


def test_a_partner_that_was_forced_keeps_the_other_shut_and_nobody_in():
    talk = Talk.ready(doors={IN: {"partners": frozenset({OUT})}})
    talk.happens(ContactOpened(OUT))
    talk.granted(IN)
    assert talk.controller.door(IN) is DoorState.LOCKED
    talk.happens(ExitRequested(IN))
    assert talk.controller.door(IN) is DoorState.EXITING
