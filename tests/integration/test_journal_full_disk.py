"""A full disk, full indeed: what was confirmed stays, nothing old makes room, and there is more when there is room again."""

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.core.journal_format import RECORDS
from devices.journal_file import JOURNAL
from tests.unit.devices.test_journal_file import Pen, found, opened

pytestmark = pytest.mark.integration


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nobody here may mount a file system; the limit on a file's size is tested instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_file_system_loses_nothing_that_was_confirmed_and_gives_space_back_without_any(
    small_disk: Path,
):
    file = opened(small_disk)
    pen = Pen(file)
    kept = []
    with contextlib.suppress(OSError):
        while True:
            kept += pen.writes(7)
    assert len(kept) > 100
    refused = pen.journal.failed(len(kept) + 1)
    assert len(refused) == 7
    with contextlib.suppress(OSError):
        while True:
            kept += pen.writes(1)
    with pytest.raises(OSError, match="No space left"):
        pen.writes(1)
    pen.journal.failed(len(kept) + 1)
    file.close()
    assert list(found(small_disk).entries) == kept
    # What is answered is noted, and its space given back, with not one free byte on the disk.
    file = opened(small_disk)
    file.settle(file.found.id, len(kept))
    assert (small_disk / JOURNAL).stat().st_size == RECORDS
    file.close()
    file = opened(small_disk)
    (more,) = Pen(file).writes(1)
    file.close()
    assert more.number == len(kept) + 1
    assert list(found(small_disk).entries) == [more]


def test_a_file_that_may_not_grow_keeps_all_that_it_confirmed(tmp_path: Path):
    """The kernel says no in the midst of an entry, to a child whose files may not grow beyond so many bytes."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        pen, count = Pen(opened(tmp_path)), 0
        try:
            while True:
                pen.writes(1)
                count += 1
        except OSError:
            pen.file.settle(pen.file.found.id, count // 2)
            os._exit(count)
    _, status = os.waitpid(pid, 0)
    count = os.waitstatus_to_exitcode(status)
    assert 50 < count < 255
    file = opened(tmp_path)
    assert (file.found.settled, file.found.written) == (count // 2, count)
    Pen(file).writes(3)
    file.close()
    assert found(tmp_path).written == count + 3
