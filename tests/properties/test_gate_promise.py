"""Promise 2 at the gate: no sequence of events releases a strike without a valid word of its own, or a way out.

The machine below knows what a broker could send: answers and commands the service did sign (for this gate or another,
early, late, again), such that nobody signed, beacons kept back, and bytes cut and moved; and all that can happen at the gate,
a power cut too. It keeps its own book of what would be valid, from the rules alone. A strike is released from outside for a
grant to an outstanding scan of its access point, or a command to open it; from inside where the settings say so.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devices.core.controller import Exit
from devices.core.door import SHUT, DoorState
from devices.core.events import (
    Append,
    Appended,
    AppendFailed,
    AskProof,
    BeaconReceived,
    CancelTimer,
    CommandReceived,
    ContactClosed,
    ContactOpened,
    Effect,
    EntriesRead,
    ExitRequested,
    FireCleared,
    FireDetected,
    JournalSettled,
    LinkDown,
    LinkUp,
    Lock,
    ProofGiven,
    Publish,
    ReadEntries,
    Restart,
    Settle,
    Show,
    Signal,
    StartTimer,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
    Unlock,
    WallTime,
)
from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import ByToken, ClockQuality, CommandKind, Scan, Verdict
from gatekeeper.model.topics import Channel
from tests.unit.devices.ground import BOOT, CARD, IN, JOURNAL, NOON, OTHER_GATE, OUT, PLAIN, Talk, only, topic

POINTS = st.sampled_from([IN, OUT, PLAIN])
PICKS = st.integers(0, 1 << 30)
BADGE_KEY = cose.SigningKey.generate()
DEADLINE = 5.0
LAG = 5.0
"""How much later than its validity a command may count at the most, whatever the broker keeps back."""
DOORS = {
    IN: {"exit": Exit.RELEASED, "partners": frozenset({OUT})},
    OUT: {"released_by_fire": True},
}


@dataclass
class Question:
    """A scan as the book knows it."""

    wire: bytes
    access_point: AccessPointId
    since: float
    is_open: bool = True
    patience: float | None = None


@dataclass(frozen=True)
class Order:
    """A command as the book knows it; `at` is when the service signed it."""

    wire: bytes
    kind: CommandKind
    access_point: AccessPointId | None
    boot: BootId
    sequence: int
    at: float
    valid: float


class Gate(RuleBasedStateMachine):
    """Everything that can happen to a gate, in any order."""

    @initialize()
    def begin(self) -> None:
        self.talk = Talk(doors=DOORS)
        self.start = self.talk.at
        self.boots = 1
        self.orders: list[Order] = []
        self.beacons: list[bytes] = []
        self.digests: dict[bytes, bytes] = {}
        self.badge = ByToken(self.talk.service.token(badge_key=BADGE_KEY))
        self.questions: list[Question] = []
        self.answers: list[tuple[bytes, Question | None, float]] = []
        self.talk.disk_is_quick = False
        self.appends: list[Append] = []
        self.settles: list[JournalSettled] = []
        self.reads: list[ReadEntries] = []
        self.on_disk: list[Append] = []
        self.settled = 0
        self.wake(BOOT)
        self.do(self.talk.happens(self.talk.started))
        self.do(self.talk.happens(LinkUp()))
        self.new_beacon()

    def wake(self, boot: BootId) -> None:
        """What the book knows of a boot that begins."""
        self.boot = boot
        self.hello: bytes | None = None
        self.is_greeted = False
        self.timers: dict[Timer, float] = {}
        self.made: dict[AccessPointId, float] = {}
        self.unlocks = 0
        self.highest = 0
        self.down: set[AccessPointId] = set()
        self.untimed: Order | None = None
        self.burns = self.is_restarting = False
        for question in self.questions:
            question.is_open = False

    @property
    def noon_and(self) -> datetime:
        """What the service's clock says now."""
        return NOON + timedelta(seconds=self.talk.at - self.start)

    # -- the shell's part -----------------------------------------------------------------------------------------

    def do(
        self,
        effects: list[Effect],
        *,
        may_unlock: AccessPointId | None = None,
        ways_out: Collection[AccessPointId] = (),
    ) -> None:
        """Carry out effects; a strike may move at one place at most, or on the ways out, and only when the book says so."""
        # The shell starts timers in the same instant as it publishes: take those first.
        for effect in sorted(effects, key=lambda effect: not isinstance(effect, StartTimer)):
            match effect:
                case Unlock(access_point=access_point, lasting=lasting):
                    assert lasting <= timedelta(minutes=1)
                    if access_point in ways_out:
                        continue
                    assert access_point == may_unlock, "a strike was released without a grant of its own"
                    assert access_point not in self.down, "a strike was released in a lockdown"
                    assert not self.is_restarting
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
                case Append() | Settle() | ReadEntries():
                    self.disk_is_asked(effect)
                case AskProof() | Lock() | Show():
                    pass
        if only(Restart, effects):
            self.power_is_cut()

    def disk_is_asked(self, effect: Append | Settle | ReadEntries) -> None:
        match effect:
            case Append():
                assert not self.appends or effect.number == self.appends[-1].number + 1
                self.appends.append(effect)
            case Settle(journal=journal, number=number):
                self.settles.append(JournalSettled(journal, number))
            case ReadEntries():
                self.reads.append(effect)

    def seen(self, sent: Publish, wire: bytes) -> None:
        message = self.talk.service.read(sent)
        known = self.digests.setdefault(message.boot + message.sequence.to_bytes(8), wire)
        assert known == wire, "two messages share a number"
        self.hello = self.hello or wire
        if sent.topic == topic(Channel.JOURNAL):
            assert any(append.wire == wire for append in self.on_disk), (
                "an entry went out before it was on disk"
            )
            assert self.is_greeted, "an entry went out before the hello was answered"
        if isinstance(message, Scan) and not any(question.wire == wire for question in self.questions):
            self.questions.append(Question(wire, message.access_point, self.made[message.access_point]))

    def is_owed(self, question: Question | None, valid: float) -> bool:
        """The rules, again and apart: an own scan, still open, its grant still valid, its door closed."""
        if question is None or not question.is_open:
            return False
        limit = min(valid, DEADLINE) if question.patience is None else question.patience
        in_time = self.talk.at - question.since < limit
        return in_time and self.is_free_to_open(question.access_point)

    def is_free_to_open(self, access_point: AccessPointId) -> bool:
        """Closed, nobody on the way out, its partner shut, and no lockdown."""
        door = self.talk.controller.door
        partners = DOORS.get(access_point, {}).get("partners", frozenset())
        is_closed = door(access_point) in {DoorState.LOCKED, DoorState.UNLOCKED}
        return is_closed and access_point not in self.down and all(door(other) in SHUT for other in partners)

    def may_count(self, order: Order) -> bool:
        """The rules for commands, again and apart: of this boot, in order, and not too old on the service's own clock."""
        age = self.talk.at - order.at
        return order.boot == self.boot and order.sequence > self.highest and age < order.valid + LAG

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

    @rule(access_point=POINTS)
    def press_the_exit_button(self, access_point: AccessPointId) -> None:
        is_released = DOORS.get(access_point, {}).get("exit") is Exit.RELEASED
        ready = {*SHUT, DoorState.EXITING}
        is_ready = self.talk.controller.door(access_point) in ready
        effects = self.talk.happens(ExitRequested(access_point))
        if is_released and is_ready:
            assert only(Unlock, effects), "somebody was not let out"
        self.do(effects, ways_out=[access_point] if is_released and is_ready else [])

    @rule(on=st.booleans())
    def fire_input(self, on: bool) -> None:  # noqa: FBT001
        self.burns = on
        self.do(self.talk.happens(FireDetected() if on else FireCleared()), ways_out=[OUT] if on else [])

    @rule(place=st.sampled_from([None, IN, OUT]), opens=st.booleans())
    def housing(self, place: AccessPointId | None, opens: bool) -> None:  # noqa: FBT001
        self.do(self.talk.happens(TamperOpened(place) if opens else TamperCleared(place)))

    @rule(days=st.integers(-10_000, 10_000), quality=st.sampled_from(ClockQuality))
    def wall_clock_jumps(self, days: int, quality: ClockQuality) -> None:
        self.talk.wall = WallTime(NOON + timedelta(days=days), quality)

    @rule()
    def power_is_cut(self) -> None:
        """The program starts anew, and knows nothing of what was asked or ordered."""
        self.boots += 1
        boot = BootId(self.boots.to_bytes(8))
        self.wake(boot)
        # What waited for the disk is lost, and its numbers are free: nobody has seen them. What the disk took is all there.
        self.appends, self.settles, self.reads = [], [], []
        before = len(self.talk.did)
        self.talk.restarts(self.talk.controller.remembered, boot=boot)
        self.do(self.talk.did[before:])

    @rule()
    def new_beacon(self) -> None:
        """The service's beacon of now, heard at once; the broker may send it again at any time."""
        self.talk.passes(0.001)
        wire = self.talk.service.beacon(issued=self.noon_and)
        self.beacons.append(wire)
        self.do(self.talk.happens(BeaconReceived(wire)))

    @rule()
    def beacon_is_kept_back(self) -> None:
        self.talk.passes(0.001)
        self.beacons.append(self.talk.service.beacon(issued=self.noon_and))

    @rule(pick=PICKS)
    def broker_delivers_a_beacon(self, pick: int) -> None:
        self.do(self.talk.happens(BeaconReceived(self.beacons[pick % len(self.beacons)])))

    @rule(seconds=st.floats(0.001, 3.0))
    def time_passes(self, seconds: float) -> None:
        """Let time go on; timers that are due ran out, and the shell has been busy meanwhile or not."""
        self.talk.passes(seconds)

    @precondition(lambda self: self.timers)
    @rule(pick=PICKS)
    def timer_fires(self, pick: int) -> None:
        timer = list(self.timers)[pick % len(self.timers)]
        self.talk.at = max(self.talk.at, self.timers.pop(timer))
        free = [OUT] if self.burns and timer == Timer(TimerKind.FIRE, OUT) else []
        self.do(self.talk.happens(TimerFired(timer)), ways_out=free)
        self.forget_given_up()

    @precondition(lambda self: self.appends)
    @rule(pick=PICKS)
    def disk_takes(self, pick: int) -> None:
        """Some of what waits is on disk, the oldest first."""
        taken = self.appends[: 1 + pick % len(self.appends)]
        del self.appends[: len(taken)]
        self.on_disk += taken
        self.talk.disk.append(taken)
        assert [append.number for append in self.on_disk] == list(range(1, len(self.on_disk) + 1))
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
            assert settled.number >= self.settled
            self.settled = settled.number
            self.talk.disk.settle(settled.journal, settled.number)
            self.do(self.talk.happens(settled))

    @precondition(lambda self: self.reads)
    @rule()
    def disk_reads(self) -> None:
        reads, self.reads = self.reads, []
        for read in reads:
            entries = self.talk.disk.read(read.journal, read.after, read.most)
            self.do(self.talk.happens(EntriesRead(read.journal, tuple(entries))))

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
        wire = self.talk.service.answer(question.wire, valid=timedelta(seconds=valid), issued=self.noon_and)
        self.answers.append((wire, question, valid))

    @precondition(lambda self: self.questions)
    @rule(pick=PICKS)
    def service_denies(self, pick: int) -> None:
        question = self.lately_asked(pick)
        self.do(
            self.talk.hears(self.talk.service.answer(question.wire, Verdict.DENIED, issued=self.noon_and))
        )
        question.is_open = False

    @precondition(lambda self: self.questions)
    @rule(pick=PICKS, seconds=st.sampled_from([1.0, 20.0, 60.0]))
    def service_asks_for_patience(self, pick: int, seconds: float) -> None:
        """A guard looks: the scan is kept for longer, if it is asked in time, and once."""
        question = self.lately_asked(pick)
        wire = self.talk.service.answer(
            question.wire,
            Verdict.WAITING,
            unlock=None,
            valid=timedelta(seconds=seconds),
            issued=self.noon_and,
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
        settled = {Signal.GRANTED, Signal.BUSY, Signal.LOCKDOWN}
        if any(shown.signal in settled for shown in only(Show, effects)):
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
            message = self.talk.service.read(sent)
            if not isinstance(message, Scan) and message.boot in {self.boot, JOURNAL}:
                self.is_greeted |= sent.payload == self.hello
                recorded = self.talk.service.answer(sent.payload, Verdict.RECORDED, issued=self.noon_and)
                self.hears_recorded(recorded)

    def hears_recorded(self, wire: bytes) -> None:
        """An answer tells the time: the newest command that came before it was known may count by now."""
        untimed, controller = self.untimed, self.talk.controller
        before = self.commands_ignored()
        opens = self.may_open(untimed) if untimed is not None else None
        effects = self.talk.hears(wire)
        if untimed is not None and controller._orders.untimed is None:
            self.untimed = None
            counted = self.commands_ignored() == before
            assert self.may_count(untimed) or not counted, "a command counted that must not"
            self.heard(untimed, counted=counted)
        self.do(effects, may_unlock=opens)

    # -- commands -------------------------------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from(CommandKind),
        access_point=POINTS,
        whole=st.booleans(),
        valid=st.sampled_from([0.5, 10.0]),
        old_boot=st.booleans(),
    )
    def service_commands(
        self,
        kind: CommandKind,
        access_point: AccessPointId,
        whole: bool,  # noqa: FBT001
        valid: float,
        old_boot: bool,  # noqa: FBT001
    ) -> None:
        """Sign a true command, which the broker holds back for as long as it likes."""
        one = kind is CommandKind.OPEN or (kind is not CommandKind.REBOOT and not whole)
        self.sign(kind, access_point if one else None, valid, BOOT if old_boot else self.boot)

    def sign(
        self, kind: CommandKind, access_point: AccessPointId | None, valid: float, boot: BootId
    ) -> Order:
        duration = timedelta(seconds=valid)
        wire = self.talk.service.command(kind, access_point, boot=boot, valid=duration, issued=self.noon_and)
        sequence = self.talk.service.commands
        order = Order(wire, kind, access_point, boot, sequence, self.talk.at, valid)
        self.orders.append(order)
        return order

    @precondition(lambda self: self.orders)
    @rule(pick=PICKS)
    def broker_delivers_a_command(self, pick: int) -> None:
        """Deliver any true command, in any order, as often as it likes."""
        self.deliver(self.orders[-1 - pick % min(len(self.orders), 4)])

    def deliver(self, order: Order) -> list[Effect]:
        may_count, opens, boot = self.may_count(order), self.may_open(order), self.boot
        before, untimed = self.commands_ignored(), self.untimed_commands()
        effects = self.talk.happens(CommandReceived(order.wire))
        counted = self.commands_ignored() == before
        assert may_count or not counted, "a command counted that must not"
        self.do(effects, may_unlock=opens)
        if self.untimed_commands() > untimed:
            self.untimed = order
        elif boot == self.boot == order.boot:
            self.heard(order, counted=counted)
        return effects

    def may_open(self, order: Order) -> AccessPointId | None:
        """Which door a command may open now, if any."""
        door = order.access_point if order.kind is CommandKind.OPEN and self.may_count(order) else None
        return door if door is not None and self.is_free_to_open(door) else None

    def commands_ignored(self) -> int:
        ignored = self.talk.controller.tally.ignored
        return sum(count for code, count in ignored.items() if code.startswith("command-"))

    def untimed_commands(self) -> int:
        return self.talk.controller.tally.ignored["command-untimed"]

    def heard(self, order: Order, *, counted: bool) -> None:
        self.highest = max(self.highest, order.sequence)
        self.note(order, counted=counted)

    def note(self, order: Order, *, counted: bool) -> None:
        doors = {order.access_point} if order.access_point is not None else {IN, OUT, PLAIN}
        match order.kind:
            case CommandKind.LOCK_DOWN if counted:
                self.down |= doors
            case CommandKind.RELEASE if counted:
                self.down -= doors
            case CommandKind.REBOOT if counted:
                self.is_restarting = True

    @rule(access_point=POINTS)
    def officer_opens(self, access_point: AccessPointId) -> None:
        """A command that the broker does not touch opens, once the gate can tell the time."""
        self.service_records()
        self.new_beacon()
        order = self.sign(CommandKind.OPEN, access_point, 10.0, self.boot)
        is_owed = self.is_free_to_open(access_point) and not self.is_restarting
        untimed = self.untimed_commands()
        effects = self.deliver(order)
        if is_owed and self.untimed_commands() == untimed:
            assert only(Unlock, effects), "a valid command was not carried out"

    @rule(access_point=st.none() | POINTS, on=st.booleans())
    def officer_locks_down_or_releases(self, access_point: AccessPointId | None, on: bool) -> None:  # noqa: FBT001
        self.service_records()
        self.new_beacon()
        self.deliver(
            self.sign(CommandKind.LOCK_DOWN if on else CommandKind.RELEASE, access_point, 10.0, self.boot)
        )

    @rule(access_point=POINTS, seconds=st.floats(0.1, 100.0))
    def broker_keeps_a_command_back(self, access_point: AccessPointId, seconds: float) -> None:
        order = self.sign(CommandKind.OPEN, access_point, 10.0, self.boot)
        self.talk.passes(seconds)
        self.new_beacon()
        self.deliver(order)

    @rule(access_point=POINTS, seconds=st.floats(0.1, 100.0))
    def broker_keeps_everything_back_from_the_start(
        self, access_point: AccessPointId, seconds: float
    ) -> None:
        """All that the service says to a new boot comes as late as the command."""
        self.power_is_cut()
        self.talk.passes(0.001)
        beacon = self.talk.service.beacon(issued=self.noon_and)
        [hello] = self.talk.published
        answer = self.talk.service.answer(hello.payload, Verdict.RECORDED, issued=self.noon_and)
        self.is_greeted = True
        order = self.sign(CommandKind.OPEN, access_point, 10.0, self.boot)
        self.talk.passes(seconds)
        self.do(self.talk.happens(BeaconReceived(beacon)))
        self.do(self.talk.hears(answer))
        self.deliver(order)

    @rule(access_point=POINTS, lie=st.sampled_from(["key", "gate", "topic", "type", "boot", "long"]))
    def somebody_commands(self, access_point: AccessPointId, lie: str) -> None:
        how = {
            "key": {"key": self.talk.key},
            "gate": {"gate": OTHER_GATE},
            "topic": {"aad": topic(Channel.COMMAND, OTHER_GATE)},
            "type": {"typ": "application/pacs-decision+cose"},
            "boot": {"boot": BootId(b"unknown.")},
            "long": {"valid": timedelta(seconds=60)},
        }[lie]
        wire = self.talk.service.command(
            CommandKind.OPEN, access_point, **{"boot": self.boot, "issued": self.noon_and, **how}
        )
        self.do(self.talk.happens(CommandReceived(wire)))

    @precondition(lambda self: self.orders)
    @rule(pick=PICKS, at=PICKS, bit=st.integers(0, 7))
    def broker_alters_a_command(self, pick: int, at: int, bit: int) -> None:
        wire = self.orders[pick % len(self.orders)].wire
        at %= len(wire)
        self.do(self.talk.happens(CommandReceived(wire[:at] + bytes([wire[at] ^ 1 << bit]) + wire[at + 1 :])))

    @precondition(lambda self: self.orders and self.answers)
    @rule(pick=PICKS)
    def broker_swaps_topics(self, pick: int) -> None:
        self.do(self.talk.hears(self.orders[pick % len(self.orders)].wire))
        self.do(self.talk.happens(CommandReceived(self.answers[pick % len(self.answers)][0])))

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
    max_examples=60, stateful_step_count=80, deadline=None
)
