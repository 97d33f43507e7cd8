"""The shell of one gate: link, timers, entropy, disk and hardware around the controller, which alone decides.

    async with GateAgent(settings, link) as agent:
        outcome = await agent.present(access_point, badge)

Every event enters through `_happens`, in the event loop, one after the other; the effects are done in order before the
next. A controller that raises is broken, and so is the gate: the agent stops, and what is locked stays locked.

It decides nothing, believes nothing, and remembers nothing over a restart but what the service signed of its log, and its
own journal.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Self, assert_never

import structlog

from devices.checkpoint_file import CheckpointFile
from devices.core.checkpoints import CheckpointMemory
from devices.core.controller import Controller
from devices.core.events import (
    AnswerReceived,
    Append,
    AskProof,
    BeaconReceived,
    BeginJournal,
    Bequeath,
    CallOut,
    CancelTimer,
    CardPresented,
    CheckpointReceived,
    CommandReceived,
    ContactClosed,
    ContactOpened,
    Effect,
    Event,
    ExitRequested,
    FireCleared,
    FireDetected,
    KeepCheckpoints,
    KeepPolicy,
    LinkDown,
    LinkUp,
    Lock,
    ProofGiven,
    Publish,
    ReadEntries,
    Restart,
    Retain,
    Settle,
    Show,
    Signal,
    SnapshotReceived,
    StandingReceived,
    Started,
    StartTimer,
    Timer,
    TimerFired,
    TrustReceived,
    Unlock,
    WallTime,
    Warn,
)
from devices.core.journal import Entry
from devices.core.lane import Limits
from devices.core.tally import Tally
from devices.fitted_doors import FittedDoors
from devices.hardware.ports import Badge, Fittings, HardwareError
from devices.journal_port import JournalDamagedError, JournalPort
from devices.journal_writer import JournalWriter
from devices.link import GateLink, Message, Route
from devices.policy_files import PolicyFiles, read_held
from devices.settings import GateSettings
from gatekeeper.core.pin import pin_info, seal_pin
from gatekeeper.model.ids import AccessPointId, BootId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.topics import (
    Channel,
    beacon_topic,
    checkpoint_topic,
    gate_topic,
    standing_topic,
    trust_topic,
)

__all__ = ["GateAgent", "Outcome", "free_running_clock"]

_BOOT_BYTES: Final = 8
_RANDOM_BYTES: Final = 16
_RECALLED: Final = 1000
_SIMULATED: Final = " (SIMULATED hardware)"
"""What the hello of a gate without metal says in the log, so that nobody takes its passages for real."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a badge that was presented. `latency` is seconds from the scan to its answer."""

    signal: Signal
    reason: int | None
    entry: int | None
    latency: float | None

    @property
    def granted(self) -> bool:
        """Whether the strike was released."""
        return self.signal is Signal.GRANTED


@dataclass(frozen=True, slots=True, eq=False)
class _Presented:
    """A badge at a reader, until the display speaks."""

    badge: Badge
    outcome: asyncio.Future[Outcome]


def free_running_clock() -> WallTime:
    """The machine's wall clock, of which nobody says that it is right."""
    return WallTime(datetime.now(UTC), ClockQuality.FREE_RUNNING)


