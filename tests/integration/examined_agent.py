"""The product's own gate under examination: its agent with simulated fittings, and whoever does things at it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typing_extensions import override

from devices.agent import GateAgent
from devices.app import gate_on
from devices.conformance.script import Ask, Do, Reply
from devices.conformance.site import CARD, Question
from devices.examination.asking import Driver
from devices.examination.folder import ExaminationFolder
from devices.hardware.simulated import SimulatedBadge, SimulatedDoor, SimulatedReader
from devices.link import GateLink
from devices.settings import read_gate_folder
from gatekeeper import cose
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import ByCard, ByToken
from gatekeeper.model.places import Direction
from gatekeeper.model.topics import PREFIX
from tests.support.proxy import FaultProxy

DOOR = AccessPointId("door")
PASSWORD = "made at test time"


class CountingDoor(SimulatedDoor):
    """Knows how often it was released."""

    def __init__(self) -> None:
        super().__init__()
        self.releases = 0

    @override
    def release(self, lasting: timedelta) -> None:
        super().release(lasting)
        self.releases += 1


class AgentAtTheGate(Driver):
    """The gate, in a folder and a life of its own; the link goes through a proxy that can be cut."""

    def __init__(self, place: ExaminationFolder, own: Path, gate: GateId, proxy: FaultProxy) -> None:
        self.place, self.own, self.gate, self.proxy = place, own, gate, proxy
        self.key = cose.SigningKey.generate()
        request = place.request_of(gate, enrolment_request(site=place.site, gate=gate, key=self.key))
        assert place.admit(request, at=datetime.now(UTC))
        self.question = Question(
            site=place.site,
            gate=gate,
            prefix=PREFIX,
            access_point=DOOR,
            direction=Direction.IN,
            has_contact=True,
            interlocked=True,
            held=timedelta(seconds=1),
            period=timedelta(milliseconds=300),
            started=datetime.now(UTC),
            decides_alone=True,
            record=request.record,
            keys=place.keys,
            badges=place.badges(at=datetime.now(UTC)),
        )
        self.reader, self.door = SimulatedReader(), CountingDoor()
        self.seen_releases = 0
        self.agent: GateAgent | None = None
        self.life: asyncio.Task[None] | None = None
        self.stop = asyncio.Event()

    @override
    async def obey(self, asked: Ask) -> Reply:
        released = self.door.releases > self.seen_releases
        self.seen_releases = self.door.releases
        match asked.do:
            case Do.START | Do.RESTART:
                await self.end()
                await self.begin()
            case Do.PRESENT:
                self.reader.hold(self.badge(asked))
            case Do.OPEN:
                self.door.open()
            case Do.CLOSE:
                self.door.close()
            case Do.FORCE:
                assert self.agent is not None
                for _ in range(asked.times):
                    self.agent.feel(DOOR, opened=True)
                    self.agent.feel(DOOR, opened=False)
            case Do.CUT:
                self.proxy.refuse()
                self.proxy.cut()
            case Do.RESTORE:
                await self.proxy.accept()
            case Do.LOOK:
                return Reply(done=True, released=released)
        return Reply(done=True)

    def badge(self, asked: Ask) -> SimulatedBadge:
        match asked.badge, self.question.badges[asked.badge or CARD]:
            case "keyed", ByToken(token):
                return SimulatedBadge.key_bound(token, self.place.keys["badge"])
            case _, (ByCard() | ByToken()) as credential:
                return SimulatedBadge(credential, pin=asked.pin)
            case _:
                raise AssertionError(asked)

    async def begin(self) -> None:
        written = {
            "site": self.place.site,
            "gate": self.gate,
            "prefix": PREFIX,
            "access_points": [{"id": DOOR, "direction": "in", "interlocked": True}],
            "held_seconds": 1,
        }
        self.own.mkdir(exist_ok=True)
        (self.own / "gate.json").write_text(json.dumps(written))
        for name in ("anchor.json", "trust.cose"):
            (self.own / name).write_bytes((self.place.path / name).read_bytes())
        for name, secret in (("key.pem", self.key.to_pem()), ("broker-password", PASSWORD.encode())):
            (self.own / name).write_bytes(secret)
            (self.own / name).chmod(0o600)
        self.stop = asyncio.Event()
        begun = asyncio.Event()
        self.life = asyncio.create_task(self.live(begun), name="a gate's boot")
        waits = asyncio.create_task(begun.wait(), name="a gate begins")
        await asyncio.wait({self.life, waits}, return_when=asyncio.FIRST_COMPLETED)
        if not waits.done():
            waits.cancel()
            await self.life  # it did not begin, and says why

    async def live(self, begun: asyncio.Event) -> None:
        settings = read_gate_folder(self.own)
        link = GateLink(self.proxy.url, gate=self.gate, password=PASSWORD)
        fittings = {DOOR: self.door.fittings(self.reader)}
        async with gate_on(link, settings, fittings=fittings) as self.agent:
            begun.set()
            await self.stop.wait()

    async def end(self) -> None:
        self.stop.set()
        if self.life is not None:
            await self.life
