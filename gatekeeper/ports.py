"""What the service needs from outside, and what each need promises.

An adapter stands behind each of these; the service knows no other name for a broker, a database or a vault. Driver
errors are wrapped once, at the adapter, into the errors below.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from gatekeeper.core.hearing import Heard
from gatekeeper.core.memory import Opening, Usage
from gatekeeper.core.operators import OperatorRecord
from gatekeeper.core.presence import Presence
from gatekeeper.core.proposals import Proposal
from gatekeeper.core.retention import Due, Expired
from gatekeeper.core.sequences import Receipt
from gatekeeper.core.writes import StoredBadge, StoredHolder, Writes
from gatekeeper.model.ids import BadgeId, BootId, GateId, HolderId, SiteId, TenantId
from gatekeeper.transparency import Accepted, Latest, NoteSignature, Tile, TileCoordinates, Verifier

__all__ = [
    "Batch",
    "Clock",
    "CollectorUnavailableError",
    "DeadLetter",
    "DeletionOutdatedError",
    "Dispute",
    "Doomed",
    "GateLinkRow",
    "Inbound",
    "KeyVault",
    "Ledger",
    "LedgerUnavailableError",
    "Loaded",
    "LogStart",
    "SealedEntry",
    "SignedCheckpoint",
    "SiteLostError",
    "StoredChange",
    "StoredCheckpoint",
    "StoredDocument",
    "StoredEntry",
    "StoredTrees",
    "TimestampAuthority",
    "TimestampUnavailableError",
    "Transport",
    "TransportError",
    "TreeHead",
    "WatchedLog",
    "WitnessAnswer",
    "WitnessStore",
    "WitnessStoreError",
    "WitnessUnreachableError",
    "Witnesses",
]


class TransportError(Exception):
    """The broker cannot be reached, or does not let us in."""


class LedgerUnavailableError(Exception):
    """The database does not answer; what was under way may or may not be committed."""


class CollectorUnavailableError(Exception):
    """Who collects a feed cannot be reached, or does not take it; what was under way may or may not have arrived."""


class SiteLostError(Exception):
    """Another engine owns the site now; nothing more can be committed under this epoch."""


class WitnessUnreachableError(Exception):
    """A witness does not answer, not in time, or with more than an answer may be."""


class WitnessStoreError(Exception):
    """A witness cannot read or write what it remembers; it cosigns nothing."""


class DeletionOutdatedError(Exception):
    """What a batch was to delete is not there any more as it was found; nothing of the batch was committed."""


class TimestampUnavailableError(Exception):
    """The time-stamping authority does not answer, or not what it was asked."""


class Clock(Protocol):
    """The time, as an argument of everything that needs it."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from the broker; `receipt` is what the transport needs to acknowledge it, and nobody else."""

    topic: str
    payload: bytes
    retained: bool
    receipt: tuple[int, int]


