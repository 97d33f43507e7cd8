"""A small site with real keys and signatures: its documents, its people, its gates, and the flow that takes their messages.

    outside ─ yard (school, club and all) ┬─ shed          level 0, a card number will do
                                          ├─ school-house  the school's own
                                          └─ barrack       level 2, key-bound, hard anti-passback
                                                └─ armoury level 4; the host vetoes the school

`SmallSite()` is cheap: what is signed is signed once a session, by keys derived from their owners' names. Time stands
still until `advance`; boots and sequences are counted. Nothing here is a stand-in: the bytes are what a gate sends.
"""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

from gatekeeper import cose
from gatekeeper.core.change import ChangeContent, sign_change
from gatekeeper.core.flow import SEQUENCE_WINDOW, Flow, Outcome, Receipt, Recorded, Refused, Repeated
from gatekeeper.core.operators import OperatorRecord, Operators
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.presence import Presence
from gatekeeper.core.register import HOLDER_TYPE, HolderRecord, Register, holder_payload
from gatekeeper.core.scan import Authentic, Rejected, UpwardMessage, authenticate
from gatekeeper.core.supervise import Supervised, Writes, supervise
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
    BadgeRecord,
    BadgeState,
    Card,
    CardTechnology,
    claims_of,
)
from gatekeeper.model.ids import AccessPointId, BadgeId, BootId, GateId, HolderId, ProfileId, SiteId, TenantId
from gatekeeper.model.messages import (
    HELLO_TYPE,
    PASSAGE_TYPE,
    SCAN_TYPE,
    STATUS_TYPE,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Credential,
    Hello,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
    proof_digest_input,
)
from gatekeeper.model.people import Agreement, Holder, HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.site_file import read_site
from gatekeeper.model.topics import PREFIX, Channel, gate_topic
from tests.support.operators import cast, operator_key

