"""A private Mosquitto on the loopback: generated configuration, logins and rights.

Two listeners, because one setting must differ. On the main one everybody logs in, and the client id *is* the user
name, so nobody evicts another by taking their client id (a second connection with the same login evicts the
first: give each connection a login of its own). On the listener for readers, stock devices (Tasmota, esp-rfid and the like)
connect without a login, reach only their own topics, and keep the client id that they chose.

Deliberately not the broker of a real site: no TLS, and whoever is on this machine is on the readers' listener, where
a borrowed client id can evict a gate - drop, never forge. `deploy/mosquitto` is for real sites.
"""

import json
import re
import secrets
import signal
import socket
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from gatekeeper.embedded.child import Child, stop_left_behind, until
from gatekeeper.embedded.errors import EmbeddedServerError
from gatekeeper.embedded.ground import Account, Claim, place, private_folder, server_account, settle
from gatekeeper.embedded.mosquitto_program import find_mosquitto, libraries_beside
from gatekeeper.service.identity.passwords import password_hash

__all__ = ["PREFIX", "EmbeddedBroker", "Role", "free_port"]

Role = Literal["gate", "bridge", "service", "outward", "integrator"]
"""What a login may do: a gate its own topics; a bridge also the readers'; a service everything of ours.

Who tells outward of a site, and who integrates with it, reach what is told and nothing of the gates'; only the former writes.
"""

PREFIX = "gk"
LOOPBACK = "127.0.0.1"

_START_LIMIT = 15.0
_START_ATTEMPTS = 3
_RELOAD_LIMIT = 1.0
_RELOAD_ATTEMPTS = 5
_NAME = re.compile(r"[a-z0-9-]{1,32}")
_SITE_ROLES = ("service", "outward", "integrator")
# Of those who integrate there may be several, `integrator-<which>.<site>`: each connection needs a login of its own.
_SITE_NAME = re.compile(
    rf"({'|'.join(_SITE_ROLES)})(?:(?<=integrator)-[a-z0-9-]{{1,32}})?\.[a-z0-9-]{{1,32}}"
)
# A dot, which no gate's name can have: no gate can be called so that it gets a service's rights.
# Below the ports that the kernel gives to outgoing connections: a client that keeps knocking on a closed port from
# within that range ends up connected to itself, and then the server cannot have its port back.
_PORTS = range(20_000, 32_768)

_CONFIGURATION = """\
# Generated at each start; changes here are lost.
listener {port} {loopback}
use_username_as_clientid true
listener {readers_port} {loopback}

allow_anonymous true
password_file {folder}/passwords
acl_file {folder}/rights

# Without it a round trip takes 44 ms instead of 0.15 ms.
set_tcp_nodelay true

# An absent service finds all its scans, also after a crash of the broker (but for the last second).
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 100000
max_inflight_messages 1000
persistent_client_expiration 7d

# Room for the largest snapshot, which goes down; of what goes up the service takes 64 KiB, and says so when it connects.
max_packet_size 16842752

log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
connection_messages false
"""

_RIGHTS = f"""\
# Readers, without a login.
topic write tele/#
topic write stat/#
topic read cmnd/#
topic write rfid/send
topic read rfid/cmd
topic write uhppoted/gateway/events
topic write uhppoted/gateway/events/live
topic write uhppoted/gateway/replies/#
topic read uhppoted/gateway/requests/#
topic write onvif/#

# Every login, below its own name.
pattern write {PREFIX}/v1/+/%u/scan
pattern write {PREFIX}/v1/+/%u/passage
pattern write {PREFIX}/v1/+/%u/status
pattern write {PREFIX}/v1/+/%u/hello
pattern write {PREFIX}/v1/+/%u/journal
pattern write {PREFIX}/v1/+/%u/link
pattern read {PREFIX}/v1/+/%u/decision
pattern read {PREFIX}/v1/+/%u/command
pattern read {PREFIX}/v1/+/%u/policy

# What a bridge asked uhppoted-mqtt for, and what became of it.
pattern read uhppoted/gateway/replies/%u
"""

