"""What a gate says seldom: at once, then counted, and nothing is lost of the count; told as transcripts of refusals and of bypassed doors."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.belief import Ignored
from devices.core.events import (
    CommandReceived,
    OpenedItself,
    StartTimer,
    Timer,
    TimerFired,
    TimerKind,
    Unlock,
)
from devices.core.seldom import OPENINGS, REFUSALS, Pace, Seldom, Word
from gatekeeper.model.ids import AccessPointId, is_name
from gatekeeper.model.messages import Status, StatusKind
from tests.unit.devices.ground import IN, OUT, PLAIN, Talk, only
from tests.unit.devices.test_commanding import digest

FORGED = Word(kind=StatusKind.COMMAND_REFUSED, why=Ignored.COMMAND_FORGED)
LATE = Word(kind=StatusKind.COMMAND_REFUSED, why=Ignored.COMMAND_LATE)
OLD = Word(kind=StatusKind.POLICY_REFUSED, why=Ignored.SNAPSHOT_OLD)
HOUR = REFUSALS.within.total_seconds()


def test_each_kind_is_said_at_once_and_what_follows_is_held_back():
    seldom = Seldom()
    assert [seldom.take(word, pace=REFUSALS, at=0.0) for word in (FORGED, FORGED, LATE, OLD, FORGED)] == [
        1, 0, 1, 1, 0,
    ]  # fmt: skip
    assert seldom.next_due == HOUR
    assert seldom.over(at=HOUR - 1) == []
    assert seldom.over(at=HOUR) == [(FORGED, None, 2)]
    assert seldom.next_due is None


def test_what_happens_after_the_time_is_over_is_said_at_once_with_what_was_held_back():
    seldom = Seldom()
    for at in (0.0, 1.0, 2.0):
        seldom.take(FORGED, pace=REFUSALS, at=at)
    assert seldom.take(FORGED, pace=REFUSALS, at=HOUR) == 3
    assert seldom.next_due is None


def test_a_flood_is_said_once_in_each_time_and_a_calm_kind_begins_anew():
    seldom, pace = Seldom(), Pace(most=3, within=timedelta(seconds=60))
    said = [seldom.take(FORGED, pace=pace, at=float(second)) for second in range(60)]
    assert (said[:3], set(said[3:])) == ([1, 1, 1], {0})
    assert seldom.over(at=60.0) == [(FORGED, None, 57)]
    assert [seldom.take(FORGED, pace=pace, at=at) for at in (61.0, 62.0)] == [0, 0]
    assert seldom.over(at=120.0) == [(FORGED, None, 2)]
    assert seldom.over(at=180.0) == []
    assert [seldom.take(FORGED, pace=pace, at=at) for at in (181.0, 182.0)] == [1, 1]


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from([FORGED, LATE]), st.booleans()), max_size=60))
def test_nothing_goes_uncounted_and_nobody_fills_the_log(happened: list[tuple[float, Word, bool]]):
    seldom, pace, at = Seldom(), Pace(most=2, within=timedelta(seconds=60)), 0.0
    taken = counted = words = 0
    for after, word, asked in happened:
        at += after
        count = seldom.take(word, pace=pace, at=at)
        said = [count] if count else []
        if asked:
            said += [held for _, _, held in seldom.over(at=at)]
        taken, counted, words = taken + 1, counted + sum(said), words + len(said)
    rest = seldom.over(at=at + 60)
    assert counted + sum(held for _, _, held in rest) == taken
    assert words <= 2 * (pace.most + 1) * (at // 60 + 1)


@pytest.mark.parametrize("code", Ignored)
def test_every_code_is_one_that_a_status_may_carry(code: Ignored):
    assert is_name(code.value)


# -- refusals -------------------------------------------------------------------------------------------------------------


def statuses(talk: Talk) -> list[Status]:
    return [message for message in talk.messages() if isinstance(message, Status)]


def causes(talk: Talk) -> list[tuple[str | None, int | None]]:
    return [(status.why, status.count) for status in statuses(talk)]


def test_what_was_refused_says_why_and_another_cause_is_told_although_one_was():
    talk = Talk.ready()
    for how in ({"key": talk.key}, {"key": talk.key}, {"after": -10}, {"key": talk.key}):
        talk.commanded(**how)
    assert causes(talk) == [("command-forged", None), ("command-late", None)]


def test_the_same_cause_is_told_again_after_an_hour_with_how_often_and_the_newest_command():
    talk = Talk.ready()
    wires = [talk.service.command(key=talk.key) for _ in range(4)]
    for wire in wires:
        talk.happens(CommandReceived(wire))
        talk.passes(60)
    talk.fires(TimerKind.HELD_BACK, None)
    assert talk.at >= 1000 + HOUR
    first, later = statuses(talk)
    assert (first.command, first.count) == (digest(wires[0]), None)
    assert (later.command, later.count, later.why) == (digest(wires[3]), 3, "command-forged")
    # In the hour after, one more is held back; nothing was held back in the one after that.
    talk.happens(CommandReceived(wires[0]))
    talk.fires(TimerKind.HELD_BACK, None)
    assert causes(talk)[2:] == [("command-forged", None)]
    talk.passes(HOUR)
    talk.happens(CommandReceived(wires[1]))
    assert causes(talk)[3:] == [("command-forged", None)]


def test_a_command_that_is_repeated_for_ever_costs_one_status_an_hour():
    talk = Talk.ready()
    wire = talk.service.command(key=talk.key)
    for _ in range(600):
        talk.happens(CommandReceived(wire))
        talk.passes(60)
        due = [one for one in only(StartTimer, talk.did) if one.timer.kind is TimerKind.HELD_BACK]
        if due and talk.at >= 1000 + HOUR * len(statuses(talk)):
            talk.happens(TimerFired(due[-1].timer))
    assert len(statuses(talk)) <= 1 + 10
    assert sum(count or 1 for _, count in causes(talk)) >= 540


# -- doors that are opened past the gate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("access_point", [IN, PLAIN], ids=["with a contact", "without"])
def test_a_door_that_its_device_opened_is_told_each_time_and_moves_nothing(access_point: AccessPointId):
    talk = Talk.ready()
    state = talk.controller.door(access_point)
    for _ in range(3):
        assert not only(Unlock, talk.happens(OpenedItself(access_point)))
        talk.passes(20)
    told = [(status.kind, status.access_point, status.count) for status in statuses(talk)]
    assert told == [(StatusKind.OPENED_ITSELF, access_point, None)] * 3
    assert talk.controller.door(access_point) is state


def test_a_flood_of_openings_at_one_door_hides_neither_their_number_nor_another_door():
    talk = Talk.ready()
    for _ in range(OPENINGS.most + 25):
        talk.happens(OpenedItself(IN))
    talk.happens(OpenedItself(OUT))
    assert [status.access_point for status in statuses(talk)] == [IN] * OPENINGS.most + [OUT]
    effects = talk.fires(TimerKind.HELD_BACK, None)
    assert statuses(talk)[-1].count == 25
    assert Timer(TimerKind.HELD_BACK) not in [one.timer for one in only(StartTimer, effects)]


def test_a_door_of_another_gate_is_none():
    with pytest.raises(KeyError):
        Talk.ready().happens(OpenedItself(AccessPointId("elsewhere")))
