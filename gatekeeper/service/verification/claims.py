"""What a verifier is given and what it gives: entries as they are filed, the database's claims, memory, and the report.

Nothing in `FiledEntry` and `Claimed` is believed; it is what the rebuilt log is held against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gatekeeper.ports import StoredEntry

__all__ = ["Claimed", "FiledEntry", "Report", "SavedCheckpoint", "counted", "shown"]

_LONGEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledEntry:
    """An entry with the places in tenants' trees by which it is found: (tree, index)."""

    entry: StoredEntry
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCheckpoint:
    """A signed checkpoint of the site's tree: where it was, what it said, and the note that says so."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What the database says of a log, as of one instant: its trees, and how much of it there is.

    Checkpoints are (tree, size, root, note); tiles are full ones, by tree, level and index.
    """

    heads: Mapping[str, tuple[int, bytes]]
    tiles: Mapping[tuple[str, int, int], bytes]
    checkpoints: Sequence[tuple[str, int, bytes, bytes]]
    entries: int
    personal_parts: int


@dataclass(slots=True, kw_only=True)
class Report:
    """What was found. Valid only when there is no problem.

    `checkpoint` is the newest that the log's key signed for the site's tree and that the bodies bear out.
    """

    entries: int = 0
    root: bytes = b""
    trees: int = 0
    checkpoints: int = 0
    checkpoint: SavedCheckpoint | None = None
    personal_opened: int = 0
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether everything that was looked at is as it must be."""
        return not self.problems


def shown(value: object) -> str:
    """What a stranger wrote, fit to stand in a sentence: short, on one line, and nothing that moves a terminal."""
    match value:
        case None:
            return "nothing"
        case str():
            text = "".join(letter if letter.isprintable() else "?" for letter in value[: _LONGEST + 1])
            return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
        case int() | float():
            return str(value).lower()
        case _:
            return "something else"


def counted(count: int, one: str, more: str = "") -> str:
    """So many of something, in words that go with the number."""
    return f"{count} {one if count == 1 else more or one + 's'}"
