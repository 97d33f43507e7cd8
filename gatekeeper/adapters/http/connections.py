"""What strangers hold open: how many connections there are at once, and how long one may take to ask.

An engine runs in this process, and its database and its broker need file descriptors too. A listener keeps a bounded number
of connections: who comes when all are taken takes the place of the one that is open longest, so that nobody is kept out by
connections that say nothing. TLS that is not agreed on yet counts too. What an app does with a body is its own matter.
"""

import asyncio
import socket
from typing import Any, ClassVar, Final

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["ACCEPTED_AT_ONCE", "BoundedListener", "TimelyProtocol", "listening"]

ACCEPTED_AT_ONCE: Final = 128
"""How many connections wait to be accepted, and are accepted in one turn of the loop: before those that were shut are closed."""


class BoundedListener(socket.socket):
    """A listening socket whose connections are at most so many; the oldest is shut for the newest."""

    most: ClassVar[int] = 256

    def __init__(self, *, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._open: list[socket.socket] = []

    @override
    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        still = [one for one in self._open if one.fileno() != -1]
        while len(still) >= self.most:
            _shut(still.pop(0))
        self._open = [*still, connection]
        return connection, address


def _shut(connection: socket.socket) -> None:
    """End a connection; who serves it finds it ended, and closes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # It has ended by itself.
        return


def listening(host: str, port: int) -> BoundedListener:
    """Listen on a port. Raises OSError when it is taken."""
    return BoundedListener(fileno=socket.create_server((host, port)).detach())


class TimelyProtocol(H11Protocol):
    """The server's protocol, which ends a connection that has not asked in time: the head of a request, whole."""

    head_seconds: ClassVar[float] = 10.0
    _deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Keep a deadline while no request is being answered; what dribbles in does not put it off."""
        # uvicorn's `cycle` is None until the first request, whatever its type says.
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
