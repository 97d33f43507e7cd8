"""schemas/onvif.md and schemas/asyncapi-outward.yaml: what is told to integrators is what they say, over every kind of entry."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gatekeeper.core.export.onvif import OnvifEvent, Topic, presence_topic, topic_prefix
from gatekeeper.model.reasons import OnvifReason, Reason
from tests.contract.test_schemas_asyncapi import KEYWORDS
from tests.contract.test_schemas_entries import made
from tests.contract.vector_site import SITE
from tests.support.outward_page import PAGE, entities, events, page, policy, public_entries, states

YAML = Path(__file__).parents[2] / "schemas" / "asyncapi-outward.yaml"
TEXT = PAGE.read_text("utf-8")


@cache
def document() -> Any:
    return yaml.safe_load(YAML.read_text("utf-8"))


def resolved(reference: str) -> Any:
    found = document()
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(part: Any) -> Iterator[str]:
    match part:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for one in part.values():
                yield from references(one)
        case list():
            for one in part:
                yield from references(one)


def channels() -> dict[str, str]:
    """The names of the channels by their addresses at the vectors' site, for any door."""
    return {
        one["address"].format(prefix="gk", site=SITE, token="+"): name
        for name, one in document()["channels"].items()
    }


def channel_of(event: OnvifEvent) -> str:
    address = event.address(topic_prefix(SITE, prefix="gk"))
    return channels()[f"{address.rsplit('/', maxsplit=1)[0]}/&+"]


@cache
def validator(channel: str) -> Draft202012Validator:
    [message] = document()["channels"][channel]["messages"].values()
    payload = resolved(message["$ref"])["payload"]
    return Draft202012Validator({**payload, "components": document()["components"]})


def told() -> list[OnvifEvent]:
    return [event for _, event in (*events(), *states())]


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_tables_and_examples_of_the_page_are_made_by_the_code():
    assert page() == TEXT, "python -m tests.support.outward_page writes them anew"
    assert TEXT.count("<!-- made: ") == 4


def test_every_topic_has_a_row_and_an_example():
    for topic in Topic:
        assert f"| `tns1:{topic}` |" in TEXT
        assert f"\ngk/{SITE}/onvif-ej/{topic}/&" in TEXT


def test_every_reason_that_denies_has_a_word_of_onvif_s_in_the_page_and_in_the_schema():
    (table,) = re.findall(r"<!-- made: reasons -->\n(.*?)<!-- end -->", TEXT, re.DOTALL)
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE))
    written = {code: word for word, codes in rows.items() for code in re.findall(r"`([^`]+)`", codes)}
    assert written == {reason.code: reason.onvif.value for reason in Reason if reason.denies}
    words = set(document()["components"]["schemas"]["reason"]["enum"])
    assert words == set(OnvifReason) - {OnvifReason.GRANTED, OnvifReason.CREDENTIAL_NOT_FOUND}


# -- the channels -----------------------------------------------------------------------------------------------------


def test_there_is_a_channel_for_every_topic_and_no_other():
    topics = {f"gk/{SITE}/onvif-ej/{topic}/&+" for topic in Topic}
    assert channels().keys() == topics | {presence_topic(SITE, prefix="gk")}


def test_an_integrator_receives_every_channel_and_states_alone_are_retained():
    operations = document()["operations"].values()
    assert {one["action"] for one in operations} == {"receive"}
    bindings = {
        one["channel"]["$ref"].rsplit("/", maxsplit=1)[1]: one["bindings"]["mqtt"] for one in operations
    }
    assert bindings.keys() == document()["channels"].keys()
    for address, name in channels().items():
        assert bindings[name]["qos"] == 1
        assert bindings[name]["retain"] is ("/State/" in address or name == "outward"), name


def test_objects_have_the_keywords_of_asyncapi_3():
    assert document()["asyncapi"] == "3.0.0"
    assert set(document()) == KEYWORDS["document"]
    parts = [(kind, document()[kind]) for kind in ("servers", "channels", "operations")]
    parts += [(kind, document()["components"][kind]) for kind in ("parameters", "messages")]
    for kind, objects in parts:
        for name, one in objects.items():
            assert set(one) <= KEYWORDS[kind] | {"contentType"}, f"{kind}/{name}"
    for name, channel in document()["channels"].items():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"]), name


