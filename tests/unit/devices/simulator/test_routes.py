"""Ways over the ground: the shortest, through doors that understand a person's badge."""

from collections.abc import Iterable

import pytest

from devices.simulator.routes import allowed_points, route
from gatekeeper.model.ids import AccessPointId, ZoneId
from gatekeeper.model.policy import Point
from tests.support.sites import SmallSite


@pytest.fixture
def points() -> dict[AccessPointId, Point]:
    """outside - yard - (shed, school-house, barrack - armoury), and a corridor from school-house to barrack."""
    return dict(SmallSite().flow.policy.points)


def _way(points: Iterable[Point], start: str, goal: str) -> list[str] | None:
    way = route(points, start=ZoneId(start), goal=ZoneId(goal))
    return None if way is None else [point.id for point in way]


@pytest.mark.parametrize(
    ("start", "goal", "way"),
    [
        ("outside", "yard", ["front-in"]),
        ("outside", "armoury", ["front-in", "barrack-in", "armoury-in"]),
        ("armoury", "outside", ["armoury-out", "barrack-out", "front-out"]),
        ("shed", "school-house", ["shed-out", "school-in"]),
        ("school-house", "barrack", ["corridor"]),
        ("school-house", "armoury", ["corridor", "armoury-in"]),
        ("yard", "yard", []),
    ],
)
def test_the_shortest_way_is_taken(start: str, goal: str, way: list[str], points: dict[AccessPointId, Point]):
    assert _way(points.values(), start, goal) == way


def test_each_door_of_a_way_begins_where_the_one_before_it_ended(points: dict[AccessPointId, Point]):
    way = route(points.values(), start=ZoneId("shed"), goal=ZoneId("armoury"))
    assert way is not None
    assert [point.source for point in way] == ["shed", *(point.target for point in way[:-1])]
    assert way[-1].target == "armoury"


@pytest.mark.parametrize("goal", ["nowhere", "armoury"])
def test_there_is_no_way_to_where_no_door_leads(goal: str, points: dict[AccessPointId, Point]):
    del points[AccessPointId("armoury-in")]
    assert _way(points.values(), "outside", goal) is None


def test_a_way_out_does_not_lead_in(points: dict[AccessPointId, Point]):
    outward = [point for point in points.values() if point.leaving]
    assert _way(outward, "barrack", "outside") == ["barrack-out", "front-out"]
    assert _way(outward, "outside", "barrack") is None


def test_stock_readers_know_bare_cards_and_only_they_do(points: dict[AccessPointId, Point]):
    stock = [AccessPointId("shed-in"), AccessPointId("shed-out")]
    bare = {point.id for point in allowed_points(points, stock=stock, bare=True)}
    keyed = {point.id for point in allowed_points(points, stock=stock, bare=False)}
    assert bare == set(stock)
    assert keyed == points.keys() - bare


def test_without_stock_readers_a_bare_card_opens_nothing_and_a_badge_is_understood_everywhere(
    points: dict[AccessPointId, Point],
):
    assert allowed_points(points, stock=(), bare=True) == []
    assert {point.id for point in allowed_points(points, stock=(), bare=False)} == points.keys()
