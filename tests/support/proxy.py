"""A TCP proxy that stands before a real server and fails on cue.

The port stays the same over `refuse` and `accept`, and lies below the range from which the kernel serves outgoing
connections: a client that keeps knocking must not end up connected to itself.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from gatekeeper.embedded.broker import free_port

__all__ = ["Direction", "FaultProxy", "to_broker", "to_database"]

_HOST = "127.0.0.1"
_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(Enum):
    TO_SERVER = auto()
    TO_CLIENT = auto()


class FaultProxy:
    """Passes bytes between clients and `server`, an address or the path of a unix socket, until told otherwise."""

    def __init__(self, server: tuple[str, int] | Path) -> None:
        self.port = free_port()
        self._server = server
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._swallowed: set[Direction] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.resume()
        self.cut()
        if self._connections:
            await asyncio.wait(self._connections)

    @property
    def url(self) -> str:
        """The address to give to an MQTT client."""
        return f"mqtt://{_HOST}:{self.port}"

    def dsn(self, direct: str) -> str:
        """The address to give to a database client in place of `direct`."""
        parts = urlsplit(direct)
        user = parse_qs(parts.query)["user"][0]
        return f"postgresql://{user}@{_HOST}:{self.port}{parts.path}?sslmode=disable"

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    def pause(self) -> None:
        """Hold all bytes back, in both directions; they are passed on by `resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def swallow(self, direction: Direction) -> None:
        """Lose all bytes of one direction: a black hole. Connections stay open."""
        self._swallowed.add(direction)

    def deliver(self, direction: Direction) -> None:
        """Pass on again what comes from now on; what was swallowed is lost, so the conversation may be broken."""
        self._swallowed.discard(direction)

    def cut(self) -> None:
        """Reset every connection; new ones are accepted."""
        for writer in self._writers:
            plug = writer.get_extra_info("socket")
            if plug.family == socket.AF_INET:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        for connection in self._connections:
            connection.cancel()

    def refuse(self) -> None:
        """Refuse new connections; those that exist go on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def accept(self) -> None:
        """Accept connections, at the same port as ever."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._begin, _HOST, self.port)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.get_running_loop().create_task(
            self._connect(reader, writer), name="proxied connection"
        )
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            async with self._kept(to_client):
                from_server, to_server = await self._reach_server()
                async with self._kept(to_server), asyncio.TaskGroup() as both:
                    both.create_task(self._pass(from_client, to_server, Direction.TO_SERVER))
                    both.create_task(self._pass(from_server, to_client, Direction.TO_CLIENT))
        except (OSError, ExceptionGroup):
            return  # either side went away, and so does the other

    async def _reach_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, Path):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection(*self._server)

    @asynccontextmanager
    async def _kept(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while chunk := await source.read(_CHUNK):
            await self._flowing.wait()
            if direction not in self._swallowed:
                target.write(chunk)
                await target.drain()
        if target.can_write_eof():
            target.write_eof()


def to_database(dsn: str) -> FaultProxy:
    """A proxy before the server of an embedded database."""
    query = parse_qs(urlsplit(dsn).query)
    return FaultProxy(Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}")


def to_broker(url: str) -> FaultProxy:
    """A proxy before a broker."""
    parts = urlsplit(url)
    return FaultProxy((parts.hostname or _HOST, parts.port or 1883))
