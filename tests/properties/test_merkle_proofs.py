"""Every true proof is believed, no altered one is, and both follow the definitions of RFC 6962."""

import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.transparency import (
    RangeVerifier,
    Tile,
    TileHashes,
    Tree,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    range_proof,
    range_spans,
    tiles_for,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from tests.unit.transparency.oracle import (
    Leaves,
    flipped,
    leaves,
    naive_consistency,
    naive_inclusion,
    naive_root,
)

LEAVES = leaves(2000)
TREE = Tree.empty()
TILES: dict[tuple[int, int], Tile] = {
    (tile.level, tile.index): tile for tile in [*TREE.append(LEAVES), *TREE.partial_tiles()]
}
STORED = TileHashes(TILES.values())
ROOTS = [naive_root(LEAVES[:size]) for size in range(42)]


def test_every_inclusion_proof_to_size_40_is_as_defined_and_believed():
    for size in range(1, 41):
        for index in range(size):
            proof = inclusion_proof(index, size, STORED)
            assert proof == naive_inclusion(index, LEAVES[:size])
            assert _included(index, size, LEAVES[index], proof, ROOTS[size])


def test_no_proof_of_any_kind_in_any_tree_to_size_7_survives_a_flipped_bit():
    for size in range(1, 8):
        for index in range(size):
            proof, leaf = inclusion_proof(index, size, STORED), LEAVES[index]
            for altered in _every_flip([leaf, ROOTS[size], *proof]):
                assert not _included(index, size, altered[0], altered[2:], altered[1])
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, STORED)
            for altered in _every_flip([ROOTS[old], ROOTS[size], *proof]):
                assert not _consistent(old, size, altered[0], altered[1], altered[2:])


def test_no_range_proof_in_any_tree_to_size_5_survives_a_flipped_bit():
    for size in range(1, 6):
        for start in range(size + 1):
            for end in range(start, size + 1):
                proof, run = range_proof(start, end, size, STORED), LEAVES[start:end]
                for altered in _every_flip([ROOTS[size], *run, *proof]):
                    shown = altered[1 : 1 + len(run)]
                    assert not _ranged(start, end, size, shown, altered[1 + len(run) :], root=altered[0])


def test_every_inclusion_proof_stands_for_one_index_and_one_size_only():
    for size in range(1, 18):
        for index in range(size):
            proof = inclusion_proof(index, size, STORED)
            for other in range(size):
                assert _included(other, size, LEAVES[index], proof, ROOTS[size]) == (other == index)
            for other_size in range(1, 34):
                if other_size != size:
                    assert not _included(index, other_size, LEAVES[index], proof, ROOTS[other_size])


def test_no_inclusion_proof_survives_a_flipped_bit():
    for index, size in [(0, 1), (0, 2), (4, 7), (6, 7), (20, 40), (39, 40)]:
        proof, leaf, root = inclusion_proof(index, size, STORED), LEAVES[index], ROOTS[size]
        for bit in range(256):
            assert not _included(index, size, flipped(leaf, bit), proof, root)
            assert not _included(index, size, leaf, proof, flipped(root, bit))
            for altered in _flips(proof, bit):
                assert not _included(index, size, leaf, altered, root)


def test_every_consistency_proof_to_size_40_is_as_defined_and_believed():
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, STORED)
            assert proof == naive_consistency(old, LEAVES[:new])
            assert _consistent(old, new, ROOTS[old], ROOTS[new], proof)


def test_every_consistency_proof_stands_for_one_pair_of_sizes_only():
    for new in range(2, 14):
        for old in range(1, new):
            proof = consistency_proof(old, new, STORED)
            for other_new in range(1, 20):
                for other_old in range(1, other_new):
                    if (other_old, other_new) != (old, new):
                        assert not _consistent(
                            other_old, other_new, ROOTS[other_old], ROOTS[other_new], proof
                        )


