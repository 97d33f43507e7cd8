"""A change is believed by its signature, and made only by who may make it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.change import (
    CHANGE_TYPE,
    AlertChange,
    BadgeIssue,
    BadgeStateChange,
    Change,
    ChangeContent,
    ChangeRefusal,
    ChangeRefused,
    HolderChange,
    LockdownChange,
    PolicyChange,
    TrustChange,
    authorised,
    read_change,
    sign_change,
)
from gatekeeper.core.register import Register
from gatekeeper.core.trust import KeyState, TrustListing
from gatekeeper.model.badges import Assurance, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, HolderId, SiteId, TenantId
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.service.administration.issuing import Issuer, issue_badge, register_holder
from gatekeeper.service.administration.trust_list import renew_trust
from tests.support.site_files import NOW, Site

ID = bytes(range(16))
BADGE = BadgeId("ab" * 16)
AT = datetime(2026, 6, 1, 12, 0, 0, 123_000, UTC)
CARD = Card(CardTechnology.MIFARE, b"\x04\x01\x02\x03\x04\x05\x06")


def register_of(site: Site) -> Register:
    register = Register()
    for badge in site.founding.badges:
        register.put_badge(badge.record, tenant=badge.tenant, card=badge.card)
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
    return sign_change(
        content, site=SiteId("fort"), change_id=ID, author="j.jansma", at=AT, key=site.signing(by)
    )


def judged(site: Site, content: ChangeContent, *, by: str) -> ChangeRefusal | None:
    change = read_change(signed(site, content, by=by), trust=site.trust)
    assert isinstance(change, Change)
    refused = authorised(change, trust=site.trust, owners=register_of(site))
    return refused.code if refused is not None else None


def badge_of(site: Site, tenant: str) -> BadgeId:
    return next(badge.record.id for badge in site.founding.badges if badge.tenant == tenant)


CONTENTS: list[ChangeContent] = [
    *(BadgeStateChange(badge=BADGE, state=state) for state in BadgeState),
    AlertChange(state="tense"),
    LockdownChange(scope="site", on=True),
    LockdownChange(scope="zone:yard", on=False),
    LockdownChange(scope="gate:front", on=True),
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
    document = signed(standing_fort, content, by="school")
    assert read_change(document, trust=standing_fort.trust) == Change(
        id=ID, tenant=TenantId("school"), author="j.jansma", at=AT, content=content
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"change_id": b"short"},
        {"author": ""},
        {"author": "x" * 65},
        {"at": datetime(1969, 1, 1, tzinfo=UTC)},
        {"content": AlertChange(state="No Name")},
        {"content": LockdownChange(scope="everything", on=True)},
        {"content": LockdownChange(scope="zone:", on=True)},
        {"content": BadgeStateChange(badge=BadgeId("abcd"), state=BadgeState.LOST)},
        {"content": BadgeStateChange(badge=BadgeId("no hex"), state=BadgeState.LOST)},
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
        "author": "j.jansma",
        "at": AT,
        "key": standing_fort.signing("army"),
    }
    assert sign_change(**right)
    with pytest.raises(ValueError):
        sign_change(**{**right, **wrong})


GOOD: dict[int, Any] = {0: 1, 1: "fort", 2: ID, 3: "alert", 4: 0, 5: "me", 6: {1: "calm"}}


def test_the_payload_of_the_contract_is_read(standing_fort: Site):
    document = cose.sign(
        cose.encode(GOOD), key=standing_fort.signing("army"), typ=CHANGE_TYPE, external_aad=b"fort"
    )
    assert isinstance(read_change(document, trust=standing_fort.trust), Change)


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
                {5: "x" * 65},
                {5: b"me"},
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
    document = cose.sign(payload, key=standing_fort.signing("army"), typ=CHANGE_TYPE, external_aad=b"fort")
    assert read_change(document, trust=standing_fort.trust) == ChangeRefused(code=ChangeRefusal.MALFORMED)


def test_a_stranger_an_issuer_and_another_site_change_nothing(standing_fort: Site):
    army = standing_fort.signing("army")
    payload = cose.encode(GOOD)
    for key, typ, aad in (
        (cose.SigningKey.generate(), CHANGE_TYPE, b"fort"),
        (standing_fort.issuer("army"), CHANGE_TYPE, b"fort"),
        (army, "application/other", b"fort"),
        (army, CHANGE_TYPE, b"castle"),
    ):
        document = cose.sign(payload, key=key, typ=typ, external_aad=aad)
        refused = read_change(document, trust=standing_fort.trust)
        assert isinstance(refused, ChangeRefused)
        assert refused.code is ChangeRefusal.SIGNATURE


def test_the_host_may_say_everything(standing_fort: Site):
    theirs = badge_of(standing_fort, "school")
    for content in (
        BadgeStateChange(badge=theirs, state=BadgeState.SUSPENDED),
        AlertChange(state="tense"),
        LockdownChange(scope="site", on=True),
        PolicyChange(document=b""),
        TrustChange(document=b""),
        registration(standing_fort, "school"),
        registration(standing_fort, "army"),
    ):
        assert judged(standing_fort, content, by="army") is None


def test_a_tenant_speaks_of_its_own_badges_and_holders(standing_fort: Site):
    yours = badge_of(standing_fort, "school")
    assert judged(standing_fort, BadgeStateChange(badge=yours, state=BadgeState.LOST), by="school") is None
    assert judged(standing_fort, registration(standing_fort, "school"), by="school") is None


@pytest.mark.parametrize(
    "content",
    [
        AlertChange(state="calm"),
        LockdownChange(scope="zone:yard", on=False),
        PolicyChange(document=b""),
        TrustChange(document=b""),
        BadgeStateChange(badge=BADGE, state=BadgeState.ACTIVE),
    ],
    ids=lambda content: type(content).__name__,
)
def test_a_tenant_says_nothing_of_the_site_or_of_what_it_does_not_have(
    standing_fort: Site, content: ChangeContent
):
    assert judged(standing_fort, content, by="school") is ChangeRefusal.NOT_YOURS
    assert ChangeRefusal.NOT_YOURS.sentence


@pytest.mark.parametrize("other", ["army", "club"])
def test_a_tenant_cannot_change_anothers_badge(standing_fort: Site, other: str):
    theirs = badge_of(standing_fort, "school")
    content = BadgeStateChange(badge=theirs, state=BadgeState.LOST)
    expected = None if other == "army" else ChangeRefusal.NOT_YOURS
    assert judged(standing_fort, content, by=other) is expected


def test_a_tenant_cannot_hand_in_anothers_registration(standing_fort: Site):
    assert judged(standing_fort, registration(standing_fort, "club"), by="school") is ChangeRefusal.NOT_YOURS


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
        for by in ("club", "army"):
            assert judged(standing_fort, stolen, by=by) is ChangeRefusal.NOT_YOURS


def test_a_registration_must_fit_its_badges_and_its_signatures(standing_fort: Site):
    good = registration(standing_fort, "school")
    foreign = registration(standing_fort, "club")
    second = BadgeId("cd" * 16)
    (issue,) = good.badges
    (twin,) = registration(standing_fort, "school", badge=second).badges
    for bad in (
        replace(good, holder=HolderId("h-other")),
        replace(good, document=good.document[:-1] + b"\0"),
        replace(good, badges=foreign.badges),
        replace(good, badges=(issue, issue)),
        replace(good, badges=(replace(issue, badge=BadgeId("00" * 16)),)),
        replace(good, badges=(replace(issue, card=None),)),
        replace(good, badges=(replace(issue, token=b"forged"),)),
        registration(standing_fort, "school", badges=()),
        replace(registration(standing_fort, "school", badges=(BADGE, second)), badges=(issue, twin)),
    ):
        for by in ("school", "army"):
            assert judged(standing_fort, bad, by=by) is ChangeRefusal.REGISTRATION


def test_a_retired_key_is_still_read_and_changes_nothing(fort: Site):
    school = TenantId("school")

    def retired(listing: TrustListing) -> TrustListing:
        trust = listing.tenants[school]
        signing = replace(trust.signing, state=KeyState.VERIFY_ONLY)
        return replace(listing, tenants={**listing.tenants, school: replace(trust, signing=signing)})

    content = BadgeStateChange(badge=badge_of(fort, "school"), state=BadgeState.LOST)
    trust = renew_trust(fort.folder, retired, now=NOW)
    change = read_change(signed(fort, content, by="school"), trust=trust)
    assert isinstance(change, Change)
    refused = authorised(change, trust=trust, owners=register_of(fort))
    assert refused == ChangeRefused(code=ChangeRefusal.KEY_RETIRED)
