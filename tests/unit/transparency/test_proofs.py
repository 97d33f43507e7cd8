import pytest

from gatekeeper.transparency import (
    EMPTY_ROOT,
    RangeVerifier,
    Refusal,
    Refused,
    TileCoordinates,
    consistency_proof,
    inclusion_proof,
    inclusion_spans,
    range_proof,
    range_spans,
    tiles_for,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from tests.unit.transparency.oracle import Leaves, leaves, naive_root

SEVEN = leaves(7)
ROOT = naive_root(SEVEN)
READER = Leaves(SEVEN)


def test_the_proofs_of_seven_leaves_are_those_that_rfc_6962_draws():
    a, b, c, d, e, f, j = SEVEN
    g, h, i = naive_root([a, b]), naive_root([c, d]), naive_root([e, f])
    k, el = naive_root([a, b, c, d]), naive_root([e, f, j])
    assert inclusion_proof(0, 7, READER) == [b, h, el]
    assert inclusion_proof(3, 7, READER) == [c, g, el]
    assert inclusion_proof(4, 7, READER) == [f, j, k]
    assert inclusion_proof(6, 7, READER) == [i, k]
    assert consistency_proof(3, 7, READER) == [c, d, g, el]
    assert consistency_proof(4, 7, READER) == [el]
    assert consistency_proof(6, 7, READER) == [i, j, k]
    assert range_proof(2, 5, 7, READER) == [g, f, j]


@pytest.mark.parametrize(("index", "size"), [(-1, 7), (7, 7), (0, 0)])
def test_no_inclusion_is_proved_outside_the_tree(index: int, size: int):
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, READER)
    refused = verify_inclusion(index=index, size=size, leaf=SEVEN[0], proof=[], root=SEVEN[0])
    assert refused == Refused(code=Refusal.PROOF_BOUNDS)


@pytest.mark.parametrize(("old", "new"), [(0, 7), (8, 7), (-1, 7)])
def test_no_consistency_is_made_with_the_empty_tree_or_backwards(old: int, new: int):
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_proof(old, new, READER)


@pytest.mark.parametrize(("start", "end", "size"), [(-1, 2, 7), (3, 2, 7), (0, 8, 7)])
def test_no_range_is_proved_outside_the_tree(start: int, end: int, size: int):
    with pytest.raises(ValueError, match="no leaves"):
        range_proof(start, end, size, READER)
    refused = verify_range(start=start, end=end, size=size, leaf_hashes=[], proof=[], root=ROOT)
    assert refused == Refused(code=Refusal.PROOF_BOUNDS)


@pytest.mark.parametrize(
    ("old_size", "new_size", "old_root", "new_root", "proof", "code"),
    [
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, [], None),
        (7, 7, ROOT, ROOT, [], None),
        (0, 0, ROOT, ROOT, [], Refusal.PROOF_OLD_ROOT),
        (0, 0, EMPTY_ROOT, ROOT, [], Refusal.PROOF_ROOT),
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, [ROOT], Refusal.PROOF_LENGTH),
        (0, 7, EMPTY_ROOT, ROOT, [], Refusal.PROOF_EMPTY_TREE),
        (7, 7, ROOT, ROOT, [ROOT], Refusal.PROOF_LENGTH),
        (7, 7, SEVEN[0], ROOT, [], Refusal.PROOF_ROOT),
        (7, 6, ROOT, ROOT, [], Refusal.PROOF_BOUNDS),
        (-1, 6, ROOT, ROOT, [], Refusal.PROOF_BOUNDS),
        (4, 7, naive_root(SEVEN[:4]), ROOT, [], Refusal.PROOF_LENGTH),
        (4, 7, naive_root(SEVEN[:4]), ROOT, [b""], Refusal.PROOF_HASH_WIDTH),
        (4, 7, b"", ROOT, [naive_root(SEVEN[4:])], Refusal.PROOF_HASH_WIDTH),
        (4, 7, naive_root(SEVEN[:4]), ROOT, [naive_root(SEVEN[4:])], None),
        (3, 7, naive_root(SEVEN[:4]), ROOT, consistency_proof(3, 7, READER), Refusal.PROOF_OLD_ROOT),
        (3, 7, naive_root(SEVEN[:3]), EMPTY_ROOT, consistency_proof(3, 7, READER), Refusal.PROOF_ROOT),
        (3, 7, naive_root(SEVEN[:3]), ROOT, consistency_proof(3, 7, READER)[:-1], Refusal.PROOF_LENGTH),
        (3, 7, naive_root(SEVEN[:3]), ROOT, [*consistency_proof(3, 7, READER), ROOT], Refusal.PROOF_LENGTH),
    ],
)
def test_consistency_at_its_edges(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: list[bytes], code: Refusal | None
):
    refused = verify_consistency(
        old_size=old_size, new_size=new_size, old_root=old_root, new_root=new_root, proof=proof
    )
    assert refused == (None if code is None else Refused(code=code))


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        ([], Refusal.PROOF_LENGTH),
        (inclusion_proof(4, 7, READER)[:-1], Refusal.PROOF_LENGTH),
        ([*inclusion_proof(4, 7, READER), ROOT], Refusal.PROOF_LENGTH),
        ([*inclusion_proof(4, 7, READER)[:-1], ROOT[:-1]], Refusal.PROOF_HASH_WIDTH),
        (inclusion_proof(4, 7, READER)[::-1], Refusal.PROOF_ROOT),
    ],
)
def test_an_inclusion_proof_of_another_shape_is_refused(proof: list[bytes], code: Refusal):
    assert verify_inclusion(index=4, size=7, leaf=SEVEN[4], proof=proof, root=ROOT) == Refused(code=code)


