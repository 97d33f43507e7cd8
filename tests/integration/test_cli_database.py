"""Commands on named databases, in which each test has a small site of its own: who is where, and what is founded."""

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.service.administration.instants import show_time
from tests.integration.cli_hold import GUARD, STUDENT, Hold
from tests.support.site_files import SMALL

pytestmark = pytest.mark.integration


# -- who is where -----------------------------------------------------------------------------------------------------


def test_presence_tells_who_is_where_and_how_sure_that_is(hold: Hold):
    said = hold("presence", "--json")
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert (document["site"], document["cursor"]) == (hold.site, 10)
    here = {one["holder"]: one for one in document["present"]}
    assert here.keys() == {GUARD, STUDENT}
    assert here[GUARD] == {
        "holder": GUARD,
        "name": hold.named(GUARD),
        "tenant": "army",
        "zone": "yard",
        "since": here[GUARD]["since"],
        "quality": "granted",
        "seq": 7,
    }
    assert datetime.fromisoformat(here[GUARD]["since"]).tzinfo is not None


def test_presence_of_a_zone_is_of_that_zone_and_what_lies_in_it(hold: Hold):
    for zone, people in (("yard", [GUARD]), ("outside", [STUDENT])):
        present = hold("presence", "--json", "--zone", zone).document["present"]
        assert [one["holder"] for one in present] == people


def test_presence_as_a_table_has_a_line_a_person_and_says_how_fresh_it_is(hold: Hold):
    said = hold("presence")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].split() == ["zone", "name", "holder", "tenant", "since", "how", "sure"]
    assert any(hold.named(GUARD) in line and "yard" in line and "granted" in line for line in lines)
    since = show_time(datetime.fromisoformat(_since(hold)), ZoneInfo("Europe/Amsterdam"))
    assert any(since in line for line in lines if hold.named(GUARD) in line)
    assert lines[-1] == "2 people; as of entry 10; times are by the clock of Europe/Amsterdam."


def _since(hold: Hold) -> str:
    present = hold("presence", "--json").document["present"]
    (since,) = {one["since"] for one in present if one["holder"] == GUARD}
    return str(since)


def test_a_zone_that_the_site_does_not_have_is_answered_with_those_it_has(hold: Hold):
    said = hold("presence", "--zone", "moon")
    assert (said.code, said.out) == (2, "")
    assert said.err == "The site has no zone moon; it has outside, yard.\n"


@pytest.mark.parametrize("name", ["h-99999", "f" * 32, "../keys", "'; DROP TABLE badge; --"])
def test_a_badge_that_the_site_does_not_have_is_said_to_be_none(name: str, hold: Hold):
    said = hold("badge", "revoke", name)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"The site has no badge and no holder {name}.\n"


def test_a_site_that_the_database_does_not_hold_is_said_to_be_none(hold: Hold):
    said = hold("presence", "--site", "nowhere")
    assert (said.code, said.err) == (2, "The database holds no site nowhere.\n")


def test_a_policy_that_the_host_did_not_sign_is_not_believed(hold: Hold):
    hold.run("UPDATE document SET content = set_byte(content, 500, 7) WHERE site_id = $1 AND kind = 'policy'")
    said = hold("presence")
    assert said.code == 2
    assert said.err.startswith("The policy is not believed: ")


# -- founding ---------------------------------------------------------------------------------------------------------


def test_a_database_that_holds_the_site_already_is_not_begun_anew_and_no_key_is_left(
    hold: Hold, tmp_path: Path
):
    file, other = tmp_path / "site.toml", tmp_path / "other"
    file.write_text(SMALL.replace('id = "fort"', f'id = "{hold.site}"', 1))
    said = hold("site", "init", file, data=other)
    assert said.code == 2
    assert said.err.strip() == f"The database holds a site {hold.site} already; its log is never begun anew."
    assert not list(other.glob("sites/*"))


@pytest.mark.parametrize(
    ("wrong", "sentences"),
    [
        (
            {'home = "yard"': 'home = "moon"'},
            [f"population group {n}: there is no zone 'moon'" for n in (1, 2, 3)],
        ),
        (
            {'access_point = "side-in"': 'access_point = "front-in"'},
            ["bridge 1: side-reader has no access point 'front-in'"],
        ),
        (
            {'profiles = ["soldier"]': 'profiles = ["pupil"]'},
            ["population group 1: army has no profile 'pupil'"],
        ),
    ],
    ids=["no home", "no bridge", "no profile"],
)
def test_people_and_bridges_that_do_not_fit_the_site_are_all_named_and_nothing_is_founded(
    wrong: dict[str, str], sentences: list[str], hold: Hold, tmp_path: Path
):
    file, other = tmp_path / "site.toml", tmp_path / "other"
    text = SMALL
    for before, after in wrong.items():
        text = text.replace(before, after)
    file.write_text(text)
    said = hold("site", "init", file, data=other)
    assert said.code == 2
    told = [line.partition(": ") for line in said.err.splitlines() if line]
    assert [sentence for _, _, sentence in told] == sentences
    lines = text.splitlines()
    for place, _, _ in told:
        name, _, number = place.rpartition(":")
        assert name == str(file)
        assert any(after in line for after in wrong.values() for line in lines[int(number) - 1 :][:8])
    assert not list(other.glob("sites/*"))


def test_what_is_said_in_json_is_one_line_and_all_of_it(hold: Hold):
    for said in (hold("presence", "--json"), hold.verify("--json")):
        assert said.out.count("\n") == 1
        assert json.loads(said.out)
