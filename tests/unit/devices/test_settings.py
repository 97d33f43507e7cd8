"""A gate whose folder is not in order does not start, and says what to do."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.bridges.settings import TasmotaSettings
from devices.core.controller import Doorway, Exit
from devices.settings import SettingsError, read_gate_folder
from gatekeeper import cose
from gatekeeper.model.places import Direction
from tests.unit.devices.folders import PASSWORD, gate_file, gate_folder
from tests.unit.devices.ground import GATE, IN, OTHER_GATE, OUT, SITE, Service

KEY = cose.SigningKey.generate()
SERVICE = Service({GATE: KEY})
BRIDGE = {"kind": "tasmota", "topic": "tele/shed/SENSOR", "access_point": IN}


def test_a_folder_in_order_is_read_whole(tmp_path: Path):
    settings = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY))
    waits = {"warned": timedelta(seconds=20), "held": timedelta(seconds=30)}
    assert (settings.site, settings.gate, settings.prefix) == (SITE, GATE, "gk")
    assert settings.doorways == (
        Doorway(id=IN, direction=Direction.IN, has_contact=True, interlocked=False, **waits),
        Doorway(id=OUT, direction=Direction.OUT, has_contact=True, interlocked=False, **waits),
    )
    assert settings.key.kid == KEY.kid
    assert settings.password == PASSWORD
    assert settings.trust.version == 1
    assert settings.bridge is None


def test_a_secret_is_in_no_repr(tmp_path: Path):
    settings = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY))
    assert PASSWORD not in repr(settings)


def test_held_seconds_and_contacts_are_settings(tmp_path: Path):
    written = gate_file(held_seconds=90, access_points=[{"id": IN, "direction": "in", "contact": False}])
    (doorway,) = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, written)).doorways
    assert (doorway.has_contact, doorway.held) == (False, timedelta(seconds=90))
    assert doorway.warned == timedelta(seconds=60), "two thirds of it"


def test_when_a_door_asks_to_be_closed_is_a_setting(tmp_path: Path):
    written = gate_file(held_seconds=90, warned_seconds=15, access_points=[{"id": IN, "direction": "in"}])
    (doorway,) = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, written)).doorways
    assert (doorway.warned, doorway.held) == (timedelta(seconds=15), timedelta(seconds=90))


@pytest.mark.parametrize("interlocked", [True, False])
def test_that_a_door_is_interlocked_is_a_setting(tmp_path: Path, interlocked: bool):  # noqa: FBT001
    point = {"id": IN, "direction": "in", "interlocked": interlocked}
    written = gate_file(access_points=[point])
    (doorway,) = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, written)).doorways
    assert doorway.interlocked is interlocked


def test_how_people_get_out_and_what_a_fire_does_are_settings_that_release_nothing_unless_written(
    tmp_path: Path,
):
    points: list[dict[str, Any]] = [{"id": IN, "direction": "in"}, {"id": OUT, "direction": "out"}]
    unwritten = gate_folder(tmp_path / "unwritten", SERVICE, KEY, gate_file(access_points=points))
    for doorway in read_gate_folder(unwritten).doorways:
        assert (doorway.exit, doorway.released_by_fire, doorway.partners) == (Exit.WIRED, False, frozenset())
    points[0] |= {"exit": "released", "on_fire": "release"}
    written = gate_file(access_points=points, interlocks=[[IN, OUT]])
    first, second = read_gate_folder(gate_folder(tmp_path / "written", SERVICE, KEY, written)).doorways
    assert (first.exit, first.released_by_fire, first.partners) == (Exit.RELEASED, True, {OUT})
    assert (second.exit, second.released_by_fire, second.partners) == (Exit.WIRED, False, {IN})


@pytest.mark.parametrize(
    "changes",
    [
        {"bridge": BRIDGE},
        {"bridge": {"kind": "tasmota", "topic": "tele/shed/SENSOR"}},
        {"bridge": BRIDGE, "access_points": [{"id": IN, "direction": "in", "contact": False}]},
    ],
)
def test_a_bridge_has_a_reader_and_no_contact(tmp_path: Path, changes: dict[str, Any]):
    written = gate_file(**({"access_points": [{"id": IN, "direction": "in"}]} | changes))
    settings = read_gate_folder(gate_folder(tmp_path, SERVICE, KEY, written))
    assert settings.bridge == TasmotaSettings(topic="tele/shed/SENSOR", access_point=IN)
    assert not settings.doorways[0].has_contact


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"site": "Assen"}, "site is 1 to 32"),
        ({"gate": None}, "gate is 1 to 32"),
        ({"prefix": "a/b"}, "prefix is 1 to 32"),
        ({"colour": "red"}, "colour is no setting"),
        ({"access_points": []}, "list of access_points"),
        ({"access_points": ["main-in"]}, "list of access_points"),
        ({"access_points": [{"id": IN, "direction": "up"}]}, "in or out"),
        ({"access_points": [{"id": IN, "direction": "in", "open": True}]}, "open is no setting"),
        ({"access_points": [{"id": IN, "direction": "in", "contact": "yes"}]}, "true or false"),
        (
            {"access_points": [{"id": IN, "direction": "in", "interlocked": 1}]},
            "interlocked is true or false",
        ),
        (
            {"access_points": [{"id": IN, "direction": "in", "interlocked": True, "contact": False}]},
            "needs a contact",
        ),
        (
            {"bridge": BRIDGE, "access_points": [{"id": IN, "direction": "in", "interlocked": True}]},
            "needs a contact",
        ),
        ({"access_points": [{"id": IN, "direction": "in"}] * 2}, "twice"),
        ({"access_points": [{"id": IN, "direction": "in", "exit": "open"}]}, "wired or released"),
        ({"access_points": [{"id": IN, "direction": "in", "on_fire": True}]}, "nothing or release"),
        ({"interlocks": IN}, "interlocks is a list of lists"),
        ({"interlocks": [[IN]]}, "interlocks is a list of lists"),
        ({"interlocks": [[IN, "cellar"]]}, "interlocks is a list of lists"),
        ({"interlocks": [[IN, [OUT]]]}, "interlocks is a list of lists"),
        (
            {
                "interlocks": [[IN, OUT]],
                "access_points": [
                    {"id": IN, "direction": "in"},
                    {"id": OUT, "direction": "out", "contact": False},
                ],
            },
            "have a contact",
        ),
        ({"held_seconds": 0}, "from 1 to 3600"),
        ({"held_seconds": True}, "from 1 to 3600"),
        ({"warned_seconds": 0}, "from 1 to held_seconds"),
        ({"warned_seconds": 31}, "from 1 to held_seconds"),
        ({"warned_seconds": 1.5}, "from 1 to held_seconds"),
        ({"bridge": {"kind": "zigbee"}}, "kind of a bridge is one of"),
        ({"bridge": {"kind": "tasmota", "topic": "tele/+/SENSOR"}}, "as in tele/shed/SENSOR"),
        ({"bridge": {"kind": "tasmota", "topic": "tele/shed/SENSOR"}}, "none of the gate's"),
        ({"bridge": BRIDGE | {"access_point": "elsewhere"}}, "none of the gate's"),
        ({"bridge": BRIDGE | {"relay": 2}}, "relay is no setting"),
        (
            {"bridge": BRIDGE, "access_points": [{"id": IN, "direction": "in", "contact": True}]},
            "contact is false",
        ),
        ({"site": "elsewhere"}, "of the site elsewhere"),
        ({"gate": "side-gate"}, "does not hold the key of side-gate"),
    ],
)
def test_a_setting_that_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], sentence: str):
    written = {name: value for name, value in (gate_file() | changes).items() if value is not None}
    folder = gate_folder(tmp_path, SERVICE, KEY, written)
    with pytest.raises(SettingsError, match=sentence):
        read_gate_folder(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_gate_file_that_is_no_object_is_said(tmp_path: Path, content: bytes):
    folder = gate_folder(tmp_path, SERVICE, KEY)
    (folder / "gate.json").write_bytes(content)
    with pytest.raises(SettingsError, match=r"gate\.json"):
        read_gate_folder(folder)


@pytest.mark.parametrize("name", ["gate.json", "key.pem", "broker-password", "anchor.json", "trust.cose"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    folder = gate_folder(tmp_path, SERVICE, KEY)
    (folder / name).unlink()
    with pytest.raises(SettingsError, match=f"{name} cannot be read"):
        read_gate_folder(folder)


@pytest.mark.parametrize("name", ["key.pem", "broker-password"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_secret_that_others_may_read_is_not_used(tmp_path: Path, name: str, mode: int):
    folder = gate_folder(tmp_path, SERVICE, KEY)
    (folder / name).chmod(mode)
    with pytest.raises(SettingsError, match="can be read by others"):
        read_gate_folder(folder)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("key.pem", b"no key", "no private key"),
        ("anchor.json", b"{}", "no trust anchor"),
        ("anchor.json", b"\xff", "no trust anchor"),
        ("trust.cose", b"\x80", "is not believed"),
        ("trust.cose", Service({GATE: KEY}).trust_document, "does not verify with the site's roots"),
    ],
)
def test_a_document_that_is_not_believed_is_said(tmp_path: Path, name: str, content: bytes, sentence: str):
    folder = gate_folder(tmp_path, SERVICE, KEY)
    (folder / name).write_bytes(content)
    with pytest.raises(SettingsError, match=sentence):
        read_gate_folder(folder)


def test_a_key_that_the_trust_list_does_not_hold_is_not_used(tmp_path: Path):
    folder = gate_folder(tmp_path, SERVICE, cose.SigningKey.generate())
    with pytest.raises(SettingsError, match="have the site admit"):
        read_gate_folder(folder)


def test_a_key_of_another_gate_is_not_used(tmp_path: Path):
    folder = gate_folder(tmp_path, Service({GATE: cose.SigningKey.generate(), OTHER_GATE: KEY}), KEY)
    with pytest.raises(SettingsError, match="have the site admit"):
        read_gate_folder(folder)
