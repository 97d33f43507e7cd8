"""A link to a collector, which sends messages and says when the collector's machine has them.

Syslog has no acknowledgement of its own (RFC 6587, section 5). So `send` over a stream returns once the other kernel has
acknowledged every byte and the connection still stands; else it raises, and what was sent is to be sent again. What a collector
lost after its kernel had it, and every datagram that the network lost, nobody knows of here.

Sockets block, in a thread: only so is it known when the kernel has taken all that TLS made of a message.
"""

import asyncio
import errno
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gatekeeper.adapters.syslog.address import CollectorAddress
from gatekeeper.config import SettingError
from gatekeeper.core.export.feeds import octet_counted
from gatekeeper.ports import CollectorUnavailableError

__all__ = ["CollectorLink", "trusting"]

_PATIENCE: Final = 10.0
_LOOK_EVERY: Final = 0.002
_ESTABLISHED: Final = 1
"""TCP_ESTABLISHED of Linux's tcp_states.h."""


def trusting(*, authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Whom to believe at the other end (the machine's authorities, else those of a file), and who we are there.

    Raises SettingError when a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise SettingError(
            "The collector's authorities, our certificate or its key cannot be read: they are PEM files, the key without a "
            "password."
        ) from error
    return context


class CollectorLink:
    """A link that is made when it is needed, and anew after it broke."""

    def __init__(
        self, address: CollectorAddress, *, tls: ssl.SSLContext | None = None, patience: float = _PATIENCE
    ) -> None:
        """Over TLS, and only there, whom to believe must be said: nothing that is to be encrypted goes out in the clear."""
        if (address.way == "tls") != (tls is not None):
            raise ValueError("a tls:// collector, and no other, is linked to by an SSL context")
        self._address = address
        self._tls = tls
        self._patience = patience
        self._plug: socket.socket | None = None

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send messages in order.

        Raises CollectorUnavailableError when the collector's machine may not have them all, and SettingError when one of
        them is too long for this way.
        """
        if messages:
            await asyncio.to_thread(self._send, messages)

    def close(self) -> None:
        """End the link."""
        plug, self._plug = self._plug, None
        if plug is not None:
            plug.close()

    def _send(self, messages: Sequence[bytes]) -> None:
        try:
            plug = self._linked()
            if self._address.way == "udp":
                for message in messages:
                    plug.send(message)
            else:
                plug.sendall(b"".join(map(octet_counted, messages)))
                _see_it_arrive(plug, self._patience)
        except OSError as error:
            self.close()
            if error.errno == errno.EMSGSIZE:
                raise SettingError(
                    f"A record of {max(map(len, messages))} bytes fits no datagram: send over tcp:// or tls://."
                ) from error
            raise CollectorUnavailableError(
                f"The collector {self._address} does not take the feed: {_why(error)}."
            ) from error

    def _linked(self) -> socket.socket:
        if self._plug is not None and self._address.way != "udp" and not _stands(self._plug):
            self.close()  # it hung up while there was nothing to say
        if self._plug is None:
            self._plug = self._made()
        return self._plug

    def _made(self) -> socket.socket:
        host, port = self._address.host, self._address.port
        if self._address.way == "udp":
            family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            plug = socket.socket(family, kind, protocol)
            try:
                plug.connect(where)
            except OSError:
                plug.close()
                raise
            return plug
        plug = socket.create_connection((host, port), timeout=self._patience)
        if self._tls is None:
            return plug
        try:
            return self._tls.wrap_socket(plug, server_hostname=host)
        except OSError:
            plug.close()
            raise


def _see_it_arrive(plug: socket.socket, patience: float) -> None:
    """Wait until the other kernel has acknowledged every byte. Raises OSError when it may not have."""
    until = time.monotonic() + patience
    while True:
        waiting = struct.unpack("i", fcntl.ioctl(plug.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        # Looked at after the queue: a connection that broke has an empty queue, too.
        if not _stands(plug):
            raise ConnectionResetError(errno.ECONNRESET, "it hung up")
        if waiting == 0:
            return
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, "it acknowledges nothing")
        time.sleep(_LOOK_EVERY)


def _stands(plug: socket.socket) -> bool:
    return plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED


def _why(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError(verify_message=message):
            return f"its certificate is not believed ({message})"
        case ssl.SSLError():
            return "it speaks no TLS that we speak, or does not believe us"
        case TimeoutError():
            return "it does not answer in time"
        case _:
            return error.strerror or "it cannot be reached"
