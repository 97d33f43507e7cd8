"""Readers and relays without a certificate at a real Mosquitto that runs the configuration of deploy/mosquitto, and who poses as one.

It fails when `password_file`, `acl_file`, `use_username_as_clientid`, `max_connections` or the listener's one address is
taken out of devices.conf, and when a right is widened.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from gatekeeper.core.certificates import OUTWARD, service_name
from gatekeeper.model.ids import GateId
from gatekeeper.model.topics import Channel, gate_topic, upward_filters
from tests.support.mqtt import MqttClient, MqttRefusedError, mqtt_client
from tests.support.site_broker import SITE, SiteBroker, site_broker
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance

TAKEN = {"Success", "No matching subscribers"}
REFUSED = "Not authorized"
SHED, YARD, MAIN = "shed-reader", "yard-reader", "main-gate"
BRIDGES: dict[str, dict[str, Any]] = {
    SHED: {"kind": "tasmota", "topic": "tele/shed/SENSOR", "access_point": "shed-in"},
    YARD: {"kind": "esp-rfid", "topic": "rfid", "cards": "wiegand-26", "doors": []},
}
READING = b'{"Time":"2021-01-23T13:10:50","RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}'
OPEN = b"PulseTime1 50; Power1 ON"


@pytest.fixture
async def site(server_folder: Path) -> AsyncIterator[SiteBroker]:
    async with site_broker(server_folder, bridges=BRIDGES) as running:
        yield running


async def device(stack: AsyncExitStack, site: SiteBroker, login: tuple[str, str], **terms: Any) -> MqttClient:
    assert site.device_port is not None
    return await stack.enter_async_context(mqtt_client(site.device_port, *login, **terms))


async def over_tls(stack: AsyncExitStack, site: SiteBroker, gate: str) -> MqttClient:
    return await stack.enter_async_context(mqtt_client(site.port, tls=site.gate(gate).tls()))


async def is_turned_away(port: int | None, *login: str, **terms: Any) -> bool:
    assert port is not None
    try:
        async with mqtt_client(port, *login, **terms):
            return False
    except MqttRefusedError:
        return True


async def test_a_stock_reader_in_the_clear_and_its_bridge_over_tls_hear_each_other(site: SiteBroker):
    async with AsyncExitStack() as stack:
        # As Tasmota does: MQTT 3.1.1, a client id of its own.
        reader = await device(
            stack,
            site,
            await site.device(SHED),
            client_id="DVES_1A2B3C",
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        bridge = await over_tls(stack, site, SHED)
        await reader.subscribe("cmnd/shed/#")
        await bridge.subscribe("tele/shed/SENSOR")
        await reader.publish("tele/shed/STATE", b"what nobody needs is dropped, and the device stays")
        await reader.publish("tele/shed/SENSOR", READING)
        assert await bridge.next_message() == ("tele/shed/SENSOR", READING)
        assert await bridge.publish("cmnd/shed/Backlog", OPEN) == "Success"
        assert await reader.next_message() == ("cmnd/shed/Backlog", OPEN)
        assert await bridge.publish(gate_topic(SITE, GateId(SHED), Channel.SCAN)) in TAKEN, "and it is a gate"


async def test_nobody_is_a_device_without_its_password_and_a_new_one_ends_the_old(site: SiteBroker):
    login, password = await site.device(SHED)
    assert not await is_turned_away(site.device_port, login, password)
    assert await is_turned_away(site.device_port)
    assert await is_turned_away(site.device_port, login, "guessed")
    assert await is_turned_away(site.device_port, SHED, password)
    assert await is_turned_away(site.device_port, f"device.{YARD}", password)
    _, another = await site.device(SHED)
    assert await is_turned_away(site.device_port, login, password)
    assert not await is_turned_away(site.device_port, login, another)
    assert await is_turned_away(site.port, login, another), "a password opens the other listener to nobody"


async def test_a_device_speaks_on_its_own_topics_and_hears_its_own_commands(site: SiteBroker):
    async with AsyncExitStack() as stack:
        shed = await device(stack, site, await site.device(SHED))
        yard = await device(stack, site, await site.device(YARD, "left"))
        service = await stack.enter_async_context(mqtt_client(site.port, tls=site.service().tls()))
        bridge = await over_tls(stack, site, SHED)
        await yard.subscribe("#")
        assert await shed.publish("tele/shed/LWT") in TAKEN
        assert await yard.publish("rfid/send") in TAKEN
        forbidden = [gate_topic(SITE, GateId(MAIN), channel) for channel in Channel]
        forbidden += [gate_topic(SITE, GateId(SHED), channel) for channel in Channel]
        forbidden += [gate_topic(SITE, GateId(f"device.{SHED}"), Channel.SCAN), f"gk/v1/{SITE}/beacon"]
        forbidden += ["cmnd/shed/Power1", "rfid/cmd", "rfid/send", "tele/yard/SENSOR", f"gk/{SITE}/outward"]
        assert {await shed.publish(topic) for topic in forbidden} == {REFUSED}
        assert await yard.publish("tele/shed/SENSOR") == REFUSED
        assert await bridge.publish("cmnd/shed/Power1", b"OFF") in TAKEN
        for said in ("beacon", "trust", "standing"):
            assert await service.publish(f"gk/v1/{SITE}/{said}", b"for gates") in TAKEN
        await yard.subscribe("none/of/these")
        assert yard.received.empty()


async def test_only_the_bridge_hears_a_device_and_commands_it(site: SiteBroker):
    login = await site.device(SHED)
    async with AsyncExitStack() as stack:
        shed = await device(stack, site, login)
        others = [await over_tls(stack, site, gate) for gate in (MAIN, YARD)]
        others += [
            await stack.enter_async_context(mqtt_client(site.port, tls=shown.tls()))
            for shown in (site.service(), site.account(OUTWARD))
        ]
        await shed.subscribe("cmnd/shed/#")
        for one in others:
            await one.subscribe("tele/#")
            assert await one.publish("cmnd/shed/Power1", b"ON") == REFUSED
            assert await one.publish("tele/shed/SENSOR", READING) == REFUSED
        await shed.publish("tele/shed/SENSOR", READING)
        for one in others:
            await one.subscribe("none/of/these")
            assert one.received.empty()
        assert shed.received.empty()


async def test_a_device_takes_the_place_of_no_gate_and_not_of_the_service(site: SiteBroker):
    session, heard = site.session(), []

    def hear(inbound: Any) -> None:
        heard.append(inbound.payload)
        session.acknowledge(inbound)

    await session.open(filters=upward_filters(SITE), on_message=hear, on_link=lambda _up: None)
    async with AsyncExitStack() as stack:
        gate = await over_tls(stack, site, MAIN)
        login = await site.device(SHED)
        for borrowed in (MAIN, service_name(SITE)):
            await device(stack, site, login, client_id=borrowed, session_kept=True)
        assert await gate.publish(gate_topic(SITE, GateId(MAIN), Channel.SCAN), b"still here") in TAKEN
        await eventually(lambda: heard == [b"still here"])
        assert session.connected
        assert not gate.lost.is_set()
    await session.close()


async def test_whoever_fills_the_devices_listener_keeps_no_gate_out(site: SiteBroker):
    async with AsyncExitStack() as stack:
        held = []
        for _ in range(300):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.device_port)
            stack.callback(writer.close)
            held.append(reader)
        ended = [0]

        async def wait_for_the_end(reader: asyncio.StreamReader) -> None:
            with suppress(ConnectionError):
                await reader.read()
            ended[0] += 1

        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(wait_for_the_end(reader)) for reader in held]
            await eventually(lambda: ended[0] >= 300 - 256)
            gate = await over_tls(stack, site, MAIN)
            assert await gate.publish(gate_topic(SITE, GateId(MAIN), Channel.SCAN)) in TAKEN
            for one in waiting:
                one.cancel()


async def test_the_listener_is_at_the_one_address_that_was_named(site: SiteBroker):
    assert site.device_port is not None
    with socket.socket() as other:
        other.settimeout(2)
        with pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", site.device_port))
