"""Rows of tables that both the ledger and the reading side read, as the values that they are."""

from collections.abc import Iterable
from typing import Any

from gatekeeper.core.hearing import Heard, LinkState
from gatekeeper.core.operators import OperatorRecord
from gatekeeper.core.proposals import Proposal
from gatekeeper.ports import GateLinkRow, StoredEntry
from gatekeeper.transparency import NoteSignature, with_cosignatures

__all__ = ["cosigned_note", "entry_of", "link_of", "operator_of", "proposal_of", "signature_of"]


def operator_of(row: Any) -> OperatorRecord:
    """An operator as stored."""
    return OperatorRecord(id=row["operator"], tenant=row["tenant"], document=row["document"])


def proposal_of(row: Any) -> Proposal:
    """A proposal that waits."""
    return Proposal(**{**row, "gives": tuple(row["gives"])})


def cosigned_note(note: bytes, rows: Iterable[Any]) -> bytes:
    """A checkpoint's note with the lines of witnesses; without them where they are none, which no engine writes."""
    try:
        return with_cosignatures(note, [signature_of(row) for row in rows])
    except ValueError:
        return note


def signature_of(row: Any) -> NoteSignature:
    """A cosignature as it is stored."""
    return NoteSignature(name=row["name"], key_id=row["key_id"], signature=row["signature"])


def link_of(row: Any) -> GateLinkRow:
    """What is known of a gate's link."""
    heard = Heard(
        state=LinkState(row["state"]),
        since=row["since"],
        heard_at=row["heard_at"],
        snapshot=row["snapshot"],
    )
    return GateLinkRow(gate=row["gate"], heard=heard, made=row["made"])


def entry_of(row: Any) -> StoredEntry:
    """An entry as it is stored, with what is personal of it."""
    return StoredEntry(
        seq=row["seq"],
        at=row["at"],
        kind=row["kind"],
        body=row["body"],
        person=row["person"],
        personal=row["sealed"],
    )
