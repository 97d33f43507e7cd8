"""A gate as a process of its own, at whose doors something happens all the time: to be killed in the midst of writing.

    python -m tests.acceptance.journal_gate FOLDER BROKER CONFIRMED

Of every entry that its disk confirmed it writes a line into the file CONFIRMED, before anything else hears of it.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from devices.agent import GateAgent
from devices.app import open_journal
from devices.core.events import Append
from devices.core.journal import Entry, JournalFound
from devices.journal_port import JournalPort
from devices.link import GateLink
from devices.settings import GateSettings, read_gate_folder
from gatekeeper.model.ids import BootId

_PATIENCE = 30


class Confirmed:
    """The gate's own journal, and a list of what it confirmed; `heard` is called whenever that grew, in the thread that writes."""

    def __init__(self, journal: JournalPort, told: Path, *, heard: Callable[[], None]) -> None:
        self.found = journal.found
        self._journal = journal
        self._heard = heard
        self._told = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, entries: Sequence[Append]) -> None:
        self._journal.append(entries)
        lines = [
            f"{self.found.id.hex()} {entry.number} {hashlib.sha256(entry.wire).hexdigest()}\n"
            for entry in entries
        ]
        os.write(self._told, "".join(lines).encode())
        self._heard()

    def settle(self, journal: BootId, number: int) -> None:
        self._journal.settle(journal, number)

    def read(self, journal: BootId, after: int, most: int) -> Sequence[Entry]:
        return self._journal.read(journal, after, most)

    def begin_anew(self, journal: BootId, why: str) -> JournalFound:
        raise AssertionError(f"the journal {journal.hex()} is given up: {why}")

    def close(self) -> None:
        self._journal.close()


async def be_busy(settings: GateSettings, broker: str, told: Path) -> None:
    """Have doors break open and fall shut, as fast as the disk takes it, until the end."""
    loop, confirmed = asyncio.get_running_loop(), asyncio.Event()

    def opened() -> Confirmed:
        heard = partial(loop.call_soon_threadsafe, confirmed.set)
        return Confirmed(open_journal(settings), told, heard=heard)

    link = GateLink(broker, gate=settings.gate, password=settings.password)
    doors = [door.id for door in settings.doorways if door.has_contact]
    async with GateAgent(settings, link, open_journal=opened) as gate:
        while True:
            # What is felt from here on is confirmed from here on: while the disk writes, the next is on its way to it.
            confirmed.clear()
            for door in doors:
                gate.feel(door, opened=True)
                gate.feel(door, opened=False)
            async with asyncio.timeout(_PATIENCE):
                await confirmed.wait()


if __name__ == "__main__":
    asyncio.run(be_busy(read_gate_folder(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])))
