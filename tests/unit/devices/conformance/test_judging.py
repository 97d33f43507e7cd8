"""The product's own gate keeps every requirement; a gate that is wrong in one way breaks those that are about it, and no other."""

from typing import Any

import pytest
from typing_extensions import override

from devices.conformance.findings import Outcome, exit_code
from devices.conformance.requirements import REQUIREMENTS, Part
from devices.conformance.script import Ask, Do, Reply
from gatekeeper import cose
from tests.unit.devices.conformance.hall import HallGate, examined, question
from tests.unit.devices.conformance.wrong_gates import WRONG

KEY = cose.SigningKey.generate()
JUDGED = {one.id for one in REQUIREMENTS.values() if not one.by_hand}


def test_our_own_gate_passes_everything_that_is_judged():
    asked = question(KEY)
    findings = examined(asked, HallGate(asked, KEY))
    assert findings.keys() == JUDGED
    assert {found.id: found for found in findings.values() if found.outcome is not Outcome.PASSED} == {}
    assert exit_code(findings) == 0


@pytest.mark.parametrize(("kind", "broken"), WRONG.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_a_wrong_gate_fails_on_what_it_breaks_and_on_nothing_else(kind: type[HallGate], broken: Any):
    asked = question(KEY)
    findings = examined(asked, kind(asked, KEY))
    failed = {found.id: found.seen for found in findings.values() if found.outcome is Outcome.FAILED}
    assert failed.keys() == {f"GK-G-{number:03}" for number in broken}, failed
    assert exit_code(findings) == 1


def test_there_is_a_wrong_gate_for_every_requirement_that_a_trial_judges():
    broken = {f"GK-G-{number:03}" for numbers in WRONG.values() for number in numbers}
    assert broken == JUDGED - {"GK-G-002"}  # a request is refused before there is a trial


def test_a_door_without_a_contact_is_judged_by_who_looks():
    asked = question(KEY, has_contact=False, interlocked=False)
    findings = examined(asked, HallGate(asked, KEY))
    undecided = {name for name, found in findings.items() if found.outcome is Outcome.NOT_JUDGED}
    assert {REQUIREMENTS[name].part for name in undecided} == {Part.CONTACT, Part.INTERLOCK, Part.JOURNAL}
    assert {found.outcome for found in findings.values()} == {Outcome.PASSED, Outcome.NOT_JUDGED}
    assert exit_code(findings) == 0


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
    assert core == {f"GK-G-{number:03}" for number in (33, 68, 69, 72, 73, 74, 75, 100, 104)}
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
