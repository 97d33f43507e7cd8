"""What time it is: never earlier than what was signed, never from a clock that is doubted, and no broker turns it back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.events import WallTime
from devices.core.timekeeping import TOLERANCE, ClockDoubt, Timekeeping
from gatekeeper.model.messages import ClockQuality

NOON = datetime(2026, 6, 3, 10, tzinfo=UTC)
RIGHT = ClockQuality.FREE_RUNNING
seconds = st.integers(-10_000_000, 10_000_000).map(lambda number: timedelta(seconds=number / 100))
instants = seconds.map(NOON.__add__)
monotonic = st.floats(0, 100_000, allow_nan=False)
words = st.lists(st.tuples(monotonic, instants), max_size=8).map(
    lambda found: sorted(found, key=lambda one: one[0])
)


def heard(words: list[tuple[float, datetime]], *, known: datetime | None = None) -> Timekeeping:
    time = Timekeeping(known=known)
    for at, issued in words:
        time.heard(issued, at=at)
    return time


@given(words, instants, monotonic, st.sampled_from(ClockQuality))
def test_whatever_time_it_is_it_is_not_before_anything_that_was_signed(
    words: list[tuple[float, datetime]], wall: datetime, later: float, quality: ClockQuality
):
    at = max([at for at, _ in words], default=0.0) + later
    now = heard(words).tell(WallTime(wall, quality), at=at)
    if isinstance(now, datetime):
        assert all(now >= issued - timedelta(microseconds=1) for _, issued in words)
        assert abs(now - wall) <= TOLERANCE
        assert quality is not ClockQuality.NONE


@given(words, st.tuples(monotonic, instants), st.integers(0, 7))
def test_a_word_that_comes_again_late_makes_it_no_earlier(
    words: list[tuple[float, datetime]], last: tuple[float, datetime], which: int
):
    if not words:
        return
    at = max(one for one, _ in words) + last[0]
    once, again = heard(words), heard([*words, (at, words[which % len(words)][1])])
    assert once.known == again.known
    for wall in (words[-1][1], last[1]):
        shown = WallTime(wall, RIGHT)
        before, after = once.tell(shown, at=at), again.tell(shown, at=at)
        if isinstance(before, datetime) and isinstance(after, datetime):
            assert after >= before - timedelta(microseconds=1)


@given(words, instants, monotonic)
def test_more_words_never_turn_it_back(words: list[tuple[float, datetime]], issued: datetime, later: float):
    at = max([at for at, _ in words], default=0.0) + later
    fewer, more = heard(words), heard([*words, (at, issued)])
    assert more._signed is not None
    assert fewer._signed is None or more._signed.counted_to(at) >= fewer._signed.counted_to(at)


@given(seconds, monotonic, monotonic)
def test_a_clock_that_leaps_against_the_monotonic_one_is_doubted(leap: timedelta, first: float, later: float):
    time = Timekeeping()
    time.seen(WallTime(NOON, RIGHT), at=first)
    shown = WallTime(NOON + timedelta(seconds=later) + leap, RIGHT)
    said = time.doubt(shown, at=first + later)
    if abs(leap) > TOLERANCE + timedelta(seconds=1):
        assert said is ClockDoubt.APART
    elif abs(leap) < TOLERANCE - timedelta(seconds=1):
        assert said is None


@pytest.mark.parametrize("wall", [None, WallTime(NOON, ClockQuality.NONE)], ids=["no clock", "never set"])
def test_without_a_clock_nobody_knows(wall: WallTime | None):
    assert heard([(0.0, NOON)]).tell(wall, at=1.0) is ClockDoubt.NONE


def test_a_clock_before_what_a_former_boot_heard_is_behind():
    time = Timekeeping(known=NOON)
    for early, said in ((60, None), (61, ClockDoubt.BEHIND)):
        assert time.doubt(WallTime(NOON - timedelta(seconds=early), RIGHT), at=0.0) is said


def test_what_the_service_signed_is_the_time_and_the_wall_clock_must_only_agree():
    time = heard([(100.0, NOON)])
    wall = WallTime(NOON + timedelta(seconds=95), RIGHT)
    assert time.tell(wall, at=150.0) == NOON + timedelta(seconds=50)
    assert time.tell(wall, at=30_000.0) is ClockDoubt.APART
