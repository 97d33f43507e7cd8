"""The JSON Schemas of the log's entries, and what each branch of them names."""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

FOLDER = Path(__file__).parents[2] / "schemas" / "entry"
NAMES = ("entry", "personal", "facts")


@cache
def schema(name: str) -> Any:
    """One schema document."""
    return json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))


@cache
def validator(name: str) -> Draft202012Validator:
    """What validates against a schema, or against `schema#definition` of one, with the others at hand."""
    registry = Registry().with_resources(
        [(schema(other)["$id"], Resource.from_contents(schema(other))) for other in NAMES]
    )
    whole, _, definition = name.partition("#")
    part = schema(whole)
    if definition:
        part = {"$ref": f"{part['$id']}#/$defs/{definition}"}
    return Draft202012Validator(part, registry=registry, format_checker=FormatChecker())


def personal_of(kind: str) -> str:
    """What the personal part of a kind of entry is held against."""
    parts = {name: part["title"] for name, part in schema("personal")["$defs"].items() if "title" in part}
    [found] = [
        name for name, kinds in parts.items() if any(fnmatchcase(kind, one) for one in kinds.split(", "))
    ]
    return f"personal#{found}"


def faults(name: str, document: Any) -> list[str]:
    """What is wrong with a document, in the validator's words."""
    return [error.message for error in validator(name).iter_errors(document)]


def branch(kind: str) -> tuple[set[str], set[str]]:
    """All fields that an entry of a kind may have, and those that it must."""
    whole = schema("entry")
    parts = [whole, *_with_groups(whole["$defs"][kind])]
    may = {field for part in parts for field in part["properties"]}
    return may, {field for part in parts for field in part.get("required", ())}


def _with_groups(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    groups = [one["$ref"].rsplit("/", maxsplit=1)[1] for one in part.get("allOf", ())]
    return [part, *(schema("entry")["$defs"][group] for group in groups)]
