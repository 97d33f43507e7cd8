r"""Proofs over a tree of RFC 6962: that a leaf is in it, that it grew from an older one, that a run of leaves is in it.

Every hash of a proof covers a *span* [low, high) of leaves. The spans follow from the sizes alone, so whoever has to
fetch tiles first asks for the spans, fetches `tiles_for` them, and makes the proof from those; nothing here waits.

    inclusion of leaf 4 of 7         consistency of 3 with 7          range [2, 5) of 7, left to right

            root                             root                             root
          /      \                         /      \                         /      \
      [0,4)*      .                       .      [4,7)*                    .        .
                /   \                   /   \                            /   \    /    \
               .   [6,7)*           [0,2)*   .                       [0,2)*   2 3 .   [6,7)*
              / \                           / \                                  / \
             4  5*                         2*  3*                               4   5*

Verification trusts nothing: a wrong count or width of hashes is a refusal, never an error. Roots are compared with
those the caller already believes (from a checkpoint); where they come from is not known here.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from gatekeeper.transparency.hashing import EMPTY_ROOT, are_hashes, climb, fold, node_hash
from gatekeeper.transparency.refusal import Refusal, Refused
from gatekeeper.transparency.tiles import TILE_HEIGHT, TILE_WIDTH, HashReader, TileCoordinates

__all__ = [
    "RangeVerifier",
    "Span",
    "Subtree",
    "Subtrees",
    "consistency_proof",
    "consistency_spans",
    "inclusion_proof",
    "inclusion_spans",
    "range_proof",
    "range_spans",
    "root_at",
    "subtree_hashes",
    "subtrees_of",
    "tiles_for",
    "verify_consistency",
    "verify_inclusion",
    "verify_range",
]

_TOP: Final = 64

Span = tuple[int, int]
"""Leaves [low, high) that one hash of a proof covers."""

Subtree = tuple[int, bytes]
"""The height and the hash of a full subtree: a single leaf has the height 0."""


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return what the inclusion proof of a leaf covers, leaf first (RFC 9162, section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"There is no leaf {index} in a tree of size {size}.")
    spans, low, high = [], 0, size
    while high - low > 1:
        middle = _split(low, high)
        if index < middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Return what the consistency proof of two sizes covers, lowest first (RFC 9162, section 2.1.4.1)."""
    if not 0 < old <= new:
        raise ValueError(f"There is no consistency proof between the sizes {old} and {new}.")
    spans, low, high = [], 0, new
    while old < high:
        middle = _split(low, high)
        if old <= middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    if low:  # else the proof starts from the old root, which the verifier has
        spans.append((low, high))
    return spans[::-1]


def range_spans(start: int, end: int, size: int) -> list[Span]:
    """Return what the range proof of leaves [start, end) covers, from left to right.

    On the left the peaks of [0, start), on the right the siblings of the path to the border at `end`. So a proof for
    any range has at most twice as many hashes as the size has bits, and none for the whole tree.
    """
    if not 0 <= start <= end <= size:
        raise ValueError(f"There are no leaves [{start}, {end}) in a tree of size {size}.")
    return [*_peak_spans(0, start), *_spans_after(end, size)]


def root_at(size: int, reader: HashReader) -> bytes:
    """Return the root that a tree had when it had this size; its tiles are those `tiles_for` lists for the span [0, size)."""
    return _span_hash((0, size), reader)


def subtrees_of(low: int, high: int) -> list[tuple[int, int]]:
    """Return height and index of the full subtrees that make up leaves [low, high), the largest there are, left to right."""
    nodes = []
    while low < high:
        fits = (high - low).bit_length() - 1
        height = min(fits, (low & -low).bit_length() - 1) if low else fits
        nodes.append((height, low >> height))
        low += 1 << height
    return nodes


