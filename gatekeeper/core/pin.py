"""PINs: how one is kept (so that who reads the database learns none), how one is sent, and what came of one.

    record   {salt 16, hash 32, duress hash 32 / none}    in the holder's signed registration
    hash     Argon2id(HMAC-SHA256(pepper, PIN), salt)     RFC 9106; 19 MiB, 2 passes, 1 lane
    sent     HPKE to the site's seal key, info = "pacs-pin-v1" 00 site 00 gate 00 access point; the digits are filled up to
             eight bytes with zero bytes, so that who sees a scan does not see how long the PIN is

A PIN of a few digits can be guessed by whoever can try them all; the pepper, which is in no database, keeps who has only the
database from trying. The duress PIN opens like the other and cries for help.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gatekeeper import cose
from gatekeeper.core.facts import Factor
from gatekeeper.model.ids import AccessPointId, GateId, SiteId
from gatekeeper.model.people import PinRecord

__all__ = [
    "PIN_DIGITS",
    "SALT_BYTES",
    "SEALED_PIN_BYTES",
    "PinChecker",
    "is_pin",
    "make_pin_record",
    "pin_info",
    "seal_pin",
]

SALT_BYTES: Final = 16
PIN_DIGITS: Final = (4, 8)
SEALED_PIN_BYTES: Final = cose.SEALED_OVERHEAD + PIN_DIGITS[1]
_HASH_BYTES: Final = 32
_PASSES, _LANES, _KIBIBYTES = 2, 1, 19_456


def is_pin(text: str) -> bool:
    """Say whether a text is a PIN: four to eight digits."""
    return PIN_DIGITS[0] <= len(text) <= PIN_DIGITS[1] and text.isascii() and text.isdecimal()


def pin_info(*, site: SiteId, gate: GateId, access_point: AccessPointId) -> bytes:
    """What a sealed PIN is for: one access point."""
    return f"pacs-pin-v1\0{site}\0{gate}\0{access_point}".encode()


def seal_pin(typed: str, *, public_der: bytes, info: bytes) -> bytes:
    """Seal what was typed, for the holder of a P-256 seal key; what is no PIN is sealed as one that is never right.

    Raises KeyRefusedError for another key.
    """
    digits = typed.encode() if is_pin(typed) else b""
    return cose.seal(digits.ljust(PIN_DIGITS[1], b"\0"), public_der=public_der, info=info)


def make_pin_record(pin: str, *, duress: str | None, pepper: bytes, salt: bytes) -> PinRecord:
    """Keep a PIN, and the one that cries for help. Raises ValueError for what is no PIN, or twice the same."""
    if not is_pin(pin) or (duress is not None and not is_pin(duress)):
        raise ValueError(f"a PIN is {PIN_DIGITS[0]} to {PIN_DIGITS[1]} digits")
    if pin == duress:
        raise ValueError("the PIN that cries for help must be another one")
    return PinRecord(
        salt=salt,
        digest=_digest(pin.encode(), salt, pepper),
        duress=None if duress is None else _digest(duress.encode(), salt, pepper),
    )


@dataclass(frozen=True, slots=True, repr=False)
class PinChecker:
    """Checks what was typed. Costs about 25 ms a time, in whatever thread it is asked."""

    pepper: bytes

    def check(self, typed: bytes, record: PinRecord | None) -> Factor:
        """Say what came of a typed PIN, as it was sealed; without a record none is right."""
        if record is None or len(typed) != PIN_DIGITS[1]:
            return Factor.WRONG
        typed = typed.rstrip(b"\0")
        digest = _digest(typed, record.salt, self.pepper)
        if hmac.compare_digest(digest, record.digest):
            return Factor.RIGHT
        if record.duress is not None and hmac.compare_digest(digest, record.duress):
            return Factor.DURESS
        return Factor.WRONG


def _digest(pin: bytes, salt: bytes, pepper: bytes) -> bytes:
    peppered = hmac.digest(pepper, pin, hashlib.sha256)
    kdf = Argon2id(salt=salt, length=_HASH_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_KIBIBYTES)
    return kdf.derive(peppered)
