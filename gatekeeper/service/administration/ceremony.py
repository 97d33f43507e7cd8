"""The ceremony: a site out of a site file, with real keys, real signatures and no shortcut.

    roots       three keys, two of which sign every trust list            -> anchor
    tenants     a signing key and an issuer key each; host and tenant sign each agreement
    gates       each with what is carried to it; its key is made there, and comes with a request that proves it
    services    the keys that sign decisions and the log; the secret behind the beacon
    trust list  all public keys and agreements, signed by two roots
    policy      the rules of the file, signed by the host
    operators   two of the host who can make others together, its auditor, an administrator of each tenant; signed by their tenants
    people      registrations and badges, signed by their tenants

What is made here is believed here, by the readers that everybody else uses, before any of it is kept. All of it comes to
be at once: a ceremony that fails leaves nothing behind. Databases and brokers are told by whoever asked for it.
"""

import base64
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from gatekeeper import cose
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.core.operators import OperatorRecord
from gatekeeper.core.pin import SALT_BYTES, make_pin_record
from gatekeeper.core.policy_document import PolicyRefused, read_policy, sign_policy
from gatekeeper.core.register import HolderRecord
from gatekeeper.core.supervise import StoredBadge, StoredHolder
from gatekeeper.core.trust import (
    AGREEMENT_TYPE,
    Anchor,
    TenantTrust,
    Trust,
    TrustedKey,
    TrustListing,
    Use,
    agreement_payload,
)
from gatekeeper.model.badges import BadgeRecord, BadgeState
from gatekeeper.model.ids import GateId, HolderId, SiteId, TenantId
from gatekeeper.model.people import Agreement, Holder, PinRecord
from gatekeeper.model.site_file import SiteFileError
from gatekeeper.model.topics import PREFIX
from gatekeeper.service.administration.folder import (
    ANCHOR,
    BEACON_KEY,
    DECISION_KEY,
    LOG_KEY,
    PEOPLE,
    PIN_PEPPER,
    POLICY,
    ROOT_KEYS,
    SEAL_KEY,
    SiteFolder,
    agreement_of,
    in_gate,
    issuer_of,
    new_site_folder,
    signing_of,
)
from gatekeeper.service.administration.gate_files import GATE_FILE, gate_file
from gatekeeper.service.administration.issuing import IssuedBadge, Issuer, issue_badge, register_holder
from gatekeeper.service.administration.operators import (
    FIRST_KEYS,
    OPERATOR_TERM,
    first_operators,
    key_of_operator,
    new_operator,
    record_of,
    sign_operator,
)
from gatekeeper.service.administration.plan import Plan, read_plan
from gatekeeper.service.administration.population import Person
from gatekeeper.service.administration.trust_list import (
    TrustListError,
    active,
    believe_request,
    publish_trust,
    sign_trust,
)

__all__ = ["Enrol", "Founding", "Progress", "found_site"]

Enrol: TypeAlias = Callable[[SiteId, GateId], bytes]
Progress: TypeAlias = Callable[[str, int, int], None]

_THRESHOLD: Final = 2
_FIRST_EPOCH: Final = 1
_BEACON_BYTES: Final = 32
_PEPPER_BYTES: Final = 32
_PIN_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """A site as it was founded: where trust begins, the two documents that stand on it, and its people."""

    anchor: Anchor
    trust: bytes
    policy: bytes
    holders: tuple[StoredHolder, ...]
    names: Mapping[HolderId, str]
    badges: tuple[StoredBadge, ...]
    operators: tuple[OperatorRecord, ...] = ()


def found_site(
    document: Mapping[str, Any],
    folder: SiteFolder,
    *,
    now: datetime,
    people: int | None = None,
    progress: Progress | None = None,
    enrol: Enrol | None = None,
    gate_keys: bool | None = None,
) -> Founding:
    """Hold the ceremony for a site file (as read from TOML) and keep its keys in `folder`, which must be new.

    A gate makes its own key and is enrolled with it later. Only the gates of an example, whose people are invented too, have
    theirs made in their folders here, to be carried there; `gate_keys` says that of any site, or of none. With `enrol` each
    gate is asked for its enrolment request now.
    `people` is how many an example site shall have, when that is more than its file has.
    `progress` is told what is being made, how many of them there are, and how many there will be.

    Raises `SiteFileError` with every problem of the file, `SiteFolderError` when the folder is in use, and
    `TrustListError` when a gate's request is not believed.
    """
    plan = read_plan(document, now=now, people=people)
    keys_here = plan.is_example if gate_keys is None else gate_keys
    tell = progress or _tell_nobody
    with new_site_folder(folder.root) as aside:
        roots = [aside.make_key(place) for place in ROOT_KEYS]
        anchor = _anchor(plan, roots)
        aside.write(ANCHOR, anchor.to_json().encode())
        tenants = _found_tenants(plan, aside)
        listing = TrustListing(
            site=anchor.site,
            version=1,
            issued=now,
            threshold=anchor.threshold,
            roots=anchor.roots,
            tenants={tenant: founded.trust for tenant, founded in tenants.items()},
            gates=_found_gates(plan, aside, enrol or (_enrolment_in(aside) if keys_here else None), tell),
            services=_found_services(aside),
        )
        trust = sign_trust(listing, anchor=anchor, roots=roots[: anchor.threshold])
        publish_trust(aside, trust)
        policy = _found_policy(plan, tenants[anchor.host].signing, trust)
        aside.write(POLICY, policy)
        operators = _found_operators(plan, tenants, aside, now)
        founded = _found_people(plan, tenants, aside.read_secret(PIN_PEPPER), now, tell)
        aside.write_private(PEOPLE, _people_file(founded))
    return Founding(
        anchor=anchor,
        trust=trust.document,
        policy=policy,
        holders=tuple(_stored_holder(one) for one in founded),
        names={one.person.holder: one.person.name for one in founded},
        badges=tuple(_stored_badge(one) for one in founded),
        operators=operators,
    )


