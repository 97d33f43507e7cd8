"""The gate's folder, read once at the start; a gate whose folder is not in order does not start.

    gate.json         {"site", "gate", "prefix",
                       "access_points": [{"id", "direction": "in" | "out", "contact"?: bool, "interlocked"?: bool, "hardware"?: {...},
                                          "exit"?: "wired" | "released", "on_fire"?: "nothing" | "release"}],
                       "interlocks"?: [[access point, access point ...]],
                       "held_seconds"?: 1..3600 (30), "warned_seconds"?: 1..held_seconds (two thirds of it), "bridge"?: see `bridges/settings`,
                       "journal_entries"?: 1000..1000000 (100000), "journal_mebibytes"?: 1..1024 (64)}
    key.pem           the gate's own key, made here                             its owner's eyes only
    broker-password   one line; not asked for where tls.pem is                  its owner's eyes only
    tls.pem           key and certificate for the broker (see `certificate`)    its owner's eyes only
    anchor.json       where trust begins, put here by hand
    trust.cose        the site's trust list; believed only from the anchor's roots, and only if it lists this gate's key
    uhppoted-hmac-key one line, where a bridge asks for it                      its owner's eyes only
    snapshot.cose     what the gate may decide alone, and what takes rights away: signed by the service, kept by the gate
    standing.cose       itself (see `policy_files`), and so is confirming.cose where a snapshot is still on its way; trust.cose too is replaced by a
                      newer list that the site's roots signed. What it may decide alone is read when the gate starts, not here
    another name      the key of an OSDP reader (see hardware/settings.py)     its owner's eyes only
    checkpoints.json  what the gate remembers of the site's log, written by itself (see `checkpoint_file`)
    journal*          what happened at the gate and is not told yet, written by itself (see `journal_file`)

`contact` says whether the door has one; it is true, but at a bridge, where it is false and may be true if the device reports one. `interlocked` says whether
the door is one of an interlock in the site's policy, so that others wait until it is shut; it is false, and a door
without a contact cannot be one. `interlocks` are those whose doors are all at this gate: it then looks itself that the
others are shut before it releases one. `hardware` says what is fitted to it, or that it is simulated (`hardware/settings.py`).

`exit` says what the exit button of a door does. "wired" (so it is, unless written otherwise): it breaks the circuit of the
strike itself, and the gate only hears of it. "released": the gate releases the strike; only where no law asks that people
get out without a computer. `on_fire` says what the fire panel's input does: "nothing", or "release". The panel belongs in
the circuit of the strikes, too: the input is an aid beside that.

What is wrong is said in a sentence that names the file and what to do. A secret that others may read is refused: whoever
read it can be this gate.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from devices.bridges.settings import (
    HMAC_KEY,
    BridgeSettings,
    BridgeSettingsError,
    bridged,
    read_bridge,
    reports_contact,
)
from devices.checkpoint_file import CHECKPOINTS, read_checkpoints
from devices.core.checkpoints import CheckpointMemory
from devices.core.controller import Doorway, Exit
from devices.core.journal import JournalBounds
from devices.hardware.settings import (
    Hardware,
    HardwareSettingsError,
    SimulatedHardware,
    read_hardware,
    refuse_twice,
)
from gatekeeper import cose
from gatekeeper.core.trust import Anchor, Trust, TrustRefused, read_trust
from gatekeeper.model.ids import AccessPointId, GateId, SiteId, is_name
from gatekeeper.model.places import Direction

__all__ = ["ANCHOR", "GATE", "KEY", "GateSettings", "SettingsError", "read_gate_folder"]

GATE, KEY, PASSWORD, ANCHOR, TRUST = "gate.json", "key.pem", "broker-password", "anchor.json", "trust.cose"
TLS = "tls.pem"
_HELD: Final = 30
_LONGEST_HELD: Final = 3600
_OTHERS: Final = 0o077
_KEYS: Final = frozenset(
    {
        "site",
        "gate",
        "prefix",
        "access_points",
        "held_seconds",
        "warned_seconds",
        "bridge",
        "interlocks",
        "journal_entries",
        "journal_mebibytes",
    }
)
_POINT_KEYS: Final = frozenset({"id", "direction", "contact", "interlocked", "hardware", "exit", "on_fire"})


class SettingsError(Exception):
    """The gate cannot start; the message says what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """All that a gate needs to run. Without a `checkpoint_file` it remembers the log until it stops.

    Without a `journal_folder` what happened at it waits in memory, until it is told or the gate stops.
    """

    site: SiteId
    gate: GateId
    prefix: str
    doorways: tuple[Doorway, ...]
    bridge: BridgeSettings | None
    hardware: Mapping[AccessPointId, Hardware] = field(default_factory=dict)
    key: cose.SigningKey = field(repr=False)
    password: str | None = field(repr=False)
    trust: Trust = field(repr=False)
    anchor: Anchor | None = field(default=None, repr=False)
    policy_folder: Path | None = None
    checkpoints: CheckpointMemory = field(default=CheckpointMemory(), repr=False)
    checkpoint_file: Path | None = None
    certificate: Path | None = None
    """The file with which it connects to the broker; without one it has a password."""
    journal_folder: Path | None = None
    journal_bounds: JournalBounds = field(default=JournalBounds())

    @property
    def is_simulated(self) -> bool:
        """Whether it holds no door that there is: its hardware is simulated."""
        return any(isinstance(point, SimulatedHardware) for point in self.hardware.values())


