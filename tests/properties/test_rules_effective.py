"""Effective rights against brute force: the decision itself, asked at every edge of a week."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.decide import decide
from gatekeeper.core.effective import Subject, differences, rights_of, subjects
from gatekeeper.core.facts import Facts, Request
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import BadgeId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.policy import Policy
from gatekeeper.model.schedule import Window
from tests.support.rules_situations import Wrong, badges, holders
from tests.support.rules_worlds import ALERTS, AMSTERDAM, Rule, World, worlds

FEW = settings(max_examples=40, deadline=None)
STATIC = (Rule.LEVELS, Rule.HOURS, Rule.NARROW_PROFILES, Rule.VETOES, Rule.CERTIFICATES, Rule.EVENTS)
MONDAYS = (date(2026, 3, 23), date(2026, 4, 27), date(2026, 6, 1), date(2026, 10, 19))
EDGES = (0, 59, 60, 120, 149, 150, 179, 180, 300, 479, 480, 719, 720, 1019, 1020, 1438, 1439)
"""Minutes of a day at which windows begin and end, and those before."""


def instants(monday: date) -> list[datetime]:
    """A week of instants at the edges of every window."""
    zone = ZoneInfo(AMSTERDAM)
    midnights = [
        datetime(monday.year, monday.month, monday.day, tzinfo=zone) + timedelta(days=day) for day in range(7)
    ]
    return [
        (midnight + timedelta(minutes=minute)).astimezone(UTC) for midnight in midnights for minute in EDGES
    ]


def open_at(hours: frozenset[tuple[Any, ...]], now: datetime) -> bool:
    """Whether the hours of a right count now, by the wall clock."""
    wall = now.astimezone(ZoneInfo(AMSTERDAM))
    minute = wall.hour * 60 + wall.minute
    for one in hours:
        match one:
            case ("at all hours",):
                return True
            case ("event", since, until):
                if since <= now < until:
                    return True
            case (week, special_days, special):
                windows: tuple[Window, ...] = special if wall.date() in special_days else week[wall.weekday()]
                if any(window.since <= minute < window.until for window in windows):
                    return True
    return False


def is_granted(policy: Policy, who: Subject, point: Any, alert: int, now: datetime) -> bool:
    facts = Facts(
        badge=who.badge,
        badge_state=BadgeState.ACTIVE,
        assurance=who.badge.assurance,
        findings=(),
        holder=who.holder,
        holder_unproven=False,
        epoch=who.epoch,
        whereabouts=None,
        alert=alert,
        lockdowns=frozenset(),
    )
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
    return decide(policy, facts, request, now).granted


@st.composite
def people(draw: st.DrawFn, world: World) -> list[Subject]:
    """Somebody of each tenant."""
    found = []
    for number, tenant in enumerate(tenant.id for tenant in world.written.tenants):
        wrong = frozenset(
            draw(
                st.lists(st.sampled_from([Wrong.CLEARANCE, Wrong.BADGE_CEILING, Wrong.PROFILES]), max_size=1)
            )
        )
        badge = replace(draw(badges(tenant, wrong)), id=BadgeId(f"{number:032x}"))
        holder = draw(holders(tenant, wrong, world.rules))
        # A certificate that ends within the week would make the right one of some days only.
        lasting = tuple((name, badge.expires) for name, _ in holder.certificates)
        found.append((replace(holder, id=HolderId(f"person-{number}"), certificates=lasting), badge, 1))
    return subjects(found, [world.policy])


@FEW
@given(st.data())
def test_rights_are_what_the_decision_grants_over_a_week(data: st.DataObject):
    world = data.draw(worlds(among=STATIC, least=1))
    monday = data.draw(st.sampled_from(MONDAYS))
    week = instants(monday)
    for who in data.draw(people(world)):
        rights = rights_of(world.policy, who, now=week[0])
        for point in world.policy.points.values():
            for alert in range(len(ALERTS)):
                hours = rights.get((point.id, alert), frozenset())
                granted = [now for now in week if is_granted(world.policy, who, point, alert, now)]
                assert granted == [now for now in week if open_at(hours, now)]


@FEW
@given(st.data())
def test_differences_are_those_of_the_rights_and_name_every_holder_once_at_a_door(data: st.DataObject):
    before = data.draw(worlds(among=STATIC, least=1))
    vetoes = data.draw(worlds(among=[Rule.VETOES], least=1)).written.vetoes
    zones = {zone.id for zone in before.written.zones}
    after = before.but(vetoes=(*before.written.vetoes, *(veto for veto in vetoes if veto.zone in zones)))
    everybody = data.draw(people(before))
    now = datetime(2026, 6, 1, tzinfo=UTC)
    found = differences(before.policy, after.policy, everybody, now=now)
    told = {(one.access_point, holder): one for one in found for holder in one.holders}
    assert len(told) == sum(len(one.holders) for one in found)
    for who in everybody:
        old, new = (rights_of(policy, who, now=now) for policy in (before.policy, after.policy))
        for point in before.policy.points:
            lost = {
                alert for alert in range(len(ALERTS)) if (point, alert) in old and (point, alert) not in new
            }
            named = [told[point, holder] for holder in who.holders if (point, holder) in told]
            assert [one.lost for one in named] == ([lost] * len(who.holders) if lost else [])
            assert not any(one.gained or one.other_hours for one in named)
