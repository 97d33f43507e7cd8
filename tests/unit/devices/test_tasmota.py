"""Tasmota, byte for byte: what its readers write becomes a card or nothing, and what its relay is told."""

from datetime import timedelta

import pytest

from devices.bridges.repeats import Repeats
from devices.bridges.tasmota_format import NoCard, is_reader_topic, opening, read_sensor, securing
from gatekeeper.model.badges import Card, CardTechnology

MIFARE, WIEGAND = CardTechnology.MIFARE, CardTechnology.WIEGAND
TIME = b'{"Time":"2021-01-23T13:10:50",'
SHED = "tele/shed/SENSOR"


@pytest.mark.parametrize(
    ("payload", "card"),
    [
        (
            TIME + b'"RC522":{"UID":"BA839D07","Data":"","Type":"MIFARE 1KB"}}',
            Card(MIFARE, b"\xba\x83\x9d\x07"),
        ),
        (TIME + b'"RC522":{"UID":"BA839D07"}}', Card(MIFARE, b"\xba\x83\x9d\x07")),
        (TIME + b'"RC522":{"UID":"04A1B2C3D4E5F6"}}', Card(MIFARE, bytes.fromhex("04a1b2c3d4e5f6"))),
        (
            TIME + b'"RC522":{"UID":"04A1B2C3D4E5F6070809"}}',
            Card(MIFARE, bytes.fromhex("04a1b2c3d4e5f6070809")),
        ),
        (TIME + b'"Wiegand":{"UID":4302741608,"Size":34}}', Card(WIEGAND, bytes.fromhex("010076a068"))),
        (TIME + b'"Wiegand":{"UID":7748328,"Size":26}}', Card(WIEGAND, bytes.fromhex("00763ae8"))),
        (TIME + b'"Wiegand":{"UID":1,"Size":24}}', Card(WIEGAND, b"\x00\x00\x01")),
        (TIME + b'"Wiegand":{"UID":1,"Size":32}}', Card(WIEGAND, b"\x00\x00\x00\x01")),
        (TIME + b'"Wiegand":{"UID":"763AE8h","Size":26}}', Card(WIEGAND, bytes.fromhex("00763ae8"))),
    ],
)
def test_a_reading_is_a_card(payload: bytes, card: Card):
    assert read_sensor(payload) == card


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", NoCard.MALFORMED),
        (b"\x00\xff", NoCard.MALFORMED),
        (b"null", NoCard.MALFORMED),
        (b"[]", NoCard.MALFORMED),
        (b"[" * 512, NoCard.MALFORMED),
        (b"9" * 512, NoCard.MALFORMED),
        (b"{}", NoCard.OTHER),
        (b'{"a":NaN}', NoCard.MALFORMED),
        (b" " * 513, NoCard.OVERSIZED),
        (TIME + b'"AM2301":{"Temperature":21.3}}', NoCard.OTHER),
        (TIME + b'"RC522":{"UID":"BA839D07"},"AM2301":{}}', NoCard.MALFORMED),
        (b'{"RC522":{"UID":"BA839D07"}}', NoCard.MALFORMED),
        (b'{"Time":1,"RC522":{"UID":"BA839D07"}}', NoCard.MALFORMED),
        (b'{"Time":"now","RC522":{"UID":"BA839D07"}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":"ba839d07"}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":"BA839D0"}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":"BA839D0701"}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":""}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":1}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":"BA839D07","Open":true}}', NoCard.MALFORMED),
        (TIME + b'"RC522":{"UID":"BA839D07","UID":"00000000"}}', NoCard.MALFORMED),
        (TIME + b'"RC522":"BA839D07"}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":0,"Size":26}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":-1,"Size":26}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":67108864,"Size":26}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":1.0,"Size":26}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":true,"Size":26}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":"763AE8","Size":26}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":1,"Size":"26"}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":1}}', NoCard.MALFORMED),
        (TIME + b'"Wiegand":{"UID":1234,"Size":4}}', NoCard.OTHER),
        (TIME + b'"Wiegand":{"UID":1234,"Size":8}}', NoCard.OTHER),
        (TIME + b'"Wiegand":{"UID":1,"Size":37}}', NoCard.OTHER),
    ],
)
def test_anything_else_presents_no_card(payload: bytes, why: NoCard):
    assert read_sensor(payload) is why


def test_equal_numbers_of_different_readers_are_different_cards():
    mifare = read_sensor(TIME + b'"RC522":{"UID":"00763AE8"}}')
    wiegand = read_sensor(TIME + b'"Wiegand":{"UID":7748328,"Size":26}}')
    assert isinstance(mifare, Card)
    assert isinstance(wiegand, Card)
    assert mifare.number == wiegand.number
    assert mifare != wiegand


@pytest.mark.parametrize(
    ("lasting", "pulse"),
    [
        (timedelta(milliseconds=1), 1),
        (timedelta(milliseconds=500), 5),
        (timedelta(seconds=5), 50),
        (timedelta(seconds=11.1), 111),
        (timedelta(seconds=12), 112),
        (timedelta(seconds=60), 160),
        (timedelta(days=2), 64900),
    ],
)
def test_the_relay_falls_by_itself(lasting: timedelta, pulse: int):
    assert opening(SHED, lasting) == ("cmnd/shed/Backlog", f"PulseTime1 {pulse}; Power1 ON".encode())


def test_the_relay_can_be_told_to_fall():
    assert securing("tele/house/shed/SENSOR") == ("cmnd/house/shed/Power1", b"OFF")


@pytest.mark.parametrize("topic", ["shed", "tele//SENSOR", "tele/+/SENSOR", "tele/#", "tele/shed/STATE", ""])
def test_a_topic_that_is_no_readers_is_known(topic: str):
    assert not is_reader_topic(topic)
    with pytest.raises(ValueError, match="not the topic"):
        securing(topic)


def test_a_card_that_is_touched_once_is_presented_once():
    repeats = Repeats()
    first, second = Card(MIFARE, b"1234"), Card(MIFARE, b"5678")
    assert not repeats.is_repeat(first, at=10.0)
    assert repeats.is_repeat(first, at=10.4)
    assert repeats.is_repeat(first, at=10.999)
    assert not repeats.is_repeat(first, at=11.0)
    assert not repeats.is_repeat(second, at=11.1)
    assert not repeats.is_repeat(first, at=11.2)
