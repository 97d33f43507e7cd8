"""Files of people: imported whole or not at all, completed when interrupted, exported and read back as nothing new."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, served_site

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
ASSEN = ZoneInfo("Europe/Amsterdam")
NEXT_MONTH = datetime.now(ASSEN).date() + timedelta(days=30)
HEADER = "holder,name,kind,clearance,profiles,certificates"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("files"), postgres_server, broker) as registry:
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def people(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{n},Person {n},staff,{n % 3},pupil guest,first-aid=2031-01-31" for n in range(count)]


def write(file: Path, lines: Sequence[str]) -> Path:
    file.write_bytes("\r\n".join([HEADER, *lines, ""]).encode())
    return file


def holders(registry: Registry, prefix: str) -> int:
    found = registry.run("SELECT count(*) FROM holder WHERE site_id = $1 AND holder LIKE $2", f"{prefix}-%")
    return int(found[0]["count"])


def changes(registry: Registry) -> int:
    return int(registry.run("SELECT count(*) FROM change WHERE site_id = $1")[0]["count"])


def versions(registry: Registry, prefix: str) -> set[int]:
    listed = registry("holder", "list", "--tenant", "school", "--json").document["holders"]
    return {one["version"] for one in listed if one["holder"].startswith(f"{prefix}-")}


def test_a_file_of_people_is_registered_one_signed_change_a_line(registry: Registry, file: Path):
    before = registry.log_size()
    said = registry("holder", "import", write(file, people("one", 700)), "--tenant", "school")
    assert (said.code, said.out, said.err) == (0, "", "Done: 700 registered, 0 changed, 0 refused.\n")
    assert registry.kinds(before) == ["holder.registered"] * 700
    assert (holders(registry, "one"), versions(registry, "one")) == (700, {1})
    shown = registry.shown("one-41")
    assert (shown["name"], shown["clearance"], shown["profiles"], list(shown["certificates"])) == ("Person 41", 2, ["pupil", "guest"], ["first-aid"])  # fmt: skip


def test_the_same_file_again_changes_nothing_and_says_which_lines(registry: Registry, file: Path):
    write(file, people("again", 3))
    registry.done("holder", "import", file, "--tenant", "school")
    before = registry.log_size()
    said = registry("holder", "import", file, "--tenant", "school")
    assert said.err == "3 lines change nothing: 2, 3, 4.\nDone: 0 registered, 0 changed, 0 refused.\n"
    assert registry.log_size() == before


def test_one_bad_line_and_nothing_is_done(registry: Registry, file: Path):
    lines = people("bad", 40)
    lines[10], lines[20] = "bad-10,Person,staff,9,pupli,", "bad-3,Person,staff,1,,"
    before = registry.log_size()
    said = registry("holder", "import", write(file, lines), "--tenant", "school")
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        f'{file}:12: clearance: "9" is no level: write a whole number from 0 to 5.',
        f'{file}:12: profiles: school has no profile "pupli"; it has guest, pupil.',
        f"{file}:22: holder: bad-3 stands in line 5 already: keep one of the two.",
        f"2 lines of {file} are bad. Nothing was done.",
    ]
    document = registry("holder", "import", file, "--tenant", "school", "--json").document
    assert [(one["line"], one["column"]) for one in document["problems"]] == [(12, "clearance"), (12, "profiles"), (22, "holder")]  # fmt: skip
    assert (registry.log_size(), holders(registry, "bad")) == (before, 0)


def test_of_very_many_problems_some_are_told_to_a_person_and_all_to_a_program(registry: Registry, file: Path):
    write(file, [f"many-{n},,staff,1,," for n in range(80)])
    said = registry("holder", "import", file, "--tenant", "school")
    assert len(said.err.splitlines()) == 52
    assert said.err.splitlines()[50] == "... and 30 more problems (--json tells all)."
    assert len(registry("holder", "import", file, "--tenant", "school", "--json").document["problems"]) == 80


def test_a_file_that_is_none_is_said_to_be_none(registry: Registry, file: Path):
    said = registry("holder", "import", file, "--tenant", "school")
    assert (said.code, said.err) == (2, f"{file} cannot be read: No such file or directory.\n")
    file.write_bytes(f"{HEADER}\r\nz-1,Zoë,staff,1,,\r\n".encode("cp1252"))
    said = registry("holder", "import", file, "--tenant", "school")
    assert (
        said.err.splitlines()[0]
        == f"{file}:2: the file: is not in UTF-8: save it anew, in Excel as CSV UTF-8."
    )


def test_what_a_file_would_do_is_said_without_doing_it(registry: Registry, file: Path):
    write(file, people("dry", 2))
    registry.done("holder", "import", file, "--tenant", "school")
    before = registry.log_size()
    lines = people("dry", 3)
    lines[0] = lines[0].replace(",0,pupil guest,", ",1,,")
    said = registry("holder", "import", write(file, lines), "--tenant", "school", "--dry-run")
    told = [line.split(maxsplit=4) for line in said.out.splitlines()[1:]]
    assert [line[:2] for line in told] == [["2", "dry-0"], ["4", "dry-2"]]
    assert [line[4].strip() for line in told] == ["clearance: 0 -> 1; profiles: pupil guest -> none", "new"]
    assert said.err == "1 line changes nothing: 3.\nIt would register 1 and change 1. Nothing was done.\n"
    document = registry("holder", "import", file, "--tenant", "school", "--dry-run", "--json").document
    assert (document["added"], document["changed"], document["unchanged"]) == (["dry-2"], {"dry-0": ["clearance", "profiles"]}, ["dry-1"])  # fmt: skip
    assert registry.log_size() == before


def test_a_file_from_dutch_excel_is_taken_as_it_is_saved(registry: Registry, file: Path):
    day = f"{NEXT_MONTH.day}-{NEXT_MONTH.month}-{NEXT_MONTH.year}"
    file.write_bytes(
        f"\ufeffHolder;Name;Kind;Clearance;Until\r\nx-1;'t Hart;Staff;1;{day}\r\n;;;;\r\n".encode()
    )
    registry.done("holder", "import", file, "--tenant", "school")
    shown = registry.shown("x-1")
    until = datetime.fromisoformat(shown["until"]).astimezone(ASSEN)
    assert (shown["name"], until.date() - timedelta(days=1)) == ("'t Hart", NEXT_MONTH)


NAMES = ["=1+1", "+31 592", "-", "@SUM(A1)", "'=x", "'t Hart", 'Jan "de" Boer, jr.', "Ümit; Çelik", "Łukasz"]


@pytest.mark.parametrize("words", [(), ("--excel-nl",)])
def test_what_is_exported_is_imported_as_nothing_new(
    words: tuple[str, ...], registry: Registry, tmp_path: Path
):
    for name in NAMES:
        registry.done("holder", "add", "--kind", "staff", "--clearance", 1, "--tenant", "school", "--until", f"{NEXT_MONTH:%Y-%m-%d}T17:30", name)  # fmt: skip
    words = ("--approved", str(registry.approved("holder", "school")), *words)
    before = registry.log_size()
    file, other = tmp_path / "out.csv", tmp_path / "again.csv"
    registry.done("holder", "export", "--tenant", "school", "--out", file, *words)
    assert file.stat().st_mode & 0o777 == 0o600
    assert "'=1+1" in file.read_text("utf-8")
    said = registry("holder", "import", file, "--tenant", "school", "--json")
    assert (said.document["added"], said.document["changed"], said.document["problems"]) == ([], {}, [])
    assert registry.log_size() == before
    registry.done("holder", "export", "--tenant", "school", "--out", other, *words)
    assert other.read_bytes() == file.read_bytes()
    assert registry("holder", "export", "--tenant", "school", *words).out.encode() == file.read_bytes()


def test_an_import_that_was_killed_is_completed_by_running_it_again(registry: Registry, file: Path):
    write(file, people("kill", 3000))
    before, handed_in = registry.log_size(), changes(registry)
    with _importing(registry, file) as process:
        registry.wait_until(lambda: holders(registry, "kill") >= 300)
        process.kill()
        process.wait()
    registry.wait_until(lambda: not _waiting(registry))
    done = holders(registry, "kill")
    assert 300 <= done < 3000, "it was killed half-way"
    said = registry("holder", "import", file, "--tenant", "school", "--json")
    assert (said.code, said.document["done"], len(said.document["unchanged"])) == (0, 3000 - done, done)
    assert (holders(registry, "kill"), versions(registry, "kill")) == (3000, {1})
    assert (registry.log_size() - before, changes(registry) - handed_in) == (3000, 3000)


def test_who_interrupts_an_import_is_told_how_to_complete_it(registry: Registry, file: Path):
    write(file, people("stop", 3000))
    with _importing(registry, file) as process:
        registry.wait_until(lambda: holders(registry, "stop") >= 1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    interrupted, complete = said.splitlines()
    assert interrupted.startswith("Interrupted: ")
    assert complete == f"To complete it: gatekeeper holder import {file} --tenant school"
    registry.done("holder", "import", file, "--tenant", "school")
    assert (holders(registry, "stop"), versions(registry, "stop")) == (3000, {1})


def _waiting(registry: Registry) -> bool:
    return bool(registry.run("SELECT 1 FROM change WHERE site_id = $1 AND outcome IS NULL LIMIT 1"))


def _importing(registry: Registry, file: Path) -> "subprocess.Popen[str]":
    command = "from gatekeeper.cli import main; main()"
    words = ["holder", "import", file, "--tenant", "school", *registry.where]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEKEEPER_")}
    return subprocess.Popen(
        [sys.executable, "-c", command, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def test_lines_that_were_refused_are_told_and_can_be_handed_in_again(registry: Registry, file: Path):
    write(file, people("no", 2))
    said = registry("holder", "import", file, "--tenant", "school", "--operator", "club-admin")
    assert said.code == 1
    why = "Refused: change-not-yours. A tenant changes its own badges, holders and operators; all else is the host's."
    assert said.err.splitlines() == [
        f"line 2: no-0: {why}",
        f"line 3: no-1: {why}",
        "Done: 0 registered, 0 changed, 2 refused.",
    ]
    said = registry("holder", "import", file, "--tenant", "school", "--json")
    assert (said.code, said.document["done"], said.document["refused"]) == (0, 2, [])
    assert versions(registry, "no") == {1}


def test_lines_that_wait_for_an_engine_are_handed_in_once(registry: Registry, file: Path):
    write(file, people("wait", 3))
    before = registry.log_size()
    with registry.unserved():
        said = registry("holder", "import", file, "--tenant", "school")
        assert (said.code, said.err.splitlines()) == (
            4,
            [
                "Done: 0 registered, 0 changed, 0 refused.",
                "3 changes wait, and are NOT in force: no engine runs this site now. An engine makes them when one does.",
            ],
        )
        assert registry("holder", "import", file, "--tenant", "school").code == 4
    registry.wait_until(lambda: holders(registry, "wait") == 3)
    assert versions(registry, "wait") == {1}
    assert registry.kinds(before).count("holder.registered") == 3
    assert registry("audit", "verify", "--json").document["problems"] == []


def test_no_name_stands_in_the_log_or_in_what_is_signed(registry: Registry, file: Path):
    write(file, ["secret-1,Wilhelmina van Oranje,staff,1,,"])
    registry.done("holder", "import", file, "--tenant", "school")
    for table, column in (
        ("entry", "body"),
        ("personal", "sealed"),
        ("change", "document"),
        ("holder", "document"),
    ):
        rows = registry.run(f"SELECT {column} AS bytes FROM {table} WHERE site_id = $1")
        assert len(rows) > 1
        assert not [row for row in rows if b"Wilhelmina" in row["bytes"]], table