def subtree_hashes(low: int, high: int, reader: HashReader) -> list[bytes]:
    """Return the hashes of `subtrees_of` leaves [low, high): all that need be known of leaves that are not shown."""
    return [reader.node(height, index) for height, index in subtrees_of(low, high)]


def tiles_for(spans: Iterable[Span], size: int) -> set[TileCoordinates]:
    """Return the tiles that the proof over these spans is made from, as wide as a tree of this size has them."""
    tiles = set()
    for span in spans:
        for height, index in _nodes(span):
            level, inner = divmod(height, TILE_HEIGHT)
            tile = index << inner >> TILE_HEIGHT
            width = min(TILE_WIDTH, (size >> level * TILE_HEIGHT) - tile * TILE_WIDTH)
            tiles.add(TileCoordinates(level=level, index=tile, width=width))
    return tiles


def inclusion_proof(index: int, size: int, reader: HashReader) -> list[bytes]:
    """Return the proof that a leaf is in the tree of this size (RFC 9162, section 2.1.3.1)."""
    return [_span_hash(span, reader) for span in inclusion_spans(index, size)]


def consistency_proof(old: int, new: int, reader: HashReader) -> list[bytes]:
    """Return the proof that the tree of size `new` begins with that of size `old` (RFC 9162, section 2.1.4.1)."""
    return [_span_hash(span, reader) for span in consistency_spans(old, new)]


def range_proof(start: int, end: int, size: int, reader: HashReader) -> list[bytes]:
    """Return the proof that consecutive leaves [start, end) are in the tree of this size."""
    return [_span_hash(span, reader) for span in range_spans(start, end, size)]


