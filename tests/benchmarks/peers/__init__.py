"""Other ways to the same answers, given the same static rules: the ideal table, and engines of other makers.

Each module takes the compiled policy and what is asked, makes everything ready that its engine can be given beforehand, and
gives a `Peer`: `answers` asks it everything once. How a peer is fed was chosen for its speed, and that choice stands in
its module. An engine that is not installed raises ImportError.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gatekeeper.model.ids import AccessPointId, ProfileId, TenantId
from gatekeeper.model.policy import Point, Policy
from tests.benchmarks.big_crowd import Ask

__all__ = ["Peer", "Plain", "plain", "seconds"]


@dataclass(frozen=True, slots=True)
class Peer:
    """An engine that is ready, and may be asked everything again and again."""

    name: str
    package: str
    """The package and version that was asked; empty for what is our own."""
    answers: Callable[[], list[bool]]


@dataclass(frozen=True, slots=True)
class Plain:
    """One request in words and numbers that any engine understands; times are whole seconds."""

    tenant: TenantId
    profiles: tuple[ProfileId, ...]
    active: bool
    since: int
    until: int
    level: int
    assurance: int
    life: int
    point: Point
    now: int
    alert: int
    open_now: int

    @property
    def door(self) -> AccessPointId:
        return self.point.id


def plain(policy: Policy, ask: Ask) -> Plain:
    """Say it plainly; which schedules are open has been looked up already."""
    holder, badge = ask.facts.holder, ask.facts.badge
    assert holder is not None
    assert badge is not None
    return Plain(
        tenant=holder.tenant,
        profiles=holder.profiles,
        active=ask.facts.badge_state == "active",
        since=seconds(max(holder.since, badge.not_before)),
        until=seconds(min(holder.until, badge.expires)),
        level=min(holder.clearance, badge.ceiling),
        assurance=int(ask.facts.assurance),
        life=seconds(badge.expires) - seconds(badge.not_before),
        point=policy.points[ask.request.access_point],
        now=seconds(ask.now),
        alert=ask.facts.alert,
        open_now=policy.timetable.open_at(ask.now.timestamp()),
    )


def seconds(at: datetime) -> int:
    """Whole seconds since 1970."""
    return int(at.timestamp())