class Transport(Protocol):
    """One MQTT session that keeps itself connected until it is closed."""

    @property
    def connected(self) -> bool:
        """Whether the broker is there right now."""
        ...

    async def open(
        self,
        *,
        filters: Sequence[str],
        on_message: Callable[[Inbound], None],
        on_link: Callable[[bool], None],
        standing: Sequence[str] = (),
    ) -> None:
        """Connect and subscribe; raise TransportError when that fails within the time limit.

        Of what is under `standing` filters every link brings what the broker retains, and nothing is kept for us meanwhile.
        """
        ...

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Send without blocking; False when there is no link. QoS 0 promises nothing: the gate asks again."""
        ...

    def acknowledge(self, inbound: Inbound) -> None:
        """Tell the broker that a message is dealt with. Until then it comes again after every reconnection."""
        ...

    async def close(self) -> None:
        """End the session; its subscriptions and unacknowledged messages stay with the broker."""
        ...


class SealedEntry(NamedTuple):
    """An entry as it is stored; `body` is the leaf's bytes, `tenants` its places in tenants' trees."""

    seq: int
    at: datetime
    kind: str
    body: bytes
    tenants: tuple[tuple[TenantId, int], ...]
    person: HolderId | None
    personal: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """A tree after a batch, and the size it must have had before."""

    tree: str
    old_size: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStart:
    """Where the bodies of a tree begin, and the leaf hashes before that of the tile which is incomplete there, joined.

    What lies in full tiles before it is there still: with it every proof can be made, and the tree grows on.
    """

    size: int
    hashes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A batch of rows whose period is over: what an entry says of them, and which they are.

    `rows` are their numbers as in the digest; `since` and `until` the instants of the first and the last where their tables
    are kept by month. `starts` are where the bodies of the trees begin afterwards; `registrations` whose it is that go, with
    the SHA-256 of each.
    """

    expired: Expired
    rows: tuple[int, ...]
    since: datetime
    until: datetime
    registrations: Mapping[HolderId, bytes] = field(default_factory=dict)
    starts: Mapping[str, LogStart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All that is committed at once: entries, tiles, heads, whereabouts, receipts, and altered state."""

    entries: Sequence[SealedEntry]
    tiles: Sequence[tuple[str, Tile]]
    heads: Sequence[TreeHead]
    moved: Sequence[Presence]
    receipts: Sequence[Receipt]
    writes: Writes
    usage: Mapping[BadgeId, Usage] = field(default_factory=dict)
    opened: Mapping[Opening, datetime | None] = field(default_factory=dict)
    settled: Sequence[Receipt] = ()
    """Receipts of scans that waited and are decided now."""
    doomed: Doomed | None = None
    """What goes with the entry that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Bytes that were refused, with the code that says why."""

    at: datetime
    topic: str
    gate: GateId | None
    code: str
    detail: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLinkRow:
    """What an engine knows of a gate's link, and the SHA-256 of the newest snapshot that was made for it."""

    gate: GateId
    heard: Heard
    made: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChange:
    """A signed change waiting for the engine. `name` is sealed, as it is kept, and is not in the signed bytes."""

    id: bytes
    document: bytes
    name: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as read back."""

    seq: int
    at: datetime
    kind: str
    body: bytes
    person: HolderId | None
    personal: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A signed policy or trust list, and the entry that put it in force."""

    kind: str
    seq: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint of a tree that the engine has signed."""

    tree: str
    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A signed checkpoint of a tree as it lies in the database: what its row says, and the note."""

    size: int
    root: bytes
    note: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A whole site as an engine takes it over."""

    epoch: int
    trust: bytes
    policy: bytes
    alert: int
    lockdowns: frozenset[str]
    holders: Sequence[StoredHolder]
    badges: Sequence[StoredBadge]
    presences: Sequence[Presence]
    usage: Mapping[BadgeId, Usage]
    opened: Mapping[Opening, datetime]
    suspended: frozenset[TenantId]
    receipts: Sequence[Receipt]
    closed_boots: Sequence[tuple[GateId, BootId]]
    edges: Mapping[str, tuple[int, Sequence[bytes]]]
    """For each tree: its size, and the joined hashes of the incomplete rightmost tile on each level."""
    roots: Mapping[str, bytes]
    """For each tree: the root that its head says."""
    operators: Sequence[OperatorRecord] = ()
    proposals: Sequence[Proposal] = ()
    """Those that wait, oldest first."""
    holds: frozenset[str] = frozenset()
    """Scopes of what must be kept (see `core.holds`)."""
    erased: frozenset[HolderId] = frozenset()
    """Who was forgotten, and is never made again."""
    lockdown_entries: Sequence[tuple[int, datetime, bytes]] = ()
    """The entries of lockdowns, of what gates said of them, and of their hellos: seq, instant and body, in order (see
    `core.lockdowns`)."""
    given_up: Sequence[tuple[int, datetime, bytes]] = ()
    """The entries of scans that gates gave up unanswered, of the last minutes of the log (see `core.sequences`)."""
    links: Sequence[GateLinkRow] = ()
    """What the last engine knew of the gates' links."""
    silence_entries: Sequence[tuple[int, datetime, bytes]] = ()
    """The entries of gates that fell silent and were heard again: seq, instant and body, in order (see `core.hearing`)."""


class Ledger(Protocol):
    """The site's log and state in the database. Durable: what a method has returned from survives a crash.

    Every method raises LedgerUnavailableError when the database does not answer.
    """

    async def claim(self, site: SiteId, *, owner: str) -> int | None:
        """Own the site from now on, under a new epoch; None while another engine is alive and owns it."""
        ...

    async def renew(self, site: SiteId, *, epoch: int) -> None:
        """Go on owning the site. Raises SiteLostError when another took it."""
        ...

    async def size(self, site: SiteId) -> int:
        """How many entries the log of a site holds; none for a site that was never opened."""
        ...

    async def make_months(self) -> None:
        """Make room for the entries of this month and the next; call it now and then."""
        ...

    async def load(self, site: SiteId, *, epoch: int) -> Loaded:
        """Everything an engine needs to go on where the last commit ended."""
        ...

    async def found(self, site: SiteId) -> None:
        """Make the row of a new site; does nothing when it is there."""
        ...

    async def open_trees(self, site: SiteId, trees: Sequence[str]) -> None:
        """Give every tree that has none its empty head."""
        ...

    async def commit(self, site: SiteId, *, epoch: int, batch: Batch) -> None:
        """Commit a batch whole or not at all.

        Calling it again with the same batch after LedgerUnavailableError is safe: a batch that went in is recognised
        by its head. Raises SiteLostError when the epoch or the head is not ours any more, and DeletionOutdatedError
        when what it deletes is not as it was found.
        """
        ...

    async def doomed(self, site: SiteId, due: Due, *, since: int, most: int) -> Doomed | None:
        """The oldest rows, so many at most, that are due from a number on; None when none is."""
        ...

    async def drop_months(self, *, before: datetime) -> Sequence[str]:
        """Drop the months before an instant that hold nothing any more, of any site; their names.

        A month that somebody reads is left for the next time: nobody waits for this.
        """
        ...

    async def bury(self, site: SiteId, letters: Sequence[DeadLetter]) -> None:
        """Keep refused bytes with their reason."""
        ...

    async def keep_links(self, site: SiteId, *, epoch: int, rows: Sequence[GateLinkRow]) -> None:
        """Keep what is known of all gates' links, and of no other gate; nothing when the epoch is not ours any more."""
        ...

    async def checkpoint(
        self, site: SiteId, *, tree: str, size: int, root: bytes, note: bytes, at: datetime
    ) -> None:
        """Keep a signed checkpoint."""
        ...

    async def newest_checkpoints(self, site: SiteId) -> Sequence[SignedCheckpoint]:
        """The last signed checkpoint of every tree that has one."""
        ...

    async def full_tiles(
        self, site: SiteId, tree: str, wanted: Collection[TileCoordinates]
    ) -> Sequence[Tile]:
        """Those of these tiles that are full, in no order."""
        ...

    async def keep_cosignatures(
        self, site: SiteId, *, tree: str, size: int, cosignatures: Sequence[NoteSignature], at: datetime
    ) -> None:
        """Keep what witnesses said of a checkpoint that is kept: the first word of each key on it, of every hour the last."""
        ...

    async def keep_timestamp(self, site: SiteId, *, tree: str, size: int, reply: bytes, at: datetime) -> None:
        """Keep what a time-stamping authority said of a tree's checkpoint of this size."""
        ...

    async def timestamped(self, site: SiteId) -> Mapping[str, tuple[int, datetime]]:
        """For each tree: the size that was stamped last, and when."""
        ...

    async def changes(self, site: SiteId, *, most: int | None = None) -> Sequence[StoredChange]:
        """The changes that wait, oldest first, `most` at most."""
        ...

    def change_arrivals(self, site: SiteId) -> AsyncIterator[None]:
        """Yields whenever a change may have arrived, and at least once a second."""
        ...

    async def plain_names(self, site: SiteId, *, most: int) -> Mapping[HolderId, str]:
        """Names that a former version kept as they are, `most` at most."""
        ...

    async def seal_names(self, site: SiteId, names: Mapping[HolderId, bytes]) -> None:
        """Keep these names sealed."""
        ...

    async def unforgotten(self, site: SiteId) -> Sequence[HolderId]:
        """Who is being forgotten: a commit said so, and it is not done everywhere."""
        ...

    async def erasure(self, site: SiteId, holder: HolderId) -> StoredEntry | None:
        """The entry by which somebody was forgotten, as the row says; None when it names none."""
        ...

    async def let_go(self, site: SiteId, holder: HolderId, *, most: int) -> int:
        """Let receipts and sealed parts name somebody no more, `most` at most; give how many there were."""
        ...

    async def forgotten(self, site: SiteId, holder: HolderId) -> None:
        """Somebody is forgotten, also in the vault."""
        ...

    async def announce(self, site: SiteId, *, size: int) -> None:
        """Tell those who watch that the log has grown."""
        ...


class StoredTrees(Protocol):
    """The trees of a site as they lie in the database, read in pieces that the caller bounds; none of it is believed.

    It is in nobody's way: it reads through a connection of its own and holds no transaction open. Every method raises
    LedgerUnavailableError when the database does not answer.
    """

    async def heads(self, site: SiteId) -> Mapping[str, tuple[int, bytes]]:
        """Where all trees of a site stand, all as of one instant: their sizes and roots."""
        ...

    async def starts(self, site: SiteId) -> Mapping[str, LogStart]:
        """Where the bodies of each tree begin that lost its first ones; a body that was missing before is before it."""
        ...

    async def tiles(
        self, site: SiteId, tree: str, *, level: int, first: int, end: int
    ) -> Mapping[int, bytes]:
        """The full tiles [first, end) of a level, by their index; what is not there is left out."""
        ...

    async def bodies(self, site: SiteId, tree: str, *, first: int, end: int) -> Sequence[tuple[int, bytes]]:
        """The places and bodies filed under [first, end) of a tree, in that order: some may be missing or there twice."""
        ...

    async def newest_checkpoint(self, site: SiteId, tree: str) -> StoredCheckpoint | None:
        """The last signed checkpoint of a tree."""
        ...

    async def cosigned_checkpoint(self, site: SiteId, tree: str) -> StoredCheckpoint | None:
        """The last checkpoint of a tree that a witness has cosigned, with what witnesses said of it; None while there is none."""
        ...

    async def checkpoints(
        self, site: SiteId, tree: str, *, after: int, until: int
    ) -> Sequence[StoredCheckpoint]:
        """The signed checkpoints of a tree at sizes above `after` and up to `until`, smallest first."""
        ...


class KeyVault(Protocol):
    """The keys of persons, kept apart from the log. Destroying a key is how a person is forgotten."""

    async def keys(self, site: SiteId) -> Mapping[HolderId, bytes]:
        """All keys of a site, 32 bytes each."""
        ...

    async def keys_of(self, site: SiteId, persons: Sequence[HolderId]) -> Mapping[HolderId, bytes]:
        """The keys of these persons, of whom who was forgotten has none."""
        ...

    async def ensure(self, site: SiteId, persons: Sequence[HolderId]) -> Mapping[HolderId, bytes]:
        """The keys of these persons, made where there was none. Durable when it returns.

        INVARIANT: who was forgotten has none, and none is made.
        """
        ...

    async def destroy(self, site: SiteId, persons: Sequence[HolderId]) -> None:
        """Destroy the keys of these persons, for good. Durable when it returns; twice is once."""
        ...

    async def destroyed(self, site: SiteId) -> frozenset[HolderId]:
        """Whose keys were destroyed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """What a witness answered over HTTP."""

    status: int
    body: bytes


class Witnesses(Protocol):
    """The way to witnesses; what they answer is not believed here."""

    async def add_checkpoint(self, url: str, body: bytes) -> WitnessAnswer:
        """Ask the witness at a URL for its cosignature. Raises WitnessUnreachableError within a time limit."""
        ...

    async def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A checkpoint that a log signed and that was not shown to go on from the latest one; `latest_note` is that of then."""

    at: datetime
    code: str
    size: int
    note: bytes
    latest_note: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLog:
    """What a witness knows of one log: the latest checkpoint it cosigned, when, and how many disputes it keeps."""

    origin: str
    keys: int
    latest: Latest | None
    note: bytes | None
    at: datetime | None
    disputes: int


class WitnessStore(Protocol):
    """What a witness remembers, apart from every log. Durable: what a method has returned from survives a crash.

    Every method raises WitnessStoreError when the store cannot be used.
    """

    async def logs(self) -> Mapping[str, Sequence[Verifier]]:
        """The keys that are believed of each log, by its origin."""
        ...

    async def latest(self, origin: str) -> Latest | None:
        """The latest checkpoint of a log that was cosigned."""
        ...

    async def advance(self, accepted: Accepted, *, after: Latest | None, at: datetime) -> bool:
        """Make this the latest, if `after` still is; False when another request came between. Compares and writes at once."""
        ...

    async def keep_dispute(self, origin: str, dispute: Dispute) -> None:
        """Keep a signed checkpoint that was not shown to go on from the latest, beside the latest; bounded for each log."""
        ...


class TimestampAuthority(Protocol):
    """Somebody else's clock (RFC 3161)."""

    async def stamp(self, text: bytes) -> bytes:
        """Have the SHA-256 of a text stamped; give the reply (RFC 3161, 2.4.2), whole. Raises TimestampUnavailableError."""
        ...
