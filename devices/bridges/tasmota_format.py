r"""What a Tasmota reader writes, and what its relay understands. Pure.

    tele/<topic>/SENSOR   {"Time":"2021-01-23T13:10:50","RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}
                          {"Time":"2021-01-21T15:48:49","Wiegand":{"UID":4302741608,"Size":34}}
    cmnd/<topic>/Backlog  PulseTime1 50; Power1 ON

A card number becomes a card like this, and the site's badges must name the same:

    RC522     MIFARE    the bytes of the UID as written: BA839D07 is ba 83 9d 07         (4, 7 or 10 bytes)
    Wiegand   WIEGAND   the number, big-endian, in ceil(Size / 8) bytes: 4302741608 at 34 is 01 00 76 a0 68

With SetOption123 a Wiegand number is written as hexadecimal text that ends in `h`; it is the same card. A number of zero is
how the firmware reports a parity error, and sizes of 4 and 8 bits are keys of a keypad: neither is a card. Everything else on the
topic (temperatures, energy) is no card either. `Time` is the reader's own clock, often wrong, and not used.

The relay is told first to fall back by itself (PulseTime: tenths of a second up to 111, above that seconds plus 100), then
to switch on; both in one message, so that none can come without the other.
"""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from devices.bridges.strict_json import read_object
from gatekeeper.model.badges import Card, CardTechnology

__all__ = ["NoCard", "is_reader_topic", "opening", "read_sensor", "securing"]

_MOST_BYTES: Final = 512
_TOPIC: Final = re.compile(r"tele/([^+#\0]+)/SENSOR")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_UID: Final = re.compile(r"(?:[0-9A-F]{2}){4}(?:(?:[0-9A-F]{2}){3}){0,2}")
_HEXADECIMAL: Final = re.compile(r"[0-9A-F]{1,16}h")
_SIZES: Final = (24, 26, 32, 34)
_TENTHS: Final = 111
_LONGEST_PULSE: Final = 64_900


class NoCard(StrEnum):
    """Why a message of a reader presents no card."""

    OVERSIZED = "sensor-oversized"
    MALFORMED = "sensor-malformed"
    OTHER = "sensor-other"


def is_reader_topic(topic: str) -> bool:
    """Whether a topic is that of a Tasmota sensor in the firmware's own order of topics."""
    return _TOPIC.fullmatch(topic) is not None


def read_sensor(payload: bytes) -> Card | NoCard:
    """Read the card that a sensor message presents, or say why there is none."""
    if len(payload) > _MOST_BYTES:
        return NoCard.OVERSIZED
    try:
        written = read_object(payload)
    except ValueError:
        return NoCard.MALFORMED
    match written:
        case {"Time": str(time), "RC522": dict(reading)} if len(written) == 2 and _TIME.fullmatch(time):
            return _mifare(reading)
        case {"Time": str(time), "Wiegand": dict(reading)} if len(written) == 2 and _TIME.fullmatch(time):
            return _wiegand(reading)
        case {"RC522": _} | {"Wiegand": _}:
            return NoCard.MALFORMED
        case _:
            return NoCard.OTHER


def opening(reader_topic: str, lasting: timedelta) -> tuple[str, bytes]:
    """Topic and payload that release the relay beside a reader for a while."""
    return f"cmnd/{_device(reader_topic)}/Backlog", f"PulseTime1 {_pulse(lasting)}; Power1 ON".encode()


def securing(reader_topic: str) -> tuple[str, bytes]:
    """Topic and payload that let the relay fall."""
    return f"cmnd/{_device(reader_topic)}/Power1", b"OFF"


def _mifare(reading: dict[str, Any]) -> Card | NoCard:
    match reading:
        case {"UID": str(uid)} if reading.keys() <= {"UID", "Data", "Type"} and _UID.fullmatch(uid):
            return Card(CardTechnology.MIFARE, bytes.fromhex(uid))
        case _:
            return NoCard.MALFORMED


def _wiegand(reading: dict[str, Any]) -> Card | NoCard:
    size, number = reading.get("Size"), reading.get("UID")
    if reading.keys() != {"UID", "Size"} or type(size) is not int:
        return NoCard.MALFORMED
    if size not in _SIZES:
        return NoCard.OTHER
    if isinstance(number, str) and _HEXADECIMAL.fullmatch(number):
        number = int(number.removesuffix("h"), 16)
    if type(number) is not int or not 0 < number < 1 << size:
        return NoCard.MALFORMED
    return Card(CardTechnology.WIEGAND, number.to_bytes((size + 7) // 8, "big"))


def _pulse(lasting: timedelta) -> int:
    tenths = max(1, lasting // timedelta(milliseconds=100))
    return tenths if tenths <= _TENTHS else min(lasting // timedelta(seconds=1) + 100, _LONGEST_PULSE)


def _device(reader_topic: str) -> str:
    found = _TOPIC.fullmatch(reader_topic)
    if found is None:
        raise ValueError("not the topic of a reader")
    return found[1]
