"""The service's side at a real broker, for tests of a gate: it reads what the gate sends, and answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from devices.agent import GateAgent
from devices.settings import GateSettings, read_gate_folder
from gatekeeper import cose
from gatekeeper.core.scan import Authentic, UpwardMessage, authenticate
from gatekeeper.embedded import EmbeddedBroker, Role
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import Scan, Verdict
from gatekeeper.model.topics import Channel, beacon_topic, gate_topic
from tests.support.mqtt import MqttClient, mqtt_client
from tests.support.waiting import eventually
from tests.unit.devices.folders import PASSWORD, gate_file, gate_folder
from tests.unit.devices.ground import SITE, Service

__all__ = ["SiteSide", "site_side"]

_NUMBERS = count(1)


class SiteSide:
    """One gate's service. `decides` gives the verdict on a scan, None for silence; all else is recorded."""

    def __init__(self, broker: EmbeddedBroker, client: MqttClient, folder: Path, gate: GateId) -> None:
        self.gate = gate
        self.key = cose.SigningKey.generate()
        self.service = Service({gate: self.key})
        self.broker = broker
        self.client = client
        self.folder = folder
        self.decides: Callable[[Scan], Verdict | None] = lambda _scan: Verdict.GRANTED
        self.terms: dict[str, Any] = {}
        self.decision_topic = gate_topic(SITE, gate, Channel.DECISION)

        #: every message once, in the order of arrival; and the bytes of all, repeats among them
        self.messages: list[UpwardMessage] = []
        self.wires: list[bytes] = []

    def settings(self, **changes: Any) -> GateSettings:
        written = gate_file(self.gate, **changes)
        return read_gate_folder(gate_folder(self.folder, self.service, self.key, written))

    def seen(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    async def beacon(self) -> None:
        await self.client.publish(beacon_topic(SITE), self.service.beacon(issued=datetime.now(UTC)))

    async def answer(self, wire: bytes, verdict: Verdict) -> None:
        terms = self.terms if verdict is Verdict.GRANTED else {}
        answer = self.service.answer(wire, verdict, gate=self.gate, aad=self.decision_topic, **terms)
        await self.client.publish(self.decision_topic, answer)

    async def answer_all(self) -> None:
        while True:
            topic, wire = await self.client.received.get()
            authentic = authenticate(topic, wire, trust=self.service.trust, prefix="gk")
            assert isinstance(authentic, Authentic), authentic
            if wire not in self.wires:
                self.messages.append(authentic.message)
            self.wires.append(wire)
            message = authentic.message
            verdict = self.decides(message) if isinstance(message, Scan) else Verdict.RECORDED
            if verdict is not None:
                await self.answer(wire, verdict)

    @asynccontextmanager
    async def serves(self, gate: GateAgent) -> AsyncIterator[GateAgent]:
        """The gate at work, until it has heard us and we have heard it."""
        async with gate:
            await eventually(lambda: bool(self.messages))
            await self.beacon()
            async with asyncio.timeout(10):
                await gate.service_heard()
            yield gate


@asynccontextmanager
async def site_side(broker: EmbeddedBroker, folder: Path, *, role: Role = "gate") -> AsyncIterator[SiteSide]:
    """A gate of the test's own is admitted, and its service answers."""
    number = next(_NUMBERS)
    gate, service = GateId(f"agent-gate-{number}"), f"service.of-agent-{number}"
    await broker.admit(gate, PASSWORD, role=role)
    await broker.admit(service, PASSWORD, role="service")
    async with mqtt_client(broker.port, service, PASSWORD) as client, asyncio.TaskGroup() as group:
        side = SiteSide(broker, client, folder, gate)
        for channel in (Channel.SCAN, Channel.HELLO, Channel.STATUS, Channel.JOURNAL):
            await client.subscribe(gate_topic(SITE, gate, channel))
        answering = group.create_task(side.answer_all())
        yield side
        answering.cancel()
