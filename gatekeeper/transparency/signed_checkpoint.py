"""Checkpoints as signed notes: a log's word, with what witnesses say of it (C2SP tlog-checkpoint, tlog-cosignature)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatekeeper.transparency.checkpoint import Checkpoint, parse_checkpoint
from gatekeeper.transparency.keys import NoteSignature, SignatureType, Signer, VerifiedSignature, Verifier
from gatekeeper.transparency.note import Note, format_note, open_note, parse_note, sign_note
from gatekeeper.transparency.refusal import Refusal, Refused

__all__ = ["OpenedCheckpoint", "open_checkpoint", "read_checkpoint", "sign_checkpoint", "with_cosignatures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCheckpoint:
    """A checkpoint that its log signed, and who else of those known."""

    checkpoint: Checkpoint
    signatures: tuple[VerifiedSignature, ...]

    @property
    def cosignatures(self) -> tuple[VerifiedSignature, ...]:
        """The signatures of witnesses, each with its time."""
        return tuple(it for it in self.signatures if it.verifier.type.cosigns)


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> bytes:
    """Return the signed note of a checkpoint. Raises ValueError unless every signer bears the name of the origin."""
    if any(signer.name != checkpoint.origin for signer in signers):
        raise ValueError(f"Only keys named {checkpoint.origin} sign its checkpoints; others cosign.")
    return sign_note(checkpoint.text(), signers)


def read_checkpoint(note: bytes) -> Checkpoint | Refused:
    """Read the checkpoint in a note without believing it."""
    parsed = parse_note(note)
    return parsed if isinstance(parsed, Refused) else parse_checkpoint(parsed.text)


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


def with_cosignatures(note: bytes, cosignatures: Iterable[NoteSignature]) -> bytes:
    """Return a note with these lines after its own. Raises ValueError for no note, or a line that it has already."""
    match parse_note(note):
        case Note(text=text, signatures=own):
            return format_note(Note(text=text, signatures=(*own, *cosignatures)))
        case Refused(code=code):
            raise ValueError(code.sentence)


def _is_of_origin(verifier: Verifier, origin: str) -> bool:
    return verifier.type is SignatureType.ED25519 and verifier.name == origin
