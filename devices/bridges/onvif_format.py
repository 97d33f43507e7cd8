r"""What an ONVIF access controller publishes as an event broker's client (`onvif-ej`). Pure.

    PREFIX/onvif-ej/AccessControl/Denied/CredentialNotFound/&AP1
        {"UtcTime":"2026-02-03T04:05:06Z","Source":{"AccessPointToken":"AP1"},
         "Data":{"IdentifierType":"pt:Card","FormatType":"WIEGAND26","IdentifierValue":"763AE8"}}
    PREFIX/onvif-ej/AccessControl/AccessGranted/Credential/&AP1
        {..., "Data":{"CredentialToken":"wiegand-00763ae8","CredentialHolderName":"..."}}
    PREFIX/onvif-ej/Door/State/DoorPhysicalState/&D1
        {"UtcTime":"2026-02-03T04:05:06Z","Source":{"DoorToken":"D1"},"Data":{"State":"Open"}}

Looked at: github.com/onvif/specs: Core, "Event Broker" (topic structure, JSON event payload); AccessControl and DoorControl,
"Notification topics". What is odd about it:

- The namespace of ONVIF's own topics is dropped (`tns1:Door/State` is `Door/State`), and some devices write it all the same: both are heard.
- Numbers, `true` and `false` may stand with or without quotes. `Key` is deprecated and allowed.
- States are retained, so the first one is how things are, not something that happens. An event is never taken from memory.
- There is no id: an event is told from its repetition by its time.
- What follows an external authorization (`External` true) is the echo of somebody's decision, and so is, within a minute, the
  grant or denial of what a device asked for with `Request`: nobody shows a card a second time.
- `AccessGranted/Anonymous` is somebody who asks to leave, or, with `External`, an operator who opened the door.
- A credential is a token of the device's own choice and no number. It names a card when whoever registered it spelled it like one:
  `mifare-ba839d07`, `wiegand-00763ae8`. `CredentialHolderName` is not read.
- An identifier has a format (BACnet, annex P): WIEGAND26 is the site's byte and two of the card, SIMPLE_NUMBER32 and SIMPLE_NUMBER56
  are taken as the 4 or 7 bytes of a chip. Others are no card here, and a PIN never is.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from devices.bridges.overheard import Overheard
from devices.bridges.strict_json import read_object
from gatekeeper.model.badges import Card, CardTechnology

__all__ = [
    "DOOR_TOPICS",
    "POINT_TOPICS",
    "Alarm",
    "Asked",
    "DoorState",
    "LetIn",
    "LetOut",
    "Shown",
    "State",
    "Tamper",
    "Touch",
    "read_state",
    "read_touch",
    "topics_of",
]

_MOST_BYTES: Final = 4096
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_TOKEN_CARD: Final = re.compile(r"(mifare|wiegand)-((?:[0-9a-f]{2}){1,16})")
_HEXADECIMAL: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,16}")
_CHIPS: Final = {"SIMPLE_NUMBER32": 4, "SIMPLE_NUMBER56": 7}
_KEYS: Final = frozenset({"UtcTime", "Source", "Key", "Data", "PropertyOperation"})

_SHOWN: Final = (
    "AccessControl/AccessGranted/Credential",
    "AccessControl/AccessGranted/Identifier",
    "AccessControl/Denied/Credential",
    "AccessControl/Denied/Identifier",
    "AccessControl/Denied/CredentialNotFound",
    "AccessControl/Denied/CredentialNotFound/Card",
)
_ASKED: Final = ("AccessControl/Request/Credential", "AccessControl/Request/Identifier")
_ANONYMOUS: Final = "AccessControl/AccessGranted/Anonymous"
_GRANTED: Final = "AccessControl/AccessGranted/"
POINT_TOPICS: Final = (*_SHOWN, *_ASKED, _ANONYMOUS)
"""What is heard of an access point."""
DOOR_TOPICS: Final = ("Door/State/DoorPhysicalState", "Door/State/DoorTamper", "Door/State/DoorAlarm")
"""What is heard of a door: states, which a broker keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A card was shown at an access point, or something that is the number of no card (None).

    `let_in` says that the controller has opened by itself.
    """

    at: datetime
    card: Card | None
    let_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LetIn:
    """Somebody was let in on the word of somebody else: perhaps ours."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LetOut:
    """Somebody asked to leave, and was let out."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A card was shown, and the controller waits for somebody else's decision."""

    at: datetime
    card: Card


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorState:
    """How a door is; None when its monitor does not know."""

    at: datetime
    opened: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tamper:
    """How a door's housing is; None when it is not known."""

    at: datetime
    opened: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A door's own alarm is raised, or its monitor is at fault; or neither. `forced` says that it was opened without a grant."""

    at: datetime
    raised: bool
    forced: bool = False


Touch: TypeAlias = Shown | Asked | LetIn | LetOut
State: TypeAlias = DoorState | Tamper | Alarm


