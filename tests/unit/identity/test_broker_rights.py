"""What the broker is told of bridges and their devices: what they really say and hear, and not a topic more."""

import json
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import topic_matches_sub

from devices.bridges.esp_rfid import EspRfidBridge
from devices.bridges.esp_rfid_format import opening as opening_of_esp_rfid
from devices.bridges.onvif import OnvifBridge
from devices.bridges.settings import (
    EspRfidSettings,
    OnvifSettings,
    TasmotaSettings,
    UhppotedSettings,
    read_bridge,
)
from devices.bridges.tasmota_format import opening as opening_of_tasmota
from devices.bridges.tasmota_format import securing
from devices.bridges.uhppoted import UhppotedBridge
from devices.bridges.uhppoted_format import opening as opening_of_uhppoted
from gatekeeper.model.ids import GateId
from gatekeeper.service.identity import broker_rights as module
from gatekeeper.service.identity.broker_rights import (
    BridgeRights,
    BridgeUnknownError,
    broker_configuration,
    broker_rights,
    device_login,
    device_rights,
    gate_of_device,
)
from tests.support.sites import SITE

GATE, IN, PULSE = GateId("shed-reader"), "shed-in", timedelta(seconds=5)
DOOR = {"access_point": IN}
BRIDGES: dict[str, dict[str, Any]] = {
    "tasmota": {"kind": "tasmota", "topic": "tele/shed/SENSOR", **DOOR},
    "esp-rfid": {
        "kind": "esp-rfid",
        "topic": "rfid",
        "cards": "wiegand-26",
        "doors": [{**DOOR, "hostname": "shed", "ip": "192.168.1.20"}],
    },
    "uhppoted": {
        "kind": "uhppoted",
        "time_zone": "Europe/Amsterdam",
        "card_number": 25565535,
        "doors": [{**DOOR, "device": 405419896, "door": 1}],
    },
    "onvif": {
        "kind": "onvif",
        "topic": "onvif/front",
        "doors": [
            {
                **DOOR,
                "token": "AP1",
                "door_token": "D1",
                "open": {"topic": "cmnd/relay/Backlog", "payload": "PulseTime1 50; Power1 ON"},
            }
        ],
    },
}
#: what stock devices must be able to say and hear, by their makers' documentation (schemas/bridges.md)
DEVICES: dict[str, tuple[list[str], list[str]]] = {
    "tasmota": (
        ["tele/shed/SENSOR", "tele/shed/LWT"],
        ["cmnd/shed/Backlog", "cmnd/shed/Power1"],
    ),
    "esp-rfid": (["rfid/send"], ["rfid/cmd"]),
    "uhppoted": (
        ["uhppoted/gateway/events", "uhppoted/gateway/events/live", f"uhppoted/gateway/replies/{GATE}"],
        ["uhppoted/gateway/requests/device/door/lock:open"],
    ),
    "onvif": (
        ["onvif/front/onvif-ej/tns1:Door/State/DoorPhysicalState/&D1", "tele/relay/LWT"],
        ["cmnd/relay/Backlog"],
    ),
}
STRANGE = [
    "gk/v1/fort/front/scan",
    "tele/yard/SENSOR",
    "cmnd/yard/Power1",
    "other/send",
    "#",
    "homeassistant/x",
]


def gate_file(bridge: Any) -> bytes:
    return json.dumps({"site": SITE, "gate": GATE, "prefix": "gk", "bridge": bridge}).encode()


def rights(kind: str) -> BridgeRights:
    found = module.read_bridge(GATE, gate_file(BRIDGES[kind]), prefix="gk")
    assert found is not None
    return found


def is_reached(topic: str, filters: tuple[str, ...]) -> bool:
    return any(topic_matches_sub(one, topic) for one in filters)


def heard_and_said(kind: str) -> tuple[list[str], list[str]]:
    """What the bridge itself subscribes to and publishes on: the one that `gatekeeper-device run` makes of the same file."""
    settings = read_bridge(BRIDGES[kind], points=(IN,), read_key=lambda: b"")
    match settings:
        case TasmotaSettings(topic=topic):
            return [topic], [opening_of_tasmota(topic, PULSE)[0], securing(topic)[0]]
        case EspRfidSettings():
            bridge = EspRfidBridge(nobody_listens, settings, contacts=frozenset())
            return list(bridge.routes), [opening_of_esp_rfid(settings.topic, ip="", relay=0)[0]]
        case UhppotedSettings():
            made = UhppotedBridge(nobody_listens, settings, gate=GATE, contacts=frozenset())
            opened, _ = opening_of_uhppoted(
                settings.topic, device=1, door=1, card_number=1, client=GATE, request="r", key=None
            )
            return list(made.routes), [opened]
        case OnvifSettings():
            heard = OnvifBridge(nobody_listens, settings, contacts=frozenset())
            return list(heard.routes), [door.open[0] for door in settings.doors if door.open]


def nobody_listens(_topic: str, _payload: bytes) -> None:
    """Nothing is published here."""


@pytest.mark.parametrize("kind", BRIDGES)
def test_a_bridge_reaches_what_it_hears_and_says_and_its_devices_the_other_end_of_that(kind: str):
    given, (heard, said) = rights(kind), heard_and_said(kind)
    assert heard
    assert said
    assert [topic for topic in heard if not is_reached(topic, given.hears)] == []
    assert [topic for topic in said if not is_reached(topic, given.says)] == []
    assert [topic for topic in heard if not is_reached(topic, given.devices_say)] == []
    assert [topic for topic in said if not is_reached(topic, given.devices_hear)] == []


