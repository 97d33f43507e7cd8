"""`bridge` in gate.json: which device this gate speaks for, read once at the start.

    {"kind": "tasmota", "topic", "access_point"?}
    {"kind": "esp-rfid", "topic", "cards": "mifare" | "wiegand-26" | "wiegand-34" | "wiegand-26-hex" | "wiegand-34-hex",
     "heartbeat_seconds"?: 1..3600 (180), "doors": [{"access_point", "hostname", "ip", "relay"?: 0..3}]}
    {"kind": "uhppoted", "topic"?: ("uhppoted/gateway"), "time_zone", "card_number", "hmac"?: bool, "rollover"?: number,
     "doors": [{"access_point", "device", "door": 1..4, "reader"?: 1 | 2 (1)}]}
    {"kind": "onvif", "topic", "doors": [{"access_point", "token", "door_token"?, "open"?: {"topic", "payload"}}]}

An access point that is bridged has a contact only where gate.json says so, and only where the device reports one. What is
wrong is said in a sentence. With `hmac` the key is one line of the file `uhppoted-hmac-key` in the gate's folder, its owner's
eyes only; how that is read is the caller's affair. What these devices write and are told stands in the `*_format` modules.
"""

import ipaddress
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from devices.bridges.esp_rfid_format import CardForm
from devices.bridges.tasmota_format import is_reader_topic
from devices.bridges.uhppoted_format import LONGEST_ROLLOVER
from gatekeeper.model.ids import AccessPointId

__all__ = [
    "HMAC_KEY",
    "KEYS",
    "BridgeSettings",
    "BridgeSettingsError",
    "EspRfidDoor",
    "EspRfidSettings",
    "OnvifDoor",
    "OnvifSettings",
    "TasmotaSettings",
    "UhppotedDoor",
    "UhppotedSettings",
    "bridged",
    "read_bridge",
    "reports_contact",
]

HMAC_KEY: Final = "uhppoted-hmac-key"
KEYS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "tasmota": (("kind", "topic", "access_point"), ()),
    "esp-rfid": (
        ("kind", "topic", "cards", "heartbeat_seconds", "doors"),
        ("access_point", "hostname", "ip", "relay"),
    ),
    "uhppoted": (
        ("kind", "topic", "time_zone", "card_number", "hmac", "rollover", "doors"),
        ("access_point", "device", "door", "reader"),
    ),
    "onvif": (("kind", "topic", "doors"), ("access_point", "token", "door_token", "open")),
}
"""The settings of each kind, and of each of its doors."""
_TOPIC: Final = re.compile(r"(?:(?![+#])[ -~]){1,200}")
_TOKEN: Final = re.compile(r"(?:(?![+#/])[!-~]){1,64}")
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
_HEARTBEAT: Final = 180
_LONGEST_HEARTBEAT: Final = 3600
_RELAYS: Final = 4
_DOORS: Final = 4
_UINT32: Final = (1 << 32) - 1
_LONGEST_PAYLOAD: Final = 256
_SHORTEST_KEY: Final = 16


