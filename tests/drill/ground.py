"""A sound log of 352 entries with three checkpoints of each tree, and what is remembered of it where no superuser reaches.

60     a checkpoint that nobody has kept
191    an auditor exported the school's tree and verified the database: the tool remembers both trees
352    a second export is allowed

A witness has cosigned the checkpoints of every tree at 191 and at 352
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper.adapters.postgres import PostgresStoredTrees
from gatekeeper.core.audit import SITE_TREE, Kind, tenant_tree
from gatekeeper.embedded import EmbeddedPostgres
from gatekeeper.service.engine.loading import trees_of
from gatekeeper.service.export.planning import proofs_of
from gatekeeper.service.publication import TreeTiles
from gatekeeper.transparency import (
    Accepted,
    AddCheckpoint,
    Authentic,
    Cosigner,
    Latest,
    MissingTileError,
    Policy,
    Refused,
    Verifier,
    authenticate,
    parse_note,
    parse_policy,
    with_cosignatures,
)
from gatekeeper.transparency.signed_checkpoint import read_checkpoint
from gatekeeper.transparency.witness import weigh
from tests.support.checkpoints import sign_heads, signed_note, verifier_of
from tests.support.fort import ARMY, NOW, PUPIL, SCHOOL, SERGEANT, TREES, Fort, Pen

__all__ = ["EARLY", "SEEN", "TREE", "Ground", "Witness", "ask_witness", "gone_on", "ground"]

TREE = tenant_tree(SCHOOL)
"""The tree that auditors export."""
EARLY, SEEN = 60, 191
"""Sizes of the site's tree: at a checkpoint that nobody kept, and at the one that is remembered."""

_TWO_HOURS = timedelta(hours=2)
_EXPORT = {
    "tree": TREE,
    "openings": True,
    "reason": "yearly review",
    "by": ARMY,
    "author": "auditor",
    "approved_by": "officer",
}
_COSIGNER = Cosigner(
    name="witness.example/one",
    private_key=Ed25519PrivateKey.from_private_bytes(sha256(b"a witness for tests").digest()),
)


@dataclass(slots=True)
class Witness:
    """A witness of every tree of the site."""

    logs: Mapping[str, Verifier]
    latest: dict[str, Latest] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        """The policy of an auditor who believes it."""
        text = f"log {self.logs[TREE].key()}\nwitness guardian {_COSIGNER.verifier.key()}\nquorum guardian\n"
        policy = parse_policy(text.encode())
        assert isinstance(policy, Policy)
        return policy

    async def cosign(self, tree: str, note: bytes, tiles: TreeTiles) -> bytes:
        """Ask for a cosignature; the note stays as it is where the witness does not give it."""
        checkpoint, latest, log = read_checkpoint(note), self.latest.get(tree), self.logs[tree]
        assert not isinstance(checkpoint, Refused)
        known = 0 if latest is None else latest.size
        if known > checkpoint.size:
            return note
        grown = {"size": checkpoint.size, "leaves": (0, checkpoint.size), "export": 0}
        proofs = await proofs_of(tiles, tree, **grown, earlier=[known])
        proof = proofs.consistency[0].hashes if proofs.consistency else ()
        asked = AddCheckpoint(old_size=known, proof=proof, note=note)
        authentic = authenticate(asked, logs={log.name: [log]})
        if not isinstance(authentic, Authentic) or not isinstance(weigh(authentic, latest), Accepted):
            return note
        self.latest[tree] = Latest(size=checkpoint.size, root=checkpoint.root)
        return with_cosignatures(note, [_COSIGNER.cosign(checkpoint.text(), time=int(NOW.timestamp()))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The log, and what was true of it before anybody laid a hand on it."""

    fort: Fort
    witness: Witness
    bodies: Sequence[bytes]
    """Of the exported tree, as they were committed."""
    seen: Mapping[str, bytes]
    """The notes of the exported tree and of the site's that the auditor's tool remembers."""

    async def run(self, sql: str, *arguments: Any) -> list[Any]:
        """What a superuser does to the rows of this site, `$1`."""
        return await self.fort.run(sql, *arguments)


@asynccontextmanager
async def ground(server: EmbeddedPostgres) -> AsyncIterator[Ground]:
    """Write the log."""
    async with Fort.opened(server) as fort:
        await _append(fort, EARLY, person=SERGEANT, tenants=(ARMY, SCHOOL))
        await sign_heads(fort)
        await _append(fort, 100, person=PUPIL)
        await _append(fort, SEEN - EARLY - 101, tenants=())
        await _allow_export(fort)
        await sign_heads(fort)
        witness = Witness({tree: verifier_of(fort.site, tree) for tree in TREES})
        await ask_witness(fort, witness, at=NOW - _TWO_HOURS)
        seen = {tree: _note(fort, tree) for tree in (TREE, SITE_TREE)}
        await _append(fort, 120, person=SERGEANT, tenants=(ARMY, SCHOOL))
        await _append(fort, 40)
        await _allow_export(fort)
        await sign_heads(fort)
        await ask_witness(fort, witness)
        async with PostgresStoredTrees.opened(fort.dsn) as stored:
            bodies = await TreeTiles(fort.site, stored).bodies(TREE, 0, fort.pen.trees[TREE].size)
        assert bodies is not None
        yield Ground(
            fort=fort,
            witness=witness,
            bodies=bodies,
            seen=seen,
        )


async def ask_witness(fort: Fort, witness: Witness, *, at: datetime = NOW) -> None:
    """As an engine does: the newest checkpoint of every tree is shown, and of every hour the last cosignature is kept."""
    rows = await fort.run(
        "SELECT DISTINCT ON (tree) tree, size, note FROM checkpoint WHERE site_id = $1 ORDER BY tree, size DESC"
    )
    async with PostgresStoredTrees.opened(fort.dsn) as stored:
        for row in rows:
            try:
                note = parse_note(
                    await witness.cosign(row["tree"], row["note"], TreeTiles(fort.site, stored))
                )
            except MissingTileError:
                continue
            assert not isinstance(note, Refused)
            await fort.ledger.keep_cosignatures(
                fort.site, tree=row["tree"], size=row["size"], cosignatures=note.signatures[1:], at=at
            )


async def gone_on(begun: Ground) -> Ground:
    """An engine takes the site over as it is now, and an auditor asks it for another export.

    Raises SiteUnusableError when it finds no tree to go on from.
    """
    fort = begun.fort
    loaded = await fort.ledger.load(fort.site, epoch=fort.epoch)
    fort = replace(fort, pen=Pen(fort.site, trees_of(loaded)))
    await _append(fort, 300, person=PUPIL)
    await _allow_export(fort)
    await sign_heads(fort)
    return replace(begun, fort=fort)


def _note(fort: Fort, tree: str) -> bytes:
    grown = fort.pen.trees[tree]
    return signed_note(fort.site, tree, grown.size, grown.root())


async def _append(fort: Fort, entries: int, **parts: Any) -> None:
    await fort.commit(fort.pen.write(entries, **parts))


async def _allow_export(fort: Fort) -> None:
    await _append(fort, 1, kind=Kind.LOG_EXPORTED, public=_EXPORT)
