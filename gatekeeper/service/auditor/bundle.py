"""A bundle is checked from its form to its meaning; the first fault ends it.

Form: the archive, its members, manifest, checkpoint and proofs, each in its one spelling. Trust: the log's key, its signature,
witnesses, time stamp. Content: every segment, its hashes, entries, openings and table; several at once where there are many.
Proof: the segments' hashes lead to the checkpoint's root, and so does the export's own entry. History: the checkpoint is one
with all that was seen before. Honesty: what was counted is what the manifest says, and what was not looked at is listed.
"""

import multiprocessing
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final

from gatekeeper.core.export import (
    FORMAT,
    Counts,
    Manifest,
    Proofs,
    member_name,
    read_manifest,
    read_proofs,
    segments_of,
)
from gatekeeper.service.auditor.archive import Archive, read_archive
from gatekeeper.service.auditor.expired import hold_expired
from gatekeeper.service.auditor.exported import hold_export
from gatekeeper.service.auditor.findings import CannotCheckError, Fault, Found, Report, Seen, fault, refusal
from gatekeeper.service.auditor.memory import Memory, Remembered
from gatekeeper.service.auditor.seen import hold_proofs, hold_seen
from gatekeeper.service.auditor.segments import Hashed, Task, check_segment
from gatekeeper.service.auditor.signing import (
    checkpoint_of,
    given_notes,
    hold_checkpoint,
    log_key,
)
from gatekeeper.service.auditor.stamping import STAMPED, TOKEN, CheckStamp, hold_stamp
from gatekeeper.service.auditor.vouching import NEVER_SEEN
from gatekeeper.service.export.inside import verify_program, verify_text
from gatekeeper.service.words import counted, shown
from gatekeeper.transparency import MAX_NOTE_BYTES, Policy, RangeVerifier, Refused, Verifier
from gatekeeper.transparency.proofs import Subtree

__all__ = ["Known", "verify_bundle"]

_LARGEST: Final = 1 << 20
_LARGEST_PROOFS: Final = 1 << 24
_FORMAT: Final = re.compile(rb'"format":"(gatekeeper-bundle/[0-9]{1,4})"')
_FEW: Final = 100_000
"""So many entries are checked in the time that it takes to start another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What who verifies a bundle or a database brings along: a key, checkpoints, whom to believe, and a memory.

    `notes` are signed notes, each with where it is from.
    """

    key: Verifier | None = None
    notes: Sequence[tuple[str, bytes]] = ()
    policy: Policy | None = None
    stamp: CheckStamp | None = None
    memory: Memory | None = None


def verify_bundle(
    path: Path,
    *,
    known: Known | None = None,
    hashes_only: bool = False,
    processes: int | None = None,
    progress: Callable[[int, int], object] = lambda _done, _of: None,
) -> Report:
    """Verify a bundle.

    Raises OSError when it cannot be read, and CannotCheckError when something else that is given cannot be used.
    """
    report = Report()
    try:
        with read_archive(path) as archive:
            checking = _Checking(path, archive, known or Known(), report)
            checking.run(
                hashes_only=hashes_only, processes=processes or os.cpu_count() or 1, progress=progress
            )
    except Found as found:
        report.finding = found.finding
        report.fit_to_remember = False
    return report


@dataclass(slots=True, kw_only=True)
class _Opened:
    """What a bundle says of itself, in good form."""

    manifest: Manifest
    proofs: Proofs
    remembered: Remembered = field(default_factory=Remembered)


