"""A whole site on the broker that deploy/mosquitto/README.md has one set up, with the commands that it says and nothing else.

Outward events and who reads them, a stock reader behind its bridge, and a gate that is revoked and admitted again.
"""

import asyncio
import json
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paho.mqtt.enums import MQTTProtocolVersion

from devices.certificate import make_request
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.embedded.broker import free_port
from gatekeeper.embedded.child import Child, until
from gatekeeper.embedded.ground import server_account
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.service.administration.folder import in_gate
from gatekeeper.service.files import write_new
from tests.acceptance.barracks import Program
from tests.acceptance.test_enrolment import Ground, kinds
from tests.support.mqtt import MqttClient, mqtt_client
from tests.support.site_broker import start_mosquitto
from tests.support.site_files import SMALL
from tests.support.waiting import eventually, found

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SITE, GATE, BRIDGE = SiteId("fort"), GateId("front"), GateId("side-reader")
BELOW = f"gk/{SITE}/onvif-ej"
OPEN_TO_NUMBERS = SMALL.replace(
    'assurance = 1\nanti_passback = "soft"', 'assurance = 0\nanti_passback = "none"'
)
TAKEN, REFUSED = {"Success", "No matching subscribers"}, "Not authorized"


def reading(uid: str) -> bytes:
    """What a Tasmota with an RC522 says of a chip."""
    return (
        f'{{"Time":"2021-01-23T13:10:50","RC522":{{"UID":"{uid}","Data":"","Type":"MIFARE 1KB"}}}}'.encode()
    )


