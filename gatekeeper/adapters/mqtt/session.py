"""The service's MQTT 5 session: messages in with manual acknowledgement, messages out, a link that heals itself.

    open -> [ connect, CONNECT/CONNACK, SUBSCRIBE/SUBACK, linked ... lost, pause ] again and again -> close

paho-mqtt keeps the protocol (handshake, subscriptions, QoS 1 out); the wire below it keeps the socket and the hot path.
Pings are ours: paho's `loop_misc` counts as life only what paho itself has read.
The broker keeps the session: clean start is off, so what was not acknowledged comes again after every loss of the link.

It does not queue what it cannot send, does not remember messages, and does not know what they mean. Exceptions of the
callbacks given to it are reported and never end the session. The password is in no log, error or repr.
"""

import asyncio
import secrets
import ssl
import statistics
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TypeVar, cast

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from typing_extensions import override

from gatekeeper.adapters.mqtt.address import BrokerAddress, InvalidAddressError
from gatekeeper.adapters.mqtt.backoff import BackOff
from gatekeeper.adapters.mqtt.packets import publish_at_most_once
from gatekeeper.adapters.mqtt.wire import Wire
from gatekeeper.ports import Inbound, TransportError

__all__ = ["MqttSession"]

ATTEMPT_LIMIT = 5.0
LASTING = 10.0
PARTING = 2.0
PROBE_LIMIT = 10.0
PROBE_ROUNDS = 10
SLOW_ROUND_TRIP = timedelta(milliseconds=10)
QUEUED_OUT = 1000
NO_LIMIT = 1 << 28  # MQTT's own

# CONNACK codes after which the same attempt may succeed later; every other refusal needs a person (MQTT 5.0, 3.2.2.2).
PASSING = frozenset({0x80, 0x83, 0x88, 0x89, 0x97, 0x9F})
TAKEN_OVER = 0x8E

_Answer = TypeVar("_Answer")


class _Protocol(Client):
    """paho's client, whose socket is the wire it is given; its only seam that is not documented."""

    wire: Wire

    @override
    def _create_socket(self) -> Wire:
        return self.wire