@pytest.mark.parametrize(
    ("leaf_hashes", "proof", "code"),
    [
        (SEVEN[2:5], range_proof(2, 5, 7, READER), None),
        (SEVEN[2:4], range_proof(2, 5, 7, READER), Refusal.PROOF_LEAF_COUNT),
        (SEVEN[2:6], range_proof(2, 5, 7, READER), Refusal.PROOF_LEAF_COUNT),
        ([], range_proof(2, 5, 7, READER), Refusal.PROOF_LEAF_COUNT),
        (SEVEN[1:4], range_proof(2, 5, 7, READER), Refusal.PROOF_ROOT),
        (SEVEN[4:1:-1], range_proof(2, 5, 7, READER), Refusal.PROOF_ROOT),
        ([*SEVEN[2:4], b""], range_proof(2, 5, 7, READER), Refusal.PROOF_HASH_WIDTH),
        (SEVEN[2:5], [*range_proof(2, 5, 7, READER)[:-1], b""], Refusal.PROOF_HASH_WIDTH),
        (SEVEN[2:5], range_proof(2, 5, 7, READER)[:-1], Refusal.PROOF_LENGTH),
        (SEVEN[2:5], [*range_proof(2, 5, 7, READER), ROOT], Refusal.PROOF_LENGTH),
        (SEVEN[2:5], range_proof(2, 5, 7, READER)[::-1], Refusal.PROOF_ROOT),
    ],
)
def test_only_the_whole_range_in_its_order_is_believed(
    leaf_hashes: list[bytes], proof: list[bytes], code: Refusal | None
):
    refused = verify_range(start=2, end=5, size=7, leaf_hashes=leaf_hashes, proof=proof, root=ROOT)
    assert refused == (None if code is None else Refused(code=code))


def test_the_whole_tree_is_a_range_without_a_proof():
    assert range_proof(0, 7, 7, READER) == []
    assert verify_range(start=0, end=7, size=7, leaf_hashes=SEVEN, proof=[], root=ROOT) is None


def test_a_wrong_hash_among_the_leaves_is_remembered_to_the_end():
    verifier = RangeVerifier.begin(start=0, end=7, size=7, proof=[])
    assert isinstance(verifier, RangeVerifier)
    verifier.feed([b"short"])
    verifier.feed(SEVEN[1:])
    assert verifier.finish(ROOT) == Refused(code=Refusal.PROOF_HASH_WIDTH)


def test_a_million_of_two_million_leaves_need_fewer_than_64_hashes_wherever_they_begin():
    for start in [*range(0, 1_000_000, 997), 567_891, 1_000_000]:
        assert len(range_spans(start, start + 1_000_000, 2_000_000)) < 64


def test_the_tiles_for_a_proof_are_few_and_as_wide_as_the_tree_has_them():
    tiles = tiles_for(inclusion_spans(69_999, 70_000), 70_000)
    assert tiles == {
        TileCoordinates(level=0, index=273, width=112),
        TileCoordinates(level=1, index=1, width=17),
        TileCoordinates(level=2, index=0, width=1),
    }
