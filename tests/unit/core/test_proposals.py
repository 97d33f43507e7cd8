"""Proposals: what gives more takes two people; it is made once, or withdrawn, or too late; and never by one alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatekeeper.core.change import (
    AlertChange,
    ApprovalChange,
    ChangeContent,
    ExportChange,
    Exported,
    LockdownChange,
    OperatorChange,
    PolicyChange,
    SuspensionChange,
    TrustChange,
    WithdrawalChange,
)
from gatekeeper.core.operators import Operator, Role
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.proposals import (
    MOST_OF_ONE,
    MOST_PROPOSALS,
    PROPOSAL_LASTS,
    Ending,
    Proposal,
    Proposals,
    digest_of,
)
from gatekeeper.core.supervise import APPLIED, EXPIRED, PROPOSED, WITHDRAWN, Supervised, expire_proposals
from gatekeeper.core.trust import KeyState, Use
from gatekeeper.model.ids import GateId, OperatorId, TenantId
from tests.support.operators import account, signed_account
from tests.support.sites import (
    HOST,
    NOON,
    SITE,
    SmallSite,
    key_of,
    listed,
    signed_trust,
    site_document,
    trusted,
)

RELEASE = LockdownChange(scope="site", on=False)


class Ground(SmallSite):
    """A small site that is locked down."""

    def __init__(self) -> None:
        super().__init__()
        self.made(LockdownChange(scope="site", on=True), by="guard")

    def made(self, content: ChangeContent, *, by: str = "army") -> Supervised:
        done = self.supervise(content, by=by)
        assert done.outcome.code == APPLIED, done.outcome
        return done

    def proposed(self, content: ChangeContent, *, by: str) -> Proposal:
        """Propose something that must wait."""
        done = self.supervise(content, by=by)
        assert done.outcome.code == PROPOSED, done.outcome
        (*_, proposal) = self.flow.proposals
        return proposal

    def approve(self, proposal: Proposal, *, by: str) -> Supervised:
        return self.supervise(ApprovalChange(digest=proposal.digest), by=by)

    def refused(self, content: ChangeContent, *, by: str) -> str:
        """Why something is not made; nothing at all has changed."""
        before, waiting = self.snapshot(), list(self.flow.proposals)
        known, policy = dict(self.flow.operators.believed(trust=self.flow.trust)), self.flow.policy.version
        done = self.supervise(content, by=by)
        assert (done.drafts, done.outcome.seq) == ((), None)
        assert (self.snapshot(), list(self.flow.proposals)) == (before, waiting)
        assert self.flow.operators.believed(trust=self.flow.trust) == known
        assert self.flow.policy.version == policy
        return done.outcome.code

    def waiting_in_the_database(self) -> list[Proposal]:
        """What an engine that takes over finds."""
        ended = {digest for digest, _, _ in self.writes.endings}
        return [one for one in self.writes.proposals if one.digest not in ended]

    def restart(self) -> None:
        self.flow.proposals = Proposals(self.waiting_in_the_database())

    def expire(self) -> list[Any]:
        drafts = expire_proposals(self.flow, now=self.now, writes=self.writes)
        self.drafts += drafts
        return drafts

    def policy(self, **zone: Any) -> PolicyChange:
        """The site's file with another yard, signed by the host."""
        document = site_document()
        document["zone"][1] |= zone
        return PolicyChange(document=sign_policy(document, site=SITE, key=key_of(f"{HOST} signing")))

    def appointment(self, operator: Operator) -> OperatorChange:
        key = key_of(f"{operator.tenant} signing")
        return OperatorChange(operator=operator.id, document=signed_account(operator, site=SITE, key=key))


@pytest.fixture
def site() -> Ground:
    return Ground()


# -- two people -------------------------------------------------------------------------------------------------------


def test_who_releases_a_lockdown_proposes_it_and_nothing_is_released(site: Ground):
    done = site.supervise(RELEASE, by="officer")
    assert done.outcome.code == PROPOSED
    assert done.outcome.detail == "site is released"
    assert site.flow.lockdowns == {"site"}
    (draft,) = done.drafts
    (proposal,) = site.flow.proposals
    assert (draft.kind, draft.seq, done.outcome.seq) == ("proposal.made", 1, 1)
    assert draft.public == {
        "proposal": proposal.digest.hex(),
        "proposes": "lockdown",
        "subject": "site",
        "gives": ["site is released"],
        "expires": "2026-06-04T10:00:00.000000Z",
        "change": proposal.change.hex(),
        "by": "army",
        "author": "officer",
        "signed_at": "2026-06-03T10:00:00.000000Z",
    }
    assert site.writes.proposals == [proposal]
    assert proposal.digest == digest_of(proposal.document)


