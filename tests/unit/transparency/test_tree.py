import pytest

from gatekeeper.transparency import EMPTY_ROOT, HASH_SIZE, EdgeError, Tree, leaf_hash, node_hash, root_of
from tests.unit.transparency.oracle import leaves, naive_root


def test_the_hashes_are_those_of_rfc_6962():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert (
        node_hash(b"N123", b"N456").hex()
        == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


def test_a_leaf_cannot_pass_for_a_node():
    left, right = leaves(2)
    assert leaf_hash(left + right) != node_hash(left, right)


def test_the_empty_tree_has_the_empty_root_and_no_tiles():
    tree = Tree.empty()
    assert (tree.size, tree.edge, tree.root(), tree.partial_tiles()) == (0, (), EMPTY_ROOT, [])
    assert tree.append([]) == []
    assert tree.root() == EMPTY_ROOT == root_of([])


def test_a_tile_leaves_the_tree_when_its_last_leaf_arrives():
    hashes = leaves(256)
    tree = Tree.empty()
    assert tree.append(hashes[:255]) == []
    (tile,) = tree.append(hashes[255:])
    assert (tile.level, tile.index, tile.width, tile.hashes) == (0, 0, 256, b"".join(hashes))
    assert tree.edge == (b"", naive_root(hashes))


def test_one_append_can_complete_several_tiles():
    hashes = leaves(1000)
    tree = Tree.empty()
    tree.append(hashes[:200])
    tiles = tree.append(hashes[200:])
    assert [(tile.level, tile.index) for tile in tiles] == [(0, 0), (0, 1), (0, 2)]
    assert b"".join(tile.hashes for tile in tiles) == b"".join(hashes[:768])


def test_an_append_to_a_copy_can_be_abandoned():
    hashes = leaves(600)
    tree = Tree.empty()
    tree.append(hashes[:300])
    before = (tree.size, tree.edge, tree.root())
    attempt = tree.copy()
    attempt.append(hashes[300:])
    assert (tree.size, tree.edge, tree.root()) == before
    assert (attempt.size, attempt.root()) == (600, naive_root(hashes))
    tree.append(hashes[300:])
    assert tree.root() == attempt.root()


def test_partial_tiles_say_where_they_are():
    tree = Tree.empty()
    tree.append(leaves(600))
    assert [(tile.level, tile.index, tile.width) for tile in tree.partial_tiles()] == [(0, 2, 88), (1, 0, 2)]


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33), bytes(64)])
def test_what_is_not_a_hash_is_not_appended(wrong: bytes):
    tree = Tree.empty()
    with pytest.raises(ValueError, match="32 bytes"):
        tree.append([bytes(32), wrong])
    assert (tree.size, tree.edge) == (0, ())


@pytest.mark.parametrize(
    ("size", "edge"),
    [
        (-1, ()),
        (0, (b"",)),
        (1, ()),
        (1, (b"",)),
        (1, (bytes(HASH_SIZE - 1),)),
        (1, (bytes(HASH_SIZE * 2),)),
        (1, (bytes(HASH_SIZE), b"")),
        (256, (b"",)),
        (256, (bytes(HASH_SIZE * 256),)),
        (257, (bytes(HASH_SIZE), b"")),
    ],
)
def test_an_edge_that_does_not_fit_its_size_stops_the_resume(size: int, edge: tuple[bytes, ...]):
    with pytest.raises(EdgeError):
        Tree.resume(size, edge)
