"""How a witness is asked for its cosignature, and what it answers, as in C2SP tlog-witness, add-checkpoint.

    old <decimal>               the size that the witness cosigned last, 0 for none
    <base64 of a hash>          none or more, at most 63: the consistency proof from there
                                an empty line
    <signed checkpoint>

    200  cosignature lines          403  no key of the log signed           409  another size or tree is known: `<size>`
    400  not as drawn here          404  the log is not known here          422  the proof does not hold

    request -> read -> authenticate (whose log, which key) -> weigh (against the latest) -> store -> cosign

The decision is here, and is pure; that nothing comes between weighing and storing is the store's affair.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.checkpoint import Checkpoint
from gatekeeper.transparency.hashing import EMPTY_ROOT, are_hashes
from gatekeeper.transparency.keys import NoteSignature, Verifier
from gatekeeper.transparency.note import MAX_NOTE_BYTES, parse_note
from gatekeeper.transparency.proofs import verify_consistency
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.signed_checkpoint import open_checkpoint, read_checkpoint
from gatekeeper.transparency.spelling import (
    MAX_DECIMAL,
    MAX_PROOF_HASHES,
    decode_proof,
    encode_base64,
    parse_decimal,
)

__all__ = [
    "MAX_REQUEST_BYTES",
    "Accepted",
    "AddCheckpoint",
    "Authentic",
    "Latest",
    "Rejected",
    "authenticate",
    "format_add_checkpoint",
    "parse_add_checkpoint",
    "parse_known_size",
    "read_cosignatures",
    "weigh",
]

MAX_REQUEST_BYTES: Final = 128 * 1024
"""Room for 63 hashes and a checkpoint with a score of ML-DSA signatures; what is longer is no honest request."""

_OLD: Final = "old "
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 400, 403, 404, 409, 422


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A request of which nothing is verified; `note` is the whole signed checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def __post_init__(self) -> None:
        """Let no request exist that could not be read back."""
        if not 0 <= self.old_size <= MAX_DECIMAL:
            raise ValueError(Refusal.WITNESS_OLD_SIZE.sentence)
        if len(self.proof) > MAX_PROOF_HASHES or not are_hashes(self.proof):
            raise ValueError(Refusal.WITNESS_PROOF_LINE.sentence)
        if isinstance(read_checkpoint(self.note), Refused):
            raise ValueError("A request holds a signed checkpoint.")  # noqa: TRY004 - of the right type, and of no use


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The latest checkpoint of a log that a witness has cosigned."""

    size: int
    root: bytes


