"""The way of a scan, from an authentic message to what must be written and answered. Read this first.

    scan.authenticate -> Flow.take:  seen before? -> verify -> decide -> presence -> entry + answer

`Flow` is one site's state and the only mutable thing in this package. It belongs to the one engine that owns the
site, which feeds it strictly in order, so that every scan sees the effect of the scan before it. It does no I/O and asks
no clock: the same state, message and instant give the same outcome, always. What it returns is not true until it is
committed; an engine that cannot commit throws the whole Flow away and loads another.

INVARIANT: a message (gate, boot, sequence) changes the state once. Who brings it again gets the answer of the first
time. Who brings other bytes under the same sequence gets nothing.
"""

from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, assert_never

from gatekeeper.core.actuate import answer_of, recorded
from gatekeeper.core.audit import NOBODY, Draft, Kind, decision_fields, facts_document
from gatekeeper.core.decide import Decision, asks_the_past, decide
from gatekeeper.core.draw import Draws
from gatekeeper.core.entry_fields import alarms_of, concerned, hello_fields, origin, place
from gatekeeper.core.facts import NO_PAST, Companion, Facts, GuardsWord, Past, Request
from gatekeeper.core.memory import Asked, Memory, Usage
from gatekeeper.core.operators import Operators
from gatekeeper.core.presence import Presence, confirmed, granted, put_back
from gatekeeper.core.proposals import Proposals
from gatekeeper.core.register import HolderRecord, Register
from gatekeeper.core.scan import Authentic
from gatekeeper.core.sequences import Receipt, Sequences
from gatekeeper.core.trust import Trust
from gatekeeper.core.verify import PinDesk, Presented, verify_scan
from gatekeeper.model.badges import Badge
from gatekeeper.model.ids import AccessPointId, BadgeId, HolderId, TenantId, ZoneId
from gatekeeper.model.messages import (
    Answer,
    ClockQuality,
    Hello,
    Passage,
    PassageOutcome,
    Scan,
    Status,
    StatusKind,
    Verdict,
)
from gatekeeper.model.people import Holder
from gatekeeper.model.places import Direction
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import MessageRefusal