def verify_inclusion(
    *, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> Refused | None:
    """Refuse, unless the leaf with this hash has this index in the tree (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return Refused(code=Refusal.PROOF_BOUNDS)
    if not are_hashes([leaf, *proof]):
        return Refused(code=Refusal.PROOF_HASH_WIDTH)
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if not last:
            return Refused(code=Refusal.PROOF_LENGTH)
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            node, last = _skip_missing_siblings(node, last)
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last:
        return Refused(code=Refusal.PROOF_LENGTH)
    return None if found == root else Refused(code=Refusal.PROOF_ROOT)


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> Refused | None:
    """Refuse, unless the new tree begins with the old one (RFC 9162, section 2.1.4.2).

    Equal sizes need equal roots and no proof. From the empty tree nothing is proved, except that it is itself.
    """
    if not 0 <= old_size <= new_size:
        return Refused(code=Refusal.PROOF_BOUNDS)
    if old_size == new_size:
        return _same_tree(old_size, old_root, new_root, proof)
    if old_size == 0:
        return Refused(code=Refusal.PROOF_EMPTY_TREE)
    if not are_hashes([old_root, *proof]):
        return Refused(code=Refusal.PROOF_HASH_WIDTH)
    return _verify_growth(old_size, new_size, old_root, new_root, proof)


def _same_tree(size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> Refused | None:
    if proof:
        return Refused(code=Refusal.PROOF_LENGTH)
    if size == 0 and old_root != EMPTY_ROOT:
        return Refused(code=Refusal.PROOF_OLD_ROOT)
    return None if old_root == new_root else Refused(code=Refusal.PROOF_ROOT)


def _verify_growth(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> Refused | None:
    # Steps 2 to 4: a proof from a perfect tree starts at the old root, any other names its own start.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else proof
    if not proof:
        return Refused(code=Refusal.PROOF_LENGTH)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    # Steps 5 and 6: climb to both roots at once.
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if not last:
            return Refused(code=Refusal.PROOF_LENGTH)
        if node & 1 or node == last:
            old_found = node_hash(sibling, old_found)
            new_found = node_hash(sibling, new_found)
            node, last = _skip_missing_siblings(node, last)
        else:
            new_found = node_hash(new_found, sibling)
        node, last = node >> 1, last >> 1
    # Step 7.
    if last:
        return Refused(code=Refusal.PROOF_LENGTH)
    if old_found != old_root:
        return Refused(code=Refusal.PROOF_OLD_ROOT)
    return None if new_found == new_root else Refused(code=Refusal.PROOF_ROOT)


def verify_range(
    *, start: int, end: int, size: int, leaf_hashes: Sequence[bytes], proof: Sequence[bytes], root: bytes
) -> Refused | None:
    """Refuse, unless these are the leaves [start, end) of the tree, all of them and in this order."""
    verifier = RangeVerifier.begin(start=start, end=end, size=size, proof=proof)
    if isinstance(verifier, Refused):
        return verifier
    verifier.feed(leaf_hashes)
    return verifier.finish(root)


class RangeVerifier:
    """Verifies a range of any length in constant memory: begin, feed leaf hashes in order as they come, finish.

    Feed some hundreds of hashes at a time where speed matters: they are paired height by height. Leaves that are not at hand
    can be fed as the subtrees they make up, and so can those that another process has hashed (`Subtrees`).
    """

    __slots__ = ("_count", "_end", "_misfit", "_peaks", "_right", "_skewed")

    def __init__(
        self, *, start: int, end: int, peaks: list[bytes], right: Sequence[tuple[Span, bytes]]
    ) -> None:
        self._count = start
        self._end = end
        self._peaks = peaks
        self._right = right
        self._misfit = False
        self._skewed = False

    @classmethod
    def begin(cls, *, start: int, end: int, size: int, proof: Sequence[bytes]) -> "RangeVerifier | Refused":
        """Take in the proof; refuse one that cannot be for this range, whatever the leaves are."""
        if not 0 <= start <= end <= size:
            return Refused(code=Refusal.PROOF_BOUNDS)
        if not are_hashes(proof):
            return Refused(code=Refusal.PROOF_HASH_WIDTH)
        left = start.bit_count()
        spans = _spans_after(end, size)
        if len(proof) != left + len(spans):
            return Refused(code=Refusal.PROOF_LENGTH)
        lowest_first = iter(proof[:left][::-1])
        peaks = [next(lowest_first) if start >> height & 1 else b"" for height in range(start.bit_length())]
        return cls(start=start, end=end, peaks=peaks, right=list(zip(spans, proof[left:], strict=True)))

    def feed(self, leaf_hashes: Sequence[bytes]) -> None:
        """Take the next leaf hashes, from one to any number."""
        self._misfit = self._misfit or not are_hashes(leaf_hashes)
        self._count += len(leaf_hashes)
        climb(self._peaks, leaf_hashes, 0, _TOP)

    def feed_subtree(self, height: int, node: bytes) -> None:
        """Take the hash over the next 2^height leaves, which begin at a multiple of their number."""
        self._misfit = self._misfit or not are_hashes([node])
        self._skewed = self._skewed or not 0 <= height < _TOP or bool(self._count & ((1 << height) - 1))
        if not self._skewed:
            self._count += 1 << height
            self._add_peak(node, height)

    @property
    def count(self) -> int:
        """The size of the tree that ends with what was fed last."""
        return self._count

    def root(self) -> bytes:
        """Return the root of the tree that ends with what was fed last: what a checkpoint of that size must say."""
        return fold(self._peaks)

    def finish(self, root: bytes) -> Refused | None:
        """Refuse, unless the leaves fed are the range and lead to the root. To be asked once, at the end."""
        if self._misfit:
            return Refused(code=Refusal.PROOF_HASH_WIDTH)
        if self._skewed or self._count != self._end:
            return Refused(code=Refusal.PROOF_LEAF_COUNT)
        tail = b""
        for (low, high), sibling in self._right:
            width = high - low
            if width & (width - 1):  # ends at the ragged right edge, so it is the last one
                tail = sibling
            else:
                self._add_peak(sibling, width.bit_length() - 1)
        return None if fold(self._peaks, tail) == root else Refused(code=Refusal.PROOF_ROOT)

    def _add_peak(self, peak: bytes, height: int) -> None:
        self._peaks.extend([b""] * (height - len(self._peaks)))
        climb(self._peaks, [peak], height, _TOP)


class Subtrees:
    """Hashes leaves [start, end) into the subtrees that they make up, fed in order; for `RangeVerifier.feed_subtree`."""

    __slots__ = ("_found", "_peaks", "_places", "_room")

    def __init__(self, start: int, end: int) -> None:
        self._places = [height for height, _ in reversed(subtrees_of(start, end))]
        self._found: list[Subtree] = []
        self._peaks: list[bytes] = []
        self._room = self._next_room()

    def _next_room(self) -> int:
        return 1 << self._places[-1] if self._places else 0

    def feed(self, leaf_hashes: Sequence[bytes]) -> None:
        """Take the next leaf hashes. Raises ValueError for more than the range holds."""
        at = 0
        while at < len(leaf_hashes):
            if not self._places:
                raise ValueError("More leaves than the range holds.")
            part = leaf_hashes[at : at + self._room]
            at, self._room = at + len(part), self._room - len(part)
            tops = climb(self._peaks, part, 0, self._places[-1])
            if not self._room:
                self._found.append((self._places.pop(), tops[0]))
                self._peaks, self._room = [], self._next_room()

    def feed_subtree(self, height: int, node: bytes) -> None:
        """Take the hash over the next 2^height leaves, which begin at a multiple of their number.

        Raises ValueError for more than the range holds, or when they begin elsewhere.
        """
        width = 1 << height
        if width > self._room or self._room & (width - 1):
            raise ValueError("A subtree of these leaves does not begin here.")
        self._room -= width
        self._peaks.extend([b""] * (height - len(self._peaks)))
        tops = climb(self._peaks, [node], height, self._places[-1])
        if not self._room:
            self._found.append((self._places.pop(), tops[0]))
            self._peaks, self._room = [], self._next_room()

    def so_far(self) -> list[Subtree]:
        """Return the subtrees that all leaves fed up to now make up, left to right."""
        peaks = [(height, peak) for height, peak in enumerate(self._peaks) if peak]
        return [*self._found, *reversed(peaks)]

    def finish(self) -> list[Subtree]:
        """Return the subtrees, left to right. Raises ValueError when leaves are missing."""
        if self._places:
            raise ValueError("Fewer leaves than the range holds.")
        return self._found


def _split(low: int, high: int) -> int:
    """Return where RFC 6962 cuts [low, high): after the largest power of two below its width."""
    return low + (1 << (high - low - 1).bit_length() - 1)


def _skip_missing_siblings(node: int, last: int) -> tuple[int, int]:
    """Climb past the heights at which the last node has no right sibling (RFC 9162, step 4.b of both algorithms)."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _peak_spans(low: int, high: int) -> list[Span]:
    """Cut a span that starts where its tree does into full subtrees, the highest first."""
    spans = []
    while low < high:
        middle = low + (1 << (high - low).bit_length() - 1)
        spans.append((low, middle))
        low = middle
    return spans


def _spans_after(end: int, size: int) -> list[Span]:
    """Return the siblings to the right of the border at `end`, from left to right."""
    if end == 0:
        return [(0, size)] if size else []
    spans, low, high = [], 0, size
    while low < end < high:
        middle = _split(low, high)
        if end <= middle:
            spans.append((middle, high))
            high = middle
        else:
            low = middle
    return spans[::-1]


def _nodes(span: Span) -> list[tuple[int, int]]:
    """Return height and index of each full node that makes up a span, the highest first."""
    nodes = []
    for low, high in _peak_spans(*span):
        height = (high - low).bit_length() - 1
        nodes.append((height, low >> height))
    return nodes


def _span_hash(span: Span, reader: HashReader) -> bytes:
    return fold(reader.node(height, index) for height, index in reversed(_nodes(span)))
