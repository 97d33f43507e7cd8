"""Private keys are their owner's alone; files and sites are there whole or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatekeeper.cose import Algorithm
from gatekeeper.service.administration.folder import ANCHOR, SiteFolder, SiteFolderError, new_site_folder
from tests.support.site_files import Site


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Generous, usual, careful and absurd."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_no_umask_changes_who_may_read_a_secret(tmp_path: Path, umask: int):
    folder = SiteFolder(tmp_path / "deep" / "site")
    folder.make_key("keys/one.pem")
    folder.keep_secret("keys/two.key", b"secret")
    folder.write_private("people.json", b"[]")
    folder.write("policy.cose", b"policy")
    assert mode(tmp_path / "deep") == mode(folder.root) == mode(folder.root / "keys") == 0o700
    assert {mode(path) for path in (folder.root / "keys").iterdir()} == {0o600}
    assert mode(folder.root / "people.json") == 0o600
    assert mode(folder.root / "policy.cose") == 0o644


@pytest.mark.parametrize("algorithm", [Algorithm.ESP256, Algorithm.ED25519])
def test_a_key_that_was_kept_is_the_key_that_is_read(tmp_path: Path, algorithm: Algorithm):
    folder = SiteFolder(tmp_path)
    made = folder.make_key("keys/one.pem", algorithm)
    read = folder.read_key("keys/one.pem")
    assert (read.kid, read.algorithm) == (made.kid, algorithm)


@pytest.mark.parametrize("wider", [0o640, 0o604, 0o620, 0o601, 0o644, 0o666])
def test_a_key_that_others_could_reach_is_not_read(tmp_path: Path, wider: int):
    folder = SiteFolder(tmp_path)
    folder.make_key("one.pem")
    (tmp_path / "one.pem").chmod(wider)
    with pytest.raises(SiteFolderError, match=r"can be reached by others.*chmod 600"):
        folder.read_key("one.pem")


def test_a_missing_key_and_one_that_is_no_key_are_told_apart(tmp_path: Path):
    folder = SiteFolder(tmp_path)
    with pytest.raises(SiteFolderError, match="was this key moved away"):
        folder.read_key("one.pem")
    folder.keep_secret("one.pem", b"no key")
    with pytest.raises(SiteFolderError, match="no private key"):
        folder.read_key("one.pem")


def test_no_secret_is_written_over_another(tmp_path: Path):
    folder = SiteFolder(tmp_path)
    folder.keep_secret("one.key", b"first")
    with pytest.raises(SiteFolderError, match="no secret is written over another"):
        folder.keep_secret("one.key", b"second")
    assert folder.read_secret("one.key") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["one.key"]


def test_a_document_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path):
    folder = SiteFolder(tmp_path)
    folder.write("policy.cose", b"first")
    reader = (tmp_path / "policy.cose").open("rb")
    folder.write("policy.cose", b"second")
    with reader:
        assert reader.read() == b"first"
    assert folder.read("policy.cose") == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["policy.cose"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path):
    folder = SiteFolder(tmp_path)
    (tmp_path / "trust.cose" / "in-the-way").mkdir(parents=True)
    with pytest.raises(OSError):
        folder.write("trust.cose", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["trust.cose"]


def test_a_missing_document_says_which(tmp_path: Path):
    with pytest.raises(SiteFolderError, match=r"anchor\.json is missing"):
        SiteFolder(tmp_path).read_anchor()


def test_an_anchor_that_is_none_says_so(tmp_path: Path):
    folder = SiteFolder(tmp_path)
    folder.write(ANCHOR, b'{"site": "fort"}')
    with pytest.raises(SiteFolderError, match="no trust anchor"):
        folder.read_anchor()


def test_the_anchor_is_read_as_it_was_written(standing_fort: Site, tmp_path: Path):
    folder = SiteFolder(tmp_path)
    folder.write(ANCHOR, standing_fort.founding.anchor.to_json().encode())
    assert folder.read_anchor() == standing_fort.founding.anchor
    assert folder.holds_site()


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path):
    folder = SiteFolder(tmp_path)
    with folder.alone(), pytest.raises(SiteFolderError, match="Another process"), folder.alone():
        pass
    with folder.alone():
        pass


def test_a_new_site_appears_when_it_is_done(tmp_path: Path):
    root = tmp_path / "site"
    with new_site_folder(root) as aside:
        aside.write(ANCHOR, b"anchor")
        assert not root.exists()
    assert SiteFolder(root).read(ANCHOR) == b"anchor"
    assert mode(root) == 0o700
    assert list(tmp_path.iterdir()) == [root]


def test_an_empty_folder_may_become_a_site_even_behind_a_link(tmp_path: Path):
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "place")
    with new_site_folder(tmp_path / "link") as aside:
        aside.write(ANCHOR, b"anchor")
    assert SiteFolder(tmp_path / "place").holds_site()
    with SiteFolder(tmp_path / "link").alone():
        pass


def test_a_site_that_is_not_finished_leaves_nothing(tmp_path: Path):
    def broken_off() -> None:
        with new_site_folder(tmp_path / "site") as aside:
            aside.make_key("keys/root-1.pem")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path):
    left = SiteFolder(tmp_path / ".site.ceremony")
    left.make_key("keys/root-1.pem")
    left.write("trust.cose", b"half")
    with new_site_folder(tmp_path / "site") as aside:
        assert list(aside.root.iterdir()) == []
    assert list((tmp_path / "site").iterdir()) == []


def test_two_do_not_found_one_site(tmp_path: Path):
    root = tmp_path / "site"
    with new_site_folder(root) as first:
        first.write(ANCHOR, b"first")
        with pytest.raises(SiteFolderError, match="Another process"), new_site_folder(root):
            pass
    assert SiteFolder(root).read(ANCHOR) == b"first"


@pytest.mark.parametrize("used", ["file", "other", "site"])
def test_a_place_in_use_is_refused_and_left_as_it_is(tmp_path: Path, used: str):
    root = tmp_path / "site"
    if used == "file":
        root.write_text("mine")
    else:
        SiteFolder(root).write(ANCHOR if used == "site" else "diary", b"mine")
    expected = "holds a site already" if used == "site" else "not an empty folder"
    with pytest.raises(SiteFolderError, match=expected), new_site_folder(root):
        pass
    assert list(tmp_path.iterdir()) == [root]
    assert root.is_file() or [path.read_bytes() for path in root.iterdir()] == [b"mine"]


def test_a_link_laid_in_the_way_is_not_followed(tmp_path: Path):
    precious = SiteFolder(tmp_path / "precious")
    precious.write("diary", b"mine")
    (tmp_path / ".site.ceremony").symlink_to(precious.root)
    with pytest.raises(SiteFolderError), new_site_folder(tmp_path / "site"):
        pass
    assert precious.read("diary") == b"mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_strangers_folder_gets_no_keys(tmp_path: Path):
    aside = tmp_path / ".site.ceremony"
    aside.mkdir()
    os.chown(aside, 65534, 65534)
    with pytest.raises(SiteFolderError, match="another user"), new_site_folder(tmp_path / "site"):
        pass
    assert list(aside.iterdir()) == []
