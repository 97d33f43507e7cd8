"""The small site with rules: what a zone demands is said in a test, people are enrolled by name, and everything is signed.

Anti-passback is off unless a test names it, so that a rule speaks alone. `RuledSite` keeps what would be committed and can
be restarted from it. `decided` asks the decision itself, with facts, where signed bytes would only be in the way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from gatekeeper import cose
from gatekeeper.core.change import ApprovalChange, ChangeContent, GuardChange
from gatekeeper.core.decide import Decision, decide
from gatekeeper.core.draw import Draws
from gatekeeper.core.facts import NO_PAST, Companion, Facts, Past, Request
from gatekeeper.core.flow import Flow, Outcome, Recorded
from gatekeeper.core.memory import Opening, Usage
from gatekeeper.core.pin import SALT_BYTES, PinChecker, make_pin_record, pin_info, seal_pin
from gatekeeper.core.presence import Presence
from gatekeeper.core.proposals import digest_of
from gatekeeper.core.supervise import APPLIED, PROPOSED, Supervised
from gatekeeper.core.verify import PinDesk
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId, ProfileId, TenantId
from gatekeeper.model.messages import ClockQuality, PassageOutcome, Verdict
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from tests.support.founded import FOUNDED
from tests.support.sites import (
    BADGES,
    NOON,
    SITE,
    Sent,
    SmallSite,
    compiled,
    ground,
    issue,
    key_of,
    site_document,
)

__all__ = [
    "DURESS_PIN", "PIN", "PIN_RECORD", "SECOND", "TICK", "RuledSite", "at_noon", "companion", "decided", "document_with",
    "policy_with", "reasons",
]  # fmt: skip

PIN, DURESS_PIN = "25801470", "08520741"
_PEPPER = bytes(range(32))
PIN_RECORD = make_pin_record(PIN, duress=DURESS_PIN, pepper=_PEPPER, salt=bytes(SALT_BYTES))

SECOND, TICK = timedelta(seconds=1), timedelta(microseconds=1)
_END = datetime(2026, 12, 1, tzinfo=FOUNDED.tzinfo)
_EVERYWHERE = [{"zone": "yard", "schedule": "always", "highest_alert": "grave"}]
_FURTHER_PROFILES = (
    ("army", "keyholder"),
    ("army", "escort"),
    ("army", "armourer"),
    ("school", "caretaker"),
)


def document_with(zones: Mapping[str, Mapping[str, Any]] | None = None, **tables: Any) -> dict[str, Any]:
    """The small site's file with rules: `zones` are what zones demand, `tables` further tables of the file.

    `anti_passback`, `level` and `assurance` in a zone's rules are the zone's own keys. Four more profiles lead everywhere.
    """
    document = site_document()
    for tenant, profile in _FURTHER_PROFILES:
        names = {"en": profile, "nl": profile}
        document["profile"].append(
            {"id": profile, "tenant": tenant, "name": names, "grants": [dict(grant) for grant in _EVERYWHERE]}
        )
    for zone in document["zone"]:
        rules = dict((zones or {}).get(zone["id"], {}))
        zone["anti_passback"] = rules.pop("anti_passback", "none")
        for key in ("level", "assurance"):
            zone[key] = rules.pop(key, zone[key])
        if rules:
            zone["rules"] = rules
    return document | tables


def policy_with(zones: Mapping[str, Mapping[str, Any]] | None = None, **tables: Any) -> Policy:
    """Such a site, signed and compiled."""
    return compiled(document_with(zones, **tables), trust=ground().trust)[1]


# -- asking with facts ------------------------------------------------------------------------------------------------


def at_noon(
    who: str = "sergeant", *, past: Past = NO_PAST, profiles: Iterable[str] = (), **changes: Any
) -> Facts:
    """What is known of somebody with nothing wrong; `profiles` instead of their own, `changes` are fields of `Facts`."""
    badge, holder = BADGES[who].badge, ground().holders[who]
    if profiles:
        holder = replace(holder, profiles=tuple(ProfileId(profile) for profile in profiles))
    made = Facts(
        badge=badge,
        badge_state=BadgeState.ACTIVE,
        assurance=badge.assurance,
        findings=(),
        holder=holder,
        holder_unproven=False,
        epoch=1,
        whereabouts=None,
        alert=0,
        lockdowns=frozenset(),
        past=past,
    )
    return replace(made, **changes)


def decided(policy: Policy, access_point: str, facts: Facts, *, now: datetime = NOON) -> Decision:
    """The decision on a request at this access point."""
    point = policy.points[AccessPointId(access_point)]
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
    return decide(policy, facts, request, now)


def reasons(policy: Policy, access_point: str, facts: Facts, *, now: datetime = NOON) -> list[Reason]:
    """All reasons of that decision."""
    return list(decided(policy, access_point, facts, now=now).reasons)


def companion(
    name: str, *roles: str, ago: timedelta = SECOND, waiting: bool = True, **changes: Any
) -> Companion:
    """Somebody who asked here a moment before noon; roles are spelled `tenant/profile`."""
    held = [role.partition("/") for role in roles]
    made = Companion(
        holder=HolderId(name),
        tenant=TenantId(held[0][0] if held else "army"),
        kind=HolderKind.STAFF,
        roles=frozenset((TenantId(tenant), ProfileId(profile)) for tenant, _, profile in held),
        host=None,
        at=NOON - ago,
        waiting=waiting,
        brought=0,
    )
    return replace(made, **changes)


# -- the living site --------------------------------------------------------------------------------------------------


class RuledSite(SmallSite):
    """A living small site under such a policy; `presences`, `usage` and `openings` are what a database would hold."""

    def __init__(self, zones: Mapping[str, Mapping[str, Any]] | None = None, **tables: Any) -> None:
        super().__init__()
        self.presences: dict[HolderId, Presence] = {}
        self.usage: dict[BadgeId, Usage] = {}
        self.openings: dict[Opening, datetime] = {}
        self.flow.draws = Draws(secret=bytes(range(32)))
        seal = cose.SealKey.from_pem(key_of("seal").to_pem())
        self.flow.pin_desk = PinDesk(key=seal, checker=PinChecker(pepper=_PEPPER))
        self.write(document_with(zones, **tables))

    def write(self, document: Mapping[str, Any]) -> None:
        """Put a site file in force."""
        source, policy = compiled(document, trust=ground().trust)
        self.flow.adopt(policy, source=source, trust=ground().trust)

    def enrol(
        self,
        name: str,
        *profiles: str,
        tenant: str = "army",
        kind: HolderKind = HolderKind.STAFF,
        badge: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Holder:
        """Register somebody with a badge; `badge` are fields of it, `changes` those of the holder."""
        own = {"army": ("soldier",), "school": ("teacher",), "club": ("member",)}
        issued = issue(name, tenant, **{"kind": kind, **(badge or {})})
        holder = Holder(
            id=HolderId(name),
            tenant=TenantId(tenant),
            kind=kind,
            clearance=5,
            profiles=tuple(map(ProfileId, profiles or own[tenant])),
            badges=(issued.badge.id,),
            since=FOUNDED,
            until=_END,
            version=1,
        )
        holder = replace(holder, **changes)
        self.enter(name, issued, holder)
        return holder

    # -- what happens ---------------------------------------------------------------------------------------------------

    def take(self, sent: Sent) -> Outcome:
        """Bring a message the whole way, and commit what came of it."""
        outcome = super().take(sent)
        if isinstance(outcome, Recorded):
            self._commit(outcome)
        return outcome

    def supervise(self, content: ChangeContent | bytes, **signing: Any) -> Supervised:
        """Make a change, and commit what came of it."""
        before = len(self.writes.forgiven)
        done = super().supervise(content, **signing)
        for holder in self.writes.forgiven[before:]:
            self.presences.pop(holder, None)
        if done.settled is not None:
            self._commit(done.settled)
        return done

    def changed(self, content: ChangeContent) -> None:
        """Make a change that must be made; where it takes two people, another approves it."""
        change_id = self.new_change_id()
        document = self.change(content, change_id=change_id)
        outcome = self.supervise(document, filed_as=change_id).outcome
        if outcome.code == PROPOSED:
            outcome = self.supervise(ApprovalChange(digest=digest_of(document)), by="colonel").outcome
        assert outcome.code == APPLIED, outcome

    def answer(self, waiting: Recorded, *, yes: bool) -> Decision:
        """Say a guard's word on a scan that waits."""
        done = self.supervise(GuardChange(entry=waiting.receipt.seq, yes=yes))
        assert done.settled is not None, done.outcome
        assert done.settled.decision is not None
        return done.settled.decision

    def _commit(self, outcome: Recorded) -> None:
        self.presences |= {presence.holder: presence for presence in outcome.moved}
        self.usage |= dict(outcome.remembered.usage)
        openings = self.openings | dict(outcome.remembered.opened)
        self.openings = {one: at for one, at in openings.items() if at is not None}

    def sealed(self, access_point: str, pin: str) -> bytes:
        """A PIN as a gate sends it."""
        point = AccessPointId(access_point)
        info = pin_info(site=SITE, gate=GateId(self.gate_of(access_point)), access_point=point)
        return seal_pin(pin, public_der=key_of("seal").public_der, info=info)

    def ask(self, access_point: str, who: str, *, pin: str | None = None, **changes: Any) -> Decision:
        """Badge, with a PIN if one is given, and give the decision."""
        if pin is not None:
            changes["sealed_pin"] = self.sealed(access_point, pin)
        decision = self.tap(access_point, who, **changes).decision
        assert decision is not None
        return decision

    def granted(self, access_point: str, who: str) -> Sent:
        """Badge and be granted; give the scan."""
        sent = self.scan(access_point, who)
        outcome = self.recorded(sent)
        assert outcome.answer.verdict is Verdict.GRANTED, outcome.decision
        return sent

    def late(self, access_point: str, who: str, ago: timedelta, **more: Any) -> Sent:
        """What a gate that was alone had granted a while ago, and tells now."""
        return self.scan(
            access_point,
            who,
            offline_verdict=Verdict.GRANTED,
            gate_at=self.now - ago,
            clock=ClockQuality.SYNCHRONISED,
            **more,
        )

    def waiting(self, who: str = "sergeant", **changes: Any) -> Recorded:
        """Badge at the barrack, and wait for a guard; give what was recorded."""
        found = self.tap("barrack-in", who, **changes)
        assert found.answer.verdict is Verdict.WAITING, found.decision
        return found

    def denied(self, access_point: str, who: str, *expected: Reason) -> Decision:
        """Badge and be denied for these reasons, all of them and no other."""
        decision = self.ask(access_point, who)
        assert not decision.granted
        assert set(decision.reasons) == set(expected), decision.reasons
        return decision

    def turned_back(self, access_point: str, scan: Sent) -> None:
        """Let the gate say that nobody passed on a grant."""
        self.recorded(self.passage(access_point, PassageOutcome.NOT_TAKEN, scan=scan))

    def restored(self) -> Flow:
        """The flow of an engine that knows what was committed, and nothing else."""
        before = self.flow
        flow = Flow(
            policy=before.policy,
            policy_source=before.policy_source,
            trust=before.trust,
            register=before.register,
            next_seq=before.next_seq,
        )
        flow.alert, flow.lockdowns, flow.suspended = before.alert, before.lockdowns, before.suspended
        flow.pin_desk, flow.draws, flow.operators = before.pin_desk, before.draws, before.operators
        flow.memory.restore(
            self.presences.values(), self.usage, self.openings, register=before.register, trust=before.trust
        )
        flow.sequences.restore(self.receipts, ())
        for draft in self.drafts:
            flow.sequences.recall({"kind": draft.kind.value, **draft.public})
        return flow

    def restart(self) -> None:
        """Go on with such an engine."""
        self.flow = self.restored()
