"""The log and the state of a site in PostgreSQL: claimed under an epoch, committed in one statement a batch."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg

from gatekeeper.adapters.postgres import retention
from gatekeeper.adapters.postgres.connection import FAILURES, Line, connect
from gatekeeper.adapters.postgres.rows import entry_of, link_of, operator_of, proposal_of
from gatekeeper.adapters.sql import Queries
from gatekeeper.core.audit import FORGOTTEN, SITE_TREE, TENANT_TREE_PREFIX
from gatekeeper.core.memory import Usage
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.retention import Due
from gatekeeper.core.sequences import SEQUENCE_WINDOW, Receipt
from gatekeeper.core.writes import StoredBadge, StoredHolder, Writes
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BootId, GateId, HolderId, SiteId
from gatekeeper.model.messages import Verdict
from gatekeeper.ports import (
    Batch,
    DeadLetter,
    DeletionOutdatedError,
    Doomed,
    GateLinkRow,
    LedgerUnavailableError,
    Loaded,
    LogStart,
    SealedEntry,
    SignedCheckpoint,
    SiteLostError,
    StoredChange,
    StoredEntry,
)
from gatekeeper.transparency import (
    EMPTY_ROOT,
    HASH_SIZE,
    TILE_WIDTH,
    NoteSignature,
    Tile,
    TileCoordinates,
    leaf_hash,
    root_of,
)

__all__ = ["LEASE", "PostgresLedger"]

LEASE = timedelta(seconds=3)
_CHANGE_CHANNEL = "gatekeeper_change"
_NOWHERE = (None, None)
_NONE: tuple[Any, ...] = ((),) * len(SealedEntry._fields)
_BEGINNING = LogStart(size=0, hashes=b"")
# While a proof counts a scan that was held back could come yet; so many entries at most, for a long log is to take no longer.
_GIVEN_UP_WITHIN, _LOOKED_THROUGH = timedelta(minutes=2), 1 << 16
_queries = Queries("gatekeeper.adapters.postgres", "ledger")
_Boot: TypeAlias = tuple[GateId, BootId, bool]
"""A boot of a gate, or a journal of it, and which of the two."""


class PostgresLedger:
    """One engine's way to its site's log.

    Few connections: one commits and nothing else, one holds the lease, one forgets, one looks for what is over its period,
    one does the rest. A connection that fails is replaced at the next call; what was under way then is for the caller to repeat.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._committing = Line(dsn)
        self._reading = Line(dsn)
        self._leasing = Line(dsn)
        self._forgetting = Line(dsn)  # of its own: it may look long
        self._sweeping = Line(dsn)  # likewise

    async def close(self) -> None:
        """Close the connections; the lease of a closed connection is free at once."""
        for line in (self._committing, self._reading, self._leasing, self._forgetting, self._sweeping):
            await line.close()

    # -- owning ---------------------------------------------------------------------------------------------------

    async def claim(self, site: SiteId, *, owner: str) -> int | None:
        """Own the site from now on, under a new epoch; None while another engine is alive and owns it."""
        async with self._leasing.use() as connection:
            epoch = await connection.fetchval(_queries.claim, site, owner, LEASE)
            return None if epoch is None else int(epoch)

    async def size(self, site: SiteId) -> int:
        """How many entries the log of a site holds."""
        async with self._reading.use() as connection:
            return int(await connection.fetchval(_queries.log_size, site))

    async def make_months(self) -> None:
        """Make room for the entries of this month and the next."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.make_months)

    async def renew(self, site: SiteId, *, epoch: int) -> None:
        """Go on owning the site. Raises LedgerUnavailableError, too, when that takes as long as the lease."""
        try:
            async with asyncio.timeout(LEASE.total_seconds()), self._leasing.use() as connection:
                renewed = await connection.fetchval(_queries.renew, site, epoch, LEASE)
        except TimeoutError as error:
            raise LedgerUnavailableError("the database does not answer in time") from error
        if renewed is None:
            raise SiteLostError(f"{site} is owned under another epoch than {epoch}")

    # -- committing -----------------------------------------------------------------------------------------------

    async def commit(self, site: SiteId, *, epoch: int, batch: Batch) -> None:
        """Commit a batch whole or not at all."""
        try:
            async with self._committing.use() as connection:
                await self._commit(connection, site, epoch, batch)
        except asyncpg.PostgresError as error:
            if error.sqlstate not in {"GK001", "GK002"}:
                if batch.doomed is None:
                    raise
                raise DeletionOutdatedError(f"the deletion failed: {error}") from error
            if error.sqlstate == "GK002" and await self._is_in(site, epoch, batch):
                return
            raise SiteLostError(str(error)) from error

    async def _commit(self, connection: Any, site: SiteId, epoch: int, batch: Batch) -> None:
        if not batch.writes and not batch.settled and batch.doomed is None:
            await _put(connection, site, epoch, batch)
            return
        async with connection.transaction():
            await _put(connection, site, epoch, batch)
            await _settle(connection, site, batch.settled)
            await _write(connection, site, batch.writes)
            if batch.doomed is not None:
                await retention.delete(connection, site, batch.doomed)

    async def _is_in(self, site: SiteId, epoch: int, batch: Batch) -> bool:
        """Whether a batch that seemed to fail went in after all: the head is exactly where it puts it."""
        async with self._reading.use() as connection:
            if await connection.fetchval(_queries.epoch, site) != epoch:
                return False
            for head in batch.heads:
                row = await connection.fetchrow(_queries.head, site, head.tree)
                if row is None or row["size"] != head.size or row["root"] != head.root:
                    return False
        return True

    # -- taking over ----------------------------------------------------------------------------------------------

    async def load(self, site: SiteId, *, epoch: int) -> Loaded:
        """Everything an engine needs to go on where the last commit ended."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.make_months)
            state = await connection.fetchrow(_queries.site_state, site, epoch)
            if state is None:
                raise SiteLostError(f"{site} is owned under another epoch than {epoch}")
            boots = [
                (GateId(row["gate"]), BootId(row["boot"]), bool(row["journal"]))
                for row in await connection.fetch(_queries.boots, site)
            ]
            live = _newest_boots(boots)
            receipts = await connection.fetch(
                _queries.recent_receipts,
                site,
                [gate for gate, _, _ in live],
                [boot for _, boot, _ in live],
                SEQUENCE_WINDOW,
                [journal for _, _, journal in live],
            )
            edges = await _edges(connection, site)
            size, _ = edges.get(SITE_TREE, (0, []))
            return Loaded(
                epoch=epoch,
                trust=await connection.fetchval(_queries.newest_document, site, "trust"),
                policy=await connection.fetchval(_queries.newest_document, site, "policy"),
                alert=state["alert"],
                lockdowns=frozenset(state["lockdowns"]),
                holders=[_holder(row) for row in await connection.fetch(_queries.holders, site)],
                badges=[_badge(row) for row in await connection.fetch(_queries.badges, site)],
                presences=[_presence(row) for row in await connection.fetch(_queries.presences, site)],
                usage={
                    row["badge"]: _usage(row) for row in await connection.fetch(_queries.badge_uses, site)
                },
                opened={
                    (row["zone"], row["grant_seq"]): row["opened_at"]
                    for row in await connection.fetch(_queries.zones_opened, site)
                },
                suspended=frozenset(state["suspended"]),
                receipts=[_receipt(row) for row in receipts],
                closed_boots=[
                    (gate, boot) for gate, boot, journal in boots if (gate, boot, journal) not in set(live)
                ],
                edges=edges,
                roots={row["tree"]: row["root"] for row in await connection.fetch(_queries.heads, site)},
                operators=[operator_of(row) for row in await connection.fetch(_queries.operators, site)],
                proposals=[
                    proposal_of(row) for row in await connection.fetch(_queries.waiting_proposals, site)
                ],
                holds=frozenset(row["scope"] for row in await connection.fetch(_queries.legal_holds, site)),
                erased=frozenset(
                    row["holder"] for row in await connection.fetch(_queries.erased_persons, site)
                ),
                lockdown_entries=tuple(
                    (row["seq"], row["at"], row["body"])
                    for row in await connection.fetch(_queries.lockdown_entries, site)
                ),
                given_up=tuple(
                    (row["seq"], row["at"], row["body"])
                    for row in await connection.fetch(
                        _queries.given_up, site, size - _LOOKED_THROUGH, _GIVEN_UP_WITHIN
                    )
                ),
                links=tuple(link_of(row) for row in await connection.fetch(_queries.links, site)),
                silence_entries=tuple(
                    (row["seq"], row["at"], row["body"])
                    for row in await connection.fetch(_queries.silence_entries, site)
                ),
            )

    async def open_trees(self, site: SiteId, trees: Sequence[str]) -> None:
        """Give every tree that has none its empty head."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.open_heads, site, list(trees), EMPTY_ROOT)

    async def found(self, site: SiteId) -> None:
        """Make the row of a new site; does nothing when it is there."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.make_months)
            await connection.execute(_queries.found_site, site)

    # -- forgetting -----------------------------------------------------------------------------------------------

    async def plain_names(self, site: SiteId, *, most: int) -> Mapping[HolderId, str]:
        """Names that a former version kept as they are, `most` at most."""
        async with self._reading.use() as connection:
            rows = await connection.fetch(_queries.plain_names, site, most)
            return {row["holder"]: row["plain_name"] for row in rows}

    async def seal_names(self, site: SiteId, names: Mapping[HolderId, bytes]) -> None:
        """Keep these names sealed."""
        async with self._reading.use() as connection:
            await connection.executemany(
                _queries.seal_name, [(site, holder, name) for holder, name in names.items()]
            )

    async def unforgotten(self, site: SiteId) -> Sequence[HolderId]:
        """Who is being forgotten."""
        async with self._forgetting.use() as connection:
            return [row["holder"] for row in await connection.fetch(_queries.unforgotten, site)]

    async def erasure(self, site: SiteId, holder: HolderId) -> StoredEntry | None:
        """The entry by which somebody was forgotten, as the row says; None when it names none."""
        async with self._forgetting.use() as connection:
            row = await connection.fetchrow(_queries.erasure, site, holder)
            return None if row is None else entry_of(row)

    async def let_go(self, site: SiteId, holder: HolderId, *, most: int) -> int:
        """Let receipts and sealed parts name somebody no more, `most` of each at most; give the larger number."""
        async with self._forgetting.use() as connection:
            receipts = await connection.execute(_queries.let_go_receipts, site, holder, most)
            parts = await connection.execute(_queries.let_go_personal, site, holder, most, FORGOTTEN)
            return max(_touched(receipts), _touched(parts))

    async def forgotten(self, site: SiteId, holder: HolderId) -> None:
        """Somebody is forgotten, also in the vault."""
        async with self._forgetting.use() as connection:
            await connection.execute(_queries.forgotten, site, holder)

    # -- beside the log -------------------------------------------------------------------------------------------

    async def bury(self, site: SiteId, letters: Sequence[DeadLetter]) -> None:
        """Keep refused bytes with their reason."""
        async with self._reading.use() as connection:
            await connection.execute(
                _queries.bury,
                site,
                [letter.at for letter in letters],
                [letter.topic for letter in letters],
                [letter.gate for letter in letters],
                [letter.code for letter in letters],
                [letter.detail for letter in letters],
                [letter.payload for letter in letters],
            )

    async def keep_links(self, site: SiteId, *, epoch: int, rows: Sequence[GateLinkRow]) -> None:
        """Keep what is known of all gates' links, and of no other gate; nothing when the epoch is not ours any more."""
        async with self._reading.use() as connection:
            await connection.execute(
                _queries.keep_links,
                site,
                epoch,
                [row.gate for row in rows],
                [row.heard.state.value for row in rows],
                [row.heard.since for row in rows],
                [row.heard.heard_at for row in rows],
                [row.heard.snapshot for row in rows],
                [row.made for row in rows],
            )

    async def checkpoint(
        self, site: SiteId, *, tree: str, size: int, root: bytes, note: bytes, at: datetime
    ) -> None:
        """Keep a signed checkpoint."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.put_checkpoint, site, tree, size, root, note, at)

    async def newest_checkpoints(self, site: SiteId) -> Sequence[SignedCheckpoint]:
        """The last signed checkpoint of every tree that has one."""
        async with self._reading.use() as connection:
            rows = await connection.fetch(_queries.newest_checkpoints, site)
            return [SignedCheckpoint(**row) for row in rows]

    async def full_tiles(
        self, site: SiteId, tree: str, wanted: Collection[TileCoordinates]
    ) -> Sequence[Tile]:
        """Those of these tiles that are full, in no order."""
        levels, indexes = [one.level for one in wanted], [one.index for one in wanted]
        async with self._reading.use() as connection:
            rows = await connection.fetch(_queries.full_tiles, site, tree, levels, indexes)
            return [Tile(width=TILE_WIDTH, **row) for row in rows]

    async def keep_cosignatures(
        self, site: SiteId, *, tree: str, size: int, cosignatures: Sequence[NoteSignature], at: datetime
    ) -> None:
        """Keep what witnesses said of a checkpoint that is kept; of every hour the last stays."""
        names = [one.name for one in cosignatures]
        key_ids = [one.key_id for one in cosignatures]
        signatures = [one.signature for one in cosignatures]
        async with self._reading.use() as connection:
            await connection.execute(
                _queries.put_cosignatures, site, tree, size, at, names, key_ids, signatures
            )

    async def keep_timestamp(self, site: SiteId, *, tree: str, size: int, reply: bytes, at: datetime) -> None:
        """Keep what a time-stamping authority said of a tree's checkpoint of this size."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.put_timestamp, site, tree, size, reply, at)

    async def timestamped(self, site: SiteId) -> Mapping[str, tuple[int, datetime]]:
        """For each tree: the size that was stamped last, and when."""
        async with self._reading.use() as connection:
            rows = await connection.fetch(_queries.last_timestamps, site)
            return {row["tree"]: (row["size"], row["at"]) for row in rows}

    async def changes(self, site: SiteId, *, most: int | None = None) -> Sequence[StoredChange]:
        """The changes that wait, oldest first, `most` at most."""
        async with self._reading.use() as connection:
            rows = await connection.fetch(_queries.waiting_changes, site, most)
            return [
                StoredChange(id=row["change"], document=row["document"], name=row["name"]) for row in rows
            ]

    async def change_arrivals(self, site: SiteId) -> AsyncIterator[None]:
        """Yield whenever a change may have arrived, and at least once a second; for ever."""
        arrived = asyncio.Event()
        listening: Any = None
        try:
            while True:
                if listening is None or listening.is_closed():
                    with suppress(*FAILURES):
                        listening = await connect(self._dsn)
                        await listening.add_listener(
                            _CHANGE_CHANNEL, lambda *event: arrived.set() if event[3] == site else None
                        )
                yield None
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await arrived.wait()
                arrived.clear()
        finally:
            if listening is not None:
                listening.terminate()

    async def doomed(self, site: SiteId, due: Due, *, since: int, most: int) -> Doomed | None:
        """The oldest rows, so many at most, that are due from a number on; None when none is."""
        async with self._sweep() as connection:
            return await retention.find(connection, site, due, since=since, most=most)

    async def drop_months(self, *, before: datetime) -> Sequence[str]:
        """Drop the months before an instant that hold nothing any more, of any site; their names."""
        dropped: list[str] = []
        async with self._sweep() as connection:
            while (month := await retention.drop_empty_month(connection, before=before)) is not None:
                dropped.append(month)
        return dropped

    @asynccontextmanager
    async def _sweep(self) -> AsyncIterator[Any]:
        """What cannot be looked for waits, whatever the reason: no fault here may stop the one who opens doors."""
        try:
            async with self._sweeping.use() as connection:
                yield connection
        except (asyncpg.PostgresError, ValueError, KeyError) as error:
            raise LedgerUnavailableError(f"what is over its period cannot be looked for: {error}") from error

    async def announce(self, site: SiteId, *, size: int) -> None:
        """Tell those who watch that the log has grown."""
        async with self._reading.use() as connection:
            await connection.execute(_queries.announce, site, size)