def test_every_reference_leads_to_something_and_every_component_is_referred_to():
    named = set(references(document()))
    for reference in named:
        assert resolved(reference) is not None, reference
    components = {
        f"#/components/{kind}/{name}"
        for kind, all_of_them in document()["components"].items()
        for name in all_of_them
    }
    assert components <= named


# -- the payloads -----------------------------------------------------------------------------------------------------


def test_the_entries_that_the_product_makes_are_told_under_every_topic():
    assert {event.topic for event in told()} == set(Topic)


@pytest.mark.parametrize("channel", document()["channels"])
def test_a_payload_schema_is_one(channel: str):
    Draft202012Validator.check_schema(validator(channel).schema)


def test_every_payload_is_as_its_channel_says():
    for event in told():
        faults = list(validator(channel_of(event)).iter_errors(json.loads(event.payload())))
        assert faults == [], (event, faults)


def test_a_payload_that_says_more_is_none():
    for event in told():
        document = json.loads(event.payload())
        document["PropertyOperation"] = "Changed"
        assert list(validator(channel_of(event)).iter_errors(document))


def test_no_payload_holds_anything_of_a_personal_part():
    """Of no entry that has one: neither holder nor badge nor scan, nor whom it names beside."""
    personal = {entry.document: part for entry, (_, part) in zip(public_entries(), made(), strict=True)}
    seen = 0
    for entry, event in (*events(), *states()):
        part = personal[entry.document]
        if part is None:
            continue
        seen += 1
        for secret in _secrets(json.loads(part)):
            assert secret.encode() not in event.payload()
            assert secret not in event.address("gk")
    assert seen > 100


def _secrets(personal: dict[str, Any]) -> list[str]:
    named = [personal.get("holder"), personal.get("badge"), personal.get("scan"), *personal.get("party", ())]
    return [one for one in named if one is not None]


# -- Home Assistant -----------------------------------------------------------------------------------------------------


def test_every_entity_reads_a_topic_that_is_told_and_no_two_are_one():
    known = {
        OnvifEvent(topic=topic, token=point, at="", data={}).address(topic_prefix(SITE, prefix="gk"))
        for topic in Topic
        for point in policy().points
    }
    written = {topic: json.loads(payload) for topic, payload in entities().items()}
    assert {one["state_topic"] for one in written.values()} <= known
    assert {one["availability_topic"] for one in written.values()} == {presence_topic(SITE, prefix="gk")}
    assert len({one["unique_id"] for one in written.values()}) == len(written) == 7 * len(policy().points)


def test_a_topic_of_discovery_has_the_levels_and_characters_that_home_assistant_reads():
    for topic in entities():
        assert re.fullmatch(
            r"homeassistant/(binary_sensor|event)/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config", topic
        )


def test_a_device_is_a_gate():
    devices = {json.loads(payload)["device"]["identifiers"][0] for payload in entities().values()}
    assert devices == {f"gatekeeper-{SITE}-{point.gate}" for point in policy().points.values()}


def test_a_template_names_every_word_that_a_state_can_have_but_unknown():
    for payload in entities().values():
        entity = json.loads(payload)
        topic = next(topic for topic in Topic if f"/{topic}/" in entity["state_topic"])
        if topic.is_state:
            [channel] = {channel_of(event) for event in told() if event.topic is topic}
            enum = validator(channel).schema["properties"]["Data"]["properties"]["State"]["enum"]
            named = set(re.findall(r"'(\w+)': '(?:ON|OFF)'", entity["value_template"]))
            assert named == set(enum) - {"Unknown"}
        else:
            assert entity["event_types"] == [entity["unique_id"].removeprefix(_of(entity))]


def _of(entity: dict[str, Any]) -> str:
    point = entity["state_topic"].rsplit("&", maxsplit=1)[1]
    return f"gatekeeper-{SITE}-{point}-"
