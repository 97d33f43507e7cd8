"""The private Mosquitto: who may log in and do what, what it keeps over a kill, and how it comes and goes."""

import asyncio
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedServerError, Role
from gatekeeper.embedded.ground import server_account
from gatekeeper.model.snapshot import MAX_SNAPSHOT_BYTES
from tests.support.mqtt import MqttRefusedError, mqtt_client
from tests.support.processes import command_of, process_runs, python_parent, start_as_server, uid_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

GRANTED = "Success"
# Granted, but nobody listens there: the broker took the message.
TAKEN = {GRANTED, "No matching subscribers"}
REFUSED = "Not authorized"
SECRET = "correct horse battery staple"

PARENT = """
import asyncio, sys
from pathlib import Path
from gatekeeper.embedded import EmbeddedBroker

async def main():
    broker = EmbeddedBroker(Path(sys.argv[1]))
    await broker.start()
    print(broker.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def logins(broker: EmbeddedBroker) -> EmbeddedBroker:
    """The run's broker with one login of each kind, and a second gate."""
    by_role: dict[Role, tuple[str, ...]] = {
        "gate": ("acl-gate-a", "acl-gate-b"),
        "bridge": ("acl-bridge",),
        "service": ("service.acl", "service.speaker"),
        "outward": ("outward.assen",),
        "integrator": ("integrator.assen", "integrator.elsewhere"),
    }
    for role, names in by_role.items():
        asyncio.run(broker.admit_all(dict.fromkeys(names, SECRET), role=role))
    return broker


def listening() -> set[str]:
    """Addresses on which somebody listens, as the kernel writes them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {local for _, local, _, state, *_ in rows if state == "0A"}


async def publish(broker: EmbeddedBroker, username: str | None, topic: str) -> str:
    """Publish as somebody (readers without a login, on their own port); give the broker's answer."""
    port, password = (broker.readers_port, None) if username is None else (broker.port, SECRET)
    async with mqtt_client(port, username, password) as client:
        return await client.publish(topic, b"x")


async def heard(broker: EmbeddedBroker, username: str | None, topic: str) -> bool:
    """Whether somebody who subscribes to everything gets what the service, or a reader, publishes on `topic`.

    Sites that were served before may have left their beacons with the broker: those are anybody's to hear.
    """
    port, password = (broker.readers_port, None) if username is None else (broker.port, SECRET)
    sender = {"cmnd": "acl-bridge", "gk": "service.speaker"}.get(topic.split("/", maxsplit=1)[0])
    sender_port, sender_password = (broker.readers_port, None) if sender is None else (broker.port, SECRET)
    async with mqtt_client(port, username, password) as listener:
        await listener.subscribe("#")
        async with mqtt_client(sender_port, sender, sender_password) as speaker:
            assert await speaker.publish(topic, b"x") in TAKEN
        # The broker answers in order: what was delivered to the listener came before this answer.
        await listener.subscribe("none/of/these")
        return topic in [listener.received.get_nowait()[0] for _ in range(listener.received.qsize())]


