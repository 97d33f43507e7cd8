"""A whole site that tells outward: engine and gate as they are run, and somebody with nothing but an MQTT client and the contract."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices.agent import GateAgent
from devices.app import make_gate
from devices.hardware.simulated import SimulatedBadge
from devices.settings import read_gate_folder
from gatekeeper import app
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.badges import Card, CardTechnology
from tests.integration.people_site import IN, OUT, Registry, served_site
from tests.support.mqtt import MqttClient, mqtt_client
from tests.support.site_files import SMALL

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    """A site that is told of from its second start on."""
    with served_site(tmp_path_factory.mktemp("outward"), postgres_server, broker) as registry:
        asyncio.run(app._admit(broker, replace(registry.settings, onvif=True)))
        with registry.unserved():
            registry.environment = {
                "GATEKEEPER_ONVIF": "true",
                "GATEKEEPER_ONVIF_PASSWORD_FILE": str(registry.folder.root / "keys" / "outward-password"),
                "GATEKEEPER_HOMEASSISTANT": "homeassistant",
            }
        yield registry


@pytest.fixture
def badge(registry: Registry, tmp_path: Path) -> SimulatedBadge:
    """Of somebody who may come in, and who has a name that nobody else has."""
    holder = registry.done("holder", "add", "Rumpelstiltskin Ottersum", "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school")  # fmt: skip
    registry.done("badge", "issue", holder, "--assurance", 1, "--out", tmp_path / "badge.json")
    token = json.loads((tmp_path / "badge.json").read_text())["token"]
    return SimulatedBadge.bearer(base64.b64decode(token))


@asynccontextmanager
async def at_the_gate(registry: Registry) -> AsyncIterator[GateAgent]:
    settings = read_gate_folder(registry.folder.root / "gates" / "front")
    async with make_gate(settings, broker=registry.broker.url) as gate, asyncio.timeout(30):
        await gate.service_heard()
        yield gate


@asynccontextmanager
async def integrator(registry: Registry, *filters: str) -> AsyncIterator[MqttClient]:
    password = registry.folder.read_secret("keys/integrator-password").decode()
    async with mqtt_client(registry.broker.port, f"integrator.{registry.site}", password) as client:
        for one in filters:
            await client.subscribe(one)
        yield client


async def heard(client: MqttClient, topic: str, word: Any = None) -> tuple[str, bytes]:
    """Wait for a message whose topic has this in it, and that says this of a state, if it is one."""
    async with asyncio.timeout(30):
        while True:
            found, payload = await client.received.get()
            if topic in found and (word is None or json.loads(payload)["Data"]["State"] == word):
                return found, payload


def standing(registry: Registry) -> dict[str, Any]:
    """What somebody who comes now is told at once: the states by topic, and the topics of all else that is retained."""

    async def asked() -> dict[str, Any]:
        async with integrator(registry, "#") as client:
            # The broker answers in order: what it retained came before this answer.
            await client.subscribe("none/of/these")
            found = [client.received.get_nowait() for _ in range(client.received.qsize())]
        below = f"gk/{registry.site}/onvif-ej/"
        return {
            topic.removeprefix(below): json.loads(payload)["Data"]["State"]
            if topic.startswith(below)
            else payload.decode()
            for topic, payload in found
        }

    return asyncio.run(asked())


def test_a_plain_subscriber_sees_who_was_granted_and_went_through_who_was_denied_and_a_door_that_was_forced(
    registry: Registry, badge: SimulatedBadge
):
    async def seen() -> list[tuple[str, bytes]]:
        below = f"gk/{registry.site}/onvif-ej"
        async with integrator(registry, f"{below}/#") as client, at_the_gate(registry) as gate:
            found = []
            assert (await gate.present(IN, badge)).granted
            found += [await heard(client, "AccessGranted/Credential"), await heard(client, "AccessTaken")]
            assert (await gate.present(OUT, badge)).granted
            found += [await heard(client, "AccessTaken")]
            nobody = SimulatedBadge.card(Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07")))
            assert not (await gate.present(IN, nobody)).granted
            found += [await heard(client, "Denied/CredentialNotFound")]
            gate.feel(IN, opened=True)
            found += [await heard(client, "DoorAlarm", "DoorForcedOpen")]
            gate.feel(IN, opened=False)
            found += [await heard(client, "DoorAlarm", "Normal")]
            return found

    granted, taken, left, denied, forced, closed = asyncio.run(seen())
    said = [json.loads(payload) for _, payload in (granted, taken, left, denied, forced, closed)]
    assert said[0]["Data"] == said[1]["Data"]
    entry = int(said[0]["Data"]["CredentialToken"].removeprefix("entry-"))
    assert registry.kinds(entry)[0] == "access.granted"
    assert left[0].endswith(f"&{OUT}")
    assert said[3]["Data"] == {"Card": ""}
    for _, payload in (granted, taken, left, denied, forced, closed):
        for secret in (b"Rumpelstiltskin", b"h-", b"BA839D07", b"ba839d07"):
            assert secret not in payload


def test_who_comes_late_sees_what_is_the_case_and_no_event(registry: Registry):
    async def forced() -> None:
        below = f"gk/{registry.site}/onvif-ej"
        async with integrator(registry, f"{below}/#") as client, at_the_gate(registry) as gate:
            gate.feel(IN, opened=True)
            await heard(client, "DoorAlarm", "DoorForcedOpen")

    asyncio.run(forced())
    found = standing(registry)
    assert found[f"Door/State/DoorAlarm/&{IN}"] == "DoorForcedOpen"
    assert found[f"Door/State/DoorMode/&{IN}"] == "Locked"
    assert found[f"Door/State/DoorPhysicalState/&{OUT}"] == "Unknown"
    assert found[f"gk/{registry.site}/outward"] == "online"
    assert f"homeassistant/binary_sensor/gatekeeper-{registry.site}/{IN}-contact/config" in found
    assert not [topic for topic in found if "AccessControl" in topic or "Configuration" in topic]


def test_an_engine_that_is_killed_leaves_word_of_it_and_its_successor_the_states_and_no_event_twice(
    registry: Registry,
):
    before = standing(registry)
    assert before[f"Door/State/DoorAlarm/&{IN}"] == "DoorForcedOpen"
    assert registry.engine is not None

    async def killed() -> None:
        async with integrator(registry, f"gk/{registry.site}/outward") as client:
            assert (await client.received.get())[1] == b"online"
            os.kill(registry.engine.pid, signal.SIGKILL)
            assert (await client.next_message())[1] == b"offline"

    asyncio.run(killed())
    registry.engine.wait()
    registry.engine = None

    async def succeeded() -> list[str]:
        async with integrator(registry, f"gk/{registry.site}/#") as client:
            await asyncio.to_thread(registry.start)
            while (await heard(client, "/outward"))[1] != b"online":
                pass
            async with at_the_gate(registry) as gate:
                gate.feel(OUT, opened=True)
                await heard(client, f"DoorAlarm/&{OUT}", "DoorForcedOpen")
            return [client.received.get_nowait()[0] for _ in range(client.received.qsize())]

    again = asyncio.run(succeeded())
    assert not [topic for topic in again if "AccessControl" in topic]
    after = standing(registry)
    assert after[f"Door/State/DoorAlarm/&{IN}"] == "DoorForcedOpen"
    assert after[f"Door/State/DoorAlarm/&{OUT}"] == "DoorForcedOpen"
    assert after.keys() >= before.keys()


def test_a_lockdown_is_told_and_so_is_its_end(registry: Registry):
    def mode() -> Any:
        return standing(registry)[f"Door/State/DoorMode/&{IN}"]

    registry.done("lockdown", "on", "gate:front")
    registry.wait_until(lambda: mode() == "LockedDown")
    found = standing(registry)
    assert found[f"AccessPoint/State/Enabled/&{IN}"] is False
    assert found["AccessPoint/State/Enabled/&side-in"] is True
    registry("lockdown", "off", "gate:front")
    (waiting,) = registry("proposal", "list", "--json").document["proposals"]
    registry.done("proposal", "approve", waiting["proposal"], "--operator", "admin")
    registry.wait_until(lambda: mode() == "Locked")


def test_a_door_that_leaves_the_site_file_is_deleted(registry: Registry, tmp_path: Path):
    text = SMALL.replace('id = "fort"', f'id = "{registry.site}"', 1)
    head, _, rest = text.partition('[[access_point]]\nid = "side-in"')
    _, _, tail = rest.partition("[[calendar]]")
    file = tmp_path / "site.toml"
    file.write_text(head + "[[calendar]]" + tail.partition("[[bridge]]")[0])
    before = standing(registry)
    assert "Door/State/DoorTamper/&side-in" in before
    registry.done("site", "apply", file)
    registry.wait_until(lambda: not [topic for topic in standing(registry) if "side-in" in topic])
    assert standing(registry).keys() == {topic for topic in before if "side-in" not in topic}
