"""A sound log of 352 entries with three checkpoints of each tree, and what is remembered of it where no superuser reaches.

60     a checkpoint that nobody has kept
191    an auditor exported the school's tree and verified the database: the tool remembers both trees
352    a second export is allowed; a witness has cosigned its checkpoint
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
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
    Policy,
    Refused,
    Verifier,
    authenticate,
    parse_policy,
    with_cosignatures,
)
from gatekeeper.transparency.signed_checkpoint import read_checkpoint
from gatekeeper.transparency.witness import weigh
from tests.support.checkpoints import sign_heads, signed_note, verifier_of
from tests.support.fort import ARMY, NOW, PUPIL, SCHOOL, SERGEANT, Fort, Pen

__all__ = ["EARLY", "SEEN", "TREE", "Ground", "Witness", "gone_on", "ground"]

TREE = tenant_tree(SCHOOL)
"""The tree that auditors export."""
EARLY, SEEN = 60, 191
"""Sizes of the site's tree: at a checkpoint that nobody kept, and at the one that is remembered."""

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
    """A witness of the exported tree."""

    log: Verifier
    latest: Latest | None = None

    @property
    def policy(self) -> Policy:
        """The policy of an auditor who believes it."""
        text = f"log {self.log.key()}\nwitness guardian {_COSIGNER.verifier.key()}\nquorum guardian\n"
        policy = parse_policy(text.encode())
        assert isinstance(policy, Policy)
        return policy

    async def cosign(self, note: bytes, tiles: TreeTiles) -> bytes:
        """Ask for a cosignature; the note stays as it is where the witness does not give it."""
        checkpoint, known = read_checkpoint(note), 0 if self.latest is None else self.latest.size
        assert not isinstance(checkpoint, Refused)
        if known > checkpoint.size:
            return note
        grown = {"size": checkpoint.size, "leaves": (0, checkpoint.size), "export": 0}
        proofs = await proofs_of(tiles, TREE, **grown, earlier=[known])
        proof = proofs.consistency[0].hashes if proofs.consistency else ()
        asked = AddCheckpoint(old_size=known, proof=proof, note=note)
        authentic = authenticate(asked, logs={self.log.name: [self.log]})
        if not isinstance(authentic, Authentic) or not isinstance(weigh(authentic, self.latest), Accepted):
            return note
        self.latest = Latest(size=checkpoint.size, root=checkpoint.root)
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
        seen = {tree: _note(fort, tree) for tree in (TREE, SITE_TREE)}
        await _append(fort, 120, person=SERGEANT, tenants=(ARMY, SCHOOL))
        await _append(fort, 40)
        await _allow_export(fort)
        await sign_heads(fort)
        witness = Witness(verifier_of(fort.site, TREE))
        async with PostgresStoredTrees.opened(fort.dsn) as stored:
            tiles = TreeTiles(fort.site, stored)
            await witness.cosign(_note(fort, TREE), tiles)
            bodies = await tiles.bodies(TREE, 0, fort.pen.trees[TREE].size)
        assert bodies is not None
        yield Ground(
            fort=fort,
            witness=witness,
            bodies=bodies,
            seen=seen,
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
