"""One-time codes: with one, whoever stands at a gate may hand in that gate's request, once, within ten minutes.

    invitations/<gate>.cose   the invitation, as its operator signed it (see `core.invitation`)     the code itself is kept nowhere

    made --the right code--> found --and nothing else is in the way--> used       --ten minutes--> over

A code is bound to the name of one gate at one site, and gives no right: two people still say whether the key that came
with it is the gate's. It keeps strangers from filling the desk, and tells the one who is asked that somebody expects it.
Eighty random bits, so that the digest tells nothing of the code, and nobody finds it by trying: wrong ones are not counted,
for a stranger's would end the code that an installer holds.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from gatekeeper import cose
from gatekeeper.core.invitation import Invitation, sign_invitation
from gatekeeper.model.ids import GateId, OperatorId, SiteId
from gatekeeper.service.administration.folder import SiteFolder

__all__ = ["INVITATION_LASTS", "Believe", "find_invitation", "invite", "use_up"]

INVITATION_LASTS: Final = timedelta(minutes=10)
Believe: TypeAlias = Callable[[bytes], Invitation | None]
"""Who says whether an invitation counts: the site's operators as they are now."""
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = 16, 4
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def invite(folder: SiteFolder, gate: GateId, *, by: OperatorId, key: cose.SigningKey, now: datetime) -> str:
    """Make a code for a gate, signed by an operator, and give it: it is told this once. A former one of the gate is over."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    site = folder.read_anchor().site
    invitation = Invitation(
        site=site,
        gate=gate,
        digest=_digest(letters, site, gate),
        until=now.replace(microsecond=0) + INVITATION_LASTS,
        by=by,
    )
    folder.write_private(_place(gate), sign_invitation(invitation, key=key))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def find_invitation(
    folder: SiteFolder, gate: GateId, code: str, *, believe: Believe, now: datetime
) -> OperatorId | None:
    """Say who invited a gate with a code; None when it is wrong, over, used, or of nobody who may: which, nobody is told.

    It uses nothing up. One process asks at a time: the one whose engine owns the site.
    """
    invitation = believe(folder.read_secret(_place(gate))) if folder.holds(_place(gate)) else None
    wanted = invitation.digest if invitation is not None and invitation.gate == gate else b""
    site = folder.read_anchor().site
    is_right = hmac.compare_digest(_digest(code.upper().translate(_MISREAD), site, gate), wanted)
    if invitation is None or not is_right or now >= invitation.until:
        return None
    return invitation.by


def use_up(folder: SiteFolder, gate: GateId) -> None:
    """End the code of a gate."""
    (folder.root / _place(gate)).unlink(missing_ok=True)


def _digest(letters: str, site: SiteId, gate: GateId) -> bytes:
    bound = b"\0".join(part.encode() for part in ("gatekeeper enrolment code", site, gate, letters))
    return hashlib.sha256(bound).digest()


def _place(gate: GateId) -> str:
    return f"invitations/{gate}.cose"
