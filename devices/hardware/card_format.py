"""What is said to a contactless card that carries a badge, and what it answers. Pure; ISO/IEC 7816-4 throughout.

A badge on a card is two applications that exist everywhere: its token is a file, its key is a PKOC credential.

    NFC Forum Type 4 Tag 2.0                              PSIA PKOC, NFC card 1.0 and 1.1
    00 A4 04 00 07 D2760000850101 00                      00 A4 04 00 08 A000000898000001 00
                                        select            -> 5C 02 01 01  [5C 02 01 00]           versions
    00 A4 00 0C 02 E103    00 B0 00 00 0F                 80 80 00 01 48                          authenticate
        -> capabilities: the file's name, bytes a read       5C 02 version  4C 20 digest  4D 20 reader  00
    00 A4 00 0C 02 E104    00 B0 00 00 02 -> length       -> 5A 41 04 x y  9E 40 r s
    00 B0 offset  n        -> NDEF, piece by piece            ECDSA, SHA-256, P-256, over the digest alone

The file is one NDEF record of the media type `application/pacs-cred+cwt`, whose payload is the token. PKOC's transaction
identifier is what the badge must sign: 32 bytes, where readers commonly draw 16 (openpkoc names 16 to 65).

Every answer is read to the letter: a length that does not fit, a tag that stands twice, bytes left over, another status than
9000 make it no answer. Unknown tags of PKOC are skipped, as its specification asks. Nothing is believed here.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gatekeeper.model.badges import BADGE_TYPE, MAX_TOKEN_BYTES

__all__ = [
    "CAPABILITIES_FILE",
    "MOST_ANSWER",
    "NDEF_APPLICATION",
    "OK",
    "PKOC_APPLICATION",
    "Capabilities",
    "PkocProof",
    "answered",
    "authenticate",
    "ndef_of",
    "read_binary",
    "read_capabilities",
    "read_length",
    "read_pkoc_proof",
    "read_versions",
    "select_application",
    "select_file",
    "token_in",
]

OK: Final = b"\x90\x00"
NDEF_APPLICATION: Final = bytes.fromhex("D2760000850101")
PKOC_APPLICATION: Final = bytes.fromhex("A000000898000001")
CAPABILITIES_FILE: Final = 0xE103
MOST_ANSWER: Final = 258
"""Bytes of the longest short answer, its status among them."""
_CAPABILITIES: Final = 15
_MEDIA_TYPE: Final = BADGE_TYPE.encode()
_MOST_NDEF: Final = 6 + len(_MEDIA_TYPE) + MAX_TOKEN_BYTES
_VERSION, _TRANSACTION, _READER, _KEY, _SIGNATURE = 0x5C, 0x4C, 0x4D, 0x5A, 0x9E
_VERSIONS: Final = (b"\x01\x01", b"\x01\x00")
_DIGEST_BYTES: Final = 32
_READER_BYTES: Final = 32
_POINT_BYTES: Final = 65
_SIGNATURE_BYTES: Final = 64
_ONE_RECORD: Final = 0xC2
_SHORT: Final = 0x10


class Capabilities(NamedTuple):
    """What a tag's capability container says: the NDEF file's name, its size, and how much one read gives."""

    file: int
    size: int
    most_read: int


class PkocProof(NamedTuple):
    """What a PKOC card answers: x and y of its key, and r and s of its signature."""

    point: bytes
    signature: bytes


def select_application(name: bytes) -> bytes:
    """Select an application by its name."""
    return b"\x00\xa4\x04\x00" + bytes([len(name)]) + name + b"\x00"


def select_file(file: int) -> bytes:
    """Select a file of the application, without being told of it."""
    return b"\x00\xa4\x00\x0c\x02" + file.to_bytes(2, "big")


def read_binary(offset: int, length: int) -> bytes:
    """Read bytes of the selected file."""
    return b"\x00\xb0" + offset.to_bytes(2, "big") + bytes([length])


def answered(response: bytes) -> bytes | None:
    """What stands before the status of an answer that says yes; None for any other."""
    if not len(OK) <= len(response) <= MOST_ANSWER or not response.endswith(OK):
        return None
    return response[: -len(OK)]


def read_capabilities(content: bytes) -> Capabilities | None:
    """Read a capability container of version 2, whose one file anybody may read."""
    if len(content) != _CAPABILITIES or content[:2] != b"\x00\x0f" or content[2] >> 4 != 2:
        return None
    if content[7:9] != b"\x04\x06" or content[13] != 0:
        return None
    most_read = int.from_bytes(content[3:5], "big")
    file, size = int.from_bytes(content[9:11], "big"), int.from_bytes(content[11:13], "big")
    if most_read < _CAPABILITIES or file in {0, 0x3F00, 0x3FFF, CAPABILITIES_FILE, 0xFFFF}:
        return None
    return Capabilities(file=file, size=size, most_read=most_read)


def read_length(content: bytes, *, capabilities: Capabilities) -> int | None:
    """Read how long the NDEF message is: as long as a badge can be, and no longer than its file."""
    length = int.from_bytes(content, "big")
    if len(content) != 2 or not 0 < length <= min(_MOST_NDEF, capabilities.size - 2):
        return None
    return length


def token_in(message: bytes) -> bytes | None:
    """The token in an NDEF message that is one record of the badge's media type and nothing else."""
    if len(message) < 3 or message[0] & ~_SHORT != _ONE_RECORD:
        return None
    width = 1 if message[0] & _SHORT else 4
    begins = 2 + width + len(_MEDIA_TYPE)
    length = int.from_bytes(message[2 : 2 + width], "big")
    # The long form stands only where the short one cannot.
    if (
        message[1] != len(_MEDIA_TYPE)
        or (width == 4) != (length > 0xFF)
        or message[2 + width : begins] != _MEDIA_TYPE
        or len(message) != begins + length
        or not 0 < length <= MAX_TOKEN_BYTES
    ):
        return None
    return message[begins:]


