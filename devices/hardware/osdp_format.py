"""What OSDP readers tell and are told, as dictionaries of libosdp. Pure.

    card       osdp_RAW: `length` bits, the first on top of the first byte; formats 0 (unspecified) and 1 (Wiegand)
    keys       osdp_KEYPAD: ASCII digits, 7F is `*`, 0D is `#`
    output     osdp_OUT: 5 switches it on for `timer_count` tenths of a second, 1 off
    light      osdp_LED: temporary, or permanent until the next; times in tenths of a second
    sound      osdp_BUZ: 2 is the reader's tone, 1 ends it

A card in ASCII (osdp_FMT) was withdrawn from the specification, and the library does not tell of it.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from devices.core.events import Signal
from devices.hardware.wiegand_format import Frame, Key

__all__ = [
    "LED",
    "OUTPUT",
    "Unread",
    "buzz",
    "colour",
    "held_output",
    "raw_frame",
    "released_output",
    "typed_keys",
]

# osdp.h, which numbers what the library takes
OUTPUT, LED, _BUZZER = 1, 2, 3
_RAW: Final = (0, 1)
_MOST_BITS: Final = 128
_MOST_TENTHS: Final = 255
_NONE, _RED, _GREEN, _AMBER = 0, 1, 2, 3
_STAR, _HASH = 0x7F, 0x0D


class Unread(StrEnum):
    """Why what a reader told presents nothing."""

    INSECURE = "osdp-insecure"
    MALFORMED = "osdp-malformed"
    KEY = "osdp-key"
    OTHER = "osdp-other"


class _Look(NamedTuple):
    """Colour, blinking or not, tenths of a second it lasts (0 until the next), and beeps (0 is none, -1 without end)."""

    colour: int
    blinks: bool
    tenths: int
    beeps: int


_LOOKS: Final[Mapping[Signal, _Look]] = {
    Signal.GRANTED: _Look(_GREEN, blinks=False, tenths=30, beeps=1),
    Signal.DENIED: _Look(_RED, blinks=False, tenths=30, beeps=3),
    Signal.WAITING: _Look(_AMBER, blinks=True, tenths=0, beeps=0),
    Signal.BUSY: _Look(_AMBER, blinks=False, tenths=10, beeps=0),
    Signal.NO_SERVICE: _Look(_RED, blinks=True, tenths=30, beeps=3),
    Signal.CLOSE_DOOR: _Look(_RED, blinks=True, tenths=0, beeps=-1),
    Signal.LOCKDOWN: _Look(_RED, blinks=True, tenths=0, beeps=0),
    Signal.TAMPERED: _Look(_RED, blinks=True, tenths=30, beeps=3),
    Signal.READY: _Look(_NONE, blinks=False, tenths=0, beeps=0),
}


def raw_frame(event: Mapping[str, Any]) -> Frame | Unread:
    """The bits of a card event."""
    length, data = event.get("length"), event.get("data")
    if event.get("format") not in _RAW or type(length) is not int or not isinstance(data, bytes):
        return Unread.MALFORMED
    # A key comes as a key: four or eight bits that claim to be a card are none.
    if not 8 < length <= _MOST_BITS or len(data) != (length + 7) // 8:
        return Unread.MALFORMED
    spare = 8 * len(data) - length
    bits = int.from_bytes(data, "big")
    if bits & ((1 << spare) - 1):
        return Unread.MALFORMED
    return Frame(bits >> spare, length)


def typed_keys(data: bytes) -> Iterator[Key | None]:
    """The keys of a keypad event; None for each that no keypad has."""
    for byte in data:
        if byte == _STAR:
            yield Key.STAR
        elif byte == _HASH:
            yield Key.HASH
        elif 0x30 <= byte <= 0x39:
            yield Key(chr(byte))
        else:
            yield None


def released_output(output: int, lasting: timedelta) -> dict[str, Any]:
    """Switch an output on for a while (25.5 s at most); the reader itself ends it."""
    tenths = min(max(1, -(-lasting // timedelta(milliseconds=100))), _MOST_TENTHS)
    return {"command": OUTPUT, "output_no": output, "control_code": 5, "timer_count": tenths}


def held_output(output: int) -> dict[str, Any]:
    """Switch an output off."""
    return {"command": OUTPUT, "output_no": output, "control_code": 1, "timer_count": 0}


def colour(signal: Signal) -> dict[str, Any]:
    """What the first lamp of the first head does for a signal."""
    look = _LOOKS[signal]
    lamp: dict[str, Any] = {
        "command": LED,
        "reader": 0,
        "led_number": 0,
        "temporary": look.tenths > 0,
        "control_code": 2 if look.tenths else 1,
        "on_color": look.colour,
        "off_color": _NONE if look.blinks else look.colour,
        "on_count": 5,
        "off_count": 5 if look.blinks else 0,
    }
    return lamp | ({"timer_count": look.tenths} if look.tenths else {})


def buzz(signal: Signal) -> dict[str, Any]:
    """What its buzzer does for a signal."""
    beeps = _LOOKS[signal].beeps
    return {
        "command": _BUZZER,
        "reader": 0,
        "control_code": 2 if beeps else 1,
        "on_count": 2,
        "off_count": 2,
        "rep_count": max(0, beeps),  # 0 goes on until it is ended
    }
