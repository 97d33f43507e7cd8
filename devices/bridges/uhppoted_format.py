r"""What uhppoted-mqtt writes for a UHPPOTE controller, and how it is asked to open a door. Pure.

    ROOT/events, ROOT/events/live
        {"message":{"event":{"device-id":405419896,"event-id":1491,"event-type":1,"event-type-text":"card swipe",
                             "access-granted":false,"door-id":1,"direction":1,"direction-text":"in","card-number":4544641,
                             "timestamp":"2025-07-09 11:42:03 CEST","event-reason":6,"event-reason-text":"no access rights"}},
         "hmac":"..."}
    ROOT/requests/device/door/lock:open
        {"message":{"request":{"request-id":...,"client-id":...,"reply-to":...,"device-id":...,"door":1,"card-number":...}},"hmac":"..."}
    the topic in reply-to
        {"message":{"reply":{"request-id":...,"method":"open-door","response":{"device-id":...,"door":1,"opened":true},...}},"hmac":"..."}

Looked at: documentation/commands, mqtt/message.go, device/listen.go and locales/en of github.com/uhppoted/uhppoted-mqtt
(v0.8). What is odd about it:

- One event comes on both topics, and again when the gateway fetches what it missed: `EventOrder` tells which is new.
- The HMAC (SHA-256, 64 hexadecimal digits) is over the bytes of the value of `message` as they stand in the text.
- A time is local, with the zone's abbreviation. `CEST` alone says nothing certain, so the zone is a setting, and the time must be
  one of that zone with that abbreviation: in the hour that comes twice, it tells which.
- An event number is counted by the controller from 1 and begins anew after a roll-over (2^32 - 1 unless set otherwise).
- Of other events' reasons (locales/en of uhppoted-lib) these say that a door was opened: 20 by its button, 25 with the supervisor's code,
  38 by force, 44 and 45 from afar, where we may have been the one.
- A card of 26 bits is written as decimal site and card: 4544641 is site 45, card 44641. Other numbers are of other formats or of
  none, and no card here. It becomes `00`, the site, and the two bytes of the card: the same card as at every other reader.
- Signed or encrypted messages (`signature`, `key`) and nonces are not spoken.
"""

import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from devices.bridges.overheard import Overheard
from devices.bridges.repeats import LONG_AGO, is_of_now
from devices.bridges.strict_json import members
from gatekeeper.model.badges import Card, CardTechnology

__all__ = [
    "LONGEST_ROLLOVER",
    "DoorMoved",
    "DoorOpened",
    "Event",
    "EventOrder",
    "Happened",
    "How",
    "OtherEvent",
    "Refusal",
    "Swipe",
    "opening",
    "read_event",
    "read_reply",
    "reply_topic",
]

LONGEST_ROLLOVER: Final = (1 << 32) - 1
_MOST_BYTES: Final = 4096
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ([A-Z]{3,5}|[+-]\d\d(?:\d\d)?)", re.ASCII)
_HMAC: Final = re.compile(r"[0-9a-f]{64}")
_EVENT_NUMBERS: Final = (
    "device-id",
    "event-id",
    "event-type",
    "door-id",
    "direction",
    "card-number",
    "event-reason",
)
_EVENT_TEXTS: Final = frozenset({"event-type-text", "direction-text", "event-reason-text"})
_META: Final = frozenset({"client-id", "server-id", "request-id", "method", "nonce"})
_EVENT_KEYS: Final = frozenset({*_EVENT_NUMBERS, "access-granted", "timestamp"})
_SWIPE, _DOOR = 1, 2
_OPENINGS: Final = (2, 3)
_MOVES: Final = {23: True, 24: False}
_REMEMBERED: Final = 4096


class How(Enum):
    """By what a door was opened that no card opened."""

    BUTTON = auto()
    FROM_AFAR = auto()
    CODE = auto()
    FORCE = auto()


