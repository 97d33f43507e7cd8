"""What the broker of a site runs with, as text: its configuration, and who may say and hear what there.

The texts are those of deploy/mosquitto, with the site's own names in them, and what only a site can say: which gates are revoked,
which integrators there are, and which devices a gate is the bridge of. Nothing is read from or written to a site's folder here.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Final

import gatekeeper
from gatekeeper.core.certificates import account_name, integrator_account
from gatekeeper.model.ids import GateId, SiteId, is_name

__all__ = [
    "DEVICES_PORT",
    "BridgeRights",
    "BridgeUnknownError",
    "broker_configuration",
    "broker_rights",
    "denied_in",
    "device_login",
    "device_rights",
    "gate_of_device",
    "read_bridge",
]

DEVICES_PORT: Final = 1883
_TOPIC: Final = re.compile(r"(?![ $])(?:(?![+#])[ -~]){1,200}(?<! )")
_TASMOTA: Final = re.compile(r"tele/(.+)/SENSOR")
_TASMOTA_COMMAND: Final = re.compile(r"cmnd/(.+)/[^/]+")
_DENIED: Final = re.compile(r"^user ([^\n]+)\ntopic deny #$", re.MULTILINE)
_LOGIN: Final = re.compile(r"device(?:-[a-z0-9-]{1,32})?\.([a-z0-9-]{1,32})")


# -- bridges and their devices --------------------------------------------------------------------------------------------


class BridgeUnknownError(Exception):
    """A gate.json names a bridge for which nobody knows what it needs at the broker; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRights:
    """The topics, or filters, that a bridge hears and says, and those that its devices say and hear."""

    hears: tuple[str, ...]
    says: tuple[str, ...]
    devices_say: tuple[str, ...]
    devices_hear: tuple[str, ...]


def read_bridge(gate: GateId, document: bytes, *, prefix: str) -> BridgeRights | None:
    """What the bridge that a gate.json describes needs; None when the gate is none. Raises `BridgeUnknownError`."""
    try:
        written = json.loads(document)
    except (ValueError, RecursionError):
        raise BridgeUnknownError(f"The gate.json of {gate} is no JSON.") from None
    match written:
        case {"bridge": {"kind": str(kind), **bridge}}:
            try:
                found = _rights_of(kind, bridge, gate, prefix)
            except _NoTopicError as error:
                raise BridgeUnknownError(
                    f"The gate.json of {gate} has a topic that no device can have: {str(error)!r}."
                ) from None
        case {"bridge": _}:
            found = None
        case _:
            return None
    if found is None:
        raise BridgeUnknownError(f"The gate.json of {gate} has no bridge that is known (schemas/bridges.md).")
    return found


class _NoTopicError(Exception):
    pass


def _rights_of(kind: str, bridge: Mapping[Any, Any], gate: GateId, prefix: str) -> BridgeRights | None:
    match kind, bridge:
        case "tasmota", {"topic": str(topic)} if found := _TASMOTA.fullmatch(topic):
            relay = f"cmnd/{_topic(found[1], prefix)}"
            return BridgeRights(
                hears=(topic,),
                says=(f"{relay}/Backlog", f"{relay}/Power1"),
                # It says more, which is dropped: whoever has its password is to fill no broker with topics.
                devices_say=(topic, _will_of_tasmota(found[1])),
                devices_hear=(f"{relay}/#",),
            )
        case "esp-rfid", {"topic": str(topic)}:
            readings, commands = (f"{_topic(topic, prefix)}/send",), (f"{topic}/cmd",)
            return BridgeRights(hears=readings, says=commands, devices_say=readings, devices_hear=commands)
        case "uhppoted", _ if isinstance(root := bridge.get("topic", "uhppoted/gateway"), str):
            said = tuple(
                f"{_topic(root, prefix)}/{one}" for one in ("events", "events/live", f"replies/{gate}")
            )
            return BridgeRights(
                hears=said,
                says=(f"{root}/requests/device/door/lock:open",),
                devices_say=said,
                devices_hear=(f"{root}/requests/#",),
            )
        case "onvif", {"topic": str(topic), "doors": [*doors]}:
            said = (f"{_topic(topic, prefix)}/#",)
            opens = tuple(
                dict.fromkeys(_topic(one, prefix) for one in map(_opening, doors) if one is not None)
            )
            relays = [found[1] for one in opens if (found := _TASMOTA_COMMAND.fullmatch(one))]
            beside = tuple(_will_of_tasmota(relay) for relay in relays)
            return BridgeRights(hears=said, says=opens, devices_say=(*said, *beside), devices_hear=opens)
        case _:
            return None


