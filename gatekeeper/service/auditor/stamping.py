"""The time stamp of a bundle: over its own checkpoint, or over an older one that lies beside the token.

Of an older one the log's signature is checked, and that the log grew from it to the bundle's checkpoint. So a stamp says
which size the log had before which time; of what came later it says nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from gatekeeper.core.export import Manifest, Proofs
from gatekeeper.service.auditor.archive import Archive
from gatekeeper.service.auditor.findings import Fault, Report, Stamped, fault, refusal
from gatekeeper.service.words import counted
from gatekeeper.transparency import (
    MAX_NOTE_BYTES,
    Note,
    Refused,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
)

__all__ = ["STAMPED", "TOKEN", "CheckStamp", "hold_stamp"]

STAMPED: Final = "stamped-checkpoint"
TOKEN: Final = "timestamp.tsr"  # noqa: S105 - the name of a member
_LARGEST_TOKEN: Final = 1 << 20

CheckStamp = Callable[[bytes, bytes], datetime | str]
"""Checks a time stamp of a text: when it was, or what is wrong with it."""


def hold_stamp(
    archive: Archive,
    manifest: Manifest,
    proofs: Proofs,
    *,
    own: Note,
    check: CheckStamp | None,
    report: Report,
) -> None:
    """Hold the time stamp of a bundle, where it has one, against what it is over. Raises `Found`.

    `own` is the checkpoint of the bundle, which was found to be sound; the report has the log's key.
    """
    if TOKEN not in archive.members:
        return
    text, size = own.text, manifest.size
    if STAMPED in archive.members:
        text, size = _older(archive.read(STAMPED, most=MAX_NOTE_BYTES), manifest, proofs, report)
    if check is None:
        report.unchecked.append(
            f"the time stamp over the checkpoint of {_entries(size)}: VERIFY.txt says how to check it with openssl, and "
            "whom to believe is yours to say"
        )
        return
    at = check(text.encode(), archive.read(TOKEN, most=_LARGEST_TOKEN))
    if not isinstance(at, datetime):
        raise fault(Fault.TIMESTAMP, member=TOKEN, detail=at)
    report.stamped = Stamped(size=size, at=at)
    if size < manifest.range[1]:
        report.unchecked.append(
            f"when what came after the first {_entries(size)} was there: the stamp is older"
        )


def _older(note: bytes, manifest: Manifest, proofs: Proofs, report: Report) -> tuple[str, int]:
    """Text and size of the older checkpoint: the log signed it, and a proof names it, which is followed with the others."""
    parsed = parse_note(note)
    if isinstance(parsed, Refused):
        raise refusal(parsed, member=STAMPED)
    checkpoint = parse_checkpoint(parsed.text)
    if isinstance(checkpoint, Refused):
        raise refusal(checkpoint, member=STAMPED)
    is_older = checkpoint.origin == manifest.origin and 0 < checkpoint.size < manifest.size
    if not is_older or checkpoint.extensions:
        raise fault(Fault.TIMESTAMP_CHECKPOINT, member=STAMPED)
    if report.key is not None and isinstance(open_checkpoint(note, [report.key]), Refused):
        raise fault(Fault.CHECKPOINT_KEY, member=STAMPED, detail=f"known is {report.key.key()}")
    roots = [earlier.root for earlier in proofs.consistency if earlier.size == checkpoint.size]
    if not roots:
        raise fault(Fault.TIMESTAMP_GROWTH, member="proofs.json", detail=_entries(checkpoint.size))
    if roots != [checkpoint.root]:
        raise fault(
            Fault.CHECKPOINT_FORK,
            member=STAMPED,
            detail=f"at {_entries(checkpoint.size)} it has another root",
        )
    return parsed.text, checkpoint.size


def _entries(count: int) -> str:
    return counted(count, "entry", "entries")
