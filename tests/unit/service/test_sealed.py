"""What is sealed under a person's key opens with it, for what it is and for whom it is, and otherwise not at all."""

import pytest

from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.service.sealed import open_name, open_names, seal, seal_name, unseal

KEY, OTHER = bytes(range(32)), bytes(32)
SITE, PUPIL, CLERK = SiteId("fort"), HolderId("pupil"), HolderId("clerk")


def sealed(name: str = "Aaltje de Wit", holder: HolderId = PUPIL) -> bytes:
    return seal_name(name, key=KEY, site=SITE, holder=holder)


@pytest.mark.parametrize("name", ["Al Ma", "Zoë van 't Öer", "x" * 63, "x" * 64, "é" * 100])
def test_a_name_opens_as_it_was_sealed(name: str):
    assert open_name(sealed(name), key=KEY, site=SITE, holder=PUPIL) == name
    assert name.encode() not in sealed(name)


def test_the_length_of_a_sealed_name_does_not_tell_the_name():
    assert {len(sealed("x" * length)) for length in range(1, 65)} == {12 + 64 + 16}


def test_no_name_is_no_bytes_and_no_bytes_are_no_name():
    assert sealed("") == b""
    assert open_name(b"", key=KEY, site=SITE, holder=PUPIL) == ""


def test_the_same_name_sealed_twice_is_not_the_same_bytes():
    assert sealed() != sealed()


@pytest.mark.parametrize(
    ("key", "site", "holder"),
    [
        (None, SITE, PUPIL),
        (OTHER, SITE, PUPIL),
        (KEY, SiteId("castle"), PUPIL),
        (KEY, SITE, CLERK),
    ],
)
def test_a_name_of_another_or_without_its_key_stays_closed(key: bytes | None, site: SiteId, holder: HolderId):
    assert open_name(sealed(), key=key, site=site, holder=holder) == ""


@pytest.mark.parametrize("spoilt", [b"short", sealed()[:-1], bytes([sealed()[0] ^ 1]) + sealed()[1:]])
def test_a_name_that_was_altered_stays_closed(spoilt: bytes):
    assert open_name(spoilt, key=KEY, site=SITE, holder=PUPIL) == ""


def test_what_is_sealed_for_one_purpose_does_not_open_for_another():
    photo = seal(b"picture", purpose="gatekeeper-photo-v1", key=KEY, site=SITE, holder=PUPIL)
    assert unseal(photo, purpose="gatekeeper-photo-v1", key=KEY, site=SITE, holder=PUPIL) == b"picture"
    assert open_name(photo, key=KEY, site=SITE, holder=PUPIL) == ""


def test_of_many_names_those_are_told_that_open():
    clerk = seal_name("Klaas", key=OTHER, site=SITE, holder=CLERK)
    stored = {PUPIL: sealed(), CLERK: clerk, HolderId("gone"): clerk, HolderId("nameless"): b""}
    keys = {PUPIL: KEY, CLERK: OTHER, HolderId("nameless"): KEY}
    assert open_names(stored, keys=keys, site=SITE) == {PUPIL: "Aaltje de Wit", CLERK: "Klaas"}
