"""One-time codes: with one, whoever stands at a gate may hand in that gate's request, once, within ten minutes.

    invitations/<gate>.json   {"digest", "until", "by"}     the code itself is kept nowhere

    made --the right code--> used       --ten minutes--> over

A code is bound to the name of one gate at one site, and gives no right: two people still say whether the key that came
with it is the gate's. It keeps strangers from filling the desk, and tells the one who is asked that somebody expects it.
Eighty random bits, so that the digest tells nothing of the code, and nobody finds it by trying: wrong ones are not counted,
for a stranger's would end the code that an installer holds.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gatekeeper.model.ids import GateId, OperatorId, SiteId
from gatekeeper.service.administration.folder import SiteFolder

__all__ = ["INVITATION_LASTS", "accept_code", "invite"]

INVITATION_LASTS: Final = timedelta(minutes=10)
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = 16, 4
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Invitation:
    digest: str
    until: str
    by: str


def invite(folder: SiteFolder, gate: GateId, *, by: OperatorId, now: datetime) -> str:
    """Make a code for a gate, and give it: it is told this once. A former one of the same gate is over."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    _write(
        folder,
        gate,
        _Invitation(
            digest=_digest(letters, folder.read_anchor().site, gate),
            until=(now + INVITATION_LASTS).isoformat(),
            by=by,
        ),
    )
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def accept_code(folder: SiteFolder, gate: GateId, code: str, *, now: datetime) -> OperatorId | None:
    """Use a code up, and say who invited; None when it is wrong, over or used: which of these, nobody is told.

    One process asks at a time: the one whose engine owns the site.
    """
    place = folder.root / _place(gate)
    try:
        invitation = _Invitation(**json.loads(folder.read_secret(_place(gate)))) if place.exists() else None
    except (ValueError, TypeError):
        invitation = None
    wanted = invitation.digest if invitation is not None else ""
    right = hmac.compare_digest(
        _digest(code.upper().translate(_MISREAD), folder.read_anchor().site, gate), wanted
    )
    if invitation is None:
        return None
    in_time = now < datetime.fromisoformat(invitation.until)
    # INVARIANT: a code is used once, and is gone before what came with it is looked at any further.
    if right or not in_time:
        place.unlink(missing_ok=True)
    return OperatorId(invitation.by) if right and in_time else None


def _digest(letters: str, site: SiteId, gate: GateId) -> str:
    bound = b"\0".join(part.encode() for part in ("gatekeeper enrolment code", site, gate, letters))
    return hashlib.sha256(bound).hexdigest()


def _place(gate: GateId) -> str:
    return f"invitations/{gate}.json"


def _write(folder: SiteFolder, gate: GateId, invitation: _Invitation) -> None:
    document = {"digest": invitation.digest, "until": invitation.until, "by": invitation.by}
    folder.write_private(_place(gate), json.dumps(document).encode() + b"\n")