class _Checking:
    """The way through one bundle."""

    def __init__(self, path: Path, archive: Archive, known: Known, report: Report) -> None:
        self._path, self._archive, self._known, self._report = path, archive, known, report

    def run(self, *, hashes_only: bool, processes: int, progress: Callable[[int, int], object]) -> None:
        """Take every step."""
        opened = self._form()
        seen = self._trust(opened)
        sizes = [one.size for one in (*seen, *opened.remembered.checkpoints)]
        tasks = _tasks(self._path, opened.manifest, sizes, hashes_only=hashes_only)
        hashed = _checked(tasks, processes=processes, progress=progress)
        roots = _proof(opened, hashed, sizes)
        hold_export(self._archive.read("export.json", most=_LARGEST), opened.manifest, opened.proofs.export)
        self._history(opened, seen, roots)
        self._honesty(opened.manifest, hashed, hashes_only=hashes_only)

    # -- form -----------------------------------------------------------------------------------------------------

    def _form(self) -> _Opened:
        manifest = self._manifest()
        self._report.manifest = manifest
        _hold_borders(manifest)
        self._hold_members(manifest)
        proofs = read_proofs(self._archive.read("proofs.json", most=_LARGEST_PROOFS))
        if proofs is None:
            raise fault(Fault.PROOFS_FORM, member="proofs.json")
        return _Opened(manifest=manifest, proofs=proofs)

    def _manifest(self) -> Manifest:
        if "manifest.json" not in self._archive.members:
            raise fault(Fault.ARCHIVE_MEMBERS, detail="manifest.json")
        document = self._archive.read("manifest.json", most=_LARGEST)
        manifest = read_manifest(document)
        if manifest is None:
            format_ = _FORMAT.search(document)
            if format_ is not None and format_[1].decode() != FORMAT:
                raise CannotCheckError("The bundle is of another format: check it with a newer Gatekeeper.")
            raise fault(Fault.MANIFEST_FORM, member="manifest.json")
        return manifest

    def _hold_members(self, manifest: Manifest) -> None:
        stamp = [name for name in (STAMPED, TOKEN) if name in self._archive.members]
        wanted = _members(manifest, stamp=stamp if TOKEN in stamp else [])
        for wants, there in zip_longest(wanted, self._archive.names):
            if wants != there:
                detail = f"{wants or 'the end'} belongs where {shown(there or 'the end')} is"
                raise fault(Fault.ARCHIVE_MEMBERS, detail=detail)

    # -- trust ----------------------------------------------------------------------------------------------------

    def _trust(self, opened: _Opened) -> list[Seen]:
        """Hold the checkpoint against keys, witnesses and stamp; the checkpoints that were given."""
        manifest, report = opened.manifest, self._report
        report.note = self._archive.read("checkpoint", most=MAX_NOTE_BYTES)
        parsed = checkpoint_of(report.note, manifest)
        if self._known.memory is not None:
            opened.remembered = self._known.memory.recall(manifest.origin)
        key = log_key(
            manifest, pinned=self._known.key, policy=self._known.policy, remembered=opened.remembered
        )
        hold_checkpoint(report.note, parsed, key, policy=self._known.policy, report=report)
        hold_stamp(self._archive, manifest, opened.proofs, own=parsed, check=self._known.stamp, report=report)
        return given_notes(self._known.notes, manifest, report)

    # -- history --------------------------------------------------------------------------------------------------

    def _history(self, opened: _Opened, seen: Sequence[Seen], roots: dict[int, bytes]) -> None:
        manifest, proofs, report = opened.manifest, opened.proofs, self._report
        hold_proofs(manifest, proofs)
        remembered = opened.remembered.checkpoints
        silent = hold_seen([*remembered, *seen], manifest=manifest, proofs=proofs, roots=roots, report=report)
        newest = opened.remembered.newest_up_to(manifest.size)
        for one in silent:
            if one.size > manifest.size:
                report.unchecked.append(
                    f"that the log is still what it was at {one.size} entries ({one.where}): the bundle is of "
                    f"{manifest.size}; check a newer one"
                )
            elif one is newest or one in seen:
                report.lacking.append(
                    f"The bundle does not lead from the checkpoint of {one.size} entries ({one.where}) to its own: ask for "
                    f"an export with --seen and that checkpoint."
                )
        if not (remembered or seen):
            report.unchecked.append(NEVER_SEEN)
        later = [one for one in remembered if one.size > manifest.size]
        report.fit_to_remember = report.key is not None and not report.lacking and not later

    # -- honesty --------------------------------------------------------------------------------------------------

    def _honesty(self, manifest: Manifest, hashed: Sequence[Hashed], *, hashes_only: bool) -> None:
        report = self._report
        for one in hashed:
            report.counts += one.counts
        said = manifest.counts
        if hashes_only:
            said = Counts(entries=said.entries, withheld=said.withheld)
        if report.counts != said:
            raise fault(Fault.MANIFEST_COUNTS, member="manifest.json")
        deletions = [deletion for one in hashed for deletion in one.deletions]
        hold_expired(manifest, deletions, hashes_only=hashes_only, report=report)
        self._hold_rest(manifest, hashes_only=hashes_only)
        if hashes_only:
            report.unchecked.append("what the entries, openings and tables say: only hashes were asked for")
        report.unchecked += _unproved(manifest, sum(one.out_of_time for one in hashed))

    def _hold_rest(self, manifest: Manifest, *, hashes_only: bool) -> None:
        """What is for people, and proves nothing: it must be readable, and the guide must be the one this program knows."""
        for name, ours in (("VERIFY.txt", verify_text(manifest)), ("verify.py", verify_program())):
            if self._archive.read(name, most=_LARGEST) != ours:
                self._report.unchecked.append(
                    f"{name}: it is not the one that this program knows; do not run or follow it unread"
                )
        parquet = [name for name in self._archive.names if name.startswith("parquet/")]
        if parquet:
            self._report.unchecked.append("the Parquet files")
        for name in () if hashes_only else parquet:
            for _ in self._archive.chunks(name):
                pass


def _hold_borders(manifest: Manifest) -> None:
    """See that nothing can have been cut away at the edges: they are those of the log, or have a border beside them."""
    (start, end), (first, last) = manifest.range, manifest.within
    if first and (manifest.since is None or start == first):
        raise fault(Fault.MANIFEST_BORDERS, member="manifest.json", index=first)
    if last < manifest.size and (manifest.until is None or end == last):
        raise fault(Fault.MANIFEST_BORDERS, member="manifest.json", index=last)


