"""schemas/feeds.md: every row is what the code does, over every kind of entry, in both directions."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.core.audit import Kind, canonical_json, timestamp
from gatekeeper.core.export.feeds import (
    ANOTHER,
    CLASSES,
    UNREADABLE,
    Class,
    Format,
    PublicEntry,
    Weight,
    read_public,
    record_of,
    syslog_message,
)
from gatekeeper.model.ids import SiteId
from tests.contract.test_schemas_entries import made
from tests.contract.vector_site import SITE
from tests.support.feed_readers import read_cef, read_syslog

PAGE = (Path(__file__).parents[2] / "schemas/feeds.md").read_text("utf-8")
AT = datetime(2026, 6, 3, tzinfo=UTC)

ECS_TYPES = {
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "database": {"access", "change", "info", "error"},
    "host": {"access", "change", "end", "info", "start"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "process": {"access", "change", "end", "info", "start"},
}
"""What the Elastic Common Schema expects of the categories that are used here."""


def rows(title: str) -> list[list[str]]:
    """The rows of the table that begins with this column."""
    (table,) = re.findall(rf"^\| {re.escape(title)} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def entries() -> tuple[PublicEntry, ...]:
    """Every kind of entry that the product makes, and one that it never made."""
    found = [read_public(SITE, json.loads(body)["seq"], AT, body) for body, _ in made()]
    return (*found, read_public(SITE, 7, AT, b"\xff"))


@cache
def records(spelling: Format) -> tuple[bytes, ...]:
    return tuple(record_of(spelling, entry, program="1.2.3") for entry in entries())


# -- the table of kinds -----------------------------------------------------------------------------------------------


def test_there_is_a_class_for_every_kind_and_no_other():
    assert CLASSES.keys() == {kind.value for kind in Kind}
    assert {entry.kind for entry in entries()} == {*CLASSES, None}


def test_the_table_of_kinds_is_that_of_the_code():
    told = {cells[0].strip("`"): cells[1:] for cells in rows("kind")}
    so = {**CLASSES, "any other": ANOTHER, "entry.altered": UNREADABLE}
    assert told.keys() == so.keys()
    for kind, (name, category, types, outcome, weight) in told.items():
        assert so[kind] == Class(
            name,
            next(iter(words(category)), None),
            tuple(words(types)),
            next(iter(words(outcome)), None),
            Weight[weight.upper()],
        ), kind


def test_the_table_of_weights_is_that_of_the_code():
    told = [(name, int(severity), int(syslog.split()[0])) for name, severity, syslog, _ in rows("weight")]
    assert told == [(weight.name.lower(), weight.severity, weight.syslog) for weight in Weight]


@pytest.mark.parametrize("seen", [*CLASSES.values(), ANOTHER, UNREADABLE], ids=lambda seen: seen.name)
def test_categories_types_and_outcomes_are_those_of_the_common_schema(seen: Class):
    assert seen.outcome in {None, "success", "failure", "unknown"}
    if seen.category is None:
        assert set(seen.types) <= {"access", "info"}
    else:
        assert set(seen.types) <= ECS_TYPES[seen.category]


# -- the fields of each format ----------------------------------------------------------------------------------------


def _leaves(document: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield before + name


def test_the_fields_of_ecs_are_those_of_its_table():
    said = {name for record in records(Format.ECS) for name in _leaves(json.loads(record))}
    assert said == {name for field, _ in rows("field") for name in words(field)}


def test_the_keys_of_cef_are_those_of_its_table():
    said: dict[str, str | None] = {}
    for record in records(Format.CEF):
        extension = read_cef(record.decode()).extension
        labels = {
            key.removesuffix("Label"): value for key, value in extension.items() if key.endswith("Label")
        }
        assert labels.keys() <= extension.keys()
        said |= {key: labels.get(key) for key in extension if not key.endswith("Label")}
    told: dict[str, str | None] = {}
    for cell, _ in rows("key"):
        told |= {key: label or None for key, label in re.findall(r"`(\w+)` ?(\w*)", cell)}
    assert said == told


def test_the_attributes_of_cloudevents_are_those_of_its_table():
    said = {name for record in records(Format.CLOUDEVENTS) for name in json.loads(record)}
    assert said == {name for attribute, _ in rows("attribute") for name in words(attribute)}


def test_the_structured_data_of_syslog_is_that_of_its_table():
    said: dict[str, set[str]] = {}
    for entry, record in zip(entries(), records(Format.ECS), strict=True):
        message = read_syslog(syslog_message(entry, record, program="1.2.3", enterprise=32473))
        for name, parameters in message.elements.items():
            said.setdefault(name.replace("32473", "NUMBER"), set()).update(parameters)
    told = {words(name)[0]: set(words(cell.partition(";")[0])) for name, cell in rows("structured data")}
    assert said == told


# -- what every record says -------------------------------------------------------------------------------------------


def test_every_record_says_that_it_is_lossy_and_which_entry_it_renders():
    for entry, ecs, cef, event in zip(entries(), *map(records, Format), strict=True):
        leaf = hashlib.sha256(b"\0" + entry.document).hexdigest()
        document, pairs, attributes = json.loads(ecs), read_cef(cef.decode()).extension, json.loads(event)
        assert document["labels"]["rendering"] == pairs["flexString1"] == attributes["rendering"] == "lossy"
        assert document["event"]["hash"] == pairs["cs6"] == attributes["leafhash"] == leaf
        assert (
            document["event"]["sequence"]
            == int(pairs["externalId"])
            == int(attributes["sequence"])
            == entry.seq
        )
        assert document["event"]["id"] == attributes["id"] == f"{SITE}/{entry.seq}"
        assert document["gatekeeper"]["site"] == pairs["deviceFacility"] == SITE
        assert document["event"]["created"] == attributes["recordedtime"] == entry.at
        assert int(pairs["rt"]) == milliseconds(entry.at)
        assert document["@timestamp"] == attributes["time"] == timestamp(entry.happened.at)
        assert int(pairs["start"]) == milliseconds(document["@timestamp"])
        assert document["gatekeeper"]["clock"] == attributes["timeclock"] == entry.happened.clock
        assert document["event"]["severity"] == int(read_cef(cef.decode()).header[6])


def milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1_000_000) // 1000


@pytest.mark.parametrize("kind", ["access.offline-granted", "passage.forced", "gate.status"])
def test_what_a_gate_tells_hours_later_has_the_time_of_then_and_says_when_it_was_told(kind: str):
    then, told = "2026-06-02T18:15:03.000250Z", "2026-06-03T02:29:27.000000Z"
    body = {
        "v": 1,
        "site": SITE,
        "seq": 7,
        "at": told,
        "kind": kind,
        "gate_at": then,
        "clock": "free_running",
    }
    entry = read_public(SITE, 7, AT, canonical_json(body))
    ecs, cef, event = (record_of(spelling, entry, program="1.2.3") for spelling in Format)
    document, pairs, attributes = json.loads(ecs), read_cef(cef.decode()).extension, json.loads(event)
    assert (document["@timestamp"], document["event"]["created"]) == (then, told)
    assert document["gatekeeper"]["clock"] == "free-running"
    assert (int(pairs["start"]), int(pairs["rt"])) == (milliseconds(then), milliseconds(told))
    assert (attributes["time"], attributes["recordedtime"]) == (then, told)


def test_every_record_is_one_line():
    for spelling in Format:
        assert all(len(record.splitlines()) == 1 for record in records(spelling))


def test_the_data_of_a_cloudevent_is_the_leaf_byte_for_byte():
    for entry, record in zip(entries(), records(Format.CLOUDEVENTS), strict=True):
        event = json.loads(record)
        if entry.kind is None:
            assert "data" not in event
            assert event["data_base64"] == "/w=="
        else:
            assert record.endswith(b',"data":' + entry.document + b"}")
            assert event["data"] == json.loads(entry.document)


def test_attributes_of_cloudevents_have_the_names_and_types_that_they_may_have():
    """CloudEvents 1.0.2: names are of lower-case letters and digits; of a context attribute the value is a string here."""
    for record in records(Format.CLOUDEVENTS):
        event = json.loads(record)
        for name, value in event.items():
            if name not in {"data", "data_base64"}:
                assert re.fullmatch(r"[a-z0-9]{1,20}", name)
                assert isinstance(value, str)
                assert value


@pytest.mark.parametrize("spelling", Format)
def test_no_record_holds_anything_of_a_personal_part(spelling: Format):
    """Of no entry that has one: neither holder nor badge nor scan, nor whom it names beside."""
    told = 0
    for (_, personal), record in zip(made(), records(spelling), strict=False):
        if personal is None:
            continue
        told += 1
        for secret in _secrets(json.loads(personal)):
            assert secret.encode() not in record
    assert told > 100


def _secrets(personal: dict[str, Any]) -> list[str]:
    named = [personal.get("holder"), personal.get("badge"), personal.get("scan"), *personal.get("party", ())]
    return [one for one in named if one is not None]


def test_of_another_site_or_place_an_entry_is_none():
    body, _ = made()[0]
    seq = json.loads(body)["seq"]
    assert read_public(SITE, seq, AT, body).kind is not None
    assert read_public(SiteId("elsewhere"), seq, AT, body).kind is None
    assert read_public(SITE, seq + 1, AT, body).kind is None
