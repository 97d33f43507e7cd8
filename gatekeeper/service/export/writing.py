"""Writing a bundle: leaves come from the log in pieces, and go to its segments, with openings and table beside them.

While one piece is written, the next are on their way from the database. Memory holds a few pieces, whatever the range.
"""

import asyncio
import shutil
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Final

import orjson

from gatekeeper.core.export import (
    Absent,
    Counts,
    Manifest,
    Segment,
    Told,
    cells_of,
    gap_line,
    heading,
    manifest_document,
    member_name,
    opening_line,
    proofs_document,
    rows_of,
    segments_of,
)
from gatekeeper.service.export.inside import verify_program, verify_text
from gatekeeper.service.export.parquet import ParquetTable, must_have_parquet
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import Plan
from gatekeeper.service.export.source import Bodies, LogSource, MissingEntriesError, SealedPart
from gatekeeper.transparency import Subtrees, leaf_hash

__all__ = ["Opener", "write_bundle"]

Opener = Callable[[SealedPart], bytes | None]
"""Opens a personal part; None when nobody can any more, or when it is not what was committed to."""

_PIECE: Final = 2048
_AHEAD: Final = 2
_PERSONAL: Final = b'"personal":"'


async def write_bundle(
    partial: Partial,
    plan: Plan,
    source: LogSource,
    *,
    opener: Opener | None,
    progress: Callable[[int], object] | None = None,
) -> Counts:
    """Write what a bundle lacks yet, to its end; give what it holds.

    `opener` opens personal parts, for openings and for a filter by holder. Raises MissingEntriesError, and ParquetError
    where Parquet is asked for and cannot be written.
    """
    if plan.manifest.parquet:
        must_have_parquet()
    if not partial.steps:
        _put(partial, plan, {**_beside(plan), "checkpoint": plan.checkpoint})
        partial.keep(partial.ended({}))
    segments = list(zip_longest(segments_of(*plan.manifest.range), plan.expired))
    counts = sum((Counts(**step.counted) for step in partial.steps), Counts())
    kept: asyncio.Task[None] | None = None
    try:
        for segment, expired in segments[len(partial.steps) - 1 :]:
            writing = _SegmentWriting(
                partial=partial,
                plan=plan,
                source=source,
                opener=opener,
                segment=segment,
                expired=expired,
                progress=progress,
            )
            counted = await writing.run()
            step = partial.ended(asdict(counted))
            if kept is not None:
                await kept
            # The disk takes its time: the next segment is written meanwhile.
            kept = asyncio.create_task(asyncio.to_thread(partial.keep, step), name="keep")
            counts += counted
    finally:
        if kept is not None:
            await kept
    _put(partial, plan, _last(plan, counts))
    await asyncio.to_thread(partial.finish)
    return counts


def _beside(plan: Plan) -> dict[str, bytes]:
    return {"VERIFY.txt": verify_text(plan.manifest), "verify.py": verify_program()}


def _last(plan: Plan, counts: Counts) -> dict[str, bytes]:
    members = {
        "export.json": plan.export,
        "proofs.json": proofs_document(plan.proofs),
        "stamped-checkpoint": plan.stamped,
        "timestamp.tsr": plan.timestamp,
        "manifest.json": manifest_document(plan.manifest.counted(counts)),
    }
    return {name: content for name, content in members.items() if content is not None}


def _put(partial: Partial, plan: Plan, members: dict[str, bytes]) -> None:
    for name, content in members.items():
        with partial.member(name, compress=plan.compress) as written:
            written.write(content)


@dataclass(slots=True)
class _Spools:
    """What a segment has beside its entries, until its entries are written; files without a name."""

    openings: IO[bytes] | None
    table: IO[bytes] | None
    parquet: ParquetTable | None

    @classmethod
    @contextmanager
    def opened(cls, manifest: Manifest, folder: Path) -> Iterator["_Spools"]:
        with ExitStack() as stack:

            def spool() -> IO[bytes]:
                return stack.enter_context(tempfile.TemporaryFile(dir=folder))

            yield cls(
                openings=spool() if manifest.openings else None,
                table=spool() if manifest.csv is not None else None,
                parquet=stack.enter_context(ParquetTable(spool())) if manifest.parquet else None,
            )


