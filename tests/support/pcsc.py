"""A PC/SC daemon of the test's own with a virtual reader, to which a software card is put.

pcscd runs in the foreground with vpcd for its only driver. vpcd listens for cards at every address, so the two live in a network
namespace of their own, where there is none but loopback; a card's socket is made in there. A card is at the reader while it
is connected, and is spoken to in frames: two bytes of length, then a command, or one byte: power off, on, reset, ask for the ATR.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from devices.hardware.software_card import SoftwareCard
from tests.support.waiting import eventually

__all__ = ["READER", "VirtualReader", "a_daemon", "is_here", "ready"]

READER = "Gatekeeper Test 00 00"
_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_SOCKET = Path("/run/pcscd/pcscd.comm")
_PORT = 0x8C7B
_ATR = bytes.fromhex("3B80800101")
_ASK_ATR = 4


def is_here() -> bool:
    """Whether a daemon can be started: it, its driver and the tools are installed, and no other daemon runs."""
    programs = ("/usr/sbin/pcscd", shutil.which("unshare"), shutil.which("ip"))
    return (
        os.geteuid() == 0
        and all(program is not None and Path(program).exists() for program in (*programs, _DRIVER))
        and not _SOCKET.exists()
    )


class VirtualReader:
    """The reader that a daemon has."""

    def __init__(self, daemon: subprocess.Popen[bytes]) -> None:
        self._daemon = daemon
        self._card: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def put(self, card: SoftwareCard) -> None:
        """Put a card to it."""
        self._card = _connected(self._daemon.pid)
        self._thread = threading.Thread(target=_answer, args=(self._card, card), name="card")
        self._thread.start()

    def end_daemon(self) -> None:
        """End the daemon, as a system that goes down does."""
        self.take_away()
        self._daemon.terminate()
        self._daemon.wait()

    def take_away(self) -> None:
        """Take the card away."""
        if self._card is not None and self._thread is not None:
            with suppress(OSError):
                self._card.shutdown(socket.SHUT_RDWR)
            self._thread.join()
            self._card.close()
        self._card = self._thread = None


@contextmanager
def a_daemon(folder: Path) -> Iterator[VirtualReader]:
    (folder / "reader.conf").write_text(
        f'FRIENDLYNAME "Gatekeeper Test"\nDEVICENAME /dev/null:{_PORT:#x}\nLIBPATH {_DRIVER}\nCHANNELID {_PORT:#x}\n'
    )
    start = f"ip link set lo up && exec /usr/sbin/pcscd --foreground --config {folder}"
    with subprocess.Popen(["unshare", "--net", "sh", "-c", start], stdout=subprocess.DEVNULL) as daemon:
        reader = VirtualReader(daemon)
        try:
            yield reader
        finally:
            reader.take_away()
            daemon.terminate()


async def ready() -> None:
    """Wait until the daemon answers."""
    await eventually(_SOCKET.exists)


def _connected(pid: int) -> socket.socket:
    """A socket made in a process' network; a thread of its own goes there and does not come back."""
    made: list[socket.socket] = []

    def go() -> None:
        with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
            assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) == 0, ctypes.get_errno()
        made.append(socket.create_connection(("127.0.0.1", _PORT), timeout=5))

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    made[0].settimeout(None)
    return made[0]


def _answer(wire: socket.socket, card: SoftwareCard) -> None:
    while True:
        try:
            length = int.from_bytes(wire.recv(2, socket.MSG_WAITALL), "big")
            command = wire.recv(length, socket.MSG_WAITALL) if length else b""
            if not command:
                return
            if len(command) > 1:
                answer = card.answer(command)
            elif command[0] == _ASK_ATR:
                answer = _ATR
            else:
                continue
            wire.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError:
            return