def read_gate_folder(folder: Path) -> GateSettings:
    """Read a gate's folder. Raises `SettingsError`."""
    written = _read_gate_file(folder / GATE)
    key = _read_key(folder / KEY)
    anchor, trust = _read_trust(folder)
    site, gate = SiteId(_name(written, "site")), GateId(_name(written, "gate"))
    if site != trust.site:
        raise SettingsError(f"{folder / GATE} is of the site {site}, its trust anchor of {trust.site}.")
    listed = trust.gates.get(key.kid)
    if listed is None or listed.owner != gate:
        raise SettingsError(
            f"The trust list does not hold the key of {gate}: have the site admit this gate's enrolment request, "
            f"and put its new trust list into {folder}."
        )
    bridge = _bridge(written, folder)
    doorways = _doorways(written, bridge)
    certificate = _certificate(folder / TLS, site, gate)
    return GateSettings(
        site=site,
        gate=gate,
        prefix=_name(written, "prefix"),
        doorways=doorways,
        bridge=bridge,
        hardware=_hardware(written, doorways, bridge, folder),
        key=key,
        password=None if certificate is not None else _read_password(folder / PASSWORD),
        trust=trust,
        anchor=anchor,
        policy_folder=folder,
        checkpoints=_read_checkpoints(folder / CHECKPOINTS),
        checkpoint_file=folder / CHECKPOINTS,
        certificate=certificate,
        journal_folder=folder,
        journal_bounds=JournalBounds(
            entries=_within(written, "journal_entries", (1000, 1_000_000), JournalBounds().entries),
            octets=_within(written, "journal_mebibytes", (1, 1024), JournalBounds().octets >> 20) << 20,
        ),
    )


def _certificate(file: Path, site: SiteId, gate: GateId) -> Path | None:
    if not file.exists():
        return None
    _read_secret(file)
    from devices.certificate import CertificateError, owner_of  # noqa: PLC0415 - a gate with a password has no use for X.509, 1 MB

    try:
        owner = owner_of(file, site=site)
    except CertificateError as error:
        raise SettingsError(f"{error} Enrol this gate again.") from error
    if owner != gate:
        raise SettingsError(f"{file} is no certificate of {gate} at {site}. Enrol this gate again.")
    return file


def _read_password(file: Path) -> str:
    return _read_secret(file).decode(errors="replace").strip("\r\n")


