"""Credential and proof: what is found about a scan, the assurance that it reaches, and what the findings never do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.core.trust import KeyState, Trust, read_trust
from gatekeeper.core.verify import Presented, verify_scan
from gatekeeper.model.badges import Assurance, Card, CardTechnology
from gatekeeper.model.ids import SiteId, TenantId
from gatekeeper.model.messages import ByCard, ByDigest, ByToken, Proof, Scan, Verdict
from gatekeeper.model.reasons import Reason
from tests.support.sites import (
    BADGES,
    CARD,
    NOON,
    Issued,
    Sent,
    SmallSite,
    beacon_number,
    ground,
    issue,
    key_of,
    listed,
    signed_trust,
)


@pytest.fixture
def site() -> SmallSite:
    return SmallSite()


def presented(site: SmallSite, sent: Sent) -> Presented:
    """What the flow's first stage says of a scan."""
    found = site.flow.verify(site.authentic(sent), beacons=site.beacons)
    assert found is not None
    return found


def tapped(site: SmallSite, access_point: str, who: str | Issued | Card, **changes: Any) -> Presented:
    return presented(site, site.scan(access_point, who, **changes))


def sound(issued: Issued, assurance: Assurance) -> Presented:
    return Presented(badge=issued.badge, assurance=assurance, findings=())


# -- the three ways to name a badge -----------------------------------------------------------------------------------


def test_a_token_with_its_proof_is_key_bound(site: SmallSite):
    assert tapped(site, "front-in", "sergeant") == sound(BADGES["sergeant"], Assurance.KEY_BOUND)


def test_a_digest_finds_the_token_that_the_site_holds(site: SmallSite):
    scan = site.scan_by_digest("front-in", "sergeant")
    assert presented(site, scan) == sound(BADGES["sergeant"], Assurance.KEY_BOUND)


def test_a_bearers_token_needs_no_proof_and_reaches_no_more(site: SmallSite):
    assert tapped(site, "front-in", "pupil") == sound(BADGES["pupil"], Assurance.BEARER)


def test_a_bare_card_finds_its_token_and_is_worth_a_number(site: SmallSite):
    assert tapped(site, "shed-in", CARD) == sound(BADGES["van"], Assurance.CARD_NUMBER)


def test_the_token_of_a_card_shown_itself_is_still_worth_a_number(site: SmallSite):
    """The lower of what the badge is made for and what was shown counts."""
    for credential in (ByToken(BADGES["van"].token), _digest(BADGES["van"])):
        found = tapped(site, "shed-in", "van", credential=credential)
        assert found == sound(BADGES["van"], Assurance.CARD_NUMBER)


def test_a_badge_made_for_more_reaches_what_was_proved(site: SmallSite):
    made_for_a_pin = issue("officer", "army", assurance=Assurance.KEY_BOUND_AND_VERIFIED)
    assert tapped(site, "front-in", made_for_a_pin) == sound(made_for_a_pin, Assurance.KEY_BOUND)


def _digest(issued: Issued) -> ByDigest:
    scan = SmallSite().scan_by_digest("front-in", next(who for who, one in BADGES.items() if one is issued))
    assert isinstance(scan.message, Scan)
    assert isinstance(scan.message.credential, ByDigest)
    return scan.message.credential


# -- what is unknown --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "credential",
    [
        ByDigest(bytes(32)),
        ByCard(Card(CardTechnology.MIFARE, b"\1\2\3\4")),
        ByCard(Card(CardTechnology.WIEGAND, CARD.number)),
        ByCard(Card(CardTechnology.MIFARE, CARD.number + b"\0")),
    ],
)
def test_a_name_that_finds_no_token_is_unknown(credential: ByDigest | ByCard, site: SmallSite):
    found = tapped(site, "shed-in", "van", credential=credential)
    assert found == Presented(
        badge=None, assurance=Assurance.CARD_NUMBER, findings=(Reason.UNKNOWN_CREDENTIAL,)
    )


def test_everything_that_is_wrong_is_found(site: SmallSite):
    found = tapped(site, "shed-in", "van", credential=ByDigest(bytes(32)), beacon=bytes(16))
    assert found.findings == (Reason.UNKNOWN_CREDENTIAL, Reason.STALE_PROOF)
    found = tapped(site, "front-in", issue("forger", "army", by="school issuer"), beacon=bytes(16))
    assert found.findings == (Reason.BADGE_FORGED, Reason.STALE_PROOF)
    found = tapped(site, "front-in", "sergeant", proof=None, beacon=bytes(16))
    assert found.findings == (Reason.STALE_PROOF, Reason.WRONG_PROOF)


