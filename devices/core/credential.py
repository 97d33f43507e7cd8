"""What can be told of a credential without believing it: whether it fits a scan, and whether its badge can prove a key.

Nothing is verified here: the service does that, and a badge that lies about its key is denied there.
"""

from typing import assert_never

from gatekeeper import cose
from gatekeeper.model.badges import BADGE_TYPE, MAX_TOKEN_BYTES, Badge, read_badge
from gatekeeper.model.messages import ByCard, ByDigest, ByToken, Credential

__all__ = ["asks_for_proof", "fits_a_scan"]

_CARD_BYTES = 16
_DIGEST_BYTES = 32


def fits_a_scan(credential: Credential) -> bool:
    """Whether the service could read a scan with this credential."""
    match credential:
        case ByToken(token):
            return 0 < len(token) <= MAX_TOKEN_BYTES
        case ByDigest(digest):
            return len(digest) == _DIGEST_BYTES
        case ByCard(card):
            return 0 < len(card.number) <= _CARD_BYTES
        case _:
            assert_never(credential)


def asks_for_proof(credential: Credential) -> bool:
    """Whether the badge says that it has a key; card numbers and bearer tokens have none."""
    if not isinstance(credential, ByToken):
        return False
    parsed = cose.parse(credential.token, typ=BADGE_TYPE)
    if isinstance(parsed, cose.Refused) or parsed.payload is None:
        return False
    badge = read_badge(parsed.payload)
    return isinstance(badge, Badge) and badge.confirmation is not None
