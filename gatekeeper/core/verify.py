"""Who stands at the gate, and how sure are we: credential and proof of possession.

The result is facts, never a verdict: a forged badge or a stale proof becomes a finding that the decision will deny.
All time-dependent checks (dates, revocation, epoch) belong to the decision, which is made in order.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from gatekeeper import cose
from gatekeeper.core.register import Register
from gatekeeper.core.trust import Trust
from gatekeeper.model.badges import Assurance, Badge
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import ByCard, ByDigest, ByToken, Scan, proof_digest_input
from gatekeeper.model.reasons import Reason

__all__ = ["Presented", "verify_scan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What was presented: the badge if it is one, the assurance reached, and what was wrong with it."""

    badge: Badge | None
    assurance: Assurance
    findings: tuple[Reason, ...]


def verify_scan(
    scan: Scan, *, gate: GateId, direction: str, register: Register, trust: Trust, beacons: Collection[bytes]
) -> Presented:
    """Verify a scan's credential and proof. `beacons` are the values that count now (the current and two before)."""
    findings: list[Reason] = []
    if scan.beacon not in beacons and scan.offline_verdict is None:
        findings.append(Reason.STALE_PROOF)
    token = _token(scan, register)
    if token is None:
        return Presented(
            badge=None, assurance=Assurance.CARD_NUMBER, findings=(Reason.UNKNOWN_CREDENTIAL, *findings)
        )
    badge = register.read_token(token, trust=trust)
    if badge is None:
        return Presented(
            badge=None, assurance=Assurance.CARD_NUMBER, findings=(Reason.BADGE_FORGED, *findings)
        )
    by_number = isinstance(scan.credential, ByCard)
    if by_number and (badge.card is None or badge.card != scan.credential.card):  # type: ignore[union-attr]
        findings.append(Reason.BADGE_FORGED)
    assurance = Assurance.CARD_NUMBER if by_number else Assurance.BEARER
    if badge.confirmation is not None:
        if _proves(scan, badge.confirmation, trust=trust, gate=gate, direction=direction):
            assurance = Assurance.KEY_BOUND
        else:
            findings.append(Reason.WRONG_PROOF)
    return Presented(badge=badge, assurance=min(assurance, badge.assurance), findings=tuple(findings))


def _token(scan: Scan, register: Register) -> bytes | None:
    match scan.credential:
        case ByToken(token):
            return token
        case ByDigest(digest):
            return register.token_of_digest(digest)
        case ByCard(card):
            return register.token_of_card(card)


def _proves(scan: Scan, key: cose.KeyRecord, *, trust: Trust, gate: GateId, direction: str) -> bool:
    if scan.proof is None:
        return False
    signed = proof_digest_input(
        site=trust.site,
        gate=gate,
        direction=direction,
        beacon=scan.beacon,
        gate_random=scan.proof.gate_random,
    )
    return cose.verify_signature(key, hashlib.sha256(signed).digest(), scan.proof.signature)
