"""Why bytes are not believed: one stable code and one sentence for every way they can fail.

A refusal is a value that travels with the message it is about; it is never raised. Codes are part of the contract
(logs, dead letters and documents name them) and are never reused. Nothing here says what to do about a refusal.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

__all__ = ["Refusal", "Refused"]


class Refusal(StrEnum):
    """A stable code, and in `sentence` what it means in plain English."""

    sentence: str

    CBOR_OVERSIZED = "cbor-oversized", "The bytes are longer than this kind of object may be."
    CBOR_TRUNCATED = "cbor-truncated", "The bytes end before the item they announce."
    CBOR_TRAILING_BYTES = "cbor-trailing-bytes", "Bytes follow after the item has ended."
    CBOR_TOO_DEEP = "cbor-too-deep", "Arrays or maps are nested deeper than allowed."
    CBOR_TOO_MANY_ITEMS = "cbor-too-many-items", "The bytes announce more items than allowed."
    CBOR_MALFORMED = "cbor-malformed", "An item starts with a byte that CBOR reserves."
    CBOR_TYPE_NOT_ALLOWED = "cbor-type-not-allowed", "An item is of a type that has no place here."
    CBOR_NOT_DETERMINISTIC = "cbor-not-deterministic", "The item has a shorter or better ordered encoding."
    CBOR_DUPLICATE_KEY = "cbor-duplicate-key", "A map holds the same key twice."
    CBOR_TEXT = "cbor-text", "A text string is not valid UTF-8."

    COSE_TAG = "cose-tag", "The message does not start with the tag of COSE_Sign1."
    COSE_STRUCTURE = (
        "cose-structure",
        "The message is not an array of protected, unprotected, payload and signature.",
    )
    COSE_HEADER = "cose-header", "The headers are not exactly a protected algorithm, key id and type."
    COSE_TYPE = "cose-type", "The message is of another type than the one expected."
    COSE_UNKNOWN_KEY = "cose-unknown-key", "No known key has the key id of the message."
    COSE_KEY_USE = "cose-key-use", "The key is not meant for this use."
    COSE_ALGORITHM = "cose-algorithm", "The message names another algorithm than the one of its key."
    COSE_SIGNATURE = "cose-signature", "The signature does not match the message and its key."

    COSIGNED_STRUCTURE = "cosigned-structure", "The document is not a payload with one signature or more."
    COSIGNED_ORDER = (
        "cosigned-order",
        "The signatures are not in the order of their key ids, one for each key.",
    )

    CWT_CLAIMS = "cwt-claims", "A claim is missing its proper form."

    KEY_FORM = "key-form", "The public key is not in the one encoding allowed for its algorithm."
    KEY_OFF_CURVE = "key-off-curve", "The public key is no point on the curve of its algorithm."
    KEY_SMALL_ORDER = (
        "key-small-order",
        "The public key is a point of small order, for which anyone can sign.",
    )
    KEY_ID_CLASH = "key-id-clash", "Two different key records have the same key id."

    def __new__(cls, code: str, sentence: str) -> Self:
        """Make the code the member's value, so that `Refusal("cose-type")` finds it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal; `detail` says where or which one, and never repeats what the message says."""

    code: Refusal
    detail: str = ""
