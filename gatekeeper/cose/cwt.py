"""CBOR Web Token claims (RFC 8392): their numbers, their types, and the key of the holder.

    { 1 iss, 2 sub, 3 aud: tstr    4 exp, 5 nbf, 6 iat: seconds since 1970    7 cti: bstr 16
      8 cnf: { 1: COSE_Key } (RFC 8747)    65535 status: map (Token Status List)    any other number: anything }

Reading is strict where RFC 8392 is lenient: every claim has a number, dates are whole seconds up to the year 9999, there
is one audience. No claim is demanded, no date is compared with a clock: that is for the reader of a kind of token.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gatekeeper.cose.cbor import DEFAULT, Bounds, decode, encode
from gatekeeper.cose.curves import ED25519, P256
from gatekeeper.cose.keys import Algorithm, KeyRecord, KeyRefusedError
from gatekeeper.cose.refusal import Refusal, Refused

__all__ = [
    "AUD",
    "CNF",
    "CTI",
    "EXP",
    "IAT",
    "ISS",
    "NBF",
    "STATUS",
    "SUB",
    "confirmation_key",
    "read_claims",
    "read_confirmation",
]

ISS: Final = 1
SUB: Final = 2
AUD: Final = 3
EXP: Final = 4
NBF: Final = 5
IAT: Final = 6
CTI: Final = 7
CNF: Final = 8
STATUS: Final = 65535

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999; a datetime holds no more


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _is_date(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LAST_SECOND


def _is_token_id(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 16


_FORMS: Final[Mapping[int, Callable[[object], bool]]] = {
    ISS: _is_text,
    SUB: _is_text,
    AUD: _is_text,
    EXP: _is_date,
    NBF: _is_date,
    IAT: _is_date,
    CTI: _is_token_id,
    CNF: _is_map,
    STATUS: _is_map,
}


def read_claims(payload: bytes, *, bounds: Bounds = DEFAULT) -> Mapping[int, object] | Refused:
    """Read a claims set (RFC 8392, 4): the registered claims that are there have their types, others pass as they are."""
    claims = decode(payload, bounds=bounds)
    if isinstance(claims, Refused):
        return claims
    if not isinstance(claims, dict):
        return Refused(code=Refusal.CWT_CLAIMS, detail="not a map")
    for number, value in claims.items():
        if not isinstance(number, int):
            return Refused(code=Refusal.CWT_CLAIMS, detail="a claim without a number")
        if number in _FORMS and not _FORMS[number](value):
            return Refused(code=Refusal.CWT_CLAIMS, detail=f"claim {number}")
    return claims


# COSE_Key (RFC 9052, 7; RFC 9053, 7): label 1 kty, -1 crv, -2 x, -3 y. Labels of a confirmation (RFC 8747, 3.1): 1 COSE_Key.
_OKP, _EC2 = 1, 2
_CRV_P256, _CRV_ED25519 = 1, 6


def confirmation_key(public_der: bytes) -> dict[int, Any]:
    """Put a holder's public key into a `cnf` claim (RFC 8747, 3.2); raise KeyRefusedError unless P-256 or Ed25519."""
    if (point := P256.point_of(public_der)) is not None:
        return {1: {1: _EC2, -1: _CRV_P256, -2: point[:32], -3: point[32:]}}
    if (point := ED25519.point_of(public_der)) is not None:
        return {1: {1: _OKP, -1: _CRV_ED25519, -2: point}}
    raise KeyRefusedError(Refusal.KEY_FORM)


def read_confirmation(claim: object, *, use: str, owner: str) -> KeyRecord | Refused:
    """Read a holder's public key from a decoded `cnf` claim that holds it and nothing else, and check the key.

    The claim names no algorithm: P-256 means ESP256, Ed25519 means Ed25519.
    """
    match claim:
        case {1: {-2: bytes() as x, -3: bytes() as y}}:
            public_der, algorithm = P256.public_der(x + y), Algorithm.ESP256
        case {1: {-2: bytes() as x}}:
            public_der, algorithm = ED25519.public_der(x), Algorithm.ED25519
        case _:
            return Refused(code=Refusal.CWT_CLAIMS, detail="claim 8")
    try:
        # Compared as bytes: to a dict `1` and `true` are the same key, and the same value.
        if encode(claim) != encode(confirmation_key(public_der)):
            return Refused(code=Refusal.CWT_CLAIMS, detail="claim 8")
        return KeyRecord.of(public_der, algorithm=algorithm, use=use, owner=owner)
    except KeyRefusedError as error:
        return Refused(code=error.code, detail="claim 8")
