"""What an operator has a gate do: the order as the site decided it, and the command that carries it to the gate.

An order is not true until its entry is committed, and its command is valid for ten seconds: one whose commit took longer is
not sent any more, for a door that opens when nobody expects it is a door left open.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, BootId, GateId, OperatorId, SiteId
from gatekeeper.model.messages import COMMAND_TYPE, COMMAND_VALIDITY, Command, CommandKind
from gatekeeper.model.topics import Channel, gate_topic

__all__ = ["Errand", "Order", "SignedCommand", "Unsent", "sign_command"]


class Unsent(StrEnum):
    """Why a command whose entry is committed was not sent, and is not sent any more."""

    BROKER_AWAY = "broker-away"
    LATE = "order-late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a gate is to do in its present boot. `access_point` is one door, or None for the whole gate."""

    gate: GateId
    boot: BootId
    kind: CommandKind
    access_point: AccessPointId | None = None
    unlock: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An errand, who said so and who agreed, and the entry that says it."""

    errand: Errand
    operator: OperatorId
    second: OperatorId | None
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCommand:
    """A command on its way: its bytes, the one topic they may travel on, and the SHA-256 by which a gate answers them."""

    order: Order
    topic: str
    wire: bytes
    digest: bytes
    until: datetime


def sign_command(
    order: Order, *, sequence: int, issued: datetime, site: SiteId, key: cose.SigningKey, prefix: str
) -> SignedCommand:
    """Sign an order for its gate; `sequence` must be higher than any before it in the gate's boot."""
    errand = order.errand
    command = Command(
        boot=errand.boot,
        sequence=sequence,
        gate=errand.gate,
        kind=errand.kind,
        access_point=errand.access_point,
        issued=issued,
        valid=COMMAND_VALIDITY,
        operator=order.operator,
        second=order.second,
        entry=order.entry,
        unlock=errand.unlock,
    )
    topic = gate_topic(site, errand.gate, Channel.COMMAND, prefix=prefix)
    wire = cose.sign(command.payload(), key=key, typ=COMMAND_TYPE, external_aad=topic.encode())
    return SignedCommand(
        order=order,
        topic=topic,
        wire=wire,
        digest=hashlib.sha256(wire).digest(),
        until=issued + COMMAND_VALIDITY,
    )
