"""The trust list goes forward only, and only by the hands of its roots."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper import cose
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.core.trust import KeyState, Trust, TrustListing, TrustRefusal, TrustRefused, read_trust
from gatekeeper.model.ids import GateId, SiteId, TenantId
from gatekeeper.service.administration.folder import ROOT_KEYS, TRUST, SiteFolderError, in_gate
from gatekeeper.service.administration.trust_list import (
    TrustListError,
    admit_gate,
    next_trust,
    publish_trust,
    read_current_trust,
    revoke_gate,
)
from tests.support.site_files import NOW, Site

LATER = NOW + timedelta(days=1)
BACK = GateId("back")
GATES = {GateId("front"), BACK}


def asking(gate: str = BACK, *, site: str = "fort", key: cose.SigningKey | None = None) -> bytes:
    return enrolment_request(site=SiteId(site), gate=GateId(gate), key=key or cose.SigningKey.generate())


def unchanged(listing: TrustListing) -> TrustListing:
    return listing


def renewed(fort: Site, change: Callable[[TrustListing], TrustListing]) -> Trust:
    """The next trust list, put in place as when the engine has it in force."""
    trust = next_trust(fort.folder, read_current_trust(fort.folder), change, now=LATER)
    publish_trust(fort.folder, trust)
    return trust


def admitted(fort: Site, request: bytes) -> Trust:
    trust = admit_gate(fort.folder, read_current_trust(fort.folder), request, gates=GATES, now=LATER)
    publish_trust(fort.folder, trust)
    return trust


def test_a_list_that_is_signed_is_in_place_only_when_it_is_put_there(fort: Site):
    current = read_current_trust(fort.folder)
    assert admit_gate(fort.folder, current, asking(), gates=GATES, now=LATER).version == 2
    assert fort.folder.read(TRUST) == current.document


def test_a_new_gate_is_admitted_by_the_next_version(fort: Site):
    key = cose.SigningKey.generate()
    trust = admitted(fort, asking(key=key))
    assert (trust.version, trust.listing.issued) == (2, LATER)
    assert trust.gates[key.kid].owner == BACK
    assert trust.listing.gates.keys() == {"front", "side-reader", "back"}
    assert read_current_trust(fort.folder).document == trust.document


def test_the_next_version_reaches_the_folders_of_the_gates(fort: Site):
    trust = admitted(fort, asking())
    for gate in fort.folder.gates():
        assert fort.folder.read(in_gate(gate, TRUST)) == trust.document


def test_the_former_list_is_refused_as_a_rollback(fort: Site):
    renewed(fort, unchanged)
    refused = read_trust(fort.founding.trust, anchor=fort.founding.anchor, not_below=2)
    assert refused == TrustRefused(code=TrustRefusal.ROLLBACK, detail="1 < 2")


def test_versions_rise_one_by_one_whatever_the_change_says(fort: Site):
    versions = [renewed(fort, lambda listing: replace(listing, version=77)).version for _ in range(3)]
    assert versions == [2, 3, 4]


def test_two_of_three_roots_suffice_and_one_does_not(fort: Site):
    (fort.folder.root / ROOT_KEYS[0]).unlink()
    assert renewed(fort, unchanged).version == 2
    (fort.folder.root / ROOT_KEYS[2]).unlink()
    with pytest.raises(TrustListError, match=r"2 root keys must sign.*1 of them"):
        renewed(fort, unchanged)
    assert read_current_trust(fort.folder).version == 2


def test_a_root_of_another_site_signs_nothing_here(fort: Site, standing_fort: Site):
    for place in ROOT_KEYS:
        (fort.folder.root / place).unlink()
        fort.folder.keep_secret(place, standing_fort.folder.read_key(place).to_pem())
    with pytest.raises(TrustListError, match="does not verify with the site's roots"):
        renewed(fort, unchanged)
    assert fort.folder.read(TRUST) == fort.founding.trust


def test_a_list_that_nobody_would_believe_is_not_put_in_place(fort: Site):
    def with_anothers_agreement(listing: TrustListing) -> TrustListing:
        school, club = listing.tenants[TenantId("school")], listing.tenants[TenantId("club")]
        swapped = replace(school, agreement=club.agreement)
        return replace(listing, tenants={**listing.tenants, TenantId("school"): swapped})

    with pytest.raises(TrustListError, match="signatures of host and tenant"):
        renewed(fort, with_anothers_agreement)
    assert fort.folder.read(TRUST) == fort.founding.trust


def test_a_gate_with_a_key_gets_no_second_one_until_the_first_is_revoked(fort: Site):
    front = GateId("front")
    with pytest.raises(TrustListError, match="front has a key already"):
        admitted(fort, asking(front))

    trust = revoke_gate(fort.folder, read_current_trust(fort.folder), front, now=LATER)
    assert (trust.listing.gates[front].state, trust.listing.gates[front].revoked_from) == (
        KeyState.REVOKED,
        LATER,
    )
    assert front not in {key.owner for key in trust.gates.values()}
    publish_trust(fort.folder, trust)
    key = cose.SigningKey.generate()
    assert admitted(fort, asking(front, key=key)).gates[key.kid].owner == front


@pytest.mark.parametrize("gate", ["back", "nowhere"])
def test_a_gate_without_a_key_has_none_to_revoke(fort: Site, gate: str):
    with pytest.raises(TrustListError, match=f"{gate} has no key that counts"):
        revoke_gate(fort.folder, read_current_trust(fort.folder), GateId(gate), now=LATER)


def test_a_key_of_the_site_is_no_key_for_a_gate(fort: Site):
    with pytest.raises(TrustListError, match="listed twice"):
        admitted(fort, asking(key=fort.signing("school")))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"", "not a signed enrolment request"),
        (asking(site="castle"), "for the site castle"),
        (
            asking("nowhere"),
            r"Refused: enrolment-gate-unknown\. It is for a gate that .*\(nowhere\)",
        ),
    ],
)
def test_a_request_that_is_not_believed_changes_nothing(fort: Site, request_: bytes, expected: str):
    with pytest.raises(TrustListError, match=expected):
        admitted(fort, request_)
    assert fort.folder.read(TRUST) == fort.founding.trust


def test_a_tampered_list_in_place_is_not_renewed(fort: Site):
    document = bytearray(fort.founding.trust)
    document[-1] ^= 1
    fort.folder.write(TRUST, bytes(document))
    with pytest.raises(TrustListError, match="does not verify"):
        renewed(fort, unchanged)


def test_a_root_key_that_others_can_read_signs_nothing(fort: Site):
    (fort.folder.root / ROOT_KEYS[1]).chmod(0o644)
    with pytest.raises(SiteFolderError, match="can be reached by others"):
        renewed(fort, unchanged)


def test_one_renewal_at_a_time(fort: Site):
    with fort.folder.alone(), pytest.raises(SiteFolderError, match="Another process"):
        renewed(fort, unchanged)