def test_another_approves_and_it_is_made_at_once(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    done = site.approve(proposal, by="admin")
    assert (done.outcome.code, done.outcome.detail, done.outcome.seq) == (APPLIED, "site is released", 2)
    assert site.flow.lockdowns == frozenset()
    approved, released = done.drafts
    assert [draft.kind for draft in done.drafts] == ["proposal.approved", "lockdown.changed"]
    assert [draft.seq for draft in done.drafts] == [2, 3]
    assert approved.public["author"] == "admin"
    assert {name: released.public[name] for name in ("author", "approved_by", "proposal", "change")} == {
        "author": "officer",
        "approved_by": "admin",
        "proposal": proposal.digest.hex(),
        "change": proposal.change.hex(),
    }
    assert site.writes.endings == [(proposal.digest, Ending.APPLIED, 2)]
    outcomes = {one.change: (one.code, one.seq) for one in site.writes.outcomes}
    assert outcomes[proposal.change] == (APPLIED, 3), "who asks for the first change hears of its end"
    assert site.flow.next_seq == 4


def test_nobody_is_both_whatever_roles_they_have(site: Ground):
    proposal = site.proposed(RELEASE, by="army")
    assert site.refused(ApprovalChange(digest=proposal.digest), by="army") == "proposal-own"
    assert site.approve(proposal, by="colonel").outcome.code == APPLIED


@pytest.mark.parametrize("by", ["guard", "school", "club"])
def test_who_may_not_agree_cannot(site: Ground, by: str):
    proposal = site.proposed(RELEASE, by="officer")
    assert site.refused(ApprovalChange(digest=proposal.digest), by=by) == "change-role"


@pytest.mark.parametrize(
    ("by", "code"), [("guard", "change-role"), ("admin", "change-role"), ("school", "change-not-yours")]
)
def test_who_may_not_do_it_does_not_propose_it_either(site: Ground, by: str, code: str):
    assert site.refused(RELEASE, by=by) == code


def test_what_takes_does_not_wait(site: Ground):
    for content, by in (
        (LockdownChange(scope="zone:yard", on=True), "guard"),
        (AlertChange(state="grave"), "guard"),
        (AlertChange(state="calm"), "officer"),
        (SuspensionChange(tenant=TenantId("school"), on=True), "officer"),
        (site.policy(level=2), "admin"),
    ):
        site.made(content, by=by)
    assert site.refused(AlertChange(state="tense"), by="admin") == "change-role"


def test_only_an_officer_lowers_the_alert_state(site: Ground):
    site.made(AlertChange(state="grave"), by="guard")
    site.made(AlertChange(state="grave"), by="guard")
    assert site.refused(AlertChange(state="tense"), by="guard") == "change-role"
    site.made(AlertChange(state="tense"), by="officer")
    site.made(AlertChange(state="grave"), by="guard")


# -- once -------------------------------------------------------------------------------------------------------------


def test_an_approval_counts_once_however_often_it_is_signed(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    site.approve(proposal, by="admin")
    site.made(LockdownChange(scope="site", on=True), by="guard")
    for by in ("admin", "colonel"):
        assert site.refused(ApprovalChange(digest=proposal.digest), by=by) == "proposal-unknown"
    assert site.flow.lockdowns == {"site"}


def test_the_same_proposal_waits_once(site: Ground):
    document = site.change(RELEASE, by="officer", change_id=bytes(16))
    assert site.supervise(document, filed_as=bytes(16)).outcome.code == PROPOSED
    assert site.supervise(document, filed_as=bytes(16)).outcome.code == "proposal-known"
    assert len(site.flow.proposals) == 1


def test_only_its_author_withdraws_a_proposal(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    withdrawal = WithdrawalChange(digest=proposal.digest)
    assert site.refused(withdrawal, by="army") == "proposal-foreign"
    done = site.supervise(withdrawal, by="officer")
    assert (done.outcome.code, done.drafts[0].kind) == (APPLIED, "proposal.withdrawn")
    assert site.writes.endings == [(proposal.digest, Ending.WITHDRAWN, done.drafts[0].seq)]
    assert WITHDRAWN in {one.code for one in site.writes.outcomes if one.change == proposal.change}
    assert site.refused(ApprovalChange(digest=proposal.digest), by="admin") == "proposal-unknown"
    assert site.refused(withdrawal, by="officer") == "proposal-unknown"


def test_a_proposal_waits_for_a_day_and_no_longer(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    assert site.flow.proposals.next_due == NOON + PROPOSAL_LASTS
    site.now = NOON + PROPOSAL_LASTS - timedelta(microseconds=1)
    assert site.expire() == []
    site.now = NOON + PROPOSAL_LASTS
    assert site.refused(ApprovalChange(digest=proposal.digest), by="admin") == EXPIRED
    (draft,) = site.expire()
    assert (draft.kind, draft.public["proposal"]) == ("proposal.expired", proposal.digest.hex())
    assert site.writes.endings == [(proposal.digest, Ending.EXPIRED, draft.seq)]
    assert site.expire() == []
    assert site.refused(ApprovalChange(digest=proposal.digest), by="admin") == "proposal-unknown"


def test_a_proposal_that_was_signed_yesterday_does_not_wait_for_another_day(site: Ground):
    signed = NOON - timedelta(hours=20)
    done = site.supervise(RELEASE, by="officer", at=signed)
    assert done.outcome.code == PROPOSED
    assert site.flow.proposals.next_due == signed + PROPOSAL_LASTS
    ahead = site.supervise(
        LockdownChange(scope="site", on=False), by="officer", at=NOON + timedelta(hours=20)
    )
    assert ahead.outcome.code == PROPOSED
    assert max(one.expires for one in site.flow.proposals) == NOON + PROPOSAL_LASTS


def test_nobody_fills_the_desk_alone(site: Ground):
    for _ in range(MOST_OF_ONE):
        site.proposed(RELEASE, by="officer")
    assert site.refused(RELEASE, by="officer") == "proposals-full"
    site.proposed(RELEASE, by="army")
    site.approve(next(iter(site.flow.proposals)), by="admin")
    site.proposed(RELEASE, by="officer")


def test_so_many_wait_and_no_more(site: Ground):
    made = site.proposed(RELEASE, by="officer")
    others = [
        replace(made, digest=bytes([number]) * 32, author=OperatorId(f"officer-{number % 5}"))
        for number in range(1, MOST_PROPOSALS)
    ]
    for one in others:
        site.flow.proposals.make(one)
    assert site.refused(RELEASE, by="army") == "proposals-full"
    site.flow.proposals.end(others[0].digest)
    site.proposed(RELEASE, by="army")


def test_a_policy_that_the_host_signs_with_a_retired_key_is_declined(site: Ground):
    army = listed().tenants[TenantId(HOST)]
    retired = replace(army, signing=replace(army.signing, state=KeyState.VERIFY_ONLY))
    tenants = {**listed().tenants, TenantId(HOST): retired}
    site.made(TrustChange(document=signed_trust(listed(version=2, tenants=tenants))))
    document = sign_policy(site_document(), site=SITE, key=key_of("army signing"))
    assert site.refused(PolicyChange(document=document), by="army") == "policy-key-retired"


# -- what has become impossible ---------------------------------------------------------------------------------------


def test_a_lockdown_that_is_said_again_is_another_one(site: Ground):
    yard = LockdownChange(scope="zone:yard", on=True)
    site.made(yard, by="guard")
    first, other = site.proposed(RELEASE, by="officer"), site.proposed(replace(yard, on=False), by="officer")
    done = site.made(LockdownChange(scope="site", on=True), by="guard")
    assert [draft.kind for draft in done.drafts] == ["lockdown.changed", "proposal.expired"]
    assert done.drafts[1].public["overtaken_by"] == done.drafts[0].seq
    assert site.writes.endings == [(first.digest, Ending.EXPIRED, done.drafts[1].seq)]
    assert site.refused(ApprovalChange(digest=first.digest), by="admin") == "proposal-unknown"
    assert site.approve(other, by="admin").outcome.code == APPLIED
    assert site.flow.lockdowns == {"site"}


def test_whose_author_was_revoked_meanwhile_is_not_made_by_anybody(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    revoked = account("officer", HOST, [Role.SECURITY_OFFICER], version=2, revoked=True)
    site.made(site.appointment(revoked), by="admin")
    assert site.refused(ApprovalChange(digest=proposal.digest), by="admin") == "change-operator"
    assert site.flow.lockdowns == {"site"}


def test_whose_author_has_another_role_meanwhile_is_not_made_either(site: Ground):
    proposal = site.proposed(site.policy(level=0), by="army")
    lesser = account("army", HOST, [Role.SECURITY_OFFICER], version=2)
    site.made(site.appointment(lesser), by="colonel")
    assert site.refused(ApprovalChange(digest=proposal.digest), by="colonel") == "change-role"


def test_a_policy_is_proposed_against_the_one_in_force(site: Ground):
    laxer = site.proposed(site.policy(level=0), by="admin")
    assert laxer.gives == ("yard is of level 0, not 1",)
    assert "subject" not in site.drafts[-1].public
    site.made(site.policy(level=3), by="admin")
    assert site.refused(ApprovalChange(digest=laxer.digest), by="officer") == "proposal-outdated"


def test_a_trust_list_is_proposed_against_the_policy_in_force(site: Ground):
    wider = replace(
        listed(version=2),
        services=(*listed().services, (Use.DECISION, trusted("another", use=Use.DECISION, owner="service"))),
    )
    proposal = site.proposed(TrustChange(document=signed_trust(wider)), by="admin")
    site.made(site.policy(level=3), by="admin")
    assert site.refused(ApprovalChange(digest=proposal.digest), by="officer") == "proposal-outdated"
    anew = site.proposed(site.policy(level=0), by="admin")
    done = site.approve(anew, by="officer")
    assert [draft.kind for draft in done.drafts] == ["proposal.approved", "policy.changed"]
    assert [kind for kind, _, _ in site.writes.documents] == ["policy", "policy"]
    assert site.writes.documents[-1][1] == done.drafts[1].seq
    assert site.flow.policy.zones["yard"].level == 0  # type: ignore[index]


def test_of_two_trust_lists_of_the_same_number_one_is_made(site: Ground):
    admitted = {**listed().tenants, TenantId("navy"): listed().tenants[TenantId("school")]}
    ours = {**admitted, TenantId("navy"): replace(admitted[TenantId("navy")], agreement=None)}
    for tenant, name in ((TenantId("navy"), "navy"),):
        ours[tenant] = replace(
            ours[tenant],
            signing=replace(
                ours[tenant].signing, record=key_of(f"{name} signing").record(use="tenant", owner=name)
            ),
            issuers=(
                replace(
                    ours[tenant].issuers[0], record=key_of(f"{name} issuer").record(use="issuer", owner=name)
                ),
            ),
        )
    document = signed_trust(listed(version=2, tenants=ours))
    first = site.proposed(TrustChange(document=document), by="admin")
    assert first.gives == ("navy is a tenant",)
    second = site.proposed(TrustChange(document=document), by="army")
    assert site.approve(first, by="officer").outcome.code == APPLIED
    assert site.refused(ApprovalChange(digest=second.digest), by="officer") == "trust-rollback"
    assert site.flow.trust.version == 2


def test_a_trust_list_that_only_takes_does_not_wait(site: Ground):
    gates = dict(listed().gates)
    del gates[GateId("front")]
    site.made(TrustChange(document=signed_trust(listed(version=2, gates=gates))), by="admin")
    school = listed().tenants[TenantId("school")]
    retired = replace(school, signing=replace(school.signing, state=KeyState.VERIFY_ONLY))
    tenants = {**listed().tenants, TenantId("school"): retired}
    site.made(TrustChange(document=signed_trust(listed(version=3, gates=gates, tenants=tenants))), by="admin")
    site.proposed(TrustChange(document=signed_trust(listed(version=4, gates=gates))), by="admin")


# -- operators --------------------------------------------------------------------------------------------------------


def test_a_new_operator_counts_when_two_have_said_so(site: Ground):
    clerk = account("clerk", "school", [Role.REGISTRAR])
    proposal = site.proposed(site.appointment(clerk), by="admin")
    assert (proposal.subject, proposal.gives) == ("clerk", ("clerk of school is registrar",))
    assert site.refused(RELEASE, by="clerk") == "change-signature"
    done = site.approve(proposal, by="officer")
    approved, entered = done.drafts
    assert (approved.kind, entered.kind, entered.tenants) == (
        "proposal.approved",
        "operator.changed",
        ("school",),
    )
    assert entered.public["roles"] == ["registrar"]
    assert [record.id for record in site.writes.operators] == ["clerk"]
    assert site.refused(RELEASE, by="clerk") == "change-not-yours"


def test_an_operator_is_revoked_by_one_and_at_once(site: Ground):
    gone = account("guard", HOST, [Role.GUARD], version=2, revoked=True)
    done = site.made(site.appointment(gone), by="officer")
    assert done.drafts[0].public["revoked"] is True
    assert site.refused(LockdownChange(scope="zone:yard", on=True), by="guard") == "change-operator"


def test_a_tenant_takes_from_its_own_operators_and_gives_to_none(site: Ground):
    clerk = account("clerk", "school", [Role.REGISTRAR])
    assert site.refused(site.appointment(clerk), by="school") == "change-role"
    site.approve(site.proposed(site.appointment(clerk), by="admin"), by="officer")
    gone = replace(clerk, version=2, revoked=True)
    assert site.refused(site.appointment(gone), by="club") == "change-not-yours"
    site.made(site.appointment(gone), by="school")


def test_who_was_nobody_is_entered_as_revoked_by_two_for_it_takes_a_name(site: Ground):
    squat = account("general", "school", [Role.TENANT_ADMIN], revoked=True)
    for by in ("school", "officer"):
        assert site.refused(site.appointment(squat), by=by) == "change-role"
    proposal = site.proposed(site.appointment(squat), by="admin")
    assert proposal.gives == ("general is a name of school",)
    assert site.approve(proposal, by="officer").outcome.code == APPLIED
    general = account("general", HOST, [Role.GUARD], key="another")
    assert site.refused(site.appointment(general), by="admin") == "operator-known"


def test_what_was_to_be_given_to_an_operator_is_outdated_once_something_else_was_said_of_them(site: Ground):
    """Who was revoked does not come back by a grant that was proposed before: it must be proposed anew."""
    guard = account("guard", HOST, [Role.GUARD, Role.SECURITY_OFFICER], version=3)
    proposal = site.proposed(site.appointment(guard), by="admin")
    other = site.proposed(site.appointment(account("clerk", "school", [Role.REGISTRAR])), by="admin")
    assert (len(proposal.base), other.base) == (32, b"")
    site.made(site.appointment(account("guard", HOST, [Role.GUARD], version=2, revoked=True)), by="officer")
    assert site.refused(ApprovalChange(digest=proposal.digest), by="officer") == "proposal-outdated"
    site.restart()
    assert site.refused(ApprovalChange(digest=proposal.digest), by="officer") == "proposal-outdated"
    assert site.approve(other, by="officer").outcome.code == APPLIED, "of the clerk nothing else was said"
    again = site.proposed(site.appointment(guard), by="admin")
    assert site.approve(again, by="officer").outcome.code == APPLIED


def test_an_account_of_an_older_version_is_refused(site: Ground):
    guard = account("guard", HOST, [Role.GUARD])
    assert site.refused(site.appointment(guard), by="admin") == "operator-old"
    site.made(site.appointment(replace(guard, version=3, revoked=True)), by="admin")
    assert site.refused(site.appointment(replace(guard, version=2)), by="admin") == "operator-old"


def test_a_name_that_is_taken_stays_with_its_tenant(site: Ground):
    other = account("guard", "school", [Role.REGISTRAR], key="another", version=9)
    assert site.refused(site.appointment(other), by="admin") == "operator-known"


def test_a_key_is_one_operators(site: Ground):
    for key in ("guard", "officer"):
        other = account("clerk", "school", [Role.REGISTRAR], key=key)
        assert site.refused(site.appointment(other), by="admin") == "operator-key"


def test_a_document_that_no_tenant_signed_makes_no_operator(site: Ground):
    clerk = account("clerk", "school", [Role.REGISTRAR])
    forged = OperatorChange(
        operator=clerk.id, document=signed_account(clerk, site=SITE, key=key_of("club signing"))
    )
    # Signed by the club, it is an account of the club's.
    assert site.proposed(forged, by="admin").subject == "clerk"
    stranger = OperatorChange(
        operator=clerk.id, document=signed_account(clerk, site=SITE, key=key_of("stranger"))
    )
    assert site.refused(stranger, by="admin") == "change-appointment"


def test_the_last_two_who_can_make_an_operator_stay(site: Ground):
    site.made(site.appointment(account("colonel", HOST, list(Role), version=2, revoked=True)), by="admin")
    site.made(site.appointment(account("army", HOST, list(Role), version=2, revoked=True)), by="admin")
    for name, role in (("officer", Role.SECURITY_OFFICER), ("admin", Role.SITE_ADMIN)):
        gone = account(name, HOST, [role], version=2, revoked=True)
        assert site.refused(site.appointment(gone), by="admin") == "operator-last"


def test_two_grants_of_the_same_account_are_made_once(site: Ground):
    clerk = account("clerk", "school", [Role.REGISTRAR])
    first = site.proposed(site.appointment(clerk), by="admin")
    second = site.proposed(site.appointment(clerk), by="admin")
    assert site.approve(first, by="officer").outcome.code == APPLIED
    assert site.refused(ApprovalChange(digest=second.digest), by="officer") == "operator-old"


# -- another engine, and a database that is not what it was --------------------------------------------------------------


def test_an_engine_that_takes_over_finds_what_waits(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    site.restart()
    assert list(site.flow.proposals) == [proposal]
    assert site.approve(proposal, by="admin").outcome.code == APPLIED
    site.restart()
    assert list(site.flow.proposals) == []


def test_a_row_that_names_another_author_lets_nobody_approve_their_own(site: Ground):
    proposal = site.proposed(RELEASE, by="army")
    site.flow.proposals = Proposals([replace(proposal, author=OperatorId("somebody"))])
    assert site.refused(ApprovalChange(digest=proposal.digest), by="army") == "proposal-own"


def test_a_row_with_other_bytes_than_those_that_were_approved_is_none(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    other = site.change(LockdownChange(scope="zone:yard", on=False), by="officer")
    assert len(Proposals([replace(proposal, document=other)])) == 0


def test_a_row_that_was_never_signed_is_not_made(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    forged = bytes(proposal.document[:-1]) + bytes([proposal.document[-1] ^ 1])
    put = replace(proposal, document=forged, digest=digest_of(forged))
    site.flow.proposals = Proposals([put])
    assert site.refused(ApprovalChange(digest=put.digest), by="admin") == "change-signature"


def test_a_row_cannot_make_a_proposal_wait_longer_than_its_signature_counts(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    site.now = NOON + PROPOSAL_LASTS + timedelta(seconds=1)
    site.flow.proposals = Proposals([replace(proposal, expires=NOON + timedelta(days=400))])
    assert site.refused(ApprovalChange(digest=proposal.digest), by="admin") == "change-stale"


def test_an_approval_is_no_proposal(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    approval = site.change(ApprovalChange(digest=proposal.digest), by="admin")
    put = replace(proposal, document=approval, digest=digest_of(approval))
    site.flow.proposals = Proposals([put])
    assert site.refused(ApprovalChange(digest=put.digest), by="officer") == "change-role"


def test_proposals_that_wait_are_taken_away_once(site: Ground):
    proposal = site.proposed(RELEASE, by="officer")
    assert site.flow.proposals.end(proposal.digest) == proposal
    with pytest.raises(KeyError):
        site.flow.proposals.end(proposal.digest)
    site.flow.proposals.make(proposal)
    with pytest.raises(ValueError, match="cannot wait"):
        site.flow.proposals.make(proposal)


# -- whatever happens, in whatever order --------------------------------------------------------------------------------

PEOPLE = ("army", "colonel", "officer", "admin", "guard", "school")
MAY_PROPOSE, MAY_APPROVE = {"army", "colonel", "officer"}, {"army", "colonel", "officer", "admin"}
MAY_EXPORT = {"army": {"army", "colonel"}, "school": {"school"}}
SCOPES = ("site", "zone:yard")


class TwoPeople(RuleBasedStateMachine):
    """People lock down, propose to release and to export, approve, withdraw; time passes; engines come and go."""

    @initialize()
    def begin(self) -> None:
        self.site = Ground()
        self.locked = {"site"}
        self.known: list[Proposal] = []
        self.open: dict[bytes, tuple[str, str, Any]] = {}

    @rule(by=st.sampled_from(PEOPLE), scope=st.sampled_from(SCOPES))
    def locks_down(self, by: str, scope: str) -> None:
        done = self.site.supervise(LockdownChange(scope=scope, on=True), by=by)
        may = by in {"army", "colonel", "officer", "guard"}
        assert (done.outcome.code == APPLIED) is may
        if may:
            self.locked.add(scope)
            self.open = {digest: one for digest, one in self.open.items() if one[1] != scope}

    @rule(by=st.sampled_from(PEOPLE), scope=st.sampled_from(SCOPES))
    def proposes(self, by: str, scope: str) -> None:
        done = self.site.supervise(LockdownChange(scope=scope, on=False), by=by)
        assert (done.outcome.code == PROPOSED) is (by in MAY_PROPOSE), done.outcome
        if by in MAY_PROPOSE:
            proposal = self.site.writes.proposals[-1]
            self.known.append(proposal)
            self.open[proposal.digest] = (by, scope, proposal.expires)

    @rule(by=st.sampled_from(PEOPLE), tenant=st.sampled_from(["army", "school"]))
    def proposes_an_export(self, by: str, tenant: str) -> None:
        export = ExportChange(tenant=TenantId(tenant), what=Exported.HOLDERS, reason="a review")
        done = self.site.supervise(export, by=by)
        may = by in MAY_EXPORT[tenant]
        assert (done.outcome.code == PROPOSED) is may, done.outcome
        if may:
            proposal = self.site.writes.proposals[-1]
            self.known.append(proposal)
            self.open[proposal.digest] = (by, "", proposal.expires)

    @precondition(lambda self: self.known)
    @rule(by=st.sampled_from(PEOPLE), data=st.data())
    def approves(self, by: str, data: st.DataObject) -> None:
        proposal = data.draw(st.sampled_from(self.known))
        author, scope, until = self.open.get(proposal.digest, ("", "", self.site.now))
        expected = (
            by in MAY_APPROVE and proposal.digest in self.open and author != by and self.site.now < until
        )
        done = self.site.supervise(ApprovalChange(digest=proposal.digest), by=by)
        assert (done.outcome.code == APPLIED) is expected, done.outcome
        if expected:
            self.locked.discard(scope)
            del self.open[proposal.digest]

    @precondition(lambda self: self.known)
    @rule(by=st.sampled_from(PEOPLE), data=st.data())
    def withdraws(self, by: str, data: st.DataObject) -> None:
        proposal = data.draw(st.sampled_from(self.known))
        author, _, until = self.open.get(proposal.digest, ("", "", self.site.now))
        done = self.site.supervise(WithdrawalChange(digest=proposal.digest), by=by)
        assert (done.outcome.code == APPLIED) is (author == by and self.site.now < until), done.outcome
        if done.outcome.code == APPLIED:
            del self.open[proposal.digest]

    @rule(hours=st.sampled_from([1, 11, 23, 24]), told=st.booleans())
    def time_passes(self, hours: int, *, told: bool) -> None:
        self.site.advance(hours=hours)
        if told:
            self.site.expire()
            self.open = {digest: one for digest, one in self.open.items() if self.site.now < one[2]}

    @rule()
    def an_engine_dies_and_another_takes_over(self) -> None:
        self.site.restart()

    @invariant()
    def nothing_is_released_or_exported_by_one_alone_or_twice(self) -> None:
        released = [draft.public for draft in self._drafts("lockdown.changed") if not draft.public["on"]]
        exported = [draft.public for draft in self._drafts("people.exported")]
        by_two = [draft.public for draft in self.site.drafts if "approved_by" in draft.public]
        assert all(one in by_two for one in (*released, *exported))
        assert all(one["author"] != one["approved_by"] for one in by_two)
        assert all(one["approved_by"] in MAY_APPROVE for one in by_two)
        assert all(one["author"] in MAY_PROPOSE for one in released)
        assert all(one["author"] in MAY_EXPORT[one["tenant"]] for one in exported)
        made = [one["proposal"] for one in by_two]
        assert len(made) == len(set(made))
        approvals = [draft.public["proposal"] for draft in self._drafts("proposal.approved")]
        assert approvals == made

    @invariant()
    def what_is_locked_down_is_what_was_said(self) -> None:
        assert self.site.flow.lockdowns == self.locked
        waiting = {one.digest for one in self.site.flow.proposals}
        assert waiting == set(self.open)
        assert waiting == {one.digest for one in self.site.waiting_in_the_database()}

    @invariant()
    def every_entry_has_its_place(self) -> None:
        assert [draft.seq for draft in self.site.drafts] == list(range(self.site.flow.next_seq))

    def _drafts(self, kind: str) -> Iterator[Any]:
        return (draft for draft in self.site.drafts if draft.kind == kind)


TwoPeople.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestWhateverPeopleDoTwoReleaseALockdownAndOnce = TwoPeople.TestCase
