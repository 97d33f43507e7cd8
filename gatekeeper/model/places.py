"""Places: zones in a containment tree, gates, and the access points between zones."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gatekeeper.model.ids import AccessPointId, GateId, TenantId, ZoneId
from gatekeeper.model.people import Names
from gatekeeper.model.rules import ZoneRules

__all__ = ["AccessPoint", "Direction", "Gate", "Zone"]


class Direction(StrEnum):
    """Towards the more protected zone, or away from it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """An area with one level of protection, and what it demands beside that. `parent` is None for the ground itself and for the world outside."""

    id: ZoneId
    names: Names
    parent: ZoneId | None
    owner: TenantId
    level: int
    assurance: int
    rules: ZoneRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A controller on the broker: one identity, one signing key."""

    id: GateId
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPoint:
    """One direction through one door, from a zone to a zone (ONVIF)."""

    id: AccessPointId
    names: Names
    gate: GateId
    source: ZoneId
    target: ZoneId
    direction: Direction
    unlock: timedelta

    @property
    def protected(self) -> ZoneId:
        """The inner zone: the one entered on the way in, the one left on the way out."""
        return self.target if self.direction is Direction.IN else self.source
