"""The product's own gates and its own flow, that talk to each other while every byte is kept: what `session` plays on.

Nobody writes these messages by hand: `devices.core` says what a gate says, `gatekeeper.core` what the service answers. The
clock moves by the milliseconds that each step names; chance is given.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from devices.core.controller import Controller, Doorway
from devices.core.events import (
    AnswerReceived,
    Append,
    Appended,
    AskProof,
    BeaconReceived,
    CardPresented,
    Effect,
    Event,
    LinkUp,
    ProofGiven,
    Publish,
    Started,
    Unlock,
    WallTime,
)
from devices.core.journal import JournalFound
from gatekeeper import cose
from gatekeeper.core.actuate import sign_answer
from gatekeeper.core.audit import Draft
from gatekeeper.core.change import ChangeContent, GuardChange, sign_change
from gatekeeper.core.drafting import marked
from gatekeeper.core.flow import Flow, Recorded, Refused, Repeated
from gatekeeper.core.scan import Authentic, UpwardMessage, authenticate
from gatekeeper.core.supervise import APPLIED, Supervised, Writes, supervise
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import (
    PASSAGE_TYPE,
    SCAN_TYPE,
    Answer,
    ByToken,
    ClockQuality,
    Credential,
    Passage,
    Scan,
    Verdict,
)
from gatekeeper.model.places import Direction
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from gatekeeper.service.engine.beacons import Beacons
from tests.contract.vector_site import (
    BEACON_SECRET,
    FRONT,
    INNER,
    NOON,
    SHED_READER,
    SITE,
    anchor,
    fresh_flow,
    key_of,
    people,
    trust,
)

AGENT = "gatekeeper-device/vectors"
_DOORS: Mapping[GateId, tuple[tuple[str, Direction, bool], ...]] = {
    FRONT: (("front-in", Direction.IN, True), ("front-out", Direction.OUT, True)),
    INNER: tuple(
        (f"{zone}-{way.value}", way, True) for zone in ("house", "vault", "office") for way in Direction
    ),
    SHED_READER: (("shed-in", Direction.IN, False), ("shed-out", Direction.OUT, False)),
}


def boot_of(gate: str, number: int = 1) -> BootId:
    """What a gate drew when it started."""
    return BootId(hashlib.sha256(f"gatekeeper vectors, boot {number} of {gate}".encode()).digest()[:8])


def random_of(label: str) -> bytes:
    """Sixteen bytes that a gate drew."""
    return hashlib.sha256(f"gatekeeper vectors, random: {label}".encode()).digest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message: who signed it, where it travelled, and its bytes."""

    name: str
    says: str
    key: str
    topic: str
    wire: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A message of a gate and what the service answered, so many milliseconds after noon."""

    at: int
    up: Said
    down: Said
    granted: bool
    repeated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person said meanwhile, signed, and what the service then told a gate."""

    at: int
    change: Said
    down: Said


@dataclass(slots=True)
class Gate:
    """The product's own controller, told what happens."""

    id: GateId
    controller: Controller

    @classmethod
    def named(cls, gate: GateId) -> "Gate":
        doorways = [
            Doorway(
                id=AccessPointId(name),
                direction=direction,
                has_contact=contact,
                interlocked=False,
                warned=timedelta(seconds=20),
                held=timedelta(seconds=30),
            )
            for name, direction, contact in _DOORS[gate]
        ]
        controller = Controller(
            gate=gate,
            prefix=PREFIX,
            key=key_of(gate),
            trust=trust(),
            doorways=doorways,
            boot=boot_of(gate),
            agent=AGENT,
        )
        return cls(gate, controller)

    def happens(self, event: Event, *, at: int) -> list[Effect]:
        wall = WallTime(NOON + timedelta(milliseconds=at), ClockQuality.SYNCHRONISED)
        effects = self.controller.step(event, at=1000 + at / 1000, wall=wall)
        appended = [effect.number for effect in effects if isinstance(effect, Append)]
        return effects + (self.happens(Appended(appended[-1]), at=at) if appended else [])


