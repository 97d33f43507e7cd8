"""What gates need to be alone one day, brought to them while the service is there.

    trust list    <prefix>/v1/<site>/trust             when it changes                                    retained
    standing      <prefix>/v1/<site>/standing          at once when anything takes a right away, and every minute   retained
    snapshot      <prefix>/v1/<site>/<gate>/policy     when what the gate may do changes, and every hour  retained

All of it goes out again after every reconnection, for the broker may have lost it; and for a gate whose hello says that it holds no
snapshot, or another: what the broker keeps may never have come to it. What found no link or a crowded one is tried again. What takes
rights away goes first, and does not wait for what gives them: the topic of a gate that is dismissed or revoked is cleared at once.
Snapshots are made in a thread, while the flow goes on: one that was made while something changed is made again. They leave one after
the other, with a pause for the answers to scans.

INVARIANT: a version is the length of the log when a change was committed; so no engine ever signs one that goes back.
INVARIANT: nothing is said that is not committed. A change is made in the flow before its commit, and may wait for a database for as long as
    that is away; so what is said was put aside after a commit, and what is read from the register counts only if nothing changed meanwhile.
INVARIANT: a standing names only snapshots that were made of what is the case. A gate counts from it how long it may go on: what
    gives more than the site would give today is not prolonged, however long the new one takes to make.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

import structlog

from gatekeeper import cose
from gatekeeper.core.bearers import Bearers, statuses
from gatekeeper.core.flow import Flow
from gatekeeper.core.snapshots import Beforehand, alone_at
from gatekeeper.core.trust import KeyState, Trust
from gatekeeper.cose.status_list import STATUS_LIST_TYPE, StatusList
from gatekeeper.model.ids import GateId, SiteId, TenantId
from gatekeeper.model.policy import Policy
from gatekeeper.model.snapshot import (
    MAX_SNAPSHOT_BYTES,
    SNAPSHOT_TYPE,
    STANDING_TYPE,
    Snapshot,
    Standing,
)
from gatekeeper.model.topics import Channel, gate_topic, standing_topic, trust_topic
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, Transport

__all__ = ["Provisions"]

_SAID_EVERY: Final = timedelta(seconds=60)
_MADE_EVERY: Final = timedelta(hours=1)
_OVERLAP: Final = timedelta(hours=2)
_SETTLED_AFTER: Final = timedelta(seconds=1)
_APART: Final = timedelta(milliseconds=200)
_AGAIN_AFTER: Final = timedelta(seconds=10)
_GREETED_AGAIN_AFTER: Final = timedelta(minutes=1)
"""How often one gate's hello may have its snapshot sent: it may be 16 MiB, and a hello costs the gate nothing."""
_TOLD_TOGETHER: Final = timedelta(seconds=5)
"""Standing and trust list go to all gates: of a crowd that starts at once, all that come meanwhile are told together."""
_ENVELOPE: Final = 256

_log = structlog.get_logger("gatekeeper.provisions")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Committed:
    """Where a site stood after a commit; `register` and memory go on, so they are looked at again through `flow`."""

    flow: Flow
    version: int
    policy: Policy
    trust: Trust
    alert: int
    lockdowns: frozenset[str]
    suspended: frozenset[TenantId]
    counts: object

    @classmethod
    def now(cls, flow: Flow) -> Self:
        """Put aside what a flow says that has nothing uncommitted."""
        return cls(
            flow=flow,
            version=flow.next_seq,
            policy=flow.policy,
            trust=flow.trust,
            alert=flow.alert,
            lockdowns=flow.lockdowns,
            suspended=flow.suspended,
            counts=_what_counts(flow),
        )

    def is_all(self) -> bool:
        """Whether the flow holds nothing that is not committed yet."""
        return _what_counts(self.flow) == self.counts


