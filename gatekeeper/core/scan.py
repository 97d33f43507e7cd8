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

__all__ = ["Authentic", "Rejected", "UpwardMessage", "authenticate", "read_upward"]

UpwardMessage: TypeAlias = Scan | Passage | Status | Hello


@dataclass(frozen=True, slots=True)
class Authentic:
    """A message that the named gate signed for this topic; `digest` is the SHA-256 of its bytes.

    `journal` says that it came from the gate's journal: its boot is the journal's id, and it tells of the past.
    """

    gate: GateId
    message: UpwardMessage
    digest: bytes
    wire: bytes
    journal: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are no message of a gate of this site."""

    code: MessageRefusal | cose.Refusal
    detail: str
    gate: GateId | None


_READERS: Mapping[Channel, Mapping[str, type[UpwardMessage]]] = {
    Channel.SCAN: {SCAN_TYPE: Scan},
    Channel.PASSAGE: {PASSAGE_TYPE: Passage},
    Channel.STATUS: {STATUS_TYPE: Status},
    Channel.HELLO: {HELLO_TYPE: Hello},
    Channel.JOURNAL: {PASSAGE_TYPE: Passage, STATUS_TYPE: Status, SCAN_TYPE: Scan},
}


def authenticate(topic: str, wire: bytes, *, trust: Trust, prefix: str) -> Authentic | Rejected:
    """Believe bytes to be a message of the gate whose topic they came on, or say why not (DESIGN, section 4)."""
    at = read_gate_topic(topic, prefix=prefix)
    if at is None or at.site != trust.site or at.channel not in _READERS:
        return Rejected(MessageRefusal.TOPIC, "", None)
    if len(wire) > MAX_MESSAGE_BYTES:
        return Rejected(MessageRefusal.OVERSIZED, f"{len(wire)} bytes", at.gate)
    listed = trust.listing.gates.get(at.gate)
    if listed is None:
        return Rejected(MessageRefusal.UNKNOWN_GATE, "", at.gate)
    # INVARIANT: what is said in the name of a revoked gate counts no more, in whatever session it is said.
    if listed.state is KeyState.REVOKED:
        return Rejected(MessageRefusal.GATE_REVOKED, "", at.gate)
    read = read_upward(at.channel, wire, keys=trust.gates, topic=topic)
    if isinstance(read, cose.Refused):
        return Rejected(read.code, read.detail, at.gate)
    owner, message = read
    # INVARIANT: the gate of the topic is the gate of the key.
    if owner != at.gate:
        return Rejected(MessageRefusal.FOREIGN_GATE, "", at.gate)
    if isinstance(message, MessageMalformed):
        return Rejected(MessageRefusal.MALFORMED, message.detail, at.gate)
    journal = at.channel is Channel.JOURNAL
    return Authentic(at.gate, message, hashlib.sha256(wire).digest(), wire, journal)


def read_upward(
    channel: Channel, wire: bytes, *, keys: cose.KeyRing, topic: str
) -> tuple[str, UpwardMessage | MessageMalformed] | cose.Refused:
    """Verify bytes as a message of a channel: whose key signed them for this topic, and what they say.

    A journal holds three kinds of messages, and of scans only those that the gate decided alone.
    """
    refused = cose.Refused(code=cose.Refusal.COSE_TYPE)
    for typ, kind in _READERS[channel].items():
        verified = cose.verify(wire, keys=keys, typ=typ, use=Use.GATE, external_aad=topic.encode())
        if isinstance(verified, cose.Verified):
            message = kind.read(verified.payload)
            if channel is Channel.JOURNAL and isinstance(message, Scan) and message.offline_verdict is None:
                message = MessageMalformed("a scan in a journal has no verdict of its gate")
            return verified.key.owner, message
        refused = verified
        if refused.code is not cose.Refusal.COSE_TYPE:
            break
    return refused
