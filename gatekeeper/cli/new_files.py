"""Files that commands write for a person: one rule for every `--out`, `--qr` and `--photos`.

A file is new, and nothing is written over. Its folder is there; none is made for it. It is the owner's alone, and there
whole or not at all. Commands that sign something, or have it logged, try the place first (`see_new`). What a place does
not allow ends with exit code 2 and the name that was given.

Only what renews a certificate replaces a file, and that whole: it has looked before that it is one of its own (`replace`).

A folder that a command fills is made where its parent is there. A file in it with the same content stays, one with
another is not written over (`fill`). `audit export` goes on with a bundle and `audit tiles` with a folder that they began.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from gatekeeper.config import SettingError
from gatekeeper.service.files import named, replace_private, try_place, write_new

__all__ = [
    "fill",
    "make_folder",
    "replace",
    "see_file",
    "see_folder",
    "see_new",
    "see_there",
    "write",
    "write_all",
]


def see_new(*files: Path | None) -> None:
    """See that files can be written. Raises SettingError, or an OSError that names the file."""
    for file in filter(None, files):
        see_file(file)
        if not file.parent.is_dir():
            raise SettingError(f"{file}: there is no folder {file.parent}.")
        if os.path.lexists(file):
            raise _there(file)
        try_place(file)


def see_there(file: Path) -> None:
    """See that a file is there and can be replaced. Raises SettingError, or an OSError that names the file."""
    see_file(file)
    if file.is_symlink():
        raise SettingError(f"{file} is a symbolic link: name the file itself, which is what is replaced.")
    if not file.is_file():
        raise SettingError(f"{file} is not there, so nothing can be renewed: leave --renew out.")
    with named(file):
        try_place(file)


def see_file(file: Path) -> None:
    """See that a file is named, and no folder. Raises SettingError."""
    if file.name in {"", ".."} or file.is_dir():
        raise SettingError(f"{file} is a folder: name a file.")


def write(file: Path, content: bytes) -> None:
    """Write a new file. Raises SettingError when there is one, or an OSError that names the file."""
    try:
        write_new(file, content)
    except FileExistsError:
        raise _there(file) from None


def replace(file: Path, content: bytes) -> None:
    """Put a file of the owner's alone in the place of one that is there, whole. Raises an OSError that names it."""
    with named(file):
        replace_private(file, content)


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write new files, all or none. Raises as `write` does."""
    written: list[Path] = []
    try:
        for file, content in contents.items():
            write(file, content)
            written.append(file)
    except BaseException:
        for file in written:
            file.unlink()
        raise


def see_folder(folder: Path) -> None:
    """See that a folder can be filled, or made to be. Raises SettingError, or an OSError that names it."""
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is no folder.")
    if not folder.exists() and not folder.parent.is_dir():
        raise SettingError(f"{folder}: there is no folder {folder.parent}.")
    with named(folder):
        try_place((folder if folder.exists() else folder.parent) / "tried")


def make_folder(folder: Path) -> None:
    """Make a folder of the owner's alone to fill, unless it is there. Raises SettingError, or OSError."""
    see_folder(folder)
    folder.mkdir(mode=0o700, exist_ok=True)


def fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder, all that are not there yet. Raises SettingError before the first when one is another."""
    files = {folder / name: content for name, content in contents.items()}
    for file, content in files.items():
        with named(file):
            if os.path.lexists(file) and file.read_bytes() != content:
                raise _there(file)
    for file, content in files.items():
        if not file.exists():
            write(file, content)


def _there(file: Path) -> SettingError:
    return SettingError(f"{file} exists, and nothing is written over it: name another, or remove it.")