_NOTHING: Final = Latest(size=0, root=EMPTY_ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentic:
    """A request whose checkpoint a known key of the log has signed."""

    request: AddCheckpoint
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What is to be stored before it is cosigned: the checkpoint, and the note that proves the log signed it."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Why a checkpoint is not cosigned, and the HTTP status that says so. `known_size` goes with a conflict only."""

    status: int
    code: Refusal
    detail: str = ""
    known_size: int | None = None


def format_add_checkpoint(request: AddCheckpoint) -> bytes:
    """Return the body of a request (tlog-witness, add-checkpoint)."""
    lines = [f"{_OLD}{request.old_size}", *map(encode_base64, request.proof), ""]
    return "".join(f"{line}\n" for line in lines).encode() + request.note


def parse_add_checkpoint(body: bytes) -> AddCheckpoint | Rejected:
    """Read the body of a request without believing it (tlog-witness, add-checkpoint)."""
    if len(body) > MAX_REQUEST_BYTES:
        return _malformed(Refusal.WITNESS_OVERSIZED)
    head, blank_line, note = body.partition(b"\n\n")
    if not blank_line or not head.isascii():
        return _malformed(Refusal.WITNESS_STRUCTURE)
    old, *lines = head.decode("ascii").split("\n")
    old_size = parse_decimal(old.removeprefix(_OLD)) if old.startswith(_OLD) else None
    if old_size is None:
        return _malformed(Refusal.WITNESS_OLD_SIZE)
    proof = decode_proof(lines)
    if proof is None:
        return _malformed(Refusal.WITNESS_PROOF_LINE)
    read = read_checkpoint(note)
    if isinstance(read, Refused):
        return _malformed(read.code, read.detail)
    return AddCheckpoint(old_size=old_size, proof=proof, note=note)


def authenticate(request: AddCheckpoint, *, logs: Mapping[str, Sequence[Verifier]]) -> Authentic | Rejected:
    """Believe that the log signed its checkpoint; `logs` are the keys that are known of each, by its origin."""
    named = read_checkpoint(request.note)
    if isinstance(named, Refused):
        return _malformed(named.code, named.detail)
    if named.origin not in logs:
        return Rejected(status=_NOT_FOUND, code=Refusal.WITNESS_UNKNOWN_LOG, detail=named.origin)
    opened = open_checkpoint(request.note, logs[named.origin])
    if isinstance(opened, Refused):
        return Rejected(status=_FORBIDDEN, code=opened.code, detail=opened.detail)
    if request.old_size > opened.checkpoint.size:
        return _malformed(Refusal.WITNESS_OLD_SIZE_ABOVE)
    return Authentic(request=request, checkpoint=opened.checkpoint)


def weigh(authentic: Authentic, latest: Latest | None) -> Accepted | Rejected:
    """Decide whether a checkpoint goes on where `latest` ended, the last that was cosigned of its log.

    INVARIANT: what is accepted is the same tree as `latest`, or has grown from it.
    """
    request, checkpoint, known = authentic.request, authentic.checkpoint, latest or _NOTHING
    if request.old_size != known.size:
        return Rejected(status=_CONFLICT, code=Refusal.WITNESS_CONFLICT, known_size=known.size)
    if known.size == checkpoint.size and known.root != checkpoint.root:
        return Rejected(status=_CONFLICT, code=Refusal.WITNESS_FORK, known_size=known.size)
    refused = _refuse_growth(request, checkpoint, known)
    if refused is not None:
        return Rejected(status=_UNPROCESSABLE, code=refused.code)
    return Accepted(checkpoint=checkpoint, note=request.note)


def _refuse_growth(request: AddCheckpoint, checkpoint: Checkpoint, known: Latest) -> Refused | None:
    if known.size == 0 < checkpoint.size:  # every tree grows from the empty one
        return Refused(code=Refusal.PROOF_LENGTH) if request.proof else None
    return verify_consistency(
        old_size=known.size,
        new_size=checkpoint.size,
        old_root=known.root,
        new_root=checkpoint.root,
        proof=request.proof,
    )


def parse_known_size(body: bytes) -> int | None:
    """Read the size that a conflict tells; None for anything else (tlog-witness, add-checkpoint, 409)."""
    return parse_decimal(body[:-1].decode()) if body.endswith(b"\n") and body.isascii() else None


def read_cosignatures(
    body: bytes, *, checkpoint: Checkpoint, verifiers: Iterable[Verifier]
) -> tuple[NoteSignature, ...] | Refused:
    """Believe the lines of an answer that these witnesses' keys signed; lines of other keys are left out.

    One bad line of a known key refuses the answer, and so does one without any of a known key.
    """
    text = checkpoint.text()
    parsed = parse_note(f"{text}\n".encode() + body) if len(body) <= MAX_NOTE_BYTES else None
    if parsed is None or (not isinstance(parsed, Refused) and parsed.text != text):
        return Refused(code=Refusal.NOTE_STRUCTURE)
    if isinstance(parsed, Refused):
        return parsed
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    believed = []
    for line in parsed.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is None:
            continue
        verified = verifier.verify(text, line.signature)
        if isinstance(verified, Refused):
            return verified
        believed.append(line)
    return tuple(believed) or Refused(code=Refusal.NOTE_UNKNOWN_KEYS)


def _malformed(code: Refusal, detail: str = "") -> Rejected:
    return Rejected(status=_BAD_REQUEST, code=code, detail=detail)
