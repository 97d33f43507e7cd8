"""The site's beacon: a value every ten seconds that nobody outside can know beforehand.

    value(slot) = HMAC-SHA256(beacon secret, "gatekeeper-beacon-v1" 00 site 00 slot)[:16],  slot = Unix time // 10

It comes from a secret rather than from chance, so that an engine that takes a site over knows the values its
predecessor published and decides the scans that were under way. The current value and the two before it count.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from gatekeeper import cose
from gatekeeper.model.ids import SiteId
from gatekeeper.model.messages import BEACON_BYTES, BEACON_TYPE, Beacon
from gatekeeper.model.topics import beacon_topic

__all__ = ["PERIOD", "Beacons"]

PERIOD = timedelta(seconds=10)
_COUNTED = 3


class Beacons:
    """The beacons of one site."""

    def __init__(self, *, site: SiteId, secret: bytes, key: cose.SigningKey, prefix: str) -> None:
        self._site = site
        self._secret = secret
        self._key = key
        self._topic = beacon_topic(site, prefix=prefix)
        self._counted: tuple[int, tuple[bytes, ...]] = (-1, ())

    def counted(self, now: datetime) -> tuple[bytes, ...]:
        """The values that count at an instant: the current one and the two before."""
        slot = self._slot(now)
        if self._counted[0] != slot:
            self._counted = (slot, tuple(self._value(slot - age) for age in range(_COUNTED)))
        return self._counted[1]

    def message(self, now: datetime) -> tuple[str, bytes]:
        """Topic and signed bytes of the current beacon."""
        slot = self._slot(now)
        issued = datetime.fromtimestamp(slot * PERIOD.total_seconds(), UTC)
        beacon = Beacon(site=self._site, value=self._value(slot), issued=issued, period=PERIOD)
        wire = cose.sign(beacon.payload(), key=self._key, typ=BEACON_TYPE, external_aad=self._topic.encode())
        return self._topic, wire

    def until_next(self, now: datetime) -> timedelta:
        """How long the current beacon still is the current one."""
        return PERIOD - timedelta(seconds=now.timestamp() % PERIOD.total_seconds())

    def _slot(self, now: datetime) -> int:
        return int(now.timestamp() // PERIOD.total_seconds())

    def _value(self, slot: int) -> bytes:
        message = b"gatekeeper-beacon-v1\0" + self._site.encode() + b"\0" + slot.to_bytes(8, "big")
        return hmac.digest(self._secret, message, hashlib.sha256)[:BEACON_BYTES]
