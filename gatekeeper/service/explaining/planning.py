"""Planning: what a changed site file, or another alert state, would give to and take from whom, before anybody signs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gatekeeper.core.effective import Changed, Outlook, differences, rights_of_all, subjects
from gatekeeper.core.flow import Flow
from gatekeeper.model.badges import Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, HolderId
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Policy

__all__ = ["PlannedChange", "plan_alert", "plan_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """What changes: for each access point who gains and who loses, and how many people were looked at.

    `alert_states` are the names of the states that are counted in `changes`, those that a new policy no longer has included.
    """

    changes: Sequence[Changed]
    holders: int
    alert_states: tuple[str, ...]


def plan_policy(flow: Flow, after: Policy, *, now: datetime) -> PlannedChange:
    """Hold a new policy against the one in force, for everybody who holds an active badge."""
    people = _people(flow)
    alike = subjects(people, (flow.policy, after))
    return PlannedChange(
        changes=differences(flow.policy, after, alike, now=now),
        holders=len({holder.id for holder, _, _ in people}),
        alert_states=after.alert_states + flow.policy.alert_states[len(after.alert_states) :],
    )


def plan_alert(flow: Flow, state: int, *, now: datetime) -> PlannedChange:
    """Say who would lose (or, going down, gain) what when the site goes to an alert state."""
    people = _people(flow)
    lost: dict[AccessPointId, list[HolderId]] = {}
    gained: dict[AccessPointId, list[HolderId]] = {}
    for holders, rights in rights_of_all(Outlook(flow.policy, now), subjects(people, (flow.policy,))):
        opens, will = ({point for point, alert in rights if alert == asked} for asked in (flow.alert, state))
        for point in opens - will:
            lost.setdefault(point, []).extend(holders)
        for point in will - opens:
            gained.setdefault(point, []).extend(holders)
    there = frozenset({state})
    changes = [
        Changed(
            access_point=point,
            gained=frozenset(),
            lost=there,
            other_hours=frozenset(),
            holders=tuple(sorted(who)),
        )
        for point, who in sorted(lost.items())
    ]
    changes += [
        Changed(
            access_point=point,
            gained=there,
            lost=frozenset(),
            other_hours=frozenset(),
            holders=tuple(sorted(who)),
        )
        for point, who in sorted(gained.items())
    ]
    return PlannedChange(
        changes=changes,
        holders=len({holder.id for holder, _, _ in people}),
        alert_states=flow.policy.alert_states,
    )


def _people(flow: Flow) -> list[tuple[Holder, Badge, int]]:
    """Everybody with an active badge that is believed, and the epoch that their tenant's badges must have."""
    found = []
    for badge in flow.register.badges(trust=flow.trust):
        if flow.register.state(badge.id) is not BadgeState.ACTIVE:
            continue
        holder = flow.register.holder_of(badge.id, trust=flow.trust)
        if isinstance(holder, Holder):
            found.append((holder, badge, flow.trust.epoch(badge.tenant)))
    return found
