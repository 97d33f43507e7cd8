"""What a gate's `gate.json` says of it, as the site's policy has it: which doors, which way, and which of them wait for each other.

What is fitted to them is written in by whoever stands there (devices/hardware/README.md). No key is made here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.site_file import Bridge
from gatekeeper.service.administration.folder import SiteFolder, SiteFolderError, in_gate

__all__ = ["GATE_FILE", "current_gate_file", "gate_file"]

GATE_FILE = "gate.json"


def gate_file(written: SitePolicy, gate: GateId, *, prefix: str, bridge: Bridge | None = None) -> bytes:
    """Write the file of a gate; with `bridge` it is one of stock readers, whose doors tell of no contact."""
    points = [point for point in written.access_points if point.gate == gate]
    interlocked = frozenset().union(*(one.access_points for one in written.rules.interlocks))
    content: dict[str, Any] = {
        "site": written.site,
        "gate": gate,
        "prefix": prefix,
        "access_points": [
            {
                "id": point.id,
                "direction": point.direction.value,
                "contact": bridge is None,
                "interlocked": point.id in interlocked,
            }
            for point in points
        ],
    }
    here = {point.id for point in points}
    groups = [sorted(here & set(one.access_points)) for one in written.rules.interlocks]
    interlocks = [group for group in groups if len(group) > 1]
    if interlocks:
        content["interlocks"] = interlocks
    if bridge is not None:
        content["bridge"] = {"kind": bridge.kind, "topic": bridge.topic, "access_point": bridge.access_point}
    return _document(content)


def current_gate_file(folder: SiteFolder, written: SitePolicy, gate: GateId, *, prefix: str) -> bytes:
    """The file of a gate that is kept at the site, as it is when it says what the policy in force says; else with that written in.

    What only the file knows stays: a bridge, what is fitted to a door, how long it may be open. Raises `SiteFolderError` for a
    file that is not understood.
    """
    new = gate_file(written, gate, prefix=prefix)
    place = in_gate(gate, GATE_FILE)
    if not folder.holds(place):
        return new
    kept = folder.read(place)
    content, policy = _read(kept, gate, written.site, folder.root / place), json.loads(new)
    current = _with_policy(content, policy)
    # As text, for 1 is no true.
    return kept if json.dumps(current) == json.dumps(content) else _document(current)


def _document(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"


def _read(kept: bytes, gate: GateId, site: SiteId, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(kept)
    except (ValueError, RecursionError):
        raise _spoiled(file, gate, "it is no JSON") from None
    match content:
        case {"site": of_site, "gate": of_gate, "access_points": [*points]}:
            ids = [point.get("id") if isinstance(point, dict) else None for point in points]
            if (of_site, of_gate) != (site, gate):
                raise _spoiled(file, gate, "it says that it is another's")
            if not all(isinstance(one, str) for one in ids) or len({*ids}) != len(ids):
                raise _spoiled(file, gate, "each of its access_points is an object with an id of its own")
            return dict(content)
        case _:
            raise _spoiled(file, gate, "it needs site, gate and a list of access_points")


def _spoiled(file: Path, gate: GateId, why: str) -> SiteFolderError:
    return SiteFolderError(
        f"{file} is not the file of {gate}: {why}. Put it right, or move it away: then one is written of what the policy says, "
        "without a bridge and without what is fitted to the doors."
    )


def _with_policy(content: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says, and where the policy says another thing, that in its place."""
    doors = {point["id"]: point for point in policy["access_points"]}
    known = [
        _door(point, doors.pop(point["id"])) for point in content["access_points"] if point["id"] in doors
    ]
    # A door that is new beside a bridge has the contact that the gate takes it to have.
    left_out = {"contact"} if "bridge" in content else set()
    added = [{key: said for key, said in door.items() if key not in left_out} for door in doors.values()]
    current = {**content, "prefix": policy["prefix"], "access_points": [*known, *added]}
    interlocks = policy.get("interlocks", [])
    if _groups(content.get("interlocks", [])) != _groups(interlocks):
        current["interlocks"] = interlocks
    return current


def _door(point: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    door = {**point, "direction": said["direction"]}
    if door.get("interlocked", False) is not said["interlocked"]:
        door["interlocked"] = said["interlocked"]
    return door


def _groups(interlocks: object) -> list[list[str]] | None:
    """Interlocks without their order; None for what are none."""
    groups: list[Any] = interlocks if isinstance(interlocks, list) else [None]
    if not all(isinstance(group, list) for group in groups):
        return None
    return sorted(sorted(str(door) for door in group) for group in groups)
