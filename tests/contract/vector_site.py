"""The site of the vectors: its throw-away keys, its documents, its people, and the flow that takes its messages.

    outside ─ yard (level 1, a bearer badge will do) ┬─ shed    level 0, a card number will do
                                                     ├─ house   level 2, a key-bound badge only
                                                     ├─ vault   two persons
                                                     └─ office  a PIN, a guard's eyes, a search of everybody

Every key follows from its name, and the private halves are published with the vectors: whoever uses one anywhere else
guards nothing. All signatures are deterministic (RFC 6979, RFC 8032), so the site is the same bytes wherever it is made.
"""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatekeeper import cose
from gatekeeper.core.draw import Draws
from gatekeeper.core.flow import Flow
from gatekeeper.core.operators import (
    HOST_ROLES,
    OPERATOR_TYPE,
    OPERATOR_USE,
    Operator,
    OperatorRecord,
    Operators,
    Role,
    operator_payload,
)
from gatekeeper.core.pin import SALT_BYTES, PinChecker, make_pin_record
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.register import HOLDER_TYPE, HolderRecord, Register, holder_payload
from gatekeeper.core.trust import (
    AGREEMENT_TYPE,
    TRUST_TYPE,
    Anchor,
    KeyState,
    TenantTrust,
    Trust,
    TrustedKey,
    TrustListing,
    TrustRefused,
    Use,
    agreement_payload,
    read_trust,
    trust_payload,
)
from gatekeeper.core.verify import PinDesk
from gatekeeper.model.badges import (
    BADGE_TYPE,
    Assurance,
    Badge,
    BadgeRecord,
    BadgeState,
    Card,
    CardTechnology,
    claims_of,
)
from gatekeeper.model.ids import BadgeId, GateId, HolderId, OperatorId, ProfileId, SiteId, TenantId, ZoneId
from gatekeeper.model.people import Agreement, Holder, HolderKind

SITE = SiteId("vector-fort")
HOST, SCHOOL = TenantId("army"), TenantId("school")
FRONT, INNER, SHED_READER = GateId("front"), GateId("inner"), GateId("shed-reader")
FORMER = GateId("former")
"""A gate whose key the trust list revokes."""
FOUNDED = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = datetime(2027, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 3, 10, tzinfo=UTC)  # a Wednesday, noon in Amsterdam
CARD = Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07"))

_POLICY = Path(__file__).with_name("vector_fort.toml")


# -- keys -------------------------------------------------------------------------------------------------------------

A = cose.Algorithm
KEYS: Mapping[str, tuple[cose.Algorithm, str, str]] = {
    "root-1": (A.ESP256, Use.ROOT, "root"),
    "root-2": (A.ED25519, Use.ROOT, "root"),
    "root-3": (A.ESP384, Use.ROOT, "root"),
    "army-signing": (A.ESP256, Use.TENANT, "army"),
    "army-issuer": (A.ESP256, Use.ISSUER, "army"),
    "school-signing": (A.ED25519, Use.TENANT, "school"),
    "school-issuer": (A.ED25519, Use.ISSUER, "school"),
    "front": (A.ESP256, Use.GATE, "front"),
    "inner": (A.ESP384, Use.GATE, "inner"),
    "shed-reader": (A.ED25519, Use.GATE, "shed-reader"),
    "former": (A.ESP256, Use.GATE, "former"),
    "decision": (A.ESP256, Use.DECISION, "service"),
    "log": (A.ED25519, Use.LOG, "service"),
    "seal": (A.ESP256, Use.SEAL, "service"),
    "operator-officer": (A.ESP256, OPERATOR_USE, "officer"),
    "operator-deputy": (A.ESP384, OPERATOR_USE, "deputy"),
    "operator-registrar": (A.ED25519, OPERATOR_USE, "registrar"),
    "operator-patrol": (A.ED25519, OPERATOR_USE, "patrol"),
    "badge-sergeant": (A.ESP256, "badge", "sergeant"),
    "badge-corporal": (A.ESP256, "badge", "corporal"),
    "badge-teacher": (A.ED25519, "badge", "teacher"),
    "stranger": (A.ESP256, "none", "nobody: a key that stands in no list"),
    "ephemeral": (
        A.ESP256,
        "none",
        "the gate, for one PIN: drawn anew each time, and fixed here so that bytes are the same",
    ),
}
"""All keys of the vectors: algorithm, use, owner."""

