"""The hot path's packets, byte for byte; paho's own codec is the oracle for what we write."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion

from gatekeeper.adapters.mqtt.packets import (
    LONGEST,
    MalformedPacketError,
    PacketReader,
    puback,
    publish_at_most_once,
)

CONNACK = bytes.fromhex("2003000000")
PINGRESP = bytes.fromhex("d000")

topics = st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
payloads = st.one_of(st.binary(max_size=300), st.integers(16_000, 17_000).map(bytes))


def reader() -> PacketReader:
    return PacketReader(generation=7)


def body_of(packet: bytes) -> bytes:
    at = 1
    while packet[at] & 0x80:
        at += 1
    return packet[at + 1 :]


@given(topic=topics, payload=payloads, retain=st.booleans())
def test_what_is_published_reads_as_the_same_message(topic: str, payload: bytes, retain: bool) -> None:  # noqa: FBT001
    packet = publish_at_most_once(topic, payload, retain=retain)
    oracle = decode_publish(packet[0], body_of(packet), MQTTProtocolVersion.MQTTv5)
    assert (oracle.topic.decode(), oracle.payload, oracle.retain, oracle.qos) == (topic, payload, retain, 0)
    (inbound,) = reader().feed(packet)
    assert (inbound.topic, inbound.payload, inbound.retained, inbound.receipt) == (
        topic,
        payload,
        retain,
        (7, 0),
    )


@given(
    payloads=st.lists(st.binary(max_size=200), max_size=8), cuts=st.lists(st.integers(0, 2000), max_size=20)
)
def test_the_stream_may_be_cut_anywhere(payloads: list[bytes], cuts: list[int]) -> None:
    packets = [
        CONNACK,
        *(publish_at_most_once("a/b", payload, retain=False) for payload in payloads),
        PINGRESP,
    ]
    stream = b"".join(packets)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    incoming = reader()
    read = [packet for start, stop in pairwise(edges) for packet in incoming.feed(stream[start:stop])]
    assert read[0] == CONNACK
    assert read[-1] == PINGRESP
    assert [message.payload for message in read[1:-1]] == payloads


@pytest.mark.parametrize(
    ("packet", "topic", "payload", "retained", "packet_id"),
    [
        ("30 05 0001 61 00 78", "a", b"x", False, 0),
        ("31 05 0001 61 00 78", "a", b"x", True, 0),
        ("32 07 0001 61 abcd 00 78", "a", b"x", False, 0xABCD),
        ("3a 07 0001 61 0001 00 78", "a", b"x", False, 1),  # sent again
        ("33 0c 0001 61 0001 05 02 0000003c 78", "a", b"x", True, 1),  # with an expiry
        ("32 06 0001 61 0001 00", "a", b"", False, 1),
    ],
)
def test_a_message_is_read_field_by_field(
    packet: str,
    topic: str,
    payload: bytes,
    retained: bool,  # noqa: FBT001
    packet_id: int,
) -> None:
    (inbound,) = reader().feed(bytes.fromhex(packet))
    assert (inbound.topic, inbound.payload, inbound.retained) == (topic, payload, retained)
    assert inbound.receipt == (7, packet_id)


def test_properties_longer_than_127_bytes_are_skipped() -> None:
    name, value = b"\0\x01k", b"\0\xc8" + bytes(200)
    properties = b"\x26" + name + value
    body = (
        b"\0\x01a\0\x05"
        + bytes([len(properties) & 0x7F | 0x80, len(properties) >> 7])
        + properties
        + b"payload"
    )
    (inbound,) = reader().feed(b"\x32" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body)
    assert (inbound.payload, inbound.receipt) == (b"payload", (7, 5))


@pytest.mark.parametrize(
    "packet",
    [
        "30 00",  # no topic length
        "30 01 00",
        "30 02 0001",  # no topic
        "30 03 0001 61",  # no properties
        "30 05 00ff 61 00 78",  # a topic beyond the packet
        "32 05 0001 61 00 01",  # no properties after the packet id
        "34 07 0001 61 0001 00 78",  # QoS 2
        "36 07 0001 61 0001 00 78",  # QoS 3
        "30 05 0001 61 7f 78",  # properties beyond the packet
        "30 05 0001 61 ff ff",  # an unfinished length of properties
        "30 08 0001 61 ffffffff 78",  # an endless length of properties
        "30 05 0001 ff 00 78",  # a topic that is not UTF-8
        "30 ffffffff 7f",  # an endless length
    ],
)
def test_a_packet_that_is_not_mqtt_breaks_the_connection(packet: str) -> None:
    with pytest.raises(MalformedPacketError):
        list(reader().feed(bytes.fromhex(packet)))


@pytest.mark.parametrize("cut", [1000, LONGEST - 1, LONGEST, LONGEST + 1, 300_000, 2_999_999, 3_000_000])
def test_a_message_too_long_to_hold_is_cut_and_the_next_one_is_whole(cut: int) -> None:
    long, short = bytes(3_000_000), b"short"
    stream = publish_at_most_once("a/b", long, retain=True) + publish_at_most_once("a/b", short, retain=False)
    incoming = reader()
    first, second = (message for part in (stream[:cut], stream[cut:]) for message in incoming.feed(part))
    assert (first.topic, first.retained, second.payload) == ("a/b", True, short)
    assert LONGEST - 100 < len(first.payload) < LONGEST


def test_a_message_with_properties_too_long_to_hold_arrives_without_payload() -> None:
    properties = b"\x26\0\x01k\xff\xff" + bytes(0xFFFF)
    body = b"\0\x01a\0\x05" + b"\x98\x80\x10" + (properties * 4)[:0x40018] + b"payload"
    stream = b"\x32" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14]) + body
    first, second = reader().feed(stream + publish_at_most_once("b", b"next", retain=False))
    assert (first.topic, first.payload, first.receipt) == ("a", b"", (7, 5))
    assert second.payload == b"next"


def test_a_packet_that_is_no_message_and_longer_than_any_breaks_the_connection() -> None:
    with pytest.raises(MalformedPacketError):
        list(reader().feed(b"\x90\xff\xff\x7f" + bytes(LONGEST)))


def test_what_is_not_complete_is_waited_for() -> None:
    stream = publish_at_most_once("a/b", bytes(20_000), retain=False)
    incoming = reader()
    parts = [list(incoming.feed(stream[at : at + 1])) for at in range(len(stream))]
    assert [len(part) for part in parts] == [0] * (len(stream) - 1) + [1]


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused_and_nothing_else(stream: bytes) -> None:
    try:
        list(reader().feed(stream))
    except MalformedPacketError:
        return


def test_an_acknowledgement_names_the_packet() -> None:
    assert puback(0xABCD) == bytes.fromhex("4002abcd")


@pytest.mark.parametrize("topic", ["", "gk/+/x", "gk/#", "a\0b", "x" * 65_536])
def test_a_topic_that_cannot_be_published_on_is_a_fault_of_the_caller(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        publish_at_most_once(topic, b"", retain=False)
