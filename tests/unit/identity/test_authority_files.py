"""The site's authority on disk: one, its owner's alone, and nothing issued that cannot be taken back."""

import json
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gatekeeper.model.ids import GateId
from gatekeeper.service.administration.folder import SiteFolder, SiteFolderError
from gatekeeper.service.identity.authority_files import (
    AUTHORITY,
    BROKER_ACL,
    BROKER_CRL,
    DEVICE_ACL,
    DEVICE_PASSWORDS,
    admit_device,
    certified_until,
    damaged_files,
    found_authority,
    is_standing,
    issue_to_account,
    issue_to_gate,
    issue_to_server,
    make_tls_key,
    read_authority,
    revoke_certificates,
    write_broker_files,
)
from gatekeeper.service.identity.broker_rights import broker_rights, device_login
from tests.support.sites import NOON, SITE

GATE, OTHER, WEEK = GateId("front"), GateId("inner"), timedelta(days=7)


def issued(folder: SiteFolder, gate: GateId = GATE, *, life: timedelta = WEEK) -> x509.Certificate:
    key, _ = make_tls_key()
    return issue_to_gate(folder, read_authority(folder), gate, key.public_key(), now=NOON, life=life)


def listed(folder: SiteFolder) -> set[int]:
    return {one.serial_number for one in x509.load_pem_x509_crl(folder.read(BROKER_CRL))}


def test_an_authority_is_made_once_and_its_key_is_its_owner_s_alone(folder: SiteFolder):
    assert stat.S_IMODE((folder.root / "ca" / "key.pem").stat().st_mode) == 0o600
    with pytest.raises(SiteFolderError, match="no secret is written over another"):
        found_authority(folder, site=SITE, prefix="gk", now=NOON)


def test_without_an_authority_it_is_said_how_to_make_one(tmp_path: Path):
    with pytest.raises(SiteFolderError, match="gatekeeper ca init"):
        read_authority(SiteFolder(tmp_path))


def test_a_key_and_a_certificate_that_do_not_belong_together_sign_nothing(folder: SiteFolder):
    _, pem = make_tls_key()
    folder.write_private("ca/key.pem", pem)
    with pytest.raises(SiteFolderError, match="do not belong together"):
        read_authority(folder)
    folder.write(AUTHORITY, b"no certificate")
    with pytest.raises(SiteFolderError, match="do not belong together"):
        read_authority(folder)


def test_what_is_revoked_is_on_the_list_and_stands_no_more(folder: SiteFolder):
    first, second, other = issued(folder), issued(folder), issued(folder, OTHER)
    assert revoke_certificates(folder, GATE, now=NOON) == 2
    assert revoke_certificates(folder, GATE, now=NOON) == 0, "once"
    write_broker_files(folder, read_authority(folder), prefix="gk", revoked_gates=[GATE], now=NOON)
    assert listed(folder) == {first.serial_number, second.serial_number}
    standing = {one: is_standing(folder, one.serial_number) for one in (first, second, other)}
    assert standing == {first: False, second: False, other: True}
    assert not is_standing(folder, 12345), "nobody knows it"


def test_what_has_ended_is_forgotten_and_what_has_not_is_remembered_over_a_restart(folder: SiteFolder):
    short, long = issued(folder, life=timedelta(days=1)), issued(folder)
    revoke_certificates(folder, GATE, now=NOON)
    later = NOON + timedelta(days=2)
    write_broker_files(folder, read_authority(folder), prefix="gk", revoked_gates=[GATE], now=later)
    assert listed(folder) == {long.serial_number}
    key, _ = make_tls_key()
    issue_to_gate(folder, read_authority(folder), OTHER, key.public_key(), now=later, life=WEEK)
    assert not (folder.root / f"ca/issued/{short.serial_number:040x}.json").exists()
    assert (folder.root / f"ca/issued/{long.serial_number:040x}.json").exists()


def test_a_gate_that_is_called_as_the_broker_takes_nothing_of_the_broker_s_back(folder: SiteFolder):
    key, _ = make_tls_key()
    server = issue_to_server(folder, read_authority(folder), [GATE], key.public_key(), now=NOON)
    own = issued(folder)
    assert revoke_certificates(folder, GATE, now=NOON) == 1
    assert (is_standing(folder, server.serial_number), is_standing(folder, own.serial_number)) == (
        True,
        False,
    )


def test_serial_numbers_are_twenty_octets_that_nobody_foretells(folder: SiteFolder):
    serials = [issued(folder).serial_number for _ in range(8)]
    assert len(set(serials)) == 8
    assert all(1 << 158 <= serial < 1 << 159 for serial in serials)


def test_the_rights_at_the_broker_are_the_site_s_and_a_revoked_gate_has_none(folder: SiteFolder):
    rights = folder.read(BROKER_ACL).decode()
    assert f"pattern write gk/v1/{SITE}/%u/scan" in rights
    assert f"user service.{SITE}" in rights
    assert "SITE/" not in rights
    assert "topic deny #" not in rights
    revoked = broker_rights(SITE, prefix="gates", revoked=[OTHER, GATE])
    assert f"pattern write gates/v1/{SITE}/%u/scan" in revoked
    assert revoked.endswith("\nuser front\ntopic deny #\n\nuser inner\ntopic deny #\n")