# What is for every gate is granted by name: a pattern without a name in it holds for readers too.
_FOR_ALL = tuple(
    f"topic read {PREFIX}/v1/+/{site_wide}" for site_wide in ("beacon", "checkpoint", "standing", "trust")
)
_TOLD = (
    f"{PREFIX}/{{site}}/onvif-ej/#",
    f"{PREFIX}/{{site}}/outward",
    # Whatever Home Assistant's prefix is.
    "+/+/gatekeeper-{site}/+/config",
)
_RIGHTS_OF: dict[Role, tuple[str, ...]] = {
    "gate": _FOR_ALL,
    "bridge": (
        *_FOR_ALL,
        "topic read tele/#",
        "topic read stat/#",
        "topic write cmnd/#",
        "topic read rfid/send",
        "topic write rfid/cmd",
        "topic read uhppoted/gateway/events/#",
        "topic write uhppoted/gateway/requests/device/door/lock:open",
        "topic read onvif/#",
    ),
    "service": (f"topic readwrite {PREFIX}/#",),
    "outward": tuple(f"topic readwrite {told}" for told in _TOLD),
    "integrator": tuple(f"topic read {told}" for told in _TOLD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Login:
    role: Role
    password_hash: str


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What the folder remembers between runs: where the broker listened, and whom it admits."""

    port: int | None = None
    readers_port: int | None = None
    logins: dict[str, _Login] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        if not path.exists():
            return cls()
        text = json.loads(path.read_text())
        return cls(
            port=text["port"],
            readers_port=text["readers_port"],
            logins={name: _Login(**login) for name, login in text["logins"].items()},
        )

    def write(self, path: Path, account: Account) -> None:
        place(path, json.dumps(asdict(self), indent=1), account)


class EmbeddedBroker:
    """A Mosquitto whose sessions, queues, logins and ports stay in a folder between runs."""

    def __init__(
        self,
        folder: Path,
        *,
        binary: Path | None = None,
        port: int | None = None,
        readers_port: int | None = None,
    ) -> None:
        """Prepare a broker in `folder`; ports not given are chosen once and kept while they are free."""
        self._wanted_folder = folder
        self._binary = binary
        self._fixed_port = port
        self._fixed_readers_port = readers_port
        self._account = server_account()
        self._claim: Claim | None = None
        self._child: Child | None = None
        self._home: Path | None = None
        self._memory = _Memory()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the broker, getting the program if need be; return when it takes connections."""
        if self._child is not None and self._child.running:
            return
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        folder = settle(self._wanted_folder, self._account)
        self._claim = self._claim or Claim(folder / "mosquitto.lock")
        program = await find_mosquitto(self._binary, unpack_to=folder)
        self._home = private_folder(folder / "mosquitto", self._account)
        self._memory = _Memory.read(self._home / "memory.json")
        command = [str(program), "-c", str(self._home / "mosquitto.conf")]
        await stop_left_behind(command, match=3)
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._choose_ports()
            self._write_files()
            child = self._child = Child(
                command,
                account=self._account,
                log_file=folder / "mosquitto.log",
                environment=libraries_beside(program),
            )
            try:
                await child.ready(partial(_runs, child), within=_START_LIMIT)
            except EmbeddedServerError:
                if "Address already in use" not in child.said() or attempt == _START_ATTEMPTS:
                    raise
            else:
                return

    def _choose_ports(self) -> None:
        memory = self._memory
        memory.port = self._fixed_port or free_port(memory.port)
        memory.readers_port = self._fixed_readers_port or free_port(
            memory.readers_port, other_than=memory.port
        )

    async def stop(self) -> None:
        """Save sessions and queues, and stop; insists when that takes too long."""
        if self._child is not None:
            await self._child.stop()
            self._child = None
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    async def kill(self) -> None:
        """Pull the plug (SIGKILL); `start` brings the broker back at the same address."""
        if self._child is not None:
            await self._child.kill()

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._started().pid

    @property
    def port(self) -> int:
        """The port for those who log in."""
        return _chosen(self._memory.port)

    @property
    def readers_port(self) -> int:
        """The port for stock readers, which do not log in."""
        return _chosen(self._memory.readers_port)

    @property
    def url(self) -> str:
        """The address for those who log in."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    @property
    def readers_url(self) -> str:
        """The address for stock readers, which do not log in."""
        return f"mqtt://{LOOPBACK}:{self.readers_port}"

    async def admit(self, username: str, password: str, *, role: Role = "gate") -> None:
        """Let a client log in from now on, also after a restart; a login that exists is replaced."""
        await self.admit_all({username: password}, role=role)

    async def admit_all(self, passwords: dict[str, str], *, role: Role = "gate") -> None:
        """Let many clients log in (user name -> password), for one reload of the broker."""
        for username in passwords:
            _require_name(username, role)
        logins = {
            name: _Login(role=role, password_hash=password_hash(password))
            for name, password in passwords.items()
        }
        child = self._started()
        self._memory.logins |= logins
        self._write_files()
        await _reload(child)

    def _started(self) -> Child:
        if self._child is None:
            raise EmbeddedServerError("The embedded broker is not running: start it first.")
        return self._child

    def _write_files(self) -> None:
        home, memory = self._home, self._memory
        if home is None:
            raise EmbeddedServerError("The embedded broker has no folder yet: start it first.")
        configuration = _CONFIGURATION.format(
            loopback=LOOPBACK, folder=home, port=memory.port, readers_port=memory.readers_port
        )
        memory.write(home / "memory.json", self._account)
        place(home / "mosquitto.conf", configuration, self._account)
        place(home / "passwords", _passwords(memory.logins), self._account)
        place(home / "rights", _rights(memory.logins), self._account)


def _runs(child: Child) -> bool:
    return re.search(r"mosquitto version \S+ running", child.said()) is not None


def _chosen(port: int | None) -> int:
    if port is None:
        raise EmbeddedServerError("The embedded broker has no address yet: start it first.")
    return port


def _require_name(username: str, role: Role) -> None:
    of_site = _SITE_NAME.fullmatch(username)
    if not (of_site or _NAME.fullmatch(username)):
        raise EmbeddedServerError(f"{username!r} is no name for a login: use 1 to 32 of a-z, 0-9 and '-'.")
    if (of_site[1] if of_site else None) != (role if role in _SITE_ROLES else None):
        raise EmbeddedServerError(
            f"{username!r} cannot log in as a {role}: who is of a site, and nobody else, is named after it: "
            f"{', '.join(f'{of_it}.<site>' for of_it in _SITE_ROLES)}."
        )


async def _reload(child: Child) -> None:
    """Have the broker read its files again, and wait until it does: the next packet meets the new rights.

    It says so as it begins and handles no packet meanwhile. A signal that arrives during a reload is lost, hence
    the repetition.
    """
    since = child.log_end()
    for _ in range(_RELOAD_ATTEMPTS):
        child.send(signal.SIGHUP)
        if await until(lambda: "Reloading config" in child.said(since), within=_RELOAD_LIMIT):
            return
    raise EmbeddedServerError("The embedded broker does not take new logins: stop it and start it again.")


def _passwords(logins: dict[str, _Login]) -> str:
    return "".join(f"{name}:{login.password_hash}\n" for name, login in sorted(logins.items()))


def _rights(logins: dict[str, _Login]) -> str:
    sections = (
        "\n".join((f"\nuser {name}", *_rights_of(name, login.role), ""))
        for name, login in sorted(logins.items())
    )
    return _RIGHTS + "".join(sections)


def _rights_of(name: str, role: Role) -> list[str]:
    _, _, site = name.partition(".")
    return [line.format(site=site) for line in _RIGHTS_OF[role]]


def free_port(wanted: int | None = None, *, other_than: int | None = None) -> int:
    """Give a loopback port on which nobody listens: the wanted one if it can be had."""
    candidates = [] if wanted is None else [wanted]
    candidates += [secrets.choice(_PORTS) for _ in range(100)]
    for port in candidates:
        if port != other_than and _is_free(port):
            return port
    raise EmbeddedServerError(f"No free port was found on {LOOPBACK}: name one.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
