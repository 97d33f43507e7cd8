"""The proof of one entry: that it is in a tree, under a checkpoint that the log signed and others may have cosigned.

A proof is made from stored tiles and held against the checkpoint before it is given away: one that does not hold is the
log's fault, and is said to be, here and not at the court to which it was carried.
"""

from collections.abc import Sequence

from gatekeeper.model.ids import SiteId
from gatekeeper.ports import StoredTrees
from gatekeeper.service.publication.tree_tiles import TreeTiles
from gatekeeper.transparency import (
    Refused,
    Tile,
    TileHashes,
    TlogProof,
    Verifier,
    inclusion_proof,
    inclusion_spans,
    leaf_hash,
    open_checkpoint,
    tiles_for,
    verify_tlog_proof,
)

__all__ = ["UnprovenError", "proof_of"]


class UnprovenError(Exception):
    """The log does not bear its own checkpoint out; the message says what to do."""


async def proof_of(
    body: bytes, index: int, *, site: SiteId, tree: str, stored: StoredTrees, verifiers: Sequence[Verifier]
) -> TlogProof | None:
    """The proof that a body is a leaf of a tree; None while no signed checkpoint covers it.

    It is made for a checkpoint that witnesses have cosigned, when one covers the entry. Raises UnprovenError and
    LedgerUnavailableError.
    """
    cosigned = await stored.cosigned_checkpoint(site, tree)
    is_witnessed = cosigned is not None and cosigned.size > index
    newest = cosigned if is_witnessed else await stored.newest_checkpoint(site, tree)
    if newest is None or newest.size <= index:
        return None
    opened = open_checkpoint(newest.note, verifiers)
    if isinstance(opened, Refused):
        raise UnprovenError(f"The log's newest checkpoint is not believed: {opened.code.sentence}")
    size = opened.checkpoint.size
    if size <= index:
        raise UnprovenError("The log's newest checkpoint says something else than its row.")
    tiles = await _tiles(TreeTiles(site, stored), tree, index, size)
    proof = TlogProof(
        index=index, hashes=tuple(inclusion_proof(index, size, TileHashes(tiles))), checkpoint=newest.note
    )
    refused = verify_tlog_proof(proof, leaf=leaf_hash(body), logs=verifiers)
    if isinstance(refused, Refused):
        raise UnprovenError(f"The log does not bear out its checkpoint: {refused.code.sentence}")
    return proof


async def _tiles(tiles: TreeTiles, tree: str, index: int, size: int) -> list[Tile]:
    found = []
    wanted = tiles_for(inclusion_spans(index, size), size)
    for at in sorted(wanted, key=lambda tile: (tile.level, tile.index)):
        hashes = await tiles.tile(tree, at)
        if hashes is None:
            raise UnprovenError(f"Tile {at.level}/{at.index} of {tree} cannot be made: audit fsck says why.")
        found.append(Tile(level=at.level, index=at.index, width=at.width, hashes=hashes))
    return found