def _members(manifest: Manifest, *, stamp: Sequence[str]) -> Iterator[str]:
    """What a bundle of this manifest holds, in order."""
    folders = [("entries", "jsonl")]
    folders += [("openings", "jsonl")] if manifest.openings else []
    folders += [("csv", "csv")] if manifest.csv is not None else []
    folders += [("parquet", "parquet")] if manifest.parquet else []
    yield from ("VERIFY.txt", "verify.py", "checkpoint")
    for segment in segments_of(*manifest.range):  # as many as the manifest says: perhaps without end
        yield from (member_name(folder, segment, suffix) for folder, suffix in folders)
    yield from ("export.json", "proofs.json")
    yield from (*stamp, "manifest.json")


# -- content ---------------------------------------------------------------------------------------------------------


def _tasks(path: Path, manifest: Manifest, sizes: Iterable[int], *, hashes_only: bool) -> list[Task]:
    wanted = sorted(set(sizes))
    return [
        Task(
            path=path,
            manifest=manifest,
            segment=segment,
            cuts=tuple(size for size in wanted if segment.start < size < segment.end),
            hashes_only=hashes_only,
        )
        for segment in segments_of(*manifest.range)
    ]


def _checked(
    tasks: Sequence[Task], *, processes: int, progress: Callable[[int, int], object]
) -> list[Hashed]:
    """Check all segments. Raises `Found` for the first fault of the first segment that has one."""
    total = sum(task.segment.end - task.segment.start for task in tasks)
    hashed, done = [], 0
    for task, found in zip(tasks, _each(tasks, total, processes), strict=True):
        if found.finding is not None:
            raise Found(found.finding)
        hashed.append(found)
        done += task.segment.end - task.segment.start
        progress(done, total)
    return hashed


def _each(tasks: Sequence[Task], total: int, processes: int) -> Iterable[Hashed]:
    if processes == 1 or len(tasks) == 1 or total < _FEW:
        return map(check_segment, tasks)
    return _together(tasks, min(processes, len(tasks)))


def _together(tasks: Sequence[Task], processes: int) -> Iterable[Hashed]:
    """Let other processes begin at the front while this one begins at the back."""
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes - 1, mp_context=spawning)
    try:
        theirs = [pool.submit(check_segment, task) for task in tasks]
        ours = {}
        for place in reversed(range(len(tasks))):
            if not theirs[place].cancel():
                break
            ours[place] = check_segment(tasks[place])
        for place, future in enumerate(theirs):
            yield ours[place] if place in ours else future.result()
    except BrokenProcessPool as error:
        raise CannotCheckError(
            "A process that checked a part of the bundle was ended from outside."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


# -- proof -----------------------------------------------------------------------------------------------------------


def _proof(opened: _Opened, hashed: Sequence[Hashed], sizes: Iterable[int]) -> dict[int, bytes]:
    """See that the leaves lead to the checkpoint's root; the roots at smaller sizes that follow from them."""
    subtrees = [one.subtrees for one in hashed]
    refused = _fed(opened, subtrees).finish(opened.manifest.root)
    if isinstance(refused, Refused):
        raise refusal(refused, member="entries")
    start, end = opened.manifest.range
    segments = list(segments_of(start, end))
    roots = {}
    for size in set(sizes):
        at = [place for place, segment in enumerate(segments) if segment.start < size < segment.end]
        if at and size in hashed[at[0]].cuts:
            roots[size] = _fed(opened, [*subtrees[: at[0]], hashed[at[0]].cuts[size]]).root()
        elif size in {start, end, *(segment.end for segment in segments)}:
            before = sum(segment.end <= size for segment in segments)
            roots[size] = _fed(opened, subtrees[:before]).root()
    return roots


def _fed(opened: _Opened, subtrees: Iterable[Sequence[Subtree]]) -> RangeVerifier:
    start, end = opened.manifest.range
    verifier = RangeVerifier.begin(start=start, end=end, size=opened.manifest.size, proof=opened.proofs.range)
    if isinstance(verifier, Refused):
        raise refusal(verifier, member="proofs.json")
    for part in subtrees:
        for height, node in part:
            verifier.feed_subtree(height, node)
    return verifier


def _unproved(manifest: Manifest, out_of_time: int) -> list[str]:
    """What not even a sound bundle proves."""
    counts = manifest.counts
    closed = counts.personal - counts.openings
    says = [
        f"when and with what it was written: only the manifest says {shown(manifest.written)}, {shown(manifest.program)}"
    ]
    if manifest.selection:
        withheld = counted(counts.withheld, "entry that is withheld", "entries that are withheld")
        says.append(f"that none of the {withheld} would pass the filter")
    if manifest.selection.holder is not None:
        says.append(
            "that the log's entry of the export names the same holder: it says so in its personal part only"
        )
    if closed:
        parts = counted(closed, "personal part that is", "personal parts that are")
        says.append(f"{parts} closed: forgotten, expired, or not asked for")
    if out_of_time:
        says.append(
            f"when {counted(out_of_time, 'entry was', 'entries were')} made: the log's clock ran backwards there"
        )
    return says
