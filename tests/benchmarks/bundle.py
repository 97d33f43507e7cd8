"""Checking a bundle of two segments; ratios are of processor time, to one SHA-256 for each entry in the same run.

Each check runs in a process of its own, as an auditor's does, so that its memory is its own, too.
"""

import io
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from gatekeeper.core.audit import canonical_json, commitment, timestamp
from gatekeeper.core.export import (
    EVERYTHING,
    SEGMENT,
    Counts,
    Dialect,
    Manifest,
    Proofs,
    Segment,
    heading,
    manifest_document,
    member_name,
    opening_line,
    proofs_document,
    rows_of,
    segments_of,
)
from gatekeeper.service.auditor import verify_bundle
from gatekeeper.service.export.inside import verify_program, verify_text
from gatekeeper.transparency import Tile, Tree, inclusion_proof, leaf_hash, range_proof
from tests.support.bundles import NOON, SITE, TREE, export_entry, exported, note_of, reader_of

__all__ = ["bundle_checked"]

ENTRIES = 2 * SEGMENT - 1
HOUR = timedelta(hours=1)
WAYS = {"hashes": True, "full": False}
_NOTE = "x" * 120
"""So that a body has about 600 bytes, like the log's own."""


def bundle_checked() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as folder:
        path = Path(folder) / "bundle.zip"
        floor = _write(path)
        figures: dict[str, Any] = {"bytes": path.stat().st_size, "sha256_leaves_per_s_and_core": floor}
        for way in WAYS:
            for processes in (1, 2):
                found = _measured(path, way, processes)
                figures[f"{way}_{processes}"] = {
                    "entries_per_s": ENTRIES / found["seconds"],
                    "ratio_to_sha256": ENTRIES / found["cpu"] / floor,
                    "cpu_us_per_entry": found["cpu"] / ENTRIES * 1e6,
                    "mib": found["mib"],
                }
    return figures


def _measured(path: Path, way: str, processes: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bundle", str(path), way, str(processes)],
        capture_output=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _check(path: Path, way: str, processes: int) -> None:
    begun = time.perf_counter()
    report = verify_bundle(path, hashes_only=WAYS[way], processes=processes)
    seconds = time.perf_counter() - begun
    assert report.valid, report.finding
    used = [resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    # What getrusage says of a process itself includes the one that it was forked from.
    own = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    found = {
        "seconds": seconds,
        "cpu": sum(one.ru_utime + one.ru_stime for one in used),
        "mib": (int(own[0]) + used[1].ru_maxrss) / 1024,
    }
    json.dump(found, sys.stdout)


# -- the bundle ----------------------------------------------------------------------------------------------------------


def _write(path: Path) -> float:
    """Write a bundle; how many leaves a second one core hashes."""
    tree, seconds = Tree.empty(), 0.0
    tiles: list[Tile] = []
    written: list[tuple[str, Path]] = []
    export = exported(ENTRIES, approved=True)
    entry = export_entry(export, openings=True, until=NOON + HOUR)
    for segment in segments_of(0, ENTRIES):
        bodies = _segment(segment, path.parent, written)
        begun = time.process_time()
        leaves = [sha256(b"\x00" + body).digest() for body in bodies]
        seconds += time.process_time() - begun
        tiles += tree.append(leaves)
    tiles += tree.append([leaf_hash(entry)])
    reader = reader_of([*tiles, *tree.partial_tiles()])
    note, key = note_of(tree.size, tree.root())
    manifest = Manifest(
        site=SITE, tree=TREE, size=tree.size, root=tree.root(), range=(0, ENTRIES + 1), within=(0, ENTRIES), since=None,
        until=NOON + HOUR, selection=EVERYTHING, openings=True, csv=Dialect.RFC4180, parquet=False, export=export,
        written=timestamp(NOON), program="gatekeeper", key=key,
        counts=Counts(entries=ENTRIES + 1, personal=ENTRIES, openings=ENTRIES, rows=ENTRIES),
    )  # fmt: skip
    proofs = Proofs(
        range=tuple(range_proof(0, ENTRIES + 1, tree.size, reader)),
        export=tuple(inclusion_proof(ENTRIES, tree.size, reader)),
    )
    with written[-2][1].parent.joinpath(written[-3][1].name).open("ab") as border:
        border.write(entry + b"\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "VERIFY.txt", io.BytesIO(verify_text(manifest)))
        _put(archive, "verify.py", io.BytesIO(verify_program()))
        _put(archive, "checkpoint", io.BytesIO(note))
        for name, file in written:
            with file.open("rb") as content:
                _put(archive, name, content)
        _put(archive, "export.json", io.BytesIO(entry))
        _put(archive, "proofs.json", io.BytesIO(proofs_document(proofs)))
        _put(archive, "manifest.json", io.BytesIO(manifest_document(manifest)))
    return ENTRIES / seconds


def _put(archive: zipfile.ZipFile, name: str, content: IO[bytes]) -> None:
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
        shutil.copyfileobj(content, member)


def _segment(segment: Segment, folder: Path, written: list[tuple[str, Path]]) -> list[bytes]:
    bodies, openings, rows = [], [], [heading(Dialect.RFC4180)]
    for index in range(segment.start, segment.end):
        chance = sha256(b"%d" % index).hexdigest()
        told = {"badge": chance[:32], "holder": f"h-{index % 9000}", "salt": chance[32:], "facts": _NOTE}
        part = canonical_json(told)
        body = {
            "v": 1, "site": SITE, "seq": 2 * index, "at": timestamp(NOON), "kind": "access.granted", "nonce": chance[:32],
            "trees": {"site": 2 * index, TREE: index}, "access_point": "front-in", "gate": "front", "from": "outside",
            "to": "campus", "tenant": "school", "reason": 11, "reasons": [11], "assurance": 2, "personal": commitment(part),
            "policy": chance, "note": _NOTE,
        }  # fmt: skip
        bodies.append(bytes(bytearray(canonical_json(body))))  # what orjson gives keeps four times its size
        openings.append(opening_line(index, part))
        rows.append(rows_of(Dialect.RFC4180, [(index, body, told)]))
    contents = {
        member_name("entries", segment, "jsonl"): b"".join(body + b"\n" for body in bodies),
        member_name("openings", segment, "jsonl"): b"".join(line + b"\n" for line in openings),
        member_name("csv", segment, "csv"): "".join(rows).encode(),
    }
    for name, content in contents.items():
        file = folder / name.replace("/", "-")
        file.write_bytes(content)
        written.append((name, file))
    return bodies


if __name__ == "__main__":
    _check(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
