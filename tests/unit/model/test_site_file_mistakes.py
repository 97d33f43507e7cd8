"""Mistakes that people make in a site file: each is told once, as a sentence, at its line; and whatever is written, nothing breaks."""

import json
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper import cose
from gatekeeper.core.policy_document import POLICY_TYPE, PolicyRefusal, PolicyRefused, compile_from
from gatekeeper.model.policy import compile_policy
from gatekeeper.model.site_file import Lines, SiteFileError, policy_document, read_site, read_site_file
from tests.support.rules_site_file import FILE, WRITTEN, line_of, problems_of, spoiled
from tests.support.sites import HOST, SITE, ground, key_of, site_document

Spoil = Callable[[dict[str, Any]], None]
Path = tuple[str | int, ...]

PEOPLE = """
[population]
seed = 7
[[population.group]]
tenant = "army"
kind = "staff"
count = 3
clearance = 5
assurance = 2
profiles = ["soldier"]
routine = "guard"
home = "yard"
[[gate]]
id = "side"
name = { en = "Side reader", nl = "Zijlezer" }
[[access_point]]
id = "side-in"
gate = "side"
from = "outside"
to = "yard"
direction = "in"
name = { en = "Side", nl = "Zij" }
[[bridge]]
kind = "tasmota"
gate = "side"
topic = "tele/side/SENSOR"
access_point = "side-in"
"""


def put(value: object, *path: str | int) -> Spoil:
    def spoil(document: dict[str, Any]) -> None:
        at: Any = document
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = deepcopy(value)

    return spoil


NO_TABLES = [
    put(5, "tenant"),
    put(5, "alert"),
    put(5, "site"),
    put([], "site"),
    put(5, "rules"),
    put(["army"], "profile", 0, "tenant"),
    put("Europe", "site", "time_zone"),
]


@pytest.mark.parametrize("spoil", NO_TABLES)
def test_whatever_a_file_says_it_is_told_and_never_a_traceback(spoil: Spoil):
    document = tomllib.loads(WRITTEN)
    spoil(document)
    with pytest.raises(SiteFileError):
        read_site(document)


@pytest.mark.parametrize("spoil", NO_TABLES)
def test_a_signed_policy_that_describes_no_site_is_refused_and_stops_nobody(spoil: Spoil):
    """Whoever signed it: the engine must not stop over a change that the host signed."""
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
        ('certificates = ["arms"]', 'certificates = "arms"'),
        ('zones = ["yard"]\nfrom', 'zones = "yard"\nfrom'),
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
        '[[alert]]\nstate = "tense"\nassurance = 1\n',
        '[[travel]]\nbetween = ["front-in", "vault-out"]\nseconds = 5\n',
    ],
)
def test_what_is_said_twice_is_told(again: str):
    assert problems_of(f"{WRITTEN}\n{again}") != []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('excluded = ["school"]', 'excluded = ["army"]', "alert tense, excluded: army is the host, and no alert state keeps the host out"),
        ('to = "yard"\ndirection = "in"', 'to = "yard"\ndirection = "out"', 'access_point front-in, direction: it asks nothing of what yard demands: write direction = "in"'),
        ('from = "vault"\nto = "yard"\ndirection = "out"', 'from = "vault"\nto = "yard"\ndirection = "in"', 'access_point vault-out, direction: it leads out of vault: write direction = "out"'),
        ('from = "yard"\nto = "outside"\ndirection = "out"', 'from = "yard"\nto = "outside"\ndirection = "in"', 'access_point front-out, direction: it leads out of yard: write direction = "out"'),
        ('name = { en = "Outside", nl = "Buiten" }\n', 'name = { en = "Outside", nl = "Buiten" }\nparent = "yard"\n', "zone outside, parent: the world outside lies in no zone"),
        ("badge_days = 90", "badge_days = 0", "tenant school, agreement, badge_days: 0 is no whole number from 1 to 3660"),
        ('zones = ["vault"]', "zones = []", "event exercise, zones: an event is somewhere: name its zones"),
        ('guests = ["h-00001"]', "guests = []", "event exercise, guests: an event is for somebody: name its guests"),
        ("from = 2026-06-01T00:00:00Z", "from = 2026-06-01T00:00:00.5Z", "event exercise, from: an instant in whole seconds is wanted, and not 2026-06-01T00:00:00.500000+00:00"),
        ('kinds = ["visitor", "contractor"]', "kinds = []", "zone vault, rules, escort, kinds: an escort of nobody: name kinds of holders"),
        ('days = ["mon", "tue", "wed", "thu", "fri"]', "days = []", "schedule working-hours, windows 1, days: a window is on some days: name them"),
    ],
)  # fmt: skip
def test_what_is_never_meant_is_told(before: str, after: str, problem: str):
    text = spoiled((before, after))
    told = problems_of(text)
    assert [one.split(": ", 1)[1] for one in told if "parents lead" not in one] == [problem]


