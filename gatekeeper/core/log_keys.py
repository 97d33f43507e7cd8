"""Whose word on the log counts: the keys that sign the checkpoints of its trees, by the trust list."""

from gatekeeper import cose
from gatekeeper.core.trust import Trust
from gatekeeper.model.trees import checkpoint_origin
from gatekeeper.transparency import SignatureType, Verifier

__all__ = ["log_verifiers"]

_ED25519_BYTES = 32


def log_verifiers(trust: Trust, tree: str) -> tuple[Verifier, ...]:
    """The verifiers of a tree's checkpoints: every log key of the list that can sign notes, under the tree's origin."""
    return tuple(
        Verifier(
            name=checkpoint_origin(trust.site, tree),
            type=SignatureType.ED25519,
            public_key=key.public_der[-_ED25519_BYTES:],
        )
        for key in trust.log_keys
        if key.algorithm in {cose.Algorithm.ED25519, cose.Algorithm.EDDSA}
    )
