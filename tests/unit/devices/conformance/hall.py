"""An examination in a hall without a broker: the machine on one side, a gate's rules on the other, a clock moved by hand between.

The gates are the product's own controller, whole, or wrong in one way that is named. Bytes take five milliseconds each way.
"""

import heapq
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol

from devices.conformance.examination import Examination
from devices.conformance.findings import Finding
from devices.conformance.script import Ask, Do, Reply, Send
from devices.conformance.site import (
    CARD,
    KEY_NAMES,
    KEYED,
    Question,
    anchor_of,
    badges_of,
    trust_of,
)
from devices.core.asking import Asking
from devices.core.believing import Believing
from devices.core.checkpoints import CheckpointMemory
from devices.core.controller import Controller, Doorway
from devices.core.doors import Doors
from devices.core.events import (
    AnswerReceived,
    Append,
    Appended,
    AskProof,
    BeaconReceived,
    BeginJournal,
    CancelTimer,
    CardPresented,
    CheckpointReceived,
    CommandReceived,
    ContactClosed,
    ContactOpened,
    Effect,
    EntriesRead,
    Event,
    JournalBegun,
    JournalSettled,
    KeepCheckpoints,
    KeepPolicy,
    LinkDown,
    LinkUp,
    PolicyFile,
    ProofGiven,
    Publish,
    ReadEntries,
    Settle,
    SnapshotReceived,
    StandingReceived,
    Started,
    StartTimer,
    Timer,
    TimerFired,
    TrustReceived,
    Unlock,
    WallTime,
)
from devices.core.journal import JournalFound
from devices.core.standby import Held, Standby
from devices.core.telling import Telling
from devices.journal_port import MemoryJournal
from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRequest, enrolment_request, read_enrolment
from gatekeeper.core.pin import pin_info, seal_pin
from gatekeeper.core.trust import Trust, read_trust
from gatekeeper.model.ids import AccessPointId, BootId, GateId, SiteId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.places import Direction
from gatekeeper.model.topics import (
    PREFIX,
    Channel,
    beacon_topic,
    checkpoint_topic,
    gate_topic,
    standing_topic,
    trust_topic,
)

SITE, GATE, DOOR = SiteId("hall"), GateId("foreign"), AccessPointId("door")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATENCY, REACTION = 0.005, 0.05
BEGIN = 1000.0
LONGEST = 600.0


def made_keys() -> dict[str, cose.SigningKey]:
    return {
        name: cose.SigningKey.generate(cose.Algorithm.ED25519 if name == "log" else cose.Algorithm.ESP256)
        for name in KEY_NAMES
    }


def question(key: cose.SigningKey, **changes: Any) -> Question:
    keys = made_keys()
    written = Question(
        site=SITE,
        gate=GATE,
        prefix=PREFIX,
        access_point=DOOR,
        direction=Direction.IN,
        has_contact=True,
        interlocked=True,
        held=timedelta(seconds=2),
        period=timedelta(seconds=2),
        started=NOON,
        decides_alone=True,
        record=key.record(use="gate", owner=GATE),
        keys=keys,
        badges=badges_of(SITE, keys, issued=NOON, number=bytes.fromhex("BA839D07")),
    )
    return replace(written, **changes)


def trust(asked: Question, key: cose.SigningKey) -> Trust:
    request = read_enrolment(enrolment_request(site=SITE, gate=GATE, key=key))
    assert isinstance(request, EnrolmentRequest)
    document = trust_of(request, asked.keys, issued=NOON)
    believed = read_trust(document, anchor=anchor_of(SITE, asked.keys), not_below=0)
    assert isinstance(believed, Trust)
    return believed


class Publishing(Protocol):
    def __call__(self, topic: str, wire: bytes, *, qos: int, retained: bool) -> None: ...


def becomes(part: Any, wrong: type) -> None:
    """Undo a rule in a part of a controller, for all that share it: the same object, of a class that overrides."""
    assert issubclass(wrong, type(part))
    part.__class__ = wrong


