"""The sealed append: batches of entries of twenty tenants with encrypted personal parts, beside COPY of the same bytes and a bare
commit. Each entry is a leaf of the site's tree, of its holder's tenant's, and one in four of the host's, whose zone it is.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gatekeeper.adapters.postgres import PostgresLedger, connect, migrate_site_database
from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, tenant_tree
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.ports import Batch
from gatekeeper.service.engine.sealing import Sealed, Sealer
from tests.benchmarks.measure import percentiles, timed

__all__ = ["SITE", "Log", "passages", "sealed_append"]

SITE: Final = SiteId("bench")
TENANTS: Final = tuple(TenantId(f"tenant-{number:02}") for number in range(20))
HOST: Final = TENANTS[0]
TREES: Final = (SITE_TREE, *map(tenant_tree, TENANTS))
PEOPLE: Final = tuple(HolderId(f"holder-{number:04}") for number in range(2000))
KEYS: Final = {person: hashlib.sha256(person.encode()).digest() for person in (*PEOPLE, NOBODY)}
_SINGLES: Final = 400


def passages(first: int, number: int) -> list[Draft]:
    """Grants as an engine drafts them: a body of 600 bytes, and the facts decided on beside it."""
    now = datetime.now(UTC)
    return [_passage(seq, now) for seq in range(first, first + number)]


def _passage(seq: int, now: datetime) -> Draft:
    tenant, person = TENANTS[seq % len(TENANTS)], PEOPLE[seq % len(PEOPLE)]
    chance = hashlib.sha256(str(seq).encode()).hexdigest()
    door = f"door-{seq % 200:03}"
    public = {
        "access_point": door, "assurance": 2, "boot": chance[:16], "clock": "synchronised", "from": "outside",
        "gate": f"gate-{seq % 50:02}", "gate_at": "2026-06-03T10:00:01.045000Z", "message": chance, "policy": chance[::-1],
        "reason": "granted", "reasons": [], "sequence": seq, "tenant": tenant, "to": "campus",
    }  # fmt: skip
    personal = {
        "holder": person,
        "badge": chance[:32],
        "scan": chance * 5,
        "facts": {"clearance": 2, "door": door},
    }
    owners = (HOST,) if seq % 4 == 0 and tenant != HOST else ()
    return Draft(
        kind=Kind.ACCESS_GRANTED,
        at=now,
        seq=seq,
        tenants=(tenant, *owners),
        public=public,
        person=person,
        personal=personal,
    )


class Log:
    """A log that an engine writes, and nothing else of the engine."""

    def __init__(self, ledger: PostgresLedger, epoch: int) -> None:
        self._ledger, self._epoch = ledger, epoch
        self.sealer = Sealer(SITE, trees={}, keys=KEYS)
        for tree in TREES:
            self.sealer.open_tree(tree)

    @classmethod
    async def begun(cls, ledger: PostgresLedger) -> "Log":
        await ledger.found(SITE)
        epoch = await ledger.claim(SITE, owner="bench")
        assert epoch is not None
        await ledger.open_trees(SITE, TREES)
        return cls(ledger, epoch)

    async def append(self, drafts: Sequence[Draft]) -> Sealed:
        """Seal a batch and commit it."""
        sealed = self.sealer.seal(drafts)
        batch = Batch(
            entries=sealed.entries, tiles=sealed.tiles, heads=sealed.heads, moved=(), receipts=(), writes=Writes()
        )  # fmt: skip
        await self._ledger.commit(SITE, epoch=self._epoch, batch=batch)
        self.sealer.accept(sealed)
        return sealed


async def sealed_append() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gatekeeper-bench-") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - before anything runs
        async with EmbeddedPostgres(Path(folder) / "postgres") as server:
            await migrate_site_database(server.dsn())
            ledger = PostgresLedger(server.dsn())
            try:
                return await _measured(await Log.begun(ledger), server.dsn())
            finally:
                await ledger.close()


async def _measured(log: Log, dsn: str) -> dict[str, Any]:
    rows: list[tuple[int, bytes, bytes | None]] = []

    async def append(coming: Iterator[list[Draft]]) -> None:
        sealed = await log.append(next(coming))
        rows.extend((entry.seq, entry.body, entry.personal) for entry in sealed.entries)

    connection = await connect(dsn)
    await connection.execute("CREATE TABLE floor (seq bigint PRIMARY KEY, body bytea, personal bytea)")
    await connection.execute("CREATE TABLE one (n bigint)")
    singles = iter([passages(seq, 1) for seq in range(_SINGLES)])
    single = await timed(lambda: append(singles), times=_SINGLES)
    bare = await timed(lambda: connection.execute("INSERT INTO one VALUES (1)"), times=_SINGLES)
    rows.clear()
    many = iter([passages(_SINGLES + number * 256, 256) for number in range(100)])
    batches = await timed(lambda: append(many), times=100)
    thousands = iter([rows[at : at + 1000] for at in range(0, len(rows), 1000)])
    copies = await timed(
        lambda: connection.copy_records_to_table("floor", records=next(thousands)), times=len(rows) // 1000
    )
    await connection.close()
    ours, floor = 256 * len(batches) / sum(batches), 1000 * len(copies) / sum(copies)
    return {
        "tenants": len(TENANTS),
        "bytes_per_body": sum(len(body) for _, body, _ in rows) / len(rows),
        "append_256_entries_per_s": ours,
        "copy_rows_per_s": floor,
        "ratio_to_copy": ours / floor,
        "append_1": percentiles(single),
        "bare_commit": percentiles(bare),
        "ratio_single": percentiles(single)["p50_ms"] / percentiles(bare)["p50_ms"],
    }