class _SegmentWriting:
    """One segment on its way into the bundle."""

    def __init__(
        self,
        *,
        partial: Partial,
        plan: Plan,
        source: LogSource,
        opener: Opener | None,
        segment: Segment,
        expired: bytes | None,
        progress: Callable[[int], object] | None,
    ) -> None:
        self._partial, self._plan, self._manifest = partial, plan, plan.manifest
        self._source, self._opener, self._segment, self._progress = source, opener, segment, progress
        self._expired = expired
        # Only what is shown as it is needs no look at what it says.
        shown = self._manifest
        self._plain = not (shown.selection or shown.openings or shown.csv or shown.parquet)
        self._counts = Counts()

    async def run(self) -> Counts:
        with _Spools.opened(self._manifest, self._partial.folder) as spools:
            with self._member("entries", "jsonl") as written:
                if self._expired is not None:
                    written.write(self._expired + b"\n")
                async for start, bodies, parts in self._pieces():
                    await asyncio.to_thread(self._take, start, bodies, parts, written, spools)
                    if self._progress is not None:
                        self._progress(start + bodies.leaves - self._manifest.range[0])
            await asyncio.to_thread(self._put_beside, spools)
        return self._counts

    def _member(self, folder: str, suffix: str) -> Any:
        return self._partial.member(member_name(folder, self._segment, suffix), compress=self._plan.compress)

    async def _pieces(self) -> AsyncIterator[tuple[int, Bodies, Sequence[SealedPart]]]:
        coming: deque[tuple[int, asyncio.Task[tuple[Bodies, Sequence[SealedPart]]]]] = deque()
        starts = iter(_cut(max(self._segment.start, self._manifest.begins), self._segment.end))
        try:
            while True:
                while len(coming) <= _AHEAD and (next_one := next(starts, None)) is not None:
                    coming.append((next_one[0], asyncio.create_task(self._fetch(*next_one), name="piece")))
                if not coming:
                    return
                start, task = coming.popleft()
                bodies, parts = await task
                yield start, bodies, parts
        finally:
            for _, task in coming:
                task.cancel()

    async def _fetch(self, start: int, end: int) -> tuple[Bodies, Sequence[SealedPart]]:
        tree = self._manifest.tree
        bodies = await self._source.bodies(tree, start, end)
        if bodies.leaves > end - start:
            raise MissingEntriesError(
                f"Of the entries {start} to {end} of {tree} some lie in the log twice: gatekeeper audit verify says which."
            )
        if bodies.leaves < end - start:
            raise MissingEntriesError(
                f"Of the entries {start} to {end} of {tree} {end - start - bodies.leaves} are not in the log: "
                "they were deleted, by retention since this export was begun, which is then begun anew, or by somebody. "
                "gatekeeper audit verify says which."
            )
        parts = await self._source.parts(tree, start, end) if self._opener is not None else ()
        return bodies, parts

    def _take(
        self, start: int, bodies: Bodies, parts: Sequence[SealedPart], written: IO[bytes], spools: _Spools
    ) -> None:
        if self._plain:
            written.write(bodies.joined)
            written.write(b"\n")
            borders = [at for at in self._manifest.borders if start <= at < start + bodies.leaves]
            lines = bodies.joined.split(b"\n") if borders else ()
            bordering = sum(_PERSONAL in lines[at - start] for at in borders)
            self._counts += Counts(entries=bodies.leaves, personal=bodies.joined.count(_PERSONAL) - bordering)
            return
        piece = _Piece(self._manifest, start, self._opened(parts))
        for line in bodies.joined.split(b"\n"):
            piece.add(line)
        self._counts += piece.write(written, spools)

    def _opened(self, parts: Sequence[SealedPart]) -> dict[int, bytes]:
        opener, holder = self._opener, self._manifest.selection.holder
        if opener is None:
            return {}
        wanted = [part for part in parts if holder is None or part.person == holder]
        opened = {part.index: opener(part) for part in wanted}
        return {index: plaintext for index, plaintext in opened.items() if plaintext is not None}

    def _put_beside(self, spools: _Spools) -> None:
        rendered = None if spools.parquet is None else spools.parquet.finish()
        for folder, suffix, spool in (
            ("openings", "jsonl", spools.openings),
            ("csv", "csv", spools.table),
            ("parquet", "parquet", rendered),
        ):
            if spool is None:
                continue
            spool.seek(0)
            with self._member(folder, suffix) as written:
                if folder == "csv" and self._manifest.csv is not None:
                    written.write(heading(self._manifest.csv, self._manifest.columns).encode())
                shutil.copyfileobj(spool, written, 1 << 20)


