"""What a change would give and take, as a table or as JSON: `site plan` and `alert set --dry-run`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gatekeeper.app import databases, the_site
from gatekeeper.cli.host.explain import open_flow
from gatekeeper.cli.options import run
from gatekeeper.cli.talk import json_line, say, table
from gatekeeper.config import SettingError, Settings
from gatekeeper.core.effective import Changed
from gatekeeper.core.flow import Flow
from gatekeeper.core.widening import policy_gains
from gatekeeper.model.ids import SiteId
from gatekeeper.model.policy import SitePolicy, compile_policy
from gatekeeper.service.explaining import PlannedChange, plan_alert, plan_policy

__all__ = ["show_alert_plan", "show_policy_plan"]

_NAMED, _TOLD = 4, 12


@dataclass(frozen=True, slots=True)
class _Demands:
    """What is demanded otherwise than today: where the file is laxer, and what of today it is stricter than."""

    laxer: Sequence[str] = ()
    stricter: Sequence[str] = ()


_NO_OTHER = _Demands()


def show_alert_plan(settings: Settings, state: str, json_output: bool) -> None:
    """Say who loses what when the site goes to an alert state."""
    site = the_site(settings)
    _show(run(_plan_alert(settings, site, state)), json_output)


async def _plan_alert(settings: Settings, site: SiteId, state: str) -> PlannedChange:
    async with databases(settings) as (dsn, _), open_flow(settings, site, dsn) as flow:
        states = flow.policy.alert_states
        if state not in states:
            raise SettingError(f"The site's alert states are {', '.join(states)}.")
        return plan_alert(flow, states.index(state), now=datetime.now(UTC))


def show_policy_plan(settings: Settings, site: SiteId, written: SitePolicy, json_output: bool) -> None:
    """Say who gains and who loses what when a site file is applied."""
    planned, demands, unsigned = run(_plan_policy(settings, site, written))
    for tenant in unsigned:
        say(
            f"The agreement of {tenant} in the file is not the one that host and {tenant} signed: "
            "it counts when both have signed it."
        )
    _show(planned, json_output, demands)


async def _plan_policy(
    settings: Settings, site: SiteId, written: SitePolicy
) -> tuple[PlannedChange, _Demands, Sequence[str]]:
    async with databases(settings) as (dsn, _), open_flow(settings, site, dsn) as flow:
        after = compile_policy(written, agreements=flow.trust.agreements, sources=())
        demands = _Demands(policy_gains(flow.policy, after), policy_gains(after, flow.policy))
        return plan_policy(flow, after, now=datetime.now(UTC)), demands, _unsigned(flow, written)


def _unsigned(flow: Flow, written: SitePolicy) -> list[str]:
    return [
        tenant.id
        for tenant in written.tenants
        if not tenant.is_host and flow.trust.agreements.get(tenant.id) != tenant.agreement
    ]


def _show(planned: PlannedChange, json_output: bool, demands: _Demands = _NO_OTHER) -> None:
    states = planned.alert_states
    if json_output:
        told = [_document(change, states) for change in planned.changes]
        others = {"laxer": demands.laxer, "stricter": demands.stricter}
        json_line({"holders": planned.holders, "changes": told, **others})
        return
    rows = []
    for change in planned.changes:
        who = ", ".join(change.holders[:_NAMED]) + (" ..." if len(change.holders) > _NAMED else "")
        for what, alerts in (
            ("gain", change.gained),
            ("lose", change.lost),
            ("other hours", change.other_hours),
        ):
            if alerts:
                rows.append((what, change.access_point, _named(alerts, states), len(change.holders), who))
    if rows:
        table(("change", "access point", "alert states", "holders", "who"), rows)
    else:
        say("Nobody gains and nobody loses a right.")
    _show_demands("The file is laxer than today", demands.laxer)
    _show_demands("The file is stricter; today", demands.stricter)
    say(f"{planned.holders} holders looked at.")


def _show_demands(heading: str, told: Sequence[str]) -> None:
    for one in told[:_TOLD]:
        say(f"{heading}: {one}.")
    if len(told) > _TOLD:
        say(f"... and {len(told) - _TOLD} more (--json tells all).")


def _document(change: Changed, states: Sequence[str]) -> dict[str, Any]:
    return {
        "access_point": change.access_point,
        "gained": [states[alert] for alert in sorted(change.gained)],
        "lost": [states[alert] for alert in sorted(change.lost)],
        "other_hours": [states[alert] for alert in sorted(change.other_hours)],
        "holders": list(change.holders),
    }


def _named(alerts: frozenset[int], states: Sequence[str]) -> str:
    return ", ".join(states[alert] for alert in sorted(alerts))