_HOW: Final = {20: How.BUTTON, 25: How.CODE, 38: How.FORCE, 44: How.FROM_AFAR, 45: How.FROM_AFAR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Where and when something happened at a controller: its number orders a controller's events, of all its doors."""

    device: int
    number: int
    door: int
    direction: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Swipe(Event):
    """A card was shown to a reader; `let_in` says that the controller has opened by itself."""

    card: Card | None
    let_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorMoved(Event):
    """A door's contact: only recorded where `record-special-events` was set."""

    opened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorOpened(Event):
    """A door was opened, and no card of the controller's list did it."""

    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvent(Event):
    """Anything else; its number counts."""


Happened: TypeAlias = Swipe | DoorMoved | DoorOpened | OtherEvent


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request of this name was not carried out."""

    request: str


def read_event(payload: bytes, *, key: bytes | None, zone: ZoneInfo) -> Happened | Overheard:
    """Read an event, or say why nothing becomes of it. With a key, what has no right HMAC is nothing."""
    message = _open_envelope(payload, key)
    if isinstance(message, Overheard):
        return message
    if message.keys() != {"event"}:
        return Overheard.OTHER if message.keys() & {"system", "reply", "error"} else Overheard.MALFORMED
    event = message["event"]
    if not isinstance(event, dict) or not _is_event(event):
        return Overheard.MALFORMED
    at = _time(event["timestamp"], zone)
    if at is None:
        return Overheard.MALFORMED
    where: dict[str, Any] = {
        "device": event["device-id"],
        "number": event["event-id"],
        "door": event["door-id"],
        "direction": event["direction"],
        "at": at,
    }
    match event["event-type"], event["event-reason"]:
        case int(kind), _ if kind == _SWIPE:
            return Swipe(**where, card=_card(event["card-number"]), let_in=event["access-granted"])
        case int(kind), int(reason) if kind == _DOOR and reason in _MOVES:
            return DoorMoved(**where, opened=_MOVES[reason])
        case int(kind), int(reason) if kind in _OPENINGS and reason in _HOW:
            return DoorOpened(**where, how=_HOW[reason])
        case _:
            return OtherEvent(**where)


def opening(
    root: str, *, device: int, door: int, card_number: int, client: str, request: str, key: bytes | None
) -> tuple[str, bytes]:
    """Topic and payload that have a controller open a door for as long as it is set to."""
    message = _written(
        {
            "request": {
                "request-id": request,
                "client-id": client,
                "reply-to": reply_topic(root, client),
                "device-id": device,
                "door": door,
                "card-number": card_number,
            }
        }
    )
    seal = "" if key is None else f',"hmac":"{_mac(message, key)}"'
    return f"{root}/requests/device/door/lock:open", f'{{"message":{message}{seal}}}'.encode()


def reply_topic(root: str, client: str) -> str:
    """Where replies to a client's requests go."""
    return f"{root}/replies/{client}"


def read_reply(payload: bytes, *, key: bytes | None) -> Refusal | Overheard:
    """Read a reply: the name of a request that was refused, or that it is nothing to worry about."""
    message = _open_envelope(payload, key)
    if isinstance(message, Overheard):
        return message
    match message:
        case {
            "reply": {"method": "open-door", "request-id": str(request), "response": {"opened": bool(opened)}}
        }:
            return Overheard.OTHER if opened else Refusal(request)
        case {"error": {"method": "open-door", "request-id": str(request)}}:
            return Refusal(request)
        case {"reply": dict()} | {"error": dict()}:
            return Overheard.OTHER
        case _:
            return Overheard.MALFORMED


class EventOrder:
    """Which events of one controller are new: what is ahead of the newest in number, or in time.

        taken already                             a repeat
        ahead in number, or in time               new
        behind in both, but of now                new, unless it says how a door is: that may be otherwise by now
        else                                      late

    So an event that nobody can have made yet, far ahead in number or in time, silences none of those that follow, and a
    controller whose events were cleared begins anew by itself.
    """

    def __init__(self, rollover: int = LONGEST_ROLLOVER) -> None:
        self._rollover = rollover
        self._newest: int | None = None
        self._since = LONG_AGO
        self._taken: deque[tuple[int, datetime]] = deque(maxlen=_REMEMBERED)

    def take(self, event: Event, *, now: datetime) -> Overheard | None:
        """Take an event: None when it is new. Of all numbers, half are ahead."""
        if not 0 < event.number <= self._rollover:
            return Overheard.MALFORMED
        if (event.number, event.at) in self._taken:
            return Overheard.REPEATED
        if self._is_ahead(event.number) or event.at > self._since:
            self._newest = event.number
            # INVARIANT: no event binds those that follow further than now.
            self._since = min(event.at, now)
        elif isinstance(event, DoorMoved) or not is_of_now(event.at, now=now):
            return Overheard.LATE
        self._taken.append((event.number, event.at))
        return None

    def _is_ahead(self, number: int) -> bool:
        return self._newest is None or 0 < (number - self._newest) % self._rollover <= self._rollover // 2


def _open_envelope(payload: bytes, key: bytes | None) -> Mapping[str, Any] | Overheard:
    if len(payload) > _MOST_BYTES:
        return Overheard.OVERSIZED
    try:
        written = members(payload)
    except ValueError:
        return Overheard.MALFORMED
    if not {"message"} <= written.keys() <= {"message", "hmac"}:
        return Overheard.MALFORMED
    message, seal = written["message"], written.get("hmac")
    if not isinstance(message.value, dict):
        return Overheard.MALFORMED
    if key is not None and not _is_sealed(message.text, seal.value if seal is not None else None, key):
        return Overheard.UNAUTHENTIC
    return message.value


def _is_sealed(text: str, seal: Any, key: bytes) -> bool:
    # INVARIANT: over the text as it stands; what is written anew may be another.
    return (
        isinstance(seal, str)
        and _HMAC.fullmatch(seal) is not None
        and hmac.compare_digest(seal, _mac(text, key))
    )


def _mac(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _written(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _is_event(event: dict[str, Any]) -> bool:
    return (
        event.keys() >= _EVENT_KEYS
        and event.keys() <= _EVENT_KEYS | _EVENT_TEXTS | _META
        and all(type(event[name]) is int and 0 <= event[name] < 1 << 32 for name in _EVENT_NUMBERS)
        and isinstance(event["access-granted"], bool)
        and isinstance(event["timestamp"], str)
    )


def _time(written: str, zone: ZoneInfo) -> datetime | None:
    """The instant; None when the zone never shows such a time under that abbreviation."""
    found = _TIME.fullmatch(written)
    if found is None:
        return None
    try:
        wall = datetime.fromisoformat(found[1])
        for fold in (0, 1):
            local = wall.replace(tzinfo=zone, fold=fold)
            at = local.astimezone(UTC)
            # A time that the clocks skip comes back as another.
            if local.tzname() == found[2] and at.astimezone(zone).replace(tzinfo=None) == wall:
                return at
    except (ValueError, OverflowError):
        pass
    return None


def _card(number: int) -> Card | None:
    site, card = divmod(number, 100_000)
    if number == 0 or site > 0xFF or card > 0xFFFF:
        return None
    return Card(CardTechnology.WIEGAND, bytes((0, site)) + card.to_bytes(2, "big"))
