"""Checkpoints: the word of a log that at some size its root is this, as in C2SP tlog-checkpoint.

    <origin>              the name of the log, and of the key that must sign
    <size>                decimal, no leading zeros
    <root>                base64 of 32 bytes
    <extension>           none or more lines, none of them empty

Only the text: who signed it is asked in `signed_checkpoint`. That two checkpoints of one log are consistent is not known
here: `verify_consistency` in `proofs` tells.
"""

import re
from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.hashing import HASH_SIZE
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.spelling import MAX_DECIMAL, decode_hash, encode_base64, parse_decimal

__all__ = ["Checkpoint", "parse_checkpoint"]

_LINE: Final = re.compile(r"[^\x00-\x1f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The size and root of a log."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Let no checkpoint exist that could not be read back."""
        if not all(_LINE.fullmatch(line) for line in (self.origin, *self.extensions)):
            raise ValueError("The lines of a checkpoint are not empty and hold no control characters.")
        if not 0 <= self.size <= MAX_DECIMAL:
            raise ValueError(Refusal.CHECKPOINT_SIZE.sentence)
        if len(self.root) != HASH_SIZE:
            raise ValueError(Refusal.CHECKPOINT_ROOT.sentence)

    def text(self) -> str:
        """Return the text to sign (tlog-checkpoint, Note text)."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint | Refused:
    """Read the text of a checkpoint, without any signature (tlog-checkpoint, Note text)."""
    *lines, after = text.split("\n")
    if after or len(lines) < 3 or not all(_LINE.fullmatch(line) for line in lines):
        return Refused(code=Refusal.CHECKPOINT_STRUCTURE)
    origin, written_size, encoded_root, *extensions = lines
    size = parse_decimal(written_size)
    if size is None:
        return Refused(code=Refusal.CHECKPOINT_SIZE)
    root = decode_hash(encoded_root)
    if root is None:
        return Refused(code=Refusal.CHECKPOINT_ROOT)
    return Checkpoint(origin=origin, size=size, root=root, extensions=tuple(extensions))
