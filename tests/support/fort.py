"""A log as an engine writes it, for tests of what stands around the core.

A `Pen` seals batches one behind the other with real trees and keys. A `Fort` is a site of a test's own in a database that
holds the sites of other tests beside it, with the ledger that owns it. What a batch holds beside its entries (receipts,
whereabouts, writes) is put in by the test.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import asyncpg

from gatekeeper.adapters.postgres import PostgresLedger, migrate_site_database
from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, tenant_tree
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.core.sequences import Receipt
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import AccessPointId, BootId, GateId, HolderId, SiteId, TenantId, ZoneId
from gatekeeper.model.messages import Verdict
from gatekeeper.ports import Batch, SealedEntry
from gatekeeper.service.engine.sealing import Sealed, Sealer
from gatekeeper.transparency import Tree

__all__ = [
    "ARMY",
    "GATE",
    "KEYS",
    "NOW",
    "PUPIL",
    "SCHOOL",
    "SERGEANT",
    "TREES",
    "Fort",
    "Pen",
    "Written",
    "boot",
    "everything",
    "presence",
    "receipt",
    "site_database",
]

ARMY, SCHOOL = TenantId("army"), TenantId("school")
SERGEANT, PUPIL = HolderId("sergeant"), HolderId("pupil")
GATE = GateId("front")
TREES = (SITE_TREE, tenant_tree(ARMY), tenant_tree(SCHOOL))
KEYS = {person: hashlib.sha256(person.encode()).digest() for person in (SERGEANT, PUPIL, NOBODY)}
NOW = datetime.now(UTC)
"""The log's partitions are of this month and the next, so its entries are of now."""

_NUMBERS = count(1)
_DATABASE = "sites_of_tests"
_migrated: set[str] = set()


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that could be committed, and the trees as they are then."""

    batch: Batch
    sealed: Sealed

    @property
    def entries(self) -> Sequence[SealedEntry]:
        return self.batch.entries

    def holding(self, **parts: Any) -> "Written":
        """The same entries with receipts, whereabouts or writes beside them."""
        return Written(replace(self.batch, **parts), self.sealed)


class Pen:
    """Writes as an engine does: each batch stands behind what was accepted before it."""

    def __init__(self, site: SiteId, trees: Mapping[str, Tree] | None = None) -> None:
        """Begin anew, or go on with trees that a log has."""
        self.sealer = Sealer(site, trees=trees or {name: Tree.empty() for name in TREES}, keys=KEYS)

    @property
    def size(self) -> int:
        return self.sealer.size

    @property
    def trees(self) -> Mapping[str, Tree]:
        return self.sealer._trees

    def write(
        self,
        entries: int = 1,
        *,
        tenants: tuple[TenantId, ...] = (SCHOOL,),
        person: HolderId | None = None,
        kind: Kind = Kind.GATE_STATUS,
        at: datetime = NOW,
        public: Mapping[str, Any] | None = None,
    ) -> Written:
        """Seal entries; with a person, each has a personal part. `public` is what each says to everybody."""
        drafts = [
            Draft(
                kind=kind,
                at=at,
                seq=self.size + number,
                tenants=tenants,
                public={"gate": GATE} if public is None else public,
                person=person,
                personal=None if person is None else {"holder": person, "number": number},
            )
            for number in range(entries)
        ]
        return self.seal(drafts)

    def seal(self, drafts: Sequence[Draft]) -> Written:
        """Seal drafts that somebody else made."""
        sealed = self.sealer.seal(drafts)
        batch = Batch(
            entries=sealed.entries,
            tiles=sealed.tiles,
            heads=sealed.heads,
            moved=(),
            receipts=(),
            writes=Writes(),
        )
        return Written(batch, sealed)

    def accept(self, written: Written) -> None:
        """The batch is committed."""
        self.sealer.accept(written.sealed)


def boot(number: int) -> BootId:
    return BootId(number.to_bytes(8, "big"))


def receipt(seq: int, sequence: int, **changes: Any) -> Receipt:
    """The receipt of a message whose entry is `seq`."""
    of = Receipt(
        gate=GATE,
        boot=boot(1),
        sequence=sequence,
        digest=hashlib.sha256(f"message {seq}".encode()).digest(),
        seq=seq,
        verdict=Verdict.RECORDED,
        issued=NOW,
        holder=None,
        opens_boot=False,
        signed=f"answer {seq}".encode(),
    )
    return replace(of, **changes)


def presence(holder: HolderId, zone: str, *, seq: int, **changes: Any) -> Presence:
    here = Presence(
        holder=holder,
        zone=ZoneId(zone),
        since=NOW,
        quality=Quality.GRANTED,
        access_point=AccessPointId("front-in"),
        seq=seq,
    )
    return replace(here, **changes)


# -- in a database ----------------------------------------------------------------------------------------------------


async def site_database(server: EmbeddedPostgres) -> str:
    """The DSN of a migrated database in which each test has a site of its own."""
    await server.ensure_database(_DATABASE)
    dsn = server.dsn(_DATABASE)
    if dsn not in _migrated:
        await migrate_site_database(dsn)
        _migrated.add(dsn)
    return dsn


@dataclass(frozen=True, slots=True, kw_only=True)
class Fort:
    """A founded site, owned under an epoch, with nothing in its log."""

    dsn: str
    site: SiteId
    ledger: PostgresLedger
    epoch: int
    pen: Pen

    @classmethod
    @asynccontextmanager
    async def opened(cls, server: EmbeddedPostgres) -> AsyncIterator["Fort"]:
        dsn = await site_database(server)
        site = SiteId(f"fort-{next(_NUMBERS)}")
        ledger = PostgresLedger(dsn)
        try:
            await ledger.found(site)
            epoch = await ledger.claim(site, owner="the test")
            assert epoch is not None
            await ledger.open_trees(site, TREES)
            yield cls(dsn=dsn, site=site, ledger=ledger, epoch=epoch, pen=Pen(site))
        finally:
            await ledger.close()

    async def commit(self, written: Written, *, by: PostgresLedger | None = None) -> None:
        """Commit, and go on from there."""
        await (by or self.ledger).commit(self.site, epoch=self.epoch, batch=written.batch)
        self.pen.accept(written)

    async def run(self, sql: str, *arguments: Any) -> list[Any]:
        """Do what a superuser can do to the rows of this site, `$1`."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetch(sql, self.site, *arguments)
        finally:
            await connection.close()

    async def everything(self) -> dict[str, list[str]]:
        return await everything(self.dsn, self.site)


async def everything(dsn: str, site: SiteId | None = None) -> dict[str, list[str]]:
    """All rows of a site (or of all), but for who holds the lease until when: what a failed commit must leave alone."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        found = {}
        for (table,) in tables:
            shown = "site_id, epoch, alert, lockdowns" if table == "site" else "*"
            one = "" if site is None or table == "alembic_version" else f"WHERE site_id = '{site}'"
            rows = await connection.fetch(f'SELECT {shown} FROM "{table}" {one}')
            found[table] = sorted(repr(tuple(row)) for row in rows)
        return found
    finally:
        await connection.close()
