"""A card in software: it answers commands as a real one does, with the token and the key of one badge.

For simulators and tests. It has the two applications of `card_format.py` and nothing else, knows which of them and which file
is selected, and refuses with the status words of ISO/IEC 7816-4 what a card refuses. Its key is in memory: it protects nothing.
"""

from typing import Final

from devices.hardware.card_format import CAPABILITIES_FILE, NDEF_APPLICATION, OK, PKOC_APPLICATION, ndef_of
from devices.hardware.ports import HardwareError
from gatekeeper import cose
from gatekeeper.cose.curves import P256

__all__ = ["SoftwareCard"]

_NDEF_FILE: Final = 0xE104
_NOT_FOUND: Final = b"\x6a\x82"
_WRONG_LENGTH: Final = b"\x67\x00"
_WRONG_OFFSET: Final = b"\x6b\x00"
_WRONG_DATA: Final = b"\x6a\x80"
_NOT_ALLOWED: Final = b"\x69\x86"
_UNKNOWN: Final = b"\x6d\x00"
_TRANSACTION, _VERSION = 0x4C, 0x5C


class SoftwareCard:
    """One card. `signs_up_to` is the longest transaction identifier that it takes: 65 by PKOC, 16 at cards that know no more."""

    def __init__(
        self, token: bytes | None, key: cose.SigningKey, *, most_read: int = 0xFB, signs_up_to: int = 65
    ) -> None:
        self._key: Final = key
        self._signs_up_to: Final = signs_up_to
        self._files: Final[dict[int, bytes]] = {}
        if token is not None:
            message = ndef_of(token)
            content = len(message).to_bytes(2, "big") + message
            self._files[_NDEF_FILE] = content
            self._files[CAPABILITIES_FILE] = _container(most_read, len(content))
        self._application = b""
        self._file: bytes | None = None
        #: whether it is at the reader
        self.is_there = True

    async def transmit(self, command: bytes) -> bytes:
        """Answer one command."""
        if not self.is_there:
            raise HardwareError("the card is gone")
        return self.answer(command)

    def answer(self, command: bytes) -> bytes:
        """Answer one command, at once."""
        match command[:4]:
            case b"\x00\xa4\x04\x00":
                return self._select(command[5 : 5 + command[4]])
            case b"\x00\xa4\x00\x0c" if self._application == NDEF_APPLICATION:
                self._file = self._files.get(int.from_bytes(command[5:7], "big"))
                return OK if self._file is not None else _NOT_FOUND
            case _ if command[:2] == b"\x00\xb0" and self._application == NDEF_APPLICATION:
                return self._read(int.from_bytes(command[2:4], "big"), command[4])
            case b"\x80\x80\x00\x01" if self._application == PKOC_APPLICATION:
                return self._authenticate(command[5 : 5 + command[4]])
            case _:
                return _UNKNOWN

    def _select(self, name: bytes) -> bytes:
        if name == PKOC_APPLICATION:
            self._application, self._file = name, None
            return bytes([_VERSION, 2, 1, 1]) + OK
        if name == NDEF_APPLICATION and self._files:
            self._application, self._file = name, None
            return OK
        return _NOT_FOUND

    def _read(self, offset: int, length: int) -> bytes:
        if self._file is None:
            return _NOT_ALLOWED
        if offset >= len(self._file):
            return _WRONG_OFFSET
        return self._file[offset : offset + (length or 256)] + OK

    def _authenticate(self, content: bytes) -> bytes:
        tags: dict[int, bytes] = {}
        while content:
            tags[content[0]] = content[2 : 2 + content[1]]
            content = content[2 + content[1] :]
        transaction = tags.get(_TRANSACTION, b"")
        if not 16 <= len(transaction) <= self._signs_up_to:
            return _WRONG_LENGTH
        if tags.get(_VERSION) != b"\x01\x01":
            return _WRONG_DATA
        point = P256.point_of(self._key.public_der) or bytes(64)
        return b"\x5a\x41\x04" + point + b"\x9e\x40" + self._key.sign(transaction) + OK


def _container(most_read: int, size: int) -> bytes:
    lengths = most_read.to_bytes(2, "big") + (0xFF).to_bytes(2, "big")
    file = _NDEF_FILE.to_bytes(2, "big") + size.to_bytes(2, "big")
    return b"\x00\x0f\x20" + lengths + b"\x04\x06" + file + b"\x00\xff"
