"""The three curves: how their public keys and signatures look, and which of their points are no keys.

    P-256, P-384   key: SPKI prefix 04 x y (never compressed)   signature: r || s (RFC 9053, 2.1)
    Ed25519        key: SPKI prefix y with the sign of x         signature: R || S (RFC 8032, 5.1)

Each curve allows one encoding of a key, so it is known by its fixed prefix and no ASN.1 parser meets a stranger's bytes.
Which algorithm number goes with a curve, and who owns a key, is the business of `keys`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from gatekeeper.cose.refusal import Refusal

__all__ = ["ED25519", "P256", "P384", "Curve", "PrivateKey", "Sign", "Verify"]

PrivateKey: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey
Sign: TypeAlias = Callable[[bytes], bytes]
Verify: TypeAlias = Callable[[bytes, bytes], None]  # signature, message; raises InvalidSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """The fixed parts of a curve's public keys and signatures."""

    spki_prefix: bytes  # SubjectPublicKeyInfo (RFC 5480, RFC 8410) up to the coordinates
    point_bytes: int
    signature_bytes: int

    def point_of(self, public_der: bytes) -> bytes | None:
        """Return the coordinates in a SubjectPublicKeyInfo; None when it is not a key of this curve in its one encoding."""
        start = len(self.spki_prefix)
        if len(public_der) != start + self.point_bytes or not public_der.startswith(self.spki_prefix):
            return None
        return public_der[start:]

    def public_der(self, point: bytes) -> bytes:
        """Put coordinates into a SubjectPublicKeyInfo; whether they are a key is for `verifier` to say."""
        return self.spki_prefix + point


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ecdsa(_Form):
    curve: EllipticCurve
    scheme: ECDSA

    def generate(self) -> EllipticCurvePrivateKey:
        return generate_private_key(self.curve)

    def signer(self, private: object) -> Sign | None:
        """Return how this private key signs; None when it is no key of this curve."""
        if not isinstance(private, EllipticCurvePrivateKey) or private.curve.name != self.curve.name:
            return None
        half = self.signature_bytes // 2

        def sign(message: bytes) -> bytes:
            r, s = decode_dss_signature(private.sign(message, self.scheme))
            return r.to_bytes(half, "big") + s.to_bytes(half, "big")

        return sign

    def verifier(self, point: bytes) -> Verify | Refusal:
        """Return how signatures of the key at `point` are checked, or why it is no key."""
        try:
            key = EllipticCurvePublicKey.from_encoded_point(self.curve, b"\x04" + point)
        except ValueError:
            return Refusal.KEY_OFF_CURVE
        half = self.signature_bytes // 2

        def verify(signature: bytes, message: bytes) -> None:
            r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            key.verify(encode_dss_signature(r, s), message, self.scheme)

        return verify


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ed25519(_Form):
    def generate(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.generate()

    def signer(self, private: object) -> Sign | None:
        """Return how this private key signs; None when it is no key of this curve."""
        return private.sign if isinstance(private, Ed25519PrivateKey) else None

    def verifier(self, point: bytes) -> Verify | Refusal:
        """Return how signatures of the key at `point` are checked, or why it is no key."""
        fault = _ed25519_fault(point)
        return Ed25519PublicKey.from_public_bytes(point).verify if fault is None else fault


Curve: TypeAlias = _Ecdsa | _Ed25519

# Nonces are deterministic (RFC 6979): no random source can betray a key, and the same bytes sign the same way.
P256: Final = _Ecdsa(
    spki_prefix=bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
    point_bytes=64,
    signature_bytes=64,
    curve=SECP256R1(),
    scheme=ECDSA(SHA256(), deterministic_signing=True),
)
P384: Final = _Ecdsa(
    spki_prefix=bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004"),
    point_bytes=96,
    signature_bytes=96,
    curve=SECP384R1(),
    scheme=ECDSA(SHA384(), deterministic_signing=True),
)
ED25519: Final = _Ed25519(
    spki_prefix=bytes.fromhex("302a300506032b6570032100"),
    point_bytes=32,
    signature_bytes=64,
)

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_Y_OF_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The eight points of small order have five y between them: of order 4, 1, 2, and twice 8.
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


def _ed25519_fault(point: bytes) -> Refusal | None:
    """Say why an encoded point (RFC 8032, 5.1.2) is no public key: OpenSSL would take any 32 bytes for one."""
    y = int.from_bytes(point, "little") & (1 << 255) - 1
    if y % _P in _SMALL_ORDER:
        return Refusal.KEY_SMALL_ORDER
    if y >= _P:
        return Refusal.KEY_FORM
    # x * x = u / v has a root exactly when u * v is a square (Euler's criterion).
    u, v = y * y - 1, _D * y * y + 1
    return None if pow(u * v, (_P - 1) // 2, _P) == 1 else Refusal.KEY_OFF_CURVE