@pytest.mark.parametrize(
    ("username", "topic", "allowed"),
    [
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/scan", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/passage", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/status", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/hello", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/link", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-b/link", False),
        ("acl-bridge", "gk/v1/assen/acl-bridge/link", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-b/scan", False),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/decision", False),
        ("acl-gate-a", "gk/v1/assen/acl-gate-b/command", False),
        ("acl-gate-a", "gk/v1/assen/beacon", False),
        ("acl-gate-a", "gk/v1/assen/checkpoint", False),
        ("acl-gate-a", "gk/v1/assen/standing", False),
        ("acl-gate-a", "gk/v1/assen/trust", False),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/policy", False),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/scan/more", False),
        ("acl-gate-a", "tele/door/SENSOR", False),
        ("acl-gate-a", "cmnd/door/POWER", False),
        ("acl-bridge", "gk/v1/assen/acl-bridge/scan", True),
        ("acl-bridge", "gk/v1/assen/acl-gate-a/scan", False),
        ("acl-bridge", "cmnd/door/POWER", True),
        ("acl-bridge", "tele/door/SENSOR", False),
        ("service.acl", "gk/v1/assen/acl-gate-a/decision", True),
        ("service.acl", "gk/v1/assen/beacon", True),
        ("service.acl", "gk/v1/assen/checkpoint", True),
        ("service.acl", "cmnd/door/POWER", False),
        ("outward.assen", "gk/assen/onvif-ej/Door/State/DoorMode/&front", True),
        ("outward.assen", "gk/assen/outward", True),
        ("outward.assen", "homeassistant/event/gatekeeper-assen/front-granted/config", True),
        ("outward.assen", "homeassistant/event/gatekeeper-elsewhere/front-granted/config", False),
        ("outward.assen", "gk/elsewhere/onvif-ej/Door/State/DoorMode/&front", False),
        ("outward.assen", "gk/v1/assen/acl-gate-a/decision", False),
        ("outward.assen", "gk/v1/assen/beacon", False),
        ("integrator.assen", "gk/assen/onvif-ej/Door/State/DoorMode/&front", False),
        ("integrator.assen", "gk/assen/outward", False),
        ("integrator.assen", "gk/v1/assen/acl-gate-a/scan", False),
        ("acl-gate-a", "gk/assen/onvif-ej/Door/State/DoorMode/&front", False),
        (None, "gk/assen/onvif-ej/Door/State/DoorMode/&front", False),
        (None, "tele/door/SENSOR", True),
        (None, "stat/door/RESULT", True),
        (None, "cmnd/door/POWER", False),
        (None, "rfid/send", True),
        (None, "rfid/cmd", False),
        ("acl-bridge", "rfid/cmd", True),
        ("acl-bridge", "rfid/send", False),
        ("acl-gate-a", "rfid/cmd", False),
        (None, "uhppoted/gateway/events", True),
        (None, "uhppoted/gateway/events/live", True),
        (None, "uhppoted/gateway/replies/acl-bridge", True),
        (None, "uhppoted/gateway/requests/device/door/lock:open", False),
        ("acl-bridge", "uhppoted/gateway/requests/device/door/lock:open", True),
        ("acl-bridge", "uhppoted/gateway/requests/device/card:put", False),
        ("acl-bridge", "uhppoted/gateway/events", False),
        ("acl-gate-a", "uhppoted/gateway/requests/device/door/lock:open", False),
        (None, "onvif/front/onvif-ej/Door/State/DoorPhysicalState/&D1", True),
        (None, "gk/onvif-ej/Door/State/DoorPhysicalState/&D1", False),
        ("acl-bridge", "onvif/front/onvif-ej/Door/State/DoorPhysicalState/&D1", False),
        (None, "gk/v1/assen/acl-gate-a/scan", False),
        (None, "gk/v1/assen/acl-gate-a/decision", False),
        (None, "gk/v1/assen/beacon", False),
    ],
)
async def test_each_publishes_where_it_may_and_nowhere_else(
    logins: EmbeddedBroker, username: str | None, topic: str, *, allowed: bool
) -> None:
    answer = await publish(logins, username, topic)
    assert answer in TAKEN if allowed else answer == REFUSED


