"""The way of a scan, from an authentic message to what must be written and answered. Read this first.

    scan.authenticate -> Flow.take:  seen before? -> verify -> decide -> presence -> entry + answer

`Flow` is one site's state and the only mutable thing in this package. It belongs to the one engine that owns the
site, which feeds it strictly in order, so that every scan sees the effect of the scan before it. It does no I/O and asks
no clock: the same state, message and instant give the same outcome, always. What it returns is not true until it is
committed; an engine that cannot commit throws the whole Flow away and loads another.

INVARIANT: a message (gate, boot, sequence) changes the state once. Who brings it again gets the answer of the first
time. Who brings other bytes under the same sequence gets nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import assert_never

from gatekeeper.core.actuate import answer_of, recorded
from gatekeeper.core.audit import Draft
from gatekeeper.core.crossing import NOTHING, Crossing, Remembered
from gatekeeper.core.decide import Decision, asks_the_past, decide
from gatekeeper.core.drafting import (
    BOOT_REPEATED,
    JOURNAL_GAP,
    JOURNAL_REORDERED,
    JOURNAL_REWRITTEN,
    alarms_of,
    alarms_of_passage,
    alarms_of_status,
    draft_of_companion,
    draft_of_conflict,
    draft_of_decision,
    draft_of_gap,
    draft_of_hello,
    draft_of_offline,
    draft_of_passage,
    draft_of_seed,
    draft_of_status,
    marked,
)
from gatekeeper.core.draw import Draws
from gatekeeper.core.facts import NO_PAST, Companion, Factor, Facts, GuardsWord, Past, Request
from gatekeeper.core.happened import happened_at
from gatekeeper.core.memory import Asked, Memory
from gatekeeper.core.operators import Operators
from gatekeeper.core.presence import Presence
from gatekeeper.core.proposals import Proposals
from gatekeeper.core.register import HolderRecord, Register
from gatekeeper.core.scan import Authentic
from gatekeeper.core.sequences import Receipt, Sequences
from gatekeeper.core.trust import Trust, TrustedKey
from gatekeeper.core.verify import PinDesk, Presented, still_presented, verify_scan
from gatekeeper.model.badges import Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, GateId, HolderId, TenantId
from gatekeeper.model.messages import Answer, Hello, Passage, PassageOutcome, Scan, Status, Verdict
from gatekeeper.model.people import Holder
from gatekeeper.model.places import Direction
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import MessageRefusal, Reason

__all__ = [
    "Flow",
    "Outcome",
    "Recorded",
    "Refused",
    "Repeated",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The message was new: entries to commit, what changed in the memory, and the answer to give after the commit."""

    drafts: tuple[Draft, ...]
    remembered: Remembered
    receipt: Receipt
    answer: Answer
    decision: Decision | None
    settles: bool = False
    """Whether it is the last word on a scan that waited: the receipt is there already, and says something else now."""
    alarms: tuple[str, ...] = ()
    """Codes of reasons for which somebody must look at once; the entry says so too."""

    @property
    def moved(self) -> tuple[Presence, ...]:
        """Who is somewhere else now."""
        return self.remembered.moved


