"""A site comes to be whole, believed by its own readers, or not at all."""

import base64
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRequest, enrolment_request, read_enrolment
from gatekeeper.core.policy_document import compile_from
from gatekeeper.core.register import Register
from gatekeeper.core.trust import (
    AGREEMENT_TYPE,
    TRUST_TYPE,
    Anchor,
    Trust,
    TrustListing,
    TrustRefusal,
    TrustRefused,
    agreement_payload,
    read_trust,
    trust_payload,
)
from gatekeeper.model.badges import Badge, BadgeState
from gatekeeper.model.ids import GateId, SiteId, TenantId
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Policy
from gatekeeper.model.site_file import SiteFileError
from gatekeeper.service.administration.ceremony import found_site
from gatekeeper.service.administration.folder import (
    BEACON_KEY,
    DECISION_KEY,
    LOG_KEY,
    PIN_PEPPER,
    ROOT_KEYS,
    SEAL_KEY,
    SiteFolder,
    SiteFolderError,
    in_gate,
)
from gatekeeper.service.administration.operators import FIRST_KEYS
from gatekeeper.service.administration.trust_list import TrustListError
from tests.support.site_files import NOW, Site, example_site, small_site

PUBLIC = {"anchor.json", "trust.cose", "policy.cose", "agreement.cose", "gate.json", "request.cose"}
PRIVATE = {
    "root-1.pem",
    "root-2.pem",
    "root-3.pem",
    "decision.pem",
    "log.pem",
    "beacon.key",
    "pin.key",
    "seal.pem",
    "signing.pem",
    "issuer.pem",
    "key.pem",
    "broker-password",
    "people.json",
}


def files_of(site: Site) -> Iterator[Path]:
    return (path for path in site.folder.root.rglob("*") if path.is_file())


def test_every_private_file_is_its_owners_alone(barracks: Site):
    for path in files_of(barracks):
        private = path.name in PRIVATE or path.parent.name == FIRST_KEYS
        assert private or path.name in PUBLIC
        expected = 0o600 if private else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    folders = [barracks.folder.root, *(path for path in barracks.folder.root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def gate_files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder / "gates")) for file in folder.glob("gates/*/*")}


WITHOUT_KEYS = {
    f"{gate}/{name}"
    for gate in ("front", "side-reader")
    for name in ("gate.json", "anchor.json", "trust.cose", "broker-password")
}


def test_at_a_site_whose_people_are_not_invented_gates_make_their_own_keys(tmp_path: Path):
    document = small_site()
    del document["population"]
    founding = found_site(document, SiteFolder(tmp_path / "fort"), now=NOW)
    trust = read_trust(founding.trust, anchor=founding.anchor, not_below=0)
    assert isinstance(trust, Trust)
    assert not trust.listing.gates
    assert gate_files(tmp_path / "fort") == WITHOUT_KEYS


@pytest.mark.parametrize("keys", [True, False])
def test_who_founds_says_whether_the_keys_of_gates_are_made_here(tmp_path: Path, *, keys: bool):
    document = small_site()
    if keys:
        del document["population"]
    founding = found_site(document, SiteFolder(tmp_path / "fort"), now=NOW, gate_keys=keys)
    trust = read_trust(founding.trust, anchor=founding.anchor, not_below=0)
    assert isinstance(trust, Trust)
    assert bool(trust.listing.gates) is keys
    assert ("front/key.pem" in gate_files(tmp_path / "fort")) is keys


def test_no_umask_opens_a_private_file(tmp_path: Path):
    before = os.umask(0)
    try:
        found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW)
    finally:
        os.umask(before)
    open_files = [
        path
        for path in (tmp_path / "fort").rglob("*")
        if (path.name in PRIVATE or path.suffix == ".pem") and path.stat().st_mode & 0o077
    ]
    assert open_files == []


def test_private_key_bytes_stand_in_private_files_only(barracks: Site):
    for path in files_of(barracks):
        if path.name in PUBLIC:
            assert b"PRIVATE" not in path.read_bytes()


def test_the_layout_is_the_one_that_is_promised(standing_fort: Site):
    found = {str(path.relative_to(standing_fort.folder.root)) for path in files_of(standing_fort)}
    assert found == {
        "anchor.json",
        "trust.cose",
        "policy.cose",
        "people.json",
        *ROOT_KEYS,
        DECISION_KEY,
        LOG_KEY,
        BEACON_KEY,
        SEAL_KEY,
        PIN_PEPPER,
        *(
            f"tenants/{tenant}/{key}.pem"
            for tenant in ("army", "school", "club")
            for key in ("signing", "issuer")
        ),
        *(
            f"operators/{name}.pem"
            for name in ("admin", "officer", "auditor", "army-admin", "school-admin", "club-admin")
        ),
        "tenants/school/agreement.cose",
        "tenants/club/agreement.cose",
        *(
            f"gates/{gate}/{name}"
            for gate in ("front", "side-reader")
            for name in (
                "gate.json",
                "key.pem",
                "anchor.json",
                "trust.cose",
                "broker-password",
                "request.cose",
            )
        ),
    }


