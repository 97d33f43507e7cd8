"""Every rule of the CDDL with the code that reads it: what is wrong with a payload, as a stable code, or None.

A payload is signed as it must be, by the keys of the vectors, and goes the whole way: the code that refuses is the one that
a running service, gate or ceremony would use. `PAYLOADS` is also the list of what the CDDL must describe.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from devices.core.belief import Beacons, Ignored, read_answer
from devices.core.checkpoints import CheckpointMemory, Checkpoints
from devices.core.commands import Commands
from devices.core.knowledge import Knowledge
from gatekeeper import cose
from gatekeeper.core.change import (
    CHANGE_TYPE,
    ChangeRefused,
    HolderChange,
    OperatorChange,
    _payload,
    concerns,
    read_change,
)
from gatekeeper.core.enrolment import ENROLMENT_TYPE, EnrolmentRefused, read_enrolment
from gatekeeper.core.hearing import read_link
from gatekeeper.core.operators import OPERATOR_TYPE, Operators
from gatekeeper.core.register import HOLDER_TYPE, Register
from gatekeeper.core.scan import Rejected, authenticate
from gatekeeper.core.trust import AGREEMENT_TYPE, TRUST_TYPE, TrustRefused, read_trust, trust_payload
from gatekeeper.core.verify import verify_scan
from gatekeeper.cose.status_list import STATUS_LIST_TYPE
from gatekeeper.model.badges import BADGE_TYPE
from gatekeeper.model.ids import AccessPointId, BootId, HolderId, OperatorId
from gatekeeper.model.messages import (
    BEACON_TYPE,
    CHECKPOINT_TYPE,
    COMMAND_TYPE,
    DECISION_TYPE,
    HELLO_TYPE,
    LINK_TYPE,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    ByToken,
    ClockQuality,
    Scan,
)
from gatekeeper.model.snapshot import SNAPSHOT_TYPE, STANDING_TYPE
from gatekeeper.model.topics import PREFIX, Channel, beacon_topic, checkpoint_topic, gate_topic
from tests.contract.left_alone import sign_standing, sign_status_list, standing
from tests.contract.vector_site import (
    FRONT,
    HOST,
    NOON,
    SITE,
    anchor,
    cosign_agreement,
    cosign_trust,
    key_of,
    listing,
    operator_records,
    people,
    sign_claims,
    sign_holder,
    sign_operator,
    trust,
)

UPWARD: Mapping[str, tuple[Channel, str]] = {
    "scan": (Channel.SCAN, SCAN_TYPE),
    "passage": (Channel.PASSAGE, PASSAGE_TYPE),
    "status": (Channel.STATUS, STATUS_TYPE),
    "hello": (Channel.HELLO, HELLO_TYPE),
}


def topic_of(channel: Channel, gate: str = FRONT) -> str:
    return gate_topic(SITE, gate, channel, prefix=PREFIX)  # type: ignore[arg-type]


def signed(payload: bytes, *, key: str, typ: str, aad: str) -> bytes:
    return cose.sign(payload, key=key_of(key), typ=typ, external_aad=aad.encode())


def _upward(rule: str, payload: bytes) -> str | None:
    channel, typ = UPWARD[rule]
    topic = topic_of(channel)
    found = authenticate(
        topic, signed(payload, key="front", typ=typ, aad=topic), trust=trust(), prefix=PREFIX
    )
    return found.code.value if isinstance(found, Rejected) else None


def _link(payload: bytes) -> str | None:
    topic = topic_of(Channel.LINK)
    found = read_link(
        topic, signed(payload, key="front", typ=LINK_TYPE, aad=topic), trust=trust(), prefix=PREFIX
    )
    return found.code.value if isinstance(found, Rejected) else None


def _decision(payload: bytes) -> str | None:
    topic = topic_of(Channel.DECISION)
    wire = signed(payload, key="decision", typ=DECISION_TYPE, aad=topic)
    found = read_answer(wire, gate=FRONT, topic=topic, keys=trust().decisions)
    return found.value if isinstance(found, Ignored) else None


def _command(payload: bytes) -> str | None:
    """Whether a gate would read it; for which boot and until when it counts is asked of real commands only."""
    topic = topic_of(Channel.COMMAND)
    wire = signed(payload, key="decision", typ=COMMAND_TYPE, aad=topic)
    boot = BootId(bytes.fromhex("0123456789abcdef"))
    taken = Commands(gate=FRONT, boot=boot, topic=topic, keys=trust().decisions).take(wire, now=NOON)
    is_read = not isinstance(taken, Ignored) or taken is not Ignored.COMMAND_MALFORMED
    return None if is_read else taken.value


def _beacon(payload: bytes) -> str | None:
    topic = beacon_topic(SITE)
    wire = signed(payload, key="decision", typ=BEACON_TYPE, aad=topic)
    ignored = Beacons(site=SITE, topic=topic, keys=trust().decisions).take(wire, at=0.0)
    return None if ignored is None else ignored.value


def _checkpoint(payload: bytes) -> str | None:
    """Who signed the note within is asked of real notes only: to the CDDL it is any bytes."""
    topic = checkpoint_topic(SITE)
    wire = signed(payload, key="decision", typ=CHECKPOINT_TYPE, aad=topic)
    taken = Checkpoints(topic=topic, trust=trust(), memory=CheckpointMemory()).take(wire)
    is_read = not isinstance(taken, Ignored) or taken is Ignored.CHECKPOINT_UNSIGNED
    return None if is_read else taken.value


def _snapshot(payload: bytes) -> str | None:
    topic = topic_of(Channel.POLICY)
    wire = signed(payload, key="decision", typ=SNAPSHOT_TYPE, aad=topic)
    ignored = Knowledge(gate=FRONT, trust=trust()).take_snapshot(wire)
    return None if ignored is None else ignored.value


def _standing(payload: bytes) -> str | None:
    ignored = Knowledge(gate=FRONT, trust=trust()).take_standing(sign_standing(payload))
    return None if ignored is None else ignored.value


def _status_list(payload: bytes) -> str | None:
    """It travels in a standing."""
    lists = {HOST: sign_status_list(payload)}
    return _standing(replace(standing(), statuses=lists).payload())


def _badge(payload: bytes) -> str | None:
    """A scan by this token: whether it is a badge at all stands in the findings."""
    issuer = "army-issuer" if b"t:army" in payload else "school-issuer"
    token = cose.sign(payload, key=key_of(issuer), typ=BADGE_TYPE)
    scan = Scan(
        boot=BootId(bytes(8)),
        sequence=1,
        gate_at=None,
        clock=ClockQuality.NONE,
        access_point=AccessPointId("front-in"),
        credential=ByToken(token),
        beacon=bytes(16),
        proof=None,
        round_trip=None,
        offline_verdict=None,
        offline_policy=None,
    )
    found = verify_scan(
        scan, gate=FRONT, direction="in", register=Register(), trust=trust(), beacons=[bytes(16)]
    )
    return None if found.badge is not None else found.findings[0].code


def _holder(payload: bytes) -> str | None:
    """A registration arrives in a change that hands it in."""
    content = HolderChange(
        holder=HolderId("h-pupil"), document=sign_holder(payload, tenant="school"), badges=()
    )
    return _within(content, by="registrar")


def _operator(payload: bytes) -> str | None:
    """So does an operator."""
    content = OperatorChange(operator=OperatorId("patrol"), document=sign_operator(payload, tenant="army"))
    return _within(content, by="officer")


def _within(content: HolderChange | OperatorChange, *, by: str) -> str | None:
    payload = _payload(content, site=SITE, change_id=bytes(16), author=by, at=NOON)
    document = signed(payload, key=f"operator-{by}", typ=CHANGE_TYPE, aad=SITE)
    change = read_change(document, trust=trust(), operators=Operators(operator_records()), now=NOON)
    found = (
        change
        if isinstance(change, ChangeRefused)
        else concerns(change.content, trust=trust(), owners=Register())
    )
    return found.code.value if isinstance(found, ChangeRefused) else None


def _agreement(payload: bytes) -> str | None:
    school = replace(listing().tenants[people()["pupil"].holder.tenant], agreement=cosign_agreement(payload))
    tenants = {**listing().tenants, people()["pupil"].holder.tenant: school}
    return _trust(trust_payload(replace(listing(), tenants=tenants)))


def _trust(payload: bytes) -> str | None:
    found = read_trust(cosign_trust(payload), anchor=anchor(), not_below=0)
    return found.code.value if isinstance(found, TrustRefused) else None


def _change(payload: bytes) -> str | None:
    document = signed(payload, key="operator-officer", typ=CHANGE_TYPE, aad=SITE)
    found = read_change(document, trust=trust(), operators=Operators(operator_records()), now=NOON)
    return found.code.value if isinstance(found, ChangeRefused) else None


def _enrolment(payload: bytes) -> str | None:
    found = read_enrolment(signed(payload, key="front", typ=ENROLMENT_TYPE, aad=SITE))
    return found.code.value if isinstance(found, EnrolmentRefused) else None


PAYLOADS: Mapping[str, tuple[str, Callable[[bytes], str | None]]] = {
    "scan": (SCAN_TYPE, lambda payload: _upward("scan", payload)),
    "passage": (PASSAGE_TYPE, lambda payload: _upward("passage", payload)),
    "status": (STATUS_TYPE, lambda payload: _upward("status", payload)),
    "hello": (HELLO_TYPE, lambda payload: _upward("hello", payload)),
    "link": (LINK_TYPE, _link),
    "decision": (DECISION_TYPE, _decision),
    "command": (COMMAND_TYPE, _command),
    "beacon": (BEACON_TYPE, _beacon),
    "checkpoint": (CHECKPOINT_TYPE, _checkpoint),
    "snapshot": (SNAPSHOT_TYPE, _snapshot),
    "standing": (STANDING_TYPE, _standing),
    "status-list": (STATUS_LIST_TYPE, _status_list),
    "badge-claims": (BADGE_TYPE, _badge),
    "holder": (HOLDER_TYPE, _holder),
    "agreement": (AGREEMENT_TYPE, _agreement),
    "trust": (TRUST_TYPE, _trust),
    "operator": (OPERATOR_TYPE, _operator),
    "change": (CHANGE_TYPE, _change),
    "enrolment": (ENROLMENT_TYPE, _enrolment),
}
"""Rule of the CDDL: the typ under which its payload is signed, and how the code reads it."""


def refusal(rule: str, payload: bytes) -> str | None:
    """Why the code does not take a payload that was signed as it must be; None when it takes it."""
    return PAYLOADS[rule][1](payload)


def refusal_of_claims(claims: Any) -> str | None:
    """The same for claims that are no payload of their own yet."""
    return _badge(cose.encode(claims))


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


__all__ = [
    "PAYLOADS",
    "UPWARD",
    "digest",
    "refusal",
    "refusal_of_claims",
    "sign_claims",
    "signed",
    "topic_of",
]