async def _put(connection: Any, site: SiteId, epoch: int, batch: Batch) -> None:
    """Commit in one statement, the shorter where there are entries only: it costs less to say and to begin."""
    arguments = _log_arguments(site, epoch, batch)
    if batch.moved or batch.receipts or batch.usage or batch.opened:
        await connection.fetchval(_queries.commit_batch, *arguments, *_scan_arguments(batch))
    else:
        await connection.fetchval(_queries.commit_entries, *arguments)


def _log_arguments(site: SiteId, epoch: int, batch: Batch) -> list[Any]:
    heads, entries, tiles = batch.heads, batch.entries, batch.tiles
    seqs, instants, kinds, bodies, tenants, persons, sealed = zip(*entries, strict=True) if entries else _NONE
    first = seqs[0] if seqs else 0
    if seqs != tuple(range(first, first + len(seqs))):
        raise ValueError("the entries of a batch are numbered one after the other")
    places = [(*one, _NOWHERE, _NOWHERE)[:2] for one in tenants]
    return [
        site,
        epoch,
        # heads
        [head.tree for head in heads],
        [head.old_size for head in heads],
        [head.size for head in heads],
        [head.root for head in heads],
        # entries
        first,
        _shortened(instants),
        kinds,
        bodies,
        [tenant for (tenant, _), _ in places],
        [index for (_, index), _ in places],
        [owner for _, (owner, _) in places],
        [index for _, (_, index) in places],
        # personal parts
        persons,
        sealed,
        # tiles
        [tree for tree, _ in tiles],
        [tile.level for _, tile in tiles],
        [tile.index for _, tile in tiles],
        [tile.hashes for _, tile in tiles],
    ]


