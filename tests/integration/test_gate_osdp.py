"""The gate as control panel of OSDP readers, against the library's own peripheral over a pseudo-terminal."""

import asyncio
import fcntl
import os
import pty
import secrets
import struct
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

osdp_sys = pytest.importorskip("osdp_sys", reason="libosdp is not installed: the extra `osdp` brings it")

from osdp import LibFlag  # noqa: E402
from structlog.testing import capture_logs  # noqa: E402

from devices.core.events import Signal  # noqa: E402
from devices.hardware.osdp import OsdpBus, OsdpReader, OsdpStrike  # noqa: E402
from devices.hardware.osdp_format import Unread, buzz  # noqa: E402
from devices.hardware.ports import HardwareError  # noqa: E402
from devices.hardware.settings import OsdpSettings  # noqa: E402
from devices.hardware.wiegand_format import FORMATS, NoCard  # noqa: E402
from tests.support.osdp_reader import ADDRESS, Cable, a_bus, a_cable  # noqa: E402
from tests.support.waiting import eventually  # noqa: E402
from tests.support.wiegand import frame_bits, spelled  # noqa: E402

KEY = secrets.token_bytes(16)
CARD = frame_bits(26, 4711)


@pytest.fixture
def cable() -> Iterator[Cable]:
    with a_cable() as made:
        yield made


def settings(cable: Cable, **changes: Any) -> OsdpSettings:
    given = {"port": cable.port, "baud": 9600, "address": ADDRESS, "key": KEY, "formats": (FORMATS["26"],)}
    return OsdpSettings(**(given | changes))


@asynccontextmanager
async def panel(cable: Cable, **changes: Any) -> AsyncIterator[OsdpReader]:
    bus = OsdpBus([settings(cable, **changes)])
    bus.start()
    try:
        yield bus.readers[0]
    finally:
        bus.close()


async def soon(values: AsyncIterator[Any], *, within: float = 10) -> Any:
    async with asyncio.timeout(within):
        return await anext(values)


async def test_with_the_right_key_cards_arrive(cable: Cable):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        reader.reads(CARD)
        badge = await soon(gate.badges())
        assert badge.card.number == spelled(26, 4711)
        assert badge.pin is None


async def test_a_pin_goes_with_the_card(cable: Cable):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        reader.types(b"9\x7f12")
        reader.types(b"34\r")
        reader.reads(CARD)
        assert (await soon(gate.badges())).pin == "1234"


async def test_with_another_key_nothing_is_believed(cable: Cable):
    reader = cable.power(key=secrets.token_bytes(16))
    async with panel(cable) as gate:
        reader.reads(CARD)
        await eventually(lambda: gate.failures >= 1)
        assert not gate.is_secure
        assert gate._waiting.empty()


async def test_a_reader_without_a_secure_channel_is_refused(cable: Cable):
    reader = cable.power_plain(CARD)
    async with panel(cable) as gate:
        await eventually(lambda: gate.failures >= 1)
        assert not gate.is_secure
        assert reader.polled == 0
        assert gate._waiting.empty()


async def test_what_a_reader_says_in_the_clear_is_not_believed_in_install_mode_either(cable: Cable):
    cable.power_plain(CARD)
    async with panel(cable, install=True) as gate:
        await eventually(lambda: gate.no_card[Unread.INSECURE] >= 1)
        assert not gate.is_secure
        assert gate._waiting.empty()


async def test_a_reader_with_the_key_of_the_factory_is_refused_unless_install_is_asked_for(cable: Cable):
    reader = cable.power(key=None, flags=(LibFlag.InstallMode,))
    async with panel(cable) as gate:
        reader.reads(CARD)
        await eventually(lambda: gate.failures >= 1)
        assert not gate.is_secure
        assert gate._waiting.empty()


async def test_installing_gives_a_reader_the_key_of_the_gate(cable: Cable):
    reader = cable.power(key=None, flags=(LibFlag.InstallMode,))
    async with panel(cable, install=True) as gate:
        await eventually(lambda: gate.is_secure)
        (keyset,) = [command for command in reader.commands if command["command"] == osdp_sys.CMD_KEYSET]
        assert keyset["data"] == KEY
        reader.reads(CARD)
        assert (await soon(gate.badges())).card.number == spelled(26, 4711)


