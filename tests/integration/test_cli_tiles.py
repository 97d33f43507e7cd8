"""`gatekeeper audit tiles`: a tree as a folder, and what is said of it."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.cli_hold import Hold
from tests.support.commands import Said
from tests.support.tlog_reader import read_log

pytestmark = pytest.mark.integration


def _tiles(hold: Hold, *words: object) -> Said:
    return hold("audit", "tiles", "--site", hold.site, *words)


def _read(folder: Path) -> int:
    async def fetch(path: str) -> bytes | None:
        file = folder / path
        return file.read_bytes() if file.is_file() else None

    return asyncio.run(read_log(fetch, bodies=(folder / "tile" / "entries").exists()))


def test_a_tree_is_written_out_and_then_added_to(hold: Hold, tmp_path: Path):
    folder = tmp_path / "log"
    first = _tiles(hold, "--site-tree", "--out", folder)
    assert (first.code, first.out) == (0, "")
    assert first.err == f"{folder} holds 10 entries of site under its newest checkpoint, 10 of them new.\n"
    hold.grow(600)
    again = _tiles(hold, "--site-tree", "--out", folder, "--json")
    assert again.document == {"tree": "site", "size": 610, "added": 600, "left_out": 0}
    assert _read(folder) == 610


def test_entries_are_not_taken_out_before_the_log_says_so(hold: Hold, tmp_path: Path):
    said = _tiles(hold, "--site-tree", "--entries", "--reason", "a check", "--out", tmp_path / "log")
    assert said.code == 4
    assert not (tmp_path / "log").exists()


def test_a_tenants_tree_is_written_out_under_its_own_name(hold: Hold, tmp_path: Path):
    hold.grow(300)
    said = _tiles(hold, "--tenant", "army", "--out", tmp_path / "log")
    assert (said.code, _read(tmp_path / "log")) == (0, 305)
    assert (
        (tmp_path / "log" / "checkpoint").read_text().startswith(f"gatekeeper/{hold.site}/tenant/army\n305\n")
    )


def test_a_log_that_does_not_bear_out_its_checkpoint_is_not_written_out(hold: Hold, tmp_path: Path):
    hold.run("UPDATE entry SET body = body || ' ' WHERE site_id = $1 AND seq = 3")
    said = _tiles(hold, "--site-tree", "--out", tmp_path / "log")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("The tiles do not lead to the root of the checkpoint at 10 entries: ")
    assert not (tmp_path / "log" / "checkpoint").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Say which tree: --tenant TENANT, or --site-tree for the whole site's."),
        (("--site-tree", "--tenant", "army"), "Say which tree: "),
        (("--site-tree", "--entries"), "To take entries out say --entries and why, with --reason: "),
        (("--site-tree", "--reason", "a check"), "To take entries out say --entries and why"),
        (("--site-tree", "--entries", "--reason", "two\nlines"), "one line of 1 to 200 characters"),
        (("--tenant", "ghost"), "has no tree tenant:ghost."),
        (("--tenant", "NO NAME"), "has no tree tenant:NO NAME."),
    ],
)
def test_which_tree_is_meant_must_be_said(words: tuple[str, ...], sentence: str, hold: Hold, tmp_path: Path):
    said = _tiles(hold, *words, "--out", tmp_path / "log")
    assert said.code == 2
    assert sentence in said.err
    assert not (tmp_path / "log").exists()
