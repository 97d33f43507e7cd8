"""Sealing bytes for one key, so that nobody on the way reads them: HPKE (RFC 9180), base mode.

    sealed = enc (65 bytes, the ephemeral P-256 key) || ciphertext || tag      DHKEM(P-256), HKDF-SHA256, AES-128-GCM

`info` binds a sealed message to what it is for: sealed for one thing, it opens for nothing else. The same key never signs.
"""

from typing import Final, TypeGuard

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key

from gatekeeper.cose.keys import KeyRefusedError
from gatekeeper.cose.refusal import Refusal

__all__ = ["SEALED_OVERHEAD", "SealKey", "can_be_sealed_for", "seal"]

SEALED_OVERHEAD: Final = 65 + 16
"""How much longer than its plaintext a sealed message is, in bytes."""

_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


def seal(plaintext: bytes, *, public_der: bytes, info: bytes) -> bytes:
    """Seal for whoever holds the private key of a P-256 SubjectPublicKeyInfo. Raises KeyRefusedError for another key."""
    public = load_der_public_key(public_der)
    if not _is_p256(public):
        raise KeyRefusedError(Refusal.KEY_FORM)
    return _SUITE.encrypt(plaintext, public, info)


def can_be_sealed_for(public_der: bytes) -> bool:
    """Whether a SubjectPublicKeyInfo is one to seal for: a key on P-256. Raises ValueError for what is no key."""
    return _is_p256(load_der_public_key(public_der))


def _is_p256(public: object) -> TypeGuard[EllipticCurvePublicKey]:
    return isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)


class SealKey:
    """A private key that opens what was sealed for it; it never shows itself."""

    __slots__ = ("_private",)

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        self._private: Final = private

    @classmethod
    def from_pem(cls, pem: bytes) -> "SealKey":
        """Read an unencrypted P-256 private key; raise KeyRefusedError for any other."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise KeyRefusedError(Refusal.KEY_FORM) from error
        if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
            raise KeyRefusedError(Refusal.KEY_FORM)
        return cls(private)

    def open(self, sealed: bytes, *, info: bytes) -> bytes | None:
        """Open a sealed message; None when it was not sealed for this key and purpose, or was altered."""
        if len(sealed) < SEALED_OVERHEAD:
            return None
        try:
            return _SUITE.decrypt(sealed, self._private, info)
        except (InvalidTag, ValueError):
            return None
