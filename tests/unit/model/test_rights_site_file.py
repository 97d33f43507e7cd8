"""Failing on 'rights': what site files are promised and do not get. Copy into tests/unit/core to run."""

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from gatekeeper.core.policy_document import PolicyRefusal, PolicyRefused, compile_from
from gatekeeper.model.site_file import Lines, SiteFileError, read_site
from tests.support.rules_site_file import FILE, WRITTEN, line_of, problems_of, spoiled
from tests.support.sites import ground

Spoil = Callable[[dict[str, Any]], None]


def put(value: object, *path: str | int) -> Spoil:
    def spoil(document: dict[str, Any]) -> None:
        at: Any = document
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value

    return spoil


CRASHES = [
    put(5, "tenant"),  # reading.Reading.each: enumerate outside `at`
    put(5, "alert"),
    put(5, "site"),  # site._site: Table(...) outside `at`
    put([], "site"),
    put(5, "rules"),  # rules.read_site_rules: Table(...) outside `at`
    put(["army"], "profile", 0, "tenant"),  # check._Check.profiles: a Counter of an unhashable
    put("Europe", "site", "time_zone"),  # reading.a_time_zone: IsADirectoryError
]


@pytest.mark.parametrize("spoil", CRASHES)
def test_whatever_a_file_says_it_is_told_and_never_a_traceback(spoil: Spoil):
    document = tomllib.loads(WRITTEN)
    spoil(document)
    with pytest.raises(SiteFileError):
        read_site(document)


@pytest.mark.parametrize("spoil", CRASHES)
def test_a_signed_policy_that_describes_no_site_is_refused_and_stops_nobody(spoil: Spoil):
    """Whoever signed it: the engine must not stop over a change that the host signed."""
    from gatekeeper import cose
    from gatekeeper.core.policy_document import POLICY_TYPE
    from gatekeeper.model.site_file import policy_document
    from tests.support.sites import HOST, SITE, key_of, site_document

    document = site_document()
    spoil(document)
    payload = policy_document(document)
    signed = cose.sign(payload, key=key_of(f"{HOST} signing"), typ=POLICY_TYPE, external_aad=SITE.encode())
    found = compile_from(signed, trust=ground().trust)
    assert isinstance(found, PolicyRefused)
    assert found.code is PolicyRefusal.MALFORMED
    assert json.loads(payload)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('certificates = ["arms"]', 'certificates = "arms"'),  # read as a, r, m, s: nobody gets in
        ('zones = ["yard"]\nfrom', 'zones = "yard"\nfrom'),  # told as: there is no zone 'a', 'd', 'r', 'y'
        ('guests = ["h-00001"]', 'guests = "h-00001"'),
        ('excluded = ["school"]', 'excluded = "abc"'),
        ('days = ["mon", "tue", "wed", "thu", "fri"]', 'days = "mon"'),
    ],
)
def test_a_text_where_a_list_is_wanted_is_no_list_of_its_letters(before: str, after: str):
    (problem,) = problems_of(spoiled((before, after)))
    assert "list" in problem


@pytest.mark.parametrize(
    "again",
    [
        '[[alert]]\nstate = "tense"\nassurance = 1\n',  # the last wins: the first one's PIN, escort, exclusion are gone
        '[[travel]]\nbetween = ["front-in", "vault-out"]\nseconds = 5\n',  # the last wins: 45 seconds become 5
    ],
)
def test_what_is_said_twice_is_told(again: str):
    assert problems_of(f"{WRITTEN}\n{again}") != []


@pytest.mark.parametrize(
    "change",
    [
        ('excluded = ["school"]', 'excluded = ["army"]'),  # the host keeps itself out of its site
        ('to = "yard"\ndirection = "in"', 'to = "yard"\ndirection = "out"'),  # into the yard as if out of the world: no level, no PIN, no escort
        ('name = { en = "Outside", nl = "Buiten" }\n', 'name = { en = "Outside", nl = "Buiten" }\nparent = "yard"\n'),  # the world outside lies in the yard
        ("badge_days = 90", "badge_days = 0"),  # no badge can ever count
        ('zones = ["vault"]', "zones = []"),  # an event nowhere
        ('guests = ["h-00001"]', "guests = []"),  # an event for nobody
        ("from = 2026-06-01T00:00:00Z", "from = 2026-06-01T00:00:00.5Z"),  # cut to the second when it is signed
    ],
)  # fmt: skip
def test_what_is_never_meant_is_told(change: tuple[str, str]):
    assert problems_of(spoiled(change)) != []


