"""What an export needs of the log: leaves of one tree, never more at once than it asks for.

Everything it reads is below a signed checkpoint and therefore never changes: no read needs to see the same instant as
another, and no transaction is held open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gatekeeper.model.ids import HolderId
from gatekeeper.service.export.expiry import Gone

__all__ = ["Bodies", "Bounds", "LogSource", "MissingEntriesError", "SealedPart"]


class MissingEntriesError(Exception):
    """Entries of the range are not in the log, or twice; the message names the first place."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """How many leaves there are of those asked for, and their bytes, joined by newlines."""

    leaves: int
    joined: bytes


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A personal part as it is kept: the leaf it belongs to, its entry, whose key opens it."""

    index: int
    seq: int
    person: HolderId
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """The first and the last leaf within two instants, and the last leaf before the first instant; None for none."""

    first: int | None
    last: int | None
    before: int | None


class LogSource(Protocol):
    """The leaves of one site's trees. Every method raises LedgerUnavailableError when the database does not answer."""

    async def bodies(self, tree: str, start: int, end: int) -> Bodies:
        """The bodies of leaves [start, end), in order; fewer when some were deleted."""
        ...

    async def parts(self, tree: str, start: int, end: int) -> Sequence[SealedPart]:
        """The personal parts that are kept of leaves [start, end), in order."""
        ...

    async def gone(self, tree: str) -> Gone:
        """What of a tree has expired, as the log says, all as of one instant."""
        ...

    async def bounds(self, tree: str, *, size: int, since: datetime, until: datetime) -> Bounds:
        """Which leaves below `size` were committed within [since, until)."""
        ...
