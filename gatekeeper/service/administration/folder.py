"""A site's keys and documents on disk: the one place that writes a private key, and that refuses to read a leaking one.

    anchor.json  trust.cose  policy.cose                   the current documents
    keys/root-1.pem .. root-3.pem                          each apart: to be moved off this machine (see below)
    keys/decision.pem  log.pem  beacon.key                 what the running service signs with
    keys/seal.pem  pin.key                                 what opens and checks the PINs that are typed at gates
    tenants/<tenant>/signing.pem  issuer.pem               the host's and each tenant's own
                     agreement.cose
    gates/<gate>/gate.json  anchor.json  trust.cose        what a gate needs beside its key, which it makes itself
                 broker-password
                 key.pem  request.cose                     its key too, where it was made here: this folder is carried there
    operators/<operator>.pem                               the first operators' keys, until they are carried to their people
    people.json                                            the simulated people of an example site, with their keys

Folders are 0700, secrets 0600 whatever the umask is, and no key is ever written over another. Every file is there whole
or not at all. On a real site the root keys are kept in different hands and are here only while they sign; here they stand
together because an example has one pair of hands.

What the documents say is not looked at here.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper import cose
from gatekeeper.core.trust import Anchor
from gatekeeper.model.ids import GateId, TenantId
from gatekeeper.service.files import named

__all__ = [
    "ANCHOR",
    "BEACON_KEY",
    "DECISION_KEY",
    "LOG_KEY",
    "PEOPLE",
    "PIN_PEPPER",
    "POLICY",
    "ROOT_KEYS",
    "SEAL_KEY",
    "TRUST",
    "SiteFolder",
    "SiteFolderError",
    "agreement_of",
    "in_gate",
    "issuer_of",
    "new_site_folder",
    "refuse_used",
    "signing_of",
]

ANCHOR: Final = "anchor.json"
TRUST: Final = "trust.cose"
POLICY: Final = "policy.cose"
PEOPLE: Final = "people.json"
ROOT_KEYS: Final = ("keys/root-1.pem", "keys/root-2.pem", "keys/root-3.pem")
DECISION_KEY: Final = "keys/decision.pem"
LOG_KEY: Final = "keys/log.pem"
BEACON_KEY: Final = "keys/beacon.key"
SEAL_KEY: Final = "keys/seal.pem"
PIN_PEPPER: Final = "keys/pin.key"

_SECRET: Final = 0o600
_PUBLIC: Final = 0o644
_FOLDER: Final = 0o700
_OTHERS: Final = 0o077


def signing_of(tenant: TenantId) -> str:
    """Where the key stands with which a tenant signs agreements, its operators and, as host, the policy."""
    return f"tenants/{tenant}/signing.pem"


def issuer_of(tenant: TenantId) -> str:
    """Where the key stands with which a tenant signs badges and registrations."""
    return f"tenants/{tenant}/issuer.pem"


def agreement_of(tenant: TenantId) -> str:
    """Where a tenant's agreement with the host stands."""
    return f"tenants/{tenant}/agreement.cose"


def in_gate(gate: GateId, name: str) -> str:
    """Where a file of one gate stands."""
    return f"gates/{gate}/{name}"