class Documented(Ground):
    """A site whose broker listens for devices too, and whose service tells outward."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres) -> None:
        super().__init__(folder, postgres)
        self.device_port = free_port(other_than=self.broker_port)
        self.broker: Child
        self.engine: Program

    @property
    def mqtts(self) -> str:
        return f"mqtts://127.0.0.1:{self.broker_port}"

    async def set_up(self, stack: AsyncExitStack) -> None:
        await self.say("ca", "init")
        devices = ("--devices", "127.0.0.1", "--devices-port", str(self.device_port))
        await self.say("ca", "broker", "127.0.0.1", *devices, "--out", str(self.broker_files))
        for account in ("service", "outward", "integrator"):
            await self.say("ca", account, "--out", str(self.folder / f"{account}.pem"))
        self.environment |= {
            "GATEKEEPER_ONVIF": "true",
            "GATEKEEPER_ONVIF_CERTIFICATE": str(self.folder / "outward.pem"),
            "GATEKEEPER_HOMEASSISTANT": "homeassistant",
        }
        self.broker = await stack.enter_async_context(start_mosquitto(self.broker_files, self.broker_port))
        self.engine = await stack.enter_async_context(self.served())

    async def carried(self, *names: str) -> None:
        """Carry files of the site to the broker, and have it read them, as the command that changed them said."""
        account, since = server_account(), self.broker.log_end()
        for name in names:
            shutil.copyfile(self.site.root / "broker" / name, self.broker_files / name)
            shutil.chown(self.broker_files / name, account.uid, account.gid)
        self.broker.send(signal.SIGHUP)
        assert await until(lambda: "Reloading config" in self.broker.said(since), within=10)

    def tls(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(certificate)
        return context

    @asynccontextmanager
    async def reader_of_what_is_told(self) -> AsyncIterator[MqttClient]:
        async with mqtt_client(self.broker_port, tls=self.tls(self.folder / "integrator.pem")) as client:
            yield client

    async def certified_by_hand(self, gate: GateId, place: Path) -> Path:
        """The folder of a gate of the founding, with a certificate in it: key and certificate in one file."""
        shutil.copytree(self.site.root / "gates" / gate, place)
        request = make_request(site=SITE, gate=gate, key=self.site.read_key(in_gate(gate, "key.pem")))
        for name, content in (("request", request.document), ("csr", request.csr)):
            (place / name).write_bytes(content)
        files = ("--request", str(place / "request"), "--csr", str(place / "csr"))
        await self.say("gate", "certify", gate, *files, "--out", str(place / "made.pem"))
        key = request.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_new(place / "tls.pem", key + (place / "made.pem").read_bytes())
        return place

    @asynccontextmanager
    async def running(self, place: Path) -> AsyncIterator[Program]:
        words = ("run", "--folder", str(place), "--broker", self.mqtts, "--authority", str(self.authority))
        gate = await Program.start("devices.cli", *words, environment={})
        try:
            await gate.says("link up")
            yield gate
        finally:
            await gate.end()

    async def logs(self, kind: str) -> None:
        """Wait until the log has an entry of a kind."""

        async def there() -> bool | None:
            return kind in await kinds(self) or None

        await found(there, within=30)


@pytest.fixture
async def site(server_folder: Path) -> AsyncIterator[Documented]:
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(server_folder / "postgres"))
        for database in ("gatekeeper", "vault"):
            await postgres.ensure_database(database)
        site = Documented(server_folder, postgres)
        (server_folder / "site.toml").write_text(OPEN_TO_NUMBERS)
        await site.say("site", "init", str(server_folder / "site.toml"))
        await site.set_up(stack)
        yield site


async def heard(client: MqttClient, so: Callable[[str, bytes], bool]) -> bytes:
    async with asyncio.timeout(30):
        while True:
            topic, payload = await client.received.get()
            if so(topic, payload):
                return payload


async def test_outward_events_are_told_over_tls_and_an_integrator_reads_them_and_decides_nothing(
    site: Documented,
):
    async def connected() -> bool | None:
        return (await site.engine.metrics()).get("gatekeeper_outward_connected") == 1 or None

    await found(connected, within=30)
    async with site.reader_of_what_is_told() as reader:
        await reader.subscribe(f"gk/{SITE}/#")
        assert await heard(reader, lambda topic, _: topic == f"gk/{SITE}/outward") == b"online"
        await reader.subscribe("homeassistant/#")
        shown = await heard(
            reader, lambda topic, _: topic.endswith(f"gatekeeper-{SITE}/front-in-contact/config")
        )
        assert json.loads(shown)["state_topic"] == f"{BELOW}/Door/State/DoorPhysicalState/&front-in"
        await site.say("lockdown", "on", f"gate:{GATE}")
        mode = f"{BELOW}/Door/State/DoorMode/&front-in"
        await heard(
            reader, lambda topic, said: topic == mode and json.loads(said)["Data"]["State"] == "LockedDown"
        )
        for topic in (
            f"gk/v1/{SITE}/{GATE}/decision",
            f"gk/v1/{SITE}/{GATE}/command",
            f"gk/v1/{SITE}/beacon",
            mode,
        ):
            assert await reader.publish(topic, b"made up") == REFUSED
    async with mqtt_client(site.broker_port, tls=site.tls(site.folder / "outward.pem")) as teller:
        # It takes the teller's own place; the engine's session is another and stays.
        for down in ("decision", "command", "policy"):
            assert await teller.publish(f"gk/v1/{SITE}/{GATE}/{down}") == REFUSED
    assert (await site.engine.metrics())["gatekeeper_broker_connected"] == 1
    await found(connected, within=30)


async def test_a_stock_reader_in_the_clear_is_heard_by_its_bridge_over_tls_and_the_door_opens(
    site: Documented, tmp_path: Path
):
    password, said = await site.say("ca", "device", BRIDGE)
    assert f"Carry device-passwords and device-acl from {site.site.root / 'broker'}" in said
    await site.carried("device-passwords", "device-acl")
    person = ("Anna de Vries", "--kind", "staff", "--clearance", "5", "--profiles", "soldier")
    holder, _ = await site.say("holder", "add", *person, "--tenant", "army")
    await site.say("badge", "issue", holder, "--assurance", "0", "--card", "mifare:BA839D07")
    place = await site.certified_by_hand(BRIDGE, tmp_path / "bridge")
    login = (f"device.{BRIDGE}", password)
    terms = {"client_id": "DVES_1A2B3C", "protocol": MQTTProtocolVersion.MQTTv311}
    async with (
        site.running(place),
        site.reader_of_what_is_told() as integrator,
        mqtt_client(site.device_port, *login, **terms) as tasmota,  # type: ignore[arg-type]
    ):
        await site.logs("gate.hello")
        await tasmota.subscribe("cmnd/side/#")
        await integrator.subscribe(f"{BELOW}/#")
        await tasmota.publish("tele/side/SENSOR", reading("0BADCAFE"))
        await heard(
            integrator,
            lambda topic, _: topic == f"{BELOW}/AccessControl/Denied/CredentialNotFound/Card/&side-in",
        )
        assert tasmota.received.empty()
        await tasmota.publish("tele/side/SENSOR", reading("BA839D07"))
        topic, command = await asyncio.wait_for(tasmota.received.get(), 30)
        assert topic == "cmnd/side/Backlog"
        assert command.endswith(b"; Power1 ON")
    assert {"access.denied", "access.granted"} <= set(await kinds(site))


async def test_a_gate_that_is_admitted_again_is_mute_until_the_rights_are_carried_and_whole_from_then_on(
    site: Documented, tmp_path: Path
):
    _, said = await site.say("gate", "revoke", GATE)
    assert f"Carry acl from {site.site.root / 'broker'} to it" in said
    await site.carried("acl", "crl.pem")
    device = tmp_path / "device"
    code, _ = await site.say("gate", "enroll", GATE, "--out", str(device))
    asking = ("--out", str(device), "--url", site.desk, "--code", code)
    waiting = await Program.start("devices.cli", "enrol", *asking, environment={})
    try:
        await waiting.says("It waits until two people")
        await site.say("gate", "admit", GATE)
        _, said = await site.say("proposal", "approve")
        assert f"Carry acl from {site.site.root / 'broker'} to it, and have it read what is there" in said
        assert "Until then a gate that was admitted again says nothing there and hears nothing." in said
        async with asyncio.timeout(30):
            assert await waiting.process.wait() == 0
    finally:
        await waiting.end()
    async with site.running(device) as gate:
        snapshot = device / "snapshot.cose"
        assert (await kinds(site)).count("gate.hello") == 0
        assert not snapshot.exists()
        await site.carried("acl")
        await site.logs("gate.hello")
        await eventually(snapshot.exists, within=30)
        assert gate.process.returncode is None, "in the session that it had"
