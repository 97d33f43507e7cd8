"""An entry is told in words: nothing of Python's spelling, no number for a time, nothing that is empty."""

from zoneinfo import ZoneInfo

from gatekeeper.service.explaining import Line, Wording

WORDS = Wording(zone=ZoneInfo("Europe/Amsterdam"), alert_states=("alpha", "bravo"))

PERSONAL = {
    "holder": "a-100",
    "badge": "00ff",
    "salt": "11",
    "scan": "0oRY",
    "facts": {
        "badge": {"id": "00ff", "expires": 1859052282, "duress": False, "max_uses": None, "assurance": 2},
        "badge_state": "active",
        "alert": 1,
        "assurance": 2,
        "findings": [],
        "holder": {
            "id": "a-100",
            "profiles": ["teacher", "leave"],
            "certificates": {"first-aid": 1859052282},
            "host": None,
        },
        "holder_unproven": False,
        "lockdowns": [],
        "past": {"last_at": "2026-11-29T19:25:17.000000Z", "crowds": {"hall": 3}},
        "suspended": [],
        "whereabouts": None,
    },
}


def told(lines: list[Line]) -> list[str]:
    return ["  " * line.depth + f"{line.label}: {line.value}".rstrip() for line in lines]


def test_who_it_was_is_told_with_the_name_first():
    assert told(WORDS.who(PERSONAL, name="Anna")) == [
        "name: Anna",
        "number: a-100",
        "profiles: teacher, leave",
        "certificates:",
        "  first-aid: 2028-11-28 20:24:42 +01:00",
    ]


def test_the_badge_is_told_in_words():
    assert told(WORDS.badge(PERSONAL)) == [
        "number: 00ff",
        "state: active",
        "valid until: 2028-11-28 20:24:42 +01:00",
        "cries for help: no",
        "assurance: 2 (key-bound)",
    ]


def test_what_was_known_is_nested_and_what_is_empty_is_left_out():
    assert told(WORDS.known(PERSONAL)) == [
        "alert state: bravo",
        "assurance: 2 (key-bound)",
        "registration not proven: no",
        "before:",
        "  last let through: 2026-11-29 20:25:17 +01:00",
        "  people in the zone:",
        "    hall: 3",
    ]


def test_of_an_entry_about_nobody_nothing_is_told_as_known():
    assert [WORDS.who({}, name=None), WORDS.badge({}), WORDS.known({})] == [[], [], []]


def test_what_is_in_the_open_is_told_without_the_spelling_of_a_program():
    body = {
        "kind": "proposal.made",
        "trees": {"site": 501},
        "gives": ["a door more", "a zone\x1b more"],
        "openings": False,
    }
    assert told(WORDS.in_the_open(body)) == [
        *("gives: a door more", "gives: a zone? more", "openings: no", "index in the trees:", "  site: 501"),
    ]


def test_a_reason_that_only_reports_is_told_as_such():
    lines = told(
        WORDS.reasons({"reasons": ["denied-out-of-time-range"], "shadow": ["denied-out-of-time-range"]})
    )
    assert [line.partition(":")[0] for line in lines] == [
        *("denied-out-of-time-range", "denied-out-of-time-range (only reported)"),
    ]
