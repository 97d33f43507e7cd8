"""A log as an engine writes it, for tests of what stands around the core.

A `Pen` seals batches one behind the other with real trees and keys; `Fort` is a database with a site in it, and the
ledger that owns it. What a batch holds beside its entries (receipts, whereabouts, writes) is put in by the test.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import asyncpg

from gatekeeper.adapters.postgres import PostgresLedger, migrate_site_database
from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, tenant_tree
from gatekeeper.core.flow import Receipt
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.core.supervise import Writes
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.model.ids import AccessPointId, BootId, GateId, HolderId, SiteId, TenantId, ZoneId
from gatekeeper.model.messages import Verdict
from gatekeeper.ports import Batch, SealedEntry
from gatekeeper.service.engine.sealing import Sealed, Sealer
from gatekeeper.transparency import Tree
from tests.support.databases import prepare_template

__all__ = [
    "ARMY",
    "GATE",
    "KEYS",
    "NOW",
    "PUPIL",
    "SCHOOL",
    "SERGEANT",
    "SITE",
    "TREES",
    "Pen",
    "Written",
    "boot",
    "everything",
    "keep",
    "open_site",
    "presence",
    "receipt",
    "site_database",
]

SITE = SiteId("fort")
ARMY, SCHOOL = TenantId("army"), TenantId("school")
SERGEANT, PUPIL = HolderId("sergeant"), HolderId("pupil")
GATE = GateId("front")
TREES = (SITE_TREE, tenant_tree(ARMY), tenant_tree(SCHOOL))
KEYS = {person: hashlib.sha256(person.encode()).digest() for person in (SERGEANT, PUPIL, NOBODY)}
NOW = datetime.now(UTC)
"""The log's partitions are of this month and the next, so its entries are of now."""


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

    def __init__(self, trees: Mapping[str, Tree] | None = None) -> None:
        self.sealer = Sealer(SITE, trees=trees or {name: Tree.empty() for name in TREES}, keys=KEYS)

    @property
    def size(self) -> int:
        return self.sealer.size

    def write(
        self,
        count: int = 1,
        *,
        tenants: tuple[TenantId, ...] = (SCHOOL,),
        person: HolderId | None = None,
        kind: Kind = Kind.GATE_STATUS,
        at: datetime = NOW,
    ) -> Written:
        """Seal entries; with a person, each has a personal part."""
        drafts = [
            Draft(
                kind=kind,
                at=at,
                seq=self.size + number,
                tenants=tenants,
                public={"gate": GATE},
                person=person,
                personal=None if person is None else {"holder": person, "number": number},
            )
            for number in range(count)
        ]
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

    def edges(self) -> dict[str, tuple[int, Sequence[bytes]]]:
        """What an engine needs to go on with these trees."""
        return {name: (tree.size, list(tree.edge)) for name, tree in self.sealer._trees.items()}


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
        came_from=ZoneId("outside"),
        seq=seq,
    )
    return replace(here, **changes)


# -- in a database ----------------------------------------------------------------------------------------------------


async def site_database(server: EmbeddedPostgres, clone_of: Callable[[str], Awaitable[str]]) -> str:
    """The DSN of a migrated database of the test's own, with nothing in it."""
    await prepare_template(server, "migrated_site", migrate_site_database)
    return await clone_of("migrated_site")


async def open_site(ledger: PostgresLedger, site: SiteId = SITE) -> int:
    """Found a site and own it; give the epoch."""
    await ledger.found(site)
    epoch = await ledger.claim(site, owner="the test")
    assert epoch is not None
    await ledger.open_trees(site, TREES)
    return epoch


async def keep(ledger: PostgresLedger, epoch: int, pen: Pen, written: Written) -> None:
    """Commit, and go on from there."""
    await ledger.commit(SITE, epoch=epoch, batch=written.batch)
    pen.accept(written)


async def everything(dsn: str) -> dict[str, list[str]]:
    """All rows of all tables, but for who holds the lease until when: what a failed commit must leave as it was."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        found = {}
        for (table,) in tables:
            shown = "site_id, epoch, alert, lockdowns" if table == "site" else "*"
            rows = await connection.fetch(f'SELECT {shown} FROM "{table}"')
            found[table] = sorted(repr(tuple(row)) for row in rows)
        return found
    finally:
        await connection.close()
