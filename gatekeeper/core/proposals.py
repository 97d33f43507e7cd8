"""Proposals: changes that one person has signed and that wait for a second one.

    waiting --another signs an approval--> applied
    waiting --its author signs a withdrawal--> withdrawn
    waiting --a day passes, or what it would undo is said again--> expired

Each end is the only one: a proposal that has ended is not here any more, so it is applied once or never. Who is another
person, and whether the change can still be made, is for `supervise` to say; how long a proposal waits is said here.

INVARIANT: `digest` names the signed bytes. Who approves, approves these bytes and no others.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gatekeeper.model.ids import HolderId, OperatorId, TenantId

__all__ = ["MOST_OF_ONE", "MOST_PROPOSALS", "PROPOSAL_LASTS", "Ending", "Proposal", "Proposals", "digest_of"]

PROPOSAL_LASTS: Final = timedelta(hours=24)
MOST_PROPOSALS: Final = 64
"""So many wait at most: each may be a document of a megabyte."""
MOST_OF_ONE: Final = 16
"""So many of one author: nobody fills the desk alone."""


class Ending(StrEnum):
    """How a proposal ends."""

    APPLIED = "applied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A signed change that waits. What stands here beside `document` is for finding and showing it."""

    digest: bytes
    document: bytes
    change: bytes
    tenant: TenantId
    author: OperatorId
    kind: str
    subject: str
    """What it is about, where the kind does not say: a scope, an operator."""
    gives: tuple[str, ...]
    """What it would give that is not given now, in words."""
    base: bytes
    """What it was made against: when that has changed, it must be made anew. Empty where nothing is built upon."""
    seq: int
    expires: datetime
    person: HolderId | None = None
    """Who it is about, when it is a person: that is said to nobody but the second person."""


def digest_of(document: bytes) -> bytes:
    """How an approval names a proposed change."""
    return hashlib.sha256(document).digest()


class Proposals:
    """The proposals of a site that wait. Owned by one engine."""

    def __init__(self, waiting: Iterable[Proposal] = ()) -> None:
        # A row whose bytes are not those that it is called by is none.
        self._waiting = {one.digest: one for one in waiting if one.digest == digest_of(one.document)}

    def __iter__(self) -> Iterator[Proposal]:
        return iter(tuple(self._waiting.values()))

    def __len__(self) -> int:
        return len(self._waiting)

    def is_full(self, author: OperatorId) -> bool:
        """Whether no more of this author can wait."""
        of_one = sum(one.author == author for one in self._waiting.values())
        return len(self._waiting) >= MOST_PROPOSALS or of_one >= MOST_OF_ONE

    def find(self, digest: bytes) -> Proposal | None:
        """The proposal of these bytes, when it waits."""
        return self._waiting.get(digest)

    def make(self, proposal: Proposal) -> None:
        """Let a proposal wait. Raise ValueError when it does already, or when too many do."""
        if self.is_full(proposal.author) or proposal.digest in self._waiting:
            raise ValueError("this proposal cannot wait here")
        self._waiting[proposal.digest] = proposal

    def end(self, digest: bytes) -> Proposal:
        """Take a proposal away: it has ended. Raise KeyError when it does not wait."""
        return self._waiting.pop(digest)

    def due(self, now: datetime) -> list[Proposal]:
        """Those that have waited long enough."""
        return [one for one in self._waiting.values() if now >= one.expires]

    @property
    def next_due(self) -> datetime | None:
        """When the first of them has."""
        return min((one.expires for one in self._waiting.values()), default=None)
