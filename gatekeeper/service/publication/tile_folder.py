"""A log as files below a folder, in the form of C2SP tlog-tiles: any reader of such logs can be pointed at it.

    DIR / checkpoint                            replaced last, once all that it covers is there
    DIR / tile / <level> / x001 / 067           full: stays what it is
    DIR / tile / <level> / x001 / 068.p / 12    incomplete: gone once the full one is there
    DIR / tile / entries / x001 / 067           the bodies, where they are asked for

Every tile is made from the bodies, and the checkpoint is put there only when they lead to its root: what a reader finds
he can check whole. The folder is the memory of the run before: its checkpoint says how far it is, and its incomplete
tiles are where the tree goes on. Of a bundle whose bodies are not all kept any more the stored tile speaks alone.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper.model.ids import SiteId
from gatekeeper.ports import StoredTrees
from gatekeeper.service.files import write_whole
from gatekeeper.service.publication.checkpoints import checkpoint_to_show
from gatekeeper.service.publication.publishing import Publishing
from gatekeeper.service.publication.tree_tiles import TreeTiles
from gatekeeper.transparency import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundleCoordinates,
    Checkpoint,
    EdgeError,
    Refused,
    Tile,
    TileCoordinates,
    Tree,
    Verifier,
    bundle_path,
    format_bundle,
    leaf_hash,
    open_checkpoint,
    tile_path,
)
from gatekeeper.transparency.hashing import split_hashes

__all__ = ["Renewed", "TileFolder", "TileFolderError"]

_CHECKPOINT: Final = "checkpoint"
_BUNDLES: Final = 16
"""So many bundles are read at once."""


class TileFolderError(Exception):
    """The folder cannot be made what the log is; the message says why. The checkpoint in it stays what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What a folder holds now: entries, how many of them are new, and the new bundles that lack a body and are left out."""

    size: int
    added: int
    bundles_left_out: int


class TileFolder:
    """The folder of one tree of a site. `verifiers` are those of its checkpoints."""

    def __init__(
        self,
        folder: Path,
        *,
        site: SiteId,
        tree: str,
        stored: StoredTrees,
        verifiers: Sequence[Verifier],
        publishing: Publishing,
    ) -> None:
        self._folder = folder
        self._site = site
        self._tree = tree
        self._stored = stored
        self._tiles = TreeTiles(site, stored)
        self._verifiers = verifiers
        self._with_entries = publishing is Publishing.ENTRIES
        self._left_out = 0

    async def renew(self, progress: Callable[[int, int], object]) -> Renewed:
        """Add what the log's newest checkpoint covers and the folder does not hold yet, in constant memory.

        Raises TileFolderError, LedgerUnavailableError and OSError; what was there can be read as before then.
        """
        await self._newest(least=0)  # nothing is made where there is nothing to show
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            held, tree = self._held()
            note, newest = await self._newest(least=held)
            if held > newest.size:
                raise TileFolderError(
                    f"The folder holds {held} entries and the log's newest checkpoint covers {newest.size}: the log was cut."
                )
            self._left_out = 0
            await self._grow(tree, newest.size, progress)
            self._must_lead_to(newest, tree)
            for tile in tree.partial_tiles():
                self._put_tile(tile)
            self._put(_CHECKPOINT, note)
            self._drop_incomplete(held, newest.size)
        return Renewed(size=newest.size, added=newest.size - held, bundles_left_out=self._left_out)

    # -- where the log is, and where the folder ---------------------------------------------------------------------

    async def _newest(self, *, least: int) -> tuple[bytes, Checkpoint]:
        stored = await checkpoint_to_show(self._stored, self._site, self._tree, least=least)
        if stored is None:
            raise TileFolderError("The log holds no signed checkpoint of this tree yet.")
        opened = open_checkpoint(stored.note, self._verifiers)
        if isinstance(opened, Refused):
            raise TileFolderError(f"The log's newest checkpoint is not believed: {opened.code.sentence}")
        return stored.note, opened.checkpoint

    def _held(self) -> tuple[int, Tree]:
        """How many entries the folder holds, and the tree as it was before the last, incomplete bundle of them."""
        path = self._folder / _CHECKPOINT
        if not path.exists():
            # A first run that was interrupted has left tiles, and no checkpoint.
            if any(there.name != "tile" for there in self._folder.iterdir()):
                raise TileFolderError(f"{self._folder} holds other things than a log: name an empty folder.")
            return 0, Tree.empty()
        if (self._folder / "tile" / "entries").exists() != self._with_entries:
            begun, other = ("without", "an empty") if self._with_entries else ("with", "another")
            raise TileFolderError(f"{self._folder} was begun {begun} entries: name {other} folder.")
        opened = open_checkpoint(path.read_bytes(), self._verifiers)
        if isinstance(opened, Refused):
            raise TileFolderError(f"{path} is no checkpoint of this log: {opened.code.sentence}")
        held = opened.checkpoint
        edge = [b"" if at is None else self._read(tile_path(at)) for at in _incomplete(held.size)]
        try:
            tree = Tree.resume(held.size, edge)
        except EdgeError:
            raise TileFolderError(
                f"Incomplete tiles in {self._folder} are not as wide as they say."
            ) from None
        self._must_lead_to(held, tree)
        full = held.size - held.size % TILE_WIDTH
        return held.size, Tree.resume(full, [b"", *edge[1:]] if full else [])

    def _must_lead_to(self, checkpoint: Checkpoint, tree: Tree) -> None:
        if tree.root() != checkpoint.root:
            raise TileFolderError(
                f"The tiles do not lead to the root of the checkpoint at {checkpoint.size} entries: the log or the folder"
                " was altered. gatekeeper audit verify looks at the log; an empty folder is filled anew."
            )

    # -- growing ----------------------------------------------------------------------------------------------------

    async def _grow(self, tree: Tree, size: int, progress: Callable[[int, int], object]) -> None:
        while tree.size < size:
            first, end = tree.size, min(tree.size + _BUNDLES * TILE_WIDTH, size)
            bodies = await self._bodies(first, end)
            for begin in range(first, end, TILE_WIDTH):
                leaves = await self._leaves(begin, bodies[begin - first : begin - first + TILE_WIDTH])
                for tile in tree.append(leaves):
                    self._put_tile(tile)
                progress(tree.size, size)

    async def _bodies(self, first: int, end: int) -> list[bytes | None]:
        """The bodies at [first, end), with None for each that is not there."""
        found = dict(await self._stored.bodies(self._site, self._tree, first=first, end=end))
        return [found.get(place) for place in range(first, end)]

    async def _leaves(self, first: int, bodies: Sequence[bytes | None]) -> list[bytes]:
        """The leaf hashes of a bundle, which is put there where asked for; of one that is not whole, by its tile."""
        there = [body for body in bodies if body is not None]
        index = first // TILE_WIDTH
        if len(there) == len(bodies):
            if self._with_entries:
                at = BundleCoordinates(index=index, width=len(bodies))
                self._put(bundle_path(at), self._bundle(there))
            return [leaf_hash(body) for body in there]
        hashes = await self._tiles.tile(self._tree, TileCoordinates(level=0, index=index, width=len(bodies)))
        if hashes is None:
            raise TileFolderError(
                f"Entries are missing from the log between {first} and {first + len(bodies)}."
            )
        self._left_out += self._with_entries
        return split_hashes(hashes)

    def _bundle(self, bodies: Sequence[bytes]) -> bytes:
        try:
            return format_bundle(bodies)
        except ValueError as error:
            raise TileFolderError(str(error)) from None

    # -- files ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other run write below the folder meanwhile."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TileFolderError(f"Another run is filling {self._folder}.") from None
            yield
        finally:
            os.close(folder)

    def _read(self, path: str) -> bytes:
        return (self._folder / path).read_bytes()

    def _put_tile(self, tile: Tile) -> None:
        self._put(tile_path(tile.coordinates), tile.hashes)

    def _put(self, path: str, content: bytes) -> None:
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)

    def _drop_incomplete(self, held: int, size: int) -> None:
        """Remove incomplete tiles and bundles whose full ones are there now (tlog-tiles, Partial Tiles)."""
        for at in _incomplete(held):
            if at is not None and (at.index + 1) * TILE_WIDTH <= size >> at.level * TILE_HEIGHT:
                self._drop(tile_path(at))
                if at.level == 0:
                    self._drop(bundle_path(BundleCoordinates(index=at.index, width=at.width)))

    def _drop(self, path: str) -> None:
        shutil.rmtree((self._folder / path).parent, ignore_errors=True)


def _incomplete(size: int) -> list[TileCoordinates | None]:
    """The incomplete tile of each level of a tree of this size; None where a level ends with a full one."""
    found: list[TileCoordinates | None] = []
    for level in range(-(-size.bit_length() // TILE_HEIGHT)):
        index, width = divmod(size >> level * TILE_HEIGHT, TILE_WIDTH)
        found.append(TileCoordinates(level=level, index=index, width=width) if width else None)
    return found
