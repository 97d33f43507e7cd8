"""esp-rfid, byte for byte: what its devices write becomes a card, a moved door or nothing, and what a relay is told.

The messages are those of README-MQTT.md of github.com/esprfid/esp-rfid, and what src/mqtt.esp (branch dev) writes.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devices.bridges.esp_rfid import EspRfidBridge
from devices.bridges.esp_rfid_format import (
    Access,
    Alive,
    CardForm,
    DoorMoved,
    OpenedItself,
    opening,
    read_message,
)
from devices.bridges.overheard import Overheard
from devices.bridges.settings import EspRfidDoor, EspRfidSettings
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId
from tests.unit.devices.overhearing import bypassed, felt, hear, left, presented, telling, written

TIME = 1605991375
AT = datetime.fromtimestamp(TIME, UTC)
W26 = CardForm.WIEGAND_26
CARD = Card(CardTechnology.WIEGAND, bytes.fromhex("00763ae8"))
DENIED = {
    "type": "access",
    "time": TIME,
    "isKnown": "false",
    "access": "Denied",
    "username": "Unknown",
    "uid": "7748328",
    "hostname": "shed",
}
KNOWN = DENIED | {"isKnown": "true", "access": "Always", "username": "username"}
OPENED_BY_MQTT = KNOWN | {"username": "MQTT", "uid": " ", "doorName": "front"}
OPENED_BY_BUTTON = KNOWN | {"username": "Button", "uid": " ", "doorName": "front", "pincode": " "}
HEARTBEAT = {"type": "heartbeat", "time": TIME, "uptime": 999, "ip": "192.168.1.20", "hostname": "shed"}
BOOT = {"type": "boot", "time": 1605987212, "uptime": "0", "ip": "192.168.1.20", "hostname": "shed"}
DOOR_OPEN = {
    "type": "INFO",
    "src": "door",
    "desc": "Door Open",
    "data": "",
    "time": TIME,
    "cmd": "event",
    "hostname": "shed",
}
DOOR_CLOSED = DOOR_OPEN | {"desc": "Door Closed"}


# -- what a message is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "opened"),
    [
        (DENIED, set()),
        (DENIED | {"cmd": "log"}, set()),
        (DENIED | {"doorName": "front"}, set()),
        (DENIED | {"pincode": "1234"}, set()),
        ({name: value for name, value in DENIED.items() if name != "hostname"} | {"door": "shed"}, set()),
        (KNOWN | {"access": "Disabled"}, set()),
        (KNOWN | {"access": "Expired"}, set()),
        (KNOWN | {"access": "Wrong pin code"}, set()),
        (KNOWN, None),
        (KNOWN | {"access": "Admin"}, None),
        (KNOWN | {"access": ["Disabled", "Disabled"], "doorName": ["front", "yard"]}, set()),
        (KNOWN | {"access": ["Always", "Disabled"], "doorName": ["front", "yard"]}, {0}),
        (KNOWN | {"access": ["Disabled", "Always"], "doorName": ["front", "yard"]}, {1}),
        (KNOWN | {"access": ["Admin"] * 4, "doorName": ["a", "b", "c", "d"]}, {0, 1, 2, 3}),
    ],
)
def test_a_card_is_read_whatever_the_device_thinks_of_it(message: dict[str, Any], opened: set[int] | None):
    relays = None if opened is None else frozenset(opened)
    read = read_message(written(message), form=W26)
    assert read == Access("shed", CARD, AT, relays)
    assert isinstance(read, Access)
    assert read.let_in is (opened != set())


@pytest.mark.parametrize("time", [0, 17, -1, 1_577_836_799])
def test_a_device_that_is_before_any_that_knows_the_time_has_no_clock(time: int):
    assert read_message(written(DENIED | {"time": time}), form=W26) == Access("shed", CARD, None, frozenset())


@pytest.mark.parametrize(
    ("form", "uid", "card"),
    [
        (CardForm.MIFARE, "ba839d17", Card(CardTechnology.MIFARE, bytes.fromhex("ba839d17"))),
        (CardForm.MIFARE, "BA839D07", Card(CardTechnology.MIFARE, bytes.fromhex("ba839d07"))),
        (CardForm.MIFARE, "14a1b2c3d4e5f6", Card(CardTechnology.MIFARE, bytes.fromhex("14a1b2c3d4e5f6"))),
        (CardForm.WIEGAND_26, "7748328", CARD),
        (CardForm.WIEGAND_26, "1", Card(CardTechnology.WIEGAND, b"\0\0\0\1")),
        (CardForm.WIEGAND_26, "16777215", Card(CardTechnology.WIEGAND, b"\0\xff\xff\xff")),
        (CardForm.WIEGAND_26_HEX, "763ae8", CARD),
        # The card that Tasmota reports as 4302741608 at 34 bits: its first bit is the parity that is left out here.
        (CardForm.WIEGAND_34, "7774312", Card(CardTechnology.WIEGAND, bytes.fromhex("010076a068"))),
        (CardForm.WIEGAND_34_HEX, "76a068", Card(CardTechnology.WIEGAND, bytes.fromhex("010076a068"))),
        (CardForm.WIEGAND_34, "3", Card(CardTechnology.WIEGAND, bytes.fromhex("0000000003"))),
        (CardForm.WIEGAND_34, "4294967295", Card(CardTechnology.WIEGAND, bytes.fromhex("00ffffffff"))),
    ],
)
def test_a_number_is_spelled_as_every_other_reader_spells_it(form: CardForm, uid: str, card: Card):
    told = read_message(written(DENIED | {"uid": uid}), form=form)
    assert isinstance(told, Access)
    assert told.card == card


@pytest.mark.parametrize(
    ("form", "uid"),
    [
        # Without leading zeros 04 a1 b2 c3 and 4a 01 b2 c3 are the same text.
        (CardForm.MIFARE, "4a1b2c3"),
        (CardForm.MIFARE, "4a1b2c3d4e5f6"),
        (CardForm.MIFARE, "ba839d1"),
        (CardForm.MIFARE, "ba839d0g"),
        (CardForm.MIFARE, "\uff11" * 8),
        (CardForm.WIEGAND_26, "0"),
        (CardForm.WIEGAND_26, "07748328"),
        (CardForm.WIEGAND_26, "16777216"),
        (CardForm.WIEGAND_26, "763ae8"),
        (CardForm.WIEGAND_26, "-1"),
        (CardForm.WIEGAND_26, "+1"),
        (CardForm.WIEGAND_26, "1_0"),
        (CardForm.WIEGAND_26, "1 "),
        (CardForm.WIEGAND_26, "\u0661"),
        (CardForm.WIEGAND_26_HEX, "0763ae8"),
        (CardForm.WIEGAND_26_HEX, "1000000"),
        (CardForm.WIEGAND_34, "4294967296"),
        (CardForm.WIEGAND_34_HEX, "100000000"),
    ],
)
def test_a_text_that_is_the_number_of_no_one_card_is_no_number(form: CardForm, uid: str):
    assert read_message(written(DENIED | {"uid": uid}), form=form) == Access("shed", None, AT, frozenset())


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (HEARTBEAT, Alive("shed", "192.168.1.20")),
        (BOOT, Alive("shed", "192.168.1.20")),
        (DOOR_OPEN, DoorMoved("shed", opened=True)),
        (DOOR_CLOSED, DoorMoved("shed", opened=False)),
        (OPENED_BY_MQTT, OpenedItself("shed", told=True)),
        (OPENED_BY_BUTTON, OpenedItself("shed", told=False)),
        (KNOWN | {"username": "MQTT", "uid": ""}, OpenedItself("shed", told=True)),
    ],
)
def test_what_else_a_device_tells_of_itself(message: dict[str, Any], told: object):
    assert read_message(written(message), form=W26) == told


@pytest.mark.parametrize(
    "message",
    [
        DOOR_OPEN | {"src": "doorbell", "desc": "Doorbell ringing"},
        DOOR_OPEN
        | {"type": "WARN", "src": "rfid", "desc": "Unknown rfid tag is scanned", "data": "7748328 26"},
        DOOR_OPEN | {"type": "WARN", "src": "tamper", "desc": "Door was tampered!"},
        DOOR_OPEN | {"src": "updt", "desc": "Firmware update started", "data": "file name"},
        DOOR_OPEN | {"type": "ERRO", "src": "mqtt", "desc": "Dropping MQTT message, out of memory"},
        DOOR_OPEN | {"src": "sys", "desc": "System setup completed, running"},
        DOOR_OPEN | {"desc": "Door Ajar"},
        {"type": "adduser", "ip": "192.168.1.20", "hostname": "shed"},
        {"command": "userfile", "uid": "1234", "user": "User Name", "acctype": 1, "validuntil": 1608336000},
        {"list": []},
    ],
)
def test_the_rest_of_what_a_device_logs_is_of_no_concern(message: dict[str, Any]):
    assert read_message(written(message), form=W26) is Overheard.OTHER


@pytest.mark.parametrize(
    "message",
    [
        DENIED | {"isKnown": False},
        DENIED | {"isKnown": True},
        DENIED | {"isKnown": "False"},
        DENIED | {"isKnown": "true"},
        DENIED | {"access": "Always"},
        DENIED | {"access": ["Denied"], "doorName": ["front"]},
        KNOWN | {"access": "Denied"},
        KNOWN | {"access": [None, []], "doorName": ["front", "yard"]},
        KNOWN | {"access": "always"},
        KNOWN | {"access": 1},
        KNOWN | {"access": [], "doorName": []},
        KNOWN | {"access": ["Always"], "doorName": "front"},
        KNOWN | {"access": ["Always"]},
        KNOWN | {"access": ["Always", "Always"], "doorName": ["front"]},
        KNOWN | {"access": ["Always", 99], "doorName": ["front", "yard"]},
        KNOWN | {"access": ["Always", "Maybe"], "doorName": ["front", "yard"]},
        KNOWN | {"access": ["Always"], "doorName": [1]},
        KNOWN | {"access": ["Always"] * 5, "doorName": ["front"] * 5},
        KNOWN | {"doorName": 1},
        DENIED | {"uid": 7748328},
        DENIED | {"uid": ""},
        DENIED | {"uid": " "},
        DENIED | {"time": "1605991375"},
        DENIED | {"time": True},
        DENIED | {"time": 1 << 62},
        DENIED | {"username": None},
        DENIED | {"hostname": 1},
        DENIED | {"open": True},
        {"type": "access"},
        HEARTBEAT | {"ip": 1},
        HEARTBEAT | {"uptime": 1.5},
        HEARTBEAT | {"time": True},
        HEARTBEAT | {"hostname": None},
        HEARTBEAT | {"relay": 1},
        {"type": 1},
        {},
    ],
)
def test_a_message_in_another_form_is_malformed(message: dict[str, Any]):
    assert read_message(written(message), form=W26) is Overheard.MALFORMED


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Overheard.MALFORMED),
        (b"junk", Overheard.MALFORMED),
        (written(DENIED)[:-1] + b',"uid":"1"}', Overheard.MALFORMED),
        (written(DENIED) + b" " * 1024, Overheard.OVERSIZED),
        (b"[" * 1024, Overheard.MALFORMED),
    ],
)
def test_bytes_that_are_no_message_are_known(payload: bytes, why: Overheard):
    assert read_message(payload, form=W26) is why


def test_a_relay_is_opened_by_the_address_of_its_device():
    assert opening("rfid", ip="192.168.1.20", relay=None) == (
        "rfid/cmd",
        b'{"cmd":"opendoor","doorip":"192.168.1.20"}',
    )
    assert opening("rfid", ip="192.168.1.20", relay=2) == (
        "rfid/cmd",
        b'{"cmd":"open","door":"2","doorip":"192.168.1.20"}',
    )


# -- what becomes of it ---------------------------------------------------------------------------------------------------

FRONT, YARD, BARN = AccessPointId("front-in"), AccessPointId("yard-in"), AccessPointId("barn-in")


def bridge(
    *, heartbeat: float = 180, now: datetime = AT, sent: list[tuple[str, bytes]] | None = None
) -> EspRfidBridge:
    settings = EspRfidSettings(
        topic="rfid",
        cards=W26,
        heartbeat=timedelta(seconds=heartbeat),
        doors=(
            EspRfidDoor(access_point=FRONT, hostname="shed", ip="192.168.1.20", relay=0),
            EspRfidDoor(access_point=YARD, hostname="shed", ip="192.168.1.20", relay=1),
            EspRfidDoor(access_point=BARN, hostname="barn", ip="192.168.1.21", relay=None),
        ),
    )
    return EspRfidBridge(telling(sent), settings, contacts=frozenset({FRONT}), now=lambda: now)


def tell(bridge: EspRfidBridge, *messages: dict[str, Any]) -> None:
    for message in messages:
        hear(bridge, "rfid/send", written(message))


async def test_a_card_is_presented_at_every_door_of_its_device_and_at_no_other():
    shed = bridge()
    tell(shed, DENIED)
    assert [await presented(shed, point) for point in (FRONT, YARD, BARN)] == [[CARD], [CARD], []]
    tell(shed, DENIED | {"hostname": "barn"})
    assert [await presented(shed, point) for point in (FRONT, YARD, BARN)] == [[], [], [CARD]]


async def test_a_message_that_comes_twice_is_one_touch_and_two_cards_are_two():
    shed = bridge()
    tell(shed, DENIED, DENIED, DENIED | {"time": 1605991376}, DENIED | {"uid": "1"}, DENIED)
    assert len(await presented(shed, FRONT)) == 3
    assert shed.notices.counted == {Overheard.REPEATED: 2}


async def test_what_the_broker_kept_and_what_others_say_presents_nobody():
    shed = bridge()
    hear(shed, "rfid/send", written(DENIED), retained=True)
    hear(shed, "rfid/send", b"junk")
    tell(shed, DENIED | {"hostname": "elsewhere"}, DENIED | {"uid": "0"})
    assert await presented(shed, FRONT) == []
    assert shed.notices.counted == {
        Overheard.RETAINED: 1,
        Overheard.MALFORMED: 1,
        Overheard.UNKNOWN: 1,
        Overheard.NO_NUMBER: 1,
    }


async def test_a_device_that_is_found_elsewhere_presents_nobody_until_it_is_back():
    shed = bridge()
    tell(shed, HEARTBEAT | {"ip": "192.168.1.99"}, DENIED)
    assert await presented(shed, FRONT) == []
    assert shed.notices.counted == {Overheard.ELSEWHERE: 2}
    tell(shed, HEARTBEAT, DENIED)
    assert await presented(shed, FRONT) == [CARD]


@pytest.mark.parametrize("seconds", [-31, 31, 5 * 365 * 86400])
async def test_a_card_that_was_not_shown_just_now_is_nobodys(seconds: int):
    shed = bridge(now=AT + timedelta(seconds=seconds))
    tell(shed, DENIED)
    assert await presented(shed, FRONT) == []
    assert shed.notices.counted == {Overheard.LATE: 1}
    # The first after it is heard as if nothing was said before.
    tell(shed, DENIED | {"time": TIME + seconds})
    assert await presented(shed, FRONT) == [CARD]


async def test_a_device_without_a_clock_is_believed_that_it_is_now():
    shed = bridge(now=AT + timedelta(days=2000))
    tell(shed, DENIED | {"time": 12})
    assert await presented(shed, FRONT) == [CARD]


async def test_each_door_that_a_device_opens_by_itself_is_told_each_time_and_its_card_is_asked_about_all_the_same():
    shed = bridge()
    tell(shed, KNOWN | {"access": ["Always", "Disabled"], "doorName": ["front", "yard"]})
    assert await presented(shed, FRONT) == [CARD]
    for _ in range(2):
        tell(shed, KNOWN | {"access": ["Disabled", "Always"], "doorName": ["front", "yard"]})
    assert [await bypassed(shed, point) for point in (FRONT, YARD, BARN)] == [1, 2, 0]
    tell(shed, KNOWN | {"hostname": "barn", "access": ["Always"], "doorName": ["barn"]})
    assert [await bypassed(shed, point) for point in (FRONT, YARD, BARN)] == [0, 0, 1]
    # Which of its doors a device has opened it does not always say.
    tell(shed, OPENED_BY_MQTT)
    assert [await bypassed(shed, point) for point in (FRONT, YARD, BARN)] == [1, 1, 0]
    assert shed.notices.counted == {Overheard.OPENED_ITSELF: 5, Overheard.REPEATED: 2}


@pytest.mark.parametrize("lie", [{"time": 1}, {"time": TIME + 10**8}, {"uid": "0"}])
async def test_a_door_that_was_opened_is_told_whatever_else_is_the_matter_with_the_message(
    lie: dict[str, Any],
):
    shed = bridge()
    tell(shed, HEARTBEAT | {"ip": "192.168.1.99"}, KNOWN | lie)
    assert await presented(shed, FRONT) == []
    assert await bypassed(shed, FRONT) == 1


async def test_who_presses_the_button_beside_the_door_asks_to_leave_by_the_first_relays_door():
    shed = bridge()
    tell(shed, OPENED_BY_BUTTON, OPENED_BY_BUTTON, OPENED_BY_BUTTON | {"hostname": "barn"})
    assert (await left(shed, FRONT), await left(shed, BARN)) == (2, 1)
    assert shed.fittings[YARD].request_to_exit is None
    assert await bypassed(shed, FRONT) == 0


async def test_a_door_is_opened_by_its_relay_and_falls_back_by_itself():
    sent: list[tuple[str, bytes]] = []
    shed = bridge(sent=sent)
    for point in (YARD, BARN):
        shed.fittings[point].strike.release(timedelta(seconds=5))
        shed.fittings[point].strike.secure()
    assert sent == [
        ("rfid/cmd", b'{"cmd":"open","door":"1","doorip":"192.168.1.20"}'),
        ("rfid/cmd", b'{"cmd":"opendoor","doorip":"192.168.1.21"}'),
    ]


async def test_each_command_of_ours_has_one_echo_and_what_is_opened_besides_is_told():
    shed = bridge()
    shed.fittings[FRONT].strike.release(timedelta(seconds=5))
    tell(shed, OPENED_BY_MQTT)
    assert shed.notices.counted == {Overheard.OTHER: 1}
    tell(shed, OPENED_BY_MQTT, OPENED_BY_MQTT | {"hostname": "barn"})
    assert [await bypassed(shed, point) for point in (FRONT, BARN)] == [1, 1]


async def test_the_sensor_of_a_device_is_the_contact_of_the_door_that_has_one():
    shed = bridge()
    tell(shed, DOOR_CLOSED, DOOR_OPEN, DOOR_OPEN, DOOR_CLOSED)
    contact = shed.fittings[FRONT].contact
    assert contact is not None
    assert await felt(contact.changes()) == [False, True, False]
    assert shed.fittings[YARD].contact is None


async def test_a_card_and_a_door_keep_their_order():
    shed = bridge()
    seen: list[tuple[str, object]] = []
    front = shed.fittings[FRONT]
    assert front.contact is not None

    def note(by: str, item: Any) -> None:
        seen.append((by, item if by == "contact" else item.credential.card.number[-1]))

    async def watch(by: str, items: AsyncIterator[Any]) -> None:
        async for item in items:
            note(by, item)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(watch("reader", front.reader.badges())),
            group.create_task(watch("contact", front.contact.changes())),
        ]
        tell(shed, DENIED, DOOR_OPEN, DENIED | {"uid": "1"}, DOOR_CLOSED, DENIED | {"uid": "2"})
        for _ in range(20):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    assert seen == [("reader", 0xE8), ("contact", True), ("reader", 1), ("contact", False), ("reader", 2)]


async def test_a_device_that_falls_silent_is_told_as_lost_and_as_heard_when_it_is_back():
    shed = bridge(heartbeat=0.02)
    heard = shed.fittings[YARD].heard
    assert heard is not None
    told = heard.changes()
    assert await anext(told) is False, "never heard"
    tell(shed, BOOT)
    assert await anext(told) is True
    tell(shed, HEARTBEAT)
    assert await anext(told) is False, "heard twice is told once"
    tell(shed, DENIED)
    assert await anext(told) is True
