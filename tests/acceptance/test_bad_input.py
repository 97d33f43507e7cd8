"""Bad input against the real broker and database: a stable code, nothing opens, and the next good scan is decided."""

import hashlib
import json
from base64 import b64decode
from contextlib import AsyncExitStack
from pathlib import Path

import cbor2
import pytest

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.model.badges import BADGE_TYPE
from gatekeeper.model.ids import BootId, GateId
from gatekeeper.model.messages import PASSAGE_TYPE, SCAN_TYPE, ByToken, Verdict
from gatekeeper.model.reasons import Reason
from gatekeeper.model.topics import Channel, gate_topic
from tests.acceptance.barracks import SITE, Barracks, Program, barracks
from tests.acceptance.voice import Voice, voice

MAIN, MAIN_DOOR = GateId("main-gate"), "main-gate"
CAMPUS, CAMPUS_DOOR = GateId("campus-gate"), "campus"


def _tenant_key(site: Barracks, tenant: str, name: str) -> cose.SigningKey:
    return cose.SigningKey.from_pem((site.site / "tenants" / tenant / f"{name}.pem").read_bytes())


def _bent(good: bytes, at: int, value: object) -> bytes:
    """A COSE_Sign1 with one of its four parts replaced (0 protected, 1 unprotected, 2 payload, 3 signature)."""
    parts = list(cbor2.loads(good).value)
    parts[at] = value
    return b"\xd2" + cose.encode(parts)


def _headed(good: bytes, header: dict[int, object]) -> bytes:
    protected = cbor2.loads(cbor2.loads(good).value[0])
    return _bent(good, 0, cose.encode({**protected, **header}))


def _hostile(site: Barracks, gate: Voice, campus: Voice) -> list[tuple[str, str, bytes]]:
    """What is wrong, the code it must get, and bytes that are no scan of this gate."""
    payload, topic = gate.scan().payload(), gate.topic
    good, aad = gate.sign(payload), topic.encode()
    other_site = gate_topic("elsewhere", MAIN, Channel.SCAN)  # type: ignore[arg-type]
    stranger, tenant = cose.SigningKey.generate(), _tenant_key(site, "regional-college", "signing")
    deep = b"\x81" * 20 + b"\x00"
    return [
        ("truncated", "cbor-truncated", good[:-3]),
        ("longer than it says", "cbor-trailing-bytes", good + b"\x00"),
        ("oversized", "message-oversized", b"\xd2" + bytes(9000)),
        ("deep", "cbor-too-deep", b"\xd2" + deep),
        ("not deterministic", "cbor-not-deterministic", b"\xd2\x98\x04" + good[2:]),
        ("a duplicate key", "cbor-duplicate-key", _bent(good, 1, {})[:-1][:2] + b"\xa2\x01\x01\x01\x01" + b"\x00" * 3),
        ("a key of another type", "cbor-type-not-allowed", b"\xd2\x84\x40\xa1\x41\x00\x00\x40\x40"),
        ("a payload of another spelling", "message-malformed", gate.sign(b"\xb8\x01" + payload[1:])),
        ("an untagged message", "cose-tag", good[1:]),
        ("another tag", "cose-tag", b"\xd1" + good[1:]),
        ("no message at all", "cose-tag", b"hello, I am no message at all"),
        ("nothing", "cose-tag", b""),
        ("another shape", "cose-structure", b"\xd2" + cose.encode([b"", {}, b""])),
        ("no payload", "cose-structure", _bent(good, 2, None)),
        ("an unprotected header", "cose-header", _bent(good, 1, {4: b"x"})),
        ("a further header", "cose-header", _headed(good, {15: {1: "x"}})),
        ("unsigned", "cose-signature", _bent(good, 3, b"")),
        ("another signature", "cose-signature", _bent(good, 3, bytes(64))),
        ("another algorithm", "cose-algorithm", _headed(good, {1: -19})),
        ("another type", "cose-type", gate.sign(payload, typ=PASSAGE_TYPE)),
        ("an unknown kid", "cose-unknown-key", _headed(good, {4: bytes(8)})),
        ("a stranger's key", "cose-unknown-key", cose.sign(payload, key=stranger, typ=SCAN_TYPE, external_aad=aad)),
        ("a tenant's key", "cose-unknown-key", cose.sign(payload, key=tenant, typ=SCAN_TYPE, external_aad=aad)),
        ("another gate's key", "gate-foreign", campus.sign(payload, topic=topic)),
        ("made for another topic", "cose-signature", gate.sign(payload, topic=campus.topic)),
        ("made for another site", "cose-signature", gate.sign(payload, topic=other_site)),
        ("no scan", "message-malformed", gate.sign(cose.encode({0: 1, 1: b"x"}))),
        ("a sequence of another boot's size", "message-malformed", gate.sign(gate.scan(boot=BootId(b"x")).payload())),
    ]  # fmt: skip


@pytest.mark.timeout(180)
async def test_what_is_no_scan_gets_its_code_and_the_next_good_scan_is_decided(server_folder: Path):
    async with (
        barracks(server_folder) as site,
        site.engine() as engine,
        voice(site, MAIN, MAIN_DOOR) as gate,
        voice(site, CAMPUS, CAMPUS_DOOR) as campus,
    ):
        expected: dict[str, int] = {}
        for what, code, wire in _hostile(site, gate, campus):
            await gate.client.publish(gate.topic, wire)
            assert (await gate.good()).verdict is Verdict.GRANTED, f"the scan after {what}"
            expected[code] = expected.get(code, 0) + 1
            assert await _refused(engine) == expected, what
            assert f'"code":"{code}"' in await engine.says(rf'"code":"{code}"')
        async with PostgresReading.opened(site.postgres.dsn()) as reading:
            assert await reading.dead_letters(SITE) == expected
        await site.assert_log_sound()