class GateAgent:
    """One gate at work, for the length of a block.

    An access point without fittings begins closed, and is moved by `present` alone. Entering the block
    opens its journal, and raises what that raises.
    """

    def __init__(
        self,
        settings: GateSettings,
        link: GateLink,
        *,
        open_journal: Callable[[], JournalPort],
        fittings: Mapping[AccessPointId, Fittings] | None = None,
        routes: Mapping[str, Route] | None = None,
        wall_clock: Callable[[], WallTime] = free_running_clock,
        limits: Limits | None = None,
    ) -> None:
        folder = settings.policy_folder
        self._controller: Final = Controller(
            gate=settings.gate,
            prefix=settings.prefix,
            key=settings.key,
            trust=settings.trust,
            doorways=settings.doorways,
            boot=BootId(secrets.token_bytes(_BOOT_BYTES)),
            agent=f"gatekeeper-device/{version('gatekeeper')}{_SIMULATED if settings.is_simulated else ''}",
            bounds=settings.journal_bounds,
            checkpoints=settings.checkpoints,
            anchor=settings.anchor,
            held=read_held(folder) if folder is not None else None,
            limits=limits,
        )
        self._trust: Final = settings.trust
        self._gate: Final = settings.gate
        self._link: Final = link
        self._doors: Final = FittedDoors(fittings or {}, tell=self._happens, offer=self.offer)
        self._unfitted: Final = [door.id for door in settings.doorways if door.id not in self._doors]
        self._routes: Final = {**self._own_routes(settings), **(routes or {})}
        self._wall_clock: Final = wall_clock
        self._policy: Final = PolicyFiles(folder) if folder is not None else None
        file = settings.checkpoint_file
        self._checkpoints: Final = CheckpointFile(file) if file is not None else None
        self._open_journal: Final = open_journal
        self._journal: JournalWriter
        self._log: Final = structlog.get_logger().bind(gate=settings.gate)

        # What is under way.
        self._group: Final = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._presented: dict[AccessPointId, _Presented] = {}
        self._heard = asyncio.Event()
        self._restart = asyncio.Event()
        self._broken: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        journal = await asyncio.to_thread(self._open_journal)
        recalled = await asyncio.to_thread(_newest_of, journal)
        self._journal = JournalWriter(journal, tell=self._happens)
        await self._group.__aenter__()
        self._broken = asyncio.get_running_loop().create_future()
        self._spawn("broken", self._broken_off(self._broken))
        if self._checkpoints is not None:
            self._spawn("checkpoints", self._checkpoints.run())
        if self._policy is not None:
            self._spawn("policy", self._policy.run())
        self._spawn("journal", self._journal.run())
        self._happens(Started(journal.found, recalled))
        for access_point in self._unfitted:
            self.feel(access_point, opened=False)
        for name, watch in self._doors.watches():
            self._spawn(name, watch)
        await self._link.open(
            routes=self._routes, on_link=lambda up: self._happens(LinkUp() if up else LinkDown())
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.close()
        for handle in self._timers.values():
            handle.cancel()
        for presented in self._presented.values():
            presented.outcome.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        if self._checkpoints is not None:
            self._checkpoints.write()
        if self._policy is not None:
            self._policy.write()
        await self._journal.close()
        await self._group.__aexit__(kind, error, trace)

    @property
    def tally(self) -> Tally:
        """What this gate saw since it started."""
        return self._controller.tally

    @property
    def remembered(self) -> CheckpointMemory:
        """What this gate remembers of the site's log."""
        return self._controller.remembered

    @property
    def has_service(self) -> bool:
        """Whether the service was heard lately, so that cards are asked about."""
        return self._controller.has_service(at=asyncio.get_running_loop().time())

    def has_told(self, access_point: AccessPointId) -> bool:
        """Whether the service has recorded all that happened at an access point."""
        return self._controller.has_told(access_point)

    async def service_heard(self) -> None:
        """Wait until the service was heard for the first time."""
        await self._heard.wait()

    async def restart_asked(self) -> None:
        """Wait until the service had this gate start anew: its doors are secured, and it has said so."""
        await self._restart.wait()

    async def present(
        self, access_point: AccessPointId, badge: Badge, *, walks_through: bool = True
    ) -> Outcome:
        """Present a badge and wait for what the display says; its bearer then walks through the open door, or not."""
        outcome = await self.offer(access_point, badge)
        if outcome.granted and walks_through:
            self.feel(access_point, opened=True)
            self.feel(access_point, opened=False)
        return outcome

    def offer(self, access_point: AccessPointId, badge: Badge) -> asyncio.Future[Outcome]:
        """Present a badge; what the display says of it comes later."""
        presented = _Presented(badge, asyncio.get_running_loop().create_future())
        before = self._presented.get(access_point)
        self._presented[access_point] = presented
        self._happens(
            CardPresented(
                access_point=access_point,
                credential=badge.credential,
                gate_random=secrets.token_bytes(_RANDOM_BYTES),
                sealed_pin=self._sealed(access_point, badge.pin),
            )
        )
        if before is not None:  # the reader was busy with it, and still is
            self._presented[access_point] = before
        return presented.outcome

    def _sealed(self, access_point: AccessPointId, pin: str | None) -> bytes | None:
        """What was typed, for the service's eyes only; a site without a key for it asks for no PIN."""
        key = self._trust.seal_key
        if pin is None or key is None:
            return None
        info = pin_info(site=self._trust.site, gate=self._gate, access_point=access_point)
        return seal_pin(pin, public_der=key.public_der, info=info)

    def feel(self, access_point: AccessPointId, *, opened: bool) -> None:
        """Tell what the contact of a door feels."""
        self._happens(ContactOpened(access_point) if opened else ContactClosed(access_point))

    def ask_to_leave(self, access_point: AccessPointId) -> None:
        """Tell that somebody inside pressed the exit button of a door."""
        self._happens(ExitRequested(access_point))

    def sense_fire(self, *, on: bool) -> None:
        """Tell what the input of the fire panel says."""
        self._happens(FireDetected() if on else FireCleared())

    # -- events ---------------------------------------------------------------------------------------------------

    def _happens(self, event: Event) -> None:
        if self._broken is None or self._broken.done():
            return
        try:
            at = asyncio.get_running_loop().time()
            for effect in self._controller.step(event, at=at, wall=self._wall_clock()):
                self._do(effect)
        except Exception as error:
            self._broken.set_exception(error)
            raise

    def _own_routes(self, settings: GateSettings) -> dict[str, Route]:
        def own(channel: Channel) -> str:
            return gate_topic(settings.site, settings.gate, channel, prefix=settings.prefix)

        return {
            own(Channel.DECISION): Route(
                lambda message: self._happens(AnswerReceived(message.payload)), retained=False
            ),
            own(Channel.COMMAND): Route(
                lambda message: self._happens(CommandReceived(message.payload)), retained=False
            ),
            own(Channel.POLICY): Route(
                lambda message: self._happens(SnapshotReceived(message.payload)), retained=True
            ),
            standing_topic(settings.site, prefix=settings.prefix): Route(
                lambda message: self._happens(StandingReceived(message.payload)), retained=True
            ),
            trust_topic(settings.site, prefix=settings.prefix): Route(
                lambda message: self._happens(TrustReceived(message.payload)), retained=True
            ),
            beacon_topic(settings.site, prefix=settings.prefix): Route(self._beacon, retained=True),
            checkpoint_topic(settings.site, prefix=settings.prefix): Route(
                lambda message: self._happens(CheckpointReceived(message.payload)), retained=True
            ),
        }

    def _beacon(self, message: Message) -> None:
        self._happens(BeaconReceived(message.payload))
        if self.has_service:
            self._heard.set()

    async def _broken_off(self, broken: asyncio.Future[None]) -> None:
        await broken

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- effects --------------------------------------------------------------------------------------------------

    def _do(self, effect: Effect) -> None:
        match effect:
            case Publish() | Retain() | Bequeath():
                self._send(effect)
            case Append() | Settle() | ReadEntries() | BeginJournal():
                self._journal.take(effect)
            case StartTimer() | CancelTimer():
                self._set_timer(effect)
            case Unlock() | Lock():
                self._doors.move(effect)
            case AskProof(access_point=access_point, digest=digest):
                presented = self._presented[access_point]
                self._spawn(f"proof {access_point}", self._prove(access_point, presented, digest))
            case Show():
                self._show(effect)
            case CallOut():
                self._call_out(effect)
            case KeepCheckpoints() | KeepPolicy():
                self._keep(effect)
            case Warn(why=why):
                self._log.warning("the service sends what is not believed", why=why.value)
            case Restart():
                self._log.info("the service has this gate start anew")
                self._restart.set()
            case _:
                assert_never(effect)

    def _send(self, sent: Publish | Retain | Bequeath) -> None:
        match sent:
            case Publish(topic=topic, payload=payload, qos=qos):
                self._link.publish(topic, payload, qos=qos)
            case Retain(topic=topic, payload=payload):
                self._link.retain(topic, payload)
            case Bequeath(topic=topic, payload=payload):
                self._link.bequeath(topic, payload)
            case _:
                assert_never(sent)

    def _set_timer(self, effect: StartTimer | CancelTimer) -> None:
        self._cancel(effect.timer)
        if isinstance(effect, StartTimer):
            loop = asyncio.get_running_loop()
            after = effect.after.total_seconds()
            self._timers[effect.timer] = loop.call_later(after, self._fire, effect.timer)

    def _call_out(self, call: CallOut) -> None:
        self._doors.show(call)
        self._log.info("door", access_point=call.access_point, signal=call.signal.value)

    def _keep(self, kept: KeepCheckpoints | KeepPolicy) -> None:
        if isinstance(kept, KeepCheckpoints):
            self._keep_checkpoints(kept)
        elif self._policy is not None:
            self._policy.keep(kept)

    def _keep_checkpoints(self, kept: KeepCheckpoints) -> None:
        if self._checkpoints is not None:
            self._checkpoints.keep(kept.memory)
        if kept.alarm is None:
            return
        known, arrived = kept.alarm.known, kept.alarm.arrived
        self._log.error(
            "the log contradicts itself: it was rolled back, or it has two faces",
            known=known.size,
            arrived=arrived.size,
        )
        # INVARIANT: the evidence is on disk before the alarm is on its way.
        if self._checkpoints is not None:
            self._checkpoints.write()

    def _show(self, shown: Show) -> None:
        self._doors.show(shown)
        latency = shown.waited.total_seconds() if shown.waited is not None else None
        self._log.info(
            "badge",
            access_point=shown.access_point,
            signal=shown.signal.value,
            reason=shown.reason,
            entry=shown.entry,
            latency=latency,
        )
        if shown.signal is Signal.WAITING:
            return
        presented = self._presented.pop(shown.access_point, None)
        if presented is not None and not presented.outcome.done():
            presented.outcome.set_result(
                Outcome(signal=shown.signal, reason=shown.reason, entry=shown.entry, latency=latency)
            )

    async def _prove(self, access_point: AccessPointId, presented: _Presented, digest: bytes) -> None:
        try:
            signature = await presented.badge.prove(digest)
        except HardwareError:
            signature = None
        # Another badge may be at the reader by now; its proof is its own.
        if self._presented.get(access_point) is presented:
            self._happens(ProofGiven(access_point=access_point, signature=signature))

    def _fire(self, timer: Timer) -> None:
        del self._timers[timer]
        self._happens(TimerFired(timer))

    def _cancel(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()


def _newest_of(journal: JournalPort) -> tuple[Entry, ...]:
    """The newest entries that are not answered; none of a journal that cannot be read, which is told when it is sent."""
    found = journal.found
    after = max(found.settled, found.written - _RECALLED)
    try:
        return tuple(journal.read(found.id, after, _RECALLED))
    except (JournalDamagedError, OSError):
        return ()
