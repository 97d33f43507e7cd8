"""The sealed append: batches of entries of twenty tenants with encrypted personal parts, beside COPY of the same bytes and a bare
commit. Each entry is a leaf of the site's tree, of its holder's tenant's, and one in four of the host's, whose zone it is.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gatekeeper.adapters.postgres import PostgresLedger, connect, migrate_site_database
from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, tenant_tree
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import HolderId, SiteId, TenantId
from gatekeeper.observe.health import Health
from gatekeeper.service.engine.recorder import Contents, Recorder
from gatekeeper.service.engine.sealing import Sealer
from tests.benchmarks.measure import percentiles, timed

__all__ = ["SITE", "Log", "passages", "sealed_append"]

SITE: Final = SiteId("bench")
TENANTS: Final = tuple(TenantId(f"tenant-{number:02}") for number in range(20))
HOST: Final = TENANTS[0]
TREES: Final = (SITE_TREE, *map(tenant_tree, TENANTS))
PEOPLE: Final = tuple(HolderId(f"holder-{number:04}") for number in range(2000))
KEYS: Final = {person: hashlib.sha256(person.encode()).digest() for person in (*PEOPLE, NOBODY)}
_SINGLES: Final = 400
_TURN: Final = 50
_ROUNDS: Final = 4
_ROUND: Final = 50 * 256
_ROWS: Final = """
    SELECT seq, body, sealed FROM entry JOIN personal USING (site_id, seq, at)
    WHERE site_id = $1 AND seq >= $2 ORDER BY seq
"""


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
        self.sealer = Sealer(SITE, trees={}, keys=KEYS)
        for tree in TREES:
            self.sealer.open_tree(tree)
        self.recorder = Recorder(SITE, epoch=epoch, sealer=self.sealer, ledger=ledger, health=Health())

    @classmethod
    async def begun(cls, ledger: PostgresLedger) -> "Log":
        await ledger.found(SITE)
        epoch = await ledger.claim(SITE, owner="bench")
        assert epoch is not None
        await ledger.open_trees(SITE, TREES)
        return cls(ledger, epoch)

    async def append(self, drafts: Sequence[Draft]) -> None:
        """Seal a batch and commit it."""
        await self.recorder.commit(Contents(drafts=drafts))

    async def append_all(self, batches: Iterable[Sequence[Draft]]) -> None:
        """Append batches as an engine in a crowd does: the next is sealed while one is committed."""
        for drafts in batches:
            await self.recorder.begin(Contents(drafts=drafts))
        await self.recorder.settled()


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
    connection = await connect(dsn)
    await connection.execute("CREATE TABLE floor (seq bigint PRIMARY KEY, body bytea, personal bytea)")
    await connection.execute("CREATE TABLE one (n bigint)")
    single: list[float] = []
    bare: list[float] = []
    for first in range(0, _SINGLES, _TURN):  # by turns: a disk has its moods
        drafts = iter([passages(seq, 1) for seq in range(first, first + _TURN)])
        single += await timed(lambda: log.append(next(drafts)), times=_TURN)  # noqa: B023 - awaited here
        bare += await timed(lambda: connection.execute("INSERT INTO one VALUES (1)"), times=_TURN)
    appended = copied = 0.0
    written = 0
    for _ in range(_ROUNDS):
        first = log.sealer.size
        batches = [passages(at, 256) for at in range(first, first + _ROUND, 256)]
        [seconds] = await timed(lambda: log.append_all(batches), times=1)  # noqa: B023 - awaited here
        appended += seconds
        rows = await connection.fetch(_ROWS, SITE, first)
        written += sum(len(row["body"]) for row in rows)
        thousands = iter([rows[at : at + 1000] for at in range(0, _ROUND, 1000)])
        copied += sum(
            await timed(
                lambda: connection.copy_records_to_table("floor", records=next(thousands)),  # noqa: B023
                times=-(-_ROUND // 1000),
            )
        )
    await connection.close()
    entries = _ROUNDS * _ROUND
    ours, floor = entries / appended, entries / copied
    return {
        "tenants": len(TENANTS),
        "bytes_per_body": written / entries,
        "append_256_entries_per_s": ours,
        "copy_rows_per_s": floor,
        "ratio_to_copy": ours / floor,
        "append_1": percentiles(single),
        "bare_commit": percentiles(bare),
        "ratio_single": percentiles(single)["p50_ms"] / percentiles(bare)["p50_ms"],
    }
