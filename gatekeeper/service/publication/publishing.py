"""The log at its paths, as in C2SP tlog-tiles: what stands where, and what does not.

    gatekeeper/<site>/site               the site's log       / checkpoint
    gatekeeper/<site>/tenant/<tenant>    a tenant's             / tile/<level>/<index>[.p/<width>]
                                                                / tile/entries/<index>[.p/<width>]

The origin of each log is its path here. Nothing is published that its newest signed checkpoint does not cover, and of
a path that is spelt otherwise, a tenant that is none and a tile that is not there yet nothing is told but that it is
not there. INVARIANT: bodies are published only where the setting says `entries`.
"""

import asyncio
import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from gatekeeper.core.audit import SITE_TREE, tenant_tree
from gatekeeper.model.ids import SiteId, TenantId, is_name
from gatekeeper.ports import StoredTrees
from gatekeeper.service.publication.checkpoints import checkpoint_to_show
from gatekeeper.service.publication.tree_tiles import TreeTiles
from gatekeeper.transparency import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundleCoordinates,
    TileCoordinates,
    parse_bundle_path,
    parse_tile_path,
)

__all__ = ["Publication", "Published", "Publishing", "Resource", "Unpublished"]

_PATH: Final = re.compile(
    r"gatekeeper/(?P<site>[^/]+)/(?:site|tenant/(?P<tenant>[^/]+))/(?P<resource>checkpoint|tile/.+)"
)
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 64


class Publishing(StrEnum):
    """How much of a log is published."""

    NOTHING = "nothing"
    TILES = "tiles"
    ENTRIES = "entries"


class Resource(Enum):
    """What kind of thing stands at a path: whether it changes, and what it consists of."""

    CHECKPOINT = "checkpoint"
    TILE = "tile"
    BUNDLE = "bundle"


class Unpublished(Enum):
    """Why there is nothing."""

    NOT_THERE = "not there"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What stands at a path."""

    resource: Resource
    content: bytes


class Publication:
    """What is published of one site. Few questions are answered at once, so that reading never becomes the site's work."""

    def __init__(self, site: SiteId, stored: StoredTrees, *, publishing: Publishing) -> None:
        self._site = site
        self._stored = stored
        self._tiles = TreeTiles(site, stored)
        self._publishing = publishing
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._covered: dict[str, int] = {}
        """How many entries of each tree a signed checkpoint is known to cover: never fewer later."""

    async def at(self, path: str) -> Published | Unpublished:
        """What stands at a path. Raises LedgerUnavailableError when the database does not answer."""
        if self._waiting >= _MOST_WAITING:
            return Unpublished.BUSY
        self._waiting += 1
        try:
            async with self._turns:
                return await self._find(path)
        finally:
            self._waiting -= 1

    async def _find(self, path: str) -> Published | Unpublished:
        found = _PATH.fullmatch(path)
        if found is None or found["site"] != self._site or self._publishing is Publishing.NOTHING:
            return Unpublished.NOT_THERE
        tenant = found["tenant"]
        if tenant is not None and not is_name(tenant):
            return Unpublished.NOT_THERE
        tree = SITE_TREE if tenant is None else tenant_tree(TenantId(tenant))
        if found["resource"] == "checkpoint":
            return await self._checkpoint(tree)
        at = self._coordinates(found["resource"])
        if at is None or not await self._covers(tree, at):
            return Unpublished.NOT_THERE
        return await self._content(tree, at)

    async def _checkpoint(self, tree: str) -> Published | Unpublished:
        shown = await checkpoint_to_show(self._stored, self._site, tree)
        if shown is None:
            return Unpublished.NOT_THERE
        return Published(resource=Resource.CHECKPOINT, content=shown.note)

    def _coordinates(self, resource: str) -> TileCoordinates | BundleCoordinates | None:
        tile = parse_tile_path(resource)
        if isinstance(tile, TileCoordinates):
            return tile
        bundle = parse_bundle_path(resource)
        if isinstance(bundle, BundleCoordinates) and self._publishing is Publishing.ENTRIES:
            return bundle
        return None

    async def _covers(self, tree: str, at: TileCoordinates | BundleCoordinates) -> bool:
        level = at.level if isinstance(at, TileCoordinates) else 0
        end = at.index * TILE_WIDTH + at.width << level * TILE_HEIGHT
        if end > self._covered.get(tree, 0):
            newest = await self._stored.newest_checkpoint(self._site, tree)
            if newest is None:
                return False
            self._covered[tree] = newest.size
        return end <= self._covered[tree]

    async def _content(self, tree: str, at: TileCoordinates | BundleCoordinates) -> Published | Unpublished:
        if isinstance(at, TileCoordinates):
            resource, content = Resource.TILE, await self._tiles.tile(tree, at)
        else:
            resource, content = Resource.BUNDLE, await self._tiles.bundle(tree, at)
        return Unpublished.NOT_THERE if content is None else Published(resource=resource, content=content)
