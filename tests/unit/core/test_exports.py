"""Exports: a tenant's own person proposes, one of the host's agrees, and the entry says who may write what, and why."""

import json
from datetime import timedelta

import pytest

from gatekeeper.core.audit import SITE_TREE, Draft, seal_body, seal_personal
from gatekeeper.core.change import ApprovalChange, ExportChange, Exported
from gatekeeper.core.operators import Role
from gatekeeper.core.proposals import PROPOSAL_LASTS, Proposal
from gatekeeper.core.supervise import APPLIED, EXPIRED, PROPOSED, Supervised, expire_proposals
from gatekeeper.model.ids import TenantId
from tests.support.operators import account, recorded_account
from tests.support.sites import NOON, SITE, SmallSite, key_of

HOLDERS = ExportChange(tenant=TenantId("school"), what=Exported.HOLDERS, reason="yearly review")
BADGES = ExportChange(tenant=TenantId("school"), what=Exported.BADGES, reason="yearly review")
OF_HOST = ExportChange(tenant=TenantId("army"), what=Exported.HOLDERS, reason="yearly review")


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def proposed(site: SmallSite, content: ExportChange, *, by: str) -> Proposal:
    done = site.supervise(content, by=by)
    assert done.outcome.code == PROPOSED, done.outcome
    (*_, proposal) = site.flow.proposals
    return proposal


def approve(site: SmallSite, proposal: Proposal, *, by: str) -> Supervised:
    return site.supervise(ApprovalChange(digest=proposal.digest), by=by)


def exported(site: SmallSite) -> list[Draft]:
    return [draft for draft in site.drafts if draft.kind == "people.exported"]


def appointed(site: SmallSite, name: str, tenant: str, *roles: Role) -> str:
    record = recorded_account(account(name, tenant, roles), site=SITE, key=key_of(f"{tenant} signing"))
    site.flow.operators.put(record)
    return name


@pytest.mark.parametrize("what", Exported)
def test_an_export_is_proposed_and_nothing_is_exported_by_one_alone(site: SmallSite, what: Exported):
    content = ExportChange(tenant=TenantId("school"), what=what, reason="yearly review")
    done = site.supervise(content, by="school")
    assert done.outcome.code == PROPOSED
    assert done.outcome.detail == f"all {what.value} of school in a file: yearly review"
    (draft,) = done.drafts
    assert draft.kind == "proposal.made"
    assert {name: draft.public[name] for name in ("proposes", "subject", "gives", "by", "author")} == {
        "proposes": "export",
        "subject": "school",
        "gives": [f"all {what.value} of school in a file: yearly review"],
        "by": "school",
        "author": "school",
    }
    assert exported(site) == []


def test_once_another_agrees_the_log_says_who_may_export_what_and_why(site: SmallSite):
    proposal = proposed(site, BADGES, by="school")
    done = approve(site, proposal, by="officer")
    assert done.outcome.code == APPLIED
    approved, entry = done.drafts
    assert [approved.kind, entry.kind] == ["proposal.approved", "people.exported"]
    assert entry.public == {
        "tenant": "school",
        "what": "badges",
        "reason": "yearly review",
        "change": proposal.change.hex(),
        "by": "school",
        "author": "school",
        "signed_at": "2026-06-03T10:00:00.000000Z",
        "proposal": proposal.digest.hex(),
        "approved_by": "officer",
    }
    assert entry.tenants == ("school",), "it stands in the tenant's own tree, and in no other tenant's"
    outcomes = {one.change: (one.code, one.seq) for one in site.writes.outcomes}
    assert outcomes[proposal.change] == (APPLIED, entry.seq), "whoever proposed it hears which entry it is"


def test_nothing_of_a_person_stands_in_the_entry_of_an_export(site: SmallSite):
    approve(site, proposed(site, HOLDERS, by="school"), by="officer")
    (entry,) = exported(site)
    assert (entry.person, entry.personal, seal_personal(entry, salt=bytes(16))) == (None, None, None)
    trees = {SITE_TREE: entry.seq, "tenant:school": 0}
    body = seal_body(entry, site=SITE, trees=trees, nonce=bytes(16), personal=None)
    assert json.loads(body).keys() == {
        *("v", "site", "seq", "at", "kind", "nonce", "trees"),
        *("tenant", "what", "reason", "change", "by", "author", "signed_at", "proposal", "approved_by"),
    }
    told = body.decode()
    assert not [name for name in site.holders if name in told]
    assert not [one.badge.id for one in site.badges.values() if one.badge.id in told]


