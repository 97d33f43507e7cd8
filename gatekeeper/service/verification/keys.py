"""Which keys sign the checkpoints of which tree, by the trust list."""

from collections.abc import Iterable, Mapping, Sequence

from gatekeeper.core.audit import SITE_TREE, TENANT_TREE_PREFIX
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import SiteId, is_name
from gatekeeper.transparency import Verifier

__all__ = ["tree_verifiers"]


def tree_verifiers(site: SiteId, trust: Trust, *, trees: Iterable[str]) -> Mapping[str, Sequence[Verifier]]:
    """The verifiers of each tree's checkpoints; a name that no tree of this site can have gets none."""
    return {
        tree: log_verifiers(trust, tree)
        for tree in trees
        if site == trust.site and (tree == SITE_TREE or is_name(tree.removeprefix(TENANT_TREE_PREFIX)))
    }
