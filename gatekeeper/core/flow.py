"""The way of a scan, from an authentic message to what must be written and answered. Read this first.

    scan.authenticate -> Flow.take:  seen before? -> verify -> decide -> presence -> entry + answer

`Flow` is one site's state and the only mutable thing in this package. It belongs to the one engine that owns the
site, which feeds it strictly in order, so that every scan sees the effect of the scan before it. It does no I/O and asks
no clock: the same state, message and instant give the same outcome, always. What it returns is not true until it is
committed; an engine that cannot commit throws the whole Flow away and loads another.

INVARIANT: a message (gate, boot, sequence) changes the state once. Who brings it again gets the answer of the first
time. Who brings other bytes under the same sequence gets nothing.
"""

import hashlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from gatekeeper.core.actuate import answer_of, recorded
from gatekeeper.core.audit import NOBODY, Draft, Kind, decision_fields, facts_document, timestamp
from gatekeeper.core.decide import Decision, Facts, Request, decide
from gatekeeper.core.presence import Presence, confirmed, granted, put_back
from gatekeeper.core.register import HolderRecord, Register
from gatekeeper.core.scan import Authentic
from gatekeeper.core.trust import Trust
from gatekeeper.core.verify import Presented, verify_scan
from gatekeeper.model.ids import BootId, GateId, HolderId, TenantId
from gatekeeper.model.messages import Answer, Hello, Passage, PassageOutcome, Scan, Status, Upward, Verdict
from gatekeeper.model.people import Holder
from gatekeeper.model.places import Direction
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import MessageRefusal

__all__ = [
    "SEQUENCE_WINDOW",
    "Flow",
    "Outcome",
    "Receipt",
    "Recorded",
    "Refused",
    "Repeated",
]

SEQUENCE_WINDOW = 64
_KEPT_BOOTS = 4