# -- what changes ---------------------------------------------------------------------------------------------------------


def written(folder: SiteFolder, *revoked: GateId) -> tuple[str, ...]:
    return write_broker_files(folder, read_authority(folder), prefix="gk", revoked_gates=revoked, now=NOON)


def for_account(folder: SiteFolder, account: str) -> x509.Certificate:
    key, _ = make_tls_key()
    return issue_to_account(folder, read_authority(folder), account, key.public_key(), now=NOON)


def test_only_what_changed_is_to_be_carried(folder: SiteFolder):
    assert written(folder) == ()
    issued(folder)
    assert written(folder) == ()
    assert written(folder, GATE) == (BROKER_ACL,)
    assert revoke_certificates(folder, GATE, now=NOON) == 1
    assert written(folder, GATE) == (BROKER_CRL,)
    assert written(folder) == (BROKER_ACL,), "admitted again; its old certificate stays on the list"


def test_an_integrator_of_a_name_has_rights_while_a_certificate_of_it_stands(folder: SiteFolder):
    name = f"integrator-acme.{SITE}"
    for_account(folder, "integrator-acme")
    assert written(folder) == (BROKER_ACL,)
    assert f"user {name}\ntopic read" in folder.read(BROKER_ACL).decode()
    assert revoke_certificates(folder, name, now=NOON) == 1
    assert written(folder) == (BROKER_CRL, BROKER_ACL)
    rights = folder.read(BROKER_ACL).decode()
    assert f"user {name}\ntopic read" not in rights
    assert f"user {name}\ntopic deny #" in rights
    for_account(folder, "integrator-acme")
    assert written(folder) == (BROKER_ACL,)
    assert f"user {name}\ntopic deny #" not in folder.read(BROKER_ACL).decode()


def test_an_account_whose_only_certificate_was_taken_back_is_mute_until_it_has_another(folder: SiteFolder):
    first, second = for_account(folder, "outward"), for_account(folder, "outward")
    assert first.serial_number != second.serial_number
    revoke_certificates(folder, f"outward.{SITE}", now=NOON)
    written(folder)
    assert f"user outward.{SITE}\ntopic deny #" in folder.read(BROKER_ACL).decode()
    for_account(folder, "outward")
    written(folder)
    assert f"user outward.{SITE}\ntopic deny #" not in folder.read(BROKER_ACL).decode()


def test_a_device_s_password_is_kept_hashed_and_another_takes_its_place(folder: SiteFolder):
    folder.write("gates/shed-reader/gate.json", BRIDGE)
    login = device_login(GateId("shed-reader"))
    first, second = admit_device(folder, login), admit_device(folder, login)
    kept = folder.read_secret(DEVICE_PASSWORDS).decode()
    assert kept.startswith(f"{login}:$7$")
    assert kept.count("\n") == 1
    assert first not in kept
    assert first != second
    assert second not in kept
    assert written(folder) == (BROKER_ACL, DEVICE_ACL)
    assert "topic write tele/shed/SENSOR" in folder.read(DEVICE_ACL).decode()
    assert written(folder, GateId("shed-reader")) == (BROKER_ACL, DEVICE_ACL)
    assert login not in folder.read(DEVICE_ACL).decode(), "the devices of a revoked bridge reach nothing"


def test_a_file_that_nobody_understands_keeps_nobody_from_revoking_a_gate(folder: SiteFolder):
    folder.write("gates/odd/gate.json", b"{")
    folder.write(BROKER_CRL, b"half a list")
    assert written(folder, GATE) == (BROKER_CRL, BROKER_ACL)
    rights = folder.read(BROKER_ACL).decode()
    assert f"user {GATE}\ntopic deny #" in rights
    assert "user odd" not in rights


@pytest.mark.parametrize("file", [b"[" * 200_000, b"\xff"], ids=["deep", "no text"])
def test_no_file_about_devices_keeps_anybody_from_revoking_a_gate(file: bytes, folder: SiteFolder):
    folder.write("gates/odd/gate.json", file)
    folder.write("gates/shed-reader/gate.json", BRIDGE)
    login = device_login(GateId("shed-reader"))
    admit_device(folder, login)
    sound = folder.read(DEVICE_PASSWORDS)
    folder.write_private(DEVICE_PASSWORDS, b"\xff\xfe:x\ndevice-2.shed-reader:$7$\xff\nroot:$7$x\n" + sound)
    own = issued(folder)
    assert revoke_certificates(folder, GATE, now=NOON) == 1
    assert written(folder, GATE) == (BROKER_CRL, BROKER_ACL, DEVICE_ACL)
    assert listed(folder) == {own.serial_number}
    assert f"user {GATE}\ntopic deny #" in folder.read(BROKER_ACL).decode()
    assert re.findall("^user (.*)$", folder.read(DEVICE_ACL).decode(), re.MULTILINE) == [login]
    admit_device(folder, device_login(GateId("shed-reader"), "3"))
    assert folder.read(DEVICE_PASSWORDS).count(b"\n") == 2, "what is no login is not handed on"


