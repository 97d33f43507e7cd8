"""The people and the bridges that stand in a site file, and are no part of its policy."""

from typing import Any

import pytest

from gatekeeper.model.ids import AccessPointId, GateId, ProfileId, TenantId, ZoneId
from gatekeeper.model.people import HolderKind
from gatekeeper.model.site_file import (
    Bridge,
    Population,
    PopulationGroup,
    SiteFileError,
    read_bridges,
    read_population,
)

# -- people and bridges -----------------------------------------------------------------------------------------------

GROUP = {
    "tenant": "army",
    "kind": "staff",
    "count": 3,
    "clearance": 5,
    "assurance": 2,
    "profiles": ["soldier"],
    "routine": "guard",
    "home": "yard",
}
BRIDGE = {"kind": "tasmota", "gate": "shed-reader", "topic": "tele/shed/SENSOR", "access_point": "shed-in"}


def test_people_are_read_as_they_are_written():
    assert read_population({"population": {"seed": 7, "group": [GROUP]}}) == Population(
        seed=7,
        groups=(
            PopulationGroup(
                tenant=TenantId("army"),
                kind=HolderKind.STAFF,
                count=3,
                clearance=5,
                assurance=2,
                profiles=(ProfileId("soldier"),),
                pin=False,
                routine="guard",
                home=ZoneId("yard"),
            ),
        ),
    )
    assert read_population({}) == Population(seed=0, groups=())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "robot"}, "'robot' is none of staff, contractor, visitor, reservist, vehicle"),
        ({"count": -1}, "-1 is no whole number from 0 to 1000000"),
        ({"clearance": 6}, "6 is no whole number from 0 to 5"),
        ({"assurance": 4}, "4 is no whole number from 0 to 3"),
        ({"profiles": ["A B"]}, "'A B' is no name: 1 to 32 of a-z, 0-9 and -"),
        ({"routine": "idle"}, "'idle' is none of day-shift, early-shift, late-shift, student, evening, guard, visitor"),
        ({"name": "x"}, "unknown key 'name'; the keys here are tenant, kind, count, clearance, assurance, profiles, pin, routine, home"),
    ],
)  # fmt: skip
def test_a_group_that_is_none_is_told_with_its_number(wrong: dict[str, Any], sentence: str):
    with pytest.raises(SiteFileError) as refused:
        read_population({"population": {"seed": 7, "group": [GROUP, GROUP | wrong, GROUP]}})
    (key,) = wrong
    assert refused.value.problems == [f"population group 2, {key}: {sentence}"]


def test_problems_of_people_come_back_at_once():
    with pytest.raises(SiteFileError) as refused:
        read_population({"population": {"sead": 7, "group": [GROUP | {"count": "3"}, {}]}})
    assert refused.value.problems == [
        "population, sead: unknown key 'sead'; the keys here are seed, group",
        "population group 1, count: '3' is no whole number from 0 to 1000000",
        *(f"population group 2: {key} is missing" for key in GROUP),
    ]


def test_bridges_are_read_as_they_are_written():
    assert read_bridges({"bridge": [BRIDGE]}) == (
        Bridge(
            kind="tasmota",
            gate=GateId("shed-reader"),
            topic="tele/shed/SENSOR",
            access_point=AccessPointId("shed-in"),
        ),
    )
    assert read_bridges({}) == ()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "telepathy"}, "'telepathy' is none of tasmota"),
        ({"gate": "+"}, "'+' is no name: 1 to 32 of a-z, 0-9 and -"),
        ({"topic": ""}, "a text of 1 to 200 characters is wanted"),
        ({"qos": 1}, "unknown key 'qos'; the keys here are kind, gate, topic, access_point"),
    ],
)
def test_a_bridge_that_is_none_is_told_with_its_number(wrong: dict[str, Any], sentence: str):
    with pytest.raises(SiteFileError) as refused:
        read_bridges({"bridge": [BRIDGE | wrong, BRIDGE]})
    (key,) = wrong
    assert refused.value.problems == [f"bridge 1, {key}: {sentence}"]
