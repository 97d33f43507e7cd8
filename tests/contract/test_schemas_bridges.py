"""schemas/bridges.md, and the table of numbers in schemas/README.md: held to what the bridges read, in both directions."""

import json
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from devices.bridges import esp_rfid, onvif, repeats, settings, uhppoted
from devices.bridges.esp_rfid_format import Access, CardForm, read_message
from devices.bridges.onvif_format import Shown, read_touch
from devices.bridges.repeats import Repeats
from devices.bridges.settings import HMAC_KEY, KEYS, bridged, read_bridge
from devices.bridges.tasmota_format import read_sensor
from devices.bridges.uhppoted_format import Swipe, read_event
from gatekeeper.model.badges import Card, CardTechnology
from tests.contract.test_schemas_documents import rows, text

PAGE = "bridges.md"


def _tasmota(fragment: str) -> object:
    kind = "Wiegand" if "Size" in fragment else "RC522"
    return read_sensor(f'{{"Time":"2021-01-23T13:10:50","{kind}":{{{fragment}}}}}'.encode())


def _esp_rfid(form: CardForm) -> Callable[[str], object]:
    def read(fragment: str) -> object:
        message = f'{{"type":"access","time":1,"isKnown":"false","access":"Denied","username":"Unknown",{fragment},"hostname":"shed"}}'
        told = read_message(message.encode(), form=form)
        return told.card if isinstance(told, Access) else told

    return read


def _uhppoted(fragment: str) -> object:
    event = (
        f'{{"device-id":1,"event-id":1,"event-type":1,"access-granted":false,"door-id":1,"direction":1,{fragment},'
        '"timestamp":"2025-07-09 11:42:03 CEST","event-reason":6}'
    )
    told = read_event(
        f'{{"message":{{"event":{event}}}}}'.encode(), key=None, zone=ZoneInfo("Europe/Amsterdam")
    )
    return told.card if isinstance(told, Swipe) else told


def _onvif(fragment: str) -> object:
    kind = "" if "CredentialToken" in fragment else '"IdentifierType":"pt:Card",'
    local = "AccessControl/Denied/" + ("Identifier" if kind else "Credential")
    message = f'{{"UtcTime":"2026-02-03T04:05:06Z","Source":{{"AccessPointToken":"AP1"}},"Data":{{{kind}{fragment}}}}}'
    told = read_touch(local, message.encode(), token="AP1")
    return told.card if isinstance(told, Shown) else told


READERS: dict[str, Callable[[str], object]] = {
    "Tasmota": _tasmota,
    "esp-rfid with a chip reader": _esp_rfid(CardForm.MIFARE),
    "esp-rfid with Wiegand at 26": _esp_rfid(CardForm.WIEGAND_26),
    "esp-rfid with Wiegand at 34": _esp_rfid(CardForm.WIEGAND_34),
    "uhppoted-mqtt": _uhppoted,
    "ONVIF": _onvif,
}


def test_the_readings_shown_become_the_cards_shown():
    read = set()
    for reader, technology, number in rows("README.md", "reader"):
        [kind] = [kind for kind in READERS if reader.startswith(kind)]
        [fragment] = re.findall(r'`?("\w+[-\w]*":[^`]+)', reader)
        [octets] = re.findall(r"`([0-9a-f]{8,})(?:`|$)", number)
        card = Card(CardTechnology(int(technology[0])), bytes.fromhex(octets))
        assert READERS[kind](fragment) == card, reader
        read.add(kind)
    assert read == READERS.keys()


def test_one_card_is_the_same_number_at_every_reader():
    numbers = [number for _, technology, number in rows("README.md", "reader") if technology == "1 wiegand"]
    assert sum("`00763ae8" in number for number in numbers) == 4
    assert sum("`010076a068" in number for number in numbers) == 2


@pytest.mark.parametrize("kind", KEYS)
def test_the_settings_of_a_kind_are_those_of_its_table(kind: str):
    of_bridge, of_door = KEYS[kind]
    assert [row[0] for row in rows(PAGE, kind)] == list(of_bridge)
    assert [row[0] for row in rows(PAGE, f"door of {kind}")] == list(of_door)


def test_each_kind_is_shown_in_an_example_that_is_read():
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text(PAGE), re.DOTALL)]
    assert [example["kind"] for example in examples] == list(KEYS)
    for example in examples:
        points = tuple(door["access_point"] for door in example.get("doors", [example]))
        bridge = read_bridge(example, points=points, read_key=lambda: b"made at test time")
        assert bridged(bridge) == set(points)


def test_every_way_of_spelling_cards_and_the_file_of_the_key_are_named():
    forms = {form.removesuffix("-hex") for form in CardForm}
    assert all(f"`{form}`" in text(PAGE) for form in forms)
    assert f"`{HMAC_KEY}`" in text(PAGE)


def test_every_bound_is_the_one_of_the_code():
    bounds = {
        "a card's time may differ from the gate's clock by, s": repeats.LATE.total_seconds(),
        "the same card at a reader is one touch for, s": Repeats().within,
        "the same card at an esp-rfid is one touch for, s": esp_rfid._SAME_TOUCH,
        "an esp-rfid is offline after so many missed heartbeats": esp_rfid._BEATS_MISSED,
        "an opening from afar is the echo of ours for, s": esp_rfid._OWN_ECHO,
        "an ONVIF controller answers its own question within, s": onvif._DECIDED_WITHIN,
        "what an ONVIF controller that decides lets in, Gatekeeper grants as well within, s": onvif._AGREED_WITHIN,
    }
    assert esp_rfid._OWN_ECHO == uhppoted._OWN_ECHO == onvif._OWN_ECHO
    assert {row[0]: float(row[1]) for row in rows(PAGE, "bound")} == bounds
    assert f"`heartbeat_seconds` | as set on the devices; {settings._HEARTBEAT} |" in text(PAGE)
