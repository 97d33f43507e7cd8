r"""Keys that sign notes and cosign checkpoints, under a name, as in C2SP signed-note and tlog-cosignature.

    type 0x01, Ed25519                    signature(64)               over the text
    type 0x04, Ed25519 cosignature        time(8) signature(64)       over "cosignature/v1\ntime <seconds>\n" and the text
    type 0x06, ML-DSA-44 cosignature      time(8) signature(2420)     over the structure drawn in `cosignature`

    key id        SHA-256(name || 0x0A || type || public key)[:4]
    verifier key  <name>+<key id in hex>+<base64 of type || public key>

Nothing here knows what time it is; who cosigns says so.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from gatekeeper.transparency.cosignature import (
    MAX_TIME,
    TimedSignature,
    ed25519_message,
    format_timed,
    ml_dsa_message,
    parse_timed,
)
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.spelling import decode_base64, encode_base64

__all__ = [
    "KEY_ID_BYTES",
    "Cosigner",
    "MlDsaCosigner",
    "NoteSignature",
    "SignatureType",
    "Signer",
    "VerifiedSignature",
    "Verifier",
    "is_key_name",
    "parse_verifier",
]

KEY_ID_BYTES: Final = 4
_ED25519_KEY_BYTES: Final = 32
_ML_DSA_44_KEY_BYTES: Final = 1312
_ML_DSA_SEED_BYTES: Final = 32  # rho, before the vector t1
_CONTROL: Final = re.compile(r"[\x00-\x1f]")

_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
# INVARIANT: the y coordinates of all eight points of small order: 0 (order 4), 1, -1 (order 2), and two of order 8.
_SMALL_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})


class SignatureType(IntEnum):
    """The signature types that are supported (signed-note, Signature types; tlog-cosignature, Format)."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04
    COSIGNATURE_ML_DSA_44 = 0x06

    @property
    def cosigns(self) -> bool:
        """Whether it is a witness' type: over a checkpoint, with a time."""
        return self is not SignatureType.ED25519

    @property
    def algorithm(self) -> str:
        """What it signs with, for a person."""
        return "ML-DSA-44" if self is SignatureType.COSIGNATURE_ML_DSA_44 else "Ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line, believed or not."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, with its newline."""
        return f"— {self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A public key with the name it signs under, for one signature type."""

    name: str
    type: SignatureType
    public_key: bytes

    def __post_init__(self) -> None:
        """Let no key be trusted that anyone could sign for, or under a name that no note can carry."""
        if not is_key_name(self.name):
            raise ValueError(Refusal.NOTE_KEY_NAME.sentence)
        if not _is_strong(self.type, self.public_key):
            raise ValueError(Refusal.KEY_WEAK.sentence)

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, single out this key and type (signed-note, Signatures)."""
        return _key_id(self.name, bytes([self.type]) + self.public_key)

    def key(self) -> str:
        """Return the verifier key, the one line to hand to whoever is to trust this key."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.type]) + self.public_key)}"

    def verify(self, text: str, signature: bytes) -> "VerifiedSignature | Refused":
        """Check a signature of this type over a note's text."""
        refused = Refused(code=Refusal.NOTE_SIGNATURE, detail=self.name)
        timed = (
            parse_timed(signature) if self.type.cosigns else TimedSignature(time=None, signature=signature)
        )
        message = None if timed is None else self._message(text, timed.time)
        if timed is None or message is None:
            return refused
        try:
            self._check(timed.signature, message)
        except InvalidSignature:
            return refused
        return VerifiedSignature(verifier=self, time=timed.time)

    def _message(self, text: str, time: int | None) -> bytes | None:
        """What was signed; None for what this type signs no such text of."""
        if time is None:
            return text.encode()
        if self.type is SignatureType.COSIGNATURE_ML_DSA_44:
            return ml_dsa_message(text, cosigner=self.name, time=time)
        return ed25519_message(text, time=time)

    def _check(self, signature: bytes, message: bytes) -> None:
        match self.type:
            case SignatureType.ED25519 | SignatureType.COSIGNATURE_V1:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
            case SignatureType.COSIGNATURE_ML_DSA_44:
                MLDSA44PublicKey.from_public_bytes(self.public_key).verify(signature, message)
            case _:
                assert_never(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """Who signed, and for a cosignature when: seconds since the Epoch, as the cosigner says."""

    verifier: Verifier
    time: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs notes under a name (signed-note, Ed25519 signatures)."""

    name: str
    private_key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The public half, to be handed out."""
        return _verifier_of(self.name, SignatureType.ED25519, self.private_key)

    def sign(self, text: str) -> NoteSignature:
        """Sign a note's text."""
        signature = self.private_key.sign(text.encode())
        return NoteSignature(name=self.name, key_id=self.verifier.key_id, signature=signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """Cosigns checkpoints under a name (tlog-cosignature, Ed25519 signed message). One key serves one cosigner."""

    name: str
    private_key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The public half, to be handed out."""
        return _verifier_of(self.name, SignatureType.COSIGNATURE_V1, self.private_key)

    def cosign(self, text: str, *, time: int) -> NoteSignature:
        """State that this is the largest checkpoint seen at `time`, in seconds since the Epoch."""
        _must_be_time(time)
        signed = format_timed(time, self.private_key.sign(ed25519_message(text, time=time)))
        return NoteSignature(name=self.name, key_id=self.verifier.key_id, signature=signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class MlDsaCosigner:
    """Cosigns checkpoints so that no quantum computer can (tlog-cosignature, ML-DSA-44 signed message)."""

    name: str
    private_key: MLDSA44PrivateKey

    @property
    def verifier(self) -> Verifier:
        """The public half, to be handed out."""
        return _verifier_of(self.name, SignatureType.COSIGNATURE_ML_DSA_44, self.private_key)

    def cosign(self, text: str, *, time: int) -> NoteSignature:
        """State that this is the largest checkpoint seen at `time`. Raises ValueError for what is no checkpoint."""
        _must_be_time(time)
        message = ml_dsa_message(text, cosigner=self.name, time=time)
        if message is None:
            raise ValueError(
                "ML-DSA-44 cosigns checkpoints only, of an origin and a name up to 255 bytes each."
            )
        signed = format_timed(time, self.private_key.sign(message))
        return NoteSignature(name=self.name, key_id=self.verifier.key_id, signature=signed)


def parse_verifier(key: str) -> Verifier | Refused:
    """Read a verifier key (signed-note, Verifier keys)."""
    name, _, rest = key.partition("+")
    key_id, _, encoded = rest.partition("+")
    typed_key = decode_base64(encoded)
    if not is_key_name(name) or not re.fullmatch("[0-9a-f]{8}", key_id) or typed_key is None:
        return Refused(code=Refusal.KEY_FORM)
    kind, public_key = typed_key[:1], typed_key[1:]
    if kind not in {bytes([known]) for known in SignatureType}:
        return Refused(code=Refusal.KEY_TYPE)
    if _key_id(name, typed_key).hex() != key_id:
        return Refused(code=Refusal.KEY_ID)
    signature_type = SignatureType(kind[0])
    if not _is_strong(signature_type, public_key):
        return Refused(code=Refusal.KEY_WEAK)
    return Verifier(name=name, type=signature_type, public_key=public_key)


def is_key_name(name: str) -> bool:
    """Tell whether a note can carry this name of a key (signed-note, Format)."""
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and not _CONTROL.search(name)


def _must_be_time(time: int) -> None:
    if not 0 <= time <= MAX_TIME:
        raise ValueError("A cosignature's time lies between 0 and 2^63 - 1 seconds.")


def _is_strong(kind: SignatureType, public_key: bytes) -> bool:
    if kind is SignatureType.COSIGNATURE_ML_DSA_44:
        return _is_strong_ml_dsa(public_key)
    return _is_strong_ed25519(public_key)


def _is_strong_ed25519(public_key: bytes) -> bool:
    """Tell whether an Ed25519 key is 32 bytes, canonical and not of small order; OpenSSL takes all of these."""
    if len(public_key) != _ED25519_KEY_BYTES:
        return False
    y = int.from_bytes(public_key, "little") & (2**255 - 1)  # the top bit is the sign of x
    return y < _FIELD and y not in _SMALL_ORDER


def _is_strong_ml_dsa(public_key: bytes) -> bool:
    """Tell whether an ML-DSA-44 key is 1,312 bytes and its t1 not zero: with that, any short z passes (FIPS 204, 6.3)."""
    return len(public_key) == _ML_DSA_44_KEY_BYTES and any(public_key[_ML_DSA_SEED_BYTES:])


def _key_id(name: str, typed_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + typed_key).digest()[:KEY_ID_BYTES]


def _verifier_of(
    name: str, kind: SignatureType, private_key: Ed25519PrivateKey | MLDSA44PrivateKey
) -> Verifier:
    return Verifier(name=name, type=kind, public_key=private_key.public_key().public_bytes_raw())
