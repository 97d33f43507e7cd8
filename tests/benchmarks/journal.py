"""The gate's journal beside its floors: entries kept on disk, entries forwarded to a whole service, and the start of a full one."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.app import make_gate, open_journal
from devices.core.events import Append
from devices.core.journal import Entry, Journal, JournalBounds
from devices.journal_file import JOURNAL
from devices.journal_port import JournalPort
from devices.settings import GateSettings, read_gate_folder
from gatekeeper.model.ids import BootId
from gatekeeper.model.messages import ClockQuality, Status, StatusKind
from gatekeeper.model.topics import Channel, gate_topic
from tests.acceptance.barracks import barracks
from tests.support.mqtt import mqtt_client
from tests.support.waiting import eventually

__all__ = ["journal_at_work"]

_APPENDED, _BATCH = 1024, 32
_FORWARDED = 3000
_FULL = JournalBounds().entries


async def journal_at_work() -> dict[str, Any]:
    """Entries a second, signed and synced, alone and in batches; forwarded and answered; seconds to start when full."""
    with tempfile.TemporaryDirectory(prefix="journal-", dir=Path.cwd()) as folder:
        async with barracks(Path(folder)) as site:
            settings = read_gate_folder(min((site.site / "gates").iterdir()))
            found = {"append": _appending(settings)}
            port = open_journal(settings)
            _write(settings, port, _FORWARDED, batch=256)
            port.close()
            async with site.engine():
                gate = make_gate(settings, broker=site.broker.url)
                begun = time.perf_counter()
                async with gate:
                    started = time.perf_counter() - begun
                    journal = gate._controller._up.journal
                    total = journal._entries
                    await gate.service_heard()
                    begun, left = time.perf_counter(), journal._entries
                    await eventually(lambda: journal._entries == 0, within=300)
                    per_second = left / (time.perf_counter() - begun)
            floor = await _echoes(site.broker.port, site.broker)
            found["forward"] = {
                "per_s": per_second,
                "floor_echo_per_s": floor,
                "ratio": per_second / floor,
                "entries": total,
                "start_s": started,
            }
            port = open_journal(settings)
            _write(settings, port, _FULL, batch=1024)
            port.close()
            begun = time.perf_counter()
            open_journal(settings).close()
            found["start_of_a_full_one_s"] = {"entries": _FULL, "seconds": time.perf_counter() - begun}
            return found


def _appending(settings: GateSettings) -> dict[str, float]:
    port = open_journal(settings)
    written = _write(settings, port, _APPENDED, batch=1)
    alone = _rate(lambda: _write(settings, port, _APPENDED, batch=1, known=written), _APPENDED)
    together = _rate(
        lambda: _write(settings, port, _APPENDED, batch=_BATCH, known=written + _APPENDED), _APPENDED
    )
    port.close()
    assert settings.journal_folder is not None
    size = len(_entry(settings).wire)
    floor = _rate(lambda: _raw(settings.journal_folder, size, _APPENDED), _APPENDED)
    return {
        "per_s": alone,
        "in_batches_of_32_per_s": together,
        "floor_write_fdatasync_per_s": floor,
        "ratio": alone / floor,
    }


def _rate(work: Callable[[], object], count: int) -> float:
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def _journal(settings: GateSettings) -> Journal:
    topic = gate_topic(settings.site, settings.gate, Channel.JOURNAL, prefix=settings.prefix)
    return Journal(topic=topic, key=settings.key, bounds=JournalBounds(entries=1_000_000, octets=1 << 30))


def _entry(settings: GateSettings) -> Entry:
    entry = _journal(settings).write(_status(settings), then=lambda _entry: None, otherwise=lambda: None)
    assert entry is not None
    return entry


def _status(settings: GateSettings) -> Status:
    return Status(
        boot=BootId(bytes(8)),
        sequence=0,
        gate_at=None,
        clock=ClockQuality.NONE,
        kind=StatusKind.TAMPER,
        access_point=settings.doorways[0].id,
    )


def _write(
    settings: GateSettings, port: JournalPort, count: int, *, batch: int, known: int | None = None
) -> int:
    """Sign and keep so many entries; gives the highest number."""
    journal = _journal(settings)
    journal.begin(port.found)
    journal._next = known + 1 if known is not None else journal._next
    number = 0
    for _ in range(0, count, batch):
        entries = [
            journal.write(_status(settings), then=lambda _entry: None, otherwise=lambda: None)
            for _ in range(batch)
        ]
        port.append(
            [
                Append(number=one.number, wire=one.wire, access_point=one.access_point)
                for one in entries
                if one is not None
            ]
        )
        number = entries[-1].number if entries[-1] is not None else number
    return number


def _raw(folder: Path | None, size: int, count: int) -> None:
    assert folder is not None
    path = folder / f"{JOURNAL}.floor"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for number in range(count):
            os.pwrite(descriptor, bytes(size), number * size)
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
        path.unlink()


async def _echoes(port: int, broker: Any) -> float:
    """The same broker and as many on their way: a message up, and one down for each."""
    await broker.admit("floor-gate", "floor", role="gate")
    await broker.admit("service.floor", "floor", role="service")
    up, down = "gk/v1/floor/floor-gate/journal", "gk/v1/floor/floor-gate/decision"
    count = 5000
    async with (
        mqtt_client(port, "floor-gate", "floor") as gate,
        mqtt_client(port, "service.floor", "floor") as service,
    ):
        await gate.subscribe(down)
        await service.subscribe(up)

        async def answer() -> None:
            for _ in range(count):
                _, wire = await service.next_message()
                await service.publish(down, wire)

        async def ask(each: int) -> None:
            for _ in range(each):
                await gate.publish(up, bytes(150))
                await gate.next_message()

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answer())
            for _ in range(25):
                tasks.create_task(ask(count // 25))
        return count / (time.perf_counter() - begun)