@dataclass(slots=True, kw_only=True)
class Receipt:
    """What the site remembers of one message, and stores: its digest, its answer, and whom a grant let through."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The message was new: entries to commit, whereabouts that changed, and the answer to give after the commit."""

    drafts: tuple[Draft, ...]
    moved: tuple[Presence, ...]
    receipt: Receipt
    answer: Answer
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """The message is known: the answer of the first time."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Refused:
    """The message is authentic and yet cannot be taken."""

    code: MessageRefusal
    detail: str


Outcome = Recorded | Repeated | Refused


@dataclass(slots=True)
class _Window:
    """The sequences of one boot of one gate: the highest, and the last 64 that were taken."""

    highest: int = 0
    taken: OrderedDict[int, Receipt] = field(default_factory=OrderedDict)

    def admit(self, sequence: int, digest: bytes) -> Receipt | MessageRefusal | None:
        """None for a new message, its receipt for a known one, else why it is refused."""
        known = self.taken.get(sequence)
        if known is not None:
            return known if known.digest == digest else MessageRefusal.SEQUENCE_CONFLICT
        return MessageRefusal.SEQUENCE_OLD if sequence <= self.highest - SEQUENCE_WINDOW else None

    def take(self, receipt: Receipt) -> "_Gap | None":
        """Keep a receipt; give the stretch that now fell out of the window with messages that never came."""
        self.taken[receipt.sequence] = receipt
        if receipt.sequence <= self.highest:
            return None
        first = max(self.highest - SEQUENCE_WINDOW, 0) + 1
        last = receipt.sequence - SEQUENCE_WINDOW
        self.highest = receipt.sequence
        fallen = [taken for taken in self.taken if taken <= last]
        for sequence in fallen:
            del self.taken[sequence]
        missing = last - first + 1 - len(fallen)
        return _Gap(first, last, missing) if missing > 0 else None


@dataclass(frozen=True, slots=True)
class _Gap:
    first: int
    last: int
    missing: int


class Flow:
    """One site's live state, and the step that every message makes through it."""

    def __init__(
        self, *, policy: Policy, policy_source: bytes, trust: Trust, register: Register, next_seq: int
    ) -> None:
        # What the site is.
        self.policy = policy
        self.policy_source = policy_source
        self.trust = trust
        self.register = register

        # What is the case now.
        self.alert = 0
        self.lockdowns: frozenset[str] = frozenset()
        self.whereabouts: dict[HolderId, Presence] = {}

        # What was taken already.
        self.next_seq = next_seq
        self._windows: dict[tuple[GateId, BootId], _Window] = {}
        self._boots: dict[GateId, list[BootId]] = {}
        self._closed_boots: set[tuple[GateId, BootId]] = set()
        self._grants: OrderedDict[bytes, Receipt] = OrderedDict()

    def restore(self, receipts: Iterable[Receipt], closed_boots: Iterable[tuple[GateId, BootId]]) -> None:
        """Take over what a former engine committed: receipts in the order of their entries."""
        self._closed_boots.update(closed_boots)
        for receipt in receipts:
            self._window(receipt.gate, receipt.boot).take(receipt)
            self._remember_grant(receipt)

    # -- the way of a message -------------------------------------------------------------------------------------

    def verify(self, authentic: Authentic, *, beacons: Collection[bytes]) -> Presented | None:
        """The expensive part of a scan, which needs no order: credential and proof. None for what is no scan."""
        message = authentic.message
        if not isinstance(message, Scan) or self.seen(authentic):
            return None
        point = self.policy.points.get(message.access_point)
        direction = Direction.OUT if point is not None and point.leaving else Direction.IN
        return verify_scan(
            message,
            gate=authentic.gate,
            direction=direction.value,
            register=self.register,
            trust=self.trust,
            beacons=beacons,
        )

    def seen(self, authentic: Authentic) -> bool:
        """Whether a message was taken or refused by its sequence already, so that verifying it would be wasted."""
        window = self._windows.get((authentic.gate, authentic.message.boot))
        return window is not None and window.admit(authentic.message.sequence, authentic.digest) is not None

    def take(self, authentic: Authentic, presented: Presented | None, *, now: datetime) -> Outcome:
        """Take one message, in order. `presented` is what `verify` said of it under the same trust list."""
        message = authentic.message
        admitted = self._admit(authentic)
        match admitted:
            case Receipt():
                return Repeated(admitted)
            case MessageRefusal():
                return Refused(admitted, f"sequence {message.sequence}")
            case None:
                pass
        match message:
            case Scan():
                recorded_now = self._scan(authentic, message, presented, now)
            case Passage():
                recorded_now = self._passage(authentic, message, now)
            case Status():
                recorded_now = self._plain(
                    authentic,
                    Kind.GATE_STATUS,
                    {"status": message.kind.name.lower()},
                    message.access_point,
                    now,
                )
            case Hello():
                recorded_now = self._plain(authentic, Kind.GATE_HELLO, _hello_fields(message), None, now)
            case _:
                assert_never(message)
        return self._conclude(authentic, recorded_now, now)

    def _admit(self, authentic: Authentic) -> Receipt | MessageRefusal | None:
        boot = authentic.message.boot
        if (authentic.gate, boot) in self._closed_boots:
            return MessageRefusal.SEQUENCE_OLD
        window = self._windows.get((authentic.gate, boot))
        return window.admit(authentic.message.sequence, authentic.digest) if window is not None else None

    # -- kinds of messages ----------------------------------------------------------------------------------------

    def _scan(self, authentic: Authentic, scan: Scan, presented: Presented | None, now: datetime) -> Recorded:
        if presented is None:
            raise ValueError("a scan is verified before it is taken")
        facts = self._facts(presented)
        request = Request(access_point=scan.access_point, gate=authentic.gate, clock=scan.clock)
        if scan.offline_verdict is not None:
            return self._offline(authentic, scan, facts, now)
        decision = decide(self.policy, facts, request, now)
        seq = self._next()
        kind = Kind.ACCESS_GRANTED if decision.granted else Kind.ACCESS_DENIED
        answer = answer_of(decision, message=authentic.digest, gate=authentic.gate, issued=now, entry=seq)
        public = {**self._place(scan.access_point), **_origin(authentic), **decision_fields(decision)}
        public["assurance"] = int(facts.assurance)
        moved = self._move(facts.holder, scan, now, seq) if decision.granted else ()
        return Recorded(
            drafts=(self._draft(kind, authentic, scan, facts=facts, public=public, now=now, seq=seq),),
            moved=moved,
            receipt=_receipt(authentic, seq=seq, verdict=answer.verdict, now=now, holder=facts.holder),
            answer=answer,
            decision=decision,
        )

    def _offline(self, authentic: Authentic, scan: Scan, facts: Facts, now: datetime) -> Recorded:
        """A past event: the gate acted alone. It is written down as it happened, and decided no more."""
        let_in = scan.offline_verdict is Verdict.GRANTED
        seq = self._next()
        kind = Kind.OFFLINE_GRANTED if let_in else Kind.OFFLINE_DENIED
        public = {**self._place(scan.access_point), **_origin(authentic), "assurance": int(facts.assurance)}
        if scan.offline_policy is not None:
            public["policy"] = scan.offline_policy.hex()
        moved = self._move(facts.holder, scan, now, seq) if let_in else ()
        return Recorded(
            drafts=(self._draft(kind, authentic, scan, facts=facts, public=public, now=now, seq=seq),),
            moved=moved,
            receipt=_receipt(authentic, seq=seq, verdict=Verdict.RECORDED, now=now, holder=facts.holder),
            answer=self._recorded(authentic, now, seq),
            decision=None,
        )

    def _passage(self, authentic: Authentic, passage: Passage, now: datetime) -> Recorded:
        seq = self._next()
        grant = self._grants.get(passage.scan) if passage.scan is not None else None
        if grant is not None and grant.gate != authentic.gate:
            grant = None
        before = (
            self.whereabouts.get(grant.holder) if grant is not None and grant.holder is not None else None
        )
        after: Presence | None = None
        if grant is not None and passage.outcome is PassageOutcome.TAKEN:
            after = confirmed(before, grant=grant.seq, at=now, seq=seq)
        elif grant is not None and passage.outcome is PassageOutcome.NOT_TAKEN:
            after = put_back(before, grant=grant.seq, outside=self.policy.outside, at=now, seq=seq)
        if after is not None:
            self.whereabouts[after.holder] = after
        public = {**self._place(passage.access_point), **_origin(authentic)}
        if passage.scan is not None:
            public["scan"] = passage.scan.hex()
        if grant is not None:
            public["grant"] = grant.seq
        holder = grant.holder if grant is not None else None
        draft = Draft(
            kind=_PASSAGES[passage.outcome],
            at=now,
            seq=seq,
            tenants=self._concerned(self._tenant_of(holder), passage.access_point),
            public=public,
            person=holder,
            personal={"holder": holder} if holder is not None else None,
        )
        return Recorded(
            drafts=(draft,),
            moved=(after,) if after is not None else (),
            receipt=_receipt(authentic, seq=seq, verdict=Verdict.RECORDED, now=now),
            answer=self._recorded(authentic, now, seq),
            decision=None,
        )

    def _plain(
        self, authentic: Authentic, kind: Kind, fields: Mapping[str, Any], access_point: Any, now: datetime
    ) -> Recorded:
        seq = self._next()
        place = self._place(access_point) if access_point is not None else {}
        draft = Draft(
            kind=kind,
            at=now,
            seq=seq,
            tenants=(),
            public={**place, **_origin(authentic), **fields},
            person=None,
            personal=None,
        )
        return Recorded(
            drafts=(draft,),
            moved=(),
            receipt=_receipt(authentic, seq=seq, verdict=Verdict.RECORDED, now=now),
            answer=self._recorded(authentic, now, seq),
            decision=None,
        )

    def _conclude(self, authentic: Authentic, recorded_now: Recorded, now: datetime) -> Recorded:
        """Keep the receipt, and say in the log which messages of this gate never came."""
        recorded_now.receipt.opens_boot = (authentic.gate, authentic.message.boot) not in self._windows
        window = self._window(authentic.gate, authentic.message.boot)
        gone = window.take(recorded_now.receipt)
        self._remember_grant(recorded_now.receipt)
        if gone is None:
            return recorded_now
        gap = Draft(
            kind=Kind.GATE_GAP,
            at=now,
            seq=self._next(),
            tenants=(),
            public={
                "gate": authentic.gate,
                "boot": authentic.message.boot.hex(),
                "first": gone.first,
                "last": gone.last,
                "missing": gone.missing,
            },
            person=None,
            personal=None,
        )
        return replace(recorded_now, drafts=(*recorded_now.drafts, gap))

    # -- pieces ---------------------------------------------------------------------------------------------------

    def _facts(self, presented: Presented) -> Facts:
        badge = presented.badge
        owner = self.register.holder_of(badge.id, trust=self.trust) if badge is not None else None
        holder = owner if isinstance(owner, Holder) else None
        here = self.whereabouts.get(holder.id) if holder is not None else None
        return Facts(
            badge=badge,
            badge_state=self.register.state(badge.id) if badge is not None else None,
            assurance=presented.assurance,
            findings=presented.findings,
            holder=holder,
            holder_unproven=isinstance(owner, HolderRecord),
            epoch=self.trust.epoch(badge.tenant) if badge is not None else 0,
            whereabouts=here.zone if here is not None else None,
            alert=self.alert,
            lockdowns=self.lockdowns,
        )

    def _draft(
        self,
        kind: Kind,
        authentic: Authentic,
        scan: Scan,
        *,
        facts: Facts,
        public: Mapping[str, Any],
        now: datetime,
        seq: int,
    ) -> Draft:
        tenant = facts.badge.tenant if facts.badge is not None else None
        return Draft(
            kind=kind,
            at=now,
            seq=seq,
            tenants=self._concerned(tenant, scan.access_point),
            public=public if tenant is None else {**public, "tenant": tenant},
            person=facts.holder.id if facts.holder is not None else NOBODY,
            personal={
                "holder": facts.holder.id if facts.holder is not None else None,
                "badge": facts.badge.id if facts.badge is not None else None,
                "facts": facts_document(facts),
                "scan": b64encode(authentic.wire).decode(),
            },
        )

    def _move(self, holder: Holder | None, scan: Scan, now: datetime, seq: int) -> tuple[Presence, ...]:
        point = self.policy.points.get(scan.access_point)
        if holder is None or point is None:
            return ()
        after = granted(
            self.whereabouts.get(holder.id),
            holder=holder.id,
            target=point.target,
            access_point=point.id,
            at=now,
            seq=seq,
        )
        self.whereabouts[holder.id] = after
        return (after,)

    def _place(self, access_point: Any) -> dict[str, Any]:
        point: Point | None = self.policy.points.get(access_point)
        if point is None:
            return {"access_point": access_point}
        return {"access_point": point.id, "from": point.source, "to": point.target}

    def _concerned(self, tenant: TenantId | None, access_point: Any) -> tuple[TenantId, ...]:
        """Whose trees an entry stands in: the holder's tenant, and the owner of the zone when that is another."""
        point = self.policy.points.get(access_point)
        owner = point.owner if point is not None else None
        known = [
            name
            for name in dict.fromkeys((tenant, owner))
            if name is not None and name in self.policy.tenants
        ]
        return tuple(known)

    def _tenant_of(self, holder: HolderId | None) -> TenantId | None:
        found = self.register.holder(holder, trust=self.trust) if holder is not None else None
        return found.tenant if found is not None else None

    def _recorded(self, authentic: Authentic, now: datetime, seq: int) -> Answer:
        return recorded(
            message=authentic.digest, gate=authentic.gate, issued=now, policy=self.policy.version, entry=seq
        )

    def _next(self) -> int:
        seq = self.next_seq
        self.next_seq += 1
        return seq

    def _window(self, gate: GateId, boot: BootId) -> _Window:
        window = self._windows.get((gate, boot))
        if window is None:
            window = self._windows[gate, boot] = _Window()
            boots = self._boots.setdefault(gate, [])
            boots.append(boot)
            if len(boots) > _KEPT_BOOTS:
                oldest = boots.pop(0)
                del self._windows[gate, oldest]
                self._closed_boots.add((gate, oldest))
        return window

    def _remember_grant(self, receipt: Receipt) -> None:
        if receipt.verdict is Verdict.GRANTED:
            self._grants[receipt.digest] = receipt
            if len(self._grants) > 65_536:
                self._grants.popitem(last=False)