def test_an_export_changes_nothing_on_the_site(site: SmallSite):
    before, writes = site.snapshot()[1:], (len(site.writes.holders), len(site.writes.badges))
    approve(site, proposed(site, HOLDERS, by="school"), by="officer")
    assert site.snapshot()[1:] == before
    assert (len(site.writes.holders), len(site.writes.badges)) == writes


@pytest.mark.parametrize(
    ("by", "code"),
    [
        ("club", "change-not-yours"),
        ("army", "change-not-yours"),
        ("officer", "change-role"),
        ("admin", "change-role"),
        ("guard", "change-role"),
    ],
)
def test_nobody_proposes_to_export_anothers_people(site: SmallSite, by: str, code: str):
    done = site.supervise(HOLDERS, by=by)
    assert (done.outcome.code, done.drafts, len(site.flow.proposals)) == (code, (), 0)


@pytest.mark.parametrize("role", Role)
def test_a_registrar_and_an_administrator_of_the_tenant_propose_and_nobody_else(site: SmallSite, role: Role):
    appointed(site, "jansma", "army", role)
    done = site.supervise(OF_HOST, by="jansma")
    may = role in {Role.REGISTRAR, Role.TENANT_ADMIN}
    assert done.outcome.code == (PROPOSED if may else "change-role")


@pytest.mark.parametrize("role", Role)
def test_an_officer_and_an_administrator_of_the_site_agree_and_nobody_else(site: SmallSite, role: Role):
    appointed(site, "jansma", "army", role)
    done = approve(site, proposed(site, HOLDERS, by="school"), by="jansma")
    may = role in {Role.SECURITY_OFFICER, Role.SITE_ADMIN}
    assert (done.outcome.code, len(exported(site))) == ((APPLIED, 1) if may else ("change-role", 0))


def test_the_tenants_own_second_registrar_is_not_the_second_person(site: SmallSite):
    appointed(site, "jansma", "school", Role.TENANT_ADMIN, Role.REGISTRAR)
    proposal = proposed(site, HOLDERS, by="school")
    assert approve(site, proposal, by="jansma").outcome.code == "change-role"
    assert approve(site, proposal, by="school").outcome.code == "proposal-own"
    assert exported(site) == []


def test_the_hosts_own_people_are_exported_by_two_different_people(site: SmallSite):
    proposal = proposed(site, OF_HOST, by="army")
    assert approve(site, proposal, by="army").outcome.code == "proposal-own"
    assert approve(site, proposal, by="colonel").outcome.code == APPLIED
    (entry,) = exported(site)
    assert (entry.public["author"], entry.public["approved_by"]) == ("army", "colonel")


def test_an_export_that_nobody_agrees_to_within_a_day_is_over(site: SmallSite):
    proposal = proposed(site, HOLDERS, by="school")
    site.now = NOON + PROPOSAL_LASTS
    assert approve(site, proposal, by="officer").outcome.code == EXPIRED
    (over,) = expire_proposals(site.flow, now=site.now, writes=site.writes)
    assert (over.kind, over.public["proposal"]) == ("proposal.expired", proposal.digest.hex())
    assert exported(site) == []


def test_an_export_is_approved_once(site: SmallSite):
    proposal = proposed(site, HOLDERS, by="school")
    site.now = NOON + PROPOSAL_LASTS - timedelta(seconds=1)
    approve(site, proposal, by="officer")
    assert approve(site, proposal, by="admin").outcome.code == "proposal-unknown"
    assert len(exported(site)) == 1


def test_who_has_left_the_tenants_service_meanwhile_exports_nothing(site: SmallSite):
    name = appointed(site, "jansma", "school", Role.REGISTRAR)
    proposal = proposed(site, HOLDERS, by=name)
    ended = account(name, "school", [Role.REGISTRAR], version=2, revoked=True)
    site.flow.operators.put(recorded_account(ended, site=SITE, key=key_of("school signing")))
    assert approve(site, proposal, by="officer").outcome.code == "change-operator"
    assert exported(site) == []
