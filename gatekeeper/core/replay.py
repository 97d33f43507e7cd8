"""Deciding again what the log holds: an entry's facts, the policy of its version, the same function, the same answer.

    body      kind, reason, reasons, shadow, policy, access_point, gate, at
    personal  facts (see `audit.facts_document`), scan (the signed bytes, for the gate's clock)

A difference means that the log, the policy or this program is not what it was. `recollect` reads facts as strictly as they
were written; what it cannot read it says, and never guesses.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gatekeeper import cose
from gatekeeper.core.audit import Kind, decision_fields
from gatekeeper.core.decide import Decision, decide
from gatekeeper.core.facts import NO_PAST, Companion, Factor, Facts, GuardsWord, Past, Request
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId, ProfileId, SiteId, TenantId, ZoneId
from gatekeeper.model.messages import SCAN_TYPE, MessageMalformed, Scan
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason

__all__ = ["DECIDED", "Difference", "Recollected", "recollect", "redecide"]

DECIDED = frozenset(kind.value for kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED, Kind.ACCESS_WAITING))
"""The kinds of entries that hold a decision."""

_REASONS = {reason.code: reason for reason in Reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollected:
    """A decision as it was asked for."""

    facts: Facts
    request: Request
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the log says of a decision, and what it would be now."""

    what: str
    logged: Any
    decided: Any


def recollect(body: Mapping[str, Any], personal: Mapping[str, Any], *, site: SiteId) -> Recollected:
    """Read a decision's inputs from its entry. Raises ValueError, KeyError or TypeError when they are not there."""
    scan = _scan(personal["scan"])
    return Recollected(
        facts=_facts(personal["facts"], site),
        request=Request(
            access_point=AccessPointId(body["access_point"]), gate=GateId(body["gate"]), clock=scan.clock
        ),
        at=_instant(body["at"]),
    )


def redecide(policy: Policy, asked: Recollected, body: Mapping[str, Any]) -> list[Difference]:
    """Decide again, and say what differs from the entry."""
    if policy.version.hex() != body["policy"]:
        return [Difference(what="policy", logged=body["policy"], decided=policy.version.hex())]
    decision = decide(policy, asked.facts, asked.request, asked.at)
    now = {"kind": _kind(decision).value, "shadow": [], **decision_fields(decision)}
    logged = {"kind": body["kind"], "shadow": body.get("shadow", [])}
    logged |= {name: body[name] for name in ("reason", "reasons", "policy")}
    return [
        Difference(what=name, logged=logged[name], decided=now[name])
        for name in logged
        if logged[name] != now[name]
    ]


def _kind(decision: Decision) -> Kind:
    if decision.waits is not None:
        return Kind.ACCESS_WAITING
    return Kind.ACCESS_GRANTED if decision.granted else Kind.ACCESS_DENIED


def _scan(encoded: str) -> Scan:
    parsed = cose.parse(b64decode(encoded), typ=SCAN_TYPE)
    if isinstance(parsed, cose.Refused) or parsed.payload is None:
        raise ValueError("the entry holds no scan")
    scan = Scan.read(parsed.payload)
    if isinstance(scan, MessageMalformed):
        raise ValueError(f"the entry's scan is malformed: {scan.detail}")  # noqa: TRY004 - a bad value, told as one
    return scan


def _facts(document: Mapping[str, Any], site: SiteId) -> Facts:
    state = document["badge_state"]
    return Facts(
        badge=None if document["badge"] is None else _badge(document["badge"], site),
        badge_state=None if state is None else BadgeState(state),
        assurance=Assurance(document["assurance"]),
        findings=tuple(_REASONS[code] for code in document["findings"]),
        holder=None if document["holder"] is None else _holder(document["holder"]),
        holder_unproven=document["holder_unproven"],
        epoch=document["epoch"],
        whereabouts=document["whereabouts"],
        alert=document["alert"],
        lockdowns=frozenset(document["lockdowns"]),
        suspended=frozenset(document.get("suspended", ())),
        past=_past(document.get("past", {})),
    )


def _badge(document: Mapping[str, Any], site: SiteId) -> Badge:
    """A badge as far as rules look at it; key, card and status were verification's business."""
    return Badge(
        id=BadgeId(document["id"]),
        site=site,
        tenant=TenantId(document["tenant"]),
        not_before=datetime.fromtimestamp(document["not_before"], UTC),
        expires=datetime.fromtimestamp(document["expires"], UTC),
        issued=datetime.fromtimestamp(document["issued"], UTC),
        ceiling=document["ceiling"],
        assurance=Assurance(document["assurance"]),
        kind=HolderKind(document["kind"]),
        epoch=document["epoch"],
        requires_trusted_time=document["requires_trusted_time"],
        confirmation=None,
        card=None,
        status_index=None,
        max_uses=document.get("max_uses"),
        duress=document.get("duress", False),
    )


def _holder(document: Mapping[str, Any]) -> Holder:
    return Holder(
        id=HolderId(document["id"]),
        tenant=TenantId(document["tenant"]),
        kind=HolderKind(document["kind"]),
        clearance=document["clearance"],
        profiles=tuple(ProfileId(profile) for profile in document["profiles"]),
        badges=(),
        since=datetime.fromtimestamp(document["since"], UTC),
        until=datetime.fromtimestamp(document["until"], UTC),
        version=document["version"],
        certificates=tuple(
            (name, datetime.fromtimestamp(until, UTC))
            for name, until in document.get("certificates", {}).items()
        ),
        host=document.get("host"),
    )


def _past(document: Mapping[str, Any]) -> Past:
    if not document:
        return NO_PAST
    return Past(
        since=_maybe(document.get("since")),
        last_point=document.get("last_point"),
        last_at=_maybe(document.get("last_at")),
        visitors=document.get("visitors", 0),
        uses=document.get("uses", 0),
        last_used=_maybe(document.get("last_used")),
        locked_until=_maybe(document.get("locked_until")),
        factor=Factor(document.get("factor", Factor.NONE)),
        crowds={ZoneId(zone): count for zone, count in document.get("crowds", {}).items()},
        company=tuple(_companion(one) for one in document.get("company", ())),
        opened={ZoneId(zone): _instant(at) for zone, at in document.get("opened", {}).items()},
        open_doors=frozenset(document.get("open_doors", ())),
        draw=document.get("draw"),
        guard=GuardsWord(document.get("guard", GuardsWord.NOT_ASKED)),
    )


def _companion(document: Mapping[str, Any]) -> Companion:
    roles = [role.partition("/") for role in document["roles"]]
    return Companion(
        holder=HolderId(document["holder"]),
        tenant=TenantId(document["tenant"]),
        kind=HolderKind(document["kind"]),
        roles=frozenset((TenantId(tenant), ProfileId(profile)) for tenant, _, profile in roles),
        host=document["host"],
        at=_instant(document["at"]),
        waiting=document["waiting"],
        brought=document["brought"],
    )


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)
