"""Documents in changes: registrations, policies and trust lists, believed by their own signatures and swapped whole."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gatekeeper.core.audit import Kind
from gatekeeper.core.change import (
    BadgeIssue,
    BadgeStateChange,
    HolderChange,
    OperatorChange,
    PolicyChange,
    TrustChange,
)
from gatekeeper.core.operators import Role
from gatekeeper.core.policy_document import sign_policy
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.scan import Rejected
from gatekeeper.core.supervise import StoredBadge, StoredHolder
from gatekeeper.core.trust import KeyState, TenantTrust, Use
from gatekeeper.model.badges import Assurance, BadgeRecord, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import GateId, HolderId, TenantId
from gatekeeper.model.messages import Verdict
from gatekeeper.model.people import Holder
from gatekeeper.model.reasons import Reason
from tests.support.changes import agreed, made, reason, refused
from tests.support.operators import account, signed_account
from tests.support.sites import (
    BADGES,
    CARD,
    NOON,
    SITE,
    Issued,
    SmallSite,
    ground,
    issue,
    key_of,
    listed,
    register_holder,
    signed_trust,
    site_document,
    trusted,
)

ARMY, SCHOOL = TenantId("army"), TenantId("school")
NEW_CARD = Card(CardTechnology.WIEGAND, b"\xde\xad")


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


# -- holders ----------------------------------------------------------------------------------------------------------


def newcomer(**changes: Any) -> Holder:
    fields = {"id": HolderId("newcomer"), "badges": (NEW.badge.id,), "version": 1}
    return replace(ground().holders["pupil"], **(fields | changes))


NEW = issue("newcomer", "school", assurance=Assurance.CARD_NUMBER, card=NEW_CARD)


def registration(holder: Holder, *issued: Issued) -> HolderChange:
    issues = tuple(BadgeIssue(badge=one.badge.id, token=one.token, card=one.badge.card) for one in issued)
    return HolderChange(holder=holder.id, document=register_holder(holder), badges=issues)


def test_a_new_holder_and_a_new_badge_are_there_from_the_next_scan_on(site: SmallSite):
    assert reason(site, "shed-in", NEW_CARD) is Reason.UNKNOWN_CREDENTIAL
    change = registration(newcomer(), NEW)
    done = made(site, change, by="school", name=b"Nina Newcomer")
    assert done.draft.kind is Kind.HOLDER_REGISTERED
    assert done.draft.tenants == ("school",)
    public = done.draft.public
    assert (public["tenant"], public["version"], public["badges"], public["by"]) == ("school", 1, 1, "school")
    assert (done.draft.person, done.draft.personal) == (
        "newcomer",
        {"holder": "newcomer", "badges": [NEW.badge.id]},
    )
    assert site.writes.holders == [
        StoredHolder(
            record=HolderRecord(id=HolderId("newcomer"), document=change.document),
            tenant=SCHOOL,
            name=b"Nina Newcomer",
            badges=(NEW.badge.id,),
        )
    ]
    assert site.writes.badges == [
        StoredBadge(
            record=BadgeRecord(id=NEW.badge.id, token=NEW.token, state=BadgeState.ACTIVE),
            tenant=SCHOOL,
            holder=HolderId("newcomer"),
            card=NEW_CARD,
        )
    ]
    assert reason(site, "shed-in", NEW_CARD) is Reason.GRANTED


def test_a_name_stands_in_no_entry(site: SmallSite):
    done = made(site, registration(newcomer(), NEW), by="school", name=b"Nina Newcomer")
    assert "Nina" not in repr(done.draft)


def test_a_renewed_registration_takes_the_place_of_the_former(site: SmallSite):
    promoted = replace(site.holders["private"], clearance=5, version=2)
    assert reason(site, "armoury-in", "private") is Reason.CLEARANCE
    made(site, registration(promoted))
    assert reason(site, "armoury-in", "private") is Reason.GRANTED


@pytest.mark.parametrize("version", [1, 2])
def test_a_registration_does_not_go_back(version: int, site: SmallSite):
    made(site, registration(replace(site.holders["private"], version=2)))
    old = replace(site.holders["private"], clearance=5, version=version)
    assert refused(site, registration(old)) == "registration-old"


def test_a_badge_is_entered_once(site: SmallSite):
    """So that a revoked badge does not come back with a fresh registration."""
    made(site, BadgeStateChange(badge=BADGES["pupil"].badge.id, state=BadgeState.REVOKED))
    again = registration(replace(site.holders["pupil"], version=2), BADGES["pupil"])
    assert refused(site, again, by="school") == "badge-known"
    assert reason(site, "front-in", "pupil") is Reason.REVOKED


def test_a_badge_that_anothers_registration_names_is_not_registered_for_somebody_else(site: SmallSite):
    pupil = site.holders["pupil"]
    assert refused(site, registration(newcomer(badges=pupil.badges)), by="school") == "badge-held"
    both = newcomer(badges=(NEW.badge.id, *pupil.badges))
    assert refused(site, registration(both, NEW), by="school") == "badge-held"
    assert refused(site, registration(newcomer(badges=pupil.badges), BADGES["pupil"]), by="school") == (
        "badge-held"
    )
    made(site, registration(replace(pupil, version=2, badges=())), by="school")
    taken = registration(newcomer(badges=pupil.badges))
    assert refused(site, taken, by="school") == "badge-held", "it was issued to the pupil"
    made(site, registration(replace(pupil, version=3)), by="school")


def test_a_badge_that_is_not_there_yet_is_held_by_whoever_names_it_first(site: SmallSite):
    made(site, registration(replace(site.holders["pupil"], version=2, badges=(NEW.badge.id,))), by="school")
    assert refused(site, registration(newcomer(), NEW), by="school") == "badge-held"
    made(site, registration(replace(site.holders["pupil"], version=3)), by="school")
    made(site, registration(newcomer(), NEW), by="school")
    again = registration(replace(site.holders["pupil"], version=4, badges=(NEW.badge.id,)))
    assert refused(site, again, by="school") == "badge-held"


def test_a_badge_is_held_also_by_a_registration_that_is_over_or_not_believed(site: SmallSite):
    pupil = site.holders["pupil"]
    over = registration(replace(pupil, version=2, until=pupil.since + timedelta(days=1)))
    made(site, over, by="school")
    assert refused(site, registration(newcomer(badges=pupil.badges)), by="school") == "badge-held"
    unsigned = HolderRecord(id=pupil.id, document=b"signed by nobody")
    site.flow.register.put_holder(unsigned, tenant=SCHOOL, badges=pupil.badges)
    assert refused(site, registration(newcomer(badges=pupil.badges)), by="school") == "badge-held"
    made(site, registration(replace(pupil, badges=())), by="school")
    assert refused(site, registration(newcomer(badges=pupil.badges)), by="school") == "badge-held"


def test_two_badges_do_not_answer_to_one_card_number(site: SmallSite):
    twin = issue("newcomer", "school", assurance=Assurance.CARD_NUMBER, card=CARD)
    assert refused(site, registration(newcomer(), twin), by="school") == "card-known"


@pytest.mark.parametrize(
    ("change", "by", "code"),
    [
        (registration(newcomer(), NEW), "club", "change-not-yours"),
        (registration(newcomer(tenant=TenantId("club")), NEW), "army", "change-registration"),
        (
            registration(newcomer(tenant=TenantId("club"), badges=(BADGES["pupil"].badge.id,))),
            "army",
            "change-not-yours",
        ),
        (registration(newcomer(badges=()), NEW), "school", "change-registration"),
        (replace(registration(newcomer(), NEW), document=b"unsigned"), "school", "change-registration"),
        (replace(registration(newcomer(), NEW), holder=HolderId("another")), "school", "change-registration"),
    ],
)
def test_a_registration_that_is_not_its_tenants_is_refused(
    change: HolderChange, by: str, code: str, site: SmallSite
):
    assert refused(site, change, by=by) == code


# -- policies ---------------------------------------------------------------------------------------------------------


def policy_change(document: dict[str, Any], *, by: str = "army") -> PolicyChange:
    return PolicyChange(document=sign_policy(document, site=SITE, key=key_of(f"{by} signing")))


def test_a_new_policy_is_in_force_from_the_next_scan_on(site: SmallSite):
    document = site_document()
    document["veto"].append(
        {"tenant": "club", "zone": "school-house", "why": {"en": "Noise", "nl": "Lawaai"}}
    )
    change = policy_change(document)
    before = site.flow.policy.version
    assert Reason.HOST_VETO not in site.tap("school-in", "member").decision.reasons
    done = made(site, change)
    assert done.draft.kind is Kind.POLICY_CHANGED
    after = site.flow.policy.version
    assert (done.draft.public["from"], done.draft.public["to"]) == (before.hex(), after.hex())
    assert before != after
    assert site.writes.documents == [("policy", done.draft.seq, change.document)]
    assert site.flow.policy_source == change.document
    taken = site.tap("school-in", "member")
    assert taken.decision.reason is Reason.HOST_VETO
    assert taken.decision.policy == taken.answer.policy == after


def _spoilt(**site: Any) -> dict[str, Any]:
    document = site_document()
    document["site"] |= site
    return document


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (PolicyChange(document=b""), "policy-signature"),
        (policy_change(site_document(), by="stranger"), "policy-signature"),
        (policy_change(site_document(), by="school"), "policy-not-host"),
        (policy_change(_spoilt(time_zone="Mars/Olympus")), "policy-malformed"),
        (policy_change(_spoilt(time_zone="Europe")), "policy-malformed"),
        (policy_change(_spoilt(id="castle")), "policy-other-site"),
        (policy_change(_spoilt(alert_states=["calm", "tense", "grave", "dire"])), "alert-states-fixed"),
        (policy_change(_spoilt(alert_states=["grave", "tense", "calm"])), "alert-states-fixed"),
    ],
)
def test_a_policy_that_is_refused_changes_nothing(change: PolicyChange, code: str, site: SmallSite):
    """The swap is of the whole: the former policy goes when the next one stands."""
    policy, grants = site.flow.policy, reason(site, "front-in", "sergeant")
    assert refused(site, change) == code
    assert site.flow.policy is policy
    assert reason(site, "front-in", "sergeant") is grants is Reason.GRANTED


# -- trust lists ------------------------------------------------------------------------------------------------------


def trust_change(
    site: SmallSite, *, by: tuple[str, ...] = ("root 1", "root 2"), **changes: Any
) -> TrustChange:
    changes.setdefault("version", site.flow.trust.version + 1)
    changes["site"] = changes.pop("listed_for", SITE)
    return TrustChange(document=signed_trust(listed(**changes), by=by))


def with_tenant(tenant: TenantId, **changes: Any) -> dict[TenantId, TenantTrust]:
    return {**listed().tenants, tenant: replace(listed().tenants[tenant], **changes)}


def with_gate(gate: str, **changes: Any) -> dict[GateId, Any]:
    return {**listed().gates, GateId(gate): replace(listed().gates[GateId(gate)], **changes)}


def test_a_new_trust_list_is_believed_at_once(site: SmallSite):
    policy = site.flow.policy.version
    change = trust_change(site, version=7)
    done = made(site, change)
    assert done.draft.kind is Kind.TRUST_CHANGED
    public = done.draft.public
    assert (public["from"], public["to"], public["policy"]) == (1, 7, site.flow.policy.version.hex())
    assert site.flow.policy.version != policy
    assert site.flow.policy_source == ground().policy_source
    assert site.flow.trust.document == change.document
    assert site.writes.documents == [("trust", done.draft.seq, change.document)]


def test_a_gate_is_withdrawn_at_once(site: SmallSite):
    made(site, trust_change(site, gates=with_gate("front", state=KeyState.REVOKED)))
    found = site.authenticate(site.scan("front-in", "sergeant"))
    assert isinstance(found, Rejected)
    assert found.code.value == "gate-revoked"
    assert reason(site, "school-in", "sergeant") is Reason.GRANTED


def test_an_issuer_is_withdrawn_at_once_though_its_badges_were_believed_a_moment_ago(site: SmallSite):
    assert reason(site, "front-in", "sergeant") is Reason.GRANTED
    issuers = tuple(replace(key, state=KeyState.REVOKED) for key in listed().tenants[ARMY].issuers)
    made(site, trust_change(site, tenants=with_tenant(ARMY, issuers=issuers)))
    assert reason(site, "barrack-in", "sergeant") is Reason.BADGE_FORGED
    assert reason(site, "front-in", "teacher") is Reason.GRANTED


def test_an_epoch_withdraws_a_tenants_badges_at_once(site: SmallSite):
    made(site, trust_change(site, tenants=with_tenant(SCHOOL, epoch=2)))
    assert reason(site, "front-in", "teacher") is Reason.SUPERSEDED
    assert reason(site, "front-in", "sergeant") is Reason.GRANTED


def test_an_agreement_that_is_gone_is_gone_at_once(site: SmallSite):
    made(site, trust_change(site, tenants=with_tenant(SCHOOL, agreement=None)))
    assert reason(site, "front-in", "teacher") is Reason.NO_AGREEMENT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 1}, "trust-rollback"),
        ({"version": 0}, "trust-rollback"),
        ({"by": ("root 1",)}, "trust-threshold"),
        ({"by": ("root 1", "army signing")}, "trust-signature"),
        ({"listed_for": "castle"}, "trust-other-site"),
        (
            {"tenants": with_tenant(SCHOOL, agreement=listed().tenants[TenantId("club")].agreement)},
            "trust-agreement",
        ),
        ({"gates": {**listed().gates, GateId("back"): listed().gates[GateId("front")]}}, "trust-key"),
        ({"tenants": with_tenant(ARMY, signing=listed().tenants[SCHOOL].signing)}, "trust-key"),
    ],
)
def test_a_trust_list_that_is_refused_changes_nothing(changes: dict[str, Any], code: str, site: SmallSite):
    trust = site.flow.trust
    assert refused(site, trust_change(site, **changes)) == code
    assert site.flow.trust is trust
    assert site.tap("front-in", "sergeant").answer.verdict is Verdict.GRANTED


def test_a_trust_list_under_which_the_policy_would_not_be_believed_is_refused(site: SmallSite):
    """Otherwise the site would stand without rules, and after a restart without anything."""
    key = replace(
        listed().tenants[ARMY].signing, record=key_of("army's next").record(use="tenant", owner="army")
    )
    tenants = {
        name: replace(tenant, agreement=None, signing=key if name == ARMY else tenant.signing)
        for name, tenant in listed().tenants.items()
    }
    assert refused(site, trust_change(site, tenants=tenants)) == "policy-signature"


def test_a_key_that_is_only_verified_with_makes_no_operator_and_those_it_made_stay(site: SmallSite):
    school = listed().tenants[SCHOOL]
    retired = replace(school, signing=replace(school.signing, state=KeyState.VERIFY_ONLY))
    made(site, trust_change(site, tenants={**listed().tenants, SCHOOL: retired}))
    clerk = account("clerk", "school", (Role.REGISTRAR,))
    document = signed_account(clerk, site=SITE, key=key_of("school signing"))
    appointed = OperatorChange(operator=clerk.id, document=document)
    assert refused(site, appointed, by="school") == "change-key-retired"
    made(site, BadgeStateChange(badge=BADGES["pupil"].badge.id, state=BadgeState.LOST), by="school")


@pytest.mark.parametrize(
    ("state", "since"), [(KeyState.VERIFY_ONLY, None), (KeyState.REVOKED, NOON + timedelta(days=1))]
)
def test_an_issuer_key_that_is_retired_registers_nobody_and_issues_nothing_and_what_it_signed_stays(
    state: KeyState, since: datetime | None, site: SmallSite
):
    """A revoked one counts for badges of before: it may not date a new one back."""
    issuers = (
        trusted("school issuer", use=Use.ISSUER, owner="school", state=state, since=since),
        trusted("school issuer 2", use=Use.ISSUER, owner="school"),
    )
    agreed(site, trust_change(site, tenants=with_tenant(SCHOOL, issuers=issuers)))
    good = registration(newcomer(), NEW)
    renewed = replace(good, document=register_holder(newcomer(), by="school issuer 2"))
    known = "change-key-retired" if state is KeyState.VERIFY_ONLY else "change-registration"
    assert refused(site, good, by="school") == known
    assert refused(site, renewed, by="school") == "change-key-retired"
    token = issue("newcomer", "school", by="school issuer 2", assurance=Assurance.CARD_NUMBER, card=NEW_CARD)
    anew = replace(renewed, badges=registration(newcomer(), token).badges)
    assert refused(site, replace(anew, document=good.document), by="school") == known
    made(site, anew, by="school")
    teacher = replace(site.holders["teacher"], version=2)
    promoted = HolderChange(
        holder=teacher.id, document=register_holder(teacher, by="school issuer 2"), badges=()
    )
    made(site, promoted, by="school")
    assert reason(site, "front-in", "teacher") is Reason.GRANTED, "the badge is by the former key"


def test_a_trust_list_is_not_rolled_back_in_two_steps(site: SmallSite):
    first = trust_change(site, version=5)
    second = trust_change(site, version=6, gates=with_gate("front", state=KeyState.REVOKED))
    made(site, first)
    made(site, second)
    assert refused(site, first) == "trust-rollback"
    assert refused(site, second) == "trust-rollback"
    assert isinstance(site.authenticate(site.scan("front-in", "sergeant")), Rejected)


def test_a_registration_for_which_nobody_gave_a_name_is_stored_without_one(site: SmallSite):
    site.supervise(registration(newcomer(), NEW), by="school")
    assert [stored.name for stored in site.writes.holders] == [b""]
