"""One gate, whole: what it asks of the service, what it believes, and when it moves a strike.

    card -> (proof) -> scan, sent again every 300 ms -> answer -> unlock -> contact -> passage
                                                     -> deadline: denied, passage not taken

The rules (DESIGN, sections 3 and 4):

1. Every message up is numbered and signed once; sent again, it is the same bytes, until it is answered. What happened at
   the gate stands in its journal first, on disk, and is published from there (see `upstream`).
2. From outside a strike is released by two things only. One is an answer that the service signed for this gate, granted,
   to a scan that is still unanswered, within the answer's validity counted on the monotonic clock from when the scan was
   first sent; at the access point of that scan, once. The other is a command to open one door, signed for this boot of this
   gate, in time (`commands`), once. Everything else that comes down is counted and changes nothing.
3. Doubt denies: without a beacon that is fresh on the same clock no scan is made, and a scan without an answer is given
   up. Then the gate says that nobody went through, in case the answer was lost on its way down. The service may ask
   once for more patience, a minute at most, while a guard looks at a face; that opens nothing.
4. One scan at a time at an access point; at a door with a contact, only while it is closed and locked. At a door of an
   interlock a card is held until the service has answered all that was said of that door: the two streams have no order
   between them, and a word of before must not look like one after the scan. A reader that is tampered with is not asked:
   what it reads may have been shown to nobody.
5. What the service signs of its log is remembered, and what contradicts it is told upward, once; it moves no strike.
6. From inside a strike is released on the exit button where the settings of the door say so, and while the fire input is on
   where they say that. Both are told. Free egress belongs in hardware, and no order of the service ends it.
7. The doors that a lockdown holds shut are forgotten over a restart: the service repeats it to every gate that says hello. That
   there was one is on disk, and the gate decides nothing alone until a standing of later says what is the case.
8. When nobody answers within 700 ms, or nobody is there to ask, the gate decides from what the service signed beforehand (see
   `standby`), where the site lets it; and lets in nobody before it stands in the journal, on disk.

Time comes in with each event (`at`, monotonic seconds), the wall clock too, and no grant of the service depends on it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias, assert_never

from devices.core.alone import Alone, AloneDecision
from devices.core.belief import Beacons, Ignored, read_answer
from devices.core.checkpoints import CheckpointMemory, Checkpoints, Contradiction
from devices.core.commands import Commands, Obeyed, ServiceTime
from devices.core.credential import asks_for_proof, fits_a_scan
from devices.core.door import SHUT, DoorAct, DoorInput, DoorState, standing, step
from devices.core.events import (
    AnswerReceived,
    Appended,
    AppendFailed,
    AskProof,
    BeaconReceived,
    CallOut,
    CancelTimer,
    CardPresented,
    CheckpointReceived,
    CommandReceived,
    ContactClosed,
    ContactOpened,
    Effect,
    EntriesRead,
    Event,
    ExitRequested,
    FireCleared,
    FireDetected,
    JournalBegun,
    JournalSettled,
    KeepCheckpoints,
    LinkDown,
    LinkUp,
    Lock,
    ProofGiven,
    ReaderHeard,
    ReaderLost,
    Restart,
    Show,
    Signal,
    SnapshotReceived,
    StandingReceived,
    Started,
    StartTimer,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
    TrustReceived,
    Unlock,
    WallTime,
    Warn,
)
from devices.core.journal import Entry, Journal, JournalBounds
from devices.core.outbox import Outbox, Sent
from devices.core.standby import NO_BEACON, Held, PolicyEvent, Standby
from devices.core.tally import Tally, Unlocked
from devices.core.timekeeping import ClockDoubt
from devices.core.upstream import Upstream
from gatekeeper import cose
from gatekeeper.core.trust import Anchor, Trust
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import (
    Answer,
    ClockQuality,
    Command,
    CommandKind,
    Credential,
    Hello,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
    proof_digest_input,
)
from gatekeeper.model.places import Direction
from gatekeeper.model.topics import Channel, beacon_topic, checkpoint_topic, gate_topic

__all__ = ["Controller", "Doorway", "Exit", "Limits"]

_Felt: TypeAlias = (
    ContactOpened
    | ContactClosed
    | TamperOpened
    | TamperCleared
    | ReaderHeard
    | ReaderLost
    | ExitRequested
    | FireDetected
    | FireCleared
)
_Told: TypeAlias = Literal[
    DoorAct.TELL_TAKEN,
    DoorAct.TELL_NOT_TAKEN,
    DoorAct.TELL_WITHHELD,
    DoorAct.TELL_EXIT,
    DoorAct.TELL_EXITED,
    DoorAct.TELL_FORCED,
    DoorAct.TELL_HELD,
    DoorAct.TELL_CLOSED,
    DoorAct.TELL_SHUT,
]
"""What a door has to say: a further act must be one of these, or be done in `Controller._act`."""
_LaneTimer: TypeAlias = Literal[
    TimerKind.HELD_CARD,
    TimerKind.PROOF,
    TimerKind.RESEND,
    TimerKind.DEADLINE,
    TimerKind.ALONE,
    TimerKind.UNLOCK,
    TimerKind.WARNED,
    TimerKind.HELD,
    TimerKind.FIRE,
]


class Exit(StrEnum):
    """How somebody inside gets out with the button: `WIRED` breaks the strike's circuit itself, the gate only hears of it."""

    WIRED = "wired"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """An access point as its gate knows it.

    `interlocked` says that other doors wait until this one is shut; `held` is how long it may stay open, `warned` how long
    until it asks to be closed. `partners` are the doors at this gate that must be shut before this one is released.
    """

    id: AccessPointId
    direction: Direction
    has_contact: bool
    interlocked: bool
    warned: timedelta
    held: timedelta
    exit: Exit = Exit.WIRED
    released_by_fire: bool = False
    partners: frozenset[AccessPointId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the gate waits.

    `longest_unlock` binds even the service; `exit` is from the button to the opening; after `alone` without an answer the gate may decide.
    """

    proof: timedelta = timedelta(seconds=2)
    resend: timedelta = timedelta(milliseconds=300)
    resend_most: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(seconds=5)
    longest_unlock: timedelta = timedelta(seconds=60)
    held_card: timedelta = timedelta(seconds=2)
    alone: timedelta = timedelta(milliseconds=700)
    exit: timedelta = timedelta(seconds=10)
    restart: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A badge is proving its key."""

    credential: Credential
    beacon: bytes
    gate_random: bytes
    sealed_pin: bytes | None
    since: float
    alone: bool = False
    """Whether nobody is there to answer, so that the gate decides."""


@dataclass(slots=True)
class _Lane:
    """What is the case at one access point."""

    doorway: Doorway
    door: DoorState = DoorState.LOCKED

    # What is being asked: of the badge, then of the service; or what waits to be.
    held: CardPresented | None = None
    asked: _Asked | None = None
    scan: Sent | None = None
    patience: timedelta | None = None
    deciding: bool = False
    """Whether a decision of the gate's own is on its way to the disk."""

    # What is granted now, and what the strike was released for last, until the door is locked again.
    offered: bytes | None = None
    granted: bytes | None = None
    unlock: timedelta = timedelta()

    # Which orders stand.
    is_locked_down: bool = False
    is_freed: bool = False

    @property
    def takes_cards(self) -> bool:
        idle = self.asked is None and self.scan is None and self.held is None and not self.deciding
        return idle and (self.door in SHUT or not (self.doorway.has_contact or self.is_freed))


class Controller:
    """The machine of one gate. Feed it `Started` first; what it gives back is to be done in order."""

    def __init__(
        self,
        *,
        gate: GateId,
        prefix: str,
        key: cose.SigningKey,
        trust: Trust,
        doorways: Iterable[Doorway],
        boot: BootId,
        agent: str,
        bounds: JournalBounds | None = None,
        checkpoints: CheckpointMemory | None = None,
        anchor: Anchor | None = None,
        held: Held | None = None,
        limits: Limits | None = None,
    ) -> None:
        # Who we are, and whom we believe.
        self.tally: Final = Tally()
        self._gate: Final = gate
        self._agent: Final = agent
        self._limits: Final = limits or Limits()
        self._standby: Final = Standby(
            gate=gate, key=key.kid, prefix=prefix, trust=trust, anchor=anchor, held=held or Held()
        )
        self._decision_topic: Final = gate_topic(trust.site, gate, Channel.DECISION, prefix=prefix)

        # What we wait for.
        self._lanes: Final = {doorway.id: _Lane(doorway) for doorway in doorways}
        self._up: Final = Upstream(
            outbox=Outbox(site=trust.site, gate=gate, prefix=prefix, key=key, boot=boot),
            journal=Journal(
                topic=gate_topic(trust.site, gate, Channel.JOURNAL, prefix=prefix),
                key=key,
                bounds=bounds or JournalBounds(),
            ),
            resend=self._limits.resend,
            resend_most=self._limits.resend_most,
            tally=self.tally,
            do=self._do,
            full=self._journal_full,
            ask=self._ask_for_answer,
        )
        self._beacons: Final = Beacons(
            site=trust.site, topic=beacon_topic(trust.site, prefix=prefix), keys=trust.decisions
        )
        self._checkpoints: Final = Checkpoints(
            topic=checkpoint_topic(trust.site, prefix=prefix),
            trust=trust,
            memory=checkpoints or CheckpointMemory(),
        )
        self._commands: Final = Commands(
            gate=gate,
            boot=boot,
            topic=gate_topic(trust.site, gate, Channel.COMMAND, prefix=prefix),
            keys=trust.decisions,
        )
        self._time: Final = ServiceTime()
        self._untimed: bytes | None = None
        self._refused: set[Ignored] = set()
        self._tampered: set[AccessPointId | None] = set()
        self._is_burning = False
        self._is_restarting = False
        self._last_word: bytes | None = None
        self._warned: set[Ignored] = set()
        self._doubted = False
        self._started = False

        # The step under way.
        self._at = 0.0
        self._wall: WallTime | None = None
        self._effects: list[Effect] = []

    @property
    def _trust(self) -> Trust:
        return self._standby.trust

    def door(self, access_point: AccessPointId) -> DoorState:
        """What the door of an access point is."""
        return self._lanes[access_point].door

    @property
    def remembered(self) -> CheckpointMemory:
        """What it remembers of the site's log."""
        return self._checkpoints.memory

    def has_told(self, access_point: AccessPointId) -> bool:
        """Whether the service has recorded all that happened at an access point."""
        return not self._up.speaks_of(access_point)

    def has_service(self, *, at: float) -> bool:
        """Whether a card presented now would be asked about: the service was heard lately."""
        return self._beacons.fresh(at=at) is not None

    def step(self, event: Event, *, at: float, wall: WallTime | None = None) -> list[Effect]:
        """Take one event, in order. Raises KeyError for an access point that is not of this gate."""
        if self._started is isinstance(event, Started):
            raise ValueError("a controller is started once, before anything else")
        self._at, self._wall, self._effects = at, wall, []
        self._standby.time.seen(wall, at=at)
        match event:
            case Started():
                self._start_up(event)
            case LinkUp() | LinkDown():
                self._link(up=isinstance(event, LinkUp))
            case Appended() | AppendFailed() | JournalSettled() | EntriesRead() | JournalBegun():
                self._journal_says(event)
            case CardPresented():
                self._card(self._lanes[event.access_point], event)
            case ProofGiven():
                self._proof(self._lanes[event.access_point], event.signature)
            case AnswerReceived() | BeaconReceived() | CheckpointReceived() | CommandReceived():
                self._hear(event)
            case SnapshotReceived() | StandingReceived() | TrustReceived():
                self._policy(event)
            case TimerFired(timer):
                self._timer(timer)
            case _:
                self._feel(event)
        return self._effects

    def _hear(self, event: AnswerReceived | BeaconReceived | CheckpointReceived | CommandReceived) -> None:
        """Take what came down."""
        match event:
            case AnswerReceived(wire):
                self._answer(wire)
            case BeaconReceived(wire):
                self._beacon(wire)
            case CheckpointReceived(wire):
                self._checkpoint(wire)
            case CommandReceived(wire):
                self._command(wire)
            case _:
                assert_never(event)

    def _feel(self, event: _Felt) -> None:
        """Take what a door, a button, a housing or the fire panel says."""
        match event:
            case ContactOpened(access_point) | ContactClosed(access_point):
                self._contact(self._lanes[access_point], opened=isinstance(event, ContactOpened))
            case TamperOpened(place) | TamperCleared(place) | ReaderHeard(place) | ReaderLost(place):
                if isinstance(event, TamperOpened):
                    self._tampered.add(place)
                elif isinstance(event, TamperCleared):
                    self._tampered.discard(place)
                self._tell(_TOLD[type(event)], place)
            case ExitRequested(access_point):
                lane = self._lanes[access_point]
                released = lane.doorway.exit is Exit.RELEASED
                self._door(lane, DoorInput.LET_OUT if released else DoorInput.EXIT)
            case FireDetected() | FireCleared():
                self._fire(on=isinstance(event, FireDetected))
            case _:
                assert_never(event)

    # -- the way of a card --------------------------------------------------------------------------------------------

    def _card(self, lane: _Lane, card: CardPresented) -> None:
        beacon = self._beacons.fresh(at=self._at)
        if not self._tampered.isdisjoint({None, lane.doorway.id}):
            self.tally.tampered += 1
            self._show(lane, Signal.TAMPERED)
        elif self._is_restarting or not lane.takes_cards:
            self.tally.busy += 1
            self._show(lane, Signal.BUSY)
        elif not fits_a_scan(card.credential):
            self._show(lane, Signal.DENIED)
        elif beacon is None or not self._up.has_room_for_scan:
            self._ask_alone(lane, card)
        elif lane.doorway.interlocked and self._up.speaks_of(lane.doorway.id):
            lane.held = card
            self._start(lane, TimerKind.HELD_CARD, self._limits.held_card)
        else:
            asked = _Asked(
                credential=card.credential,
                beacon=beacon,
                gate_random=card.gate_random,
                sealed_pin=card.sealed_pin,
                since=self._at,
            )
            if asks_for_proof(card.credential):
                self._ask_proof(lane, asked)
            else:
                self._scan(lane, asked, proof=None, round_trip=None)

    def _ask_alone(self, lane: _Lane, card: CardPresented) -> None:
        """Nobody is there to answer: look at the badge all the same, where the gate may decide."""
        if not self._standby.may_decide(lane.doorway.id):
            self._no_service(lane)
            return
        newest = self._beacons.newest
        asked = _Asked(
            credential=card.credential,
            beacon=newest.value if newest is not None else NO_BEACON,
            gate_random=card.gate_random,
            sealed_pin=card.sealed_pin,
            since=self._at,
            alone=True,
        )
        if asks_for_proof(card.credential):
            self._ask_proof(lane, asked)
        else:
            self._scan(lane, asked, proof=None, round_trip=None)

    def _take_held_cards(self) -> None:
        """Ask about the cards that waited until the service had answered all that was said of their door."""
        for lane in self._lanes.values():
            card = lane.held
            if card is not None and not self._up.speaks_of(lane.doorway.id):
                lane.held = None
                self._cancel(lane, TimerKind.HELD_CARD)
                self._card(lane, card)

    def _let_go_of_card(self, lane: _Lane) -> None:
        if lane.held is not None:
            lane.held = None
            self._no_service(lane)

    def _no_service(self, lane: _Lane) -> None:
        self.tally.no_service += 1
        self._show(lane, Signal.NO_SERVICE)

    def _ask_proof(self, lane: _Lane, asked: _Asked) -> None:
        lane.asked = asked
        signed = proof_digest_input(
            site=self._trust.site,
            gate=self._gate,
            direction=lane.doorway.direction.value,
            beacon=asked.beacon,
            gate_random=asked.gate_random,
        )
        self._do(AskProof(access_point=lane.doorway.id, digest=sha256(signed).digest()))
        self._start(lane, TimerKind.PROOF, self._limits.proof)

    def _proof(self, lane: _Lane, signature: bytes | None) -> None:
        """Send the scan with whatever the badge gave: one that proved nothing is denied, and stands in the log."""
        asked, lane.asked = lane.asked, None
        if asked is None:
            return
        self._cancel(lane, TimerKind.PROOF)
        if signature is None or len(signature) not in _SIGNATURE_BYTES:
            self._scan(lane, asked, proof=None, round_trip=None)
            return
        proof = Proof(gate_random=asked.gate_random, signature=signature)
        self._scan(lane, asked, proof=proof, round_trip=timedelta(seconds=self._at - asked.since))

    def _scan(self, lane: _Lane, asked: _Asked, *, proof: Proof | None, round_trip: timedelta | None) -> None:
        scan = Scan(
            **self._stamp(),
            access_point=lane.doorway.id,
            credential=asked.credential,
            beacon=asked.beacon,
            proof=proof,
            round_trip=round_trip,
            offline_verdict=None,
            offline_policy=None,
            sealed_pin=asked.sealed_pin,
        )
        if asked.alone:
            self._decide_alone(lane, scan)
            return
        lane.scan = self._up.send(scan, at=self._at)
        lane.patience = None
        self.tally.scans += 1
        self._start(lane, TimerKind.RESEND, self._limits.resend)
        self._start(lane, TimerKind.DEADLINE, self._limits.deadline)
        if self._standby.may_decide(lane.doorway.id):
            self._start(lane, TimerKind.ALONE, self._limits.alone)

    def _scan_again(self, lane: _Lane) -> None:
        if lane.scan is not None:
            self.tally.repeats += 1
            self._up.publish(lane.scan)
            self._start(lane, TimerKind.RESEND, self._limits.resend)

    def _give_up(self, lane: _Lane) -> None:
        """Nobody was let in on this scan, whatever the service may have answered."""
        sent = lane.scan
        if sent is None:
            return
        self.tally.given_up += 1
        self._settle_scan(lane, sent, later=Ignored.ANSWER_LATE)
        self._show(lane, Signal.DENIED)
        self._report(lane, PassageOutcome.NOT_TAKEN, scan=sent.digest)

    # -- alone --------------------------------------------------------------------------------------------------------

    def _decide_instead(self, lane: _Lane) -> None:
        """The service does not answer: let in whom the gate may let in, and go on waiting for anybody else."""
        sent = lane.scan
        if sent is None or lane.patience is not None or not isinstance(sent.message, Scan):
            return
        decision = self._decide(lane, sent.message)
        if decision.granted:
            self._let_go_of_scan(lane)
            self._up.give_over(sent)
            # Whatever the service may answer yet, nobody passes on it.
            self._report(lane, PassageOutcome.NOT_TAKEN, scan=sent.digest)
            self._write_alone(lane, sent.message, decision)

    def _decide(self, lane: _Lane, scan: Scan) -> AloneDecision:
        """What the gate says by itself; an order of the service that stands is stronger."""
        if lane.is_locked_down:
            return AloneDecision(said=Alone.LOCKDOWN)
        return self._standby.decide(scan, lane.doorway.direction, wall=self._wall, at=self._at)

    def _decide_alone(self, lane: _Lane, scan: Scan) -> None:
        decision = self._decide(lane, scan)
        if decision.granted:
            self._write_alone(lane, scan, decision)
            return
        self.tally.alone[decision.said] += 1
        self._up.tell(self._past(scan, Verdict.DENIED), at=self._at)
        if decision.said.may_wait:
            self._no_service(lane)
        else:
            self._show(lane, Signal.DENIED)

    def _past(self, scan: Scan, verdict: Verdict) -> Scan:
        """A scan as it is told afterwards: decided, and from which snapshot."""
        return replace(
            scan,
            **self._stamp(),
            offline_verdict=verdict,
            offline_policy=self._standby.digest,
            sealed_pin=None,
        )

    def _write_alone(self, lane: _Lane, scan: Scan, decision: AloneDecision) -> None:
        """Let somebody in once it stands in the journal, on disk; and not at all when it cannot.

        INVARIANT: nothing opens unrecorded (promise 1), at a gate that is alone too.
        """
        lane.deciding = True
        since = self._at
        # Counted from the decision on: while the disk writes, the same badge may be at another door.
        take_back = self._standby.let_in(decision, wall=self._wall, at=since)
        self._up.write(
            self._past(scan, Verdict.GRANTED),
            then=lambda entry: self._let_in_alone(lane, decision, entry, take_back, since=since),
            otherwise=lambda: self._not_recorded(lane, take_back),
        )

    def _let_in_alone(
        self,
        lane: _Lane,
        decision: AloneDecision,
        entry: Entry,
        take_back: Callable[[], None],
        *,
        since: float,
    ) -> None:
        lane.deciding = False
        scan = sha256(entry.wire).digest()
        if self._at - since >= self._limits.deadline.total_seconds():
            # The disk took so long that whoever asked has gone.
            take_back()
            self._report(lane, PassageOutcome.NOT_TAKEN, scan=scan)
            self._show(lane, Signal.DENIED)
            return
        self.tally.alone[decision.said] += 1
        if self._release(lane, scan, unlock=decision.unlock, entry=None):
            self._show(lane, Signal.GRANTED)
        else:
            take_back()
            self._show(lane, Signal.LOCKDOWN if lane.is_locked_down else Signal.BUSY)

    def _not_recorded(self, lane: _Lane, take_back: Callable[[], None]) -> None:
        lane.deciding = False
        take_back()
        self._no_service(lane)

    def _policy(self, event: PolicyEvent) -> None:
        taken = self._standby.take(event, at=self._at)
        if isinstance(taken, Ignored):
            self._refuse_policy(taken)
        else:
            for kept in taken:
                self._do(kept)
            if isinstance(event, TrustReceived):
                self._believe_anew()
        self._doubt_clock()

    def _believe_anew(self) -> None:
        """Another trust list: other keys may decide and command, and sign the log."""
        self._beacons.keys = self._commands.keys = self._trust.decisions
        self._checkpoints.believe(self._trust)

    def _refuse_policy(self, refused: Ignored) -> None:
        self._ignore(refused)
        if self._standby.is_news(refused):
            self._do(Warn(refused))
            self._tell(StatusKind.POLICY_REFUSED, None)

    def _doubt_clock(self) -> None:
        """Tell once in a boot that the wall clock and what the service signs are apart."""
        doubt = self._standby.time.doubt(self._wall, at=self._at)
        if doubt in {ClockDoubt.BEHIND, ClockDoubt.APART} and not self._doubted:
            self._doubted = True
            self._tell(StatusKind.CLOCK_DOUBTED, None)

    # -- what comes down ----------------------------------------------------------------------------------------------

    def _answer(self, wire: bytes) -> None:
        answer = read_answer(wire, gate=self._gate, topic=self._decision_topic, keys=self._trust.decisions)
        if isinstance(answer, Ignored):
            self._ignore(answer)
            return
        asked = self._up.asked(answer.message)
        # The journal's entries may be of a former boot: their answers are as old as they like, and tell no time.
        if isinstance(asked, Sent):
            self._time.answered(answer.issued, asked=asked.since, at=self._at)
        match asked:
            case Ignored():
                self._ignore(asked)
            case Sent(message=Scan()) if self._up.is_given_over(asked):
                self._up.recorded(asked, answer.message, at=self._at)
                self._ignore(Ignored.ANSWER_LATE)
            case Sent(message=Scan(access_point=access_point)):
                self._decided(self._lanes[access_point], asked, answer)
            case Sent() | Entry() if answer.verdict is Verdict.RECORDED:
                self._recorded(asked, answer.message)
            case _:
                self._ignore(Ignored.ANSWER_MISPLACED)

    def _recorded(self, recorded: Sent | Entry, digest: bytes) -> None:
        """The service has written down what was told."""
        self._up.recorded(recorded, digest, at=self._at)
        if digest == self._last_word:
            self._start_anew()
        elif isinstance(recorded, Sent):
            # All answers took too long to tell the time by, as after a start without a link: ask once more.
            self._ask_the_time()
            self._command_again()
        self._take_held_cards()

    def _ask_the_time(self) -> None:
        """Ask for an answer that tells the service's time; not while it is known, or is asked for already."""
        if not (self._time.is_measured(at=self._at) or self._up.keeps_more):
            self._ask_for_answer()

    def _ask_for_answer(self) -> None:
        """Tell what needs no telling: the answer to it tells that the service is there, and its time."""
        online = Status(**self._stamp(), kind=StatusKind.ONLINE, access_point=None)
        self._up.keep(online, at=self._at)

    def _decided(self, lane: _Lane, sent: Sent, answer: Answer) -> None:
        waited = timedelta(seconds=self._at - sent.since)
        match answer:
            case Answer(verdict=Verdict.DENIED):
                self.tally.denied += 1
                signal = Signal.DENIED
                self._settle_scan(lane, sent, later=Ignored.ANSWER_REPEATED)
            case Answer(verdict=Verdict.WAITING):
                self._be_patient(lane, answer, waited)
                return
            case Answer(verdict=Verdict.GRANTED, unlock=timedelta() as unlock):
                # INVARIANT: a grant counts while it is valid, since the scan was first sent, on the monotonic clock.
                limit = min(answer.valid, self._limits.deadline) if lane.patience is None else lane.patience
                if not timedelta() <= waited < limit:
                    self._ignore(Ignored.ANSWER_LATE)
                    return
                self.tally.granted += 1
                self._settle_scan(lane, sent, later=Ignored.ANSWER_REPEATED)
                signal = self._let_in(lane, sent, answer, unlock)
            case _:
                self._ignore(Ignored.ANSWER_MISPLACED)
                return
        self.tally.latencies.append(waited)
        self._show(lane, signal, reason=answer.reason, entry=answer.entry, waited=waited)

    def _be_patient(self, lane: _Lane, answer: Answer, waited: timedelta) -> None:
        """Keep a scan for as long as a guard may take, counted from when it was first sent; asked once, and in time."""
        if lane.patience is not None:
            return
        if not timedelta() <= waited < self._limits.deadline:
            self._ignore(Ignored.ANSWER_LATE)
            return
        lane.patience = answer.valid
        self._start(lane, TimerKind.DEADLINE, max(answer.valid - waited, timedelta()))
        self._show(lane, Signal.WAITING, reason=answer.reason, entry=answer.entry, waited=waited)

    def _let_in(self, lane: _Lane, sent: Sent, answer: Answer, unlock: timedelta) -> Signal:
        self._standby.inside.forget()
        if self._release(lane, sent.digest, unlock=unlock, entry=answer.entry):
            return Signal.GRANTED
        return Signal.LOCKDOWN if lane.is_locked_down else Signal.BUSY

    def _release(self, lane: _Lane, digest: bytes, *, unlock: timedelta, entry: int | None) -> bool:
        """Release the strike for a grant or a command, if the door and its partners let it; whether they did."""
        lane.offered = digest
        lane.unlock = min(unlock, self._limits.longest_unlock)
        others = [self._lanes[partner].door for partner in lane.doorway.partners]
        granted = DoorInput.GRANT if SHUT.issuperset(others) else DoorInput.WITHHELD
        if DoorAct.UNLOCK not in self._door(lane, granted):
            return False
        self.tally.unlocks.append(
            Unlocked(access_point=lane.doorway.id, scan=digest, entry=entry, at=self._at)
        )
        return True

    def _settle_scan(self, lane: _Lane, sent: Sent, *, later: Ignored) -> None:
        # INVARIANT: a scan is answered once; the next answer to it finds no question.
        self._up.settle(sent, later=later)
        self._let_go_of_scan(lane)

    def _let_go_of_scan(self, lane: _Lane) -> None:
        lane.scan = None
        self._cancel(lane, TimerKind.RESEND)
        self._cancel(lane, TimerKind.DEADLINE)
        if self._standby.may_decide(lane.doorway.id):
            self._cancel(lane, TimerKind.ALONE)

    def _beacon(self, wire: bytes) -> None:
        ignored = self._beacons.take(wire, at=self._at)
        self._ignore(ignored)
        newest = self._beacons.newest
        if ignored is None and newest is not None:
            self._time.hear(newest.issued, at=self._at)
            self._standby.time.heard(newest.issued, at=self._at)
            self._doubt_clock()

    def _checkpoint(self, wire: bytes) -> None:
        taken = self._checkpoints.take(wire)
        match taken:
            case CheckpointMemory():
                self._do(KeepCheckpoints(memory=taken))
            case Contradiction():
                self._do(KeepCheckpoints(memory=self.remembered, alarm=taken))
                self._tell(StatusKind.LOG_ROLLED_BACK, None)
            case Ignored():
                self._ignore(taken)
                if taken in _WORTH_A_WORD - self._warned:
                    self._warned.add(taken)
                    self._do(Warn(taken))

    # -- commands -----------------------------------------------------------------------------------------------------

    def _command(self, wire: bytes) -> None:
        heard = self._time.is_measured(at=self._at) and self._beacons.fresh(at=self._at) is not None
        taken = self._commands.take(wire, now=self._time.earliest(at=self._at) if heard else None)
        ignored = self._obey(taken.command, taken, wire) if isinstance(taken, Obeyed) else taken
        self._ignore(ignored)
        if ignored is Ignored.COMMAND_UNTIMED:
            self._untimed = wire
            self._ask_the_time()
        # Told once for each kind and boot, so that nobody fills the log with commands; that the gate cannot tell the time
        # yet is nobody's attack.
        if ignored is not None and ignored is not Ignored.COMMAND_UNTIMED and ignored not in self._refused:
            self._refused.add(ignored)
            self._tell(StatusKind.COMMAND_REFUSED, None, command=sha256(wire).digest())

    def _command_again(self) -> None:
        """Take the newest command that came before the gate could tell the time: nobody has spoken to it for long."""
        wire = self._untimed
        if wire is not None and self._time.is_measured(at=self._at):
            self._untimed = None
            self._command(wire)

    def _obey(self, command: Command, obeyed: Obeyed, wire: bytes) -> Ignored | None:
        lanes = list(self._lanes.values())
        if command.access_point is not None:
            lanes = [lane for lane in lanes if lane.doorway.id == command.access_point]
        if not lanes or self._is_restarting:
            return Ignored.COMMAND_MISPLACED
        match command.kind:
            case CommandKind.OPEN:
                return self._open(lanes[0], command, obeyed.digest)
            case CommandKind.LOCK_DOWN | CommandKind.RELEASE:
                self._lock_down(lanes, on=command.kind is CommandKind.LOCK_DOWN)
                # INVARIANT: an order to lock down is on disk before the word that it is followed.
                for kept in self._standby.obeyed(wire) if command.kind is CommandKind.LOCK_DOWN else ():
                    self._do(kept)
                self._tell(_CONFIRMED[command.kind], command.access_point, command=obeyed.digest)
                return None
            case CommandKind.REBOOT:
                return self._reboot(obeyed.digest)
            case _:
                assert_never(command.kind)

    def _open(self, lane: _Lane, command: Command, digest: bytes) -> Ignored | None:
        if command.unlock is None or not self._release(
            lane, digest, unlock=command.unlock, entry=command.entry
        ):
            return Ignored.COMMAND_MISPLACED
        self._tell(StatusKind.OPENED, lane.doorway.id, command=digest)
        return None

    def _lock_down(self, lanes: Iterable[_Lane], *, on: bool) -> None:
        for lane in lanes:
            if lane.is_locked_down is not on:
                lane.is_locked_down = on
                self._follow(lane)
                self._do(CallOut(lane.doorway.id, Signal.LOCKDOWN if on else Signal.READY))

    def _reboot(self, digest: bytes) -> Ignored | None:
        """Secure every door and start anew once that is recorded, or soon. While it burns a gate stays where it is."""
        if self._is_burning:
            return Ignored.COMMAND_MISPLACED
        self._is_restarting = True
        self._lock_down(self._lanes.values(), on=True)
        for lane in self._lanes.values():
            self._do(Lock(access_point=lane.doorway.id))
        said = Status(**self._stamp(), kind=StatusKind.RESTARTING, access_point=None, command=digest)
        self._up.write(
            said, then=self._remember_last_word, otherwise=lambda: self._up.keep(said, at=self._at)
        )
        self._start(None, TimerKind.RESTART, self._limits.restart)
        return None

    def _start_anew(self) -> None:
        # INVARIANT: while it burns no gate ends by itself: it would secure the doors that are released.
        if not self._is_burning:
            self._do(Restart())

    def _remember_last_word(self, entry: Entry) -> None:
        self._last_word = sha256(entry.wire).digest()

    # -- fire ---------------------------------------------------------------------------------------------------------

    def _fire(self, *, on: bool) -> None:
        """Say so first, then release the doors that are released by it: an aid beside what is wired."""
        if self._is_burning is on:
            return
        self._is_burning = on
        self._tell(StatusKind.FIRE if on else StatusKind.FIRE_CLEARED, None)
        for lane in self._lanes.values():
            lane.is_freed = on and lane.doorway.released_by_fire
            self._follow(lane)
        if self._is_restarting and not on:
            self._start(None, TimerKind.RESTART, self._limits.restart)

    # -- the door -----------------------------------------------------------------------------------------------------

    def _contact(self, lane: _Lane, *, opened: bool) -> None:
        if lane.doorway.has_contact:
            self._door(lane, DoorInput.OPENED if opened else DoorInput.CLOSED)

    def _door(self, lane: _Lane, happened: DoorInput) -> tuple[DoorAct, ...]:
        acts = self._step(lane, happened)
        self._follow(lane)
        return acts

    def _follow(self, lane: _Lane) -> None:
        """Have a door follow the orders that stand, as far as it can now."""
        while True:
            order = standing(lane.door, lockdown=lane.is_locked_down, fire=lane.is_freed)
            if order is None:
                return
            self._step(lane, order)

    def _step(self, lane: _Lane, happened: DoorInput) -> tuple[DoorAct, ...]:
        lane.door, acts = step(lane.door, happened)
        for act in acts:
            self._act(lane, act)
        if lane.door in SHUT:
            lane.granted = None
        return acts

    def _act(self, lane: _Lane, act: DoorAct) -> None:
        match act:
            case DoorAct.UNLOCK | DoorAct.UNLOCK_TO_LEAVE | DoorAct.UNLOCK_FOR_FIRE:
                self._unlock(lane, act)
            case DoorAct.LOCK:
                self._do(Lock(access_point=lane.doorway.id))
            case DoorAct.AWAIT_OPENING | DoorAct.AWAIT_EXIT:
                to_enter = act is DoorAct.AWAIT_OPENING
                self._start(lane, TimerKind.UNLOCK, lane.unlock if to_enter else self._limits.exit)
            case DoorAct.AWAIT_CLOSING:
                self._start(lane, TimerKind.WARNED, lane.doorway.warned)
                self._start(lane, TimerKind.HELD, lane.doorway.held)
            case DoorAct.OPENING_AWAITED | DoorAct.CLOSING_AWAITED | DoorAct.FIRE_AWAITED:
                for kind in _AWAITED[act]:
                    self._cancel(lane, kind)
            case DoorAct.ASK_TO_CLOSE | DoorAct.STOP_ASKING:
                self._do(CallOut(lane.doorway.id, _CALLS[act]))
            case _:
                self._tell_of(lane, act)

    def _unlock(self, lane: _Lane, act: DoorAct) -> None:
        lasting = self._limits.longest_unlock
        if act is DoorAct.UNLOCK:
            lane.granted, lasting = lane.offered, lane.unlock
        elif act is DoorAct.UNLOCK_TO_LEAVE:
            lasting = self._limits.exit
        else:
            # Renewed in good time: should the program end, the strike ends by itself, and what is wired goes on.
            self._start(lane, TimerKind.FIRE, lasting / 2)
        self._do(Unlock(access_point=lane.doorway.id, lasting=lasting))

    def _tell_of(self, lane: _Lane, act: _Told) -> None:
        """Tell of a door. Without a contact nobody knows whether a grant was used, and the gate does not say so."""
        match act:
            case DoorAct.TELL_EXIT:
                self._tell(StatusKind.EXIT_REQUESTED, lane.doorway.id)
            case DoorAct.TELL_CLOSED | DoorAct.TELL_SHUT:
                # A scan under way may be granted already: its door would then count as shut while it is released.
                if act is DoorAct.TELL_CLOSED or (lane.doorway.interlocked and lane.scan is None):
                    self._tell(StatusKind.CLOSED_AGAIN, lane.doorway.id)
            case _:
                if lane.doorway.has_contact:
                    scan = lane.offered if act is DoorAct.TELL_WITHHELD else lane.granted
                    self._report(lane, _OUTCOMES[act], scan=scan)

    # -- what happened, for the log -----------------------------------------------------------------------------------

    def _report(self, lane: _Lane, outcome: PassageOutcome, *, scan: bytes | None) -> None:
        passage = Passage(**self._stamp(), access_point=lane.doorway.id, outcome=outcome, scan=scan)
        self._up.tell(passage, at=self._at)

    def _tell(
        self, kind: StatusKind, access_point: AccessPointId | None, *, command: bytes | None = None
    ) -> None:
        status = Status(**self._stamp(), kind=kind, access_point=access_point, command=command)
        self._up.tell(status, at=self._at)

    def _journal_full(self) -> None:
        """The journal takes nothing more: the one word that must not wait for room in it."""
        full = Status(**self._stamp(), kind=StatusKind.JOURNAL_FULL, access_point=None)
        self._up.keep(full, at=self._at)

    def _journal_says(
        self, event: Appended | AppendFailed | JournalSettled | EntriesRead | JournalBegun
    ) -> None:
        match event:
            case Appended(number):
                self._up.appended(number)
            case AppendFailed(number):
                self._up.failed(number)
            case JournalSettled(journal, number):
                self._up.settled(journal, number)
            case EntriesRead(journal, entries):
                self._up.read(journal, entries)
            case JournalBegun(found):
                self._up.begun(found)
                self._tell(StatusKind.JOURNAL_DAMAGED, None)
            case _:
                assert_never(event)

    def _start_up(self, event: Started) -> None:
        self._started = True
        self._up.journal.begin(event.journal)
        if self._standby.is_provided:
            self._standby.recall(self._up.journal.recall(event.recalled))
        newest = self.remembered.newest
        hello = Hello(
            **self._stamp(),
            agent=self._agent,
            policy=self._standby.digest,
            checkpoint=newest.note if newest is not None else None,
            journal=self._up.journal.end,
        )
        self._up.greet(hello, at=self._at)
        if event.journal.damaged:
            self._tell(StatusKind.JOURNAL_DAMAGED, None)
        for refused in self._standby.refused:
            self._refuse_policy(refused)

    def _link(self, *, up: bool) -> None:
        self._up.link(up=up, at=self._at)
        for lane in self._lanes.values():
            if up and lane.scan is not None:
                self._up.publish(lane.scan)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _timer(self, timer: Timer) -> None:
        match timer.kind:
            case TimerKind.KEPT | TimerKind.JOURNAL:
                self._up.again(timer.kind)
            case TimerKind.RESTART:
                self._start_anew()
            case _ if timer.access_point is None:
                raise KeyError(timer)
            case _:
                self._timer_of(self._lanes[timer.access_point], timer.kind)

    def _timer_of(self, lane: _Lane, kind: _LaneTimer) -> None:
        match kind:
            case TimerKind.HELD_CARD:
                self._let_go_of_card(lane)
            case TimerKind.PROOF:
                self._proof(lane, None)
            case TimerKind.RESEND:
                self._scan_again(lane)
            case TimerKind.ALONE:
                self._decide_instead(lane)
            case TimerKind.DEADLINE:
                self._give_up(lane)
            case TimerKind.UNLOCK:
                self._door(lane, DoorInput.UNLOCK_OVER)
            case TimerKind.WARNED:
                self._door(lane, DoorInput.OPEN_LONG)
            case TimerKind.HELD:
                self._door(lane, DoorInput.OPEN_TOO_LONG)
            case TimerKind.FIRE:
                # INVARIANT: only the input itself keeps a strike released.
                if lane.is_freed:
                    self._door(lane, DoorInput.FIRE)
            case _:
                assert_never(kind)

    def _stamp(self) -> dict[str, Any]:
        """What every message carries; its number is given when it is sent."""
        return {
            "boot": self._up.boot,
            "sequence": 0,
            "gate_at": self._wall.at if self._wall is not None else None,
            "clock": self._wall.quality if self._wall is not None else ClockQuality.NONE,
        }

    def _start(self, lane: _Lane | None, kind: TimerKind, after: timedelta) -> None:
        self._do(StartTimer(timer=_timer(lane, kind), after=after))

    def _cancel(self, lane: _Lane | None, kind: TimerKind) -> None:
        self._do(CancelTimer(timer=_timer(lane, kind)))

    def _show(self, lane: _Lane, signal: Signal, **of_answer: Any) -> None:
        self._do(Show(access_point=lane.doorway.id, signal=signal, **of_answer))

    def _ignore(self, why: Ignored | None) -> None:
        if why is not None:
            self.tally.ignored[why] += 1

    def _do(self, effect: Effect) -> None:
        self._effects.append(effect)


_SIGNATURE_BYTES: Final = (64, 96)
_WORTH_A_WORD: Final = frozenset(
    {
        Ignored.CHECKPOINT_FORGED,
        Ignored.CHECKPOINT_MALFORMED,
        Ignored.CHECKPOINT_FOREIGN,
        Ignored.CHECKPOINT_UNSIGNED,
    }
)
_AWAITED: Final = {
    DoorAct.OPENING_AWAITED: (TimerKind.UNLOCK,),
    DoorAct.CLOSING_AWAITED: (TimerKind.WARNED, TimerKind.HELD),
    DoorAct.FIRE_AWAITED: (TimerKind.FIRE,),
}
_CALLS: Final = {DoorAct.ASK_TO_CLOSE: Signal.CLOSE_DOOR, DoorAct.STOP_ASKING: Signal.READY}
_CONFIRMED: Final = {
    CommandKind.LOCK_DOWN: StatusKind.LOCKED_DOWN,
    CommandKind.RELEASE: StatusKind.RELEASED,
}
_TOLD: Final[Mapping[type[Event], StatusKind]] = {
    TamperOpened: StatusKind.TAMPER,
    TamperCleared: StatusKind.TAMPER_CLEARED,
    ReaderHeard: StatusKind.ONLINE,
    ReaderLost: StatusKind.OFFLINE,
}
_OUTCOMES: Final = {
    DoorAct.TELL_TAKEN: PassageOutcome.TAKEN,
    DoorAct.TELL_NOT_TAKEN: PassageOutcome.NOT_TAKEN,
    DoorAct.TELL_WITHHELD: PassageOutcome.NOT_TAKEN,
    DoorAct.TELL_EXITED: PassageOutcome.EXITED,
    DoorAct.TELL_FORCED: PassageOutcome.FORCED,
    DoorAct.TELL_HELD: PassageOutcome.HELD_OPEN,
}


def _timer(lane: _Lane | None, kind: TimerKind) -> Timer:
    return Timer(kind, lane.doorway.id if lane is not None else None)
