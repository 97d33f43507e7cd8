"""What the site believes: roots, tenants with their agreements, gates and services, in one signed list.

    trust list   cosigned by m of n root keys      {0 1, 1 site, 2 version, 3 issued, 4 threshold, 5 [root SPKI],
                                                    6 {tenant: [signing key, [issuer keys], agreement / null, epoch]},
                                                    7 {gate: key}, 8 [[use, key]]}
    agreement    cosigned by host and tenant       {0 1, 1 site, 2 tenant, 3 ceiling, 4 [zones], 5 from, 6 until,
                                                    7 badge life in seconds}
    key          [algorithm, SPKI, state, revoked from / null]

Trust begins at an `Anchor`: the root keys that were put into the service, and into every gate, by hand. A list is
believed when enough of the anchor's roots signed it and its version is not below the one already held (as in TUF, a
rollback is an attack). Nobody but host and tenant together can make an agreement; the list carries their document
whole, so that a root cannot invent one either. `Trust` exists only verified.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

from gatekeeper import cose
from gatekeeper.cose import cbor
from gatekeeper.model.fields import (
    HIGHEST_LEVEL,
    UINT,
    WRONG,
    blob,
    each,
    exactly,
    name,
    second,
    typed,
    whole,
)
from gatekeeper.model.ids import GateId, SiteId, TenantId, ZoneId, is_name
from gatekeeper.model.people import Agreement

__all__ = [
    "AGREEMENT_TYPE",
    "TRUST_TYPE",
    "Anchor",
    "KeyState",
    "TenantTrust",
    "Trust",
    "TrustListing",
    "TrustRefusal",
    "TrustRefused",
    "TrustedKey",
    "Use",
    "agreement_payload",
    "read_trust",
    "trust_payload",
]

TRUST_TYPE = "application/pacs-trust+cose"
AGREEMENT_TYPE = "application/pacs-agreement+cose"
_VERSION = 1
_SHORTEST_SPKI, _LONGEST_SPKI = 44, 120  # Ed25519, P-384


class Use(StrEnum):
    """What a key is for; a key has one use."""

    ROOT = "root"
    TENANT = "tenant"
    ISSUER = "issuer"
    GATE = "gate"
    DECISION = "decision"
    LOG = "log"
    SEAL = "seal"


class KeyState(IntEnum):
    """Whether a key may sign, only be verified with, or is revoked from an instant on."""

    ACTIVE = 0
    VERIFY_ONLY = 1
    REVOKED = 2


class TrustRefusal(StrEnum):
    """Why a trust list is not believed."""

    SIGNATURE = "trust-signature"
    THRESHOLD = "trust-threshold"
    MALFORMED = "trust-malformed"
    OTHER_SITE = "trust-other-site"
    ROLLBACK = "trust-rollback"
    AGREEMENT = "trust-agreement"
    KEY = "trust-key"

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    TrustRefusal.SIGNATURE: "A signature on the trust list does not verify with the site's roots.",
    TrustRefusal.THRESHOLD: "Too few of the site's roots signed the trust list.",
    TrustRefusal.MALFORMED: "The trust list is signed, but its content is not a trust list.",
    TrustRefusal.OTHER_SITE: "The trust list belongs to another site.",
    TrustRefusal.ROLLBACK: "The trust list is older than the one already believed.",
    TrustRefusal.AGREEMENT: "A tenancy agreement does not carry the signatures of host and tenant.",
    TrustRefusal.KEY: "A key in the trust list is unusable or listed twice.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRefused:
    """A trust list that is not believed, and where it failed."""

    code: TrustRefusal
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where trust begins: the site, its root keys, and how many of them must sign."""

    site: SiteId
    host: TenantId
    threshold: int
    roots: tuple[bytes, ...]

    def to_json(self) -> str:
        """Write the anchor as the file that is carried to gates and services by hand."""
        roots = [b64encode(root).decode() for root in self.roots]
        document = {"site": self.site, "host": self.host, "threshold": self.threshold, "roots": roots}
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Anchor":
        """Read an anchor file. Raises ValueError when it is not one."""
        match json.loads(text):
            case {"site": str(site), "host": str(host), "threshold": int(threshold), "roots": [*roots]} if (
                is_name(site) and is_name(host) and 1 <= threshold <= len(set(roots))
            ):
                spki = tuple(b64decode(root, validate=True) for root in roots)
                return cls(site=SiteId(site), host=TenantId(host), threshold=threshold, roots=spki)
            case _:
                raise ValueError("this is no trust anchor")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key as the list states it."""

    record: cose.KeyRecord
    state: KeyState
    revoked_from: datetime | None

    def counted_at(self, at: datetime) -> bool:
        """Whether what this key signed at an instant counts."""
        return self.state is not KeyState.REVOKED or (
            self.revoked_from is not None and at < self.revoked_from
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTrust:
    """A tenant's keys and agreement as documents, before they are believed."""

    signing: TrustedKey
    issuers: tuple[TrustedKey, ...]
    agreement: bytes | None
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListing:
    """The content of a trust list, to be signed by the roots."""

    site: SiteId
    version: int
    issued: datetime
    threshold: int
    roots: tuple[bytes, ...]
    tenants: Mapping[TenantId, TenantTrust]
    gates: Mapping[GateId, TrustedKey]
    services: tuple[tuple[Use, TrustedKey], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A believed trust list, indexed for use."""

    site: SiteId
    host: TenantId
    version: int
    document: bytes
    listing: TrustListing
    issuers: cose.KeyRing
    tenants: cose.KeyRing
    gates: cose.KeyRing
    decisions: cose.KeyRing
    log_keys: tuple[cose.KeyRecord, ...]
    seal_key: cose.KeyRecord | None
    """For whom gates seal what is typed; None on a site that asks for no PIN."""
    agreements: Mapping[TenantId, Agreement]
    revoked_issuers: Mapping[bytes, datetime]

    def epoch(self, tenant: TenantId) -> int:
        """The lowest epoch of a tenant's badges that still counts."""
        listed = self.listing.tenants.get(tenant)
        return listed.epoch if listed is not None else 0

    def issues(self, tenant: TenantId, kid: bytes) -> bool:
        """Whether a key issues for a tenant now, and is not only verified with."""
        listed = self.listing.tenants.get(tenant)
        return listed is not None and any(
            key.record.kid == kid and key.state is KeyState.ACTIVE for key in listed.issuers
        )


def agreement_payload(agreement: Agreement, *, site: SiteId) -> bytes:
    """The content of a tenancy agreement, to be cosigned by host and tenant."""
    return cbor.encode(
        {
            0: _VERSION,
            1: site,
            2: agreement.tenant,
            3: agreement.ceiling,
            4: sorted(agreement.zones),
            5: int(agreement.since.timestamp()),
            6: int(agreement.until.timestamp()),
            7: agreement.badge_life // timedelta(seconds=1),
        }
    )


def trust_payload(listing: TrustListing) -> bytes:
    """The content of a trust list, to be cosigned by the roots."""
    return cbor.encode(
        {
            0: _VERSION,
            1: listing.site,
            2: listing.version,
            3: int(listing.issued.timestamp()),
            4: listing.threshold,
            5: list(listing.roots),
            6: {tenant: _tenant_out(trust) for tenant, trust in listing.tenants.items()},
            7: {gate: _key_out(key) for gate, key in listing.gates.items()},
            8: [[use.value, _key_out(key)] for use, key in listing.services],
        }
    )


def read_trust(document: bytes, *, anchor: Anchor, not_below: int) -> Trust | TrustRefused:
    """Believe a trust list, or say why not. `not_below` is the version already held (0 for none)."""
    roots = cose.key_ring(_root(spki) for spki in anchor.roots)
    cosigned = cose.verify_cosigned(
        document,
        keys=roots,
        typ=TRUST_TYPE,
        uses={Use.ROOT},
        external_aad=anchor.site.encode(),
        bounds=_BOUNDS,
    )
    if isinstance(cosigned, cose.Refused):
        return TrustRefused(code=TrustRefusal.SIGNATURE, detail=str(cosigned.code))
    if len(cosigned.signers) < anchor.threshold:
        return TrustRefused(
            code=TrustRefusal.THRESHOLD, detail=f"{len(cosigned.signers)} of {anchor.threshold}"
        )
    content = cbor.decode(cosigned.payload, bounds=_BOUNDS)
    try:
        listing = _listing_in(content)
    except cose.KeyRefusedError as error:
        return TrustRefused(code=TrustRefusal.KEY, detail=str(error.code))
    except WRONG as error:
        return TrustRefused(code=TrustRefusal.MALFORMED, detail=str(error))
    if listing.site != anchor.site:
        return TrustRefused(code=TrustRefusal.OTHER_SITE, detail=listing.site)
    if listing.version < not_below:
        return TrustRefused(code=TrustRefusal.ROLLBACK, detail=f"{listing.version} < {not_below}")
    return _believe(listing, document, anchor)


_BOUNDS = cbor.Bounds(max_bytes=16_000_000, max_depth=8, max_items=1_000_000)


def _believe(listing: TrustListing, document: bytes, anchor: Anchor) -> Trust | TrustRefused:
    try:
        signing = cose.key_ring(
            tenant.signing.record
            for tenant in listing.tenants.values()
            if tenant.signing.state is not KeyState.REVOKED
        )
        issuers = cose.key_ring(key.record for tenant in listing.tenants.values() for key in tenant.issuers)
        gates = cose.key_ring(key.record for key in listing.gates.values() if key.state is KeyState.ACTIVE)
        services = {
            use: [
                key.record
                for listed, key in listing.services
                if listed is use and key.state is not KeyState.REVOKED
            ]
            for use in Use
        }
        decisions = cose.key_ring(services[Use.DECISION])
        cose.key_ring(
            [
                *signing.values(),
                *issuers.values(),
                *gates.values(),
                *decisions.values(),
                *services[Use.LOG],
                *services[Use.SEAL],
            ]
        )
    except cose.KeyRefusedError as error:
        return TrustRefused(code=TrustRefusal.KEY, detail=str(error.code))
    sealing = [key for use, key in listing.services if use is Use.SEAL]
    if not all(cose.can_be_sealed_for(key.record.public_der) for key in sealing):
        return TrustRefused(code=TrustRefusal.KEY, detail=f"{Use.SEAL}: {cose.Refusal.KEY_FORM}")
    agreements: dict[TenantId, Agreement] = {}
    for tenant, trust in listing.tenants.items():
        if tenant == anchor.host or trust.agreement is None:
            continue
        agreement = _read_agreement(trust.agreement, tenant, anchor, signing)
        if agreement is None:
            return TrustRefused(code=TrustRefusal.AGREEMENT, detail=tenant)
        agreements[tenant] = agreement
    revoked = {
        key.record.kid: key.revoked_from or datetime.fromtimestamp(0, UTC)
        for tenant in listing.tenants.values()
        for key in tenant.issuers
        if key.state is KeyState.REVOKED
    }
    return Trust(
        site=listing.site,
        host=anchor.host,
        version=listing.version,
        document=document,
        listing=listing,
        issuers=issuers,
        tenants=signing,
        gates=gates,
        decisions=decisions,
        log_keys=tuple(services[Use.LOG]),
        seal_key=next((key.record for key in reversed(sealing) if key.state is KeyState.ACTIVE), None),
        agreements=MappingProxyType(agreements),
        revoked_issuers=MappingProxyType(revoked),
    )


def _read_agreement(
    document: bytes, tenant: TenantId, anchor: Anchor, signing: cose.KeyRing
) -> Agreement | None:
    cosigned = cose.verify_cosigned(
        document, keys=signing, typ=AGREEMENT_TYPE, uses={Use.TENANT}, external_aad=anchor.site.encode()
    )
    if isinstance(cosigned, cose.Refused):
        return None
    # INVARIANT: an agreement is the word of both, host and tenant, and of nobody else.
    if {record.owner for record in cosigned.signers} != {anchor.host, tenant}:
        return None
    try:
        return _agreement_in(cbor.decode(cosigned.payload), tenant, anchor.site)
    except WRONG:
        return None


def _agreement_in(read: object, tenant: TenantId, site: SiteId) -> Agreement | None:
    content = typed(read, dict)
    if content.keys() != set(range(8)) or whole(content[0]) != _VERSION:
        return None
    if (name(content[1]), name(content[2])) != (site, tenant):
        return None
    return Agreement(
        tenant=tenant,
        ceiling=whole(content[3], HIGHEST_LEVEL),
        zones=frozenset(map(ZoneId, each(content[4], name))),
        since=second(content[5]),
        until=second(content[6]),
        badge_life=timedelta(seconds=whole(content[7], UINT)),
    )


def _root(spki: bytes) -> cose.KeyRecord:
    algorithm = cose.algorithm_of(spki)
    if algorithm is None:
        raise cose.KeyRefusedError(cose.Refusal.KEY_FORM)
    return cose.KeyRecord.of(spki, algorithm=algorithm, use=Use.ROOT, owner="root")


def _key_out(key: TrustedKey) -> list[Any]:
    revoked = None if key.revoked_from is None else int(key.revoked_from.timestamp())
    return [int(key.record.algorithm), key.record.public_der, int(key.state), revoked]


def _key_in(value: object, *, use: Use, owner: str) -> TrustedKey:
    algorithm, spki, state, revoked = exactly(value, 4)
    return TrustedKey(
        record=cose.KeyRecord.of(
            typed(spki, bytes), algorithm=cose.Algorithm(typed(algorithm, int)), use=use, owner=owner
        ),
        state=KeyState(whole(state, len(KeyState) - 1)),
        revoked_from=None if revoked is None else second(revoked),
    )


def _tenant_out(trust: TenantTrust) -> list[Any]:
    return [_key_out(trust.signing), [_key_out(key) for key in trust.issuers], trust.agreement, trust.epoch]


def _tenant_in(tenant: TenantId, value: object) -> TenantTrust:
    signing, issuers, agreement, epoch = exactly(value, 4)
    return TenantTrust(
        signing=_key_in(signing, use=Use.TENANT, owner=tenant),
        issuers=each(issuers, lambda key: _key_in(key, use=Use.ISSUER, owner=tenant)),
        agreement=None if agreement is None else typed(agreement, bytes),
        epoch=whole(epoch, UINT),
    )


def _service_in(value: object) -> tuple[Use, TrustedKey]:
    use, key = exactly(value, 2)
    return Use(typed(use, str)), _key_in(key, use=Use(typed(use, str)), owner="service")


def _listing_in(read: object) -> TrustListing:
    content = typed(read, dict)
    if content.keys() != set(range(9)) or whole(content[0]) != _VERSION:
        raise ValueError("not a trust list of a known version")
    roots = each(content[5], lambda root: blob(root, _LONGEST_SPKI, least=_SHORTEST_SPKI))
    return TrustListing(
        site=SiteId(name(content[1])),
        version=whole(content[2], UINT),
        issued=second(content[3]),
        threshold=whole(content[4], UINT),
        roots=roots,
        tenants={
            TenantId(name(tenant)): _tenant_in(TenantId(tenant), value)
            for tenant, value in typed(content[6], dict).items()
        },
        gates={
            GateId(name(gate)): _key_in(key, use=Use.GATE, owner=gate)
            for gate, key in typed(content[7], dict).items()
        },
        services=each(content[8], _service_in),
    )
