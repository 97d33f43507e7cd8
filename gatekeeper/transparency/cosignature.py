r"""What a witness signs: timestamped cosignatures, as in C2SP tlog-cosignature.

    signature       uint64 time, seconds since the Epoch, big-endian; then the signature of Ed25519 or ML-DSA-44

    Ed25519         "cosignature/v1\ntime <seconds>\n" and the whole text of the checkpoint
    ML-DSA-44       uint8 label[12] = "subtree/v1\n\0"
                    uint8 length, cosigner's name             up to 255 bytes
                    uint64 time
                    uint8 length, origin of the log           up to 255 bytes
                    uint64 start = 0, uint64 end = size       big-endian
                    uint8 root[32]

An ML-DSA-44 cosignature says nothing of a checkpoint's extension lines; an Ed25519 one does not name its cosigner.
"""

from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.checkpoint import parse_checkpoint
from gatekeeper.transparency.refusal import Refused

__all__ = ["MAX_TIME", "TimedSignature", "ed25519_message", "format_timed", "ml_dsa_message", "parse_timed"]

MAX_TIME: Final = 2**63 - 1
_WORD: Final = 8
_LABEL: Final = b"subtree/v1\n\0"
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSignature:
    """A cosignature taken apart, believed or not; without a time it is a log's own signature."""

    time: int | None
    signature: bytes


def format_timed(time: int, signature: bytes) -> bytes:
    """Put a time before a signature (tlog-cosignature, timestamped_signature)."""
    return time.to_bytes(_WORD, "big") + signature


def parse_timed(timed: bytes) -> TimedSignature | None:
    """Take a cosignature apart; None when its time is beyond the last one or it is too short to have one."""
    time = int.from_bytes(timed[:_WORD], "big")
    if len(timed) <= _WORD or time > MAX_TIME:
        return None
    return TimedSignature(time=time, signature=timed[_WORD:])


def ed25519_message(text: str, *, time: int) -> bytes:
    """What an Ed25519 cosigner signs (tlog-cosignature, Ed25519 signed message)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def ml_dsa_message(text: str, *, cosigner: str, time: int) -> bytes | None:
    """What an ML-DSA-44 cosigner signs of a checkpoint (tlog-cosignature, ML-DSA-44 signed message).

    None for a text that is no checkpoint, and for names that the structure cannot hold.
    """
    checkpoint = parse_checkpoint(text)
    if isinstance(checkpoint, Refused):
        return None
    name, origin = cosigner.encode(), checkpoint.origin.encode()
    if max(len(name), len(origin)) > _LONGEST:
        return None
    start, end = 0, checkpoint.size
    return b"".join(
        (
            _LABEL,
            bytes([len(name)]),
            name,
            time.to_bytes(_WORD, "big"),
            bytes([len(origin)]),
            origin,
            start.to_bytes(_WORD, "big"),
            end.to_bytes(_WORD, "big"),
            checkpoint.root,
        )
    )
