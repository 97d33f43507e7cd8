"""One session of the vectors: the product's own gates and its own flow talk to each other, and every byte is kept.

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
    AskProof,
    BeaconReceived,
    CardPresented,
    ContactClosed,
    ContactOpened,
    Effect,
    Event,
    LinkUp,
    ProofGiven,
    Publish,
    Started,
    Timer,
    TimerFired,
    TimerKind,
    Unlock,
    WallTime,
)
from gatekeeper import cose
from gatekeeper.core.actuate import sign_answer
from gatekeeper.core.audit import Draft
from gatekeeper.core.change import ChangeContent, GuardChange, sign_change
from gatekeeper.core.flow import Flow, Recorded, Repeated
from gatekeeper.core.scan import Authentic, UpwardMessage, authenticate
from gatekeeper.core.supervise import APPLIED, Supervised, Writes, supervise
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import (
    PASSAGE_TYPE,
    SCAN_TYPE,
    Answer,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Credential,
    Passage,
    Proof,
    Scan,
    Verdict,
    proof_digest_input,
)
from gatekeeper.model.places import Direction
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from gatekeeper.service.engine.beacons import Beacons
from tests.contract.stranger import sealed_pin
from tests.contract.vector_site import (
    BEACON_SECRET,
    CARD,
    FRONT,
    INNER,
    NOON,
    PIN,
    SHED_READER,
    SITE,
    anchor,
    fresh_flow,
    key_of,
    people,
    throwaway_secret,
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
                id=AccessPointId(name), direction=direction, has_contact=contact, held=timedelta(seconds=30)
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
        return self.controller.step(event, at=1000 + at / 1000, wall=wall)


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
        started.happens(Started(), at=at)
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
        )
        self.drafts += done.drafts
        if done.settled is not None:
            self.drafts += done.settled.drafts
        return signed, done

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


def moment(at: int) -> datetime:
    return NOON + timedelta(milliseconds=at)


def played() -> Play:
    """The whole session."""
    play = Play()
    sergeant, pupil = people()["sergeant"], people()["pupil"]
    for at, gate in enumerate((FRONT, INNER, SHED_READER)):
        play.start(gate, at=100 * at)
        play.hears(gate, play.steps[-1], at=100 * at + 10)

    front = play.gates[FRONT]
    scan = play.presents(FRONT, "front-in", ByToken(sergeant.token), at=1000, key=sergeant.key)
    says = "A badge that proves its key with ECDSA on P-256, by its token."
    play.brings(FRONT, scan, "scan-key-bound", says, at=1050)
    resend = TimerFired(Timer(TimerKind.RESEND, AccessPointId("front-in")))
    [again] = published(front.happens(resend, at=1345))
    assert again == scan
    says = "The same bytes again after 300 ms without an answer: the same answer, the same bytes."
    known = play.brings(FRONT, again, "scan-key-bound-again", says, at=1350)
    play.hears(FRONT, known, at=1355)
    [taken] = published(front.happens(ContactOpened(AccessPointId("front-in")), at=2500))
    says = "The contact saw the door open after the grant."
    play.hears(FRONT, play.brings(FRONT, taken, "passage-taken", says, at=2505), at=2510)
    front.happens(ContactClosed(AccessPointId("front-in")), at=3500)

    refused = play.presents(INNER, "house-in", ByToken(pupil.token), at=4000)
    says = "A bearer badge at a door that demands a key-bound one; the gate's key is on P-384."
    play.hears(INNER, play.brings(INNER, refused, "scan-bearer", says, at=4005), at=4010)

    bare = play.presents(SHED_READER, "shed-in", ByCard(CARD), at=5000)
    says = "A bare card number, as a bridge reports it; the gate's key is an Ed25519 one."
    play.hears(SHED_READER, play.brings(SHED_READER, bare, "scan-card", says, at=5005), at=5010)

    [forced] = published(front.happens(ContactOpened(AccessPointId("front-in")), at=6000))
    says = "The door opened without a grant."
    play.hears(FRONT, play.brings(FRONT, forced, "passage-forced", says, at=6005), at=6010)
    [closed] = published(front.happens(ContactClosed(AccessPointId("front-in")), at=7000))
    says = "And is closed again."
    play.hears(FRONT, play.brings(FRONT, closed, "status-closed-again", says, at=7005), at=7010)

    _by_hand(play)
    _in_company(play)
    _with_a_guard(play)
    assert play.opened == 4
    return play


def _in_company(play: Play) -> None:
    """Two persons: the first is denied and waits, the second opens for both."""
    sergeant, corporal = people()["sergeant"], people()["corporal"]
    alone = play.presents(INNER, "vault-in", ByToken(sergeant.token), at=9000, key=sergeant.key)
    says = "Where two persons must badge, the first is denied; nothing tells the gate to wait."
    play.hears(INNER, play.brings(INNER, alone, "scan-alone", says, at=9050), at=9055)
    second = play.presents(INNER, "vault-in", ByToken(corporal.token), at=9500, key=corporal.key)
    says = "The second, within twenty seconds: granted, and the first goes along."
    play.hears(INNER, play.brings(INNER, second, "scan-together", says, at=9550), at=9555)


def _with_a_guard(play: Play) -> None:
    """A PIN, and a guard who looks: a wait, the same wait again, and at last the grant."""
    sergeant, inner = people()["sergeant"], play.gates[INNER]
    sealed = sealed_pin(
        PIN,
        spki=key_of("seal").public_der,
        site=SITE,
        gate=INNER,
        access_point="office-in",
        ephemeral=throwaway_secret("ephemeral"),
    )
    sent = play.presents(
        INNER, "office-in", ByToken(sergeant.token), at=9700, key=sergeant.key, sealed_pin=sealed
    )
    says = "A badge with a PIN, at a door where a guard compares face and photo: the answer asks to wait."
    waits = play.brings(INNER, sent, "scan-with-a-pin", says, at=9750)
    play.hears(INNER, waits, at=9755)
    [again] = published(
        inner.happens(TimerFired(Timer(TimerKind.RESEND, AccessPointId("office-in"))), at=10_045)
    )
    assert again == sent
    says = "While it waits the gate goes on sending the same bytes, and hears the same."
    play.hears(INNER, play.brings(INNER, again, "scan-with-a-pin-again", says, at=10_050), at=10_055)
    word = play.guard_says(waits, yes=True, number=1, at=18_000)
    play.hears(INNER, word, at=18_005)


def _by_hand(play: Play) -> None:
    """What the product's gates do not say yet: a token by its digest, a proof by Ed25519, a decision made alone."""
    teacher, pupil = people()["teacher"], people()["pupil"]
    boot = boot_of(FRONT, 2)
    beacon = play.beacons.counted(moment(8000))[0]
    gate_random = random_of("by hand")
    signed = proof_digest_input(
        site=SITE, gate=FRONT, direction=Direction.IN.value, beacon=beacon, gate_random=gate_random
    )
    assert teacher.key is not None
    proof = Proof(gate_random=gate_random, signature=teacher.key.sign(hashlib.sha256(signed).digest()))
    scans = {
        "scan-by-digest": (
            "After a power cut: a new boot id, numbers from one. A badge that proves its key with Ed25519; its token's SHA-256.",
            {"credential": ByDigest(hashlib.sha256(teacher.token).digest()), "proof": proof},
        ),
        "scan-decided-offline": (
            "The gate decided alone and reports it: written down, not decided again. Its clock runs free.",
            {
                "credential": ByToken(pupil.token),
                "offline_verdict": Verdict.GRANTED,
                "offline_policy": play.flow.policy.version,
            },
        ),
    }
    for sequence, (name, (says, changes)) in enumerate(scans.items(), 1):
        scan = scan_of(FRONT, boot=boot, sequence=sequence, beacon=beacon, **changes)
        play.brings(FRONT, signed_as(scan, FRONT, name=name, says=says), name, says, at=8000 + 100 * sequence)


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
