"""Leaves that are not shown are proved by the subtrees they make up, and so are those that another process has hashed."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    RangeVerifier,
    Refusal,
    Refused,
    Subtrees,
    TileHashes,
    Tree,
    range_proof,
    subtree_hashes,
    subtrees_of,
)
from tests.unit.transparency.oracle import flipped, leaves, naive_root

LEAVES = leaves(600)
TREE = Tree.empty()
STORED = TileHashes([*TREE.append(LEAVES), *TREE.partial_tiles()])
SIZE = len(LEAVES)
ROOT = naive_root(LEAVES)


def _begun(start: int, end: int) -> RangeVerifier:
    verifier = RangeVerifier.begin(
        start=start, end=end, size=SIZE, proof=range_proof(start, end, SIZE, STORED)
    )
    assert isinstance(verifier, RangeVerifier)
    return verifier


def test_subtrees_are_full_aligned_as_large_as_they_can_be_and_leave_nothing_out():
    for low in range(40):
        for high in range(low, 70):
            at = low
            for height, index in subtrees_of(low, high):
                assert index << height == at
                at += 1 << height
                assert at <= high
                larger = 1 << height + 1
                assert (index << height) % larger or (index << height) + larger > high
            assert at == high


@given(data=st.data())
def test_runs_shown_and_withheld_lead_to_the_root_together(data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, SIZE), min_size=2, max_size=8)))
    verifier = _begun(cuts[0], cuts[-1])
    for low, high in itertools.pairwise(cuts):
        if data.draw(st.booleans()):
            verifier.feed(LEAVES[low:high])
        else:
            hashes = subtree_hashes(low, high, STORED)
            for (height, _), node in zip(subtrees_of(low, high), hashes, strict=True):
                verifier.feed_subtree(height, node)
        assert verifier.count == high
        assert verifier.root() == naive_root(LEAVES[:high])
    assert verifier.finish(ROOT) is None


@given(data=st.data())
def test_leaves_hashed_apart_are_the_subtrees_of_the_stored_tree(data: st.DataObject):
    low = data.draw(st.integers(0, SIZE))
    high = data.draw(st.integers(low, SIZE))
    subtrees = Subtrees(low, high)
    for at in range(low, high, step := data.draw(st.integers(1, 300))):
        subtrees.feed(LEAVES[at : min(at + step, high)])
    assert subtrees.finish() == list(
        zip([height for height, _ in subtrees_of(low, high)], subtree_hashes(low, high, STORED), strict=True)
    )


def test_leaves_too_many_or_too_few_make_no_subtrees():
    with pytest.raises(ValueError, match="More"):
        Subtrees(3, 5).feed(LEAVES[3:6])
    fewer = Subtrees(3, 5)
    fewer.feed(LEAVES[3:4])
    with pytest.raises(ValueError, match="Fewer"):
        fewer.finish()


@pytest.mark.parametrize("cuts", [[0, 5, 8, 11], [3, 4, 9, 12], [256, 257, 259, 264]])
def test_nothing_of_a_range_with_a_gap_survives_a_flipped_bit(cuts: list[int]):
    """Shown, withheld, shown again; each bit of each hash, of those shown, of those that stand for others, of the proof."""
    start, low, high, end = cuts
    proof = range_proof(start, end, SIZE, STORED)
    withheld = subtree_hashes(low, high, STORED)
    parts = [LEAVES[start:low], withheld, LEAVES[high:end], proof]
    assert _gapped(cuts, parts) is None
    for kind, hashes in enumerate(parts):
        for place, bit in itertools.product(range(len(hashes)), range(256)):
            altered = [*hashes[:place], flipped(hashes[place], bit), *hashes[place + 1 :]]
            refused = _gapped(cuts, [*parts[:kind], altered, *parts[kind + 1 :]])
            assert refused == Refused(code=Refusal.PROOF_ROOT)


def _gapped(cuts: list[int], parts: list[list[bytes]]) -> Refused | None:
    start, low, high, end = cuts
    before, withheld, after, proof = parts
    verifier = RangeVerifier.begin(start=start, end=end, size=SIZE, proof=proof)
    assert isinstance(verifier, RangeVerifier)
    verifier.feed(before)
    for (height, _), node in zip(subtrees_of(low, high), withheld, strict=True):
        verifier.feed_subtree(height, node)
    verifier.feed(after)
    return verifier.finish(ROOT)


@pytest.mark.parametrize(("start", "height"), [(4, 3), (1, 1), (0, 64), (0, -1)])
def test_a_subtree_that_does_not_begin_there_is_refused(start: int, height: int):
    verifier = _begun(start, SIZE)
    verifier.feed_subtree(height, bytes(32))
    assert verifier.finish(ROOT) == Refused(code=Refusal.PROOF_LEAF_COUNT)


def test_a_subtree_of_another_width_is_refused():
    verifier = _begun(0, 2)
    verifier.feed_subtree(1, bytes(31))
    assert verifier.finish(ROOT) == Refused(code=Refusal.PROOF_HASH_WIDTH)
