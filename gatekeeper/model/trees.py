"""The trees of a site's log, and the names under which their checkpoints are signed.

site            every entry, in the order of the log        gatekeeper/<site>/site
tenant:<name>   the entries that concern a tenant           gatekeeper/<site>/tenant/<name>
"""

from typing import Final

from gatekeeper.model.ids import SiteId, TenantId

__all__ = ["SITE_TREE", "TENANT_TREE_PREFIX", "checkpoint_origin", "tenant_tree"]

SITE_TREE: Final = "site"
TENANT_TREE_PREFIX: Final = "tenant:"


def tenant_tree(tenant: TenantId) -> str:
    """The name of a tenant's tree, which no site's tree can have."""
    return TENANT_TREE_PREFIX + tenant


def checkpoint_origin(site: SiteId, tree: str) -> str:
    """The origin line of a tree's checkpoints, which is also the name of the key that signs them."""
    return f"gatekeeper/{site}/{tree.replace(':', '/')}"
