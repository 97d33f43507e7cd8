"""A whole gate by a stranger: what somebody writes who has `schemas/` alone, MQTT, CBOR and signatures; and what does things at it.

    python -m tests.contract.foreign_gate enrol --site S --gate G --own FOLDER           makes its key, writes request.cose
    python -m tests.contract.foreign_gate run --site-folder F --gate G --own FOLDER ...  is the gate, and obeys the lines of a driver

It has one door with a contact and a reader that knows numbers only; it seals no PIN and has no badge prove a key. Like `stranger`, it
imports nothing of Gatekeeper, and a test sees to that.
"""

import argparse
import base64
import hashlib
import json
import queue
import re
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.contract import stranger

DOOR = "door"
DENIED, GRANTED, RECORDED, WAITING = range(4)
_ANSWER_FIELDS = {0, 1, 2, 3, 4, 5, 6, 8, 9}


# -- what it believes ---------------------------------------------------------------------------------------------------


@dataclass
class Believed:
    """Keys out of the trust list: algorithm and SubjectPublicKeyInfo, by their use; and the whole list."""

    site: str
    decisions: list[tuple[int, bytes]]
    logs: list[bytes]
    anchor: dict[str, Any]
    document: bytes
    listing: dict[int, Any]

    @classmethod
    def read(cls, folder: Path, *, gate: str, own: bytes) -> "Believed":
        anchor = json.loads((folder / "anchor.json").read_text())
        return cls.of((folder / "trust.cose").read_bytes(), anchor=anchor, gate=gate, own=own)

    @classmethod
    def of(cls, document: bytes, *, anchor: dict[str, Any], gate: str, own: bytes) -> "Believed":
        site, roots = anchor["site"], [base64.b64decode(root) for root in anchor["roots"]]
        payload, signatures = cbor2.loads(document)
        signers = set()
        for signature in signatures:
            protected, _, _, signed = cbor2.loads(signature).value
            header = cbor2.loads(protected)
            root = next(one for one in roots if hashlib.sha256(one).digest()[:8] == header[4])
            assert header[16] == "application/pacs-trust+cose"
            assert stranger.verifies(header[1], root, signed, stranger.to_be_signed(protected, site, payload))
            signers.add(root)
        assert len(signers) >= anchor["threshold"]
        listing = cbor2.loads(payload)
        assert (listing[0], listing[1], listing[7][gate][1]) == (1, site, own)
        keys = [(use, key) for use, key in listing[8] if key[2] != 2]
        return cls(
            site,
            [(key[0], key[1]) for use, key in keys if use == "decision"],
            [key[1][-32:] for use, key in keys if use == "log"],
            anchor,
            document,
            listing,
        )

    def opened(self, wire: bytes, *, typ: str, topic: str) -> dict[int, Any] | None:
        for algorithm, spki in self.decisions:
            try:
                fields = stranger.opened(wire, algorithm=algorithm, spki=spki, typ=typ, topic=topic)
            except (ValueError, AttributeError, TypeError, cbor2.CBORError):
                continue
            if fields is not None and type(fields.get(0)) is int and fields[0] == 1:
                return fields
        return None

    def note(self, note: bytes) -> tuple[int, bytes] | None:
        """Size and root, of a note that a log key signed."""
        text, _, signatures = note.decode().rpartition("\n\n")
        origin, size, root = text.split("\n")[:3]
        if origin != f"gatekeeper/{self.site}/site":
            return None
        for line in signatures.strip().split("\n"):
            name, encoded = line.removeprefix("\u2014 ").split(" ")
            signed = base64.b64decode(encoded)
            for key in self.logs:
                if (
                    name == origin
                    and signed[:4] == hashlib.sha256(f"{name}\n\x01".encode() + key).digest()[:4]
                ):
                    try:
                        Ed25519PublicKey.from_public_bytes(key).verify(signed[4:], f"{text}\n".encode())
                    except InvalidSignature:
                        return None
                    return int(size), base64.b64decode(root)
        return None


# -- the gate -----------------------------------------------------------------------------------------------------------


@dataclass
class Sent:
    topic: str
    wire: bytes
    number: int
    digest: bytes
    since: float
    again_at: float
    pause: float = 0.3


@dataclass
class Scan(Sent):
    patience: float | None = None


