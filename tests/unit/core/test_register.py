"""The register: whose a badge is, as signed; and rows that nobody signed, which give nothing."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.register import HOLDER_TYPE, HolderRecord, Register, holder_payload, read_holder
from gatekeeper.core.trust import KeyState, Trust, read_trust
from gatekeeper.cose import cbor
from gatekeeper.model.badges import BadgeRecord, BadgeState, Card, CardTechnology
from gatekeeper.model.fields import UINT
from gatekeeper.model.ids import BadgeId, HolderId, SiteId, TenantId
from gatekeeper.model.people import Holder, HolderKind, PinRecord
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
)

ARMY, SCHOOL = TenantId("army"), TenantId("school")
SERGEANT, NOBODYS = HolderId("sergeant"), BadgeId("00" * 16)


@pytest.fixture
def register() -> Register:
    return SmallSite.populated()


def badge_of(who: str) -> BadgeId:
    return BADGES[who].badge.id


def put(register: Register, holder: Holder, document: bytes | None = None) -> None:
    record = HolderRecord(id=holder.id, document=document or register_holder(holder))
    register.put_holder(record, tenant=holder.tenant, badges=holder.badges)


def put_badge(register: Register, issued: Issued, *, card: Card | None = None) -> None:
    record = BadgeRecord(id=issued.badge.id, token=issued.token, state=BadgeState.ACTIVE)
    register.put_badge(record, tenant=issued.badge.tenant, card=card)


def later_trust(**issuer: Any) -> Trust:
    """A next trust list; `issuer` alters the army's issuer key."""
    army = listed().tenants[ARMY]
    altered = replace(army, issuers=tuple(replace(key, **issuer) for key in army.issuers))
    tenants = {**listed().tenants, ARMY: altered}
    trust = read_trust(signed_trust(listed(version=2, tenants=tenants)), anchor=ground().anchor, not_below=2)
    assert isinstance(trust, Trust)
    return trust


# -- what a scan may name a badge with --------------------------------------------------------------------------------


def test_a_badge_is_found_by_everything_a_scan_may_name_it_with(register: Register):
    for issued in BADGES.values():
        assert register.token_of_digest(hashlib.sha256(issued.token).digest()) == issued.token
    assert register.token_of_card(CARD) == BADGES["van"].token
    assert len(register) == len(BADGES)


def test_what_the_site_does_not_have_is_not_found(register: Register):
    assert register.token_of_digest(bytes(32)) is None
    assert register.token_of_card(Card(CardTechnology.WIEGAND, CARD.number)) is None
    assert register.state(NOBODYS) is None
    assert register.tenant_of_badge(NOBODYS) is None
    assert register.tenant_of_holder(HolderId("ghost")) is None
    assert register.tenant_of_card(Card(CardTechnology.MIFARE, b"\0")) is None
    assert register.holder_of(NOBODYS, trust=ground().trust) is None
    assert register.holder(HolderId("ghost"), trust=ground().trust) is None


def test_of_every_badge_the_token_is_held_and_those_that_are_believed_can_be_gone_through(register: Register):
    put_badge(register, replace(BADGES["pupil"], token=b"signed by nobody"))
    tokens = {register.token(badge_of(who)) for who in BADGES}
    assert tokens == {one.token for who, one in BADGES.items() if who != "pupil"} | {b"signed by nobody"}
    assert register.token(NOBODYS) is None
    believed = {badge.id for badge in register.badges(trust=ground().trust)}
    assert believed == {badge_of(who) for who in BADGES} - {badge_of("pupil")}


def test_of_a_holders_badges_those_count_that_are_there_and_believed():
    site = SmallSite()
    sergeant = ground().holders["sergeant"]
    forged = replace(issue("forged", "army"), token=b"signed by nobody")
    put_badge(site.flow.register, forged)
    put(site.flow.register, replace(sergeant, badges=(*sergeant.badges, forged.badge.id, NOBODYS)))
    assert site.flow.badges_of(SERGEANT) == [BADGES["sergeant"].badge]
    assert site.flow.badges_of(HolderId("ghost")) == []


def test_whose_a_badge_a_holder_and_a_card_number_are(register: Register):
    assert register.tenant_of_badge(badge_of("teacher")) == SCHOOL
    assert register.tenant_of_holder(HolderId("member")) == "club"
    assert register.tenant_of_card(CARD) == SCHOOL


