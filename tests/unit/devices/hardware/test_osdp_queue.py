"""What waits for an OSDP reader: a strike's commands are all sent, and first; of lamp and buzzer the newest."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from devices.core.events import Signal
from devices.hardware.osdp_format import OUTPUT, buzz, colour, held_output, released_output
from devices.hardware.osdp_queue import MOST_FOR_AN_OUTPUT, CommandQueue

FREE, HOLD = released_output(0, timedelta(seconds=3)), held_output(0)


def sent(queue: CommandQueue) -> list[dict[str, Any]]:
    """All that waits, as the library takes it."""
    taken = []
    while (command := queue.first) is not None:
        queue.took(command)
        taken.append(command)
    return taken


def shown(queue: CommandQueue, signal: Signal) -> None:
    queue.put(colour(signal))
    queue.put(buzz(signal))


def test_a_burst_of_signals_pushes_out_no_command_of_a_strike():
    queue = CommandQueue()
    queue.put(FREE)
    queue.put(HOLD)
    for _ in range(100):
        shown(queue, Signal.DENIED)
    assert sent(queue) == [FREE, HOLD, colour(Signal.DENIED), buzz(Signal.DENIED)]


def test_what_a_strike_is_told_goes_before_what_is_shown():
    queue = CommandQueue()
    shown(queue, Signal.GRANTED)
    queue.put(HOLD)
    assert sent(queue)[0] == HOLD


def test_a_newer_signal_takes_the_place_of_an_older():
    queue = CommandQueue()
    for signal in (Signal.GRANTED, Signal.BUSY, Signal.DENIED):
        shown(queue, signal)
    assert sent(queue) == [colour(Signal.DENIED), buzz(Signal.DENIED)]


def test_a_lamp_that_is_lit_for_a_while_falls_back_to_what_was_said_last_of_the_lamp_that_stays():
    queue = CommandQueue()
    for signal in (Signal.DENIED, Signal.READY, Signal.LOCKDOWN, Signal.DENIED):
        queue.put(colour(signal))
    assert sent(queue) == [colour(Signal.LOCKDOWN), colour(Signal.DENIED)]


def test_what_is_asked_of_the_reader_is_asked_once_and_by_no_signal_replaced():
    queue, question = CommandQueue(), {"command": 9, "type": 2}
    queue.put(question)
    shown(queue, Signal.DENIED)
    queue.put(question)
    assert sent(queue) == [colour(Signal.DENIED), buzz(Signal.DENIED), question]


def test_nothing_waits_for_a_reader_that_is_gone():
    queue = CommandQueue()
    queue.put(FREE)
    shown(queue, Signal.GRANTED)
    queue.clear()
    assert sent(queue) == []


COMMANDS = st.one_of(
    st.sampled_from(Signal).map(colour),
    st.sampled_from(Signal).map(buzz),
    st.integers(0, 3).map(held_output),
    st.integers(0, 3).map(lambda output: released_output(output, timedelta(seconds=3))),
)


@given(st.lists(COMMANDS, max_size=200))
def test_the_last_word_on_each_output_and_each_kind_of_show_is_sent_and_the_queue_is_bounded(
    commands: list[dict[str, Any]],
):
    queue = CommandQueue()
    for command in commands:
        queue.put(command)
    taken = sent(queue)
    for output in range(4):
        said = [each for each in commands if each["command"] == OUTPUT and each["output_no"] == output]
        got = [each for each in taken if each["command"] == OUTPUT and each["output_no"] == output]
        assert got == said[-MOST_FOR_AN_OUTPUT:]
    others = [each for each in taken if each["command"] != OUTPUT]
    assert len(others) <= 3
    last = [each for each in commands if each["command"] != OUTPUT][-1:]
    assert others[-1:] == last
