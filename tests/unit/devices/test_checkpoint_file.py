"""What a gate remembers of the log outlives its program, is never half a file, and can be taken from the gate."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from devices.checkpoint_file import CHECKPOINTS, CheckpointFile, read_checkpoints
from devices.cli.commands import app
from devices.core.checkpoints import CheckpointMemory
from devices.core.events import KeepCheckpoints
from devices.settings import SettingsError, read_gate_folder
from gatekeeper import cose
from gatekeeper.core.log_keys import log_verifiers
from gatekeeper.model.trees import SITE_TREE
from gatekeeper.transparency import OpenedCheckpoint, open_checkpoint
from tests.support.waiting import eventually
from tests.unit.devices.folders import gate_folder
from tests.unit.devices.ground import GATE, Service, Talk, only


def remembered(talk: Talk) -> CheckpointMemory:
    """A gate that knows three checkpoints and was shown a log that contradicts them."""
    for size in (1, 20, 300):
        talk.learns(size, after=size)
    talk.learns(299, after=1000, history="rolled back")
    return only(KeepCheckpoints, talk.did)[-1].memory


@pytest.fixture
def talk() -> Talk:
    return Talk.ready()


@pytest.fixture
def folder(tmp_path: Path, talk: Talk) -> Path:
    return gate_folder(tmp_path / "gate", talk.service, talk.key)


def kept_in(folder: Path, memory: CheckpointMemory) -> CheckpointFile:
    file = CheckpointFile(folder / CHECKPOINTS)
    file.keep(memory)
    file.write()
    return file


def device(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


# -- the file ---------------------------------------------------------------------------------------------------------


def test_what_was_kept_is_there_at_the_next_start(folder: Path, talk: Talk):
    memory = remembered(talk)
    kept_in(folder, memory)
    assert read_gate_folder(folder).checkpoints == memory
    assert len(memory.contradictions) == 1


def test_a_new_gate_remembers_nothing(folder: Path):
    assert read_gate_folder(folder).checkpoints == CheckpointMemory()


def test_what_a_power_cut_left_aside_is_nothing_and_in_nobodys_way(folder: Path, talk: Talk):
    memory = remembered(talk)
    kept_in(folder, memory)
    (folder / f".{CHECKPOINTS}.new").write_text('{"kept": [{"at": "2026-')
    assert read_gate_folder(folder).checkpoints == memory
    talk.learns(301, after=2000)
    kept_in(folder, only(KeepCheckpoints, talk.did)[-1].memory)
    assert len(read_gate_folder(folder).checkpoints.kept) == 4
    assert not (folder / f".{CHECKPOINTS}.new").exists()


def test_a_process_that_is_killed_while_it_writes_leaves_a_whole_file(folder: Path, talk: Talk):
    kept_in(folder, remembered(talk))
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import devices.checkpoint_file as file\n"
        "path = Path(sys.argv[1])\n"
        "memory = file.read_checkpoints(path)\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "keeper = file.CheckpointFile(path)\n"
        "keeper.keep(file.CheckpointMemory())\n"
        "keeper.write()\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program, folder / CHECKPOINTS], check=False, cwd=root)
    assert done.returncode == -9
    assert len(read_gate_folder(folder).checkpoints.kept) == 3


def test_of_what_waits_the_newest_is_written_and_only_once(folder: Path, talk: Talk):
    file = CheckpointFile(folder / CHECKPOINTS)
    for size in (1, 2):
        talk.learns(size, after=size)
        file.keep(only(KeepCheckpoints, talk.did)[-1].memory)
    file.write()
    assert [it.size for it in read_checkpoints(folder / CHECKPOINTS).kept] == [1, 2]
    (folder / CHECKPOINTS).unlink()
    file.write()
    assert not (folder / CHECKPOINTS).exists()


async def test_what_is_kept_is_written_while_the_gate_works(folder: Path, talk: Talk):
    path = folder / CHECKPOINTS
    file = CheckpointFile(path, pause=timedelta())
    running = asyncio.create_task(file.run())
    for size in (1, 2):
        talk.learns(size, after=size)
        file.keep(only(KeepCheckpoints, talk.did)[-1].memory)
        await eventually(lambda wanted=size: len(read_checkpoints(path).kept) == wanted)  # type: ignore[misc]
    running.cancel()


def test_what_the_disk_does_not_take_is_told_and_written_when_it_does(folder: Path, talk: Talk):
    aside = folder / f".{CHECKPOINTS}.new"
    aside.mkdir()
    with capture_logs() as logs:
        file = kept_in(folder, remembered(talk))
    assert [line["event"] for line in logs] == ["checkpoints cannot be kept"]
    assert not (folder / CHECKPOINTS).exists()
    aside.rmdir()
    file.write()
    assert len(read_checkpoints(folder / CHECKPOINTS).kept) == 3


Spoil = Callable[[dict[str, Any]], Any]
SPOILED: dict[str, Spoil] = {
    "another form": lambda _: [],
    "something missing": lambda it: {"kept": it["kept"]},
    "a checkpoint that says too little": lambda it: it | {"kept": [{"note": it["kept"][0]["note"]}]},
    "a contradiction of one": lambda it: it | {"contradictions": [{"known": it["kept"][0]}]},
    "no note": lambda it: it | {"kept": [it["kept"][0] | {"note": "42"}]},
    "a note that is no checkpoint": lambda it: (
        it | {"kept": [it["kept"][0] | {"note": "a\n\n— b AAAAAAAA\n"}]}
    ),
    "no time": lambda it: it | {"kept": [it["kept"][0] | {"at": "yesterday"}]},
    "a time without a zone": lambda it: it | {"kept": [it["kept"][0] | {"at": "2026-03-02T12:00:00"}]},
    "no bytes": lambda it: it | {"kept": [it["kept"][0] | {"message": "?"}]},
    "another order": lambda it: it | {"kept": it["kept"][::-1]},
    "one of them twice": lambda it: it | {"kept": [it["kept"][0], it["kept"][0]]},
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_file_that_somebody_spoiled_stops_the_gate_and_stays_as_it_is(
    folder: Path, talk: Talk, spoil: Spoil
):
    path = folder / CHECKPOINTS
    kept_in(folder, remembered(talk))
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    spoiled = path.read_bytes()
    with pytest.raises(SettingsError, match="It is evidence: keep it"):
        read_gate_folder(folder)
    assert path.read_bytes() == spoiled


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_file_that_is_no_json_stops_the_gate(folder: Path, content: bytes):
    (folder / CHECKPOINTS).write_bytes(content)
    with pytest.raises(SettingsError, match="It is evidence: keep it"):
        read_gate_folder(folder)


def test_a_file_that_cannot_be_read_stops_the_gate(folder: Path):
    (folder / CHECKPOINTS).mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_gate_folder(folder)


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_newest_checkpoint_is_printed_as_the_log_signed_it(folder: Path, talk: Talk):
    talk.learns(42)
    kept_in(folder, only(KeepCheckpoints, talk.did)[-1].memory)
    said = device("checkpoint", "--folder", str(folder))
    assert said.exit_code == 0
    opened = open_checkpoint(said.stdout.encode(), log_verifiers(talk.service.trust, SITE_TREE))
    assert isinstance(opened, OpenedCheckpoint)
    assert opened.checkpoint.size == 42
    assert said.stderr == "42 entries, the newest of 2026-03-02 12:00:00 UTC.\n"


def test_a_gate_that_remembers_nothing_yet_says_so(folder: Path):
    said = device("checkpoint", "--folder", str(folder))
    assert (said.exit_code, said.stdout) == (1, "")
    assert (
        said.stderr == "main-gate remembers no checkpoint yet: it has heard none that the log's key signed.\n"
    )


def test_a_contradiction_is_told_first_and_its_evidence_can_be_had(folder: Path, talk: Talk):
    kept_in(folder, remembered(talk))
    said = device("checkpoint", "--folder", str(folder))
    assert said.exit_code == 0
    assert said.stdout.splitlines()[1] == "300"
    assert said.stderr.startswith("ALARM: main-gate was shown a log that contradicts what it remembers")
    evidence = json.loads(device("checkpoint", "--folder", str(folder), "--json").stdout)
    (contradiction,) = evidence["contradictions"]
    assert [contradiction[one]["note"].splitlines()[1] for one in ("known", "arrived")] == ["300", "299"]
    assert [one["note"].splitlines()[1] for one in evidence["kept"]] == ["1", "20", "300"]


def test_a_folder_whose_trust_list_names_no_log_key_is_told(tmp_path: Path):
    key = cose.SigningKey.generate()
    service = Service({GATE: key})
    said = device("check", "--folder", str(gate_folder(tmp_path / "with", service, key)))
    assert "no key that signs the log" not in said.stderr
    without = Service({GATE: key}, has_log_key=False)
    said = device("check", "--folder", str(gate_folder(tmp_path / "without", without, key)))
    assert said.exit_code == 0
    assert "Its trust list names no key that signs the log: it will remember no checkpoint." in said.stderr
