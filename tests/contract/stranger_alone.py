"""A gate by a stranger that is left alone: what a snapshot, a standing and a clock let it do, from `schemas/` alone.

Like `stranger`, whose reading of messages it uses, it imports nothing of Gatekeeper.
"""

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2

from tests.contract.stranger import opened, verifies, what_a_badge_signs

ESP256, ED25519 = -9, -19
BADGE = "application/pacs-cred+cwt"


@dataclass
class LonelyGate:
    """What a gate holds. `issuers` and `decisions` are [algorithm, SPKI] out of the trust list, the first by tenant."""

    site: str
    prefix: str
    name: str
    trust: int
    issuers: Mapping[str, tuple[int, bytes]]
    decision: tuple[int, bytes]
    epochs: Mapping[str, int]
    snapshot: dict[int, Any] | None = None
    standing: dict[int, Any] | None = None
    confirmed: int | None = None
    inside: dict[bytes, tuple[str, int]] = field(default_factory=dict)

    def hears(self, snapshot: bytes, standing: bytes | None) -> None:
        """Take what the service signed; here it is always newer than nothing."""
        self.snapshot = self._opened(snapshot, "application/pacs-snapshot+cose", f"{self.name}/policy")
        assert self.snapshot is not None
        if standing is None:
            return
        self.standing = self._opened(standing, "application/pacs-standing+cose", "standing")
        assert self.standing is not None
        if self.standing[9].get(self.name) == self.snapshot[3] <= self.standing[2]:
            self.confirmed = self.standing[3]

    def _opened(self, wire: bytes, typ: str, below: str) -> dict[int, Any] | None:
        algorithm, spki = self.decision
        topic = f"{self.prefix}/v1/{self.site}/{below}"
        return opened(wire, algorithm=algorithm, spki=spki, typ=typ, topic=topic)

    def says(self, scan: Mapping[str, Any], direction: str, now: int) -> tuple[str, int]:
        """The word, and how long to open, to one scan; `now` in milliseconds since 1970."""
        snapshot, standing = self.snapshot, self.standing
        if snapshot is None or standing is None:
            return "alone-no-policy", 0
        at = [place for place, point in enumerate(snapshot[8]) if point[0] == scan["access_point"]]
        if not at:
            return "alone-not-here", 0
        point = snapshot[8][at[0]]
        over = self.confirmed is None or now - self.confirmed >= point[1] * 1000
        if over or not snapshot[5] * 1000 <= now < snapshot[6] * 1000:
            return "alone-too-long", 0
        if standing[8] > self.trust:
            return "alone-trust-old", 0
        if standing[4] > snapshot[7]:
            return "alone-alert", 0
        if set(point[3]) & set(standing[5]):
            return "alone-lockdown", 0
        token = self._token(scan["credential"])
        claims = None if token is None else self._badge(token)
        if claims is None:
            return "alone-badge", 0
        if not self._is_proven(claims, scan, direction):
            return "alone-proof", 0
        withdrawn = self._withdrawn(claims, scan, now)
        return (withdrawn, 0) if withdrawn else self._by_right(claims, at[0], now)

    def _token(self, credential: Mapping[str, Any]) -> bytes | None:
        if "token" in credential:
            return bytes.fromhex(credential["token"])
        if "card" not in credential or self.snapshot is None:
            return None
        card = credential["card"]
        wanted = (("mifare", "wiegand").index(card["technology"]), bytes.fromhex(card["number"]))
        rows, tokens, begin = self.snapshot[13], self.snapshot[14], 0
        for row in (rows[start : start + 22] for start in range(0, len(rows), 22)):
            end = int.from_bytes(row[18:], "big")
            if (row[0], row[2 : 2 + row[1]]) == wanted:
                return bytes(tokens[begin:end])
            begin = end
        return None

    def _badge(self, token: bytes) -> dict[int, Any] | None:
        tenant = cbor2.loads(cbor2.loads(token).value[2])[1].removeprefix("t:")
        if tenant not in self.issuers:
            return None
        algorithm, spki = self.issuers[tenant]
        return opened(token, algorithm=algorithm, spki=spki, typ=BADGE, topic="")

    def _is_proven(self, claims: Mapping[int, Any], scan: Mapping[str, Any], direction: str) -> bool:
        if 8 not in claims:
            return True
        if "proof" not in scan:
            return False
        proof = {name: bytes.fromhex(value) for name, value in scan["proof"].items()}
        beacon = bytes.fromhex(scan["beacon"])
        asked = what_a_badge_signs(self.site, self.name, direction, beacon, proof["gate_random"])
        algorithm, spki = _key_of(claims[8][1])
        return verifies(algorithm, spki, proof["signature"], asked)

    def _withdrawn(self, claims: Mapping[int, Any], scan: Mapping[str, Any], now: int) -> str | None:
        assert self.standing is not None
        tenant, private = claims[1].removeprefix("t:"), claims[-65537]
        if not claims[5] * 1000 <= now < claims[4] * 1000:
            return "alone-not-in-force"
        if private[6] and scan["clock"] != "synchronised":
            return "alone-clock"
        if private[5] < self.epochs[tenant] or tenant in self.standing[6]:
            return "alone-withdrawn"
        if 65535 not in claims:
            return None
        algorithm, spki = self.decision
        wire = self.standing[7].get(tenant)
        listed = wire and opened(
            wire, algorithm=algorithm, spki=spki, typ="application/statuslist+cwt", topic=self.site
        )
        if not listed or listed[2] != f"site:{self.site}/t:{tenant}":
            return "alone-withdrawn"
        packed = zlib.decompress(listed[65533]["lst"])
        byte, half = divmod(claims[65535]["status_list"]["idx"], 2)
        valid = byte < len(packed) and packed[byte] >> 4 * half & 15 == 0
        return None if valid else "alone-withdrawn"

    def _by_right(self, claims: Mapping[int, Any], at: int, now: int) -> tuple[str, int]:
        assert self.snapshot is not None
        rows = [self.snapshot[12][start : start + 24] for start in range(0, len(self.snapshot[12]), 24)]
        row = next((row for row in rows if row[:16] == claims[7]), None)
        if row is None:
            return "alone-no-right", 0
        holder, (tenant, rights) = (
            row[16:20],
            self.snapshot[11][int.from_bytes(row[20:], "big")],
        )
        hours = dict(rights).get(at)
        if hours is None or self.snapshot[9][tenant] != claims[1].removeprefix("t:"):
            return "alone-no-right", 0
        if bisect_right(self.snapshot[10][hours], now // 1000) % 2 == 0:
            return "alone-other-hours", 0
        _, _, unlock, _, target, passback = self.snapshot[8][at]
        badges = [row[:16] for row in rows if row[16:20] == holder]
        zone, since = max((self.inside.get(badge, ("", 0)) for badge in badges), key=lambda stay: stay[1])
        if passback and zone in passback[1] and (passback[0] is None or now - since < passback[0] * 1000):
            return "alone-inside", 0
        self.inside.update(dict.fromkeys(badges, (target, now)))
        return "alone-granted", unlock


def _key_of(key: Mapping[int, Any]) -> tuple[int, bytes]:
    """[algorithm, SPKI] of a COSE key: the heads of RFC 5480 and RFC 8410, and the key."""
    if key[1] == 1:
        return ED25519, bytes.fromhex("302a300506032b6570032100") + key[-2]
    head = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    return ESP256, head + b"\x04" + key[-2] + key[-3]


def digest(wire: bytes) -> str:
    """By this a gate names the snapshot that it decided from."""
    return hashlib.sha256(wire).hexdigest()
