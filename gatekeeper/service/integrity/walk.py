"""One round of the integrity watch: every tree of a site from its first entry to its head, a bundle at a time.

Where the trees end is asked before they are walked: what is committed meanwhile is for the next round. A step that the
database did not answer has changed nothing, and is taken again from where the walk was.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.model.ids import SiteId
from gatekeeper.ports import LogStart, StoredCheckpoint, StoredTrees
from gatekeeper.transparency import TILE_WIDTH, Refused, Tile, Verifier, open_checkpoint
from gatekeeper.transparency.comparing import Comparison, Mismatch, Part

__all__ = ["Found", "Step", "Verifiers", "Walk"]

_NOTES_AT_ONCE: Final = 8
_BEGINNING: Final = LogStart(size=0, hashes=b"")

Verifiers = Callable[[str], Sequence[Verifier]]
"""Who is believed to sign the checkpoints of a tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A place in one of the trees at which something does not fit."""

    tree: str
    mismatch: Mismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step looked at, and what it found."""

    entries: int = 0
    checkpoints: int = 0
    found: tuple[Found, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Walked:
    """A tree while it is walked, to where its head says that it ends."""

    tree: str
    size: int
    root: bytes
    newest: int
    comparison: Comparison = field(default_factory=Comparison.begun)
    is_cut: bool = False
    """Whether nothing leads on from here: bodies are missing and so are their hashes."""

    @property
    def is_done(self) -> bool:
        """Whether all of the tree was looked at, or all that can be."""
        return self.is_cut or self.comparison.tree.size == self.size

    def end(self) -> list[Mismatch]:
        """What does not fit at the end of the tree."""
        found = [] if self.is_cut else [*self.comparison.root(Part.HEAD, self.root)]
        if self.newest > self.size:
            found.append(Mismatch(part=Part.CHECKPOINT, index=self.newest))
        return found


class Walk:
    """One round, from `begun` until a step is None."""

    def __init__(
        self, site: SiteId, stored: StoredTrees, ahead: list[_Walked], *, verifiers: Verifiers
    ) -> None:
        self._site = site
        self._stored = stored
        self._ahead = ahead
        self._verifiers = verifiers
        self.position = 0
        """How many entries this round has looked at, in all trees together."""

    @classmethod
    async def begun(cls, site: SiteId, stored: StoredTrees, *, verifiers: Verifiers) -> Self:
        """Stand before the first tree. Raises LedgerUnavailableError."""
        newest = {}
        for tree in await stored.heads(site):
            checkpoint = await stored.newest_checkpoint(site, tree)
            newest[tree] = 0 if checkpoint is None else checkpoint.size
        # Asked after the checkpoints, so that of a sound log no checkpoint is beyond its head.
        heads = await stored.heads(site)
        ahead = [
            _Walked(tree=tree, size=size, root=root, newest=newest.get(tree, 0))
            for tree, (size, root) in sorted(heads.items(), key=lambda head: (head[0] != SITE_TREE, head[0]))
        ]
        return cls(site, stored, ahead, verifiers=verifiers)

    async def step(self) -> Step | None:
        """Look at the next bundle, or at the end of a tree; None when the round is over. Raises LedgerUnavailableError."""
        if not self._ahead:
            return None
        walked = self._ahead[0]
        if not walked.is_done:
            return await self._bundle(walked)
        del self._ahead[0]
        return Step(found=_in(walked.tree, walked.end()))

    async def _bundle(self, walked: _Walked) -> Step:
        comparison = walked.comparison.copy()
        first = comparison.tree.size
        until = min(first + TILE_WIDTH, walked.size)
        tile = await self._tile(walked.tree, 0, first // TILE_WIDTH)
        bodies = await self._stored.bodies(self._site, walked.tree, first=first, end=until)
        checkpoints = await self._stored.checkpoints(self._site, walked.tree, after=first, until=until)
        start = _BEGINNING
        if len(bodies) < until - first:  # asked after the bodies: what was gone then is before this
            start = (await self._stored.starts(self._site)).get(walked.tree, _BEGINNING)
        kept = start.hashes if start.size // TILE_WIDTH == first // TILE_WIDTH else None
        leaves, wrong = comparison.leaves(
            bodies, until=until, tile=kept if tile is None else tile, start=start.size
        )
        made, unborne = await self._grow(comparison, leaves, checkpoints, walked.tree)
        above = [one for one in made if one.level or tile is None]
        stored = {
            (one.level, one.index): await self._tile(walked.tree, one.level, one.index) for one in above
        }
        wrong = [*wrong, *unborne, *comparison.tiles(above, stored)]
        walked.comparison, walked.is_cut = comparison, len(leaves) < until - first
        self.position += until - first
        return Step(entries=until - first, checkpoints=len(checkpoints), found=_in(walked.tree, wrong))

    async def _grow(
        self,
        comparison: Comparison,
        leaves: Sequence[bytes],
        checkpoints: Sequence[StoredCheckpoint],
        tree: str,
    ) -> tuple[list[Tile], list[Mismatch]]:
        """Let the tree grow from checkpoint to checkpoint; the tiles that are complete, and the roots that do not fit."""
        first = comparison.tree.size
        made: list[Tile] = []
        wrong: list[Mismatch] = []
        for number, checkpoint in enumerate(checkpoints):
            made += comparison.grow(leaves[comparison.tree.size - first : checkpoint.size - first])
            if not self._is_signed(checkpoint, tree):
                wrong.append(Mismatch(part=Part.CHECKPOINT, index=checkpoint.size))
            elif comparison.tree.size == checkpoint.size:
                wrong += comparison.root(Part.CHECKPOINT, checkpoint.root)
            if number % _NOTES_AT_ONCE == _NOTES_AT_ONCE - 1:
                await asyncio.sleep(0)  # a signature costs more than all the hashes of its entry
        made += comparison.grow(leaves[comparison.tree.size - first :])
        return made, wrong

    def _is_signed(self, checkpoint: StoredCheckpoint, tree: str) -> bool:
        opened = open_checkpoint(checkpoint.note, self._verifiers(tree))
        if isinstance(opened, Refused):
            return False
        return (opened.checkpoint.size, opened.checkpoint.root) == (checkpoint.size, checkpoint.root)

    async def _tile(self, tree: str, level: int, index: int) -> bytes | None:
        found = await self._stored.tiles(self._site, tree, level=level, first=index, end=index + 1)
        return found.get(index)


def _in(tree: str, wrong: Iterable[Mismatch]) -> tuple[Found, ...]:
    return tuple(Found(tree=tree, mismatch=mismatch) for mismatch in wrong)
