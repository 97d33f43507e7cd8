"""The one spelling of base64, hashes and decimals in C2SP's formats; every other spelling of the same value is refused."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from gatekeeper.transparency.hashing import HASH_SIZE

__all__ = [
    "MAX_DECIMAL",
    "MAX_PROOF_HASHES",
    "decode_base64",
    "decode_hash",
    "decode_proof",
    "encode_base64",
    "parse_decimal",
]

MAX_DECIMAL: Final = 2**63 - 1
MAX_PROOF_HASHES: Final = 63
"""As many as a tree of fewer than 2^63 leaves can ask for in an inclusion proof."""
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def encode_base64(decoded: bytes) -> str:
    """Encode as in RFC 4648, section 4, with padding."""
    return base64.b64encode(decoded).decode()


def decode_base64(encoded: str) -> bytes | None:
    """Decode what `encode_base64` has written; None for any other spelling, such as stray bits or missing padding."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if encode_base64(decoded) == encoded else None


def decode_hash(encoded: str) -> bytes | None:
    """Decode a SHA-256 hash; None for what is not the base64 of 32 bytes."""
    decoded = decode_base64(encoded)
    return decoded if decoded is not None and len(decoded) == HASH_SIZE else None


def decode_proof(lines: Sequence[str]) -> tuple[bytes, ...] | None:
    """Decode the hashes of a proof, one a line; None unless each line is a hash, and there are at most 63."""
    if len(lines) > MAX_PROOF_HASHES:
        return None
    hashes = tuple(decoded for line in lines if (decoded := decode_hash(line)) is not None)
    return hashes if len(hashes) == len(lines) else None


def parse_decimal(written: str) -> int | None:
    """Read a number from 0 to 2^63 - 1 in ASCII digits without leading zeros; None for anything else."""
    if not _DECIMAL.fullmatch(written):
        return None
    number = int(written)
    return number if number <= MAX_DECIMAL else None
