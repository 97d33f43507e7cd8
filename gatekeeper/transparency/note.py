r"""Signed notes and timestamped cosignatures, as in C2SP signed-note and tlog-cosignature (Ed25519, version 1).

    text, in lines; may hold empty ones        what is signed: up to and with the newline before the blank line
                                               the last empty line of the note
    — <name> <base64>                          em dash, key name, 4-byte key id and signature; at most 100 such lines

    type 0x01, Ed25519        signature(64)             over the text
    type 0x04, cosignature    time(8) signature(64)     over "cosignature/v1\ntime <seconds>\n" and the text

    key id        SHA-256(name || 0x0A || type || public key)[:4]
    verifier key  <name>+<key id in hex>+<base64 of type || public key>

Only the one canonical form is read. Reading a note says nothing about its text: use that only from `open_note`, which
lets no text pass that a known key did not sign. Nothing here knows what time it is; who cosigns says so.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatekeeper.transparency.refusal import Refusal, Refused

__all__ = [
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "Cosigner",
    "Note",
    "NoteSignature",
    "OpenedNote",
    "SignatureType",
    "Signer",
    "VerifiedSignature",
    "Verifier",
    "decode_base64",
    "encode_base64",
    "format_note",
    "open_note",
    "parse_note",
    "parse_verifier",
    "sign_note",
]

MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100

_KEY_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8
_MAX_TIME: Final = 2**63 - 1
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")

_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
# INVARIANT: the y coordinates of all eight points of small order: 0 (order 4), 1, -1 (order 2), and two of order 8.
_SMALL_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})


class SignatureType(IntEnum):
    """The signature types that are supported (signed-note, Signature types)."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


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
class Note:
    """A well-formed note of which nothing is verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A public key with the name it signs under, for one signature type."""

    name: str
    type: SignatureType
    public_key: bytes

    def __post_init__(self) -> None:
        """Let no key be trusted that anyone could sign for, or under a name that no note can carry."""
        if not _is_key_name(self.name):
            raise ValueError(Refusal.NOTE_KEY_NAME.sentence)
        if not _is_strong(self.public_key):
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
        time, message = None, text.encode()
        if self.type is SignatureType.COSIGNATURE_V1:
            time, signature = int.from_bytes(signature[:_TIME_BYTES], "big"), signature[_TIME_BYTES:]
            message = _cosigned_message(text, time)
        refused = Refused(code=Refusal.NOTE_SIGNATURE, detail=self.name)
        if time is not None and time > _MAX_TIME:
            return refused
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            return refused
        return VerifiedSignature(verifier=self, time=time)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """Who signed, and for a cosignature when: seconds since the Epoch, as the cosigner says."""

    verifier: Verifier
    time: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNote:
    """A text that at least one known key signed, and none of them wrongly. Signatures of other keys are left out."""

    text: str
    signatures: tuple[VerifiedSignature, ...]


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
        if not 0 <= time <= _MAX_TIME:
            raise ValueError("A cosignature's time lies between 0 and 2^63 - 1 seconds.")
        signature = time.to_bytes(_TIME_BYTES, "big") + self.private_key.sign(_cosigned_message(text, time))
        return NoteSignature(name=self.name, key_id=self.verifier.key_id, signature=signature)


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


def parse_verifier(key: str) -> Verifier | Refused:
    """Read a verifier key (signed-note, Verifier keys)."""
    name, _, rest = key.partition("+")
    key_id, _, encoded = rest.partition("+")
    typed_key = decode_base64(encoded)
    if not _is_key_name(name) or not re.fullmatch("[0-9a-f]{8}", key_id) or typed_key is None:
        return Refused(code=Refusal.KEY_FORM)
    kind, public_key = typed_key[:1], typed_key[1:]
    if kind not in {bytes([known]) for known in SignatureType}:
        return Refused(code=Refusal.KEY_TYPE)
    if _key_id(name, typed_key).hex() != key_id:
        return Refused(code=Refusal.KEY_ID)
    if not _is_strong(public_key):
        return Refused(code=Refusal.KEY_WEAK)
    return Verifier(name=name, type=SignatureType(kind[0]), public_key=public_key)


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
    if not _is_key_name(name):
        return Refused(code=Refusal.NOTE_KEY_NAME)
    decoded = decode_base64(encoded)
    if decoded is None or len(decoded) <= _KEY_ID_BYTES:
        return Refused(code=Refusal.NOTE_BASE64, detail=name)
    return NoteSignature(name=name, key_id=decoded[:_KEY_ID_BYTES], signature=decoded[_KEY_ID_BYTES:])


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and not _CONTROL.search(name)


def _is_strong(public_key: bytes) -> bool:
    """Tell whether an Ed25519 key is 32 bytes, canonical and not of small order; OpenSSL takes all of these."""
    if len(public_key) != _KEY_BYTES:
        return False
    y = int.from_bytes(public_key, "little") & (2**255 - 1)  # the top bit is the sign of x
    return y < _FIELD and y not in _SMALL_ORDER


def _key_id(name: str, typed_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + typed_key).digest()[:_KEY_ID_BYTES]


def _verifier_of(name: str, kind: SignatureType, private_key: Ed25519PrivateKey) -> Verifier:
    return Verifier(name=name, type=kind, public_key=private_key.public_key().public_bytes_raw())


def _cosigned_message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _by_name_and_id(verifiers: Iterable[Verifier]) -> dict[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise ValueError(f"Two different verifiers share the name and key id of {verifier.name}.")
    return known
