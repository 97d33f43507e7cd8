"""What the command line says to a person whose site, file or setting is not as it should be: a sentence and a code.

Two means misused, one means that the answer is no. Nothing here ends in a traceback.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Said, gatekeeper
from tests.support.site_files import SMALL

pytestmark = pytest.mark.integration

Run = Callable[..., Said]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("presence")`, with a data folder of its own that does not exist yet."""
    for name in ("SITE", "DATA", "DSN", "VAULT_DSN", "BROKER"):
        monkeypatch.delenv(f"GATEKEEPER_{name}", raising=False)

    def run(*words: object) -> Said:
        return gatekeeper(capfd, *words, "--data", tmp_path / "data")

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


# -- no site ----------------------------------------------------------------------------------------------------------

NEEDING_A_SITE: dict[str, tuple[object, ...]] = {
    "serve": ("serve", "--http-port", 0),
    "presence": ("presence",),
    "watch": ("watch",),
    "alert": ("alert", "set", "charlie"),
    "lockdown": ("lockdown", "on"),
    "badge": ("badge", "revoke", "h-00001"),
}


@pytest.mark.parametrize("words", NEEDING_A_SITE.values(), ids=NEEDING_A_SITE)
def test_without_a_site_every_command_says_how_to_found_one(words: tuple[object, ...], run: Run, data: Path):
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"Name the site with --site: the folder {data} does not tell which; "
        "it holds no site yet (gatekeeper site init FILE).\n"
    )


def test_without_a_site_there_is_nothing_to_verify_which_is_not_the_same_as_invalid(run: Run):
    said = run("audit", "verify")
    assert said.code == 3
    assert said.err.startswith("Cannot check: Name the site with --site")


def test_of_several_sites_one_must_be_named(run: Run, data: Path):
    for site in ("fort", "castle", ".castle.ceremony"):
        (data / "sites" / site).mkdir(parents=True)
    said = run("presence")
    assert said.code == 2
    assert said.err == (
        f"Name the site with --site: the folder {data} does not tell which; it holds castle, fort.\n"
    )


# -- a site file that is none -----------------------------------------------------------------------------------------


def _file(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "site.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


BAD_FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "no TOML": ("[site\n", ["is no TOML: Expected ']'", "line 1"]),
    "no text": (b"\xff\xfe", ["is no TOML", "utf-8"]),
    "nothing": ("", ["site"]),
    "a level beyond all levels": (
        SMALL.replace('owner = "army"\nlevel = 1', 'owner = "army"\nlevel = 9'),
        ["site.toml:", "zone yard, level: 9 is no whole number from 0 to 5"],
    ),
    "a file of something else": ('[tool]\nname = "x"\n', ["site"]),
    "a site that is a number": ("site = 3\n", ["site: a table is wanted, written [site]\n"]),
    "zones that are a table": ("[zone]\nid = 'yard'\n", ["zone: tables are wanted, each written [[zone]]\n"]),
    "people that are words": (
        "population = ['x']\n",
        ["population: a table is wanted, written [population]\n"],
    ),
    "groups of nobody": (
        "[population]\nseed = 1\ngroup = [3]\n",
        ["population group: tables are wanted, each written [[population.group]]\n"],
    ),
    "bridges to nowhere": ("bridge = 3\n", ["bridge: tables are wanted, each written [[bridge]]\n"]),
}


