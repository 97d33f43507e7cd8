"""A group's arrival list: what is said for all and what a line says, nobody twice, and everything that is wrong at once."""

from datetime import UTC, datetime, timedelta

import pytest

from gatekeeper.model.badges import Assurance
from gatekeeper.model.people import HolderKind
from gatekeeper.service.administration.csv_visitors import VisitorPlan, plan_visitors, visitor_change_id
from gatekeeper.service.administration.particulars import Particulars
from gatekeeper.service.administration.people import BadgeOrder
from tests.support.site_files import NOW, Site
from tests.unit.administration.people import ANNA, BO, Rows, anna

USUAL = {"host": "p-anna", "until": "2026-06-30", "profiles": "pupil"}


@pytest.fixture
def rows(standing_fort: Site) -> Rows:
    return Rows(standing_fort).register("school", [(ANNA, anna()), (BO, anna(name="Bo"))])


def plan(rows: Rows, *lines: str, now: datetime = NOW, **usual: str) -> VisitorPlan:
    return plan_visitors("\n".join(lines).encode(), rows.desk("school"), usual=USUAL | usual, now=now)


def told(found: VisitorPlan) -> list[str]:
    return [f"{one.line}: {one.problem}" for one in found.problems]


def register(rows: Rows, found: VisitorPlan) -> None:
    """Do what a plan would do."""
    assert told(found) == []
    for line in found.new:
        desk = rows.desk("school")
        assert line.order is not None
        issued = desk.issue(line.order, to=line.wanted, status_index=0, now=NOW)
        rows.take(desk.register(line.visitor, line.wanted, now=NOW, issued=[issued]))


def test_a_list_of_names_is_enough_when_the_rest_is_said_for_all(rows: Rows):
    found = plan(rows, "Name", "Piet Puk", "", "Nora 't Hart", max_uses="4")
    assert [line.wanted.name for line in found.new] == ["Piet Puk", "Nora 't Hart"]
    first = found.new[0]
    assert first.wanted == Particulars(
        name="Piet Puk",
        kind=HolderKind.VISITOR,
        clearance=1,
        profiles=("pupil",),
        since=None,
        until=datetime(2026, 6, 30, 22, tzinfo=UTC),
        certificates=(),
        host=ANNA,
    )
    assert first.order == BadgeOrder(assurance=Assurance.BEARER, max_uses=4, id=first.badge)
    assert (first.visitor[:2], len(first.visitor)) == ("v-", 10)


def test_what_a_line_says_counts_before_what_was_said_for_all(rows: Rows):
    line = "Piet,v-piet,p-bo,2026-06-02,2026-06-03T12:00,,0,1"
    (found,) = plan(rows, "name,visitor,host,from,until,profiles,clearance,max_uses", line).new
    wanted = found.wanted
    assert (found.visitor, wanted.host, wanted.profiles, wanted.clearance) == ("v-piet", BO, ("pupil",), 0)
    assert (wanted.since, wanted.until) == (datetime(2026, 6, 1, 22, tzinfo=UTC), datetime(2026, 6, 3, 10, tzinfo=UTC))  # fmt: skip
    assert found.order is not None
    assert found.order.max_uses == 1


def test_a_visitor_is_registered_with_a_pass_that_ends_with_the_visit(rows: Rows):
    found = plan(rows, "name", "Piet Puk")
    register(rows, found)
    directory = rows.desk("school").directory
    (badge,) = directory.badges_of(found.new[0].visitor)
    assert (badge.badge.id, badge.held) == (found.new[0].badge, True)
    assert badge.badge.expires == directory.get(badge.holder).holder.until == found.new[0].wanted.until


def test_the_same_list_again_registers_nobody(rows: Rows):
    first = plan(rows, "name", "Piet Puk", "Nora Nooit")
    register(rows, first)
    again = plan(rows, "name", "Nora Nooit", "Piet Puk", "Coen Nieuw", now=NOW + timedelta(hours=2))
    assert [(line.line, line.wanted.name) for line in again.new] == [(4, "Coen Nieuw")]
    assert {line.badge for line in again.unchanged} == {line.badge for line in first.new}