@dataclass
class Gate:
    """One boot. Time is an argument; what it says goes to `publish`."""

    name: str
    key: stranger.PrivateKey
    believed: Believed
    card: dict[str, str]
    held_after: float
    memory: Path
    publish: Callable[[str, bytes], None] = lambda _topic, _wire: None
    boot: bytes = field(default_factory=lambda: secrets.token_bytes(8))
    numbers: int = 0
    linked: bool = False

    def __post_init__(self) -> None:
        self.kept: list[Sent] = []
        self.waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self.scan: Scan | None = None
        self.beacon: tuple[int, bytes, float, float] | None = None
        self.notes: list[list[Any]] = json.loads(self.memory.read_text()) if self.memory.exists() else []
        self.told = False
        self.open_since: float | None = None
        self.alarmed = False
        self.released_until: float | None = None
        self.granted: bytes | None = None
        self.releases = 0

    @property
    def below(self) -> str:
        return f"gk/v1/{self.believed.site}"

    # -- up -----------------------------------------------------------------------------------------------------------

    def start(self, at: float) -> None:
        hello = {"agent": "stranger's gate 1"}
        if self.notes:
            hello["checkpoint"] = self.notes[-1][3]
        self.keep("hello", hello | self.holds(), at)

    def holds(self) -> dict[str, Any]:
        return {}

    def topics(self) -> dict[str, int]:
        """What it hears, and whether it asks for what is retained (0) or not (2)."""
        own = f"{self.below}/{self.name}"
        return {f"{self.below}/beacon": 0, f"{self.below}/checkpoint": 0, f"{own}/decision": 2}

    def write(self, channel: str, fields: dict[str, Any], at: float) -> tuple[str, bytes, int]:
        self.numbers += 1
        head = {"boot": self.boot.hex(), "sequence": self.numbers, "clock": "none"}
        payload = stranger.payload_of(channel, head | fields)
        topic = f"{self.below}/{self.name}/{channel}"
        typ = f"application/pacs-{channel}+cose"
        wire = stranger.message(payload, key=self.key, typ=typ, topic=topic)
        return topic, wire, self.numbers

    def keep(self, channel: str, fields: dict[str, Any], at: float) -> None:
        self.waiting.append((channel, fields))
        self.send_waiting(at)

    def send_waiting(self, at: float) -> None:
        while self.linked and self.waiting and self.span < 32:
            topic, wire, number = self.write(*self.waiting.popleft(), at)
            self.kept.append(Sent(topic, wire, number, hashlib.sha256(wire).digest(), at, at + 0.3))
            self.publish(topic, wire)

    @property
    def span(self) -> int:
        oldest = [sent.number for sent in (*self.kept, *([self.scan] if self.scan else []))]
        return self.numbers + 1 - min(oldest, default=self.numbers + 1)

    @property
    def is_busy(self) -> bool:
        return self.scan is not None or self.open_since is not None or self.released_until is not None

    def is_heard(self, at: float) -> bool:
        return self.beacon is not None and at - self.beacon[3] <= 3 * self.beacon[2]

    def present(self, at: float) -> None:
        if self.beacon is None or not self.is_heard(at) or self.is_busy or self.span >= 56:
            return
        fields = {"access_point": DOOR, "credential": {"card": self.card}, "beacon": self.beacon[1].hex()}
        topic, wire, number = self.write("scan", fields, at)
        self.scan = Scan(topic, wire, number, hashlib.sha256(wire).digest(), at, at + 0.3)
        self.publish(topic, wire)

    def passage(self, outcome: str, scan: bytes | None, at: float) -> None:
        fields: dict[str, Any] = {"access_point": DOOR, "outcome": outcome}
        self.keep("passage", fields | ({"scan": scan.hex()} if scan else {}), at)

    # -- down ---------------------------------------------------------------------------------------------------------

    def hear(self, topic: str, wire: bytes, at: float) -> None:
        channel = topic.rsplit("/", 1)[1]
        fields = self.believed.opened(wire, typ=f"application/pacs-{channel}+cose", topic=topic)
        if fields is None:
            return
        match channel:
            case "beacon":
                if self.beacon is None or fields[3] > self.beacon[0]:
                    self.beacon = (fields[3], fields[2], fields[4] / 1000, at)
            case "checkpoint":
                self.learn(fields, at)
            case "decision":
                self.answered(fields, at)

    def learn(self, fields: dict[int, Any], at: float) -> None:
        found = self.believed.note(fields[2])
        if found is None:
            return
        size, root = found
        known = {one[0]: one for one in self.notes}
        newest = self.notes[-1] if self.notes else None
        if newest is None or size > newest[0]:
            self.notes = [*self.notes[-63:], [size, root.hex(), fields[3], fields[2].hex()]]
            self.told = False
            new = self.memory.with_suffix(".new")
            new.write_text(json.dumps(self.notes))
            new.replace(self.memory)
            return
        contradicts = known[size][1] != root.hex() if size in known else fields[3] > newest[2]
        if contradicts and not self.told:
            self.told = True
            self.keep("status", {"kind": "log-rolled-back"}, at)

    def answered(self, fields: dict[int, Any], at: float) -> None:
        verdict = fields.get(3)
        if set(fields) != _ANSWER_FIELDS | ({7} if verdict == GRANTED else set()) or fields[2] != self.name:
            return
        recorded = next((sent for sent in self.kept if sent.digest == fields[1]), None)
        if recorded is not None and verdict == RECORDED:
            self.kept.remove(recorded)
            for sent in self.kept:
                sent.pause = 0.3
            self.send_waiting(at)
        elif self.scan is not None and self.scan.digest == fields[1]:
            self.decided(self.scan, verdict, fields, at)

    def decided(self, scan: Scan, verdict: Any, fields: dict[int, Any], at: float) -> None:
        waited = at - scan.since
        if verdict == DENIED:
            self.scan = None
        elif verdict == WAITING and scan.patience is None and waited < 5:
            scan.patience = fields[6] / 1000
        elif verdict == GRANTED:
            limit = scan.patience if scan.patience is not None else min(fields[6] / 1000, 5)
            if waited < limit:
                self.scan = None
                if self.open_since is None:
                    self.granted, self.released_until = scan.digest, at + min(fields[7] / 1000, 60)
                    self.releases += 1
                else:
                    self.passage("not-taken", scan.digest, at)

    # -- the door, and time -------------------------------------------------------------------------------------------

    def feel(self, *, opened: bool, at: float) -> None:
        if not opened:
            self.open_since = None
            if self.alarmed:
                self.keep("status", {"kind": "closed-again", "access_point": DOOR}, at)
            self.alarmed, self.granted = False, None
            return
        self.open_since = at
        if self.released_until is not None:
            self.released_until = None
            self.passage("taken", self.granted, at)
        else:
            self.alarmed = True
            self.passage("forced", None, at)

    def tick(self, at: float) -> None:
        for sent in self.kept if self.linked else ():
            if at >= sent.again_at:
                sent.pause = min(2 * sent.pause, 5.0)
                sent.again_at = at + sent.pause
                self.publish(sent.topic, sent.wire)
        if self.scan is not None:
            self.scan_on(self.scan, at)
        if self.released_until is not None and at >= self.released_until:
            self.released_until = None
            self.passage("not-taken", self.granted, at)
            self.granted = None
        if self.open_since is not None and not self.alarmed and at - self.open_since >= self.held_after:
            self.alarmed = True
            self.passage("held-open", self.granted, at)

    def scan_on(self, scan: Scan, at: float) -> None:
        if at - scan.since >= (5 if scan.patience is None else scan.patience):
            self.scan = None
            self.passage("not-taken", scan.digest, at)
        elif at >= scan.again_at:
            scan.again_at = at + 0.3
            self.publish(scan.topic, scan.wire)

    def link(self, *, up: bool, at: float) -> None:
        self.linked = up
        if up:
            for sent in self.kept:
                sent.pause, sent.again_at = 0.3, at + 0.3
                self.publish(sent.topic, sent.wire)
            self.send_waiting(at)