def test_the_trust_list_is_believed_from_the_anchor_alone(barracks: Site):
    anchor = Anchor.from_json(barracks.founding.anchor.to_json())
    trust = read_trust(barracks.founding.trust, anchor=anchor, not_below=0)
    assert isinstance(trust, Trust)
    assert (trust.version, len(trust.gates), len(trust.agreements)) == (1, 25, 6)
    assert len(anchor.roots) == 3


def test_what_is_returned_is_what_is_kept(barracks: Site):
    assert barracks.folder.read_anchor() == barracks.founding.anchor
    assert barracks.folder.read("trust.cose") == barracks.founding.trust
    assert barracks.folder.read("policy.cose") == barracks.founding.policy


def test_the_kept_keys_are_the_ones_in_the_trust_list(barracks: Site):
    trust = barracks.trust
    assert set(trust.decisions) == {barracks.folder.read_key(DECISION_KEY).kid}
    assert [record.kid for record in trust.log_keys] == [barracks.folder.read_key(LOG_KEY).kid]
    assert trust.log_keys[0].algorithm is cose.Algorithm.ED25519
    for tenant in trust.listing.tenants:
        assert trust.tenants[barracks.signing(tenant).kid].owner == tenant
        assert trust.issuers[barracks.issuer(tenant).kid].owner == tenant
    for gate in trust.listing.gates:
        assert trust.gates[barracks.folder.read_key(in_gate(gate, "key.pem")).kid].owner == gate
    assert len(barracks.folder.read_secret(BEACON_KEY)) == 32


def test_a_gates_folder_holds_all_that_the_gate_needs(barracks: Site):
    gate = GateId("main-gate")
    assert json.loads(barracks.folder.read(in_gate(gate, "gate.json"))) == {
        "site": "johan-willem-friso",
        "gate": "main-gate",
        "prefix": "gk",
        "access_points": [
            {"id": "main-gate-in", "direction": "in", "contact": True, "interlocked": False},
            {"id": "main-gate-out", "direction": "out", "contact": True, "interlocked": False},
        ],
    }
    anchor = Anchor.from_json(barracks.folder.read(in_gate(gate, "anchor.json")).decode())
    document = barracks.folder.read(in_gate(gate, "trust.cose"))
    assert isinstance(read_trust(document, anchor=anchor, not_below=1), Trust)
    request = read_enrolment(barracks.folder.read(in_gate(gate, "request.cose")))
    assert isinstance(request, EnrolmentRequest)
    assert request.record == barracks.trust.listing.gates[gate].record


def test_a_gates_folder_says_which_of_its_doors_are_of_an_interlock(tmp_path: Path):
    document = small_site()
    document["access_point"].append(document["access_point"][0] | {"id": "hatch"})
    document["interlock"] = [{"id": "lock", "access_points": ["front-in", "hatch"]}]
    found_site(document, SiteFolder(tmp_path / "fort"), now=NOW)
    content = json.loads((tmp_path / "fort/gates/front/gate.json").read_text())
    told = {point["id"]: point["interlocked"] for point in content["access_points"]}
    assert told == {"front-in": True, "front-out": False, "hatch": True}
    assert content["interlocks"] == [["front-in", "hatch"]]


def test_a_bridges_folder_names_its_reader_and_has_no_contact(barracks: Site):
    content = json.loads(barracks.folder.read(in_gate(GateId("bicycle-shed-reader-in"), "gate.json")))
    assert content["access_points"] == [
        {"id": "bicycle-shed-in", "direction": "in", "contact": False, "interlocked": False}
    ]
    assert content["bridge"] == {
        "kind": "tasmota",
        "topic": "tele/fietsenstalling/SENSOR",
        "access_point": "bicycle-shed-in",
    }


def test_gates_share_no_password(barracks: Site):
    gates = barracks.folder.gates()
    passwords = {barracks.folder.read_secret(in_gate(gate, "broker-password")) for gate in gates}
    assert len(passwords) == len(gates) == 25
    assert min(map(len, passwords)) >= 32


def test_one_missing_root_signature_is_refused(standing_fort: Site):
    root = standing_fort.folder.read_key(ROOT_KEYS[0])
    document = cose.cosign(
        trust_payload(standing_fort.trust.listing), keys=[root], typ=TRUST_TYPE, external_aad=b"fort"
    )
    refused = read_trust(document, anchor=standing_fort.founding.anchor, not_below=0)
    assert refused == TrustRefused(code=TrustRefusal.THRESHOLD, detail="1 of 2")