def test_another_day_is_another_visit(rows: Rows):
    register(rows, plan(rows, "name", "Piet Puk"))
    assert len(plan(rows, "name", "Piet Puk", until="2026-07-31").new) == 1


def test_who_has_an_id_and_is_registered_otherwise_is_told(rows: Rows):
    register(rows, plan(rows, "name,visitor", "Piet Puk,v-piet"))
    assert told(plan(rows, "name,visitor", "Piet Puk,v-piet", until="2026-07-31")) == [
        "2: visitor: v-piet is registered with another until: change it with gatekeeper holder change"
    ]
    assert told(plan(rows, "name,visitor", "Piet Puk,p-bo"))[0].startswith("2: visitor: p-bo is registered")


def test_two_visitors_of_one_name_are_told_apart_by_their_ids(rows: Rows):
    assert told(plan(rows, "name", "Jan Smit", "Piet Puk", "Jan Smit")) == [
        "4: the line: says what line 2 says: keep one, or give them ids in the column visitor"
    ]
    assert len(plan(rows, "name,visitor", "Jan Smit,v-jan-1", "Jan Smit,v-jan-2").new) == 2


def test_what_nobody_said_is_missing(rows: Rows):
    found = plan_visitors(b"name\nPiet Puk\n", rows.desk("school"), usual={}, now=NOW)
    assert told(found) == [
        "2: host: is missing: name who receives them, here or with --host",
        "2: until: is missing: a visit has an end, here or with --until",
        "2: profiles: is missing: say where they may come, here or with --profiles",
    ]


@pytest.mark.parametrize(
    ("column", "text", "problem"),
    [
        ("host", "h-00001", "host: school has no holder h-00001: name one of its people"),
        ("host", "h-00003", "host: h-00003 is a visitor too: name who receives them"),
        ("until", "17:00", 'until: "17:00" is no day or time: write 2027-12-31, or 2027-12-31T17:00; 31-12-2027 is read day first'),
        ("until", "2026-05-30", "until: lies before the beginning: write a later end, or an earlier beginning"),
        ("until", "2027-05-30", "until: lies after the end of school's agreement: write 2026-12-31 or earlier"),
        ("until", "2026-12-30", None),
        ("profiles", "guest", 'profiles: school has no profile "guest"; it has pupil'),
        ("clearance", "9", 'clearance: "9" is no level: write a whole number from 0 to 5'),
        ("max_uses", "few", 'max_uses: "few" is no number of uses: write a whole number from 1, or nothing'),
        ("visitor", "Piet Puk", 'visitor: "Piet Puk" is no id: write 1 to 32 of a-z, 0-9 and "-"'),
        ("visitor", "h-00001", "holder: h-00001 is taken on this site: choose another id"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_told_with_what_to_write(
    column: str, text: str, problem: str | None, rows: Rows
):
    found = plan(rows, f"name,{column}", f"Piet Puk,{text}")
    assert told(found) == ([] if problem is None else [f"2: {problem}"])


def test_every_problem_of_every_line_is_told(rows: Rows):
    found = plan(rows, "name,host,until,max_uses", " ,nobody,never,0", "Piet,p-anna,2026-06-30,1", "Nora,?,,")
    assert [one.partition(": ")[2].partition(":")[0] for one in told(found)] == ["max_uses", "name", "until", "host", "host"]  # fmt: skip
    assert {one.line for one in found.problems} == {2, 4}


def test_a_list_without_names_is_none(rows: Rows):
    assert told(plan(rows, "visitor,host", "v-1,p-anna")) == [
        "1: the line: has no column name, which says who comes"
    ]


def test_the_id_of_a_change_follows_from_the_line_and_tells_nothing(rows: Rows):
    key = rows.desk("school").issuer.key
    one, other = plan(rows, "name", "Piet Puk", "Nora Nooit").new
    assert visitor_change_id(one, key=key, attempt=0) != visitor_change_id(one, key=key, attempt=1)
    assert visitor_change_id(one, key=key, attempt=0) != visitor_change_id(other, key=key, attempt=0)
    army = rows.desk("army").issuer.key
    assert visitor_change_id(one, key=key, attempt=0) != visitor_change_id(one, key=army, attempt=0)
