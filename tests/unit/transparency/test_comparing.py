"""A tree held against what is stored of it: what fits is passed in silence, and what does not is told by its place."""

import pytest

from gatekeeper.transparency import Tree, leaf_hash
from gatekeeper.transparency.comparing import Comparison, Mismatch, Part

BODIES = [f"entry {number}".encode() for number in range(700)]
FILED = list(enumerate(BODIES))
LEAVES = [leaf_hash(body) for body in BODIES]
TREE = Tree.empty()
TILES = {(tile.level, tile.index): tile.hashes for tile in TREE.append(LEAVES)}


def _other(hashes: bytes, *places: int) -> bytes:
    """The same tile with other hashes at some places."""
    changed = bytearray(hashes)
    for place in places:
        changed[place * 32] ^= 1
    return bytes(changed)


def _entry(index: int) -> Mismatch:
    return Mismatch(part=Part.ENTRY, index=index)


def _at(size: int) -> Comparison:
    comparison = Comparison.begun()
    comparison.grow(LEAVES[:size])
    return comparison


# -- bodies and their tile --------------------------------------------------------------------------------------------


def test_bodies_that_fit_their_tile_give_their_hashes():
    assert _at(256).leaves(FILED[256:512], until=512, tile=TILES[0, 1]) == (LEAVES[256:512], [])


def test_an_incomplete_bundle_needs_no_tile():
    assert _at(512).leaves(FILED[512:], until=700, tile=None) == (LEAVES[512:], [])


def test_a_body_that_does_not_fit_is_told_and_the_tree_goes_on_from_the_body():
    altered = [*FILED[:7], (7, b"another"), *FILED[8:256]]
    leaves, wrong = _at(0).leaves(altered, until=256, tile=TILES[0, 0])
    assert wrong == [_entry(7)]
    assert leaves == [*LEAVES[:7], leaf_hash(b"another"), *LEAVES[8:256]]


@pytest.mark.parametrize("there", [0, 2], ids=["missing", "twice"])
def test_a_body_that_is_not_there_once_is_told_and_its_hash_is_the_tiles(there: int):
    bodies = [*FILED[:7], *[FILED[7]] * there, *FILED[8:256]]
    assert _at(0).leaves(bodies, until=256, tile=TILES[0, 0]) == (LEAVES[:256], [_entry(7)])


def test_nothing_leads_on_from_a_body_that_is_missing_where_there_is_no_tile():
    leaves, wrong = _at(512).leaves([*FILED[512:600], *FILED[601:]], until=700, tile=None)
    assert (leaves, wrong) == (LEAVES[512:600], [_entry(600)])


@pytest.mark.parametrize("start", [300, 512, 700])
def test_bodies_that_are_gone_are_known_by_their_tile(start: int):
    kept = [one for one in FILED[256:512] if one[0] >= start]
    assert _at(256).leaves(kept, until=512, tile=TILES[0, 1], start=start) == (LEAVES[256:512], [])


@pytest.mark.parametrize("start", [600, 700])
def test_bodies_that_are_gone_are_known_by_what_was_kept_of_an_incomplete_tile(start: int):
    kept = b"".join(LEAVES[512:start])
    assert _at(512).leaves(FILED[start:], until=700, tile=kept, start=start) == (LEAVES[512:], [])


def test_a_body_that_is_there_though_it_should_be_gone_must_fit_all_the_same():
    there = [(300, b"another"), *FILED[400:512]]
    assert _at(256).leaves(there, until=512, tile=TILES[0, 1], start=400)[1] == [_entry(300)]


def test_a_body_that_is_missing_behind_those_that_are_gone_is_told():
    there = [*FILED[400:450], *FILED[451:512]]
    assert _at(256).leaves(there, until=512, tile=TILES[0, 1], start=400)[1] == [_entry(450)]


def test_a_few_places_are_told_one_by_one_and_many_as_their_tile():
    tile = TILES[0, 1]
    few = _at(256).leaves(FILED[256:512], until=512, tile=_other(tile, *range(8)))[1]
    many = _at(256).leaves(FILED[256:512], until=512, tile=_other(tile, *range(9)))[1]
    assert few == [_entry(index) for index in range(256, 264)]
    assert many == [Mismatch(part=Part.TILE, level=0, index=1)]


# -- tiles and roots --------------------------------------------------------------------------------------------------


def test_tiles_that_are_stored_as_they_are_made_are_passed():
    comparison = Comparison.begun()
    made = comparison.grow(LEAVES)
    assert comparison.tiles(made, TILES) == []


@pytest.mark.parametrize("stored", [None, bytes(8192)])
def test_a_tile_that_is_missing_or_altered_is_told(stored: bytes | None):
    comparison = Comparison.begun()
    made = comparison.grow(LEAVES)
    assert comparison.tiles(made, {**TILES, (0, 1): stored}) == [Mismatch(part=Part.TILE, level=0, index=1)]


def test_a_root_that_the_leaves_lead_to_is_passed():
    assert _at(700).root(Part.HEAD, TREE.root()) == []


def test_of_a_tree_only_the_first_root_that_does_not_fit_is_told():
    comparison = _at(700)
    assert comparison.root(Part.CHECKPOINT, bytes(32)) == [Mismatch(part=Part.CHECKPOINT, index=700)]
    assert comparison.root(Part.HEAD, bytes(32)) == []


def test_a_step_that_is_abandoned_has_changed_nothing():
    comparison = _at(100)
    trial = comparison.copy()
    trial.grow(LEAVES[100:200])
    trial.root(Part.HEAD, bytes(32))
    assert comparison.tree.size == 100
    assert comparison.root(Part.HEAD, bytes(32)) == [Mismatch(part=Part.HEAD, index=100)]