@pytest.mark.parametrize("signers", [["school"], ["army"], ["school", "club"], ["army", "club"]])
def test_an_agreement_is_the_word_of_host_and_tenant_and_nobody_else(standing_fort: Site, signers: list[str]):
    school = TenantId("school")
    trust = standing_fort.trust
    alone = cose.cosign(
        agreement_payload(trust.agreements[school], site=SiteId("fort")),
        keys=[standing_fort.signing(tenant) for tenant in signers],
        typ=AGREEMENT_TYPE,
        external_aad=b"fort",
    )
    tenants = {**trust.listing.tenants, school: replace(trust.listing.tenants[school], agreement=alone)}
    document = signed_by_roots(standing_fort, replace(trust.listing, tenants=tenants))
    refused = read_trust(document, anchor=standing_fort.founding.anchor, not_below=0)
    assert refused == TrustRefused(code=TrustRefusal.AGREEMENT, detail="school")


def signed_by_roots(site: Site, listing: TrustListing) -> bytes:
    roots = [site.folder.read_key(place) for place in ROOT_KEYS[:2]]
    return cose.cosign(trust_payload(listing), keys=roots, typ=TRUST_TYPE, external_aad=b"fort")


def test_every_token_and_registration_is_believed_by_the_register(barracks: Site):
    register = Register()
    for badge in barracks.founding.badges:
        register.put_badge(badge.record, tenant=badge.tenant, card=badge.card, holder=badge.holder)
    for holder in barracks.founding.holders:
        register.put_holder(holder.record, tenant=holder.tenant, badges=holder.badges)
    assert len(register) == len(barracks.founding.holders) == 500
    for stored in barracks.founding.badges:
        badge = register.read_token(stored.record.token, trust=barracks.trust)
        holder = register.holder_of(stored.record.id, trust=barracks.trust)
        assert isinstance(badge, Badge)
        assert isinstance(holder, Holder)
        assert (badge.id, badge.tenant, badge.card) == (stored.record.id, stored.tenant, stored.card)
        assert (holder.id, holder.tenant, holder.kind) == (stored.holder, stored.tenant, badge.kind)
        assert badge.not_before <= NOW < badge.expires
        assert holder.since <= NOW < holder.until
        assert badge.epoch == barracks.trust.epoch(badge.tenant)
        assert stored.record.state is BadgeState.ACTIVE


def test_no_two_badges_of_a_tenant_share_a_place_in_its_status_list(barracks: Site):
    badges = [
        Register().read_token(one.record.token, trust=barracks.trust) for one in barracks.founding.badges
    ]
    places = {(badge.tenant, badge.status_index) for badge in badges if badge is not None}
    assert len(places) == 500


def test_the_people_can_show_their_badges_and_prove_them(barracks: Site):
    people = json.loads(barracks.folder.read_secret("people.json"))
    badges = {badge.record.id: badge for badge in barracks.founding.badges}
    names = barracks.founding.names
    for person in people:
        stored = badges[person["badge"]["id"]]
        token = base64.b64decode(person["badge"]["token"])
        badge = Register().read_token(token, trust=barracks.trust)
        assert badge is not None
        assert (token, person["holder"], person["name"]) == (
            stored.record.token,
            stored.holder,
            names[stored.holder],
        )
        assert person["badge"]["assurance"] == badge.assurance
        if badge.confirmation is None:
            assert person["badge"]["key"] is None
        else:
            key = cose.SigningKey.from_pem(person["badge"]["key"].encode())
            assert cose.verify_signature(badge.confirmation, b"here", key.sign(b"here"))
    cards = [person["badge"]["card"] for person in people if person["badge"]["card"] is not None]
    assert {"technology": "mifare", "number": "ba839d07"} in cards
    assert {"technology": "wiegand", "number": "010076a068"} in cards


def test_the_policy_compiles_with_the_trust_list(barracks: Site):
    policy = compile_from(barracks.founding.policy, trust=barracks.trust)
    assert isinstance(policy, Policy)
    assert policy.gates.keys() == barracks.trust.listing.gates.keys()


def test_two_ceremonies_share_no_key(tmp_path: Path):
    kids = set[bytes]()
    for name in ("one", "two"):
        folder = SiteFolder(tmp_path / name)
        found_site(small_site(), folder, now=NOW)
        kids |= {
            folder.read_key(str(path.relative_to(folder.root))).kid for path in folder.root.rglob("*.pem")
        }
    assert len(kids) == 2 * (3 + 3 + 2 * 3 + 2 + 6)


