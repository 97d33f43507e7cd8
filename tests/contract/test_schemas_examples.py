"""The examples: what is valid is allowed by the schemas and taken by the code, what is invalid gets the code it names."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gatekeeper import cose
from gatekeeper.core.audit import Kind, canonical_json
from tests.contract import cddl, readers
from tests.contract.described import diagnostic
from tests.contract.entry_schemas import faults
from tests.contract.mistakes import PARTS, word_of

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"

ACROSS_FIELDS = {
    "agreement-of-another-tenant",
    "badge-for-months-without-status",
    "badge-of-another-site",
    "badge-of-another-tenant",
    "badge-that-ends-before-it-begins",
    "change-by-another",
    "change-that-exports-backwards",
    "change-that-exports-doors-falling",
    "holder-of-another-site",
    "operator-that-ends-before-it-begins",
    "operator-with-roles-falling",
    "snapshot-of-another-gate",
    "snapshot-that-ends-before-it-begins",
    "snapshot-with-a-badge-twice",
    "snapshot-with-a-card-without-a-token",
    "snapshot-with-a-row-of-no-class",
    "snapshot-with-half-a-row",
    "snapshot-with-hours-that-overlap",
    "snapshot-without-its-tenants",
    "standing-of-another-site",
    "status-list-of-another-tenant",
    "status-list-with-bytes-behind-it",
    "trust-of-another-site",
}
"""What CDDL cannot say, because it asks two fields, or the order of a list, or who signed."""


@cache
def manifest() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads((EXAMPLES / "manifest.json").read_text("utf-8"))
    return found


def listed(part: str, *suffixes: str) -> list[Any]:
    return [
        pytest.param(entry, id=Path(entry["file"]).stem)
        for entry in manifest()[part]
        if Path(entry["file"]).suffix in suffixes
    ]


def octets(entry: dict[str, str]) -> bytes:
    return bytes.fromhex((EXAMPLES / entry["file"]).read_text("ascii"))


def decoded(payload: bytes) -> Any:
    return cose.decode(payload, bounds=cddl.ROOMY)


def test_the_manifest_names_every_file_and_no_other():
    named = [entry["file"] for part in manifest().values() for entry in part]
    assert len(set(named)) == len(named)
    beside = {
        file.replace(".hex", ".diag") for file in named if file.startswith("valid/") and file.endswith(".hex")
    }
    there = {
        str(path.relative_to(EXAMPLES))
        for folder in ("valid", "invalid")
        for path in (EXAMPLES / folder).iterdir()
    }
    assert there == {*named, *beside}


def test_there_are_valid_and_invalid_examples_of_every_payload_and_part():
    valid = {entry["read_as"] for entry in manifest()["valid"]}
    assert valid == {*readers.PAYLOADS, "entry", "personal"}
    assert {entry["read_as"] for entry in manifest()["invalid"]} == {*readers.PAYLOADS, *PARTS, "entry"}


@pytest.mark.parametrize("entry", listed("valid", ".hex"))
def test_a_valid_example_is_allowed_and_taken_and_reads_as_it_is_shown(entry: dict[str, str]):
    payload = octets(entry)
    assert cddl.allows(entry["read_as"], decoded(payload))
    assert cddl.pycddl_allows(entry["read_as"], decoded(payload))
    assert word_of(entry["read_as"], payload) is None
    shown = (EXAMPLES / entry["file"]).with_suffix(".diag").read_text("utf-8")
    assert shown == diagnostic(decoded(payload)) + "\n"


@pytest.mark.parametrize("entry", listed("valid", ".jsonl"))
def test_every_line_of_the_log_is_allowed_and_in_its_canonical_form(entry: dict[str, str]):
    lines = (EXAMPLES / entry["file"]).read_bytes().splitlines()
    for line in lines:
        assert faults(entry["read_as"], json.loads(line)) == []
        assert canonical_json(json.loads(line)) == line
    if entry["read_as"] == "entry":
        assert {json.loads(line)["kind"] for line in lines} == set(Kind)


@pytest.mark.parametrize("entry", listed("invalid", ".hex"))
def test_an_invalid_example_gets_the_code_that_it_names(entry: dict[str, str]):
    assert word_of(entry["read_as"], octets(entry)) == entry["code"]
    if entry["read_as"] in readers.PAYLOADS:
        allowed = cddl.allows(entry["read_as"], decoded(octets(entry)))
        assert allowed == (Path(entry["file"]).stem in ACROSS_FIELDS)


@pytest.mark.parametrize("entry", listed("invalid", ".json"))
def test_what_is_no_entry_is_refused_by_the_schema(entry: dict[str, str]):
    assert faults("entry", json.loads((EXAMPLES / entry["file"]).read_bytes()))
