"""Which messages of which gate were taken already, what each was answered, and which never came.

    (gate, boot)  -> the highest sequence, and the receipts of the last 64
    gate          -> its last four boots and its last four journals; a message of one before them is old

A gate's journal is a stream like a boot, whose id stands where the boot does, and which outlives boots. It is forwarded in
order and without a gap, so what is missing in it is told at once, and so is what comes after all; in a boot's stream several
channels overtake one another, and what is missing is told when it is not taken any more.

What an engine knows of this when it takes a site over (`restore`, `recall`) is what the database keeps for it, and what the log
says: so a journal is not shorter, and no scan asked anew, because another engine came between.

INVARIANT: a message (gate, boot, sequence) is taken once. Who brings it again finds its receipt; who brings other bytes
under the same sequence, or comes too late to be known, is refused; and no boot is a journal too.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gatekeeper import cose
from gatekeeper.core.audit import Kind
from gatekeeper.core.scan import Authentic
from gatekeeper.model.ids import BootId, GateId, HolderId
from gatekeeper.model.messages import JournalEnd, Verdict
from gatekeeper.model.reasons import MessageRefusal

__all__ = ["SEQUENCE_WINDOW", "Gap", "Receipt", "Sequences", "Taken"]

SEQUENCE_WINDOW = 64
_KEPT_STREAMS = 4
_KEPT_GRANTS = 65_536
_KEPT_GIVEN_UP = 1024


@dataclass(slots=True, kw_only=True)
class Receipt:
    """What the site remembers of one message, and stores: its digest, its answer, and whom a grant let through.

    `holder` is who asked, of a scan that was decided; of one that its gate decided alone, who was let through.
    """

    gate: GateId
    boot: BootId
    sequence: int
    digest: bytes
    seq: int
    verdict: Verdict
    issued: datetime
    holder: HolderId | None
    opens_boot: bool = False
    journal: bool = False
    signed: bytes = b""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of sequences of which so many never came.

    None of them will be taken any more; but of a journal, where it is told at once, one that comes soon still is.
    """

    first: int
    last: int
    missing: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A message was taken: what is missing before it, and whether it comes after one that followed it in its journal."""

    gap: Gap | None = None
    is_reordered: bool = False


@dataclass(slots=True)
class _Window:
    """The sequences of one boot, or one journal, of one gate."""

    journal: bool
    highest: int = 0
    taken: OrderedDict[int, Receipt] = field(default_factory=OrderedDict)

    def admit(self, sequence: int, digest: bytes) -> Receipt | MessageRefusal | None:
        known = self.taken.get(sequence)
        if known is not None:
            return known if known.digest == digest else MessageRefusal.SEQUENCE_CONFLICT
        return MessageRefusal.SEQUENCE_OLD if sequence <= self.highest - SEQUENCE_WINDOW else None

    def take(self, receipt: Receipt) -> Taken:
        """Keep a receipt; tell what of its stream is missing or out of order by it."""
        self.taken[receipt.sequence] = receipt
        if receipt.sequence <= self.highest:
            return Taken(is_reordered=self.journal)
        before, self.highest = self.highest, receipt.sequence
        fell_out = self._let_fall(before)
        if not self.journal:
            return Taken(gap=fell_out)
        missing = receipt.sequence - before - 1
        return Taken(gap=Gap(before + 1, receipt.sequence - 1, missing) if missing else None)

    def _let_fall(self, before: int) -> Gap | None:
        """Forget what fell out of the window; give the stretch of it with messages that never came."""
        first = max(before - SEQUENCE_WINDOW, 0) + 1
        last = self.highest - SEQUENCE_WINDOW
        # As a rule one falls out for one that came in; after a great leap it is quicker to look at those that were taken.
        stretch = range(first, last + 1)
        falling = stretch if len(stretch) <= SEQUENCE_WINDOW else list(self.taken)
        fallen = sum(self.taken.pop(sequence, None) is not None for sequence in falling if sequence <= last)
        missing = len(stretch) - fallen
        return Gap(first, last, missing) if missing > 0 else None


class Sequences:
    """All windows of a site's gates, and the grants that a passage may still claim."""

    def __init__(self) -> None:
        # Kept in the database, with every commit.
        self._windows: dict[tuple[GateId, BootId], _Window] = {}
        self._streams: dict[tuple[GateId, bool], list[BootId]] = {}
        self._closed: set[tuple[GateId, BootId]] = set()

        # Read back from the log.
        self._ends: dict[GateId, JournalEnd] = {}
        self._given_up: dict[GateId, OrderedDict[bytes, None]] = {}

        # Of the grants those come back whose receipts are in a window still. A passage that claims an older one, 64 messages of
        # its gate later, is written down with the scan that it names, and changes nothing, as if it were still on its way: who
        # keeps it back to that end gains no more than by keeping it back.
        self._grants: OrderedDict[bytes, Receipt] = OrderedDict()

        # Lost with the engine, on purpose: its successor tells of the same conflict once more. Nothing is hidden by it, and who
        # floods is told of once an engine.
        self._told: set[tuple[GateId, BootId]] = set()

    def restore(self, receipts: Iterable[Receipt], closed_boots: Iterable[tuple[GateId, BootId]]) -> None:
        """Take over what a former engine committed: receipts in the order of their entries."""
        self._closed.update(closed_boots)
        for receipt in receipts:
            self._window(receipt).take(receipt)
            self.remember_grant(receipt)

    def recall(self, entry: Mapping[str, Any]) -> None:
        """Take over what a former engine heard and an entry says, in the order of the log.

        How long a gate's journal was at its last hello: less than that is an alarm, though it was never forwarded so far. And
        which scans their gates gave up: who is let in on one that the broker held back for the next engine is not there, and
        would be the second of two persons, the first in a zone, or somebody's host.
        """
        match entry:
            case {
                "kind": Kind.GATE_HELLO,
                "gate": str(gate),
                "journal_id": str(journal),
                "journal_written": int(written),
            }:
                self._ends[GateId(gate)] = JournalEnd(BootId(bytes.fromhex(journal)), written)
            case {"kind": Kind.PASSAGE_NOT_TAKEN, "gate": str(gate), "scan": str(scan)} if (
                "grant" not in entry
            ):
                self.give_up(bytes.fromhex(scan), GateId(gate))
            case _:
                pass

    def admit(self, authentic: Authentic) -> Receipt | MessageRefusal | None:
        """None for a new message, its receipt for a known one, else why it is refused. Changes nothing."""
        boot = (authentic.gate, authentic.message.boot)
        if boot in self._closed:
            return MessageRefusal.SEQUENCE_OLD
        window = self._windows.get(boot)
        if window is None:
            return None
        if window.journal is not authentic.journal:
            return MessageRefusal.SEQUENCE_CONFLICT
        return window.admit(authentic.message.sequence, authentic.digest)

    def take(self, receipt: Receipt) -> Taken:
        """Keep the receipt of a message that was admitted; tell what is missing or out of order by it."""
        receipt.opens_boot = (receipt.gate, receipt.boot) not in self._windows
        taken = self._window(receipt).take(receipt)
        self.remember_grant(receipt)
        return taken

    def is_first_conflict(self, authentic: Authentic) -> bool:
        """Whether a stream says for the first time something else under a number; who floods is told of once.

        The same message under the other signature that its ECDSA one gives away says nothing else: the broker made it.
        """
        stream = (authentic.gate, authentic.message.boot)
        window, twin = self._windows.get(stream), cose.twin(authentic.wire)
        known = window.taken.get(authentic.message.sequence) if window is not None else None
        if known is not None and twin is not None and known.digest == hashlib.sha256(twin).digest():
            return False
        is_first = stream not in self._told
        self._told.add(stream)
        return is_first

    def goes_back(self, gate: GateId, end: JournalEnd) -> bool:
        """Whether a gate's journal is shorter than was known, or one that was closed, or no journal: it was rewritten."""
        stream = (gate, end.journal)
        window = self._windows.get(stream)
        said = self._ends.get(gate)
        known = max(
            said.written if said is not None and said.journal == end.journal else 0,
            window.highest if window is not None else 0,
        )
        self._ends[gate] = end
        is_boot = window is not None and not window.journal
        return end.written < known or is_boot or stream in self._closed

    def remember_grant(self, receipt: Receipt) -> None:
        """Keep a grant for its passage, the site's own or that of a gate that was alone. The oldest are let go."""
        alone = receipt.verdict is Verdict.RECORDED and receipt.holder is not None
        if receipt.verdict is Verdict.GRANTED or alone:
            self._grants[receipt.digest] = receipt
            if len(self._grants) > _KEPT_GRANTS:
                self._grants.popitem(last=False)

    def boot_of(self, gate: GateId) -> BootId | None:
        """The boot of a gate that was heard of last; None for a gate that never said anything."""
        boots = self._streams.get((gate, False))
        return boots[-1] if boots else None

    def grant_of(self, scan: bytes, gate: GateId) -> Receipt | None:
        """The grant to a scan (by the digest of its message) of this gate."""
        grant = self._grants.get(scan)
        return grant if grant is not None and grant.gate == gate else None

    def give_up(self, scan: bytes, gate: GateId) -> None:
        """Keep that a gate takes no answer to a scan (by the digest of its message) any more.

        A gate's last thousand are kept: more than it can have asked while one beacon counted. No gate lets go another's.
        """
        given_up = self._given_up.setdefault(gate, OrderedDict())
        given_up[scan] = None
        if len(given_up) > _KEPT_GIVEN_UP:
            given_up.popitem(last=False)

    def is_given_up(self, authentic: Authentic) -> bool:
        """Whether a scan comes after its gate gave it up, under its own signature or the other that anybody can make of it."""
        given_up = self._given_up.get(authentic.gate)
        if not given_up:
            return False
        twin = cose.twin(authentic.wire)
        return authentic.digest in given_up or (
            twin is not None and hashlib.sha256(twin).digest() in given_up
        )

    def erase(self, holder: HolderId) -> None:
        """Forget that it was they whom messages were about: a passage that claims their grant is nobody's."""
        windows = [receipt for window in self._windows.values() for receipt in window.taken.values()]
        for receipt in (*windows, *self._grants.values()):
            if receipt.holder == holder:
                receipt.holder = None

    def kept(self, gate: GateId, boot: BootId) -> list[int]:
        """The sequences of one boot whose answers are still held, lowest first."""
        window = self._windows.get((gate, boot))
        return sorted(window.taken) if window is not None else []

    def _window(self, receipt: Receipt) -> _Window:
        gate, boot = receipt.gate, receipt.boot
        window = self._windows.get((gate, boot))
        if window is None:
            window = self._windows[gate, boot] = _Window(receipt.journal)
            streams = self._streams.setdefault((gate, receipt.journal), [])
            streams.append(boot)
            if len(streams) > _KEPT_STREAMS:
                oldest = streams.pop(0)
                del self._windows[gate, oldest]
                self._closed.add((gate, oldest))
                self._told.discard((gate, oldest))
        return window
