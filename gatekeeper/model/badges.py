"""Badges: the signed token a holder presents, and what the site knows of it.

    claim  1 iss    "t:<tenant>"            must be the tenant of the issuer's key
           3 aud    "site:<site>"
           4 exp, 5 nbf, 6 iat              seconds, integers
           7 cti    bstr 16                 the badge id
           8 cnf    COSE_Key                required from assurance 2
       65535 status                         required when valid for more than 24 h
      -65537        {1 version, 2 ceiling, 3 assurance, 4 holder kind, 5 epoch, 6 require trusted time,
                     7 card number, 8 maximum uses, 9 duress}
                                            key 7 only at assurance 0: [technology, bytes]; 8 and 9 only where they say
                                            something: a number from 1, and true for a badge that cries for help

A card that can carry nothing but a number takes part all the same: its token, signed like every other, stays
with the service and names the number (key 7). So even assurance 0 has no right without a signature.
There is no name, no `sub` and no zone right on a badge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from gatekeeper import cose
from gatekeeper.cose import cwt
from gatekeeper.model.fields import HIGHEST_LEVEL, UINT, WRONG, blob, exactly, second, whole
from gatekeeper.model.ids import BadgeId, SiteId, TenantId
from gatekeeper.model.people import HolderKind

__all__ = [
    "BADGE_TYPE",
    "MAX_CARD_BYTES",
    "MAX_TOKEN_BYTES",
    "Assurance",
    "Badge",
    "BadgeRecord",
    "BadgeState",
    "Card",
    "CardTechnology",
    "ClaimsRefused",
    "claims_of",
    "read_badge",
    "read_card",
]

BADGE_TYPE = "application/pacs-cred+cwt"
MAX_TOKEN_BYTES = 1024
MAX_CARD_BYTES = 16
_PRIVATE = -65537
_DAY = 86_400
_T = TypeVar("_T")


class Assurance(IntEnum):
    """How sure the site can be that the holder is there (DESIGN: ONVIF calls this security level)."""

    CARD_NUMBER = 0
    BEARER = 1
    KEY_BOUND = 2
    KEY_BOUND_AND_VERIFIED = 3


class CardTechnology(IntEnum):
    """Where a bare card number comes from, so that equal numbers of different systems never meet."""

    MIFARE = 0
    WIEGAND = 1


class BadgeState(StrEnum):
    """What the tenant last said of a badge."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LOST = "lost"
    STOLEN = "stolen"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, order=True)
class Card:
    """A bare card number, as a stock reader reports it."""

    technology: CardTechnology
    number: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """The claims of a badge whose signature was verified."""

    id: BadgeId
    site: SiteId
    tenant: TenantId
    not_before: datetime
    expires: datetime
    issued: datetime
    ceiling: int
    assurance: Assurance
    kind: HolderKind
    epoch: int
    requires_trusted_time: bool
    confirmation: cose.KeyRecord | None
    card: Card | None
    status_index: int | None
    max_uses: int | None = None
    duress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BadgeRecord:
    """What the directory holds of a badge: the token as issued, and its state."""

    id: BadgeId
    token: bytes
    state: BadgeState
    stopped_by: frozenset[TenantId] = frozenset()
    """Whose operators have stopped it, and have not let it go: its tenant's, the host's."""
    stopped_at: datetime | None = None
    """Since when it is not active; None for one that is, and where nobody knows."""


@dataclass(frozen=True, slots=True)
class ClaimsRefused:
    """Why verified bytes are still no badge of ours."""

    detail: str


def claims_of(badge: Badge) -> dict[int, Any]:
    """The claims set of a badge, to be signed by its tenant's issuer key."""
    private: dict[int, Any] = {
        1: 1,
        2: badge.ceiling,
        3: int(badge.assurance),
        4: badge.kind.number,
        5: badge.epoch,
        6: badge.requires_trusted_time,
    }
    if badge.card is not None:
        private[7] = [int(badge.card.technology), badge.card.number]
    if badge.max_uses is not None:
        private[8] = badge.max_uses
    if badge.duress:
        private[9] = True
    claims: dict[int, Any] = {
        cwt.ISS: f"t:{badge.tenant}",
        cwt.AUD: f"site:{badge.site}",
        cwt.EXP: int(badge.expires.timestamp()),
        cwt.NBF: int(badge.not_before.timestamp()),
        cwt.IAT: int(badge.issued.timestamp()),
        cwt.CTI: bytes.fromhex(badge.id),
        _PRIVATE: private,
    }
    if badge.confirmation is not None:
        claims[cwt.CNF] = cwt.confirmation_key(badge.confirmation.public_der)
    if badge.status_index is not None:
        uri = f"site:{badge.site}/t:{badge.tenant}"
        claims[cwt.STATUS] = {"status_list": {"idx": badge.status_index, "uri": uri}}
    return claims


