"""A gate from its invitation to its revocation, with the commands that people type, a real broker as deployed, and HTTPS."""

import asyncio
import json
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.core.trust import KeyState, read_trust
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.embedded.broker import free_port
from gatekeeper.embedded.child import until
from gatekeeper.embedded.ground import server_account
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.service.administration.folder import SiteFolder
from tests.acceptance.barracks import Program
from tests.support.mqtt import MqttRefusedError, mqtt_client
from tests.support.site_broker import start_mosquitto
from tests.support.site_files import SMALL
from tests.support.waiting import found

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SITE, GATE = SiteId("fort"), GateId("front")
SCAN = f"gk/v1/{SITE}/{GATE}/scan"


class Ground:
    """A founded site with its authority, its database, and the broker that `gatekeeper ca broker` made the files of."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres) -> None:
        self.folder, self.postgres = folder, postgres
        self.data, self.broker_files = folder / "data", folder / "mosquitto"
        self.site = SiteFolder(self.data / "sites" / SITE)
        self.broker_port, self.desk_port = free_port(), free_port()
        self.environment = {
            "GATEKEEPER_DATA": str(self.data),
            "GATEKEEPER_DSN": postgres.dsn(),
            "GATEKEEPER_VAULT_DSN": postgres.dsn("vault"),
            "GATEKEEPER_ENROLMENT_URL": self.desk,
            "GATEKEEPER_HTTP_PORT": "0",
        }

    @property
    def desk(self) -> str:
        return f"https://127.0.0.1:{self.desk_port}"

    @property
    def authority(self) -> Path:
        return self.site.root / "ca" / "ca.pem"

    async def say(self, *words: str, module: str = "gatekeeper.cli", code: int = 0) -> tuple[str, str]:
        """Type a command, and hear what it says on stdout and stderr."""
        program = await Program.start(module, *words, environment=self.environment)
        try:
            async with asyncio.timeout(120):
                out, err = await program.process.communicate()
        finally:
            await program.end()
        assert program.process.returncode == code, err.decode()
        return out.decode().strip(), err.decode()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Program]:
        self.environment |= {
            "GATEKEEPER_BROKER": f"mqtts://127.0.0.1:{self.broker_port}",
            "GATEKEEPER_BROKER_AUTHORITY": str(self.authority),
            "GATEKEEPER_BROKER_CERTIFICATE": str(self.folder / "service.pem"),
        }
        engine = await Program.start("gatekeeper.cli", "serve", environment=self.environment)
        try:
            await engine.says(r"metrics and health http")
            yield engine
        finally:
            await engine.end()

    async def carry_broker_files(self) -> None:
        account = server_account()
        for name in ("acl", "crl.pem"):
            shutil.copyfile(self.site.root / "broker" / name, self.broker_files / name)
            shutil.chown(self.broker_files / name, account.uid, account.gid)


@pytest.fixture
async def ground(server_folder: Path) -> AsyncIterator[Ground]:
    async with EmbeddedPostgres(server_folder / "postgres") as postgres:
        for database in ("gatekeeper", "vault"):
            await postgres.ensure_database(database)
        ground = Ground(server_folder, postgres)
        (server_folder / "site.toml").write_text(SMALL)
        await ground.say("site", "init", str(server_folder / "site.toml"), "--no-gate-keys")
        yield ground


async def kinds(ground: Ground) -> list[str]:
    async with PostgresReading.opened(ground.postgres.dsn()) as reading:
        return [entry.kind async for entry in reading.entries(SITE, since=0)]


async def test_a_gate_is_invited_compared_by_two_certified_heard_and_revoked(ground: Ground, tmp_path: Path):
    await ground.say("ca", "init")
    await ground.say("ca", "broker", "127.0.0.1", "--out", str(ground.broker_files))
    await ground.say("ca", "service", "--out", str(ground.folder / "service.pem"))
    device = tmp_path / "device"
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(start_mosquitto(ground.broker_files, ground.broker_port))
        engine = await stack.enter_async_context(ground.served())

        assert not (ground.site.root / "gates" / GATE / "key.pem").exists()
        code, said = await ground.say("gate", "enroll", GATE, "--out", str(device))
        assert "has a key that counts" not in said

        asking = ("--out", str(device), "--url", ground.desk)
        _, said = await ground.say(
            "enrol", *asking, "--code", "0000-0000-0000-0000", module="devices.cli", code=1
        )
        assert "enrolment-code" in said
        waiting = await Program.start("devices.cli", "enrol", *asking, "--code", code.lower(), environment={})
        stack.push_async_callback(waiting.end)
        await waiting.says("It waits until two people")

        shown, said = await ground.say("gate", "admit", GATE)
        assert "Proposed" in said
        assert shown == (await _first_line(waiting))
        listed, _ = await ground.say("proposal", "list", "--json")
        (proposal,) = json.loads(listed)["proposals"]
        assert proposal["gives"] == [f"a key of gate {GATE}: {shown}"]
        await ground.say("proposal", "approve", "--operator", proposal["author"], code=1)
        assert not (device / "tls.pem").exists()
        await ground.say("proposal", "approve")
        async with asyncio.timeout(30):
            assert await waiting.process.wait() == 0
        assert (device / "tls.pem").stat().st_mode & 0o077 == 0
        anchor = ground.site.read_anchor()
        lists = [
            read_trust(file.read_bytes(), anchor=anchor, not_below=0)
            for file in (device / "trust.cose", ground.site.root / "trust.cose")
        ]
        assert lists[0].listing.gates[GATE].state is KeyState.ACTIVE
        assert lists[0].version == lists[1].version, "the site's folder has the list in force too"
        assert "topic deny #" not in ground.site.read("broker/acl").decode(), (
            "and the gate has its rights again"
        )

        running = await Program.start(
            "devices.cli", "run", "--folder", str(device), "--broker", f"mqtts://127.0.0.1:{ground.broker_port}",
            "--authority", str(device / "ca.pem"), "--desk", ground.desk, environment={},
        )  # fmt: skip
        stack.push_async_callback(running.end)
        await running.says("link up")

        async def heard() -> bool | None:
            return "gate.hello" in await kinds(ground) or None

        await found(heard, within=20)
        assert [kind for kind in await kinds(ground) if kind.startswith("gate.")][:2] == [
            "gate.asked",
            "gate.certified",
        ]
        await running.end()

        # Whoever stole the gate has a live session, and keeps it.
        tls = ssl.create_default_context(cafile=ground.authority)
        tls.load_cert_chain(device / "tls.pem")
        thief = await stack.enter_async_context(mqtt_client(ground.broker_port, tls=tls))
        _, said = await ground.say("gate", "revoke", GATE)
        assert "1 certificate taken back" in said
        refused, alarms = (
            f'gatekeeper_{name}_total{{code="gate-revoked"}}' for name in ("refused_messages", "alarms")
        )
        assert (await engine.metrics()).get(alarms, 0) == 0
        assert await thief.publish(SCAN, b"stolen") in {"Success", "No matching subscribers"}

        async def alarmed() -> bool | None:
            counted = await engine.metrics()
            return (counted.get(refused, 0) >= 1 and counted.get(alarms, 0) >= 1) or None

        await found(alarmed)
        since = broker.log_end()
        await ground.carry_broker_files()
        broker.send(signal.SIGHUP)
        assert await until(lambda: "Reloading config" in broker.said(since), within=10)
        assert await thief.publish(SCAN, b"stolen") == "Not authorized"
        with pytest.raises(MqttRefusedError):
            async with mqtt_client(ground.broker_port, tls=tls):
                pass
        _, said = await ground.say("gate", "revoke", GATE)
        assert "revoked already" in said
        _, said = await ground.say("enrol", *asking, "--code", code, module="devices.cli", code=1)
        assert "enrolment-code" in said, "a code is used once"


async def _first_line(program: Program) -> str:
    assert program.process.stdout is not None
    return (await program.process.stdout.readline()).decode().strip()
