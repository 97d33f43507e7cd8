"""The watch: rounds over the log at a pace, for as long as the engine owns the site.

What it finds it says at once: a log line and a metric for who is on watch, an entry in the log for who reads it later. It
says so once for each place, for as long as the engine runs, and no more often than is of use to anybody.
INVARIANT: nothing that it meets, in the database or in itself, ends the engine beside which it runs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gatekeeper.core.audit import TENANT_TREE_PREFIX
from gatekeeper.core.drafting import draft_of_mismatch
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import Clock, LedgerUnavailableError, StoredTrees
from gatekeeper.service.engine.beside import Owner
from gatekeeper.service.integrity.walk import Found, Step, Walk
from gatekeeper.service.verification.keys import tree_verifiers
from gatekeeper.transparency import Verifier

__all__ = ["IntegrityWatch"]

_LEAST_ROUND: Final = 60.0
_RETRY: Final = 1.0
_COST_OF_A_CHECKPOINT: Final = 32
"""A signature takes the time of so many entries."""
_MOST_ENTRIES: Final = 64
_MOST_PLACES: Final = 4096

_log = structlog.get_logger("gatekeeper.integrity")

Pause = Callable[[float], Awaitable[None]]


class IntegrityWatch:
    """Compares a site's log with its hashes, round after round. `rate` is in entries a second."""

    def __init__(
        self, *, site: SiteId, stored: StoredTrees, clock: Clock, rate: float, pause: Pause = asyncio.sleep
    ) -> None:
        self._site = site
        self._stored = stored
        self._clock = clock
        self._rate = rate
        self._pause = pause
        self._walk: Walk | None = None
        self._known: set[Found] = set()

    async def run(self, owner: Owner) -> None:
        """Go round until cancelled."""
        metrics.watch_mismatches.set(0)
        while True:
            begun = time.monotonic()
            await self._insist_on_a_round(owner)
            metrics.watch_rounds.inc()
            metrics.watch_round_seconds.set(time.monotonic() - begun)
            await self._pause(max(0.0, _LEAST_ROUND - (time.monotonic() - begun)))

    async def _insist_on_a_round(self, owner: Owner) -> None:
        """End a round, however often the database is away; it goes on where it was."""
        while True:
            try:
                await self._round(owner)
            except LedgerUnavailableError:
                await self._pause(_RETRY)
            except Exception:  # noqa: BLE001 - a row that nobody foresaw must not stop the gates
                _log.exception("integrity watch failed", site=self._site)
                self._walk = None
                await self._pause(_LEAST_ROUND)
            else:
                return

    async def _round(self, owner: Owner) -> None:
        if self._walk is None:
            self._walk = await Walk.begun(
                self._site, self._stored, verifiers=lambda tree: self._verifiers(owner, tree)
            )
        while (step := await self._walk.step()) is not None:
            metrics.watch_position.set(self._walk.position)
            for found in step.found:
                await self._tell(owner, found)
            await self._pause(self._worth(step))
        self._walk = None

    def _worth(self, step: Step) -> float:
        """How long the pace demands that a step takes."""
        return (step.entries + _COST_OF_A_CHECKPOINT * step.checkpoints) / self._rate

    def _verifiers(self, owner: Owner, tree: str) -> list[Verifier]:
        return list(tree_verifiers(self._site, owner.flow.trust, trees=[tree]).get(tree, ()))

    async def _tell(self, owner: Owner, found: Found) -> None:
        if found in self._known or len(self._known) >= _MOST_PLACES:
            return
        self._known.add(found)
        wrong = found.mismatch
        metrics.watch_mismatches.set(len(self._known))
        metrics.alarm("log-altered").inc()
        _log.error(
            "alarm",
            code="log-altered",
            site=self._site,
            tree=found.tree,
            part=wrong.part.value,
            tile_level=wrong.level,  # a line's own level says how bad it is
            index=wrong.index,
        )
        if len(self._known) <= _MOST_ENTRIES:
            await self._record(owner, found)

    async def _record(self, owner: Owner, found: Found) -> None:
        wrong = found.mismatch
        _, _, tenant = found.tree.partition(TENANT_TREE_PREFIX)
        draft = draft_of_mismatch(
            found.tree,
            part=wrong.part.value,
            level=wrong.level,
            index=wrong.index,
            tenant=TenantId(tenant) if tenant in owner.flow.policy.tenants else None,
            at=self._clock.now(),
            seq=0,
        )
        await owner.record(draft)
