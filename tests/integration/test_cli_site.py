"""`gatekeeper site apply`: what the folder keeps is what is in force, and not what was asked for."""

from pathlib import Path

import pytest

from gatekeeper.cli.host import signing
from tests.integration.cli_hold import Hold
from tests.support.site_files import SMALL

pytestmark = pytest.mark.integration


@pytest.fixture
def policy(hold: Hold) -> Path:
    """The folder's own copy of the policy."""
    return hold.data / "sites" / hold.site / "policy.cose"


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(text)
    return file


def test_a_policy_that_no_engine_has_put_in_force_does_not_replace_the_one_that_is(
    hold: Hold, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(signing, "_PATIENCE_SECONDS", 0.1)  # no engine will ever answer
    before = policy.read_bytes()
    file = _file(tmp_path, SMALL.replace('id = "fort"', f'id = "{hold.site}"', 1).replace("tense", "grave"))
    said = hold("site", "apply", file)
    assert said.code == 4
    assert said.err.splitlines()[-1] == f"{policy} stays as it is until this policy is in force."
    assert policy.read_bytes() == before
    waiting = hold.run("SELECT outcome FROM change WHERE site_id = $1")
    assert [row["outcome"] for row in waiting] == [None]


def test_a_file_that_describes_another_site_is_not_applied(hold: Hold, policy: Path, tmp_path: Path):
    before = policy.read_bytes()
    said = hold("site", "apply", _file(tmp_path, SMALL))
    assert (said.code, said.err) == (2, f"{tmp_path}/site.toml: it describes fort, not {hold.site}\n")
    assert policy.read_bytes() == before


def test_a_file_that_is_no_site_file_is_not_applied(hold: Hold, tmp_path: Path):
    said = hold("site", "apply", _file(tmp_path, "site = 3\n"))
    assert (said.code, said.err) == (2, f"{tmp_path}/site.toml:1: site: a table is wanted, written [site]\n")
    assert hold("site", "apply", tmp_path).code == 2
    assert not hold.run("SELECT change FROM change WHERE site_id = $1")
