"""The photo that a guard compares with: what is one, and that no other is ever shown in its place."""

import pytest

from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.service.administration.photos import (
    MOST_PHOTO_BYTES,
    PhotoError,
    digest_of_photo,
    open_photo,
    read_photo,
    seal_photo,
    suffix_of,
)

JPEG, PNG = b"\xff\xd8\xff\xe0 a face", b"\x89PNG\r\n\x1a\n a face"
KEY, SITE, ANNA = bytes(range(32)), SiteId("fort"), HolderId("anna")


def opened(sealed: bytes, **changes: object) -> bytes:
    how = {"key": KEY, "site": SITE, "holder": ANNA, "digest": digest_of_photo(JPEG), **changes}
    return open_photo(sealed, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(("picture", "suffix"), [(JPEG, ".jpg"), (PNG, ".png")])
def test_a_jpeg_and_a_png_are_photos(picture: bytes, suffix: str):
    assert read_photo(picture) == picture
    assert suffix_of(picture) == suffix


@pytest.mark.parametrize("picture", [b"", b"GIF89a", b"<svg/>", b"\xff\xd8", b"%PDF-1.7"])
def test_nothing_else_is(picture: bytes):
    with pytest.raises(PhotoError, match="neither a JPEG nor a PNG"):
        read_photo(picture)


def test_a_photo_has_a_quarter_of_a_megabyte_at_most():
    assert read_photo(JPEG.ljust(MOST_PHOTO_BYTES, b"x"))
    with pytest.raises(PhotoError, match="262145 bytes"):
        read_photo(JPEG.ljust(MOST_PHOTO_BYTES + 1, b"x"))


def test_a_sealed_photo_opens_for_its_person_at_its_site_and_does_not_show():
    sealed = seal_photo(JPEG, key=KEY, site=SITE, holder=ANNA)
    assert opened(sealed) == JPEG
    assert b"a face" not in sealed
    assert seal_photo(JPEG, key=KEY, site=SITE, holder=ANNA) != sealed


@pytest.mark.parametrize(
    "change", [{"key": bytes(32)}, {"site": SiteId("castle")}, {"holder": HolderId("bram")}]
)
def test_it_opens_for_nobody_else(change: dict[str, object]):
    sealed = seal_photo(JPEG, key=KEY, site=SITE, holder=ANNA)
    with pytest.raises(PhotoError, match="cannot be opened"):
        opened(sealed, **change)


def test_a_photo_that_was_altered_or_cut_is_none():
    sealed = seal_photo(JPEG, key=KEY, site=SITE, holder=ANNA)
    for altered in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:12], b""):
        with pytest.raises(PhotoError, match="cannot be opened"):
            opened(altered)


def test_another_face_under_the_right_key_is_not_the_one_that_was_signed():
    with pytest.raises(PhotoError, match="not the one which the tenant signed"):
        opened(seal_photo(PNG, key=KEY, site=SITE, holder=ANNA))
