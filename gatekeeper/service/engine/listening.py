"""The engine's ear for its gates: who is there, who has fallen silent, and which snapshot each holds.

    broker -> offer -> the newest word of each gate -> Hearing -> entries `gate.silent`, `gate.heard` -> table gate_link

What a gate says of its link is no message of its streams: it waits in no queue of scans, is not acknowledged and not buried.
Of each gate only the newest word waits, and they are read once a second at the most: a flood of them costs no more than a word
a second, and hides the sender alone.

What is known is kept in the database for those who look (`gatekeeper gate list`) and for the next engine. What was told is
asked of the log: the entry is committed before the table says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from gatekeeper.core.audit import Draft, Kind
from gatekeeper.core.hearing import SILENT_ALARM, Hearing, draft_of_hearing, read_link
from gatekeeper.core.scan import Rejected
from gatekeeper.core.trust import Trust
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.model.topics import Channel, read_gate_topic
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, GateLinkRow, Inbound, Ledger, LedgerUnavailableError

__all__ = ["Listening"]

_PAUSE: Final = 1.0
_LOOKED_AT: Final = 10.0

_log = structlog.get_logger("gatekeeper.gates")


class Listening:
    """The ear of one engine.

    `trust` and `snapshots` say what counts now: the trust list, and the SHA-256 of the newest snapshot that was made for each
    gate. `counted` gives the beacons that count, `record` commits an entry.
    """

    def __init__(
        self,
        *,
        site: SiteId,
        prefix: str,
        ledger: Ledger,
        clock: Clock,
        trust: Callable[[], Trust],
        snapshots: Callable[[], Mapping[GateId, bytes]],
        counted: Callable[[datetime], Sequence[bytes]],
        record: Callable[[Draft], Awaitable[None]],
    ) -> None:
        self._site: Final = site
        self._prefix: Final = prefix
        self._ledger: Final = ledger
        self._clock: Final = clock
        self._trust: Final = trust
        self._snapshots: Final = snapshots
        self._counted: Final = counted
        self._record: Final = record
        self._hearing = Hearing()
        self._epoch = 0
        self._waiting: dict[GateId, Inbound] = {}
        self._kept: Mapping[GateId, GateLinkRow] | None = None
        self._news: Final = asyncio.Event()

    def begin(self, hearing: Hearing, *, epoch: int) -> None:
        """Go on from what is known so far."""
        self._hearing, self._epoch, self._kept = hearing, epoch, None
        hearing.adopt(self._trust())

    def link(self, *, up: bool) -> None:
        """The broker is there, or gone."""
        if up:
            self._hearing.linked(now=self._clock.now())
        else:
            self._hearing.unlinked(now=self._clock.now())
        self._news.set()

    def offer(self, inbound: Inbound) -> bool:
        """Take a message in that a gate says of its link, or its will; False of any other."""
        topic = read_gate_topic(inbound.topic, prefix=self._prefix)
        if topic is None or topic.channel is not Channel.LINK:
            return False
        # A word that is retained may be cleared, which says nothing; and strangers have no place to wait in.
        if inbound.payload and topic.gate in self._trust().listing.gates:
            self._waiting[topic.gate] = inbound
            self._news.set()
        return True

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                await self._wait()
                self._hearing.adopt(self._trust())
                self._hear()
                await self._tell()
                await self._keep()
                await asyncio.sleep(_PAUSE)
        finally:
            # Who does not own the site says nothing of its gates.
            metrics.gates_silent.set(0)

    async def _wait(self) -> None:
        """Wait for a word, for somebody's time to be over, and no longer than it takes to see another snapshot."""
        due, patience = self._hearing.next_due, _LOOKED_AT
        if due is not None:
            patience = min(patience, max(0.0, (due - self._clock.now()).total_seconds()))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._news.wait()
        self._news.clear()

    def _hear(self) -> None:
        waiting, self._waiting = self._waiting, {}
        now = self._clock.now()
        for inbound in waiting.values():
            read = read_link(inbound.topic, inbound.payload, trust=self._trust(), prefix=self._prefix)
            if isinstance(read, Rejected):
                metrics.refused(read.code.value).inc()
                _log.warning("link refused", gate=read.gate, code=read.code.value)
                continue
            gate, link = read
            self._hearing.hear(gate, link, counted=self._counted(now), now=now)

    async def _tell(self) -> None:
        """Write down who has fallen silent, and who is heard again."""
        now = self._clock.now()
        # What is heard while an entry is being written counts the next time.
        back, silent = list(self._hearing.speak_again()), list(self._hearing.fall_silent(now=now))
        for gate, heard in back:
            await self._record(draft_of_hearing(Kind.GATE_HEARD, gate, heard, at=now))
            _log.info("gate heard again", gate=gate)
        for gate, heard in silent:
            await self._record(draft_of_hearing(Kind.GATE_SILENT, gate, heard, at=now))
            metrics.alarm(SILENT_ALARM).inc()
            _log.warning("alarm", code=SILENT_ALARM, gate=gate)
        metrics.gates_silent.set(len(self._hearing.silent))

    async def _keep(self) -> None:
        """Keep what is known where others can look; what the database does not take now is kept the next time."""
        made = self._snapshots()
        rows = {
            gate: GateLinkRow(gate=gate, heard=heard, made=made.get(gate))
            for gate, heard in self._hearing.gates.items()
        }
        if rows == self._kept:
            return
        with suppress(LedgerUnavailableError):
            await self._ledger.keep_links(self._site, epoch=self._epoch, rows=list(rows.values()))
            self._kept = rows
