"""Looking at processes, and starting those whose end a test wants to see."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gatekeeper.embedded.ground import server_account

__all__ = ["command_of", "process_runs", "python_parent", "start_as_server", "uid_of"]

_PROJECT = Path(__file__).parents[2]


def process_runs(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_of(pid: int) -> list[str]:
    """The words of a process's command."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def uid_of(pid: int) -> int:
    """The account a process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def start_as_server(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program as servers are, but tied to nobody's life."""
    account = server_account()
    if os.geteuid() != 0:
        return subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL)
    return subprocess.Popen(
        command, cwd="/", stderr=subprocess.DEVNULL, user=account.uid, group=account.gid, extra_groups=[]
    )


@contextmanager
def python_parent(program: str, *arguments: str) -> Iterator[int]:
    """Run a Python program that prints a number, give the number, and kill -9 the program at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, cwd=_PROJECT
    ) as parent:
        assert parent.stdout is not None
        try:
            yield int(parent.stdout.readline())
        finally:
            parent.kill()
