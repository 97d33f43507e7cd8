"""Whatever a device behind a bridge sends, reading it ends in what it tells or in a code; and a changed message is never another's."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from devices.bridges import esp_rfid_format, onvif_format, uhppoted_format
from devices.bridges.esp_rfid_format import CardForm, read_message
from devices.bridges.onvif_format import DOOR_TOPICS, POINT_TOPICS, read_state, read_touch
from devices.bridges.overheard import Overheard
from devices.bridges.strict_json import members, read_object
from devices.bridges.tasmota_format import NoCard, read_sensor
from devices.bridges.uhppoted_format import read_event, read_reply
from gatekeeper.model.badges import Card
from tests.unit.devices import test_esp_rfid as esp_rfid
from tests.unit.devices import test_onvif as onvif
from tests.unit.devices import test_uhppoted as uhppoted

ZONE = ZoneInfo("Europe/Amsterdam")
KEY = b"made at test time, long enough"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda items: st.lists(items, max_size=4) | st.dictionaries(st.text(max_size=8), items, max_size=4),
    max_leaves=8,
)
MESSAGES: list[dict[str, Any]] = [
    esp_rfid.DENIED,
    esp_rfid.KNOWN | {"access": ["Always", "Disabled"], "doorName": ["front", "yard"]},
    esp_rfid.HEARTBEAT,
    esp_rfid.DOOR_OPEN,
    {"message": {"event": uhppoted.SWIPE}},
    {"message": {"reply": uhppoted.REPLY}},
    onvif.touch(onvif.TOKEN),
    onvif.touch(onvif.NUMBER),
    onvif.state("Open"),
]


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A message in order, of which one value, at any depth, is another."""
    message: Any = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    inside = message
    while True:
        name = draw(st.sampled_from(sorted(inside)))
        if not isinstance(inside[name], dict) or draw(st.booleans()):
            inside[name] = draw(values)
            return json.dumps(message).encode()
        inside = inside[name]


def told(module: Any, names: tuple[str, ...]) -> tuple[type, ...]:
    return tuple(getattr(module, name) for name in names)


READ: list[tuple[Callable[[bytes], object], tuple[type, ...]]] = [
    (read_sensor, (Card, NoCard)),
    *(
        (
            lambda payload, form=form: read_message(payload, form=form),
            told(esp_rfid_format, ("Access", "Alive", "DoorMoved", "OpenedItself")),
        )
        for form in CardForm
    ),
    (
        lambda payload: read_event(payload, key=None, zone=ZONE),
        told(uhppoted_format, ("Swipe", "DoorMoved", "DoorOpened", "OtherEvent")),
    ),
    (lambda payload: read_reply(payload, key=None), told(uhppoted_format, ("Refusal",))),
    *(
        (
            lambda payload, local=local: read_touch(local, payload, token="AP1"),
            told(onvif_format, ("Shown", "Asked", "LetIn", "LetOut")),
        )
        for local in POINT_TOPICS
    ),
    *(
        (
            lambda payload, local=local: read_state(local, payload, token="D1"),
            told(onvif_format, ("DoorState", "Tamper", "Alarm")),
        )
        for local in DOOR_TOPICS
    ),
]


@given(changed() | st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_told_or_has_a_code(payload: bytes):
    for read, kinds in READ:
        assert isinstance(read(payload), (*kinds, Overheard)), payload


@given(changed())
def test_nothing_counts_without_the_hmac_of_its_key(payload: bytes):
    assert isinstance(read_event(payload, key=KEY, zone=ZONE), Overheard)


@given(values, st.sampled_from([None, 1, 4]), st.booleans())
def test_the_text_of_a_message_is_found_however_it_is_written(value: Any, indent: int | None, first: bool):  # noqa: FBT001
    text = json.dumps(value, indent=indent, allow_nan=False) if _is_plain(value) else '"x"'
    mac = hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
    parts = [f'"message": {text}', f'"hmac":"{mac}"']
    payload = ("{" + " , ".join(parts if first else parts[::-1]) + "}").encode()
    found = members(payload)
    assert found["message"].text == text
    assert found["message"].value == read_object(payload)["message"]


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True