def test_states_are_set_of_badges_that_are_there(register: Register):
    assert register.set_state(badge_of("pupil"), BadgeState.LOST)
    assert register.state(badge_of("pupil")) is BadgeState.LOST
    assert register.state(badge_of("teacher")) is BadgeState.ACTIVE
    assert register.token_of_digest(hashlib.sha256(BADGES["pupil"].token).digest()) == BADGES["pupil"].token
    assert not register.set_state(NOBODYS, BadgeState.ACTIVE)
    assert register.state(NOBODYS) is None


# -- registrations ----------------------------------------------------------------------------------------------------


def test_a_registration_is_believed_as_its_tenant_signed_it(register: Register):
    for who, holder in ground().holders.items():
        assert register.holder_of(badge_of(who), trust=ground().trust) == holder
        assert register.holder(holder.id, trust=ground().trust) == holder


@pytest.mark.parametrize("signer", ["stranger", "army signing", "front", "root 1"])
def test_a_registration_that_no_issuer_signed_is_a_bare_record(signer: str, register: Register):
    holder = replace(ground().holders["sergeant"], clearance=5)
    document = register_holder(holder, by=signer)
    put(register, holder, document)
    assert read_holder(document, trust=ground().trust) is None
    assert register.holder(SERGEANT, trust=ground().trust) is None
    record = HolderRecord(id=SERGEANT, document=document)
    assert register.holder_of(badge_of("sergeant"), trust=ground().trust) == record


def test_who_signed_is_whose_holder_it_is_whatever_a_row_says(register: Register):
    document = register_holder(ground().holders["sergeant"], by="school issuer")
    put(register, ground().holders["sergeant"], document)
    found = register.holder(SERGEANT, trust=ground().trust)
    assert found is not None
    assert found.tenant == SCHOOL


def test_a_row_cannot_give_a_registration_to_another_name(register: Register):
    private = ground().registrations["private"]
    register.put_holder(
        HolderRecord(id=SERGEANT, document=private), tenant=ARMY, badges=[badge_of("private")]
    )
    assert register.holder(SERGEANT, trust=ground().trust) is None
    record = HolderRecord(id=SERGEANT, document=private)
    assert register.holder_of(badge_of("private"), trust=ground().trust) == record


def test_a_row_cannot_give_a_badge_to_somebody_else(register: Register):
    """The index says it is the sergeant's; the sergeant's registration does not."""
    document = ground().registrations["sergeant"]
    record = HolderRecord(id=SERGEANT, document=document)
    register.put_holder(record, tenant=ARMY, badges=[badge_of("private")])
    assert register.holder_of(badge_of("private"), trust=ground().trust) == record


def test_a_registration_for_another_site_is_none(register: Register):
    document = register_holder(ground().holders["sergeant"], site=SiteId("castle"))
    assert read_holder(document, trust=ground().trust) is None


def test_a_new_registration_is_read_in_the_place_of_the_one_that_was_remembered(register: Register):
    trust = ground().trust
    assert register.holder(SERGEANT, trust=trust) == ground().holders["sergeant"]
    renewed = replace(ground().holders["sergeant"], clearance=1, version=2)
    put(register, renewed)
    assert register.holder(SERGEANT, trust=trust) == renewed


@pytest.mark.parametrize("kind", HolderKind)
def test_every_kind_of_holder_is_read_as_it_was_written(kind: HolderKind):
    holder = replace(ground().holders["sergeant"], kind=kind)
    assert read_holder(register_holder(holder), trust=ground().trust) == holder


def test_a_registration_that_says_all_that_one_can_is_read_as_it_was_written():
    pin = PinRecord(salt=bytes(16), digest=bytes(32), duress=None)
    certificates = (("arms", NOON), ("fire", NOON + timedelta(days=1)))
    full = replace(
        ground().holders["sergeant"],
        version=UINT,
        certificates=certificates,
        host=HolderId("private"),
        pin=pin,
    )
    assert read_holder(register_holder(full), trust=ground().trust) == full


GOOD: dict[int, Any] = cbor.decode(holder_payload(ground().holders["sergeant"], site=SITE))


def signed_fields(fields: object) -> bytes:
    payload = fields if isinstance(fields, bytes) else cbor.encode(fields)
    return cose.sign(payload, key=key_of("army issuer"), typ=HOLDER_TYPE, external_aad=SITE.encode())