def test_a_door_into_what_is_less_protected_may_lead_out_of_one_that_does_not_lie_in_it():
    text = spoiled(
        ('parent = "yard"\n', ""), ('grants = [{ access_point = "front-in"', 'grants = [{ zone = "yard"')
    )
    assert problems_of(text) == []


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
        ("inactivity_days = 90", "inactivity_days = 0"),  # the escort of [rules] is still known
        ("date = 2026-12-25", 'date = "christmas"'),
        ('host = "army"', 'hots = "army"'),
        ("unlock_seconds = 4", 'unlock_seconds = "x"'),
        ('alert_states = ["calm", "tense"]', "alert_states = [1, 2]"),
        ('[[zone]]\nid = "vault"', '[[zone]]\nid = "Vault"'),  # and who refers to it may be right
        ('[[zone]]\nid = "vault"\n', "[[zone]]\n"),
        ('id = "soldier"\ntenant = "army"', 'id = "soldier"\ntenant = 5'),
        ('id = "holidays"\n', "id = 5\n"),
        ("passback_minutes = 10", "passback_minutes = 0"),
        ("most = 50, ", 'most = "x", least = 2, '),
        ("[[gate]]\n", "[gate]\n"),
        ('to = "yard"\ndirection = "in"', 'to = "yard"\ndirection = "inn"'),
        ('from = "vault"\nto = "yard"', 'form = "vault"\nto = "yard"'),  # and no way out of the vault
        ('windows = [{ days = ["mon", "tue", "wed", "thu", "fri"]', 'windows = [{ days = ["monday"]'),
    ],
)
def test_one_mistake_is_told_once(before: str, after: str):
    assert len(problems_of(spoiled((before, after)))) == 1


@pytest.mark.parametrize(
    ("before", "after", "at", "problem"),
    [
        ('excluded = ["school"]', 'excluded = ["navy"]', 'excluded = ["navy"]', "alert tense: there is no tenant 'navy'"),
        ("ceiling = 2", "ceiling = 6", "ceiling = 6", "tenant school, agreement, ceiling: "),
        ("hours = 8", "hours = 25", "hours = 25", "zone vault, rules, first_person, hours: "),
        ("inactivity_days = 90", "inactivity_days = 0", "inactivity_days", "rules, inactivity_days: "),
        ('id = "army"\nname', 'id = "army"\nagreement = 1\nname', "agreement = 1", "tenant army, agreement: "),
    ],
)  # fmt: skip
def test_a_problem_points_at_its_own_key(before: str, after: str, at: str, problem: str):
    text = spoiled((before, after))
    assert any(told.startswith(f"{FILE}:{line_of(text, at)}: {problem}") for told in problems_of(text)), (
        problems_of(text)
    )


