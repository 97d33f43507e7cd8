"""Specimens of everything that is signed, as the code writes it; and every way of damaging one.

The specimens are the valid examples of `schemas/examples`, and what the tests of the CDDL begin with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from gatekeeper import cose
from gatekeeper.core.change import (
    AlertChange,
    ApprovalChange,
    BadgeIssue,
    BadgeStateChange,
    ChangeContent,
    ErasureChange,
    ExportChange,
    Exported,
    ForgivenessChange,
    GuardChange,
    HoldChange,
    HolderChange,
    LockdownChange,
    LogExportChange,
    LookUpChange,
    OpeningChange,
    OperatorChange,
    PolicyChange,
    RebootChange,
    SuspensionChange,
    TrustChange,
    WithdrawalChange,
    sign_change,
)
from gatekeeper.core.enrolment import enrolment_request
from gatekeeper.core.log_export import AtDoor
from gatekeeper.core.operators import operator_payload
from gatekeeper.core.register import holder_payload
from gatekeeper.core.trust import agreement_payload, trust_payload
from gatekeeper.cose.status_list import INVALID, SUSPENDED, VALID
from gatekeeper.model.badges import BadgeState, claims_of
from gatekeeper.model.ids import AccessPointId, BootId, OperatorId, SiteId
from gatekeeper.model.messages import (
    Answer,
    Beacon,
    ByCard,
    ByDigest,
    ByToken,
    ClockQuality,
    Command,
    CommandKind,
    Hello,
    Link,
    LogCheckpoint,
    Passage,
    PassageOutcome,
    Proof,
    Scan,
    Status,
    StatusKind,
    Verdict,
)
from tests.contract.checkpoints import note_of
from tests.contract.left_alone import snapshots, standing, status_list
from tests.contract.readers import digest
from tests.contract.vector_site import (
    AGREEMENT,
    CARD,
    FRONT,
    HOST,
    INNER,
    NOON,
    SCHOOL,
    SHED_READER,
    SITE,
    key_of,
    listing,
    operator,
    operator_document,
    people,
    policy_document,
    trust_document,
)
from tests.support.changes import WHOLE_LOG

_BOOT = BootId(bytes.fromhex("0123456789abcdef"))
_BEACON = bytes(range(16))
_POLICY = digest(b"a policy")
_UP: Mapping[str, Any] = {"boot": _BOOT, "sequence": 7, "gate_at": None, "clock": ClockQuality.NONE}
_SYNCHRONISED = {**_UP, "gate_at": NOON, "clock": ClockQuality.SYNCHRONISED}
_ASKED: Mapping[str, Any] = {
    "access_point": AccessPointId("front-in"),
    "beacon": _BEACON,
    "proof": None,
    "round_trip": None,
    "offline_verdict": None,
    "offline_policy": None,
}
_ANSWER: Mapping[str, Any] = {
    "message": digest(b"a scan"),
    "gate": FRONT,
    "issued": NOON,
    "valid": timedelta(seconds=5),
    "unlock": None,
    "policy": _POLICY,
    "entry": 42,
}


_COMMAND: Mapping[str, Any] = {
    "boot": _BOOT,
    "sequence": 7,
    "gate": FRONT,
    "access_point": None,
    "issued": NOON,
    "valid": timedelta(seconds=10),
    "operator": OperatorId("officer"),
    "entry": 42,
    "unlock": None,
}


def _change(content: ChangeContent) -> bytes:
    document = sign_change(
        content,
        site=SITE,
        change_id=bytes(range(16, 32)),
        author="officer",
        at=NOON,
        key=key_of("operator-officer"),
    )
    return payload_of(document)


def payload_of(document: bytes) -> bytes:
    """What a COSE_Sign1 carries, unverified."""
    parts = cose.decode(document[1:], bounds=cose.Bounds(max_bytes=1 << 21, max_depth=4, max_items=16))
    return bytes(parts[2])


def payloads() -> Mapping[str, tuple[str, bytes]]:
    """Name of the example: the rule it obeys, and its bytes."""
    everybody = people()
    sergeant, pupil, van = everybody["sergeant"], everybody["pupil"], everybody["van"]
    proof = Proof(gate_random=bytes(range(32, 48)), signature=bytes(64))
    asked = {
        "scan-by-token": Scan(
            **_SYNCHRONISED,
            credential=ByToken(sergeant.token),
            **{**_ASKED, "proof": proof, "round_trip": timedelta(milliseconds=45)},
        ),
        "scan-by-digest": Scan(**_UP, credential=ByDigest(digest(pupil.token)), **_ASKED),
        "scan-by-card": Scan(**_UP, credential=ByCard(CARD), **_ASKED),
        "scan-with-a-pin": Scan(
            **_SYNCHRONISED,
            credential=ByToken(sergeant.token),
            **{**_ASKED, "proof": proof, "round_trip": timedelta(milliseconds=45), "sealed_pin": bytes(89)},
        ),
        "scan-decided-offline": Scan(
            **_SYNCHRONISED,
            credential=ByToken(pupil.token),
            **{**_ASKED, "offline_verdict": Verdict.GRANTED, "offline_policy": _POLICY},
        ),
    }
    said = {
        "passage-taken": Passage(
            **_UP,
            access_point=AccessPointId("front-in"),
            outcome=PassageOutcome.TAKEN,
            scan=_ANSWER["message"],
        ),
        "passage-forced": Passage(
            **_UP, access_point=AccessPointId("front-in"), outcome=PassageOutcome.FORCED, scan=None
        ),
        "passage-exited": Passage(
            **_UP, access_point=AccessPointId("front-in"), outcome=PassageOutcome.EXITED, scan=None
        ),
        "status-online": Status(**_UP, kind=StatusKind.ONLINE, access_point=None),
        "status-closed-again": Status(
            **_UP, kind=StatusKind.CLOSED_AGAIN, access_point=AccessPointId("front-in")
        ),
        "status-locked-down": Status(
            **_UP, kind=StatusKind.LOCKED_DOWN, access_point=None, command=digest(b"a command to lock down")
        ),
        "status-log-rolled-back": Status(**_UP, kind=StatusKind.LOG_ROLLED_BACK, access_point=None),
        "status-command-refused": Status(
            **_UP,
            kind=StatusKind.COMMAND_REFUSED,
            access_point=None,
            command=digest(b"a command that nobody signed"),
            why="command-forged",
            count=3,
        ),
        "status-opened-itself": Status(
            **_UP, kind=StatusKind.OPENED_ITSELF, access_point=AccessPointId("front-in")
        ),
        "status-journal-full": Status(
            **_UP, kind=StatusKind.JOURNAL_FULL, access_point=AccessPointId("front-in"), count=212
        ),
        "hello": Hello(**_UP, agent="a-gate/1.0", policy=None, checkpoint=None),
        "hello-that-remembers": Hello(
            **_SYNCHRONISED,
            agent="a-gate/1.0",
            policy=_POLICY,
            checkpoint=note_of(42, digest(b"the root of 42 entries")),
        ),
        "link-up": Link(boot=_UP["boot"], connection=1, up=True, snapshot=None, beacon=_BEACON),
        "link-up-with-a-snapshot": Link(
            boot=_UP["boot"], connection=2, up=True, snapshot=_POLICY, beacon=_BEACON
        ),
        "link-down": Link(boot=_UP["boot"], connection=2, up=False, snapshot=None, beacon=None),
        "decision-granted": Answer(
            **{**_ANSWER, "unlock": timedelta(seconds=4)}, verdict=Verdict.GRANTED, reason=1
        ),
        "decision-denied": Answer(**_ANSWER, verdict=Verdict.DENIED, reason=135),
        "decision-waiting": Answer(
            **{**_ANSWER, "valid": timedelta(seconds=60)}, verdict=Verdict.WAITING, reason=15
        ),
        "decision-recorded": Answer(**_ANSWER, verdict=Verdict.RECORDED, reason=0),
        "command-to-open": Command(
            **{**_COMMAND, "access_point": AccessPointId("front-in"), "unlock": timedelta(seconds=4)},
            kind=CommandKind.OPEN,
            second=OperatorId("deputy"),
        ),
        "command-to-lock-down": Command(**_COMMAND, kind=CommandKind.LOCK_DOWN, second=None),
        "command-to-release": Command(
            **{**_COMMAND, "access_point": AccessPointId("front-in")},
            kind=CommandKind.RELEASE,
            second=OperatorId("deputy"),
        ),
        "command-to-start-anew": Command(**_COMMAND, kind=CommandKind.REBOOT, second=None),
        "beacon": Beacon(site=SITE, value=_BEACON, issued=NOON, period=timedelta(seconds=10)),
        "checkpoint": LogCheckpoint(site=SITE, note=note_of(42, digest(b"the root of 42 entries")), at=NOON),
    }
    messages = {name: message.payload() for name, message in {**asked, **said}.items()}
    patrol, pin = operator("patrol"), sergeant.holder.pin
    certified = everybody["corporal"].holder.certificates
    assert pin is not None
    issue = BadgeIssue(badge=van.badge.id, token=van.token, card=CARD)
    documents = {
        "snapshot": snapshots()[FRONT].payload(),
        "snapshot-with-a-card": replace(snapshots()[SHED_READER], gate=FRONT).payload(),
        "snapshot-of-nothing": replace(snapshots()[INNER], gate=FRONT).payload(),
        "standing": standing().payload(),
        "standing-that-takes-away": standing(
            alert=1, lockdowns=frozenset({"site", "zone:house"}), suspended=frozenset({SCHOOL})
        ).payload(),
        "status-list": status_list(HOST, {0: VALID, 1: INVALID, 2: SUSPENDED, 8: VALID}).payload(),
        "badge-key-bound-p256": claims(sergeant.badge),
        "badge-key-bound-ed25519": claims(everybody["teacher"].badge),
        "badge-bearer": claims(pupil.badge),
        "badge-of-a-card": claims(van.badge),
        "badge-for-three-uses": claims(replace(pupil.badge, max_uses=3)),
        "badge-that-cries-for-help": claims(replace(sergeant.badge, duress=True)),
        "holder": holder_payload(replace(pupil.holder, host=None), site=SITE),
        "holder-with-a-host": holder_payload(replace(pupil.holder, pin=pin), site=SITE),
        "holder-with-a-certificate": holder_payload(
            replace(pupil.holder, certificates=certified, pin=replace(pin, duress=None)), site=SITE
        ),
        "operator": operator_payload(replace(patrol, roles=operator("officer").roles), site=SITE),
        "operator-revoked": operator_payload(replace(patrol, version=2, revoked=True), site=SITE),
        "agreement": agreement_payload(AGREEMENT, site=SITE),
        "trust": trust_payload(listing()),
        "change-of-badge": _change(BadgeStateChange(badge=pupil.badge.id, state=BadgeState.LOST)),
        "change-of-alert": _change(AlertChange(state="tense")),
        "change-of-lockdown": _change(LockdownChange(scope="zone:house", on=True)),
        "change-of-suspension": _change(SuspensionChange(tenant=SCHOOL, on=True)),
        "change-of-forgiveness": _change(ForgivenessChange(holder=pupil.holder.id)),
        "change-of-guard": _change(GuardChange(entry=22, yes=True)),
        "change-of-operator": _change(OperatorChange(operator=patrol.id, document=operator_document(patrol))),
        "change-of-approval": _change(ApprovalChange(digest=digest(b"a change that waits"))),
        "change-of-withdrawal": _change(WithdrawalChange(digest=digest(b"a change that waits"))),
        "change-of-export": _change(
            ExportChange(tenant=SCHOOL, what=Exported.BADGES, reason="audit of 2026, point 4")
        ),
        "change-of-log-export": _change(
            LogExportChange(
                tree="tenant:school",
                since=NOON - timedelta(days=31),
                until=NOON,
                doors=(AccessPointId("front-in"), AccessPointId("front-out")),
                decisions=(AtDoor.DENIED, AtDoor.GRANTED),
                holder=pupil.holder.id,
                openings=True,
                reason="complaint 12 of 2026",
            )
        ),
        "change-of-log-export-of-all": _change(replace(WHOLE_LOG, reason="audit of 2026")),
        "change-of-look-up": _change(LookUpChange(holder=pupil.holder.id, purpose="complaint 12 of 2026")),
        "change-of-erasure": _change(ErasureChange(holder=pupil.holder.id, reason="left the school")),
        "change-of-hold": _change(HoldChange(scope="tenant:school", on=True, reason="case 7 of 2026")),
        "change-of-opening": _change(
            OpeningChange(access_point=AccessPointId("front-in"), reason="a pram at the gate")
        ),
        "change-of-reboot": _change(RebootChange(gate=FRONT, reason="it hangs")),
        "change-of-policy": _change(PolicyChange(document=policy_document())),
        "change-of-trust": _change(TrustChange(document=trust_document())),
        "change-of-holder": _change(
            HolderChange(holder=van.holder.id, document=van.registration, badges=(issue,))
        ),
        "enrolment": payload_of(enrolment_request(site=SiteId(SITE), gate=FRONT, key=key_of("front"))),
        "enrolment-with-a-tls-key": payload_of(
            enrolment_request(
                site=SiteId(SITE), gate=FRONT, key=key_of("front"), tls=key_of("stranger").public_der
            )
        ),
    }
    return {name: (rule_of(name), payload) for name, payload in {**messages, **documents}.items()}


def claims(badge: Any) -> bytes:
    return cose.encode(claims_of(badge))


def rule_of(name: str) -> str:
    """The rule of the CDDL that an example obeys: its name begins with it."""
    first = name.split("-", maxsplit=1)[0]
    if name.startswith("status-list"):
        return "status-list"
    return "badge-claims" if first == "badge" else first


# -- damage -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damaged:
    """A value with one thing changed, where, and how."""

    how: str
    where: tuple[Any, ...]
    value: Any


_OTHERS: tuple[Any, ...] = (0, "text", b"bytes", None, [], {})


def damaged(value: Any) -> Iterator[Damaged]:
    """Every way: an item missing, one too many, another type, out of range, and `true` where a number belongs."""
    for how, where, changed in _changes(value):
        yield Damaged(how, where, changed)


def _changes(value: Any) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    match value:
        case dict():
            for key, item in value.items():
                yield "missing", (key,), {other: one for other, one in value.items() if other != key}
                for how, where, changed in _changes(item):
                    yield how, (key, *where), {**value, key: changed}
            for key in (*range(17), -1, 99, "name"):
                if key not in value:
                    yield "unknown", (key,), {**value, key: 0}
        case list():
            for at, item in enumerate(value):
                yield "missing", (at,), value[:at] + value[at + 1 :]
                for how, where, changed in _changes(item):
                    yield how, (at, *where), [*value[:at], changed, *value[at + 1 :]]
            yield "unknown", (len(value),), [*value, 0]
        case _:
            yield from ((how, (), changed) for how, changed in _leaves(value))
    for other in _OTHERS:
        if type(other) is not type(value):
            yield "type", (), other


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case bool():
            yield "type", int(value)
            yield "range", not value
        case int():
            yield from (("bool", one) for one in (True, False))
            yield from (
                ("range", one) for one in (-(1 << 63), -1, 0, 1, 6, 1 << 16, (1 << 53) + 1, (1 << 64) - 1)
            )
        case bytes():
            yield from (("range", one) for one in (b"", value[:-1], value + b"\0", value * 40))
        case str():
            yield from (("range", one) for one in ("", value.upper(), value + "\n", "a" * 65, "a" * 33))
        case _:
            pass
