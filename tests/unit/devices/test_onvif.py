"""ONVIF's event broker, byte for byte: what an access controller publishes becomes a card, a door's state or nothing.

The form is that of ONVIF Core, "JSON Event Payload"; topics and items are those of the Access Control and Door Control services.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devices.bridges.onvif import OnvifBridge
from devices.bridges.onvif_format import (
    DOOR_TOPICS,
    POINT_TOPICS,
    Alarm,
    Asked,
    DoorState,
    LetIn,
    LetOut,
    Shown,
    Tamper,
    read_state,
    read_touch,
    topics_of,
)
from devices.bridges.overheard import Overheard
from devices.bridges.settings import OnvifDoor, OnvifSettings
from gatekeeper.model.badges import Card, CardTechnology
from gatekeeper.model.ids import AccessPointId
from tests.unit.devices.overhearing import bypassed, felt, hear, left, presented, telling, written

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
GRANTED, DENIED = "AccessControl/AccessGranted/Credential", "AccessControl/Denied/Credential"
NOT_FOUND = "AccessControl/Denied/CredentialNotFound"
ANONYMOUS = "AccessControl/AccessGranted/Anonymous"
REQUEST = "AccessControl/Request/Identifier"
PHYSICAL, TAMPER, ALARM = DOOR_TOPICS
CARD = Card(CardTechnology.WIEGAND, bytes.fromhex("00763ae8"))
TOKEN: dict[str, Any] = {"CredentialToken": "wiegand-00763ae8", "CredentialHolderName": "A. Name"}
NUMBER: dict[str, Any] = {"IdentifierType": "pt:Card", "FormatType": "WIEGAND26", "IdentifierValue": "763AE8"}


def touch(content: dict[str, Any], *, at: datetime = AT, of: str = "AP1", **more: Any) -> dict[str, Any]:
    return {"UtcTime": _z(at), "Source": {"AccessPointToken": of}, "Data": content, **more}


def state(value: str, *, at: datetime = AT, of: str = "D1", **more: Any) -> dict[str, Any]:
    return {"UtcTime": _z(at), "Source": {"DoorToken": of}, "Data": {"State": value, **more}}


def _z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


# -- what a message is ----------------------------------------------------------------------------------------------------


def test_the_topics_are_those_of_the_specification_with_and_without_its_namespace():
    assert topics_of("onvif/front", (PHYSICAL,), "D1") == {
        "onvif/front/onvif-ej/Door/State/DoorPhysicalState/&D1": PHYSICAL,
        "onvif/front/onvif-ej/tns1:Door/State/DoorPhysicalState/&D1": PHYSICAL,
    }


@pytest.mark.parametrize(
    ("local", "content", "read"),
    [
        (GRANTED, TOKEN, Shown(at=AT, card=CARD, let_in=True)),
        (GRANTED, TOKEN | {"External": False}, Shown(at=AT, card=CARD, let_in=True)),
        (GRANTED, TOKEN | {"External": "false"}, Shown(at=AT, card=CARD, let_in=True)),
        (DENIED, TOKEN | {"Reason": "Unauthorized"}, Shown(at=AT, card=CARD, let_in=False)),
        ("AccessControl/AccessGranted/Identifier", NUMBER, Shown(at=AT, card=CARD, let_in=True)),
        ("AccessControl/Denied/Identifier", NUMBER, Shown(at=AT, card=CARD, let_in=False)),
        (NOT_FOUND, NUMBER, Shown(at=AT, card=CARD, let_in=False)),
        (REQUEST, NUMBER, Asked(at=AT, card=CARD)),
        ("AccessControl/Request/Credential", TOKEN, Asked(at=AT, card=CARD)),
    ],
)
def test_a_card_is_read_whatever_the_controller_thinks_of_it(
    local: str, content: dict[str, Any], read: object
):
    assert local in POINT_TOPICS
    assert read_touch(local, written(touch(content)), token="AP1") == read
    assert read_touch(local, written(touch(content, Key={})), token="AP1") == read


@pytest.mark.parametrize(
    ("content", "card"),
    [
        (NUMBER | {"IdentifierValue": "ffffff"}, Card(CardTechnology.WIEGAND, b"\0\xff\xff\xff")),
        (
            NUMBER | {"FormatType": "SIMPLE_NUMBER32", "IdentifierValue": "BA839D07"},
            Card(CardTechnology.MIFARE, bytes.fromhex("ba839d07")),
        ),
        (
            NUMBER | {"FormatType": "SIMPLE_NUMBER56", "IdentifierValue": "04A1B2C3D4E5F6"},
            Card(CardTechnology.MIFARE, bytes.fromhex("04a1b2c3d4e5f6")),
        ),
    ],
)
def test_an_identifier_is_spelled_as_every_other_reader_spells_it(content: dict[str, Any], card: Card):
    assert read_touch(NOT_FOUND, written(touch(content)), token="AP1") == Shown(
        at=AT, card=card, let_in=False
    )


@pytest.mark.parametrize("token", ["mifare-ba839d07", "wiegand-010076a068"])
def test_a_token_that_is_spelled_like_a_card_is_one(token: str):
    technology, number = token.split("-")
    read = read_touch(DENIED, written(touch({"CredentialToken": token})), token="AP1")
    assert isinstance(read, Shown)
    assert read.card == Card(CardTechnology[technology.upper()], bytes.fromhex(number))


@pytest.mark.parametrize(
    ("local", "content"),
    [
        (GRANTED, {"CredentialToken": "5fba94a4-8601-4627-bdda-cc408f69e026"}),
        (GRANTED, {"CredentialToken": "wiegand-00763AE8"}),
        (GRANTED, {"CredentialToken": "wiegand-"}),
        (GRANTED, {"CredentialToken": "wiegand-0"}),
        (GRANTED, {"CredentialToken": "wiegand-" + "00" * 17}),
        (GRANTED, {"CredentialToken": ""}),
        (NOT_FOUND, NUMBER | {"IdentifierType": "pt:PIN", "IdentifierValue": "123456"}),
        (NOT_FOUND, NUMBER | {"IdentifierValue": "00763AE8"}),
        (NOT_FOUND, NUMBER | {"IdentifierValue": "000000"}),
        (NOT_FOUND, NUMBER | {"FormatType": "WIEGAND37"}),
        (NOT_FOUND, NUMBER | {"FormatType": "SIMPLE_NUMBER32"}),
        (NOT_FOUND, {"IdentifierType": "pt:Card", "IdentifierValue": "763AE8"}),
        (NOT_FOUND + "/Card", {"Card": "763AE8"}),
    ],
)
def test_what_names_no_card_is_no_number(local: str, content: dict[str, Any]):
    # Who was let in was let in, whatever he showed.
    unknown = Shown(at=AT, card=None, let_in=True) if local == GRANTED else Overheard.NO_NUMBER
    assert read_touch(local, written(touch(content)), token="AP1") == unknown


@pytest.mark.parametrize("external", [True, "true"])
def test_what_follows_somebody_elses_decision_is_no_new_touch(external: object):
    message = written(touch(TOKEN | {"External": external}))
    assert read_touch(DENIED, message, token="AP1") is Overheard.OTHER
    for granted in (GRANTED, ANONYMOUS):
        assert read_touch(granted, message, token="AP1") == LetIn(at=AT)


def test_who_is_let_out_shows_no_card():
    for content in ({}, {"External": False}):
        assert read_touch(ANONYMOUS, written(touch(content)), token="AP1") == LetOut(at=AT)


@pytest.mark.parametrize(
    ("local", "value", "read"),
    [
        (PHYSICAL, "Open", DoorState(at=AT, opened=True)),
        (PHYSICAL, "Closed", DoorState(at=AT, opened=False)),
        (PHYSICAL, "Unknown", DoorState(at=AT, opened=None)),
        (PHYSICAL, "Fault", Alarm(at=AT, raised=True)),
        (TAMPER, "TamperDetected", Tamper(at=AT, opened=True)),
        (TAMPER, "NotInTamper", Tamper(at=AT, opened=False)),
        (TAMPER, "Unknown", Tamper(at=AT, opened=None)),
        (ALARM, "Normal", Alarm(at=AT, raised=False)),
        (ALARM, "DoorForcedOpen", Alarm(at=AT, raised=True, forced=True)),
        (ALARM, "DoorOpenTooLong", Alarm(at=AT, raised=True)),
    ],
)
def test_a_state_is_read(local: str, value: str, read: object):
    assert read_state(local, written(state(value)), token="D1") == read


@pytest.mark.parametrize(
    ("local", "value"),
    [(PHYSICAL, "open"), (PHYSICAL, "Normal"), (TAMPER, "Open"), (ALARM, ""), (ALARM, "Fire")],
)
def test_a_state_that_the_service_has_not_is_malformed(local: str, value: str):
    assert read_state(local, written(state(value)), token="D1") is Overheard.MALFORMED
    nothing = state("") | {"Data": {}}
    assert read_state(local, written(nothing), token="D1") is Overheard.MALFORMED


@pytest.mark.parametrize(
    "message",
    [
        touch(TOKEN, of="AP2"),
        touch(TOKEN) | {"Source": {}},
        touch(TOKEN) | {"Source": {"AccessPointToken": "AP1", "More": "AP2"}},
        touch(TOKEN) | {"Source": {"DoorToken": "AP1"}},
        touch(TOKEN) | {"Source": "AP1"},
        touch(TOKEN) | {"UtcTime": "2026-02-03T04:05:06"},
        touch(TOKEN) | {"UtcTime": "2026-02-03T04:05:06+01:00"},
        touch(TOKEN) | {"UtcTime": "2026-02-30T04:05:06Z"},
        touch(TOKEN) | {"UtcTime": 1770091506},
        touch(TOKEN) | {"Key": []},
        touch(TOKEN) | {"Data": []},
        touch(TOKEN) | {"Open": True},
        touch({"CredentialToken": 1}),
        touch({}),
        touch(TOKEN | {"External": 1}),
        touch(TOKEN | {"External": "yes"}),
        {"UtcTime": "2026-02-03T04:05:06Z"},
        {},
    ],
)
def test_a_message_in_another_form_is_malformed(message: dict[str, Any]):
    assert read_touch(GRANTED, written(message), token="AP1") is Overheard.MALFORMED


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Overheard.MALFORMED),
        (b"junk", Overheard.MALFORMED),
        (written(touch(TOKEN))[:-1] + b',"Data":{}}', Overheard.MALFORMED),
        (written(touch(NUMBER | {"IdentifierValue": "76 3AE8"})), Overheard.MALFORMED),
        (written(touch(TOKEN)) + b" " * 4096, Overheard.OVERSIZED),
    ],
)
def test_bytes_that_are_no_message_are_known(payload: bytes, why: Overheard):
    assert read_touch(NOT_FOUND, payload, token="AP1") is why


def test_a_fraction_of_a_second_is_read():
    message = touch(TOKEN) | {"UtcTime": "2026-02-03T04:05:06.5Z"}
    read = read_touch(DENIED, written(message), token="AP1")
    assert isinstance(read, Shown)
    assert read.at == AT + timedelta(milliseconds=500)


# -- what becomes of it ---------------------------------------------------------------------------------------------------

FRONT, YARD = AccessPointId("front-in"), AccessPointId("yard-in")
PREFIX = "onvif/front/onvif-ej"


def bridge(
    *, now: datetime = AT, sent: list[tuple[str, bytes]] | None = None, agreed_within: float = 10.0
) -> OnvifBridge:
    settings = OnvifSettings(
        topic="onvif/front",
        doors=(
            OnvifDoor(access_point=FRONT, token="AP1", door_token="D1", open=None),
            OnvifDoor(access_point=YARD, token="AP2", door_token="D2", open=("cmnd/yard/Power1", b"ON")),
        ),
    )
    return OnvifBridge(
        telling(sent), settings, contacts=frozenset({FRONT}), now=lambda: now, agreed_within=agreed_within
    )


def tell(bridge: OnvifBridge, local: str, message: dict[str, Any], *, retained: bool = False) -> None:
    [token] = message["Source"].values()
    hear(bridge, f"{PREFIX}/{local}/&{token}", written(message), retained=retained)


async def test_a_card_is_presented_where_it_was_shown():
    front = bridge()
    tell(front, NOT_FOUND, touch(NUMBER))
    assert [await presented(front, point) for point in (FRONT, YARD)] == [[CARD], []]
    hear(front, f"{PREFIX}/tns1:{NOT_FOUND}/&AP2", written(touch(NUMBER, of="AP2")))
    assert [await presented(front, point) for point in (FRONT, YARD)] == [[], [CARD]]


async def test_an_event_from_the_brokers_memory_is_nobodys_wish_to_enter():
    front = bridge()
    tell(front, GRANTED, touch(TOKEN), retained=True)
    assert await presented(front, FRONT) == []
    assert front.notices.counted == {Overheard.RETAINED: 1}


async def test_what_is_told_twice_is_one_touch_and_what_is_old_is_late():
    front = bridge(now=AT + timedelta(seconds=2))
    tell(front, DENIED, touch(TOKEN))
    tell(front, DENIED, touch(TOKEN))
    tell(front, NOT_FOUND, touch(NUMBER, at=AT + timedelta(milliseconds=300)))
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(seconds=2)))
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(seconds=1)))
    tell(front, DENIED, touch(TOKEN, at=AT - timedelta(minutes=1)))
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(minutes=1)))
    tell(front, NOT_FOUND, touch(NUMBER, at=AT + timedelta(milliseconds=300)))
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(seconds=1)))
    # That of a second after was overtaken, and is a touch of its own.
    assert len(await presented(front, FRONT)) == 3
    assert front.notices.counted == {Overheard.REPEATED: 4, Overheard.LATE: 2}


@pytest.mark.parametrize("ahead", [29, 30, 31, 86400 * 365])
async def test_no_touch_silences_those_that_follow(ahead: int):
    front = bridge(now=AT + timedelta(seconds=1))
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(seconds=ahead)))
    await presented(front, FRONT)
    tell(front, DENIED, touch(TOKEN))
    tell(front, DENIED, touch(TOKEN))
    assert await presented(front, FRONT) == [CARD]


async def test_the_controllers_own_answer_to_what_it_asked_is_no_new_touch():
    front = bridge(now=AT + timedelta(seconds=10))
    tell(front, REQUEST, touch(NUMBER))
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(seconds=9)))
    assert await presented(front, FRONT) == [CARD]
    assert front.notices.counted == {Overheard.REPEATED: 1}
    # Who badges again after that, badges again.
    tell(front, DENIED, touch(TOKEN, at=AT + timedelta(seconds=15)))
    assert await presented(front, FRONT) == [CARD]


async def test_a_door_that_a_controller_opens_by_itself_is_told_each_time_and_its_card_is_written_down():
    front = bridge(now=AT + timedelta(seconds=9))
    stranger = {"CredentialToken": "5fba94a4-8601-4627-bdda-cc408f69e026"}
    for seconds, local, content in (
        (0, GRANTED, TOKEN),
        (3, GRANTED, TOKEN),
        (3, GRANTED, TOKEN),
        (4, GRANTED, stranger),
        (5, ANONYMOUS, {"External": True}),
    ):
        tell(front, local, touch(content, at=AT + timedelta(seconds=seconds), of="AP2"))
    assert await presented(front, YARD) == [CARD, CARD]
    assert await bypassed(front, YARD) == 4
    assert front.notices.counted == {
        Overheard.OPENED_ITSELF: 4,
        Overheard.REPEATED: 1,
        Overheard.NO_NUMBER: 1,
    }


@pytest.mark.parametrize("off", [timedelta(minutes=-5), timedelta(days=365)])
async def test_that_a_controller_opened_by_itself_is_told_whatever_its_clock_says(off: timedelta):
    front = bridge()
    tell(front, GRANTED, touch(TOKEN, at=AT + off, of="AP2"))
    assert await presented(front, YARD) == []
    assert await bypassed(front, YARD) == 1
    tell(front, DENIED, touch(TOKEN, of="AP2"))
    assert await presented(front, YARD) == [CARD]


async def test_what_a_controller_does_on_our_word_is_ours_once():
    front = bridge(now=AT + timedelta(seconds=9))
    tell(front, REQUEST, touch(NUMBER, of="AP2"))
    front.fittings[YARD].strike.release(timedelta(seconds=5))
    tell(front, GRANTED, touch(TOKEN, at=AT + timedelta(seconds=2), of="AP2"))
    assert await bypassed(front, YARD) == 0
    tell(front, GRANTED, touch({"External": True}, at=AT + timedelta(seconds=3), of="AP2"))
    assert await bypassed(front, YARD) == 1


async def test_where_the_controller_decides_what_gatekeeper_grants_as_well_is_not_told():
    front = bridge(now=AT + timedelta(seconds=9), agreed_within=0.02)
    bypass = front.fittings[FRONT].bypass
    assert bypass is not None
    for seconds in (0, 2, 4):
        tell(front, GRANTED, touch(TOKEN, at=AT + timedelta(seconds=seconds)))
        if seconds:
            front.fittings[FRONT].strike.release(timedelta(seconds=5))
    # Two of three were granted; which is which, no message says, and the last is told.
    async with asyncio.timeout(5):
        await anext(bypass.openings())
    assert await bypassed(front, FRONT) == 0
    assert front.notices.counted == {Overheard.OPENED_ITSELF: 1}


async def test_who_asks_to_leave_is_told_as_such():
    front = bridge()
    tell(front, ANONYMOUS, touch({}))
    assert await left(front, FRONT) == 1
    assert await bypassed(front, FRONT) == 0


async def test_a_doors_state_is_how_it_is_also_from_memory():
    front = bridge(now=AT + timedelta(seconds=5))
    contact, tamper = front.fittings[FRONT].contact, front.fittings[FRONT].tamper
    assert contact is not None
    assert tamper is not None
    tell(front, PHYSICAL, state("Closed", at=AT - timedelta(days=3)), retained=True)
    tell(front, PHYSICAL, state("Closed"))
    tell(front, PHYSICAL, state("Open", at=AT + timedelta(seconds=2)))
    tell(front, PHYSICAL, state("Closed", at=AT + timedelta(seconds=1)))
    tell(front, PHYSICAL, state("Unknown", at=AT + timedelta(seconds=3)))
    assert await felt(contact.changes()) == [False, True]
    tell(front, TAMPER, state("TamperDetected"))
    tell(front, ALARM, state("DoorForcedOpen"))
    assert await felt(tamper.changes()) == [True]
    assert front.notices.counted == {Overheard.LATE: 1, Overheard.OTHER: 1, Overheard.ALARM: 1}
    assert front.fittings[YARD].contact is None


async def test_a_state_of_the_future_freezes_no_contact():
    front = bridge()
    contact = front.fittings[FRONT].contact
    assert contact is not None
    tell(front, PHYSICAL, state("Closed"))
    tell(front, PHYSICAL, state("Closed", at=AT + timedelta(days=365)))
    for seconds in (1, 5, 9):
        tell(front, PHYSICAL, state("Open", at=AT + timedelta(seconds=seconds)))
        tell(front, ALARM, state("DoorForcedOpen", at=AT + timedelta(seconds=seconds)))
        tell(front, PHYSICAL, state("Closed", at=AT + timedelta(seconds=seconds + 1)))
    assert await felt(contact.changes()) == [False, *[True, False] * 3]
    assert front.notices.counted == {Overheard.LATE: 1, Overheard.ALARM: 3}


STRAYS = {
    "a year ahead": timedelta(days=365),
    "half a minute ahead": timedelta(seconds=30),
    "past": timedelta(days=-1),
}


@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("said", ["Closed", "Open", "Fault", "Unknown"])
@pytest.mark.parametrize("off", STRAYS.values(), ids=STRAYS)
async def test_whatever_one_state_says_the_next_opening_and_closing_are_heard(
    off: timedelta,
    said: str,
    retained: bool,  # noqa: FBT001
):
    front = bridge()
    contact = front.fittings[FRONT].contact
    assert contact is not None
    tell(front, PHYSICAL, state("Closed", at=AT - timedelta(hours=1)), retained=True)
    tell(front, PHYSICAL, state(said, at=AT + off), retained=retained)
    await felt(contact.changes())
    for moved in ("Open", "Closed"):
        tell(front, PHYSICAL, state(moved, at=AT + timedelta(seconds=1)))
    *_, opened, closed = [True, *await felt(contact.changes())]
    assert (opened, closed) == (True, False)


async def test_a_door_that_a_controller_calls_forced_is_told_where_no_contact_does_and_each_time():
    front = bridge()
    for seconds in (0, 0, 5):
        for door in ("D1", "D2"):
            tell(front, ALARM, state("DoorForcedOpen", at=AT + timedelta(seconds=seconds), of=door))
    tell(front, ALARM, state("DoorForcedOpen", at=AT + timedelta(seconds=5), of="D2"), retained=True)
    assert [await bypassed(front, point) for point in (FRONT, YARD)] == [0, 2]
    # To a controller that was not asked, a relay beside it forces the door.
    front.fittings[YARD].strike.release(timedelta(seconds=5))
    tell(front, ALARM, state("DoorForcedOpen", at=AT + timedelta(seconds=9), of="D2"))
    assert await bypassed(front, YARD) == 0


async def test_a_door_is_opened_by_the_message_that_gate_json_has_and_by_none_without():
    sent: list[tuple[str, bytes]] = []
    front = bridge(sent=sent)
    for point in (FRONT, YARD):
        front.fittings[point].strike.release(timedelta(seconds=5))
        front.fittings[point].strike.secure()
    assert sent == [("cmnd/yard/Power1", b"ON")]
