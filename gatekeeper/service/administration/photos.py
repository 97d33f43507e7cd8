"""The photo that a guard compares a face with: what is one, how it is kept, and whether it is the one that was signed.

It is kept sealed under its person's key (see `service.sealed`; purpose gatekeeper-photo-v1). The tenant signs the picture's SHA-256 in the holder's registration: whoever can write to the database can take a photo
away, and cannot put another face in its place. With the person's key the photo is gone, too.
"""

import hashlib
from typing import Final

from gatekeeper.model.ids import HolderId, SiteId
from gatekeeper.service.sealed import seal, unseal

__all__ = [
    "MOST_PHOTO_BYTES",
    "PhotoError",
    "digest_of_photo",
    "open_photo",
    "read_photo",
    "seal_photo",
    "suffix_of",
]

MOST_PHOTO_BYTES: Final = 256 * 1024
_PURPOSE: Final = "gatekeeper-photo-v1"
_FORMS: Final = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png"}


class PhotoError(Exception):
    """A picture that is no photo to compare with; the message says why, in a sentence."""


def read_photo(picture: bytes) -> bytes:
    """Take a JPEG or PNG picture as a photo. Raises PhotoError for any other, and for one that is too large."""
    if len(picture) > MOST_PHOTO_BYTES:
        raise PhotoError(
            f"The picture has {len(picture)} bytes: a photo has {MOST_PHOTO_BYTES} at most, and 480 by 640 pixels do."
        )
    suffix_of(picture)
    return picture


def suffix_of(picture: bytes) -> str:
    """How the name of a picture's file ends. Raises PhotoError when it is neither JPEG nor PNG."""
    for beginning, suffix in _FORMS.items():
        if picture.startswith(beginning):
            return suffix
    raise PhotoError("The picture is neither a JPEG nor a PNG.")


def digest_of_photo(picture: bytes) -> bytes:
    """What a registration says of a photo."""
    return hashlib.sha256(picture).digest()


def seal_photo(picture: bytes, *, key: bytes, site: SiteId, holder: HolderId) -> bytes:
    """Seal a photo under its person's key."""
    return seal(picture, purpose=_PURPOSE, key=key, site=site, holder=holder)


def open_photo(sealed: bytes, *, key: bytes, site: SiteId, holder: HolderId, digest: bytes) -> bytes:
    """Open a photo that is the one which the tenant signed. Raises PhotoError for another."""
    picture = unseal(sealed, purpose=_PURPOSE, key=key, site=site, holder=holder)
    if picture is None:
        raise PhotoError("The photo that is kept cannot be opened: it was altered, or is another person's.")
    if digest_of_photo(picture) != digest:
        raise PhotoError("The photo that is kept is not the one which the tenant signed.")
    return picture