def test_a_second_ceremony_in_the_same_folder_is_refused(fort: Site):
    before = {path: path.read_bytes() for path in files_of(fort)}
    with pytest.raises(SiteFolderError, match="holds a site already"):
        found_site(small_site(), fort.folder, now=NOW)
    assert {path: path.read_bytes() for path in files_of(fort)} == before


@pytest.mark.parametrize("what", ["gates", "people"])
def test_a_crash_in_the_middle_leaves_nothing(tmp_path: Path, what: str):
    def crash(making: str, done: int, _of: int) -> None:
        if (making, done) == (what, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW, progress=crash)
    assert list(tmp_path.iterdir()) == []
    found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW)


def test_progress_counts_to_the_end(tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW, progress=lambda *step: told.append(step))
    assert told == [("gates", 1, 2), ("gates", 2, 2), *(("people", done, 6) for done in range(1, 7))]


def test_a_gate_elsewhere_keeps_its_own_key(tmp_path: Path):
    keys = {"front": cose.SigningKey.generate(), "side-reader": cose.SigningKey.generate()}
    folder = SiteFolder(tmp_path / "fort")
    founding = found_site(
        small_site(),
        folder,
        now=NOW,
        enrol=lambda site, gate: enrolment_request(site=site, gate=gate, key=keys[gate]),
    )
    trust = read_trust(founding.trust, anchor=founding.anchor, not_below=1)
    assert isinstance(trust, Trust)
    assert set(trust.gates) == {key.kid for key in keys.values()}
    assert not folder.holds(in_gate(GateId("front"), "key.pem"))


ONE_KEY = cose.SigningKey.generate()
ANSWERS: list[tuple[dict[str, str], str]] = [
    ({"site": "castle"}, "for the site castle"),
    ({"gate": "other"}, "other answered"),
    ({}, "listed twice"),
]


@pytest.mark.parametrize(("instead", "expected"), ANSWERS)
def test_a_gate_that_answers_with_anothers_name_or_key_founds_nothing(
    tmp_path: Path, instead: dict[str, Any], expected: str
):
    def answer(site: SiteId, gate: GateId) -> bytes:
        return enrolment_request(**{"site": site, "gate": gate, "key": ONE_KEY, **instead})

    with pytest.raises(TrustListError, match=expected):
        found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW, enrol=answer)
    assert list(tmp_path.iterdir()) == []


def test_a_gate_that_proves_nothing_founds_nothing(tmp_path: Path):
    with pytest.raises(TrustListError, match="not a signed enrolment request"):
        found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW, enrol=lambda *_who: b"")
    assert list(tmp_path.iterdir()) == []


def test_all_problems_of_a_site_file_come_back_at_once(tmp_path: Path):
    document = small_site()
    document["zone"][1]["level"] = 9
    document["gate"][0]["colour"] = "green"
    document["population"]["group"][0]["count"] = -1
    document["bridge"][0]["kind"] = "telepathy"
    with pytest.raises(SiteFileError) as refused:
        found_site(document, SiteFolder(tmp_path / "fort"), now=NOW)
    places = [problem.partition(":")[0] for problem in refused.value.problems]
    assert places == ["zone yard, level", "gate front, colour", "population group 1, count", "bridge 1, kind"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda site: site["population"]["group"][0].update(home="moon"), "there is no zone 'moon'"),
        (lambda site: site["population"]["group"][0].update(tenant="navy"), "there is no tenant 'navy'"),
        (
            lambda site: site["population"]["group"][0].update(profiles=["pupil"]),
            "army has no profile 'pupil'",
        ),
        (lambda site: site["bridge"][0].update(gate="front"), "front has no access point 'side-in'"),
        (lambda site: site["bridge"].append(site["bridge"][0]), "side-reader has a bridge already"),
        (
            lambda site: site["calendar"][0]["days"].extend(
                {"date": f"{year}-12-25", "name": {"en": "x" * 200, "nl": "x" * 200}}
                for year in range(4000, 7000)
            ),
            "its policy is over 1048576 bytes",
        ),
    ],
)
def test_people_and_bridges_must_fit_the_site(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], expected: str
):
    document = small_site()
    spoil(document)
    with pytest.raises(SiteFileError, match=expected):
        found_site(document, SiteFolder(tmp_path / "fort"), now=NOW)


def test_people_whose_tenants_agreement_has_ended_found_no_site(tmp_path: Path):
    with pytest.raises(SiteFileError, match="the agreement of school has ended"):
        found_site(small_site(), SiteFolder(tmp_path / "fort"), now=NOW + timedelta(days=365))


def test_a_site_without_a_population_is_a_site(tmp_path: Path):
    document = example_site()
    del document["population"]
    founding = found_site(document, SiteFolder(tmp_path / "barracks"), now=NOW)
    assert founding.holders == founding.badges == ()