def test_no_consistency_proof_survives_a_flipped_bit():
    for old, new in [(1, 2), (3, 7), (4, 7), (6, 7), (7, 7), (8, 40), (21, 40), (39, 40)]:
        proof, old_root, new_root = consistency_proof(old, new, STORED), ROOTS[old], ROOTS[new]
        for bit in range(256):
            assert not _consistent(old, new, flipped(old_root, bit), new_root, proof)
            assert not _consistent(old, new, old_root, flipped(new_root, bit), proof)
            for altered in _flips(proof, bit):
                assert not _consistent(old, new, old_root, new_root, altered)


def test_every_range_proof_to_size_40_is_believed_and_short():
    for size in range(41):
        for start in range(size + 1):
            for end in range(start, size + 1):
                proof = range_proof(start, end, size, STORED)
                assert len(proof) <= 2 * size.bit_length()
                assert _ranged(start, end, size, LEAVES[start:end], proof)


def test_every_range_proof_stands_for_one_range_only():
    for size in range(1, 9):
        for start in range(size + 1):
            for end in range(start + 1, size + 1):
                proof = range_proof(start, end, size, STORED)
                for shift in range(-start, size - end + 1):
                    believed = _ranged(start + shift, end + shift, size, LEAVES[start:end], proof)
                    assert believed == (shift == 0)


def test_no_range_proof_survives_a_flipped_bit():
    for start, end, size in [(0, 1, 2), (2, 5, 7), (3, 3, 7), (0, 0, 7), (7, 7, 7), (11, 29, 40)]:
        run, proof = LEAVES[start:end], range_proof(start, end, size, STORED)
        for bit in range(256):
            assert not _ranged(start, end, size, run, proof, root=flipped(ROOTS[size], bit))
            for altered in _flips(proof, bit):
                assert not _ranged(start, end, size, run, altered)
            for altered in _flips(run, bit):
                assert not _ranged(start, end, size, altered, proof)


@given(ends=st.tuples(*[st.integers(0, len(LEAVES))] * 3).map(sorted), seed=st.integers(0, 2**32))
def test_a_range_fed_in_any_pieces_is_the_same_range(ends: list[int], seed: int):
    start, end, size = ends
    verifier = RangeVerifier.begin(
        start=start, end=end, size=size, proof=range_proof(start, end, size, STORED)
    )
    assert isinstance(verifier, RangeVerifier)
    pieces = random.Random(seed)
    at = start
    while at < end:
        step = pieces.choice([1, 1, 2, 100, 700])
        verifier.feed(LEAVES[at : min(at + step, end)])
        at += step
    assert verifier.finish(naive_root(LEAVES[:size])) is None


@given(ends=st.tuples(*[st.integers(1, len(LEAVES))] * 3).map(sorted))
def test_the_tiles_for_a_proof_are_all_it_is_made_from(ends: list[int]):
    low, middle, size = ends
    everything = Leaves(LEAVES[:size])
    for spans, make in [
        (inclusion_spans(low - 1, size), lambda reader: inclusion_proof(low - 1, size, reader)),
        (consistency_spans(low, size), lambda reader: consistency_proof(low, size, reader)),
        (range_spans(low, middle, size), lambda reader: range_proof(low, middle, size, reader)),
    ]:
        fetched = [
            Tile(
                level=wanted.level,
                index=wanted.index,
                width=wanted.width,
                hashes=TILES[wanted.level, wanted.index].hashes[: wanted.width * 32],
            )
            for wanted in tiles_for(spans, size)
        ]
        assert make(TileHashes(fetched)) == make(everything)


def _every_flip(hashes: list[bytes]) -> Iterator[list[bytes]]:
    for bit in range(256):
        yield from _flips(hashes, bit)


def _flips(hashes: list[bytes], bit: int) -> list[list[bytes]]:
    return [[*hashes[:at], flipped(hashed, bit), *hashes[at + 1 :]] for at, hashed in enumerate(hashes)]


def _included(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    return verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root) is None


def _consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    refused = verify_consistency(
        old_size=old, new_size=new, old_root=old_root, new_root=new_root, proof=proof
    )
    return refused is None


def _ranged(
    start: int, end: int, size: int, run: list[bytes], proof: list[bytes], *, root: bytes | None = None
) -> bool:
    believed = root or ROOTS[size]
    refused = verify_range(start=start, end=end, size=size, leaf_hashes=run, proof=proof, root=believed)
    return refused is None
