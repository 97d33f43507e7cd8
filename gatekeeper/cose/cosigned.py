"""A document with several signers, for what one hand may not sign alone.

    [ payload bstr, [ + detached COSE_Sign1 bstr ] ]        signatures in rising order of kid, one for each key

Every signature covers the payload alone, so signers need not wait for each other. All that are present must verify: a
document with one bad signature is refused whole. Whether the signers suffice (m of n, host and tenant) is for the
caller to judge, from the keys' uses and owners. Such documents need a `typ` of their own: each signature is also a
detached message that verifies alone.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

from gatekeeper.cose.cbor import DEFAULT, Bounds, decode, encode
from gatekeeper.cose.keys import KeyRecord, KeyRing, SigningKey
from gatekeeper.cose.refusal import Refusal, Refused
from gatekeeper.cose.sign1 import Parsed, authenticate, parse, sign_detached

__all__ = ["Cosigned", "add_signature", "cosign", "verify_cosigned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A payload and all the keys that signed it; at least one."""

    payload: bytes
    signers: frozenset[KeyRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """A document as it stands, believed by nobody yet."""

    payload: bytes
    messages: list[bytes]
    parsed: list[Parsed]


def cosign(payload: bytes, *, keys: Iterable[SigningKey], typ: str, external_aad: bytes = b"") -> bytes:
    """Sign `payload` with every key; raise ValueError without keys or for a key that is there twice."""
    by_kid = sorted(keys, key=_kid)
    if not by_kid or not _is_rising(by_kid):
        raise ValueError("a document needs one signer or more, each once")
    messages = [sign_detached(payload, key=key, typ=typ, external_aad=external_aad) for key in by_kid]
    return encode([payload, messages])


def add_signature(
    document: bytes, *, key: SigningKey, typ: str, external_aad: bytes = b"", bounds: Bounds = DEFAULT
) -> bytes | Refused:
    """Sign what the document says, beside those who did before; their signatures are not verified here."""
    found = _read(document, typ, bounds)
    if isinstance(found, Refused):
        return found
    if any(key.kid == parsed.kid for parsed in found.parsed):
        return Refused(code=Refusal.COSIGNED_ORDER, detail="this key has signed already")
    signed = [(parsed.kid, message) for parsed, message in zip(found.parsed, found.messages, strict=True)]
    signed.append((key.kid, sign_detached(found.payload, key=key, typ=typ, external_aad=external_aad)))
    return encode([found.payload, [message for _, message in sorted(signed)]])


def verify_cosigned(
    document: bytes,
    *,
    keys: KeyRing,
    typ: str,
    uses: AbstractSet[str],
    external_aad: bytes = b"",
    bounds: Bounds = DEFAULT,
) -> Cosigned | Refused:
    """Believe a document when every signature on it verifies, by distinct keys of one of `uses`."""
    found = _read(document, typ, bounds)
    if isinstance(found, Refused):
        return found
    signers = set[KeyRecord]()
    for parsed in found.parsed:
        verified = authenticate(parsed, found.payload, keys=keys, uses=uses, external_aad=external_aad)
        if isinstance(verified, Refused):
            return verified
        signers.add(verified.key)
    return Cosigned(payload=found.payload, signers=frozenset(signers))


def _read(document: bytes, typ: str, bounds: Bounds) -> _Document | Refused:
    parts = decode(document, bounds=bounds)
    match parts:
        case Refused():
            return parts
        case [bytes() as payload, [_, *_] as messages] if all(
            isinstance(message, bytes) for message in messages
        ):
            signatures = [parse(message, typ=typ, bounds=bounds) for message in messages]
        case _:
            return Refused(code=Refusal.COSIGNED_STRUCTURE)
    parsed = list[Parsed]()
    for one in signatures:
        if isinstance(one, Refused):
            return one
        if one.payload is not None:
            return Refused(code=Refusal.COSE_STRUCTURE, detail="a payload where none belongs")
        parsed.append(one)
    if not _is_rising(parsed):
        return Refused(code=Refusal.COSIGNED_ORDER)
    return _Document(payload=payload, messages=messages, parsed=parsed)


def _kid(of: SigningKey | Parsed) -> bytes:
    return of.kid


def _is_rising(signers: Iterable[SigningKey | Parsed]) -> bool:
    """Tell whether the key ids rise, so that no key is there twice."""
    return all(left < right for left, right in pairwise(map(_kid, signers)))
