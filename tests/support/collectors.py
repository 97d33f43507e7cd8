"""Collectors of syslog that listen on real sockets and keep what they heard, each in a thread of its own."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tests.support.feed_readers import frames

__all__ = ["DatagramCollector", "StreamCollector"]

_PATIENCE = 20.0


class _Heard:
    """What a collector heard, and a way to wait for it."""

    def __init__(self) -> None:
        self.news = threading.Condition()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for what another thread hears; TimeoutError when it does not come."""
        with self.news:
            if not self.news.wait_for(condition, _PATIENCE):
                raise TimeoutError


class StreamCollector(_Heard):
    """Listens for TCP, or for TLS when it is given whom it is; keeps the bytes of each connection."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.streams: list[bytearray] = []
        self.faults: list[Exception] = []
        self._tls = tls
        self._plugs: list[socket.socket] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self._listen))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="collector")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self.hang_up()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{'tcp' if self._tls is None else 'tls'}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def messages(self) -> list[bytes]:
        """All whole messages, connection by connection."""
        with self.news:
            return [message for stream in self.streams for message in frames(bytes(stream))]

    def wait_for(self, count: int) -> list[bytes]:
        """The messages, when there are so many."""
        self.wait_until(lambda: len(self.messages) >= count)
        return self.messages

    def hang_up(self) -> None:
        """End every connection; new ones are accepted."""
        for plug in self._plugs:
            try:
                plug.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._plugs.clear()

    def _listen(self, plug: socket.socket) -> None:
        stream = bytearray()
        with self.news:
            self.streams.append(stream)
        try:
            with plug if self._tls is None else self._tls.wrap_socket(plug, server_side=True) as wrapped:
                self._plugs.append(wrapped)
                while heard := wrapped.recv(1 << 16):
                    with self.news:
                        stream += heard
                        self.news.notify_all()
        except OSError as fault:
            with self.news:
                self.faults.append(fault)
                self.news.notify_all()


class DatagramCollector(_Heard):
    """Listens for datagrams."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[bytes] = []
        self._plug = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._plug.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, name="collector")
        self._ends = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"the end", self._plug.getsockname())
        self._thread.join()
        self._plug.close()

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self._plug.getsockname()[1]}"

    def wait_for(self, count: int) -> list[bytes]:
        """The messages, when there are so many."""
        self.wait_until(lambda: len(self.messages) >= count)
        return list(self.messages)

    def _listen(self) -> None:
        while not self._ends:
            message = self._plug.recv(1 << 16)
            with self.news:
                self.messages.append(message)
                self.news.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    block_on_close = True


def _handler(listen: Callable[[socket.socket], None]) -> Any:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            listen(self.request)

    return Handler
