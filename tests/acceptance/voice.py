"""A gate as its maker would write it, from keys and bytes alone: what it sends can be bent in every place."""

import asyncio
import contextlib
import hashlib
import json
import secrets
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import cbor2

from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import (
    DECISION_TYPE,
    SCAN_TYPE,
    Answer,
    ByToken,
    ClockQuality,
    Proof,
    Scan,
    Verdict,
    proof_digest_input,
)
from gatekeeper.model.topics import Channel, beacon_topic, gate_topic
from tests.acceptance.barracks import SITE, Barracks
from tests.support.mqtt import MqttClient, mqtt_client

__all__ = ["Voice", "voice"]

_RESEND_SECONDS = 0.3


@dataclass
class Voice:
    """A gate's key, its boot and sequence, and one person's badge."""

    gate: GateId
    door: str
    client: MqttClient
    key: cose.SigningKey
    badge: dict[str, Any]
    boot: BootId
    beacon: bytes
    sequence: int = 0
    direction: str = "in"

    @property
    def topic(self) -> str:
        return gate_topic(SITE, self.gate, Channel.SCAN)

    def scan(self, **other: Any) -> Scan:
        """The next scan, with the fields given instead of the right ones."""
        self._hear_beacons()
        self.sequence += 1
        gate_random = secrets.token_bytes(16)
        signed = proof_digest_input(
            site=SITE, gate=other.pop("proof_gate", self.gate), direction=self.direction,
            beacon=self.beacon, gate_random=gate_random,
        )  # fmt: skip
        badge_key = cose.SigningKey.from_pem(self.badge["key"].encode())
        scan = Scan(
            boot=self.boot,
            sequence=self.sequence,
            gate_at=None,
            clock=ClockQuality.NONE,
            access_point=AccessPointId(f"{self.door}-{self.direction}"),
            credential=ByToken(b64decode(self.badge["token"])),
            beacon=self.beacon,
            proof=Proof(gate_random=gate_random, signature=badge_key.sign(hashlib.sha256(signed).digest())),
            round_trip=None,
            offline_verdict=None,
            offline_policy=None,
        )
        return replace(scan, **other)

    def sign(self, payload: bytes, *, typ: str = SCAN_TYPE, topic: str | None = None) -> bytes:
        return cose.sign(payload, key=self.key, typ=typ, external_aad=(topic or self.topic).encode())

    async def ask(self, wire: bytes) -> Answer:
        """Send a scan, again and again as a gate does, until the service has answered it."""
        digest = hashlib.sha256(wire).digest()
        async with asyncio.timeout(20):
            while True:
                await self.client.publish(self.topic, wire)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RESEND_SECONDS):
                        return await self._answer(digest)

    async def heard(self, wire: bytes) -> Answer:
        """The next word on a scan, without asking again."""
        return await self._answer(hashlib.sha256(wire).digest())

    def _hear_beacons(self) -> None:
        """Take the newest beacon that has come: one in force while a command ran may be too old by now."""
        others = []
        while not self.client.received.empty():
            topic, payload = self.client.received.get_nowait()
            if topic == beacon_topic(SITE):
                self.beacon = _beacon(payload)
            else:
                others.append((topic, payload))
        for message in others:
            self.client.received.put_nowait(message)

    async def _answer(self, digest: bytes) -> Answer:
        while True:
            topic, payload = await self.client.received.get()
            if topic == beacon_topic(SITE):
                self.beacon = _beacon(payload)
            elif (answer := _read(payload)).message == digest:
                return answer

    async def good(self) -> Answer:
        """A scan with nothing wrong with it; who was let in goes out the next time."""
        answer = await self.ask(self.sign(self.scan().payload()))
        if answer.verdict is Verdict.GRANTED:
            self.direction = "out" if self.direction == "in" else "in"
        return answer


@contextlib.asynccontextmanager
async def voice(site: Barracks, gate: GateId, door: str, *, guard: int = 0) -> AsyncIterator[Voice]:
    """A gate of the site at the broker, and a guard (of several, one) who stands before it with a key-bound badge."""
    folder = site.site / "gates" / gate
    async with mqtt_client(site.broker.port, gate, (folder / "broker-password").read_text()) as client:
        await client.subscribe(gate_topic(SITE, gate, Channel.DECISION))
        await client.subscribe(beacon_topic(SITE))
        _, beacon = await client.next_message()
        people = json.loads((site.site / "people.json").read_text())
        guards = [person for person in people if person["routine"] == "guard" and person["badge"]["key"]]
        key = cose.SigningKey.from_pem((folder / "key.pem").read_bytes())
        boot = BootId(secrets.token_bytes(8))
        yield Voice(gate, door, client, key, guards[guard]["badge"], boot, _beacon(beacon))


def _beacon(wire: bytes) -> bytes:
    value: bytes = cbor2.loads(cbor2.loads(wire).value[2])[2]
    return value


def _read(wire: bytes) -> Answer:
    parsed = cose.parse(wire, typ=DECISION_TYPE)
    assert not isinstance(parsed, cose.Refused)
    assert parsed.payload is not None
    answer = Answer.read(parsed.payload)
    assert isinstance(answer, Answer)
    return answer