def published(effects: list[Effect]) -> list[Publish]:
    return [effect for effect in effects if isinstance(effect, Publish)]


@dataclass(slots=True)
class Play:
    """Gates and service, and what they said to each other."""

    flow: Flow = field(default_factory=fresh_flow)
    gates: dict[GateId, Gate] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    opened: int = 0

    @property
    def beacons(self) -> Beacons:
        return Beacons(site=SITE, secret=BEACON_SECRET, key=key_of("decision"), prefix=PREFIX)

    def beacon(self, at: int = 0) -> Said:
        topic, wire = self.beacons.message(moment(at))
        return Said(
            name="beacon",
            says="The site's beacon of these ten seconds.",
            key="decision",
            topic=topic,
            wire=wire,
        )

    def start(self, gate: GateId, *, at: int) -> None:
        """A gate starts, hears the beacon, and says hello."""
        started = self.gates[gate] = Gate.named(gate)
        started.happens(Started(JournalFound(id=BootId(b"journal1"))), at=at)
        [hello] = published(started.happens(LinkUp(), at=at))
        started.happens(BeaconReceived(self.beacon().wire), at=at)
        self.brings(gate, hello, f"hello-of-{gate}", f"The gate {gate} has started.", at=at + 5)

    def presents(
        self,
        gate: GateId,
        access_point: str,
        credential: Credential,
        *,
        at: int,
        key: Any = None,
        sealed_pin: bytes | None = None,
    ) -> Publish:
        """A badge at a reader; the scan that comes of it."""
        machine = self.gates[gate]
        presented = CardPresented(
            access_point=AccessPointId(access_point),
            credential=credential,
            gate_random=random_of(f"{access_point} at {at}"),
            sealed_pin=sealed_pin,
        )
        effects = machine.happens(presented, at=at)
        if key is not None:
            [asked] = [effect for effect in effects if isinstance(effect, AskProof)]
            given = ProofGiven(access_point=asked.access_point, signature=key.sign(asked.digest))
            effects = machine.happens(given, at=at + 45)
        [scan] = published(effects)
        return scan

    def brings(self, gate: GateId, sent: Publish | Said, name: str, says: str, *, at: int) -> Step:
        """A message reaches the service, and its answer the gate."""
        up = (
            sent
            if isinstance(sent, Said)
            else Said(name=name, says=says, key=gate, topic=sent.topic, wire=sent.payload)
        )
        now = moment(at)
        authentic = authenticate(up.topic, up.wire, trust=self.flow.trust, prefix=PREFIX)
        assert isinstance(authentic, Authentic), authentic
        presented = self.flow.verify(authentic, beacons=self.beacons.counted(now))
        outcome = self.flow.take(authentic, presented, now=now)
        topic = gate_topic(SITE, gate, Channel.DECISION, prefix=PREFIX)
        match outcome:
            case Recorded(drafts=drafts, receipt=receipt, answer=answer):
                self.drafts += drafts
                topic, receipt.signed = sign_answer(answer, site=SITE, key=key_of("decision"), prefix=PREFIX)
            case Repeated(receipt=receipt):
                pass
            case _:
                raise AssertionError(outcome)
        down = Said(
            name=f"answer-to-{up.name}",
            says=f"What the service says to {up.name}.",
            key="decision",
            topic=topic,
            wire=receipt.signed,
        )
        granted = receipt.verdict is Verdict.GRANTED
        step = Step(at=at, up=up, down=down, granted=granted, repeated=isinstance(outcome, Repeated))
        self.steps.append(step)
        return step

    def change(self, content: ChangeContent, *, by: str, number: int, at: int) -> tuple[bytes, Supervised]:
        """An operator's change, signed and handed in; what it makes stands in the log."""
        change_id = number.to_bytes(16, "big")
        signed = sign_change(
            content,
            site=SITE,
            change_id=change_id,
            author=by,
            at=moment(at),
            key=key_of(f"operator-{by}"),
        )
        done = supervise(
            self.flow,
            signed,
            change_id=change_id,
            name=None,
            anchor=anchor(),
            now=moment(at),
            writes=Writes(),
            is_linked=True,
        )
        self.drafts += [_answered_by(draft, done) for draft in done.drafts]
        if done.settled is not None:
            self.drafts += done.settled.drafts
        return signed, done

    def contradicts(self, gate: GateId, message: UpwardMessage, *, at: int) -> None:
        """A gate says something else under a number that it has used: nothing but an entry comes of it."""
        up = signed_as(message, gate, name="contradiction", says="")
        authentic = authenticate(up.topic, up.wire, trust=self.flow.trust, prefix=PREFIX)
        assert isinstance(authentic, Authentic), authentic
        outcome = self.flow.take(authentic, None, now=moment(at))
        assert isinstance(outcome, Refused), outcome
        self.drafts += outcome.drafts

    def guard_says(self, waiting: Step, *, yes: bool, number: int, at: int) -> Word:
        """A guard's word on a scan that waits, and the answer that follows from it."""
        content = GuardChange(entry=answer_in(waiting).entry, yes=yes)
        signed, done = self.change(content, by="officer", number=number, at=at)
        assert done.outcome.code == APPLIED, done.outcome
        assert done.settled is not None
        says = f"What an operator said of {waiting.up.name}."
        change = Said(name="guard-says-yes", says=says, key="operator-officer", topic="", wire=signed)
        topic, wire = sign_answer(done.settled.answer, site=SITE, key=key_of("decision"), prefix=PREFIX)
        done.settled.receipt.signed = wire
        says = f"The last word on {waiting.up.name}."
        down = Said(
            name=f"last-answer-to-{waiting.up.name}", says=says, key="decision", topic=topic, wire=wire
        )
        word = Word(at=at, change=change, down=down)
        self.words.append(word)
        return word

    def hears(self, gate: GateId, step: Step | Word, *, at: int) -> list[Effect]:
        """The answer reaches the gate."""
        effects = self.gates[gate].happens(AnswerReceived(step.down.wire), at=at)
        self.opened += any(isinstance(effect, Unlock) for effect in effects)
        return effects


