"""A small site that an engine of its own runs, for tests of what registrars say to it: two tenants, a host, a gate.

Commands run in this process, through the same `main`; the engine is another process, with a real database and a real
broker. `scan` shows a badge to the site's real gate.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from devices.agent import Outcome
from devices.app import make_gate
from devices.hardware.ports import Badge
from devices.hardware.simulated import SimulatedBadge
from devices.settings import read_gate_folder
from gatekeeper import app, cose
from gatekeeper.adapters.postgres import PostgresLedger, PostgresReading
from gatekeeper.adapters.vault import PostgresKeyVault
from gatekeeper.config import Settings
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import AccessPointId, SiteId
from gatekeeper.service.administration.ceremony import found_site
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.administration.opening import open_site
from gatekeeper.service.administration.operators import carry_away, keys_of_operators
from tests.support.commands import Said, gatekeeper
from tests.support.fort import site_database
from tests.support.site_files import SMALL
from tests.support.waiting import eventually

__all__ = ["IN", "OUT", "Registry", "Say", "in_pocket", "served_site"]

Say = Callable[..., Said]
IN, OUT = AccessPointId("front-in"), AccessPointId("front-out")
_ROOT = Path(__file__).parents[2]
_NUMBERS = count(1)
_VISITS = """
[[profile]]
id = "guest"
tenant = "school"
name = { en = "Guest", nl = "Gast" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "calm" }]

[[profile]]
id = "member"
tenant = "club"
name = { en = "Member", nl = "Lid" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "calm" }]
"""


@dataclass
class Registry:
    """A served site; `engine` is the process that runs it, None while nobody does."""

    settings: Settings
    broker: EmbeddedBroker
    say: Say | None = None
    engine: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    _log: Path = field(default=Path())

    @property
    def site(self) -> SiteId:
        return SiteId(self.settings.site)

    @property
    def folder(self) -> SiteFolder:
        return SiteFolder(self.settings.data / "sites" / self.site)

    @property
    def where(self) -> tuple[object, ...]:
        """The options that name this site and its databases."""
        settings = self.settings
        return ("--data", settings.data, "--site", settings.site, "--dsn", settings.dsn, "--vault-dsn", settings.vault_dsn)  # fmt: skip

    def __call__(self, *words: object) -> Said:
        """Run a command."""
        assert self.say is not None
        return self.say(*words, *self.where)

    def done(self, *words: object) -> str:
        """Run a command that must be done; give what it printed."""
        said = self(*words)
        assert said.code == 0, said
        return said.out.strip()

    def shown(self, holder: str) -> Mapping[str, Any]:
        """What is registered of somebody."""
        said = self("holder", "show", holder, "--json")
        assert said.code == 0, said
        document: Mapping[str, Any] = said.document
        return document

    def approved(self, what: str, tenant: str) -> int:
        """Have an export of a tenant's `holder` or `badge` list agreed to; give the entry that says so."""
        said = self(what, "export", "--tenant", tenant, "--reason", "for a test", "--json")
        assert (said.code, said.document["outcome"]) == (0, "proposed"), said
        agreed = self("proposal", "approve", said.document["proposal"], "--operator", "officer")
        (entry,) = re.findall(r"--approved (\d+)", agreed.err)
        return int(entry)

    def states(self, holder: str) -> dict[str, str]:
        """How somebody's badges stand."""
        return {badge["badge"]: badge["standing"] for badge in self.shown(holder)["badges"]}

    def scan(self, badge: Badge, point: AccessPointId = IN) -> Outcome:
        """Show a badge to the gate."""
        return asyncio.run(self._scan(badge, point))

    async def _scan(self, badge: Badge, point: AccessPointId) -> Outcome:
        settings = read_gate_folder(self.folder.root / "gates" / "front")
        async with make_gate(settings, broker=self.broker.url) as gate, asyncio.timeout(20):
            await gate.service_heard()
            outcome = await gate.present(point, badge)
            await eventually(lambda: gate.has_told(point), within=20)
            return outcome

    def run(self, sql: str, *arguments: Any) -> list[Any]:
        """Ask the site's database, `$1` being the site."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.settings.dsn)
            try:
                return await connection.fetch(sql, self.site, *arguments)
            finally:
                await connection.close()

        return asyncio.run(run())

    def kinds(self, since: int = 0) -> list[str]:
        """The kinds of the log's entries."""
        rows = self.run("SELECT kind FROM entry WHERE site_id = $1 AND seq >= $2 ORDER BY seq", since)
        return [row["kind"] for row in rows]

    def log_size(self) -> int:
        """How many entries the log holds."""

        async def size() -> int:
            async with PostgresReading.opened(self.settings.dsn) as reading:
                return await reading.size(self.site)

        return asyncio.run(size())

    def wait_until(self, condition: Callable[[], bool], *, within: float = 60) -> None:
        """Ask until it is so; every question takes its time at the database."""
        until = time.monotonic() + within
        while not condition():
            assert time.monotonic() < until, "it never came true"

    # -- the engine -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let an engine run the site, from when it can decide."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")
        }
        environment["GATEKEEPER_BROKER_PASSWORD_FILE"] = str(self.folder.root / "keys" / "broker-password")
        environment |= self.environment
        command = "from gatekeeper.cli import main; main()"
        with self._log.open("wb") as log:
            self.engine = subprocess.Popen(
                [
                    *(sys.executable, "-W", "error", "-c", command, "serve", *map(str, self.where)),
                    *("--broker", self.settings.broker, "--http-port", "0"),
                ],
                stderr=log,
                cwd=_ROOT,
                env=environment,
            )
        asyncio.run(eventually(self._decides, within=30))

    def says(self, words: str) -> bool:
        """Whether the engine's log holds such words."""
        return words in self._log.read_text()

    def _decides(self) -> bool:
        assert self.engine is not None
        assert self.engine.poll() is None, self._log.read_text()
        return '"up":true' in self._log.read_text()

    def stop(self) -> None:
        """End the engine in order."""
        if self.engine is not None:
            self.engine.send_signal(signal.SIGINT)
            assert self.engine.wait(30) == 0, self._log.read_text()
            assert "Traceback" not in self._log.read_text()
            self.engine = None

    @contextlib.contextmanager
    def unserved(self) -> Iterator[None]:
        """Nobody runs the site for the length of a block."""
        self.stop()
        try:
            yield
        finally:
            self.start()


