"""A tenant's desk: it signs what the site will believe, within the agreement, and knows nothing of others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.register import Register, read_holder
from gatekeeper.core.supervise import StoredBadge
from gatekeeper.core.trust import KeyState, TrustListing
from gatekeeper.model.badges import BADGE_TYPE, Assurance, BadgeState, Card, CardTechnology, claims_of
from gatekeeper.model.card_numbers import read_card_number, write_card_number
from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, TenantId
from gatekeeper.model.people import HolderKind, PinRecord
from gatekeeper.service.administration.directory import PeopleError, particulars_of
from gatekeeper.service.administration.folder import issuer_of
from gatekeeper.service.administration.issuing import register_holder
from gatekeeper.service.administration.particulars import Particulars, Reading
from gatekeeper.service.administration.people import BadgeOrder, Desk, issuer_at, new_holder_id
from gatekeeper.service.administration.trust_list import next_trust, publish_trust, read_current_trust
from tests.support.site_files import NOW, Site
from tests.unit.administration.people import ANNA, BO, Rows, anna, desk_of

CARD = Card(CardTechnology.MIFARE, bytes.fromhex("04AABBCC"))
SOLDIER = HolderId("h-00001")


def problems(desk: Desk, wanted: Particulars, *, holder: HolderId = ANNA, hosts: Any = ()) -> list[str]:
    return [str(one) for one in desk.problems(holder, Reading(wanted, ()), now=NOW, hosts=hosts)]


# -- registering --------------------------------------------------------------------------------------------------------


def test_a_registration_is_signed_by_the_tenant_and_its_versions_rise(standing_fort: Site):
    rows = Rows(standing_fort)
    for version in (1, 2, 3):
        registration = rows.desk("school").register(ANNA, anna(), now=NOW)
        believed = read_holder(registration.change.document, trust=standing_fort.trust)
        assert believed == registration.holder
        assert (believed.version, believed.tenant) == (version, "school")
        rows.take(registration)


def test_the_name_travels_beside_what_is_signed(standing_fort: Site):
    registration = desk_of(standing_fort, "school").register(ANNA, anna(), now=NOW)
    assert registration.name == "Anna de Vries"
    assert b"Anna" not in registration.change.document


def test_without_an_end_a_registration_lasts_as_long_as_the_agreement(standing_fort: Site):
    holder = desk_of(standing_fort, "school").register(ANNA, anna(), now=NOW).holder
    assert (holder.since, holder.until) == (NOW, datetime(2027, 1, 1, tzinfo=UTC))


def test_a_change_keeps_badges_pin_and_beginning(standing_fort: Site):
    rows = Rows(standing_fort)
    desk = rows.desk("school")
    issued = desk.issue(BadgeOrder(assurance=Assurance.BEARER), to=anna(), status_index=0, now=NOW)
    first = desk.register(ANNA, anna(), now=NOW, issued=[issued])
    pin = PinRecord(salt=bytes(16), digest=bytes(32), duress=None)
    document = register_holder(replace(first.holder, pin=pin), issuer=desk.issuer)
    rows.take(replace(first, change=replace(first.change, document=document)))

    later = rows.desk("school")
    said = particulars_of(later.directory.get(ANNA))
    holder = later.register(ANNA, replace(said, clearance=1), now=NOW + timedelta(days=9)).holder
    assert (holder.version, holder.clearance, holder.pin) == (2, 1, pin)
    assert (holder.badges, holder.since) == ((issued.badge.id,), NOW)


def test_a_registration_that_would_not_be_believed_is_not_handed_in(standing_fort: Site):
    too_many = anna(profiles=tuple(ProfileId(f"p-{n}") for n in range(600)))
    with pytest.raises(PeopleError, match="would not be believed"):
        desk_of(standing_fort, "school").register(ANNA, too_many, now=NOW)


# -- what the site would not have ---------------------------------------------------------------------------------------


def test_what_is_in_order_has_no_problem(standing_fort: Site):
    assert problems(desk_of(standing_fort, "school"), anna()) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"profiles": ("soldier",)}, 'profiles: school has no profile "soldier"; it has pupil'),
        ({"until": NOW - timedelta(days=1)}, "until: lies before the beginning: write a later end, or an earlier beginning"),
        ({"until": datetime(2027, 1, 2, tzinfo=UTC)}, "until: lies after the end of school's agreement: write 2026-12-31 or earlier"),
        ({"since": datetime(2027, 1, 2, tzinfo=UTC)}, "from: lies after the end of school's agreement: write 2026-12-31 or earlier"),
        ({"host": HolderId("h-9")}, "host: school has no holder h-9: name one of its people"),
        ({"host": SOLDIER}, "host: school has no holder h-00001: name one of its people"),
        ({"host": ANNA}, "host: nobody is their own host: name who receives them"),
        ({"host": HolderId("h-00003")}, "host: h-00003 is a visitor too: name who receives them"),
    ],
)  # fmt: skip
def test_what_the_site_would_not_have_is_told_with_what_to_do(
    changes: dict[str, Any], problem: str, standing_fort: Site
):
    assert problems(desk_of(standing_fort, "school"), anna(**changes)) == [problem]


def test_an_id_of_another_tenant_is_taken_and_nothing_more_is_told(standing_fort: Site):
    found = problems(desk_of(standing_fort, "school"), anna(profiles=("soldier",)), holder=SOLDIER)
    assert found == ["holder: h-00001 is taken on this site: choose another id"]


def test_a_tenant_without_profiles_is_told_that_it_has_none(standing_fort: Site):
    assert problems(desk_of(standing_fort, "club"), anna()) == [
        'profiles: club has no profile "pupil"; it has none'
    ]


def test_a_tenant_whose_agreement_has_ended_registers_nobody(standing_fort: Site):
    found = desk_of(standing_fort, "club").problems(
        ANNA, Reading(anna(profiles=()), ()), now=NOW + timedelta(days=60)
    )
    assert [str(one) for one in found] == ["until: the agreement of club has ended: it registers nobody"]


def test_only_what_is_new_is_held_against_anybody(standing_fort: Site):
    odd = anna(profiles=("gone",), host=HolderId("gone"))
    desk = desk_of(standing_fort, "school", (ANNA, odd))
    assert problems(desk, replace(particulars_of(desk.directory.get(ANNA)), clearance=0)) == []


def test_a_host_may_come_with_the_same_file(standing_fort: Site):
    assert problems(desk_of(standing_fort, "school"), anna(host=BO), hosts={"p-bo"}) == []


def test_what_is_allowed_and_may_not_be_meant_is_noted(standing_fort: Site):
    desk = desk_of(standing_fort, "school")
    wanted = anna(clearance=4, certificates=(("first-aid", NOW),))
    assert list(desk.notes(wanted, {"clearance", "certificates"})) == [
        "The agreement of school ends at level 2: clearance 4 counts as 2.",
        "No zone asks for the certificate first-aid; they ask for none.",
    ]
    assert list(desk.notes(wanted, {"name"})) == []
    assert list(desk_of(standing_fort, "army").notes(anna(clearance=5), {"clearance"})) == []


# -- badges -------------------------------------------------------------------------------------------------------------


def issued(desk: Desk, *, to: Particulars | None = None, now: datetime = NOW, **order: Any):
    said = BadgeOrder(**{"assurance": Assurance.KEY_BOUND, **order})
    return desk.issue(said, to=to or anna(), status_index=7, now=now)


def test_a_badge_lives_as_long_as_agreement_and_registration_let_it(standing_fort: Site):
    desk = desk_of(standing_fort, "school")
    assert issued(desk).badge.expires == NOW + timedelta(days=90)
    assert issued(desk, to=anna(until=NOW + timedelta(days=5))).badge.expires == NOW + timedelta(days=5)
    assert issued(desk, until=NOW + timedelta(hours=3)).badge.expires == NOW + timedelta(hours=3)


def test_a_badge_may_be_for_some_uses_only_and_may_cry_for_help(standing_fort: Site):
    badge = issued(desk_of(standing_fort, "school"), max_uses=3, duress=True)
    believed = Register().read_token(badge.token, trust=standing_fort.trust)
    assert believed == badge.badge
    assert (believed.max_uses, believed.duress, believed.status_index) == (3, True, 7)
    assert badge.key is not None


@pytest.mark.parametrize(
    ("order", "to", "why"),
    [
        ({"until": NOW + timedelta(days=91)}, {}, r"A badge of school that is issued now ends on 2026-08-30 14:00 at the latest\."),
        ({"until": NOW}, {}, r"The badge would end before it begins: give it a later end\."),
        ({}, {"until": NOW}, r"The registration of Anna de Vries has ended: give it a later end first\."),
        ({"assurance": Assurance.CARD_NUMBER}, {}, r"A card number stands at assurance 0, and only there\."),
    ],
)  # fmt: skip
def test_a_badge_that_cannot_be_is_not_issued(
    order: dict[str, Any], to: dict[str, Any], why: str, standing_fort: Site
):
    with pytest.raises(PeopleError, match=why):
        issued(desk_of(standing_fort, "school"), to=anna(**to), **order)


def test_a_tenant_whose_agreement_has_ended_issues_nothing(standing_fort: Site):
    with pytest.raises(PeopleError, match=r"The agreement of club has ended: it issues no badges\."):
        issued(desk_of(standing_fort, "club"), now=NOW + timedelta(days=60))


def test_a_card_answers_for_one_badge_on_the_whole_site(standing_fort: Site):
    rows = Rows(standing_fort)
    army = rows.desk("army")
    card = issued(army, assurance=Assurance.CARD_NUMBER, card=CARD)
    rows.take(army.register(BO, anna(profiles=()), now=NOW, issued=[card]))
    with pytest.raises(
        PeopleError, match=r"A badge of another tenant answers to mifare:04AABBCC: take another card\."
    ):
        issued(rows.desk("school"), assurance=Assurance.CARD_NUMBER, card=CARD)
    rows.become(card.badge.id, BadgeState.REVOKED)
    assert issued(rows.desk("school"), assurance=Assurance.CARD_NUMBER, card=CARD).badge.card == CARD


@pytest.mark.parametrize(
    ("state", "later", "free"),
    [
        (BadgeState.REVOKED, timedelta(0), True),
        (BadgeState.ACTIVE, timedelta(0), False),
        (BadgeState.LOST, timedelta(0), False),
        (BadgeState.ACTIVE, timedelta(days=91), True),
        (BadgeState.STOLEN, timedelta(days=91), False),
    ],
)
def test_the_number_of_a_badge_that_is_over_goes_to_another(
    *, state: BadgeState, later: timedelta, free: bool, standing_fort: Site
):
    rows = Rows(standing_fort)
    card = issued(rows.desk("school"), assurance=Assurance.CARD_NUMBER, card=CARD)
    rows.take(rows.desk("school").register(ANNA, anna(), now=NOW, issued=[card]))
    rows.become(card.badge.id, state)
    desk = rows.desk("school")
    assert desk.directory.card_is_free(CARD, now=NOW + later) is free
    if not free:
        why = f"Badge {card.badge.id} of p-anna answers to mifare:04AABBCC and is {state}: to free the number, revoke it"
        with pytest.raises(PeopleError, match=why):
            issued(desk, now=NOW + later, assurance=Assurance.CARD_NUMBER, card=CARD)


def test_a_badge_that_was_taken_from_its_holder_frees_its_number(standing_fort: Site):
    rows = Rows(standing_fort)
    card = issued(rows.desk("school"), assurance=Assurance.CARD_NUMBER, card=CARD)
    rows.take(rows.desk("school").register(ANNA, anna(), now=NOW, issued=[card]))
    rows.take(rows.desk("school").register(ANNA, anna(), now=NOW, without=frozenset({card.badge.id})))
    assert rows.desk("school").directory.card_is_free(CARD, now=NOW)
    assert rows.desk("club").directory.card_is_free(CARD, now=NOW)


@pytest.mark.parametrize(
    ("text", "card", "written"),
    [
        ("mifare:BA839D07", Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07")), "mifare:BA839D07"),
        ("mifare:04:aa:bb:cc:01:02:03", Card(CardTechnology.MIFARE, bytes.fromhex("04AABBCC010203")), "mifare:04AABBCC010203"),
        ("wiegand:4302741608/34", Card(CardTechnology.WIEGAND, (4302741608).to_bytes(5, "big")), "wiegand:4302741608/40"),
        (" wiegand:1/26 ", Card(CardTechnology.WIEGAND, b"\0\0\0\1"), "wiegand:1/32"),
    ],
)  # fmt: skip
def test_card_numbers_are_read_as_stock_readers_show_them(text: str, card: Card, written: str):
    assert read_card_number(text) == card
    assert write_card_number(card) == written
    assert read_card_number(written) == card


@pytest.mark.parametrize(
    "text",
    ["", "BA839D07", "mifare:", "mifare:BA8", "mifare:" + "00" * 17, "wiegand:12", "wiegand:4/2", "wiegand:1/0", "wiegand:1/136", "nfc:00"],
)  # fmt: skip
def test_what_is_no_card_number_is_told_how_to_write_one(text: str):
    with pytest.raises(
        ValueError, match=r"is no card number: write mifare:BA839D07, or wiegand:4302741608/34"
    ):
        read_card_number(text)


# -- the directory ------------------------------------------------------------------------------------------------------


def test_a_directory_is_one_tenants(standing_fort: Site):
    directory = desk_of(standing_fort, "school").directory
    assert {one.holder.tenant for one in directory.everyone()} == {"school"}
    assert directory.find(SOLDIER) is None
    with pytest.raises(PeopleError, match=r"school has no holder h-00001\."):
        directory.get(SOLDIER)
    (soldiers,) = (row for row in standing_fort.founding.badges if row.holder == SOLDIER)
    with pytest.raises(PeopleError, match="school has no badge"):
        directory.badge(soldiers.record.id)


def test_a_row_that_the_tenant_did_not_sign_is_nobody(standing_fort: Site):
    rows = Rows(standing_fort)
    (school,) = (row for row in rows.holders.values() if row.record.id == "h-00003")
    forged = register_holder(
        replace(rows.desk("army").directory.get(SOLDIER).holder, id=school.record.id),
        issuer=rows.desk("army").issuer,
    )
    rows.holders[school.record.id] = replace(school, record=replace(school.record, document=forged))
    directory = rows.desk("school").directory
    assert directory.unbelieved() == ("h-00003",)
    assert "h-00003" not in [one.holder.id for one in directory.everyone()]
    with pytest.raises(PeopleError, match="is not signed by school: register h-00003 anew"):
        directory.get(HolderId("h-00003"))


def test_a_badge_that_the_registration_no_longer_names_is_held_by_nobody(standing_fort: Site):
    rows = Rows(standing_fort)
    desk = rows.desk("school")
    badges = [issued(desk), issued(desk, now=NOW + timedelta(minutes=1))]
    rows.take(desk.register(ANNA, anna(), now=NOW, issued=badges))
    older, newer = (one.badge.id for one in badges)
    assert [one.badge.id for one in rows.desk("school").directory.badges_of(ANNA)] == [newer, older]
    rows.take(rows.desk("school").register(ANNA, anna(), now=NOW, without=frozenset({older})))
    found = {one.badge.id: one.held for one in rows.desk("school").directory.badges_of(ANNA)}
    assert found == {newer: True, older: False}
    assert rows.desk("school").directory.badges_by_holder()[ANNA]


def test_a_place_in_the_status_list_follows_the_highest_that_was_signed(standing_fort: Site):
    rows = Rows(standing_fort)
    assert rows.desk("school").directory.free_status_index == 4, "four of its people were founded"
    assert rows.desk("club").directory.free_status_index == 0
    desk = rows.desk("school")
    badge = replace(issued(desk).badge, id=BadgeId("ab" * 16), status_index=1 << 40)
    token = cose.sign(cose.encode(claims_of(badge)), key=cose.SigningKey.generate(), typ=BADGE_TYPE)
    record = replace(next(iter(rows.badges.values())).record, id=badge.id, token=token)
    rows.badges[badge.id] = StoredBadge(record=record, tenant=TenantId("school"), holder=ANNA, card=None)
    assert rows.desk("school").directory.free_status_index == 4, "a row that nobody signed takes no place"
    assert record.state is BadgeState.ACTIVE


# -- keys ---------------------------------------------------------------------------------------------------------------


def test_a_key_that_may_not_issue_any_more_opens_no_desk(fort: Site):
    key = fort.folder.read_key(issuer_of(TenantId("school")))
    assert issuer_at(TenantId("school"), key, trust=fort.trust).tenant == "school"

    def retire(listing: TrustListing) -> TrustListing:
        school = listing.tenants[TenantId("school")]
        retired = tuple(replace(one, state=KeyState.VERIFY_ONLY) for one in school.issuers)
        return replace(
            listing,
            version=listing.version + 1,
            tenants={**listing.tenants, TenantId("school"): replace(school, issuers=retired)},
        )

    trust = next_trust(fort.folder, read_current_trust(fort.folder), retire, now=NOW)
    publish_trust(fort.folder, trust)
    with pytest.raises(PeopleError, match="does not let this key issue for school"):
        issuer_at(TenantId("school"), key, trust=trust)


def test_the_key_of_one_tenant_opens_no_desk_of_another(standing_fort: Site):
    key = standing_fort.folder.read_key(issuer_of(TenantId("school")))
    with pytest.raises(PeopleError, match="does not let this key issue for club"):
        issuer_at(TenantId("club"), key, trust=standing_fort.trust)
    with pytest.raises(PeopleError, match=r"The site has no tenant navy; it has army, club, school\."):
        issuer_at(TenantId("navy"), key, trust=standing_fort.trust)


def test_a_new_id_says_nothing_and_is_easily_read_aloud():
    ids = {new_holder_id("v") for _ in range(200)}
    assert len(ids) == 200
    assert all(len(one) == 10 and one.startswith("v-") and not set(one[2:]) & set("01ilo") for one in ids)
    assert HolderKind.VISITOR.number == 2
