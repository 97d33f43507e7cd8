"""The site's authority on disk: one, its owner's alone, and nothing issued that cannot be taken back."""

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
    broker_rights,
    found_authority,
    is_standing,
    issue_to_gate,
    issue_to_server,
    make_tls_key,
    read_authority,
    revoke_certificates,
    write_broker_files,
)
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
    assert "deny" not in rights
    revoked = broker_rights(SITE, prefix="gates", revoked_gates=[OTHER, GATE])
    assert f"pattern write gates/v1/{SITE}/%u/scan" in revoked
    assert revoked.endswith("\nuser front\ntopic deny #\n\nuser inner\ntopic deny #\n")
