"""What gates need to be alone one day, brought to them while the service is there.

    trust list    <prefix>/v1/<site>/trust             when it changes                                    retained
    standing      <prefix>/v1/<site>/standing          at once when anything takes a right away, and every minute   retained
    snapshot      <prefix>/v1/<site>/<gate>/policy     when what the gate may do changes, and every hour  retained

All of it goes out again after every reconnection, for the broker may have lost it. What takes rights away goes first, and does not wait for
what gives them; snapshots are made in a thread and never stand before a scan.

INVARIANT: a version is the length of the log when a change was committed; so no engine ever signs one that goes back.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from gatekeeper import cose
from gatekeeper.core.bearers import Bearers, statuses
from gatekeeper.core.flow import Flow
from gatekeeper.core.snapshots import Beforehand, alone_at
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

_log = structlog.get_logger("gatekeeper.provisions")


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

        # What is to be done.
        self._version = 0
        self._said: object = None
        self._news: Final = asyncio.Event()
        self._makes: Final = asyncio.Event()

        # What is out.
        self._statuses: Mapping[TenantId, bytes] = {}
        self._snapshots: dict[GateId, tuple[Snapshot, bytes]] = {}

    def changed(self, version: int) -> None:
        """Something was committed that may give or take a right; `version` is the length of the log with it."""
        self._version = version
        self._news.set()

    def link_up(self) -> None:
        """The broker is there again, and may have lost what it retained."""
        self._said = None
        self._news.set()
        for gate, (_, wire) in self._snapshots.items():
            self._transport.publish(self._policy_topic(gate), wire, retain=True)

    async def run(self, flow: Callable[[], Flow]) -> None:
        """Provide until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._say(flow), name="standing")
            tasks.create_task(self._make(flow), name="snapshots")

    # -- what takes rights away -----------------------------------------------------------------------------------

    async def _say(self, flow: Callable[[], Flow]) -> None:
        while True:
            self._news.clear()
            now = flow()
            what = (
                now.policy.version, now.trust.version, now.alert, now.lockdowns, now.suspended, now.register.revision,
            )  # fmt: skip
            if what != self._said:
                self._statuses = await asyncio.to_thread(self._signed_statuses, now)
                self._transport.publish(
                    trust_topic(self._site, prefix=self._prefix), now.trust.document, retain=True
                )
                self._said = what
                self._makes.set()
            self._publish_standing(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SAID_EVERY.total_seconds()):
                    await self._news.wait()

    def _publish_standing(self, flow: Flow) -> None:
        topic = standing_topic(self._site, prefix=self._prefix)
        standing = Standing(
            site=self._site,
            version=self._version,
            issued=self._clock.now(),
            alert=flow.alert,
            lockdowns=flow.lockdowns,
            suspended=flow.suspended,
            statuses=self._statuses,
            trust=flow.trust.version,
            snapshots={gate: snapshot.version for gate, (snapshot, _) in self._snapshots.items()},
        )
        wire = cose.sign(standing.payload(), key=self._key, typ=STANDING_TYPE, external_aad=topic.encode())
        self._transport.publish(topic, wire, retain=True)

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

    # -- what gives them --------------------------------------------------------------------------------------------

    async def _make(self, flow: Callable[[], Flow]) -> None:
        """Make snapshots some time after a change, for changes come in crowds; and every hour, for time goes on."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_MADE_EVERY.total_seconds()):
                    await self._makes.wait()
            await asyncio.sleep(_SETTLED_AFTER.total_seconds())
            self._makes.clear()
            version, now = self._version, self._clock.now()
            try:
                made = await asyncio.to_thread(self._made, flow(), version, now)
            except Exception:  # noqa: BLE001 - see below
                # A gate that is not provided is no reason to stop deciding for all the others.
                metrics.snapshots_failed.inc()
                _log.exception("no snapshots could be made")
                continue
            await self._publish_snapshots(made)
            self._news.set()

    def _made(self, flow: Flow, version: int, now: datetime) -> list[Snapshot]:
        policy, alert = flow.policy, flow.alert
        asked = Beforehand(
            policy=policy,
            alert=alert,
            since=now - _OVERLAP / 2,
            until=now + _longest(policy, alert) + _OVERLAP,
        )
        people = list(self._bearers.of(flow, now=now))
        return [
            asked.snapshot(gate, people, version=version, issued=now)
            for gate in policy.gates
            if gate in flow.trust.listing.gates
        ]

    async def _publish_snapshots(self, made: list[Snapshot]) -> None:
        for gate in self._snapshots.keys() - {snapshot.gate for snapshot in made}:
            del self._snapshots[gate]
            self._transport.publish(self._policy_topic(gate), b"", retain=True)
        for snapshot in made:
            topic = self._policy_topic(snapshot.gate)
            payload = snapshot.payload()
            if len(payload) > MAX_SNAPSHOT_BYTES:
                _log.error("a snapshot is too large", gate=snapshot.gate, octets=len(payload))
                continue
            wire = cose.sign(payload, key=self._key, typ=SNAPSHOT_TYPE, external_aad=topic.encode())
            self._snapshots[snapshot.gate] = (snapshot, wire)
            self._transport.publish(topic, wire, retain=True)
            metrics.snapshot_bytes(snapshot.gate).set(len(wire))
            # Between two gates whatever waits has its turn.
            await asyncio.sleep(0)

    def _policy_topic(self, gate: GateId) -> str:
        return gate_topic(self._site, gate, Channel.POLICY, prefix=self._prefix)


def _longest(policy: Policy, alert: int) -> timedelta:
    allowed = (alone_at(policy, point, alert=alert) for point in policy.points.values())
    return max((one.longest for one in allowed if one is not None), default=timedelta(hours=1))
