"""What is said of somebody: read strictly, told what to write instead, and read back as it was written."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.model.ids import HolderId, ProfileId
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.particulars import (
    COLUMNS,
    Particulars,
    changed_columns,
    read_particulars,
    write_particulars,
)
from tests.unit.administration.people import anna

ASSEN = ZoneInfo("Europe/Amsterdam")
WRITTEN = {"name": "Anna de Vries", "kind": "staff", "clearance": "2"}
IDS = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
EPOCH = datetime.fromtimestamp(0, UTC)
SECONDS = st.integers(-62_135_000_000, 253_402_200_000).map(lambda second: EPOCH + timedelta(seconds=second))


def particulars() -> st.SearchStrategy[Particulars]:
    """Whatever the site may hold of somebody, also what this program would not have let in."""
    return st.builds(
        Particulars,
        name=st.text(),
        kind=st.sampled_from(HolderKind),
        clearance=st.integers(0, 5),
        profiles=st.lists(IDS.map(ProfileId), max_size=4).map(tuple),
        since=SECONDS,
        until=SECONDS,
        certificates=st.dictionaries(IDS, SECONDS, max_size=3).map(lambda held: tuple(sorted(held.items()))),
        host=st.none() | IDS.map(HolderId),
    )


def problem(column: str, text: str) -> str:
    reading = read_particulars({**WRITTEN, column: text}, former=None, zone=ASSEN)
    (found,) = reading.problems
    assert found.column == column
    return found.what


@given(particulars())
def test_what_is_written_of_anybody_is_read_back_as_nothing_new(said: Particulars):
    reading = read_particulars(write_particulars(said, ASSEN), former=said, zone=ASSEN)
    assert (reading.particulars, reading.problems) == (said, ())
    assert changed_columns(said, reading.particulars) == ()


@given(particulars())
def test_what_can_be_said_of_a_new_holder_is_read_as_it_was_written(said: Particulars):
    reading = read_particulars(write_particulars(said, ASSEN), former=None, zone=ASSEN)
    for column, kind in COLUMNS.items():
        if column not in reading.unread and column != "name":  # of a name, what nobody sees is taken off
            assert getattr(reading.particulars, kind.field) == getattr(said, kind.field), column


def test_what_is_not_said_of_a_new_holder_is_as_little_as_can_be():
    said = read_particulars(WRITTEN, former=None, zone=ASSEN).particulars
    assert said == anna(profiles=())


def test_what_is_not_said_of_one_who_is_known_stays_as_it_is():
    before = anna(
        until=datetime(2027, 1, 1, tzinfo=UTC),
        certificates=(("first-aid", datetime(2027, 1, 1, tzinfo=UTC)),),
    )
    after = read_particulars(
        {"clearance": "1", "until": "", "from": " "}, former=before, zone=ASSEN
    ).particulars
    assert changed_columns(before, after) == ("clearance",)


def test_an_empty_cell_says_none_where_there_can_be_none():
    before = anna(host=HolderId("h-1"), certificates=(("first-aid", datetime(2027, 1, 1, tzinfo=UTC)),))
    empty = {"profiles": "", "certificates": "", "host": ""}
    after = read_particulars(empty, former=before, zone=ASSEN).particulars
    assert (after.profiles, after.certificates, after.host) == ((), (), None)


def test_lists_are_taken_apart_at_spaces_commas_and_semicolons():
    given = {**WRITTEN, "profiles": "pupil, lab;teacher  guest", "certificates": "b=2027-01-02,a=2027-01-01"}
    said = read_particulars(given, former=None, zone=ASSEN).particulars
    assert said.profiles == ("pupil", "lab", "teacher", "guest")
    assert [name for name, _ in said.certificates] == ["a", "b"]


@pytest.mark.parametrize("column", ["name", "kind", "clearance"])
def test_a_new_holder_needs_name_kind_and_clearance(column: str):
    without = {name: text for name, text in WRITTEN.items() if name != column}
    (found,) = read_particulars(without, former=None, zone=ASSEN).problems
    assert str(found) == f"{column}: is missing: a new holder needs it"


@pytest.mark.parametrize(
    ("column", "text", "what"),
    [
        ("name", "  ", "is empty: write the name"),
        ("name", "A" * 101, "is longer than 100 characters: shorten it"),
        ("name", "An\tna", "holds a character that nobody sees (U+0009): write the name anew"),
        ("name", "An\x00na", "holds a character that nobody sees (U+0000): write the name anew"),
        ("name", "Anna\u202e", "holds a character that nobody sees (U+202E): write the name anew"),
        ("kind", "", '"" is no kind: write one of staff, contractor, visitor, reservist, vehicle'),
        ("kind", "stuff", '"stuff" is no kind: write one of staff, contractor, visitor, reservist, vehicle'),
        ("clearance", "", '"" is no level: write a whole number from 0 to 5'),
        ("clearance", "6", '"6" is no level: write a whole number from 0 to 5'),
        ("clearance", "2,0", '"2,0" is no level: write a whole number from 0 to 5'),
        ("clearance", "-1", '"-1" is no level: write a whole number from 0 to 5'),
        ("clearance", "²", '"²" is no level: write a whole number from 0 to 5'),
        ("profiles", "pupil lab pupil", "pupil stands there twice: write it once"),
        ("from", "soon", '"soon" is no day or time: write 2027-12-31, or 2027-12-31T17:00; 31-12-2027 is read day first'),
        ("until", "2027-02-30", '"2027-02-30" does not exist: no calendar or clock shows it'),
        ("certificates", "first-aid", '"first-aid" is no certificate with its end: write first-aid=2027-12-31'),
        ("certificates", "first-aid=", '"first-aid=" is no certificate with its end: write first-aid=2027-12-31'),
        ("certificates", "First=2027-01-01", '"First=2027-01-01" is no certificate with its end: write first-aid=2027-12-31'),
        ("certificates", "a=2027-01-01 a=2028-01-01", "a stands there twice: write it once"),
        ("certificates", "a=never", '"never" is no day or time: write 2027-12-31, or 2027-12-31T17:00; 31-12-2027 is read day first'),
        ("host", "Jan de Boer", '"Jan de Boer" is no id: write 1 to 32 of a-z, 0-9 and "-"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_write(column: str, text: str, what: str):
    assert problem(column, text) == what


def test_every_problem_is_told_at_once():
    wrong = {
        "name": "",
        "kind": "x",
        "clearance": "x",
        "from": "x",
        "until": "x",
        "certificates": "x",
        "host": "X",
    }
    reading = read_particulars(wrong, former=None, zone=ASSEN)
    assert [found.column for found in reading.problems] == list(wrong)
    assert reading.unread == set(wrong)


@pytest.mark.parametrize(
    ("text", "name"),
    [(" Anna ", "Anna"), ("'t Hart", "'t Hart"), ("Ümit Öztürk-van 't Zand", "Ümit Öztürk-van 't Zand"), ("Ze\u0301", "Z\u00e9")],
)  # fmt: skip
def test_a_name_is_kept_as_it_is_written_and_spelled_in_one_way(text: str, name: str):
    assert read_particulars({**WRITTEN, "name": text}, former=None, zone=ASSEN).particulars.name == name
