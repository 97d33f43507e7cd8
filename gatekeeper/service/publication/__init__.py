"""Publishing the log in the form of C2SP tlog-tiles, so that any reader of such logs can follow and check it.

    tree_tiles   tiles and entry bundles of a tree, the incomplete ones made from what is below them
    checkpoints  which of a tree's checkpoints is shown
    publishing   paths of a log and what stands there: for HTTP
    tile_folder  the same paths as files below a folder, and no more written than is new
    proving      the proof of one entry

Nothing here signs, decides what is so, or writes to the database: what is published is what a reader can check.
"""

from gatekeeper.service.publication.publishing import (
    Publication,
    Published,
    Publishing,
    Resource,
    Unpublished,
)
from gatekeeper.service.publication.tile_folder import Renewed, TileFolder, TileFolderError
from gatekeeper.service.publication.tree_tiles import TreeTiles

__all__ = [
    "Publication",
    "Published",
    "Publishing",
    "Renewed",
    "Resource",
    "TileFolder",
    "TileFolderError",
    "TreeTiles",
    "Unpublished",
]
