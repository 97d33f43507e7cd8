"""Commands end to end: operators on the command line, an engine of its own, a real database and broker, gates at work."""

import asyncio
import json
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import paho.mqtt.client as mqtt
import pytest

from devices.agent import GateAgent
from devices.app import open_journal
from devices.core.belief import Ignored
from devices.core.door import DoorState
from devices.hardware.simulated import SimulatedDoor, SimulatedReader
from devices.link import GateLink
from devices.settings import read_gate_folder
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.topics import Channel, gate_topic
from tests.integration.people_site import IN, OUT, Registry, saying, served_site
from tests.support.proxy import to_broker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

BECAUSE = ("--reason", "a pram at the gate")
VAULT = """
[[zone]]
id = "vault"
name = { en = "Vault", nl = "Kluis" }
parent = "yard"
owner = "army"
level = 3
assurance = 2
anti_passback = "none"

[[access_point]]
id = "vault-in"
gate = "front"
from = "yard"
to = "vault"
direction = "in"
name = { en = "Vault", nl = "Kluis" }

[[access_point]]
id = "vault-out"
gate = "front"
from = "vault"
to = "yard"
direction = "out"
name = { en = "Vault", nl = "Kluis" }
"""


@dataclass
class Work:
    """A gate at work in a thread of its own; everything of it is asked in its own loop."""

    agent: GateAgent
    loop: asyncio.AbstractEventLoop
    doors: dict[Any, SimulatedDoor]
    commands: list[bytes] = field(default_factory=list)

    def door(self, point: Any = IN) -> DoorState:
        return self.agent._controller.door(point)

    def moves(self, point: Any, *, opened: bool) -> None:
        """Somebody goes through."""
        move = self.doors[point].open if opened else self.doors[point].close
        self.loop.call_soon_threadsafe(move)

    @property
    def ignored(self) -> dict[Ignored, int]:
        return dict(self.agent.tally.ignored)


@contextmanager
def at_work(registry: Registry, gate: str = "front") -> Iterator[Work]:
    """The gate of a folder, with simulated doors, until the block is over."""
    settings = read_gate_folder(registry.folder.root / "gates" / gate)
    ready, ended, work = threading.Event(), threading.Event(), []

    async def run() -> None:
        doors = {doorway.id: SimulatedDoor() for doorway in settings.doorways}
        link = GateLink(registry.broker.url, gate=settings.gate, password=settings.password)
        fittings = {
            doorway.id: doors[doorway.id].fittings(SimulatedReader(), has_contact=doorway.has_contact)
            for doorway in settings.doorways
        }
        opened = partial(open_journal, settings)
        async with GateAgent(settings, link, open_journal=opened, fittings=fittings) as agent:
            await agent.service_heard()
            work.append(Work(agent, asyncio.get_running_loop(), doors))
            ready.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(30)
        yield work[0]
    finally:
        ended.set()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def served(
    folder: Path,
    server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capture: pytest.CaptureFixture[str],
    *,
    beside: str = "",
) -> Iterator[Registry]:
    with served_site(folder, server, broker, beside=beside) as registry:
        registry.say = saying(capture)
        yield registry


def entries(registry: Registry, *kinds: str) -> list[dict[str, Any]]:
    rows = registry.run(
        "SELECT body FROM entry WHERE site_id = $1 AND kind = ANY($2) ORDER BY seq", list(kinds)
    )
    return [json.loads(row["body"]) for row in rows]


def until(registry: Registry, *kinds: str, count: int) -> list[dict[str, Any]]:
    registry.wait_until(lambda: len(entries(registry, *kinds)) >= count, within=30)
    return entries(registry, *kinds)


