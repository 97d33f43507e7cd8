"""Where the broker's program comes from: a setting, the system, an earlier unpacking, at last Debian's packages.

As root they are installed, otherwise they are downloaded and unpacked into the data folder, which needs no rights
and changes no system. Either way no system service is left running or enabled, and nothing is started here.
"""

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from gatekeeper.embedded.errors import EmbeddedServerError
from gatekeeper.embedded.tools import complaint_of, output_of

__all__ = ["find_mosquitto", "install_mosquitto", "libraries_beside", "unpack_mosquitto"]

log = structlog.get_logger(__name__)

_PACKAGES = ("mosquitto", "libmosquitto1", "libcjson1", "libdlt2", "libwrap0")
_UNPACKED = "mosquitto-unpacked"
_LOCK = "gatekeeper-installs-mosquitto"
_PROGRAM = Path("usr/sbin/mosquitto")
_POLICY = Path("/usr/sbin/policy-rc.d")
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")
_HOW_TO_INSTALL = {
    "apt-get": "sudo apt-get install mosquitto",
    "dnf": "sudo dnf install mosquitto",
    "zypper": "sudo zypper install mosquitto",
    "apk": "sudo apk add mosquitto",
    "pacman": "sudo pacman -S mosquitto",
    "brew": "brew install mosquitto",
}


async def find_mosquitto(setting: Path | None, *, unpack_to: Path) -> Path:
    """Find the program, getting it where that can be done without asking."""
    if setting is not None:
        return _require_runnable(setting)
    found = _installed() or _unpacked(unpack_to)
    if found is None and shutil.which("apt-get"):
        found = await asyncio.to_thread(_get, unpack_to)
    if found is None:
        raise _missing("was not found")
    return found


def _require_runnable(program: Path) -> Path:
    if not os.access(program, os.X_OK):
        raise EmbeddedServerError(f"{program} cannot be run: name the path of the program `mosquitto`.")
    return program.absolute()


def _installed() -> Path | None:
    found = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_FOLDERS)))
    return Path(found) if found else None


def _unpacked(folder: Path) -> Path | None:
    program = folder / _UNPACKED / _PROGRAM
    return program if program.exists() else None


def _missing(why: str) -> EmbeddedServerError:
    how = next(
        (how for tool, how in _HOW_TO_INSTALL.items() if shutil.which(tool)), "see https://mosquitto.org"
    )
    return EmbeddedServerError(
        f"The broker Mosquitto is needed and {why}. Install it ({how}), or give the --broker of a running one."
    )


def _get(unpack_to: Path) -> Path | None:
    if os.geteuid() != 0:
        return unpack_mosquitto(unpack_to)
    with _one_at_a_time():
        if _installed() is None:
            install_mosquitto()
    return _installed()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for whoever on this machine installs already: two who do so at once are refused by the package manager."""
    lock = os.open(Path(tempfile.gettempdir()) / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


# --- As root: installed -------------------------------------------------------------------------------------------


def install_mosquitto() -> None:
    """Install Debian's package, and leave its service neither started nor enabled."""
    log.info("embedded_broker_installing", how="apt-get install mosquitto")
    install = ["apt-get", "install", "-y", "--no-install-recommends", "mosquitto"]
    with _no_service_starts():
        if complaint_of(install, environment=_unattended()) is not None:
            _require(["apt-get", "update"])
            _require(install)
        _require(["update-rc.d", "mosquitto", "disable"])


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Use Debian's own way to install a service without starting it; a policy that exists is left to decide."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _unattended() -> dict[str, str]:
    return os.environ | {"DEBIAN_FRONTEND": "noninteractive"}


# --- As anybody else: unpacked ------------------------------------------------------------------------------------


def unpack_mosquitto(folder: Path) -> Path:
    """Download Debian's packages and unpack them below `folder`; give the program."""
    log.info("embedded_broker_unpacking", how="apt-get download mosquitto", folder=str(folder))
    draft = folder / f"{_UNPACKED}.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    draft.chmod(0o755)
    _download_into(draft)
    for package in draft.glob("*.deb"):
        _require(["dpkg-deb", "-x", str(package), str(draft)])
        package.unlink()
    _require_libraries(draft / _PROGRAM)
    shutil.rmtree(folder / _UNPACKED, ignore_errors=True)
    return draft.rename(folder / _UNPACKED) / _PROGRAM


def _download_into(folder: Path) -> None:
    """Download the packages; with package lists of our own when the system's are missing or old."""
    if complaint_of(["apt-get", "download", *_needed_packages()], folder=folder) is None:
        return
    own = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (own / part).mkdir(parents=True)
    options = ["-o", f"Dir::State::Lists={own / 'lists'}", "-o", f"Dir::Cache={own / 'cache'}"]
    _require(["apt-get", *options, "update"])
    _require(["apt-get", *options, "download", *_needed_packages(options)], folder=folder)
    shutil.rmtree(own)


def _needed_packages(apt_options: Sequence[str] = ()) -> list[str]:
    """Name the broker's packages, and what else this system would have to install for them."""
    plan = output_of(["apt-get", *apt_options, "-s", "install", "--no-install-recommends", "mosquitto"])
    return sorted({*_PACKAGES, *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)})


def _require_libraries(program: Path) -> None:
    listing = output_of(["ldd", str(program)], environment=os.environ | libraries_beside(program))
    lacking = re.findall(r"(\S+) => not found", listing)
    if lacking:
        raise _missing(f"the unpacked one lacks {', '.join(lacking)}")


def libraries_beside(program: Path) -> dict[str, str]:
    """Give the environment in which a program unpacked as ROOT/usr/sbin/mosquitto finds ROOT's libraries."""
    root = program.parents[2] if program.match(f"*/{_PROGRAM}") else Path("/")
    if root == Path("/"):
        return {}
    folders = {
        library.parent for part in ("lib", "usr/lib") for library in (root / part).glob("**/lib*.so.*")
    }
    return {"LD_LIBRARY_PATH": os.pathsep.join(sorted(map(str, folders)))}


def _require(command: Sequence[str], *, folder: Path | None = None) -> None:
    complaint = complaint_of(command, environment=_unattended(), folder=folder)
    if complaint is not None:
        raise _missing(f"`{' '.join(command)}` failed: {complaint}")
