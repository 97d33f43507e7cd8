"""What the site signed for this gate to decide alone, on disk: five files, each replaced whole.

    snapshot.cose     who may pass which of its access points, and when         as the service signed it for this gate
    standing.cose     what takes rights away, site-wide                         as the service signed it
    confirming.cose   the standing that last named the snapshot, while the      as the service signed it
                      newest names one that is not here yet
    trust.cose        whom the site believes                                    as the site's roots signed it
    lockdown.cose     the newest order to lock down that was obeyed             as the service signed it for this gate

A file of no bytes stands for one that is let go. They give nothing by lying there: what is read at the start is believed as if it had just
arrived, by its signature. A file that cannot be read is told and passed over, for a gate without a snapshot or a standing is one that lets
nobody in alone.
"""

import asyncio
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from devices.core.events import KeepPolicy, PolicyFile
from devices.core.standby import Held
from devices.whole_file import write_whole

__all__ = ["PolicyFiles", "read_held"]

_IN_ORDER: Final = (
    PolicyFile.TRUST,
    PolicyFile.LOCKDOWN,
    PolicyFile.SNAPSHOT,
    PolicyFile.CONFIRMING,
    PolicyFile.STANDING,
)
"""Wherever the power goes in between, the snapshot that is there has the standing that named it, if there was one."""

_log = structlog.get_logger("gatekeeper.policy")


def read_held(folder: Path) -> Held:
    """What a folder holds of snapshot, standings and the order to lock down."""
    return Held(
        snapshot=_read(folder / PolicyFile.SNAPSHOT),
        standing=_read(folder / PolicyFile.STANDING),
        confirming=_read(folder / PolicyFile.CONFIRMING),
        lockdown=_read(folder / PolicyFile.LOCKDOWN),
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("cannot be read", file=str(path), why=error.strerror)
        return None


class PolicyFiles:
    """Writes what is to be kept, the newest of each, off the event loop. What the disk does not take waits for the next."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self._waits: dict[PolicyFile, bytes] = {}
        self._news: Final = asyncio.Event()
        self._writing: Final = Lock()

    def keep(self, kept: KeepPolicy) -> None:
        """Have it written soon, in the place of what waits; an order to lock down at once."""
        self._waits[kept.file] = kept.wire
        if kept.file is PolicyFile.LOCKDOWN:
            self.write(kept.file)
        self._news.set()

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.to_thread(self.write)

    def write(self, *only: PolicyFile) -> None:
        """Write what waits, the trust list first: what the others are believed by is on disk before them."""
        # INVARIANT: whoever writes last writes the newest.
        with self._writing:
            for file in only or _IN_ORDER:
                wire = self._waits.get(file)
                if wire is None:
                    continue
                try:
                    write_whole(self._folder / file, wire)
                except OSError as error:
                    _log.warning("cannot be kept", file=str(self._folder / file), why=error.strerror)
                    continue
                if self._waits.get(file) is wire:
                    del self._waits[file]
