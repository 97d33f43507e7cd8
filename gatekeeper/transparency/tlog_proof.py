"""The proof of one entry in one file, to be verified offline, as in C2SP tlog-proof.

    c2sp.org/tlog-proof@v1
    extra <base64>              left out when there is none; vouched for by nobody
    index <decimal>             of the entry in its log
    <base64 of a hash>          none or more: the inclusion proof, from the leaf's sibling up
                                an empty line
    <signed checkpoint>         as the log issued it, with what witnesses cosigned

Files bear the extension `.tlog-proof`. Only the canonical form is read. What was logged is not in the proof.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gatekeeper.transparency.hashing import are_hashes
from gatekeeper.transparency.keys import Verifier
from gatekeeper.transparency.note import MAX_NOTE_BYTES
from gatekeeper.transparency.policy import Policy
from gatekeeper.transparency.proofs import verify_inclusion
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.signed_checkpoint import OpenedCheckpoint, open_checkpoint, read_checkpoint
from gatekeeper.transparency.spelling import (
    MAX_DECIMAL,
    MAX_PROOF_HASHES,
    decode_base64,
    decode_proof,
    encode_base64,
    parse_decimal,
)

__all__ = ["TlogProof", "format_tlog_proof", "parse_tlog_proof", "verify_tlog_proof"]

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "
_MAX_BYTES: Final = 2 * MAX_NOTE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof of which nothing is verified; `checkpoint` is the whole signed note. `extra` is never to be trusted."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def __post_init__(self) -> None:
        """Let no proof exist that could not be read back."""
        if not 0 <= self.index <= MAX_DECIMAL:
            raise ValueError(Refusal.TLOG_PROOF_INDEX.sentence)
        if len(self.hashes) > MAX_PROOF_HASHES or not are_hashes(self.hashes):
            raise ValueError(Refusal.TLOG_PROOF_HASH.sentence)
        if isinstance(read_checkpoint(self.checkpoint), Refused):
            raise ValueError("A proof holds a signed checkpoint.")  # noqa: TRY004 - of the right type, and of no use


def format_tlog_proof(proof: TlogProof) -> bytes:
    """Return the file of a proof (tlog-proof, Format)."""
    lines = [
        _HEADER,
        *([_EXTRA + encode_base64(proof.extra)] if proof.extra else []),
        f"{_INDEX}{proof.index}",
        *map(encode_base64, proof.hashes),
    ]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + proof.checkpoint


def parse_tlog_proof(proof: bytes) -> TlogProof | Refused:
    """Read a proof without believing it (tlog-proof, Format)."""
    if len(proof) > _MAX_BYTES:
        return Refused(code=Refusal.TLOG_PROOF_OVERSIZED)
    head, blank_line, checkpoint = proof.partition(b"\n\n")
    if not blank_line or not head.isascii():
        return Refused(code=Refusal.TLOG_PROOF_STRUCTURE)
    header, *lines = head.decode("ascii").split("\n")
    if header != _HEADER:
        return Refused(code=Refusal.TLOG_PROOF_HEADER)
    extra: bytes | None = b""
    if lines and lines[0].startswith(_EXTRA):
        extra = decode_base64(lines.pop(0).removeprefix(_EXTRA)) or None
    if extra is None:
        return Refused(code=Refusal.TLOG_PROOF_EXTRA)
    index = parse_decimal(lines[0].removeprefix(_INDEX)) if lines and lines[0].startswith(_INDEX) else None
    if index is None:
        return Refused(code=Refusal.TLOG_PROOF_INDEX)
    hashes = decode_proof(lines[1:])
    if hashes is None:
        return Refused(code=Refusal.TLOG_PROOF_HASH)
    read = read_checkpoint(checkpoint)
    if isinstance(read, Refused):
        return read
    return TlogProof(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)


def verify_tlog_proof(
    proof: TlogProof, *, leaf: bytes, logs: Iterable[Verifier] = (), policy: Policy | None = None
) -> OpenedCheckpoint | Refused:
    """Believe that the leaf with this hash is in one of these logs, and that the policy's quorum has cosigned.

    `logs` are believed beside those of the policy; without a policy no cosignature is asked for. Whoever asks says what
    was logged, and compares `origin` and the proof's index where it matters which log and which entry it was.
    """
    opened = (
        open_checkpoint(proof.checkpoint, logs)
        if policy is None
        else policy.open_checkpoint(proof.checkpoint, logs=logs)
    )
    if isinstance(opened, Refused):
        return opened
    refused = verify_inclusion(
        index=proof.index,
        size=opened.checkpoint.size,
        leaf=leaf,
        proof=proof.hashes,
        root=opened.checkpoint.root,
    )
    return opened if refused is None else refused
