"""Checkpoints of a fort's log, signed as an engine signs them, with a key that everybody in a test knows."""

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatekeeper.model.ids import SiteId
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.transparency import Checkpoint, SignatureType, Signer, Verifier, sign_checkpoint
from tests.support.fort import NOW, Fort

__all__ = ["LOG_KEY", "sign_heads", "signed_note", "verifier_of"]

LOG_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"a log key for tests").digest())


def signed_note(
    site: SiteId, tree: str, size: int, root: bytes, *, key: Ed25519PrivateKey = LOG_KEY
) -> bytes:
    """The signed checkpoint of a tree."""
    origin = checkpoint_origin(site, tree)
    checkpoint = Checkpoint(origin=origin, size=size, root=root)
    return sign_checkpoint(checkpoint, [Signer(name=origin, private_key=key)])


def verifier_of(site: SiteId, tree: str) -> Verifier:
    """What believes the checkpoints of a tree."""
    return Verifier(
        name=checkpoint_origin(site, tree),
        type=SignatureType.ED25519,
        public_key=LOG_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
    )


async def sign_heads(fort: Fort) -> None:
    """Keep a signed checkpoint of every tree that has leaves, as it stands."""
    for tree, grown in fort.pen.trees.items():
        if grown.size:
            note = signed_note(fort.site, tree, grown.size, grown.root())
            await fort.ledger.checkpoint(
                fort.site, tree=tree, size=grown.size, root=grown.root(), note=note, at=NOW
            )
