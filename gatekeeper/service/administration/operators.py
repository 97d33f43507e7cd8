"""Accounts of operators: made, changed and revoked by their tenants; and whose key signs what.

    <data>/operators/<site>/<operator>.pem     each a person's own: to be carried to them (mode 0600, in a folder 0700)

The ceremony makes the first ones in the site's folder (`operators/`), from where `carry_away` takes them.

A tenant signs its operators with its signing key, which signs nothing else that changes a running site. The site's engine
has the last word on every account and every change; what is refused here is refused so that a person hears it sooner.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from gatekeeper import cose
from gatekeeper.core.change import (
    AlertChange,
    ChangeContent,
    ForgivenessChange,
    GuardChange,
    LockdownChange,
    OpeningChange,
    RebootChange,
    SuspensionChange,
    sign_change,
)
from gatekeeper.core.operators import (
    HOST_ROLES,
    OPERATOR_TYPE,
    OPERATOR_USE,
    WORDS,
    Deed,
    Operator,
    OperatorRecord,
    Role,
    operator_payload,
)
from gatekeeper.model.ids import OperatorId, SiteId, TenantId, is_name
from gatekeeper.service.administration.folder import SiteFolder
from gatekeeper.service.words import shown

__all__ = [
    "FIRST_KEYS",
    "OPERATOR_TERM",
    "OperatorError",
    "Signer",
    "carry_away",
    "choose",
    "first_operators",
    "key_of_operator",
    "keys_of_operators",
    "new_operator",
    "record_of",
    "refuse_used_keys",
    "revoked",
    "see_that_it_can_be",
    "sign_operator",
]

FIRST_KEYS: Final = "operators"
OPERATOR_TERM: Final = timedelta(days=3650)
_LONGEST_NAME: Final = 32


class OperatorError(Exception):
    """An account that cannot be made, or a change that nobody here may sign; the message says what to do."""


def keys_of_operators(data: Path, site: SiteId) -> SiteFolder:
    """Where the keys of a site's operators are kept on this machine."""
    return SiteFolder(data / "operators" / site)


def carry_away(folder: SiteFolder, keys: SiteFolder) -> None:
    """Take the first operators' keys out of the folder of a site that was just founded, all at once."""
    refuse_used_keys(keys)
    keys.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder.root / FIRST_KEYS).replace(keys.root)


def refuse_used_keys(keys: SiteFolder) -> None:
    """Raise OperatorError when there are keys already: they belong to people of another founding."""
    if keys.root.exists():
        raise OperatorError(
            f"{keys.root} holds keys of operators already: move them away before the site is founded anew."
        )


# -- accounts -----------------------------------------------------------------------------------------------------------


def key_of_operator(operator: OperatorId) -> str:
    """Where an operator's key stands in a folder of them."""
    return f"{operator}.pem"


def see_that_it_can_be(
    name: str, *, tenant: TenantId, host: TenantId, roles: Iterable[Role], since: datetime, until: datetime
) -> None:
    """Raise OperatorError for an account that would not be believed: before a key is made for it."""
    held = frozenset(roles)
    if not is_name(name):
        raise OperatorError(f"{name!r} is no name: 1 to {_LONGEST_NAME} of a-z, 0-9 and '-'.")
    if not held:
        raise OperatorError(f"Say what {name} is there for, with --role: {', '.join(Role)}.")
    foreign = sorted(held & HOST_ROLES)
    if foreign and tenant != host:
        raise OperatorError(f"Only people of {host} can be {', '.join(foreign)}; {name} is of {tenant}.")
    if since >= until:
        raise OperatorError(f"The account of {name} would end before it begins.")


def new_operator(
    name: str,
    *,
    tenant: TenantId,
    host: TenantId,
    roles: Iterable[Role],
    key: cose.SigningKey,
    since: datetime,
    until: datetime,
    version: int = 1,
) -> Operator:
    """An account, as its tenant would sign it. Raises OperatorError for one that would not be believed."""
    held = frozenset(roles)
    see_that_it_can_be(name, tenant=tenant, host=host, roles=held, since=since, until=until)
    return Operator(
        id=OperatorId(name),
        tenant=tenant,
        roles=held,
        key=key.record(use=OPERATOR_USE, owner=name),
        since=since.replace(microsecond=0),
        until=until.replace(microsecond=0),
        version=version,
        revoked=False,
    )


def revoked(operator: Operator) -> Operator:
    """The next and last version of an account: its key signs nothing more."""
    return replace(operator, version=operator.version + 1, revoked=True)


def sign_operator(operator: Operator, *, site: SiteId, key: cose.SigningKey) -> bytes:
    """Sign an account with its tenant's signing key."""
    payload = operator_payload(operator, site=site)
    return cose.sign(payload, key=key, typ=OPERATOR_TYPE, external_aad=site.encode())