def _shortened(instants: Sequence[datetime]) -> Sequence[datetime]:
    """Instants without the last ones that are all the same, but for the first of these: a batch mostly has one."""
    end = len(instants)
    while end > 1 and instants[end - 2] == instants[-1]:
        end -= 1
    return instants[:end]


def _scan_arguments(batch: Batch) -> list[Any]:
    moved, receipts = batch.moved, batch.receipts
    boots = [receipt for receipt in receipts if receipt.opens_boot]
    return [
        # whereabouts
        [presence.holder for presence in moved],
        [presence.zone for presence in moved],
        [presence.since for presence in moved],
        [presence.quality.value for presence in moved],
        [presence.access_point for presence in moved],
        [presence.seq for presence in moved],
        [presence.host for presence in moved],
        [presence.came_with for presence in moved],
        # receipts
        [receipt.gate for receipt in receipts],
        [receipt.boot for receipt in receipts],
        [receipt.sequence for receipt in receipts],
        [receipt.digest for receipt in receipts],
        [receipt.seq for receipt in receipts],
        [int(receipt.verdict) for receipt in receipts],
        [receipt.issued for receipt in receipts],
        [receipt.holder for receipt in receipts],
        [receipt.signed for receipt in receipts],
        # boots
        [receipt.gate for receipt in boots],
        [receipt.boot for receipt in boots],
        [receipt.seq for receipt in boots],
        # usage of badges, and zones that were opened
        list(batch.usage),
        [usage.uses for usage in batch.usage.values()],
        [usage.last_at for usage in batch.usage.values()],
        [usage.last_point for usage in batch.usage.values()],
        [_instants(usage.failures) for usage in batch.usage.values()],
        [usage.locked_until for usage in batch.usage.values()],
        [usage.pin_tries for usage in batch.usage.values()],
        [usage.pin_blocked_until for usage in batch.usage.values()],
        [zone for zone, _ in batch.opened],
        [grant for _, grant in batch.opened],
        list(batch.opened.values()),
        [receipt.journal for receipt in boots],
    ]


