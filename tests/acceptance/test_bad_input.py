"""Bad input against the real broker and database: a stable code, nothing opens, and the next good scan is decided."""

import hashlib
import json
import secrets
from base64 import b64decode
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cbor2
import pytest

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import (
    DECISION_TYPE,
    PASSAGE_TYPE,
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
from tests.acceptance.barracks import SITE, Barracks, barracks
from tests.support.mqtt import MqttClient, mqtt_client

GATE = GateId("main-gate")
IN = AccessPointId("main-gate-in")
TOPIC = gate_topic(SITE, GATE, Channel.SCAN)


@dataclass
class Voice:
    """The main gate as a maker would write it: its key, its boot, its sequence, and one person's badge."""

    client: MqttClient
    key: cose.SigningKey
    badge: dict[str, Any]
    boot: BootId
    beacon: bytes
    sequence: int = 0

    def scan(self, **other: Any) -> Scan:
        self.sequence += 1
        gate_random = secrets.token_bytes(16)
        signed = proof_digest_input(
            site=SITE, gate=other.pop("proof_gate", GATE), direction="in",
            beacon=self.beacon, gate_random=gate_random,
        )  # fmt: skip
        badge_key = cose.SigningKey.from_pem(self.badge["key"].encode())
        scan = Scan(
            boot=self.boot,
            sequence=self.sequence,
            gate_at=None,
            clock=ClockQuality.NONE,
            access_point=IN,
            credential=ByToken(b64decode(self.badge["token"])),
            beacon=self.beacon,
            proof=Proof(gate_random=gate_random, signature=badge_key.sign(hashlib.sha256(signed).digest())),
            round_trip=None,
            offline_verdict=None,
            offline_policy=None,
        )
        return replace(scan, **other)

    def sign(self, payload: bytes, *, typ: str = SCAN_TYPE, topic: str = TOPIC) -> bytes:
        return cose.sign(payload, key=self.key, typ=typ, external_aad=topic.encode())

    async def ask(self, wire: bytes) -> Answer:
        """Send a scan and wait for the service's answer to it."""
        await self.client.publish(TOPIC, wire)
        digest = hashlib.sha256(wire).digest()
        while True:
            topic, payload = await self.client.received.get()
            if topic.endswith("/decision"):
                answer = _read(payload)
                if answer.message == digest:
                    return answer

    async def good(self) -> Answer:
        return await self.ask(self.sign(self.scan().payload()))


def _read(wire: bytes) -> Answer:
    parsed = cose.parse(wire, typ=DECISION_TYPE)
    assert not isinstance(parsed, cose.Refused)
    assert parsed.payload is not None
    answer = Answer.read(parsed.payload)
    assert isinstance(answer, Answer)
    return answer


async def _voice(site: Barracks, client: MqttClient) -> Voice:
    await client.subscribe(gate_topic(SITE, GATE, Channel.DECISION))
    await client.subscribe(beacon_topic(SITE))
    _, beacon = await client.received.get()
    parsed = cbor2.loads(cbor2.loads(beacon).value[2])
    people = json.loads((site.site / "people.json").read_text())
    guard = next(person for person in people if person["routine"] == "guard" and person["badge"]["key"])
    key = cose.SigningKey.from_pem((site.site / "gates" / GATE / "key.pem").read_bytes())
    return Voice(client, key, guard["badge"], BootId(secrets.token_bytes(8)), parsed[2])


def _hostile(voice: Voice) -> dict[str, bytes]:
    """Bytes that are no scan of this gate, by the code each must get."""
    good = voice.sign(voice.scan().payload())
    stranger = cose.SigningKey.generate()
    payload = voice.scan().payload()
    return {
        "cbor-truncated": good[:-3],
        "message-oversized": b"\x00" * 9000,
        "cose-tag": b"hello, I am no message at all",
        "cose-unknown-key": cose.sign(payload, key=stranger, typ=SCAN_TYPE, external_aad=TOPIC.encode()),
        "cose-type": voice.sign(payload, typ=PASSAGE_TYPE),
        "cose-signature": voice.sign(payload, topic=gate_topic(SITE, GateId("other"), Channel.SCAN)),
        "message-malformed": voice.sign(cose.encode({0: 1, 1: b"x"})),
    }


@pytest.mark.timeout(180)
async def test_what_is_no_scan_gets_its_code_and_the_next_good_scan_is_decided(server_folder: Path):
    async with barracks(server_folder) as site, site.engine():
        password = (site.site / "gates" / GATE / "broker-password").read_text()
        async with mqtt_client(site.broker.port, GATE, password) as client:
            voice = await _voice(site, client)
            for hostile in _hostile(voice).values():
                await client.publish(TOPIC, hostile)
            assert (await voice.good()).verdict is Verdict.GRANTED

            # A proof for another gate is denied, and said so.
            elsewhere = await voice.ask(voice.sign(voice.scan(proof_gate="campus-gate").payload()))
            assert (elsewhere.verdict, elsewhere.reason) == (Verdict.DENIED, 132)

            # An old beacon is denied.
            stale = await voice.ask(voice.sign(voice.scan(beacon=bytes(16)).payload()))
            assert stale.verdict is Verdict.DENIED

            # The same bytes a hundred times: one evaluation, one entry, the same answer.
            replayed = voice.sign(voice.scan().payload())
            answers = {(await voice.ask(replayed)).entry for _ in range(100)}
            assert len(answers) == 1
        async with PostgresReading.opened(site.postgres.dsn()) as reading:
            codes = await reading.dead_letters(SITE)
        assert codes == dict.fromkeys(_hostile(voice), 1)
        await site.assert_log_sound()
