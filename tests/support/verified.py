"""A fort's log, signed and verified as who looks at it from outside does."""

import hashlib
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatekeeper.adapters.postgres import PostgresReading
from gatekeeper.core.audit import SITE_TREE
from gatekeeper.model.ids import HolderId
from gatekeeper.model.retention import Retention
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.service.verification import Report, SavedCheckpoint, verify_log
from gatekeeper.transparency import Checkpoint, SignatureType, Signer, Verifier, sign_checkpoint
from tests.support.fort import KEYS, NOW, TREES, Fort

__all__ = ["sign_heads", "verified"]

_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the key of a fort's log").digest())
_PUBLIC = _KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


async def sign_heads(fort: Fort) -> SavedCheckpoint:
    """Sign where every tree stands; give the checkpoint of the site's."""
    for tree, grown in fort.pen.trees.items():
        origin = checkpoint_origin(fort.site, tree)
        checkpoint = Checkpoint(origin=origin, size=grown.size, root=grown.root())
        note = sign_checkpoint(checkpoint, [Signer(name=origin, private_key=_KEY)])
        await fort.ledger.checkpoint(
            fort.site, tree=tree, size=grown.size, root=grown.root(), note=note, at=NOW
        )
        if tree == SITE_TREE:
            signed = SavedCheckpoint(size=grown.size, root=grown.root(), note=note)
    return signed


async def verified(
    fort: Fort,
    *,
    saved: Sequence[SavedCheckpoint] = (),
    keys: Mapping[HolderId, bytes] | None = KEYS,
    periods: Mapping[str, Retention] | None = None,
) -> Report:
    """What who verifies the log finds."""
    verifiers = {
        tree: [
            Verifier(name=checkpoint_origin(fort.site, tree), type=SignatureType.ED25519, public_key=_PUBLIC)
        ]
        for tree in TREES
    }
    async with PostgresReading.opened(fort.dsn) as reading:
        claimed = await reading.claimed(fort.site)
        size, _ = claimed.heads.get(SITE_TREE, (0, b""))
        entries = reading.filed_entries(fort.site, until=size)
        return await verify_log(
            fort.site, entries, claimed=claimed, saved=saved, verifiers=verifiers, keys=keys, periods=periods
        )
