"""Signed objects: strict COSE_Sign1 (RFC 9052), its keys, documents with several signers, and CWT claims (RFC 8392).

One verifier for everything that is signed. It knows keys, algorithms, uses and bytes; of gates, badges and time it knows
nothing. What it does not believe comes back as `Refused`; an exception means that the caller is broken.
"""

from gatekeeper.cose.cbor import DEFAULT, Bounds, decode, encode
from gatekeeper.cose.cosigned import Cosigned, add_signature, cosign, verify_cosigned
from gatekeeper.cose.cwt import confirmation_key, read_claims, read_confirmation
from gatekeeper.cose.hpke import SEALED_OVERHEAD, SealKey, can_be_sealed_for, seal
from gatekeeper.cose.keys import (
    Algorithm,
    KeyRecord,
    KeyRefusedError,
    KeyRing,
    SigningKey,
    algorithm_of,
    key_id,
    key_ring,
    verify_signature,
)
from gatekeeper.cose.refusal import Refusal, Refused
from gatekeeper.cose.sign1 import (
    Parsed,
    Verified,
    parse,
    sign,
    sign_detached,
    twin,
    verify,
    verify_detached,
)

__all__ = [
    "DEFAULT",
    "SEALED_OVERHEAD",
    "Algorithm",
    "Bounds",
    "Cosigned",
    "KeyRecord",
    "KeyRefusedError",
    "KeyRing",
    "Parsed",
    "Refusal",
    "Refused",
    "SealKey",
    "SigningKey",
    "Verified",
    "add_signature",
    "algorithm_of",
    "can_be_sealed_for",
    "confirmation_key",
    "cosign",
    "decode",
    "encode",
    "key_id",
    "key_ring",
    "parse",
    "read_claims",
    "read_confirmation",
    "seal",
    "sign",
    "sign_detached",
    "twin",
    "verify",
    "verify_cosigned",
    "verify_detached",
    "verify_signature",
]
