"""Files that are there whole or not at all, and what is said when one cannot be written.

A file system without hard links (FAT, some shares) cannot give a whole file a new name and replace nothing. There the name is
taken first, by an empty file of our own, which the whole one replaces: a crash between the two leaves it empty.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["named", "replace_private", "try_place", "write_new", "write_whole"]

_OWNER_ONLY = 0o600
_A_BLOCK = bytes(4096)
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


def write_whole(file: Path, content: bytes) -> None:
    """Write or replace a file; when this returns it is on the disk, and until then the former one is."""
    with _aside(file) as aside:
        _write(aside, content, 0o666)
        aside.replace(file)


def write_new(file: Path, content: bytes) -> None:
    """Write a file of the owner's alone. Raises FileExistsError when there is one, and never writes over it."""
    with _aside(file) as aside:
        _write(aside, content, _OWNER_ONLY)
        _settle(aside, file)


def replace_private(file: Path, content: bytes) -> None:
    """Replace a file by one of the same owner's alone; until this returns the former one is there, and then the new one is.

    Raises an OSError when it cannot be given to that owner: who reads it then reads it afterwards. So it does for a symbolic
    link: whose the file is would be said by one that stands elsewhere.
    """
    owner = file.lstat()
    if stat.S_ISLNK(owner.st_mode):
        raise OSError(errno.ELOOP, "It is a symbolic link, and only a file itself is replaced", str(file))
    with _aside(file) as aside:
        _write(aside, content, _OWNER_ONLY, owner=(owner.st_uid, owner.st_gid))
        aside.replace(file)


def try_place(file: Path) -> None:
    """See that a file can be written where it is to be, and leave nothing there. Raises the OSError that writing it would."""
    with _aside(file) as aside, _aside(file) as settled:
        _write(aside, _A_BLOCK, _OWNER_ONLY)
        _settle(aside, settled)


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Let an OSError of a block name the file that somebody gave, and not what stands aside for it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


@contextmanager
def _aside(file: Path) -> Iterator[Path]:
    """A place beside a file, which is free again after the block."""
    with named(file):
        aside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            yield aside
        finally:
            aside.unlink(missing_ok=True)


def _write(file: Path, content: bytes, mode: int, *, owner: tuple[int, int] | None = None) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as written:
        if mode == _OWNER_ONLY:
            os.fchmod(descriptor, mode)  # a umask can only have narrowed it
        written.write(content)
        written.flush()
        made = os.fstat(descriptor)
        if owner is not None and owner != (made.st_uid, made.st_gid):
            # INVARIANT: what changes hands is the file that was made here, whatever has its name by now.
            os.fchown(descriptor, *owner)
        os.fsync(descriptor)


def _settle(aside: Path, file: Path) -> None:
    """Give a file that was written aside its name. Raises FileExistsError when something has that name."""
    try:
        os.link(aside, file)  # unlike a rename, a link replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _settle_without_links(aside, file)


def _settle_without_links(aside: Path, file: Path) -> None:
    # INVARIANT: what is replaced is the empty file that this has made.
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY))
    try:
        aside.replace(file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