class MqttSession:
    """A lasting session of one client id with one broker (the port `Transport`)."""

    def __init__(
        self,
        *,
        url: str,
        client_id: str,
        session_expiry: timedelta,
        receive_maximum: int,
        keep_alive: timedelta = timedelta(seconds=10),
        password: str | None = None,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
        open_limit: timedelta = timedelta(seconds=10),
        pause_cap: timedelta = timedelta(seconds=5),
        will: tuple[str, bytes] | None = None,
        what_stands: bool = False,
        queued_out: int = QUEUED_OUT,
        longest_in: int | None = None,
    ) -> None:
        """Prepare a session; `open` connects.

        A broker brings no packet of more than `longest_in` bytes: one that it holds for us is dropped there.
        At QoS 1 `queued_out` messages may wait to be confirmed: each confirmation costs time that grows with their number.
        `will` is a topic and what the broker retains there when it loses us. With `what_stands` every link brings what the
        broker retains under the filters, and nothing of our own comes back; else what it retains never comes.
        """
        try:
            self._address = BrokerAddress.parse(url, password=password)
        except InvalidAddressError as error:
            raise TransportError(str(error)) from None
        self._tls = _tls_context(self._address, ca_file, certificate_file, key_file)
        self._client_id = client_id
        self._keep_alive = max(1, int(keep_alive.total_seconds()))
        self._receive_maximum = receive_maximum
        self._open_limit = open_limit.total_seconds()
        self._terms = _connect_terms(session_expiry, receive_maximum, longest_in)
        self._back_off = BackOff(cap=pause_cap)
        self._log = structlog.get_logger().bind(broker=str(self._address), client_id=client_id)
        self._queued_out = queued_out
        self._will = will
        self._what_stands = what_stands
        self._protocol = self._make_protocol()

        # what the opener gave
        self._filters: Sequence[str] = ()
        self._standing: Sequence[str] = ()
        self._on_message: Callable[[Inbound], None] = _ignore
        self._on_link: Callable[[bool], None] = _ignore

        # the connection: being made (`_wire`), accepted by the broker (`_accepted`), subscribed and announced (`_linked`)
        self._generation = 0
        self._wire: Wire | None = None
        self._accepted: Wire | None = None
        self._linked = False
        self._longest_out = NO_LIMIT
        self._evicted = False
        self._parting_word = ""
        self._connack: asyncio.Future[ReasonCode] | None = None
        self._answers: dict[int | None, asyncio.Future[list[ReasonCode]]] = {}
        self._keeper: asyncio.Task[None] | None = None

        #: how many exceptions the opener's callbacks have raised since the start
        self.callback_failures = 0

    @override
    def __repr__(self) -> str:
        return (
            f"<MqttSession {self._client_id} at {self._address}, {'linked' if self._linked else 'no link'}>"
        )

    @property
    def connected(self) -> bool:
        """Whether the broker is there and our subscriptions stand."""
        return self._linked and self._accepted is not None and self._accepted.alive

    async def open(
        self,
        *,
        filters: Sequence[str],
        on_message: Callable[[Inbound], None],
        on_link: Callable[[bool], None],
        standing: Sequence[str] = (),
    ) -> None:
        """Connect, subscribe at QoS 1 (`standing`: at QoS 0, with what is retained), and stay connected until closed.

        Raises TransportError at once when the broker refuses us, and after the limit when it cannot be reached.
        A message may arrive before this returns. Each `on_link(True)` is followed by one `on_link(False)`.
        The Receive Maximum bounds what is unacknowledged of one connection; messages sent at QoS 0 come beside it.
        """
        if self._keeper is not None:
            raise RuntimeError("The session is open already.")
        self._filters, self._on_message, self._on_link = tuple(filters), on_message, on_link
        self._standing = tuple(standing)
        wire = await self._establish_first()
        self._keeper = asyncio.create_task(self._keep(wire), name=f"mqtt session {self._client_id}")

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Send without waiting; False, and nothing sent, when there is no link, it or the queue is full, or the broker takes no packet so long.

        At QoS 1, True means that it is sent again after a loss of the link until the broker has it, as long as this process lives.
        """
        wire = self._accepted
        if wire is None or not wire.alive or wire.congested:
            return False
        packet = publish_at_most_once(topic, payload, retain=retain)
        if len(packet) > self._longest_out:
            self._log.error("mqtt_too_long_for_broker", topic=topic, size=len(packet))
            return False
        if qos == 0:
            wire.write(packet)
            return True
        if qos != 1:
            raise ValueError("A session publishes at QoS 0 or 1.")
        return (
            self._protocol.publish(topic, payload, qos=1, retain=retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def acknowledge(self, inbound: Inbound) -> None:
        """Tell the broker that a message is dealt with."""
        generation, packet_id = inbound.receipt
        wire = self._accepted
        # INVARIANT: a packet id of an older connection is never acknowledged: by now it may name another message.
        if packet_id and wire is not None and wire.generation == generation and wire.alive:
            wire.acknowledge(packet_id)

    async def probe(self, topic: str) -> timedelta:
        """Return the median of ten QoS 1 round trips to ourselves; `topic` must be ours to write and to read.

        A broker or a socket that holds small packets back shows here: 44 ms instead of 0.2 ms (TCP_NODELAY is off).
        """
        echoes: asyncio.Queue[Inbound] = asyncio.Queue(PROBE_ROUNDS)
        deliver = self._on_message

        def tap(inbound: Inbound) -> None:
            if inbound.topic != topic:
                deliver(inbound)
                return
            self.acknowledge(inbound)
            if not echoes.full():
                echoes.put_nowait(inbound)

        wire = self._accepted
        if wire is None:
            raise TransportError(f"There is no link to {self._address} to probe.")
        self._on_message = tap
        try:
            async with asyncio.timeout(PROBE_LIMIT):
                await self._subscribe([topic], wire)
                median = statistics.median(
                    [await self._round_trip(topic, echoes) for _ in range(PROBE_ROUNDS)]
                )
                # When this is confirmed, the broker has read our acknowledgements too: no probe comes again.
                await self._confirmation(self._protocol.unsubscribe(topic)[1], wire)
        except OSError:
            raise TransportError(f"{self._address} did not return the probes sent on {topic}.") from None
        finally:
            self._on_message = deliver
        trip = timedelta(seconds=median)
        if trip > SLOW_ROUND_TRIP:
            self._log.warning("mqtt_slow_round_trip", milliseconds=round(median * 1000, 1))
        return trip

    async def close(self) -> None:
        """Leave the broker in good order, which keeps our session and what we did not acknowledge."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.wait({keeper})
        self._guarded(self._protocol.disconnect)
        if self._wire is not None:
            await self._wire.end(patience=PARTING)
        self._unlink(reason="closed by us")
        if not keeper.cancelled():
            keeper.result()

    # --- the life of the link

    async def _establish_first(self) -> Wire:
        trouble = "no answer"
        try:
            async with asyncio.timeout(self._open_limit):
                while True:
                    try:
                        return await self._establish()
                    except OSError as error:
                        trouble = str(error) or trouble
                    await asyncio.sleep(self._back_off.pause())
        except TimeoutError:
            raise TransportError(
                f"The MQTT broker {self._address} could not be reached within {self._open_limit:g} s ({trouble}). "
                f"Check that it runs and that the address is right."
            ) from None

    async def _keep(self, wire: Wire) -> None:
        while True:
            await self._tend(wire)
            wire = await self._establish_again()

    async def _tend(self, wire: Wire) -> None:
        """Keep the link alive until it is lost."""
        loop = asyncio.get_running_loop()
        interval = self._protocol.keepalive or self._keep_alive  # the broker may have changed ours
        since = heard = asked = loop.time()
        while not wire.lost.done():
            await asyncio.wait({wire.lost}, timeout=1)
            now = loop.time()
            if wire.heard():
                heard = now
            elif now - heard >= 2 * interval:
                wire.abort(f"nothing heard for {2 * interval} s")
            if now - asked >= interval:
                asked = now
                wire.ping()
            if not wire.alive:
                await wire.end(patience=1)
        if loop.time() - since >= LASTING:
            self._back_off.settle()
        self._unlink(reason=wire.fault or self._parting_word or "closed by the broker")

    async def _establish_again(self) -> Wire:
        while True:
            await asyncio.sleep(self._back_off.distance() if self._evicted else self._back_off.pause())
            try:
                return await self._establish()
            except (OSError, TransportError) as error:
                self._log.warning("mqtt_unreachable", error=str(error) or "no answer")

    async def _establish(self) -> Wire:
        """Make one attempt. OSError: try again later. TransportError: somebody has to change something first."""
        self._generation += 1
        self._evicted, self._parting_word = False, ""
        wire = self._wire = Wire(
            generation=self._generation,
            capacity=self._receive_maximum,
            on_message=self._deliver,
            on_control=self._read_control,
        )
        try:
            async with asyncio.timeout(ATTEMPT_LIMIT):
                await self._reach(wire)
                await self._greet(wire)
                await self._subscribe(self._filters, wire)
                await self._subscribe(self._standing, wire, stands=True, qos=0)
        except BaseException:
            self._accepted = None
            wire.abort()
            await wire.end()
            raise
        wire.established()
        self._linked = True
        self._log.info("mqtt_linked", generation=self._generation)
        self._report(self._on_link, True)  # noqa: FBT003 - the port's callback takes the state of the link
        return wire

    async def _reach(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: wire, self._address.host, self._address.port, ssl=self._tls)
        except ssl.SSLCertVerificationError as error:
            raise TransportError(
                f"The certificate of {self._address} is not trusted ({error.verify_message}). "
                f"Check the CA file and the host name in the URL."
            ) from None

    async def _greet(self, wire: Wire) -> None:
        self._connack = asyncio.get_running_loop().create_future()
        self._protocol.wire = wire
        self._protocol.connect(
            self._address.host,
            self._address.port,
            keepalive=self._keep_alive,
            clean_start=False,
            properties=self._terms,
        )
        reason = await _answer(self._connack, wire)
        if reason.value in PASSING:
            raise ConnectionRefusedError(f"refused for now: {reason}")
        if reason.is_failure:
            raise TransportError(
                f"The MQTT broker {self._address} refuses client {self._client_id!r}, user {self._address.username!r}: "
                f"{reason}. Check the user name and the password or certificate."
            )

    async def _subscribe(
        self, filters: Sequence[str], wire: Wire, *, stands: bool | None = None, qos: int = 1
    ) -> None:
        if not filters:
            return
        stands = self._what_stands if stands is None else stands
        options = SubscribeOptions(
            qos=qos, noLocal=stands, retainAsPublished=True, retainHandling=0 if stands else 2
        )
        _, packet_id = self._protocol.subscribe([(topic, options) for topic in filters])
        reasons = await self._confirmation(packet_id, wire)
        if len(reasons) != len(filters):
            raise ConnectionError(f"the broker answered {len(reasons)} of {len(filters)} subscriptions")
        for topic, reason in zip(filters, reasons, strict=True):
            if reason.value != qos:
                raise TransportError(
                    f"The MQTT broker {self._address} refuses the subscription to {topic} at QoS {qos}: {reason}. "
                    f"Check the rights of user {self._address.username!r}."
                )

    async def _confirmation(self, packet_id: int | None, wire: Wire) -> list[ReasonCode]:
        answer = self._answers[packet_id] = asyncio.get_running_loop().create_future()
        try:
            return await _answer(answer, wire)
        finally:
            del self._answers[packet_id]

    def _unlink(self, *, reason: str) -> None:
        self._accepted = None
        if self._linked:
            self._linked = False
            self._log.info("mqtt_link_lost", generation=self._generation, reason=reason)
            self._report(self._on_link, False)  # noqa: FBT003 - see above

    # --- what the wire tells

    def _deliver(self, inbound: Inbound) -> None:
        try:
            self._on_message(inbound)
        except Exception as error:  # noqa: BLE001 - a callback's fault must not end the session
            self._report_failure(error)

    def _read_control(self) -> None:
        wire = self._wire
        if wire is None:
            return
        protocol = self._protocol

        def exchange() -> None:
            while (wire.unread or not wire.alive) and protocol.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                pass
            if wire.alive and protocol.want_write():
                protocol.loop_write()

        self._guarded(exchange)

    def _guarded(self, step: Callable[[], object]) -> None:
        """Take a step of paho's; should it stumble, end this connection and go on with the next."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the session outlives what the broker or paho may do
            self._log.error(
                "mqtt_protocol_failure", error=type(error).__name__, at=_origin(error.__traceback__)
            )
            if self._wire is not None:
                self._wire.abort(f"protocol failure: {type(error).__name__}")

    def _report(self, callback: Callable[[bool], None], state: bool) -> None:  # noqa: FBT001 - see above
        try:
            callback(state)
        except Exception as error:  # noqa: BLE001 - a callback's fault must not end the session
            self._report_failure(error)

    def _report_failure(self, error: Exception) -> None:
        """Log where a callback failed, without the message: it may quote a payload."""
        self.callback_failures += 1
        self._log.error("mqtt_callback_failure", error=type(error).__name__, at=_origin(error.__traceback__))

    # --- what paho tells

    def _make_protocol(self) -> _Protocol:
        protocol = _Protocol(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if self._address.username is not None:
            protocol.username_pw_set(self._address.username, self._address.password)
        if self._will is not None:
            topic, payload = self._will
            protocol.will_set(topic, payload, qos=1, retain=True)
        protocol.max_queued_messages_set(self._queued_out)
        protocol.on_connect = self._connected
        protocol.on_subscribe = protocol.on_unsubscribe = self._confirmed
        protocol.on_disconnect = self._disconnected
        return protocol

    def _connected(
        self,
        _client: Client,
        _data: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        terms: Properties | None,
    ) -> None:
        if not reason.is_failure:
            # From here on answers may leave: messages that were not acknowledged before can be next in the same read.
            self._accepted = self._wire
            # Who sends a longer packet is disconnected; at QoS 1 again and again. Two bytes less: a packet id may join it.
            self._longest_out = getattr(terms, "MaximumPacketSize", NO_LIMIT) - 2
        if self._connack is not None and not self._connack.done():
            self._connack.set_result(reason)

    def _confirmed(
        self,
        _client: Client,
        _data: object,
        packet_id: int,
        reasons: list[ReasonCode],
        _terms: Properties | None,
    ) -> None:
        answer = self._answers.get(packet_id)
        if answer is not None and not answer.done():
            answer.set_result(reasons)

    def _disconnected(
        self,
        _client: Client,
        _data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _terms: Properties | None,
    ) -> None:
        self._evicted = flags.is_disconnect_packet_from_server and reason.value == TAKEN_OVER
        self._parting_word = str(reason)

    async def _round_trip(self, topic: str, echoes: asyncio.Queue[Inbound]) -> float:
        mark, since = secrets.token_bytes(16), perf_counter()
        if not self.publish(topic, mark, qos=1):
            raise ConnectionResetError
        while (await echoes.get()).payload != mark:
            pass
        return perf_counter() - since


async def _answer(expected: asyncio.Future[_Answer], wire: Wire) -> _Answer:
    await asyncio.wait(
        {cast("asyncio.Future[object]", expected), cast("asyncio.Future[object]", wire.lost)},
        return_when=asyncio.FIRST_COMPLETED,
    )
    if not expected.done():
        raise ConnectionResetError(wire.fault or "the broker closed the connection")
    return expected.result()


def _connect_terms(session_expiry: timedelta, receive_maximum: int, longest_in: int | None) -> Properties:
    terms = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    terms.SessionExpiryInterval = int(session_expiry.total_seconds())
    terms.ReceiveMaximum = receive_maximum
    if longest_in is not None:
        terms.MaximumPacketSize = longest_in
    return terms


def _tls_context(
    address: BrokerAddress, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
) -> ssl.SSLContext | None:
    if not address.encrypted:
        if ca_file or certificate_file or key_file:
            raise TransportError(
                "Certificates are of no use with mqtt://; write mqtts:// in the broker's URL."
            )
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if certificate_file is not None:
            context.load_cert_chain(certificate_file, key_file)
    except OSError as error:
        raise TransportError(
            f"The certificate files for {address} cannot be used: {error.strerror or error}. "
            f"Check ca_file={ca_file}, certificate_file={certificate_file}, key_file={key_file}."
        ) from error
    return context


def _origin(trace: TracebackType | None) -> str:
    """Name the innermost line of a traceback."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "unknown"


def _ignore(_: object) -> None:
    """Stand in until the session is opened."""