def read_badge(payload: bytes) -> Badge | ClaimsRefused:
    """Read the claims of a verified token; every claim is demanded in its exact type and range."""
    claims = cwt.read_claims(payload)
    if isinstance(claims, cose.Refused):
        return ClaimsRefused(str(claims.code))
    try:
        return _badge(claims)
    except WRONG as error:
        return ClaimsRefused(f"{type(error).__name__}: {error}")


def _badge(claims: Mapping[int, Any]) -> Badge:
    private: dict[int, Any] = _of(claims, _PRIVATE, dict)
    if _of(private, 1, int) != 1:
        raise ValueError("badge version")
    assurance = Assurance(_of(private, 3, int))
    expires, not_before = _at(claims, cwt.EXP), _at(claims, cwt.NBF)
    confirmation = _confirmation(claims)
    if (assurance >= Assurance.KEY_BOUND) != (confirmation is not None):
        raise ValueError("a key is bound from assurance 2, and only there")
    card = read_card(private[7]) if 7 in private else None
    if (assurance is Assurance.CARD_NUMBER) != (card is not None):
        raise ValueError("a card number stands at assurance 0, and only there")
    if (expires - not_before).total_seconds() > _DAY and cwt.STATUS not in claims:
        raise ValueError("status is required beyond 24 hours")
    if not_before >= expires:
        raise ValueError("the badge ends before it begins")
    unknown = set(claims) - _CLAIMS
    if unknown or set(private) - {1, 2, 3, 4, 5, 6, 7, 8, 9}:
        raise ValueError("unknown claim")
    ceiling = whole(private[2], HIGHEST_LEVEL)
    return Badge(
        id=BadgeId(_bytes16(claims[cwt.CTI]).hex()),
        site=SiteId(_prefixed(claims[cwt.AUD], "site:")),
        tenant=TenantId(_prefixed(claims[cwt.ISS], "t:")),
        not_before=not_before,
        expires=expires,
        issued=_at(claims, cwt.IAT),
        ceiling=ceiling,
        assurance=assurance,
        kind=_KINDS[_of(private, 4, int)],
        epoch=whole(private[5], UINT),
        requires_trusted_time=_of(private, 6, bool),
        confirmation=confirmation,
        card=card,
        status_index=_status_index(claims[cwt.STATUS]) if cwt.STATUS in claims else None,
        max_uses=_uses(private) if 8 in private else None,
        duress=_duress(private) if 9 in private else False,
    )


_CLAIMS = frozenset({cwt.ISS, cwt.AUD, cwt.EXP, cwt.NBF, cwt.IAT, cwt.CTI, cwt.CNF, cwt.STATUS, _PRIVATE})
_KINDS = dict(enumerate(HolderKind))


def _of(source: Mapping[int, Any], key: int, kind: type[_T]) -> _T:
    value = source[key]
    if type(value) is not kind:
        raise TypeError(f"claim {key}")
    return value


def _at(claims: Mapping[int, Any], key: int) -> datetime:
    return second(claims[key])


def _bytes16(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != 16:
        raise ValueError("badge id")
    return value


def _prefixed(value: object, prefix: str) -> str:
    if not isinstance(value, str) or not value.startswith(prefix):
        raise ValueError(prefix)
    return value.removeprefix(prefix)


def _confirmation(claims: Mapping[int, Any]) -> cose.KeyRecord | None:
    if cwt.CNF not in claims:
        return None
    found = cwt.read_confirmation(claims[cwt.CNF], use="badge", owner=claims[cwt.CTI].hex())
    if isinstance(found, cose.Refused):
        raise ValueError("confirmation key")  # noqa: TRY004 - a bad value, told as one
    return found


def _uses(private: Mapping[int, Any]) -> int:
    return whole(private[8], least=1)


def _duress(private: Mapping[int, Any]) -> bool:
    if not _of(private, 9, bool):
        raise ValueError("duress stands only where it is true")
    return True


def _status_index(value: object) -> int:
    match value:
        case {"status_list": {"idx": index, "uri": str()} as entry, **more} if len(entry) == 2 and not more:
            return whole(index, UINT)
        case _:
            raise ValueError("status")


def read_card(value: object) -> Card:
    """Read a card number: [technology, bytes]. Raises ValueError or TypeError."""
    technology, number = exactly(value, 2)
    return Card(
        CardTechnology(whole(technology, len(CardTechnology) - 1)), blob(number, MAX_CARD_BYTES, least=1)
    )