class Provisions:
    """Keeps one site's gates provided."""

    def __init__(
        self, *, site: SiteId, key: cose.SigningKey, prefix: str, transport: Transport, clock: Clock
    ) -> None:
        self._site: Final = site
        self._key: Final = key
        self._prefix: Final = prefix
        self._transport: Final = transport
        self._clock: Final = clock
        self._bearers: Final = Bearers()
        self._asked: Beforehand | None = None

        # What is to be done.
        self._committed: _Committed | None = None
        self._said: object = None
        self._news: Final = asyncio.Event()
        self._makes: Final = asyncio.Event()
        self._sends: Final = asyncio.Event()
        self._unsent: Final[dict[GateId, None]] = {}
        self._greetings: Final = asyncio.Event()
        self._greeted: Final[dict[GateId, datetime]] = {}

        # What counts.
        self._statuses: Mapping[TenantId, bytes] = {}
        self._statuses_of: object = None
        self._snapshots: Final[dict[GateId, tuple[Snapshot, bytes]]] = {}
        self._digests: Final[dict[GateId, bytes]] = {}
        self._dismissed: frozenset[GateId] = frozenset()
        self._made_of: object = None

    def changed(self, flow: Flow) -> None:
        """Something was committed that may give or take a right, and nothing in the flow is not."""
        self._committed = _Committed.now(flow)
        self._dismiss(_dismissed(self._committed))
        self._news.set()

    def link_up(self) -> None:
        """The broker is there again, and may have lost what it retained."""
        self._said = None
        self._news.set()
        self._send_later([*self._snapshots, *self._dismissed])

    def greeted(self, gate: GateId, *, holds: bytes | None) -> None:
        """A gate has said hello, and which snapshot it holds, by SHA-256: one that does not hold its own gets all of it again."""
        now, newest = self._clock.now(), self._digests.get(gate)
        if newest is not None and newest == holds:
            return
        if gate in self._greeted and now - self._greeted[gate] < _GREETED_AGAIN_AFTER:
            return
        self._greeted[gate] = now
        if newest is not None:
            self._send_later([gate])
        self._greetings.set()

    def newest(self) -> Mapping[GateId, bytes]:
        """The SHA-256 of the newest snapshot that was made for each gate, as it is sent."""
        return self._digests

    async def run(self) -> None:
        """Provide until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._say(), name="standing")
            tasks.create_task(self._make(), name="snapshots")
            tasks.create_task(self._send(), name="sending snapshots")
            tasks.create_task(self._welcome(), name="welcoming gates")

    # -- what takes rights away -----------------------------------------------------------------------------------

    async def _say(self) -> None:
        while True:
            self._news.clear()
            pause = _SAID_EVERY if await self._has_said() else _AGAIN_AFTER
            with suppress(TimeoutError):
                async with asyncio.timeout(pause.total_seconds()):
                    await self._news.wait()

    async def _has_said(self) -> bool:
        """Say where the site stands, and before it the trust list if that may be news; whether all of it went out."""
        committed = self._committed
        if committed is None or not await self._has_statuses(committed):
            return False
        if committed.counts == self._said:
            return self._publish_standing(committed)
        topic = trust_topic(self._site, prefix=self._prefix)
        is_out = self._transport.publish(topic, committed.trust.document, retain=True)
        is_out = self._publish_standing(committed) and is_out
        if is_out:
            self._said = committed.counts
        return is_out

    async def _has_statuses(self, committed: _Committed) -> bool:
        """Have the status lists of what is committed, made of that and nothing else."""
        if committed.counts == self._statuses_of:
            return True
        # INVARIANT: no standing is signed that may not know of a revocation. The gates' time alone runs out instead.
        if not committed.is_all():
            return False  # and once that is committed, this is asked again
        try:
            made = await asyncio.to_thread(self._signed_statuses, committed.flow)
        except Exception:  # noqa: BLE001 - see above
            metrics.snapshots_failed.inc()
            _log.exception("no status lists could be made")
            return False
        if not committed.is_all():
            return False
        self._statuses, self._statuses_of = made, committed.counts
        self._makes.set()
        return True

    def _publish_standing(self, committed: _Committed) -> bool:
        topic = standing_topic(self._site, prefix=self._prefix)
        standing = Standing(
            site=self._site,
            version=committed.version,
            issued=self._clock.now(),
            alert=committed.alert,
            lockdowns=committed.lockdowns,
            suspended=committed.suspended,
            statuses=self._statuses,
            trust=committed.trust.version,
            snapshots={
                gate: snapshot.version
                for gate, (snapshot, _) in self._snapshots.items()
                if self._made_of == committed.counts
            },
        )
        wire = cose.sign(standing.payload(), key=self._key, typ=STANDING_TYPE, external_aad=topic.encode())
        return self._transport.publish(topic, wire, retain=True)

    def _signed_statuses(self, flow: Flow) -> Mapping[TenantId, bytes]:
        issued = int(self._clock.now().timestamp())
        return {
            tenant: cose.sign(
                StatusList.of(f"site:{self._site}/t:{tenant}", listed, issued=issued).payload(),
                key=self._key,
                typ=STATUS_LIST_TYPE,
                external_aad=self._site.encode(),
            )
            for tenant, listed in statuses(flow).items()
        }

    async def _welcome(self) -> None:
        """Say trust list and standing again for gates that have said hello."""
        while True:
            await self._greetings.wait()
            self._greetings.clear()
            self._said = None
            self._news.set()
            await asyncio.sleep(_TOLD_TOGETHER.total_seconds())

    # -- what gives them --------------------------------------------------------------------------------------------

    async def _make(self) -> None:
        """Make snapshots some time after a change, for changes come in crowds; and every hour, for time goes on."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_MADE_EVERY.total_seconds()):
                    await self._makes.wait()
            await asyncio.sleep(_SETTLED_AFTER.total_seconds())
            self._makes.clear()
            committed, now = self._committed, self._clock.now()
            if committed is None or not committed.is_all():
                self._makes.set()
                continue
            try:
                made = await asyncio.to_thread(self._made, committed, now)
            except Exception:  # noqa: BLE001 - see below
                # A gate that is not provided is no reason to stop deciding for all the others.
                metrics.snapshots_failed.inc()
                _log.exception("no snapshots could be made")
                self._makes.set()
                await asyncio.sleep(_AGAIN_AFTER.total_seconds())
                continue
            if not committed.is_all():
                self._makes.set()
                continue
            self._take(made)
            self._made_of = committed.counts
            self._news.set()

    def _made(self, committed: _Committed, now: datetime) -> list[Snapshot]:
        policy, alert = committed.policy, committed.alert
        asked = self._asked_within(policy, alert, now)
        crowds = asked.crowds(self._bearers.of(committed.flow, now=now))
        return [
            asked.snapshot(gate, crowds, version=committed.version, issued=now)
            for gate in policy.gates
            if _is_believed(gate, committed.trust)
        ]

    def _dismiss(self, gates: frozenset[GateId]) -> None:
        """Let the snapshots of gates go that are dismissed, and clear their topics: what an engine before this left there, too."""
        news, self._dismissed = gates - self._dismissed, gates
        for gate in news & self._snapshots.keys():
            del self._snapshots[gate], self._digests[gate]
            metrics.snapshot_bytes(gate).set(0)
        self._send_later(news)

    def _asked_within(self, policy: Policy, alert: int, now: datetime) -> Beforehand:
        """The answers of this hour; those that were given already, while they follow from the same."""
        # Of whole hours: a gate whose rights did not change within the hour gets the same again, and need not get it.
        hour = now.replace(minute=0, second=0, microsecond=0)
        since, until = hour - _OVERLAP / 2, hour + _MADE_EVERY + _longest(policy, alert) + _OVERLAP
        asked = self._asked
        if asked is None or asked.policy is not policy or (asked.alert, asked.since) != (alert, since):
            asked = self._asked = Beforehand(policy=policy, alert=alert, since=since, until=until)
        return asked

    def _take(self, made: list[Snapshot]) -> None:
        """Sign what is new and let it out; clear what a gate has no more."""
        fitting = [snapshot for snapshot in made if self._fits(snapshot)]
        gone = self._snapshots.keys() - {snapshot.gate for snapshot in fitting}
        for gate in gone:
            del self._snapshots[gate], self._digests[gate]
        news = [snapshot for snapshot in fitting if self._is_news(snapshot)]
        for snapshot in news:
            topic = self._policy_topic(snapshot.gate)
            wire = cose.sign(
                snapshot.payload(), key=self._key, typ=SNAPSHOT_TYPE, external_aad=topic.encode()
            )
            self._snapshots[snapshot.gate] = (snapshot, wire)
            self._digests[snapshot.gate] = hashlib.sha256(wire).digest()
            metrics.snapshot_bytes(snapshot.gate).set(len(wire))
            self._send_later([snapshot.gate])
        self._send_later(gone)

    def _fits(self, made: Snapshot) -> bool:
        octets = len(made.payload())
        if octets + _ENVELOPE <= MAX_SNAPSHOT_BYTES:
            return True
        _log.error("a snapshot is too large", gate=made.gate, octets=octets)
        return False

    def _is_news(self, made: Snapshot) -> bool:
        known, _ = self._snapshots.get(made.gate, (None, b""))
        return known is None or replace(made, version=known.version, issued=known.issued) != known

    # -- and how they leave -----------------------------------------------------------------------------------------

    def _send_later(self, gates: Iterable[GateId]) -> None:
        self._unsent.update(dict.fromkeys(gates))
        self._sends.set()

    async def _send(self) -> None:
        while True:
            await self._sends.wait()
            self._sends.clear()
            missed = []
            for gate in list(self._unsent):
                del self._unsent[gate]
                _, wire = self._snapshots.get(gate, (None, b""))
                if not self._transport.publish(self._policy_topic(gate), wire, retain=True):
                    missed.append(gate)
                # A link that is busy with a snapshot takes no answers to scans; they come in between.
                await asyncio.sleep(_APART.total_seconds() if wire else 0)
            if missed:
                await asyncio.sleep(_AGAIN_AFTER.total_seconds())
                self._send_later(missed)

    def _policy_topic(self, gate: GateId) -> str:
        return gate_topic(self._site, gate, Channel.POLICY, prefix=self._prefix)


def _is_believed(gate: GateId, trust: Trust) -> bool:
    listed = trust.listing.gates.get(gate)
    return listed is not None and listed.state is KeyState.ACTIVE


def _dismissed(committed: _Committed) -> frozenset[GateId]:
    """The gates that the site knows and does not believe, or that no policy has any more."""
    policy, trust = committed.policy, committed.trust
    known = policy.gates.keys() | trust.listing.gates.keys()
    return frozenset(gate for gate in known if gate not in policy.gates or not _is_believed(gate, trust))


def _what_counts(flow: Flow) -> object:
    """All that rights follow from; another one when any of it changed."""
    return (
        flow.policy.version, flow.trust.version, flow.alert, flow.lockdowns, flow.suspended, flow.register.revision,
    )  # fmt: skip


def _longest(policy: Policy, alert: int) -> timedelta:
    allowed = (alone_at(policy, point, alert=alert) for point in policy.points.values())
    return max((one.longest for one in allowed if one is not None), default=timedelta(hours=1))
