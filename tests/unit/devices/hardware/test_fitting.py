"""What gate.json names is opened whole or not at all, and given back."""

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import gpiod
import pytest
from gpiod.line import Direction
from structlog.testing import capture_logs
from typer.testing import CliRunner

from devices.cli.commands import app
from devices.core.events import Signal
from devices.hardware.fake_chip import FakeChip
from devices.hardware.fitting import EitherSwitch, KeypadDisplay, described, opened
from devices.hardware.keypad import Keypad
from devices.hardware.misreads import Misreads
from devices.hardware.ports import HardwareError
from devices.hardware.settings import (
    Fail,
    LampSettings,
    LineSettings,
    LineStrike,
    PcscSettings,
    PointHardware,
    WiegandSettings,
)
from devices.hardware.simulated import SimulatedDoor, SimulatedReader, SimulatedSwitch
from devices.hardware.wiegand_format import FORMATS, Key, NoCard
from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.reasons import Reason
from tests.unit.devices.folders import gate_file, gate_folder
from tests.unit.devices.ground import GATE, IN, OUT, Service

CHIP = "/dev/gpiochip0"
POINT = AccessPointId("main-in")


def line(number: int) -> LineSettings:
    return LineSettings(chip=CHIP, line=number)


WHOLE = PointHardware(
    reader=WiegandSettings(chip=CHIP, d0=1, d1=2, formats=(FORMATS["26"],)),
    strike=LineStrike(line=line(3), fail=Fail.SECURE),
    contact=line(4),
    request_to_exit=line(5),
    tamper=line(6),
    fire=line(7),
    lamps=LampSettings(green=line(8)),
)


def free(chip: FakeChip) -> bool:
    """Whether every line can be had."""
    lines = chip.request_lines(
        CHIP,
        config={tuple(range(32)): gpiod.LineSettings(direction=Direction.INPUT)},
        consumer="",
        event_buffer_size=1,
    )
    lines.release()
    return True


async def test_everything_that_is_named_is_opened_and_given_back():
    chip = FakeChip()
    with opened({POINT: WHOLE}, request=chip.request_lines) as fittings:
        fitted = fittings[POINT]
        for switch in (fitted.contact, fitted.request_to_exit, fitted.tamper, fitted.fire):
            assert switch is not None
            assert await anext(switch.changes()) is True
    assert free(chip)


def test_what_cannot_be_opened_leaves_nothing_open():
    chip = FakeChip(lines=8)  # the lamp's line is not there
    with (
        pytest.raises(HardwareError, match="line 8: Invalid argument"),
        opened({POINT: WHOLE}, request=chip.request_lines),
    ):
        pass
    chip._levels += [True] * 24
    assert free(chip)


def test_what_an_access_point_has_is_described_in_a_line():
    assert described(WHOLE) == (
        "Wiegand reader on /dev/gpiochip0 lines 1 and 2, strike on /dev/gpiochip0 line 3 (fails secure), "
        "contact on /dev/gpiochip0 line 4, request to exit on /dev/gpiochip0 line 5, tamper on /dev/gpiochip0 line 6, "
        "fire on /dev/gpiochip0 line 7, lamps"
    )


def test_a_system_without_pcsc_says_so(monkeypatch: pytest.MonkeyPatch):
    def absent(_name: str) -> None:
        raise OSError("no such library")

    monkeypatch.setattr("devices.hardware.pcsc.ctypes.CDLL", absent)
    point = PointHardware(reader=PcscSettings(name="any"), strike=LineStrike(line=line(3), fail=Fail.SECURE))
    with (
        pytest.raises(HardwareError, match="libpcsclite is not here"),
        opened({POINT: point}, request=FakeChip().request_lines),
    ):
        pass