class _Piece:
    """Some thousand leaves in a row: which are given, what of them is opened, and their rows."""

    def __init__(self, manifest: Manifest, start: int, openings: Mapping[int, bytes]) -> None:
        self._manifest, self._openings = manifest, openings
        self._borders = manifest.borders
        self._index = start
        self._entries: list[bytes] = []
        self._opened: list[bytes] = []
        self._rows: list[Told] = []
        self._cells: list[list[str]] = []
        self._withheld: list[bytes] = []
        self._given = self._personal = self._gone = 0

    def add(self, line: bytes) -> None:
        """Take the next leaf."""
        if self._index in self._borders:
            self._give(line)
        else:
            body = orjson.loads(line)
            plaintext = self._openings.get(self._index)
            opening = None if plaintext is None else orjson.loads(plaintext)
            if self._manifest.selection.gives(body, opening):
                self._give(line)
                self._tell(body, plaintext, opening)
            else:
                self._withheld.append(leaf_hash(line))
        self._index += 1

    def write(self, entries: IO[bytes], spools: _Spools) -> Counts:
        """Write all that was taken, and say how much it is."""
        self._close_gap()
        entries.write(b"\n".join([*self._entries, b""]))
        if spools.openings is not None and self._opened:
            spools.openings.write(b"\n".join([*self._opened, b""]))
        if spools.table is not None and self._manifest.csv is not None:
            rows = rows_of(self._manifest.csv, self._rows, self._manifest.columns)
            spools.table.write(rows.encode())
        if spools.parquet is not None:
            spools.parquet.add(self._cells)
        return Counts(
            entries=self._given,
            withheld=self._gone,
            personal=self._personal,
            openings=len(self._opened),
            rows=len(self._rows),
        )

    def _give(self, line: bytes) -> None:
        self._close_gap()
        self._entries.append(line)
        self._given += 1

    def _tell(
        self, body: Mapping[str, Any], plaintext: bytes | None, opening: Mapping[str, Any] | None
    ) -> None:
        if not self._manifest.openings:
            plaintext = opening = None
        if plaintext is not None:
            self._opened.append(opening_line(self._index, plaintext))
        self._personal += "personal" in body
        if self._manifest.csv is not None:
            self._rows.append((self._index, body, opening))
        if self._manifest.parquet:
            self._cells.append(cells_of(self._index, body, opening))

    def _close_gap(self) -> None:
        if self._withheld:
            start = self._index - len(self._withheld)
            subtrees = Subtrees(start, self._index)
            subtrees.feed(self._withheld)
            hashes = [node for _, node in subtrees.finish()]
            self._entries.append(gap_line(Absent.WITHHELD, start, self._index, hashes))
            self._gone += len(self._withheld)
            self._withheld = []


def _cut(start: int, until: int) -> Iterator[tuple[int, int]]:
    """Cut leaves at every multiple of a piece, so that what is withheld makes up few subtrees."""
    while start < until:
        end = min(until, (start // _PIECE + 1) * _PIECE)
        yield start, end
        start = end
