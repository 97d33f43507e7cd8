"""The simulated barracks: its people, what they learn, and what its gates saw."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.core.events import Signal
from devices.core.tally import Tally, Unlocked
from devices.settings import SettingsError
from devices.simulator.barracks import Barracks
from devices.simulator.people import ground_of, read_people
from devices.simulator.walker import Walker
from gatekeeper import cose
from gatekeeper.model.ids import AccessPointId, GateId
from gatekeeper.model.messages import ByToken
from gatekeeper.model.reasons import Reason
from gatekeeper.service.administration.ceremony import found_site
from gatekeeper.service.administration.folder import SiteFolder
from tests.support.site_files import NOW, small_site

FRONT, SIDE = GateId("front"), GateId("side-reader")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small site with one gate of its own and one stock reader."""
    root = tmp_path_factory.mktemp("simulated") / "fort"
    found_site(small_site(), SiteFolder(root), now=NOW)
    return root


@pytest.fixture
def barracks(folder: Path) -> Barracks:
    """A barracks in which nobody walks yet."""
    return _barracks(folder)


def _barracks(folder: Path) -> Barracks:
    return Barracks(folder, broker="mqtt://127.0.0.1:1", readers="mqtt://127.0.0.1:2", seed=1)


# -- people -----------------------------------------------------------------------------------------------------------


def test_the_people_of_the_site_have_their_badges_in_their_pockets(folder: Path):
    people = read_people(folder / "people.json")
    assert [(person.holder, person.lives.routine, person.lives.home) for person in people] == [
        ("h-00001", "guard", "yard"),
        ("h-00002", "guard", "yard"),
        ("h-00003", "student", "yard"),
        ("h-00004", "student", "yard"),
        ("h-00005", "student", "yard"),
        ("h-00006", "student", "yard"),
    ]
    key_bound, bearer, bare = people[0], people[2], people[4]
    assert key_bound.badge is not None
    assert isinstance(key_bound.badge.credential, ByToken)
    assert bearer.badge is not None
    assert bare.badge is None, "a bare card is shown to a stock reader, never to a gate of ours"
    assert bare.card is not None
    assert bare.card[0] in {"mifare", "wiegand"}


@pytest.mark.parametrize("content", ["", "[{}]", '{"a": 1}', "[1]"])
def test_people_of_another_version_are_told_with_what_to_do(content: str, tmp_path: Path):
    file = tmp_path / "people.json"
    file.write_text(content)
    with pytest.raises(SettingsError, match="found the site anew"):
        read_people(file)


async def test_a_badge_with_a_key_proves_itself_and_a_bearer_badge_does_not(folder: Path):
    people = read_people(folder / "people.json")
    key_bound, bearer = people[0].badge, people[2].badge
    assert key_bound is not None
    assert bearer is not None
    assert await key_bound.prove(bytes(32)) is not None
    assert await bearer.prove(bytes(32)) is None


def test_a_policy_that_the_host_did_not_sign_is_not_simulated(folder: Path, tmp_path: Path):
    copy = tmp_path / "fort"
    copy.mkdir()
    for name in ("gates", "people.json"):
        (copy / name).symlink_to(folder / name)
    policy = bytearray((folder / "policy.cose").read_bytes())
    policy[-1] ^= 1
    (copy / "policy.cose").write_bytes(policy)
    with pytest.raises(SettingsError, match=r"policy of .* is not believed"):
        _barracks(copy)


def test_nobody_walks_through_a_gate_whose_key_is_elsewhere(folder: Path, tmp_path: Path):
    copy = tmp_path / "fort"
    shutil.copytree(folder, copy)
    (copy / "gates" / FRONT / "key.pem").write_bytes(cose.SigningKey.generate().to_pem())
    barracks = _barracks(copy)
    assert FRONT not in barracks._posts
    walkers = barracks._chosen(10)
    assert len(walkers) == len(barracks._people)
    assert {door.gate for walker in walkers for door in walker.doors} <= barracks._posts.keys()
    for gate in (copy / "gates").iterdir():
        (gate / "key.pem").write_bytes(cose.SigningKey.generate().to_pem())
    with pytest.raises(SettingsError):
        _barracks(copy)


# -- what the gates saw -----------------------------------------------------------------------------------------------


def _saw(barracks: Barracks, gate: GateId, milliseconds: Sequence[float] = (), **counts: int) -> None:
    tally = Tally()
    barracks._posts[gate]._former.append(tally)
    tally.latencies.extend(timedelta(milliseconds=one) for one in milliseconds)
    for name, count in counts.items():
        setattr(tally, name, count)


