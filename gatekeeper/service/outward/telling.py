"""Telling: the log is followed by `seq` for as long as the engine owns its site, and told at a broker in ONVIF's words.

    log -> read (committed bodies alone) -> events at QoS 1 -> states that changed, retained -> what is gone, deleted

The log is its queue: what came while the broker was away is told when it is back, the last `MOST_BEHIND` entries of it; of
those before, events are dropped and counted, and states follow all the same. It has no cursor that lasts: it begins at the
end of the log as the engine took it over. So over a crash events are told at most once, and states are right again,
recalled from the last `RECALLED` entries; what those do not say is unknown.

INVARIANT: nothing is told that is not in the log for certain, and no personal part is read.
INVARIANT: nothing that it meets ends the engine beside which it runs; it takes a few entries a turn of the loop, and half of its time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from gatekeeper.core.audit import SITE_TREE, Kind
from gatekeeper.core.export.feeds import PublicEntry, read_public
from gatekeeper.core.export.onvif import (
    DoorStates,
    OnvifEvent,
    configuration_events,
    discovered,
    discovery_filter,
    events_of,
    presence_topic,
    state_filters,
    topic_prefix,
)
from gatekeeper.core.flow import Flow
from gatekeeper.core.trust import KeyState
from gatekeeper.model.ids import AccessPointId, SiteId
from gatekeeper.model.policy import Point, Policy
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, Inbound, LedgerUnavailableError, StoredTrees, Transport, TransportError
from gatekeeper.service.engine.beside import Owner

__all__ = ["MOST_BEHIND", "RECALLED", "OutwardEvents"]

RECALLED: Final = 20_000
"""How many of the last entries the states are recalled from."""

MOST_BEHIND: Final = 5_000
"""How many entries late an event may be told."""

_PAGE: Final = 64
_AT_ONCE: Final = 8
_RETRY: Final = 5.0
_AFTER_A_FAULT: Final = 60.0
_MOMENT: Final = 0.02
_CONGESTED: Final = 0.002
_MOST_STRAYS: Final = 100_000
_HERE, _GONE = b"online", b"offline"

_log = structlog.get_logger("gatekeeper.outward")

Pause = Callable[[float], Awaitable[None]]


class OutwardEvents:
    """Tells of one site. `home` is the prefix of Home Assistant's discovery, empty for none; `program` this program's version."""

    def __init__(
        self,
        *,
        site: SiteId,
        prefix: str,
        home: str,
        program: str,
        stored: StoredTrees,
        transport: Transport,
        clock: Clock,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._site = site
        self._prefix = prefix
        self._below = topic_prefix(site, prefix=prefix)
        self._home = home
        self._program = program
        self._stored = stored
        self._transport = transport
        self._clock = clock
        self._pause = pause

        # How far the log is told.
        self._doors: DoorStates
        self._told = 0
        self._recalled = 0

        # What the broker is to retain, by topic; what of it is not sent yet (empty: to be deleted); and what lies there else.
        self._wanted: dict[str, bytes] = {}
        self._due: dict[str, bytes] = {}
        self._entities: frozenset[str] = frozenset()
        self._strays: set[str] = set()

        # The link.
        self._filters: list[str] = []
        self._opened = False
        self._linked = asyncio.Event()
        self._anew = False
        self._news = asyncio.Event()

    async def run(self, owner: Owner) -> None:
        """Go on until cancelled."""
        # Before anything is waited for: as it was taken over, and nothing that is not committed.
        flow, self._told = owner.flow, owner.size
        self._recalled = max(0, self._told - RECALLED)
        self._filters = self._filters_of(flow.policy)
        self._doors = DoorStates(_points_of(flow), lockdowns=flow.lockdowns, at=self._clock.now())
        self._show_entities(flow)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_growth(owner), name="outward growth")
            try:
                while True:
                    await self._insist(owner)
            finally:
                await self._part()

    async def _insist(self, owner: Owner) -> None:
        try:
            await self._recall()
            await self._open()
            await self._go_on(owner)
        except (LedgerUnavailableError, TransportError) as error:
            _log.warning("outward events wait", site=self._site, why=str(error))
            await self._pause(_RETRY)
        except Exception:  # noqa: BLE001 - what nobody foresaw must not stop the gates
            _log.exception("outward events failed", site=self._site)
            await self._pause(_AFTER_A_FAULT)

    # -- the way of an entry --------------------------------------------------------------------------------------

    async def _recall(self) -> None:
        """Recall what is the case from the last entries of the log as it was taken over, once."""
        while self._recalled < self._told:
            end = min(self._told, self._recalled + _PAGE)
            for entry in await self._entries(self._recalled, end):
                self._doors.take(entry)
                await self._breathe(entry.seq)
            self._recalled = end

    async def _go_on(self, owner: Owner) -> None:
        while True:
            await self._linked.wait()
            self._news.clear()
            await self._converge()
            while self._told < owner.size:
                begun = time.perf_counter()
                await self._tell_page(owner)
                await self._converge()
                # Whatever there is to catch up with, half of the time is the gates'.
                await self._pause(time.perf_counter() - begun)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await self._news.wait()
            # Whoever stands at a gate goes first, and what comes together is read together.
            await self._pause(_MOMENT)

    async def _tell_page(self, owner: Owner) -> None:
        size = owner.size
        end = min(size, self._told + _PAGE)
        for entry in await self._entries(self._told, end):
            # INVARIANT: at most once: what is begun is not begun again.
            self._told = entry.seq + 1
            self._doors.take(entry)
            await self._tell(
                [*events_of(entry, self._doors.points), *self._adopted(owner, entry)],
                late=size - entry.seq > MOST_BEHIND,
            )
            await self._breathe(entry.seq)
        self._told = end
        metrics.outward_position.set(end)

    async def _tell(self, events: Sequence[OnvifEvent], *, late: bool) -> None:
        if late:
            metrics.outward("dropped").inc(len(events))
            return
        for event in events:
            await self._send(event.address(self._below), event.payload(), retain=False)

    def _adopted(self, owner: Owner, entry: PublicEntry) -> Iterator[OnvifEvent]:
        """Take a policy when the log says that it is in force; the flow may have a newer one, which is said later."""
        version = entry.told(_IN_FORCE.get(entry.kind or "", ""))
        if version is not None and version == owner.flow.policy.version.hex():
            before, after = self._doors.points, _points_of(owner.flow)
            yield from configuration_events(before, after, at=entry.at)
            self._doors.adopt(after, at=entry.at)
            self._show_entities(owner.flow)

    async def _entries(self, first: int, end: int) -> list[PublicEntry]:
        """The entries [first, end) that are still there and unaltered."""
        bodies = await self._stored.bodies(self._site, SITE_TREE, first=first, end=end)
        read = [read_public(self._site, seq, self._clock.now(), body) for seq, body in bodies]
        return [entry for entry in read if entry.kind is not None]

    # -- what stands ------------------------------------------------------------------------------------------------

    async def _converge(self) -> None:
        """Have the broker retain what is the case, and nothing else of ours."""
        self._doors.pass_time(self._clock.now())
        for state in self._doors.changes():
            self._want(state.address(self._below), state.payload() if state.data else b"")
        anew, self._anew = self._anew, False
        if anew:
            # The broker may have lost what it retained, or hold what a former engine said.
            self._due |= self._wanted
        strays, self._strays = self._strays, set()
        self._due |= dict.fromkeys(strays - self._wanted.keys(), b"")
        while self._due:
            topic, payload = next(iter(self._due.items()))
            del self._due[topic]
            await self._send(topic, payload, retain=True)
            await self._breathe(len(self._due))
        if anew:
            # Now what stands there is ours, and of now.
            await self._send(presence_topic(self._site, prefix=self._prefix), _HERE, retain=True)

    def _want(self, topic: str, payload: bytes) -> None:
        """Have this retained, or with nothing in it nothing; of two words that wait under one topic the later one goes."""
        if self._wanted.get(topic, b"") == payload:
            return
        self._due[topic] = payload
        if payload:
            self._wanted[topic] = payload
        else:
            del self._wanted[topic]

    def _show_entities(self, flow: Flow) -> None:
        """Tell a Home Assistant, if there is one, of the doors of the policy in force."""
        if not self._home:
            return
        points = _points_of(flow).values()
        found = discovered(flow.policy, points, prefix=self._prefix, home=self._home, program=self._program)
        for topic in self._entities - found.keys():
            self._want(topic, b"")
        for topic, payload in found.items():
            self._want(topic, payload)
        self._entities = frozenset(found)

    def _until_due(self) -> float | None:
        due = self._doors.next_due
        return None if due is None else max(0.0, (due - self._clock.now()).total_seconds())

    # -- the link ---------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        if not self._opened:
            await self._transport.open(
                filters=self._filters, on_message=self._on_message, on_link=self._on_link
            )
            self._opened = True

    def _filters_of(self, policy: Policy) -> list[str]:
        states = state_filters(self._below)
        return [*states, discovery_filter(policy, home=self._home)] if self._home else states

    def _on_message(self, inbound: Inbound) -> None:
        """Something is retained under our topics; whether it is still of anybody is seen when it is known what is the case."""
        self._transport.acknowledge(inbound)
        if inbound.payload and inbound.retained and len(self._strays) < _MOST_STRAYS:
            self._strays.add(inbound.topic)
            self._news.set()

    def _on_link(self, up: bool) -> None:  # noqa: FBT001 - the link is up, or it is not
        metrics.outward_connected.set(int(up))
        if up:
            self._anew = True
            self._linked.set()
            self._news.set()
        else:
            self._linked.clear()

    async def _send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Hand a message to the link, however long that takes; what it has taken it sends until the broker has it."""
        while not self._transport.publish(topic, payload, qos=1, retain=retain):
            await self._pause(_CONGESTED)
            await self._linked.wait()
        metrics.outward("sent").inc()

    async def _breathe(self, number: int) -> None:
        """Let the loop turn now and then: what is sent in one turn leaves in one packet, and no turn is long."""
        if number % _AT_ONCE == 0:
            await self._pause(0)

    async def _watch_growth(self, owner: Owner) -> None:
        size = owner.size
        while True:
            size = await owner.beyond(size)
            self._news.set()

    async def _part(self) -> None:
        self._transport.publish(presence_topic(self._site, prefix=self._prefix), _GONE, qos=1, retain=True)
        await self._transport.close()
        metrics.outward_connected.set(0)


def _points_of(flow: Flow) -> Mapping[AccessPointId, Point]:
    """The access points whose gates are believed: of one that is dismissed nothing is known any more."""
    gates = {gate for gate, key in flow.trust.listing.gates.items() if key.state is KeyState.ACTIVE}
    return {name: point for name, point in flow.policy.points.items() if point.gate in gates}


_IN_FORCE: Final[Mapping[str, str]] = {Kind.POLICY_CHANGED: "to", Kind.TRUST_CHANGED: "policy"}
"""Where an entry says the version of the policy that is in force from it on."""