async def _settle(connection: Any, site: SiteId, settled: Sequence[Receipt]) -> None:
    await connection.executemany(
        _queries.settle_receipt,
        [
            (
                site,
                one.gate,
                one.boot,
                one.sequence,
                one.seq,
                int(one.verdict),
                one.issued,
                one.holder,
                one.signed,
            )
            for one in settled
        ],
    )


async def _write(connection: Any, site: SiteId, writes: Writes) -> None:
    if writes.alert is not None or writes.lockdowns is not None or writes.suspended is not None:
        lockdowns = None if writes.lockdowns is None else sorted(writes.lockdowns)
        suspended = None if writes.suspended is None else sorted(writes.suspended)
        await connection.execute(_queries.set_state, site, writes.alert, lockdowns, suspended)
    await connection.executemany(_queries.forget_presence, [(site, holder) for holder in writes.forgiven])
    await connection.executemany(
        _queries.put_document, [(site, kind, seq, content) for kind, seq, content in writes.documents]
    )
    await connection.executemany(
        _queries.put_holder,
        [
            (site, holder.record.id, holder.tenant, holder.name, holder.record.document, list(holder.badges))
            for holder in writes.holders
        ],
    )
    await connection.executemany(_queries.put_badge, [_badge_row(site, badge) for badge in writes.badges])
    await connection.executemany(
        _queries.set_badge_state,
        [(site, badge, state.value, sorted(by), at) for badge, state, by, at in writes.badge_states],
    )
    await connection.executemany(
        _queries.put_operator, [(site, one.id, one.tenant, one.document) for one in writes.operators]
    )
    await _write_proposals(connection, site, writes)
    await _write_holds(connection, site, writes)
    await connection.executemany(
        _queries.conclude_change,
        [(site, one.change, one.code, one.detail, one.seq, one.forgets) for one in writes.outcomes],
    )
    # Last: what the same commit wrote of who is forgotten goes too.
    await connection.executemany(
        _queries.erase_person, [(site, holder, seq) for holder, seq in writes.erased]
    )


