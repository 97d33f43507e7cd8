"""A file of badges: read whole before anything is issued, each badge once, and written so that it is read back."""

from collections.abc import Container
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gatekeeper.core.register import Register
from gatekeeper.model.badges import Assurance, BadgeState, Card, CardTechnology
from gatekeeper.model.ids import HolderId
from gatekeeper.service.administration.csv_badges import (
    BADGES,
    BadgeLine,
    BadgePlan,
    badge_change_id,
    plan_badges,
    write_badges,
)
from gatekeeper.service.administration.csv_file import read_lines
from gatekeeper.service.administration.directory import particulars_of
from gatekeeper.service.administration.people import BadgeOrder
from tests.support.site_files import NOW, Site
from tests.unit.administration.people import ANNA, BO, Rows, anna

CARD = Card(CardTechnology.MIFARE, bytes.fromhex("04AABBCC"))
FIRST = "holder,assurance,card,from,until,max_uses"


@pytest.fixture
def rows(standing_fort: Site) -> Rows:
    return Rows(standing_fort).register("school", [(ANNA, anna()), (BO, anna(name="Bo"))])


def plan(
    rows: Rows, *lines: str, tenant: str = "school", now: datetime = NOW, waiting: Container[str] = ()
) -> BadgePlan:
    return plan_badges("\r\n".join(lines).encode(), rows.desk(tenant), waiting=waiting, now=now)


def told(found: BadgePlan) -> list[str]:
    return [f"{one.line}: {one.problem}" for one in found.problems]


def issue(rows: Rows, found: BadgePlan, *, now: datetime = NOW) -> None:
    """Do what a plan would do."""
    assert told(found) == []
    for holder, lines in found.new.items():
        desk = rows.desk("school")
        person = particulars_of(desk.directory.get(holder))
        orders = [line.order for line in lines if line.order is not None]
        issued = [
            desk.issue(order, to=person, status_index=place, now=now) for place, order in enumerate(orders)
        ]
        rows.take(desk.register(holder, person, now=now, issued=issued))


# -- what is issued -----------------------------------------------------------------------------------------------------


def test_a_line_is_a_badge_with_what_it_says(rows: Rows):
    found = plan(
        rows,
        FIRST,
        "p-anna,0,mifare:04:AA:BB:CC,,2026-07-31,",
        "p-anna,,,2026-06-15,2026-06-30,3",
        "p-bo,,,,,",
    )
    card, pass_, other = found.lines
    zone = rows.desk("school").zone
    midnight = datetime(2026, 8, 1, tzinfo=zone)
    assert card.order == BadgeOrder(assurance=Assurance.CARD_NUMBER, card=CARD, until=midnight, id=card.badge)
    assert pass_.order == BadgeOrder(
        assurance=Assurance.BEARER,
        since=datetime(2026, 6, 15, tzinfo=zone),
        until=datetime(2026, 7, 1, tzinfo=zone),
        max_uses=3,
        id=pass_.badge,
    )
    assert other.order == BadgeOrder(assurance=Assurance.BEARER, id=other.badge)
    assert (told(found), dict(found.new)) == ([], {ANNA: (card, pass_), BO: (other,)})


def test_all_new_badges_of_one_holder_are_one_change_and_are_believed(rows: Rows):
    found = plan(rows, FIRST, "p-anna,,mifare:04AABBCC,,,", "p-anna,1,,2026-06-15,2026-06-30,3")
    issue(rows, found)
    desk = rows.desk("school")
    assert desk.directory.get(ANNA).holder.version == 2
    badges = {one.badge.id: one.badge for one in desk.directory.badges_of(ANNA) if one.held}
    assert badges.keys() == {line.badge for line in found.lines}
    later = badges[found.lines[1].badge]
    assert (later.not_before, later.expires) == (datetime(2026, 6, 15, tzinfo=desk.zone), datetime(2026, 7, 1, tzinfo=desk.zone))  # fmt: skip
    assert Register().read_token(rows.badges[later.id].record.token, trust=rows.site.trust) == later


def test_a_badge_that_has_begun_already_counts_from_now_on(rows: Rows):
    found = plan(rows, FIRST, "p-anna,1,,2026-01-01,,")
    issue(rows, found)
    assert rows.desk("school").directory.badge(found.lines[0].badge).badge.not_before == NOW


def test_the_same_file_again_issues_nothing(rows: Rows):
    lines = (FIRST, "p-anna,,mifare:04AABBCC,,,", "p-anna,1,,,2026-06-30,3", "p-bo,,,,,")
    first = plan(rows, *lines)
    issue(rows, first)
    again = plan(rows, *lines, now=NOW + timedelta(hours=1))
    assert (told(again), dict(again.new)) == ([], {})
    assert [line.badge for line in again.unchanged] == [line.badge for line in first.lines]


def test_a_card_that_its_holder_has_is_not_issued_again_whatever_issued_it(rows: Rows):
    desk = rows.desk("school")
    card = desk.issue(
        BadgeOrder(assurance=Assurance.CARD_NUMBER, card=CARD), to=anna(), status_index=0, now=NOW
    )
    rows.take(desk.register(ANNA, anna(), now=NOW, issued=[card]))
    (line,) = plan(rows, FIRST, "p-anna,,mifare:04AABBCC,,,").lines
    assert (line.badge, line.order) == (card.badge.id, None)


