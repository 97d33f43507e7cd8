"""A fort's log of which the first bodies are gone, as if they had expired: deleted, with what is kept of them."""

import json

from gatekeeper.transparency import leaf_hash
from tests.support.fort import TREES, Fort

__all__ = ["let_bodies_go"]


async def let_bodies_go(fort: Fort, before: int) -> None:
    """Delete the bodies before an entry, and say of every tree where its bodies begin."""
    leaves: dict[str, list[bytes]] = {tree: [] for tree in TREES}
    for row in await fort.run("SELECT body FROM entry WHERE site_id = $1 AND seq < $2 ORDER BY seq", before):
        for tree in json.loads(row["body"])["trees"]:
            leaves[tree].append(leaf_hash(row["body"]))
    await fort.run("DELETE FROM entry WHERE site_id = $1 AND seq < $2", before)
    for tree, gone in leaves.items():
        kept = b"".join(gone[len(gone) - len(gone) % 256 :])
        await fort.run(
            "INSERT INTO log_start (site_id, tree, size, hashes) VALUES ($1, $2, $3, $4)",
            tree,
            len(gone),
            kept,
        )
