"""The ground for measuring the whole way: the example site with 100,000 badges on durable servers, and scans ready to send."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import sys
import tempfile
import tomllib
from base64 import b64decode
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2

from gatekeeper import cose
from gatekeeper.adapters.postgres import PostgresLedger
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.app import databases
from gatekeeper.config import Settings
from gatekeeper.core.trust import Trust, read_trust
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import AccessPointId, BootId, GateId, SiteId
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
from gatekeeper.service.administration.ceremony import Founding, found_site
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.opening import open_site
from tests.benchmarks.load import Load, Shot
from tests.support.mqtt import mqtt_client

__all__ = ["BADGES", "SITE", "Ground", "Walker", "child", "ground", "verdicts"]

ROOT = Path(__file__).parents[2]
SITE = SiteId("johan-willem-friso")
BADGES = 100_000
WALKERS = 1000
GATE = GateId("main-gate")
_FILE = ROOT / "deploy/examples" / SITE / "site.toml"
_LOAD, _LISTENER = "service.load", "service.listener"  # one log-in is one connection
_ENGINE_READY = 120.0


@dataclass(frozen=True, slots=True)
class Walker:
    """Somebody who walks in and out: the badge's token, and its key."""

    token: bytes
    key: cose.SigningKey


@dataclass
class Ground:
    """Servers that run, a site that is open, and people who are ready."""

    folder: Path
    postgres: EmbeddedPostgres
    broker: EmbeddedBroker
    trust: Trust
    walkers: Sequence[Walker]
    load_password: str
    service_password: Path
    founded_seconds: float
    _sequences: dict[GateId, int] = field(default_factory=lambda: defaultdict(int))
    _boot: BootId = field(default_factory=lambda: BootId(secrets.token_bytes(8)))

    @property
    def vault_dsn(self) -> str:
        return self.postgres.dsn("vault")

    async def load(self) -> Load:
        topic = gate_topic(SITE, GATE, Channel.DECISION)
        return await Load.connected(
            self.broker.port, name=_LOAD, password=self.load_password, topic_filter=topic
        )

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """An engine as a process of its own, ready to decide."""
        arguments = (
            "-c", "from gatekeeper.cli import main; main()", "serve", "--data", str(self.folder / "data"),
            "--dsn", self.postgres.dsn(), "--vault-dsn", self.vault_dsn, "--broker", self.broker.url,
            "--http-port", "0", "--log-level", "info",
        )  # fmt: skip
        environment = {
            "GATEKEEPER_BROKER_PASSWORD_FILE": str(self.service_password),
            "GATEKEEPER_GATE_RATE": "1000000",
            "GATEKEEPER_GATE_BURST": "1000000",
        }
        async with child(*arguments, environment=environment, ready=r'"up":true') as engine:
            yield engine

    async def laps(self, least: int) -> list[Shot]:
        """Scans with the beacon that counts now, in whole laps: everybody in, then everybody out."""
        lap = 2 * len(self.walkers)
        count = -(-least // lap) * lap
        beacon = await self._beacon()
        gate_key = cose.SigningKey.from_pem((self._site / "gates" / GATE / "key.pem").read_bytes())
        return [self._shot(number, beacon, gate_key) for number in range(count)]

    @property
    def _site(self) -> Path:
        return self.folder / "data" / "sites" / SITE

    async def _beacon(self) -> bytes:
        async with mqtt_client(self.broker.port, _LISTENER, self.load_password) as client:
            await client.subscribe(beacon_topic(SITE))
            _, wire = await client.next_message()
        value: bytes = cbor2.loads(cbor2.loads(wire).value[2])[2]
        return value

    def _shot(self, number: int, beacon: bytes, gate_key: cose.SigningKey) -> Shot:
        half, who = divmod(number, len(self.walkers))
        direction = "out" if half % 2 else "in"
        self._sequences[GATE] += 1
        gate_random = secrets.token_bytes(16)
        signed = proof_digest_input(
            site=SITE, gate=GATE, direction=direction, beacon=beacon, gate_random=gate_random
        )
        walker = self.walkers[who]
        scan = Scan(
            boot=self._boot, sequence=self._sequences[GATE], gate_at=None, clock=ClockQuality.NONE,
            access_point=AccessPointId(f"{GATE}-{direction}"), credential=ByToken(walker.token), beacon=beacon,
            proof=Proof(gate_random=gate_random, signature=walker.key.sign(hashlib.sha256(signed).digest())),
            round_trip=None, offline_verdict=None, offline_policy=None,
        )  # fmt: skip
        topic = gate_topic(SITE, GATE, Channel.SCAN)
        wire = cose.sign(scan.payload(), key=gate_key, typ=SCAN_TYPE, external_aad=topic.encode())
        return Shot.of(topic, wire)


@contextlib.asynccontextmanager
async def ground(*, badges: int = BADGES) -> AsyncIterator[Ground]:
    """Start the servers and found the site; all of it goes with the block."""
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # noqa: ASYNC240 - before anything runs
        async with (
            EmbeddedPostgres(folder / "postgres") as postgres,
            EmbeddedBroker(folder / "broker") as broker,
        ):
            await postgres.ensure_database("vault")
            begun = asyncio.get_running_loop().time()
            founding, site = await _found(folder, postgres, badges)
            taken = asyncio.get_running_loop().time() - begun
            trust = read_trust(founding.trust, anchor=founding.anchor, not_below=0)
            assert isinstance(trust, Trust)
            load_password, password = secrets.token_hex(16), folder / "service-password"
            password.write_text(secrets.token_hex(16))
            await broker.admit_all({_LOAD: load_password, _LISTENER: load_password}, role="service")
            await broker.admit(f"service.{SITE}", password.read_text(), role="service")
            yield Ground(folder, postgres, broker, trust, _walkers(site), load_password, password, taken)


async def _found(folder: Path, postgres: EmbeddedPostgres, badges: int) -> tuple[Founding, SiteFolder]:
    document = tomllib.loads(_FILE.read_text("utf-8"))
    groups: list[dict[str, Any]] = document["population"]["group"]
    total = sum(group["count"] for group in groups)
    for group in groups:
        group["count"] = -(-group["count"] * badges // total)
    settings = Settings.read({}, data=folder / "data", dsn=postgres.dsn(), vault_dsn=postgres.dsn("vault"))
    site = SiteFolder(folder / "data" / "sites" / SITE)
    async with databases(settings) as (dsn, vault_dsn):
        now = datetime.now(UTC)
        founding = await asyncio.to_thread(found_site, document, site, now=now)
        ledger = PostgresLedger(dsn)
        try:
            await open_site(founding, ledger=ledger, vault=PostgresKeyVault(vault_dsn), now=now)
        finally:
            await ledger.close()
    return founding, site


def _walkers(site: SiteFolder) -> list[Walker]:
    people = json.loads(site.read_secret("people.json"))
    guards = [person["badge"] for person in people if person["routine"] == "guard" and person["badge"]["key"]]
    return [
        Walker(b64decode(badge["token"]), cose.SigningKey.from_pem(badge["key"].encode()))
        for badge in guards[:WALKERS]
    ]


@contextlib.asynccontextmanager
async def child(
    *arguments: str, environment: dict[str, str], ready: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program for the length of a block, once it has said on stderr that it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment}, cwd=ROOT,
    )  # fmt: skip
    assert process.stderr is not None
    heard = b""
    async with asyncio.timeout(_ENGINE_READY):
        while not re.search(ready.encode(), heard):
            more = await process.stderr.read(65_536)
            assert more, heard[-2000:].decode(errors="replace")
            heard += more
    draining = asyncio.create_task(_drain(process.stderr), name="drain")
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        await draining


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 20):
        pass


def verdicts(ground: Ground, answers: Sequence[bytes]) -> dict[str, int]:
    """What the answers say, each verified as a gate does it."""
    found: dict[str, int] = defaultdict(int)
    topic = gate_topic(SITE, GATE, Channel.DECISION).encode()
    for body in answers:
        wire = body[2 + int.from_bytes(body[:2], "big") + 1 :]
        verified = cose.verify(
            wire, keys=ground.trust.decisions, typ=DECISION_TYPE, use="decision", external_aad=topic
        )
        assert not isinstance(verified, cose.Refused), verified
        answer = Answer.read(verified.payload)
        assert isinstance(answer, Answer)
        found[Verdict(answer.verdict).name.lower()] += 1
    return dict(found)
