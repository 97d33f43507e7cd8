"""The hand of a superuser: all rows of a log taken out, altered, and laid back as if an engine had written them.

He knows the program, and where it helps him he has the persons' keys and the log's own: what he cannot do is make two
bodies of one hash, or unsay a checkpoint that lies somewhere else.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gatekeeper.core.audit import canonical_json, instant, tenant_tree
from gatekeeper.model.ids import HolderId
from gatekeeper.service.engine.sealing import open_personal
from gatekeeper.transparency import Tree, leaf_hash
from tests.support.checkpoints import signed_note
from tests.support.fort import ARMY, KEYS, NOW, SCHOOL, TREES, Fort

__all__ = ["Row", "cut_off", "lay_back", "rebuild", "sealed", "sign_anew", "take_out"]


@dataclass(slots=True)
class Row:
    """An entry and its personal part, in the clear."""

    body: dict[str, Any]
    person: HolderId | None
    plaintext: bytes | None


async def take_out(fort: Fort) -> list[Row]:
    """Read the whole log."""
    return [
        Row(
            body=orjson.loads(row["body"]),
            person=row["person"],
            plaintext=None
            if row["sealed"] is None
            else open_personal(row["sealed"], key=KEYS[row["person"]], site=fort.site, seq=row["seq"]),
        )
        for row in await fort.run(
            "SELECT seq, body, person, sealed FROM entry LEFT JOIN personal USING (site_id, seq, at)"
            " WHERE site_id = $1 ORDER BY seq"
        )
    ]


async def lay_back(fort: Fort, rows: Sequence[Row]) -> None:
    """Number rows anew, in the bodies and beside them, seal their parts again, and let them be the log."""
    for table in ("entry", "personal"):
        await fort.run(f"DELETE FROM {table} WHERE site_id = $1")
    sizes = dict.fromkeys(TREES, 0)
    for seq, row in enumerate(rows):
        row.body["seq"] = seq
        for name in row.body["trees"]:
            row.body["trees"][name] = sizes[name]
            sizes[name] += 1
    await fort.run(
        "INSERT INTO entry (site_id, seq, at, kind, body, tenant, tenant_index, owner, owner_index) SELECT $1, * FROM"
        " unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::bytea[], $6::text[], $7::bigint[], $8::text[], $9::bigint[])",
        *_columns([_filed(row.body) for row in rows]),
    )
    await fort.run(
        "INSERT INTO personal (site_id, seq, at, person, sealed) SELECT $1, * FROM"
        " unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::bytea[])",
        *_columns([sealed(fort, row) for row in rows if row.plaintext is not None]),
    )
    await rebuild(fort)


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _filed(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """As the ledger files an entry: the first tenant that it concerns is the holder's, the second the zone's owner."""
    trees = body["trees"]
    of = [(name, trees[tenant_tree(name)]) for name in (ARMY, SCHOOL) if tenant_tree(name) in trees]
    holders, owners = [*of, (None, None), (None, None)][:2]
    return (body["seq"], instant(body["at"]), body["kind"], canonical_json(body), *holders, *owners)


def sealed(fort: Fort, row: Row) -> tuple[Any, ...]:
    """A row's personal part, sealed for its place under its person's key."""
    assert row.person is not None
    assert row.plaintext is not None
    seq = row.body["seq"]
    _, part = fort.pen.sealer.encrypt(row.person, row.plaintext, seq, secrets.token_bytes(12))
    return seq, instant(row.body["at"]), row.person, part


async def rebuild(fort: Fort) -> None:
    """Make every tile and head anew from the bodies as they are now."""
    trees = {name: Tree.empty() for name in TREES}
    await fort.run("DELETE FROM tile WHERE site_id = $1")
    for row in await fort.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq"):
        for name in orjson.loads(row["body"])["trees"]:
            for tile in trees[name].append([leaf_hash(row["body"])]):
                await fort.run(
                    "INSERT INTO tile (site_id, tree, level, index, hashes) VALUES ($1, $2, $3, $4, $5)",
                    *(name, tile.level, tile.index, tile.hashes),
                )
    for name, tree in trees.items():
        await fort.run(
            "UPDATE tree_head SET size = $3, root = $4 WHERE site_id = $1 AND tree = $2",
            *(name, tree.size, tree.root()),
        )


async def sign_anew(fort: Fort) -> None:
    """With the log's own key, stolen: a checkpoint where each stood that still can, and of every head.

    What stands as it was is left alone, with the cosignatures that it has.
    """
    stood = await fort.run(
        "SELECT tree, size, root FROM checkpoint WHERE site_id = $1 UNION SELECT tree, size, NULL FROM tree_head WHERE site_id = $1"
    )
    wanted = {
        (row["tree"], row["size"]): row["root"] for row in sorted(stood, key=lambda row: row["root"] or b"")
    }
    trees = {name: Tree.empty() for name in TREES}
    await fort.run(
        "DELETE FROM checkpoint USING tree_head AS head WHERE checkpoint.site_id = $1 AND head.site_id = $1"
        " AND head.tree = checkpoint.tree AND checkpoint.size > head.size"
    )
    for row in await fort.run("SELECT body FROM entry WHERE site_id = $1 ORDER BY seq"):
        for name in orjson.loads(row["body"])["trees"]:
            tree = trees[name]
            tree.append([leaf_hash(row["body"])])
            if (name, tree.size) not in wanted or wanted[name, tree.size] == tree.root():
                continue
            await fort.run(
                "DELETE FROM checkpoint WHERE site_id = $1 AND tree = $2 AND size = $3", name, tree.size
            )
            note = signed_note(fort.site, name, tree.size, tree.root())
            await fort.ledger.checkpoint(
                fort.site, tree=name, size=tree.size, root=tree.root(), note=note, at=NOW
            )


async def cut_off(fort: Fort, size: int) -> None:
    """Let the log be what it was at a size: entries, parts, tiles, heads and checkpoints beyond it are gone."""
    for table in ("entry", "personal"):
        await fort.run(f"DELETE FROM {table} WHERE site_id = $1 AND seq >= $2", size)
    await rebuild(fort)
    await fort.run(
        "DELETE FROM checkpoint USING tree_head AS head WHERE checkpoint.site_id = $1 AND head.site_id = $1"
        " AND head.tree = checkpoint.tree AND checkpoint.size > head.size"
    )