__all__ = [
    "BADGES",
    "CARD",
    "HOST",
    "NOON",
    "SITE",
    "Ground",
    "Issued",
    "Sent",
    "SmallSite",
    "beacon_number",
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


# -- the living site --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message as it leaves a gate."""

    topic: str
    wire: bytes
    message: UpwardMessage

    @property
    def digest(self) -> bytes:
        """What an answer, and the passage after it, call this message."""
        return hashlib.sha256(self.wire).digest()


@dataclass(slots=True)
class _GateHand:
    boot: BootId
    sequences: Any = field(default_factory=lambda: count(1))


_TYPES = {
    Channel.SCAN: SCAN_TYPE,
    Channel.PASSAGE: PASSAGE_TYPE,
    Channel.STATUS: STATUS_TYPE,
    Channel.HELLO: HELLO_TYPE,
}


@cache
def _cast() -> tuple[OperatorRecord, ...]:
    return tuple(cast(SITE, lambda tenant: key_of(f"{tenant} signing")))


class SmallSite:
    """One living small site: gates send, the flow takes, and a hand moves the clock.

    `scan`, `passage`, `status` and `hello` make what a gate sends; `take` brings it the whole way. `tap` is both at once.
    """

    def __init__(self, *, register: Register | None = None, next_seq: int = 0) -> None:
        made = ground()
        self.anchor = made.anchor
        self.holders = dict(made.holders)
        self.badges = dict(BADGES)
        self.now = NOON
        self.flow = Flow(
            policy=made.policy,
            policy_source=made.policy_source,
            trust=made.trust,
            register=self.populated() if register is None else register,
            next_seq=next_seq,
        )
        self.flow.operators = Operators(_cast())
        self.drafts: list[Any] = []
        self.receipts: list[Receipt] = []
        self.presences: dict[HolderId, Presence] = {}
        self.writes = Writes()
        self._first_seq = next_seq
        self._boots = count(1)
        self._changes = count(1)
        self._gates: dict[str, _GateHand] = {}

    @staticmethod
    def populated() -> Register:
        """A register with everybody in it."""
        register = Register()
        for name, issued in BADGES.items():
            record = BadgeRecord(id=issued.badge.id, token=issued.token, state=BadgeState.ACTIVE)
            register.put_badge(record, tenant=issued.badge.tenant, card=issued.badge.card)
            holder = ground().holders[name]
            document = ground().registrations[name]
            register.put_holder(
                HolderRecord(id=holder.id, document=document), tenant=holder.tenant, badges=holder.badges
            )
        return register

    def enter(
        self, name: str, issued: Issued, holder: Holder | None = None, *, card: Card | None = None
    ) -> None:
        """Put a further badge into the register, with its holder's registration when given."""
        self.badges[name] = issued
        record = BadgeRecord(id=issued.badge.id, token=issued.token, state=BadgeState.ACTIVE)
        self.flow.register.put_badge(record, tenant=issued.badge.tenant, card=card or issued.badge.card)
        if holder is not None:
            self.holders[name] = holder
            stored = HolderRecord(id=holder.id, document=register_holder(holder))
            self.flow.register.put_holder(stored, tenant=holder.tenant, badges=holder.badges)

    # -- time ---------------------------------------------------------------------------------------------------------

    def advance(self, **duration: float) -> None:
        """Move the clock: `advance(seconds=10)`."""
        self.now += timedelta(**duration)

    @property
    def beacons(self) -> tuple[bytes, bytes, bytes]:
        """The beacons that count now: the current and the two before, one each ten seconds."""
        number = int(self.now.timestamp()) // 10
        return beacon_number(number), beacon_number(number - 1), beacon_number(number - 2)

    # -- what gates send ----------------------------------------------------------------------------------------------

    def hand(self, gate: str) -> _GateHand:
        """A gate's boot and its counter."""
        if gate not in self._gates:
            self.reboot(gate)
        return self._gates[gate]

    def reboot(self, gate: str) -> BootId:
        """Cut a gate's power: a new boot id, and sequences from one."""
        boot = BootId(next(self._boots).to_bytes(8, "big"))
        self._gates[gate] = _GateHand(boot)
        return boot

    def skip(self, gate: str, messages: int) -> None:
        """Let messages of a gate be lost for ever."""
        for _ in range(messages):
            next(self.hand(gate).sequences)

    def gate_of(self, access_point: str) -> str:
        """Which gate an access point belongs to; `front` for one that the site does not have."""
        point = self.flow.policy.points.get(AccessPointId(access_point))
        return point.gate if point is not None else "front"

    def prove(
        self,
        access_point: str,
        key: cose.SigningKey,
        *,
        gate: str | None = None,
        direction: str | None = None,
        beacon: bytes | None = None,
        site: SiteId = SITE,
    ) -> Proof:
        """A badge's proof for a scan now, or for another gate, direction, beacon or site."""
        point = self.flow.policy.points.get(AccessPointId(access_point))
        towards = direction or ("out" if point is not None and point.leaving else "in")
        gate_random = hashlib.sha256(f"{access_point} {self.now}".encode()).digest()[:16]
        signed = proof_digest_input(
            site=site,
            gate=GateId(gate or self.gate_of(access_point)),
            direction=towards,
            beacon=beacon or self.beacons[0],
            gate_random=gate_random,
        )
        return Proof(gate_random=gate_random, signature=key.sign(hashlib.sha256(signed).digest()))

    def scan(self, access_point: str, who: str | Issued | Card, **changes: Any) -> Sent:
        """A scan by somebody's badge, or of a bare card number; `changes` are fields of `Scan`, and `gate`."""
        gate = changes.pop("gate", None) or self.gate_of(access_point)
        issued = self.badges[who] if isinstance(who, str) else who
        credential: Credential
        proof: Proof | None = None
        if isinstance(issued, Card):
            credential = ByCard(issued)
        elif issued.badge.card is not None:
            credential = ByCard(issued.badge.card)
        else:
            credential = ByToken(issued.token)
            if issued.key is not None:
                proof = self.prove(access_point, issued.key, gate=gate)
        fields = {
            "access_point": AccessPointId(access_point),
            "credential": credential,
            "beacon": self.beacons[0],
            "proof": proof,
            "round_trip": None,
            "offline_verdict": None,
            "offline_policy": None,
        }
        return self.send(gate, Channel.SCAN, Scan(**self._upward(gate, changes), **(fields | changes)))

    def scan_by_digest(self, access_point: str, who: str, **changes: Any) -> Sent:
        """A scan that names the token by its digest."""
        digest = hashlib.sha256(self.badges[who].token).digest()
        return self.scan(access_point, who, credential=ByDigest(digest), **changes)

    def passage(
        self, access_point: str, outcome: PassageOutcome, *, scan: Sent | None = None, **changes: Any
    ) -> Sent:
        """What the contact of a door said, after a scan or without one."""
        gate = changes.pop("gate", None) or self.gate_of(access_point)
        fields = {
            "access_point": AccessPointId(access_point),
            "outcome": outcome,
            "scan": None if scan is None else scan.digest,
        }
        return self.send(gate, Channel.PASSAGE, Passage(**self._upward(gate, changes), **(fields | changes)))

    def status(self, gate: str, kind: StatusKind = StatusKind.ONLINE, **changes: Any) -> Sent:
        """A gate speaks of itself."""
        upward = self._upward(gate, changes)
        return self.send(
            gate, Channel.STATUS, Status(**upward, **({"kind": kind, "access_point": None} | changes))
        )

    def hello(self, gate: str, **changes: Any) -> Sent:
        """A gate started."""
        fields = {"agent": "gatekeeper-device/0.1", "policy": None, "checkpoint": None}
        return self.send(gate, Channel.HELLO, Hello(**self._upward(gate, changes), **(fields | changes)))

    def send(
        self,
        gate: str,
        channel: Channel,
        message: UpwardMessage,
        *,
        by: str | None = None,
        topic: str | None = None,
    ) -> Sent:
        """Sign a message as its gate (or as another, on another topic)."""
        topic = topic or gate_topic(SITE, GateId(gate), channel)
        wire = cose.sign(
            message.payload(), key=key_of(by or gate), typ=_TYPES[channel], external_aad=topic.encode()
        )
        return Sent(topic=topic, wire=wire, message=message)

    def _upward(self, gate: str, changes: dict[str, Any]) -> dict[str, Any]:
        hand = self.hand(gate)
        sequence = changes.pop("sequence", None) or next(hand.sequences)
        return {
            "boot": changes.pop("boot", hand.boot),
            "sequence": sequence,
            "gate_at": changes.pop("gate_at", None),
            "clock": changes.pop("clock", ClockQuality.NONE),
        }

    # -- the way of a message -----------------------------------------------------------------------------------------

    def authenticate(self, sent: Sent) -> Authentic | Rejected:
        """The first step of the way."""
        return authenticate(sent.topic, sent.wire, trust=self.flow.trust, prefix=PREFIX)

    def authentic(self, sent: Sent) -> Authentic:
        """A message that must be authentic."""
        found = self.authenticate(sent)
        assert isinstance(found, Authentic), found
        return found

    def take(self, sent: Sent) -> Outcome:
        """Bring a message the whole way, and keep what would be committed."""
        authentic = self.authentic(sent)
        outcome = self.flow.take(authentic, self.flow.verify(authentic, beacons=self.beacons), now=self.now)
        if isinstance(outcome, Recorded):
            self.drafts += outcome.drafts
            self.receipts.append(outcome.receipt)
            self.presences |= {presence.holder: presence for presence in outcome.moved}
        return outcome

    def recorded(self, sent: Sent) -> Recorded:
        """Take a message that must be new."""
        outcome = self.take(sent)
        assert isinstance(outcome, Recorded), outcome
        return outcome

    def repeated(self, sent: Sent) -> Repeated:
        """Take a message that must be known."""
        outcome = self.take(sent)
        assert isinstance(outcome, Repeated), outcome
        return outcome

    def refused(self, sent: Sent) -> Refused:
        """Take a message that must be refused by its sequence."""
        outcome = self.take(sent)
        assert isinstance(outcome, Refused), outcome
        return outcome

    def tap(self, access_point: str, who: str | Issued | Card, **changes: Any) -> Recorded:
        """Scan and take."""
        return self.recorded(self.scan(access_point, who, **changes))

    def walk(self, access_point: str, who: str) -> None:
        """Scan, be granted, and pass."""
        scan = self.scan(access_point, who)
        outcome = self.recorded(scan)
        assert outcome.answer.verdict is Verdict.GRANTED, outcome.decision
        self.recorded(self.passage(access_point, PassageOutcome.TAKEN, scan=scan))

    def where(self, who: str) -> str | None:
        """The zone in which the site believes somebody to be."""
        here = self.flow.whereabouts.get(HolderId(who))
        return None if here is None else here.zone

    def fail_over(self) -> Flow:
        """Throw the flow away and go on with another, made of what the former committed; give the former.

        As a ledger loads it: the last receipts of each gate's four newest boots, in the order of their entries. The
        register, which no message changes, stays.
        """
        former = self.flow
        boots: dict[GateId, list[BootId]] = {}
        for receipt in self.receipts:
            known = boots.setdefault(receipt.gate, [])
            if receipt.boot not in known:
                known.append(receipt.boot)
        live = {(gate, boot) for gate, known in boots.items() for boot in known[-4:]}
        self.flow = Flow(
            policy=former.policy,
            policy_source=former.policy_source,
            trust=former.trust,
            register=former.register,
            next_seq=len(self.drafts) + self._first_seq,
        )
        self.flow.alert, self.flow.lockdowns = former.alert, former.lockdowns
        self.flow.memory.restore(
            self.presences.values(), {}, {}, register=self.flow.register, trust=self.flow.trust
        )
        receipts = [receipt for gate, boot in live for receipt in self._newest_receipts(gate, boot)]
        closed = [(gate, boot) for gate, known in boots.items() for boot in known[:-4]]
        self.flow.restore(sorted(receipts, key=lambda receipt: receipt.seq), closed)
        return former

    def _newest_receipts(self, gate: GateId, boot: BootId) -> list[Receipt]:
        of_boot = [receipt for receipt in self.receipts if (receipt.gate, receipt.boot) == (gate, boot)]
        return sorted(of_boot, key=lambda receipt: -receipt.sequence)[:SEQUENCE_WINDOW]

    # -- changes ------------------------------------------------------------------------------------------------------

    def change(
        self,
        content: ChangeContent,
        *,
        by: str = HOST,
        at: datetime | None = None,
        change_id: bytes | None = None,
    ) -> bytes:
        """A change, signed by an operator (see `tests.support.operators`)."""
        return sign_change(
            content,
            site=SITE,
            change_id=change_id or next(self._changes).to_bytes(16, "big"),
            author=by,
            at=at or self.now,
            key=operator_key(by),
        )

    def supervise(
        self, content: ChangeContent | bytes, *, by: str = HOST, name: str | None = None, **signing: Any
    ) -> Supervised:
        """Hand a change in under its own id; give what became of it."""
        change_id = signing.pop("filed_as", None) or next(self._changes).to_bytes(16, "big")
        if not isinstance(content, bytes):
            content = self.change(content, by=by, change_id=signing.pop("change_id", change_id), **signing)
        done = supervise(
            self.flow,
            content,
            change_id=change_id,
            name=name,
            anchor=self.anchor,
            now=self.now,
            writes=self.writes,
        )
        self.writes.outcomes.append(done.outcome)
        self.drafts += done.drafts
        return done

    def snapshot(self, flow: Flow | None = None) -> Any:
        """All that a message can change, to compare before and after; of this flow, or of a former one."""
        flow = self.flow if flow is None else flow
        return deepcopy(
            (
                flow.next_seq,
                flow.alert,
                flow.lockdowns,
                flow.whereabouts,
                flow._windows,
                flow._boots,
                flow._closed_boots,
                flow._grants,
            )
        )


def beacon_number(number: int) -> bytes:
    """The site's beacon of one period of ten seconds."""
    return hashlib.sha256(f"beacon {number}".encode()).digest()[:16]
