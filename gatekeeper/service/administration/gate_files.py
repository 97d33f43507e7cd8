"""What a gate's `gate.json` says of it, as the site's policy has it: which doors, which way, and which of them wait for each other.

What is fitted to them is written in by whoever stands there (devices/hardware/README.md). No key is made here.
"""

import json
from collections.abc import Mapping
from typing import Any

from gatekeeper.model.ids import GateId
from gatekeeper.model.policy import SitePolicy
from gatekeeper.model.site_file import Bridge
from gatekeeper.service.administration.folder import SiteFolder, in_gate

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
    return json.dumps(content, indent=2).encode() + b"\n"


def current_gate_file(folder: SiteFolder, written: SitePolicy, gate: GateId, *, prefix: str) -> bytes:
    """The file of a gate that is kept at the site, when its doors are those of the policy in force; else a new one."""
    doors = {str(point.id) for point in written.access_points if point.gate == gate}
    place = in_gate(gate, GATE_FILE)
    if folder.holds(place):
        kept = folder.read(place)
        if _doors_in(json.loads(kept)) == doors:
            return kept
    return gate_file(written, gate, prefix=prefix)


def _doors_in(content: Mapping[str, Any]) -> set[str]:
    return {point["id"] for point in content["access_points"]}
