"""uhppoted-mqtt, byte for byte: what it tells of a controller becomes a card, a moved door or nothing, and how it is asked to open.

The form of an event and of a reply is that of documentation/commands of github.com/uhppoted/uhppoted-mqtt (v0.8); the events with
their numbers are those of uhppoted-app-home-assistant, issue 13. The keys of the HMACs are made here.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.bridges.overheard import Overheard
from devices.bridges.settings import UhppotedDoor, UhppotedSettings
from devices.bridges.uhppoted import UhppotedBridge
from devices.bridges.uhppoted_format import (
    LONGEST_ROLLOVER,
    DoorMoved,
    DoorOpened,
    Event,
    EventOrder,
    OtherEvent,
    Refusal,
    Swipe,
    opening,
    read_event,
    read_reply,
)
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId, GateId
from tests.unit.devices.overhearing import bypassed, felt, hear, left, presented, telling, written

ASSEN = ZoneInfo("Europe/Amsterdam")
KEY = hashlib.sha256(b"made at test time").hexdigest().encode()
NOON = datetime(2025, 7, 9, 9, 42, 3, tzinfo=UTC)
SITE_45_CARD_44641 = Card(CardTechnology.WIEGAND, bytes.fromhex("002dae61"))
SWIPE: dict[str, Any] = {
    "device-id": 425041860,
    "event-id": 1491,
    "event-type": 1,
    "event-type-text": "card swipe",
    "access-granted": False,
    "door-id": 1,
    "direction": 1,
    "direction-text": "in",
    "card-number": 4544641,
    "timestamp": "2025-07-09 11:42:03 CEST",
    "event-reason": 6,
    "event-reason-text": "no access rights",
}
OPENED = SWIPE | {"event-type": 2, "event-type-text": "door", "event-reason": 23, "card-number": 0}
CLOSED = OPENED | {"event-reason": 24}


def message(event: dict[str, Any]) -> bytes:
    return json.dumps({"message": {"event": event}}, separators=(",", ":")).encode()


def sealed(text: bytes, key: bytes = KEY) -> bytes:
    """A message whose value of `message` is exactly this text, with its HMAC."""
    mac = hmac.new(key, text, hashlib.sha256).hexdigest().encode()
    return b'{"message":' + text + b',"hmac":"' + mac + b'"}'


# -- what a message is ----------------------------------------------------------------------------------------------------


def test_a_swipe_is_read():
    event = read_event(message(SWIPE), key=None, zone=ASSEN)
    assert event == Swipe(
        device=425041860, number=1491, door=1, direction=1, at=NOON, card=SITE_45_CARD_44641, let_in=False
    )


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (4544641, "002dae61"),  # as it was told: site 45, card 44641
        (18429905, "00b874d1"),
        (2369, "00000941"),
        (7615080, "004c3ae8"),
        (25565535, "00ffffff"),
        (100000, "00010000"),
    ],
)
def test_a_card_of_26_bits_is_its_site_and_its_number(number: int, octets: str):
    event = read_event(message(SWIPE | {"card-number": number}), key=None, zone=ASSEN)
    assert isinstance(event, Swipe)
    assert event.card == Card(CardTechnology.WIEGAND, bytes.fromhex(octets))


@pytest.mark.parametrize("number", [0, 8165538, 65536, 25600000, 25665535, 4294967295])
def test_a_number_of_another_format_is_no_card(number: int):
    event = read_event(message(SWIPE | {"card-number": number}), key=None, zone=ASSEN)
    assert isinstance(event, Swipe)
    assert event.card is None


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (OPENED, DoorMoved),
        (CLOSED, DoorMoved),
        (OPENED | {"event-reason": 44}, DoorOpened),
        (OPENED | {"event-reason": 20}, DoorOpened),
        (OPENED | {"event-type": 3, "event-reason": 38}, DoorOpened),
        (OPENED | {"event-type": 255, "event-reason": 44}, OtherEvent),
        (OPENED | {"event-reason": 28}, OtherEvent),
        (OPENED | {"event-type": 3}, OtherEvent),
        (OPENED | {"event-type": 255}, OtherEvent),
        (SWIPE | {"access-granted": True, "event-reason": 1}, Swipe),
        ({name: value for name, value in SWIPE.items() if not name.endswith("-text")}, Swipe),
        (SWIPE | {"server-id": "uhppoted", "nonce": 7}, Swipe),
    ],
)
def test_what_an_event_is_follows_from_its_type_and_reason(event: dict[str, Any], kind: type):
    assert type(read_event(message(event), key=None, zone=ASSEN)) is kind


@pytest.mark.parametrize(
    ("timestamp", "zone", "at"),
    [
        ("2025-07-09 11:42:03 CEST", "Europe/Amsterdam", NOON),
        ("2026-01-09 11:42:03 CET", "Europe/Amsterdam", datetime(2026, 1, 9, 10, 42, 3, tzinfo=UTC)),
        ("2025-07-09 09:42:03 UTC", "UTC", NOON),
        ("2019-07-24 20:31:24 PDT", "America/Los_Angeles", datetime(2019, 7, 25, 3, 31, 24, tzinfo=UTC)),
        ("2025-07-09 12:42:03 +03", "Europe/Istanbul", NOON),
        # In the hour that comes twice the abbreviation tells which.
        ("2026-10-25 02:30:00 CEST", "Europe/Amsterdam", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00 CET", "Europe/Amsterdam", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_one_of_the_controllers_zone(timestamp: str, zone: str, at: datetime):
    event = read_event(message(SWIPE | {"timestamp": timestamp}), key=None, zone=ZoneInfo(zone))
    assert isinstance(event, Swipe)
    assert event.at == at


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-07-09 11:42:03 CET",  # summer
        "2026-01-09 11:42:03 CEST",  # winter
        "2025-07-09 11:42:03 PDT",
        "2026-03-29 02:30:00 CET",  # never on any clock
        "2026-03-29 02:30:00 CEST",
        "2025-07-09 11:42:03",
        "2025-07-09T11:42:03 CEST",
        "2025-02-30 11:42:03 CET",
        "2025-07-09 25:42:03 CEST",
        "0000-00-00 00:00:00 CET",
        "9999-12-31 23:59:59 CET ",
        "0001-01-01 00:00:00 LMT",
        "",
        "now",
        "\u0662025-07-09 11:42:03 CEST",
    ],
)
def test_a_time_that_the_zone_never_shows_is_malformed(timestamp: str):
    assert read_event(message(SWIPE | {"timestamp": timestamp}), key=None, zone=ASSEN) is Overheard.MALFORMED


@pytest.mark.parametrize(
    "event",
    [
        SWIPE | {"device-id": "425041860"},
        SWIPE | {"device-id": -1},
        SWIPE | {"device-id": 1 << 32},
        SWIPE | {"event-id": 1491.0},
        SWIPE | {"event-id": True},
        SWIPE | {"event-type": {"code": 1, "description": "card swipe"}},
        SWIPE | {"access-granted": "false"},
        SWIPE | {"access-granted": 0},
        SWIPE | {"timestamp": 0},
        SWIPE | {"card-number": None},
        SWIPE | {"open": True},
        {name: value for name, value in SWIPE.items() if name != "event-id"},
        {},
    ],
)
def test_an_event_in_another_form_is_malformed(event: dict[str, Any]):
    assert read_event(message(event), key=None, zone=ASSEN) is Overheard.MALFORMED


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Overheard.MALFORMED),
        (b"junk", Overheard.MALFORMED),
        (b"{}", Overheard.MALFORMED),
        (written({"message": []}), Overheard.MALFORMED),
        (written({"message": {}}), Overheard.MALFORMED),
        (written({"message": {"event": []}}), Overheard.MALFORMED),
        (written({"message": {"event": SWIPE, "signature": "AAAA"}}), Overheard.MALFORMED),
        (written({"message": {"event": "AAAA", "key": "AAAA"}}), Overheard.MALFORMED),
        (written({"event": SWIPE}), Overheard.MALFORMED),
        (written({"message": {"event": SWIPE}, "open": True}), Overheard.MALFORMED),
        (b'{"message":{},"message":{}}', Overheard.MALFORMED),
        (message(SWIPE)[:-3] + b',"door-id":2}}}', Overheard.MALFORMED),
        (written({"message": {"system": {"alive": {}}}}), Overheard.OTHER),
        (message(SWIPE) + b" " * 4096, Overheard.OVERSIZED),
        (b'{"message":' * 400, Overheard.OVERSIZED),
    ],
)
def test_bytes_that_are_no_event_are_known(payload: bytes, why: Overheard):
    assert read_event(payload, key=None, zone=ASSEN) is why


# -- the HMAC -------------------------------------------------------------------------------------------------------------

TEXT = json.dumps({"event": SWIPE}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        sealed(TEXT),
        sealed(json.dumps({"event": SWIPE}, indent=2).encode()),
        sealed(json.dumps({"event": SWIPE}, sort_keys=True, separators=(",", ":")).encode()),
        sealed(TEXT).replace(b'{"message":', b' { "message" :  ', 1),
        # The same two members the other way round.
        b'{"hmac":"'
        + hmac.new(KEY, TEXT, hashlib.sha256).hexdigest().encode()
        + b'","message":'
        + TEXT
        + b"}",
    ],
)
def test_the_hmac_is_over_the_text_as_it_stands(payload: bytes):
    assert isinstance(read_event(payload, key=KEY, zone=ASSEN), Swipe)


@pytest.mark.parametrize(
    "payload",
    [
        message(SWIPE),
        sealed(TEXT, key=KEY[::-1]),
        sealed(TEXT).replace(b'"door-id": 1', b'"door-id": 2'),
        sealed(TEXT).replace(b'"door-id": 1', b'"door-id":1'),
        sealed(TEXT).replace(b'{"event"', b'{ "event"'),
        sealed(TEXT).replace(b'"hmac":"', b'"hmac":"0'),
        b'{"message":'
        + TEXT
        + b',"hmac":"'
        + hmac.new(KEY, TEXT, "sha256").hexdigest().upper().encode()
        + b'"}',
        b'{"message":' + TEXT + b',"hmac":null}',
        b'{"message":' + TEXT + b',"hmac":""}',
        b'{"message":' + TEXT + b',"hmac":1}',
    ],
)
def test_what_nobody_sealed_as_it_stands_is_nothing(payload: bytes):
    assert read_event(payload, key=KEY, zone=ASSEN) is Overheard.UNAUTHENTIC


def test_without_a_key_an_hmac_is_not_asked():
    assert isinstance(read_event(sealed(TEXT), key=None, zone=ASSEN), Swipe)


REQUEST: dict[str, Any] = {
    "device": 405419896,
    "door": 4,
    "card_number": 10058400,
    "client": "shed",
    "request": "AH173635G3",
}


def test_a_door_is_opened_with_a_request_in_the_form_of_the_documentation():
    topic, payload = opening("uhppoted/gateway", **REQUEST, key=None)
    assert topic == "uhppoted/gateway/requests/device/door/lock:open"
    assert json.loads(payload) == {
        "message": {
            "request": {
                "request-id": "AH173635G3",
                "client-id": "shed",
                "reply-to": "uhppoted/gateway/replies/shed",
                "device-id": 405419896,
                "door": 4,
                "card-number": 10058400,
            }
        }
    }


def test_a_request_is_sealed_over_its_own_text():
    _, plain = opening("uhppoted/gateway", **REQUEST, key=None)
    _, payload = opening("uhppoted/gateway", **REQUEST, key=KEY)
    assert payload == sealed(plain.removeprefix(b'{"message":').removesuffix(b"}"))


REPLY: dict[str, Any] = {
    "client-id": "shed",
    "method": "open-door",
    "request-id": "AH173635G3",
    "response": {"device-id": 405419896, "door": 4, "opened": True},
    "server-id": "uhppoted",
}


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ({"reply": REPLY}, Overheard.OTHER),
        ({"reply": REPLY | {"response": {"opened": False}}}, Refusal("AH173635G3")),
        ({"error": {"method": "open-door", "request-id": "AH173635G3", "error": {}}}, Refusal("AH173635G3")),
        ({"reply": REPLY | {"method": "get-device", "response": {}}}, Overheard.OTHER),
        ({"reply": []}, Overheard.MALFORMED),
        ({}, Overheard.MALFORMED),
    ],
)
def test_a_reply_tells_whether_a_request_was_refused(reply: dict[str, Any], read: object):
    assert read_reply(written({"message": reply}), key=None) == read
    assert read_reply(sealed(json.dumps(reply).encode()), key=KEY) == read
    assert read_reply(written({"message": reply}), key=KEY) is Overheard.UNAUTHENTIC


# -- the order of events --------------------------------------------------------------------------------------------------


def moved(number: int, at: datetime = NOON) -> Event:
    return DoorMoved(device=1, number=number, door=1, direction=1, at=at, opened=True)


def shown(number: int, at: datetime = NOON) -> Event:
    return Swipe(device=1, number=number, door=1, direction=1, at=at, card=SITE_45_CARD_44641, let_in=False)


def taken(order: EventOrder, *numbers: int) -> list[Overheard | None]:
    return [order.take(moved(number), now=NOON) for number in numbers]


def test_an_event_that_is_not_ahead_is_a_repeat_or_too_late():
    late, repeated = Overheard.LATE, Overheard.REPEATED
    assert taken(EventOrder(), 1491, 1491, 1492, 1491, 1500, 1499, 1500, 1501) == [
        None, repeated, None, repeated, None, late, repeated, None,
    ]  # fmt: skip


@pytest.mark.parametrize("last", [LONGEST_ROLLOVER, 100_000])
def test_after_its_last_number_a_controller_begins_with_one(last: int):
    late, repeated = Overheard.LATE, Overheard.REPEATED
    order = EventOrder(last)
    assert taken(order, last - 1, last, 1, 1, last - 2, 2) == [None, None, None, repeated, late, None]


@pytest.mark.parametrize("number", [0, 100_001])
def test_a_number_that_no_event_has_is_none(number: int):
    assert EventOrder(100_000).take(moved(number), now=NOON) is Overheard.MALFORMED


LIES = {
    "far ahead in number": moved(1491 + LONGEST_ROLLOVER // 2),
    "far ahead in time": moved(1492, NOON + timedelta(days=365)),
    "far ahead in both": moved(1491 + LONGEST_ROLLOVER // 2, NOON + timedelta(days=365)),
    "the next number, early": moved(1492),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_no_event_silences_those_that_follow(lie: Event):
    order = EventOrder()
    assert order.take(moved(1491), now=NOON) is None
    assert order.take(lie, now=NOON) is None
    for number in range(1492, 1500):
        at = NOON + timedelta(seconds=number - 1490)
        assert order.take(moved(number, at), now=at) is None, number
        assert order.take(moved(number, at), now=at) is Overheard.REPEATED, number
    assert order.take(moved(1491), now=NOON + timedelta(minutes=1)) is Overheard.REPEATED
    assert order.take(moved(1490), now=NOON + timedelta(minutes=1)) is Overheard.LATE


def test_a_controller_whose_events_were_cleared_begins_anew():
    order = EventOrder()
    assert order.take(moved(1491), now=NOON) is None
    later = NOON + timedelta(hours=1)
    assert [order.take(moved(number, later), now=later) for number in (1, 2, 3)] == [None] * 3


def test_a_card_of_just_now_that_was_overtaken_is_new_once_and_a_doors_state_may_be_otherwise_by_now():
    order = EventOrder()
    assert order.take(moved(1492), now=NOON) is None
    just_before = NOON - timedelta(seconds=1)
    assert order.take(shown(1490, just_before), now=NOON) is None
    assert order.take(shown(1490, just_before), now=NOON) is Overheard.REPEATED
    assert order.take(moved(1491, just_before), now=NOON) is Overheard.LATE
    assert order.take(shown(1489, NOON - timedelta(seconds=31)), now=NOON) is Overheard.LATE


# -- what becomes of it ---------------------------------------------------------------------------------------------------

FRONT, YARD_IN, YARD_OUT = AccessPointId("front-in"), AccessPointId("yard-in"), AccessPointId("yard-out")
EVENTS, LIVE = "uhppoted/gateway/events", "uhppoted/gateway/events/live"
REPLIES = "uhppoted/gateway/replies/shed"


def bridge(
    *, key: bytes | None = None, now: datetime = NOON, sent: list[tuple[str, bytes]] | None = None
) -> UhppotedBridge:
    settings = UhppotedSettings(
        topic="uhppoted/gateway",
        time_zone=ASSEN,
        card_number=10058400,
        rollover=LONGEST_ROLLOVER,
        doors=(
            UhppotedDoor(access_point=FRONT, device=425041860, door=1, reader=1),
            UhppotedDoor(access_point=YARD_IN, device=425041860, door=2, reader=1),
            UhppotedDoor(access_point=YARD_OUT, device=425041860, door=2, reader=2),
        ),
        key=key,
    )
    return UhppotedBridge(
        telling(sent), settings, gate=GateId("shed"), contacts=frozenset({FRONT}), now=lambda: now
    )


async def test_an_event_on_both_topics_is_one_presentation():
    shed = bridge()
    for topic in (LIVE, EVENTS, EVENTS):
        hear(shed, topic, message(SWIPE))
    assert await presented(shed, FRONT) == [SITE_45_CARD_44641]
    assert shed.notices.counted == {Overheard.REPEATED: 2}


async def test_an_older_event_is_late_and_no_new_passage():
    shed = bridge()
    hear(shed, EVENTS, message(SWIPE))
    minute_ago = {"event-id": 1490, "card-number": 2369, "timestamp": "2025-07-09 11:41:03 CEST"}
    hear(shed, EVENTS, message(SWIPE | minute_ago))
    assert await presented(shed, FRONT) == [SITE_45_CARD_44641]
    assert shed.notices.counted == {Overheard.LATE: 1}


@pytest.mark.parametrize("seconds", [-31, 31, 3600])
async def test_a_card_that_was_not_shown_just_now_is_nobodys(seconds: int):
    shed = bridge(now=NOON + timedelta(seconds=seconds))
    hear(shed, LIVE, message(SWIPE))
    assert await presented(shed, FRONT) == []
    assert shed.notices.counted == {Overheard.LATE: 1}


async def test_a_card_is_presented_at_its_own_door_and_on_its_own_side():
    shed = bridge()
    hear(shed, LIVE, message(SWIPE | {"door-id": 2, "direction": 2}))
    assert [len(await presented(shed, point)) for point in (FRONT, YARD_IN, YARD_OUT)] == [0, 0, 1]
    hear(shed, LIVE, message(SWIPE | {"event-id": 1492, "door-id": 3}))
    hear(shed, LIVE, message(SWIPE | {"event-id": 1493, "device-id": 405419896}))
    hear(shed, LIVE, message(SWIPE | {"event-id": 1494, "direction": 2}))
    assert [len(await presented(shed, point)) for point in (FRONT, YARD_IN, YARD_OUT)] == [0, 0, 0]
    assert shed.notices.counted == {Overheard.UNKNOWN: 3}


async def test_how_a_door_is_its_newest_event_says_however_late():
    shed = bridge(now=NOON + timedelta(hours=1))
    hear(shed, EVENTS, message(OPENED))
    hear(shed, EVENTS, message(CLOSED | {"event-id": 1492}))
    hear(shed, EVENTS, message(OPENED | {"event-id": 1490}))
    contact = shed.fittings[FRONT].contact
    assert contact is not None
    assert await felt(contact.changes()) == [True, False]
    assert shed.fittings[YARD_IN].contact is None


async def test_what_is_retained_unsealed_or_no_card_presents_nobody():
    shed = bridge(key=KEY)
    hear(shed, EVENTS, sealed(TEXT), retained=True)
    hear(shed, EVENTS, message(SWIPE))
    hear(shed, EVENTS, b"junk")
    hear(shed, EVENTS, sealed(json.dumps({"event": SWIPE | {"card-number": 0}}).encode()))
    assert await presented(shed, FRONT) == []
    assert shed.notices.counted == {
        Overheard.RETAINED: 1,
        Overheard.UNAUTHENTIC: 1,
        Overheard.MALFORMED: 1,
        Overheard.NO_NUMBER: 1,
    }


async def test_a_far_number_silences_neither_cards_nor_doors():
    shed = bridge(now=NOON + timedelta(seconds=5))
    hear(shed, LIVE, message(CLOSED | {"event-id": 1 << 31}))
    for number in (1491, 1492):
        second = {"event-id": number, "timestamp": f"2025-07-09 11:42:{number - 1485:02} CEST"}
        hear(shed, LIVE, message((SWIPE if number == 1491 else OPENED) | second))
    contact = shed.fittings[FRONT].contact
    assert contact is not None
    assert await felt(contact.changes()) == [False]
    assert await presented(shed, FRONT) == [SITE_45_CARD_44641]
    assert await felt(contact.changes()) == [True]
    assert shed.notices.counted == {}


LET_IN = SWIPE | {"access-granted": True, "event-reason": 1}
FROM_AFAR = OPENED | {"event-reason": 44}


async def test_a_door_that_a_controller_opens_by_itself_is_told_each_time():
    shed = bridge()
    hear(shed, LIVE, message(LET_IN))
    assert await presented(shed, FRONT) == [SITE_45_CARD_44641]
    for number in (1492, 1493):
        hear(shed, LIVE, message(LET_IN | {"event-id": number, "door-id": 2, "direction": 2}))
    hear(shed, LIVE, message(OPENED | {"event-id": 1494, "door-id": 2, "event-reason": 25}))
    hear(shed, EVENTS, message(LET_IN))
    # Of one door with two readers the first is told of, unless a card says at which it was.
    assert [await bypassed(shed, point) for point in (FRONT, YARD_IN, YARD_OUT)] == [1, 1, 2]
    assert shed.notices.counted[Overheard.OPENED_ITSELF] == 4


async def test_that_a_controller_opened_by_itself_is_told_however_late():
    shed = bridge(now=NOON + timedelta(hours=1))
    hear(shed, EVENTS, message(LET_IN))
    assert await presented(shed, FRONT) == []
    assert await bypassed(shed, FRONT) == 1
    assert shed.notices.counted == {Overheard.OPENED_ITSELF: 1, Overheard.LATE: 1}


async def test_each_request_of_ours_has_one_echo_and_what_is_opened_from_afar_besides_is_told():
    shed = bridge()
    shed.fittings[YARD_OUT].strike.release(timedelta(seconds=5))
    hear(shed, LIVE, message(FROM_AFAR | {"door-id": 2}))
    assert await bypassed(shed, YARD_IN) == 0
    hear(shed, LIVE, message(FROM_AFAR | {"event-id": 1492, "door-id": 2}))
    hear(shed, LIVE, message(FROM_AFAR | {"event-id": 1493}))
    assert [await bypassed(shed, point) for point in (FRONT, YARD_IN, YARD_OUT)] == [1, 1, 0]


@pytest.mark.parametrize("reason", [44, 20, 25], ids=["from afar", "by its button", "by a code"])
async def test_of_doors_that_nobody_fitted_nothing_is_kept(reason: int):
    shed = bridge()
    before = set(shed._echoes)
    for number in range(50):
        opened = OPENED | {"event-id": 1491 + number, "door-id": 3 + number, "event-reason": reason}
        hear(shed, LIVE, message(opened))
    assert sum(shed.notices.counted.values()) == 50
    assert set(shed._echoes) == before
    assert [await bypassed(shed, point) for point in (FRONT, YARD_IN, YARD_OUT)] == [0, 0, 0]


async def test_a_forced_door_is_told_by_its_contact_where_it_has_one():
    shed = bridge()
    forced = OPENED | {"event-type": 3, "event-reason": 38}
    hear(shed, LIVE, message(forced))
    hear(shed, LIVE, message(forced | {"event-id": 1492, "door-id": 2}))
    assert [await bypassed(shed, point) for point in (FRONT, YARD_IN, YARD_OUT)] == [0, 1, 0]


async def test_who_presses_the_button_of_a_door_asks_to_leave():
    shed = bridge()
    hear(shed, LIVE, message(OPENED | {"event-reason": 20}))
    assert await left(shed, FRONT) == 1
    assert await bypassed(shed, FRONT) == 0


async def test_a_request_that_was_refused_is_noticed():
    shed = bridge()
    hear(shed, REPLIES, written({"message": {"reply": REPLY}}))
    hear(shed, REPLIES, written({"message": {"reply": REPLY | {"response": {"opened": False}}}}))
    hear(shed, REPLIES, b"junk")
    hear(shed, REPLIES, written({"message": {"reply": REPLY}}), retained=True)
    assert shed.notices.counted == {
        Overheard.OTHER: 1,
        Overheard.REFUSED_TO_OPEN: 1,
        Overheard.MALFORMED: 1,
        Overheard.RETAINED: 1,
    }


async def test_every_request_to_open_has_a_name_of_its_own_and_falls_back_by_itself():
    sent: list[tuple[str, bytes]] = []
    shed = bridge(key=KEY, sent=sent)
    for _ in range(2):
        shed.fittings[YARD_OUT].strike.release(timedelta(seconds=5))
        shed.fittings[YARD_OUT].strike.secure()
    requests = [json.loads(payload)["message"]["request"] for _, payload in sent]
    assert [request["door"] for request in requests] == [2, 2]
    assert len({request["request-id"] for request in requests}) == 2