class BridgeSettingsError(Exception):
    """The bridge of gate.json cannot be used; the message says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TasmotaSettings:
    """A Tasmota reader with its relay."""

    topic: str
    access_point: AccessPointId


@dataclass(frozen=True, slots=True, kw_only=True)
class EspRfidDoor:
    """A relay of a device; None is all that it has."""

    access_point: AccessPointId
    hostname: str
    ip: str
    relay: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EspRfidSettings:
    """Devices that share a topic."""

    topic: str
    cards: CardForm
    heartbeat: timedelta
    doors: tuple[EspRfidDoor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UhppotedDoor:
    """A reader at a door of a controller: 1 is what the controller calls in, 2 out."""

    access_point: AccessPointId
    device: int
    door: int
    reader: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UhppotedSettings:
    """Controllers behind one gateway. `card_number` is the card in whose name it opens."""

    topic: str
    time_zone: ZoneInfo
    card_number: int
    rollover: int
    doors: tuple[UhppotedDoor, ...]
    key: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnvifDoor:
    """An access point of a controller, its door, and the message that opens it; without one Gatekeeper only writes down."""

    access_point: AccessPointId
    token: str
    door_token: str | None
    open: tuple[str, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnvifSettings:
    """One controller."""

    topic: str
    doors: tuple[OnvifDoor, ...]


BridgeSettings: TypeAlias = TasmotaSettings | EspRfidSettings | UhppotedSettings | OnvifSettings


def read_bridge(written: object, *, points: tuple[str, ...], read_key: Callable[[], bytes]) -> BridgeSettings:
    """Read a bridge; `points` are the gate's access points, `read_key` reads the HMAC's key. Raises `BridgeSettingsError`."""
    kind = written.get("kind") if isinstance(written, dict) else None
    if not isinstance(written, dict) or not isinstance(kind, str) or kind not in KEYS:
        raise BridgeSettingsError(f"the kind of a bridge is one of {', '.join(KEYS)}.")
    _know(written, KEYS[kind][0], f"a bridge of kind {kind}")
    match kind:
        case "tasmota":
            return _tasmota(written, points)
        case "esp-rfid":
            return _esp_rfid(written, points)
        case "uhppoted":
            return _uhppoted(written, points, read_key)
        case _:
            return _onvif(written, points)


def bridged(bridge: BridgeSettings) -> frozenset[AccessPointId]:
    """The access points that a bridge speaks for."""
    match bridge:
        case TasmotaSettings():
            return frozenset({bridge.access_point})
        case EspRfidSettings() | UhppotedSettings() | OnvifSettings():
            return frozenset(door.access_point for door in bridge.doors)


def reports_contact(bridge: BridgeSettings, access_point: AccessPointId) -> bool:
    """Whether a bridge's device can tell when the door of an access point opens and closes, and of no other's passage."""
    match bridge:
        case TasmotaSettings():
            return False
        case EspRfidSettings():
            # A device has one sensor, which stands at its first relay's door.
            return any(door.access_point == access_point and not door.relay for door in bridge.doors)
        case UhppotedSettings():
            # Who enters and who leaves by one door move the same contact.
            doors = {door.access_point: (door.device, door.door) for door in bridge.doors}
            return list(doors.values()).count(doors[access_point]) == 1
        case OnvifSettings():
            tokens = {door.access_point: door.door_token for door in bridge.doors}
            return tokens[access_point] is not None and list(tokens.values()).count(tokens[access_point]) == 1


# -- kinds ----------------------------------------------------------------------------------------------------------------


def _tasmota(written: Mapping[str, Any], points: tuple[str, ...]) -> TasmotaSettings:
    topic = written.get("topic")
    if not isinstance(topic, str) or not is_reader_topic(topic):
        raise BridgeSettingsError("the bridge needs the topic of its reader, as in tele/shed/SENSOR.")
    access_point = written.get("access_point", points[0] if len(points) == 1 else None)
    return TasmotaSettings(topic=topic, access_point=_access_point(access_point, points))


def _esp_rfid(written: Mapping[str, Any], points: tuple[str, ...]) -> EspRfidSettings:
    if written.get("cards") not in tuple(CardForm):
        raise BridgeSettingsError(f"cards of an esp-rfid bridge is one of {', '.join(CardForm)}.")
    doors = tuple(_esp_rfid_door(door, points) for door in _doors(written))
    _one_of_each("access_point", [door.access_point for door in doors])
    _one_of_each("relay", [(door.hostname, door.relay) for door in doors])
    for door in doors:
        beside = [other for other in doors if other.hostname == door.hostname]
        if door.relay is None and len(beside) > 1:
            raise BridgeSettingsError(
                f"{door.hostname} has several doors, so each of them needs its relay, from 0."
            )
        if len({other.ip for other in beside}) > 1:
            raise BridgeSettingsError(f"{door.hostname} has one ip.")
    _one_of_each("ip", [ip for ip, _ in {(door.ip, door.hostname) for door in doors}])
    return EspRfidSettings(
        topic=_topic(written.get("topic"), "rfid"),
        cards=CardForm(written["cards"]),
        heartbeat=timedelta(
            seconds=_whole(written, "heartbeat_seconds", 1, _LONGEST_HEARTBEAT, default=_HEARTBEAT)
        ),
        doors=doors,
    )


def _esp_rfid_door(written: Mapping[str, Any], points: tuple[str, ...]) -> EspRfidDoor:
    hostname, ip = written.get("hostname"), written.get("ip")
    if not isinstance(hostname, str) or not _HOSTNAME.fullmatch(hostname):
        raise BridgeSettingsError(
            "the hostname of a door is that of its device, as its settings page shows it."
        )
    try:
        address = str(ipaddress.IPv4Address(ip)) if isinstance(ip, str) else None
    except ValueError:
        address = None
    if address is None:
        raise BridgeSettingsError(f"the ip of {hostname} is an address as in 192.168.1.20.")
    return EspRfidDoor(
        access_point=_access_point(written.get("access_point"), points),
        hostname=hostname,
        ip=address,
        relay=_whole(written, "relay", 0, _RELAYS - 1) if "relay" in written else None,
    )


def _uhppoted(
    written: Mapping[str, Any], points: tuple[str, ...], read_key: Callable[[], bytes]
) -> UhppotedSettings:
    doors = tuple(
        UhppotedDoor(
            access_point=_access_point(door.get("access_point"), points),
            device=_whole(door, "device", 1, _UINT32),
            door=_whole(door, "door", 1, _DOORS),
            reader=_whole(door, "reader", 1, 2, default=1),
        )
        for door in _doors(written)
    )
    _one_of_each("access_point", [door.access_point for door in doors])
    _one_of_each("reader", [(door.device, door.door, door.reader) for door in doors])
    sealed = written.get("hmac", False)
    if type(sealed) is not bool:
        raise BridgeSettingsError("hmac of the bridge is true or false.")
    return UhppotedSettings(
        topic=_topic(written.get("topic", "uhppoted/gateway"), "uhppoted/gateway"),
        time_zone=_time_zone(written.get("time_zone")),
        card_number=_whole(written, "card_number", 1, _UINT32),
        rollover=_whole(written, "rollover", 1000, LONGEST_ROLLOVER, default=LONGEST_ROLLOVER),
        doors=doors,
        key=_key(read_key()) if sealed else None,
    )


def _onvif(written: Mapping[str, Any], points: tuple[str, ...]) -> OnvifSettings:
    doors = tuple(
        OnvifDoor(
            access_point=_access_point(door.get("access_point"), points),
            token=_token(door.get("token"), "token"),
            door_token=_token(door["door_token"], "door_token") if "door_token" in door else None,
            open=_open(door["open"]) if "open" in door else None,
        )
        for door in _doors(written)
    )
    _one_of_each("access_point", [door.access_point for door in doors])
    _one_of_each("token", [door.token for door in doors])
    return OnvifSettings(topic=_topic(written.get("topic"), "onvif/front"), doors=doors)


# -- pieces ---------------------------------------------------------------------------------------------------------------


def _doors(written: Mapping[str, Any]) -> list[dict[str, Any]]:
    doors = written.get("doors")
    if not isinstance(doors, list) or not doors or not all(isinstance(door, dict) for door in doors):
        raise BridgeSettingsError("the bridge needs a list of doors, each an object.")
    for door in doors:
        _know(door, KEYS[written["kind"]][1], "a door of this bridge")
    return doors


def _access_point(written: object, points: tuple[str, ...]) -> AccessPointId:
    if not isinstance(written, str) or written not in points:
        raise BridgeSettingsError("the bridge's access_point is none of the gate's.")
    return AccessPointId(written)


def _topic(written: object, example: str) -> str:
    if not isinstance(written, str) or not _TOPIC.fullmatch(written) or written.endswith("/"):
        raise BridgeSettingsError(f"the bridge needs the topic of its device, as in {example}.")
    return written


def _token(written: object, name: str) -> str:
    if not isinstance(written, str) or not _TOKEN.fullmatch(written):
        raise BridgeSettingsError(
            f"the {name} of a door is a token of the controller, of up to 64 characters."
        )
    return written


def _open(written: object) -> tuple[str, bytes]:
    match written:
        case {"topic": str(topic), "payload": str(payload), **rest} if not rest and _TOPIC.fullmatch(topic):
            if payload.isascii() and 0 < len(payload) <= _LONGEST_PAYLOAD:
                return topic, payload.encode()
    raise BridgeSettingsError(
        'open of a door is {"topic", "payload"}: what is published to open it, up to 256 characters of ASCII.'
    )


def _time_zone(written: object) -> ZoneInfo:
    try:
        return ZoneInfo(written) if isinstance(written, str) else _no_zone()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _no_zone()


def _no_zone() -> ZoneInfo:
    raise BridgeSettingsError("time_zone is that of the controllers' clocks, as in Europe/Amsterdam.")


def _key(written: bytes) -> bytes:
    key = written.strip(b"\r\n")
    if len(key) < _SHORTEST_KEY:
        raise BridgeSettingsError(f"{HMAC_KEY} is one line of {_SHORTEST_KEY} characters or more.")
    return key


def _whole(
    written: Mapping[str, Any], name: str, least: int, most: int, *, default: int | None = None
) -> int:
    number = written.get(name, default)
    if type(number) is not int or not least <= number <= most:
        raise BridgeSettingsError(f"{name} is a whole number from {least} to {most}.")
    return number


def _one_of_each(name: str, values: Sequence[Hashable]) -> None:
    if len(set(values)) != len(values):
        raise BridgeSettingsError(f"two doors of the bridge have the same {name}.")


def _know(written: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = sorted(written.keys() - set(known))
    if unknown:
        raise BridgeSettingsError(f"{', '.join(unknown)} is no setting of {what}.")
