"""Rows that a spreadsheet opens: quoted where they must be, guarded where they could be formulas."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.export import COLUMNS, FORMER, Dialect, cells_of, heading, rows_of

GRANTED = {
    "access_point": "front-in",
    "assurance": 2,
    "at": "2026-06-03T10:00:01.050000Z",
    "from": "outside",
    "gate": "front",
    "kind": "access.granted",
    "personal": "9e",
    "reason": "granted",
    "reasons": [],
    "seq": 10,
    "tenant": "army",
    "to": "yard",
    "v": 1,
}


def test_an_entry_is_a_row_with_a_cell_for_every_column():
    assert rows_of(Dialect.RFC4180, [(2, GRANTED, {"holder": "h-sergeant", "badge": "5677"})]) == (
        "2,10,2026-06-03T10:00:01.050000Z,access.granted,front,front-in,outside,yard,army,granted,,2,,,,,,"
        "h-sergeant,5677,opened,2026-06-03T10:00:01.050000Z\r\n"
    )


def test_dutch_excel_gets_semicolons_its_own_headings_and_times_it_knows():
    assert heading(Dialect.EXCEL_NL).startswith("\ufeffindex;volgnummer;tijd (UTC);soort;")
    assert heading(Dialect.EXCEL_NL).count(";") == len(COLUMNS) - 1
    assert rows_of(Dialect.EXCEL_NL, [(2, GRANTED, None)]) == (
        "2;10;2026-06-03 10:00:01;access.granted;front;front-in;outside;yard;army;granted;;2;;;;;;;;closed;"
        "2026-06-03 10:00:01\r\n"
    )


THEN = {"gate_at": "2026-06-03T02:15:00.500000Z", "clock": "free_running", "kind": "access.offline-granted"}


def test_what_a_gate_told_hours_later_has_the_time_of_then_beside_that_of_its_commit():
    cells = dict(zip(COLUMNS, cells_of(2, {**GRANTED, **THEN}, None), strict=True))
    assert (cells["at"], cells["happened"]) == ("2026-06-03T10:00:01.050000Z", "2026-06-03T02:15:00.500000Z")
    assert rows_of(Dialect.EXCEL_NL, [(2, {**GRANTED, **THEN}, None)]).endswith(";2026-06-03 02:15:00\r\n")


@pytest.mark.parametrize(
    "altered",
    [
        {"clock": "none"},
        {"kind": "access.granted"},
        {"gate_at": "2026-06-03T10:00:01.050001Z"},
        {"gate_at": "2020-01-01T00:00:00.000000Z"},
        {"gate_at": ["2026-06-03T02:15:00.500000Z"]},
        {"gate_at": None},
    ],
)
def test_a_clock_that_is_not_believed_leaves_the_time_of_the_commit(altered: dict[str, object]):
    cells = dict(zip(COLUMNS, cells_of(2, {**GRANTED, **THEN, **altered}, None), strict=True))
    assert cells["happened"] == cells["at"]


@pytest.mark.parametrize(("at", "cell"), [("soon", "soon"), (None, ""), (7, "7"), (["a", "b"], "a b")])
def test_an_entry_with_no_time_has_a_row_all_the_same(at: object, cell: str):
    cells = dict(zip(COLUMNS, cells_of(2, {**GRANTED, **THEN, "at": at}, None), strict=True))
    assert (cells["at"], cells["happened"]) == (cell, cell)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_table_of_a_bundle_of_before_is_the_first_columns_of_the_one_of_now(dialect: Dialect):
    entries = [(2, GRANTED, None), (3, {**GRANTED, **THEN, "to": "=1+1"}, {"holder": "h-1"})]
    now = [heading(dialect), *rows_of(dialect, entries).splitlines(keepends=True)]
    before = [heading(dialect, FORMER), *rows_of(dialect, entries, FORMER).splitlines(keepends=True)]
    assert before == [line.rpartition(dialect.separator)[0] + "\r\n" for line in now]
    assert COLUMNS[:FORMER][-1] == "personal"


def test_several_reasons_an_alarm_and_nothing_personal():
    body = {**GRANTED, "reasons": ["lockdown", "clearance"], "alarm": True}
    del body["personal"]
    cells = dict(zip(COLUMNS, cells_of(2, body, None), strict=True))
    assert (cells["reasons"], cells["alarm"], cells["personal"]) == ("lockdown clearance", "yes", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_a_spreadsheet_would_take_for_a_formula_is_guarded(dialect: Dialect, start: str):
    row = rows_of(dialect, [(0, {**GRANTED, "gate": f"{start}cmd|' /C calc'!A0"}, None)])
    cells = next(csv.reader(io.StringIO(row, newline=""), delimiter=dialect.separator))
    assert cells[COLUMNS.index("gate")] == f"'{start}cmd|' /C calc'!A0"


@given(text=st.text(max_size=12), dialect=st.sampled_from(Dialect), column=st.sampled_from(COLUMNS[4:11]))
def test_any_text_comes_back_from_its_row(text: str, dialect: Dialect, column: str):
    row = rows_of(dialect, [(0, {**GRANTED, column: text}, None)])
    cells = next(csv.reader(io.StringIO(row, newline=""), delimiter=dialect.separator, strict=True))
    guarded = f"'{text}" if text[:1] in set("=+-@\t\r") and text else text
    assert dict(zip(COLUMNS, cells, strict=True))[column] == guarded


@given(texts=st.lists(st.text(max_size=12), max_size=8), dialect=st.sampled_from(Dialect))
def test_rows_are_the_same_one_by_one_and_together(texts: list[str], dialect: Dialect):
    entries = [(index, {**GRANTED, "gate": text}, None) for index, text in enumerate(texts)]
    assert rows_of(dialect, entries) == "".join(rows_of(dialect, [entry]) for entry in entries)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_cell_to_guard_among_many_that_are_plain_is_guarded(dialect: Dialect):
    entries = [(index, {**GRANTED, "to": "=1+1" if index == 700 else "yard"}, None) for index in range(1000)]
    rows = rows_of(dialect, entries).split("\r\n")
    assert [index for index, row in enumerate(rows) if "'=1+1" in row] == [700]
    assert rows[-1] == ""


def test_every_heading_has_as_many_columns():
    for dialect in Dialect:
        assert len(heading(dialect).split(dialect.separator)) == len(COLUMNS)
