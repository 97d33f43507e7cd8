"""An MQTT 5 session in the service's place: everything below one gate's name comes up, with its QoS and whether it was retained.

It is not `devices.link`: that one is a gate's, hears a gate's topics, and never retains anything.
"""

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.link import BrokerUrl

__all__ = ["Arrived", "BrokerRefusedError", "ExaminerSession"]

_KEEP_ALIVE: Final = 10
_PATIENCE: Final = 10.0
_MOST_QUEUED: Final = 10_000
_SKIP_RETAINED: Final = 2

Arrived = Callable[[str, bytes, int, bool, float], None]
"""Topic, payload, QoS, whether it was published retained, and the monotonic instant."""


class BrokerRefusedError(Exception):
    """There is no session; the message says why."""


class ExaminerSession:
    """A session for the length of a block. What arrives is given to `arrived` in the event loop.

    `below` is the gate's own topic; `probe` is a topic of the service, on which nothing retained is left.
    """

    def __init__(
        self,
        url: BrokerUrl,
        *,
        below: str,
        probe: str,
        arrived: Arrived,
        login: str | None = None,
        password: str | None = None,
        authority: Path | None = None,
    ) -> None:
        self._url: Final = url
        self._filter: Final = f"{below}/+"
        self._probe: Final = probe
        self._arrived: Final = arrived
        self._loop = asyncio.get_running_loop()
        self._ready: Final[asyncio.Future[None]] = self._loop.create_future()
        name = login or f"gatekeeper-conformance-{secrets.token_hex(4)}"
        client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        if login is not None:
            client.username_pw_set(login, password)
        if url.encrypted:
            client.tls_set_context(ssl.create_default_context(cafile=authority))
        client.max_queued_messages_set(_MOST_QUEUED)
        client.suppress_exceptions = True
        client.on_socket_open = _without_delay
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._received
        self._client: Final = client

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(
                self._client.connect, self._url.host, self._url.port, _KEEP_ALIVE, clean_start=True
            )
            self._client.loop_start()
            async with asyncio.timeout(_PATIENCE):
                await self._ready
        except TimeoutError as error:
            await self._stop()
            raise BrokerRefusedError(f"The broker at {self._url} does not answer.") from error
        except OSError as error:
            await self._stop()
            raise BrokerRefusedError(
                f"There is no broker at {self._url}: {error.strerror or error}."
            ) from error
        except BrokerRefusedError:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def publish(self, topic: str, wire: bytes, *, retained: bool) -> None:
        """Publish at QoS 0, as the service does."""
        self._client.publish(topic, wire, qos=0, retain=retained)

    async def _stop(self) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # -- in paho's thread -----------------------------------------------------------------------------------------

    def _connected(
        self, client: Client, _userdata: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            self._loop.call_soon_threadsafe(
                self._tell, f"The broker at {self._url} refuses the login: {code}."
            )
            return
        options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True, retainHandling=_SKIP_RETAINED)
        client.subscribe([(self._filter, options)])

    def _subscribed(
        self, client: Client, _userdata: Any, _mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        refused = next((str(code) for code in codes if code.is_failure), None)
        if refused is not None:
            self._loop.call_soon_threadsafe(
                self._tell, f"The broker does not let {self._filter} be read: {refused}."
            )
            return
        # What is refused at QoS 0 nobody is told; so ask once at QoS 1.
        client.publish(self._probe, b"", qos=1, retain=True)

    def _published(
        self, _client: Client, _userdata: Any, _mid: int, code: ReasonCode, _properties: Any
    ) -> None:
        refused = f"The broker does not let {self._probe} be written: {code}." if code.is_failure else None
        self._loop.call_soon_threadsafe(self._tell, refused)

    def _received(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        arrived = (message.topic, bytes(message.payload), message.qos, message.retain, time.monotonic())
        self._loop.call_soon_threadsafe(self._arrived, *arrived)

    # -- in the event loop ----------------------------------------------------------------------------------------

    def _tell(self, why_not: str | None) -> None:
        if self._ready.done():
            return
        if why_not is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(BrokerRefusedError(why_not))


def _without_delay(_client: Client, _userdata: Any, plug: Any) -> None:
    """Without it a round trip takes 44 ms instead of 0.15 ms."""
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
