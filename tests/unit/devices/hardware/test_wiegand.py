"""Pulses become the one card that they are, or nothing."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.bridges.tasmota_format import read_sensor
from devices.hardware.wiegand_format import (
    FORMATS,
    Frame,
    FrameCollector,
    Key,
    NoCard,
    format_named,
    overlapping,
    read_frame,
)
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.card_numbers import read_card_number
from tests.support.wiegand import frame_bits, key_bits, spelled

PARITY = tuple(FORMATS.values())
MILLISECOND = 1_000_000
LENGTHS = st.sampled_from([24, 26, 32, 34, 37])


def frame(bits: str) -> Frame:
    return Frame(int(bits, 2), len(bits))


def collected(pulses: Iterable[tuple[str, int]]) -> list[Frame]:
    """The frames of pulses, each with the nanoseconds since the one before."""
    collector, at, frames = FrameCollector(), 0, []
    for bit, after in pulses:
        at += after
        frames.append(collector.pulse(int(bit), at))
    return [found for found in (*frames, collector.end()) if found is not None]


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        # site 118 and card 41064: 0x76, 0xA068; what Tasmota's documents print for 34 bits is 4302741608
        ("1" + f"{0x76A068:024b}" + "0", "0076a068"),
        ("1" + f"{0x0076A068:032b}" + "0", "010076a068"),
        # H10304: site 1, card 1, and the same bits sold as the H10302 card 524289
        ("1" + f"{1:016b}{1:019b}" + "0", "0000080001"),
    ],
)
def test_cards_worked_out_by_hand(bits: str, number: str):
    assert read_frame(frame(bits), PARITY) == Card(CardTechnology.WIEGAND, bytes.fromhex(number))


@given(LENGTHS, st.data())
def test_every_card_of_every_format_is_spelled_as_the_contract_spells_it(length: int, data: st.DataObject):
    number = data.draw(st.integers(1, (1 << (length - 2)) - 1))
    card = read_frame(frame(frame_bits(length, number)), PARITY)
    assert card == Card(CardTechnology.WIEGAND, spelled(length, number))


@given(st.sampled_from([24, 26, 32, 34]), st.data())
def test_a_card_is_the_same_at_a_bridge(length: int, data: st.DataObject):
    number = data.draw(st.integers(1, (1 << (length - 2)) - 1))
    pulses = frame_bits(length, number)
    # Tasmota drops both parity bits, but for the first one at 34 bits.
    uid = int(pulses[:-1] if length == 34 else pulses[1:-1], 2)
    reading = {"Time": "2026-11-29T07:30:00", "Wiegand": {"UID": uid, "Size": length}}
    assert read_frame(frame(pulses), PARITY) == read_sensor(json.dumps(reading).encode())


@pytest.mark.parametrize(
    ("written", "length", "number"),
    [
        ("wiegand:7774312/26", 26, 118 * 65_536 + 41_064),
        ("wiegand:4302741608/34", 34, 7_774_312),
        ("wiegand:524289/37", 37, 1 * 524_288 + 1),
    ],
)
def test_a_card_is_issued_as_it_is_read(written: str, length: int, number: int):
    """As README.md beside the hardware says to write them."""
    assert read_card_number(written) == read_frame(frame(frame_bits(length, number)), PARITY)


@given(LENGTHS, st.data())
def test_a_bit_that_is_misread_is_no_card(length: int, data: st.DataObject):
    pulses = frame_bits(length, data.draw(st.integers(1, (1 << (length - 2)) - 1)))
    flipped = frame(pulses).bits ^ (1 << data.draw(st.integers(0, length - 1)))
    assert read_frame(Frame(flipped, length), PARITY) is NoCard.PARITY


@given(st.integers(0, 64), st.data())
def test_a_length_that_the_reader_does_not_take_is_no_card(length: int, data: st.DataObject):
    bits = data.draw(st.integers(0, (1 << length) - 1))
    wiegand26 = (FORMATS["26"],)
    found = read_frame(Frame(bits, length), wiegand26)
    assert length in {4, 8, 26} or found is NoCard.LENGTH


@pytest.mark.parametrize("length", [24, 26, 32, 34, 37])
def test_a_number_of_zero_is_no_card(length: int):
    assert read_frame(frame(frame_bits(length, 0)), PARITY) is NoCard.ZERO
    assert read_frame(Frame(0, length), PARITY) is NoCard.PARITY, "a wire that is stuck"


@pytest.mark.parametrize("length", [4, 8])
@pytest.mark.parametrize("key", [*"0123456789", "*", "#"])
def test_a_key_is_a_key_whatever_cards_are_taken(length: int, key: str):
    assert read_frame(frame(key_bits(key, length=length)), ()) is Key(key)


@given(st.integers(0, 255))
def test_an_eight_bit_key_whose_halves_differ_is_none(bits: int):
    key = read_frame(Frame(bits, 8), ())
    low, high = bits & 15, bits >> 4
    assert isinstance(key, Key) == (low + high == 15 and low < 12)


@pytest.mark.parametrize("bits", [12, 13, 14, 15])
def test_a_four_bit_key_that_no_keypad_has_is_none(bits: int):
    assert read_frame(Frame(bits, 4), ()) is NoCard.KEY


@pytest.mark.parametrize(
    ("name", "length", "technology"),
    [
        ("raw-16", 16, CardTechnology.WIEGAND),
        ("raw-128", 128, CardTechnology.WIEGAND),
        ("uid-32", 32, CardTechnology.MIFARE),
        ("uid-56", 56, CardTechnology.MIFARE),
    ],
)
def test_bits_without_parity_are_the_number(name: str, length: int, technology: CardTechnology):
    form = format_named(name)
    assert form is not None
    number = bytes(range(1, length // 8 + 1))
    card = read_frame(Frame(int.from_bytes(number, "big"), length), [form])
    assert card == Card(technology, number)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "25",
        "raw",
        "raw-",
        "raw-15",
        "raw-129",
        "raw-032",
        "raw-1e1",
        "raw-٣٢",
        "uid-33",
        "Raw-32",
        "raw-9999",
    ],
)
def test_a_name_that_is_no_format_is_none(name: str):
    assert format_named(name) is None


def test_two_formats_of_one_length_overlap():
    raw = format_named("raw-32")
    assert raw is not None
    assert overlapping([FORMATS["32"], raw])
    assert not overlapping(PARITY)


@given(st.lists(st.text("01", min_size=1, max_size=64), min_size=1, max_size=6), st.data())
def test_silence_parts_frames_and_nothing_else_does(frames: list[str], data: st.DataObject):
    within = st.integers(MILLISECOND // 5, 24 * MILLISECOND)
    pulses = [
        (bit, data.draw(within) if place else data.draw(st.integers(25 * MILLISECOND, 10**10)))
        for bits in frames
        for place, bit in enumerate(bits)
    ]
    assert collected(pulses) == [frame(bits) for bits in frames]


@given(st.text("01", min_size=1, max_size=40), st.integers(0, 99_999), st.data())
def test_pulses_closer_than_a_reader_sends_them_are_noise(bits: str, close: int, data: st.DataObject):
    pulses = [(bit, MILLISECOND) for bit in bits]
    place = data.draw(st.integers(1, len(bits)))
    pulses.insert(place, (data.draw(st.sampled_from("01")), close))
    (found,) = collected(pulses)
    assert found.noisy
    assert read_frame(found, PARITY) is NoCard.NOISE


def test_noise_ends_with_its_frame():
    bits = frame_bits(26, 4711)
    noisy = [("0", MILLISECOND), ("1", 50), ("1", MILLISECOND)]
    clean = [(bit, MILLISECOND if place else 30 * MILLISECOND) for place, bit in enumerate(bits)]
    first, second = collected(noisy + clean)
    assert first.noisy
    assert read_frame(second, PARITY) == Card(CardTechnology.WIEGAND, spelled(26, 4711))


def test_a_wire_that_never_rests_is_noise_and_takes_no_memory():
    (found,) = collected(("1", MILLISECOND) for _ in range(100_000))
    assert (found.noisy, found.bits) == (True, 0)


def test_lost_pulses_spoil_their_frame_only():
    collector = FrameCollector()
    collector.spoil()
    collector.pulse(1, MILLISECOND)
    spoiled = collector.end()
    assert spoiled is not None
    assert spoiled.noisy
    assert collector.end() is None