async def test_the_key_is_in_no_repr(cable: Cable):
    assert KEY.hex() not in repr(settings(cable))
    assert repr(KEY) not in repr(settings(cable))


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        (frame_bits(34, 9), NoCard.LENGTH),
        ("0" * 26, NoCard.PARITY),
        ("1010", Unread.MALFORMED),
    ],
)
async def test_what_is_no_card_is_counted(cable: Cable, bits: str, why: NoCard | Unread):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        reader.reads(bits)
        await eventually(lambda: gate.no_card[why] == 1)
        assert gate._waiting.empty()


async def test_several_readers_share_a_port_each_with_its_own_key():
    keys = {1: secrets.token_bytes(16), 2: secrets.token_bytes(16), 3: secrets.token_bytes(16)}
    with a_bus(keys) as wires:
        known = keys | {3: secrets.token_bytes(16)}
        bus = OsdpBus(
            [
                OsdpSettings(port=wires.port, baud=9600, address=address, key=key, formats=(FORMATS["26"],))
                for address, key in known.items()
            ]
        )
        bus.start()
        try:
            first, second, third = bus.readers
            await eventually(lambda: first.is_secure and second.is_secure)
            for address, reader in wires.readers.items():
                reader.reads(frame_bits(26, address))
            assert (await soon(first.badges())).card.number == spelled(26, 1)
            assert (await soon(second.badges())).card.number == spelled(26, 2)
            assert not third.is_secure
            assert third._waiting.empty()
        finally:
            bus.close()


async def test_lamp_and_buzzer_do_what_the_gate_says(cable: Cable):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        gate.show(
            Signal.GRANTED, reason=None, entry=None
        )  # nobody is there yet, and nothing is kept for later
        await eventually(lambda: gate.is_secure)

        def told(kind: int) -> list[dict[str, Any]]:
            return [command for command in reader.commands if command["command"] == kind]

        for shown, signal in enumerate(Signal, start=1):
            gate.show(signal, reason=None, entry=None)
            await eventually(lambda: len(told(osdp_sys.CMD_BUZZER)) == shown)  # noqa: B023 - awaited at once
        lamps = dict(zip(Signal, told(osdp_sys.CMD_LED), strict=True))
        assert lamps[Signal.GRANTED]["on_color"] == osdp_sys.LED_COLOR_GREEN
        assert lamps[Signal.DENIED]["on_color"] == osdp_sys.LED_COLOR_RED
        green = {signal for signal, lamp in lamps.items() if lamp["on_color"] == osdp_sys.LED_COLOR_GREEN}
        assert green == {Signal.GRANTED}
        assert gate.is_secure


async def test_a_strike_on_an_output_falls_by_the_readers_own_timer(cable: Cable):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        strike = OsdpStrike(gate, output=0)
        strike.release(timedelta(seconds=5))
        await eventually(lambda: gate.is_secure)
        strike.release(timedelta(seconds=3))
        strike.secure()
        strike.release(timedelta(minutes=2))

        def outputs() -> list[tuple[int, int]]:
            return [
                (command["control_code"], command["timer_count"])
                for command in reader.commands
                if command["command"] == osdp_sys.CMD_OUTPUT
            ]

        await eventually(lambda: len(outputs()) == 3)
        assert outputs() == [(5, 30), (1, 0), (5, 200)], "what was said before the reader was there is gone"
        strike.secure()
        await eventually(lambda: len(outputs()) == 4)


async def test_a_burst_of_signals_pushes_out_nothing_that_a_strike_is_told(cable: Cable):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        strike = OsdpStrike(gate, output=0)
        strike.release(timedelta(seconds=3))
        strike.secure()
        for _ in range(20):
            gate.show(Signal.GRANTED, reason=None, entry=None)
        gate.show(Signal.DENIED, reason=None, entry=None)

        def told(kind: int) -> list[dict[str, Any]]:
            return [command for command in reader.commands if command["command"] == kind]

        await eventually(lambda: len(told(osdp_sys.CMD_BUZZER)) >= 1)
        assert [output["control_code"] for output in told(osdp_sys.CMD_OUTPUT)] == [5, 1]
        assert [lamp["on_color"] for lamp in told(osdp_sys.CMD_LED)] == [osdp_sys.LED_COLOR_RED]


