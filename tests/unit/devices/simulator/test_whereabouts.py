"""Where the people of the simulator are, from one run to the next."""

import json
from pathlib import Path

import pytest

from devices.simulator.whereabouts import Whereabouts
from gatekeeper.model.ids import HolderId, ZoneId

OUTSIDE, YARD, HALL = ZoneId("outside"), ZoneId("yard"), ZoneId("hall")
ONE, OTHER = HolderId("h-00001"), HolderId("h-00002")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "whereabouts.json"


def test_who_was_never_seen_is_outside(file: Path):
    assert Whereabouts(file, outside=OUTSIDE)[ONE] == OUTSIDE


def test_people_are_where_they_were_when_the_former_run_ended(file: Path):
    before = Whereabouts(file, outside=OUTSIDE)
    before.pass_by_badge(ONE, YARD)
    before.keep()
    after = Whereabouts(file, outside=OUTSIDE)
    assert (after[ONE], after[OTHER]) == (YARD, OUTSIDE)
    after.pass_by_badge(ONE, OUTSIDE)
    after.keep()
    assert Whereabouts(file, outside=YARD)[ONE] == OUTSIDE
    assert sorted(left.name for left in file.parent.iterdir()) == ["astray.json", file.name]


def test_who_slips_by_a_door_is_astray_until_a_badge_says_where_they_are(file: Path):
    people = Whereabouts(file, outside=OUTSIDE)
    people.pass_by_badge(ONE, YARD)
    people.slip_by(ONE, HALL)
    people.slip_by(OTHER, YARD)
    assert (people[ONE], people[OTHER]) == (HALL, YARD)
    assert people.astray == {ONE: YARD, OTHER: OUTSIDE}
    people.keep()
    after = Whereabouts(file, outside=OUTSIDE)
    assert after.astray == {ONE: YARD, OTHER: OUTSIDE}
    after.slip_by(ONE, YARD)
    after.pass_by_badge(OTHER, HALL)
    assert after.astray == {}, "back by chance, and seen by a gate"


@pytest.mark.parametrize("content", ["", "{", "[]", "3", json.dumps({ONE: 3}), b"\xff".decode("latin-1")])
def test_a_file_that_is_none_is_as_good_as_no_former_run(content: str, file: Path):
    file.write_text(content, encoding="latin-1")
    assert Whereabouts(file, outside=OUTSIDE)[ONE] == OUTSIDE
