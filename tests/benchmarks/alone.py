"""A gate that is alone, on the big site: one decision beside its crypto, what snapshots cost to make, to carry and to hold.

The snapshots are those that the service makes (`Provisions`), and the memory is that of `gatekeeper-device run`, a process
of its own, linked to a broker, with a folder that holds one of them.
"""

import asyncio
import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from devices.core.alone import Alone, Inside, decide_alone
from devices.core.journal import Journal, JournalBounds
from devices.core.knowledge import Knowledge
from devices.journal_port import MemoryJournal
from gatekeeper import cose
from gatekeeper.core.flow import Flow
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.trust import TRUST_TYPE, Anchor, Trust, Use, read_trust, trust_payload
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.model.badges import BADGE_TYPE, Assurance, Badge, Card, CardTechnology, claims_of
from gatekeeper.model.ids import AccessPointId, BadgeId, BootId, GateId
from gatekeeper.model.messages import ByToken, ClockQuality, Proof, Scan, Verdict, proof_digest_input
from gatekeeper.model.people import HolderKind
from gatekeeper.model.places import Direction
from gatekeeper.model.snapshot import SNAPSHOT_TYPE, STANDING_TYPE, KnownCards, Snapshot, Standing
from gatekeeper.model.topics import PREFIX, Channel, gate_topic, standing_topic
from gatekeeper.service.engine.provisions import Provisions, _Committed
from tests.acceptance.barracks import Program
from tests.benchmarks.big_crowd import BEGIN, registered, signed_records
from tests.benchmarks.big_site import HOST, SITE, big_document, big_trust, signing_key
from tests.benchmarks.measure import per_call, percentiles
from tests.support.founded import trusted
from tests.support.sites import key_of

__all__ = ["alone_at_work"]

_HOLDERS = 20_000
_DECISIONS = 2000
_GATE = GateId("gate-0")
_NOW = BEGIN + timedelta(hours=9)
_OFFLINE = {"hours": 8, "unseen": "accept"}
_BADGE_KEY = "badge of somebody"


@cache
def _trust() -> tuple[Trust, Anchor]:
    """The big site's, with its gates and a key that decides."""
    root = key_of("root 1")
    gates = {
        GateId(gate["id"]): trusted(f"gate {gate['id']}", use=Use.GATE, owner=gate["id"])
        for gate in big_document()["gate"]
    }
    services = ((Use.DECISION, trusted("decision", use=Use.DECISION, owner="service")),)
    listing = replace(big_trust().listing, gates=gates, services=services)
    document = cose.cosign(trust_payload(listing), keys=[root], typ=TRUST_TYPE, external_aad=SITE.encode())
    anchor = Anchor(site=SITE, host=HOST, threshold=1, roots=listing.roots)
    trust = read_trust(document, anchor=anchor, not_below=0)
    assert isinstance(trust, Trust)
    return trust, anchor


def _flow() -> Flow:
    document = big_document()
    for zone in document["zone"]:
        zone["rules"] = zone.get("rules", {}) | {"offline": _OFFLINE}
    signed = sign_policy(document, site=SITE, key=signing_key(HOST))
    policy = compile_from(signed, trust=_trust()[0])
    assert not isinstance(policy, PolicyRefused), policy
    register = registered(signed_records(_HOLDERS))
    return Flow(policy=policy, policy_source=signed, trust=_trust()[0], register=register, next_seq=1000)


class _Still:
    """The clock of the service, standing still."""

    def now(self) -> datetime:
        return _NOW


