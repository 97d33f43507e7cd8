"""Which messages of which gate were taken already, what each was answered, and which never came.

    (gate, boot)  -> the highest sequence, and the receipts of the last 64
    gate          -> its last four boots; a message of one before them is old

INVARIANT: a message (gate, boot, sequence) is taken once. Who brings it again finds its receipt; who brings other bytes
under the same sequence, or comes too late to be known, is refused.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from gatekeeper.core.scan import Authentic
from gatekeeper.model.ids import BootId, GateId, HolderId
from gatekeeper.model.messages import Verdict
from gatekeeper.model.reasons import MessageRefusal

__all__ = ["SEQUENCE_WINDOW", "Gap", "Receipt", "Sequences"]

SEQUENCE_WINDOW = 64
_KEPT_BOOTS = 4
_KEPT_GRANTS = 65_536


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
    signed: bytes = b""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of sequences of which so many never came, and none will be taken any more."""

    first: int
    last: int
    missing: int


@dataclass(slots=True)
class _Window:
    """The sequences of one boot of one gate."""

    highest: int = 0
    taken: OrderedDict[int, Receipt] = field(default_factory=OrderedDict)

    def admit(self, sequence: int, digest: bytes) -> Receipt | MessageRefusal | None:
        known = self.taken.get(sequence)
        if known is not None:
            return known if known.digest == digest else MessageRefusal.SEQUENCE_CONFLICT
        return MessageRefusal.SEQUENCE_OLD if sequence <= self.highest - SEQUENCE_WINDOW else None

    def take(self, receipt: Receipt) -> Gap | None:
        """Keep a receipt; give the stretch that now fell out of the window with messages that never came."""
        self.taken[receipt.sequence] = receipt
        if receipt.sequence <= self.highest:
            return None
        first = max(self.highest - SEQUENCE_WINDOW, 0) + 1
        last = receipt.sequence - SEQUENCE_WINDOW
        self.highest = receipt.sequence
        # As a rule one falls out for one that came in; after a great leap it is quicker to look at those that were taken.
        stretch = range(first, last + 1)
        falling = stretch if len(stretch) <= SEQUENCE_WINDOW else list(self.taken)
        fallen = sum(self.taken.pop(sequence, None) is not None for sequence in falling if sequence <= last)
        missing = len(stretch) - fallen
        return Gap(first, last, missing) if missing > 0 else None


class Sequences:
    """All windows of a site's gates, and the grants that a passage may still claim."""

    def __init__(self) -> None:
        self._windows: dict[tuple[GateId, BootId], _Window] = {}
        self._boots: dict[GateId, list[BootId]] = {}
        self._closed: set[tuple[GateId, BootId]] = set()
        self._grants: OrderedDict[bytes, Receipt] = OrderedDict()

    def restore(self, receipts: Iterable[Receipt], closed_boots: Iterable[tuple[GateId, BootId]]) -> None:
        """Take over what a former engine committed: receipts in the order of their entries."""
        self._closed.update(closed_boots)
        for receipt in receipts:
            self._window(receipt.gate, receipt.boot).take(receipt)
            self.remember_grant(receipt)

    def admit(self, authentic: Authentic) -> Receipt | MessageRefusal | None:
        """None for a new message, its receipt for a known one, else why it is refused. Changes nothing."""
        boot = (authentic.gate, authentic.message.boot)
        if boot in self._closed:
            return MessageRefusal.SEQUENCE_OLD
        window = self._windows.get(boot)
        return window.admit(authentic.message.sequence, authentic.digest) if window is not None else None

    def take(self, receipt: Receipt) -> Gap | None:
        """Keep the receipt of a message that was admitted; give the stretch of which some never came."""
        receipt.opens_boot = (receipt.gate, receipt.boot) not in self._windows
        gap = self._window(receipt.gate, receipt.boot).take(receipt)
        self.remember_grant(receipt)
        return gap

    def remember_grant(self, receipt: Receipt) -> None:
        """Keep a grant for its passage, the site's own or that of a gate that was alone. The oldest are let go."""
        alone = receipt.verdict is Verdict.RECORDED and receipt.holder is not None
        if receipt.verdict is Verdict.GRANTED or alone:
            self._grants[receipt.digest] = receipt
            if len(self._grants) > _KEPT_GRANTS:
                self._grants.popitem(last=False)

    def boot_of(self, gate: GateId) -> BootId | None:
        """The boot of a gate that was heard of last; None for a gate that never said anything."""
        boots = self._boots.get(gate)
        return boots[-1] if boots else None

    def grant_of(self, scan: bytes, gate: GateId) -> Receipt | None:
        """The grant to a scan (by the digest of its message) of this gate."""
        grant = self._grants.get(scan)
        return grant if grant is not None and grant.gate == gate else None

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

    def _window(self, gate: GateId, boot: BootId) -> _Window:
        window = self._windows.get((gate, boot))
        if window is None:
            window = self._windows[gate, boot] = _Window()
            boots = self._boots.setdefault(gate, [])
            boots.append(boot)
            if len(boots) > _KEPT_BOOTS:
                oldest = boots.pop(0)
                del self._windows[gate, oldest]
                self._closed.add((gate, oldest))
        return window
