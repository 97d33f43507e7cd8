"""Legal holds: what must be kept, whatever else would let it go.

site              everything
tenant:<tenant>   what is a tenant's
holder:<holder>   what is about one person
"""

from collections.abc import Collection
from typing import Final

from gatekeeper.model.ids import HolderId, TenantId, is_name
from gatekeeper.model.policy import SITE_SCOPE

__all__ = [
    "HOLDER_SCOPE",
    "covers",
    "holder_of_scope",
    "holder_scope",
    "is_hold_scope",
    "tenant_of_scope",
    "tenant_scope",
]

HOLDER_SCOPE: Final = "holder"
"""What the log says in public of a hold on one person."""
_TENANT, _HOLDER = "tenant:", "holder:"


def tenant_scope(tenant: TenantId) -> str:
    """The scope of a hold on what is a tenant's."""
    return _TENANT + tenant


def holder_scope(holder: HolderId) -> str:
    """The scope of a hold on what is about one person."""
    return _HOLDER + holder


def is_hold_scope(scope: str) -> bool:
    """Whether a text is a scope that can be held."""
    kind, colon, name = scope.partition(":")
    return scope == SITE_SCOPE or (colon == ":" and kind in {"tenant", "holder"} and is_name(name))


def holder_of_scope(scope: str) -> HolderId | None:
    """Who is held; None when it is a tenant or the site."""
    return HolderId(scope.removeprefix(_HOLDER)) if scope.startswith(_HOLDER) else None


def tenant_of_scope(scope: str) -> TenantId | None:
    """Whose data is held; None when it is one person's, or the site's."""
    return TenantId(scope.removeprefix(_TENANT)) if scope.startswith(_TENANT) else None


def covers(holds: Collection[str], *, holder: HolderId | None, tenant: TenantId | None) -> bool:
    """Whether any hold covers what is about a person, or (None) only about a tenant, or (None) only about the site."""
    scopes = {SITE_SCOPE}
    if tenant is not None:
        scopes.add(tenant_scope(tenant))
    if holder is not None:
        scopes.add(holder_scope(holder))
    return not scopes.isdisjoint(holds)
