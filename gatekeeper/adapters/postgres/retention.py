"""What is over its period, in PostgreSQL: found in batches, deleted with the entry that says so, months dropped when empty.

Finding only looks. Deleting is a part of the commit of an engine (`ledger`), and demands every row that was found.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from gatekeeper.adapters.sql import Queries
from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.core.retention import Digest, Due, Expired
from gatekeeper.core.sequences import SEQUENCE_WINDOW
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.model.retention import Kept
from gatekeeper.ports import DeletionOutdatedError, Doomed, LogStart
from gatekeeper.transparency import HASH_SIZE, TILE_WIDTH, leaf_hash

__all__ = ["KEPT_BOOTS", "delete", "drop_empty_month", "find", "log_starts", "marker"]

KEPT_BOOTS = 4
"""So many boots of a gate are known by their receipts; of older ones it is known only that they were."""

_queries = Queries("gatekeeper.adapters.postgres", "retention")
_LOCK_NOT_AVAILABLE = "55P03"


async def find(connection: Any, site: SiteId, due: Due, *, since: int, most: int) -> Doomed | None:
    """The oldest rows, so many at most, that are due from a number on; None when none is."""
    return await _FINDERS[due.kind](connection, site, due, since, most)


async def delete(connection: Any, site: SiteId, doomed: Doomed) -> None:
    """Delete a batch, within the transaction that commits the entry about it.

    Raises DeletionOutdatedError when not every row is there as it was found.
    """
    if doomed.registrations:
        done = await connection.execute(_queries.delete_registrations, site, list(doomed.registrations))
    else:
        statement = _DELETIONS[doomed.expired.kind]
        done = await connection.execute(statement, site, list(doomed.rows), doomed.since, doomed.until)
    if done != f"DELETE {doomed.expired.count}":
        raise DeletionOutdatedError(
            f"{doomed.expired.count} of {doomed.expired.kind} were found, and now {done}"
        )
    for tree, start in doomed.starts.items():
        await connection.execute(_queries.put_start, site, tree, start.size, start.hashes)


_DELETIONS: Mapping[Kept, str] = {
    Kept.PERSONAL: _queries.delete_parts,
    Kept.ENTRIES: _queries.delete_bodies,
    Kept.REFUSED: _queries.delete_letters,
    Kept.RECEIPTS: _queries.delete_receipts,
}


async def log_starts(connection: Any, site: SiteId) -> dict[str, LogStart]:
    """Where the bodies of the trees begin; of a tree that is not named, with its first."""
    return {
        row["tree"]: LogStart(size=row["size"], hashes=row["hashes"])
        for row in await connection.fetch(_queries.starts, site)
    }


async def drop_empty_month(connection: Any, *, before: datetime) -> str | None:
    """Drop the oldest month before an instant that holds nothing; None when there is none, or somebody reads it."""
    for table in ("personal", "entry"):
        try:
            dropped: str | None = await connection.fetchval(_queries.drop_month, table, before)
        except asyncpg.PostgresError as error:
            if error.sqlstate != _LOCK_NOT_AVAILABLE:
                raise
            continue
        if dropped is not None:
            return dropped
    return None


# -- finding ------------------------------------------------------------------------------------------------------------


async def _parts(connection: Any, site: SiteId, due: Due, since: int, most: int) -> Doomed | None:
    """Look a window of entries at a time: what that takes is bounded, whatever the planner knows of the tables."""
    at = since
    while (first := await connection.fetchval(_queries.next_part, site, at)) is not None:
        at = first + most
        parts = {row["seq"]: row for row in await connection.fetch(_queries.parts_between, site, first, at)}
        if all(part["at"] >= due.before for part in parts.values()):
            return None
        wanted = None if due.tenant is None else marker(due.tenant)
        bodies = await connection.fetch(_queries.bodies_with_parts, site, first, at, wanted)
        doomed = _first_run(due, bodies, parts)
        if doomed is not None:
            return doomed
    return None


def _first_run(due: Due, bodies: Sequence[Any], parts: Mapping[int, Any]) -> Doomed | None:
    """The first parts that are due, of one tenant's people, up to the first of theirs that stays or went before.

    For an entry speaks of all of theirs from here to there.
    """
    tenant: TenantId | None = None
    run: list[tuple[int, datetime, bytes]] = []
    for row in bodies:
        seq, named = row["seq"], _tenant_in(row["body"])
        part = parts.get(seq)
        goes = part is not None and _goes(due, part, named)
        if not run and goes:
            tenant = named
        if goes and named == tenant:
            run.append((seq, parts[seq]["at"], _commitment_in(row["body"])))
        elif run and named == tenant:
            break
    return _doomed(due, tenant, run)


def _goes(due: Due, part: Any, tenant: TenantId | None) -> bool:
    return part["at"] < due.before and part["person"] not in due.spared and tenant not in due.spared_tenants


_NAMES_TENANT, _COMMITS = b'"tenant":"', b'"personal":"'
_COMMITMENT_HEX = 64


def marker(tenant: TenantId) -> bytes:
    """How the canonical JSON of a body names a tenant, and nothing else in it is spelled."""
    return _NAMES_TENANT + tenant.encode() + b'"'


def _tenant_in(body: bytes) -> TenantId | None:
    """`tenant_named`, of canonical JSON, without reading all of it."""
    _, named, rest = body.partition(_NAMES_TENANT)
    return TenantId(rest[: rest.index(b'"')].decode()) if named else None


def _commitment_in(body: bytes) -> bytes:
    at = body.index(_COMMITS) + len(_COMMITS)
    return bytes.fromhex(body[at : at + _COMMITMENT_HEX].decode())


async def _bodies(connection: Any, site: SiteId, due: Due, _since: int, most: int) -> Doomed | None:
    starts = await log_starts(connection, site)
    begin = starts[SITE_TREE].size if SITE_TREE in starts else 0
    personal = await connection.fetchval(_queries.next_part, site, 0)
    rows = await connection.fetch(_queries.first_bodies, site, begin, begin + most)
    going = []
    for seq, row in enumerate(rows, begin):
        # INVARIANT: no body goes before its personal part, and none from behind one that is missing.
        if row["at"] >= due.before or row["seq"] != seq or (personal is not None and personal <= seq):
            break
        going.append(row)
    leaves = [(row["seq"], row["at"], leaf_hash(row["body"])) for row in going]
    return _doomed(due, None, leaves, starts=_starts_behind(going, starts) if going else {})


def _starts_behind(rows: Sequence[Any], starts: Mapping[str, LogStart]) -> dict[str, LogStart]:
    """Where the bodies of the trees begin when these are gone."""
    sizes = {tree: start.size for tree, start in starts.items()}
    edges = {tree: start.hashes for tree, start in starts.items()}
    for row in rows:
        leaf = leaf_hash(row["body"])
        for tree in _trees(row):
            sizes[tree] = sizes.get(tree, 0) + 1
            edge = edges.get(tree, b"") + leaf
            edges[tree] = b"" if len(edge) == TILE_WIDTH * HASH_SIZE else edge
    return {tree: LogStart(size=size, hashes=edges[tree]) for tree, size in sizes.items()}


def _trees(row: Any) -> Iterator[str]:
    yield SITE_TREE
    for tenant in (row["tenant"], row["owner"]):
        if tenant is not None:
            yield tenant_tree(tenant)


async def _letters(connection: Any, site: SiteId, due: Due, since: int, most: int) -> Doomed | None:
    rows = await connection.fetch(_queries.due_letters, site, since, due.before, most)
    hashed = [(row["number"], row["at"], hashlib.sha256(row["payload"]).digest()) for row in rows]
    return _doomed(due, None, hashed)


async def _receipts(connection: Any, site: SiteId, due: Due, _since: int, most: int) -> Doomed | None:
    rows = await connection.fetch(_queries.due_receipts, site, due.before, most, KEPT_BOOTS, SEQUENCE_WINDOW)
    return _doomed(due, None, [(row["number"], row["at"], row["digest"]) for row in rows])


_FINDERS: Mapping[Kept, Callable[..., Awaitable[Doomed | None]]] = {
    Kept.PERSONAL: _parts,
    Kept.ENTRIES: _bodies,
    Kept.REFUSED: _letters,
    Kept.RECEIPTS: _receipts,
}


def _doomed(
    due: Due,
    tenant: TenantId | None,
    rows: Sequence[tuple[int, datetime, bytes]],
    *,
    starts: Mapping[str, LogStart] | None = None,
) -> Doomed | None:
    if not rows:
        return None
    digest = Digest(due.kind)
    for number, _, hashed in rows:
        digest.add(number, hashed)
    is_placed = due.kind in {Kept.ENTRIES, Kept.PERSONAL}
    expired = Expired(
        kind=due.kind,
        tenant=tenant,
        first=rows[0][0] if is_placed else None,
        last=rows[-1][0] if is_placed else None,
        before=due.before,
        count=digest.count,
        digest=digest.value(),
    )
    instants = [at for _, at, _ in rows]
    return Doomed(
        expired=expired,
        rows=tuple(number for number, _, _ in rows),
        since=min(instants),
        until=max(instants),
        starts=starts or {},
    )