BEACON_SECRET = hashlib.sha256(b"gatekeeper vectors, a secret that is none: beacon").digest()
PEPPER = hashlib.sha256(b"gatekeeper vectors, a secret that is none: pepper").digest()


def throwaway_secret(name: str) -> bytes:
    """The private half of a key: a scalar (big-endian) on P-256 and P-384, a seed on Ed25519."""
    label = f"gatekeeper vectors, a key that guards nothing: {name}".encode()
    if KEYS[name][0] is A.ESP384:
        return (int.from_bytes(hashlib.sha384(label).digest(), "big") >> 1).to_bytes(48, "big")
    digest = hashlib.sha256(label).digest()
    return digest if KEYS[name][0] is A.ED25519 else (int.from_bytes(digest, "big") >> 1).to_bytes(32, "big")


@cache
def key_of(name: str, algorithm: cose.Algorithm | None = None) -> cose.SigningKey:
    """A key of the vectors; with another algorithm of the same curve it signs as it must not."""
    secret, own = throwaway_secret(name), KEYS[name][0]
    if own is A.ED25519:
        return cose.SigningKey(Ed25519PrivateKey.from_private_bytes(secret), algorithm or own)
    curve = SECP384R1() if own is A.ESP384 else SECP256R1()
    return cose.SigningKey(derive_private_key(int.from_bytes(secret, "big"), curve), algorithm or own)


def record_of(name: str) -> cose.KeyRecord:
    """The public half, for its one use."""
    _, use, owner = KEYS[name]
    return key_of(name).record(use=use, owner=owner)


def _trusted(name: str) -> TrustedKey:
    return TrustedKey(record=record_of(name), state=KeyState.ACTIVE, revoked_from=None)


# -- documents --------------------------------------------------------------------------------------------------------

AGREEMENT = Agreement(
    tenant=SCHOOL,
    ceiling=3,
    zones=frozenset({ZoneId("yard")}),
    since=FOUNDED,
    until=ENDS,
    badge_life=timedelta(days=365),
)


def policy_text() -> dict[str, Any]:
    """The site file, as a document to alter."""
    return tomllib.loads(_POLICY.read_text("utf-8"))


@cache
def agreement_document() -> bytes:
    """What host and school agreed."""
    return cosign_agreement(agreement_payload(AGREEMENT, site=SITE))


def cosign_agreement(payload: bytes) -> bytes:
    """Any payload, cosigned by host and school as an agreement."""
    keys = [key_of("army-signing"), key_of("school-signing")]
    return cose.cosign(payload, keys=keys, typ=AGREEMENT_TYPE, external_aad=SITE.encode())


@cache
def listing() -> TrustListing:
    """What the trust list says."""
    return TrustListing(
        site=SITE,
        version=1,
        issued=FOUNDED,
        threshold=2,
        roots=anchor().roots,
        tenants={
            HOST: _tenant("army", None),
            SCHOOL: _tenant("school", agreement_document()),
        },
        gates={
            **{gate: _trusted(gate) for gate in (FRONT, INNER, SHED_READER)},
            FORMER: replace(_trusted(FORMER), state=KeyState.REVOKED, revoked_from=FOUNDED),
        },
        services=(
            (Use.DECISION, _trusted("decision")),
            (Use.LOG, _trusted("log")),
            (Use.SEAL, _trusted("seal")),
        ),
    )


def _tenant(name: str, agreement: bytes | None) -> TenantTrust:
    return TenantTrust(
        signing=_trusted(f"{name}-signing"),
        issuers=(_trusted(f"{name}-issuer"),),
        agreement=agreement,
        epoch=1,
    )