def _read_gate_file(path: Path) -> Mapping[str, Any]:
    try:
        written = json.loads(_read(path))
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}.") from error
    if not isinstance(written, dict):
        raise SettingsError(f"{path} is not a JSON object.")
    _know(written, _KEYS, "the gate")
    return written


def _read_key(path: Path) -> cose.SigningKey:
    try:
        return cose.SigningKey.from_pem(_read_secret(path))
    except cose.KeyRefusedError as error:
        raise SettingsError(f"{path} is no private key of a known form.") from error


def _read_trust(folder: Path) -> tuple[Anchor, Trust]:
    try:
        anchor = Anchor.from_json(_read(folder / ANCHOR).decode())
    except ValueError as error:
        raise SettingsError(f"{folder / ANCHOR} is no trust anchor: fetch it again, by hand.") from error
    trust = read_trust(_read(folder / TRUST), anchor=anchor, not_below=0)
    if isinstance(trust, TrustRefused):
        raise SettingsError(f"{folder / TRUST} is not believed. {trust.code.sentence}")
    if not trust.decisions:
        raise SettingsError(f"{folder / TRUST} names no key that may decide: nothing would ever open.")
    return anchor, trust


def _read_checkpoints(path: Path) -> CheckpointMemory:
    try:
        return read_checkpoints(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(
            f"{path} is not what this gate wrote: {error}. It is evidence: keep it, move it out of the folder, and "
            "tell whoever guards the log."
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error


def _read_secret(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            # INVARIANT: a secret that others could have copied is not used.
            if mode & _OTHERS or not stat.S_ISREG(mode):
                raise SettingsError(
                    f"{path} can be read by others than its owner: replace it, or if you are sure that nobody "
                    "read it, run chmod 600 on it."
                )
            return file.read()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error


def _doorways(written: Mapping[str, Any], bridge: BridgeSettings | None) -> tuple[Doorway, ...]:
    held = written.get("held_seconds", _HELD)
    if type(held) is not int or not 0 < held <= _LONGEST_HELD:
        raise SettingsError(f"gate.json: held_seconds is a whole number from 1 to {_LONGEST_HELD}.")
    warned = written.get("warned_seconds", max(1, held * 2 // 3))
    if type(warned) is not int or not 0 < warned <= held:
        raise SettingsError("gate.json: warned_seconds is a whole number from 1 to held_seconds.")
    waits = (timedelta(seconds=warned), timedelta(seconds=held))
    doorways = tuple(_doorway(point, bridge, *waits) for point in _points(written))
    if len({doorway.id for doorway in doorways}) != len(doorways):
        raise SettingsError("gate.json names an access point twice.")
    return _with_partners(doorways, written.get("interlocks", []))


def _with_partners(doorways: tuple[Doorway, ...], interlocks: object) -> tuple[Doorway, ...]:
    """The doorways, each with those that must be shut before it is released."""
    felt = [doorway.id for doorway in doorways if doorway.has_contact]
    groups: list[Any] = interlocks if isinstance(interlocks, list) else [None]
    if not all(
        isinstance(group, list) and len(group) > 1 and all(door in felt for door in group) for group in groups
    ):
        raise SettingsError(
            "gate.json: interlocks is a list of lists of two or more of the gate's access points that have a contact."
        )
    return tuple(replace(doorway, partners=_partners(doorway.id, groups)) for doorway in doorways)


def _partners(access_point: AccessPointId, groups: list[list[AccessPointId]]) -> frozenset[AccessPointId]:
    return frozenset(door for group in groups if access_point in group for door in group) - {access_point}


def _points(written: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    points = written.get("access_points")
    if not isinstance(points, list) or not points or not all(isinstance(point, dict) for point in points):
        raise SettingsError("gate.json needs a list of access_points, each an object.")
    return points


def _doorway(
    point: Mapping[str, Any], bridge: BridgeSettings | None, warned: timedelta, held: timedelta
) -> Doorway:
    _know(point, _POINT_KEYS, "an access point")
    access_point = AccessPointId(_name(point, "id"))
    if point.get("direction") not in set(Direction):
        raise SettingsError(f"gate.json: the direction of {access_point} is in or out.")
    by_device = bridge if bridge is not None and access_point in bridged(bridge) else None
    has_contact = point.get("contact", by_device is None)
    if type(has_contact) is not bool:
        raise SettingsError(f"gate.json: the contact of {access_point} is true or false.")
    if has_contact and by_device is not None and not reports_contact(by_device, access_point):
        raise SettingsError(
            f"gate.json: {access_point} is bridged, and its device tells of no contact of that door alone, so its contact is false."
        )
    interlocked = point.get("interlocked", False)
    if type(interlocked) is not bool:
        raise SettingsError(f"gate.json: whether {access_point} is interlocked is true or false.")
    if interlocked and not has_contact:
        raise SettingsError(
            f"gate.json: {access_point} is interlocked, so it needs a contact that feels when it is shut."
        )
    if point.get("exit", Exit.WIRED) not in set(Exit):
        raise SettingsError(f"gate.json: the exit of {access_point} is wired or released.")
    if point.get("on_fire", "nothing") not in {"nothing", "release"}:
        raise SettingsError(f"gate.json: on_fire of {access_point} is nothing or release.")
    return Doorway(
        id=access_point,
        direction=Direction(point["direction"]),
        has_contact=has_contact,
        interlocked=interlocked,
        warned=warned,
        held=held,
        exit=Exit(point.get("exit", Exit.WIRED)),
        released_by_fire=point.get("on_fire") == "release",
    )


def _hardware(
    written: Mapping[str, Any], doorways: tuple[Doorway, ...], bridge: BridgeSettings | None, folder: Path
) -> Mapping[AccessPointId, Hardware]:
    fitted: dict[AccessPointId, Hardware] = {}
    for point, doorway in zip(_points(written), doorways, strict=True):
        if "hardware" not in point:
            continue
        if bridge is not None and doorway.id in bridged(bridge):
            raise SettingsError(f"gate.json: {doorway.id} is bridged, so it has no hardware of its own.")
        try:
            fitted[doorway.id] = read_hardware(
                point["hardware"],
                has_contact=doorway.has_contact,
                read_secret=lambda name: _read_secret(folder / name),
            )
        except HardwareSettingsError as error:
            raise SettingsError(f"gate.json: the hardware of {doorway.id}: {error}") from error
    if bridge is not None and any(isinstance(point, SimulatedHardware) for point in fitted.values()):
        raise SettingsError(
            "gate.json: a gate with a bridge holds real doors, so none of its hardware is simulated."
        )
    try:
        refuse_twice(fitted)
    except HardwareSettingsError as error:
        raise SettingsError(f"gate.json: {error}") from error
    return fitted


def _bridge(written: Mapping[str, Any], folder: Path) -> BridgeSettings | None:
    if "bridge" not in written:
        return None
    points = tuple(_name(point, "id") for point in _points(written))
    try:
        return read_bridge(written["bridge"], points=points, read_key=lambda: _read_secret(folder / HMAC_KEY))
    except BridgeSettingsError as error:
        raise SettingsError(f"gate.json: {error}") from error


def _within(written: Mapping[str, Any], key: str, bounds: tuple[int, int], otherwise: int) -> int:
    number, (least, most) = written.get(key, otherwise), bounds
    if type(number) is not int or not least <= number <= most:
        raise SettingsError(f"gate.json: {key} is a whole number from {least} to {most}.")
    return number


def _name(written: Mapping[str, Any], key: str) -> str:
    name = written.get(key)
    if not isinstance(name, str) or not is_name(name):
        raise SettingsError(f"gate.json: {key} is 1 to 32 of a-z, 0-9 and '-'.")
    return name


def _know(written: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    unknown = sorted(written.keys() - known)
    if unknown:
        raise SettingsError(f"gate.json: {', '.join(unknown)} is no setting of {what}.")
