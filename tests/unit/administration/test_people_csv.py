"""A file of people: read whole before anything is done, and written so that it is read back as nothing new."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.core.supervise import StoredHolder
from gatekeeper.model.ids import HolderId
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.csv_import import (
    PEOPLE,
    ImportLine,
    ImportPlan,
    change_id,
    plan_import,
    write_people,
)
from gatekeeper.service.administration.directory import Directory
from gatekeeper.service.administration.particulars import Particulars
from gatekeeper.service.administration.people import Desk
from tests.support.site_files import NOW, Site
from tests.unit.administration.people import ANNA, BO, Rows, anna, desk_of
from tests.unit.administration.test_people_particulars import IDS, particulars

FIRST = "holder,name,kind,clearance,profiles,from,until,certificates,host"
BO_IS_NEW = "p-bo,Bo Smit,contractor,1,pupil,2026-06-02,2026-09-30,first-aid=2027-01-31,p-anna"


def plan(desk: Desk, *lines: str, end: str = "\r\n", encoding: str = "utf-8") -> ImportPlan:
    return plan_import(end.join(lines).encode(encoding), desk, now=NOW)


def told(found: ImportPlan) -> list[str]:
    return [f"{one.line}: {one.problem}" for one in found.problems]


@pytest.fixture
def desk(standing_fort: Site) -> Desk:
    """The school's, where Anna is registered."""
    return desk_of(standing_fort, "school", (ANNA, anna()))


# -- reading ------------------------------------------------------------------------------------------------------------


def test_a_line_of_somebody_new_says_all_of_them(desk: Desk):
    (line,) = plan(desk, FIRST, BO_IS_NEW).lines
    assert (line.line, line.holder, line.former) == (2, BO, None)
    assert line.wanted == Particulars(
        name="Bo Smit",
        kind=HolderKind.CONTRACTOR,
        clearance=1,
        profiles=("pupil",),
        since=datetime(2026, 6, 1, 22, tzinfo=UTC),
        until=datetime(2026, 9, 30, 22, tzinfo=UTC),
        certificates=(("first-aid", datetime(2027, 1, 31, 23, tzinfo=UTC)),),
        host=ANNA,
    )


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("between", [",", ";"])
def test_every_dialect_that_a_spreadsheet_writes_says_the_same(
    end: str, encoding: str, between: str, desk: Desk
):
    written = [line.replace(",", between) for line in (FIRST, BO_IS_NEW.replace("Bo Smit", "Bo Çelik"))]
    found = plan(desk, *written, end=end, encoding=encoding)
    assert told(found) == []
    assert [(one.holder, one.wanted.name, one.wanted.host) for one in found.lines] == [(BO, "Bo Çelik", ANNA)]


def test_columns_stand_in_any_order_and_may_be_left_out(desk: Desk):
    (line,) = plan(desk, "Clearance; HOLDER ", "1;p-anna").lines
    assert (line.holder, line.columns, line.wanted) == (
        ANNA,
        ("clearance",),
        replace(anna(), **_dates(line), clearance=1),
    )


def _dates(line: ImportLine) -> dict[str, datetime]:
    assert line.former is not None
    return {"since": line.former.holder.since, "until": line.former.holder.until}


def test_lines_of_nothing_are_passed_over_and_counted(desk: Desk):
    found = plan(desk, FIRST, ",,,,,,,,", "", '" ",,,,,,,,', BO_IS_NEW, "")
    assert [(one.line, one.holder) for one in found.lines] == [(5, BO)]


def test_a_cell_may_hold_commas_quotes_and_lines(desk: Desk):
    found = plan(
        desk,
        "holder,name,kind,clearance,profiles",
        'p-bo,"Smit, Bo ""de""",staff,1,"pupil\r\n"',
        "p-cy,Cy,staff,1,",
    )
    assert [(one.line, one.wanted.name) for one in found.lines] == [(2, 'Smit, Bo "de"'), (4, "Cy")]


def test_a_line_that_says_nothing_new_changes_nothing(desk: Desk):
    found = plan(desk, "holder,name,kind,clearance,profiles,until", "p-anna,Anna de Vries,staff,2,pupil,")
    assert (len(found.unchanged), found.added, found.changed) == (1, (), ())


def test_what_a_line_changes_is_known_by_column(desk: Desk):
    found = plan(
        desk,
        "holder,name,clearance,profiles,until",
        "p-anna,Anna Smit,2,,2026-08-01",
        BO_IS_NEW.replace("p-bo", "p-anna"),
    )
    assert told(found) == [
        "3: the line: has 9 cells, and there are 5 columns: quote a cell that holds a comma"
    ]
    assert found.lines[0].columns == ("name", "profiles", "until")