def record_of(operator: Operator, document: bytes) -> OperatorRecord:
    """An account as it is stored."""
    return OperatorRecord(id=operator.id, tenant=operator.tenant, document=document)


def first_operators(
    tenants: Iterable[TenantId], *, host: TenantId
) -> Mapping[OperatorId, tuple[TenantId, Role]]:
    """Who is there from the start: of the host two who can make others together and an auditor, of each tenant an administrator."""
    return {
        OperatorId("admin"): (host, Role.SITE_ADMIN),
        OperatorId("officer"): (host, Role.SECURITY_OFFICER),
        OperatorId("auditor"): (host, Role.AUDITOR),
        **{_administrator(tenant): (tenant, Role.TENANT_ADMIN) for tenant in tenants},
    }


def _administrator(tenant: TenantId) -> OperatorId:
    name = f"{tenant}-admin"
    if len(name) > _LONGEST_NAME:
        name = f"{tenant[:19]}-{sha256(tenant.encode()).hexdigest()[:6]}-admin"
    return OperatorId(name)


# -- who signs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An operator with the key, ready to sign."""

    operator: Operator
    key: cose.SigningKey
    site: SiteId

    def sign(self, content: ChangeContent, *, change_id: bytes, at: datetime) -> bytes:
        """Sign a change. Raises OperatorError for one that says what no change can say."""
        try:
            return sign_change(
                content, site=self.site, change_id=change_id, author=self.operator.id, at=at, key=self.key
            )
        except ValueError:
            raise OperatorError(_unsaid(content)) from None


def _unsaid(content: ChangeContent) -> str:
    """Why a change cannot be signed, by what was meant."""
    match content:
        case LockdownChange(scope=scope):
            return f"{shown(scope)} is no scope: write site, zone:<zone> or gate:<gate>, as the site file has them."
        case AlertChange(state=name) | SuspensionChange(tenant=name) | ForgivenessChange(holder=name):
            return f"{shown(name)} is no name: a name has 1 to 32 of a-z, 0-9 and -."
        case OpeningChange(access_point=name) | RebootChange(gate=name):
            return f"{shown(name)} is no name, or the reason is not one line of 1 to 200 characters."
        case GuardChange(entry=entry):
            return f"{entry} is no entry of a log."
        case _:
            return "This is more than a change can say: a number or a text is too large."


def choose(
    operators: Mapping[OperatorId, Operator],
    keys: SiteFolder,
    *,
    named: str,
    deeds: Iterable[Deed],
    about: TenantId | None,
    host: TenantId,
    but: OperatorId | None = None,
    second: bool = False,
    now: datetime,
) -> Operator:
    """Whose key here signs: the operator who is named, else the only one who may do one of these.

    `about` is whose matter it is: its own people come before the host's. `second`: who approves what another (`but`)
    proposes. Raises OperatorError with what to do.
    """
    if named:
        operator = operators.get(OperatorId(named))
        if operator is None:
            raise OperatorError(f"The site has no operator {named}.")
        return operator
    here = [
        one
        for one in operators.values()
        if one.id != but and one.in_force(now) and keys.holds(key_of_operator(one.id))
    ]
    words = [WORDS[deed] for deed in deeds]
    own = frozenset[Role]().union(*(word.own for word in words))
    host_roles = frozenset[Role]().union(*((word.second if second else word.host) for word in words))
    of_theirs = [one for one in here if one.tenant == about and not second and one.roles & own]
    of_host = [one for one in here if one.tenant == host and one.roles & host_roles]
    able = of_theirs or of_host
    if len(able) == 1:
        return able[0]
    if able:
        raise OperatorError(
            f"Say with --operator who signs this: {', '.join(sorted(one.id for one in able))} may."
        )
    raise OperatorError(_nobody(own, host_roles, about=about, host=host, but=but, keys=keys))


def _nobody(
    own: frozenset[Role],
    host_roles: frozenset[Role],
    *,
    about: TenantId | None,
    host: TenantId,
    but: OperatorId | None,
    keys: SiteFolder,
) -> str:
    wanted = [_some(host_roles, host)] if host_roles else []
    if own and about is not None:
        wanted.insert(0, _some(own, about))
    other = f" other than {but}, who proposed it" if but is not None else ""
    return f"This takes {', or '.join(wanted)}{other}; {keys.root} holds no such operator's key."


def _some(roles: frozenset[Role], tenant: TenantId) -> str:
    named = " or ".join(sorted(roles))
    return f"{'an' if named[0] in 'aeiou' else 'a'} {named} of {tenant}"