def test_the_fields_of_the_contract_are_read():
    assert read_holder(signed_fields(GOOD), trust=ground().trust) == ground().holders["sergeant"]


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"\xff",
        [GOOD[key] for key in range(10)],
        *({key: value for key, value in GOOD.items() if key != left} for left in range(10)),
        *(
            {**GOOD, **spoilt}
            for spoilt in (
                {0: 2},
                {0: True},
                {1: "castle"},
                {2: "Not A Name"},
                {2: b"sergeant"},
                {3: 5},
                {3: -1},
                {3: True},
                {4: 6},
                {4: -1},
                {4: "5"},
                {4: True},
                {5: "soldier"},
                {5: [["soldier"]]},
                {5: [1]},
                {6: ["ab" * 16]},
                {6: [b"short"]},
                {6: b"0123456789abcdef"},
                {7: None},
                {7: True},
                {8: 1 << 62},
                {8: (1 << 64) - 1},
                {8: -(1 << 62)},
                {9: "1"},
                {9: -1},
                {9: True},
                {10: 0},
            )
        ),
    ],
)
def test_a_registration_that_says_something_else_is_none_and_stops_nobody(fields: object):
    assert read_holder(signed_fields(fields), trust=ground().trust) is None


# -- tokens, and what is remembered of them ---------------------------------------------------------------------------


def test_a_token_is_believed_and_remembered(register: Register):
    trust = ground().trust
    first = register.read_token(BADGES["sergeant"].token, trust=trust)
    assert first == BADGES["sergeant"].badge
    assert register.read_token(BADGES["sergeant"].token, trust=trust) is first
    assert register.read_token(BADGES["sergeant"].token[:-1] + b"\0", trust=trust) is None
    assert register.read_token(b"", trust=trust) is None


def test_what_was_refused_is_remembered_too_and_no_longer_than_its_trust_list(register: Register):
    token = issue("sergeant", "army", by="next army issuer").token
    assert register.read_token(token, trust=ground().trust) is None
    assert register.read_token(token, trust=ground().trust) is None
    trust = later_trust(record=key_of("next army issuer").record(use="issuer", owner="army"))
    assert register.read_token(token, trust=trust) is not None


def test_what_was_believed_under_the_former_trust_list_is_asked_again_under_the_next(register: Register):
    token = BADGES["sergeant"].token
    assert register.read_token(token, trust=ground().trust) is not None
    assert register.holder(SERGEANT, trust=ground().trust) is not None
    trust = later_trust(state=KeyState.REVOKED)
    assert register.read_token(token, trust=trust) is None
    assert register.holder(SERGEANT, trust=trust) is None


def test_forgetting_changes_no_answer(register: Register):
    trust = ground().trust
    before = [register.read_token(one.token, trust=trust) for one in BADGES.values()]
    register.forget_read()
    assert [register.read_token(one.token, trust=trust) for one in BADGES.values()] == before
    assert register.holder(SERGEANT, trust=trust) == ground().holders["sergeant"]


