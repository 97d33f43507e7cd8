"""The product's own gate keeps every requirement; a gate that is wrong in one way breaks those that are about it, and no other."""

from typing import Any

import pytest

from devices.conformance.findings import Outcome, exit_code
from devices.conformance.requirements import REQUIREMENTS
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
