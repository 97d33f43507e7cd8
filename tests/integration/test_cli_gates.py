"""`gatekeeper gate` and `gatekeeper ca`: what they write, and what they refuse in one sentence."""

import hashlib
import json
from pathlib import Path

import pytest
from cryptography import x509

from devices.certificate import make_request
from gatekeeper import cose
from gatekeeper.core.certificates import gate_of, service_name
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.model.ids import GateId, SiteId
from gatekeeper.service.administration.folder import ANCHOR, TRUST, SiteFolder, in_gate
from gatekeeper.service.identity.authority_files import AUTHORITY
from tests.integration.cli_hold import Hold

pytestmark = pytest.mark.integration


def folder_of(hold: Hold) -> SiteFolder:
    return SiteFolder(hold.data / "sites" / hold.site)


def first_gate(hold: Hold) -> GateId:
    return folder_of(hold).gates()[0]


def test_without_an_authority_nobody_is_invited_and_it_is_said_how_to_make_one(hold: Hold):
    said = hold("gate", "enroll", first_gate(hold))
    assert (said.code, said.out) == (2, "")
    assert (
        said.err == f"{folder_of(hold).root} holds no certificate authority: gatekeeper ca init makes one.\n"
    )


def test_an_authority_is_made_once(hold: Hold):
    assert hold.say("ca", "init", "--data", hold.data).code == 0
    again = hold.say("ca", "init", "--data", hold.data)
    assert again.code == 2
    assert "no secret is written over another" in again.err


def test_a_code_is_printed_for_a_gate_of_the_site_file_and_for_no_other(hold: Hold):
    hold.say("ca", "init", "--data", hold.data)
    said = hold("gate", "enroll", first_gate(hold))
    assert (said.code, len(said.out.strip())) == (0, 19)
    assert said.out.strip() not in said.err
    refused = hold("gate", "enroll", "nowhere")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Refused: enrolment-gate-unknown. ")


@pytest.mark.parametrize("operator", ["auditor", "officer", "army-admin", "school-admin"])
def test_only_who_may_admit_gates_makes_a_code_whoever_is_named(hold: Hold, operator: str):
    hold.say("ca", "init", "--data", hold.data)
    gate = first_gate(hold)
    made = hold("gate", "enroll", gate, "--operator", "admin")
    kept = folder_of(hold).read_secret(f"invitations/{gate}.cose")
    said = hold("gate", "enroll", gate, "--operator", operator)
    assert (made.code, said.code, said.out) == (0, 1, "")
    assert said.err.startswith("Refused: change-role. ")
    assert operator in said.err
    assert folder_of(hold).read_secret(f"invitations/{gate}.cose") == kept, "the code that is out stays good"


def test_what_is_carried_to_a_gate_is_written_with_the_code_and_holds_no_secret(hold: Hold, tmp_path: Path):
    hold.say("ca", "init", "--data", hold.data)
    out = tmp_path / "carried"
    said = hold("gate", "enroll", first_gate(hold), "--out", out)
    assert said.code == 0, said
    assert {file.name for file in out.iterdir()} == {"gate.json", "anchor.json", "ca.pem"}
    folder = folder_of(hold)
    kept = (in_gate(first_gate(hold), "gate.json"), ANCHOR, AUTHORITY)
    assert [(out / Path(place).name).read_bytes() for place in kept] == [folder.read(at) for at in kept]
    assert not any(b"PRIVATE" in file.read_bytes() for file in out.iterdir())
    assert f"Carry {out} to the gate by hand" in said.err
    assert hold("gate", "enroll", first_gate(hold), "--out", out).code == 0, "the same again is the same"
    other = hold("gate", "enroll", folder.gates()[1], "--out", out)
    assert other.code == 2
    assert "nothing is written over it" in other.err


def test_a_gate_whose_doors_have_changed_is_given_those_of_the_policy_in_force(hold: Hold, tmp_path: Path):
    hold.say("ca", "init", "--data", hold.data)
    gate, folder = first_gate(hold), folder_of(hold)
    place = in_gate(gate, "gate.json")
    before = folder.read(place)
    kept = json.loads(before)
    folder.write(place, json.dumps({**kept, "access_points": kept["access_points"][:1]}).encode())
    assert hold("gate", "enroll", gate, "--out", tmp_path / "one").code == 0
    assert (tmp_path / "one" / "gate.json").read_bytes() == before


def test_what_else_the_policy_says_of_a_door_is_carried_and_what_is_fitted_to_it_stays(
    hold: Hold, tmp_path: Path
):
    hold.say("ca", "init", "--data", hold.data)
    gate, folder = first_gate(hold), folder_of(hold)
    place = in_gate(gate, "gate.json")
    before = json.loads(folder.read(place))
    stale = json.loads(folder.read(place)) | {"held_seconds": 20}
    stale["access_points"][0] |= {"hardware": "simulated", "interlocked": True, "direction": "out"}
    folder.write(place, json.dumps(stale).encode())
    assert before["access_points"][0]["direction"] == "in"
    assert hold("gate", "enroll", gate, "--out", tmp_path / "one").code == 0
    before["access_points"][0] |= {"hardware": "simulated"}
    assert json.loads((tmp_path / "one" / "gate.json").read_text()) == before | {"held_seconds": 20}


