"""What of a tree is not there any more because it was over its period, and what an export gives in its place.

Bodies go from the beginning of the log on, and their tiles stay: of leaves that expired the hashes are known, and lead to the
root like all others. When they were made is known no more than what they said; only that each batch was older than an
instant, as the entry says that tells of it (`core/retention`).

INVARIANT: what no entry tells of is missing, and is not given as expired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.core.export import Absent, Expiry, gap_line, segments_of
from gatekeeper.transparency import HashReader, Span, subtree_hashes

__all__ = ["NOTHING_GONE", "Deletion", "Gone", "gap_lines", "gap_spans"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What an entry `data.expired` says: it let the entries from `first` to `last` go, all older than `before`."""

    seq: int
    first: int
    last: int
    before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """How many leaves at the beginning of a tree have expired, and the deletions that are told of, in the log's order.

    `untold` entries are missing, of the site's log, that no deletion tells of and that may be of this tree.
    """

    tree: str
    leaves: int
    deletions: Sequence[Deletion]
    untold: int

    @property
    def told_at(self) -> int:
        """The entry of the site's log that tells of it last; -1 for none."""
        return self.deletions[-1].seq if self.deletions else -1

    def surely_before(self, since: datetime) -> int:
        """How many leaves at the beginning expired that are surely older than an instant."""
        older = [one for one in self.deletions if one.before <= since]
        if self.tree == SITE_TREE:
            return min(self.leaves, max((one.last + 1 for one in older), default=0))
        # Which entries of the log are leaves of a tenant's tree only their bodies say.
        return self.leaves if older == list(self.deletions) else 0

    def expiry(self, start: int) -> Expiry | None:
        """What a manifest says of a range that begins with a leaf; None where nothing of it has expired."""
        if self.leaves <= start:
            return None
        of_site = self.tree == SITE_TREE
        telling = [one.seq for one in self.deletions if not of_site or start <= one.last]
        return Expiry(entries=self.leaves - start, told_by=(telling[0], telling[-1]) if telling else None)


NOTHING_GONE = Gone(tree=SITE_TREE, leaves=0, deletions=(), untold=0)


def gap_spans(start: int, end: int) -> list[Span]:
    """What must be known to give leaves [start, end) as expired."""
    return [(segment.start, segment.end) for segment in segments_of(start, end)]


def gap_lines(start: int, end: int, reader: HashReader) -> tuple[bytes, ...]:
    """The lines that stand for leaves [start, end), one a segment."""
    return tuple(
        gap_line(Absent.EXPIRED, one.start, one.end, subtree_hashes(one.start, one.end, reader))
        for one in segments_of(start, end)
    )
