"""All witnesses are asked about all trees that grew, round by round.

Nothing that a scan waits for waits for this: it has its own time limits, holds no lock of the engine, and whatever goes
wrong in a round is told and left behind with it. A witness that does not answer is left alone for one round, then two, then
four, to sixteen; likewise a tree that it does not cosign, whatever becomes of the others. Raised as an alarm: a witness that knows another tree, one that knows more entries than there are, and a quorum
that has not cosigned the site's log for twenty intervals although it grew.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.model.ids import SiteId
from gatekeeper.observe.metrics import metrics
from gatekeeper.ports import (
    Clock,
    Ledger,
    LedgerUnavailableError,
    SignedCheckpoint,
    Witnesses,
    WitnessUnreachableError,
)
from gatekeeper.service.cosigning.asking import Answered, Outcome, ask
from gatekeeper.service.cosigning.policy import AskedWitness, asked_witnesses
from gatekeeper.transparency import (
    MissingTileError,
    Policy,
    TileHashes,
    Tree,
    VerifiedSignature,
    consistency_proof,
    consistency_spans,
    tiles_for,
)

__all__ = ["Cosigning"]

_MOST_ROUNDS_OFF: Final = 16
_PATIENCE: Final = 20
_QUORUM: Final = "witness-quorum"

_log = structlog.get_logger("gatekeeper.witnesses")


@dataclass(slots=True)
class _Turns:
    """In which rounds somebody's turn comes: in all of them, until it fails."""

    failures: int = 0
    next_round: int = 0

    def failed(self, number: int) -> None:
        """Leave out one round more than a moment ago, twice as many, and so on."""
        self.next_round = number + 1 + min(1 << self.failures, _MOST_ROUNDS_OFF)
        self.failures += 1

    def went_well(self) -> None:
        """Be there in the next round again."""
        self.failures, self.next_round = 0, 0


@dataclass(slots=True, kw_only=True)
class _Tree:
    """What is remembered of one tree at one witness: what it knows, and in which round it was asked."""

    turns: _Turns = field(default_factory=_Turns)
    known: int | None = None
    asked: int = 0
    told: set[Outcome] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Line:
    """What is remembered of one witness."""

    witness: AskedWitness
    turns: _Turns = field(default_factory=_Turns)
    trees: defaultdict[str, _Tree] = field(default_factory=lambda: defaultdict(_Tree))


