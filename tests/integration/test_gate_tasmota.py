"""A stock Tasmota reader at the real broker, byte for byte, and the bridge that speaks for it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from devices.app import make_gate
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.messages import ByCard, Passage, Scan, Verdict
from tests.integration.gate_site import SiteSide, site_side
from tests.support.mqtt import MqttClient, mqtt_client
from tests.support.waiting import eventually
from tests.unit.devices.ground import IN

pytestmark = pytest.mark.integration

RC522 = b'{"Time":"2021-01-23T13:10:50","RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}'
WIEGAND = b'{"Time":"2021-01-21T15:48:49","Wiegand":{"UID":4302741608,"Size":34}}'
MIFARE_CARD = ByCard(Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07")))
WIEGAND_CARD = ByCard(Card(CardTechnology.WIEGAND, bytes.fromhex("010076A068")))
NUMBERS = count(1)


class Reader:
    """A Tasmota: it publishes without a login, and listens to its commands."""

    def __init__(self, client: MqttClient, name: str) -> None:
        self.client = client
        self.topic = f"tele/{name}/SENSOR"
        self.name = name

    async def reads(self, payload: bytes, *, retain: bool = False) -> None:
        await self.client.publish(self.topic, payload, retain=retain)

    async def told(self) -> tuple[str, bytes]:
        return await self.client.next_message()


@pytest.fixture
async def side(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[SiteSide]:
    async with site_side(broker, tmp_path / "gate", role="bridge") as side:
        yield side


@pytest.fixture
async def reader(broker: EmbeddedBroker) -> AsyncIterator[Reader]:
    name = f"shed-{next(NUMBERS)}"
    async with mqtt_client(broker.readers_port) as client:
        await client.subscribe(f"cmnd/{name}/#")
        yield Reader(client, name)


def bridge(side: SiteSide, reader: Reader):
    settings = side.settings(
        access_points=[{"id": IN, "direction": "in", "contact": False}],
        bridge={"kind": "tasmota", "topic": reader.topic, "access_point": IN},
    )
    return make_gate(settings, broker=side.broker.url)


@pytest.mark.parametrize(("payload", "credential"), [(RC522, MIFARE_CARD), (WIEGAND, WIEGAND_CARD)])
async def test_a_card_at_a_stock_reader_is_decided_and_its_relay_opens(
    side: SiteSide, reader: Reader, payload: bytes, credential: ByCard
):
    side.terms = {"unlock": timedelta(milliseconds=500)}
    async with side.serves(bridge(side, reader)) as gate:
        await reader.reads(payload)
        assert await reader.told() == (f"cmnd/{reader.name}/Backlog", b"PulseTime1 5; Power1 ON")
        assert await reader.told() == (f"cmnd/{reader.name}/Power1", b"OFF")
        (scan,) = side.seen(Scan)
        assert (scan.credential, scan.proof, scan.access_point) == (credential, None, IN)
        assert len(gate.tally.unlocks) == 1
    # Nobody knows whether somebody went through, and nobody says so.
    assert side.seen(Passage) == []


async def test_a_denied_card_sends_the_relay_nothing(side: SiteSide, reader: Reader):
    side.decides = lambda scan: Verdict.GRANTED if scan.credential == WIEGAND_CARD else Verdict.DENIED
    async with side.serves(bridge(side, reader)) as gate:
        await reader.reads(RC522)
        await eventually(lambda: gate.tally.denied == 1)
        await reader.reads(WIEGAND)
        topic, _ = await reader.told()
        assert topic == f"cmnd/{reader.name}/Backlog"
        assert [unlock.entry for unlock in gate.tally.unlocks]
    assert [scan.credential for scan in side.seen(Scan)] == [MIFARE_CARD, WIEGAND_CARD]


async def test_a_retained_card_is_nobody_at_the_door(side: SiteSide, reader: Reader):
    await reader.reads(RC522, retain=True)
    async with side.serves(bridge(side, reader)):
        await reader.reads(WIEGAND)
        await reader.told()
    await reader.reads(b"", retain=True)
    assert [scan.credential for scan in side.seen(Scan)] == [WIEGAND_CARD]


async def test_a_card_that_the_reader_repeats_is_one_scan(side: SiteSide, reader: Reader):
    side.decides = lambda _scan: Verdict.DENIED
    async with side.serves(bridge(side, reader)) as gate:
        for payload in (RC522, RC522, RC522, b'{"Time":"2021-01-23T13:10:50","AM2301":{}}', b"junk"):
            await reader.reads(payload)
        await eventually(lambda: gate.tally.denied == 1)
        await reader.reads(WIEGAND)
        await eventually(lambda: gate.tally.denied == 2)
    assert [scan.credential for scan in side.seen(Scan)] == [MIFARE_CARD, WIEGAND_CARD]


async def test_the_command_to_open_is_kept_by_no_broker(side: SiteSide, reader: Reader):
    async with side.serves(bridge(side, reader)):
        await reader.reads(RC522)
        await reader.told()
        # A relay that connects now hears nothing of the opening before.
        async with mqtt_client(side.broker.readers_port) as late:
            await late.subscribe(f"cmnd/{reader.name}/#")
            await reader.reads(WIEGAND)
            await reader.told()
            assert (await late.next_message())[0] == f"cmnd/{reader.name}/Backlog"
            assert late.received.empty()