async def test_no_release_outlives_the_loss_of_the_reader(cable: Cable):
    cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        strike = OsdpStrike(gate, output=0)
        cable.power_off()
        for _ in range(10):  # more than the library takes at once
            strike.release(timedelta(seconds=3))
        reader = cable.power(key=KEY)
        await eventually(lambda: not gate.is_secure, within=20)
        assert not gate.submit(buzz(Signal.DENIED))
        with capture_logs() as said:
            strike.release(timedelta(seconds=3))
        assert said[0]["event"].startswith("the strike is not released")
        await eventually(lambda: gate.is_secure, within=20)
        gate.show(Signal.READY, reason=None, entry=None)
        await eventually(lambda: any(told["command"] == osdp_sys.CMD_BUZZER for told in reader.commands))
        assert not any(told["command"] == osdp_sys.CMD_OUTPUT for told in reader.commands)


async def test_opening_the_reader_is_tampering_and_so_is_losing_it(cable: Cable):
    reader = cable.power(key=KEY)
    async with panel(cable) as gate:
        changes = gate.changes()
        assert await soon(changes) is False
        reader.opened(opened=True)
        assert await soon(changes) is True
        reader.opened(opened=False)
        assert await soon(changes) is False
        cable.power_off()
        assert await soon(changes, within=20) is True
        assert not gate.is_secure
        again = cable.power(key=KEY)
        assert await soon(changes, within=20) is False
        again.reads(CARD)
        assert (await soon(gate.badges())).card.number == spelled(26, 4711)


async def test_a_reader_that_starts_anew_is_back_by_itself(cable: Cable):
    cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        cable.power_off()
        reader = cable.power(key=KEY)
        await eventually(lambda: not gate.is_secure, within=20)
        await eventually(lambda: gate.is_secure, within=20)
        reader.reads(CARD)
        assert (await soon(gate.badges())).card.number == spelled(26, 4711)


async def test_a_reader_that_nobody_finds_is_tampered_with(cable: Cable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("devices.hardware.osdp._FIRST_WORD", 0.01)
    async with panel(cable) as gate:
        assert await soon(gate.changes()) is True


async def test_an_adapter_that_is_pulled_out_is_noticed_at_once(cable: Cable):
    cable.power(key=KEY)
    async with panel(cable) as gate:
        await eventually(lambda: gate.is_secure)
        cable.pull()
        await eventually(lambda: not gate.is_secure, within=2)


async def test_a_port_that_is_not_there_or_not_ours_is_told(cable: Cable):
    with pytest.raises(HardwareError, match="/dev/ttyNONE: No such file"):
        OsdpBus([settings(cable, port="/dev/ttyNONE")])
    with pytest.raises(HardwareError, match="/dev/null: Inappropriate ioctl"):
        OsdpBus([settings(cable, port="/dev/null")])
    async with panel(cable):
        with pytest.raises(HardwareError, match=rf"{cable.port}: another program has it"):
            OsdpBus([settings(cable)])


async def test_noise_on_the_wire_is_survived():
    far, near = pty.openpty()
    os.set_blocking(far, False)
    try:
        bus = OsdpBus(
            [OsdpSettings(port=os.ttyname(near), baud=9600, address=0, key=KEY, formats=(FORMATS["26"],))]
        )
        bus.start()
        for _ in range(20):
            os.write(far, secrets.token_bytes(512))
            await eventually(
                lambda: struct.unpack("i", fcntl.ioctl(near, termios.FIONREAD, bytes(4))) == (0,)
            )
        assert not bus.readers[0].is_secure
        assert bus.readers[0]._waiting.empty()
        bus.close()
    finally:
        os.close(far)
        os.close(near)
