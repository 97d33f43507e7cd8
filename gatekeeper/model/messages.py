"""What gate and service say to each other: the payloads inside the signatures, as values and as CBOR.

Every payload is a deterministic CBOR map with integer keys (schemas/cddl/gatekeeper.cddl is the same, for
makers of gates). Reading is strict: a missing key, an unknown key, a wrong type or a number out of range makes a
`MessageMalformed`, never an exception. Times are whole milliseconds since 1970; durations are milliseconds.

Every message upward carries the id of its stream and one sequence that rises by one over all channels of the stream, so
that a missing message shows. A gate has two streams: its boot, and its journal, whose id and sequence survive restarts.
Every message upward is answered on the gate's decision topic: a scan with granted or denied,
anything else with recorded. A `Link` stands in no stream, is not answered and not written down: it says that a gate is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, TypeVar

from gatekeeper import cose
from gatekeeper.cose import cbor
from gatekeeper.model.badges import MAX_TOKEN_BYTES, Card, read_card
from gatekeeper.model.fields import (
    WRONG,
    blob,
    duration,
    milliseconds,
    moment,
    name,
    octets,
    text,
    typed,
    whole,
)
from gatekeeper.model.ids import AccessPointId, BootId, GateId, OperatorId, SiteId

__all__ = [
    "ANSWER_VALIDITY",
    "BEACON_BYTES",
    "BEACON_TYPE",
    "CHECKPOINT_TYPE",
    "COMMAND_TYPE",
    "COMMAND_VALIDITY",
    "DECISION_TYPE",
    "HELLO_TYPE",
    "LINK_PERIOD",
    "LINK_TYPE",
    "LONGEST_WAIT",
    "MAX_CHECKPOINT_BYTES",
    "MAX_MESSAGE_BYTES",
    "PASSAGE_TYPE",
    "SCAN_TYPE",
    "STATUS_TYPE",
    "Answer",
    "Beacon",
    "ByCard",
    "ByDigest",
    "ByToken",
    "ClockQuality",
    "Command",
    "CommandKind",
    "Credential",
    "Hello",
    "JournalEnd",
    "Link",
    "LogCheckpoint",
    "MessageMalformed",
    "Passage",
    "PassageOutcome",
    "Proof",
    "Scan",
    "Status",
    "StatusKind",
    "Upward",
    "Verdict",
    "proof_digest_input",
]

SCAN_TYPE = "application/pacs-scan+cose"
PASSAGE_TYPE = "application/pacs-passage+cose"
STATUS_TYPE = "application/pacs-status+cose"
HELLO_TYPE = "application/pacs-hello+cose"
LINK_TYPE = "application/pacs-link+cose"
DECISION_TYPE = "application/pacs-decision+cose"
COMMAND_TYPE = "application/pacs-command+cose"
BEACON_TYPE = "application/pacs-beacon+cose"
CHECKPOINT_TYPE = "application/pacs-checkpoint+cose"

MAX_MESSAGE_BYTES = 8192
MAX_CHECKPOINT_BYTES = 2048
BEACON_BYTES = 16
ANSWER_VALIDITY = timedelta(seconds=5)
COMMAND_VALIDITY = timedelta(seconds=10)
LONGEST_WAIT = timedelta(seconds=60)
LINK_PERIOD = timedelta(seconds=60)
"""How long a gate whose link is up lets pass before it says so again."""
_VERSION = 1
_SEALED_PIN = cose.SEALED_OVERHEAD + 8
_T = TypeVar("_T")


class Verdict(IntEnum):
    """What the service answers. Only `GRANTED` ever moves a strike; `WAITING` asks for patience until a guard has spoken."""

    DENIED = 0
    GRANTED = 1
    RECORDED = 2
    WAITING = 3


class ClockQuality(IntEnum):
    """What a gate knows of its own wall clock. No grant depends on it."""

    NONE = 0
    FREE_RUNNING = 1
    SYNCHRONISED = 2


class PassageOutcome(IntEnum):
    """What the contact of the door said after a grant, after a request to exit, or without either."""

    TAKEN = 0
    NOT_TAKEN = 1
    FORCED = 2
    HELD_OPEN = 3
    EXITED = 4


class StatusKind(IntEnum):
    """What a gate reports of itself."""

    ONLINE = 0
    OFFLINE = 1
    TAMPER = 2
    TAMPER_CLEARED = 3
    CLOSED_AGAIN = 4
    LOG_ROLLED_BACK = 5
    POLICY_REFUSED = 6
    CLOCK_DOUBTED = 7
    JOURNAL_FULL = 8
    JOURNAL_DAMAGED = 9
    LOCKED_DOWN = 10
    RELEASED = 11
    EXIT_REQUESTED = 12
    FIRE = 13
    FIRE_CLEARED = 14
    RESTARTING = 15
    OPENED = 16
    COMMAND_REFUSED = 17
    OPENED_ITSELF = 18
    CLOCK_BELIEVED = 19


_REFUSALS = frozenset({StatusKind.POLICY_REFUSED, StatusKind.COMMAND_REFUSED})
_COUNTED = _REFUSALS | {StatusKind.OPENED_ITSELF, StatusKind.JOURNAL_FULL}


class CommandKind(IntEnum):
    """What the service has a gate do. Only `OPEN` moves a strike to release it."""

    OPEN = 0
    LOCK_DOWN = 1
    RELEASE = 2
    REBOOT = 3


@dataclass(frozen=True, slots=True)
class ByToken:
    """The badge's token itself."""

    token: bytes