class SiteFolderError(Exception):
    """A folder that cannot be used as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """The folder of one site. Places are relative, as the module draws them."""

    root: Path

    def holds_site(self) -> bool:
        """Whether a ceremony was held here."""
        return (self.root / ANCHOR).exists()

    def holds(self, place: str) -> bool:
        """Whether a file is here; a root key may have been moved away."""
        return (self.root / place).exists()

    def discard(self) -> None:
        """Remove a site that was founded and could not be opened: its keys never signed anything that counts."""
        if self.holds_site():
            shutil.rmtree(self.root)

    def gates(self) -> tuple[GateId, ...]:
        """The gates whose folders are here."""
        return tuple(GateId(gate.parent.name) for gate in sorted(self.root.glob("gates/*/gate.json")))

    def read(self, place: str) -> bytes:
        """Read a document. Raises `SiteFolderError` when it is not there."""
        try:
            return (self.root / place).read_bytes()
        except FileNotFoundError:
            raise SiteFolderError(f"{self.root / place} is missing: is this the folder of a site?") from None

    def read_anchor(self) -> Anchor:
        """Read where the trust of this site begins."""
        try:
            return Anchor.from_json(self.read(ANCHOR).decode())
        except ValueError as error:
            raise SiteFolderError(f"{self.root / ANCHOR} is no trust anchor.") from error

    def read_secret(self, place: str) -> bytes:
        """Read a secret. Raises `SiteFolderError` when it is missing, or when anyone but its owner can read it."""
        path = self.root / place
        try:
            with path.open("rb") as file:
                # INVARIANT: a key that others could have copied signs nothing.
                if os.fstat(file.fileno()).st_mode & _OTHERS:
                    raise SiteFolderError(
                        f"{path} can be reached by others than its owner, and who reads it can sign with it. "
                        "Replace it; or, when you are sure that nobody did, run chmod 600 on it."
                    )
                return file.read()
        except FileNotFoundError:
            raise SiteFolderError(f"{path} is missing: was this key moved away?") from None

    def read_key(self, place: str) -> cose.SigningKey:
        """Read a private key, as `read_secret` does."""
        try:
            return cose.SigningKey.from_pem(self.read_secret(place))
        except cose.KeyRefusedError as error:
            raise SiteFolderError(f"{self.root / place} is no private key of a known form.") from error

    def make_key(self, place: str, algorithm: cose.Algorithm = cose.Algorithm.ESP256) -> cose.SigningKey:
        """Make a private key and keep it here; never over one that is there."""
        key = cose.SigningKey.generate(algorithm)
        self.keep_secret(place, key.to_pem())
        return key

    def keep_secret(self, place: str, content: bytes) -> None:
        """Write a secret that was not there. Raises `SiteFolderError` when it was."""
        try:
            self._put(place, content, _SECRET, os.link)  # unlike a rename, a link replaces nothing
        except FileExistsError:
            raise SiteFolderError(
                f"{self.root / place} exists, and no secret is written over another."
            ) from None

    def write(self, place: str, content: bytes) -> None:
        """Write a document, or replace it whole."""
        self._put(place, content, _PUBLIC, os.replace)

    def write_private(self, place: str, content: bytes) -> None:
        """Write or replace whole a document that only its owner may read."""
        self._put(place, content, _SECRET, os.replace)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold this folder for one change. Raises `SiteFolderError` while another process holds it."""
        with _locked(self.root.resolve()):
            yield

    def _put(self, place: str, content: bytes, mode: int, settle: Callable[[str, str], None]) -> None:
        path = self.root / place
        with named(path):
            _make_folder(path.parent)
            aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                _write_new(aside, content, mode)
                settle(str(aside), str(path))
            finally:
                aside.unlink(missing_ok=True)
            _sync(path.parent)


@contextmanager
def new_site_folder(root: Path) -> Iterator[SiteFolder]:
    """A folder to fill aside, which becomes `root` when all is done; if anything fails, nothing is left of it.

    Raises `SiteFolderError` when `root` is in use. What a killed process left aside, the next one clears away.
    """
    root = root.resolve()
    aside = root.with_name(f".{root.name}.ceremony")
    root.parent.mkdir(parents=True, exist_ok=True)  # not ours alone: others may keep something there
    _make_folder(aside)
    with _locked(aside):
        try:
            refuse_used(root)
            _clear(aside)
            yield SiteFolder(aside)
            aside.replace(root)
        except BaseException:
            shutil.rmtree(aside)
            raise
        _sync(root.parent)


def refuse_used(root: Path) -> None:
    """See that a place is free for a new site. Raises `SiteFolderError`."""
    if SiteFolder(root).holds_site():
        raise SiteFolderError(
            f"{root} holds a site already: a second ceremony would make its badges worthless."
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise SiteFolderError(f"{root} is not an empty folder: choose a new place for the site.")


def _clear(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # a umask can only have narrowed it
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _make_folder(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with suppress(FileExistsError):  # another process was faster
            folder.mkdir(mode=_FOLDER)
            folder.chmod(_FOLDER)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Make sure that the names in a folder outlive a power cut."""
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder of our own against other processes; a lock ends with its process, however that ends."""
    with _opened(folder) as descriptor:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise SiteFolderError(f"{folder} belongs to another user, who could exchange the keys in it.")
        busy = SiteFolderError(f"Another process is working in {folder}: wait until it is done.")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = folder.lstat()
        except (BlockingIOError, FileNotFoundError):
            raise busy from None
        if not os.path.samestat(held, status):  # a link to somewhere else, or moved by who held it before
            raise busy
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