@pytest.mark.parametrize("kind", BRIDGES)
def test_a_device_reaches_what_its_maker_says_and_nothing_of_others(kind: str):
    given, (says, hears) = rights(kind), DEVICES[kind]
    assert [topic for topic in says if not is_reached(topic, given.devices_say)] == []
    assert [topic for topic in hears if not is_reached(topic, given.devices_hear)] == []
    everything = given.hears + given.says + given.devices_say + given.devices_hear
    assert [topic for topic in STRANGE if is_reached(topic, everything)] == []


def test_a_gate_that_is_no_bridge_needs_nothing():
    assert module.read_bridge(GATE, b'{"gate": "shed-reader"}', prefix="gk") is None


@pytest.mark.parametrize(
    "bridge",
    [
        {"kind": "tasmota"},
        {"kind": "tasmota", "topic": "shed/tele/SENSOR"},
        {"kind": "zigbee", "topic": "x"},
        {"kind": "onvif", "topic": "onvif/front", "doors": "none"},
        "tasmota",
        None,
    ],
)
def test_a_bridge_that_nobody_knows_is_told(bridge: Any):
    with pytest.raises(BridgeUnknownError, match=f"gate.json of {GATE} has no bridge that is known"):
        module.read_bridge(GATE, gate_file(bridge), prefix="gk")


TRICKS = [
    "#",
    "+",
    "shed/+",
    "a/#",
    "",
    " shed",
    "shed ",
    "she\nd",
    "$SYS/x",
    "gk/v1/fort/front",
    "gk",
    "a" * 201,
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_file_of_a_bridge_reaches_more_than_its_devices(trick: str):
    door = {"access_point": IN, "token": "AP1", "open": {"topic": trick, "payload": "x"}}
    for bridge in (
        {"kind": "esp-rfid", "topic": trick},
        {"kind": "uhppoted", "topic": trick},
        {"kind": "onvif", "topic": trick, "doors": []},
        {"kind": "onvif", "topic": "onvif/front", "doors": [door]},
    ):
        with pytest.raises(BridgeUnknownError, match="a topic that no device can have"):
            module.read_bridge(GATE, gate_file(bridge), prefix="gk")


@pytest.mark.parametrize("trick", ["#", "+", "shed/+", "she\nd", " shed", "$SYS"])
def test_no_tasmota_reaches_more_than_its_own(trick: str):
    with pytest.raises(BridgeUnknownError):
        module.read_bridge(GATE, gate_file({"kind": "tasmota", "topic": f"tele/{trick}/SENSOR"}), prefix="gk")


@pytest.mark.parametrize("document", [b"{", b"\xff", b"[" * 200_000], ids=["half", "no text", "deep"])
def test_what_is_no_json_is_told(document: bytes):
    with pytest.raises(BridgeUnknownError, match="is no JSON"):
        module.read_bridge(GATE, document, prefix="gk")


def test_each_login_has_its_own_bridge_s_topics_and_the_devices_of_a_revoked_bridge_none():
    bridges = {GATE: rights("tasmota"), GateId("yard-reader"): rights("esp-rfid"), GateId("odd"): None}
    logins = [device_login(GATE), device_login(GateId("yard-reader"), "left"), device_login(GateId("odd"))]
    text = device_rights(logins, revoked_gates=[], bridges=bridges)
    assert (
        "user device.shed-reader\ntopic read cmnd/shed/#\ntopic write tele/shed/SENSOR\ntopic write tele/shed/LWT\n"
        in text
    )
    assert "user device-left.yard-reader\ntopic read rfid/cmd\ntopic write rfid/send\n" in text
    assert "odd" not in text
    assert "shed" not in device_rights(logins, revoked_gates=[GATE], bridges=bridges)


def test_a_bridge_has_its_topics_beside_a_gate_s_and_one_that_nobody_understood_is_named():
    text = broker_rights(
        SITE, prefix="gk", revoked=[], bridges={GATE: rights("tasmota"), GateId("odd"): None}
    )
    assert "\nuser shed-reader\ntopic read tele/shed/SENSOR\ntopic write cmnd/shed/Backlog\n" in text
    assert "\n# odd has none: " in text


def test_several_integrators_read_the_same_each_under_a_name_of_its_own():
    text = broker_rights(SITE, prefix="gates", revoked=[], integrators=[f"integrator-acme.{SITE}"])
    block = (
        f"topic read gates/{SITE}/onvif-ej/#\ntopic read gates/{SITE}/outward\n"
        f"topic read +/+/gatekeeper-{SITE}/+/config\ntopic deny gates/v1/#\n"
    )
    assert text.count(block) == 2
    assert f"user integrator.{SITE}\n{block}" in text
    assert f"user integrator-acme.{SITE}\n{block}" in text
    assert " gk/" not in text


@pytest.mark.parametrize("login", ["device.shed-reader", "device-left.shed-reader"])
def test_a_login_says_whose_device_it_is_and_is_no_gate_s_name(login: str):
    assert gate_of_device(login) == GATE
    assert gate_of_device(GATE) is None
    with pytest.raises(ValueError, match="no name for a device"):
        device_login(GATE, "Left one")


def test_devices_have_a_listener_only_where_one_is_asked_for_and_then_at_one_address():
    alone = broker_configuration().decode()
    assert alone == Path("deploy/mosquitto/mosquitto.conf").read_text()
    assert alone.count("\nlistener ") == 1
    both = broker_configuration(devices=(ip_address("10.0.9.1"), 1884)).decode()
    assert both.startswith(alone)
    assert "\nlistener 1884 10.0.9.1\n" in both
