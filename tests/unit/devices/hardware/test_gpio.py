"""Lines of a chip as fittings: the same on the fake chip and on the kernel's own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from devices.core.events import Signal
from devices.hardware.gpio import GpioLamps, GpioStrike, GpioSwitch, WiegandReader
from devices.hardware.ports import HardwareError
from devices.hardware.settings import Fail, LampSettings, LineSettings, Pull, WiegandSettings
from devices.hardware.wiegand_format import FORMATS, FRAME_GAP, NoCard
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.messages import ByCard
from tests.support.gpio_chips import GPIO_SIM, Chip, a_fake_chip, a_kernel_chip
from tests.support.waiting import eventually
from tests.support.wiegand import frame_bits, key_bits, spelled

D0, D1, LINE, GREEN, RED, BUZZER = 4, 5, 7, 8, 9, 10
LONG = timedelta(hours=1)


@pytest.fixture(
    params=[
        a_fake_chip,
        pytest.param(
            a_kernel_chip,
            marks=pytest.mark.skipif(not GPIO_SIM.is_dir(), reason="the kernel here has no gpio-sim"),
        ),
    ],
    ids=["fake", "gpio-sim"],
)
def chip(request: pytest.FixtureRequest) -> Iterator[Chip]:
    with request.param() as made:
        yield made


def line(chip: Chip, number: int = LINE, **settings: Any) -> LineSettings:
    return LineSettings(chip=chip.path, line=number, **({"debounce": timedelta()} | settings))


def reader_on(chip: Chip, *names: str) -> WiegandReader:
    formats = tuple(FORMATS[name] for name in names or ("26",))
    settings = WiegandSettings(chip=chip.path, d0=D0, d1=D1, formats=formats, bias=Pull.UP)
    return WiegandReader(settings, request=chip.request_lines)


def send(chip: Chip, *frames: str) -> None:
    """Frames as a reader sends them, with silence before each."""
    for bits in frames:
        for place, bit in enumerate(bits):
            chip.pulse(D1 if bit == "1" else D0, after_us=1000 if place else 40_000)


async def soon(values: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(5):
        return await anext(values)


async def test_a_card_is_read_with_its_number(chip: Chip):
    reader = reader_on(chip)
    async with aclosing(reader.badges()) as badges:
        send(chip, frame_bits(26, 4711))
        badge = await soon(badges)
    assert badge.credential == ByCard(Card(CardTechnology.WIEGAND, spelled(26, 4711)))
    assert badge.pin is None
    assert await badge.prove(bytes(32)) is None
    reader.close()


async def test_a_card_that_comes_while_the_loop_is_busy_is_read_all_the_same(chip: Chip):
    reader = reader_on(chip, "26", "34")
    async with aclosing(reader.badges()) as badges:
        send(chip, frame_bits(26, 1), frame_bits(34, 2), frame_bits(34, 3))
        numbers = [(await soon(badges)).card.number for _ in range(3)]
    assert numbers == [spelled(26, 1), spelled(34, 2), spelled(34, 3)]
    reader.close()


async def test_a_loop_that_is_late_in_the_middle_of_a_card_takes_it_for_no_silence():
    with a_fake_chip() as chip:
        reader, bits, loop = reader_on(chip), frame_bits(26, 4711), asyncio.get_running_loop()
        async with aclosing(reader.badges()) as badges:
            waiting = asyncio.ensure_future(anext(badges))
            send(chip, bits[:13])
            await eventually(lambda: reader._pending)
            late = loop.time() + 2 * FRAME_GAP
            while loop.time() < late:  # the loop is busy with something else, and pulses come all the while
                pass
            for bit in bits[13:]:
                chip.pulse(D1 if bit == "1" else D0)
            async with asyncio.timeout(5):
                assert (await waiting).card.number == spelled(26, 4711)
        assert reader.no_card == {}
        reader.close()


async def test_what_is_no_card_is_counted_and_presented_to_nobody(chip: Chip):
    reader = reader_on(chip)
    async with aclosing(reader.badges()) as badges:
        send(chip, key_bits("*", length=4), "0" * 26, frame_bits(34, 7), frame_bits(26, 9))
        assert (await soon(badges)).card.number == spelled(26, 9)
    assert reader.no_card == {NoCard.PARITY: 1, NoCard.LENGTH: 1}
    reader.close()


async def test_a_card_that_is_read_twice_within_a_second_is_one_touch(chip: Chip):
    reader = reader_on(chip)
    async with aclosing(reader.badges()) as badges:
        send(chip, *(frame_bits(26, number) for number in (1, 1, 2)))
        assert [(await soon(badges)).card.number for _ in range(2)] == [spelled(26, 1), spelled(26, 2)]
    reader.close()


@pytest.mark.parametrize("length", [4, 8])
async def test_a_pin_goes_with_the_card(chip: Chip, length: int):
    reader = reader_on(chip)
    async with aclosing(reader.badges()) as badges:
        send(chip, *(key_bits(key, length=length) for key in "1234#"), frame_bits(26, 5))
        badge = await soon(badges)
    assert badge.pin == "1234"
    assert "1234" not in repr(badge)
    reader.close()


async def test_a_card_denied_for_want_of_a_pin_is_presented_again_when_it_is_typed(chip: Chip):
    reader = reader_on(chip)
    async with aclosing(reader.badges()) as badges:
        send(chip, frame_bits(26, 5))
        first = await soon(badges)
        reader.keypad.asks_for_pin(at=asyncio.get_running_loop().time())
        send(chip, *(key_bits(key, length=4) for key in "1234#"))
        again = await soon(badges)
    assert (again.card, first.pin, again.pin) == (first.card, None, "1234")
    reader.close()


async def test_a_frame_of_which_the_kernel_lost_a_pulse_is_noise():
    with a_fake_chip() as chip:
        reader = reader_on(chip, "26")
        async with aclosing(reader.badges()) as badges:
            # One bit of 27 is gone, and what is left has the length and the parity of a card.
            bits = frame_bits(26, 5)
            send(chip, bits[:13])
            chip.lose(D1)
            chip.pulse(D1)
            for bit in bits[13:]:
                chip.pulse(D1 if bit == "1" else D0)
            send(chip, frame_bits(26, 6))
            assert (await soon(badges)).card.number == spelled(26, 6)
        assert reader.no_card == {NoCard.NOISE: 1}
        reader.close()


async def test_pulses_lost_between_two_cards_spoil_both():
    with a_fake_chip() as chip:
        reader = reader_on(chip)
        async with aclosing(reader.badges()) as badges:
            send(
                chip, frame_bits(26, 5)
            )  # has the length of a card, and may be the beginning of a longer one
            chip.lose(D0)
            chip.pulse(D0)
            send(chip, frame_bits(26, 6), frame_bits(26, 7))
            assert (await soon(badges)).card.number == spelled(26, 7)
        assert reader.no_card == {NoCard.NOISE: 2}
        reader.close()


@pytest.mark.parametrize("active_low", [True, False])
async def test_a_switch_says_how_it_is_and_then_each_change(chip: Chip, active_low: bool):  # noqa: FBT001
    chip.drive(LINE, high=active_low)
    switch = GpioSwitch(line(chip, active_low=active_low), request=chip.request_lines)
    async with aclosing(switch.changes()) as changes:
        assert await soon(changes) is False
        chip.drive(LINE, high=not active_low)
        assert await soon(changes) is True
        chip.drive(LINE, high=active_low)
        assert await soon(changes) is False
    switch.close()


async def test_a_door_that_opens_and_shuts_between_two_looks_is_told(chip: Chip):
    chip.drive(LINE, high=False)
    contact = GpioSwitch(line(chip), request=chip.request_lines)
    async with aclosing(contact.changes()) as changes:
        assert await soon(changes) is False
        chip.drive(LINE, high=True)
        chip.drive(LINE, high=False)
        assert [await soon(changes), await soon(changes)] == [True, False]
    contact.close()


async def test_the_line_has_the_last_word_when_edges_are_lost():
    with a_fake_chip() as chip:
        chip.drive(LINE, high=False)
        contact = GpioSwitch(line(chip), request=chip.request_lines)
        async with aclosing(contact.changes()) as changes:
            assert await soon(changes) is False
            chip.drive(LINE, high=True)
            chip.lose(LINE)
            chip.drive(LINE, high=False)
            assert [await soon(changes), await soon(changes)] == [True, False]
        contact.close()


@pytest.mark.parametrize("active_low", [True, False])
@pytest.mark.parametrize("fail", Fail)
async def test_a_strike_holds_from_its_first_moment_and_after_its_time(
    chip: Chip,
    fail: Fail,
    active_low: bool,  # noqa: FBT001
):
    chip.drive(LINE, high=False)
    holds = (fail is Fail.SAFE) != active_low
    strike = GpioStrike(line(chip, active_low=active_low), fail, request=chip.request_lines)
    assert chip.level(LINE) is holds
    strike.release(timedelta(milliseconds=1))
    assert chip.level(LINE) is not holds
    await eventually(lambda: chip.level(LINE) is holds)
    strike.release(LONG)
    assert chip.level(LINE) is not holds
    strike.secure()
    assert chip.level(LINE) is holds
    strike.close()


async def test_a_strike_that_is_released_anew_holds_for_the_new_time(chip: Chip):
    strike = GpioStrike(line(chip), Fail.SECURE, request=chip.request_lines)
    strike.release(timedelta(milliseconds=1))
    strike.release(LONG)
    over = asyncio.Event()  # timers of a loop fire in the order of their times: the first would have by then
    asyncio.get_running_loop().call_later(0.002, over.set)
    await over.wait()
    assert chip.level(LINE)
    strike.close()


async def test_a_strike_that_is_given_back_holds():
    with a_fake_chip() as chip:  # what the kernel's lines do when nobody has them is up to their driver
        strike = GpioStrike(line(chip), Fail.SECURE, request=chip.request_lines)
        strike.release(LONG)
        strike.close()
        assert not chip.level(LINE)


async def test_lamps_show_what_the_gate_says(chip: Chip):
    lamps = GpioLamps(
        LampSettings(
            green=line(chip, GREEN), red=line(chip, RED, active_low=True), buzzer=line(chip, BUZZER)
        ),
        request=chip.request_lines,
    )

    def lit() -> tuple[bool, bool, bool]:
        return chip.level(GREEN), not chip.level(RED), chip.level(BUZZER)

    def show(signal: Signal) -> tuple[bool, bool, bool]:
        lamps.show(signal, reason=None, entry=None)
        return lit()

    assert lit() == (False, False, False)
    assert show(Signal.GRANTED) == (True, False, True)
    await eventually(lambda: lit() == (True, False, False))
    assert show(Signal.DENIED) == (False, True, True)
    assert show(Signal.WAITING) == (True, True, False)
    assert show(Signal.CLOSE_DOOR) == (False, True, True)
    assert show(Signal.READY) == (False, False, False)
    assert {show(signal)[0] for signal in Signal if signal not in {Signal.GRANTED, Signal.WAITING}} == {False}
    lamps.close()


def test_a_reader_without_lamps_shows_nothing(chip: Chip):
    GpioLamps(LampSettings(), request=chip.request_lines).close()


def test_a_line_that_is_taken_and_a_chip_that_is_not_there_are_told(chip: Chip):
    strike = GpioStrike(line(chip), Fail.SECURE, request=chip.request_lines)
    with pytest.raises(HardwareError, match=rf"{chip.path} line {LINE}: Device or resource busy"):
        GpioSwitch(line(chip), request=chip.request_lines)
    with pytest.raises(HardwareError, match="/dev/gpiochip99 line 1: No such file"):
        GpioSwitch(LineSettings(chip="/dev/gpiochip99", line=1), request=chip.request_lines)
    with pytest.raises(HardwareError, match="Invalid argument"):
        GpioSwitch(line(chip, 1000), request=chip.request_lines)
    strike.close()
