"""Effective rights against brute force: the decision, and the plain reference, asked at every edge of every window and period."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.decide import decide
from gatekeeper.core.effective import Outlook, Subject, differences, rights_of, subjects
from gatekeeper.core.facts import Factor, Facts, Past, Request
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import BadgeId, HolderId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder, HolderKind, PinRecord, Veto
from gatekeeper.model.policy import Policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.schedule import Hours
from tests.support.rules_reference import answer
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


def open_at(hours: Hours, now: datetime) -> bool:
    """Whether the hours of a right count now."""
    return hours.contains(now.timestamp(), ZoneInfo(AMSTERDAM))


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
    outlook = Outlook(world.policy, week[0])
    for who in data.draw(people(world)):
        rights = rights_of(outlook, who)
        for point in world.policy.points.values():
            for alert in range(len(ALERTS)):
                hours = rights.get((point.id, alert), Hours.never())
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
        old, new = (rights_of(Outlook(policy, now), who) for policy in (before.policy, after.policy))
        for point in before.policy.points:
            lost = {
                alert for alert in range(len(ALERTS)) if (point, alert) in old and (point, alert) not in new
            }
            named = [told[point, holder] for holder in who.holders if (point, holder) in told]
            assert [one.lost for one in named] == ([lost] * len(who.holders) if lost else [])
            assert not any(one.gained or one.other_hours for one in named)


# -- hours, call-ups and rules on trial -------------------------------------------------------------------------------

CLOCKWORK = (Rule.HOURS, Rule.NARROW_PROFILES, Rule.EVENTS, Rule.CALL_UPS, Rule.PIN, Rule.LEVELS)
ON_TRIAL = [
    Reason.OUT_OF_TIME_RANGE.code, Reason.THREAT_LEVEL.code, Reason.NOT_CALLED_UP.code, Reason.PIN_MISSING.code,
]  # fmt: skip
ZONE = ZoneInfo(AMSTERDAM)
BEGINNINGS = (0, 60, 120, 150, 180, 480, 720, 1020, 1439)
"""Minutes of a day at which windows begin or end: what is so there is so until the next."""


@st.composite
def on_trial(draw: st.DrawFn, world: World) -> World:
    """The same site, with some of the rules that ask the clock only reported."""
    shadow = frozenset(draw(st.lists(st.sampled_from(ON_TRIAL), max_size=2)))
    return world.but(rules=replace(world.written.rules, shadow=shadow))


@st.composite
def reservists(draw: st.DrawFn, world: World) -> list[Subject]:
    """Two of some tenant, of whom one may be a reservist and one may have a PIN."""
    found = []
    tenant = draw(st.sampled_from(world.written.tenants)).id
    for number in range(2):
        kind = draw(st.sampled_from([HolderKind.RESERVIST, HolderKind.RESERVIST, HolderKind.STAFF]))
        pin = draw(st.sampled_from([None, PinRecord(salt=bytes(16), digest=bytes(32), duress=None)]))
        badge = replace(draw(badges(tenant, frozenset())), id=BadgeId(f"{number:032x}"))
        holder = replace(draw(holders(tenant, frozenset(), world.rules)), kind=kind, pin=pin)
        found.append((replace(holder, id=HolderId(f"person-{number}")), badge, 1))
    return subjects(found, [world.policy])


def edges(begin: datetime, sites: Iterable[World]) -> list[datetime]:
    """The instants from one on at which anything may change, whatever the hours of these sites: all their edges."""
    rules = [world.written.rules for world in sites]
    periods = [one for each in rules for one in (*each.events, *each.call_ups)]
    bounds = {bound for one in periods for bound in (one.since, one.until)}
    days = {day for world in sites for schedule in world.written.schedules for day in schedule.special_days}
    # A weekday that is special, or cut short, comes again as it is within the week after.
    begun = {bound.astimezone(ZONE).date() for bound in (*bounds, begin)} | days
    weeks = {day + timedelta(days=further) for day in begun for further in range(8)}
    found = {
        datetime(day.year, day.month, day.day, minute // 60, minute % 60, fold=fold, tzinfo=ZONE).astimezone(
            UTC
        )
        for day in weeks
        for minute in BEGINNINGS
        for fold in (0, 1)
    }
    return sorted(at for at in found | bounds | {begin} if at >= begin)


def grants(world: World, who: Subject, point: Any, alert: int, now: datetime) -> bool:
    """What the plain reference says of somebody who typed their PIN, if they have one."""
    facts = Facts(
        badge=who.badge,
        badge_state=BadgeState.ACTIVE,
        assurance=who.badge.assurance if who.holder.pin is None else Assurance.KEY_BOUND_AND_VERIFIED,
        findings=(),
        holder=who.holder,
        holder_unproven=False,
        epoch=who.epoch,
        whereabouts=None,
        alert=alert,
        lockdowns=frozenset(),
        past=Past(factor=Factor.NONE if who.holder.pin is None else Factor.RIGHT),
    )
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
    return answer(world.written, world.agreements, facts, request, now).granted


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_hours_are_those_of_call_ups_and_of_the_rules_that_are_enforced(data: st.DataObject):
    world = data.draw(on_trial(data.draw(worlds(among=CLOCKWORK, least=2))))
    now = data.draw(local_instants())
    point = data.draw(st.sampled_from(world.written.access_points))
    alert = data.draw(st.integers(0, len(ALERTS) - 1))
    outlook = Outlook(world.policy, now)
    for who in data.draw(reservists(world)):
        hours = rights_of(outlook, who).get((point.id, alert), Hours.never())
        instants = edges(now, [world])
        granted = [at for at in instants if grants(world, who, point, alert, at)]
        assert granted == [at for at in instants if open_at(hours, at)]
        assert bool(hours) is bool(granted)


def changed_clockwork(draw: Callable[[Any], Any], before: World) -> World:
    """The same site with other hours, periods, or rules on trial."""
    other = draw(on_trial(draw(worlds(among=CLOCKWORK, least=2))))
    rules, others = before.written.rules, other.written.rules
    schedules = {schedule.id: schedule for schedule in other.written.schedules}
    changes: dict[str, Any] = {
        "schedules": tuple(schedules.get(one.id, one) for one in before.written.schedules),
        "call_ups": others.call_ups,
        "shadow": others.shadow,
        "events": tuple(replace(one, zones=event.zones) for one in others.events for event in rules.events),
    }
    name = draw(st.sampled_from(sorted(changes)))
    if name == "schedules":
        return before.but(schedules=changes[name])
    return before.but(rules=replace(rules, **{name: changes[name]}))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_plan_tells_who_gains_who_loses_and_whose_hours_are_others_and_of_nobody_else(data: st.DataObject):
    before = data.draw(on_trial(data.draw(worlds(among=CLOCKWORK, least=2))))
    after = changed_clockwork(data.draw, before)
    now = data.draw(local_instants())
    everybody = data.draw(reservists(before))
    told = {
        (one.access_point, holder): (one.gained, one.lost, one.other_hours)
        for one in differences(before.policy, after.policy, everybody, now=now)
        for holder in one.holders
    }
    point = data.draw(st.sampled_from(before.written.access_points))
    instants = edges(now, [before, after])
    for who in everybody:
        gained, lost, other = set(), set(), set()
        for alert in range(len(ALERTS)):
            was, will = (
                [grants(world, who, point, alert, at) for at in instants] for world in (before, after)
            )
            gained |= {alert} if any(will) and not any(was) else set()
            lost |= {alert} if any(was) and not any(will) else set()
            other |= {alert} if any(was) and any(will) and was != will else set()
        nothing: tuple[set[int], ...] = (set(), set(), set())
        for holder in who.holders:
            assert told.get((point.id, holder), nothing) == (gained, lost, other)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hours_joined_met_and_taken_away_are_those_instants(data: st.DataObject):
    world = data.draw(worlds(among=[Rule.HOURS, Rule.EVENTS, Rule.CALL_UPS], least=3))
    now = data.draw(local_instants())
    rules = world.written.rules
    some = [Hours.of(schedule) for schedule in world.written.schedules]
    some += [Hours.between(one.since, one.until) for one in (*rules.events, *rules.call_ups)]
    one, other = data.draw(st.sampled_from(some)), data.draw(st.sampled_from(some))
    instants = edges(now, [world])
    mine, theirs = ([open_at(hours, at) for at in instants] for hours in (one, other))
    for joined, wanted in (
        (one | other, [a or b for a, b in zip(mine, theirs, strict=True)]),
        (one & other, [a and b for a, b in zip(mine, theirs, strict=True)]),
        (one - other, [a and not b for a, b in zip(mine, theirs, strict=True)]),
    ):
        left = joined.after(now.timestamp(), ZONE)
        assert [open_at(joined, at) for at in instants] == wanted
        assert [open_at(left, at) for at in instants] == wanted
        assert bool(left) is any(wanted)
    ends = [hours.after(now.timestamp(), ZONE) for hours in (one, other)]
    assert ends[0].is_same(ends[1], now.timestamp()) is (mine == theirs)


# -- who is alike -----------------------------------------------------------------------------------------------------


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
        for right, hours in rights_of(Outlook(policy, now), who).items():
            found[right] = found.get(right, Hours.never()) | hours
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
