"""Days and times as a registrar writes them, in the site's own time zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.service.administration.instants import read_instant, show_instant, show_time, write_instant

ASSEN = ZoneInfo("Europe/Amsterdam")
EPOCH = datetime.fromtimestamp(0, UTC)
TODAY = date(2026, 11, 25)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2027-12-31", "2027-12-30T23:00", "2027-12-31T23:00"),
        ("31-12-2027", "2027-12-30T23:00", "2027-12-31T23:00"),
        ("1-6-2027", "2027-05-31T22:00", "2027-06-01T22:00"),
        ("2027-06-01T08:30", "2027-06-01T06:30", "2027-06-01T06:30"),
        ("2027-06-01 08:30", "2027-06-01T06:30", "2027-06-01T06:30"),
        ("1-6-2027 8:30", "2027-06-01T06:30", "2027-06-01T06:30"),
        ("2027-06-01T08:30:15", "2027-06-01T06:30:15", "2027-06-01T06:30:15"),
        ("2027-06-01T08:30Z", "2027-06-01T08:30", "2027-06-01T08:30"),
        ("2027-06-01T08:30:00+05:30", "2027-06-01T03:00", "2027-06-01T03:00"),
        (" 2027-12-31 ", "2027-12-30T23:00", "2027-12-31T23:00"),
        ("2027-03-28", "2027-03-27T23:00", "2027-03-28T22:00"),  # a day of 23 hours
        ("2027-10-31", "2027-10-30T22:00", "2027-10-31T23:00"),  # and one of 25
    ],
)
def test_a_day_counts_whole_and_a_time_is_of_the_sites_clock(text: str, begins: str, ends: str):
    assert read_instant(text, ASSEN, ends=False) == utc(begins)
    assert read_instant(text, ASSEN, ends=True) == utc(ends)


def test_of_an_hour_that_comes_twice_a_right_has_the_less():
    twice = "2027-10-31T02:30"
    assert read_instant(twice, ASSEN, ends=True) == utc("2027-10-31T00:30")
    assert read_instant(twice, ASSEN, ends=False) == utc("2027-10-31T01:30")


def test_of_a_day_written_the_dutch_way_the_day_stands_first_and_that_is_told():
    assert read_instant("3-4-2027", ASSEN, ends=False) == utc("2027-04-02T22:00")
    with pytest.raises(ValueError, match=r'"3-14-2027" does not exist: .* \(the day stands first\)$'):
        read_instant("3-14-2027", ASSEN, ends=False)


def test_a_time_alone_is_today_where_a_person_types_it_and_nothing_in_a_file():
    assert read_instant("17:00", ASSEN, ends=True, today=TODAY) == utc("2026-11-25T16:00")
    with pytest.raises(
        ValueError,
        match=r'"17:00" is no day or time: write 2027-12-31, or 2027-12-31T17:00; 31-12-2027 is read day first$',
    ):
        read_instant("17:00", ASSEN, ends=True)


@pytest.mark.parametrize(
    "text",
    [
        "2027-13-01",
        "2027-02-29",
        "31-4-2027",
        "0000-01-01",
        "2027-06-01T24:00",
        "2027-06-01T08:60",
        "2027-03-28T02:30",
        "9999-12-31",
    ],
)
def test_what_no_calendar_and_no_clock_shows_is_said_to_be_none(text: str):
    with pytest.raises(ValueError, match=f'"{text}" does not exist'):
        read_instant(text, ASSEN, ends=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "31/12/2027",
        "12/31/2027",
        "20271231",
        "27-12-31",
        "2027-12-31T",
        "2027-12",
        "17:00Z",
        "46387",
    ],
)
def test_what_is_written_otherwise_is_told_how_to_write_it(text: str):
    with pytest.raises(ValueError, match="is no day or time: write 2027-12-31, or 2027-12-31T17:00"):
        read_instant(text, ASSEN, ends=True, today=TODAY)


@given(
    at=st.integers(-62_135_000_000, 253_402_200_000).map(lambda second: EPOCH + timedelta(seconds=second)),
    zone=st.sampled_from(["Europe/Amsterdam", "UTC", "America/Santiago", "Pacific/Apia", "Asia/Kathmandu"]),
    ends=st.booleans(),
)
def test_whatever_is_written_is_read_back_as_the_same_instant(*, at: datetime, zone: str, ends: bool):
    here = ZoneInfo(zone)
    assert read_instant(write_instant(at, here, ends=ends), here, ends=ends) == at


@given(day=st.dates(min_value=date(1971, 1, 1), max_value=date(2100, 1, 1)), ends=st.booleans())
def test_a_day_is_written_as_a_day(*, day: date, ends: bool):
    at = read_instant(day.isoformat(), ASSEN, ends=ends)
    assert write_instant(at, ASSEN, ends=ends) == day.isoformat()
    assert show_instant(at, ASSEN, ends=ends) == day.isoformat()


def test_a_time_is_shown_to_the_minute_by_the_sites_clock():
    at = utc("2027-06-01T06:30:59")
    assert show_instant(at, ASSEN, ends=True) == "2027-06-01 08:30 +02:00"
    assert write_instant(at, ASSEN, ends=True) == "2027-06-01T08:30:59+02:00"
    assert read_instant("2027-06-01", ASSEN, ends=True) - at == timedelta(hours=15, minutes=29, seconds=1)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2027-06-01T08:30:05", "2027-06-01 10:30:05 +02:00"),
        ("2027-01-01T08:30", "2027-01-01 09:30:00 +01:00"),
    ],
)
def test_a_time_is_shown_by_the_sites_clock_with_its_offset(at: str, shown: str):
    assert show_time(utc(at), ASSEN) == shown
