"""However a log has grown - at once, one by one, over restarts - it is the tree that RFC 6962 defines."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import Tile, TileHashes, Tree, root_of, tile_coordinates
from tests.unit.transparency.oracle import leaves, naive_root

LEAVES = leaves(3000)


def test_batch_append_and_single_append_and_definition_agree_for_all_sizes_to_300():
    single = Tree.empty()
    for size in range(301):
        batch = Tree.empty()
        batch.append(LEAVES[:size])
        assert batch.root() == single.root() == root_of(LEAVES[:size]) == naive_root(LEAVES[:size])
        assert (batch.size, batch.edge) == (single.size, single.edge) == (size, batch.edge)
        single.append(LEAVES[size : size + 1])


def test_batch_append_and_single_append_and_definition_agree_at_larger_sizes_by_chance():
    hashes = leaves(20_000)
    sizes = sorted(random.Random(6962).sample(range(301, 20_001), 12))
    single = Tree.empty()
    for size in sizes:
        for hashed in hashes[single.size : size]:
            single.append([hashed])
        batch = Tree.empty()
        batch.append(hashes[:size])
        assert batch.root() == single.root() == root_of(hashes[:size]) == naive_root(hashes[:size])
        assert (batch.size, batch.edge) == (single.size, single.edge)


def test_a_tree_resumed_at_any_size_goes_on_as_if_nothing_had_happened():
    for size in range(600):
        tree = Tree.empty()
        tree.append(LEAVES[:size])
        resumed = Tree.resume(tree.size, tree.edge)
        assert resumed.root() == tree.root()
        assert resumed.append(LEAVES[size : size + 300]) == tree.append(LEAVES[size : size + 300])
        assert (resumed.size, resumed.edge, resumed.root()) == (tree.size, tree.edge, tree.root())


@given(cuts=st.lists(st.integers(0, len(LEAVES)), max_size=12).map(sorted))
def test_a_log_is_the_same_however_its_appends_are_cut_and_restarted(cuts: list[int]):
    whole, pieces = Tree.empty(), Tree.empty()
    tiles = whole.append(LEAVES)
    collected: list[Tile] = []
    for start, end in zip([0, *cuts], [*cuts, len(LEAVES)], strict=True):
        collected += pieces.append(LEAVES[start:end])
        pieces = Tree.resume(pieces.size, pieces.edge)
    assert (pieces.root(), pieces.edge) == (whole.root(), whole.edge)
    assert sorted(collected, key=_place) == sorted(tiles, key=_place)


def test_seventy_thousand_leaves_make_every_tile_of_three_levels():
    hashes = leaves(70_000)
    whole = Tree.empty()
    tiles = whole.append(hashes)
    assert whole.root() == naive_root(hashes)
    assert [tile.coordinates for tile in sorted([*tiles, *whole.partial_tiles()], key=_place)] == list(
        tile_coordinates(70_000)
    )

    pieces = Tree.empty()
    collected = []
    for start in range(0, 70_000, 257):
        collected += pieces.append(hashes[start : start + 257])
    assert sorted(collected, key=_place) == sorted(tiles, key=_place)
    assert (pieces.edge, pieces.root()) == (whole.edge, whole.root())

    resumed = Tree.resume(70_000, whole.edge)
    assert resumed.root() == whole.root()
    assert TileHashes(resumed.partial_tiles()).node(16, 0) == naive_root(hashes[:65_536])


def _place(tile: Tile) -> tuple[int, int]:
    return tile.level, tile.index
