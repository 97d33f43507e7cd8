"""What a gate may do alone is never more than the site would let it do, on any generated site, for anybody, at any instant."""

from bisect import bisect_right
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from gatekeeper.core.decide import decide
from gatekeeper.core.facts import Factor, Facts, GuardsWord, Past, Request
from gatekeeper.core.snapshots import Bearer, Beforehand, alone_at
from gatekeeper.model.badges import BadgeState
from gatekeeper.model.ids import ScheduleId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Names
from gatekeeper.model.policy import Grant
from gatekeeper.model.rules import Offline, SecondFactor, Unseen
from gatekeeper.model.schedule import Schedule, Window
from gatekeeper.model.snapshot import Snapshot
from tests.support.rules_situations import Situation, situations
from tests.support.rules_worlds import OF_THE_PAST, Rule, World, worlds

HORIZON = timedelta(days=2)
SECOND = timedelta(seconds=1)
ALONE = [rule for rule in Rule if rule is not Rule.OFFLINE]
OF_TIME = [
    Rule.HOURS, Rule.NARROW_PROFILES, Rule.AGREEMENTS, Rule.EVENTS, Rule.CALL_UPS, Rule.CERTIFICATES, Rule.PIN, Rule.INACTIVITY,
]  # fmt: skip
OFFICES = st.builds(
    lambda day, sunday, special: Schedule(
        id=ScheduleId("office"),
        names=Names(en="office", nl="kantoor"),
        week=(day,) * 6 + (sunday,),
        special_days=frozenset({date(2026, 4, 27), date(2026, 3, 29)}),
        special=special,
    ),
    *3
    * [st.sampled_from([(Window(480, 1020),), (Window(0, 150), Window(180, 1440)), (Window(60, 179),), ()])],
)
EXAMPLES = settings(max_examples=200)


@st.composite
def lonely(draw: st.DrawFn, *, among: list[Rule]) -> World:
    """A site whose gates may be alone; often one where every right has hours."""
    of_time = [rule for rule in OF_TIME if rule in among]
    world = draw(worlds(among=among, most=5) | worlds(among=of_time, least=2, most=5))
    longest = draw(st.sampled_from([timedelta(hours=1), timedelta(days=1)]))
    offline = Offline(longest=longest, unseen=draw(st.sampled_from(Unseen)))
    office = draw(OFFICES)
    pin = SecondFactor(schedule=office.id) if draw(st.booleans()) and Rule.PIN in among else None
    zones = tuple(
        replace(
            zone, rules=replace(zone.rules, offline=offline, second_factor=pin or zone.rules.second_factor)
        )
        for zone in world.written.zones
    )
    written = replace(world.written, zones=zones, schedules=(*world.written.schedules, office))
    if draw(st.booleans()):
        grants = tuple(
            Grant(zone=zone.id, access_point=None, schedule=office.id, highest_alert=2) for zone in zones[:2]
        )
        written = replace(
            written, profiles=tuple(replace(profile, grants=grants) for profile in written.profiles)
        )
    return replace(world, written=written)


def bearer_of(said: Situation) -> Bearer | None:
    """Who stands there, if theirs is a badge that a snapshot is made for."""
    badge, holder, facts = said.facts.badge, said.facts.holder, said.facts
    if (
        badge is None
        or holder is None
        or facts.badge_state is not BadgeState.ACTIVE
        or holder.tenant != badge.tenant
    ):
        return None
    return Bearer(
        badge=badge, holder=holder, epoch=facts.epoch, last_used=facts.past.last_used, token=b"token"
    )


def asked_from(world: World, since: datetime, *, alert: int) -> Beforehand:
    return Beforehand(policy=world.policy, alert=alert, since=since, until=since + HORIZON)


def snapshot_of(world: World, said: Situation, *, before: timedelta) -> Snapshot | None:
    """The snapshot of the gate that is asked, made a while before; None for a badge that none is made for."""
    bearer, since = bearer_of(said), said.now - before
    if bearer is None:
        return None
    asked = asked_from(world, since, alert=said.facts.alert)
    gate = world.policy.points[said.request.access_point].gate
    return asked.snapshot(gate, asked.crowds([bearer]), version=7, issued=since)


def lets_in(snapshot: Snapshot, said: Situation, now: datetime) -> bool:
    """What a gate reads in a snapshot, of a badge that is real."""
    assert said.facts.badge is not None
    found, point = snapshot.find(said.facts.badge.id), said.request.access_point
    if found is None or point not in found[1].hours:
        return False
    return bisect_right(snapshot.hours[found[1].hours[point]], now.timestamp()) % 2 == 1


