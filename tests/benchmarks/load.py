"""Load on a broker: scans go out as bytes that were made beforehand, and the instant of each answer is taken.

One connection speaks for all gates: a scan is believed by its signature, not by who brought it. It knows just enough of
MQTT 5 (CONNECT, SUBSCRIBE, PUBLISH at QoS 1 out and 0 in) to cost next to nothing beside what it measures.
"""

import asyncio
import hashlib
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

__all__ = ["Load", "Shot", "Tally"]

_MARK = b"\x00\x01\x01\x58\x20"  # {0: 1, 1: h'...32 bytes...'}: where an answer names the message it answers
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One message to send, and by what its answer is known."""

    topic: str
    wire: bytes
    digest: bytes

    @classmethod
    def of(cls, topic: str, wire: bytes) -> "Shot":
        return cls(topic, wire, hashlib.sha256(wire).digest())


@dataclass(slots=True)
class Tally:
    """What was seen: seconds from sending to the answer, the answers themselves, and the span of the whole."""

    seconds: list[float] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    span: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.span


class Load(asyncio.Protocol):
    """A connection that sends and listens. Make it with `connected`."""

    def __init__(self, *, name: str, password: str, topic_filter: str) -> None:
        self._hello = _connect(name, password)
        self._subscription = _subscribe(topic_filter)
        self._transport: asyncio.Transport
        self._rest = b""
        self._ready = asyncio.get_running_loop().create_future()
        self._sent: dict[bytes, float] = {}
        self._tally = Tally()
        self._answered = asyncio.Event()
        self._ids = 0

    @classmethod
    async def connected(cls, port: int, *, name: str, password: str, topic_filter: str) -> "Load":
        loop = asyncio.get_running_loop()
        _, load = await loop.create_connection(
            lambda: cls(name=name, password=password, topic_filter=topic_filter), "127.0.0.1", port
        )
        await load._ready
        return load

    def close(self) -> None:
        self._transport.close()

    # -- sending --------------------------------------------------------------------------------------------------

    async def paced(self, shots: Sequence[Shot], *, per_second: float) -> Tally:
        """Send at a fixed rate, whatever the answers do."""
        tally = self._begin()
        begun = perf_counter()
        for number, shot in enumerate(shots):
            due = begun + number / per_second
            while (left := due - perf_counter()) > 0:  # noqa: ASYNC110 - the pace is a clock, not an event
                await asyncio.sleep(left if left > 0.002 else 0)
            self._send([shot])
        await self._all(len(shots))
        tally.span = perf_counter() - begun
        return tally

    async def flooded(self, shots: Sequence[Shot], *, outstanding: int) -> Tally:
        """Send as fast as answers come back, so many under way at once."""
        tally = self._begin()
        waiting = deque(shots)
        begun = perf_counter()
        while waiting:
            room = min(outstanding - len(self._sent), len(waiting))
            if room > 0:
                self._send([waiting.popleft() for _ in range(room)])
            self._answered.clear()
            async with asyncio.timeout(_PATIENCE):
                await self._answered.wait()
        await self._all(len(shots))
        tally.span = perf_counter() - begun
        return tally

    def _begin(self) -> Tally:
        self._tally = Tally()
        self._sent.clear()
        return self._tally

    def _send(self, shots: Sequence[Shot]) -> None:
        packets = []
        for shot in shots:
            self._ids = self._ids % 65_535 + 1
            packets.append(_publish(shot, self._ids))
        now = perf_counter()
        self._sent.update((shot.digest, now) for shot in shots)
        self._transport.write(b"".join(packets))

    async def _all(self, count: int) -> None:
        async with asyncio.timeout(_PATIENCE):
            while len(self._tally.seconds) < count:
                self._answered.clear()
                await self._answered.wait()

    # -- listening ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        data, at = self._rest + data, 0
        while (packet := _packet(data, at)) is not None:
            kind, body, at = packet
            if kind & 0xF0 == 0x30:
                self._answer(body, now)
            elif kind == 0x20:
                assert body[1] == 0, f"the broker refused the load: {body.hex()}"
                self._transport.write(self._subscription)
            elif kind == 0x90:
                self._ready.set_result(None)
        self._rest = data[at:]

    def _answer(self, body: bytes, now: float) -> None:
        at = body.find(_MARK)
        sent = self._sent.pop(body[at + len(_MARK) : at + len(_MARK) + 32], None)
        if sent is not None:
            self._tally.seconds.append(now - sent)
            self._tally.answers.append(body)
            self._answered.set()


def _packet(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Kind, body and end of the packet at a place; None when it is not all there."""
    length, shift, body = 0, 0, at + 1
    while True:
        if body >= len(data):
            return None
        byte = data[body]
        length |= (byte & 0x7F) << shift
        body, shift = body + 1, shift + 7
        if byte < 0x80:
            break
    end = body + length
    return (data[at], data[body:end], end) if end <= len(data) else None


def _length(value: int) -> bytes:
    octets = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        octets.append(low | (0x80 if value else 0))
        if not value:
            return bytes(octets)


def _text(text: str) -> bytes:
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def _connect(name: str, password: str) -> bytes:
    body = _text("MQTT") + b"\x05\xc2\x00\x3c\x00" + _text(name) + _text(name) + _text(password)
    return b"\x10" + _length(len(body)) + body


def _subscribe(topic_filter: str) -> bytes:
    body = b"\x00\x01\x00" + _text(topic_filter) + b"\x20"  # QoS 0, no retained ones
    return b"\x82" + _length(len(body)) + body


def _publish(shot: Shot, packet_id: int) -> bytes:
    head = _text(shot.topic) + packet_id.to_bytes(2, "big") + b"\x00"
    return b"\x32" + _length(len(head) + len(shot.wire)) + head + shot.wire
