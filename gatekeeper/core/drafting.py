"""The entries that messages make: what each says in the open, and what only who holds the person's key reads.

Where, by which message of which gate, for whose trees, and whether somebody must look at once.
"""

import hashlib
from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from gatekeeper.core.audit import NOBODY, Draft, Kind, decision_fields, facts_document, timestamp
from gatekeeper.core.commands import Unsent
from gatekeeper.core.decide import Decision
from gatekeeper.core.enrolment import EnrolmentRequest
from gatekeeper.core.facts import Companion, Facts
from gatekeeper.core.scan import Authentic
from gatekeeper.core.sequences import Gap, Receipt
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import OperatorId, TenantId
from gatekeeper.model.messages import (
    Hello,
    Passage,
    PassageOutcome,
    Scan,
    Status,
    StatusKind,
    Upward,
    Verdict,
)
from gatekeeper.model.policy import Point, Policy
from gatekeeper.model.reasons import Reason

__all__ = [
    "BOOT_REPEATED",
    "JOURNAL_GAP",
    "JOURNAL_REORDERED",
    "JOURNAL_REWRITTEN",
    "alarms_of",
    "alarms_of_passage",
    "alarms_of_status",
    "draft_of_companion",
    "draft_of_conflict",
    "draft_of_decision",
    "draft_of_gap",
    "draft_of_hello",
    "draft_of_mismatch",
    "draft_of_offline",
    "draft_of_passage",
    "draft_of_seed",
    "draft_of_status",
    "draft_of_unsent",
    "marked",
]

BOOT_REPEATED: Final = "boot-repeated"
JOURNAL_GAP: Final = "journal-gap"
JOURNAL_REORDERED: Final = "journal-reordered"
JOURNAL_REWRITTEN: Final = "journal-rewritten"

_ALARMING: Final = {BadgeState.STOLEN: Reason.BADGE_STOLEN, BadgeState.REVOKED: Reason.REVOKED}
_ALARMING_STATUSES: Final = {
    StatusKind.TAMPER: "tamper",
    StatusKind.LOG_ROLLED_BACK: "log-rolled-back",
    StatusKind.POLICY_REFUSED: "policy-refused",
    StatusKind.CLOCK_DOUBTED: "clock-doubted",
    StatusKind.JOURNAL_FULL: "journal-full",
    StatusKind.JOURNAL_DAMAGED: "journal-damaged",
    StatusKind.FIRE: "fire",
    StatusKind.COMMAND_REFUSED: "command-refused",
    StatusKind.OPENED_ITSELF: "opened-itself",
}
_ALARMING_PASSAGES: Final = {
    PassageOutcome.FORCED: "door-forced",
    PassageOutcome.HELD_OPEN: "door-held-open",
}
_COMMANDED: Final = ("gate", "access_point", "from", "to", "command")
_PASSAGES: Final = {
    PassageOutcome.TAKEN: Kind.PASSAGE_TAKEN,
    PassageOutcome.NOT_TAKEN: Kind.PASSAGE_NOT_TAKEN,
    PassageOutcome.FORCED: Kind.PASSAGE_FORCED,
    PassageOutcome.HELD_OPEN: Kind.PASSAGE_HELD_OPEN,
    PassageOutcome.EXITED: Kind.PASSAGE_EXITED,
}


def alarms_of(facts: Facts, reasons: Collection[Reason]) -> tuple[str, ...]:
    """Why somebody must look at once: a stolen or revoked badge is used, whatever was decided, or somebody is forced."""
    used = _ALARMING.get(facts.badge_state) if facts.badge_state is not None else None
    found = [] if used is None else [used]
    if Reason.DURESS in reasons:
        found.append(Reason.DURESS)
    return tuple(reason.code for reason in found)


def alarms_of_status(status: Status) -> tuple[str, ...]:
    """Why somebody must look at once: fire, tampering, a door opened past its gate, what cannot be, or a gate that doubts itself."""
    return (_ALARMING_STATUSES[status.kind],) if status.kind in _ALARMING_STATUSES else ()


def alarms_of_passage(passage: Passage) -> tuple[str, ...]:
    """Why somebody must look at once: a door was forced, or stands open."""
    return (_ALARMING_PASSAGES[passage.outcome],) if passage.outcome in _ALARMING_PASSAGES else ()


def draft_of_decision(
    policy: Policy,
    authentic: Authentic,
    scan: Scan,
    facts: Facts,
    decision: Decision,
    *,
    alarm: bool,
    at: datetime,
    seq: int,
) -> Draft:
    """A scan was granted, denied, or waits for a guard."""
    granted = Kind.ACCESS_GRANTED if decision.granted else Kind.ACCESS_DENIED
    kind = granted if decision.waits is None else Kind.ACCESS_WAITING
    draft = _of_scan(
        policy, kind, authentic, scan, facts, fields=decision_fields(decision), alarm=alarm, at=at, seq=seq
    )
    if decision.waits is None or not decision.party:
        return draft
    # Whose faces a guard must see too.
    return replace(
        draft, personal={**(draft.personal or {}), "party": [one.holder for one in decision.party]}
    )


