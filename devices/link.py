"""A gate's MQTT 5 session on paho's own network thread: bytes in, bytes out, and whether the broker is there.

    paho's thread --(bounded queue, call_soon_threadsafe)--> the event loop     everything the opener gave runs in the loop

The session is clean: what the broker held for an absent gate is worth nothing, for no grant outlives five seconds. What is
published without a link is dropped, and so is what comes in faster than the loop takes it; the controller sends again.
A goodbye is no secret: the broker says the will of a session that ends in order, too.
paho's thread never sees an exception of ours, and comes back by itself after every loss.

It knows no message and keeps none. The password is in no log, error or repr.
"""

import asyncio
import queue
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from typing_extensions import override

__all__ = ["BrokerUrl", "BrokerUrlError", "GateLink", "Message", "Route"]

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE: Final = 10
_LONGEST_PAUSE: Final = 5
_MOST_UNREAD: Final = 1000
_MOST_AT_ONCE: Final = 16
_MOST_UNSENT: Final = 1000
_SEND_RETAINED, _SKIP_RETAINED = 0, 2
_WITH_WILL: Final = ReasonCode(PacketTypes.DISCONNECT, identifier=0x04)


class BrokerUrlError(ValueError):
    """The broker's URL cannot be used; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """Where the broker is. Who we are comes from the gate's folder, never from a URL."""

    host: str
    port: int
    encrypted: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `mqtt[s]://host[:port]`."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise BrokerUrlError("The broker's URL must begin with mqtt:// or mqtts://.")
        if "@" in parts.netloc:
            raise BrokerUrlError("Leave user and password out of the broker's URL: a gate has its own.")
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise BrokerUrlError("The port in the broker's URL must be a number up to 65535.") from None
        if not host or parts.path.strip("/") or parts.query or parts.fragment:
            raise BrokerUrlError("The broker's URL names a host and a port, as in mqtts://broker:8883.")
        return cls(host, port or _PORTS[parts.scheme], parts.scheme == "mqtts")

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.encrypted else 'mqtt'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived on one topic."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Where the messages of one topic go, and whether the broker's retained one is wanted."""

    deliver: Callable[[Message], None]
    retained: bool