async def _write_holds(connection: Any, site: SiteId, writes: Writes) -> None:
    for scope, seq in writes.holds:
        if seq is None:
            await connection.execute(_queries.lift_hold, site, scope)
        else:
            await connection.execute(_queries.put_hold, site, scope, seq)


async def _write_proposals(connection: Any, site: SiteId, writes: Writes) -> None:
    await connection.executemany(
        _queries.put_proposal,
        [
            (
                site,
                one.digest,
                one.document,
                one.change,
                one.tenant,
                one.author,
                one.kind,
                one.subject,
                list(one.gives),
                one.base,
                one.seq,
                one.expires,
                one.person,
            )
            for one in writes.proposals
        ],
    )
    # One that was made and approved within one commit has just been put there.
    await connection.executemany(
        _queries.end_proposal, [(site, digest, ending.value, seq) for digest, ending, seq in writes.endings]
    )


def _badge_row(site: SiteId, badge: StoredBadge) -> tuple[Any, ...]:
    technology = None if badge.card is None else int(badge.card.technology)
    number = None if badge.card is None else badge.card.number
    return (
        site,
        badge.record.id,
        badge.tenant,
        badge.holder,
        badge.record.token,
        badge.record.state.value,
        technology,
        number,
        sorted(badge.record.stopped_by),
        badge.record.stopped_at,
    )


