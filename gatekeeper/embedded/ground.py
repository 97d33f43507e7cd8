"""The ground a server stands on: the account it runs as, the folder it lives in, the claim on that folder.

PostgreSQL refuses to run as root and Mosquitto should not: started by root, both run as an unprivileged account
that exists already. No account is ever added and no folder of others is ever opened: a folder which that account
cannot reach is left alone and a reachable one below /var/tmp is used in its place.
"""

import fcntl
import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

import structlog

from gatekeeper.embedded.errors import EmbeddedServerError

__all__ = ["Account", "Claim", "digest_of", "place", "private_folder", "reaches", "server_account", "settle"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who a server runs as."""

    uid: int
    gid: int


def server_account() -> Account:
    """Name the account for servers: ourselves, or when we are root `postgres` or else `nobody`."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedServerError(
        "Servers do not run as root, and this system has neither the account 'postgres' nor 'nobody': "
        "start Gatekeeper as an ordinary user."
    )


def reaches(account: Account, path: Path) -> bool:
    """Whether `account` may pass through every folder above `path` (mode bits only; no access lists)."""
    return all(_may_pass(account, folder.stat()) for folder in path.resolve().parents if folder.exists())


def _may_pass(account: Account, folder: os.stat_result) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def settle(folder: Path, account: Account) -> Path:
    """Create and return the folder to live in: `folder`, or one below /var/tmp when `account` cannot reach it."""
    wanted = folder.absolute()
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerError(
            f"{wanted} cannot be made ({error.strerror}): choose another data folder."
        ) from error
    if reaches(account, wanted / "server"):
        return wanted
    instead = Path("/var/tmp") / f"gatekeeper-{digest_of(wanted)}"  # noqa: S108 - its owner is checked
    _own_folder(instead, Account(uid=os.geteuid(), gid=os.getegid()), mode=0o755)
    log.info(
        "embedded_folder_moved",
        wanted=str(wanted),
        used=str(instead),
        why="the server account cannot reach it",
    )
    return instead


def private_folder(path: Path, account: Account) -> Path:
    """Create `path` for `account` alone; refuse one that somebody else put there."""
    _own_folder(path, account, mode=0o700)
    return path


def _own_folder(path: Path, account: Account, *, mode: int) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        _require_owner(path, account)
    else:
        os.chown(path, account.uid, account.gid)
    path.chmod(mode)


def _require_owner(path: Path, account: Account) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
        raise EmbeddedServerError(
            f"{path} should be a folder of uid {account.uid} and is not: remove it, or choose another data folder."
        )


def place(path: Path, text: str, account: Account) -> None:
    """Put a file that only `account` reads where a server expects it, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    # O_EXCL: the folder belongs to the account, and root does not follow a link that the account left there.
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        os.fchown(file.fileno(), account.uid, account.gid)
        file.write(text)
    draft.replace(path)


def digest_of(path: Path) -> str:
    """Give a short name that stays the same for the same path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


class Claim:
    """One process at a time uses a server's folder; the kernel ends the claim with the process.

    So a server found running in a claimed folder was left behind by a process that died.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a")
        except OSError as error:
            raise EmbeddedServerError(
                f"{path.parent} is not ours to write ({error.strerror}): choose another data folder."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise EmbeddedServerError(
                f"{path.parent} is in use by another running process: stop that one, or choose another data folder."
            ) from None

    def release(self) -> None:
        """Give the folder free."""
        self._file.close()