def test_a_host_may_stand_anywhere_in_the_file(desk: Desk):
    found = plan(desk, "holder,name,kind,clearance,host", "v-1,Piet Puk,visitor,1,p-bo", "p-bo,Bo,staff,1,")
    assert told(found) == []


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ([], ["1: the file: is empty: its first line is holder,name,kind,clearance,profiles,from,until,certificates,host"]),
        (["naam,holder"], [f'1: the line: "naam" is no column: the columns are {", ".join(PEOPLE.all)}']),
        (["holder,name,name"], ["1: the line: name stands there twice: keep one of the two"]),
        (["name,kind", "Anna,staff"], ["1: the line: has no column holder, which says whom a line is about"]),
        (["holder", "Anna!"], [
            '2: holder: "Anna!" is no id: write 1 to 32 of a-z, 0-9 and "-"',
            "2: name: is missing: a new holder needs it",
            "2: kind: is missing: a new holder needs it",
            "2: clearance: is missing: a new holder needs it",
        ]),
        (["holder,clearance", "p-anna,1", "p-anna,0"], ["3: holder: p-anna stands in line 2 already: keep one of the two"]),
        (["holder,clearance", "h-00001,1"], ["2: name: is missing: a new holder needs it", "2: kind: is missing: a new holder needs it",
            "2: holder: h-00001 is taken on this site: choose another id"]),
        (["holder,name", "p-anna,Vries, Anna de"], ["2: the line: has 3 cells, and there are 2 columns: quote a cell that holds a comma"]),
        (["holder,name", "p-anna"], ["2: the line: has 1 cells, and there are 2 columns: quote a cell that holds a comma"]),
        (["holder,name", 'p-anna,"Anna" de Vries', "p-bo,Bo"], [
            "2: the line: its quotes or its length are not those of CSV (',' expected after '\"'); nothing after it was read"]),
        (["holder,name", 'p-anna,"Anna', "p-bo,Bo"], [
            "2: the line: its quotes or its length are not those of CSV (unexpected end of data); nothing after it was read"]),
        (["holder,clearance,profiles,host", "p-anna,7,soldier,p-x", "p-anna,1,pupil,"], [
            '2: clearance: "7" is no level: write a whole number from 0 to 5',
            '2: profiles: school has no profile "soldier"; it has pupil',
            "2: host: school has no holder p-x: name one of its people",
            "3: holder: p-anna stands in line 2 already: keep one of the two",
        ]),
    ],
)  # fmt: skip
def test_every_bad_line_is_told_with_its_number_its_column_and_what_to_do(
    lines: list[str], problems: list[str], desk: Desk
):
    assert told(plan(desk, *lines)) == problems


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_file_in_another_encoding_is_told_how_to_save_it(encoding: str, desk: Desk):
    found = plan(desk, FIRST, "p-bo,Bo,staff,1,,,,,", "p-cy,Zoë,staff,1,,,,,", encoding=encoding)
    (problem,) = told(found)
    assert problem.endswith("the file: is not in UTF-8: save it anew, in Excel as CSV UTF-8")
    assert problem.startswith("3" if encoding == "cp1252" else "1")
    assert found.lines == ()


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_are_they_are_lines_or_problems_and_no_error(standing_fort: Site, content: bytes):
    desk = desk_of(standing_fort, "school")
    found = plan_import(b"holder,name,kind,clearance\n" + content, desk, now=NOW)
    assert all(one.line >= 1 for one in found.problems)
    assert all(one.former is None for one in found.lines)


# -- formulas -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+31 6", "'+31 6"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("'=1", "''=1"),
        ("''=1", "'''=1"),
        ("'t Hart", "'t Hart"),
        ("Anna =1", "Anna =1"),
        ("'", "'"),
        ("\t=1", "'\t=1"),
    ],
)
def test_a_cell_that_would_be_a_formula_is_guarded_and_read_without_its_guard(
    name: str, cell: str, standing_fort: Site
):
    desk = desk_of(standing_fort, "school", (ANNA, anna(name=name)))
    written = write_people(desk, excel=False).decode()
    (row,) = (row for row in csv.DictReader(io.StringIO(written, newline="")) if row["holder"] == ANNA)
    assert row["name"] == cell
    assert len(plan_import(written.encode(), desk, now=NOW).unchanged) == 5


