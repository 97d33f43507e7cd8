"""The MQTT session against brokers that answer wrongly, late, too much or not at all: each a script of bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.mqtt.packets import publish_at_most_once
from gatekeeper.ports import TransportError
from tests.integration.test_mqtt_session import Listener

ACCEPTED = bytes.fromhex("20 03 00 00 00")
BUSY = bytes.fromhex("20 03 00 89 00")
TAKEN_OVER = bytes.fromhex("e0 01 8e")
GRANTED = 1
NOT_AUTHORISED = 0x87


class Peer:
    """The broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """Read one packet of fewer than 128 bytes."""
        head = await self._reader.readexactly(2)
        return head + await self._reader.readexactly(head[1])

    def send(self, packet: bytes) -> None:
        self._writer.write(packet)

    async def welcome(self, *, ahead_of_suback: bytes = b"", granted: int = GRANTED) -> None:
        await self.read()
        self.send(ACCEPTED)
        subscribe = await self.read()
        self.send(ahead_of_suback + b"\x90\x04" + subscribe[2:4] + bytes([0, granted]))

    async def until_gone(self) -> bytes:
        """Read to the end and give what was read."""
        return await self._reader.read()


Script = Callable[[Peer], Awaitable[object]]
Play = Callable[..., Awaitable[MqttSession]]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def play(listener: Listener) -> AsyncIterator[Play]:
    """Open a session with a broker that plays the scripts, one a connection, the last one ever again."""
    async with contextlib.AsyncExitStack() as stack:

        async def play(*scripts: Script, **terms: Any) -> MqttSession:
            left = list(scripts)

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                stack.callback(writer.transport.abort)
                script = left.pop(0) if len(left) > 1 else left[0]
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await script(Peer(reader, writer))
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            session = MqttSession(
                **{
                    "url": f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}",
                    "client_id": "service.1",
                    "session_expiry": timedelta(0),
                    "receive_maximum": 3,
                    "pause_cap": timedelta(milliseconds=20),
                }
                | terms
            )
            stack.push_async_callback(session.close)
            await session.open(filters=["t"], on_message=listener.on_message, on_link=listener.on_link)
            return session

        yield play


async def well_behaved(peer: Peer) -> None:
    await peer.welcome()
    await peer.until_gone()


async def well_behaved_for_a_moment(peer: Peer) -> None:
    await peer.welcome()


def message(packet_id: int, payload: bytes) -> bytes:
    """A QoS 1 PUBLISH, made of a QoS 0 one of the same length of length."""
    body = b"\0\1t" + packet_id.to_bytes(2, "big") + b"\0" + payload
    at_most_once = publish_at_most_once("t", payload + b"..", retain=False)
    return b"\x32" + at_most_once[1 : len(at_most_once) - len(body)] + body


async def test_a_broker_that_never_answers_is_an_error_after_the_limit(play: Play) -> None:
    with pytest.raises(TransportError, match=r"could not be reached within 0\.2 s \(no answer\)"):
        await play(Peer.until_gone, open_limit=timedelta(milliseconds=200))


async def test_a_broker_that_hangs_up_is_an_error_after_the_limit(play: Play) -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.read()

    with pytest.raises(TransportError, match="the broker closed the connection"):
        await play(hang_up, open_limit=timedelta(milliseconds=200))


async def test_a_busy_broker_is_asked_again(play: Play, listener: Listener) -> None:
    async def busy(peer: Peer) -> None:
        await peer.read()
        peer.send(BUSY)
        await peer.until_gone()

    session = await play(busy, busy, well_behaved)
    assert session.connected
    assert listener.links == ["up"]


async def test_a_refused_subscription_is_an_error_at_once(play: Play) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.welcome(granted=NOT_AUTHORISED)
        await peer.until_gone()

    with pytest.raises(TransportError, match="refuses the subscription to t at QoS 1: Not authorized"):
        await play(refuse)


async def test_a_broker_that_answers_too_many_subscriptions_is_asked_again(
    play: Play, listener: Listener
) -> None:
    async def miscount(peer: Peer) -> None:
        await peer.read()
        peer.send(ACCEPTED)
        subscribe = await peer.read()
        peer.send(b"\x90\x05" + subscribe[2:4] + bytes([0, GRANTED, GRANTED]))
        await peer.until_gone()

    await play(well_behaved_for_a_moment, miscount, well_behaved)
    await listener.until(lambda: listener.links == ["up", "down", "up"])


