"""What the service of the vectors publishes of its log: checkpoints with the log's signature, in messages with the service's."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper import cose
from gatekeeper.model.messages import CHECKPOINT_TYPE, LogCheckpoint
from gatekeeper.model.topics import PREFIX, checkpoint_topic
from gatekeeper.model.trees import SITE_TREE, checkpoint_origin
from gatekeeper.transparency import Checkpoint, Signer, sign_checkpoint
from tests.contract.play import Said
from tests.contract.vector_site import SITE, key_of, throwaway_secret
from tests.contract.whole_log import trees, whole_log

TOPIC = checkpoint_topic(SITE, prefix=PREFIX)


def note_of(size: int, root: bytes, *, key: str = "log", tree: str = SITE_TREE) -> bytes:
    """The signed note of a size and a root."""
    origin = checkpoint_origin(SITE, tree)
    private_key = Ed25519PrivateKey.from_private_bytes(throwaway_secret(key))
    signer = Signer(name=origin, private_key=private_key)
    return sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), [signer])


def message_of_checkpoint(
    size: int,
    root: bytes,
    at: datetime,
    *,
    key: str = "decision",
    aad: str = TOPIC,
    changes: dict[int, Any] | None = None,
    note: Callable[..., bytes] = note_of,
) -> bytes:
    """The message that brings a checkpoint to the gates; or one that is wrong in the way that is asked for."""
    payload = LogCheckpoint(site=SITE, note=note(size, root), at=at).payload()
    content = cose.decode(payload) | (changes or {})
    return cose.sign(cose.encode(content), key=key_of(key), typ=CHECKPOINT_TYPE, external_aad=aad.encode())


def newest_checkpoint() -> Said:
    """The checkpoint of the whole log, as every gate gets it."""
    log = whole_log()
    tree = trees(log)[SITE_TREE]
    return Said(
        name="checkpoint",
        says="Where the log of examples/valid/log.jsonl ends.",
        key="decision",
        topic=TOPIC,
        wire=message_of_checkpoint(tree.size, tree.root(), log[-1].draft.at),
    )