def test_an_officer_opens_a_door_that_the_log_knows_of_first_and_the_passage_names_the_command(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with served(tmp_path, postgres_server, broker, capfd) as registry:
        refused = registry("gate", "open", IN, *BECAUSE, "--operator", "officer")
        assert refused.code == 1
        assert "gate-away" in refused.err
        with at_work(registry) as gate:
            until(registry, "gate.hello", count=1)
            said = registry("gate", "open", IN, *BECAUSE, "--operator", "officer")
            assert said.code == 0, said
            assert said.err.startswith(f"Opened: {IN}; front says so in entry ")
            (opened,) = [one for one in until(registry, "gate.status", count=1) if one["status"] == "opened"]
            assert gate.door() is DoorState.UNLOCKED
            assert gate.door(OUT) is DoorState.LOCKED
            gate.moves(IN, opened=True)
            gate.moves(IN, opened=False)
            (taken,) = until(registry, "passage.taken", count=1)
            (unlock,) = gate.agent.tally.unlocks
            (ordered,) = entries(registry, "door.commanded")
    assert ordered["reason"] == "a pram at the gate"
    assert (ordered["access_point"], ordered["author"]) == (IN, "officer")
    assert unlock.entry == ordered["seq"] < opened["seq"] < taken["seq"]
    assert ordered["command"] == opened["command"] == taken["scan"] == unlock.scan.hex()
    assert taken["grant"] == ordered["seq"]


def test_a_door_of_a_high_level_takes_two_people(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with (
        served(tmp_path, postgres_server, broker, capfd, beside=VAULT) as registry,
        at_work(registry) as gate,
    ):
        until(registry, "gate.hello", count=1)
        proposed = registry("gate", "open", "vault-in", *BECAUSE, "--operator", "officer")
        assert "It takes a second person" in proposed.err
        (waiting,) = entries(registry, "proposal.made")
        assert entries(registry, "door.commanded") == []
        assert gate.door("vault-in") is DoorState.LOCKED
        agreed = registry("proposal", "approve", waiting["proposal"], "--operator", "admin")
        assert agreed.code == 0, agreed
        assert "Opened: vault-in; front says so in entry " in agreed.err
        until(registry, "gate.status", count=1)
        assert gate.door("vault-in") is DoorState.UNLOCKED
        (ordered,) = entries(registry, "door.commanded")
        assert (ordered["author"], ordered["approved_by"]) == ("officer", "admin")


def test_an_order_that_its_gate_does_not_confirm_is_not_told_as_done(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with served(tmp_path, postgres_server, broker, capfd) as registry:
        with at_work(registry):
            until(registry, "gate.hello", count=1)
        said = registry("gate", "open", IN, *BECAUSE, "--operator", "officer")
        (ordered,) = entries(registry, "door.commanded")
    assert said.code == 3, said
    assert said.err.startswith(
        f"NOT confirmed: front was sent it, in entry {ordered['seq']} of the log, and has "
    )
    assert "Opened" not in said.err


@contextmanager
def behind_a_proxy(registry: Registry) -> Iterator[Callable[[], None]]:
    """The site served by a broker that its engine can be cut off from, which the function that is given does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def work(coroutine: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    async def cut_off() -> None:
        proxy.refuse()
        proxy.cut()

    def gone() -> None:
        work(cut_off())
        registry.wait_until(lambda: registry.says('"up":false'), within=30)

    proxy = to_broker(registry.broker.url)
    try:
        work(proxy.accept())
        with registry.unserved():
            registry.settings = replace(registry.settings, broker=proxy.url)
        yield gone
    finally:
        work(proxy.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def test_while_the_broker_is_away_nothing_is_ordered_and_nothing_waits(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with served(tmp_path, postgres_server, broker, capfd) as registry, behind_a_proxy(registry) as goes_away:
        with at_work(registry):
            until(registry, "gate.hello", count=1)
            goes_away()
            orders = [("open", IN), ("reboot", "front")]
            answers = [registry("gate", *order, *BECAUSE, "--operator", "officer") for order in orders]
        assert [said.code for said in answers] == [1, 1]
        assert all("Refused: broker-away. It was not sent" in said.err for said in answers)
        assert entries(registry, "door.commanded", "gate.commanded", "command.unsent") == []


def test_what_was_ordered_as_the_broker_went_away_is_told_as_not_sent_and_so_the_log_says(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with served(tmp_path, postgres_server, broker, capfd) as registry, behind_a_proxy(registry) as goes_away:
        with at_work(registry) as gate:
            until(registry, "gate.hello", count=1)
            with ThreadPoolExecutor(1) as aside:
                with commits_held_up(registry):
                    asked = aside.submit(registry, "gate", "open", IN, *BECAUSE, "--operator", "officer")
                    registry.wait_until(lambda: commits_waiting(registry) > 0)
                    goes_away()
                said = asked.result(60)
            assert not gate.agent.tally.unlocks
        (ordered,) = entries(registry, "door.commanded")
        (unsent,) = entries(registry, "command.unsent")
    assert said.code == 1, said
    assert said.err.startswith(f"Not sent: the broker was away; entry {unsent['seq']} of the log says so. ")
    assert (unsent["order"], unsent["why"]) == (ordered["seq"], "broker-away")
    assert (unsent["command"], unsent["access_point"]) == (ordered["command"], IN)
    assert unsent["trees"].keys() == ordered["trees"].keys()


@contextmanager
def commits_held_up(registry: Registry) -> Iterator[None]:
    """Nothing is committed for the length of a block."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(registry.settings.dsn))
        try:
            lock = f"SELECT FROM tree_head WHERE site_id = '{registry.site}' FOR UPDATE"
            runner.run(connection.execute(f"BEGIN; {lock}"))
            yield
        finally:
            runner.run(connection.close())


def commits_waiting(registry: Registry) -> int:
    waiting = registry.run("SELECT count(*) FROM pg_locks WHERE NOT granted AND $1::text <> ''")
    return int(waiting[0]["count"])


def standings(registry: Registry) -> dict[str, bool]:
    """Which gates are to be locked down, and whether each has said that it is."""
    said = registry("lockdown", "status", "--json")
    assert said.code == 0, said
    return {one["gate"]: one["confirmed_at"] is not None for one in said.document["gates"]}


def test_a_lockdown_reaches_every_gate_and_one_that_was_away_when_it_is_back(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with served(tmp_path, postgres_server, broker, capfd) as registry:
        assert "No gate is locked down." in registry("lockdown", "status").err
        with at_work(registry) as gate:
            registry.done("lockdown", "on", "--operator", "officer")
            registry.wait_until(lambda: standings(registry) == {"front": True, "side-reader": False})
            assert {gate.door(IN), gate.door(OUT)} == {DoorState.LOCKED_DOWN}
            told = registry("lockdown", "status")
            assert "not yet" in told.out
            assert "1 gate has not said so yet" in told.err
            refused = registry("gate", "open", IN, *BECAUSE, "--operator", "officer")
            assert "locked-down" in refused.err
        with at_work(registry, "side-reader") as side:
            registry.wait_until(lambda: standings(registry)["side-reader"])
            assert side.door("side-in") is DoorState.LOCKED_DOWN
        with registry.unserved():
            pass
        with at_work(registry) as gate:  # an engine and a gate that both know nothing of it
            registry.wait_until(lambda: gate.door() is DoorState.LOCKED_DOWN)
            registry("lockdown", "off", "--operator", "officer")
            (proposed,) = entries(registry, "proposal.made")
            registry.done("proposal", "approve", proposed["proposal"], "--operator", "admin")
            registry.wait_until(lambda: gate.door() is DoorState.LOCKED)
            registry.wait_until(lambda: "front" not in standings(registry))


def test_a_gate_starts_anew_when_an_operator_says_so(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with (
        served(tmp_path, postgres_server, broker, capfd) as registry,
        at_work(registry) as gate,
    ):
        until(registry, "gate.hello", count=1)
        registry.done("gate", "reboot", "front", "--reason", "it hangs", "--operator", "officer")
        asked = asyncio.run_coroutine_threadsafe(gate.agent.restart_asked(), gate.loop)
        asked.result(30)
        (status,) = entries(registry, "gate.status")
        assert status["status"] == "restarting"


def test_what_a_broker_keeps_repeats_or_retains_of_a_command_opens_nothing(
    tmp_path: Path,
    postgres_server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
):
    with served(tmp_path, postgres_server, broker, capfd) as registry:
        topic = gate_topic(registry.site, "front", Channel.COMMAND)  # type: ignore[arg-type]
        with listening(registry, topic) as broker_side:
            with at_work(registry) as gate:
                until(registry, "gate.hello", count=1)
                registry.done("gate", "open", IN, *BECAUSE, "--operator", "officer")
                registry.wait_until(lambda: bool(broker_side.heard))
                [command] = broker_side.heard
                broker_side.say(topic, command, retain=False)
                registry.wait_until(lambda: gate.ignored.get(Ignored.COMMAND_REPEATED) == 1)
                broker_side.say(topic, command[:-1] + bytes((command[-1] ^ 1,)), retain=False)
                registry.wait_until(lambda: gate.ignored.get(Ignored.COMMAND_FORGED) == 1)
                broker_side.say(topic, command, retain=True)
                assert len(gate.agent.tally.unlocks) == 1
            with at_work(registry) as gate:  # the retained one is dropped, the same bytes are of another boot
                until(registry, "gate.hello", count=2)
                broker_side.say(topic, command, retain=False)
                registry.wait_until(lambda: gate.ignored.get(Ignored.COMMAND_OTHER_BOOT) == 1)
                assert not gate.agent.tally.unlocks
                registry.wait_until(lambda: len(refusals(registry)) == 3)
                assert {why for why in gate.ignored if why.startswith("command-")} == {
                    Ignored.COMMAND_OTHER_BOOT
                }
        assert all(one["alarm"] for one in refusals(registry))


def refusals(registry: Registry) -> list[dict[str, Any]]:
    return [one for one in entries(registry, "gate.status") if one["status"] == "command_refused"]


@dataclass
class BrokerSide:
    """Whoever holds the broker: hears everything, and says what it likes."""

    client: mqtt.Client
    heard: list[bytes] = field(default_factory=list)

    def say(self, topic: str, wire: bytes, *, retain: bool) -> None:
        self.client.publish(topic, wire, qos=1, retain=retain).wait_for_publish(10)


@contextmanager
def listening(registry: Registry, topic: str) -> Iterator[BrokerSide]:
    # A login of its own: the broker lets nobody stand beside the service under its name.
    password = secrets.token_hex(16)
    asyncio.run(registry.broker.admit(f"service.hand-{registry.site}", password, role="service"))
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    side = BrokerSide(client)
    subscribed = threading.Event()
    client.username_pw_set(f"service.hand-{registry.site}", password)
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: side.heard.append(message.payload)
    host, port = registry.broker.url.removeprefix("mqtt://").split(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        assert subscribed.wait(10)
        yield side
    finally:
        client.disconnect()
        client.loop_stop()
