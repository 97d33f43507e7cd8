"""What is written of the hardware is read to the letter, and what is wrong is said in a sentence."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.hardware.settings import (
    Fail,
    LampSettings,
    LineSettings,
    LineStrike,
    OsdpSettings,
    OutputStrike,
    PcscSettings,
    PointHardware,
    Pull,
    SimulatedHardware,
    WiegandSettings,
)
from devices.hardware.wiegand_format import FORMATS
from devices.settings import SettingsError, read_gate_folder
from gatekeeper import cose
from tests.unit.devices.folders import gate_file, gate_folder
from tests.unit.devices.ground import GATE, IN, OUT, Service

KEY = cose.SigningKey.generate()
SERVICE = Service({GATE: KEY})
CHIP = "/dev/gpiochip0"
SCBK = "000102030405060708090a0b0c0d0e0f"
WIEGAND = {"kind": "wiegand", "chip": CHIP, "d0": 17, "d1": 27}
OSDP = {"kind": "osdp", "port": "/dev/ttyUSB0", "address": 3, "key_file": "reader.key"}
PCSC = {"kind": "pcsc", "name": "ACS ACR1552 00 00"}
STRIKE = {"kind": "gpio", "chip": CHIP, "line": 22, "fail": "secure"}
CONTACT = {"chip": CHIP, "line": 23}
WHOLE = {"reader": WIEGAND, "strike": STRIKE, "contact": CONTACT}


def read(
    folder: Path, hardware: Any, *, contact: bool = True, key: str | None = SCBK, second: Any = None
) -> dict[str, PointHardware]:
    points = [{"id": IN, "direction": "in", "contact": contact, "hardware": hardware}]
    if second is not None:
        points.append({"id": OUT, "direction": "out", "contact": "contact" in second, "hardware": second})
    written = gate_file(access_points=points)
    gate_folder(folder, SERVICE, KEY, written)
    if key is not None:
        (folder / "reader.key").touch(mode=0o600)
        (folder / "reader.key").write_text(key + "\n")
    return dict(read_gate_folder(folder).hardware)


def test_a_gate_without_hardware_has_none(tmp_path: Path):
    assert read_gate_folder(gate_folder(tmp_path, SERVICE, KEY)).hardware == {}


def test_simulated_hardware_is_named_by_that_word_alone(tmp_path: Path):
    points = [
        {"id": IN, "direction": "in", "hardware": "simulated"},
        {"id": OUT, "direction": "out", "contact": False, "hardware": "simulated"},
    ]
    settings = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, gate_file(access_points=points)))
    assert settings.hardware == {
        IN: SimulatedHardware(has_contact=True),
        OUT: SimulatedHardware(has_contact=False),
    }
    assert settings.is_simulated


@pytest.mark.parametrize("word", ["Simulated", "real", "", {"kind": "simulated"}, ["simulated"]])
def test_no_other_word_is_hardware(tmp_path: Path, word: Any):
    points = [{"id": IN, "direction": "in", "hardware": word}]
    with pytest.raises(SettingsError, match=f"the hardware of {IN}: "):
        read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, gate_file(access_points=points)))


def test_what_is_typed_moves_nothing_at_a_gate_that_holds_a_real_door(tmp_path: Path):
    points = [
        {"id": IN, "direction": "in", "hardware": "simulated"},
        {"id": OUT, "direction": "out", "hardware": WHOLE},
    ]
    with pytest.raises(SettingsError, match="simulated hardware stands alone"):
        read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, gate_file(access_points=points)))
    points = [{"id": IN, "direction": "in", "hardware": "simulated"}, {"id": OUT, "direction": "out"}]
    bridge = {"kind": "tasmota", "topic": "tele/shed/SENSOR", "access_point": OUT}
    with pytest.raises(SettingsError, match="a gate with a bridge holds real doors"):
        read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, gate_file(access_points=points, bridge=bridge)))


def test_every_setting_of_lines_is_read(tmp_path: Path):
    line = {"chip": "/dev/gpiochip1", "active_low": True, "bias": "pull-up", "debounce_ms": 5}
    hardware = {
        "reader": WIEGAND | {"formats": ["26", "raw-32"], "bias": "pull-up"},
        "strike": STRIKE | {"fail": "safe", "active_low": True},
        "contact": line | {"line": 1},
        "request_to_exit": line | {"line": 2},
        "tamper": line | {"line": 3},
        "fire": line | {"line": 4},
        "lamps": {"green": {"chip": CHIP, "line": 5}, "buzzer": {"chip": CHIP, "line": 6}},
    }

    def on(number: int) -> LineSettings:
        return LineSettings(
            chip="/dev/gpiochip1",
            line=number,
            active_low=True,
            bias=Pull.UP,
            debounce=timedelta(milliseconds=5),
        )

    point = read(tmp_path, hardware)[IN]
    assert isinstance(point.reader, WiegandSettings)
    assert [form.name for form in point.reader.formats] == ["26", "raw-32"]
    assert (point.reader.d0, point.reader.d1, point.reader.bias) == (17, 27, Pull.UP)
    assert point.strike == LineStrike(line=LineSettings(chip=CHIP, line=22, active_low=True), fail=Fail.SAFE)
    assert (point.contact, point.request_to_exit, point.tamper, point.fire) == (on(1), on(2), on(3), on(4))
    assert point.lamps == LampSettings(
        green=LineSettings(chip=CHIP, line=5), buzzer=LineSettings(chip=CHIP, line=6)
    )


def test_an_osdp_reader_has_its_key_from_a_file(tmp_path: Path):
    hardware = {"reader": OSDP, "strike": {"kind": "osdp", "output": 0}}
    point = read(tmp_path, hardware, contact=False)[IN]
    assert point == PointHardware(
        reader=OsdpSettings(
            port="/dev/ttyUSB0",
            baud=9600,
            address=3,
            key=bytes.fromhex(SCBK),
            formats=(FORMATS["26"], FORMATS["34"], FORMATS["37"]),
        ),
        strike=OutputStrike(output=0),
    )
    assert bytes.fromhex(SCBK).hex() not in repr(point)
    assert repr(bytes.fromhex(SCBK)) not in repr(point)


def test_a_pcsc_reader_has_a_name(tmp_path: Path):
    point = read(tmp_path, {"reader": PCSC, "strike": STRIKE}, contact=False)[IN]
    assert point.reader == PcscSettings(name="ACS ACR1552 00 00")


def without(piece: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in piece.items() if key != name}


@pytest.mark.parametrize(
    ("hardware", "sentence"),
    [
        ([], "hardware is an object"),
        (WHOLE | {"camera": {}}, "camera is no setting of hardware"),
        (without(WHOLE, "reader"), "needs a reader of the kind"),
        (without(WHOLE, "strike"), "needs a strike of the kind"),
        (without(WHOLE, "contact"), "exactly where the access point has one"),
        (WHOLE | {"reader": {"kind": "rfid"}}, "needs a reader of the kind"),
        (WHOLE | {"reader": WIEGAND | {"d2": 4}}, "d2 is no setting of a Wiegand reader"),
        (WHOLE | {"reader": WIEGAND | {"chip": "gpiochip0"}}, "chip is the path of a device"),
        (WHOLE | {"reader": WIEGAND | {"chip": "/dev/../etc/passwd"}}, "chip is the path of a device"),
        (WHOLE | {"reader": WIEGAND | {"d0": "17"}}, "d0 is a whole number"),
        (WHOLE | {"reader": WIEGAND | {"d0": True}}, "d0 is a whole number"),
        (WHOLE | {"reader": WIEGAND | {"d0": 27}}, "line 27 of /dev/gpiochip0 is used 2 times"),
        (WHOLE | {"reader": WIEGAND | {"formats": []}}, "formats is a list"),
        (WHOLE | {"reader": WIEGAND | {"formats": "26"}}, "formats is a list"),
        (WHOLE | {"reader": WIEGAND | {"formats": ["25"]}}, "25 is no format"),
        (WHOLE | {"reader": WIEGAND | {"formats": ["32", "uid-32"]}}, "two of one length"),
        (WHOLE | {"reader": WIEGAND | {"formats": ["26", "26"]}}, "two of one length"),
        (WHOLE | {"reader": WIEGAND | {"bias": "up"}}, "bias is one of"),
        (WHOLE | {"strike": without(STRIKE, "fail")}, "fail.* is secure or safe"),
        (WHOLE | {"strike": STRIKE | {"fail": "open"}}, "fail.* is secure or safe"),
        (WHOLE | {"strike": STRIKE | {"debounce_ms": 1}}, "debounce_ms is no setting of a strike"),
        (WHOLE | {"strike": {"kind": "osdp", "output": 0}}, "hangs on an OSDP reader"),
        (WHOLE | {"contact": CONTACT | {"line": 22}}, "line 22 of /dev/gpiochip0 is used 2 times"),
        (WHOLE | {"contact": CONTACT | {"line": -1}}, "line is a whole number"),
        (WHOLE | {"contact": CONTACT | {"active_low": 1}}, "active_low is true or false"),
        (WHOLE | {"contact": CONTACT | {"debounce_ms": 5001}}, "debounce_ms is a whole number"),
        (WHOLE | {"contact": CONTACT | {"pull": "up"}}, "pull is no setting of contact"),
        (WHOLE | {"lamps": {}}, "lamps names one of"),
        (WHOLE | {"lamps": {"blue": CONTACT}}, "blue is no setting of lamps"),
        (WHOLE | {"reader": OSDP | {"baud": 300}}, "baud is one of"),
        (WHOLE | {"reader": OSDP | {"address": 127}}, "address is a whole number from 0 to 126"),
        (WHOLE | {"reader": OSDP | {"key_file": "../key"}}, "in the gate's own folder"),
        (WHOLE | {"reader": OSDP | {"key_file": "other.key"}}, "other.key cannot be read"),
        (WHOLE | {"reader": OSDP | {"install": "yes"}}, "install is true or false"),
        (WHOLE | {"reader": OSDP, "lamps": {"green": {"chip": CHIP, "line": 1}}}, "lamps of its own"),
        (WHOLE | {"reader": {"kind": "pcsc", "name": " "}}, "name is a text"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, hardware: Any, sentence: str):
    with pytest.raises(SettingsError, match=sentence):
        read(tmp_path, hardware)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("", "holds no key"),
        (SCBK[:-2], "holds no key"),
        ("zz" * 16, "holds no key"),
        ("303132333435363738393a3b3c3d3e3f", "that everybody knows"),
        ("00" * 16, "that everybody knows"),
    ],
)
def test_a_key_that_is_none_or_everybodys_is_refused(tmp_path: Path, key: str, sentence: str):
    with pytest.raises(SettingsError, match=f"reader.key .*{sentence}") as refused:
        read(tmp_path, {"reader": OSDP, "strike": STRIKE}, contact=False, key=key)
    assert key == "" or key not in str(refused.value)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path):
    read(tmp_path, {"reader": OSDP, "strike": STRIKE}, contact=False)
    (tmp_path / "reader.key").chmod(0o644)
    with pytest.raises(SettingsError, match=r"reader\.key can be read by others"):
        read_gate_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda second: second["reader"].update(address=3), "address 3 at /dev/ttyUSB0 is used 2 times"),
        (lambda second: second["reader"].update(baud=19200), "have one baud"),
        (lambda second: second["strike"].update(line=22), "line 22 of /dev/gpiochip0 is used 2 times"),
        (lambda second: second.update(reader=dict(PCSC)), None),
    ],
)
def test_two_access_points_share_nothing_but_a_bus(
    tmp_path: Path, change: Callable[[Any], None], sentence: str | None
):
    first = {"reader": OSDP, "strike": STRIKE}
    second = json.loads(json.dumps({"reader": OSDP | {"address": 4}, "strike": STRIKE | {"line": 24}}))
    assert len(read(tmp_path, first, contact=False, second=second)) == 2
    change(second)
    if sentence is None:
        assert len(read(tmp_path, first, contact=False, second=second)) == 2
        return
    with pytest.raises(SettingsError, match=sentence):
        read(tmp_path, first, contact=False, second=second)


def test_one_pcsc_reader_serves_one_access_point(tmp_path: Path):
    first = {"reader": PCSC, "strike": STRIKE}
    with pytest.raises(SettingsError, match="the PC/SC reader ACS ACR1552 00 00 is used 2 times"):
        read(tmp_path, first, contact=False, second={"reader": PCSC, "strike": STRIKE | {"line": 24}})


def test_a_bridged_access_point_has_no_hardware_of_its_own(tmp_path: Path):
    point = {"id": IN, "direction": "in", "hardware": {"reader": WIEGAND, "strike": STRIKE}}
    bridge = {"kind": "tasmota", "topic": "tele/shed/SENSOR"}
    folder = gate_folder(tmp_path, SERVICE, KEY, gate_file(access_points=[point], bridge=bridge))
    with pytest.raises(SettingsError, match="is bridged, so it has no hardware"):
        read_gate_folder(folder)
