"""Doors opened from afar, and gates started anew: what an operator's word amounts to, and the errand it becomes.

One door, now, once. It is refused where a grant would be for any reason that is not a person's: a lockdown, an interlock. A
door to or from a zone of a high level takes two people. The gate must have been heard of: a command is signed for one boot of it.
"""

from datetime import datetime
from typing import Final

from gatekeeper.core.audit import Kind
from gatekeeper.core.change import OpeningChange, RebootChange
from gatekeeper.core.commands import Errand
from gatekeeper.core.flow import Flow
from gatekeeper.core.operators import Deed
from gatekeeper.core.weighed import Declined, Done, Making, Weighed, concerned
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import COMMAND_VALIDITY, CommandKind

__all__ = ["TWO_PEOPLE_FROM", "enact_errand", "weigh_errand"]

TWO_PEOPLE_FROM: Final = 3
"""The security level from which a door is opened from afar by two people only."""


def weigh_errand(change: OpeningChange | RebootChange, flow: Flow, *, now: datetime) -> Weighed | Declined:
    """Say what gate is to do what, or why it cannot be told to."""
    if isinstance(change, OpeningChange):
        return _weigh_opening(change, flow, now)
    if change.gate not in flow.policy.gates:
        return Declined("gate-unknown", f"the site has no gate {change.gate}")
    boot = flow.sequences.boot_of(change.gate)
    if boot is None:
        return _away(change.gate)
    errand = Errand(gate=change.gate, boot=boot, kind=CommandKind.REBOOT)
    return Weighed(content=change, deed=Deed.REBOOT_GATE, subject=change.gate, errand=errand)


def _weigh_opening(change: OpeningChange, flow: Flow, now: datetime) -> Weighed | Declined:
    point = flow.policy.points.get(change.access_point)
    if point is None:
        return Declined("access-point-unknown", f"the site has no access point {change.access_point}")
    locked = sorted(point.scopes & flow.lockdowns)
    if locked:
        return Declined("locked-down", f"{', '.join(locked)}: release it first")
    not_shut = sorted(flow.memory.open_partners(point, now))
    if not_shut:
        return Declined("interlock-open", f"{', '.join(not_shut)} is not shut")
    boot = flow.sequences.boot_of(point.gate)
    if boot is None:
        return _away(point.gate)
    # A door that stands open lets through both ways, whichever way it leads.
    level = max(flow.policy.zones[zone].level for zone in (point.source, point.target))
    is_high = level >= TWO_PEOPLE_FROM
    return Weighed(
        content=change,
        deed=Deed.OPEN_HIGH_DOOR if is_high else Deed.OPEN_DOOR,
        gives=(f"{point.id} opens once, of level {level}: {change.reason}",) if is_high else (),
        subject=point.id,
        errand=Errand(
            gate=point.gate,
            boot=boot,
            kind=CommandKind.OPEN,
            access_point=point.id,
            unlock=point.unlock,
        ),
    )


def _away(gate: GateId) -> Declined:
    return Declined("gate-away", f"{gate} has never been heard of: a command is for a gate that runs")


def enact_errand(change: OpeningChange | RebootChange, weighed: Weighed, making: Making) -> Done:
    """Say in the log what a gate is commanded; the command goes out after that."""
    errand = weighed.errand
    if errand is None:
        raise ValueError("an errand is made out when it is weighed")
    public = {"gate": errand.gate, "boot": errand.boot.hex(), "reason": change.reason}
    if isinstance(change, RebootChange):
        return Done(
            kind=Kind.GATE_COMMANDED,
            public=public,
            errand=errand,
            says=f"{change.gate} is commanded to start anew",
        )
    point = making.flow.policy.points[change.access_point]
    # INVARIANT: what is opened from afar is open for the doors of its interlocks, as after a grant, from before it is committed.
    making.flow.memory.door_released(point, now=making.now, delay=COMMAND_VALIDITY)
    return Done(
        kind=Kind.DOOR_COMMANDED,
        public={**public, "access_point": point.id, "from": point.source, "to": point.target},
        tenants=concerned(making.flow, point.owner),
        errand=errand,
        says=f"{point.id} is commanded to open",
    )
