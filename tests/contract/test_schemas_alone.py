"""`vectors/alone.json`: a gate of ours and one by a stranger say the same words to the same people, from the file alone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest

from devices.core.alone import Alone, AloneDecision, Inside, decide_alone
from devices.core.knowledge import Knowledge, newer_trust
from devices.core.timekeeping import ClockDoubt
from gatekeeper.core.trust import Anchor
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import Scan
from gatekeeper.model.places import Direction
from gatekeeper.model.snapshot import Snapshot, Standing
from tests.contract.described import diagnostic, message_of
from tests.contract.specimens import payload_of
from tests.contract.stored import octets, trust, vectors
from tests.contract.stranger_alone import LonelyGate

CASES: list[dict[str, Any]] = vectors("alone")["cases"]
BY_NAME = {case["name"]: case for case in CASES}


def now_of(case: dict[str, Any]) -> int:
    noon: int = vectors("alone")["noon"]
    return noon + int(case["at"])


def heard(case: dict[str, Any]) -> tuple[bytes, bytes | None]:
    """What the gate of a case holds of what the service signed."""
    alone, standing = vectors("alone"), case["standing"]
    return octets(alone["snapshots"][case["gate"]]), standing and octets(alone["standings"][standing])


def ours(case: dict[str, Any]) -> AloneDecision:
    """What a gate of ours says."""
    snapshot, standing = heard(case)
    knowledge, inside = Knowledge(gate=case["gate"], trust=trust()), Inside()
    assert knowledge.take_snapshot(snapshot) is None
    assert standing is None or knowledge.take_standing(standing) is None
    said = None
    for one in (*(BY_NAME[name] for name in case["after"]), case):
        scan, now = message_of("scan", one["scan"]), datetime.fromtimestamp(now_of(one) / 1000, UTC)
        assert isinstance(scan, Scan)
        said = decide_alone(scan, Direction(one["direction"]), knowledge=knowledge, inside=inside, now=now)
        inside.let_in(said, now=now)
    assert said is not None
    return said


def strangers(case: dict[str, Any]) -> tuple[str, int]:
    """What a gate by a stranger says."""
    listed = cbor2.loads(cbor2.loads(octets(vectors("documents")["trust"]))[0])
    gate = LonelyGate(
        site=vectors("alone")["site"],
        prefix=vectors("alone")["prefix"],
        name=case["gate"],
        trust=listed[2],
        issuers={name: (tenant[1][0][0], tenant[1][0][1]) for name, tenant in listed[6].items()},
        decision=next((key[0], key[1]) for use, key in listed[8] if use == "decision"),
        epochs={name: tenant[3] for name, tenant in listed[6].items()},
    )
    gate.hears(*heard(case))
    for name in case["after"]:
        before = BY_NAME[name]
        assert gate.says(before["scan"], before["direction"], now_of(before))[0] == "alone-granted"
    return gate.says(case["scan"], case["direction"], now_of(case))


@pytest.mark.parametrize("case", CASES, ids=BY_NAME)
def test_a_gate_of_ours_and_one_by_a_stranger_say_what_stands_there(case: dict[str, Any]):
    said = ours(case)
    assert (said.said.value, said.unlock) == (case["word"], timedelta(milliseconds=case.get("unlock", 0)))
    assert strangers(case) == (case["word"], case.get("unlock", 0))


def test_every_word_of_a_gate_that_is_alone_has_a_case():
    assert {case["word"] for case in CASES} == set(Alone)


@pytest.mark.parametrize("doubt", ClockDoubt)
def test_whoever_would_be_let_in_is_not_when_the_time_is_not_known(doubt: ClockDoubt):
    case = BY_NAME["sergeant-comes-in"]
    snapshot, standing = heard(case)
    knowledge = Knowledge(gate=case["gate"], trust=trust())
    knowledge.take_snapshot(snapshot)
    assert standing is not None
    knowledge.take_standing(standing)
    scan = message_of("scan", case["scan"])
    assert isinstance(scan, Scan)
    said = decide_alone(scan, Direction.IN, knowledge=knowledge, inside=Inside(), now=doubt)
    assert said == AloneDecision(said=Alone.CLOCK)


def test_the_messages_say_what_is_described():
    alone = vectors("alone")
    for one in (*alone["snapshots"].values(), *alone["standings"].values(), *alone["status_lists"].values()):
        assert diagnostic(cbor2.loads(payload_of(octets(one)))) == one["diagnostic"]
    for gate, one in alone["snapshots"].items():
        read = Snapshot.read(payload_of(octets(one)))
        assert isinstance(read, Snapshot)
        assert read.gate == gate
    for one in alone["standings"].values():
        read_standing = Standing.read(payload_of(octets(one)))
        assert isinstance(read_standing, Standing)
    assert octets(alone["trust"]) == trust().document


@pytest.mark.parametrize("vector", vectors("alone")["refused"], ids=lambda vector: vector["code"])
def test_what_must_not_have_come_changes_nothing(vector: dict[str, str]):
    snapshot, standing = heard(BY_NAME["sergeant-comes-in"])
    knowledge = Knowledge(gate=GateId("front"), trust=trust())
    assert standing is not None
    assert (knowledge.take_snapshot(snapshot), knowledge.take_standing(standing)) == (None, None)
    before, wire = (knowledge.snapshot, knowledge.standing, knowledge.confirmed), octets(vector)
    said: object = None
    match vector["file"]:
        case "snapshot.cose":
            said = knowledge.take_snapshot(wire)
        case "standing.cose":
            said = knowledge.take_standing(wire)
        case "trust.cose":
            anchor = Anchor.from_json(json.dumps(vectors("documents")["anchor"]))
            said = newer_trust(wire, anchor=anchor, held=trust())
    assert said == vector["code"]
    assert (knowledge.snapshot, knowledge.standing, knowledge.confirmed) == before
