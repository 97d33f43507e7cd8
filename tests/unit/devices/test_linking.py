"""What a gate says of its link: that it is there, once a minute and when that is news; and the will that says that it is not."""

from datetime import timedelta
from typing import Any

import pytest

from devices.core.events import BeaconReceived, Bequeath, LinkDown, LinkUp, Retain, SnapshotReceived
from gatekeeper import cose
from gatekeeper.core.hearing import read_link
from gatekeeper.core.trust import Use
from gatekeeper.model.messages import LINK_PERIOD, LINK_TYPE, Link
from gatekeeper.model.topics import PREFIX, Channel
from tests.unit.devices.ground import BOOT, GATE, NEXT_BOOT, NOON, Talk, topic
from tests.unit.devices.solitude import Lonely


def said(talk: Talk) -> list[Link]:
    """What it said since it was asked last, wills too; all of it signed for its own topic."""
    found = []
    for effect in talk.linked:
        assert effect.topic == topic(Channel.LINK)
        read = read_link(effect.topic, effect.payload, trust=talk.service.trust, prefix=PREFIX)
        assert isinstance(read, tuple), read
        gate, link = read
        assert gate == GATE
        # What is said is up, what is left behind is down.
        assert link.up is isinstance(effect, Retain)
        found.append(link)
    talk.linked.clear()
    return found


def will(connection: int, **changes: Any) -> Link:
    return Link(
        **{"boot": BOOT, "connection": connection, "up": False, "snapshot": None, "beacon": None} | changes
    )


def beacon(talk: Talk, after: float) -> None:
    """The beacon that was made so many seconds after noon."""
    talk.happens(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=after))))


def started(talk: Talk | None = None) -> Talk:
    talk = talk or Talk()
    talk.happens(talk.started)
    return talk


def test_a_will_is_left_before_the_first_connection():
    talk = started()
    assert [type(effect) for effect in talk.linked] == [Bequeath]
    assert said(talk) == [will(1)]


def test_a_gate_that_is_linked_says_so_when_it_hears_the_service_and_not_before():
    talk = started()
    said(talk)
    talk.happens(LinkUp())
    assert said(talk) == []
    beacon(talk, 0)
    [up] = said(talk)
    assert (up.boot, up.connection, up.up, up.snapshot) == (BOOT, 1, True, None)
    newest = talk.controller._beacons.newest
    assert newest is not None
    assert up.beacon == newest.value


def test_a_beacon_without_a_link_makes_it_say_nothing():
    talk = started()
    said(talk)
    beacon(talk, 0)
    assert said(talk) == []


def test_what_is_said_is_said_again_with_the_beacon_of_then_before_a_minute_is_over():
    talk = started()
    talk.happens(LinkUp())
    beacon(talk, 0)
    said(talk)
    spoken = []
    for after in range(10, 190, 10):
        talk.passes(10)
        beacon(talk, after)
        spoken += [after for _ in said(talk)]
    gaps = [later - earlier for earlier, later in zip([0, *spoken], spoken, strict=False)]
    assert spoken
    assert max(gaps) <= LINK_PERIOD.total_seconds()
    assert min(gaps) > LINK_PERIOD.total_seconds() / 2


def test_a_beacon_that_is_repeated_or_forged_is_no_reason_to_say_anything():
    talk = started()
    talk.happens(LinkUp())
    beacon(talk, 0)
    said(talk)
    talk.passes(120)
    beacon(talk, 0)
    talk.happens(BeaconReceived(talk.service.beacon(issued=NOON + timedelta(seconds=120), key=talk.key)))
    assert said(talk) == []


def test_the_next_connection_has_another_number_and_its_will_is_left_while_there_is_none():
    talk = started()
    talk.happens(LinkUp())
    beacon(talk, 0)
    said(talk)
    talk.happens(LinkDown())
    assert said(talk) == [will(2)]
    talk.passes(5)
    talk.happens(LinkUp())
    [up] = said(talk)
    assert (up.connection, up.up) == (2, True), "the beacon is fresh still, so it need not wait for the next"


def test_after_a_start_the_boot_is_another():
    talk = started()
    said(talk)
    talk.restarts(talk.controller.remembered)
    assert said(talk) == [will(1, boot=NEXT_BOOT)]


def test_a_snapshot_that_is_taken_is_said_at_once_and_one_that_is_refused_is_not():
    talk = Lonely.provided()
    first = said(talk)[-1]
    assert first.snapshot is not None
    held = talk.snapshot(version=101)
    talk.happens(SnapshotReceived(held))
    [news] = said(talk)
    assert news.snapshot not in {None, first.snapshot}
    talk.happens(SnapshotReceived(held))
    talk.happens(SnapshotReceived(talk.snapshot(version=1)))
    assert said(talk) == []


@pytest.mark.parametrize("how", ["another key", "another topic", "another typ", "a key of the service"])
def test_what_another_said_is_not_believed(how: str):
    talk = started()
    [bequest] = talk.linked
    payload = cose.verify(
        bequest.payload,
        keys=talk.service.trust.gates,
        typ=LINK_TYPE,
        use=Use.GATE,
        external_aad=bequest.topic.encode(),
    )
    assert isinstance(payload, cose.Verified)
    key = talk.service.decision if how == "a key of the service" else talk.key
    key = cose.SigningKey.generate() if how == "another key" else key
    wire = cose.sign(
        payload.payload,
        key=key,
        typ="application/pacs-hello+cose" if how == "another typ" else LINK_TYPE,
        external_aad=b"gk/v1/assen/side-gate/link" if how == "another topic" else bequest.topic.encode(),
    )
    assert not isinstance(read_link(bequest.topic, wire, trust=talk.service.trust, prefix=PREFIX), tuple)
