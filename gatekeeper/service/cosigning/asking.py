"""Asking one witness about one tree, until it has cosigned or said why not (C2SP tlog-witness, add-checkpoint).

old = what it cosigned last, as far as is known        -> 200   cosigned
                                                       -> 409   it knows another size: prove from there, ask again
                                                       -> 409   of the same size, 422: it knows another tree
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gatekeeper.ports import SignedCheckpoint, Witnesses
from gatekeeper.service.cosigning.policy import AskedWitness
from gatekeeper.transparency import (
    AddCheckpoint,
    NoteSignature,
    Refused,
    format_add_checkpoint,
    parse_known_size,
    read_checkpoint,
    read_cosignatures,
)

__all__ = ["Answered", "Outcome", "Proving", "ask"]

Proving = Callable[[str, int, int], Awaitable[Sequence[bytes]]]
"""Gives the consistency proof of a tree between two sizes."""

_MOST_QUESTIONS: Final = 3
_COSIGNED, _CONFLICT, _UNPROCESSABLE = 200, 409, 422


class Outcome(StrEnum):
    """What became of a question to a witness."""

    COSIGNED = "cosigned"
    REFUSED = "refused"
    FORKED = "witness-fork"
    AHEAD = "witness-ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An outcome, the size that the witness now knows, the lines it gave, and what else there is to tell."""

    outcome: Outcome
    known: int
    lines: tuple[NoteSignature, ...] = ()
    detail: str = ""


async def ask(
    witness: AskedWitness, checkpoint: SignedCheckpoint, *, known: int, prove: Proving, witnesses: Witnesses
) -> Answered:
    """Ask for a cosignature, from what the witness is thought to know. Raises WitnessUnreachableError."""
    for _ in range(_MOST_QUESTIONS):
        if known > checkpoint.size:
            return Answered(outcome=Outcome.AHEAD, known=known, detail=f"it knows {known} entries")
        proof = await prove(checkpoint.tree, known, checkpoint.size)
        request = AddCheckpoint(old_size=known, proof=tuple(proof), note=checkpoint.note)
        answer = await witnesses.add_checkpoint(witness.url, format_add_checkpoint(request))
        if answer.status == _COSIGNED:
            return _believe(answer.body, witness, checkpoint, known)
        if answer.status == _UNPROCESSABLE:
            return Answered(outcome=Outcome.FORKED, known=known, detail=f"not grown from its {known} entries")
        if answer.status != _CONFLICT:
            return Answered(outcome=Outcome.REFUSED, known=known, detail=f"HTTP {answer.status}")
        told = parse_known_size(answer.body)
        if told is None or (told == known != checkpoint.size):
            return Answered(
                outcome=Outcome.REFUSED, known=known, detail="a conflict without the size it knows"
            )
        if told == known:
            return Answered(outcome=Outcome.FORKED, known=known, detail=f"another tree of {known} entries")
        known = told
    return Answered(outcome=Outcome.REFUSED, known=known, detail="it tells another size each time")


def _believe(body: bytes, witness: AskedWitness, checkpoint: SignedCheckpoint, known: int) -> Answered:
    read = read_checkpoint(checkpoint.note)
    lines = (
        read
        if isinstance(read, Refused)
        else read_cosignatures(body, checkpoint=read, verifiers=witness.verifiers)
    )
    if isinstance(lines, Refused):
        return Answered(outcome=Outcome.REFUSED, known=known, detail=lines.code)
    return Answered(outcome=Outcome.COSIGNED, known=checkpoint.size, lines=lines)