class HallGate:
    """A controller with the hardware that a hall has. What it publishes goes to `publish`."""

    controller_type = Controller
    telling_type = Telling
    believing_type = Believing
    doors_type = Doors
    asking_type = Asking
    standby_type = Standby

    def __init__(self, asked: Question, key: cose.SigningKey) -> None:
        self.asked, self.key = asked, key
        self.trust = trust(asked, key)
        self.at = 0.0
        self.publish: Publishing
        self.timers: dict[Timer, float] = {}
        self.released = False
        self.linked = False
        self.memory = CheckpointMemory()
        self.retained: dict[str, bytes] = {}
        self.controller: Controller | None = None
        self._boots = count(1)

        # What is on its disk.
        self.disk = MemoryJournal(BootId(b"journal1"))
        self.files: dict[PolicyFile, bytes] = {}

    # -- what the hall calls ------------------------------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        return min(self.timers.values(), default=None)

    def wake(self, at: float) -> None:
        self.at = at
        for timer in [timer for timer, due in self.timers.items() if due <= at]:
            if self.timers.pop(timer, None) is not None:
                self.happens(TimerFired(timer))

    def hear(self, topic: str, wire: bytes, *, retained: bool, at: float) -> None:
        self.at = at
        if retained:
            self.retained[topic] = wire
        if self.linked:
            self.deliver(topic, wire)

    def deliver(self, topic: str, wire: bytes) -> None:
        kinds: dict[str, Callable[[bytes], Event]] = {
            beacon_topic(SITE): BeaconReceived,
            checkpoint_topic(SITE): CheckpointReceived,
            gate_topic(SITE, GATE, Channel.DECISION): AnswerReceived,
            gate_topic(SITE, GATE, Channel.COMMAND): CommandReceived,
            gate_topic(SITE, GATE, Channel.POLICY): SnapshotReceived,
            standing_topic(SITE): StandingReceived,
            trust_topic(SITE): TrustReceived,
        }
        self.happens(kinds[topic](wire))

    def obey(self, asked: Ask, at: float) -> Reply:
        self.at = at
        released, self.released = self.released, False
        match asked.do:
            case Do.START | Do.RESTART:
                self.start()
            case Do.PRESENT:
                self.present(asked.badge or CARD, asked.pin)
            case Do.OPEN:
                self.happens(ContactOpened(DOOR))
            case Do.CLOSE:
                self.happens(ContactClosed(DOOR))
            case Do.FORCE:
                for _ in range(asked.times):
                    self.happens(ContactOpened(DOOR))
                    self.happens(ContactClosed(DOOR))
            case Do.CUT:
                self.linked = False
                self.happens(LinkDown())
            case Do.RESTORE:
                self.link()
            case Do.LOOK:
                return Reply(done=True, released=released)
        return Reply(done=True)

    # -- the gate -----------------------------------------------------------------------------------------------------

    def made(self) -> Controller:
        doorway = Doorway(
            id=DOOR,
            direction=self.asked.direction,
            has_contact=self.asked.has_contact,
            interlocked=self.asked.interlocked,
            warned=self.asked.held / 2,
            held=self.asked.held,
        )
        made = self.controller_type(
            gate=GATE,
            prefix=PREFIX,
            key=self.key,
            trust=self.trust,
            doorways=[doorway],
            boot=self.boot(),
            agent="hall-gate 1",
            checkpoints=self.memory,
            anchor=anchor_of(SITE, self.asked.keys),
            held=self.policies(),
        )
        becomes(made._telling, self.telling_type)
        becomes(made._believing, self.believing_type)
        becomes(made._doors, self.doors_type)
        becomes(made._asking, self.asking_type)
        becomes(made._standby, self.standby_type)
        self.spoil(made)
        return made

    def spoil(self, made: Controller) -> None:
        """Where a wrong gate goes wrong."""

    def boot(self) -> BootId:
        return BootId(f"boot-{next(self._boots):03}".encode())

    def start(self) -> None:
        self.timers.clear()
        if PolicyFile.TRUST in self.files:
            anchor = anchor_of(SITE, self.asked.keys)
            kept = read_trust(self.files[PolicyFile.TRUST], anchor=anchor, not_below=0)
            assert isinstance(kept, Trust)
            self.trust = kept
        self.controller = self.made()
        self.happens(Started(self.found()))
        self.happens(ContactClosed(DOOR))
        self.link()

    def found(self) -> JournalFound:
        """The journal as a start finds it on disk."""
        return self.disk.found

    def policies(self) -> Held:
        """What a start finds on disk of what the service signed."""
        return Held(
            snapshot=self.files.get(PolicyFile.SNAPSHOT),
            standing=self.files.get(PolicyFile.STANDING),
            confirming=self.files.get(PolicyFile.CONFIRMING) or None,
            lockdown=self.files.get(PolicyFile.LOCKDOWN),
        )

    def link(self) -> None:
        self.linked = True
        self.happens(LinkUp())
        for topic, wire in self.retained.items():
            if wire:
                self.deliver(topic, wire)

    def present(self, badge: str, pin: str | None) -> None:
        self.badge = badge
        self.happens(
            CardPresented(
                access_point=DOOR,
                credential=self.asked.badges[badge],
                gate_random=self.random(),
                sealed_pin=self.sealed(pin) if pin is not None else None,
            )
        )

    def sealed(self, pin: str) -> bytes | None:
        assert self.trust.seal_key is not None
        info = pin_info(site=SITE, gate=GATE, access_point=DOOR)
        return seal_pin(pin, public_der=self.trust.seal_key.public_der, info=info)

    def random(self) -> bytes:
        return cose.SigningKey.generate().kid * 2

    def happens(self, event: Event) -> None:
        if self.controller is None:
            return
        wall = WallTime(self.asked.started + timedelta(seconds=self.at - BEGIN), ClockQuality.FREE_RUNNING)
        effects = self.controller.step(event, at=self.at, wall=wall)
        for effect in effects:
            self.do(effect)
        for effect in effects:
            self.write(effect)

    def write(self, effect: Effect) -> None:
        """Have the disk do what it is to do."""
        match effect:
            case Append(number=number):
                self.disk.append([effect])
                self.happens(Appended(number))
            case Settle(journal=journal, number=number):
                self.disk.settle(journal, number)
                self.happens(JournalSettled(journal, number))
            case ReadEntries(journal=journal, after=after, most=most):
                self.happens(EntriesRead(journal, tuple(self.disk.read(journal, after, most))))
            case BeginJournal(instead_of=journal):
                self.happens(JournalBegun(self.disk.begin_anew(journal, "the service takes no more of it")))

    def do(self, effect: Any) -> None:
        match effect:
            case Publish(topic=topic, payload=payload, qos=qos):
                self.say(topic, payload, qos)
            case StartTimer(timer=timer, after=after):
                self.timers[timer] = self.at + after.total_seconds()
            case CancelTimer(timer=timer):
                self.timers.pop(timer, None)
            case Unlock():
                self.released = True
            case AskProof(access_point=access_point, digest=digest):
                key = self.asked.keys["badge"] if self.badge == KEYED else None
                signature = key.sign(digest) if key is not None else None
                self.happens(ProofGiven(access_point=access_point, signature=signature))
            case KeepCheckpoints(memory=memory):
                self.memory = memory
            case KeepPolicy(file=file, wire=wire):
                self.files[file] = wire

    def say(self, topic: str, wire: bytes, qos: int) -> None:
        self.publish(topic, wire, qos=qos, retained=False)