# -- its shell ----------------------------------------------------------------------------------------------------------


class Shell:
    """MQTT on one side, the lines of whoever does things at the gate on the other; everything in one thread."""

    def __init__(self, asked: argparse.Namespace, kind: type[Gate]) -> None:
        self.asked, self.kind = asked, kind
        self.key = stranger.PrivateKey(stranger.ESP256, bytes.fromhex((asked.own / "key").read_text()))
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.gate: Gate | None = None
        self.client: Client | None = None
        self.seen_releases = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in sys.stdin:
            self.lines.put(line)
        self.lines.put(None)

    def run(self) -> None:
        while True:
            if self.client is not None:
                self.client.loop(0.01)
            now = time.monotonic()
            if self.gate is not None:
                self.gate.tick(now)
            try:
                line = self.lines.get(timeout=0.0 if self.client is not None else 0.05)
            except queue.Empty:
                continue
            if line is None:
                return
            question = json.loads(line)
            answer = {"number": question["number"], **self.obey(question, time.monotonic())}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    def obey(self, question: dict[str, Any], at: float) -> dict[str, Any]:
        gate = self.gate
        releases = gate.releases if gate is not None else 0
        released, self.seen_releases = releases > self.seen_releases, releases
        match question["do"]:
            case "start" | "restart":
                self.start(at)
            case "look":
                return {"done": True, "released": released}
            case "present" if question["badge"] == "card" and question["pin"] is None and gate is not None:
                gate.present(at)
            case "open" if gate is not None:
                gate.feel(opened=True, at=at)
            case "close" if gate is not None:
                gate.feel(opened=False, at=at)
            case "force" if gate is not None:
                for _ in range(question["times"]):
                    gate.feel(opened=True, at=at)
                    gate.feel(opened=False, at=at)
            case "cut":
                self.hang_up(at)
            case "restore":
                self.connect()
            case _:
                return {"done": False}
        return {"done": True}

    def start(self, at: float) -> None:
        self.hang_up(at)
        believed = Believed.read(self.asked.site_folder, gate=self.asked.gate, own=self.key.spki)
        badges = json.loads((self.asked.site_folder / "badges.json").read_text())
        self.gate = self.kind(
            self.asked.gate,
            self.key,
            believed,
            badges["card"],
            self.asked.held,
            self.asked.own / "notes.json",
        )
        self.gate.publish = self.publish
        self.seen_releases = 0
        self.gate.start(at)
        self.connect()

    def publish(self, topic: str, wire: bytes) -> None:
        if self.client is not None and self.gate is not None and self.gate.linked:
            self.client.publish(topic, wire, qos=1)

    def hang_up(self, at: float) -> None:
        if self.client is not None:
            self.client.disconnect()
            while self.client.loop(0.01) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                continue
            self.client = None
        if self.gate is not None:
            self.gate.link(up=False, at=at)

    def connect(self) -> None:
        client = Client(CallbackAPIVersion.VERSION2, self.asked.gate, protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set(self.asked.gate, self.asked.password_file.read_text().strip())
        assert self.gate is not None
        gate = self.gate
        client.on_connect = lambda *_: client.subscribe(
            [
                (topic, SubscribeOptions(qos=1, retainHandling=handling))
                for topic, handling in gate.topics().items()
            ]
        )
        client.on_subscribe = lambda *_: gate.link(up=True, at=time.monotonic())
        client.on_message = lambda _client, _data, message: gate.hear(
            message.topic, message.payload, time.monotonic()
        )
        found = re.fullmatch(r"mqtt://([^:]+):(\d+)", self.asked.broker)
        assert found is not None
        client.connect(found[1], int(found[2]), clean_start=True)
        self.client = client


def enrol(asked: argparse.Namespace) -> None:
    asked.own.mkdir(parents=True, exist_ok=True)
    scalar = secrets.randbelow(1 << 255).to_bytes(32, "big")
    (asked.own / "key").write_text(scalar.hex())
    key = stranger.PrivateKey(stranger.ESP256, scalar)
    payload = cbor2.dumps({0: 1, 1: asked.site, 2: asked.gate, 3: key.algorithm, 4: key.spki}, canonical=True)
    wire = stranger.message(payload, key=key, typ="application/pacs-enrol+cose", topic=asked.site)
    (asked.own / "request.cose").write_bytes(wire)


def main(kind: type[Gate] = Gate) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["enrol", "run"])
    parser.add_argument("--site", default="conformance")
    parser.add_argument("--gate", required=True)
    parser.add_argument("--own", type=Path, required=True)
    parser.add_argument("--site-folder", type=Path)
    parser.add_argument("--broker")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--held", type=float, default=5.0)
    asked = parser.parse_args()
    if asked.what == "enrol":
        enrol(asked)
    else:
        Shell(asked, kind).run()


if __name__ == "__main__":
    main()
