"""What an OSDP reader tells is read to the letter."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.events import Signal
from devices.hardware.osdp_format import Unread, buzz, colour, raw_frame, released_output, typed_keys
from devices.hardware.wiegand_format import Frame, Key


@given(st.text("01", min_size=9, max_size=128), st.sampled_from([0, 1]))
def test_the_bits_of_a_card_are_those_that_were_sent(bits: str, form: int):
    size = -(-len(bits) // 8)
    data = int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")
    event = {"format": form, "length": len(bits), "data": data}
    assert raw_frame(event) == Frame(int(bits, 2), len(bits))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"format": 2, "length": 26, "data": bytes(4)},
        {"format": 1, "length": 26, "data": bytes(3)},
        {"format": 1, "length": 26, "data": bytes(5)},
        {"format": 1, "length": 26, "data": b"\xff\xff\xff\xff"},
        {"format": 1, "length": 8, "data": b"\xff"},
        {"format": 1, "length": 129, "data": bytes(17)},
        {"format": 1, "length": True, "data": b"\x80"},
        {"format": 1, "length": 26, "data": "text"},
    ],
)
def test_a_card_event_that_does_not_fit_is_none(event: dict[str, object]):
    assert raw_frame(event) is Unread.MALFORMED


def test_keys_are_digits_star_and_hash():
    assert list(typed_keys(b"0189\x7f\r")) == [Key.ZERO, Key.ONE, Key.EIGHT, Key.NINE, Key.STAR, Key.HASH]
    assert set(typed_keys(bytes(set(range(256)) - set(b"0123456789\x7f\r")))) == {None}


@given(st.integers(1, 10**9))
def test_an_output_is_never_on_for_longer_than_was_said_but_for_the_reader_s_tenth(microseconds: int):
    lasting = timedelta(microseconds=microseconds)
    command = released_output(0, lasting)
    given_time = timedelta(milliseconds=100 * command["timer_count"])
    assert command["control_code"] == 5
    assert 1 <= command["timer_count"] <= 255
    assert given_time < lasting + timedelta(milliseconds=100)


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_has_a_look_that_the_library_takes(signal: Signal):
    lamp = colour(signal)
    assert lamp["temporary"] == ("timer_count" in lamp)
    assert (lamp["control_code"] == 2) == lamp["temporary"]
    assert all(0 <= value <= 255 for value in (*lamp.values(), *buzz(signal).values()))
