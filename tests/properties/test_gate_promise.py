"""Promise 2 at the gate: no sequence of events releases a strike without a valid, fresh grant of its own.

The machine below knows what a broker could send: answers the service did sign (for this gate or another, early, late, again),
answers nobody signed, and bytes cut and moved. It keeps its own book of what would be a valid grant, from the rules alone.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devices.core.door import DoorState
from devices.core.events import (
    Append,
    Appended,
    AppendFailed,
    AskProof,
    BeaconReceived,
    CancelTimer,
    ContactClosed,
    ContactOpened,
    Effect,
    JournalSettled,
    LinkDown,
    LinkUp,
    Lock,
    ProofGiven,
    Publish,
    Settle,
    Show,
    Signal,
    StartTimer,
    Timer,
    TimerFired,
    TimerKind,
    Unlock,
)
from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId
from gatekeeper.model.messages import ByToken, Scan, Verdict
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import CARD, IN, NOON, OTHER_GATE, OUT, PLAIN, Talk, only, topic

POINTS = st.sampled_from([IN, OUT, PLAIN])
PICKS = st.integers(0, 1 << 30)
BADGE_KEY = cose.SigningKey.generate()
DEADLINE = 5.0


@dataclass
class Question:
    """A scan as the book knows it."""

    wire: bytes
    access_point: AccessPointId
    since: float
    is_open: bool = True
    patience: float | None = None


class Gate(RuleBasedStateMachine):
    """Everything that can happen to a gate, in any order."""

    @initialize()
    def begin(self) -> None:
        self.talk = Talk()
        self.badge = ByToken(self.talk.service.token(badge_key=BADGE_KEY))
        self.questions: list[Question] = []
        self.digests: dict[bytes, bytes] = {}
        self.answers: list[tuple[bytes, Question | None, float]] = []
        self.talk.disk_is_quick = False
        self.appends: list[Append] = []
        self.settles: list[JournalSettled] = []
        self.on_disk: set[bytes] = set()
        self.timers: dict[Timer, float] = {}
        self.made: dict[AccessPointId, float] = {}
        self.beacons = 0
        self.unlocks = 0
        self.do(self.talk.happens(self.talk.started))
        self.do(self.talk.happens(LinkUp()))
        self.new_beacon()

    # -- the shell's part -----------------------------------------------------------------------------------------

    def do(self, effects: list[Effect], *, may_unlock: AccessPointId | None = None) -> None:
        """Carry out effects; a strike may move at one place at most, and only when the book says so."""
        # The shell starts timers in the same instant as it publishes: take those first.
        for effect in sorted(effects, key=lambda effect: not isinstance(effect, StartTimer)):
            match effect:
                case Unlock(access_point=access_point, lasting=lasting):
                    assert access_point == may_unlock, "a strike was released without a grant of its own"
                    assert lasting <= timedelta(minutes=1)
                    may_unlock = None
                    self.unlocks += 1
                case StartTimer(timer=timer, after=after):
                    if timer.kind is TimerKind.DEADLINE:
                        self.made[timer.access_point] = (
                            self.talk.at
                        )  # a scan is as old as its card, link or no link
                    self.timers[timer] = self.talk.at + after.total_seconds()
                case CancelTimer(timer=timer):
                    self.timers.pop(timer, None)
                case Publish(payload=payload):
                    self.seen(effect, payload)
                case Append():
                    assert not self.appends or effect.number == self.appends[-1].number + 1
                    self.appends.append(effect)
                case Settle(journal=journal, number=number):
                    self.settles.append(JournalSettled(journal, number))
                case AskProof() | Lock() | Show():
                    pass

    def seen(self, sent: Publish, wire: bytes) -> None:
        message = self.talk.service.read(sent)
        known = self.digests.setdefault(message.boot + message.sequence.to_bytes(8), wire)
        assert known == wire, "two messages share a number"
        if sent.topic == topic(Channel.JOURNAL):
            assert wire in self.on_disk, "an entry went out before it was on disk"
        if isinstance(message, Scan) and not any(question.wire == wire for question in self.questions):
            self.questions.append(Question(wire, message.access_point, self.made[message.access_point]))

    def is_owed(self, question: Question | None, valid: float) -> bool:
        """The rules, again and apart: an own scan, still open, its grant still valid, its door closed."""
        if question is None or not question.is_open:
            return False
        door = self.talk.controller.door(question.access_point)
        limit = min(valid, DEADLINE) if question.patience is None else question.patience
        in_time = self.talk.at - question.since < limit
        return in_time and door in {DoorState.LOCKED, DoorState.UNLOCKED}

    # -- what happens ---------------------------------------------------------------------------------------------

    @rule(access_point=POINTS, with_key=st.booleans())
    def present(self, access_point: AccessPointId, with_key: bool) -> None:  # noqa: FBT001
        self.do(self.talk.presents(access_point, self.badge if with_key else CARD))

    @rule(access_point=POINTS, signature=st.sampled_from([None, b"", bytes(64)]))
    def prove(self, access_point: AccessPointId, signature: bytes | None) -> None:
        self.do(self.talk.happens(ProofGiven(access_point=access_point, signature=signature)))

    @rule(access_point=POINTS, opens=st.booleans())
    def move_contact(self, access_point: AccessPointId, opens: bool) -> None:  # noqa: FBT001
        event = ContactOpened(access_point) if opens else ContactClosed(access_point)
        self.do(self.talk.happens(event))

    @rule(up=st.booleans())
    def link(self, up: bool) -> None:  # noqa: FBT001
        self.do(self.talk.happens(LinkUp() if up else LinkDown()))

    @rule()
    def new_beacon(self) -> None:
        self.beacons += 1
        wire = self.talk.service.beacon(issued=NOON + timedelta(seconds=self.beacons))
        self.do(self.talk.happens(BeaconReceived(wire)))

    @rule(seconds=st.floats(0.001, 3.0))
    def time_passes(self, seconds: float) -> None:
        """Let time go on; timers that are due ran out, and the shell has been busy meanwhile or not."""
        self.talk.passes(seconds)

    @precondition(lambda self: self.timers)
    @rule(pick=PICKS)
    def timer_fires(self, pick: int) -> None:
        timer = list(self.timers)[pick % len(self.timers)]
        self.talk.at = max(self.talk.at, self.timers.pop(timer))
        self.do(self.talk.happens(TimerFired(timer)))
        self.forget_given_up()

    @precondition(lambda self: self.appends)
    @rule(pick=PICKS)
    def disk_takes(self, pick: int) -> None:
        """Some of what waits is on disk, the oldest first."""
        taken = self.appends[: 1 + pick % len(self.appends)]
        del self.appends[: len(taken)]
        self.on_disk.update(append.wire for append in taken)
        self.do(self.talk.happens(Appended(taken[-1].number)))

    @precondition(lambda self: self.appends)
    @rule()
    def disk_is_full(self) -> None:
        """Nothing of what waits is on disk, or will be."""
        first, self.appends = self.appends[0], []
        self.do(self.talk.happens(AppendFailed(first.number)))

    @precondition(lambda self: self.settles)
    @rule()
    def disk_notes(self) -> None:
        settles, self.settles = self.settles, []
        for settled in settles:
            self.do(self.talk.happens(settled))

    # -- what the service and the broker do -----------------------------------------------------------------------

    @rule(access_point=POINTS)
    def present_and_grant(self, access_point: AccessPointId) -> None:
        """A card and its true grant, the broker's to deliver: common, so that every other event meets it."""
        self.present(access_point, with_key=False)
        if self.questions:
            self.service_grants(0, 5.0)

    @precondition(lambda self: self.questions)
    @rule(pick=PICKS, valid=st.sampled_from([0.0, 0.5, 5.0]))
    def service_grants(self, pick: int, valid: float) -> None:
        """Sign a true grant, which the broker holds back for as long as it likes."""
        question = self.lately_asked(pick)
        wire = self.talk.service.answer(question.wire, valid=timedelta(seconds=valid))
        self.answers.append((wire, question, valid))

    @precondition(lambda self: self.questions)
    @rule(pick=PICKS)
    def service_denies(self, pick: int) -> None:
        question = self.lately_asked(pick)
        self.do(self.talk.hears(self.talk.service.answer(question.wire, Verdict.DENIED)))
        question.is_open = False

    @precondition(lambda self: self.questions)
    @rule(pick=PICKS, seconds=st.sampled_from([1.0, 20.0, 60.0]))
    def service_asks_for_patience(self, pick: int, seconds: float) -> None:
        """A guard looks: the scan is kept for longer, if it is asked in time, and once."""
        question = self.lately_asked(pick)
        wire = self.talk.service.answer(
            question.wire, Verdict.WAITING, unlock=None, valid=timedelta(seconds=seconds)
        )
        self.do(self.talk.hears(wire))
        in_time = self.talk.at - question.since < DEADLINE
        if question.is_open and question.patience is None and in_time:
            question.patience = seconds

    @precondition(lambda self: self.questions)
    @rule(pick=PICKS, lie=st.sampled_from(["key", "gate", "topic", "type", "message", "recorded"]))
    def somebody_lies(self, pick: int, lie: str) -> None:
        service, question = self.talk.service, self.lately_asked(pick)
        match lie:
            case "key":
                wire = service.answer(question.wire, key=self.talk.key)
            case "gate":
                wire = service.answer(question.wire, gate=OTHER_GATE)
            case "topic":
                wire = service.answer(question.wire, aad=topic(Channel.DECISION, OTHER_GATE))
            case "type":
                wire = service.answer(question.wire, typ="application/pacs-command+cose")
            case "message":
                wire = service.answer(question.wire, message=hashlib.sha256(b"another scan").digest())
            case _:
                wire = service.answer(question.wire, Verdict.RECORDED)
        self.do(self.talk.hears(wire))

    @precondition(lambda self: self.answers)
    @rule(pick=PICKS)
    def broker_delivers(self, pick: int) -> None:
        """Deliver any true grant, in any order, as often as it likes."""
        wire, question, valid = self.answers[-1 - pick % min(len(self.answers), 4)]
        owed = question is not None and self.is_owed(question, valid)
        effects = self.talk.hears(wire)
        if owed:
            assert only(Unlock, effects), "a valid grant was not carried out"
        self.do(effects, may_unlock=question.access_point if owed and question else None)
        if any(shown.signal in {Signal.GRANTED, Signal.BUSY} for shown in only(Show, effects)):
            question.is_open = False

    @precondition(lambda self: self.answers)
    @rule(pick=PICKS, at=PICKS, bit=st.integers(0, 7))
    def broker_alters(self, pick: int, at: int, bit: int) -> None:
        wire, _, _ = self.answers[pick % len(self.answers)]
        at %= len(wire)
        self.do(self.talk.hears(wire[:at] + bytes([wire[at] ^ 1 << bit]) + wire[at + 1 :]))

    @rule(junk=st.binary(max_size=64))
    def broker_invents(self, junk: bytes) -> None:
        self.do(self.talk.hears(junk))
        self.do(self.talk.happens(BeaconReceived(junk)))

    @rule()
    def service_records(self) -> None:
        for sent in self.talk.published[-40:]:
            if not isinstance(self.talk.service.read(sent), Scan):
                self.do(self.talk.hears(self.talk.service.answer(sent.payload, Verdict.RECORDED)))

    def lately_asked(self, pick: int) -> Question:
        return self.questions[-1 - pick % min(len(self.questions), 3)]

    # -- what must stay true --------------------------------------------------------------------------------------

    def forget_given_up(self) -> None:
        """Scans are given up when their deadline timer ran out: the book strikes them off."""
        for question in self.questions:
            if self.talk.at - question.since >= (question.patience or DEADLINE):
                question.is_open = False

    @invariant()
    def every_unlock_names_the_entry_that_allowed_it(self) -> None:
        unlocks = self.talk.controller.tally.unlocks if hasattr(self, "talk") else ()
        assert len(unlocks) == getattr(self, "unlocks", 0)
        assert len({unlock.scan for unlock in unlocks}) == len(unlocks), "one scan released two strikes"


TestNoSequenceOfEventsOpensWithoutAGrant = Gate.TestCase
TestNoSequenceOfEventsOpensWithoutAGrant.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None
)