def _tell_nobody(_what: str, _done: int, _of: int) -> None:
    pass


def _anchor(plan: Plan, roots: Iterable[cose.SigningKey]) -> Anchor:
    return Anchor(
        site=plan.written.site,
        host=plan.written.host,
        threshold=_THRESHOLD,
        roots=tuple(root.public_der for root in roots),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tenant:
    """A tenant with its private keys, and what the trust list says of it."""

    signing: cose.SigningKey
    issuer: Issuer
    trust: TenantTrust


def _found_tenants(plan: Plan, folder: SiteFolder) -> dict[TenantId, _Tenant]:
    site, host = plan.written.site, plan.written.host
    signing = {tenant.id: folder.make_key(signing_of(tenant.id)) for tenant in plan.written.tenants}
    founded: dict[TenantId, _Tenant] = {}
    for tenant in plan.written.tenants:
        issuer = folder.make_key(issuer_of(tenant.id))
        agreed = None
        if tenant.agreement is not None:
            agreed = _agree(tenant.agreement, site=site, parties=(signing[host], signing[tenant.id]))
            folder.write(agreement_of(tenant.id), agreed)
        founded[tenant.id] = _Tenant(
            signing=signing[tenant.id],
            issuer=Issuer(
                site=site, tenant=tenant.id, key=issuer, agreement=tenant.agreement, epoch=_FIRST_EPOCH
            ),
            trust=TenantTrust(
                signing=active(signing[tenant.id].record(use=Use.TENANT, owner=tenant.id)),
                issuers=(active(issuer.record(use=Use.ISSUER, owner=tenant.id)),),
                agreement=agreed,
                epoch=_FIRST_EPOCH,
            ),
        )
    return founded


def _agree(agreement: Agreement, *, site: SiteId, parties: Iterable[cose.SigningKey]) -> bytes:
    payload = agreement_payload(agreement, site=site)
    return cose.cosign(payload, keys=parties, typ=AGREEMENT_TYPE, external_aad=site.encode())


def _found_services(folder: SiteFolder) -> tuple[tuple[Use, TrustedKey], ...]:
    folder.keep_secret(BEACON_KEY, secrets.token_bytes(_BEACON_BYTES))
    folder.keep_secret(PIN_PEPPER, secrets.token_bytes(_PEPPER_BYTES))
    seal = folder.make_key(SEAL_KEY)
    decision = folder.make_key(DECISION_KEY)
    log = folder.make_key(LOG_KEY, cose.Algorithm.ED25519)  # C2SP checkpoints know no other
    return (
        (Use.DECISION, active(decision.record(use=Use.DECISION, owner="service"))),
        (Use.LOG, active(log.record(use=Use.LOG, owner="service"))),
        (Use.SEAL, active(seal.record(use=Use.SEAL, owner="service"))),
    )


def _found_gates(
    plan: Plan, folder: SiteFolder, enrol: Enrol | None, tell: Progress
) -> dict[GateId, TrustedKey]:
    """Furnish the folder of every gate, and believe what each one says its key is; whom nobody asks has none yet."""
    listed: dict[GateId, TrustedKey] = {}
    for number, gate in enumerate(plan.written.gates, 1):
        document = gate_file(plan.written, gate.id, prefix=PREFIX, bridge=plan.bridges.get(gate.id))
        folder.write(in_gate(gate.id, GATE_FILE), document)
        folder.write(in_gate(gate.id, ANCHOR), folder.read(ANCHOR))
        folder.keep_secret(in_gate(gate.id, "broker-password"), secrets.token_urlsafe(24).encode())
        if enrol is not None:
            listed[gate.id] = _believed(enrol(plan.written.site, gate.id), plan.written.site, gate.id, folder)
        tell("gates", number, len(plan.written.gates))
    return listed


def _believed(request: bytes, site: SiteId, gate: GateId, folder: SiteFolder) -> TrustedKey:
    folder.write(in_gate(gate, "request.cose"), request)
    believed = believe_request(request, site=site)
    if believed.gate != gate:
        raise TrustListError(f"{gate} was asked for its key, and {believed.gate} answered.")
    return active(believed.record)


def _enrolment_in(folder: SiteFolder) -> Enrol:
    """Gates that make their keys in their folders here, before these are carried to them."""

    def enrol(site: SiteId, gate: GateId) -> bytes:
        key = folder.make_key(in_gate(gate, "key.pem"))
        return enrolment_request(site=site, gate=gate, key=key)

    return enrol


def _found_policy(plan: Plan, host: cose.SigningKey, trust: Trust) -> bytes:
    policy = sign_policy(plan.document, site=trust.site, key=host)
    believed = read_policy(policy, trust=trust)
    if isinstance(believed, PolicyRefused):
        raise SiteFileError([f"the file: {believed.code.sentence} {believed.detail}"])
    return policy


def _found_operators(
    plan: Plan, tenants: Mapping[TenantId, _Tenant], folder: SiteFolder, now: datetime
) -> tuple[OperatorRecord, ...]:
    site, host = plan.written.site, plan.written.host
    founded = []
    for name, (tenant, role) in first_operators(tenants, host=host).items():
        operator = new_operator(
            name,
            tenant=tenant,
            host=host,
            roles=[role],
            key=folder.make_key(f"{FIRST_KEYS}/{key_of_operator(name)}"),
            since=now,
            until=now + OPERATOR_TERM,
        )
        founded.append(record_of(operator, sign_operator(operator, site=site, key=tenants[tenant].signing)))
    return tuple(founded)


@dataclass(frozen=True, slots=True)
class _Founded:
    """A person with a signed registration, a badge, and the PIN that goes with it."""

    person: Person
    registration: bytes
    badge: IssuedBadge
    pin: str | None


def _found_people(
    plan: Plan, tenants: Mapping[TenantId, _Tenant], pepper: bytes, now: datetime, tell: Progress
) -> tuple[_Founded, ...]:
    founded: list[_Founded] = []
    status_index = Counter[TenantId]()
    for person in plan.people:
        badge = issue_badge(
            tenants[person.tenant].issuer,
            badge_id=person.badge,
            kind=person.kind,
            clearance=person.clearance,
            assurance=person.assurance,
            card=person.card,
            status_index=status_index[person.tenant],
            now=now,
        )
        status_index[person.tenant] += 1
        pin = _new_pin() if person.has_pin else None
        kept = None if pin is None else _keep_pin(pin, pepper)
        registration = _register(person, tenants[person.tenant].issuer, kept, now)
        founded.append(_Founded(person, registration, badge, pin))
        tell("people", len(founded), len(plan.people))
    return tuple(founded)


def _new_pin() -> str:
    return f"{secrets.randbelow(10**_PIN_DIGITS):0{_PIN_DIGITS}}"


def _keep_pin(pin: str, pepper: bytes) -> PinRecord:
    return make_pin_record(pin, duress=None, pepper=pepper, salt=secrets.token_bytes(SALT_BYTES))


def _register(person: Person, issuer: Issuer, pin: PinRecord | None, now: datetime) -> bytes:
    holder = Holder(
        id=person.holder,
        tenant=person.tenant,
        kind=person.kind,
        clearance=person.clearance,
        profiles=person.profiles,
        badges=(person.badge,),
        since=now,
        until=issuer.registered_until(now),
        version=1,
        host=person.host,
        pin=pin,
    )
    return register_holder(holder, issuer=issuer)


def _stored_holder(founded: _Founded) -> StoredHolder:
    person = founded.person
    return StoredHolder(
        record=HolderRecord(id=person.holder, document=founded.registration),
        tenant=person.tenant,
        name=b"",
        badges=(person.badge,),
    )


def _stored_badge(founded: _Founded) -> StoredBadge:
    person = founded.person
    return StoredBadge(
        record=BadgeRecord(id=person.badge, token=founded.badge.token, state=BadgeState.ACTIVE),
        tenant=person.tenant,
        holder=person.holder,
        card=person.card,
    )


def _people_file(people: Iterable[_Founded]) -> bytes:
    return json.dumps([_person_out(one) for one in people], indent=1, ensure_ascii=False).encode() + b"\n"


def _person_out(founded: _Founded) -> dict[str, Any]:
    person, key, card = founded.person, founded.badge.key, founded.person.card
    return {
        "holder": person.holder,
        "name": person.name,
        "tenant": person.tenant,
        "kind": person.kind.value,
        "profiles": person.profiles,
        "host": person.host,
        "pin": founded.pin,
        "routine": person.routine,
        "home": person.home,
        "badge": {
            "id": person.badge,
            "assurance": int(person.assurance),
            "token": base64.b64encode(founded.badge.token).decode(),
            "key": None if key is None else key.to_pem().decode(),
            "card": None
            if card is None
            else {"technology": card.technology.name.lower(), "number": card.number.hex()},
        },
    }