async def test_a_session_that_is_told_of_its_eviction_keeps_its_distance(
    play: Play, listener: Listener
) -> None:
    loop = asyncio.get_running_loop()
    moments = []

    async def evict(peer: Peer) -> None:
        await peer.welcome()
        moments.append(loop.time())
        peer.send(TAKEN_OVER)
        await peer.until_gone()

    async def welcome_back(peer: Peer) -> None:
        moments.append(loop.time())
        await well_behaved(peer)

    await play(evict, welcome_back, pause_cap=timedelta(milliseconds=300))
    await listener.until(lambda: listener.links == ["up", "down", "up"])
    evicted, back = moments
    assert back - evicted >= 0.3


@pytest.mark.parametrize(
    "nonsense",
    [
        "36 07 0001 74 0001 00 78",  # a message at QoS 3
        "30 05 0001 ff 00 78",  # a topic that is not UTF-8
        "00 00",  # no such packet
        "20 01 00",  # half a CONNACK
        "f0 00",  # AUTH, not asked for
        "ff ff ff ff ff",
    ],
)
async def test_nonsense_ends_the_connection_and_not_the_session(
    play: Play, listener: Listener, nonsense: str
) -> None:
    async def talk_nonsense(peer: Peer) -> None:
        await peer.welcome()
        peer.send(bytes.fromhex(nonsense))
        await peer.until_gone()

    session = await play(talk_nonsense, well_behaved)
    await listener.until(lambda: listener.links == ["up", "down", "up"])
    assert session.connected
    assert listener.messages == []


async def test_a_broker_that_falls_silent_is_left_for_a_new_connection(
    play: Play, listener: Listener
) -> None:
    await play(well_behaved, well_behaved, keep_alive=timedelta(seconds=1))
    await listener.until(lambda: listener.links == ["up", "down", "up"])


async def test_a_broker_that_stops_reading_is_not_fed_without_end(play: Play, listener: Listener) -> None:
    released = asyncio.Event()

    async def stop_reading(peer: Peer) -> None:
        await peer.welcome()
        await released.wait()

    session = await play(stop_reading)
    sent = 0
    while session.publish("t", bytes(10_000)):
        sent += 1
        assert sent < 2_000, "this would fill the memory"
    assert not session.publish("t", b"", qos=1)
    assert listener.links == ["up"]
    async with asyncio.timeout(10):
        await session.close()
    released.set()


async def test_a_broker_that_sends_more_than_the_receive_maximum_has_to_wait(
    play: Play, listener: Listener
) -> None:
    async def oversend(peer: Peer) -> None:
        await peer.welcome()
        peer.send(b"".join(message(number, b"%d" % number) for number in range(1, 11)))
        await peer.until_gone()

    session = await play(oversend)
    for number in range(1, 11):
        await listener.until(lambda least=number: len(listener.messages) >= least)
        assert len(listener.messages) < number + 3
        session.acknowledge(listener.messages[number - 1])
        session.acknowledge(listener.messages[number - 1])
    assert listener.payloads == [b"%d" % number for number in range(1, 11)]


async def test_a_message_is_acknowledged_once_and_the_session_says_goodbye(
    play: Play, listener: Listener
) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(peer: Peer) -> None:
        await peer.welcome()
        peer.send(message(7, b"scan") + message(8, b"scan") + publish_at_most_once("t", b"", retain=False))
        heard.set_result(await peer.until_gone())

    session = await play(listen)
    await listener.until(lambda: len(listener.messages) == 3)
    for inbound in listener.messages[::2] * 2:
        session.acknowledge(inbound)
    await session.close()
    session.acknowledge(listener.messages[1])
    assert await heard == bytes.fromhex("4002 0007 e000")


async def test_a_backlog_ahead_of_the_broker_s_answer_does_not_keep_the_session_from_opening(
    play: Play, listener: Listener
) -> None:
    async def resend(peer: Peer) -> None:
        backlog = b"".join(message(number, bytes(1000)) for number in range(1, 1001))
        await peer.welcome(ahead_of_suback=backlog)
        await peer.until_gone()

    session = await play(resend)
    assert session.connected
    assert len(listener.messages) == 3
    for number in range(1000):
        await listener.until(lambda least=number: len(listener.messages) > least)
        session.acknowledge(listener.messages[number])
    assert [inbound.receipt[1] for inbound in listener.messages] == list(range(1, 1001))


async def test_a_message_too_long_to_hold_arrives_cut_and_is_not_in_the_way(
    play: Play, listener: Listener
) -> None:
    async def go_on_at_length(peer: Peer) -> None:
        await peer.welcome()
        peer.send(message(1, b"long" * 250_000) + message(2, b"scan"))
        await peer.until_gone()

    session = await play(go_on_at_length)
    await listener.until(lambda: len(listener.messages) == 2)
    long, scan = listener.messages
    assert 100_000 < len(long.payload) < 200_000
    assert (scan.payload, scan.receipt[1]) == (b"scan", 2)
    assert session.connected