class Cosigning:
    """The witnesses of one site's log; `tree_of` gives a tree as the last commit left it."""

    def __init__(
        self,
        site: SiteId,
        *,
        policy: Policy,
        interval: timedelta,
        witnesses: Witnesses,
        ledger: Ledger,
        clock: Clock,
        tree_of: Callable[[str], Tree],
    ) -> None:
        self._site = site
        self._policy = policy
        self._interval = interval
        self._witnesses = witnesses
        self._ledger = ledger
        self._clock = clock
        self._tree_of = tree_of
        self._lines = [_Line(witness=witness) for witness in asked_witnesses(policy)]
        self._round = 0
        self._cosigned: dict[str, tuple[int, set[VerifiedSignature]]] = {}
        self._witnessed = 0
        self._waiting_since: datetime | None = None
        self._quorum_alarmed = False

    async def run(self) -> None:
        """Ask, wait, and ask again, until cancelled."""
        try:
            while True:
                await self.ask()
                await asyncio.sleep(self._interval.total_seconds())
        finally:
            await self._witnesses.close()

    async def ask(self) -> None:
        """One round: every witness about every tree that grew since it cosigned it."""
        self._round += 1
        try:
            checkpoints = await self._ledger.newest_checkpoints(self._site)
            async with asyncio.TaskGroup() as tasks:
                for line in self._lines:
                    tasks.create_task(self._ask_one(line, checkpoints), name=f"witness {line.witness.name}")
            self._look_at_quorum(checkpoints)
        except LedgerUnavailableError:
            return
        except Exception:  # noqa: BLE001 - no defect here is a reason to keep a door shut
            _log.exception("witnesses could not be asked", site=self._site)

    # -- one witness ------------------------------------------------------------------------------------------------

    async def _ask_one(self, line: _Line, checkpoints: Sequence[SignedCheckpoint]) -> None:
        if self._round < line.turns.next_round:
            return
        try:
            async with asyncio.timeout(self._interval.total_seconds()):
                for checkpoint in self._due(line, checkpoints):
                    await self._ask_about(line, line.trees[checkpoint.tree], checkpoint)
        except (WitnessUnreachableError, TimeoutError) as error:
            metrics.witness_request(line.witness.name, "failed").inc()
            _log.warning("a witness does not answer", witness=line.witness.name, why=str(error))
            line.turns.failed(self._round)
        except LedgerUnavailableError:  # no fault of the witness
            return
        else:
            line.turns.went_well()

    def _due(self, line: _Line, checkpoints: Sequence[SignedCheckpoint]) -> Sequence[SignedCheckpoint]:
        """What has grown since the witness cosigned it; a slow one hears of every tree in the end."""
        trees = line.trees
        due = [
            one
            for one in checkpoints
            if trees[one.tree].known != one.size and self._round >= trees[one.tree].turns.next_round
        ]
        return sorted(due, key=lambda one: trees[one.tree].asked)

    async def _ask_about(self, line: _Line, tree: _Tree, checkpoint: SignedCheckpoint) -> None:
        """Ask one witness about one tree, and keep what it says."""
        tree.asked = self._round
        try:
            answered = await ask(
                line.witness, checkpoint, known=tree.known or 0, prove=self._prove, witnesses=self._witnesses
            )
        except MissingTileError as error:
            _log.warning(
                "no proof can be made; gatekeeper audit verify says why", tree=checkpoint.tree, why=str(error)
            )
            tree.turns.failed(self._round)
            return
        metrics.witness_request(line.witness.name, answered.outcome.value).inc()
        if answered.outcome is Outcome.COSIGNED:
            await self._keep(line.witness, checkpoint, answered)
            tree.known = answered.known
            tree.told.clear()
            tree.turns.went_well()
        else:
            self._tell(line.witness, tree, checkpoint.tree, answered)
            tree.turns.failed(self._round)

    async def _keep(self, witness: AskedWitness, checkpoint: SignedCheckpoint, answered: Answered) -> None:
        now, tree, size = self._clock.now(), checkpoint.tree, checkpoint.size
        await self._ledger.keep_cosignatures(
            self._site, tree=tree, size=size, cosignatures=answered.lines, at=now
        )
        keys = {(one.name, one.key_id): one for one in witness.verifiers}
        signed = {
            VerifiedSignature(verifier=keys[line.name, line.key_id], time=None) for line in answered.lines
        }
        of_size, before = self._cosigned.get(tree, (size, set()))
        self._cosigned[tree] = (size, signed | before if of_size == size else signed)
        if tree == SITE_TREE:
            metrics.witness_cosigned_at(witness.name).set(now.timestamp())

    def _tell(self, witness: AskedWitness, tree: _Tree, name: str, answered: Answered) -> None:
        """Tell once why there is no cosignature, until there is one again; what hints at a rewritten log is an alarm."""
        if answered.outcome in tree.told:
            return
        tree.told.add(answered.outcome)
        if answered.outcome is Outcome.REFUSED:
            _log.warning("a witness does not cosign", witness=witness.name, tree=name, why=answered.detail)
        else:
            self._alarm(answered.outcome.value, witness=witness.name, tree=name, why=answered.detail)

    # -- proofs -------------------------------------------------------------------------------------------------------

    async def _prove(self, tree: str, old: int, new: int) -> Sequence[bytes]:
        """The consistency proof of two sizes: incomplete tiles are the engine's, full ones the database's."""
        if old in {0, new}:
            return ()
        partial = {(tile.level, tile.index): tile for tile in self._tree_of(tree).partial_tiles()}
        wanted = tiles_for(consistency_spans(old, new), new)
        missing = [tile for tile in wanted if (tile.level, tile.index) not in partial]
        full = await self._ledger.full_tiles(self._site, tree, missing)
        return consistency_proof(old, new, TileHashes([*partial.values(), *full]))

    # -- the quorum ---------------------------------------------------------------------------------------------------

    def _look_at_quorum(self, checkpoints: Sequence[SignedCheckpoint]) -> None:
        """See whether the quorum has cosigned the site's log, or for how long it has not although the log grew."""
        newest = next((one.size for one in checkpoints if one.tree == SITE_TREE), 0)
        size, cosigned = self._cosigned.get(SITE_TREE, (0, set()))
        if self._policy.satisfied(cosigned):
            self._witnessed = max(self._witnessed, size)
        metrics.witnessed_size.set(self._witnessed)
        if self._witnessed >= newest:
            self._waiting_since, self._quorum_alarmed = None, False
            return
        now = self._clock.now()
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since > _PATIENCE * self._interval and not self._quorum_alarmed:
            self._quorum_alarmed = True
            self._alarm(_QUORUM, size=newest, witnessed=self._witnessed)

    def _alarm(self, code: str, **told: object) -> None:
        metrics.alarm(code).inc()
        _log.warning("alarm", code=code, site=self._site, **told)
