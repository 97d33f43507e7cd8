"""Checkpoints of a fort's log, signed as an engine signs them, with a key that everybody in a test knows."""

from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatekeeper.model.ids import SiteId
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.transparency import (
    Checkpoint,
    Cosigner,
    Policy,
    Refused,
    SignatureType,
    Signer,
    Verifier,
    parse_note,
    parse_policy,
    sign_checkpoint,
)
from tests.support.fort import NOW, Fort

__all__ = [
    "LOG_KEY",
    "OTHER_WITNESS",
    "WITNESS",
    "cosign_heads",
    "policy_of",
    "sign_heads",
    "signed_note",
    "verifier_of",
]

LOG_KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"a log key for tests").digest())
WITNESS = Cosigner(name="witness.example", private_key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))

OTHER_WITNESS = Cosigner(
    name="other.example", private_key=Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
)


def policy_of(text: str) -> Policy:
    """A policy in which `{first}` and `{second}` stand for the keys of the two witnesses."""
    keys = {"first": WITNESS.verifier.key(), "second": OTHER_WITNESS.verifier.key()}
    policy = parse_policy(text.format(**keys).encode())
    assert isinstance(policy, Policy)
    return policy


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


async def sign_heads(fort: Fort, *, at: datetime = NOW) -> None:
    """Keep a signed checkpoint of every tree that has leaves, as it stands."""
    for tree, grown in fort.pen.trees.items():
        if grown.size:
            note = signed_note(fort.site, tree, grown.size, grown.root())
            await fort.ledger.checkpoint(
                fort.site, tree=tree, size=grown.size, root=grown.root(), note=note, at=at
            )


async def cosign_heads(fort: Fort, *, up_to: int = 1 << 40, by: Cosigner = WITNESS) -> None:
    """Let a witness cosign the newest checkpoint of every tree, of those up to a size."""
    rows = await fort.run(
        "SELECT DISTINCT ON (tree) tree, size, note FROM checkpoint WHERE site_id = $1 AND size <= $2 ORDER BY tree, size DESC",
        up_to,
    )
    for row in rows:
        note = parse_note(row["note"])
        assert not isinstance(note, Refused)
        await fort.ledger.keep_cosignatures(
            fort.site,
            tree=row["tree"],
            size=row["size"],
            cosignatures=[by.cosign(note.text, time=1_800_000_000)],
            at=NOW,
        )