def _answered_by(draft: Draft, done: Supervised) -> Draft:
    """An order's entry as the engine writes it: with the digest of its command, which is not signed here."""
    if done.order is None or done.order.entry != draft.seq:
        return draft
    return marked(draft, command=hashlib.sha256(f"a command of entry {draft.seq}".encode()).hexdigest())


def moment(at: int) -> datetime:
    return NOON + timedelta(milliseconds=at)


def scan_of(gate: GateId, *, boot: BootId, sequence: int, beacon: bytes, **changes: Any) -> Scan:
    """A scan at a gate's first access point, by hand."""
    fields: dict[str, Any] = {
        "gate_at": moment(7900),
        "clock": ClockQuality.FREE_RUNNING,
        "access_point": AccessPointId(_DOORS[gate][0][0]),
        "credential": ByToken(people()["pupil"].token),
        "proof": None,
        "round_trip": None,
        "offline_verdict": None,
        "offline_policy": None,
    }
    return Scan(boot=boot, sequence=sequence, beacon=beacon, **(fields | changes))


def signed_as(message: UpwardMessage, gate: GateId, *, name: str, says: str) -> Said:
    """A message, signed as its gate must."""
    channel, typ = _SIGNED_AS[type(message)]
    topic = gate_topic(SITE, gate, channel, prefix=PREFIX)
    wire = cose.sign(message.payload(), key=key_of(gate), typ=typ, external_aad=topic.encode())
    return Said(name=name, says=says, key=gate, topic=topic, wire=wire)


_SIGNED_AS: Mapping[type[Any], tuple[Channel, str]] = {
    Scan: (Channel.SCAN, SCAN_TYPE),
    Passage: (Channel.PASSAGE, PASSAGE_TYPE),
}


def answer_in(step: Step) -> Answer:
    """What an answer says, unverified."""
    parts = cose.decode(step.down.wire[1:])
    answer = Answer.read(parts[2])
    assert isinstance(answer, Answer)
    return answer
