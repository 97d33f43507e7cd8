"""The engine: owns a site, and takes every message the way of DESIGN's section 3.

    broker -> intake -> verify (threads when they pay) -> take, seal, sign -> commit -> publish -> acknowledge

Two stages run at once: while one batch is committed, the next is verified. Only the second stage touches the flow, so
everything is decided in order. Whatever waited while the last commit ran goes into the next one, at most 256. In a crowd
the second stage runs ahead by one batch: the next is decided and sealed while one is committed, and said after it.

INVARIANT: an answer is published, and a message acknowledged, only after the commit that holds its entry returned; what is
published is what was committed, whatever was decided since (`_Work.fix`).
INVARIANT: an engine that lost its site raises SiteLostError and is thrown away with its flow; it publishes nothing more.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper import cose
from gatekeeper.core.actuate import sign_answer, still_valid
from gatekeeper.core.audit import NOBODY, SITE_TREE, Draft, Kind, tenant_tree
from gatekeeper.core.commands import Order, SignedCommand
from gatekeeper.core.custody import erase_again
from gatekeeper.core.drafting import draft_of_unsent, marked
from gatekeeper.core.draw import Draws
from gatekeeper.core.facts import GuardsWord
from gatekeeper.core.flow import Flow, Recorded, Refused, Repeated
from gatekeeper.core.hearing import Hearing, told_silent
from gatekeeper.core.lockdowns import Lockdowns
from gatekeeper.core.retention import draft_of_expiry
from gatekeeper.core.scan import Authentic, Rejected, authenticate
from gatekeeper.core.sequences import Receipt
from gatekeeper.core.supervise import Writes, expire_proposals, supervise
from gatekeeper.core.trust import Anchor, Trust
from gatekeeper.core.verify import PinDesk, Presented
from gatekeeper.model.ids import BootId, GateId, HolderId, SiteId
from gatekeeper.model.messages import CommandKind, Hello, Scan, Verdict
from gatekeeper.model.reasons import MessageRefusal
from gatekeeper.model.topics import Channel, gate_topic, link_filter, upward_filters
from gatekeeper.model.trees import checkpoint_origin
from gatekeeper.observe.health import Health
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import (
    Clock,
    DeadLetter,
    DeletionOutdatedError,
    Inbound,
    KeyVault,
    Ledger,
    LedgerUnavailableError,
    Loaded,
    SiteLostError,
    StoredChange,
    TimestampAuthority,
    Transport,
    Witnesses,
)
from gatekeeper.service.cosigning import Cosigning
from gatekeeper.service.engine.beacons import Beacons
from gatekeeper.service.engine.beside import Beside
from gatekeeper.service.engine.checkpoints import CheckpointAnnouncer
from gatekeeper.service.engine.commanding import Commanding
from gatekeeper.service.engine.expiry import Expiry, Found, Grounds
from gatekeeper.service.engine.forgetting import Forgetting
from gatekeeper.service.engine.insistence import insist
from gatekeeper.service.engine.intake import Allowance, Arrival, Intake, TurnedAway
from gatekeeper.service.engine.listening import Listening
from gatekeeper.service.engine.loading import SiteUnusableError, flow_of, trees_of
from gatekeeper.service.engine.provisions import Provisions
from gatekeeper.service.engine.recorder import Contents, Recorder
from gatekeeper.service.engine.sealing import Sealer
from gatekeeper.service.engine.stamping import Stamper
from gatekeeper.transparency import Checkpoint, Policy, Signer, sign_checkpoint

__all__ = [
    "LONGEST_IN",
    "MAX_BATCH",
    "RECEIVE_MAXIMUM",
    "Engine",
    "EngineParts",
    "SiteUnusableError",
    "WitnessParts",
    "checkpoint_origin",
]

MAX_BATCH = 256
RECEIVE_MAXIMUM = 2048
#: bytes of a packet; well above the 8 KiB of the largest scan, for what is too large is to be seen and told of
LONGEST_IN = 65_536
_IN_THREADS_FROM = 4
_WORTH_OVERLAPPING = 64
_WORKERS = 2
_MAX_LETTERS = 1024
_MOST_CHANGES = 32
_STANDBY = 0.25
_RENEWAL = 1.0
_MONTHS_LOOKED_AT = 3600.0

_log = structlog.get_logger("gatekeeper.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessParts:
    """Which witnesses an engine asks for cosignatures, by which way, and how often."""

    policy: Policy
    witnesses: Witnesses
    interval: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What an engine is made of; put together in `app`."""

    site: SiteId
    owner: str
    prefix: str
    anchor: Anchor
    decision_key: cose.SigningKey
    log_key: Ed25519PrivateKey
    beacon_secret: bytes
    pin_desk: PinDesk | None
    allowance: Allowance
    ledger: Ledger
    vault: KeyVault
    transport: Transport
    clock: Clock
    health: Health
    beside: Sequence[Beside] = ()
    """What goes on while the site is owned, and never in the way of a scan."""
    witness: WitnessParts | None = None
    authority: TimestampAuthority | None = None
    stamped_every: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Verified:
    """A message after the first stage; `under` is the version of policy and trust list that it was held against."""

    arrival: Arrival
    authentic: Authentic
    presented: Presented | None
    under: bytes


