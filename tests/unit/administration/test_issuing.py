"""A tenant issues within its agreement."""

from datetime import timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.register import Register, read_holder
from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.ids import BadgeId, HolderId, TenantId
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.service.administration.issuing import (
    HOST_BADGE_LIFE,
    IssuedBadge,
    Issuer,
    issue_badge,
    register_holder,
)
from tests.support.site_files import NOW, Site

BADGE = BadgeId("ab" * 16)
CARD = Card(CardTechnology.MIFARE, b"\x04\x01\x02\x03\x04\x05\x06")


def issuer_of(site: Site, tenant: str) -> Issuer:
    return Issuer(
        site=site.trust.site,
        tenant=TenantId(tenant),
        key=site.issuer(tenant),
        agreement=site.trust.agreements.get(TenantId(tenant)),
        epoch=1,
    )


def issued(issuer: Issuer, **overrides: Any) -> IssuedBadge:
    order: dict[str, Any] = {
        "badge_id": BADGE,
        "kind": HolderKind.STAFF,
        "clearance": 5,
        "assurance": Assurance.KEY_BOUND,
        "card": None,
        "status_index": 3,
        "now": NOW,
    }
    return issue_badge(issuer, **{**order, **overrides})


@pytest.mark.parametrize(
    ("assurance", "card"),
    [
        (Assurance.CARD_NUMBER, CARD),
        (Assurance.BEARER, None),
        (Assurance.KEY_BOUND, None),
        (Assurance.KEY_BOUND_AND_VERIFIED, None),
    ],
)
def test_every_class_of_badge_is_believed_as_it_was_issued(
    standing_fort: Site, assurance: Assurance, card: Card | None
):
    badge = issued(issuer_of(standing_fort, "school"), assurance=assurance, card=card)
    assert Register().read_token(badge.token, trust=standing_fort.trust) == badge.badge
    assert (badge.key is not None) == (assurance >= Assurance.KEY_BOUND)
    assert len(badge.token) <= 1024


def test_every_key_bound_badge_has_a_key_of_its_own_that_it_can_prove(standing_fort: Site):
    first, second = (issued(issuer_of(standing_fort, "army")) for _ in range(2))
    assert first.key is not None
    assert second.key is not None
    assert first.key.kid != second.key.kid
    assert first.badge.confirmation is not None
    assert cose.verify_signature(first.badge.confirmation, b"here", first.key.sign(b"here"))


def test_a_badge_lives_as_long_as_the_agreement_gives_badges(standing_fort: Site):
    badge = issued(issuer_of(standing_fort, "school")).badge
    assert badge.expires - badge.not_before == timedelta(days=90)


def test_no_badge_or_registration_outlives_the_agreement(standing_fort: Site):
    issuer = issuer_of(standing_fort, "club")
    assert issuer.agreement is not None
    assert issued(issuer).badge.expires == issuer.agreement.until == issuer.registered_until(NOW)


def test_the_hosts_badges_have_a_life_of_their_own(standing_fort: Site):
    assert issued(issuer_of(standing_fort, "army")).badge.expires == NOW + HOST_BADGE_LIFE


def test_no_badge_is_good_for_more_than_clearance_and_agreement(standing_fort: Site):
    assert issued(issuer_of(standing_fort, "school"), clearance=5).badge.ceiling == 2
    assert issued(issuer_of(standing_fort, "school"), clearance=1).badge.ceiling == 1
    assert issued(issuer_of(standing_fort, "army"), clearance=5).badge.ceiling == 5


def test_a_tenant_whose_agreement_has_ended_issues_nothing(standing_fort: Site):
    issuer = issuer_of(standing_fort, "club")
    assert issuer.agreement is not None
    with pytest.raises(ValueError, match="has ended"):
        issued(issuer, now=issuer.agreement.until)


@pytest.mark.parametrize(
    ("assurance", "card"),
    [(Assurance.CARD_NUMBER, None), (Assurance.BEARER, CARD), (Assurance.KEY_BOUND, CARD)],
)
def test_a_card_number_stands_at_assurance_0_and_only_there(
    standing_fort: Site, assurance: Assurance, card: Card | None
):
    with pytest.raises(ValueError, match="card number"):
        issued(issuer_of(standing_fort, "army"), assurance=assurance, card=card)


def test_a_registration_is_the_tenants_own(standing_fort: Site):
    holder = Holder(
        id=HolderId("h-1"),
        tenant=TenantId("school"),
        kind=HolderKind.STAFF,
        clearance=2,
        profiles=(),
        badges=(BADGE,),
        since=NOW,
        until=NOW + timedelta(days=1),
        version=1,
    )
    document = register_holder(holder, issuer=issuer_of(standing_fort, "school"))
    assert read_holder(document, trust=standing_fort.trust) == holder
    with pytest.raises(ValueError, match="belongs to school"):
        register_holder(holder, issuer=issuer_of(standing_fort, "club"))
