"""A badge on a contactless card: its token is read from the card, and its key proves itself there.

The card may hang on anything that carries commands to it and answers back (`Transport`): a PC/SC reader today (`pcsc.py`), a
software card in simulations and tests. `card_format.py` has the bytes.

A card that is slow, answers wrongly, signs with another key than its token names, or goes away has proved nothing: `prove`
returns None, and the scan goes up without a proof. That the signature is checked here spares a wrong one the way to the
service; the service checks it anyhow, and it alone decides. What the token says is not believed here.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from devices.hardware.card_format import (
    CAPABILITIES_FILE,
    NDEF_APPLICATION,
    PKOC_APPLICATION,
    answered,
    authenticate,
    read_binary,
    read_capabilities,
    read_length,
    read_pkoc_proof,
    read_versions,
    select_application,
    select_file,
    token_in,
)
from devices.hardware.ports import HardwareError
from gatekeeper import cose
from gatekeeper.cose.curves import P256
from gatekeeper.model.badges import BADGE_TYPE, Badge, read_badge
from gatekeeper.model.messages import ByToken, Credential

__all__ = ["CardBadge", "NoBadge", "Transport", "read_card_badge", "reader_name"]

_READING: Final = 2.0
_PROVING: Final = 2.0
_MOST_READ: Final = 250
_LEAST_CONTAINER: Final = 15


class Transport(Protocol):
    """The way to a card at a reader."""

    async def transmit(self, command: bytes) -> bytes:
        """Send a command (APDU) and return the answer with its status. Raises `HardwareError` when the card is gone."""
        ...


class NoBadge(StrEnum):
    """Why a card at a reader is no badge of ours."""

    FOREIGN = "card-foreign"
    MALFORMED = "card-malformed"
    SLOW = "card-slow"
    GONE = "card-gone"


@dataclass(frozen=True, slots=True)
class CardBadge:
    """A badge on a card that is at a reader. `reader` is 32 bytes that name the reader to the card."""

    token: bytes = field(repr=False)
    transport: Transport = field(repr=False)
    reader: bytes = field(repr=False)

    @property
    def credential(self) -> Credential:
        """The token that was read."""
        return ByToken(self.token)

    @property
    def pin(self) -> None:
        """Nothing: no keypad stands beside a reader of cards."""
        return

    async def prove(self, digest: bytes) -> bytes | None:
        """Have the card sign; r || s when it is the key of the token that signed, else None."""
        key = _key_of(self.token)
        if key is None:
            return None
        try:
            async with asyncio.timeout(_PROVING):
                return await self._signed(digest, key)
        except (HardwareError, TimeoutError):
            return None

    async def _signed(self, digest: bytes, key: cose.KeyRecord) -> bytes | None:
        told = answered(await self.transport.transmit(select_application(PKOC_APPLICATION)))
        version = read_versions(told) if told is not None else None
        if version is None:
            return None
        command = authenticate(digest, version=version, reader=self.reader)
        told = answered(await self.transport.transmit(command))
        proof = read_pkoc_proof(told) if told is not None else None
        # INVARIANT: only the key that the token names proves anything.
        if proof is None or P256.public_der(proof.point) != key.public_der:
            return None
        return proof.signature if cose.verify_signature(key, digest, proof.signature) else None


def reader_name(*names: str) -> bytes:
    """32 bytes that name a reader to a card: of the site and the gate, 16 each, and of no use to follow anybody by."""
    return b"".join(hashlib.sha256(name.encode()).digest()[:16] for name in names)


async def read_card_badge(transport: Transport, *, reader: bytes) -> CardBadge | NoBadge:
    """Read the badge of a card that was put to a reader."""
    try:
        async with asyncio.timeout(_READING):
            token = await _token(transport)
    except TimeoutError:
        return NoBadge.SLOW
    except HardwareError:
        return NoBadge.GONE
    return token if isinstance(token, NoBadge) else CardBadge(token, transport, reader)


async def _token(transport: Transport) -> bytes | NoBadge:
    if answered(await transport.transmit(select_application(NDEF_APPLICATION))) is None:
        return NoBadge.FOREIGN
    container = await _file(transport, CAPABILITIES_FILE, 0, _LEAST_CONTAINER)
    capabilities = read_capabilities(container) if container is not None else None
    if capabilities is None:
        return NoBadge.MALFORMED
    begins = await _file(transport, capabilities.file, 0, 2)
    length = read_length(begins, capabilities=capabilities) if begins is not None else None
    if length is None:
        return NoBadge.MALFORMED
    message = bytearray()
    most = min(capabilities.most_read, _MOST_READ)
    while len(message) < length:
        asked = min(most, length - len(message))
        piece = answered(await transport.transmit(read_binary(2 + len(message), asked)))
        if piece is None or len(piece) != asked:
            return NoBadge.MALFORMED
        message += piece
    token = token_in(bytes(message))
    return NoBadge.FOREIGN if token is None else token


async def _file(transport: Transport, file: int, offset: int, length: int) -> bytes | None:
    if answered(await transport.transmit(select_file(file))) is None:
        return None
    return answered(await transport.transmit(read_binary(offset, length)))


def _key_of(token: bytes) -> cose.KeyRecord | None:
    """The P-256 key that a token names, unverified; a PKOC card has no other kind."""
    parsed = cose.parse(token, typ=BADGE_TYPE)
    if isinstance(parsed, cose.Refused) or parsed.payload is None:
        return None
    badge = read_badge(parsed.payload)
    key = badge.confirmation if isinstance(badge, Badge) else None
    return key if key is not None and key.algorithm is cose.Algorithm.ESP256 else None
