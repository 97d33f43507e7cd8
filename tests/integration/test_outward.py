"""Outward events beside an engine, on a real log and at a real broker: what is told once, what stands, and what breaks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import structlog.testing

from gatekeeper.adapters.clock import SystemClock
from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.postgres import PostgresStoredTrees
from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.export.onvif import presence_topic
from gatekeeper.core.flow import Flow
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import AccessPointId, SiteId
from gatekeeper.observe.health import Health
from gatekeeper.observe.metrics import metrics
from gatekeeper.service.engine.recorder import Contents, Recorder
from gatekeeper.service.outward import OutwardEvents, telling
from tests.contract.vector_site import FRONT, fresh_flow
from tests.support.fort import Fort
from tests.support.mqtt import MqttClient, mqtt_client
from tests.support.proxy import Direction, FaultProxy, to_broker
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

PASSWORD = "made at test time"
IN = AccessPointId("front-in")
HOME = "homeassistant"


class Site:
    """A site whose log the test writes, as an engine does; it is what `OutwardEvents` sees of one."""

    def __init__(self, fort: Fort, flow: Flow) -> None:
        self.fort = fort
        self.flow = flow
        self.recorder = Recorder(
            fort.site, epoch=fort.epoch, sealer=fort.pen.sealer, ledger=fort.ledger, health=Health()
        )
        self._sequence = count(1)

    @property
    def size(self) -> int:
        return self.recorder.sealer.size

    async def beyond(self, size: int) -> int:
        return await self.recorder.beyond(size)

    async def record(self, draft: Draft) -> None:
        raise AssertionError(draft)

    async def write(self, *kinds: Kind, **public: Any) -> None:
        """Commit entries of a door of the front gate in one batch."""
        place = {"gate": FRONT, "access_point": IN, "boot": "00" * 8}
        now = datetime.now(UTC)
        drafts = [
            Draft(
                kind=kind,
                at=now,
                seq=self.size + number,
                tenants=(),
                public=place | {"sequence": next(self._sequence)} | public,
                person=None,
                personal=None,
            )
            for number, kind in enumerate(kinds)
        ]
        await self.recorder.commit(Contents(drafts=drafts))


class Broker:
    """The broker of the run, with the accounts of one site, and a proxy before it that the service goes through."""

    def __init__(self, broker: EmbeddedBroker, proxy: FaultProxy, site: SiteId) -> None:
        self.broker, self.proxy, self.site = broker, proxy, site
        self.below = f"gk/{site}/onvif-ej"

    def session(self) -> MqttSession:
        return MqttSession(
            url=f"mqtt://outward.{self.site}@127.0.0.1:{self.proxy.port}",
            client_id=f"outward.{self.site}",
            password=PASSWORD,
            session_expiry=timedelta(0),
            receive_maximum=100,
            pause_cap=timedelta(milliseconds=50),
            will=(presence_topic(self.site, prefix="gk"), b"offline"),
            what_stands=True,
            queued_out=64,
        )

    @asynccontextmanager
    async def integrator(self, *filters: str, which: str = "") -> AsyncIterator[MqttClient]:
        """Somebody who listens."""
        async with mqtt_client(self.broker.port, f"integrator{which}.{self.site}", PASSWORD) as client:
            for one in filters or (f"{self.below}/#", f"gk/{self.site}/outward"):
                await client.subscribe(one)
            yield client

    async def standing(self) -> dict[str, Any]:
        """What somebody who comes now is told at once: everything that is retained, by topic without what all begin with."""
        found = {}
        async with self.integrator("#", which="-late") as client:
            # The broker answers in order: what it retained came before this answer.
            await client.subscribe("none/of/these")
            while not client.received.empty():
                topic, payload = client.received.get_nowait()
                found[topic.removeprefix(f"{self.below}/")] = _read(payload)
        return found

    async def stands(self, topic: str, word: Any) -> None:
        """Wait until this is what a topic retains."""

        async def asked() -> bool:
            return (await self.standing()).get(topic) == word

        async with asyncio.timeout(20):
            while not await asked():
                pass


def _read(payload: bytes) -> Any:
    if not payload.startswith(b"{"):
        return payload.decode()
    document = json.loads(payload)
    return document.get("Data", {}).get("State", document)


async def told(client: MqttClient, topic: str) -> Any:
    """Wait for a message whose topic has this in it; what came before it is passed over."""
    while True:
        found, payload = await client.next_message()
        if topic in found:
            return json.loads(payload)


@pytest.fixture
async def site(postgres_server: EmbeddedPostgres) -> AsyncIterator[Site]:
    async with Fort.opened(postgres_server) as fort:
        flow = fresh_flow()
        flow.policy = replace(flow.policy, site=fort.site)
        yield Site(fort, flow)


@pytest.fixture
async def at(broker: EmbeddedBroker, site: Site) -> AsyncIterator[Broker]:
    name = site.fort.site
    await broker.admit(f"outward.{name}", PASSWORD, role="outward")
    await broker.admit_all(
        dict.fromkeys((f"integrator.{name}", f"integrator-late.{name}"), PASSWORD), role="integrator"
    )
    async with to_broker(broker.url) as proxy:
        yield Broker(broker, proxy, name)


@asynccontextmanager
async def telling_of(
    site: Site, at: Broker, *, home: str = "", dsn: str = "", pause: Any = asyncio.sleep
) -> AsyncIterator[None]:
    """Tell of the site for the length of a block, as an engine has it told."""
    async with PostgresStoredTrees.opened(dsn or site.fort.dsn) as stored, asyncio.TaskGroup() as tasks:
        outward = OutwardEvents(
            site=site.fort.site,
            prefix="gk",
            home=home,
            program="1.2.3",
            stored=stored,
            transport=at.session(),
            clock=SystemClock(),
            pause=pause,
        )
        task = tasks.create_task(outward.run(site))
        await at.stands(f"gk/{at.site}/outward", "online")
        yield
        task.cancel()


async def test_events_are_told_once_to_who_listens_and_not_to_who_comes_late(site: Site, at: Broker):
    async with telling_of(site, at), at.integrator() as client:
        await site.write(Kind.ACCESS_GRANTED, reasons=["granted"])
        granted = await told(client, "AccessGranted/Credential")
        assert granted["Source"] == {"AccessPointToken": IN}
        assert granted["Data"] == {"CredentialToken": f"entry-{site.size - 1}"}
        await site.write(Kind.PASSAGE_TAKEN, grant=site.size - 1)
        assert (await told(client, "AccessTaken/Credential"))["Data"] == granted["Data"]
        await site.write(Kind.ACCESS_DENIED, reason="denied-pin-wrong", reasons=["denied-pin-wrong"])
        assert (await told(client, "Denied/Credential"))["Data"]["Reason"] == "InvalidPIN"
        await site.write(Kind.PASSAGE_FORCED)
        assert (await told(client, "Door/State/DoorAlarm"))["Data"] == {"State": "DoorForcedOpen"}
        standing = await at.standing()
    assert standing[f"Door/State/DoorAlarm/&{IN}"] == "DoorForcedOpen"
    assert standing[f"Door/State/DoorPhysicalState/&{IN}"] == "Open"
    assert standing[f"AccessPoint/State/Enabled/&{IN}"] is True
    assert not [topic for topic in standing if topic.startswith("AccessControl/")]


async def test_what_is_not_committed_is_not_told(site: Site, at: Broker):
    async with telling_of(site, at), at.integrator() as client:
        sealed = site.recorder.sealer.seal(
            [Draft(kind=Kind.PASSAGE_FORCED, at=datetime.now(UTC), seq=site.size, tenants=(), public={"gate": FRONT, "access_point": IN}, person=None, personal=None)]
        )  # fmt: skip
        assert sealed.entries, "it is sealed, and goes nowhere"
        await site.write(Kind.ACCESS_GRANTED, reasons=[])
        await told(client, "AccessGranted")
    assert f"Door/State/DoorAlarm/&{IN}" not in await at.standing()


async def test_who_leaves_in_order_says_so_and_who_is_lost_is_told_of_by_the_broker(site: Site, at: Broker):
    here = f"gk/{at.site}/outward"
    async with telling_of(site, at):
        at.proxy.refuse()
        at.proxy.cut()
        await at.stands(here, "offline")
        await at.proxy.accept()
        await at.stands(here, "online")
    assert (await at.standing())[here] == "offline"


async def test_after_a_restart_states_are_right_again_and_no_event_is_repeated(site: Site, at: Broker):
    async with telling_of(site, at):
        await site.write(Kind.ACCESS_GRANTED, Kind.PASSAGE_TAKEN, Kind.PASSAGE_FORCED, reasons=[])
        await at.stands(f"Door/State/DoorAlarm/&{IN}", "DoorForcedOpen")
    await site.write(Kind.GATE_STATUS, status="closed_again")
    await site.write(Kind.GATE_STATUS, status="tamper")
    async with at.integrator(f"{at.below}/AccessControl/#") as client, telling_of(site, at):
        await at.stands(f"Door/State/DoorTamper/&{IN}", "TamperDetected")
        standing = await at.standing()
        await site.write(Kind.ACCESS_DENIED, reason="denied-clearance")
        topic, _ = await client.next_message()
    assert "/AccessControl/Denied/" in topic, "the first that is told is the first that came since"
    assert standing[f"Door/State/DoorAlarm/&{IN}"] == "Normal"
    assert standing[f"Door/State/DoorPhysicalState/&{IN}"] == "Closed"
    assert standing[f"Door/State/DoorMode/&{IN}"] == "Locked"


async def test_what_the_last_entries_do_not_say_is_unknown_after_a_restart(
    site: Site, at: Broker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(telling, "RECALLED", 3)
    async with telling_of(site, at):
        await site.write(Kind.PASSAGE_FORCED, Kind.GATE_STATUS, status="closed_again")
        await at.stands(f"Door/State/DoorPhysicalState/&{IN}", "Closed")
    await site.write(*[Kind.GATE_STATUS] * 3, gate="elsewhere", status="online")
    async with telling_of(site, at):
        await at.stands(f"Door/State/DoorPhysicalState/&{IN}", "Unknown")
        await at.stands(f"Door/State/DoorAlarm/&{IN}", None)
        assert (await at.standing())[f"Door/State/DoorMode/&{IN}"] == "Unknown"


async def test_a_door_that_left_the_policy_is_deleted_and_told_of(site: Site, at: Broker):
    async with telling_of(site, at, home=HOME), at.integrator(f"{at.below}/Configuration/#") as client:
        before = await at.standing()
        of_door = {topic for topic in before if topic.endswith(f"&{IN}")}
        of_home = {topic for topic in before if f"/{IN}-" in topic}
        assert (len(of_door), len(of_home)) == (5, 7)
        points = {name: point for name, point in site.flow.policy.points.items() if name != IN}
        site.flow.policy = replace(site.flow.policy, points=points, version=b"another")
        await site.write(Kind.POLICY_CHANGED, to=b"yet another".hex())
        await site.write(Kind.POLICY_CHANGED, to=b"another".hex())
        assert [(await client.next_message())[0] for _ in range(2)] == [
            f"{at.below}/Configuration/{what}/Removed/&{IN}" for what in ("AccessPoint", "Door")
        ]
        await at.stands(f"Door/State/DoorTamper/&{IN}", None)
        await at.stands(f"{HOME}/event/gatekeeper-{at.site}/{IN}-unknown-card/config", None)
        assert (await at.standing()).keys() == before.keys() - of_door - of_home


async def test_the_doors_of_a_gate_that_is_dismissed_are_deleted(site: Site, at: Broker):
    of_front = {point.id for point in site.flow.policy.points.values() if point.gate == FRONT}
    async with telling_of(site, at):
        listing = site.flow.trust.listing
        gates = {gate: key for gate, key in listing.gates.items() if gate != FRONT}
        site.flow.trust = replace(site.flow.trust, listing=replace(listing, gates=gates))
        site.flow.policy = replace(site.flow.policy, version=b"another")
        await site.write(Kind.TRUST_CHANGED, policy=b"another".hex())
        for door in of_front:
            for topic in ("AccessPoint/State/Enabled", "Door/State/DoorMode", "Door/State/DoorTamper"):
                await at.stands(f"{topic}/&{door}", None)
        assert [topic for topic in await at.standing() if "&" in topic], "those of other gates stand"


async def test_what_is_retained_of_no_door_is_deleted_whoever_left_it(site: Site, at: Broker):
    strays = (
        f"{at.below}/Door/State/DoorMode/&gone",
        f"{at.below}/Door/State/DoorAlarm/&{IN}",
        f"{HOME}/event/gatekeeper-{at.site}/gone-granted/config",
    )
    async with mqtt_client(at.broker.port, f"outward.{at.site}", PASSWORD) as before:
        for topic in strays:
            await before.publish(topic, b"{}", retain=True)
    assert len(await at.standing()) == 3
    async with telling_of(site, at, home=HOME):
        for topic in strays:
            await at.stands(topic.removeprefix(f"{at.below}/"), None)


async def test_what_came_while_the_broker_was_away_is_told_when_it_is_back(site: Site, at: Broker):
    async with telling_of(site, at), at.integrator(f"{at.below}/AccessControl/#") as client:
        at.proxy.refuse()
        at.proxy.cut()
        await at.stands(f"gk/{at.site}/outward", "offline")
        await site.write(Kind.ACCESS_GRANTED, reasons=[])
        await site.write(Kind.PASSAGE_FORCED)
        await at.proxy.accept()
        assert (await told(client, "AccessGranted"))["Data"] == {"CredentialToken": f"entry-{site.size - 2}"}
        await at.stands(f"Door/State/DoorAlarm/&{IN}", "DoorForcedOpen")


async def test_a_broker_that_takes_nothing_any_more_holds_nobody_up_and_misses_nothing(
    site: Site, at: Broker
):
    async with telling_of(site, at), at.integrator(f"{at.below}/AccessControl/#") as client:
        first = site.size
        for way in Direction:
            at.proxy.swallow(way)
        for _ in range(5):
            async with asyncio.timeout(5):
                await site.write(*[Kind.ACCESS_GRANTED] * 64, reasons=[])
        assert site.size == first + 320, "the log grows, whoever listens"
        for way in Direction:
            at.proxy.deliver(way)
        at.proxy.cut()
        wanted = {f"entry-{seq}" for seq in range(first, site.size)}
        heard: set[str] = set()
        while heard != wanted:
            heard.add((await told(client, "AccessGranted"))["Data"]["CredentialToken"])


async def test_of_what_is_too_late_events_are_dropped_and_counted_and_states_follow(
    site: Site, at: Broker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(telling, "MOST_BEHIND", 5)
    dropped = metrics.outward("dropped")._value.get()
    async with telling_of(site, at), at.integrator(f"{at.below}/AccessControl/#") as client:
        await site.write(Kind.PASSAGE_FORCED, *[Kind.ACCESS_GRANTED] * 20, reasons=[])
        newest = [await told(client, "AccessGranted") for _ in range(5)]
        await at.stands(f"Door/State/DoorAlarm/&{IN}", "DoorForcedOpen")
    assert [one["Data"]["CredentialToken"] for one in newest] == [
        f"entry-{seq}" for seq in range(site.size - 5, site.size)
    ]
    assert metrics.outward("dropped")._value.get() - dropped == 15
    assert metrics.outward_position._value.get() == site.size


async def test_a_grant_that_ends_by_itself_ends_the_released_door(site: Site, at: Broker):
    point = replace(site.flow.policy.points[IN], unlock=timedelta(milliseconds=300))
    site.flow.policy = replace(site.flow.policy, points={**site.flow.policy.points, IN: point})
    async with telling_of(site, at), at.integrator(f"{at.below}/Door/State/DoorMode/&{IN}") as client:
        await site.write(Kind.ACCESS_GRANTED, reasons=[])
        words = []
        while words[-2:] != ["Accessed", "Locked"]:
            words.append(json.loads((await client.next_message())[1])["Data"]["State"])


async def test_a_database_that_is_away_is_waited_for(site: Site, at: Broker, database_proxy: FaultProxy):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await asyncio.sleep(0)

    dsn = database_proxy.dsn(site.fort.dsn)
    async with telling_of(site, at, dsn=dsn, pause=pause), at.integrator() as client:
        await site.write(Kind.ACCESS_GRANTED, reasons=[])
        await told(client, "AccessGranted")
        database_proxy.refuse()
        database_proxy.cut()
        await site.write(Kind.PASSAGE_FORCED)
        await eventually(lambda: bool(pauses))
        await database_proxy.accept()
        assert (await told(client, "DoorAlarm"))["Data"] == {"State": "DoorForcedOpen"}


async def test_what_nobody_foresaw_is_said_and_ends_nothing(site: Site, at: Broker):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with telling_of(site, at, pause=pause), at.integrator() as client:
        policy, site.flow.policy = site.flow.policy, None  # type: ignore[assignment]
        with structlog.testing.capture_logs() as lines:
            await site.write(Kind.POLICY_CHANGED, to="00")
            await eventually(lambda: telling._AFTER_A_FAULT in pauses)
        assert "outward events failed" in [line["event"] for line in lines]
        site.flow.policy = policy
        await site.write(Kind.ACCESS_GRANTED, reasons=[])
        await told(client, "AccessGranted")


async def test_a_broker_that_does_not_let_us_in_is_waited_for(site: Site, at: Broker):
    await at.broker.admit(f"outward.{at.site}", "another", role="outward")
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        if seconds == telling._RETRY:
            pauses.append(seconds)
            await at.broker.admit(f"outward.{at.site}", PASSWORD, role="outward")

    with structlog.testing.capture_logs() as lines:
        async with telling_of(site, at, pause=pause):
            pass
    assert pauses == [telling._RETRY]
    (line,) = [line for line in lines if line["event"] == "outward events wait"]
    assert "refuses client" in line["why"]
    assert PASSWORD not in str(lines)
