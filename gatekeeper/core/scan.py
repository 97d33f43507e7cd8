"""From bytes on a topic to an authentic message of one gate, or the code of its refusal.

The order of the checks is the order of their cost, and nothing that a stranger sends is parsed before it is bounded:
size, topic, signature by the gate whose topic it is (the topic is the external AAD), and only then the content.
Freshness and repetition are not asked here; they need the state of the site.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gatekeeper import cose
from gatekeeper.core.trust import KeyState, Trust, Use
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import (
    HELLO_TYPE,
    MAX_MESSAGE_BYTES,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    Hello,
    MessageMalformed,
    Passage,
    Scan,
    Status,
)
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import Channel, read_gate_topic

__all__ = ["Authentic", "Rejected", "UpwardMessage", "authenticate"]

UpwardMessage: TypeAlias = Scan | Passage | Status | Hello


@dataclass(frozen=True, slots=True)
class Authentic:
    """A message that the named gate signed for this topic; `digest` is the SHA-256 of its bytes."""

    gate: GateId
    message: UpwardMessage
    digest: bytes
    wire: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are no message of a gate of this site."""

    code: MessageRefusal | cose.Refusal
    detail: str
    gate: GateId | None


_TYPES: Mapping[Channel, str] = {
    Channel.SCAN: SCAN_TYPE,
    Channel.PASSAGE: PASSAGE_TYPE,
    Channel.STATUS: STATUS_TYPE,
    Channel.HELLO: HELLO_TYPE,
}
_READERS: Mapping[Channel, type[UpwardMessage]] = {
    Channel.SCAN: Scan,
    Channel.PASSAGE: Passage,
    Channel.STATUS: Status,
    Channel.HELLO: Hello,
}


def authenticate(topic: str, wire: bytes, *, trust: Trust, prefix: str) -> Authentic | Rejected:
    """Believe bytes to be a message of the gate whose topic they came on, or say why not (DESIGN, section 4)."""
    at = read_gate_topic(topic, prefix=prefix)
    if at is None or at.site != trust.site or at.channel not in _TYPES:
        return Rejected(MessageRefusal.TOPIC, "", None)
    if len(wire) > MAX_MESSAGE_BYTES:
        return Rejected(MessageRefusal.OVERSIZED, f"{len(wire)} bytes", at.gate)
    listed = trust.listing.gates.get(at.gate)
    if listed is None:
        return Rejected(MessageRefusal.UNKNOWN_GATE, "", at.gate)
    # INVARIANT: what is said in the name of a revoked gate counts no more, in whatever session it is said.
    if listed.state is KeyState.REVOKED:
        return Rejected(MessageRefusal.GATE_REVOKED, "", at.gate)
    verified = cose.verify(
        wire, keys=trust.gates, typ=_TYPES[at.channel], use=Use.GATE, external_aad=topic.encode()
    )
    if isinstance(verified, cose.Refused):
        return Rejected(verified.code, verified.detail, at.gate)
    # INVARIANT: the gate of the topic is the gate of the key.
    if verified.key.owner != at.gate:
        return Rejected(MessageRefusal.FOREIGN_GATE, "", at.gate)
    message = _READERS[at.channel].read(verified.payload)
    if isinstance(message, MessageMalformed):
        return Rejected(MessageRefusal.MALFORMED, message.detail, at.gate)
    return Authentic(at.gate, message, hashlib.sha256(wire).digest(), wire)
