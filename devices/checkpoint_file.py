"""What a gate remembers of the site's log, on disk: one file, replaced whole, so that no power cut leaves half of it.

    checkpoints.json   {"kept": [checkpoint ...], "contradictions": [{"known": checkpoint, "arrived": checkpoint} ...]}
    checkpoint         {"at": RFC 3339, "note": the signed note, "message": base64 of the signed message that brought it}

It holds nothing secret and gives no right. It is evidence: a file that cannot be read is left as it is and stops the gate,
for whoever spoils it wants something forgotten. What a note says is read from the note; who signed it was seen when it came.
"""

import asyncio
import json
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from devices.core.checkpoints import CheckpointMemory, Contradiction, KnownCheckpoint
from devices.whole_file import write_whole
from gatekeeper.transparency import Checkpoint, Refused, parse_checkpoint, parse_note

__all__ = ["CHECKPOINTS", "CheckpointFile", "memory_document", "read_checkpoints"]

CHECKPOINTS: Final = "checkpoints.json"
_PAUSE: Final = timedelta(seconds=5)

_log = structlog.get_logger("gatekeeper.checkpoints")


def read_checkpoints(path: Path) -> CheckpointMemory:
    """What a file holds, nothing when there is none. Raises ValueError for a file that is not of this form."""
    try:
        written = json.loads(path.read_bytes())
    except FileNotFoundError:
        return CheckpointMemory()
    match written:
        case {"kept": [*kept], "contradictions": [*contradictions]}:
            return CheckpointMemory(
                kept=_rising([_checkpoint_in(it) for it in kept]),
                contradictions=tuple(_contradiction_in(it) for it in contradictions),
            )
        case _:
            raise ValueError("it is no memory of a log")


def memory_document(memory: CheckpointMemory) -> bytes:
    """A memory as it stands in the file."""
    document = {
        "kept": [_checkpoint_out(it) for it in memory.kept],
        "contradictions": [
            {"known": _checkpoint_out(it.known), "arrived": _checkpoint_out(it.arrived)}
            for it in memory.contradictions
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


class CheckpointFile:
    """Writes what is to be kept: an alarm at once, all else at most every few seconds, for flash memory wears out."""

    def __init__(self, path: Path, *, pause: timedelta = _PAUSE) -> None:
        self._path: Final = path
        self._pause: Final = pause
        self._waits: CheckpointMemory | None = None
        self._news: Final = asyncio.Event()
        self._writing: Final = Lock()

    def keep(self, memory: CheckpointMemory) -> None:
        """Have a memory written soon, in the place of what waits."""
        self._waits = memory
        self._news.set()

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.to_thread(self.write)
            await asyncio.sleep(self._pause.total_seconds())

    def write(self) -> None:
        """Write what waits, if anything does. What the disk does not take is told, and waits for the next time."""
        # INVARIANT: whoever writes last writes the newest.
        with self._writing:
            memory = self._waits
            if memory is None:
                return
            try:
                write_whole(self._path, memory_document(memory))
            except OSError as error:
                _log.warning("checkpoints cannot be kept", file=str(self._path), why=error.strerror)
                return
            if self._waits is memory:
                self._waits = None


def _checkpoint_out(known: KnownCheckpoint) -> dict[str, str]:
    return {
        "at": known.at.isoformat(),
        "note": known.note.decode(),
        "message": b64encode(known.wire).decode(),
    }


def _checkpoint_in(written: object) -> KnownCheckpoint:
    match written:
        case {"at": str(at), "note": str(text), "message": str(message)}:
            note = parse_note(text.encode())
            said = note if isinstance(note, Refused) else parse_checkpoint(note.text)
        case _:
            raise ValueError("a checkpoint has at, note and message")
    match said:
        case Refused(code=code):
            raise ValueError(code.sentence)
        case Checkpoint(size=size, root=root):
            return KnownCheckpoint(
                size=size,
                root=root,
                at=_aware(datetime.fromisoformat(at)),
                note=text.encode(),
                wire=b64decode(message, validate=True),
            )


def _contradiction_in(written: object) -> Contradiction:
    match written:
        case {"known": known, "arrived": arrived}:
            return Contradiction(known=_checkpoint_in(known), arrived=_checkpoint_in(arrived))
        case _:
            raise ValueError("a contradiction has known and arrived")


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at


def _rising(kept: list[KnownCheckpoint]) -> tuple[KnownCheckpoint, ...]:
    if any(before.size >= after.size for before, after in pairwise(kept)):
        raise ValueError("checkpoints are kept in rising order of size")
    return tuple(kept)
