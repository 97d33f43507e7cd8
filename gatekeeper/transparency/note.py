r"""Signed notes, as in C2SP signed-note.

    text, in lines; may hold empty ones        what is signed: up to and with the newline before the blank line
                                               the last empty line of the note
    — <name> <base64>                          em dash, key name, 4-byte key id and signature; at most 100 such lines

Only the one canonical form is read. Reading a note says nothing about its text: use that only from `open_note`, which
lets no text pass that a known key did not sign. What keys sign, and how, stands in `keys`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.keys import (
    KEY_ID_BYTES,
    NoteSignature,
    Signer,
    VerifiedSignature,
    Verifier,
    is_key_name,
)
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.spelling import decode_base64

__all__ = [
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "Note",
    "OpenedNote",
    "format_note",
    "open_note",
    "parse_note",
    "sign_note",
]

MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A well-formed note of which nothing is verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNote:
    """A text that at least one known key signed, and none of them wrongly. Signatures of other keys are left out."""

    text: str
    signatures: tuple[VerifiedSignature, ...]


def sign_note(text: str, signers: Iterable[Signer]) -> bytes:
    """Return the note of a text, signed by each signer. Raises ValueError for what no note can hold."""
    return format_note(Note(text=text, signatures=tuple(signer.sign(text) for signer in signers)))


def format_note(note: Note) -> bytes:
    """Return the bytes of a note. Raises ValueError when they could not be read back."""
    written = f"{note.text}\n{''.join(signature.line() for signature in note.signatures)}".encode()
    if parse_note(written) != note:
        raise ValueError("This text with these signatures is not a note.")
    return written


def parse_note(note: bytes) -> Note | Refused:
    """Read a note without believing it (signed-note, Format)."""
    if len(note) > MAX_NOTE_BYTES:
        return Refused(code=Refusal.NOTE_OVERSIZED)
    try:
        written = note.decode()
    except UnicodeDecodeError:
        return Refused(code=Refusal.NOTE_UTF8)
    if _CONTROL.search(written):
        return Refused(code=Refusal.NOTE_CONTROL_CHARACTER)
    text, blank_line, lines = written.rpartition("\n\n")
    if not (blank_line and lines.endswith("\n")):
        return Refused(code=Refusal.NOTE_STRUCTURE)
    signatures = _parse_signatures(lines[:-1].split("\n"))
    if isinstance(signatures, Refused):
        return signatures
    return Note(text=text + "\n", signatures=signatures)


def open_note(note: bytes, verifiers: Iterable[Verifier]) -> OpenedNote | Refused:
    """Believe a note that known keys signed (signed-note, Signatures).

    Signatures of unknown keys are ignored; one bad signature of a known key refuses the note. Raises ValueError when two
    different verifiers have the same name and key id, as no signature could be told to be of one or the other.
    """
    known = _by_name_and_id(verifiers)
    parsed = parse_note(note)
    if isinstance(parsed, Refused):
        return parsed
    verified: list[VerifiedSignature] = []
    for signature in parsed.signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is None:
            continue
        result = verifier.verify(parsed.text, signature.signature)
        if isinstance(result, Refused):
            return result
        verified.append(result)
    if not verified:
        return Refused(code=Refusal.NOTE_UNKNOWN_KEYS)
    return OpenedNote(text=parsed.text, signatures=tuple(verified))


def _parse_signatures(lines: Sequence[str]) -> tuple[NoteSignature, ...] | Refused:
    if len(lines) > MAX_SIGNATURES:
        return Refused(code=Refusal.NOTE_TOO_MANY_SIGNATURES)
    signatures: dict[tuple[str, bytes], NoteSignature] = {}
    for line in lines:
        signature = _parse_signature(line)
        if isinstance(signature, Refused):
            return signature
        if (key := (signature.name, signature.key_id)) in signatures:
            return Refused(code=Refusal.NOTE_DUPLICATE_SIGNATURE, detail=signature.name)
        signatures[key] = signature
    return tuple(signatures.values())


def _parse_signature(line: str) -> NoteSignature | Refused:
    dash, name, encoded = [*line.split(" ", 2), "", ""][:3]
    if dash != "—" or not encoded:
        return Refused(code=Refusal.NOTE_SIGNATURE_LINE)
    if not is_key_name(name):
        return Refused(code=Refusal.NOTE_KEY_NAME)
    decoded = decode_base64(encoded)
    if decoded is None or len(decoded) <= KEY_ID_BYTES:
        return Refused(code=Refusal.NOTE_BASE64, detail=name)
    return NoteSignature(name=name, key_id=decoded[:KEY_ID_BYTES], signature=decoded[KEY_ID_BYTES:])


def _by_name_and_id(verifiers: Iterable[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise ValueError(f"Two different verifiers share the name and key id of {verifier.name}.")
    return known
