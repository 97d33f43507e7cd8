"""What a change leaves behind when it is made: what its entry says and to whom, and what is stored beside the log."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.change import (
    BadgeStateChange,
    ForgivenessChange,
    GuardChange,
    HolderChange,
    LockdownChange,
    OperatorChange,
    SuspensionChange,
    WithdrawalChange,
)
from gatekeeper.core.operators import Role
from gatekeeper.core.proposals import Ending, digest_of
from gatekeeper.core.supervise import APPLIED, EXPIRED, PROPOSED, WITHDRAWN, expire_proposals
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import HolderId, TenantId
from gatekeeper.model.reasons import Reason
from tests.support.operators import FROM, UNTIL, account, signed_account
from tests.support.rules_site import RuledSite
from tests.support.sites import BADGES, SITE, SmallSite, key_of, register_holder

SCHOOL = TenantId("school")
SIGNED = {"change", "by", "author", "signed_at"}


def said(public: Any) -> dict[str, Any]:
    """What an entry says beside who signed the change."""
    return {key: value for key, value in public.items() if key not in SIGNED}


def test_a_suspension_stands_in_the_tenants_own_tree_and_is_stored_until_it_ends():
    site = SmallSite()
    for on, kind, stored in (
        (True, Kind.TENANT_SUSPENDED, {SCHOOL}),
        (False, Kind.TENANT_REINSTATED, frozenset()),
    ):
        done = site.supervise(SuspensionChange(tenant=SCHOOL, on=on))
        assert done.outcome.code == APPLIED
        assert (done.draft.kind, said(done.draft.public)) == (kind, {"tenant": SCHOOL})
        assert done.draft.tenants == (SCHOOL,)
        assert site.writes.suspended == stored


@pytest.mark.parametrize("tenant", ["army", "nobody"])
def test_the_host_is_not_suspended_and_nobody_who_is_not_there(tenant: str):
    site = SmallSite()
    before = site.snapshot()
    done = site.supervise(SuspensionChange(tenant=TenantId(tenant), on=True))
    assert (done.outcome.code, done.drafts) == ("tenant-unknown", ())
    assert (site.snapshot(), site.flow.suspended, site.writes.suspended) == (before, frozenset(), None)


@pytest.mark.parametrize("yes", [True, False])
def test_a_guards_word_names_the_scan_and_stands_where_the_scan_does(*, yes: bool):
    site = RuledSite({"shed": {"guard_check": {"seconds": 20}}})
    (waiting,) = site.tap("shed-in", "teacher").drafts
    done = site.supervise(GuardChange(entry=waiting.seq, yes=yes))
    assert said(done.draft.public) == {"scan": waiting.seq, "yes": yes}
    assert done.draft.tenants == waiting.tenants
    assert SCHOOL in done.draft.tenants


def test_the_entry_of_an_account_says_all_that_the_account_does():
    site = RuledSite()
    clerk = account("clerk", "school", [Role.REGISTRAR, Role.AUDITOR], version=7)
    document = signed_account(clerk, site=SITE, key=key_of("school signing"))
    site.changed(OperatorChange(operator=clerk.id, document=document))
    (entered,) = [draft for draft in site.drafts if draft.kind is Kind.OPERATOR_CHANGED]
    told = {
        key: value for key, value in said(entered.public).items() if key not in {"proposal", "approved_by"}
    }
    assert told == {
        "tenant": "school",
        "operator": "clerk",
        "roles": ["auditor", "registrar"],
        "key": hashlib.sha256(clerk.key.public_der).hexdigest(),
        "version": 7,
        "revoked": False,
        "from": timestamp(FROM),
        "until": timestamp(UNTIL),
    }
    assert entered.tenants == (SCHOOL,)
    assert [(one.id, one.tenant, one.document) for one in site.writes.operators] == [
        (clerk.id, "school", document)
    ]


def test_who_is_forgiven_is_named_under_their_own_key_in_their_tenants_tree():
    site = RuledSite()
    site.walk("front-in", "teacher")
    done = site.supervise(ForgivenessChange(holder=HolderId("teacher")))
    assert (done.draft.kind, said(done.draft.public)) == (Kind.PRESENCE_FORGIVEN, {"tenant": "school"})
    assert (done.draft.tenants, done.draft.person) == ((SCHOOL,), "teacher")
    assert done.draft.personal == {"holder": "teacher"}
    assert site.writes.forgiven == ["teacher"]


@pytest.mark.parametrize(("holder", "code"), [("ghost", "holder-unknown"), ("teacher", "presence-unknown")])
def test_nobody_is_forgiven_who_is_nowhere(holder: str, code: str):
    site = RuledSite()
    done = site.supervise(ForgivenessChange(holder=HolderId(holder)))
    assert (done.outcome.code, done.drafts, site.writes.forgiven) == (code, (), [])


@pytest.mark.parametrize(("first", "forgotten"), [("forgiven", []), ("let in", ["teacher"])])
def test_who_is_forgiven_and_let_in_within_one_commit_is_where_the_last_word_says(
    first: str, forgotten: list[str]
):
    """What a commit forgets it forgets last: who comes in after being forgiven is not among them any more."""
    site = RuledSite({"shed": {"guard_check": {"seconds": 20}}})
    site.walk("front-in", "teacher")
    site.walk("front-in", "pupil")
    (waiting,) = site.tap("shed-in", "teacher").drafts
    forgiveness, word = (
        ForgivenessChange(holder=HolderId("teacher")),
        GuardChange(entry=waiting.seq, yes=True),
    )
    for change in (forgiveness, word) if first == "forgiven" else (word, forgiveness):
        assert site.supervise(change).outcome.code == APPLIED
    assert site.writes.forgiven == forgotten
    assert site.where("teacher") == (None if forgotten else "shed")
    assert site.presences.keys() == {"pupil"} | ({"teacher"} if not forgotten else set())
    site.supervise(ForgivenessChange(holder=HolderId("pupil")))
    assert site.writes.forgiven == [*forgotten, "pupil"]


def test_who_waits_for_company_waits_on_while_another_is_registered_anew():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    again = replace(site.holders["member"], version=2)
    site.supervise(HolderChange(holder=again.id, document=register_holder(again), badges=()), by="club")
    assert site.drafts[-1].kind is Kind.HOLDER_REGISTERED
    assert [one.holder for one in site.ask("barrack-in", "sergeant").party] == ["private"]


def test_who_waits_for_company_waits_on_while_another_is_forgiven():
    site = RuledSite({"barrack": {"two_persons": {"seconds": 60}}})
    site.walk("front-in", "teacher")
    site.denied("barrack-in", "private", Reason.NO_ACCOMPANIMENT)
    site.changed(ForgivenessChange(holder=HolderId("teacher")))
    assert [one.holder for one in site.ask("barrack-in", "sergeant").party] == ["private"]


RELEASE = LockdownChange(scope="site", on=False)


def proposed(site: SmallSite) -> bytes:
    """The digest of a release that waits under the id of sixteen zero bytes."""
    site.supervise(LockdownChange(scope="site", on=True))
    document = site.change(RELEASE, by="officer", change_id=bytes(16))
    assert site.supervise(document, filed_as=bytes(16)).outcome.code == PROPOSED
    return digest_of(document)


def test_a_withdrawal_says_of_itself_and_of_the_proposal_what_became_of_it_and_where_that_stands():
    site = SmallSite()
    digest = proposed(site)
    done = site.supervise(WithdrawalChange(digest=digest), by="officer")
    seq = done.draft.seq
    assert (done.draft.kind, done.draft.public["author"]) == (Kind.PROPOSAL_WITHDRAWN, "officer")
    assert (done.outcome.code, done.outcome.detail, done.outcome.seq) == (APPLIED, "", seq)
    (ended,) = [one for one in site.writes.outcomes if one.code == WITHDRAWN]
    assert (ended.change, ended.detail, ended.seq) == (bytes(16), "", seq)
    assert site.writes.endings == [(digest, Ending.WITHDRAWN, seq)]


def test_a_proposal_that_nobody_approved_says_what_became_of_it_and_where_that_stands():
    site = SmallSite()
    digest = proposed(site)
    site.advance(hours=24)
    (draft,) = expire_proposals(site.flow, now=site.now, writes=site.writes)
    assert (draft.kind, draft.at) == (Kind.PROPOSAL_EXPIRED, site.now)
    assert draft.public == {"proposal": digest.hex(), "proposes": "lockdown", "subject": "site"}
    ended = site.writes.outcomes[-1]
    assert (ended.change, ended.code, ended.detail, ended.seq) == (bytes(16), EXPIRED, "", draft.seq)
    assert site.writes.endings == [(digest, Ending.EXPIRED, draft.seq)]


def test_a_change_about_a_tenant_that_the_policy_does_not_know_stands_in_the_sites_tree_alone():
    site = SmallSite()
    tenants = {name: rights for name, rights in site.flow.policy.tenants.items() if name != "club"}
    for expected in (("club",), ()):
        done = site.supervise(
            BadgeStateChange(badge=BADGES["member"].badge.id, state=BadgeState.LOST), by="club"
        )
        assert (done.draft.tenants, done.draft.public["tenant"]) == (expected, "club")
        site.flow.policy = replace(site.flow.policy, tenants=tenants)