__all__ = [
    "Flow",
    "Outcome",
    "Recorded",
    "Refused",
    "Remembered",
    "Repeated",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What of the site's memory changed beside whereabouts, and is committed with the entry."""

    usage: tuple[tuple[BadgeId, Usage], ...] = ()
    opened: tuple[tuple[ZoneId, datetime | None], ...] = ()
    """When the first person came into a zone; None where it turned out that nobody has."""


_NOTHING = Remembered()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The message was new: entries to commit, what changed in the memory, and the answer to give after the commit."""

    drafts: tuple[Draft, ...]
    moved: tuple[Presence, ...]
    remembered: Remembered
    receipt: Receipt
    answer: Answer
    decision: Decision | None
    settles: bool = False
    """Whether it is the last word on a scan that waited: the receipt is there already, and says something else now."""
    alarms: tuple[str, ...] = ()
    """Codes of reasons for which somebody must look at once; the entry says so too."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A scan that is to be decided, with what verification said of it; `draw` is its lot."""

    authentic: Authentic
    scan: Scan
    presented: Presented
    draw: int | None

    @property
    def request(self) -> Request:
        return Request(access_point=self.scan.access_point, gate=self.authentic.gate, clock=self.scan.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A scan that waits for a guard's word."""

    question: _Question
    receipt: Receipt
    asked: datetime
    until: datetime


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

        # Who may change it, and what waits for a second person.
        self.operators = Operators()
        self.proposals = Proposals()

        # What is the case now.
        self.alert = 0
        self.lockdowns: frozenset[str] = frozenset()
        self.suspended: frozenset[TenantId] = frozenset()
        self.pin_desk: PinDesk | None = None
        self.draws: Draws | None = None
        self._drawn_on: date | None = None
        self.memory = Memory(policy)
        self.memory.adopt(policy, register=register, trust=trust)
        self._asks_past: dict[AccessPointId, bool] = {}

        # What was taken already.
        self.next_seq = next_seq
        self.sequences = Sequences()
        self._waiting: dict[int, _Waiting] = {}

    @property
    def whereabouts(self) -> Mapping[HolderId, Presence]:
        """Who is where."""
        return self.memory.whereabouts

    def adopt(self, policy: Policy, *, source: bytes, trust: Trust) -> None:
        """Go on under another policy or trust list, compiled whole before."""
        self.trust, self.policy, self.policy_source = trust, policy, source
        self._asks_past = {}
        self.memory.adopt(policy, register=self.register, trust=trust)

    # -- the way of a message -------------------------------------------------------------------------------------

    def verify(self, authentic: Authentic, *, beacons: Collection[bytes]) -> Presented | None:
        """The expensive part of a scan, which needs no order: credential and proof. None for what is no scan."""
        message = authentic.message
        if not isinstance(message, Scan) or self.sequences.admit(authentic) is not None:
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
            desk=self.pin_desk,
        )

    def take(self, authentic: Authentic, presented: Presented | None, *, now: datetime) -> Outcome:
        """Take one message, in order. `presented` is what `verify` said of it under the same trust list."""
        message = authentic.message
        admitted = self.sequences.admit(authentic)
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
                recorded_now = self._status(authentic, message, now)
            case Hello():
                recorded_now = self._plain(authentic, Kind.GATE_HELLO, hello_fields(message), None, now)
            case _:
                assert_never(message)
        return self._conclude(authentic, recorded_now, now)

    # -- kinds of messages ----------------------------------------------------------------------------------------

    def _scan(self, authentic: Authentic, scan: Scan, presented: Presented | None, now: datetime) -> Recorded:
        if presented is None:
            raise ValueError("a scan is verified before it is taken")
        if scan.offline_verdict is not None:
            return self._offline(authentic, scan, presented, now)
        seed = self._announce_seed(scan.access_point, now)
        question = _Question(
            authentic=authentic, scan=scan, presented=presented, draw=self._draw(authentic, now)
        )
        facts, decision = self._decide(question, now)
        seq = self._next()
        receipt = _receipt(authentic, seq=seq, verdict=Verdict.DENIED, now=now, holder=facts.holder)
        if decision.waits is not None:
            self._waiting[seq] = _Waiting(
                question=question, receipt=receipt, asked=now, until=now + decision.waits
            )
        decided = self._decided(question, facts, decision, receipt=receipt, now=now, settles=False)
        return replace(decided, drafts=(*seed, *decided.drafts)) if seed else decided

    def _decide(
        self,
        question: _Question,
        now: datetime,
        *,
        word: GuardsWord = GuardsWord.NOT_ASKED,
        asked: datetime | None = None,
    ) -> tuple[Facts, Decision]:
        """Decide by all that is the case now; a guard who was `asked` has said his word."""
        self._ask_again(question.scan.access_point, now)
        facts = self.facts(
            question.presented, access_point=question.scan.access_point, draw=question.draw, now=now
        )
        if asked is not None:
            facts = replace(facts, past=replace(facts.past, guard=word, asked=asked))
        return facts, decide(self.policy, facts, question.request, now)

    def _ask_again(self, access_point: AccessPointId, now: datetime) -> None:
        """Ask again for those who wait here for company: who would be denied by now for anything else waits no more.

        INVARIANT: nobody passes on another's grant who, asking now, would lack more than company.
        """
        for asked in self.memory.waiting(access_point):
            facts = self.facts(asked.presented, access_point=access_point, draw=asked.draw, now=now)
            decision = decide(self.policy, facts, asked.request, now)
            if not (decision.granted or decision.waits is not None or decision.waits_for_company):
                self.memory.waits_no_more(access_point, asked.who.holder)

    def _draw(self, authentic: Authentic, now: datetime) -> int | None:
        return None if self.draws is None else self.draws.number(authentic.digest, now)

    def _announce_seed(self, access_point: AccessPointId, now: datetime) -> tuple[Draft, ...]:
        """Before the first lot of a day: bind today's seed, and show yesterday's."""
        point = self.policy.points.get(access_point)
        if self.draws is None or point is None or not any(rules.search for _, rules in point.entered):
            return ()
        today = now.astimezone(UTC).date()
        if today == self._drawn_on:
            return ()
        self._drawn_on = today
        return (
            Draft(
                kind=Kind.SEARCH_SEED,
                at=now,
                seq=self._next(),
                tenants=(),
                public=self.draws.announcement(now),
                person=None,
                personal=None,
            ),
        )

    def overdue(self, now: datetime) -> list[int]:
        """The entries of scans for which no guard has spoken in time."""
        return [seq for seq, waiting in self._waiting.items() if now >= waiting.until]

    @property
    def next_overdue(self) -> datetime | None:
        """When the first of those that wait has waited long enough."""
        return min((waiting.until for waiting in self._waiting.values()), default=None)

    def settle(self, seq: int, word: GuardsWord, *, now: datetime) -> Recorded | None:
        """Decide a scan that waited, with a guard's word (or silence) and all that is the case now; None when none waits."""
        waiting = self._waiting.pop(seq, None)
        if waiting is None:
            return None
        facts, decision = self._decide(waiting.question, now, word=word, asked=waiting.asked)
        receipt = waiting.receipt
        receipt.seq, receipt.issued = self._next(), now
        return self._decided(waiting.question, facts, decision, receipt=receipt, now=now, settles=True)

    def _decided(
        self,
        question: _Question,
        facts: Facts,
        decision: Decision,
        *,
        receipt: Receipt,
        now: datetime,
        settles: bool,
    ) -> Recorded:
        """Write a decision down: its entry, what it does to the memory, its answer."""
        authentic, seq = question.authentic, receipt.seq
        answer = answer_of(decision, message=authentic.digest, gate=authentic.gate, issued=now, entry=seq)
        public = {
            **place(self.policy, question.scan.access_point),
            **origin(authentic),
            **decision_fields(decision),
            "assurance": int(facts.assurance),
        }
        # Who is forced has been heard of already when the scan waited.
        alarms = alarms_of(facts, () if settles else decision.reasons)
        if alarms:
            public["alarm"] = True
        draft = self._draft(
            _kind(decision), authentic, question.scan, facts=facts, public=public, now=now, seq=seq
        )
        companions, moved, remembered = self._remember(question, facts, decision, now, seq)
        receipt.verdict = answer.verdict
        if settles:
            self.sequences.remember_grant(receipt)
        return Recorded(
            drafts=(draft, *companions),
            moved=moved,
            remembered=remembered,
            receipt=receipt,
            answer=answer,
            decision=decision,
            settles=settles,
            alarms=alarms,
        )

    def _remember(
        self, question: _Question, facts: Facts, decision: Decision, now: datetime, seq: int
    ) -> tuple[tuple[Draft, ...], tuple[Presence, ...], Remembered]:
        """What a decision does to the memory: who moved, in whose company, and what became of the badges."""
        point, badge, holder = self.policy.points.get(question.scan.access_point), facts.badge, facts.holder
        if point is None or badge is None or decision.waits is not None:
            return (), (), _NOTHING
        typed = self.memory.pin_typed(badge, facts.past.factor, now=now)
        asked = None if holder is None else _asked(question, holder, now)
        if not decision.granted or holder is None or asked is None:
            failed = self.memory.refused(point, badge, decision, asked, now=now) or typed
            return (), (), _NOTHING if failed is None else Remembered(usage=((badge.id, failed),))
        moved = [self._move(holder, point, now, seq, host=decision.host)]
        drafts = []
        for companion in decision.party:
            host = holder.id if companion.holder in decision.guests else None
            with_them = self.register.holder(companion.holder, trust=self.trust)
            moved.append(self._move(with_them, point, now, seq, host=host, who=companion.holder))
            drafts.append(self._accompanied(companion, point, now, seq))
        used = dict([] if typed is None else [(badge.id, typed)])
        used |= self.memory.granted(point, decision, asked, now=now, grant=seq)
        if decision.host is not None:
            self.memory.brought_by(point.id, decision.host)
        remembered = Remembered(usage=tuple(used.items()), opened=self.memory.opened_by(seq))
        return tuple(drafts), tuple(moved), remembered

    def _accompanied(self, companion: Companion, point: Point, now: datetime, grant: int) -> Draft:
        """Somebody passed on another's grant: an entry of their own, in their own tenant's tree."""
        return Draft(
            kind=Kind.ACCESS_ACCOMPANIED,
            at=now,
            seq=self._next(),
            tenants=concerned(self.policy, companion.tenant, point.id),
            public={
                **place(self.policy, point.id),
                "gate": point.gate,
                "grant": grant,
                "tenant": companion.tenant,
            },
            person=companion.holder,
            personal={"holder": companion.holder},
        )

    def _offline(self, authentic: Authentic, scan: Scan, presented: Presented, now: datetime) -> Recorded:
        """A past event: the gate acted alone. It is written down as it happened, and decided no more."""
        facts = self.facts(presented, access_point=scan.access_point, draw=None, now=now)
        let_in = scan.offline_verdict is Verdict.GRANTED
        seq = self._next()
        kind = Kind.OFFLINE_GRANTED if let_in else Kind.OFFLINE_DENIED
        public = {
            **place(self.policy, scan.access_point),
            **origin(authentic),
            "assurance": int(facts.assurance),
        }
        if scan.offline_policy is not None:
            public["policy"] = scan.offline_policy.hex()
        alarms = alarms_of(facts, ())
        if alarms:
            public["alarm"] = True
        draft = self._draft(kind, authentic, scan, facts=facts, public=public, now=now, seq=seq)
        moved, remembered = self._let_in_alone(scan, facts, now, seq) if let_in else ((), _NOTHING)
        return Recorded(
            drafts=(draft,),
            moved=moved,
            remembered=remembered,
            receipt=_receipt(authentic, seq=seq, verdict=Verdict.RECORDED, now=now, holder=facts.holder),
            answer=self._recorded(authentic, now, seq),
            decision=None,
            alarms=alarms,
        )

    def _let_in_alone(
        self, scan: Scan, facts: Facts, now: datetime, seq: int
    ) -> tuple[tuple[Presence, ...], Remembered]:
        """A gate that acted alone let somebody through: they are there, their badge was used, and they open what they may."""
        point, badge, holder = self.policy.points.get(scan.access_point), facts.badge, facts.holder
        if point is None or badge is None or holder is None:
            return (), _NOTHING
        moved = self._move(holder, point, now, seq)
        at = now
        if scan.gate_at is not None and scan.clock is ClockQuality.SYNCHRONISED:
            at = min(now, scan.gate_at)
        used = self.memory.used(badge, point, at=at)
        roles = {(holder.tenant, profile) for profile in holder.profiles}
        self.memory.opens(point, roles, at=at, grant=seq)
        usage = () if used is None else ((badge.id, used),)
        return (moved,), Remembered(usage=usage, opened=self.memory.opened_by(seq))

    def _passage(self, authentic: Authentic, passage: Passage, now: datetime) -> Recorded:
        seq = self._next()
        grant = self.sequences.grant_of(passage.scan, authentic.gate) if passage.scan is not None else None
        moved: tuple[Presence, ...] = ()
        remembered = _NOTHING
        if grant is not None:
            moved = self._settle(passage, grant, now, seq)
            if passage.outcome is PassageOutcome.NOT_TAKEN:
                remembered = Remembered(opened=self.memory.opens_nothing(grant.seq))
        self._settle_door(passage, now)
        public = {**place(self.policy, passage.access_point), **origin(authentic)}
        if passage.scan is not None:
            public["scan"] = passage.scan.hex()
        if grant is not None:
            public["grant"] = grant.seq
        holder = grant.holder if grant is not None else None
        draft = Draft(
            kind=_PASSAGES[passage.outcome],
            at=now,
            seq=seq,
            tenants=concerned(self.policy, self._tenant_of(holder), passage.access_point),
            public=public,
            person=holder,
            personal={"holder": holder} if holder is not None else None,
        )
        return Recorded(
            drafts=(draft,),
            moved=moved,
            remembered=remembered,
            receipt=_receipt(authentic, seq=seq, verdict=Verdict.RECORDED, now=now),
            answer=self._recorded(authentic, now, seq),
            decision=None,
        )

    def _status(self, authentic: Authentic, status: Status, now: datetime) -> Recorded:
        if status.kind is StatusKind.CLOSED_AGAIN and status.access_point is not None:
            self.memory.door_closed(status.access_point)
        fields = {"status": status.kind.name.lower()}
        return self._plain(authentic, Kind.GATE_STATUS, fields, status.access_point, now)

    def _plain(
        self, authentic: Authentic, kind: Kind, fields: Mapping[str, Any], access_point: Any, now: datetime
    ) -> Recorded:
        seq = self._next()
        where = place(self.policy, access_point) if access_point is not None else {}
        draft = Draft(
            kind=kind,
            at=now,
            seq=seq,
            tenants=(),
            public={**where, **origin(authentic), **fields},
            person=None,
            personal=None,
        )
        return Recorded(
            drafts=(draft,),
            moved=(),
            remembered=_NOTHING,
            receipt=_receipt(authentic, seq=seq, verdict=Verdict.RECORDED, now=now),
            answer=self._recorded(authentic, now, seq),
            decision=None,
        )

    def _conclude(self, authentic: Authentic, recorded_now: Recorded, now: datetime) -> Recorded:
        """Keep the receipt, and say in the log which messages of this gate never came."""
        gone = self.sequences.take(recorded_now.receipt)
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

    def _settle(self, passage: Passage, grant: Receipt, now: datetime, seq: int) -> tuple[Presence, ...]:
        """What the door saw of a grant, for all who passed on it."""
        moved = []
        for holder in self.memory.on_grant(grant.seq):
            before = self.whereabouts.get(holder)
            after: Presence | None = None
            if passage.outcome is PassageOutcome.TAKEN:
                after = confirmed(before, grant=grant.seq, at=now, seq=seq)
            elif passage.outcome is PassageOutcome.NOT_TAKEN:
                after = put_back(before, grant=grant.seq, outside=self.policy.outside, at=now, seq=seq)
            if after is not None:
                self.memory.move(after, self.register.holder(holder, trust=self.trust))
                moved.append(after)
        return tuple(moved)

    def _settle_door(self, passage: Passage, now: datetime) -> None:
        point = self.policy.points.get(passage.access_point)
        if point is None or not point.interlocked:
            return
        match passage.outcome:
            case PassageOutcome.NOT_TAKEN:
                self.memory.door_unused(point.id)
            case PassageOutcome.TAKEN:
                self.memory.door_opened(point.id, until=now + point.unlock)
            case PassageOutcome.FORCED | PassageOutcome.HELD_OPEN:
                self.memory.door_opened(point.id, until=None)

    def badges_of(self, holder: HolderId) -> list[Badge]:
        """The badges of a holder whose tokens are believed."""
        registered = self.register.holder(holder, trust=self.trust)
        tokens = [self.register.token(badge) for badge in registered.badges] if registered is not None else []
        read = [self.register.read_token(token, trust=self.trust) for token in tokens if token is not None]
        return [badge for badge in read if badge is not None]

    def facts(
        self, presented: Presented, *, access_point: AccessPointId, draw: int | None, now: datetime
    ) -> Facts:
        """All that a decision on this badge, at this access point and instant, would know. Changes nothing."""
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
            suspended=self.suspended,
            past=self._past(presented, holder, access_point=access_point, draw=draw, now=now),
        )

    def _past(
        self,
        presented: Presented,
        holder: Holder | None,
        *,
        access_point: AccessPointId,
        draw: int | None,
        now: datetime,
    ) -> Past:
        point, badge = self.policy.points.get(access_point), presented.badge
        if point is None or badge is None:
            return NO_PAST
        asked = self._asks_past.get(point.id)
        if asked is None:
            asked = self._asks_past[point.id] = asks_the_past(self.policy, point)
        return self.memory.past(
            point,
            badge,
            holder,
            factor=presented.factor,
            draw=draw,
            now=now,
            asked=asked,
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
            tenants=concerned(self.policy, tenant, scan.access_point),
            public=public if tenant is None else {**public, "tenant": tenant},
            person=facts.holder.id if facts.holder is not None else NOBODY,
            personal={
                "holder": facts.holder.id if facts.holder is not None else None,
                "badge": facts.badge.id if facts.badge is not None else None,
                "facts": facts_document(facts),
                "scan": b64encode(authentic.wire).decode(),
            },
        )

    def _move(
        self,
        holder: Holder | None,
        point: Point,
        now: datetime,
        seq: int,
        *,
        host: HolderId | None = None,
        who: HolderId | None = None,
    ) -> Presence:
        """Somebody is let through; `who` names them when their registration is not at hand any more."""
        name = holder.id if holder is not None else who
        if name is None:
            raise ValueError("somebody moves")
        after = granted(
            self.whereabouts.get(name),
            holder=name,
            target=point.target,
            access_point=point.id,
            at=now,
            seq=seq,
            outside=self.policy.outside,
            host=host,
        )
        self.memory.move(after, holder)
        return after

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


_PASSAGES = {
    PassageOutcome.TAKEN: Kind.PASSAGE_TAKEN,
    PassageOutcome.NOT_TAKEN: Kind.PASSAGE_NOT_TAKEN,
    PassageOutcome.FORCED: Kind.PASSAGE_FORCED,
    PassageOutcome.HELD_OPEN: Kind.PASSAGE_HELD_OPEN,
}


def _kind(decision: Decision) -> Kind:
    if decision.waits is not None:
        return Kind.ACCESS_WAITING
    return Kind.ACCESS_GRANTED if decision.granted else Kind.ACCESS_DENIED


def _asked(question: _Question, holder: Holder, now: datetime) -> Asked:
    who = Companion(
        holder=holder.id,
        tenant=holder.tenant,
        kind=holder.kind,
        roles=frozenset((holder.tenant, profile) for profile in holder.profiles),
        host=holder.host,
        at=now,
        waiting=True,
        brought=0,
    )
    return Asked(who=who, presented=question.presented, request=question.request, draw=question.draw)


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