def test_who_is_revoked_is_on_the_list_whatever_is_wrong_with_what_comes_after(folder: SiteFolder):
    own = issued(folder)
    revoke_certificates(folder, GATE, now=NOON)
    (folder.root / DEVICE_PASSWORDS).mkdir()
    with pytest.raises(IsADirectoryError):
        written(folder, GATE)
    assert listed(folder) == {own.serial_number}
    assert f"user {GATE}\ntopic deny #" in folder.read(BROKER_ACL).decode()


def test_when_the_last_login_is_spoiled_the_list_without_it_is_to_be_carried(folder: SiteFolder):
    folder.write("gates/shed-reader/gate.json", BRIDGE)
    admit_device(folder, device_login(GateId("shed-reader")))
    written(folder)
    folder.write_private(DEVICE_PASSWORDS, b"\xff")
    assert written(folder) == (DEVICE_ACL,)


# -- a damaged file of what was issued ------------------------------------------------------------------------------------

UNTIL = (NOON + WEEK).isoformat()
DAMAGED = {
    "empty": b"",
    "no text": b"\xff",
    "deep": b"[" * 200_000,
    "no object": b"[]",
    "no name": json.dumps({"until": UNTIL}).encode(),
    "a name of two lines": json.dumps({"name": f"x\nuser y.{SITE}", "until": UNTIL}).encode(),
    "no zone": json.dumps({"name": GATE, "until": "2026-07-01T12:00:00"}).encode(),
    "no time of the list": json.dumps(
        {"name": GATE, "until": UNTIL, "revoked": "0001-01-01T00:00:00+00:00"}
    ).encode(),
    "a revocation of another name": json.dumps(
        {"name": GATE, "until": UNTIL, "revoKed": NOON.isoformat()}
    ).encode(),
    "a revocation at no time": json.dumps({"name": GATE, "until": UNTIL, "revoked": None}).encode(),
}


def damage(folder: SiteFolder, certificate: x509.Certificate, content: bytes = b"{") -> Path:
    place = f"ca/issued/{certificate.serial_number:040x}.json"
    folder.write_private(place, content)
    return folder.root / place


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_keeps_nobody_from_revoking_and_its_certificate_counts_no_more(
    content: bytes, folder: SiteFolder
):
    spoiled, own = issued(folder, OTHER), issued(folder)
    file = damage(folder, spoiled, content)
    assert damaged_files(folder) == (file,)
    assert revoke_certificates(folder, GATE, now=NOON) == 1
    assert BROKER_CRL in written(folder, GATE)
    assert listed(folder) == {spoiled.serial_number, own.serial_number}
    assert not is_standing(folder, spoiled.serial_number)
    assert certified_until(folder) == {}
    assert written(folder, GATE) == (), "once"
    assert is_standing(folder, issued(folder).serial_number), "and another is issued"
    assert file.exists()


def test_what_was_revoked_stays_so_when_its_file_is_damaged(folder: SiteFolder):
    own, fellow = for_account(folder, "outward"), for_account(folder, "integrator-acme")
    names = [f"outward.{SITE}", f"integrator-acme.{SITE}"]
    for name in names:
        revoke_certificates(folder, name, now=NOON)
    written(folder)
    for one in (own, fellow):
        damage(folder, one)
    written(folder)
    assert listed(folder) == {own.serial_number, fellow.serial_number}
    for name in names:
        assert f"user {name}\ntopic deny #" in folder.read(BROKER_ACL).decode()
    for_account(folder, "outward")
    written(folder)
    assert f"user {names[0]}\ntopic deny #" not in folder.read(BROKER_ACL).decode(), "it has another"


def test_an_account_of_which_nothing_can_be_read_any_more_is_revoked_by_its_name(folder: SiteFolder):
    damage(folder, for_account(folder, "outward"))
    for_account(folder, "service")
    assert revoke_certificates(folder, f"outward.{SITE}", now=NOON) == 0
    written(folder)
    rights = folder.read(BROKER_ACL).decode()
    assert f"user outward.{SITE}\ntopic deny #" in rights
    assert f"user service.{SITE}\ntopic deny #" not in rights


def test_a_file_that_is_named_after_no_certificate_lets_nothing_off_the_list(folder: SiteFolder):
    own = issued(folder)
    revoke_certificates(folder, GATE, now=NOON)
    written(folder, GATE)
    file = folder.root / f"ca/issued/{own.serial_number:040x}.json"
    for name in ("copy.json", f"{0:040x}.json", f"{'f' * 40}.json", "-1.json"):
        file = file.rename(file.with_name(name))
        assert damaged_files(folder) == (file,)
        written(folder, GATE)
        assert listed(folder) == {own.serial_number}


BRIDGE = b'{"bridge": {"kind": "tasmota", "topic": "tele/shed/SENSOR", "access_point": "shed-in"}}'
