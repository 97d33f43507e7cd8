"""The stranger's gate, when it also decides alone: what somebody adds who has come to the last step of `schemas/MAKERS.md`.

    python -m tests.contract.foreign_gate_alone run ...      as `foreign_gate`

It has a journal for what it decided, and for nothing else; it takes no commands. Like `stranger` it imports nothing of Gatekeeper.
"""

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

from tests.contract import stranger
from tests.contract.foreign_gate import DOOR, RECORDED, Believed, Gate, Scan, Sent, main
from tests.contract.stranger_alone import LonelyGate

LIMIT, TOLERANCE = 0.7, 60_000
TYPES = {"policy": "application/pacs-snapshot+cose", "standing": "application/pacs-standing+cose"}
STATUSES = "application/statuslist+cwt"
NO_BEACON = bytes(16)


class Refused(Exception):  # noqa: N818 - a word of the contract
    """What must not be believed; the code says why."""


class Journal:
    """Lines on disk: the id, then each entry, and how far they are answered. In memory: what is not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[int, bytes] = {}
        self.written, self.last_at = 0, 0
        if not path.exists():
            self.append({"id": secrets.token_hex(8)})
        for line in map(json.loads, path.read_text().splitlines()):
            if "wire" in line:
                self.written, self.last_at = line["number"], line["at"]
                self.entries[line["number"]] = bytes.fromhex(line["wire"])
            elif "answered" in line:
                self.entries.pop(line["answered"], None)
            else:
                self.id: str = line["id"]

    def append(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def write(self, wire: bytes, *, at: int) -> None:
        self.written, self.last_at = self.written + 1, at
        self.append({"number": self.written, "at": at, "wire": wire.hex()})
        self.entries[self.written] = wire

    def answered(self, digest: bytes) -> bool:
        found = [number for number, wire in self.entries.items() if hashlib.sha256(wire).digest() == digest]
        for number in found:
            self.append({"answered": number})
            del self.entries[number]
        return bool(found)


@dataclass
class LonelyForeignGate(Gate):
    """One boot. What it holds is in files beside its memory of checkpoints."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.folder = self.memory.parent
        self.journal = Journal(self.folder / "journal")
        self.wires: dict[str, bytes] = {}
        self.codes: set[str] = set()
        self.known, self.signed = 0, (0, 0.0)
        self.hello = b""
        self.given_over: dict[bytes, Sent] = {}
        self.asked = False
        self.again_at, self.pause = 0.0, 0.3
        self.lonely = self.alone_by(self.believed)
        for name in ("trust", "policy", "standing"):
            path = self.folder / f"{name}.held"
            if path.exists():
                self.take(name, path.read_bytes())
        self.known = max([self.known, *(fields[place] for fields, place in self.held())])

    def held(self) -> list[tuple[dict[int, Any], int]]:
        """Snapshot and standing, and where their instants stand."""
        pairs = [(self.lonely.snapshot, 4), (self.lonely.standing, 3)]
        return [(fields, place) for fields, place in pairs if fields is not None]

    def alone_by(self, believed: Believed) -> LonelyGate:
        tenants = believed.listing[6]
        return LonelyGate(
            site=believed.site,
            prefix="gk",
            name=self.name,
            trust=believed.listing[2],
            issuers={name: (tenant[1][0][0], tenant[1][0][1]) for name, tenant in tenants.items()},
            decision=believed.decisions[0],
            epochs={name: tenant[3] for name, tenant in tenants.items()},
        )

    def topics(self) -> dict[str, int]:
        own = f"{self.below}/{self.name}/policy"
        return {**super().topics(), own: 0, f"{self.below}/standing": 0, f"{self.below}/trust": 0}

    def holds(self) -> dict[str, Any]:
        policy = self.wires.get("policy")
        end = {"journal": {"journal": self.journal.id, "written": self.journal.written}}
        return end | ({"policy": hashlib.sha256(policy).hexdigest()} if policy else {})

    # -- what it takes ------------------------------------------------------------------------------------------------

    def hear(self, topic: str, wire: bytes, at: float) -> None:
        name = topic.rsplit("/", 1)[1]
        if name not in {"policy", "standing", "trust"}:
            super().hear(topic, wire, at)
            if name == "beacon" and self.beacon is not None:
                self.tells_time(self.beacon[0], at)
            return
        try:
            if wire and self.take(name, wire):
                path = self.folder / f"{name}.new"
                path.write_bytes(wire)
                path.replace(self.folder / f"{name}.held")
                if name == "standing" and self.lonely.standing is not None:
                    self.tells_time(self.lonely.standing[3], at)
        except Refused as refused:
            if str(refused) not in self.codes:
                self.codes.add(str(refused))
                self.keep("status", {"kind": "policy-refused"}, at)

    def take(self, name: str, wire: bytes) -> bool:
        """Whether it is newer; raises what it is refused for."""
        if self.wires.get(name) == wire:
            return False
        if name == "trust":
            self.take_trust(wire)
        elif name == "policy":
            self.take_snapshot(self.read(name, wire, 15, f"{self.below}/{self.name}/policy"))
        else:
            self.take_standing(self.read(name, wire, 10, f"{self.below}/standing"))
        self.wires[name] = wire
        self.confirm()
        return True

    def read(self, name: str, wire: bytes, count: int, topic: str) -> dict[int, Any]:
        word = "snapshot" if name == "policy" else name
        fields = self.opened(wire, typ=TYPES[name], topic=topic)
        if fields is None:
            raise Refused(f"{word}-forged")
        if set(fields) != set(range(count)) or fields[0] != 1:
            raise Refused(f"{word}-malformed")
        if fields[1] != self.believed.site or (name == "policy" and fields[2] != self.name):
            raise Refused(f"{word}-foreign")
        return fields

    def opened(self, wire: bytes, *, typ: str, topic: str) -> dict[int, Any] | None:
        algorithm, spki = self.believed.decisions[0]
        try:
            return stranger.opened(wire, algorithm=algorithm, spki=spki, typ=typ, topic=topic)
        except (ValueError, AttributeError, TypeError, cbor2.CBORError):
            return None

    def take_snapshot(self, fields: dict[int, Any]) -> None:
        held, standing = self.lonely.snapshot, self.lonely.standing
        if held is not None and (fields[3], fields[4]) <= (held[3], held[4]):
            raise Refused("snapshot-old")
        if standing is not None and fields[6] * 1000 <= standing[3]:
            raise Refused("snapshot-expired")
        if held is None or held[3] != fields[3]:
            self.lonely.confirmed = None
        self.lonely.snapshot = fields

    def take_standing(self, fields: dict[int, Any]) -> None:
        held = self.lonely.standing
        if held is not None and (fields[2], fields[3]) <= (held[2], held[3]):
            raise Refused("standing-old")
        for tenant, wire in fields[7].items():
            listed = self.opened(wire, typ=STATUSES, topic=self.believed.site)
            if listed is None or listed[2] != f"site:{self.believed.site}/t:{tenant}":
                raise Refused("standing-malformed")
        self.lonely.standing = fields

    def take_trust(self, document: bytes) -> None:
        believed = self.believed
        if document == believed.document:
            return
        try:
            newer = Believed.of(document, anchor=believed.anchor, gate=self.name, own=self.key.spki)
        except (AssertionError, StopIteration, KeyError, ValueError, TypeError, cbor2.CBORError):
            raise Refused("trust-forged") from None
        if newer.listing[2] <= believed.listing[2]:
            raise Refused("trust-old")
        held, self.wires = self.wires, {}
        self.believed, inside = newer, self.lonely.inside
        self.lonely = self.alone_by(newer)
        self.lonely.inside = inside
        for name in held.keys() & TYPES.keys():
            with suppress(Refused):  # what none of its keys signed is let go
                self.take(name, held[name])

    def confirm(self) -> None:
        snapshot, standing = self.lonely.snapshot, self.lonely.standing
        if snapshot is None or standing is None:
            return
        if standing[9].get(self.name) == snapshot[3] <= standing[2]:
            self.lonely.confirmed = max(self.lonely.confirmed or 0, standing[3])

    # -- what time it is ----------------------------------------------------------------------------------------------

    def tells_time(self, issued: int, at: float) -> None:
        if not self.signed[0] or issued > self.counted(at):
            self.signed = (issued, at)
        self.known = max(self.known, issued)

    def counted(self, at: float) -> int:
        return self.signed[0] + int(1000 * (at - self.signed[1]))

    def now(self, at: float) -> int | None:
        wall = int(time.time() * 1000)
        if not self.signed[0]:
            return wall if wall >= max(self.known, self.journal.last_at) - TOLERANCE else None
        return self.counted(at) if abs(wall - self.counted(at)) <= TOLERANCE else None

    # -- what it decides ----------------------------------------------------------------------------------------------

    def present(self, at: float) -> None:
        self.asked = False
        if self.is_heard(at):
            super().present(at)
        elif not self.is_busy and self.lonely.snapshot is not None:
            unlock = self.says(at)
            self.tells(unlock is not None, at)
            if unlock is not None:
                self.opens(unlock, at)

    def says(self, at: float) -> int | None:
        """How long to release the strike; None for not at all."""
        now = self.now(at)
        if now is None:
            return None
        scan = {"access_point": DOOR, "credential": {"card": self.card}, "clock": "free-running"}
        word, unlock = self.lonely.says(scan, "in", now)
        return unlock if word == "alone-granted" else None

    def tells(self, granted: bool, at: float) -> None:  # noqa: FBT001 - as field 10 says it
        """Write it into the journal, on disk, and send it from there."""
        wall = self.now(at) or int(time.time() * 1000)
        fields = {
            "boot": self.journal.id,
            "sequence": self.journal.written + 1,
            "gate_at": wall,
            "clock": "free-running",
            "access_point": DOOR,
            "credential": {"card": self.card},
            "beacon": (self.beacon[1] if self.beacon is not None else NO_BEACON).hex(),
            "offline_verdict": "granted" if granted else "denied",
            "offline_policy": hashlib.sha256(self.wires["policy"]).hexdigest(),
        }
        topic, typ = f"{self.below}/{self.name}/journal", "application/pacs-scan+cose"
        wire = stranger.message(stranger.payload_of("scan", fields), key=self.key, typ=typ, topic=topic)
        self.journal.write(wire, at=wall)
        self.send_journal(at)

    def opens(self, unlock: int, at: float) -> None:
        self.granted = hashlib.sha256(self.journal.entries[self.journal.written]).digest()
        self.released_until = at + unlock / 1000
        self.releases += 1

    def tick(self, at: float) -> None:
        super().tick(at)
        scan = self.scan
        if scan is not None and scan.patience is None and not self.asked and at - scan.since >= LIMIT:
            self.asked = True
            unlock = self.says(at)
            if unlock is not None:
                self.give_over(scan, at)
                self.tells(granted=True, at=at)
                self.opens(unlock, at)
        if self.journal.entries and at >= self.again_at:
            self.pause = min(2 * self.pause, 5.0)
            self.send_journal(at)

    def give_over(self, scan: Scan, at: float) -> None:
        self.scan = None
        self.given_over[scan.digest] = scan
        self.kept.append(scan)
        self.passage("not-taken", scan.digest, at)

    # -- and how it goes up -------------------------------------------------------------------------------------------

    @property
    def is_greeted(self) -> bool:
        return self.numbers > 0 and not any(sent.number == 1 for sent in self.kept)

    def send_journal(self, at: float) -> None:
        self.again_at = at + self.pause
        if self.linked and self.is_greeted:
            for _, wire in sorted(self.journal.entries.items())[:32]:
                self.publish(f"{self.below}/{self.name}/journal", wire)

    def answered(self, fields: dict[int, Any], at: float) -> None:
        mine = fields.get(2) == self.name
        sent = self.given_over.pop(fields.get(1, b""), None) if mine else None
        if sent is not None:
            self.kept.remove(sent)
        elif mine and fields.get(3) == RECORDED and self.journal.answered(fields[1]):
            self.pause = 0.3
        else:
            super().answered(fields, at)

    def link(self, *, up: bool, at: float) -> None:
        super().link(up=up, at=at)
        self.pause = 0.3
        if up:
            self.send_journal(at)


if __name__ == "__main__":
    main(LonelyForeignGate)