def test_a_spoiled_gate_json_is_told_before_anything_is_written(hold: Hold, tmp_path: Path):
    hold.say("ca", "init", "--data", hold.data)
    gate, folder = first_gate(hold), folder_of(hold)
    place = in_gate(gate, "gate.json")
    folder.write(place, b"{")
    said = hold("gate", "enroll", gate, "--out", tmp_path / "one")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(
        f"{folder.root / place} is not the file of {gate}: it is no JSON. Put it right, "
    )
    assert not (tmp_path / "one").exists()
    assert not folder.holds(f"invitations/{gate}.cose"), "and nobody is invited"


def test_that_a_key_counts_already_is_said_before_a_code_is_used_and_what_ends_it(hold: Hold):
    hold.say("ca", "init", "--data", hold.data)
    said = hold("gate", "enroll", first_gate(hold))
    assert "has a key that counts, and this code is for the gate that holds it" in said.err
    assert f"gatekeeper gate revoke {first_gate(hold)}\n" in said.err


def test_a_gate_that_does_not_wait_and_a_file_that_is_not_there_are_said(hold: Hold):
    said = hold("gate", "admit", "nowhere")
    assert said.code == 2
    assert (
        said.err
        == "No gate nowhere waits at the desk, and there is no such file: No such file or directory.\n"
    )


def test_a_gate_with_a_key_that_counts_gets_no_other(hold: Hold, tmp_path: Path):
    request = tmp_path / "request.cose"
    request.write_bytes(
        enrolment_request(site=SiteId(hold.site), gate=first_gate(hold), key=cose.SigningKey.generate())
    )
    said = hold("gate", "admit", request)
    assert (said.code, said.out) == (2, "")
    assert "has a key already: revoke it" in said.err


def test_while_nobody_serves_the_site_no_door_is_opened_and_none_is_later(hold: Hold):
    said = hold("gate", "open", "front-in", "--reason", "a pram", "--operator", "officer")
    assert said.code == 4
    assert (
        said.err
        == "No engine has looked at it: it is NOT in force, and one that looks later refuses it as too old.\n"
    )


def test_while_nobody_serves_the_site_a_revocation_waits_and_the_folder_stays_as_it_is(hold: Hold):
    before = folder_of(hold).read(TRUST)
    said = hold("gate", "revoke", first_gate(hold))
    assert said.code == 4
    assert "NOT in force" in said.err
    assert folder_of(hold).read(TRUST) == before
    assert (
        hold("gate", "revoke", "nowhere").err
        == "nowhere has no key that counts: there is nothing to revoke.\n"
    )


def test_a_gate_whose_files_are_carried_by_hand_is_certified_when_its_key_is_believed(
    hold: Hold, tmp_path: Path
):
    hold.say("ca", "init", "--data", hold.data)
    gate = first_gate(hold)
    key = folder_of(hold).read_key(in_gate(gate, "key.pem"))
    own = make_request(site=SiteId(hold.site), gate=gate, key=key)
    strange = make_request(site=SiteId(hold.site), gate=gate, key=cose.SigningKey.generate())
    for name, content in (
        ("own", own.document),
        ("strange", strange.document),
        ("own.csr", own.csr),
        ("strange.csr", strange.csr),
    ):
        (tmp_path / name).write_bytes(content)

    def certify(request: str, csr: str, out: str = "gate.pem") -> tuple[int, str]:
        at = ("--request", tmp_path / request, "--csr", tmp_path / csr, "--out", tmp_path / out)
        said = hold("gate", "certify", gate, *at)
        return said.code, said.err

    assert certify("strange", "strange.csr")[0] == 2
    assert certify("own", "strange.csr")[1].startswith("Refused: enrolment-tls-key. ")
    assert not (tmp_path / "gate.pem").exists()
    assert certify("own", "own.csr")[0] == 0
    made = x509.load_pem_x509_certificate((tmp_path / "gate.pem").read_bytes())
    assert gate_of(made, site=SiteId(hold.site)) == gate
    assert made.public_key() == own.key.public_key()
    assert certify("own", "own.csr")[0] == 2, "nothing is written over"


def test_the_broker_s_files_are_written_whole_and_the_service_s_is_one(hold: Hold, tmp_path: Path):
    hold.say("ca", "init", "--data", hold.data)
    out, service = tmp_path / "broker", tmp_path / "service.pem"
    at = ("--data", hold.data)
    assert hold.say("ca", "broker", "broker.example", "10.0.0.5", "--out", out, *at).code == 0
    names = {"mosquitto.conf", "acl", "ca.pem", "crl.pem", "server.pem"}
    assert {file.name for file in out.iterdir()} == names
    assert (out / "server.pem").stat().st_mode & 0o077 == 0
    deployed = Path("deploy/mosquitto/mosquitto.conf").read_bytes()
    assert hashlib.sha256((out / "mosquitto.conf").read_bytes()).digest() == hashlib.sha256(deployed).digest()
    server = x509.load_pem_x509_certificate((out / "server.pem").read_bytes())
    names_in_it = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names_in_it.get_values_for_type(x509.DNSName) == ["broker.example"]
    assert [str(one) for one in names_in_it.get_values_for_type(x509.IPAddress)] == ["10.0.0.5"]
    assert hold.say("ca", "broker", "broker.example", "--out", out, *at).code == 2, "nothing is written over"
    assert hold.say("ca", "service", "--out", service, *at).code == 0
    own = x509.load_pem_x509_certificate(service.read_bytes())
    assert own.subject.rfc4514_string() == f"CN={service_name(SiteId(hold.site))}"
