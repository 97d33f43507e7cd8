"""A private PostgreSQL on a unix socket: our own launcher around the server's programs.

Who may enter: whoever may enter the socket's folder. That is mode 0700 and belongs to the account the server runs
as, so it is that account and root; inside, `trust`. Peer authentication would refuse root, who connects under
another uid than the server's; a password in a file would guard against nobody but those who own the data anyway.
There is no TCP listener.

The user `gatekeeper` owns the cluster and is its superuser.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import asyncpg
import structlog

from gatekeeper.embedded.child import Child, stop_left_behind
from gatekeeper.embedded.errors import EmbeddedServerError
from gatekeeper.embedded.ground import Account, Claim, digest_of, private_folder, server_account, settle
from gatekeeper.embedded.postgres_programs import PostgresPrograms, find_postgres

__all__ = ["EmbeddedPostgres"]

log = structlog.get_logger(__name__)

_USER = "gatekeeper"
_PORT = 5432  # names the socket; nothing listens on TCP
_SOCKET_PATH_LIMIT = 107
_INIT_LIMIT = 120.0
_START_LIMIT = 60.0
_ORPHAN_LIMIT = 10.0
_ORPHANS = "pre-existing shared memory block"
_LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "min_wal_size": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """A PostgreSQL server whose data stays in a folder between runs."""

    def __init__(self, folder: Path, *, binaries: Path | None = None, durable: bool = True) -> None:
        """Prepare a server in `folder`, with the programs in `binaries` when given.

        `durable=False` gives up crash safety for speed: for tests that do not pull the plug.
        """
        self._wanted_folder = folder
        self._binaries = binaries
        self._durable = durable
        self._account = server_account()
        self._claim: Claim | None = None
        self._child: Child | None = None
        self._sockets: Path | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server, making its data folder on the first run; return when it takes connections."""
        if self._child is not None and self._child.running:
            return
        try:
            await self._start()
            await self.ensure_database(_USER)
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        folder = settle(self._wanted_folder, self._account)
        self._claim = self._claim or Claim(folder / "postgres.lock")
        programs = find_postgres(self._binaries, account=self._account, copy_to=folder)
        data = await self._data_folder(programs, folder)
        self._sockets = _socket_folder(data, self._account)
        command = _command(
            programs, data, self._sockets, _SETTINGS if self._durable else _SETTINGS | _FORGETFUL
        )
        await stop_left_behind(command, match=3)
        _forget_reused_pid(data)
        await self._serve(command, data, folder / "postgres.log")

    async def _data_folder(self, programs: PostgresPrograms, folder: Path) -> Path:
        """Give the data folder of this major version, made whole or not at all."""
        data = folder / f"postgres-{programs.major}"
        if data.exists():
            return private_folder(data, self._account)
        _warn_of_other_versions(data)
        draft = data.with_name(f"{data.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        initdb = Child(
            [
                *(str(programs.folder / "initdb"), "-D", str(private_folder(draft, self._account))),
                *(f"--username={_USER}", "--auth-local=trust", "--auth-host=reject"),
                *("--encoding=UTF8", f"--locale={_LOCALE}", "--lc-collate=C", "--data-checksums"),
                *(() if self._durable else ("--no-sync",)),
            ],
            account=self._account,
            log_file=folder / "postgres.log",
        )
        try:
            await initdb.succeed(within=_INIT_LIMIT)
        finally:
            await initdb.kill()
        return draft.rename(data)

    async def _serve(self, command: list[str], data: Path, log_file: Path) -> None:
        """Run the server; again and again while the processes of a killed one still hold its shared memory."""
        patience_ends = time.monotonic() + _ORPHAN_LIMIT
        while True:
            child = self._child = Child(command, account=self._account, log_file=log_file)
            try:
                await child.ready(partial(_serves, data, child.pid), within=_START_LIMIT)
            except EmbeddedServerError:
                if _ORPHANS not in child.said() or time.monotonic() > patience_ends:
                    raise
            else:
                return

    async def stop(self) -> None:
        """End all sessions, write everything down and stop; insists when that takes too long."""
        if self._child is not None:
            await self._child.stop(then=signal.SIGQUIT)
            self._child = None
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    async def kill(self) -> None:
        """Pull the plug (SIGKILL); `start` brings the server back."""
        if self._child is not None:
            await self._child.kill()

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._child is None:
            raise EmbeddedServerError("The embedded PostgreSQL is not running: start it first.")
        return self._child.pid

    def dsn(self, database: str = _USER, *, user: str = _USER) -> str:
        """Give the address of a database, for asyncpg and (with its own scheme) SQLAlchemy."""
        if self._sockets is None:
            raise EmbeddedServerError("The embedded PostgreSQL has no address yet: start it first.")
        where = urlencode({"host": str(self._sockets), "port": _PORT, "user": user}, safe="/")
        return f"postgresql:///{quote(database, safe='')}?{where}"

    async def ensure_database(self, name: str) -> None:
        """Create a database unless it exists."""
        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                quoted = name.replace('"', '""')
                await connection.execute(f'CREATE DATABASE "{quoted}"')
        finally:
            await connection.close()


def _warn_of_other_versions(data: Path) -> None:
    others = [other.name for other in data.parent.glob("postgres-*[0-9]")]
    if others:
        log.warning("embedded_database_of_other_version_unused", used=data.name, unused=others)


def _command(programs: PostgresPrograms, data: Path, sockets: Path, settings: Mapping[str, str]) -> list[str]:
    return [
        *(str(programs.folder / "postgres"), "-D", str(data), "-c", f"unix_socket_directories={sockets}"),
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
    ]


def _socket_folder(data: Path, account: Account) -> Path:
    """Give the data folder, or a short one when the socket's path would exceed what the kernel takes."""
    if len(os.fsencode(data / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_LIMIT:
        return data
    short = Path("/tmp") / f"gatekeeper-{digest_of(data)}"  # noqa: S108 - its owner is checked
    return private_folder(short, account)


def _lock_lines(data: Path) -> list[str]:
    """Read postmaster.pid: the pid first, the status eighth."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _serves(data: Path, pid: int) -> bool:
    match _lock_lines(data):
        case [first, _, _, _, _, _, _, status, *_]:
            return first == str(pid) and status.strip() == "ready"
        case _:
            return False


def _forget_reused_pid(data: Path) -> None:
    """Remove the lock file of a dead server whose pid now belongs to some other program.

    PostgreSQL itself clears away the file when no process has that pid, but takes any living one for its own. That
    no server runs here is known by then; processes left by a killed one still hold its shared memory, which
    PostgreSQL checks apart from this file.
    """
    match _lock_lines(data):
        case [pid, *_] if Path("/proc", pid).exists():
            (data / "postmaster.pid").unlink(missing_ok=True)
        case _:
            pass
