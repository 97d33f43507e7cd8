"""What stands signed before the first scan of the small site (see `tests.support.sites`): its documents, keys and people.

What is signed is signed once a session, by keys derived from their owners' names: the same in every run.
"""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

from gatekeeper import cose
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.register import HOLDER_TYPE, holder_payload
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
from gatekeeper.model.badges import (
    BADGE_TYPE,
    Assurance,
    Badge,
    Card,
    CardTechnology,
    claims_of,
)
from gatekeeper.model.ids import BadgeId, HolderId, ProfileId, SiteId, TenantId
from gatekeeper.model.people import Agreement, Holder, HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.site_file import read_site

__all__ = [
    "BADGES",
    "CARD",
    "HOST",
    "NOON",
    "SITE",
    "Ground",
    "Issued",
    "compiled",
    "cosigned_agreement",
    "ground",
    "issue",
    "key_of",
    "listed",
    "register_holder",
    "signed_trust",
    "site_document",
    "trusted",
]

SITE = SiteId("fort")
HOST = TenantId("army")
NOON = datetime(2026, 6, 3, 10, tzinfo=UTC)  # a Wednesday, noon in Amsterdam
FOUNDED = datetime(2026, 1, 1, tzinfo=UTC)
CARD = Card(CardTechnology.MIFARE, bytes.fromhex("BA839D07"))

_SITE = """
[site]
id = "fort"
name = { en = "Fort", nl = "Fort" }
time_zone = "Europe/Amsterdam"
host = "army"
outside = "outside"
alert_states = ["calm", "tense", "grave"]
unlock_seconds = 4

[[tenant]]
id = "army"
name = { en = "Army", nl = "Leger" }

[[tenant]]
id = "school"
name = { en = "School", nl = "School" }
agreement = { ceiling = 3, zones = ["yard"], from = 2026-01-01T00:00:00Z, until = 2027-01-01T00:00:00Z, badge_days = 365 }

[[tenant]]
id = "club"
name = { en = "Club", nl = "Club" }
agreement = { ceiling = 1, zones = ["shed", "barrack"], from = 2026-01-01T00:00:00Z, until = 2026-07-01T00:00:00Z, badge_days = 100 }

[[zone]]
id = "outside"
name = { en = "Outside", nl = "Buiten" }
owner = "army"
level = 0
assurance = 0
anti_passback = "none"

[[zone]]
id = "yard"
name = { en = "Yard", nl = "Plein" }
owner = "army"
level = 1
assurance = 1
anti_passback = "soft"

[[zone]]
id = "shed"
name = { en = "Shed", nl = "Schuur" }
parent = "yard"
owner = "army"
level = 0
assurance = 0
anti_passback = "none"

[[zone]]
id = "school-house"
name = { en = "School house", nl = "Schoolgebouw" }
parent = "yard"
owner = "school"
level = 1
assurance = 1
anti_passback = "none"

[[zone]]
id = "barrack"
name = { en = "Barrack", nl = "Kazernegebouw" }
parent = "yard"
owner = "army"
level = 2
assurance = 2
anti_passback = "hard"

[[zone]]
id = "armoury"
name = { en = "Armoury", nl = "Wapenkamer" }
parent = "barrack"
owner = "army"
level = 4
assurance = 2
anti_passback = "hard"

[[gate]]
id = "front"
name = { en = "Front gate", nl = "Voorpoort" }

[[gate]]
id = "inner"
name = { en = "Inner doors", nl = "Binnendeuren" }

[[gate]]
id = "shed-reader"
name = { en = "Reader at the shed", nl = "Lezer bij de schuur" }

[[calendar]]
id = "holidays"
days = [
    { date = 2026-04-27, name = { en = "King's Day", nl = "Koningsdag" } },
    { date = 2026-12-25, name = { en = "Christmas", nl = "Kerst" } },
]

[[schedule]]
id = "always"
name = { en = "Always", nl = "Altijd" }
windows = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", until = "24:00" }]

[[schedule]]
id = "lessons"
name = { en = "Lessons", nl = "Lestijd" }
windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "08:00", until = "17:00" }]
calendar = "holidays"
on_special_days = []

[[profile]]
id = "soldier"
tenant = "army"
name = { en = "Soldier", nl = "Soldaat" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "grave" }]

[[profile]]
id = "pupil"
tenant = "school"
name = { en = "Pupil", nl = "Leerling" }
grants = [
    { access_point = "front-in", schedule = "lessons", highest_alert = "tense" },
    { access_point = "front-out", schedule = "lessons", highest_alert = "tense" },
    { zone = "school-house", schedule = "lessons", highest_alert = "calm" },
    { zone = "shed", schedule = "always", highest_alert = "calm" },
]

[[profile]]
id = "teacher"
tenant = "school"
name = { en = "Teacher", nl = "Leraar" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "tense" }]

[[profile]]
id = "member"
tenant = "club"
name = { en = "Member", nl = "Lid" }
grants = [{ zone = "yard", schedule = "always", highest_alert = "grave" }]

[[veto]]
tenant = "school"
zone = "armoury"
why = { en = "Weapons", nl = "Wapens" }
"""

