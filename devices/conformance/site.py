"""The throw-away site of an examination: its keys, its trust list with the one foreign gate in it, and its badges.

Keys come from outside; all else follows from them. It has one tenant, no policy and no log: what it says of those is made up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gatekeeper import cose
from gatekeeper.core.enrolment import EnrolmentRequest
from gatekeeper.core.trust import (
    TRUST_TYPE,
    Anchor,
    KeyState,
    TenantTrust,
    TrustedKey,
    TrustListing,
    Use,
    trust_payload,
)
from gatekeeper.model.badges import BADGE_TYPE, Assurance, Badge, Card, CardTechnology, claims_of
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, SiteId, TenantId
from gatekeeper.model.messages import ByCard, ByToken, Credential
from gatekeeper.model.people import HolderKind
from gatekeeper.model.places import Direction

__all__ = [
    "BEARER",
    "CARD",
    "HOST",
    "KEYED",
    "KEY_NAMES",
    "PIN",
    "Question",
    "anchor_of",
    "badges_of",
    "trust_of",
]

HOST: Final = TenantId("examiner")
CARD, BEARER, KEYED = "card", "bearer", "keyed"
PIN: Final = "2580"
KEY_NAMES: Final = ("root", "signing", "issuer", "decision", "log", "seal", "badge", "stranger")
"""Who signs at this site; the last is in no list. The log's is on Ed25519, all others on P-256."""

_BADGE_LIFE: Final = timedelta(hours=24)
_LEVEL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is examined: one gate at one access point of a throw-away site, and how long things take."""

    site: SiteId
    gate: GateId
    prefix: str
    access_point: AccessPointId
    direction: Direction
    has_contact: bool
    interlocked: bool
    held: timedelta
    """How long the access point may stay open before it is held open, as the gate is told."""
    period: timedelta
    """The beacon's period while it is examined what becomes of silence."""
    decides_alone: bool
    """Whether the gate says of itself that it decides while nobody answers."""
    started: datetime
    record: cose.KeyRecord
    keys: Mapping[str, cose.SigningKey] = field(repr=False)
    badges: Mapping[str, Credential] = field(repr=False)


def anchor_of(site: SiteId, keys: Mapping[str, cose.SigningKey]) -> Anchor:
    """What is put into the gate by hand."""
    return Anchor(site=site, host=HOST, threshold=1, roots=(keys["root"].public_der,))


def trust_of(request: EnrolmentRequest, keys: Mapping[str, cose.SigningKey], *, issued: datetime) -> bytes:
    """The trust list that admits the gate; its number is the instant, so a later one is never a rollback."""
    host = TenantTrust(
        signing=_trusted(keys["signing"].record(use=Use.TENANT, owner=HOST)),
        issuers=(_trusted(keys["issuer"].record(use=Use.ISSUER, owner=HOST)),),
        agreement=None,
        epoch=0,
    )
    services = tuple(
        (use, _trusted(keys[use.value].record(use=use, owner="service")))
        for use in (Use.DECISION, Use.LOG, Use.SEAL)
    )
    listing = TrustListing(
        site=request.site,
        version=int(issued.timestamp()),
        issued=issued,
        threshold=1,
        roots=(keys["root"].public_der,),
        tenants={HOST: host},
        gates={request.gate: _trusted(request.record)},
        services=services,
    )
    return cose.cosign(
        trust_payload(listing), keys=[keys["root"]], typ=TRUST_TYPE, external_aad=request.site.encode()
    )


def badges_of(
    site: SiteId, keys: Mapping[str, cose.SigningKey], *, issued: datetime, number: bytes
) -> Mapping[str, Credential]:
    """A bare card, a bearer badge and a badge with a key."""

    def token(assurance: Assurance, confirmation: cose.KeyRecord | None) -> Credential:
        badge = Badge(
            id=BadgeId(f"{int(assurance):032x}"),
            site=site,
            tenant=HOST,
            not_before=issued,
            expires=issued + _BADGE_LIFE,
            issued=issued,
            ceiling=_LEVEL,
            assurance=assurance,
            kind=HolderKind.STAFF,
            epoch=0,
            requires_trusted_time=False,
            confirmation=confirmation,
            card=None,
            status_index=None,
        )
        return ByToken(cose.sign(cose.encode(claims_of(badge)), key=keys["issuer"], typ=BADGE_TYPE))

    return {
        CARD: ByCard(Card(CardTechnology.MIFARE, number)),
        BEARER: token(Assurance.BEARER, None),
        KEYED: token(Assurance.KEY_BOUND, keys["badge"].record(use="badge", owner="badge")),
    }


def _trusted(record: cose.KeyRecord) -> TrustedKey:
    return TrustedKey(record=record, state=KeyState.ACTIVE, revoked_from=None)