def draft_of_offline(
    policy: Policy, authentic: Authentic, scan: Scan, facts: Facts, *, alarm: bool, at: datetime, seq: int
) -> Draft:
    """A gate that was alone has let somebody in, or not."""
    kind = Kind.OFFLINE_GRANTED if scan.offline_verdict is Verdict.GRANTED else Kind.OFFLINE_DENIED
    fields = {} if scan.offline_policy is None else {"policy": scan.offline_policy.hex()}
    return _of_scan(policy, kind, authentic, scan, facts, fields=fields, alarm=alarm, at=at, seq=seq)


def _of_scan(
    policy: Policy,
    kind: Kind,
    authentic: Authentic,
    scan: Scan,
    facts: Facts,
    *,
    fields: Mapping[str, Any],
    alarm: bool,
    at: datetime,
    seq: int,
) -> Draft:
    tenant = facts.badge.tenant if facts.badge is not None else None
    public = {**_place(policy, scan.access_point), **_origin(authentic), **fields}
    public["assurance"] = int(facts.assurance)
    if alarm:
        public["alarm"] = True
    if tenant is not None:
        public["tenant"] = tenant
    return Draft(
        kind=kind,
        at=at,
        seq=seq,
        tenants=_concerned(policy, tenant, scan.access_point),
        public=public,
        person=facts.holder.id if facts.holder is not None else NOBODY,
        personal={
            "holder": facts.holder.id if facts.holder is not None else None,
            "badge": facts.badge.id if facts.badge is not None else None,
            "facts": facts_document(facts),
            "scan": b64encode(authentic.wire).decode(),
        },
    )


def draft_of_companion(
    policy: Policy, companion: Companion, point: Point, *, grant: int, at: datetime, seq: int
) -> Draft:
    """Somebody passed on another's grant: an entry of their own, in their own tenant's tree."""
    return Draft(
        kind=Kind.ACCESS_ACCOMPANIED,
        at=at,
        seq=seq,
        tenants=_concerned(policy, companion.tenant, point.id),
        public={
            **_place(policy, point.id),
            "gate": point.gate,
            "grant": grant,
            "tenant": companion.tenant,
        },
        person=companion.holder,
        personal={"holder": companion.holder},
    )


def draft_of_passage(
    policy: Policy,
    authentic: Authentic,
    passage: Passage,
    *,
    grant: Receipt | None,
    tenant: TenantId | None,
    at: datetime,
    seq: int,
) -> Draft:
    """What the contact of a door saw; `grant` is that of the scan or command it claims, `tenant` the holder's."""
    public = {**_place(policy, passage.access_point), **_origin(authentic)}
    if passage.scan is not None:
        public["scan"] = passage.scan.hex()
    if grant is not None:
        public["grant"] = grant.seq
    if alarms_of_passage(passage):
        public["alarm"] = True
    holder = grant.holder if grant is not None else None
    if holder is not None and tenant is not None:
        public["tenant"] = tenant
    return Draft(
        kind=_PASSAGES[passage.outcome],
        at=at,
        seq=seq,
        tenants=_concerned(policy, tenant, passage.access_point),
        public=public,
        person=holder,
        personal={"holder": holder} if holder is not None else None,
    )


def draft_of_status(policy: Policy, authentic: Authentic, status: Status, *, at: datetime, seq: int) -> Draft:
    """What a gate reports of itself, or of one of its doors."""
    where = _place(policy, status.access_point) if status.access_point is not None else {}
    fields = {**where, **_origin(authentic), "status": status.kind.name.lower()}
    if status.command is not None:
        fields["command"] = status.command.hex()
    if status.why is not None:
        fields["why"] = status.why
    if status.count is not None:
        fields["count"] = status.count
    if alarms_of_status(status):
        fields["alarm"] = True
    return _impersonal(Kind.GATE_STATUS, fields, at=at, seq=seq)


def draft_of_unsent(ordered: Draft, unsent: Unsent, *, at: datetime, seq: int) -> Draft:
    """What was ordered of a gate was not sent to it: in the same trees as the order, whose entry it names."""
    place = {name: ordered.public[name] for name in _COMMANDED if name in ordered.public}
    public = {**place, "order": ordered.seq, "why": unsent.value}
    return replace(ordered, kind=Kind.COMMAND_UNSENT, at=at, seq=seq, public=public)


