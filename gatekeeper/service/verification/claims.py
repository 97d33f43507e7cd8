"""What a verifier is given and what it gives: entries as they are filed, the database's claims, memory, and the report.

Nothing in `FiledEntry` and `Claimed` is believed; it is what the rebuilt log is held against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gatekeeper.ports import StoredEntry
from gatekeeper.service.auditor import Fault, Finding, Seen
from gatekeeper.transparency import NoteSignature, Refusal, VerifiedSignature, Verifier

__all__ = ["Claimed", "Cosigned", "FiledEntry", "Report", "SignedHead", "WrongHead", "WrongTile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledEntry:
    """An entry with the places in tenants' trees by which it is found: (tree, index)."""

    entry: StoredEntry
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A checkpoint of a tree that the log signed: what it says, the note that says so, and with which key."""

    size: int
    root: bytes
    note: bytes
    key: Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What the database says of a log, as of one instant: its trees, and how much of it there is.

    Checkpoints are (tree, size, root, note); tiles are full ones, by tree, level and index; starts are where the bodies of
    trees begin, with the leaf hashes before that which lie in no full tile; expiries are the entries (seq, body) that tell of
    deletions. Cosignatures are by tree and size of their checkpoint; stamps are (tree, size, reply, the note that it should be
    over, None when that is gone), by rising size.
    """

    heads: Mapping[str, tuple[int, bytes]]
    tiles: Mapping[tuple[str, int, int], bytes]
    checkpoints: Sequence[tuple[str, int, bytes, bytes]]
    entries: int
    personal_parts: int
    starts: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)
    expiries: Sequence[tuple[int, bytes]] = ()
    cosignatures: Mapping[tuple[str, int], Sequence[NoteSignature]] = field(default_factory=dict)
    stamps: Sequence[tuple[str, int, bytes, bytes | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """Up to which size the quorum vouches for a tree, and who says so, and when."""

    size: int
    witnesses: tuple[VerifiedSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongTile:
    """A full tile that is not stored as the bodies make it: its hashes as they must be, None where no tile belongs."""

    tree: str
    level: int
    index: int
    hashes: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongHead:
    """A head that is not where the bodies put it: its size and root as they must be, None where no head belongs."""

    tree: str
    size: int
    root: bytes | None


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found. Valid only when there is no problem.

    `entries` are those whose bodies are there; `deleted`, of which an entry says that the bodies went, come before them.
    `newest` is of each tree the newest checkpoint that the log's key signed and that the bodies bear out. `cosigned` and
    `stamped` say of each tree up to which size witnesses and time-stamping authorities vouch for it.
    """

    entries: int = 0
    deleted: int = 0
    root: bytes = b""
    trees: int = 0
    checkpoints: int = 0
    newest: dict[str, SignedHead] = field(default_factory=dict)
    personal_opened: int = 0
    wrong_tiles: list[WrongTile] = field(default_factory=list)
    wrong_heads: list[WrongHead] = field(default_factory=list)
    """What follows from the bodies and does not stand so; each is one of the problems."""
    consistent_with: list[Seen] = field(default_factory=list)
    """The checkpoints from elsewhere that the bodies bear out."""
    cosigned: dict[str, Cosigned] = field(default_factory=dict)
    stamped: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    """What is wrong with checkpoints and with what others say of them; each is one of the problems."""
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def found(self, code: Fault | Refusal, detail: str) -> None:
        """Add what is wrong with a checkpoint, or with what somebody says of one."""
        self.findings.append(Finding(code=code, detail=detail))
        self.problems.append(f"{detail} [{code}]")

    @property
    def valid(self) -> bool:
        """Whether everything that was looked at is as it must be."""
        return not self.problems
