"""Names, topics, places, people: the small nouns, at their edges."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatekeeper.model.ids import AccessPointId, GateId, SiteId, TenantId, ZoneId, is_name
from gatekeeper.model.people import Agreement, HolderKind, Names
from gatekeeper.model.places import AccessPoint, Direction
from gatekeeper.model.topics import (
    Channel,
    GateTopic,
    beacon_topic,
    checkpoint_topic,
    gate_topic,
    read_gate_topic,
    upward_filters,
)

FORT, FRONT = SiteId("fort"), GateId("front")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


# -- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "0", "-", "front-in", "a" * 32, "johan-willem-friso"])
def test_a_name_is_1_to_32_of_small_letters_digits_and_hyphens(text: str):
    assert is_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 33,
        "A",
        "a b",
        "a_b",
        "a.b",
        "a/b",
        "a+",
        "#",
        "+",
        "é",
        "a\n",
        "\na",
        "a\0",
        "٣",
        "\uff41",
        "$sys",
    ],
)
def test_what_a_broker_a_file_system_or_a_certificate_reads_otherwise_is_no_name(text: str):
    assert not is_name(text)


# -- topics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("prefix", ["gk", "north"])
def test_a_topic_is_read_as_it_was_spelled(channel: Channel, prefix: str):
    topic = gate_topic(FORT, FRONT, channel, prefix=prefix)
    assert topic == f"{prefix}/v1/fort/front/{channel.value}"
    assert read_gate_topic(topic, prefix=prefix) == GateTopic(FORT, FRONT, channel)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "gk",
        "gk/v1/fort/front",
        "gk/v1/fort/front/scan/",
        "/gk/v1/fort/front/scan",
        "gk/v1/fort/front/SCAN",
        "gk/v1/fort/front/scan ",
        "gk/v1/fort/front/",
        "gk/v1/fort/+/scan",
        "gk/v1/#/front/scan",
        "gk/v1/Fort/front/scan",
        "gk/v1/fort/Front/scan",
        "gk/v1//front/scan",
        "gk/v10/fort/front/scan",
        "gks/v1/fort/front/scan",
        "$share/gk/v1/fort/front/scan",
        "gk/v1/fort/beacon",
        "gk/v1/fort/checkpoint",
    ],
)
def test_any_other_topic_is_no_gates(topic: str):
    assert read_gate_topic(topic) is None


def test_the_owner_of_a_site_hears_what_its_gates_say_and_not_what_itself_says():
    assert upward_filters(FORT, prefix="north") == tuple(
        f"north/v1/fort/+/{channel}" for channel in ("scan", "passage", "status", "hello", "journal")
    )


@pytest.mark.parametrize(("name", "spell"), [("beacon", beacon_topic), ("checkpoint", checkpoint_topic)])
def test_a_topic_for_every_gate_is_no_gates(name: str, spell: Callable[[SiteId], str]):
    """Nor can a gate be named so that its topics meet it: they have one level more."""
    assert spell(FORT) == f"gk/v1/fort/{name}"
    assert read_gate_topic(spell(FORT)) is None
    for channel in Channel:
        assert gate_topic(FORT, GateId(name), channel) != spell(FORT)


# -- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "protected"), [(Direction.IN, "yard"), (Direction.OUT, "outside")])
def test_the_inner_zone_is_protected_in_both_directions(direction: Direction, protected: str):
    point = AccessPoint(
        id=AccessPointId("front"),
        names=Names(en="Front", nl="Voor"),
        gate=FRONT,
        source=ZoneId("outside"),
        target=ZoneId("yard"),
        direction=direction,
        unlock=timedelta(seconds=4),
    )
    assert point.protected == protected
    turned = replace(point, source=point.target, target=point.source)
    assert turned.protected != protected


# -- people -----------------------------------------------------------------------------------------------------------


def test_an_agreement_is_in_force_from_its_first_instant_to_before_its_last():
    agreement = Agreement(
        tenant=TenantId("school"),
        ceiling=2,
        zones=frozenset(),
        since=NEW_YEAR,
        until=NEW_YEAR + timedelta(days=1),
        badge_life=timedelta(days=1),
    )
    instant = timedelta(microseconds=1)
    assert agreement.in_force(agreement.since)
    assert agreement.in_force(agreement.until - instant)
    assert not agreement.in_force(agreement.since - instant)
    assert not agreement.in_force(agreement.until)


def test_kinds_of_holders_keep_the_numbers_that_badges_carry():
    """A kind may be added at the end; one that moved would make every badge another's."""
    assert {kind.value: kind.number for kind in HolderKind} == {
        "staff": 0,
        "contractor": 1,
        "visitor": 2,
        "reservist": 3,
        "vehicle": 4,
    }