@pytest.mark.parametrize(("package", "extra"), [("gpiod", "gpio"), ("osdp_sys", "osdp")])
def test_a_gate_starts_without_the_packages_of_hardware_and_names_the_one_that_it_lacks(
    package: str, extra: str
):
    program = f"""
import sys
sys.modules.update(gpiod=None, osdp_sys=None)
import devices.app, devices.running
from devices.hardware.fitting import opened
from devices.hardware.settings import *
from devices.hardware.wiegand_format import FORMATS
strike = LineStrike(line=LineSettings(chip="/dev/gpiochip0", line=1), fail=Fail.SECURE)
readers = {{
    "gpiod": WiegandSettings(chip="/dev/gpiochip0", d0=2, d1=3, formats=(FORMATS["26"],)),
    "osdp_sys": OsdpSettings(port="/dev/ttyS0", baud=9600, address=0, key=bytes(16), formats=(FORMATS["26"],)),
}}
try:
    with opened({{"x": PointHardware(reader=readers[{package!r}], strike=strike)}}):
        pass
except devices.running.HardwareError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert f"the extra `{extra}` of this program brings it" in told.stdout


class Shown:
    def __init__(self) -> None:
        self.signals: deque[Signal] = deque()

    def show(self, signal: Signal, *, reason: int | None, entry: int | None) -> None:
        self.signals.append(signal)


@pytest.mark.parametrize(
    ("signal", "reason", "again"),
    [
        (Signal.DENIED, Reason.PIN_MISSING, True),
        (Signal.DENIED, Reason.PIN_WRONG, False),
        (Signal.DENIED, None, False),
        (Signal.GRANTED, Reason.PIN_MISSING, False),
        (Signal.BUSY, None, False),
        (Signal.NO_SERVICE, None, False),
    ],
)
async def test_only_a_badge_denied_for_want_of_a_pin_waits_for_one(
    signal: Signal,
    reason: Reason | None,
    again: bool,  # noqa: FBT001
):
    keypad, shown = Keypad[str](), Shown()
    display = KeypadDisplay(keypad, shown)
    keypad.badge("badge", at=0)
    display.show(signal, reason=reason.bacnet if reason is not None else None, entry=1)
    if signal is Signal.BUSY:  # the answer to the badge before, for which nobody may type now
        display.show(Signal.DENIED, reason=Reason.PIN_MISSING.bacnet, entry=2)
    at = asyncio.get_running_loop().time()
    for key in "1234":
        keypad.key(Key(key), at=at)
    assert (keypad.key(Key.HASH, at=at) == ("badge", "1234")) is again
    assert shown.signals[0] is signal


async def test_simulated_switches_say_how_they_are_and_each_turn():
    button = SimulatedSwitch()
    fitted = SimulatedDoor().fittings(SimulatedReader(), request_to_exit=button, fire=SimulatedSwitch())
    assert fitted.request_to_exit is button
    assert fitted.tamper is None
    changes = button.changes()
    assert await anext(changes) is False
    button.turn(on=True)
    button.turn(on=False)
    assert [await anext(changes), await anext(changes)] == [True, False]


async def test_either_switch_is_on_while_one_is():
    first, second = SimulatedSwitch(), SimulatedSwitch()
    async with aclosing(EitherSwitch(first, second).changes()) as changes:
        assert await anext(changes) is False
        first.turn(on=True)
        assert await anext(changes) is True
        second.turn(on=True)
        first.turn(on=False)
        second.turn(on=False)
        assert await anext(changes) is False


async def test_either_switch_waits_for_no_word_of_the_other_when_one_is_on():
    class Silent:
        async def changes(self) -> AsyncIterator[bool]:
            await asyncio.Event().wait()
            yield False

    housing = SimulatedSwitch()
    housing.is_on = True
    async with aclosing(EitherSwitch(Silent(), housing).changes()) as changes:
        assert await anext(changes) is True


async def test_either_switch_fails_as_one_of_its_switches_does():
    class Broken:
        async def changes(self) -> AsyncIterator[bool]:
            yield False
            raise HardwareError("the line is gone")

    changes = EitherSwitch(Broken(), SimulatedSwitch()).changes()
    assert await anext(changes) is False
    with pytest.raises(HardwareError, match="the line is gone"):
        await anext(changes)


def test_a_reader_that_reads_no_cards_says_why_and_fills_no_log():
    misreads = Misreads(chip=CHIP)
    with capture_logs() as said:
        for _ in range(250):
            misreads.note(NoCard.LENGTH)
        misreads.note(NoCard.NOISE)
    assert [(line["why"], line["times"]) for line in said] == [
        ("wiegand-length", 1),
        ("wiegand-length", 10),
        ("wiegand-length", 100),
        ("wiegand-noise", 1),
    ]
    assert {line["chip"] for line in said} == {CHIP}
    assert misreads == {NoCard.LENGTH: 250, NoCard.NOISE: 1}


# -- the command -----------------------------------------------------------------------------------------------------


def device(*arguments: str):
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    key = cose.SigningKey.generate()
    hardware = {
        "reader": {"kind": "wiegand", "chip": "/dev/gpiochip77", "d0": 1, "d1": 2},
        "strike": {"kind": "gpio", "chip": "/dev/gpiochip77", "line": 3, "fail": "secure"},
    }
    points = [
        {"id": IN, "direction": "in", "contact": False, "hardware": hardware},
        {"id": OUT, "direction": "out"},
    ]
    return gate_folder(tmp_path, Service({GATE: key}), key, gate_file(access_points=points))


def test_checking_names_the_hardware_and_what_cannot_be_opened(folder: Path):
    result = device("check", "--folder", str(folder))
    assert result.exit_code == 1
    assert f"{IN}: Wiegand reader on /dev/gpiochip77 lines 1 and 2, strike" in result.stderr
    assert f"{IN}: cannot be opened: /dev/gpiochip77 line 3: No such file or directory." in result.stderr
    assert f"{OUT}: no hardware is named in gate.json" in result.stderr
    assert len(result.stdout.strip().splitlines()) == 1, "the fingerprint alone is data"


def test_a_gate_whose_hardware_cannot_be_opened_does_not_start(folder: Path):
    result = device("run", "--folder", str(folder), "--broker", "mqtt://127.0.0.1:1")
    assert result.exit_code == 1
    assert "Its hardware failed: /dev/gpiochip77 line 3: No such file or directory." in result.stderr
    assert "is running" not in result.stderr
