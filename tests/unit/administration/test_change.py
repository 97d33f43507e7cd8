"""A change is believed by an operator's signature, and made only by who may make it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.change import (
    CHANGE_TYPE,
    AlertChange,
    ApprovalChange,
    BadgeIssue,
    BadgeStateChange,
    Change,
    ChangeContent,
    ChangeRefusal,
    ChangeRefused,
    ExportChange,
    Exported,
    ForgivenessChange,
    GuardChange,
    HolderChange,
    LockdownChange,
    OperatorChange,
    PolicyChange,
    SuspensionChange,
    TrustChange,
    WithdrawalChange,
    authorised,
    concerns,
    read_change,
    sign_change,
)
from gatekeeper.core.enact import DEEDS
from gatekeeper.core.register import Register
from gatekeeper.core.trust import KeyState, TrustListing
from gatekeeper.model.badges import Assurance, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, HolderId, OperatorId, SiteId, TenantId
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.service.administration.issuing import Issuer, issue_badge, register_holder
from gatekeeper.service.administration.operators import OPERATOR_TERM, record_of, revoked, sign_operator
from gatekeeper.service.administration.trust_list import next_trust, publish_trust, read_current_trust
from tests.support.site_files import NOW, Site

ID = bytes(range(16))
BADGE = BadgeId("ab" * 16)
AT = datetime(2026, 6, 1, 12, 0, 0, 123_000, UTC)
CARD = Card(CardTechnology.MIFARE, b"\x04\x01\x02\x03\x04\x05\x06")


def register_of(site: Site) -> Register:
    register = Register()
    for badge in site.founding.badges:
        register.put_badge(badge.record, tenant=badge.tenant, card=badge.card, holder=badge.holder)
    for holder in site.founding.holders:
        register.put_holder(holder.record, tenant=holder.tenant, badges=holder.badges)
    return register


def issuer_of(site: Site, tenant: str) -> Issuer:
    return Issuer(
        site=site.trust.site,
        tenant=TenantId(tenant),
        key=site.issuer(tenant),
        agreement=site.trust.agreements.get(TenantId(tenant)),
        epoch=1,
    )


def registration(site: Site, tenant: str, **overrides: Any) -> HolderChange:
    """A new holder with one new card, as the tenant would register it."""
    issuer = issuer_of(site, tenant)
    issued = issue_badge(
        issuer,
        badge_id=overrides.get("badge", BADGE),
        kind=HolderKind.STAFF,
        clearance=1,
        assurance=Assurance.CARD_NUMBER,
        card=overrides.get("card", CARD),
        status_index=99,
        now=NOW,
    )
    holder = Holder(
        id=HolderId(overrides.get("holder", "h-new")),
        tenant=issuer.tenant,
        kind=HolderKind.STAFF,
        clearance=1,
        profiles=(),
        badges=overrides.get("badges", (issued.badge.id,)),
        since=NOW,
        until=issuer.registered_until(NOW),
        version=1,
    )
    return HolderChange(
        holder=holder.id,
        document=register_holder(holder, issuer=issuer),
        badges=(BadgeIssue(badge=issued.badge.id, token=issued.token, card=issued.badge.card),),
    )


def signed(site: Site, content: ChangeContent, *, by: str) -> bytes:
    return sign_change(content, site=SiteId("fort"), change_id=ID, author=by, at=AT, key=site.operator(by))


def read(site: Site, document: bytes, **under: Any) -> Change | ChangeRefused:
    return read_change(document, **{"trust": site.trust, "operators": site.operators, "now": NOW, **under})


def judged(site: Site, content: ChangeContent, *, by: str) -> ChangeRefusal | None:
    """Why an operator may not say this, whatever it amounts to."""
    change = read(site, signed(site, content, by=by))
    assert isinstance(change, Change)
    about = concerns(content, trust=site.trust, owners=register_of(site))
    if isinstance(about, ChangeRefused):
        return about.code
    refused = authorised(change, DEEDS[type(content)], about=about, host=site.trust.host)
    return refused.code if refused is not None else None


def badge_of(site: Site, tenant: str) -> BadgeId:
    return next(badge.record.id for badge in site.founding.badges if badge.tenant == tenant)


CONTENTS: list[ChangeContent] = [
    *(BadgeStateChange(badge=BADGE, state=state) for state in BadgeState),
    AlertChange(state="tense"),
    LockdownChange(scope="site", on=True),
    LockdownChange(scope="zone:yard", on=False),
    LockdownChange(scope="gate:front", on=True),
    SuspensionChange(tenant=TenantId("school"), on=True),
    ForgivenessChange(holder=HolderId("h-1")),
    GuardChange(entry=17, yes=False),
    OperatorChange(operator=OperatorId("jansma"), document=b"d" * 1024),
    ApprovalChange(digest=bytes(32)),
    WithdrawalChange(digest=bytes(32)),
    ExportChange(tenant=TenantId("school"), what=Exported.HOLDERS, reason="x"),
    ExportChange(tenant=TenantId("school"), what=Exported.BADGES, reason=f"{'é' * 198} 1"),
    PolicyChange(document=b"p" * 1_040_000),
    TrustChange(document=b"t" * 1_040_000),
    HolderChange(holder=HolderId("h-1"), document=b"d", badges=()),
    HolderChange(
        holder=HolderId("h-1"),
        document=b"d",
        badges=(
            BadgeIssue(badge=BADGE, token=b"token", card=None),
            BadgeIssue(badge=BadgeId("cd" * 16), token=b"token", card=CARD),
        ),
    ),
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
def test_every_kind_of_change_is_read_as_it_was_signed(standing_fort: Site, content: ChangeContent):
    change = read(standing_fort, signed(standing_fort, content, by="school-admin"))
    assert isinstance(change, Change)
    assert (change.id, change.at, change.content) == (ID, AT, content)
    assert (change.tenant, change.author) == ("school", "school-admin")


NO_REASONS = [
    "",
    " ",
    " audit",
    "audit ",
    "x" * 201,
    "two\nlines",
    "ended\n",
    "two\u2028lines",
    "turned\u202eround",
    "a\tb",
    "\x1b[2J",
    "a\x00b",
    "a\x85b",
]


@pytest.mark.parametrize(
    "wrong",
    [
        {"change_id": b"short"},
        {"author": ""},
        {"author": "x" * 33},
        {"author": "No Name"},
        {"at": datetime(1969, 1, 1, tzinfo=UTC)},
        {"content": AlertChange(state="No Name")},
        {"content": LockdownChange(scope="everything", on=True)},
        {"content": LockdownChange(scope="zone:", on=True)},
        {"content": BadgeStateChange(badge=BadgeId("abcd"), state=BadgeState.LOST)},
        {"content": BadgeStateChange(badge=BadgeId("no hex"), state=BadgeState.LOST)},
        {"content": SuspensionChange(tenant=TenantId("No Name"), on=True)},
        {"content": ForgivenessChange(holder=HolderId(""))},
        {"content": GuardChange(entry=-1, yes=True)},
        {"content": OperatorChange(operator=OperatorId("No Name"), document=b"")},
        {"content": OperatorChange(operator=OperatorId("jansma"), document=bytes(1025))},
        {"content": ApprovalChange(digest=bytes(31))},
        {"content": WithdrawalChange(digest=bytes(33))},
        *(
            {"content": ExportChange(tenant=TenantId("school"), what=Exported.HOLDERS, reason=reason)}
            for reason in NO_REASONS
        ),
        {"content": ExportChange(tenant=TenantId("No Name"), what=Exported.HOLDERS, reason="audit")},
        {"content": PolicyChange(document=bytes(1_100_000))},
        {"content": TrustChange(document=bytes(1_100_000))},
        {"content": HolderChange(holder=HolderId("No Name"), document=b"", badges=())},
        {"content": HolderChange(holder=HolderId("h-1"), document=bytes(9000), badges=())},
        {
            "content": HolderChange(
                holder=HolderId("h-1"),
                document=b"",
                badges=(BadgeIssue(badge=BADGE, token=bytes(1025), card=None),),
            )
        },
    ],
)
def test_what_would_not_be_read_is_not_signed(standing_fort: Site, wrong: dict[str, Any]):
    right: dict[str, Any] = {
        "content": AlertChange(state="calm"),
        "site": SiteId("fort"),
        "change_id": ID,
        "author": "officer",
        "at": AT,
        "key": standing_fort.operator("officer"),
    }
    assert sign_change(**right)
    with pytest.raises(ValueError):
        sign_change(**{**right, **wrong})


GOOD: dict[int, Any] = {0: 1, 1: "fort", 2: ID, 3: "alert", 4: 0, 5: "officer", 6: {1: "calm"}}


def test_the_payload_of_the_contract_is_read(standing_fort: Site):
    document = cose.sign(
        cose.encode(GOOD), key=standing_fort.operator("officer"), typ=CHANGE_TYPE, external_aad=b"fort"
    )
    assert isinstance(read(standing_fort, document), Change)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        cose.encode([]),
        cose.encode({}),
        *(cose.encode({key: value for key, value in GOOD.items() if key != left}) for left in GOOD),
        *(
            cose.encode({**GOOD, **spoilt})
            for spoilt in (
                {0: 2},
                {0: True},
                {1: "castle"},
                {2: b"short"},
                {2: "text"},
                {3: "unheard-of"},
                {4: -1},
                {4: True},
                {4: 1 << 60},
                {5: ""},
                {5: "x" * 33},
                {5: "The Officer"},
                {5: b"officer"},
                {6: {}},
                {6: {1: "calm", 2: "more"}},
                {6: {1: "Not A Name"}},
                {6: []},
                {7: "more"},
                {3: "badge-state", 6: {1: bytes(16), 2: "eaten"}},
                {3: "badge-state", 6: {1: bytes(15), 2: "lost"}},
                {3: "lockdown", 6: {1: "site", 2: 1}},
                {3: "lockdown", 6: {1: "zone:A", 2: True}},
                {3: "policy", 6: {1: "text"}},
                {3: "trust", 6: {1: None}},
                {3: "suspension", 6: {1: "school", 2: 1}},
                {3: "forgiveness", 6: {1: b"h-1"}},
                {3: "guard", 6: {1: True, 2: True}},
                {3: "guard", 6: {1: 1, 2: 1}},
                {3: "operator", 6: {1: "jansma", 2: "text"}},
                {3: "operator", 6: {1: "jansma", 2: bytes(1025)}},
                {3: "approval", 6: {1: bytes(31)}},
                {3: "approval", 6: {1: bytes(32), 2: True}},
                {3: "withdrawal", 6: {1: "text"}},
                {3: "export", 6: {1: "school", 2: "holders"}},
                {3: "export", 6: {1: "school", 2: "visitors", 3: "audit"}},
                {3: "export", 6: {1: "school", 2: b"holders", 3: "audit"}},
                {3: "export", 6: {1: "school", 2: "holders", 3: b"audit"}},
                {3: "export", 6: {1: "school", 2: "holders", 3: "audit\n"}},
                {3: "export", 6: {1: "school", 2: "holders", 3: "audit", 4: "more"}},
                {3: "holder", 6: {1: "h-1", 2: b"", 3: [[bytes(16), b"", [9, b"card"]]]}},
                {3: "holder", 6: {1: "h-1", 2: b"", 3: [[bytes(16), b"", [True, b"card"]]]}},
                {3: "holder", 6: {1: "h-1", 2: b"", 3: [[bytes(16), b"", [0, b""]]]}},
                {3: "holder", 6: {1: "h-1", 2: b"", 3: [[bytes(16), b""]]}},
                {3: "holder", 6: {1: "h-1", 2: b"", 3: [[bytes(16), b"", None]] * 33}},
            )
        ),
    ],
)
def test_signed_bytes_that_are_no_change_are_refused(standing_fort: Site, payload: bytes):
    document = cose.sign(
        payload, key=standing_fort.operator("officer"), typ=CHANGE_TYPE, external_aad=b"fort"
    )
    assert read(standing_fort, document) == ChangeRefused(code=ChangeRefusal.MALFORMED)


def test_nobody_but_an_operator_changes_anything_not_even_a_tenants_own_signing_key(standing_fort: Site):
    officer = standing_fort.operator("officer")
    payload = cose.encode(GOOD)
    for key, typ, aad in (
        (cose.SigningKey.generate(), CHANGE_TYPE, b"fort"),
        (standing_fort.signing("army"), CHANGE_TYPE, b"fort"),
        (standing_fort.issuer("army"), CHANGE_TYPE, b"fort"),
        (officer, "application/other", b"fort"),
        (officer, CHANGE_TYPE, b"castle"),
    ):
        document = cose.sign(payload, key=key, typ=typ, external_aad=aad)
        refused = read(standing_fort, document)
        assert isinstance(refused, ChangeRefused)
        assert refused.code is ChangeRefusal.SIGNATURE


def test_nobody_signs_in_anothers_name(standing_fort: Site):
    document = sign_change(
        AlertChange(state="calm"),
        site=SiteId("fort"),
        change_id=ID,
        author="officer",
        at=AT,
        key=standing_fort.operator("admin"),
    )
    refused = read(standing_fort, document)
    assert refused == ChangeRefused(code=ChangeRefusal.AUTHOR, detail="admin signed it")


@pytest.mark.parametrize("away", [-timedelta(seconds=1), OPERATOR_TERM])
def test_an_operator_speaks_while_the_account_lasts(standing_fort: Site, away: timedelta):
    document = signed(standing_fort, AlertChange(state="calm"), by="officer")
    assert isinstance(read(standing_fort, document, now=NOW), Change)
    refused = read(standing_fort, document, now=NOW + away)
    assert refused == ChangeRefused(code=ChangeRefusal.OPERATOR, detail="officer")


def test_an_operator_who_is_revoked_is_known_and_says_nothing_more(standing_fort: Site):
    operators = standing_fort.operators
    known = operators.believed(trust=standing_fort.trust)[OperatorId("officer")]
    ended = revoked(known)
    operators.put(
        record_of(ended, sign_operator(ended, site=SiteId("fort"), key=standing_fort.signing("army")))
    )
    document = signed(standing_fort, AlertChange(state="calm"), by="officer")
    refused = read(standing_fort, document, operators=operators)
    assert refused == ChangeRefused(code=ChangeRefusal.OPERATOR, detail="officer")


def test_a_tenant_speaks_of_its_own_badges_and_holders(standing_fort: Site):
    yours = BadgeStateChange(badge=badge_of(standing_fort, "school"), state=BadgeState.LOST)
    assert judged(standing_fort, yours, by="school-admin") is None
    assert judged(standing_fort, registration(standing_fort, "school"), by="school-admin") is None


def test_the_host_stops_any_badge_and_registers_nobody_elses_people(standing_fort: Site):
    theirs = BadgeStateChange(badge=badge_of(standing_fort, "school"), state=BadgeState.LOST)
    assert judged(standing_fort, theirs, by="officer") is None
    for by in ("army-admin", "officer", "admin"):
        refused = judged(standing_fort, registration(standing_fort, "school"), by=by)
        assert refused in {ChangeRefusal.NOT_YOURS, ChangeRefusal.ROLE}


@pytest.mark.parametrize(
    "content",
    [
        AlertChange(state="calm"),
        LockdownChange(scope="zone:yard", on=False),
        SuspensionChange(tenant=TenantId("club"), on=True),
        ForgivenessChange(holder=HolderId("h-00001")),
        GuardChange(entry=1, yes=True),
        PolicyChange(document=b""),
        TrustChange(document=b""),
        BadgeStateChange(badge=BADGE, state=BadgeState.ACTIVE),
    ],
    ids=lambda content: type(content).__name__,
)
def test_a_tenant_says_nothing_of_the_site_or_of_what_it_does_not_have(
    standing_fort: Site, content: ChangeContent
):
    assert judged(standing_fort, content, by="school-admin") is ChangeRefusal.NOT_YOURS
    assert ChangeRefusal.NOT_YOURS.sentence


def test_who_has_another_role_is_told_so(standing_fort: Site):
    for content, by in (
        (AlertChange(state="calm"), "admin"),
        (PolicyChange(document=b""), "officer"),
        (LockdownChange(scope="site", on=True), "army-admin"),
    ):
        assert judged(standing_fort, content, by=by) is ChangeRefusal.ROLE


@pytest.mark.parametrize("what", Exported)
def test_a_tenants_people_are_exported_by_its_own_and_never_by_anothers_not_even_the_hosts(
    standing_fort: Site, what: Exported
):
    content = ExportChange(tenant=TenantId("school"), what=what, reason="audit")
    expected = {
        "school-admin": None,
        "club-admin": ChangeRefusal.NOT_YOURS,
        "army-admin": ChangeRefusal.NOT_YOURS,
        "officer": ChangeRefusal.ROLE,
        "admin": ChangeRefusal.ROLE,
    }
    assert {by: judged(standing_fort, content, by=by) for by in expected} == expected
    of_host = replace(content, tenant=TenantId("army"))
    assert judged(standing_fort, of_host, by="army-admin") is None
    assert judged(standing_fort, of_host, by="school-admin") is ChangeRefusal.NOT_YOURS


@pytest.mark.parametrize("other", ["army-admin", "club-admin", "admin"])
def test_a_tenant_cannot_change_anothers_badge(standing_fort: Site, other: str):
    content = BadgeStateChange(badge=badge_of(standing_fort, "school"), state=BadgeState.LOST)
    expected = ChangeRefusal.ROLE if other == "admin" else ChangeRefusal.NOT_YOURS
    assert judged(standing_fort, content, by=other) is expected


def test_a_tenant_cannot_hand_in_anothers_registration(standing_fort: Site):
    content = registration(standing_fort, "club")
    assert judged(standing_fort, content, by="school-admin") is ChangeRefusal.NOT_YOURS


def test_no_registration_takes_over_what_is_anothers_not_even_from_the_host(standing_fort: Site):
    founding = standing_fort.founding
    holder = next(one for one in founding.holders if one.tenant == "army")
    badge = badge_of(standing_fort, "army")
    card = next(one.card for one in founding.badges if one.card is not None)
    for stolen in (
        registration(standing_fort, "club", holder=holder.record.id),
        registration(standing_fort, "club", badge=badge),
        registration(standing_fort, "club", badges=(BADGE, badge)),
        registration(standing_fort, "club", card=card),
    ):
        for by in ("club-admin", "army-admin", "officer"):
            assert judged(standing_fort, stolen, by=by) is ChangeRefusal.NOT_YOURS


def test_a_registration_must_fit_its_badges_and_its_signatures(standing_fort: Site):
    good = registration(standing_fort, "school")
    foreign = registration(standing_fort, "club")
    second = BadgeId("cd" * 16)
    (issue,) = good.badges
    (twin,) = registration(standing_fort, "school", badge=second).badges
    for bad in (
        replace(good, holder=HolderId("h-other")),
        replace(good, document=good.document[:-1] + bytes([good.document[-1] ^ 1])),
        replace(good, badges=foreign.badges),
        replace(good, badges=(issue, issue)),
        replace(good, badges=(replace(issue, badge=BadgeId("00" * 16)),)),
        replace(good, badges=(replace(issue, card=None),)),
        replace(good, badges=(replace(issue, token=b"forged"),)),
        registration(standing_fort, "school", badges=()),
        replace(registration(standing_fort, "school", badges=(BADGE, second)), badges=(issue, twin)),
    ):
        for by in ("school-admin", "army-admin"):
            assert judged(standing_fort, bad, by=by) is ChangeRefusal.REGISTRATION


def test_a_retired_signing_key_keeps_its_operators_and_makes_no_other(fort: Site):
    school = TenantId("school")

    def retired(listing: TrustListing) -> TrustListing:
        trust = listing.tenants[school]
        signing = replace(trust.signing, state=KeyState.VERIFY_ONLY)
        return replace(listing, tenants={**listing.tenants, school: replace(trust, signing=signing)})

    trust = next_trust(fort.folder, read_current_trust(fort.folder), retired, now=NOW)
    publish_trust(fort.folder, trust)
    stop = BadgeStateChange(badge=badge_of(fort, "school"), state=BadgeState.LOST)
    assert isinstance(read(fort, signed(fort, stop, by="school-admin"), trust=trust), Change)
    known = fort.operators.believed(trust=trust)[OperatorId("school-admin")]
    document = sign_operator(revoked(known), site=SiteId("fort"), key=fort.signing("school"))
    content = OperatorChange(operator=known.id, document=document)
    refused = concerns(content, trust=trust, owners=register_of(fort))
    assert refused == ChangeRefused(code=ChangeRefusal.KEY_RETIRED)


def test_an_operators_document_is_its_tenants_and_the_one_that_is_named(standing_fort: Site):
    known = standing_fort.operators.believed(trust=standing_fort.trust)[OperatorId("school-admin")]
    good = sign_operator(known, site=SiteId("fort"), key=standing_fort.signing("school"))
    owners = register_of(standing_fort)
    assert (
        concerns(OperatorChange(operator=known.id, document=good), trust=standing_fort.trust, owners=owners)
        == "school"
    )
    for operator, document in (
        ("another", good),
        (known.id, good[:-1] + bytes([good[-1] ^ 1])),
        (known.id, sign_operator(known, site=SiteId("castle"), key=standing_fort.signing("school"))),
        (known.id, sign_operator(known, site=SiteId("fort"), key=standing_fort.issuer("school"))),
    ):
        content = OperatorChange(operator=OperatorId(operator), document=document)
        refused = concerns(content, trust=standing_fort.trust, owners=owners)
        assert refused == ChangeRefused(code=ChangeRefusal.APPOINTMENT)
