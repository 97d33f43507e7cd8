"""The kinds of line that a bundle has beside the entries themselves: gaps where entries are absent, and personal parts opened.

    {"withheld":[FROM,UNTIL],"hashes":["base64", ...]}      the full subtrees over leaves [FROM, UNTIL), left to right
    {"expired":[FROM,UNTIL],"hashes":["base64", ...]}       the same
    {"index":INDEX,"opening":PLAINTEXT}                     PLAINTEXT byte for byte as it was committed to

An entry's own line begins with `{"a` (its keys are sorted), so that no entry is taken for a gap. Only the one spelling is
read; whether the hashes lead anywhere, and what an opening says, is for others to find.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gatekeeper.transparency import HASH_SIZE, subtrees_of
from gatekeeper.transparency.spelling import decode_base64, encode_base64

__all__ = [
    "GAP_STARTS",
    "OPENING_START",
    "Absent",
    "Gap",
    "Opening",
    "gap_line",
    "opening_line",
    "read_gap",
    "read_opening",
]


class Absent(StrEnum):
    """Why entries are not shown: a filter withheld them, or the log had let them go before."""

    WITHHELD = "withheld"
    EXPIRED = "expired"


GAP_STARTS: Final = tuple(b'{"%b":[' % why.encode() for why in Absent)
OPENING_START: Final = b'{"index":'
_NUMBER: Final = rb"(0|[1-9][0-9]{0,18})"
_GAP: Final = re.compile(
    rb'\{"(withheld|expired)":\['
    + _NUMBER
    + rb","
    + _NUMBER
    + rb'\],"hashes":\[((?:"[A-Za-z0-9+/]{43}=",)*"[A-Za-z0-9+/]{43}=")\]\}'
)
_OPENING: Final = re.compile(rb'\{"index":' + _NUMBER + rb',"opening":(.*)\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Gap:
    """Leaves [start, end) that are not shown, as the hashes of the full subtrees that they make up."""

    why: Absent
    start: int
    end: int
    hashes: Sequence[bytes]


@dataclass(slots=True)
class Opening:
    """The personal part of an entry, as it was committed to."""

    index: int
    plaintext: bytes


def gap_line(why: Absent, start: int, end: int, hashes: Sequence[bytes]) -> bytes:
    """The line for leaves [start, end) that are not shown, without its newline."""
    listed = ",".join(f'"{encode_base64(one)}"' for one in hashes)
    return f'{{"{why}":[{start},{end}],"hashes":[{listed}]}}'.encode()


def read_gap(line: bytes) -> Gap | None:
    """Read a line that `gap_line` has written for as many hashes as its leaves make up; None for any other."""
    found = _GAP.fullmatch(line)
    if found is None:
        return None
    start, end = int(found[2]), int(found[3])
    hashes = [decode_base64(one) for one in found[4].decode()[1:-1].split('","')]
    known = [one for one in hashes if one is not None and len(one) == HASH_SIZE]
    if not start < end or len(known) != len(hashes) or len(known) != len(subtrees_of(start, end)):
        return None
    return Gap(Absent(found[1].decode()), start, end, known)


def opening_line(index: int, plaintext: bytes) -> bytes:
    """The line of an opened personal part, without its newline."""
    return b'{"index":%d,"opening":%b}' % (index, plaintext)


def read_opening(line: bytes) -> Opening | None:
    """Read a line that `opening_line` has written; None for any other."""
    found = _OPENING.fullmatch(line)
    return None if found is None else Opening(int(found[1]), found[2])
