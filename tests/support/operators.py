"""Operators for tests: accounts signed for real by their tenants' signing keys, with keys that follow from their names.

Everywhere the same cast: `army` may do everything that the host's people may, and so may `colonel`, who is another person;
`guard`, `officer` and `admin` have one role each; `school` and `club` administer their own tenants.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

from gatekeeper import cose
from gatekeeper.core.operators import (
    HOST_ROLES,
    OPERATOR_TYPE,
    OPERATOR_USE,
    Operator,
    OperatorRecord,
    Role,
    operator_payload,
)
from gatekeeper.model.ids import OperatorId, SiteId, TenantId

__all__ = ["CAST", "FROM", "UNTIL", "account", "cast", "operator_key", "recorded_account", "signed_account"]

FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
_EVERYTHING = tuple(Role)

CAST: Mapping[str, tuple[str, tuple[Role, ...]]] = {
    "army": ("army", _EVERYTHING),
    "colonel": ("army", _EVERYTHING),
    "guard": ("army", (Role.GUARD,)),
    "officer": ("army", (Role.SECURITY_OFFICER,)),
    "admin": ("army", (Role.SITE_ADMIN,)),
    "school": ("school", tuple(role for role in Role if role not in HOST_ROLES)),
    "club": ("club", tuple(role for role in Role if role not in HOST_ROLES)),
}
"""Operators: whose, and what they are there for."""


def operator_key(name: str) -> cose.SigningKey:
    """An operator's key: the same in every run, and worth nothing outside it."""
    secret = int.from_bytes(hashlib.sha256(f"an operator's key for tests: {name}".encode()).digest(), "big")
    return cose.SigningKey(derive_private_key(secret >> 1, SECP256R1()), cose.Algorithm.ESP256)


def account(name: str, tenant: str, roles: Iterable[Role], **changes: Any) -> Operator:
    """An account; `changes` are its fields, and `key` may be the name of another's key."""
    key = operator_key(changes.pop("key", name)).record(use=OPERATOR_USE, owner=name)
    fields: dict[str, Any] = {"since": FROM, "until": UNTIL, "version": 1, "revoked": False, **changes}
    return Operator(id=OperatorId(name), tenant=TenantId(tenant), roles=frozenset(roles), key=key, **fields)


def signed_account(operator: Operator, *, site: SiteId, key: cose.SigningKey) -> bytes:
    """An account, signed by whoever holds this key."""
    payload = operator_payload(operator, site=site)
    return cose.sign(payload, key=key, typ=OPERATOR_TYPE, external_aad=site.encode())


def recorded_account(operator: Operator, *, site: SiteId, key: cose.SigningKey) -> OperatorRecord:
    """An account as it is stored."""
    document = signed_account(operator, site=site, key=key)
    return OperatorRecord(id=operator.id, tenant=operator.tenant, document=document)


def cast(site: SiteId, signing: Callable[[str], cose.SigningKey]) -> list[OperatorRecord]:
    """The whole cast, as a database would hold it; `signing` gives a tenant's signing key."""
    return [
        recorded_account(account(name, tenant, roles), site=site, key=signing(tenant))
        for name, (tenant, roles) in CAST.items()
    ]
