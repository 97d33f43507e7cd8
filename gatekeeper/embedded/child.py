"""A server program as a child process: started, watched, stopped, killed; it never outlives us.

The process is a plain `subprocess.Popen` and the async methods only look at it now and then, so nothing here
belongs to an event loop: a server started in one loop may be stopped in another (a session of tests does).

The kernel's parent-death signal fires when the *thread* that forked ends, not the process. Therefore each child
has a thread of its own, which starts it and then waits for it: the thread ends when the child or we do.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import structlog

from gatekeeper.embedded import launch
from gatekeeper.embedded.errors import EmbeddedServerError
from gatekeeper.embedded.ground import Account

__all__ = ["Child", "stop_left_behind", "until"]

log = structlog.get_logger(__name__)

_LOOK_EVERY = 0.005
_KILL_LIMIT = 10.0
_LOG_KEPT = 1 << 20
_LOG_TAIL = 4096


async def until(condition: Callable[[], bool], *, within: float) -> bool:
    """Wait for `condition`, at most `within` seconds; say whether it came true."""
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - another process sets no event of ours
                await asyncio.sleep(_LOOK_EVERY)
    except TimeoutError:
        return condition()
    return True


class Child:
    """One run of one program, with standard output and error appended to a log file."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        account: Account,
        log_file: Path,
        farewell: signal.Signals = signal.SIGINT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`; `farewell` asks it to stop in order, and is what it gets should we die."""
        self._name = Path(command[0]).name
        self._farewell = farewell
        self._log_file = log_file
        self._log_start = _open_end(log_file)
        self._ended = threading.Event()
        argv = [
            *(sys.executable, "-I", "-S", launch.__file__),
            *map(str, (os.getpid(), account.uid, account.gid, int(farewell))),
            *command,
        ]
        started: Future[subprocess.Popen[bytes]] = Future()
        keeper = threading.Thread(
            target=self._keep,
            args=(argv, {"PATH": os.defpath, **(environment or {})}, started),
            name=f"keeper of {self._name}",
            daemon=True,
        )
        keeper.start()
        self._process = started.result()

    def _keep(
        self, argv: Sequence[str], environment: Mapping[str, str], started: Future[subprocess.Popen[bytes]]
    ) -> None:
        try:
            with self._log_file.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - a program of our choice, no shell
                    argv,
                    cwd="/",
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C is for us; we stop the servers in order
                )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()
        self._ended.set()

    @property
    def pid(self) -> int:
        """The process id; the launcher becomes the program, so it is the server's own."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    def said(self, since: int | None = None) -> str:
        """What it wrote to its log, in this run or since an offset that `log_end` gave."""
        with self._log_file.open("rb") as file:
            file.seek(self._log_start if since is None else since)
            return file.read().decode(errors="replace")

    def log_end(self) -> int:
        """Where the log ends now."""
        return self._log_file.stat().st_size

    async def ready(self, condition: Callable[[], bool], *, within: float) -> None:
        """Wait until `condition` says that it serves; raise with the end of its log when it does not."""
        if not await until(lambda: condition() or not self.running, within=within):
            raise self._failure(f"was not ready within {within:g} seconds")
        if not self.running:
            raise self._failure(f"stopped while starting (exit status {self._process.returncode})")

    async def succeed(self, *, within: float) -> None:
        """Wait until it has ended well, as a tool does that runs once."""
        if not await until(lambda: not self.running, within=within):
            await self.kill()
            raise self._failure(f"did not finish within {within:g} seconds")
        if self._process.returncode != 0:
            raise self._failure(f"failed (exit status {self._process.returncode})")

    def _failure(self, what: str) -> EmbeddedServerError:
        tail = self.said()[-_LOG_TAIL:].strip() or "(nothing)"
        return EmbeddedServerError(f"{self._name} {what}. The end of its log, {self._log_file}:\n{tail}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    async def stop(self, *, then: signal.Signals | None = None, patience: float = 10.0) -> None:
        """Ask it to stop; insist with `then` when patience runs out, and with SIGKILL at last."""
        for request in (self._farewell, then):
            if request is None:
                continue
            self.send(request)
            if await until(lambda: not self.running, within=patience):
                return
            log.warning("embedded_server_slow_to_stop", server=self._name, signal=request.name)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL, at once and without a word; returns when it is gone."""
        self._process.kill()
        await until(lambda: not self.running, within=_KILL_LIMIT)


def _open_end(log_file: Path) -> int:
    """Give the offset at which the next run's log begins; a long log is put aside first."""
    if not log_file.exists():
        return 0
    size = log_file.stat().st_size
    if size < _LOG_KEPT:
        return size
    log_file.replace(log_file.with_name(f"{log_file.name}.1"))
    return 0


async def stop_left_behind(command: Sequence[str], *, match: int, patience: float = 10.0) -> None:
    """Stop servers that run the first `match` words of `command`, left by a process that died.

    Call it only with the folder claimed: then no living parent owns them.
    """
    for pid in _running(command[:match]):
        log.warning("embedded_server_left_behind", server=command[0], pid=pid)
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            try:
                os.kill(pid, request)
            except ProcessLookupError:
                break
            if await until(lambda pid=pid: pid not in _running(command[:match]), within=patience):  # type: ignore[misc]
                break


def _running(command: Sequence[str]) -> list[int]:
    """Processes that run this program (by its base name) with these first arguments."""
    wanted = [Path(command[0]).name, *command[1:]]
    return [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdecimal() and _first_words(process, len(wanted)) == wanted
    ]


def _first_words(process: Path, count: int) -> list[str]:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return []
    return [Path(os.fsdecode(words[0])).name, *map(os.fsdecode, words[1:count])]
