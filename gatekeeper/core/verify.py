"""Who stands at the gate, and how sure are we: credential and proof of possession.

The result is facts, never a verdict: a forged badge or a stale proof becomes a finding that the decision will deny.
All time-dependent checks (dates, revocation, epoch) belong to the decision, which is made in order.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from gatekeeper import cose
from gatekeeper.core.facts import Factor
from gatekeeper.core.pin import PinChecker, pin_info
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.trust import Trust
from gatekeeper.model.badges import Assurance, Badge, Card
from gatekeeper.model.ids import BadgeId, GateId, SiteId
from gatekeeper.model.messages import ByCard, ByDigest, ByToken, Scan, proof_digest_input
from gatekeeper.model.people import Holder, PinRecord
from gatekeeper.model.reasons import Reason

__all__ = ["PinDesk", "Presented", "Tokens", "still_presented", "verify_scan"]

_KNOWN: Final = frozenset({Factor.RIGHT, Factor.DURESS})
"""What comes of a PIN that its holder knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What was presented: the badge if it is one, the assurance reached, and what was wrong with it.

    `pin` is the record by which a PIN was found right: the holder's of then.
    """

    badge: Badge | None
    assurance: Assurance
    findings: tuple[Reason, ...]
    factor: Factor = Factor.NONE
    pin: PinRecord | None = None

    def against(self, holder: Holder | None) -> tuple[Factor, Assurance]:
        """What came of the PIN, and the assurance reached, for a holder as registered now: another PIN is not this one."""
        if self.factor in _KNOWN and (holder is None or holder.pin != self.pin):
            return Factor.WRONG, min(self.assurance, Assurance.KEY_BOUND)
        return self.factor, self.assurance


class Tokens(Protocol):
    """Where the badges are that a scan names: a site's register, or what a gate holds when it is alone."""

    def read_token(self, token: bytes, *, trust: Trust) -> Badge | None:
        """Believe a token, or None."""
        ...

    def token_of_digest(self, digest: bytes) -> bytes | None:
        """The token of which this is the SHA-256."""
        ...

    def token_of_card(self, card: Card) -> bytes | None:
        """The token that was signed for a card number."""
        ...

    def holder_of(self, badge: BadgeId, *, trust: Trust) -> Holder | HolderRecord | None:
        """Whose badge it is; the bare record when the registration is not believed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PinDesk:
    """Where a typed PIN is opened and checked: with keys that only the running service has."""

    key: cose.SealKey
    checker: PinChecker


def verify_scan(
    scan: Scan,
    *,
    gate: GateId,
    direction: str,
    register: Tokens,
    trust: Trust,
    beacons: Collection[bytes],
    desk: PinDesk | None = None,
) -> Presented:
    """Verify a scan's credential, proof and PIN. `beacons` are the values that count now (the current and two before)."""
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
    # A PIN costs time to check: one that comes with a badge that is not believed is not looked at.
    factor, pin = Factor.NONE, None
    if scan.sealed_pin is not None and not findings:
        owner = register.holder_of(badge.id, trust=trust)
        pin = owner.pin if isinstance(owner, Holder) else None
        factor = _factor(scan, scan.sealed_pin, pin, gate=gate, site=trust.site, desk=desk)
    return Presented(
        badge=badge,
        assurance=_reached(min(assurance, badge.assurance), factor),
        findings=tuple(findings),
        factor=factor,
        pin=pin if factor in _KNOWN else None,
    )


def still_presented(presented: Presented, scan: Scan, *, register: Tokens, trust: Trust) -> Presented:
    """What was presented a while ago, if its token still makes the same badge; else nothing that is believed."""
    token = _token(scan, register)
    badge = register.read_token(token, trust=trust) if token is not None else None
    if presented.badge is None or badge == presented.badge:
        return presented
    return Presented(
        badge=None, assurance=Assurance.CARD_NUMBER, findings=(Reason.BADGE_FORGED, *presented.findings)
    )


def _reached(assurance: Assurance, factor: Factor) -> Assurance:
    """A key that proved itself and a person who knew the PIN are assurance 3."""
    verified = assurance is Assurance.KEY_BOUND and factor in _KNOWN
    return Assurance.KEY_BOUND_AND_VERIFIED if verified else assurance


def _factor(
    scan: Scan, sealed: bytes, pin: PinRecord | None, *, gate: GateId, site: SiteId, desk: PinDesk | None
) -> Factor:
    if desk is None:
        return Factor.WRONG
    typed = desk.key.open(sealed, info=pin_info(site=site, gate=gate, access_point=scan.access_point))
    return Factor.WRONG if typed is None else desk.checker.check(typed, pin)


def _token(scan: Scan, register: Tokens) -> bytes | None:
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
