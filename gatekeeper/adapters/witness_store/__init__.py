"""What a witness remembers, in one SQLite file: durable when a method has returned, and weighed and written at once.

Every statement runs in one thread of its own, in its own transaction, with the write-ahead log synced before it returns
(`synchronous = FULL`). Two processes on one file are as safe as one: the comparison is part of the statement that writes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from gatekeeper.adapters.queries import Queries
from gatekeeper.ports import Dispute, WatchedLog, WitnessStoreError
from gatekeeper.transparency import Accepted, Latest, Verifier, parse_verifier

__all__ = ["SqliteWitnessStore"]

_T = TypeVar("_T")
_queries = Queries(__name__, "witness")
_BUSY_SECONDS = 5.0
_MOST_DISPUTES = 32


class SqliteWitnessStore:
    """The memory of one witness; opened by `opened`, closed with its block."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    @classmethod
    @asynccontextmanager
    async def opened(cls, file: Path) -> AsyncIterator["SqliteWitnessStore"]:
        """Open the file, and make it when it is not there. Raises WitnessStoreError when it cannot be used."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="witness-store") as thread:
            connection = await loop.run_in_executor(thread, _connect, file)
            try:
                yield cls(connection, thread)
            finally:
                await loop.run_in_executor(thread, connection.close)

    async def logs(self) -> Mapping[str, Sequence[Verifier]]:
        """The keys that are believed of each log, by its origin."""
        logs: dict[str, list[Verifier]] = {}
        for row in await self._read(_queries.log_keys):
            verifier = parse_verifier(row["key"])
            if not isinstance(verifier, Verifier):
                raise WitnessStoreError(f"The store holds a key of {row['origin']} that is none.")
            logs.setdefault(row["origin"], []).append(verifier)
        return logs

    async def admit(self, verifier: Verifier, *, at: datetime) -> bool:
        """Watch what this key signs under its name; False when it was admitted already."""
        return await self._write(_queries.admit, verifier.name, verifier.key(), at.isoformat())

    async def dismiss(self, verifier: Verifier) -> bool:
        """Believe this key no more; False when it never was."""
        return await self._write(_queries.dismiss, verifier.name, verifier.key())

    async def latest(self, origin: str) -> Latest | None:
        """The latest checkpoint of a log that was cosigned."""
        rows = await self._read(_queries.latest, origin)
        return Latest(size=rows[0]["size"], root=rows[0]["root"]) if rows else None

    async def advance(self, accepted: Accepted, *, after: Latest | None, at: datetime) -> bool:
        """Make this the latest, if `after` still is; False when another request came between."""
        new = accepted.checkpoint
        values = (new.origin, new.size, new.root, accepted.note, at.isoformat())
        if after is None:
            return await self._write(_queries.begin, *values)
        return await self._write(_queries.advance, *values, after.size, after.root)

    async def keep_dispute(self, origin: str, dispute: Dispute) -> None:
        """Keep a signed checkpoint that was not shown to go on from the latest, beside the latest."""
        await self._write(
            _queries.keep_dispute,
            origin,
            dispute.at.isoformat(),
            dispute.code,
            dispute.size,
            dispute.note,
            _MOST_DISPUTES,
        )

    async def watched(self) -> Sequence[WatchedLog]:
        """What is known of every log."""
        return [
            WatchedLog(
                origin=row["origin"],
                keys=row["keys"],
                latest=None if row["size"] is None else Latest(size=row["size"], root=row["root"]),
                note=row["note"],
                at=None if row["at"] is None else datetime.fromisoformat(row["at"]),
                disputes=row["disputes"],
            )
            for row in await self._read(_queries.watched)
        ]

    async def disputes(self, origin: str) -> Sequence[Dispute]:
        """What a log signed that was not shown to go on from the latest, oldest first."""
        return [
            Dispute(
                at=datetime.fromisoformat(row["at"]),
                code=row["code"],
                size=row["size"],
                note=row["note"],
                latest_note=row["latest_note"],
            )
            for row in await self._read(_queries.disputes, origin)
        ]

    async def _read(self, query: str, *values: Any) -> Sequence[sqlite3.Row]:
        return await self._in_thread(lambda: self._connection.execute(query, values).fetchall())

    async def _write(self, query: str, *values: Any) -> bool:
        """Run one statement, durably; tell whether it altered anything."""
        return await self._in_thread(lambda: self._connection.execute(query, values).rowcount == 1)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise WitnessStoreError(f"The store of the witness cannot be used: {error}.") from error


def _connect(file: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(files(__name__).joinpath("schema.sql").read_text("utf-8"))
    except sqlite3.Error as error:
        raise WitnessStoreError(f"The store of the witness, {file}, cannot be opened: {error}.") from error
    return connection