@pytest.mark.parametrize(
    ("username", "topic", "allowed"),
    [
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/decision", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/command", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-a/policy", True),
        ("acl-gate-a", "gk/v1/assen/beacon", True),
        ("acl-gate-a", "gk/v1/assen/checkpoint", True),
        ("acl-gate-a", "gk/v1/assen/standing", True),
        ("acl-gate-a", "gk/v1/assen/trust", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-b/policy", False),
        ("acl-bridge", "gk/v1/assen/checkpoint", True),
        ("acl-gate-a", "gk/v1/assen/acl-gate-b/decision", False),
        ("acl-gate-a", "gk/v1/assen/acl-gate-b/scan", False),
        ("acl-gate-a", "tele/door/SENSOR", False),
        ("acl-bridge", "tele/door/SENSOR", True),
        ("acl-bridge", "rfid/send", True),
        ("acl-bridge", "uhppoted/gateway/events/live", True),
        ("acl-bridge", "uhppoted/gateway/replies/acl-bridge", True),
        ("acl-bridge", "uhppoted/gateway/replies/acl-gate-a", False),
        ("acl-bridge", "onvif/front/onvif-ej/Door/State/DoorPhysicalState/&D1", True),
        ("acl-gate-a", "rfid/send", False),
        (None, "rfid/send", False),
        ("acl-bridge", "gk/v1/assen/acl-gate-a/decision", False),
        ("service.acl", "gk/v1/assen/acl-gate-a/scan", True),
        ("service.acl", "tele/door/SENSOR", False),
        ("integrator.assen", "gk/assen/onvif-ej/Door/State/DoorMode/&front", True),
        ("integrator.assen", "gk/assen/outward", True),
        ("integrator.elsewhere", "gk/assen/onvif-ej/Door/State/DoorMode/&front", False),
        ("integrator.assen", "gk/v1/assen/acl-gate-a/scan", False),
        ("integrator.assen", "gk/v1/assen/beacon", False),
        ("outward.assen", "gk/v1/assen/acl-gate-a/scan", False),
        ("acl-gate-a", "gk/assen/onvif-ej/Door/State/DoorMode/&front", False),
        (None, "gk/assen/onvif-ej/Door/State/DoorMode/&front", False),
        (None, "cmnd/door/POWER", True),
        (None, "gk/v1/assen/acl-gate-a/decision", False),
        (None, "gk/v1/assen/beacon", False),
        (None, "gk/v1/assen/checkpoint", False),
        (None, "tele/door/SENSOR", False),
    ],
)
async def test_each_hears_what_it_may_and_nothing_else(
    logins: EmbeddedBroker, username: str | None, topic: str, *, allowed: bool
) -> None:
    assert await heard(logins, username, topic) == allowed


async def test_a_gate_gets_the_largest_snapshot(logins: EmbeddedBroker) -> None:
    snapshot, topic = bytes(MAX_SNAPSHOT_BYTES), "gk/v1/assen/acl-gate-a/policy"
    async with mqtt_client(logins.port, "service.speaker", SECRET) as speaker:
        assert await speaker.publish(topic, snapshot, retain=True) in TAKEN
        async with mqtt_client(logins.port, "acl-gate-a", SECRET) as gate:
            await gate.subscribe(topic)
            assert await gate.next_message() == (topic, snapshot)
        await speaker.publish(topic, retain=True)


@pytest.mark.parametrize(
    ("username", "password"),
    [("acl-gate-a", "wrong"), ("nobody-we-know", SECRET), ("acl-gate-a", ""), (None, None)],
)
async def test_a_wrong_login_or_none_is_refused(
    logins: EmbeddedBroker, username: str | None, password: str | None
) -> None:
    with pytest.raises(MqttRefusedError, match="Not authorized"):
        async with mqtt_client(logins.port, username, password):
            pass


async def test_a_wrong_password_is_refused_on_the_readers_port_too(logins: EmbeddedBroker) -> None:
    with pytest.raises(MqttRefusedError, match="Not authorized"):
        async with mqtt_client(logins.readers_port, "acl-gate-a", "wrong"):
            pass


async def test_a_foreign_client_id_evicts_nobody(logins: EmbeddedBroker) -> None:
    async with mqtt_client(logins.port, "acl-gate-a", SECRET) as gate:
        async with mqtt_client(logins.port, "acl-gate-b", SECRET, client_id="acl-gate-a") as other:
            assert await other.publish("gk/v1/assen/acl-gate-b/hello") in TAKEN
        assert await gate.publish("gk/v1/assen/acl-gate-a/hello") in TAKEN
        assert not gate.lost.is_set()


async def test_admitting_one_leaves_the_connections_of_others_alone(broker: EmbeddedBroker) -> None:
    await broker.admit("admit-first", SECRET)
    async with (
        mqtt_client(broker.port, "admit-first", SECRET) as first,
        mqtt_client(broker.readers_port) as reader,
    ):
        await asyncio.gather(*(broker.admit(f"admit-{number}", SECRET) for number in range(3)))
        for number in range(3):
            assert await publish(broker, f"admit-{number}", f"gk/v1/assen/admit-{number}/hello") in TAKEN
        assert await first.publish("gk/v1/assen/admit-first/hello") in TAKEN
        assert await reader.publish("tele/door/STATE") in TAKEN


async def test_a_new_password_replaces_the_old_one(broker: EmbeddedBroker) -> None:
    await broker.admit("changes", "old")
    await broker.admit("changes", SECRET)
    assert await publish(broker, "changes", "gk/v1/assen/changes/hello") in TAKEN
    with pytest.raises(MqttRefusedError, match="Not authorized"):
        async with mqtt_client(broker.port, "changes", "old"):
            pass


async def test_a_message_over_the_service_s_cap_passes_and_one_over_the_broker_s_ends_the_connection(
    logins: EmbeddedBroker,
) -> None:
    async with mqtt_client(logins.port, "acl-gate-a", SECRET) as gate:
        assert await gate.publish("gk/v1/assen/acl-gate-a/scan", bytes(60_000)) in TAKEN
        too_large = asyncio.create_task(
            gate.publish("gk/v1/assen/acl-gate-a/scan", bytes(17 << 20)), name="too large"
        )
        async with asyncio.timeout(5):
            await gate.lost.wait()
        too_large.cancel()


async def test_scans_for_an_absent_service_and_its_session_survive_a_kill(server_folder: Path) -> None:
    async with EmbeddedBroker(server_folder) as broker:
        await broker.admit("gate-a", SECRET)
        await broker.admit("service.assen", SECRET, role="service")
        async with mqtt_client(broker.port, "service.assen", SECRET, session_kept=True) as service:
            await service.subscribe("gk/v1/assen/+/scan")
        async with mqtt_client(broker.port, "gate-a", SECRET) as gate:
            for number in range(50):
                assert await gate.publish("gk/v1/assen/gate-a/scan", b"scan %d" % number) == GRANTED
        saved = server_folder / "mosquitto" / "mosquitto.db"
        await eventually(lambda: saved.exists() and b"scan 49" in saved.read_bytes())
        address = broker.url
        await broker.kill()
        await broker.start()
        assert broker.url == address
        async with mqtt_client(broker.port, "service.assen", SECRET, session_kept=True) as service:
            arrived = [await service.next_message() for _ in range(50)]
        assert arrived == [("gk/v1/assen/gate-a/scan", b"scan %d" % number) for number in range(50)]


async def test_logins_and_ports_are_remembered_and_a_taken_port_is_replaced(server_folder: Path) -> None:
    async with EmbeddedBroker(server_folder) as broker:
        await broker.admit("gate-a", SECRET)
        before = broker.port, broker.readers_port
    async with EmbeddedBroker(server_folder) as broker:
        assert (broker.port, broker.readers_port) == before
        assert await publish(broker, "gate-a", "gk/v1/assen/gate-a/hello") in TAKEN
    with socket.create_server(("127.0.0.1", before[0])):
        async with EmbeddedBroker(server_folder) as broker:
            assert broker.port != before[0]
            assert broker.readers_port == before[1]
            assert await publish(broker, "gate-a", "gk/v1/assen/gate-a/hello") in TAKEN


async def test_a_given_port_that_is_taken_is_an_error_that_says_so(server_folder: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(EmbeddedServerError, match=r"(?s)stopped while starting.*Address already in use"),
    ):
        await EmbeddedBroker(server_folder, port=taken.getsockname()[1]).start()


async def test_the_broker_listens_on_the_loopback_only_and_never_as_root(broker: EmbeddedBroker) -> None:
    assert urlsplit(broker.url).hostname == "127.0.0.1"
    for port in (broker.port, broker.readers_port):
        assert f"0100007F:{port:04X}" in listening()
        assert f"00000000:{port:04X}" not in listening()
    assert uid_of(broker.pid) == server_account().uid != 0


async def test_a_broker_falls_with_its_killed_parent(server_folder: Path) -> None:
    with python_parent(PARENT, str(server_folder)) as pid:
        assert process_runs(pid)
    await eventually(lambda: not process_runs(pid))
    async with EmbeddedBroker(server_folder) as broker:
        assert broker.pid != pid


async def test_a_broker_that_was_left_running_is_stopped_first(server_folder: Path) -> None:
    async with EmbeddedBroker(server_folder) as broker:
        command = command_of(broker.pid)
        port = broker.port
    left = start_as_server(command)
    await eventually(lambda: f"0100007F:{port:04X}" in listening())
    async with EmbeddedBroker(server_folder) as broker:
        assert left.wait(timeout=10) == 0, "it was stopped in order"
        assert broker.port == port


async def test_a_folder_in_use_is_refused(server_folder: Path) -> None:
    async with EmbeddedBroker(server_folder):
        with pytest.raises(EmbeddedServerError, match="in use by another running process"):
            await EmbeddedBroker(server_folder).start()


async def test_a_cancelled_start_leaves_no_server_behind(server_folder: Path) -> None:
    broker = EmbeddedBroker(server_folder)
    starting = asyncio.create_task(broker.start(), name="starting")
    await eventually(lambda: broker._child is not None)
    child = broker._child
    assert child is not None
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not child.running
    await broker.start()
    await broker.stop()


async def test_a_broker_outlives_the_thread_and_the_loop_that_started_it(server_folder: Path) -> None:
    broker = EmbeddedBroker(server_folder)
    starter = threading.Thread(target=lambda: asyncio.run(broker.start()), name="starter")
    starter.start()
    await asyncio.to_thread(starter.join)
    await broker.admit("gate-a", SECRET)
    assert await publish(broker, "gate-a", "gk/v1/assen/gate-a/hello") in TAKEN
    await broker.stop()
