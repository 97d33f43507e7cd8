"""kill -9 of a gate in the midst of writing, and of the engine in the midst of forwarding: all that was confirmed arrives, once, in order."""

import asyncio
import contextlib
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devices.settings import read_gate_folder
from gatekeeper.adapters.postgres import PostgresReading
from tests.acceptance.barracks import ROOT, SITE, Barracks, barracks
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance

KILLS = 12


async def test_what_a_killed_gate_had_confirmed_arrives_once_and_in_order_over_a_killed_engine_too(
    server_folder: Path,
):
    drawing = random.Random(20260302)
    told = server_folder / "confirmed"
    told.touch()
    async with barracks(server_folder) as site:
        folder = a_gate_with_contacts(site)
        async with site.engine() as engine:
            for kill in range(KILLS):
                async with busy_gate(site, folder, told) as gate:
                    await grows(told, by=drawing.randint(1, 60), gate=gate)
                    gate.kill()
                if kill == KILLS // 2:
                    await engine.kill()
        # Without a service it goes on, and dies again: what it wrote waits.
        async with busy_gate(site, folder, told) as gate:
            await grows(told, by=300, gate=gate)
            gate.kill()
        async with site.engine() as engine, busy_gate(site, folder, told) as gate:
            await grows(told, by=50, gate=gate)
            gate.terminate()
            await gate.wait()
        async with site.engine(), busy_gate(site, folder, told, quiet=True):
            await all_arrived(site, told)
        await assert_each_once_in_order(site, told)
        await site.assert_log_sound()
        assert not list(folder.glob("journal.damaged-*"))


def a_gate_with_contacts(site: Barracks) -> Path:
    for folder in sorted((site.site / "gates").iterdir()):
        settings = read_gate_folder(folder)
        if settings.bridge is None and sum(door.has_contact for door in settings.doorways) >= 2:
            return folder
    raise AssertionError("no gate of the example has two doors with contacts")


@contextlib.asynccontextmanager
async def busy_gate(
    site: Barracks, folder: Path, told: Path, *, quiet: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    module = "devices.cli" if quiet else "tests.acceptance.journal_gate"
    arguments = (
        (
            "-c",
            f"from {module} import main; main()",
            "run",
            "--folder",
            str(folder),
            "--broker",
            site.broker.url,
        )
        if quiet
        else ("-m", module, str(folder), site.broker.url, str(told))
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def confirmed(told: Path) -> list[tuple[str, int, str]]:
    lines = [line.split() for line in told.read_text().splitlines()]
    return [(journal, int(number), digest) for journal, number, digest in lines]


async def grows(told: Path, *, by: int, gate: asyncio.subprocess.Process) -> None:
    wanted = len(confirmed(told)) + by
    await eventually(lambda: gate.returncode is not None or len(confirmed(told)) >= wanted, within=60)
    assert gate.returncode is None, "the gate ended by itself"


async def arrived(site: Barracks) -> list[tuple[str, int, str]]:
    found = []
    async with PostgresReading.opened(site.postgres.dsn()) as reading:
        async for entry in reading.entries(SITE, since=0):
            body = json.loads(entry.body)
            assert entry.kind not in {"gate.gap", "gate.conflict"}, body
            assert "reordered" not in body
            if body.get("journal"):
                found.append((body["boot"], body["sequence"], body["message"]))
    return found


async def all_arrived(site: Barracks, told: Path) -> None:
    wanted = {digest for _, _, digest in confirmed(told)}
    async with asyncio.timeout(120):
        while not wanted <= {digest for _, _, digest in await arrived(site)}:
            pass


async def assert_each_once_in_order(site: Barracks, told: Path) -> None:
    entries, said = await arrived(site), confirmed(told)
    assert len(said) > KILLS
    assert len({journal for journal, _, _ in said}) == 1
    # What was written and not confirmed may be there too: a killed process tells nobody what its disk has taken.
    assert set(said) <= set(entries)
    assert [number for _, number, _ in entries] == list(range(1, len(entries) + 1))
