"""Why a message of a device behind a bridge opens nothing, or what is the matter with the device. Pure.

    from a message, nothing becomes of it          about the device itself
    device-oversized   device-malformed            device-opened-itself
    device-other       device-retained             device-refused-to-open
    device-unknown     device-repeated             device-alarm
    device-late        device-no-number
    device-elsewhere   device-unauthentic

What each means stands in schemas/reasons.md.
"""

from enum import StrEnum

__all__ = ["Overheard"]


class Overheard(StrEnum):
    """What a bridge notices beside cards and doors."""

    OVERSIZED = "device-oversized"
    MALFORMED = "device-malformed"
    OTHER = "device-other"
    RETAINED = "device-retained"
    UNKNOWN = "device-unknown"
    REPEATED = "device-repeated"
    LATE = "device-late"
    NO_NUMBER = "device-no-number"
    ELSEWHERE = "device-elsewhere"
    UNAUTHENTIC = "device-unauthentic"
    OPENED_ITSELF = "device-opened-itself"
    REFUSED_TO_OPEN = "device-refused-to-open"
    ALARM = "device-alarm"
