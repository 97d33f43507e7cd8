"""Files of badges and of visitors: issued whole or not at all, each once, with passes that open the gate."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from devices.hardware.simulated import SimulatedBadge
from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from gatekeeper.service.administration.pass_text import read_pass_text
from tests.integration.people_site import Registry, served_site
from tests.unit.administration.qr_reader import read_svg, text_of

pytestmark = pytest.mark.integration

ASSEN = ZoneInfo("Europe/Amsterdam")
NEXT_MONTH = (datetime.now(ASSEN) + timedelta(days=30)).date()
BADGES, VISITORS = "holder,assurance,card,until,max_uses", "name,host"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("badge-files"), postgres_server, broker) as registry:
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "passes"
    place.mkdir(mode=0o700)
    return place


def write(file: Path, header: str, lines: Sequence[str]) -> Path:
    file.write_bytes("\r\n".join([header, *lines, ""]).encode())
    return file


def teacher(registry: Registry, name: str = "Anna de Vries") -> str:
    return registry.done("holder", "add", name, "--kind", "staff", "--clearance", 2, "--profiles", "pupil", "--tenant", "school")  # fmt: skip


def in_pocket(pass_: Path) -> SimulatedBadge:
    return SimulatedBadge.bearer(read_pass_text(text_of(read_svg(pass_.read_bytes()))))


# -- badges -------------------------------------------------------------------------------------------------------------


def test_a_file_of_badges_is_issued_one_signed_change_a_holder_and_its_passes_open(
    registry: Registry, file: Path, folder: Path
):
    anna, bo, before = teacher(registry), teacher(registry, "Bo Smit"), registry.log_size()
    write(file, BADGES, [f"{anna},,mifare:0411223344,,", f"{bo},,,{NEXT_MONTH},9", f"{anna},1,,,"])
    said = registry("badge", "import", file, "--tenant", "school", "--qr", folder)
    assert said.code == 0, said
    assert [line.split()[0] for line in said.out.splitlines()] == ["line", "2", "3", "4"]
    assert said.err.splitlines() == [
        f"2 new passes in {folder}: who has one, or a picture of it, has the badge.",
        "Done: 3 issued, 0 refused.",
    ]
    assert registry.kinds(before) == ["holder.registered"] * 2
    (of_bo,) = registry.shown(bo)["badges"]
    assert (of_bo["max_uses"], of_bo["assurance"]) == (9, 1)
    pass_ = folder / f"{of_bo['badge']}.svg"
    assert pass_.stat().st_mode & 0o777 == 0o600
    assert registry.scan(in_pocket(pass_)).granted
    cards = {badge["card"] for badge in registry.shown(anna)["badges"]}
    assert cards == {"mifare:0411223344", None}


def test_the_same_file_of_badges_again_changes_nothing(registry: Registry, file: Path, folder: Path):
    anna = teacher(registry)
    write(file, BADGES, [f"{anna},1,,,", f"{anna},,mifare:04AA,,"])
    registry.done("badge", "import", file, "--tenant", "school")
    before = registry.log_size()
    said = registry("badge", "import", file, "--tenant", "school", "--qr", folder)
    assert said.err.splitlines() == [
        f"1 new pass in {folder}: who has one, or a picture of it, has the badge.",
        "2 lines change nothing: 2, 3.",
        "Done: 0 issued, 0 refused.",
    ]
    assert (registry.log_size(), len(list(folder.iterdir()))) == (before, 1)


def test_one_bad_line_and_no_badge_is_issued(registry: Registry, file: Path, folder: Path):
    anna, before = teacher(registry), registry.log_size()
    write(file, BADGES, [f"{anna},1,,,", f"{anna},2,,,", "p-nobody,1,,,"])
    said = registry("badge", "import", file, "--tenant", "school", "--qr", folder)
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        f"{file}:3: assurance: a badge with a key is issued by itself: gatekeeper badge issue HOLDER --out FILE.",
        f"{file}:4: holder: school has no holder p-nobody: register them first (holder import).",
        f"2 lines of {file} are bad. Nothing was done.",
    ]
    document = registry("badge", "import", file, "--tenant", "school", "--json").document
    assert [(one["line"], one["column"]) for one in document["problems"]] == [(3, "assurance"), (4, "holder")]
    assert (registry.log_size(), list(folder.iterdir()), registry.shown(anna)["badges"]) == (before, [], [])


def test_what_a_file_of_badges_would_do_is_said_without_doing_it(registry: Registry, file: Path):
    anna, before = teacher(registry), registry.log_size()
    write(file, BADGES, [f"{anna},,mifare:04BB,{NEXT_MONTH},"])
    said = registry("badge", "import", file, "--tenant", "school", "--dry-run")
    (row,) = (line.split() for line in said.out.splitlines()[1:])
    assert (row[0], row[2:]) == (
        "2",
        ["Anna", "de", "Vries", f"({anna})", "0", "mifare:04BB", str(NEXT_MONTH)],
    )
    assert said.err == "It would issue 1 badge. Nothing was done.\n"
    document = registry("badge", "import", file, "--tenant", "school", "--dry-run", "--json").document
    assert [one["holder"] for one in document["issued"]] == [anna]
    assert registry.log_size() == before


def test_without_a_folder_for_its_passes_a_file_is_not_imported(
    registry: Registry, file: Path, tmp_path: Path
):
    write(file, BADGES, [f"{teacher(registry)},1,,,"])
    before, nowhere = registry.log_size(), tmp_path / "nowhere"
    said = registry("badge", "import", file, "--tenant", "school", "--qr", nowhere)
    assert (said.code, said.err) == (2, f"{nowhere} is no folder: make it (mkdir -m 700 {nowhere}).\n")
    said = registry("badge", "import", file, "--tenant", "school", "--qr", "/proc")
    assert (said.code, said.err) == (2, "/proc: No such file or directory.\n")
    assert registry.log_size() == before


@pytest.mark.parametrize("words", [(), ("--excel-nl",)])
def test_badges_that_are_exported_are_imported_as_nothing_new(
    words: tuple[str, ...], registry: Registry, file: Path
):
    anna = teacher(registry)
    badge = registry.done(
        "badge", "issue", anna, "--assurance", 1, "--from", f"{NEXT_MONTH}", "--max-uses", 2
    )
    registry.done("badge", "suspend", badge)
    words = ("--approved", str(registry.approved("badge", "school")), *words)
    said = registry("badge", "export", "--tenant", "school", "--out", file, *words)
    assert (said.code, said.out, file.stat().st_mode & 0o777) == (0, "", 0o600)
    (line,) = (line for line in file.read_text("utf-8-sig").splitlines() if badge in line)
    assert line.replace(";", ",").split(",")[:6] == [anna, badge, "suspended", "1", "", str(NEXT_MONTH)]
    before = registry.log_size()
    again = registry("badge", "import", file, "--tenant", "school", "--json").document
    assert (again["issued"], again["problems"], again["done"]) == ([], [], 0)
    assert badge in again["unchanged"]
    assert registry.log_size() == before
    assert registry("badge", "export", "--tenant", "school", *words).out.encode() == file.read_bytes()


def test_badges_that_wait_for_an_engine_are_not_issued_twice(registry: Registry, file: Path, folder: Path):
    anna = teacher(registry)
    write(file, BADGES, [f"{anna},1,,,"])
    with registry.unserved():
        said = registry("badge", "import", file, "--tenant", "school", "--qr", folder)
        assert (said.code, said.err.splitlines()) == (
            4,
            [
                f"No new passes in {folder}.",
                "Done: 0 issued, 0 refused.",
                "It waits, and is NOT in force: no engine runs this site now. An engine makes it when one does.",
            ],
        )
        again = registry("badge", "import", file, "--tenant", "school")
        assert again.code == 2
        assert "waits for an engine" in again.err
    registry.wait_until(lambda: bool(registry.shown(anna)["badges"]))
    said = registry("badge", "import", file, "--tenant", "school", "--qr", folder)
    assert said.err.splitlines()[1:] == ["1 line changes nothing: 2.", "Done: 0 issued, 0 refused."]
    (pass_,) = folder.iterdir()
    assert registry.scan(in_pocket(pass_)).granted


# -- visitors -----------------------------------------------------------------------------------------------------------


def test_a_group_is_one_file_from_the_names_to_the_open_gate(registry: Registry, file: Path, folder: Path):
    host, before = teacher(registry, "Hester Host"), registry.log_size()
    write(file, "name", ["Piet Puk", "Nora 't Hart", "Łukasz"])
    words = (
        "visitor",
        "import",
        file,
        "--host",
        host,
        "--until",
        NEXT_MONTH,
        "--profiles",
        "guest",
        "--qr",
        folder,
    )
    said = registry(*words)
    assert said.code == 0, said
    assert [line.split()[0] for line in said.out.splitlines()] == ["line", "2", "3", "4"]
    assert said.err.splitlines() == [
        f"3 new passes in {folder}: who has one, or a picture of it, has the badge.",
        "Done: 3 registered, 0 refused.",
    ]
    assert registry.kinds(before) == ["holder.registered"] * 3
    visitors = registry("visitor", "list", "--tenant", "school", "--json").document["visitors"]
    (nora,) = (one for one in visitors if one["name"] == "Nora 't Hart")
    assert (nora["host"], nora["profiles"], nora["clearance"]) == (host, ["guest"], 1)
    assert registry.scan(in_pocket(folder / f"{nora['badges'][0]['badge']}.svg")).granted

    write(file, "name", ["Piet Puk", "Coen te Laat", "Nora 't Hart", "Łukasz"])
    again = registry(*words)
    assert again.err.splitlines() == [
        f"1 new pass in {folder}: who has one, or a picture of it, has the badge.",
        "3 lines change nothing: 2, 4, 5.",
        "Done: 1 registered, 0 refused.",
    ]
    assert len(list(folder.iterdir())) == 4


def test_one_bad_line_of_a_list_and_nobody_is_registered(registry: Registry, file: Path):
    host, before = teacher(registry), registry.log_size()
    write(file, VISITORS, [f"Piet Puk,{host}", ",h-00001"])
    words = ("visitor", "import", file, "--tenant", "school", "--until", NEXT_MONTH, "--profiles", "guest")
    said = registry(*words)
    assert (said.code, said.err.splitlines()) == (2, [
        f"{file}:3: name: is empty: write the name.",
        f"{file}:3: host: school has no holder h-00001: name one of its people.",
        f"1 line of {file} is bad. Nothing was done.",
    ])  # fmt: skip
    assert registry(*words, "--until", "sometime").err == (
        '--until: "sometime" is no day or time: write 2027-12-31, or 2027-12-31T17:00, or 17:00 for today; 31-12-2027 is read day first.\n'
    )
    assert registry.log_size() == before


def test_what_a_list_would_do_is_said_without_doing_it(registry: Registry, file: Path):
    host, before = teacher(registry, "Hester Host"), registry.log_size()
    write(file, VISITORS, [f"Piet Proef,{host}"])
    said = registry("visitor", "import", file, "--tenant", "school", "--until", NEXT_MONTH, "--profiles", "guest", "--dry-run")  # fmt: skip
    (row,) = said.out.splitlines()[1:]
    assert row.split()[2:8] == ["Piet", "Proef", "Hester", "Host", f"({host})", str(NEXT_MONTH)]
    assert (said.err, registry.log_size()) == ("It would register 1 visitor. Nothing was done.\n", before)


def test_what_was_refused_of_a_list_is_told_by_its_line(registry: Registry, file: Path):
    host = teacher(registry)
    write(file, VISITORS, [f"Piet Geweigerd,{host}"])
    words = ("visitor", "import", file, "--tenant", "school", "--until", NEXT_MONTH, "--profiles", "guest")
    said = registry(*words, "--operator", "club-admin")
    refused, done = said.err.splitlines()
    assert said.code == 1
    assert refused.startswith("line 2: v-")
    assert ": Refused: change-not-yours. " in refused
    assert done == "Done: 0 registered, 1 refused."
    assert registry(*words, "--json").document["done"] == 1


def test_no_visitors_name_stands_in_the_log_or_in_what_is_signed(registry: Registry, file: Path):
    write(file, VISITORS, [f"Wilhelmina van Oranje,{teacher(registry)}"])
    registry.done(
        "visitor", "import", file, "--tenant", "school", "--until", NEXT_MONTH, "--profiles", "guest"
    )
    for table, column in (("entry", "body"), ("personal", "sealed"), ("change", "document")):
        rows = registry.run(f"SELECT {column} AS bytes FROM {table} WHERE site_id = $1")
        assert len(rows) > 1
        assert not [row for row in rows if b"Wilhelmina" in row["bytes"]], table


def test_the_log_of_all_that_is_whole(registry: Registry):
    said = registry("audit", "verify", "--json")
    assert (said.code, said.document["problems"]) == (0, [])
