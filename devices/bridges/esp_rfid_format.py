r"""What esp-rfid writes, and what it understands. Pure.

    TOPIC/send   {"type":"access","time":1605991375,"isKnown":"false","access":"Denied","username":"Unknown","uid":"7748328","hostname":"shed"}
                 {"type":"access","isKnown":"true","access":["Always","Disabled"],"doorName":["front","yard"], ...}
                 {"type":"heartbeat","time":1605991375,"uptime":999,"ip":"192.168.1.20","hostname":"shed"}
                 {"type":"INFO","src":"door","desc":"Door Open","data":"","time":1605991375,"cmd":"event","hostname":"shed"}
    TOPIC/cmd    {"cmd":"open","door":"0","doorip":"192.168.1.20"}

Looked at: README-MQTT.md, src/mqtt.esp, src/rfid.esp and src/door.esp of github.com/esprfid/esp-rfid (branch dev, 2.0; older builds
of it write `door` for `hostname`). What is odd about it:

- `isKnown` is a text; `uptime` is one at the start and a number later.
- With several relays `access` and `doorName` are lists, one of each for each relay, when the device knows the card; never else.
- Outside its opening hours the device says `Disabled`, as for a card that was switched off. It does not matter here: what the
  device thinks of a card is not asked, only whether it has opened by itself (`Always`, `Admin`).
- There is no id and no number: two messages of one touch are told apart by nothing but their content.
- `time` is seconds since 1970, UTC, once the device has heard a time server; before, it counts from about 1970, and says nothing.
- A `uid` of blanks is no card: it is the echo of an opening over MQTT, or of the button beside the door, which opens the first relay.
- A chip's number is written byte by byte in hexadecimal *without leading zeros*: `4a1` may be 04 a1 or 4a 01. Only 8, 14 or 20
  digits are taken, which are 4, 7 or 10 bytes written in full; any other text is the number of several cards, and of none here.
- Of a Wiegand number the parity bits are left out, and it is written in decimal or, if so set, in hexadecimal without zeros in front.
- `pincode` (newer builds) is not read: it has crossed the broker in the clear, so it proves nothing.

A Wiegand number becomes the card that every other reader makes of it: 26 bits are `00` and the 24; 34 bits are the first
parity bit (even, over the 16 bits behind it) and the 32. `uid` "7748328" is `00 76 3a e8` at 26.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from devices.bridges.overheard import Overheard
from devices.bridges.strict_json import read_object
from gatekeeper.model.badges import Card, CardTechnology

__all__ = ["Access", "Alive", "CardForm", "DoorMoved", "OpenedItself", "Told", "opening", "read_message"]

_MOST_BYTES: Final = 1024
_MOST_RELAYS: Final = 4
_ACCESS_KEYS: Final = frozenset(
    {
        "cmd",
        "type",
        "time",
        "isKnown",
        "access",
        "username",
        "uid",
        "hostname",
        "door",
        "doorName",
        "pincode",
    }
)
_FIRST_SECOND: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
"""No device that knows the time is before it."""
_NOTHING: Final[frozenset[int]] = frozenset()
_LET_IN: Final = frozenset({"Always", "Admin"})
_OF_KNOWN: Final = _LET_IN | {"Disabled", "Expired", "Wrong pin code"}
_DIGITS: Final = re.compile(r"[0-9A-Fa-f]{8}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20}")
_DECIMAL: Final = re.compile(r"[1-9][0-9]{0,9}")
_HEXADECIMAL: Final = re.compile(r"[1-9a-fA-F][0-9a-fA-F]{0,7}")
_MOVES: Final = {"Door Open": True, "Door Closed": False}


class CardForm(StrEnum):
    """How a device spells a card's number: what its settings say of reader and number."""

    MIFARE = "mifare"
    WIEGAND_26 = "wiegand-26"
    WIEGAND_34 = "wiegand-34"
    WIEGAND_26_HEX = "wiegand-26-hex"
    WIEGAND_34_HEX = "wiegand-34-hex"


@dataclass(frozen=True, slots=True)
class Access:
    """A card was shown to a device: None when it has a number of no one card.

    `at` is None where the device has no clock. `opened` are the relays that it has opened by itself, from 0: none, some, or
    None when it does not say which.
    """

    hostname: str
    card: Card | None
    at: datetime | None
    opened: frozenset[int] | None

    @property
    def let_in(self) -> bool:
        """Whether the device has opened by itself."""
        return self.opened != _NOTHING


@dataclass(frozen=True, slots=True)
class OpenedItself:
    """A device opened and no card was shown: somebody told it to over MQTT (perhaps we), or pressed the button."""

    hostname: str
    told: bool


@dataclass(frozen=True, slots=True)
class DoorMoved:
    """The sensor of a device's door."""

    hostname: str
    opened: bool


