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

This module takes the events and hands each to the part that it concerns. The parts, none of which calls one further down:

    turn, lane  the step under way; what is the case at one access point
    telling     what is said of what happened
    believing   beacons, checkpoints, and what the gate may decide by (rules 3, 5 and 8)
    linking     that the gate is there
    doors       the strikes, contacts, exit buttons and the fire input (rules 2 and 6)
    orders      commands (rules 2 and 7)
    deciding    what the gate decides by itself (rule 8)
    asking      the way of a card (rules 2 to 4)
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias, assert_never

from devices.core.asking import Asking
from devices.core.belief import Beacons, Ignored, read_answer
from devices.core.believing import Believing
from devices.core.checkpoints import CheckpointMemory, Checkpoints
from devices.core.commands import Commands, ServiceTime
from devices.core.deciding import Deciding
from devices.core.door import DoorInput, DoorState
from devices.core.doors import Doors
from devices.core.events import (
    AnswerReceived,
    Appended,
    AppendFailed,
    BeaconReceived,
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
    LinkDown,
    LinkUp,
    OpenedItself,
    ProofGiven,
    ReaderHeard,
    ReaderLost,
    SnapshotReceived,
    StandingReceived,
    Started,
    TamperCleared,
    TamperOpened,
    Timer,
    TimerFired,
    TimerKind,
    TrustReceived,
    WallTime,
)
from devices.core.journal import Entry, Journal, JournalBounds
from devices.core.lane import Doorway, Exit, Lane, Limits
from devices.core.linking import Linking
from devices.core.orders import Orders
from devices.core.outbox import Outbox, Sent
from devices.core.standby import Held, Standby
from devices.core.tally import Tally
from devices.core.telling import Telling
from devices.core.turn import Turn
from gatekeeper import cose
from gatekeeper.core.trust import Anchor, Trust
from gatekeeper.model.ids import AccessPointId, BootId, GateId
from gatekeeper.model.messages import Hello, Scan, StatusKind, Verdict
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
    | OpenedItself
    | FireDetected
    | FireCleared
)
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
        site, limits = trust.site, limits or Limits()

        # Who we are, and whom we believe.
        self._gate: Final = gate
        self._agent: Final = agent
        self._decision_topic: Final = gate_topic(site, gate, Channel.DECISION, prefix=prefix)
        self._standby: Final = Standby(
            gate=gate, key=key.kid, prefix=prefix, trust=trust, anchor=anchor, held=held or Held()
        )
        self._beacons: Final = Beacons(
            site=site, topic=beacon_topic(site, prefix=prefix), keys=trust.decisions
        )
        self._checkpoints: Final = Checkpoints(
            topic=checkpoint_topic(site, prefix=prefix), trust=trust, memory=checkpoints or CheckpointMemory()
        )
        self._commands: Final = Commands(
            gate=gate,
            boot=boot,
            topic=gate_topic(site, gate, Channel.COMMAND, prefix=prefix),
            keys=trust.decisions,
        )
        self._time: Final = ServiceTime()
        self._started = False

        # What all parts share: the access points, the step under way, the way up.
        self._lanes: Final = {doorway.id: Lane(doorway) for doorway in doorways}
        self._turn: Final = Turn()
        self._telling: Final = Telling(
            turn=self._turn,
            outbox=Outbox(site=site, gate=gate, prefix=prefix, key=key, boot=boot),
            journal=Journal(
                topic=gate_topic(site, gate, Channel.JOURNAL, prefix=prefix),
                key=key,
                bounds=bounds or JournalBounds(),
            ),
            limits=limits,
        )
        self._up: Final = self._telling.up

        # The parts; each calls only those before it.
        self._believing: Final = Believing(
            turn=self._turn,
            telling=self._telling,
            standby=self._standby,
            beacons=self._beacons,
            checkpoints=self._checkpoints,
            commands=self._commands,
            time=self._time,
        )
        self._linking: Final = Linking(
            turn=self._turn,
            beacons=self._beacons,
            standby=self._standby,
            topic=gate_topic(site, gate, Channel.LINK, prefix=prefix),
            key=key,
            boot=boot,
        )
        self._doors: Final = Doors(turn=self._turn, telling=self._telling, lanes=self._lanes, limits=limits)
        self._orders: Final = Orders(
            turn=self._turn,
            telling=self._telling,
            lanes=self._lanes,
            doors=self._doors,
            commands=self._commands,
            time=self._time,
            beacons=self._beacons,
            standby=self._standby,
            limits=limits,
        )
        self._deciding: Final = Deciding(
            turn=self._turn,
            telling=self._telling,
            doors=self._doors,
            standby=self._standby,
            limits=limits,
        )
        self._asking: Final = Asking(
            gate=gate,
            turn=self._turn,
            telling=self._telling,
            lanes=self._lanes,
            doors=self._doors,
            deciding=self._deciding,
            beacons=self._beacons,
            standby=self._standby,
            limits=limits,
        )

    # -- what may be asked --------------------------------------------------------------------------------------------

    @property
    def tally(self) -> Tally:
        """What it saw since it started."""
        return self._turn.tally

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

    # -- what happens -------------------------------------------------------------------------------------------------

    def step(self, event: Event, *, at: float, wall: WallTime | None = None) -> list[Effect]:
        """Take one event, in order. Raises KeyError for an access point that is not of this gate."""
        if self._started is isinstance(event, Started):
            raise ValueError("a controller is started once, before anything else")
        self._turn.begin(at=at, wall=wall)
        self._standby.time.seen(wall, at=at)
        match event:
            case Started():
                self._start_up(event)
            case LinkUp() | LinkDown():
                self._link(up=isinstance(event, LinkUp))
            case Appended() | AppendFailed() | JournalSettled() | EntriesRead() | JournalBegun():
                self._telling.hear_disk(event)
            case CardPresented():
                self._believing.look_at_clock()
                self._asking.take_card(self._lanes[event.access_point], event)
            case ProofGiven():
                self._asking.take_proof(self._lanes[event.access_point], event.signature)
            case AnswerReceived() | BeaconReceived() | CheckpointReceived() | CommandReceived():
                self._hear(event)
            case SnapshotReceived() | StandingReceived() | TrustReceived():
                self._believing.take_policy(event)
                self._linking.say()
            case TimerFired(timer):
                self._timer(timer)
            case _:
                self._feel(event)
        return self._turn.end()

    def _start_up(self, event: Started) -> None:
        self._started = True
        self._up.journal.begin(event.journal)
        if self._standby.is_provided:
            self._standby.recall(self._up.journal.recall(event.recalled))
        newest = self.remembered.newest
        hello = Hello(
            **self._telling.stamp(),
            agent=self._agent,
            policy=self._standby.digest,
            checkpoint=newest.note if newest is not None else None,
            journal=self._up.journal.end,
        )
        self._up.greet(hello, at=self._turn.at)
        self._linking.prepare()
        if event.journal.damaged:
            self._telling.tell(StatusKind.JOURNAL_DAMAGED, None)
        for refused in self._standby.refused:
            self._believing.refuse(refused)

    def _link(self, *, up: bool) -> None:
        self._up.link(up=up, at=self._turn.at)
        self._linking.link(up=up)
        if up:
            self._asking.link_is_back()

    def _hear(self, event: AnswerReceived | BeaconReceived | CheckpointReceived | CommandReceived) -> None:
        """Take what came down."""
        match event:
            case AnswerReceived(wire):
                self._answer(wire)
            case BeaconReceived(wire):
                self._believing.take_beacon(wire)
                self._linking.say()
            case CheckpointReceived(wire):
                self._believing.take_checkpoint(wire)
            case CommandReceived(wire):
                self._orders.take_command(wire)
            case _:
                assert_never(event)

    def _feel(self, event: _Felt) -> None:
        """Take what a door, a button, a housing or the fire panel says."""
        match event:
            case ContactOpened(access_point) | ContactClosed(access_point):
                self._doors.contact(self._lanes[access_point], opened=isinstance(event, ContactOpened))
            case TamperOpened(place) | TamperCleared(place) | ReaderHeard(place) | ReaderLost(place):
                if isinstance(event, TamperOpened):
                    self._asking.tampered.add(place)
                elif isinstance(event, TamperCleared):
                    self._asking.tampered.discard(place)
                self._telling.tell(_TOLD[type(event)], place)
            case ExitRequested(access_point):
                self._doors.ask_to_leave(self._lanes[access_point])
            case OpenedItself(access_point):
                self._telling.tell_bypass(self._lanes[access_point].doorway.id)
            case FireDetected() | FireCleared():
                self._fire(on=isinstance(event, FireDetected))
            case _:
                assert_never(event)

    def _fire(self, *, on: bool) -> None:
        if self._doors.fire(on=on) and not on:
            self._orders.fire_is_over()

    # -- the service's answers ----------------------------------------------------------------------------------------

    def _answer(self, wire: bytes) -> None:
        answer = read_answer(
            wire, gate=self._gate, topic=self._decision_topic, keys=self._standby.trust.decisions
        )
        if isinstance(answer, Ignored):
            self._turn.ignore(answer)
            return
        asked = self._up.asked(answer.message)
        # The journal's entries may be of a former boot: their answers are as old as they like, and tell no time.
        if isinstance(asked, Sent):
            self._time.answered(answer.issued, asked=asked.since, at=self._turn.at)
        match asked:
            case Ignored():
                self._turn.ignore(asked)
            case Sent(message=Scan(offline_verdict=None)) if self._up.is_given_over(asked):
                self._up.recorded(asked, answer.message, at=self._turn.at)
                self._turn.ignore(Ignored.ANSWER_LATE)
            case Sent(message=Scan(offline_verdict=None, access_point=access_point)):
                self._asking.take_answer(self._lanes[access_point], asked, answer)
            case Sent() | Entry() if answer.verdict is Verdict.RECORDED:
                self._recorded(asked, answer.message)
            case _:
                self._turn.ignore(Ignored.ANSWER_MISPLACED)

    def _recorded(self, recorded: Sent | Entry, digest: bytes) -> None:
        """The service has written down what was told."""
        self._up.recorded(recorded, digest, at=self._turn.at)
        self._orders.recorded(recorded, digest)
        self._asking.take_held_cards()

    # -- time ---------------------------------------------------------------------------------------------------------

    def _timer(self, timer: Timer) -> None:
        match timer.kind:
            case TimerKind.KEPT | TimerKind.JOURNAL:
                self._up.again(timer.kind)
            case TimerKind.RESTART:
                self._orders.start_anew()
            case TimerKind.HELD_BACK:
                self._telling.tell_held_back()
            case _ if timer.access_point is None:
                raise KeyError(timer)
            case _:
                self._timer_of(self._lanes[timer.access_point], timer.kind)

    def _timer_of(self, lane: Lane, kind: _LaneTimer) -> None:
        match kind:
            case TimerKind.HELD_CARD:
                self._asking.let_go_of_card(lane)
            case TimerKind.PROOF:
                self._asking.take_proof(lane, None)
            case TimerKind.RESEND:
                self._asking.scan_again(lane)
            case TimerKind.ALONE:
                self._asking.decide_instead(lane)
            case TimerKind.DEADLINE:
                self._asking.give_up(lane)
            case TimerKind.UNLOCK:
                self._doors.happens(lane, DoorInput.UNLOCK_OVER)
            case TimerKind.WARNED:
                self._doors.happens(lane, DoorInput.OPEN_LONG)
            case TimerKind.HELD:
                self._doors.happens(lane, DoorInput.OPEN_TOO_LONG)
            case TimerKind.FIRE:
                self._doors.renew_fire(lane)
            case _:
                assert_never(kind)


_TOLD: Final[Mapping[type[Event], StatusKind]] = {
    TamperOpened: StatusKind.TAMPER,
    TamperCleared: StatusKind.TAMPER_CLEARED,
    ReaderHeard: StatusKind.ONLINE,
    ReaderLost: StatusKind.OFFLINE,
}
