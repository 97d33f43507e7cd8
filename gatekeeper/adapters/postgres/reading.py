"""Reading a site's log and state, and handing changes in: what the command line, auditors and consoles need.

It never writes to the log. A change is only handed to the engine, which orders it among the scans.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatekeeper.adapters.postgres.connection import Connection, connect, told_as_unavailable
from gatekeeper.adapters.postgres.retention import marker
from gatekeeper.adapters.postgres.rows import (
    cosigned_note,
    entry_of,
    link_of,
    operator_of,
    proposal_of,
    signature_of,
)
from gatekeeper.adapters.sql import Queries
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.core.export.feeds import PublicEntry, read_public
from gatekeeper.core.operators import OperatorRecord
from gatekeeper.core.proposals import Proposal
from gatekeeper.core.register import read_term
from gatekeeper.core.writes import ChangeOutcome
from gatekeeper.model.ids import BadgeId, GateId, HolderId, SiteId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.retention import Kept
from gatekeeper.ports import GateLinkRow, StoredDocument, StoredEntry
from gatekeeper.service.verification import Claimed, FiledEntry
from gatekeeper.transparency import NoteSignature

__all__ = [
    "BadgeRow",
    "CheckpointRow",
    "HoldRow",
    "PostgresReading",
    "PresenceRow",
    "RegistrationRow",
    "TimestampRow",
    "WaitingRow",
]

_queries = Queries("gatekeeper.adapters.postgres", "reading")
_PAGE = 2000
_HANDED_OUT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceRow:
    """Where one holder is, with the name as it is kept: sealed."""

    holder: HolderId
    name: bytes | None
    tenant: TenantId | None
    zone: ZoneId
    since: datetime
    quality: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeRow:
    """Whose a badge is, and its state."""

    tenant: TenantId
    holder: HolderId
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """A scan that waits for a guard's word: its entry, with the sealed personal part, and whose badge it is."""

    seq: int
    gate: GateId
    issued: datetime
    holder: HolderId
    body: bytes
    personal: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRow:
    """What is registered of somebody: the sealed name beside what their tenant signed."""

    holder: HolderId
    tenant: TenantId
    name: bytes
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A signed checkpoint of a tree."""

    size: int
    root: bytes
    note: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A legal hold, and the entry that placed it; its body is None where it is not there any more."""

    scope: str
    seq: int
    at: datetime | None
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampRow:
    """What a time-stamping authority said of a tree's checkpoint; `note` is that checkpoint, None when it is gone.

    `reply` is what it answered, whole; `at` is when it was asked, its own time stands in the reply.
    """

    tree: str
    size: int
    reply: bytes
    at: datetime
    note: bytes | None


