"""Checkpoints: the signed word of a log that at some size its root is this, as in C2SP tlog-checkpoint.

    <origin>              the name of the log, and of the key that must sign
    <size>                decimal, no leading zeros
    <root>                base64 of 32 bytes
    <extension>           none or more lines, none of them empty

That two checkpoints of one log are consistent is not known here: `verify_consistency` in `proofs` tells.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.hashing import HASH_SIZE
from gatekeeper.transparency.note import (
    SignatureType,
    Signer,
    VerifiedSignature,
    Verifier,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)
from gatekeeper.transparency.refusal import Refusal, Refused

__all__ = ["Checkpoint", "OpenedCheckpoint", "open_checkpoint", "parse_checkpoint", "sign_checkpoint"]

_MAX_SIZE: Final = 2**63 - 1
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
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
        if not 0 <= self.size <= _MAX_SIZE:
            raise ValueError(Refusal.CHECKPOINT_SIZE.sentence)
        if len(self.root) != HASH_SIZE:
            raise ValueError(Refusal.CHECKPOINT_ROOT.sentence)

    def text(self) -> str:
        """Return the text to sign (tlog-checkpoint, Note text)."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCheckpoint:
    """A checkpoint that its log signed, and who else of those known."""

    checkpoint: Checkpoint
    signatures: tuple[VerifiedSignature, ...]

    @property
    def cosignatures(self) -> tuple[VerifiedSignature, ...]:
        """The signatures of witnesses, each with its time."""
        return tuple(it for it in self.signatures if it.verifier.type is SignatureType.COSIGNATURE_V1)


def parse_checkpoint(text: str) -> Checkpoint | Refused:
    """Read the text of a checkpoint, without any signature (tlog-checkpoint, Note text)."""
    *lines, after = text.split("\n")
    if after or len(lines) < 3 or not all(_LINE.fullmatch(line) for line in lines):
        return Refused(code=Refusal.CHECKPOINT_STRUCTURE)
    origin, size, encoded_root, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > _MAX_SIZE:
        return Refused(code=Refusal.CHECKPOINT_SIZE)
    root = decode_base64(encoded_root)
    if root is None or len(root) != HASH_SIZE:
        return Refused(code=Refusal.CHECKPOINT_ROOT)
    return Checkpoint(origin=origin, size=int(size), root=root, extensions=tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """Return the signed note of a checkpoint. Raises ValueError unless every signer bears the name of the origin."""
    if any(signer.name != checkpoint.origin for signer in signers):
        raise ValueError(f"Only keys named {checkpoint.origin} sign its checkpoints; others cosign.")
    return sign_note(checkpoint.text(), signers)


def open_checkpoint(note: bytes, verifiers: Iterable[Verifier]) -> OpenedCheckpoint | Refused:
    """Believe a checkpoint that a known key of its own log signed, the key name being the origin.

    The signature of a witness alone does not do: it vouches that the log said so, but for no log in particular.
    """
    opened = open_note(note, verifiers)
    if isinstance(opened, Refused):
        return opened
    checkpoint = parse_checkpoint(opened.text)
    if isinstance(checkpoint, Refused):
        return checkpoint
    if not any(_is_of_origin(signature.verifier, checkpoint.origin) for signature in opened.signatures):
        return Refused(code=Refusal.CHECKPOINT_ORIGIN)
    return OpenedCheckpoint(checkpoint=checkpoint, signatures=opened.signatures)


def _is_of_origin(verifier: Verifier, origin: str) -> bool:
    return verifier.type is SignatureType.ED25519 and verifier.name == origin