_DOORS = (
    ("front", "front", "outside", "yard"),
    ("shed", "shed-reader", "yard", "shed"),
    ("school", "inner", "yard", "school-house"),
    ("barrack", "inner", "yard", "barrack"),
    ("armoury", "inner", "barrack", "armoury"),
)


def site_document() -> dict[str, Any]:
    """The site file, as a document to alter."""
    document = tomllib.loads(_SITE)
    points = [_point(f"{door}-in", gate, outer, inner, "in") for door, gate, outer, inner in _DOORS]
    points += [_point(f"{door}-out", gate, inner, outer, "out") for door, gate, outer, inner in _DOORS]
    points.append(_point("corridor", "inner", "school-house", "barrack", "in"))
    document["access_point"] = points
    return document


def _point(name: str, gate: str, source: str, target: str, direction: str) -> dict[str, Any]:
    names = {"en": name, "nl": name}
    return {"id": name, "gate": gate, "from": source, "to": target, "direction": direction, "name": names}


# -- keys and documents -----------------------------------------------------------------------------------------------


@cache
def key_of(name: str) -> cose.SigningKey:
    """The key of whoever has this name: the same in every run, and worth nothing outside it."""
    secret = int.from_bytes(hashlib.sha256(f"a key for tests: {name}".encode()).digest(), "big")
    return cose.SigningKey(derive_private_key(secret >> 1, SECP256R1()), cose.Algorithm.ESP256)


def trusted(
    name: str, *, use: Use, owner: str, state: KeyState = KeyState.ACTIVE, since: datetime | None = None
) -> TrustedKey:
    """A key as a trust list states it."""
    return TrustedKey(record=key_of(name).record(use=use, owner=owner), state=state, revoked_from=since)


def cosigned_agreement(agreement: Agreement, *, by: Iterable[str], site: SiteId = SITE) -> bytes:
    """An agreement, signed by the keys of these names (`army signing`, `school signing`)."""
    payload = agreement_payload(agreement, site=site)
    keys = [key_of(name) for name in by]
    return cose.cosign(payload, keys=keys, typ=AGREEMENT_TYPE, external_aad=site.encode())


def signed_trust(listing: TrustListing, *, by: Iterable[str] = ("root 1", "root 2")) -> bytes:
    """A trust list, signed by the roots of these names; two of the three must."""
    keys = [key_of(name) for name in by]
    return cose.cosign(trust_payload(listing), keys=keys, typ=TRUST_TYPE, external_aad=SITE.encode())


def listed(**changes: Any) -> TrustListing:
    """What the site's trust list says, with changes by field."""
    written = read_site(site_document())
    tenants = {
        tenant.id: TenantTrust(
            signing=trusted(f"{tenant.id} signing", use=Use.TENANT, owner=tenant.id),
            issuers=(trusted(f"{tenant.id} issuer", use=Use.ISSUER, owner=tenant.id),),
            agreement=None
            if tenant.agreement is None
            else cosigned_agreement(tenant.agreement, by=(f"{HOST} signing", f"{tenant.id} signing")),
            epoch=1,
        )
        for tenant in written.tenants
    }
    listing = TrustListing(
        site=SITE,
        version=1,
        issued=FOUNDED,
        threshold=2,
        roots=tuple(key_of(f"root {number}").public_der for number in (1, 2, 3)),
        tenants=tenants,
        gates={gate.id: trusted(gate.id, use=Use.GATE, owner=gate.id) for gate in written.gates},
        services=(
            (Use.DECISION, trusted("decision", use=Use.DECISION, owner="service")),
            (Use.LOG, trusted("log", use=Use.LOG, owner="service")),
        ),
    )
    return replace(listing, **changes)


