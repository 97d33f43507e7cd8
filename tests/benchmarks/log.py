"""The sealed append: batches of entries with encrypted personal parts, beside COPY of the same bytes and a bare commit."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatekeeper.adapters.postgres import PostgresLedger, connect, migrate_site_database
from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import Batch
from gatekeeper.service.engine.sealing import Sealer
from tests.benchmarks.measure import percentiles, timed

__all__ = ["sealed_append"]

SITE = SiteId("bench")


def _drafts(size: int, first: int, padding: str) -> list[Draft]:
    now = datetime.now(UTC)
    return [
        Draft(
            kind=Kind.ACCESS_GRANTED,
            at=now,
            seq=first + number,
            tenants=(),
            public={"gate": "g", "access_point": "a", "reason": "granted", "message": padding},
            person=NOBODY,
            personal={"holder": None, "scan": padding * 6},
        )
        for number in range(size)
    ]


async def sealed_append() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - before anything runs
        async with EmbeddedPostgres(Path(folder) / "postgres") as server:
            await migrate_site_database(server.dsn())
            ledger = PostgresLedger(server.dsn())
            try:
                return await _log(ledger, server.dsn())
            finally:
                await ledger.close()


async def _log(ledger: PostgresLedger, dsn: str) -> dict[str, Any]:
    await ledger.found(SITE)
    epoch = await ledger.claim(SITE, owner="bench")
    assert epoch is not None
    await ledger.open_trees(SITE, [SITE_TREE])
    sealer = Sealer(SITE, trees={}, keys={NOBODY: bytes(32)})
    sealer.open_tree(SITE_TREE)
    bodies: list[tuple[int, bytes, bytes | None]] = []

    async def append(size: int) -> None:
        sealed = sealer.seal(_drafts(size, sealer.size, "0" * 64))
        batch = Batch(
            entries=sealed.entries, tiles=sealed.tiles, heads=sealed.heads, moved=(), receipts=(), writes=Writes()
        )  # fmt: skip
        await ledger.commit(SITE, epoch=epoch, batch=batch)
        sealer.accept(sealed)
        bodies.extend((entry.seq, entry.body, entry.personal) for entry in sealed.entries)

    connection = await connect(dsn)
    await connection.execute("CREATE TABLE floor (seq bigint PRIMARY KEY, body bytea, personal bytea)")
    await connection.execute("CREATE TABLE one (n bigint)")
    single = await timed(lambda: append(1), times=400)
    bare = await timed(lambda: connection.execute("INSERT INTO one VALUES (1)"), times=400)
    bodies.clear()
    batches = await timed(lambda: append(256), times=60)
    rows = iter([bodies[at : at + 1000] for at in range(0, len(bodies), 1000)])
    copies = await timed(
        lambda: connection.copy_records_to_table("floor", records=next(rows)), times=len(bodies) // 1000
    )
    await connection.close()
    ours, floor = 256 * len(batches) / sum(batches), 1000 * len(copies) / sum(copies)
    return {
        "append_256_entries_per_s": ours,
        "copy_rows_per_s": floor,
        "ratio_to_copy": ours / floor,
        "append_1": percentiles(single),
        "bare_commit": percentiles(bare),
        "ratio_single": percentiles(single)["p50_ms"] / percentiles(bare)["p50_ms"],
    }