@dataclass(slots=True)
class _Work:
    """What one turn of the second stage has to commit and to say."""

    drafts: list[Draft]
    recorded: list[tuple[Arrival, Authentic, Recorded]]
    repeated: list[tuple[Arrival, Authentic, Receipt]]
    refused: list[tuple[str, GateId]] = field(default_factory=list)
    """Why somebody must look at once at what was refused, and whose it was."""

    def fix(self) -> None:
        """Fix what is committed and said: a guard's word may change a receipt while it is on its way, and is no part of this."""
        self.recorded = [
            (arrival, authentic, replace(recorded, receipt=replace(recorded.receipt)))
            for arrival, authentic, recorded in self.recorded
        ]
        self.repeated = [
            (arrival, authentic, replace(receipt)) for arrival, authentic, receipt in self.repeated
        ]


class Engine:
    """One engine for one site, from claiming it to losing it."""

    def __init__(self, parts: EngineParts) -> None:
        self._parts = parts
        self._site = parts.site
        self._intake = Intake(allowance=parts.allowance, prefix=parts.prefix)
        self._verified: list[_Verified] = []
        self._room = asyncio.Event()
        self._letters: asyncio.Queue[tuple[Inbound, DeadLetter]] = asyncio.Queue(maxsize=_MAX_LETTERS)
        self._work_waits = asyncio.Event()
        self._changes: list[StoredChange] = []
        self._changes_taken = asyncio.Event()
        self._notices: list[tuple[Draft, asyncio.Event]] = []
        self._found: tuple[Found, asyncio.Future[bool]] | None = None
        self._forgetting = Forgetting(parts.site, ledger=parts.ledger, vault=parts.vault)
        self._returned: frozenset[HolderId] = frozenset()
        self._erased = asyncio.Event()
        self._linked, self._unlinked = asyncio.Event(), asyncio.Event()
        self._threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="verify")
        self._beacons = Beacons(
            site=parts.site, secret=parts.beacon_secret, key=parts.decision_key, prefix=parts.prefix
        )
        self._announcer = CheckpointAnnouncer(
            site=parts.site, key=parts.decision_key, prefix=parts.prefix, transport=parts.transport
        )
        self._provisions = Provisions(
            site=parts.site,
            key=parts.decision_key,
            prefix=parts.prefix,
            transport=parts.transport,
            clock=parts.clock,
        )
        self._commanding = Commanding(
            site=parts.site,
            key=parts.decision_key,
            prefix=parts.prefix,
            transport=parts.transport,
            clock=parts.clock,
            boot_of=self._boot_of,
        )
        self._listening = Listening(
            site=parts.site,
            prefix=parts.prefix,
            ledger=parts.ledger,
            clock=parts.clock,
            trust=lambda: self._flow.trust,
            snapshots=self._provisions.newest,
            counted=self._beacons.counted,
            record=self.record,
        )
        self._stamper = _stamper(parts)
        self._epoch = 0
        self._flow: Flow
        self._recorder: Recorder
        self._answering: asyncio.TaskGroup

    async def run(self) -> None:
        """Own the site and serve it until cancelled. Raises SiteLostError when another engine took it."""
        parts = self._parts
        try:
            self._epoch = await self._claim()
            async with asyncio.TaskGroup() as tasks:
                self._answering = tasks
                tasks.create_task(self._renew(), name="renew")
                await insist(self._take_over, health=self._parts.health)
                await self._begin()
                tasks.create_task(self._make_months(), name="months")
                tasks.create_task(self._bury(), name="bury")
                tasks.create_task(self._forget(), name="forgetting")
                tasks.create_task(self._watch_changes(), name="changes")
                tasks.create_task(self._sequence(), name="sequence")
                tasks.create_task(self._expiry().run(), name="expiry")
                tasks.create_task(self._verify_arrivals(), name="verify")
                tasks.create_task(self._publish_beacons(), name="beacons")
                tasks.create_task(self._sign_checkpoints(), name="checkpoints")
                for number, beside in enumerate(parts.beside):
                    tasks.create_task(beside.run(self), name=f"beside {number}")
                if parts.witness is not None:
                    tasks.create_task(self._cosigning(parts.witness).run(), name="witnesses")
                tasks.create_task(self._announcer.run(), name="announcer")
                tasks.create_task(self._provisions.run(), name="provisions")
                tasks.create_task(self._commanding.run(), name="commands")
                tasks.create_task(self._listening.run(), name="listening")
                if self._stamper is not None:
                    tasks.create_task(self._stamper.run(), name="timestamps")
                await parts.transport.open(
                    filters=upward_filters(self._site, prefix=parts.prefix),
                    on_message=self._on_message,
                    on_link=self._on_link,
                    standing=[link_filter(self._site, prefix=parts.prefix)],
                )
        except* SiteLostError as lost:
            raise SiteLostError(str(lost.exceptions[0])) from lost
        finally:
            parts.health.owns_site = False
            metrics.site_owned.set(0)
            await parts.transport.close()
            self._threads.shutdown(wait=False, cancel_futures=True)

    # -- taking the site over -------------------------------------------------------------------------------------

    async def _claim(self) -> int:
        waiting = False
        while True:
            try:
                epoch = await self._parts.ledger.claim(self._site, owner=self._parts.owner)
            except LedgerUnavailableError:
                self._parts.health.database_is_away()
            else:
                self._parts.health.database_answered()
                if epoch is not None:
                    metrics.epoch.set(epoch)
                    metrics.site_owned.set(1)
                    _log.info("site claimed", site=self._site, epoch=epoch)
                    return epoch
            if not waiting:
                _log.info(
                    "standing by: another engine owns the site, or the database is away", site=self._site
                )
                waiting = True
            await asyncio.sleep(_STANDBY)

    async def _take_over(self) -> None:
        """Load the site as the last commit left it; repeated whole when the database goes away meanwhile."""
        await self._load(await self._parts.ledger.load(self._site, epoch=self._epoch))

    async def _load(self, loaded: Loaded) -> None:
        flow = flow_of(loaded, anchor=self._parts.anchor)
        self._must_hold_our_keys(flow.trust)
        trees = trees_of(loaded)
        flow.pin_desk, flow.draws = self._parts.pin_desk, Draws(self._parts.beacon_secret)
        self._returned = await self._forgetting.reconcile(flow.erased)
        keys = dict(await self._parts.vault.keys(self._site))
        if NOBODY not in keys:
            keys.update(await self._parts.vault.ensure(self._site, [NOBODY]))
        keys.update(await self._forgetting.seal_plain_names(keys))
        self._flow = flow
        lockdowns = Lockdowns.of(self._site, loaded.lockdown_entries, standing=loaded.lockdowns)
        self._commanding.begin(lockdowns, flow.policy)
        told = told_silent(self._site, loaded.silence_entries)
        known = {row.gate: row.heard for row in loaded.links}
        self._listening.begin(Hearing.of(known, told, now=self._parts.clock.now()), epoch=self._epoch)
        self._recorder = Recorder(
            self._site,
            epoch=self._epoch,
            sealer=Sealer(self._site, trees=trees, keys=keys),
            ledger=self._parts.ledger,
            health=self._parts.health,
            start=self._start,
        )
        await self._open_trees()

    def _start(self, commit: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a commit among the engine's tasks: it ends with them."""
        return self._answering.create_task(commit, name="commit")

    def _boot_of(self, gate: GateId) -> BootId | None:
        return self._flow.sequences.boot_of(gate)

    def _must_hold_our_keys(self, trust: Trust) -> None:
        if self._parts.decision_key.kid not in trust.decisions:
            raise SiteUnusableError("The trust list does not name this service's decision key.")

    async def _open_trees(self) -> None:
        names = [SITE_TREE, *(tenant_tree(tenant) for tenant in self._flow.policy.tenants)]
        await self._parts.ledger.open_trees(self._site, names)
        for name in names:
            self._recorder.sealer.open_tree(name)

    async def _begin(self) -> None:
        """Say in the log that this engine has taken over; its first commit also proves that it may."""
        draft = Draft(
            kind=Kind.ENGINE_STARTED,
            at=self._parts.clock.now(),
            seq=self._flow.next_seq,
            tenants=(),
            public={"epoch": self._epoch, "policy": self._flow.policy.version.hex()},
            person=None,
            personal=None,
        )
        self._flow.next_seq += 1
        writes = Writes()
        returned = [erase_again(one, self._flow, writes, now=draft.at) for one in sorted(self._returned)]
        drafts = [draft, *(one for one in returned if one is not None)]
        await self._recorder.commit(Contents(drafts=drafts, writes=writes))
        self._erased.set()
        self._provisions.changed(self._flow)
        self._parts.health.owns_site = True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWAL)
            try:
                await self._parts.ledger.renew(self._site, epoch=self._epoch)
                self._parts.health.database_answered()
            except LedgerUnavailableError:
                self._parts.health.database_is_away()

    async def _forget(self) -> None:
        """Bring to its end what commits have begun: at the start, and after every erasure."""
        while True:
            await self._erased.wait()
            self._erased.clear()
            await insist(self._forgetting.finish, health=self._parts.health)

    async def _make_months(self) -> None:
        while True:
            await asyncio.sleep(_MONTHS_LOOKED_AT)
            with suppress(LedgerUnavailableError):
                await self._parts.ledger.make_months()

    # -- intake ---------------------------------------------------------------------------------------------------

    def _on_link(self, up: bool) -> None:  # noqa: FBT001 - the link is up, or it is not
        self._parts.health.broker = up
        metrics.broker_connected.set(int(up))
        _log.info("broker link", site=self._site, up=up)
        here, gone = (self._linked, self._unlinked) if up else (self._unlinked, self._linked)
        here.set()
        gone.clear()
        self._listening.link(up=up)
        if up:
            self._announcer.link_up()
            self._provisions.link_up()
            self._commanding.link_up()

    def _on_message(self, inbound: Inbound) -> None:
        if self._listening.offer(inbound):
            return
        turned_away = self._intake.offer(inbound, at=time.monotonic())
        if turned_away is not None:
            self._turn_away(turned_away)

    def _turn_away(self, refused: TurnedAway) -> None:
        metrics.refused(refused.code.value).inc()
        if not refused.keep or self._letters.full():
            self._parts.transport.acknowledge(refused.inbound)
            return
        letter = self._letter(refused.inbound, gate=refused.gate, code=refused.code.value, detail="")
        self._letters.put_nowait((refused.inbound, letter))

    def _letter(self, inbound: Inbound, *, gate: GateId | None, code: str, detail: str) -> DeadLetter:
        _log.warning("message refused", gate=gate, code=code, detail=detail)
        return DeadLetter(
            at=self._parts.clock.now(),
            topic=inbound.topic.replace("\0", "\ufffd"),
            gate=gate,
            code=code,
            detail=detail,
            payload=inbound.payload,
        )

    async def _bury(self) -> None:
        """Write refused bytes down, then acknowledge them. While the database is away they wait, and are bounded."""
        while True:
            batch = [await self._letters.get()]
            while len(batch) < MAX_BATCH and not self._letters.empty():
                batch.append(self._letters.get_nowait())
            await insist(
                lambda: self._parts.ledger.bury(self._site, [letter for _, letter in batch]),  # noqa: B023 - awaited here
                health=self._parts.health,
            )
            for inbound, _ in batch:
                self._parts.transport.acknowledge(inbound)

    # -- first stage: verify ----------------------------------------------------------------------------------------

    async def _verify_arrivals(self) -> None:
        while True:
            arrivals = await self._intake.take(MAX_BATCH)
            metrics.intake_depth.set(len(self._intake))
            beacons = self._beacons.counted(self._parts.clock.now())
            if len(arrivals) < _IN_THREADS_FROM:
                looked_at = [self._verify(arrival, beacons) for arrival in arrivals]
            else:
                looked_at = await self._verify_in_threads(arrivals, beacons)
            for arrival, found in zip(arrivals, looked_at, strict=True):
                if isinstance(found, Rejected):
                    await self._reject(arrival, found)
                else:
                    self._verified.append(found)
            if self._verified:
                self._work_waits.set()
            while len(self._verified) >= MAX_BATCH:
                self._room.clear()
                await self._room.wait()

    async def _verify_in_threads(
        self, arrivals: Sequence[Arrival], beacons: Sequence[bytes]
    ) -> list[_Verified | Rejected]:
        share = -(-len(arrivals) // _WORKERS)
        loop = asyncio.get_running_loop()

        def work(part: Sequence[Arrival]) -> list[_Verified | Rejected]:
            return [self._verify(arrival, beacons) for arrival in part]

        parts = [
            loop.run_in_executor(self._threads, work, arrivals[start : start + share])
            for start in range(0, len(arrivals), share)
        ]
        return [found for part in parts for found in await part]

    def _verify(self, arrival: Arrival, beacons: Sequence[bytes]) -> _Verified | Rejected:
        # Asked first: should it change meanwhile, the second stage will see it.
        under = self._flow.policy.version
        authentic = authenticate(
            arrival.inbound.topic,
            arrival.inbound.payload,
            trust=self._flow.trust,
            prefix=self._parts.prefix,
        )
        if isinstance(authentic, Rejected):
            return authentic
        return _Verified(arrival, authentic, self._flow.verify(authentic, beacons=beacons), under)

    async def _reject(self, arrival: Arrival, rejected: Rejected) -> None:
        metrics.refused(rejected.code.value).inc()
        if rejected.code is MessageRefusal.GATE_REVOKED:
            metrics.alarm(rejected.code.value).inc()
            _log.warning("alarm", code=rejected.code.value, gate=rejected.gate)
        letter = self._letter(
            arrival.inbound, gate=rejected.gate, code=rejected.code.value, detail=rejected.detail
        )
        await self._letters.put((arrival.inbound, letter))

    # -- second stage: take, commit, actuate --------------------------------------------------------------------------

    async def _sequence(self) -> None:
        while True:
            nothing_waits = not self._changes and not self._notices and self._found is None
            if not self._verified and nothing_waits:
                await self._wait_for_work()
            if self._changes:
                await self._supervise()
            if self._notices:
                await self._write_notices()
            await self._give_up_on_guards()
            await self._expire_proposals()
            if len(self._verified) < _WORTH_OVERLAPPING:
                # Few: whatever comes while a batch is being committed goes into one with them.
                await self._recorder.settled()
            if self._verified:
                await self._process(self._next_batch())
            if self._found is not None:
                await self._answer_expiry()

    async def _wait_for_work(self) -> None:
        """Wait for messages and changes, and no longer than those who wait for a guard or a second person."""
        self._work_waits.clear()
        waiting = (self._flow.next_overdue, self._flow.proposals.next_due)
        until = min((instant for instant in waiting if instant is not None), default=None)
        patience = None if until is None else max(0.0, (until - self._parts.clock.now()).total_seconds())
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._work_waits.wait()

    async def _give_up_on_guards(self) -> None:
        """Deny the scans for which no guard has spoken in time."""
        now = self._parts.clock.now()
        silent = [self._flow.settle(seq, GuardsWord.SILENCE, now=now) for seq in self._flow.overdue(now)]
        settled = [recorded for recorded in silent if recorded is not None]
        if settled:
            self._sign_all(settled)
            drafts = [draft for one in settled for draft in one.drafts]
            await self._recorder.commit(Contents(drafts=drafts, recorded=settled))
            self._publish(settled)

    async def _expire_proposals(self) -> None:
        """End the proposals that no second person has approved in time."""
        now = self._parts.clock.now()
        if not self._flow.proposals.due(now):
            return
        writes = Writes()
        drafts = expire_proposals(self._flow, now=now, writes=writes)
        await self._recorder.commit(Contents(drafts=drafts, writes=writes))
        self._tell(writes)

    def _sign_all(self, settled: Sequence[Recorded]) -> None:
        for one in settled:
            _, one.receipt.signed = sign_answer(
                one.answer, site=self._site, key=self._parts.decision_key, prefix=self._parts.prefix
            )

    def _publish(self, settled: Sequence[Recorded]) -> None:
        for one in settled:
            topic = gate_topic(self._site, one.answer.gate, Channel.DECISION, prefix=self._parts.prefix)
            self._parts.transport.publish(topic, one.receipt.signed)
            self._alarm(one)

    def _alarm(self, recorded: Recorded) -> None:
        """Say at once that a badge was used that must not be, or under duress: where, and not by whom."""
        for code in recorded.alarms:
            metrics.alarm(code).inc()
            _log.warning("alarm", code=code, gate=recorded.receipt.gate, seq=recorded.receipt.seq)

    async def _process(self, verified: Sequence[_Verified]) -> None:
        now = self._parts.clock.now()
        work = _Work([], [], [])
        for one in verified:
            await self._take(one, now, work)
        topics = self._sign_answers(work)
        work.fix()
        contents = Contents(drafts=work.drafts, recorded=[recorded for _, _, recorded in work.recorded])
        if len(work.drafts) >= _WORTH_OVERLAPPING:
            committed = await self._recorder.begin(contents)
            self._answering.create_task(self._actuate_after(committed, work, topics), name="actuate")
            return
        if work.drafts:
            await self._recorder.commit(contents)
        else:
            # What is answered again may be on its way to the log.
            await self._recorder.settled()
        self._actuate(work, topics)

    def _next_batch(self) -> Sequence[_Verified]:
        batch, self._verified = self._verified[:MAX_BATCH], self._verified[MAX_BATCH:]
        self._room.set()
        return batch

    async def _take(self, one: _Verified, now: datetime, work: _Work) -> None:
        # INVARIANT: what a former trust list or policy said of a message counts no more when it is taken.
        if one.under != self._flow.policy.version:
            anew = self._verify(one.arrival, self._beacons.counted(now))
            if isinstance(anew, Rejected):
                await self._reject(one.arrival, anew)
                return
            one = anew
        outcome = self._flow.take(one.authentic, one.presented, now=now)
        match outcome:
            case Recorded():
                work.drafts += outcome.drafts
                work.recorded.append((one.arrival, one.authentic, outcome))
            case Repeated(receipt=receipt):
                work.repeated.append((one.arrival, one.authentic, receipt))
            case Refused(code=code, detail=detail):
                metrics.refused(code.value).inc()
                work.drafts += outcome.drafts
                work.refused += [(alarm, one.authentic.gate) for alarm in outcome.alarms]
                inbound = one.arrival.inbound
                letter = self._letter(inbound, gate=one.authentic.gate, code=code.value, detail=detail)
                await self._letters.put((inbound, letter))

    def _sign_answers(self, work: _Work) -> list[str]:
        topics = []
        for _, _, recorded in work.recorded:
            topic, recorded.receipt.signed = sign_answer(
                recorded.answer, site=self._site, key=self._parts.decision_key, prefix=self._parts.prefix
            )
            topics.append(topic)
        return topics

    async def _actuate_after(self, committed: Awaitable[None], work: _Work, topics: Sequence[str]) -> None:
        await committed
        self._actuate(work, topics)

    def _actuate(self, work: _Work, topics: Sequence[str]) -> None:
        self._commanding.learn(work.drafts, self._flow.policy)
        transport = self._parts.transport
        for (arrival, authentic, recorded), topic in zip(work.recorded, topics, strict=True):
            transport.publish(topic, recorded.receipt.signed)
            transport.acknowledge(arrival.inbound)
            self._observe(arrival, authentic, recorded)
            if isinstance(authentic.message, Hello):
                self._provisions.greeted(authentic.gate, holds=authentic.message.policy)
        for code, gate in work.refused:
            metrics.alarm(code).inc()
            _log.warning("alarm", code=code, gate=gate)
        now = self._parts.clock.now()
        for arrival, authentic, receipt in work.repeated:
            metrics.repeated.inc()
            if still_valid(verdict=receipt.verdict, issued=receipt.issued, now=now):
                topic = gate_topic(self._site, authentic.gate, Channel.DECISION, prefix=self._parts.prefix)
                transport.publish(topic, receipt.signed)
            transport.acknowledge(arrival.inbound)

    def _observe(self, arrival: Arrival, authentic: Authentic, recorded: Recorded) -> None:
        message = authentic.message
        metrics.message(type(message).__name__.lower()).inc()
        self._alarm(recorded)
        if recorded.decision is None or not isinstance(message, Scan):
            return
        seconds = time.monotonic() - arrival.at
        verdict = "granted" if recorded.decision.granted else "denied"
        metrics.decision_seconds.observe(seconds)
        metrics.decision(verdict, recorded.decision.reason.code).inc()
        _log.info(
            "scan",
            gate=authentic.gate,
            access_point=message.access_point,
            sequence=message.sequence,
            verdict=verdict,
            reason=recorded.decision.reason.code,
            seq=recorded.receipt.seq,
            ms=round(seconds * 1000, 2),
        )

    # -- changes --------------------------------------------------------------------------------------------------

    async def _watch_changes(self) -> None:
        """Bring waiting changes to the second stage, and wait until it took them before asking for more."""
        async for _ in self._parts.ledger.change_arrivals(self._site):
            while await self._bring_changes() == _MOST_CHANGES:
                pass

    async def _bring_changes(self) -> int:
        """Bring the changes that have waited longest, and say how many. Few at a time, for scans come between them."""
        waiting: Sequence[StoredChange] = ()
        with suppress(LedgerUnavailableError):
            waiting = await self._parts.ledger.changes(self._site, most=_MOST_CHANGES)
        if waiting:
            self._changes = list(waiting)
            self._changes_taken.clear()
            self._work_waits.set()
            await self._changes_taken.wait()
        return len(waiting)

    async def _supervise(self) -> None:
        """Make the waiting changes, one entry each, in one commit."""
        now = self._parts.clock.now()
        writes = Writes()
        drafts: list[Draft] = []
        settled: list[Recorded] = []
        commands: list[SignedCommand] = []
        for change in self._changes:
            done = supervise(
                self._flow,
                change.document,
                change_id=change.id,
                name=change.name,
                anchor=self._parts.anchor,
                now=now,
                writes=writes,
                is_linked=self._parts.transport.connected,
            )
            writes.outcomes.append(done.outcome)
            ordered = done.order
            if ordered is None:
                drafts += done.drafts
            else:
                command = self._command(ordered, now)
                commands.append(command)
                drafts += [
                    marked(draft, command=command.digest.hex()) if draft.seq == ordered.entry else draft
                    for draft in done.drafts
                ]
            if done.settled is not None:
                drafts += done.settled.drafts
                settled.append(done.settled)
        people = [draft.person for draft in drafts if draft.person is not None]
        strangers = [person for person in dict.fromkeys(people) if not self._recorder.sealer.knows(person)]
        if strangers:
            await insist(lambda: self._learn(strangers), health=self._parts.health)
        await insist(self._open_trees, health=self._parts.health)
        self._sign_all(settled)
        await self._recorder.commit(Contents(drafts=drafts, recorded=settled, writes=writes))
        if writes.erased:
            self._recorder.sealer.forget(holder for holder, _ in writes.erased)
            self._erased.set()
        self._publish(settled)
        self._give(commands, {draft.seq: draft for draft in drafts})
        self._commanding.learn(drafts, self._flow.policy)
        self._tell(writes)
        self._changes = []
        self._changes_taken.set()

    def _command(self, order: Order, now: datetime) -> SignedCommand:
        """Sign an order before its entry is committed, so that the passage it leads to finds that entry."""
        command = self._commanding.sign(order, now=now)
        errand = order.errand
        if errand.kind is CommandKind.OPEN:
            self._flow.sequences.remember_grant(
                Receipt(
                    gate=errand.gate,
                    boot=errand.boot,
                    sequence=0,
                    digest=command.digest,
                    seq=order.entry,
                    verdict=Verdict.GRANTED,
                    issued=now,
                    holder=None,
                )
            )
        return command

    def _give(self, commands: Sequence[SignedCommand], entries: Mapping[int, Draft]) -> None:
        """Send commands; of one that could not be sent the log says so next."""
        for command in commands:
            unsent = self._commanding.give(command)
            if unsent is not None:
                ordered = entries[command.order.entry]
                draft = draft_of_unsent(ordered, unsent, at=self._parts.clock.now(), seq=0)
                self._notices.append((draft, asyncio.Event()))

    def _tell(self, writes: Writes) -> None:
        self._provisions.changed(self._flow)
        for outcome in writes.outcomes:
            metrics.change(outcome.code).inc()
            _log.info("change", change=outcome.change.hex(), outcome=outcome.code, seq=outcome.seq)

    async def _learn(self, people: Sequence[HolderId]) -> None:
        self._recorder.sealer.learn(await self._parts.vault.ensure(self._site, people))

    # -- what is over its period ----------------------------------------------------------------------------------

    def _expiry(self) -> Expiry:
        return Expiry(
            site=self._site,
            ledger=self._parts.ledger,
            clock=self._parts.clock,
            grounds=self._grounds,
            register=lambda: self._flow.register,
            let_go=self._bring_expiry,
        )

    def _grounds(self) -> Grounds:
        return Grounds(self._flow.policy, self._flow.holds)

    async def _bring_expiry(self, found: Found) -> bool:
        """Bring a batch that is due to the second stage, and wait until it took it; whether it is gone."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._found = (found, answer)
        self._work_waits.set()
        return await answer

    async def _answer_expiry(self) -> None:
        if self._found is not None:
            (found, answer), self._found = self._found, None
            gone = await self._let_go(found)
            if not answer.done():
                answer.set_result(gone)

    async def _let_go(self, found: Found) -> bool:
        """Commit the entry of a batch and its deletion; False when it is not due any more, or not as it was found."""
        if found.grounds != self._grounds() or not self._are_registered(found.doomed.registrations):
            return False
        now, seq = self._parts.clock.now(), self._flow.next_seq
        draft = draft_of_expiry(found.doomed.expired, self._flow.policy, at=now, seq=seq)
        self._flow.next_seq += 1
        try:
            await self._recorder.commit(Contents(drafts=[draft], doomed=found.doomed))
        except DeletionOutdatedError as error:
            self._flow.next_seq = seq
            _log.warning("not expired", why=str(error))
            return False
        for holder in found.doomed.registrations:
            self._flow.let_go(holder)
        self._provisions.changed(self._flow)
        return True

    def _are_registered(self, registrations: Mapping[HolderId, bytes]) -> bool:
        """Whether registrations are still as they were found: nobody's was renewed meanwhile."""
        records = [
            (self._flow.register.record_of(holder), digest) for holder, digest in registrations.items()
        ]
        return all(
            record is not None and hashlib.sha256(record.document).digest() == digest
            for record, digest in records
        )

    # -- what goes on beside ----------------------------------------------------------------------------------------

    @property
    def flow(self) -> Flow:
        """The state of the site, for what goes on beside the engine to look at."""
        return self._flow

    @property
    def size(self) -> int:
        """How many entries the log holds for certain."""
        return self._recorder.sealer.size

    async def beyond(self, size: int) -> int:
        """Wait until the log holds more than so many entries, for certain; how many it holds."""
        return await self._recorder.beyond(size)

    async def record(self, draft: Draft) -> None:
        """Write an entry of the service's own between two batches; returns when it is committed."""
        committed = asyncio.Event()
        self._notices.append((draft, committed))
        self._work_waits.set()
        await committed.wait()

    async def _write_notices(self) -> None:
        notices, self._notices = self._notices, []
        first = self._flow.next_seq
        self._flow.next_seq += len(notices)
        drafts = [replace(draft, seq=first + number) for number, (draft, _) in enumerate(notices)]
        await self._recorder.commit(Contents(drafts=drafts))
        for _, committed in notices:
            committed.set()

    # -- beside the way of a scan -----------------------------------------------------------------------------------

    async def _publish_beacons(self) -> None:
        while True:
            await self._linked.wait()
            now = self._parts.clock.now()
            topic, wire = self._beacons.message(now)
            self._parts.transport.publish(topic, wire, retain=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beacons.until_next(now).total_seconds()):
                    await self._unlinked.wait()

    async def _sign_checkpoints(self) -> None:
        """Once a second, when the log grew: sign where every grown tree stands, and tell those who watch."""
        signed: dict[str, int] = {}
        announced = 0
        while True:
            await self._recorder.grown.wait()
            self._recorder.grown.clear()
            heads = [
                (tree, size, root)
                for tree, size, root in self._recorder.sealer.heads()
                if size > signed.get(tree, 0)
            ]
            now, newest_at = self._parts.clock.now(), self._recorder.newest_at
            with suppress(LedgerUnavailableError):
                for tree, size, root in heads:
                    note = self._note(tree, size, root)
                    await self._parts.ledger.checkpoint(
                        self._site, tree=tree, size=size, root=root, note=note, at=now
                    )
                    signed[tree] = size
                    self._tell_signed(tree, size, note, newest_at)
                metrics.checkpoint_size.set(signed.get(SITE_TREE, 0))
            for _ in range(10):
                if self._recorder.sealer.size != announced:
                    with suppress(LedgerUnavailableError):
                        announced = self._recorder.sealer.size
                        await self._parts.ledger.announce(self._site, size=announced)
                await asyncio.sleep(0.1)

    def _cosigning(self, parts: WitnessParts) -> Cosigning:
        return Cosigning(
            self._site,
            policy=parts.policy,
            interval=parts.interval,
            witnesses=parts.witnesses,
            ledger=self._parts.ledger,
            clock=self._parts.clock,
            tree_of=self._recorder.sealer.tree,
        )

    def _tell_signed(self, tree: str, size: int, note: bytes, newest_at: datetime) -> None:
        """Bring a checkpoint to those who remember it outside the database."""
        if self._stamper is not None:
            self._stamper.signed(tree, size, note)
        if tree == SITE_TREE:
            self._announcer.signed(note, at=newest_at)

    def _note(self, tree: str, size: int, root: bytes) -> bytes:
        origin = checkpoint_origin(self._site, tree)
        signer = Signer(name=origin, private_key=self._parts.log_key)
        return sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), [signer])


def _stamper(parts: EngineParts) -> Stamper | None:
    if parts.authority is None:
        return None
    return Stamper(
        site=parts.site,
        authority=parts.authority,
        ledger=parts.ledger,
        clock=parts.clock,
        every=parts.stamped_every,
    )
