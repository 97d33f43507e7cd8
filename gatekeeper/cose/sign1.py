"""COSE_Sign1 (RFC 9052, 4.2) in one strict shape: signed, verified, or refused.

    18([ << {1: alg, 4: kid, 16: typ} >>, {}, payload bstr / nil, signature bstr ])

Deterministic CBOR throughout, exactly these headers (RFC 9052, 3.1; typ: RFC 9596) and no other, payload nil when it
travels apart. The key id finds the key record; the record alone says which algorithm and which use are right. What the
payload says, how fresh it is and whether the key's owner may say it is for the caller to judge.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gatekeeper.cose.cbor import DEFAULT, Bounds, decode, encode, encode_bytes
from gatekeeper.cose.keys import KeyRecord, KeyRing, SigningKey, verify_signature
from gatekeeper.cose.refusal import Refusal, Refused

__all__ = [
    "Parsed",
    "Verified",
    "authenticate",
    "parse",
    "sign",
    "sign_detached",
    "twin",
    "verify",
    "verify_detached",
]

_TAG: Final = b"\xd2"  # tag 18, COSE_Sign1
_FOUR: Final = b"\x84"  # an array of four items
_EMPTY: Final = encode({})
_NIL: Final = encode(None)
_CONTEXT: Final = _FOUR + encode("Signature1")
# How a signature begins as a byte string, half its length, and the order n of its curve (SEC 2, 2.4.2 and 2.5.1).
_ORDERS: Final = (
    (b"\x58\x40", 32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    (
        b"\x58\x60",
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
)
_HEADER_BOUNDS: Final = Bounds(max_bytes=160, max_depth=1, max_items=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A message as it stands, believed by nobody yet: anyone can have written every field."""

    algorithm: int
    kid: bytes
    typ: str
    payload: bytes | None
    signature: bytes
    protected: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A payload and the key that signed it."""

    payload: bytes
    key: KeyRecord


def sign(payload: bytes, *, key: SigningKey, typ: str, external_aad: bytes = b"") -> bytes:
    """Sign `payload` into a message that carries it."""
    return _sign(payload, payload, key, typ, external_aad)


def sign_detached(payload: bytes, *, key: SigningKey, typ: str, external_aad: bytes = b"") -> bytes:
    """Sign `payload` into a message that does not carry it (RFC 9052, 2: detached content)."""
    return _sign(payload, None, key, typ, external_aad)


def verify(
    message: bytes, *, keys: KeyRing, typ: str, use: str, external_aad: bytes = b"", bounds: Bounds = DEFAULT
) -> Verified | Refused:
    """Believe a message that carries its payload, or say why not."""
    parsed = parse(message, typ=typ, bounds=bounds)
    if isinstance(parsed, Refused):
        return parsed
    if parsed.payload is None:
        return Refused(code=Refusal.COSE_STRUCTURE, detail="the payload is missing")
    return authenticate(parsed, parsed.payload, keys=keys, uses={use}, external_aad=external_aad)


def verify_detached(
    message: bytes,
    payload: bytes,
    *,
    keys: KeyRing,
    typ: str,
    use: str,
    external_aad: bytes = b"",
    bounds: Bounds = DEFAULT,
) -> Verified | Refused:
    """Believe `payload` for a message that does not carry it, or say why not."""
    parsed = parse(message, typ=typ, bounds=bounds)
    if isinstance(parsed, Refused):
        return parsed
    if parsed.payload is not None:
        return Refused(code=Refusal.COSE_STRUCTURE, detail="a payload where none belongs")
    return authenticate(parsed, payload, keys=keys, uses={use}, external_aad=external_aad)


def parse(message: bytes, *, typ: str, bounds: Bounds = DEFAULT) -> Parsed | Refused:
    """Read a message without verifying it.

    Nothing in the result is true yet. It may choose which keys to verify with or be filed as poison; never act on it.
    """
    if len(message) > bounds.max_bytes:
        return Refused(code=Refusal.CBOR_OVERSIZED)
    if not message.startswith(_TAG):
        return Refused(code=Refusal.COSE_TAG)
    parts = decode(message[len(_TAG) :], bounds=bounds)
    match parts:
        case Refused():
            return parts
        case [bytes() as protected, dict() as unprotected, bytes() | None as payload, bytes() as signature]:
            header = _read_header(protected, unprotected, typ)
        case _:
            return Refused(code=Refusal.COSE_STRUCTURE)
    if isinstance(header, Refused):
        return header
    algorithm, kid = header
    return Parsed(
        algorithm=algorithm, kid=kid, typ=typ, payload=payload, signature=signature, protected=protected
    )


def authenticate(
    parsed: Parsed, payload: bytes, *, keys: KeyRing, uses: AbstractSet[str], external_aad: bytes
) -> Verified | Refused:
    """Verify what was parsed, over `payload`: key, use, algorithm, signature (RFC 9052, 4.4)."""
    key = keys.get(parsed.kid)
    if key is None:
        return Refused(code=Refusal.COSE_UNKNOWN_KEY)
    if key.use not in uses:
        return Refused(code=Refusal.COSE_KEY_USE)
    # INVARIANT: the algorithm comes from the key record; what the message says must merely agree.
    if parsed.algorithm != key.algorithm:
        return Refused(code=Refusal.COSE_ALGORITHM)
    if not verify_signature(key, _to_be_signed(parsed.protected, external_aad, payload), parsed.signature):
        return Refused(code=Refusal.COSE_SIGNATURE)
    return Verified(payload=payload, key=key)


def twin(message: bytes) -> bytes | None:
    """A signed message under the other signature that anybody can make of an ECDSA one: (r, n - s) of (r, s)."""
    for start, half, order in _ORDERS:
        if message[-2 * half - len(start) : -2 * half] == start:
            s = order - int.from_bytes(message[-half:])
            return message[:-half] + s.to_bytes(half) if 0 < s < order else None
    return None


def _read_header(
    protected: bytes, unprotected: dict[object, object], typ: str
) -> tuple[int, bytes] | Refused:
    """Read algorithm and key id beside the expected type: no other header is understood, so none may be there."""
    if unprotected:
        return Refused(code=Refusal.COSE_HEADER, detail="unprotected")
    if len(protected) > _HEADER_BOUNDS.max_bytes:
        return Refused(code=Refusal.COSE_HEADER, detail=Refusal.CBOR_OVERSIZED)
    return _read_protected(protected, typ)


@lru_cache(maxsize=4096)
def _read_protected(protected: bytes, typ: str) -> tuple[int, bytes] | Refused:
    """What these very bytes say. Who signs says the same with every message, so the answer is remembered."""
    header = decode(protected, bounds=_HEADER_BOUNDS)
    match header:
        case Refused(code=code):
            return Refused(code=Refusal.COSE_HEADER, detail=code)
        case {1: int() as algorithm, 4: bytes() as kid, 16: str() as found} if len(header) == 3:
            return (algorithm, kid) if found == typ else Refused(code=Refusal.COSE_TYPE)
        case _:
            return Refused(code=Refusal.COSE_HEADER)


def _sign(payload: bytes, carried: bytes | None, key: SigningKey, typ: str, external_aad: bytes) -> bytes:
    protected = _protected(key.algorithm, key.kid, typ)
    signature = key.sign(_to_be_signed(protected, external_aad, payload))
    content = _NIL if carried is None else encode_bytes(carried)
    return b"".join((_TAG, _FOUR, encode_bytes(protected), _EMPTY, content, encode_bytes(signature)))


@lru_cache(maxsize=1024)
def _protected(algorithm: int, kid: bytes, typ: str) -> bytes:
    return encode({1: algorithm, 4: kid, 16: typ})


def _to_be_signed(protected: bytes, external_aad: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052, 4.4): ["Signature1", protected, external AAD, payload]."""
    return b"".join((_CONTEXT, encode_bytes(protected), encode_bytes(external_aad), encode_bytes(payload)))
