"""What the site signed is on disk whole or not at all, whenever the power goes; and a full disk is told, and tried again."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from devices import policy_files
from devices.core.events import KeepPolicy, PolicyFile
from devices.core.standby import Held
from devices.policy_files import PolicyFiles, read_held
from devices.whole_file import write_whole
from tests.support.waiting import eventually

OLD, NEW = b"old" * 1000, b"new" * 2000


class PowerCutError(Exception):
    """The power went."""


STEPS: dict[str, str] = {"the sync": "fsync", "the renaming": "replace"}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_power_cut_before_the_new_file_is_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
):
    path = tmp_path / PolicyFile.SNAPSHOT
    write_whole(path, OLD)

    def cut(*_arguments: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patched:
        patched.setattr(os if step == "fsync" else Path, step, cut)
        with pytest.raises(PowerCutError):
            write_whole(path, NEW)
    assert path.read_bytes() == OLD
    write_whole(path, NEW)  # what is left of the first attempt hinders nobody
    assert path.read_bytes() == NEW
    assert [one.name for one in tmp_path.iterdir()] == [PolicyFile.SNAPSHOT]


def test_a_child_that_is_killed_at_any_moment_leaves_one_of_the_two(tmp_path: Path):
    path = tmp_path / PolicyFile.STANDING
    write_whole(path, OLD)
    for attempt in range(20):
        pid = os.fork()
        if pid == 0:
            while True:
                write_whole(path, NEW)
                write_whole(path, OLD)
        deadline = 200 * attempt
        while deadline:
            assert path.read_bytes() in {OLD, NEW}
            deadline -= 1
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        assert path.read_bytes() in {OLD, NEW}


def test_what_is_kept_is_read_at_the_start(tmp_path: Path):
    assert read_held(tmp_path) == Held()
    files = PolicyFiles(tmp_path)
    files.keep(KeepPolicy(PolicyFile.SNAPSHOT, OLD))
    files.keep(KeepPolicy(PolicyFile.SNAPSHOT, NEW))
    files.keep(KeepPolicy(PolicyFile.STANDING, OLD))
    files.keep(KeepPolicy(PolicyFile.CONFIRMING, b"confirming"))
    files.write()
    assert read_held(tmp_path) == Held(snapshot=NEW, standing=OLD, confirming=b"confirming")


def test_an_order_to_lock_down_is_on_disk_at_once_and_the_others_when_it_is_their_turn(tmp_path: Path):
    files = PolicyFiles(tmp_path)
    files.keep(KeepPolicy(PolicyFile.STANDING, OLD))
    files.keep(KeepPolicy(PolicyFile.LOCKDOWN, NEW))
    assert read_held(tmp_path) == Held(lockdown=NEW)


def test_what_was_let_go_is_not_there_at_the_start(tmp_path: Path):
    files = PolicyFiles(tmp_path)
    files.keep(KeepPolicy(PolicyFile.SNAPSHOT, OLD))
    files.write()
    files.keep(KeepPolicy(PolicyFile.SNAPSHOT, b""))
    files.write()
    assert read_held(tmp_path) == Held()


def test_a_file_that_cannot_be_read_is_told_and_passed_over(tmp_path: Path):
    (tmp_path / PolicyFile.SNAPSHOT).mkdir()
    write_whole(tmp_path / PolicyFile.STANDING, OLD)
    with capture_logs() as logs:
        assert read_held(tmp_path) == Held(standing=OLD)
    assert [log["event"] for log in logs] == ["cannot be read"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A disk that is full until it is not."""
    state = {"full": True}

    def write(path: Path, content: bytes) -> None:
        if state["full"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, content)

    monkeypatch.setattr(policy_files, "write_whole", write)
    return lambda full: state.update(full=full)


def test_what_a_full_disk_did_not_take_is_told_and_written_with_the_next(
    tmp_path: Path, full: Callable[[bool], None]
):
    files = PolicyFiles(tmp_path)
    files.keep(KeepPolicy(PolicyFile.SNAPSHOT, OLD))
    with capture_logs() as logs:
        files.write()
    assert [(log["event"], log["why"]) for log in logs] == [("cannot be kept", "No space left on device")]
    assert read_held(tmp_path) == Held()
    full(False)  # noqa: FBT003 - there is room again
    files.keep(KeepPolicy(PolicyFile.STANDING, NEW))
    files.write()
    assert read_held(tmp_path) == Held(snapshot=OLD, standing=NEW)


async def test_what_is_to_be_kept_is_written_soon_and_off_the_event_loop(tmp_path: Path):
    files = PolicyFiles(tmp_path)
    running = asyncio.create_task(files.run())
    files.keep(KeepPolicy(PolicyFile.SNAPSHOT, NEW))
    await eventually((tmp_path / PolicyFile.SNAPSHOT).exists)
    running.cancel()
    assert read_held(tmp_path).snapshot == NEW


def test_what_others_are_believed_or_counted_by_is_on_disk_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    order: list[str] = []
    monkeypatch.setattr(policy_files, "write_whole", lambda path, _content: order.append(path.name))
    files = PolicyFiles(tmp_path)
    for file in (PolicyFile.STANDING, PolicyFile.CONFIRMING, PolicyFile.SNAPSHOT, PolicyFile.TRUST):
        files.keep(KeepPolicy(file, NEW))
    files.write()
    assert order == ["trust.cose", "snapshot.cose", "confirming.cose", "standing.cose"]