def test_the_memory_of_tokens_has_a_bound(register: Register, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatekeeper.core.register._MAX_READ", 8)
    trust = ground().trust
    for number in range(50):
        register.read_token(bytes([number]), trust=trust)
        assert len(register._read_tokens) <= 8
    assert register.read_token(BADGES["sergeant"].token, trust=trust) == BADGES["sergeant"].badge


def test_a_badge_replaced_under_its_id_is_found_by_its_new_token(register: Register):
    renewed = issue("sergeant", "army", ceiling=1)
    put_badge(register, renewed)
    assert register.token_of_digest(hashlib.sha256(renewed.token).digest()) == renewed.token
    assert len(register) == len(BADGES)


# -- what a new registration takes away, and which cards are free -----------------------------------------------------

VAN = badge_of("van")
TODAY = BADGES["van"].badge.not_before + timedelta(days=1)


def free(register: Register, *, now: datetime = TODAY) -> bool:
    return register.card_is_free(CARD, trust=ground().trust, now=now)


def test_a_badge_that_a_registration_names_no_more_is_nobodys_at_once(register: Register):
    put(register, replace(ground().holders["van"], badges=(), version=2))
    assert register.holder_of(VAN, trust=ground().trust) is None
    assert register.token_of_card(CARD) == BADGES["van"].token, "who shows it is still known"


def test_a_badge_that_went_over_to_another_holder_stays_theirs(register: Register):
    van, pupil = ground().holders["van"], ground().holders["pupil"]
    put(register, replace(pupil, badges=(*pupil.badges, VAN), version=2))
    put(register, replace(van, badges=(), version=2))
    found = register.holder_of(VAN, trust=ground().trust)
    assert isinstance(found, Holder)
    assert found.id == pupil.id


def test_a_card_that_no_badge_answers_to_is_free(register: Register):
    unknown = Card(CardTechnology.MIFARE, b"\0")
    assert register.card_is_free(unknown, trust=ground().trust, now=TODAY)
    assert (register.badge_of_card(unknown), register.badge_of_card(CARD)) == (None, VAN)


@pytest.mark.parametrize(
    ("state", "is_free", "tenant"),
    [
        (BadgeState.ACTIVE, False, SCHOOL),
        (BadgeState.SUSPENDED, False, SCHOOL),
        (BadgeState.LOST, False, SCHOOL),
        (BadgeState.STOLEN, False, SCHOOL),
        (BadgeState.REVOKED, True, None),
    ],
)
def test_of_what_was_said_of_a_badge_only_revoked_frees_its_card(
    *, state: BadgeState, is_free: bool, tenant: TenantId | None, register: Register
):
    register.set_state(VAN, state)
    assert (free(register), register.tenant_of_card(CARD)) == (is_free, tenant)


def test_a_badge_that_was_taken_away_in_good_order_frees_its_card(register: Register):
    put(register, replace(ground().holders["van"], badges=(), version=2))
    assert (free(register), register.tenant_of_card(CARD)) == (True, None)


@pytest.mark.parametrize("state", [BadgeState.SUSPENDED, BadgeState.LOST, BadgeState.STOLEN])
def test_a_card_that_somebody_else_may_have_is_not_free_whoever_held_it(
    state: BadgeState, register: Register
):
    put(register, replace(ground().holders["van"], badges=(), version=2))
    register.set_state(VAN, state)
    ends = BADGES["van"].badge.expires
    assert (free(register, now=ends), register.tenant_of_card(CARD)) == (False, SCHOOL)


def test_a_badge_whose_time_is_over_frees_its_card_for_its_own_tenant_only(register: Register):
    ends = BADGES["van"].badge.expires
    assert not free(register, now=ends - timedelta(microseconds=1))
    assert free(register, now=ends)
    assert register.tenant_of_card(CARD) == SCHOOL


def test_a_token_that_nobody_signed_frees_no_card(register: Register):
    forged = BadgeRecord(id=VAN, token=issue("van", "school", by="stranger").token, state=BadgeState.ACTIVE)
    register.put_badge(forged, tenant=SCHOOL, card=CARD)
    assert not free(register, now=BADGES["van"].badge.expires)


def test_a_card_answers_with_the_badge_that_took_it_last(register: Register):
    register.set_state(VAN, BadgeState.REVOKED)
    put_badge(register, BADGES["pupil"], card=CARD)
    assert register.badge_of_card(CARD) == badge_of("pupil")
    assert (free(register), register.tenant_of_card(CARD)) == (False, SCHOOL)


# -- since when a badge is stopped --------------------------------------------------------------------------------------

EIGHT = datetime(2026, 6, 3, 8, tzinfo=UTC)


def test_a_badge_is_stopped_since_it_was_first_not_active(register: Register):
    badge = badge_of("sergeant")
    assert (register.stopped_at(badge), register.was_stopped(badge, EIGHT)) == (None, False)
    register.set_state(badge, BadgeState.LOST, at=EIGHT)
    register.set_state(badge, BadgeState.REVOKED, at=EIGHT + timedelta(hours=1))
    assert register.stopped_at(badge) == EIGHT
    assert register.was_stopped(badge, EIGHT)
    assert not register.was_stopped(badge, EIGHT - timedelta(microseconds=1))


def test_a_badge_that_is_active_again_was_never_stopped_and_begins_anew(register: Register):
    badge = badge_of("sergeant")
    for state in (BadgeState.LOST, BadgeState.ACTIVE):
        register.set_state(badge, state, at=EIGHT)
    assert (register.stopped_at(badge), register.was_stopped(badge, EIGHT)) == (None, False)
    register.set_state(badge, BadgeState.STOLEN, at=EIGHT + timedelta(hours=1))
    assert register.stopped_at(badge) == EIGHT + timedelta(hours=1)


def test_where_nobody_knows_since_when_a_badge_was_stopped_all_along(register: Register):
    badge = badge_of("sergeant")
    register.set_state(badge, BadgeState.LOST)
    register.set_state(badge, BadgeState.REVOKED, at=EIGHT)
    assert register.stopped_at(badge) is None
    assert register.was_stopped(badge, EIGHT - timedelta(days=365))


def test_a_badge_that_is_not_there_was_not_stopped(register: Register):
    assert (register.stopped_at(NOBODYS), register.was_stopped(NOBODYS, EIGHT)) == (None, False)
