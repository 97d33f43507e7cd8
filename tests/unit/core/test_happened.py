"""When what an entry tells of happened: by the gate's clock where that is believed, and never after it was logged."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.audit import Kind, timestamp
from gatekeeper.core.happened import Clock, Happened, earliest, happened, happened_at
from gatekeeper.model.messages import ClockQuality

LOGGED = datetime(2026, 6, 3, 10, 0, 1, tzinfo=UTC)
HOURS_AGO = LOGGED - timedelta(hours=8)
MONTH_AGO, LONGER_AGO = LOGGED - timedelta(days=31), LOGGED - timedelta(days=31, microseconds=1)
LATER = LOGGED + timedelta(microseconds=1)
NONE, FREE, SYNCED = ClockQuality


def by_log() -> Happened:
    return Happened(at=LOGGED, clock=Clock.LOG, logged=LOGGED)


@pytest.mark.parametrize(
    ("gate_at", "clock", "at", "by"),
    [
        (None, SYNCED, LOGGED, Clock.LOG),
        (HOURS_AGO, NONE, LOGGED, Clock.LOG),
        (LOGGED, NONE, LOGGED, Clock.LOG),
        (HOURS_AGO, FREE, HOURS_AGO, Clock.FREE_RUNNING),
        (HOURS_AGO, SYNCED, HOURS_AGO, Clock.SYNCHRONISED),
        (LOGGED, FREE, LOGGED, Clock.FREE_RUNNING),
        (LATER, FREE, LOGGED, Clock.LOG),
        (LATER, SYNCED, LOGGED, Clock.LOG),
        (MONTH_AGO, FREE, MONTH_AGO, Clock.FREE_RUNNING),
        (LONGER_AGO, FREE, LOGGED, Clock.LOG),
        (LONGER_AGO, SYNCED, LONGER_AGO, Clock.SYNCHRONISED),
        (datetime(1970, 1, 1, tzinfo=UTC), FREE, LOGGED, Clock.LOG),
    ],
)
def test_a_gates_clock_is_believed_as_far_as_the_log_allows(
    gate_at: datetime | None, clock: ClockQuality, at: datetime, by: Clock
):
    found = happened_at(logged=LOGGED, gate_at=gate_at, clock=clock)
    assert found == Happened(at=at, clock=by, logged=LOGGED)


def test_the_earliest_is_what_the_gate_says_however_little_its_clock_is_worth():
    assert earliest(logged=LOGGED, gate_at=LONGER_AGO, clock=FREE) == LONGER_AGO
    assert earliest(logged=LOGGED, gate_at=LATER, clock=SYNCED) == LOGGED
    assert earliest(logged=LOGGED, gate_at=LONGER_AGO, clock=NONE) == LOGGED
    assert earliest(logged=LOGGED, gate_at=None, clock=SYNCED) == LOGGED


@pytest.mark.parametrize(("seconds", "late"), [(0, False), (5, False), (5.001, True), (28_800, True)])
def test_both_times_are_to_be_shown_when_they_are_more_than_a_few_seconds_apart(
    seconds: float, *, late: bool
):
    told = LOGGED - timedelta(seconds=seconds)
    assert happened_at(logged=LOGGED, gate_at=told, clock=FREE).is_late is late


# -- of an entry ------------------------------------------------------------------------------------------------------

TOLD_BY_GATES = {kind for kind in Kind if kind.startswith(("passage.", "access.offline-"))} | {
    Kind.GATE_STATUS,
    Kind.GATE_HELLO,
}


def body(kind: str = Kind.PASSAGE_TAKEN, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "gate_at": timestamp(HOURS_AGO), "clock": "free_running", **fields}


@pytest.mark.parametrize("kind", Kind)
def test_what_a_gate_tells_happened_then_and_what_the_service_decided_when_it_did(kind: Kind):
    found = happened(body(kind), logged=LOGGED)
    assert found.at == (HOURS_AGO if kind in TOLD_BY_GATES else LOGGED)


@pytest.mark.parametrize("quality", ClockQuality)
def test_every_worth_of_a_clock_is_read_from_an_entry_as_it_is_written(quality: ClockQuality):
    found = happened(body(clock=quality.name.lower()), logged=LOGGED)
    assert found == happened_at(logged=LOGGED, gate_at=HOURS_AGO, clock=quality)


@pytest.mark.parametrize(
    "fields",
    [
        {"gate_at": None},
        {"gate_at": 7},
        {"gate_at": "yesterday"},
        {"gate_at": "2026-06-03T02:00:01"},
        {"gate_at": "2026-06-03T04:00:01.000000+02:00"},
        {"gate_at": "0001-01-01T00:00:00+14:00"},
        {"gate_at": "1969-12-31T23:59:59.999999Z", "clock": "synchronised"},
        {"clock": "perfect"},
        {"clock": None},
        {"clock": ["free_running"]},
        {"kind": ["passage.taken"]},
        {"kind": None},
    ],
)
def test_an_entry_that_says_it_in_other_words_says_nothing_of_it(fields: dict[str, Any]):
    assert happened({**body(), **fields}, logged=LOGGED) == by_log()


@given(milliseconds=st.integers(0, 1 << 45), clock=st.sampled_from(ClockQuality))
def test_nothing_happened_after_it_was_logged(milliseconds: int, clock: ClockQuality):
    gate_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    found = happened(body(gate_at=timestamp(gate_at), clock=clock.name.lower()), logged=LOGGED)
    assert found.at <= LOGGED
    assert found == happened_at(logged=LOGGED, gate_at=gate_at, clock=clock)
