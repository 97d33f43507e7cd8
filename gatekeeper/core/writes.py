"""What a change writes beside its entries: rows that an engine commits with them, and takes over when it starts."""

from dataclasses import dataclass, field
from datetime import datetime

from gatekeeper.core.operators import OperatorRecord
from gatekeeper.core.proposals import Ending, Proposal
from gatekeeper.core.register import HolderRecord
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card
from gatekeeper.model.ids import BadgeId, HolderId, TenantId

__all__ = ["ChangeOutcome", "StoredBadge", "StoredHolder", "Writes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHolder:
    """A holder with what only the directory knows: the name, sealed under the person's key; empty where none is said."""

    record: HolderRecord
    tenant: TenantId
    name: bytes
    badges: tuple[BadgeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBadge:
    """A badge, whose it is, and the card number it answers to."""

    record: BadgeRecord
    tenant: TenantId
    holder: HolderId
    card: Card | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOutcome:
    """What became of a change: `code` is "applied", "proposed" or why it was not made."""

    change: bytes
    code: str
    detail: str
    seq: int | None
    forgets: bool = False
    """Whether its signed bytes are let go: they say something of a person, or nobody knows what they say."""


@dataclass(slots=True, kw_only=True)
class Writes:
    """State beside the log that changes alter, committed with their entries."""

    alert: int | None = None
    lockdowns: frozenset[str] | None = None
    suspended: frozenset[TenantId] | None = None
    forgiven: list[HolderId] = field(default_factory=list)
    """Whose whereabouts are forgotten, after all that the same commit says of where people are."""
    documents: list[tuple[str, int, bytes]] = field(default_factory=list)
    holders: list[StoredHolder] = field(default_factory=list)
    badges: list[StoredBadge] = field(default_factory=list)
    badge_states: list[tuple[BadgeId, BadgeState, frozenset[TenantId], datetime | None]] = field(
        default_factory=list
    )
    """What has become of badges, whose operators have stopped them, and since when."""
    operators: list[OperatorRecord] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    endings: list[tuple[bytes, Ending, int]] = field(default_factory=list)
    """Proposals that ended: by digest, how, and the entry that says so."""
    holds: list[tuple[str, int | None]] = field(default_factory=list)
    """Legal holds by scope: the entry that placed one, or None when it was lifted."""
    erased: list[tuple[HolderId, int]] = field(default_factory=list)
    """Who is forgotten, and the entry that says so: no row names them any more, whatever else was written of them."""
    outcomes: list[ChangeOutcome] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) not in (None, []) for name in self.__slots__)
