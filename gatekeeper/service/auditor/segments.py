"""One segment of a bundle, checked on its own: its lines are hashed, read, opened, and held against the table.

    entries/    line by line     leaf hashes -> the subtrees that the segment's leaves make up
    openings/   beside it        each is held against the commitment of its entry
    csv/        beside it        made anew from entry and opening, and compared

A segment needs nothing of the others, so several are checked at once, each in a process of its own; what they find comes
together in `bundle`, where the proof is. The three members are read side by side, a chunk of each at a time.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, assert_never

import orjson

from gatekeeper.core.audit import SITE_TREE, Kind, commitment, timestamp
from gatekeeper.core.export import (
    GAP_STARTS,
    Absent,
    Counts,
    Dialect,
    Gap,
    Manifest,
    Opening,
    Segment,
    Told,
    heading,
    member_name,
    read_gap,
    read_opening,
    rows_of,
)
from gatekeeper.core.retention import read_expired
from gatekeeper.model.retention import Kept
from gatekeeper.service.auditor.archive import Archive, read_archive
from gatekeeper.service.auditor.documents import canonical_object
from gatekeeper.service.auditor.findings import Fault, Finding, Found, fault
from gatekeeper.service.words import shown
from gatekeeper.transparency.proofs import Subtree, Subtrees, subtrees_of

__all__ = ["Deletion", "Hashed", "Task", "check_segment"]

_LONGEST_ENTRY: Final = 0xFFFF
_LONGEST_OPENING: Final = 1 << 20
_NO_INDEX: Final = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be checked: a segment of a file, by its manifest. `cuts` are sizes of the tree whose roots are wanted."""

    path: Path
    manifest: Manifest
    segment: Segment
    cuts: tuple[int, ...] = ()
    hashes_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """An entry of this seq says that the log let the entries from `first` to `last` go."""

    seq: int
    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class Hashed:
    """What became of a segment: its subtrees, those up to each cut, what was counted and told of; or the first fault."""

    subtrees: Sequence[Subtree] = ()
    cuts: dict[int, Sequence[Subtree]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    out_of_time: int = 0
    deletions: Sequence[Deletion] = ()
    finding: Finding | None = None


def check_segment(task: Task) -> Hashed:
    """Check a segment. Raises OSError when the file cannot be read; what is in it never raises."""
    try:
        with read_archive(task.path) as archive, _uncollected():
            return _Checking(task, archive).run()
    except Found as found:
        return Hashed(finding=found.finding)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the cyclic garbage collector out: what is read here makes no cycles, and looking for them is a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Checking:
    """The way through one segment, from its first line to its last."""

    def __init__(self, task: Task, archive: Archive) -> None:
        manifest, segment = task.manifest, task.segment
        self._manifest, self._segment, self._archive = manifest, segment, archive
        self._name = member_name("entries", segment, "jsonl")
        self._subtrees = Subtrees(segment.start, segment.end)
        self._index = segment.start
        self._line = 0
        self._cuts = sorted(cut for cut in task.cuts if segment.start < cut < segment.end)
        self._found_cuts: dict[int, Sequence[Subtree]] = {}
        self._pending: list[bytes] = []
        self._entries = self._withheld = 0
        self._contents = None if task.hashes_only else _Contents(manifest, segment, archive)

    def run(self) -> Hashed:
        """Take every line."""
        filtered = bool(self._manifest.selection)
        for lines in _lines(self._archive, self._name, longest=_LONGEST_ENTRY):
            gaps = filtered or self._index < self._manifest.begins
            if gaps or self._cuts or self._index + len(lines) > self._segment.end:
                self._take_each(lines)
            else:
                self._take_all(lines)
        self._flush()
        if self._index != self._segment.end:
            raise fault(Fault.LINE_COUNT, member=self._name, line=self._line, index=self._index)
        hashed = Hashed(subtrees=self._subtrees.finish(), cuts=self._found_cuts)
        hashed.counts = Counts(entries=self._entries, withheld=self._withheld)
        if self._contents is not None:
            hashed.counts += self._contents.finish()
            hashed.out_of_time = self._contents.out_of_time
            hashed.deletions = self._contents.deletions
        return hashed

    def _take_all(self, lines: Sequence[bytes]) -> None:
        """Take lines among which there is no gap and no cut."""
        self._subtrees.feed([sha256(b"\x00" + line).digest() for line in lines])
        if self._contents is not None:
            self._contents.take(self._index, self._line + 1, lines)
        self._index += len(lines)
        self._line += len(lines)
        self._entries += len(lines)

    def _take_each(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._line += 1
            if self._index >= self._segment.end:
                raise fault(Fault.LINE_COUNT, member=self._name, line=self._line, index=self._index)
            if line.startswith(GAP_STARTS):
                self._flush()
                self._skip(line)
                continue
            if self._index < self._manifest.begins:
                raise fault(Fault.LINE_EXPIRED, member=self._name, line=self._line, index=self._index)
            self._pending.append(sha256(b"\x00" + line).digest())
            if self._contents is not None:
                self._contents.take(self._index, self._line, (line,))
            self._index += 1
            self._entries += 1
            if self._cuts and self._index == self._cuts[0]:
                self._flush()
                self._found_cuts[self._cuts.pop(0)] = self._subtrees.so_far()

    def _skip(self, line: bytes) -> None:
        """Take entries that are not shown."""
        gap = read_gap(line)
        if gap is None:
            raise fault(Fault.LINE_FORM, member=self._name, line=self._line, index=self._index)
        self._hold_place(gap)
        for (height, _), node in zip(subtrees_of(gap.start, gap.end), gap.hashes, strict=True):
            self._subtrees.feed_subtree(height, node)
        self._index = gap.end
        self._withheld += gap.end - gap.start if gap.why is Absent.WITHHELD else 0
        while self._cuts and self._cuts[0] <= self._index:
            cut = self._cuts.pop(0)
            if cut == self._index:
                self._found_cuts[cut] = self._subtrees.so_far()

    def _hold_place(self, gap: Gap) -> None:
        """See that a gap lies where it may.

        What expired is all that the segment has of it, and begins it. What is withheld lies behind, within what was asked
        for, and only where a filter was applied.
        """
        (first, last), begins, end = self._manifest.within, self._manifest.begins, self._segment.end
        match gap.why:
            case Absent.EXPIRED:
                code = Fault.LINE_EXPIRED
                lies = self._index == self._segment.start and gap.end == min(begins, end)
            case Absent.WITHHELD:
                code = Fault.LINE_GAP
                lies = max(first, begins) <= gap.start and gap.end <= min(last, end)
                lies = lies and bool(self._manifest.selection)
            case _:
                assert_never(gap.why)
        if gap.start != self._index or not lies:
            raise fault(code, member=self._name, line=self._line, index=self._index)

    def _flush(self) -> None:
        if self._pending:
            self._subtrees.feed(self._pending)
            self._pending = []


class _Contents:
    """What the entries of a segment say, held against the manifest, the openings and the table."""

    def __init__(self, manifest: Manifest, segment: Segment, archive: Archive) -> None:
        self._manifest = manifest
        self._site, self._tree = manifest.site, manifest.tree
        self._filtered = bool(manifest.selection)
        self._first, self._last = manifest.within
        self._since = "" if manifest.since is None else timestamp(manifest.since)
        self._until = "~" if manifest.until is None else timestamp(manifest.until)
        self._entries = member_name("entries", segment, "jsonl")
        self._openings = _Openings(archive, segment) if manifest.openings else None
        self._dialect = manifest.csv
        self._columns = manifest.columns
        self._table = None
        if manifest.csv is not None:
            self._table = _Table(archive, segment, heading=heading(manifest.csv, manifest.columns))
        self._reads_openings = manifest.csv is not None or manifest.selection.holder is not None
        self._personal = self._rows = self._opened = 0
        self._keeps_deletions = manifest.tree == SITE_TREE and manifest.expired is not None
        self.out_of_time = 0
        self.deletions: list[Deletion] = []

    def take(self, index: int, line: int, entries: Sequence[bytes]) -> None:
        """Take consecutive entries; the first has this index and stands on this line."""
        told: list[Told] = []
        try:
            self._read(index, line, entries, told)
        except Found:
            self._rows_of(told, line - index)  # what is wrong with an entry before is wrong first
            raise
        rows = self._rows_of(told, line - index)
        if self._table is not None:
            self._table.hold(rows.encode(), max(index, self._first))
        self._rows += len(told)

    def _read(self, index: int, line: int, entries: Sequence[bytes], told: list[Told]) -> None:
        """Check entries, but for what they have in common; those within what was asked for are told."""
        site, tree, since, until = self._site, self._tree, self._since, self._until
        for nth, entry in enumerate(entries, index):
            body = canonical_object(entry)
            if body is None:
                raise self._fault(Fault.ENTRY_FORM, line + nth - index, nth)
            trees, at = body.get("trees"), body.get("at")
            place = trees.get(tree) if type(trees) is dict else None
            if place != nth or type(place) is not int or body.get("site") != site:
                raise self._fault(Fault.ENTRY_PLACE, line + nth - index, nth)
            if self._keeps_deletions and body.get("kind") == Kind.DATA_EXPIRED:
                self._keep_deletion(nth, body)
            within = self._first <= nth < self._last
            if not (within and type(at) is str and since <= at < until):
                self._hold_time(nth, line + nth - index, at, within=within)
            opened = None
            if self._openings is not None and self._openings.next_index <= nth:
                opened = self._open(self._openings, nth, body.get("personal") if within else None)
            if within:
                told.append((nth, body, opened))

    def finish(self) -> Counts:
        """See that nothing is left over; give what was counted."""
        rows = 0
        if self._openings is not None:
            self._openings.finish()
        if self._table is not None:
            self._table.finish()
            rows = self._rows
        return Counts(personal=self._personal, openings=self._opened, rows=rows)

    def _open(self, openings: "_Openings", index: int, committed: object) -> dict[str, Any] | None:
        opening = openings.take(index, committed)
        self._opened += 1
        return self._told(opening) if self._reads_openings else None

    def _rows_of(self, told: Sequence[Told], lines_before: int) -> str:
        """The rows of entries, which must be what was asked for; none where there is no table."""
        self._personal += sum("personal" in body for _, body, _ in told)
        if self._filtered:
            for index, body, opened in told:
                if not self._manifest.selection.gives(body, opened):
                    raise self._fault(Fault.ENTRY_FILTER, lines_before + index, index)
        dialect = self._dialect
        if dialect is None:
            return ""
        try:
            return rows_of(dialect, told, self._columns)
        except (ValueError, TypeError, RecursionError) as error:
            index = next(one[0] for one in told if not _has_row(dialect, one))
            raise self._fault(Fault.ENTRY_FORM, lines_before + index, index) from error

    def _fault(self, code: Fault, line: int, index: int) -> Found:
        return fault(code, member=self._entries, line=line, index=index)

    def _hold_time(self, index: int, line: int, at: object, *, within: bool) -> None:
        """See that a border lies outside of the times asked for, and what was asked for within."""
        if type(at) is not str:
            raise fault(Fault.ENTRY_FORM, member=self._entries, line=line, index=index)
        if within:
            # A clock may have run backwards between the first and the last entry within, not at them.
            holds = index not in {max(self._first, self._manifest.begins), self._last - 1}
            self.out_of_time += 1
        else:
            holds = at < self._since if index < self._first else at >= self._until
        if not holds:
            raise fault(Fault.ENTRY_TIME, member=self._entries, line=line, index=index, detail=shown(at))

    def _keep_deletion(self, index: int, body: dict[str, Any]) -> None:
        """Keep what an entry says of bodies that went; the site's tree has an entry's seq for its index."""
        said = read_expired(body)
        if said is None or said.kind is not Kept.ENTRIES or said.first is None or said.last is None:
            return
        if said.last < index:
            self.deletions.append(Deletion(seq=index, first=said.first, last=said.last))

    def _told(self, opening: Opening) -> dict[str, Any]:
        try:
            told = orjson.loads(opening.plaintext)
        except ValueError:
            told = None
        if type(told) is not dict:
            raise fault(Fault.OPENING_FORM, member=self._openings_name(), index=opening.index)
        return told

    def _openings_name(self) -> str:
        return "" if self._openings is None else self._openings.name


class _Openings:
    """The openings of a segment, in step with its entries. `next_index` is the entry that the next one belongs to."""

    def __init__(self, archive: Archive, segment: Segment) -> None:
        self.name = member_name("openings", segment, "jsonl")
        self.next_index = -1
        self._line = 0
        self._lines = self._each(archive)
        self._next = self._read()

    def take(self, index: int, committed: object) -> Opening:
        """The opening of the entry of this index, to which it commits."""
        opening = self._next
        if opening is None or opening.index != index or committed is None:
            raise self._fault(Fault.OPENING_STRAY)
        if commitment(opening.plaintext) != committed:
            raise self._fault(Fault.OPENING_COMMITMENT)
        self._next = self._read()
        if self.next_index <= index:
            raise self._fault(Fault.OPENING_FORM)
        return opening

    def finish(self) -> None:
        """See that no opening is left over."""
        if self._next is not None:
            raise self._fault(Fault.OPENING_STRAY)

    def _read(self) -> Opening | None:
        line = next(self._lines, None)
        if line is None:
            self.next_index = _NO_INDEX
            return None
        self._line += 1
        opening = read_opening(line)
        if opening is None:
            raise fault(Fault.OPENING_FORM, member=self.name, line=self._line)
        self.next_index = opening.index
        return opening

    def _each(self, archive: Archive) -> Iterator[bytes]:
        for lines in _lines(archive, self.name, longest=_LONGEST_OPENING):
            yield from lines

    def _fault(self, code: Fault) -> Found:
        index = None if self._next is None else self._next.index
        return fault(code, member=self.name, line=self._line, index=index)


class _Table:
    """The table of a segment, compared piece by piece with what it must be."""

    def __init__(self, archive: Archive, segment: Segment, *, heading: str) -> None:
        self._name = member_name("csv", segment, "csv")
        self._chunks = archive.chunks(self._name)
        self._chunk = b""
        self.hold(heading.encode(), None)

    def hold(self, wanted: bytes, index: int | None) -> None:
        """Compare what comes next."""
        while len(self._chunk) < len(wanted):
            more = next(self._chunks, b"")
            if not more:
                break
            self._chunk += more
        if not self._chunk.startswith(wanted):
            raise fault(Fault.TABLE, member=self._name, index=self._differs(wanted, index))
        self._chunk = self._chunk[len(wanted) :]

    def finish(self) -> None:
        """See that nothing is left over."""
        if self._chunk or next(self._chunks, b""):
            raise fault(Fault.TABLE, member=self._name)

    def _differs(self, wanted: bytes, index: int | None) -> int | None:
        """The index of the first row that is another. Rows end as nothing within them does, but for a quoted cell."""
        if index is None:
            return None
        same = next(
            (at for at, (one, other) in enumerate(zip(wanted, self._chunk, strict=False)) if one != other),
            min(len(wanted), len(self._chunk)),
        )
        return index + wanted.count(b"\r\n", 0, same)


def _has_row(dialect: Dialect, told: Told) -> bool:
    try:
        rows_of(dialect, [told])
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _lines(archive: Archive, name: str, *, longest: int) -> Iterator[list[bytes]]:
    """The lines of a member, as many at a time as a chunk ends. Each has its end, and none is longer than it can be."""
    rest = b""
    for chunk in archive.chunks(name):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > longest:
            raise fault(Fault.LINE_FORM, member=name)
        if lines:
            if max(map(len, lines)) > longest:
                raise fault(Fault.LINE_FORM, member=name)
            yield lines
    if rest:
        raise fault(Fault.LINE_FORM, member=name)