def test_where_nobody_walked_nothing_was_seen(barracks: Barracks):
    report = barracks.report()
    assert report.pop("promises")["kept"]
    assert report == {
        "people": 0,
        "clock": "",
        "inside": 0,
        "manners": {},
        "faults": {},
        "evacuations": [],
        "astray": {},
        "recorded": [],
        "scans": 0,
        "granted": 0,
        "denied": {},
        "unanswered": 0,
        "no_service": 0,
        "passages": {},
        "openings": [],
        "latency_ms": {"p50": None, "p99": None, "max": None, "n": 0},
    }


def test_what_the_gates_saw_is_added_up(barracks: Barracks):
    _saw(barracks, FRONT, scans=10, granted=6, given_up=1, no_service=2)
    _saw(barracks, SIDE, scans=3, granted=1)
    _saw(barracks, SIDE, scans=2, granted=3)  # the next agent, after the power came back
    barracks._seen.denied["denied-schedule"] = 3
    barracks._seen.passages["taken"] = 9
    report = barracks.report()
    assert (report["scans"], report["granted"], report["unanswered"], report["no_service"]) == (15, 10, 1, 2)
    assert (report["denied"], report["passages"]) == ({"denied-schedule": 3}, {"taken": 9})


@pytest.mark.parametrize(
    ("front", "side", "expected"),
    [
        ([7.5], [], {"p50": 7.5, "p99": 7.5, "max": 7.5, "n": 1}),
        ([2], [1], {"p50": 1.5, "p99": 1.99, "max": 2.0, "n": 2}),
        (range(100, 0, -1), [], {"p50": 50.5, "p99": 99.01, "max": 100.0, "n": 100}),
        ([1] * 99, [1000], {"p50": 1.0, "p99": 10.99, "max": 1000.0, "n": 100}),
        ([1] * 980, [1000] * 20, {"p50": 1.0, "p99": 1000.0, "max": 1000.0, "n": 1000}),
    ],
    ids=["one", "two", "even", "an outlier", "two in a hundred"],
)
def test_latencies_are_told_over_all_gates_at_the_middle_the_edge_and_the_worst(
    front: Sequence[float], side: Sequence[float], expected: dict[str, Any], barracks: Barracks
):
    _saw(barracks, FRONT, front)
    _saw(barracks, SIDE, side)
    assert barracks.report()["latency_ms"] == expected


def test_every_opening_names_the_entry_that_allowed_it(barracks: Barracks):
    point, scan = AccessPointId("front-in"), bytes(range(32))
    _saw(barracks, FRONT)
    unlocked = Unlocked(access_point=point, scan=scan, entry=42, at=1.0)
    barracks._posts[FRONT].tallies[0].unlocks.append(unlocked)
    report = barracks.report()
    assert report["openings"] == [
        {"gate": "front", "access_point": "front-in", "entry": 42, "message": scan.hex()}
    ]
    assert json.loads(json.dumps(report)) == report


def test_a_refusal_at_a_stock_reader_is_counted_though_its_door_has_no_display(barracks: Barracks):
    door = barracks._stock[AccessPointId("side-in")]
    door.show(Signal.DENIED, reason=Reason.ASSURANCE.bacnet, entry=7)
    door.show(Signal.DENIED, reason=Reason.ASSURANCE.bacnet, entry=8)
    door.show(Signal.DENIED, reason=9999, entry=9)
    door.show(Signal.GRANTED, reason=0, entry=10)
    assert barracks.report()["denied"] == {"9999": 1, "denied-assurance": 2}


def test_a_door_that_has_no_right_for_somebody_is_given_up_and_no_other_is(barracks: Barracks):
    doors = tuple(barracks._policy.points.values())
    outside = barracks._policy.outside
    walker = Walker(person=barracks._people[0], doors=doors, zone=outside, goal=outside)
    walker.learn(doors[0], Reason.OUT_OF_TIME_RANGE.bacnet)
    walker.learn(doors[0], 9999)
    assert walker.doors == doors
    walker.learn(doors[0], Reason.NO_ACCESS_RIGHTS.bacnet)
    assert walker.doors == doors[1:]


def test_the_ground_of_a_site_is_what_its_policy_says(barracks: Barracks):
    ground = ground_of(barracks._policy, barracks._people)
    assert (ground.outside, ground.zones) == ("outside", ("outside", "yard"))
    assert (ground.mess, ground.training, ground.exercise) == (None, None, None)
    assert ground.receptions == {"yard": "yard"}


def test_a_pin_is_typed_where_one_is_asked_and_nowhere_else(barracks: Barracks):
    person, door = barracks._people[0], barracks._policy.points[AccessPointId("front-in")]
    assert person.badge is not None
    knows = replace(person, badge=replace(person.badge, pin="123456"))
    asks = replace(door, pin_always=True)
    typed = [shown.pin for shown in (knows.shown_at(door), knows.shown_at(asks)) if shown is not None]
    assert typed == [None, "123456"]