@dataclass(frozen=True, slots=True)
class ByDigest:
    """The SHA-256 of a token that the service holds."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class ByCard:
    """A bare card number (assurance 0)."""

    card: Card


Credential = ByToken | ByDigest | ByCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The badge's own signature over `proof_digest_input`."""

    gate_random: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class MessageMalformed:
    """Why an authentic payload is still not the message it claims to be."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upward:
    """What every message of a gate carries; `boot` is the id of its boot or, in its journal, of the journal."""

    boot: BootId
    sequence: int
    gate_at: datetime | None
    clock: ClockQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Upward):
    """A badge was presented at an access point."""

    access_point: AccessPointId
    credential: Credential
    beacon: bytes
    proof: Proof | None
    round_trip: timedelta | None
    offline_verdict: Verdict | None
    offline_policy: bytes | None
    sealed_pin: bytes | None = None

    def payload(self) -> bytes:
        """The CBOR to be signed by the gate on its scan topic."""
        fields = _upward(self)
        fields[5] = self.access_point
        match self.credential:
            case ByToken(token):
                fields[6] = [1, token]
            case ByDigest(digest):
                fields[6] = [2, digest]
            case ByCard(card):
                fields[6] = [0, int(card.technology), card.number]
        fields[7] = self.beacon
        if self.proof is not None:
            fields[8] = [self.proof.gate_random, self.proof.signature]
        if self.round_trip is not None:
            fields[9] = _ms(self.round_trip)
        if self.offline_verdict is not None:
            fields[10] = int(self.offline_verdict)
        if self.offline_policy is not None:
            fields[11] = self.offline_policy
        if self.sealed_pin is not None:
            fields[12] = self.sealed_pin
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Scan | MessageMalformed":
        """Read a verified scan payload."""
        return _read(payload, required=(0, 1, 2, 4, 5, 6, 7), optional=(3, 8, 9, 10, 11, 12), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Scan":
        return cls(
            **_upward_of(fields),
            access_point=AccessPointId(name(fields[5])),
            credential=_credential(fields[6]),
            beacon=octets(fields[7], BEACON_BYTES),
            proof=_proof(fields[8]) if 8 in fields else None,
            round_trip=duration(fields[9]) if 9 in fields else None,
            offline_verdict=Verdict(whole(fields[10], 1)) if 10 in fields else None,
            offline_policy=octets(fields[11], 32) if 11 in fields else None,
            sealed_pin=octets(fields[12], _SEALED_PIN) if 12 in fields else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage(Upward):
    """What happened at the door; `scan` is the SHA-256 of the scan, or of the open command, that it followed, if any."""

    access_point: AccessPointId
    outcome: PassageOutcome
    scan: bytes | None

    def payload(self) -> bytes:
        """The CBOR to be signed by the gate on its passage topic."""
        fields = _upward(self)
        fields[5] = self.access_point
        fields[6] = int(self.outcome)
        if self.scan is not None:
            fields[7] = self.scan
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Passage | MessageMalformed":
        """Read a verified passage payload."""
        return _read(payload, required=(0, 1, 2, 4, 5, 6), optional=(3, 7), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Passage":
        return cls(
            **_upward_of(fields),
            access_point=AccessPointId(name(fields[5])),
            outcome=PassageOutcome(whole(fields[6], len(PassageOutcome) - 1)),
            scan=octets(fields[7], 32) if 7 in fields else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Upward):
    """A gate speaks of itself or of one of its doors; `command` is the SHA-256 of the command message that made it.

    `why` is the code of what was refused. `count` is how many such things this one word stands for; without it, one.
    """

    kind: StatusKind
    access_point: AccessPointId | None
    command: bytes | None = None
    why: str | None = None
    count: int | None = None

    def payload(self) -> bytes:
        """The CBOR to be signed by the gate on its status topic."""
        fields = _upward(self)
        fields[5] = int(self.kind)
        if self.access_point is not None:
            fields[6] = self.access_point
        if self.command is not None:
            fields[7] = self.command
        if self.why is not None:
            fields[8] = self.why
        if self.count is not None:
            fields[9] = self.count
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Status | MessageMalformed":
        """Read a verified status payload."""
        return _read(payload, required=(0, 1, 2, 4, 5), optional=(3, 6, 7, 8, 9), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Status":
        kind = StatusKind(whole(fields[5], len(StatusKind) - 1))
        if (8 in fields and kind not in _REFUSALS) or (9 in fields and kind not in _COUNTED):
            raise ValueError(
                "a cause stands in a refusal, a count there, in what opened itself, and in a full journal"
            )
        return cls(
            **_upward_of(fields),
            kind=kind,
            access_point=AccessPointId(name(fields[6])) if 6 in fields else None,
            command=octets(fields[7], 32) if 7 in fields else None,
            why=name(fields[8]) if 8 in fields else None,
            count=whole(fields[9], least=2) if 9 in fields else None,
        )


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """A gate's journal, and the highest number written in it; zero of a new one."""

    journal: BootId
    written: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Upward):
    """A gate started: its program, the policy it holds, the checkpoint it remembers, and how far its journal is written."""

    agent: str
    policy: bytes | None
    checkpoint: bytes | None
    journal: JournalEnd | None = None

    def payload(self) -> bytes:
        """The CBOR to be signed by the gate on its hello topic."""
        fields = _upward(self)
        fields[5] = self.agent
        if self.policy is not None:
            fields[6] = self.policy
        if self.checkpoint is not None:
            fields[7] = self.checkpoint
        if self.journal is not None:
            fields[8] = [self.journal.journal, self.journal.written]
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Hello | MessageMalformed":
        """Read a verified hello payload."""
        return _read(payload, required=(0, 1, 2, 4, 5), optional=(3, 6, 7, 8), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Hello":
        return cls(
            **_upward_of(fields),
            agent=text(fields[5], 64),
            policy=octets(fields[6], 32) if 6 in fields else None,
            checkpoint=blob(fields[7], MAX_CHECKPOINT_BYTES) if 7 in fields else None,
            journal=_journal_end(fields[8]) if 8 in fields else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Whether a gate's link is up, said once a minute while it is, and by the broker (the gate's will) when it is lost.

    `connection` numbers the connections of a boot; `snapshot` is the SHA-256 of the snapshot message that is held. `beacon` is
    the newest beacon's value, so that what is up was up lately, whoever keeps the message back; what is down has none.
    """

    boot: BootId
    connection: int
    up: bool
    snapshot: bytes | None
    beacon: bytes | None

    def payload(self) -> bytes:
        """The CBOR to be signed by the gate on its link topic."""
        fields: dict[int, Any] = {0: _VERSION, 1: self.boot, 2: self.connection, 3: int(self.up)}
        if self.snapshot is not None:
            fields[4] = self.snapshot
        if self.beacon is not None:
            fields[5] = self.beacon
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Link | MessageMalformed":
        """Read a verified link payload."""
        return _read(payload, required=(0, 1, 2, 3), optional=(4, 5), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Link":
        up = whole(fields[3], 1) == 1
        if whole(fields[2]) == 0:
            raise ValueError("connections are numbered from one")
        if up is not (5 in fields) or (4 in fields and not up):
            raise ValueError("a link that is up names a beacon, and one that is down nothing")
        return cls(
            boot=BootId(octets(fields[1], 8)),
            connection=whole(fields[2]),
            up=up,
            snapshot=octets(fields[4], 32) if 4 in fields else None,
            beacon=octets(fields[5], BEACON_BYTES) if 5 in fields else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The service's word on one message: `message` is the SHA-256 of the bytes it answers.

    `entry` is where it stands in the log. A gate opens only for its own outstanding scan, once, while `valid` has
    not passed on its own monotonic clock since it sent the scan.
    """

    message: bytes
    gate: GateId
    verdict: Verdict
    reason: int
    issued: datetime
    valid: timedelta
    unlock: timedelta | None
    policy: bytes
    entry: int

    def payload(self) -> bytes:
        """The CBOR to be signed by the service on the gate's decision topic."""
        fields: dict[int, Any] = {
            0: _VERSION,
            1: self.message,
            2: self.gate,
            3: int(self.verdict),
            4: self.reason,
            5: milliseconds(self.issued),
            6: _ms(self.valid),
            8: self.policy,
            9: self.entry,
        }
        if self.unlock is not None:
            fields[7] = _ms(self.unlock)
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Answer | MessageMalformed":
        """Read a verified decision payload."""
        return _read(payload, required=(0, 1, 2, 3, 4, 5, 6, 8, 9), optional=(7,), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Answer":
        valid, verdict = duration(fields[6]), Verdict(whole(fields[3], 3))
        if valid > (LONGEST_WAIT if verdict is Verdict.WAITING else ANSWER_VALIDITY):
            raise ValueError("an answer is valid for five seconds at most, and a wait for sixty")
        if (verdict is Verdict.GRANTED) != (7 in fields):
            raise ValueError("an unlock time stands in a grant, and only there")
        return cls(
            message=octets(fields[1], 32),
            gate=GateId(name(fields[2])),
            verdict=verdict,
            reason=whole(fields[4], 65535),
            issued=moment(fields[5]),
            valid=valid,
            unlock=duration(fields[7]) if 7 in fields else None,
            policy=octets(fields[8], 32),
            entry=whole(fields[9]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An operator's word to one gate in its present boot: nobody asked for it, so it says itself when it is over.

    `sequence` rises within a boot. `access_point` is one door (always when it opens), or None for the whole gate. `operator`
    said so, `second` agreed, and `entry` is where that stands in the log.
    """

    boot: BootId
    sequence: int
    gate: GateId
    kind: CommandKind
    access_point: AccessPointId | None
    issued: datetime
    valid: timedelta
    operator: OperatorId
    second: OperatorId | None
    entry: int
    unlock: timedelta | None

    def payload(self) -> bytes:
        """The CBOR to be signed by the service on the gate's command topic."""
        fields: dict[int, Any] = {
            0: _VERSION,
            1: self.boot,
            2: self.sequence,
            3: self.gate,
            4: int(self.kind),
            6: milliseconds(self.issued),
            7: _ms(self.valid),
            8: self.operator,
            10: self.entry,
        }
        if self.access_point is not None:
            fields[5] = self.access_point
        if self.second is not None:
            fields[9] = self.second
        if self.unlock is not None:
            fields[11] = _ms(self.unlock)
        return cbor.encode(fields)

    @classmethod
    def read(cls, payload: bytes) -> "Command | MessageMalformed":
        """Read a verified command payload."""
        return _read(payload, required=(0, 1, 2, 3, 4, 6, 7, 8, 10), optional=(5, 9, 11), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Command":
        kind, valid = CommandKind(whole(fields[4], len(CommandKind) - 1)), duration(fields[7])
        if whole(fields[2]) == 0:
            raise ValueError("sequences begin at one")
        if valid > COMMAND_VALIDITY:
            raise ValueError("a command is valid for ten seconds at most")
        # INVARIANT: what opens names its one door, and how long; nothing else carries an unlock time.
        if (kind is CommandKind.OPEN) != (11 in fields) or (kind is CommandKind.OPEN and 5 not in fields):
            raise ValueError("an access point and an unlock time stand in what opens, the latter only there")
        if kind is CommandKind.REBOOT and 5 in fields:
            raise ValueError("a gate starts anew as a whole")
        return cls(
            boot=BootId(octets(fields[1], 8)),
            sequence=whole(fields[2]),
            gate=GateId(name(fields[3])),
            kind=kind,
            access_point=AccessPointId(name(fields[5])) if 5 in fields else None,
            issued=moment(fields[6]),
            valid=valid,
            operator=OperatorId(name(fields[8])),
            second=OperatorId(name(fields[9])) if 9 in fields else None,
            entry=whole(fields[10]),
            unlock=duration(fields[11]) if 11 in fields else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """The site's heart-beat: a value nobody can know beforehand, which every scan repeats."""

    site: SiteId
    value: bytes
    issued: datetime
    period: timedelta

    def payload(self) -> bytes:
        """The CBOR to be signed by the service on the site's beacon topic."""
        return cbor.encode(
            {0: _VERSION, 1: self.site, 2: self.value, 3: milliseconds(self.issued), 4: _ms(self.period)}
        )

    @classmethod
    def read(cls, payload: bytes) -> "Beacon | MessageMalformed":
        """Read a verified beacon payload."""
        return _read(payload, required=(0, 1, 2, 3, 4), optional=(), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "Beacon":
        return cls(
            site=SiteId(name(fields[1])),
            value=octets(fields[2], BEACON_BYTES),
            issued=moment(fields[3]),
            period=duration(fields[4]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheckpoint:
    """The newest checkpoint of the site's log, for every gate to remember.

    `note` is the signed note (C2SP tlog-checkpoint), which knows no time; `at` is when the newest entry under it was made.
    """

    site: SiteId
    note: bytes
    at: datetime

    def payload(self) -> bytes:
        """The CBOR to be signed by the service on the site's checkpoint topic."""
        return cbor.encode({0: _VERSION, 1: self.site, 2: self.note, 3: milliseconds(self.at)})

    @classmethod
    def read(cls, payload: bytes) -> "LogCheckpoint | MessageMalformed":
        """Read a verified checkpoint payload."""
        return _read(payload, required=(0, 1, 2, 3), optional=(), build=cls._of)

    @classmethod
    def _of(cls, fields: Mapping[int, Any]) -> "LogCheckpoint":
        return cls(
            site=SiteId(name(fields[1])),
            note=blob(fields[2], MAX_CHECKPOINT_BYTES, least=1),
            at=moment(fields[3]),
        )


def proof_digest_input(
    *, site: SiteId, gate: GateId, direction: str, beacon: bytes, gate_random: bytes
) -> bytes:
    """What a badge hashes with SHA-256 and signs to prove that it is here, now.

    `"pacs-pop-v1" 00 site 00 gate 00 direction 00 beacon(16) gate_random(16)`: the digest is 32 bytes, so a stock
    PKOC card can sign it.
    """
    return f"pacs-pop-v1\0{site}\0{gate}\0{direction}\0".encode() + beacon + gate_random


def _read(
    payload: bytes,
    *,
    required: tuple[int, ...],
    optional: tuple[int, ...],
    build: Callable[[Mapping[int, Any]], _T],
) -> _T | MessageMalformed:
    fields = cbor.decode(payload)
    if isinstance(fields, cose.Refused):
        return MessageMalformed(str(fields.code))
    if type(fields) is not dict:
        return MessageMalformed("not a map")
    if not fields.keys() >= set(required):
        return MessageMalformed("a field is missing")
    if fields.keys() - required - set(optional):
        return MessageMalformed("an unknown field")
    if fields[0] != _VERSION or type(fields[0]) is not int:
        return MessageMalformed("an unknown version")
    try:
        return build(fields)
    except WRONG as error:
        return MessageMalformed(str(error))


def _upward(message: Upward) -> dict[int, Any]:
    fields: dict[int, Any] = {0: _VERSION, 1: message.boot, 2: message.sequence, 4: int(message.clock)}
    if message.gate_at is not None:
        fields[3] = milliseconds(message.gate_at)
    return fields


def _upward_of(fields: Mapping[int, Any]) -> dict[str, Any]:
    sequence = whole(fields[2])
    if sequence == 0:
        raise ValueError("sequences begin at one")
    return {
        "boot": BootId(octets(fields[1], 8)),
        "sequence": sequence,
        "gate_at": moment(fields[3]) if 3 in fields else None,
        "clock": ClockQuality(whole(fields[4], 2)),
    }


def _credential(value: object) -> Credential:
    match typed(value, list):
        case [kind, technology, number] if whole(kind, 2) == 0:
            return ByCard(read_card([technology, number]))
        case [kind, token] if whole(kind, 2) == 1:
            return ByToken(blob(token, MAX_TOKEN_BYTES, least=1))
        case [kind, digest] if whole(kind, 2) == 2:
            return ByDigest(octets(digest, 32))
        case _:
            raise ValueError("credential")


def _proof(value: object) -> Proof:
    match value:
        case [bytes(gate_random), bytes(signature)] if len(gate_random) == 16 and len(signature) in {64, 96}:
            return Proof(gate_random=gate_random, signature=signature)
        case _:
            raise ValueError("proof")


def _journal_end(value: object) -> JournalEnd:
    match typed(value, list):
        case [journal, written]:
            return JournalEnd(BootId(octets(journal, 8)), whole(written))
        case _:
            raise ValueError("journal")


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
