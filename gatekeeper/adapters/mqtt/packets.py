"""The MQTT 5 packets of the hot path as bytes: PUBLISH in, PUBLISH out at QoS 0, PUBACK and PINGREQ out.

    fixed header        remaining length   topic            packet id       properties      payload
    0011 dup qos2 ret   1..4 bytes, 7 bit  u16 length, UTF-8  u16, QoS > 0  varint, bytes   the rest

Everything else the broker sends is cut into whole packets and passed on untouched: it is paho's.
No properties are read or written: routing is by topic (MQTT 5.0, sections 2.1.4 and 3.3).

A packet too long to hold is read as far as `LONGEST` and the rest let pass: its reader sees an oversized payload, refuses
and acknowledges it like any other. To announce a Maximum Packet Size would be simpler, and a trap: for each message that
Mosquitto (2.0.11) then withholds it loses a place in the Receive Maximum, so a gate could silence its site with a few of them.
"""

from collections.abc import Iterator

from gatekeeper.ports import Inbound

__all__ = ["LONGEST", "PINGREQ", "MalformedPacketError", "PacketReader", "puback", "publish_at_most_once"]

PUBLISH = 0x30
RETAIN = 0x01
PUBACK_HEAD = b"\x40\x02"
PINGREQ = b"\xc0\x00"

# Holds any topic (64 KiB at most) and any payload that the service accepts.
LONGEST = 128 * 1024


class MalformedPacketError(ValueError):
    """The broker sent bytes that are not MQTT 5; the connection cannot be used any further."""


def publish_at_most_once(topic: str, payload: bytes, *, retain: bool) -> bytes:
    """Return a QoS 0 PUBLISH."""
    if "+" in topic or "#" in topic or "\0" in topic:
        raise ValueError("A topic to publish on has no wildcard and no NUL.")
    name = topic.encode()
    if not 0 < len(name) <= 0xFFFF:
        raise ValueError("A topic is 1 to 65535 bytes long.")
    return b"".join(
        (
            b"\x31" if retain else b"\x30",
            _length(3 + len(name) + len(payload)),
            len(name).to_bytes(2, "big"),
            name,
            b"\0",
            payload,
        )
    )


def puback(packet_id: int) -> bytes:
    """Return the acknowledgement of a QoS 1 PUBLISH."""
    return PUBACK_HEAD + packet_id.to_bytes(2, "big")


def _length(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x200000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    if value < 0x10000000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21))
    raise ValueError("An MQTT packet holds at most 268435455 bytes.")


class PacketReader:
    """Cuts the stream of one connection into messages and the packets that are not ours to read."""

    def __init__(self, *, generation: int) -> None:
        self._generation = generation
        self._rest = b""
        self._to_skip = 0

    def feed(self, data: bytes) -> Iterator[Inbound | bytes]:
        """Yield what is complete, in order; raise MalformedPacketError where the stream breaks."""
        if self._to_skip:
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        elif self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            length = data[at + 1]
            body = at + 2
            if length & 0x80:
                header = self._long_length(data, body, length & 0x7F)
                if header is None:
                    break
                length, body = header
            stop = body + length
            held = min(stop, at + LONGEST)
            if held > end:
                break
            if data[at] & 0xF0 == PUBLISH:
                yield self._message(data, at, body, held, whole=held == stop)
            elif held == stop:
                yield data[at:stop]
            else:
                raise MalformedPacketError("The broker sent a packet that is no message and longer than any.")
            at = stop
        self._to_skip += max(0, at - end)
        self._rest = data[at:]

    @staticmethod
    def _long_length(data: bytes, at: int, length: int) -> tuple[int, int] | None:
        """Finish a length of two to four bytes: (length, where the body begins), or None for too few bytes."""
        for shift in (7, 14, 21):
            if at >= len(data):
                return None
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                return length, at
        raise MalformedPacketError("A packet's length takes more than four bytes.")

    def _message(self, data: bytes, start: int, at: int, stop: int, *, whole: bool) -> Inbound:
        head = data[start]
        qos = head >> 1 & 3
        name = at + 2
        at = name + (data[at] << 8 | data[at + 1]) if name <= stop else stop
        packet_id = 0
        end_of_topic = at
        if qos:
            at += 2
        if at >= stop or qos > 1:
            raise MalformedPacketError("A PUBLISH is cut short, or has a QoS that we did not subscribe to.")
        if qos:
            packet_id = data[end_of_topic] << 8 | data[end_of_topic + 1]
        properties = data[at]
        at += 1
        if properties & 0x80:
            header = self._long_length(data, at, properties & 0x7F)
            if header is None:
                raise MalformedPacketError("The properties of a PUBLISH are cut short.")
            properties, at = header
        at += properties
        if at > stop and whole:
            raise MalformedPacketError("The properties of a PUBLISH are cut short.")
        try:
            topic = data[name:end_of_topic].decode()
        except UnicodeDecodeError:
            raise MalformedPacketError("A topic is not UTF-8.") from None
        return Inbound(topic, data[at:stop], bool(head & RETAIN), (self._generation, packet_id))