def _topic(text: str, prefix: str) -> str:
    # INVARIANT: a line of gate.json makes one line of rights, and none of them reaches what gates and the service say.
    if not _TOPIC.fullmatch(text) or text.split("/", maxsplit=1)[0] == prefix:
        raise _NoTopicError(text)
    return text


def _will_of_tasmota(device: str) -> str:
    # A broker turns away whoever leaves a will on a topic that is not theirs.
    return f"tele/{device}/LWT"


def _opening(door: object) -> str | None:
    match door:
        case {"open": {"topic": str(topic)}}:
            return topic
        case {"open": _}:
            return ""
        case _:
            return None


def device_login(gate: GateId, which: str = "") -> str:
    """The name under which a device of a bridge logs in; of several each has one. Raises ValueError."""
    if which and not is_name(which):
        raise ValueError(f"{which!r} is no name for a device: 1 to 32 of a-z, 0-9 and '-'")
    return f"device-{which}.{gate}" if which else f"device.{gate}"


def gate_of_device(login: str) -> GateId | None:
    """The bridge whose device has this login."""
    found = _LOGIN.fullmatch(login)
    return GateId(found[1]) if found else None


# -- rights ---------------------------------------------------------------------------------------------------------------


def broker_rights(
    site: SiteId,
    *,
    prefix: str,
    revoked: Collection[str],
    integrators: Iterable[str] = (),
    bridges: Mapping[GateId, BridgeRights | None] | None = None,
) -> str:
    """The broker's access list: that of deploy/mosquitto for this site, and under it nothing for whom is revoked.

    `revoked` are gates and accounts, `integrators` the names of those who have one of their own; a bridge without rights is one
    that nobody understood. The broker asks this list for every message of a session that is there already, which its list of
    revoked certificates is not.
    """
    rights = _deployed("acl").decode().replace("SITE", site).replace(" gk/", f" {prefix}/")
    reader = account_name(integrator_account(), site)
    block = rights[rights.index(f"user {reader}\n") :]
    named = "".join(
        f"\n{block.replace(f'user {reader}', f'user {name}')}" for name in sorted({*integrators} - {reader})
    )
    bridged = "".join(_of_bridge(gate, rights) for gate, rights in sorted((bridges or {}).items()))
    denied = "".join(f"\nuser {name}\ntopic deny #\n" for name in sorted(revoked))
    return "".join(
        (
            rights,
            named,
            f"\n# Bridges: each hears and commands its own devices.\n{bridged}" if bridged else "",
            f"\n# Revoked: also in a session that was there before.\n{denied}" if denied else "",
        )
    )


def denied_in(rights: str) -> frozenset[str]:
    """Who is revoked by an access list that `broker_rights` wrote."""
    return frozenset(_DENIED.findall(rights))


def _of_bridge(gate: GateId, rights: BridgeRights | None) -> str:
    if rights is None:
        return f"\n# {gate} has none: nobody understands the bridge in its gate.json (gatekeeper ca device {gate} says why).\n"
    return f"\nuser {gate}\n{_lines(hears=rights.hears, says=rights.says)}"


def device_rights(
    logins: Iterable[str],
    *,
    revoked_gates: Collection[GateId],
    bridges: Mapping[GateId, BridgeRights | None],
) -> str:
    """The access list of the devices' listener: each login its bridge's topics, and the devices of a revoked bridge none."""
    blocks = []
    for login in sorted(logins):
        gate = gate_of_device(login)
        rights = None if gate is None or gate in revoked_gates else bridges.get(gate)
        if rights is not None:
            blocks.append(f"\nuser {login}\n{_lines(hears=rights.devices_hear, says=rights.devices_say)}")
    return "".join(
        (
            "# Rights of readers and relays that log in with a password. What no line gives is refused.\n",
            *blocks,
        )
    )


def _lines(*, hears: Iterable[str], says: Iterable[str]) -> str:
    return "".join((*(f"topic read {one}\n" for one in hears), *(f"topic write {one}\n" for one in says)))


# -- configuration ----------------------------------------------------------------------------------------------------------


def broker_configuration(*, devices: tuple[IPv4Address | IPv6Address, int] | None = None) -> bytes:
    """The broker's configuration, as in deploy/mosquitto; with a listener for devices at an address, when one is given."""
    configuration = _deployed("mosquitto.conf")
    if devices is None:
        return configuration
    address, port = devices
    listener = f"listener {port} {address}\n".encode()
    return configuration + _deployed("devices.conf").replace(b"listener 1883 127.0.0.1\n", listener)


def _deployed(name: str) -> bytes:
    root = Path(gatekeeper.__file__).parent
    installed = root / "mosquitto" / name
    return (installed if installed.exists() else root.parent / "deploy" / "mosquitto" / name).read_bytes()
