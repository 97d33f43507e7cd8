"""decide() alone: a guard of the example site at the main gate, beside the ideal table look-up."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gatekeeper.core.decide import Facts, Request, decide
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, BadgeId, GateId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind
from gatekeeper.model.policy import Policy, compile_policy
from gatekeeper.model.site_file import read_population, read_site
from tests.benchmarks.measure import per_call

__all__ = ["decision_alone"]

_FILE = Path(__file__).parents[2] / "deploy/examples/johan-willem-friso/site.toml"


def _example() -> tuple[Policy, Facts, Request, datetime]:
    """Policy, facts, request and instant of a scan that is granted."""
    document = tomllib.loads(_FILE.read_text("utf-8"))
    written = read_site(document)
    agreements = {tenant.id: tenant.agreement for tenant in written.tenants if tenant.agreement}
    policy = compile_policy(written, agreements=agreements, sources=(b"bench",))
    group = next(one for one in read_population(document).groups if one.routine == "guard")
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    badge = BadgeId("00" * 16)
    holder = Holder(
        id=HolderId("h-1"), tenant=group.tenant, kind=HolderKind.STAFF, clearance=group.clearance,
        profiles=group.profiles, badges=(badge,), since=now - timedelta(days=1), until=now + timedelta(days=1),
        version=1,
    )  # fmt: skip
    facts = Facts(
        badge=Badge(
            id=badge, site=written.site, tenant=group.tenant, not_before=now - timedelta(days=1),
            expires=now + timedelta(days=1), issued=now - timedelta(days=1), ceiling=group.clearance,
            assurance=Assurance.KEY_BOUND, kind=HolderKind.STAFF, epoch=1, requires_trusted_time=False,
            confirmation=None, card=None, status_index=0,
        ),
        badge_state=BadgeState.ACTIVE, assurance=Assurance.KEY_BOUND, findings=(), holder=holder,
        holder_unproven=False, epoch=1, whereabouts=None, alert=0, lockdowns=frozenset(),
    )  # fmt: skip
    request = Request(
        access_point=AccessPointId("main-gate-in"), gate=GateId("main-gate"), clock=ClockQuality.NONE
    )
    return policy, facts, request, now


def decision_alone() -> dict[str, Any]:
    """Microseconds a decision and a look-up."""
    policy, facts, request, now = _example()
    granted = decide(policy, facts, request, now)
    assert granted.granted, granted
    table = {(request.access_point, facts.badge.id if facts.badge else ""): (1, 3)}

    def ideal() -> bool:
        schedule, highest = table[request.access_point, facts.badge.id]  # type: ignore[union-attr]
        return bool(schedule & policy.timetable.open_at(now.timestamp())) and facts.alert <= highest

    ours = per_call(lambda: decide(policy, facts, request, now), calls=20_000)
    floor = per_call(ideal, calls=20_000)
    return {"decide_us": ours * 1e6, "ideal_lookup_us": floor * 1e6, "ratio": ours / floor}
