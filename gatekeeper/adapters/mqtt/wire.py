"""One TCP or TLS connection to the broker: asyncio's transport on one side, paho's socket on the other.

Messages are read and written here: in paho a message in with its acknowledgement costs about 50 us (3.5 `recv` calls and a
Properties object each) and a message out 13 us, here 10 us and 1.5 us. Whatever else the broker says is kept for paho, which
believes it reads a socket; so paho keeps the handshake, the subscriptions and QoS 1 out.

Everything written in one turn of the loop leaves in one `send`. No more messages are handed on than the capacity lets be
unacknowledged: Mosquitto 2.0.11 breaks the Receive Maximum it was given (after each acknowledgement it sends as many as the
maximum allows in all), so the wire keeps what has no room and stops reading until there is some. Only while the session is
being established it reads on, for the broker's answer comes behind what it sends again.
It does not reconnect and knows no session.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from gatekeeper.adapters.mqtt.packets import PINGREQ, MalformedPacketError, PacketReader, puback
from gatekeeper.ports import Inbound

__all__ = ["Wire"]

FLUSH_AT = 64 * 1024
CONGESTED_AT = 1024 * 1024


class Wire(asyncio.Protocol):
    """A connection of one generation; `lost` is done when it has ended."""

    def __init__(
        self,
        *,
        generation: int,
        capacity: int,
        on_message: Callable[[Inbound], None],
        on_control: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.generation = generation
        self.lost: asyncio.Future[None] = loop.create_future()
        self.alive = False
        self.congested = False
        self.fault: str | None = None
        self._loop = loop
        self._reader = PacketReader(generation=generation)
        self._capacity = capacity
        self._unacknowledged: set[int] = set()
        self._waiting: deque[Inbound] = deque()
        self._establishing = True
        self._paused = False
        self._heard = False
        self._on_message = on_message
        self._on_control = on_control
        self._transport: asyncio.Transport | None = None
        self._control = bytearray()
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0

    def write(self, packet: bytes) -> None:
        """Queue a whole packet; it leaves at the end of this turn of the loop."""
        if not self._outgoing:
            self._loop.call_soon(self.flush)
        self._outgoing.append(packet)
        self._outgoing_size += len(packet)
        if self._outgoing_size >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Hand what is queued to the transport."""
        if self._outgoing and self._transport is not None and self.alive:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self._outgoing_size = 0

    def acknowledge(self, packet_id: int) -> None:
        """Tell the broker that a message is dealt with; once, however often this is called."""
        if packet_id not in self._unacknowledged:
            return
        self._unacknowledged.remove(packet_id)
        self.write(puback(packet_id))
        if self._waiting:
            self._loop.call_soon(self._hand_on)

    def established(self) -> None:
        """Read from now on only as long as there is room."""
        self._establishing = False
        self._balance()

    def ping(self) -> None:
        """Ask the broker for a sign of life."""
        self.write(PINGREQ)

    def heard(self) -> bool:
        """Whether the broker has said anything since the last call, or would if we were reading."""
        heard, self._heard = self._heard or self._paused, False
        return heard

    def abort(self, fault: str | None = None) -> None:
        """End the connection without waiting for the other side."""
        self.fault = self.fault or fault
        self.alive = False
        if self._transport is not None and not self.lost.done():
            self._transport.abort()

    async def end(self, *, patience: float = 0) -> None:
        """Wait until the connection has ended; after `patience` seconds, end it."""
        if self._transport is not None:
            await asyncio.wait({self.lost}, timeout=patience)
            self.abort()
            await self.lost

    # --- what asyncio calls

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=CONGESTED_AT)
        # Without it one round trip takes 44 ms: the second small packet waits for the first one's TCP acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.alive = True

    @override
    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            for packet in self._reader.feed(data):
                if not isinstance(packet, Inbound):
                    self._control += packet
                    self._on_control()
                elif self._waiting or not self._admit(packet):
                    self._waiting.append(packet)
                else:
                    self._on_message(packet)
                if not self.alive:
                    return
        except MalformedPacketError as error:
            self.abort(str(error))
        if self._waiting:
            self._balance()

    @override
    def pause_writing(self) -> None:
        self.congested = True

    @override
    def resume_writing(self) -> None:
        self.congested = False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if exc is not None and self.fault is None:
            self.fault = str(exc) or type(exc).__name__
        self._on_control()
        if not self.lost.done():
            self.lost.set_result(None)

    # --- the room for messages

    def _admit(self, inbound: Inbound) -> bool:
        packet_id = inbound.receipt[1]
        if packet_id:
            if len(self._unacknowledged) >= self._capacity:
                return False
            self._unacknowledged.add(packet_id)
        return True

    def _hand_on(self) -> None:
        while self.alive and self._waiting and self._admit(self._waiting[0]):
            self._on_message(self._waiting.popleft())
        self._balance()

    def _balance(self) -> None:
        """Stop reading while messages wait, and go on when none does."""
        paused = bool(self._waiting) and not self._establishing
        if paused == self._paused or not self.alive or self._transport is None:
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # --- what paho calls: its idea of a socket

    @property
    def unread(self) -> bool:
        """Whether there are bytes that paho has not taken yet."""
        return bool(self._control)

    def recv(self, buffer_size: int) -> bytes:
        """Return what the broker said to paho; nothing yet raises, the end of the connection is empty."""
        if not self._control:
            if self.alive:
                raise BlockingIOError
            return b""
        taken = bytes(self._control[:buffer_size])
        del self._control[:buffer_size]
        return taken

    def send(self, buffer: bytes | bytearray) -> int:
        """Take a packet of paho's, always whole."""
        self.write(bytes(buffer))
        return len(buffer)

    def close(self) -> None:
        """Send what is queued and end the connection."""
        self.flush()
        self.alive = False
        if self._transport is not None:
            self._transport.close()

    def fileno(self) -> int:
        """Return no file: the transport has it, and watches it."""
        return -1

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - paho's signature
        """Do nothing: this never blocks."""
