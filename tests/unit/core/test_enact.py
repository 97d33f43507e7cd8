"""What a change leaves behind when it is made: what its entry says and to whom, and what is stored beside the log."""

import hashlib
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.change import GuardChange, OperatorChange, SuspensionChange
from gatekeeper.core.operators import Role
from gatekeeper.core.supervise import APPLIED
from gatekeeper.model.ids import TenantId
from tests.support.operators import FROM, UNTIL, account, signed_account
from tests.support.rules_site import RuledSite
from tests.support.sites import SITE, SmallSite, key_of

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
