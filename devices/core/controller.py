"""One gate, whole: what it asks of the service, what it believes, and when it moves a strike.

    card -> (proof) -> scan, sent again every 300 ms -> answer -> unlock -> contact -> passage
                                                     -> deadline: denied, passage not taken

The rules (DESIGN, sections 3 and 4):

1. Every message up is numbered and signed once; sent again, it is the same bytes, until it is answered. What happened at
   the gate stands in its journal first, on disk, and is published from there (see `upstream`).
2. A strike is released by one thing only: an answer that the service signed for this gate, granted, to a scan that is
   still unanswered, within the answer's validity counted on the monotonic clock from when the scan was first sent; at the
   access point of that scan, once. Everything else that comes down is counted and changes nothing.
3. Doubt denies: without a beacon that is fresh on the same clock no scan is made, and a scan without an answer is given
   up. Then the gate says that nobody went through, in case the answer was lost on its way down. The service may ask
   once for more patience, a minute at most, while a guard looks at a face; that opens nothing.
4. One scan at a time at an access point; at a door with a contact, only while it is closed and locked. At a door of an
   interlock a card is held until the service has answered all that was said of that door: the two streams have no order
   between them, and a word of before must not look like one after the scan.
5. What the service signs of its log is remembered, and what contradicts it is told upward, once; it moves no strike.

Time comes in with each event (`at`, monotonic seconds), the wall clock too, and no grant depends on it. Not here: offline
decisions, commands and requests to exit, which will be further events and effects of this same machine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, assert_never

from devices.core.belief import Beacons, Ignored, read_answer
from devices.core.checkpoints import CheckpointMemory, Checkpoints, Contradiction
from devices.core.credential import asks_for_proof, fits_a_scan
from devices.core.door import DoorAct, DoorInput, DoorState, step
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
    ContactClosed,
    ContactOpened,
    Effect,
    Event,
    JournalSettled,
    KeepCheckpoints,
    LinkDown,
    LinkUp,
    Lock,
    ProofGiven,
    ReaderHeard,
    ReaderLost,
    Show,
    Signal,
    Started,
    StartTimer,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
    Unlock,
    WallTime,
    Warn,
)
from devices.core.journal import Entry, Journal, JournalBounds
from devices.core.outbox import Outbox, Sent
from devices.core.tally import Tally, Unlocked
from devices.core.upstream import Upstream
from gatekeeper import cose
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import (
    Answer,
    ClockQuality,
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

__all__ = ["Controller", "Doorway", "Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """An access point as its gate knows it.

    `interlocked` says that other doors wait until this one is shut; `held` is how long it may stay open, `warned` how long
    until it asks to be closed.
    """

    id: AccessPointId
    direction: Direction
    has_contact: bool
    interlocked: bool
    warned: timedelta
    held: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the gate waits. `longest_unlock` binds even the service."""

    proof: timedelta = timedelta(seconds=2)
    resend: timedelta = timedelta(milliseconds=300)
    resend_most: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(seconds=5)
    longest_unlock: timedelta = timedelta(seconds=60)
    held_card: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A badge is proving its key."""

    credential: Credential
    beacon: bytes
    gate_random: bytes
    sealed_pin: bytes | None
    since: float


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

    # What was granted last, until the door is locked again.
    granted: bytes | None = None
    unlock: timedelta = timedelta()

    @property
    def takes_cards(self) -> bool:
        idle = self.asked is None and self.scan is None and self.held is None
        return idle and (self.door is DoorState.LOCKED or not self.doorway.has_contact)


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
        limits: Limits | None = None,
    ) -> None:
        # Who we are, and whom we believe.
        self.tally: Final = Tally()
        self._gate: Final = gate
        self._agent: Final = agent
        self._limits: Final = limits or Limits()
        self._trust: Final = trust
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
        )
        self._beacons: Final = Beacons(
            site=trust.site, topic=beacon_topic(trust.site, prefix=prefix), keys=trust.decisions
        )
        self._checkpoints: Final = Checkpoints(
            topic=checkpoint_topic(trust.site, prefix=prefix),
            trust=trust,
            memory=checkpoints or CheckpointMemory(),
        )
        self._warned: set[Ignored] = set()
        self._started = False

        # The step under way.
        self._at = 0.0
        self._wall: WallTime | None = None
        self._effects: list[Effect] = []

    def door(self, access_point: AccessPointId) -> DoorState:
        """What the door of an access point is."""
        return self._lanes[access_point].door

    @property
    def remembered(self) -> CheckpointMemory:
        """What it remembers of the site's log."""
        return self._checkpoints.memory

    def has_service(self, *, at: float) -> bool:
        """Whether a card presented now would be asked about: the service was heard lately."""
        return self._beacons.fresh(at=at) is not None

    def step(self, event: Event, *, at: float, wall: WallTime | None = None) -> list[Effect]:
        """Take one event, in order. Raises KeyError for an access point that is not of this gate."""
        if self._started is isinstance(event, Started):
            raise ValueError("a controller is started once, before anything else")
        self._at, self._wall, self._effects = at, wall, []
        match event:
            case Started():
                self._start_up(event)
            case LinkUp() | LinkDown():
                self._link(up=isinstance(event, LinkUp))
            case Appended() | AppendFailed() | JournalSettled():
                self._journal_says(event)
            case CardPresented():
                self._card(self._lanes[event.access_point], event)
            case ProofGiven():
                self._proof(self._lanes[event.access_point], event.signature)
            case AnswerReceived(wire):
                self._answer(wire)
            case BeaconReceived() | CheckpointReceived():
                self._service_says(event)
            case ContactOpened(access_point) | ContactClosed(access_point):
                self._contact(self._lanes[access_point], opened=isinstance(event, ContactOpened))
            case TamperOpened(place) | TamperCleared(place) | ReaderHeard(place) | ReaderLost(place):
                self._tell(_TOLD[type(event)], place)
            case TimerFired(timer):
                self._timer(timer)
            case _:
                assert_never(event)
        return self._effects

    # -- the way of a card --------------------------------------------------------------------------------------------

    def _card(self, lane: _Lane, card: CardPresented) -> None:
        beacon = self._beacons.fresh(at=self._at)
        if not lane.takes_cards:
            self.tally.busy += 1
            self._show(lane, Signal.BUSY)
        elif not fits_a_scan(card.credential):
            self._show(lane, Signal.DENIED)
        elif beacon is None or not self._up.has_room_for_scan:
            self._no_service(lane)
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
        lane.scan = self._up.send(scan, at=self._at)
        lane.patience = None
        self.tally.scans += 1
        self._start(lane, TimerKind.RESEND, self._limits.resend)
        self._start(lane, TimerKind.DEADLINE, self._limits.deadline)

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

    # -- what comes down ----------------------------------------------------------------------------------------------

    def _answer(self, wire: bytes) -> None:
        answer = read_answer(wire, gate=self._gate, topic=self._decision_topic, keys=self._trust.decisions)
        if isinstance(answer, Ignored):
            self._ignore(answer)
            return
        asked = self._up.asked(answer.message)
        match asked:
            case Ignored():
                self._ignore(asked)
            case Sent(message=Scan(access_point=access_point)):
                self._decided(self._lanes[access_point], asked, answer)
            case Sent() | Entry() if answer.verdict is Verdict.RECORDED:
                self._up.recorded(asked, answer.message, at=self._at)
                self._take_held_cards()
            case _:
                self._ignore(Ignored.ANSWER_MISPLACED)

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
        before = lane.granted
        lane.granted = sent.digest
        lane.unlock = min(unlock, self._limits.longest_unlock)
        if DoorAct.UNLOCK not in self._door(lane, DoorInput.GRANT):
            lane.granted = before
            return Signal.BUSY
        self.tally.unlocks.append(
            Unlocked(access_point=lane.doorway.id, scan=sent.digest, entry=answer.entry, at=self._at)
        )
        return Signal.GRANTED

    def _settle_scan(self, lane: _Lane, sent: Sent, *, later: Ignored) -> None:
        # INVARIANT: a scan is answered once; the next answer to it finds no question.
        self._up.settle(sent, later=later)
        lane.scan = None
        self._cancel(lane, TimerKind.RESEND)
        self._cancel(lane, TimerKind.DEADLINE)

    def _service_says(self, event: BeaconReceived | CheckpointReceived) -> None:
        match event:
            case BeaconReceived(wire):
                self._ignore(self._beacons.take(wire, at=self._at))
            case CheckpointReceived(wire):
                self._checkpoint(wire)

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

    # -- the door -----------------------------------------------------------------------------------------------------

    def _contact(self, lane: _Lane, *, opened: bool) -> None:
        if lane.doorway.has_contact:
            self._door(lane, DoorInput.OPENED if opened else DoorInput.CLOSED)

    def _door(self, lane: _Lane, happened: DoorInput) -> tuple[DoorAct, ...]:
        lane.door, acts = step(lane.door, happened)
        for act in acts:
            self._act(lane, act)
        if lane.door is DoorState.LOCKED:
            lane.granted = None
        return acts

    def _act(self, lane: _Lane, act: DoorAct) -> None:
        match act:
            case DoorAct.UNLOCK:
                self._do(Unlock(access_point=lane.doorway.id, lasting=lane.unlock))
            case DoorAct.LOCK:
                self._do(Lock(access_point=lane.doorway.id))
            case DoorAct.AWAIT_OPENING:
                self._start(lane, TimerKind.UNLOCK, lane.unlock)
            case DoorAct.AWAIT_CLOSING:
                self._start(lane, TimerKind.WARNED, lane.doorway.warned)
                self._start(lane, TimerKind.HELD, lane.doorway.held)
            case DoorAct.OPENING_AWAITED | DoorAct.CLOSING_AWAITED:
                for kind in _AWAITED[act]:
                    self._cancel(lane, kind)
            case DoorAct.ASK_TO_CLOSE | DoorAct.STOP_ASKING:
                self._do(CallOut(lane.doorway.id, _CALLS[act]))
            case DoorAct.TELL_CLOSED | DoorAct.TELL_SHUT:
                # A scan under way may be granted already: its door would then count as shut while it is released.
                if act is DoorAct.TELL_CLOSED or (lane.doorway.interlocked and lane.scan is None):
                    self._tell(StatusKind.CLOSED_AGAIN, lane.doorway.id)
            case DoorAct.TELL_TAKEN | DoorAct.TELL_NOT_TAKEN | DoorAct.TELL_FORCED | DoorAct.TELL_HELD:
                # Without a contact nobody knows whether the grant was used, and the gate does not say so.
                if lane.doorway.has_contact:
                    self._report(lane, _OUTCOMES[act], scan=lane.granted)
            case _:
                assert_never(act)

    # -- what happened, for the log -----------------------------------------------------------------------------------

    def _report(self, lane: _Lane, outcome: PassageOutcome, *, scan: bytes | None) -> None:
        passage = Passage(**self._stamp(), access_point=lane.doorway.id, outcome=outcome, scan=scan)
        self._up.tell(passage, at=self._at)

    def _tell(self, kind: StatusKind, access_point: AccessPointId | None) -> None:
        self._up.tell(Status(**self._stamp(), kind=kind, access_point=access_point), at=self._at)

    def _journal_full(self) -> None:
        """The journal takes nothing more: the one word that must not wait for room in it."""
        full = Status(**self._stamp(), kind=StatusKind.JOURNAL_FULL, access_point=None)
        self._up.keep(full, at=self._at)

    def _journal_says(self, event: Appended | AppendFailed | JournalSettled) -> None:
        match event:
            case Appended(number):
                self._up.appended(number)
            case AppendFailed(number):
                self._up.failed(number)
            case JournalSettled(journal, number):
                self._up.settled(journal, number)

    def _start_up(self, event: Started) -> None:
        self._started = True
        self._up.journal.begin(event.journal)
        newest = self.remembered.newest
        hello = Hello(
            **self._stamp(),
            agent=self._agent,
            policy=None,
            checkpoint=newest.note if newest is not None else None,
            journal=self._up.journal.end,
        )
        self._up.greet(hello, at=self._at)
        if event.journal.damaged:
            self._tell(StatusKind.JOURNAL_DAMAGED, None)

    def _link(self, *, up: bool) -> None:
        self._up.link(up=up, at=self._at)
        for lane in self._lanes.values():
            if up and lane.scan is not None:
                self._up.publish(lane.scan)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _timer(self, timer: Timer) -> None:
        if timer.kind is TimerKind.KEPT or timer.kind is TimerKind.JOURNAL:
            self._up.again(timer.kind)
            return
        if timer.access_point is None:
            raise KeyError(timer)
        lane = self._lanes[timer.access_point]
        match timer.kind:
            case TimerKind.HELD_CARD:
                self._let_go_of_card(lane)
            case TimerKind.PROOF:
                self._proof(lane, None)
            case TimerKind.RESEND:
                self._scan_again(lane)
            case TimerKind.DEADLINE:
                self._give_up(lane)
            case TimerKind.UNLOCK:
                self._door(lane, DoorInput.UNLOCK_OVER)
            case TimerKind.WARNED:
                self._door(lane, DoorInput.OPEN_LONG)
            case TimerKind.HELD:
                self._door(lane, DoorInput.OPEN_TOO_LONG)
            case _:
                assert_never(timer.kind)

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
}
_CALLS: Final = {DoorAct.ASK_TO_CLOSE: Signal.CLOSE_DOOR, DoorAct.STOP_ASKING: Signal.READY}
_TOLD: Final[Mapping[type[Event], StatusKind]] = {
    TamperOpened: StatusKind.TAMPER,
    TamperCleared: StatusKind.TAMPER_CLEARED,
    ReaderHeard: StatusKind.ONLINE,
    ReaderLost: StatusKind.OFFLINE,
}
_OUTCOMES: Final = {
    DoorAct.TELL_TAKEN: PassageOutcome.TAKEN,
    DoorAct.TELL_NOT_TAKEN: PassageOutcome.NOT_TAKEN,
    DoorAct.TELL_FORCED: PassageOutcome.FORCED,
    DoorAct.TELL_HELD: PassageOutcome.HELD_OPEN,
}


def _timer(lane: _Lane | None, kind: TimerKind) -> Timer:
    return Timer(kind, lane.doorway.id if lane is not None else None)
