"""Answers: what they say, the one topic each is signed for, and how long a stored one may still be sent."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gatekeeper import cose
from gatekeeper.core.actuate import answer_of, recorded, sign_answer, still_valid
from gatekeeper.core.decide import Decision
from gatekeeper.core.trust import Use
from gatekeeper.model.ids import GateId
from gatekeeper.model.messages import ANSWER_VALIDITY, DECISION_TYPE, Answer, Verdict
from gatekeeper.model.reasons import Reason
from tests.support.sites import NOON, SITE, ground, key_of

MESSAGE, POLICY = bytes(range(32)), bytes(range(32, 64))
FRONT = GateId("front")
GRANT = Decision(
    granted=True,
    reason=Reason.GRANTED,
    reasons=(),
    shadow=(),
    policy=POLICY,
    unlock=timedelta(milliseconds=2500),
)
DENIAL = Decision(
    granted=False, reason=Reason.CLEARANCE, reasons=(Reason.CLEARANCE,), shadow=(), policy=POLICY, unlock=None
)


def answering(decision: Decision) -> Answer:
    return answer_of(decision, message=MESSAGE, gate=FRONT, issued=NOON, entry=17)


def test_a_grant_says_for_how_long_and_a_denial_why():
    grant, denial = answering(GRANT), answering(DENIAL)
    assert (grant.verdict, grant.reason, grant.unlock) == (Verdict.GRANTED, 1, timedelta(milliseconds=2500))
    assert (denial.verdict, denial.reason, denial.unlock) == (Verdict.DENIED, 516, None)
    for answer in (grant, denial):
        assert (answer.message, answer.gate, answer.issued) == (MESSAGE, FRONT, NOON)
        assert (answer.valid, answer.policy, answer.entry) == (ANSWER_VALIDITY, POLICY, 17)


def test_everything_else_is_recorded_and_opens_nothing():
    answer = recorded(message=MESSAGE, gate=FRONT, issued=NOON, policy=POLICY, entry=17)
    assert answer == replace(answering(DENIAL), verdict=Verdict.RECORDED, reason=0)


@pytest.mark.parametrize("decision", [GRANT, DENIAL])
def test_an_answer_is_believed_on_its_own_gates_topic_and_on_no_other(decision: Decision):
    topic, wire = sign_answer(answering(decision), site=SITE, key=key_of("decision"), prefix="north")
    assert topic == "north/v1/fort/front/decision"
    verify = {"keys": ground().trust.decisions, "typ": DECISION_TYPE, "use": Use.DECISION}
    found = cose.verify(wire, **verify, external_aad=topic.encode())
    assert isinstance(found, cose.Verified)
    assert Answer.read(found.payload) == answering(decision)
    for other in ("north/v1/fort/inner/decision", "gk/v1/fort/front/decision", "north/v1/fort/front/command"):
        assert cose.verify(wire, **verify, external_aad=other.encode()) == cose.Refused(
            code=cose.Refusal.COSE_SIGNATURE
        )


def test_the_same_answer_is_the_same_bytes():
    """So that what is stored with the entry and what is sent again later cannot differ."""
    first, second = (
        sign_answer(answering(GRANT), site=SITE, key=key_of("decision"), prefix="gk") for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("verdict", "after", "valid"),
    [
        (Verdict.GRANTED, timedelta(0), True),
        (Verdict.GRANTED, ANSWER_VALIDITY - timedelta(microseconds=1), True),
        (Verdict.GRANTED, ANSWER_VALIDITY, False),
        (Verdict.GRANTED, timedelta(days=9), False),
        (Verdict.DENIED, timedelta(days=9), True),
        (Verdict.RECORDED, timedelta(days=9), True),
    ],
)
def test_a_grant_ages_and_what_opens_nothing_does_not(verdict: Verdict, after: timedelta, valid: bool):  # noqa: FBT001
    assert still_valid(verdict=verdict, issued=NOON, now=NOON + after) is valid