def ndef_of(token: bytes) -> bytes:
    """The NDEF message that carries a token."""
    short = len(token) <= 0xFF
    head = bytes([_ONE_RECORD | (_SHORT if short else 0), len(_MEDIA_TYPE)])
    return head + len(token).to_bytes(1 if short else 4, "big") + _MEDIA_TYPE + token


def read_versions(content: bytes) -> bytes | None:
    """The newest version of PKOC that the card names and we speak; None when there is none."""
    tags = list(_tags(content))
    if None in tags:
        return None
    named = [value for tag, value in (found for found in tags if found is not None) if tag == _VERSION]
    return next((version for version in _VERSIONS if version in named), None)


def authenticate(digest: bytes, *, version: bytes, reader: bytes) -> bytes:
    """Have a PKOC card sign 32 bytes; `reader` is 32 bytes that name the reader, which it does not sign."""
    if len(digest) != _DIGEST_BYTES or len(reader) != _READER_BYTES:
        raise ValueError("a digest and a reader's name are 32 bytes each")
    content = b"".join(
        bytes([tag, len(value)]) + value
        for tag, value in ((_VERSION, version), (_TRANSACTION, digest), (_READER, reader))
    )
    return b"\x80\x80\x00\x01" + bytes([len(content)]) + content + b"\x00"


def read_pkoc_proof(content: bytes) -> PkocProof | None:
    """Read what a card signed with: one key, uncompressed, and one signature."""
    found: dict[int, bytes] = {}
    for each in _tags(content):
        if each is None:
            return None
        tag, value = each
        if tag in {_KEY, _SIGNATURE} and found.setdefault(tag, value) is not value:
            return None
    key, signature = found.get(_KEY, b""), found.get(_SIGNATURE, b"")
    if len(key) != _POINT_BYTES or key[0] != 4 or len(signature) != _SIGNATURE_BYTES:
        return None
    return PkocProof(point=key[1:], signature=signature)


def _tags(content: bytes) -> Iterator[tuple[int, bytes] | None]:
    """Tags of one byte with lengths of one byte, to the end; None when they do not come out."""
    at = 0
    while at < len(content):
        if at + 2 > len(content):
            yield None
            return
        tag, length = content[at], content[at + 1]
        at += 2 + length
        if length > 0x7F or at > len(content):
            yield None
            return
        yield tag, content[at - length : at]