@dataclass(frozen=True, slots=True)
class Alive:
    """A device started, or is still there, and has this address."""

    hostname: str
    ip: str


Told: TypeAlias = Access | OpenedItself | DoorMoved | Alive


def read_message(payload: bytes, *, form: CardForm) -> Told | Overheard:
    """Read a message of a device, or say why nothing becomes of it."""
    if len(payload) > _MOST_BYTES:
        return Overheard.OVERSIZED
    try:
        written = read_object(payload)
    except ValueError:
        return Overheard.MALFORMED
    match written:
        case {"type": "access"}:
            return _access(written, form)
        case {"type": "boot" | "heartbeat"}:
            return _alive(written)
        case {"type": "INFO", "src": "door"}:
            return _moved(written)
        case {"type": str()} | {"command": str()} | {"list": list()}:
            return Overheard.OTHER
        case _:
            return Overheard.MALFORMED


def opening(topic: str, *, ip: str, relay: int | None) -> tuple[str, bytes]:
    """Topic and payload that open one relay of the device at an address; without a number, all that it has."""
    which = {"cmd": "opendoor"} if relay is None else {"cmd": "open", "door": str(relay)}
    return f"{topic}/cmd", json.dumps({**which, "doorip": ip}, separators=(",", ":")).encode()


def _access(written: dict[str, Any], form: CardForm) -> Told | Overheard:
    hostname, uid = written.get("hostname", written.get("door")), written.get("uid")
    if not (
        written.keys() <= _ACCESS_KEYS
        and isinstance(hostname, str)
        and isinstance(uid, str)
        and type(written.get("time")) is int
        and isinstance(written.get("username"), str)
    ):
        return Overheard.MALFORMED
    at = _time(written["time"])
    opened = _opened(written)
    if isinstance(at, Overheard) or isinstance(opened, Overheard):
        return Overheard.MALFORMED
    if not uid.strip():
        return (
            Overheard.MALFORMED
            if opened == _NOTHING
            else OpenedItself(hostname, written["username"] == "MQTT")
        )
    return Access(hostname, _card(uid, form), at, opened)


def _opened(written: dict[str, Any]) -> frozenset[int] | Overheard | None:
    """The relays that the device has opened by itself, None when it does not say which; malformed when it contradicts itself."""
    match written.get("isKnown"), written.get("access"), written.get("doorName", ""):
        case "false", "Denied", str():
            return _NOTHING
        case "true", str(access), str() if access in _OF_KNOWN:
            return None if access in _LET_IN else _NOTHING
        case "true", [*each], [*names] if len(each) == len(names) <= _MOST_RELAYS and each:
            whole = all(isinstance(name, str) for name in names) and all(
                isinstance(access, str) and access in _OF_KNOWN for access in each
            )
            if not whole:
                return Overheard.MALFORMED
            return frozenset(relay for relay, access in enumerate(each) if access in _LET_IN)
        case _:
            return Overheard.MALFORMED


def _time(seconds: int) -> datetime | Overheard | None:
    """When it was; None when the device has no clock."""
    if seconds < _FIRST_SECOND:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return Overheard.MALFORMED


def _card(uid: str, form: CardForm) -> Card | None:
    match form:
        case CardForm.MIFARE:
            return _chip(uid)
        case CardForm.WIEGAND_26:
            return _wiegand(uid, 26, base=10)
        case CardForm.WIEGAND_34:
            return _wiegand(uid, 34, base=10)
        case CardForm.WIEGAND_26_HEX:
            return _wiegand(uid, 26, base=16)
        case CardForm.WIEGAND_34_HEX:
            return _wiegand(uid, 34, base=16)


def _chip(uid: str) -> Card | None:
    return Card(CardTechnology.MIFARE, bytes.fromhex(uid)) if _DIGITS.fullmatch(uid) else None


def _wiegand(uid: str, bits: int, *, base: int) -> Card | None:
    if not (_DECIMAL if base == 10 else _HEXADECIMAL).fullmatch(uid):
        return None
    number = int(uid, base)
    if number >= 1 << (bits - 2):
        return None
    if bits == 34:
        number |= ((number >> 16).bit_count() & 1) << 32
    return Card(CardTechnology.WIEGAND, number.to_bytes((bits + 7) // 8, "big"))


def _alive(written: dict[str, Any]) -> Alive | Overheard:
    match written:
        case {"uptime": int() | str(), "ip": str(ip), "hostname": str(hostname)}:
            whole = len(written) == 5 and type(written.get("time")) is int
            return Alive(hostname, ip) if whole else Overheard.MALFORMED
        case _:
            return Overheard.MALFORMED


def _moved(written: dict[str, Any]) -> DoorMoved | Overheard:
    match written:
        case {"desc": str(desc), "hostname": str(hostname)} if desc in _MOVES:
            return DoorMoved(hostname, _MOVES[desc])
        case _:
            return Overheard.OTHER
