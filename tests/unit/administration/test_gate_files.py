"""The file that is carried to a gate says of its doors what the policy in force says, and keeps what only it knows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gatekeeper.model.ids import GateId
from gatekeeper.model.site_file import read_site
from gatekeeper.service.administration.folder import SiteFolder, SiteFolderError, in_gate
from gatekeeper.service.administration.gate_files import GATE_FILE, current_gate_file, gate_file
from tests.support.site_files import small_site

FRONT = GateId("front")
PLACE = in_gate(FRONT, GATE_FILE)
FITTED = {"hardware": "simulated", "contact": True, "exit": "released", "on_fire": "release"}
KNOWN = {"held_seconds": 20, "warned_seconds": 5, "journal_entries": 1000, "bridge": {"kind": "uhppoted"}}

Document: TypeAlias = dict[str, Any]


def with_interlock(document: Document) -> None:
    document["access_point"].append(document["access_point"][0] | {"id": "hatch"})
    document["interlock"] = [{"id": "lock", "access_points": ["front-in", "hatch"]}]


def turned(document: Document) -> None:
    door = document["access_point"][1]
    assert door["id"] == "front-out"
    door |= {"direction": "in", "from": "outside", "to": "yard"}


def without_out(document: Document) -> None:
    del document["access_point"][1]


def written_for(*changes: Callable[[Document], None], gate: GateId = FRONT) -> Document:
    return dict(json.loads(gate_file(policy(*changes), gate, prefix="gk")))


def policy(*changes: Callable[[Document], None]) -> Any:
    document = small_site()
    document.pop("population", None)
    document.pop("bridge", None)
    for change in changes:
        change(document)
    return read_site(document)


def carried(folder: SiteFolder, *changes: Callable[[Document], None], prefix: str = "gk") -> bytes:
    return current_gate_file(folder, policy(*changes), FRONT, prefix=prefix)


@pytest.fixture
def folder(tmp_path: Path) -> SiteFolder:
    return SiteFolder(tmp_path)


def keep(folder: SiteFolder, content: Document) -> None:
    folder.write(PLACE, json.dumps(content).encode())


def test_without_a_file_one_is_written_of_the_policy(folder: SiteFolder):
    assert json.loads(carried(folder)) == written_for()


@pytest.mark.parametrize("change", [with_interlock, turned, without_out])
@pytest.mark.parametrize("is_back", [False, True], ids=["there", "back"])
def test_what_the_policy_says_of_the_doors_replaces_what_it_said_before_and_nothing_else(
    folder: SiteFolder, *, change: Callable[[Document], None], is_back: bool
):
    before, after = ((change,), ()) if is_back else ((), (change,))
    was = written_for(*before)
    keep(folder, {**was, **KNOWN, "access_points": [point | FITTED for point in was["access_points"]]})
    now, told = json.loads(carried(folder, *after)), written_for(*after)
    assert {key: now.pop(key) for key in KNOWN} == KNOWN
    assert now.pop("interlocks", []) == told.pop("interlocks", [])
    kept = {point["id"] for point in was["access_points"]}
    added = {point["id"]: {key for key in point if key != "contact"} for point in told["access_points"]}
    for point in now["access_points"]:
        if point["id"] in kept:
            assert {key: point[key] for key in FITTED} == FITTED
        else:
            assert point.keys() == added[point["id"]], (
                "beside a bridge the gate knows whether it has a contact"
            )

    def said(of: Document) -> set[tuple[Any, ...]]:
        return {(point["id"], point["direction"], point["interlocked"]) for point in of["access_points"]}

    assert said(now) == said(told)


def test_a_file_that_says_the_same_in_its_own_way_is_carried_as_it_is(folder: SiteFolder):
    content = written_for(with_interlock)
    content["access_points"].reverse()
    for point in content["access_points"]:
        if not point["interlocked"]:
            del point["interlocked"]
    content["interlocks"] = [["hatch", "front-in"]]
    keep(folder, {**KNOWN, **content})
    assert carried(folder, with_interlock) == folder.read(PLACE)


@pytest.mark.parametrize("interlocks", [[["front-in", "front-out"]], "front-in", [1], {"a": 1}, None, [[{}]]])
def test_interlocks_that_the_policy_does_not_have_are_not_carried(interlocks: Any, folder: SiteFolder):
    keep(folder, {**written_for(), "interlocks": interlocks})
    assert json.loads(carried(folder)) == {**written_for(), "interlocks": []}


def test_a_number_in_the_place_of_true_or_false_is_not_carried(folder: SiteFolder):
    content = written_for()
    content["access_points"][0]["interlocked"] = 0
    keep(folder, content)
    assert json.loads(carried(folder))["access_points"][0]["interlocked"] is False


def test_the_prefix_is_the_one_that_the_service_has(folder: SiteFolder):
    keep(folder, {**written_for(), **KNOWN})
    assert json.loads(carried(folder, prefix="gates")) == {**written_for(), **KNOWN, "prefix": "gates"}


SPOILED = {
    "half": (b"{", "it is no JSON"),
    "no text": (b"\xff", "it is no JSON"),
    "deep": (b"[" * 200_000, "it is no JSON"),
    "no object": (b"[]", "it needs site, gate and a list of access_points"),
    "no doors": (b'{"site": "fort", "gate": "front"}', "it needs site, gate and a list of access_points"),
    "doors by name": (
        b'{"site": "fort", "gate": "front", "access_points": {"front-in": 1}}',
        "it needs site, gate and a list of access_points",
    ),
    "a door of no object": (
        b'{"site": "fort", "gate": "front", "access_points": ["front-in"]}',
        "each of its access_points is an object with an id of its own",
    ),
    "a door of no name": (
        b'{"site": "fort", "gate": "front", "access_points": [{"id": ["front-in"]}]}',
        "each of its access_points is an object with an id of its own",
    ),
    "a door twice": (
        b'{"site": "fort", "gate": "front", "access_points": [{"id": "front-in"}, {"id": "front-in"}]}',
        "each of its access_points is an object with an id of its own",
    ),
    "another gate's": (
        b'{"site": "fort", "gate": "inner", "access_points": []}',
        "it says that it is another's",
    ),
}


@pytest.mark.parametrize(("content", "why"), SPOILED.values(), ids=SPOILED)
def test_a_spoiled_file_is_told_in_a_sentence_and_left_as_it_is(content: bytes, why: str, folder: SiteFolder):
    folder.write(PLACE, content)
    with pytest.raises(SiteFolderError) as raised:
        carried(folder)
    assert str(raised.value).startswith(f"{folder.root / PLACE} is not the file of front: {why}. ")
    assert folder.read(PLACE) == content
