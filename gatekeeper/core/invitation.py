"""What an operator signs who lets a gate hand in its request: a code is good because of this, and of nothing else.

    invitation   COSE_Sign1 by the operator's key, typ application/pacs-invitation+cose, external AAD the site
                 {0 1, 1 site, 2 gate, 3 SHA-256 of the code, 4 until, 5 operator}

It lies in the site's folder and travels nowhere. Whoever writes into that folder makes none that counts: it takes the key of
an operator who may admit gates at the moment the code is used. How codes are drawn, kept and used up is not known here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gatekeeper import cose
from gatekeeper.core.change import ChangeRefusal
from gatekeeper.core.operators import OPERATOR_USE, Deed, Operator, Operators, may
from gatekeeper.core.trust import Trust
from gatekeeper.cose import cbor
from gatekeeper.model.fields import WRONG, blob, name, second, typed, whole
from gatekeeper.model.ids import GateId, OperatorId, SiteId, TenantId

__all__ = ["INVITATION_TYPE", "Invitation", "read_invitation", "sign_invitation", "why_not_inviting"]

INVITATION_TYPE: Final = "application/pacs-invitation+cose"
_VERSION: Final = 1
_DIGEST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One gate, one code (by its digest), until when, and who lets it ask."""

    site: SiteId
    gate: GateId
    digest: bytes
    until: datetime
    by: OperatorId


def why_not_inviting(operator: Operator, *, host: TenantId, now: datetime) -> ChangeRefusal | None:
    """Why an operator lets no gate ask for its place; None for one who may admit it, too."""
    if not operator.in_force(now):
        return ChangeRefusal.OPERATOR
    return None if may(operator, Deed.WIDEN_TRUST, about=None, host=host) else ChangeRefusal.ROLE


def sign_invitation(invitation: Invitation, *, key: cose.SigningKey) -> bytes:
    """Sign an invitation with the operator's key; `until` is in whole seconds."""
    content = {
        0: _VERSION,
        1: invitation.site,
        2: invitation.gate,
        3: invitation.digest,
        4: int(invitation.until.timestamp()),
        5: invitation.by,
    }
    return cose.sign(
        cbor.encode(content), key=key, typ=INVITATION_TYPE, external_aad=invitation.site.encode()
    )


def read_invitation(
    document: bytes, *, trust: Trust, operators: Operators, now: datetime
) -> Invitation | None:
    """Believe that an operator who may admit gates now invited one; None when it is not so."""
    verified = cose.verify(
        document,
        keys=operators.ring(trust=trust),
        typ=INVITATION_TYPE,
        use=OPERATOR_USE,
        external_aad=trust.site.encode(),
    )
    if isinstance(verified, cose.Refused):
        return None
    try:
        invitation = _invitation(cbor.decode(verified.payload))
    except WRONG:
        return None
    operator = operators.believed(trust=trust)[OperatorId(verified.key.owner)]
    # INVARIANT: who is named is who signed, and may admit gates when the code is used, whatever was so when it was made.
    if (invitation.site, invitation.by) != (trust.site, operator.id):
        return None
    return invitation if why_not_inviting(operator, host=trust.host, now=now) is None else None


def _invitation(read: object) -> Invitation:
    content: dict[int, Any] = typed(read, dict)
    if content.keys() != set(range(6)) or whole(content[0]) != _VERSION:
        raise ValueError("not the fields of an invitation")
    return Invitation(
        site=SiteId(name(content[1])),
        gate=GateId(name(content[2])),
        digest=blob(content[3], _DIGEST, least=_DIGEST),
        until=second(content[4]),
        by=OperatorId(name(content[5])),
    )
