"""Whose badge is whose in a snapshot: all badges of one holder, found without looking through all rows.

A snapshot is in the order of its badges. Here are the places of its rows in the order of their holders, four bytes each.
"""

from array import array
from bisect import bisect_left, bisect_right

from gatekeeper.model.ids import BadgeId
from gatekeeper.model.snapshot import Snapshot

__all__ = ["Holders"]


class Holders:
    """The holders of one snapshot, by the numbers that it gives them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._places = array("I", sorted(range(len(snapshot)), key=snapshot.holder_at))

    def badges_of(self, holder: int) -> frozenset[BadgeId]:
        """The badges of the holder of a number."""
        begin = bisect_left(self._places, holder, key=self._snapshot.holder_at)
        end = bisect_right(self._places, holder, lo=begin, key=self._snapshot.holder_at)
        return frozenset(map(self._snapshot.badge_at, self._places[begin:end]))