def topics_of(prefix: str, locals_: tuple[str, ...], token: str) -> dict[str, str]:
    """The topics on which a device may tell of a token, and the ONVIF topic that each is."""
    return {
        f"{prefix}/onvif-ej/{namespace}{local}/&{token}": local
        for local in locals_
        for namespace in ("", "tns1:")
    }


def read_touch(local: str, payload: bytes, *, token: str) -> Touch | Overheard:
    """Read what was published of an access point, on one of `POINT_TOPICS`, or say why nothing becomes of it."""
    read = _read(payload, source={"AccessPointToken": token})
    return read if isinstance(read, Overheard) else _touch(local, *read)


def read_state(local: str, payload: bytes, *, token: str) -> State | Overheard:
    """Read what was published of a door, on one of `DOOR_TOPICS`, or say why nothing becomes of it."""
    read = _read(payload, source={"DoorToken": token})
    return read if isinstance(read, Overheard) else _state(local, *read)


def _read(payload: bytes, *, source: dict[str, str]) -> tuple[datetime, dict[str, Any]] | Overheard:
    if len(payload) > _MOST_BYTES:
        return Overheard.OVERSIZED
    try:
        written = read_object(payload)
    except ValueError:
        return Overheard.MALFORMED
    at, content = _time(written.get("UtcTime")), written.get("Data")
    if not (
        written.keys() <= _KEYS
        and at is not None
        and written.get("Source") == source
        and isinstance(written.get("Key", {}), dict)
        and isinstance(content, dict)
    ):
        return Overheard.MALFORMED
    return at, content


def _touch(local: str, at: datetime, content: dict[str, Any]) -> Touch | Overheard:
    external = content.get("External", False)
    if not isinstance(external, bool) and external not in ("true", "false"):
        return Overheard.MALFORMED
    is_granted = local.startswith(_GRANTED)
    if external in (True, "true"):
        return LetIn(at=at) if is_granted else Overheard.OTHER
    if local == _ANONYMOUS:
        return LetOut(at=at)
    card = _card(local, content)
    if is_granted and card is Overheard.NO_NUMBER:
        return Shown(at=at, card=None, let_in=True)
    if isinstance(card, Overheard):
        return card
    return Asked(at=at, card=card) if local in _ASKED else Shown(at=at, card=card, let_in=is_granted)


def _card(local: str, content: dict[str, Any]) -> Card | Overheard:
    match content:
        case {"CredentialToken": str(token)} if local.endswith("/Credential"):
            return _card_of_token(token)
        case {"IdentifierType": str(kind), "IdentifierValue": str(value)} if local.endswith(
            ("/Identifier", "/CredentialNotFound")
        ):
            shape = content.get("FormatType")
            return _card_of_identifier(kind, shape, value) if isinstance(shape, str) else Overheard.NO_NUMBER
        case {"Card": str()} if local.endswith("/Card"):
            # Vendor-specific: part of a number, all of it, or nothing. Its sibling topic says the same in a known form.
            return Overheard.NO_NUMBER
        case _:
            return Overheard.MALFORMED


def _card_of_token(token: str) -> Card | Overheard:
    found = _TOKEN_CARD.fullmatch(token)
    if found is None:
        return Overheard.NO_NUMBER
    return Card(CardTechnology[found[1].upper()], bytes.fromhex(found[2]))


def _card_of_identifier(kind: str, shape: str, value: str) -> Card | Overheard:
    if kind != "pt:Card":
        return Overheard.NO_NUMBER
    if _HEXADECIMAL.fullmatch(value) is None:
        return Overheard.MALFORMED
    number = bytes.fromhex(value)
    if not any(number):
        return Overheard.NO_NUMBER
    if shape == "WIEGAND26" and len(number) == 3:
        return Card(CardTechnology.WIEGAND, b"\0" + number)
    if len(number) == _CHIPS.get(shape):
        return Card(CardTechnology.MIFARE, number)
    return Overheard.NO_NUMBER


def _state(local: str, at: datetime, content: dict[str, Any]) -> State | Overheard:
    match local.rpartition("/")[2], content.get("State"):
        case "DoorPhysicalState", "Open" | "Closed" as state:
            return DoorState(at=at, opened=state == "Open")
        case "DoorPhysicalState", "Unknown":
            return DoorState(at=at, opened=None)
        case "DoorPhysicalState", "Fault":
            return Alarm(at=at, raised=True)
        case "DoorTamper", "TamperDetected" | "NotInTamper" as state:
            return Tamper(at=at, opened=state == "TamperDetected")
        case "DoorTamper", "Unknown":
            return Tamper(at=at, opened=None)
        case "DoorAlarm", "Normal" | "DoorForcedOpen" | "DoorOpenTooLong" as state:
            return Alarm(at=at, raised=state != "Normal", forced=state == "DoorForcedOpen")
        case _:
            return Overheard.MALFORMED


def _time(written: object) -> datetime | None:
    if not isinstance(written, str) or _TIME.fullmatch(written) is None:
        return None
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None