class PostgresReading:
    """One connection for reading; opened by `opened`, closed with its block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str) -> AsyncIterator["PostgresReading"]:
        """Read through one connection.

        Raises LedgerUnavailableError when there is none to be had, and at a question when what is behind it is no log of ours.
        """
        with told_as_unavailable():
            connection = await connect(dsn)
        try:
            yield cls(Connection(connection))
        finally:
            connection.terminate()

    async def sites(self) -> Sequence[SiteId]:
        """The sites of this database."""
        return [SiteId(row["site_id"]) for row in await self._connection.fetch(_queries.sites)]

    async def size(self, site: SiteId) -> int:
        """How many entries the log of a site holds."""
        return int(await self._connection.fetchval(_queries.size, site) or 0)

    async def entries(
        self, site: SiteId, *, since: int, until: int | None = None
    ) -> AsyncIterator[StoredEntry]:
        """Entries in order from `since` on (to `until`, exclusive), in pages, each as it is stored."""
        async for row in self._rows(site, since, until):
            yield entry_of(row)

    async def entries_of(self, site: SiteId, holder: HolderId) -> AsyncIterator[StoredEntry]:
        """The entries that are about somebody, in order, in pages."""
        since, full = 0, True
        while full:
            rows = await self._connection.fetch(_queries.entries_of_person, site, holder, since, _PAGE)
            for row in rows:
                yield entry_of(row)
            full = len(rows) == _PAGE
            since = rows[-1]["seq"] + 1 if rows else since

    async def filed_entries(self, site: SiteId, *, until: int) -> AsyncIterator[FiledEntry]:
        """All entries before `until`, in order, each with the places in tenants' trees that it is filed under."""
        async for row in self._rows(site, 0, until):
            filed = ((row["tenant"], row["tenant_index"]), (row["owner"], row["owner_index"]))
            places = tuple((tenant_tree(tenant), index) for tenant, index in filed if tenant is not None)
            yield FiledEntry(entry=entry_of(row), places=places)

    async def public_entries(
        self, site: SiteId, *, since: int, until: int, tenant: TenantId | None
    ) -> AsyncIterator[tuple[int, Sequence[PublicEntry]]]:
        """Entries [since, until) without anything personal, in pages, each with the `seq` behind it.

        With a tenant, those that the tenant's tree holds: a page may be empty, and there is a next one nevertheless.
        """
        while since < until:
            end = min(until, since + _PAGE)
            rows = await self._connection.fetch(_queries.public_entries, site, since, end, tenant)
            yield end, [read_public(site, row["seq"], row["at"], row["body"]) for row in rows]
            since = end

    async def _rows(self, site: SiteId, since: int, until: int | None) -> AsyncIterator[Any]:
        while until is None or since < until:
            limit = _PAGE if until is None else min(_PAGE, until - since)
            rows = await self._connection.fetch(_queries.entries_after, site, since, limit)
            for row in rows:
                if until is None or row["seq"] < until:
                    yield row
            if len(rows) < limit:
                return
            since = rows[-1]["seq"] + 1

    async def presence(self, site: SiteId, *, zones: Sequence[ZoneId] | None) -> Sequence[PresenceRow]:
        """Who is where, optionally within some zones only."""
        rows = await self._connection.fetch(
            _queries.presence_list, site, None if zones is None else list(zones)
        )
        return [PresenceRow(**row) for row in rows]

    async def names(self, site: SiteId, holders: Sequence[HolderId]) -> Mapping[HolderId, bytes]:
        """The sealed names of some holders."""
        rows = await self._connection.fetch(_queries.names, site, list(holders))
        return {row["holder"]: row["name"] for row in rows}

    async def waiting(self, site: SiteId, *, since: datetime) -> Sequence[WaitingRow]:
        """The scans that wait for a guard's word, of those asked after an instant; longest first."""
        rows = await self._connection.fetch(_queries.waiting_scans, site, since)
        return [WaitingRow(**row) for row in rows]

    async def standing_lockdowns(self, site: SiteId) -> frozenset[str]:
        """The scopes that are locked down."""
        return frozenset(await self._connection.fetchval(_queries.standing_lockdowns, site) or ())

    async def lockdown_entries(self, site: SiteId) -> Sequence[tuple[int, datetime, bytes]]:
        """What was ordered of lockdowns, and what the gates said of it: seq, instant and body, in order."""
        rows = await self._connection.fetch(_queries.lockdown_entries, site)
        return [(row["seq"], row["at"], row["body"]) for row in rows]

    async def gate_links(self, site: SiteId) -> Mapping[GateId, GateLinkRow]:
        """What the engine knows of the gates' links."""
        rows = await self._connection.fetch(_queries.gate_links, site)
        return {row["gate"]: link_of(row) for row in rows}

    async def is_served(self, site: SiteId) -> bool:
        """Whether an engine owns the site and is alive."""
        return bool(await self._connection.fetchval(_queries.is_served, site))

    async def registrations(
        self, site: SiteId, holders: Sequence[HolderId]
    ) -> Mapping[HolderId, RegistrationRow]:
        """What is registered of some holders."""
        rows = await self._connection.fetch(_queries.registrations, site, list(holders))
        return {row["holder"]: RegistrationRow(**row) for row in rows}

    async def photo(self, site: SiteId, holder: HolderId, digest: bytes) -> bytes | None:
        """A holder's sealed photo, by the SHA-256 of the picture."""
        sealed = await self._connection.fetchval(_queries.sealed_photo, site, holder, digest)
        return None if sealed is None else bytes(sealed)

    async def put_photo(self, site: SiteId, holder: HolderId, digest: bytes, sealed: bytes) -> None:
        """Keep a sealed photo; it is shown when the holder's registration names its digest."""
        await self._connection.execute(_queries.put_photo, site, holder, digest, sealed)

    async def drop_photos(self, site: SiteId, holder: HolderId, *, but: bytes | None) -> None:
        """Forget a holder's photos, but the one with this digest."""
        await self._connection.execute(_queries.drop_photos, site, holder, but)

    async def badge(self, site: SiteId, badge: BadgeId) -> BadgeRow | None:
        """Whose a badge is; None when the site does not know it."""
        row = await self._connection.fetchrow(_queries.badge_owner, site, badge)
        return None if row is None else BadgeRow(**row)

    async def badges_of(self, site: SiteId, holder: HolderId) -> Sequence[tuple[BadgeId, str]]:
        """The badges of a holder with their states."""
        rows = await self._connection.fetch(_queries.holder_badges, site, holder)
        return [(row["badge"], row["state"]) for row in rows]

    async def newest_checkpoint(
        self, site: SiteId, *, tree: str, at_most: int | None = None
    ) -> CheckpointRow | None:
        """The last signed checkpoint of a tree, of `at_most` so many entries, with what witnesses cosigned of it."""
        row = await self._connection.fetchrow(_queries.newest_checkpoint, site, tree, at_most)
        if row is None:
            return None
        lines = await self._connection.fetch(_queries.cosignatures, site, tree, row["size"])
        return CheckpointRow(
            size=row["size"], root=row["root"], note=cosigned_note(row["note"], lines), at=row["at"]
        )

    async def cosigned_checkpoint(
        self, site: SiteId, *, tree: str, at_most: int | None = None
    ) -> CheckpointRow | None:
        """The last checkpoint that a witness has cosigned, with all its cosignatures; None while there is none."""
        size = await self._connection.fetchval(_queries.newest_cosigned_size, site, tree, at_most)
        return None if size is None else await self.newest_checkpoint(site, tree=tree, at_most=size)

    async def hand_out(self, site: SiteId, *, tree: str, size: int, at: datetime) -> None:
        """Remember that auditors have a checkpoint of this size, so that later exports prove that the tree grew from it."""
        await self._connection.execute(_queries.hand_out, site, tree, size, at)

    async def handed_out(self, site: SiteId, *, tree: str) -> Sequence[int]:
        """Sizes of checkpoints that auditors have, the newest first, some hundreds at most."""
        rows = await self._connection.fetch(_queries.handed_out, site, tree, _HANDED_OUT)
        return [row["size"] for row in rows]

    async def timestamp_tokens(self, site: SiteId, *, tree: str, size: int) -> TimestampRow | None:
        """The newest time stamp of a tree at a size or below it."""
        row = await self._connection.fetchrow(_queries.timestamp_at, site, tree, size)
        return None if row is None else TimestampRow(**row)

    async def timestamps(self, site: SiteId) -> Sequence[TimestampRow]:
        """Every time stamp of a site, by tree and size."""
        rows = await self._connection.fetch(_queries.all_timestamps, site)
        return [TimestampRow(**row) for row in rows]

    async def claimed(self, site: SiteId) -> Claimed:
        """What the database says of a site's log, all as of one instant."""
        connection = self._connection
        async with connection.as_of_one_instant():
            heads = await connection.fetch(_queries.all_heads, site)
            tiles = await connection.fetch(_queries.all_tiles, site)
            checkpoints = await connection.fetch(_queries.all_checkpoints, site)
            entries = await connection.fetchval(_queries.entry_count, site)
            personal_parts = await connection.fetchval(_queries.personal_count, site)
            starts = await connection.fetch(_queries.all_starts, site)
            expiries = await connection.fetch(_queries.all_expiries, site)
            cosignatures = await connection.fetch(_queries.all_cosignatures, site)
            stamps = await connection.fetch(_queries.all_timestamps, site)
        said: dict[tuple[str, int], list[NoteSignature]] = {}
        for row in cosignatures:
            said.setdefault((row["tree"], row["size"]), []).append(signature_of(row))
        return Claimed(
            heads={row["tree"]: (row["size"], row["root"]) for row in heads},
            tiles={(row["tree"], row["level"], row["index"]): row["hashes"] for row in tiles},
            checkpoints=[(row["tree"], row["size"], row["root"], row["note"]) for row in checkpoints],
            entries=entries,
            personal_parts=personal_parts,
            starts={row["tree"]: (row["size"], row["hashes"]) for row in starts},
            expiries=[(row["seq"], row["body"]) for row in expiries],
            cosignatures=said,
            stamps=[(row["tree"], row["size"], row["reply"], row["note"]) for row in stamps],
        )

    async def log_start(self, site: SiteId) -> int:
        """How many of the log's first bodies are deleted."""
        rows = await self._connection.fetch(_queries.all_starts, site)
        return sum(int(row["size"]) for row in rows if row["tree"] == SITE_TREE)

    async def holds(self, site: SiteId) -> Sequence[HoldRow]:
        """The legal holds that are placed, oldest first."""
        return [HoldRow(**row) for row in await self._connection.fetch(_queries.placed_holds, site)]

    async def oldest(self, site: SiteId) -> Mapping[Kept, datetime]:
        """How old the oldest is of what is kept, by kind; registrations are for `ended`."""
        row = await self._connection.fetchrow(_queries.oldest_kept, site)
        return {Kept(kind): at for kind, at in row.items() if at is not None}

    async def oldest_part(self, site: SiteId, tenant: TenantId) -> datetime | None:
        """How old the oldest personal part is of a tenant's people."""
        at: datetime | None = await self._connection.fetchval(_queries.oldest_part, site, marker(tenant))
        return at

    async def ended(self, site: SiteId, *, now: datetime) -> Sequence[tuple[Kept, TenantId, datetime]]:
        """The registrations that have ended: whether a visitor's, whose, and when; read, and not believed."""
        rows = await self._connection.fetch(_queries.all_registrations, site)
        terms = [(row["tenant"], read_term(row["document"])) for row in rows]
        return [
            (Kept.VISITORS if term[0] is HolderKind.VISITOR else Kept.PEOPLE, tenant, term[1])
            for tenant, term in terms
            if term is not None and term[1] < now
        ]

    async def newest_expiry(self, site: SiteId) -> int | None:
        """The last entry that tells of a deletion."""
        seq = await self._connection.fetchval(_queries.newest_expiry, site)
        return None if seq is None else int(seq)

    async def document(self, site: SiteId, kind: str) -> bytes | None:
        """The trust list or policy in force."""
        content = await self._connection.fetchval(_queries.document_in_force, site, kind)
        return None if content is None else bytes(content)

    async def documents(self, site: SiteId) -> Sequence[StoredDocument]:
        """Every policy and trust list that ever was in force, oldest first."""
        rows = await self._connection.fetch(_queries.all_documents, site)
        return [StoredDocument(kind=row["kind"], seq=row["seq"], content=row["content"]) for row in rows]

    async def policies(self, site: SiteId) -> AsyncIterator[bytes]:
        """Every policy that ever was in force, the newest first, one at a time."""
        before: int | None = None
        while (row := await self._connection.fetchrow(_queries.policy_before, site, before)) is not None:
            yield bytes(row["content"])
            before = row["seq"]

    async def operators(self, site: SiteId) -> Sequence[OperatorRecord]:
        """The operators of a site, not yet believed."""
        return [operator_of(row) for row in await self._connection.fetch(_queries.known_operators, site)]

    async def proposals(self, site: SiteId) -> Sequence[Proposal]:
        """The proposals that wait, oldest first."""
        return [proposal_of(row) for row in await self._connection.fetch(_queries.open_proposals, site)]

    async def epoch(self, site: SiteId) -> int | None:
        """Under which epoch a site is owned; None when the database does not hold it."""
        epoch = await self._connection.fetchval(_queries.site_epoch, site)
        return None if epoch is None else int(epoch)

    async def dead_letters(self, site: SiteId) -> Mapping[str, int]:
        """How many bytes were refused, by code."""
        rows = await self._connection.fetch(_queries.dead_letter_counts, site)
        return {row["code"]: row["letters"] for row in rows}

    async def submit(self, site: SiteId, *, change: bytes, document: bytes, name: bytes | None) -> None:
        """Hand a signed change to the engine, with a sealed name where one is said; the same change twice is one change."""
        await self._connection.execute(_queries.submit_change, site, change, document, name)

    async def is_forgotten(self, site: SiteId, seq: int) -> bool:
        """Whether who was forgotten by an entry is forgotten everywhere, also in the vault."""
        return bool(await self._connection.fetchval(_queries.erasure_done, site, seq))

    async def outcome(self, site: SiteId, change: bytes) -> ChangeOutcome | None:
        """What became of a change; None while it waits."""
        row = await self._connection.fetchrow(_queries.change_outcome, site, change)
        if row is None or row["outcome"] is None:
            return None
        return ChangeOutcome(change=change, code=row["outcome"], detail=row["detail"], seq=row["seq"])