def examined(asked: Question, gate: HallGate, only: Collection[str] = ()) -> dict[str, Finding]:
    """Examine a gate: the findings."""
    at = BEGIN
    examination = Examination(asked, at=at, only=only)
    queue: list[tuple[float, int, Callable[[float], None]]] = []
    order = count()

    def later(after: float, act: Callable[[float], None]) -> None:
        heapq.heappush(queue, (at + after, next(order), act))

    def do(effects: list[Send | Ask]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                later(
                    LATENCY,
                    lambda now, sent=effect: gate.hear(sent.topic, sent.wire, retained=sent.retained, at=now),
                )
            else:
                reply = gate.obey(effect, at)
                later(REACTION, lambda now, said=reply: do(examination.reply(said, at=now)))

    def heard(topic: str, wire: bytes, *, qos: int, retained: bool) -> None:
        later(
            LATENCY,
            lambda now: do(examination.hear(topic, wire, qos=qos, retained=retained, at=now)),
        )

    gate.publish = heard
    do(examination.begin(at=at))
    while not examination.finished:
        times = [queue[0][0] if queue else None, examination.due, gate.due]
        at = min(time for time in times if time is not None)
        assert at < BEGIN + LONGEST, f"the examination does not end: {examination.trial}"
        if queue and queue[0][0] <= at:
            heapq.heappop(queue)[2](at)
            continue
        if gate.due is not None and gate.due <= at:
            gate.wake(at)
        if examination.due is not None and examination.due <= at:
            do(examination.wake(at=at))
    # What was said last arrives as well.
    while queue:
        heapq.heappop(queue)[2](at)
    return examination.findings