@cache
def anchor() -> Anchor:
    """Where trust begins: two of three roots."""
    roots = tuple(key_of(f"root-{number}").public_der for number in (1, 2, 3))
    return Anchor(site=SITE, host=HOST, threshold=2, roots=roots)


def cosign_trust(payload: bytes, *, roots: tuple[str, ...] = ("root-1", "root-2")) -> bytes:
    """Any payload, signed by roots as a trust list."""
    keys = [key_of(root) for root in roots]
    return cose.cosign(payload, keys=keys, typ=TRUST_TYPE, external_aad=SITE.encode())


@cache
def trust_document() -> bytes:
    """The trust list, signed by two roots."""
    return cosign_trust(trust_payload(listing()))


@cache
def trust() -> Trust:
    """The trust list, believed."""
    found = read_trust(trust_document(), anchor=anchor(), not_below=0)
    assert not isinstance(found, TrustRefused), found
    return found


@cache
def policy_document() -> bytes:
    """The site's rules, signed by the host."""
    return sign_policy(policy_text(), site=SITE, key=key_of("army-signing"))


# -- operators --------------------------------------------------------------------------------------------------------

_ROLES: Mapping[str, tuple[TenantId, frozenset[Role]]] = {
    "officer": (HOST, frozenset(Role)),
    "deputy": (HOST, frozenset({Role.SECURITY_OFFICER, Role.SITE_ADMIN})),
    "registrar": (SCHOOL, frozenset(Role) - HOST_ROLES),
    "patrol": (HOST, frozenset({Role.GUARD})),
}


def operator(name: str) -> Operator:
    """An operator; all but the patrol are there from the start."""
    tenant, roles = _ROLES[name]
    return Operator(
        id=OperatorId(name),
        tenant=tenant,
        roles=roles,
        key=record_of(f"operator-{name}"),
        since=FOUNDED,
        until=ENDS,
        version=1,
        revoked=False,
    )


def sign_operator(payload: bytes, *, tenant: str) -> bytes:
    """Any payload, signed as an operator by a tenant."""
    key = key_of(f"{tenant}-signing")
    return cose.sign(payload, key=key, typ=OPERATOR_TYPE, external_aad=SITE.encode())


def operator_document(appointed: Operator) -> bytes:
    """An operator as its tenant signs it."""
    return sign_operator(operator_payload(appointed, site=SITE), tenant=appointed.tenant)


@cache
def operator_records() -> tuple[OperatorRecord, ...]:
    """The operators whom the site begins with, as they are stored."""
    first = [operator(name) for name in ("officer", "deputy", "registrar")]
    return tuple(
        OperatorRecord(id=one.id, tenant=one.tenant, document=operator_document(one)) for one in first
    )


# -- people -----------------------------------------------------------------------------------------------------------

PIN, DURESS_PIN = "258014", "410852"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A holder with one badge."""

    holder: Holder
    registration: bytes
    badge: Badge
    token: bytes
    key: cose.SigningKey | None


def _badge_id(name: str) -> BadgeId:
    return BadgeId(hashlib.sha256(f"gatekeeper vectors, badge of {name}".encode()).hexdigest()[:32])


def sign_claims(claims: Any, *, tenant: str, key: str | None = None) -> bytes:
    """Any claims, signed as a badge by a tenant's issuer."""
    return cose.sign(cose.encode(claims), key=key_of(key or f"{tenant}-issuer"), typ=BADGE_TYPE)


def sign_holder(payload: bytes, *, tenant: str) -> bytes:
    """Any payload, signed as a registration by a tenant's issuer."""
    key = key_of(f"{tenant}-issuer")
    return cose.sign(payload, key=key, typ=HOLDER_TYPE, external_aad=SITE.encode())


