"""The vectors of gates that are left alone: what the service signs for them, and what a gate says to whoever stands there.

The site is that of the other vectors, but its yard and shed may be decided alone, nobody comes into the yard twice, and its
pupils come by day. Snapshots are made as the service makes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from devices.core.alone import Alone
from devices.core.belief import Ignored
from devices.core.events import PolicyFile
from gatekeeper import cose
from gatekeeper.core.bearers import Bearers, statuses
from gatekeeper.core.policy_document import PolicyRefused, compile_from, sign_policy
from gatekeeper.core.snapshots import Beforehand
from gatekeeper.core.trust import trust_payload
from gatekeeper.cose.status_list import INVALID, STATUS_LIST_TYPE, StatusList
from gatekeeper.model.badges import Badge, claims_of
from gatekeeper.model.ids import AccessPointId, BootId, GateId, SiteId, TenantId
from gatekeeper.model.messages import (
    ByCard,
    ByToken,
    ClockQuality,
    Credential,
    Proof,
    Scan,
    proof_digest_input,
)
from gatekeeper.model.policy import Policy
from gatekeeper.model.snapshot import SNAPSHOT_TYPE, STANDING_TYPE, Snapshot, Standing
from gatekeeper.model.topics import PREFIX, Channel, gate_topic, standing_topic
from tests.contract.vector_site import (
    CARD,
    FRONT,
    INNER,
    NOON,
    SCHOOL,
    SHED_READER,
    SITE,
    cosign_trust,
    fresh_flow,
    key_of,
    listing,
    people,
    policy_text,
    sign_claims,
    trust,
    trust_document,
)

VERSION = 40
BEFORE, AFTER = timedelta(hours=1), timedelta(hours=6)
BEACON, GATE_RANDOM = bytes(range(16)), bytes(range(32, 48))
FRONT_IN, FRONT_OUT = AccessPointId("front-in"), AccessPointId("front-out")
_ALONE = {"yard": {"hours": 4, "unseen": "accept"}, "shed": {"hours": 4, "unseen": "refuse"}}


@cache
def policy() -> Policy:
    """The site's rules, altered."""
    text = policy_text()
    for zone in text["zone"]:
        if zone["id"] in _ALONE:
            zone["rules"] = {"offline": _ALONE[zone["id"]]}
        if zone["id"] == "yard":
            zone["anti_passback"] = "hard"
    always = text["schedule"][0]
    window = {**always["windows"][0], "from": "06:00", "until": "15:00"}
    text["schedule"].append({**always, "id": "by-day", "windows": [window]})
    for profile in text["profile"]:
        if profile["id"] == "pupil":
            profile["grants"][0]["schedule"] = "by-day"
    document = sign_policy(text, site=SITE, key=key_of("army-signing"))
    found = compile_from(document, trust=trust())
    assert not isinstance(found, PolicyRefused), found
    return found


# -- what the service signs -------------------------------------------------------------------------------------------


@cache
def snapshots() -> Mapping[GateId, Snapshot]:
    """Of each gate, from an hour before noon, calm."""
    asked = Beforehand(policy=policy(), alert=0, since=NOON - BEFORE, until=NOON + AFTER)
    everybody = asked.crowds(Bearers().of(fresh_flow(), now=NOON))
    return {
        gate: asked.snapshot(gate, everybody, version=VERSION, issued=NOON)
        for gate in (FRONT, INNER, SHED_READER)
    }


@cache
def snapshot_message(gate: GateId) -> bytes:
    """A gate's snapshot, signed."""
    aad = policy_topic(gate).encode()
    return cose.sign(snapshots()[gate].payload(), key=key_of("decision"), typ=SNAPSHOT_TYPE, external_aad=aad)


def policy_topic(gate: GateId) -> str:
    """Where a gate's snapshot is published."""
    return gate_topic(SITE, gate, Channel.POLICY, prefix=PREFIX)


def status_list(tenant: TenantId, listed: Mapping[int, int]) -> StatusList:
    """What became of a tenant's badges."""
    return StatusList.of(f"site:{SITE}/t:{tenant}", listed, issued=int(NOON.timestamp()))


def sign_status_list(payload: bytes) -> bytes:
    """Any payload, signed as a status list."""
    return cose.sign(payload, key=key_of("decision"), typ=STATUS_LIST_TYPE, external_aad=SITE.encode())