class _Outbox:
    """What the service publishes."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        del qos, retain
        self.retained[topic] = payload
        return True


def alone_at_work() -> dict[str, Any]:
    """Milliseconds a decision, seconds to make all snapshots, their bytes, and what a gate needs to hold one."""
    flow, out = _flow(), _Outbox()
    committed = _Committed.now(flow)
    provisions = Provisions(site=SITE, key=key_of("decision"), prefix=PREFIX, transport=out, clock=_Still())  # type: ignore[arg-type]
    first, made = _timed(lambda: provisions._made(committed, _NOW))
    again, _ = _timed(lambda: provisions._made(committed, _NOW))
    listed, statuses = _timed(lambda: provisions._signed_statuses(flow))
    front = next(snapshot for snapshot in made if snapshot.gate == _GATE)
    somebody, badge = _with_somebody(front)
    standing = _standing(statuses, somebody)
    wire = _signed(somebody)
    cards = _signed(_of_cards(somebody))
    return {
        "decision": _decisions(wire, standing, badge),
        "service": {
            "holders": _HOLDERS,
            "gates": len(made),
            "all_snapshots_first_s": first,
            "all_snapshots_again_s": again,
            "status_lists_s": listed,
            "badges_in_the_largest": max(map(len, made)),
            "bytes_of_all": sum(len(snapshot.payload()) for snapshot in made),
        },
        "snapshot": {
            "badges": len(somebody),
            "bytes": len(wire),
            "bytes_with_a_card_each": len(cards),
            "standing_bytes": len(_wire_of(standing)),
            "gate_reads_it_ms": _reading(wire),
            "gate_reads_that_of_cards_ms": _reading(cards),
        },
        "memory": asyncio.run(_resident(wire, cards, standing)),
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


# -- what a gate holds ------------------------------------------------------------------------------------------------


def _badge() -> Badge:
    key = key_of(_BADGE_KEY)
    return Badge(
        id=BadgeId("ff" * 16), site=SITE, tenant=HOST, not_before=_NOW - timedelta(days=1), expires=_NOW + timedelta(days=300),
        issued=_NOW - timedelta(days=1), ceiling=5, assurance=Assurance.KEY_BOUND, kind=HolderKind.STAFF, epoch=1,
        requires_trusted_time=False, confirmation=key.record(use="badge", owner="ff" * 16), card=None, status_index=3,
    )  # fmt: skip


def _with_somebody(front: Snapshot) -> tuple[Snapshot, Badge]:
    """A snapshot of 20,000 badges: those of the site's first gate, and so many more of its first class; one we have the key of."""
    badge = _badge()
    place = next(at for at, one in enumerate(front.classes) if one.tenant == HOST and len(one.hours) > 1)
    rows = {front.rows[at : at + 16]: front.rows[at + 16 : at + 24] for at in range(0, len(front.rows), 24)}
    number = 0
    while len(rows) < _HOLDERS - 1:
        number += 1
        rows.setdefault(os.urandom(15) + b"\0", number.to_bytes(4, "big") + place.to_bytes(4, "big"))
    rows[bytes.fromhex(badge.id)] = b"\0\xff\0\0" + place.to_bytes(4, "big")
    return replace(front, rows=b"".join(one + rest for one, rest in sorted(rows.items()))), badge


def _of_cards(snapshot: Snapshot) -> Snapshot:
    """The same, when every badge is a bare card, whose token the gate must hold."""
    issuer, cards = key_of(f"{HOST} issuer"), {}
    for at in range(0, len(snapshot.rows), 24):
        name = snapshot.rows[at : at + 16]
        card = Card(CardTechnology.MIFARE, name[:7])
        bare = replace(
            _badge(), id=BadgeId(name.hex()), assurance=Assurance.CARD_NUMBER, confirmation=None, card=card
        )
        cards[card] = cose.sign(cose.encode(claims_of(bare)), key=issuer, typ=BADGE_TYPE)
    return replace(snapshot, cards=KnownCards.of(cards))


def _signed(snapshot: Snapshot) -> bytes:
    topic = gate_topic(SITE, snapshot.gate, Channel.POLICY, prefix=PREFIX)
    return cose.sign(
        snapshot.payload(), key=key_of("decision"), typ=SNAPSHOT_TYPE, external_aad=topic.encode()
    )


def _standing(statuses: Any, snapshot: Snapshot) -> Standing:
    return Standing(
        site=SITE, version=1001, issued=_NOW, alert=0, lockdowns=frozenset(), suspended=frozenset(), statuses=statuses,
        trust=_trust()[0].version, snapshots={snapshot.gate: snapshot.version},
    )  # fmt: skip


def _wire_of(standing: Standing) -> bytes:
    aad = standing_topic(SITE, prefix=PREFIX).encode()
    return cose.sign(standing.payload(), key=key_of("decision"), typ=STANDING_TYPE, external_aad=aad)


def _knowledge(wire: bytes) -> Knowledge:
    knowledge = Knowledge(gate=_GATE, trust=_trust()[0])
    assert knowledge.take_snapshot(wire) is None
    return knowledge


def _reading(wire: bytes) -> float:
    return per_call(lambda: _knowledge(wire), calls=1, rounds=5) * 1000


# -- one decision -----------------------------------------------------------------------------------------------------