def _person(
    name: str,
    tenant: str,
    *,
    assurance: Assurance,
    kind: HolderKind,
    clearance: int,
    profile: str,
    card: Card | None,
    **further: Any,
) -> Person:
    key = key_of(f"badge-{name}") if assurance >= Assurance.KEY_BOUND else None
    badge = Badge(
        id=_badge_id(name),
        site=SITE,
        tenant=TenantId(tenant),
        not_before=datetime(2026, 5, 1, tzinfo=UTC),
        expires=datetime(2026, 8, 1, tzinfo=UTC),
        issued=datetime(2026, 5, 1, tzinfo=UTC),
        ceiling=clearance,
        assurance=assurance,
        kind=kind,
        epoch=1,
        requires_trusted_time=False,
        confirmation=None if key is None else key.record(use="badge", owner=_badge_id(name)),
        card=card,
        status_index=len(name),
    )
    holder = Holder(
        id=HolderId(f"h-{name}"),
        tenant=TenantId(tenant),
        kind=kind,
        clearance=clearance,
        profiles=(ProfileId(profile),),
        badges=(badge.id,),
        since=FOUNDED,
        until=datetime(2026, 12, 1, tzinfo=UTC),
        version=1,
        **further,
    )
    return Person(
        holder=holder,
        registration=sign_holder(holder_payload(holder, site=SITE), tenant=tenant),
        badge=badge,
        token=sign_claims(claims_of(badge), tenant=tenant),
        key=key,
    )


@cache
def people() -> Mapping[str, Person]:
    """Everybody: a badge of each kind."""
    bound, bearer, bare = Assurance.KEY_BOUND, Assurance.BEARER, Assurance.CARD_NUMBER
    return {
        "sergeant": _person(
            "sergeant",
            "army",
            assurance=bound,
            kind=HolderKind.STAFF,
            clearance=5,
            profile="soldier",
            card=None,
            pin=make_pin_record(PIN, duress=DURESS_PIN, pepper=PEPPER, salt=bytes(SALT_BYTES)),
        ),
        "corporal": _person(
            "corporal",
            "army",
            assurance=bound,
            kind=HolderKind.STAFF,
            clearance=2,
            profile="soldier",
            card=None,
            certificates=(("first-aid", datetime(2026, 9, 1, tzinfo=UTC)),),
        ),
        "teacher": _person(
            "teacher",
            "school",
            assurance=bound,
            kind=HolderKind.STAFF,
            clearance=2,
            profile="pupil",
            card=None,
        ),
        "pupil": _person(
            "pupil",
            "school",
            assurance=bearer,
            kind=HolderKind.VISITOR,
            clearance=2,
            profile="pupil",
            card=None,
            host=HolderId("h-teacher"),
        ),
        "van": _person(
            "van", "school", assurance=bare, kind=HolderKind.VEHICLE, clearance=1, profile="pupil", card=CARD
        ),
    }


OPENING_ENTRIES = 7  # the founding, five registrations, an engine


def fresh_flow() -> Flow:
    """The site as the service holds it before the first message."""
    register = Register()
    for person in people().values():
        record = BadgeRecord(id=person.badge.id, token=person.token, state=BadgeState.ACTIVE)
        register.put_badge(record, tenant=person.badge.tenant, card=person.badge.card)
        stored = HolderRecord(id=person.holder.id, document=person.registration)
        register.put_holder(stored, tenant=person.holder.tenant, badges=person.holder.badges)
    policy = compile_from(policy_document(), trust=trust())
    assert not isinstance(policy, PolicyRefused), policy
    flow = Flow(
        policy=policy,
        policy_source=policy_document(),
        trust=trust(),
        register=register,
        next_seq=OPENING_ENTRIES,
    )
    return equipped(flow, operator_records())


def equipped(flow: Flow, operators: Iterable[OperatorRecord]) -> Flow:
    """A flow with its operators, and with what only the running service has: the key that opens PINs, the pepper, lots."""
    flow.operators = Operators(operators)
    seal = cose.SealKey.from_pem(key_of("seal").to_pem())
    flow.pin_desk = PinDesk(key=seal, checker=PinChecker(pepper=PEPPER))
    flow.draws = Draws(secret=BEACON_SECRET)
    return flow
