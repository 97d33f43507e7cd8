"""Keys: which algorithm a key signs with, what it is used for, and whose it is.

    key id = the first 8 bytes of SHA-256(SubjectPublicKeyInfo in DER)

A key record is proof that its key was checked. `verify_signature` is the only place where a signature is checked.
Validity periods, revocation and trust are not known here, nor is how a private key is kept.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Self, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gatekeeper.cose.curves import ED25519, P256, P384, Curve, PrivateKey, Verify
from gatekeeper.cose.refusal import Refusal

__all__ = [
    "KEY_ID_BYTES",
    "Algorithm",
    "KeyRecord",
    "KeyRefusedError",
    "KeyRing",
    "SigningKey",
    "algorithm_of",
    "key_id",
    "key_ring",
    "verify_signature",
]

KEY_ID_BYTES: Final = 8


class Algorithm(IntEnum):
    """COSE algorithm numbers; those of RFC 9864 name their curve, the older two (RFC 9053, 2) mean one curve here."""

    ES256 = -7  # on P-256 only
    EDDSA = -8  # on Ed25519 only
    ESP256 = -9
    ED25519 = -19
    ESP384 = -51


_CURVES: Final[Mapping[Algorithm, Curve]] = {
    Algorithm.ES256: P256,
    Algorithm.EDDSA: ED25519,
    Algorithm.ESP256: P256,
    Algorithm.ED25519: ED25519,
    Algorithm.ESP384: P384,
}
_PREFERRED: Final = (Algorithm.ESP256, Algorithm.ED25519, Algorithm.ESP384)


class KeyRefusedError(ValueError):
    """A key that must not be used; `code` says why."""

    def __init__(self, code: Refusal) -> None:
        super().__init__(code.sentence)
        self.code = code


def key_id(spki_der: bytes) -> bytes:
    """Name a public key: the first 8 bytes of SHA-256 over its SubjectPublicKeyInfo in DER."""
    return hashlib.sha256(spki_der).digest()[:KEY_ID_BYTES]


def algorithm_of(public_der: bytes) -> Algorithm | None:
    """Return the algorithm a public key has when nobody says otherwise; None for a key of no form known here."""
    fitting = (one for one in _PREFERRED if _CURVES[one].point_of(public_der) is not None)
    return next(fitting, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A public key that passed every check, with its one algorithm, its one use and its owner.

    Raise KeyRefusedError for a key that is not in its one encoding, off its curve, or of small order.
    """

    public_der: bytes
    algorithm: Algorithm
    use: str
    owner: str

    # Made from the above.
    kid: bytes = field(init=False)
    verifier: Verify = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # INVARIANT: there is no record of an unchecked key, and none whose kid is not that of its key.
        object.__setattr__(self, "verifier", _verifier(self.public_der, self.algorithm))
        object.__setattr__(self, "kid", key_id(self.public_der))

    @classmethod
    def of(cls, public_der: bytes, *, algorithm: Algorithm, use: str, owner: str) -> Self:
        """Check a public key (SubjectPublicKeyInfo in DER) and record what it is for."""
        return cls(public_der=public_der, algorithm=algorithm, use=use, owner=owner)


def _verifier(public_der: bytes, algorithm: Algorithm) -> Verify:
    curve = _CURVES[algorithm]
    point = curve.point_of(public_der)
    verifier = Refusal.KEY_FORM if point is None else curve.verifier(point)
    if isinstance(verifier, Refusal):
        raise KeyRefusedError(verifier)
    return verifier


def _public_der(private: PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


KeyRing: TypeAlias = Mapping[bytes, KeyRecord]


def key_ring(records: Iterable[KeyRecord]) -> KeyRing:
    """Index records by kid; raise KeyRefusedError when two that differ in any way share one: a key has one use."""
    ring: dict[bytes, KeyRecord] = {}
    for record in records:
        if ring.setdefault(record.kid, record) != record:
            raise KeyRefusedError(Refusal.KEY_ID_CLASH)
    return MappingProxyType(ring)


def verify_signature(record: KeyRecord, message: bytes, signature: bytes) -> bool:
    """Tell whether the record's key made `signature` over `message`, by the record's algorithm.

    ECDSA: r || s of fixed length (RFC 9053, 2.1). Ed25519: RFC 8032, 5.1.7, with S below the group order.
    From an ECDSA signature (r, s) anyone can make a second one, (r, n - s): never take a signature for an identity.
    """
    if len(signature) != _CURVES[record.algorithm].signature_bytes:
        return False
    try:
        record.verifier(signature, message)
    except InvalidSignature:
        return False
    return True


class SigningKey:
    """A private key and the algorithm it signs with; it never shows itself."""

    __slots__ = ("_private", "_sign", "algorithm", "kid", "public_der")

    def __init__(self, private: PrivateKey, algorithm: Algorithm) -> None:
        sign = _CURVES[algorithm].signer(private)
        if sign is None:
            raise KeyRefusedError(Refusal.KEY_FORM)
        self._private: Final = private
        self._sign: Final = sign
        self.algorithm: Final = algorithm
        self.public_der: Final = _public_der(private)
        self.kid: Final = key_id(self.public_der)

    @classmethod
    def generate(cls, algorithm: Algorithm = Algorithm.ESP256) -> Self:
        """Make a new key with the randomness of the operating system."""
        return cls(_CURVES[algorithm].generate(), algorithm)

    @classmethod
    def from_pem(cls, pem: bytes, algorithm: Algorithm | None = None) -> Self:
        """Read an unencrypted private key; raise KeyRefusedError for one that does not fit the algorithm."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyRefusedError(Refusal.KEY_FORM) from error
        if not isinstance(private, PrivateKey):
            raise KeyRefusedError(Refusal.KEY_FORM)
        algorithm = algorithm or algorithm_of(_public_der(private))
        if algorithm is None:
            raise KeyRefusedError(Refusal.KEY_FORM)
        return cls(private, algorithm)

    def to_pem(self) -> bytes:
        """Write the private key as unencrypted PKCS #8 (RFC 5958): who calls this keeps the secret."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, data: bytes) -> bytes:
        """Sign `data`; the same key and data give the same signature (RFC 6979, RFC 8032)."""
        return self._sign(data)

    def record(self, *, use: str, owner: str) -> KeyRecord:
        """Record the public half."""
        return KeyRecord.of(self.public_der, algorithm=self.algorithm, use=use, owner=owner)