def _touched(status: str) -> int:
    """How many rows a statement touched, by what the server says of it ("UPDATE 7")."""
    return int(status.rpartition(" ")[2])


def _newest_boots(boots: Sequence[_Boot]) -> list[_Boot]:
    """Of each gate its newest boots, and its newest journals."""
    by_kind: dict[tuple[GateId, bool], list[_Boot]] = {}
    for gate, boot, journal in boots:
        by_kind.setdefault((gate, journal), []).append((gate, boot, journal))
    return [boot for known in by_kind.values() for boot in known[-retention.KEPT_BOOTS :]]


def _holder(row: Any) -> StoredHolder:
    return StoredHolder(
        record=HolderRecord(id=row["holder"], document=row["document"]),
        tenant=row["tenant"],
        name=row["name"],
        badges=tuple(row["badges"]),
    )


def _badge(row: Any) -> StoredBadge:
    technology = row["card_technology"]
    return StoredBadge(
        record=BadgeRecord(
            id=row["badge"],
            token=row["token"],
            state=BadgeState(row["state"]),
            stopped_by=frozenset(row["stopped_by"]),
            stopped_at=row["stopped_at"],
        ),
        tenant=row["tenant"],
        holder=row["holder"],
        card=None if technology is None else Card(CardTechnology(technology), row["card_number"]),
    )


