"""The trees of a site's log, and the names under which their checkpoints are signed.

site            every entry, in the order of the log        gatekeeper/<site>/site
tenant:<name>   the entries that concern a tenant           gatekeeper/<site>/tenant/<name>
"""

from typing import Final

from gatekeeper.model.ids import SiteId, TenantId, is_name

__all__ = ["SITE_TREE", "TENANT_TREE_PREFIX", "checkpoint_origin", "tenant_tree", "tree_of"]

SITE_TREE: Final = "site"
TENANT_TREE_PREFIX: Final = "tenant:"


def tenant_tree(tenant: TenantId) -> str:
    """The name of a tenant's tree, which no site's tree can have."""
    return TENANT_TREE_PREFIX + tenant


def checkpoint_origin(site: SiteId, tree: str) -> str:
    """The origin line of a tree's checkpoints, which is also the name of the key that signs them."""
    return f"gatekeeper/{site}/{tree.replace(':', '/')}"


def tree_of(site: SiteId, origin: str) -> str | None:
    """The tree of a site that has this origin; None when none can have it."""
    if origin == checkpoint_origin(site, SITE_TREE):
        return SITE_TREE
    tenant = origin.removeprefix(checkpoint_origin(site, TENANT_TREE_PREFIX))
    return tenant_tree(TenantId(tenant)) if tenant != origin and is_name(tenant) else None