LISTED = """\
[[profile]]
id = "guard"
grants = [
    # { zone = "none" },
    { zone = "[[", name = { en = "a" } }, { zone = "b" },
    { zone = "c" },
]
text = '''
[[zone]]
id = "{"
'''
agreement.ceiling = 2
[[profile]]
"id" = "cook"
[[profile.grants]]
zone = "d"
[[profile.grants]]
zone = "e"
[zone.rules.occupancy]
most = 1
"""


@pytest.mark.parametrize(
    ("place", "key", "line"),
    [
        (("profile", 1, "grants", 1), "zone", 5),
        (("profile", 1, "grants", 2), "zone", 5),
        (("profile", 1, "grants", 3), "zone", 6),
        (("profile", 1, "grants", 4), "zone", 3),
        (("profile", 1, "grants", 3, "name"), "en", 6),
        (("profile", 1, "agreement"), "ceiling", 12),
        (("profile", 1, "agreement"), "zones", 12),
        (("profile", 2), "id", 14),
        (("profile", 2, "grants", 1), "zone", 16),
        (("profile", 2, "grants", 2), "zone", 18),
        (("zone", "rules", "occupancy"), "most", 20),
        (("zone", "rules", "occupancy"), "least", 19),
    ],
)
def test_a_table_in_a_list_has_its_own_line(place: Path, key: str, line: int):
    assert Lines.of(LISTED, file="f").pointing(place, key) == f"f:{line}"


def test_the_second_group_of_a_population_has_its_own_line():
    text = "[population]\nseed = 7\n[[population.group]]\ntenant = 1\n[[population.group]]\ntenant = 2\n"
    assert Lines.of(text, file="f").pointing(("population", "group", 2), "tenant") == "f:6"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('anti_passback = "hard"', 'anti_passback = "firm"'),
        ('direction = "in"\nunlock_seconds = 9', 'direction = "up"\nunlock_seconds = 9'),
        ('differ = "role"', 'differ = "age"'),
        ("most = 50, ", 'most = "x", least = 2, '),
        ('grants = [{ access_point = "front-in", schedule = "working-hours", highest_alert = "calm" }]', "grants = 5"),
        ("date = 2026-12-25", 'date = "christmas"'),
    ],
)  # fmt: skip
def test_a_problem_is_a_sentence_for_a_person(before: str, after: str):
    told = problems_of(spoiled((before, after)))[0]
    assert not any(
        words in told for words in ("not a valid", "not supported", "object is not", "Invalid isoformat")
    )


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('home = "yard"', 'home = "attic"', "population group 1: there is no zone 'attic'"),
        ('profiles = ["soldier"]', 'profiles = ["pupil"]', "population group 1: army has no profile 'pupil'"),
        ("count = 3", "count = -1", "population group 1, count: -1 is no whole number from 0 to 1000000"),
        ('gate = "side"\ntopic', 'gate = "back"\ntopic', "bridge 1: back has no access point 'side-in'"),
        ('topic = "tele/side/SENSOR"', "topic = 5", "bridge 1, topic: a text of 1 to 200 characters is wanted"),
    ],
)  # fmt: skip
def test_people_and_bridges_are_told_with_all_the_rest_each_at_its_line(
    before: str, after: str, problem: str
):
    text = WRITTEN.replace("level = 3", "level = 9") + PEOPLE.replace(before, after)
    document = tomllib.loads(text)
    assert PEOPLE.count(before) == 1
    with pytest.raises(SiteFileError) as refused:
        read_site_file(document, lines=Lines.of(text, file=FILE))
    level, told = refused.value.problems
    assert level.startswith(f"{FILE}:{line_of(text, 'level = 9')}: zone vault, level: ")
    first = text.index("[[population.group]]" if problem.startswith("population") else "[[bridge]]")
    assert int(told.split(":")[1]) > text[:first].count("\n")
    assert told.split(": ", 1)[1] == problem


