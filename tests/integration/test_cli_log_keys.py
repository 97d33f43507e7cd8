"""`gatekeeper audit keys`: the keys by which a site's logs are known, for witnesses and verifiers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatekeeper.core.audit import SITE_TREE
from gatekeeper.transparency import Refused, Verifier, open_checkpoint, parse_verifier
from tests.integration.cli_hold import Hold
from tests.support.commands import Said, gatekeeper

pytestmark = pytest.mark.integration


def test_they_verify_the_checkpoints_of_the_site_and_name_a_log_of_each_tenant(hold: Hold):
    said = hold.say("audit", "keys", "--data", hold.data)
    assert (said.code, said.err) == (0, "")
    keys = [parse_verifier(line) for line in said.out.splitlines()]
    verifiers = [key for key in keys if isinstance(key, Verifier)]
    assert len(verifiers) == len(keys) == len({key.name for key in verifiers})
    assert verifiers[0].name == f"gatekeeper/{hold.site}/site"
    assert {key.name.split("/")[2] for key in verifiers[1:]} == {"tenant"}
    (row,) = hold.run(f"SELECT note FROM checkpoint WHERE site_id = $1 AND tree = '{SITE_TREE}'")
    assert not isinstance(open_checkpoint(row["note"], verifiers), Refused)


def test_a_witness_admits_them_as_they_are_printed(hold: Hold, tmp_path: Path):
    keys = hold.say("audit", "keys", "--data", hold.data).out.split()
    at = ("--data", tmp_path / "witness")
    assert hold.say("witness", "init", "--name", "witness.example", *at).code == 0
    assert hold.say("witness", "admit", *keys, *at).code == 0
    shown = hold.say("witness", "show", "--json", *at).document
    assert [one["keys"] for one in shown] == [1] * len(keys)


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return lambda *words: gatekeeper(capfd, *words)


def test_where_no_site_is_that_is_said(say: Callable[..., Said], tmp_path: Path):
    said = say("audit", "keys", "--data", tmp_path, "--site", "nosuch")
    assert (said.code, said.out, said.err) == (2, "", f"{tmp_path / 'sites' / 'nosuch'} holds no site.\n")
