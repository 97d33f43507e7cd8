"""A plain MQTT 5 client for tests: it asks the broker and tells what the broker answered, nothing more."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

__all__ = ["MqttClient", "MqttRefusedError", "mqtt_client"]

_ANSWER_LIMIT = 5.0
_KEPT_FOR = 3600


class MqttRefusedError(Exception):
    """The broker refused the connection; the message is its reason."""


class MqttClient:
    """One connection. `received` holds (topic, payload) of what arrived; `lost` is set when the connection ends."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self.received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.lost = asyncio.Event()
        #: the keep-alive that the broker put in the place of ours, if it did
        self.told_keep_alive: int | None = None
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *reason: self._tell(self._on_disconnect, str(reason[3]))
        client.on_message = self._on_message
        client.on_publish = lambda _c, _u, mid, code, _p: self._tell(self._answer, mid, [code])
        client.on_subscribe = lambda _c, _u, mid, codes, _p: self._tell(self._answer, mid, codes)

    def _tell(self, function: Any, *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)

    def _on_connect(
        self, _client: Client, _userdata: object, _flags: object, code: ReasonCode, properties: object
    ) -> None:
        self.told_keep_alive = getattr(properties, "ServerKeepAlive", None)
        self._tell(self._connected.set_result, code)

    def _on_disconnect(self, why: str) -> None:
        self.lost.set()
        if (
            not self._connected.done()
        ):  # TLS 1.3: a server refuses a certificate when the client thinks it is in
            self._connected.set_exception(MqttRefusedError(f"hung up: {why}"))

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._tell(self.received.put_nowait, (message.topic, message.payload))

    def _answer(self, mid: int, codes: list[ReasonCode]) -> None:
        self._awaited(mid).set_result(codes)

    def _awaited(self, mid: int) -> asyncio.Future[list[ReasonCode]]:
        return self._answers.setdefault(mid, self._loop.create_future())

    async def _answer_to(self, mid: int | None) -> str:
        assert mid is not None
        async with asyncio.timeout(_ANSWER_LIMIT):
            codes = await self._awaited(mid)
        del self._answers[mid]
        return str(codes[0])

    async def connected(self) -> ReasonCode:
        """Wait for the broker's answer to the connection."""
        async with asyncio.timeout(_ANSWER_LIMIT):
            return await self._connected

    async def publish(self, topic: str, payload: bytes = b"", *, retain: bool = False) -> str:
        """Publish at QoS 1; give the broker's reason, such as `Success` or `Not authorized`."""
        return await self._answer_to(self._client.publish(topic, payload, qos=1, retain=retain).mid)

    def throw(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 0, and ask for no answer."""
        self._client.publish(topic, payload, qos=0)

    async def subscribe(self, topic: str) -> str:
        """Subscribe at QoS 1; give the broker's reason, such as `Granted QoS 1`."""
        return await self._answer_to(self._client.subscribe(topic, qos=1)[1])

    async def next_message(self) -> tuple[str, bytes]:
        """Wait for the next message: topic and payload."""
        async with asyncio.timeout(_ANSWER_LIMIT):
            return await self.received.get()


def _without_delay(_client: Client, _userdata: object, plug: Any) -> None:
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@asynccontextmanager
async def mqtt_client(
    port: int,
    username: str | None = None,
    password: str | None = None,
    *,
    client_id: str = "",
    session_kept: bool = False,
    tls: ssl.SSLContext | None = None,
    keep_alive: int = 30,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
) -> AsyncIterator[MqttClient]:
    """Connect, for the length of a block; raise MqttRefusedError when the broker refuses."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        protocol=protocol,
        reconnect_on_failure=False,
    )
    if username is not None:
        client.username_pw_set(username, password)
    if tls is not None:
        client.tls_set_context(tls)
    connection = MqttClient(client)
    terms: dict[str, Any] = {}
    if protocol is MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _KEPT_FOR if session_kept else 0
        terms = {"clean_start": not session_kept, "properties": properties}
    await asyncio.to_thread(client.connect, "127.0.0.1", port, keepalive=keep_alive, **terms)
    client.loop_start()
    try:
        code = await connection.connected()
        if code.is_failure:
            raise MqttRefusedError(str(code))
        yield connection
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
        # paho leaves the pair of sockets with which its thread is woken to the garbage collector.
        client._reset_sockets()
