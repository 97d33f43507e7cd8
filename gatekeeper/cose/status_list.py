"""Token Status Lists (draft-ietf-oauth-status-list): what became of many tokens, in a few bits for each.

    claims      { 2 sub: the list's URI   6 iat: seconds   65533 status_list: {"bits": 4, "lst": zlib} }
    lst         status of token i in the bits from i * 4 on, the lowest bits of a byte first; compressed with zlib (RFC 1950)

Of the widths that the draft allows (1, 2, 4, 8 bits) ours is 4, and no other is read. A list that would inflate to more than a mebibyte is refused before it does. Who signed a list, and whether it is the newest, is asked elsewhere.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gatekeeper.cose.cbor import DEFAULT, Bounds, encode
from gatekeeper.cose.cwt import IAT, SUB, read_claims
from gatekeeper.cose.refusal import Refusal, Refused

__all__ = [
    "INVALID",
    "MAX_STATUS_BYTES",
    "MOST_STATUSES",
    "STATUS_LIST_TYPE",
    "SUSPENDED",
    "VALID",
    "StatusList",
    "read_status_list",
]

STATUS_LIST_TYPE: Final = "application/statuslist+cwt"
VALID, INVALID, SUSPENDED = 0, 1, 2
MAX_STATUS_BYTES: Final = 1_048_576
_STATUS_LIST: Final = 65533
_BITS: Final = 4
_PER_BYTE: Final = 8 // _BITS
_MASK: Final = (1 << _BITS) - 1
MOST_STATUSES: Final = MAX_STATUS_BYTES * _PER_BYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """What became of the tokens of one URI: four bits each, packed. `issued` is in seconds since 1970."""

    uri: str
    issued: int
    packed: bytes

    @classmethod
    def of(cls, uri: str, statuses: Mapping[int, int], *, issued: int) -> "StatusList":
        """Pack the statuses of tokens by their index, up to the highest that is named; what is between is valid. Raises ValueError for an index out of bounds."""
        highest = max(statuses, default=-1)
        if highest >= MOST_STATUSES or min(statuses, default=0) < 0:
            raise ValueError("a status list holds two million tokens at most")
        size = highest // _PER_BYTE + 1
        packed = bytearray(size)
        for index, status in statuses.items():
            packed[index // _PER_BYTE] |= (status & _MASK) << _BITS * (index % _PER_BYTE)
        return cls(uri=uri, issued=issued, packed=bytes(packed))

    def status(self, index: int) -> int | None:
        """The status of a token; None for one that the list does not reach."""
        at = index // _PER_BYTE
        if at >= len(self.packed):
            return None
        return self.packed[at] >> _BITS * (index % _PER_BYTE) & _MASK

    def payload(self) -> bytes:
        """The claims to be signed."""
        listed = {"bits": _BITS, "lst": zlib.compress(self.packed, 9)}
        return encode({SUB: self.uri, IAT: self.issued, _STATUS_LIST: listed})


def read_status_list(payload: bytes, *, bounds: Bounds = DEFAULT) -> StatusList | Refused:
    """Read the verified claims of a list with four bits for each token; anything else in them is refused."""
    claims: Any = read_claims(payload, bounds=bounds)
    match claims:
        case Refused():
            return claims
        case {2: str(uri), 6: int(issued), 65533: {"bits": int(bits), "lst": bytes(compressed)} as listed}:
            packed = _inflated(compressed)
            if (
                len(claims) == 3
                and len(listed) == 2
                and type(bits) is int
                and bits == _BITS
                and packed is not None
            ):
                return StatusList(uri=uri, issued=issued, packed=packed)
    return Refused(code=Refusal.CWT_CLAIMS, detail="status list")


def _inflated(compressed: bytes) -> bytes | None:
    """What a zlib stream holds, if it is one whole stream and holds no more than a list may."""
    stream = zlib.decompressobj()
    try:
        packed = stream.decompress(compressed, MAX_STATUS_BYTES)
    except zlib.error:
        return None
    whole = stream.eof and not stream.unused_data and not stream.unconsumed_tail
    return packed if whole else None
