"""The site's beacon: a new value every ten seconds, known to whoever holds the secret and to nobody else."""

from datetime import UTC, datetime, timedelta

import pytest

from gatekeeper import cose
from gatekeeper.core.trust import Use
from gatekeeper.model.ids import SiteId
from gatekeeper.model.messages import BEACON_BYTES, BEACON_TYPE, Beacon
from gatekeeper.service.engine.beacons import PERIOD, Beacons
from tests.support.sites import NOON, SITE, key_of

SECRET = bytes(range(32))


def _beacons(*, site: SiteId = SITE, secret: bytes = SECRET, key: str = "decision") -> Beacons:
    return Beacons(site=site, secret=secret, key=key_of(key), prefix="gk")


def _read(topic: str, wire: bytes) -> Beacon:
    keys = {key_of("decision").kid: key_of("decision").record(use=Use.DECISION, owner="service")}
    verified = cose.verify(wire, keys=keys, typ=BEACON_TYPE, use=Use.DECISION, external_aad=topic.encode())
    assert not isinstance(verified, cose.Refused), verified
    beacon = Beacon.read(verified.payload)
    assert isinstance(beacon, Beacon)
    return beacon


def test_the_current_value_and_the_two_before_it_count():
    beacons = _beacons()
    values = [beacons.counted(NOON + PERIOD * number)[0] for number in range(5)]
    assert len(set(values)) == 5
    assert beacons.counted(NOON + PERIOD * 4) == (values[4], values[3], values[2])


@pytest.mark.parametrize(
    ("after", "still"),
    [(timedelta(seconds=29, microseconds=999_999), True), (timedelta(seconds=30), False)],
    ids=str,
)
def test_a_value_counts_until_two_others_have_followed_it(after: timedelta, still: bool):  # noqa: FBT001 - a table
    beacons = _beacons()
    value = beacons.counted(NOON)[0]
    assert (value in beacons.counted(NOON + after)) is still


def test_a_value_that_is_yet_to_come_does_not_count():
    beacons = _beacons()
    assert beacons.counted(NOON + PERIOD)[0] not in beacons.counted(NOON)


def test_the_clock_may_step_back():
    beacons = _beacons()
    before = beacons.counted(NOON)
    beacons.counted(NOON + PERIOD * 7)
    assert beacons.counted(NOON) == before


def test_an_engine_that_takes_over_knows_the_values_of_its_predecessor():
    """The scans that were under way are decided: nothing was remembered but the secret."""
    predecessor, successor = _beacons(), _beacons(key="another decision key")
    published = [predecessor.counted(NOON + PERIOD * number)[0] for number in range(3)]
    assert set(successor.counted(NOON + PERIOD * 2)) == set(published)


@pytest.mark.parametrize("other", [_beacons(secret=bytes(32)), _beacons(site=SiteId("castle"))])
def test_another_secret_and_another_site_give_other_values(other: Beacons):
    assert not set(other.counted(NOON)) & set(_beacons().counted(NOON))


def test_what_is_published_is_signed_for_its_topic_and_says_what_counts():
    beacons = _beacons()
    topic, wire = beacons.message(NOON + timedelta(seconds=7))
    assert topic == f"gk/v1/{SITE}/beacon"
    assert _read(topic, wire) == Beacon(
        site=SITE, value=beacons.counted(NOON)[0], issued=datetime(2026, 6, 3, 10, tzinfo=UTC), period=PERIOD
    )
    assert len(beacons.counted(NOON)[0]) == BEACON_BYTES


@pytest.mark.parametrize(
    ("into", "left"),
    [(timedelta(0), PERIOD), (timedelta(seconds=9.5), timedelta(seconds=0.5)), (PERIOD, PERIOD)],
    ids=str,
)
def test_the_next_value_is_due_when_the_current_one_ends(into: timedelta, left: timedelta):
    beacons = _beacons()
    assert beacons.until_next(NOON + into) == left
    due = NOON + into + beacons.until_next(NOON + into)
    assert beacons.counted(due)[0] not in beacons.counted(NOON + into)