def _decisions(wire: bytes, standing: Standing, badge: Badge) -> dict[str, Any]:
    """Token and proof verified, the row found, decided, and the scan signed for the journal; without the disk."""
    knowledge = _knowledge(wire)
    assert knowledge.take_standing(_wire_of(standing)) is None
    assert knowledge.snapshot is not None
    found = knowledge.snapshot.find(badge.id)
    assert found is not None
    point = next(iter(found[1].hours))
    scan = _scan(badge, point)
    journal = Journal(
        topic=gate_topic(SITE, _GATE, Channel.JOURNAL, prefix=PREFIX),
        key=key_of(f"gate {_GATE}"),
        bounds=JournalBounds(entries=1_000_000, octets=1 << 30),
    )
    journal.begin(MemoryJournal().found)

    def decided() -> None:
        said = decide_alone(scan, Direction.IN, knowledge=knowledge, inside=Inside(), now=_NOW)
        assert said.said is Alone.GRANTED, said
        past = replace(scan, offline_verdict=Verdict.GRANTED, offline_policy=knowledge.digest)
        assert journal.write(past, then=lambda _entry: None, otherwise=lambda: None) is not None

    def crypto() -> None:
        assert cose.verify_signature(record, message, signature)
        assert cose.verify_signature(record, message, signature)
        key.sign(message)

    key, message = cose.SigningKey.generate(), bytes(600)
    record, signature = key.record(use="floor", owner="floor"), key.sign(message)
    taken, floor = _each(decided), _each(crypto)
    ours, raw = percentiles(taken), percentiles(floor)
    return {**ours, "floor_two_verifies_and_a_signature": raw, "ratio": ours["p50_ms"] / raw["p50_ms"]}


def _each(work: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(_DECISIONS):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return found


def _scan(badge: Badge, point: AccessPointId) -> Scan:
    beacon, random = os.urandom(16), os.urandom(16)
    signed = proof_digest_input(site=SITE, gate=_GATE, direction="in", beacon=beacon, gate_random=random)
    proof = Proof(gate_random=random, signature=key_of(_BADGE_KEY).sign(sha256(signed).digest()))
    token = cose.sign(cose.encode(claims_of(badge)), key=key_of(f"{HOST} issuer"), typ=BADGE_TYPE)
    return Scan(
        boot=BootId(bytes(8)), sequence=0, gate_at=_NOW, clock=ClockQuality.SYNCHRONISED, access_point=point,
        credential=ByToken(token), beacon=beacon, proof=proof, round_trip=None, offline_verdict=None, offline_policy=None,
    )  # fmt: skip


# -- a gate's process -------------------------------------------------------------------------------------------------


async def _resident(wire: bytes, cards: bytes, standing: Standing) -> dict[str, float]:
    """Megabytes resident of a gate that is linked, without a snapshot and with each of the two; and at most, while it read them."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as name:
        async with EmbeddedBroker(Path(name) / "broker") as broker:
            await broker.admit(_GATE, "a password", role="gate")
            for what, snapshot in (
                ("without", None),
                ("with_20000_badges", wire),
                ("with_20000_cards", cards),
            ):
                folder = Path(name) / what
                _write_folder(folder, snapshot, _wire_of(standing))
                found[f"{what}_mb"], found[f"{what}_peak_mb"] = await _resident_of(folder, broker.url)
    return found


def _write_folder(folder: Path, snapshot: bytes | None, standing: bytes) -> None:
    trust, anchor = _trust()
    folder.mkdir()
    points = [{"id": point["id"], "direction": point["direction"]} for point in big_document()["access_point"] if point["gate"] == _GATE]  # fmt: skip
    (folder / "gate.json").write_text(
        json.dumps({"site": SITE, "gate": _GATE, "prefix": PREFIX, "access_points": points})
    )
    (folder / "anchor.json").write_text(anchor.to_json())
    (folder / "trust.cose").write_bytes(trust.document)
    for secret, content in (
        ("key.pem", key_of(f"gate {_GATE}").to_pem()),
        ("broker-password", b"a password\n"),
    ):
        (folder / secret).write_bytes(content)
        (folder / secret).chmod(0o600)
    if snapshot is not None:
        (folder / "snapshot.cose").write_bytes(snapshot)
        (folder / "standing.cose").write_bytes(standing)


async def _resident_of(folder: Path, broker: str) -> tuple[float, float]:
    gate = await Program.start(
        "devices.cli", "run", "--folder", str(folder), "--broker", broker, environment={}
    )
    try:
        await gate.says("link up")
        return _mb(gate.process.pid, "VmRSS"), _mb(gate.process.pid, "VmHWM")
    finally:
        await gate.end()


def _mb(process: int, field: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(rf"{field}:\s+(\d+) kB", status)[0]) / 1024
