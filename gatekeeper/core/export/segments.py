"""How the range of a bundle is cut into segments: at every multiple of 262,144, so that each is checked on its own.

A spreadsheet holds one, a verifier hashes several at once, and an export that was interrupted goes on behind the last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["SEGMENT", "Segment", "member_name", "segments_of"]

SEGMENT: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Segment:
    """Leaves [start, end) of one member."""

    start: int
    end: int


def segments_of(start: int, end: int) -> Iterator[Segment]:
    """Cut leaves [start, end) into segments."""
    while start < end:
        until = min(end, (start // SEGMENT + 1) * SEGMENT)
        yield Segment(start, until)
        start = until


def member_name(folder: str, segment: Segment, suffix: str) -> str:
    """The name of a segment's member: `entries/000000262144.jsonl`."""
    return f"{folder}/{segment.start:012}.{suffix}"