_PASSAGES = {
    PassageOutcome.TAKEN: Kind.PASSAGE_TAKEN,
    PassageOutcome.NOT_TAKEN: Kind.PASSAGE_NOT_TAKEN,
    PassageOutcome.FORCED: Kind.PASSAGE_FORCED,
    PassageOutcome.HELD_OPEN: Kind.PASSAGE_HELD_OPEN,
}


def _origin(authentic: Authentic) -> dict[str, Any]:
    """Where an entry came from: gate, boot, sequence, its own time, and the digest of the signed bytes."""
    message: Upward = authentic.message
    origin: dict[str, Any] = {
        "gate": authentic.gate,
        "boot": message.boot.hex(),
        "sequence": message.sequence,
        "message": authentic.digest.hex(),
    }
    if message.gate_at is not None:
        origin["gate_at"] = timestamp(message.gate_at)
        origin["clock"] = message.clock.name.lower()
    return origin


def _hello_fields(hello: Hello) -> dict[str, Any]:
    fields: dict[str, Any] = {"agent": hello.agent}
    if hello.policy is not None:
        fields["policy"] = hello.policy.hex()
    if hello.checkpoint is not None:
        fields["checkpoint"] = hashlib.sha256(hello.checkpoint).hexdigest()
    return fields


def _receipt(
    authentic: Authentic, *, seq: int, verdict: Verdict, now: datetime, holder: Holder | None = None
) -> Receipt:
    return Receipt(
        gate=authentic.gate,
        boot=authentic.message.boot,
        sequence=authentic.message.sequence,
        digest=authentic.digest,
        seq=seq,
        verdict=verdict,
        issued=now,
        holder=holder.id if holder is not None else None,
    )
