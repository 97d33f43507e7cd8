"""What a verifier can say: the faults of a bundle or of checkpoints in a database, each with a stable code, and the report.

A bundle is INVALID for the first fault that is found, in a fixed order; codes are never reused, and `schemas/bundle.md` lists
them (a test compares). The codes of `gatekeeper.transparency` stand for themselves: a note or a proof is refused with those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from typing_extensions import override

from gatekeeper.core.export import Counts, Manifest
from gatekeeper.transparency import Refusal, Refused, VerifiedSignature, Verifier
from gatekeeper.transparency.refusal import Code

__all__ = ["CannotCheckError", "Fault", "Finding", "Found", "Report", "Seen", "Stamped", "fault", "refusal"]


class Fault(Code):
    """What can be wrong with a bundle, or with the checkpoints of a log in its database."""

    ARCHIVE_FORM = "archive-form", "The file is no ZIP archive in the one plain form of a bundle."
    ARCHIVE_MEMBERS = "archive-members", "A member is missing, unknown, twice there or out of order."
    ARCHIVE_CONTENT = "archive-content", "The content of a member is not what the archive says of it."
    ARCHIVE_SIZE = "archive-size", "A member is larger than it can be."

    MANIFEST_FORM = (
        "manifest-form",
        "The manifest is not in its one spelling, or its numbers lie in no order.",
    )
    MANIFEST_BORDERS = (
        "manifest-borders",
        "The manifest leaves out entries at the edges of what was asked for, or those that show that it does not.",
    )
    MANIFEST_COUNTS = "manifest-counts", "The manifest counts something else than what is there."
    PROOFS_FORM = "proofs-form", "proofs.json is not in its one spelling."

    CHECKPOINT_OTHER = (
        "checkpoint-other",
        "The checkpoint says another origin, size or root than the manifest, or than its row in the database.",
    )
    CHECKPOINT_KEY = "checkpoint-key", "The checkpoint is signed with another key than this log's."
    CHECKPOINT_FORK = (
        "checkpoint-fork",
        "The log contradicts a checkpoint of it that was signed or seen before.",
    )
    WITNESS_POLICY = (
        "witness-policy",
        "Fewer witnesses than the policy asks for have cosigned the checkpoint.",
    )
    TIMESTAMP = (
        "timestamp",
        "The time stamp is not one of this checkpoint, or of the older one that comes with it.",
    )
    TIMESTAMP_CHECKPOINT = (
        "timestamp-checkpoint",
        "The checkpoint that comes with the time stamp is not an older one of this log.",
    )
    TIMESTAMP_GROWTH = (
        "timestamp-growth",
        "No proof leads from the stamped checkpoint to the one of the bundle.",
    )

    LINE_FORM = "line-form", "A line is no entry and no gap, has no end, or is longer than an entry can be."
    LINE_GAP = "line-gap", "A gap of withheld entries does not lie where it says, or without a filter."
    LINE_EXPIRED = (
        "line-expired",
        "Entries are given as expired elsewhere than at the beginning of the range, or not as the manifest says.",
    )
    LINE_COUNT = "line-count", "The lines are not as many leaves as the manifest says."
    ENTRY_FORM = "entry-form", "An entry is not in its canonical form."
    ENTRY_PLACE = "entry-place", "An entry says another site or another place in the tree."
    ENTRY_TIME = "entry-time", "An entry lies outside of the times asked for, or a border within them."
    ENTRY_FILTER = "entry-filter", "An entry does not pass the filter."
    OPENING_FORM = "opening-form", "A line of openings is none, or out of order."
    OPENING_STRAY = "opening-stray", "An opening belongs to no entry that has a personal part."
    OPENING_COMMITMENT = "opening-commitment", "An opening is not what its entry committed to."
    TABLE = "table", "The table says something else than the entries."

    EXPIRED_UNTOLD = "expired-untold", "Entries are given as expired that the log does not say it let go."
    EXPIRED_OTHER = (
        "expired-other",
        "The log tells of what expired by other entries than the manifest names.",
    )

    EXPORT_FORM = "export-form", "export.json is not an entry about an export."
    EXPORT_OTHER = "export-other", "The log says something else of this export than the manifest."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The first bad thing, and where: a member, a line of it counted from 1, the index of a leaf."""

    code: Fault | Refusal
    member: str = ""
    line: int | None = None
    index: int | None = None
    detail: str = ""

    @override
    def __str__(self) -> str:
        """Say it in a sentence."""
        line = "" if self.line is None else f" line {self.line}"
        index = "" if self.index is None else f" (index {self.index})"
        where = f"{self.member}{line}{index}: " if self.member else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{where}{self.code.sentence.rstrip('.')}{detail} [{self.code}]"


class Found(Exception):  # noqa: N818 - not an error of ours: it ends a check at the first fault, and leaves no module
    """Carries a finding from where it is made to where the report is."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


class CannotCheckError(Exception):
    """Something that must be known to judge the bundle is not there; the sentence says what to ask for."""


def fault(
    code: Fault, *, member: str = "", line: int | None = None, index: int | None = None, detail: str = ""
) -> Found:
    """A fault, to be raised."""
    return Found(Finding(code=code, member=member, line=line, index=index, detail=detail))


def refusal(refused: Refused, *, member: str, detail: str = "") -> Found:
    """What was refused of a note or a proof, to be raised."""
    return Found(Finding(code=refused.code, member=member, detail=detail or refused.detail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A checkpoint of the log from outside of the bundle: its size, its root, and where it was seen."""

    size: int
    root: bytes
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """An authority has seen a checkpoint of the log: of how many entries, and when."""

    size: int
    at: datetime


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found of a bundle.

    `finding` is the first fault; `lacking` says what must be asked for before a sound bundle can be called valid;
    `unchecked` what was not looked at, so that silence is never taken for proof.
    """

    finding: Finding | None = None
    manifest: Manifest | None = None
    note: bytes = b""
    key: Verifier | None = None
    """The log's key by which its signature was checked."""
    counts: Counts = field(default_factory=Counts)
    witnesses: Sequence[VerifiedSignature] = ()
    """Who cosigned, and when."""
    stamped: Stamped | None = None
    consistent_with: list[Seen] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    fit_to_remember: bool = False
    """Whether its checkpoint is one history with all that is remembered, and signed."""

    @property
    def valid(self) -> bool:
        """Whether all that was looked at is as it must be, and what must be looked at could be."""
        return self.finding is None and not self.lacking
