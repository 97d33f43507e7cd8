"""A new file is there whole or not at all, and is never another's; also where a file system has no hard links."""

import errno
import os
from pathlib import Path

import pytest

from gatekeeper.service.files import replace_private, try_place, write_new

REFUSALS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def links_end_with(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the operating system refuse every hard link, as it does on a FAT stick."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)


@pytest.fixture(params=[None, *REFUSALS], ids=["links", *(errno.errorcode[one] for one in REFUSALS)])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param is not None:
        links_end_with(request.param, monkeypatch)


@pytest.mark.usefixtures("_file_system")
def test_a_new_file_is_whole_and_of_its_owner_alone(tmp_path: Path):
    file = tmp_path / "new"
    try_place(file)
    assert list(tmp_path.iterdir()) == []
    write_new(file, b"whole")
    assert list(tmp_path.iterdir()) == [file]
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"whole", 0o600)


@pytest.mark.usefixtures("_file_system")
def test_nothing_is_written_over_a_file_or_through_a_link(tmp_path: Path):
    file, link = tmp_path / "there", tmp_path / "link"
    file.write_bytes(b"precious")
    link.symlink_to(tmp_path / "nowhere")
    for there in (file, link):
        with pytest.raises(FileExistsError) as raised:
            write_new(there, b"other")
        assert raised.value.filename == str(there)
    assert file.read_bytes() == b"precious"
    assert sorted(tmp_path.iterdir()) == [link, file]


def test_a_name_that_was_taken_is_free_again_when_the_file_does_not_get_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    links_end_with(errno.EPERM, monkeypatch)
    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_new(tmp_path / "new", b"whole")
    assert raised.value.filename == str(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_refuses_what_writing_needs_is_found_when_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    links_end_with(errno.EIO, monkeypatch)
    for act in (lambda: try_place(tmp_path / "new"), lambda: write_new(tmp_path / "new", b"whole")):
        with pytest.raises(OSError, match="Input/output error"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_private_file_is_replaced_by_one_of_the_same_owner_s_alone(tmp_path: Path):
    file = tmp_path / "own.pem"
    file.write_bytes(b"former")
    file.chmod(0o644)
    owner = (12345, 23456) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    replace_private(file, b"next")
    status = file.stat()
    assert (file.read_bytes(), status.st_mode & 0o777) == (b"next", 0o600)
    assert (status.st_uid, status.st_gid) == owner
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_who_owns_the_folder_has_no_other_file_given_to_them_by_who_replaces_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "theirs"
    folder.mkdir()
    file, victim, synced = folder / "own.pem", tmp_path / "victim", os.fsync
    for each in (file, victim):
        each.write_bytes(b"former")
    os.chown(file, 12345, 23456)

    def swapped(descriptor: int) -> None:
        synced(descriptor)
        (aside,) = folder.glob(".own.pem.*")
        aside.unlink()
        aside.symlink_to(victim)

    monkeypatch.setattr(os, "fsync", swapped)
    replace_private(file, b"next")
    assert (victim.read_bytes(), victim.stat().st_uid, victim.stat().st_gid) == (b"former", 0, 0)


def test_a_link_is_not_replaced_and_nor_is_what_it_leads_to(tmp_path: Path):
    file, link = tmp_path / "there", tmp_path / "own.pem"
    file.write_bytes(b"precious")
    link.symlink_to(file)
    with pytest.raises(OSError, match="It is a symbolic link") as raised:
        replace_private(link, b"next")
    assert raised.value.filename == str(link)
    assert (link.readlink(), file.read_bytes()) == (file, b"precious")
    assert sorted(tmp_path.iterdir()) == [link, file]


def test_what_is_not_there_is_not_replaced(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        replace_private(tmp_path / "own.pem", b"next")
    assert list(tmp_path.iterdir()) == []