def known_alone(facts: Facts, *, unseen: Unseen) -> Facts:
    """The facts as far as they can be known when a gate is alone: nothing is typed, nobody waits, no guard speaks."""
    past = facts.past
    if unseen is Unseen.ACCEPTED:
        past = Past(last_used=past.last_used)
    else:
        past = replace(
            past, factor=Factor.NONE, guard=GuardsWord.NOT_ASKED, company=(), asked=None, locked_until=None
        )
    here = None if unseen is Unseen.ACCEPTED else facts.whereabouts
    return replace(
        facts, findings=(), lockdowns=frozenset(), suspended=frozenset(), whereabouts=here, past=past
    )


def instants(snapshot: Snapshot, said: Situation) -> list[datetime]:
    """Instants at which something may be wrong: when it is asked, every half hour, and around each bound of the hours."""
    bounds = {datetime.fromtimestamp(at, UTC) for stretches in snapshot.hours for at in stretches}
    begin = datetime.fromtimestamp(snapshot.since, UTC)
    regular = {begin + number * timedelta(minutes=30) for number in range(96)}
    found = {
        said.now,
        *regular,
        *(bound + nudge for bound in bounds for nudge in (-SECOND, timedelta(), SECOND)),
    }
    return sorted(at for at in found if snapshot.since <= at.timestamp() < snapshot.until)


@EXAMPLES
@given(st.data(), lonely(among=ALONE), st.sampled_from([timedelta(), timedelta(hours=3), timedelta(days=1)]))
def test_a_gate_that_is_alone_lets_nobody_in_whom_the_site_would_refuse(
    data: st.DataObject, world: World, before: timedelta
):
    said = data.draw(situations(world, most_wrong=2))
    snapshot = snapshot_of(world, said, before=before)
    if snapshot is None or said.facts.badge is None:
        return
    point = world.policy.points[said.request.access_point]
    allowed = alone_at(world.policy, point, alert=said.facts.alert)
    facts = known_alone(
        replace(said.facts, assurance=said.facts.badge.assurance),
        unseen=allowed.unseen if allowed is not None else Unseen.REFUSED,
    )
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
    granted = [at for at in instants(snapshot, said) if lets_in(snapshot, said, at)]
    event(f"granted: {bool(granted)}, stretches: {max(map(len, snapshot.hours), default=0) // 2}")
    for at in granted:
        assert allowed is not None
        assert decide(world.policy, facts, request, at).granted, at


@EXAMPLES
@given(st.data(), lonely(among=[rule for rule in ALONE if rule not in OF_THE_PAST]))
def test_and_lets_everybody_in_whom_the_site_lets_in_by_right_alone(data: st.DataObject, world: World):
    said = data.draw(situations(world, remembered=False, most_wrong=1))
    snapshot = snapshot_of(world, said, before=timedelta(hours=1))
    if snapshot is None or said.facts.badge is None:
        return
    point = world.policy.points[said.request.access_point]
    if alone_at(world.policy, point, alert=said.facts.alert) is None or said.facts.badge.max_uses is not None:
        assert not lets_in(snapshot, said, said.now)
        return
    facts = known_alone(replace(said.facts, assurance=said.facts.badge.assurance), unseen=Unseen.ACCEPTED)
    request = Request(access_point=point.id, gate=point.gate, clock=ClockQuality.SYNCHRONISED)
    for at in instants(snapshot, said):
        ends = (at.replace(microsecond=0), at.replace(microsecond=999_999))
        whole = {decide(world.policy, facts, request, end).granted for end in ends}
        if len(whole) == 1:
            assert {lets_in(snapshot, said, at)} == whole, at


@EXAMPLES
@given(st.data(), lonely(among=ALONE))
def test_a_snapshot_is_read_as_it_was_written(data: st.DataObject, world: World):
    snapshot = snapshot_of(world, data.draw(situations(world, most_wrong=0)), before=timedelta())
    assume(snapshot is not None)
    assert snapshot is not None
    read = Snapshot.read(snapshot.payload())
    assert read == replace(snapshot, issued=read.issued) if isinstance(read, Snapshot) else False


@EXAMPLES
@given(st.data(), lonely(among=ALONE))
def test_what_was_answered_to_others_before_changes_no_answer(data: st.DataObject, world: World):
    said, others = (data.draw(situations(world, most_wrong=1)) for _ in range(2))
    bearer, before = bearer_of(said), bearer_of(others)
    assume(bearer is not None and before is not None)
    assert bearer is not None
    assert before is not None
    gate = world.policy.points[said.request.access_point].gate
    fresh, used = (asked_from(world, said.now, alert=said.facts.alert) for _ in range(2))
    used.snapshot(gate, used.crowds([before]), version=6, issued=said.now)
    made = [
        asked.snapshot(gate, asked.crowds([bearer]), version=7, issued=said.now) for asked in (fresh, used)
    ]
    assert made[0] == made[1]
