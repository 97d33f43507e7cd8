"""What gate.json says of a bridge, for each kind; and what is wrong is said in a sentence."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.bridges.esp_rfid_format import CardForm
from devices.bridges.settings import (
    EspRfidDoor,
    EspRfidSettings,
    OnvifDoor,
    OnvifSettings,
    UhppotedDoor,
    UhppotedSettings,
)
from devices.bridges.uhppoted_format import LONGEST_ROLLOVER
from devices.settings import GateSettings, SettingsError, read_gate_folder
from gatekeeper import cose
from tests.unit.devices.folders import gate_file, gate_folder
from tests.unit.devices.ground import GATE, IN, OUT, Service

KEY = cose.SigningKey.generate()
SERVICE = Service({GATE: KEY})
HMAC_KEY = b"made at test time, long enough"

SHED = {"access_point": IN, "hostname": "shed", "ip": "192.168.1.20"}
ESP_RFID = {"kind": "esp-rfid", "topic": "rfid", "cards": "wiegand-26", "doors": [SHED]}
CONTROLLER_DOOR = {"access_point": IN, "device": 425041860, "door": 1}
UHPPOTED = {
    "kind": "uhppoted",
    "time_zone": "Europe/Amsterdam",
    "card_number": 10058400,
    "doors": [CONTROLLER_DOOR],
}
POINT = {"access_point": IN, "token": "AP1", "door_token": "D1"}
ONVIF = {"kind": "onvif", "topic": "onvif/front", "doors": [POINT]}


def read(folder: Path, bridge: dict[str, Any], *, contacts: dict[str, bool] | None = None) -> GateSettings:
    contacts = contacts or {}
    points = [
        {"id": point, "direction": direction, **({"contact": contacts[point]} if point in contacts else {})}
        for point, direction in ((IN, "in"), (OUT, "out"))
    ]
    where = gate_folder(folder, SERVICE, KEY, gate_file(access_points=points, bridge=bridge))
    return read_gate_folder(where)


def has_contact(settings: GateSettings) -> dict[str, bool]:
    return {doorway.id: doorway.has_contact for doorway in settings.doorways}


def test_an_esp_rfid_bridge_is_read(tmp_path: Path):
    yard = {"access_point": OUT, "hostname": "yard", "ip": "192.168.1.21", "relay": 2}
    settings = read(tmp_path, ESP_RFID | {"heartbeat_seconds": 60, "doors": [SHED, yard]})
    assert settings.bridge == EspRfidSettings(
        topic="rfid",
        cards=CardForm.WIEGAND_26,
        heartbeat=timedelta(seconds=60),
        doors=(
            EspRfidDoor(access_point=IN, hostname="shed", ip="192.168.1.20", relay=None),
            EspRfidDoor(access_point=OUT, hostname="yard", ip="192.168.1.21", relay=2),
        ),
    )


def test_a_uhppoted_bridge_is_read(tmp_path: Path):
    other_side = CONTROLLER_DOOR | {"access_point": OUT, "reader": 2}
    settings = read(tmp_path, UHPPOTED | {"rollover": 100_000, "doors": [CONTROLLER_DOOR, other_side]})
    assert settings.bridge == UhppotedSettings(
        topic="uhppoted/gateway",
        time_zone=ZoneInfo("Europe/Amsterdam"),
        card_number=10058400,
        rollover=100_000,
        doors=(
            UhppotedDoor(access_point=IN, device=425041860, door=1, reader=1),
            UhppotedDoor(access_point=OUT, device=425041860, door=1, reader=2),
        ),
        key=None,
    )


def test_the_key_of_an_hmac_is_a_secret_of_the_folder(tmp_path: Path):
    gate_folder(tmp_path, SERVICE, KEY)
    secret = tmp_path / "uhppoted-hmac-key"
    with pytest.raises(SettingsError, match="uhppoted-hmac-key cannot be read"):
        read(tmp_path, UHPPOTED | {"hmac": True})
    secret.write_bytes(HMAC_KEY + b"\n")
    secret.chmod(0o640)
    with pytest.raises(SettingsError, match="can be read by others"):
        read(tmp_path, UHPPOTED | {"hmac": True})
    secret.chmod(0o600)
    bridge = read(tmp_path, UHPPOTED | {"hmac": True}).bridge
    assert isinstance(bridge, UhppotedSettings)
    assert bridge.key == HMAC_KEY
    assert bridge.rollover == LONGEST_ROLLOVER
    assert HMAC_KEY.decode() not in repr(bridge)
    secret.write_bytes(b"short\n")
    with pytest.raises(SettingsError, match="16 characters or more"):
        read(tmp_path, UHPPOTED | {"hmac": True})
    # Not asked for, it is not read.
    assert isinstance(read(tmp_path, UHPPOTED).bridge, UhppotedSettings)


def test_an_onvif_bridge_is_read(tmp_path: Path):
    opened = {"topic": "cmnd/yard/Power1", "payload": "ON"}
    yard = {"access_point": OUT, "token": "AP2", "open": opened}
    settings = read(tmp_path, ONVIF | {"doors": [POINT, yard]})
    assert settings.bridge == OnvifSettings(
        topic="onvif/front",
        doors=(
            OnvifDoor(access_point=IN, token="AP1", door_token="D1", open=None),
            OnvifDoor(access_point=OUT, token="AP2", door_token=None, open=("cmnd/yard/Power1", b"ON")),
        ),
    )


@pytest.mark.parametrize("bridge", [ESP_RFID, UHPPOTED, ONVIF])
def test_a_door_that_is_bridged_has_a_contact_where_it_is_said(tmp_path: Path, bridge: dict[str, Any]):
    assert has_contact(read(tmp_path, bridge)) == {IN: False, OUT: True}
    assert has_contact(read(tmp_path, bridge, contacts={IN: True})) == {IN: True, OUT: True}


@pytest.mark.parametrize(
    "bridge",
    [
        ESP_RFID | {"doors": [SHED | {"relay": 1}]},
        UHPPOTED | {"doors": [CONTROLLER_DOOR, CONTROLLER_DOOR | {"access_point": OUT, "reader": 2}]},
        ONVIF | {"doors": [{"access_point": IN, "token": "AP1"}]},
        ONVIF | {"doors": [POINT, POINT | {"access_point": OUT, "token": "AP2"}]},
    ],
)
def test_a_contact_that_no_device_tells_of_for_that_door_alone_is_refused(
    tmp_path: Path, bridge: dict[str, Any]
):
    with pytest.raises(SettingsError, match="tells of no contact of that door alone"):
        read(tmp_path, bridge, contacts={IN: True, OUT: False})
    assert not has_contact(read(tmp_path, bridge))[IN]


@pytest.mark.parametrize(
    ("bridge", "sentence"),
    [
        ({}, "kind of a bridge is one of tasmota, esp-rfid, uhppoted, onvif"),
        (ESP_RFID | {"topic": "rfid/+"}, "as in rfid"),
        (ESP_RFID | {"topic": "rfid/"}, "as in rfid"),
        (ESP_RFID | {"topic": None}, "as in rfid"),
        (ESP_RFID | {"cards": "wiegand"}, "mifare, wiegand-26"),
        (ESP_RFID | {"cards": []}, "mifare, wiegand-26"),
        ({"kind": ["esp-rfid"]}, "kind of a bridge is one of"),
        (ESP_RFID | {"heartbeat_seconds": 0}, "heartbeat_seconds is a whole number from 1 to 3600"),
        (ESP_RFID | {"access_point": IN}, "access_point is no setting of a bridge"),
        (ESP_RFID | {"doors": []}, "list of doors"),
        (ESP_RFID | {"doors": SHED}, "list of doors"),
        (ESP_RFID | {"doors": ["shed"]}, "list of doors"),
        (ESP_RFID | {"doors": [SHED | {"pin": 1}]}, "pin is no setting of a door"),
        (ESP_RFID | {"doors": [SHED | {"access_point": "elsewhere"}]}, "none of the gate's"),
        (ESP_RFID | {"doors": [SHED | {"hostname": "a b"}]}, "hostname of a door"),
        (ESP_RFID | {"doors": [SHED | {"ip": "shed.local"}]}, "as in 192.168.1.20"),
        (ESP_RFID | {"doors": [SHED | {"ip": 3232235796}]}, "as in 192.168.1.20"),
        (ESP_RFID | {"doors": [SHED | {"relay": 4}]}, "relay is a whole number from 0 to 3"),
        (ESP_RFID | {"doors": [SHED, SHED]}, "same access_point"),
        (ESP_RFID | {"doors": [SHED, SHED | {"access_point": OUT}]}, "same relay"),
        (
            ESP_RFID | {"doors": [SHED, SHED | {"access_point": OUT, "relay": 1}]},
            "each of them needs its relay",
        ),
        (
            ESP_RFID
            | {
                "doors": [
                    SHED | {"relay": 0},
                    SHED | {"access_point": OUT, "relay": 1, "ip": "192.168.1.21"},
                ]
            },
            "shed has one ip",
        ),
        (ESP_RFID | {"doors": [SHED, SHED | {"access_point": OUT, "hostname": "yard"}]}, "same ip"),
        (UHPPOTED | {"time_zone": "CEST"}, "as in Europe/Amsterdam"),
        (UHPPOTED | {"time_zone": "../../etc/passwd"}, "as in Europe/Amsterdam"),
        (UHPPOTED | {"time_zone": None}, "as in Europe/Amsterdam"),
        (UHPPOTED | {"card_number": 0}, "card_number is a whole number"),
        (UHPPOTED | {"card_number": "10058400"}, "card_number is a whole number"),
        (UHPPOTED | {"hmac": "a secret in the wrong place"}, "true or false"),
        (UHPPOTED | {"rollover": 10}, "rollover is a whole number"),
        (UHPPOTED | {"topic": "#"}, "as in uhppoted/gateway"),
        (UHPPOTED | {"doors": [CONTROLLER_DOOR | {"device": 0}]}, "device is a whole number"),
        (UHPPOTED | {"doors": [CONTROLLER_DOOR | {"door": 5}]}, "door is a whole number from 1 to 4"),
        (UHPPOTED | {"doors": [CONTROLLER_DOOR | {"reader": 3}]}, "reader is a whole number from 1 to 2"),
        (UHPPOTED | {"doors": [CONTROLLER_DOOR, CONTROLLER_DOOR | {"access_point": OUT}]}, "same reader"),
        (ONVIF | {"topic": 1}, "as in onvif/front"),
        (ONVIF | {"doors": [POINT | {"token": "a/b"}]}, "token of a door"),
        (ONVIF | {"doors": [POINT | {"door_token": ""}]}, "door_token of a door"),
        (ONVIF | {"doors": [POINT, POINT | {"access_point": OUT}]}, "same token"),
        (ONVIF | {"doors": [POINT | {"open": "ON"}]}, "what is published to open it"),
        (
            ONVIF | {"doors": [POINT | {"open": {"topic": "#", "payload": "ON"}}]},
            "what is published to open it",
        ),
        (
            ONVIF | {"doors": [POINT | {"open": {"topic": "a", "payload": "\u00e9"}}]},
            "what is published to open it",
        ),
        (
            ONVIF | {"doors": [POINT | {"open": {"topic": "a", "payload": ""}}]},
            "what is published to open it",
        ),
        (
            ONVIF | {"doors": [POINT | {"open": {"topic": "a", "payload": "ON", "retain": True}}]},
            "what is published to open it",
        ),
    ],
)
def test_a_bridge_that_is_wrong_is_said(tmp_path: Path, bridge: dict[str, Any], sentence: str):
    with pytest.raises(SettingsError, match=sentence):
        read(tmp_path, bridge)
