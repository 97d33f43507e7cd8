"""Which keys sign the checkpoints of which tree, by the trust list."""

from collections.abc import Iterable, Mapping, Sequence

from gatekeeper.core.audit import SITE_TREE, TENANT_TREE_PREFIX
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import SiteId, is_name
from gatekeeper.service.engine.engine import checkpoint_origin
from gatekeeper.transparency import SignatureType, Verifier

__all__ = ["tree_verifiers"]

_ED25519_BYTES = 32


def tree_verifiers(site: SiteId, trust: Trust, *, trees: Iterable[str]) -> Mapping[str, Sequence[Verifier]]:
    """The verifiers of each tree's checkpoints: every log key of the trust list, under the tree's origin.

    A name that no tree of a site can have gets none.
    """
    return {
        tree: [
            Verifier(
                name=checkpoint_origin(site, tree),
                type=SignatureType.ED25519,
                public_key=record.public_der[-_ED25519_BYTES:],
            )
            for record in trust.log_keys
        ]
        for tree in trees
        if tree == SITE_TREE or is_name(tree.removeprefix(TENANT_TREE_PREFIX))
    }
