"""The MQTT session against a real Mosquitto, with a proxy between them that fails on cue."""

import asyncio
import contextlib
import gc
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gatekeeper.adapters.mqtt import MqttSession
from gatekeeper.adapters.mqtt.backoff import BackOff
from gatekeeper.embedded import EmbeddedBroker
from gatekeeper.ports import Inbound, TransportError
from tests.support.certificates import throw_away_certificate
from tests.support.mqtt import mqtt_client
from tests.support.proxy import Direction, FaultProxy, to_broker
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery staple"


class Listener:
    """What a session tells whoever opened it."""

    def __init__(self) -> None:
        self.messages: list[Inbound] = []
        self.links: list[str] = []
        self._news = asyncio.Event()

    def on_message(self, inbound: Inbound) -> None:
        self.messages.append(inbound)
        self._news.set()

    def on_link(self, up: bool) -> None:  # noqa: FBT001
        self.links.append("up" if up else "down")
        self._news.set()

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    async def until(self, claim: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not claim():
                self._news.clear()
                await self._news.wait()

    async def until_payloads(self, *payloads: bytes) -> None:
        await self.until(lambda: len(self.payloads) >= len(payloads))
        assert self.payloads == list(payloads)

    async def until_links(self, *links: str) -> None:
        await self.until(lambda: len(self.links) >= len(links))
        assert self.links == list(links)


class Ground:
    """A service and a gate admitted to the broker, a proxy before it, and sessions that end with the test."""

    def __init__(self, name: str, broker: EmbeddedBroker, proxy: FaultProxy) -> None:
        self.name = name
        self.broker = broker
        self.proxy = proxy
        self.sessions: list[MqttSession] = []
        self.service = f"service.{self.name}"
        self.scans = f"gk/v1/{self.name}/+/scan"
        self.scan = f"gk/v1/{self.name}/{self.name}/scan"
        self.decision = f"gk/v1/{self.name}/{self.name}/decision"
        self.probe = f"gk/v1/{self.name}/$probe"

    def session(self, client_id: str | None = None, **terms: Any) -> MqttSession:
        client_id = client_id or self.service
        defaults = {
            "url": f"mqtt://{client_id}@127.0.0.1:{self.proxy.port}",
            "password": PASSWORD,
            "session_expiry": timedelta(hours=1),
            "receive_maximum": 20,
            "pause_cap": timedelta(milliseconds=50),
        }
        session = MqttSession(client_id=client_id, **(defaults | terms))
        self.sessions.append(session)
        return session

    async def listen(self, session: MqttSession, *filters: str) -> Listener:
        listener = Listener()
        await session.open(filters=filters, on_message=listener.on_message, on_link=listener.on_link)
        return listener

    async def gate(self, *filters: str) -> tuple[MqttSession, Listener]:
        """A gate on its own connection to the broker, which the proxy does not cut."""
        gate = self.session(self.name, url=f"mqtt://{self.name}@127.0.0.1:{self.broker.port}")
        return gate, await self.listen(gate, *filters)


async def admit(names: list[str], broker: EmbeddedBroker) -> None:
    await broker.admit_all({f"service.{name}": PASSWORD for name in names}, role="service")
    await broker.admit_all(dict.fromkeys(names, PASSWORD), role="gate")


@asynccontextmanager
async def prepared(name: str, broker: EmbeddedBroker) -> AsyncIterator[Ground]:
    async with to_broker(broker.url) as proxy:
        ground = Ground(name, broker, proxy)
        yield ground
        for session in ground.sessions:
            await session.close()


@pytest.fixture(scope="module")
def names(broker: EmbeddedBroker) -> Iterator[str]:
    """One name for each test, all admitted at once: the broker takes its time to read its files again."""
    names = [secrets.token_hex(4) for _ in range(100)]
    asyncio.run(admit(names, broker))
    return iter(names)


@pytest.fixture
async def ground(broker: EmbeddedBroker, names: Iterator[str]) -> AsyncIterator[Ground]:
    async with prepared(next(names), broker) as ground:
        yield ground


async def test_a_message_goes_to_the_broker_and_back(ground: Ground) -> None:
    session, (gate, _) = ground.session(), await ground.gate()
    listener = await ground.listen(session, ground.scans)
    assert session.connected
    assert gate.publish(ground.scan, b"scan", qos=1)
    assert gate.publish(ground.scan, b"scan at most once")
    await listener.until_payloads(b"scan", b"scan at most once")
    assert listener.messages[0].topic == ground.scan
    assert not listener.messages[0].retained


async def test_the_answer_reaches_the_gate(ground: Ground) -> None:
    session = ground.session()
    await ground.listen(session, ground.scans)
    _, at_gate = await ground.gate(ground.decision)
    large = bytes(20_000)
    assert session.publish(ground.decision, b"granted")
    assert session.publish(ground.decision, large)
    assert session.publish(ground.decision, b"kept", qos=1)
    await at_gate.until_payloads(b"granted", large, b"kept")


async def test_what_is_not_acknowledged_comes_again_after_the_link_was_lost(ground: Ground) -> None:
    session, (gate, _) = ground.session(), await ground.gate()
    listener = await ground.listen(session, ground.scans)
    for payload in (b"1", b"2", b"3"):
        gate.publish(ground.scan, payload, qos=1)
    await listener.until_payloads(b"1", b"2", b"3")
    session.acknowledge(listener.messages[1])
    await session.probe(ground.probe)  # the broker has read the acknowledgement
    ground.proxy.cut()
    await listener.until_payloads(b"1", b"2", b"3", b"1", b"3")
    await listener.until_links("up", "down", "up")


async def test_what_is_not_acknowledged_comes_again_to_whoever_takes_the_session_over(ground: Ground) -> None:
    gate, _ = await ground.gate()
    first, second = ground.session(), ground.session()
    at_first = await ground.listen(first, ground.scans)
    gate.publish(ground.scan, b"scan", qos=1)
    await at_first.until_payloads(b"scan")
    await first.close()
    at_second = await ground.listen(second, ground.scans)
    await at_second.until_payloads(b"scan")


async def test_an_acknowledgement_for_an_older_connection_is_not_sent(ground: Ground) -> None:
    session, (gate, _) = ground.session(), await ground.gate()
    listener = await ground.listen(session, ground.scans)
    gate.publish(ground.scan, b"scan", qos=1)
    await listener.until_payloads(b"scan")
    ground.proxy.cut()
    await listener.until_payloads(b"scan", b"scan")
    older, newer = listener.messages
    assert older.receipt != newer.receipt
    assert older.receipt[1] == newer.receipt[1], "the broker uses the packet id again: that is the danger"
    await listener.until_links("up", "down", "up")
    session.acknowledge(older)
    await session.probe(ground.probe)
    ground.proxy.cut()
    await listener.until_payloads(b"scan", b"scan", b"scan")
    await listener.until_links("up", "down", "up", "down", "up")
    session.acknowledge(listener.messages[-1])
    await session.probe(ground.probe)
    ground.proxy.cut()
    gate.publish(ground.scan, b"next", qos=1)
    await listener.until_payloads(b"scan", b"scan", b"scan", b"next")


async def test_the_session_comes_back_by_itself_after_the_broker_was_killed(server_folder: Path) -> None:
    async with EmbeddedBroker(server_folder) as broker, prepared("gate", broker) as ground:
        await admit(["gate"], broker)
        session = ground.session()
        listener = await ground.listen(session, ground.scans)
        await broker.kill()
        await listener.until_links("up", "down")
        assert not session.connected
        assert not session.publish(ground.decision, b"granted")
        assert not session.publish(ground.decision, b"granted", qos=1)
        await broker.start()
        await listener.until_links("up", "down", "up")
        assert session.connected
        gate, _ = await ground.gate()
        gate.publish(ground.scan, b"scan", qos=1)
        await listener.until_payloads(b"scan")


async def test_a_black_hole_is_noticed_and_left(ground: Ground) -> None:
    session = ground.session(keep_alive=timedelta(seconds=1))
    listener = await ground.listen(session, ground.scans)
    ground.proxy.swallow(Direction.TO_CLIENT)
    await listener.until_links("up", "down")
    ground.proxy.deliver(Direction.TO_CLIENT)
    await listener.until_links("up", "down", "up")


async def test_a_retained_message_is_not_delivered_on_subscribing(ground: Ground) -> None:
    gate, _ = await ground.gate()
    gate.publish(ground.scan, b"old", qos=1, retain=True)
    listener = await ground.listen(ground.session(), ground.scans)
    gate.publish(ground.scan, b"new", qos=1)
    await listener.until_payloads(b"new")


async def test_a_message_that_was_sent_to_be_retained_is_flagged(ground: Ground) -> None:
    listener = await ground.listen(ground.session(), ground.scans)
    gate, _ = await ground.gate()
    gate.publish(ground.scan, b"kept", qos=1, retain=True)
    gate.publish(ground.scan, b"passing", qos=1)
    await listener.until_payloads(b"kept", b"passing")
    assert [message.retained for message in listener.messages] == [True, False]


async def test_a_session_that_asks_for_what_stands_has_it_at_every_link_and_nothing_of_its_own(
    ground: Ground,
) -> None:
    (gate, _), session = (
        await ground.gate(),
        ground.session(what_stands=True, session_expiry=timedelta(0)),
    )
    gate.publish(ground.scan, b"stands", qos=1, retain=True)
    listener = await ground.listen(session, f"gk/v1/{ground.name}/+/+")
    await listener.until_payloads(b"stands")
    session.publish(ground.scan, b"our own", qos=1, retain=True)
    ground.proxy.cut()
    await listener.until_links("up", "down", "up")
    await listener.until_payloads(b"stands", b"our own")
    assert [message.retained for message in listener.messages] == [True, True]


async def test_what_stands_under_some_filters_comes_with_every_link_and_does_not_wait_for_us(
    ground: Ground,
) -> None:
    session, link = ground.session(), f"gk/v1/{ground.name}/{ground.name}/link"
    listener = Listener()
    async with mqtt_client(ground.broker.port, ground.name, PASSWORD) as gate:
        await gate.publish(link, b"up", retain=True)
        await gate.publish(ground.scan, b"retained scan", retain=True)
        await session.open(
            filters=[ground.scans],
            on_message=listener.on_message,
            on_link=listener.on_link,
            standing=[f"gk/v1/{ground.name}/+/link"],
        )
        await listener.until_payloads(b"up")
        ground.proxy.refuse()
        ground.proxy.cut()
        await listener.until_links("up", "down")
        for word in (b"down", b"up again"):
            await gate.publish(link, word, retain=True)
        await gate.publish(ground.scan, b"scan")
    await ground.proxy.accept()
    await listener.until(lambda: len(listener.messages) == 3)
    # Scans wait for us at the broker; of links the last word stands, and nothing waits.
    assert sorted(listener.payloads) == [b"scan", b"up", b"up again"]
    await session.close()


async def test_who_is_lost_without_a_word_leaves_a_will_that_stands_and_who_leaves_in_order_none(
    ground: Ground,
) -> None:
    _, listener = await ground.gate(ground.decision)
    will = (ground.decision, b"lost")
    session = ground.session(will=will)
    await ground.listen(session)
    ground.proxy.refuse()
    ground.proxy.cut()
    await listener.until_payloads(b"lost")
    assert listener.messages[0].retained
    await ground.proxy.accept()
    other = ground.session(will=will)
    await ground.listen(other)
    await other.close()
    await ground.gate()  # evicts the first
    assert listener.payloads == [b"lost"]


async def test_the_receive_maximum_bounds_what_is_in_flight(ground: Ground) -> None:
    session, (gate, _) = ground.session(receive_maximum=3), await ground.gate()
    listener = await ground.listen(session, ground.scans)
    payloads = [b"%d" % number for number in range(100)]
    for payload in payloads:
        gate.publish(ground.scan, payload, qos=1)
    for number in range(100):
        await listener.until(lambda least=number: len(listener.messages) > least)
        assert len(listener.messages) <= number + 3
        session.acknowledge(listener.messages[number])
    assert listener.payloads == payloads
    assert listener.links == ["up"]


async def test_what_the_broker_would_not_take_is_not_sent(ground: Ground) -> None:
    session = ground.session()
    listener = await ground.listen(session, ground.scans)
    with capture_logs() as logs:
        assert not session.publish(ground.decision, bytes(17 << 20))
        assert not session.publish(ground.decision, bytes(17 << 20), qos=1)
    assert [line["event"] for line in logs] == ["mqtt_too_long_for_broker"] * 2
    await session.probe(ground.probe)
    assert listener.links == ["up"]


async def test_a_callback_that_raises_does_not_stop_the_session(ground: Ground) -> None:
    session, (gate, _) = ground.session(), await ground.gate()
    listener = Listener()

    def stumble(inbound: Inbound) -> None:
        listener.on_message(inbound)
        if inbound.payload == b"secret poison":
            raise RuntimeError(f"cannot read {inbound.payload!r}")

    def stumble_too(up: bool) -> None:  # noqa: FBT001
        listener.on_link(up)
        raise ValueError("no")

    with capture_logs() as logs:
        await session.open(filters=[ground.scans], on_message=stumble, on_link=stumble_too)
        gate.publish(ground.scan, b"secret poison", qos=1)
        gate.publish(ground.scan, b"scan", qos=1)
        await listener.until_payloads(b"secret poison", b"scan")
        session.acknowledge(listener.messages[1])
        await session.probe(ground.probe)
        assert session.callback_failures == 2
        ground.proxy.cut()
        await listener.until_payloads(b"secret poison", b"scan", b"secret poison")
    assert "secret" not in str(logs)
    failures = [line for line in logs if line["event"] == "mqtt_callback_failure"]
    assert {line["error"] for line in failures} == {"RuntimeError", "ValueError"}
    assert all("test_mqtt_session.py:" in line["at"] for line in failures)


async def test_a_wrong_password_is_refused_at_once_with_a_sentence_that_does_not_repeat_it(
    ground: Ground,
) -> None:
    session = ground.session(password="hunter2")
    with capture_logs() as logs, pytest.raises(TransportError) as refusal:
        await ground.listen(session, ground.scans)
    assert f"refuses client '{ground.service}', user '{ground.service}'" in str(refusal.value)
    assert "hunter2" not in f"{refusal.value} {refusal.value.__cause__} {session!r} {vars(session)} {logs}"


async def test_a_broker_that_is_not_there_is_an_error_after_the_limit() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        session = MqttSession(
            url=f"mqtt://service:hunter2@127.0.0.1:{unused.getsockname()[1]}",
            client_id="service",
            session_expiry=timedelta(0),
            receive_maximum=1,
            open_limit=timedelta(milliseconds=200),
        )
        with pytest.raises(TransportError, match=r"could not be reached within 0\.2 s") as failure:
            await session.open(filters=["t"], on_message=print, on_link=print)
    assert "hunter2" not in str(failure.value)
    await session.close()


async def test_a_second_session_of_the_same_client_takes_the_link(ground: Ground) -> None:
    first, second = ground.session(), ground.session()
    at_first = await ground.listen(first, ground.scans)
    first._back_off = BackOff(
        cap=timedelta(minutes=5), share=lambda: 3000.0
    )  # it will not be back in this test
    at_second = await ground.listen(second, ground.scans)
    await at_first.until_links("up", "down")
    assert not first.connected
    assert not first.publish(ground.decision, b"granted")
    await second.probe(ground.probe)
    await first.close()
    await second.probe(ground.probe)
    assert at_first.links == ["up", "down"]
    assert at_second.links == ["up"]


async def test_two_sessions_of_the_same_client_fight_ever_more_slowly(ground: Ground) -> None:
    first, second = ground.session(), ground.session()
    for session in (first, second):
        session._back_off = BackOff(cap=timedelta(seconds=5), share=lambda: 1.0)
    since = asyncio.get_running_loop().time()
    at_first = await ground.listen(first, ground.scans)
    await ground.listen(second, ground.scans)
    await at_first.until_links("up", "down", "up", "down", "up", "down", "up")
    assert asyncio.get_running_loop().time() - since > 0.1 + 0.2 + 0.4
    await second.close()
    await at_first.until(lambda: first.connected)
    await first.probe(ground.probe)


async def test_closing_leaves_nothing_behind(ground: Ground) -> None:
    before = asyncio.all_tasks()
    session = ground.session()
    listener = await ground.listen(session, ground.scans)
    assert asyncio.all_tasks() != before
    last_words = session.publish(ground.decision, b"granted")
    await session.close()
    await session.close()
    assert last_words
    assert listener.links == ["up", "down"]
    assert not session.connected
    gc.collect()
    await eventually(lambda: not ground.proxy.connections)
    assert asyncio.all_tasks() == before


async def test_what_was_published_before_closing_still_leaves(ground: Ground) -> None:
    session = ground.session()
    await ground.listen(session, ground.scans)
    _, at_gate = await ground.gate(ground.decision)
    for number in range(100):
        assert session.publish(ground.decision, b"%d" % number)
    await session.close()
    await at_gate.until_payloads(*(b"%d" % number for number in range(100)))


async def test_a_closed_session_can_be_opened_again(ground: Ground) -> None:
    session = ground.session()
    await ground.listen(session, ground.scans)
    with pytest.raises(RuntimeError, match="open already"):
        await ground.listen(session, ground.scans)
    await session.close()
    listener = await ground.listen(session, ground.scans)
    assert session.connected
    assert listener.links == ["up"]


async def test_closing_while_there_is_no_broker_is_quick_and_clean(ground: Ground) -> None:
    session = ground.session()
    listener = await ground.listen(session, ground.scans)
    ground.proxy.refuse()
    ground.proxy.cut()
    await listener.until_links("up", "down")
    async with asyncio.timeout(5):
        await session.close()
    assert listener.links == ["up", "down"]


async def test_small_packets_are_not_held_back(ground: Ground) -> None:
    session, (gate, _) = ground.session(), await ground.gate()
    listener = await ground.listen(session, ground.scans)
    assert await session.probe(ground.probe) < timedelta(milliseconds=10)
    assert listener.messages == []
    gate.publish(ground.scan, b"scan", qos=1)
    await listener.until_payloads(b"scan")


async def test_the_broker_s_certificate_is_checked(ground: Ground, tmp_path: Path) -> None:
    certificate, key = throw_away_certificate(tmp_path)
    async with tls_before(ground.proxy.port, certificate, key) as port:
        url = f"mqtts://{ground.service}@127.0.0.1:{port}"
        with pytest.raises(TransportError, match="is not trusted"):
            await ground.listen(ground.session(url=url), ground.scans)
        session, (gate, _) = ground.session(url=url, ca_file=certificate), await ground.gate()
        listener = await ground.listen(session, ground.scans)
        payloads = [b"%d" % number + bytes(8000) for number in range(15)]
        for payload in payloads:
            gate.publish(ground.scan, payload, qos=1)
        await listener.until_payloads(*payloads)
        for message in listener.messages:
            session.acknowledge(message)
        await session.probe(ground.probe)
        ground.proxy.cut()
        await listener.until_links("up", "down", "up")
        await session.close()
    assert listener.links == ["up", "down", "up", "down"]


@pytest.mark.parametrize(
    ("url", "files", "sentence"),
    [
        ("mqtt://host", {"ca_file": "ca.pem"}, "of no use with mqtt://"),
        ("mqtts://host", {"ca_file": "nowhere.pem"}, "cannot be used"),
        ("mqtts://host", {"certificate_file": "nowhere.pem", "key_file": "nowhere.key"}, "cannot be used"),
        ("https://user:hunter2@host", {}, "must begin with mqtt:// or mqtts://"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    url: str, files: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TransportError, match=sentence) as failure:
        MqttSession(url=url, client_id="s", session_expiry=timedelta(0), receive_maximum=1, **files)
    assert "hunter2" not in str(failure.value)


@asynccontextmanager
async def tls_before(port: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Take the encryption off before a port; gives the port that is encrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.current_task())
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, behind_writer), pass_on(behind_reader, writer))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*carrying)
