"""schemas/csv-files.md: the columns of every file are those of the code, in its order, and what must be there must be."""

import re
from pathlib import Path

import pytest

from gatekeeper.cli.people import csv_files
from gatekeeper.service.administration import csv_badges, particulars
from gatekeeper.service.administration.csv_badges import BADGES
from gatekeeper.service.administration.csv_file import Columns
from gatekeeper.service.administration.csv_import import PEOPLE
from gatekeeper.service.administration.csv_visitors import VISITORS

PAGE = (Path(__file__).parents[2] / "schemas/csv-files.md").read_text("utf-8")


def rows(title: str) -> list[tuple[str, str, str]]:
    (table,) = re.findall(rf"^\| {title} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", PAGE, re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("title", "columns"), [("people", PEOPLE), ("badges", BADGES), ("visitors", VISITORS)]
)
def test_the_columns_of_a_file_are_those_of_its_table(title: str, columns: Columns):
    named = [column.strip("`") for column, _, _ in rows(title)]
    assert sorted(named) == sorted(columns.all)
    assert named[0] == columns.all[0]
    assert [column for column, _, empty in rows(title) if empty == "must be there"] == [f"`{columns.needed}`"]


def test_what_is_a_mistake_when_it_is_empty_is_one():
    empty = {column.strip("`") for column, _, empty in rows("people") if empty == "a mistake"}
    assert empty == set(particulars._NEEDED)


def test_the_bounds_of_the_page_are_those_of_the_code():
    assert f"{csv_files._LARGEST >> 20} MB at most" in PAGE
    assert f"one change, {csv_badges._MOST_AT_ONCE} at most" in PAGE
    assert f"{particulars._LONGEST_NAME} characters at most" in PAGE
