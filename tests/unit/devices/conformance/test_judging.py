"""The product's own gate keeps every requirement; a gate that is wrong in one way breaks those that are about it, and no other."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from typing_extensions import override

from devices.conformance.findings import Outcome, exit_code
from devices.conformance.forgeries import false_snapshots, false_standings, false_trust, over
from devices.conformance.provisions import Provisions
from devices.conformance.requirements import REQUIREMENTS, Part
from devices.conformance.script import Ask, Do, Reply
from devices.conformance.trials.withheld import TAKEN_AWAY, UNENTITLED
from gatekeeper import cose
from tests.unit.devices.conformance.hall import NOON, HallGate, examined, question
from tests.unit.devices.conformance.wrong_alone import WRONG_ALONE, Fault
from tests.unit.devices.conformance.wrong_gates import WRONG

KEY = cose.SigningKey.generate()
JUDGED = {one.id for one in REQUIREMENTS.values() if not one.by_hand}


def test_our_own_gate_passes_everything_that_is_judged():
    asked = question(KEY)
    findings = examined(asked, HallGate(asked, KEY))
    assert findings.keys() == JUDGED
    assert {found.id: found for found in findings.values() if found.outcome is not Outcome.PASSED} == {}
    assert exit_code(findings) == 0


def test_a_gate_that_was_examined_before_passes_again():
    asked = question(KEY)
    gate = HallGate(asked, KEY)
    examined(asked, gate)
    gate.asked = later = replace(asked, started=NOON + timedelta(minutes=10))
    findings = examined(later, gate)
    assert {found.id: found for found in findings.values() if found.outcome is not Outcome.PASSED} == {}


@pytest.mark.parametrize(("kind", "broken"), WRONG.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_a_wrong_gate_fails_on_what_it_breaks_and_on_nothing_else(kind: type[HallGate], broken: Any):
    asked = question(KEY)
    findings = examined(asked, kind(asked, KEY))
    failed = {found.id: found.seen for found in findings.values() if found.outcome is Outcome.FAILED}
    assert failed.keys() == {f"GK-G-{number:03}" for number in broken}, failed
    assert exit_code(findings) == 1


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in WRONG_ALONE.items()])
def test_a_gate_that_is_wrong_when_nobody_answers_fails_on_that_and_it_is_named(fault: Fault):
    asked = question(KEY)
    findings = examined(asked, fault.gate(asked, KEY))
    failed = {found.id: found.seen for found in findings.values() if found.outcome is Outcome.FAILED}
    assert failed.keys() == {f"GK-G-{number:03}" for number in fault.broken}, failed
    assert fault.seen in failed[f"GK-G-{fault.broken[0]:03}"]


def test_there_is_a_wrong_gate_for_every_requirement_that_a_trial_judges():
    all_broken = [*WRONG.values(), *(fault.broken for fault in WRONG_ALONE.values())]
    broken = {f"GK-G-{number:03}" for numbers in all_broken for number in numbers}
    assert broken == JUDGED - {"GK-G-002"}  # a request is refused before there is a trial


def test_a_door_without_a_contact_is_judged_by_who_looks():
    asked = question(KEY, has_contact=False, interlocked=False)
    findings = examined(asked, HallGate(asked, KEY))
    undecided = {name for name, found in findings.items() if found.outcome is Outcome.NOT_JUDGED}
    assert {REQUIREMENTS[name].part for name in undecided} == {Part.CONTACT, Part.INTERLOCK, Part.JOURNAL}
    assert {found.outcome for found in findings.values()} == {Outcome.PASSED, Outcome.NOT_JUDGED}
    assert exit_code(findings) == 0


def test_a_gate_of_which_nobody_said_that_it_decides_alone_is_asked_for_one_thing_only():
    class NeverHears(HallGate):
        """Takes nothing that it could decide by."""

        @override
        def hear(self, topic: str, wire: bytes, *, retained: bool, at: float) -> None:
            if not topic.endswith(("/policy", "/standing", "/trust")):
                super().hear(topic, wire, retained=retained, at=at)

    asked = question(KEY, decides_alone=False)
    findings = examined(asked, NeverHears(asked, KEY))
    not_asked = {name: found.seen for name, found in findings.items() if found.outcome is Outcome.NOT_JUDGED}
    assert not_asked.keys() == {name for name in JUDGED if REQUIREMENTS[name].part is Part.ALONE}
    assert all(seen.startswith("not asked: ") for seen in not_asked.values())
    assert {found.outcome for found in findings.values()} == {Outcome.PASSED, Outcome.NOT_JUDGED}
    assert findings["GK-G-160"].seen == "nobody was let in by a snapshot that lets them in"
    assert exit_code(findings) == 0


def test_a_gate_that_decides_alone_and_does_not_say_so_fails():
    asked = question(KEY, decides_alone=False)
    findings = examined(asked, HallGate(asked, KEY))
    failed = {found.id: found.seen for found in findings.values() if found.outcome is Outcome.FAILED}
    assert failed == {"GK-G-160": "the journal says granted"}


def test_a_gate_that_decides_alone_is_judged_by_its_journal_when_nobody_looks():
    class NobodyLooks(HallGate):
        @override
        def obey(self, asked: Ask, at: float) -> Reply:
            return Reply(done=False) if asked.do is Do.LOOK else super().obey(asked, at)

    asked = question(KEY, has_contact=False, interlocked=False)
    alone = {name for name in JUDGED if REQUIREMENTS[name].part is Part.ALONE}
    findings = examined(asked, NobodyLooks(asked, KEY), only=alone)
    undecided = {name for name, found in findings.items() if found.outcome is not Outcome.PASSED}
    # Where a gate may not decide at all it writes nothing down, and only a look would show that the strike stayed.
    assert undecided == {"GK-G-166"}
    assert findings["GK-G-166"].outcome is Outcome.NOT_JUDGED


def test_a_gate_that_decides_alone_need_not_take_commands():
    class TakesNoCommands(HallGate):
        @override
        def hear(self, topic: str, wire: bytes, *, retained: bool, at: float) -> None:
            if not topic.endswith("/command"):
                super().hear(topic, wire, retained=retained, at=at)

    asked = question(KEY)
    findings = examined(asked, TakesNoCommands(asked, KEY))
    undecided = {
        REQUIREMENTS[name].part for name, found in findings.items() if found.outcome is not Outcome.PASSED
    }
    assert undecided == {Part.COMMANDS}
    assert exit_code(findings) == 0


def test_whatever_must_let_nobody_in_has_a_gate_that_is_wrong_in_just_that():
    asked = question(KEY)
    made = Provisions(asked, entry=count(1).__next__)
    older = made.given(made.provided(NOON))
    lies = [
        *false_snapshots(made, NOON, older=older),
        *false_standings(made, NOON, held=older.provided.snapshot, older=older),
        *false_trust(made, NOON),
        over(made, NOON),
    ]
    cases = [*TAKEN_AWAY, *UNENTITLED, *(lie.what for lie in lies)]
    named = {what: [fault for fault in WRONG_ALONE.values() if fault.seen in what] for what in cases}
    assert [what for what, gates in named.items() if not gates] == []


class Alone(HallGate):
    """Nobody stands there who could do or see anything but present a card and start the gate."""

    able = frozenset({Do.START, Do.PRESENT})

    @override
    def obey(self, asked: Ask, at: float) -> Reply:
        return super().obey(asked, at) if asked.do in self.able else Reply(done=False)


def test_what_nobody_can_see_or_do_is_not_judged_and_never_found_in_order():
    asked = question(KEY, has_contact=False, interlocked=False)
    findings = examined(asked, Alone(asked, KEY))
    undecided = {name for name, found in findings.items() if found.outcome is Outcome.NOT_JUDGED}
    core = {name for name in undecided if REQUIREMENTS[name].part is Part.CORE}
    assert core == {f"GK-G-{number:03}" for number in (33, 68, 69, 72, 73, 74, 75, 100, 104, 160)}
    assert exit_code(findings) == 3


def test_a_gate_of_which_nothing_is_heard_is_not_judged():
    class Silent(HallGate):
        @override
        def say(self, topic: str, wire: bytes, qos: int) -> None:
            return

    asked = question(KEY)
    findings = examined(asked, Silent(asked, KEY))
    assert {name for name, found in findings.items() if found.outcome is not Outcome.NOT_JUDGED} == {
        "GK-G-002"
    }
    assert exit_code(findings) == 3


def test_only_what_is_asked_for_is_judged():
    asked = question(KEY)
    findings = examined(asked, HallGate(asked, KEY), only={"GK-G-100", "GK-G-072"})
    assert {name: found.outcome for name, found in findings.items()} == {
        "GK-G-072": Outcome.PASSED,
        "GK-G-100": Outcome.PASSED,
    }