@pytest.mark.parametrize(("content", "said_so"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_site_file_is_refused_with_what_is_wrong_and_founds_nothing(
    content: str | bytes, said_so: list[str], run: Run, tmp_path: Path, data: Path
):
    said = run("site", "init", _file(tmp_path, content))
    assert (said.code, said.out) == (2, "")
    for part in said_so:
        assert part in said.err
    assert not data.exists(), "no key was made, and no database was started"


def test_a_site_file_that_is_not_there_is_named(run: Run, tmp_path: Path):
    said = run("site", "init", tmp_path / "nowhere.toml")
    assert (said.code, said.err) == (2, f"there is no file {tmp_path / 'nowhere.toml'}\n")


def test_a_folder_is_no_site_file(run: Run, tmp_path: Path, data: Path):
    said = run("site", "init", tmp_path)
    assert (said.code, said.err) == (2, f"{tmp_path} is a folder; name the site file in it\n")
    assert not data.exists()


def test_what_is_wrong_with_rules_people_and_bridges_is_told_at_once(run: Run, tmp_path: Path, data: Path):
    broken = SMALL.replace("level = 1", "level = 9").replace('routine = "guard"', 'routine = "idle"')
    said = run("site", "init", _file(tmp_path, broken.replace('kind = "tasmota"', 'kind = "toaster"')))
    assert said.code == 2
    assert [line.split(": ")[1] for line in said.err.splitlines()] == [
        "zone yard, level",
        "population group 1, routine",
        "bridge 1, kind",
    ]
    assert not data.exists()


def test_a_group_that_is_misspelt_hides_no_bridge_that_leads_nowhere(run: Run, tmp_path: Path):
    broken = SMALL.replace('routine = "guard"', 'routine = "idle"')
    broken = broken.replace('access_point = "side-in"', 'access_point = "front-in"')
    said = run("site", "init", _file(tmp_path, broken))
    assert [line.split(": ")[1] for line in said.err.splitlines()] == [
        "population group 1, routine",
        "bridge 1",
    ]


def test_a_place_that_holds_a_site_is_refused_before_a_database_is_started(
    run: Run, tmp_path: Path, data: Path
):
    (data / "sites" / "fort").mkdir(parents=True)
    (data / "sites" / "fort" / "anchor.json").write_text("{}")
    said = run("site", "init", _file(tmp_path, SMALL))
    assert said.code == 2
    assert said.err.startswith(f"{data / 'sites' / 'fort'} holds a site already")
    assert [place.name for place in data.iterdir()] == ["sites"]


def test_every_problem_of_a_file_stands_on_a_line_of_its_own(run: Run, tmp_path: Path):
    broken = SMALL.replace("level = 1", "level = 9").replace("level = 0", "level = 8")
    said = run("site", "init", _file(tmp_path, broken))
    said_of = [line.split(": ")[:2] for line in said.err.splitlines()]
    assert [where for _, where in said_of] == ["zone outside, level", "zone yard, level"]
    lines = broken.splitlines()
    assert [lines[int(place.rpartition(":")[2]) - 1] for place, _ in said_of] == ["level = 8", "level = 9"]


# -- a demo that cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--seconds", 0), "--seconds: more than 0.\n"),
        (("--seconds", -1), "--seconds: more than 0.\n"),
        (("--seconds", "nan"), "--seconds: more than 0.\n"),
        (("--speed", -1), "--speed: 0 or more.\n"),
        (("--speed", "inf"), "--speed: 0 or more.\n"),
        (("--people", 0), "--people: 1 to "),
        (("--people", -3), "--people: 1 to "),
        (("--people", 100_000), "--people: 1 to "),
    ],
)
def test_a_demo_that_cannot_be_is_told_before_a_site_is_founded(
    words: tuple[object, ...], sentence: str, run: Run, data: Path
):
    said = run("demo", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(sentence)
    assert not data.exists()


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("serve", "--http-port", 70000), "http_port is a number from 0 to 65535.\n"),
        (("serve", "--log-level", "loud"), "log_level is one of debug, info, warning, error, not 'loud'.\n"),
        (
            ("alert", "set", "charlie", "--dsn", "postgresql://db/log"),
            "dsn and vault_dsn go together: the persons' keys never share a database with the log.\n",
        ),
    ],
)
def test_a_bad_option_is_answered_with_a_sentence(words: tuple[Any, ...], sentence: str, run: Run):
    said = run(*words)
    assert (said.code, said.out, said.err) == (2, "", sentence)


def test_a_misspelt_setting_in_the_environment_stops_every_command(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GATEKEEPER_STIE", "fort")
    for words in NEEDING_A_SITE.values():
        said = run(*words)
        assert said.code == 2
        assert said.err.startswith("GATEKEEPER_STIE is no setting; the settings are ")


@pytest.mark.parametrize(
    "words",
    [("presense",), ("watch", "--since", "yesterday"), ("badge", "set", "h-00001", "eaten"), ("audit", "x")],
)
def test_a_command_that_is_not_understood_says_what_it_expects(words: tuple[str, ...], run: Run):
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert "Usage: gatekeeper" in said.err


def test_the_version_is_data(capfd: pytest.CaptureFixture[str]):
    said = gatekeeper(capfd, "--version")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("gatekeeper ")