@contextlib.contextmanager
def served_site(
    folder: Path,
    server: EmbeddedPostgres,
    broker: EmbeddedBroker,
    *,
    yard: Mapping[str, Any] | None = None,
    beside: str = "",
) -> Iterator[Registry]:
    """Found a site, open it and serve it; `yard` is what its yard demands, `beside` what the site file says beside."""
    site = SiteId(f"people-{next(_NUMBERS)}-{os.getpid()}")
    settings, founding = asyncio.run(_founded(_document(site, yard or {}, beside), folder, server, broker))
    registry = Registry(settings, broker, _log=folder / "engine.log")
    assert founding
    registry.start()
    try:
        yield registry
        registry.stop()
    finally:
        if registry.engine is not None:
            registry.engine.kill()
            registry.engine.wait()


async def _founded(
    document: dict[str, Any], folder: Path, server: EmbeddedPostgres, broker: EmbeddedBroker
) -> tuple[Settings, int]:
    site = SiteId(document["site"]["id"])
    await server.ensure_database("vaults_of_tests")
    dsn, vault_dsn = await site_database(server), server.dsn("vaults_of_tests")
    vault, ledger = PostgresKeyVault(vault_dsn), PostgresLedger(dsn)
    await vault.migrate()
    settings = Settings.read(
        {}, data=folder / "data", site=site, dsn=dsn, vault_dsn=vault_dsn, broker=broker.url
    )
    now = datetime.now(UTC)
    place = SiteFolder(settings.data / "sites" / site)
    try:
        founding = found_site(document, place, now=now)
        carry_away(place, keys_of_operators(settings.data, site))
        size = await open_site(founding, ledger=ledger, vault=vault, now=now)
    finally:
        await ledger.close()
    await app._admit(broker, settings)
    return settings, size


def _document(site: SiteId, yard: Mapping[str, Any], beside: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    document = tomllib.loads(SMALL.replace("[population]", f"{_VISITS}\n{beside}\n[population]", 1))
    document["site"]["id"] = site
    next(zone for zone in document["zone"] if zone["id"] == "yard").update(yard)
    for tenant in document["tenant"]:
        if "agreement" in tenant:
            tenant["agreement"]["from"] = now.replace(microsecond=0) - timedelta(days=30)
            tenant["agreement"]["until"] = now.replace(microsecond=0) + timedelta(days=400)
    return document


def in_pocket(file: Path) -> SimulatedBadge:
    """The badge that was written to a file."""
    written = json.loads(file.read_text())
    token = base64.b64decode(written["token"])
    if written["key"] is None:
        return SimulatedBadge.bearer(token)
    return SimulatedBadge.key_bound(token, cose.SigningKey.from_pem(written["key"].encode()))


def saying(capture: pytest.CaptureFixture[str]) -> Say:
    """Commands whose words are caught."""
    return lambda *words: gatekeeper(capture, *words)