def draft_of_hello(authentic: Authentic, hello: Hello, *, goes_back: bool, at: datetime, seq: int) -> Draft:
    """A gate has started; `goes_back` says that its journal does."""
    fields = {**_origin(authentic), "agent": hello.agent}
    if hello.policy is not None:
        fields["policy"] = hello.policy.hex()
    if hello.checkpoint is not None:
        fields["checkpoint"] = hashlib.sha256(hello.checkpoint).hexdigest()
    if hello.journal is not None:
        fields["journal_id"] = hello.journal.journal.hex()
        fields["journal_written"] = hello.journal.written
    if goes_back:
        fields["alarm"] = True
    return _impersonal(Kind.GATE_HELLO, fields, at=at, seq=seq)


def draft_of_gap(gap: Gap, authentic: Authentic, *, at: datetime, seq: int) -> Draft:
    """Messages of a gate never came; of a journal, somebody must look at once."""
    fields: dict[str, Any] = {
        "gate": authentic.gate,
        "boot": authentic.message.boot.hex(),
        "first": gap.first,
        "last": gap.last,
        "missing": gap.missing,
    }
    if authentic.journal:
        fields |= {"journal": True, "alarm": True}
    return _impersonal(Kind.GATE_GAP, fields, at=at, seq=seq)


def draft_of_asking(request: EnrolmentRequest, *, invited_by: OperatorId, at: datetime, seq: int) -> Draft:
    """A gate asked for its place, with the code of an invitation; two people say whether it gets it."""
    fields = {"gate": request.gate, **_keys(request), "invited_by": invited_by}
    return _impersonal(Kind.GATE_ASKED, fields, at=at, seq=seq)


def draft_of_certificate(
    request: EnrolmentRequest, *, serial: int, until: datetime, renewal: bool, at: datetime, seq: int
) -> Draft:
    """A gate that the trust list has got a certificate for its TLS key: the first one, or the next."""
    fields = {
        "gate": request.gate,
        **_keys(request),
        "serial": f"{serial:040x}",
        "until": timestamp(until),
        "renewal": renewal,
    }
    return _impersonal(Kind.GATE_CERTIFIED, fields, at=at, seq=seq)


def _keys(request: EnrolmentRequest) -> dict[str, str]:
    if request.tls is None:
        raise ValueError("a gate that names no TLS key gets no certificate")
    return {"key": hashlib.sha256(request.record.public_der).hexdigest(), "tls": request.tls.hex()}


def draft_of_conflict(authentic: Authentic, *, at: datetime, seq: int) -> Draft:
    """A gate says something else under a number that it has used: it was copied, or its journal rewritten."""
    return _impersonal(Kind.GATE_CONFLICT, {**_origin(authentic), "alarm": True}, at=at, seq=seq)


def marked(draft: Draft, **marks: Any) -> Draft:
    """An entry that says more in the open."""
    return replace(draft, public={**draft.public, **marks})


def draft_of_seed(announcement: Mapping[str, str], *, at: datetime, seq: int) -> Draft:
    """The seed of a day's lots is bound, and yesterday's shown."""
    return _impersonal(Kind.SEARCH_SEED, announcement, at=at, seq=seq)


def draft_of_mismatch(
    tree: str, *, part: str, level: int, index: int, tenant: TenantId | None, at: datetime, seq: int
) -> Draft:
    """Something of a tree is not what belongs there: the log was altered. `tenant` is the one whose tree it is."""
    fields = {"tree": tree, "part": part, "level": level, "index": index}
    draft = _impersonal(Kind.LOG_MISMATCH, fields, at=at, seq=seq)
    return draft if tenant is None else replace(draft, tenants=(tenant,))


def _impersonal(kind: Kind, fields: Mapping[str, Any], *, at: datetime, seq: int) -> Draft:
    return Draft(kind=kind, at=at, seq=seq, tenants=(), public=fields, person=None, personal=None)


def _place(policy: Policy, access_point: Any) -> dict[str, Any]:
    """An access point and what it leads from and to; of one that the policy does not know, its name."""
    point: Point | None = policy.points.get(access_point)
    if point is None:
        return {"access_point": access_point}
    return {"access_point": point.id, "from": point.source, "to": point.target}


def _concerned(policy: Policy, tenant: TenantId | None, access_point: Any) -> tuple[TenantId, ...]:
    """Whose trees an entry stands in: the holder's tenant, and the owner of the zone when that is another."""
    point = policy.points.get(access_point)
    owner = point.owner if point is not None else None
    both = dict.fromkeys((tenant, owner))
    return tuple(name for name in both if name is not None and name in policy.tenants)


def _origin(authentic: Authentic) -> dict[str, Any]:
    """Where an entry came from: gate, boot, sequence, its own time, and the digest of the signed bytes."""
    message: Upward = authentic.message
    fields: dict[str, Any] = {
        "gate": authentic.gate,
        "boot": message.boot.hex(),
        "sequence": message.sequence,
        "message": authentic.digest.hex(),
    }
    if authentic.journal:
        fields["journal"] = True
    if message.gate_at is not None:
        fields["gate_at"] = timestamp(message.gate_at)
        fields["clock"] = message.clock.name.lower()
    return fields
