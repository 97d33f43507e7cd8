"""Devices that people own, at the real broker, byte for byte, and the bridges that speak for them: esp-rfid, uhppoted-mqtt, ONVIF.

Each device is a plain client on the readers' listener that says what its maker's documentation says (the sources stand in
tests/unit/devices); the way ends in a signed decision and in what the device is told.
"""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.agent import GateAgent
from devices.app import make_gate
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import ByCard, Passage, PassageOutcome, Scan, Status, StatusKind, Verdict
from tests.integration.gate_site import SiteSide, site_side
from tests.support.mqtt import MqttClient, mqtt_client
from tests.support.waiting import eventually
from tests.unit.devices.ground import IN, OUT

pytestmark = pytest.mark.integration

NUMBERS = count(1)
FIRST = ByCard(Card(CardTechnology.WIEGAND, bytes.fromhex("00763ae8")))
SECOND = ByCard(Card(CardTechnology.WIEGAND, bytes.fromhex("002dae61")))
HMAC_KEY = hashlib.sha256(b"made at test time").hexdigest()


@pytest.fixture
async def side(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[SiteSide]:
    async with site_side(broker, tmp_path / "gate", role="bridge") as side:
        yield side


@pytest.fixture
async def device(broker: EmbeddedBroker) -> AsyncIterator[MqttClient]:
    async with mqtt_client(broker.readers_port) as client:
        yield client


def gate(side: SiteSide, bridge: dict[str, Any], *, contact: bool = False) -> GateAgent:
    points = [
        {"id": IN, "direction": "in", "contact": contact},
        {"id": OUT, "direction": "out", "contact": False},
    ]
    return make_gate(side.settings(access_points=points, bridge=bridge), broker=side.broker.url)


async def say(device: MqttClient, topic: str, message: Any, *, retain: bool = False) -> None:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    await device.publish(topic, payload, retain=retain)


def scanned(side: SiteSide) -> list[Any]:
    return [scan.credential for scan in side.seen(Scan)]


# -- esp-rfid -------------------------------------------------------------------------------------------------------------


class EspRfid:
    """One device with its own name, and what it says."""

    def __init__(self) -> None:
        self.hostname = f"shed-{next(NUMBERS)}"
        self.access = {
            "type": "access",
            "time": int(datetime.now(UTC).timestamp()),
            "isKnown": "false",
            "access": "Denied",
            "username": "Unknown",
            "uid": "7748328",
            "doorName": "front",
            "hostname": self.hostname,
        }
        self.door_open = {
            "type": "INFO",
            "src": "door",
            "desc": "Door Open",
            "data": "",
            "time": int(datetime.now(UTC).timestamp()),
            "cmd": "event",
            "hostname": self.hostname,
        }
        self.heartbeat = {
            "type": "heartbeat",
            "time": int(datetime.now(UTC).timestamp()),
            "uptime": 999,
            "ip": "192.168.1.20",
            "hostname": self.hostname,
        }

    def bridge(self, **changes: Any) -> dict[str, Any]:
        door = {"access_point": IN, "hostname": self.hostname, "ip": "192.168.1.20", "relay": 0}
        return {"kind": "esp-rfid", "topic": "rfid", "cards": "wiegand-26", "doors": [door], **changes}


async def test_a_card_at_an_esp_rfid_is_decided_and_its_relay_opens(side: SiteSide, device: MqttClient):
    shed = EspRfid()
    await device.subscribe("rfid/cmd")
    async with side.serves(gate(side, shed.bridge())) as running:
        await say(device, "rfid/send", shed.access)
        assert await device.next_message() == (
            "rfid/cmd",
            b'{"cmd":"open","door":"0","doorip":"192.168.1.20"}',
        )
        assert len(running.tally.unlocks) == 1
    (scan,) = side.seen(Scan)
    assert (scan.credential, scan.proof, scan.access_point) == (FIRST, None, IN)
    # Nobody knows whether somebody went through, and nobody says so.
    assert side.seen(Passage) == []


async def test_a_device_with_two_relays_is_asked_about_at_both_and_each_opens_on_its_own_grant(
    side: SiteSide, device: MqttClient
):
    shed = EspRfid()
    side.decides = lambda scan: Verdict.GRANTED if scan.access_point == OUT else Verdict.DENIED
    await device.subscribe("rfid/cmd")
    doors = [
        {"access_point": point, "hostname": shed.hostname, "ip": "192.168.1.20", "relay": relay}
        for relay, point in enumerate((IN, OUT))
    ]
    known = shed.access | {
        "isKnown": "true",
        "username": "somebody",
        "access": ["Disabled", "Disabled"],
        "doorName": ["front", "yard"],
    }
    async with side.serves(gate(side, shed.bridge(doors=doors))):
        await say(device, "rfid/send", known)
        assert await device.next_message() == (
            "rfid/cmd",
            b'{"cmd":"open","door":"1","doorip":"192.168.1.20"}',
        )
    assert {scan.access_point for scan in side.seen(Scan)} == {IN, OUT}


async def test_whoever_goes_through_the_door_of_an_esp_rfid_is_told(side: SiteSide, device: MqttClient):
    shed = EspRfid()
    await device.subscribe("rfid/cmd")
    async with side.serves(gate(side, shed.bridge(), contact=True)):
        await say(device, "rfid/send", shed.access)
        await device.next_message()
        await say(device, "rfid/send", shed.door_open)
        await say(device, "rfid/send", shed.door_open | {"desc": "Door Closed"})
        await say(device, "rfid/send", shed.door_open)
        await eventually(lambda: len(side.seen(Passage)) == 2)
    outcomes = [passage.outcome for passage in side.seen(Passage)]
    assert outcomes == [PassageOutcome.TAKEN, PassageOutcome.FORCED]


async def test_what_is_retained_malformed_or_of_another_opens_nothing(side: SiteSide, device: MqttClient):
    shed = EspRfid()
    await device.subscribe("rfid/cmd")
    await say(device, "rfid/send", shed.access | {"uid": "1"}, retain=True)
    async with side.serves(gate(side, shed.bridge())) as running:
        for message in (
            b"junk",
            b"[" * 1000,
            b"x" * 5000,
            json.dumps(shed.access).encode()[:-1] + b',"uid":"2"}',
            shed.access | {"isKnown": False},
            shed.access | {"hostname": "elsewhere"},
            shed.access | {"uid": "0"},
            shed.access | {"uid": " ", "isKnown": "true", "access": "Always", "username": "MQTT"},
            shed.heartbeat,
            shed.access,
            shed.access,
        ):
            await say(device, "rfid/send", message)
        await device.next_message()
        assert len(running.tally.unlocks) == 1
    await say(device, "rfid/send", b"", retain=True)
    assert scanned(side) == [FIRST]


async def test_a_denied_card_sends_an_esp_rfid_nothing(side: SiteSide, device: MqttClient):
    shed = EspRfid()
    side.decides = lambda scan: Verdict.GRANTED if scan.credential == FIRST else Verdict.DENIED
    await device.subscribe("rfid/cmd")
    async with side.serves(gate(side, shed.bridge())) as running:
        await say(device, "rfid/send", shed.access | {"uid": "2993761"})
        await eventually(lambda: running.tally.denied == 1)
        await say(device, "rfid/send", shed.access)
        await device.next_message()
        assert device.received.empty()
    assert scanned(side) == [SECOND, FIRST]


async def test_the_command_to_open_a_relay_is_kept_by_no_broker(side: SiteSide, device: MqttClient):
    shed = EspRfid()
    await device.subscribe("rfid/cmd")
    async with side.serves(gate(side, shed.bridge())):
        await say(device, "rfid/send", shed.access)
        await device.next_message()
        async with mqtt_client(side.broker.readers_port) as late:
            await late.subscribe("rfid/cmd")
            await say(device, "rfid/send", shed.access | {"uid": "2993761"})
            await device.next_message()
            await late.next_message()
            assert late.received.empty()


async def test_a_device_that_falls_silent_is_offline_until_it_is_heard_again(
    side: SiteSide, device: MqttClient
):
    shed = EspRfid()

    def told() -> list[StatusKind]:
        return [status.kind for status in side.seen(Status) if status.access_point == IN]

    async with side.serves(gate(side, shed.bridge(heartbeat_seconds=1))):
        await say(device, "rfid/send", shed.heartbeat | {"type": "boot", "uptime": "0"})
        await eventually(lambda: told() == [StatusKind.ONLINE])
        await eventually(lambda: told() == [StatusKind.ONLINE, StatusKind.OFFLINE])
        await say(device, "rfid/send", shed.heartbeat)
        await eventually(lambda: told()[2:] == [StatusKind.ONLINE])


def bypassed(side: SiteSide) -> list[tuple[AccessPointId | None, int | None]]:
    """What the gate told of doors that their devices opened by themselves."""
    told = [status for status in side.seen(Status) if status.kind is StatusKind.OPENED_ITSELF]
    return [(status.access_point, status.count) for status in told]


async def test_a_device_that_lets_somebody_in_past_the_gate_is_told_to_the_site_each_time_without_a_contact(
    side: SiteSide, device: MqttClient
):
    shed = EspRfid()
    doors = [
        {"access_point": point, "hostname": shed.hostname, "ip": "192.168.1.20", "relay": relay}
        for relay, point in enumerate((IN, OUT))
    ]
    let_in = shed.access | {
        "isKnown": "true",
        "username": "somebody",
        "access": ["Always", "Disabled"],
        "doorName": ["front", "yard"],
    }
    async with side.serves(gate(side, shed.bridge(doors=doors))):
        for _ in range(3):
            await say(device, "rfid/send", let_in)
        await eventually(lambda: len(bypassed(side)) == 3)
        # A message of an old clock, and so of nobody's wish to enter, tells of an open door all the same.
        await say(device, "rfid/send", let_in | {"time": 1605991375, "access": ["Disabled", "Admin"]})
        await eventually(lambda: len(bypassed(side)) == 4)
    assert bypassed(side) == [(IN, None)] * 3 + [(OUT, None)]
    assert side.seen(Passage) == []


async def test_a_card_of_an_old_message_opens_nothing(side: SiteSide, device: MqttClient):
    shed = EspRfid()
    await device.subscribe("rfid/cmd")
    async with side.serves(gate(side, shed.bridge())) as running:
        await say(device, "rfid/send", shed.access | {"time": 1605991375, "uid": "2993761"})
        await say(device, "rfid/send", shed.access)
        await device.next_message()
        assert len(running.tally.unlocks) == 1
    assert scanned(side) == [FIRST]


# -- uhppoted-mqtt --------------------------------------------------------------------------------------------------------

ROOT = "uhppoted/gateway"


class Controller:
    """One controller behind the gateway, and what the gateway says of it."""

    def __init__(self) -> None:
        self.id = 425041000 + next(NUMBERS)

    def bridge(self, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "uhppoted",
            "time_zone": "Europe/Amsterdam",
            "card_number": 10058400,
            "doors": [{"access_point": IN, "device": self.id, "door": 1}],
            **changes,
        }

    def event(self, number: int, **changes: Any) -> dict[str, Any]:
        now = datetime.now(ZoneInfo("Europe/Amsterdam"))
        event = {
            "device-id": self.id,
            "event-id": number,
            "event-type": 1,
            "event-type-text": "card swipe",
            "access-granted": False,
            "door-id": 1,
            "direction": 1,
            "direction-text": "in",
            "card-number": 4544641,
            "timestamp": f"{now:%Y-%m-%d %H:%M:%S %Z}",
            "event-reason": 6,
            "event-reason-text": "no access rights",
        }
        return {"message": {"event": event | changes}}

    def door(self, number: int, *, opened: bool) -> dict[str, Any]:
        reason = {"event-reason": 23 if opened else 24}
        return self.event(number, **{"event-type": 2, "event-type-text": "door", "card-number": 0, **reason})


def sealed(envelope: dict[str, Any], key: str = HMAC_KEY) -> bytes:
    text = json.dumps(envelope["message"])
    mac = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f'{{"message":{text},"hmac":"{mac}"}}'.encode()


async def test_a_card_at_a_controller_is_decided_once_and_its_door_is_asked_to_open(
    side: SiteSide, device: MqttClient
):
    controller = Controller()
    await device.subscribe(f"{ROOT}/requests/#")
    async with side.serves(gate(side, controller.bridge())) as running:
        event = controller.event(1491)
        await say(device, f"{ROOT}/events/live", event)
        await say(device, f"{ROOT}/events", event)
        topic, payload = await device.next_message()
        request = json.loads(payload)["message"]["request"]
        assert topic == f"{ROOT}/requests/device/door/lock:open"
        assert (request["device-id"], request["door"], request["card-number"]) == (controller.id, 1, 10058400)
        assert request["reply-to"] == f"{ROOT}/replies/{side.gate}"
        await say(device, f"{ROOT}/events", controller.event(1490))
        await say(device, f"{ROOT}/events", controller.event(1492, **{"card-number": 11815080}))
        await eventually(lambda: running.tally.granted == 2)
    assert scanned(side) == [SECOND, FIRST]


async def test_whoever_goes_through_the_door_of_a_controller_is_told(side: SiteSide, device: MqttClient):
    controller = Controller()
    await device.subscribe(f"{ROOT}/requests/#")
    async with side.serves(gate(side, controller.bridge(), contact=True)):
        await say(device, f"{ROOT}/events/live", controller.event(1))
        await device.next_message()
        moves = [controller.door(number, opened=number != 3) for number in (2, 3, 4)]
        for move in (moves[0], moves[1], moves[0], moves[2]):
            await say(device, f"{ROOT}/events", move)
        await eventually(lambda: len(side.seen(Passage)) == 2)
    outcomes = [passage.outcome for passage in side.seen(Passage)]
    assert outcomes == [PassageOutcome.TAKEN, PassageOutcome.FORCED]


async def test_with_a_key_only_what_is_sealed_counts_and_what_is_asked_is_sealed(
    side: SiteSide, device: MqttClient
):
    controller = Controller()
    side.settings()  # makes the folder
    secret = side.folder / "uhppoted-hmac-key"
    secret.write_text(f"{HMAC_KEY}\n")
    secret.chmod(0o600)
    await device.subscribe(f"{ROOT}/requests/#")
    async with side.serves(gate(side, controller.bridge(hmac=True))):
        first = controller.event(1, **{"card-number": 1})
        await say(device, f"{ROOT}/events", first)
        await say(device, f"{ROOT}/events", sealed(first, key=HMAC_KEY[::-1]))
        await say(device, f"{ROOT}/events", sealed(first).replace(b'"door-id": 1', b'"door-id":1'))
        await say(device, f"{ROOT}/events", sealed(controller.event(2)))
        _, payload = await device.next_message()
    text = payload.decode().removeprefix('{"message":').partition(',"hmac":')[0]
    assert payload == sealed_text(text)
    assert scanned(side) == [SECOND]


def sealed_text(text: str) -> bytes:
    mac = hmac.new(HMAC_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f'{{"message":{text},"hmac":"{mac}"}}'.encode()


async def test_an_event_that_is_retained_old_or_malformed_opens_nothing(side: SiteSide, device: MqttClient):
    controller = Controller()
    await device.subscribe(f"{ROOT}/requests/#")
    await say(device, f"{ROOT}/events", controller.event(1), retain=True)
    async with side.serves(gate(side, controller.bridge())) as running:
        for message in (
            b"junk",
            controller.event(2, timestamp="2019-07-24 20:31:24 CEST"),
            controller.event(3, timestamp="2025-07-09 11:42:03 PDT"),
            controller.event(4, **{"card-number": 8165538}),
            controller.event(5, **{"device-id": 1}),
            controller.event(6),
        ):
            await say(device, f"{ROOT}/events", message)
        await device.next_message()
        assert len(running.tally.unlocks) == 1
    await say(device, f"{ROOT}/events", b"", retain=True)
    assert scanned(side) == [SECOND]


# -- ONVIF ----------------------------------------------------------------------------------------------------------------


class OnvifController:
    """One controller with its own prefix, and what it publishes."""

    def __init__(self) -> None:
        self.prefix = f"onvif/front-{next(NUMBERS)}"

    def bridge(self, **changes: Any) -> dict[str, Any]:
        door = {"access_point": IN, "token": "AP1", "door_token": "D1", **changes}
        return {"kind": "onvif", "topic": self.prefix, "doors": [door]}

    async def shows(
        self, device: MqttClient, event: str, content: dict[str, Any], *, retain: bool = False
    ) -> None:
        await say(
            device,
            f"{self.prefix}/onvif-ej/AccessControl/{event}/&AP1",
            {"UtcTime": utc(), "Source": {"AccessPointToken": "AP1"}, "Data": content},
            retain=retain,
        )

    async def is_now(self, device: MqttClient, state: str, value: str) -> None:
        await say(
            device,
            f"{self.prefix}/onvif-ej/Door/State/{state}/&D1",
            {"UtcTime": utc(), "Source": {"DoorToken": "D1"}, "Data": {"State": value}},
            retain=True,
        )


def utc() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


CARD_NUMBER = {"IdentifierType": "pt:Card", "FormatType": "WIEGAND26", "IdentifierValue": "763AE8"}


async def test_a_card_at_an_onvif_controller_is_decided_and_the_message_that_opens_is_sent(
    side: SiteSide, device: MqttClient
):
    front = OnvifController()
    await device.subscribe("cmnd/onvif-front/#")
    opened = {"topic": "cmnd/onvif-front/Power1", "payload": "ON"}
    async with side.serves(gate(side, front.bridge(open=opened), contact=True)):
        await front.is_now(device, "DoorPhysicalState", "Closed")
        await front.shows(device, "Denied/CredentialNotFound", CARD_NUMBER)
        assert await device.next_message() == ("cmnd/onvif-front/Power1", b"ON")
        await front.is_now(device, "DoorPhysicalState", "Open")
        await eventually(lambda: len(side.seen(Passage)) == 1)
        await front.is_now(device, "DoorPhysicalState", "Closed")
        await front.is_now(device, "DoorTamper", "TamperDetected")
        await eventually(lambda: any(status.kind is StatusKind.TAMPER for status in side.seen(Status)))
    (scan,) = side.seen(Scan)
    (passage,) = side.seen(Passage)
    assert (scan.credential, scan.access_point) == (FIRST, IN)
    assert passage.outcome is PassageOutcome.TAKEN


async def test_a_state_that_the_broker_kept_is_how_the_door_is_and_an_event_that_it_kept_is_nobodys(
    side: SiteSide, device: MqttClient
):
    front = OnvifController()
    await front.is_now(device, "DoorPhysicalState", "Open")
    await front.shows(
        device, "AccessGranted/Credential", {"CredentialToken": "wiegand-002dae61"}, retain=True
    )
    async with side.serves(gate(side, front.bridge(), contact=True)) as running:
        await eventually(lambda: len(side.seen(Passage)) == 1)
        await front.shows(device, "Denied/CredentialNotFound", CARD_NUMBER)
        # At a door that stands open no card is asked about.
        await eventually(lambda: running.tally.busy == 1)
        await front.is_now(device, "DoorPhysicalState", "Closed")
        await eventually(lambda: any(status.kind is StatusKind.CLOSED_AGAIN for status in side.seen(Status)))
        await front.shows(device, "Denied/Credential", {"CredentialToken": "wiegand-002dae61"})
        await eventually(lambda: running.tally.granted == 1)
    assert scanned(side) == [SECOND]


async def test_a_controller_that_decides_by_itself_is_written_down_and_nobodys_name_is_sent_on(
    side: SiteSide, device: MqttClient
):
    front = OnvifController()
    side.terms = {"unlock": timedelta(milliseconds=200)}
    await device.subscribe("cmnd/#")
    async with side.serves(gate(side, front.bridge())) as running:
        content = {"CredentialToken": "wiegand-00763ae8", "CredentialHolderName": "Somebody Special"}
        await front.shows(device, "AccessGranted/Credential", content)
        await eventually(lambda: running.tally.granted == 1)
    assert scanned(side) == [FIRST]
    assert device.received.empty()
    assert not any(b"Somebody" in wire for wire in side.wires)


async def test_a_state_of_next_year_freezes_no_contact(side: SiteSide, device: MqttClient):
    front = OnvifController()
    next_year = (datetime.now(UTC) + timedelta(days=365)).isoformat().replace("+00:00", "Z")
    async with side.serves(gate(side, front.bridge(), contact=True)):
        await front.is_now(device, "DoorPhysicalState", "Closed")
        await say(
            device,
            f"{front.prefix}/onvif-ej/Door/State/DoorPhysicalState/&D1",
            {"UtcTime": next_year, "Source": {"DoorToken": "D1"}, "Data": {"State": "Closed"}},
            retain=True,
        )
        for _ in range(3):
            await front.is_now(device, "DoorPhysicalState", "Open")
            await front.is_now(device, "DoorAlarm", "DoorForcedOpen")
            await front.is_now(device, "DoorPhysicalState", "Closed")
        await eventually(lambda: len(side.seen(Passage)) == 3)
    assert {passage.outcome for passage in side.seen(Passage)} == {PassageOutcome.FORCED}
    assert bypassed(side) == []