def _presence(row: Any) -> Presence:
    return Presence(
        holder=row["holder"],
        zone=row["zone"],
        since=row["since"],
        quality=Quality(row["quality"]),
        access_point=row["access_point"],
        seq=row["seq"],
        host=row["host"],
        came_with=row["came_with"],
    )


def _usage(row: Any) -> Usage:
    return Usage(
        uses=row["uses"],
        last_at=row["last_at"],
        last_point=row["last_point"],
        failures=tuple(datetime.fromisoformat(at) for at in row["failures"].split()),
        locked_until=row["locked_until"],
        pin_tries=row["pin_tries"],
        pin_blocked_until=row["pin_blocked_until"],
    )


def _instants(instants: Sequence[datetime]) -> str:
    """Instants as one text: an array within an array of a statement must be as long as its neighbours."""
    return " ".join(at.isoformat() for at in instants)


def _receipt(row: Any) -> Receipt:
    return Receipt(
        gate=row["gate"],
        boot=row["boot"],
        sequence=row["sequence"],
        digest=row["digest"],
        seq=row["seq"],
        verdict=Verdict(row["verdict"]),
        issued=row["issued"],
        holder=row["holder"],
        signed=row["answer"],
        journal=row["journal"],
    )


async def _edges(connection: Any, site: SiteId) -> dict[str, tuple[int, list[bytes]]]:
    """Where each tree ends: its size, and its incomplete rightmost tiles."""
    starts = await retention.log_starts(connection, site)
    return {
        row["tree"]: (
            row["size"],
            await _edge(connection, site, row["tree"], row["size"], starts.get(row["tree"], _BEGINNING)),
        )
        for row in await connection.fetch(_queries.heads, site)
    }


async def _edge(connection: Any, site: SiteId, tree: str, size: int, start: LogStart) -> list[bytes]:
    """The incomplete rightmost tile of each level: leaves from the bodies, the levels above from full tiles below.

    Of a quiet tree the last bodies may be gone; what the tile needs of them was kept.
    """
    first = size - size % TILE_WIDTH
    if tree == SITE_TREE:
        rows = await connection.fetch(_queries.site_tail, site, first)
    else:
        rows = await connection.fetch(
            _queries.tenant_tail, site, tree.removeprefix(TENANT_TREE_PREFIX), first
        )
    kept = start.hashes if start.size > first else b""
    edge = [kept + b"".join(leaf_hash(row["body"]) for row in rows)] if size else []
    level, width = 0, size // TILE_WIDTH
    while width:
        begin = width - width % TILE_WIDTH
        tiles = await connection.fetch(_queries.tiles_from, site, tree, level, begin)
        edge.append(b"".join(_tile_root(row["hashes"]) for row in tiles))
        level, width = level + 1, width // TILE_WIDTH
    return edge


def _tile_root(hashes: bytes) -> bytes:
    return root_of(hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE))
