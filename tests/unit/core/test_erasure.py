"""Forgetting a person, and legal holds: what is gone, what stays, and who must agree."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gatekeeper.core.change import (
    ApprovalChange,
    BadgeStateChange,
    ErasureChange,
    ForgivenessChange,
    HoldChange,
    HolderChange,
    LookUpChange,
)
from gatekeeper.core.custody import erase_again
from gatekeeper.core.holds import covers, holder_of_scope, is_hold_scope
from gatekeeper.core.memory import NEVER_USED
from gatekeeper.core.operators import Role
from gatekeeper.core.presence import Presence, Quality
from gatekeeper.core.supervise import APPLIED, PROPOSED, Supervised, Writes
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import HolderId, TenantId, ZoneId
from gatekeeper.model.messages import PassageOutcome, Verdict
from gatekeeper.model.reasons import Reason
from tests.support.changes import WHOLE_LOG, agreed, made, reason, refused
from tests.support.operators import account, recorded_account
from tests.support.sites import CARD, NOON, SITE, SmallSite, key_of, register_holder

PUPIL, SCHOOL = HolderId("pupil"), TenantId("school")
ERASURE = ErasureChange(holder=PUPIL, reason="left the school")


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def approve(site: SmallSite, *, by: str = "colonel") -> Supervised:
    (*_, proposal) = site.flow.proposals
    return site.supervise(ApprovalChange(digest=proposal.digest), by=by)


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("school", PROPOSED),
        ("admin", PROPOSED),
        ("officer", "change-role"),
        ("guard", "change-role"),
        ("club", "change-not-yours"),
    ],
)
def test_a_person_is_forgotten_on_the_word_of_their_tenant_or_of_the_sites_administrator(
    site: SmallSite, by: str, expected: str
):
    done = site.supervise(ERASURE, by=by)
    assert done.outcome.code == expected
    assert site.flow.register.tenant_of_holder(PUPIL) == SCHOOL, "and by nobody alone"


@pytest.mark.parametrize("role", Role)
def test_an_officer_or_an_administrator_agrees_to_it_and_nobody_else(site: SmallSite, role: Role):
    record = recorded_account(account("jansma", "army", [role]), site=SITE, key=key_of("army signing"))
    site.flow.operators.put(record)
    site.supervise(ERASURE, by="school")
    done = approve(site, by="jansma")
    may = role in {Role.SECURITY_OFFICER, Role.SITE_ADMIN}
    assert done.outcome.code == (APPLIED if may else "change-role")
    assert (site.flow.register.tenant_of_holder(PUPIL) is None) is may


def test_nobody_forgets_who_is_not_there(site: SmallSite):
    assert refused(site, ErasureChange(holder=HolderId("nobody"), reason="why not")) == "holder-unknown"


# -- what is gone -----------------------------------------------------------------------------------------------------


def test_the_log_says_that_somebody_was_forgotten_and_hides_who(site: SmallSite):
    site.supervise(ERASURE, by="school")
    (proposal,) = site.flow.proposals
    assert proposal.gives == ("a holder of school is forgotten, for good: left the school",)
    assert (proposal.subject, proposal.person) == ("", "pupil")
    entry = approve(site).drafts[-1]
    assert (entry.kind, entry.tenants, entry.person, entry.personal) == (
        *("person.erased", ("school",), "pupil", {"holder": "pupil"}),
    )
    assert {key: entry.public[key] for key in ("tenant", "reason", "by", "author", "approved_by")} == {
        "tenant": "school",
        "reason": "left the school",
        "by": "school",
        "author": "school",
        "approved_by": "colonel",
    }
    assert "pupil" not in str(entry.public)
    assert site.writes.erased == [(PUPIL, entry.seq)]


def test_a_badge_of_who_was_forgotten_is_no_badge_that_the_site_knows(site: SmallSite):
    badge = site.badges["pupil"].badge.id
    assert reason(site, "front-in", "pupil") is Reason.GRANTED
    agreed(site, ERASURE)
    tapped = site.tap("front-in", "pupil")
    assert tapped.answer.verdict is Verdict.DENIED
    assert tapped.decision is not None
    assert tapped.decision.reason is Reason.UNKNOWN_CREDENTIAL
    entry = tapped.drafts[0]
    assert entry.person != PUPIL, "nothing more is written under their name"
    assert entry.personal is not None
    assert entry.personal["holder"] is None
    register = site.flow.register
    assert (register.state(badge), register.issued_to(badge), register.tenant_of_badge(badge)) == (
        *(None, None, None),
    )
    assert register.token(badge) is None
    assert site.flow.register.holder(PUPIL, trust=site.flow.trust) is None


def test_a_card_number_of_who_was_forgotten_finds_nobody_and_is_free(site: SmallSite):
    carrier = next(name for name, issued in site.badges.items() if issued.badge.card == CARD)
    agreed(site, ErasureChange(holder=site.holders[carrier].id, reason="left"))
    register = site.flow.register
    assert register.token_of_card(CARD) is None
    assert register.card_is_free(CARD, trust=site.flow.trust, now=site.now)
    assert site.tap("shed-in", CARD).answer.verdict is Verdict.DENIED


def test_where_somebody_was_and_how_their_badge_was_used_is_forgotten_with_them(site: SmallSite):
    site.walk("front-in", "pupil")
    site.flow.memory.usage[site.badges["pupil"].badge.id] = replace(NEVER_USED, uses=1)
    assert site.where("pupil") == "yard"
    agreed(site, ERASURE)
    assert site.where("pupil") is None
    assert site.badges["pupil"].badge.id not in site.flow.memory.usage


def test_nobody_is_with_a_host_who_was_forgotten(site: SmallSite):
    guest = Presence(
        holder=HolderId("member"),
        zone=ZoneId("yard"),
        since=NOON,
        quality=Quality.TAKEN,
        access_point=None,
        seq=1,
        host=PUPIL,
        came_with=PUPIL,
    )
    site.flow.memory.move(guest, None)
    agreed(site, ERASURE)
    here = site.flow.whereabouts[guest.holder]
    assert (here.zone, here.host, here.came_with) == ("yard", None, None)


def test_a_passage_on_the_grant_of_who_was_forgotten_meanwhile_is_nobodys(site: SmallSite):
    scan = site.scan("front-in", "pupil")
    granted = site.recorded(scan)
    assert granted.receipt.holder == "pupil"
    agreed(site, ERASURE)
    passage = site.recorded(site.passage("front-in", PassageOutcome.TAKEN, scan=scan))
    assert (passage.drafts[0].person, passage.drafts[0].personal) == (None, None)
    assert site.where("pupil") is None
    assert granted.receipt.holder is None
    assert site.repeated(scan).receipt.seq == granted.receipt.seq, "what was answered stays answered"


def test_who_was_forgotten_is_not_made_again(site: SmallSite):
    agreed(site, ERASURE)
    again = replace(site.holders["pupil"], version=9)
    content = HolderChange(holder=PUPIL, document=register_holder(again), badges=())
    assert refused(site, content, by="school") == "holder-erased"
    for late in (LookUpChange(holder=PUPIL, purpose="why"), ERASURE):
        assert refused(site, late, by="army") == "holder-erased"
    assert refused(site, ForgivenessChange(holder=PUPIL), by="army") == "holder-unknown"
    lost = BadgeStateChange(badge=site.badges["pupil"].badge.id, state=BadgeState.LOST)
    assert refused(site, lost, by="army") == "badge-unknown"


def test_what_others_have_and_where_they_are_stays(site: SmallSite):
    site.walk("front-in", "sergeant")
    before = {
        name: site.flow.register.holder(one.id, trust=site.flow.trust) for name, one in site.holders.items()
    }
    agreed(site, ERASURE)
    after = {
        name: site.flow.register.holder(one.id, trust=site.flow.trust) for name, one in site.holders.items()
    }
    assert after == before | {"pupil": None}
    assert site.where("sergeant") == "yard"
    assert reason(site, "barrack-in", "sergeant") is Reason.GRANTED


def test_what_was_proposed_of_who_is_forgotten_ends_with_them(site: SmallSite):
    opened = replace(WHOLE_LOG, tree="tenant:school", holder=PUPIL, openings=True)
    other = replace(opened, holder=None)
    assert site.supervise(opened, by="school").outcome.code == PROPOSED
    assert site.supervise(other, by="school").outcome.code == PROPOSED
    assert site.supervise(ERASURE, by="school").outcome.code == PROPOSED
    mine, others, _ = site.flow.proposals
    done = approve(site)
    assert [draft.kind for draft in done.drafts] == ["proposal.approved", "person.erased", "proposal.expired"]
    assert done.drafts[2].public["proposal"] == mine.digest.hex()
    assert done.drafts[2].public["overtaken_by"] == done.drafts[1].seq
    assert [one.digest for one in site.flow.proposals] == [others.digest]


def test_who_comes_back_is_forgotten_again_and_what_was_proposed_of_them_too(site: SmallSite):
    assert site.supervise(ERASURE, by="school").outcome.code == PROPOSED
    writes, seq = Writes(), site.flow.next_seq
    entry = erase_again(PUPIL, site.flow, writes, now=NOON)
    assert entry is not None
    assert (entry.kind, entry.seq, entry.tenants, entry.public) == (
        *("person.erased", seq, ("school",), {"again": True, "tenant": "school"}),
    )
    assert (entry.person, entry.personal) == (None, None), "there is no key to say more under"
    assert (site.flow.next_seq, len(site.flow.proposals), writes.erased) == (seq + 1, 0, [(PUPIL, seq)])
    assert site.tap("front-in", "pupil").answer.verdict is Verdict.DENIED
    next_seq = site.flow.next_seq
    assert erase_again(HolderId("nobody"), site.flow, writes, now=NOON) is None
    assert (site.flow.next_seq, writes.erased[-1]) == (next_seq, ("nobody", next_seq - 1))
    assert site.flow.erased == {PUPIL, "nobody"}


# -- legal holds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["site", "tenant:school", "holder:pupil"])
def test_who_is_held_is_not_forgotten_until_two_have_lifted_the_hold(site: SmallSite, scope: str):
    site.supervise(ERASURE, by="school")
    made(site, HoldChange(scope=scope, on=True, reason="case 7"), by="officer")
    assert site.flow.holds == {scope}
    assert approve(site).outcome.code == "holder-held", "not even what was proposed before"
    assert refused(site, replace(ERASURE, reason="again"), by="school") == "holder-held"
    lift = HoldChange(scope=scope, on=False, reason="case 7 is closed")
    assert site.supervise(lift, by="officer").outcome.code == PROPOSED
    assert site.flow.holds == {scope}, "one alone lifts nothing"
    assert approve(site).outcome.code == APPLIED
    assert site.flow.holds == set()
    agreed(site, ERASURE)
    assert site.flow.erased == {PUPIL}


@pytest.mark.parametrize("scope", ["tenant:club", "tenant:army", "holder:sergeant"])
def test_a_hold_on_others_keeps_nobody_else(site: SmallSite, scope: str):
    made(site, HoldChange(scope=scope, on=True, reason="case 7"), by="officer")
    assert agreed(site, ERASURE).kind == "person.erased"


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("officer", APPLIED),
        ("admin", "change-role"),
        ("guard", "change-role"),
        ("school", "change-not-yours"),
    ],
)
def test_an_officer_of_the_host_places_a_hold(site: SmallSite, by: str, expected: str):
    assert site.supervise(HoldChange(scope="site", on=True, reason="case"), by=by).outcome.code == expected


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (HoldChange(scope="tenant:nobody", on=True, reason="case"), "scope-unknown"),
        (HoldChange(scope="holder:nobody", on=True, reason="case"), "holder-unknown"),
        (HoldChange(scope="site", on=False, reason="case"), "hold-unknown"),
        (HoldChange(scope="holder:pupil", on=False, reason="case"), "hold-unknown"),
    ],
)
def test_a_hold_is_on_what_is_there(site: SmallSite, content: HoldChange, code: str):
    assert refused(site, content, by="officer") == code


def test_the_log_says_what_is_held_and_of_a_person_not_whom(site: SmallSite):
    entries = {
        scope: made(site, HoldChange(scope=scope, on=True, reason="case 7"), by="officer").draft
        for scope in ("site", "tenant:school", "holder:pupil")
    }
    told = {
        scope: (
            entry.public["scope"],
            entry.public.get("tenant"),
            entry.tenants,
            entry.person,
            entry.personal,
        )
        for scope, entry in entries.items()
        if entry is not None and entry.kind == "hold.placed"
    }
    assert told == {
        "site": ("site", None, (), None, None),
        "tenant:school": ("tenant:school", None, ("school",), None, None),
        "holder:pupil": ("holder", "school", ("school",), "pupil", {"holder": "pupil"}),
    }
    assert site.writes.holds == [(scope, entry.seq) for scope, entry in entries.items() if entry is not None]
    lifted = agreed(site, HoldChange(scope="holder:pupil", on=False, reason="closed"))
    assert (lifted.kind, lifted.public["scope"], lifted.personal) == (
        *("hold.lifted", "holder", {"holder": "pupil"}),
    )
    assert site.writes.holds[-1] == ("holder:pupil", None)


def test_who_lifts_a_hold_on_somebody_says_in_public_of_nobody(site: SmallSite):
    made(site, HoldChange(scope="holder:pupil", on=True, reason="case 7"), by="officer")
    site.supervise(HoldChange(scope="holder:pupil", on=False, reason="closed"), by="officer")
    (proposal,) = site.flow.proposals
    assert (proposal.subject, proposal.person) == ("", "pupil")
    assert proposal.gives == ("the legal hold on a holder is lifted: closed",)


def test_a_hold_that_is_placed_twice_is_one(site: SmallSite):
    hold = HoldChange(scope="site", on=True, reason="case 7")
    assert made(site, hold, by="officer").outcome.detail == "site is held"
    assert made(site, hold, by="officer").outcome.detail == "site is held already"
    assert site.flow.holds == {"site"}


@pytest.mark.parametrize(
    ("scope", "one", "whose"),
    [
        ("site", True, None),
        ("tenant:school", True, None),
        ("holder:pupil", True, "pupil"),
        ("site:", False, None),
        ("holder:", False, ""),
        ("holder:A Pupil", False, "A Pupil"),
        ("zone:yard", False, None),
        ("", False, None),
    ],
)
def test_a_scope_has_one_spelling(scope: str, *, one: bool, whose: str | None):
    assert is_hold_scope(scope) is one
    assert holder_of_scope(scope) == whose


@pytest.mark.parametrize(
    ("holds", "holder", "tenant", "covered"),
    [
        (set(), "pupil", "school", False),
        ({"site"}, "pupil", "school", True),
        ({"site"}, None, None, True),
        ({"tenant:school"}, "pupil", "school", True),
        ({"tenant:school"}, None, "school", True),
        ({"tenant:school"}, None, None, False),
        ({"tenant:club"}, "pupil", "school", False),
        ({"holder:pupil"}, "pupil", "school", True),
        ({"holder:pupil"}, "other", "school", False),
        ({"holder:pupil"}, None, "school", False),
        ({"holder:school"}, None, "school", False),
        ({"tenant:pupil"}, "pupil", "school", False),
    ],
)
def test_a_hold_covers_what_is_within_its_scope(
    holds: set[str], holder: str | None, tenant: str | None, *, covered: bool
):
    of = None if holder is None else HolderId(holder)
    assert covers(holds, holder=of, tenant=None if tenant is None else TenantId(tenant)) is covered


def test_time_makes_nobody_known_again(site: SmallSite):
    agreed(site, ERASURE)
    site.now = datetime(2026, 6, 4, 10, tzinfo=UTC)
    assert site.tap("front-in", "pupil").answer.verdict is Verdict.DENIED