def test_a_door_of_an_interlock_is_behind_no_stock_reader():
    before, after = '"front-in", "vault-in"]', '"front-in", "side-in"]'
    assert WRITTEN.count(before) == 1
    text = WRITTEN.replace(before, after) + PEOPLE
    with pytest.raises(SiteFileError) as refused:
        read_site_file(tomllib.loads(text), lines=Lines.of(text, file=FILE))
    what = "bridge 1: a stock reader has no contact, so side-in cannot be in interlock sluice"
    line = line_of(text, 'access_point = "side-in"')
    assert refused.value.problems == [f"{FILE}:{line}: {what}"]


def test_problems_are_told_from_the_top_of_the_file_down():
    text = spoiled(
        ('parent = "yard"', 'parent = "park"'),
        ("seconds = 45", "seconds = 0"),
        ("badge_days = 90", "badge_days = 0"),
        ('highest_alert = "calm"', 'highest_alert = "grave"'),
    )
    lines = [int(told.split(":")[1]) for told in problems_of(text)]
    assert lines == sorted(lines)
    assert len(lines) == 4


def test_the_first_of_all_days_is_signed_as_it_was_written():
    document = tomllib.loads(spoiled(("from = 2026-01-01T00:00:00Z", "from = 0001-01-01T00:00:00Z")))
    assert read_site(json.loads(policy_document(document))) == read_site(document)


# -- whatever is written ----------------------------------------------------------------------------------------------

ANYTHING = [
    None, 5, -1, 1.5, True, "x", "army", "", "é" * 300, "07:30", "2026-01-01", [], [5], ["x", "x"], [[]], [{}], {}, {"x": 1},
    {"en": "x", "nl": "x"}, b"x", date(1, 1, 1), time(7, 30), datetime(2026, 1, 1), datetime(1, 1, 1, tzinfo=UTC),  # noqa: DTZ001 - a time without its zone
]  # fmt: skip


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a document."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from paths(one, (*at, name))


WHOLE = tomllib.loads(WRITTEN + PEOPLE)
PATHS = list(paths(WHOLE))
PYTHONS_OWN = (
    "object",
    "NoneType",
    "datetime.",
    "Invalid iso",
    "not a valid",
    "Traceback",
    "argument",
    "unhashable",
)


def told_or_read(document: dict[str, Any]) -> None:
    """A document is a policy that compiles, or what is wrong is told in sentences for a person."""
    try:
        policy = read_site_file(document, lines=Lines.of(WRITTEN + PEOPLE, file=FILE))
    except SiteFileError as error:
        told = error.problems
    else:
        told = []
    assert all(one.startswith(FILE) for one in told)
    assert not [one for one in told if any(words in one for words in PYTHONS_OWN)]
    if told:
        with pytest.raises(SiteFileError):
            read_site_file(document)
    else:
        agreements = {tenant.id: tenant.agreement for tenant in policy.tenants if tenant.agreement}
        assert compile_policy(policy, agreements=agreements, sources=()).site == policy.site
        assert read_site(json.loads(policy_document(document))) == read_site(document)


@pytest.mark.parametrize("value", ANYTHING, ids=lambda value: repr(value)[:20])
def test_anything_anywhere_is_told_or_read(value: Any):
    for path in PATHS:
        document = deepcopy(WHOLE)
        put(value, *path)(document)
        told_or_read(document)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_many_mistakes_at_once_are_told_or_read(data: st.DataObject):
    document = deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(2, 6))):
        path = data.draw(st.sampled_from(list(paths(document))))
        if data.draw(st.booleans()):
            put(data.draw(st.sampled_from(ANYTHING)), *path)(document)
        else:
            at: Any = document
            for name in path[:-1]:
                at = at[name]
            del at[path[-1]]
    told_or_read(document)


@pytest.mark.parametrize("path", [path for path in PATHS if isinstance(path[-1], str)], ids=str)
def test_a_misspelt_key_is_told(path: Path):
    document = deepcopy(WHOLE)
    at: Any = document
    for name in path[:-1]:
        at = at[name]
    at[f"{path[-1]}x"] = at.pop(path[-1])
    with pytest.raises(SiteFileError):
        read_site_file(document)