@pytest.mark.parametrize("state", [BadgeState.SUSPENDED, BadgeState.LOST, BadgeState.STOLEN])
def test_a_badge_that_is_away_is_no_reason_to_issue_another(state: BadgeState, rows: Rows):
    found = plan(rows, FIRST, "p-anna,,,,,")
    issue(rows, found)
    rows.become(found.lines[0].badge, state)
    assert plan(rows, FIRST, "p-anna,,,,,").unchanged == (replace(found.lines[0], order=None),)


def test_a_badge_that_is_over_is_not_issued_a_second_time_by_the_same_line(rows: Rows):
    found = plan(rows, FIRST, "p-anna,,,,,")
    issue(rows, found)
    rows.become(found.lines[0].badge, BadgeState.REVOKED)
    (problem,) = told(plan(rows, FIRST, "p-anna,,,,,"))
    assert problem.startswith(
        f"2: the line: asks for badge {found.lines[0].badge}, which was issued and is over: "
    )
    assert len(plan(rows, FIRST, "p-anna,,,,2026-07-01,").new) == 1


def test_the_card_of_a_badge_that_is_over_goes_to_whom_the_line_says(rows: Rows):
    found = plan(rows, FIRST, "p-anna,,mifare:04AABBCC,,,")
    issue(rows, found)
    (problem,) = told(plan(rows, FIRST, "p-bo,,mifare:04AABBCC,,,"))
    assert problem.startswith(
        f"2: card: Badge {found.lines[0].badge} of p-anna answers to mifare:04AABBCC and is active: "
    )
    rows.become(found.lines[0].badge, BadgeState.REVOKED)
    assert list(plan(rows, FIRST, "p-bo,,mifare:04AABBCC,,,").new) == [BO]


