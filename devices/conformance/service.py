"""The service's words at the throw-away site: answers, beacons and checkpoints, as they must be, and each wrong in one way.

Every lie is the true grant but for one thing, so that a gate which believes it shows which check it lacks.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from devices.conformance.site import Question
from gatekeeper import cose
from gatekeeper.model.ids import BootId, GateId, OperatorId
from gatekeeper.model.messages import (
    ANSWER_VALIDITY,
    BEACON_BYTES,
    BEACON_TYPE,
    CHECKPOINT_TYPE,
    COMMAND_TYPE,
    COMMAND_VALIDITY,
    DECISION_TYPE,
    Answer,
    Beacon,
    Command,
    CommandKind,
    LogCheckpoint,
    Verdict,
)
from gatekeeper.model.reasons import Reason
from gatekeeper.model.topics import Channel, beacon_topic, checkpoint_topic, gate_topic
from gatekeeper.model.trees import SITE_TREE, checkpoint_origin
from gatekeeper.transparency import Checkpoint, Signer, sign_checkpoint

__all__ = ["LIES", "OTHER_GATE", "SHORT", "Service"]

SHORT: Final = timedelta(milliseconds=200)
"""How long a lie would release the strike: a door with a contact tells soon after that nobody came."""

OTHER_GATE: Final = GateId("another-gate")
_REASONS: Final = {
    Verdict.GRANTED: Reason.GRANTED.bacnet,
    Verdict.DENIED: Reason.NO_ACCESS_RIGHTS.bacnet,
    Verdict.RECORDED: 0,
    Verdict.WAITING: Reason.VERIFICATION_REQUIRED.bacnet,
}


class Service:
    """Says what the service of the site says, with its keys."""

    def __init__(self, question: Question) -> None:
        self._question: Final = question
        # Above every entry of a former examination: a gate remembers the newest order to lock down.
        self._entries = int(question.started.timestamp() * 1000)
        self._commands = 0
        self.decision_topic: Final = gate_topic(
            question.site, question.gate, Channel.DECISION, prefix=question.prefix
        )
        self.command_topic: Final = gate_topic(
            question.site, question.gate, Channel.COMMAND, prefix=question.prefix
        )
        self.beacon_topic: Final = beacon_topic(question.site, prefix=question.prefix)
        self.checkpoint_topic: Final = checkpoint_topic(question.site, prefix=question.prefix)

    def entry(self) -> int:
        """The next place in the made-up log."""
        self._entries += 1
        return self._entries

    def answer(
        self,
        message: bytes,
        verdict: Verdict,
        *,
        issued: datetime,
        unlock: timedelta = SHORT,
        valid: timedelta = ANSWER_VALIDITY,
        key: str = "decision",
    ) -> bytes:
        """The answer to the message of this digest."""
        answer = self._answer(message, verdict, issued=issued, unlock=unlock, valid=valid)
        return self._signed(answer.payload(), key=key)

    def lie(self, requirement: str, message: bytes, *, issued: datetime) -> bytes:
        """A grant for this message that is wrong in the one way that this requirement is about."""
        return LIES[requirement](self, self._answer(message, Verdict.GRANTED, issued=issued))

    def command(
        self,
        kind: CommandKind,
        *,
        boot: bytes,
        issued: datetime,
        sequence: int | None = None,
        gate: GateId | None = None,
        topic_of: GateId | None = None,
        typ: str = COMMAND_TYPE,
        key: str = "decision",
    ) -> bytes:
        """The next command for the access point, in the boot of this id; each change makes it one that must not be obeyed."""
        self._commands += 1
        question = self._question
        command = Command(
            boot=BootId(boot),
            sequence=self._commands if sequence is None else sequence,
            gate=gate or question.gate,
            kind=kind,
            access_point=question.access_point,
            issued=issued,
            valid=COMMAND_VALIDITY,
            operator=OperatorId("examiner"),
            second=None,
            entry=self.entry(),
            unlock=SHORT if kind is CommandKind.OPEN else None,
        )
        topic = self.command_topic
        if topic_of is not None:
            topic = gate_topic(question.site, topic_of, Channel.COMMAND, prefix=question.prefix)
        return self._signed(command.payload(), typ=typ, topic=topic, key=key)

    def beacon(self, issued: datetime, *, period: timedelta, key: str = "decision") -> tuple[bytes, bytes]:
        """The beacon of an instant: its value, and the message."""
        value = hashlib.sha256(f"{self._question.gate} {issued.timestamp()} {key}".encode()).digest()[
            :BEACON_BYTES
        ]
        beacon = Beacon(site=self._question.site, value=value, issued=issued, period=period)
        return value, self._signed(beacon.payload(), typ=BEACON_TYPE, topic=self.beacon_topic, key=key)

    def checkpoint(
        self,
        size: int,
        *,
        at: datetime,
        history: str = "the log",
        log_key: str = "log",
        key: str = "decision",
    ) -> tuple[bytes, bytes]:
        """A checkpoint of a made-up log, and the message that brings it: note and message."""
        origin = checkpoint_origin(self._question.site, SITE_TREE)
        root = hashlib.sha256(f"{history} at {size}".encode()).digest()
        signer = Signer(name=origin, private_key=self._note_key(log_key))
        note = sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), [signer])
        said = LogCheckpoint(site=self._question.site, note=note, at=at)
        return note, self._signed(said.payload(), typ=CHECKPOINT_TYPE, topic=self.checkpoint_topic, key=key)

    def _answer(
        self,
        message: bytes,
        verdict: Verdict,
        *,
        issued: datetime,
        unlock: timedelta = SHORT,
        valid: timedelta = ANSWER_VALIDITY,
    ) -> Answer:
        return Answer(
            message=message,
            gate=self._question.gate,
            verdict=verdict,
            reason=_REASONS[verdict],
            issued=issued,
            valid=valid,
            unlock=unlock if verdict is Verdict.GRANTED else None,
            policy=bytes(32),
            entry=self.entry(),
        )

    def _signed(
        self, payload: bytes, *, typ: str = DECISION_TYPE, topic: str | None = None, key: str = "decision"
    ) -> bytes:
        aad = (topic or self.decision_topic).encode()
        return cose.sign(payload, key=self._question.keys[key], typ=typ, external_aad=aad)

    def _note_key(self, name: str) -> Ed25519PrivateKey:
        if name != "log":
            # A key of nobody's, that follows from one which stands in no list.
            return Ed25519PrivateKey.from_private_bytes(
                hashlib.sha256(self._question.keys[name].kid).digest()
            )
        private = load_pem_private_key(self._question.keys[name].to_pem(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError("the log's key signs notes, so it is on Ed25519")
        return private


def _of_another_version(service: Service, answer: Answer) -> bytes:
    payload = answer.payload()
    # The first pair of the map is 0: 1, the version.
    return service._signed(payload[:2] + b"\x02" + payload[3:])  # noqa: SLF001 - the lies are the service's own


LIES: Final[Mapping[str, Callable[[Service, Answer], bytes]]] = {
    "GK-G-060": lambda service, answer: service._signed(answer.payload(), key="stranger"),  # noqa: SLF001
    "GK-G-061": lambda service, answer: service._signed(  # noqa: SLF001
        answer.payload(), topic=f"{service.decision_topic.rsplit('/', 2)[0]}/{OTHER_GATE}/{Channel.DECISION}"
    ),
    "GK-G-062": lambda service, answer: service._signed(replace(answer, gate=OTHER_GATE).payload()),  # noqa: SLF001
    "GK-G-063": lambda service, answer: service._signed(answer.payload(), typ=CHECKPOINT_TYPE),  # noqa: SLF001
    "GK-G-064": lambda service, answer: service._signed(answer.payload(), key="seal"),  # noqa: SLF001
    "GK-G-065": _of_another_version,
    "GK-G-066": lambda service, answer: service._signed(  # noqa: SLF001
        replace(answer, message=hashlib.sha256(b"another message").digest()).payload()
    ),
    "GK-G-067": lambda service, answer: service._signed(  # noqa: SLF001
        replace(answer, verdict=Verdict.RECORDED, reason=0, unlock=None).payload()
    ),
}
"""What is wrong, by the requirement that a gate breaks which believes it."""