def test_a_guarded_name_is_taken_in_as_it_was_meant(desk: Desk):
    (line,) = plan(desk, "holder,name,kind,clearance", "p-bo,'=Bo,staff,1").lines
    assert line.wanted.name == "=Bo"


# -- writing ------------------------------------------------------------------------------------------------------------


def test_a_file_is_rfc_4180_or_what_dutch_excel_opens(desk: Desk):
    plain, excel = write_people(desk, excel=False), write_people(desk, excel=True)
    assert plain.splitlines()[0].decode() == FIRST
    assert plain.count(b"\r\n") == plain.count(b"\n") == 6
    assert excel.startswith("\ufeffholder;name;kind;".encode())
    assert excel.removeprefix(b"\xef\xbb\xbf").replace(b";", b",") == plain
    assert (
        b"p-anna,Anna de Vries,staff,2,pupil,2026-06-01T14:00:00+02:00,2027-01-01T01:00:00+01:00,," in plain
    )


@given(
    people=st.dictionaries(IDS.map(HolderId), particulars(), max_size=4),
    excel=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_exported_is_imported_as_nothing_new_whoever_the_people_are(
    standing_fort: Site, *, people: dict[HolderId, Particulars], excel: bool
):
    rows = Rows(standing_fort)
    rows.holders.clear()
    desk = rows.register("school", people.items()).desk("school")
    found = plan_import(write_people(desk, excel=excel), desk, now=NOW)
    assert told(found) == []
    assert sorted(line.holder for line in found.unchanged) == sorted(people)


def test_registrations_that_are_not_believed_are_not_exported(standing_fort: Site):
    rows = Rows(standing_fort)
    stranger = StoredHolder(
        record=replace(rows.holders[HolderId("h-00003")].record, id=HolderId("h-9")),
        tenant=rows.holders[HolderId("h-00003")].tenant,
        name=b"",
        badges=(),
    )
    rows.holders[HolderId("h-9")] = stranger
    rows.names[HolderId("h-9")] = "Nobody"
    desk = rows.desk("school")
    assert b"Nobody" not in write_people(desk, excel=False)
    assert isinstance(desk.directory, Directory)
    assert desk.directory.unbelieved() == ("h-9",)


# -- ids ----------------------------------------------------------------------------------------------------------------


def test_the_same_line_on_the_same_registration_is_the_same_change(desk: Desk):
    (first,), (again,) = (plan(desk, FIRST, BO_IS_NEW).lines for _ in range(2))
    moved = plan(desk, FIRST, "", BO_IS_NEW).lines[0]
    key = desk.issuer.key
    assert len(change_id(first, key=key)) == 16
    assert change_id(first, key=key) == change_id(again, key=key) == change_id(moved, key=key)


def test_whatever_else_a_line_says_is_another_change(standing_fort: Site, desk: Desk):
    key = desk.issuer.key
    texts = [BO_IS_NEW.replace(old, new) for old, new in [
        ("", ""), ("p-bo", "p-cy"), ("Bo Smit", "Bo Smid"), ("contractor", "staff"), (",1,", ",2,"), (",pupil,", ",,"),
        ("2026-06-02", "2026-06-03"), ("2026-06-02", ""), ("2026-09-30", "2026-09-29"), ("first-aid", "bhv"), ("2027-01-31", "2027-01-30"),
        ("p-anna", ""),
    ]]  # fmt: skip
    ids = {change_id(plan(desk, FIRST, text).lines[0], key=key) for text in texts}
    (line,) = plan(desk, FIRST, BO_IS_NEW).lines
    ids |= {change_id(line, key=key, attempt=1), change_id(line, key=cose.SigningKey.generate())}
    later = Rows(standing_fort).register(
        "school", [(ANNA, anna()), (BO, anna(until=NOW + timedelta(days=1)))]
    )
    (renewed,) = plan(later.desk("school"), FIRST, BO_IS_NEW).lines
    ids.add(change_id(renewed, key=key))
    assert len(ids) == len(texts) + 3


def test_a_line_for_who_was_forgotten_is_told_before_anything_is_done(standing_fort: Site):
    rows = Rows(standing_fort)
    rows.forgotten.add(HolderId("p-anna"))
    found = plan_import(b"holder,name,kind,clearance\np-anna,Anna,staff,1\n", rows.desk("school"), now=NOW)
    assert told(found) == ["2: holder: p-anna was forgotten, for good: choose another id"]