def standing(*, revoked: Badge | None = None, **changes: Any) -> Standing:
    """Where the site stands at noon: calm, and nothing is taken back."""
    listed = {tenant: dict(of_tenant) for tenant, of_tenant in statuses(fresh_flow()).items()}
    if revoked is not None:
        assert revoked.status_index is not None
        listed[revoked.tenant][revoked.status_index] = INVALID
    said = Standing(
        site=SITE,
        version=VERSION,
        issued=NOON,
        alert=0,
        lockdowns=frozenset(),
        suspended=frozenset(),
        statuses={
            tenant: sign_status_list(status_list(tenant, one).payload()) for tenant, one in listed.items()
        },
        trust=listing().version,
        snapshots=dict.fromkeys(snapshots(), VERSION),
    )
    return replace(said, **changes)


def sign_standing(payload: bytes) -> bytes:
    """Any payload, signed as the site's standing."""
    topic = standing_topic(SITE, prefix=PREFIX)
    return cose.sign(payload, key=key_of("decision"), typ=STANDING_TYPE, external_aad=topic.encode())


@cache
def standings() -> Mapping[str, Standing]:
    """What a gate may have heard last, by name."""
    later: dict[str, Any] = {"version": VERSION + 1, "issued": NOON + timedelta(minutes=1)}
    return {
        "standing": standing(),
        "standing-with-a-revoked-badge": standing(revoked=people()["pupil"].badge, **later),
        "standing-in-tension": standing(alert=1, **later),
        "standing-in-lockdown": standing(lockdowns=frozenset({"zone:yard"}), **later),
        "standing-with-a-suspended-tenant": standing(suspended=frozenset({SCHOOL}), **later),
        "standing-of-another-trust-list": standing(trust=listing().version + 1, **later),
        "standing-three-hours-later": standing(issued=NOON + timedelta(hours=3)),
        "standing-that-names-another-snapshot": standing(
            issued=NOON + timedelta(hours=3), snapshots={FRONT: VERSION + 1}
        ),
    }


# -- who stands there -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scan that nobody answers, and what a gate says that heard this standing last; `at` is how long after noon."""

    name: str
    says: str
    word: Alone
    gate: GateId = FRONT
    standing: str | None = "standing"
    at: timedelta = timedelta(minutes=10)
    after: tuple[str, ...] = ()
    direction: str = "in"
    scan: Scan

    @property
    def now(self) -> datetime:
        """What time it is."""
        return NOON + self.at


def _scan(
    credential: Credential,
    *,
    key: str | None = None,
    gate: GateId = FRONT,
    at: AccessPointId = FRONT_IN,
    direction: str = "in",
    clock: ClockQuality = ClockQuality.SYNCHRONISED,
) -> Scan:
    signed = proof_digest_input(
        site=SITE, gate=gate, direction=direction, beacon=BEACON, gate_random=GATE_RANDOM
    )
    proof = None
    if key is not None:
        signature = key_of(key).sign(sha256(signed).digest())
        proof = Proof(gate_random=GATE_RANDOM, signature=signature)
    return Scan(
        boot=BootId(bytes.fromhex("0123456789abcdef")),
        sequence=7,
        gate_at=None,
        clock=clock,
        access_point=at,
        credential=credential,
        beacon=BEACON,
        proof=proof,
        round_trip=None,
        offline_verdict=None,
        offline_policy=None,
    )


def _token(name: str) -> ByToken:
    return ByToken(people()[name].token)


def _altered(name: str, **changes: Any) -> ByToken:
    """A badge that its tenant made otherwise."""
    badge = people()[name].badge
    return ByToken(sign_claims(claims_of(replace(badge, **changes)), tenant=badge.tenant))


