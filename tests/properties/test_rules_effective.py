"""Effective rights against brute force: the decision itself, asked at every edge of a week."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.decide import decide
from gatekeeper.core.effective import Subject, differences, rights_of, subjects
from gatekeeper.core.facts import Facts, Request
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import BadgeId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, PinRecord, Veto
from gatekeeper.model.policy import Policy
from gatekeeper.model.schedule import Window
from tests.support.rules_situations import Wrong, badges, holders
from tests.support.rules_worlds import ALERTS, AMSTERDAM, Rule, World, local_instants, worlds

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


def with_variants(holder: Holder, badge: Badge, now: datetime) -> list[tuple[Holder, Badge, int]]:
    """One person, and others who are alike but for one thing each; the last has a second badge."""
    second = timedelta(seconds=1)
    held = holder.certificates
    found = [
        (holder, badge, 1),
        (holder, replace(badge, not_before=now), 1),
        (holder, replace(badge, not_before=now + second), 1),
        (holder, replace(badge, expires=now + second), 1),
        (holder, replace(badge, expires=now), 1),
        (holder, replace(badge, not_before=now - timedelta(days=15_000)), 1),
        (holder, replace(badge, epoch=0), 1),
        (holder, replace(badge, ceiling=0), 1),
        (holder, replace(badge, assurance=Assurance.CARD_NUMBER), 1),
        (replace(holder, since=now + second), badge, 1),
        (replace(holder, until=now), badge, 1),
        (replace(holder, clearance=0), badge, 1),
        (replace(holder, profiles=()), badge, 1),
        (replace(holder, certificates=tuple((name, now) for name, _ in held)), badge, 1),
        (replace(holder, certificates=tuple((name, now + second) for name, _ in held)), badge, 1),
        (replace(holder, pin=PinRecord(salt=bytes(16), digest=bytes(32), duress=None)), badge, 1),
    ]
    named = [
        (replace(one, id=HolderId(f"person-{number}") if number else one.id), replace(own, id=BadgeId(f"{number:032x}")), epoch)
        for number, (one, own, epoch) in enumerate(found)
    ]  # fmt: skip
    return [*named, (named[-1][0], replace(badge, id=BadgeId("f" * 32), ceiling=0), 1)]


def rights_with(policy: Policy, badges_of_one: Iterable[Subject], now: datetime) -> dict[Any, Any]:
    """What somebody may open with one badge or another."""
    found: dict[Any, Any] = {}
    for who in badges_of_one:
        for right, hours in rights_of(policy, who, now=now).items():
            found[right] = found.get(right, frozenset()) | hours
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whoever_is_alike_but_for_one_thing_is_told_what_is_theirs(data: st.DataObject):
    """Who is alike at an instant is asked once; that is as good as asking everybody."""
    among = (*STATIC, Rule.AGREEMENTS, Rule.PIN, Rule.ALERTS)
    before = data.draw(worlds(among=among, least=1, most=3))
    tenant = data.draw(st.sampled_from(before.written.tenants)).id
    closed = [Veto(tenant=tenant, zone=zone.id, why=zone.names) for zone in before.written.zones]
    after = before.but(vetoes=tuple(closed))
    now = data.draw(local_instants())
    person = data.draw(holders(tenant, frozenset(), before.rules))
    badge = replace(
        data.draw(badges(tenant, frozenset())),
        not_before=now - timedelta(hours=1),
        expires=now + timedelta(hours=1),
    )
    everybody = with_variants(person, badge, now)
    alike = subjects(everybody, [before.policy, after.policy])
    told = {
        (one.access_point, holder, alert)
        for one in differences(before.policy, after.policy, alike, now=now)
        for holder in one.holders
        for alert in one.lost
    }
    wanted = set()
    for holder in {holder.id for holder, _, _ in everybody}:
        mine = subjects([one for one in everybody if one[0].id == holder], [before.policy, after.policy])
        old, new = (rights_with(policy, mine, now) for policy in (before.policy, after.policy))
        wanted |= {(point, holder, alert) for point, alert in old.keys() - new.keys()}
    assert told == wanted
