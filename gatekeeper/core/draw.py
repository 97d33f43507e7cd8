"""The lot that selects who is searched: nobody can steer or foresee it, and afterwards everybody can check it.

    seed(day)    HMAC-SHA256(secret of the site, "gatekeeper-draw-v1" 00 day)           a day of UTC, as 2026-11-25
    number       first 6 bytes, big-endian, of HMAC-SHA256(seed(day), SHA-256 of the scan message)

On each day the log first holds the seed's hash (`search.seed`), and on the next day the seed itself: whoever has the log can
draw again, and nobody could have chosen the seed after the first scan. The number stands with the facts of each decision
that asked for it, and is below 2^53, so that every reader of JSON reads it whole; one in n is drawn when n divides it.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

__all__ = ["Draws", "number"]


def number(seed: bytes, digest: bytes) -> int:
    """The number of one scan under a day's seed."""
    return int.from_bytes(hmac.digest(seed, digest, hashlib.sha256)[:6], "big")


@dataclass(frozen=True, slots=True, repr=False)
class Draws:
    """The lots of a site, from its secret."""

    secret: bytes

    def seed(self, day: date) -> bytes:
        """The seed of a day."""
        message = f"gatekeeper-draw-v1\0{day.isoformat()}".encode()
        return hmac.digest(self.secret, message, hashlib.sha256)

    def number(self, digest: bytes, now: datetime) -> int:
        """The number of a scan that is decided now."""
        return number(self.seed(now.astimezone(UTC).date()), digest)

    def announcement(self, now: datetime) -> dict[str, str]:
        """What the log says at the beginning of a day."""
        today = now.astimezone(UTC).date()
        yesterday = today - timedelta(days=1)
        return {
            "day": today.isoformat(),
            "commitment": hashlib.sha256(self.seed(today)).hexdigest(),
            "revealed_day": yesterday.isoformat(),
            "revealed_seed": self.seed(yesterday).hex(),
        }
