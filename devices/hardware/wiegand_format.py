r"""What a Wiegand reader says with pulses on two wires: a card, a key of its keypad, or noise. Pure.

    D0  ‾‾‾‾|_|‾‾‾‾‾‾‾‾‾‾‾‾|_|‾‾‾     a pulse of 20 to 100 us on D0 is a 0, on D1 a 1; a bit every 0.2 to 20 ms
    D1  ‾‾‾‾‾‾‾‾‾‾‾‾|_|‾‾‾‾‾‾‾‾‾‾     silence of 25 ms ends the frame

The formats, first bit first (P is even parity over the first half of what lies between, p is odd parity over the second):

    name     bits   frame                                   number
    24         24   P 22 p                                  the 22
    26         26   P 24 p    (H10301: 8 site, 16 card)     the 24
    32         32   P 30 p                                  the 30
    34         34   P 32 p                                  P and the 32: see below
    37         37   P 35 p    (H10304: 16 site, 19 card;    the 35; the middle one stands in both halves
                               H10302: 35 card)
    raw-N       N   N bits without parity, 16 to 128        the N
    uid-N       N   a chip's own number, N is 32, 56 or 80  the N, as a MIFARE number

A number is spelled big-endian in ceil(bits / 8) bytes, as the bridges spell it, so that one card is the same badge at every
reader: 26 bits with site 118 and card 41064 are `00 76 a0 68`. At 34 bits Tasmota's number begins with the first parity bit,
and so does ours: the 32 bits `00 76 a0 68` are `01 00 76 a0 68`. H10302 and H10304 are the same bits, so nobody has to know which
of them a card was sold as. A number of zero is what a broken wire says, and no card.

Two formats of the same length cannot be told apart, so a reader takes one of them (`overlapping`). A wire has no secret: whoever
reaches it can say any number, and parity finds only accidents.

Keys come as frames of 4 bits (0 to 9, 10 is `*`, 11 is `#`), or of 8, whose first half is the other's complement.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from gatekeeper.model.badges import Card, CardTechnology

__all__ = [
    "FORMATS",
    "FRAME_GAP",
    "Frame",
    "FrameCollector",
    "Key",
    "NoCard",
    "WiegandFormat",
    "format_named",
    "overlapping",
    "read_frame",
]

FRAME_GAP: Final = 0.025
"""Seconds of silence that end a frame."""
_GAP_NS: Final = int(FRAME_GAP * 1e9)
_SHORTEST_NS: Final = 100_000
_MOST_BITS: Final = 128
_FEWEST_RAW: Final = 16
_UIDS: Final = (32, 56, 80)


class NoCard(StrEnum):
    """Why pulses are neither a card nor a key."""

    NOISE = "wiegand-noise"
    LENGTH = "wiegand-length"
    PARITY = "wiegand-parity"
    ZERO = "wiegand-zero"
    KEY = "wiegand-key"


class Key(StrEnum):
    """A key of a keypad."""

    ZERO = "0"
    ONE = "1"
    TWO = "2"
    THREE = "3"
    FOUR = "4"
    FIVE = "5"
    SIX = "6"
    SEVEN = "7"
    EIGHT = "8"
    NINE = "9"
    STAR = "*"
    HASH = "#"


_KEYS: Final = tuple(Key)


class Frame(NamedTuple):
    """Bits between two silences, the first on top. A frame with noise in it has no bits that could be believed."""

    bits: int
    length: int
    noisy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WiegandFormat:
    """How one length of frame becomes a card number. `half` is over how many bits each parity goes; 0 is none."""

    name: str
    length: int
    half: int = 0
    keeps_first: bool = False
    technology: CardTechnology = CardTechnology.WIEGAND


FORMATS: Final[Mapping[str, WiegandFormat]] = MappingProxyType(
    {
        form.name: form
        for form in (
            WiegandFormat(name="24", length=24, half=11),
            WiegandFormat(name="26", length=26, half=12),
            WiegandFormat(name="32", length=32, half=15),
            WiegandFormat(name="34", length=34, half=16, keeps_first=True),
            WiegandFormat(name="37", length=37, half=18),
        )
    }
)
"""The formats with parity, by name."""


def format_named(name: str) -> WiegandFormat | None:
    """The format of this name: one of the table, `raw-N`, `uid-N`; None when there is none."""
    if name in FORMATS:
        return FORMATS[name]
    kind, _, digits = name.partition("-")
    # As many digits as a length can have, and no other spelling of the same one.
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 3 or digits[0] == "0":
        return None
    length = int(digits)
    if kind == "raw" and _FEWEST_RAW <= length <= _MOST_BITS:
        return WiegandFormat(name=name, length=length)
    if kind == "uid" and length in _UIDS:
        return WiegandFormat(name=name, length=length, technology=CardTechnology.MIFARE)
    return None


def overlapping(formats: Collection[WiegandFormat]) -> bool:
    """Whether two formats have one length, so that a frame could be two cards."""
    return len({form.length for form in formats}) != len(formats)


def read_frame(frame: Frame, formats: Collection[WiegandFormat]) -> Card | Key | NoCard:
    """Read what a frame says, at a reader that takes these formats and no other."""
    if frame.noisy:
        return NoCard.NOISE
    if frame.length in {4, 8}:
        return _key(frame)
    form = next((form for form in formats if form.length == frame.length), None)
    if form is None:
        return NoCard.LENGTH
    if form.half and not _parity_holds(frame, form.half):
        return NoCard.PARITY
    number = _number(frame, form)
    # A number of nothing but the first parity bit cannot be: zeros are even.
    if number == 0:
        return NoCard.ZERO
    return Card(form.technology, number.to_bytes((frame.length + 7) // 8, "big"))


@dataclass(slots=True)
class FrameCollector:
    """Pulses of one reader, in the order of their times (nanoseconds of one clock), until a silence makes them a frame."""

    _bits: int = 0
    _length: int = 0
    _noisy: bool = False
    _at: int = 0

    def pulse(self, bit: int, at: int) -> Frame | None:
        """Take a pulse; what was collected before it is a frame if a silence lies between."""
        ended = self.end() if self._length and at - self._at >= _GAP_NS else None
        if self._length and at - self._at < _SHORTEST_NS:
            self._noisy = True
        self._at = at
        self._length += 1
        if self._length > _MOST_BITS:
            self._noisy = True
        else:
            self._bits = self._bits << 1 | bit
        return ended

    def spoil(self) -> None:
        """Say that pulses were lost: what is collected until the next silence is noise."""
        self._noisy = True
        self._length = max(self._length, 1)

    def end(self) -> Frame | None:
        """End the frame, for the silence lasted; None when there was nothing."""
        if not self._length:
            return None
        frame = Frame(0, self._length, noisy=True) if self._noisy else Frame(self._bits, self._length)
        self._bits, self._length, self._noisy = 0, 0, False
        return frame


def _parity_holds(frame: Frame, half: int) -> bool:
    """Whether the first bit evens out the first half of the data, and the last one odds the second."""
    first = frame.bits >> (frame.length - 1 - half)
    last = frame.bits & ((1 << (half + 1)) - 1)
    return first.bit_count() % 2 == 0 and last.bit_count() % 2 == 1


def _number(frame: Frame, form: WiegandFormat) -> int:
    if not form.half:
        return frame.bits
    between = frame.bits >> 1
    return between if form.keeps_first else between & ((1 << (frame.length - 2)) - 1)


def _key(frame: Frame) -> Key | NoCard:
    low, high = frame.bits & 0xF, frame.bits >> 4
    if low >= len(_KEYS) or (frame.length == 8 and high != low ^ 0xF):
        return NoCard.KEY
    return _KEYS[low]