def compiled(document: Mapping[str, Any], *, trust: Trust) -> tuple[bytes, Policy]:
    """Sign a site file as the host and compile it; it must be one."""
    signed = sign_policy(document, site=SITE, key=key_of(f"{HOST} signing"))
    policy = compile_from(signed, trust=trust)
    assert not isinstance(policy, PolicyRefused), policy
    return signed, policy


# -- people and badges ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A badge, its token, and its private key when it has one."""

    badge: Badge
    token: bytes
    key: cose.SigningKey | None


def issue(name: str, tenant: str, *, by: str | None = None, **changes: Any) -> Issued:
    """Issue a badge to a person; `by` names the signing key (the tenant's issuer), `changes` are fields of `Badge`."""
    key = key_of(f"{name}'s badge") if changes.get("assurance", Assurance.KEY_BOUND) >= 2 else None
    badge_id = BadgeId(hashlib.sha256(f"badge of {name}".encode()).hexdigest()[:32])
    badge = Badge(
        id=badge_id,
        site=SITE,
        tenant=TenantId(tenant),
        not_before=datetime(2026, 5, 1, tzinfo=UTC),
        expires=datetime(2026, 8, 1, tzinfo=UTC),
        issued=datetime(2026, 5, 1, tzinfo=UTC),
        ceiling=5,
        assurance=Assurance.KEY_BOUND,
        kind=HolderKind.STAFF,
        epoch=1,
        requires_trusted_time=False,
        confirmation=None if key is None else key.record(use="badge", owner=badge_id),
        card=None,
        status_index=7,
    )
    badge = replace(badge, **changes)
    token = cose.sign(cose.encode(claims_of(badge)), key=key_of(by or f"{tenant} issuer"), typ=BADGE_TYPE)
    return Issued(badge=badge, token=token, key=key)


def register_holder(holder: Holder, *, by: str | None = None, site: SiteId = SITE) -> bytes:
    """Sign a registration; `by` names the key, the issuer key of the holder's tenant when it is not given."""
    key = key_of(by or f"{holder.tenant} issuer")
    return cose.sign(holder_payload(holder, site=site), key=key, typ=HOLDER_TYPE, external_aad=site.encode())


def _holder(name: str, tenant: str, clearance: int, profile: str, kind: HolderKind) -> Holder:
    return Holder(
        id=HolderId(name),
        tenant=TenantId(tenant),
        kind=kind,
        clearance=clearance,
        profiles=(ProfileId(profile),),
        badges=(BADGES[name].badge.id,),
        since=FOUNDED,
        until=datetime(2026, 12, 1, tzinfo=UTC),
        version=1,
    )


BADGES: Mapping[str, Issued] = {
    "sergeant": issue("sergeant", "army"),
    "private": issue("private", "army"),
    "teacher": issue("teacher", "school"),
    "pupil": issue("pupil", "school", assurance=Assurance.BEARER, kind=HolderKind.VISITOR, ceiling=2),
    "member": issue("member", "club", kind=HolderKind.RESERVIST),
    "van": issue("van", "school", assurance=Assurance.CARD_NUMBER, card=CARD, kind=HolderKind.VEHICLE),
}
_HOLDERS = {
    "sergeant": _holder("sergeant", "army", 5, "soldier", HolderKind.STAFF),
    "private": _holder("private", "army", 2, "soldier", HolderKind.STAFF),
    "teacher": _holder("teacher", "school", 5, "teacher", HolderKind.STAFF),
    "pupil": _holder("pupil", "school", 1, "pupil", HolderKind.VISITOR),
    "member": _holder("member", "club", 5, "member", HolderKind.RESERVIST),
    "van": _holder("van", "school", 1, "pupil", HolderKind.VEHICLE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What stands signed before the first scan."""

    anchor: Anchor
    trust: Trust
    policy_source: bytes
    policy: Policy
    holders: Mapping[str, Holder]
    registrations: Mapping[str, bytes]


@cache
def ground() -> Ground:
    """The site as it was founded, made once a session."""
    anchor = Anchor(site=SITE, host=HOST, threshold=2, roots=listed().roots)
    trust = read_trust(signed_trust(listed()), anchor=anchor, not_below=0)
    assert not isinstance(trust, TrustRefused), trust
    source, policy = compiled(site_document(), trust=trust)
    return Ground(
        anchor=anchor,
        trust=trust,
        policy_source=source,
        policy=policy,
        holders=_HOLDERS,
        registrations={name: register_holder(holder) for name, holder in _HOLDERS.items()},
    )