class GateLink:
    """One gate's session: client id and user name are the gate's id.

    With a `certificate` (a file that holds its key too) the broker knows by it who connects, and there is no password.
    Raises `BrokerUrlError`, or OSError when a file cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        gate: str,
        password: str | None = None,
        authority: Path | None = None,
        certificate: Path | None = None,
    ) -> None:
        self._url = BrokerUrl.parse(url)
        self._gate = gate
        self._certificate = certificate
        self._tls = self._tls_context(authority)
        self._client = self._make_client(password)
        self._routes: dict[str, Route] = {}
        self._on_link: Callable[[bool], None] = lambda _up: None
        self._unread: queue.Queue[Message] = queue.Queue(_MOST_UNREAD)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = False
        self._log = structlog.get_logger().bind(gate=gate, broker=str(self._url))
        #: messages that came faster than they were taken
        self.overrun = 0

    @override
    def __repr__(self) -> str:
        return f"<GateLink {self._gate} at {self._url}, {'up' if self._up else 'down'}>"

    @property
    def up(self) -> bool:
        """Whether the broker is there and our subscriptions stand."""
        return self._up

    async def open(self, *, routes: Mapping[str, Route], on_link: Callable[[bool], None]) -> None:
        """Start connecting, and keep connected until closed. Does not wait for the broker."""
        self._loop = asyncio.get_running_loop()
        self._routes, self._on_link = dict(routes), on_link
        self._client.connect_async(self._url.host, self._url.port, keepalive=_KEEP_ALIVE, clean_start=True)
        self._client.loop_start()

    def begin_anew(self) -> None:
        """Hang up, and connect again with the certificate that is on the disk now; what is on its way is dropped."""
        if self._tls is not None and self._certificate is not None:
            self._tls.load_cert_chain(self._certificate)
        plug: Any = self._client.socket()
        if plug is not None:
            # Below TLS, whose state is the other thread's: that thread finds the connection lost, and makes another.
            with suppress(OSError):
                socket.socket.shutdown(plug, socket.SHUT_RDWR)

    async def close(self) -> None:
        """Say goodbye and stop the thread. Nothing is delivered afterwards."""
        self._loop = None
        self._up = False
        self._client.disconnect(_WITH_WILL)
        await asyncio.to_thread(self._client.loop_stop)
        # paho leaves the pair of sockets with which its thread is woken to the garbage collector.
        self._client._reset_sockets()  # noqa: SLF001 - there is no other way to close them

    async def vanish(self) -> None:
        """Be gone without a goodbye, as when the power is cut: for simulations."""
        self._loop = None
        self._up = False
        plug = self._client.socket()
        if isinstance(plug, socket.socket):
            with suppress(OSError):  # the broker was quicker
                plug.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(self._client.loop_stop)

    def publish(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Send, never retained; without a link it is dropped."""
        if self._up:
            self._client.publish(topic, payload, qos=qos, retain=False)

    def retain(self, topic: str, payload: bytes) -> None:
        """Send once, and have the broker keep it; without a link it is dropped."""
        if self._up:
            self._client.publish(topic, payload, qos=0, retain=True)

    def bequeath(self, topic: str, payload: bytes) -> None:
        """Have the broker retain this when the next connection is lost, or ends."""
        self._client.will_set(topic, payload, qos=0, retain=True)

    # -- in paho's thread -----------------------------------------------------------------------------------------

    def _tls_context(self, authority: Path | None) -> ssl.SSLContext | None:
        if not self._url.encrypted:
            if self._certificate is not None:
                raise BrokerUrlError("This gate has a certificate: write mqtts:// in the broker's URL.")
            return None
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if self._certificate is not None:
            context.load_cert_chain(self._certificate)
        return context

    def _make_client(self, password: str | None) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, self._gate, protocol=MQTTProtocolVersion.MQTTv5)
        if self._certificate is None:
            client.username_pw_set(self._gate, password)
        client.reconnect_delay_set(min_delay=1, max_delay=_LONGEST_PAUSE)
        client.max_queued_messages_set(_MOST_UNSENT)
        client.suppress_exceptions = True
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_socket_open = _without_delay
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        return client

    def _connected(
        self, client: Client, _userdata: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            self._log.warning("the broker refuses this gate", reason=str(code))
            return
        client.subscribe([(topic, _options(route)) for topic, route in self._routes.items()])

    def _subscribed(
        self, _client: Client, _userdata: Any, _mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            self._log.warning("the broker refuses a subscription", reasons=refused)
        self._in_loop(self._tell_link, True)  # noqa: FBT003 - the link is up

    def _disconnected(
        self, _client: Client, _userdata: Any, _flags: Any, _code: ReasonCode, _properties: Any
    ) -> None:
        self._in_loop(self._tell_link, False)  # noqa: FBT003 - the link is down

    def _received(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            self._unread.put_nowait(Message(message.topic, bytes(message.payload), message.retain))
        except queue.Full:
            self.overrun += 1
        else:
            # What comes while others wait is taken with them: waking the loop costs more than most messages.
            if self._unread.qsize() <= 1:
                self._in_loop(self._deliver)

    def _in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(function, *arguments)

    # -- in the event loop ----------------------------------------------------------------------------------------

    def _tell_link(self, up: bool) -> None:  # noqa: FBT001 - a state, not a switch
        if self._loop is None or up is self._up:
            return
        self._up = up
        self._log.info("link up" if up else "link down")
        self._on_link(up)

    def _deliver(self) -> None:
        """Deliver what waits, and let others have their turn after a few."""
        try:
            for _ in range(min(_MOST_AT_ONCE, self._unread.qsize())):
                self._take(self._unread.get_nowait())
        finally:
            if self._loop is not None and not self._unread.empty():
                self._loop.call_soon(self._deliver)

    def _take(self, message: Message) -> None:
        route = self._routes.get(message.topic)
        if self._loop is not None and route is not None and (route.retained or not message.retained):
            route.deliver(message)


def _options(route: Route) -> SubscribeOptions:
    return SubscribeOptions(qos=1, retainHandling=_SEND_RETAINED if route.retained else _SKIP_RETAINED)


def _without_delay(_client: Client, _userdata: Any, plug: Any) -> None:
    """Without it a round trip takes 44 ms instead of 0.15 ms."""
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
