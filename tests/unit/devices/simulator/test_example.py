"""The people of the example site: every one of them reaches home with the badge they carry, and gets out again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devices.simulator.routes import allowed_points, route
from gatekeeper.core.decide import Decision, Facts, Request, decide
from gatekeeper.core.facts import Factor, Past
from gatekeeper.model.badges import Assurance, Badge, BadgeState
from gatekeeper.model.ids import AccessPointId, ZoneId
from gatekeeper.model.messages import ClockQuality
from gatekeeper.model.people import Holder
from gatekeeper.model.policy import Policy, compile_policy
from gatekeeper.model.reasons import Reason
from gatekeeper.model.site_file import read_bridges, read_population, read_site
from gatekeeper.service.administration.population import Person, generate
from tests.support.site_files import example_site

TEN = datetime(2026, 6, 3, 8, tzinfo=UTC)  # ten in the morning of a Wednesday in Assen
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def policy() -> Policy:
    written = read_site(example_site())
    agreements = {tenant.id: tenant.agreement for tenant in written.tenants if tenant.agreement}
    return compile_policy(written, agreements=agreements, sources=(b"the example",))


@pytest.fixture(scope="module")
def people() -> tuple[Person, ...]:
    return generate(read_population(example_site()))


@pytest.fixture(scope="module")
def stock() -> frozenset[AccessPointId]:
    """The access points whose readers know bare cards only."""
    return frozenset(bridge.access_point for bridge in read_bridges(example_site()))


def _facts(person: Person, policy: Policy, *, alert: int) -> Facts:
    """What the service knows of somebody who shows their own, good badge."""
    badge = Badge(
        id=person.badge,
        site=policy.site,
        tenant=person.tenant,
        not_before=TEN - DAY,
        expires=TEN + DAY,
        issued=TEN - DAY,
        ceiling=person.clearance,
        assurance=person.assurance,
        kind=person.kind,
        epoch=1,
        requires_trusted_time=False,
        confirmation=None,
        card=person.card,
        status_index=0,
    )
    holder = Holder(
        id=person.holder,
        tenant=person.tenant,
        kind=person.kind,
        clearance=person.clearance,
        profiles=person.profiles,
        badges=(person.badge,),
        since=TEN - DAY,
        until=TEN + DAY,
        version=1,
    )
    return Facts(
        badge=badge,
        badge_state=BadgeState.ACTIVE,
        assurance=person.assurance,
        findings=(),
        holder=holder,
        holder_unproven=False,
        epoch=1,
        whereabouts=policy.outside,
        alert=alert,
        lockdowns=frozenset(),
        past=Past(factor=Factor.RIGHT if person.has_pin else Factor.NONE),
    )


def _walked(
    person: Person,
    policy: Policy,
    stock: frozenset[AccessPointId],
    *,
    start: ZoneId,
    goal: ZoneId,
    alert: int = 0,
    at: datetime = TEN,
) -> tuple[ZoneId, Decision | None]:
    """Where somebody comes who goes as the simulator lets them go, and the last refusal on the way."""
    facts, here, refused = _facts(person, policy, alert=alert), start, None
    doors = allowed_points(policy.points, stock=stock, bare=person.card is not None)
    while way := route(doors, start=here, goal=goal):
        request = Request(access_point=way[0].id, gate=way[0].gate, clock=ClockQuality.NONE)
        decision = decide(policy, replace(facts, whereabouts=here), request, at)
        if decision.granted:
            here = way[0].target
            continue
        refused = decision
        if decision.reason is not Reason.NO_ACCESS_RIGHTS:
            break
        doors.remove(way[0])
    return here, refused


def test_everybody_reaches_home_at_ten_on_a_working_day_when_all_is_calm(
    policy: Policy, people: tuple[Person, ...], stock: frozenset[AccessPointId]
):
    astray = {}
    for person in people:
        where, why = _walked(person, policy, stock, start=policy.outside, goal=person.home)
        if where != person.home:
            astray[person.holder] = (person.home, where, why)
    assert len(people) == 500
    assert astray == {}


def test_nobody_is_kept_in_by_night_or_by_the_highest_alert(
    policy: Policy, people: tuple[Person, ...], stock: frozenset[AccessPointId]
):
    night, highest = TEN + timedelta(hours=17), len(policy.alert_states) - 1
    kept = {}
    for person in people:
        where, why = _walked(
            person, policy, stock, start=person.home, goal=policy.outside, alert=highest, at=night
        )
        if where != policy.outside:
            kept[person.holder] = (where, why)
    assert kept == {}


def test_a_badge_with_a_key_finds_no_way_to_a_hall_whose_readers_know_cards_only(
    policy: Policy, people: tuple[Person, ...], stock: frozenset[AccessPointId]
):
    """Who lives there carries a card; that the walk above can fail is seen here."""
    warden = next(person for person in people if "municipal-warden" in person.profiles)
    keyed = replace(warden, assurance=Assurance.KEY_BOUND, card=None)
    terms = {"start": policy.outside, "goal": warden.home}
    assert _walked(warden, policy, stock, **terms) == ("sports-hall", None)
    assert _walked(keyed, policy, stock, **terms) == (policy.outside, None)


def test_a_vehicle_goes_round_the_gate_that_is_not_for_it(
    policy: Policy, people: tuple[Person, ...], stock: frozenset[AccessPointId]
):
    vehicle = next(person for person in people if "defence-vehicle" in person.profiles)
    where, refused = _walked(vehicle, policy, stock, start=policy.outside, goal=vehicle.home)
    assert where == vehicle.home
    assert refused is not None
    assert refused.reason is Reason.NO_ACCESS_RIGHTS