# -- forgeries --------------------------------------------------------------------------------------------------------


FORGERIES = {
    "signed by nobody known": issue("sergeant", "army", by="stranger"),
    "signed by another tenant": issue("sergeant", "army", by="school issuer"),
    "claims another tenant than its issuer": issue("pupil", "army", by="school issuer"),
    "signed by the tenant's signing key": issue("sergeant", "army", by="army signing"),
    "signed by a gate": issue("sergeant", "army", by="front"),
    "made for another site": issue("sergeant", "army", site=SiteId("castle")),
    "ends before it begins": issue("sergeant", "army", not_before=NOON, expires=NOON - timedelta(seconds=1)),
    "good for months without a status": issue("sergeant", "army", status_index=None),
    "above the highest level": issue("sergeant", "army", ceiling=6),
    "bound to no key": issue("sergeant", "army", confirmation=None),
    "a card number at assurance 2": issue("sergeant", "army", card=CARD),
    "garbage": replace(BADGES["sergeant"], token=b"garbage"),
    "one altered byte": replace(BADGES["sergeant"], token=BADGES["sergeant"].token[:-1] + b"\0"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_badge_that_its_tenant_did_not_make_for_this_site_is_forged(what: str, site: SmallSite):
    forged = FORGERIES[what]
    found = tapped(site, "front-in", forged, credential=ByToken(forged.token))
    assert found == Presented(badge=None, assurance=Assurance.CARD_NUMBER, findings=(Reason.BADGE_FORGED,))


def test_a_card_number_filed_at_another_badge_is_no_right(site: SmallSite):
    """Who may write to the register's index cannot make a number open what its tenant did not sign for it."""
    other = Card(CardTechnology.MIFARE, b"\xca\xfe\xba\xbe")
    site.enter("van", BADGES["van"], card=other)
    assert tapped(site, "shed-in", other).findings == (Reason.BADGE_FORGED,)
    assert tapped(site, "shed-in", CARD).findings == ()


def test_a_key_bound_badge_is_not_found_by_a_number(site: SmallSite):
    card = Card(CardTechnology.MIFARE, b"\xca\xfe\xba\xbe")
    site.enter("sergeant", BADGES["sergeant"], card=card)
    found = tapped(site, "front-in", card)
    assert found.findings == (Reason.BADGE_FORGED, Reason.WRONG_PROOF)
    assert found.assurance is Assurance.CARD_NUMBER


# -- proofs -----------------------------------------------------------------------------------------------------------


def proof_at(here: SmallSite, **other: Any) -> Proof:
    key = other.pop("key", None) or BADGES["sergeant"].key
    return here.prove("front-in", key, **other)


WRONG_PROOFS: dict[str, dict[str, Any]] = {
    "another gate": {"gate": "inner"},
    "the other direction": {"direction": "out"},
    "another beacon": {"beacon": beacon_number(3)},
    "another site": {"site": SiteId("castle")},
    "another badge's key": {"key": BADGES["private"].key},
    "the issuer's key": {"key": key_of("army issuer")},
}


@pytest.mark.parametrize("what", WRONG_PROOFS)
def test_a_proof_counts_for_its_own_scan_only(what: str, site: SmallSite):
    proof = proof_at(site, **WRONG_PROOFS[what])
    found = tapped(site, "front-in", "sergeant", proof=proof)
    assert found.findings == (Reason.WRONG_PROOF,)
    assert found.assurance is Assurance.BEARER


def test_no_proof_is_a_wrong_proof(site: SmallSite):
    found = tapped(site, "front-in", "sergeant", proof=None)
    assert found == Presented(
        badge=BADGES["sergeant"].badge, assurance=Assurance.BEARER, findings=(Reason.WRONG_PROOF,)
    )


def test_every_bit_of_a_proof_counts(site: SmallSite):
    good = proof_at(site)
    for spoilt in (
        replace(good, gate_random=bytes(16)),
        replace(good, signature=bytes(64)),
        replace(good, signature=bytes([good.signature[0] ^ 1]) + good.signature[1:]),
        replace(good, signature=good.signature + bytes(32)),
    ):
        assert tapped(site, "front-in", "sergeant", proof=spoilt).findings == (Reason.WRONG_PROOF,)
    assert tapped(site, "front-in", "sergeant", proof=good).findings == ()


def test_the_way_out_needs_a_proof_for_the_way_out(site: SmallSite):
    key = BADGES["sergeant"].key
    assert key is not None
    inward = site.prove("front-out", key, direction="in")
    assert tapped(site, "front-out", "sergeant").findings == ()
    assert tapped(site, "front-out", "sergeant", proof=inward).findings == (Reason.WRONG_PROOF,)


def test_a_proof_on_a_bearers_badge_adds_nothing(site: SmallSite):
    proof = proof_at(site, key=key_of("pupil's badge"))
    assert tapped(site, "front-in", "pupil", proof=proof) == sound(BADGES["pupil"], Assurance.BEARER)


# -- beacons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "counts"), [(0, True), (9.9, True), (10, True), (29.9, True), (30, False), (3600, False)]
)
def test_the_current_beacon_and_two_before_count(seconds: float, counts: bool, site: SmallSite):  # noqa: FBT001
    scan = site.scan("front-in", "sergeant")
    site.advance(seconds=seconds)
    assert presented(site, scan).findings == (() if counts else (Reason.STALE_PROOF,))


def test_a_beacon_of_the_future_does_not_count(site: SmallSite):
    ahead = beacon_number(int(site.now.timestamp()) // 10 + 1)
    found = tapped(site, "front-in", "sergeant", beacon=ahead, proof=proof_at(site, beacon=ahead))
    assert found.findings == (Reason.STALE_PROOF,)


def test_a_stale_beacon_is_found_for_every_kind_of_badge(site: SmallSite):
    for who in ("pupil", "van"):
        assert tapped(site, "shed-in", who, beacon=bytes(16)).findings == (Reason.STALE_PROOF,)


@pytest.mark.parametrize("verdict", [Verdict.GRANTED, Verdict.DENIED])
def test_a_past_event_is_as_old_as_it_is_but_needs_its_proof(verdict: Verdict, site: SmallSite):
    scan = site.scan("front-in", "sergeant", offline_verdict=verdict)
    unproved = site.scan("front-in", "sergeant", offline_verdict=verdict, proof=None)
    site.advance(hours=8)
    assert presented(site, scan).findings == ()
    assert presented(site, unproved).findings == (Reason.WRONG_PROOF,)


# -- issuers come and go ----------------------------------------------------------------------------------------------


def under(site: SmallSite, state: KeyState, *, since_days: int | None = None) -> Trust:
    """A next trust list, in which the army's issuer key is in some state from some days after the badge on."""
    army = listed().tenants[TenantId("army")]
    since = None if since_days is None else BADGES["sergeant"].badge.issued + timedelta(days=since_days)
    issuers = tuple(replace(key, state=state, revoked_from=since) for key in army.issuers)
    tenants = {**listed().tenants, TenantId("army"): replace(army, issuers=issuers)}
    trust = read_trust(signed_trust(listed(version=2, tenants=tenants)), anchor=ground().anchor, not_below=2)
    assert isinstance(trust, Trust)
    return trust


@pytest.mark.parametrize(
    ("state", "since_days", "believed"),
    [
        (KeyState.ACTIVE, None, True),
        (KeyState.VERIFY_ONLY, None, True),
        (KeyState.REVOKED, None, False),
        (KeyState.REVOKED, -1, False),
        (KeyState.REVOKED, 0, False),
        (KeyState.REVOKED, 1, True),
    ],
)
def test_a_revoked_issuers_badges_count_when_they_are_older_than_the_revocation(
    state: KeyState,
    since_days: int | None,
    believed: bool,  # noqa: FBT001
    site: SmallSite,
):
    scan = site.scan("front-in", "sergeant")
    assert presented(site, scan).badge is not None  # and remembered, under the former list
    assert isinstance(scan.message, Scan)
    found = verify_scan(
        scan.message,
        gate=site.authentic(scan).gate,
        direction="in",
        register=site.flow.register,
        trust=under(site, state, since_days=since_days),
        beacons=site.beacons,
    )
    assert (found.badge is not None) is believed
    assert found.findings == (() if believed else (Reason.BADGE_FORGED,))


# -- what is not asked here -------------------------------------------------------------------------------------------


def test_dates_epochs_and_the_register_are_left_to_the_decision(site: SmallSite):
    stranger = issue("stranger", "army", expires=NOON - timedelta(days=1), epoch=0)
    assert tapped(site, "front-in", stranger) == sound(stranger, Assurance.KEY_BOUND)


def test_what_is_no_scan_and_what_is_known_already_is_not_verified(site: SmallSite):
    scan = site.scan("front-in", "sergeant")
    assert site.flow.verify(site.authentic(site.hello("front")), beacons=site.beacons) is None
    site.recorded(scan)
    assert site.flow.sequences.admit(site.authentic(scan)) is not None
    assert site.flow.verify(site.authentic(scan), beacons=site.beacons) is None
