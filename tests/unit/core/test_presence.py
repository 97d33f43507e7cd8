"""Presence is a fold: each step alone, and what a step does not touch."""

from datetime import UTC, datetime

from gatekeeper.core.presence import Presence, Quality, confirmed, granted, put_back
from gatekeeper.model.ids import AccessPointId, HolderId, ZoneId

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
OUTSIDE, YARD, SHED = ZoneId("outside"), ZoneId("yard"), ZoneId("shed")


def entering(before: Presence | None, target: ZoneId, *, seq: int, host: str | None = None) -> Presence:
    return granted(
        before,
        holder=HolderId("sergeant"),
        target=target,
        access_point=AccessPointId(f"{target}-in"),
        at=NOON,
        seq=seq,
        outside=OUTSIDE,
        host=None if host is None else HolderId(host),
    )


def test_a_grant_says_where_somebody_is_now():
    first = entering(None, YARD, seq=3)
    assert first == Presence(
        holder=HolderId("sergeant"),
        zone=YARD,
        since=NOON,
        quality=Quality.GRANTED,
        access_point=AccessPointId("yard-in"),
        seq=3,
    )
    second = entering(first, SHED, seq=4)
    assert (second.zone, second.access_point) == (SHED, "shed-in")


def test_the_contact_makes_the_same_grant_sure():
    grant = entering(entering(None, YARD, seq=3), SHED, seq=4)
    taken = confirmed(grant, grant=4, seq=5)
    assert taken is not None
    assert (taken.zone, taken.quality, taken.since, taken.seq) == (SHED, Quality.TAKEN, NOON, 5)
    assert taken.access_point == "shed-in"


def test_who_did_not_pass_is_before_the_door_since_they_badged_there():
    for before in (None, entering(None, OUTSIDE, seq=3)):
        back = put_back(entering(before, SHED, seq=4), grant=4, source=YARD, seq=5)
        assert back is not None
        assert (back.zone, back.seq) == (YARD, 5)
        assert (back.access_point, back.since, back.quality) == ("shed-in", NOON, Quality.TAKEN)


def test_a_host_answers_for_a_visitor_until_they_are_outside():
    inside = entering(None, YARD, seq=3, host="corporal")
    taken = confirmed(inside, grant=3, seq=4)
    assert taken is not None
    assert taken.host == "corporal"
    deeper = entering(inside, SHED, seq=4)
    assert (inside.host, deeper.host) == ("corporal", "corporal")
    out = entering(deeper, OUTSIDE, seq=5)
    assert out.host is None
    assert entering(out, YARD, seq=6).host is None


def test_who_did_not_pass_is_the_visitor_of_whom_they_were():
    inside = entering(None, YARD, seq=3, host="corporal")
    with_another = entering(inside, SHED, seq=4, host="captain")
    out = entering(inside, OUTSIDE, seq=4)
    for grant, host in ((with_another, "captain"), (out, None)):
        back = put_back(grant, grant=4, source=YARD, seq=5)
        assert back is not None
        assert (grant.host, back.host, back.zone) == (host, "corporal", YARD)


def test_a_grant_that_is_not_the_last_word_moves_nobody():
    last = entering(entering(None, YARD, seq=3), SHED, seq=4)
    taken = confirmed(last, grant=4, seq=5)
    for before, grant in ((None, 3), (last, 3), (last, 5), (taken, 4)):
        assert confirmed(before, grant=grant, seq=9) is None
        assert put_back(before, grant=grant, source=YARD, seq=9) is None


def test_the_words_for_how_sure_we_are_are_the_contracts():
    assert [quality.value for quality in Quality] == ["granted", "taken", "forced", "operator"]