def cases() -> Iterator[Case]:
    """Every word of a gate that is alone, by way of somebody who gets it."""
    sergeant = _scan(_token("sergeant"), key="badge-sergeant")
    pupil = _scan(_token("pupil"))
    teacher = _scan(_token("teacher"), key="badge-teacher")
    van = _scan(ByCard(CARD), gate=SHED_READER, at=AccessPointId("shed-in"))
    leaves = _scan(_token("sergeant"), key="badge-sergeant", at=FRONT_OUT, direction="out")
    yield Case(name="sergeant-comes-in", says="A key, proven.", word=Alone.GRANTED, scan=sergeant)
    yield Case(name="pupil-comes-in", says="A bearer badge.", word=Alone.GRANTED, scan=pupil)
    yield Case(
        name="van-comes-in",
        says="A bare card of the snapshot.",
        word=Alone.GRANTED,
        gate=SHED_READER,
        scan=van,
    )
    yield Case(
        name="sergeant-comes-in-twice",
        says="Into the yard, which asks it; the gate let the same holder in before.",
        word=Alone.INSIDE,
        after=("sergeant-comes-in",),
        scan=sergeant,
    )
    yield Case(
        name="sergeant-goes-out",
        says="Who was let in may leave.",
        word=Alone.GRANTED,
        after=("sergeant-comes-in",),
        direction="out",
        scan=leaves,
    )
    yield Case(
        name="sergeant-comes-in-again",
        says="Who left may come in again.",
        word=Alone.GRANTED,
        after=("sergeant-comes-in", "sergeant-goes-out"),
        scan=sergeant,
    )
    yield Case(
        name="nobody-has-spoken",
        says="No standing was heard yet.",
        word=Alone.NO_POLICY,
        standing=None,
        scan=sergeant,
    )
    yield Case(
        name="at-a-door-that-waits-for-the-service",
        says="The house has no `offline`, so its snapshot holds no access point.",
        word=Alone.NOT_HERE,
        gate=INNER,
        scan=_scan(_token("sergeant"), key="badge-sergeant", gate=INNER, at=AccessPointId("house-in")),
    )
    yield Case(
        name="alone-for-four-hours",
        says="Four hours after the standing that names the snapshot.",
        word=Alone.TOO_LONG,
        at=timedelta(hours=4),
        scan=sergeant,
    )
    yield Case(
        name="alone-for-less-since-a-later-word",
        says="The standing of three hours later makes the time begin anew.",
        word=Alone.GRANTED,
        at=timedelta(hours=4),
        standing="standing-three-hours-later",
        scan=sergeant,
    )
    yield Case(
        name="a-word-about-another-snapshot",
        says="A later standing that names another snapshot makes nothing begin anew.",
        word=Alone.TOO_LONG,
        at=timedelta(hours=4),
        standing="standing-that-names-another-snapshot",
        scan=sergeant,
    )
    yield Case(
        name="after-the-end-of-the-snapshot",
        says="However late the service was heard.",
        word=Alone.TOO_LONG,
        at=AFTER,
        standing="standing-three-hours-later",
        scan=sergeant,
    )
    yield Case(
        name="a-trust-list-that-did-not-come",
        says="The standing counts on a newer one.",
        word=Alone.TRUST_OLD,
        standing="standing-of-another-trust-list",
        scan=sergeant,
    )
    yield Case(
        name="in-tension",
        says="The snapshot was made for a calmer state.",
        word=Alone.ALERT,
        standing="standing-in-tension",
        scan=sergeant,
    )
    yield Case(
        name="in-lockdown",
        says="Of the yard.",
        word=Alone.LOCKDOWN,
        standing="standing-in-lockdown",
        scan=sergeant,
    )
    forged = cose.sign(
        cose.encode(claims_of(people()["sergeant"].badge)),
        key=key_of("stranger"),
        typ="application/pacs-cred+cwt",
    )
    yield Case(
        name="a-badge-of-a-stranger",
        says="No issuer signed it.",
        word=Alone.BADGE,
        scan=_scan(ByToken(forged), key="badge-sergeant"),
    )
    yield Case(
        name="a-card-that-is-not-known",
        says="The front gate's snapshot holds no cards.",
        word=Alone.BADGE,
        scan=_scan(ByCard(CARD)),
    )
    yield Case(
        name="without-a-proof",
        says="The badge has a key and proved nothing.",
        word=Alone.PROOF,
        scan=_scan(_token("sergeant")),
    )
    yield Case(
        name="with-the-proof-of-another",
        says="The signature is the corporal's.",
        word=Alone.PROOF,
        scan=_scan(_token("sergeant"), key="badge-corporal"),
    )
    yield Case(
        name="a-badge-that-has-ended",
        says="An hour ago.",
        word=Alone.NOT_IN_FORCE,
        at=timedelta(hours=2),
        scan=_scan(_altered("pupil", expires=NOON + timedelta(hours=1))),
    )
    yield Case(
        name="a-badge-that-demands-the-right-time",
        says="The gate's clock is free-running.",
        word=Alone.CLOCK,
        scan=_scan(_altered("pupil", requires_trusted_time=True), clock=ClockQuality.FREE_RUNNING),
    )
    yield Case(
        name="a-revoked-badge",
        says="The status list of its tenant says so.",
        word=Alone.WITHDRAWN,
        standing="standing-with-a-revoked-badge",
        scan=pupil,
    )
    yield Case(
        name="a-badge-whose-status-is-not-listed",
        says="Beyond the end of the list.",
        word=Alone.WITHDRAWN,
        scan=_scan(_altered("pupil", status_index=4000)),
    )
    yield Case(
        name="a-badge-of-a-suspended-tenant",
        says="The host suspended the school.",
        word=Alone.WITHDRAWN,
        standing="standing-with-a-suspended-tenant",
        scan=pupil,
    )
    yield Case(
        name="a-badge-without-a-row",
        says="It is real, and new to the gate.",
        word=Alone.NO_RIGHT,
        scan=_scan(_altered("pupil", id="11" * 16)),
    )
    yield Case(
        name="after-school",
        says="The profile ends at three, an hour and a half ago.",
        word=Alone.OTHER_HOURS,
        at=timedelta(hours=4, minutes=30),
        standing="standing-three-hours-later",
        scan=teacher,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """What must change nothing at a gate that holds its snapshot and the first standing."""

    code: Ignored
    file: PolicyFile
    wire: bytes


def unfit() -> Iterator[Unfit]:
    """A message for every code of what is refused."""
    snapshot, stands = snapshots()[FRONT], standing()
    older, newer = {"version": VERSION - 1}, {"version": VERSION + 1}

    def policy_wire(payload: bytes, key: str = "decision") -> bytes:
        aad = policy_topic(FRONT).encode()
        return cose.sign(payload, key=key_of(key), typ=SNAPSHOT_TYPE, external_aad=aad)

    def listed(version: int, *, roots: tuple[str, ...] = ("root-1", "root-2")) -> bytes:
        return cosign_trust(trust_payload(replace(listing(), version=version)), roots=roots)

    strangers = cose.sign(
        replace(stands, **newer).payload(),
        key=key_of("stranger"),
        typ=STANDING_TYPE,
        external_aad=standing_topic(SITE, prefix=PREFIX).encode(),
    )
    yield from (
        Unfit(code=code, file=file, wire=wire)
        for code, file, wire in (
            (
                Ignored.SNAPSHOT_FORGED,
                PolicyFile.SNAPSHOT,
                policy_wire(replace(snapshot, **newer).payload(), "stranger"),
            ),
            (Ignored.SNAPSHOT_MALFORMED, PolicyFile.SNAPSHOT, policy_wire(stands.payload())),
            (Ignored.SNAPSHOT_FOREIGN, PolicyFile.SNAPSHOT, policy_wire(snapshots()[INNER].payload())),
            (Ignored.SNAPSHOT_OLD, PolicyFile.SNAPSHOT, policy_wire(replace(snapshot, **older).payload())),
            (
                Ignored.SNAPSHOT_EXPIRED,
                PolicyFile.SNAPSHOT,
                policy_wire(replace(snapshot, until=int(NOON.timestamp()), **newer).payload()),
            ),
            (Ignored.SNAPSHOT_REPEATED, PolicyFile.SNAPSHOT, snapshot_message(FRONT)),
            (Ignored.SNAPSHOT_CLEARED, PolicyFile.SNAPSHOT, b""),
            (Ignored.STANDING_FORGED, PolicyFile.STANDING, strangers),
            (Ignored.STANDING_MALFORMED, PolicyFile.STANDING, sign_standing(snapshot.payload())),
            (
                Ignored.STANDING_FOREIGN,
                PolicyFile.STANDING,
                sign_standing(replace(stands, site=SiteId("other-fort"), **newer).payload()),
            ),
            (Ignored.STANDING_OLD, PolicyFile.STANDING, sign_standing(replace(stands, **older).payload())),
            (Ignored.STANDING_REPEATED, PolicyFile.STANDING, sign_standing(stands.payload())),
            (Ignored.STANDING_CLEARED, PolicyFile.STANDING, b""),
            (Ignored.TRUST_FORGED, PolicyFile.TRUST, listed(2, roots=("root-1",))),
            (Ignored.TRUST_OLD, PolicyFile.TRUST, listed(0)),
            (Ignored.TRUST_REPEATED, PolicyFile.TRUST, trust_document()),
            (Ignored.TRUST_CLEARED, PolicyFile.TRUST, b""),
        )
    )


__all__ = [
    "Case",
    "cases",
    "policy",
    "policy_topic",
    "sign_standing",
    "sign_status_list",
    "snapshot_message",
    "snapshots",
    "standing",
    "standings",
    "status_list",
    "unfit",
]