@dataclass(frozen=True, slots=True)
class Repeated:
    """The message is known: the answer of the first time."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Refused:
    """The message is authentic and yet cannot be taken; `drafts` are to be committed, when somebody must look at it."""

    code: MessageRefusal
    detail: str
    drafts: tuple[Draft, ...] = ()
    alarms: tuple[str, ...] = ()


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
    """A scan that waits for a guard's word: hosts and party when it was asked, and the key of its gate in the list of then."""

    question: _Question
    receipt: Receipt
    company: tuple[Companion, ...]
    key: TrustedKey | None
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
        self.holds: frozenset[str] = frozenset()
        self.erased: frozenset[HolderId] = frozenset()
        self.pin_desk: PinDesk | None = None
        self.draws: Draws | None = None
        # Lost with the engine: its successor announces the seed of the day, which follows from a secret of the site, once more.
        self._drawn_on: date | None = None
        self.memory = Memory(policy)
        self.memory.adopt(policy, register=register, trust=trust)
        self._crossing = Crossing(memory=self.memory, register=register, policy=policy, trust=trust)
        self._asks_past: dict[AccessPointId, bool] = {}

        # What was taken already.
        self.next_seq = next_seq
        self.sequences = Sequences()
        # Lost with the engine: nobody is let in on a guard's word to its successor, and the gate gives the scan up and says so.
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
        self._crossing = replace(self._crossing, policy=policy, trust=trust)

    def let_go(self, holder: HolderId) -> None:
        """Let a registration go, with its badges and where they were; whoever it was may be registered anew."""
        self.memory.erase(holder, self.register.erase(holder, trust=self.trust))

    def erase(self, holder: HolderId) -> None:
        """Forget a person: who they are, their badges, where they were, and that it was they who came through.

        INVARIANT: their badges are unknown from now on, and no one is registered under this id again.
        """
        self.let_go(holder)
        self.sequences.erase(holder)
        self.erased = self.erased | {holder}

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
                return self._refuse(authentic, admitted, now)
            case None:
                pass
        match message:
            case Scan():
                recorded_now = self._scan(authentic, message, presented, now)
            case Passage():
                recorded_now = self._passage(authentic, message, now)
            case Status():
                door = self._own_point(authentic, message.access_point)
                if door is not None:
                    self._crossing.reported(door, message)
                seq = self._next()
                draft = draft_of_status(self.policy, authentic, message, at=now, seq=seq)
                recorded_now = self._written(draft, authentic, alarms=alarms_of_status(message))
            case Hello():
                recorded_now = self._hello(authentic, message, now)
            case _:
                assert_never(message)
        return self._conclude(authentic, recorded_now, now)

    def _refuse(self, authentic: Authentic, code: MessageRefusal, now: datetime) -> Refused:
        """Refuse a number that was used or is too old; of what was said twice and differently, the first is an alarm."""
        detail = f"sequence {authentic.message.sequence}"
        is_conflict = code is MessageRefusal.SEQUENCE_CONFLICT
        if not is_conflict or not self.sequences.is_first_conflict(authentic):
            return Refused(code, detail)
        draft = draft_of_conflict(authentic, at=now, seq=self._next())
        alarm = JOURNAL_REWRITTEN if authentic.journal else BOOT_REPEATED
        return Refused(code, detail, (draft,), (alarm,))

    # -- kinds of messages ----------------------------------------------------------------------------------------

    def _scan(self, authentic: Authentic, scan: Scan, presented: Presented | None, now: datetime) -> Recorded:
        if presented is None:
            raise ValueError("a scan is verified before it is taken")
        if scan.offline_verdict is not None:
            return self._offline(authentic, scan, presented, now)
        # INVARIANT: nobody is let through by a scan whose gate told before that nobody came: it tells so once.
        if self.sequences.is_given_up(authentic) and Reason.STALE_PROOF not in presented.findings:
            presented = replace(presented, findings=(*presented.findings, Reason.STALE_PROOF))
        seed = self._announce_seed(scan.access_point, now)
        question = _Question(
            authentic=authentic, scan=scan, presented=presented, draw=self._draw(authentic, now)
        )
        self._ask_again(scan.access_point, now)
        facts = self._facts_of(question, now)
        decision = decide(self.policy, facts, question.request, now)
        seq = self._next()
        receipt = _receipt(authentic, seq=seq, verdict=Verdict.DENIED, now=now, holder=facts.holder)
        if decision.waits is not None:
            key = self.trust.listing.gates.get(authentic.gate)
            hosts = [one for one in facts.past.company if not one.waiting]
            until = now + decision.waits
            self._waiting[seq] = _Waiting(
                question=question,
                receipt=receipt,
                company=(*hosts, *decision.party),
                key=key,
                asked=now,
                until=until,
            )
        decided = self._decided(question, facts, decision, receipt=receipt, now=now, settles=False)
        return replace(decided, drafts=(*seed, *decided.drafts)) if seed else decided

    def _facts_of(self, question: _Question, now: datetime) -> Facts:
        point = question.scan.access_point
        return self.facts(question.presented, access_point=point, draw=question.draw, now=now)

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
        return (draft_of_seed(self.draws.announcement(now), at=now, seq=self._next()),)

    def overdue(self, now: datetime) -> list[int]:
        """The entries of scans for which no guard has spoken in time."""
        return [seq for seq, waiting in self._waiting.items() if now >= waiting.until]

    @property
    def next_overdue(self) -> datetime | None:
        """When the first of those that wait has waited long enough."""
        return min((waiting.until for waiting in self._waiting.values()), default=None)

    def settle(self, seq: int, word: GuardsWord, *, now: datetime) -> Recorded | None:
        """Decide a scan that waited, with a guard's word (or silence) and all that is the case now.

        None when none waits, or a word comes when its time is over: what is left then is silence.
        """
        waiting = self._waiting.get(seq)
        if waiting is None or (word is not GuardsWord.SILENCE and now >= waiting.until):
            return None
        del self._waiting[seq]
        question, receipt = self._as_of_now(waiting), waiting.receipt
        self._ask_again(question.scan.access_point, now)
        facts = self._facts_of(question, now)
        # The guard spoke of a face: nobody has spoken of another whose the badge is by now.
        spoken = facts.holder is not None and facts.holder.id == receipt.holder
        # INVARIANT: nobody passes on a guard's word whose face he was not shown.
        there = {(one.holder, one.waiting): one for one in facts.past.company}
        company = tuple(
            replace(one, brought=there[one.holder, one.waiting].brought)
            for one in waiting.company
            if (one.holder, one.waiting) in there
        )
        past = replace(
            facts.past,
            guard=word if spoken else GuardsWord.SILENCE,
            asked=waiting.asked,
            company=company,
        )
        facts = replace(facts, past=past)
        decision = decide(self.policy, facts, question.request, now)
        receipt.seq, receipt.issued = self._next(), now
        receipt.holder = facts.holder.id if facts.holder is not None else None
        return self._decided(question, facts, decision, receipt=receipt, now=now, settles=True)

    def _given_up(self, scan: bytes, gate: GateId, now: datetime) -> None:
        """A gate waits for no guard any more: nothing is left of a scan that waits but silence."""
        for seq, waiting in self._waiting.items():
            authentic = waiting.question.authentic
            if (authentic.digest, authentic.gate) == (scan, gate):
                self._waiting[seq] = replace(waiting, until=min(now, waiting.until))

    def _as_of_now(self, waiting: _Waiting) -> _Question:
        """What waited, under the trust list of now: badge and gate may be believed no more."""
        question = waiting.question
        presented = still_presented(
            question.presented, question.scan, register=self.register, trust=self.trust
        )
        if self.trust.listing.gates.get(question.authentic.gate) != waiting.key:
            findings = (Reason.UNKNOWN_ACCESS_POINT, *presented.findings)
            presented = replace(presented, findings=findings)
        return replace(question, presented=presented)

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
        # Who is forced has been heard of already when the scan waited.
        alarms = alarms_of(facts, () if settles else decision.reasons)
        draft = draft_of_decision(
            self.policy, authentic, question.scan, facts, decision, alarm=bool(alarms), at=now, seq=seq
        )
        point = self._own_point(authentic, question.scan.access_point)
        remembered, companions = NOTHING, []
        if point is not None:
            asked = _asked(question, facts.holder, now) if facts.holder is not None else None
            remembered = self._crossing.decided(
                point, question.scan, facts, decision, asked, now=now, seq=seq
            )
            companions = [
                draft_of_companion(self.policy, companion, point, grant=seq, at=now, seq=self._next())
                for companion in (decision.party if decision.granted else ())
            ]
        receipt.verdict = answer.verdict
        if settles:
            self.sequences.remember_grant(receipt)
        return Recorded(
            drafts=(draft, *companions),
            remembered=remembered,
            receipt=receipt,
            answer=answer,
            decision=decision,
            settles=settles,
            alarms=alarms,
        )

    def _offline(self, authentic: Authentic, scan: Scan, presented: Presented, now: datetime) -> Recorded:
        """A past event: the gate acted alone. It is written down as it happened, and decided no more."""
        facts = self.facts(presented, access_point=scan.access_point, draw=None, now=now)
        then = happened_at(logged=now, gate_at=scan.gate_at, clock=scan.clock).at
        # Whom the gate let in with a badge that was revoked since passed rightfully. A theft is always before its report.
        rightful = (
            scan.offline_verdict is Verdict.GRANTED
            and facts.badge is not None
            and facts.badge_state is BadgeState.REVOKED
            and not self.register.was_stopped(facts.badge.id, then)
        )
        seq, alarms = self._next(), () if rightful else alarms_of(facts, ())
        draft = draft_of_offline(self.policy, authentic, scan, facts, alarm=bool(alarms), at=now, seq=seq)
        point, remembered, let_in = self._own_point(authentic, scan.access_point), NOTHING, None
        if point is not None and scan.offline_verdict is Verdict.GRANTED:
            remembered = self._crossing.let_in_alone(point, scan, facts, now=now, seq=seq)
            let_in = facts.holder
        return self._written(draft, authentic, remembered=remembered, holder=let_in, alarms=alarms)

    def _passage(self, authentic: Authentic, passage: Passage, now: datetime) -> Recorded:
        seq = self._next()
        grant = self.sequences.grant_of(passage.scan, authentic.gate) if passage.scan is not None else None
        if passage.outcome is PassageOutcome.NOT_TAKEN and passage.scan is not None:
            self._given_up(passage.scan, authentic.gate, now)
            if grant is None:
                self.sequences.give_up(passage.scan, authentic.gate)
        point = self._own_point(authentic, passage.access_point)
        remembered = self._crossing.passed(point, passage, grant, seq=seq) if point is not None else NOTHING
        tenant = self._tenant_of(grant.holder) if grant is not None else None
        draft = draft_of_passage(self.policy, authentic, passage, grant=grant, tenant=tenant, at=now, seq=seq)
        return self._written(draft, authentic, remembered=remembered, alarms=alarms_of_passage(passage))

    def _hello(self, authentic: Authentic, hello: Hello, now: datetime) -> Recorded:
        goes_back = hello.journal is not None and self.sequences.goes_back(authentic.gate, hello.journal)
        draft = draft_of_hello(authentic, hello, goes_back=goes_back, at=now, seq=self._next())
        return self._written(draft, authentic, alarms=(JOURNAL_REWRITTEN,) if goes_back else ())

    def _written(
        self,
        draft: Draft,
        authentic: Authentic,
        *,
        remembered: Remembered = NOTHING,
        holder: Holder | None = None,
        alarms: tuple[str, ...] = (),
    ) -> Recorded:
        """A message that is written down, and decides nothing."""
        receipt = _receipt(authentic, seq=draft.seq, verdict=Verdict.RECORDED, now=draft.at, holder=holder)
        answer = recorded(
            message=authentic.digest,
            gate=authentic.gate,
            issued=draft.at,
            policy=self.policy.version,
            entry=draft.seq,
        )
        return Recorded(
            drafts=(draft,),
            remembered=remembered,
            receipt=receipt,
            answer=answer,
            decision=None,
            alarms=alarms,
        )

    def _conclude(self, authentic: Authentic, recorded_now: Recorded, now: datetime) -> Recorded:
        """Keep the receipt, and say in the log which messages of this gate never came, or came out of their order."""
        taken = self.sequences.take(recorded_now.receipt)
        drafts, alarms = recorded_now.drafts, recorded_now.alarms
        if taken.is_reordered:
            drafts = tuple(
                marked(draft, reordered=True, alarm=True) if draft.seq == recorded_now.receipt.seq else draft
                for draft in drafts
            )
            alarms = (*alarms, JOURNAL_REORDERED)
        if taken.gap is not None:
            drafts = (*drafts, draft_of_gap(taken.gap, authentic, at=now, seq=self._next()))
            alarms = (*alarms, JOURNAL_GAP) if authentic.journal else alarms
        return replace(recorded_now, drafts=drafts, alarms=alarms)

    # -- pieces ---------------------------------------------------------------------------------------------------

    def _own_point(self, authentic: Authentic, access_point: AccessPointId | None) -> Point | None:
        """The access point of which a message speaks, if it is one of its gate's own.

        INVARIANT: what a gate says of another's access points is written down, and changes nothing.
        """
        point = self.policy.points.get(access_point) if access_point is not None else None
        return point if point is not None and point.gate == authentic.gate else None

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
        factor, assurance = presented.against(holder)
        return Facts(
            badge=badge,
            badge_state=self.register.state(badge.id) if badge is not None else None,
            assurance=assurance,
            findings=presented.findings,
            holder=holder,
            holder_unproven=isinstance(owner, HolderRecord),
            epoch=self.trust.epoch(badge.tenant) if badge is not None else 0,
            whereabouts=here.zone if here is not None and here.zone in self.policy.zones else None,
            alert=self.alert,
            lockdowns=self.lockdowns,
            suspended=self.suspended,
            past=self._past(badge, holder, access_point=access_point, factor=factor, draw=draw, now=now),
        )

    def _past(
        self,
        badge: Badge | None,
        holder: Holder | None,
        *,
        access_point: AccessPointId,
        factor: Factor,
        draw: int | None,
        now: datetime,
    ) -> Past:
        point = self.policy.points.get(access_point)
        if point is None or badge is None:
            return NO_PAST
        asked = self._asks_past.get(point.id)
        if asked is None:
            asked = self._asks_past[point.id] = asks_the_past(self.policy, point)
        return self.memory.past(
            point,
            badge,
            holder,
            factor=factor,
            draw=draw,
            now=now,
            asked=asked,
        )

    def _tenant_of(self, holder: HolderId | None) -> TenantId | None:
        found = self.register.holder(holder, trust=self.trust) if holder is not None else None
        return found.tenant if found is not None else None

    def _next(self) -> int:
        seq = self.next_seq
        self.next_seq += 1
        return seq


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
        journal=authentic.journal,
    )
