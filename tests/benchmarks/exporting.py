"""Writing bundles of a log of twenty tenants, each in a process of its own as the command is, beside COPY of the same bodies.

The best of several rounds, of both.

python -m tests.benchmarks.exporting DSN FILE WAY      one export; figures as JSON
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from gatekeeper.adapters.postgres import (
    PostgresLeaves,
    PostgresLedger,
    PostgresStoredTrees,
    connect,
    migrate_site_database,
)
from gatekeeper.core.audit import SITE_TREE, Draft, Kind
from gatekeeper.core.export import Dialect
from gatekeeper.core.log_export import read_log_export
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.service.export.partial import Partial
from gatekeeper.service.export.planning import Form, Plan, SignedTree, plan_document, plan_of
from gatekeeper.service.export.source import SealedPart
from gatekeeper.service.export.writing import write_bundle
from gatekeeper.service.publication import TreeTiles
from gatekeeper.transparency import Checkpoint, range_spans
from tests.benchmarks.log import HOST, KEYS, SITE, Log, passages
from tests.support.checkpoints import signed_note, verifier_of

__all__ = ["bundles_written"]

ENTRIES: Final = 400_000
_ROUNDS: Final = 3


@dataclass(frozen=True)
class Way:
    """What goes with the entries."""

    csv: Dialect | None = None
    openings: bool = False


WAYS: Final = {
    "proof": Way(),
    "table": Way(csv=Dialect.RFC4180),
    "openings": Way(csv=Dialect.RFC4180, openings=True),
}


def bundles_written() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as folder:
        return asyncio.run(_bundles(Path(folder)))


async def _bundles(folder: Path) -> dict[str, Any]:
    folder.chmod(0o711)  # noqa: ASYNC240 - before anything runs
    async with EmbeddedPostgres(folder / "postgres") as server:
        dsn = server.dsn()
        await _write_log(dsn)
        floor = max([await _copy(dsn, folder / "copied") for _ in range(_ROUNDS)])
        half = range_spans(ENTRIES // 4, ENTRIES // 4 * 3, ENTRIES)
        figures: dict[str, Any] = {
            "entries": ENTRIES,
            "hashes_that_prove_half": len(half),
            "copy_entries_per_s": floor,
        }
        for name in WAYS:
            rounds = [await _exported(dsn, folder / f"{name}.zip", name) for _ in range(_ROUNDS)]
            figures[name] = max(rounds, key=itemgetter("entries_per_s"))
            figures[name]["ratio_to_copy"] = figures[name]["entries_per_s"] / floor
        return figures


async def _exported(dsn: str, file: Path, name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.exporting", dsn, str(file), name]
    said = await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.PIPE)
    size = file.stat().st_size  # noqa: ASYNC240 - nothing else runs
    file.unlink()  # noqa: ASYNC240 - likewise
    return {**json.loads(said.stdout), "bytes_per_entry": size / ENTRIES}


async def _write_log(dsn: str) -> None:
    await migrate_site_database(dsn)
    ledger = PostgresLedger(dsn)
    try:
        log = await Log.begun(ledger)
        while (left := ENTRIES - len(WAYS) - log.sealer.size) > 0:
            await log.append(passages(log.sealer.size, min(left, 4096)))
        for way in WAYS.values():
            await log.append([_allowed(log.sealer.size, way)])
        tree, size, root = log.sealer.heads()[0]
        note = signed_note(SITE, tree, size, root)
        await ledger.checkpoint(SITE, tree=tree, size=size, root=root, note=note, at=datetime.now(UTC))
    finally:
        await ledger.close()
    connection = await connect(dsn)
    await connection.execute("VACUUM ANALYZE entry, personal")
    await connection.close()


def _allowed(seq: int, way: Way) -> Draft:
    """The entry that allows an export."""
    public = {"tree": SITE_TREE, "openings": way.openings, "reason": "bench", "by": HOST, "author": "one"}
    return Draft(
        kind=Kind.LOG_EXPORTED,
        at=datetime.now(UTC),
        seq=seq,
        tenants=(HOST,),
        public={**public, "approved_by": "another"},
        person=None,
        personal=None,
    )


async def _copy(dsn: str, file: Path) -> float:
    """The floor: the same bodies out of the same table, and nothing known of them."""
    connection = await connect(dsn)
    begun = time.perf_counter()
    with file.open("wb") as written:
        await connection.copy_from_query(
            "SELECT body FROM entry WHERE site_id = $1 ORDER BY seq", SITE, output=written
        )
    seconds = time.perf_counter() - begun
    await connection.close()
    return ENTRIES / seconds


# -- one export, in a process of its own --------------------------------------------------------------------------------


async def _export(dsn: str, file: Path, name: str) -> dict[str, float]:
    async with PostgresLeaves.opened(dsn, SITE) as leaves, PostgresStoredTrees.opened(dsn) as stored:
        begun, used = time.perf_counter(), time.process_time()
        plan = await _plan(name, leaves, stored)
        with Partial.begun(file, plan_document(plan)) as partial:
            counts = await write_bundle(partial, plan, leaves, opener=_open if WAYS[name].openings else None)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    entries = counts.entries
    assert entries == plan.manifest.size
    return {
        "entries_per_s": entries / seconds,
        "cpu_us_per_entry": cpu / entries * 1e6,
        "mib": _peak_kib() / 1024,
    }


def _peak_kib() -> int:
    """The most that this process has had resident; what getrusage says includes the process that it was forked from."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak)


async def _plan(name: str, leaves: PostgresLeaves, stored: PostgresStoredTrees) -> Plan:
    newest = await stored.newest_checkpoint(SITE, SITE_TREE)
    assert newest is not None
    seq = newest.size - len(WAYS) + list(WAYS).index(name)
    body = (await leaves.bodies(SITE_TREE, seq, seq + 1)).joined
    export = read_log_export(body, site=SITE, seq=seq)
    assert export is not None
    key = verifier_of(SITE, SITE_TREE)
    checkpoint = Checkpoint(origin=key.name, size=newest.size, root=newest.root)
    return await plan_of(
        export,
        body,
        site=SITE,
        signed=SignedTree(note=newest.note, checkpoint=checkpoint, key=key.key()),
        form=Form(csv=WAYS[name].csv),
        leaves=leaves,
        tiles=TreeTiles(SITE, stored),
        gone=await leaves.gone(SITE_TREE),
        earlier=[newest.size // 3],
        program="gatekeeper",
        now=datetime.now(UTC),
    )


def _open(part: SealedPart) -> bytes:
    return open_personal(part.sealed, key=KEYS[part.person], site=SITE, seq=part.seq)


if __name__ == "__main__":
    dsn, file, name = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(_export(dsn, Path(file), name))))
