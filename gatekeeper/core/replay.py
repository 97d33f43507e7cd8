"""Deciding again what the log holds: an entry's facts, the policy of its version, the same function, the same answer.

    body      kind, reason, reasons, shadow, policy, access_point, gate, at
    personal  facts (see `audit.facts_document`), scan (the signed bytes, for the gate's clock)

A difference means that the log, the policy or this program is not what it was. `recollect` reads facts as strictly as they
were written; what it cannot read it says, and never guesses.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from gatekeeper import cose
from gatekeeper.core.audit import Kind, decision_fields
from gatekeeper.core.decide import Decision, decide
from gatekeeper.core.facts import NO_PAST, Companion, Factor, Facts, GuardsWord, Past, Request
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.fields import HIGHEST_LEVEL, UINT, each, second, typed, whole
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId, ProfileId, SiteId, TenantId, ZoneId
from gatekeeper.model.messages import SCAN_TYPE, MessageMalformed, Scan
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason

__all__ = ["DECIDED", "Difference", "Recollected", "recollect", "redecide"]

DECIDED = frozenset(kind.value for kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED, Kind.ACCESS_WAITING))
"""The kinds of entries that hold a decision."""

_REASONS = {reason.code: reason for reason in Reason}
_T = TypeVar("_T")


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


def _facts(read: object, site: SiteId) -> Facts:
    document = typed(read, dict)
    state = document["badge_state"]
    return Facts(
        badge=None if document["badge"] is None else _badge(document["badge"], site),
        badge_state=None if state is None else BadgeState(state),
        assurance=Assurance(whole(document["assurance"])),
        findings=tuple(_REASONS[code] for code in _texts(document["findings"])),
        holder=None if document["holder"] is None else _holder(document["holder"]),
        holder_unproven=typed(document["holder_unproven"], bool),
        epoch=whole(document["epoch"], UINT),
        whereabouts=_perhaps(document["whereabouts"], ZoneId),
        alert=whole(document["alert"]),
        lockdowns=frozenset(_texts(document["lockdowns"])),
        suspended=frozenset(map(TenantId, _texts(document.get("suspended", [])))),
        past=_past(document.get("past", {})),
    )


def _badge(read: object, site: SiteId) -> Badge:
    """A badge as far as rules look at it; key, card and status were verification's business."""
    document = typed(read, dict)
    uses = document.get("max_uses")
    return Badge(
        id=BadgeId(typed(document["id"], str)),
        site=site,
        tenant=TenantId(typed(document["tenant"], str)),
        not_before=second(document["not_before"]),
        expires=second(document["expires"]),
        issued=second(document["issued"]),
        ceiling=whole(document["ceiling"], HIGHEST_LEVEL),
        assurance=Assurance(whole(document["assurance"])),
        kind=HolderKind(document["kind"]),
        epoch=whole(document["epoch"], UINT),
        requires_trusted_time=typed(document["requires_trusted_time"], bool),
        confirmation=None,
        card=None,
        status_index=None,
        max_uses=None if uses is None else whole(uses, UINT),
        duress=typed(document.get("duress", False), bool),
    )


def _holder(read: object) -> Holder:
    document = typed(read, dict)
    return Holder(
        id=HolderId(typed(document["id"], str)),
        tenant=TenantId(typed(document["tenant"], str)),
        kind=HolderKind(document["kind"]),
        clearance=whole(document["clearance"], HIGHEST_LEVEL),
        profiles=tuple(map(ProfileId, _texts(document["profiles"]))),
        badges=(),
        since=second(document["since"]),
        until=second(document["until"]),
        version=whole(document["version"], UINT),
        certificates=tuple(
            (name, second(until)) for name, until in typed(document.get("certificates", {}), dict).items()
        ),
        host=_perhaps(document.get("host"), HolderId),
    )


def _past(read: object) -> Past:
    document = typed(read, dict)
    if not document:
        return NO_PAST
    draw = document.get("draw")
    return Past(
        since=_maybe(document.get("since")),
        last_point=_perhaps(document.get("last_point"), AccessPointId),
        last_at=_maybe(document.get("last_at")),
        visitors=frozenset(map(HolderId, _texts(document.get("visitors", [])))),
        brought=whole(document.get("brought", 0)),
        uses=whole(document.get("uses", 0)),
        last_used=_maybe(document.get("last_used")),
        locked_until=_maybe(document.get("locked_until")),
        factor=Factor(document.get("factor", Factor.NONE)),
        crowds={
            ZoneId(zone): whole(count) for zone, count in typed(document.get("crowds", {}), dict).items()
        },
        company=each(document.get("company", []), _companion),
        opened={ZoneId(zone): _instant(at) for zone, at in typed(document.get("opened", {}), dict).items()},
        open_doors=frozenset(map(AccessPointId, _texts(document.get("open_doors", [])))),
        draw=None if draw is None else whole(draw, UINT),
        guard=GuardsWord(document.get("guard", GuardsWord.NOT_ASKED)),
        asked=_maybe(document.get("asked")),
    )


def _companion(read: object) -> Companion:
    document = typed(read, dict)
    roles = [role.partition("/") for role in _texts(document["roles"])]
    return Companion(
        holder=HolderId(typed(document["holder"], str)),
        tenant=TenantId(typed(document["tenant"], str)),
        kind=HolderKind(document["kind"]),
        roles=frozenset((TenantId(tenant), ProfileId(profile)) for tenant, _, profile in roles),
        host=_perhaps(document["host"], HolderId),
        at=_instant(document["at"]),
        waiting=typed(document["waiting"], bool),
        brought=whole(document["brought"]),
    )


def _texts(value: object) -> tuple[str, ...]:
    return each(value, lambda one: typed(one, str))


def _perhaps(value: object, kind: Callable[[str], _T]) -> _T | None:
    return None if value is None else kind(typed(value, str))


def _instant(text: object) -> datetime:
    at = datetime.fromisoformat(typed(text, str))
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


def _maybe(text: object) -> datetime | None:
    return None if text is None else _instant(text)
