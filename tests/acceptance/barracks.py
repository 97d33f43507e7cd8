"""A whole barracks for acceptance tests: durable servers, a founded site, engines and gates as processes of their own."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.app import _admit
from gatekeeper.cli.compared import compare
from gatekeeper.cli.demo import with_open_hours
from gatekeeper.cli.host.site import found
from gatekeeper.cli.log.audit import verify_site
from gatekeeper.config import Settings
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.model.ids import SiteId
from gatekeeper.service.auditor import Known
from tests.support import waiting

ROOT = Path(__file__).parents[2]
SITE = SiteId("johan-willem-friso")
_ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "ignore"}


@dataclass
class Barracks:
    folder: Path
    postgres: EmbeddedPostgres
    broker: EmbeddedBroker

    @property
    def settings(self) -> Settings:
        return Settings.read(
            data=self.folder,
            site=SITE,
            dsn=self.postgres.dsn(),
            vault_dsn=self.postgres.dsn("vault"),
            broker=self.broker.url,
        )

    @contextlib.asynccontextmanager
    async def engine(
        self, *, when: str = r'"up":true', environment: dict[str, str] | None = None
    ) -> AsyncIterator["Program"]:
        """An engine of the barracks, with settings from its environment."""
        password = {"GATEKEEPER_BROKER_PASSWORD_FILE": str(self.site / "keys" / "broker-password")}
        engine = await Program.start(
            "gatekeeper.cli", "serve", *self._where(), "--broker", self.broker.url, "--http-port", "0",
            environment=password | (environment or {}),
        )  # fmt: skip
        try:
            await engine.says(when)
            yield engine
        finally:
            await engine.end()

    def standby(self) -> contextlib.AbstractAsyncContextManager["Program"]:
        """An engine that finds its site owned by another."""
        return self.engine(when="standing by")

    @contextlib.asynccontextmanager
    async def people(self, count: int, *, speed: float = 0, faults: str = "") -> AsyncIterator["Program"]:
        """People who walk, as fast as the site answers: whatever the hour, there is somebody at a door."""
        people = await Program.start(
            "devices.cli", "simulate", "--folder", str(self.site), "--broker", self.broker.url,
            "--readers", self.broker.readers_url, "--people", str(count), "--speed", str(speed), "--faults", faults,
            "--json",
            environment={},
        )  # fmt: skip
        try:
            yield people
        finally:
            await people.end()

    @property
    def site(self) -> Path:
        return self.folder / "sites" / SITE

    async def found(self, *, open_hours: bool = False) -> None:
        """Found the example; with its hours always open, when what happens must not hang on the time of the test."""
        file = ROOT / "deploy/examples" / SITE / "site.toml"
        await found(self.settings, file, amended=with_open_hours if open_hours else lambda same: same)
        await _admit(self.broker, self.settings)

    async def grows(self, by: int) -> None:
        """Wait until the log has so many entries more than now."""
        async with PostgresReading.opened(self.postgres.dsn()) as reading:
            size = await reading.size(SITE) + by

            async def grown() -> bool | None:
                return await reading.size(SITE) >= size or None

            await waiting.found(grown, within=60)

    async def assert_log_sound(self, seen: dict[str, Any] | None = None) -> None:
        """Nothing lost, nothing double, nothing open without an entry, and the log verifies."""
        report, _ = await verify_site(self.settings, SITE, known=Known(), bar=False)
        assert report.problems == []
        messages: Counter[str] = Counter()
        missing: set[tuple[str, int]] = set()
        arrived: set[tuple[str, int]] = set()
        async with PostgresReading.opened(self.postgres.dsn()) as reading:
            if seen is not None:
                compared = await compare(seen, reading.entries(SITE, since=0))
                assert compared.holds, compared
                assert seen["promises"]["kept"], seen["promises"]
            async for entry in reading.entries(SITE, since=0):
                body = json.loads(entry.body)
                if entry.kind == "gate.gap":
                    # A journal tells at once that something is missing: it may come out of order, and must come.
                    assert body.get("journal"), "a message of a gate never arrived"
                    missing |= {(body["boot"], number) for number in range(body["first"], body["last"] + 1)}
                if "sequence" in body:
                    arrived.add((body["boot"], body["sequence"]))
                if (
                    "message" in body and entry.kind != "access.waiting"
                ):  # the last word on it is another entry
                    messages[body["message"]] += 1
        assert [message for message, times in messages.items() if times > 1] == []
        assert missing <= arrived, "a journal's entry never arrived"

    def _where(self) -> tuple[str, ...]:
        return (
            "--data", str(self.folder), "--dsn", self.postgres.dsn(), "--vault-dsn", self.postgres.dsn("vault"),
        )  # fmt: skip


@dataclass
class Program:
    """One of our commands as a process, whose words can be waited for."""

    process: asyncio.subprocess.Process
    _heard: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _draining: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, module: str, *arguments: str, environment: dict[str, str]) -> "Program":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"from {module} import main; main()",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**_ENVIRONMENT, **environment},
            cwd=ROOT,
        )
        return cls(process)

    async def says(self, pattern: str) -> str:
        """Wait until the process has written something on stderr; give what it wrote."""
        assert self.process.stderr is not None
        if self._draining is None:
            self._draining = asyncio.create_task(self._listen(self.process.stderr))
        async with asyncio.timeout(30):
            while (found := re.search(pattern, self._heard)) is None:
                assert not self._draining.done(), f"it ended and never said {pattern}: {self._heard[-2000:]}"
                self._news.clear()
                await self._news.wait()
        return found.group()

    async def metrics(self) -> dict[str, float]:
        """What the engine counts, by name and labels, as Prometheus would read it."""
        where = await self.says(r"http://127\.0\.0\.1:\d+")
        async with httpx.AsyncClient() as client:
            lines = (await client.get(f"{where}/metrics")).text.splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while more := await stream.read(65_536):
            self._heard = (self._heard + more.decode(errors="replace"))[-1_000_000:]
            self._news.set()
        self._news.set()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def report(self) -> dict[str, Any]:
        """End the simulator in order, and hear what its gates saw."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            said = await self.process.stdout.read()
            await self.process.wait()
        seen: dict[str, Any] = json.loads(said.splitlines()[-1])
        return seen

    async def end(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                async with asyncio.timeout(15):
                    await self.process.wait()
            except TimeoutError:
                await self.kill()
        if self._draining is not None:
            self._draining.cancel()
        transport = self.process._transport  # type: ignore[attr-defined]
        transport.close()


@contextlib.asynccontextmanager
async def barracks(folder: Path, *, open_hours: bool = False) -> AsyncIterator[Barracks]:
    async with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedBroker(folder / "broker") as broker:
        await postgres.ensure_database("vault")
        site = Barracks(folder / "data", postgres, broker)
        await site.found(open_hours=open_hours)
        yield site
