"""Verifying time stamps (RFC 3161): that an authority said of a checkpoint's text that it was there, and when.

A reply's token is believed from root certificates that the verifier brings, and from nothing else. The certificates within it need to be
in force when it was made, not today, so that a stamp outlives them. Needs the extra `timestamp`; without it nothing is checked,
and that is what is said.

    openssl ts -verify -in site-1024.tsr -data site-1024.txt -CAfile roots.pem    says the same
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from cryptography.x509 import Certificate

__all__ = ["TimestampRefusal", "TimestampRefused", "verify_timestamp"]

_SHA256: Final = "2.16.840.1.101.3.4.2.1"


class TimestampRefusal(StrEnum):
    """Why a time stamp is not believed, or was not looked at."""

    UNCHECKED = "timestamp-unchecked"
    MALFORMED = "timestamp-malformed"
    OTHER_TEXT = "timestamp-other-text"
    SIGNATURE = "timestamp-signature"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    TimestampRefusal.UNCHECKED: "Nothing here can check time stamps: pip install '.[timestamp]' in the folder of Gatekeeper's source.",
    TimestampRefusal.MALFORMED: "The bytes are no reply with a time-stamp token.",
    TimestampRefusal.OTHER_TEXT: "The token is over another text, or over another digest than SHA-256.",
    TimestampRefusal.SIGNATURE: "No authority that leads to a root certificate given signed the token for time stamping.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampRefused:
    """A time stamp that is not believed, and where it failed."""

    code: TimestampRefusal
    detail: str = ""


def verify_timestamp(
    reply: bytes, text: bytes, *, roots: Sequence[Certificate]
) -> datetime | TimestampRefused:
    """Believe that an authority below these roots has seen a text (a note's, without signatures): when, in UTC."""
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra, asked for where it is needed
    except ImportError:
        return TimestampRefused(code=TimestampRefusal.UNCHECKED)
    try:
        response = rfc3161_client.decode_timestamp_response(reply)
        stamped = response.tst_info
        imprint = stamped.message_imprint
        algorithm, digest, at = imprint.hash_algorithm.dotted_string, imprint.message, stamped.gen_time
    except ValueError as error:
        return TimestampRefused(code=TimestampRefusal.MALFORMED, detail=str(error))
    if (algorithm, digest) != (_SHA256, sha256(text).digest()):
        return TimestampRefused(code=TimestampRefusal.OTHER_TEXT)
    if not roots:
        return TimestampRefused(code=TimestampRefusal.SIGNATURE, detail="no root certificate was given")
    try:
        verifier = rfc3161_client.VerifierBuilder(roots=list(roots)).build()
        verifier.verify(response, digest)
    except (rfc3161_client.VerificationError, ValueError) as error:
        return TimestampRefused(code=TimestampRefusal.SIGNATURE, detail=str(error))
    return at.astimezone(UTC)