# -- what is wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("p-nobody,,,,,", "holder: school has no holder p-nobody: register them first (holder import)"),
        ("h-00001,,,,,", "holder: school has no holder h-00001: register them first (holder import)"),
        ("P Anna,,,,,", 'holder: "P Anna" is no id: write 1 to 32 of a-z, 0-9 and "-"'),
        ("p-anna,4,,,,", 'assurance: "4" is no assurance: write 0 for a bare card, or 1 for a bearer (QR)'),
        ("p-anna,2,,,,", "assurance: a badge with a key is issued by itself: gatekeeper badge issue HOLDER --out FILE"),
        ("p-anna,0,,,,", "card: is empty: a bare card is known by its number, mifare:BA839D07"),
        ("p-anna,1,mifare:00,,,", "assurance: a card's number is assurance 0, and no more"),
        ("p-anna,,BA839D07,,,", 'card: "BA839D07" is no card number: write mifare:BA839D07, or wiegand:4302741608/34 (number and bits)'),
        ("p-anna,,,soon,,", 'from: "soon" is no day or time: write 2027-12-31, or 2027-12-31T17:00; 31-12-2027 is read day first'),
        ("p-anna,,,,17:00,", 'until: "17:00" is no day or time: write 2027-12-31, or 2027-12-31T17:00; 31-12-2027 is read day first'),
        ("p-anna,,,,,0", 'max_uses: "0" is no number of uses: write a whole number from 1, or nothing'),
        ("p-anna,,,,,4294967296", 'max_uses: "4294967296" is no number of uses: write a whole number from 1, or nothing'),
        ("p-anna,,,,2026-05-01,", "the line: The badge would end before it begins: give it a later end"),
        ("p-anna,,,2026-07-02,2026-07-01,", "the line: The badge would end before it begins: give it an earlier beginning"),
        ("p-anna,,,,2027-05-01,", "the line: A badge of school that is issued now ends on 2026-08-30 14:00 at the latest"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_told_with_what_to_write(line: str, problem: str, rows: Rows):
    found = plan(rows, FIRST, line)
    assert (told(found), found.lines) == ([f"2: {problem}"], ())


def test_every_problem_of_a_line_is_told(rows: Rows):
    assert [one.split(": ")[1] for one in told(plan(rows, FIRST, "?,9,7,soon,never,few"))] == [
        "holder", "assurance", "card", "from", "until", "max_uses",
    ]  # fmt: skip


def test_two_lines_that_say_the_same_are_one_too_many(rows: Rows):
    assert told(plan(rows, FIRST, "p-anna,1,,,,", "p-bo,,,,,", "p-anna,,,,,")) == [
        "4: the line: says what line 2 says already: keep one of the two"
    ]
    assert told(plan(rows, FIRST, "p-anna,,mifare:04AABBCC,,,", "p-bo,,mifare:04aabbcc,,,")) == [
        "3: card: stands in line 2 already: a card is one badge's only"
    ]


def test_of_whom_a_change_waits_no_badge_is_issued(rows: Rows):
    (problem,) = told(plan(rows, FIRST, "p-anna,,,,,", "p-bo,,,,,", waiting={"p-anna"}))
    assert problem.startswith("2: holder: a change of p-anna was handed in and waits for an engine")


def test_more_badges_than_one_registration_takes_are_told(rows: Rows):
    lines = [f"p-anna,1,,,,{uses}" for uses in range(1, 34)]
    assert told(plan(rows, FIRST, *lines)) == [
        "34: holder: p-anna gets more than 32 badges: import them in parts"
    ]


def test_a_card_of_another_tenant_stays_theirs(rows: Rows):
    army = rows.desk("army")
    card = army.issue(
        BadgeOrder(assurance=Assurance.CARD_NUMBER, card=CARD), to=anna(), status_index=0, now=NOW
    )
    rows.take(army.register(HolderId("p-soldier"), anna(profiles=()), now=NOW, issued=[card]))
    assert told(plan(rows, FIRST, "p-anna,,mifare:04AABBCC,,,")) == [
        "2: card: A badge of another tenant answers to mifare:04AABBCC: take another card"
    ]


# -- badges that are there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("excel", [False, True])
def test_what_is_exported_is_imported_as_nothing_new(*, excel: bool, rows: Rows):
    issue(rows, plan(rows, FIRST, "p-anna,,mifare:04AABBCC,,,", "p-anna,1,,,2026-06-30,3", "p-bo,,,,,"))
    content = write_badges(rows.desk("school"), excel=excel)
    lines, problems = read_lines(content, BADGES)
    directory = rows.desk("school").directory
    assert (len(lines), problems) == (sum(map(len, directory.badges_by_holder().values())), [])
    found = plan_badges(content, rows.desk("school"), waiting=(), now=NOW + timedelta(days=9))
    assert (told(found), dict(found.new), len(found.unchanged)) == ([], {}, len(lines))


def test_an_export_names_no_person_and_holds_nothing_that_could_be_copied_into_a_badge(rows: Rows):
    issue(rows, plan(rows, FIRST, "p-anna,,,,,"))
    content = write_badges(rows.desk("school"), excel=False)
    assert b"Anna" not in content
    assert content.startswith(b"holder,badge,state,assurance,card,from,until,max_uses\r\n")


@pytest.fixture
def badge(rows: Rows) -> str:
    found = plan(rows, FIRST, "p-anna,,,,2026-06-30,3")
    issue(rows, found)
    return str(found.lines[0].badge)


def known(rows: Rows, line: str) -> list[str]:
    return told(plan(rows, ",".join(BADGES.all), line))


@pytest.mark.parametrize(
    "line", ["active,1,,2026-06-01T14:00,30-06-2026,3", "ACTIVE,,,,,", ",,,,,", ",1,,,2026-06-30,"]
)
def test_a_line_that_says_what_is_so_changes_nothing(line: str, rows: Rows, badge: str):
    assert known(rows, f"p-anna,{badge},{line}") == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("suspended,,,,,", "state: is active for badge {}: say it with gatekeeper badge suspend, lost, stolen, revoke, reinstate"),
        ("gone,,,,,", 'state: "gone" is no state: write one of active, suspended, lost, stolen, revoked, or nothing'),
        (",0,,,,", "assurance: is 1 for badge {}, and a badge is never changed: write that, or nothing"),
        (",,mifare:00,,,", "card: is empty for badge {}, and a badge is never changed: write that, or nothing"),
        (",,,,2026-07-01,", "until: is 2026-06-30 for badge {}, and a badge is never changed: write that, or nothing"),
        (",,,,,4", "max_uses: is 3 for badge {}, and a badge is never changed: write that, or nothing"),
    ],
)  # fmt: skip
def test_what_is_not_so_of_a_badge_is_told(line: str, problem: str, rows: Rows, badge: str):
    assert known(rows, f"p-anna,{badge},{line}") == [f"2: {problem.format(badge)}"]


def test_a_file_gives_no_badge_to_another_and_names_none_that_is_not_there(rows: Rows, badge: str):
    assert known(rows, f"p-bo,{badge},,,,,,") == [
        f"2: holder: badge {badge} is of p-anna: a file gives no badge to another"
    ]
    assert known(rows, "p-bo,ffff,,,,,,") == [
        "2: badge: school has no badge ffff: leave it empty to issue one"
    ]
    assert known(rows, "p-bo,,lost,,,,,") == ["2: state: a new badge is active: write nothing"]


def test_the_id_of_a_change_follows_from_its_badges_and_the_version_before(rows: Rows):
    key = rows.desk("school").issuer.key
    lines: tuple[BadgeLine, ...] = plan(rows, FIRST, "p-anna,,,,,").lines
    others = plan(rows, FIRST, "p-anna,,,,,2").lines
    ids = {
        badge_change_id(lines, 1, key, 0),
        badge_change_id(lines, 1, key, 0),
        badge_change_id(lines, 2, key, 0),
        badge_change_id(lines, 1, key, 1),
        badge_change_id(others, 1, key, 0),
    }
    assert (len(ids), {len(one) for one in ids}) == (4, {16})