@pytest.mark.timeout(120)
async def test_a_badge_or_proof_that_is_not_right_here_is_denied_and_said_so(server_folder: Path):
    async with barracks(server_folder) as site, site.engine(), voice(site, MAIN, MAIN_DOOR) as gate:
        college = _tenant_key(site, "regional-college", "issuer")
        host = _tenant_key(site, "defence", "issuer")
        claims = cbor2.loads(b64decode(gate.badge["token"]))
        content = cbor2.loads(claims.value[2])
        by_college = cose.sign(cose.encode(content), key=college, typ=BADGE_TYPE)
        elsewhere = cose.sign(cose.encode({**content, 3: "site:elsewhere"}), key=host, typ=BADGE_TYPE)
        for what, changes, reason in (
            ("a proof for another gate", {"proof_gate": "campus-gate"}, Reason.WRONG_PROOF),
            ("no proof", {"proof": None}, Reason.WRONG_PROOF),
            ("a beacon that never was", {"beacon": bytes(16)}, Reason.STALE_PROOF),
            ("a badge signed by another tenant", {"credential": ByToken(by_college)}, Reason.BADGE_FORGED),
            ("a badge of another site", {"credential": ByToken(elsewhere)}, Reason.BADGE_FORGED),
        ):
            answer = await gate.ask(gate.sign(gate.scan(**changes).payload()))
            assert (answer.verdict, answer.reason, answer.unlock) == (Verdict.DENIED, reason.bacnet, None), (
                what
            )
            assert (await gate.good()).verdict is Verdict.GRANTED, f"the scan after {what}"
        await site.assert_log_sound()


@pytest.mark.timeout(120)
async def test_bytes_sent_again_a_hundred_times_are_one_evaluation_also_after_a_restart(server_folder: Path):
    async with barracks(server_folder) as site, AsyncExitStack() as stack:
        async with site.engine():
            gate = await stack.enter_async_context(voice(site, MAIN, MAIN_DOOR))
            granted = gate.sign(gate.scan().payload())
            denied = gate.sign(gate.scan(beacon=bytes(16)).payload())
            gate.direction = "out"
            once = (await gate.ask(granted)).entry, (await gate.ask(denied)).entry
            again = {((await gate.ask(granted)).entry, (await gate.ask(denied)).entry) for _ in range(100)}
            assert again == {once}
        async with site.engine():
            for _ in range(100):
                await gate.client.publish(
                    gate.topic, granted
                )  # its answer has aged: it opens nothing any more
            assert (await gate.ask(denied)).entry == once[1]
            assert (await gate.good()).verdict is Verdict.GRANTED
        bodies = await _entries(site)
        for wire in (granted, denied):
            assert sum(body.get("message") == hashlib.sha256(wire).hexdigest() for body in bodies) == 1
        await site.assert_log_sound()


@pytest.mark.timeout(120)
async def test_a_scan_retained_at_the_broker_is_never_taken(server_folder: Path):
    async with barracks(server_folder) as site, AsyncExitStack() as stack:
        async with site.engine() as engine:
            gate = await stack.enter_async_context(voice(site, MAIN, MAIN_DOOR))
            retained = gate.sign(gate.scan().payload())
            await gate.client.publish(gate.topic, retained, retain=True)
            assert (await gate.good()).verdict is Verdict.GRANTED
            assert await _refused(engine) == {"message-retained": 1}
        async with site.engine() as engine:
            assert (await gate.good()).verdict is Verdict.GRANTED
            assert await _refused(engine) == {}
        digest = hashlib.sha256(retained).hexdigest()
        assert not any(body.get("message") == digest for body in await _entries(site))
        await gate.client.publish(gate.topic, b"", retain=True)


@pytest.mark.timeout(120)
async def test_a_flood_from_one_gate_is_turned_away_and_another_gate_is_served(server_folder: Path):
    async with (
        barracks(server_folder) as site,
        site.engine() as engine,
        voice(site, MAIN, MAIN_DOOR) as flooding,
        voice(site, CAMPUS, CAMPUS_DOOR, guard=1) as patient,
    ):
        assert (await flooding.good()).verdict is Verdict.GRANTED
        signed = [flooding.sign(flooding.scan().payload()) for _ in range(900)]
        for wire in signed:
            await flooding.client.publish(flooding.topic, wire)
        asked = await patient.good()
        assert asked.verdict is Verdict.GRANTED, asked.reason
        refused = await _refused(engine)
        assert refused["message-flood"] > 100
        assert await _recorded(engine) < 900
        again = await flooding.good()
        assert again.reason == Reason.LOCKOUT.bacnet, (
            "the flood is over: the gate is answered, its badge locked out"
        )
        async with PostgresReading.opened(site.postgres.dsn()) as reading:
            kept = await reading.dead_letters(SITE)
        assert 1 <= kept["message-flood"] < refused["message-flood"], "specimens are kept, not the flood"


async def _refused(engine: Program) -> dict[str, int]:
    counted = await engine.metrics()
    head = 'gatekeeper_refused_messages_total{code="'
    return {name[len(head) : -2]: int(value) for name, value in counted.items() if name.startswith(head)}


async def _recorded(engine: Program) -> int:
    return int((await engine.metrics()).get('gatekeeper_messages_total{channel="scan"}', 0))


async def _entries(site: Barracks) -> list[dict[str, object]]:
    async with PostgresReading.opened(site.postgres.dsn()) as reading:
        return [json.loads(entry.body) async for entry in reading.entries(SITE, since=0)]