def test_a_schedule_for_special_days_of_an_empty_calendar_never_opens():
    text = spoiled(
        ('days = [{ date = 2026-12-25, name = { en = "Christmas", nl = "Kerst" } }]', "days = []"),
        (
            'windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "07:30", until = "17:00" }]',
            "windows = []",
        ),
    )
    assert any("never open" in problem for problem in problems_of(text))


def test_every_problem_of_a_table_is_told_at_once():
    """One table gives one problem: site, _zone and others stop at the first."""
    text = spoiled(
        (
            'parent = "yard"\nowner = "army"\nlevel = 3\nassurance = 2',
            'parent = "yard"\nowner = "Army!"\nlevel = 9\nassurance = 7\ncolour = 1',
        )
    )
    told = "\n".join(problems_of(text))
    assert all(word in told for word in ("Army!", "level", "assurance", "colour"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "inactivity_days = 90",
            "inactivity_days = 0",
        ),  # and: alert tense asks for an escort, and [rules] names none
        ("date = 2026-12-25", 'date = "christmas"'),  # and: there is no calendar 'holidays'
        ('host = "army"', 'hots = "army"'),  # and: tenant army has no agreement, ...
        ("unlock_seconds = 4", 'unlock_seconds = "x"'),  # and at every access point
        (
            'alert_states = ["calm", "tense"]',
            "alert_states = [1, 2]",
        ),  # and at every grant: 'tense' is none of (nothing)
    ],
)
def test_one_mistake_is_told_once(before: str, after: str):
    assert len(problems_of(spoiled((before, after)))) == 1


@pytest.mark.parametrize(
    ("before", "after", "at", "problem"),
    [
        ('excluded = ["school"]', 'excluded = ["navy"]', 'excluded = ["navy"]', "alert tense: there is no tenant 'navy'"),  # no line at all
        ("ceiling = 2", "ceiling = 6", "ceiling = 6", "tenant school, agreement: "),  # the line of [[tenant]]
        ("hours = 8", "hours = 25", "hours = 25", "zone vault, rules: "),  # the line of [[zone]]
        ("inactivity_days = 90", "inactivity_days = 0", "inactivity_days", "rules, inactivity_days: "),  # told of pin, at pin's line
        ('id = "army"\nname', 'id = "army"\nagreement = 1\nname', "agreement = 1", "tenant army, agreement: "),  # told of id
    ],
)  # fmt: skip
def test_a_problem_points_at_its_own_key(before: str, after: str, at: str, problem: str):
    text = spoiled((before, after))
    assert any(told.startswith(f"{FILE}:{line_of(text, at)}: {problem}") for told in problems_of(text)), (
        problems_of(text)
    )


def test_the_second_group_of_a_population_has_its_own_line():
    """lines._place: a head that is no repeated table is never looked at as the head of one ([[population.group]])."""
    text = "[population]\nseed = 7\n[[population.group]]\ntenant = 1\n[[population.group]]\ntenant = 2\n"
    assert Lines.of(text, file="f").pointing(("population", "group", 2), "tenant") == "f:6"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('anti_passback = "hard"', 'anti_passback = "firm"'),  # 'firm' is not a valid AntiPassback
        ('direction = "in"\nunlock_seconds = 9', 'direction = "up"\nunlock_seconds = 9'),
        ('differ = "role"', 'differ = "age"'),
        ("most = 50, ", 'most = "x", least = 2, '),  # '>' not supported between instances of 'int' and 'str'
        ('grants = [{ access_point = "front-in", schedule = "working-hours", highest_alert = "calm" }]', "grants = 5"),  # 'int' object is not iterable
        ("date = 2026-12-25", 'date = "christmas"'),  # Invalid isoformat string: 'christmas'
    ],
)  # fmt: skip
def test_a_problem_is_a_sentence_for_a_person(before: str, after: str):
    told = problems_of(spoiled((before, after)))[0]
    assert not any(
        words in told for words in ("not a valid", "not supported", "object is not", "Invalid isoformat")
    )
