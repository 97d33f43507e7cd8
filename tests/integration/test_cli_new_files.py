"""What a command writes is a new file in a folder that is there; that is tried before anything is signed or logged."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatekeeper.embedded import EmbeddedBroker, EmbeddedPostgres
from tests.integration.people_site import Registry, served_site

pytestmark = pytest.mark.integration

VISITOR = ("visitor", "add", "Piet", "--host", "h-00003", "--until", "23:59", "--profiles", "guest")
OPTIONS = {
    "log": ("audit", "export", "--tenant", "school", "--reason", "a look", "--out"),
    "proof": ("audit", "prove", 0, "--out"),
    "own data": ("privacy", "export", "h-00003", "--purpose", "she asked", "--out"),
    "people": ("holder", "export", "--tenant", "school", "--reason", "a look", "--out"),
    "badges": ("badge", "export", "--tenant", "school", "--reason", "a look", "--out"),
    "badge": ("badge", "issue", "h-00003", "--out"),
    "pass": (*VISITOR, "--qr"),
}
NAMES = {"proof": "a.tlog-proof", "own data": "a.html", "pass": "a.svg"}


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres, broker: EmbeddedBroker
) -> Iterator[Registry]:
    with served_site(tmp_path_factory.mktemp("new-files"), postgres_server, broker) as registry:
        yield registry


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a disk that is full does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("what", OPTIONS)
def test_nothing_is_signed_where_a_file_cannot_be(what: str, registry: Registry, tmp_path: Path):
    before, name = registry.log_size(), NAMES.get(what, "a.out")
    there = tmp_path / name
    there.write_text("precious")
    nowhere = tmp_path / "nowhere" / name
    for file, sentence in (
        (there, f"{there} exists, and nothing is written over it: name another, or remove it."),
        (nowhere, f"{nowhere}: there is no folder {nowhere.parent}."),
        (Path("/proc") / name, f"/proc/{name}: No such file or directory."),
    ):
        said = registry(*OPTIONS[what], file)
        assert (said.code, said.out, said.err) == (2, "", f"{sentence}\n")
    with files_of_at_most(1024):
        said = registry(*OPTIONS[what], tmp_path / f"b-{name}")
    assert (said.code, said.err) == (2, f"{tmp_path / f'b-{name}'}: File too large.\n")
    assert there.read_text() == "precious"
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert registry.log_size() == before


@pytest.mark.parametrize("what", ["log", "own data"])
def test_a_stick_without_hard_links_takes_new_files(
    what: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    before, file = registry.log_size(), tmp_path / NAMES.get(what, "a.out")
    registry.done(*OPTIONS[what], file)
    there = {file, file.with_suffix(".json")} if what == "own data" else {file}
    assert set(tmp_path.iterdir()) == there
    assert all(one.stat().st_size for one in there)
    assert registry.log_size() == before + 1
    assert registry(*OPTIONS[what], file).code == 2


@pytest.mark.parametrize("what", [what for what in OPTIONS if what not in {"proof", "own data"}])
@pytest.mark.parametrize("folder", [".", "..", "/", "/tmp"])  # noqa: S108 - a folder that is there
def test_a_folder_is_no_name_for_a_file(what: str, folder: str, registry: Registry):
    before = registry.log_size()
    said = registry(*OPTIONS[what], folder)
    assert (said.code, said.err) == (2, f"{folder} is a folder: name a file.\n")
    assert registry.log_size() == before


def test_the_page_of_a_person_s_own_data_is_not_written_beside_a_badge(registry: Registry, tmp_path: Path):
    key = tmp_path / "anna.json"
    registry.done("badge", "issue", "h-00003", "--out", key)
    before, secret = registry.log_size(), key.read_bytes()
    said = registry("privacy", "export", "h-00003", "--purpose", "she asked", "--out", tmp_path / "anna.html")
    assert (said.code, said.err) == (
        2,
        f"{key} exists, and nothing is written over it: name another, or remove it.\n",
    )
    assert key.read_bytes() == secret
    assert registry.log_size() == before


def test_tiles_are_taken_out_to_a_folder_whose_parent_is_there(registry: Registry, tmp_path: Path):
    before, file = registry.log_size(), tmp_path / "file"
    file.touch()
    words = ("audit", "tiles", "--site-tree", "--entries", "--reason", "a mirror", "--out")
    assert registry(*words, tmp_path / "no" / "mirror").err == (
        f"{tmp_path / 'no' / 'mirror'}: there is no folder {tmp_path / 'no'}.\n"
    )
    assert registry(*words, file).err == f"{file} is no folder.\n"
    assert registry(*words, "/proc/mirror").err == "/proc/mirror: No such file or directory.\n"
    assert registry.log_size() == before


def test_an_export_that_a_full_disk_stopped_goes_on_when_there_is_room(registry: Registry, tmp_path: Path):
    file = tmp_path / "log.zip"
    words = (*OPTIONS["log"], file)
    before = registry.log_size()
    with files_of_at_most(8192):
        for _ in range(2):
            said = registry(*words)
            assert (said.code, said.out) == (2, "")
            assert said.err.splitlines()[-2:] == [
                f"The same command with --out {file} goes on with it.",
                f"{file}: File too large.",
            ]
    said = registry(*words)
    assert said.code == 0, said
    assert registry.kinds(before).count("log.exported") == 1
    assert list(tmp_path.iterdir()) == [file]
