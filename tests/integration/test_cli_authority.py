"""`gatekeeper ca`: who gets which certificate or login, what is renewed in place, and that nothing is lost on the way."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gatekeeper.core.certificates import hosts_of
from gatekeeper.service.administration.folder import SiteFolder, in_gate
from gatekeeper.service.identity.authority_files import BROKER_ACL, BROKER_CRL, DEVICE_ACL, DEVICE_PASSWORDS
from tests.integration.cli_hold import Hold
from tests.integration.test_cli_new_files import files_of_at_most
from tests.support.commands import Said

pytestmark = pytest.mark.integration

ACCOUNTS = ["service", "outward", "integrator"]


@pytest.fixture
def site(hold: Hold) -> SiteFolder:
    assert ca(hold, "init").code == 0
    return SiteFolder(hold.data / "sites" / hold.site)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a test has its files written, and nothing else is."""
    place = tmp_path / "files"
    place.mkdir()
    return place


def ca(hold: Hold, *words: object) -> Said:
    return hold.say("ca", *words, "--data", hold.data)


def made(file: Path) -> x509.Certificate:
    """The certificate in a file, whose key is in it too."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    key = load_pem_private_key(file.read_bytes(), password=None)
    assert certificate.public_key() == key.public_key()
    assert file.stat().st_mode & 0o777 == 0o600
    return certificate


def name_in(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string().removeprefix("CN=")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_s_certificate_is_renewed_in_place_with_a_new_key(
    account: str, hold: Hold, site: SiteFolder, place: Path
):
    file = place / "own.pem"
    assert ca(hold, account, "--out", file).code == 0
    before = made(file)
    assert name_in(before) == f"{account}.{hold.site}"
    again = ca(hold, account, "--out", file)
    assert (again.code, made(file)) == (2, before), "nothing is written over unless that is asked for"
    said = ca(hold, account, "--out", file, "--renew")
    assert said.code == 0
    assert "start anew what connects with it" in said.err
    after = made(file)
    assert name_in(after) == name_in(before)
    assert after.serial_number != before.serial_number
    assert after.public_key() != before.public_key()
    assert list(place.iterdir()) == [file], "and nothing is left beside it"
    assert site.read(BROKER_ACL)


def test_what_is_not_its_own_is_not_replaced(hold: Hold, site: SiteFolder, place: Path):
    file = place / "own.pem"
    said = ca(hold, "service", "--out", file, "--renew")
    assert (said.code, said.err) == (
        2,
        f"{file} is not there, so nothing can be renewed: leave --renew out.\n",
    )
    (place / "broker").mkdir()
    ca(hold, "outward", "--out", file)
    (place / "broker" / "server.pem").write_bytes(file.read_bytes())
    outward = file.read_bytes()
    for words in (
        ("service", "--out", file),
        ("integrator", "--out", file),
        ("integrator", "--name", "acme", "--out", file),
        ("broker", "--out", place / "broker"),
    ):
        said = ca(hold, *words, "--renew")
        assert said.code == 2
        assert "holds no certificate of this site for" in said.err
    link = place / "link.pem"
    link.symlink_to(file)
    said = ca(hold, "outward", "--out", link, "--renew")
    assert (said.code, said.err) == (
        2,
        f"{link} is a symbolic link: name the file itself, which is what is replaced.\n",
    )
    assert (link.is_symlink(), file.read_bytes()) == (True, outward)
    file.write_text("precious")
    assert "holds no certificate, and is left as it is" in ca(hold, "outward", "--out", file, "--renew").err
    assert file.read_text() == "precious"
    assert (place / "broker" / "server.pem").read_bytes() == outward
    assert site.holds(BROKER_CRL)


def test_a_full_disk_leaves_the_former_key_and_certificate(hold: Hold, site: SiteFolder, place: Path):
    file = place / "service.pem"
    ca(hold, "service", "--out", file)
    before = file.read_bytes()
    with files_of_at_most(4000):
        assert ca(hold, "service", "--out", file, "--renew").code == 2
    assert file.read_bytes() == before
    assert list(place.iterdir()) == [file]
    assert len(list((site.root / "ca" / "issued").iterdir())) == 1, "and nothing was issued"


def test_the_broker_s_certificate_is_renewed_for_the_names_that_it_has_and_nothing_else_of_it_is_touched(
    hold: Hold, site: SiteFolder, place: Path
):
    out = place / "broker-files"
    assert ca(hold, "broker", "broker.example", "10.0.0.5", "--out", out).code == 0
    before, first = {file: file.read_bytes() for file in out.iterdir()}, made(out / "server.pem")
    said = ca(hold, "broker", "--out", out, "--renew")
    assert said.code == 0
    assert "broker.example, 10.0.0.5" in said.err
    second = made(out / "server.pem")
    assert hosts_of(second) == hosts_of(first) == ["broker.example", "10.0.0.5"]
    assert second.serial_number != first.serial_number
    after = {file: file.read_bytes() for file in out.iterdir()}
    assert [file.name for file in after if after[file] != before[file]] == ["server.pem"]
    assert ca(hold, "broker", "other.example", "--out", out, "--renew").code == 0
    assert hosts_of(made(out / "server.pem")) == ["other.example"]
    assert "Name the hosts" in ca(hold, "broker", "--out", place / "another").err
    assert site.holds(BROKER_ACL)


# -- integrators ----------------------------------------------------------------------------------------------------------


def test_an_integrator_of_a_name_gets_rights_and_loses_them_when_it_is_revoked(
    hold: Hold, site: SiteFolder, place: Path
):
    said = ca(hold, "integrator", "--name", "acme", "--out", place / "acme.pem")
    assert said.code == 0
    name = f"integrator-acme.{hold.site}"
    assert name_in(made(place / "acme.pem")) == name
    assert f"Carry acl from {site.root / 'broker'} to it" in said.err
    assert f"user {name}\ntopic read" in site.read(BROKER_ACL).decode()
    said = ca(hold, "revoke", "integrator-acme")
    assert said.code == 0
    assert f"1 certificate of {name} taken back." in said.err
    assert f"Carry crl.pem and acl from {site.root / 'broker'} to it" in said.err
    assert f"user {name}\ntopic deny #" in site.read(BROKER_ACL).decode()
    assert "0 certificates" in ca(hold, "revoke", "integrator-acme").err


@pytest.mark.parametrize(
    "words", [("integrator", "--name", "Acme", "--out", "x.pem"), ("revoke", "main-gate")]
)
def test_a_name_that_nobody_has_is_refused(
    words: tuple[str, ...], hold: Hold, site: SiteFolder, place: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(place)
    before = site.read(BROKER_ACL)
    said = ca(hold, *words)
    assert (said.code, said.out) == (2, "")
    assert "is no" in said.err
    assert (list(place.iterdir()), site.read(BROKER_ACL)) == ([], before)


# -- devices --------------------------------------------------------------------------------------------------------------


def test_a_damaged_file_of_what_was_issued_is_named_and_keeps_nobody_from_revoking(
    hold: Hold, site: SiteFolder, place: Path
):
    ca(hold, "outward", "--out", place / "outward.pem")
    ca(hold, "integrator", "--out", place / "integrator.pem")
    spoiled, sound = made(place / "outward.pem"), made(place / "integrator.pem")
    file = site.root / f"ca/issued/{spoiled.serial_number:040x}.json"
    file.write_bytes(b"")
    said = ca(hold, "revoke", "integrator")
    assert said.code == 0, said
    assert f"1 certificate of integrator.{hold.site} taken back." in said.err
    assert (
        f"{file} is damaged, and nobody knows whose certificate it was: the one of that number counts no more"
        in said.err
    )
    revoked = x509.load_pem_x509_crl(site.read(BROKER_CRL))
    assert {one.serial_number for one in revoked} == {spoiled.serial_number, sound.serial_number}


def test_a_device_of_a_bridge_gets_a_login_and_its_password_is_shown_once(hold: Hold, site: SiteFolder):
    [bridge] = [
        gate for gate in site.gates() if "bridge" in json.loads(site.read(in_gate(gate, "gate.json")))
    ]
    said = ca(hold, "device", bridge)
    assert said.code == 0
    password = said.out.strip()
    assert len(password) == 22
    assert f"User device.{bridge}; " in said.err
    assert f"Carry device-passwords and device-acl from {site.root / 'broker'} to it" in said.err
    assert password not in said.err
    assert password not in site.read_secret(DEVICE_PASSWORDS).decode()
    assert f"user device.{bridge}\n" in site.read(DEVICE_ACL).decode()
    assert ca(hold, "device", bridge, "--name", "left").out.strip() != password
    assert site.read_secret(DEVICE_PASSWORDS).decode().count("\n") == 2


def test_a_bridge_that_was_written_by_hand_gets_its_rights_with_the_login_of_its_first_device(
    hold: Hold, site: SiteFolder
):
    gate = site.gates()[0]
    bridge = {"kind": "esp-rfid", "topic": "yard-rfid", "cards": "mifare", "doors": []}
    site.write(in_gate(gate, "gate.json"), json.dumps({"bridge": bridge}).encode())
    said = ca(hold, "device", gate, "--name", "left")
    assert "Carry device-passwords and device-acl and acl from" in said.err
    assert (
        f"user {gate}\ntopic read yard-rfid/send\ntopic write yard-rfid/cmd\n"
        in site.read(BROKER_ACL).decode()
    )
    assert f"user device-left.{gate}\n" in site.read(DEVICE_ACL).decode()
    assert "Carry device-passwords and device-acl from" in ca(hold, "device", gate, "--name", "left").err


def test_who_is_no_bridge_has_no_devices(hold: Hold, site: SiteFolder):
    gate = next(
        gate for gate in site.gates() if "bridge" not in json.loads(site.read(in_gate(gate, "gate.json")))
    )
    assert f"{gate} is no bridge" in ca(hold, "device", gate).err
    assert "nowhere is no gate of this site" in ca(hold, "device", "nowhere").err
    site.write(in_gate(gate, "gate.json"), b'{"bridge": {"kind": "zigbee"}}')
    assert "has no bridge that is known" in ca(hold, "device", gate).err
    assert not site.holds(DEVICE_PASSWORDS)


def test_a_broker_listens_for_devices_only_where_that_is_said(hold: Hold, site: SiteFolder, place: Path):
    out = place / "broker-files"
    for wrong in ("0.0.0.0", "::", "devices.example", "10.0.9.1:1883"):
        said = ca(hold, "broker", "broker.example", "--devices", wrong, "--out", out)
        assert said.code == 2
        assert said.err.startswith("--devices is ")
    assert not out.exists()
    words = ("--devices", "10.0.9.1", "--devices-port", "1884", "--out", out)
    assert ca(hold, "broker", "broker.example", *words).code == 0
    names = {"acl", "ca.pem", "crl.pem", "device-acl", "device-passwords", "mosquitto.conf", "server.pem"}
    assert {file.name for file in out.iterdir()} == names
    assert "\nlistener 1884 10.0.9.1\n" in (out / "mosquitto.conf").read_text()
    assert (out / "device-passwords").read_bytes() == b""
    assert site.holds(DEVICE_ACL)
